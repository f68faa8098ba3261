package abi

type (
	Result                  int32
	DeviceAttribute         int32
	FunctionAttribute       int32
	Limit                   int32
	MemPoolAttribute        int32
	StreamCaptureMode       int32
	JitTarget               int32
	MemoryType              uint32
	MemLocationType         int32
	MemAllocationType       int32
	MemAllocationHandleType int32
	LaunchAttributeID       int32
	GraphExecUpdateResult   int32
	TensorMapDataType       int32
	TensorMapInterleave     int32
	TensorMapSwizzle        int32
	TensorMapL2Promotion    int32
	TensorMapFloatOOBFill   int32
)
