package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// Elementwise operations. Operands broadcast; results are new arrays on the
// receiver's device. Each is a row of the kernels' table, which says what types it
// is defined for; other types give ErrType. Functions are within 2 ulp over the
// whole range, and give the same bits on every device.

// Add returns a + b. Integers wrap. Of numbers.
func (a *Array[T]) Add(b *Array[T]) *Array[T] {
	return to[T](binary("Add", kernels.OpAdd, a.h(), b.h()))
}

// Sub returns a − b. Integers wrap. Of numbers.
func (a *Array[T]) Sub(b *Array[T]) *Array[T] {
	return to[T](binary("Sub", kernels.OpSub, a.h(), b.h()))
}

// Mul returns a · b. Integers wrap. Of numbers.
func (a *Array[T]) Mul(b *Array[T]) *Array[T] {
	return to[T](binary("Mul", kernels.OpMul, a.h(), b.h()))
}

// Div returns a / b. Integers truncate as in Go; division by zero gives 0, and
// MinInt / −1 wraps. Of numbers.
func (a *Array[T]) Div(b *Array[T]) *Array[T] {
	return to[T](binary("Div", kernels.OpDiv, a.h(), b.h()))
}

// FloorDivide returns ⌊a / b⌋, as in NumPy. Integer division by zero gives 0. Of
// numbers.
func (a *Array[T]) FloorDivide(b *Array[T]) *Array[T] {
	return to[T](binary("FloorDivide", kernels.OpFloorDivide, a.h(), b.h()))
}

// Remainder returns a − b·⌊a / b⌋, which has the sign of b, as in NumPy. The
// integer remainder of division by zero is 0. Of numbers.
func (a *Array[T]) Remainder(b *Array[T]) *Array[T] {
	return to[T](binary("Remainder", kernels.OpRemainder, a.h(), b.h()))
}

// Pow returns a to the power b. Integers wrap; for negative integer exponents the
// result is that of truncating division: 0, but for bases of 1 and −1. Of numbers.
func (a *Array[T]) Pow(b *Array[T]) *Array[T] {
	return to[T](binary("Pow", kernels.OpPow, a.h(), b.h()))
}

// FMA returns a·b + c, rounded once. Floating-point types only.
func (a *Array[T]) FMA(b, c *Array[T]) *Array[T] {
	return to[T](ternary("FMA", kernels.OpFMA, a.h(), b.h(), c.h()))
}

// Minimum returns the smaller of a and b; NaN if either is, and −0 < +0. Of
// numbers.
func (a *Array[T]) Minimum(b *Array[T]) *Array[T] {
	return to[T](binary("Minimum", kernels.OpMinimum, a.h(), b.h()))
}

// Maximum returns the larger of a and b; NaN if either is, and −0 < +0. Of numbers.
func (a *Array[T]) Maximum(b *Array[T]) *Array[T] {
	return to[T](binary("Maximum", kernels.OpMaximum, a.h(), b.h()))
}

// FMin returns the smaller of a and b, the other one where one is NaN. Of numbers.
func (a *Array[T]) FMin(b *Array[T]) *Array[T] {
	return to[T](binary("FMin", kernels.OpFMin, a.h(), b.h()))
}

// FMax returns the larger of a and b, the other one where one is NaN. Of numbers.
func (a *Array[T]) FMax(b *Array[T]) *Array[T] {
	return to[T](binary("FMax", kernels.OpFMax, a.h(), b.h()))
}

// CopySign returns the magnitude of a with the sign of b. Of floating-point types.
func (a *Array[T]) CopySign(b *Array[T]) *Array[T] {
	return to[T](binary("CopySign", kernels.OpCopySign, a.h(), b.h()))
}

// AddScalar returns a + x. Of numbers.
func (a *Array[T]) AddScalar(x T) *Array[T] {
	return to[T](withScalar("AddScalar", kernels.OpAdd, a.h(), scalarOf(x)))
}

// SubScalar returns a − x. Of numbers.
func (a *Array[T]) SubScalar(x T) *Array[T] {
	return to[T](withScalar("SubScalar", kernels.OpSub, a.h(), scalarOf(x)))
}

// MulScalar returns a · x. Of numbers.
func (a *Array[T]) MulScalar(x T) *Array[T] {
	return to[T](withScalar("MulScalar", kernels.OpMul, a.h(), scalarOf(x)))
}

