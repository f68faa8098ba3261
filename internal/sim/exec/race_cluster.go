package exec

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Races between the blocks of a cluster. A block's shared memory has one shadow,
// in which accesses of other blocks stand with their block's number and times.
// They come before what the block does if it has heard of them: from the
// cluster's barrier, from arrivals and copies at barriers in shared memory, or
// through fences around atomic operations. In the same way a block knows that
// another one has started; and a block's last thread must know of all that others
// did with its shared memory, which ends with it.

// news is what threads tell by an arrival: up to when accesses come before it.
type news struct {
	seen   []uint32 // by warps of the block that the barrier belongs to
	others known    // by other blocks of the cluster
}

// tell adds what some lanes of a warp know (all that there are: MaxUint32) to the
// news at a barrier of a block (nil: the cluster's), and separates what the warp
// did from what it does next.
func (r *races) tell(n *news, home *races, warp int, lanes uint32) {
	c := &r.warps[warp]
	knows := func(into []uint32) []uint32 { return r.laneKnows(warp, lanes, into) }
	if lanes == math.MaxUint32 {
		c.share()
		knows = func(into []uint32) []uint32 { return r.knows(warp, into) }
	}
	if home == r {
		n.seen = knows(n.seen)
	} else {
		n.others = union(n.others, known{r.block: knows(nil)})
	}
	n.others = union(n.others, c.others)
	for m := lanes; m != 0; m &= m - 1 {
		if own := c.own[bits.TrailingZeros32(m)]; own != nil {
			n.others = union(n.others, own.others)
		}
	}
	r.tick(c)
}

// pass adds news to others at a barrier of the same block.
func (n *news) pass(more *news) {
	if n.seen == nil && more.seen != nil {
		n.seen = make([]uint32, len(more.seen))
	}
	join(n.seen, more.seen)
	n.others = union(n.others, more.others)
}

// copy is news that do not change any more.
func (n *news) copy() news { return news{append([]uint32(nil), n.seen...), n.others} }

// learn orders what the news tell before what some lanes of a warp do next, all
// that there are or else each for itself.
func (r *races) learn(n *news, warp int, lanes, live uint32) {
	c := &r.warps[warp]
	if live&^lanes == 0 {
		for _, seen := range [...][]uint32{n.seen, n.others[r.block]} {
			if seen != nil {
				join(c.seen, seen)
				c.full = max(c.full, seen[warp])
			}
		}
		c.others = union(c.others, n.others)
		return
	}
	for m := lanes; m != 0; m &= m - 1 {
		own := &c.own[bits.TrailingZeros32(m)]
		l := new(lore)
		if *own != nil {
			l.seen, l.others = slices.Clone((*own).seen), (*own).others
		}
		for _, seen := range [...][]uint32{n.seen, n.others[r.block]} {
			if seen != nil {
				l.seen = joined(l.seen, seen)
			}
		}
		l.others = union(l.others, n.others)
		*own = l
	}
}

// joinOthers joins what warps that meet know of other blocks.
func (r *races) joinOthers(all known, warps []int) {
	for _, w := range warps {
		all = union(all, r.warps[w].others)
	}
	for _, w := range warps {
		r.warps[w].others = union(all, nil)
	}
}

// raceArrive notes at a barrier in shared memory what a lane knows.
func (x *ctx) raceArrive(at *ctx, b *mbarrier, lane int) {
	if x.races != nil {
		x.races.tell(&b.came, at.races, x.wave.first+(x.lane0+lane)/32, 1<<(lane&31))
	}
}

// raceWait orders all that came before a complete phase before some lanes of the
// view's kth warp.
func (x *ctx) raceWait(b *mbarrier, k int, lanes uint32) {
	if x.races != nil {
		x.races.learn(&b.complete, x.wave.first+x.lane0/32+k, lanes, x.wave.live[x.lane0/32+k])
	}
}

// raceKnown reports whether a lane knows, before it asks, that a barrier's last
// complete phase is.
func (x *ctx) raceKnown(b *mbarrier, lane int) bool {
	if x.races == nil {
		return true
	}
	return x.races.knowsNews(&b.complete, x.wave.first+(x.lane0+lane)/32, lane&31)
}

// knowsNews reports whether news tell a lane nothing of other warps that it has not
// heard.
func (r *races) knowsNews(n *news, warp, lane int) bool {
	c := &r.warps[warp]
	var own lore
	if c.own[lane] != nil {
		own = *c.own[lane]
	}
	for i, t := range n.seen {
		of := i
		if i >= len(r.warps) {
			of = (i - r.lanes) / 32
		}
		if of != warp && t > max(c.seen[i], c.seen[of]) && (own.seen == nil || t > max(own.seen[i], own.seen[of])) {
			return false
		}
	}
	return union(c.others, own.others).holds(n.others)
}

// id is the index of the cluster's block with a number, where it has one.
func (c *cluster) id(block uint32) ([3]uint32, bool) {
	for _, m := range c.members {
		if m.races.block == block {
			return m.blk.id, true
		}
	}
	return [3]uint32{}, false
}

