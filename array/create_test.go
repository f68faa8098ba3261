package array

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

func TestConstructors(t *testing.T) {
	for _, c := range []struct {
		name string
		got  any
		want string
	}{
		{"FromSlice", values(t, FromSlice(dev, []int16{1, 2, 3})), "[1 2 3]"},
		{"FromSlice nil", values(t, FromSlice[float32](dev, nil)), "[]"},
		{"Zeros", values(t, Zeros[float64](dev, 2, 2)), "[0 0 0 0]"},
		{"Zeros empty", values(t, Zeros[float64](dev, 2, 0)), "[]"},
		{"Ones float16", values(t, Ones[Float16](dev, 2)), "[1 1]"},
		{"Ones bool", values(t, Ones[bool](dev, 2)), "[true true]"},
		{"Full int8", values(t, Full(dev, int8(-3), 3)), "[-3 -3 -3]"},
		{"Full uint16", values(t, Full(dev, uint16(40000), 3)), "[40000 40000 40000]"},
		{"Full float64", values(t, Full(dev, 0.1, 3)), "[0.1 0.1 0.1]"},
		{"Full int64", values(t, Full(dev, int64(-2), 3)), "[-2 -2 -2]"},
		{"Full int64 of two parts", values(t, Full(dev, int64(1)<<40+1, 2)), "[1099511627777 1099511627777]"},
		{"Scalar", values(t, Scalar(dev, float32(2.5))), "[2.5]"},
		{"Arange", values(t, Arange[int32](dev, 2, 9, 3)), "[2 5 8]"},
		{"Arange down", values(t, Arange[int8](dev, 100, -128, -100)), "[100 0 -100]"},
		{"Arange up to the end", values(t, Arange[uint8](dev, 250, 255, 2)), "[250 252 254]"},
		{"Arange none", values(t, Arange[int64](dev, 3, 3, 1)), "[]"},
		{"Arange the wrong way", values(t, Arange[uint32](dev, 3, 1, 1)), "[]"},
		{"Arange float32", values(t, Arange[float32](dev, 0, 1, 0.25)), "[0 0.25 0.5 0.75]"},
		{"Arange bfloat16", values(t, Arange(dev, BF16(0), BF16(2), BF16(0.5))), "[0 0.5 1 1.5]"},
		{"Linspace", values(t, Linspace[float32](dev, 1, 2, 5)), "[1 1.25 1.5 1.75 2]"},
		{"Linspace one", values(t, Linspace[float64](dev, 1, 2, 1)), "[1]"},
		{"Linspace none", values(t, Linspace[float64](dev, 1, 2, 0)), "[]"},
		{"Eye", values(t, Eye[int32](dev, 3)), "[1 0 0 0 1 0 0 0 1]"},
		{"Eye of 0", values(t, Eye[float64](dev, 0)), "[]"},
	} {
		if got := fmt.Sprint(c.got); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

func TestLinspaceAgainstGonum(t *testing.T) {
	got := values(t, Linspace(dev, -1.7, 3.3, 1001))
	want := floats.Span(make([]float64, 1001), -1.7, 3.3)
	if !floats.EqualApprox(got, want, 1e-15) || got[1000] != 3.3 {
		t.Errorf("Linspace differs from floats.Span")
	}
	huge := values(t, Linspace(dev, -math.MaxFloat64, math.MaxFloat64, 3))
	if huge[1] != 0 || math.IsInf(huge[2], 0) {
		t.Errorf("Linspace over the whole range: %v", huge)
	}
}

func TestArangeMistakes(t *testing.T) {
	for name, err := range map[string]error{
		"step 0":      Arange[int32](dev, 0, 1, 0).Err(),
		"step NaN":    Arange(dev, 0, 1, math.NaN()).Err(),
		"to infinity": Arange(dev, 0, math.Inf(1), 1).Err(),
		"too many":    Arange[uint64](dev, 0, math.MaxUint64, 1).Err(),
		"negative":    Linspace(dev, 0.0, 1, -1).Err(),
		"Eye":         Eye[float32](dev, -1).Err(),
		"Zeros":       Zeros[float32](dev, 1<<40, 1<<40).Err(),
		"FromSlice":   FromSlice(dev, []int32{1}, 2).Err(),
	} {
		if !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v, want ErrShape", name, err)
		}
	}
}

func TestRandom(t *testing.T) {
	const n = 20000
	u := values(t, Uniform[float64](NewRand(dev, 7), n))
	if m, s := stat.MeanStdDev(u, nil); math.Abs(m-0.5) > 0.01 || math.Abs(s-math.Sqrt(1.0/12)) > 0.01 || floats.Min(u) < 0 || floats.Max(u) >= 1 {
		t.Errorf("uniform: mean %v, deviation %v, range [%v, %v]", m, s, floats.Min(u), floats.Max(u))
	}
	z := values(t, Normal[float64](NewRand(dev, 7), n))
	if m, s := stat.MeanStdDev(z, nil); math.Abs(m) > 0.03 || math.Abs(s-1) > 0.03 || math.Abs(stat.Skew(z, nil)) > 0.1 || math.Abs(stat.ExKurtosis(z, nil)) > 0.2 {
		t.Errorf("normal: mean %v, deviation %v", m, s)
	}
	// Draws follow one another, repeat with the seed, and differ between splits.
	r1, r2 := NewRand(dev, 9), NewRand(dev, 9)
	a, b := values(t, Uniform[float32](r1, 3, 5)), values(t, Uniform[float32](r2, 15))
	if !slices.Equal(a, b) {
		t.Error("one seed gave different numbers in different shapes")
	}
	s1, s2 := r1.Split(), r1.Split()
	lists := [][]float32{a, values(t, Uniform[float32](r1, 15)), values(t, Uniform[float32](s1, 15)), values(t, Uniform[float32](s2, 15)), values(t, Uniform[float32](NewRand(dev, 10), 15))}
	for i := range lists {
		for j := range i {
			if slices.ContainsFunc(lists[i], func(v float32) bool { return slices.Contains(lists[j], v) }) {
				t.Errorf("draws %d and %d share numbers", i, j)
			}
		}
	}
	if got := values(t, Uniform[float32](r2.Split(), 15)); !slices.Equal(got, lists[2]) {
		t.Error("Split is not a function of the seed")
	}
}

// TestRandOn draws from one sequence on a Device and in a scope of it: the numbers
// are those that one Rand alone draws, and belong to the scope.
func TestRandOn(t *testing.T) {
	d, _ := newRecorded(t)
	alone, here := NewRand(d, 7), NewRand(d, 7)
	want := [2][]float64{values(t, Normal[float64](alone, 5)), values(t, Normal[float64](alone, 5))}
	first := Normal[float64](here, 5)
	var second *Array[float64]
	d.Scope(func(s *Device) error {
		second = Normal[float64](here.On(s), 5)
		if got := values(t, second); !slices.Equal(got, want[1]) {
			t.Errorf("the second draw is %v, want %v", got, want[1])
		}
		return nil
	})
	if err := second.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("drawn in the scope, after it: %v", err)
	}
	if got := values(t, first); !slices.Equal(got, want[0]) {
		t.Errorf("the first draw is %v, want %v", got, want[0])
	}
}
