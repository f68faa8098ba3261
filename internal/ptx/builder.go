package ptx

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// This file is the assembler that the kernels are written with: Go code that
// calls it line by line is the kernel's source. An instruction is written as
// its PTX mnemonic, and checked against the same table of instruction forms
// that the parser uses; a wrong operand count, type or modifier panics at
// once, at the generator's line, so a bad file is never written.
//
//	m := ptx.NewModule("sm_75")
//	k := m.Entry("saxpy")
//	n, a := k.Param("n", ptx.U32), k.Param("a", ptx.F32)
//	x, y := k.Param("x", ptx.U64), k.Param("y", ptx.U64)
//	i := k.Op("mad.lo.u32", k.Special("%ctaid.x"), k.Special("%ntid.x"), k.Special("%tid.x"))
//	out := k.NewLabel("out")
//	k.BraIf(k.Op("setp.ge.u32", i, k.Ld(n)), out)
//	off := k.Op("mul.wide.u32", i, 4)
//	px := k.Op("add.u64", k.Ld(x), off)
//	…
//	k.Do("st.global.f32", k.At(py, 0), v)
//	k.Bind(out)
//	k.Do("ret")
//	text := m.String()
//
// Operands are any of: *Reg, Operand, int, int64, uint32 and uint64 (an integer
// constant), float32 and float64 (a constant written in hexadecimal, so exact;
// a float64 where a float32 is wanted must be exact in it), *Label, *Var (its
// address, or in brackets where the instruction wants memory).

// NewModule starts a module for a target such as "sm_75" or "sm_90a", with the
// lowest PTX version that knows it.
func NewModule(target string) *Module {
	t, ok := parseTarget(target)
	if !ok {
		panic(fmt.Sprintf("ptx: unknown target %q", target))
	}
	return &Module{Version: Version{t.ptx / 10, t.ptx % 10}, Target: target, AddressSize: 64}
}

// Entry starts a kernel.
func (m *Module) Entry(name string) *Builder {
	checkName(name)
	for _, e := range m.Entries {
		if e.Name == name {
			panic("ptx: two entries named " + name)
		}
	}
	e := &Entry{Name: name}
	m.Entries = append(m.Entries, e)
	return &Builder{m: m, e: e, kept: map[string]*Reg{}, counts: map[string]int{}}
}

// Const adds a .const array of type t at module scope; init is its
// little-endian content.
func (m *Module) Const(name string, t Type, align int, init []byte) *Var {
	return m.variable(name, ConstSpace, t, align, init)
}

// Global adds a .global array of type t at module scope, as Const does.
func (m *Module) Global(name string, t Type, align int, init []byte) *Var {
	return m.variable(name, GlobalSpace, t, align, init)
}

func (m *Module) variable(name string, space Space, t Type, align int, init []byte) *Var {
	checkName(name)
	if !t.declarable() || t == Pred || len(init) == 0 || len(init)%t.Size() != 0 {
		panic(fmt.Sprintf("ptx: variable %s: %d bytes are no array of .%s", name, len(init), t))
	}
	v := &Var{Name: name, Space: space, Type: t, Align: align, Count: len(init) / t.Size(), Array: true, Init: init}
	m.Vars = append(m.Vars, v)
	return v
}

// Builder writes one entry, instruction by instruction.
type Builder struct {
	m        *Module
	e        *Entry
	head     int             // instructions at the entry's head: what Special, Ld and Addr emitted
	kept     map[string]*Reg // what they returned
	counts   map[string]int  // registers and labels so far, by prefix
	comments []string        // for the next instruction
}

// Module returns the module that the entry is in.
func (b *Builder) Module() *Module { return b.m }

// AST returns the entry as built so far.
func (b *Builder) AST() *Entry { return b.e }

// Param adds a scalar parameter.
func (b *Builder) Param(name string, t Type) *Var {
	return b.param(&Var{Name: name, Type: t, Count: 1})
}

// ParamBytes adds a parameter of raw bytes, such as a tensor map.
func (b *Builder) ParamBytes(name string, align, bytes int) *Var {
	return b.param(&Var{Name: name, Type: B8, Align: align, Count: bytes, Array: true})
}

func (b *Builder) param(v *Var) *Var {
	v.Space = ParamSpace
	b.declare(v)
	b.e.Params = append(b.e.Params, v)
	return v
}

// Shared adds a shared array of count elements.
func (b *Builder) Shared(name string, t Type, align, count int) *Var {
	return b.array(SharedSpace, name, t, align, count)
}

