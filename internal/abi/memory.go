package abi

// MemoryType says which address of a copy's side counts (CUmemorytype).
type MemoryType int32

const (
	MemoryTypeHost    MemoryType = 1
	MemoryTypeDevice  MemoryType = 2
	MemoryTypeArray   MemoryType = 3
	MemoryTypeUnified MemoryType = 4 // the device address is one of either kind
)

// MemPoolAttribute is a property of a memory pool (CUmemPool_attribute;
// CU_MEMPOOL_ATTR_ becomes MemPoolAttribute). The three about reuse are C ints of 4
// bytes, 0 or 1; the others are 8 bytes, a number of bytes.
type MemPoolAttribute int32

const (
	MemPoolAttributeReuseFollowEventDependencies   MemPoolAttribute = 1 // C int
	MemPoolAttributeReuseAllowOpportunistic        MemPoolAttribute = 2 // C int
	MemPoolAttributeReuseAllowInternalDependencies MemPoolAttribute = 3 // C int
	MemPoolAttributeReleaseThreshold               MemPoolAttribute = 4 // held when the pool is trimmed at a synchronisation
	MemPoolAttributeReservedMemCurrent             MemPoolAttribute = 5 // read only
	MemPoolAttributeReservedMemHigh                MemPoolAttribute = 6 // may be set to 0 only
	MemPoolAttributeUsedMemCurrent                 MemPoolAttribute = 7 // read only
	MemPoolAttributeUsedMemHigh                    MemPoolAttribute = 8 // may be set to 0 only
)

// MemLocationType is a kind of place for memory (CUmemLocationType).
type MemLocationType int32

const (
	MemLocationTypeInvalid         MemLocationType = 0
	MemLocationTypeDevice          MemLocationType = 1
	MemLocationTypeHost            MemLocationType = 2
	MemLocationTypeHostNUMA        MemLocationType = 3
	MemLocationTypeHostNUMACurrent MemLocationType = 4
)

// MemAllocationType is a kind of memory in a pool (CUmemAllocationType).
type MemAllocationType int32

const (
	MemAllocationTypeInvalid MemAllocationType = 0
	MemAllocationTypePinned  MemAllocationType = 1 // does not move
	MemAllocationTypeManaged MemAllocationType = 2
)

// MemAllocationHandleType is how memory can be shared with other processes
// (CUmemAllocationHandleType; CU_MEM_HANDLE_TYPE_ becomes MemHandleType).
type MemAllocationHandleType int32

const (
	MemHandleTypeNone                MemAllocationHandleType = 0
	MemHandleTypePOSIXFileDescriptor MemAllocationHandleType = 1
	MemHandleTypeWin32               MemAllocationHandleType = 2
	MemHandleTypeWin32KMT            MemAllocationHandleType = 4
	MemHandleTypeFabric              MemAllocationHandleType = 8
)

// MemPoolCreateUsageHWDecompress is a flag of MemPoolProps.Usage
// (CU_MEM_POOL_CREATE_USAGE_HW_DECOMPRESS): memory that the decompression engine
// can read.
const MemPoolCreateUsageHWDecompress uint16 = 2

// AccessProperty is how L2 treats accesses in a window (CUaccessProperty).
type AccessProperty int32

const (
	AccessPropertyNormal     AccessProperty = 0
	AccessPropertyStreaming  AccessProperty = 1 // evicted first
	AccessPropertyPersisting AccessProperty = 2 // evicted last
)
