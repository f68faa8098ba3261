package exec

import (
	"math"
	"math/bits"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Compilers write words of which a program defined only some bits: a structure
// whose first bit field is set is loaded, masked and stored; one with padding is
// copied in words; a narrow value is fetched with its neighbours. So undefined
// values are followed bit by bit (a register's undefined bits are its holes)
// through what moves, masks, compares and adds, and a word with holes may be
// stored if the others of its bits were written: the bytes that are all holes
// are then as if nobody wrote them. Memory knows whole bytes only. Anything goes
// to local memory, which is what a thread has instead of more registers.

// holes are the undefined bits of one lane of a register.
func (x *ctx) holes(s slot, wide bool, lane int) uint64 {
	v := x.wave
	i, bit := x.place(s, lane/32), uint32(1)<<(lane&31)
	at := int(s)*v.lanes + x.lane0 + lane
	switch {
	case v.undef[i]&bit == 0:
		return 0
	case v.exact[i]&bit == 0:
		return math.MaxUint64
	case wide:
		at += x.lane0 + lane
		return uint64(v.holes[at]) | uint64(v.holes[at+1])<<32
	}
	return uint64(v.holes[at])
}

// setHoles says which bits of one lane of a register are undefined, and whether
// somebody wrote some of the others.
func (x *ctx) setHoles(s slot, wide bool, lane int, h uint64, mixed bool) {
	if !x.wave.tainted {
		x.startTaint(x.wave)
	}
	v := x.wave
	i, bit := x.place(s, lane/32), uint32(1)<<(lane&31)
	at := int(s)*v.lanes + x.lane0 + lane
	v.undef[i] |= bit
	v.exact[i] |= bit
	if v.mixed[i] &^= bit; mixed {
		v.mixed[i] |= bit
	}
	if wide {
		at += x.lane0 + lane
		v.holes[at+1] = uint32(h >> 32)
	}
	v.holes[at] = uint32(h)
}

func (x *ctx) isMixed(s slot, lane int) bool {
	i, bit := x.place(s, lane/32), uint32(1)<<(lane&31)
	return x.wave.undef[i]&bit == 0 || x.wave.exact[i]&x.wave.mixed[i]&bit != 0
}

// holesOp says which bits of an instruction's result are undefined in one lane,
// and whether somebody wrote some of the others.
type holesOp func(x *ctx, in *inst, lane int) (h uint64, mixed bool)

// holesOf is the rule for an instruction; nil where a result that depends on an
// undefined bit has no other bits.
func holesOf(in *ptx.Instr) holesOp {
	t, _ := ptx.TypeByName(in.Mods[len(in.Mods)-1])
	switch in.Op {
	case "mov":
		return moved(2) // of {a, b}
	case "cvt":
		if from, _ := ptx.TypeByName(in.Mods[0]); len(in.Mods) == 2 && from.Integer() && t.Integer() {
			return moved(1)
		}
	case "brev", "shl", "shr", "bfe", "szext":
		return moved(1)
	case "shf", "prmt":
		return moved(2)
	case "and", "or", "xor", "not":
		return masked(in.Op)
	case "bfi":
		return inserted(t)
	case "selp":
		return selected
	case "add", "sub", "neg", "mul", "mad":
		if !isFloat(t) && oneOf(in.Mods, "hi", "sat", "cc") == "" {
			return upwards
		}
	}
	return nil
}

// followHoles gives the insts of an instruction the rule by which undefined bits
// pass through it.
func (d *decoder) followHoles(insts []inst) {
	if len(d.in.Mods) == 0 || len(d.in.Args) == 0 {
		return
	}
	rule := holesOf(d.in)
	for i := range insts {
		in := &insts[i]
		if rule == nil || len(in.sets) != 1 || in.sets[0] < 0 {
			continue
		}
		in.holes, in.keeps = rule, math.MaxUint32
		if o := &d.in.Args[0]; in.wide&wideD != 0 {
			in.keeps = math.MaxUint64
		} else if o.Kind == ptx.RegOperand && o.Reg.Type.Bits() < 32 {
			in.keeps = 1<<o.Reg.Type.Bits() - 1
		}
	}
}

// operandHoles are the first three operands of one lane, and their holes.
func (x *ctx) operandHoles(in *inst, lane int) (v, h [3]uint64) {
	for i, s := range [...]slot{in.a, in.b, in.c} {
		if wide := in.wide&(wideA<<i) != 0; s != noSlot {
			v[i], h[i] = x.get(s, wide, lane), x.holes(s, wide, lane)
		}
	}
	return v, h
}

// moved is for what moves bits of its first operands as the others say.
func moved(operands int) holesOp {
	return func(x *ctx, in *inst, lane int) (uint64, bool) {
		v, h := x.operandHoles(in, lane)
		for i := operands; i < len(h); i++ {
			if h[i] != 0 {
				return math.MaxUint64, false
			}
		}
		copy(v[:operands], h[:])
		switch {
		case in.f1 != nil:
			return in.f1(v[0]), x.isMixed(in.a, lane)
		case in.f2 != nil:
			return in.f2(v[0], v[1]), operands > 1 || x.isMixed(in.a, lane)
		}
		return in.f3(v[0], v[1], v[2]), operands > 1 || x.isMixed(in.a, lane)
	}
}

// upwards is for arithmetic in which no bit depends on those above it.
func upwards(x *ctx, in *inst, lane int) (uint64, bool) {
	_, h := x.operandHoles(in, lane)
	mixed := false
	for i, s := range [...]slot{in.a, in.b, in.c} {
		mixed = mixed || h[i] != 0 && x.isMixed(s, lane)
	}
	all := h[0] | h[1] | h[2]
	return -(all & -all), mixed
}

// masked is for and, or, xor and not: a bit that decides alone needs no other.
func masked(op string) holesOp {
	return func(x *ctx, in *inst, lane int) (uint64, bool) {
		v, h := x.operandHoles(in, lane)
		return logicHoles(op, v[0], h[0], v[1], h[1]), true
	}
}

func logicHoles[T uint32 | uint64](op string, a, holesA, b, holesB T) T {
	switch op {
	case "and":
		return holesA&(b|holesB) | holesB&a
	case "or":
		return holesA&(^b|holesB) | holesB&^a
	}
	return holesA | holesB
}

// inserted is for bfi, whose last operand is in e.
func inserted(t ptx.Type) holesOp {
	return func(x *ctx, in *inst, lane int) (uint64, bool) {
		v, h := x.operandHoles(in, lane)
		if h[2] != 0 || x.holes(in.e, false, lane) != 0 {
			return math.MaxUint64, false
		}
		return bitInsert(t, h[0], h[1], v[2], x.get(in.e, false, lane)), true
	}
}

// selected is for selp: the operand that is taken, or where they differ.
func selected(x *ctx, in *inst, lane int) (uint64, bool) {
	a, b, bit := in.a, in.b, uint32(1)<<(lane&31)
	wide := in.wide&wideA != 0
	switch {
	case *x.undefined(slot(x.k.code.slots)+in.c, lane/32)&bit != 0:
		differ := x.get(a, wide, lane) ^ x.get(b, wide, lane)
		return x.holes(a, wide, lane) | x.holes(b, wide, lane) | differ, false
	case (x.pred(in.c)[lane/32]^uint32(in.off))&bit == 0:
		a = b
	}
	return x.holes(a, wide, lane), x.isMixed(a, lane)
}

// mergeCompare is taint for setp of integers, whose result may not depend on the
// undefined bits. swap says that the operands' rows are.
func mergeCompare(cmp string, t ptx.Type, test fn2, swap bool) func(x *ctx, in *inst, warp int) uint32 {
	mask, sign := uint64(math.MaxUint64)>>(64-t.Bits()), uint64(0)
	if t.Signed() {
		sign = 1 << (t.Bits() - 1)
	}
	undecided := func(v, h [3]uint64) bool {
		ha, hb := h[0]&mask, h[1]&mask
		if cmp == "eq" || cmp == "ne" {
			return (v[0]^v[1])&mask&^(ha|hb) == 0
		}
		va, vb := v[0], v[1]
		if swap {
			va, vb, ha, hb = vb, va, hb, ha
		}
		least := func(v, h uint64) uint64 { return v&^h | h&sign }
		most := func(v, h uint64) uint64 { return v&^h | h&^sign }
		return test(least(va, ha), most(vb, hb)) != test(most(va, ha), least(vb, hb))
	}
	return func(x *ctx, in *inst, warp int) (u uint32) {
		for m := (*x.undefined(in.a, warp) | *x.undefined(in.b, warp)) & x.mask; m != 0; m &= m - 1 {
			if v, h := x.operandHoles(in, 32*warp+bits.TrailingZeros32(m)); undecided(v, h) {
				u |= m & -m
			}
		}
		if in.c != noSlot {
			u |= *x.undefined(slot(x.k.code.slots)+in.c, warp)
		}
		return u
	}
}

// taintHoles passes holes through an instruction whose result is its first
// register: m are the lanes that execute it, u those that read an undefined bit.
func (x *ctx) taintHoles(in *inst, warp int, m, u uint32) {
	var holes [32]uint64
	var mixed uint32
	for l := u; l != 0; l &= l - 1 {
		i := bits.TrailingZeros32(l)
		h, mix := in.holes(x, in, 32*warp+i)
		if h &= in.keeps; h == 0 {
			u &^= l & -l
		} else if holes[i] = h; mix {
			mixed |= l & -l
		}
	}
	for _, s := range in.sets {
		x.setUndefinedLanes(s, warp, m, 0)
	}
	for l := u; l != 0; l &= l - 1 {
		i := bits.TrailingZeros32(l)
		x.setHoles(in.sets[0], in.wide&wideD != 0, 32*warp+i, holes[i], mixed>>i&1 != 0)
	}
}

// storable says whether a store of what is undefined in some lanes only passes
// it on: to local memory, or with other bits of its word that somebody wrote.
func (x *ctx) storable(in *inst, warp int, lanes uint32) bool {
	m := in.mem
	if !m.store || m.regs == nil || *x.undefined(in.a, warp)&lanes != 0 {
		return false
	}
	for ; lanes != 0; lanes &= lanes - 1 {
		lane := 32*warp + bits.TrailingZeros32(lanes)
		if m.space == ptx.LocalSpace || m.space == ptx.GenericSpace && x.get(in.a, in.wide&wideA != 0, lane)+uint64(in.off)-localWindow < windowBytes {
			continue
		}
		all := uint64(math.MaxUint64) >> (64 - 8*m.size)
		for c, s := range m.regs {
			if h := x.holes(s, m.wide[c], lane) & all; h == all && !m.copies || h != 0 && !x.isMixed(s, lane) {
				return false
			}
		}
	}
	return true
}

// storedHoles takes back that bytes were written of which no bit was.
func (x *ctx) storedHoles(in *inst, r *region) {
	m := in.mem
	x.active(func(lane int) {
		off := x.addrs[lane] - r.base + r.initOff
		for c, s := range m.regs {
			h := x.holes(s, m.wide[c], lane)
			for i := range uint64(m.size) {
				if h>>(8*i)&0xff == 0xff {
					r.init.clear(off+uint64(c)*uint64(m.size)+i, 1)
				}
			}
		}
	})
}

// loadedHoles says that of n bytes loaded only those whose bits are set in
// written are defined. A structure in local memory counts as written in part.
func (x *ctx) loadedHoles(in *inst, r *region, s slot, wide bool, lane int, written, n uint64) {
	mixed := written != 0 || in.mem.copies && r.shared && r.home == nil
	if !mixed && (n == 8 || n == 4 && !wide) {
		x.setUndefined(s, lane)
		return
	}
	var h uint64
	for i := range n {
		if written>>i&1 == 0 {
			h |= 0xff << (8 * i)
		}
	}
	if in.mem.signed {
		h = uint64(int64(h<<(64-8*n)) >> (64 - 8*n))
	}
	x.setHoles(s, wide, lane, h, mixed)
}
