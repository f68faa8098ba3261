package exec

import (
	"unsafe"
)

// cp.async: a copy is made when its thread waits for it, or somebody for the barrier
// at which it arrives, which is as late as PTX allows; its source is read then, too. Until then who touches the
// destination is reported, and so is who of the block overwrites the source.

// asyncCopies is a worker's copies in flight.
type asyncCopies struct {
	threads []asyncThread // of the block
	flying  bitmap        // the bytes of shared memory that are in flight
	sources extent        // around the global memory that they read
	count   int           // copies in flight
}

type asyncThread struct {
	copies []asyncCopy // in the order of their issue
	made   int         // copies before those
	group  uint32      // that is not committed
}

type asyncCopy struct {
	in       *inst
	group    uint32
	from, to *region
	src, dst uint64
	n        uint32 // bytes taken from the source; zeros follow
	arrives  bool   // at a barrier in shared memory, too, for which others may wait
}

// copyAsync is cp.async: from global memory (the instruction in mem.from) to
// shared memory, zeros after the source's size.
func copyAsync(x *ctx, in *inst) {
	m := in.mem
	a := &x.async
	if a.threads == nil {
		a.threads = make([]asyncThread, len(x.blk.waves)*maxLanes)
	}
	if len(a.flying) < len(x.shared.init) {
		a.flying = newBitmap(x.shared.size)
	}
	x.active(func(lane int) {
		n := uint64(m.bytes)
		if in.b != noSlot {
			if s := x.get(in.b, false, lane); s > n {
				x.fail(in, OutOfBounds, lane, 0, 0, "", "cp.async of %d bytes with a source size of %d", n, s)
			} else {
				n = s
			}
		}
		c := asyncCopy{in: in, n: uint32(n)}
		c.to, c.dst = x.lanePlace(in, lane, uint64(m.bytes))
		if c.to != &x.shared && c.to != &x.window {
			x.fail(in, OutOfBounds, lane, c.dst, m.bytes, text(c.to.label), "the destination is not in the block's shared memory")
		}
		if n > 0 {
			c.from, c.src = x.lanePlace(m.from, lane, n)
			if a.sources == (extent{}) {
				a.sources = c.source()
			}
			a.sources = extent{min(a.sources.lo, c.src), max(a.sources.hi, c.src+n)}
		}
		t := x.asyncThread(lane)
		c.group = t.group
		t.copies = append(t.copies, c)
		a.flying.set(c.dst-c.to.base, uint64(m.bytes))
		a.count++
	})
}

func (x *ctx) asyncThread(lane int) *asyncThread {
	return &x.async.threads[32*x.wave.first+x.lane0+lane]
}

// land makes those of a lane's copies that belong to a group before the given
// one.
func (x *ctx) land(lane int, before uint32) {
	if x.async.count == 0 {
		return
	}
	t := x.asyncThread(lane)
	done := 0
	for done < len(t.copies) && int32(t.copies[done].group-before) < 0 {
		if c := &t.copies[done]; !c.arrives {
			x.raceCopy(c, lane)
		}
		done++
	}
	x.landFirst(t, done)
}

// raceCopy notes what a copy writes.
func (x *ctx) raceCopy(c *asyncCopy, lane int) {
	if x.races != nil {
		x.raceLane(c.in, c.to, lane, c.dst, uint64(c.in.mem.bytes))
	}
}

// landFirst makes a thread's first copies.
func (x *ctx) landFirst(t *asyncThread, done int) {
	for i := range done {
		c := &t.copies[i]
		bytes := uint64(c.in.mem.bytes)
		off := c.dst - c.to.base
		x.async.flying.clear(off, bytes)
		to := unsafe.Slice((*byte)(c.to.at(c.dst)), bytes) // checked when it was issued, as is the source
		clear(to[c.n:])
		c.to.init.set(off, bytes)
		if n := uint64(c.n); n > 0 {
			copy(to, unsafe.Slice((*byte)(c.from.at(c.src)), n))
			c.to.init.clear(off, n)
			c.to.init.copyFrom(off, c.from.init, c.src-c.from.base+c.from.initOff, n)
		}
	}
	if x.async.count -= done; x.async.count == 0 {
		x.async.sources = extent{}
	}
	t.made += done
	t.copies = t.copies[:copy(t.copies, t.copies[done:])]
}

// landAll makes all copies of a lane.
func (x *ctx) landAll(lane int) {
	if x.async.count > 0 {
		x.land(lane, x.asyncThread(lane).group+1)
	}
}

// asyncMark is the copies that a thread had issued when it let them arrive at a
// barrier in shared memory.
type asyncMark struct {
	thread *asyncThread
	copies int
}

// left is how many of them are still in flight.
func (m *asyncMark) left() int { return max(m.copies-m.thread.made, 0) }

