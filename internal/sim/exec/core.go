package exec

import (
	"fmt"
	"math/bits"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// slot numbers a register's place in a wave: a 32-bit row is one slot, a
// 64-bit row two (an even number first). Predicates have a numbering of their
// own. Constants, special registers and parameters are rows like registers,
// filled once, so that an operand is always a row.
type slot int32

const noSlot slot = -1

// control says what an instruction does to the flow of a warp.
type control uint8

const (
	straight      control = iota
	branch                // to target, where the guard says so
	branchAmong           // to the one of targets that a lane's index says
	exit                  // the threads end
	trap                  // the kernel ends itself
	barSync               // parks until the barrier is complete
	barArrive             // counts at a barrier and goes on
	barRed                // barSync with a reduction of a predicate
	warpSync              // waits until the lanes of its member mask are here, then fn runs
	clusterArrive         // counts at the cluster's barrier and goes on
	clusterWait           // parks until the cluster's barrier is complete
	mbarWait              // may park until a phase of a barrier in shared memory is complete
	groupSync             // waits until the four warps of a group are here, then fn runs
	blockEnd              // the place after the last instruction: an implicit exit
)

// how a lane operation treats lanes that are not active.
type writes uint8

const (
	self  writes = iota // fn looks at the mask itself
	row32               // fn computes every lane of row d (32-bit): inactive ones are put back
	row64               // the same, 64-bit
)

// inst is one decoded instruction, executed over all lanes of a view.
type inst struct {
	fn       func(x *ctx, in *inst)
	d, a     slot
	b, c     slot
	e        slot   // a member mask, or a comparison's second destination
	q        slot   // a further predicate: destination of "d|p"
	guard    slot   // predicate, or noSlot
	guardNot uint32 // all ones for "@!p"
	ctl      control
	writes   writes
	wide     uint8 // bit i: operand i of (d, a, b, c, e) is a 64-bit row
	fuel     uint8 // what it takes of a block's, for one warp
	target   int32 // of a branch
	targets  []int32
	off      int64 // an address's offset, or an immediate
	f1       func(a uint64) uint64
	f2       func(a, b uint64) uint64
	f3       func(a, b, c uint64) uint64
	form     *stepForm // of its step; nil where it has none
	run      int32     // how many steps follow one another from here on
	mem      *memOp
	cmp      *compareOp
	bar      *barOp
	last     int32  // the PTX instruction that may be the last to read d, where the inst has a step
	place    int32  // of the PTX instruction it comes from, in code.places
	reads    []slot // what the result depends on, for undefined values: slots, predicates after code.slots
	sets     []slot // the same numbering
	sink     bool   // an undefined operand is an error here: an address, a branch, a store
	merge    func(x *ctx, in *inst, warp int) uint32
	holes    holesOp
	keeps    uint64 // the bits of d that holes may be in
}

const (
	wideD = 1 << iota
	wideA
	wideB
	wideC
	wideE
)

// code is a decoded entry.
type code struct {
	insts  []inst
	steps  []step  // of the insts that have one
	ends   []int32 // for each instruction, where the straight run it is in ends
	fuel   []int64 // for each, and after the last, what those before it take
	slots  int     // 32-bit rows
	preds  int     // predicate rows
	fills  []fill  // rows that are filled before the kernel runs
	blocks []fill  // rows that are filled before each block
	undef  []slot  // registers that may be read before they are written
	caches int     // memory instructions
	async  bool    // some instructions access shared memory by the asynchronous proxy
	remote bool    // some access another block's shared memory
	mbars  bool    // some are about barriers in shared memory
	groups []slot  // the registers that products of four warps use
	places []place // of the PTX instructions
	text   string  // of the PTX instructions, one after the other
}

// place is where a PTX instruction stands in its file, and in code.text. The
// syntax tree is not kept: it is many times larger than the code.
type place struct {
	pos      ptx.Pos
	from, to int32
}

// at is the place of an instruction and its text.
func (c *code) at(in *inst) (ptx.Pos, string) {
	p := c.places[in.place]
	return p.pos, c.text[p.from:p.to]
}

// fill is a row that holds the same for the whole run of a kernel or block.
type fill struct {
	at   slot
	wide bool
	pred bool
	kind fillKind
	dim  int
	bits uint64 // a constant; a parameter's offset
	size int    // a parameter's bytes
	sign bool
}

type fillKind uint8

const (
	// The same for every launch with this shape of block.
	fillConst fillKind = iota
	fillTid
	fillNtid
	fillLane
	fillWarp
	fillNwarp
	fillLaneMask // dim: 0 eq, 1 le, 2 lt, 3 ge, 4 gt
	// From here on: of one launch, or of one block.
	fillParam
	fillClusterCtaid
	fillClusterNctaid
	fillClusterRank
	fillClusterSize
	fillExplicitCluster
	fillNctaid
	fillDynShared
	fillTotalShared
	fillNclusterID
	fillCtaid
	fillClusterID
)

// wave is up to maxLanes threads of a block, whose registers lie together so
// that one decoded instruction can run over all of them.
type wave struct {
	regs    []uint64      // rows: slot s at 4·lanes·s bytes
	preds   []uint32      // predicate p of warp k at p·warps+k
	undef   []uint32      // lanes whose value is undefined: slot or predicate v of warp k at v·warps+k
	exact   []uint32      // the lanes of undef of which holes says the undefined bits; the others have no defined ones
	mixed   []uint32      // the lanes of exact that have bits which somebody wrote
	holes   []uint32      // rows like regs
	tainted bool          // undef is in use
	busy    []registerUse // by slot; nil where there are no products of four warps
	inUse   int           // all of busy
	lanes   int           // 32·warps
	warps   int
	first   int      // first warp's number in the block
	live    []uint32 // per warp: the lanes that have not exited
	frags   []*frag
	cluster []clusterState // per warp
	slices  int            // slices of time that ended since the fragment that waited longest had its turn
}

// maxLanes bounds a wave: enough lanes to hide what one decoded instruction
// costs, few enough that a kernel's registers stay in the cache.
const maxLanes = 256

// ctx is a worker's view of the threads that it executes now: lanes
// [lane0, lane0+n) of a wave. Either all of them are active (full), or n is 32
// and mask says which.
type ctx struct {
	base  unsafe.Pointer // wave.regs
	pitch int            // bytes of a 32-bit row
	lane0 int
	n     int
	mask  uint32 // all ones where full
	full  bool
	wave  *wave
	frag  *frag

	*worker

	scratch [64]uint64 // row d of a partial view
	addrs   [maxLanes]uint64
	masks   [maxLanes / 32]uint32
	bounds  [3]uint32 // least, greatest and OR of 32-bit addresses
}

// row views lanes of a register. T is any 4- or 8-byte type without pointers,
// as wide as the row: the rows of a wave are Go memory without pointers,
// aligned to 8 bytes, and s is a slot that decode gave out for this width, so
// the n elements lie inside wave.regs.
func row[T lane](x *ctx, s slot) []T {
	return unsafe.Slice((*T)(unsafe.Add(x.base, int(s)*x.pitch+x.lane0*int(unsafe.Sizeof(*new(T))))), x.n)
}

// dst is row for the destination of an operation that computes all lanes: in a
// partial view it is a scratch row, from which keep takes the active lanes.
func dst[T lane](x *ctx, s slot) []T {
	if x.full {
		return row[T](x, s)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&x.scratch)), 32)
}

