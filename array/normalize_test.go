package array

import (
	"math"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/kernels"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// alongAxis compares an operation along an axis with a model of one row, on samples
// of all kinds.
func alongAxis(t *testing.T, name string, op func(a *Array[float64], axis int) *Array[float64], model func(row []float64) []float64) {
	t.Helper()
	rng := seeded(t)
	for range 12 {
		s := newSample(t, rng, func() float64 { return 3 + rng.NormFloat64() })
		rank := len(s.grid.shape)
		if rank == 0 || len(s.data) == 0 {
			continue
		}
		axis := rng.IntN(rank)
		r := op(s.array, axis-rank*rng.IntN(2))
		got := sample[float64]{grid: s.grid, data: values(t, r)}
		if !slices.Equal(r.Shape(), s.grid.shape) {
			t.Fatalf("%s of %v has shape %v", name, s.grid.shape, r.Shape())
		}
		_, in := groups(&s, []int{axis})
		_, out := groups(&got, []int{axis})
		for i, row := range in {
			want := model(row)
			for j := range want {
				if math.Abs(out[i][j]-want[j]) > 1e-12*(1+math.Abs(want[j])) {
					t.Fatalf("%s along %d of %v: %v of %v, want %v", name, axis, s.grid.shape, out[i], row, want)
				}
			}
		}
	}
}

func TestAlongAxis(t *testing.T) {
	alongAxis(t, "CumSum", (*Array[float64]).CumSum, func(row []float64) []float64 { return floats.CumSum(make([]float64, len(row)), row) })
	alongAxis(t, "CumProd", (*Array[float64]).CumProd, func(row []float64) []float64 { return floats.CumProd(make([]float64, len(row)), row) })
	scales := Arange(dev, 0.5, 100, 1.5/16)
	scaled := func(a *Array[float64], axis int) (weight *Array[float64]) {
		if axis < 0 {
			axis += a.Rank()
		}
		return scales.Slice(R(0, a.Shape()[axis]))
	}
	at := func(j int) float64 { return 0.5 + 1.5/16*float64(j) }
	alongAxis(t, "LayerNorm", func(a *Array[float64], axis int) *Array[float64] {
		w := scaled(a, axis)
		return a.AddScalar(0).LayerNorm(w, w.Neg(), 1e-5, axis) // of an expression
	}, func(row []float64) []float64 {
		m, v := stat.PopMeanVariance(row, nil)
		y := make([]float64, len(row))
		for j, x := range row {
			y[j] = (x-m)/math.Sqrt(v+1e-5)*at(j) - at(j)
		}
		return y
	})
	alongAxis(t, "RMSNorm", func(a *Array[float64], axis int) *Array[float64] { return a.RMSNorm(scaled(a, axis), 1e-5, axis) }, func(row []float64) []float64 {
		root := math.Sqrt(floats.Dot(row, row)/float64(len(row)) + 1e-5)
		y := make([]float64, len(row))
		for j, x := range row {
			y[j] = x / root * at(j)
		}
		return y
	})
}

func TestLogSumExp(t *testing.T) {
	rng := seeded(t)
	for range 12 {
		s := newSample(t, rng, func() float64 { return 300 * rng.NormFloat64() })
		if len(s.data) == 0 {
			continue
		}
		axes := randomAxes(rng, len(s.grid.shape))
		shape, lists := groups(&s, axes)
		r := s.array.LogSumExp(axes...)
		if !slices.Equal(r.Shape(), shape) {
			t.Fatalf("over %v of %v: shape %v, want %v", axes, s.grid.shape, r.Shape(), shape)
		}
		for i, got := range values(t, r) {
			if want := floats.LogSumExp(lists[i]); math.Abs(got-want) > 1e-13*(1+math.Abs(want)) {
				t.Errorf("over %v of %v: %v, want %v", axes, s.grid.shape, got, want)
			}
		}
	}
	if v := values(t, Zeros[float32](dev, 2, 0).LogSumExp(1)); !math.IsInf(float64(v[0]), -1) || len(v) != 2 {
		t.Errorf("over no elements: %v", v)
	}
}

// TestHalfRows shows that 16-bit types are computed in float32 and rounded once.
func TestHalfRows(t *testing.T) {
	ones := values(t, Ones[Float16](dev, 4096).CumSum(0))
	for i, v := range ones {
		if want := F16(float32(i + 1)); v != want {
			t.Fatalf("cumulative sum %d of ones is %v, want %v", i, v, want)
		}
	}
	if v := values(t, Full(dev, BF16(100), 1000).RMSNorm(nil, 0, 0)); v[999].Float32() != 1 {
		t.Errorf("a constant row normalised: %v", v[999])
	}
}

func TestCumulativeIntegers(t *testing.T) {
	rng := seeded(t)
	s := newSampleOf(t, rng, []int{3, 300, 2}, 2, func() uint8 { return uint8(rng.Uint32()) })
	axis := rng.IntN(len(s.grid.shape))
	sums := sample[int64]{grid: s.grid, data: values(t, CumSumAs[int64](s.array, axis))}
	_, in := groups(&s, []int{axis})
	_, out := groups(&sums, []int{axis})
	for i, row := range in {
		var want int64
		for j, x := range row {
			if want += int64(x); out[i][j] != want {
				t.Fatalf("sum %d of row %d is %d, want %d", j, i, out[i][j], want)
			}
		}
	}
	if got := values(t, FromSlice(dev, []int32{math.MaxInt32, 1, 5}).CumSum(0)); got[1] != math.MinInt32 || got[2] != math.MinInt32+5 {
		t.Errorf("int32 sums wrap: %v", got)
	}
	if got := values(t, FromSlice(dev, []int64{3, -2, 0, 7}).CumProd(0)); !slices.Equal(got, []int64{3, -6, 0, 0}) {
		t.Errorf("cumulative products: %v", got)
	}
}

// TestRowsOfSpecialValues has NaN and infinities reach what they should, and nothing
// else.
func TestRowsOfSpecialValues(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	x := FromSlice(dev, []float64{1, nan, 3, inf, 2, 1, 2, 5, 4}, 3, 3)
	for name, c := range map[string]struct {
		got  *Array[float64]
		want []float64
	}{
		"CumSum":     {x.CumSum(1), []float64{1, nan, nan, inf, inf, inf, 2, 7, 11}},
		"CumProd":    {x.CumProd(0), []float64{1, nan, 3, inf, nan, 3, inf, nan, 12}},
		"LogSumExp":  {x.LogSumExp(1), []float64{nan, inf, 5 + math.Log(1+math.Exp(-1)+math.Exp(-3))}},
		"RMSNorm":    {x.Slice(R(0, 2)).RMSNorm(nil, 0, 1), []float64{nan, nan, nan, nan, 0, 0}},
		"LayerNorm":  {x.Slice(R(0, 2)).LayerNorm(nil, nil, 1, 1), []float64{nan, nan, nan, nan, nan, nan}},
		"no rows":    {Zeros[float64](dev, 0, 3).LayerNorm(nil, nil, 1, 1), []float64{}},
		"empty rows": {Zeros[float64](dev, 3, 0).CumSum(1), []float64{}},
	} {
		got := values(t, c.got)
		if len(got) != len(c.want) {
			t.Fatalf("%s: %v, want %v", name, got, c.want)
		}
		for i, want := range c.want {
			if ulps(kernels.Float64, got[i], want) > 2 {
				t.Errorf("%s: %v, want %v", name, got, c.want)
				break
			}
		}
	}
}

// TestRowsOfManyColumns takes the way through a turned copy.
func TestRowsOfManyColumns(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, for long")
	}
	n, m := 70, 4000 // over a mebibyte
	x := Normal[float32](NewRand(dev, 7), n, m)
	for name, op := range map[string]func(a *Array[float32], axis int) *Array[float32]{
		"Softmax": (*Array[float32]).Softmax, "CumSum": (*Array[float32]).CumSum,
		"LayerNorm": func(a *Array[float32], axis int) *Array[float32] { return a.LayerNorm(nil, nil, 1e-5, axis) },
	} {
		same, err := ArrayEqual(op(x, 0), op(x.Transpose().Clone(), 1).Transpose())
		if err != nil || !same {
			t.Errorf("%s along axis 0 differs from axis 1 of the transposed copy: %v", name, err)
		}
	}
}

