package abi

// DeviceAttribute is a property of a device, a number (CUdevice_attribute).
// Values without a unit are counts, or 1 for yes and 0 for no.
type DeviceAttribute int32

const (
	DeviceAttributeMaxThreadsPerBlock                       DeviceAttribute = 1
	DeviceAttributeMaxBlockDimX                             DeviceAttribute = 2
	DeviceAttributeMaxBlockDimY                             DeviceAttribute = 3
	DeviceAttributeMaxBlockDimZ                             DeviceAttribute = 4
	DeviceAttributeMaxGridDimX                              DeviceAttribute = 5
	DeviceAttributeMaxGridDimY                              DeviceAttribute = 6
	DeviceAttributeMaxGridDimZ                              DeviceAttribute = 7
	DeviceAttributeMaxSharedMemoryPerBlock                  DeviceAttribute = 8 // bytes
	DeviceAttributeTotalConstantMemory                      DeviceAttribute = 9 // bytes
	DeviceAttributeWarpSize                                 DeviceAttribute = 10
	DeviceAttributeMaxPitch                                 DeviceAttribute = 11 // bytes
	DeviceAttributeMaxRegistersPerBlock                     DeviceAttribute = 12 // of 32 bits
	DeviceAttributeClockRate                                DeviceAttribute = 13 // kHz
	DeviceAttributeTextureAlignment                         DeviceAttribute = 14 // bytes
	DeviceAttributeGPUOverlap                               DeviceAttribute = 15 // superseded by AsyncEngineCount
	DeviceAttributeMultiprocessorCount                      DeviceAttribute = 16
	DeviceAttributeKernelExecTimeout                        DeviceAttribute = 17 // 1 if kernels may run for a limited time only
	DeviceAttributeIntegrated                               DeviceAttribute = 18 // 1 if the device shares the host's memory
	DeviceAttributeCanMapHostMemory                         DeviceAttribute = 19
	DeviceAttributeComputeMode                              DeviceAttribute = 20 // a ComputeMode
	DeviceAttributeMaximumTexture1DWidth                    DeviceAttribute = 21
	DeviceAttributeMaximumTexture2DWidth                    DeviceAttribute = 22
	DeviceAttributeMaximumTexture2DHeight                   DeviceAttribute = 23
	DeviceAttributeMaximumTexture3DWidth                    DeviceAttribute = 24
	DeviceAttributeMaximumTexture3DHeight                   DeviceAttribute = 25
	DeviceAttributeMaximumTexture3DDepth                    DeviceAttribute = 26
	DeviceAttributeMaximumTexture2DLayeredWidth             DeviceAttribute = 27
	DeviceAttributeMaximumTexture2DLayeredHeight            DeviceAttribute = 28
	DeviceAttributeMaximumTexture2DLayeredLayers            DeviceAttribute = 29
	DeviceAttributeSurfaceAlignment                         DeviceAttribute = 30 // bytes
	DeviceAttributeConcurrentKernels                        DeviceAttribute = 31
	DeviceAttributeECCEnabled                               DeviceAttribute = 32
	DeviceAttributePCIBusID                                 DeviceAttribute = 33
	DeviceAttributePCIDeviceID                              DeviceAttribute = 34
	DeviceAttributeTCCDriver                                DeviceAttribute = 35 // Windows only: 1 for the TCC driver, 0 for WDDM
	DeviceAttributeMemoryClockRate                          DeviceAttribute = 36 // kHz
	DeviceAttributeGlobalMemoryBusWidth                     DeviceAttribute = 37 // bits
	DeviceAttributeL2CacheSize                              DeviceAttribute = 38 // bytes
	DeviceAttributeMaxThreadsPerMultiprocessor              DeviceAttribute = 39
	DeviceAttributeAsyncEngineCount                         DeviceAttribute = 40 // copy engines
	DeviceAttributeUnifiedAddressing                        DeviceAttribute = 41
	DeviceAttributeMaximumTexture1DLayeredWidth             DeviceAttribute = 42
	DeviceAttributeMaximumTexture1DLayeredLayers            DeviceAttribute = 43
	DeviceAttributeCanTex2DGather                           DeviceAttribute = 44
	DeviceAttributeMaximumTexture2DGatherWidth              DeviceAttribute = 45
	DeviceAttributeMaximumTexture2DGatherHeight             DeviceAttribute = 46
	DeviceAttributeMaximumTexture3DWidthAlternate           DeviceAttribute = 47
	DeviceAttributeMaximumTexture3DHeightAlternate          DeviceAttribute = 48
	DeviceAttributeMaximumTexture3DDepthAlternate           DeviceAttribute = 49
	DeviceAttributePCIDomainID                              DeviceAttribute = 50
	DeviceAttributeTexturePitchAlignment                    DeviceAttribute = 51 // bytes
	DeviceAttributeMaximumTextureCubemapWidth               DeviceAttribute = 52
	DeviceAttributeMaximumTextureCubemapLayeredWidth        DeviceAttribute = 53
	DeviceAttributeMaximumTextureCubemapLayeredLayers       DeviceAttribute = 54
	DeviceAttributeMaximumSurface1DWidth                    DeviceAttribute = 55
	DeviceAttributeMaximumSurface2DWidth                    DeviceAttribute = 56
	DeviceAttributeMaximumSurface2DHeight                   DeviceAttribute = 57
	DeviceAttributeMaximumSurface3DWidth                    DeviceAttribute = 58
	DeviceAttributeMaximumSurface3DHeight                   DeviceAttribute = 59
	DeviceAttributeMaximumSurface3DDepth                    DeviceAttribute = 60
	DeviceAttributeMaximumSurface1DLayeredWidth             DeviceAttribute = 61
	DeviceAttributeMaximumSurface1DLayeredLayers            DeviceAttribute = 62
	DeviceAttributeMaximumSurface2DLayeredWidth             DeviceAttribute = 63
	DeviceAttributeMaximumSurface2DLayeredHeight            DeviceAttribute = 64
	DeviceAttributeMaximumSurface2DLayeredLayers            DeviceAttribute = 65
	DeviceAttributeMaximumSurfaceCubemapWidth               DeviceAttribute = 66
	DeviceAttributeMaximumSurfaceCubemapLayeredWidth        DeviceAttribute = 67
	DeviceAttributeMaximumSurfaceCubemapLayeredLayers       DeviceAttribute = 68
	DeviceAttributeMaximumTexture1DLinearWidth              DeviceAttribute = 69
	DeviceAttributeMaximumTexture2DLinearWidth              DeviceAttribute = 70
	DeviceAttributeMaximumTexture2DLinearHeight             DeviceAttribute = 71
	DeviceAttributeMaximumTexture2DLinearPitch              DeviceAttribute = 72 // bytes
	DeviceAttributeMaximumTexture2DMipmappedWidth           DeviceAttribute = 73
	DeviceAttributeMaximumTexture2DMipmappedHeight          DeviceAttribute = 74
	DeviceAttributeComputeCapabilityMajor                   DeviceAttribute = 75
	DeviceAttributeComputeCapabilityMinor                   DeviceAttribute = 76
	DeviceAttributeMaximumTexture1DMipmappedWidth           DeviceAttribute = 77
	DeviceAttributeStreamPrioritiesSupported                DeviceAttribute = 78
	DeviceAttributeGlobalL1CacheSupported                   DeviceAttribute = 79
	DeviceAttributeLocalL1CacheSupported                    DeviceAttribute = 80
	DeviceAttributeMaxSharedMemoryPerMultiprocessor         DeviceAttribute = 81 // bytes
	DeviceAttributeMaxRegistersPerMultiprocessor            DeviceAttribute = 82
	DeviceAttributeManagedMemory                            DeviceAttribute = 83
	DeviceAttributeMultiGPUBoard                            DeviceAttribute = 84
	DeviceAttributeMultiGPUBoardGroupID                     DeviceAttribute = 85
	DeviceAttributeHostNativeAtomicSupported                DeviceAttribute = 86
	DeviceAttributeSingleToDoublePrecisionPerfRatio         DeviceAttribute = 87 // float32 operations for each float64 operation
	DeviceAttributePageableMemoryAccess                     DeviceAttribute = 88
	DeviceAttributeConcurrentManagedAccess                  DeviceAttribute = 89
	DeviceAttributeComputePreemptionSupported               DeviceAttribute = 90
	DeviceAttributeCanUseHostPointerForRegisteredMem        DeviceAttribute = 91
	DeviceAttributeCooperativeLaunch                        DeviceAttribute = 95
	DeviceAttributeCooperativeMultiDeviceLaunch             DeviceAttribute = 96
	DeviceAttributeMaxSharedMemoryPerBlockOptin             DeviceAttribute = 97 // bytes, after asking by FunctionAttributeMaxDynamicSharedSizeBytes
	DeviceAttributeCanFlushRemoteWrites                     DeviceAttribute = 98
	DeviceAttributeHostRegisterSupported                    DeviceAttribute = 99
	DeviceAttributePageableMemoryAccessUsesHostPageTables   DeviceAttribute = 100
	DeviceAttributeDirectManagedMemAccessFromHost           DeviceAttribute = 101
	DeviceAttributeVirtualAddressManagementSupported        DeviceAttribute = 102
	DeviceAttributeHandleTypePOSIXFileDescriptorSupported   DeviceAttribute = 103
	DeviceAttributeHandleTypeWin32HandleSupported           DeviceAttribute = 104
	DeviceAttributeHandleTypeWin32KMTHandleSupported        DeviceAttribute = 105
	DeviceAttributeMaxBlocksPerMultiprocessor               DeviceAttribute = 106
	DeviceAttributeGenericCompressionSupported              DeviceAttribute = 107
	DeviceAttributeMaxPersistingL2CacheSize                 DeviceAttribute = 108 // bytes
	DeviceAttributeMaxAccessPolicyWindowSize                DeviceAttribute = 109 // bytes
	DeviceAttributeGPUDirectRDMAWithCUDAVMMSupported        DeviceAttribute = 110
	DeviceAttributeReservedSharedMemoryPerBlock             DeviceAttribute = 111 // bytes that the system takes of each block's
	DeviceAttributeSparseCUDAArraySupported                 DeviceAttribute = 112
	DeviceAttributeReadOnlyHostRegisterSupported            DeviceAttribute = 113
	DeviceAttributeTimelineSemaphoreInteropSupported        DeviceAttribute = 114
	DeviceAttributeMemoryPoolsSupported                     DeviceAttribute = 115
	DeviceAttributeGPUDirectRDMASupported                   DeviceAttribute = 116
	DeviceAttributeGPUDirectRDMAFlushWritesOptions          DeviceAttribute = 117
	DeviceAttributeGPUDirectRDMAWritesOrdering              DeviceAttribute = 118
	DeviceAttributeMemPoolSupportedHandleTypes              DeviceAttribute = 119 // mask of MemAllocationHandleType
	DeviceAttributeClusterLaunch                            DeviceAttribute = 120
	DeviceAttributeDeferredMappingCUDAArraySupported        DeviceAttribute = 121
	DeviceAttributeCanUse64BitStreamMemOps                  DeviceAttribute = 122
	DeviceAttributeCanUseStreamWaitValueNor                 DeviceAttribute = 123
	DeviceAttributeDMABufSupported                          DeviceAttribute = 124
	DeviceAttributeIPCEventSupported                        DeviceAttribute = 125
	DeviceAttributeMemSyncDomainCount                       DeviceAttribute = 126
	DeviceAttributeTensorMapAccessSupported                 DeviceAttribute = 127
	DeviceAttributeHandleTypeFabricSupported                DeviceAttribute = 128
	DeviceAttributeUnifiedFunctionPointers                  DeviceAttribute = 129
	DeviceAttributeNUMAConfig                               DeviceAttribute = 130
	DeviceAttributeNUMAID                                   DeviceAttribute = 131
	DeviceAttributeMulticastSupported                       DeviceAttribute = 132
	DeviceAttributeMPSEnabled                               DeviceAttribute = 133
	DeviceAttributeHostNUMAID                               DeviceAttribute = 134
	DeviceAttributeD3D12CIGSupported                        DeviceAttribute = 135
	DeviceAttributeMemDecompressAlgorithmMask               DeviceAttribute = 136
	DeviceAttributeMemDecompressMaximumLength               DeviceAttribute = 137 // bytes
	DeviceAttributeVulkanCIGSupported                       DeviceAttribute = 138
	DeviceAttributeGPUPCIDeviceID                           DeviceAttribute = 139
	DeviceAttributeGPUPCISubsystemID                        DeviceAttribute = 140
	DeviceAttributeHostNUMAVirtualMemoryManagementSupported DeviceAttribute = 141
	DeviceAttributeHostNUMAMemoryPoolsSupported             DeviceAttribute = 142
	DeviceAttributeHostNUMAMultinodeIPCSupported            DeviceAttribute = 143
	DeviceAttributeHostMemoryPoolsSupported                 DeviceAttribute = 144
	DeviceAttributeHostVirtualMemoryManagementSupported     DeviceAttribute = 145
	DeviceAttributeHostAllocDMABufSupported                 DeviceAttribute = 146
	DeviceAttributeOnlyPartialHostNativeAtomicSupported     DeviceAttribute = 147
)

