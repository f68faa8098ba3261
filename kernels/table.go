package kernels

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Op is an operation: a scalar one, of which elementwise kernels are made, or
// a reduction.
type Op uint16

const (
	NoOp Op = iota

	// Arithmetic.
	OpAdd
	OpSub
	OpMul
	OpDiv // integers: truncates as in Go; by zero gives 0
	OpFloorDivide
	OpRemainder // the sign of the divisor
	OpPow
	OpFMA // x·y + z, rounded once
	OpNegative
	OpAbs
	OpSign
	OpSquare
	OpReciprocal
	OpMinimum // NaN wins; −0 < +0
	OpMaximum
	OpFMin // the other operand where one is NaN
	OpFMax
	OpCopySign

	// Functions.
	OpSqrt
	OpRsqrt
	OpExp
	OpExp2
	OpExpm1
	OpLog
	OpLog2
	OpLog10
	OpLog1p
	OpTanh
	OpSigmoid
	OpSin
	OpCos

	// Rounding to integers.
	OpFloor
	OpCeil
	OpRound // half to even
	OpTrunc

	// Comparisons; the result is bool.
	OpEqual
	OpNotEqual
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
	OpIsNaN
	OpIsInf
	OpIsFinite

	// Logic and bits.
	OpLogicalAnd
	OpLogicalOr
	OpLogicalXor
	OpLogicalNot
	OpBitwiseAnd
	OpBitwiseOr
	OpBitwiseXor
	OpBitwiseNot
	OpShiftLeft
	OpShiftRight

	// Choice and conversion.
	OpWhere // args[0] (bool) ? args[1] : args[2]
	OpCopy
	OpCast // to the node's type

	// Reductions; see Reduce.
	OpSum
	OpProd
	OpMax
	OpMin
	OpAny
	OpAll
	OpMean
	OpArgMax
	OpArgMin
	numOps
)

// An emitter writes the instructions of one operation: t is the type it works
// on (never float16 or bfloat16, which are computed in float32), args its
// operands as Type.reg says. Results of narrow types need not be in range,
// emitOp brings them there.
type emitter func(b *ptx.Builder, t Type, args []*ptx.Reg) *ptx.Reg

// resultRule says how the type of a result follows from the operands'.
type resultRule uint8

const (
	sameType resultRule = iota // the type the operation works on
	givesBool
	givenType // what the node says: a cast
)

// table has a row for every operation.
var table = [numOps]struct {
	name   string  // as in the Python Array API standard where it has the operation
	arity  int     // number of operands; 0 for no operation
	types  typeSet // the types it works on: its operands' (of where: the second and third's)
	result resultRule
	emit   emitter // nil for casts and reductions
}{
	OpAdd:         {"add", 2, numberTypes, sameType, arithmetic("add")},
	OpSub:         {"subtract", 2, numberTypes, sameType, arithmetic("sub")},
	OpMul:         {"multiply", 2, numberTypes, sameType, emitMul},
	OpDiv:         {"divide", 2, numberTypes, sameType, emitDiv},
	OpFloorDivide: {"floor_divide", 2, numberTypes, sameType, emitFloorDivide},
	OpRemainder:   {"remainder", 2, numberTypes, sameType, emitRemainder},
	OpPow:         {"pow", 2, numberTypes, sameType, emitPow},
	OpFMA:         {"fma", 3, floatTypes, sameType, emitFMA},
	OpNegative:    {"negative", 1, numberTypes, sameType, emitNegative},
	OpAbs:         {"abs", 1, numberTypes, sameType, emitAbs},
	OpSign:        {"sign", 1, numberTypes, sameType, emitSign},
	OpSquare:      {"square", 1, numberTypes, sameType, emitSquare},
	OpReciprocal:  {"reciprocal", 1, floatTypes, sameType, rounded("rcp.rn")},
	OpMinimum:     {"minimum", 2, numberTypes, sameType, extremum("min", true)},
	OpMaximum:     {"maximum", 2, numberTypes, sameType, extremum("max", true)},
	OpFMin:        {"fmin", 2, numberTypes, sameType, extremum("min", false)},
	OpFMax:        {"fmax", 2, numberTypes, sameType, extremum("max", false)},
	OpCopySign:    {"copysign", 2, floatTypes, sameType, emitCopySign},

	OpSqrt:    {"sqrt", 1, floatTypes, sameType, rounded("sqrt.rn")},
	OpRsqrt:   {"rsqrt", 1, floatTypes, sameType, emitRsqrt},
	OpExp:     {"exp", 1, floatTypes, sameType, emitExp},
	OpExp2:    {"exp2", 1, floatTypes, sameType, emitExp2},
	OpExpm1:   {"expm1", 1, floatTypes, sameType, emitExpm1},
	OpLog:     {"log", 1, floatTypes, sameType, emitLog},
	OpLog2:    {"log2", 1, floatTypes, sameType, emitLog2},
	OpLog10:   {"log10", 1, floatTypes, sameType, emitLog10},
	OpLog1p:   {"log1p", 1, floatTypes, sameType, emitLog1p},
	OpTanh:    {"tanh", 1, floatTypes, sameType, emitTanh},
	OpSigmoid: {"sigmoid", 1, floatTypes, sameType, emitSigmoid},
	OpSin:     {"sin", 1, floatTypes, sameType, emitSin},
	OpCos:     {"cos", 1, floatTypes, sameType, emitCos},

	OpFloor: {"floor", 1, numberTypes, sameType, toIntegral("cvt.rmi")},
	OpCeil:  {"ceil", 1, numberTypes, sameType, toIntegral("cvt.rpi")},
	OpRound: {"round", 1, numberTypes, sameType, toIntegral("cvt.rni")},
	OpTrunc: {"trunc", 1, numberTypes, sameType, toIntegral("cvt.rzi")},

	OpEqual:        {"equal", 2, allTypes, givesBool, comparison("eq")},
	OpNotEqual:     {"not_equal", 2, allTypes, givesBool, comparison("ne")},
	OpLess:         {"less", 2, allTypes, givesBool, comparison("lt")},
	OpLessEqual:    {"less_equal", 2, allTypes, givesBool, comparison("le")},
	OpGreater:      {"greater", 2, allTypes, givesBool, comparison("gt")},
	OpGreaterEqual: {"greater_equal", 2, allTypes, givesBool, comparison("ge")},
	OpIsNaN:        {"isnan", 1, numberTypes, givesBool, emitIsNaN},
	OpIsInf:        {"isinf", 1, numberTypes, givesBool, emitIsInf},
	OpIsFinite:     {"isfinite", 1, numberTypes, givesBool, emitIsFinite},

	OpLogicalAnd: {"logical_and", 2, boolType, sameType, logic("and")},
	OpLogicalOr:  {"logical_or", 2, boolType, sameType, logic("or")},
	OpLogicalXor: {"logical_xor", 2, boolType, sameType, logic("xor")},
	OpLogicalNot: {"logical_not", 1, boolType, sameType, logic("not")},
	OpBitwiseAnd: {"bitwise_and", 2, boolType | integerTypes, sameType, logic("and")},
	OpBitwiseOr:  {"bitwise_or", 2, boolType | integerTypes, sameType, logic("or")},
	OpBitwiseXor: {"bitwise_xor", 2, boolType | integerTypes, sameType, logic("xor")},
	OpBitwiseNot: {"bitwise_invert", 1, boolType | integerTypes, sameType, logic("not")},
	OpShiftLeft:  {"bitwise_left_shift", 2, integerTypes, sameType, emitShiftLeft},
	OpShiftRight: {"bitwise_right_shift", 2, integerTypes, sameType, emitShiftRight},

	OpWhere: {"where", 3, allTypes, sameType, emitWhere},
	OpCopy:  {"copy", 1, allTypes, sameType, emitCopy},
	OpCast:  {"cast", 1, allTypes, givenType, nil},

	OpSum:    {"sum", 1, allTypes, sameType, nil},
	OpProd:   {"prod", 1, allTypes, sameType, nil},
	OpMax:    {"max", 1, allTypes, sameType, nil},
	OpMin:    {"min", 1, allTypes, sameType, nil},
	OpAny:    {"any", 1, allTypes, givesBool, nil},
	OpAll:    {"all", 1, allTypes, givesBool, nil},
	OpMean:   {"mean", 1, allTypes, sameType, nil},
	OpArgMax: {"argmax", 1, allTypes, sameType, nil},
	OpArgMin: {"argmin", 1, allTypes, sameType, nil},
}

