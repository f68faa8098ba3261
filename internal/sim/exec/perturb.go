package exec

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Approximations that are as bad as they may be. PTX bounds what rcp.approx and
// its kin give but leaves open what they give within the bound; every generation
// of cards has answers of its own. A perturbed program's approximations lie as
// far from the exact result as the bound allows, above or below as a hash of a
// seed, the operation and its operands says: what depends on more than PTX
// promises shows. Results for zeros, infinities and NaN are defined and stay.

// bound is how far an approximation may lie from the exact result: by the
// greatest of the three.
type bound struct {
	ulp float64 // units in the last place
	rel float64 // relative to the result
	abs float64
}

// boundOf is the bound that the PTX ISA gives for an operand v (of a division:
// the divisor).
func boundOf(op string, t ptx.Type, v float64) bound {
	v = math.Abs(v)
	half := t == ptx.F16 || t == ptx.F16x2
	brain := t == ptx.BF16 || t == ptx.BF16x2
	switch {
	case op == "ex2" && half:
		return bound{rel: math.Exp2(-9.9)}
	case op == "ex2" && brain:
		return bound{rel: 0x1p-7}
	case op == "tanh" && half:
		return bound{abs: math.Exp2(-10.987)}
	case op == "tanh" && brain:
		return bound{abs: 0x1p-8}
	case op == "tanh":
		return bound{rel: 0x1p-11}
	case op == "div", op == "ex2":
		return bound{ulp: 2}
	case op == "rcp":
		return bound{ulp: 1}
	case op == "sqrt":
		return bound{rel: 0x1p-23}
	case op == "rsqrt":
		return bound{rel: math.Exp2(-22.9)}
	case op == "lg2" && v > 0.5 && v < 2:
		return bound{abs: 0x1p-22}
	case op == "lg2":
		return bound{rel: 0x1p-22}
	case v <= 2*math.Pi: // sin and cos
		return bound{abs: math.Exp2(-20.5)}
	}
	return bound{abs: math.Exp2(-14.7)} // up to 100π; beyond, PTX says nothing
}

// perturbation says where the results of one operation lie. The nil one leaves
// them exact.
type perturbation struct {
	seed uint64
	op   string
	t    ptx.Type
	f    *format // of t; nil for float64
}

func newPerturbation(seed uint64, op string, t ptx.Type) *perturbation {
	for _, c := range op {
		seed = (seed ^ uint64(c)) * 0x100000001b3
	}
	return &perturbation{seed: seed, op: op, t: t, f: formatOf(t)}
}

// up says whether the result of an operand with these bits lies above.
func (p *perturbation) up(bits uint64) bool {
	r := random{(p.seed ^ bits) | 1}
	r.next()
	return r.next()>>32&1 != 0
}

// move takes an exact result, and the operand of the function (the divisor of a
// division) with the bits of all operands. What it returns is a value of the
// format.
func (p *perturbation) move(v, operand float64, bits uint64) float64 {
	if p == nil || v == 0 || operand == 0 || special(v, operand) {
		return v
	}
	b := boundOf(p.op, p.t, operand)
	_, e := math.Frexp(v)
	ulp := math.Ldexp(1, max(e-1, 1-p.f.bias)-p.f.mant)
	most := max(b.abs, b.rel*math.Abs(v), b.ulp*ulp)
	target, inward := v-most, up
	if p.up(bits) {
		target, inward = v+most, down
	}
	w := p.f.value(p.f.round(target, inward))
	if math.Abs(w-v) > most || special(w) {
		return v // no value of the format lies there
	}
	return w
}

// move64 is move for rsqrt.approx.f64.
func (p *perturbation) move64(v float64, bits uint64) float64 {
	if p == nil || v == 0 || special(v) {
		return v
	}
	most := boundOf(p.op, p.t, v).rel * v * (1 - 0x1p-29) // v itself is rounded
	if p.up(bits) {
		return v + most
	}
	return v - most
}

// moveUpper is move for results whose lower 32 bits are zero: of rcp.approx.ftz.f64
// and rsqrt.approx.ftz.f64, of which PTX says no more than that they have 20
// fraction bits.
func (p *perturbation) moveUpper(v, operand, bits uint64) uint64 {
	x := math.Float64frombits(v)
	if p == nil || x == 0 || special(x) || special(math.Float64frombits(operand)) || v>>52&0x7ff < 2 || v>>52&0x7ff > 2045 {
		return v
	}
	if p.up(bits) {
		return v + 1<<32
	}
	return v - 1<<32
}
