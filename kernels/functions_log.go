package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Logarithms and powers.

// reduceLog takes a positive finite x apart: x = (1 + s)·2ᵏ with √½ ≤ 1+s < √2.
// It returns s, which is exact, and k as a float.
func (f *function) reduceLog(x *ptx.Reg) (s, k *ptx.Reg) {
	b := f.b
	tiny := f.is("lt", x, f.minNormal)
	x = f.choose(tiny, f.mul(x, math.Ldexp(1, f.tinyExponent)), x)
	u := floatBits(b, f.t, x)
	up := b.Op("sub.s"+f.i, u, int64(f.sqrtHalf))
	exponent := b.Op("shr.s"+f.i, up, f.mantissa)
	m := floatFromBits(b, f.t, b.Op("sub.s"+f.i, u, b.Op("shl.b"+f.i, exponent, f.mantissa)))
	k = b.Op("cvt.rn"+f.s+".s"+f.i, exponent)
	k = f.choose(tiny, f.sub(k, float64(f.tinyExponent)), k)
	return f.sub(m, 1.0), k
}

// logOf returns log(1 + s) + k·ln2 for s and k as reduceLog gives them.
func (f *function) logOf(s, k *ptx.Reg) *ptx.Reg {
	q := f.div(s, f.add(s, 2.0))
	z := f.mul(q, q)
	half := f.mul(f.mul(s, 0.5), s)
	inner := f.mul(q, f.fma(z, f.polynomial(z, f.atanh), half))
	rest := f.sub(half, f.fma(k, f.ln2[1], inner))
	return f.fma(k, f.ln2[0], f.sub(s, rest))
}

// logSpecial returns y, the logarithm of x, but −Inf for zero, NaN for less than
// zero, and x itself for +Inf and NaN; x is measured from zero.
func (f *function) logSpecial(x, zero any, y *ptx.Reg, infinite *ptx.Reg) *ptx.Reg {
	y = f.choose(f.is("lt", x, math.Inf(1)), y, infinite) // false for NaN
	y = f.choose(f.is("eq", x, zero), math.Inf(-1), y)
	return f.choose(f.is("lt", x, zero), math.NaN(), y)
}

func emitLog(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	s, k := f.reduceLog(a[0])
	return f.logSpecial(a[0], 0.0, f.logOf(s, k), a[0])
}

// emitLog1p reduces 1 + x, but computes s from x itself, so that nothing is lost
// where x is small.
func emitLog1p(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f, x := newFunction(b, t), a[0]
	u := floatBits(b, t, f.add(x, 1.0))
	exponent := b.Op("shr.s"+f.i, b.Op("sub.s"+f.i, u, int64(f.sqrtHalf)), f.mantissa)
	// 2⁻ᵏ may be subnormal: two factors.
	k := exponent
	if t.wide() {
		k = b.Op("cvt.u32.u64", k)
	}
	minus := b.Op("neg.s32", k)
	half := b.Op("shr.s32", minus, 1)
	p1, p2 := f.power(half), f.power(b.Op("sub.s32", minus, half))
	s := f.fma(f.mul(x, p1), p2, f.sub(f.mul(p1, p2), 1.0))
	y := f.logOf(s, b.Op("cvt.rn"+f.s+".s"+f.i, exponent))
	y = f.choose(f.is("lt", f.abs(x), f.minNormal), x, y)
	return f.logSpecial(x, -1.0, y, x)
}

// double is an unevaluated sum of two floats, the second small beside the first.
type double struct{ high, low *ptx.Reg }

// sum returns x + y rounded and what that lost, for |x| ≥ |y| or x = 0.
func (f *function) sum(x, y any) double {
	high := f.add(x, y)
	return double{high, f.add(f.sub(x, high), y)}
}

// sumAny is sum for any x and y.
func (f *function) sumAny(x, y *ptx.Reg) double {
	high := f.add(x, y)
	yPart := f.sub(high, x)
	return double{high, f.add(f.sub(x, f.sub(high, yPart)), f.sub(y, yPart))}
}

// product returns x·y.
func (f *function) product(x, y double) double {
	high := f.mul(x.high, y.high)
	low := f.fma(x.high, y.high, f.neg(high))
	return double{high, f.fma(x.low, y.high, f.fma(x.high, y.low, low))}
}

func (f *function) constant(c [2]float64) double {
	b, x := f.b, double{f.b.Reg(f.t.reg()), f.b.Reg(f.t.reg())}
	b.Do("mov"+f.s, x.high, floatConst(f.t, c[0]))
	b.Do("mov"+f.s, x.low, floatConst(f.t, c[1]))
	return x
}

