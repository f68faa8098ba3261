package abi

// Flags of a context.
const (
	CtxSchedAuto          uint32 = 0 // spin if there are more cores than contexts, else yield
	CtxSchedSpin          uint32 = 1 // waiting polls: lowest latency
	CtxSchedYield         uint32 = 2 // waiting polls and yields
	CtxSchedBlockingSync  uint32 = 4 // waiting sleeps
	CtxMapHost            uint32 = 8 // always on since CUDA 11
	CtxCoreDumpEnable     uint32 = 32
	CtxUserCoreDumpEnable uint32 = 64
	CtxSyncMemOps         uint32 = 128
)

// Flags of StreamCreateWithPriority.
const (
	StreamDefault     uint32 = 0 // waits for, and is waited for by, the legacy stream
	StreamNonBlocking uint32 = 1 // does not
)

// Handles of the streams that exist without being created.
const (
	StreamLegacy    Stream = 1 // CU_STREAM_LEGACY; what 0 means
	StreamPerThread Stream = 2 // CU_STREAM_PER_THREAD
)

// Flags of EventCreate.
const (
	EventDefault       uint32 = 0
	EventBlockingSync  uint32 = 1 // waiting sleeps instead of polling
	EventDisableTiming uint32 = 2 // no time stamp: cheaper
	EventInterprocess  uint32 = 4 // together with EventDisableTiming
)

// Flags of recording an event: EventRecordExternal makes a node of its own in a captured graph.
const (
	EventRecordDefault  uint32 = 0
	EventRecordExternal uint32 = 1
)

// Flags of StreamWaitEvent.
const (
	EventWaitDefault  uint32 = 0
	EventWaitExternal uint32 = 1 // a node of its own in a captured graph
)

// Flags of MemHostAlloc (CU_MEMHOSTALLOC_).
const (
	MemHostAllocPortable      uint32 = 1 // pinned for every context
	MemHostAllocDeviceMap     uint32 = 2 // has a device address as well
	MemHostAllocWriteCombined uint32 = 4 // fast for the device to read, very slow for the host
)

// StreamCaptureMode says whose unsafe calls are errors during a capture
// (CUstreamCaptureMode).
type StreamCaptureMode int32

const (
	StreamCaptureModeGlobal      StreamCaptureMode = 0 // any thread's
	StreamCaptureModeThreadLocal StreamCaptureMode = 1 // this thread's
	StreamCaptureModeRelaxed     StreamCaptureMode = 2 // nobody's
)

// StreamCaptureStatus is the state of a stream's capture (CUstreamCaptureStatus).
type StreamCaptureStatus int32

const (
	StreamCaptureStatusNone        StreamCaptureStatus = 0
	StreamCaptureStatusActive      StreamCaptureStatus = 1
	StreamCaptureStatusInvalidated StreamCaptureStatus = 2
)

// SynchronizationPolicy is how a stream is waited for (CUsynchronizationPolicy;
// CU_SYNC_POLICY_ becomes SyncPolicy).
type SynchronizationPolicy int32

const (
	SyncPolicyAuto         SynchronizationPolicy = 1
	SyncPolicySpin         SynchronizationPolicy = 2
	SyncPolicyYield        SynchronizationPolicy = 3
	SyncPolicyBlockingSync SynchronizationPolicy = 4
)

// Flags of cuGetProcAddress.
const (
	GetProcAddressDefault                uint64 = 0
	GetProcAddressLegacyStream           uint64 = 1
	GetProcAddressPerThreadDefaultStream uint64 = 2
)

// DriverProcAddressQueryResult says why cuGetProcAddress found nothing
// (CUdriverProcAddressQueryResult; CU_GET_PROC_ADDRESS_ becomes DriverProcAddress).
type DriverProcAddressQueryResult int32

const (
	DriverProcAddressSuccess              DriverProcAddressQueryResult = 0
	DriverProcAddressSymbolNotFound       DriverProcAddressQueryResult = 1
	DriverProcAddressVersionNotSufficient DriverProcAddressQueryResult = 2
)
