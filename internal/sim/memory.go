package sim

import (
	"math"
	"slices"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// allocation is one block of device memory, by its address in Sim.allocs.
// Modules' variables are not among them.
type allocation struct {
	dev   *device
	bytes uint64 // as asked for
	pool  *pool  // nil: by MemAlloc
}

// charge is what an allocation counts against its device's limit.
func (a *allocation) charge() uint64 { return roundUp(a.bytes, 512) }

// hostBlock is one block of pinned host memory: the Go memory behind the
// pointer that was given out, which keeps it alive.
type hostBlock struct {
	backing []byte
	bytes   uint64
}

// pageSize is the alignment of pinned host memory.
const pageSize = 4096

const assumedHostMemory = 4 << 30

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// label describes an allocation in reports.
func (a *allocation) label() string {
	if a.pool != nil {
		return "a stream-ordered allocation"
	}
	return "an allocation"
}

// allocate takes device memory, from a pool if p is not nil. s.mu is held.
func (s *Sim) allocate(d *device, bytes uint64, p *pool) (abi.DevicePtr, abi.Result) {
	if bytes == 0 {
		return 0, abi.ErrorInvalidValue
	}
	if bytes > math.MaxInt64/2 || !s.room(d, p, roundUp(bytes, 512)) {
		return 0, abi.ErrorOutOfMemory
	}
	a := &allocation{dev: d, bytes: bytes, pool: p}
	addr, err := s.mem.Alloc(bytes, a.label)
	if err != nil {
		return 0, abi.ErrorOutOfMemory
	}
	if p != nil {
		p.take(a.charge())
	} else {
		d.direct += a.charge()
	}
	s.allocs[addr] = a
	s.bases = append(s.bases, addr) // addresses only grow
	return abi.DevicePtr(addr), abi.Success
}

// room reports whether a device can hold more bytes, giving back what its pools
// keep unused if need be.
func (s *Sim) room(d *device, p *pool, more uint64) bool {
	if p != nil && !p.fits(more) {
		return false
	}
	grow := more
	if p != nil {
		grow = p.growth(more)
	}
	if s.reserved(d)+grow <= d.limit {
		return true
	}
	for _, q := range s.pools {
		if q.dev == d && q != p {
			q.shrink(0)
		}
	}
	return s.reserved(d)+grow <= d.limit
}

// reserved is how many bytes of a device are not free.
func (s *Sim) reserved(d *device) uint64 {
	n := d.direct
	for _, p := range s.pools {
		if p.dev == d {
			n += p.reserved
		}
	}
	for _, p := range s.orphans {
		if p.dev == d {
			n += p.reserved
		}
	}
	return n
}

// release ends an allocation. s.run and s.mu are held.
func (s *Sim) release(addr uint64, a *allocation) {
	// The address is one of ours and alive: the only errors of Free are that it is not.
	_ = s.mem.Free(addr)
	s.disown(addr, a)
}

// disown forgets an allocation. s.mu is held.
func (s *Sim) disown(addr uint64, a *allocation) {
	if a.pool != nil {
		a.pool.give(a.charge())
	} else {
		a.dev.direct -= a.charge()
	}
	delete(s.allocs, addr)
	if i, ok := slices.BinarySearch(s.bases, addr); ok {
		s.bases = slices.Delete(s.bases, i, i+1)
	}
}

// MemAlloc allocates device memory of undefined content.
func (s *Sim) MemAlloc(bytes uint64) (abi.DevicePtr, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.unsafeContext()
	if r != abi.Success {
		return 0, r
	}
	return s.allocate(d, bytes, nil)
}

// MemFree frees device memory, after the work that may use it.
func (s *Sim) MemFree(p abi.DevicePtr) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.finishAll(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.unsafeContext(); r != abi.Success {
		return r
	}
	a := s.allocs[uint64(p)]
	if a == nil {
		return abi.ErrorInvalidValue
	}
	if a.dev.fault != abi.Success {
		return a.dev.fault
	}
	s.release(uint64(p), a)
	return abi.Success
}

// MemGetInfo returns the current device's free and total bytes.
func (s *Sim) MemGetInfo() (free, total uint64, r abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	if r != abi.Success {
		return 0, 0, r
	}
	return d.limit - min(s.reserved(d), d.limit), d.limit, abi.Success
}

// MemGetAddressRange returns the allocation that p lies in.
func (s *Sim) MemGetAddressRange(p abi.DevicePtr) (base abi.DevicePtr, bytes uint64, r abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.context(); r != abi.Success {
		return 0, 0, r
	}
	addr, n, ok := s.containing(uint64(p))
	if !ok {
		return 0, 0, abi.ErrorNotFound
	}
	return abi.DevicePtr(addr), n, abi.Success
}

// containing returns the live allocation, or the variable, that an address lies
// in. It looks into the memory only for what is not in this package's own table:
// Find asks for labels, which are the caller's code and must not run under s.mu.
func (s *Sim) containing(addr uint64) (base, bytes uint64, ok bool) {
	if i, found := slices.BinarySearch(s.bases, addr); found || i > 0 {
		if !found {
			i--
		}
		if base, bytes = s.bases[i], s.allocs[s.bases[i]].bytes; addr-base < bytes {
			return base, bytes, true
		}
	}
	b, ok := s.mem.Find(addr)
	return b.AllocAddr, b.AllocBytes, ok && !b.Freed
}

// onDevice checks that n bytes lie in one live allocation. s.mu is held.
func (s *Sim) onDevice(addr, n uint64) abi.Result {
	if n == 0 {
		return abi.Success
	}
	base, bytes, ok := s.containing(addr)
	if !ok || n > bytes || addr-base > bytes-n {
		return abi.ErrorInvalidValue
	}
	return abi.Success
}

// onHost checks that n bytes from p do not run over the end of pinned memory.
// Other host memory cannot be checked. s.mu is held.
func (s *Sim) onHost(p unsafe.Pointer, n uint64) abi.Result {
	if n == 0 {
		return abi.Success
	}
	if p == nil {
		return abi.ErrorInvalidValue
	}
	for base, b := range s.host {
		// The distance is a number, never turned back into a pointer.
		if off := uint64(uintptr(p) - uintptr(base)); uintptr(p) >= uintptr(base) && off < b.bytes && n > b.bytes-off {
			return abi.ErrorInvalidValue
		}
	}
	return abi.Success
}

// MemHostAlloc allocates page-aligned host memory, zeroed. The memory is Go's,
// so the pointer follows Go's rules; the table keeps it alive until
// MemFreeHost.
func (s *Sim) MemHostAlloc(bytes uint64, flags uint32) (unsafe.Pointer, abi.Result) {
	const portable, deviceMap, writeCombined = 1, 2, 4
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.unsafeContext(); r != abi.Success {
		return nil, r
	}
	if bytes == 0 || flags&^(portable|deviceMap|writeCombined) != 0 {
		return nil, abi.ErrorInvalidValue
	}
	if bytes > hostMemory()/2 || bytes > math.MaxInt-pageSize {
		return nil, abi.ErrorOutOfMemory
	}
	backing := make([]byte, int(bytes)+pageSize-1)
	// The heap does not move, so the offset to the next page stays right.
	off := -uintptr(unsafe.Pointer(&backing[0])) & (pageSize - 1)
	p := unsafe.Pointer(&backing[off])
	s.host[p] = hostBlock{backing, bytes}
	return p, abi.Success
}

// MemFreeHost frees pinned memory: the collector takes it once nobody points
// to it.
func (s *Sim) MemFreeHost(p unsafe.Pointer) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.finishAll(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.unsafeContext(); r != abi.Success {
		return r
	}
	if _, ok := s.host[p]; !ok {
		return abi.ErrorInvalidValue
	}
	delete(s.host, p)
	return abi.Success
}

// MarkMemory tells the memory's checks of a part of an allocation. What does
// not lie in one is not marked. Under Options.Late nothing is: an allocator tells
// when the program gives memory back and takes it again, in the program's order,
// and may hand out at once what work that waits has yet to read. In which stream's
// order the state changes is not said, so that no place in the queues is right.
func (s *Sim) MarkMemory(p abi.DevicePtr, bytes uint64, state abi.MemoryState, label func() string) {
	if s.late != nil {
		return
	}
	s.mu.Lock()
	ok := s.onDevice(uint64(p), bytes) == abi.Success
	s.mu.Unlock()
	if ok && bytes > 0 {
		s.mem.Mark(uint64(p), bytes, state, label)
	}
}
