package exec

import (
	"fmt"
	"math"
	"math/bits"
	"runtime/debug"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Clusters: blocks that run together and see each other's shared memory. Each
// block has a worker of its own, and one goroutine runs them all, in turns. A
// block of a launch without clusters is a cluster of one.
//
// A block's own shared memory begins at address 0 of the .shared space. At
// (r+1)·rankBytes is that of the block with rank r, which only .shared::cluster
// and generic addresses reach.

const (
	rankBytes  = 1 << 24
	maxCluster = 16 // blocks: the most that hardware takes
)

// cluster is the blocks that run together.
type cluster struct {
	members  []*ctx
	states   []*workerState
	timeouts int   // waits that gave up since something last changed
	holds    holds // of global memory
	came     news  // at the cluster's barrier, where races are looked for
	complete news  // the same, of its last complete phase
}

// hopper is what a worker needs for clusters and asynchronous barriers.
type hopper struct {
	cluster   *cluster
	rank      uint32
	constants region // the parameters, at their generic address
	remote    region // the worker's shared memory as other blocks address it
	window2   region // the same, at its generic address
	exited    bool   // all of the block's threads ended
	met       bool   // a thread of the block knows that all blocks of the cluster have started
	yielded   bool   // the fragment that ran last waits for something
	mbars     map[uint64]*mbarrier
	bulks     map[int]*bulkGroups // of each thread of the block
	groups    map[int]*warpGroup
	holds     holds // of the block's shared memory
}

// clusterState is where a warp's lanes are between the halves of the cluster's
// barrier.
type clusterState struct {
	arrived uint32 // at the phase that is not complete
	passed  uint32 // at one that is, without having waited for it
}

func clusterShape(c [3]uint32) [3]uint32 {
	for i := range c {
		c[i] = max(c[i], 1)
	}
	return c
}

func volume(c [3]uint32) uint32 { return c[0] * c[1] * c[2] }

func rankIndex(rank uint32, c [3]uint32) [3]uint32 {
	return [3]uint32{rank % c[0], rank / c[0] % c[1], rank / (c[0] * c[1])}
}

// cluster takes a worker for each block of a cluster.
func (k *Kernel) cluster(l Launch) *cluster {
	c := new(cluster)
	for rank := range volume(l.Cluster) {
		w := k.worker(l, rank)
		w.cluster = c
		for r, base := range map[*region]uint64{&w.remote: 0, &w.window2: sharedWindow} {
			*r = region{base: base + uint64(rank+1)*rankBytes, size: w.shared.size, data: w.shared.data, init: w.shared.init, shared: true, home: &w.worker}
		}
		c.states, c.members = append(c.states, w), append(c.members, &w.x)
	}
	return c
}

func (c *cluster) put() {
	for _, w := range c.states {
		w.k.pool.Put(w)
	}
}

// run executes the blocks of a cluster to their end, or to the first fault.
func (c *cluster) run(id [3]uint32, fuel int64) (fault *Fault) {
	defer func() {
		if e := recover(); e != nil {
			f, ok := e.(*Fault)
			if !ok {
				// On a goroutine of our own this would end the process.
				f = &Fault{Kind: Internal, Kernel: x0(c).k.Name, Block: id, Detail: fmt.Sprintf("%v\n%s", e, debug.Stack())}
			}
			fault = f
			c.abandon()
		}
	}()
	c.timeouts, c.holds.list = 0, c.holds.list[:0]
	c.came, c.complete = news{}, news{}
	first := c.nextBlock()
	for rank, x := range c.members {
		at, shape := rankIndex(uint32(rank), x.launch.Cluster), x.launch.Cluster
		x.fuel = fuel
		x.startBlock([3]uint32{id[0]*shape[0] + at[0], id[1]*shape[1] + at[1], id[2]*shape[2] + at[2]}, first)
	}
	for {
		progress, left := false, false
		first := x0(c).order.below(len(c.members))
		for i := range c.members {
			x := c.members[(i+first)%len(c.members)]
			if x.exited {
				continue
			}
			p, l := x.round()
			if !l {
				x.exited = true
				x.checkEnd()
				x.checkVisits()
			}
			progress, left = progress || p, left || l
		}
		switch {
		case !left:
			return nil
		case x0(c).stop.Load():
			c.abandon()
			return nil
		case !progress && !c.giveUp(), c.polling():
			c.deadlock()
		}
	}
}

func x0(c *cluster) *ctx { return c.members[0] }

func (c *cluster) abandon() {
	for _, x := range c.members {
		x.abandon()
	}
}

// startHopper forgets what an earlier block left.
func (x *ctx) startHopper() {
	x.exited, x.yielded, x.met = false, false, false
	clear(x.mbars)
	clear(x.bulks)
	clear(x.groups)
	x.blk.registers = x.blk.registers[:0]
	x.holds.list = x.holds.list[:0]
	for _, v := range x.blk.waves {
		clear(v.cluster)
	}
}

// member is the block that a window's address belongs to, and the address in
// its own shared memory.
func (x *ctx) member(addr uint64) (*ctx, uint64) {
	switch r := addr / rankBytes; {
	case r == 0:
		return x, addr
	case r <= uint64(len(x.cluster.members)):
		return x.cluster.members[r-1], addr % rankBytes
	}
	return nil, 0
}

// neighbour is the region of a cluster's shared memory that holds addresses
// [lo, hi) of the window, which are not the block's own.
func (x *ctx) neighbour(in *inst, lo, hi uint64) *region {
	m, at := x.member(lo)
	if m == nil || at+(hi-lo) > m.shared.size {
		return nil
	}
	if in.mem.space == ptx.SharedSpace {
		return &m.remote
	}
	return &m.window2
}

func (d *decoder) clusterBarrier() error {
	n := blank()
	n.bar = &barOp{aligned: mod(d.in.Mods, "aligned"), relaxed: mod(d.in.Mods, "relaxed")}
	n.ctl = clusterWait
	if mod(d.in.Mods, "arrive") {
		n.ctl = clusterArrive
	}
	d.flow(n)
	return nil
}

// clusterBarrier arrives at the cluster's barrier or waits for it.
func (x *ctx) clusterBarrier(f *frag, in *inst, pc int32) int32 {
	v := x.wave
	if len(v.cluster) != v.warps {
		v.cluster = make([]clusterState, v.warps)
	}
	if in.bar.aligned && !x.together(f, pc) {
		return -1
	}
	ready := true
	for k := range f.warps {
		s := &v.cluster[f.warp+k]
		if in.ctl == clusterArrive {
			if twice := (s.arrived | s.passed) & f.mask; twice != 0 {
				x.fail(in, BarrierMisuse, 32*k+bits.TrailingZeros32(twice), 0, 0, "", "lanes %#x arrive at the cluster's barrier a second time without having waited for it", twice)
			}
			s.arrived |= f.mask
			if x.races != nil {
				lanes := f.mask
				if v.live[f.warp+k]&^lanes == 0 {
					lanes = math.MaxUint32
				}
				x.races.arriveAtCluster(&x.cluster.came, v.first+f.warp+k, lanes, in.bar.relaxed)
			}
			continue
		}
		if never := f.mask &^ (s.arrived | s.passed); never != 0 {
			x.fail(in, BarrierMisuse, 32*k+bits.TrailingZeros32(never), 0, 0, "", "lanes %#x wait for the cluster's barrier without having arrived at it", never)
		}
		ready = ready && s.passed&f.mask == f.mask
	}
	if in.ctl == clusterArrive {
		x.clusterReleased()
		return pc + 1
	}
	if !ready {
		f.pc, f.state = pc, atCluster
		return -1
	}
	for k := range f.warps {
		v.cluster[f.warp+k].passed &^= f.mask
		if x.races != nil {
			x.races.learn(&x.cluster.complete, v.first+f.warp+k, f.mask, v.live[f.warp+k])
		}
	}
	x.met = true
	return pc + 1
}

// clusterReleased completes the cluster's barrier if all threads of the cluster
// that have not exited are there.
func (x *ctx) clusterReleased() {
	any := false
	for _, m := range x.cluster.members {
		for _, v := range m.blk.waves {
			for k, live := range v.live {
				var s clusterState
				if len(v.cluster) == v.warps {
					s = v.cluster[k]
				}
				if live&^s.arrived != 0 {
					return
				}
				any = any || s.arrived != 0
			}
		}
	}
	if !any {
		return
	}
	x.cluster.timeouts = 0
	x.cluster.pass()
	for _, m := range x.cluster.members {
		for _, v := range m.blk.waves {
			for k := range v.cluster {
				v.cluster[k] = clusterState{passed: v.cluster[k].arrived}
			}
			for _, f := range v.frags {
				if f.state == atCluster {
					f.state = ready
				}
			}
		}
	}
}

// decodeMapa: an address of another block's shared memory, from one's own.
func decodeMapa(d *decoder) error {
	base := uint64(0)
	if !mod(d.in.Mods, "shared::cluster") {
		base = sharedWindow
	}
	n, _ := scalar(func(a, b uint64) uint64 { return 0 })
	d.c.remote = true
	n.fn = func(x *ctx, in *inst) {
		d, a, b := x.result(in), x.operand(in.a, in.wide&wideA != 0), x.operand(in.b, in.wide&wideB != 0)
		for i := range x.n {
			at, rank := a.at(i)-base, b.at(i)&math.MaxUint32
			if x.isActive(i) && (at >= windowBytes || rank >= uint64(len(x.cluster.members))) {
				x.fail(in, OutOfBounds, i, a.at(i), 0, "", "an address of shared memory in block %d of a cluster of %d", rank, len(x.cluster.members))
			}
			at %= rankBytes
			if rank != uint64(x.rank) {
				at += (rank + 1) * rankBytes
			}
			d.set(i, base+at)
		}
	}
	return d.lane(n)
}

// decodeCtaRank: the rank of the block that an address belongs to.
func decodeCtaRank(d *decoder) error {
	base := uint64(0)
	if !mod(d.in.Mods, "shared::cluster") {
		base = sharedWindow
	}
	n, _ := scalar(func(a uint64) uint64 { return 0 })
	n.fn = func(x *ctx, in *inst) {
		d, a := x.result(in), x.operand(in.a, in.wide&wideA != 0)
		for i := range x.n {
			rank := uint64(x.rank)
			if r := (a.at(i) - base) / rankBytes; r > 0 {
				rank = r - 1
			}
			d.set(i, rank)
		}
	}
	return d.lane(n)
}

// decodePolicy: a cache policy is a hint, and its value means nothing here.
func decodePolicy(d *decoder) error {
	n := blank()
	n.a = d.constant(1, true)
	n.fn, n.wide = move[uint64], wideA
	d.emit(d.into(n, &d.in.Args[0]))
	return nil
}

// decodeSetmaxnreg: all warps of a group of four must execute it; one that asks
// for more registers waits until the block has them.
func decodeSetmaxnreg(d *decoder) error {
	if v := d.in.Args[0].Imm; v%8 != 0 {
		return fmt.Errorf("%d registers: must be a multiple of 8", v)
	}
	if d.e.MaxNTID == [3]int{} && d.e.ReqNTID == [3]int{} {
		return fmt.Errorf("needs .maxntid or .reqntid: the assembler ignores it without")
	}
	n := blank()
	n.ctl, n.off, n.bar = groupSync, int64(d.in.Args[0].Imm), &barOp{blocking: mod(d.in.Mods, "inc")}
	n.fn = func(x *ctx, in *inst) {
		for at := 0; at < x.n; at += 128 {
			x.blk.registers[(32*x.wave.first+x.lane0+at)/128] = int(in.off)
		}
		for _, v := range x.blk.waves {
			for _, f := range v.frags {
				if f.state == atRegisters {
					f.state = ready // to ask again
				}
			}
		}
	}
	d.flow(n)
	return nil
}

const fileRegisters = 65536 // of a multiprocessor

// granted says whether the block has the registers that a fragment's groups ask
// for. What it has is what its groups start with: .maxnreg, or what the largest
// blocks that are promised to fit leave each thread.
func (x *ctx) granted(f *frag, in *inst) bool {
	if in.bar == nil {
		return true // of wgmma
	}
	k, threads := x.k, 0
	for _, v := range x.blk.waves {
		threads += 32 * v.warps
	}
	start := k.MaxRegisters
	if start == 0 {
		start = min(fileRegisters/(k.MaxThreads*max(k.MinBlocks, 1))&^7, 256)
	}
	groups := threads / 128
	if len(x.blk.registers) == 0 {
		for range groups {
			x.blk.registers = append(x.blk.registers, start)
		}
	}
	total, first := 0, (32*x.wave.first+32*f.warp)/128
	for i, n := range x.blk.registers {
		if i >= first && i < first+f.warps/4 {
			n = int(in.off)
		}
		total += n
	}
	return !in.bar.blocking || total <= start*groups
}

// together reports whether a fragment has all lanes of its warps that have not
// exited; if not, it is parked until they have come.
func (x *ctx) together(f *frag, pc int32) bool {
	need := x.wave.live[f.warp] &^ f.mask
	if f.warps > 1 || need == 0 {
		return true
	}
	f.pc, f.state, f.need = pc, atWarp, need
	x.meet(f)
	return false
}

// groupSync runs an instruction when all four warps of a group are at it.
func (x *ctx) groupSync(f *frag, in *inst, pc int32) int32 {
	v := x.wave
	if !x.together(f, pc) {
		return -1
	}
	if !x.full {
		x.fail(in, WarpMisuse, x.firstActive(), 0, 0, "", "only lanes %#x of the warp execute it: all 32 must, together", x.mask)
	}
	if f.warp%4 == 0 && f.warps%4 == 0 {
		if !x.granted(f, in) {
			f.pc, f.state = pc, atRegisters
			return -1
		}
		in.fn(x, in)
		return pc + 1
	}
	if v.warps%4 != 0 && f.warp+f.warps > v.warps&^3 {
		x.fail(in, WarpMisuse, x.n-1, 0, 0, "", "warp %d has no group of four: the block has %d warps", v.first+f.warp+f.warps-1, v.first+v.warps)
	}
	// Apart into groups, those that are not complete wait for the rest.
	warp, warps := f.warp, f.warps
	x.drop(f)
	for at := warp; at < warp+warps; {
		to := min(at&^3+4, warp+warps)
		g := x.newFrag(at, to-at, math.MaxUint32, pc)
		v.frags = append(v.frags, g)
		switch x.gather4(g); {
		case g.warps < 4:
			g.state = atGroup
		case !x.granted(g, in):
			g.state = atRegisters
		default:
			x.enter(v, g)
			in.fn(x, in)
			g.pc++
		}
		at = to
	}
	return -1
}

// gather4 joins to a fragment those of its group that wait at the same place.
func (x *ctx) gather4(f *frag) {
	v, group := x.wave, f.warp/4
	for again := true; again; {
		again = false
		for _, g := range v.frags {
			if g == f || g.state != atGroup || g.pc != f.pc || g.warp/4 != group {
				continue
			}
			if g.warp+g.warps == f.warp || f.warp+f.warps == g.warp {
				f.warp, f.warps = min(f.warp, g.warp), f.warps+g.warps
				x.drop(g)
				again = true
				break
			}
		}
	}
}
