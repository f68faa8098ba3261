package array

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// groups collects a sample's elements by result of a reduction over axes, in
// row-major order of the results and, within each, of the elements.
func groups[T Element](s *sample[T], axes []int) (shape []int, lists [][]T) {
	reduced := make([]bool, len(s.grid.shape))
	for i := range reduced {
		reduced[i] = len(axes) == 0 || slices.Contains(axes, i) || slices.Contains(axes, i-len(reduced))
	}
	size := 1
	for i, n := range s.grid.shape {
		if !reduced[i] {
			shape = append(shape, n)
			size *= n
		}
	}
	lists = make([][]T, size)
	s.grid.each(func(index []int) {
		p := 0
		for i, n := range s.grid.shape {
			if !reduced[i] {
				p = p*n + index[i]
			}
		}
		lists[p] = append(lists[p], s.at(index))
	})
	return shape, lists
}

// randomAxes picks some axes, counted from either end; none is all.
func randomAxes(rng *rand.Rand, rank int) []int {
	var axes []int
	for a := range rank {
		if rng.IntN(2) == 0 {
			axes = append(axes, a-rank*rng.IntN(2))
		}
	}
	return axes
}

func TestFloatReductions(t *testing.T) {
	rng := seeded(t)
	rows := []struct {
		name string
		op   func(a *Array[float64], axes ...int) *Array[float64]
		want func(x []float64) float64
		size func(x []float64) float64 // what the error is measured against
	}{
		{"Sum", (*Array[float64]).Sum, floats.Sum, absSum},
		{"Prod", (*Array[float64]).Prod, floats.Prod, func(x []float64) float64 { return math.Abs(floats.Prod(x)) * float64(len(x)) }},
		{"Max", (*Array[float64]).Max, floats.Max, zero},
		{"Min", (*Array[float64]).Min, floats.Min, zero},
		{"Mean", (*Array[float64]).Mean, func(x []float64) float64 { return stat.Mean(x, nil) }, absSum},
		{"Var", (*Array[float64]).Var, func(x []float64) float64 { return stat.PopVariance(x, nil) }, func(x []float64) float64 { return 10 + absSum(x) }},
		{"Std", (*Array[float64]).Std, func(x []float64) float64 { return stat.PopStdDev(x, nil) }, func(x []float64) float64 { return 10 + absSum(x) }},
	}
	for _, row := range rows {
		for range 8 {
			s := newSample(t, rng, rng.NormFloat64)
			if len(s.data) == 0 {
				continue
			}
			axes := randomAxes(rng, len(s.grid.shape))
			shape, lists := groups(&s, axes)
			r := row.op(s.array, axes...)
			got := values(t, r)
			if !slices.Equal(r.Shape(), shape) {
				t.Fatalf("%s over %v of %v has shape %v, want %v", row.name, axes, s.grid.shape, r.Shape(), shape)
			}
			for i, x := range lists {
				if want := row.want(x); math.Abs(got[i]-want) > 1e-15*row.size(x) {
					t.Errorf("%s over %v of %v: %v, want %v", row.name, axes, s.grid.shape, got[i], want)
				}
			}
		}
	}
}

func zero([]float64) float64 { return 0 }

func absSum(x []float64) float64 { return floats.Norm(x, 1) }

func TestAnyAllArg(t *testing.T) {
	rng := seeded(t)
	for range 20 {
		s := newSample(t, rng, func() float32 { return float32(rng.IntN(4)) })
		if len(s.data) == 0 {
			continue
		}
		axes := randomAxes(rng, len(s.grid.shape))
		_, lists := groups(&s, axes)
		anyOf, allOf := values(t, s.array.Any(axes...)), values(t, s.array.All(axes...))
		for i, x := range lists {
			if want := slices.ContainsFunc(x, func(v float32) bool { return v != 0 }); anyOf[i] != want {
				t.Errorf("Any of %v is %v", x, anyOf[i])
			}
			if want := !slices.Contains(x, 0); allOf[i] != want {
				t.Errorf("All of %v is %v", x, allOf[i])
			}
		}
		axes = axes[:min(len(axes), 1)]
		_, lists = groups(&s, axes)
		most, least := values(t, s.array.ArgMax(axes...)), values(t, s.array.ArgMin(axes...))
		for i, x := range lists {
			if want := slices.Index(x, slices.Max(x)); most[i] != int64(want) {
				t.Errorf("ArgMax over %v of %v is %d, want %d", axes, x, most[i], want)
			}
			if want := slices.Index(x, slices.Min(x)); least[i] != int64(want) {
				t.Errorf("ArgMin over %v of %v is %d, want %d", axes, x, least[i], want)
			}
		}
	}
}

