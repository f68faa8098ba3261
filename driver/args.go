package driver

import (
	"fmt"
	"math"
	"reflect"
	"sync"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// Args are the values of a kernel's parameters, in order. They are made by
// NewArgs, filled by the methods named after the types, which return the same
// Args, and used by [Kernel.LaunchArgs] as often as wanted:
//
//	args := driver.NewArgs().Ptr(x.Ptr()).U32(n).F32(0.5)
//	defer args.Release()
//	err := kernel.LaunchArgs(stream, cfg, args)
//
// Filling and launching allocate nothing, but for kernels of many parameters.
// Args must not be copied, and not be used by several goroutines at a time. The methods
// of a nil Args return new ones.
type Args struct {
	ptrs  []unsafe.Pointer // to each value
	sizes []uint16         // of each value, bytes
	free  []uint64         // room for further values: the rest of inline, or of a later chunk
	err   error            // the first mistake; launches return it

	ptrs0  [24]unsafe.Pointer
	sizes0 [24]uint16
	inline [56]uint64 // a tensor map takes 32

	// For launches with attributes: memory that the driver reads, pooled with
	// the values.
	config abi.LaunchConfig
	attrs  [maxLaunchAttributes]abi.LaunchAttribute
}

// The values lie in the Args itself or in chunks of memory that ptrs keeps
// alive, and are never on a stack: pointers to them go through an interface to
// the driver, so that the compiler places every Args on the heap, which does
// not move. The driver copies the values before a launch returns.

var argsPool = sync.Pool{New: func() any { return new(Args) }}

// NewArgs returns Args without values, used ones if there are any.
func NewArgs() *Args { return argsPool.Get().(*Args).Reset() }

// Release gives a back for reuse by NewArgs. It must not be used afterwards.
func (a *Args) Release() {
	if a != nil {
		argsPool.Put(a)
	}
}

// Reset removes all values.
func (a *Args) Reset() *Args {
	a = a.some()
	a.ptrs, a.sizes, a.free, a.err = a.ptrs0[:0], a.sizes0[:0], a.inline[:], nil
	return a
}

// some is a, or new Args where that is nil.
func (a *Args) some() *Args {
	if a == nil {
		a = new(Args)
	}
	return a
}

// Len returns the number of values.
func (a *Args) Len() int {
	if a == nil {
		return 0
	}
	return len(a.ptrs)
}

// slot makes room for a value of size bytes, 8-byte aligned.
func (a *Args) slot(size int) unsafe.Pointer {
	words := (size + 7) / 8
	if words > len(a.free) {
		if a.ptrs == nil { // the zero Args, not from NewArgs
			a.Reset()
		}
		if words > len(a.free) {
			a.free = make([]uint64, max(words, 64))
		}
	}
	p := unsafe.Pointer(&a.free[0])
	a.free = a.free[words:]
	a.ptrs = append(a.ptrs, p)
	a.sizes = append(a.sizes, uint16(size))
	return p
}

// U8 adds an 8-bit value.
func (a *Args) U8(v uint8) *Args { a = a.some(); *(*uint8)(a.slot(1)) = v; return a }

// U16 adds a 16-bit value; halves travel as their bits.
func (a *Args) U16(v uint16) *Args { a = a.some(); *(*uint16)(a.slot(2)) = v; return a }

// U32 adds a 32-bit value.
func (a *Args) U32(v uint32) *Args { a = a.some(); *(*uint32)(a.slot(4)) = v; return a }

// U64 adds a 64-bit value.
func (a *Args) U64(v uint64) *Args { a = a.some(); *(*uint64)(a.slot(8)) = v; return a }

// I32 adds a signed 32-bit value.
func (a *Args) I32(v int32) *Args { return a.U32(uint32(v)) }

// I64 adds a signed 64-bit value.
func (a *Args) I64(v int64) *Args { return a.U64(uint64(v)) }

// F32 adds a float32.
func (a *Args) F32(v float32) *Args { return a.U32(math.Float32bits(v)) }

// F64 adds a float64.
func (a *Args) F64(v float64) *Args { return a.U64(math.Float64bits(v)) }

// Ptr adds a device address.
func (a *Args) Ptr(p Ptr) *Args { return a.U64(uint64(p)) }

// Bits adds the low bytes of bits as a value of size bytes: 1, 2, 4 or 8.
func (a *Args) Bits(bits uint64, size int) *Args {
	switch size {
	case 1:
		return a.U8(uint8(bits))
	case 2:
		return a.U16(uint16(bits))
	case 4:
		return a.U32(uint32(bits))
	case 8:
		return a.U64(bits)
	}
	return a.fail("argument %d of %d bytes: Bits takes 1, 2, 4 or 8", a.Len(), size)
}

// Struct adds a parameter that is not a number, as its bytes in memory; they are
// copied.
func (a *Args) Struct(b []byte) *Args {
	if len(b) == 0 || len(b) > maxParamBytes {
		return a.fail("argument %d of %d bytes: a parameter has 1 to %d", a.Len(), len(b), maxParamBytes)
	}
	a = a.some()
	// The slot has room for len(b) bytes and nothing else points into it.
	copy(unsafe.Slice((*byte)(a.slot(len(b))), len(b)), b)
	return a
}

// maxParamBytes is what all parameters of a kernel may take together, since
// CUDA 12.1 on compute capability 7.0 and above.
const maxParamBytes = 32764

// TensorMap adds a copy of a tensor map, aligned as the driver asks.
func (a *Args) TensorMap(m *TensorMap) *Args {
	if m == nil || m.abi == nil {
		return a.fail("argument %d is a nil TensorMap", a.Len())
	}
	a = a.some()
	// A slot larger by the alignment has an aligned place for the map.
	size := int(unsafe.Sizeof(*m.abi))
	p := alignUp(a.slot(size+abi.TensorMapAlignment-1), abi.TensorMapAlignment)
	*(*abi.TensorMap)(p) = *m.abi
	last := len(a.ptrs) - 1
	a.ptrs[last], a.sizes[last] = p, uint16(size)
	return a
}

// alignUp rounds p up to a multiple of align, a power of two; the memory that p
// points to must reach that far.
func alignUp(p unsafe.Pointer, align uintptr) unsafe.Pointer {
	return unsafe.Add(p, -uintptr(p)&(align-1))
}

func (a *Args) fail(format string, args ...any) *Args {
	a = a.some()
	if a.err == nil {
		a.err = invalid("cuLaunchKernel", format, args...)
	}
	return a
}

// add adds one value of the types that [Kernel.Launch] lists. v does not escape,
// so that the caller's list of values stays on its stack.
func (a *Args) add(v any) {
	switch v := v.(type) {
	case Ptr:
		a.Ptr(v)
	case *Mem:
		a.mem(v)
	case int32:
		a.I32(v)
	case uint32:
		a.U32(v)
	case int64:
		a.I64(v)
	case uint64:
		a.U64(v)
	case float32:
		a.F32(v)
	case float64:
		a.F64(v)
	case uint8:
		a.U8(v)
	case int8:
		a.U8(uint8(v))
	case uint16:
		a.U16(v)
	case int16:
		a.U16(uint16(v))
	case bool:
		var b uint8
		if v {
			b = 1
		}
		a.U8(b)
	case *TensorMap:
		a.TensorMap(v)
	default:
		a.fail("argument %d is of type %s: kernels take sized numbers (int32, float64, …), Ptr, *Mem and *TensorMap", len(a.ptrs), typeName(v))
	}
}

func typeName(v any) string {
	if v == nil {
		return "nil"
	}
	return reflect.TypeOf(v).String()
}

func (a *Args) mem(m *Mem) {
	if m == nil || !m.life.isOpen() {
		if a.err == nil {
			a.err = &Error{Op: "cuLaunchKernel", Err: ErrClosed, Detail: fmt.Sprintf("argument %d, a Mem", len(a.ptrs))}
		}
		return
	}
	a.Ptr(m.ptr)
}

// params is what the driver takes: the first of the pointers to the values.
func (a *Args) params() *unsafe.Pointer {
	if len(a.ptrs) == 0 {
		return nil
	}
	return &a.ptrs[0]
}
