package exec

import (
	"math"
	"unsafe"
)

// The loops over lanes. Those here are typed, for the operations that kernels
// spend their time in; all others go through lanes1, lanes2 and lanes3, which
// call a scalar function for each lane.

// operand reads lanes of a row of either width.
type operand struct {
	narrow []uint32
	wide   []uint64
}

func (x *ctx) operand(s slot, wide bool) operand {
	if wide {
		return operand{wide: row[uint64](x, s)}
	}
	return operand{narrow: row[uint32](x, s)}
}

func (o *operand) at(i int) uint64 {
	if o.wide != nil {
		return o.wide[i]
	}
	return uint64(o.narrow[i])
}

// result is where lanes1, lanes2 and lanes3 write.
func (x *ctx) result(in *inst) operand {
	if in.wide&wideD != 0 {
		return operand{wide: dst[uint64](x, in.d)}
	}
	return operand{narrow: dst[uint32](x, in.d)}
}

func (o *operand) set(i int, v uint64) {
	if o.wide != nil {
		o.wide[i] = v
	} else {
		o.narrow[i] = uint32(v)
	}
}

func lanes1(x *ctx, in *inst) {
	d, a := x.result(in), x.operand(in.a, in.wide&wideA != 0)
	for i := range x.n {
		d.set(i, in.f1(a.at(i)))
	}
}

func lanes2(x *ctx, in *inst) {
	d, a, b := x.result(in), x.operand(in.a, in.wide&wideA != 0), x.operand(in.b, in.wide&wideB != 0)
	for i := range x.n {
		d.set(i, in.f2(a.at(i), b.at(i)))
	}
}

func lanes3(x *ctx, in *inst) {
	d, a, b, c := x.result(in), x.operand(in.a, in.wide&wideA != 0), x.operand(in.b, in.wide&wideB != 0), x.operand(in.c, in.wide&wideC != 0)
	for i := range x.n {
		d.set(i, in.f3(a.at(i), b.at(i), c.at(i)))
	}
}

type integers interface {
	uint32 | int32 | uint64 | int64
}

func add[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func sub[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] - b[i]
	}
}

func mul[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func mulUpper(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[uint32](x, in.a), row[uint32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = uint32(uint64(a[i]) * uint64(b[i]) >> 32)
	}
}

func mad[T integers](x *ctx, in *inst) {
	d, a, b, c := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b), row[T](x, in.c)
	a, b, c = a[:len(d)], b[:len(d)], c[:len(d)]
	for i := range d {
		d[i] = a[i]*b[i] + c[i]
	}
}

func mulWide[N uint32 | int32, W uint64 | int64](x *ctx, in *inst) {
	d, a, b := dst[W](x, in.d), row[N](x, in.a), row[N](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = W(a[i]) * W(b[i])
	}
}

func madWide[N uint32 | int32, W uint64 | int64](x *ctx, in *inst) {
	d, a, b, c := dst[W](x, in.d), row[N](x, in.a), row[N](x, in.b), row[W](x, in.c)
	a, b, c = a[:len(d)], b[:len(d)], c[:len(d)]
	for i := range d {
		d[i] = W(a[i])*W(b[i]) + c[i]
	}
}

func and[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] & b[i]
	}
}

func or[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] | b[i]
	}
}

func xor[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] ^ b[i]
	}
}

func not[T integers](x *ctx, in *inst) {
	d, a := dst[T](x, in.d), row[T](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = ^a[i]
	}
}

// Go's shifts clamp at the width as PTX's do.

func shl[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[uint32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] << b[i]
	}
}

func shr[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[uint32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] >> b[i]
	}
}

func minimum[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = min(a[i], b[i])
	}
}

func maximum[T integers](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = max(a[i], b[i])
	}
}

func move[T uint32 | uint64](x *ctx, in *inst) {
	copy(dst[T](x, in.d), row[T](x, in.a))
}

