package sim

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// pool counts the memory of stream-ordered allocations. Only the figures are
// pooled: blocks themselves come from and go to the device's memory one by one,
// so that each has an address of its own and use after free is seen.
type pool struct {
	dev       *device
	isDefault bool
	max       uint64 // bytes; 0: the device's limit
	threshold uint64 // bytes kept at a synchronisation
	reuse     [4]uint64

	used, usedHigh         uint64
	reserved, reservedHigh uint64
}

// poolChunk is the step in which pools take memory from the device.
const poolChunk = 2 << 20

// growth is how many bytes the pool takes from the device for more bytes.
func (p *pool) growth(more uint64) uint64 {
	if p.used+more <= p.reserved {
		return 0
	}
	return roundUp(p.used+more-p.reserved, poolChunk)
}

// fits reports whether more bytes are within the pool's own limit.
func (p *pool) fits(more uint64) bool { return p.max == 0 || p.used+more <= p.max }

func (p *pool) take(n uint64) {
	p.reserved += p.growth(n)
	p.used += n
	p.usedHigh = max(p.usedHigh, p.used)
	p.reservedHigh = max(p.reservedHigh, p.reserved)
}

func (p *pool) give(n uint64) { p.used -= n }

// shrink gives unused memory back to the device, but for keep bytes in all.
func (p *pool) shrink(keep uint64) {
	p.reserved = min(p.reserved, roundUp(max(p.used, keep), poolChunk))
}

// trimPools is what a synchronisation does to a device's pools. s.mu is held.
func (s *Sim) trimPools(d *device) {
	for _, p := range s.pools {
		if p.dev == d {
			p.shrink(p.threshold)
		}
	}
	for i := len(s.orphans) - 1; i >= 0; i-- {
		if p := s.orphans[i]; p.used == 0 {
			s.orphans = append(s.orphans[:i], s.orphans[i+1:]...)
		}
	}
}

// byPool returns the pool of a handle. s.mu is held.
func (s *Sim) byPool(h abi.MemoryPool) (*pool, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	p := s.pools[h]
	if p == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return p, abi.Success
}

// newPool registers a pool. s.mu is held.
func (s *Sim) newPool(p *pool) abi.MemoryPool {
	for i := range p.reuse {
		p.reuse[i] = 1
	}
	h := abi.MemoryPool(s.handle())
	s.pools[h] = p
	return h
}

// DeviceGetDefaultMemPool returns the pool that MemAllocAsync takes from.
func (s *Sim) DeviceGetDefaultMemPool(h abi.Device) (abi.MemoryPool, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.device(h)
	if r != abi.Success {
		return 0, r
	}
	return s.defaultPool(d), abi.Success
}

func (s *Sim) defaultPool(d *device) abi.MemoryPool {
	if d.pool == 0 {
		d.pool = s.newPool(&pool{dev: d, isDefault: true})
	}
	return d.pool
}

// MemPoolCreate makes a pool of a device's memory.
func (s *Sim) MemPoolCreate(props *abi.MemPoolProps) (abi.MemoryPool, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if props == nil || props.AllocType != abi.MemAllocationTypePinned || props.Location.Type != abi.MemLocationTypeDevice {
		return 0, abi.ErrorInvalidValue
	}
	if props.HandleTypes != 0 {
		return 0, abi.ErrorNotSupported
	}
	d, r := s.device(abi.Device(props.Location.ID))
	if r != abi.Success {
		return 0, r
	}
	return s.newPool(&pool{dev: d, max: props.MaxSize}), abi.Success
}

// MemPoolDestroy ends a pool's handle; allocations from it stay until they are
// freed.
func (s *Sim) MemPoolDestroy(h abi.MemoryPool) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, r := s.byPool(h)
	if r != abi.Success {
		return r
	}
	if p.isDefault {
		return abi.ErrorInvalidValue
	}
	delete(s.pools, h)
	if p.used > 0 {
		p.shrink(0)
		s.orphans = append(s.orphans, p)
	}
	return abi.Success
}

