package sim

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// capability is what a compute capability's hardware offers; the figures are
// those of the CUDA C++ Programming Guide's table "Technical Specifications per
// Compute Capability", but for the number of multiprocessors, which is small so
// that grids sized by it stay small.
type capability struct {
	cc                                 int // 75, 80, 90
	threadsPerSM, blocksPerSM          int
	sharedPerSM, sharedOptIn, reserved int // bytes; reserved is the system's share of each block
	clusters                           bool
}

var (
	capability75 = capability{cc: 75, threadsPerSM: 1024, blocksPerSM: 16, sharedPerSM: 64 << 10, sharedOptIn: 64 << 10}
	capability80 = capability{cc: 80, threadsPerSM: 2048, blocksPerSM: 32, sharedPerSM: 164 << 10, sharedOptIn: 163 << 10, reserved: 1 << 10}
	capability90 = capability{cc: 90, threadsPerSM: 2048, blocksPerSM: 32, sharedPerSM: 228 << 10, sharedOptIn: 227 << 10, reserved: 1 << 10, clusters: true}
)

// Limits that all three capabilities share.
const (
	multiprocessors     = 4
	maxThreads          = 1024 // in a block
	maxBlockX           = 1024 // and y
	maxBlockZ           = 64
	maxGridX            = 1<<31 - 1
	maxGridY            = 65535 // and z
	warpSize            = 32
	maxSharedDefault    = 48 << 10
	maxConstant         = 64 << 10
	registersPerSM      = 64 << 10
	maxParameterBytes   = 4096
	maxParameterBytes81 = 32764 // from PTX ISA 8.1 on
	maxCluster          = 8     // portable size
	maxPitch            = 1<<31 - 1
)

// attribute looks one up; what the tables do not have is 0.
func (c *capability) attribute(a abi.DeviceAttribute) int32 {
	switch a {
	case abi.DeviceAttributeComputeCapabilityMajor:
		return int32(c.cc / 10)
	case abi.DeviceAttributeComputeCapabilityMinor:
		return int32(c.cc % 10)
	case abi.DeviceAttributeMaxThreadsPerMultiprocessor:
		return int32(c.threadsPerSM)
	case abi.DeviceAttributeMaxBlocksPerMultiprocessor:
		return int32(c.blocksPerSM)
	case abi.DeviceAttributeMaxSharedMemoryPerMultiprocessor:
		return int32(c.sharedPerSM)
	case abi.DeviceAttributeMaxSharedMemoryPerBlockOptin:
		return int32(c.sharedOptIn)
	case abi.DeviceAttributeReservedSharedMemoryPerBlock:
		return int32(c.reserved)
	case abi.DeviceAttributeClusterLaunch, abi.DeviceAttributeTensorMapAccessSupported:
		if c.clusters {
			return 1
		}
		return 0
	}
	return commonAttributes[a]
}

var commonAttributes = map[abi.DeviceAttribute]int32{
	abi.DeviceAttributeMaxThreadsPerBlock:               maxThreads,
	abi.DeviceAttributeMaxBlockDimX:                     maxBlockX,
	abi.DeviceAttributeMaxBlockDimY:                     maxBlockX,
	abi.DeviceAttributeMaxBlockDimZ:                     maxBlockZ,
	abi.DeviceAttributeMaxGridDimX:                      maxGridX,
	abi.DeviceAttributeMaxGridDimY:                      maxGridY,
	abi.DeviceAttributeMaxGridDimZ:                      maxGridY,
	abi.DeviceAttributeMaxSharedMemoryPerBlock:          maxSharedDefault,
	abi.DeviceAttributeTotalConstantMemory:              maxConstant,
	abi.DeviceAttributeWarpSize:                         warpSize,
	abi.DeviceAttributeMaxPitch:                         maxPitch,
	abi.DeviceAttributeMaxRegistersPerBlock:             registersPerSM,
	abi.DeviceAttributeMaxRegistersPerMultiprocessor:    registersPerSM,
	abi.DeviceAttributeClockRate:                        1_000_000, // kHz
	abi.DeviceAttributeMemoryClockRate:                  1_000_000, // kHz
	abi.DeviceAttributeGlobalMemoryBusWidth:             64,        // bits
	abi.DeviceAttributeL2CacheSize:                      4 << 20,
	abi.DeviceAttributeTextureAlignment:                 512,
	abi.DeviceAttributeMultiprocessorCount:              multiprocessors,
	abi.DeviceAttributeConcurrentKernels:                1,
	abi.DeviceAttributeAsyncEngineCount:                 1,
	abi.DeviceAttributeGPUOverlap:                       1,
	abi.DeviceAttributeUnifiedAddressing:                1,
	abi.DeviceAttributeStreamPrioritiesSupported:        1,
	abi.DeviceAttributeGlobalL1CacheSupported:           1,
	abi.DeviceAttributeLocalL1CacheSupported:            1,
	abi.DeviceAttributeSingleToDoublePrecisionPerfRatio: 2,
	abi.DeviceAttributeMemoryPoolsSupported:             1,
}
