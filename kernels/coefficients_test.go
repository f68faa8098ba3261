package kernels

import (
	"fmt"
	"math"
	"math/big"
	"os"
	"testing"
)

// interpolate returns the coefficients, lowest first, of the polynomial of the
// given degree that agrees with f at the Chebyshev points of [low, high]: within
// a small factor of the best one.
func interpolate(f func(*big.Float) *big.Float, low, high *big.Float, degree int) []*big.Float {
	n := degree + 1
	mid, half := bscale(badd(low, high), -1), bscale(bsub(high, low), -1)
	xs, d := make([]*big.Float, n), make([]*big.Float, n)
	for i := range xs {
		angle := bquo(bmul(bpi, bf(float64(2*i+1))), bf(float64(2*n)))
		_, c := bsincos(angle)
		xs[i] = badd(mid, bmul(half, c))
		d[i] = f(xs[i])
	}
	for j := 1; j < n; j++ { // divided differences
		for i := n - 1; i >= j; i-- {
			d[i] = bquo(bsub(d[i], d[i-1]), bsub(xs[i], xs[i-j]))
		}
	}
	c := []*big.Float{d[n-1]}
	for i := n - 2; i >= 0; i-- { // c·(x − xs[i]) + d[i]
		next := make([]*big.Float, len(c)+1)
		next[0] = bsub(d[i], bmul(c[0], xs[i]))
		for k := 1; k < len(next); k++ {
			next[k] = c[k-1]
			if k < len(c) {
				next[k] = bsub(next[k], bmul(c[k], xs[i]))
			}
		}
		c = next
	}
	return c
}

// fits lists the functions that functions*.go approximates, and where.
var fits = []struct {
	name      string
	low, high float64
	f         func(z *big.Float) *big.Float
	have      func(c *coefficients) []float64
	degree    [2]int // float32, float64
}{
	{"exp", -0.3467, 0.3467, func(r *big.Float) *big.Float { // (eʳ − 1 − r)/r²
		return series(r, func(i float64) (num, den float64) { return 1, i + 2 }, bf(0.5))
	}, func(c *coefficients) []float64 { return c.exp }, [2]int{4, 10}},
	{"atanh", 0, 0.02945, func(z *big.Float) *big.Float { // 2(atanh(s)/s − 1)/s², z = s²
		sum, power := bnew(), bf(2)
		for i := 3.0; ; i += 2 {
			term := bquo(power, bf(i))
			sum = badd(sum, term)
			if negligible(term, sum) {
				return sum
			}
			power = bmul(power, z)
		}
	}, func(c *coefficients) []float64 { return c.atanh }, [2]int{3, 7}},
	{"tanh", 0, 0.3026, func(z *big.Float) *big.Float { // (tanh(x)/x − 1)/x², z = x²
		// sinh and cosh as series in z.
		sinh := series(z, func(i float64) (num, den float64) { return 1, (2*i + 2) * (2*i + 3) }, bf(1))
		cosh := series(z, func(i float64) (num, den float64) { return 1, (2*i + 1) * (2*i + 2) }, bf(1))
		// (sinh/cosh − 1)/z = (sinh − cosh)/(z·cosh), and sinh − cosh begins with z.
		return bquo(bsub(sinh, cosh), bmul(z, cosh))
	}, func(c *coefficients) []float64 { return c.tanh }, [2]int{5, 11}},
	{"exp2", -0.5, 0.5, func(x *big.Float) *big.Float { // (2ˣ − 1)/x: ln2·(1 + r/2 + …), r = x·ln2
		r := bmul(x, bln2)
		return bmul(bln2, series(r, func(i float64) (num, den float64) { return 1, i + 2 }, bf(1)))
	}, func(c *coefficients) []float64 { return c.exp2 }, [2]int{5, -1}},
	{"inverse", -0.293, 0.4143, func(s *big.Float) *big.Float { return bquo(bf(1), badd(bf(2), s)) },
		func(c *coefficients) []float64 { return c.inverse }, [2]int{6, -1}},
	{"log", -0.293, 0.4143, func(s *big.Float) *big.Float { return bquo(blog(badd(bf(1), s)), s) },
		func(c *coefficients) []float64 { return c.log }, [2]int{8, -1}},
	{"sinTurn", 0, 0.25, func(z *big.Float) *big.Float {
		x := bnew().Sqrt(z)
		sin, _ := bsincos(bscale(bmul(bpi, x), -1))
		return bquo(sin, x)
	}, func(c *coefficients) []float64 { return c.sinTurn }, [2]int{3, -1}},
	{"cosTurn", 0, 0.25, func(z *big.Float) *big.Float {
		_, cos := bsincos(bscale(bmul(bpi, bnew().Sqrt(z)), -1))
		return cos
	}, func(c *coefficients) []float64 { return c.cosTurn }, [2]int{3, -1}},
	{"sin", 0, 0.6169, func(z *big.Float) *big.Float { // (sin(x)/x − 1)/x²
		return series(z, func(i float64) (num, den float64) { return -1, (2*i + 4) * (2*i + 5) }, bquo(bf(-1), bf(6)))
	}, func(c *coefficients) []float64 { return c.sin }, [2]int{3, 6}},
	{"cos", 0, 0.6169, func(z *big.Float) *big.Float { // (cos(x) − 1 + x²/2)/x⁴
		return series(z, func(i float64) (num, den float64) { return -1, (2*i + 5) * (2*i + 6) }, bquo(bf(1), bf(24)))
	}, func(c *coefficients) []float64 { return c.cos }, [2]int{3, 6}},
}

// series sums terms, each the one before times x·num/den.
func series(x *big.Float, ratio func(i float64) (num, den float64), first *big.Float) *big.Float {
	sum, term := bnew().Set(first), bnew().Set(first)
	for i := 0.0; ; i++ {
		num, den := ratio(i)
		if first.Cmp(bf(0.5)) == 0 { // 1/2, then 1/3!, 1/4!, …
			den = i + 3
		}
		term = bquo(bmul(bmul(term, x), bf(num)), bf(den))
		sum = badd(sum, term)
		if negligible(term, sum) {
			return sum
		}
	}
}

// TestCoefficients derives the polynomials anew and compares. With
// GPUARRAY_PRINT_COEFFICIENTS=1 it prints them as Go.
func TestCoefficients(t *testing.T) {
	for _, fit := range fits {
		for i, typ := range []Type{Float32, Float64} {
			if fit.degree[i] < 0 { // not used
				continue
			}
			want := make([]float64, 0, 16)
			for _, c := range interpolate(fit.f, bf(fit.low), bf(fit.high), fit.degree[i]) {
				v, _ := c.Float64()
				if typ == Float32 {
					s, _ := c.Float32()
					v = float64(s)
				}
				want = append(want, v)
			}
			if os.Getenv("GPUARRAY_PRINT_COEFFICIENTS") != "" {
				fmt.Printf("%s %v:", fit.name, typ)
				for _, v := range want {
					fmt.Printf(" %v,", v)
				}
				fmt.Println()
				continue
			}
			have := fit.have(coefficientsOf(typ))
			if len(have) != len(want) {
				t.Fatalf("%s %v: %d coefficients, want %d", fit.name, typ, len(have), len(want))
			}
			for k := range want {
				if math.Abs(have[k]-want[k]) > 1e-12*math.Abs(want[k]) {
					t.Errorf("%s %v: coefficient %d is %v, want %v", fit.name, typ, k, have[k], want[k])
				}
			}
		}
	}
}
