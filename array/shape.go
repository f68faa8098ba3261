package array

import (
	"math"
	"math/bits"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// layout is the kernels' view of an array: shape, strides and offset, counted in
// elements. The functions here are all the index arithmetic of the package; they
// know nothing of devices.
type layout = kernels.Layout

// maxBytes is the largest size of an array that index arithmetic is safe for.
const maxBytes = math.MaxInt

// dims returns the shape of l; it shares l's memory.
func dims(l *layout) []int { return l.Shape[:l.Rank] }

// newLayout returns the contiguous (row-major) layout of a shape. Sizes must not
// be negative, nor the product of the non-zero ones too large for bytes of t to be
// counted.
func newLayout(shape []int, t kernels.Type) (layout, error) {
	var l layout
	if len(shape) > kernels.MaxRank {
		return l, because(ErrShape, "shape %s has %d axes, at most %d are possible", phrase.Shape(shape), len(shape), kernels.MaxRank)
	}
	l.Rank = copy(l.Shape[:], shape)
	elements := uint64(1)
	for _, n := range shape {
		if n < 0 {
			return l, because(ErrShape, "shape %s has a negative size", phrase.Shape(shape))
		}
		hi, lo := bits.Mul64(elements, uint64(max(n, 1)))
		if hi != 0 || lo > uint64(maxBytes/t.Size()) {
			return l, because(ErrShape, "shape %s has more elements of %v than memory has addresses", phrase.Shape(shape), t)
		}
		elements = lo
	}
	setContiguous(&l)
	return l, nil
}

// setContiguous gives l row-major strides and no offset.
func setContiguous(l *layout) {
	l.Offset = 0
	stride := 1
	for i := l.Rank - 1; i >= 0; i-- {
		l.Strides[i] = stride
		stride *= max(l.Shape[i], 1)
	}
}

// contiguousLike returns a row-major layout of l's shape.
func contiguousLike(l *layout) layout {
	c := *l
	setContiguous(&c)
	return c
}

// overlap says whether two layouts over the same memory may share an element.
// It compares spans only, so interleaved views that share none count as sharing.
func overlap(a, b *layout) bool {
	if a.Len() == 0 || b.Len() == 0 {
		return false
	}
	alo, ahi := a.Span()
	blo, bhi := b.Span()
	return alo <= bhi && blo <= ahi
}

// sameElements says whether two layouts of one shape put each element at the same
// position.
func sameElements(a, b *layout) bool {
	if a.Offset != b.Offset {
		return false
	}
	for i, n := range a.Shape[:a.Rank] {
		if n != 1 && a.Strides[i] != b.Strides[i] {
			return false
		}
	}
	return true
}

// overlapsItself says whether two indices of l lead to one element. Broadcasting
// is the only operation that makes such layouts, and gives them strides of zero.
func overlapsItself(l *layout) bool {
	if l.Len() == 0 {
		return false
	}
	for i, n := range l.Shape[:l.Rank] {
		if n > 1 && l.Strides[i] == 0 {
			return true
		}
	}
	return false
}

// axisOf resolves an axis that may count from the end.
func axisOf(axis, rank int) (int, error) {
	a := axis
	if a < 0 {
		a += rank
	}
	if a < 0 || a >= rank {
		if rank == 0 {
			return 0, because(ErrIndex, "axis %d of an array of rank 0, which has no axes", axis)
		}
		return 0, because(ErrIndex, "axis %d of an array of rank %d; axes are %d to %d", axis, rank, -rank, rank-1)
	}
	return a, nil
}

// axesOf resolves a list of axes to a mask; none means all.
func axesOf(axes []int, rank int) (mask uint32, err error) {
	if len(axes) == 0 {
		return 1<<rank - 1, nil
	}
	for _, axis := range axes {
		a, err := axisOf(axis, rank)
		if err != nil {
			return 0, err
		}
		if mask>>a&1 != 0 {
			return 0, because(ErrIndex, "axis %d is named twice", a)
		}
		mask |= 1 << a
	}
	return mask, nil
}

// dropAxes returns a contiguous layout of the shape without the masked axes.
func dropAxes(l *layout, mask uint32) layout {
	var r layout
	for i, n := range l.Shape[:l.Rank] {
		if mask>>i&1 == 0 {
			r.Shape[r.Rank] = n
			r.Rank++
		}
	}
	setContiguous(&r)
	return r
}

// broadcast returns the contiguous layout of the shape that a and b broadcast to:
// aligned at the last axis, sizes equal or 1.
func broadcast(a, b *layout) (layout, error) {
	long, short := a, b
	if long.Rank < short.Rank {
		long, short = b, a
	}
	r := *long
	shift := long.Rank - short.Rank
	for i := range short.Rank {
		switch m, n := long.Shape[shift+i], short.Shape[i]; {
		case m == n || n == 1:
		case m == 1:
			r.Shape[shift+i] = n
		default:
			return layout{}, because(ErrShape, "sizes %d and %d at axis %d; broadcasting needs equal sizes or a 1 (see ExpandDims)",
				a.Shape[a.Rank-short.Rank+i], b.Shape[b.Rank-short.Rank+i], i-short.Rank)
		}
	}
	return newLayout(dims(&r), kernels.Float64)
}

// sameShape says whether two layouts have the same axes.
func sameShape(a, b *layout) bool {
	if a.Rank != b.Rank {
		return false
	}
	for i, n := range a.Shape[:a.Rank] {
		if n != b.Shape[i] {
			return false
		}
	}
	return true
}

// broadcastTo stretches l to a shape with strides of zero.
func broadcastTo(l *layout, shape []int) (layout, error) {
	if slices.Equal(dims(l), shape) {
		return *l, nil
	}
	r, err := newLayout(shape, kernels.Float64)
	if err != nil {
		return r, err
	}
	shift := r.Rank - l.Rank
	if shift < 0 {
		return r, because(ErrShape, "shape %s has fewer axes than the array's %s", phrase.Shape(shape), phrase.Shape(dims(l)))
	}
	r.Offset = l.Offset
	for i := range r.Rank {
		switch {
		case i < shift:
			r.Strides[i] = 0
		case l.Shape[i-shift] == r.Shape[i]:
			r.Strides[i] = l.Strides[i-shift]
		case l.Shape[i-shift] == 1:
			r.Strides[i] = 0
		default:
			return r, because(ErrShape, "size %d does not broadcast to %d at axis %d of %s", l.Shape[i-shift], r.Shape[i], i, phrase.Shape(shape))
		}
	}
	return r, nil
}

// resolveShape replaces one size of -1 by what size leaves for it.
func resolveShape(shape []int, size int) ([]int, error) {
	var resolved [kernels.MaxRank]int
	if len(shape) > kernels.MaxRank {
		return nil, because(ErrShape, "shape %s has %d axes, at most %d are possible", phrase.Shape(shape), len(shape), kernels.MaxRank)
	}
	known, open := 1, -1
	copy(resolved[:], shape)
	for i, n := range shape {
		switch {
		case n == -1 && open < 0:
			open = i
		case n < 0:
			return nil, because(ErrShape, "shape %s has a negative size; one axis may be -1", phrase.Shape(shape))
		default:
			hi, lo := bits.Mul64(uint64(known), uint64(n))
			if hi != 0 || lo > math.MaxInt {
				return nil, because(ErrShape, "shape %s does not hold the array's %s", phrase.Shape(shape), elements(size))
			}
			known = int(lo)
		}
	}
	if open >= 0 {
		if known == 0 || size%known != 0 {
			return nil, because(ErrShape, "shape %s: no size for -1 makes %s", phrase.Shape(shape), elements(size))
		}
		resolved[open] = size / known
		known = size
	}
	if known != size {
		return nil, because(ErrShape, "shape %s has %s, the array has %d", phrase.Shape(shape), elements(known), size)
	}
	return resolved[:len(shape)], nil
}

// reshape gives l's elements, in row-major order, another shape of the same size
// without moving them. ok is false where no strides can do that.
func reshape(l *layout, shape []int) (r layout, ok bool) {
	r.Rank = copy(r.Shape[:], shape)
	setContiguous(&r)
	if l.Len() == 0 {
		r.Offset = l.Offset
		return r, true
	}
	var old layout // l without axes of size 1
	for i, n := range l.Shape[:l.Rank] {
		if n != 1 {
			old.Shape[old.Rank], old.Strides[old.Rank] = n, l.Strides[i]
			old.Rank++
		}
	}
	r.Offset = l.Offset
	// Take runs of old and new axes with equal products; each run must be evenly
	// spaced in memory to be cut differently.
	for i, j := 0, 0; i < old.Rank; {
		oi, nj := i+1, j+1
		on, nn := old.Shape[i], r.Shape[j]
		for on != nn {
			if nn < on {
				nn *= r.Shape[nj]
				nj++
			} else {
				on *= old.Shape[oi]
				oi++
			}
		}
		for k := i; k < oi-1; k++ {
			if old.Strides[k] != old.Shape[k+1]*old.Strides[k+1] {
				return layout{}, false
			}
		}
		stride := old.Strides[oi-1]
		for k := nj - 1; k >= j; k-- {
			r.Strides[k] = stride
			stride *= r.Shape[k]
		}
		i, j = oi, nj
	}
	return r, true
}

// permute reorders axes: axis i of the result is axis axes[i] of l.
func permute(l *layout, axes []int) (layout, error) {
	if len(axes) != l.Rank {
		return layout{}, because(ErrShape, "%s for an array of rank %d; name each axis once", phrase.Count(len(axes), "axis", "axes"), l.Rank)
	}
	if _, err := axesOf(axes, l.Rank); err != nil {
		return layout{}, err
	}
	r := *l
	for i, axis := range axes {
		a, _ := axisOf(axis, l.Rank)
		r.Shape[i], r.Strides[i] = l.Shape[a], l.Strides[a]
	}
	return r, nil
}

// expand inserts an axis of size 1 at place axis[0] of the result.
func expand(l *layout, axis []int) (layout, error) {
	if l.Rank == kernels.MaxRank {
		return layout{}, because(ErrShape, "the array has %d axes already, more are not possible", l.Rank)
	}
	a := axis[0]
	if a < 0 {
		a += l.Rank + 1
	}
	if a < 0 || a > l.Rank {
		return layout{}, because(ErrIndex, "axis %d of a result of rank %d; a new axis may be %d to %d", axis[0], l.Rank+1, -l.Rank-1, l.Rank)
	}
	r := *l
	r.Rank++
	copy(r.Shape[a+1:r.Rank], l.Shape[a:l.Rank])
	copy(r.Strides[a+1:r.Rank], l.Strides[a:l.Rank])
	r.Shape[a] = 1
	r.Strides[a] = 0
	return r, nil
}

// squeeze removes axes of size 1; none named means all of them.
func squeeze(l *layout, axes []int) (layout, error) {
	mask, err := axesOf(axes, l.Rank)
	if err != nil {
		return layout{}, err
	}
	r := layout{Offset: l.Offset}
	for i, n := range l.Shape[:l.Rank] {
		if mask>>i&1 != 0 && n == 1 {
			continue
		}
		if mask>>i&1 != 0 && len(axes) > 0 {
			return layout{}, because(ErrShape, "axis %d has size %d, only axes of size 1 can be squeezed", i, n)
		}
		r.Shape[r.Rank], r.Strides[r.Rank] = n, l.Strides[i]
		r.Rank++
	}
	return r, nil
}

// transpose reverses the order of the axes.
func transpose(l *layout, _ []int) (layout, error) {
	r := *l
	for i := range l.Rank {
		r.Shape[i], r.Strides[i] = l.Shape[l.Rank-1-i], l.Strides[l.Rank-1-i]
	}
	return r, nil
}

// flip reverses the order along axes; none named means all.
func flip(l *layout, axes []int) (layout, error) {
	mask, err := axesOf(axes, l.Rank)
	if err != nil {
		return layout{}, err
	}
	r := *l
	for i, n := range l.Shape[:l.Rank] {
		if mask>>i&1 != 0 && n > 1 {
			r.Offset += (n - 1) * l.Strides[i]
			r.Strides[i] = -l.Strides[i]
		}
	}
	return r, nil
}

// through returns the layout that shows, in the shape and order of m, the elements
// of l, where m is a layout over the row-major positions of l's shape. ok is false
// where no strides can do that.
func through(m, l *layout) (r layout, ok bool) {
	r = *m
	r.Offset = l.Offset
	if m.Len() == 0 {
		r.Strides = [kernels.MaxRank]int{}
		return r, true
	}
	// A position of l's shape has one coordinate on each of its axes, after those
	// that lie evenly in l are merged. m can be followed if each of its axes moves
	// along one of them and stays within it.
	var size, stride, weight, low, high [kernels.MaxRank]int
	axes := 0
	for i, n := range l.Shape[:l.Rank] {
		switch {
		case n == 1:
		case axes > 0 && stride[axes-1] == n*l.Strides[i]:
			size[axes-1], stride[axes-1] = size[axes-1]*n, l.Strides[i]
		default:
			size[axes], stride[axes] = n, l.Strides[i]
			axes++
		}
	}
	for k, w := axes-1, 1; k >= 0; k-- {
		weight[k] = w
		w *= size[k]
	}
	rest := m.Offset
	for k := range axes {
		low[k] = rest / weight[k]
		rest %= weight[k]
		high[k] = low[k]
		r.Offset += low[k] * stride[k]
	}
	for i, n := range m.Shape[:m.Rank] {
		s := m.Strides[i]
		if r.Strides[i] = 0; n == 1 || s == 0 {
			continue
		}
		k := 0
		for k < axes && (max(s, -s) < weight[k] || s%weight[k] != 0) {
			k++
		}
		if k == axes {
			return r, false
		}
		step := s / weight[k]
		r.Strides[i] = step * stride[k]
		low[k] += min(0, step*(n-1))
		high[k] += max(0, step*(n-1))
		if low[k] < 0 || high[k] >= size[k] {
			return r, false
		}
	}
	return r, true
}
