package arraycmp_test

import (
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/array/arraycmp"
)

func open(t *testing.T) *array.Device {
	t.Helper()
	dev, err := array.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

var nan, inf = math.NaN(), math.Inf(1)

func TestEquateArrays(t *testing.T) {
	dev, other := open(t), open(t)
	of := func(x ...float64) *array.Array[float64] { return array.FromSlice(dev, x) }
	grid := func(n, m int) *array.Array[float64] {
		return array.Arange[float64](dev, 0, float64(n*m), 1).Reshape(n, m)
	}
	half := array.F16
	freed := of(1)
	freed.Free()
	type pair struct {
		Name string
		A    *array.Array[float64]
		X    float64
	}
	options := func(o ...arraycmp.Option) []arraycmp.Option { return o }
	for _, c := range []struct {
		name    string
		x, y    any
		options []arraycmp.Option
		equal   bool
	}{
		{"same elements", of(1, 2), of(1, 2), nil, true},
		{"other element", of(1, 2), of(1, 3), nil, false},
		{"other length", of(1, 2), of(1, 2, 3), nil, false},
		{"other shape", grid(2, 3), grid(3, 2), nil, false},
		{"other rank", of(1), array.Scalar(dev, 1.0), nil, false},
		{"rank 0", array.Scalar(dev, 1.0), array.Scalar(dev, 1.0), nil, true},
		{"rank 0, other element", array.Scalar(dev, 1.0), array.Scalar(dev, 2.0), nil, false},
		{"empty", array.Zeros[float64](dev, 0, 3), array.Zeros[float64](dev, 0, 3), nil, true},
		{"empty, other shape", array.Zeros[float64](dev, 0, 3), array.Zeros[float64](dev, 3, 0), nil, false},
		{"empty, other length", array.Zeros[float64](dev, 0, 3), array.Zeros[float64](dev, 0, 4), nil, false},
		{"other layout", grid(2, 3).Transpose(), grid(2, 3).Transpose().Clone(), nil, true},
		{"other device", of(1, 2), array.FromSlice(other, []float64{1, 2}), nil, true},
		{"other type", of(1), array.FromSlice(dev, []float32{1}), nil, false},
		{"rank 4", grid(4, 6).Reshape(2, 2, 3, 2), grid(4, 6).Reshape(2, 2, 3, 2), nil, true},
		{"rank 4, last element", grid(4, 6).Reshape(2, 2, 3, 2), array.Concat(0, grid(1, 23).Flatten(), of(0)).Reshape(2, 2, 3, 2), nil, false},
		{"zeros", of(0), of(math.Copysign(0, -1)), nil, true},
		{"NaN", of(nan, 1), of(nan, 1), nil, true},
		{"NaN and number", of(nan), of(1), nil, false},
		{"NaN and number within anything", of(nan), of(1), options(arraycmp.Within(1, inf)), false},
		{"distinct NaNs", of(nan), of(nan), options(arraycmp.DistinctNaNs()), false},
		{"infinities", of(inf, -inf), of(inf, -inf), options(arraycmp.Within(0.1, 0)), true},
		{"infinities of other sign", of(inf), of(-inf), options(arraycmp.Within(1, inf)), false},
		{"infinity and number", of(inf), of(1), options(arraycmp.Within(1, 1)), false},
		{"relative", of(100, -100), of(101, -101), options(arraycmp.Within(0.01, 0)), true},
		{"relative, too far", of(100), of(102), options(arraycmp.Within(0.01, 0)), false},
		{"absolute", of(0), of(0.5), options(arraycmp.Within(0, 0.5)), true},
		{"absolute, too far", of(0), of(0.5), options(arraycmp.Within(0, 0.49)), false},
		{"bounds that count as 0", of(1), of(1), options(arraycmp.Within(-1, nan), nil), true},
		{"NaN beside a bound", of(1), of(2), options(arraycmp.Within(nan, 1)), true},
		{"float32", array.FromSlice(dev, []float32{1, float32(nan)}), array.FromSlice(dev, []float32{1.25, float32(nan)}), options(arraycmp.Within(0.2, 0)), true},
		{"Float16", array.FromSlice(dev, []array.Float16{half(1), half(float32(nan))}), array.FromSlice(dev, []array.Float16{half(1), half(float32(nan))}), nil, true},
		{"Float16, other", array.FromSlice(dev, []array.Float16{half(1)}), array.FromSlice(dev, []array.Float16{half(1.001)}), nil, false},
		{"BFloat16", array.FromSlice(dev, []array.BFloat16{array.BF16(3)}), array.FromSlice(dev, []array.BFloat16{array.BF16(4)}), options(arraycmp.Within(0.25, 0)), true},
		{"integers are exact", array.FromSlice(dev, []int32{100}), array.FromSlice(dev, []int32{101}), options(arraycmp.Within(1, 1)), false},
		{"large integers", array.FromSlice(dev, []int64{math.MaxInt64}), array.FromSlice(dev, []int64{math.MaxInt64 - 1}), nil, false},
		{"uint64", array.FromSlice(dev, []uint64{math.MaxUint64}), array.FromSlice(dev, []uint64{math.MaxUint64}), nil, true},
		{"uint8", array.FromSlice(dev, []uint8{1, 255}), array.FromSlice(dev, []uint8{1, 254}), nil, false},
		{"bool", array.FromSlice(dev, []bool{true, false}), array.FromSlice(dev, []bool{true, false}), nil, true},
		{"bool, other", array.FromSlice(dev, []bool{true}), array.FromSlice(dev, []bool{false}), nil, false},
		{"by value", *of(1, nan), *of(1, nan), nil, true},
		{"by value, other", *of(1), *of(2), nil, false},
		{"zero Array by value", array.Array[float64]{}, *of(2), nil, false},
		{"within a struct by value", struct{ A array.Array[float64] }{*of(1)}, struct{ A array.Array[float64] }{*of(1)}, nil, true},
		{"both nil", (*array.Array[float64])(nil), (*array.Array[float64])(nil), nil, true},
		{"one nil", of(1), (*array.Array[float64])(nil), nil, false},
		{"zero Arrays", new(array.Array[float64]), new(array.Array[float64]), nil, false},
		{"freed", freed, freed, nil, false},
		{"errors", of(1).Add(of(1, 2).Reshape(2, 1, 1, 7)), of(1).Reshape(5), nil, false},
		{"within a struct", pair{"p", of(1, nan), 2}, pair{"p", of(1, nan), 2}, nil, true},
		{"beside a NaN", pair{"p", of(1), nan}, pair{"p", of(1), nan}, nil, false},
		{"within slices and maps", map[string][]any{"a": {of(1), 2}}, map[string][]any{"a": {of(1), 2}}, nil, true},
		{"within slices and maps, other", map[string][]any{"a": {of(1), 2}}, map[string][]any{"a": {of(2), 2}}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := arraycmp.EquateArrays(c.options...)
			if got := cmp.Equal(c.x, c.y, o); got != c.equal {
				t.Errorf("equal: %v, want %v", got, c.equal)
			}
			if diff := cmp.Diff(c.y, c.x, o); (diff == "") != c.equal {
				t.Errorf("swapped: difference %q, want equal: %v", diff, c.equal)
			}
		})
	}
}

