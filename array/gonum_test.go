package array

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	gonumfloats "gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat"
)

// This file holds reductions, products and softmax against gonum where their
// kernels change: at sizes around those of warps, blocks, tiles and chunks, for long
// and for wide shapes, in every floating-point type, and with special values in any
// place. reduce_test.go and matmul_test.go have small arrays of random shapes.

// float is a floating-point type for these tests: conversions and precision.
type float[T Element] struct {
	name string
	of   func(float64) T
	to   func(T) float64
	eps  float64 // half the distance of 1 and the next number
	tiny float64 // half the distance of 0 and the next number
	acc  float64 // eps of the type that sums are accumulated in
}

var (
	asFloat64  = float[float64]{"float64", func(x float64) float64 { return x }, func(x float64) float64 { return x }, 0x1p-53, 0, 0x1p-53}
	asFloat32  = float[float32]{"float32", func(x float64) float32 { return float32(x) }, func(x float32) float64 { return float64(x) }, 0x1p-24, 0x1p-150, 0x1p-24}
	asFloat16  = float[Float16]{"Float16", func(x float64) Float16 { return F16(float32(x)) }, func(x Float16) float64 { return float64(x.Float32()) }, 0x1p-11, 0x1p-25, 0x1p-24}
	asBFloat16 = float[BFloat16]{"BFloat16", func(x float64) BFloat16 { return BF16(float32(x)) }, func(x BFloat16) float64 { return float64(x.Float32()) }, 0x1p-8, 0x1p-134, 0x1p-24}
)

// draw makes n elements from f, and the float64s that they are.
func (f float[T]) draw(n int, from func() float64) (data []T, exact []float64) {
	data, exact = make([]T, n), make([]float64, n)
	for i := range data {
		data[i] = f.of(from())
		exact[i] = f.to(data[i])
	}
	return data, exact
}

// near says whether got is want but for rounding: once in the type, and by bound in
// the accumulator.
func (f float[T]) near(got T, want, bound float64) bool {
	return math.Abs(f.to(got)-want) <= 1.01*max(f.eps*math.Abs(want), f.tiny)+bound
}

func TestReductionSizes(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, for long")
	}
	t.Run("float64", func(t *testing.T) { reductionSizes(t, asFloat64) })
	t.Run("float32", func(t *testing.T) { reductionSizes(t, asFloat32) })
	t.Run("Float16", func(t *testing.T) { reductionSizes(t, asFloat16) })
	t.Run("BFloat16", func(t *testing.T) { reductionSizes(t, asBFloat16) })
}

// treeBound is the error of a sum of n numbers by a tree whose leaves are sums of
// 16, in units of eps · Σ|x|.
func treeBound(n int) float64 { return 18 + math.Log2(float64(n)) }

func reductionSizes[T Element](t *testing.T, f float[T]) {
	rng := seeded(t)
	for _, shape := range [][]int{
		{1}, {31}, {32}, {33}, {255}, {1025}, {4097}, {32767}, {32768}, {32769}, {70001},
		{1, 5000}, {5000, 1}, {3, 3000}, {3000, 3}, {129, 65}, {33, 257}, {64, 128}, {2, 20000}, {20000, 2},
		{5, 300, 7}, {40, 3, 50}, {2, 2, 3, 2, 300}, {300, 2, 3, 2, 2},
	} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data, exact := f.draw(n, rng.NormFloat64)
		a := FromSlice(dev, data, shape...)
		g := sample[float64]{grid: grid{shape: shape, at: nil}, data: exact}
		for axis := range shape {
			axes := []int{axis}
			if len(shape) > 3 { // and several at once
				axes = []int{axis, (axis + 2) % len(shape)}
			}
			_, lists := groups(&g, axes)
			checkReductions(t, f, fmt.Sprintf("%v over %v", shape, axes), a, axes, lists)
		}
		if len(shape) > 1 {
			checkReductions(t, f, fmt.Sprintf("%v over all", shape), a, nil, [][]float64{exact})
		}
		a.Free()
	}
}

