package abi

import "unsafe"

// LaunchAttributeID names an attribute of a launch (CUlaunchAttributeID;
// CU_LAUNCH_ATTRIBUTE_ becomes LaunchAttribute).
type LaunchAttributeID int32

const (
	LaunchAttributeIgnore                            LaunchAttributeID = 0
	LaunchAttributeAccessPolicyWindow                LaunchAttributeID = 1
	LaunchAttributeCooperative                       LaunchAttributeID = 2
	LaunchAttributeSynchronizationPolicy             LaunchAttributeID = 3
	LaunchAttributeClusterDimension                  LaunchAttributeID = 4
	LaunchAttributeClusterSchedulingPolicyPreference LaunchAttributeID = 5
	LaunchAttributeProgrammaticStreamSerialization   LaunchAttributeID = 6
	LaunchAttributeProgrammaticEvent                 LaunchAttributeID = 7
	LaunchAttributePriority                          LaunchAttributeID = 8
	LaunchAttributeMemSyncDomainMap                  LaunchAttributeID = 9
	LaunchAttributeMemSyncDomain                     LaunchAttributeID = 10
	LaunchAttributePreferredClusterDimension         LaunchAttributeID = 11
	LaunchAttributeLaunchCompletionEvent             LaunchAttributeID = 12
	LaunchAttributeDeviceUpdatableKernelNode         LaunchAttributeID = 13
	LaunchAttributePreferredSharedMemoryCarveout     LaunchAttributeID = 14
	LaunchAttributeNVLinkUtilCentricScheduling       LaunchAttributeID = 16
)

// ClusterSchedulingPolicy is how the blocks of a cluster are placed
// (CUclusterSchedulingPolicy).
type ClusterSchedulingPolicy int32

const (
	ClusterSchedulingPolicyDefault       ClusterSchedulingPolicy = 0
	ClusterSchedulingPolicySpread        ClusterSchedulingPolicy = 1
	ClusterSchedulingPolicyLoadBalancing ClusterSchedulingPolicy = 2
)

// LaunchMemSyncDomain says which memory operations a kernel's fences wait for
// (CUlaunchMemSyncDomain).
type LaunchMemSyncDomain int32

const (
	LaunchMemSyncDomainDefault LaunchMemSyncDomain = 0
	LaunchMemSyncDomainRemote  LaunchMemSyncDomain = 1
)

// LaunchConfig is the shape of a launch with attributes (CUlaunchConfig).
type LaunchConfig struct {
	GridDimX       uint32
	GridDimY       uint32
	GridDimZ       uint32
	BlockDimX      uint32
	BlockDimY      uint32
	BlockDimZ      uint32
	SharedMemBytes uint32
	Stream         Stream
	Attrs          *LaunchAttribute // the first of NumAttrs; nil if NumAttrs is 0
	NumAttrs       uint32
}

// Attributes is the list that Attrs and NumAttrs describe.
func (c *LaunchConfig) Attributes() []LaunchAttribute {
	// The C layout's promise: Attrs points to NumAttrs values.
	return unsafe.Slice(c.Attrs, c.NumAttrs)
}

// LaunchAttribute is one attribute of a launch (CUlaunchAttribute). ID says which
// member of the union Value is in use.
type LaunchAttribute struct {
	ID    LaunchAttributeID
	_     [4]byte
	Value LaunchAttributeValue
}

// LaunchAttributeValue is C's union CUlaunchAttributeValue: 64 bytes, aligned as
// its pointers. Its methods are its members: each gives a pointer into the union,
// to read or to write.
type LaunchAttributeValue [8]uint64

// Dim3 is the size of a cluster in blocks.
type Dim3 struct{ X, Y, Z uint32 }

// AccessPolicyWindow asks L2 to treat a range of addresses specially
// (CUaccessPolicyWindow): HitRatio of the accesses have HitProp, the rest MissProp.
type AccessPolicyWindow struct {
	BasePtr  DevicePtr
	NumBytes uint64
	HitRatio float32
	HitProp  AccessProperty
	MissProp AccessProperty // normal or streaming
}

// ProgrammaticEvent is an event that the blocks of a kernel trigger.
type ProgrammaticEvent struct {
	Event               Event
	Flags               int32
	TriggerAtBlockStart int32
}

// LaunchCompletionEvent is an event that fires when all blocks have begun.
type LaunchCompletionEvent struct {
	Event Event
	Flags int32
}

// LaunchMemSyncDomainMap maps the logical domains to the device's
// (CUlaunchMemSyncDomainMap).
type LaunchMemSyncDomainMap struct{ Default, Remote uint8 }

// Each conversion below is between types of which the union's is the larger and
// the more strictly aligned, and neither has a pointer that the collector follows.

func (v *LaunchAttributeValue) AccessPolicyWindow() *AccessPolicyWindow {
	return (*AccessPolicyWindow)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) Cooperative() *int32 { return (*int32)(unsafe.Pointer(v)) }

func (v *LaunchAttributeValue) SyncPolicy() *SynchronizationPolicy {
	return (*SynchronizationPolicy)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) ClusterDim() *Dim3 { return (*Dim3)(unsafe.Pointer(v)) }

func (v *LaunchAttributeValue) ClusterSchedulingPolicyPreference() *ClusterSchedulingPolicy {
	return (*ClusterSchedulingPolicy)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) ProgrammaticStreamSerializationAllowed() *int32 {
	return (*int32)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) ProgrammaticEvent() *ProgrammaticEvent {
	return (*ProgrammaticEvent)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) LaunchCompletionEvent() *LaunchCompletionEvent {
	return (*LaunchCompletionEvent)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) Priority() *int32 { return (*int32)(unsafe.Pointer(v)) }

func (v *LaunchAttributeValue) MemSyncDomainMap() *LaunchMemSyncDomainMap {
	return (*LaunchMemSyncDomainMap)(unsafe.Pointer(v))
}

func (v *LaunchAttributeValue) MemSyncDomain() *LaunchMemSyncDomain {
	return (*LaunchMemSyncDomain)(unsafe.Pointer(v))
}

// PreferredClusterDim needs CUDA 12.8.
func (v *LaunchAttributeValue) PreferredClusterDim() *Dim3 { return (*Dim3)(unsafe.Pointer(v)) }

// SharedMemCarveout needs CUDA 12.5.
func (v *LaunchAttributeValue) SharedMemCarveout() *uint32 { return (*uint32)(unsafe.Pointer(v)) }
