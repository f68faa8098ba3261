package abi

// A Device is an ordinal (CUdevice), not a pointer. The other handles point to
// opaque structs of the driver's; the zero value is C's NULL. They are integers
// here because the memory behind them is not Go's: the collector must neither
// follow nor move them.
type (
	Device     int32   // CUdevice
	Context    uintptr // CUcontext
	Module     uintptr // CUmodule
	Library    uintptr // CUlibrary
	Function   uintptr // CUfunction; a CUkernel may stand wherever the driver takes a CUfunction for a launch
	Stream     uintptr // CUstream
	Event      uintptr // CUevent
	Graph      uintptr // CUgraph
	GraphNode  uintptr // CUgraphNode
	GraphExec  uintptr // CUgraphExec
	MemoryPool uintptr // CUmemoryPool
	Array      uintptr // CUarray: a texture array, in copies only; always 0 here
)

// DevicePtr is an address in device memory (CUdeviceptr).
type DevicePtr uint64

// UUID identifies a device across processes and reboots (CUuuid).
type UUID [16]byte
