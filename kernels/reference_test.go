package kernels

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"

	"github.com/x448/float16"
)

// What the scalar operations should give, in plain Go. An element is held as
// its bits in memory.

// floatOf returns a floating-point element's value, which float64 holds exactly.
func floatOf(t Type, bits uint64) float64 {
	switch t {
	case Float16:
		return float64(float16.Frombits(uint16(bits)).Float32())
	case BFloat16:
		return float64(math.Float32frombits(uint32(bits) << 16))
	case Float32:
		return float64(math.Float32frombits(uint32(bits)))
	}
	return math.Float64frombits(bits)
}

// bitsOf rounds x to type t, to nearest even, and returns the element's bits.
func bitsOf(t Type, x float64) uint64 {
	switch t {
	case Float16:
		return uint64(float16.Fromfloat32(float32(roundTo(x, 11, -24, 15))).Bits())
	case BFloat16:
		if math.IsNaN(x) {
			return 0x7fc0
		}
		return uint64(math.Float32bits(float32(roundTo(x, 8, -133, 127))) >> 16)
	case Float32:
		return uint64(math.Float32bits(float32(x)))
	}
	return math.Float64bits(x)
}

// roundTo rounds to precision bits, no finer than 2^low; beyond exponent high
// is infinity.
func roundTo(x float64, precision, low, high int) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	_, e := math.Frexp(x)
	unit := math.Ldexp(1, max(e-precision, low))
	r := math.RoundToEven(x/unit) * unit
	if math.Abs(r) >= math.Ldexp(1, high+1) {
		return math.Inf(int(math.Copysign(1, x)))
	}
	return math.Copysign(r, x)
}

// signedOf and unsignedOf read an integer element.
func signedOf(t Type, bits uint64) int64 {
	shift := 64 - t.bits()
	return int64(bits<<shift) >> shift
}

func unsignedOf(t Type, bits uint64) uint64 {
	shift := 64 - t.bits()
	return bits << shift >> shift
}

