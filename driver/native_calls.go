//go:build ((linux && !android) || windows) && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import (
	"bytes"
	"math"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// The methods of the seam, in its order. Signed 32-bit arguments go through
// uint32, so that the upper half of the argument is zero; the functions of the
// seam take no floating-point arguments by value, which SyscallN could not pass.

func signed(v int32) uintptr { return uintptr(uint32(v)) }

func (n *native) Init(flags uint32) abi.Result {
	return n.do(fnInit, uintptr(flags))
}

func (n *native) DriverGetVersion() (int32, abi.Result) {
	return n.get32(fnDriverGetVersion)
}

func (n *native) DeviceGetCount() (int32, abi.Result) {
	return n.get32(fnDeviceGetCount)
}

func (n *native) DeviceGet(ordinal int32) (abi.Device, abi.Result) {
	v, r := n.get32(fnDeviceGet, signed(ordinal))
	return abi.Device(v), r
}

func (n *native) DeviceGetName(d abi.Device) (string, abi.Result) {
	b := newBlock()
	name := make([]byte, 256)
	b.args[0], b.args[1], b.args[2] = refSlice(b, name), uintptr(len(name)), signed(int32(d))
	r := n.call(fnDeviceGetName, b)
	b.free()
	name, _, _ = bytes.Cut(name, []byte{0})
	return string(name), r
}

func (n *native) DeviceGetUuid(d abi.Device) (abi.UUID, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1] = b.result(0), signed(int32(d))
	r := n.call(fnDeviceGetUuid, b)
	id := *(*abi.UUID)(unsafe.Pointer(&b.out)) // 16 of out's bytes
	b.free()
	return id, r
}

func (n *native) DeviceTotalMem(d abi.Device) (uint64, abi.Result) {
	return n.get(fnDeviceTotalMem, signed(int32(d)))
}

func (n *native) DeviceGetAttribute(a abi.DeviceAttribute, d abi.Device) (int32, abi.Result) {
	return n.get32(fnDeviceGetAttribute, signed(int32(a)), signed(int32(d)))
}

func (n *native) DeviceCanAccessPeer(d, peer abi.Device) (int32, abi.Result) {
	return n.get32(fnDeviceCanAccessPeer, signed(int32(d)), signed(int32(peer)))
}

func (n *native) DeviceGetDefaultMemPool(d abi.Device) (abi.MemoryPool, abi.Result) {
	v, r := n.get(fnDeviceGetDefaultMemPool, signed(int32(d)))
	return abi.MemoryPool(v), r
}

func (n *native) DevicePrimaryCtxRetain(d abi.Device) (abi.Context, abi.Result) {
	v, r := n.get(fnDevicePrimaryCtxRetain, signed(int32(d)))
	return abi.Context(v), r
}

func (n *native) DevicePrimaryCtxRelease(d abi.Device) abi.Result {
	return n.do(fnDevicePrimaryCtxRelease, signed(int32(d)))
}

func (n *native) CtxGetCurrent() (abi.Context, abi.Result) {
	v, r := n.get(fnCtxGetCurrent)
	return abi.Context(v), r
}

func (n *native) CtxSetCurrent(c abi.Context) abi.Result {
	return n.do(fnCtxSetCurrent, uintptr(c))
}

func (n *native) CtxSynchronize() abi.Result {
	return n.do(fnCtxSynchronize)
}

func (n *native) CtxGetLimit(l abi.Limit) (uint64, abi.Result) {
	return n.get(fnCtxGetLimit, signed(int32(l)))
}

func (n *native) CtxSetLimit(l abi.Limit, value uint64) abi.Result {
	return n.do(fnCtxSetLimit, signed(int32(l)), uintptr(value))
}

func (n *native) CtxGetStreamPriorityRange() (least, greatest int32, r abi.Result) {
	v, w, r := n.get2(fnCtxGetStreamPriorityRange)
	return int32(uint32(v)), int32(uint32(w)), r
}