// Local adds an array of count elements of each thread's own memory.
func (b *Builder) Local(name string, t Type, align, count int) *Var {
	return b.array(LocalSpace, name, t, align, count)
}

func (b *Builder) array(space Space, name string, t Type, align, count int) *Var {
	if count <= 0 {
		panic(fmt.Sprintf("ptx: %s: array %s of %d elements", b.e.Name, name, count))
	}
	v := &Var{Name: name, Space: space, Type: t, Align: align, Count: count, Array: true}
	b.declare(v)
	b.e.Vars = append(b.e.Vars, v)
	return v
}

// DynamicShared adds the shared memory whose size is given at launch. Entries
// of a module that use one name share the declaration.
func (b *Builder) DynamicShared(name string, align int) *Var {
	for _, v := range b.m.Vars {
		if v.Name == name && v.Extern && v.Align >= align {
			return v
		}
	}
	v := &Var{Name: name, Space: SharedSpace, Type: B8, Align: align, Array: true, Extern: true}
	b.declare(v)
	b.m.Vars = append(b.m.Vars, v)
	return v
}

// declare checks a variable before it is added.
func (b *Builder) declare(v *Var) {
	checkName(v.Name)
	if !v.Type.declarable() || v.Type == Pred {
		panic(fmt.Sprintf("ptx: %s: variable %s cannot be .%s", b.e.Name, v.Name, v.Type))
	}
	if v.Align < 0 || v.Align&(v.Align-1) != 0 {
		panic(fmt.Sprintf("ptx: %s: variable %s: alignment %d is not a power of two", b.e.Name, v.Name, v.Align))
	}
	for _, vars := range [][]*Var{b.e.Params, b.e.Vars, b.m.Vars} {
		for _, w := range vars {
			if w.Name == v.Name {
				panic(fmt.Sprintf("ptx: %s: two variables named %s", b.e.Name, v.Name))
			}
		}
	}
}

// checkName panics where a name is no PTX identifier.
func checkName(name string) {
	if !isIdentifier(name) {
		panic(fmt.Sprintf("ptx: %q is not a PTX name", name))
	}
}

// MaxThreads promises that blocks have at most x threads.
func (b *Builder) MaxThreads(x int) { b.e.MaxNTID = [3]int{x, 1, 1} }

// MinBlocks asks for registers few enough that n blocks fit a multiprocessor.
func (b *Builder) MinBlocks(n int) { b.e.MinNCTA = n }

// Cluster fixes the cluster's size to x blocks.
func (b *Builder) Cluster(x int) {
	b.require("a cluster", needs{sm: 90, ptx: 78})
	b.e.Cluster = [3]int{x, 1, 1}
}

// regClass is what a register of a type is declared as, and its name's start.
// Signed and unsigned registers are the same; nothing computes in 8 bits, so
// values that narrow live in 32.
var regClass = [...]struct {
	typ    Type
	prefix string
}{
	Pred: {Pred, "%p"},
	B8:   {B32, "%b"}, B16: {B16, "%bs"}, B32: {B32, "%b"}, B64: {B64, "%bd"}, B128: {B128, "%bq"},
	U8: {U32, "%r"}, U16: {U16, "%rs"}, U32: {U32, "%r"}, U64: {U64, "%rd"},
	S8: {U32, "%r"}, S16: {U16, "%rs"}, S32: {U32, "%r"}, S64: {U64, "%rd"},
	F16: {F16, "%h"}, F16x2: {B32, "%b"}, BF16: {B16, "%bs"}, BF16x2: {B32, "%b"}, TF32: {B32, "%b"},
	F32: {F32, "%f"}, F32x2: {B64, "%bd"}, F64: {F64, "%fd"},
	E4M3: {B32, "%b"}, E5M2: {B32, "%b"}, E4M3x2: {B16, "%bs"}, E5M2x2: {B16, "%bs"}, U16x2: {B32, "%b"}, S16x2: {B32, "%b"}, B8x4: {B32, "%b"},
}

// Reg returns a new register that holds values of type t.
func (b *Builder) Reg(t Type) *Reg {
	if t == NoType || int(t) >= len(regClass) {
		panic(fmt.Sprintf("ptx: %s: register without a type", b.e.Name))
	}
	c := regClass[t]
	r := &Reg{Name: c.prefix + strconv.Itoa(b.counts[c.prefix]), Type: c.typ, Index: len(b.e.Regs)}
	b.counts[c.prefix]++
	b.e.Regs = append(b.e.Regs, r)
	return r
}

