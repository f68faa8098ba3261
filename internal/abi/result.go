package abi

import (
	"sort"
	"strconv"
)

// Result is what every function of the driver returns (CUresult).
// The constants keep the C names without CUDA_: CUDA_ERROR_OUT_OF_MEMORY is
// ErrorOutOfMemory.
type Result int32

const (
	Success                           Result = 0
	ErrorInvalidValue                 Result = 1
	ErrorOutOfMemory                  Result = 2
	ErrorNotInitialized               Result = 3
	ErrorDeinitialized                Result = 4
	ErrorProfilerDisabled             Result = 5
	ErrorProfilerNotInitialized       Result = 6
	ErrorProfilerAlreadyStarted       Result = 7
	ErrorProfilerAlreadyStopped       Result = 8
	ErrorStubLibrary                  Result = 34
	ErrorCallRequiresNewerDriver      Result = 36
	ErrorDeviceUnavailable            Result = 46
	ErrorNoDevice                     Result = 100
	ErrorInvalidDevice                Result = 101
	ErrorDeviceNotLicensed            Result = 102
	ErrorInvalidImage                 Result = 200
	ErrorInvalidContext               Result = 201
	ErrorContextAlreadyCurrent        Result = 202
	ErrorMapFailed                    Result = 205
	ErrorUnmapFailed                  Result = 206
	ErrorArrayIsMapped                Result = 207
	ErrorAlreadyMapped                Result = 208
	ErrorNoBinaryForGPU               Result = 209
	ErrorAlreadyAcquired              Result = 210
	ErrorNotMapped                    Result = 211
	ErrorNotMappedAsArray             Result = 212
	ErrorNotMappedAsPointer           Result = 213
	ErrorECCUncorrectable             Result = 214
	ErrorUnsupportedLimit             Result = 215
	ErrorContextAlreadyInUse          Result = 216
	ErrorPeerAccessUnsupported        Result = 217
	ErrorInvalidPTX                   Result = 218
	ErrorInvalidGraphicsContext       Result = 219
	ErrorNVLinkUncorrectable          Result = 220
	ErrorJITCompilerNotFound          Result = 221
	ErrorUnsupportedPTXVersion        Result = 222
	ErrorJITCompilationDisabled       Result = 223
	ErrorUnsupportedExecAffinity      Result = 224
	ErrorUnsupportedDevSideSync       Result = 225
	ErrorContained                    Result = 226
	ErrorInvalidSource                Result = 300
	ErrorFileNotFound                 Result = 301
	ErrorSharedObjectSymbolNotFound   Result = 302
	ErrorSharedObjectInitFailed       Result = 303
	ErrorOperatingSystem              Result = 304
	ErrorInvalidHandle                Result = 400
	ErrorIllegalState                 Result = 401
	ErrorLossyQuery                   Result = 402
	ErrorNotFound                     Result = 500
	ErrorNotReady                     Result = 600
	ErrorIllegalAddress               Result = 700
	ErrorLaunchOutOfResources         Result = 701
	ErrorLaunchTimeout                Result = 702
	ErrorLaunchIncompatibleTexturing  Result = 703
	ErrorPeerAccessAlreadyEnabled     Result = 704
	ErrorPeerAccessNotEnabled         Result = 705
	ErrorPrimaryContextActive         Result = 708
	ErrorContextIsDestroyed           Result = 709
	ErrorAssert                       Result = 710
	ErrorTooManyPeers                 Result = 711
	ErrorHostMemoryAlreadyRegistered  Result = 712
	ErrorHostMemoryNotRegistered      Result = 713
	ErrorHardwareStackError           Result = 714
	ErrorIllegalInstruction           Result = 715
	ErrorMisalignedAddress            Result = 716
	ErrorInvalidAddressSpace          Result = 717
	ErrorInvalidPC                    Result = 718
	ErrorLaunchFailed                 Result = 719
	ErrorCooperativeLaunchTooLarge    Result = 720
	ErrorTensorMemoryLeak             Result = 721
	ErrorNotPermitted                 Result = 800
	ErrorNotSupported                 Result = 801
	ErrorSystemNotReady               Result = 802
	ErrorSystemDriverMismatch         Result = 803
	ErrorCompatNotSupportedOnDevice   Result = 804
	ErrorMPSConnectionFailed          Result = 805
	ErrorMPSRPCFailure                Result = 806
	ErrorMPSServerNotReady            Result = 807
	ErrorMPSMaxClientsReached         Result = 808
	ErrorMPSMaxConnectionsReached     Result = 809
	ErrorMPSClientTerminated          Result = 810
	ErrorCDPNotSupported              Result = 811
	ErrorCDPVersionMismatch           Result = 812
	ErrorStreamCaptureUnsupported     Result = 900
	ErrorStreamCaptureInvalidated     Result = 901
	ErrorStreamCaptureMerge           Result = 902
	ErrorStreamCaptureUnmatched       Result = 903
	ErrorStreamCaptureUnjoined        Result = 904
	ErrorStreamCaptureIsolation       Result = 905
	ErrorStreamCaptureImplicit        Result = 906
	ErrorCapturedEvent                Result = 907
	ErrorStreamCaptureWrongThread     Result = 908
	ErrorTimeout                      Result = 909
	ErrorGraphExecUpdateFailure       Result = 910
	ErrorExternalDevice               Result = 911
	ErrorInvalidClusterSize           Result = 912
	ErrorFunctionNotLoaded            Result = 913
	ErrorInvalidResourceType          Result = 914
	ErrorInvalidResourceConfiguration Result = 915
	ErrorKeyRotation                  Result = 916
	ErrorUnknown                      Result = 999
)

