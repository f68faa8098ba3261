package array

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

// What NumPy 2 prints for the same arrays, but for true and false, which are Go's.
func TestPrintsLikeNumPy(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	of := func(x ...float64) *Array[float64] { return FromSlice(dev, x) }
	single := func(x ...float32) *Array[float32] { return FromSlice(dev, x) }
	count := func(n int, shape ...int) *Array[int64] { return Arange[int64](dev, 0, int64(n), 1).Reshape(shape...) }
	for _, c := range []struct {
		a    fmt.Stringer
		want string
	}{
		{FromSlice(dev, []int32{1, 2, 3}), "[1 2 3]"},
		{FromSlice(dev, []int8{-100, 7, 0}), "[-100    7    0]"},
		{FromSlice(dev, []uint64{math.MaxUint64, 1}), "[18446744073709551615                    1]"},
		{FromSlice(dev, []bool{true, false}), "[ true false]"},
		{Scalar(dev, true), "true"},
		{Scalar(dev, 3.5), "3.5"},
		{Scalar(dev, 3.0), "3.0"},
		{Scalar(dev, int16(-7)), "-7"},
		{Scalar(dev, float32(0.1)), "0.1"},
		{Scalar(dev, 1.0/3), "0.3333333333333333"},
		{Scalar(dev, 1e20), "1e+20"},
		{Scalar(dev, nan), "nan"},
		{of(), "[]"},
		{Zeros[float64](dev, 0, 3), "[]"},
		{Zeros[float64](dev, 2, 0), "[]"},
		{count(6, 2, 3), "[[0 1 2]\n [3 4 5]]"},
		{count(6, 2, 3).Transpose(), "[[0 3]\n [1 4]\n [2 5]]"},
		{count(4, 1, 4), "[[0 1 2 3]]"},
		{count(1, 1, 1, 1), "[[[0]]]"},
		{count(24, 2, 3, 4), "[[[ 0  1  2  3]\n  [ 4  5  6  7]\n  [ 8  9 10 11]]\n\n [[12 13 14 15]\n  [16 17 18 19]\n  [20 21 22 23]]]"},
		{count(4, 2, 1, 2, 1), "[[[[0]\n   [1]]]\n\n\n [[[2]\n   [3]]]]"},
		{of(1, 2, 3.5), "[1.  2.  3.5]"},
		{of(1, -1), "[ 1. -1.]"},
		{of(0.1, 0.25), "[0.1  0.25]"},
		{of(0, math.Copysign(0, -1)), "[ 0. -0.]"},
		{of(nan, 1, inf), "[nan  1. inf]"},
		{of(-inf, 1.5, nan), "[-inf  1.5  nan]"},
		{of(nan, nan), "[nan nan]"},
		{of(-inf, inf), "[-inf  inf]"},
		{of(1.0 / 3), "[0.33333333]"},
		{of(1.0/3, 2.0/3, 1), "[0.33333333 0.66666667 1.        ]"},
		{single(1.0/3, 2.0/3), "[0.33333334 0.6666667 ]"},
		{single(16777216, 0.1), "[1.6777216e+07 1.0000000e-01]"},
		{of(1e10, 1), "[1.e+10 1.e+00]"},
		{of(1e-5, 1), "[1.e-05 1.e+00]"},
		{of(0.00001234, 123456), "[1.23400e-05 1.23456e+05]"},
		{of(123456789), "[1.23456789e+08]"},
		{of(12345678.5), "[12345678.5]"},
		{of(99999999), "[99999999.]"},
		{of(0.0001), "[0.0001]"},
		{of(0.00009), "[9.e-05]"},
		{of(1000, 1), "[1000.    1.]"},
		{of(1000, 0.5), "[1.e+03 5.e-01]"},
		{of(1e-300, -1e300), "[ 1.e-300 -1.e+300]"},
		{of(inf, 1e10), "[   inf 1.e+10]"},
		{of(1e-5, 1e100), "[1.e-005 1.e+100]"},
		{of(1.5, nan), "[1.5 nan]"},
		{of(math.Pi, -math.E*100), "[   3.14159265 -271.82818285]"},
		{FromSlice(dev, []Float16{F16(0.1), F16(65504)}), "[1.00e-01 6.55e+04]"},
		{FromSlice(dev, []Float16{F16(1.0 / 3), F16(2)}), "[0.3333 2.    ]"},
		{Linspace(dev, 0.0, 1, 5), "[0.   0.25 0.5  0.75 1.  ]"},
		{Linspace(dev, 0.0, 1, 1001), "[0.    0.001 0.002 ... 0.998 0.999 1.   ]"},
		{count(1000, 1000).Slice(R(0, 30)), "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23\n 24 25 26 27 28 29]"},
		{count(1001, 1001), "[   0    1    2 ...  998  999 1000]"},
		{count(10000, 100, 100), "[[   0    1    2 ...   97   98   99]\n [ 100  101  102 ...  197  198  199]\n [ 200  201  202 ...  297  298  299]\n ...\n [9700 9701 9702 ... 9797 9798 9799]\n [9800 9801 9802 ... 9897 9898 9899]\n [9900 9901 9902 ... 9997 9998 9999]]"},
		{count(2000, 2, 1000), "[[   0    1    2 ...  997  998  999]\n [1000 1001 1002 ... 1997 1998 1999]]"},
		{count(2000, 1000, 2), "[[   0    1]\n [   2    3]\n [   4    5]\n ...\n [1994 1995]\n [1996 1997]\n [1998 1999]]"},
	} {
		if got := c.a.String(); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

func TestFormat(t *testing.T) {
	x := FromSlice(dev, []float32{1, 2.5, -1.0 / 3})
	for _, c := range []struct{ got, want string }{
		{fmt.Sprint(x), "[ 1.          2.5        -0.33333334]"},
		{fmt.Sprintf("%v|%s|%d", x.Slice(I(1)), x.Slice(I(1)), x.Slice(I(1))), "2.5|2.5|2.5"},
		{fmt.Sprintf("%.2f", x), "[ 1.00  2.50 -0.33]"},
		{fmt.Sprintf("%.0f", x.Slice(R(0, 2))), "[1 2]"},
		{fmt.Sprintf("%.1f", Scalar(dev, 0.25)), "0.2"},
		{fmt.Sprintf("%.3f", FromSlice(dev, []int8{1, -2})), "[ 1 -2]"},
		{fmt.Sprintf("%.3v", x), "[ 1.000  2.500 -0.333]"},
		{fmt.Sprintf("%f", x), "[ 1.000000  2.500000 -0.333333]"},
		{fmt.Sprintf("%.1e", FromSlice(dev, []float64{1e-9, -250, math.NaN()})), "[ 1.0e-09 -2.5e+02      nan]"},
		{fmt.Sprintf("%.3g|%g", FromSlice(dev, []float32{1e-9, 1234.5}), Scalar(dev, float32(0.1))), "[   1e-09 1.23e+03]|0.1"},
		{fmt.Sprintf("%8.2f|%+.1f", Scalar(dev, 3.14159), Scalar(dev, BF16(2))), "    3.14|+2.0"},
		{fmt.Sprintf("%6.2f|%5.1f", x.Slice(R(0, 2)), Scalar(dev, math.Inf(-1))), "[  1.00   2.50]| -inf"},
		{fmt.Sprintf("%4d|%#x|%03d", FromSlice(dev, []int8{1, -20}), FromSlice(dev, []uint8{255, 1}), Scalar(dev, int64(7))), "[   1  -20]|[0xff  0x1]|007"},
		{fmt.Sprintf("%d|%x", x, FromSlice(dev, []bool{true, false})), "[ 1.          2.5        -0.33333334]|[ true false]"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// An array that cannot be read prints why.
func TestPrintsErrors(t *testing.T) {
	freed := Ones[int32](dev, 3)
	freed.Free()
	for _, c := range []struct {
		got, want string
	}{
		{fmt.Sprint(Ones[int32](dev, 2).Add(Ones[int32](dev, 3))), "array: Add of int32 (2,), int32 (3,) at print_test.go"},
		{fmt.Sprint(freed), "array: String"},
		{fmt.Sprint((*Array[bool])(nil)), "array: String"},
		{fmt.Sprintf("%.3f", new(Array[float32])), "nil or a zero Array"},
	} {
		if !strings.Contains(c.got, c.want) {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// Printing a large array reads the elements that it shows and leaves no array behind.
func TestPrintingFreesWhatItMakes(t *testing.T) {
	x := Zeros[float32](dev, 3000, 1000).Transpose()
	before := dev.Stats().Arrays
	want := "[[0. 0. 0. ... 0. 0. 0.]\n [0. 0. 0. ... 0. 0. 0.]\n [0. 0. 0. ... 0. 0. 0.]\n ...\n [0. 0. 0. ... 0. 0. 0.]\n [0. 0. 0. ... 0. 0. 0.]\n [0. 0. 0. ... 0. 0. 0.]]"
	if got := x.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if after := dev.Stats().Arrays; after > before {
		t.Errorf("%d arrays before, %d after", before, after)
	}
	x = Ones[float32](dev, 1).BroadcastTo(1<<30, 1<<20)
	if got := x.String(); !strings.HasPrefix(got, "[[1. 1. 1. ... 1. 1. 1.]\n") {
		t.Errorf("got\n%s", got)
	}
}
