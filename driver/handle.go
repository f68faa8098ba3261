package driver

import (
	"sync"
	"sync/atomic"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// life lets a handle be closed while other goroutines use it: Close waits for
// the calls in progress, and later calls are told. The zero life is closed, so
// that the zero value of every handle is an error to use and not a crash.
type life struct {
	state atomic.Int32 // openBit while open, plus the number of calls in progress
}

const openBit = 1 << 30

// drained wakes the few Close calls that wait for calls in progress; one for
// all handles, as waiting is rare.
var drained = sync.NewCond(new(sync.Mutex))

func (l *life) open() { l.state.Store(openBit) }

func (l *life) isOpen() bool { return l.state.Load()&openBit != 0 }

func (l *life) enter() bool {
	if l.state.Add(1)&openBit != 0 {
		return true
	}
	l.exit()
	return false
}

func (l *life) exit() {
	if l.state.Add(-1) == 0 {
		drained.L.Lock()
		drained.Broadcast()
		drained.L.Unlock()
	}
}

// shut closes l, waits for the calls in progress, and says whether it was open.
func (l *life) shut() bool {
	for {
		old := l.state.Load()
		if old&openBit == 0 {
			return false
		}
		if l.state.CompareAndSwap(old, old&^openBit) {
			break
		}
	}
	drained.L.Lock()
	for l.state.Load() != 0 {
		drained.Wait()
	}
	drained.L.Unlock()
	return true
}

// handleKind names a kind of handle in errors and counts.
type handleKind uint8

const (
	kindStream handleKind = iota
	kindEvent
	kindModule
	kindMem
	kindPinned
	kindPool
	kindGraph
	kindGraphExec
	numKinds
)

var kindNames = [numKinds]string{"Stream", "Event", "Module", "Mem", "PinnedMem", "MemPool", "Graph", "GraphExec"}

func (k handleKind) String() string { return kindNames[k] }

// child is what all handles that live in a context have in common. Each keeps
// the context retained until it is closed itself, so the order in which things
// are closed does not matter.
type child struct {
	ctx  *Context
	kind handleKind
	life life
}

func (h *child) born(c *Context, k handleKind) {
	h.ctx, h.kind = c, k
	c.retain(k)
	h.life.open()
}

// enter begins a use of the handle; nil means that exit must follow.
func (h *child) enter(op string) error {
	if h != nil && h.life.enter() {
		return nil
	}
	return closed(op, h)
}

func (h *child) isOpen() bool { return h != nil && h.life.isOpen() }

func (h *child) exit() { h.life.exit() }

func closed(op string, h *child) error {
	e := &Error{Op: op, Err: ErrClosed}
	switch {
	case h == nil:
		e.Detail = "it is nil"
	case h.ctx == nil:
		e.Detail = "it was not made by this package"
	default:
		e.Detail = h.kind.String()
	}
	return e
}

// call runs one driver call that uses the handle, on its context.
func (h *child) call(op string, f func(api abi.API) abi.Result) error {
	if err := h.enter(op); err != nil {
		return err
	}
	defer h.exit()
	return h.ctx.call(op, f)
}

// call2 is call for a call on h that uses another handle of the same context too.
// Several Contexts may hold the same primary context: the handle decides.
func (h *child) call2(op string, other *child, f func(api abi.API) abi.Result) error {
	if err := other.enter(op); err != nil {
		return err
	}
	defer other.exit()
	if h != nil && h.ctx != nil && other.ctx.handle != h.ctx.handle {
		return &Error{Op: op, Code: ErrorInvalidContext, Detail: "the " + other.kind.String() + " belongs to another context"}
	}
	return h.call(op, f)
}

// close closes the handle once; later calls (and a nil handle) return nil. The
// handle is gone afterwards, whatever destroy answered. destroy is called in any
// case: also on a context that has faulted, or cannot be made current.
func (h *child) close(op string, destroy func(api abi.API) abi.Result) error {
	if h == nil || !h.life.shut() {
		return nil
	}
	prev, r := h.ctx.attach()
	destroyed := destroy(h.ctx.api)
	h.ctx.detach(prev)
	if destroyed != abi.Success {
		r = destroyed
	}
	err := h.ctx.result(op, r)
	return firstError(err, h.ctx.release(h.kind))
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
