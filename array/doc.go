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
// Operations take all element types unless their documentation says which: numbers
// are all but bool. With another type they give [ErrType].
//
// # Errors
//
// No operation returns an error and none panics: a mistake (shapes, types, a
// freed operand, a nil Device or Array) or a failure (memory, a device fault)
// makes an Array that carries an [*Error], which operations on it carry on. Every
// call that hands something to the host returns it, and [Array.Err] looks at it
// without waiting. An Error names the operation, the operands and the line of the
// caller; errors.Is finds the kind ([ErrShape], [ErrType], [ErrFreed],
// [ErrDevice], [ErrOutOfMemory], [ErrIndex], [ErrArgument], [ErrCapture]) and the
// driver's code.
//
// # When things are computed
//
// Elementwise operations, casts, comparisons, Where and views only record what is
// to be computed. When its value is needed, one kernel computes a whole expression:
// for a read, Eval, Sync, On or Keep, for an operation that is not elementwise (a
// reduction, a softmax, a normalisation and a cumulative sum compute their operand as
// they read it), for Assign, which writes it straight to its destination, or when an
// expression gets long. This never shows in a result: each has the bits that it would
// have if every operation had run at once, whatever is overwritten or freed meanwhile.
// An expression that is dropped is not run. [Device.Sync] waits for what was queued,
// which expressions are not.
//
// A failure of the device shows when something is computed: [Array.Eval] and
// [Array.Err] after it say whether it went well.
//
// # Waiting
//
// Work is queued on the Device's stream. These calls wait for the device: ToSlice,
// CopyTo, Item, At, printing, AllClose, ArrayEqual and Array.Sync for the array
// that they are about; Device.Sync and Device.Close for all of the Device's work.
// Some wait now and then: FromSlice while its staging buffers are full; each 256th
// Take, those in graphs included, for the ones before; the first use of a kernel while
// the driver assembles it; Device.Trim, and an operation for which memory is short, for
// work on memory that goes back to the driver.
//
// Operations of several goroutines are queued one after another, under a lock that
// a Device and its forks share. On a GPU it is held for microseconds; closing a
// fork holds it until the fork's work is done, and a Take, a Launch or a Trim that
// waits holds it too. Large copies from and to the host are queued in parts, among
// which other operations may come. The simulated device computes within the call that
// queues, under the lock: there an operation returns when it is done, and operations of
// other goroutines wait for it.
//
// # Memory
//
// An Array that an operation or a constructor returned owns its storage unless it
// is a view (Slice, Transpose, BroadcastTo, …; Reshape and Flatten where strides
// allow it). Free gives the storage back in stream order; views of it then report
// ErrFreed. Expressions that read it keep the memory until they are evaluated or
// dropped, up to an eighth of what there is; beyond, they are evaluated first. What
// nobody frees is given back after the garbage collector has found it unreachable,
// and collections are paced by the device memory in use.
// [Device.Scope] frees what was made on its Device, except what was kept.
// [Device.Capture] records work as a [Graph], whose memory is planned as a whole and
// stays with it.
//
// Memory given back is cached for later arrays; [Device.Trim] returns it to the
// driver. Where memory runs out, what is unreachable is collected, expressions that
// hold more than their results are evaluated, and the cache is given back before an
// operation fails with ErrOutOfMemory. [Device.Limit] bounds
// what is taken, [Device.Stats] says what is used. Under WDDM (Windows) and WSL 2,
// where the system pages device memory instead of refusing it, the limit begins at
// what is free when the Device is opened.
//
// # Differences from NumPy
//
// Element types never convert by themselves: operands have the same type, and
// [Cast] converts. Div of integers truncates as in Go (FloorDivide and Remainder
// are NumPy's); dividing an integer by zero gives 0. A float becomes an integer by
// truncation that saturates, NaN giving 0. Shifts by the width or more give 0, or
// the sign. Integers to negative powers are truncated (0, but for bases of 1 and −1),
// which NumPy refuses. Square roots, exponentials and their kin, Var, Std and Norm take
// floating-point types only, logical operations bool only. Sum and Prod of bool and of
// 8- and 16-bit integers, and Mean of integers, are errors that name [SumAs] and
// [MeanAs]; those of int32 and uint32 stay 32 bits wide and wrap, where NumPy widens
// them to 64. CumSum and CumProd do as Sum does; they take one axis and flatten nothing.
// Indices of Take are int64, and one that is out of range is an error when the result
// is read. Repeat and Roll take an axis, Pad a width for each axis. Add, Minimum,
// Maximum, Max, Min, ArgMax and ArgMin do not take bool. Reductions take several axes
// or none for all, and their axes come back with ExpandDims. Max and Min of an empty
// axis are errors. Slice bounds beyond an axis are errors, [End] standing for its end.
// There are at most 8 axes. Sums follow a fixed tree, so that their bits depend on
// type, shape and axes only. float16 and bfloat16 sums and products accumulate in
// float32 and round once. A seed of [NewRand] gives other numbers than NumPy's
// generators. bool prints as true and false.
//
// # Differences from gonum and package math
//
// Nothing panics: shapes that do not fit are errors. Round takes ties to the even
// number, as math.RoundToEven does, and Remainder has the sign of the divisor, unlike
// math.Mod and Go's %. Var and Std divide by n, as
// NumPy does, where gonum's stat divides by n−1. Norm does not scale: squares beyond
// the type's range make it +Inf. Max and Min give NaN where there is one, ArgMax and
// ArgMin its place, where gonum passes over it, and −0 is less than +0. Results live on
// the device until they are asked for.
//
// # Environment
//
// GPUARRAY_DEVICE chooses the device where the program does not: cuda, cuda:1, …
// or sim (see [Open]). GPUARRAY_NO_CACHE=1 turns the cache off: each array is an
// allocation of the driver and goes back to it at once, which is slow, and lets
// tools such as compute-sanitizer see accesses out of an array's bounds.
//
// Arrays and Devices may be used from any goroutine. Two goroutines that write
// and read the same array must order themselves, as with any variable.
package array
