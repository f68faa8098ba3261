package exec

import (
	"fmt"
	"math"
	"math/bits"
	"strings"
	"unsafe"
)

// frag is a part of a wave that runs together: either several whole warps, or
// some lanes of one. A wave starts as one fragment (and one for a last warp
// that is not full); branches split fragments, meeting at the same instruction
// merges them.
type frag struct {
	warp, warps int    // of the wave
	mask        uint32 // the lanes; all of them where warps > 1
	pc          int32
	state       fragState
	need        uint32 // atWarp: the lanes that must come
	turn        uint64 // when it ran last
	polls       int    // atMbar, and where a test fails: how often in a row
}

type fragState uint8

const (
	ready fragState = iota
	atBarrier
	atWarp
	atCluster
	atMbar
	atGroup
	atRegisters
)

// barOp is the constant part of a barrier instruction.
type barOp struct {
	counted bool // b holds the number of threads
	aligned bool
	relaxed bool // of an arrival at the cluster's barrier
	// Of waits for a barrier in shared memory.
	blocking, parity bool
	red              uint8 // 'p'opc, 'a'nd, 'o'r
	src              slot  // the predicate to reduce
	not              bool
}

// barrier is one of a block's 16 named barriers.
type barrier struct {
	parked  int   // fragments that wait here
	arrived int   // threads that arrived without waiting
	count   int   // threads expected, 0 for all of the block
	red     uint8 // of barOp
	known   bool
}

// sliceRuns is how many straight runs a fragment may execute before others
// get a turn: far more than it takes to reach a barrier, so that it only
// matters when threads wait for each other through memory.
const sliceRuns = 512

// round gives every wave of the block a turn.
func (x *ctx) round() (progress, left bool) {
	b := x.blk
	start := x.order.below(len(b.waves))
	for i := range b.waves {
		v := b.waves[(i+start)%len(b.waves)]
		for len(v.frags) > 0 {
			f, limit := v.next(&x.order)
			if f == nil {
				break
			}
			x.turn++
			f.turn = x.turn
			progress = true
			if x.enter(v, f); !x.runFrag(f, limit) {
				v.slices++ // another wave's turn
				break
			}
		}
		left = left || len(v.frags) > 0
	}
	return progress, left
}

// startBlock brings waves, barriers and shared memory to the start of a block of a
// cluster whose blocks are numbered from first.
func (x *ctx) startBlock(id [3]uint32, first uint32) {
	b := x.blk
	b.id = id
	b.bars = [16]barrier{}
	x.startHopper()
	x.startAsync()
	l := &x.launch
	if x.races != nil {
		x.startRaces(id, first)
	}
	threads := int(l.Block[0] * l.Block[1] * l.Block[2])
	if x.shared.size > 0 {
		clear(x.shared.init)
	}
	clear(x.local.init)
	for _, v := range b.waves {
		for i := range x.k.code.blocks {
			x.fill(v, &x.k.code.blocks[i])
		}
		for k := range v.live {
			v.live[k] = math.MaxUint32
		}
		whole := v.warps
		if rest := threads - v.first*32; rest < v.lanes {
			whole--
			v.live[whole] = 1<<(rest&31) - 1
			v.frags = append(v.frags, x.newFrag(whole, 1, v.live[whole], 0))
		}
		together := whole
		if x.order.state != 0 {
			together = 1 // each warp at a pace of its own
		}
		for warp := 0; warp < whole; warp += together {
			v.frags = append(v.frags, x.newFrag(warp, together, math.MaxUint32, 0))
		}
		v.tainted = false
		if v.inUse != 0 {
			clear(v.busy)
			v.inUse = 0
		}
		if len(x.k.code.undef) > 0 {
			x.startTaint(v)
			for _, s := range x.k.code.undef {
				for k := range v.warps {
					v.undef[int(s)*v.warps+k] = math.MaxUint32
				}
			}
		}
	}
}

// abandon drops a block in the middle.
func (x *ctx) abandon() {
	for _, v := range x.blk.waves {
		x.free = append(x.free, v.frags...)
		v.frags = v.frags[:0]
	}
}

func (w *worker) newFrag(warp, warps int, mask uint32, pc int32) *frag {
	var f *frag
	if n := len(w.free); n > 0 {
		f, w.free = w.free[n-1], w.free[:n-1]
	} else {
		f = new(frag)
	}
	*f = frag{warp: warp, warps: warps, mask: mask, pc: pc}
	return f
}

