package array

// Slice returns a view of part of the array: one [Index] for each leading axis,
// made by R (a range), I (one position, dropping the axis) or All; axes without
// one stay whole. Indices out of range are ErrIndex.
func (a *Array[T]) Slice(index ...Index) *Array[T] {
	return to[T](sliced("Slice", a.h(), index))
}

// Transpose returns a view with the order of all axes reversed.
func (a *Array[T]) Transpose() *Array[T] {
	return to[T](view("Transpose", a.h(), transpose, nil))
}

// PermuteDims returns a view whose axis i is a's axis axes[i]. Each axis is named
// once.
func (a *Array[T]) PermuteDims(axes ...int) *Array[T] {
	return to[T](view("PermuteDims", a.h(), permute, axes))
}

// ExpandDims returns a view with a new axis of size 1 at the given place of the
// result, as reductions need it to broadcast again: x.Sub(x.Max(-1).ExpandDims(-1)).
func (a *Array[T]) ExpandDims(axis int) *Array[T] {
	return to[T](view("ExpandDims", a.h(), expand, []int{axis}))
}

// Squeeze returns a view without the given axes, which must be of size 1; without
// arguments, without all axes of size 1.
func (a *Array[T]) Squeeze(axes ...int) *Array[T] {
	return to[T](view("Squeeze", a.h(), squeeze, axes))
}

// BroadcastTo returns a view stretched to a shape: axes of size 1 and missing
// leading axes repeat without taking memory.
func (a *Array[T]) BroadcastTo(shape ...int) *Array[T] {
	return to[T](view("BroadcastTo", a.h(), broadcastTo, shape))
}

// Flip returns a view with the order along the given axes reversed; without
// arguments, along all.
func (a *Array[T]) Flip(axes ...int) *Array[T] {
	return to[T](view("Flip", a.h(), flip, axes))
}

// Reshape returns the elements, in row-major order, in another shape of the same
// size; one size may be -1 and is computed. It is a view where strides allow that,
// else a copy.
func (a *Array[T]) Reshape(shape ...int) *Array[T] { return to[T](reshaped("Reshape", a.h(), shape)) }

// Flatten returns the elements in row-major order as one axis: a view where strides
// allow that, else a copy.
func (a *Array[T]) Flatten() *Array[T] { return to[T](reshaped("Flatten", a.h(), []int{-1})) }

// view is every operation that gives the same elements another layout, computed
// from axes or sizes.
func view(op string, h handle, relayout func(*layout, []int) (layout, error), numbers []int) handle {
	c := here(op)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	l, err := relayout(&h.node.layout, numbers)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	return c.view(h, l)
}

func sliced(op string, h handle, index []Index) handle { return here(op).sliced(h, index) }

func (c call) sliced(h handle, index []Index) handle {
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	l, err := slice(&h.node.layout, index)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	return c.view(h, l)
}

// view makes the handle of a view of an array, which need not be evaluated.
func (c call) view(h handle, l layout) handle {
	return handle{h.dev, &node{call: c, typ: h.node.typ, layout: l, base: h.node.root()}}
}

func reshaped(op string, h handle, shape []int) handle {
	c := here(op)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	shape, err := resolveShape(shape, h.node.Len())
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	if l, ok := reshape(&h.node.layout, shape); ok {
		return c.view(h, l)
	}
	if err := c.ready(h); err != nil {
		return h.failed(err)
	}
	r, failed := c.pack(h)
	if failed != nil {
		return h.failed(failed)
	}
	r.node.layout, _ = reshape(&r.node.layout, shape)
	return r
}