// keep moves the active lanes from the scratch row to their register.
func (x *ctx) keep(in *inst) {
	if in.writes == row32 {
		keepLanes[uint32](x, in.d)
	} else {
		keepLanes[uint64](x, in.d)
	}
}

func keepLanes[T lane](x *ctx, s slot) {
	d, v := row[T](x, s), unsafe.Slice((*T)(unsafe.Pointer(&x.scratch)), 32)
	for m := x.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = v[i]
	}
}

type lane interface {
	~uint32 | ~int32 | ~float32 | ~uint64 | ~int64 | ~float64
}

// pred is a predicate's masks, one a warp of the view.
func (x *ctx) pred(s slot) []uint32 {
	i := int(s)*x.wave.warps + x.lane0/32
	return x.wave.preds[i : i+x.n/32]
}

// setPred stores the active lanes of a mask.
func (x *ctx) setPred(s slot, warp int, m uint32) {
	p := &x.wave.preds[int(s)*x.wave.warps+x.lane0/32+warp]
	*p = *p&^x.mask | m&x.mask
}

// get reads one lane of an operand, zero-extended.
func (x *ctx) get(s slot, wide bool, lane int) uint64 {
	if wide {
		return row[uint64](x, s)[lane]
	}
	return uint64(row[uint32](x, s)[lane])
}

