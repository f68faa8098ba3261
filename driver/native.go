//go:build ((linux && !android) || windows) && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import (
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// native implements the seam by calling the driver library.
type native struct {
	lib   *library
	entry [len(abi.Symbols)]atomic.Uintptr // addresses; 0 not looked up yet, missing not there
}

const missing = 1

func openNative() (*Driver, error) {
	return openFirst(libraryCandidates(runtime.GOOS, runtime.GOARCH), openLibrary)
}

func openLibrary(path string) (*Driver, error) {
	lib, err := loadLibrary(path)
	if err != nil {
		return nil, err
	}
	return initialise(&native{lib: lib}, path)
}

// block is the memory of one call that C sees: the arguments, what the driver
// writes, and what else the arguments point to. It is always on the heap, which
// does not move, so that addresses in it may be passed as numbers; a variable on
// a stack would move when the stack grows.
type block struct {
	args [12]uintptr
	out  [4]uint64
	keep [8]unsafe.Pointer // the Go memory that args points to, alive as long as the block is in use
	kept int
}

var blocks = sync.Pool{New: func() any { return new(block) }}

func newBlock() *block { return blocks.Get().(*block) }

// free gives a block back, after its results were read. That it is called after
// the driver's function has returned is what keeps the block, and what it
// holds, alive until then.
func (b *block) free() {
	clear(b.keep[:b.kept])
	b.kept = 0
	b.out = [4]uint64{}
	blocks.Put(b)
}

// result is the address of the i-th place for what the driver writes.
func (b *block) result(i int) uintptr { return uintptr(unsafe.Pointer(&b.out[i])) }

// ref makes an argument of a pointer. That it is stored in the block, which is on
// the heap, moves what it points to off any stack and keeps it alive.
func (b *block) ref(p unsafe.Pointer) uintptr {
	b.keep[b.kept] = p
	b.kept++
	return uintptr(p)
}

// refSlice is ref for the elements of a slice; empty slices are NULL.
func refSlice[T any](b *block, s []T) uintptr {
	if len(s) == 0 {
		return 0
	}
	return b.ref(unsafe.Pointer(&s[0]))
}

// text is ref for a C string.
func (b *block) text(s string) uintptr {
	return refSlice(b, append([]byte(s), 0))
}

// call calls a function with the block's arguments, as many as it has.
func (n *native) call(s symbol, b *block) abi.Result {
	fn := n.entry[s].Load()
	if fn <= missing {
		if fn = n.bind(s); fn == missing {
			return abi.ErrorCallRequiresNewerDriver
		}
	}
	r, _, _ := purego.SyscallN(fn, b.args[:abi.Symbols[s].Args]...)
	return abi.Result(int32(uint32(r))) // a CUresult has 32 bits
}

// bind looks a function up; several goroutines may do so at once.
func (n *native) bind(s symbol) uintptr {
	fn := n.entry[s].Load()
	if fn == 0 {
		if fn = n.lib.find(abi.Symbols[s].Name); fn == 0 {
			fn = missing
		}
		n.entry[s].Store(fn)
	}
	return fn
}

// do calls a function that only returns a code.
func (n *native) do(s symbol, args ...uintptr) abi.Result {
	b := newBlock()
	copy(b.args[:], args)
	r := n.call(s, b)
	b.free()
	return r
}

// get calls a function whose first argument is the address of its one result, of
// up to 64 bits.
func (n *native) get(s symbol, args ...uintptr) (uint64, abi.Result) {
	b := newBlock()
	b.args[0] = b.result(0)
	copy(b.args[1:], args)
	r := n.call(s, b)
	v := b.out[0]
	b.free()
	return v, r
}

// get32 is get for results of 32 bits: the low half of the place, which was zero,
// as all machines with a native driver are little-endian.
func (n *native) get32(s symbol, args ...uintptr) (int32, abi.Result) {
	v, r := n.get(s, args...)
	return int32(uint32(v)), r
}

// get2 calls a function whose first two arguments are addresses of results.
func (n *native) get2(s symbol, args ...uintptr) (uint64, uint64, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1] = b.result(0), b.result(1)
	copy(b.args[2:], args)
	r := n.call(s, b)
	v, w := b.out[0], b.out[1]
	b.free()
	return v, w, r
}

// symbol is the index of a function in abi.Symbols.
type symbol int

const (
	fnInit symbol = iota
	fnDriverGetVersion
	fnDeviceGetCount
	fnDeviceGet
	fnDeviceGetName
	fnDeviceGetUuid
	fnDeviceTotalMem
	fnDeviceGetAttribute
	fnDeviceCanAccessPeer
	fnDeviceGetDefaultMemPool
	fnDevicePrimaryCtxRetain
	fnDevicePrimaryCtxRelease
	fnCtxGetCurrent
	fnCtxSetCurrent
	fnCtxSynchronize
	fnCtxGetLimit
	fnCtxSetLimit
	fnCtxGetStreamPriorityRange
	fnCtxEnablePeerAccess
	fnCtxDisablePeerAccess
	fnModuleLoadDataEx
	fnModuleUnload
	fnModuleGetFunction
	fnModuleGetGlobal
	fnLibraryLoadData
	fnLibraryUnload
	fnLibraryGetKernel
	fnKernelGetFunction
	fnLibraryGetGlobal
	fnFuncGetAttribute
	fnFuncSetAttribute
	fnFuncGetParamInfo
	fnOccupancyMaxActiveBlocksPerMultiprocessor
	fnOccupancyMaxPotentialBlockSize
	fnOccupancyMaxActiveClusters
	fnMemGetInfo
	fnMemAlloc
	fnMemFree
	fnMemGetAddressRange
	fnMemHostAlloc
	fnMemFreeHost
	fnMemAllocAsync
	fnMemAllocFromPoolAsync
	fnMemFreeAsync
	fnMemPoolCreate
	fnMemPoolDestroy
	fnMemPoolTrimTo
	fnMemPoolSetAttribute
	fnMemPoolGetAttribute
	fnMemcpyHtoD
	fnMemcpyDtoH
	fnMemcpyDtoD
	fnMemcpyHtoDAsync
	fnMemcpyDtoHAsync
	fnMemcpyDtoDAsync
	fnMemcpyPeerAsync
	fnMemcpy2D
	fnMemcpy2DAsync
	fnMemsetD8Async
	fnMemsetD16Async
	fnMemsetD32Async
	fnStreamCreateWithPriority
	fnStreamDestroy
	fnStreamQuery
	fnStreamSynchronize
	fnStreamWaitEvent
	fnStreamBeginCapture
	fnStreamEndCapture
	fnEventCreate
	fnEventDestroy
	fnEventRecord
	fnEventQuery
	fnEventSynchronize
	fnEventElapsedTime
	fnLaunchKernel
	fnLaunchKernelEx
	fnGraphCreate
	fnGraphDestroy
	fnGraphAddKernelNode
	fnGraphAddMemcpyNode
	fnGraphAddMemsetNode
	fnGraphAddEmptyNode
	fnGraphInstantiateWithFlags
	fnGraphExecDestroy
	fnGraphExecKernelNodeSetParams
	fnGraphExecUpdate
	fnGraphUpload
	fnGraphLaunch
	fnTensorMapEncodeTiled
)
