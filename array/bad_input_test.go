package array

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// operands are what the operations of the table work on: arrays of one shape on
// one device.
type operands struct {
	dev *Device
	f   [3]*Array[float32]
	i   [3]*Array[int32]
	b   [3]*Array[bool]
	at  *Array[int64] // an index
}

func newOperands(d *Device, shape ...int) *operands {
	o := &operands{dev: d, at: Zeros[int64](d, 1)}
	for k := range o.f {
		o.f[k], o.i[k], o.b[k] = Full(d, float32(k+1), shape...), Full(d, int32(k+1), shape...), Ones[bool](d, shape...)
	}
	return o
}

// with returns the operands with another k-th one.
func (o *operands) with(k int, from *operands) *operands {
	c := *o
	c.f[k], c.i[k], c.b[k] = from.f[0], from.i[0], from.b[0]
	return &c
}

// on returns the operands with another device for what is made.
func (o *operands) on(d *Device) *operands {
	c := *o
	c.dev = d
	return &c
}

func (o *operands) free() {
	o.at.Free()
	for k := range o.f {
		o.f[k].Free()
		o.i[k].Free()
		o.b[k].Free()
	}
}

// An operation is an exported function or method of the package, or several for
// what cannot be told apart, as rows with one name.
type operation struct {
	name       string // as declared: "Array.Add", "Zeros"
	op         string // as errors name it; empty: the name without "Array."
	operands   int    // how many of each type's operands run uses
	shape      []int  // of the operands; nil is (3, 3)
	broadcasts bool   // shapes must broadcast
	makes      bool   // run makes something on the operands' device
	optional   bool   // operands after the first may be nil
	alike      bool   // run makes the driver's calls that another row's does
	quiet      bool   // run has no error to give: bad input must do no harm
	run        func(o *operands) error
	wrongType  func(o *operands) error // run with a type that it is not defined for
	misuses    []misuse
}

// A misuse is a call with an argument that the operation rejects.
type misuse struct {
	name string
	want error
	text string // what the error says, among other things
	run  func(o *operands) error
}