func (x *ctx) put(s slot, wide bool, lane int, v uint64) {
	if wide {
		row[uint64](x, s)[lane] = v
	} else {
		row[uint32](x, s)[lane] = uint32(v)
	}
}

// active calls f for each active lane of the view, in order.
func (x *ctx) active(f func(lane int)) {
	if x.full {
		for i := range x.n {
			f(i)
		}
		return
	}
	for m := x.mask; m != 0; m &= m - 1 {
		f(bits.TrailingZeros32(m) & 31)
	}
}

// isActive reports whether a lane of the view is active.
func (x *ctx) isActive(lane int) bool { return x.full || x.mask>>(lane&31)&1 != 0 }

// fail ends the run with a fault at lane of the view: it unwinds to the
// worker's loop.
func (x *ctx) fail(in *inst, kind FaultKind, lane int, addr uint64, n uint32, label, format string, args ...any) {
	f := &Fault{Kind: kind, Kernel: x.k.Name, Block: x.blk.id, Addr: addr, Bytes: n, Label: label, Detail: fmt.Sprintf(format, args...)}
	f.Thread = x.thread(x.wave, x.lane0+lane)
	f.Pos, f.Instr = x.k.code.at(in)
	panic(f)
}

// thread is the index of a lane of a wave.
func (w *worker) thread(v *wave, lane int) [3]uint32 {
	i := uint32(v.first*32 + lane)
	b := w.launch.Block
	return [3]uint32{i % b[0], i / b[0] % b[1], i / (b[0] * b[1])}
}

// exec runs instructions [pc, end), none of which changes the flow.
func (x *ctx) exec(pc, end int32) {
	insts := x.k.code.insts[:end]
	for i := pc; i < end; i++ {
		in := &insts[i]
		if x.wave.tainted {
			x.taint(in)
		} else if in.run > 0 && x.full {
			to := min(i+in.run, end)
			x.steps(x.k.code.steps[i:to])
			i = to - 1
			continue
		}
		switch {
		case in.guard != noSlot:
			x.guarded(in)
		case x.full || in.writes == self:
			in.fn(x, in)
		default:
			in.fn(x, in)
			x.keep(in)
		}
	}
}

// guarded runs an instruction where its guard holds.
func (x *ctx) guarded(in *inst) {
	ps := x.pred(in.guard)
	if !x.full {
		if m := (ps[0] ^ in.guardNot) & x.mask; m != 0 {
			x.within(in, x.lane0, m)
		}
		return
	}
	every, some := ^uint32(0), uint32(0)
	for _, p := range ps {
		every &= p ^ in.guardNot
		some |= p ^ in.guardNot
	}
	switch {
	case every == ^uint32(0):
		in.fn(x, in)
	case some != 0:
		lane0 := x.lane0
		for k, p := range ps {
			if m := p ^ in.guardNot; m != 0 {
				x.within(in, lane0+32*k, m)
			}
		}
	}
}

// within runs an instruction for the lanes of one warp.
func (x *ctx) within(in *inst, lane0 int, mask uint32) {
	was := [...]int{x.lane0, x.n}
	full, m := x.full, x.mask
	x.lane0, x.n, x.mask, x.full = lane0, 32, mask, mask == ^uint32(0)
	in.fn(x, in)
	if !x.full && in.writes != self {
		x.keep(in)
	}
	x.lane0, x.n, x.mask, x.full = was[0], was[1], m, full
}
