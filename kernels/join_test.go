package kernels

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// joinCase is operands of a join, and what there is where it goes.
type joinCase struct {
	t    Type
	axis int
	out  Layout
	in   []Layout
	data [][]uint64 // of each operand
	old  []uint64
}

// randomJoin makes a case of so many operands whose other sizes are those of shape. Views
// are of any layout.
func randomJoin(r *rand.Rand, t Type, shape []int, axis, operands int, views bool) joinCase {
	c := joinCase{t: t, axis: axis}
	shape = slices.Clone(shape)
	total := 0
	for range operands {
		shape[axis] = []int{0, 1, 1, 2, 3, 4, 8, 16, 33}[r.IntN(9)]
		total += shape[axis]
		l, length := RowMajor(shape...), 0
		if length = l.Len(); views && r.IntN(2) == 0 {
			l, length = randomLayout(r, true, shape...)
		}
		c.in, c.data = append(c.in, l), append(c.data, filled(r, t, length))
	}
	shape[axis] = total
	c.out = RowMajor(shape...)
	length := c.out.Len()
	if views && r.IntN(3) == 0 {
		c.out, length = randomLayout(r, false, shape...)
	}
	c.old = filled(r, t, length)
	return c
}

// run runs a plan for the case and compares with a plain loop.
func (c *joinCase) run(t *testing.T, p *Plan) {
	t.Helper()
	want := slices.Clone(c.old)
	to := c.out
	operands := [][]byte{packElements(c.t, c.old)}
	for i, in := range c.in {
		operands = append(operands, packElements(c.t, c.data[i]))
		to.Shape[c.axis] = in.Shape[c.axis]
		var places []int
		in.each(func(at int) { places = append(places, at) })
		to.each(func(at int) { want[at], places = c.data[i][places[0]], places[1:] })
		to.Offset += in.Shape[c.axis] * c.out.Strides[c.axis]
	}
	newRunner(t).run(t, p, wordOf(c.t), operands...)
	for i, got := range unpackElements(c.t, operands[0]) {
		if got != want[i] {
			t.Fatalf("%v: %d operands along axis %d of %v: place %d is %x, want %x\n%+v\n%+v", c.t, len(c.in), c.axis, c.out.shape(), i, got, want[i], c.out, c.in)
		}
	}
}

// count is how many launches are of kernels for several operands, and of others.
func countJoins(p *Plan) (joins, others int) {
	for i := range p.Launches {
		if strings.HasPrefix(p.Launches[i].Key, "join ") {
			joins++
		} else {
			others++
		}
	}
	return joins, others
}

// TestJoin compares with plain loops, over types, ranks, axes, numbers of operands, views
// and empty operands.
func TestJoin(t *testing.T) {
	r := newRand(t)
	types := []Type{Bool, Int8, Float16, BFloat16, Float32, Int32, Float64, Uint64}
	joined := 0
	for _, shape := range [][]int{{1}, {5}, {1, 16}, {4, 1}, {3, 7}, {2, 8, 3}, {3, 1, 8}, {2, 2, 2, 2}, {2, 1, 2, 1, 2, 1, 2, 2}, {300, 5}, {2, 700}} {
		for axis := range shape {
			for _, operands := range []int{1, 2, 3, 8, 9, 33} {
				for _, views := range []bool{false, true} {
					c := randomJoin(r, types[r.IntN(len(types))], shape, axis, operands, views)
					var p Plan
					if err := Join(&p, c.t, c.out, c.in, axis); err != nil {
						t.Fatal(err)
					}
					n, _ := countJoins(&p)
					joined += n
					c.run(t, &p)
				}
			}
		}
	}
	if joined < 100 {
		t.Errorf("only %d launches were of several operands", joined)
	}
}

// TestJoinMany joins more operands than a launch takes, of unequal sizes; some are large
// and lie so that they are copied by other accesses.
func TestJoinMany(t *testing.T) {
	r := newRand(t)
	for _, c := range []struct {
		shape    []int
		axis     int
		operands int
		launches int // at most
	}{
		{[]int{1}, 0, 128, 1}, {[]int{1}, 0, 129, 2}, {[]int{4, 3}, 0, 1000, 8}, {[]int{3, 4}, 1, 100, 4}, {[]int{2, 2, 2}, 1, 32, 1},
	} {
		j := randomJoin(r, Float32, c.shape, c.axis, c.operands, false)
		for _, l := range j.in { // which may be as large
			if l.Len()*4 >= joinShort {
				t.Fatal("an operand is not short")
			}
		}
		var p Plan
		if err := Join(&p, j.t, j.out, j.in, c.axis); err != nil {
			t.Fatal(err)
		}
		if joins, others := countJoins(&p); joins+others > c.launches {
			t.Errorf("%d operands along axis %d of %v: %d launches of several, %d others, want %d", c.operands, c.axis, c.shape, joins, others, c.launches)
		}
		j.run(t, &p)
	}
}

