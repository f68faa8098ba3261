package driver

import (
	"fmt"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// The copies of a Context wait until they are done, and take any Go memory. As
// in CUDA they run on the legacy default stream: they wait for blocking streams,
// not for non-blocking ones, which the caller synchronises first.
//
// Addresses are not checked against allocations here: Write and Read do that.

// CopyHtoD copies all of src to dst.
func (c *Context) CopyHtoD(dst Ptr, src []byte) error {
	if len(src) == 0 {
		return c.call("cuMemcpyHtoD", nothing)
	}
	err := c.call("cuMemcpyHtoD", func(api abi.API) abi.Result {
		return landed(api, api.MemcpyHtoD(abi.DevicePtr(dst), unsafe.Pointer(&src[0]), uint64(len(src))))
	})
	return refused(err, "bytes", uint64(len(src)), dst, 0)
}

// landed waits for a copy from ordinary memory: CUDA's own call returns when it has
// taken the bytes, which may still be on their way. Non-blocking streams would read
// what was there before.
func landed(api abi.API, r abi.Result) abi.Result {
	if r != abi.Success {
		return r
	}
	return api.StreamSynchronize(abi.StreamLegacy)
}

// CopyDtoH copies from src on to all of dst.
func (c *Context) CopyDtoH(dst []byte, src Ptr) error {
	if len(dst) == 0 {
		return c.call("cuMemcpyDtoH", nothing)
	}
	err := c.call("cuMemcpyDtoH", func(api abi.API) abi.Result {
		return api.MemcpyDtoH(unsafe.Pointer(&dst[0]), abi.DevicePtr(src), uint64(len(dst)))
	})
	return refused(err, "bytes", uint64(len(dst)), 0, src)
}

// CopyDtoD copies bytes from src to dst, which must not overlap. Between memory
// of one device it does not wait.
func (c *Context) CopyDtoD(dst, src Ptr, bytes uint64) error {
	err := c.call("cuMemcpyDtoD", func(api abi.API) abi.Result {
		return api.MemcpyDtoD(abi.DevicePtr(dst), abi.DevicePtr(src), bytes)
	})
	return refused(err, "bytes", bytes, dst, src)
}

// refused says what a copy or a fill that the driver refuses was asked for. An address
// of 0 is host memory, or none.
func refused(err error, unit string, n uint64, dst, src Ptr) error {
	e, ok := err.(*Error)
	if !ok || e.Code != ErrorInvalidValue || e.Detail != "" {
		return err
	}
	detail := fmt.Sprintf("%d %s", n, unit)
	if src != 0 {
		detail += fmt.Sprintf(" from %#x", uint64(src))
	}
	if dst != 0 {
		detail += fmt.Sprintf(" to %#x", uint64(dst))
	}
	return &Error{Op: e.Op, Code: e.Code, Err: e.Err, Detail: detail + ": they must lie within one allocation, and be aligned as the elements are"}
}

// nothing is the call for nothing to do: the handles are checked, no more.
func nothing(abi.API) abi.Result { return abi.Success }

// CopyHtoD puts a copy of bytes from src, from offset on, to dst into the
// stream. The host memory must not be written before it is done.
func (s *Stream) CopyHtoD(dst Ptr, src *PinnedMem, offset, bytes uint64) error {
	err := src.copyOn(s, "cuMemcpyHtoDAsync", offset, bytes, func(api abi.API, host unsafe.Pointer) abi.Result {
		return api.MemcpyHtoDAsync(abi.DevicePtr(dst), host, bytes, s.handle)
	})
	return refused(err, "bytes", bytes, dst, 0)
}

// CopyDtoH puts a copy of bytes from src to dst, from offset on, into the
// stream. The host memory holds it when it is done.
func (s *Stream) CopyDtoH(dst *PinnedMem, offset uint64, src Ptr, bytes uint64) error {
	err := dst.copyOn(s, "cuMemcpyDtoHAsync", offset, bytes, func(api abi.API, host unsafe.Pointer) abi.Result {
		return api.MemcpyDtoHAsync(host, abi.DevicePtr(src), bytes, s.handle)
	})
	return refused(err, "bytes", bytes, 0, src)
}

// CopyDtoD puts a copy of bytes from src to dst, which must not overlap, into
// the stream.
func (s *Stream) CopyDtoD(dst, src Ptr, bytes uint64) error {
	err := s.base().call("cuMemcpyDtoDAsync", func(api abi.API) abi.Result {
		return api.MemcpyDtoDAsync(abi.DevicePtr(dst), abi.DevicePtr(src), bytes, s.handle)
	})
	return refused(err, "bytes", bytes, dst, src)
}

// CopyPeer puts a copy of bytes from src in srcCtx's memory to dst in dstCtx's
// into the stream. It works between any two devices of one driver; with peer
// access enabled it does not pass through the host.
func (s *Stream) CopyPeer(dst Ptr, dstCtx *Context, src Ptr, srcCtx *Context, bytes uint64) error {
	const op = "cuMemcpyPeerAsync"
	for _, c := range [...]*Context{dstCtx, srcCtx} {
		if err := c.enter(op); err != nil {
			return err
		}
		defer c.life.exit()
	}
	err := s.base().call(op, func(api abi.API) abi.Result {
		return api.MemcpyPeerAsync(abi.DevicePtr(dst), dstCtx.handle, abi.DevicePtr(src), srcCtx.handle, bytes, s.handle)
	})
	return refused(err, "bytes", bytes, dst, src)
}

// MemsetD8 puts a fill of n bytes into the stream.
func (s *Stream) MemsetD8(dst Ptr, value uint8, n uint64) error {
	err := s.base().call("cuMemsetD8Async", func(api abi.API) abi.Result {
		return api.MemsetD8Async(abi.DevicePtr(dst), value, n, s.handle)
	})
	return refused(err, "bytes", n, dst, 0)
}

// MemsetD16 puts a fill of n 16-bit words into the stream; dst must be even.
func (s *Stream) MemsetD16(dst Ptr, value uint16, n uint64) error {
	err := s.base().call("cuMemsetD16Async", func(api abi.API) abi.Result {
		return api.MemsetD16Async(abi.DevicePtr(dst), value, n, s.handle)
	})
	return refused(err, "words of 2 bytes", n, dst, 0)
}

// MemsetD32 puts a fill of n 32-bit words into the stream; dst must be a
// multiple of 4.
func (s *Stream) MemsetD32(dst Ptr, value uint32, n uint64) error {
	err := s.base().call("cuMemsetD32Async", func(api abi.API) abi.Result {
		return api.MemsetD32Async(abi.DevicePtr(dst), value, n, s.handle)
	})
	return refused(err, "words of 4 bytes", n, dst, 0)
}

// Side is one side of a Copy2D: device memory, or, where Pinned or Host is set,
// host memory.
type Side struct {
	Ptr    Ptr        // device memory
	Host   []byte     // ordinary memory, in copies that wait
	Pinned *PinnedMem // pinned memory, from Offset on
	Offset uint64     // bytes into Pinned
	Pitch  uint64     // bytes from the start of a row to that of the next; 0 is Width
}

// Copy2D is a copy of a rectangle of bytes.
type Copy2D struct {
	Dst, Src Side
	Width    uint64 // bytes in a row
	Height   uint64 // rows
}

// Copy2D copies a rectangle and waits until it is done.
func (c *Context) Copy2D(p Copy2D) error {
	const op = "cuMemcpy2D"
	var m abi.Memcpy2D
	leave, err := p.fill(op, &m, true)
	if err != nil {
		return err
	}
	defer leave()
	if p.Width == 0 || p.Height == 0 {
		return c.call(op, nothing)
	}
	return c.call(op, func(api abi.API) abi.Result {
		if p.Src.Host == nil {
			return api.Memcpy2D(&m)
		}
		return landed(api, api.Memcpy2D(&m))
	})
}

// Copy2D puts the copy of a rectangle into the stream. Host memory must be
// pinned.
func (s *Stream) Copy2D(p Copy2D) error {
	const op = "cuMemcpy2DAsync"
	var m abi.Memcpy2D
	leave, err := p.fill(op, &m, false)
	if err != nil {
		return err
	}
	defer leave()
	if p.Width == 0 || p.Height == 0 {
		return s.base().call(op, nothing)
	}
	if err := s.base().call(op, func(api abi.API) abi.Result { return api.Memcpy2DAsync(&m, s.handle) }); err != nil {
		return err
	}
	p.Dst.Pinned.usedOn(s)
	p.Src.Pinned.usedOn(s)
	return nil
}

// fill checks p and writes it down as the driver wants it; leave ends the use
// of pinned memory that it began.
func (p *Copy2D) fill(op string, m *abi.Memcpy2D, wait bool) (leave func(), err error) {
	dst, err := p.Dst.resolve(op, p.Width, p.Height, wait)
	if err != nil {
		return nil, err
	}
	src, err := p.Src.resolve(op, p.Width, p.Height, wait)
	if err != nil {
		dst.leave()
		return nil, err
	}
	*m = abi.Memcpy2D{
		DstMemoryType: dst.memory, DstHost: dst.host, DstDevice: abi.DevicePtr(p.Dst.Ptr), DstPitch: dst.pitch,
		SrcMemoryType: src.memory, SrcHost: src.host, SrcDevice: abi.DevicePtr(p.Src.Ptr), SrcPitch: src.pitch,
		WidthInBytes: p.Width, Height: p.Height,
	}
	return func() { src.leave(); dst.leave() }, nil
}

type resolvedSide struct {
	memory abi.MemoryType
	host   unsafe.Pointer
	pitch  uint64
	pinned *PinnedMem
}

func (r resolvedSide) leave() {
	if r.pinned != nil {
		r.pinned.exit()
	}
}

func (s *Side) resolve(op string, width, height uint64, wait bool) (r resolvedSide, err error) {
	r = resolvedSide{memory: abi.MemoryTypeDevice, pitch: s.Pitch}
	if r.pitch == 0 {
		r.pitch = width
	}
	if r.pitch < width {
		return r, invalid(op, "rows of %d bytes are %d bytes apart", width, r.pitch)
	}
	var host []byte
	switch {
	case s.Pinned != nil && s.Host != nil || (s.Pinned != nil || s.Host != nil) && s.Ptr != 0:
		return r, invalid(op, "a side is one of Ptr, Host and Pinned")
	case s.Pinned == nil && s.Host == nil:
		return r, nil
	case s.Pinned == nil && !wait:
		return r, invalid(op, "copies in a stream take pinned host memory only, as they are done after the call has returned")
	case s.Pinned == nil:
		host = s.Host
	default:
		if err := s.Pinned.base().enter(op); err != nil {
			return r, err
		}
		r.pinned, host = s.Pinned, s.Pinned.mem
		if s.Offset > uint64(len(host)) {
			r.leave()
			return r, invalid(op, "offset %d into pinned memory of %d bytes", s.Offset, len(host))
		}
		host = host[s.Offset:]
	}
	if width == 0 || height == 0 {
		return r, nil
	}
	if n := uint64(len(host)); width > n || (height-1) > (n-width)/r.pitch {
		r.leave()
		return r, invalid(op, "%d rows of %d bytes, %d bytes apart, do not fit in %d bytes", height, width, r.pitch, n)
	}
	r.memory, r.host = abi.MemoryTypeHost, unsafe.Pointer(&host[0])
	return r, nil
}
