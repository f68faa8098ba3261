package sim

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// context returns the device whose context is current, if it can be worked
// with. s.mu is held.
func (s *Sim) context() (*device, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	d := s.currentDevice()
	if d == nil {
		return nil, abi.ErrorInvalidContext
	}
	return d, d.fault
}

// currentDevice returns the device whose context is current, or nil.
func (s *Sim) currentDevice() *device {
	d := s.devices[0]
	if len(s.devices) > 1 {
		d = s.current[threadID()]
	}
	if d == nil || d.retains == 0 {
		return nil
	}
	return d
}

// byContext returns the device of a context handle. s.mu is held.
func (s *Sim) byContext(c abi.Context) (*device, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	for _, d := range s.devices {
		if c != 0 && d.ctx == c {
			return d, abi.Success
		}
	}
	return nil, abi.ErrorInvalidContext
}

// DevicePrimaryCtxRetain returns the device's primary context, made by the
// first call.
func (s *Sim) DevicePrimaryCtxRetain(h abi.Device) (abi.Context, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.device(h)
	if r != abi.Success {
		return 0, r
	}
	if d.retains++; d.retains == 1 {
		d.ctx = abi.Context(s.handle())
		d.legacy = &stream{dev: d, legacy: true}
		d.limits = map[abi.Limit]uint64{abi.LimitStackSize: 1 << 10, abi.LimitPrintfFifoSize: 1 << 20, abi.LimitMallocHeapSize: 8 << 20}
	}
	return d.ctx, abi.Success
}

// DevicePrimaryCtxRelease undoes one DevicePrimaryCtxRetain; the last one
// destroys the context with everything in it.
func (s *Sim) DevicePrimaryCtxRelease(h abi.Device) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.finishAll(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.device(h)
	if r != abi.Success {
		return r
	}
	if d.retains == 0 {
		return abi.ErrorInvalidContext
	}
	if d.retains--; d.retains == 0 {
		s.destroyContext(d)
		if s.countsTo != nil {
			_ = s.opts.Counts.Write(s.countsTo) // a report that nobody reads fails nobody
		}
	}
	return abi.Success
}

// destroyContext frees what belongs to a device's context. s.run and s.mu are
// held.
func (s *Sim) destroyContext(d *device) {
	d.ctx, d.legacy, d.left = 0, nil, nil
	clear(d.peers)
	for _, other := range s.devices {
		delete(other.peers, d)
	}
	for h, st := range s.streams {
		if st.dev == d {
			delete(s.streams, h)
		}
	}
	for h, e := range s.events {
		if e.dev == d {
			delete(s.events, h)
		}
	}
	for h, m := range s.modules {
		if m.dev == d {
			s.unload(m)
			delete(s.modules, h)
		}
	}
	for h, x := range s.execs {
		if x.dev == d {
			delete(s.execs, h)
		}
	}
	for addr, a := range s.allocs {
		if a.dev == d {
			s.release(addr, a)
		}
	}
	for _, p := range s.pools {
		if p.dev == d {
			p.shrink(0)
		}
	}
}

// CtxGetCurrent returns the current context, 0 where there is none.
func (s *Sim) CtxGetCurrent() (abi.Context, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return 0, abi.ErrorNotInitialized
	}
	if d := s.currentDevice(); d != nil {
		return d.ctx, abi.Success
	}
	return 0, abi.Success
}

// CtxSetCurrent makes a context current, or none; the package's documentation
// says for whom. With one device it only looks at the handle.
func (s *Sim) CtxSetCurrent(c abi.Context) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return abi.ErrorNotInitialized
	}
	if c == 0 {
		delete(s.current, threadID())
		return abi.Success
	}
	d, r := s.byContext(c)
	if r == abi.Success && len(s.devices) > 1 {
		s.current[threadID()] = d
	}
	return r
}

// CtxSynchronize waits for what is pending, and reports a fault of the device.
func (s *Sim) CtxSynchronize() abi.Result {
	s.run.Lock() // work that another goroutine started is part of what is waited for
	defer s.run.Unlock()
	d, r := s.unrecorded()
	if r != abi.Success {
		return r
	}
	s.finishAll(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.fault == abi.Success {
		s.trimPools(d)
	}
	return d.fault
}

// unrecorded is the current context's device, of which no stream may be captured.
func (s *Sim) unrecorded() (*device, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	if r == abi.Success && s.invalidateCaptures(func(c *capture) bool { return c.origin.dev == d }) {
		r = abi.ErrorStreamCaptureUnsupported
	}
	return d, r
}

// CtxGetLimit returns a limit that CtxSetLimit set, or its default.
func (s *Sim) CtxGetLimit(l abi.Limit) (uint64, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	if r != abi.Success {
		return 0, r
	}
	v, ok := d.limits[l]
	if !ok {
		return 0, abi.ErrorUnsupportedLimit
	}
	return v, abi.Success
}

// CtxSetLimit notes a limit. None changes anything: the simulated device has
// neither a stack of a fixed size nor printf nor a heap for kernels.
func (s *Sim) CtxSetLimit(l abi.Limit, value uint64) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	if r != abi.Success {
		return r
	}
	if _, ok := d.limits[l]; !ok {
		return abi.ErrorUnsupportedLimit
	}
	d.limits[l] = value
	return abi.Success
}

// Priorities of streams, the least urgent first.
const (
	leastPriority    = 0
	greatestPriority = -5
)

// CtxGetStreamPriorityRange returns the range that hardware has.
func (s *Sim) CtxGetStreamPriorityRange() (least, greatest int32, r abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.context(); r != abi.Success {
		return 0, 0, r
	}
	return leastPriority, greatestPriority, abi.Success
}

// CtxEnablePeerAccess lets the current context use the peer's memory.
func (s *Sim) CtxEnablePeerAccess(peer abi.Context, flags uint32) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, p, r := s.peer(peer)
	switch {
	case r != abi.Success:
		return r
	case flags != 0:
		return abi.ErrorInvalidValue
	case d == p:
		return abi.ErrorInvalidDevice
	case d.peers[p]:
		return abi.ErrorPeerAccessAlreadyEnabled
	}
	d.peers[p] = true
	return abi.Success
}

// CtxDisablePeerAccess undoes CtxEnablePeerAccess.
func (s *Sim) CtxDisablePeerAccess(peer abi.Context) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, p, r := s.peer(peer)
	if r != abi.Success {
		return r
	}
	if !d.peers[p] {
		return abi.ErrorPeerAccessNotEnabled
	}
	delete(d.peers, p)
	return abi.Success
}

// peer returns the current device and that of a peer's context.
func (s *Sim) peer(c abi.Context) (d, p *device, r abi.Result) {
	if d, r = s.context(); r != abi.Success {
		return nil, nil, r
	}
	p, r = s.byContext(c)
	return d, p, r
}