// drop removes a fragment from its wave.
func (x *ctx) drop(f *frag) {
	v := x.wave
	for i, g := range v.frags {
		if g == f {
			v.frags = append(v.frags[:i], v.frags[i+1:]...)
			break
		}
	}
	x.free = append(x.free, f)
}

// next chooses the ready fragment with the lowest pc, merged with those that
// are at the same place, and says at which pc another one waits, so that they
// can meet there. Where slices of time end without that, every so often the one
// that waited longest runs instead, in case the lowest waits for it.
func (v *wave) next(order *random) (best *frag, limit int32) {
	limit = math.MaxInt32
	if len(v.frags) == 1 {
		if f := v.frags[0]; f.state == ready {
			return f, limit
		}
		return nil, 0
	}
	v.merge(order.state == 0)
	warp := v.chooseWarp(order)
	var oldest *frag
	for _, f := range v.frags {
		if f.state != ready || warp >= 0 && f.warp != warp {
			continue
		}
		if oldest == nil || f.turn < oldest.turn {
			oldest = f
		}
		switch {
		case best == nil || f.pc < best.pc:
			if best != nil {
				limit = min(limit, best.pc)
			}
			best = f
		case f.pc > best.pc:
			limit = min(limit, f.pc)
		}
	}
	if v.slices >= 8 && oldest != nil {
		v.slices = 0
		return oldest, math.MaxInt32
	}
	return best, limit
}

// chooseWarp draws the warp that runs next, where the order is drawn at all: one
// whose first fragment is ready.
func (v *wave) chooseWarp(order *random) int {
	if order.state == 0 {
		return -1
	}
	start := order.below(len(v.frags))
	for i := range v.frags {
		if f := v.frags[(start+i)%len(v.frags)]; f.state == ready {
			return f.warp
		}
	}
	return -1
}

// merge joins ready fragments at the same pc: lanes of one warp, and (where
// warps may go together) neighbouring whole warps.
func (v *wave) merge(warps bool) {
	for again := true; again; {
		again = false
		for i := 0; i < len(v.frags); i++ {
			f := v.frags[i]
			for j := i + 1; j < len(v.frags); j++ {
				g := v.frags[j]
				if f.pc != g.pc || f.state != ready || g.state != ready {
					continue
				}
				whole := warps && f.mask&g.mask == math.MaxUint32
				switch {
				case f.warp == g.warp && f.warps == 1 && g.warps == 1:
					f.mask |= g.mask
				case whole && f.warp+f.warps == g.warp:
					f.warps += g.warps
				case whole && g.warp+g.warps == f.warp:
					f.warp, f.warps = g.warp, f.warps+g.warps
				default:
					continue
				}
				v.frags = append(v.frags[:j], v.frags[j+1:]...)
				j--
				again = true
			}
		}
	}
}

// enter makes a fragment the context's view.
func (x *ctx) enter(v *wave, f *frag) {
	x.wave, x.frag = v, f
	x.base, x.pitch = unsafe.Pointer(&v.regs[0]), 4*v.lanes
	x.lane0, x.n = 32*f.warp, 32*f.warps
	x.mask, x.full = f.mask, f.mask == math.MaxUint32
}

// runFrag executes the fragment until it parks, ends, splits or comes to
// limit; it reports whether its wave may go on with another (its slice of time
// has not ended).
func (x *ctx) runFrag(f *frag, limit int32) bool {
	c := &x.k.code
	pc, slice := f.pc, sliceRuns
	if x.order.state != 0 {
		slice = x.order.below(16)
	}
	for runs := 0; ; runs++ {
		end := c.ends[pc]
		if x.fuel -= (c.fuel[end+1] - c.fuel[pc]) * int64(x.n/32+1) / 2; x.fuel < 0 {
			x.view0()
			x.fail(&c.insts[min(int(end), len(c.insts)-1)], OutOfFuel, x.firstActive(), 0, 0, "", "the block has run for longer than its fuel allows; most likely a loop that does not end, or a wait for a block that cannot run")
		}
		if x.counts != nil {
			x.countLanes(end - pc)
		}
		x.exec(pc, end)
		in := &c.insts[end]
		if pc = end; pc >= limit {
			f.pc = pc // another fragment is here
			return true
		}
		if in.ctl != straight {
			if x.wave.tainted {
				x.taint(in)
			}
			if x.counts != nil {
				x.countLanes(1)
			}
			next := x.flow(f, in, pc)
			if next < 0 {
				yielded := x.yielded
				x.yielded = false
				return !yielded
			}
			pc = next
		}
		if pc >= limit || runs > slice {
			f.pc = pc
			return runs <= slice
		}
	}
}

