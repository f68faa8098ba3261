package array

import (
	"github.com/seed6486a2bb/gpuarray/kernels"

	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// Concat joins arrays along an axis; their other sizes are equal. The result is on
// the first array's device.
func Concat[T Element](axis int, arrays ...*Array[T]) *Array[T] {
	return to[T](join("Concat", handles(arrays), axis, false))
}

// Stack joins arrays of one shape along a new axis.
func Stack[T Element](axis int, arrays ...*Array[T]) *Array[T] {
	return to[T](join("Stack", handles(arrays), axis, true))
}

func handles[T Element](arrays []*Array[T]) []handle {
	hs := make([]handle, len(arrays))
	for i, a := range arrays {
		hs[i] = a.h()
	}
	return hs
}

func join(name string, arrays []handle, axis int, stack bool) handle {
	return here(name).join(arrays, axis, stack)
}

func (c call) join(arrays []handle, axis int, stack bool) handle {
	if len(arrays) == 0 {
		return handle{node: &node{err: c.fail(because(ErrShape, "no arrays to join; at least one says type and device"))}}
	}
	if err := c.ready(arrays...); err != nil {
		return arrays[0].failed(err)
	}
	parts := make([]layout, len(arrays))
	for i, h := range arrays {
		if parts[i] = h.node.layout; stack {
			var err error
			if parts[i], err = stacked(&parts[i], &arrays[0].node.layout, i, axis); err != nil {
				return arrays[0].failed(c.fail(err, arrays...))
			}
		}
	}
	out, at, err := joined(parts, axis, arrays[0].node.typ)
	if err != nil {
		return arrays[0].failed(c.fail(err, arrays...))
	}
	if err := arrays[0].dev.fits(c, &out, arrays[0].node.typ); err != nil {
		return arrays[0].failed(c.of(err, arrays...))
	}
	w := newWork(c, arrays[0].dev)
	defer w.end()
	for i, h := range arrays {
		w.input(h.node, parts[i])
	}
	if err := kernels.Join(&w.plan, arrays[0].node.typ, out, parts, at); err != nil {
		return arrays[0].failed(c.unsupported(err, arrays...))
	}
	n, failed := w.create(out, arrays[0].node.typ)
	return arrays[0].dev.made(n, c.of(failed, arrays...))
}

// stacked returns the layout of the i-th array with the new axis.
func stacked(l, first *layout, i, axis int) (layout, error) {
	if !sameShape(l, first) {
		return *l, because(ErrShape, "array %d has shape %s, the first has %s; all need the same", i+1, phrase.Shape(dims(l)), phrase.Shape(dims(first)))
	}
	return expand(l, []int{axis})
}

// joined returns the layout of the result and the axis.
func joined(parts []layout, axis int, t kernels.Type) (out layout, at int, err error) {
	out = parts[0]
	if at, err = axisOf(axis, out.Rank); err != nil {
		return out, at, err
	}
	total := 0
	for i := range parts {
		p := parts[i]
		if p.Rank != out.Rank {
			return out, at, because(ErrShape, "array %d has rank %d, the first has %d", i+1, p.Rank, out.Rank)
		}
		for j, n := range p.Shape[:p.Rank] {
			if j != at && n != out.Shape[j] {
				return out, at, because(ErrShape, "array %d has size %d at axis %d, the first has %d; only axis %d may differ", i+1, n, j, out.Shape[j], at)
			}
		}
		if total += p.Shape[at]; total < 0 {
			return out, at, because(ErrShape, "the sizes along axis %d add up to more than an int holds", at)
		}
	}
	out.Shape[at] = total
	out, err = newLayout(dims(&out), t)
	return out, at, err
}