// Regs returns n new registers of type t.
func (b *Builder) Regs(t Type, n int) []*Reg {
	rs := make([]*Reg, n)
	for i := range rs {
		rs[i] = b.Reg(t)
	}
	return rs
}

// Op emits an instruction with a new register as its destination, of the type
// that the instruction gives, and returns that. args are the other operands.
func (b *Builder) Op(mnemonic string, args ...any) *Reg {
	in := newInstr(mnemonic)
	forms, err := Forms(mnemonic)
	if err != nil {
		b.fail(in, err)
	}
	var dst *Reg
	for _, f := range forms {
		if len(f.Args) == 0 || !f.Args[0].Dst || f.Args[0].Vec > 0 || f.Args[0].Kind == ArgPack {
			continue
		}
		specs := f.Specs(len(args) + 1)
		if dst == nil {
			dst = b.Reg(f.Args[0].Type)
		}
		in.Args = b.operands(append([]any{dst}, args...), specs)
		if f.Check(in.Args) == nil {
			break
		}
	}
	if dst == nil {
		b.fail(in, fmt.Errorf("it has no single destination register; use Do"))
	}
	b.emit(in)
	return dst
}

// Do emits an instruction with the operands as written, destination included.
func (b *Builder) Do(mnemonic string, args ...any) { b.do(newInstr(mnemonic), args) }

// DoIf emits an instruction that threads with p true execute.
func (b *Builder) DoIf(p *Reg, mnemonic string, args ...any) {
	in := newInstr(mnemonic)
	in.Guard = p
	b.do(in, args)
}

// DoUnless emits an instruction that threads with p false execute.
func (b *Builder) DoUnless(p *Reg, mnemonic string, args ...any) {
	in := newInstr(mnemonic)
	in.Guard, in.GuardNot = p, true
	b.do(in, args)
}

func newInstr(mnemonic string) *Instr {
	parts := strings.Split(mnemonic, ".")
	return &Instr{Op: parts[0], Mods: parts[1:]}
}

func (b *Builder) do(in *Instr, args []any) {
	forms, err := Forms(in.Mnemonic())
	if err != nil {
		b.fail(in, err)
	}
	for _, f := range forms {
		in.Args = b.operands(args, f.Specs(len(args)))
		if f.Check(in.Args) == nil {
			break
		}
	}
	b.emit(in)
}

// operands converts arguments; specs says what is wanted in their places, nil
// where that is unknown.
func (b *Builder) operands(args []any, specs []*ArgSpec) []Operand {
	ops := make([]Operand, len(args))
	for i, a := range args {
		var spec *ArgSpec
		if specs != nil {
			spec = specs[i]
		}
		ops[i] = b.operand(a, spec)
	}
	return ops
}

func (b *Builder) operand(a any, spec *ArgSpec) Operand {
	switch a := a.(type) {
	case Operand:
		a.Elems = slices.Clone(a.Elems)
		for i := range a.Elems {
			a.Elems[i] = typedConstant(a.Elems[i], spec)
		}
		return typedConstant(a, spec)
	case *Reg:
		if a != nil {
			return Operand{Kind: RegOperand, Reg: a}
		}
	case int:
		return Operand{Kind: IntOperand, Imm: uint64(a)}
	case int64:
		return Operand{Kind: IntOperand, Imm: uint64(a)}
	case int32:
		return Operand{Kind: IntOperand, Imm: uint64(a)}
	case uint32:
		return Operand{Kind: IntOperand, Imm: uint64(a)}
	case uint64:
		return Operand{Kind: IntOperand, Imm: a}
	case float32:
		return typedConstant(Operand{Kind: FloatOperand, Type: F32, Imm: widenBits(math.Float32bits(a))}, spec)
	case float64:
		return typedConstant(Operand{Kind: FloatOperand, Type: F64, Imm: math.Float64bits(a)}, spec)
	case *Label:
		if a != nil {
			return Operand{Kind: LabelOperand, Label: a}
		}
	case *Var:
		if a != nil && spec != nil && spec.Kind == ArgMem {
			return Operand{Kind: MemOperand, Var: a}
		}
		if a != nil {
			return Operand{Kind: VarOperand, Var: a}
		}
	}
	panic(fmt.Sprintf("ptx: %s: %v (%T) is no operand", b.e.Name, a, a))
}

