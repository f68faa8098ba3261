package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// matmulCase is a product of batch × m×k and k×n.
type matmulCase struct {
	batch   []int
	m, k, n int
}

var matmulCases = []matmulCase{
	{nil, 1, 1, 1}, {nil, 3, 5, 7}, {nil, 16, 16, 16}, {nil, 32, 33, 34}, {nil, 64, 16, 64}, {nil, 65, 100, 31}, {nil, 1, 200, 50}, {nil, 50, 200, 1},
	{nil, 40, 0, 30}, {nil, 0, 5, 6}, {nil, 128, 64, 128}, {[]int{3}, 20, 30, 40}, {[]int{2, 3}, 17, 8, 12}, {[]int{100}, 33, 16, 20}, {[]int{0}, 3, 4, 5},
	{nil, 9, 1500, 40}, {nil, 70, 2100, 33}, {[]int{2, 3}, 10, 1030, 5}, {nil, 1, 3000, 1},
	{nil, 650, 18, 660}, {[]int{185}, 70, 9, 66}, {[]int{390}, 40, 20, 33},
}

// elements is the size of the results.
func (c matmulCase) elements() int {
	n := c.m * c.n
	for _, b := range c.batch {
		n *= b
	}
	return n
}

// Every tile takes part in the cases.
func TestMatMulTiles(t *testing.T) {
	chosen := map[tile]bool{}
	for _, c := range matmulCases {
		g := &product{m: c.m, n: c.n, k: c.k, segments: 1, batch: &nest{rank: len(c.batch)}}
		copy(g.batch.shape[:], c.batch)
		for _, g.t = range []Type{Float32, Float64} {
			chosen[g.choose()] = true
		}
	}
	for _, tile := range append(tiles4, tiles8...) {
		if !chosen[tile] {
			t.Errorf("no case uses the tile %+v", tile)
		}
	}
}

// matmulRun multiplies random matrices in random layouts. It returns them row by
// row, with the result, one triple for each place of the batch.
func matmulRun[T any](t *testing.T, r *rand.Rand, typ Type, c matmulCase, value func() T) (as, bs, got [][]T) {
	t.Helper()
	shape := func(rows, columns int) []int { return append(append([]int{}, c.batch...), rows, columns) }
	matrix := func(rows, columns int, out bool) (Layout, []T) {
		l, n := randomLayout(r, false, shape(rows, columns)...)
		if !out && len(c.batch) > 0 && r.IntN(3) == 0 {
			l.Strides[0] = 0 // broadcast
		}
		if r.IntN(2) == 0 { // the common case: contiguous, perhaps transposed
			l = RowMajor(shape(rows, columns)...)
			n = l.Len()
			if r.IntN(2) == 0 {
				k := l.Rank - 1
				l.Strides[k], l.Strides[k-1] = max(rows, 1), 1
			}
		}
		data := make([]T, n)
		for i := range data {
			data[i] = value()
		}
		return l, data
	}
	la, a := matrix(c.m, c.k, false)
	lb, b := matrix(c.k, c.n, false)
	lo, out := matrix(c.m, c.n, true)
	var p Plan
	if err := MatMul(&p, typ, lo, la, lb); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, out, a, b)
	rank := len(c.batch) + 2
	kept, order := splitAxes(rank, 3<<(rank-2))
	return gather(a, la, kept, order), gather(b, lb, kept, order), gather(out, lo, kept, order)
}

// matmulEach compares each element with the model, which gets its row and
// column.
func matmulEach[T any](t *testing.T, c matmulCase, as, bs, got [][]T, model func(row, column []T) T, same func(got, want T) bool) {
	t.Helper()
	for z := range got {
		column := make([]T, c.k)
		for j := range c.n {
			for k := range c.k {
				column[k] = bs[z][k*c.n+j]
			}
			for i := range c.m {
				want := model(as[z][i*c.k:(i+1)*c.k], column)
				if g := got[z][i*c.n+j]; !same(g, want) {
					t.Fatalf("%+v: element (%d, %d) of matrix %d is %v, want %v", c, i, j, z, g, want)
				}
			}
		}
	}
}

