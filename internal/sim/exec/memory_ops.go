package exec

import (
	"math"
	"math/bits"
	"sync/atomic"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// memOp is the constant part of a memory instruction. The address is row a
// plus inst.off.
type memOp struct {
	space   ptx.Space
	size    uint32 // bytes of an element
	bytes   uint32 // of a lane's whole access; its alignment
	store   bool
	cluster bool // .shared::cluster: addresses of other blocks too
	strong  bool // volatile, relaxed, acquire, release
	acquire bool // as if a fence followed
	release bool // as if a fence came before
	others  bool // those fences are for other blocks too
	atomic  bool // strong, and others may see it: as one access of the machine
	plain   bool // one element, as wide as its register
	regs    []slot
	wide    []bool // regs are 64-bit rows
	gather  func(x *ctx, d slot, p ptr, lo uint64)
	scatter func(x *ctx, s slot, p ptr, lo uint64)
	part    bool // of an access that is counted elsewhere
	proxy   proxy
	signed  bool   // a load of signed integers
	copies  bool   // a load or store of the copy of a structure: see findCopies
	cut     uint32 // mask of what a register narrower than 32 bits keeps, 0: all
	cache   int
	from    *inst // of cp.async: its global half, with an address of its own
	update  func(x *ctx, in *inst, p unsafe.Pointer, lane int)
	// Of an atomic float32 addition at a generic address, in shared memory: there
	// it flushes no subnormals.
	updateShared func(x *ctx, in *inst, p unsafe.Pointer, lane int)
	halves       bool // a sum of two 16-bit floats
	globalOnly   bool // a generic address must be one of global memory
}

// ordering notes what a memory operation orders besides itself.
func (m *memOp) ordering(mods []string) {
	m.acquire = oneOf(mods, "acquire", "acq_rel") != ""
	m.release = oneOf(mods, "release", "acq_rel") != ""
	m.others = !mod(mods, "cta")
}

// span computes the view's addresses into x.addrs and finds one region that
// holds them all, from lo to hi (exclusive). Where they are in several it
// returns nil, unless the view has one lane only: then the address is wrong,
// which is a fault.
func (x *ctx) span(in *inst) (r *region, lo, hi uint64, contiguous bool) {
	m := in.mem
	var or uint64
	if x.full {
		lo, hi, or, contiguous = x.addressesFull(in)
	} else {
		lo, hi, or = x.addressesPartial(in)
	}
	if or&uint64(m.bytes-1) != 0 {
		x.misaligned(in)
	}
	if x.counts != nil {
		x.count(in)
	}
	hi += uint64(m.bytes)
	if m.space == ptx.LocalSpace || lo-localWindow < windowBytes && hi-localWindow <= windowBytes {
		return x.localSpan(in)
	}
	if m.space == ptx.SharedSpace {
		r = &x.shared
	} else {
		r = x.cache[m.cache]
	}
	if r == nil || !r.holds(lo, hi-lo) || r.stale.Load() {
		if r = x.find(in, lo, hi); r == nil {
			if !x.full && x.mask&(x.mask-1) == 0 {
				x.outOfBounds(in, lo)
			}
			return nil, lo, hi, false
		}
		if r.home != nil {
			x.reachAll(in, r, lo)
		}
	}
	if m.store && r.readOnly {
		x.fail(in, ReadOnly, x.firstActive(), lo, m.bytes, text(r.label), "%s is constant", text(r.label))
	}
	if x.async.count > 0 || x.holding() {
		x.inFlight(in, r, lo, hi)
	}
	if x.races != nil {
		x.race(in, r, lo, hi)
	}
	return r, lo, hi, contiguous
}

// addressesFull is span's pass over the addresses of a full view.
func (x *ctx) addressesFull(in *inst) (lo, hi, or uint64, contiguous bool) {
	off, step := uint64(in.off), uint64(in.mem.bytes)
	if in.wide&wideA == 0 {
		a := row[uint32](x, in.a)
		if vectors.offset32 != nil {
			vectors.offset32(&x.addrs[0], &a[0], uint32(off), len(a), &x.bounds)
			return uint64(x.bounds[0]), uint64(x.bounds[1]), uint64(x.bounds[2]), false
		}
		t := x.addrs[:len(a)]
		lo = uint64(a[0] + uint32(off))
		hi = lo
		next, bad := lo, uint64(0)
		for i, v := range a {
			v := uint64(v + uint32(off))
			t[i] = v
			lo, hi = min(lo, v), max(hi, v)
			or |= v
			bad |= v ^ next
			next += step
		}
		return lo, hi, or, bad == 0
	}
	a := row[uint64](x, in.a)
	t := x.addrs[:len(a)]
	lo = a[0] + off
	var bad uint64
	if vectors.offset64 != nil {
		bad = vectors.offset64(&x.addrs[0], &a[0], off, step, len(a))
	} else {
		next := lo
		for i, v := range a {
			v += off
			t[i] = v
			bad |= v ^ next
			next += step
		}
	}
	if bad == 0 {
		return lo, lo + step*uint64(len(a)-1), lo | step, true
	}
	hi = lo
	for _, v := range t {
		lo, hi = min(lo, v), max(hi, v)
		or |= v
	}
	return lo, hi, or, false
}

func (x *ctx) addressesPartial(in *inst) (lo, hi, or uint64) {
	lo = math.MaxUint64
	wide := in.wide&wideA != 0
	for m := x.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		var v uint64
		if wide {
			v = row[uint64](x, in.a)[i] + uint64(in.off)
		} else {
			v = uint64(row[uint32](x, in.a)[i] + uint32(in.off))
		}
		x.addrs[i] = v
		lo, hi = min(lo, v), max(hi, v)
		or |= v
	}
	return lo, hi, or
}

