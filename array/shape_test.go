package array

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// grid is the plain model of a view: a shape, and for each element in row-major
// order the position that it has in memory.
type grid struct {
	shape []int
	at    []int
}

// gridOf lists the positions of a layout by brute force.
func gridOf(l *layout) grid {
	g := grid{shape: append([]int{}, dims(l)...)}
	g.each(func(index []int) {
		p := l.Offset
		for i, x := range index {
			p += x * l.Strides[i]
		}
		g.at = append(g.at, p)
	})
	return g
}

// each calls f with every index of the shape in row-major order.
func (g grid) each(f func(index []int)) {
	index := make([]int, len(g.shape))
	var walk func(axis int)
	walk = func(axis int) {
		if axis == len(g.shape) {
			f(index)
			return
		}
		for index[axis] = range g.shape[axis] {
			walk(axis + 1)
		}
	}
	walk(0)
}

// get returns the position of an index.
func (g grid) get(index []int) int {
	p := 0
	for i, x := range index {
		p = p*g.shape[i] + x
	}
	return g.at[p]
}

// from makes a grid of a shape whose elements are g's at the index that f gives.
func (g grid) from(shape []int, f func(index []int) []int) grid {
	r := grid{shape: shape}
	r.each(func(index []int) { r.at = append(r.at, g.get(f(index))) })
	return r
}

func (g grid) equal(o grid) bool { return slices.Equal(g.shape, o.shape) && slices.Equal(g.at, o.at) }

// randomView applies one random view operation to a layout and to its model.
func randomView(rng *rand.Rand, l layout, g grid) (string, layout, grid, error) {
	rank := l.Rank
	switch op := rng.IntN(7); {
	case op == 0 && rank > 0:
		axes := rng.Perm(rank)
		r, err := permute(&l, axes)
		shape := make([]int, rank)
		for i, a := range axes {
			shape[i] = g.shape[a]
		}
		return fmt.Sprint("permute", axes), r, g.from(shape, func(index []int) []int {
			from := make([]int, rank)
			for i, a := range axes {
				from[a] = index[i]
			}
			return from
		}), err
	case op == 1 && rank < 6:
		axis := rng.IntN(rank + 1)
		r, err := expand(&l, []int{axis - (rank+1)*rng.IntN(2)})
		return fmt.Sprint("expand", axis), r, grid{slices.Insert(slices.Clone(g.shape), axis, 1), g.at}, err
	case op == 2:
		r, err := squeeze(&l, nil)
		return "squeeze", r, grid{slices.DeleteFunc(slices.Clone(g.shape), func(n int) bool { return n == 1 }), g.at}, err
	case op == 3 && rank > 0:
		axis := rng.IntN(rank)
		r, err := flip(&l, []int{axis})
		return fmt.Sprint("flip", axis), r, g.from(g.shape, func(index []int) []int {
			from := slices.Clone(index)
			from[axis] = g.shape[axis] - 1 - index[axis]
			return from
		}), err
	case op == 4 && rank < 6 && len(g.at) < 2000:
		shape := slices.Clone(g.shape)
		for i, n := range shape {
			if n == 1 && rng.IntN(2) == 0 {
				shape[i] = rng.IntN(4)
			}
		}
		lead := rng.IntN(2)
		if lead == 1 {
			shape = append([]int{2}, shape...)
		}
		r, err := broadcastTo(&l, shape)
		return fmt.Sprint("broadcast", shape), r, g.from(shape, func(index []int) []int {
			from := slices.Clone(index[lead:])
			for i := range from {
				if g.shape[i] == 1 {
					from[i] = 0
				}
			}
			return from
		}), err
	case op == 5 && rank > 0:
		return randomSlice(rng, l, g)
	}
	return randomReshape(rng, l, g)
}

