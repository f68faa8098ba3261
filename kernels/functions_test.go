package kernels

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// bigFunctions are the functions of the table in math/big, for arguments and
// results that are ordinary numbers.
var bigFunctions = map[Op]func(x float64) *big.Float{
	OpRsqrt: func(x float64) *big.Float { return bquo(bf(1), bnew().Sqrt(bf(x))) },
	OpExp:   func(x float64) *big.Float { return bexp(bf(x)) },
	OpExp2:  func(x float64) *big.Float { return bexp(bmul(bf(x), bln2)) },
	OpExpm1: func(x float64) *big.Float {
		if math.Abs(x) < 0x1p-60 { // x + x²/2 + x³/6
			h := bscale(bmul(bf(x), bf(x)), -1)
			return badd(bf(x), badd(h, bquo(bmul(h, bf(x)), bf(3))))
		}
		return bsub(bexp(bf(x)), bf(1))
	},
	OpLog:   func(x float64) *big.Float { return blog(bf(x)) },
	OpLog2:  func(x float64) *big.Float { return bquo(blog(bf(x)), bln2) },
	OpLog10: func(x float64) *big.Float { return bquo(blog(bf(x)), blog(bf(10))) },
	OpLog1p: func(x float64) *big.Float {
		if math.Abs(x) < 0x1p-60 { // x − x²/2 + x³/3
			h := bscale(bmul(bf(x), bf(x)), -1)
			return bsub(bf(x), bsub(h, bquo(bmul(bscale(h, 1), bf(x)), bf(3))))
		}
		return blog(badd(bf(1), bf(x)))
	},
	OpTanh: func(x float64) *big.Float {
		if math.Abs(x) < 0x1p-60 { // x − x³/3
			return bsub(bf(x), bquo(bmul(bmul(bf(x), bf(x)), bf(x)), bf(3)))
		}
		e := bexp(bf(2 * math.Copysign(min(math.Abs(x), 200), x)))
		return bquo(bsub(e, bf(1)), badd(e, bf(1)))
	},
	OpSigmoid: func(x float64) *big.Float { return bquo(bf(1), badd(bf(1), bexp(bf(-x)))) },
	OpSin: func(x float64) *big.Float {
		q, r := bquadrant(x)
		return bturn(r, q)
	},
	OpCos: func(x float64) *big.Float {
		q, r := bquadrant(x)
		return bturn(r, q+1)
	},
}

// bquadrant returns q modulo 4 and r with x = q·π/2 + r, |r| ≤ π/4.
func bquadrant(x float64) (q int64, r *big.Float) {
	const prec = 1500 // for the largest float64
	wide := func() *big.Float { return new(big.Float).SetPrec(prec) }
	exact := wide().SetFloat64(x)
	turns, _ := wide().Add(wide().Quo(exact, wideHalfPi), wide().SetFloat64(math.Copysign(0.5, x))).Int(nil)
	r = wide().Sub(exact, wide().Mul(wide().SetInt(turns), wideHalfPi))
	return new(big.Int).And(turns, big.NewInt(3)).Int64(), r.SetPrec(bigPrec)
}

// wideHalfPi is π/2 to 1500 bits, by the Gauss–Legendre iteration.
var wideHalfPi = func() *big.Float {
	num := func(x float64) *big.Float { return new(big.Float).SetPrec(1600).SetFloat64(x) }
	op := func(f func(z, x, y *big.Float) *big.Float, x, y *big.Float) *big.Float { return f(num(0), x, y) }
	a, b, t, p := num(1), num(0).Sqrt(num(0.5)), num(0.25), num(1)
	for range 11 {
		mean := op((*big.Float).Quo, op((*big.Float).Add, a, b), num(2))
		b = num(0).Sqrt(op((*big.Float).Mul, a, b))
		d := op((*big.Float).Sub, a, mean)
		t = op((*big.Float).Sub, t, op((*big.Float).Mul, p, op((*big.Float).Mul, d, d)))
		p, a = op((*big.Float).Mul, p, num(2)), mean
	}
	sum := op((*big.Float).Add, a, b)
	return op((*big.Float).Quo, op((*big.Float).Mul, sum, sum), op((*big.Float).Mul, t, num(8)))
}()

// bturn returns sin(r + q·π/2).
func bturn(r *big.Float, q int64) *big.Float {
	s, c := bsincos(r)
	v := s
	if q&1 != 0 {
		v = c
	}
	if q&2 != 0 {
		v = bnew().Neg(v)
	}
	return v
}

// ordinary says whether x is a number other than 0 where a function has the
// finite value y, roughly.
func ordinary(x, y float64) bool {
	return x != 0 && !math.IsInf(x, 0) && !math.IsNaN(y) && !math.IsInf(y, -1) && (!math.IsInf(y, 1) || x < 712)
}

func ordinaryPower(x, y float64) bool {
	p, l := math.Pow(x, y), math.Log(math.Abs(x))*y
	return x != 0 && y != 0 && !math.IsInf(x, 0) && !math.IsInf(y, 0) && !math.IsNaN(p) && math.Abs(l) <= 800
}

func bigPower(x, y float64) *big.Float {
	r := bexp(bmul(blog(bf(math.Abs(x))), bf(y)))
	if math.Pow(x, y) < 0 || x < 0 && math.Mod(y, 2) != 0 {
		r.Neg(r)
	}
	return r
}

