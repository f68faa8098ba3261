// Package exec executes PTX kernels in Go: the engine of the simulated device.
//
// It knows three things. A [Memory] is the device's address space; a [Program]
// is a module loaded into it; [Run] executes one of the program's kernels to
// its end. Contexts, streams, events and graphs are the business of package
// sim, above.
//
// # How it executes
//
// A kernel is decoded once, to an array of instructions with everything looked
// up. A block's threads are held in waves of up to eight warps, whose registers
// lie together: the row of a register has a lane for each thread of the wave,
// and an instruction is one call of a loop over a row. Constants, parameters
// and special registers are rows too, filled before the kernel (or the block)
// starts, so that every operand is a row.
//
// Warps of a wave that are at the same instruction with all lanes active run as
// one fragment; a branch that lanes take differently splits it into fragments
// of whole warps or of lanes of one warp. The fragment with the lowest program
// counter runs first, and fragments that meet merge. Barriers and .sync
// instructions park fragments until those they wait for have come.
//
// The meaning of an instruction is a function of scalars (scalar_int.go,
// scalar_float.go, scalar_cvt.go). For those that kernels spend their time in
// there is a typed loop as well (lanes.go), and for most of these one in assembly
// (steps_amd64.s), which goes from an instruction to the next without coming back
// to Go (steps.go); the tests hold all against models of their own.
// Products of matrices are computed as the tensor cores do, bit for bit
// (tensor_arith.go says by which rules, and which of them a card confirmed);
// wmma instructions become mma and what moves its fragments (wmma.go).
//
// The blocks of a cluster run in turns on one goroutine. Clusters (most often of
// one block) run on several; with one goroutine, a run is deterministic, and a
// seed draws the order of blocks, and of warps at every turn.
//
// # What it checks
//
// Always: that addresses lie in a live array, are aligned, and are not in
// memory that was freed; that no undefined value (of memory or of a register
// that nobody wrote, or of a division by zero) reaches an address, a branch or, whole, a store outside local
// memory (holes.go says what compilers store in part); that a block of the
// cluster whose shared memory is used has started and not exited; barriers, member
// masks, deadlock, and endless loops. What it finds is a
// [Fault]. A panic of the simulator itself is one, too.
//
// With Options.Races: accesses to shared memory that no barrier orders (race.go),
// also between the blocks of a cluster, whose start and end must be in order with
// them too (race_cluster.go).
// Threads that store the same value to shared memory by the same instruction are not
// reported.
// Barriers of the block, of a warp's lanes and in shared memory order; a shuffle
// does not, because PTX promises no order of memory for it. Within a warp each
// lane counts as a thread of its own: where one arrives or waits at a barrier in
// shared memory for its warp, a bar.warp.sync must stand before or after. With
// Options.GlobalRaces also accesses to
// global memory, within and between blocks, that no barrier and no fences around
// atomic operations order (race_global.go).
//
// BenchmarkRaces says what that costs: looking for shared races makes a product
// with tiles in shared memory less than twice as slow and saxpy no slower, because
// most accesses are only listed until the block's next barrier (race_recent.go);
// global races cost saxpy 35 to 70 times, the product 7 times. What is not asked
// for costs one test for each memory instruction.
//
// # What it counts
//
// With Options.Counts: wavefronts of shared memory and sectors of global memory
// by instruction, beside the least possible, and instructions by lane (counts.go).
// Accesses by bulk copies and wgmma are not counted.
//
// # Asynchronous instructions
//
// cp.async, bulk and tensor copies and wgmma take effect when their threads wait
// for them, or somebody for the barrier at which they arrive, which is as late as
// PTX allows. Until then whoever touches what they write (accumulators, too), or
// overwrites what they read (registers of A, too), is reported; so is work that
// nobody waits for, and a bulk store of bytes that nobody wrote. A wait for a
// barrier in shared memory fails at once the first time.
//
// With Options.Races, what asynchronous operations read and write of shared
// memory takes part in the search, and so does the way to memory
// (race_async.go): ordinary stores need a fence.proxy.async before asynchronous
// accesses that follow them, executed by the thread that stored or by one that
// comes after it. A product of four warps is complete for all of them when one
// has waited for it, on which kernels rely that give a stage back by one thread.
//
// # What it does not do
//
// Of the reads and atomic operations on a word of global memory since its last
// write, three are remembered; on a word of shared memory, all. Between the blocks
// of a cluster no fence of the proxies is asked for. What another cluster's blocks
// do to the global memory that a copy in flight reads or writes is not seen, nor
// the proxies of global memory.
//
// Tensor maps have no interleaved layouts and no im2col, and there are no sparse
// products. A missing wgmma.fence is seen by registers of a product whose values
// have changed since the last one, not where a thread only reads them. Registers
// are counted for setmaxnreg alone: how many a kernel needs is known to the
// assembler only. On a big-endian host values lie in memory in the host's byte
// order.
package exec