// The closures are one line each: errors must name that line.
var operations = []operation{
	// Elementwise.
	{name: "Array.Abs", operands: 1, run: func(o *operands) error { return o.f[0].Abs().Err() }, wrongType: func(o *operands) error { return o.b[0].Abs().Err() }},
	{name: "Array.Neg", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Neg().Err() }, wrongType: func(o *operands) error { return o.b[0].Neg().Err() }},
	{name: "Array.Sign", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Sign().Err() }, wrongType: func(o *operands) error { return o.b[0].Sign().Err() }},
	{name: "Array.Square", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Square().Err() }, wrongType: func(o *operands) error { return o.b[0].Square().Err() }},
	{name: "Array.Floor", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Floor().Err() }, wrongType: func(o *operands) error { return o.b[0].Floor().Err() }},
	{name: "Array.Ceil", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Ceil().Err() }, wrongType: func(o *operands) error { return o.b[0].Ceil().Err() }},
	{name: "Array.Round", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Round().Err() }, wrongType: func(o *operands) error { return o.b[0].Round().Err() }},
	{name: "Array.Trunc", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Trunc().Err() }, wrongType: func(o *operands) error { return o.b[0].Trunc().Err() }},
	{name: "Array.IsNaN", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].IsNaN().Err() }, wrongType: func(o *operands) error { return o.b[0].IsNaN().Err() }},
	{name: "Array.IsInf", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].IsInf().Err() }, wrongType: func(o *operands) error { return o.b[0].IsInf().Err() }},
	{name: "Array.IsFinite", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].IsFinite().Err() }, wrongType: func(o *operands) error { return o.b[0].IsFinite().Err() }},
	{name: "Array.Reciprocal", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Reciprocal().Err() }, wrongType: func(o *operands) error { return o.i[0].Reciprocal().Err() }},
	{name: "Array.Sqrt", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Sqrt().Err() }, wrongType: func(o *operands) error { return o.i[0].Sqrt().Err() }, misuses: []misuse{
		{"bool", ErrType, "convert with array.Cast[float32]", func(o *operands) error { return o.b[0].Sqrt().Err() }},
	}},
	{name: "Array.Rsqrt", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Rsqrt().Err() }, wrongType: func(o *operands) error { return o.i[0].Rsqrt().Err() }},
	{name: "Array.Exp", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Exp().Err() }, wrongType: func(o *operands) error { return o.i[0].Exp().Err() }},
	{name: "Array.Exp2", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Exp2().Err() }, wrongType: func(o *operands) error { return o.i[0].Exp2().Err() }},
	{name: "Array.Expm1", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Expm1().Err() }, wrongType: func(o *operands) error { return o.i[0].Expm1().Err() }},
	{name: "Array.Log", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Log().Err() }, wrongType: func(o *operands) error { return o.i[0].Log().Err() }},
	{name: "Array.Log2", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Log2().Err() }, wrongType: func(o *operands) error { return o.i[0].Log2().Err() }},
	{name: "Array.Log10", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Log10().Err() }, wrongType: func(o *operands) error { return o.i[0].Log10().Err() }},
	{name: "Array.Log1p", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Log1p().Err() }, wrongType: func(o *operands) error { return o.i[0].Log1p().Err() }},
	{name: "Array.Tanh", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Tanh().Err() }, wrongType: func(o *operands) error { return o.i[0].Tanh().Err() }},
	{name: "Array.Sigmoid", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Sigmoid().Err() }, wrongType: func(o *operands) error { return o.i[0].Sigmoid().Err() }},
	{name: "Array.Sin", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Sin().Err() }, wrongType: func(o *operands) error { return o.i[0].Sin().Err() }},
	{name: "Array.Cos", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Cos().Err() }, wrongType: func(o *operands) error { return o.i[0].Cos().Err() }},
	{name: "Array.Add", operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Add(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Add(o.b[1]).Err() }},
	{name: "Array.Sub", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Sub(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Sub(o.b[1]).Err() }},
	{name: "Array.Mul", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Mul(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Mul(o.b[1]).Err() }},
	{name: "Array.Div", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Div(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Div(o.b[1]).Err() }},
	{name: "Array.FloorDivide", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].FloorDivide(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].FloorDivide(o.b[1]).Err() }},
	{name: "Array.Remainder", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Remainder(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Remainder(o.b[1]).Err() }},
	{name: "Array.Pow", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Pow(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Pow(o.b[1]).Err() }},
	{name: "Array.Minimum", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Minimum(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Minimum(o.b[1]).Err() }},
	{name: "Array.Maximum", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Maximum(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Maximum(o.b[1]).Err() }},
	{name: "Array.FMin", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].FMin(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].FMin(o.b[1]).Err() }},
	{name: "Array.FMax", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].FMax(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].FMax(o.b[1]).Err() }},
	{name: "Array.CopySign", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].CopySign(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.i[0].CopySign(o.i[1]).Err() }},
	{name: "Array.FMA", operands: 3, broadcasts: true, run: func(o *operands) error { return o.f[0].FMA(o.f[1], o.f[2]).Err() }, wrongType: func(o *operands) error { return o.i[0].FMA(o.i[1], o.i[2]).Err() }},
	{name: "Array.Equal", operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Equal(o.f[1]).Err() }},
	{name: "Array.NotEqual", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].NotEqual(o.f[1]).Err() }},
	{name: "Array.Less", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Less(o.f[1]).Err() }},
	{name: "Array.LessEqual", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].LessEqual(o.f[1]).Err() }},
	{name: "Array.Greater", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].Greater(o.f[1]).Err() }},
	{name: "Array.GreaterEqual", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.f[0].GreaterEqual(o.f[1]).Err() }},
	{name: "Array.LogicalAnd", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.b[0].LogicalAnd(o.b[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].LogicalAnd(o.f[1]).Err() }, misuses: []misuse{
		{"int32", ErrType, "it is for bool: array.Cast[bool]", func(o *operands) error { return o.i[0].LogicalAnd(o.i[1]).Err() }},
		{"float32", ErrType, "it is for bool: array.Cast[bool]", func(o *operands) error { return o.f[0].LogicalAnd(o.f[1]).Err() }},
	}},
	{name: "Array.LogicalOr", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.b[0].LogicalOr(o.b[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].LogicalOr(o.f[1]).Err() }},
	{name: "Array.LogicalXor", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.b[0].LogicalXor(o.b[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].LogicalXor(o.f[1]).Err() }},
	{name: "Array.BitwiseAnd", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.i[0].BitwiseAnd(o.i[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].BitwiseAnd(o.f[1]).Err() }, misuses: []misuse{
		{"float32", ErrType, "it is for integers and bool: convert with array.Cast[int64]", func(o *operands) error { return o.f[0].BitwiseAnd(o.f[1]).Err() }},
	}},
	{name: "Array.BitwiseOr", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.i[0].BitwiseOr(o.i[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].BitwiseOr(o.f[1]).Err() }},
	{name: "Array.BitwiseXor", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.i[0].BitwiseXor(o.i[1]).Err() }, wrongType: func(o *operands) error { return o.f[0].BitwiseXor(o.f[1]).Err() }},
	{name: "Array.BitwiseLeftShift", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.i[0].BitwiseLeftShift(o.i[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].BitwiseLeftShift(o.b[1]).Err() }, misuses: []misuse{
		{"bool", ErrType, "it is for integers: convert", func(o *operands) error { return o.b[0].BitwiseLeftShift(o.b[1]).Err() }},
	}},
	{name: "Array.BitwiseRightShift", alike: true, operands: 2, broadcasts: true, run: func(o *operands) error { return o.i[0].BitwiseRightShift(o.i[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].BitwiseRightShift(o.b[1]).Err() }},
	{name: "Array.LogicalNot", alike: true, operands: 1, run: func(o *operands) error { return o.b[0].LogicalNot().Err() }, wrongType: func(o *operands) error { return o.i[0].LogicalNot().Err() }},
	{name: "Array.BitwiseInvert", alike: true, operands: 1, run: func(o *operands) error { return o.i[0].BitwiseInvert().Err() }, wrongType: func(o *operands) error { return o.f[0].BitwiseInvert().Err() }},
	{name: "Array.AddScalar", operands: 1, run: func(o *operands) error { return o.f[0].AddScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].AddScalar(true).Err() }},
	{name: "Array.SubScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].SubScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].SubScalar(true).Err() }},
	{name: "Array.MulScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].MulScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].MulScalar(true).Err() }},
	{name: "Array.DivScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].DivScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].DivScalar(true).Err() }},
	{name: "Array.PowScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].PowScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].PowScalar(true).Err() }},
	{name: "Array.MinimumScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].MinimumScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].MinimumScalar(true).Err() }},
	{name: "Array.Clip", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Clip(1, 2).Err() }, wrongType: func(o *operands) error { return o.b[0].Clip(false, true).Err() }},
	{name: "Array.MaximumScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].MaximumScalar(2).Err() }, wrongType: func(o *operands) error { return o.b[0].MaximumScalar(true).Err() }},
	{name: "Array.EqualScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].EqualScalar(2).Err() }},
	{name: "Array.NotEqualScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].NotEqualScalar(2).Err() }},
	{name: "Array.LessScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].LessScalar(2).Err() }},
	{name: "Array.LessEqualScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].LessEqualScalar(2).Err() }},
	{name: "Array.GreaterScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].GreaterScalar(2).Err() }},
	{name: "Array.GreaterEqualScalar", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].GreaterEqualScalar(2).Err() }},
	{name: "Where", operands: 3, broadcasts: true, run: func(o *operands) error { return Where(o.b[0], o.f[1], o.f[2]).Err() }},
	{name: "Cast", operands: 1, run: func(o *operands) error { return Cast[float64](o.f[0]).Err() }},
	{name: "Cast", operands: 1, run: func(o *operands) error { return Cast[float32](o.f[0]).Err() }},

	// Reductions.
	{name: "Array.Sum", operands: 1, run: func(o *operands) error { return o.f[0].Sum().Err() }, wrongType: func(o *operands) error { return o.b[0].Sum().Err() }, misuses: []misuse{
		{"axis beyond the rank", ErrIndex, "axis 2 of an array of rank 2", func(o *operands) error { return o.f[0].Sum(2).Err() }},
		{"axis before the first", ErrIndex, "axis -3", func(o *operands) error { return o.f[0].Sum(-3).Err() }},
		{"axis twice", ErrIndex, "axis 1 is named twice", func(o *operands) error { return o.f[0].Sum(1, -1).Err() }},
		{"more axes than there are", ErrIndex, "twice", func(o *operands) error { return o.f[0].Sum(0, 1, 0, 1, 0, 1, 0, 1, 0, 1).Err() }},
		{"huge axis", ErrIndex, "axis", func(o *operands) error { return o.f[0].Sum(math.MinInt).Err() }},
		{"axis of rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).Sum(0).Err() }},
		{"uint8", ErrType, "SumAs[int64]", func(o *operands) error { return Ones[uint8](o.dev, 2).Sum().Err() }},
		{"int16", ErrType, "SumAs[int64]", func(o *operands) error { return Ones[int16](o.dev, 2).Sum().Err() }},
	}},
	{name: "Array.Prod", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Prod(0).Err() }, wrongType: func(o *operands) error { return o.b[0].Prod().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 5", func(o *operands) error { return o.f[0].Prod(5).Err() }},
		{"int8", ErrType, "would wrap; use array.Cast[int64](a).Prod", func(o *operands) error { return Ones[int8](o.dev, 2).Prod().Err() }},
	}},
	{name: "Array.Max", operands: 1, run: func(o *operands) error { return o.f[0].Max(0).Err() }, wrongType: func(o *operands) error { return o.b[0].Max().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 5", func(o *operands) error { return o.f[0].Max(5).Err() }},
		{"no elements", ErrShape, "no elements", func(o *operands) error { return Zeros[float32](o.dev, 0).Max().Err() }},
		{"no elements along an axis", ErrShape, "(3, 0)", func(o *operands) error { return Zeros[float32](o.dev, 3, 0).Max(1).Err() }},
	}},
	{name: "Array.Min", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Min(0).Err() }, wrongType: func(o *operands) error { return o.b[0].Min().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis -9", func(o *operands) error { return o.f[0].Min(-9).Err() }},
		{"no elements", ErrShape, "no elements", func(o *operands) error { return Zeros[int32](o.dev, 0, 4).Min(0).Err() }},
	}},
	{name: "Array.Any", alike: true, operands: 1, run: func(o *operands) error { return o.b[0].Any().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.b[0].Any(2).Err() }},
	}},
	{name: "Array.All", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].All(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.b[0].All(2).Err() }},
	}},
	{name: "Array.ArgMax", operands: 1, run: func(o *operands) error { return o.f[0].ArgMax(-1).Err() }, wrongType: func(o *operands) error { return o.b[0].ArgMax().Err() }, misuses: []misuse{
		{"two axes", ErrIndex, "one axis", func(o *operands) error { return o.f[0].ArgMax(0, 1).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].ArgMax(2).Err() }},
		{"no elements", ErrShape, "no elements", func(o *operands) error { return Zeros[float32](o.dev, 2, 0).ArgMax(1).Err() }},
	}},
	{name: "Array.ArgMin", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].ArgMin().Err() }, wrongType: func(o *operands) error { return o.b[0].ArgMin().Err() }, misuses: []misuse{
		{"two axes", ErrIndex, "one axis", func(o *operands) error { return o.f[0].ArgMin(0, 1).Err() }},
		{"no elements", ErrShape, "no elements", func(o *operands) error { return Zeros[float32](o.dev, 0).ArgMin().Err() }},
	}},
	{name: "Array.Mean", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Mean().Err() }, wrongType: func(o *operands) error { return o.i[0].Mean().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Mean(2).Err() }},
		{"bool", ErrType, "MeanAs[float64]", func(o *operands) error { return o.b[0].Mean().Err() }},
	}},
	{name: "Array.Var", operands: 1, run: func(o *operands) error { return o.f[0].Var(0).Err() }, wrongType: func(o *operands) error { return o.i[0].Var().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Var(2).Err() }},
	}},
	{name: "Array.Std", operands: 1, run: func(o *operands) error { return o.f[0].Std(1).Err() }, wrongType: func(o *operands) error { return o.b[0].Std().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis -3", func(o *operands) error { return o.f[0].Std(-3).Err() }},
	}},
	{name: "Array.Norm", operands: 1, run: func(o *operands) error { return o.f[0].Norm(1).Err() }, wrongType: func(o *operands) error { return o.i[0].Norm().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Norm(2).Err() }},
	}},
	{name: "Array.Softmax", operands: 1, run: func(o *operands) error { return o.f[0].Softmax(-1).Err() }, wrongType: func(o *operands) error { return o.i[0].Softmax(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Softmax(2).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).Softmax(0).Err() }},
		{"more than there is memory", ErrOutOfMemory, "4 TiB asked", func(o *operands) error { return huge(o.dev, 1<<40).Softmax(0).Err() }},
	}},
	{name: "Array.LogSoftmax", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].LogSoftmax(-1).Err() }, wrongType: func(o *operands) error { return o.i[0].LogSoftmax(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].LogSoftmax(2).Err() }},
	}},
	{name: "SumAs", operands: 1, run: func(o *operands) error { return SumAs[int64](o.b[0]).Err() }, wrongType: func(o *operands) error { return SumAs[int64](o.f[0]).Err() }, misuses: []misuse{
		{"to bool", ErrType, "bool", func(o *operands) error { return SumAs[bool](o.i[0]).Err() }},
		{"to a narrow integer", ErrType, "int16", func(o *operands) error { return SumAs[int16](o.i[0]).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return SumAs[int64](o.i[0], 2).Err() }},
	}},
	{name: "MeanAs", operands: 1, run: func(o *operands) error { return MeanAs[float64](o.i[0]).Err() }, wrongType: func(o *operands) error { return MeanAs[int64](o.f[0]).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return MeanAs[float32](o.i[0], 2).Err() }},
	}},

	// Rows.
	{name: "Array.LogSumExp", operands: 1, run: func(o *operands) error { return o.f[0].LogSumExp(0).Err() }, wrongType: func(o *operands) error { return o.i[0].LogSumExp().Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].LogSumExp(2).Err() }},
		{"axis twice", ErrIndex, "twice", func(o *operands) error { return o.f[0].LogSumExp(1, -1).Err() }},
	}},
	{name: "Array.LayerNorm", operands: 3, optional: true, shape: []int{5}, run: func(o *operands) error { return o.f[0].LayerNorm(o.f[1], o.f[2], 1e-5, -1).Err() }, wrongType: func(o *operands) error { return o.i[0].LayerNorm(nil, nil, 1e-5, 0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].LayerNorm(nil, nil, 1e-5, 2).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).LayerNorm(nil, nil, 1e-5, 0).Err() }},
		{"weight of another size", ErrShape, "the weight has shape (4,); along axis 0 it needs (5,)", func(o *operands) error { return o.f[0].LayerNorm(ones(o, 4), nil, 1e-5, -1).Err() }},
		{"bias of another rank", ErrShape, "the bias has shape (5, 5)", func(o *operands) error { return o.f[0].LayerNorm(nil, ones(o, 5, 5), 1e-5, -1).Err() }},
		{"zero weight", ErrDevice, "operand 2 of 2 is nil or a zero Array", func(o *operands) error { return o.f[0].LayerNorm(new(Array[float32]), nil, 1e-5, -1).Err() }},
		{"more than there is memory", ErrOutOfMemory, "4 TiB asked", func(o *operands) error { return huge(o.dev, 1<<40).LayerNorm(nil, nil, 1e-5, 0).Err() }},
	}},
	{name: "Array.RMSNorm", alike: true, operands: 2, optional: true, shape: []int{5}, run: func(o *operands) error { return o.f[0].RMSNorm(o.f[1], 1e-5, -1).Err() }, wrongType: func(o *operands) error { return o.b[0].RMSNorm(nil, 1e-5, 0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis -3", func(o *operands) error { return o.f[0].RMSNorm(nil, 1e-5, -3).Err() }},
		{"weight of another size", ErrShape, "(5,), float32 (4,)", func(o *operands) error { return o.f[0].RMSNorm(ones(o, 4), 1e-5, -1).Err() }},
	}},
	{name: "Array.CumSum", operands: 1, run: func(o *operands) error { return o.f[0].CumSum(-1).Err() }, wrongType: func(o *operands) error { return o.b[0].CumSum(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].CumSum(2).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).CumSum(0).Err() }},
		{"uint8", ErrType, "would wrap; use array.CumSumAs[int64](a, axis)", func(o *operands) error { return Ones[uint8](o.dev, 2).CumSum(0).Err() }},
		{"more than there is memory", ErrOutOfMemory, "4 TiB asked", func(o *operands) error { return huge(o.dev, 1<<40).CumSum(0).Err() }},
	}},
	{name: "Array.CumProd", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].CumProd(0).Err() }, wrongType: func(o *operands) error { return o.b[0].CumProd(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 5", func(o *operands) error { return o.f[0].CumProd(5).Err() }},
		{"int8", ErrType, "would wrap; use array.Cast[int64](a).CumProd", func(o *operands) error { return Ones[int8](o.dev, 2).CumProd(0).Err() }},
	}},
	{name: "CumSumAs", alike: true, operands: 1, run: func(o *operands) error { return CumSumAs[int64](o.i[0], 0).Err() }, wrongType: func(o *operands) error { return CumSumAs[int64](o.f[0], 0).Err() }, misuses: []misuse{
		{"to bool", ErrType, "bool", func(o *operands) error { return CumSumAs[bool](o.i[0], 0).Err() }},
		{"to a narrow integer", ErrType, "would wrap", func(o *operands) error { return CumSumAs[int16](Ones[int16](o.dev, 2), 0).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return CumSumAs[int64](o.i[0], 2).Err() }},
	}},

	// Products.
	{name: "Array.MatMul", operands: 2, run: func(o *operands) error { return o.f[0].MatMul(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].MatMul(o.b[1]).Err() }, misuses: []misuse{
		{"inner sizes differ", ErrShape, "(3, 3), float32 (4, 5)", func(o *operands) error { return o.f[0].MatMul(Ones[float32](o.dev, 4, 5)).Err() }},
		{"rank 0", ErrShape, "rank 0", func(o *operands) error { return o.f[0].MatMul(Scalar(o.dev, float32(1))).Err() }},
		{"batches differ", ErrShape, "(2, 3, 3), float32 (4, 3, 3)", func(o *operands) error { return ones(o, 2, 3, 3).MatMul(ones(o, 4, 3, 3)).Err() }},
		{"huge result", ErrShape, "more elements", func(o *operands) error { return huge(o.dev, 1<<40, 1).MatMul(huge(o.dev, 1, 1<<40)).Err() }},
	}},
	{name: "Array.Dot", operands: 2, shape: []int{5}, run: func(o *operands) error { return o.f[0].Dot(o.f[1]).Err() }, wrongType: func(o *operands) error { return o.b[0].Dot(o.b[1]).Err() }, misuses: []misuse{
		{"sizes differ", ErrShape, "(5,), float32 (6,)", func(o *operands) error { return o.f[0].Dot(Ones[float32](o.dev, 6)).Err() }},
		{"uint8", ErrType, "would wrap; convert both operands with array.Cast[int64]", func(o *operands) error { return Ones[uint8](o.dev, 2).Dot(Ones[uint8](o.dev, 2)).Err() }},
		{"rank 2", ErrShape, "(5, 1)", func(o *operands) error { return Ones[float32](o.dev, 5, 1).Dot(o.f[0]).Err() }},
	}},

	// Views.
	{name: "Array.Slice", operands: 1, run: func(o *operands) error { return o.f[0].Slice(All, I(0)).Err() }, misuses: []misuse{
		{"index beyond the axis", ErrIndex, "index 3 at axis 1", func(o *operands) error { return o.f[0].Slice(All, I(3)).Err() }},
		{"index before the axis", ErrIndex, "index -4 at axis 0", func(o *operands) error { return o.f[0].Slice(I(-4)).Err() }},
		{"smallest index", ErrIndex, "index", func(o *operands) error { return o.f[0].Slice(I(math.MinInt)).Err() }},
		{"range beyond the axis", ErrIndex, "bound 4", func(o *operands) error { return o.f[0].Slice(R(0, 4)).Err() }},
		{"range before the axis", ErrIndex, "bound -4", func(o *operands) error { return o.f[0].Slice(R(-4, 2)).Err() }},
		{"step 0", ErrIndex, "step 0", func(o *operands) error { return o.f[0].Slice(R(0, 2, 0)).Err() }},
		{"smallest step", ErrIndex, "step", func(o *operands) error { return o.f[0].Slice(R(End, 0, math.MinInt)).Err() }},
		{"several steps", ErrIndex, "2 steps of the range at axis 0", func(o *operands) error { return o.f[0].Slice(R(0, 2, 1, 3)).Err() }},
		{"too many indices", ErrIndex, "3 indices", func(o *operands) error { return o.f[0].Slice(All, All, All).Err() }},
		{"of rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).Slice(I(0)).Err() }},
	}},
	{name: "Array.Transpose", operands: 1, run: func(o *operands) error { return o.f[0].Transpose().Err() }},
	{name: "Array.PermuteDims", operands: 1, run: func(o *operands) error { return o.f[0].PermuteDims(1, 0).Err() }, misuses: []misuse{
		{"too few axes", ErrShape, "1 axis for an array of rank 2", func(o *operands) error { return o.f[0].PermuteDims(1).Err() }},
		{"too many axes", ErrShape, "9 axes", func(o *operands) error { return o.f[0].PermuteDims(0, 1, 2, 3, 4, 5, 6, 7, 8).Err() }},
		{"axis twice", ErrIndex, "twice", func(o *operands) error { return o.f[0].PermuteDims(0, -2).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].PermuteDims(0, 2).Err() }},
	}},
	{name: "Array.ExpandDims", operands: 1, run: func(o *operands) error { return o.f[0].ExpandDims(-1).Err() }, misuses: []misuse{
		{"bad place", ErrIndex, "axis 3 of a result of rank 3", func(o *operands) error { return o.f[0].ExpandDims(3).Err() }},
		{"too many axes", ErrShape, "axes", func(o *operands) error { return Ones[float32](o.dev, 1, 1, 1, 1, 1, 1, 1, 1).ExpandDims(0).Err() }},
	}},
	{name: "Array.Squeeze", operands: 1, run: func(o *operands) error { return o.f[0].Squeeze().Err() }, misuses: []misuse{
		{"not of size 1", ErrShape, "size 3", func(o *operands) error { return o.f[0].Squeeze(0).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Squeeze(2).Err() }},
	}},
	{name: "Array.BroadcastTo", operands: 1, run: func(o *operands) error { return o.f[0].BroadcastTo(2, 3, 3).Err() }, misuses: []misuse{
		{"size does not fit", ErrShape, "(4, 3)", func(o *operands) error { return o.f[0].BroadcastTo(4, 3).Err() }},
		{"fewer axes", ErrShape, "(3,)", func(o *operands) error { return o.f[0].BroadcastTo(3).Err() }},
		{"negative size", ErrShape, "negative", func(o *operands) error { return o.f[0].BroadcastTo(-1, 3, 3).Err() }},
		{"overflowing size", ErrShape, "more elements", func(o *operands) error { return o.f[0].BroadcastTo(math.MaxInt, 3, 3).Err() }},
		{"too many axes", ErrShape, "axes", func(o *operands) error { return o.f[0].BroadcastTo(1, 1, 1, 1, 1, 1, 1, 3, 3).Err() }},
	}},
	{name: "Array.Flip", operands: 1, run: func(o *operands) error { return o.f[0].Flip(0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Flip(2).Err() }},
	}},
	{name: "Array.Reshape", operands: 1, run: func(o *operands) error { return o.f[0].Reshape(-1).Err() }, misuses: []misuse{
		{"other size", ErrShape, "(2, 4) has 8 elements, the array has 9", func(o *operands) error { return o.f[0].Reshape(2, 4).Err() }},
		{"no size", ErrShape, "has 1 element, the array has 9", func(o *operands) error { return o.f[0].Reshape().Err() }},
		{"two open sizes", ErrShape, "one axis may be -1", func(o *operands) error { return o.f[0].Reshape(-1, -1).Err() }},
		{"nothing fits the open size", ErrShape, "no size for -1", func(o *operands) error { return o.f[0].Reshape(2, -1).Err() }},
		{"nothing fits one element", ErrShape, "makes 1 element", func(o *operands) error { return Ones[float32](o.dev, 1).Reshape(2, -1).Err() }},
		{"open size beside 0", ErrShape, "no size for -1", func(o *operands) error { return Zeros[float32](o.dev, 0).Reshape(0, -1).Err() }},
		{"negative size", ErrShape, "negative", func(o *operands) error { return o.f[0].Reshape(-9).Err() }},
		{"overflowing size", ErrShape, "does not hold", func(o *operands) error { return o.f[0].Reshape(math.MaxInt, math.MaxInt).Err() }},
		{"too many axes", ErrShape, "axes", func(o *operands) error { return o.f[0].Reshape(9, 1, 1, 1, 1, 1, 1, 1, 1).Err() }},
	}},
	{name: "Array.Flatten", operands: 1, run: func(o *operands) error { return o.f[0].Flatten().Err() }},
	{name: "Array.Clone", operands: 1, run: func(o *operands) error { return o.f[0].Clone().Err() }, misuses: []misuse{
		{"more than there is memory", ErrOutOfMemory, "1 TiB asked", func(o *operands) error { return huge(o.dev, 1<<38).Clone().Err() }},
		{"more than there are addresses for", ErrOutOfMemory, "TiB asked", func(o *operands) error { return huge(o.dev, 1<<59).Clone().Err() }},
	}},

	{name: "Array.Take", operands: 1, run: func(o *operands) error { return o.f[0].Take(o.at, 0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Take(o.at, 2).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).Take(o.at, 0).Err() }},
		{"no indices", ErrDevice, "operand 2 of 2 is nil", func(o *operands) error { return o.f[0].Take(nil, 0).Err() }},
		{"too many axes", ErrShape, "9 axes", func(o *operands) error { return o.f[0].Take(o.at.Reshape(1, 1, 1, 1, 1, 1, 1, 1), 0).Err() }},
		{"huge result", ErrShape, "more elements", func(o *operands) error { return huge(o.dev, 1<<40, 1).Take(o.at.BroadcastTo(1<<40), 1).Err() }},
		{"more than there is memory", ErrOutOfMemory, "12 TiB asked", func(o *operands) error { return o.f[0].Take(o.at.BroadcastTo(1<<40), 0).Err() }},
		{"index beyond the axis", ErrIndex, "the index at (1,) is out of range for axis 0, which has 3 elements; indices are -3 to 2", func(o *operands) error { return ignoring(o.f[0].Take(at(o, -3, 3), 0).ToSlice()) }},
		{"index before the axis", ErrIndex, "the index at (0, 2)", func(o *operands) error { return o.f[0].Take(at(o, 2, 1, -4, 9).Reshape(1, 4), 1).Sync() }},
		{"no elements", ErrIndex, "which has 0 elements; there are no indices", func(o *operands) error { return Zeros[float32](o.dev, 0, 3).Take(o.at, 0).Sync() }},
	}},

	{name: "Array.Tile", operands: 1, run: func(o *operands) error { return o.f[0].Tile(2, 1).Err() }, misuses: []misuse{
		{"negative count", ErrShape, "a count of -1 along axis 1", func(o *operands) error { return o.f[0].Tile(-1).Err() }},
		{"too many counts", ErrShape, "9 counts", func(o *operands) error { return o.f[0].Tile(1, 1, 1, 1, 1, 1, 1, 1, 1).Err() }},
		{"overflowing count", ErrShape, "more than an int holds", func(o *operands) error { return o.f[0].Tile(math.MaxInt).Err() }},
		{"overflowing counts", ErrShape, "more elements", func(o *operands) error { return o.f[0].Tile(1<<40, 1<<40).Err() }},
		{"more than there is memory", ErrOutOfMemory, "TiB asked", func(o *operands) error { return o.f[0].Tile(1 << 40).Err() }},
	}},
	{name: "Array.Repeat", alike: true, operands: 1, run: func(o *operands) error { return o.f[0].Repeat(2, -1).Err() }, misuses: []misuse{
		{"negative count", ErrShape, "a count of -2 along axis 0", func(o *operands) error { return o.f[0].Repeat(-2, 0).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Repeat(2, 2).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Scalar(o.dev, float32(1)).Repeat(2, 0).Err() }},
	}},
	{name: "Array.Roll", operands: 1, run: func(o *operands) error { return o.f[0].Roll(1, 0).Err() }, misuses: []misuse{
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return o.f[0].Roll(1, 2).Err() }},
		{"more than there is memory", ErrOutOfMemory, "4 TiB asked", func(o *operands) error { return huge(o.dev, 1<<40).Roll(5, 0).Err() }},
	}},
	{name: "Array.Pad", operands: 1, shape: []int{5}, run: func(o *operands) error { return o.f[0].Pad(1, [2]int{1, 2}).Err() }, misuses: []misuse{
		{"no widths", ErrShape, "0 widths for an array of rank 1", func(o *operands) error { return o.f[0].Pad(1).Err() }},
		{"too many widths", ErrShape, "2 widths", func(o *operands) error { return o.f[0].Pad(1, [2]int{}, [2]int{}).Err() }},
		{"negative width", ErrShape, "negative width [0 -1] along axis 0", func(o *operands) error { return o.f[0].Pad(1, [2]int{0, -1}).Err() }},
		{"overflowing width", ErrShape, "more than an int holds", func(o *operands) error { return o.f[0].Pad(1, [2]int{math.MaxInt, 1}).Err() }},
		{"overflowing bytes", ErrShape, "more elements", func(o *operands) error { return o.f[0].Pad(1, [2]int{1 << 62, 1}).Err() }},
		{"more than there is memory", ErrOutOfMemory, "TiB asked", func(o *operands) error { return o.f[0].Pad(1, [2]int{1 << 40, 1}).Err() }},
	}},

	// Joining and writing.
	{name: "Concat", operands: 2, run: func(o *operands) error { return Concat(0, o.f[0], o.f[1]).Err() }, misuses: []misuse{
		{"nothing", ErrShape, "no arrays", func(o *operands) error { return Concat[float32](0).Err() }},
		{"bad axis", ErrIndex, "axis 2", func(o *operands) error { return Concat(2, o.f[0], o.f[1]).Err() }},
		{"many arrays", ErrShape, "float32 (3, 3), and 2992 more at bad_input_test.go", func(o *operands) error { return Concat(0, many(o)...).Err() }},
		{"ranks differ", ErrShape, "array 2 has rank 1, the first has 2", func(o *operands) error { return Concat(0, o.f[0], Ones[float32](o.dev, 3)).Err() }},
		{"sizes differ", ErrShape, "size 4 at axis 1", func(o *operands) error { return Concat(0, o.f[0], Ones[float32](o.dev, 3, 4)).Err() }},
		{"rank 0", ErrIndex, "rank 0", func(o *operands) error { return Concat(0, Scalar(o.dev, float32(1)), Scalar(o.dev, float32(2))).Err() }},
		{"overflowing size", ErrShape, "more elements", func(o *operands) error { h := huge(o.dev, 1<<59); return Concat(0, h, h, h, h).Err() }},
	}},
	{name: "Stack", operands: 2, run: func(o *operands) error { return Stack(-1, o.f[0], o.f[1]).Err() }, misuses: []misuse{
		{"nothing", ErrShape, "no arrays", func(o *operands) error { return Stack[float32](0).Err() }},
		{"bad axis", ErrIndex, "axis 3 of a result of rank 3", func(o *operands) error { return Stack(3, o.f[0], o.f[1]).Err() }},
		{"ranks differ", ErrShape, "array 2 has shape (3,), the first has (3, 3); all need the same", func(o *operands) error { return Stack(1, o.f[0], Ones[float32](o.dev, 3)).Err() }},
		{"shapes differ", ErrShape, "array 2 has shape (3, 4), the first has (3, 3); all need the same", func(o *operands) error { return Stack(0, o.f[0], Ones[float32](o.dev, 3, 4)).Err() }},
		{"too many axes", ErrShape, "axes", func(o *operands) error { return Stack(0, Ones[float32](o.dev, 1, 1, 1, 1, 1, 1, 1, 1)).Err() }},
	}},
	{name: "Array.Assign", operands: 2, run: func(o *operands) error { return o.f[0].Assign(o.f[1]) }, misuses: []misuse{
		{"shape does not broadcast", ErrShape, "(3, 3), float32 (4,)", func(o *operands) error { return o.f[0].Assign(Ones[float32](o.dev, 4)) }},
		{"source has more axes", ErrShape, "fewer axes", func(o *operands) error { return o.f[0].Assign(Ones[float32](o.dev, 1, 3, 3)) }},
		{"destination is broadcast", ErrShape, "several places", func(o *operands) error { return o.f[0].BroadcastTo(2, 3, 3).Assign(o.f[1]) }},
	}},
	{name: "Array.Fill", operands: 1, run: func(o *operands) error { return o.f[0].Fill(1) }, misuses: []misuse{
		{"destination is broadcast", ErrShape, "several places", func(o *operands) error { return o.f[0].BroadcastTo(2, 3, 3).Fill(1) }},
	}},

	// To the host.
	{name: "Array.ToSlice", operands: 1, run: func(o *operands) error { _, err := o.f[0].ToSlice(); return err }, misuses: []misuse{
		{"more than there is memory", ErrOutOfMemory, "1 TiB asked", func(o *operands) error { _, err := huge(o.dev, 1<<38).ToSlice(); return err }},
		{"more than there are addresses for", ErrOutOfMemory, "TiB asked", func(o *operands) error { _, err := huge(o.dev, 1<<59).ToSlice(); return err }},
	}},
	{name: "Array.CopyTo", operands: 1, run: func(o *operands) error { return o.f[0].CopyTo(make([]float32, o.f[0].Size())) }, misuses: []misuse{
		{"too short", ErrShape, "room for 8 elements, the array has 9", func(o *operands) error { return o.f[0].CopyTo(make([]float32, 8)) }},
		{"too long", ErrShape, "room for 10", func(o *operands) error { return o.f[0].CopyTo(make([]float32, 10)) }},
		{"nil", ErrShape, "room for 0", func(o *operands) error { return o.f[0].CopyTo(nil) }},
	}},
	{name: "Array.Item", operands: 1, shape: []int{1}, run: func(o *operands) error { _, err := o.f[0].Item(); return err }, misuses: []misuse{
		{"many elements", ErrShape, "Item reads an array of one element, this one has 4; At(", func(o *operands) error { _, err := Ones[float32](o.dev, 2, 2).Item(); return err }},
		{"no elements", ErrShape, "this one has 0", func(o *operands) error { _, err := Ones[float32](o.dev, 0).Item(); return err }},
	}},
	{name: "Array.At", operands: 1, run: func(o *operands) error { _, err := o.f[0].At(1, -1); return err }, misuses: []misuse{
		{"beyond the axis", ErrIndex, "index 3 at axis 1", func(o *operands) error { _, err := o.f[0].At(0, 3); return err }},
		{"too few", ErrIndex, "1 index for", func(o *operands) error { _, err := o.f[0].At(0); return err }},
		{"too many", ErrIndex, "9 indices", func(o *operands) error { _, err := o.f[0].At(0, 0, 0, 0, 0, 0, 0, 0, 0); return err }},
		{"no elements", ErrIndex, "0 elements", func(o *operands) error { _, err := Ones[float32](o.dev, 0).At(0); return err }},
	}},
	{name: "AllClose", operands: 2, broadcasts: true, run: func(o *operands) error { _, err := AllClose(o.f[0], o.f[1], 1, 1); return err }},
	{name: "ArrayEqual", operands: 2, run: func(o *operands) error { _, err := ArrayEqual(o.f[0], o.f[1]); return err }},
	{name: "Array.Err", operands: 1, run: func(o *operands) error { return o.f[0].Err() }},
	{name: "Array.Eval", operands: 1, run: func(o *operands) error { return o.f[0].Eval().Err() }},
	{name: "Array.Sync", operands: 1, run: func(o *operands) error { return o.f[0].Sync() }},
	{name: "Array.String", operands: 1, quiet: true, run: func(o *operands) error { _ = o.f[0].String(); return nil }},
	{name: "Array.Format", operands: 1, quiet: true, run: func(o *operands) error { _ = fmt.Sprintf("%v %.3f %s %d", o.f[0], o.f[0], o.f[0], o.i[0]); return nil }},

	// What an array is.
	{name: "Array.Shape", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].Shape(); return nil }},
	{name: "Array.Strides", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].Strides(); return nil }},
	{name: "Array.Rank", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].Rank(); return nil }},
	{name: "Array.Size", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].Size(); return nil }},
	{name: "Array.DType", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].DType(); return nil }},
	{name: "Array.Device", operands: 1, quiet: true, run: func(o *operands) error { _ = o.f[0].Device().String(); return nil }},
	{name: "Array.Free", operands: 1, quiet: true, run: func(o *operands) error { o.f[0].Transpose().Free(); return nil }},
	{name: "Array.Keep", operands: 1, run: func(o *operands) error { return o.f[0].Keep().Err() }},
	{name: "Array.On", operands: 1, run: func(o *operands) error { return o.f[0].On(o.f[0].Device()).Err() }, misuses: []misuse{
		{"nil device", ErrDevice, "nil", func(o *operands) error { return o.f[0].On(nil).Err() }},
		{"zero device", ErrDevice, "zero", func(o *operands) error { return o.f[0].On(new(Device)).Err() }},
	}},

	// Constructors.
	{name: "FromSlice", makes: true, run: func(o *operands) error { return FromSlice(o.dev, []float32{1, 2, 3}).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return FromSlice(o.dev, []float32{1}, shape...).Err() }),
		misuse{"shape of another size", ErrShape, "shape (2, 2) has 4 elements, the slice has 3", func(o *operands) error { return FromSlice(o.dev, []float32{1, 2, 3}, 2, 2).Err() }},
		misuse{"nil of size 1", ErrShape, "the slice has 0", func(o *operands) error { return FromSlice[float32](o.dev, nil, 1).Err() }},
	)},
	{name: "FromSlice", makes: true, run: func(o *operands) error { return FromSlice[float32](o.dev, nil).Err() }},
	{name: "FromSlice", makes: true, run: func(o *operands) error { return FromSlice(o.dev, []float32{}, 0, math.MaxInt32).Err() }},
	{name: "Zeros", makes: true, run: func(o *operands) error { return Zeros[float32](o.dev, 2, 2).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return Zeros[int64](o.dev, shape...).Err() }), outOfMemory(func(o *operands) error { return Zeros[float64](o.dev, 1<<39).Err() })...)},
	{name: "Ones", alike: true, makes: true, run: func(o *operands) error { return Ones[float32](o.dev, 2, 2).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return Ones[int8](o.dev, shape...).Err() }), outOfMemory(func(o *operands) error { return Ones[uint8](o.dev, 1<<42).Err() })...)},
	{name: "Full", makes: true, run: func(o *operands) error { return Full(o.dev, 0.5, 2, 2).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return Full(o.dev, 0.5, shape...).Err() }), outOfMemory(func(o *operands) error { return Full(o.dev, 0.5, 1<<39).Err() })...)},
	{name: "Scalar", makes: true, run: func(o *operands) error { return Scalar(o.dev, 1.0).Err() }},
	{name: "Eye", makes: true, run: func(o *operands) error { return Eye[float32](o.dev, 3).Err() }, misuses: []misuse{
		{"negative size", ErrShape, "(-1, -1)", func(o *operands) error { return Eye[float32](o.dev, -1).Err() }},
		{"overflowing size", ErrShape, "more elements", func(o *operands) error { return Eye[float32](o.dev, 1<<40).Err() }},
		{"more than there is memory", ErrOutOfMemory, "TiB asked", func(o *operands) error { return Eye[float32](o.dev, 1<<20).Err() }},
	}},
	{name: "Arange", makes: true, run: func(o *operands) error { return Arange[float32](o.dev, 0, 3, 1).Err() }, misuses: []misuse{
		{"step 0", ErrShape, "step is 0", func(o *operands) error { return Arange(o.dev, 0, 1, 0.0).Err() }},
		{"step 0 of integers", ErrShape, "step is 0", func(o *operands) error { return Arange[uint8](o.dev, 0, 1, 0).Err() }},
		{"NaN", ErrShape, "NaN", func(o *operands) error { return Arange(o.dev, 0, math.NaN(), 1).Err() }},
		{"infinity", ErrShape, "Inf", func(o *operands) error { return Arange(o.dev, 0, math.Inf(1), 1).Err() }},
		{"infinite start", ErrShape, "Inf", func(o *operands) error { return Arange(o.dev, math.Inf(-1), 0, 1).Err() }},
		{"too many", ErrShape, "", func(o *operands) error { return Arange(o.dev, 0, 1e300, 1e-300).Err() }},
		{"too many integers", ErrShape, "", func(o *operands) error { return Arange[uint64](o.dev, 0, math.MaxUint64, 1).Err() }},
		{"more than there is memory", ErrOutOfMemory, "TiB asked", func(o *operands) error { return Arange[int64](o.dev, 0, 1<<37, 1).Err() }},
		{"bool", ErrType, "bool", func(o *operands) error { return Arange(o.dev, false, true, true).Err() }},
	}},
	{name: "Linspace", makes: true, run: func(o *operands) error { return Linspace(o.dev, 0, 1.0, 5).Err() }, misuses: []misuse{
		{"negative count", ErrShape, "negative", func(o *operands) error { return Linspace(o.dev, 0, 1.0, -1).Err() }},
		{"overflowing count", ErrShape, "more elements", func(o *operands) error { return Linspace(o.dev, 0, 1.0, math.MaxInt).Err() }},
		{"integers", ErrType, "int32", func(o *operands) error { return Linspace[int32](o.dev, 0, 1, 5).Err() }},
	}},
	{name: "NewRand", alike: true, op: "Uniform", makes: true, run: func(o *operands) error { return Uniform[float32](NewRand(o.dev, 1), 2).Err() }},
	{name: "Rand.Split", alike: true, op: "Uniform", makes: true, run: func(o *operands) error { return Uniform[float32](NewRand(o.dev, 1).Split(), 2).Err() }, misuses: []misuse{
		{"nil Rand", ErrDevice, "Rand is nil or zero", func(o *operands) error { return Uniform[float32]((*Rand)(nil).Split(), 2).Err() }},
		{"zero Rand", ErrDevice, "", func(o *operands) error { return Uniform[float32](new(Rand).Split(), 2).Err() }},
	}},
	{name: "Rand.On", alike: true, op: "Uniform", makes: true, run: func(o *operands) error { return Uniform[float32](NewRand(nil, 1).On(o.dev), 2).Err() }, misuses: []misuse{
		{"nil Rand", ErrDevice, "Rand is nil", func(o *operands) error { return Uniform[float32]((*Rand)(nil).On(o.dev), 2).Err() }},
		{"zero Rand", ErrDevice, "zero", func(o *operands) error { return Uniform[float32](new(Rand).On(o.dev), 2).Err() }},
	}},
	{name: "Uniform", makes: true, run: func(o *operands) error { return Uniform[float64](NewRand(o.dev, 1), 2, 2).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return Uniform[float64](NewRand(o.dev, 1), shape...).Err() }),
		misuse{"nil Rand", ErrDevice, "Rand is nil or zero", func(o *operands) error { return Uniform[float32](nil, 2).Err() }},
		misuse{"zero Rand", ErrDevice, "", func(o *operands) error { return Uniform[float32](new(Rand), 2).Err() }},
		misuse{"integers", ErrType, "int32", func(o *operands) error { return Uniform[int32](NewRand(o.dev, 1), 2).Err() }},
	)},
	{name: "Normal", alike: true, makes: true, run: func(o *operands) error { return Normal[float32](NewRand(o.dev, 1), 2, 2).Err() }, misuses: append(badShapes(func(o *operands, shape []int) error { return Normal[float64](NewRand(o.dev, 1), shape...).Err() }),
		misuse{"nil Rand", ErrDevice, "Rand is nil or zero", func(o *operands) error { return Normal[float32](nil, 2).Err() }},
		misuse{"bool", ErrType, "bool", func(o *operands) error { return Normal[bool](NewRand(o.dev, 1), 2).Err() }},
	)},

	// Devices.
	{name: "Open", misuses: []misuse{
		{"GPU -1", ErrDevice, "", func(o *operands) error { _, err := Open(CUDA(-1)); return err }},
		{"GPU 1000", ErrDevice, "", func(o *operands) error { _, err := Open(CUDA(1000)); return err }},
	}, run: func(o *operands) error { d, err := Open(nil, Simulated()); return errors.Join(err, d.Close()) }},
	{name: "CUDA", quiet: true, run: func(o *operands) error { _ = CUDA(-1); return nil }},
	{name: "Simulated", quiet: true, run: func(o *operands) error { _ = Simulated(); return nil }},
	{name: "Device.Sync", makes: true, run: func(o *operands) error { return o.dev.Sync() }},
	{name: "Device.Fork", makes: true, run: func(o *operands) error { f, err := o.dev.Fork(); _ = f.Close(); return err }},
	{name: "Device.Scope", makes: true, run: func(o *operands) error { return o.dev.Scope(func(*Device) error { return nil }) }, misuses: []misuse{
		{"nil function", ErrArgument, "nil", func(o *operands) error { return o.dev.Scope(nil) }},
	}},
	{name: "Device.Capture", makes: true, run: func(o *operands) error { return done(o.dev.Capture(keepOne)) }, misuses: []misuse{
		{"nil function", ErrArgument, "function is nil", func(o *operands) error { _, err := o.dev.Capture(nil); return err }},
	}},
	{name: "Graph.Launch", alike: true, run: func(o *operands) error { return emptyGraph(o).Launch() }, misuses: []misuse{
		{"nil Graph", ErrArgument, "Device.Capture makes one", func(o *operands) error { return (*Graph)(nil).Launch() }},
		{"zero Graph", ErrArgument, "Device.Capture makes one", func(o *operands) error { return new(Graph).Launch() }},
	}},
	{name: "Graph.Close", alike: true, run: func(o *operands) error { return emptyGraph(o).Close() }, misuses: []misuse{
		{"nil Graph", ErrArgument, "Device.Capture makes one", func(o *operands) error { return (*Graph)(nil).Close() }},
		{"zero Graph", ErrArgument, "Device.Capture makes one", func(o *operands) error { return new(Graph).Close() }},
	}},
	{name: "Index.String", quiet: true, run: func(o *operands) error { _, _ = Index{}.String(), R(0, 1, 2, 3).String(); return nil }},
	{name: "Stats.String", quiet: true, run: func(o *operands) error { _ = Stats{}.String(); return nil }},
	{name: "Graph.String", quiet: true, run: func(o *operands) error { _, _ = emptyGraph(o).String(), (*Graph)(nil).String(); return nil }},
	{name: "Device.Trim", makes: true, run: func(o *operands) error { return o.dev.Trim(0) }},
	{name: "Device.Limit", makes: true, run: func(o *operands) error { return o.dev.Limit("none") }, misuses: []misuse{
		{"empty", ErrArgument, "", func(o *operands) error { return o.dev.Limit("") }},
		{"no number", ErrArgument, `"many"`, func(o *operands) error { return o.dev.Limit("many") }},
		{"unknown unit", ErrArgument, `"5 bananas"`, func(o *operands) error { return o.dev.Limit("5 bananas") }},
		{"negative", ErrArgument, `"-1GiB"`, func(o *operands) error { return o.dev.Limit("-1GiB") }},
		{"NaN", ErrArgument, `"NaN"`, func(o *operands) error { return o.dev.Limit("NaN") }},
		{"too large", ErrArgument, "", func(o *operands) error { return o.dev.Limit("1e30") }},
		{"too large with its unit", ErrArgument, "more than memory has addresses for", func(o *operands) error { return o.dev.Limit("4000000000000000000TB") }},
		{"more than all", ErrArgument, "more than all of the device's memory", func(o *operands) error { return o.dev.Limit("200%") }},
	}},
	{name: "Device.Close", misuses: []misuse{
		{"nil", ErrDevice, "nil", func(o *operands) error { return (*Device)(nil).Close() }},
		{"zero", ErrDevice, "zero", func(o *operands) error { return new(Device).Close() }},
		{"of a scope", ErrDevice, "Scope", func(o *operands) error { return o.dev.Scope(func(s *Device) error { return s.Close() }) }},
	}, run: func(o *operands) error { f, err := o.dev.Fork(); return errors.Join(err, f.Close(), f.Close()) }},
	{name: "Device.Stats", makes: true, quiet: true, run: func(o *operands) error { o.dev.Stats(); return nil }},
	{name: "Device.String", makes: true, quiet: true, run: func(o *operands) error { _ = o.dev.String(); return nil }},
	{name: "Device.Simulated", makes: true, quiet: true, run: func(o *operands) error { o.dev.Simulated(); return nil }},

	// Values and errors.
	{name: "F16", quiet: true, run: func(o *operands) error { F16(float32(math.NaN())); return nil }},
	{name: "BF16", quiet: true, run: func(o *operands) error { BF16(float32(math.Inf(-1))); return nil }},
	{name: "Float16FromBits", quiet: true, run: func(o *operands) error { _ = Float16FromBits(0xffff); return nil }},
	{name: "BFloat16FromBits", quiet: true, run: func(o *operands) error { _ = BFloat16FromBits(0xffff); return nil }},
	{name: "Float16.Bits", quiet: true, run: func(o *operands) error { _ = Float16{}.Bits(); return nil }},
	{name: "Float16.Float32", quiet: true, run: func(o *operands) error { Float16FromBits(0xffff).Float32(); return nil }},
	{name: "Float16.String", quiet: true, run: func(o *operands) error { _ = Float16FromBits(0xffff).String(); return nil }},
	{name: "Float16.Format", quiet: true, run: func(o *operands) error { _ = fmt.Sprintf("%v %.3f %d", Float16{}, Float16{}, Float16{}); return nil }},
	{name: "BFloat16.Bits", quiet: true, run: func(o *operands) error { _ = BFloat16{}.Bits(); return nil }},
	{name: "BFloat16.Float32", quiet: true, run: func(o *operands) error { BFloat16FromBits(0xffff).Float32(); return nil }},
	{name: "BFloat16.String", quiet: true, run: func(o *operands) error { _ = BFloat16FromBits(0xffff).String(); return nil }},
	{name: "BFloat16.Format", quiet: true, run: func(o *operands) error { _ = fmt.Sprintf("%v %.3f %d", BFloat16{}, BFloat16{}, BFloat16{}); return nil }},
	{name: "R", quiet: true, run: func(o *operands) error { _ = R(math.MinInt, math.MaxInt, 0); return nil }},
	{name: "I", quiet: true, run: func(o *operands) error { _ = I(math.MinInt); return nil }},
	{name: "Failed", op: "p.F", misuses: []misuse{
		{"no error", nil, "no reason", func(o *operands) error { return failing(o.dev, nil) }},
		{"no device", nil, "p.F", func(o *operands) error { return failing(nil, nil) }},
		{"an error of another line", ErrShape, "(9,)", func(o *operands) error { return failing(o.dev, Ones[int8](o.dev, 9).Reshape(8).Err()) }},
	}, run: func(o *operands) error { return nil }},
	{name: "Error.Error", quiet: true, run: func(o *operands) error { _, _ = new(Error).Error(), (*Error)(nil).Error(); return nil }},
	{name: "Error.Unwrap", quiet: true, run: func(o *operands) error { _, _ = new(Error).Unwrap(), (*Error)(nil).Unwrap(); return nil }},
	{name: "Error.Caller", quiet: true, run: func(o *operands) error { new(Error).Caller(); (*Error)(nil).Caller(); return nil }},
}