// widen is cvt between integer widths.
func widen[D, S integers](x *ctx, in *inst) {
	d, a := dst[D](x, in.d), row[S](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = D(a[i])
	}
}

// selectRow is selp: off is all ones where the predicate is negated.
func selectRow[T uint32 | uint64](x *ctx, in *inst) {
	d, a, b, p := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b), x.pred(in.c)
	for k, m := range p {
		m ^= uint32(in.off)
		dk, ak, bk := d[32*k:][:32], a[32*k:][:32], b[32*k:][:32]
		for i := range dk {
			v := bk[i]
			if m>>i&1 != 0 {
				v = ak[i]
			}
			dk[i] = v
		}
	}
}

// canonical is the NaN that float32 instructions give.
const canonical = 0x7fffffff

func canon(v float32) uint32 {
	if v != v {
		return canonical
	}
	return math.Float32bits(v)
}

func addF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[float32](x, in.a), row[float32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = canon(a[i] + b[i])
	}
}

func subF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[float32](x, in.a), row[float32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = canon(a[i] - b[i])
	}
}

func mulF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[float32](x, in.a), row[float32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = canon(a[i] * b[i])
	}
}

func divF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[float32](x, in.a), row[float32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = canon(a[i] / b[i])
	}
}

func rcpF32(x *ctx, in *inst) {
	d, a := dst[uint32](x, in.d), row[float32](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = canon(1 / a[i])
	}
}

func sqrtF32(x *ctx, in *inst) {
	d, a := dst[uint32](x, in.d), row[float32](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = canon(float32(math.Sqrt(float64(a[i]))))
	}
}

func fmaF32(x *ctx, in *inst) {
	d, a, b, c := dst[uint32](x, in.d), row[float32](x, in.a), row[float32](x, in.b), row[float32](x, in.c)
	a, b, c = a[:len(d)], b[:len(d)], c[:len(d)]
	for i := range d {
		// fma32, with the rare cases out of line.
		p := float64(float64(a[i]) * float64(b[i]))
		s := p + float64(c[i])
		v := math.Float64bits(s)
		if v&(1<<29-1) == 1<<28 || v<<1 < 0x3810000000000000<<1 || s != s {
			d[i] = canon(fma32(a[i], b[i], c[i]))
			continue
		}
		d[i] = math.Float32bits(float32(s))
	}
}

func minF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[uint32](x, in.a), row[uint32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		u, v := math.Float32frombits(a[i]), math.Float32frombits(b[i])
		switch {
		case u < v:
			d[i] = a[i]
		case v < u:
			d[i] = b[i]
		default:
			d[i] = uint32(in.f2(uint64(a[i]), uint64(b[i])))
		}
	}
}

func maxF32(x *ctx, in *inst) {
	d, a, b := dst[uint32](x, in.d), row[uint32](x, in.a), row[uint32](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		u, v := math.Float32frombits(a[i]), math.Float32frombits(b[i])
		switch {
		case u > v:
			d[i] = a[i]
		case v > u:
			d[i] = b[i]
		default:
			d[i] = uint32(in.f2(uint64(a[i]), uint64(b[i])))
		}
	}
}

func addF64(x *ctx, in *inst) {
	d, a, b := dst[float64](x, in.d), row[float64](x, in.a), row[float64](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] + b[i]
	}
}

func subF64(x *ctx, in *inst) {
	d, a, b := dst[float64](x, in.d), row[float64](x, in.a), row[float64](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] - b[i]
	}
}

func mulF64(x *ctx, in *inst) {
	d, a, b := dst[float64](x, in.d), row[float64](x, in.a), row[float64](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] * b[i]
	}
}

func divF64(x *ctx, in *inst) {
	d, a, b := dst[float64](x, in.d), row[float64](x, in.a), row[float64](x, in.b)
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i] / b[i]
	}
}

func fmaF64(x *ctx, in *inst) {
	d, a, b, c := dst[float64](x, in.d), row[float64](x, in.a), row[float64](x, in.b), row[float64](x, in.c)
	a, b, c = a[:len(d)], b[:len(d)], c[:len(d)]
	for i := range d {
		d[i] = math.FMA(a[i], b[i], c[i])
	}
}

