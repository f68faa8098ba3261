package exec

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Races: two accesses to one byte, at least one of them a write and not both
// atomic, that nothing orders. Each access is stamped with its thread and a
// time. Every warp has a clock: for each warp of the block, the time up to which
// what that warp did comes before what this one does now. Barriers join the
// clocks of those that meet there. Within a warp, bar.warp.sync orders its
// members; an instruction executed together does not, nor do shuffles and votes,
// which PTX promises no order of memory for.
//
// Times come from one counter a worker and only grow, so that a block starts
// with a clean slate without anything being cleared: all that is older counts as
// ordered.

// stamp is a set of accesses by lanes of one warp at one time.
type stamp struct {
	time   uint32 // 0: none
	lanes  uint32
	block  uint32 // in order of execution; 0 for shared memory, which belongs to one
	warp   uint16
	atomic bool
	reads  bool // an atomic operation that gives what was there before
	wrote  bool
	proxy  proxy
	group  bool // of a product of four warps, warp being the first
	place  int32
	issue  uint32 // the instruction's number, by which two lanes of the same one are known
	remote bool   // to another block's shared memory
}

// cell is what the detector knows of a word or byte: its last write that was not
// atomic, and the reads and atomic operations since, the latest of each lane.
type cell struct {
	write stamp
	since [fewSince]stamp
	n     uint8  // of since
	more  uint32 // 1 + where in shadow.more those beyond fewSince are; 0: nowhere yet
	split bool   // its bytes have cells of their own, in shadow.bytes
}

// What a cell remembers since its last write. In shared memory that is enough for
// all warps of a block; in global memory any number of blocks may read a word.
const (
	fewSince  = 3
	mostSince = 64
)

// shadow is the cells of a region, one a 32-bit word; words that are accessed in
// parts have cells for their bytes.
type shadow struct {
	pages []*[pageWords]cell
	bytes map[uint64]*[4]cell
	more  [][]stamp
}

const pageWords = 1 << 10

func (s *shadow) word(i uint64) *cell {
	if p := i / pageWords; p < uint64(len(s.pages)) && s.pages[p] != nil {
		return &s.pages[p][i%pageWords]
	}
	return s.newWord(i)
}

func (s *shadow) newWord(i uint64) *cell {
	p := i / pageWords
	for uint64(len(s.pages)) <= p {
		s.pages = append(s.pages, nil)
	}
	if s.pages[p] == nil {
		s.pages[p] = new([pageWords]cell)
	}
	return &s.pages[p][i%pageWords]
}

// of calls f for the cells of the n bytes from off.
func (s *shadow) of(off, n uint64, f func(c *cell)) {
	for end := off + n; off < end; {
		i := off / 4
		c := s.word(i)
		to := min(end, (i+1)*4)
		if !c.split && to-off == 4 {
			f(c)
		} else {
			parts := s.parts(c, i)
			for ; off < to; off++ {
				f(&parts[off&3])
			}
		}
		off = to
	}
}

func (s *shadow) parts(c *cell, i uint64) *[4]cell {
	if !c.split {
		if s.bytes == nil {
			s.bytes = map[uint64]*[4]cell{}
		}
		parts := &[4]cell{*c, *c, *c, *c}
		for i := 1; i < 4 && c.more != 0; i++ {
			s.more = append(s.more, slices.Clone(s.more[c.more-1]))
			parts[i].more = uint32(len(s.more))
		}
		s.bytes[i] = parts
		c.split = true
	}
	return s.bytes[i]
}

// at is the ith access since the last write.
func (s *shadow) at(c *cell, i uint8) *stamp {
	if i < fewSince {
		return &c.since[i]
	}
	return &s.more[c.more-1][i-fewSince]
}

// add puts one behind the others.
func (s *shadow) add(c *cell, a stamp) {
	if c.n < fewSince {
		c.since[c.n] = a
	} else {
		if c.more == 0 {
			s.more = append(s.more, nil)
			c.more = uint32(len(s.more))
		}
		list := &s.more[c.more-1]
		if i := int(c.n) - fewSince; i < len(*list) {
			(*list)[i] = a
		} else {
			*list = append(*list, a)
		}
	}
	c.n++
}