// typedConstant writes a floating-point constant in the type that the
// instruction wants, where its value is exact in it.
func typedConstant(o Operand, spec *ArgSpec) Operand {
	if o.Kind != FloatOperand || spec == nil {
		return o
	}
	exact := widenBits(narrowBits(o.Imm)) == o.Imm
	switch spec.Type {
	case F64, B64:
		o.Type = F64
	case F32, B32:
		if exact {
			o.Type = F32
		}
	}
	return o
}

// emit checks an instruction and adds it.
func (b *Builder) emit(in *Instr) {
	b.check(in)
	in.Comments, b.comments = b.comments, nil
	b.e.Body = append(b.e.Body, in)
}

// emitHead adds an instruction at the entry's head, where every later
// instruction sees what it does, whatever branches there are.
func (b *Builder) emitHead(in *Instr) {
	b.check(in)
	b.e.Body = append(b.e.Body, nil)
	copy(b.e.Body[b.head+1:], b.e.Body[b.head:])
	b.e.Body[b.head] = in
	b.head++
	for _, l := range b.e.Labels {
		if l.At >= 0 {
			l.At++
		}
	}
}

func (b *Builder) check(in *Instr) {
	if in.Guard != nil && in.Guard.Type != Pred {
		b.fail(in, fmt.Errorf("guard %s is .%s, not a predicate", in.Guard.Name, in.Guard.Type))
	}
	f, err := in.Resolve()
	if err != nil {
		b.fail(in, err)
	}
	b.require(f.Mnemonic(), f.needs())
	for i, spec := range f.Specs(len(in.Args)) {
		b.checkConstants(in, &in.Args[i], spec)
	}
}

// checkConstants is stricter than PTX, whose assembler truncates constants.
func (b *Builder) checkConstants(in *Instr, o *Operand, spec *ArgSpec) {
	switch o.Kind {
	case IntOperand:
		if spec.Kind != ArgConst && !inRange(int64(o.Imm), spec.Type) && !(spec.Type == Pred && o.Imm <= 1) {
			b.fail(in, fmt.Errorf("constant %d does not fit .%s", int64(o.Imm), spec.Type))
		}
	case FloatOperand:
		if o.Type == F64 && spec.Type.Bits() == 32 {
			b.fail(in, fmt.Errorf("constant %v is not exact in float32; say float32(…)", math.Float64frombits(o.Imm)))
		}
	case SpecialOperand:
		b.require(o.Special, specialNeeds(o.Special))
	case VectorOperand:
		for i := range o.Elems {
			b.checkConstants(in, &o.Elems[i], spec)
		}
	}
}

// require panics where the target lacks what is needed and raises the module's
// PTX version where that is too low.
func (b *Builder) require(what string, n needs) {
	t, _ := parseTarget(b.m.Target)
	if msg := t.lacks(n); msg != "" {
		panic(fmt.Sprintf("ptx: %s: %s needs %s, the module's target is %s", b.e.Name, what, msg, b.m.Target))
	}
	if v := (Version{n.ptx / 10, n.ptx % 10}); b.m.Version.Less(v) {
		b.m.Version = v
	}
}

// fail panics with the instruction and what is wrong with it.
func (b *Builder) fail(in *Instr, err error) {
	text := in.Mnemonic()
	if in.Args != nil {
		text = in.String()
	}
	panic(fmt.Sprintf("ptx: %s: %s: %v", b.e.Name, text, err))
}

// Special returns a register with the value of a special register such as
// "%tid.x". It is read once, at the entry's head: for clocks use Do("mov…").
func (b *Builder) Special(name string) *Reg {
	t, ok := specialType(name)
	if !ok {
		panic(fmt.Sprintf("ptx: %s: unknown special register %q", b.e.Name, name))
	}
	return b.keep(name, t, "mov."+t.String(), Operand{Kind: SpecialOperand, Special: name})
}

// SpecialOp is a special register as an operand of mov, which reads it where
// it stands: b.Op("mov.u32", b.SpecialOp("%clock")).
func (b *Builder) SpecialOp(name string) Operand {
	return Operand{Kind: SpecialOperand, Special: name}
}

// Ld returns a register with a scalar parameter's value, loaded once at the
// entry's head.
func (b *Builder) Ld(p *Var) *Reg {
	if p.Space != ParamSpace || p.Array {
		panic(fmt.Sprintf("ptx: %s: Ld of %s, which is no scalar parameter", b.e.Name, p.Name))
	}
	t := p.Type
	return b.keep("ld "+p.Name, t, "ld.param."+loadType(t).String(), b.At(p, 0))
}

