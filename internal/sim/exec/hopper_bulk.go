package exec

import (
	"fmt"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Bulk copies. One that completes at a barrier is made when somebody waits
// there, one of a group when its thread waits for the group: as late as they
// may. Until then nobody may touch what they write, nor write what they read.

// bulkCopy is a copy in flight.
type bulkCopy struct {
	bytes int64
	src   *region // what it reads: the memory itself, or a copy of it once its thread has waited for the reading
	at    uint64
	size  uint64
	make  func(src *region)
	by    *inst      // of a group's: the source's holder
	holds [2]*hold   // of the source and the destination; nil: none
	fault *Fault     // where it was issued
	after *asyncMark // no bulk copy but an arrival, which comes after these
	told  *news      // by its thread, where races are looked for
}

// finish makes the copy.
func (c *bulkCopy) finish() {
	c.make(c.src)
	c.release(source)
	c.release(target)
}

func (c *bulkCopy) release(i int) {
	if c.holds[i] != nil {
		c.holds[i].end()
		c.holds[i] = nil
	}
}

// until says what ends the copy's holds.
func (c *bulkCopy) until() string {
	if c.by != nil {
		return "no cp.async.bulk.wait_group of that thread covers it yet"
	}
	return "nobody has waited for the barrier at which it completes"
}

// Of a copy's holds.
const (
	source = iota
	target
)

// hold keeps what the copy reads from those who would write it, or what it
// writes from everybody. No other operation in flight must hold it against that.
func (c *bulkCopy) hold(x *ctx, in *inst, lane, which int, r *region, parts []extent) {
	if len(parts) == 0 {
		return
	}
	l := x.unheld(in, lane, r, parts, which == target)
	c.holds[which] = l.add(&hold{writes: which == target, parts: parts, from: c.fault, until: c.until()})
}

// unheld reports what an operation in flight holds of what another is about to
// read or write.
func (x *ctx) unheld(in *inst, lane int, r *region, parts []extent, store bool) *holds {
	l, base := x.held(r)
	for _, p := range parts {
		if h := l.find(p.lo, p.hi, store); h != nil {
			x.failHeld(in, r, lane, base+p.lo, p.hi-p.lo, h)
		}
	}
	return l
}

// waited goes on with a group's copy once its thread has waited for it, or only
// for the source to be read: that may change from now on, and what the copy
// writes comes later.
func (c *bulkCopy) waited(x *ctx, lane int, reads bool) {
	if c.holds[source] != nil {
		c.release(source)
		if x.races != nil {
			// As if it were read only now: who overwrites it comes after the wait.
			x.raceLane(c.by, c.src, lane, c.at, c.size)
		}
		if reads {
			c.src = c.src.snapshot(c.at, c.size)
		}
	}
	if !reads {
		c.finish()
	}
}

// snapshot copies n bytes from addr of a region, with the swizzle's period
// around them, so that addresses mean the same.
func (r *region) snapshot(addr, n uint64) *region {
	from := (addr - r.base) &^ 1023
	to := min((addr-r.base+n+1023)&^1023, r.size)
	mem := make([]uint64, (to-from)/8+1)
	s := &region{base: r.base + from, size: to - from, data: unsafe.Pointer(&mem[0]), init: newBitmap(to - from), shared: true}
	// Both hold to-from bytes.
	copy(unsafe.Slice((*byte)(s.data), s.size), unsafe.Slice((*byte)(r.at(s.base)), s.size))
	s.init.copyFrom(0, r.init, from+r.initOff, s.size)
	return s
}

// bulkGroups are a thread's copies that complete in groups. Those of the first
// groups that are closed may have been read already.
type bulkGroups struct {
	open   []*bulkCopy
	closed [][]*bulkCopy
}

// bulkOp is the constant part of a bulk copy. Its addresses are instructions of
// their own, of which only the address is used.
type bulkOp struct {
	dst, src inst
	bar      *inst // the barrier at which it completes; nil: a group of the thread's
	size     slot
	mask     slot                         // of a multicast
	update   func(old, new uint64) uint64 // of a reduction
	element  uint32                       // bytes of its elements
}

// holder is an instruction that holds an address.
func (d *decoder) holder(n *inst, o *ptx.Operand, space ptx.Space, bytes uint32, store, cluster bool) inst {
	h := blank()
	h.mem = &memOp{space: space, size: bytes, bytes: bytes, store: store, cluster: cluster, proxy: asyncProxy}
	d.c.async = true
	d.address(&h, o)
	h.place = int32(len(d.c.places) - 1)
	n.reads = append(n.reads, h.reads...)
	return h
}

// input is the row of an operand that n reads.
func (d *decoder) input(n *inst, o *ptx.Operand, t ptx.Type) (slot, error) {
	s, _, err := d.source(o, t)
	n.reads = append(n.reads, s)
	return s, err
}

// decodeBulk is cp.async.bulk and cp.reduce.async.bulk.
func decodeBulk(d *decoder) (err error) {
	args, mods := d.in.Args, d.in.Mods
	n := blank()
	n.sink = true
	toGlobal := mod(mods, "bulk_group")
	space, from := ptx.SharedSpace, ptx.SharedSpace
	if toGlobal {
		space = ptx.GlobalSpace
	} else if mod(mods, "global") {
		from = ptx.GlobalSpace
	}
	anyBlock := mod(mods, "shared::cluster")
	op := &bulkOp{dst: d.holder(&n, &args[0], space, 16, true, anyBlock), src: d.holder(&n, &args[1], from, 16, false, false), mask: noSlot}
	if op.size, err = d.input(&n, &args[2], ptx.U32); err != nil {
		return err
	}
	if !toGlobal {
		bar := d.holder(&n, &args[3], ptx.SharedSpace, 8, true, anyBlock)
		op.bar = &bar
		if mod(mods, "multicast::cluster") {
			d.c.remote = true
			if op.mask, err = d.input(&n, &args[4], ptx.U16); err != nil {
				return err
			}
		}
	}
	if mod(mods, "reduce") {
		t, _ := ptx.TypeByName(mods[len(mods)-1])
		f := atomics(mods, t, false)
		if f == nil {
			return d.unknown()
		}
		op.element, op.update = uint32(t.Size()), func(old, new uint64) uint64 { return f(old, new, 0) }
	}
	n.fn = op.issue
	d.emit(n)
	return nil
}

// issue starts a copy for each active lane.
func (op *bulkOp) issue(x *ctx, in *inst) {
	x.active(func(lane int) {
		n := x.get(op.size, false, lane)
		if n%16 != 0 {
			x.fail(in, Misaligned, lane, 0, 0, "", "a copy of %d bytes: must be a multiple of 16", n)
		}
		if n == 0 {
			return
		}
		src, s := x.lanePlace(&op.src, lane, n)
		dst, a := x.laneAddress(&op.dst, lane, n)
		c := bulkCopy{src: src, at: s, size: n, fault: x.issued(in, lane)}
		if op.bar == nil {
			x.laneAccess(&op.dst, dst, lane, a, n)
			x.defined(in, lane, src, s, n)
			if op.update != nil {
				x.defined(in, lane, dst, a, n)
			}
			c.by, c.make = &op.src, func(src *region) { op.move(dst, a, src, s, n) }
			c.hold(x, in, lane, source, src, x.part(src, s, n))
			op.flight(x, in, lane, &c, dst, a)
			x.start(lane, &c)
			return
		}
		x.eachTarget(in, lane, op.mask, dst, a, n, op.bar, func(to *region, at uint64, m *ctx, b *mbarrier) {
			c := c
			x.targetAccess(&op.dst, m, lane, at, n)
			c.bytes, c.make = int64(n), func(src *region) { op.move(to, at, src, s, n) }
			c.hold(x, in, lane, source, src, x.part(src, s, n))
			op.flight(x, in, lane, &c, to, at)
			x.await(lane, m, b, &c)
		})
	})
}

// defined reports bytes that nobody wrote and that leave the block's shared memory
// for global memory, or take part in a reduction.
func (x *ctx) defined(in *inst, lane int, r *region, a, n uint64) {
	off := a - r.base + r.initOff
	if r.init.all(off, n) {
		return
	}
	for ; r.init.few(off, 1) != 0; off++ {
		a++
	}
	name := x.memoryName(r, a)
	x.fail(in, Uninitialised, lane, a, uint32(n), name, "it copies or reduces memory that nobody wrote: %s", name)
}

// eachTarget calls f for each block that a copy to [a, a+n) goes to, with the
// place there and the barrier.
func (x *ctx) eachTarget(in *inst, lane int, mask slot, dst *region, a, n uint64, bar *inst, f func(to *region, at uint64, m *ctx, b *mbarrier)) {
	off := a - dst.base
	if mask == noSlot {
		m, b := x.mbar(bar, lane)
		if dst.home != m.worker {
			x.fail(in, BarrierMisuse, lane, a, 0, "", "the barrier and the destination are in shared memory of different blocks")
		}
		f(&m.shared, off, m, b)
		return
	}
	ranks := x.get(mask, false, lane) & 0xffff
	if bits.Len64(ranks) > len(x.cluster.members) || ranks == 0 {
		x.fail(in, OutOfBounds, lane, 0, 0, "", "a multicast to blocks %#x of a cluster of %d", ranks, len(x.cluster.members))
	}
	_, at := x.mbarAddress(bar, lane)
	for ; ranks != 0; ranks &= ranks - 1 {
		m := x.cluster.members[bits.TrailingZeros64(ranks)]
		x.reach(in, m.worker, lane, off, uint32(n))
		b := m.mbars[at]
		if b == nil {
			x.fail(in, BarrierMisuse, lane, at, 8, "", "there is no barrier at this address in block %v", m.blk.id)
		}
		f(&m.shared, off, m, b)
	}
}

// targetAccess looks at what a copy is to write of a block's shared memory.
func (x *ctx) targetAccess(in *inst, m *ctx, lane int, at, n uint64) {
	if m == x {
		x.laneAccess(in, &x.shared, lane, at, n)
	} else if x.races != nil {
		x.raceLane(in, &m.shared, lane, at, n)
	}
}

// await adds a copy to those that complete at a barrier.
func (x *ctx) await(lane int, m *ctx, b *mbarrier, c *bulkCopy) {
	if x.races != nil {
		// Who waits for the barrier comes after the copy, as after an arrival.
		c.told = new(news)
		x.races.tell(c.told, m.races, x.wave.first+(x.lane0+lane)/32, 1<<(lane&31))
	}
	b.copies = append(b.copies, c)
}

// start adds a copy to the thread's open group.
func (x *ctx) start(lane int, c *bulkCopy) {
	g := x.bulkGroups(lane)
	g.open = append(g.open, c)
}

func (x *ctx) bulkGroups(lane int) *bulkGroups {
	if x.bulks == nil {
		x.bulks = map[int]*bulkGroups{}
	}
	i := 32*x.wave.first + x.lane0 + lane
	g := x.bulks[i]
	if g == nil {
		g = new(bulkGroups)
		x.bulks[i] = g
	}
	return g
}

// issued is the report of a copy for which nobody waits.
func (x *ctx) issued(in *inst, lane int) *Fault {
	f := &Fault{Kind: AsyncMisuse, Kernel: x.k.Name, Block: x.blk.id, Thread: x.thread(x.wave, x.lane0+lane)}
	f.Pos, f.Instr = x.k.code.at(in)
	return f
}

// flight says that what a copy writes is undefined while it is in flight. A
// reduction needs what is there, and does not mind others.
func (op *bulkOp) flight(x *ctx, in *inst, lane int, c *bulkCopy, dst *region, a uint64) {
	if op.update == nil {
		c.hold(x, in, lane, target, dst, x.part(dst, a, c.size))
		dst.init.clear(a-dst.base+dst.initOff, c.size)
	}
}

// move makes a copy, or a reduction.
func (op *bulkOp) move(dst *region, a uint64, src *region, s, n uint64) {
	if op.update == nil {
		// Both ranges were checked when the copy was issued.
		copy(unsafe.Slice((*byte)(dst.at(a)), n), unsafe.Slice((*byte)(src.at(s)), n))
		dst.init.copyFrom(a-dst.base+dst.initOff, src.init, s-src.base+src.initOff, n)
		return
	}
	for i := uint64(0); i < n; i += uint64(op.element) {
		v := loadElement(src.at(s+i), op.element)
		atomically(dst.at(a+i), op.element, func(old uint64) uint64 { return op.update(old, v) })
	}
}

// loadElement reads an element of 1, 2, 4 or 8 bytes, to whose size p is aligned.
func loadElement(p unsafe.Pointer, size uint32) uint64 {
	switch size {
	case 1:
		return uint64(*(*uint8)(p))
	case 2:
		return uint64(*(*uint16)(p))
	case 4:
		return uint64(*(*uint32)(p))
	}
	return *(*uint64)(p)
}

// atomically replaces an element of 2, 4 or 8 bytes. Memory is made of whole
// 64-bit words, so that the aligned word around 2 bytes is there.
func atomically(p unsafe.Pointer, size uint32, f func(old uint64) uint64) {
	switch size {
	case 8:
		for {
			old := atomic.LoadUint64((*uint64)(p))
			if atomic.CompareAndSwapUint64((*uint64)(p), old, f(old)) {
				return
			}
		}
	case 4:
		for {
			old := atomic.LoadUint32((*uint32)(p))
			if atomic.CompareAndSwapUint32((*uint32)(p), old, uint32(f(uint64(old)))) {
				return
			}
		}
	}
	second := uintptr(p) & 2
	w := (*uint32)(unsafe.Add(p, -int(second)))
	shift := 8 * second
	if bigEndian {
		shift = 16 - shift
	}
	for {
		word := atomic.LoadUint32(w)
		v := uint32(f(uint64(word>>shift&0xffff))) & 0xffff
		if atomic.CompareAndSwapUint32(w, word, word&^(0xffff<<shift)|v<<shift) {
			return
		}
	}
}

// deliver makes the copies that complete at a barrier.
func (x *ctx) deliver(b *mbarrier) {
	list := b.copies
	b.copies = nil
	for _, c := range list {
		c.finish()
		if c.told != nil {
			b.came.pass(c.told)
		}
		if c.after != nil {
			if b.pending == 0 {
				c.fault.Kind, c.fault.Detail = BarrierMisuse, fmt.Sprintf("an arrival at a barrier whose phase %d expects no more of %d", b.phase, b.expected)
				panic(c.fault)
			}
			b.pending--
			b.next()
		}
		if b.tx -= c.bytes; b.tx < -maxTransactions {
			c.fault.Detail = fmt.Sprintf("%d bytes came to a barrier that did not expect them", -b.tx)
			panic(c.fault)
		}
	}
	x.advance(b)
}

// decodeBulkGroup is commit_group and wait_group of bulk copies.
func decodeBulkGroup(d *decoder) error {
	n := blank()
	keep, reads := -1, mod(d.in.Mods, "read")
	if len(d.in.Args) > 0 {
		keep = int(min(d.in.Args[0].Imm, 1<<30))
	}
	n.fn = func(x *ctx, in *inst) {
		x.active(func(lane int) {
			g := x.bulkGroups(lane)
			if keep < 0 {
				g.closed, g.open = append(g.closed, g.open), nil
				return
			}
			for i := range max(0, len(g.closed)-keep) {
				for _, c := range g.closed[i] {
					c.waited(x, lane, reads)
				}
			}
			if !reads && len(g.closed) > keep {
				g.closed = g.closed[len(g.closed)-keep:]
			}
		})
	}
	d.emit(n)
	return nil
}

// checkEnd reports copies from or to a block's shared memory that are in flight
// when its last thread exits.
func (x *ctx) checkEnd() {
	var first *Fault
	found := func(list []*bulkCopy, what string) {
		for _, c := range list {
			if c.after != nil && c.after.left() == 0 {
				continue // the thread has waited itself
			}
			if first == nil || c.fault.Pos.Line < first.Pos.Line {
				first = c.fault
				first.Detail = what
			}
		}
	}
	for _, g := range x.bulks {
		found(g.open, "the block ends without a cp.async.bulk.commit_group and wait_group for this copy")
		for _, list := range g.closed {
			for _, c := range list {
				if c.holds[source] == nil {
					c.finish() // what it reads is read: it need not be waited for
				} else {
					found([]*bulkCopy{c}, "the block ends without a cp.async.bulk.wait_group for this copy")
				}
			}
		}
	}
	for _, g := range x.groups {
		for _, list := range append(g.closed, g.open) {
			for _, p := range list {
				found([]*bulkCopy{{fault: p.fault}}, "the block ends without a wgmma.commit_group and wait_group for this product")
			}
		}
	}
	for _, b := range x.mbars {
		found(b.copies, "the block ends without waiting for the barrier at which this copy completes")
	}
	if first != nil {
		panic(first)
	}
}

// decodeStAsync is st.async, a store to another block's shared memory that
// completes at a barrier there, and red.async, an atomic operation that does.
func decodeStAsync(d *decoder) (err error) {
	args, mods := d.in.Args, d.in.Mods
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	n := blank()
	n.sink = true
	op := &remoteStore{size: uint32(t.Size())}
	for _, o := range elements(&args[1]) {
		s, err := d.input(&n, &o, t)
		if err != nil {
			return err
		}
		op.values = append(op.values, s)
	}
	space := spaceOf(mods) // of both addresses, which are generic where there is none
	op.dst = d.holder(&n, &args[0], space, op.size*uint32(len(op.values)), true, true)
	op.bar = d.holder(&n, &args[2], space, 8, true, true)
	if d.in.Op == "red" {
		if op.update = atomics(mods, t, true); op.update == nil {
			return d.unknown()
		}
		// It is a relaxed operation, for which PTX asks for no fence of proxies.
		op.dst.mem.strong, op.dst.mem.proxy = true, eitherProxy
	}
	n.fn = op.issue
	d.emit(n)
	return nil
}

// remoteStore is the constant part of st.async and red.async.
type remoteStore struct {
	dst, bar inst
	values   []slot
	size     uint32 // bytes of a value
	update   fn3    // of red.async; nil: a store
}

// issue starts the store of each active lane.
func (op *remoteStore) issue(x *ctx, in *inst) {
	total := uint64(op.dst.mem.bytes)
	x.active(func(lane int) {
		to, a := x.laneAddress(&op.dst, lane, total)
		var v [4]uint64
		for i, s := range op.values {
			v[i] = x.get(s, op.size == 8, lane)
		}
		x.eachTarget(in, lane, noSlot, to, a, total, &op.bar, func(to *region, at uint64, m *ctx, b *mbarrier) {
			x.targetAccess(&op.dst, m, lane, at, total)
			c := &bulkCopy{bytes: int64(total), size: total, fault: x.issued(in, lane)}
			if op.update != nil {
				op.reduce(x, in, lane, c, to, at, v[0])
			} else {
				op.store(x, in, lane, c, to, at, v)
			}
			x.await(lane, m, b, c)
		})
	})
}

// store says what a st.async is to write, which is undefined until then.
func (op *remoteStore) store(x *ctx, in *inst, lane int, c *bulkCopy, to *region, at uint64, v [4]uint64) {
	to.init.clear(at, c.size)
	c.hold(x, in, lane, target, to, x.part(to, at, c.size))
	c.make = func(*region) {
		for i := range op.values {
			if p := to.at(at + uint64(i)*uint64(op.size)); op.size == 8 {
				*(*uint64)(p) = v[i] // aligned, and checked by laneAddress
			} else {
				*(*uint32)(p) = uint32(v[i])
			}
		}
		to.init.set(at, c.size)
	}
}

// reduce says what a red.async is to do. It needs what is there, and does not
// mind others.
func (op *remoteStore) reduce(x *ctx, in *inst, lane int, c *bulkCopy, to *region, at, v uint64) {
	x.unheld(in, lane, to, x.part(to, at, c.size), true)
	if !to.init.all(at, c.size) {
		label := x.memoryName(to, at)
		x.fail(in, Uninitialised, lane, at, op.size, label, "an atomic operation on memory of %s that nobody wrote", label)
	}
	c.make = func(*region) {
		atomically(to.at(at), op.size, func(old uint64) uint64 { return op.update(old, v, 0) })
	}
}