// logDouble returns log(1 + s), for s as reduceLog gives it, to twice the
// precision less a few bits: 2q + q³(⅔ + …), q = s/(2+s), where all but the
// rest of the series is carried in two parts.
func (f *function) logDouble(s *ptx.Reg) double {
	d := f.add(s, 2.0)
	dLow := f.sub(s, f.sub(d, 2.0))
	inverse := f.op("rcp.rn"+f.s, d)
	q := f.mul(s, inverse)
	qLow := f.mul(f.fma(f.neg(q), dLow, f.fma(f.neg(q), d, s)), inverse)
	twice := f.add(q, q)
	z := f.mul(q, q)
	zLow := f.fma(twice, qLow, f.fma(q, q, f.neg(z)))
	tail := f.mul(z, f.polynomial(z, f.atanh[1:]))
	p := f.sum(f.twoThirds[0], tail)
	p.low = f.add(p.low, f.twoThirds[1])
	cube := f.product(double{z, zLow}, double{q, qLow})
	w := f.product(p, cube)
	l := f.sum(twice, w.high)
	return f.sum(l.high, f.add(l.low, f.add(f.add(qLow, qLow), w.low)))
}

// plusScaled returns k·c + l.
func (f *function) plusScaled(k *ptx.Reg, c [2]float64, l double) double {
	high := f.mul(k, c[0])
	low := f.fma(k, c[1], f.fma(k, c[0], f.neg(high)))
	r := f.sum(high, l.high)
	return f.sum(r.high, f.add(r.low, f.add(low, l.low)))
}

func emitLog2(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	s, k := f.reduceLog(a[0])
	l := f.product(f.logDouble(s), f.constant(f.log2e))
	r := f.sum(k, l.high)
	return f.logSpecial(a[0], 0.0, f.add(r.high, f.add(r.low, l.low)), a[0])
}

func emitLog10(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	s, k := f.reduceLog(a[0])
	l := f.plusScaled(k, f.log10of2, f.product(f.logDouble(s), f.constant(f.log10e)))
	return f.logSpecial(a[0], 0.0, f.add(l.high, l.low), a[0])
}

// emitPow is e^(y·log|x|), the exponent in two parts, then the special cases of
// the Array API standard (which are C's).
func emitPow(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if !t.IsFloat() {
		return integerPower(b, t, a[0], a[1])
	}
	f, x, y := newFunction(b, t), a[0], a[1]
	if t.wide() {
		return f.powOf(x, y)
	}
	r, ordinary := f.powOrdinary(x, y)
	done := b.NewLabel("power")
	b.BraIf(ordinary, done)
	b.Do("mov"+f.s, r, f.powOf(x, y))
	b.Bind(done)
	return r
}

// powOrdinary returns x to the power y for float32 and whether that is right: x
// is positive, finite and normal, the result neither overflows nor is it
// subnormal. It has no branch and no division, so that a thread computes
// several powers side by side: x = (1 + s)·2ᵏ, q = s/(2 + s) in two parts by a
// polynomial for the inverse, log₂(1 + s) = log₂e·(2q + q³(⅔ + …)) in two parts.
func (f *function) powOrdinary(x, y *ptx.Reg) (r, ordinary *ptx.Reg) {
	b, u := f.b, floatBits(f.b, f.t, x)
	exponent := b.Op("and.b32", b.Op("sub.s32", u, int64(f.sqrtHalf)), uint32(0xff800000))
	s := f.sub(floatFromBits(b, f.t, b.Op("sub.s32", u, exponent)), 1.0)
	k := b.Op("cvt.rn.f32.s32", exponent) // 2²³ times too large
	l := f.log2Of(s)
	const unit = 0x1p-23
	high := f.fma(k, unit, l.high)
	low := f.add(f.add(f.fma(k, unit, f.neg(high)), l.high), l.low)

	power := f.mul(y, high)
	rest := f.fma(y, low, f.fma(y, high, f.neg(power)))
	sum := f.add(power, f.round) // an integer, in the low bits
	part := f.add(f.sub(power, f.sub(sum, f.round)), rest)
	e := f.fma(f.polynomial(part, f.exp2), part, 1.0)
	r = floatFromBits(b, f.t, b.Op("mad.lo.u32", floatBits(b, f.t, sum), 1<<f.mantissa, floatBits(b, f.t, e)))
	normal := b.Op("setp.lt.u32", b.Op("sub.u32", u, 1<<f.mantissa), 0x7f000000)
	return r, b.Op("setp.lt.and.f32", f.abs(power), floatConst(f.t, 126), normal)
}

// log2Of returns log₂(1 + s) in two parts, for s as reduceLog gives it.
func (f *function) log2Of(s *ptx.Reg) double {
	inverse := f.polynomial(s, f.inverse)
	q := f.mul(s, inverse)
	qLow := f.mul(f.fma(f.neg(q), s, f.fma(q, -2.0, s)), inverse) // s − 2q is exact
	twice, twiceLow := f.add(q, q), f.add(qLow, qLow)
	z := f.mul(q, q)
	zLow := f.fma(q, twiceLow, f.fma(q, q, f.neg(z)))
	tail := f.polynomial(z, f.atanh[1:])
	c := f.fma(z, tail, f.twoThirds[0])
	cLow := f.add(f.fma(z, tail, f.sub(f.twoThirds[0], c)), f.twoThirds[1])
	h := f.mul(z, c)
	hLow := f.fma(z, cLow, f.fma(zLow, c, f.fma(z, c, f.neg(h))))
	w := f.mul(q, h)
	wLow := f.fma(qLow, h, f.fma(q, hLow, f.fma(q, h, f.neg(w))))
	l := f.sum(twice, w)
	l.low = f.add(l.low, f.add(wLow, twiceLow))
	high := f.mul(l.high, f.log2e[0])
	return double{high, f.fma(l.low, f.log2e[0], f.fma(l.high, f.log2e[1], f.fma(l.high, f.log2e[0], f.neg(high))))}
}

