package array

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Operations that put copies of an array's elements, or a constant beside them, into
// a new array. Each element is read once for each place that it goes to, by one
// launch unless the documentation says otherwise; expressions are computed as they
// are stored.

// Tile returns counts[i] copies of the array behind one another along axis i. Where
// there are fewer counts than axes they are those of the last ones; where there are
// more, the array gets leading axes of size 1. A count of 0 makes an axis empty.
func (a *Array[T]) Tile(counts ...int) *Array[T] { return to[T](tile("Tile", a.h(), counts)) }

// Repeat returns each element count times in a row along an axis.
func (a *Array[T]) Repeat(count, axis int) *Array[T] {
	return to[T](repeat("Repeat", a.h(), count, axis))
}

// Roll moves the elements along an axis, towards its end for positive shifts; those
// that leave at one end come back at the other. It takes two launches.
func (a *Array[T]) Roll(shift, axis int) *Array[T] { return to[T](roll("Roll", a.h(), shift, axis)) }

// Pad returns the array with value around it: along axis i, widths[i][0] times before
// the elements and widths[i][1] times behind them. There is one width for each axis.
// It takes a launch for each side that is padded, and one for the elements.
func (a *Array[T]) Pad(value T, widths ...[2]int) *Array[T] {
	return to[T](pad("Pad", a.h(), scalarOf(value), widths))
}

func tile(name string, h handle, counts []int) handle {
	c := here(name)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	l := h.node.layout
	if len(counts) > kernels.MaxRank {
		return h.failed(c.fail(because(ErrShape, "%d counts; at most %d axes are possible", len(counts), kernels.MaxRank), h))
	}
	for l.Rank < len(counts) {
		l = prepend(&l)
	}
	var all [kernels.MaxRank]int
	for i := range all {
		all[i] = 1
	}
	copy(all[l.Rank-len(counts):], counts)
	return c.repeated(h, l, all, false)
}

func repeat(name string, h handle, count, axis int) handle {
	c := here(name)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	at, err := axisOf(axis, h.node.Rank)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	all := [kernels.MaxRank]int{1, 1, 1, 1, 1, 1, 1, 1}
	all[at] = count
	return c.repeated(h, h.node.layout, all, true)
}

// repeated returns the elements that l shows, counts[i] times along axis i: each by
// itself, or all of the axis. Where that takes a layout of more axes than there can
// be, it goes axis by axis.
func (c call) repeated(h handle, l layout, counts [kernels.MaxRank]int, each bool) handle {
	shape, axes, err := repeatedShape(&l, &counts)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	out, err := newLayout(shape, h.node.typ)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	if axes <= kernels.MaxRank || out.Len() == 0 {
		return c.laidOut(h, stretch(&l, &counts, each), &out)
	}
	r := c.laidOut(h, l, &layout{Rank: l.Rank, Shape: l.Shape})
	for i := 0; i < l.Rank && r.node.err == nil; i++ {
		last, done := r, r.node.layout
		done.Shape[i] *= counts[i]
		setContiguous(&done)
		before, behind := 1, 1
		for k, n := range dims(&last.node.layout) {
			if k < i {
				before *= n
			} else if k > i {
				behind *= n
			}
		}
		rows := kernels.RowMajor(before, l.Shape[i], behind)
		r = c.laidOut(last, stretch(&rows, &[kernels.MaxRank]int{1, counts[i], 1}, each), &done)
		last.free(c)
	}
	r.node.err = c.of(r.node.err, h)
	return r
}

// repeatedShape returns the shape of l with its axes repeated, and how many axes
// stretch gives it.
func repeatedShape(l *layout, counts *[kernels.MaxRank]int) (shape []int, axes int, err error) {
	for i, n := range l.Shape[:l.Rank] {
		count := counts[i]
		if count < 0 {
			return nil, 0, because(ErrShape, "a count of %d along axis %d", count, i)
		}
		if count > 0 && n > math.MaxInt/count {
			return nil, 0, because(ErrShape, "%d times %d elements along axis %d are more than an int holds", count, n, i)
		}
		shape = append(shape, n*count)
		axes++
		if n != 1 && count != 1 {
			axes++
		}
	}
	return shape, axes, nil
}

