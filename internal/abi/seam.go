package abi

import "unsafe"

// API is the seam: the part of the CUDA Driver API that this module uses, one
// method for each C function, named after it without the "cu" prefix and the
// "_v2" suffixes. Everything above the seam is the same code on a GPU and
// without one. There are three implementations: the native one (driver, through
// purego), the simulated one (internal/sim), and one for tests that injects
// faults into, or records, the calls of another (internal/abi/abitest).
//
// Out-parameters of the C functions are results here: `&local` through an
// interface would allocate, while results stay in registers, and only the
// native implementation needs C memory for them (it pools it).
//
// Host pointers are unsafe.Pointer and must stay valid for the call; where the
// C function is asynchronous, until the work has completed on the stream. They
// never point into ordinary Go memory for asynchronous calls.
//
// Methods are safe for use from several goroutines. Where the C function works
// on the calling thread's current context, the caller has locked the goroutine
// to its thread and pushed a context; the simulated device ignores the thread
// and keeps contexts by handle.
type API interface {
	// Initialisation and version.
	Init(flags uint32) Result
	DriverGetVersion() (version int32, r Result)

	// Devices.
	DeviceGetCount() (n int32, r Result)
	DeviceGet(ordinal int32) (Device, Result)
	DeviceGetName(d Device) (string, Result)
	DeviceGetUuid(d Device) (UUID, Result)
	DeviceTotalMem(d Device) (bytes uint64, r Result)
	DeviceGetAttribute(a DeviceAttribute, d Device) (value int32, r Result)
	DeviceCanAccessPeer(d, peer Device) (can int32, r Result)
	DeviceGetDefaultMemPool(d Device) (MemoryPool, Result)

	// Contexts.
	DevicePrimaryCtxRetain(d Device) (Context, Result)
	DevicePrimaryCtxRelease(d Device) Result
	CtxGetCurrent() (Context, Result)
	CtxSetCurrent(c Context) Result
	CtxSynchronize() Result
	CtxGetLimit(l Limit) (value uint64, r Result)
	CtxSetLimit(l Limit, value uint64) Result
	CtxGetStreamPriorityRange() (least, greatest int32, r Result)
	CtxEnablePeerAccess(peer Context, flags uint32) Result
	CtxDisablePeerAccess(peer Context) Result

	// Modules. The image is PTX text (a final NUL is added where it is missing)
	// or a cubin.
	ModuleLoadDataEx(image []byte, jit *JitOptions) (Module, Result)
	ModuleUnload(m Module) Result
	ModuleGetFunction(m Module, name string) (Function, Result)
	ModuleGetGlobal(m Module, name string) (p DevicePtr, bytes uint64, r Result)
	LibraryLoadData(image []byte, jit *JitOptions) (Library, Result)
	LibraryUnload(l Library) Result
	LibraryGetKernel(l Library, name string) (Function, Result)
	LibraryGetGlobal(l Library, name string) (p DevicePtr, bytes uint64, r Result)
	FuncGetAttribute(a FunctionAttribute, f Function) (value int32, r Result)
	FuncSetAttribute(f Function, a FunctionAttribute, value int32) Result
	FuncGetParamInfo(f Function, index uint64) (offset, bytes uint64, r Result)
	OccupancyMaxActiveBlocksPerMultiprocessor(f Function, blockSize int32, dynamicShared uint64) (blocks int32, r Result)
	OccupancyMaxPotentialBlockSize(f Function, dynamicShared uint64, blockSizeLimit int32) (minGrid, block int32, r Result)
	OccupancyMaxActiveClusters(f Function, c *LaunchConfig) (clusters int32, r Result)

	// Memory.
	MemGetInfo() (free, total uint64, r Result)
	MemAlloc(bytes uint64) (DevicePtr, Result)
	MemFree(p DevicePtr) Result
	MemGetAddressRange(p DevicePtr) (base DevicePtr, bytes uint64, r Result)
	MemHostAlloc(bytes uint64, flags uint32) (unsafe.Pointer, Result)
	MemFreeHost(p unsafe.Pointer) Result
	MemAllocAsync(bytes uint64, s Stream) (DevicePtr, Result)
	MemAllocFromPoolAsync(bytes uint64, pool MemoryPool, s Stream) (DevicePtr, Result)
	MemFreeAsync(p DevicePtr, s Stream) Result
	MemPoolCreate(props *MemPoolProps) (MemoryPool, Result)
	MemPoolDestroy(pool MemoryPool) Result
	MemPoolTrimTo(pool MemoryPool, keep uint64) Result
	MemPoolSetAttribute(pool MemoryPool, a MemPoolAttribute, value uint64) Result
	MemPoolGetAttribute(pool MemoryPool, a MemPoolAttribute) (value uint64, r Result)
	MemcpyHtoD(dst DevicePtr, src unsafe.Pointer, bytes uint64) Result
	MemcpyDtoH(dst unsafe.Pointer, src DevicePtr, bytes uint64) Result
	MemcpyDtoD(dst, src DevicePtr, bytes uint64) Result
	MemcpyHtoDAsync(dst DevicePtr, src unsafe.Pointer, bytes uint64, s Stream) Result
	MemcpyDtoHAsync(dst unsafe.Pointer, src DevicePtr, bytes uint64, s Stream) Result
	MemcpyDtoDAsync(dst, src DevicePtr, bytes uint64, s Stream) Result
	MemcpyPeerAsync(dst DevicePtr, dstCtx Context, src DevicePtr, srcCtx Context, bytes uint64, s Stream) Result
	Memcpy2D(c *Memcpy2D) Result
	Memcpy2DAsync(c *Memcpy2D, s Stream) Result
	MemsetD8Async(dst DevicePtr, value uint8, n uint64, s Stream) Result
	MemsetD16Async(dst DevicePtr, value uint16, n uint64, s Stream) Result
	MemsetD32Async(dst DevicePtr, value uint32, n uint64, s Stream) Result

	// Streams and events.
	StreamCreateWithPriority(flags uint32, priority int32) (Stream, Result)
	StreamDestroy(s Stream) Result
	StreamQuery(s Stream) Result
	StreamSynchronize(s Stream) Result
	StreamWaitEvent(s Stream, e Event, flags uint32) Result
	StreamBeginCapture(s Stream, mode StreamCaptureMode) Result
	StreamEndCapture(s Stream) (Graph, Result)
	EventCreate(flags uint32) (Event, Result)
	EventDestroy(e Event) Result
	EventRecord(e Event, s Stream) Result
	EventQuery(e Event) Result
	EventSynchronize(e Event) Result
	EventElapsedTime(start, end Event) (milliseconds float32, r Result)

	// Launch. params points to an array of pointers to the values, one for each
	// parameter of the kernel, as in C.
	LaunchKernel(f Function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes uint32, s Stream, params *unsafe.Pointer) Result
	LaunchKernelEx(c *LaunchConfig, f Function, params *unsafe.Pointer) Result

	// Graphs.
	GraphCreate(flags uint32) (Graph, Result)
	GraphDestroy(g Graph) Result
	GraphAddKernelNode(g Graph, deps []GraphNode, p *KernelNodeParams) (GraphNode, Result)
	GraphAddMemcpyNode(g Graph, deps []GraphNode, p *Memcpy3D, c Context) (GraphNode, Result)
	GraphAddMemsetNode(g Graph, deps []GraphNode, p *MemsetNodeParams, c Context) (GraphNode, Result)
	GraphAddEmptyNode(g Graph, deps []GraphNode) (GraphNode, Result)
	GraphInstantiate(g Graph, flags uint64) (GraphExec, Result)
	GraphExecDestroy(x GraphExec) Result
	GraphExecKernelNodeSetParams(x GraphExec, n GraphNode, p *KernelNodeParams) Result
	GraphExecUpdate(x GraphExec, g Graph) (info GraphExecUpdateResultInfo, r Result)
	GraphUpload(x GraphExec, s Stream) Result
	GraphLaunch(x GraphExec, s Stream) Result

	// Tensor maps. m is 64-byte aligned.
	TensorMapEncodeTiled(m *TensorMap, t TensorMapDataType, rank uint32, address DevicePtr, dims, strides []uint64, box, elementStrides []uint32, interleave TensorMapInterleave, swizzle TensorMapSwizzle, promotion TensorMapL2Promotion, fill TensorMapFloatOOBFill) Result

	// MarkMemory is the seam's one hook that is not a C function: the allocator
	// announces each sub-block of a segment as live (with the label that
	// reports shall use: shape, type, where it was made), dead or poisoned
	// (live, but its content is undefined), so that the simulated device checks
	// arrays and not segments. The native implementation does nothing.
	MarkMemory(p DevicePtr, bytes uint64, state MemoryState, label func() string)
}

// MemoryState is what MarkMemory says of a block of device memory.
type MemoryState uint8

const (
	MemoryLive     MemoryState = iota // allocated; content defined by what was written before
	MemoryDead                        // freed: any access is a fault
	MemoryPoisoned                    // allocated; content undefined until written
)