func TestReductionsOfSpecialValues(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	negativeZero := float32(math.Copysign(0, -1))
	x := FromSlice(dev, []float32{1, nan, inf, 3})
	if m := values(t, x.Max())[0]; m == m {
		t.Errorf("Max with a NaN is %v", m)
	}
	if i := values(t, x.ArgMin())[0]; i != 1 {
		t.Errorf("ArgMin with a NaN at 1 is %d", i)
	}
	z := FromSlice(dev, []float32{0, negativeZero})
	if m := values(t, z.Min())[0]; !math.Signbit(float64(m)) {
		t.Error("Min(0, -0) should be -0")
	}
	if m := values(t, z.Flip().Max())[0]; math.Signbit(float64(m)) {
		t.Error("Max(-0, 0) should be 0")
	}
}

func TestReductionsOfNothing(t *testing.T) {
	x := Zeros[float32](dev, 3, 0)
	for _, c := range []struct {
		name string
		a    *Array[float32]
		want float32
	}{
		{"Sum", x.Sum(1), 0}, {"Prod", x.Prod(1), 1}, {"Mean", x.Mean(1), float32(math.NaN())}, {"Var", x.Var(1), float32(math.NaN())},
	} {
		for _, v := range values(t, c.a) {
			if v != c.want && !(v != v && c.want != c.want) {
				t.Errorf("%s over no elements is %v, want %v", c.name, v, c.want)
			}
		}
		if got := c.a.Shape(); !slices.Equal(got, []int{3}) {
			t.Errorf("%s: shape %v", c.name, got)
		}
	}
	if v := values(t, x.Any())[0]; v {
		t.Error("Any of nothing is true")
	}
	if v := values(t, x.All())[0]; !v {
		t.Error("All of nothing is false")
	}
	for name, err := range map[string]error{"Max": x.Max(1).Err(), "Min": x.Min().Err(), "ArgMax": x.ArgMax(1).Err(), "ArgMin": x.ArgMin().Err()} {
		if !errors.Is(err, ErrShape) {
			t.Errorf("%s of no elements: %v, want ErrShape", name, err)
		}
	}
	if got := x.Max(0).Shape(); !slices.Equal(got, []int{0}) {
		t.Errorf("Max over the other axis has shape %v", got)
	}
}

func TestSumAs(t *testing.T) {
	rng := seeded(t)
	s := newSampleOf(t, rng, []int{7, 300}, 0, func() uint8 { return uint8(rng.Uint32()) })
	_, lists := groups(&s, []int{1})
	sums, means := values(t, SumAs[int64](s.array, 1)), values(t, MeanAs[float64](s.array, 1))
	for i, x := range lists {
		var want int64
		for _, v := range x {
			want += int64(v)
		}
		if sums[i] != want || math.Abs(means[i]-float64(want)/300) > 1e-12 {
			t.Errorf("row %d: sum %d mean %v, want %d", i, sums[i], means[i], want)
		}
	}
	wrapped := FromSlice(dev, []int32{math.MaxInt32, 1}).Sum()
	if v := values(t, wrapped)[0]; v != math.MinInt32 {
		t.Errorf("int32 sums wrap: %d", v)
	}
}

// TestHalfSum shows that 16-bit types are summed in float32 and rounded once: one
// by one the sum would stay at 2048, where 1 is half the distance of neighbours.
func TestHalfSum(t *testing.T) {
	x := Ones[Float16](dev, 4096)
	if v := values(t, x.Sum())[0]; v.Float32() != 4096 {
		t.Errorf("sum of 4096 ones in float16: %v", v)
	}
	if v := values(t, Ones[BFloat16](dev, 512).Dot(Ones[BFloat16](dev, 512)))[0]; v.Float32() != 512 {
		t.Errorf("dot of 512 ones in bfloat16: %v", v)
	}
}

func TestSoftmax(t *testing.T) {
	rng := seeded(t)
	for range 10 {
		s := newSample(t, rng, func() float64 { return rng.NormFloat64() * 50 })
		if len(s.grid.shape) == 0 || len(s.data) == 0 {
			continue
		}
		axis := rng.IntN(len(s.grid.shape))
		r := s.array.Softmax(axis - len(s.grid.shape)*rng.IntN(2))
		got := sample[float64]{grid: s.grid, data: values(t, r)}
		logs := sample[float64]{grid: s.grid, data: values(t, s.array.LogSoftmax(axis))}
		_, in := groups(&s, []int{axis})
		_, out := groups(&got, []int{axis})
		_, log := groups(&logs, []int{axis})
		for i, x := range in {
			total := floats.LogSumExp(x)
			for j := range x {
				if want := math.Exp(x[j] - total); math.Abs(out[i][j]-want) > 1e-13 {
					t.Errorf("softmax of %v: %v, want %v", x, out[i][j], want)
				}
				if want := x[j] - total; math.Abs(log[i][j]-want) > 1e-12*math.Abs(want)+1e-12 {
					t.Errorf("log-softmax of %v: %v, want %v", x, log[i][j], want)
				}
			}
		}
	}
	big := FromSlice(dev, []float32{1e38, -1e38, 1e38})
	if got := values(t, big.Softmax(0)); fmt.Sprint(got) != "[0.5 0 0.5]" {
		t.Errorf("softmax of huge numbers: %v", got)
	}
}
