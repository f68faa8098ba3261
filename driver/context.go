package driver

import (
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Context is this package's hold on a device's primary context: the one that
// the CUDA runtime, and with it other libraries in the process, uses too. It is
// retained and released, never reset.
//
// All handles made from a Context keep it retained; after Close they can only
// be closed, and the last one to be closed releases the device.
//
// A Context may be used from any goroutine. Each call makes it current on the
// calling thread for the length of the call and puts back what was current
// before.
type Context struct {
	dev    *Device
	api    abi.API
	handle abi.Context
	life   life

	mu    sync.Mutex
	refs  int           // 1 for the Context itself and 1 for each open child
	count [numKinds]int // open children

	*primary
}

// primary is what all Contexts of a device share, as their primary context is
// one: what was launched there, and the fault that ruined it.
type primary struct {
	launches launchRing
	fault    atomic.Pointer[Error]
}

// Context retains the device's primary context. Each call returns a Context of
// its own, to be closed by the caller.
func (d *Device) Context() (*Context, error) {
	const op = "cuDevicePrimaryCtxRetain"
	if d == nil || d.drv == nil {
		return nil, closed(op, nil)
	}
	h, r := d.drv.api.DevicePrimaryCtxRetain(d.handle)
	if err := d.drv.fail(op, r, "device "+strconv.Itoa(d.ordinal)); err != nil {
		return nil, err
	}
	c := &Context{dev: d, api: d.drv.api, handle: h, refs: 1, primary: &d.drv.primaries[d.ordinal]}
	c.life.open()
	return c, nil
}

// Device returns the device of the context.
func (c *Context) Device() *Device {
	if c == nil {
		return nil
	}
	return c.dev
}

// Close gives up the context. Handles made from it cannot be used any more, only
// closed. It waits for the calls in progress, launches excepted: Close of their Stream
// waits for those. A second Close does nothing.
func (c *Context) Close() error {
	if c == nil || !c.life.shut() {
		return nil
	}
	return c.unref()
}

func (c *Context) retain(k handleKind) {
	c.mu.Lock()
	c.refs++
	c.count[k]++
	c.mu.Unlock()
}

func (c *Context) release(k handleKind) error {
	c.mu.Lock()
	c.count[k]--
	c.mu.Unlock()
	return c.unref()
}

func (c *Context) unref() error {
	c.mu.Lock()
	c.refs--
	last := c.refs == 0
	c.mu.Unlock()
	if !last {
		return nil
	}
	return c.result("cuDevicePrimaryCtxRelease", c.api.DevicePrimaryCtxRelease(c.dev.handle))
}

// Handles counts the open handles of a context, for tests that look for leaks.
type Handles struct {
	Streams, Events, Modules, Mems, PinnedMems, MemPools, Graphs, GraphExecs int
}

// Handles returns how many handles made from c are open now.
func (c *Context) Handles() Handles {
	if c == nil {
		return Handles{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.count
	return Handles{
		Streams: n[kindStream], Events: n[kindEvent], Modules: n[kindModule], Mems: n[kindMem],
		PinnedMems: n[kindPinned], MemPools: n[kindPool], Graphs: n[kindGraph], GraphExecs: n[kindGraphExec],
	}
}

// call runs one driver call with c current, if c is open and has not faulted.
// f does not escape, so a closure over the caller's variables costs nothing.
func (c *Context) call(op string, f func(api abi.API) abi.Result) error {
	if err := c.enter(op); err != nil {
		return err
	}
	defer c.life.exit()
	if fault := c.fault.Load(); fault != nil {
		return fault.later(op)
	}
	prev, r := c.attach()
	if r == abi.Success {
		r = f(c.api)
	}
	c.detach(prev)
	if r == abi.Success {
		return nil
	}
	return c.result(op, r)
}

func (c *Context) enter(op string) error {
	if c == nil || !c.life.enter() {
		return c.closed(op)
	}
	return nil
}

func (c *Context) closed(op string) error {
	return &Error{Op: op, Err: ErrClosed, Detail: "Context"}
}

// attach locks the goroutine to its thread and makes c current there; detach
// puts back what was current before. Other users of CUDA in the process thus
// find their threads as they left them.
func (c *Context) attach() (prev abi.Context, r abi.Result) {
	runtime.LockOSThread()
	if prev, r = c.api.CtxGetCurrent(); r != abi.Success {
		return c.handle, r // nothing was changed
	}
	if prev == c.handle {
		return prev, abi.Success
	}
	if r = c.api.CtxSetCurrent(c.handle); r != abi.Success {
		return c.handle, r
	}
	return prev, abi.Success
}

// detach cannot fail in a way that matters: prev was current a moment ago.
func (c *Context) detach(prev abi.Context) {
	if prev != c.handle {
		c.api.CtxSetCurrent(prev)
	}
	runtime.UnlockOSThread()
}

// onStream runs a call whose stream says which context it is for. Drivers for CUDA
// 12 take it from there, which saves making it current: three calls besides the one.
// A driver that does not refuses before it has done anything, and is asked no more.
func (c *Context) onStream(f func(api abi.API) abi.Result) abi.Result {
	drv := c.dev.drv
	if !drv.needsCurrent.Load() {
		if r := f(c.api); r != abi.ErrorInvalidContext && r != abi.ErrorInvalidHandle {
			return r
		}
	}
	prev, r := c.attach()
	if r == abi.Success {
		if r = f(c.api); r == abi.Success {
			drv.needsCurrent.Store(true)
		}
	}
	c.detach(prev)
	return r
}

// result turns a driver call's result into an error. A code that poisons the
// context is kept, with the launches that may have caused it.
func (c *Context) result(op string, r abi.Result) error {
	if r == abi.Success {
		return nil
	}
	if !poisons[Code(r)] {
		return c.dev.drv.fail(op, r, "")
	}
	fault := &Error{Op: op, Code: Code(r), Detail: c.faultDetail()}
	if !c.fault.CompareAndSwap(nil, fault) {
		return c.fault.Load().later(op)
	}
	return fault
}

// Err returns the fault that has made the context unusable, or nil.
func (c *Context) Err() error {
	if c == nil || c.primary == nil {
		return closed("Err", nil)
	}
	if fault := c.fault.Load(); fault != nil {
		return fault
	}
	return nil
}

// Synchronize waits until all work on the context's device is done, on all
// streams, and returns its fault if there was one.
func (c *Context) Synchronize() error {
	upTo := c.launched()
	err := c.call("cuCtxSynchronize", func(api abi.API) abi.Result { return api.CtxSynchronize() })
	if err == nil {
		c.launches.done(nil, upTo)
	}
	return err
}

// MemInfo returns the device's free and total memory in bytes, as the driver
// sees them: other processes count.
func (c *Context) MemInfo() (free, total uint64, err error) {
	err = c.call("cuMemGetInfo", func(api abi.API) (r abi.Result) {
		free, total, r = api.MemGetInfo()
		return r
	})
	return free, total, err
}

// StreamPriorities returns the lowest and the highest priority of streams;
// lower numbers are higher priorities, as in (0, -5).
func (c *Context) StreamPriorities() (lowest, highest int, err error) {
	err = c.call("cuCtxGetStreamPriorityRange", func(api abi.API) abi.Result {
		least, greatest, r := api.CtxGetStreamPriorityRange()
		lowest, highest = int(least), int(greatest)
		return r
	})
	return lowest, highest, err
}

// Limit returns a limit of the context, in the unit of that limit.
func (c *Context) Limit(l Limit) (value uint64, err error) {
	err = c.call("cuCtxGetLimit", func(api abi.API) (r abi.Result) {
		value, r = api.CtxGetLimit(abi.Limit(l))
		return r
	})
	return value, err
}

// SetLimit sets a limit of the context; the driver may round it up.
func (c *Context) SetLimit(l Limit, value uint64) error {
	return c.call("cuCtxSetLimit", func(api abi.API) abi.Result { return api.CtxSetLimit(abi.Limit(l), value) })
}

// EnablePeerAccess lets kernels of this context use peer's memory directly. That
// it is enabled already is no error.
func (c *Context) EnablePeerAccess(peer *Context) error {
	const op = "cuCtxEnablePeerAccess"
	if err := peer.enter(op); err != nil {
		return err
	}
	defer peer.life.exit()
	return c.call(op, func(api abi.API) abi.Result {
		r := api.CtxEnablePeerAccess(peer.handle, 0)
		if Code(r) == ErrorPeerAccessAlreadyEnabled {
			return abi.Success
		}
		return r
	})
}

// DisablePeerAccess undoes EnablePeerAccess.
func (c *Context) DisablePeerAccess(peer *Context) error {
	const op = "cuCtxDisablePeerAccess"
	if err := peer.enter(op); err != nil {
		return err
	}
	defer peer.life.exit()
	return c.call(op, func(api abi.API) abi.Result { return api.CtxDisablePeerAccess(peer.handle) })
}

// MemoryState is what [Context.MarkMemory] says of a block of device memory.
type MemoryState uint8

const (
	MemoryLive     MemoryState = iota // allocated; what was written before is its content
	MemoryDead                        // given back: any access is a fault
	MemoryPoisoned                    // allocated; its content is undefined until written
)

// MarkMemory tells the checks of the simulated device about a part of an
// allocation, for allocators that cut large ones up: its reports then name that
// part, by label, and accesses outside live parts are faults. On a GPU it does
// nothing. The label is asked for only when a report is made.
func (c *Context) MarkMemory(p Ptr, bytes uint64, state MemoryState, label func() string) {
	if c.enter("MarkMemory") != nil {
		return
	}
	defer c.life.exit()
	c.api.MarkMemory(abi.DevicePtr(p), bytes, abi.MemoryState(state), label)
}
