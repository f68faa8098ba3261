package exec

import (
	"fmt"
	"math"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Matrix products of four warps, wgmma. A product is computed when the warps
// wait for its group, as late as it may be: shared memory is read only then.
// Until then who touches the accumulators or the registers of A is reported, and
// who writes to the shared memory that the product reads.
//
// The arithmetic is that of mma.sync on compute capability 9.0 (see
// tensor_arith.go), but for 8-bit floats: 32 products are added at a time, with
// 13 fraction bits, which is also what a float32 result keeps. An H100 agrees
// in every element of the corpus, with the products of several instructions in
// a row added one after the other.

// groupOp is the constant part of a wgmma.mma_async.
type groupOp struct {
	n, k           int
	bytes          int // of an element of A and B
	d, a           []slot
	descA, descB   slot
	scale          slot // predicate; noSlot: scaleD says it
	scaleNot       uint32
	scaleD         bool
	transA, transB bool
	packed         bool // D is float16, two to a register
	reads          inst // stands for what the product reads of shared memory
	fillA, fillB   func(v uint32) (float64, int32)
	dot            func(a, b *groupLines, i, j, k int, c uint32) uint32
}

// groupLines are rows of A or columns of B, as in lines.
type groupLines struct {
	v []float64
	e []int32
}

// warpGroup is what four warps have in flight.
type warpGroup struct {
	fenced [][128]uint32 // what the registers in code.groups held at the last wgmma.fence, or got from a product since; nil: there was none
	acc    []*accumulator
	open   []*groupProduct
	closed [][]*groupProduct
}

// accumulator is registers of 128 threads while products are added to them.
type accumulator struct {
	d         []slot
	v         [][128]uint32
	undefined [][4]uint32 // by register and warp: the lanes whose value is
	left      int         // products in flight
}

// groupProduct is a product in flight.
type groupProduct struct {
	*groupOp
	acc        *accumulator
	atA, atB   []extent // in shared memory
	hold       *hold
	a          [4][128]uint32
	undefinedA [64]bool // rows of A from registers
	scale      bool
	fault      *Fault
}

// decodeWgmma: the first modifier says what it is.
func decodeWgmma(d *decoder) error {
	n := blank()
	n.ctl = groupSync
	switch d.in.Mods[0] {
	case "fence":
		n.fn = func(x *ctx, _ *inst) { x.eachGroup(x.fenceGroup) }
	case "commit_group":
		n.fn = func(x *ctx, _ *inst) {
			x.eachGroup(func(_ int, g *warpGroup) { g.closed, g.open = append(g.closed, g.open), nil })
		}
	case "wait_group":
		keep := int(min(d.in.Args[0].Imm, math.MaxInt32))
		n.fn = func(x *ctx, _ *inst) {
			x.eachGroup(func(at int, g *warpGroup) {
				for len(g.closed) > keep {
					list := g.closed[0]
					g.closed = g.closed[1:]
					for _, p := range list {
						p.compute(x)
						p.hold.end()
						x.busy(at, p.groupOp.a, registerOfA, -1)
						if x.races != nil {
							x.raceProduct(p, at)
						}
					}
					x.retire(at, g)
				}
			})
		}
	default:
		return d.product(n)
	}
	d.flow(n)
	return nil
}

// product decodes wgmma.mma_async.
func (d *decoder) product(n inst) (err error) {
	args, mods := d.in.Args, d.in.Mods
	types := mods[len(mods)-3:]
	op := &groupOp{descA: noSlot, scale: noSlot}
	_, _ = fmt.Sscanf(mods[3], "m64n%dk%d", &op.n, &op.k) // the parser's table has checked it
	op.bytes = 32 / op.k
	op.packed = types[0] == "f16"
	for _, o := range elements(&args[0]) {
		op.d = append(op.d, d.reg(o.Reg))
	}
	d.groupRegisters(op.d)
	n.sink, n.fuel = true, productFuel
	if args[1].Kind == ptx.VectorOperand {
		for _, o := range elements(&args[1]) {
			s, _, err := d.source(&o, ptx.B32)
			if err != nil {
				return err
			}
			op.a = append(op.a, s)
		}
		d.groupRegisters(op.a)
	} else if op.descA, err = d.input(&n, &args[1], ptx.U64); err != nil {
		return err
	}
	if op.descB, err = d.input(&n, &args[2], ptx.U64); err != nil {
		return err
	}
	if o := &args[3]; o.Kind == ptx.RegOperand {
		op.scale, op.scaleNot = d.predicate(o)
		n.reads = append(n.reads, readsPred(op.scale))
	} else {
		op.scaleD = o.Imm != 0
	}
	// A's and B's signs, then which of those in shared memory are transposed.
	var flags [4]int64
	for i := range args[4:] {
		flags[i] = int64(args[4+i].Imm)
	}
	op.transB = flags[2] != 0
	if op.descA != noSlot {
		op.transA, op.transB = flags[2] != 0, flags[3] != 0
	}
	if !op.arithmetic(types, mod(mods, "satfinite"), flags[0] < 0, flags[1] < 0) {
		return d.unknown()
	}
	op.reads = blank()
	op.reads.mem, op.reads.place = &memOp{space: ptx.SharedSpace, size: 16, bytes: 16, proxy: asyncProxy}, int32(len(d.c.places)-1)
	d.c.async = true
	n.fn = op.issue
	d.flow(n)
	return nil
}

// arithmetic chooses the arithmetic of D, A and B's types.
func (op *groupOp) arithmetic(types []string, sat, negA, negB bool) bool {
	if types[0] == "s32" {
		whole := func(name string) func(v uint32) (float64, int32) {
			return func(v uint32) (float64, int32) {
				if name == "s8" {
					return 0, int32(int8(v))
				}
				return 0, int32(uint8(v))
			}
		}
		op.fillA, op.fillB = whole(types[1]), whole(types[2])
		op.dot = func(a, b *groupLines, i, j, k int, c uint32) uint32 {
			total := int64(int32(c))
			for l := range k {
				total += int64(a.e[i+l] * b.e[j+l])
			}
			if sat {
				total = min(max(total, math.MinInt32), math.MaxInt32)
			}
			return uint32(total)
		}
		return true
	}
	s := &tensorSum{a: tensorFormats[types[1]], b: tensorFormats[types[2]], out: tensorFormats[types[0]], group: 16, extra: 2}
	if s.a == nil || s.b == nil || s.out == nil {
		return false
	}
	keep := ^uint32(0)
	switch op.bytes {
	case 4:
		s.group = 8
	case 1:
		s.group, s.extra = 32, 13-23
		if types[0] == "f32" {
			keep <<= 10
		}
	}
	fill := func(f *format, neg bool) func(v uint32) (float64, int32) {
		drop := 8*op.bytes - int(f.bits)
		return func(v uint32) (float64, int32) {
			x, e := f.split(v >> drop)
			if f.finite && e > zeroExponent && e < int32(1-f.bias) {
				e = int32(1 - f.bias) // a subnormal number is not normalised here
			}
			if neg {
				x = -x
			}
			return x, e
		}
	}
	op.fillA, op.fillB = fill(s.a, negA), fill(s.b, negB)
	op.dot = func(a, b *groupLines, i, j, k int, c uint32) uint32 {
		for ; k > 0; k -= s.group {
			n := min(k, s.group)
			c = s.add(a.v[i:i+n], b.v[j:j+n], a.e[i:i+n], b.e[j:j+n], c)
			i, j = i+n, j+n
		}
		if c&0x7fffffff <= 0x7f800000 {
			c &= keep
		}
		return c
	}
	return true
}

// eachGroup calls f for each group of four warps of the view, with its first
// lane in the view.
func (x *ctx) eachGroup(f func(at int, g *warpGroup)) {
	if x.groups == nil {
		x.groups = map[int]*warpGroup{}
	}
	for at := 0; at < x.n; at += 128 {
		i := (32*x.wave.first + x.lane0 + at) / 128
		g := x.groups[i]
		if g == nil {
			g = new(warpGroup)
			x.groups[i] = g
		}
		f(at, g)
	}
}

// issue starts the products of the view's groups.
func (op *groupOp) issue(x *ctx, in *inst) {
	x.eachGroup(func(at int, g *warpGroup) {
		if g.fenced == nil {
			x.fail(in, WarpMisuse, at, 0, 0, "", "wgmma.fence must come before a group's first product")
		}
		p := &groupProduct{groupOp: op, scale: op.scaleD, fault: x.issued(in, at)}
		same := func(s slot) uint64 {
			r := row[uint64](x, s)[at:][:128]
			for i, v := range r {
				if v != r[0] {
					x.fail(in, WarpMisuse, at+i, 0, 0, "", "descriptor %#x here, %#x in the group's first thread", v, r[0])
				}
			}
			return r[0]
		}
		if op.descA != noSlot {
			p.atA = p.places(x, same(op.descA), 64, op.transA)
		}
		p.atB = p.places(x, same(op.descB), op.n, op.transB)
		if op.scale != noSlot {
			m := x.pred(op.scale)[at/32:][:4]
			for i, v := range m {
				if v != m[0] || v+1 > 1 {
					x.fail(in, WarpMisuse, at+32*i, 0, 0, "", "the predicate that scales the accumulators differs between the group's threads")
				}
			}
			p.scale = m[0] != op.scaleNot
		}
		x.checkFenced(in, at, g, op.a)
		for r, s := range op.a {
			copy(p.a[r][:], row[uint32](x, s)[at:])
			if x.wave.tainted {
				for lane := range 128 {
					if *x.undefined(s, (at+lane)/32)>>(lane&31)&1 != 0 {
						p.undefinedA[lane/32*16+lane%32/4+8*(r&1)] = true
					}
				}
			}
		}
		p.acc = x.accumulate(in, at, g, op.d)
		p.acc.left++
		p.take(x, at)
		g.open = append(g.open, p)
	})
}

// groupRegisters notes registers that products use.
func (d *decoder) groupRegisters(list []slot) {
	for _, s := range list {
		if !slices.Contains(d.c.groups, s) {
			d.c.groups = append(d.c.groups, s)
		}
	}
}

// fenceGroup is wgmma.fence: what the group's threads did to registers before it
// comes before the products that follow.
func (x *ctx) fenceGroup(at int, g *warpGroup) {
	if g.fenced == nil {
		g.fenced = make([][128]uint32, len(x.k.code.groups))
	}
	for i, s := range x.k.code.groups {
		copy(g.fenced[i][:], row[uint32](x, s)[at:])
	}
}

// landed says that a product wrote its accumulators, which needs no fence.
func (x *ctx) landed(g *warpGroup, a *accumulator) {
	for i, s := range a.d {
		g.fenced[slices.Index(x.k.code.groups, s)] = a.v[i]
	}
}

// checkFenced reports registers of a product that threads wrote to after the last
// wgmma.fence. That they changed shows it.
func (x *ctx) checkFenced(in *inst, at int, g *warpGroup, list []slot) {
	for _, s := range list {
		before := &g.fenced[slices.Index(x.k.code.groups, s)]
		for i, v := range row[uint32](x, s)[at:][:128] {
			if v != before[i] {
				x.fail(in, WarpMisuse, at+i, 0, 0, "", "a register of the product was written to since the last wgmma.fence: another must come in between")
			}
		}
	}
}

// accumulate finds the accumulators that are in flight, or takes registers that
// are not.
func (x *ctx) accumulate(in *inst, at int, g *warpGroup, d []slot) *accumulator {
	for _, a := range g.acc {
		equal, shared := len(a.d) == len(d), false
		for i, s := range a.d {
			equal = equal && s == d[i]
			for _, t := range d {
				shared = shared || s == t
			}
		}
		if equal {
			return a
		}
		if shared {
			x.fail(in, BarrierMisuse, at, 0, 0, "", "some of the accumulators are in flight with a product of another shape: wgmma.wait_group must come first")
		}
	}
	x.checkFenced(in, at, g, d)
	a := &accumulator{d: d, v: make([][128]uint32, len(d)), undefined: make([][4]uint32, len(d))}
	if !x.wave.tainted {
		x.startTaint(x.wave)
	}
	for i, s := range d {
		copy(a.v[i][:], row[uint32](x, s)[at:])
		for w := range 4 {
			a.undefined[i][w] = *x.undefined(s, at/32+w)
			x.setUndefinedLanes(s, at/32+w, math.MaxUint32, math.MaxUint32)
		}
	}
	x.busy(at, d, accumulates, 1)
	g.acc = append(g.acc, a)
	return a
}

// take keeps what a product reads of shared memory, and its registers of A, from
// those who would write them.
func (p *groupProduct) take(x *ctx, at int) {
	parts := append(p.atA[:len(p.atA):len(p.atA)], p.atB...)
	for _, e := range parts {
		if h := x.holds.find(e.lo, e.hi, false); h != nil {
			x.failHeld(&p.reads, &x.shared, at, e.lo, 16, h)
		}
		if x.copyMeets(&p.reads, &x.shared, e.lo, e.hi) {
			x.copyInFlight(&p.reads, &x.shared, at, e.lo, 16)
		}
	}
	if x.races != nil {
		x.checkProduct(p, at)
	}
	p.hold = x.holds.add(&hold{parts: parts, from: p.fault, until: "no wgmma.wait_group covers it yet"})
	x.busy(at, p.groupOp.a, registerOfA, 1)
}

// Of registers that products in flight use.
const (
	accumulates = iota
	registerOfA
)

// busy counts, for the group of four at a lane of the view, how many products in
// flight use each of some registers.
func (x *ctx) busy(at int, list []slot, how, by int) {
	v := x.wave
	if len(v.busy) != x.k.code.slots {
		v.busy = make([]registerUse, x.k.code.slots)
	}
	for _, s := range list {
		u := &v.busy[s][(x.lane0+at)/128]
		u[how] = uint16(int(u[how]) + by)
	}
	v.inUse += by * len(list)
}

// registerUse is by which group of four of a wave a register is used, and how.
type registerUse [maxLanes / 128][2]uint16

// inProduct reports an instruction that touches registers of a product in
// flight.
func (x *ctx) inProduct(in *inst, warp int) {
	for _, list := range [...][]slot{in.reads, in.sets} {
		for _, s := range list {
			if s < 0 || int(s) >= len(x.wave.busy) {
				continue
			}
			u := x.wave.busy[s][(x.lane0/32+warp)/4]
			what := "accumulates in"
			switch {
			case u[accumulates] > 0:
			case u[registerOfA] > 0:
				what = "reads A from"
			default:
				continue
			}
			from := x.productIn(s, (x.wave.first+x.lane0/32+warp)/4)
			x.fail(in, AsyncMisuse, 32*warp, 0, 0, "", "it touches a register that line %d (%s) %s: no wgmma.wait_group covers that product yet", from.Pos.Line, from.Instr, what)
		}
	}
}

// productIn is where the first product in flight was issued that uses a register.
func (x *ctx) productIn(s slot, group int) *Fault {
	g := x.groups[group]
	for _, list := range append(g.closed[:len(g.closed):len(g.closed)], g.open) {
		for _, p := range list {
			if slices.Contains(p.d, s) || slices.Contains(p.groupOp.a, s) {
				return p.fault
			}
		}
	}
	return new(Fault)
}

// retire puts accumulators that no product in flight adds to back into their
// registers, where nothing else was written to them.
func (x *ctx) retire(at int, g *warpGroup) {
	left := g.acc[:0]
	for _, a := range g.acc {
		if a.left > 0 {
			left = append(left, a)
			continue
		}
		x.busy(at, a.d, accumulates, -1)
		x.landed(g, a)
		for i, s := range a.d {
			r := row[uint32](x, s)[at:][:128]
			for w := range 4 {
				u := x.undefined(s, at/32+w)
				for lane := range 32 {
					if *u>>lane&1 != 0 {
						r[32*w+lane] = a.v[i][32*w+lane]
					}
				}
				*u &= a.undefined[i][w]
			}
		}
	}
	g.acc = left
}

// compute adds the product to its accumulators.
func (p *groupProduct) compute(x *ctx) {
	a, b := newGroupLines(64*p.k), newGroupLines(p.n*p.k)
	undefinedA := p.undefinedA[:]
	if p.groupOp.descA == noSlot {
		p.fromRegisters(a)
	} else {
		undefinedA = p.fromShared(x, p.atA, 64, p.transA, p.fillA, a)
	}
	undefinedB := p.fromShared(x, p.atB, p.n, p.transB, p.fillB, b)
	acc := p.acc
	each, mask, shift := 1, ^uint32(0), 0
	if p.packed {
		each, mask, shift = 2, 0xffff, 16
	}
	for i := range acc.d {
		if !p.scale {
			acc.undefined[i] = [4]uint32{}
		}
		for thread := range 128 {
			v := uint32(0)
			for e := range each {
				at := i*each + e
				r, col := thread/32*16+thread%32/4+8*(at>>1&1), at>>2*8+thread%4*2+at&1
				c := uint32(0)
				if p.scale {
					c = acc.v[i][thread] >> (e * shift) & mask
				}
				v |= p.dot(a, b, r*p.k, col*p.k, p.k, c) << (e * shift)
				if undefinedA[r] || undefinedB[col] {
					acc.undefined[i][thread/32] |= 1 << (thread & 31)
				}
			}
			acc.v[i][thread] = v
		}
	}
	acc.left--
}

func newGroupLines(n int) *groupLines { return &groupLines{make([]float64, n), make([]int32, n)} }

// fromRegisters collects A: as in mma.sync, 16 rows a warp.
func (p *groupProduct) fromRegisters(to *groupLines) {
	per := 4 / p.bytes
	for r := range p.a {
		for thread, v := range p.a[r] {
			row, k := thread/32*16+thread%32/4+8*(r&1), per*(4*(r>>1)+thread%4)
			for i := range per {
				at := row*p.k + k + i
				e := v >> (8 * p.bytes * i)
				if p.bytes < 4 {
					e &= 1<<(8*p.bytes) - 1
				}
				to.v[at], to.e[at] = p.fillA(e)
			}
		}
	}
}

// Descriptors: bits 0 to 13 address, 16 to 29 leading offset, 32 to 45 stride
// offset, all in units of 16 bytes; 49 to 51 base offset; 62 and 63 swizzle.
var descriptorSwizzles = [...]abi.TensorMapSwizzle{abi.TensorMapSwizzleNone, abi.TensorMapSwizzle128B, abi.TensorMapSwizzle64B, abi.TensorMapSwizzle32B}

// places lists where the units of 16 bytes are that a descriptor leads to: rows
// of A or columns of B.
//
// With elements along K together, a unit holds some of one row; rows follow at
// the swizzle's span (16 bytes without one), groups of eight at the stride
// offset; without a swizzle, the second unit of a row is at the leading offset.
// With elements along M or N together (trans), a unit holds eight rows of one
// k; units follow up to the span, then at the leading offset; the k follow at
// the span, groups of eight at the stride offset. Without a swizzle the two
// offsets change their places.
func (p *groupProduct) places(x *ctx, desc uint64, rows int, trans bool) (list []extent) {
	start, leading, stride := desc&0x3fff<<4, desc>>16&0x3fff<<4, desc>>32&0x3fff<<4
	kind := descriptorSwizzles[desc>>62]
	span := [...]uint64{16, 32, 64, 128}[kind]
	// The base offset says by how many times 128 bytes the swizzle's pattern begins
	// past a multiple of its size.
	base := desc >> 49 & 7 << 7
	add := func(at uint64) {
		if at = swizzle(kind, at-base) + base; !x.shared.holds(at, 16) {
			p.fail(OutOfBounds, at, fmt.Sprintf("a descriptor leads to byte %d of shared memory, the block has %d", at, x.shared.size))
		}
		list = append(list, extent{at, at + 16})
	}
	if !trans {
		step := uint64(16)
		if span == 16 {
			step = leading
		}
		for r := range uint64(rows) {
			for u := range uint64(2) {
				add(start + r%8*span + r/8*stride + u*step)
			}
		}
		return list
	}
	if span == 16 {
		leading, stride = stride, leading
	}
	width := span / 16
	for m := range uint64(rows / 8) {
		for k := range uint64(p.k) {
			add(start + m%width*16 + m/width*leading + k%8*span + k/8*stride)
		}
	}
	return list
}

// fromShared collects rows of A or columns of B from shared memory, where places
// has found their units, and says which have elements that nobody wrote.
func (p *groupProduct) fromShared(x *ctx, places []extent, rows int, trans bool, fill func(v uint32) (float64, int32), to *groupLines) (undefined []bool) {
	undefined = make([]bool, rows)
	for n, e := range places {
		unit, ok := (*[16]byte)(x.shared.at(e.lo)), x.shared.init.all(e.lo, 16) // the region holds them
		for i := range 16 / p.bytes {
			row, k := n/2, n%2*16/p.bytes+i
			if trans {
				row, k = n/p.k*8+i, n%p.k
			}
			to.v[row*p.k+k], to.e[row*p.k+k] = fill(p.element(unit, i))
			undefined[row] = undefined[row] || !ok
		}
	}
	return undefined
}

// element is an element of a unit.
func (p *groupProduct) element(u *[16]byte, i int) uint32 {
	switch p.bytes {
	case 1:
		return uint32(u[i])
	case 2:
		return uint32(hostOrder.Uint16(u[2*i:]))
	}
	return hostOrder.Uint32(u[4*i:])
}

// fail reports what is wrong with the product, where it was issued.
func (p *groupProduct) fail(kind FaultKind, addr uint64, detail string) {
	p.fault.Kind, p.fault.Addr, p.fault.Detail = kind, addr, detail
	panic(p.fault)
}
