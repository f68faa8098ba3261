package array

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestViewMethods shows that each method is the layout operation of its name; the
// arithmetic is held against a model in shape_test.go.
func TestViewMethods(t *testing.T) {
	x := Arange[int32](dev, 0, 24, 1).Reshape(2, 3, 4)
	for _, c := range []struct {
		name   string
		a      *Array[int32]
		shape  string
		values string
	}{
		{"Slice", x.Slice(I(-1), R(0, 2), R(End, End, -3)), "[2 2]", "[15 12 19 16]"},
		{"Transpose", x.Slice(I(0)).Transpose(), "[4 3]", "[0 4 8 1 5 9 2 6 10 3 7 11]"},
		{"PermuteDims", x.PermuteDims(2, 0, 1).Slice(I(1)), "[2 3]", "[1 5 9 13 17 21]"},
		{"ExpandDims", x.Slice(I(0), I(0)).ExpandDims(-1), "[4 1]", "[0 1 2 3]"},
		{"Squeeze", x.Slice(R(0, 1), R(1, 2)).Squeeze(), "[4]", "[4 5 6 7]"},
		{"Squeeze one", x.Slice(R(0, 1), R(1, 2)).Squeeze(1), "[1 4]", "[4 5 6 7]"},
		{"BroadcastTo", x.Slice(I(0), I(0), R(0, 2)).BroadcastTo(2, 2), "[2 2]", "[0 1 0 1]"},
		{"Flip", x.Slice(I(0), R(0, 2), R(0, 2)).Flip(0), "[2 2]", "[4 5 0 1]"},
		{"Reshape of a view", x.Slice(All, R(0, 1)).Reshape(8), "[8]", "[0 1 2 3 12 13 14 15]"},
		{"Reshape that copies", x.Slice(I(0)).Transpose().Reshape(2, -1), "[2 6]", "[0 4 8 1 5 9 2 6 10 3 7 11]"},
		{"Flatten", x.Slice(I(0), R(0, 1)).Flatten(), "[4]", "[0 1 2 3]"},
		{"Flatten of nothing", Zeros[int32](dev, 0, 3).Flatten(), "[0]", "[]"},
		{"Clone", x.Slice(I(0), R(0, 2), R(0, 2)).Transpose().Clone(), "[2 2]", "[0 4 1 5]"},
	} {
		if got := fmt.Sprint(c.a.Shape()); got != c.shape {
			t.Errorf("%s: shape %s, want %s", c.name, got, c.shape)
		}
		if got := fmt.Sprint(values(t, c.a)); got != c.values {
			t.Errorf("%s: %s, want %s", c.name, got, c.values)
		}
	}
	if got := x.Transpose().Strides(); !slices.Equal(got, []int{1, 4, 12}) {
		t.Errorf("strides of the transpose: %v", got)
	}
	if x.Rank() != 3 || x.Size() != 24 || x.DType() != "int32" || x.Device() != dev {
		t.Errorf("rank %d, size %d, type %s, device %v", x.Rank(), x.Size(), x.DType(), x.Device())
	}
}

func TestItems(t *testing.T) {
	x := Arange[float64](dev, 0, 6, 1).Reshape(2, 3)
	if v, err := x.At(1, -1); v != 5 || err != nil {
		t.Errorf("At(1, -1) = %v, %v", v, err)
	}
	if v, err := x.Sum().Item(); v != 15 || err != nil {
		t.Errorf("Item = %v, %v", v, err)
	}
	for _, index := range [][]int{{}, {1}, {0, 3}, {-3, 0}, {math.MinInt, 0}} {
		if _, err := x.At(index...); !errors.Is(err, ErrIndex) {
			t.Errorf("At(%v): %v, want ErrIndex", index, err)
		}
	}
	if _, err := x.Item(); !errors.Is(err, ErrShape) {
		t.Errorf("Item of six elements: %v", err)
	}
	if err := x.CopyTo(make([]float64, 5)); !errors.Is(err, ErrShape) {
		t.Errorf("CopyTo of the wrong length: %v", err)
	}
}

func TestJoin(t *testing.T) {
	rng := seeded(t)
	for range 12 {
		rank := 1 + rng.IntN(3)
		axis := rng.IntN(rank)
		shape := make([]int, rank)
		for i := range shape {
			shape[i] = rng.IntN(4)
		}
		var parts []*Array[int16]
		var model []sample[int16]
		for range 1 + rng.IntN(4) {
			shape[axis] = rng.IntN(4)
			s := newSampleOf(t, rng, shape, 0, func() int16 { return int16(rng.Uint32()) })
			parts, model = append(parts, s.array), append(model, s)
		}
		got := Concat(axis-rank*rng.IntN(2), parts...)
		read := sample[int16]{grid: grid{shape: got.Shape()}, data: values(t, got)}
		read.grid.each(func(index []int) {
			from := slices.Clone(index)
			for k := range model {
				if n := model[k].grid.shape[axis]; from[axis] >= n {
					from[axis] -= n
				} else if n != 0 {
					p := 0
					for i, d := range model[k].grid.shape {
						p = p*d + from[i]
					}
					q := 0
					for i, d := range read.grid.shape {
						q = q*d + index[i]
					}
					if read.data[q] != model[k].data[p] {
						t.Fatalf("element %v is %d, want %d", index, read.data[q], model[k].data[p])
					}
					return
				}
			}
			t.Fatalf("element %v is of no part", index)
		})
	}
	a, b := FromSlice(dev, []int32{1, 2}), FromSlice(dev, []int32{3, 4})
	if got := values(t, Stack(-1, a, b)); fmt.Sprint(got) != "[1 3 2 4]" {
		t.Errorf("Stack along the last axis: %v", got)
	}
	for name, err := range map[string]error{
		"no arrays":    Concat[int32](0).Err(),
		"other sizes":  Concat(0, Ones[int32](dev, 2, 2), Ones[int32](dev, 2, 3)).Err(),
		"other ranks":  Concat(0, a, Ones[int32](dev, 2, 2)).Err(),
		"other shapes": Stack(0, a, Ones[int32](dev, 3)).Err(),
	} {
		if !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v, want ErrShape", name, err)
		}
	}
	if err := Concat(1, a, b).Err(); !errors.Is(err, ErrIndex) {
		t.Errorf("axis 1 of rank 1: %v", err)
	}
}

