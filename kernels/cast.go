package kernels

import (
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// emitCast converts x, a value of type from, to type to: floats to integers
// truncate and saturate, NaN gives 0; integers wrap; anything but zero is true.
func emitCast(b *ptx.Builder, from, to Type, x *ptx.Reg) *ptx.Reg {
	switch {
	case from == to:
		return x
	case to == Bool:
		return castToBool(b, from, x)
	case from == Bool:
		return castFromBool(b, to, x)
	case from.IsFloat() && to.IsFloat():
		return castFloats(b, from, to, x)
	case from.IsFloat():
		return castToInteger(b, from.compute(), to, x)
	case to.IsFloat():
		return castFromInteger(b, from, to, x)
	}
	return emitFit(b, to, castIntegers(b, from, to, x))
}

func castToBool(b *ptx.Builder, from Type, x *ptx.Reg) *ptx.Reg {
	if from.IsFloat() {
		return b.Op("setp.neu."+from.suffix(), x, floatConst(from, 0))
	}
	return b.Op("setp.ne."+from.suffix(), x, 0)
}

func castFromBool(b *ptx.Builder, to Type, x *ptx.Reg) *ptx.Reg {
	if to.IsFloat() {
		return b.Op("selp."+to.suffix(), floatConst(to, 1), floatConst(to, 0), x)
	}
	return b.Op("selp."+to.suffix(), 1, 0, x)
}

func castFloats(b *ptx.Builder, from, to Type, x *ptx.Reg) *ptx.Reg {
	switch {
	case to == Float64:
		return b.Op("cvt.f64.f32", x)
	case from == Float64 && to == Float32:
		return b.Op("cvt.rn.f32.f64", x)
	case from == Float64:
		return emitFit(b, to, oddFloat32(b, x))
	}
	return emitFit(b, to, x)
}

// oddFloat32 rounds a float64 to float32 so that rounding the result again, to
// fewer bits, gives what rounding x itself would: towards zero, with the last
// bit set where that was not exact.
func oddFloat32(b *ptx.Builder, x *ptx.Reg) *ptx.Reg {
	r := b.Op("cvt.rz.f32.f64", x)
	inexact := b.Op("setp.ne.f64", b.Op("cvt.f64.f32", r), x) // false for NaN
	odd := b.Op("or.b32", b.Op("mov.b32", r), b.Op("selp.b32", 1, 0, inexact))
	return floatFromBits(b, Float32, odd)
}

// castToInteger takes float32 or float64. The instruction saturates; its result
// for NaN depends on the widths.
func castToInteger(b *ptx.Builder, from, to Type, x *ptx.Reg) *ptx.Reg {
	s := "." + to.suffix()
	r := b.Op("cvt.rzi"+s+"."+from.suffix(), x)
	if from.wide() || to.wide() {
		r = b.Op("selp"+s, 0, r, b.Op("setp.nan."+from.suffix(), x, x))
	}
	if to.Size() >= 4 {
		return r
	}
	if to.class() == unsigned {
		return b.Op("min"+s, r, 1<<to.bits()-1)
	}
	half := 1 << (to.bits() - 1)
	return b.Op("max"+s, b.Op("min"+s, r, half-1), -half)
}

func castFromInteger(b *ptx.Builder, from, to Type, x *ptx.Reg) *ptx.Reg {
	if to.Size() >= 4 {
		return b.Op("cvt.rn."+to.suffix()+"."+from.suffix(), x)
	}
	if from.Size() < 4 {
		return emitFit(b, to, b.Op("cvt.rn.f32."+from.suffix(), x)) // exact in float32
	}
	if !from.wide() {
		return emitFit(b, to, oddFloat32(b, b.Op("cvt.rn.f64."+from.suffix(), x))) // exact in float64
	}
	// 64 bits have no exact float: round to odd by hand.
	s := "." + from.suffix()
	r := b.Op("cvt.rz.f32"+s, x)
	inexact := b.Op("setp.ne"+s, b.Op("cvt.rzi"+s+".f32", r), x)
	odd := b.Op("or.b32", b.Op("mov.b32", r), b.Op("selp.b32", 1, 0, inexact))
	return emitFit(b, to, floatFromBits(b, Float32, odd))
}

// castIntegers changes the register's width; the caller fits narrow types.
func castIntegers(b *ptx.Builder, from, to Type, x *ptx.Reg) *ptx.Reg {
	switch {
	case from.wide() == to.wide():
		return x
	case to.wide() && from.class() == signed:
		return b.Op("cvt.s64.s32", x)
	case to.wide():
		return b.Op("cvt.u64.u32", x)
	}
	return b.Op("cvt.u32.u64", x)
}

// emitFit brings the result of an operation into the range and precision of its
// type: integers of 8 and 16 bits wrap, float16 and bfloat16 round.
func emitFit(b *ptx.Builder, t Type, x *ptx.Reg) *ptx.Reg {
	switch t {
	case Int8, Int16:
		return b.Op("bfe.s32", x, 0, t.bits())
	case Uint8, Uint16:
		return b.Op("and.b32", x, 1<<t.bits()-1)
	case Float16:
		return b.Op("cvt.f32.f16", b.Op("cvt.rn.f16.f32", x))
	case BFloat16:
		return floatFromBits(b, Float32, b.Op("shl.b32", bfloat16Bits(b, x), 16))
	}
	return x
}

// bfloat16Bits rounds a float32 to bfloat16, to nearest even, and returns its 16
// bits in the low half of a u32. The instruction for it needs compute
// capability 8.0; this is the same in integers.
func bfloat16Bits(b *ptx.Builder, x *ptx.Reg) *ptx.Reg {
	u := b.Op("mov.b32", x)
	even := b.Op("bfe.u32", u, 16, 1)
	r := b.Op("add.u32", b.Op("add.u32", u, 0x7fff), even)
	r = b.Op("selp.b32", 0x7fc00000, r, b.Op("setp.nan.f32", x, x))
	return b.Op("shr.u32", r, 16)
}

// floatFromBits returns the float of type t (float32 or float64) that has these bits.
func floatFromBits(b *ptx.Builder, t Type, bits *ptx.Reg) *ptx.Reg {
	d := b.Reg(t.reg())
	b.Do("mov.b"+t.suffix()[1:], d, bits)
	return d
}

// floatBits returns the bits of a float as an integer register.
func floatBits(b *ptx.Builder, t Type, x *ptx.Reg) *ptx.Reg {
	d := b.Reg(ptx.U32)
	if t.wide() {
		d = b.Reg(ptx.U64)
	}
	b.Do("mov.b"+t.suffix()[1:], d, x)
	return d
}