func f64FromF32(x *ctx, in *inst) {
	d, a := dst[float64](x, in.d), row[float32](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = float64(a[i])
	}
}

func f32FromF64(x *ctx, in *inst) {
	d, a := dst[uint32](x, in.d), row[float64](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = canon(float32(a[i]))
	}
}

func f32FromInt[T uint32 | int32 | int64](x *ctx, in *inst) {
	d, a := dst[uint32](x, in.d), row[T](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = math.Float32bits(float32(a[i]))
	}
}

func f64FromInt[T uint32 | int32](x *ctx, in *inst) {
	d, a := dst[float64](x, in.d), row[T](x, in.a)
	a = a[:len(d)]
	for i := range d {
		d[i] = float64(a[i])
	}
}

// signBit is neg and abs: b holds a mask in off, to flip or to clear.
func flipSign[T uint32 | uint64](x *ctx, in *inst) {
	d, a := dst[T](x, in.d), row[T](x, in.a)
	top := ^(^T(0) >> 1)
	a = a[:len(d)]
	for i := range d {
		d[i] = a[i] ^ top
	}
}

func clearSign[T uint32 | uint64](x *ctx, in *inst) {
	d, a := dst[T](x, in.d), row[T](x, in.a)
	rest := ^T(0) >> 1
	a = a[:len(d)]
	for i := range d {
		d[i] = a[i] & rest
	}
}

// copySign takes the sign of a and the rest of b.
func copySign[T uint32 | uint64](x *ctx, in *inst) {
	d, a, b := dst[T](x, in.d), row[T](x, in.a), row[T](x, in.b)
	rest := ^T(0) >> 1
	a, b = a[:len(d)], b[:len(d)]
	for i := range d {
		d[i] = a[i]&^rest | b[i]&rest
	}
}