// TestIndexString prints indices as programs write them.
func TestIndexString(t *testing.T) {
	for want, x := range map[string]Index{
		"All": All, "I(3)": I(3), "I(-1)": I(-1), "R(0, 10)": R(0, 10), "R(2, End)": R(2, End, 1), "R(End, End, -1)": R(End, End, -1),
		"R(-3, 7, 0)": R(-3, 7, 0), "R(1, 2, and 3 steps)": R(1, 2, 1, 1, 1),
	} {
		if got := fmt.Sprint(x); got != want {
			t.Errorf("%s prints as %s", want, got)
		}
	}
}

// TestAssign writes random views of one array to random views of the same array,
// against a plain model.
func TestAssign(t *testing.T) {
	rng := seeded(t)
	for range 60 {
		shape := []int{4, 6}
		if rng.IntN(2) == 0 {
			shape = []int{45, 60} // more than one warp reads before the first has written
		}
		l, _ := newLayout(shape, typeOf[int32]())
		base := make([]int32, l.Len())
		for i := range base {
			base[i] = int32(rng.Uint32())
		}
		a := FromSlice(dev, base, shape...)
		view := func() (layout, grid) {
			v, g := l, gridOf(&l)
			for range 3 {
				_, v, g, _ = randomView(rng, v, g)
			}
			return v, g
		}
		to, toGrid := view()
		from, _ := view()
		switch rng.IntN(4) {
		case 0:
			from = to
		case 1:
			from, _ = flip(&to, nil)
		}
		dst := toHandle(a, to)
		err := dst.Assign(toHandle(a, from))
		stretched, fits := broadcastTo(&from, dims(&to))
		if fits != nil || overlapsItself(&to) {
			if !errors.Is(err, ErrShape) {
				t.Fatalf("Assign of %v to %v: %v, want ErrShape", from, to, err)
			}
		} else {
			if err != nil {
				t.Fatal(err)
			}
			before := slices.Clone(base)
			for i, p := range gridOf(&stretched).at {
				base[toGrid.at[i]] = before[p]
			}
		}
		if got := values(t, a); !slices.Equal(got, base) {
			t.Fatalf("Assign of %v to %v in %v differs from the model", from, to, shape)
		}
	}
}

func toHandle(a *Array[int32], l layout) *Array[int32] {
	return to[int32](call{op: "test"}.view(a.h(), l))
}

func TestFill(t *testing.T) {
	x := Zeros[int64](dev, 2, 3)
	if err := x.Slice(All, I(1)).Fill(-7); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(values(t, x)); got != "[0 -7 0 0 -7 0]" {
		t.Error(got)
	}
	if err := x.Slice(I(0)).BroadcastTo(2, 3).Fill(1); !errors.Is(err, ErrShape) {
		t.Errorf("Fill through a broadcast: %v", err)
	}
}

func TestCompareArrays(t *testing.T) {
	x := FromSlice(dev, []float32{1, 2, float32(math.Inf(1))})
	y := FromSlice(dev, []float32{1, 2.0001, float32(math.Inf(1))})
	nan := FromSlice(dev, []float32{float32(math.NaN())})
	for _, c := range []struct {
		name string
		got  func() (bool, error)
		want bool
	}{
		{"close", func() (bool, error) { return AllClose(x, y, 1e-3, 0) }, true},
		{"not close", func() (bool, error) { return AllClose(x, y, 1e-6, 0) }, false},
		{"infinity is close to itself only", func() (bool, error) { return AllClose(x.Slice(R(0, 1)), x.Slice(R(2, 3)), 1, 1) }, false},
		{"broadcast", func() (bool, error) { return AllClose(x.Slice(R(0, 2)), Scalar[float32](dev, 1.5), 0, 0.5) }, true},
		{"NaN", func() (bool, error) { return AllClose(nan, nan, 1, 1) }, false},
		{"of nothing", func() (bool, error) { return AllClose(x.Slice(R(0, 0)), x.Slice(R(0, 0)), 0, 0) }, true},
		{"equal", func() (bool, error) { return ArrayEqual(x, x.Clone()) }, true},
		{"not equal", func() (bool, error) { return ArrayEqual(x, y) }, false},
		{"other shape", func() (bool, error) { return ArrayEqual(x, x.ExpandDims(0)) }, false},
		{"NaN is not equal", func() (bool, error) { return ArrayEqual(nan, nan) }, false},
	} {
		if got, err := c.got(); got != c.want || err != nil {
			t.Errorf("%s: %v, %v", c.name, got, err)
		}
	}
	if _, err := AllClose(x, Ones[float32](dev, 2), 0, 0); !errors.Is(err, ErrShape) {
		t.Errorf("shapes that do not fit: %v", err)
	}
}
