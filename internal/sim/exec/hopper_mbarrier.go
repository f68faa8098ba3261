package exec

import (
	"fmt"
	"math"
	"math/bits"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Asynchronous barriers in shared memory. What PTX keeps in the 8 bytes of a
// barrier is kept beside it; the bytes count as not initialised, so that a load
// of them, or a store to them, is found.

// mbarrier is one barrier.
type mbarrier struct {
	expected int64  // arrivals of a phase
	pending  int64  // of those, not there yet
	tx       int64  // bytes that are expected and have not come; negative: came early
	phase    uint64 // complete phases
	copies   []*bulkCopy
	came     news // where races are looked for
	complete news // the same, of complete phases
}

const (
	maxArrivals     = 1<<20 - 1
	maxTransactions = 1<<20 - 1
	maxPolls        = 1 << 16 // tests in a row that fail, without any change, before all threads count as waiting
	maxTimeouts     = 8       // times that all waits give up
)

// advance begins the next phase if nothing is missing in this one, and wakes
// who waits.
func (x *ctx) advance(b *mbarrier) {
	x.cluster.timeouts = 0
	b.next()
	for _, v := range x.blk.waves {
		for _, f := range v.frags {
			f.polls = 0
			if f.state == atMbar {
				f.state = ready
			}
		}
	}
}

// next begins the next phase if nothing is missing in this one.
func (b *mbarrier) next() {
	if b.pending == 0 && b.tx == 0 {
		b.phase++
		b.complete = b.came.copy()
		b.pending = b.expected
	}
}

// token is what an arrival returns: the phase, and the count before it.
func (b *mbarrier) token() uint64 { return b.phase<<32 | uint64(b.pending) }

// mbarAddress is where a lane's barrier is: in which block, and where in its
// shared memory.
func (x *ctx) mbarAddress(in *inst, lane int) (m *ctx, at uint64) {
	addr := x.get(in.a, in.wide&wideA != 0, lane) + uint64(in.off)
	if in.wide&wideA == 0 {
		addr &= math.MaxUint32
	}
	if addr&7 != 0 {
		x.fail(in, Misaligned, lane, addr, 8, "", "a barrier's address must be a multiple of 8")
	}
	at = addr
	if in.mem.space == ptx.GenericSpace {
		at -= sharedWindow
	}
	switch {
	case at < rankBytes:
		m = x
	case at < windowBytes && (in.mem.cluster || in.mem.space == ptx.GenericSpace):
		m, at = x.member(at)
	}
	if m == nil || at+8 > m.shared.size {
		x.fail(in, OutOfBounds, lane, addr, 8, "", "not in shared memory that the instruction may address; the block has %d bytes", x.shared.size)
	}
	x.reach(in, m.worker, lane, addr, 8)
	return m, at
}

// mbar finds a lane's barrier, which must be there.
func (x *ctx) mbar(in *inst, lane int) (*ctx, *mbarrier) {
	m, at := x.mbarAddress(in, lane)
	b := m.mbars[at]
	switch {
	case b == nil:
		x.fail(in, BarrierMisuse, lane, at, 8, "", "there is no barrier at this address: nobody executed mbarrier.init (or it was invalidated)")
	case m.shared.init.few(at, 8) != 0:
		x.fail(in, BarrierMisuse, lane, at, 8, "", "the barrier's memory was written to since mbarrier.init")
	}
	x.raceBarrier(in, m, at, lane, true)
	return m, b
}

// mbarText says what is missing at a barrier.
func (x *ctx) mbarText(at uint32) string {
	m, off := x.member(uint64(at))
	if m == nil || m.mbars[off] == nil {
		return fmt.Sprintf("the barrier in shared memory at %#x", off)
	}
	b := m.mbars[off]
	return fmt.Sprintf("the barrier in shared memory at %#x (phase %d: %d of %d arrivals and %d bytes missing)", off, b.phase, b.pending, b.expected, b.tx)
}

// decodeMbarrier: the operation is the first modifier, the address the first
// operand that is one.
func decodeMbarrier(d *decoder) error {
	mods, args := d.in.Mods, d.in.Args
	d.c.mbars = true
	specs := d.form.Specs(len(args))
	if mods[0] == "pending_count" {
		n, _ := scalar(func(a uint64) uint64 { return a & math.MaxUint32 })
		return d.lane(n)
	}
	n := blank()
	n.sink = true
	if specs[0].Dst {
		n = d.intoAny(n, &args[0])
		args, specs = args[1:], specs[1:]
	} else if args[0].Kind == ptx.SinkOperand {
		args, specs = args[1:], specs[1:]
	}
	n.mem = &memOp{space: spaceOf(mods), size: 8, bytes: 8, store: true, cluster: mod(mods, "shared::cluster")}
	d.address(&n, &args[0])
	if len(args) > 1 {
		s, wide, err := d.source(&args[1], specs[1].Type)
		if err != nil {
			return err
		}
		n.b, n.reads = s, append(n.reads, s)
		if wide {
			n.wide |= wideB
		}
	}
	switch mods[0] {
	case "init":
		n.fn = mbarInit
	case "inval":
		n.fn = mbarInval
	case "expect_tx", "complete_tx":
		sign := int64(1)
		if mods[0] == "complete_tx" {
			sign = -1
		}
		n.fn = func(x *ctx, in *inst) {
			x.active(func(lane int) {
				m, b := x.mbar(in, lane)
				x.transact(in, lane, m, b, sign*int64(x.get(in.b, false, lane)))
				x.raceArrive(m, b, lane)
				m.advanceIf(b, sign < 0)
			})
		}
	case "arrive", "arrive_drop":
		n.fn = mbarArrive(mods[0] == "arrive_drop", mod(mods, "expect_tx"), mod(mods, "noComplete"))
	case "test_wait", "try_wait":
		n.ctl = mbarWait
		n.bar = &barOp{blocking: mods[0] == "try_wait", parity: mod(mods, "parity")}
		d.flow(n)
		return nil
	default:
		return d.unknown()
	}
	d.emit(n)
	return nil
}

func mbarInit(x *ctx, in *inst) {
	x.active(func(lane int) {
		m, at := x.mbarAddress(in, lane)
		count := int64(x.get(in.b, false, lane))
		switch {
		case count < 1 || count > maxArrivals:
			x.fail(in, BarrierMisuse, lane, at, 8, "", "a count of %d: must be from 1 to %d", count, maxArrivals)
		case m.mbars[at] != nil:
			x.fail(in, BarrierMisuse, lane, at, 8, "", "there is a barrier already: mbarrier.inval must come first")
		}
		x.raceBarrier(in, m, at, lane, false)
		if m.mbars == nil {
			m.mbars = map[uint64]*mbarrier{}
		}
		m.mbars[at] = &mbarrier{expected: count, pending: count}
		m.shared.init.clear(at, 8)
	})
}

func mbarInval(x *ctx, in *inst) {
	x.active(func(lane int) {
		m, b := x.mbar(in, lane)
		_, at := x.mbarAddress(in, lane)
		if len(b.copies) > 0 {
			x.fail(in, BarrierMisuse, lane, at, 8, "", "%d copies that complete at this barrier are in flight", len(b.copies))
		}
		for _, v := range m.blk.waves {
			for _, f := range v.frags {
				if f.state == atMbar && uint64(f.need) == at {
					x.fail(in, BarrierMisuse, lane, at, 8, "", "threads at line %d wait for this barrier", x.line(f))
				}
			}
		}
		x.raceBarrier(in, m, at, lane, false)
		delete(m.mbars, at)
	})
}

// transact changes the bytes that are missing.
func (x *ctx) transact(in *inst, lane int, m *ctx, b *mbarrier, bytes int64) {
	b.tx += bytes
	if b.tx > maxTransactions || b.tx < -maxTransactions {
		x.fail(in, BarrierMisuse, lane, 0, 0, "", "%d bytes expected at a barrier, at most %d", b.tx, maxTransactions)
	}
}

func (x *ctx) advanceIf(b *mbarrier, change bool) {
	if change {
		x.advance(b)
	}
}

// arrive takes arrivals off what is missing.
func (x *ctx) arrive(in *inst, lane int, m *ctx, b *mbarrier, count int64) {
	if count > b.pending {
		x.fail(in, BarrierMisuse, lane, 0, 0, "", "%d arrivals at a barrier whose phase %d expects %d more of %d", count, b.phase, b.pending, b.expected)
	}
	b.pending -= count
	x.raceArrive(m, b, lane)
	m.advance(b)
}

func mbarArrive(drop, expect, noComplete bool) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		x.active(func(lane int) {
			m, b := x.mbar(in, lane)
			count := int64(1)
			if in.b != noSlot && !expect {
				count = int64(x.get(in.b, false, lane))
			}
			if count < 1 || count > maxArrivals {
				x.fail(in, BarrierMisuse, lane, 0, 0, "", "a count of %d: must be from 1 to %d", count, maxArrivals)
			}
			token := b.token()
			if expect {
				x.transact(in, lane, m, b, int64(x.get(in.b, false, lane)))
			}
			if noComplete && count >= b.pending {
				x.fail(in, BarrierMisuse, lane, 0, 0, "", "%d arrivals would complete the phase, which expects %d more", count, b.pending)
			}
			if drop {
				b.expected -= count
			}
			x.arrive(in, lane, m, b, count)
			if in.d != noSlot {
				x.put(in.d, in.wide&wideD != 0, lane, token)
			}
		})
	}
}