// find looks up the region of an access and remembers it.
func (x *ctx) find(in *inst, lo, hi uint64) *region {
	var r *region
	switch {
	case in.mem.space == ptx.SharedSpace && !in.mem.cluster:
		return nil
	case in.mem.space == ptx.SharedSpace:
		return x.neighbour(in, lo, hi)
	case lo-sharedWindow-rankBytes < windowBytes-rankBytes:
		return x.neighbour(in, lo-sharedWindow, hi-sharedWindow)
	case lo-paramWindow < windowBytes:
		r = &x.constants
	case in.mem.space == ptx.ParamSpace:
		r = &x.params
	case lo-sharedWindow < windowBytes:
		r = &x.window
	default:
		r = x.mem.region(lo)
	}
	if r == nil || r.state == abi.MemoryDead || !r.holds(lo, hi-lo) {
		return nil
	}
	x.cache[in.mem.cache] = r
	return r
}

// localSpan turns addresses of .local memory, which every thread has its own
// of, into places in the worker's.
func (x *ctx) localSpan(in *inst) (r *region, lo, hi uint64, contiguous bool) {
	size := uint64(x.k.Local)
	first := uint64(x.wave.first*32 + x.lane0)
	lo = math.MaxUint64
	for lane := range x.n {
		if !x.isActive(lane) {
			continue
		}
		v := x.addrs[lane]
		if v >= localWindow {
			v -= localWindow
		}
		if v >= size || uint64(in.mem.bytes) > size-v {
			x.fail(in, OutOfBounds, lane, v, in.mem.bytes, "", "a thread has %d bytes of local memory", size)
		}
		v += size * (first + uint64(lane))
		x.addrs[lane] = v
		lo, hi = min(lo, v), max(hi, v)
	}
	return &x.local, lo, hi + uint64(in.mem.bytes), false
}

func (x *ctx) misaligned(in *inst) {
	for i := range x.n {
		if x.isActive(i) && x.addrs[i]&uint64(in.mem.bytes-1) != 0 {
			b, _ := x.mem.Find(x.addrs[i])
			x.fail(in, Misaligned, i, x.addrs[i], in.mem.bytes, b.Label, "an access of %d bytes needs an address that is a multiple of %d", in.mem.bytes, in.mem.bytes)
		}
	}
}