// huge is an array that takes no memory and has many elements.
func huge(d *Device, shape ...int) *Array[float32] { return Ones[float32](d, 1).BroadcastTo(shape...) }

// ones is an array that an operation's other arguments are.
func ones(o *operands, shape ...int) *Array[float32] { return Ones[float32](o.dev, shape...) }

// at is indices.
func at(o *operands, index ...int64) *Array[int64] { return FromSlice(o.dev, index) }

// many is arrays that do not join: the last one's shape differs.
func many(o *operands) []*Array[float32] {
	return append(slices.Repeat(o.f[:1], 2999), ones(o, 3, 4))
}

// failing is a function of another package.
func failing(d *Device, err error) error { return Failed[float32](d, "p.F", err).Err() }

// badShapes are shapes that no constructor takes. Errors name a line of this
// file, as the one that calls is within the argument.
func badShapes(run func(o *operands, shape []int) error) []misuse {
	var list []misuse
	for _, c := range []struct {
		name, text string
		shape      []int
	}{
		{"negative size", "(-1,) has a negative size", []int{-1}},
		{"negative size beside 0", "negative", []int{0, -1}},
		{"smallest size", "negative", []int{math.MinInt}},
		{"overflowing sizes", "more elements", []int{math.MaxInt, math.MaxInt}},
		{"overflowing bytes", "more elements", []int{math.MaxInt/4 + 1, 5}},
		{"overflowing to 0", "more elements", []int{1 << 32, 1 << 32}},
		{"overflowing beside 0", "more elements", []int{math.MaxInt, 3, 0}},
		{"too many axes", "9 axes, at most 8", []int{1, 1, 1, 1, 1, 1, 1, 1, 1}},
	} {
		list = append(list, misuse{c.name, ErrShape, c.text, func(o *operands) error { return run(o, c.shape) }})
	}
	return list
}

