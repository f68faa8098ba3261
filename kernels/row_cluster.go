package kernels

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Rows that no block's registers hold, held by those of a cluster of blocks, which
// see each other's shared memory: the operand is read once. Each block holds an
// aligned group of the slots of the row's tree, each warp of it a smaller one, so
// that combining what the warps have, neighbours first, gives the tree's bits.
// Every warp stores its part in the shared memory of all blocks; what a block
// reads is its own.

const (
	// clusterCapability is the compute capability that has clusters.
	clusterCapability = 90

	// clusterBlocks is how many blocks hold a row: the most that every device
	// runs. They are as small as they can be, so that a multiprocessor has blocks
	// of several rows, of which some wait for memory and some compute.
	clusterBlocks = 8

	// clusterThreads is the most threads that a block has, and the number of
	// threads with a multiprocessor to themselves: each has 64 words of its row.
	clusterThreads = 512
)

func clusterFamily() family {
	return family{
		prefix:   "cluster",
		generate: generateRow,
		name:     sourceName,
		targets:  []int{clusterCapability},
		embed:    func() []string { return nil },
	}
}

// clusterRun is the number of neighbouring elements that a thread has in a pass.
func clusterRun(t Type) int { return 16 / t.compute().Size() }

// longestClusterRow is the longest row that is held in the registers of a cluster.
func longestClusterRow(t Type) int { return clusterBlocks * clusterThreads * clusterRun(t) * 16 }

// blocks is how many blocks hold a row.
func (k *rowKernel) blocks() int { return max(k.lanes/max(k.threads, 1), 1) }

// checkCluster says whether there can be such a cluster.
func (k *rowKernel) checkCluster(key string) error {
	if b, slots := k.blocks(), k.run*k.lanes; b < 2 || b > clusterBlocks || k.kind == rowVariance || !k.t.IsFloat() || k.run > clusterRun(k.t) || k.passes*reduceSlots != reduceChunk ||
		slots < reduceSlots || k.threads < 32 || k.threads > clusterThreads || min(k.out, k.in) < k.t.Size() {
		return fmt.Errorf("kernel key %q: such a cluster is not possible", key)
	}
	return nil
}

// inCluster says whether the rows are for clusters: the device has them, registers of
// one block are too few, and those of a cluster are not. A variance is taken in
// pieces, which reads its operand once everywhere.
func (s *rowPlan) inCluster(p *Plan) bool {
	return p.Capability >= clusterCapability && s.kind != rowVariance && s.n > longestRow(s.t) && s.n <= longestClusterRow(s.t) && s.count() < 1<<31/clusterBlocks
}

// enterCluster begins the kernel of a cluster's blocks. No block may store to
// another's shared memory before that block runs: its arrival says so.
func (e *rowEmitter) enterCluster() {
	e.b.Cluster(e.blocks())
	together := clusterThreads
	if e.t.Size() < 4 && e.plain() {
		together += clusterThreads / 4 // 96 registers a thread are enough
	}
	e.b.MinBlocks(together / e.threads)
}

// placeInCluster returns the row, and makes lane the thread's number in it.
func (e *rowEmitter) placeInCluster() (row *ptx.Reg) {
	b, block := e.b, e.b.Special("%ctaid.x")
	e.beginExchanges()
	e.rank = b.Op("and.b32", block, e.blocks()-1)
	e.lane = b.Op("mad.lo.u32", e.rank, e.threads, b.Special("%tid.x"))
	return b.Op("shr.u32", block, log2(e.blocks()))
}

