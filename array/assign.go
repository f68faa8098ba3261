package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// Assign writes src, which broadcasts to a's shape, to the memory that a is a view
// of, for instance w.Assign(w.Sub(step)) or x.Slice(All, I(0)).Assign(column).
// Mistakes come back at once; a fault of the device shows when the memory is read.
// src may be a itself or overlap it: it is read as it was before. A destination
// that shows one element in several places, as BroadcastTo makes it, is ErrShape.
func (a *Array[T]) Assign(src *Array[T]) error { return assign("Assign", a.h(), src.h()) }

// Fill writes value to all elements of the memory that a is a view of.
func (a *Array[T]) Fill(value T) error { return assignScalar("Fill", a.h(), scalarOf(value)) }

func assign(name string, dst, src handle) error {
	c := here(name)
	if err := c.ready(dst, src); err != nil {
		return err
	}
	to := &dst.node.layout
	from, err := broadcastTo(&src.node.layout, dims(to))
	if err == nil {
		err = writable(to)
	}
	if err != nil {
		return c.fail(err, dst, src)
	}
	if dst.node.store == src.node.store {
		if sameElements(to, &from) {
			return nil
		}
		if overlap(to, &from) {
			copied, err := c.pack(src)
			if err != nil {
				return c.of(err, dst, src)
			}
			defer copied.free(c)
			src = copied
			from, _ = broadcastTo(&src.node.layout, dims(to))
		}
	}
	w := newWork(c, dst.dev)
	defer w.end()
	w.input(src.node, from)
	if err := kernels.Copy(&w.plan, dst.node.typ, *to, from); err != nil {
		return c.unsupported(err, dst, src)
	}
	_, failed := w.run(to, dst.node.typ, dst.node.store)
	return asError(c.of(failed, dst, src))
}

func assignScalar(name string, dst handle, value scalar) error {
	c := here(name)
	if err := c.ready(dst); err != nil {
		return err
	}
	if err := writable(&dst.node.layout); err != nil {
		return c.fail(err, dst)
	}
	w := newWork(c, dst.dev)
	defer w.end()
	k := constant(value)
	k.layout = dst.node.layout
	if err := w.express(k, &dst.node.layout); err != nil {
		return c.unsupported(err, dst)
	}
	_, failed := w.run(&dst.node.layout, value.typ, dst.node.store)
	return asError(c.of(failed, dst))
}

// writable says why a layout cannot be a destination.
func writable(l *layout) error {
	if overlapsItself(l) {
		return because(ErrShape, "the destination shows one element in several places, so what it would hold depends on the order; assign to what it was broadcast from")
	}
	return nil
}
