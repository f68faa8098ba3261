package exec

import (
	"fmt"
	"io"
	"math/bits"
	"runtime"
	"sync"
	"sync/atomic"
	"unsafe"
)

// worker executes blocks, one after the other. What it allocates for a
// launch's shape it keeps for the next launch of the same kernel.
type worker struct {
	k      *Kernel
	mem    *Memory
	launch Launch
	blk    *block
	cache  []*region // the last region of each memory instruction
	shared region
	window region // the same shared memory, at its generic address
	params region
	local  region // of all threads, one after the other
	order  random // of warps; the zero value leaves them as they are
	fuel   int64
	many   bool // several workers: global atomics must be atomic
	stop   *atomic.Bool
	free   []*frag
	fence  uint32
	turn   uint64
	hopper
	races  *races // nil: not looked for
	counts *tally // nil: not counted
	output io.Writer

	undefinedValues [4]undefinedValue // the last ones, in turn
	undefinedCount  uint
	async           asyncCopies
}

// block is one thread block.
type block struct {
	id    [3]uint32
	waves []*wave
	bars  [16]barrier

	registers []int // that setmaxnreg gave the groups of four warps; empty before the first
}

func run(k *Kernel, l Launch, o Options) error {
	if err := k.check(&l); err != nil {
		return err
	}
	l.Cluster = clusterShape(l.Cluster)
	total := uint64(l.Grid[0]) * uint64(l.Grid[1]) * uint64(l.Grid[2]) / uint64(volume(l.Cluster))
	n := o.Workers
	if n <= 0 {
		n = runtime.GOMAXPROCS(0)
	}
	n = int(min(uint64(n), total))
	if o.GlobalRaces {
		n = 1
	}
	r := &runState{total: total, order: permutation{n: total}}
	if o.Workers == 1 && o.Seed != 0 {
		r.order = newPermutation(total, o.Seed)
	}
	fuel := o.Fuel
	if fuel == 0 {
		fuel = DefaultFuel
	}
	fuel = min(fuel, 1<<48)
	r.left.Store(int64(fuel) * launchFuel)
	if n == 1 {
		r.work(k, l, o, int64(fuel), false)
	} else {
		var wg sync.WaitGroup
		for range n {
			wg.Go(func() { r.work(k, l, o, int64(fuel), true) })
		}
		wg.Wait()
	}
	if r.fault != nil {
		return r.fault
	}
	return nil
}

// launchFuel is how many times a block's fuel all blocks of a launch have: a grid
// of blocks that each nearly run out of theirs would go on for days. With the
// default it takes some 20 minutes of one core, as much as multiplying matrices of
// 8192 rows and columns.
const launchFuel = 64

// runState is what the workers of one launch share.
type runState struct {
	next  atomic.Uint64
	total uint64 // clusters
	order permutation
	stop  atomic.Bool
	left  atomic.Int64 // fuel of all blocks
	mu    sync.Mutex
	fault *Fault
	at    uint64
}

// work runs clusters until there are none, or one faults.
func (r *runState) work(k *Kernel, l Launch, o Options, fuel int64, many bool) {
	c := k.cluster(l)
	for _, x := range c.members {
		x.output = o.Output
		x.many, x.stop = many, &r.stop
		x.order = random{}
		if !many {
			x.order = random{state: o.Seed}
		}
	}
	c.watch(o)
	c.count(o)
	defer c.put()
	defer c.counted(o)
	for !r.stop.Load() {
		i := r.next.Add(1) - 1
		if i >= r.total {
			return
		}
		b := r.order.at(i)
		g := l.Grid
		for i := range g {
			g[i] /= l.Cluster[i]
		}
		id := [3]uint32{uint32(b % uint64(g[0])), uint32(b / uint64(g[0]) % uint64(g[1])), uint32(b / (uint64(g[0]) * uint64(g[1])))}
		f := c.run(id, fuel)
		if r.left.Add(-c.used(fuel)) < 0 && f == nil {
			f = &Fault{Kind: OutOfFuel, Kernel: k.Name, Block: x0(c).blk.id, Detail: fmt.Sprintf("the launch's blocks have run for longer than %d blocks may, with %d of %d clusters begun; a smaller grid, or more fuel, would end", launchFuel, i+1, r.total)}
			f.Pos, f.Instr = k.code.at(&k.code.insts[0])
		}
		if f != nil {
			r.report(f, b)
			return
		}
	}
}

// used is the fuel that the blocks have used, of so much each.
func (c *cluster) used(fuel int64) (n int64) {
	for _, x := range c.members {
		n += fuel - x.fuel
	}
	return n
}

// report keeps the fault of the lowest block, so that a report does not
// depend on timing more than it must.
func (r *runState) report(f *Fault, block uint64) {
	r.stop.Store(true)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fault == nil || block < r.at {
		r.fault, r.at = f, block
	}
}

