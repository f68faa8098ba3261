package array

import (
	"errors"
	"slices"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Shape returns the sizes of the axes: empty for rank 0, nil for an Array that
// carries an error. The slice is the caller's.
func (a *Array[T]) Shape() []int { return a.h().shape() }

// Strides returns, for each axis, how many elements apart neighbours are in
// memory. Broadcast axes have 0; reversed ones have negative strides.
func (a *Array[T]) Strides() []int { return a.h().strides() }

// Rank returns the number of axes.
func (a *Array[T]) Rank() int { return a.h().rank() }

// Size returns the number of elements: 1 for rank 0, 0 for an Array that carries
// an error.
func (a *Array[T]) Size() int { return a.h().size() }

// DType returns the name of the element type: "float32", "bfloat16", "bool".
func (a *Array[T]) DType() string { return typeOf[T]().String() }

// Device returns the Device that operations on a run on, nil for a nil or zero
// Array.
func (a *Array[T]) Device() *Device { return a.h().dev }

// Err returns the error that a carries, nil if it carries none so far. It neither
// computes nor waits: what goes wrong in computing a shows after [Array.Eval], and
// a device's fault when something is read.
func (a *Array[T]) Err() error { return carried("Err", a.h()) }

// Eval computes a now if it is an expression that has not been evaluated, and
// returns a. It does not wait for the device.
func (a *Array[T]) Eval() *Array[T] { return a.or(eval("Eval", a.h())) }

// Sync waits until a is computed, on whichever stream that is, and returns its
// error. It does not wait for what is queued afterwards.
func (a *Array[T]) Sync() error { return syncArray("Sync", a.h()) }

// Free gives the array's memory back, in stream order: work that is queued may
// still use it. Views of it, and a itself, then report ErrFreed. Free of a view, of
// an Array that carries an error, or a second Free, does nothing.
func (a *Array[T]) Free() { free("Free", a.h()) }

// On returns a handle to the same array whose operations run on d, a fork of a's
// Device, a Device in a [Device.Scope] of it, or, where a's is a fork, the one that
// it is a fork of. That a's own fork was closed does not matter.
func (a *Array[T]) On(d *Device) *Array[T] { return to[T](on("On", a.h(), d)) }

// Keep takes a, or the array that a is a view of, out of the scope that would free
// it, into the scope around that one if there is one, and returns a.
func (a *Array[T]) Keep() *Array[T] { return a.or(keep("Keep", a.h())) }

// Clone returns a copy in memory of its own, contiguous.
func (a *Array[T]) Clone() *Array[T] { return to[T](clone("Clone", a.h())) }

// or returns a where h is a's handle.
func (a *Array[T]) or(h handle) *Array[T] {
	if a != nil && a.handle == h {
		return a
	}
	return to[T](h)
}

func (h handle) shape() []int {
	if h.node == nil || h.node.err != nil {
		return nil
	}
	return append([]int{}, dims(&h.node.layout)...)
}

func (h handle) strides() []int {
	if h.node == nil || h.node.err != nil {
		return nil
	}
	return slices.Clone(h.node.Strides[:h.node.Rank])
}

func (h handle) rank() int {
	if h.node == nil {
		return 0
	}
	return h.node.Rank
}

func (h handle) size() int {
	if h.node == nil || h.node.err != nil {
		return 0
	}
	return h.node.Len()
}

// carried and eval, which mostly find nothing wrong, look for the caller's line only
// where it is to be told.
func carried(op string, h handle) error {
	if (call{}).check(h) == nil {
		return nil
	}
	return asError(here(op).check(h))
}

func eval(op string, h handle) handle {
	if (call{}).ready(h) == nil {
		return h
	}
	if err := here(op).ready(h); err != nil {
		return h.failed(err)
	}
	return h
}

func syncArray(op string, h handle) error {
	c := here(op)
	if err := c.ready(h); err != nil {
		return err
	}
	s := h.node.root().store
	err := h.dev.await(c, s)
	if err == nil {
		err = s.examine(c)
	}
	return asError(c.of(err, h))
}

// await waits for the last write to a storage, by an event of its own: an event of
// the stream may be recorded anew meanwhile, behind other work.
func (d *Device) await(c call, s *storage) *Error {
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	if err := d.hostless(c, "Waiting"); err != nil {
		return err
	}
	m, event, err := s.lastWrite(c)
	if event == nil {
		return err
	}
	if err := errors.Join(event.Synchronize(), event.Close()); err != nil {
		return c.deviceError(err)
	}
	d.sh.reach(m)
	return nil
}

// lastWrite returns the mark of the last write and a new event behind it; no event
// where that is complete.
func (s *storage) lastWrite(c call) (mark, *driver.Event, *Error) {
	s.sh.mu.Lock()
	defer s.sh.mu.Unlock()
	if err := s.usable(c); err != nil || s.block == nil || s.block.wrote.reached() {
		return mark{}, nil, err
	}
	m := s.block.wrote
	event, err := s.sh.ctx.NewEvent(driver.EventConfig{Blocking: true})
	if err != nil {
		return m, nil, c.deviceError(err)
	}
	if err := event.Record(m.stream.queue); err != nil {
		return m, nil, c.deviceError(errors.Join(err, event.Close()))
	}
	return m, event, nil
}

func free(op string, h handle) { h.free(here(op)) }

func (h handle) free(c call) {
	if h.node == nil || h.node.err != nil || h.node.base != nil || h.dev == nil {
		return
	}
	h.dev.sh.mu.Lock()
	defer h.dev.sh.mu.Unlock()
	h.dev.sh.free(c, h.node)
}

func on(op string, h handle, d *Device) handle {
	c := here(op)
	if h.node == nil || h.node.err != nil || h.dev == nil {
		return handle{d, &node{err: c.check(h)}}
	}
	if err := d.check(c); err != nil {
		return h.failed(c.of(err, h))
	}
	if d.sh != h.dev.sh {
		return h.failed(c.fail(because(ErrDevice, "%v does not share memory with the array's device: it is no fork of it", d), h))
	}
	if h.dev.check(c) != nil {
		h.dev = d // h's fork was closed: what is left to compute, d does
	}
	if err := c.ready(h); err != nil {
		return h.failed(err)
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if rec := h.node.root().madeIn(); rec != nil && rec != d.capturing() {
		return h.failed(c.of(c.foreign(), h))
	}
	return handle{d, h.node}
}

func keep(op string, h handle) handle {
	c := here(op)
	if err := c.ready(h); err != nil {
		h.dev.spoil(err)
		return h.failed(err)
	}
	h.dev.sh.mu.Lock()
	defer h.dev.sh.mu.Unlock()
	s := h.node.root().store
	if sc := s.scope; sc != nil {
		s.scope = nil
		sc.parent.lasting().add(s)
	}
	return h
}

func clone(op string, h handle) handle { return here(op).clone(h) }

func (c call) clone(h handle) handle {
	if err := c.ready(h); err != nil {
		return h.failed(err)
	}
	r, err := c.pack(h)
	if err != nil {
		return h.failed(err)
	}
	return r
}

// pack copies a materialised array to contiguous memory of its own.
func (c call) pack(h handle) (handle, *Error) {
	out := contiguousLike(&h.node.layout)
	if err := h.dev.fits(c, &out, h.node.typ); err != nil {
		return h, c.of(err, h)
	}
	w := newWork(c, h.dev)
	defer w.end()
	w.input(h.node, h.node.layout)
	if err := kernels.Copy(&w.plan, h.node.typ, out, h.node.layout); err != nil {
		return h, c.unsupported(err, h)
	}
	n, err := w.create(out, h.node.typ)
	return handle{h.dev, n}, c.of(err, h)
}
