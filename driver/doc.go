// Package driver is NVIDIA's CUDA Driver API for Go, without cgo: no C compiler,
// no CUDA toolkit and no headers are needed to build, and at run time only the
// NVIDIA driver, which is loaded when [Open] is called. It stands on its own:
// nothing else of this module needs to be imported to load PTX and run it.
//
//	drv, err := driver.Open()            // ErrNoDriver, ErrNoDevice where there is none
//	dev, err := drv.Device(0)
//	ctx, err := dev.Context()            // the primary context, retained
//	defer ctx.Close()
//	mod, err := ctx.LoadModule([]byte(ptx), driver.LoadConfig{})
//	defer mod.Close()
//	kernel, err := mod.Kernel("scale")
//	x, err := ctx.Alloc(4 * n)
//	defer x.Close()
//	err = driver.Write(x, 0, values)
//	err = kernel.Launch(stream, driver.LaunchConfig{Grid: driver.Dim{(n + 255) / 256}, Block: driver.Dim{256}}, x, float32(2), uint32(n))
//	err = stream.Synchronize()
//	err = driver.Read(values, x, 0)
//
// The package example is a whole program.
//
// # Words
//
// A [Driver] has [Device]s. A [Context] is the hold on a device's memory, code
// and queues; all other handles are made from one: [Stream] (a queue), [Event] (a
// place in a queue), [Module] (loaded code) and its [Kernel]s, [Mem] (device
// memory), [PinnedMem] (host memory that the device copies to and from on its
// own), [MemPool], [Graph] and [GraphExec] (work recorded once and launched
// often), [TensorMap].
//
// # Lifetimes
//
// What has a Close is closed by whoever made it; nothing is closed by the garbage
// collector. Close may be called twice: the second call does nothing and returns
// nil, as does the Close of a nil handle. Any other use of a closed or nil handle
// is an error that wraps [ErrClosed]. Handles keep their context alive, so they
// may be closed in any order.
//
// # Goroutines and threads
//
// All handles may be used from any goroutine, except [Args] and [Graph], which
// serve one at a time. CUDA's current context belongs to the thread; each call
// sets it and puts back what was there, so that other users of CUDA in the
// process are not disturbed, and no goroutine has to be bound to a thread. The
// driver never calls back into Go.
//
// # Errors
//
// Failed calls return an [*Error] that names the C function and the driver's code,
// and what to do where that is known. errors.Is finds the code:
//
//	errors.Is(err, driver.ErrorOutOfMemory)
//
// A kernel that goes wrong on the device (an illegal address, a trap) ruins its
// context: the call that finds out and every later one return that error, naming
// the kernels that were launched since the last completed wait, one of which it
// was. CUDA offers no way back: the process must be started again.
//
// Functions of the driver are looked up when they are first needed, so older
// drivers work as far as they go; what they lack is
// [ErrorCallRequiresNewerDriver] and says which version of CUDA has it.
//
// # Where it works
//
// Linux and Windows on amd64 and arm64, WSL 2 included. It is tested on Linux on
// amd64 with H100 and H200 GPUs; for Windows, WSL 2 and arm64 it is compiled, and
// the search for the library is tested, but it has not been run there. Elsewhere,
// and with the build tag gpuarray_nocuda, Open returns [ErrNoDriver]. A Linux
// program that imports this package needs the C library's loader at run time,
// with cgo or without it; the tag avoids that too. [Simulated] works everywhere.
//
// # What it does not do
//
// Textures, surfaces, graphics interoperation, sharing memory between processes,
// managed memory, host functions in streams, and compiling CUDA C.
package driver