// DivScalar returns a / x, with the rules of Div. Of numbers.
func (a *Array[T]) DivScalar(x T) *Array[T] {
	return to[T](withScalar("DivScalar", kernels.OpDiv, a.h(), scalarOf(x)))
}

// PowScalar returns a to the power x, with the rules of Pow. Of numbers.
func (a *Array[T]) PowScalar(x T) *Array[T] {
	return to[T](withScalar("PowScalar", kernels.OpPow, a.h(), scalarOf(x)))
}

// MinimumScalar returns the smaller of a and x, with the rules of Minimum. Of
// numbers.
func (a *Array[T]) MinimumScalar(x T) *Array[T] {
	return to[T](withScalar("MinimumScalar", kernels.OpMinimum, a.h(), scalarOf(x)))
}

// MaximumScalar returns the larger of a and x, with the rules of Maximum. Of
// numbers.
func (a *Array[T]) MaximumScalar(x T) *Array[T] {
	return to[T](withScalar("MaximumScalar", kernels.OpMaximum, a.h(), scalarOf(x)))
}

// Clip returns a limited to the range from lo to hi: what MaximumScalar(lo) and then
// MinimumScalar(hi) give, so that NaN stays NaN, and all is hi where lo is above it. Of
// numbers.
func (a *Array[T]) Clip(lo, hi T) *Array[T] {
	raised := withScalar("Clip", kernels.OpMaximum, a.h(), scalarOf(lo))
	return to[T](withScalar("Clip", kernels.OpMinimum, raised, scalarOf(hi)))
}

// Neg returns −a. Of numbers.
func (a *Array[T]) Neg() *Array[T] { return to[T](unary("Neg", kernels.OpNegative, a.h())) }

// Abs returns |a|. The most negative integer stays itself. Of numbers.
func (a *Array[T]) Abs() *Array[T] { return to[T](unary("Abs", kernels.OpAbs, a.h())) }

// Sign returns −1, 0 or 1; NaN for NaN. Of numbers.
func (a *Array[T]) Sign() *Array[T] { return to[T](unary("Sign", kernels.OpSign, a.h())) }

// Square returns a · a. Of numbers.
func (a *Array[T]) Square() *Array[T] { return to[T](unary("Square", kernels.OpSquare, a.h())) }

// Reciprocal returns 1 / a. Of floating-point types.
func (a *Array[T]) Reciprocal() *Array[T] {
	return to[T](unary("Reciprocal", kernels.OpReciprocal, a.h()))
}

// Sqrt returns the square root of a, correctly rounded. Of floating-point types.
func (a *Array[T]) Sqrt() *Array[T] { return to[T](unary("Sqrt", kernels.OpSqrt, a.h())) }

// Rsqrt returns 1 / √a. Of floating-point types.
func (a *Array[T]) Rsqrt() *Array[T] { return to[T](unary("Rsqrt", kernels.OpRsqrt, a.h())) }

// Exp returns e to the power a. Of floating-point types.
func (a *Array[T]) Exp() *Array[T] { return to[T](unary("Exp", kernels.OpExp, a.h())) }

// Exp2 returns 2 to the power a. Of floating-point types.
func (a *Array[T]) Exp2() *Array[T] { return to[T](unary("Exp2", kernels.OpExp2, a.h())) }

// Expm1 returns exp(a) − 1, accurate near 0. Of floating-point types.
func (a *Array[T]) Expm1() *Array[T] { return to[T](unary("Expm1", kernels.OpExpm1, a.h())) }

// Log returns the natural logarithm of a. Of floating-point types.
func (a *Array[T]) Log() *Array[T] { return to[T](unary("Log", kernels.OpLog, a.h())) }

// Log2 returns the logarithm of a to base 2. Of floating-point types.
func (a *Array[T]) Log2() *Array[T] { return to[T](unary("Log2", kernels.OpLog2, a.h())) }

// Log10 returns the logarithm of a to base 10. Of floating-point types.
func (a *Array[T]) Log10() *Array[T] { return to[T](unary("Log10", kernels.OpLog10, a.h())) }

// Log1p returns log(1 + a), accurate near 0. Of floating-point types.
func (a *Array[T]) Log1p() *Array[T] { return to[T](unary("Log1p", kernels.OpLog1p, a.h())) }

// Tanh returns the hyperbolic tangent of a. Of floating-point types.
func (a *Array[T]) Tanh() *Array[T] { return to[T](unary("Tanh", kernels.OpTanh, a.h())) }

