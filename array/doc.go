// Package array computes with typed arrays in GPU memory, or on the simulated
// device where there is no GPU.
//
//	dev, err := array.Open()
//	if err != nil {
//		log.Fatal(err)
//	}
//	defer dev.Close()
//	x := array.FromSlice(dev, data, 1024, 64) // *Array[float32]
//	y := x.MatMul(w).Add(bias).Softmax(-1)    // queued, not waited for
//	host, err := y.ToSlice()                  // waits, copies, reports the first error
//
// # Words
//
// A Device is a GPU, or the simulated device, with a stream of work on it. An
// Array is a shape, an element type and either a layout over device memory (its
// storage) or an expression that computes it. A view is an Array over the
// storage of another. The receiver of an operation decides on which Device the
// result lives.
//
// Names are those of the Python Array API standard in Go spelling. Axes are
// counted from 0, or from the end when negative. Shapes of elementwise operands
// broadcast as in NumPy; element types never convert silently (see [Cast]).
//
// # Errors
//
// No operation returns an error and none panics: a mistake (shapes, types, a
// freed operand, a nil Device or Array) or a failure (memory, a device fault)
// makes an Array that carries an [*Error], which operations on it carry on. Every
// call that hands something to the host returns it, and [Array.Err] looks at it
// without waiting. An Error names the operation, the operands and the line of the
// caller; errors.Is finds the kind ([ErrShape], [ErrType], [ErrFreed],
// [ErrDevice], [ErrOutOfMemory], [ErrIndex], [ErrArgument]) and the driver's code.
//
// # Waiting
//
// Work is queued on the Device's stream. These calls wait for the device: ToSlice,
// CopyTo, Item, At, printing, AllClose, ArrayEqual, Device.Sync and Device.Close;
// also FromSlice while its staging buffers are full, and the first use of a kernel
// while the driver assembles it.
//
// # Memory
//
// An Array that an operation or a constructor returned owns its storage unless it
// is a view (Slice, Transpose, BroadcastTo, …). Free gives the storage back in
// stream order; views of it then report ErrFreed. What nobody frees is given back
// after the garbage collector has found it unreachable, and collections are paced
// by the device memory in use. [Device.Scope] frees everything made within it.
//
// Arrays and Devices may be used from any goroutine. Two goroutines that write
// and read the same array must order themselves, as with any variable.
package array
