package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Elementary functions for float32 and float64, from exactly rounded
// instructions only, so that they give the same bits on every device. One body
// serves both types; what differs is the table of coefficients.
//
// Errors, of the whole range, measured by TestFunctionErrors: see its table.

// coefficients are the constants of one type. Polynomials are listed lowest
// power first. A pair is a number in two parts, the second what the first, which
// is rounded, leaves.
type coefficients struct {
	exp   []float64 // (eʳ − 1 − r)/r² on ±ln2/2
	atanh []float64 // 2(atanh(s)/s − 1)/s² in s², |s| ≤ (√2−1)/(√2+1)
	tanh  []float64 // (tanh(x)/x − 1)/x² in x², |x| ≤ 0.55
	sin   []float64 // (sin(x)/x − 1)/x² in x², |x| ≤ π/4
	cos   []float64 // (cos(x) − 1 + x²/2)/x⁴ in x², |x| ≤ π/4

	exp2    []float64 // (2ˣ − 1)/x on ±½; float32 alone
	inverse []float64 // 1/(2 + s), s as for atanh; float32 alone
	log     []float64 // log(1 + s)/s; float32 alone
	sinTurn []float64 // sin(πx/2)/x in x², |x| ≤ ½; float32 alone
	cosTurn []float64 // cos(πx/2) in x², |x| ≤ ½; float32 alone

	ln2, log2e, log10e, log10of2, twoThirds [2]float64
	halfPi                                  [3]float64

	round        float64 // adding and subtracting it rounds to an integer, which is in the low bits of the sum
	mantissa     int     // bits of a significand that are stored
	bias         int     // of the exponent
	expLow       float64 // eˣ is 0 below
	expHigh      float64 // eˣ is +Inf above
	expm1Low     float64 // eˣ − 1 is −1 below
	minNormal    float64
	sqrtHalf     uint64 // bits of √½
	tinyExponent int    // what subnormal numbers are scaled up by
}

var coefficients32 = coefficients{
	exp:   []float64{0.5, 0.16666576266288757, 0.041666556149721146, 0.008363194763660431, 0.0013926203828305006},
	atanh: []float64{0.6666666865348816, 0.4000012278556824, 0.28550803661346436, 0.23330964148044586},
	tanh:  []float64{-0.3333333432674408, 0.1333332359790802, -0.05396469682455063, 0.021818403154611588, -0.008526140823960304, 0.002526109106838703},
	sin:   []float64{-0.1666666716337204, 0.008333331905305386, -0.00019840087043121457, 2.7249900540482486e-06},
	cos:   []float64{0.0416666679084301, -0.00138888880610466, 2.480059993104078e-05, -2.730093910940923e-07},

	exp2:    []float64{0.6931471824645996, 0.24022650718688965, 0.055503569543361664, 0.009618083015084267, 0.0013390863314270973, 0.00015453163359779865},
	inverse: []float64{0.5000000596046448, -0.2500002682209015, 0.12499339878559113, -0.062476299703121185, 0.031433675438165665, -0.01618967391550541, 0.006677393335849047},
	log:     []float64{1, -0.4999999701976776, 0.33334195613861084, -0.2500135898590088, 0.19955874979496002, -0.1657775342464447, 0.1497776210308075, -0.14271342754364014, 0.08535049110651016},
	sinTurn: []float64{1.5707963705062866, -0.6459634900093079, 0.07968021929264069, -0.004602149128913879},
	cosTurn: []float64{1, -1.2336970567703247, 0.25359857082366943, -0.020408159121870995},

	ln2:       [2]float64{0x1.62e43p-1, math.Ln2 - 0x1.62e43p-1},
	log2e:     [2]float64{0x1.715476p0, math.Log2E - 0x1.715476p0},
	log10e:    [2]float64{0x1.bcb7b2p-2, math.Log10E - 0x1.bcb7b2p-2},
	log10of2:  [2]float64{0x1.344136p-2, 1/math.Log2E*math.Log10E - 0x1.344136p-2},
	twoThirds: [2]float64{0x1.555556p-1, 2.0/3 - 0x1.555556p-1},
	halfPi:    [3]float64{0x1.921fb6p0, -0x1.777a5cp-25, math.Pi/2 - 0x1.921fb6p0 + 0x1.777a5cp-25},

	round:        0x1.8p23,
	mantissa:     23,
	bias:         127,
	expLow:       -104,
	expHigh:      89,
	expm1Low:     -18,
	minNormal:    0x1p-126,
	sqrtHalf:     0x3f3504f3,
	tinyExponent: 25,
}