// beginExchanges has each block's barriers, one for each exchange, wait for a part
// of every warp of the row, and tells the cluster that they do. Nothing but they
// needs to be seen by others, so that the arrival orders nothing else.
func (e *rowEmitter) beginExchanges() {
	b, begun := e.b, e.b.NewLabel("begun")
	e.arrivals = make([]*ptx.Reg, 2)
	if e.kind == rowRMSNorm {
		e.arrivals = e.arrivals[:1]
	}
	for k := range e.arrivals {
		e.arrivals[k] = b.Addr(b.Shared(fmt.Sprintf("arrivals%d", k), ptx.U64, 8, 1))
	}
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), begun)
	for _, at := range e.arrivals {
		b.Do("mbarrier.init.shared::cta.b64", b.At(at, 0), 1)
	}
	b.Do("fence.mbarrier_init.release.cluster")
	for _, at := range e.arrivals {
		b.Op("mbarrier.arrive.expect_tx.shared::cta.b64", b.At(at, 0), e.lanes/32*e.c.Size())
	}
	b.Bind(begun)
	b.Do("barrier.cluster.arrive.relaxed.aligned")
}

// exchange stores p, which all lanes of a warp have, at the same place of all
// blocks' shared memory, and waits for what all warps of the row store in this
// block's. A block that has waited for the last exchange may leave: nobody
// touches its memory any more, and those it stores to wait for it.
func (e *rowEmitter) exchange(r *reducer, lane, at *ptx.Reg, p partial) {
	b, arrivals, again := e.b, e.arrivals[e.exchanges], e.b.NewLabel("await")
	e.exchanges++
	block := b.Op("and.b32", lane, e.blocks()-1)
	there := b.Op("mapa.shared::cluster.u32", at, block)
	barrier := b.Op("mapa.shared::cluster.u32", arrivals, block)
	b.DoIf(b.Op("setp.lt.u32", lane, e.blocks()), "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes."+r.acc.suffix(), b.At(there, 0), p.v, b.At(barrier, 0))
	b.Bind(again)
	b.BraUnless(b.Op("mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64", b.At(arrivals, 0), 0), again)
}

// firstElement returns the first element of a slot.
func (e *rowEmitter) firstElement(slot *ptx.Reg) *ptx.Reg {
	if e.run*e.lanes <= reduceSlots {
		return slot
	}
	chunk := e.b.Op("and.b32", slot, -reduceSlots)
	return e.b.Op("mad.lo.u32", chunk, reduceChunk/reduceSlots-1, slot)
}

// blockIsWhole says whether all of the block's elements lie in the row.
func (e *rowEmitter) blockIsWhole() *ptx.Reg {
	if e.blocks() == 1 {
		return e.b.Op("setp.eq.u32", e.n, e.passes*e.run*e.lanes)
	}
	slots := e.threads * e.run
	last := e.firstElement(e.b.Op("mad.lo.u32", e.rank, slots, slots-1))
	return e.b.Op("setp.lt.u32", e.b.Op("add.u32", last, (e.passes-1)*reduceSlots), e.n)
}

// fold combines p over the threads of a row; every thread gets the result.
func (e *rowEmitter) fold(r *reducer, p partial) {
	if e.blocks() == 1 {
		r.foldThreads(p, e.lanes)
		return
	}
	b := e.b
	warps, size := e.lanes/32, r.acc.Size()
	r.foldLanes(p, 32)
	if e.exchanges == 0 {
		b.Do("barrier.cluster.wait.aligned")
	}
	// Memory of its own for each exchange: a block that is ahead must not
	// overwrite what others still read.
	parts := b.Addr(b.Shared(fmt.Sprintf("parts%d", e.exchanges), r.acc.reg(), 16, warps))
	lane := b.Op("and.b32", b.Special("%tid.x"), 31)
	at := b.Op("mad.lo.u32", b.Op("shr.u32", e.lane, 5), size, parts)
	e.exchange(r, lane, at, p)
	each := max(warps/32, 1)
	first := b.Op("and.b32", b.Op("mul.lo.u32", lane, each), warps-1)
	from := b.Op("mad.lo.u32", first, size, parts)
	ps := make([]partial, each)
	for i := range ps {
		ps[i] = partial{v: b.Op("ld.shared."+r.acc.suffix(), b.At(from, int64(i*size)))}
	}
	b.Do("mov."+r.acc.suffix(), p.v, r.fold(ps).v)
	r.foldLanes(p, min(warps, 32))
}