// chain is the order of a product: chains of fma, each over one segment, whose
// sums are reduced.
func chain[T, A any](c matmulCase, t Type, row, column []T, fma func(x, y T, sum A) A, add func(a, b A) A) A {
	g := &product{t: t, m: c.m, n: c.n, k: c.k, segments: 1, batch: &nest{rank: len(c.batch)}}
	copy(g.batch.shape[:], c.batch)
	segment := max(g.segment(), 1)
	sums := make([]A, 1)
	for k := range row {
		if k > 0 && k%segment == 0 {
			sums = append(sums, *new(A))
		}
		last := &sums[len(sums)-1]
		*last = fma(row[k], column[k], *last)
	}
	if len(sums) == 1 {
		return sums[0]
	}
	return reduceModel(sums, add)
}

// fma32 is a fused multiply-add of float32, correctly rounded: the product is
// exact in float64, and the sum is rounded to odd before it is rounded again.
func fma32(x, y, z float32) float32 {
	p, c := float64(x)*float64(y), float64(z)
	s := p + c
	if math.IsInf(s, 0) || math.IsNaN(s) {
		return float32(s)
	}
	// What the addition lost (Knuth).
	d := s - p
	lost := (p - (s - d)) + (c - d)
	if lost != 0 && math.Float64bits(s)&1 == 0 {
		if (lost > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return float32(s)
}

func TestMatMulOrder(t *testing.T) {
	r := newRand(t)
	for _, c := range matmulCases {
		if raceEnabled && c.elements() > 100_000 {
			continue
		}
		for range 1 + b2i(c.m < 100) {
			as, bs, got := matmulRun(t, r, Float32, c, func() float32 { return float32(r.NormFloat64()) })
			matmulEach(t, c, as, bs, got, func(row, column []float32) float32 {
				return chain(c, Float32, row, column, fma32, add[float32])
			}, func(g, w float32) bool { return math.Float32bits(g) == math.Float32bits(w) })
		}
	}
	for _, c := range matmulCases {
		if raceEnabled && c.elements() > 10_000 {
			continue
		}
		as, bs, got := matmulRun(t, r, Float64, c, func() float64 { return r.NormFloat64() })
		matmulEach(t, c, as, bs, got, func(row, column []float64) float64 {
			return chain(c, Float64, row, column, math.FMA, add[float64])
		}, func(g, w float64) bool { return math.Float64bits(g) == math.Float64bits(w) })
		ah, bh, gh := matmulRun(t, r, Float16, c, func() float16.Float16 { return float16.Fromfloat32(float32(r.NormFloat64())) })
		matmulEach(t, c, ah, bh, gh, func(row, column []float16.Float16) float16.Float16 {
			return float16.Fromfloat32(chain(c, Float16, row, column, func(x, y float16.Float16, s float32) float32 {
				return fma32(x.Float32(), y.Float32(), s)
			}, add[float32]))
		}, func(g, w float16.Float16) bool { return g == w })
	}
}

func TestMatMulGonum(t *testing.T) {
	r := newRand(t)
	for _, typ := range []Type{Float32, Float64} {
		c := matmulCase{nil, 130 + r.IntN(70), 200 + r.IntN(100), 130 + r.IntN(70)}
		eps := 0x1p-53
		var a, b, got []float64
		if typ == Float32 {
			eps = 0x1p-24
			a32, b32, g32 := matmulRun(t, r, typ, c, func() float32 { return float32(r.NormFloat64()) })
			a, b, got = widen(a32[0]), widen(b32[0]), widen(g32[0])
		} else {
			a64, b64, g64 := matmulRun(t, r, typ, c, func() float64 { return r.NormFloat64() })
			a, b, got = a64[0], b64[0], g64[0]
		}
		want, magnitudes := gemm(c, a, b), gemm(c, absolute(a), absolute(b))
		for i := range want {
			if diff := math.Abs(got[i] - want[i]); diff > eps*float64(c.k)*magnitudes[i] {
				t.Fatalf("%v %+v: element %d is %v, gonum has %v", typ, c, i, got[i], want[i])
			}
		}
	}
}

func gemm(c matmulCase, a, b []float64) []float64 {
	out := blas64.General{Rows: c.m, Cols: c.n, Stride: c.n, Data: make([]float64, c.m*c.n)}
	blas64.Gemm(blas.NoTrans, blas.NoTrans, 1, blas64.General{Rows: c.m, Cols: c.k, Stride: c.k, Data: a},
		blas64.General{Rows: c.k, Cols: c.n, Stride: c.n, Data: b}, 0, out)
	return out.Data
}

func widen(xs []float32) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = float64(x)
	}
	return ys
}

