package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// Take returns what a has at the indices along an axis: of a's shape, with that of
// indices in the place of the axis. Indices below 0 count from the end of the axis.
// That an index is out of range is found by the device: the result is 0 there, and
// reading it, or what is computed from it, gives ErrIndex, which names the first such
// index. Of a result without elements nothing is looked at. Each 256th Take waits
// until the ones before are done. In a graph, each launch is a Take with the indices
// of then.
func (a *Array[T]) Take(indices *Array[int64], axis int) *Array[T] {
	return to[T](take("Take", a.h(), indices.h(), axis))
}

func take(name string, h, indices handle, axis int) handle {
	c := here(name)
	if err := c.ready(h, indices); err != nil {
		return h.failed(err)
	}
	out, at, err := takeShape(h.node, indices.node, axis)
	if err != nil {
		return h.failed(c.fail(err, h, indices))
	}
	if err := h.dev.fits(c, &out, h.node.typ); err != nil {
		return h.failed(c.of(err, h, indices))
	}
	w := newWork(c, h.dev)
	defer w.end()
	w.input(h.node, h.node.layout)
	w.input(indices.node, indices.node.layout)
	first := h.dev.places(indices.node.Len())
	if err := kernels.Take(&w.plan, h.node.typ, h.node.layout, at, indices.node.layout, first); err != nil {
		return h.failed(c.unsupported(err, h, indices))
	}
	w.suspect = &suspect{call: c, axis: at, first: first}
	for i, n := range []*node{h.node, indices.node} {
		w.suspect.operands[i].typ, w.suspect.operands[i].layout = n.typ, n.layout
	}
	n, failed := w.create(out, h.node.typ)
	return h.dev.made(n, c.of(failed, h, indices))
}

// takeShape returns the layout of the result and the axis.
func takeShape(a, indices *node, axis int) (out layout, at int, err error) {
	if at, err = axisOf(axis, a.Rank); err != nil {
		return out, at, err
	}
	if rank := a.Rank - 1 + indices.Rank; rank > kernels.MaxRank {
		return out, at, because(ErrShape, "the result would have %d axes, at most %d are possible", rank, kernels.MaxRank)
	}
	out, err = kernels.TakeShape(&a.layout, at, &indices.layout)
	if err == nil {
		out, err = newLayout(dims(&out), a.typ)
	}
	return out, at, err
}