func (x *ctx) view0() { x.enter(x.wave, x.frag) }

func (x *ctx) firstActive() int {
	lane := 0
	for ; !x.isActive(lane); lane++ {
	}
	return lane
}

// flow executes an instruction that changes the flow and returns where the
// fragment goes on, or -1 if it does not run on as it is.
func (x *ctx) flow(f *frag, in *inst, pc int32) int32 {
	switch in.ctl {
	case branch:
		return x.branch(f, in, pc)
	case branchAmong:
		return x.branchAmong(f, in)
	case exit, blockEnd:
		if x.async.count > 0 {
			x.checkAsyncExit(in)
		}
		if x.wave.live[f.warp] != f.mask {
			x.leaves(f, in)
		}
		for k := range f.warps {
			x.wave.live[f.warp+k] &^= f.mask
		}
		x.drop(f)
		x.released()
		return -1
	case trap:
		x.fail(in, Trap, x.firstActive(), 0, 0, "", "the kernel executed trap")
	case barSync, barRed, barArrive:
		return x.barrier(f, in, pc)
	case warpSync:
		return x.warpSync(f, in, pc)
	case clusterArrive, clusterWait:
		return x.clusterBarrier(f, in, pc)
	case mbarWait:
		return x.mbarWait(f, in, pc)
	case groupSync:
		return x.groupSync(f, in, pc)
	}
	return pc + 1
}

// leaves reports lanes that exit while others of their warp wait at an aligned
// barrier, which all that have not exited must execute together.
func (x *ctx) leaves(f *frag, in *inst) {
	for _, g := range x.wave.frags {
		if g.warp == f.warp && g.state == atBarrier && x.k.code.insts[g.pc].bar.aligned {
			x.fail(in, BarrierMisuse, x.firstActive(), 0, 0, "", "lanes %#x of the warp exit, lanes %#x wait at line %d: an aligned barrier must be executed by all threads of a warp together", f.mask, g.mask, x.line(g))
		}
	}
}

// branch follows a branch, splitting the fragment where its lanes disagree.
func (x *ctx) branch(f *frag, in *inst, pc int32) int32 {
	if in.guard == noSlot {
		return in.target
	}
	ps := x.pred(in.guard)
	every, some := ^uint32(0), uint32(0)
	for _, p := range ps {
		t := p ^ in.guardNot
		every &= t | ^x.mask
		some |= t & x.mask
	}
	switch {
	case every == ^uint32(0):
		return in.target
	case some == 0:
		return pc + 1
	}
	var masks [maxLanes / 32]uint32
	for k, p := range ps {
		masks[k] = (p ^ in.guardNot) & f.mask
	}
	x.split(f, masks[:len(ps)], in.target, pc+1)
	return -1
}

// branchAmong follows a branch by index, with a fragment for each place that lanes
// of a warp go to; where all go to one, the fragment goes on as it is.
func (x *ctx) branchAmong(f *frag, in *inst) int32 {
	v, warp, turn := x.wave, f.warp, f.turn
	index := row[uint32](x, in.a)
	target := func(lane int) int32 {
		if at := index[lane]; at < uint32(len(in.targets)) {
			return in.targets[at]
		}
		x.fail(in, OutOfBounds, lane, 0, 0, "", "the index is %d, of %d labels", index[lane], len(in.targets))
		return 0
	}
	first, all := target(x.firstActive()), true
	for lane := range x.n {
		all = all && (!x.isActive(lane) || target(lane) == first)
	}
	if all {
		return first
	}
	warps, mask := f.warps, f.mask
	x.drop(f)
	for k := range warps {
		for left := mask; left != 0; {
			to, part := target(32*k+bits.TrailingZeros32(left)), uint32(0)
			for lanes := left; lanes != 0; lanes &= lanes - 1 {
				if lane := bits.TrailingZeros32(lanes); target(32*k+lane) == to {
					part |= 1 << lane
				}
			}
			g := x.newFrag(warp+k, 1, part, to)
			g.turn = turn
			v.frags = append(v.frags, g)
			left &^= part
		}
	}
	return -1
}