func absolute(xs []float64) []float64 {
	ys := make([]float64, len(xs))
	for i, x := range xs {
		ys[i] = math.Abs(x)
	}
	return ys
}

func TestMatMulIntegers(t *testing.T) {
	r := newRand(t)
	for _, c := range matmulCases[:18] {
		as, bs, got := matmulRun(t, r, Int32, c, func() int32 { return int32(r.Uint32()) })
		matmulEach(t, c, as, bs, got, dotInt[int32], func(g, w int32) bool { return g == w })
		al, bl, gl := matmulRun(t, r, Uint64, c, func() uint64 { return r.Uint64() })
		matmulEach(t, c, al, bl, gl, dotInt[uint64], func(g, w uint64) bool { return g == w })
		ab, bb, gb := matmulRun(t, r, Int8, c, func() int8 { return int8(r.Uint32()) })
		matmulEach(t, c, ab, bb, gb, dotInt[int8], func(g, w int8) bool { return g == w })
	}
}

func dotInt[T int8 | int32 | uint64](row, column []T) (s T) {
	for k := range row {
		s += row[k] * column[k]
	}
	return s
}

// Infinities and NaNs in the last row or column stay where they belong, and
// what a tile has beyond K does not turn −0 into +0.
func TestMatMulSpecial(t *testing.T) {
	a, b := []float32{-0x1p-100, 0, float32(math.Inf(1)), 2}, []float32{0x1p-100, 1, 0, 3}
	out := make([]float32, 4)
	var p Plan
	if err := MatMul(&p, Float32, RowMajor(2, 2), RowMajor(2, 2), RowMajor(2, 2)); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, out, a, b)
	// (−2⁻²⁰⁰ → −0) + 0·0; −2⁻¹⁰⁰; Inf·2⁻¹⁰⁰ + 0; Inf
	if got, want := fmt.Sprint(out), "[0 -7.888609e-31 +Inf +Inf]"; got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := MatMul(&p, Float32, RowMajor(1, 1), RowMajor(1, 1), RowMajor(1, 1)); err != nil {
		t.Fatal(err)
	}
	p.Reset()
	if err := MatMul(&p, Float32, RowMajor(1, 1), RowMajor(1, 1), RowMajor(1, 1)); err != nil {
		t.Fatal(err)
	}
	one := make([]float32, 1)
	runPlan(t, &p, one, a[:1], b[:1])
	if math.Float32bits(one[0]) != 1<<31 {
		t.Errorf("an underflowing negative product is %x, not −0", math.Float32bits(one[0]))
	}
}

func TestMatMulErrors(t *testing.T) {
	var p Plan
	for _, c := range []struct {
		t         Type
		out, a, b Layout
	}{
		{Bool, RowMajor(2, 2), RowMajor(2, 2), RowMajor(2, 2)}, {Float32, RowMajor(2, 2), RowMajor(2, 3), RowMajor(2, 2)},
		{Float32, RowMajor(2, 3), RowMajor(2, 2), RowMajor(2, 2)}, {Float32, RowMajor(2), RowMajor(2), RowMajor(2)},
		{Float32, RowMajor(3, 2, 2), RowMajor(2, 2, 2), RowMajor(3, 2, 2)}, {Float32, RowMajor(2, 2), RowMajor(1, 2, 2), RowMajor(2, 2)},
	} {
		if err := MatMul(&p, c.t, c.out, c.a, c.b); err == nil || len(p.Launches) > 0 {
			t.Errorf("%v %v·%v: %v", c.t, c.a.Shape[:c.a.Rank], c.b.Shape[:c.b.Rank], err)
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