// clock is what a warp knows.
type clock struct {
	now   uint32   // the time of what it does now
	seen  []uint32 // by warp: up to when its accesses come before this warp's; and by lane, see laneTime
	own   [32]*lore
	full  uint32 // up to when all lanes of the warp itself are ordered
	floor uint32 // up to when everything that the block did comes before this: the least of all these
	part  *[32][32]uint32
	// part[l][m], where it is not nil: up to when what lane m did comes before what
	// lane l does, from barriers of parts of the warp since full.

	wrote  uint32    // lanes that wrote to global memory since full
	fences [2]fences // of the block alone, and wider ones: up to when accesses come before one of this warp
	others known     // as seen, of blocks that this warp has heard from
	heard  known     // others that an atomic operation saw and no wide fence has taken in yet
	near   []uint32  // the same of the own block, for any fence
}

// lore is what one lane of a warp knows and the others do not, as it alone waited
// for a barrier.
type lore struct {
	seen   []uint32
	others known
}

// races is a worker's detector.
type races struct {
	lanes   int // where times of lanes begin, behind those of warps; 0: there are none
	time    uint32
	base    uint32         // when the block began
	proxies [][]proxyFence // by warp
	issue   uint32
	block   uint32
	first   uint32 // the cluster's blocks, to last
	last    uint32
	home    uint32              // the block of the cluster whose shared memory is looked at, if it is not this one
	syncs   map[syncAt]known    // what those had seen that released there
	near    map[syncAt][]uint32 // the same by fences of the block alone
	visits  map[visitor]visit
	shared  shadow
	recent  recent
	warps   []clock
	bars    [16]news     // what those that arrived at a barrier without waiting had seen
	global  *globalRaces // nil: only shared memory is watched
}

// start begins a block of a number of warps, with bytes of shared memory. async
// says that its kernel has asynchronous accesses to that, lanes that a lane alone
// may arrive at a barrier.
func (r *races) start(warps int, shared uint64, async, lanes bool) {
	r.time++
	base := r.time
	r.base = base
	if len(r.warps) != warps {
		n := warps
		if lanes {
			r.lanes, n = warps, 33*warps
		}
		r.warps, r.proxies = make([]clock, warps), make([][]proxyFence, warps)
		for i := range r.warps {
			r.warps[i].seen = make([]uint32, n)
			for s := range r.warps[i].fences {
				r.warps[i].fences[s].times = make([]uint32, n)
			}
		}
	}
	for i := range r.warps {
		c := &r.warps[i]
		for j := range c.seen {
			c.seen[j] = base
		}
		for s := range c.fences {
			c.fences[s].any = false
			clear(c.fences[s].times)
		}
		c.full, c.floor, c.part, c.wrote = base, base, nil, 0
		c.others, c.heard, c.near, c.own = nil, nil, nil, [32]*lore{}
		r.proxies[i] = r.proxies[i][:0]
		c.now = base + 1
	}
	r.time++
	for i := range r.bars {
		r.bars[i] = news{}
	}
	clear(r.visits)
	clear(r.near)
	r.home = 0
	r.recent.begin(shared, async)
	if r.global == nil && len(r.syncs) > 0 {
		clear(r.syncs)
	}
}

// tick separates what a warp does from now on from what it did.
func (r *races) tick(c *clock) {
	r.time++
	c.now = r.time
}

// knows is what a warp has seen, its own accesses included.
func (r *races) knows(warp int, into []uint32) []uint32 {
	c := &r.warps[warp]
	if into == nil {
		into = make([]uint32, len(c.seen))
	}
	for i, t := range c.seen {
		into[i] = max(into[i], t)
	}
	into[warp] = max(into[warp], c.now)
	return into
}

// laneTime is where the time of a lane of a warp is in a clock: what the lane did
// comes before where the warp as a whole may not have.
func (r *races) laneTime(warp, lane int) int { return r.lanes + 32*warp + lane }

// laneKnows is what some lanes of a warp have seen: of their own warp what they
// did, and what all lanes had done when they last met.
func (r *races) laneKnows(warp int, lanes uint32, into []uint32) []uint32 {
	c := &r.warps[warp]
	if into = joined(into, c.seen); r.lanes == 0 {
		into[warp] = max(into[warp], c.now)
		return into
	}
	into[warp] = max(into[warp], c.full)
	for m := lanes; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		if c.own[l] != nil {
			join(into, c.own[l].seen)
		}
		if c.part != nil {
			join(into[r.laneTime(warp, 0):][:32], c.part[l][:])
		}
		into[r.laneTime(warp, l)] = c.now
	}
	return into
}

