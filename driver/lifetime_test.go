package driver

import (
	"errors"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
)

// uses lists a use of every kind of handle; each must be an error, and not a
// call of the driver, when the handle is not open.
func uses(c *Context, s *Stream, e *Event, m *Module, k *Kernel, mem *Mem, p *PinnedMem, pool *MemPool, g *Graph, x *GraphExec) map[string]func() error {
	cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{1}}
	drop := func(_ any, err error) error { return err }
	return map[string]func() error{
		"Context.NewStream":           func() error { return drop(c.NewStream(StreamConfig{})) },
		"Context.NewEvent":            func() error { return drop(c.NewEvent(EventConfig{})) },
		"Context.LoadModule":          func() error { return drop(c.LoadModule(kernelsPTX, LoadConfig{})) },
		"Context.LoadLibrary":         func() error { return drop(c.LoadLibrary(kernelsPTX, LoadConfig{})) },
		"Context.Alloc":               func() error { return drop(c.Alloc(1)) },
		"Context.AllocPinned":         func() error { return drop(c.AllocPinned(1, PinnedConfig{})) },
		"Context.NewMemPool":          func() error { return drop(c.NewMemPool(0)) },
		"Context.DefaultMemPool":      func() error { return drop(c.DefaultMemPool()) },
		"Context.NewGraph":            func() error { return drop(c.NewGraph()) },
		"Context.NewTensorMap":        func() error { return drop(c.NewTensorMap(TensorMapConfig{Shape: []uint64{1}, Box: []uint32{1}})) },
		"Context.Synchronize":         func() error { return c.Synchronize() },
		"Context.MemInfo":             func() error { _, _, err := c.MemInfo(); return err },
		"Context.Limit":               func() error { return drop(c.Limit(LimitStackSize)) },
		"Context.SetLimit":            func() error { return c.SetLimit(LimitStackSize, 1024) },
		"Context.StreamPriorities":    func() error { _, _, err := c.StreamPriorities(); return err },
		"Context.EnablePeerAccess":    func() error { return c.EnablePeerAccess(c) },
		"Context.DisablePeerAccess":   func() error { return c.DisablePeerAccess(c) },
		"Context.AddressRange":        func() error { _, _, err := c.AddressRange(1); return err },
		"Context.CopyHtoD":            func() error { return c.CopyHtoD(1, []byte{1}) },
		"Context.CopyHtoD of nothing": func() error { return c.CopyHtoD(1, nil) },
		"Context.CopyDtoH":            func() error { return c.CopyDtoH([]byte{1}, 1) },
		"Context.CopyDtoH of nothing": func() error { return c.CopyDtoH(nil, 1) },
		"Context.CopyDtoD":            func() error { return c.CopyDtoD(1, 2, 3) },
		"Context.Copy2D":              func() error { return c.Copy2D(Copy2D{Width: 1, Height: 1}) },
		"Stream.Synchronize":          func() error { return s.Synchronize() },
		"Stream.Done":                 func() error { return drop(s.Done()) },
		"Stream.Wait":                 func() error { return s.Wait(e) },
		"Stream.BeginCapture":         func() error { return s.BeginCapture(CaptureRelaxed) },
		"Stream.EndCapture":           func() error { return drop(s.EndCapture()) },
		"Stream.Alloc":                func() error { return drop(s.Alloc(1)) },
		"Stream.CopyHtoD":             func() error { return s.CopyHtoD(1, p, 0, 1) },
		"Stream.CopyDtoH":             func() error { return s.CopyDtoH(p, 0, 1, 1) },
		"Stream.CopyDtoD":             func() error { return s.CopyDtoD(1, 2, 3) },
		"Stream.CopyPeer":             func() error { return s.CopyPeer(1, c, 2, c, 3) },
		"Stream.Copy2D":               func() error { return s.Copy2D(Copy2D{Width: 1, Height: 1}) },
		"Stream.Copy2D of pinned":     func() error { return s.Copy2D(Copy2D{Dst: Side{Pinned: p}, Width: 1, Height: 1}) },
		"Stream.MemsetD8":             func() error { return s.MemsetD8(1, 2, 3) },
		"Stream.MemsetD16":            func() error { return s.MemsetD16(1, 2, 3) },
		"Stream.MemsetD32":            func() error { return s.MemsetD32(1, 2, 3) },
		"Event.Record":                func() error { return e.Record(s) },
		"Event.Synchronize":           func() error { return e.Synchronize() },
		"Event.Done":                  func() error { return drop(e.Done()) },
		"Event.Since":                 func() error { return drop(e.Since(e)) },
		"Module.Kernel":               func() error { return drop(m.Kernel("count")) },
		"Module.Global":               func() error { _, _, err := m.Global("counter"); return err },
		"Kernel.Launch":               func() error { return k.Launch(s, cfg) },
		"Kernel.LaunchArgs":           func() error { return k.LaunchArgs(s, cfg, nil) },
		"Kernel.Params":               func() error { return drop(k.Params()) },
		"Kernel.Info":                 func() error { return drop(k.Info()) },
		"Kernel.SetMaxDynamicShared":  func() error { return k.SetMaxDynamicShared(1) },
		"Kernel.SetSharedCarveout":    func() error { return k.SetSharedCarveout(1) },
		"Kernel.SetNonPortable":       func() error { return k.SetNonPortableCluster(true) },
		"Kernel.MaxActiveBlocks":      func() error { return drop(k.MaxActiveBlocks(1, 0)) },
		"Kernel.SuggestBlock":         func() error { _, _, err := k.SuggestBlock(0, 0); return err },
		"Kernel.MaxActiveClusters":    func() error { return drop(k.MaxActiveClusters(cfg)) },
		"Write":                       func() error { return Write(mem, 0, []byte{1}) },
		"Read":                        func() error { return Read([]byte{1}, mem, 0) },
		"MemPool.Alloc":               func() error { return drop(pool.Alloc(1, s)) },
		"MemPool.Trim":                func() error { return pool.Trim(0) },
		"MemPool.SetReleaseThreshold": func() error { return pool.SetReleaseThreshold(0) },
		"MemPool.Usage":               func() error { _, _, err := pool.Usage(); return err },
		"Graph.AddKernel":             func() error { return drop(g.AddKernel(nil, k, cfg, nil)) },
		"Graph.AddCopy":               func() error { return drop(g.AddCopy(nil, 1, 2, 3)) },
		"Graph.AddMemset":             func() error { return drop(g.AddMemset(nil, 1, 2, 4, 3)) },
		"Graph.AddEmpty":              func() error { return drop(g.AddEmpty(nil)) },
		"Graph.Instantiate":           func() error { return drop(g.Instantiate()) },
		"GraphExec.Launch":            func() error { return x.Launch(s) },
		"GraphExec.Upload":            func() error { return x.Upload(s) },
		"GraphExec.Update":            func() error { return x.Update(g) },
		"GraphExec.SetKernel":         func() error { return x.SetKernel(GraphNode{graph: g}, k, cfg, nil) },
	}
}

