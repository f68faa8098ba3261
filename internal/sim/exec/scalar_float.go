package exec

import (
	"math"
	"math/big"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// rounding is how a float result is rounded.
type rounding uint8

const (
	nearest rounding = iota // to even
	zero
	down
	up
	away // nearest, ties away from zero: tf32's .rna
)

func roundingOf(mods []string) rounding {
	switch oneOf(mods, "rz", "rm", "rp", "rzi", "rmi", "rpi", "rna") {
	case "rz", "rzi":
		return zero
	case "rm", "rmi":
		return down
	case "rp", "rpi":
		return up
	case "rna":
		return away
	}
	return nearest
}

// format is a binary floating-point format of at most 32 bits.
type format struct {
	bits, mant int // width; fraction bits
	bias       int
	nan        uint64
	finite     bool // no infinities (e4m3): the exponent's top value holds numbers
}

var (
	formatF32  = &format{32, 23, 127, 0x7fffffff, false}
	formatF16  = &format{16, 10, 15, 0x7fff, false}
	formatBF16 = &format{16, 7, 127, 0x7fff, false}
	formatTF32 = &format{19, 10, 127, 0x3ffff, false}
	formatE4M3 = &format{8, 3, 7, 0x7f, true}
	formatE5M2 = &format{8, 2, 15, 0x7f, false}
)

// formatOf is the format of a type's elements; nil for float64.
func formatOf(t ptx.Type) *format {
	switch t {
	case ptx.F32:
		return formatF32
	case ptx.F16, ptx.F16x2:
		return formatF16
	case ptx.BF16, ptx.BF16x2:
		return formatBF16
	case ptx.TF32:
		return formatTF32
	case ptx.E4M3, ptx.E4M3x2:
		return formatE4M3
	case ptx.E5M2, ptx.E5M2x2:
		return formatE5M2
	}
	return nil
}

// value is the number that bits stand for, exactly.
func (f *format) value(b uint64) float64 {
	if f == nil {
		return math.Float64frombits(b)
	}
	if f == formatF32 {
		return float64(math.Float32frombits(uint32(b)))
	}
	sign := b >> (f.bits - 1) & 1
	ebits := f.bits - 1 - f.mant
	e := int(b >> f.mant & (1<<ebits - 1))
	m := b & (1<<f.mant - 1)
	var v float64
	switch {
	case e == 1<<ebits-1 && !f.finite && m == 0:
		v = math.Inf(1)
	case e == 1<<ebits-1 && !f.finite, f.finite && b&0x7f == 0x7f:
		return math.NaN()
	case e == 0:
		v = math.Ldexp(float64(m), 1-f.bias-f.mant)
	default:
		v = math.Ldexp(float64(m|1<<f.mant), e-f.bias-f.mant)
	}
	if sign != 0 {
		v = math.Copysign(v, -1)
	}
	return v
}

// round returns the bits of x in the format. x is exact, or was rounded to odd
// from more digits, so that one rounding is all there is.
func (f *format) round(x float64, r rounding) uint64 {
	if f == nil {
		return math.Float64bits(x)
	}
	if x != x {
		return f.nan
	}
	sign := uint64(0)
	if math.Signbit(x) {
		sign, x = 1<<(f.bits-1), -x
		switch r {
		case down:
			r = up
		case up:
			r = down
		}
	}
	inf := uint64(1)<<(f.bits-1) - 1<<f.mant // all ones in the exponent
	largest := inf - 1
	if f.finite {
		inf, largest = f.nan, f.nan-1
	}
	if math.IsInf(x, 0) {
		return sign | inf
	}
	b := math.Float64bits(x)
	e := int(b>>52) - 1023
	if b>>52 == 0 {
		e = -1022 // a float64 subnormal: below everything here
	}
	// m counts units of the last place of x, which is 2^(e-52).
	m := b & (1<<52 - 1)
	if b>>52 != 0 {
		m |= 1 << 52
	}
	drop := 52 - f.mant
	exp := e + f.bias
	if exp < 1 {
		drop += 1 - exp
		exp = 0
	}
	var kept, half, rest uint64
	switch {
	case drop > 54:
		rest = m
	default:
		kept = m >> drop
		half = m >> (drop - 1) & 1
		rest = m & (1<<(drop-1) - 1)
	}
	inc := false
	switch r {
	case nearest:
		inc = half == 1 && (rest != 0 || kept&1 == 1)
	case away:
		inc = half == 1
	case up:
		inc = half|rest != 0
	}
	if inc {
		kept++
	}
	// kept holds the implicit bit where exp is at least 1: adding it to the
	// exponent's field does the carry.
	v := kept
	if exp >= 1 {
		v = uint64(exp)<<f.mant + kept - 1<<f.mant
	}
	if v >= inf {
		if r == zero || r == down {
			return sign | largest
		}
		return sign | inf
	}
	return sign | v
}

// odd rounds s + err to odd, err being what rounding to s lost (only its sign
// counts): the inexact result gets an odd last bit, so that rounding it once
// more, to at most 51 bits, gives what rounding the exact value would.
func odd(s, err float64) float64 {
	if err == 0 || s != s || math.IsInf(s, 0) {
		return s
	}
	b := math.Float64bits(s)
	if b&1 == 0 {
		if (err > 0) == (s > 0) {
			b++
		} else {
			b--
		}
	}
	return math.Float64frombits(b)
}

// sumOdd is a + b rounded to odd. The sum is not zero unless exact, and does
// not overflow, for values that float32 and the smaller formats multiply to.
func sumOdd(a, b float64) float64 {
	s := a + b
	if math.IsInf(s, 0) || s != s {
		return s
	}
	t := s - a
	err := float64(a-float64(s-t)) + float64(b-t)
	return odd(s, err)
}

// signedZero is the sum of a and b where that is zero: rounding down gives −0
// unless both are +0.
func signedZero(s, a, b float64, r rounding) float64 {
	if s == 0 && r == down && (math.Signbit(a) || math.Signbit(b)) {
		return math.Copysign(0, -1)
	}
	return s
}

// narrowAdd, narrowMul, narrowFma, narrowDiv and narrowSqrt take values of
// float32 or a smaller format and return the result rounded to odd.
func narrowAdd(a, b float64, r rounding) float64 { return signedZero(sumOdd(a, b), a, b, r) }

func narrowMul(a, b float64) float64 { return a * b }

func narrowFma(a, b, c float64, r rounding) float64 {
	p := float64(a * b) // exact
	return signedZero(sumOdd(p, c), p, c, r)
}

func narrowDiv(a, b float64) float64 {
	q := a / b
	if q == 0 || math.IsInf(q, 0) || q != q || math.IsInf(b, 0) {
		return q
	}
	rem := math.FMA(-q, b, a) // exact
	if b < 0 {
		rem = -rem
	}
	return odd(q, rem)
}

func narrowSqrt(a float64) float64 {
	s := math.Sqrt(a)
	if s == 0 || math.IsInf(s, 0) || s != s {
		return s
	}
	return odd(s, math.FMA(-s, s, a))
}

// fma32 is fma.rn.f32: the sum in float64 is rounded once more, which goes
// wrong only where it lies half way between two float32 values or is smaller
// than their normal range.
func fma32(a, b, c float32) float32 {
	p := float64(float64(a) * float64(b))
	s := p + float64(c)
	v := math.Float64bits(s)
	if v&(1<<29-1) == 1<<28 || v<<1 < 0x3810000000000000<<1 {
		return float32(sumOdd(p, float64(c)))
	}
	return float32(s)
}

// directed64 rounds an exact value to float64 away from nearest.
func directed64(x *big.Float, r rounding) float64 {
	v, acc := x.Float64()
	switch {
	case acc == big.Exact, r == nearest:
	case acc == big.Above && (r == down || r == zero && x.Sign() > 0):
		v = math.Nextafter(v, math.Inf(-1))
	case acc == big.Below && (r == up || r == zero && x.Sign() < 0):
		v = math.Nextafter(v, math.Inf(1))
	}
	return v
}

func exact(v float64) *big.Float { return new(big.Float).SetPrec(5000).SetFloat64(v) }

func special(vs ...float64) bool {
	for _, v := range vs {
		if math.IsInf(v, 0) || v != v {
			return true
		}
	}
	return false
}

func add64(a, b float64, r rounding) float64 {
	s := a + b
	if r == nearest || special(a, b) {
		return s
	}
	x := exact(a)
	if x.Add(x, exact(b)); x.Sign() == 0 {
		return signedZero(s, a, b, r)
	}
	return directed64(x, r)
}

func mul64(a, b float64, r rounding) float64 {
	p := a * b
	if r == nearest || special(a, b) || a == 0 || b == 0 {
		return p
	}
	return signLike(directed64(exact(a).Mul(exact(a), exact(b)), r), math.Signbit(a) != math.Signbit(b))
}

func fma64(a, b, c float64, r rounding) float64 {
	v := math.FMA(a, b, c)
	if r == nearest || special(a, b, c) {
		return v
	}
	x := exact(a)
	x.Mul(x, exact(b))
	p := math.Copysign(1, a) * math.Copysign(1, b)
	if x.Add(x, exact(c)); x.Sign() == 0 {
		return signedZero(v, p, c, r)
	}
	return signLike(directed64(x, r), x.Signbit())
}

// signLike gives a result that was rounded to zero the exact value's sign.
func signLike(v float64, neg bool) float64 {
	if v == 0 && neg {
		return math.Copysign(0, -1)
	}
	return v
}

func div64(a, b float64, r rounding) float64 {
	q := a / b
	if r == nearest || special(a, b) || a == 0 || b == 0 {
		return q
	}
	// 5000 bits of the quotient: a non-zero remainder shows in the last.
	x := new(big.Float).SetPrec(5000).SetMode(big.ToZero).Quo(exact(a), exact(b))
	if x.Acc() != big.Exact {
		tail := new(big.Float).SetMantExp(big.NewFloat(1), x.MantExp(nil)-4990)
		if x.Signbit() {
			tail.Neg(tail)
		}
		x.SetPrec(6000).Add(x, tail)
	}
	return signLike(directed64(x, r), math.Signbit(a) != math.Signbit(b))
}

func sqrt64(a float64, r rounding) float64 {
	s := math.Sqrt(a)
	if r == nearest || special(a, s) || s == 0 {
		return s
	}
	sq := exact(s)
	switch c := sq.Mul(sq, sq).Cmp(exact(a)); {
	case c > 0 && r != up:
		s = math.Nextafter(s, 0)
	case c < 0 && r == up:
		s = math.Nextafter(s, math.Inf(1))
	}
	return s
}

// flush is .ftz: a subnormal becomes a zero of its sign.
func flush32(b uint64) uint64 {
	if b&0x7f800000 == 0 {
		return b & 0x80000000
	}
	return b
}

// flush is .ftz in a format that has it, float32 and float16.
func (f *format) flush(b uint64) uint64 {
	if b>>f.mant&(1<<(f.bits-1-f.mant)-1) == 0 {
		return b & (1 << (f.bits - 1))
	}
	return b
}

// flushes says whether .ftz changes a type's values.
func flushes(t ptx.Type) bool { return t == ptx.F32 || t == ptx.F16 || t == ptx.F16x2 }

// tiny says whether x, rounded as if exponents had no end, is below the normal
// numbers: that is what .ftz makes zero of, and not what would round to the
// smallest normal number only because subnormal ones are coarse.
func (f *format) tiny(x float64, r rounding) bool {
	scale := math.Ldexp(1, f.bias/2)
	return math.Abs(f.value(f.round(x*scale, r))) < math.Ldexp(scale, 1-f.bias)
}

// saturate is .sat: to [0, 1], NaN becomes +0.
func saturate(v float64) float64 {
	switch {
	case v >= 1:
		return 1
	case v > 0:
		return v
	}
	return 0
}

// float returns the scalar function of a floating-point instruction on type t,
// or nil.
func float(op string, mods []string, t ptx.Type) any {
	if mod(mods, "approx") || mod(mods, "full") {
		return approximate(op, mods, t, nil)
	}
	f := formatOf(t)
	r := roundingOf(mods)
	in, out := f.value, finish(f, mods, r)
	if mod(mods, "ftz") && flushes(t) {
		in = func(b uint64) float64 { return f.value(f.flush(b)) }
	}
	var one fn1
	var two fn2
	var three fn3
	switch op {
	case "add", "sub":
		neg := op == "sub"
		two = func(a, b uint64) uint64 {
			x, y := in(a), in(b)
			if neg {
				y = -y
			}
			if f == nil {
				return out(add64(x, y, r))
			}
			return out(narrowAdd(x, y, r))
		}
	case "mul":
		two = func(a, b uint64) uint64 {
			if f == nil {
				return out(mul64(in(a), in(b), r))
			}
			return out(narrowMul(in(a), in(b)))
		}
	case "fma", "mad":
		oob := mod(mods, "oob")
		three = func(a, b, c uint64) uint64 {
			// The NaN that marks what is out of bounds, of either sign, as found
			// on an H100: PTX does not say which it is.
			if oob && (a&0x7fff == 0x7ff7 || b&0x7fff == 0x7ff7) {
				return 0
			}
			if f == nil {
				return out(fma64(in(a), in(b), in(c), r))
			}
			return out(narrowFma(in(a), in(b), in(c), r))
		}
	case "div":
		two = func(a, b uint64) uint64 {
			if f == nil {
				return out(div64(in(a), in(b), r))
			}
			return out(narrowDiv(in(a), in(b)))
		}
	case "rcp":
		one = func(a uint64) uint64 {
			if f == nil {
				return out(div64(1, in(a), r))
			}
			return out(narrowDiv(1, in(a)))
		}
	case "sqrt":
		one = func(a uint64) uint64 {
			if f == nil {
				return out(sqrt64(in(a), r))
			}
			return out(narrowSqrt(in(a)))
		}
	case "neg", "abs":
		one = signOp(op, mods, t)
	case "min", "max":
		two = minMax(op == "max", mods, t)
	case "copysign":
		top := uint64(1) << (t.Bits() - 1)
		two = func(a, b uint64) uint64 { return b&^top | a&top }
	}
	switch pair := t == ptx.F16x2 || t == ptx.BF16x2; {
	case one != nil && pair:
		return halves1(one)
	case one != nil:
		return one
	case two != nil && pair:
		return halves2(two)
	case two != nil:
		return two
	case three != nil && pair:
		return halves3(three)
	case three != nil:
		return three
	}
	return nil
}

// finish rounds a result to the format, with what .ftz, .sat and .relu do.
func finish(f *format, mods []string, r rounding) func(v float64) uint64 {
	ftz, sat, relu := mod(mods, "ftz"), mod(mods, "sat"), mod(mods, "relu")
	if f == nil {
		return func(v float64) uint64 {
			if sat {
				v = saturate(v)
			}
			return math.Float64bits(v)
		}
	}
	return func(v float64) uint64 {
		if sat {
			v = saturate(v)
		}
		if relu && v < 0 {
			v = 0
		}
		b := f.round(v, r)
		if smallest := uint64(1) << f.mant; ftz && b&(1<<(f.bits-1)-1) <= smallest && f.tiny(v, r) {
			b &= 1 << (f.bits - 1)
		}
		if relu && b == 1<<(f.bits-1) {
			b = 0
		}
		return b
	}
}

// signOp is neg and abs. Float16 formats give a canonical NaN, the others keep
// it.
func signOp(op string, mods []string, t ptx.Type) fn1 {
	f := formatOf(t)
	n := t.Bits()
	if f != nil {
		n = f.bits
	}
	top := uint64(1) << (n - 1)
	ftz := mod(mods, "ftz") && flushes(t)
	return func(a uint64) uint64 {
		if ftz {
			a = f.flush(a)
		}
		if op == "abs" {
			return a &^ top
		}
		return a ^ top
	}
}

// minMax returns the operand that is a number, with .NaN a canonical NaN where
// either is not; −0 is less than +0.
func minMax(isMax bool, mods []string, t ptx.Type) fn2 {
	f := formatOf(t)
	nan, n := uint64(0x7fffffffffffffff), 64
	if f != nil {
		nan, n = f.nan, f.bits
	}
	top := uint64(1) << (n - 1)
	ftz := mod(mods, "ftz") && flushes(t)
	propagate, xorsign := mod(mods, "NaN"), mod(mods, "xorsign")
	width := uint64(math.MaxUint64) >> (64 - n)
	return func(a, b uint64) uint64 {
		a, b = a&width, b&width
		if ftz {
			a, b = f.flush(a), f.flush(b)
		}
		sign := (a ^ b) & top
		if xorsign {
			a, b = a&^top, b&^top
		}
		x, y := f.value(a), f.value(b)
		switch {
		case x != x && y != y, propagate && (x != x || y != y):
			return nan
		case x != x:
			a = b
		case y != y:
		case x == y && a != b: // zeros of both signs
			if (a == 0) != isMax {
				a = b
			}
		case (x < y) == isMax:
			a = b
		}
		if xorsign {
			a |= sign
		}
		return a
	}
}

// approximate returns the functions that PTX bounds but does not define
// exactly: the result here is the exact one, correctly rounded (as far as
// float64 functions tell), unless it is to be moved.
func approximate(op string, mods []string, t ptx.Type, p *perturbation) any {
	f := formatOf(t)
	ftz := mod(mods, "ftz")
	in, out := f.value, finish(f, mods, nearest)
	if ftz && t == ptx.F32 {
		in = func(b uint64) float64 { return f.value(flush32(b)) }
	}
	if op == "div" {
		return func(a, b uint64) uint64 {
			x, y := in(a), in(b)
			if p != nil && mod(mods, "approx") && math.Abs(y) > 0x1p126 && !math.IsInf(y, 0) && x == x {
				return out(0 * x / y) // PTX: 0, for infinities NaN
			}
			return out(p.move(narrowDiv(x, y), y, a<<32|b&math.MaxUint32))
		}
	}
	if t == ptx.F64 {
		return approximate64(op, ftz, p)
	}
	g := map[string]func(float64) float64{
		"rcp":   func(v float64) float64 { return narrowDiv(1, v) },
		"sqrt":  narrowSqrt,
		"rsqrt": func(v float64) float64 { return 1 / math.Sqrt(v) },
		"sin":   math.Sin,
		"cos":   math.Cos,
		"lg2":   math.Log2,
		"ex2":   math.Exp2,
		"tanh":  math.Tanh,
	}[op]
	if g == nil {
		return nil
	}
	one := func(a uint64) uint64 {
		v := in(a)
		if op == "rsqrt" && v == 0 {
			return out(math.Copysign(math.Inf(1), v))
		}
		return out(p.move(g(v), v, a))
	}
	if t == ptx.F16x2 || t == ptx.BF16x2 {
		return halves1(one)
	}
	return one
}

// approximate64 is rsqrt.approx.f64 and, with .ftz, what looks at the operand's
// upper 32 bits alone and gives the result's: subnormals count as zero.
func approximate64(op string, ftz bool, p *perturbation) any {
	flush := func(b uint64) uint64 {
		if b&(0x7ff<<52) == 0 {
			return b & (1 << 63)
		}
		return b &^ math.MaxUint32
	}
	return func(a uint64) uint64 {
		if ftz {
			a = flush(a)
		}
		v := math.Float64frombits(a)
		switch {
		case op == "rcp":
			v = 1 / v
		case v == 0:
			v = math.Copysign(math.Inf(1), v)
		default:
			v = 1 / math.Sqrt(v)
		}
		switch {
		case v != v && ftz:
			return 0x7fffffff00000000
		case ftz:
			return p.moveUpper(flush(math.Float64bits(v)), a, a)
		}
		return math.Float64bits(p.move64(v, a))
	}
}

// compare is the comparison of setp and set.
func compare(cmp string, t ptx.Type, ftz bool) func(a, b uint64) bool {
	if t == ptx.F32 || t == ptx.F64 || t == ptx.F16 || t == ptx.BF16 || t == ptx.F16x2 || t == ptx.BF16x2 {
		f := formatOf(t)
		return func(a, b uint64) bool {
			if f != nil && f.bits == 16 {
				a, b = a&0xffff, b&0xffff
			}
			if ftz && flushes(t) {
				a, b = f.flush(a), f.flush(b)
			}
			return compareFloat(cmp, f.value(a), f.value(b))
		}
	}
	return func(a, b uint64) bool {
		a, b = extend(t, a), extend(t, b)
		switch cmp {
		case "eq":
			return a == b
		case "ne":
			return a != b
		case "lt", "lo":
			return less(t, a, b)
		case "le", "ls":
			return !less(t, b, a)
		case "gt", "hi":
			return less(t, b, a)
		}
		return !less(t, a, b)
	}
}

func compareFloat(cmp string, a, b float64) bool {
	nan := a != a || b != b
	switch cmp {
	case "eq":
		return a == b
	case "ne":
		return !nan && a != b
	case "lt":
		return a < b
	case "le":
		return a <= b
	case "gt":
		return a > b
	case "ge":
		return a >= b
	case "equ":
		return nan || a == b
	case "neu":
		return a != b
	case "ltu":
		return nan || a < b
	case "leu":
		return nan || a <= b
	case "gtu":
		return nan || a > b
	case "geu":
		return nan || a >= b
	case "num":
		return !nan
	}
	return nan
}

// classify is testp.
func classify(kind string, t ptx.Type) func(a uint64) bool {
	f := formatOf(t)
	return func(a uint64) bool {
		v := f.value(a)
		normal := math.Abs(v) >= 0x1p-1022
		if f != nil {
			normal = math.Abs(v) >= 0x1p-126
		}
		normal = normal || v == 0 // zeros count as normal numbers
		finite := !special(v)
		switch kind {
		case "finite":
			return finite
		case "infinite":
			return math.IsInf(v, 0)
		case "number":
			return v == v
		case "notanumber":
			return v != v
		case "normal":
			return finite && normal
		}
		return finite && !normal
	}
}
