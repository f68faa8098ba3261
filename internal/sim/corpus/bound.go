package corpus

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A Bound is how far an approximate result may lie from the exact one, as PTX
// documents it: within any one of the three. The simulated device rounds the
// exact result, so half a unit in the last place comes on top.
type Bound struct {
	ULP float64 // units in the last place
	Rel float64 // relative to the result
	Abs float64
}

// value is the number that the bits of a float type stand for.
func value(t ptx.Type, b uint64) float64 {
	l, _ := layoutOf(t)
	if l.bits == 64 {
		return math.Float64frombits(b)
	}
	if l.bits == 32 {
		return float64(math.Float32frombits(uint32(b)))
	}
	e, m := int(b>>l.mant)&(1<<(15-l.mant)-1), float64(b&(1<<l.mant-1))
	bias := 1<<(14-l.mant) - 1
	v := math.Ldexp(m+float64(uint64(1)<<l.mant), e-bias-l.mant)
	switch {
	case e == 1<<(15-l.mant)-1 && m != 0:
		return math.NaN()
	case e == 1<<(15-l.mant)-1:
		v = math.Inf(1)
	case e == 0:
		v = math.Ldexp(m, 1-bias-l.mant)
	}
	if b>>15&1 != 0 {
		v = -v
	}
	return v
}

// ulp is the distance of v's neighbours in a float type.
func ulp(t ptx.Type, v float64) float64 {
	l, _ := layoutOf(t)
	_, e := math.Frexp(v)
	return math.Ldexp(1, max(e, 3-1<<(l.bits-2-l.mant))-1-l.mant)
}

// within compares single values.
func (b *Bound) within(t ptx.Type, x, y uint64) bool {
	if x == y {
		return true
	}
	if _, float := layoutOf(t); !float {
		return false
	}
	v, w := value(t, x), value(t, y)
	if v != v || w != w || math.IsInf(v, 0) || math.IsInf(w, 0) {
		return v != v && w != w
	}
	u := ulp(t, v)
	return math.Abs(v-w) <= u/2+max(b.Abs, b.Rel*math.Abs(v), b.ULP*u)
}

// same compares results: got is the simulated device's.
func (p *Program) same(j int, got, want uint64) bool {
	t := p.Outs[j]
	switch {
	case got == want:
		return true
	case packed(t):
		return p.sameValue(t, got&0xffff, want&0xffff) && p.sameValue(t, got>>16, want>>16)
	}
	return p.sameValue(t, got, want)
}

func (p *Program) sameValue(t ptx.Type, got, want uint64) bool {
	if p.AnyNaN && isNaN(t, got) && isNaN(t, want) {
		return true
	}
	if p.Bound != nil {
		return p.Bound.within(t, got, want)
	}
	return got == want
}

// isNaN says whether bits of a float type are a NaN.
func isNaN(t ptx.Type, b uint64) bool {
	l, float := layoutOf(t)
	if !float {
		return false
	}
	top := uint64(1)<<(l.bits-1-l.mant) - 1
	return b>>l.mant&top == top && b&(1<<l.mant-1) != 0
}