// split replaces a fragment by those whose lanes go to yes and to no.
// Neighbouring whole warps that agree stay together.
func (x *ctx) split(f *frag, yes []uint32, toYes, toNo int32) {
	v, warp, mask, turn := x.wave, f.warp, f.mask, f.turn
	x.drop(f)
	var last *frag
	for k, t := range yes {
		for _, part := range [...]struct {
			mask uint32
			pc   int32
		}{{t, toYes}, {mask &^ t, toNo}} {
			if part.mask == 0 {
				continue
			}
			if last != nil && last.mask == math.MaxUint32 && part.mask == math.MaxUint32 && last.pc == part.pc && last.warp+last.warps == warp+k {
				last.warps++
				continue
			}
			last = x.newFrag(warp+k, 1, part.mask, part.pc)
			last.turn = turn
			v.frags = append(v.frags, last)
		}
	}
}

// warpSync runs an instruction that waits for the lanes of its member mask, or
// parks the fragment until they are here.
func (x *ctx) warpSync(f *frag, in *inst, pc int32) int32 {
	for k := range f.warps {
		live := x.wave.live[f.warp+k]
		members := uint32(math.MaxUint32)
		if in.e != noSlot {
			members = x.members(in, k, f.mask)
		}
		if need := members & live &^ f.mask; need != 0 {
			f.pc, f.state, f.need = pc, atWarp, need
			x.meet(f)
			return -1
		}
	}
	in.fn(x, in)
	if !x.full && in.writes != self {
		x.keep(in)
	}
	return pc + 1
}

// members reads a warp's member mask, which must be the same in all lanes and
// name them all.
func (x *ctx) members(in *inst, warp int, mask uint32) uint32 {
	r := row[uint32](x, in.e)[32*warp:]
	first := -1
	for i := range 32 {
		if mask>>i&1 == 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		if r[i] != r[first] {
			x.fail(in, WarpMisuse, 32*warp+i, 0, 0, "", "member mask %#x here, %#x in lane %d", r[i], r[first], first)
		}
		if r[first]>>i&1 == 0 {
			x.fail(in, WarpMisuse, 32*warp+i, 0, 0, "", "lane %d executes it, but member mask %#x does not name it", i, r[first])
		}
	}
	return r[first]
}

// meet joins the fragments of a warp that wait at the same .sync instruction,
// and wakes them when everyone is there.
func (x *ctx) meet(f *frag) {
	v := x.wave
	all := f.mask
	for _, g := range v.frags {
		if g != f && g.warp == f.warp && g.state == atWarp && g.pc == f.pc {
			all |= g.mask
		}
	}
	for _, g := range v.frags {
		if g.warp == f.warp && g.state == atWarp && g.pc == f.pc && g.need&v.live[f.warp]&^all == 0 {
			g.state = ready
		}
	}
}

// released looks again at everything that may have waited for threads that
// have now ended.
func (x *ctx) released() {
	for _, f := range x.wave.frags {
		if f.state == atWarp {
			x.meet(f)
		}
	}
	for id := range x.blk.bars {
		if x.blk.bars[id].parked > 0 {
			x.complete(id)
		}
	}
	x.clusterReleased()
}