// share makes what single lanes know known to their warp.
func (c *clock) share() {
	for l, own := range c.own {
		if own != nil {
			join(c.seen, own.seen)
			c.others = union(c.others, own.others)
			c.own[l] = nil
		}
	}
}

// covers reports whether all of a stamp's accesses come before someone with a
// clock, or the private one of a lane (nil: none); else it names a lane whose do
// not.
func (r *races) covers(seen, own []uint32, s *stamp) (other int, ok bool) {
	at := func(i int) (t uint32) {
		if seen != nil {
			t = seen[i]
		}
		if own != nil {
			t = max(t, own[i])
		}
		return t
	}
	if at(int(s.warp)) >= s.time {
		return 0, true
	}
	for m := s.lanes; m != 0; m &= m - 1 {
		if l := bits.TrailingZeros32(m); r.lanes == 0 || at(r.laneTime(int(s.warp), l)) < s.time {
			return l, false
		}
	}
	return 0, true
}

// coversSome is covers for a stamp of a product, each of whose lanes stands for all.
func (r *races) coversSome(seen []uint32, s *stamp) bool {
	for w := int(s.warp); w < int(s.warp)+4 && seen != nil; w++ {
		if seen[w] >= s.time || r.lanes != 0 && slices.Max(seen[r.laneTime(w, 0):][:32]) >= s.time {
			return true
		}
	}
	return false
}

// arrive lets a warp arrive at a barrier without waiting.
func (r *races) arrive(bar, warp int) {
	r.tell(&r.bars[bar], r, warp, math.MaxUint32)
}

// complete joins the warps that waited at a barrier.
func (r *races) complete(bar int, warps []int) {
	r.join(&r.bars[bar], warps)
	r.bars[bar] = news{}
}

// join orders all that warps did, and what others had seen that arrived, before
// what the warps do next.
func (r *races) join(told *news, warps []int) {
	all := told.seen
	for _, w := range warps {
		r.warps[w].share()
		all = r.knows(w, all)
	}
	r.joinFences(warps)
	r.joinOthers(told.others, warps)
	for _, w := range warps {
		c := &r.warps[w]
		copy(c.seen, all)
		c.full, c.part, c.wrote = c.now, nil, 0
		c.floor = min(c.full, slices.Min(c.seen[:len(r.warps)]))
	}
	// The same time for all of them, so that a whole block's floor is the time
	// before its last barrier.
	r.time++
	for _, w := range warps {
		r.warps[w].now = r.time
	}
	if len(warps) == len(r.warps) {
		r.met()
	}
}

// warpSync orders the lanes of a warp, as far as they are members.
func (r *races) warpSync(warp int, members, live uint32) {
	c := &r.warps[warp]
	if members&live == live {
		c.full, c.part, c.wrote = c.now, nil, 0
		c.share()
		r.tick(c)
		return
	}
	r.shareAmong(c, members)
	if c.part == nil {
		c.part = new([32][32]uint32)
	}
	var all [32]uint32
	for m := members; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		for i, t := range c.part[l] {
			all[i] = max(all[i], t)
		}
		all[l] = c.now
	}
	for m := members; m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		c.part[l] = all
	}
	r.tick(c)
}

// shareAmong makes what some lanes of a warp know known to each of them.
func (r *races) shareAmong(c *clock, members uint32) {
	var all *lore
	for m := members; m != 0; m &= m - 1 {
		if own := c.own[bits.TrailingZeros32(m)]; own != nil {
			if all == nil {
				all = new(lore)
			}
			all.seen, all.others = joined(all.seen, own.seen), union(all.others, own.others)
		}
	}
	for m := members; m != 0 && all != nil; m &= m - 1 {
		c.own[bits.TrailingZeros32(m)] = all
	}
}

// barrierOfWarp is bar.warp.sync, once all members are there.
func barrierOfWarp(x *ctx, _ *inst) {
	if x.races == nil {
		return
	}
	for k := range x.n / 32 {
		x.races.warpSync(x.wave.first+x.lane0/32+k, x.mask, x.wave.live[x.lane0/32+k])
	}
}

