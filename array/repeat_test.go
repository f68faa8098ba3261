package array

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// rearranged compares an operation on samples with a model: the place that each
// element of the result comes from, or false for a constant.
func rearranged(t *testing.T, name string, rng *rand.Rand, constant float32, op func(a *Array[float32], s []int) (*Array[float32], []int, func(index, from []int) bool)) {
	t.Helper()
	for k := range 20 {
		a := newSample(t, rng, rng.Float32)
		x := a.array
		if k%2 == 0 {
			x = x.MulScalar(1) // an expression
		}
		r, shape, source := op(x, a.grid.shape)
		got := sample[float32]{grid: grid{shape: shape}, data: values(t, r)}
		if !slices.Equal(r.Shape(), shape) {
			t.Fatalf("%s of %v: shape %v, want %v", name, a.grid.shape, r.Shape(), shape)
		}
		l, _ := newLayout(shape, typeOf[float32]())
		g := gridOf(&l)
		from := make([]int, len(a.grid.shape))
		g.each(func(index []int) {
			want := constant
			if source(index, from) {
				want = a.at(from)
			}
			if v := got.at(index); v != want {
				t.Fatalf("%s of %v: element %v is %v, want %v", name, a.grid.shape, index, v, want)
			}
		})
	}
}

func TestTileRepeatRollPad(t *testing.T) {
	rng := seeded(t)
	rearranged(t, "Tile", rng, 0, func(a *Array[float32], s []int) (*Array[float32], []int, func(index, from []int) bool) {
		counts := make([]int, rng.IntN(len(s)+2))
		for i := range counts {
			counts[i] = []int{1, 1, 2, 3, 0}[rng.IntN(5)]
		}
		lead := max(len(counts)-len(s), 0)
		shape := append(slices.Repeat([]int{1}, lead), s...)
		for i, n := range counts {
			shape[len(shape)-len(counts)+i] *= n
		}
		return a.Tile(counts...), shape, func(index, from []int) bool {
			for i := range from {
				from[i] = index[lead+i] % s[i]
			}
			return true
		}
	})
	rearranged(t, "Repeat", rng, 0, func(a *Array[float32], s []int) (*Array[float32], []int, func(index, from []int) bool) {
		if len(s) == 0 {
			return a.Clone(), s, func(_, _ []int) bool { return true }
		}
		count, axis := rng.IntN(4), rng.IntN(len(s))
		shape := slices.Clone(s)
		shape[axis] *= count
		return a.Repeat(count, axis-len(s)*rng.IntN(2)), shape, func(index, from []int) bool {
			copy(from, index)
			from[axis] /= count
			return true
		}
	})
	rearranged(t, "Roll", rng, 0, func(a *Array[float32], s []int) (*Array[float32], []int, func(index, from []int) bool) {
		if len(s) == 0 {
			return a.Clone(), s, func(_, _ []int) bool { return true }
		}
		shift, axis := rng.IntN(50)-25, rng.IntN(len(s))
		return a.Roll(shift, axis-len(s)*rng.IntN(2)), s, func(index, from []int) bool {
			copy(from, index)
			from[axis] = ((index[axis]-shift)%s[axis] + s[axis]) % s[axis]
			return true
		}
	})
	rearranged(t, "Pad", rng, 7, func(a *Array[float32], s []int) (*Array[float32], []int, func(index, from []int) bool) {
		widths, shape := make([][2]int, len(s)), slices.Clone(s)
		for i := range widths {
			widths[i] = [2]int{rng.IntN(3), rng.IntN(3)}
			shape[i] += widths[i][0] + widths[i][1]
		}
		return a.Pad(7, widths...), shape, func(index, from []int) bool {
			for i := range from {
				from[i] = index[i] - widths[i][0]
				if from[i] < 0 || from[i] >= s[i] {
					return false
				}
			}
			return true
		}
	})
}