// MemPoolTrimTo gives unused memory back to the device, but for keep bytes.
func (s *Sim) MemPoolTrimTo(h abi.MemoryPool, keep uint64) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, r := s.byPool(h)
	if r == abi.Success {
		p.shrink(min(keep, p.reserved))
	}
	return r
}

// attribute returns where an attribute's value is, and whether it may be set:
// 0 is no, 1 is yes, 2 is to zero only.
func (p *pool) attribute(a abi.MemPoolAttribute) (value *uint64, settable int) {
	switch a {
	case abi.MemPoolAttributeReuseFollowEventDependencies, abi.MemPoolAttributeReuseAllowOpportunistic, abi.MemPoolAttributeReuseAllowInternalDependencies:
		return &p.reuse[a], 1
	case abi.MemPoolAttributeReleaseThreshold:
		return &p.threshold, 1
	case abi.MemPoolAttributeReservedMemCurrent:
		return &p.reserved, 0
	case abi.MemPoolAttributeReservedMemHigh:
		return &p.reservedHigh, 2
	case abi.MemPoolAttributeUsedMemCurrent:
		return &p.used, 0
	case abi.MemPoolAttributeUsedMemHigh:
		return &p.usedHigh, 2
	}
	return nil, 0
}

// MemPoolSetAttribute sets what may be set: the reuse policies (which change
// nothing here), the release threshold, and the high-water marks, to zero.
func (s *Sim) MemPoolSetAttribute(h abi.MemoryPool, a abi.MemPoolAttribute, value uint64) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, r := s.byPool(h)
	if r != abi.Success {
		return r
	}
	v, settable := p.attribute(a)
	if settable == 0 || settable == 2 && value != 0 {
		return abi.ErrorInvalidValue
	}
	*v = value
	// A high-water mark starts again from what there is.
	p.usedHigh, p.reservedHigh = max(p.usedHigh, p.used), max(p.reservedHigh, p.reserved)
	return abi.Success
}

// MemPoolGetAttribute returns an attribute.
func (s *Sim) MemPoolGetAttribute(h abi.MemoryPool, a abi.MemPoolAttribute) (uint64, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, r := s.byPool(h)
	if r != abi.Success {
		return 0, r
	}
	v, _ := p.attribute(a)
	if v == nil {
		return 0, abi.ErrorInvalidValue
	}
	return *v, abi.Success
}

// MemAllocAsync allocates from the stream's device's default pool.
func (s *Sim) MemAllocAsync(bytes uint64, h abi.Stream) (abi.DevicePtr, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.uncaptured(h)
	if r != abi.Success {
		return 0, r
	}
	return s.allocateIn(st, bytes, s.pools[s.defaultPool(st.dev)])
}

// MemAllocFromPoolAsync allocates from a pool.
func (s *Sim) MemAllocFromPoolAsync(bytes uint64, ph abi.MemoryPool, h abi.Stream) (abi.DevicePtr, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.uncaptured(h)
	if r != abi.Success {
		return 0, r
	}
	p, r := s.byPool(ph)
	if r != abi.Success {
		return 0, r
	}
	return s.allocateIn(st, bytes, p)
}

// allocateIn allocates in a stream's order. s.mu is held.
func (s *Sim) allocateIn(st *stream, bytes uint64, p *pool) (abi.DevicePtr, abi.Result) {
	addr, r := s.allocate(p.dev, bytes, p)
	if r == abi.Success && s.late != nil {
		s.mem.Mark(uint64(addr), bytes, abi.MemoryDead, func() string { return "a stream-ordered allocation that its stream has not come to" })
		s.enqueue(st, arrive{uint64(addr), bytes})
	}
	return addr, r
}

// MemFreeAsync frees memory in stream order.
func (s *Sim) MemFreeAsync(p abi.DevicePtr, h abi.Stream) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.uncaptured(h)
	if r != abi.Success {
		return r
	}
	a := s.allocs[uint64(p)]
	if a == nil {
		return abi.ErrorInvalidValue
	}
	if s.late != nil {
		s.disown(uint64(p), a)
		s.enqueue(st, leave{uint64(p)})
		return abi.Success
	}
	s.release(uint64(p), a)
	return abi.Success
}