// barrier arrives at a named barrier, and parks there unless it is bar.arrive.
func (x *ctx) barrier(f *frag, in *inst, pc int32) int32 {
	if !x.uniform32(in.a) || in.bar.counted && !x.uniform32(in.b) {
		return x.barrierByWarp(f, in, pc)
	}
	first := x.firstActive()
	id := int(x.get(in.a, false, first))
	if id >= len(x.blk.bars) {
		x.fail(in, BarrierMisuse, first, 0, 0, "", "barrier %d: there are 16", id)
	}
	b := &x.blk.bars[id]
	count := 0
	if in.bar.counted {
		count = int(x.get(in.b, false, first))
		if count == 0 || count%32 != 0 {
			x.fail(in, BarrierMisuse, first, 0, 0, "", "barrier %d expects %d threads: must be a multiple of 32, and not 0", id, count)
		}
	}
	if b.known && b.count != count {
		x.fail(in, BarrierMisuse, first, 0, 0, "", "barrier %d expects %s here, others arrived expecting %s", id, threadCount(count), threadCount(b.count))
	}
	if b.known && b.red != in.bar.red {
		x.fail(in, BarrierMisuse, first, 0, 0, "", "others arrived at barrier %d by bar.sync, bar.arrive or another bar.red: what comes of that is undefined", id)
	}
	b.known, b.count, b.red = true, count, in.bar.red
	if in.ctl == barArrive {
		if f.mask != x.wave.live[f.warp] && f.warps == 1 {
			x.fail(in, BarrierMisuse, first, 0, 0, "", "only lanes %#x of the warp's %#x arrive", f.mask, x.wave.live[f.warp])
		}
		b.arrived += 32 * f.warps
		if x.races != nil {
			for k := range f.warps {
				x.races.arrive(id, x.wave.first+f.warp+k)
			}
		}
		x.complete(id)
		return pc + 1
	}
	f.pc, f.state = pc, atBarrier
	f.need = uint32(id)
	b.parked++
	x.complete(id)
	return -1
}

// uniform32 reports whether a row holds the same in all active lanes.
func (x *ctx) uniform32(s slot) bool {
	r := row[uint32](x, s)
	v := r[x.firstActive()]
	for i := range r {
		if r[i] != v && x.isActive(i) {
			return false
		}
	}
	return true
}

// barrierByWarp takes a fragment of several warps that go to different
// barriers apart.
func (x *ctx) barrierByWarp(f *frag, in *inst, pc int32) int32 {
	if f.warps == 1 {
		r := row[uint32](x, in.a)
		first := x.firstActive()
		for i := range r {
			if x.isActive(i) && r[i] != r[first] {
				x.fail(in, BarrierMisuse, i, 0, 0, "", "the barrier's number differs between lanes of a warp: %d and %d", r[first], r[i])
			}
		}
		x.fail(in, BarrierMisuse, first, 0, 0, "", "the barrier's count differs between lanes of a warp")
	}
	v, warp, warps := x.wave, f.warp, f.warps
	x.drop(f)
	var parts [maxLanes / 32]*frag
	for k := range warps {
		parts[k] = x.newFrag(warp+k, 1, math.MaxUint32, pc)
		v.frags = append(v.frags, parts[k])
	}
	for _, g := range parts[:warps] {
		x.enter(v, g)
		if next := x.barrier(g, in, pc); next >= 0 {
			g.pc = next
		}
	}
	return -1
}

func threadCount(n int) string {
	if n == 0 {
		return "the whole block"
	}
	return fmt.Sprintf("%d threads", n)
}

// complete wakes the fragments at a barrier if all that it expects are there.
// A warp is there when all its threads that have not exited are.
func (x *ctx) complete(id int) {
	b := &x.blk.bars[id]
	warps, live := 0, 0
	var at [32]uint32
	for _, v := range x.blk.waves {
		for k := range v.warps {
			at[k] = 0
			if v.live[k] != 0 {
				live++
			}
		}
		for _, f := range v.frags {
			if f.state == atBarrier && int(f.need) == id {
				for k := range f.warps {
					at[f.warp+k] |= f.mask
				}
			}
		}
		for k := range v.warps {
			if at[k] != 0 && at[k] == v.live[k] {
				warps++
			}
		}
	}
	have, want := 32*warps+b.arrived, b.count
	if want == 0 {
		want = 32 * live
	}
	if have < want {
		return
	}
	if have > want {
		x.failAt(id, BarrierMisuse, fmt.Sprintf("%d threads arrived at barrier %d, which expects %d", have, id, want))
	}
	if x.races != nil {
		x.joinRaces(id)
	}
	if b.parked > 0 {
		x.release(id)
	}
	*b = barrier{}
}

// release lets the fragments at a barrier go on; barRed's get their result.
func (x *ctx) release(id int) {
	back, cur := x.wave, x.frag
	var total, zeros int
	each := func(do func(v *wave, f *frag, in *inst)) {
		for _, v := range x.blk.waves {
			for _, f := range v.frags {
				if f.state == atBarrier && int(f.need) == id {
					do(v, f, &x.k.code.insts[f.pc])
				}
			}
		}
	}
	each(func(v *wave, f *frag, in *inst) {
		x.enter(v, f)
		x.checkAligned(v, f, in)
		if in.ctl == barRed {
			t, z := x.countPred(in)
			total, zeros = total+t, zeros+z
		}
	})
	each(func(v *wave, f *frag, in *inst) {
		x.enter(v, f)
		if in.ctl == barRed {
			x.putReduced(in, total, zeros)
		}
		f.state = ready
		f.pc++
	})
	if cur != nil {
		x.enter(back, cur)
	}
}

