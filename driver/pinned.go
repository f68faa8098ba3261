package driver

import (
	"slices"
	"sync"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// PinnedMem is host memory that the device can copy to and from while Go code
// runs. It is the driver's and not Go's: the collector neither moves nor frees
// it.
type PinnedMem struct {
	child
	mem []byte

	mu      sync.Mutex
	streams []*Stream // that copies were put into since the memory was made
}

func (p *PinnedMem) base() *child {
	if p == nil {
		return nil
	}
	return &p.child
}

// PinnedConfig says what kind of pinned memory to make.
type PinnedConfig struct {
	Portable      bool // pinned for all contexts, not only this one
	WriteCombined bool // quick to write, very slow to read by the processor
}

// AllocPinned allocates pinned host memory, its content undefined. It is a
// scarce good: what is pinned, no other process can have.
func (c *Context) AllocPinned(bytes int, cfg PinnedConfig) (*PinnedMem, error) {
	const op = "cuMemHostAlloc"
	if bytes <= 0 {
		return nil, invalid(op, "%d bytes were asked for", bytes)
	}
	var flags uint32
	if cfg.Portable {
		flags |= abi.MemHostAllocPortable
	}
	if cfg.WriteCombined {
		flags |= abi.MemHostAllocWriteCombined
	}
	var host unsafe.Pointer
	err := c.call(op, func(api abi.API) (r abi.Result) {
		host, r = api.MemHostAlloc(uint64(bytes), flags)
		return r
	})
	if err != nil {
		return nil, err
	}
	// The driver's memory, of this many bytes, until Close.
	p := &PinnedMem{mem: unsafe.Slice((*byte)(host), bytes)}
	p.born(c, kindPinned)
	return p, nil
}

// Bytes returns the memory. It must not be touched after Close: unlike Go's own
// memory it is gone then.
func (p *PinnedMem) Bytes() []byte {
	if p == nil || !p.life.isOpen() {
		return nil
	}
	return p.mem
}

// Close waits for the copies that use the memory and gives it back.
func (p *PinnedMem) Close() error {
	return p.base().close("cuMemFreeHost", func(api abi.API) abi.Result {
		waited := p.wait(api)
		if r := api.MemFreeHost(unsafe.Pointer(&p.mem[0])); r != abi.Success {
			return r
		}
		return waited
	})
}

// wait waits for the streams that copies were put into. A stream that is closed
// meanwhile may still hold some: then the whole device is waited for.
func (p *PinnedMem) wait(api abi.API) abi.Result {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, s := range p.streams {
		if !s.life.enter() {
			return api.CtxSynchronize()
		}
		r := api.StreamSynchronize(s.handle)
		s.exit()
		if r != abi.Success {
			return r
		}
	}
	return abi.Success
}

// copyOn puts one copy between [offset, offset+n) and the device into s.
func (p *PinnedMem) copyOn(s *Stream, op string, offset, n uint64, f func(api abi.API, host unsafe.Pointer) abi.Result) error {
	if err := p.base().enter(op); err != nil {
		return err
	}
	defer p.exit()
	if size := uint64(len(p.mem)); offset > size || n > size-offset {
		return invalid(op, "bytes %d to %d of pinned memory of %d bytes", offset, offset+n, size)
	}
	if n == 0 {
		return s.base().call(op, nothing)
	}
	p.usedOn(s)
	return s.base().call(op, func(api abi.API) abi.Result { return f(api, unsafe.Pointer(&p.mem[offset])) })
}

// usedOn notes that work in s uses the memory.
func (p *PinnedMem) usedOn(s *Stream) {
	if p == nil || s == nil {
		return
	}
	p.mu.Lock()
	if !slices.Contains(p.streams, s) {
		p.streams = append(p.streams, s)
	}
	p.mu.Unlock()
}
