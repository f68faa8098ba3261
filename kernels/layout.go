package kernels

import (
	"fmt"
	"math/bits"
	"slices"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// MaxRank is the largest number of axes an operand may have.
const MaxRank = 8

// Layout says where the elements of an operand lie: element (i0, i1, …) is at
// Offset + Σ i·Strides[axis], all counted in elements from the operand's base
// pointer. Strides may be zero (broadcast) or negative. Only the first Rank
// entries of Shape and Strides count.
type Layout struct {
	Rank    int
	Shape   [MaxRank]int
	Strides [MaxRank]int
	Offset  int
}

// RowMajor returns the layout of a new array of the given shape: the last axis
// is contiguous, the offset 0. It keeps the first MaxRank axes.
func RowMajor(shape ...int) Layout {
	l := Layout{Rank: min(len(shape), MaxRank)}
	copy(l.Shape[:], shape)
	stride := 1
	for i := l.Rank - 1; i >= 0; i-- {
		l.Strides[i] = stride
		stride *= max(l.Shape[i], 1)
	}
	return l
}

// shape returns a copy of the shape, for errors: a slice of the layout itself
// would move every layout to the heap.
func (l *Layout) shape() []int { return slices.Clone(l.Shape[:l.Rank]) }

// Len returns the number of elements: 1 for rank 0, 0 if an axis is empty.
func (l *Layout) Len() int {
	n := 1
	for _, d := range l.Shape[:l.Rank] {
		n *= d
	}
	return n
}

// Span returns the smallest and the largest position of an element, counted
// from the base pointer. For an empty layout both are Offset.
func (l *Layout) Span() (low, high int) {
	low, high = l.Offset, l.Offset
	if l.Len() == 0 {
		return low, high
	}
	for i, d := range l.Shape[:l.Rank] {
		if s := l.Strides[i]; s < 0 {
			low += (d - 1) * s
		} else {
			high += (d - 1) * s
		}
	}
	return low, high
}

// IsContiguous says whether the elements in row-major order lie one after the
// other. Axes of size 1 have any stride.
func (l *Layout) IsContiguous() bool {
	stride := 1
	for i := l.Rank - 1; i >= 0; i-- {
		if l.Shape[i] != 1 && l.Strides[i] != stride {
			return false
		}
		stride *= l.Shape[i]
	}
	return true
}

// insert adds an outermost axis.
func (l *Layout) insert(size, stride int) {
	copy(l.Shape[1:], l.Shape[:l.Rank])
	copy(l.Strides[1:], l.Strides[:l.Rank])
	l.Shape[0], l.Strides[0] = size, stride
	l.Rank++
}

// append adds an innermost axis.
func (l *Layout) append(size, stride int) {
	l.Shape[l.Rank], l.Strides[l.Rank] = size, stride
	l.Rank++
}

func (l *Layout) sameShape(m *Layout) bool {
	return l.Rank == m.Rank && l.Shape == m.Shape ||
		l.Rank == m.Rank && slices.Equal(l.Shape[:l.Rank], m.Shape[:m.Rank])
}

func (l *Layout) check(what string) error {
	if l.Rank < 0 || l.Rank > MaxRank {
		return fmt.Errorf("%s has %d axes; at most %d are supported", what, l.Rank, MaxRank)
	}
	for i, d := range l.Shape[:l.Rank] {
		if d < 0 {
			return fmt.Errorf("%s has size %d in axis %d", what, d, i)
		}
	}
	if low, _ := l.Span(); low < 0 {
		return fmt.Errorf("%s has an element %d before its base", what, -low)
	}
	return nil
}

// nest is a loop nest: the axes that several operands are walked over
// together, outermost first, with one row of strides for each operand.
type nest struct {
	rank    int
	shape   [MaxRank]int
	strides [][MaxRank]int
	offsets []int
}

var nestPool = sync.Pool{New: func() any { return new(nest) }}

// newNest makes the nest of operands that have the same shape. Released, its
// memory serves another.
func newNest(ls []Layout) *nest {
	n := nestPool.Get().(*nest)
	n.rank, n.shape, n.strides, n.offsets = ls[0].Rank, ls[0].Shape, n.strides[:0], n.offsets[:0]
	for i := range ls {
		n.strides = append(n.strides, ls[i].Strides)
		n.offsets = append(n.offsets, ls[i].Offset)
	}
	return n
}

func (n *nest) release() { nestPool.Put(n) }

// clone returns a copy that shares nothing.
func (n *nest) clone() nest {
	return nest{n.rank, n.shape, slices.Clone(n.strides), slices.Clone(n.offsets)}
}

// remove drops an axis.
func (n *nest) remove(axis int) {
	n.rank--
	copy(n.shape[axis:n.rank], n.shape[axis+1:n.rank+1])
	for k := range n.strides {
		s := &n.strides[k]
		copy(s[axis:n.rank], s[axis+1:n.rank+1])
	}
}

// insert adds an outermost axis along which nothing moves.
func (n *nest) insert(size int) {
	n.rank++
	copy(n.shape[1:n.rank], n.shape[:n.rank-1])
	n.shape[0] = size
	for k := range n.strides {
		s := &n.strides[k]
		copy(s[1:n.rank], s[:n.rank-1])
		s[0] = 0
	}
}

// split cuts an axis into runs of size elements, and walks the runs at an axis of
// their own before axis at, which is not behind the one that is cut.
func (n *nest) split(axis, size, at int) {
	n.rank++
	insert := func(s *[MaxRank]int, x int) {
		copy(s[at+1:n.rank], s[at:n.rank-1])
		s[at] = x
	}
	insert(&n.shape, n.shape[axis]/size)
	n.shape[axis+1] = size
	for k := range n.strides {
		insert(&n.strides[k], n.strides[k][axis]*size)
	}
}

// coalesce brings the nest to its smallest rank: it drops axes of size 1 and
// merges neighbours that every operand walks as one axis. The order of the
// elements stays.
func (n *nest) coalesce() {
	for i := n.rank - 1; i >= 0; i-- {
		if n.shape[i] == 1 {
			n.remove(i)
		}
	}
	for i := n.rank - 2; i >= 0; i-- {
		if n.mergeable(i) {
			n.shape[i+1] *= n.shape[i]
			n.remove(i)
		}
	}
}

func (n *nest) mergeable(i int) bool {
	for k := range n.strides {
		if s := &n.strides[k]; s[i] != s[i+1]*n.shape[i+1] {
			return false
		}
	}
	return true
}

// sortByOutput walks the axes in the memory order of operand 0: its strides
// become positive (an axis it runs through backwards is turned around for all
// operands) and decrease from the outermost axis inwards.
func (n *nest) sortByOutput() {
	for i := range n.rank {
		if n.strides[0][i] >= 0 {
			continue
		}
		for k := range n.strides {
			n.offsets[k] += (n.shape[i] - 1) * n.strides[k][i]
			n.strides[k][i] = -n.strides[k][i]
		}
	}
	for i := 1; i < n.rank; i++ {
		for j := i; j > 0 && n.strides[0][j-1] < n.strides[0][j]; j-- {
			n.shape[j-1], n.shape[j] = n.shape[j], n.shape[j-1]
			for k := range n.strides {
				s := &n.strides[k]
				s[j-1], s[j] = s[j], s[j-1]
			}
		}
	}
}

// reach returns the largest distance, in elements, between operand k's first
// element and any other.
func (n *nest) reach(k int) int {
	up, down := 0, 0
	for i := range n.rank {
		if d := (n.shape[i] - 1) * n.strides[k][i]; d > 0 {
			up += d
		} else {
			down -= d
		}
	}
	return max(up, down)
}

// A divisor divides numbers below 2³¹ by a fixed number of at least 2 with a
// multiplication: x/d = (x·mul >> 32) >> shift.
type divisor struct{ mul, shift uint32 }

func newDivisor(d int) divisor {
	s := bits.Len32(uint32(d - 1)) // d ≤ 2^s
	m := (uint64(1)<<(31+s) + uint64(d) - 1) / uint64(d)
	return divisor{uint32(m), uint32(s - 1)}
}

// emitDivide returns x/d and x%d for the u32 register x, where mul and shift
// are d's divisor.
func emitDivide(b *ptx.Builder, x, d, mul, shift *ptx.Reg) (quo, rem *ptx.Reg) {
	quo = b.Op("shr.u32", b.Op("mul.hi.u32", x, mul), shift)
	rem = b.Op("sub.u32", x, b.Op("mul.lo.u32", quo, d))
	return quo, rem
}
