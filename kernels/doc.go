// Package kernels holds every kernel of this module, as Go code that writes
// PTX, and the planning that turns an operation on arrays into launches.
//
// It has three words.
//
// A key is a text that determines a kernel completely: its family, its types,
// how operands are accessed, and what is computed. [Source] gives the PTX text
// for a key, from the files embedded in the binary (kernels/ptx, written by
// `go generate ./kernels`) or, for any other key, from the same generator at
// run time: the bytes are the same either way.
//
// A [Plan] is what an operation does on a device: launches in order, each a
// key, a grid and its arguments. Planning functions ([Elementwise], [Reduce],
// [Scan], [Softmax], [MatMul], [Copy], [Take], [Join] …) look at shapes and strides only. They touch no device,
// know no addresses, and may be called from any goroutine.
//
// A [Layout] says where an operand's elements lie. Base addresses of operands
// must be multiples of 256 bytes, as allocations of the driver are; what a
// view adds to them is its layout's offset, so alignment is known when a
// kernel is chosen, and no kernel makes a misaligned access.
//
// The scalar operations are rows of one table (table.go): name, types, PTX.
// Single operations and fused expressions ([Expr]) are generated from the same
// rows by the same code. Every instruction used is exactly rounded (no
// approximations, no contraction of a multiply and an add, subnormals kept),
// so a result is the same, bit for bit, on every device.
//
// The package does not load, launch or cache anything: package array does.
package kernels