// randomSlice follows Python's slice semantics as the model.
func randomSlice(rng *rand.Rand, l layout, g grid) (string, layout, grid, error) {
	axis := rng.IntN(l.Rank)
	n := g.shape[axis]
	index := make([]Index, axis+1)
	var picked []int
	drop := n > 0 && rng.IntN(4) == 0
	if drop {
		picked = []int{rng.IntN(n)}
		index[axis] = I(picked[0] - n*rng.IntN(2))
	} else {
		lo, hi, step := rng.IntN(n+1), rng.IntN(n+1), rng.IntN(7)-3
		if step == 0 {
			step = 1
		}
		for i := lo; step > 0 && i < hi || step < 0 && i > hi; i += step {
			if i < n { // a range downwards starts at the last element at most
				picked = append(picked, i)
			} else if step < -1 {
				i = n - 1 - step // and counts its steps from there
			}
		}
		index[axis] = R(lo, hi, step)
	}
	r, err := slice(&l, index)
	shape := slices.Clone(g.shape)
	shape[axis] = len(picked)
	m := g.from(shape, func(index []int) []int {
		from := slices.Clone(index)
		from[axis] = picked[index[axis]]
		return from
	})
	if drop {
		m.shape = slices.Delete(m.shape, axis, axis+1)
	}
	return fmt.Sprintf("slice axis %d %+v", axis, index[axis]), r, m, err
}

// randomReshape splits or merges axes. Where no view is possible the layout stays.
func randomReshape(rng *rand.Rand, l layout, g grid) (string, layout, grid, error) {
	size := len(g.at)
	var shape []int
	rest := size
	for rest > 1 && len(shape) < 4 {
		d := 1
		for _, p := range []int{2, 3, 5} {
			if rest%p == 0 && rng.IntN(2) == 0 {
				d *= p
			}
		}
		shape = append(shape, d)
		rest /= d
	}
	shape = append(shape, rest)
	asked := slices.Clone(shape)
	if size > 0 {
		asked[rng.IntN(len(asked))] = -1
	}
	resolved, err := resolveShape(asked, size)
	if err != nil {
		return "reshape", l, g, err
	}
	r, ok := reshape(&l, resolved)
	if !ok {
		if l.IsContiguous() {
			return "reshape", l, g, fmt.Errorf("no view of a contiguous layout %v as %v", l, resolved)
		}
		return "no reshape", l, g, nil
	}
	return fmt.Sprint("reshape", shape), r, grid{shape, g.at}, nil
}

func TestViewsAgainstModel(t *testing.T) {
	for range 3000 {
		viewsAgainstModel(t, rand.Uint64())
	}
}

func FuzzViews(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) { viewsAgainstModel(t, seed) })
}

// viewsAgainstModel applies some random view operations, drawn from seed, to a
// layout and to its model.
func viewsAgainstModel(t *testing.T, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 1))
	shape := make([]int, rng.IntN(5))
	for i := range shape {
		shape[i] = []int{0, 1, 1, 2, 3, 4, 6}[rng.IntN(7)]
	}
	l, err := newLayout(shape, kernels.Float32)
	if err != nil {
		t.Fatal(err)
	}
	g := gridOf(&l)
	path := fmt.Sprint("seed ", seed, ": ", shape)
	for range 6 {
		var op string
		op, l, g, err = randomView(rng, l, g)
		path += " " + op
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if got := gridOf(&l); !got.equal(g) {
			t.Fatalf("%s:\n got %v\nwant %v", path, got, g)
		}
		if l.Len() != len(g.at) {
			t.Fatalf("%s: %d elements, want %d", path, l.Len(), len(g.at))
		}
		checkSelfOverlap(t, path, &l, g)
	}
}

// checkSelfOverlap compares overlapsItself with counting, and the span of a layout
// with its positions.
func checkSelfOverlap(t *testing.T, what string, l *layout, g grid) {
	t.Helper()
	unique := slices.Clone(g.at)
	slices.Sort(unique)
	if got, want := overlapsItself(l), len(slices.Compact(unique)) < len(g.at); got != want {
		t.Fatalf("%s: overlapsItself is %v, want %v (%v)", what, got, want, l)
	}
}

func TestBroadcastAgainstModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	sizes := []int{0, 1, 1, 2, 3}
	for range 5000 {
		a, b := make([]int, rng.IntN(4)), make([]int, rng.IntN(4))
		for _, s := range [][]int{a, b} {
			for i := range s {
				s[i] = sizes[rng.IntN(len(sizes))]
			}
		}
		want, fits := plainBroadcast(a, b)
		la, _ := newLayout(a, kernels.Bool)
		lb, _ := newLayout(b, kernels.Bool)
		got, err := broadcast(&la, &lb)
		if (err == nil) != fits || fits && !slices.Equal(dims(&got), want) {
			t.Fatalf("broadcast of %v and %v: %v, %v; want %v, %v", a, b, dims(&got), err, want, fits)
		}
		if err != nil && !errors.Is(err, ErrShape) {
			t.Fatalf("broadcast of %v and %v: %v is not ErrShape", a, b, err)
		}
	}
}