// outOfBounds reports the single active lane's address.
func (x *ctx) outOfBounds(in *inst, addr uint64) {
	m, lane := in.mem, x.firstActive()
	switch {
	case m.space == ptx.SharedSpace || addr-sharedWindow < windowBytes:
		x.fail(in, OutOfBounds, lane, addr, m.bytes, "", "the block has %d bytes of shared memory", x.shared.size)
	case m.space == ptx.ParamSpace:
		x.fail(in, OutOfBounds, lane, addr, m.bytes, "", "there are %d bytes of parameters", x.params.size)
	}
	kind, detail := x.mem.explain(addr, uint64(m.bytes))
	b, _ := x.mem.Find(addr)
	x.fail(in, kind, lane, addr, m.bytes, b.Label, "%s", detail)
}

// apart runs an instruction for each active lane alone: the way out where the
// lanes' addresses have nothing in common.
func (x *ctx) apart(in *inst) {
	lane0, n, counts := x.lane0, x.n, x.counts
	x.counts = nil // span counted the access
	for i := range n {
		if x.isActive(i) {
			x.within(in, lane0+i&^31, 1<<(i&31))
		}
	}
	x.counts = counts
}

// loadRows is ld.
func loadRows(x *ctx, in *inst) {
	r, lo, hi, contiguous := x.span(in)
	if r == nil {
		x.apart(in)
		return
	}
	m := in.mem
	defined := r.init.all(lo-r.base+r.initOff, hi-lo)
	p := r.at(lo)
	switch {
	case m.atomic && m.size >= 4:
		x.loadAtomic(in, p, lo)
	case contiguous && m.plain && m.size == 4:
		copy(row[uint32](x, m.regs[0]), unsafe.Slice((*uint32)(p), x.n))
	case contiguous && m.plain:
		copy(row[uint64](x, m.regs[0]), unsafe.Slice((*uint64)(p), x.n))
	case len(m.regs) == 4 && m.size == 4 && m.gather == nil && x.full && m.regs[0] >= 0 && m.regs[1] >= 0 && m.regs[2] >= 0 && m.regs[3] >= 0:
		gather4(x, m.regs, p, lo)
	default:
		for c, s := range m.regs {
			if s == noSlot {
				continue
			}
			pc := unsafe.Add(p, c*int(m.size))
			switch {
			case m.gather != nil:
				m.gather(x, s, pc, lo)
			case m.size == 4:
				gather[uint32, uint32](x, s, pc, lo)
			default:
				gather[uint64, uint64](x, s, pc, lo)
			}
			if m.cut != 0 {
				d := row[uint32](x, s)
				for i := range d {
					if x.isActive(i) { // the others' row may be another register
						d[i] &= m.cut
					}
				}
			}
		}
	}
	if !defined {
		x.loadUndefined(in, r)
	}
}

// gather loads one element a lane, M in memory and D in the register. p is
// the address of lo; the lanes' addresses, from lo on, were checked to lie in
// p's allocation.
func gather[M element, D uint32 | uint64](x *ctx, s slot, p ptr, lo uint64) {
	d := row[D](x, s)
	if x.full {
		a := x.addrs[:len(d)]
		for i := range d {
			d[i] = D(*(*M)(unsafe.Add(p, a[i]-lo)))
		}
		return
	}
	for m := x.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		d[i] = D(*(*M)(unsafe.Add(p, x.addrs[i]-lo)))
	}
}

// gather4 loads vectors of four 32-bit elements in a full view.
func gather4(x *ctx, s []slot, p ptr, lo uint64) {
	d0, d1, d2, d3 := row[uint32](x, s[0]), row[uint32](x, s[1]), row[uint32](x, s[2]), row[uint32](x, s[3])
	a := x.addrs[:len(d0)]
	if vectors.gather4 != nil {
		vectors.gather4(&d0[0], &d1[0], &d2[0], &d3[0], p, lo, &a[0], len(d0))
		return
	}
	d1, d2, d3 = d1[:len(d0)], d2[:len(d0)], d3[:len(d0)]
	for i := range d0 {
		v := (*[4]uint32)(unsafe.Add(p, a[i]-lo)) // 16 bytes that were checked
		d0[i], d1[i], d2[i], d3[i] = v[0], v[1], v[2], v[3]
	}
}

