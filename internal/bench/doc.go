// Command bench measures this module against the limits of the device it runs on
// and against PyTorch, CuPy and JAX on the same device in the same run.
//
//	go run ./internal/bench [-rows REGEXP] [-json FILE] [-chart FILE] [-peers] [-quick] [-check] [-sim]
//	go run ./internal/bench -from FILE -chart FILE [-rows REGEXP]
//	go run ./internal/bench -garbage 10m [-limit 2GiB] [-sim]
//
// A row is a task with a name, what it must move or compute, and a way to run it:
//
//   - kernel rows launch the plan of package kernels that the operation of package
//     array is made of, and are timed by events around a batch of launches that
//     queue behind one another, or around a graph of them where one launch is
//     shorter than its call: gaps between calls are not counted;
//   - array rows are expressions of several operations. They run through package
//     array and are timed by the wall clock over a batch of queued calls;
//   - host rows are what a call costs the program, by the wall clock;
//   - a training step is timed by the wall clock from the first one's queueing to the
//     end of the last one's work, eagerly beside as many bare launches, and as a graph
//     beside a graph of as many empty kernels: the shares that are not the kernels'.
//
// The limit of a memory-bound row is the speed, measured beside it, of a plain
// kernel that moves as many bytes in the same mixture of reads and writes and does
// nothing else, or of cuMemcpyDtoD where that is faster; of a product, the peak of
// the multiply-add units that the device's clock and number of multiprocessors
// give. Peers live in one Python process that is asked for a batch in turn with ours,
// so that both see the same clocks and temperatures.
//
// A peer's time over ours is the median over pairs measured one after the other, with
// the lower 95% bound of that median by the sign test.
//
// -garbage makes arrays for a given time without freeing any, under a limit on device
// memory (-limit), prints speed, memory and the collector's share of the time as it
// goes, and fails where the last third of the run is slower or larger than the first.
//
// -check first compares what each row computes, at a tiny size, with a plain
// computation in Go.
//
// Inputs are normally distributed random numbers. Memory-bound rows use 2²⁶ elements,
// more than any cache holds; a product reuses its operands, so small ones lie in the
// cache, for peers too. On the simulated device sizes are tiny, and the times
// say nothing about a GPU: there the command only shows that every row works.
package main
