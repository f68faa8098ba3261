package driver

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// A MemPool is where stream-ordered allocations come from.
type MemPool struct {
	child
	handle abi.MemoryPool
	owned  bool // made by NewMemPool, and so destroyed by Close
}

func (p *MemPool) base() *child {
	if p == nil {
		return nil
	}
	return &p.child
}

// NewMemPool makes a pool on the context's device, of at most maxBytes; 0 leaves
// that to the driver. A limit needs a driver for CUDA 12.2: older ones say
// ErrorInvalidValue.
func (c *Context) NewMemPool(maxBytes uint64) (*MemPool, error) {
	p := &MemPool{owned: true}
	props := abi.MemPoolProps{AllocType: abi.MemAllocationTypePinned, MaxSize: maxBytes}
	props.Location.Type = abi.MemLocationTypeDevice
	err := c.call("cuMemPoolCreate", func(api abi.API) (r abi.Result) {
		props.Location.ID = int32(c.dev.handle)
		p.handle, r = api.MemPoolCreate(&props)
		return r
	})
	if err != nil {
		return nil, err
	}
	p.born(c, kindPool)
	return p, nil
}

// DefaultMemPool returns the pool that [Stream.Alloc] takes from. Its Close gives
// up the handle only.
func (c *Context) DefaultMemPool() (*MemPool, error) {
	p := new(MemPool)
	err := c.call("cuDeviceGetDefaultMemPool", func(api abi.API) (r abi.Result) {
		p.handle, r = api.DeviceGetDefaultMemPool(c.dev.handle)
		return r
	})
	if err != nil {
		return nil, err
	}
	p.born(c, kindPool)
	return p, nil
}

// Close destroys a pool from NewMemPool; allocations from it stay valid until
// they are freed.
func (p *MemPool) Close() error {
	return p.base().close("cuMemPoolDestroy", func(api abi.API) abi.Result {
		if !p.owned {
			return abi.Success
		}
		return api.MemPoolDestroy(p.handle)
	})
}

// Alloc allocates from the pool, in the order of s: see [Stream.Alloc].
func (p *MemPool) Alloc(bytes uint64, s *Stream) (*Mem, error) {
	const op = "cuMemAllocFromPoolAsync"
	if err := p.base().enter(op); err != nil {
		return nil, err
	}
	defer p.exit()
	return s.alloc(op, bytes, func(api abi.API) (abi.DevicePtr, abi.Result) {
		return api.MemAllocFromPoolAsync(bytes, p.handle, s.handle)
	})
}

// Trim gives unused memory back to the system until no more than keep bytes are
// held.
func (p *MemPool) Trim(keep uint64) error {
	return p.base().call("cuMemPoolTrimTo", func(api abi.API) abi.Result { return api.MemPoolTrimTo(p.handle, keep) })
}

// SetReleaseThreshold sets how many bytes the pool keeps when a stream, an event
// or the context is synchronised; at first 0.
func (p *MemPool) SetReleaseThreshold(bytes uint64) error {
	return p.base().call("cuMemPoolSetAttribute", func(api abi.API) abi.Result {
		return api.MemPoolSetAttribute(p.handle, abi.MemPoolAttributeReleaseThreshold, bytes)
	})
}

// Usage returns how many bytes are allocated from the pool, and how many it
// holds.
func (p *MemPool) Usage() (used, held uint64, err error) {
	err = p.base().call("cuMemPoolGetAttribute", func(api abi.API) (r abi.Result) {
		if used, r = api.MemPoolGetAttribute(p.handle, abi.MemPoolAttributeUsedMemCurrent); r != abi.Success {
			return r
		}
		held, r = api.MemPoolGetAttribute(p.handle, abi.MemPoolAttributeReservedMemCurrent)
		return r
	})
	return used, held, err
}