type element interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64
}

// scatter stores one element a lane, lowest lane first.
func scatter[M element, D uint32 | uint64](x *ctx, s slot, p ptr, lo uint64) {
	d := row[D](x, s)
	if x.full {
		a := x.addrs[:len(d)]
		for i := range d {
			*(*M)(unsafe.Add(p, a[i]-lo)) = M(d[i])
		}
		return
	}
	for m := x.mask; m != 0; m &= m - 1 {
		i := bits.TrailingZeros32(m) & 31
		*(*M)(unsafe.Add(p, x.addrs[i]-lo)) = M(d[i])
	}
}

// loadUndefined marks the lanes whose elements nobody wrote.
func (x *ctx) loadUndefined(in *inst, r *region) {
	m := in.mem
	from := undefinedValue{in: in, region: r, block: x.blk.id, wave: x.wave}
	x.active(func(lane int) {
		off := x.addrs[lane] - r.base + r.initOff
		for c, s := range m.regs {
			if s == noSlot {
				continue
			}
			n := uint64(m.size)
			if written := r.init.few(off+uint64(c)*n, n); written != 1<<n-1 {
				x.loadedHoles(in, r, s, m.wide[c], lane, written, n)
				from.lanes[(x.lane0+lane)/32] |= 1 << (lane & 31)
				from.addr = x.addrs[lane]
			}
		}
	})
	if from.lanes != [maxLanes / 32]uint32{} {
		x.remember(from)
	}
}

// loadAtomic loads 4- and 8-byte elements so that a thread on another worker
// that waits for them sees them change.
func (x *ctx) loadAtomic(in *inst, p ptr, lo uint64) {
	m := in.mem
	x.active(func(lane int) {
		for c, s := range m.regs {
			if s == noSlot {
				continue
			}
			// Aligned to its size, as checked, in an allocation aligned to 8.
			q := unsafe.Add(p, x.addrs[lane]-lo+uint64(c)*uint64(m.size))
			var v uint64
			if m.size == 8 {
				v = atomic.LoadUint64((*uint64)(q))
			} else if v = uint64(atomic.LoadUint32((*uint32)(q))); in.wide&wideE != 0 {
				v = uint64(int32(v)) // ld.s32 to a 64-bit register
			}
			x.put(s, m.wide[c], lane, v)
		}
	})
}

// storeRows is st.
func storeRows(x *ctx, in *inst) {
	r, lo, hi, contiguous := x.span(in)
	if r == nil {
		x.apart(in)
		return
	}
	m := in.mem
	p := r.at(lo)
	switch {
	case m.atomic && m.size >= 4:
		x.storeAtomic(in, p, lo)
	case contiguous && m.plain && m.size == 4:
		copy(unsafe.Slice((*uint32)(p), x.n), row[uint32](x, m.regs[0]))
	case contiguous && m.plain:
		copy(unsafe.Slice((*uint64)(p), x.n), row[uint64](x, m.regs[0]))
	case len(m.regs) == 4 && m.size == 4 && m.scatter == nil && x.full && vectors.scatter4 != nil:
		s := m.regs
		vectors.scatter4(&row[uint32](x, s[0])[0], &row[uint32](x, s[1])[0], &row[uint32](x, s[2])[0], &row[uint32](x, s[3])[0], p, lo, &x.addrs[0], x.n)
	default:
		for c, s := range m.regs {
			pc := unsafe.Add(p, c*int(m.size))
			switch {
			case m.scatter != nil:
				m.scatter(x, s, pc, lo)
			case m.size == 4:
				scatter[uint32, uint32](x, s, pc, lo)
			default:
				scatter[uint64, uint64](x, s, pc, lo)
			}
		}
	}
	x.written(r, lo, hi, contiguous, m.bytes)
	if x.wave.tainted {
		x.storedHoles(in, r)
	}
}