// checkAligned reports lanes of one warp that wait at different instructions of
// an aligned barrier.
func (x *ctx) checkAligned(v *wave, f *frag, in *inst) {
	if !in.bar.aligned || f.warps > 1 {
		return
	}
	for _, g := range v.frags {
		if g.warp == f.warp && g.state == atBarrier && g.pc != f.pc {
			x.fail(in, BarrierMisuse, x.firstActive(), 0, 0, "", "lanes %#x of the warp are here, lanes %#x at line %d: an aligned barrier must be executed by all threads of a warp together", f.mask, g.mask, x.line(g))
		}
	}
}

// line is the line of PTX at which a fragment is.
func (x *ctx) line(f *frag) int {
	pos, _ := x.k.code.at(&x.k.code.insts[f.pc])
	return pos.Line
}

func (x *ctx) countPred(in *inst) (set, clear int) {
	ps := x.pred(in.bar.src)
	x.active(func(lane int) {
		if ps[lane/32]>>(lane&31)&1 != 0 != in.bar.not {
			set++
		} else {
			clear++
		}
	})
	return set, clear
}

func (x *ctx) putReduced(in *inst, set, clear int) {
	m := uint32(0)
	switch {
	case in.bar.red == 'p':
		x.active(func(lane int) { x.put(in.d, false, lane, uint64(set)) })
		return
	case in.bar.red == 'a' && clear == 0, in.bar.red == 'o' && set > 0:
		m = math.MaxUint32
	}
	for k := range x.n / 32 {
		x.setPred(in.d, k, m)
	}
}

// failAt reports a fault of a whole barrier, at the first fragment there.
func (x *ctx) failAt(id int, kind FaultKind, detail string) {
	for _, v := range x.blk.waves {
		for _, f := range v.frags {
			if f.state == atBarrier && int(f.need) == id {
				x.enter(v, f)
				x.fail(&x.k.code.insts[f.pc], kind, x.firstActive(), 0, 0, "", "%s", detail)
			}
		}
	}
	f := &Fault{Kind: kind, Kernel: x.k.Name, Block: x.blk.id, Detail: detail}
	panic(f)
}

// deadlock reports where every thread of the cluster waits.
func (c *cluster) deadlock() {
	var places []string
	var first *frag
	var at *wave
	var by *ctx
	for _, x := range c.members {
		for _, v := range x.blk.waves {
			for _, f := range v.frags {
				if first == nil {
					first, at, by = f, v, x
				}
				if len(places) < 8 {
					places = append(places, x.waitsFor(v, f, len(c.members) > 1))
				}
			}
		}
	}
	by.enter(at, first)
	by.fail(&by.k.code.insts[first.pc], Deadlock, by.firstActive(), 0, 0, "", "every thread waits: %s", strings.Join(places, "; "))
}

// waitsFor says where a fragment is and what it waits for.
func (x *ctx) waitsFor(v *wave, f *frag, several bool) string {
	where := fmt.Sprintf("warps %d to %d", v.first+f.warp, v.first+f.warp+f.warps-1)
	if f.warps == 1 {
		where = fmt.Sprintf("warp %d, lanes %#x", v.first+f.warp, f.mask)
	}
	if several {
		where = fmt.Sprintf("block %v, %s", x.blk.id, where)
	}
	what := "a barrier"
	switch f.state {
	case atWarp:
		what = fmt.Sprintf("lanes %#x", f.need)
	case atBarrier:
		what = fmt.Sprintf("barrier %d", f.need)
	case atCluster:
		what = "the cluster's barrier"
	case atGroup:
		what = "the other warps of its group of four"
	case atRegisters:
		what = fmt.Sprintf("registers: the block's groups of four warps have %v for each thread, and this one asks for %d", x.blk.registers, x.k.code.insts[f.pc].off)
	case atMbar, ready:
		what = x.mbarText(f.need)
	}
	return fmt.Sprintf("%s at line %d waits for %s", where, x.line(f), what)
}