// Other packages' options for numbers do not clash with those of arrays.
func TestBesideOtherOptions(t *testing.T) {
	dev := open(t)
	type both struct {
		A *array.Array[float64]
		X float64
	}
	x := both{array.FromSlice(dev, []float64{nan, 1}), nan}
	y := both{array.FromSlice(dev, []float64{nan, 1.5}), nan}
	o := cmp.Options{cmpopts.EquateNaNs(), cmpopts.EquateApprox(1, 0), arraycmp.EquateArrays()}
	if !cmp.Equal(x, x, o) {
		t.Error(cmp.Diff(x, x, o))
	}
	if cmp.Equal(x, y, o) {
		t.Error("the tolerance for other numbers was used for an array")
	}
}

// A difference says what differs.
func TestDiff(t *testing.T) {
	dev := open(t)
	x := array.FromSlice(dev, []float32{1, 2, 3, 4.5}, 2, 2)
	freed := x.Clone()
	freed.Free()
	_, _, line, _ := runtime.Caller(0)
	for name, c := range map[string]struct {
		y    *array.Array[float32]
		text []string
	}{
		"element": {array.FromSlice(dev, []float32{1, 2, 3, 4}, 2, 2), []string{"-", "4.5", "+", "4"}},
		"shape":   {array.FromSlice(dev, []float32{1, 2}, 2), []string{"Shape"}},
		"freed":   {freed, []string{"array: ToSlice of float32 (2, 2): its memory was given back", fmt.Sprintf("(compared at arraycmp_test.go:%d)", line+10)}},
		"error":   {x.Add(array.Ones[float32](dev, 7)), []string{"array: Add of float32 (2, 2), float32 (7,) at arraycmp_test.go"}},
	} {
		diff := cmp.Diff(x, c.y, arraycmp.EquateArrays())
		for _, want := range c.text {
			if !strings.Contains(diff, want) {
				t.Errorf("%s: the difference does not say %q:\n%s", name, want, diff)
			}
		}
	}
}

func ExampleEquateArrays() {
	dev, err := array.Open(array.Simulated())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dev.Close()
	x := array.FromSlice(dev, []float32{0.1, 0.2, 0.3})
	y := x.MulScalar(3).DivScalar(3)
	fmt.Println(cmp.Equal(x, y, arraycmp.EquateArrays(arraycmp.Within(1e-6, 0))))
	// Output: true
}
