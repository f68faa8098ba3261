package driver

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// Ptr is an address in device memory. Go cannot follow it; parts of an
// allocation are reached by adding bytes to it.
type Ptr uint64

// Mem is an allocation of device memory: bytes, without a type.
type Mem struct {
	child
	ptr  Ptr
	size uint64
}

func (m *Mem) base() *child {
	if m == nil {
		return nil
	}
	return &m.child
}

// Ptr returns the address of the first byte, 256-byte aligned; 0 after Close.
func (m *Mem) Ptr() Ptr {
	if m == nil || !m.life.isOpen() {
		return 0
	}
	return m.ptr
}

// Size returns the number of bytes.
func (m *Mem) Size() uint64 {
	if m == nil {
		return 0
	}
	return m.size
}

// Alloc allocates device memory, its content undefined. It may wait for the
// device. Zero bytes are refused, as the driver has no such allocation. What
// does not fit is ErrorOutOfMemory.
func (c *Context) Alloc(bytes uint64) (*Mem, error) {
	const op = "cuMemAlloc"
	m := &Mem{size: bytes}
	err := c.call(op, func(api abi.API) (r abi.Result) {
		var p abi.DevicePtr
		p, r = api.MemAlloc(bytes)
		m.ptr = Ptr(p)
		return r
	})
	if err != nil {
		return nil, c.allocError(err, bytes)
	}
	m.born(c, kindMem)
	return m, nil
}

// allocError adds what was asked and what was there to a failed allocation.
func (c *Context) allocError(err error, bytes uint64) error {
	e, ok := err.(*Error)
	if !ok || e.Err != nil || c.Err() != nil {
		return err
	}
	detail := fmt.Sprintf("%d bytes were asked for", bytes)
	if free, total, err := c.MemInfo(); err == nil {
		detail += fmt.Sprintf(", %d of %d are free", free, total)
	}
	return &Error{Op: e.Op, Code: e.Code, Detail: join(detail, e.Detail)}
}

// Alloc allocates device memory in stream order: usable by what is put into s
// from now on, without waiting for the device. It comes from the device's
// default pool.
func (s *Stream) Alloc(bytes uint64) (*Mem, error) {
	return s.alloc("cuMemAllocAsync", bytes, func(api abi.API) (abi.DevicePtr, abi.Result) {
		return api.MemAllocAsync(bytes, s.handle)
	})
}

func (s *Stream) alloc(op string, bytes uint64, f func(api abi.API) (abi.DevicePtr, abi.Result)) (*Mem, error) {
	m := &Mem{size: bytes}
	err := s.base().call(op, func(api abi.API) abi.Result {
		p, r := f(api)
		m.ptr = Ptr(p)
		return r
	})
	if err != nil {
		return nil, s.Context().allocError(err, bytes)
	}
	m.born(s.ctx, kindMem)
	return m, nil
}

// Close frees the memory at once; it may wait for the device. Nothing that uses
// the memory may still be running.
func (m *Mem) Close() error {
	return m.base().close("cuMemFree", func(api abi.API) abi.Result { return api.MemFree(abi.DevicePtr(m.ptr)) })
}

// CloseOn frees memory from [Stream.Alloc] or a pool in stream order: after what
// is in s now, without waiting.
func (m *Mem) CloseOn(s *Stream) error {
	const op = "cuMemFreeAsync"
	if m == nil || !m.life.isOpen() {
		return nil
	}
	if err := s.base().enter(op); err != nil {
		return err
	}
	defer s.exit()
	return m.base().close(op, func(api abi.API) abi.Result { return api.MemFreeAsync(abi.DevicePtr(m.ptr), s.handle) })
}

// within checks that bytes [offset, offset+n) lie in m.
func (m *Mem) within(op string, offset, n uint64) error {
	if offset > m.size || n > m.size-offset {
		return invalid(op, "bytes %d to %d of an allocation of %d bytes", offset, offset+n, m.size)
	}
	return nil
}

// Write copies src to the memory, from offset on, and waits until it is there.
// The elements' type must hold no pointers.
func Write[T any](m *Mem, offset uint64, src []T) error {
	b, err := Bytes(src)
	if err != nil {
		return err
	}
	return m.write(offset, b)
}

// Read copies from the memory, from offset on, to all of dst, and waits for it.
// Work that was put into non-blocking streams is not waited for. The elements'
// type must hold no pointers.
func Read[T any](dst []T, m *Mem, offset uint64) error {
	b, err := Bytes(dst)
	if err != nil {
		return err
	}
	return m.read(b, offset)
}

func (m *Mem) write(offset uint64, src []byte) error {
	const op = "cuMemcpyHtoD"
	if err := m.base().enter(op); err != nil {
		return err
	}
	defer m.exit()
	if err := m.within(op, offset, uint64(len(src))); err != nil {
		return err
	}
	return m.ctx.CopyHtoD(m.ptr+Ptr(offset), src)
}

func (m *Mem) read(dst []byte, offset uint64) error {
	const op = "cuMemcpyDtoH"
	if err := m.base().enter(op); err != nil {
		return err
	}
	defer m.exit()
	if err := m.within(op, offset, uint64(len(dst))); err != nil {
		return err
	}
	return m.ctx.CopyDtoH(dst, m.ptr+Ptr(offset))
}

// AddressRange returns the allocation that holds p, whoever made it.
func (c *Context) AddressRange(p Ptr) (start Ptr, bytes uint64, err error) {
	err = c.call("cuMemGetAddressRange", func(api abi.API) abi.Result {
		b, n, r := api.MemGetAddressRange(abi.DevicePtr(p))
		start, bytes = Ptr(b), n
		return r
	})
	return start, bytes, err
}