func (n *native) CtxEnablePeerAccess(peer abi.Context, flags uint32) abi.Result {
	return n.do(fnCtxEnablePeerAccess, uintptr(peer), uintptr(flags))
}

func (n *native) CtxDisablePeerAccess(peer abi.Context) abi.Result {
	return n.do(fnCtxDisablePeerAccess, uintptr(peer))
}

func (n *native) ModuleLoadDataEx(image []byte, jit *abi.JitOptions) (abi.Module, abi.Result) {
	b := newBlock()
	o := newJit(jit)
	b.args[0], b.args[1] = b.result(0), refSlice(b, terminated(image))
	b.args[3], b.args[4], b.args[2] = o.arguments(b, jit) // the number comes first here
	r := n.call(fnModuleLoadDataEx, b)
	m := abi.Module(b.out[0])
	b.free()
	o.finish(jit)
	return m, r
}

func (n *native) ModuleUnload(m abi.Module) abi.Result {
	return n.do(fnModuleUnload, uintptr(m))
}

func (n *native) ModuleGetFunction(m abi.Module, name string) (abi.Function, abi.Result) {
	v, r := n.byName(fnModuleGetFunction, uintptr(m), name)
	return abi.Function(v), r
}

// byName calls a function that finds something in a module or library.
func (n *native) byName(s symbol, in uintptr, name string) (uint64, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = b.result(0), in, b.text(name)
	r := n.call(s, b)
	v := b.out[0]
	b.free()
	return v, r
}

// globalByName calls a function that finds a variable in a module or library.
func (n *native) globalByName(s symbol, in uintptr, name string) (abi.DevicePtr, uint64, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2], b.args[3] = b.result(0), b.result(1), in, b.text(name)
	r := n.call(s, b)
	p, size := abi.DevicePtr(b.out[0]), b.out[1]
	b.free()
	return p, size, r
}

func (n *native) ModuleGetGlobal(m abi.Module, name string) (abi.DevicePtr, uint64, abi.Result) {
	return n.globalByName(fnModuleGetGlobal, uintptr(m), name)
}

func (n *native) LibraryLoadData(image []byte, jit *abi.JitOptions) (abi.Library, abi.Result) {
	b := newBlock()
	o := newJit(jit)
	b.args[0], b.args[1] = b.result(0), refSlice(b, terminated(image))
	b.args[2], b.args[3], b.args[4] = o.arguments(b, jit)
	b.args[5], b.args[6], b.args[7] = 0, 0, 0 // no library options
	r := n.call(fnLibraryLoadData, b)
	l := abi.Library(b.out[0])
	b.free()
	o.finish(jit)
	return l, r
}

func (n *native) LibraryUnload(l abi.Library) abi.Result {
	return n.do(fnLibraryUnload, uintptr(l))
}

// LibraryGetKernel returns the kernel's function in the current context, which,
// unlike the CUkernel, every other function takes.
func (n *native) LibraryGetKernel(l abi.Library, name string) (abi.Function, abi.Result) {
	kernel, r := n.byName(fnLibraryGetKernel, uintptr(l), name)
	if r != abi.Success {
		return 0, r
	}
	f, r := n.get(fnKernelGetFunction, uintptr(kernel))
	return abi.Function(f), r
}

func (n *native) LibraryGetGlobal(l abi.Library, name string) (abi.DevicePtr, uint64, abi.Result) {
	return n.globalByName(fnLibraryGetGlobal, uintptr(l), name)
}

func (n *native) FuncGetAttribute(a abi.FunctionAttribute, f abi.Function) (int32, abi.Result) {
	return n.get32(fnFuncGetAttribute, signed(int32(a)), uintptr(f))
}

func (n *native) FuncSetAttribute(f abi.Function, a abi.FunctionAttribute, value int32) abi.Result {
	return n.do(fnFuncSetAttribute, uintptr(f), signed(int32(a)), signed(value))
}

func (n *native) FuncGetParamInfo(f abi.Function, index uint64) (offset, size uint64, r abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2], b.args[3] = uintptr(f), uintptr(index), b.result(0), b.result(1)
	r = n.call(fnFuncGetParamInfo, b)
	offset, size = b.out[0], b.out[1]
	b.free()
	return offset, size, r
}

