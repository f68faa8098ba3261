package exec

import (
	"strings"
	"unsafe"
)

// A step is an instruction that a processor's own loops (steps_amd64.s) run over
// rows: several of them, one after the other, without coming back to Go in
// between, each from a few words that lie together.
type step struct {
	code       uint32
	d, a, b, c slot   // predicates where the form has them
	with       uint32 // what a comparison's mask, or the one that selects, is xored with
}

// stepForm is the step of a mnemonic: lt is le of the operands swapped, inverted.
type stepForm struct {
	code   uint32
	swap   bool
	invert uint32
}

// use makes a mnemonic's loop the way to execute an inst, if it has one.
func (n *inst) use(mnemonic string) {
	if f := fast[mnemonic]; f != nil {
		n.fn, n.fuel = f, 0
	}
	if f := vectors.steps[mnemonic]; f != nil {
		n.fn, n.form = runStep, f
		if strings.HasPrefix(mnemonic, "setp.") {
			n.fn = compareStep
		}
	}
}

// asStep is the step of an inst that has one.
func (n *inst) asStep() step {
	s := step{n.form.code, n.d, n.a, n.b, n.c, uint32(n.off)}
	if n.form.swap {
		s.a, s.b = s.b, s.a
	}
	if n.cmp != nil {
		s.with = n.form.invert ^ n.cmp.invert
	}
	return s
}

// alone says whether an inst's step is all there is to it.
func (n *inst) alone() bool {
	return n.form != nil && n.guard == noSlot && n.ctl == straight && (n.cmp == nil || n.cmp.join == "" && n.e == noSlot && n.d != noSlot)
}

// findSteps lists the steps of the code, and for each how many follow one
// another.
func (c *code) findSteps(leader []bool) {
	c.steps = make([]step, len(c.insts))
	for i := len(c.insts) - 1; i >= 0; i-- {
		if n := &c.insts[i]; n.alone() {
			c.steps[i] = n.asStep()
			n.run = 1
			if i+1 < len(c.insts) {
				n.run += c.insts[i+1].run
			}
		}
	}
	if vectors.chains == nil {
		return
	}
	constants := map[slot]uint32{}
	for _, f := range c.fills {
		if f.kind == fillConst && !f.wide && !f.pred {
			constants[f.at] = uint32(f.bits)
		}
	}
	for i := 0; i < len(c.insts); i++ {
		i += c.findChain(i, leader, constants)
	}
}

// findChain makes one step of a polynomial's fma.rn.f32 that begin at an inst and
// returns how many links it has: r·x + k, where r is the result before, of which
// this is the only use, x a factor of the first, and k a constant. The first step
// then has the last one's destination, and the others' last word is k.
func (c *code) findChain(at int, leader []bool, constants map[slot]uint32) (links int) {
	fma := vectors.steps["fma.rn.f32"].code
	is := func(i int) bool { return i < len(c.insts) && c.insts[i].alone() && c.steps[i].code == fma }
	if !is(at) {
		return 0
	}
	first := c.steps[at]
	for links < len(vectors.chains) {
		i := at + links + 1
		if !is(i) || leader[i] {
			break
		}
		r, next := c.insts[i-1].d, &c.insts[i]
		x, other := next.a, next.b
		if x == r {
			x, other = other, x
		}
		k, known := constants[next.c]
		if !known || other != r || x == r || c.insts[i-1].last != next.place && next.d != r {
			break
		}
		if links == 0 && x == first.b {
			first.a, first.b = first.b, first.a
		}
		if x != first.a {
			break
		}
		first.d, c.steps[i].with = next.d, k
		links++
	}
	if links > 0 {
		first.code = vectors.chains[links-1]
		c.steps[at] = first
	}
	return links
}

// steps runs steps over a view all of whose lanes are active. A view lies inside
// its wave's rows, and slots are those that decode gave out, so that what the
// steps touch does as well (see row).
func (x *ctx) steps(s []step) {
	v := x.wave
	rows := unsafe.Add(x.base, 4*x.lane0)
	vectors.run(&s[0], len(s), rows, unsafe.Add(rows, 4*x.lane0), x.pitch, &v.preds[x.lane0/32], 4*v.warps, 4*x.n)
}

// runStep is a step alone. In a partial view the step computes the lanes of the
// others as well: these get their values back, and keep takes the active lanes
// from the scratch row, as always.
func runStep(x *ctx, in *inst) {
	s := [1]step{in.asStep()}
	if x.full {
		x.steps(s[:])
		return
	}
	if in.wide&wideD != 0 {
		partialStep(x, s[:], row[uint64](x, in.d))
	} else {
		partialStep(x, s[:], row[uint32](x, in.d))
	}
}

func partialStep[T uint32 | uint64](x *ctx, s []step, d []T) {
	var was [32]T
	copy(was[:], d)
	x.steps(s)
	copy(unsafe.Slice((*T)(unsafe.Pointer(&x.scratch)), 32), d) // see dst
	copy(d, was[:])
}

// compareStep is a comparison's step alone: its mask goes to x.masks first.
func compareStep(x *ctx, in *inst) {
	s := in.asStep()
	s.d, s.with = 0, in.form.invert
	v := x.wave
	rows := unsafe.Add(x.base, 4*x.lane0)
	vectors.run(&s, 1, rows, unsafe.Add(rows, 4*x.lane0), x.pitch, &x.masks[0], 4*v.warps, 4*x.n)
	for k := range x.n / 32 {
		x.finishCompare(in, k, x.masks[k])
	}
}