func truth(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// reference returns the bits of o's result. close says that a function's result
// is only near it.
func reference(o Op, t, result Type, a []uint64) (bits uint64, close bool) {
	switch {
	case o == OpCast:
		return castReference(t, result, a[0]), false
	case o == OpWhere:
		if a[0] != 0 {
			return a[1], false
		}
		return a[2], false
	case o == OpCopy:
		return a[0], false
	case t == Bool:
		return boolReference(o, a), false
	case t.IsFloat():
		return floatReference(o, t, a)
	case t.IsSigned():
		var x [3]int64
		for i := range a {
			x[i] = signedOf(t, a[i])
		}
		return unsignedOf(result, signedReference(o, t, x[0], x[1])), false
	}
	var x [3]uint64
	for i := range a {
		x[i] = unsignedOf(t, a[i])
	}
	return unsignedOf(result, unsignedReference(o, t, x[0], x[1])), false
}

func boolReference(o Op, a []uint64) uint64 {
	x, y := a[0], a[len(a)-1]
	switch o {
	case OpLogicalAnd, OpBitwiseAnd:
		return x & y
	case OpLogicalOr, OpBitwiseOr:
		return x | y
	case OpLogicalXor, OpBitwiseXor, OpNotEqual:
		return x ^ y
	case OpLogicalNot, OpBitwiseNot:
		return 1 - x
	}
	return compareReference(o, x, y)
}

func compareReference[T int64 | uint64 | float64](o Op, x, y T) uint64 {
	switch o {
	case OpEqual:
		return truth(x == y)
	case OpNotEqual:
		return truth(x != y)
	case OpLess:
		return truth(x < y)
	case OpLessEqual:
		return truth(x <= y)
	case OpGreater:
		return truth(x > y)
	case OpGreaterEqual:
		return truth(x >= y)
	}
	panic(fmt.Sprintf("no reference for %v", o))
}

// integerReference is what both kinds of integers share.
func integerReference[T int64 | uint64](o Op, t Type, x, y T) (r uint64, ok bool) {
	switch o {
	case OpAdd:
		return uint64(x + y), true
	case OpSub:
		return uint64(x - y), true
	case OpMul:
		return uint64(x * y), true
	case OpNegative:
		return uint64(-x), true
	case OpSquare:
		return uint64(x * x), true
	case OpMinimum, OpFMin:
		return uint64(min(x, y)), true
	case OpMaximum, OpFMax:
		return uint64(max(x, y)), true
	case OpFloor, OpCeil, OpRound, OpTrunc:
		return uint64(x), true
	case OpIsNaN, OpIsInf:
		return 0, true
	case OpIsFinite:
		return 1, true
	case OpBitwiseAnd:
		return uint64(x & y), true
	case OpBitwiseOr:
		return uint64(x | y), true
	case OpBitwiseXor:
		return uint64(x ^ y), true
	case OpBitwiseNot:
		return uint64(^x), true
	case OpShiftLeft:
		if y < 0 || y >= T(t.bits()) {
			return 0, true
		}
		return uint64(x << y), true
	case OpShiftRight:
		if y < 0 || y >= T(t.bits()) {
			y = 63 // the sign, or nothing
			if t.class() == unsigned {
				return 0, true
			}
		}
		return uint64(x >> y), true
	case OpDiv, OpFloorDivide, OpRemainder:
		if y == 0 {
			return 0, true
		}
	}
	return 0, false
}

func signedReference(o Op, t Type, x, y int64) uint64 {
	if r, ok := integerReference(o, t, x, y); ok {
		return r
	}
	switch o {
	case OpDiv:
		return uint64(x / y)
	case OpFloorDivide, OpRemainder:
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if o == OpRemainder {
			return uint64(r)
		}
		return uint64(q)
	case OpAbs:
		return uint64(max(x, -x))
	case OpSign:
		return uint64(min(max(x, -1), 1))
	case OpPow:
		if y < 0 { // what 1/xⁿ truncates to
			switch {
			case x == 1 || x == -1 && y%2 == 0:
				return 1
			case x == -1:
				return math.MaxUint64
			}
			return 0
		}
		return powReference(uint64(x), uint64(y))
	}
	return compareReference(o, x, y)
}

func unsignedReference(o Op, t Type, x, y uint64) uint64 {
	if r, ok := integerReference(o, t, x, y); ok {
		return r
	}
	switch o {
	case OpDiv, OpFloorDivide:
		return x / y
	case OpRemainder:
		return x % y
	case OpAbs:
		return x
	case OpSign:
		return min(x, 1)
	case OpPow:
		return powReference(x, y)
	}
	return compareReference(o, x, y)
}

func powReference(x, n uint64) uint64 {
	m := new(big.Int).Lsh(big.NewInt(1), 64)
	return new(big.Int).Exp(new(big.Int).SetUint64(x), new(big.Int).SetUint64(n), m).Uint64()
}

// functionReferences are functions whose results need not be the nearest, for
// special values and for the narrower types.
var functionReferences = map[Op]func(x float64) float64{
	OpRsqrt: func(x float64) float64 { return 1 / math.Sqrt(x) },
	OpExp:   math.Exp, OpExp2: math.Exp2, OpExpm1: math.Expm1,
	OpLog: math.Log, OpLog2: math.Log2, OpLog10: math.Log10, OpLog1p: math.Log1p,
	OpTanh: math.Tanh, OpSin: math.Sin, OpCos: math.Cos,
	OpSigmoid: func(x float64) float64 {
		if x < 0 {
			return math.Exp(x) / (1 + math.Exp(x))
		}
		return 1 / (1 + math.Exp(-x))
	},
}

// exactReferences are functions that round once.
var exactReferences = map[Op]func(x float64) float64{
	OpNegative: func(x float64) float64 { return -x }, OpAbs: math.Abs, OpSqrt: math.Sqrt,
	OpFloor: math.Floor, OpCeil: math.Ceil, OpRound: math.RoundToEven, OpTrunc: math.Trunc,
	OpSquare:     func(x float64) float64 { return x * x },
	OpReciprocal: func(x float64) float64 { return 1 / x },
	OpSign: func(x float64) float64 {
		if x > 0 {
			return 1
		} else if x < 0 {
			return -1
		}
		return x + 0 // NaN, and no −0
	},
}

func floatReference(o Op, t Type, a []uint64) (bits uint64, close bool) {
	var v [3]float64
	for i := range a {
		v[i] = floatOf(t, a[i])
	}
	x, y := v[0], v[1]
	if f := functionReferences[o]; f != nil {
		y := f(x)
		if t == Float64 && ordinary(x, y) { // package math is not good enough
			y, _ = bigFunctions[o](x).Float64()
		}
		return bitsOf(t, y), true
	}
	if f := exactReferences[o]; f != nil {
		return bitsOf(t, f(x)), false
	}
	switch o {
	case OpIsNaN:
		return truth(math.IsNaN(x)), false
	case OpIsInf:
		return truth(math.IsInf(x, 0)), false
	case OpIsFinite:
		return truth(!math.IsInf(x, 0) && !math.IsNaN(x)), false
	case OpAdd:
		return bitsOf(t, x+y), false
	case OpSub:
		return bitsOf(t, x-y), false
	case OpMul:
		return bitsOf(t, x*y), false
	case OpDiv:
		return bitsOf(t, x/y), false
	case OpFloorDivide:
		return bitsOf(t, floorDivideReference(t, x, y)), false
	case OpRemainder:
		return bitsOf(t, remainderReference(t, x, y)), false
	case OpPow:
		if t == Float64 && ordinaryPower(x, y) {
			p, _ := bigPower(x, y).Float64()
			return bitsOf(t, p), true
		}
		return bitsOf(t, math.Pow(x, y)), true
	case OpFMA:
		return bitsOf(t, fmaReference(t, x, y, v[2])), false
	case OpMinimum:
		return bitsOf(t, min(x, y)), false // Go's min and max have the same rules; math.Min(−Inf, NaN) is −Inf
	case OpMaximum:
		return bitsOf(t, max(x, y)), false
	case OpFMin, OpFMax:
		switch {
		case math.IsNaN(x):
			return bitsOf(t, y), false
		case math.IsNaN(y):
			return bitsOf(t, x), false
		case o == OpFMin:
			return bitsOf(t, min(x, y)), false
		}
		return bitsOf(t, max(x, y)), false
	case OpCopySign:
		return bitsOf(t, math.Copysign(x, y)), false
	}
	return compareReference(o, x, y), false
}

// narrow rounds to the type that t is computed in.
func narrow(t Type, x float64) float64 {
	if t == Float64 {
		return x
	}
	return float64(float32(x))
}

// remainderReference and floorDivideReference are NumPy's, step by step.
func remainderReference(t Type, x, y float64) float64 {
	m := math.Mod(x, y)
	switch {
	case m == 0:
		return math.Copysign(0, y)
	case (m < 0) != (y < 0):
		return narrow(t, m+y)
	}
	return m
}

func floorDivideReference(t Type, x, y float64) float64 {
	if y == 0 {
		return x / y
	}
	m := math.Mod(x, y)
	q := narrow(t, narrow(t, x-m)/y)
	if m != 0 && (m < 0) != (y < 0) {
		q = narrow(t, q-1)
	}
	if q == 0 {
		return math.Copysign(0, x/y)
	}
	f := math.Floor(q)
	if q-f > 0.5 {
		f = narrow(t, f+1)
	}
	return f
}

// fmaReference rounds the exact value to the type that t is computed in.
func fmaReference(t Type, x, y, z float64) float64 {
	if s := x*y + z; t == Float64 || s == 0 || math.IsNaN(s) || math.IsInf(s, 0) {
		return math.FMA(x, y, z)
	}
	exact := new(big.Float).SetPrec(700).SetFloat64(x)
	exact.Mul(exact, big.NewFloat(y)).Add(exact, big.NewFloat(z))
	f, _ := exact.Float32()
	return float64(f)
}

func castReference(from, to Type, bits uint64) uint64 {
	switch {
	case from == Bool && to.IsFloat():
		return bitsOf(to, float64(bits))
	case from == Bool:
		return bits
	case to == Bool && from.IsFloat():
		return truth(floatOf(from, bits) != 0)
	case to == Bool:
		return truth(bits != 0)
	case from.IsFloat() && to.IsFloat():
		return bitsOf(to, floatOf(from, bits))
	case from.IsFloat():
		return saturate(to, floatOf(from, bits))
	case to.IsFloat() && from.IsSigned():
		return integerToFloat(to, new(big.Float).SetInt64(signedOf(from, bits)))
	case to.IsFloat():
		return integerToFloat(to, new(big.Float).SetUint64(unsignedOf(from, bits)))
	case from.IsSigned():
		return unsignedOf(to, uint64(signedOf(from, bits)))
	}
	return unsignedOf(to, bits)
}

func integerToFloat(t Type, x *big.Float) uint64 {
	switch t {
	case Float64:
		f, _ := x.Float64()
		return math.Float64bits(f)
	case Float32:
		f, _ := x.Float32()
		return uint64(math.Float32bits(f))
	case BFloat16:
		x.SetPrec(8)
	case Float16:
		x.SetPrec(11)
	}
	f, _ := x.Float64()
	return bitsOf(t, f)
}

func saturate(t Type, x float64) uint64 {
	if math.IsNaN(x) {
		return 0
	}
	low, high, lowest, highest := 0.0, math.Ldexp(1, t.bits()), uint64(0), unsignedOf(t, math.MaxUint64)
	if t.IsSigned() {
		high /= 2
		low, lowest, highest = -high, uint64(1)<<(t.bits()-1), highest>>1
	}
	x = math.Trunc(x)
	switch {
	case x < low:
		return lowest
	case x >= high:
		return highest
	case x < 0:
		return unsignedOf(t, uint64(int64(x)))
	}
	return uint64(x)
}

// specials are the values of a type that tests always include.
func specials(t Type) []uint64 {
	switch {
	case t == Bool:
		return []uint64{0, 1}
	case t.IsFloat():
		var bits []uint64
		for _, x := range []float64{0, math.Copysign(0, -1), 1, -1, 2, -2, 3, 0.5, -0.5, 1.5, 2.5, -2.5, 7.25, -1e-3, 10, 127.5, 255.9, 256, -300,
			1e30, -1e30, 65504, 65520, 0x1p31, -0x1p31, 0x1p32, 0x1p53 + 2, 0x1p63, -0x1p63, 0x1p64, 1e-40, -1e-40, 1e-310,
			math.Inf(1), math.Inf(-1), math.NaN(), math.MaxFloat32, math.SmallestNonzeroFloat32, math.MaxFloat64, -math.MaxFloat64,
			math.SmallestNonzeroFloat64, 257 + 0x1p-30, 2049 + 0x1p-30, 88.7, -87.4, -103.5, 709.7, -745, 0.6931472, 1.5707964, 3.1415927, 22, 1e5, 16777217} {
			bits = append(bits, bitsOf(t, x))
		}
		return bits
	}
	top := uint64(1) << (t.bits() - 1)
	all := unsignedOf(t, math.MaxUint64)
	bits := []uint64{0, 1, 2, 3, 5, 7, 8, 10, 31, 32, 63, 64, 100, all, all - 1, all - 6, top, top - 1, top + 1, all / 3,
		257<<(t.bits()*5/8) + 1} // just above the middle of two bfloat16s
	for i := range bits {
		bits[i] = unsignedOf(t, bits[i])
	}
	return bits
}

// random returns an element: any bits, or one of moderate size.
func random(r *rand.Rand, t Type) uint64 {
	switch {
	case t == Bool:
		return r.Uint64() & 1
	case t.IsFloat() && r.IntN(4) > 0:
		return bitsOf(t, r.NormFloat64()*math.Ldexp(1, r.IntN(12)-4))
	case !t.IsFloat() && r.IntN(2) > 0:
		return unsignedOf(t, uint64(r.IntN(200)-60))
	}
	bits := unsignedOf(t, r.Uint64())
	if t.IsFloat() && math.IsNaN(floatOf(t, bits)) {
		return bitsOf(t, math.NaN()) // a NaN's sign and payload mean nothing
	}
	return bits
}

// packElements lays elements out as in memory; unpackElements is its inverse.
func packElements(t Type, elements []uint64) []byte {
	b := make([]byte, 0, len(elements)*t.Size())
	for _, e := range elements {
		var w [8]byte
		binary.NativeEndian.PutUint64(w[:], e)
		if littleEndian {
			b = append(b, w[:t.Size()]...)
		} else {
			b = append(b, w[8-t.Size():]...)
		}
	}
	return b
}

func unpackElements(t Type, b []byte) []uint64 {
	var elements []uint64
	for ; len(b) > 0; b = b[t.Size():] {
		var w [8]byte
		if littleEndian {
			copy(w[:], b[:t.Size()])
		} else {
			copy(w[8-t.Size():], b[:t.Size()])
		}
		elements = append(elements, binary.NativeEndian.Uint64(w[:]))
	}
	return elements
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// same compares elements, all NaNs being one. Where close is set, floats may
// differ by an error of ulps units of the reference's last place.
func same(t Type, got, want uint64, close bool, ulps float64) bool {
	if got == want {
		return true
	}
	if !t.IsFloat() {
		return false
	}
	g, w := floatOf(t, got), floatOf(t, want)
	if math.IsNaN(g) || math.IsNaN(w) {
		return math.IsNaN(g) && math.IsNaN(w)
	}
	if !close || math.Signbit(g) != math.Signbit(w) {
		return false
	}
	// Neighbours have neighbouring bits.
	return math.Abs(float64(int64(got)-int64(want))) <= ulps
}

// show formats an element.
func show(t Type, bits uint64) string {
	switch {
	case t == Bool:
		return fmt.Sprint(bits != 0)
	case t.IsFloat():
		return fmt.Sprintf("%v (%#x)", floatOf(t, bits), bits)
	case t.IsSigned():
		return fmt.Sprint(signedOf(t, bits))
	}
	return fmt.Sprint(bits)
}
