package driver

import (
	"strconv"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// Attribute is a property of a device: a count, or 1 for yes and 0 for no, unless
// noted. Any other number that the driver knows (CUdevice_attribute) may be asked
// for too.
type Attribute int32

const (
	AttrMaxThreadsPerBlock                     = Attribute(abi.DeviceAttributeMaxThreadsPerBlock)
	AttrMaxBlockDimX                           = Attribute(abi.DeviceAttributeMaxBlockDimX)
	AttrMaxBlockDimY                           = Attribute(abi.DeviceAttributeMaxBlockDimY)
	AttrMaxBlockDimZ                           = Attribute(abi.DeviceAttributeMaxBlockDimZ)
	AttrMaxGridDimX                            = Attribute(abi.DeviceAttributeMaxGridDimX)
	AttrMaxGridDimY                            = Attribute(abi.DeviceAttributeMaxGridDimY)
	AttrMaxGridDimZ                            = Attribute(abi.DeviceAttributeMaxGridDimZ)
	AttrMaxSharedMemoryPerBlock                = Attribute(abi.DeviceAttributeMaxSharedMemoryPerBlock) // bytes
	AttrTotalConstantMemory                    = Attribute(abi.DeviceAttributeTotalConstantMemory)     // bytes
	AttrWarpSize                               = Attribute(abi.DeviceAttributeWarpSize)
	AttrMaxRegistersPerBlock                   = Attribute(abi.DeviceAttributeMaxRegistersPerBlock) // of 32 bits
	AttrClockRate                              = Attribute(abi.DeviceAttributeClockRate)            // kHz
	AttrMultiprocessorCount                    = Attribute(abi.DeviceAttributeMultiprocessorCount)
	AttrKernelExecTimeout                      = Attribute(abi.DeviceAttributeKernelExecTimeout) // 1 if kernels may run for a limited time only
	AttrIntegrated                             = Attribute(abi.DeviceAttributeIntegrated)        // 1 if the device shares the host's memory
	AttrCanMapHostMemory                       = Attribute(abi.DeviceAttributeCanMapHostMemory)
	AttrComputeMode                            = Attribute(abi.DeviceAttributeComputeMode) // a ComputeMode
	AttrConcurrentKernels                      = Attribute(abi.DeviceAttributeConcurrentKernels)
	AttrECCEnabled                             = Attribute(abi.DeviceAttributeECCEnabled)
	AttrPCIBusID                               = Attribute(abi.DeviceAttributePCIBusID)
	AttrPCIDeviceID                            = Attribute(abi.DeviceAttributePCIDeviceID)
	AttrTCCDriver                              = Attribute(abi.DeviceAttributeTCCDriver)            // Windows only: 1 for the TCC driver, 0 for WDDM
	AttrMemoryClockRate                        = Attribute(abi.DeviceAttributeMemoryClockRate)      // kHz
	AttrGlobalMemoryBusWidth                   = Attribute(abi.DeviceAttributeGlobalMemoryBusWidth) // bits
	AttrL2CacheSize                            = Attribute(abi.DeviceAttributeL2CacheSize)          // bytes
	AttrMaxThreadsPerMultiprocessor            = Attribute(abi.DeviceAttributeMaxThreadsPerMultiprocessor)
	AttrAsyncEngineCount                       = Attribute(abi.DeviceAttributeAsyncEngineCount) // copy engines
	AttrUnifiedAddressing                      = Attribute(abi.DeviceAttributeUnifiedAddressing)
	AttrPCIDomainID                            = Attribute(abi.DeviceAttributePCIDomainID)
	AttrComputeCapabilityMajor                 = Attribute(abi.DeviceAttributeComputeCapabilityMajor)
	AttrComputeCapabilityMinor                 = Attribute(abi.DeviceAttributeComputeCapabilityMinor)
	AttrStreamPrioritiesSupported              = Attribute(abi.DeviceAttributeStreamPrioritiesSupported)
	AttrGlobalL1CacheSupported                 = Attribute(abi.DeviceAttributeGlobalL1CacheSupported)
	AttrLocalL1CacheSupported                  = Attribute(abi.DeviceAttributeLocalL1CacheSupported)
	AttrMaxSharedMemoryPerMultiprocessor       = Attribute(abi.DeviceAttributeMaxSharedMemoryPerMultiprocessor) // bytes
	AttrMaxRegistersPerMultiprocessor          = Attribute(abi.DeviceAttributeMaxRegistersPerMultiprocessor)
	AttrManagedMemory                          = Attribute(abi.DeviceAttributeManagedMemory)
	AttrHostNativeAtomicSupported              = Attribute(abi.DeviceAttributeHostNativeAtomicSupported)
	AttrSingleToDoublePrecisionPerfRatio       = Attribute(abi.DeviceAttributeSingleToDoublePrecisionPerfRatio) // float32 operations for each float64 operation
	AttrPageableMemoryAccess                   = Attribute(abi.DeviceAttributePageableMemoryAccess)
	AttrConcurrentManagedAccess                = Attribute(abi.DeviceAttributeConcurrentManagedAccess)
	AttrComputePreemptionSupported             = Attribute(abi.DeviceAttributeComputePreemptionSupported)
	AttrCanUseHostPointerForRegisteredMem      = Attribute(abi.DeviceAttributeCanUseHostPointerForRegisteredMem)
	AttrCooperativeLaunch                      = Attribute(abi.DeviceAttributeCooperativeLaunch)
	AttrMaxSharedMemoryPerBlockOptin           = Attribute(abi.DeviceAttributeMaxSharedMemoryPerBlockOptin) // bytes, after asking by FunctionAttributeMaxDynamicSharedSizeBytes
	AttrHostRegisterSupported                  = Attribute(abi.DeviceAttributeHostRegisterSupported)
	AttrPageableMemoryAccessUsesHostPageTables = Attribute(abi.DeviceAttributePageableMemoryAccessUsesHostPageTables)
	AttrDirectManagedMemAccessFromHost         = Attribute(abi.DeviceAttributeDirectManagedMemAccessFromHost)
	AttrVirtualAddressManagementSupported      = Attribute(abi.DeviceAttributeVirtualAddressManagementSupported)
	AttrMaxBlocksPerMultiprocessor             = Attribute(abi.DeviceAttributeMaxBlocksPerMultiprocessor)
	AttrGenericCompressionSupported            = Attribute(abi.DeviceAttributeGenericCompressionSupported)
	AttrMaxPersistingL2CacheSize               = Attribute(abi.DeviceAttributeMaxPersistingL2CacheSize)  // bytes
	AttrMaxAccessPolicyWindowSize              = Attribute(abi.DeviceAttributeMaxAccessPolicyWindowSize) // bytes
	AttrGPUDirectRDMAWithCUDAVMMSupported      = Attribute(abi.DeviceAttributeGPUDirectRDMAWithCUDAVMMSupported)
	AttrReservedSharedMemoryPerBlock           = Attribute(abi.DeviceAttributeReservedSharedMemoryPerBlock) // bytes that the system takes of each block's
	AttrMemoryPoolsSupported                   = Attribute(abi.DeviceAttributeMemoryPoolsSupported)
	AttrGPUDirectRDMASupported                 = Attribute(abi.DeviceAttributeGPUDirectRDMASupported)
	AttrClusterLaunch                          = Attribute(abi.DeviceAttributeClusterLaunch)
	AttrMemSyncDomainCount                     = Attribute(abi.DeviceAttributeMemSyncDomainCount)
	AttrTensorMapAccessSupported               = Attribute(abi.DeviceAttributeTensorMapAccessSupported)
	AttrMulticastSupported                     = Attribute(abi.DeviceAttributeMulticastSupported)
	AttrMPSEnabled                             = Attribute(abi.DeviceAttributeMPSEnabled)
)

// attributes names the attributes, in the driver's order.
var attributes = [...]struct {
	attr Attribute
	name string
	unit string
}{
	{AttrMaxThreadsPerBlock, "max threads per block", ""},
	{AttrMaxBlockDimX, "max block dim x", ""},
	{AttrMaxBlockDimY, "max block dim y", ""},
	{AttrMaxBlockDimZ, "max block dim z", ""},
	{AttrMaxGridDimX, "max grid dim x", ""},
	{AttrMaxGridDimY, "max grid dim y", ""},
	{AttrMaxGridDimZ, "max grid dim z", ""},
	{AttrMaxSharedMemoryPerBlock, "max shared memory per block", "bytes"},
	{AttrTotalConstantMemory, "total constant memory", "bytes"},
	{AttrWarpSize, "warp size", ""},
	{AttrMaxRegistersPerBlock, "max registers per block", ""},
	{AttrClockRate, "clock rate", "kHz"},
	{AttrMultiprocessorCount, "multiprocessor count", ""},
	{AttrKernelExecTimeout, "kernel exec timeout", ""},
	{AttrIntegrated, "integrated", ""},
	{AttrCanMapHostMemory, "can map host memory", ""},
	{AttrComputeMode, "compute mode", ""},
	{AttrConcurrentKernels, "concurrent kernels", ""},
	{AttrECCEnabled, "ECC enabled", ""},
	{AttrPCIBusID, "PCI bus ID", ""},
	{AttrPCIDeviceID, "PCI device ID", ""},
	{AttrTCCDriver, "TCC driver", ""},
	{AttrMemoryClockRate, "memory clock rate", "kHz"},
	{AttrGlobalMemoryBusWidth, "global memory bus width", "bits"},
	{AttrL2CacheSize, "L2 cache size", "bytes"},
	{AttrMaxThreadsPerMultiprocessor, "max threads per multiprocessor", ""},
	{AttrAsyncEngineCount, "async engine count", ""},
	{AttrUnifiedAddressing, "unified addressing", ""},
	{AttrPCIDomainID, "PCI domain ID", ""},
	{AttrComputeCapabilityMajor, "compute capability major", ""},
	{AttrComputeCapabilityMinor, "compute capability minor", ""},
	{AttrStreamPrioritiesSupported, "stream priorities supported", ""},
	{AttrGlobalL1CacheSupported, "global L1 cache supported", ""},
	{AttrLocalL1CacheSupported, "local L1 cache supported", ""},
	{AttrMaxSharedMemoryPerMultiprocessor, "max shared memory per multiprocessor", "bytes"},
	{AttrMaxRegistersPerMultiprocessor, "max registers per multiprocessor", ""},
	{AttrManagedMemory, "managed memory", ""},
	{AttrHostNativeAtomicSupported, "host native atomic supported", ""},
	{AttrSingleToDoublePrecisionPerfRatio, "single to double precision perf ratio", ""},
	{AttrPageableMemoryAccess, "pageable memory access", ""},
	{AttrConcurrentManagedAccess, "concurrent managed access", ""},
	{AttrComputePreemptionSupported, "compute preemption supported", ""},
	{AttrCanUseHostPointerForRegisteredMem, "can use host pointer for registered mem", ""},
	{AttrCooperativeLaunch, "cooperative launch", ""},
	{AttrMaxSharedMemoryPerBlockOptin, "max shared memory per block optin", "bytes"},
	{AttrHostRegisterSupported, "host register supported", ""},
	{AttrPageableMemoryAccessUsesHostPageTables, "pageable memory access uses host page tables", ""},
	{AttrDirectManagedMemAccessFromHost, "direct managed mem access from host", ""},
	{AttrVirtualAddressManagementSupported, "virtual address management supported", ""},
	{AttrMaxBlocksPerMultiprocessor, "max blocks per multiprocessor", ""},
	{AttrGenericCompressionSupported, "generic compression supported", ""},
	{AttrMaxPersistingL2CacheSize, "max persisting L2 cache size", "bytes"},
	{AttrMaxAccessPolicyWindowSize, "max access policy window size", "bytes"},
	{AttrGPUDirectRDMAWithCUDAVMMSupported, "GPU direct RDMA with CUDAVMM supported", ""},
	{AttrReservedSharedMemoryPerBlock, "reserved shared memory per block", "bytes"},
	{AttrMemoryPoolsSupported, "memory pools supported", ""},
	{AttrGPUDirectRDMASupported, "GPU direct RDMA supported", ""},
	{AttrClusterLaunch, "cluster launch", ""},
	{AttrMemSyncDomainCount, "mem sync domain count", ""},
	{AttrTensorMapAccessSupported, "tensor map access supported", ""},
	{AttrMulticastSupported, "multicast supported", ""},
	{AttrMPSEnabled, "MPS enabled", ""},
}

// Attributes returns the attributes that have a name here.
func Attributes() []Attribute {
	list := make([]Attribute, len(attributes))
	for i, row := range attributes {
		list[i] = row.attr
	}
	return list
}

// String returns what the attribute is, in words.
func (a Attribute) String() string {
	for _, row := range attributes {
		if row.attr == a {
			return row.name
		}
	}
	return "attribute " + strconv.Itoa(int(a))
}

// Unit returns the unit of the attribute's value: "bytes", "kHz", "bits", or
// nothing for counts and answers.
func (a Attribute) Unit() string {
	for _, row := range attributes {
		if row.attr == a {
			return row.unit
		}
	}
	return ""
}
