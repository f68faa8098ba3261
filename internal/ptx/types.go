package ptx

// typeInfo is what the package knows of each Type.
var typeInfo = [...]struct {
	name string
	bits int
	kind typeKind
}{
	NoType: {"", 0, kindNone},
	Pred:   {"pred", 1, kindPred},
	B8:     {"b8", 8, kindBits},
	B16:    {"b16", 16, kindBits},
	B32:    {"b32", 32, kindBits},
	B64:    {"b64", 64, kindBits},
	B128:   {"b128", 128, kindBits},
	U8:     {"u8", 8, kindInt},
	U16:    {"u16", 16, kindInt},
	U32:    {"u32", 32, kindInt},
	U64:    {"u64", 64, kindInt},
	S8:     {"s8", 8, kindInt},
	S16:    {"s16", 16, kindInt},
	S32:    {"s32", 32, kindInt},
	S64:    {"s64", 64, kindInt},
	F16:    {"f16", 16, kindFloat},
	F16x2:  {"f16x2", 32, kindFloat},
	BF16:   {"bf16", 16, kindAlt},
	BF16x2: {"bf16x2", 32, kindAlt},
	TF32:   {"tf32", 32, kindAlt},
	F32:    {"f32", 32, kindFloat},
	F32x2:  {"f32x2", 64, kindAlt},
	F64:    {"f64", 64, kindFloat},
	E4M3:   {"e4m3", 8, kindAlt},
	E5M2:   {"e5m2", 8, kindAlt},
	E4M3x2: {"e4m3x2", 16, kindAlt},
	E5M2x2: {"e5m2x2", 16, kindAlt},
	U16x2:  {"u16x2", 32, kindAlt},
	S16x2:  {"s16x2", 32, kindAlt},
	B8x4:   {"b8x4", 32, kindAlt},
}

// typeKind sorts types by which registers may hold their values.
type typeKind uint8

const (
	kindNone  typeKind = iota
	kindPred           // predicate registers only
	kindBits           // any register of the size
	kindInt            // integer or untyped registers of the size
	kindFloat          // registers of the same type, or untyped ones of the size
	kindAlt            // untyped registers of the size: no register can be declared with the type
)

// String returns the type's name in PTX, without the dot.
func (t Type) String() string { return typeInfo[t].name }

// Bits returns the type's width; a predicate counts as one bit.
func (t Type) Bits() int { return typeInfo[t].bits }

// Size returns the bytes that a value of the type takes in memory.
func (t Type) Size() int { return (typeInfo[t].bits + 7) / 8 }

// Signed says whether the type is a signed integer.
func (t Type) Signed() bool { return t >= S8 && t <= S64 }

// Integer says whether the type is a signed or unsigned integer.
func (t Type) Integer() bool { return typeInfo[t].kind == kindInt }

// typeNames finds a type by its name.
var typeNames = func() map[string]Type {
	m := make(map[string]Type, len(typeInfo))
	for t := range typeInfo {
		if t > 0 {
			m[typeInfo[t].name] = Type(t)
		}
	}
	return m
}()

// TypeByName returns the type with a PTX name such as "f32" (without a dot).
func TypeByName(name string) (Type, bool) {
	t, ok := typeNames[name]
	return t, ok
}

// wide returns the type of the same kind and twice the width.
func (t Type) wide() Type {
	switch t {
	case U16, U32, S16, S32, B16, B32:
		return t + 1
	}
	return NoType
}

// declarable says whether registers and variables can have the type.
func (t Type) declarable() bool {
	k := typeInfo[t].kind
	return k != kindNone && k != kindAlt
}

// holds says whether a register of type reg may stand where an instruction
// wants type t; wider also allows wider registers, as ld, st and cvt do.
func holds(reg, t Type, wider bool) bool {
	rk, tk := typeInfo[reg].kind, typeInfo[t].kind
	if rk == kindPred || tk == kindPred {
		return rk == tk
	}
	if reg.Bits() == t.Bits() {
		return reg == t || rk == kindBits || tk == kindBits || rk == kindInt && tk == kindInt
	}
	return wider && reg.Bits() > t.Bits() && (rk == kindBits || tk == kindBits || rk == kindInt && tk == kindInt)
}

var spaceNames = [...]string{GenericSpace: "", GlobalSpace: "global", SharedSpace: "shared", LocalSpace: "local", ConstSpace: "const", ParamSpace: "param"}

// String returns the state space's name in PTX, without the dot; the generic
// space has none.
func (s Space) String() string { return spaceNames[s] }

// spaceOf returns the state space that a modifier such as "shared::cta" names.
func spaceOf(mod string) (Space, bool) {
	switch mod {
	case "global":
		return GlobalSpace, true
	case "shared", "shared::cta", "shared::cluster":
		return SharedSpace, true
	case "local":
		return LocalSpace, true
	case "const":
		return ConstSpace, true
	case "param", "param::entry":
		return ParamSpace, true
	}
	return GenericSpace, false
}
