package array

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/mat"
)

func TestMatMulAgainstGonum(t *testing.T) {
	rng := seeded(t)
	for range 12 {
		m, k, n := 1+rng.IntN(70), 1+rng.IntN(70), 1+rng.IntN(70)
		a, b := randomMatrix(t, rng, m, k), randomMatrix(t, rng, k, n)
		got := values(t, a.array.MatMul(b.array))
		var want, scale mat.Dense
		want.Mul(mat.NewDense(m, k, a.data), mat.NewDense(k, n, b.data))
		scale.Mul(absolute(m, k, a.data), absolute(k, n, b.data))
		for i, w := range want.RawMatrix().Data {
			if math.Abs(got[i]-w) > 1e-15*float64(k)*scale.RawMatrix().Data[i] {
				t.Fatalf("%d×%d×%d: element %d is %v, want %v", m, k, n, i, got[i], w)
			}
		}
	}
}

func absolute(m, n int, data []float64) *mat.Dense {
	d := mat.NewDense(m, n, slices.Clone(data))
	d.Apply(func(_, _ int, v float64) float64 { return math.Abs(v) }, d)
	return d
}

// randomMatrix is contiguous, transposed, or a part of a larger matrix.
func randomMatrix(t *testing.T, rng *rand.Rand, m, n int) sample[float64] {
	switch rng.IntN(3) {
	case 0:
		return newSampleOf(t, rng, []int{m, n}, 0, rng.NormFloat64)
	case 1:
		s := newSampleOf(t, rng, []int{n, m}, 0, rng.NormFloat64)
		return viewed(t, s, s.array.Transpose())
	}
	s := newSampleOf(t, rng, []int{m + 3, 2*n + 1}, 0, rng.NormFloat64)
	return viewed(t, s, s.array.Slice(R(2, m+2), R(1, End, 2)))
}

// viewed is the sample of a view.
func viewed(t *testing.T, _ sample[float64], a *Array[float64]) sample[float64] {
	v := sample[float64]{array: a, data: values(t, a)}
	v.grid.shape = a.Shape()
	return v
}

// TestMatMulBatches compares with a plain triple loop over all shapes of batches
// and vectors.
func TestMatMulBatches(t *testing.T) {
	rng := seeded(t)
	small := func() int32 { return int32(rng.IntN(7) - 3) }
	for _, c := range [][3][]int{
		{{3}, {3}, {}},
		{{3}, {3, 4}, {4}},
		{{2, 3}, {3}, {2}},
		{{5, 2, 3}, {3, 4}, {5, 2, 4}},
		{{2, 3}, {5, 3, 4}, {5, 2, 4}},
		{{5, 1, 2, 3}, {6, 3, 4}, {5, 6, 2, 4}},
		{{6, 3}, {5, 3, 2}, {5, 6, 2}},
		{{3}, {5, 3, 2}, {5, 2}},
		{{5, 2, 3}, {3}, {5, 2}},
		{{2, 0}, {0, 3}, {2, 3}},
		{{0, 2}, {2, 3}, {0, 3}},
		{{0, 2, 3}, {3, 1}, {0, 2, 1}},
	} {
		a, b := newSampleOf(t, rng, c[0], 0, small), newSampleOf(t, rng, c[1], 0, small)
		r := a.array.MatMul(b.array)
		got := values(t, r)
		if !slices.Equal(r.Shape(), c[2]) {
			t.Errorf("%v × %v has shape %v, want %v", c[0], c[1], r.Shape(), c[2])
			continue
		}
		if want := plainMatMul(&a, &b, c[2]); !slices.Equal(got, want) {
			t.Errorf("%v × %v = %v, want %v", c[0], c[1], got, want)
		}
	}
}

func plainMatMul(a, b *sample[int32], shape []int) []int32 {
	var r []int32
	rows, columns := len(a.grid.shape) > 1, len(b.grid.shape) > 1
	out := grid{shape: shape}
	k := a.grid.shape[len(a.grid.shape)-1]
	out.each(func(index []int) {
		batch := slices.Clone(index)
		var row, column int
		if columns {
			column = batch[len(batch)-1]
			batch = batch[:len(batch)-1]
		}
		if rows {
			row = batch[len(batch)-1]
			batch = batch[:len(batch)-1]
		}
		var sum int32
		for i := range k {
			x, y := append(slices.Clone(batch), row, i), append(slices.Clone(batch), i, column)
			if !rows {
				x = []int{i}
			}
			if !columns {
				y = []int{i}
			}
			sum += a.at(x) * b.at(y)
		}
		r = append(r, sum)
	})
	return r
}

func TestMatMulMistakes(t *testing.T) {
	x := Ones[float32](dev, 2, 3)
	for name, err := range map[string]error{
		"inner sizes": x.MatMul(x).Err(),
		"rank 0":      x.MatMul(Scalar[float32](dev, 1)).Err(),
		"batches":     Ones[float32](dev, 2, 1, 1).MatMul(Ones[float32](dev, 3, 1, 1)).Err(),
		"dot sizes":   Ones[float32](dev, 2).Dot(Ones[float32](dev, 3)).Err(),
		"dot rank":    x.Dot(x).Err(),
	} {
		if !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v, want ErrShape", name, err)
		}
	}
}

func TestDot(t *testing.T) {
	rng := seeded(t)
	a, b := newSampleOf(t, rng, []int{1000}, 0, rng.NormFloat64), newSampleOf(t, rng, []int{1000}, 0, rng.NormFloat64)
	want := mat.Dot(mat.NewVecDense(1000, a.data), mat.NewVecDense(1000, b.data))
	if got := values(t, a.array.Dot(b.array))[0]; math.Abs(got-want) > 1e-11 {
		t.Errorf("dot is %v, want %v", got, want)
	}
}