func checkReductions[T Element](t *testing.T, f float[T], what string, a *Array[T], axes []int, lists [][]float64) {
	t.Helper()
	sum, mean := values(t, a.Sum(axes...)), values(t, a.Mean(axes...))
	most, least := values(t, a.Max(axes...)), values(t, a.Min(axes...))
	spread := values(t, a.Var(axes...))
	for i, x := range lists {
		n := float64(len(x))
		size := f.acc * gonumfloats.Norm(x, 1) * treeBound(len(x))
		if want := gonumfloats.SumCompensated(x); !f.near(sum[i], want, size) {
			t.Fatalf("Sum of %s: %v, want %v", what, sum[i], want)
		}
		if want := gonumfloats.SumCompensated(x) / n; !f.near(mean[i], want, size/n+f.acc*math.Abs(want)) {
			t.Fatalf("Mean of %s: %v, want %v", what, mean[i], want)
		}
		if f.to(most[i]) != gonumfloats.Max(x) || f.to(least[i]) != gonumfloats.Min(x) {
			t.Fatalf("Max and Min of %s: %v and %v, want %v and %v", what, most[i], least[i], gonumfloats.Max(x), gonumfloats.Min(x))
		}
		if want := exactVariance(x); !f.near(spread[i], want, f.acc*(want+1e-2)*(treeBound(len(x))+8)) {
			t.Fatalf("Var of %s: %v, want %v", what, spread[i], want)
		}
	}
	if len(axes) < 2 {
		first, last := values(t, a.ArgMax(axes...)), values(t, a.ArgMin(axes...))
		for i, x := range lists {
			if int(first[i]) != gonumfloats.MaxIdx(x) || int(last[i]) != gonumfloats.MinIdx(x) {
				t.Fatalf("ArgMax and ArgMin of %s: %v and %v, want %v and %v", what, first[i], last[i], gonumfloats.MaxIdx(x), gonumfloats.MinIdx(x))
			}
		}
	}
}

// exactVariance is gonum's stat.PopVariance with compensated sums.
func exactVariance(x []float64) float64 {
	n := float64(len(x))
	mean := gonumfloats.SumCompensated(x) / n
	squares := make([]float64, len(x))
	for i, v := range x {
		squares[i] = (v - mean) * (v - mean)
	}
	return gonumfloats.SumCompensated(squares) / n
}

// The mean of numbers far from 0 must not spoil their variance.
func TestVarianceFarFromZero(t *testing.T) {
	rng := seeded(t)
	for _, offset := range []float64{1e3, -1e4, 1e5} {
		data, exact := asFloat32.draw(10007, func() float64 { return offset + 10*rng.NormFloat64() })
		a := FromSlice(dev, data)
		want := stat.PopVariance(exact, nil)
		if got := values(t, a.Var())[0]; math.Abs(float64(got)-want) > 1e-4*want {
			t.Errorf("Var of numbers near %v: %v, want %v", offset, got, want)
		}
		if got := values(t, a.Std())[0]; math.Abs(float64(got)-math.Sqrt(want)) > 1e-4*math.Sqrt(want) {
			t.Errorf("Std of numbers near %v: %v, want %v", offset, got, math.Sqrt(want))
		}
	}
}

// Special values in any place, among many and among few.
func TestReductionsOfSpecialValuesAnywhere(t *testing.T) {
	rng := seeded(t)
	special := []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), 5e-324, -math.MaxFloat64 / 8} // four of which do not overflow in any order
	for range 60 {
		x := make([]float64, 1+rng.IntN(3000))
		for i := range x {
			x[i] = -1
		}
		for range 1 + rng.IntN(4) {
			x[rng.IntN(len(x))] = special[rng.IntN(len(special))]
		}
		a := FromSlice(dev, x)
		if rng.IntN(2) == 0 { // the same along the rows of a column-major matrix
			a = a.ExpandDims(0).BroadcastTo(3, len(x)).Transpose().Clone().Transpose().Slice(I(1))
		}
		most, at := largest(x, 1)
		least, atLeast := largest(x, -1)
		sum := 0.0
		for _, v := range x {
			sum += v
		}
		for _, c := range []struct {
			name      string
			got, want float64
		}{
			{"Max", values(t, a.Max())[0], most},
			{"Min", values(t, a.Min())[0], -least},
			{"ArgMax", float64(values(t, a.ArgMax())[0]), float64(at)},
			{"ArgMin", float64(values(t, a.ArgMin())[0]), float64(atLeast)},
		} {
			if math.Float64bits(c.got) != math.Float64bits(c.want) && !(c.got != c.got && c.want != c.want) {
				t.Errorf("%s of %d numbers is %v, want %v", c.name, len(x), c.got, c.want)
			}
		}
		if got := values(t, a.Sum())[0]; (got != got) != (sum != sum) || math.IsInf(sum, 0) && got != sum {
			t.Errorf("Sum of %d numbers is %v, want %v", len(x), got, sum)
		}
	}
}

// largest returns the largest of sign·x by the package's rules, NaN and 0 > −0
// first, and where it is; ArgMax takes equal zeros as equal.
func largest(x []float64, sign float64) (most float64, at int) {
	for i, v := range x {
		v *= sign
		if v != v {
			return v, i
		}
		if i == 0 || v > most {
			most, at = v, i
		} else if v == most && math.Signbit(most) && !math.Signbit(v) {
			most = v
		}
	}
	return most, at
}