// nextBlock is a number for the first of a cluster's blocks, greater than those of
// all clusters before it that used the same shadows.
func (c *cluster) nextBlock() (n uint32) {
	if x0(c).races == nil {
		return 0
	}
	for _, x := range c.members {
		n = max(n, x.races.last)
		if g := x.races.global; g != nil {
			n = max(n, g.blocks)
		}
	}
	return n + 1
}

// enter turns to n bytes of another block's shared memory.
func (r *races) enter(home *races, off, n uint64) {
	home.settle(false)
	home.recent.touch(off, off+n, true)
	r.home = home.block
}

// here is the block whose shared memory is looked at.
func (r *races) here() uint32 {
	if r.home != 0 {
		return r.home
	}
	return r.block
}

// visitor is a lane that has come to another block's shared memory, and visit
// when it last did.
type visitor struct {
	block uint32
	warp  int
	lane  int
}

type visit struct {
	time uint32
	by   *Fault // to report
}

// reach looks at a lane's access to the shared memory of a block of the cluster,
// which must have started and not have exited.
func (x *ctx) reach(in *inst, m *worker, lane int, addr uint64, bytes uint32) {
	if m == x.worker {
		return
	}
	if m.exited {
		x.fail(in, UseAfterFree, lane, addr, bytes, "", "the shared memory of block %v of the cluster, whose threads have all exited", m.blk.id)
	}
	warp := x.wave.first + (x.lane0+lane)/32
	if !x.met || x.races != nil && !x.races.hasMet(m.races.block, warp, lane&31) {
		x.fail(in, BarrierMisuse, lane, addr, bytes, "", "the shared memory of block %v of the cluster, which may not have started: all threads must arrive at the cluster's barrier, and this one wait there, before", m.blk.id)
	}
	if x.races != nil {
		x.visit(in, m, lane, warp)
	}
	m.met = true // who comes here knows that all have started, and can tell
}

// hasMet reports whether a lane knows that another block has started.
func (r *races) hasMet(block uint32, warp, lane int) bool {
	c := &r.warps[warp]
	return c.others[block] != nil || c.own[lane] != nil && c.own[lane].others[block] != nil
}

// reachAll is reach for a lane of each warp of the view.
func (x *ctx) reachAll(in *inst, r *region, addr uint64) {
	for lane := x.firstActive(); lane < x.n; lane = lane&^31 + 32 {
		x.reach(in, r.home, lane, addr, in.mem.bytes)
	}
}

func (x *ctx) visit(in *inst, m *worker, lane, warp int) {
	if m.races.visits == nil {
		m.races.visits = map[visitor]visit{}
	}
	who, now := visitor{x.races.block, warp, lane & 31}, x.races.warps[warp].now
	if old := m.races.visits[who]; old.time != now {
		f := x.issued(in, lane)
		f.Kind = UseAfterFree
		m.races.visits[who] = visit{now, f}
	}
}

// checkVisits reports accesses of other blocks to the shared memory of one whose
// threads have exited without waiting for them.
func (x *ctx) checkVisits() {
	if x.races == nil || len(x.races.visits) == 0 {
		return
	}
	var all known
	for i := range x.races.warps {
		x.races.warps[i].share()
		all = union(all, x.races.warps[i].others)
	}
	var first *Fault
	for who, v := range x.races.visits {
		if _, ok := x.races.covers(all[who.block], nil, &stamp{time: v.time, lanes: 1 << who.lane, warp: uint16(who.warp)}); !ok && (first == nil || v.by.Pos.Line < first.Pos.Line) {
			first = v.by
			first.Detail = fmt.Sprintf("the shared memory of block %v of the cluster, whose threads may all have exited before: they wait for no barrier at which this thread arrives after the access", x.blk.id)
		}
	}
	if first != nil {
		panic(first)
	}
}

// arriveAtCluster adds what a warp knows to the news at the cluster's barrier. A
// relaxed arrival says that the block has started, and what the warp has fenced.
func (r *races) arriveAtCluster(n *news, warp int, lanes uint32, relaxed bool) {
	if !relaxed {
		r.tell(n, nil, warp, lanes)
		return
	}
	c := &r.warps[warp]
	f := &c.fences[wider]
	fenced := make([]uint32, len(f.times))
	if f.any {
		n.others = union(n.others, c.others)
		copy(fenced, f.times)
	}
	for i := range fenced {
		fenced[i] = max(fenced[i], r.base)
	}
	n.others = union(n.others, known{r.block: fenced})
}

// pass completes the news at the cluster's barrier. Warps that have ended count as
// having come.
func (c *cluster) pass() {
	if x0(c).races == nil {
		return
	}
	for _, m := range c.members {
		for _, v := range m.blk.waves {
			for k, live := range v.live {
				if live == 0 {
					m.races.tell(&c.came, nil, v.first+k, math.MaxUint32)
				}
			}
		}
	}
	c.complete, c.came = c.came, news{}
}
