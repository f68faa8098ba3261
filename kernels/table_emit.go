package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// The emitters of table.go, but for the elementary functions (functions*.go)
// and casts (cast.go).

// floatConst returns x as a constant of float type t.
func floatConst(t Type, x float64) any {
	if t.wide() {
		return x
	}
	return float32(x)
}

// arithmetic is an instruction that floats round and integers wrap.
func arithmetic(name string) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
		if t.IsFloat() {
			return b.Op(name+".rn."+t.suffix(), a[0], a[1])
		}
		return b.Op(name+"."+t.suffix(), a[0], a[1])
	}
}

// rounded is a floating-point instruction of one operand.
func rounded(name string) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg { return b.Op(name+"."+t.suffix(), a[0]) }
}

func emitMul(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return b.Op("mul.rn."+t.suffix(), a[0], a[1])
	}
	return b.Op("mul.lo."+t.suffix(), a[0], a[1])
}

func emitSquare(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return emitMul(b, t, []*ptx.Reg{a[0], a[0]})
}

func emitFMA(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return b.Op("fma.rn."+t.suffix(), a[0], a[1], a[2])
}

func emitDiv(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return b.Op("div.rn."+t.suffix(), a[0], a[1])
	}
	q, zero := emitQuotient(b, t, a[0], a[1])
	return b.Op("selp."+t.suffix(), 0, q, zero)
}

// emitQuotient returns the truncated quotient of integers and whether the
// divisor is zero; then the quotient has no meaning. The instruction is kept
// from zero and from the smallest number divided by −1, which it leaves open.
func emitQuotient(b *ptx.Builder, t Type, x, d *ptx.Reg) (q, zero *ptx.Reg) {
	s := "." + t.suffix()
	zero = b.Op("setp.eq"+s, d, 0)
	if t.class() == unsigned {
		return b.Op("div"+s, x, b.Op("selp"+s, 1, d, zero)), zero
	}
	minus := b.Op("setp.eq"+s, d, -1)
	safe := b.Op("selp"+s, 1, d, b.Op("or.pred", zero, minus))
	q = b.Op("div"+s, x, safe)
	return b.Op("selp"+s, b.Op("neg"+s, x), q, minus), zero
}

func emitNegative(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.class() == unsigned {
		return b.Op("neg.s"+t.suffix()[1:], a[0])
	}
	return b.Op("neg."+t.suffix(), a[0])
}

func emitAbs(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.class() == unsigned {
		return a[0]
	}
	return b.Op("abs."+t.suffix(), a[0])
}

// emitSign returns −1, 0 or 1; NaN for NaN and +0 for both zeros.
func emitSign(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	s, x := "."+t.suffix(), a[0]
	if t.class() == unsigned {
		return b.Op("min"+s, x, 1)
	}
	if t.class() == signed {
		return b.Op("max"+s, b.Op("min"+s, x, 1), -1)
	}
	zero, one, minus := floatConst(t, 0), floatConst(t, 1), floatConst(t, -1)
	r := b.Op("selp"+s, one, x, b.Op("setp.gt"+s, x, zero))
	r = b.Op("selp"+s, minus, r, b.Op("setp.lt"+s, x, zero))
	return b.Op("selp"+s, zero, r, b.Op("setp.eq"+s, x, zero))
}

// extremum is min or max. The instruction prefers a number to NaN; with
// propagate NaN wins.
func extremum(name string, propagate bool) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
		s := "." + t.suffix()
		r := b.Op(name+s, a[0], a[1])
		if !t.IsFloat() || !propagate {
			return r
		}
		return b.Op("selp"+s, floatConst(t, math.NaN()), r, b.Op("setp.nan"+s, a[0], a[1]))
	}
}

func emitCopySign(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return b.Op("copysign."+t.suffix(), a[1], a[0]) // PTX names the sign first
}

// toIntegral rounds to an integral value; integers have one already.
func toIntegral(name string) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
		if !t.IsFloat() {
			return a[0]
		}
		return b.Op(name+"."+t.suffix()+"."+t.suffix(), a[0])
	}
}

// comparison is false where an operand is NaN, but for ne, which is true.
func comparison(name string) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
		switch {
		case t == Bool:
			return compareBool(b, name, a[0], a[1])
		case t.IsFloat() && name == "ne":
			return b.Op("setp.neu."+t.suffix(), a[0], a[1])
		}
		return b.Op("setp."+name+"."+t.suffix(), a[0], a[1])
	}
}

// compareBool compares predicates; false is less than true.
func compareBool(b *ptx.Builder, name string, x, y *ptx.Reg) *ptx.Reg {
	switch name {
	case "eq":
		return b.Op("not.pred", b.Op("xor.pred", x, y))
	case "ne":
		return b.Op("xor.pred", x, y)
	case "lt":
		return b.Op("and.pred", b.Not(x), y)
	case "le":
		return b.Op("or.pred", b.Not(x), y)
	case "gt":
		return b.Op("and.pred", x, b.Not(y))
	}
	return b.Op("or.pred", x, b.Not(y))
}

func emitIsNaN(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return b.Op("setp.nan."+t.suffix(), a[0], a[0])
	}
	return b.Op("setp.ne."+t.suffix(), a[0], a[0])
}

func emitIsInf(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return b.Op("setp.eq."+t.suffix(), b.Op("abs."+t.suffix(), a[0]), floatConst(t, math.Inf(1)))
	}
	return b.Op("setp.ne."+t.suffix(), a[0], a[0])
}

func emitIsFinite(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t.IsFloat() {
		return b.Op("setp.lt."+t.suffix(), b.Op("abs."+t.suffix(), a[0]), floatConst(t, math.Inf(1)))
	}
	return b.Op("setp.eq."+t.suffix(), a[0], a[0])
}

// logic is a bitwise instruction, on predicates for bool.
func logic(name string) emitter {
	return func(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
		args := make([]any, len(a))
		for i := range a {
			args[i] = a[i]
		}
		if t == Bool {
			return b.Op(name+".pred", args...)
		}
		return b.Op(name+".b"+t.suffix()[1:], args...)
	}
}

// emitShiftLeft and emitShiftRight rely on the instructions' clamping of counts
// (read as unsigned) to the width.
func emitShiftLeft(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return b.Op("shl.b"+t.suffix()[1:], a[0], shiftCount(b, t, a[1]))
}

func emitShiftRight(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return b.Op("shr."+t.suffix(), a[0], shiftCount(b, t, a[1]))
}

func shiftCount(b *ptx.Builder, t Type, n *ptx.Reg) *ptx.Reg {
	if t.wide() {
		return b.Op("cvt.u32.u64", b.Op("min.u64", n, 64))
	}
	return n
}

func emitWhere(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	if t == Bool {
		return b.Op("or.pred", b.Op("and.pred", a[0], a[1]), b.Op("and.pred", b.Not(a[0]), a[2]))
	}
	return b.Op("selp."+t.suffix(), a[1], a[2], a[0])
}

func emitCopy(_ *ptx.Builder, _ Type, a []*ptx.Reg) *ptx.Reg { return a[0] }

func emitRsqrt(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg {
	return b.Op("rcp.rn."+t.suffix(), b.Op("sqrt.rn."+t.suffix(), a[0]))
}