func outOfMemory(run func(o *operands) error) []misuse {
	return []misuse{{"more than there is memory", ErrOutOfMemory, "TiB asked", run}}
}

// A wrongOperand is what takes an operand's place, and the error that this is.
type wrongOperand struct {
	o    *operands
	want error
}

// wrongOperands are the ways in which an operand can be wrong, each for one of the
// shapes that the table uses.
func wrongOperands(t *testing.T, good *operands, shape []int) map[string]wrongOperand {
	foreign := openForTest(t)
	gone := openForTest(t)
	closed := newOperands(gone, shape...)
	if err := gone.Close(); err != nil {
		t.Fatal(err)
	}
	freed := newOperands(good.dev, shape...)
	view := &operands{}
	view.f[0], view.i[0], view.b[0] = freed.f[0].ExpandDims(0), freed.i[0].ExpandDims(0), freed.b[0].ExpandDims(0)
	freed.free()
	failed := &operands{}
	failed.f[0], failed.i[0], failed.b[0] = good.f[0].Reshape(77), good.i[0].Reshape(77), good.b[0].Reshape(77)
	zero := &operands{}
	zero.f[0], zero.i[0], zero.b[0] = new(Array[float32]), new(Array[int32]), new(Array[bool])
	return map[string]wrongOperand{
		"nil operand":                {new(operands), ErrDevice},
		"zero Array":                 {zero, ErrDevice},
		"freed operand":              {freed, ErrFreed},
		"view of a freed array":      {view, ErrFreed},
		"operand with an error":      {failed, ErrShape},
		"operand of a closed device": {closed, ErrDevice},
		"operand of another device":  {newOperands(foreign, shape...), ErrDevice},
	}
}