// TestLongCumSum takes the sums of a row whose tiles blocks hold, which asks for much
// shared memory, at once and in a graph.
func TestLongCumSum(t *testing.T) {
	if testing.Short() {
		t.Skip("17 million elements")
	}
	d, api := newRecorded(t)
	d.sh.multiprocessors, d.sh.blockMemory = 3, 227<<10
	rng := seeded(t)
	xs := make([]int32, 1<<24+5)
	for i := range xs {
		xs[i] = int32(rng.Uint32())
	}
	x := FromSlice(d, xs, len(xs))
	var y *Array[int32]
	g := capture(t, d, func(c *Device) error {
		y = x.On(c).CumSum(0).Keep()
		return nil
	})
	attributes := counted(api)["FuncSetAttribute"]
	launch(t, g)
	now := x.CumSum(0).Eval()
	if err := now.Err(); err != nil {
		t.Fatal(err)
	}
	if n := attributes + counted(api)["FuncSetAttribute"]; d.sh.cc >= 90 && n != 1 {
		t.Errorf("a kernel's attribute was set %d times", n)
	}
	for name, got := range map[string][]int32{"at once": values(t, now), "in a graph": values(t, y)} {
		sum := int32(0)
		for i, x := range xs {
			if sum += x; got[i] != sum {
				t.Fatalf("%s: element %d is %d, want %d", name, i, got[i], sum)
			}
		}
	}
}