// TestJoinAccess joins long operands and short ones: the long ones are copied by the
// widest access that each allows, the short ones by one.
func TestJoinAccess(t *testing.T) {
	r := newRand(t)
	c := joinCase{t: Int8, out: RowMajor(0)}
	for _, n := range []int{joinShort, joinShort + 8, 24, joinShort, 100, 20, joinShort + 4, joinShort + 1, 7, joinShort, 1} {
		c.in, c.data = append(c.in, RowMajor(n)), append(c.data, filled(r, Int8, n))
		c.out = RowMajor(c.out.Shape[0] + n)
	}
	c.old = filled(r, Int8, c.out.Len())
	var p Plan
	if err := Join(&p, c.t, c.out, c.in, 0); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for i := range p.Launches {
		key, _, _ := strings.Cut(p.Launches[i].Key, " n")
		keys = append(keys, key)
	}
	if want := []string{"join a16", "ew v16 u1 r0 outc uint8:1c", "join a4", "join a1"}; !slices.Equal(keys, want) {
		t.Errorf("kernels %q, want %q", keys, want)
	}
	if blocks := p.Launches[0].Grid[0]; blocks != 2*joinShort/16/joinThreads {
		t.Errorf("%d blocks for two operands of %d bytes", blocks, joinShort)
	}
	c.run(t, &p)
}

// TestJoinTiles joins operands that lie across the result with others: those go through
// tiles, one by one.
func TestJoinTiles(t *testing.T) {
	r := newRand(t)
	c := joinCase{t: Float32, out: RowMajor(40, 4*64)}
	for i := range 4 {
		l := RowMajor(40, 64)
		if i%2 == 1 {
			l.Strides = [MaxRank]int{1, 40}
		}
		c.in, c.data = append(c.in, l), append(c.data, filled(r, Float32, l.Len()))
	}
	c.axis, c.old = 1, filled(r, Float32, c.out.Len())
	var p Plan
	if err := Join(&p, c.t, c.out, c.in, 1); err != nil {
		t.Fatal(err)
	}
	if joins, others := countJoins(&p); joins != 1 || others != 2 {
		t.Errorf("%d launches of several operands and %d others, want 1 and 2", joins, others)
	}
	c.run(t, &p)
}

// TestJoinParameters plans launches of as many operands as there may be, of any number of
// axes, and of operands of more bytes than those that share one.
func TestJoinParameters(t *testing.T) {
	for rank := 1; rank <= MaxRank; rank++ {
		shape := slices.Repeat([]int{2}, rank)
		shape[0] = 2 * 200
		out := RowMajor(shape...)
		shape[0] = 2
		part := RowMajor(shape...)
		for i := range rank {
			part.Strides[i] *= 3 << (rank - i) // no two axes are one
		}
		var p Plan
		if err := Join(&p, Float64, out, slices.Repeat([]Layout{part}, 200), 0); err != nil {
			t.Fatal(err)
		}
		most := joinCapacity(rank)
		if joins, others := countJoins(&p); joins != ceilDiv(200, most) || others != 0 {
			t.Errorf("rank %d: %d launches of several operands and %d others, want %d of %d", rank, joins, others, ceilDiv(200, most), most)
		}
		for i := range p.Launches {
			if n := p.Launches[i].paramBytes(); n > maxParamBytes {
				t.Errorf("%s has %d bytes of parameters", p.Launches[i].Key, n)
			}
		}
	}
	for _, c := range []struct{ size, others int }{{1 << 31, 2}, {joinLong / 8, 2}, {joinLong/8 - 1, 0}} {
		long := RowMajor(c.size)
		var p Plan
		if err := Join(&p, Float64, RowMajor(2*c.size+2), []Layout{long, RowMajor(1), long, RowMajor(1)}, 0); err != nil {
			t.Fatal(err)
		}
		if joins, others := countJoins(&p); joins != 1 || others != c.others {
			t.Errorf("operands of %d: %d launches of several operands and %d others, want 1 and %d", c.size, joins, others, c.others)
		}
	}
}

func TestJoinErrors(t *testing.T) {
	two, three := RowMajor(2, 3), RowMajor(3, 3)
	var p Plan
	for name, err := range map[string]error{
		"type": Join(&p, Invalid, two, []Layout{two}, 0), "axis": Join(&p, Int8, two, []Layout{two}, 2), "negative axis": Join(&p, Int8, two, []Layout{two}, -1),
		"too few": Join(&p, Int8, three, []Layout{two}, 0), "too many": Join(&p, Int8, three, []Layout{two, two}, 0), "other sizes": Join(&p, Int8, RowMajor(5, 3), []Layout{two, RowMajor(3, 2)}, 0),
		"rank": Join(&p, Int8, three, []Layout{two, RowMajor(3)}, 0), "none": Join(&p, Int8, two, nil, 0), "a negative size": Join(&p, Int8, two, []Layout{three, RowMajor(-1, 3)}, 0),
	} {
		if err == nil || len(p.Launches) > 0 {
			t.Errorf("%s: no error", name)
		}
	}
}