func plainBroadcast(a, b []int) ([]int, bool) {
	n := max(len(a), len(b))
	r := make([]int, n)
	for i := range n {
		x, y := 1, 1
		if j := len(a) - n + i; j >= 0 {
			x = a[j]
		}
		if j := len(b) - n + i; j >= 0 {
			y = b[j]
		}
		if x != y && x != 1 && y != 1 {
			return nil, false
		}
		r[i] = x
		if x == 1 {
			r[i] = y
		}
	}
	return r, true
}

func TestShapeErrors(t *testing.T) {
	l, _ := newLayout([]int{2, 3}, kernels.Float32)
	one := func(_ layout, err error) error { return err }
	shapeOf := func(_ []int, err error) error { return err }
	for _, c := range []struct {
		what string
		err  error
		kind error
	}{
		{"negative size", one(newLayout([]int{2, -1}, kernels.Bool)), ErrShape},
		{"nine axes", one(newLayout(make([]int, 9), kernels.Bool)), ErrShape},
		{"overflow", one(newLayout([]int{math.MaxInt, 2}, kernels.Bool)), ErrShape},
		{"overflow in bytes", one(newLayout([]int{1 << 60, 2}, kernels.Float64)), ErrShape},
		{"overflow hidden by 0", one(newLayout([]int{0, math.MaxInt, 4}, kernels.Bool)), ErrShape},
		{"two open sizes", shapeOf(resolveShape([]int{-1, -1}, 6)), ErrShape},
		{"wrong size", shapeOf(resolveShape([]int{4, 2}, 6)), ErrShape},
		{"no size for -1", shapeOf(resolveShape([]int{4, -1}, 6)), ErrShape},
		{"-1 beside 0", shapeOf(resolveShape([]int{0, -1}, 0)), ErrShape},
		{"product overflows", shapeOf(resolveShape([]int{1 << 32, 1 << 32}, 0)), ErrShape},
		{"axis too large", one(expand(&l, []int{3})), ErrIndex},
		{"axis too small", one(expand(&l, []int{-4})), ErrIndex},
		{"axis twice", one(permute(&l, []int{0, -2})), ErrIndex},
		{"too few axes", one(permute(&l, []int{0})), ErrShape},
		{"squeeze of 2", one(squeeze(&l, []int{0})), ErrShape},
		{"index too large", one(slice(&l, []Index{I(2)})), ErrIndex},
		{"index too small", one(slice(&l, []Index{I(-3)})), ErrIndex},
		{"index MinInt", one(slice(&l, []Index{I(math.MinInt)})), ErrIndex},
		{"bound too large", one(slice(&l, []Index{R(0, 3)})), ErrIndex},
		{"bound too small", one(slice(&l, []Index{R(-3, 1)})), ErrIndex},
		{"step 0", one(slice(&l, []Index{R(0, 1, 0)})), ErrIndex},
		{"three indices", one(slice(&l, []Index{All, All, All})), ErrIndex},
		{"broadcast 2 to 3", one(broadcastTo(&l, []int{3, 3})), ErrShape},
		{"broadcast to fewer axes", one(broadcastTo(&l, []int{3})), ErrShape},
		{"broadcast to overflow", one(broadcastTo(&l, []int{math.MaxInt, 2, 3})), ErrShape},
	} {
		if !errors.Is(c.err, c.kind) {
			t.Errorf("%s: error %v, want %v", c.what, c.err, c.kind)
		}
	}
}

func TestSliceEnds(t *testing.T) {
	l, _ := newLayout([]int{5}, kernels.Float32)
	for _, c := range []struct {
		x    Index
		want []int
	}{
		{R(2, End), []int{2, 3, 4}},
		{R(-2, End), []int{3, 4}},
		{R(End, End, -1), []int{4, 3, 2, 1, 0}},
		{R(End, End, -2), []int{4, 2, 0}},
		{R(3, 0, -1), []int{3, 2, 1}},
		{R(0, End, math.MaxInt), []int{0}},
		{R(0, 5, 3), []int{0, 3}},
		{R(3, 2), nil},
		{All, []int{0, 1, 2, 3, 4}},
	} {
		r, err := slice(&l, []Index{c.x})
		if got := gridOf(&r).at; err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v, %v; want %v", c.x, got, err, c.want)
		}
	}
}