// phaseDone reports whether the phase that a lane waits for is complete.
func (x *ctx) phaseDone(in *inst, lane int, b *mbarrier) bool {
	v := x.get(in.b, in.wide&wideB != 0, lane)
	if in.bar.parity {
		if v > 1 {
			x.fail(in, BarrierMisuse, lane, 0, 0, "", "a parity of %d: must be 0 or 1", v)
		}
		return b.phase&1 != v
	}
	if p := v >> 32; p != b.phase && p+1 != b.phase {
		x.fail(in, BarrierMisuse, lane, 0, 0, "", "a state of phase %d at a barrier in phase %d: only the current phase and the one before can be waited for", p, b.phase)
	}
	return v>>32 != b.phase
}

// mbarWait is test_wait and try_wait. If the phase is not complete, or where races
// are looked for may not be as far as the thread can know, both fail at once the
// first time, as they may, so that a kernel which does not ask again is found. The next time the copies that the barrier waits for are made, as late
// as may be, and try_wait parks a fragment none of whose lanes can go on; if
// nothing else can happen it gives up again.
func (x *ctx) mbarWait(f *frag, in *inst, pc int32) int32 {
	var done [maxLanes / 32]uint32
	var at [maxLanes]*mbarrier
	some := false
	x.active(func(lane int) {
		m, b := x.mbar(in, lane)
		if m != x {
			x.fail(in, BarrierMisuse, lane, 0, 0, "", "a wait for a barrier of another block")
		}
		ok := x.phaseDone(in, lane, b) && (f.polls > 0 || x.raceKnown(b, lane))
		if !ok && len(b.copies) > 0 && f.polls > 0 {
			x.deliver(b)
			ok = x.phaseDone(in, lane, b)
		}
		if ok {
			at[lane] = b
			done[lane/32] |= 1 << (lane & 31)
			some = true
		}
	})
	if x.races != nil {
		for k := range x.n / 32 {
			for left := done[k]; left != 0; {
				first, lanes := at[32*k+bits.TrailingZeros32(left)], uint32(0)
				for m := left; m != 0; m &= m - 1 {
					if l := bits.TrailingZeros32(m); at[32*k+l] == first {
						lanes |= 1 << l
					}
				}
				x.raceWait(first, k, lanes)
				left &^= lanes
			}
		}
	}
	_, place := x.mbarAddress(in, x.firstActive())
	f.need = uint32(place)
	if !some && in.bar.blocking && f.polls > 0 {
		f.pc, f.state = pc, atMbar
		return -1
	}
	if in.d != noSlot {
		for k := range x.n / 32 {
			x.setPred(in.d, k, done[k])
		}
	}
	if some {
		f.polls = 0
		return pc + 1
	}
	f.polls++
	f.pc = pc + 1
	x.yielded = true
	return -1
}