// DeviceP2PAttribute is a property of a pair of devices (CUdevice_P2PAttribute).
type DeviceP2PAttribute int32

const (
	DeviceP2PAttributePerformanceRank                  DeviceP2PAttribute = 1 // lower is faster
	DeviceP2PAttributeAccessSupported                  DeviceP2PAttribute = 2
	DeviceP2PAttributeNativeAtomicSupported            DeviceP2PAttribute = 3
	DeviceP2PAttributeAccessAccessSupported            DeviceP2PAttribute = 4 // of texture arrays; the name with ACCESS twice is C's
	DeviceP2PAttributeOnlyPartialNativeAtomicSupported DeviceP2PAttribute = 5
)

// ComputeMode says which processes may use a device (CUcomputemode).
type ComputeMode int32

const (
	ComputeModeDefault          ComputeMode = 0 // any number
	ComputeModeProhibited       ComputeMode = 2 // none
	ComputeModeExclusiveProcess ComputeMode = 3 // one at a time
)

// FunctionAttribute is a property of a kernel, a number (CUfunction_attribute;
// CU_FUNC_ATTRIBUTE_ becomes FunctionAttribute).
type FunctionAttribute int32

const (
	FunctionAttributeMaxThreadsPerBlock                FunctionAttribute = 0
	FunctionAttributeSharedSizeBytes                   FunctionAttribute = 1 // static shared memory of a block
	FunctionAttributeConstSizeBytes                    FunctionAttribute = 2 // constants of the user's
	FunctionAttributeLocalSizeBytes                    FunctionAttribute = 3 // of each thread: spills and local arrays
	FunctionAttributeNumRegs                           FunctionAttribute = 4 // of each thread
	FunctionAttributePTXVersion                        FunctionAttribute = 5 // 10 × major + minor
	FunctionAttributeBinaryVersion                     FunctionAttribute = 6 // 10 × major + minor
	FunctionAttributeCacheModeCA                       FunctionAttribute = 7 // 1 if global loads are cached in L1
	FunctionAttributeMaxDynamicSharedSizeBytes         FunctionAttribute = 8 // may be set; above 48 KiB must be
	FunctionAttributePreferredSharedMemoryCarveout     FunctionAttribute = 9 // may be set; percent, or a SharedMemCarveout
	FunctionAttributeClusterSizeMustBeSet              FunctionAttribute = 10
	FunctionAttributeRequiredClusterWidth              FunctionAttribute = 11
	FunctionAttributeRequiredClusterHeight             FunctionAttribute = 12
	FunctionAttributeRequiredClusterDepth              FunctionAttribute = 13
	FunctionAttributeNonPortableClusterSizeAllowed     FunctionAttribute = 14 // may be set; more than 8 blocks
	FunctionAttributeClusterSchedulingPolicyPreference FunctionAttribute = 15 // may be set; a ClusterSchedulingPolicy
)