// loadType is the type that ld and st have for values of type t.
func loadType(t Type) Type {
	if t == F16 {
		return B16
	}
	if t == F16x2 {
		return B32
	}
	return t
}

// Addr returns a register with a variable's address in its state space, taken
// once at the entry's head: 32 bits for shared memory, else 64.
func (b *Builder) Addr(v *Var) *Reg {
	t := U64
	if v.Space == SharedSpace {
		t = U32
	}
	return b.keep("addr "+v.Name, t, "mov."+t.String(), Operand{Kind: VarOperand, Var: v})
}

// keep returns what the key was kept under, emitting it first where it was not.
func (b *Builder) keep(key string, t Type, mnemonic string, src Operand) *Reg {
	if r := b.kept[key]; r != nil {
		return r
	}
	r := b.Reg(t)
	in := newInstr(mnemonic)
	in.Args = []Operand{{Kind: RegOperand, Reg: r}, src}
	b.emitHead(in)
	b.kept[key] = r
	return r
}

// At is the memory operand [base+off]; base is a *Reg or a *Var.
func (b *Builder) At(base any, off int64) Operand {
	switch base := base.(type) {
	case *Reg:
		return Operand{Kind: MemOperand, Reg: base, Off: off}
	case *Var:
		return Operand{Kind: MemOperand, Var: base, Off: off}
	}
	panic(fmt.Sprintf("ptx: %s: %v (%T) is no address", b.e.Name, base, base))
}

// Tensor is the memory operand [base, {coords…}] of tensor copies.
func (b *Builder) Tensor(base any, coords ...any) Operand {
	o := b.At(base, 0)
	o.Elems = b.operands(coords, nil)
	return o
}

// Vec is the vector operand {regs…}; []*Reg arguments are spread, and nil is
// the sink "_".
func (b *Builder) Vec(regs ...any) Operand {
	o := Operand{Kind: VectorOperand}
	for _, r := range regs {
		switch r := r.(type) {
		case nil:
			o.Elems = append(o.Elems, Operand{Kind: SinkOperand})
		case []*Reg:
			for _, r := range r {
				o.Elems = append(o.Elems, b.operand(r, nil))
			}
		default:
			o.Elems = append(o.Elems, b.operand(r, nil))
		}
	}
	return o
}

// Not is the negated predicate "!p".
func (b *Builder) Not(p *Reg) Operand { return Operand{Kind: RegOperand, Reg: p, Not: true} }

// Pair is the destination "d|p" of instructions that also give a predicate; d
// may be nil where only the predicate is wanted.
func (b *Builder) Pair(d, p *Reg) Operand {
	if d == nil {
		return Operand{Kind: SinkOperand, Pair: p}
	}
	return Operand{Kind: RegOperand, Reg: d, Pair: p}
}

// NewLabel returns a label to be bound once; hint becomes part of its name.
func (b *Builder) NewLabel(hint string) *Label {
	l := &Label{Name: fmt.Sprintf("$%s_%d", hint, b.counts["$"]), At: -1}
	checkName(l.Name)
	b.counts["$"]++
	return l
}

// Bind puts the label before the next instruction.
func (b *Builder) Bind(l *Label) {
	if l.At >= 0 {
		panic(fmt.Sprintf("ptx: %s: label %s is bound twice", b.e.Name, l.Name))
	}
	l.At = len(b.e.Body)
	b.e.Labels = append(b.e.Labels, l)
}

// Bra branches to a label.
func (b *Builder) Bra(l *Label) { b.Do("bra", l) }

// BraIf branches where p is true.
func (b *Builder) BraIf(p *Reg, l *Label) { b.DoIf(p, "bra", l) }

// BraUnless branches where p is false.
func (b *Builder) BraUnless(p *Reg, l *Label) { b.DoUnless(p, "bra", l) }

// BraUni branches; all threads of the warp do, or none.
func (b *Builder) BraUni(l *Label) { b.Do("bra.uni", l) }

// BraUniIf branches where p is true; it is the same for all threads of the warp.
func (b *Builder) BraUniIf(p *Reg, l *Label) { b.DoIf(p, "bra.uni", l) }

// BraUniUnless branches where p is false; it is the same for all threads of the
// warp.
func (b *Builder) BraUniUnless(p *Reg, l *Label) { b.DoUnless(p, "bra.uni", l) }

// Comment puts a comment before the next instruction.
func (b *Builder) Comment(text string) {
	b.comments = append(b.comments, strings.Split(text, "\n")...)
}