// ordered reports whether all of a stamp's accesses come before what a lane
// does now; else it names a lane whose do not.
func (r *races) ordered(s *stamp, warp, lane int) (other int, ok bool) {
	c, block := &r.warps[warp], s.block
	if block == 0 {
		block = r.home
	}
	var own lore
	if c.own[lane] != nil {
		own = *c.own[lane]
	}
	switch {
	case s.time == 0 || s.remote && block < r.first:
		return 0, true
	case block != 0 && block != r.block && s.group:
		return 0, r.coversSome(c.others[block], s) || r.coversSome(own.others[block], s)
	case block != 0 && block != r.block:
		return r.covers(c.others[block], own.others[block], s)
	case s.group:
		return 0, r.coversSome(c.seen, s) || r.coversSome(own.seen, s) || warp-int(s.warp) < 4 && warp >= int(s.warp)
	case int(s.warp) != warp:
		return r.covers(c.seen, own.seen, s)
	case s.time <= c.full:
		return 0, true
	}
	for m := s.lanes &^ (1 << lane); m != 0; m &= m - 1 {
		l := bits.TrailingZeros32(m)
		if c.part != nil && c.part[lane][l] >= s.time {
			continue
		}
		mine := *s
		if mine.lanes = 1 << l; r.lanes == 0 {
			return l, false
		} else if _, ok := r.covers(c.seen, own.seen, &mine); !ok {
			return l, false
		}
	}
	return 0, true
}

// A hit is a race: what a stamp's lane did.
type hit struct {
	with  stamp
	lane  int
	wrote bool
	fence bool // they are in order, but for the fence between proxies
}

// values tells what a store leaves of what others stored: nil functions where it
// cannot be told.
type values struct {
	same func(warp, lane int) bool // the lane of this very instruction stores the same
	kept func() bool               // the memory has it already
}

// touch records one lane's access to a cell; found is false where it is in order.
// Threads that store the same value to shared memory by the same instruction do no
// harm, and compilers count on that: Triton has every warp store what all have
// computed. In global memory this is said of a warp's lanes only: warps and blocks
// that do may have forgotten that one of them was to store.
func (r *races) touch(s *shadow, c *cell, mine stamp, lane int, stored values) (h hit, found bool) {
	warp, write, atomic := int(mine.warp), mine.wrote, mine.atomic
	w := &c.write
	if !atomic && w.issue == mine.issue && w.block == mine.block && w.time > r.base {
		// Two lanes of one instruction write: nothing says which stays.
		other := bits.TrailingZeros32(w.lanes)
		own := int(w.warp) == warp
		if write && !(own && other == lane) && (stored.same == nil || !own && mine.block != 0 || !stored.same(int(w.warp), other)) {
			return hit{with: *w, lane: other, wrote: true}, true
		}
	} else if h, found := r.clash(w, &mine, warp, lane); found {
		again := write && !atomic && !h.fence && w.place == mine.place && w.block == 0 && mine.block == 0 && stored.kept != nil
		if !again || !stored.kept() {
			return h, true
		}
	}
	for i := range c.n {
		e := s.at(c, i)
		if (write || e.wrote) && !(atomic && e.atomic) {
			if h, found := r.clash(e, &mine, warp, lane); found && !r.overtaken(s, c, i, warp, lane) {
				return h, true
			}
		}
	}
	if write && !atomic {
		c.write, c.n = mine, 0
		return hit{}, false
	}
	r.note(s, c, mine, r.warps[warp].full)
	return hit{}, false
}

// overtaken reports whether the ith access since the last write is an atomic
// operation of which a lane has heard by another at the same place: the last of
// those that take tickets may reset the counter by a plain store.
func (r *races) overtaken(s *shadow, c *cell, i uint8, warp, lane int) bool {
	if !s.at(c, i).atomic {
		return false
	}
	for i++; i < c.n; i++ {
		if e := s.at(c, i); e.reads {
			if _, ok := r.ordered(e, warp, lane); ok {
				return true
			}
		}
	}
	return false
}

// clash reports an earlier access that does not come before a lane's, or wrote
// what is now accessed through the asynchronous proxy without a fence.
func (r *races) clash(s, mine *stamp, warp, lane int) (h hit, found bool) {
	if other, ok := r.ordered(s, warp, lane); !ok {
		return hit{with: *s, lane: other, wrote: s.wrote}, true
	}
	if s.wrote && mine.proxy == asyncProxy && mine.block == 0 && s.block == 0 && s.proxy == genericProxy && s.time > r.base && !r.fenced(s, warp, lane) {
		return hit{*s, lane0(s), true, true}, true
	}
	return hit{}, false
}

