package array

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// joinParts makes arrays of 3 columns, or rows where they are joined along axis 1, and what
// they hold when they are joined. Among them are, where asked for, views, arrays that are
// not evaluated and empty ones.
func joinParts(d *Device, rng *rand.Rand, axis, arrays int, mixed bool) (parts []*Array[int32], want []int32) {
	rows := make([][]int32, 3)
	for i := range arrays {
		n := 1 + rng.IntN(5)
		host := make([]int32, 3*n)
		for k := range host {
			host[k] = rng.Int32()
			row := axis * k / n
			rows[row] = append(rows[row], host[k])
		}
		shape := []int{n, 3}
		if axis == 1 {
			shape = []int{3, n}
		}
		x := FromSlice(d, host, shape...)
		switch {
		case mixed && i%4 == 1:
			x = Stack(2, x, x.Neg()).Slice(All, All, I(0))
		case mixed && i%4 == 2:
			x = x.Neg().Neg() // not evaluated
		case mixed && i%4 == 3:
			shape[axis] = 0
			parts = append(parts, Zeros[int32](d, shape...))
		}
		parts = append(parts, x)
	}
	return parts, slices.Concat(rows...)
}

// TestConcatLaunches joins few arrays and many, at once and in a graph: a kernel takes 128
// of them, 32 where the axis is not the outermost.
func TestConcatLaunches(t *testing.T) {
	d, _ := newRecorded(t)
	rng := seeded(t)
	for _, c := range []struct{ axis, arrays, launches int }{
		{0, 1, 1}, {0, 2, 1}, {0, 8, 1}, {0, 9, 1}, {0, 128, 1}, {0, 129, 2}, {0, 1000, 8},
		{1, 1, 1}, {1, 2, 1}, {1, 32, 1}, {1, 34, 2}, {1, 1000, 32},
	} {
		for _, mixed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d along axis %d, mixed %v", c.arrays, c.axis, mixed), func(t *testing.T) {
				parts, want := joinParts(d, rng, c.axis, c.arrays, mixed)
				before := d.Stats().Launches
				joined := Concat(c.axis, parts...)
				if n := int(d.Stats().Launches - before); !mixed && n != c.launches {
					t.Errorf("%d launches, want %d", n, c.launches)
				}
				if got := values(t, joined); !slices.Equal(got, want) {
					t.Errorf("got %v\nwant %v", got, want)
				}
				var kept *Array[int32]
				g := capture(t, d, func(c2 *Device) error {
					kept = Concat(c.axis, append([]*Array[int32]{parts[0].On(c2)}, parts[1:]...)...).Keep()
					return kept.Err()
				})
				if !mixed && g.kernels != c.launches {
					t.Errorf("a %v, want %d kernels", g, c.launches)
				}
				if err := parts[len(parts)-1].Fill(5); err != nil {
					t.Fatal(err)
				}
				launch(t, g)
				if got, want := values(t, kept), values(t, Concat(c.axis, parts...)); !slices.Equal(got, want) {
					t.Errorf("a graph gives %v\nwant %v", got, want)
				}
			})
		}
	}
}