// TestRepeatsOfEdges has shapes without elements, without axes and with all of them.
func TestRepeatsOfEdges(t *testing.T) {
	x := FromSlice(dev, []int16{1, 2, 3})
	for name, c := range map[string]struct {
		got   *Array[int16]
		shape []int
		want  []int16
	}{
		"tile of rank 0":         {Scalar(dev, int16(5)).Tile(2, 2), []int{2, 2}, []int16{5, 5, 5, 5}},
		"tile by nothing":        {x.Tile(), []int{3}, []int16{1, 2, 3}},
		"tile of nothing":        {Zeros[int16](dev, 0, 2).Tile(3, 2), []int{0, 4}, []int16{}},
		"pad of nothing":         {Zeros[int16](dev, 0).Pad(4, [2]int{1, 1}), []int{2}, []int16{4, 4}},
		"pad of rank 0":          {Scalar(dev, int16(5)).Pad(4), []int{}, []int16{5}},
		"pad to nothing":         {Zeros[int16](dev, 0, 0).Pad(4, [2]int{}, [2]int{1, 1}), []int{0, 2}, []int16{}},
		"roll of nothing":        {Zeros[int16](dev, 0).Roll(3, 0), []int{0}, []int16{}},
		"no repeats":             {x.Repeat(0, 0), []int{0}, []int16{}},
		"tile of a broadcast":    {x.Slice(I(0)).BroadcastTo(2).Tile(2), []int{4}, []int16{1, 1, 1, 1}},
		"repeat of a flipped":    {x.Flip().Repeat(2, 0), []int{6}, []int16{3, 3, 2, 2, 1, 1}},
		"pad of bool's like":     {x.Pad(-1, [2]int{2, 0}), []int{5}, []int16{-1, -1, 1, 2, 3}},
		"roll by the smallest":   {x.Roll(-1<<63, 0), []int{3}, []int16{3, 1, 2}},
		"many counts of one axe": {x.Reshape(3, 1, 1, 1, 1, 1, 1, 1).Tile(1, 2, 1, 1, 1, 1, 1, 1), []int{3, 2, 1, 1, 1, 1, 1, 1}, []int16{1, 1, 2, 2, 3, 3}},
	} {
		if got := values(t, c.got); !slices.Equal(got, c.want) || !slices.Equal(c.got.Shape(), c.shape) {
			t.Errorf("%s: %v of shape %v, want %v of shape %v", name, got, c.got.Shape(), c.want, c.shape)
		}
	}
	// All eight axes repeated take more axes than there are.
	y := Arange[int16](dev, 0, 256, 1).Reshape(2, 2, 2, 2, 2, 2, 2, 2)
	z := y.Tile(2, 2, 2, 2, 2, 2, 2, 2)
	for _, index := range [][]int{{0, 1, 2, 3, 3, 2, 1, 0}, {3, 3, 3, 3, 3, 3, 3, 3}, {2, 0, 0, 0, 0, 0, 0, 1}} {
		var from []int
		for _, i := range index {
			from = append(from, i%2)
		}
		got, err := z.At(index...)
		want, err1 := y.At(from...)
		if got != want || err != nil || err1 != nil {
			t.Errorf("at %v: %v, %v; want %v", index, got, err, want)
		}
	}
}

// TestFillsKeepBits: a value that is stored, and not computed with, keeps its bits,
// those of a NaN too.
func TestFillsKeepBits(t *testing.T) {
	const bits = 0xfd23
	nan := Float16FromBits(bits)
	whole, part := Zeros[Float16](dev, 2, 3), Zeros[Float16](dev, 2, 3)
	for _, err := range []error{whole.Fill(nan), part.Slice(All, R(0, 1)).Fill(nan)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, a := range map[string]*Array[Float16]{
		"Full": Full(dev, nan, 2), "Fill": whole, "Fill of a view": part, "Pad": Zeros[Float16](dev, 2).Pad(nan, [2]int{1, 0}),
		"Clone": Full(dev, nan, 2, 2).Transpose().Clone(), "Tile": Full(dev, nan, 1).Tile(2), "Concat": Concat(0, Full(dev, nan, 2), whole.Slice(I(0))),
	} {
		if got := values(t, a)[0].Bits(); got != bits {
			t.Errorf("%s: %#x, want %#x", name, got, bits)
		}
	}
}