// written sets the init bits of what the view stored.
func (x *ctx) written(r *region, lo, hi uint64, contiguous bool, bytes uint32) {
	off := lo - r.base + r.initOff
	if contiguous {
		r.init.set(off, hi-lo)
		return
	}
	if r.init.all(off, hi-lo) {
		return
	}
	x.active(func(lane int) { r.init.set(off+x.addrs[lane]-lo, uint64(bytes)) })
}

func (x *ctx) storeAtomic(in *inst, p ptr, lo uint64) {
	m := in.mem
	x.active(func(lane int) {
		for c, s := range m.regs {
			q := unsafe.Add(p, x.addrs[lane]-lo+uint64(c)*uint64(m.size))
			if v := x.get(s, m.wide[c], lane); m.size == 8 {
				atomic.StoreUint64((*uint64)(q), v)
			} else {
				atomic.StoreUint32((*uint32)(q), uint32(v))
			}
		}
	})
}

// updateRows is atom and red: lanes one after the other, lowest first.
func updateRows(x *ctx, in *inst) {
	r, lo, hi, _ := x.span(in)
	if r == nil {
		x.apart(in)
		return
	}
	m := in.mem
	if m.globalOnly && r.shared {
		x.fail(in, OutOfBounds, x.firstActive(), x.addrs[x.firstActive()], m.bytes, "", "an atomic operation on a vector that is not in global memory: use one for each element")
	}
	if !r.init.all(lo-r.base+r.initOff, hi-lo) {
		x.active(func(lane int) {
			if n := uint64(m.bytes); r.init.few(x.addrs[lane]-r.base+r.initOff, n) != 1<<n-1 {
				x.fail(in, Uninitialised, lane, x.addrs[lane], m.bytes, text(r.label), "an atomic operation on memory of %s that nobody wrote", x.memoryName(r, x.addrs[lane]))
			}
		})
	}
	p, update := r.at(lo), m.update
	if r.shared && m.updateShared != nil {
		update = m.updateShared
	}
	if m.halves && r.home != nil && r != &x.shared && r != &x.window {
		x.fail(in, Trap, x.firstActive(), lo, m.bytes, "", "a sum of two 16-bit floats in another block's shared memory, which an H100 adds as one integer: use a loop of atom.cas")
	}
	x.active(func(lane int) { update(x, in, unsafe.Add(p, x.addrs[lane]-lo), lane) })
}

// updater makes the per-lane part of atom: f computes the new value from the
// old one and the operands. The pointer is aligned to the size, as checked.
func updater(size uint32, f fn3) func(x *ctx, in *inst, p unsafe.Pointer, lane int) {
	wide := func(in *inst, bit uint8) bool { return in.wide&bit != 0 }
	operands := func(x *ctx, in *inst, lane int) (b, c uint64) {
		b = x.get(in.b, wide(in, wideB), lane)
		if in.c != noSlot {
			c = x.get(in.c, wide(in, wideC), lane)
		}
		return b, c
	}
	result := func(x *ctx, in *inst, lane int, old uint64) {
		if in.d != noSlot {
			x.put(in.d, wide(in, wideD), lane, old)
		}
	}
	switch size {
	case 8:
		return func(x *ctx, in *inst, p unsafe.Pointer, lane int) {
			b, c := operands(x, in, lane)
			for {
				old := atomic.LoadUint64((*uint64)(p))
				if v := f(old, b, c); atomic.CompareAndSwapUint64((*uint64)(p), old, v) {
					result(x, in, lane, old)
					return
				}
			}
		}
	case 4:
		return func(x *ctx, in *inst, p unsafe.Pointer, lane int) {
			b, c := operands(x, in, lane)
			for {
				old := atomic.LoadUint32((*uint32)(p))
				if v := f(uint64(old), b, c); atomic.CompareAndSwapUint32((*uint32)(p), old, uint32(v)) {
					result(x, in, lane, uint64(old))
					return
				}
			}
		}
	}
	// 16 bits: in the aligned word around them.
	return func(x *ctx, in *inst, p unsafe.Pointer, lane int) {
		b, c := operands(x, in, lane)
		second := uintptr(p) & 2
		w := (*uint32)(unsafe.Add(p, -int(second))) // allocations are whole 64-bit words
		shift := 8 * second
		if bigEndian {
			shift = 16 - shift
		}
		for {
			word := atomic.LoadUint32(w)
			old := uint64(word >> shift & 0xffff)
			v := uint32(f(old, b, c)) & 0xffff
			if atomic.CompareAndSwapUint32(w, word, word&^(0xffff<<shift)|v<<shift) {
				result(x, in, lane, old)
				return
			}
		}
	}
}