func TestProductSizes(t *testing.T) {
	t.Run("float64", func(t *testing.T) { productSizes(t, asFloat64) })
	t.Run("float32", func(t *testing.T) { productSizes(t, asFloat32) })
	t.Run("Float16", func(t *testing.T) { productSizes(t, asFloat16) })
	t.Run("BFloat16", func(t *testing.T) { productSizes(t, asBFloat16) })
}

func productSizes[T Element](t *testing.T, f float[T]) {
	rng := seeded(t)
	for _, s := range [][4]int{ // batch, rows, inner, columns
		{1, 1, 1, 1}, {1, 1, 300, 1}, {1, 7, 1, 9}, {1, 64, 64, 64}, {1, 65, 63, 129}, {1, 127, 33, 65},
		{1, 1, 200, 130}, {1, 130, 200, 1}, {1, 33, 1000, 5}, {1, 200, 8, 200}, {3, 17, 40, 33}, {5, 64, 16, 1}, {40, 4, 4, 4},
	} {
		a, x := operand(t, rng, f, s[0], s[1], s[2])
		b, y := operand(t, rng, f, s[0], s[2], s[3])
		got := values(t, a.MatMul(b))
		for k := range s[0] {
			var want, size mat.Dense
			want.Mul(x[k], y[k])
			size.Mul(magnitudes(x[k]), magnitudes(y[k]))
			for i := range s[1] {
				for j := range s[3] {
					v := got[(k*s[1]+i)*s[3]+j]
					if !f.near(v, want.At(i, j), f.acc*float64(s[2])*size.At(i, j)) {
						t.Fatalf("%v: element (%d, %d, %d) is %v, want %v", s, k, i, j, v, want.At(i, j))
					}
				}
			}
		}
	}
}

// operand makes a batch of matrices, in one of the ways in which it can lie in
// memory, and what each of them is.
func operand[T Element](t *testing.T, rng *rand.Rand, f float[T], batch, rows, columns int) (a *Array[T], exact []*mat.Dense) {
	t.Helper()
	make := func(shape ...int) *Array[T] {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data, _ := f.draw(n, rng.NormFloat64)
		return FromSlice(dev, data, shape...)
	}
	switch rng.IntN(5) {
	case 0:
		a = make(batch, rows, columns)
	case 1: // transposed
		a = make(batch, columns, rows).PermuteDims(0, 2, 1)
	case 2: // a part of larger ones
		a = make(batch, rows+2, columns+3).Slice(All, R(1, rows+1), R(2, columns+2))
	case 3: // every second element, backwards
		a = make(batch, 2*rows, 2*columns).Slice(All, R(0, End, 2), R(End, End, -2))
	case 4: // one for all batches
		a = make(1, rows, columns).BroadcastTo(batch, rows, columns)
	}
	host := values(t, a)
	for k := range batch {
		m := mat.NewDense(rows, columns, nil)
		m.Apply(func(i, j int, _ float64) float64 { return f.to(host[(k*rows+i)*columns+j]) }, m)
		exact = append(exact, m)
	}
	return a, exact
}

func magnitudes(m *mat.Dense) *mat.Dense {
	var r mat.Dense
	r.Apply(func(_, _ int, v float64) float64 { return math.Abs(v) }, m)
	return &r
}

// Products of numbers that are not finite.
func TestProductsOfSpecialValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	x := mat.NewDense(3, 3, []float64{nan, 1, 2, inf, 1, 1, 0, 0, -inf})
	y := mat.NewDense(3, 2, []float64{1, 0, 1, 1, 2, 0})
	var want mat.Dense
	want.Mul(x, y)
	a, b := FromSlice(dev, x.RawMatrix().Data, 3, 3), FromSlice(dev, y.RawMatrix().Data, 3, 2)
	for i, got := range values(t, a.MatMul(b)) {
		if w := want.RawMatrix().Data[i]; got != w && !(got != got && w != w) {
			t.Errorf("element %d is %v, want %v", i, got, w)
		}
	}
}

func TestSoftmaxSizes(t *testing.T) {
	t.Run("float64", func(t *testing.T) { softmaxSizes(t, asFloat64) })
	t.Run("float32", func(t *testing.T) { softmaxSizes(t, asFloat32) })
	t.Run("BFloat16", func(t *testing.T) { softmaxSizes(t, asBFloat16) })
}