func (n *native) OccupancyMaxActiveBlocksPerMultiprocessor(f abi.Function, blockSize int32, dynamicShared uint64) (int32, abi.Result) {
	return n.get32(fnOccupancyMaxActiveBlocksPerMultiprocessor, uintptr(f), signed(blockSize), uintptr(dynamicShared))
}

func (n *native) OccupancyMaxPotentialBlockSize(f abi.Function, dynamicShared uint64, blockSizeLimit int32) (minGrid, block int32, r abi.Result) {
	v, w, r := n.get2(fnOccupancyMaxPotentialBlockSize, uintptr(f), 0, uintptr(dynamicShared), signed(blockSizeLimit))
	return int32(uint32(v)), int32(uint32(w)), r
}

func (n *native) OccupancyMaxActiveClusters(f abi.Function, c *abi.LaunchConfig) (int32, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = b.result(0), uintptr(f), b.ref(unsafe.Pointer(c))
	r := n.call(fnOccupancyMaxActiveClusters, b)
	v := int32(uint32(b.out[0]))
	b.free()
	return v, r
}

func (n *native) MemGetInfo() (uint64, uint64, abi.Result) {
	return n.get2(fnMemGetInfo)
}

func (n *native) MemAlloc(bytes uint64) (abi.DevicePtr, abi.Result) {
	v, r := n.get(fnMemAlloc, uintptr(bytes))
	return abi.DevicePtr(v), r
}

func (n *native) MemFree(p abi.DevicePtr) abi.Result {
	return n.do(fnMemFree, uintptr(p))
}

func (n *native) MemGetAddressRange(p abi.DevicePtr) (abi.DevicePtr, uint64, abi.Result) {
	v, w, r := n.get2(fnMemGetAddressRange, uintptr(p))
	return abi.DevicePtr(v), w, r
}

func (n *native) MemHostAlloc(bytes uint64, flags uint32) (unsafe.Pointer, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = b.result(0), uintptr(bytes), uintptr(flags)
	r := n.call(fnMemHostAlloc, b)
	p := *(*unsafe.Pointer)(unsafe.Pointer(&b.out[0])) // C's memory: no concern of the collector's
	b.free()
	return p, r
}

func (n *native) MemFreeHost(p unsafe.Pointer) abi.Result { return n.do(fnMemFreeHost, uintptr(p)) }

func (n *native) MemAllocAsync(bytes uint64, s abi.Stream) (abi.DevicePtr, abi.Result) {
	v, r := n.get(fnMemAllocAsync, uintptr(bytes), uintptr(s))
	return abi.DevicePtr(v), r
}

func (n *native) MemAllocFromPoolAsync(bytes uint64, pool abi.MemoryPool, s abi.Stream) (abi.DevicePtr, abi.Result) {
	v, r := n.get(fnMemAllocFromPoolAsync, uintptr(bytes), uintptr(pool), uintptr(s))
	return abi.DevicePtr(v), r
}

func (n *native) MemFreeAsync(p abi.DevicePtr, s abi.Stream) abi.Result {
	return n.do(fnMemFreeAsync, uintptr(p), uintptr(s))
}

func (n *native) MemPoolCreate(props *abi.MemPoolProps) (abi.MemoryPool, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1] = b.result(0), b.ref(unsafe.Pointer(props))
	r := n.call(fnMemPoolCreate, b)
	p := abi.MemoryPool(b.out[0])
	b.free()
	return p, r
}

func (n *native) MemPoolDestroy(pool abi.MemoryPool) abi.Result {
	return n.do(fnMemPoolDestroy, uintptr(pool))
}

func (n *native) MemPoolTrimTo(pool abi.MemoryPool, keep uint64) abi.Result {
	return n.do(fnMemPoolTrimTo, uintptr(pool), uintptr(keep))
}

