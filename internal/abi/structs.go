package abi

import "unsafe"

// Memcpy2D says what a two-dimensional copy moves (CUDA_MEMCPY2D). Which of
// host, device and array a side uses is decided by its memory type.
type Memcpy2D struct {
	SrcXInBytes   uint64
	SrcY          uint64
	SrcMemoryType MemoryType
	SrcHost       unsafe.Pointer
	SrcDevice     DevicePtr
	SrcArray      Array
	SrcPitch      uint64 // bytes from row to row

	DstXInBytes   uint64
	DstY          uint64
	DstMemoryType MemoryType
	DstHost       unsafe.Pointer
	DstDevice     DevicePtr
	DstArray      Array
	DstPitch      uint64

	WidthInBytes uint64
	Height       uint64 // rows
}

// Memcpy3D says what a three-dimensional copy moves (CUDA_MEMCPY3D); graphs
// take every copy in this form.
type Memcpy3D struct {
	SrcXInBytes   uint64
	SrcY          uint64
	SrcZ          uint64
	SrcLOD        uint64
	SrcMemoryType MemoryType
	SrcHost       unsafe.Pointer
	SrcDevice     DevicePtr
	SrcArray      Array
	Reserved0     uintptr // must be 0
	SrcPitch      uint64  // bytes from row to row
	SrcHeight     uint64  // rows from plane to plane; may be 0 if Depth is 1

	DstXInBytes   uint64
	DstY          uint64
	DstZ          uint64
	DstLOD        uint64
	DstMemoryType MemoryType
	DstHost       unsafe.Pointer
	DstDevice     DevicePtr
	DstArray      Array
	Reserved1     uintptr // must be 0
	DstPitch      uint64
	DstHeight     uint64

	WidthInBytes uint64
	Height       uint64 // rows
	Depth        uint64 // planes
}

// MemLocation is a place for memory (CUmemLocation).
type MemLocation struct {
	Type MemLocationType
	ID   int32 // device ordinal or NUMA node
}

// MemPoolProps are the properties of a new memory pool (CUmemPoolProps).
type MemPoolProps struct {
	AllocType               MemAllocationType
	HandleTypes             MemAllocationHandleType
	Location                MemLocation
	Win32SecurityAttributes uintptr
	MaxSize                 uint64 // bytes; 0 leaves it to the driver; reserved, so 0, before CUDA 12.2
	Usage                   uint16 // MemPoolCreateUsage flags; reserved, so 0, before CUDA 12.6
	_                       [54]byte
}

// KernelNodeParams is a kernel in a graph (CUDA_KERNEL_NODE_PARAMS_v2, the
// layout of the functions whose exported names end in _v2). KernelParams points
// to an array of pointers to the values, which are copied before the call
// returns.
type KernelNodeParams struct {
	Func           Function // a CUfunction, or 0
	GridDimX       uint32
	GridDimY       uint32
	GridDimZ       uint32
	BlockDimX      uint32
	BlockDimY      uint32
	BlockDimZ      uint32
	SharedMemBytes uint32
	KernelParams   *unsafe.Pointer
	Extra          *unsafe.Pointer // nil: parameters come by KernelParams
	Kern           Function        // a CUkernel, looked at if Func is 0
	Ctx            Context         // where Kern runs; 0 is the current context
}

// MemsetNodeParams is a fill in a graph (CUDA_MEMSET_NODE_PARAMS).
type MemsetNodeParams struct {
	Dst         DevicePtr
	Pitch       uint64 // bytes from row to row; unused if Height is 1
	Value       uint32
	ElementSize uint32 // bytes: 1, 2 or 4
	Width       uint64 // elements in a row
	Height      uint64 // rows
}

// GraphExecUpdateResultInfo says why a graph could not be updated in place
// (CUgraphExecUpdateResultInfo).
type GraphExecUpdateResultInfo struct {
	Result        GraphExecUpdateResult
	ErrorNode     GraphNode
	ErrorFromNode GraphNode
}
