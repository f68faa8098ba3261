package exec

import (
	"math"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TensorMap is what a tensor map of the simulated device says. Its words are
//
//	0      tensorMapMagic, so that bytes which are no map are seen
//	1      global address
//	2      bytes, low first: data type, rank, interleave, swizzle, L2 promotion, out-of-bounds fill
//	3–7    Dims[i] − 1 (below 2³²) with Box[i] above it (16 bits from 32) and ElementStrides[i] (from 48)
//	8–11   strides in bytes of dimensions 1 to 4
//	12–15  zero
type TensorMap struct {
	Type                abi.TensorMapDataType
	Rank                int
	Address             uint64
	Dims, Strides       [5]uint64 // Strides[i] is of dimension i, in bytes; Strides[0] is not used
	Box, ElementStrides [5]uint32
	Interleave          abi.TensorMapInterleave
	Swizzle             abi.TensorMapSwizzle
	Promotion           abi.TensorMapL2Promotion
	Fill                abi.TensorMapFloatOOBFill
}

const tensorMapMagic = 0x70616d6d69736e74 // "tnsimmap"

// Encode writes a map.
func (t *TensorMap) Encode() (m abi.TensorMap) {
	m[0], m[1] = tensorMapMagic, t.Address
	m[2] = uint64(t.Type) | uint64(t.Rank)<<8 | uint64(t.Interleave)<<16 | uint64(t.Swizzle)<<24 | uint64(t.Promotion)<<32 | uint64(t.Fill)<<40
	for i := range t.Rank {
		m[3+i] = t.Dims[i] - 1 | uint64(t.Box[i])<<32 | uint64(t.ElementStrides[i])<<48
		if i > 0 {
			m[7+i] = t.Strides[i]
		}
	}
	return m
}

// decodeTensorMap reads a map; ok is false for bytes that are none.
func decodeTensorMap(m *abi.TensorMap) (t TensorMap, ok bool) {
	at := func(i int) uint64 { return m[2] >> (8 * i) & 0xff }
	t = TensorMap{Type: abi.TensorMapDataType(at(0)), Rank: int(at(1)), Address: m[1], Interleave: abi.TensorMapInterleave(at(2)),
		Swizzle: abi.TensorMapSwizzle(at(3)), Promotion: abi.TensorMapL2Promotion(at(4)), Fill: abi.TensorMapFloatOOBFill(at(5))}
	if m[0] != tensorMapMagic || t.Rank < 1 || t.Rank > 5 || TensorElementBytes(t.Type) == 0 {
		return t, false
	}
	for i := range t.Rank {
		t.Dims[i], t.Box[i], t.ElementStrides[i] = m[3+i]&math.MaxUint32+1, uint32(m[3+i]>>32&0xffff), uint32(m[3+i]>>48)
		if t.ElementStrides[i] == 0 || t.Box[i] == 0 {
			return t, false
		}
		if i > 0 {
			t.Strides[i] = m[7+i]
		}
	}
	if t.Interleave == abi.TensorMapInterleaveNone {
		t.ElementStrides[0] = 1 // not used
	}
	return t, true
}

var tensorTypes = [...]struct {
	bytes uint64
	t     ptx.Type // of reductions
}{
	abi.TensorMapDataTypeUint8: {1, ptx.U8}, abi.TensorMapDataTypeUint16: {2, ptx.U16}, abi.TensorMapDataTypeUint32: {4, ptx.U32},
	abi.TensorMapDataTypeInt32: {4, ptx.S32}, abi.TensorMapDataTypeUint64: {8, ptx.U64}, abi.TensorMapDataTypeInt64: {8, ptx.S64},
	abi.TensorMapDataTypeFloat16: {2, ptx.F16}, abi.TensorMapDataTypeFloat32: {4, ptx.F32}, abi.TensorMapDataTypeFloat64: {8, ptx.F64},
	abi.TensorMapDataTypeBFloat16: {2, ptx.BF16}, abi.TensorMapDataTypeFloat32FTZ: {4, ptx.F32},
	abi.TensorMapDataTypeTFloat32: {4, ptx.F32}, abi.TensorMapDataTypeTFloat32FTZ: {4, ptx.F32},
}

// TensorElementBytes is an element's size, 0 for a type that the simulated
// device does not have.
func TensorElementBytes(t abi.TensorMapDataType) uint64 {
	if t < 0 || int(t) >= len(tensorTypes) {
		return 0
	}
	return tensorTypes[t].bytes
}

// swizzle permutes the 16-byte units of an address of shared memory.
func swizzle(s abi.TensorMapSwizzle, a uint64) uint64 {
	switch s {
	case abi.TensorMapSwizzle32B:
		return a ^ a>>3&0x10
	case abi.TensorMapSwizzle64B:
		return a ^ a>>3&0x30
	case abi.TensorMapSwizzle128B:
		return a ^ a>>3&0x70
	}
	return a
}

// tensorCopy is the constant part of a copy of a box of a tensor.
type tensorCopy struct {
	tensor, shared inst
	bar            *inst
	mask           slot
	coords         []slot
	reduce         string
}

// decodeTensorCopy is cp.async.bulk.tensor and cp.reduce.async.bulk.tensor.
func decodeTensorCopy(d *decoder) (err error) {
	args, mods := d.in.Args, d.in.Mods
	n := blank()
	n.sink = true
	op := &tensorCopy{mask: noSlot}
	tensor, shared, load, anyBlock := &args[0], &args[1], !mod(mods, "bulk_group"), mod(mods, "shared::cluster")
	if load {
		tensor, shared = &args[1], &args[0]
		bar := d.holder(&n, &args[2], ptx.SharedSpace, 8, true, anyBlock)
		op.bar = &bar
		if mod(mods, "multicast::cluster") {
			d.c.remote = true
			if op.mask, err = d.input(&n, &args[3], ptx.U16); err != nil {
				return err
			}
		}
	}
	if mod(mods, "reduce") {
		op.reduce = oneOf(mods, "add", "min", "max", "inc", "dec", "and", "or", "xor")
	}
	op.shared = d.holder(&n, shared, ptx.SharedSpace, 128, load, anyBlock)
	op.tensor = d.holder(&n, tensor, ptx.GenericSpace, 64, false, false)
	for i := range tensor.Elems {
		s, err := d.input(&n, &tensor.Elems[i], ptx.S32)
		if err != nil {
			return err
		}
		op.coords = append(op.coords, s)
	}
	n.fn = op.issue
	d.emit(n)
	return nil
}

// issue starts a copy for each active lane.
func (op *tensorCopy) issue(x *ctx, in *inst) {
	x.active(func(lane int) {
		m, a := x.lanePlace(&op.tensor, lane, 128)
		t, ok := decodeTensorMap((*abi.TensorMap)(m.at(a))) // 128 bytes, checked
		switch {
		case m == &x.shared || m == &x.window || !m.init.all(a-m.base+m.initOff, 128) || !ok:
			x.fail(in, OutOfBounds, lane, a, 128, text(m.label), "there is no tensor map at this address")
		case t.Rank != len(op.coords):
			x.fail(in, OutOfBounds, lane, a, 128, text(m.label), "%d coordinates for a tensor of %d dimensions", len(op.coords), t.Rank)
		}
		if t.Interleave != abi.TensorMapInterleaveNone {
			x.fail(in, Trap, lane, a, 128, text(m.label), "the simulated device does not have interleaved layouts")
		}
		b := &box{TensorMap: t, unit: TensorElementBytes(t.Type), width: t.Dims[0]}
		moved := b.unit
		for i, s := range op.coords {
			b.first[i] = int64(int32(x.get(s, false, lane)))
			b.count[i] = int64((t.Box[i] + t.ElementStrides[i] - 1) / t.ElementStrides[i])
			moved *= uint64(b.count[i])
			if b.first[i] < 0 && op.bar == nil {
				x.fail(in, Trap, lane, a, 128, text(m.label), "a box stored at coordinate %d of dimension %d: below 0 a GPU loads boxes, and has an illegal instruction where it stores them", b.first[i], i)
			}
		}
		if per := 16 / b.unit; op.bar == nil {
			b.width = (b.width + per - 1) / per * per // an H100 stores 16 bytes whole where some of them are inside
		}
		n := b.footprint()
		if at := uint64(b.first[0]) * TensorElementBytes(t.Type); at%16 != 0 {
			x.fail(in, Misaligned, lane, a, 128, text(m.label), "the box begins %d bytes into the tensor's rows: a GPU takes multiples of 16, and else has an illegal instruction", int64(at))
		}
		b.find(x, in, op, lane)
		to, at := x.laneAddress(&op.shared, lane, n)
		b.eachUnit(at-to.base, func(a, n uint64) {
			if a += to.base; !to.holds(a, n) {
				x.fail(in, OutOfBounds, lane, a, uint32(n), text(to.label), "the box swizzled reaches beyond %s", text(to.label))
			}
		})
		c := bulkCopy{src: to, at: at, size: n, fault: x.issued(in, lane)}
		if op.bar == nil {
			x.laneAccess(&op.shared, to, lane, at, n)
			update := b.reduction(x, in, lane, op.reduce)
			b.defined(x, in, lane, to, at, update != nil)
			c.by, c.make = &op.shared, func(src *region) { b.store(src, at, update) }
			c.hold(x, in, lane, source, to, b.inShared(to, at))
			if op.reduce == "" {
				c.hold(x, in, lane, target, b.global, b.parts)
				for _, p := range b.parts {
					b.global.init.clear(p.lo-b.global.base+b.global.initOff, p.hi-p.lo)
				}
			}
			x.start(lane, &c)
			return
		}
		x.eachTarget(in, lane, op.mask, to, at, n, op.bar, func(to *region, at uint64, m *ctx, bar *mbarrier) {
			c := c
			x.targetAccess(&op.shared, m, lane, at, n)
			b.eachUnit(at, func(a, n uint64) { to.init.clear(a, n) })
			c.bytes, c.make = int64(moved), func(*region) { b.load(to, at) }
			c.hold(x, in, lane, source, b.global, b.parts)
			c.hold(x, in, lane, target, to, b.inShared(to, at))
			x.await(lane, m, bar, &c)
		})
	})
}

// box is a part of a tensor to be copied.
type box struct {
	TensorMap
	first, count [5]int64
	unit         uint64   // bytes of an element
	width        uint64   // elements of the tensor's rows that can be copied
	parts        []extent // the addresses of its elements
	global       *region
}

// line is the bytes of the box's rows, of which those in shared memory begin pitch
// bytes apart: with a swizzle as far as its span, as an H100 has it.
func (b *box) line() (bytes, pitch uint64) {
	bytes = uint64(b.count[0]) * b.unit
	if b.Swizzle == abi.TensorMapSwizzleNone {
		return bytes, bytes
	}
	return bytes, 16 << b.Swizzle
}

// footprint is the bytes of shared memory from the box's first to its last.
func (b *box) footprint() uint64 {
	bytes, pitch := b.line()
	rows := uint64(1)
	for _, n := range b.count[1:b.Rank] {
		rows *= uint64(n)
	}
	return (rows-1)*pitch + bytes
}

// eachUnit calls f for every 16 bytes of the box, which begins at at, with where
// they lie and how many they are.
func (b *box) eachUnit(at uint64, f func(a, n uint64)) {
	bytes, pitch := b.line()
	for row, end := uint64(0), b.footprint(); row < end; row += pitch {
		for off := uint64(0); off < bytes; off += 16 {
			f(swizzle(b.Swizzle, at+row+off), min(16, bytes-off))
		}
	}
}

// inShared is where the box lies in a block's shared memory.
func (b *box) inShared(r *region, at uint64) (list []extent) {
	at -= r.base
	bytes, pitch := b.line()
	if n := b.footprint(); b.Swizzle == abi.TensorMapSwizzleNone || bytes == pitch && (at|n)&127 == 0 {
		return []extent{{at, at + n}} // a swizzle stays within 128 bytes
	}
	b.eachUnit(at, func(a, n uint64) { list = append(list, extent{a, a + n}) })
	return list
}

// each calls f for every element: its global address (where it is inside the
// tensor), its place in the box in shared memory, and whether it is inside.
func (b *box) each(f func(global, at uint64, inside bool)) {
	bytes, pitch := b.line()
	var i [5]int64
	for row := uint64(0); ; row += pitch {
		global, inside := b.Address, true
		for d := 1; d < b.Rank; d++ {
			c := b.first[d] + i[d]*int64(b.ElementStrides[d])
			inside = inside && c >= 0 && uint64(c) < b.Dims[d]
			global += uint64(c) * b.Strides[d]
		}
		for at := uint64(0); at < bytes; at += b.unit {
			c := uint64(b.first[0]) + at/b.unit // wraps below 0, to far outside
			f(global+c*b.unit, row+at, inside && c < b.width)
		}
		d := 1
		for ; d < b.Rank; d++ {
			if i[d]++; i[d] < b.count[d] {
				break
			}
			i[d] = 0
		}
		if d >= b.Rank {
			return
		}
	}
}

// rows are the addresses of the box's elements that are inside the tensor.
func (b *box) rows() (list []extent) {
	b.each(func(g, _ uint64, inside bool) {
		switch last := len(list) - 1; {
		case !inside:
		case last >= 0 && list[last].hi == g:
			list[last].hi += b.unit
		default:
			list = append(list, extent{g, g + b.unit})
		}
	})
	return list
}

// find looks up the memory of the box's elements, which must be in one array.
func (b *box) find(x *ctx, in *inst, op *tensorCopy, lane int) {
	lo, hi := uint64(math.MaxUint64), uint64(0)
	b.parts = b.rows()
	for _, p := range b.parts {
		lo, hi = min(lo, p.lo), max(hi, p.hi)
	}
	if lo > hi {
		return // all of it lies outside
	}
	r := x.mem.region(lo)
	if r == nil || r.state == abi.MemoryDead || !r.holds(lo, hi-lo) {
		kind, detail := x.mem.explain(lo, hi-lo)
		x.fail(in, kind, lane, lo, uint32(hi-lo), "", "the tensor's memory: %s", detail)
	}
	if op.bar == nil && r.readOnly {
		x.fail(in, ReadOnly, lane, lo, uint32(hi-lo), text(r.label), "%s is constant", text(r.label))
	}
	b.global = r
}

// load copies the box to shared memory, which at is an address of.
func (b *box) load(to *region, at uint64) {
	outside := uint64(0)
	if b.Fill == abi.TensorMapFloatOOBFillNaNRequestZeroFMA {
		outside = 0x7ff77ff77ff77ff7 >> (64 - 8*b.unit) // the NaN that fma.oob looks for, whatever the type
	}
	b.each(func(g, off uint64, inside bool) {
		a := swizzle(b.Swizzle, at+off)
		v := outside
		if inside {
			v = b.convert(loadElement(b.global.at(g), uint32(b.unit)))
		}
		storeElement(to.at(a), b.unit, v)
		if inside {
			to.init.copyFrom(a, b.global.init, g-b.global.base+b.global.initOff, b.unit)
		} else {
			to.init.set(a, b.unit)
		}
	})
}

// convert is what a load does to the elements of some types. The types that flush
// subnormal numbers keep them in a load, as an H100 does.
func (b *box) convert(v uint64) uint64 {
	switch b.Type {
	case abi.TensorMapDataTypeTFloat32, abi.TensorMapDataTypeTFloat32FTZ:
		if v&0x7fffffff > 0x7f800000 {
			return formatTF32.nan << 13
		}
		if v>>23&0xff != 0xff { // to nearest, even on a tie
			v += 0xfff + v>>13&1
		}
		return v &^ 0x1fff & math.MaxUint32
	}
	return v
}

// store copies the box from shared memory, or reduces it into the tensor.
func (b *box) store(from *region, at uint64, update func(old, v uint64) uint64) {
	b.each(func(g, off uint64, inside bool) {
		if !inside {
			return
		}
		a := swizzle(b.Swizzle, at-from.base+off) + from.base
		v := loadElement(from.at(a), uint32(b.unit))
		if update != nil {
			atomically(b.global.at(g), uint32(b.unit), func(old uint64) uint64 { return update(old, v) })
			return
		}
		storeElement(b.global.at(g), b.unit, v)
		b.global.init.copyFrom(g-b.global.base+b.global.initOff, from.init, a-from.base+from.initOff, b.unit)
	})
}

// defined reports elements inside the tensor that are stored or reduced and have no
// value.
func (b *box) defined(x *ctx, in *inst, lane int, from *region, at uint64, reduced bool) {
	b.each(func(g, off uint64, inside bool) {
		if !inside {
			return
		}
		x.defined(in, lane, from, swizzle(b.Swizzle, at-from.base+off)+from.base, b.unit)
		if reduced {
			x.defined(in, lane, b.global, g, b.unit)
		}
	})
}

// reduction is what cp.reduce does to an element; nil for a copy.
func (b *box) reduction(x *ctx, in *inst, lane int, op string) func(old, v uint64) uint64 {
	if op == "" {
		return nil
	}
	t := tensorTypes[b.Type].t
	if oneOf([]string{op}, "and", "or", "xor") != "" && b.unit >= 4 {
		t = [...]ptx.Type{4: ptx.B32, 8: ptx.B64}[b.unit]
	}
	var f fn3
	if b.unit > 1 && t != ptx.U16 {
		f = atomics([]string{op}, t, false)
	}
	if f == nil {
		x.fail(in, Trap, lane, 0, 0, "", "the simulated device has no reduction .%s of this tensor's elements", op)
	}
	return func(old, v uint64) uint64 { return f(old, v, 0) }
}

// storeElement writes an element, to whose size p is aligned.
func storeElement(p unsafe.Pointer, size, v uint64) {
	switch size {
	case 1:
		*(*uint8)(p) = uint8(v)
	case 2:
		*(*uint16)(p) = uint16(v)
	case 4:
		*(*uint32)(p) = uint32(v)
	default:
		*(*uint64)(p) = v
	}
}