// openForTest opens a device that the test closes.
func openForTest(t *testing.T) *Device {
	t.Helper()
	d, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

// Every exported function and method, with everything that can be wrong with its
// operands and arguments: an error of the right kind that says the operation, the
// operands and the line, and no panic; a good call works afterwards; and no memory
// is lost.
func TestBadInput(t *testing.T) {
	d := openForTest(t)
	closed, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	before := settled(d)
	for _, shape := range [][]int{{3, 3}, {5}, {1}} {
		good := newOperands(d, shape...)
		wrong := wrongOperands(t, good, shape)
		for _, op := range operations {
			if !slices.Equal(shape, op.shape) && !(op.shape == nil && len(shape) == 2) {
				continue
			}
			t.Run(op.name, func(t *testing.T) {
				op.works(t, good)
				op.badOperands(t, good, wrong)
				if op.makes {
					for name, dev := range map[string]*Device{"nil Device": nil, "zero Device": new(Device), "closed Device": closed} {
						op.rejects(t, misuse{name, ErrDevice, "", op.run}, good.on(dev))
					}
				}
				if op.wrongType != nil {
					op.rejects(t, misuse{"type that it is not defined for", ErrType, "", op.wrongType}, good)
				}
				for _, m := range op.misuses {
					op.rejects(t, m, good)
				}
				op.works(t, good)
			})
		}
		good.free()
	}
	if after := settled(d); after.Arrays != before.Arrays || after.Used != before.Used {
		t.Errorf("%d arrays of %d bytes before, %d of %d after", before.Arrays, before.Used, after.Arrays, after.Used)
	}
}

// emptyGraph is a graph of nothing.
func emptyGraph(o *operands) *Graph {
	g, _ := o.dev.Capture(func(*Device) error { return nil })
	return g
}

// keepOne is something to capture.
func keepOne(c *Device) error { return Ones[float32](c, 4).AddScalar(1).Keep().Err() }

// done launches a graph and closes it.
func done(g *Graph, err error) error {
	if err != nil {
		return err
	}
	return errors.Join(g.Launch(), g.Close())
}

// settled returns the figures of a device once the collector has been, with the
// tickets that reductions leave on each stream and the status cells.
func settled(d *Device) Stats {
	if err := Ones[float32](d, 5, 5).Take(Zeros[int64](d, 1), 0).Sum().Sync(); err != nil {
		return Stats{}
	}
	for range 3 {
		runtime.GC()
	}
	return d.Stats()
}

// works checks that the operation works on good operands, and that the device
// computes.
func (op *operation) works(t *testing.T, good *operands) {
	t.Helper()
	if err := op.run(good); err != nil {
		t.Fatalf("good input: %v", err)
	}
	if got, err := Arange[float32](good.dev, 0, 5, 1).MulScalar(3).Sum().Item(); got != 30 || err != nil {
		t.Fatalf("3·(0+1+2+3+4) is %v, %v", got, err)
	}
}

// badOperands replaces each operand in turn.
func (op *operation) badOperands(t *testing.T, good *operands, wrong map[string]wrongOperand) {
	t.Helper()
	for name, w := range wrong {
		for k := range op.operands {
			if name == "operand of another device" && op.operands == 1 {
				continue // it is at home there
			}
			if name == "nil operand" && op.optional && k > 0 {
				continue
			}
			o := good.with(k, w.o)
			if name == "operand with an error" && !op.quiet {
				if err := op.run(o); err != error(w.o.f[0].node.err) && err != error(w.o.i[0].node.err) && err != error(w.o.b[0].node.err) {
					t.Errorf("operand %d carries an error: the result is %v, want %v", k+1, err, w.o.f[0].Err())
				}
				continue
			}
			op.rejects(t, misuse{fmt.Sprintf("%s, at %d", name, k+1), w.want, "", op.run}, o)
		}
	}
	if op.broadcasts {
		odd := newOperands(good.dev, 4)
		for k := range op.operands {
			op.rejects(t, misuse{fmt.Sprintf("shape that does not broadcast, at %d", k+1), ErrShape, "(4,)", op.run}, good.with(k, odd))
			op.rejects(t, misuse{fmt.Sprintf("shape that does not broadcast, at %d", k+1), ErrShape, "(3, 3)", op.run}, good.with(k, odd))
		}
		odd.free()
	}
}

// rejects checks that a call gives the error that it should.
func (op *operation) rejects(t *testing.T, m misuse, o *operands) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("%s: panic: %v", m.name, p)
		}
	}()
	err := m.run(o)
	if op.quiet {
		return
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%s: %v (%T), want an *Error", m.name, err, err)
		return
	}
	name := op.op
	if name == "" {
		name = strings.TrimPrefix(op.name, "Array.")
	}
	if m.want != nil && !errors.Is(err, m.want) || e.Op != name || !strings.Contains(err.Error(), m.text) {
		t.Errorf("%s: %v\nwant an error of %q, %v, that says %q", m.name, err, name, m.want, m.text)
	}
	if op.operands > 0 && len(e.Operands) == 0 && m.name != "nothing" {
		t.Errorf("%s: %v\nnames no operands", m.name, err)
	}
	if strings.HasPrefix(m.name, "freed operand") && op.operands > 1 && !strings.Contains(err.Error(), "operand "+m.name[len(m.name)-1:]+" of ") {
		t.Errorf("%s: %v\ndoes not say which operand was freed", m.name, err)
	}
	if kinds := kindsOf(err); m.want != nil && len(kinds) != 1 {
		t.Errorf("%s: %v is of %d kinds: %v", m.name, err, len(kinds), kinds)
	}
	file, line := e.Caller()
	if f := frameOf(m.run); file != f.File || line != f.Line && !strings.Contains(f.Function, "badShapes") {
		t.Errorf("%s: %v\nnames %s:%d, want %s:%d", m.name, err, filepath.Base(file), line, filepath.Base(f.File), f.Line)
	}
}