// The value of an attribute is a 64-bit number, or the low half of one.
func (n *native) MemPoolSetAttribute(pool abi.MemoryPool, a abi.MemPoolAttribute, value uint64) abi.Result {
	b := newBlock()
	b.out[0] = value
	b.args[0], b.args[1], b.args[2] = uintptr(pool), signed(int32(a)), b.result(0)
	r := n.call(fnMemPoolSetAttribute, b)
	b.free()
	return r
}

func (n *native) MemPoolGetAttribute(pool abi.MemoryPool, a abi.MemPoolAttribute) (uint64, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = uintptr(pool), signed(int32(a)), b.result(0)
	r := n.call(fnMemPoolGetAttribute, b)
	v := b.out[0]
	b.free()
	return v, r
}

func (n *native) MemcpyHtoD(dst abi.DevicePtr, src unsafe.Pointer, bytes uint64) abi.Result {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = uintptr(dst), b.ref(src), uintptr(bytes)
	r := n.call(fnMemcpyHtoD, b)
	b.free()
	return r
}

func (n *native) MemcpyDtoH(dst unsafe.Pointer, src abi.DevicePtr, bytes uint64) abi.Result {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = b.ref(dst), uintptr(src), uintptr(bytes)
	r := n.call(fnMemcpyDtoH, b)
	b.free()
	return r
}

func (n *native) MemcpyDtoD(dst, src abi.DevicePtr, bytes uint64) abi.Result {
	return n.do(fnMemcpyDtoD, uintptr(dst), uintptr(src), uintptr(bytes))
}