// powOf is pow for all arguments.
func (f *function) powOf(x, y *ptx.Reg) *ptx.Reg {
	ax := f.abs(x)
	s, k := f.reduceLog(ax)
	l := f.plusScaled(k, f.ln2, f.logDouble(s))
	high := f.mul(y, l.high)
	low := f.fma(y, l.low, f.fma(y, l.high, f.neg(high)))
	inside := f.is("lt", f.abs(high), f.expHigh-2*f.expLow) // the product is a number of a size that matters
	low = f.choose(inside, low, 0.0)
	r := f.expSum(f.clamp(high, f.expLow, f.expHigh), low)
	return f.powSpecial(x, ax, y, r)
}

func (f *function) powSpecial(x, ax, y, r *ptx.Reg) *ptx.Reg {
	b := f.b
	ay := f.abs(y)
	// Is y an integer, and odd? Half of an odd integer is none.
	isInteger := f.is("eq", f.op("cvt.rzi"+f.s+f.s, y), y)
	half := f.mul(y, 0.5)
	odd := b.Op("and.pred", isInteger, f.is("neu", f.op("cvt.rzi"+f.s+f.s, half), half))
	finite := f.is("lt", ay, math.Inf(1))
	odd = b.Op("and.pred", odd, finite)

	// |x| = 0 or infinite: 0 or infinite, as y's sign says.
	zero := f.is("eq", ax, 0.0)
	extreme := b.Op("or.pred", zero, f.is("eq", ax, math.Inf(1)))
	grows := b.Op("xor.pred", f.is("lt", y, 0.0), b.Op("not.pred", zero)) // infinite result
	r = f.choose(extreme, f.choose(grows, math.Inf(1), 0.0), r)

	// y infinite: |x| below, at or above 1.
	large := b.Op("xor.pred", f.is("gt", ax, 1.0), f.is("lt", y, 0.0))
	r = f.choose(finite, r, f.choose(large, math.Inf(1), 0.0))
	r = f.choose(f.is("eq", ax, 1.0), 1.0, r)

	// x negative: the sign of an odd power, and no other powers but integers
	// (for finite x other than zero).
	signed := f.op("copysign"+f.s, x, r)
	r = f.choose(odd, signed, r)
	ordinary := b.Op("and.pred", f.is("lt", x, 0.0), f.is("lt", ax, math.Inf(1)))
	invalid := b.Op("and.pred", ordinary, b.Op("not.pred", isInteger))
	r = f.choose(invalid, math.NaN(), r)

	// NaN, but 1 to any power and anything to the power 0 are 1.
	r = f.choose(f.is("nan", x, y), math.NaN(), r)
	r = f.choose(f.is("eq", x, 1.0), 1.0, r)
	return f.choose(f.is("eq", y, 0.0), 1.0, r)
}

// integerPower multiplies repeated squares; it wraps. Negative powers are what
// the quotient 1/xⁿ truncates to, 0 for x = 0.
func integerPower(b *ptx.Builder, t Type, x, n *ptx.Reg) *ptx.Reg {
	s, w := "."+t.suffix(), "b"+t.suffix()[1:]
	result, base, rest := b.Reg(t.reg()), b.Reg(t.reg()), b.Reg(t.reg())
	b.Do("mov.u"+w[1:], result, 1)
	b.Do("mov.u"+w[1:], base, x)
	b.Do("mov.u"+w[1:], rest, n)
	if t.class() == signed {
		b.Do("max"+s, rest, rest, 0)
	}
	again, done := b.NewLabel("power"), b.NewLabel("powerdone")
	b.Bind(again)
	b.BraIf(b.Op("setp.eq"+s, rest, 0), done)
	odd := b.Op("setp.ne"+s, b.Op("and."+w, rest, 1), 0)
	b.DoIf(odd, "mul.lo"+s, result, result, base)
	b.Do("mul.lo"+s, base, base, base)
	b.Do("shr.u"+w[1:], rest, rest, 1)
	b.Bra(again)
	b.Bind(done)
	if t.class() == unsigned {
		return result
	}
	// For a negative power only 1 and −1 have another quotient than 0.
	odd = b.Op("setp.ne"+s, b.Op("and."+w, n, 1), 0)
	sign := b.Op("selp"+s, x, 1, odd)
	unit := b.Op("or.pred", b.Op("setp.eq"+s, x, 1), b.Op("setp.eq"+s, x, -1))
	return b.Op("selp"+s, b.Op("selp"+s, sign, 0, unit), result, b.Op("setp.lt"+s, n, 0))
}