// stretch returns a layout in which an axis that is to be repeated has a second one
// of stride 0 beside it. Of more axes than there can be it returns the first ones.
func stretch(l *layout, counts *[kernels.MaxRank]int, each bool) layout {
	r := layout{Offset: l.Offset}
	add := func(n, stride int) {
		if r.Rank < kernels.MaxRank {
			r.Shape[r.Rank], r.Strides[r.Rank] = n, stride
			r.Rank++
		}
	}
	for i, n := range l.Shape[:l.Rank] {
		switch {
		case counts[i] == 1:
			add(n, l.Strides[i])
		case n == 1:
			add(counts[i], 0)
		case each:
			add(n, l.Strides[i])
			add(counts[i], 0)
		default:
			add(counts[i], 0)
			add(n, l.Strides[i])
		}
	}
	return r
}

// laidOut computes a view of h, in its order, into new memory of another shape.
func (c call) laidOut(h handle, l layout, out *layout) handle {
	setContiguous(out)
	r := c.computed(h, out, func(w *work) *Error {
		if err := w.value(h.node, &l); err != nil {
			return err
		}
		to := contiguousLike(&l)
		if err := w.planTo(h.node.typ, &to); err != nil {
			return c.unsupported(err, h)
		}
		return nil
	})
	r.node.err = c.of(r.node.err, h)
	return r
}

// computed makes a new array of h's type, planned under the lock.
func (c call) computed(h handle, out *layout, plan func(w *work) *Error) handle {
	n := &node{call: c, typ: h.node.typ, layout: *out}
	if err := h.dev.fits(c, out, n.typ); err != nil {
		return h.failed(err)
	}
	err := c.locked(h.dev, func() (err *Error) {
		w := newWork(c, h.dev)
		defer w.end()
		if out.Len() > 0 {
			err = plan(w)
		}
		if err == nil {
			n.store, err = w.runLocked(out, n.typ, n.room())
		}
		if err == nil {
			w.computed()
		}
		return err
	})
	return h.dev.made(n, err)
}

func roll(name string, h handle, shift, axis int) handle {
	c := here(name)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	at, err := axisOf(axis, h.node.Rank)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	n := h.node.Shape[at]
	if shift %= max(n, 1); shift < 0 {
		shift += n
	}
	part := func(from, to int) handle {
		l := h.node.layout
		l.Shape[at] = to - from
		if to > from {
			l.Offset += from * l.Strides[at]
		}
		return c.view(h, l)
	}
	r := c.join([]handle{part(n-shift, n), part(0, n-shift)}, at, false)
	r.node.err = c.of(r.node.err, h)
	return r
}

func pad(name string, h handle, value scalar, widths [][2]int) handle {
	c := here(name)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	in := &h.node.layout
	shape, err := paddedShape(in, widths)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	out, err := newLayout(shape, h.node.typ)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	r := c.computed(h, &out, func(w *work) *Error {
		if err := w.value(h.node, in); err != nil { // which may have to begin anew
			return err
		}
		inner, err := w.planBorder(out, value, in, widths)
		if err == nil && in.Len() > 0 {
			err = w.planTo(h.node.typ, &inner)
		}
		if err != nil {
			return c.unsupported(err, h)
		}
		return nil
	})
	r.node.err = c.of(r.node.err, h)
	return r
}

func paddedShape(l *layout, widths [][2]int) ([]int, error) {
	if len(widths) != l.Rank {
		return nil, because(ErrShape, "%s for an array of rank %d; there is one for each axis", phrase.Count(len(widths), "width", "widths"), l.Rank)
	}
	var shape []int
	for i, n := range l.Shape[:l.Rank] {
		before, behind := widths[i][0], widths[i][1]
		if before < 0 || behind < 0 {
			return nil, because(ErrShape, "negative width %v along axis %d; Slice takes elements away", widths[i], i)
		}
		if before > math.MaxInt-n || behind > math.MaxInt-n-before {
			return nil, because(ErrShape, "widths %v along axis %d are more than an int holds", widths[i], i)
		}
		shape = append(shape, before+n+behind)
	}
	return shape, nil
}

// planBorder plans the fills around the elements, none of a place twice: along each
// axis of what is left within those before. It returns where the elements go.
func (w *work) planBorder(rest layout, value scalar, in *layout, widths [][2]int) (inner layout, err error) {
	fill := kernels.Expr{Nodes: []kernels.Node{value.word()}}
	for i, width := range widths {
		n := in.Shape[i]
		for _, side := range [2]struct{ from, size int }{{0, width[0]}, {width[0] + n, width[1]}} {
			slab := rest
			slab.Shape[i] = side.size
			slab.Offset += side.from * slab.Strides[i]
			if slab.Len() == 0 {
				continue
			}
			if err := kernels.Elementwise(&w.plan, &fill, slab, nil); err != nil {
				return rest, err
			}
		}
		rest.Shape[i] = n
		rest.Offset += width[0] * rest.Strides[i]
	}
	return rest, nil
}