// Asynchronous copies take memory from MemHostAlloc, which is not Go's: nothing
// has to be kept alive.
func (n *native) MemcpyHtoDAsync(dst abi.DevicePtr, src unsafe.Pointer, bytes uint64, s abi.Stream) abi.Result {
	return n.do(fnMemcpyHtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (n *native) MemcpyDtoHAsync(dst unsafe.Pointer, src abi.DevicePtr, bytes uint64, s abi.Stream) abi.Result {
	return n.do(fnMemcpyDtoHAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (n *native) MemcpyDtoDAsync(dst, src abi.DevicePtr, bytes uint64, s abi.Stream) abi.Result {
	return n.do(fnMemcpyDtoDAsync, uintptr(dst), uintptr(src), uintptr(bytes), uintptr(s))
}

func (n *native) MemcpyPeerAsync(dst abi.DevicePtr, dstCtx abi.Context, src abi.DevicePtr, srcCtx abi.Context, bytes uint64, s abi.Stream) abi.Result {
	return n.do(fnMemcpyPeerAsync, uintptr(dst), uintptr(dstCtx), uintptr(src), uintptr(srcCtx), uintptr(bytes), uintptr(s))
}

func (n *native) Memcpy2D(c *abi.Memcpy2D) abi.Result {
	b := newBlock()
	b.args[0] = b.ref(unsafe.Pointer(c))
	r := n.call(fnMemcpy2D, b)
	b.free()
	return r
}

func (n *native) Memcpy2DAsync(c *abi.Memcpy2D, s abi.Stream) abi.Result {
	b := newBlock()
	b.args[0], b.args[1] = b.ref(unsafe.Pointer(c)), uintptr(s)
	r := n.call(fnMemcpy2DAsync, b)
	b.free()
	return r
}

func (n *native) MemsetD8Async(dst abi.DevicePtr, value uint8, count uint64, s abi.Stream) abi.Result {
	return n.do(fnMemsetD8Async, uintptr(dst), uintptr(value), uintptr(count), uintptr(s))
}

func (n *native) MemsetD16Async(dst abi.DevicePtr, value uint16, count uint64, s abi.Stream) abi.Result {
	return n.do(fnMemsetD16Async, uintptr(dst), uintptr(value), uintptr(count), uintptr(s))
}

func (n *native) MemsetD32Async(dst abi.DevicePtr, value uint32, count uint64, s abi.Stream) abi.Result {
	return n.do(fnMemsetD32Async, uintptr(dst), uintptr(value), uintptr(count), uintptr(s))
}

func (n *native) StreamCreateWithPriority(flags uint32, priority int32) (abi.Stream, abi.Result) {
	v, r := n.get(fnStreamCreateWithPriority, uintptr(flags), signed(priority))
	return abi.Stream(v), r
}

func (n *native) StreamDestroy(s abi.Stream) abi.Result {
	return n.do(fnStreamDestroy, uintptr(s))
}

func (n *native) StreamQuery(s abi.Stream) abi.Result {
	return n.do(fnStreamQuery, uintptr(s))
}

func (n *native) StreamSynchronize(s abi.Stream) abi.Result {
	return n.do(fnStreamSynchronize, uintptr(s))
}

func (n *native) StreamWaitEvent(s abi.Stream, e abi.Event, flags uint32) abi.Result {
	return n.do(fnStreamWaitEvent, uintptr(s), uintptr(e), uintptr(flags))
}

func (n *native) StreamBeginCapture(s abi.Stream, mode abi.StreamCaptureMode) abi.Result {
	return n.do(fnStreamBeginCapture, uintptr(s), signed(int32(mode)))
}

func (n *native) StreamEndCapture(s abi.Stream) (abi.Graph, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1] = uintptr(s), b.result(0)
	r := n.call(fnStreamEndCapture, b)
	g := abi.Graph(b.out[0])
	b.free()
	return g, r
}

func (n *native) EventCreate(flags uint32) (abi.Event, abi.Result) {
	v, r := n.get(fnEventCreate, uintptr(flags))
	return abi.Event(v), r
}

func (n *native) EventDestroy(e abi.Event) abi.Result {
	return n.do(fnEventDestroy, uintptr(e))
}

func (n *native) EventRecord(e abi.Event, s abi.Stream) abi.Result {
	return n.do(fnEventRecord, uintptr(e), uintptr(s))
}

func (n *native) EventQuery(e abi.Event) abi.Result {
	return n.do(fnEventQuery, uintptr(e))
}

func (n *native) EventSynchronize(e abi.Event) abi.Result {
	return n.do(fnEventSynchronize, uintptr(e))
}

func (n *native) EventElapsedTime(start, end abi.Event) (float32, abi.Result) {
	v, r := n.get32(fnEventElapsedTime, uintptr(start), uintptr(end))
	return math.Float32frombits(uint32(v)), r
}

func (n *native) LaunchKernel(f abi.Function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes uint32, s abi.Stream, params *unsafe.Pointer) abi.Result {
	b := newBlock()
	b.args = [12]uintptr{
		uintptr(f), uintptr(gridX), uintptr(gridY), uintptr(gridZ), uintptr(blockX), uintptr(blockY), uintptr(blockZ),
		uintptr(sharedBytes), uintptr(s), b.ref(unsafe.Pointer(params)), 0,
	}
	r := n.call(fnLaunchKernel, b)
	b.free()
	return r
}

func (n *native) LaunchKernelEx(c *abi.LaunchConfig, f abi.Function, params *unsafe.Pointer) abi.Result {
	b := newBlock()
	b.args[0], b.args[1], b.args[2], b.args[3] = b.ref(unsafe.Pointer(c)), uintptr(f), b.ref(unsafe.Pointer(params)), 0
	r := n.call(fnLaunchKernelEx, b)
	b.free()
	return r
}

func (n *native) GraphCreate(flags uint32) (abi.Graph, abi.Result) {
	v, r := n.get(fnGraphCreate, uintptr(flags))
	return abi.Graph(v), r
}

func (n *native) GraphDestroy(g abi.Graph) abi.Result {
	return n.do(fnGraphDestroy, uintptr(g))
}

// addNode calls a function that adds a node; params is nil for an empty one.
func (n *native) addNode(s symbol, g abi.Graph, deps []abi.GraphNode, params unsafe.Pointer, c abi.Context) (abi.GraphNode, abi.Result) {
	b := newBlock()
	b.args[0], b.args[1], b.args[2], b.args[3] = b.result(0), uintptr(g), refSlice(b, deps), uintptr(len(deps))
	b.args[4], b.args[5] = b.ref(params), uintptr(c)
	r := n.call(s, b)
	node := abi.GraphNode(b.out[0])
	b.free()
	return node, r
}

func (n *native) GraphAddKernelNode(g abi.Graph, deps []abi.GraphNode, p *abi.KernelNodeParams) (abi.GraphNode, abi.Result) {
	return n.addNode(fnGraphAddKernelNode, g, deps, unsafe.Pointer(p), 0)
}

func (n *native) GraphAddMemcpyNode(g abi.Graph, deps []abi.GraphNode, p *abi.Memcpy3D, c abi.Context) (abi.GraphNode, abi.Result) {
	return n.addNode(fnGraphAddMemcpyNode, g, deps, unsafe.Pointer(p), c)
}

func (n *native) GraphAddMemsetNode(g abi.Graph, deps []abi.GraphNode, p *abi.MemsetNodeParams, c abi.Context) (abi.GraphNode, abi.Result) {
	return n.addNode(fnGraphAddMemsetNode, g, deps, unsafe.Pointer(p), c)
}

func (n *native) GraphAddEmptyNode(g abi.Graph, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
	return n.addNode(fnGraphAddEmptyNode, g, deps, nil, 0)
}

func (n *native) GraphInstantiate(g abi.Graph, flags uint64) (abi.GraphExec, abi.Result) {
	v, r := n.get(fnGraphInstantiateWithFlags, uintptr(g), uintptr(flags))
	return abi.GraphExec(v), r
}

func (n *native) GraphExecDestroy(x abi.GraphExec) abi.Result {
	return n.do(fnGraphExecDestroy, uintptr(x))
}

func (n *native) GraphExecKernelNodeSetParams(x abi.GraphExec, node abi.GraphNode, p *abi.KernelNodeParams) abi.Result {
	b := newBlock()
	b.args[0], b.args[1], b.args[2] = uintptr(x), uintptr(node), b.ref(unsafe.Pointer(p))
	r := n.call(fnGraphExecKernelNodeSetParams, b)
	b.free()
	return r
}

func (n *native) GraphExecUpdate(x abi.GraphExec, g abi.Graph) (abi.GraphExecUpdateResultInfo, abi.Result) {
	b := newBlock()
	info := new(abi.GraphExecUpdateResultInfo)
	b.args[0], b.args[1], b.args[2] = uintptr(x), uintptr(g), b.ref(unsafe.Pointer(info))
	r := n.call(fnGraphExecUpdate, b)
	b.free()
	return *info, r
}

func (n *native) GraphUpload(x abi.GraphExec, s abi.Stream) abi.Result {
	return n.do(fnGraphUpload, uintptr(x), uintptr(s))
}

func (n *native) GraphLaunch(x abi.GraphExec, s abi.Stream) abi.Result {
	return n.do(fnGraphLaunch, uintptr(x), uintptr(s))
}

func (n *native) TensorMapEncodeTiled(m *abi.TensorMap, t abi.TensorMapDataType, rank uint32, address abi.DevicePtr, dims, strides []uint64, box, elementStrides []uint32, interleave abi.TensorMapInterleave, swizzle abi.TensorMapSwizzle, promotion abi.TensorMapL2Promotion, fill abi.TensorMapFloatOOBFill) abi.Result {
	b := newBlock()
	b.args = [12]uintptr{
		b.ref(unsafe.Pointer(m)), signed(int32(t)), uintptr(rank), uintptr(address),
		refSlice(b, dims), refSlice(b, strides), refSlice(b, box), refSlice(b, elementStrides),
		signed(int32(interleave)), signed(int32(swizzle)), signed(int32(promotion)), signed(int32(fill)),
	}
	r := n.call(fnTensorMapEncodeTiled, b)
	b.free()
	return r
}

// MarkMemory is nothing to a GPU.
func (n *native) MarkMemory(abi.DevicePtr, uint64, abi.MemoryState, func() string) {}
