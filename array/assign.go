package array

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Assign writes src, which broadcasts to a's shape, to the memory that a is a view
// of, for instance w.Assign(w.Sub(step)) or x.Slice(All, I(0)).Assign(column).
// Mistakes come back at once; a fault of the device shows when the memory is read.
// src may be a itself or overlap it: it is read as it was before, as it is by all
// expressions recorded so far. An expression is computed straight into a, by one
// kernel; if expressions, src among them, still read the elements that are
// overwritten, those keep the old memory and a gets a new one, or, where a is only
// part of its memory, they are evaluated first, unless that costs more than a copy of
// the rest. A destination that shows one element in several places, as BroadcastTo
// makes it, is ErrShape.
func (a *Array[T]) Assign(src *Array[T]) error { return assign("Assign", a.h(), src.h()) }

// Fill writes value to all elements of the memory that a is a view of.
func (a *Array[T]) Fill(value T) error { return assignScalar("Fill", a.h(), scalarOf(value)) }

func assign(name string, dst, src handle) error {
	err := here(name).assign(dst, src)
	dst.dev.spoil(err)
	return asError(err)
}

func (c call) assign(dst, src handle) *Error {
	err := c.check(dst, src)
	if err == nil {
		err = c.ready(dst)
	}
	if err != nil {
		return err
	}
	to := &dst.node.layout
	from, failed := broadcastTo(&src.node.layout, dims(to))
	if failed == nil {
		failed = writable(to)
	}
	if failed != nil {
		return c.fail(failed, dst, src)
	}
	if dst.node.typ != src.node.typ {
		return c.fail(because(ErrType, "%v cannot be assigned to %v", src.node.typ, dst.node.typ), dst, src)
	}
	if dst.node.root() == src.node.root() {
		if sameElements(to, &from) {
			return nil
		}
		if overlap(to, &from) {
			copied, err := c.pack(handle{dst.dev, src.node}) // where the rest of the work is
			if err != nil {
				return c.of(err, dst, src)
			}
			defer copied.free(c)
			src = copied
			from, _ = broadcastTo(&src.node.layout, dims(to))
		}
	}
	return c.of(c.write(dst, func(w *work) *Error { return w.value(src.node, &from) }), dst, src)
}

func assignScalar(name string, dst handle, value scalar) error {
	err := here(name).assignScalar(dst, value)
	dst.dev.spoil(err)
	return asError(err)
}

func (c call) assignScalar(dst handle, value scalar) *Error {
	if err := c.ready(dst); err != nil {
		return err
	}
	if err := writable(&dst.node.layout); err != nil {
		return c.fail(err, dst)
	}
	return c.of(c.write(dst, func(w *work) *Error {
		w.expr.Nodes = append(w.expr.Nodes, value.word())
		return nil
	}), dst)
}

// write overwrites the elements of dst by an expression. Expressions that were
// recorded before and read them, that one among them, keep the elements: where all
// of the storage is overwritten, or a copy of the rest costs less than they do, they are
// left the old memory, and it takes a new one; else they are evaluated first.
func (c call) write(dst handle, express func(w *work) *Error) *Error {
	return c.locked(dst.dev, func() *Error { return c.writeLocked(dst, express) })
}

func (c call) writeLocked(dst handle, express func(w *work) *Error) *Error {
	sh, to, s := dst.dev.sh, &dst.node.layout, dst.node.root().store
	if err := s.usable(c); err != nil {
		return err
	}
	if to.Len() == 0 {
		return nil
	}
	if rec := dst.dev.capturing(); rec != nil {
		return c.writeRecorded(rec, dst, express)
	}
	renew := s.readers.any()
	whole := s.block.asked == uint64(to.Len()*dst.node.typ.Size())
	if renew && !((whole || s.hasSteps()) && s.holds == 0 && sh.maySetAside(s.bytes())) {
		if err := sh.overwritten(s); err != nil {
			return err
		}
		renew = false
	}
	w := newWork(c, dst.dev)
	defer w.end()
	w.sharing, w.fusing = true, true
	if err := express(w); err != nil {
		return err
	}
	w.share(nil)
	if err := w.planTo(dst.node.typ, to); err != nil {
		return c.unsupported(err, dst)
	}
	if err := w.assembled(); err != nil {
		return err
	}
	if renew {
		fresh, err := sh.obtain(s.block.asked)
		if err != nil { // then the readers are evaluated
			w.again()
			if err := sh.overwritten(s); err != nil {
				return err
			}
			return c.writeLocked(dst, express)
		}
		return w.renew(dst, s, fresh, whole)
	}
	_, err := w.runLocked(to, dst.node.typ, s)
	if err == nil {
		w.computed()
	}
	return err
}

// hasSteps says whether more than all of s would be computed for expressions that are
// operands of others, as the steps of a stencil are. Mostly nobody wants those for
// themselves, but Go cannot say so.
func (s *storage) hasSteps() bool {
	bytes := 0
	for n := range s.readers.all {
		if n.consumers > 0 {
			bytes += n.bytes()
		}
	}
	return uint64(bytes) > s.block.asked
}

// renew runs the work with a new block for s, whose old one stays with the
// expressions that read it. Where the work does not write the whole of it, the block
// begins as a copy.
func (w *work) renew(dst handle, s *storage, fresh *block, whole bool) *Error {
	sh := s.sh
	old := s.detach()
	s.block = fresh
	sh.registry.add(fresh, s.owner())
	sh.mark(fresh, driver.MemoryPoisoned, s.label)
	w.loads(old) // also for the case of an error: a product that waits may be the last that reads it
	for i := range w.inputs {
		if w.inputs[i] == s {
			w.inputs[i] = old
		}
	}
	var err *Error
	if !whole {
		err = w.copyBlock(fresh, old.block)
	}
	if err == nil {
		_, err = w.runLocked(&dst.node.layout, dst.node.typ, s)
	}
	if err != nil {
		sh.release(fresh)
		s.attach(old)
		return err
	}
	w.computed()
	return nil
}

// copyBlock queues a copy of a block's bytes to another of the same size.
func (w *work) copyBlock(to, from *block) *Error {
	st := w.dev.stream
	if err := w.dev.open(w.call); err != nil {
		return err
	}
	if err := errors.Join(from.beforeRead(st), to.beforeWrite(st)); err != nil {
		return w.deviceError(err)
	}
	m := st.next()
	from.read(m)
	to.write(m)
	if moved := w.dev.sh.moved; moved != nil {
		*moved += 2 * int(from.asked)
	}
	if err := st.queue.CopyDtoD(driver.Ptr(to.address), driver.Ptr(from.address), from.asked); err != nil {
		return w.deviceError(err)
	}
	return nil
}

// planTo plans the evaluation of the work's expression to a layout.
func (w *work) planTo(t kernels.Type, to *layout) error {
	if w.product != nil {
		return w.planProduct(to)
	}
	if len(w.expr.Nodes) == 1 && w.expr.Nodes[0].Kind == kernels.Load {
		return kernels.Copy(&w.plan, t, *to, w.layouts[0])
	}
	return kernels.Elementwise(&w.plan, &w.expr, *to, w.layouts)
}

// writable says why a layout cannot be a destination.
func writable(l *layout) error {
	if overlapsItself(l) {
		return because(ErrShape, "the destination shows one element in several places, so what it would hold depends on the order; assign to what it was broadcast from")
	}
	return nil
}