// lane0 is the first lane of a stamp.
func lane0(s *stamp) int { return bits.TrailingZeros32(s.lanes) }

// note records a read or an atomic operation instead of those that it makes
// redundant: earlier ones of the same lanes, of the whole warp up to full, and of
// an earlier block.
func (r *races) note(s *shadow, c *cell, mine stamp, full uint32) {
	n := c.n
	c.n = 0
	for i := range n {
		e := *s.at(c, i)
		if e.block == 0 && r.home == 0 && e.time <= r.base {
			continue
		}
		if e.warp == mine.warp && e.block == mine.block && e.atomic == mine.atomic && e.reads == mine.reads && e.wrote == mine.wrote && e.group == mine.group {
			if e.time == mine.time {
				mine.lanes |= e.lanes
			}
			if e.lanes &^= mine.lanes; e.lanes == 0 || e.time <= full {
				continue
			}
		}
		s.add(c, e)
	}
	if most := uint8(mostSince); c.n == most || mine.block != 0 && c.n == fewSince {
		c.n--
		for i := range c.n {
			*s.at(c, i) = *s.at(c, i+1)
		}
	}
	s.add(c, mine)
}

// watched is the shadow of the region that an access lies in, or nil.
func (x *ctx) watched(r *region) *shadow {
	switch {
	case r.home != nil:
		return &r.home.races.shared
	case x.races.global != nil && !r.shared && r != &x.params && !r.readOnly:
		return x.races.global.of(r)
	}
	return nil
}

// race looks at the view's accesses to bytes [lo, hi) of r, whose addresses are
// in x.addrs.
func (x *ctx) race(in *inst, r *region, lo, hi uint64) {
	s := x.watched(r)
	if s == nil {
		return
	}
	x.races.issue++
	if s == &x.races.shared && x.listed(in, r.base, lo, hi) {
		return
	}
	if m := in.mem; (r.home == nil || r.home == x.worker) && m.bytes%4 == 0 && m.update == nil && !m.strong {
		x.raceWords(in, r, s)
		return
	}
	x.active(func(lane int) { x.raceAt(in, r, s, lane, x.addrs[lane], uint64(in.mem.bytes), 0) })
}

// raceWords is race for plain accesses of whole words: most of them are in order
// by the last barrier of the block, which quick sees.
func (x *ctx) raceWords(in *inst, r *region, s *shadow) {
	m, block, off := in.mem, uint32(0), -r.base
	if r.home == nil {
		block, off = x.races.block, r.initOff-r.base
	}
	for k := range x.n / 32 {
		warp := x.wave.first + x.lane0/32 + k
		c := &x.races.warps[warp]
		addrs := x.addrs[32*k:][:32]
		mine := stamp{time: c.now, block: block, warp: uint16(warp), wrote: m.store, place: in.place, issue: x.races.issue}
		if block != 0 && m.store {
			c.wrote |= x.mask
		}
		for left := x.mask; left != 0; {
			lane := bits.TrailingZeros32(left)
			left &= left - 1
			addr := addrs[lane&31]
			mine.lanes = 1 << lane
			for left != 0 && !m.store && addrs[bits.TrailingZeros32(left)&31] == addr {
				mine.lanes |= left & -left
				left &= left - 1
			}
			first := (addr + off) / 4
			for i := first; i < first+uint64(m.bytes)/4; i++ {
				if !x.races.quick(s, s.word(i), &mine, c.floor, m.store) {
					for l := mine.lanes; l != 0; l &= l - 1 {
						x.raceAt(in, r, s, 32*k+bits.TrailingZeros32(l), addr+4*(i-first), 4, 4*(i-first))
					}
				}
			}
		}
	}
}

// quick records accesses that come after everything in the cell because the
// block has met since; it reports whether that is so.
func (r *races) quick(s *shadow, c *cell, mine *stamp, floor uint32, write bool) bool {
	old := func(s *stamp) bool { return s.time <= floor && (s.block == mine.block || s.time == 0) }
	if c.split || !old(&c.write) {
		return false
	}
	for i := range c.n {
		if e := s.at(c, i); (write || e.wrote) && !old(e) {
			return false
		}
	}
	if write {
		c.write, c.n = *mine, 0
		return true
	}
	for i := range c.n {
		if e := s.at(c, i); e.time == mine.time && e.warp == mine.warp && e.block == mine.block && !e.atomic {
			e.lanes |= mine.lanes
			e.place = mine.place
			return true
		}
	}
	r.note(s, c, *mine, floor)
	return true
}