// Name is the constant's name in C, such as CUDA_ERROR_OUT_OF_MEMORY, or
// CUresult(917) for a code that this package does not know.
func (r Result) Name() string {
	if i, ok := r.find(); ok {
		return results[i].name
	}
	return "CUresult(" + strconv.Itoa(int(r)) + ")"
}

// Meaning says in a few words what happened.
func (r Result) Meaning() string {
	if i, ok := r.find(); ok {
		return results[i].meaning
	}
	return "a code of a newer driver"
}

// String is the name and the meaning.
func (r Result) String() string { return r.Name() + ": " + r.Meaning() }

func (r Result) find() (int, bool) {
	i := sort.Search(len(results), func(i int) bool { return results[i].code >= r })
	return i, i < len(results) && results[i].code == r
}

// Results gives every code that this package knows, in ascending order.
func Results() []Result {
	all := make([]Result, len(results))
	for i, row := range results {
		all[i] = row.code
	}
	return all
}

// results is ordered by code.
var results = [...]struct {
	code          Result
	name, meaning string
}{
	{Success, "CUDA_SUCCESS", "the call succeeded; for a query, the work it asks about has completed"},
	{ErrorInvalidValue, "CUDA_ERROR_INVALID_VALUE", "an argument is outside the values that the function takes"},
	{ErrorOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "not enough memory on the device, or not enough resources for the request"},
	{ErrorNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "the driver has not been initialised: cuInit has not been called, or failed"},
	{ErrorDeinitialized, "CUDA_ERROR_DEINITIALIZED", "the driver is shutting down"},
	{ErrorProfilerDisabled, "CUDA_ERROR_PROFILER_DISABLED", "the profiler is not available to this process"},
	{ErrorProfilerNotInitialized, "CUDA_ERROR_PROFILER_NOT_INITIALIZED", "the profiler has not been initialised (no longer returned)"},
	{ErrorProfilerAlreadyStarted, "CUDA_ERROR_PROFILER_ALREADY_STARTED", "the profiler has been started before (no longer returned)"},
	{ErrorProfilerAlreadyStopped, "CUDA_ERROR_PROFILER_ALREADY_STOPPED", "the profiler has been stopped before (no longer returned)"},
	{ErrorStubLibrary, "CUDA_ERROR_STUB_LIBRARY", "the library that was loaded is the toolkit's stub for linking, not the driver"},
	{ErrorCallRequiresNewerDriver, "CUDA_ERROR_CALL_REQUIRES_NEWER_DRIVER", "the call needs a newer driver than the one installed"},
	{ErrorDeviceUnavailable, "CUDA_ERROR_DEVICE_UNAVAILABLE", "the device cannot be used now: it is busy in exclusive mode, or being reset or removed"},
	{ErrorNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA device was found"},
	{ErrorInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "the ordinal names no device, or the operation is not possible on this device"},
	{ErrorDeviceNotLicensed, "CUDA_ERROR_DEVICE_NOT_LICENSED", "the device has no licence for compute work"},
	{ErrorInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "the image is neither PTX nor a binary that this driver can read"},
	{ErrorInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "no context is current, or the handle is not that of a living context"},
	{ErrorContextAlreadyCurrent, "CUDA_ERROR_CONTEXT_ALREADY_CURRENT", "the context is current already (no longer returned)"},
	{ErrorMapFailed, "CUDA_ERROR_MAP_FAILED", "mapping a resource failed"},
	{ErrorUnmapFailed, "CUDA_ERROR_UNMAP_FAILED", "unmapping a resource failed"},
	{ErrorArrayIsMapped, "CUDA_ERROR_ARRAY_IS_MAPPED", "the array is mapped, so it cannot be destroyed"},
	{ErrorAlreadyMapped, "CUDA_ERROR_ALREADY_MAPPED", "the resource is mapped already"},
	{ErrorNoBinaryForGPU, "CUDA_ERROR_NO_BINARY_FOR_GPU", "the image has no code for this device's compute capability"},
	{ErrorAlreadyAcquired, "CUDA_ERROR_ALREADY_ACQUIRED", "the resource was acquired already"},
	{ErrorNotMapped, "CUDA_ERROR_NOT_MAPPED", "the resource is not mapped"},
	{ErrorNotMappedAsArray, "CUDA_ERROR_NOT_MAPPED_AS_ARRAY", "the resource is mapped, but not as an array"},
	{ErrorNotMappedAsPointer, "CUDA_ERROR_NOT_MAPPED_AS_POINTER", "the resource is mapped, but not as a pointer"},
	{ErrorECCUncorrectable, "CUDA_ERROR_ECC_UNCORRECTABLE", "an ECC error that could not be corrected happened during execution"},
	{ErrorUnsupportedLimit, "CUDA_ERROR_UNSUPPORTED_LIMIT", "the device does not have this limit"},
	{ErrorContextAlreadyInUse, "CUDA_ERROR_CONTEXT_ALREADY_IN_USE", "the context is current to another thread and can be so to only one"},
	{ErrorPeerAccessUnsupported, "CUDA_ERROR_PEER_ACCESS_UNSUPPORTED", "these two devices cannot access one another's memory"},
	{ErrorInvalidPTX, "CUDA_ERROR_INVALID_PTX", "the PTX does not assemble; the assembler's log says why"},
	{ErrorInvalidGraphicsContext, "CUDA_ERROR_INVALID_GRAPHICS_CONTEXT", "the graphics context is not usable"},
	{ErrorNVLinkUncorrectable, "CUDA_ERROR_NVLINK_UNCORRECTABLE", "an NVLink error that could not be corrected happened during execution"},
	{ErrorJITCompilerNotFound, "CUDA_ERROR_JIT_COMPILER_NOT_FOUND", "the driver's PTX assembler (libnvidia-ptxjitcompiler) was not found"},
	{ErrorUnsupportedPTXVersion, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION", "the PTX is of a version newer than this driver's assembler knows"},
	{ErrorJITCompilationDisabled, "CUDA_ERROR_JIT_COMPILATION_DISABLED", "assembling PTX has been disabled (see the variables CUDA_DISABLE_PTX_JIT and CUDA_DISABLE_JIT)"},
	{ErrorUnsupportedExecAffinity, "CUDA_ERROR_UNSUPPORTED_EXEC_AFFINITY", "the device does not support this execution affinity"},
	{ErrorUnsupportedDevSideSync, "CUDA_ERROR_UNSUPPORTED_DEVSIDE_SYNC", "the code waits for a child grid from the device, which this device no longer supports"},
	{ErrorContained, "CUDA_ERROR_CONTAINED", "an error on the device was contained; the process must be started again"},
	{ErrorInvalidSource, "CUDA_ERROR_INVALID_SOURCE", "the kernel's source is not valid"},
	{ErrorFileNotFound, "CUDA_ERROR_FILE_NOT_FOUND", "the file was not found"},
	{ErrorSharedObjectSymbolNotFound, "CUDA_ERROR_SHARED_OBJECT_SYMBOL_NOT_FOUND", "a shared object lacks a symbol that it should have"},
	{ErrorSharedObjectInitFailed, "CUDA_ERROR_SHARED_OBJECT_INIT_FAILED", "a shared object could not be initialised"},
	{ErrorOperatingSystem, "CUDA_ERROR_OPERATING_SYSTEM", "a call of the operating system failed"},
	{ErrorInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "the handle is not that of a living object of its kind"},
	{ErrorIllegalState, "CUDA_ERROR_ILLEGAL_STATE", "an object is not in the state that the operation needs"},
	{ErrorLossyQuery, "CUDA_ERROR_LOSSY_QUERY", "the query has an answer that its old form cannot express"},
	{ErrorNotFound, "CUDA_ERROR_NOT_FOUND", "no symbol, function, variable or texture of that name"},
	{ErrorNotReady, "CUDA_ERROR_NOT_READY", "the work has not completed yet; not a failure"},
	{ErrorIllegalAddress, "CUDA_ERROR_ILLEGAL_ADDRESS", "a kernel accessed an address that is not mapped; the process must be started again"},
	{ErrorLaunchOutOfResources, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "the launch asks for more registers, shared memory or threads than the device has, or its parameters do not fit the kernel"},
	{ErrorLaunchTimeout, "CUDA_ERROR_LAUNCH_TIMEOUT", "a kernel ran longer than the display's time limit allows; the process must be started again"},
	{ErrorLaunchIncompatibleTexturing, "CUDA_ERROR_LAUNCH_INCOMPATIBLE_TEXTURING", "the launch uses an incompatible texturing mode"},
	{ErrorPeerAccessAlreadyEnabled, "CUDA_ERROR_PEER_ACCESS_ALREADY_ENABLED", "access to the peer's memory is enabled already"},
	{ErrorPeerAccessNotEnabled, "CUDA_ERROR_PEER_ACCESS_NOT_ENABLED", "access to the peer's memory was not enabled"},
	{ErrorPrimaryContextActive, "CUDA_ERROR_PRIMARY_CONTEXT_ACTIVE", "the primary context exists already, so its flags cannot change"},
	{ErrorContextIsDestroyed, "CUDA_ERROR_CONTEXT_IS_DESTROYED", "the current context, or the primary context, has been destroyed"},
	{ErrorAssert, "CUDA_ERROR_ASSERT", "a kernel's assertion failed; the process must be started again"},
	{ErrorTooManyPeers, "CUDA_ERROR_TOO_MANY_PEERS", "no more peers can be mapped into this context"},
	{ErrorHostMemoryAlreadyRegistered, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED", "the host memory is registered already"},
	{ErrorHostMemoryNotRegistered, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED", "the host memory is not registered"},
	{ErrorHardwareStackError, "CUDA_ERROR_HARDWARE_STACK_ERROR", "the device's call stack was corrupted or overflowed; the process must be started again"},
	{ErrorIllegalInstruction, "CUDA_ERROR_ILLEGAL_INSTRUCTION", "a kernel executed an illegal instruction; the process must be started again"},
	{ErrorMisalignedAddress, "CUDA_ERROR_MISALIGNED_ADDRESS", "a kernel accessed an address that is not a multiple of the access's size; the process must be started again"},
	{ErrorInvalidAddressSpace, "CUDA_ERROR_INVALID_ADDRESS_SPACE", "a kernel used an instruction on an address of another state space; the process must be started again"},
	{ErrorInvalidPC, "CUDA_ERROR_INVALID_PC", "the device's program counter left the code; the process must be started again"},
	{ErrorLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "a kernel failed for another reason, such as a trap or a bad access to shared memory; the process must be started again"},
	{ErrorCooperativeLaunchTooLarge, "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE", "a cooperative or cluster launch has more blocks than can be resident at once"},
	{ErrorTensorMemoryLeak, "CUDA_ERROR_TENSOR_MEMORY_LEAK", "a kernel ended without freeing its tensor memory; the process must be started again"},
	{ErrorNotPermitted, "CUDA_ERROR_NOT_PERMITTED", "the operation is not permitted for this process or in this place"},
	{ErrorNotSupported, "CUDA_ERROR_NOT_SUPPORTED", "the operation is not supported on this system or device"},
	{ErrorSystemNotReady, "CUDA_ERROR_SYSTEM_NOT_READY", "the system is not ready: the fabric manager or another service has not started"},
	{ErrorSystemDriverMismatch, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "the driver library and the kernel module are of different versions: restart, or install them again"},
	{ErrorCompatNotSupportedOnDevice, "CUDA_ERROR_COMPAT_NOT_SUPPORTED_ON_DEVICE", "the forward compatibility package is installed, but this GPU does not support it"},
	{ErrorMPSConnectionFailed, "CUDA_ERROR_MPS_CONNECTION_FAILED", "the connection to the MPS server failed"},
	{ErrorMPSRPCFailure, "CUDA_ERROR_MPS_RPC_FAILURE", "a remote call to the MPS server failed"},
	{ErrorMPSServerNotReady, "CUDA_ERROR_MPS_SERVER_NOT_READY", "the MPS server is not ready for clients"},
	{ErrorMPSMaxClientsReached, "CUDA_ERROR_MPS_MAX_CLIENTS_REACHED", "the MPS server has as many clients as it can take"},
	{ErrorMPSMaxConnectionsReached, "CUDA_ERROR_MPS_MAX_CONNECTIONS_REACHED", "the device has as many MPS connections as it can take"},
	{ErrorMPSClientTerminated, "CUDA_ERROR_MPS_CLIENT_TERMINATED", "the MPS server has ended this client"},
	{ErrorCDPNotSupported, "CUDA_ERROR_CDP_NOT_SUPPORTED", "the module uses dynamic parallelism, which this device or configuration does not support"},
	{ErrorCDPVersionMismatch, "CUDA_ERROR_CDP_VERSION_MISMATCH", "the module's dynamic parallelism is of a version that this driver does not support"},
	{ErrorStreamCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "the operation is not allowed while the stream is being captured"},
	{ErrorStreamCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "an earlier error has made the capture invalid"},
	{ErrorStreamCaptureMerge, "CUDA_ERROR_STREAM_CAPTURE_MERGE", "the operation would merge two independent captures"},
	{ErrorStreamCaptureUnmatched, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "the capture did not begin in this stream"},
	{ErrorStreamCaptureUnjoined, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED", "the capture has work in other streams that was not joined back to the first stream"},
	{ErrorStreamCaptureIsolation, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "a dependency would cross the edge of the capture"},
	{ErrorStreamCaptureImplicit, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT", "the operation would wait implicitly on the legacy stream, which is being captured"},
	{ErrorCapturedEvent, "CUDA_ERROR_CAPTURED_EVENT", "the event was last recorded in a capture, so it cannot be waited for or queried"},
	{ErrorStreamCaptureWrongThread, "CUDA_ERROR_STREAM_CAPTURE_WRONG_THREAD", "the capture was begun by another thread, in a mode that does not allow this"},
	{ErrorTimeout, "CUDA_ERROR_TIMEOUT", "waiting took longer than the time given"},
	{ErrorGraphExecUpdateFailure, "CUDA_ERROR_GRAPH_EXEC_UPDATE_FAILURE", "the graph differs from the instantiated one in a way that cannot be updated in place"},
	{ErrorExternalDevice, "CUDA_ERROR_EXTERNAL_DEVICE", "an asynchronous error of a device outside CUDA; the process must be started again"},
	{ErrorInvalidClusterSize, "CUDA_ERROR_INVALID_CLUSTER_SIZE", "the cluster is larger than the device or the kernel allows"},
	{ErrorFunctionNotLoaded, "CUDA_ERROR_FUNCTION_NOT_LOADED", "the function is not loaded"},
	{ErrorInvalidResourceType, "CUDA_ERROR_INVALID_RESOURCE_TYPE", "the resource is of a type that the operation does not take"},
	{ErrorInvalidResourceConfiguration, "CUDA_ERROR_INVALID_RESOURCE_CONFIGURATION", "the resources are partitioned in a way that is not supported"},
	{ErrorKeyRotation, "CUDA_ERROR_KEY_ROTATION", "rotating the keys of confidential computing failed"},
	{ErrorUnknown, "CUDA_ERROR_UNKNOWN", "an error that the driver cannot name"},
}