// everything makes one handle of each kind.
func (r rig) everything() (s *Stream, e *Event, m *Module, k *Kernel, mem *Mem, p *PinnedMem, pool *MemPool, g *Graph, x *GraphExec) {
	r.Helper()
	m, k = r.kernel("count")
	s, mem, p = r.stream(), r.alloc(16), r.pinned(16)
	var err [4]error
	e, err[0] = r.ctx.NewEvent(EventConfig{Timing: true})
	pool, err[1] = r.ctx.NewMemPool(0)
	g, err[2] = r.ctx.NewGraph()
	x, err[3] = g.Instantiate()
	r.check(err[:]...)
	return
}

func TestUseAfterClose(t *testing.T) {
	onEach(t, func(r rig) {
		s, e, m, k, mem, p, pool, g, x := r.everything()
		other, err := r.ctx.Device().Context()
		r.check(err)
		handles := []interface{ Close() error }{s, e, m, mem, p, pool, g, x, other}
		for range 2 { // the second Close does nothing and returns nil
			r.closes(handles...)
		}
		if mem.Ptr() != 0 || p.Bytes() != nil {
			r.Error("closed memory still has an address")
		}
		for state, all := range map[string]map[string]func() error{
			"closed": uses(other, s, e, m, k, mem, p, pool, g, x),
			"nil":    uses(nil, nil, nil, nil, nil, nil, nil, nil, nil, nil),
			"zero":   uses(new(Context), new(Stream), new(Event), new(Module), new(Kernel), new(Mem), new(PinnedMem), new(MemPool), new(Graph), new(GraphExec)),
		} {
			for name, use := range all {
				before := r.api.Count()
				if err := use(); !errors.Is(err, ErrClosed) {
					r.Errorf("%s, %s: %v", name, state, err)
				}
				if n := r.api.Count() - before; n != 0 {
					r.Errorf("%s, %s: %d calls of the driver", name, state, n)
				}
			}
		}
	})
}