func softmaxSizes[T Element](t *testing.T, f float[T]) {
	rng := seeded(t)
	for _, shape := range [][]int{{1}, {1000}, {40000}, {17, 1000}, {1000, 17}, {2, 5000}, {3, 5, 40}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data, exact := f.draw(n, func() float64 { return 8 * rng.NormFloat64() })
		a := FromSlice(dev, data, shape...)
		for axis := range shape {
			_, in := groups(&sample[float64]{grid: grid{shape: shape}, data: exact}, []int{axis})
			_, out := groups(&sample[T]{grid: grid{shape: shape}, data: values(t, a.Softmax(axis))}, []int{axis})
			for i, x := range in {
				e, most := make([]float64, len(x)), gonumfloats.Max(x)
				for j := range x {
					e[j] = math.Exp(x[j] - most)
				}
				total := gonumfloats.SumCompensated(e)
				for j := range x {
					if want := e[j] / total; !f.near(out[i][j], want, f.acc*want*(treeBound(len(x))+80)) {
						t.Fatalf("softmax of %v along %d: %v, want %v", shape, axis, out[i][j], want)
					}
				}
			}
		}
	}
}

func TestDotSizes(t *testing.T) {
	rng := seeded(t)
	for _, n := range []int{1, 2, 31, 1024, 1025, 33000} {
		data, x := asFloat32.draw(2*n, rng.NormFloat64)
		a := FromSlice(dev, data, n, 2)
		even, odd := a.Slice(All, I(0)), a.Slice(All, I(1))
		products := make([]float64, n)
		for i := range products {
			products[i] = x[2*i] * x[2*i+1]
		}
		want := gonumfloats.SumCompensated(products)
		if got := values(t, even.Dot(odd))[0]; math.Abs(float64(got)-want) > 0x1p-24*gonumfloats.Norm(products, 1)*(treeBound(n)+1) {
			t.Errorf("Dot of %d: %v, want %v", n, got, want)
		}
	}
}

// Integers and bool: exact, wrapping, along any axis.
func TestIntegerReductionSizes(t *testing.T) {
	rng := seeded(t)
	for _, shape := range [][]int{{70001}, {3, 3000}, {3000, 3}, {33, 257}, {5, 300, 7}} {
		n := 1
		for _, d := range shape {
			n *= d
		}
		data := make([]int64, n)
		small, flags := make([]uint8, n), make([]bool, n)
		for i := range data {
			data[i], small[i], flags[i] = int64(rng.Uint64()), uint8(rng.Uint32()), rng.IntN(n) > 0
		}
		a, b, c := FromSlice(dev, data, shape...), FromSlice(dev, small, shape...), FromSlice(dev, flags, shape...)
		for axis := range shape {
			g := grid{shape: shape}
			_, lists := groups(&sample[int64]{grid: g, data: data}, []int{axis})
			_, bytes := groups(&sample[uint8]{grid: g, data: small}, []int{axis})
			_, bools := groups(&sample[bool]{grid: g, data: flags}, []int{axis})
			sum, product, most, at := values(t, a.Sum(axis)), values(t, a.Prod(axis)), values(t, a.Max(axis)), values(t, a.ArgMin(axis))
			total, least, every, count := values(t, SumAs[uint32](b, axis)), values(t, b.Min(axis)), values(t, c.All(axis)), values(t, SumAs[int64](c, axis))
			for i, x := range lists {
				s, p := int64(0), int64(1)
				for _, v := range x {
					s, p = s+v, p*v
				}
				bs, set := uint32(0), int64(0)
				for j, v := range bytes[i] {
					bs += uint32(v)
					if bools[i][j] {
						set++
					}
				}
				want := []any{s, p, slices.Max(x), int64(slices.Index(x, slices.Min(x))), bs, slices.Min(bytes[i]), set == int64(len(x)), set}
				got := []any{sum[i], product[i], most[i], at[i], total[i], least[i], every[i], count[i]}
				if !slices.Equal(got, want) {
					t.Fatalf("%v over %d: sum, product, max, argmin; sum, min of uint8; all, count of bool:\n got %v\nwant %v", shape, axis, got, want)
				}
			}
		}
	}
}

// Norms are gonum's, of whole arrays, rows and columns.
func TestNorm(t *testing.T) {
	rng := seeded(t)
	const rows, columns = 70, 90
	x := make([]float64, rows*columns)
	for i := range x {
		x[i] = 100 * rng.NormFloat64()
	}
	m := mat.NewDense(rows, columns, x)
	a := FromSlice(dev, x, rows, columns)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-14*want {
			t.Errorf("the norm of %s is %v, want %v", what, got, want)
		}
	}
	near("all", values(t, a.Norm())[0], gonumfloats.Norm(x, 2))
	for i, got := range values(t, a.Norm(-1)) {
		near("a row", got, gonumfloats.Norm(m.RawRowView(i), 2))
	}
	for j, got := range values(t, a.Norm(0)) {
		near("a column", got, mat.Norm(m.ColView(j), 2))
	}
}