// check refuses a launch that hardware would refuse.
func (k *Kernel) check(l *Launch) error {
	bad := func(res bool, format string, args ...any) error {
		return &LaunchError{k.Name, fmt.Sprintf(format, args...), res}
	}
	for i, max := range [3]uint32{1<<31 - 1, 65535, 65535} {
		if l.Grid[i] == 0 || l.Grid[i] > max {
			return bad(false, "grid %v: each dimension must be at least 1 and at most 2147483647, 65535, 65535", l.Grid)
		}
	}
	for i, max := range [3]uint32{1024, 1024, 64} {
		if l.Block[i] == 0 || l.Block[i] > max {
			return bad(false, "block %v: each dimension must be at least 1 and at most 1024, 1024, 64", l.Block)
		}
	}
	threads := l.Block[0] * l.Block[1] * l.Block[2]
	switch {
	case threads > 1024:
		return bad(false, "block %v has %d threads, at most 1024", l.Block, threads)
	case int(threads) > k.MaxThreads:
		return bad(true, "block %v has %d threads, the kernel is made for at most %d", l.Block, threads, k.MaxThreads)
	case k.ReqBlock != [3]uint32{} && k.ReqBlock != l.Block:
		return bad(false, "block %v, the kernel requires %v", l.Block, k.ReqBlock)
	case uint64(k.StaticShared)+uint64(l.DynamicShared) > MaxShared:
		return bad(false, "%d bytes of static and %d of dynamic shared memory, at most %d", k.StaticShared, l.DynamicShared, MaxShared)
	case len(l.Params) < int(k.ParamBytes):
		return bad(false, "%d bytes of parameters, %d needed", len(l.Params), k.ParamBytes)
	}
	if k.ReqCluster != [3]uint32{} {
		if l.Cluster == [3]uint32{} {
			l.Cluster = k.ReqCluster
		} else if clusterShape(l.Cluster) != clusterShape(k.ReqCluster) {
			return bad(false, "cluster %v, the kernel requires %v", l.Cluster, k.ReqCluster)
		}
	}
	c := clusterShape(l.Cluster)
	for i := range c {
		if c[i] > maxCluster || volume(c) > maxCluster || l.Grid[i]%c[i] != 0 {
			return bad(false, "cluster %v of a grid %v: at most %d blocks, and each dimension must divide the grid's", c, l.Grid, maxCluster)
		}
	}
	return nil
}

// workerState is a worker with its context, so that both are kept together.
type workerState struct {
	worker
	x      ctx
	blkMem block
}

// worker takes a worker of an earlier launch, or makes one, and prepares it for
// the blocks of one rank.
func (k *Kernel) worker(l Launch, rank uint32) *workerState {
	w, _ := k.pool.Get().(*workerState)
	fresh := w == nil || w.launch.Block != l.Block
	if fresh {
		w = newWorker(k, l)
	}
	w.launch, w.rank = l, rank
	if bytes := uint64(k.StaticShared) + uint64(l.DynamicShared); bytes != w.shared.size || w.shared.data == nil {
		mem := make([]uint64, bytes/8+3)
		w.shared = region{size: bytes, data: unsafe.Pointer(&mem[0]), init: newBitmap(bytes), shared: true, home: &w.worker}
		w.window = region{base: sharedWindow, size: bytes, data: w.shared.data, init: w.shared.init, shared: true, home: &w.worker}
	}
	if len(l.Params) > 0 {
		mem := make([]uint64, (len(l.Params)+7)/8)
		b := unsafe.Slice((*byte)(unsafe.Pointer(&mem[0])), len(l.Params))
		copy(b, l.Params)
		init := newBitmap(uint64(len(b)))
		init.set(0, uint64(len(b)))
		w.params = region{size: uint64(len(b)), data: unsafe.Pointer(&mem[0]), init: init, readOnly: true}
		w.constants = region{base: paramWindow, size: uint64(len(b)), data: unsafe.Pointer(&mem[0]), init: init, readOnly: true}
	}
	for _, v := range w.blk.waves {
		for i := range k.code.fills {
			if f := &k.code.fills[i]; fresh || f.kind >= fillParam {
				w.fill(v, f)
			}
		}
	}
	return w
}

func newWorker(k *Kernel, l Launch) *workerState {
	w := &workerState{worker: worker{k: k, mem: k.prog.mem, launch: l}}
	w.x.worker = &w.worker
	w.blk = &w.blkMem
	w.cache = make([]*region, k.code.caches+1)
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	warps := (threads + 31) / 32
	for first := 0; first < warps; first += maxLanes / 32 {
		n := min(maxLanes/32, warps-first)
		v := &wave{first: first, warps: n, lanes: 32 * n, live: make([]uint32, n)}
		v.regs = make([]uint64, (k.code.slots*v.lanes*4+7)/8+8)
		v.preds = make([]uint32, (k.code.preds+1)*n)
		w.blk.waves = append(w.blk.waves, v)
	}
	if k.Local > 0 {
		bytes := uint64(k.Local) * uint64(threads)
		words := make([]uint64, (bytes+7)/8+1)
		w.local.data, w.local.size = unsafe.Pointer(unsafe.SliceData(words)), bytes
		w.local.init, w.local.shared = newBitmap(bytes), true
	}
	return w
}