func (o Op) valid() bool { return o > NoOp && o < numOps }

// IsScalar says whether o can be a node of an Expr; the other operations are
// reductions.
func (o Op) IsScalar() bool { return o > NoOp && o <= OpCast }

// String returns the operation's name in the Python Array API standard, or in
// its style.
func (o Op) String() string {
	if o.valid() {
		return table[o].name
	}
	return fmt.Sprintf("Op(%d)", uint16(o))
}

// OpByName returns the operation that String calls name.
func OpByName(name string) (Op, bool) {
	for o := NoOp + 1; o < numOps; o++ {
		if table[o].name == name {
			return o, true
		}
	}
	return NoOp, false
}

// Arity returns the number of operands, 0 for no valid operation.
func (o Op) Arity() int {
	if o.valid() {
		return table[o].arity
	}
	return 0
}

// Result returns the type of a scalar operation's result for operands of the
// given types, or an *UnsupportedError. All operands have the same type, but
// for Where's first, which is bool. The result of OpCast is for its node to
// say: Result returns the operand's type.
func (o Op) Result(args ...Type) (Type, error) {
	if !o.IsScalar() {
		return Invalid, fmt.Errorf("%v is not a scalar operation", o)
	}
	if len(args) != table[o].arity {
		return Invalid, fmt.Errorf("%v takes %d operands, not %d", o, table[o].arity, len(args))
	}
	t := o.worksOn(args)
	if !t.valid() || !table[o].types.has(t) {
		return Invalid, &UnsupportedError{o.String(), t}
	}
	for i, a := range args {
		want := t
		if o == OpWhere && i == 0 {
			want = Bool
		}
		if a != want {
			return Invalid, fmt.Errorf("%v: operand %d is %v where %v is needed", o, i, a, want)
		}
	}
	if table[o].result == givesBool {
		return Bool, nil
	}
	return t, nil
}

// worksOn returns the type that o works on, given its operands'.
func (o Op) worksOn(args []Type) Type {
	if o == OpWhere {
		return args[1]
	}
	return args[0]
}

// emitOp writes operation o on operands of type t (of where: the second and
// third) and returns the register of the result, whose type is result.
func emitOp(b *ptx.Builder, o Op, t, result Type, args ...*ptx.Reg) *ptx.Reg {
	switch {
	case o == OpCast:
		return emitCast(b, t, result, args[0])
	case table[o].result == givesBool || o == OpWhere || o == OpCopy:
		return table[o].emit(b, t.compute(), args)
	}
	return emitFit(b, t, table[o].emit(b, t.compute(), args))
}
