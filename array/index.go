package array

import (
	"fmt"
	"math"
	"strconv"
)

// An Index selects positions along one axis: all of them, a range, or one. Its
// zero value is All.
type Index struct {
	kind         indexKind
	lo, hi, step int
}

type indexKind uint8

const (
	indexAll indexKind = iota
	indexRange
	indexOne
	indexSteps // a range with several steps, which is a mistake
)

// End stands for the end of an axis in [R]: R(2, End) is everything from index 2,
// and R(End, End, -1) the whole axis backwards.
const End = math.MaxInt

// All selects a whole axis.
var All = Index{}

// R selects the half-open range from lo to hi, with an optional step (1); of several
// steps Slice makes ErrIndex. Bounds count from the end when negative, as in
// R(-3, End), and must lie within the axis; a range with no elements is an empty
// axis. With a negative step the range runs from lo down to, not including, hi.
func R(lo, hi int, step ...int) Index {
	s := 1
	switch len(step) {
	case 0:
	case 1:
		s = step[0]
	default:
		return Index{indexSteps, lo, hi, len(step)}
	}
	return Index{indexRange, lo, hi, s}
}

// I selects one position and drops the axis. A negative i counts from the end.
func I(i int) Index { return Index{kind: indexOne, lo: i} }

// String returns the Index as it is written: All, R(2, End), R(End, 0, -1) or I(3).
func (x Index) String() string {
	bound := func(i int) string {
		if i == End {
			return "End"
		}
		return strconv.Itoa(i)
	}
	switch x.kind {
	case indexAll:
		return "All"
	case indexOne:
		return fmt.Sprintf("I(%d)", x.lo)
	case indexSteps:
		return fmt.Sprintf("R(%s, %s, and %d steps)", bound(x.lo), bound(x.hi), x.step)
	}
	if x.step == 1 {
		return fmt.Sprintf("R(%s, %s)", bound(x.lo), bound(x.hi))
	}
	return fmt.Sprintf("R(%s, %s, %d)", bound(x.lo), bound(x.hi), x.step)
}

// slice applies one Index to each leading axis of l; axes without one stay whole.
func slice(l *layout, index []Index) (layout, error) {
	if len(index) > l.Rank {
		return layout{}, because(ErrIndex, "%s for an array of rank %d", indices(len(index)), l.Rank)
	}
	r := layout{Offset: l.Offset}
	keep := func(n, stride int) {
		r.Shape[r.Rank], r.Strides[r.Rank] = n, stride
		r.Rank++
	}
	for axis, n := range l.Shape[:l.Rank] {
		stride := l.Strides[axis]
		if axis >= len(index) || index[axis].kind == indexAll {
			keep(n, stride)
			continue
		}
		x := index[axis]
		if x.kind == indexSteps {
			return layout{}, because(ErrIndex, "%d steps of the range at axis %d; R takes one", x.step, axis)
		}
		if x.kind == indexOne {
			i, err := positionOf(x.lo, n, axis)
			if err != nil {
				return layout{}, err
			}
			r.Offset += i * stride
			continue
		}
		first, count, err := x.resolve(n, axis)
		if err != nil {
			return layout{}, err
		}
		if count > 0 {
			r.Offset += first * stride
		}
		if count < 2 {
			x.step = 1 // a huge step over one element must not overflow the stride
		}
		keep(count, stride*x.step)
	}
	return r, nil
}

// positionOf resolves an index that may count from the end of an axis of n.
func positionOf(i, n, axis int) (int, error) {
	p := i
	if p < 0 {
		p += n
	}
	if p < 0 || p >= n {
		return 0, because(ErrIndex, "index %d at axis %d, which has %s", i, axis, elements(n))
	}
	return p, nil
}

// resolve returns the first position and the number of positions of a range on an
// axis of n.
func (x Index) resolve(n, axis int) (first, count int, err error) {
	if x.step == 0 || x.step == math.MinInt {
		return 0, 0, because(ErrIndex, "step %d at axis %d", x.step, axis)
	}
	lo, hi := x.lo, x.hi
	for _, b := range []*int{&lo, &hi} {
		if *b != End && (*b < -n || *b > n) {
			return 0, 0, because(ErrIndex, "range bound %d at axis %d, which has %s; array.End stands for the end", *b, axis, elements(n))
		}
		if *b < 0 {
			*b += n
		}
	}
	if x.step > 0 {
		lo, hi = min(lo, n), min(hi, n)
		if hi <= lo {
			return 0, 0, nil
		}
		return lo, (hi-lo-1)/x.step + 1, nil
	}
	lo = min(lo, n-1) // going down starts at the last element at most
	if hi == End {
		hi = -1
	}
	if lo <= hi {
		return 0, 0, nil
	}
	return lo, (lo-hi-1)/-x.step + 1, nil
}
