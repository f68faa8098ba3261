package kernels

import "math/big"

// Elementary functions in math/big, to derive coefficients from and to measure
// errors against. They are plain series with argument reduction; precision is a
// fixed number of bits.

const bigPrec = 220

func bf(x float64) *big.Float { return new(big.Float).SetPrec(bigPrec).SetFloat64(x) }
func bnew() *big.Float        { return new(big.Float).SetPrec(bigPrec) }

func badd(x, y *big.Float) *big.Float { return bnew().Add(x, y) }
func bsub(x, y *big.Float) *big.Float { return bnew().Sub(x, y) }
func bmul(x, y *big.Float) *big.Float { return bnew().Mul(x, y) }
func bquo(x, y *big.Float) *big.Float { return bnew().Quo(x, y) }

// bscale returns x·2ⁿ.
func bscale(x *big.Float, n int) *big.Float { return bnew().SetMantExp(x, n) }

// negligible says whether a term adds nothing to a sum.
func negligible(term, sum *big.Float) bool {
	return term.Sign() == 0 || sum.Sign() != 0 && term.MantExp(nil) < sum.MantExp(nil)-bigPrec
}

func bexp(x *big.Float) *big.Float {
	const halvings = 24
	shift := max(0, x.MantExp(nil)) + halvings
	r := bscale(x, -shift)
	sum, term := bf(1), bf(1)
	for i := 1.0; ; i++ {
		term = bquo(bmul(term, r), bf(i))
		sum = badd(sum, term)
		if negligible(term, sum) {
			break
		}
	}
	for range shift {
		sum = bmul(sum, sum)
	}
	return sum
}

// batanh sums the series; |x| should be well below 1.
func batanh(x *big.Float) *big.Float {
	sum, power, square := bnew().Set(x), bnew().Set(x), bmul(x, x)
	for i := 3.0; ; i += 2 {
		power = bmul(power, square)
		term := bquo(power, bf(i))
		sum = badd(sum, term)
		if negligible(term, sum) {
			return sum
		}
	}
}

var bln2 = func() *big.Float { return bmul(bf(2), batanh(bquo(bf(1), bf(3)))) }()

func blog(x *big.Float) *big.Float {
	m := bnew()
	k := x.MantExp(m) // 0.5 ≤ m < 1
	if m.Cmp(bf(0.70710678)) < 0 {
		m, k = bscale(m, 1), k-1
	}
	l := bmul(bf(2), batanh(bquo(bsub(m, bf(1)), badd(m, bf(1)))))
	return badd(l, bmul(bf(float64(k)), bln2))
}

var bpi = func() *big.Float { // Machin
	atan := func(n float64) *big.Float {
		x := bquo(bf(1), bf(n))
		sum, power, square := bnew().Set(x), bnew().Set(x), bmul(x, x)
		for i := 3.0; ; i += 2 {
			power = bnew().Neg(bmul(power, square))
			term := bquo(power, bf(i))
			sum = badd(sum, term)
			if negligible(term, sum) {
				return sum
			}
		}
	}
	return bmul(bf(4), bsub(bmul(bf(4), atan(5)), atan(239)))
}()

// bsincos takes |x| of at most a few units; reduce larger ones first.
func bsincos(x *big.Float) (sin, cos *big.Float) {
	sin, cos = bnew(), bf(1)
	term := bf(1)
	for i := 1; ; i++ {
		term = bquo(bmul(term, x), bf(float64(i)))
		signed := bnew().Set(term)
		if i%4 >= 2 {
			signed.Neg(signed)
		}
		if i%2 == 1 {
			sin = badd(sin, signed)
		} else {
			cos = badd(cos, signed)
		}
		if i > 4 && negligible(term, sin) && negligible(term, cos) {
			return sin, cos
		}
	}
}