// Sigmoid returns 1 / (1 + exp(−a)). Of floating-point types.
func (a *Array[T]) Sigmoid() *Array[T] { return to[T](unary("Sigmoid", kernels.OpSigmoid, a.h())) }

// Sin returns the sine of a, in radians. Of floating-point types.
func (a *Array[T]) Sin() *Array[T] { return to[T](unary("Sin", kernels.OpSin, a.h())) }

// Cos returns the cosine of a, in radians. Of floating-point types.
func (a *Array[T]) Cos() *Array[T] { return to[T](unary("Cos", kernels.OpCos, a.h())) }

// Floor returns the largest integer not above a. Of numbers.
func (a *Array[T]) Floor() *Array[T] { return to[T](unary("Floor", kernels.OpFloor, a.h())) }

// Ceil returns the smallest integer not below a. Of numbers.
func (a *Array[T]) Ceil() *Array[T] { return to[T](unary("Ceil", kernels.OpCeil, a.h())) }

// Round returns the integer nearest to a, ties to even. Of numbers.
func (a *Array[T]) Round() *Array[T] { return to[T](unary("Round", kernels.OpRound, a.h())) }

// Trunc returns a without its fraction. Of numbers.
func (a *Array[T]) Trunc() *Array[T] { return to[T](unary("Trunc", kernels.OpTrunc, a.h())) }

// Equal returns a == b. NaN equals nothing.
func (a *Array[T]) Equal(b *Array[T]) *Array[bool] {
	return to[bool](binary("Equal", kernels.OpEqual, a.h(), b.h()))
}

// NotEqual returns a != b.
func (a *Array[T]) NotEqual(b *Array[T]) *Array[bool] {
	return to[bool](binary("NotEqual", kernels.OpNotEqual, a.h(), b.h()))
}

// Less returns a < b; of bool, false < true.
func (a *Array[T]) Less(b *Array[T]) *Array[bool] {
	return to[bool](binary("Less", kernels.OpLess, a.h(), b.h()))
}

// LessEqual returns a <= b.
func (a *Array[T]) LessEqual(b *Array[T]) *Array[bool] {
	return to[bool](binary("LessEqual", kernels.OpLessEqual, a.h(), b.h()))
}

// Greater returns a > b.
func (a *Array[T]) Greater(b *Array[T]) *Array[bool] {
	return to[bool](binary("Greater", kernels.OpGreater, a.h(), b.h()))
}

// GreaterEqual returns a >= b.
func (a *Array[T]) GreaterEqual(b *Array[T]) *Array[bool] {
	return to[bool](binary("GreaterEqual", kernels.OpGreaterEqual, a.h(), b.h()))
}

// EqualScalar returns a == x.
func (a *Array[T]) EqualScalar(x T) *Array[bool] {
	return to[bool](withScalar("EqualScalar", kernels.OpEqual, a.h(), scalarOf(x)))
}

// NotEqualScalar returns a != x.
func (a *Array[T]) NotEqualScalar(x T) *Array[bool] {
	return to[bool](withScalar("NotEqualScalar", kernels.OpNotEqual, a.h(), scalarOf(x)))
}

// LessScalar returns a < x.
func (a *Array[T]) LessScalar(x T) *Array[bool] {
	return to[bool](withScalar("LessScalar", kernels.OpLess, a.h(), scalarOf(x)))
}

// LessEqualScalar returns a <= x.
func (a *Array[T]) LessEqualScalar(x T) *Array[bool] {
	return to[bool](withScalar("LessEqualScalar", kernels.OpLessEqual, a.h(), scalarOf(x)))
}

// GreaterScalar returns a > x.
func (a *Array[T]) GreaterScalar(x T) *Array[bool] {
	return to[bool](withScalar("GreaterScalar", kernels.OpGreater, a.h(), scalarOf(x)))
}

// GreaterEqualScalar returns a >= x.
func (a *Array[T]) GreaterEqualScalar(x T) *Array[bool] {
	return to[bool](withScalar("GreaterEqualScalar", kernels.OpGreaterEqual, a.h(), scalarOf(x)))
}

// IsNaN says where a is NaN. Of numbers.
func (a *Array[T]) IsNaN() *Array[bool] { return to[bool](unary("IsNaN", kernels.OpIsNaN, a.h())) }