// fill writes a row that instructions only read.
func (w *worker) fill(v *wave, f *fill) {
	if f.pred {
		for k := range v.warps {
			v.preds[int(f.at)*v.warps+k] = uint32(f.bits)
			if f.kind == fillExplicitCluster {
				v.preds[int(f.at)*v.warps+k] = spread(w.launch.Cluster != [3]uint32{1, 1, 1} || w.k.ReqCluster != [3]uint32{})
			}
		}
		return
	}
	value, uniform := w.uniform(f)
	// Rows lie in v.regs: see row.
	p := unsafe.Add(unsafe.Pointer(&v.regs[0]), int(f.at)*4*v.lanes)
	if f.wide {
		d := unsafe.Slice((*uint64)(p), v.lanes)
		for i := range d {
			if !uniform {
				value = uint64(w.varying(v, f, i))
			}
			d[i] = value
		}
		return
	}
	d := unsafe.Slice((*uint32)(p), v.lanes)
	if uniform {
		u := uint32(value)
		if vectors.fill32 != nil {
			vectors.fill32(&d[0], u, 4*len(d))
			return
		}
		for i := range d {
			d[i] = u
		}
		return
	}
	for i := range d {
		d[i] = w.varying(v, f, i)
	}
}

// uniform is the value of a row that is the same for all threads of a block.
func (w *worker) uniform(f *fill) (v uint64, ok bool) {
	l := &w.launch
	switch f.kind {
	case fillConst:
		return f.bits, true
	case fillParam:
		return w.param(int(f.bits), f.size, f.sign), true
	case fillNtid:
		return uint64(l.Block[f.dim]), true
	case fillCtaid:
		return uint64(w.blk.id[f.dim]), true
	case fillNctaid:
		return uint64(l.Grid[f.dim]), true
	case fillNwarp:
		return uint64((l.Block[0]*l.Block[1]*l.Block[2] + 31) / 32), true
	case fillDynShared:
		return uint64(l.DynamicShared), true
	case fillTotalShared:
		return uint64(w.k.StaticShared + l.DynamicShared), true
	case fillClusterCtaid:
		return uint64(rankIndex(w.rank, l.Cluster)[f.dim]), true
	case fillClusterRank:
		return uint64(w.rank), true
	case fillClusterNctaid:
		return uint64(l.Cluster[f.dim]), true
	case fillClusterSize:
		return uint64(volume(l.Cluster)), true
	case fillClusterID:
		return uint64(w.blk.id[f.dim] / l.Cluster[f.dim]), true
	case fillNclusterID:
		return uint64(l.Grid[f.dim] / l.Cluster[f.dim]), true
	}
	return 0, false
}

// varying is the value of a row in one lane of a wave.
func (w *worker) varying(v *wave, f *fill, lane int) uint32 {
	l := uint(lane & 31)
	switch f.kind {
	case fillTid:
		return w.thread(v, lane)[f.dim]
	case fillLane:
		return uint32(l)
	case fillWarp:
		return uint32(v.first + lane/32)
	case fillLaneMask:
		eq := uint32(1) << l
		return [...]uint32{eq, eq | (eq - 1), eq - 1, ^(eq - 1), ^(eq | (eq - 1))}[f.dim]
	}
	return 0
}

// param reads a parameter from the parameter block.
func (w *worker) param(off, size int, sign bool) uint64 {
	p := w.launch.Params[off : off+size]
	switch size {
	case 1:
		if sign {
			return uint64(int8(p[0]))
		}
		return uint64(p[0])
	case 2:
		v := hostOrder.Uint16(p)
		if sign {
			return uint64(int16(v))
		}
		return uint64(v)
	case 4:
		v := hostOrder.Uint32(p)
		if sign {
			return uint64(int32(v))
		}
		return uint64(v)
	}
	return hostOrder.Uint64(p)
}

// random draws numbers from a seed (splitmix64). The zero value always draws 0.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	if r.state == 0 {
		return 0
	}
	if r.state += 0x9e3779b97f4a7c15; r.state == 0 {
		r.state = 1
	}
	z := (r.state ^ r.state>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below draws a number from 0 to n-1.
func (r *random) below(n int) int { return int(r.next() % uint64(n)) }

// permutation is an order of blocks: i·step+start modulo n, with step coprime
// to n. The zero step is the plain order.
type permutation struct{ n, step, start uint64 }

func newPermutation(n, seed uint64) permutation {
	r := random{seed}
	p := permutation{n: n, start: r.next() % n, step: 1}
	for range 64 {
		if s := r.next()%n | 1; gcd(s, n) == 1 {
			p.step = s
			break
		}
	}
	return p
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (p permutation) at(i uint64) uint64 {
	if p.step == 0 {
		return i
	}
	hi, lo := bits.Mul64(i, p.step)
	_, r := bits.Div64(hi%p.n, lo, p.n)
	return (r + p.start) % p.n
}