// atomics returns what atom does to the old value.
func atomics(mods []string, t ptx.Type, shared bool) fn3 {
	switch op := oneOf(mods, "and", "or", "xor", "exch", "cas", "add", "inc", "dec", "min", "max"); op {
	case "exch":
		return func(_, b, _ uint64) uint64 { return b }
	case "cas":
		w := uint64(math.MaxUint64) >> (64 - t.Bits())
		return func(old, b, c uint64) uint64 {
			if old&w == b&w {
				return c
			}
			return old
		}
	case "inc":
		return func(r, s, _ uint64) uint64 {
			if r >= s&math.MaxUint32 {
				return 0
			}
			return r + 1
		}
	case "dec":
		return func(r, s, _ uint64) uint64 {
			if s &= math.MaxUint32; r == 0 || r > s {
				return s
			}
			return r - 1
		}
	default:
		var f fn2
		if isFloat(t) {
			// Global float32 additions flush subnormals, shared ones do not.
			var how []string
			if t == ptx.F32 && !shared {
				how = []string{"ftz"}
			}
			f, _ = float(op, how, t).(fn2)
		} else {
			f, _ = integer(op, nil, t).(fn2)
		}
		if f == nil {
			return nil
		}
		return func(old, b, _ uint64) uint64 { return f(old, b) }
	}
}

// lanePlace checks one lane's access to n bytes.
func (x *ctx) lanePlace(in *inst, lane int, n uint64) (*region, uint64) {
	r, a := x.laneAddress(in, lane, n)
	x.laneAccess(in, r, lane, a, n)
	return r, a
}

// laneAddress checks that there are n bytes at one lane's address.
func (x *ctx) laneAddress(in *inst, lane int, n uint64) (*region, uint64) {
	m := in.mem
	a := x.get(in.a, in.wide&wideA != 0, lane) + uint64(in.off)
	if in.wide&wideA == 0 {
		a &= math.MaxUint32
	}
	if a&uint64(m.bytes-1) != 0 {
		b, _ := x.mem.Find(a)
		x.fail(in, Misaligned, lane, a, m.bytes, b.Label, "needs an address that is a multiple of %d", m.bytes)
	}
	r := &x.shared
	if m.space != ptx.SharedSpace {
		r = x.cache[m.cache]
	}
	if r == nil || !r.holds(a, n) || r.stale.Load() {
		if r = x.find(in, a, a+n); r == nil {
			x.mask, x.full = 1<<(lane&31), false
			x.lane0 += lane &^ 31
			x.outOfBounds(in, a)
		}
		if r.home != nil {
			x.reach(in, r.home, lane, a, m.bytes)
		}
	}
	return r, a
}

// laneAccess looks at one lane's access to n bytes that are there.
func (x *ctx) laneAccess(in *inst, r *region, lane int, a, n uint64) {
	if x.async.count > 0 || x.holding() {
		x.inFlightAt(in, r, lane, a, n)
	}
	if x.races != nil {
		x.raceLane(in, r, lane, a, n)
	}
}

// ptr is the Go address of device memory.
type ptr = unsafe.Pointer