// SharedMemCarveout names special values of the share of L1 that a kernel wants
// as shared memory, otherwise a percentage (CUshared_carveout).
type SharedMemCarveout int32

const (
	SharedMemCarveoutDefault   SharedMemCarveout = -1
	SharedMemCarveoutMaxL1     SharedMemCarveout = 0
	SharedMemCarveoutMaxShared SharedMemCarveout = 100
)

// PointerAttribute is a property of an address (CUpointer_attribute).
type PointerAttribute int32

const (
	PointerAttributeContext                PointerAttribute = 1
	PointerAttributeMemoryType             PointerAttribute = 2
	PointerAttributeDevicePointer          PointerAttribute = 3
	PointerAttributeHostPointer            PointerAttribute = 4
	PointerAttributeP2PTokens              PointerAttribute = 5
	PointerAttributeSyncMemOps             PointerAttribute = 6
	PointerAttributeBufferID               PointerAttribute = 7
	PointerAttributeIsManaged              PointerAttribute = 8
	PointerAttributeDeviceOrdinal          PointerAttribute = 9
	PointerAttributeIsLegacyCUDAIPCCapable PointerAttribute = 10
	PointerAttributeRangeStartAddr         PointerAttribute = 11
	PointerAttributeRangeSize              PointerAttribute = 12
	PointerAttributeMapped                 PointerAttribute = 13
	PointerAttributeAllowedHandleTypes     PointerAttribute = 14
	PointerAttributeIsGPUDirectRDMACapable PointerAttribute = 15
	PointerAttributeAccessFlags            PointerAttribute = 16
	PointerAttributeMemPoolHandle          PointerAttribute = 17
	PointerAttributeMappingSize            PointerAttribute = 18
	PointerAttributeMappingBaseAddr        PointerAttribute = 19
	PointerAttributeMemoryBlockID          PointerAttribute = 20
	PointerAttributeIsHWDecompressCapable  PointerAttribute = 21
)

// Limit is a resource of a context (CUlimit). Values are bytes, unless noted.
type Limit int32

const (
	LimitStackSize                    Limit = 0 // of each thread
	LimitPrintfFifoSize               Limit = 1
	LimitMallocHeapSize               Limit = 2
	LimitDevRuntimeSyncDepth          Limit = 3 // grids
	LimitDevRuntimePendingLaunchCount Limit = 4 // launches
	LimitMaxL2FetchGranularity        Limit = 5
	LimitPersistingL2CacheSize        Limit = 6
	LimitShMemSize                    Limit = 7
	LimitCIGEnabled                   Limit = 8 // 1 or 0
	LimitCIGShMemFallbackEnabled      Limit = 9 // 1 or 0
)