// fast holds the typed loops by mnemonic. Each gives what the scalar function
// of its mnemonic gives.
var fast = map[string]func(x *ctx, in *inst){
	"add.u32": add[uint32], "add.s32": add[uint32], "add.u64": add[uint64], "add.s64": add[uint64],
	"sub.u32": sub[uint32], "sub.s32": sub[uint32], "sub.u64": sub[uint64], "sub.s64": sub[uint64],
	"mul.lo.u32": mul[uint32], "mul.lo.s32": mul[uint32], "mul.lo.u64": mul[uint64], "mul.lo.s64": mul[uint64], "mul.hi.u32": mulUpper,
	"mad.lo.u32": mad[uint32], "mad.lo.s32": mad[uint32], "mad.lo.u64": mad[uint64], "mad.lo.s64": mad[uint64],
	"mul.wide.u32": mulWide[uint32, uint64], "mul.wide.s32": mulWide[int32, int64],
	"mad.wide.u32": madWide[uint32, uint64], "mad.wide.s32": madWide[int32, int64],
	"and.b32": and[uint32], "and.b64": and[uint64], "or.b32": or[uint32], "or.b64": or[uint64],
	"xor.b32": xor[uint32], "xor.b64": xor[uint64], "not.b32": not[uint32], "not.b64": not[uint64],
	"shl.b32": shl[uint32], "shl.b64": shl[uint64],
	"shr.u32": shr[uint32], "shr.b32": shr[uint32], "shr.s32": shr[int32],
	"shr.u64": shr[uint64], "shr.b64": shr[uint64], "shr.s64": shr[int64],
	"min.u32": minimum[uint32], "min.s32": minimum[int32], "min.u64": minimum[uint64], "min.s64": minimum[int64],
	"max.u32": maximum[uint32], "max.s32": maximum[int32], "max.u64": maximum[uint64], "max.s64": maximum[int64],

	"add.f32": addF32, "add.rn.f32": addF32, "sub.f32": subF32, "sub.rn.f32": subF32,
	"mul.f32": mulF32, "mul.rn.f32": mulF32, "div.rn.f32": divF32, "rcp.rn.f32": rcpF32, "sqrt.rn.f32": sqrtF32,
	"fma.rn.f32": fmaF32, "mad.rn.f32": fmaF32,
	"min.f32": minF32, "max.f32": maxF32, "min.NaN.f32": minF32, "max.NaN.f32": maxF32,
	"neg.f32": flipSign[uint32], "abs.f32": clearSign[uint32], "neg.f64": flipSign[uint64], "abs.f64": clearSign[uint64],
	"copysign.f32": copySign[uint32], "copysign.f64": copySign[uint64],
	"add.f64": addF64, "add.rn.f64": addF64, "sub.f64": subF64, "sub.rn.f64": subF64,
	"mul.f64": mulF64, "mul.rn.f64": mulF64, "div.rn.f64": divF64,
	"fma.rn.f64": fmaF64, "mad.rn.f64": fmaF64,

	"cvt.f64.f32": f64FromF32, "cvt.rn.f32.f64": f32FromF64,
	"cvt.rn.f32.s32": f32FromInt[int32], "cvt.rn.f32.u32": f32FromInt[uint32], "cvt.rn.f32.s64": f32FromInt[int64],
	"cvt.rn.f64.s32": f64FromInt[int32], "cvt.rn.f64.u32": f64FromInt[uint32],
	"cvt.u64.u32": widen[uint64, uint32], "cvt.s64.s32": widen[int64, int32],
	"cvt.s64.u32": widen[uint64, uint32], "cvt.u64.s32": widen[int64, int32],
	"cvt.u32.u64": widen[uint32, uint64], "cvt.s32.s64": widen[uint32, uint64],
	"cvt.u32.s64": widen[uint32, uint64], "cvt.s32.u64": widen[uint32, uint64],

	"mov.b32": move[uint32], "mov.b64": move[uint64], "selp.b32": selectRow[uint32], "selp.b64": selectRow[uint64],

	"setp.eq.u32": compareEq[uint32], "setp.eq.b32": compareEq[uint32], "setp.eq.s32": compareEq[uint32], "setp.eq.f32": compareEq[float32],
	"setp.eq.u64": compareEq[uint64], "setp.eq.b64": compareEq[uint64], "setp.eq.s64": compareEq[uint64], "setp.eq.f64": compareEq[float64],
	"setp.lt.u32": compareLt[uint32], "setp.lt.s32": compareLt[int32], "setp.lt.f32": compareLt[float32],
	"setp.lt.u64": compareLt[uint64], "setp.lt.s64": compareLt[int64], "setp.lt.f64": compareLt[float64],
	"setp.le.u32": compareLe[uint32], "setp.le.s32": compareLe[int32], "setp.le.f32": compareLe[float32],
	"setp.le.u64": compareLe[uint64], "setp.le.s64": compareLe[int64], "setp.le.f64": compareLe[float64],
	"setp.nan.f32": compareNaN[float32], "setp.nan.f64": compareNaN[float64],
}

// Comparisons. in.d is the predicate; what they compute for a warp is the mask
// that finishCompare stores.

type ordered interface {
	uint32 | int32 | uint64 | int64 | float32 | float64
}

func compareEq[T ordered](x *ctx, in *inst) {
	a, b := row[T](x, in.a), row[T](x, in.b)
	for k := range x.n / 32 {
		ak, bk := a[32*k:][:32], b[32*k:][:32]
		var m uint32
		for i := range ak {
			var v uint32
			if ak[i] == bk[i] {
				v = 1
			}
			m |= v << i
		}
		x.finishCompare(in, k, m)
	}
}

func compareLt[T ordered](x *ctx, in *inst) {
	a, b := row[T](x, in.a), row[T](x, in.b)
	for k := range x.n / 32 {
		ak, bk := a[32*k:][:32], b[32*k:][:32]
		var m uint32
		for i := range ak {
			var v uint32
			if ak[i] < bk[i] {
				v = 1
			}
			m |= v << i
		}
		x.finishCompare(in, k, m)
	}
}

