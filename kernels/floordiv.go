package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Division that rounds down, and its remainder.

func emitFloorDivide(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return newFunction(b, t).floorDivide(a[0], a[1])
	}
	q, _ := emitFloorMod(b, t, a[0], a[1])
	return q
}

func emitRemainder(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return newFunction(b, t).floorMod(a[0], a[1])
	}
	_, r := emitFloorMod(b, t, a[0], a[1])
	return r
}

// emitFloorMod returns floor(x/d) and x − d·floor(x/d) for integers, 0 and 0
// where d is 0.
func emitFloorMod(b *ptx.Builder, t Type, x, d *ptx.Reg) (quo, rem *ptx.Reg) {
	s := "." + t.suffix()
	q, zero := emitQuotient(b, t, x, d)
	r := b.Op("sub"+s, x, b.Op("mul.lo"+s, q, d))
	if t.class() == signed {
		// The truncated quotient is one too large where the remainder is not 0
		// and its sign is not the divisor's.
		differ := b.Op("setp.lt"+s, b.Op("xor.b"+s[2:], r, d), 0)
		adjust := b.Op("setp.ne.and"+s, r, 0, differ)
		q = b.Op("selp"+s, b.Op("sub"+s, q, 1), q, adjust)
		r = b.Op("selp"+s, b.Op("add"+s, r, d), r, adjust)
	}
	return b.Op("selp"+s, 0, q, zero), b.Op("selp"+s, 0, r, zero)
}

// fmod returns the exact remainder of the truncated quotient x/y, with the sign
// of x: y for finite x and infinite y, NaN where x is infinite, y is 0, or one
// is NaN. It is long division, as many bits at a time as a quotient has.
func (f *function) fmod(x, y *ptx.Reg) *ptx.Reg {
	b := f.b
	ax, ay := f.abs(x), f.abs(y)
	divides := b.Op("and.pred", f.is("gt", ay, 0.0), f.is("lt", ay, math.Inf(1)))
	divides = b.Op("and.pred", divides, f.is("lt", ax, math.Inf(1)))
	step := math.Ldexp(1, f.mantissa-1)

	r, d, least := b.Reg(f.t.reg()), b.Reg(f.t.reg()), f.choose(divides, ay, 1.0)
	b.Do("mov"+f.s, r, f.choose(divides, ax, 0.0))
	b.Do("mov"+f.s, d, least)
	grow, divide, done := b.NewLabel("grow"), b.NewLabel("divide"), b.NewLabel("divided")
	b.Bind(grow)
	b.BraIf(f.is("gt", d, f.mul(r, 1/step)), divide)
	b.Do("mul.rn"+f.s, d, d, floatConst(f.t, step))
	b.Bra(grow)

	b.Bind(divide)
	quotient := f.op("cvt.rzi"+f.s+f.s, f.div(r, d))
	rest := f.fma(f.neg(quotient), d, r)
	b.Do("selp"+f.s, r, f.add(rest, d), rest, f.is("lt", rest, 0.0)) // the division had rounded up
	b.BraIf(f.is("eq", d, least), done)
	b.Do("mul.rn"+f.s, d, d, floatConst(f.t, 1/step))
	b.Bra(divide)
	b.Bind(done)

	result := f.choose(divides, r, ax) // ax for infinite y
	invalid := b.Op("or.pred", f.is("eq", ay, 0.0), f.is("geu", ax, math.Inf(1)))
	invalid = b.Op("or.pred", invalid, f.is("nan", y, y))
	return f.choose(invalid, math.NaN(), b.Op("copysign"+f.s, x, result))
}

// floorMod is the remainder with the sign of y.
func (f *function) floorMod(x, y *ptx.Reg) *ptx.Reg {
	m := f.fmod(x, y)
	return f.choose(f.is("eq", m, 0.0), f.b.Op("copysign"+f.s, y, m), f.choose(f.signsDiffer(m, y), f.add(m, y), m))
}

// signsDiffer compares the signs of a number that is not 0 and of y.
func (f *function) signsDiffer(m, y *ptx.Reg) *ptx.Reg {
	return f.b.Op("xor.pred", f.is("lt", m, 0.0), f.is("lt", y, 0.0))
}

// floorDivide follows NumPy: the quotient less its remainder, which is nearly an
// integer, is rounded to one; x/0 is what division gives.
func (f *function) floorDivide(x, y *ptx.Reg) *ptx.Reg {
	b := f.b
	m, plain := f.fmod(x, y), f.div(x, y)
	q := f.div(f.sub(x, m), y)
	adjust := b.Op("and.pred", f.is("neu", m, 0.0), f.signsDiffer(m, y))
	q = f.choose(adjust, f.sub(q, 1.0), q)
	floor := f.op("cvt.rmi"+f.s+f.s, q)
	floor = f.choose(f.is("gt", f.sub(q, floor), 0.5), f.add(floor, 1.0), floor)
	floor = f.choose(f.is("eq", q, 0.0), b.Op("copysign"+f.s, plain, 0.0), floor)
	return f.choose(f.is("eq", y, 0.0), plain, floor)
}