// TestNothing closes and looks at handles that are nil or zero.
func TestNothing(t *testing.T) {
	for _, h := range []interface{ Close() error }{
		(*Context)(nil), (*Stream)(nil), (*Event)(nil), (*Module)(nil), (*Mem)(nil), (*PinnedMem)(nil), (*MemPool)(nil), (*Graph)(nil), (*GraphExec)(nil),
		new(Context), new(Stream), new(Event), new(Module), new(Mem), new(PinnedMem), new(MemPool), new(Graph), new(GraphExec),
	} {
		if err := h.Close(); err != nil {
			t.Errorf("%T: %v", h, err)
		}
	}
	for name, err := range map[string]error{
		"DeviceCount":       func() error { _, err := (*Driver)(nil).DeviceCount(); return err }(),
		"Devices":           func() error { _, err := new(Driver).Devices(); return err }(),
		"Device":            func() error { _, err := (*Driver)(nil).Device(0); return err }(),
		"Name":              func() error { _, err := (*Device)(nil).Name(); return err }(),
		"Attribute":         func() error { _, err := new(Device).Attribute(1); return err }(),
		"ComputeCapability": func() error { _, _, err := new(Device).ComputeCapability(); return err }(),
		"CanAccessPeer":     func() error { _, err := new(Device).CanAccessPeer(nil); return err }(),
		"Context":           func() error { _, err := (*Device)(nil).Context(); return err }(),
		"Err":               (*Context)(nil).Err(),
		"OpenAPI":           func() error { _, err := OpenAPI(nil); return err }(),
		"Mem.CloseOn":       func() error { m := &Mem{}; m.life.open(); return m.CloseOn(nil) }(),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	(*Context)(nil).MarkMemory(1, 2, MemoryDead, nil)
	if (*Driver)(nil).Version() != 0 || (*Driver)(nil).Source() != "" || (*Driver)(nil).IsSimulated() ||
		(*Context)(nil).Device() != nil || (*Context)(nil).Handles() != (Handles{}) || (*Stream)(nil).Context() != nil ||
		(*Device)(nil).Driver() != nil || (*Device)(nil).Ordinal() != -1 || (*Mem)(nil).Size() != 0 || (*Mem)(nil).Ptr() != 0 ||
		(*PinnedMem)(nil).Bytes() != nil || (*Kernel)(nil).Name() != "" || (*Module)(nil).Log() != "" || (*Args)(nil).Len() != 0 {
		t.Error("nil handles are not nothing")
	}
}

// TestEachCallFails runs one program that uses everything, making each of its
// driver calls fail in turn: the failure comes back, nothing leaks, and the
// device works afterwards.
func TestEachCallFails(t *testing.T) {
	drv, err := Simulated(SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for nth := 1; ; nth++ {
		api := abitest.Wrap(drv.api)
		api.Inject(abitest.Fault{Nth: nth, Result: abi.ErrorOutOfMemory})
		err := everythingOnce(api)
		if api.Injected() == 0 {
			if err != nil {
				t.Errorf("without a failure: %v", err)
			}
			t.Logf("%d calls failed in turn", nth-1)
			return
		}
		if err != nil && !errors.Is(err, ErrorOutOfMemory) {
			t.Errorf("call %d failed, and the error is %v", nth, err)
		}
		if err == nil && !forgivable(api, nth, drv.api) {
			t.Errorf("call %d failed, and nobody was told", nth)
		}
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("call %d failed (%v), and this leaked:\n%s", nth, err, leaks)
		}
	}
}

// forgivable says whether the nth call is one whose failure need not be told:
// the question for a kernel's parameters, which old drivers do not answer, and
// how much memory is free, which is asked for an error's text.
func forgivable(_ *abitest.API, nth int, next abi.API) bool {
	api := abitest.Wrap(next)
	api.Record(abitest.RecordNames)
	everythingOnce(api)
	calls := api.Calls()
	return nth <= len(calls) && calls[nth-1].Method == "FuncGetParamInfo" ||
		nth < len(calls) && calls[nth].Method == "FuncGetParamInfo" // its context
}

// everythingOnce is the program: it stops at the first error and closes what it
// made.
func everythingOnce(api abi.API) (err error) {
	keep := func(e error) {
		if err == nil {
			err = e
		}
	}
	drv, err := OpenAPI(api)
	if err != nil {
		return err
	}
	dev, err := drv.Device(0)
	if err != nil {
		return err
	}
	ctx, err := dev.Context()
	if err != nil {
		return err
	}
	defer func() { keep(ctx.Close()) }()
	s, err := ctx.NewStream(StreamConfig{})
	if err != nil {
		return err
	}
	defer func() { keep(s.Close()) }()
	e, err := ctx.NewEvent(EventConfig{})
	if err != nil {
		return err
	}
	defer func() { keep(e.Close()) }()
	mod, err := ctx.LoadModule(kernelsPTX, LoadConfig{})
	if err != nil {
		return err
	}
	defer func() { keep(mod.Close()) }()
	k, err := mod.Kernel("count")
	if err != nil {
		return err
	}
	m, err := ctx.Alloc(64)
	if err != nil {
		return err
	}
	defer func() { keep(m.Close()) }()
	m2, err := s.Alloc(64)
	if err != nil {
		return err
	}
	defer func() { keep(m2.CloseOn(s)) }()
	p, err := ctx.AllocPinned(64, PinnedConfig{})
	if err != nil {
		return err
	}
	defer func() { keep(p.Close()) }()
	cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{1}}
	g, err := ctx.NewGraph()
	if err != nil {
		return err
	}
	defer func() { keep(g.Close()) }()
	if _, err = g.AddKernel(nil, k, cfg, nil); err != nil {
		return err
	}
	x, err := g.Instantiate()
	if err != nil {
		return err
	}
	defer func() { keep(x.Close()) }()
	for _, step := range []func() error{
		func() error { return s.CopyHtoD(m.Ptr(), p, 0, 64) },
		func() error { return s.CopyDtoD(m2.Ptr(), m.Ptr(), 64) },
		func() error { return s.MemsetD32(m.Ptr(), 1, 16) },
		func() error { return k.Launch(s, cfg) },
		func() error { return x.Launch(s) },
		func() error { return e.Record(s) },
		func() error { return s.Wait(e) },
		func() error { return e.Synchronize() },
		func() error { return s.Synchronize() },
		func() error { return Read(make([]byte, 64), m, 0) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// TestPinnedCloseWaits checks that the driver is made to finish the copies
// before the memory goes, also when their stream is gone already.
func TestPinnedCloseWaits(t *testing.T) {
	onEach(t, func(r rig) {
		for _, closeFirst := range []bool{false, true} {
			s, p, m := r.stream(), r.pinned(16), r.alloc(16)
			r.check(s.CopyHtoD(m.Ptr(), p, 0, 16), s.CopyDtoH(p, 0, m.Ptr(), 16))
			want := "StreamSynchronize"
			if closeFirst {
				r.closes(s)
				want = "CtxSynchronize"
			}
			r.api.Record(abitest.RecordNames)
			r.closes(p)
			var methods []string
			for _, c := range r.api.Calls() {
				if c.Method == want || c.Method == "MemFreeHost" {
					methods = append(methods, c.Method)
				}
			}
			r.api.Record(abitest.RecordNothing)
			if len(methods) != 2 || methods[0] != want || methods[1] != "MemFreeHost" {
				r.Errorf("calls of Close: %v, want %s and MemFreeHost", methods, want)
			}
			r.closes(m, s)
		}
	})
}
