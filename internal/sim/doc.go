// Package sim is the simulated device: the whole seam (abi.API) implemented by
// executing PTX text in this process, for machines without a GPU and as a
// strict checker of kernels. Package exec underneath decodes and runs kernels
// and keeps the device's memory; this package is the driver around it: handles,
// contexts, modules, streams, events, capture, graphs, pools, and the rules
// under which the CUDA Driver API refuses a call.
//
// It differs from a GPU's driver where that helps, and only there:
//
//   - Asynchronous work has run to completion when the call returns. That is one
//     of the schedules a GPU may choose, so correct programs cannot tell, and a
//     program that forgets a wait is not punished for it here, but where it asks
//     to be: see below. Work that is captured, or is in a graph, runs when the
//     graph is launched.
//   - A kernel that does wrong poisons its device as on hardware: the launch
//     itself succeeds, the next call and every later one of that context fails
//     with the same code, and the process (here: the API value) must be
//     replaced. FaultReport says what happened in full.
//   - Threads are not known. With one device, its primary context is current
//     wherever it is retained, whatever CtxSetCurrent was told. With several, the
//     current context is the one that CtxSetCurrent named last in the calling
//     thread, where the system tells threads apart (Linux), and in the process
//     elsewhere; callers there must not set contexts of different devices
//     concurrently.
//   - All devices share one address space, and reach each other's memory once
//     peer access is allowed by either side; kernels are not checked for having
//     enabled it.
//   - Pinned host memory is ordinary Go memory: the host and copies use it,
//     kernels cannot.
//   - A handle that was never given out, or was destroyed, is
//     ErrorInvalidHandle (a context: ErrorInvalidContext) where a GPU's driver
//     may crash.
//   - Capture in thread-local mode is treated like relaxed mode.
//     Stream-ordered allocation cannot be captured.
//
// Under Options.Late, or GPUARRAY_SIM_LATE=seed, streams are queues: work runs as
// late as CUDA allows, when a call needs it done, in an order between streams and
// between a graph's nodes that is drawn from the seed, and now and then some of it
// sooner. What orders work is what CUDA promises and nothing else: a stream, events as
// they were recorded when a wait was called for, the NULL stream and the blocking
// streams, the edges of a graph and the launches of one graph; for the host, the calls
// that synchronise, MemFree, MemFreeHost, and the unloading of modules and contexts.
// Pinned memory is read and written when a copy runs, pageable memory is staged when
// it is called, and a synchronous copy from pageable memory returns when that is done.
// Memory that a stream allocates is there when the stream gets so far. Faults show at
// later calls. So a missing wait gives wrong values, or a fault, under most seeds; the
// same calls from one goroutine and the same seed make the same schedule, with
// Options.Workers 1 in all detail. MarkMemory does nothing then.
package sim