var coefficients64 = coefficients{
	exp:   []float64{0.5, 0.1666666666666667, 0.04166666666666667, 0.00833333333332612, 0.0013888888888883737, 0.00019841269874873975, 2.480158732558584e-05, 2.755725533255441e-06, 2.7557273594799413e-07, 2.510524515390137e-08, 2.0914707069612355e-09},
	atanh: []float64{0.6666666666666666, 0.4000000000000088, 0.28571428570801954, 0.22222222392089008, 0.18181795600060793, 0.15386241881938595, 0.13268714792348096, 0.1308723619665962},
	tanh:  []float64{-0.3333333333333333, 0.1333333333333331, -0.05396825396822027, 0.021869488534068168, -0.008863235462984688, 0.0035921267673025663, -0.0014558190700396025, 0.0005899051200674843, -0.00023847198564355907, 9.454941758935152e-05, -3.3718010044053525e-05, 7.872519584876026e-06},
	sin:   []float64{-0.16666666666666666, 0.008333333333333331, -0.00019841269841265063, 2.7557319219337672e-06, -2.5052106231927857e-08, 1.6058531536611833e-10, -7.586692262094344e-13},
	cos:   []float64{0.041666666666666664, -0.0013888888888888887, 2.4801587301584645e-05, -2.7557319221401993e-07, 2.087675579079147e-09, -1.1470460841811526e-11, 4.7458692024108734e-14},

	ln2:       [2]float64{0x1.62e42fefa39efp-1, math.Ln2 - 0x1.62e42fefa39efp-1},
	log2e:     [2]float64{0x1.71547652b82fep0, math.Log2E - 0x1.71547652b82fep0},
	log10e:    [2]float64{0x1.bcb7b1526e50ep-2, math.Log10E - 0x1.bcb7b1526e50ep-2},
	log10of2:  [2]float64{0x1.34413509f79ffp-2, 1/math.Log2E*math.Log10E - 0x1.34413509f79ffp-2},
	twoThirds: [2]float64{0x1.5555555555555p-1, 2.0/3 - 0x1.5555555555555p-1},
	halfPi:    [3]float64{0x1.921fb54442d18p0, 0x1.1a62633145c07p-54, -0x1.f1976b7ed8fbcp-110},

	round:        0x1.8p52,
	mantissa:     52,
	bias:         1023,
	expLow:       -746,
	expHigh:      710,
	expm1Low:     -38,
	minNormal:    0x1p-1022,
	sqrtHalf:     0x3fe6a09e667f3bcd,
	tinyExponent: 54,
}

func coefficientsOf(t Type) *coefficients {
	if t.wide() {
		return &coefficients64
	}
	return &coefficients32
}

// function writes the instructions of one function. Its methods take registers
// and float64 constants, which are rounded to the type.
type function struct {
	*coefficients
	b *ptx.Builder
	t Type
	s string // ".f32"
	i string // "32", the width
}

func newFunction(b *ptx.Builder, t Type) *function {
	return &function{coefficientsOf(t), b, t, "." + t.suffix(), t.suffix()[1:]}
}

func (f *function) op(mnemonic string, args ...any) *ptx.Reg {
	for i, a := range args {
		if x, ok := a.(float64); ok {
			args[i] = floatConst(f.t, x)
		}
	}
	return f.b.Op(mnemonic, args...)
}

func (f *function) add(x, y any) *ptx.Reg    { return f.op("add.rn"+f.s, x, y) }
func (f *function) sub(x, y any) *ptx.Reg    { return f.op("sub.rn"+f.s, x, y) }
func (f *function) mul(x, y any) *ptx.Reg    { return f.op("mul.rn"+f.s, x, y) }
func (f *function) div(x, y any) *ptx.Reg    { return f.op("div.rn"+f.s, x, y) }
func (f *function) fma(x, y, z any) *ptx.Reg { return f.op("fma.rn"+f.s, x, y, z) }
func (f *function) neg(x any) *ptx.Reg       { return f.op("neg"+f.s, x) }
func (f *function) abs(x any) *ptx.Reg       { return f.op("abs"+f.s, x) }

// is compares: "lt", "nan", …
func (f *function) is(relation string, x, y any) *ptx.Reg { return f.op("setp."+relation+f.s, x, y) }

// choose returns p ? x : y.
func (f *function) choose(p *ptx.Reg, x, y any) *ptx.Reg { return f.op("selp"+f.s, x, y, p) }

// polynomial evaluates c[0] + c[1]x + … .
func (f *function) polynomial(x *ptx.Reg, c []float64) *ptx.Reg {
	n := len(c)
	sum := f.fma(x, c[n-1], c[n-2])
	for i := n - 3; i >= 0; i-- {
		sum = f.fma(sum, x, c[i])
	}
	return sum
}

