package sim

import (
	"encoding/binary"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// end is one side of a copy: host or device memory with the distances between
// rows and planes.
type end struct {
	host         unsafe.Pointer // nil: device
	addr         uint64
	pitch, plane uint64
}

// copyWork moves depth planes of height rows of width bytes.
type copyWork struct {
	dst, src             end
	width, height, depth uint64
}

func (c *copyWork) kind() abi.GraphNodeType { return abi.GraphNodeTypeMemcpy }

// span is how far a side reaches from its first byte; ok is false where that
// overflows.
func (c *copyWork) span(e *end) (n uint64, ok bool) {
	planes, ok1 := mul(c.depth-1, e.plane)
	rows, ok2 := mul(c.height-1, e.pitch)
	n = planes + rows
	ok3 := n >= planes && n+c.width >= n
	return n + c.width, ok1 && ok2 && ok3
}

func mul(a, b uint64) (uint64, bool) {
	if a != 0 && b > ^uint64(0)/a {
		return 0, false
	}
	return a * b, true
}

// check looks at the copy's two sides. s.mu is held.
func (s *Sim) checkCopy(c *copyWork) (work, abi.Result) {
	if c.width == 0 || c.height == 0 || c.depth == 0 {
		return emptyWork{}, abi.Success
	}
	for _, e := range []*end{&c.dst, &c.src} {
		if c.height > 1 && e.pitch < c.width || c.depth > 1 && e.plane < c.width {
			return nil, abi.ErrorInvalidValue
		}
		n, ok := c.span(e)
		if !ok {
			return nil, abi.ErrorInvalidValue
		}
		r := abi.Success
		if e.host != nil {
			r = s.onHost(e.host, n)
		} else {
			r = s.onDevice(e.addr, n)
		}
		if r != abi.Success {
			return nil, r
		}
	}
	return c, abi.Success
}

func (c *copyWork) run(s *Sim) error {
	if c.depth == 1 && (c.height == 1 || c.dst.pitch == c.width && c.src.pitch == c.width) {
		return s.move(&c.dst, &c.src, 0, 0, c.width*c.height)
	}
	for z := range c.depth {
		for y := range c.height {
			if err := s.move(&c.dst, &c.src, z*c.dst.plane+y*c.dst.pitch, z*c.src.plane+y*c.src.pitch, c.width); err != nil {
				return err
			}
		}
	}
	return nil
}

// move copies n bytes at the given distances.
func (s *Sim) move(dst, src *end, dstOff, srcOff, n uint64) error {
	to, err := s.bytes(dst, dstOff, n)
	if err != nil {
		return err
	}
	from, err := s.bytes(src, srcOff, n)
	if err != nil {
		return err
	}
	copy(to, from)
	switch {
	case dst.host != nil:
	case src.host != nil:
		s.mem.MarkInitialised(dst.addr+dstOff, n)
	default:
		s.mem.CopyInitialised(dst.addr+dstOff, src.addr+srcOff, n)
	}
	return nil
}

// bytes is one side's memory.
func (s *Sim) bytes(e *end, off, n uint64) ([]byte, error) {
	if e.host == nil {
		return s.mem.Slice(e.addr+off, n)
	}
	// The caller promises that its memory reaches so far (the seam's contract), as
	// for a C function that takes a pointer and a size.
	return unsafe.Slice((*byte)(unsafe.Add(e.host, off)), n), nil
}

// flat copies n bytes, once both sides were checked.
func (s *Sim) flat(h abi.Stream, sync bool, dst, src end, n uint64) abi.Result {
	return s.submit(h, sync, func(*device) (work, abi.Result) {
		if n == 0 {
			return emptyWork{}, abi.Success
		}
		if dst.host == nil && dst.addr == 0 || src.host == nil && src.addr == 0 {
			return nil, abi.ErrorInvalidValue
		}
		return s.checkCopy(&copyWork{dst: dst, src: src, width: n, height: 1, depth: 1})
	})
}

func onDevice(p abi.DevicePtr) end { return end{addr: uint64(p)} }
func onHost(p unsafe.Pointer) end  { return end{host: p} }

// MemcpyHtoD copies from the host and waits.
func (s *Sim) MemcpyHtoD(dst abi.DevicePtr, src unsafe.Pointer, bytes uint64) abi.Result {
	return s.flat(0, true, onDevice(dst), onHost(src), bytes)
}

// MemcpyDtoH copies to the host and waits.
func (s *Sim) MemcpyDtoH(dst unsafe.Pointer, src abi.DevicePtr, bytes uint64) abi.Result {
	return s.flat(0, true, onHost(dst), onDevice(src), bytes)
}

// MemcpyDtoD copies in device memory.
func (s *Sim) MemcpyDtoD(dst, src abi.DevicePtr, bytes uint64) abi.Result {
	return s.flat(0, true, onDevice(dst), onDevice(src), bytes)
}

// MemcpyHtoDAsync copies from the host in a stream.
func (s *Sim) MemcpyHtoDAsync(dst abi.DevicePtr, src unsafe.Pointer, bytes uint64, h abi.Stream) abi.Result {
	return s.flat(h, false, onDevice(dst), onHost(src), bytes)
}

// MemcpyDtoHAsync copies to the host in a stream.
func (s *Sim) MemcpyDtoHAsync(dst unsafe.Pointer, src abi.DevicePtr, bytes uint64, h abi.Stream) abi.Result {
	return s.flat(h, false, onHost(dst), onDevice(src), bytes)
}

// MemcpyDtoDAsync copies in device memory in a stream.
func (s *Sim) MemcpyDtoDAsync(dst, src abi.DevicePtr, bytes uint64, h abi.Stream) abi.Result {
	return s.flat(h, false, onDevice(dst), onDevice(src), bytes)
}

// MemcpyPeerAsync copies between devices in a stream.
func (s *Sim) MemcpyPeerAsync(dst abi.DevicePtr, dstCtx abi.Context, src abi.DevicePtr, srcCtx abi.Context, bytes uint64, h abi.Stream) abi.Result {
	s.mu.Lock()
	for _, c := range []abi.Context{dstCtx, srcCtx} {
		d, r := s.byContext(c)
		if r == abi.Success {
			r = d.fault
		}
		if r != abi.Success {
			s.mu.Unlock()
			return r
		}
	}
	s.mu.Unlock()
	return s.flat(h, false, onDevice(dst), onDevice(src), bytes)
}

// Memcpy2D copies rows and waits.
func (s *Sim) Memcpy2D(c *abi.Memcpy2D) abi.Result { return s.rows(c, 0, true) }

// Memcpy2DAsync copies rows in a stream.
func (s *Sim) Memcpy2DAsync(c *abi.Memcpy2D, h abi.Stream) abi.Result { return s.rows(c, h, false) }

func (s *Sim) rows(c *abi.Memcpy2D, h abi.Stream, sync bool) abi.Result {
	if c == nil {
		return abi.ErrorInvalidValue
	}
	return s.submit(h, sync, func(*device) (work, abi.Result) {
		return s.copy3D(&abi.Memcpy3D{
			SrcXInBytes: c.SrcXInBytes, SrcY: c.SrcY, SrcMemoryType: c.SrcMemoryType, SrcHost: c.SrcHost, SrcDevice: c.SrcDevice, SrcPitch: c.SrcPitch,
			DstXInBytes: c.DstXInBytes, DstY: c.DstY, DstMemoryType: c.DstMemoryType, DstHost: c.DstHost, DstDevice: c.DstDevice, DstPitch: c.DstPitch,
			WidthInBytes: c.WidthInBytes, Height: c.Height, Depth: 1,
		})
	})
}

// copy3D makes work of C's description of a copy. s.mu is held.
func (s *Sim) copy3D(c *abi.Memcpy3D) (work, abi.Result) {
	if c.SrcLOD != 0 || c.DstLOD != 0 {
		return nil, abi.ErrorInvalidValue
	}
	w := &copyWork{width: c.WidthInBytes, height: c.Height, depth: c.Depth}
	var r abi.Result
	if w.dst, r = w.side(c.DstMemoryType, c.DstHost, c.DstDevice, c.DstPitch, c.DstHeight, c.DstXInBytes, c.DstY, c.DstZ); r != abi.Success {
		return nil, r
	}
	if w.src, r = w.side(c.SrcMemoryType, c.SrcHost, c.SrcDevice, c.SrcPitch, c.SrcHeight, c.SrcXInBytes, c.SrcY, c.SrcZ); r != abi.Success {
		return nil, r
	}
	return s.checkCopy(w)
}

// side makes one side of a copy, from its first byte on.
func (c *copyWork) side(t abi.MemoryType, host unsafe.Pointer, dev abi.DevicePtr, pitch, rows, x, y, z uint64) (end, abi.Result) {
	if pitch == 0 {
		pitch = c.width // packed rows, as the driver takes it
	}
	if c.depth > 1 && rows < c.height || pitch > maxPitch && c.height > 1 {
		return end{}, abi.ErrorInvalidValue
	}
	plane, ok1 := mul(pitch, rows)
	down, ok2 := mul(y, pitch)
	deep, ok3 := mul(z, plane)
	off := x + down + deep
	if !ok1 || !ok2 || !ok3 || off < x || off < deep || off >= 1<<62 {
		return end{}, abi.ErrorInvalidValue
	}
	switch {
	case t == abi.MemoryTypeHost && host != nil:
		// Within the caller's memory, by the contract of the copy.
		return end{host: unsafe.Add(host, off), pitch: pitch, plane: plane}, abi.Success
	case (t == abi.MemoryTypeDevice || t == abi.MemoryTypeUnified) && dev != 0:
		return end{addr: uint64(dev) + off, pitch: pitch, plane: plane}, abi.Success
	}
	return end{}, abi.ErrorInvalidValue
}

// fillWork writes height rows of width elements.
type fillWork struct {
	addr, pitch   uint64
	value         uint32
	size          uint64 // of an element: 1, 2, 4
	width, height uint64
}

func (f *fillWork) kind() abi.GraphNodeType { return abi.GraphNodeTypeMemset }

// checkFill looks at a fill's destination. s.mu is held.
func (s *Sim) checkFill(f *fillWork) (work, abi.Result) {
	if f.size != 1 && f.size != 2 && f.size != 4 {
		return nil, abi.ErrorInvalidValue
	}
	if f.width == 0 || f.height == 0 {
		return emptyWork{}, abi.Success
	}
	row, ok := mul(f.width, f.size)
	down, ok2 := mul(f.height-1, f.pitch)
	misaligned := f.addr%f.size != 0 || f.height > 1 && (f.pitch%f.size != 0 || f.pitch < row)
	if !ok || !ok2 || misaligned || down+row < row {
		return nil, abi.ErrorInvalidValue
	}
	if r := s.onDevice(f.addr, down+row); r != abi.Success {
		return nil, r
	}
	return f, abi.Success
}

func (f *fillWork) run(s *Sim) error {
	// Device memory is in the host's byte order, as kernels here read it.
	var pattern [4]byte
	switch f.size {
	case 1:
		pattern[0] = byte(f.value)
	case 2:
		binary.NativeEndian.PutUint16(pattern[:], uint16(f.value))
	default:
		binary.NativeEndian.PutUint32(pattern[:], f.value)
	}
	for y := range f.height {
		at := f.addr + y*f.pitch
		row, err := s.mem.Slice(at, f.width*f.size)
		if err != nil {
			return err
		}
		// Each copy doubles what is already written.
		for n := copy(row, pattern[:f.size]); n < len(row); n *= 2 {
			copy(row[n:], row[:n])
		}
		s.mem.MarkInitialised(at, uint64(len(row)))
	}
	return nil
}

func (s *Sim) fill(dst abi.DevicePtr, value uint32, size, n uint64, h abi.Stream) abi.Result {
	return s.submit(h, false, func(*device) (work, abi.Result) {
		return s.checkFill(&fillWork{addr: uint64(dst), value: value, size: size, width: n, height: 1})
	})
}

// MemsetD8Async writes n bytes.
func (s *Sim) MemsetD8Async(dst abi.DevicePtr, value uint8, n uint64, h abi.Stream) abi.Result {
	return s.fill(dst, uint32(value), 1, n, h)
}

// MemsetD16Async writes n values of two bytes at an even address.
func (s *Sim) MemsetD16Async(dst abi.DevicePtr, value uint16, n uint64, h abi.Stream) abi.Result {
	return s.fill(dst, uint32(value), 2, n, h)
}

// MemsetD32Async writes n values of four bytes at a multiple of four.
func (s *Sim) MemsetD32Async(dst abi.DevicePtr, value uint32, n uint64, h abi.Stream) abi.Result {
	return s.fill(dst, value, 4, n, h)
}

// emptyWork does nothing: an empty node of a graph, or a copy of nothing.
type emptyWork struct{}

func (emptyWork) run(*Sim) error          { return nil }
func (emptyWork) kind() abi.GraphNodeType { return abi.GraphNodeTypeEmpty }