// ulps returns the error of got in units of the last place of want. An overflow
// counts as the power of two that the largest number would round to.
func ulps(t Type, got float64, want *big.Float) float64 {
	precision, lowest, highest := 24, -149, 128
	if t == Float64 {
		precision, lowest, highest = 53, -1074, 1024
	}
	unit := min(max(want.MantExp(nil)-precision, lowest), highest-precision)
	g := bnew()
	if math.IsInf(got, 0) {
		g.SetMantExp(bf(math.Copysign(1, got)), highest)
	} else if math.IsNaN(got) {
		return math.Inf(1)
	} else {
		g.SetFloat64(got)
	}
	if want.MantExp(nil) > highest { // overflow, exactly
		want = bscale(bf(float64(want.Sign())), highest)
	}
	e, _ := bscale(bsub(g, want), -unit).Float64()
	return math.Abs(e)
}

// functionErrors bounds the errors, in units of the last place, of every
// function that is not rounded correctly: for float32 and float64.
var functionErrors = map[Op][2]float64{
	OpRsqrt:   {1.5, 1.5},
	OpExp:     {1.1, 1.1},
	OpExp2:    {1.0, 1.0},
	OpExpm1:   {1.35, 1.2},
	OpLog:     {0.85, 0.9},
	OpLog2:    {0.51, 0.51},
	OpLog10:   {0.51, 0.51},
	OpLog1p:   {1.45, 1.4},
	OpTanh:    {1.6, 1.6},
	OpSigmoid: {0.9, 0.9},
	OpSin:     {1.1, 1.1},
	OpCos:     {1.1, 1.1},
	OpPow:     {1.1, 1.3},
}

// TestFunctionErrors measures errors over all exponents, where the functions
// are interesting, and where they are hard.
func TestFunctionErrors(t *testing.T) {
	r := newRand(t)
	for i, typ := range []Type{Float32, Float64} {
		n := []int{2000, 1000}[i]
		if testing.Short() {
			n /= 5
		}
		for op, bounds := range functionErrors {
			t.Run(op.String()+"/"+typ.String(), func(t *testing.T) {
				xs := functionArguments(r, typ, op, n)
				e := singleOp(op, typ, false)
				data := [][]uint64{elements(typ, xs)}
				var ys []float64
				if op == OpPow {
					ys = powers(r, xs)
					data = append(data, elements(typ, ys))
				}
				got := evaluateOnDevice(t, e, data)
				worst, where := 0.0, 0
				for k := range xs {
					x := floatOf(typ, data[0][k])
					var want *big.Float
					switch {
					case op == OpPow:
						if y := floatOf(typ, data[1][k]); ordinaryPower(x, y) {
							want = bigPower(x, y)
						}
					case ordinary(x, functionReferences[op](x)):
						want = bigFunctions[op](x)
					}
					if want == nil || want.Sign() == 0 {
						continue
					}
					if u := ulps(typ, floatOf(typ, got[k]), want); u > worst {
						worst, where = u, k
					}
				}
				t.Logf("%.3f ulp at %v", worst, show(typ, data[0][where]))
				if !(worst <= bounds[i]) {
					t.Errorf("error of %.3f ulp at %v: got %v; bound %v", worst, show(typ, data[0][where]), show(typ, got[where]), bounds[i])
				}
				if worst < 0.4 {
					t.Errorf("the largest error is %v ulp: this measures nothing", worst)
				}
			})
		}
	}
}

func elements(t Type, xs []float64) []uint64 {
	bits := make([]uint64, len(xs))
	for i, x := range xs {
		bits[i] = bitsOf(t, x)
	}
	return bits
}

// functionArguments returns numbers of all sizes, numbers around 1, numbers
// over the range where exponentials neither overflow nor vanish, and neighbours
// of multiples of π/2.
func functionArguments(r *rand.Rand, t Type, op Op, n int) []float64 {
	xs := make([]float64, 0, n+len(specials(t)))
	for _, s := range specials(t) {
		xs = append(xs, floatOf(t, s))
	}
	span := 110.0
	if t == Float64 {
		span = 750
	}
	for i := range n {
		var x float64
		switch i % 5 {
		case 0:
			x = floatOf(t, random(r, t))
		case 1:
			x = 4 * r.Float64()
		case 2:
			x = (2*r.Float64() - 1) * span
		case 3:
			x = (2*r.Float64() - 1) * math.Ldexp(1, r.IntN(12)-10)
		case 4:
			if op != OpSin && op != OpCos {
				x = math.Abs(floatOf(t, unsignedOf(t, r.Uint64())))
				break
			}
			x = math.Pi / 2 * float64(r.Uint64()>>(44+r.IntN(20)))
		}
		if math.IsNaN(x) {
			x = 1
		}
		xs = append(xs, x)
	}
	return xs
}

// powers returns exponents for which the powers of xs are of all sizes.
func powers(r *rand.Rand, xs []float64) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = (2*r.Float64() - 1) * 100 / math.Abs(math.Log(math.Abs(x)))
		if x < 0 || i%7 == 0 {
			ys[i] = float64(r.IntN(20) - 10)
		}
		if math.IsNaN(ys[i]) || math.IsInf(ys[i], 0) {
			ys[i] = 3
		}
	}
	return ys
}

// evaluateOnDevice runs an expression over contiguous operands.
func evaluateOnDevice(t *testing.T, e *Expr, data [][]uint64) []uint64 {
	t.Helper()
	l := RowMajor(len(data[0]))
	types := operandTypes(e, len(data))
	in := make([]Layout, len(data))
	buffers := [][]byte{make([]byte, len(data[0])*types[0].Size())}
	for k, d := range data {
		in[k] = l
		buffers = append(buffers, packElements(types[k+1], d))
	}
	var p Plan
	if err := Elementwise(&p, e, l, in); err != nil {
		t.Fatal(err)
	}
	newRunner(t).run(t, &p, types[0], buffers...)
	return unpackElements(types[0], buffers[0])
}
