package ptx

import "fmt"

// Type is a PTX type: fundamental (.u32, .f32, .pred, …) or one that only
// appears as an instruction modifier (.bf16x2, .tf32, .e4m3x2).
type Type uint8

const (
	NoType Type = iota
	Pred
	B8
	B16
	B32
	B64
	B128
	U8
	U16
	U32
	U64
	S8
	S16
	S32
	S64
	F16
	F16x2
	BF16
	BF16x2
	TF32
	F32
	F32x2
	F64
	E4M3
	E5M2
	E4M3x2
	E5M2x2
	U16x2
	S16x2
	B8x4 // four 8-bit floats
)

// Pos is a place in PTX text; both count from 1. The zero Pos is unknown (a
// module made by the builder).
type Pos struct{ Line, Col int }

func (p Pos) String() string { return fmt.Sprintf("%d:%d", p.Line, p.Col) }

// Module is one PTX file.
type Module struct {
	Version     Version
	Target      string   // "sm_75", "sm_90a", …
	AddressSize int      // 64
	Comments    []string // printed at the head, without the slashes
	Vars        []*Var   // module-scope .global, .const and .shared (extern) variables
	Entries     []*Entry
}

// Version is the PTX ISA version of a module.
type Version struct{ Major, Minor int }

// Entry is one kernel.
type Entry struct {
	Name    string
	Params  []*Var // Space is Param
	MaxNTID [3]int // .maxntid, zero where absent
	ReqNTID [3]int // .reqntid
	MinNCTA int    // .minnctapersm
	MaxNReg int    // .maxnreg
	Cluster [3]int // .reqnctapercluster
	Regs    []*Reg // every register, Index is its place here
	Vars    []*Var // .shared and .local variables
	Labels  []*Label
	Body    []*Instr
	Pos     Pos
}

// Space is a PTX state space.
type Space uint8

const (
	GenericSpace Space = iota
	GlobalSpace
	SharedSpace
	LocalSpace
	ConstSpace
	ParamSpace
)

// Var is a variable: a kernel parameter, or one in .global, .const, .shared or
// .local.
type Var struct {
	Name   string
	Space  Space
	Type   Type
	Align  int // bytes; 0 means the type's natural alignment
	Count  int // number of elements; 1 for a scalar, 0 for an extern array without a size
	Array  bool
	Extern bool
	Init   []byte // little-endian initial content, nil where there is none
	Addrs  []InitAddr
	Pos    Pos
}

// InitAddr is an element of a variable's initial content that is an address, or
// a byte of one: "generic(Var)+Off", "0xff00(Var)". Init holds zeros there.
type InitAddr struct {
	At      int // byte of Init
	Var     *Var
	Off     int64
	Generic bool   // else the address within Var's space
	Mask    uint64 // the byte that is taken, 0xff for the lowest; 0 for the whole
}

// Reg is a virtual register of an entry. Registers are compared by pointer.
type Reg struct {
	Name  string // "%f12"
	Type  Type
	Index int
}

// Label is a branch target: the instruction Body[At] follows it (At may be
// len(Body)).
type Label struct {
	Name string
	At   int
	Pos  Pos
}

// Instr is one instruction: "@!%p1 ld.global.v4.f32 {…}, [%rd1+16];" is
// Guard p1, GuardNot true, Op "ld", Mods [global v4 f32], Args {vector, address}.
type Instr struct {
	Guard    *Reg // nil: always
	GuardNot bool
	Op       string
	Mods     []string // the modifiers in order, without dots; "shared::cta" is one
	Args     []Operand
	Comments []string // printed before it, without the slashes; the parser keeps none
	Pos      Pos
}

// OperandKind says which fields of an Operand count.
type OperandKind uint8

const (
	NoOperand      OperandKind = iota
	RegOperand                 // Reg; Not for a negated predicate ("!%p1"), Pair for "d|p"
	IntOperand                 // Imm: an integer constant's 64-bit pattern
	FloatOperand               // Imm: a constant's float64 bits; written 0f… when Type is F32, else 0d…
	SpecialOperand             // Special: "%tid.x", "%laneid", "%clock64", …
	VarOperand                 // Var: the address of a variable (mov), or of a parameter
	LabelOperand               // Label: a branch target
	MemOperand                 // [base+Off] with base a Reg, a Var, or neither (an absolute address); Coords for "[map, {x, y}]"
	VectorOperand              // Elems: {a, b, c, d}
	SinkOperand                // "_"
)

// Operand is one operand of an instruction.
type Operand struct {
	Kind    OperandKind
	Not     bool
	Type    Type // FloatOperand: F32 or F64
	Reg     *Reg
	Pair    *Reg // the second destination of "d|p", nil where there is none
	Imm     uint64
	Special string
	Var     *Var
	Label   *Label
	Off     int64     // MemOperand, VarOperand: bytes added to the address
	Elems   []Operand // VectorOperand's elements, or MemOperand's coordinates
	Pos     Pos
}