func compareLe[T ordered](x *ctx, in *inst) {
	a, b := row[T](x, in.a), row[T](x, in.b)
	for k := range x.n / 32 {
		ak, bk := a[32*k:][:32], b[32*k:][:32]
		var m uint32
		for i := range ak {
			var v uint32
			if ak[i] <= bk[i] {
				v = 1
			}
			m |= v << i
		}
		x.finishCompare(in, k, m)
	}
}

func compareNaN[T float32 | float64](x *ctx, in *inst) {
	a, b := row[T](x, in.a), row[T](x, in.b)
	for k := range x.n / 32 {
		ak, bk := a[32*k:][:32], b[32*k:][:32]
		var m uint32
		for i := range ak {
			var v uint32
			if ak[i] != ak[i] || bk[i] != bk[i] {
				v = 1
			}
			m |= v << i
		}
		x.finishCompare(in, k, m)
	}
}

// compareAny calls in.f2, which gives 0 or 1.
func compareAny(x *ctx, in *inst) {
	a, b := x.operand(in.a, in.wide&wideA != 0), x.operand(in.b, in.wide&wideB != 0)
	for k := range x.n / 32 {
		var m uint32
		for i := range 32 {
			m |= uint32(in.f2(a.at(32*k+i), b.at(32*k+i))) << i
		}
		x.finishCompare(in, k, m)
	}
}

// compareOp is the constant part of setp: the loop's mask is xored with invert,
// joined with predicate inst.c, and stored in inst.d; its complement, joined
// likewise, in inst.e.
type compareOp struct {
	invert uint32
	join   string
	not    uint32 // all ones where c is negated
}

func (x *ctx) finishCompare(in *inst, warp int, m uint32) {
	op := in.cmp
	m ^= op.invert
	q := ^m
	if op.join != "" {
		c := x.pred(in.c)[warp] ^ op.not
		switch op.join {
		case "and":
			m, q = m&c, q&c
		case "or":
			m, q = m|c, q|c
		default:
			m, q = m^c, q^c
		}
	}
	if in.d != noSlot {
		x.setPred(in.d, warp, m)
	}
	if in.e != noSlot {
		x.setPred(in.e, warp, q)
	}
}

// comparison reduces a comparison to eq, lt, le or nan: of the operands swapped,
// or inverted. It is "" for those that are none.
func comparison(cmp string, isFloat bool) (base string, swap bool, invert uint32) {
	const not = math.MaxUint32
	switch cmp {
	case "eq":
		return "eq", false, 0
	case "lt", "lo":
		return "lt", false, 0
	case "gt", "hi":
		return "lt", true, 0
	case "le", "ls":
		return "le", false, 0
	case "ge", "hs":
		return "le", true, 0
	case "neu":
		return "eq", false, not
	case "ne":
		if !isFloat {
			return "eq", false, not
		}
	case "ltu":
		return "le", true, not
	case "leu":
		return "lt", true, not
	case "gtu":
		return "le", false, not
	case "geu":
		return "lt", false, not
	case "nan":
		return "nan", false, 0
	case "num":
		return "nan", false, not
	}
	return "", false, 0
}

// vectors holds what a machine can do faster than Go's loops; nil where it
// cannot. The Go code beside each use says what they do.
var vectors struct {
	steps             map[string]*stepForm // before the loops of fast
	chains            []uint32             // the codes of polynomials: see findChain
	run               func(s *step, n int, rows, wide unsafe.Pointer, pitch int, preds *uint32, predPitch, bytes int)
	offset64          func(t, a *uint64, off, step uint64, lanes int) (different uint64)
	offset32          func(t *uint64, a *uint32, off uint32, lanes int, out *[3]uint32)
	gather4, scatter4 func(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)
	fill32            func(d *uint32, v uint32, bytes int)
}
