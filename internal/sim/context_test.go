package sim

import (
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

func TestNotInitialized(t *testing.T) {
	s := New(Options{})
	for name, r := range map[string]abi.Result{
		"DeviceGetCount":         second(s.DeviceGetCount()),
		"DeviceGet":              second(s.DeviceGet(0)),
		"DeviceGetName":          second(s.DeviceGetName(0)),
		"DevicePrimaryCtxRetain": second(s.DevicePrimaryCtxRetain(0)),
		"CtxGetCurrent":          second(s.CtxGetCurrent()),
		"CtxSetCurrent":          s.CtxSetCurrent(0),
		"CtxSynchronize":         s.CtxSynchronize(),
		"MemAlloc":               second(s.MemAlloc(4)),
		"ModuleUnload":           s.ModuleUnload(1),
		"LibraryLoadData":        second(s.LibraryLoadData([]byte(saxpyPTX), nil)),
		"StreamQuery":            s.StreamQuery(0),
		"StreamSynchronize":      s.StreamSynchronize(5000),
		"EventQuery":             s.EventQuery(5000),
		"GraphCreate":            second(s.GraphCreate(0)),
		"GraphLaunch":            s.GraphLaunch(1, 0),
		"MemPoolDestroy":         s.MemPoolDestroy(1),
		"LaunchKernel":           s.LaunchKernel(1, 1, 1, 1, 1, 1, 1, 0, 0, nil),
	} {
		if r != abi.ErrorNotInitialized {
			t.Errorf("%s before Init: %v", name, r)
		}
	}
	if r := s.Init(1); r != abi.ErrorInvalidValue {
		t.Errorf("Init(1): %v", r)
	}
}

func TestContexts(t *testing.T) {
	e := open(t, Options{})
	if c := must[abi.Context](e)(e.DevicePrimaryCtxRetain(0)); c != e.ctx {
		t.Error("the primary context changed")
	}
	e.want(e.CtxSetCurrent(99), abi.ErrorInvalidContext)
	e.ok(e.CtxSetCurrent(0))
	e.ok(e.CtxSetCurrent(e.ctx))
	if c := must[abi.Context](e)(e.CtxGetCurrent()); c != e.ctx {
		t.Errorf("current is %d, want %d", c, e.ctx)
	}
	if v := must[uint64](e)(e.CtxGetLimit(abi.LimitStackSize)); v == 0 {
		t.Error("no stack")
	}
	e.ok(e.CtxSetLimit(abi.LimitStackSize, 4096))
	if v := must[uint64](e)(e.CtxGetLimit(abi.LimitStackSize)); v != 4096 {
		t.Errorf("stack of %d", v)
	}
	e.want(e.CtxSetLimit(99, 1), abi.ErrorUnsupportedLimit)
	e.want(second(e.CtxGetLimit(99)), abi.ErrorUnsupportedLimit)
	e.want(e.CtxEnablePeerAccess(e.ctx, 0), abi.ErrorInvalidDevice)

	// The last release destroys what the context has.
	p, s, ev, m := e.alloc(8), e.stream(), e.event(), e.module(variousPTX)
	f := must[abi.Function](e)(e.ModuleGetFunction(m, "count"))
	e.ok(e.DevicePrimaryCtxRelease(0))
	e.ok(e.StreamQuery(s))
	e.ok(e.DevicePrimaryCtxRelease(0))
	e.want(e.DevicePrimaryCtxRelease(0), abi.ErrorInvalidContext)
	for name, r := range map[string]abi.Result{
		"MemAlloc": second(e.MemAlloc(4)), "CtxSynchronize": e.CtxSynchronize(), "the NULL stream": e.StreamQuery(0),
		"ModuleLoadDataEx": second(e.ModuleLoadDataEx([]byte(saxpyPTX), nil)), "CtxSetCurrent": e.CtxSetCurrent(e.ctx),
	} {
		if r != abi.ErrorInvalidContext {
			t.Errorf("%s without a context: %v", name, r)
		}
	}
	if c, r := e.CtxGetCurrent(); c != 0 || r != abi.Success {
		t.Errorf("current after the release: %d, %v", c, r)
	}
	ctx := must[abi.Context](e)(e.DevicePrimaryCtxRetain(0))
	if ctx == e.ctx {
		t.Error("a destroyed context's handle came back")
	}
	for name, r := range map[string]abi.Result{
		"stream": e.StreamQuery(s), "event": e.EventQuery(ev), "module": e.ModuleUnload(m), "function": e.launch1(f, 1, 1, 0),
	} {
		if r != abi.ErrorInvalidHandle {
			t.Errorf("%s of a destroyed context: %v", name, r)
		}
	}
	e.want(e.MemFree(p), abi.ErrorInvalidValue)
	if free, total, _ := e.MemGetInfo(); free != total {
		t.Errorf("%d bytes are not free in a new context", total-free)
	}
}

func TestTwoDevices(t *testing.T) {
	runtime.LockOSThread() // the current context is the thread's
	defer runtime.UnlockOSThread()
	e := open(t, Options{Devices: 2, MemoryLimit: 64 << 20})
	first := e.ctx
	other := must[abi.Context](e)(e.DevicePrimaryCtxRetain(1))
	if must[abi.UUID](e)(e.DeviceGetUuid(0)) == must[abi.UUID](e)(e.DeviceGetUuid(1)) {
		t.Error("the devices have the same UUID")
	}
	x := upload(e, []uint32{1, 2, 3, 4})
	m := e.module(variousPTX)
	e.ok(e.CtxSetCurrent(other))
	if free, total, r := e.MemGetInfo(); r != abi.Success || free != total {
		t.Errorf("the second device has %d of %d bytes free", free, total)
	}
	_, r := e.MemAlloc(65 << 20)
	e.want(r, abi.ErrorOutOfMemory)
	y := e.alloc(60 << 20)
	e.ok(e.MemcpyPeerAsync(y, other, x, first, 16, 0))
	if got := download[uint32](e, y, 4); !slices.Equal(got, []uint32{1, 2, 3, 4}) {
		t.Errorf("got %v from the peer", got)
	}
	if must[int32](e)(e.DeviceCanAccessPeer(0, 1)) != 1 || must[int32](e)(e.DeviceCanAccessPeer(1, 1)) != 0 {
		t.Error("peer access")
	}
	e.want(e.CtxDisablePeerAccess(first), abi.ErrorPeerAccessNotEnabled)
	e.ok(e.CtxEnablePeerAccess(first, 0))
	e.want(e.CtxEnablePeerAccess(first, 0), abi.ErrorPeerAccessAlreadyEnabled)
	e.ok(e.CtxDisablePeerAccess(first))

	// A kernel of one device's module does not run on the other's stream; a fault of
	// one leaves the other.
	f := must[abi.Function](e)(e.ModuleGetFunction(m, "stop"))
	e.want(e.launch1(f, 1, 1, 0), abi.ErrorInvalidContext)
	e.ok(e.CtxSetCurrent(first))
	e.ok(e.launch1(f, 1, 1, 0))
	e.want(e.CtxSynchronize(), abi.ErrorLaunchFailed)
	e.want(e.MemcpyPeerAsync(y, other, x, first, 16, 0), abi.ErrorLaunchFailed)
	e.ok(e.CtxSetCurrent(other))
	e.ok(e.CtxSynchronize())
	var v uint32
	e.ok(e.MemcpyDtoH(unsafe.Pointer(&v), y, 4))
	// Peer access ends with the peer's context.
	e.ok(e.CtxEnablePeerAccess(first, 0))
	e.ok(e.DevicePrimaryCtxRelease(0))
	e.ok(e.CtxEnablePeerAccess(must[abi.Context](e)(e.DevicePrimaryCtxRetain(0)), 0))

	e.ok(e.CtxSetCurrent(0))
	if runtime.GOOS == "linux" {
		e.want(e.CtxSynchronize(), abi.ErrorInvalidContext)
	}
}