// nearest rounds x to an integer, |x| < 2²², and returns it as a float and as an s32.
func (f *function) nearest(x, scale any) (float, integer *ptx.Reg) {
	sum := f.fma(x, scale, f.round)
	float = f.sub(sum, f.round)
	low := floatBits(f.b, f.t, sum)
	if f.t.wide() {
		low = f.b.Op("cvt.u32.u64", low)
		return float, low // the low bits of the constant are zero
	}
	return float, f.b.Op("sub.s32", low, int64(math.Float32bits(float32(f.round))))
}

// power returns 2ⁿ for an s32 n within the exponents of normal numbers.
func (f *function) power(n *ptx.Reg) *ptx.Reg {
	b := f.b
	e := b.Op("add.s32", n, f.bias)
	if f.t.wide() {
		return floatFromBits(b, f.t, b.Op("shl.b64", b.Op("cvt.s64.s32", e), f.mantissa))
	}
	return floatFromBits(b, f.t, b.Op("shl.b32", e, f.mantissa))
}

// scale returns x·2ⁿ, rounded once, for x around 1 and n of up to twice the
// range of exponents.
func (f *function) scale(x, n *ptx.Reg) *ptx.Reg {
	p, q := f.powers(n)
	return f.mul(f.mul(x, p), q)
}

// powers returns two numbers whose product is 2ⁿ.
func (f *function) powers(n *ptx.Reg) (p, q *ptx.Reg) {
	half := f.b.Op("shr.s32", n, 1)
	p = f.power(half)
	return p, f.power(f.b.Op("sub.s32", n, half))
}

// clamp returns x within bounds; NaN becomes the lower one.
func (f *function) clamp(x any, low, high float64) *ptx.Reg {
	return f.op("min"+f.s, f.op("max"+f.s, x, low), high)
}

// reduceExp returns n and r with x = n·ln2 + r, |r| ≤ ln2/2, and what r lost in
// rounding.
func (f *function) reduceExp(x *ptx.Reg) (n, r, lost *ptx.Reg) {
	float, n := f.nearest(x, f.log2e[0])
	high := f.fma(float, -f.ln2[0], x) // exact
	r = f.fma(float, -f.ln2[1], high)
	lost = f.fma(float, -f.ln2[1], f.sub(high, r))
	return n, r, lost
}

// expSum returns e^(x+y) for x within expLow and expHigh and a y of no more than
// what rounding x can have lost.
func (f *function) expSum(x, y *ptx.Reg) *ptx.Reg {
	n, r, lost := f.reduceExp(x)
	s := f.sum(r, f.add(lost, y)) // y is large beside r's last bit
	q := f.fma(f.mul(s.high, s.high), f.polynomial(s.high, f.exp), s.low)
	return f.scale(f.add(f.add(q, s.high), 1.0), n)
}

// expOf returns eˣ but for NaN.
func (f *function) expOf(x *ptx.Reg) *ptx.Reg {
	n, r, _ := f.reduceExp(f.clamp(x, f.expLow, f.expHigh))
	q := f.fma(f.mul(r, r), f.polynomial(r, f.exp), r)
	return f.scale(f.add(q, 1.0), n)
}

// expOfNegative is expOf to the bit, in fewer instructions, for x ≤ 0: all that
// may be too small for one power of two is made larger first, and then smaller.
func (f *function) expOfNegative(x *ptx.Reg) *ptx.Reg {
	up := f.bias / 2
	n, r, _ := f.reduceExp(f.op("max"+f.s, x, f.expLow))
	q := f.fma(f.mul(r, r), f.polynomial(r, f.exp), r)
	return f.mul(f.mul(f.add(q, 1.0), f.power(f.b.Op("add.s32", n, up))), math.Ldexp(1, -up))
}

// expDouble is expOf in two parts, for x ≤ 0.
func (f *function) expDouble(x *ptx.Reg) double {
	n, r, lost := f.reduceExp(f.op("max"+f.s, x, f.expLow))
	q := f.fma(f.mul(r, r), f.polynomial(r, f.exp), lost)
	p := f.sum(1.0, r)
	p = f.sum(p.high, f.add(p.low, q))
	half, rest := f.powers(n)
	return double{f.mul(f.mul(p.high, half), rest), f.mul(f.mul(p.low, half), rest)}
}

// keepNaN returns y, or x where x is NaN.
func (f *function) keepNaN(x, y *ptx.Reg) *ptx.Reg { return f.choose(f.is("nan", x, x), x, y) }