// raceLane looks at one lane's access to n bytes.
func (x *ctx) raceLane(in *inst, r *region, lane int, addr, n uint64) {
	if s := x.watched(r); s != nil {
		x.races.issue++
		if s == &x.races.shared && x.listedLane(in, lane, addr-r.base, n) {
			return
		}
		x.raceAt(in, r, s, lane, addr, n, 0)
	}
}

// raceAt looks at n bytes of one lane's access, of which skip come before addr.
func (x *ctx) raceAt(in *inst, r *region, s *shadow, lane int, addr, n, skip uint64) {
	m := in.mem
	warp := x.wave.first + (x.lane0+lane)/32
	var stored values
	if m.store && m.update == nil && len(m.regs) > 0 {
		stored.same = func(warp, other int) bool {
			other += 32*(warp-x.wave.first) - x.lane0
			cut := ^uint64(0) >> (64 - 8*min(m.size, 8))
			for i, v := range m.regs {
				if (x.get(v, m.wide[i], lane)^x.get(v, m.wide[i], other))&cut != 0 {
					return false
				}
			}
			return true
		}
		stored.kept = func() bool { return x.isKept(m, lane, r.at(addr), n, skip) }
	}
	block := uint32(0)
	off, at := addr-r.base, syncAt{block: x.races.block, addr: addr - r.base}
	switch {
	case r.home == nil:
		off += r.initOff
		block = x.races.block
		at = syncAt{addr: addr}
		if m.store {
			x.races.warps[warp].wrote |= 1 << (lane & 31)
		}
	case r.home != x.worker:
		block, at.block = x.races.block, r.home.races.block
		x.races.enter(r.home.races, off, n)
	}
	if m.update != nil || m.strong {
		x.races.sync(at, warp, lane&31, m)
	}
	mine := stamp{block: block, atomic: m.update != nil || m.strong, reads: m.update != nil && in.d != noSlot, wrote: m.store, proxy: m.proxy}
	x.raceCells(in, r, s, lane, extent{off, off + n}, mine, stored)
}

// isKept says whether n bytes of memory have what the lane is to store there,
// skip bytes after the first.
func (x *ctx) isKept(m *memOp, lane int, at ptr, n, skip uint64) bool {
	var b [64]byte
	for i, v := range m.regs {
		var element [8]byte
		binary.LittleEndian.PutUint64(element[:], x.get(v, m.wide[i], lane))
		copy(b[uint32(i)*m.size:], element[:m.size])
	}
	return bytes.Equal(unsafe.Slice((*byte)(at), n), b[skip:skip+n])
}

// raceBarrier looks at an operation on a barrier in shared memory, which is like
// an atomic one, or at what makes or ends the barrier, which is like a store. Of
// fences between proxies nothing is asked.
func (x *ctx) raceBarrier(in *inst, m *ctx, at uint64, lane int, atomic bool) {
	if x.races == nil {
		return
	}
	x.races.issue++
	mine := stamp{atomic: atomic, wrote: true}
	if m == x {
		x.races.settle(false)
		x.races.recent.touch(at, at+8, true)
	} else {
		mine.block = x.races.block
		x.races.enter(m.races, at, 8)
	}
	x.raceCells(in, &m.shared, &m.races.shared, lane, extent{at, at + 8}, mine, values{})
}

// raceCells looks at one lane's access to some bytes of a shadow.
func (x *ctx) raceCells(in *inst, r *region, s *shadow, lane int, at extent, mine stamp, stored values) {
	warp := x.wave.first + (x.lane0+lane)/32
	mine.time, mine.lanes, mine.warp = x.races.warps[warp].now, 1<<(lane&31), uint16(warp)
	mine.place, mine.issue, mine.remote = in.place, x.races.issue, x.races.home != 0
	s.of(at.lo, at.hi-at.lo, func(c *cell) {
		if h, found := x.races.touch(s, c, mine, lane&31, stored); found {
			x.raceFault(in, r, lane, r.base+at.lo-r.initOff, h, warp)
		}
	})
	x.races.home = 0
}