// frameOf says where a function literal of one line is.
func frameOf(run func(o *operands) error) runtime.Frame {
	frames := runtime.CallersFrames([]uintptr{reflect.ValueOf(run).Pointer() + 1})
	for {
		f, more := frames.Next()
		if !more {
			return f
		}
	}
}

// kindsOf lists the sentinels that an error is.
func kindsOf(err error) (kinds []error) {
	for _, k := range []error{ErrShape, ErrType, ErrIndex, ErrFreed, ErrDevice, ErrOutOfMemory, ErrArgument, ErrCapture} {
		if errors.Is(err, k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// Rank 0, no elements, size 1 and the largest rank: each operation either works or
// says what is wrong.
func TestOddShapes(t *testing.T) {
	d := openForTest(t)
	before := settled(d)
	for _, shape := range [][]int{{}, {0}, {1}, {0, 3}, {3, 0}, {0, 0}, {1, 1, 1}, {2, 0, 3}, {1, 2, 1, 1, 2, 1, 1, 1}} {
		o := newOperands(d, shape...)
		for _, op := range operations {
			t.Run(fmt.Sprintf("%s %v", op.name, shape), func(t *testing.T) {
				defer func() {
					if p := recover(); p != nil {
						t.Errorf("panic: %v", p)
					}
				}()
				if err := op.run(o); err != nil {
					var e *Error
					if !errors.As(err, &e) || len(kindsOf(err)) != 1 || errors.Is(err, ErrDevice) || errors.Is(err, ErrType) {
						t.Errorf("%v (%T)", err, err)
					}
				}
				if err := d.Sync(); err != nil {
					t.Error(err)
				}
			})
		}
		o.free()
	}
	if after := settled(d); after.Arrays != before.Arrays || after.Used != before.Used {
		t.Errorf("%d arrays of %d bytes before, %d of %d after", before.Arrays, before.Used, after.Arrays, after.Used)
	}
}

// The table has every exported function and method, and nothing else.
func TestBadInputIsComplete(t *testing.T) {
	declared := map[string]bool{}
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) == 0 {
		t.Skip("the package's source is not here")
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Name.IsExported() {
				if name := receiver(f) + f.Name.Name; ast.IsExported(name) {
					declared[name] = true
				}
			}
		}
	}
	for _, op := range operations {
		if !declared[op.name] {
			t.Errorf("%s is in the table and not in the package", op.name)
		}
	}
	for _, op := range operations {
		delete(declared, op.name)
	}
	for _, name := range slices.Sorted(maps.Keys(declared)) {
		t.Errorf("%s is not in the table", name)
	}
}

// receiver is the name of a method's type, with a point, or nothing.
func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil {
		return ""
	}
	x := f.Recv.List[0].Type
	if p, ok := x.(*ast.StarExpr); ok {
		x = p.X
	}
	if p, ok := x.(*ast.IndexExpr); ok {
		x = p.X
	}
	return x.(*ast.Ident).Name + "."
}
