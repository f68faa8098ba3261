package exec

import (
	"fmt"
	"math"
	"math/bits"
)

// Undefined values: a bit a lane for each register and predicate, kept only
// from when a wave first loads memory that nobody wrote, or from its start if
// the kernel may read a register that it has not written. Every instruction
// passes the bits of its operands on; one that reaches an address, a branch, a
// guard or a store is a fault. Where a register is undefined in part, holes.go
// knows its bits.

// startTaint begins to keep bits for a wave.
func (x *ctx) startTaint(v *wave) {
	if n := (x.k.code.slots + x.k.code.preds + 1) * v.warps; len(v.undef) != n {
		v.undef, v.exact, v.mixed = make([]uint32, n), make([]uint32, n), make([]uint32, n)
		v.holes = make([]uint32, x.k.code.slots*v.lanes)
	} else {
		clear(v.undef)
		clear(v.exact)
	}
	v.tainted = true
}

// setUndefined marks one lane of a register.
func (x *ctx) setUndefined(s slot, lane int) {
	if !x.wave.tainted {
		x.startTaint(x.wave)
	}
	x.setUndefinedLanes(s, lane/32, 1<<(lane&31), math.MaxUint32)
}

// setUndefinedLanes says which lanes of m are undefined from now on, and all of
// their bits.
func (x *ctx) setUndefinedLanes(s slot, warp int, m, u uint32) {
	p, exact := x.undefined(s, warp), &x.wave.exact[x.place(s, warp)]
	*p = *p&^m | u&m
	*exact &^= m
}

// undefined is the mask of a register's undefined lanes, in one warp of the view.
func (x *ctx) undefined(s slot, warp int) *uint32 { return &x.wave.undef[x.place(s, warp)] }

// place is a register's index among the masks of undefined lanes. Predicates are
// numbered after the slots.
func (x *ctx) place(s slot, warp int) int { return int(s)*x.wave.warps + x.lane0/32 + warp }

// taint passes undefined bits through an instruction that is about to run.
func (x *ctx) taint(in *inst) {
	for k := range x.n / 32 {
		m := x.mask
		if in.guard != noSlot {
			if u := *x.undefined(slot(x.k.code.slots)+in.guard, k) & m; u != 0 {
				x.taintFault(in, k, u, "the predicate that decides whether it runs")
			}
			m &= x.pred(in.guard)[k] ^ in.guardNot
		}
		if m != 0 && x.wave.inUse > 0 {
			x.inProduct(in, k)
		}
		var u uint32
		if in.merge != nil {
			u = in.merge(x, in, k) & m
		} else {
			for _, s := range in.reads {
				u |= *x.undefined(s, k) & m
			}
		}
		switch {
		case u != 0 && in.sink:
			if in.mem == nil || !x.storable(in, k, u) {
				x.taintFault(in, k, u, "an operand")
			}
		case u != 0 && in.holes != nil:
			x.taintHoles(in, k, m, u)
		default:
			for _, s := range in.sets {
				x.setUndefinedLanes(s, k, m, u)
			}
		}
	}
}

// undefinedValue is where lanes got a value that nobody wrote, kept for reports:
// a load, a shuffle (whose region is nil), or a division by zero.
type undefinedValue struct {
	in     *inst
	kind   FaultKind // of using it; 0: Uninitialised
	region *region
	addr   uint64 // of one of the lanes
	block  [3]uint32
	wave   *wave
	lanes  [maxLanes / 32]uint32
}

func (x *ctx) remember(v undefinedValue) {
	x.undefinedValues[x.undefinedCount%uint(len(x.undefinedValues))] = v
	x.undefinedCount++
}

// origin says where an undefined value of a lane most likely came from: the last
// one that the lane got, as far as it is remembered.
func (x *ctx) origin(warp int, lanes uint32) (kind FaultKind, label, detail string) {
	for i := range uint(len(x.undefinedValues)) {
		if i >= x.undefinedCount {
			break
		}
		l := &x.undefinedValues[(x.undefinedCount-1-i)%uint(len(x.undefinedValues))]
		if l.wave != x.wave || l.block != x.blk.id || l.lanes[x.lane0/32+warp]&lanes == 0 {
			continue
		}
		at := x.k.code.places[l.in.place]
		if l.kind == DivideByZero {
			return l.kind, "", fmt.Sprintf("; at line %d (%s) the divisor was zero", at.pos.Line, x.k.code.text[at.from:at.to])
		}
		if l.region == nil {
			return Uninitialised, "", fmt.Sprintf("; at line %d (%s) from a lane that took no part in it", at.pos.Line, x.k.code.text[at.from:at.to])
		}
		off := l.addr - l.region.base
		if size := uint64(x.k.Local); l.region.shared && l.region.home == nil { // every thread has its own
			return Uninitialised, "", fmt.Sprintf("; loaded at line %d (%s) from local memory, byte %d", at.pos.Line, x.k.code.text[at.from:at.to], off%size)
		}
		if label = text(l.region.label); l.region == &x.shared || l.region == &x.window {
			label = x.k.sharedName(off)
		}
		return Uninitialised, label, fmt.Sprintf("; loaded at line %d (%s) from %s, byte %d", at.pos.Line, x.k.code.text[at.from:at.to], label, off)
	}
	return Uninitialised, "", ""
}

func (x *ctx) taintFault(in *inst, warp int, lanes uint32, what string) {
	kind, label, from := x.origin(warp, lanes)
	on := "memory or a register that nobody wrote"
	if kind == DivideByZero {
		on = "a result that is undefined in PTX"
	}
	x.fail(in, kind, 32*warp+bits.TrailingZeros32(lanes), 0, 0, label, "%s depends on %s (lanes %#x)%s", what, on, lanes, from)
}

// mergeSelect is taint for selp: only the operand that is taken counts.
func mergeSelect(x *ctx, in *inst, warp int) uint32 {
	p := x.pred(in.c)[warp] ^ uint32(in.off)
	u := *x.undefined(slot(x.k.code.slots)+in.c, warp)
	if in.reads[0] != noSlot {
		u |= *x.undefined(in.reads[0], warp) & p
	}
	if in.reads[1] != noSlot {
		u |= *x.undefined(in.reads[1], warp) &^ p
	}
	return u
}