func emitExp(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	return f.keepNaN(a[0], f.expOf(a[0]))
}

// emitExp2 splits x into an integer, which becomes the exponent, and the rest.
func emitExp2(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	x := f.clamp(a[0], f.expLow*1.5, f.expHigh*1.5)
	float, n := f.nearest(x, 1.0)
	rest := f.sub(x, float) // exact
	r := f.mul(rest, f.ln2[0])
	lost := f.fma(rest, f.ln2[1], f.fma(rest, f.ln2[0], f.neg(r)))
	q := f.add(r, f.fma(f.mul(r, r), f.polynomial(r, f.exp), lost))
	return f.keepNaN(a[0], f.scale(f.add(q, 1.0), n))
}

// emitExpm1 computes 2ⁿ(eʳ − 1) + (2ⁿ − 1), with the second part exact and the
// first in two pieces. For large n it works on halves, so that 2ⁿ does not
// overflow before the result does.
func emitExpm1(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	x := f.clamp(a[0], f.expm1Low, f.expHigh)
	n, r, lost := f.reduceExp(x)
	q := f.fma(f.mul(r, r), f.polynomial(r, f.exp), lost)
	large := b.Op("setp.gt.s32", n, f.mantissa+4)
	n = b.Op("sub.s32", n, b.Op("selp.s32", 1, 0, large))
	power := f.power(n)
	minus := f.sub(power, f.choose(large, 0.5, 1.0))
	high := f.fma(power, r, minus)
	rest := f.fma(power, r, f.sub(minus, high))
	y := f.add(high, f.fma(power, q, rest))
	y = f.choose(large, f.add(y, y), y)
	// Small arguments, −0 among them, are their own results.
	y = f.choose(f.is("lt", f.abs(a[0]), f.minNormal), a[0], y)
	return f.keepNaN(a[0], y)
}

// emitSigmoid is 1/(1 + e^−|x|), or e^−|x| times that for negative x; neither
// overflows. The quotient is corrected by what its parts had lost.
func emitSigmoid(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	e := f.expDouble(f.neg(f.abs(a[0])))
	d := f.sum(1.0, e.high)
	d.low = f.add(d.low, e.low)
	positive := f.is("ge", a[0], 0.0)
	n := double{f.choose(positive, 1.0, e.high), f.choose(positive, 0.0, e.low)}
	inverse := f.op("rcp.rn"+f.s, d.high)
	q := f.mul(n.high, inverse)
	minus := f.neg(q)
	rest := f.fma(minus, d.high, n.high)
	rest = f.add(rest, f.fma(minus, d.low, n.low))
	return f.keepNaN(a[0], f.fma(rest, inverse, q))
}

// tanhFar is 1 − 2/(e²ˣ + 1) for float32 x ≥ 0.55 without a branch: e²ˣ is a
// power of two, limited to where the result is 1, and the inverse is a guess that
// negates the exponent with two steps of Newton's method, of third order.
func (f *function) tanhFar(x *ptx.Reg) *ptx.Reg {
	x = f.op("min"+f.s, x, 10.0)
	sum := f.fma(x, 2*f.log2e[0], f.round) // an integer, in the low bits
	part := f.fma(x, 2*f.log2e[0], f.sub(f.round, sum))
	y := f.fma(f.polynomial(part, f.exp2), part, 1.0)
	e := floatFromBits(f.b, f.t, f.b.Op("mad.lo.u32", floatBits(f.b, f.t, sum), 1<<f.mantissa, floatBits(f.b, f.t, y)))
	d := f.add(e, 1.0)
	inverse := floatFromBits(f.b, f.t, f.b.Op("sub.u32", 0x7ef311c7, floatBits(f.b, f.t, d)))
	minus := f.neg(d)
	for range 2 {
		rest := f.fma(minus, inverse, 1.0)
		inverse = f.fma(inverse, f.fma(rest, rest, rest), inverse)
	}
	return f.fma(inverse, -2.0, 1.0)
}

// emitTanh is a polynomial near 0 and 1 − 2/(e²ˣ + 1) elsewhere.
func emitTanh(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	f := newFunction(b, t)
	x := f.abs(a[0])
	var far *ptx.Reg
	if t.wide() {
		far = f.sub(1.0, f.div(2.0, f.add(f.expOf(f.add(x, x)), 1.0)))
	} else {
		far = f.tanhFar(x)
	}
	square := f.mul(x, x)
	near := f.fma(f.mul(f.polynomial(square, f.tanh), square), x, x)
	y := f.choose(f.is("lt", x, 0.55), near, far)
	return f.keepNaN(a[0], b.Op("copysign"+f.s, a[0], y))
}