// mark lets the copies that a lane has in flight arrive at a barrier: they are made
// when somebody waits there. It is nil where there are none.
func (x *ctx) mark(lane int) *asyncMark {
	if x.async.count == 0 {
		return nil
	}
	t := x.asyncThread(lane)
	for i := range t.copies {
		if c := &t.copies[i]; !c.arrives {
			x.raceCopy(c, lane)
			c.arrives = true
		}
	}
	if len(t.copies) == 0 {
		return nil
	}
	return &asyncMark{t, t.made + len(t.copies)}
}

// decodeAsyncGroup is commit_group, wait_group and wait_all.
func decodeAsyncGroup(d *decoder) error {
	n := blank()
	switch {
	case mod(d.in.Mods, "commit_group"):
		n.fn = func(x *ctx, _ *inst) {
			if x.async.threads != nil {
				x.active(func(lane int) { x.asyncThread(lane).group++ })
			}
		}
	case mod(d.in.Mods, "wait_all"):
		n.fn = func(x *ctx, _ *inst) { x.active(x.landAll) }
	default:
		pending := uint32(d.in.Args[0].Imm)
		n.fn = func(x *ctx, _ *inst) {
			if x.async.count > 0 {
				x.active(func(lane int) {
					if t := x.asyncThread(lane); t.group >= pending {
						x.land(lane, t.group-pending)
					}
				})
			}
		}
	}
	d.emit(n)
	return nil
}

// startAsync forgets what an earlier block left.
func (x *ctx) startAsync() {
	a := &x.async
	for i := range a.threads {
		a.threads[i].group, a.threads[i].copies = 0, a.threads[i].copies[:0]
	}
	if a.count > 0 {
		clear(a.flying)
		a.count, a.sources = 0, extent{}
	}
}

// copyMeets reports whether an access to [lo, hi) may touch what copies are to
// write, or store to what they read.
func (x *ctx) copyMeets(in *inst, r *region, lo, hi uint64) bool {
	switch {
	case r.home != nil:
		return r.home.async.count > 0 && !r.home.async.flying.none(lo-r.base, hi-lo)
	case in.mem.store && x.async.count > 0 && x.async.sources.meets(lo, hi):
		for i := range x.async.threads {
			for j := range x.async.threads[i].copies {
				if x.async.threads[i].copies[j].source().meets(lo, hi) {
					return true
				}
			}
		}
	}
	return false
}

// source is the addresses that a copy reads.
func (c *asyncCopy) source() extent { return extent{c.src, c.src + uint64(c.n)} }

// copyInFlight reports an access of a lane that touches what a copy in flight is
// to write, or stores to what it reads.
func (x *ctx) copyInFlight(in *inst, r *region, lane int, addr, n uint64) {
	owner, name := x.worker, x.memoryName(r, addr)
	if r.home != nil {
		owner = r.home
	}
	for i := range owner.async.threads {
		for _, c := range owner.async.threads[i].copies {
			to := extent{c.dst - c.to.base, c.dst - c.to.base + uint64(c.in.mem.bytes)}
			if at := addr - r.base; r.home != nil && !to.meets(at, at+n) || r.home == nil && !c.source().meets(addr, addr+n) {
				continue
			}
			what := "is still in flight"
			if r.home == nil {
				what = "may still read it"
			}
			t := x.thread(&wave{}, i)
			at := x.k.code.places[c.in.place]
			missing := "no cp.async.wait_group of that thread covers it yet"
			if c.arrives {
				missing = "nobody has waited for the barrier at which it arrives"
			}
			x.fail(in, AsyncMisuse, lane, addr, uint32(n), name, "%s: a copy of thread (%d,%d,%d) at line %d (%s) %s: %s",
				name, t[0], t[1], t[2], at.pos.Line, x.k.code.text[at.from:at.to], what, missing)
		}
	}
}

// checkAsyncExit reports threads that end while copies of theirs are in flight:
// nobody can know when the data is there.
func (x *ctx) checkAsyncExit(in *inst) {
	x.active(func(lane int) {
		if c := x.asyncThread(lane).copies; len(c) > 0 && !c[len(c)-1].arrives {
			at := x.k.code.places[c[0].in.place]
			x.fail(in, AsyncMisuse, lane, c[0].dst, c[0].in.mem.bytes, "", "the thread ends with %d copies in flight, the first from line %d (%s)",
				len(c), at.pos.Line, x.k.code.text[at.from:at.to])
		}
	})
}

// none reports whether the n bytes from off are all clear.
func (b bitmap) none(off, n uint64) bool {
	for end := off + n; off < end; off = (off | 63) + 1 {
		m := ^uint64(0) << (off & 63)
		if end <= off|63 {
			m &= 1<<(end&63) - 1
		}
		if b[off>>6]&m != 0 {
			return false
		}
	}
	return true
}