// giveUp lets the try_waits of a cluster in which nothing else can happen
// return false, a few times; false if there are none.
func (c *cluster) giveUp() (some bool) {
	if c.timeouts++; c.timeouts > maxTimeouts {
		return false
	}
	for _, x := range c.members {
		for _, v := range x.blk.waves {
			for _, f := range v.frags {
				if f.state == atMbar {
					f.state, f.polls, some = ready, 0, true
				}
			}
		}
	}
	return some
}

// polling reports whether all threads of the cluster wait, and some of them in
// a loop of test_wait.
func (c *cluster) polling() (some bool) {
	for _, x := range c.members {
		for _, v := range x.blk.waves {
			for _, f := range v.frags {
				if f.state == ready && f.polls < maxPolls {
					return false
				}
				some = some || f.state == ready
			}
		}
	}
	return some
}

// cpOf finds the decoder of the forms of cp that are not cp.async's own.
func cpOf(mods []string) func(d *decoder) error {
	switch {
	case mod(mods, "mbarrier"):
		return decodeCpArrive
	case !mod(mods, "bulk"):
		return nil
	case mod(mods, "prefetch"):
		return func(*decoder) error { return nil }
	case oneOf(mods, "commit_group", "wait_group") != "":
		return decodeBulkGroup
	case mod(mods, "tensor"):
		return decodeTensorCopy
	default:
		return decodeBulk
	}
}

// decodeCpArrive is cp.async.mbarrier.arrive: an arrival when the thread's
// copies so far are complete. Without .noinc it counts as expected first.
func decodeCpArrive(d *decoder) error {
	n := blank()
	n.sink = true
	n.mem = &memOp{space: spaceOf(d.in.Mods), size: 8, bytes: 8, store: true}
	d.address(&n, &d.in.Args[0])
	more := int64(1)
	if mod(d.in.Mods, "noinc") {
		more = 0
	}
	n.fn = func(x *ctx, in *inst) {
		x.active(func(lane int) {
			m, b := x.mbar(in, lane)
			if b.pending += more; b.pending > maxArrivals {
				x.fail(in, BarrierMisuse, lane, 0, 0, "", "a barrier that expects more than %d arrivals", maxArrivals)
			}
			if after := x.mark(lane); after != nil {
				x.await(lane, m, b, &bulkCopy{make: func(*region) { x.landFirst(after.thread, after.left()) }, after: after, fault: x.issued(in, lane)})
			} else {
				x.arrive(in, lane, m, b, 1)
			}
		})
	}
	d.emit(n)
	return nil
}