// IsInf says where a is infinite. Of numbers.
func (a *Array[T]) IsInf() *Array[bool] { return to[bool](unary("IsInf", kernels.OpIsInf, a.h())) }

// IsFinite says where a is neither infinite nor NaN. Of numbers.
func (a *Array[T]) IsFinite() *Array[bool] {
	return to[bool](unary("IsFinite", kernels.OpIsFinite, a.h()))
}

// LogicalAnd returns a && b, of bool.
func (a *Array[T]) LogicalAnd(b *Array[T]) *Array[T] {
	return to[T](binary("LogicalAnd", kernels.OpLogicalAnd, a.h(), b.h()))
}

// LogicalOr returns a || b, of bool.
func (a *Array[T]) LogicalOr(b *Array[T]) *Array[T] {
	return to[T](binary("LogicalOr", kernels.OpLogicalOr, a.h(), b.h()))
}

// LogicalXor returns a != b, of bool.
func (a *Array[T]) LogicalXor(b *Array[T]) *Array[T] {
	return to[T](binary("LogicalXor", kernels.OpLogicalXor, a.h(), b.h()))
}

// LogicalNot returns !a, of bool.
func (a *Array[T]) LogicalNot() *Array[T] {
	return to[T](unary("LogicalNot", kernels.OpLogicalNot, a.h()))
}

// BitwiseAnd returns a & b, of integers or bool.
func (a *Array[T]) BitwiseAnd(b *Array[T]) *Array[T] {
	return to[T](binary("BitwiseAnd", kernels.OpBitwiseAnd, a.h(), b.h()))
}

// BitwiseOr returns a | b, of integers or bool.
func (a *Array[T]) BitwiseOr(b *Array[T]) *Array[T] {
	return to[T](binary("BitwiseOr", kernels.OpBitwiseOr, a.h(), b.h()))
}

// BitwiseXor returns a ^ b, of integers or bool.
func (a *Array[T]) BitwiseXor(b *Array[T]) *Array[T] {
	return to[T](binary("BitwiseXor", kernels.OpBitwiseXor, a.h(), b.h()))
}

// BitwiseInvert returns ^a, of integers or bool.
func (a *Array[T]) BitwiseInvert() *Array[T] {
	return to[T](unary("BitwiseInvert", kernels.OpBitwiseNot, a.h()))
}

// BitwiseLeftShift returns a << b, of integers: 0 for counts that are negative or
// not less than the width.
func (a *Array[T]) BitwiseLeftShift(b *Array[T]) *Array[T] {
	return to[T](binary("BitwiseLeftShift", kernels.OpShiftLeft, a.h(), b.h()))
}

// BitwiseRightShift returns a >> b, of integers: the sign (0 or −1) for counts that
// are negative or not less than the width.
func (a *Array[T]) BitwiseRightShift(b *Array[T]) *Array[T] {
	return to[T](binary("BitwiseRightShift", kernels.OpShiftRight, a.h(), b.h()))
}

// Where returns a where cond is true and b elsewhere; all three broadcast. The
// result is on cond's device.
func Where[T Element](cond *Array[bool], a, b *Array[T]) *Array[T] {
	return to[T](ternary("Where", kernels.OpWhere, cond.h(), a.h(), b.h()))
}

// Cast converts the elements to type U. Floats become integers by truncation,
// saturating, NaN to 0; integers wrap to narrower ones; to bool, what is not 0 is
// true. The result has memory of its own, also where U is T.
func Cast[U, T Element](a *Array[T]) *Array[U] { return to[U](convert("Cast", a.h(), typeOf[U]())) }

func unary(name string, op kernels.Op, a handle) handle { return here(name).elementwise(op, a) }

func binary(name string, op kernels.Op, a, b handle) handle { return here(name).elementwise(op, a, b) }

func ternary(name string, op kernels.Op, a, b, c handle) handle {
	return here(name).elementwise(op, a, b, c)
}

func withScalar(name string, op kernels.Op, a handle, x scalar) handle {
	return here(name).elementwiseWith(op, x.bits, a, handle{a.dev, &scalars[x.typ]})
}

func convert(name string, a handle, t kernels.Type) handle {
	c := here(name)
	if err := c.check(a); err != nil {
		return a.failed(err)
	}
	if a.node.typ == t {
		return c.clone(a)
	}
	r := c.record(a.dev, cast(a.node, t))
	r.node.err = c.of(r.node.err, a)
	return r
}