// raceFault reports a race between an access of the view and an earlier one.
func (x *ctx) raceFault(in *inst, r *region, lane int, addr uint64, h hit, warp int) {
	did := map[bool]string{false: "read", true: "wrote"}
	before := x.k.code.places[h.with.place]
	t := x.thread(&wave{first: int(h.with.warp)}, h.lane)
	who := fmt.Sprintf("thread (%d,%d,%d)", t[0], t[1], t[2])
	by := h.with.block
	if by == 0 {
		by = x.races.here()
	}
	kind, label, missing := SharedRace, x.k.sharedName(addr-r.base), "a barrier"
	switch {
	case by != x.races.block:
		missing = "a fence, an atomic operation and another fence"
		b, near := x.cluster.id(by)
		if near {
			missing = "the cluster's barrier or another that blocks share"
		} else {
			b = x.races.global.ids[by]
		}
		who = fmt.Sprintf("block (%d,%d,%d), %s", b[0], b[1], b[2], who)
	case int(h.with.warp) == warp:
		missing = "bar.warp.sync or another barrier"
	}
	if r.home == nil {
		kind, label = GlobalRace, text(r.label)
	}
	if h.fence {
		missing = "fence.proxy.async"
	}
	what := fmt.Sprintf("without %s in between", missing)
	if !h.fence && h.with.issue == x.races.issue && int(h.with.warp) == warp && by == x.races.block {
		what = "with another value, by the same instruction"
	}
	at := label
	if at == "" {
		at = "the same memory"
	}
	x.fail(in, kind, lane, addr, in.mem.bytes, label, "%s: %s at line %d (%s) %s it %s",
		at, who, before.pos.Line, x.k.code.text[before.from:before.to], did[h.wrote], what)
}

// sharedVar is a .shared variable's place.
type sharedVar struct {
	name         string
	offset, size uint64 // size 0: up to the end
}

// sharedName says where in which variable an offset into shared memory is.
func (k *Kernel) sharedName(off uint64) string {
	for _, v := range k.sharedVars {
		if off >= v.offset && (v.size == 0 || off < v.offset+v.size) {
			return fmt.Sprintf("%s+%d", v.name, off-v.offset)
		}
	}
	return fmt.Sprintf("shared memory+%d", off)
}

// nameShared notes where the variables of shared memory are.
func (d *decoder) nameShared(vars []*ptx.Var) {
	for _, v := range vars {
		if v.Space == ptx.SharedSpace {
			d.k.sharedVars = append(d.k.sharedVars, sharedVar{v.Name, d.addrs[v], varBytes(v)})
		}
	}
}

// watch prepares the workers of a cluster to look for races in a launch, or not
// to.
func (c *cluster) watch(o Options) {
	var global *globalRaces
	syncs := map[syncAt]known{}
	if o.GlobalRaces {
		global = newGlobalRaces()
	}
	for _, x := range c.members {
		switch {
		case !o.Races && !o.GlobalRaces:
			x.races = nil
			continue
		case x.races == nil || x.races.time > 1<<30:
			x.races = new(races)
		}
		x.races.global, x.races.syncs = global, syncs
		x.races.recent.off = o.allCells || len(c.members) > 1 && x.k.code.remote
	}
}

// startRaces begins a block of a cluster whose first one has this number.
func (x *ctx) startRaces(id [3]uint32, first uint32) {
	warps := 0
	for _, v := range x.blk.waves {
		warps += v.warps
	}
	x.races.first, x.races.last = first, first+uint32(len(x.cluster.members))-1
	x.races.block = first + x.rank
	if g := x.races.global; g != nil {
		g.blocks = max(g.blocks, x.races.last)
		g.ids[x.races.block] = id
	}
	x.races.start(warps, x.shared.size, x.k.code.async, x.k.code.mbars)
}

// joinRaces joins the clocks of those that a barrier lets go on. Warps that have
// ended count as having come to a barrier of the whole block.
func (x *ctx) joinRaces(id int) {
	var warps []int
	for _, v := range x.blk.waves {
		var at [maxLanes / 32]bool
		for _, f := range v.frags {
			for k := range f.warps {
				if f.state == atBarrier && int(f.need) == id {
					at[f.warp+k] = true
				}
			}
		}
		for k := range v.warps {
			if at[k] || v.live[k] == 0 && x.blk.bars[id].count == 0 {
				warps = append(warps, v.first+k)
			}
		}
	}
	x.races.complete(id, warps)
}
