package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// Type is an element type.
type Type uint8

const (
	Invalid Type = iota
	Bool         // one byte, 0 or 1
	Int8
	Int16
	Int32
	Int64
	Uint8
	Uint16
	Uint32
	Uint64
	Float16
	BFloat16
	Float32
	Float64
	numTypes
)

// NumTypes is a number greater than that of every Type.
const NumTypes = int(numTypes)

// A class groups the types that share their rules.
type class uint8

const (
	noClass class = iota
	boolean
	signed
	unsigned
	floating
)

// types is the table of element types. A value is held in a register of type
// reg: bool as a predicate, integers of fewer than 32 bits extended to 32 bits
// (and brought back into range after each operation), float16 and bfloat16 as
// the float32 they stand for (and rounded after each operation). The suffix is
// that of arithmetic on such registers.
var types = [numTypes]struct {
	name   string
	size   int // bytes in memory
	class  class
	suffix string   // "f32" in add.rn.f32
	mem    string   // "u8" in ld.global.u8: one element
	reg    ptx.Type // register that holds one value
}{
	Invalid:  {"invalid", 0, noClass, "", "", ptx.NoType},
	Bool:     {"bool", 1, boolean, "pred", "u8", ptx.Pred},
	Int8:     {"int8", 1, signed, "s32", "s8", ptx.S32},
	Int16:    {"int16", 2, signed, "s32", "s16", ptx.S32},
	Int32:    {"int32", 4, signed, "s32", "s32", ptx.S32},
	Int64:    {"int64", 8, signed, "s64", "s64", ptx.S64},
	Uint8:    {"uint8", 1, unsigned, "u32", "u8", ptx.U32},
	Uint16:   {"uint16", 2, unsigned, "u32", "u16", ptx.U32},
	Uint32:   {"uint32", 4, unsigned, "u32", "u32", ptx.U32},
	Uint64:   {"uint64", 8, unsigned, "u64", "u64", ptx.U64},
	Float16:  {"float16", 2, floating, "f32", "u16", ptx.F32},
	BFloat16: {"bfloat16", 2, floating, "f32", "u16", ptx.F32},
	Float32:  {"float32", 4, floating, "f32", "f32", ptx.F32},
	Float64:  {"float64", 8, floating, "f64", "f64", ptx.F64},
}

func (t Type) valid() bool { return t > Invalid && t < numTypes }

// String returns the Go name of the type in lower case: "float32", "bfloat16".
func (t Type) String() string {
	if t < numTypes {
		return types[t].name
	}
	return "invalid"
}

// Size returns the bytes of one element in memory, 0 for no valid type.
func (t Type) Size() int {
	if t < numTypes {
		return types[t].size
	}
	return 0
}

func (t Type) class() class {
	if t < numTypes {
		return types[t].class
	}
	return noClass
}

// IsFloat says whether t is a floating-point type of any width.
func (t Type) IsFloat() bool { return t.class() == floating }

// IsInteger says whether t is a signed or unsigned integer; bool is not.
func (t Type) IsInteger() bool { c := t.class(); return c == signed || c == unsigned }

// IsSigned says whether t has negative values.
func (t Type) IsSigned() bool { c := t.class(); return c == signed || c == floating }

// typeByName is the inverse of String; Invalid for an unknown name.
func typeByName(name string) Type {
	for t := Bool; t < numTypes; t++ {
		if types[t].name == name {
			return t
		}
	}
	return Invalid
}

// suffix returns the PTX type of arithmetic on values of type t.
func (t Type) suffix() string { return types[t].suffix }

// mem returns the PTX type that loads or stores one element in memory.
func (t Type) mem() string { return types[t].mem }

// reg returns the type of a register holding one value.
func (t Type) reg() ptx.Type { return types[t].reg }

// bits returns the type's width in memory, in bits.
func (t Type) bits() int { return types[t].size * 8 }

// wide says whether a value's register has 64 bits.
func (t Type) wide() bool { return types[t].size == 8 }

// compute is the type that operations on t are computed in: t itself, except
// that float16 and bfloat16 are computed in float32 (and rounded afterwards).
func (t Type) compute() Type {
	if t == Float16 || t == BFloat16 {
		return Float32
	}
	return t
}

// A typeSet is a set of types, as bits.
type typeSet uint32

func setOf(ts ...Type) typeSet {
	var s typeSet
	for _, t := range ts {
		s |= 1 << t
	}
	return s
}

func (s typeSet) has(t Type) bool { return s>>t&1 != 0 }

var (
	signedTypes   = setOf(Int8, Int16, Int32, Int64)
	unsignedTypes = setOf(Uint8, Uint16, Uint32, Uint64)
	integerTypes  = signedTypes | unsignedTypes
	floatTypes    = setOf(Float16, BFloat16, Float32, Float64)
	numberTypes   = integerTypes | floatTypes
	boolType      = setOf(Bool)
	allTypes      = boolType | numberTypes
)
