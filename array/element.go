package array

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Element is the set of element types. Operations that a type does not support
// give an Array that carries ErrType.
type Element interface {
	bool | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 |
		float32 | float64 | Float16 | BFloat16
}

// typeOf returns the kernels' name for T.
func typeOf[T Element]() kernels.Type {
	var zero T
	switch any(zero).(type) {
	case bool:
		return kernels.Bool
	case int8:
		return kernels.Int8
	case int16:
		return kernels.Int16
	case int32:
		return kernels.Int32
	case int64:
		return kernels.Int64
	case uint8:
		return kernels.Uint8
	case uint16:
		return kernels.Uint16
	case uint32:
		return kernels.Uint32
	case uint64:
		return kernels.Uint64
	case float32:
		return kernels.Float32
	case float64:
		return kernels.Float64
	case Float16:
		return kernels.Float16
	default:
		return kernels.BFloat16
	}
}

// A scalar is a value of an element type on its way to a kernel: its type and
// its bits, low bytes first.
type scalar struct {
	typ  kernels.Type
	bits uint64
}

// scalarOf packs v.
func scalarOf[T Element](v T) scalar {
	s := scalar{typ: typeOf[T]()}
	switch v := any(v).(type) {
	case bool:
		if v {
			s.bits = 1
		}
	case int8:
		s.bits = uint64(uint8(v))
	case int16:
		s.bits = uint64(uint16(v))
	case int32:
		s.bits = uint64(uint32(v))
	case int64:
		s.bits = uint64(v)
	case uint8:
		s.bits = uint64(v)
	case uint16:
		s.bits = uint64(v)
	case uint32:
		s.bits = uint64(v)
	case uint64:
		s.bits = v
	case float32:
		s.bits = uint64(math.Float32bits(v))
	case float64:
		s.bits = math.Float64bits(v)
	case Float16:
		s.bits = uint64(v.bits)
	case BFloat16:
		s.bits = uint64(v.bits)
	}
	return s
}

// word is the scalar's bits as what is stored: the number that a kernel makes of a
// float16 may be another NaN. Kernels that store these are embedded but for two bytes.
func (s scalar) word() kernels.Node {
	words := [...]kernels.Type{1: kernels.Uint8, 2: kernels.Uint16, 4: kernels.Int32, 8: kernels.Int64}
	return kernels.Node{Kind: kernels.Immediate, Type: words[s.typ.Size()], Bits: s.bits}
}

// float returns the scalar's value as a float64, exactly but for 64-bit integers
// beyond 2⁵³.
func (s scalar) float() float64 {
	switch s.typ {
	case kernels.Float32:
		return float64(math.Float32frombits(uint32(s.bits)))
	case kernels.Float64:
		return math.Float64frombits(s.bits)
	case kernels.Float16:
		return float64(Float16{uint16(s.bits)}.Float32())
	case kernels.BFloat16:
		return float64(BFloat16{uint16(s.bits)}.Float32())
	case kernels.Uint8, kernels.Uint16, kernels.Uint32, kernels.Uint64, kernels.Bool:
		return float64(s.bits)
	}
	return float64(s.int())
}

// int returns the value of a signed integer scalar.
func (s scalar) int() int64 {
	switch s.typ {
	case kernels.Int8:
		return int64(int8(s.bits))
	case kernels.Int16:
		return int64(int16(s.bits))
	case kernels.Int32:
		return int64(int32(s.bits))
	}
	return int64(s.bits)
}

// number returns v as a scalar of type t; v must be a value of t where t is an
// integer type.
func number(t kernels.Type, v float64) scalar {
	switch t {
	case kernels.Float32:
		return scalarOf(float32(v))
	case kernels.Float64:
		return scalarOf(v)
	case kernels.Float16:
		return scalarOf(F16(float32(v)))
	case kernels.BFloat16:
		return scalarOf(BF16(float32(v)))
	}
	bits := uint64(int64(v))
	if size := t.Size(); size < 8 {
		bits &= 1<<(8*size) - 1
	}
	return scalar{t, bits}
}
