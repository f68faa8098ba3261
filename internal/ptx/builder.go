package ptx

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
// Operands are any of: *Reg, Operand, int and int64 (an integer constant),
// float32 and float64 (a constant written in hexadecimal, so exact), *Label,
// *Var.
//
// The contract (signatures):
//
//	func NewModule(target string) *Module            // lowest .version that serves the target
//	func (m *Module) Entry(name string) *Builder
//	func (m *Module) Const(name string, t Type, align int, init []byte) *Var // also Global
//	func (m *Module) String() string                 // the PTX text
//
//	func (b *Builder) Param(name string, t Type) *Var
//	func (b *Builder) ParamBytes(name string, align, bytes int) *Var
//	func (b *Builder) Shared(name string, t Type, align, count int) *Var // also Local
//	func (b *Builder) DynamicShared(name string, align int) *Var        // extern .shared
//	func (b *Builder) MaxThreads(x int)              // .maxntid
//	func (b *Builder) MinBlocks(n int)               // .minnctapersm
//	func (b *Builder) Cluster(x int)
//	func (b *Builder) Reg(t Type) *Reg               // a new register
//	func (b *Builder) Regs(t Type, n int) []*Reg
//	func (b *Builder) Op(mnemonic string, args ...any) *Reg   // allocates the destination, of the type the form gives, and emits
//	func (b *Builder) Do(mnemonic string, args ...any)        // emits with the operands as written, destination included
//	func (b *Builder) DoIf(p *Reg, mnemonic string, args ...any)
//	func (b *Builder) DoUnless(p *Reg, mnemonic string, args ...any)
//	func (b *Builder) Special(name string) *Reg      // mov from a special register, remembered: the second use returns the first's register (emitted at the entry's head)
//	func (b *Builder) Ld(p *Var) *Reg                // ld.param of a scalar parameter, remembered likewise, at the head
//	func (b *Builder) Addr(v *Var) *Reg              // mov of a variable's address (u32 for shared: ".u32", else u64), remembered
//	func (b *Builder) At(base any, off int64) Operand // memory operand [base+off]
//	func (b *Builder) Vec(regs ...any) Operand
//	func (b *Builder) Not(p *Reg) Operand
//	func (b *Builder) NewLabel(hint string) *Label
//	func (b *Builder) Bind(l *Label)
//	func (b *Builder) Bra(l *Label); BraIf(p *Reg, l *Label); BraUnless(p *Reg, l *Label) // .uni variants: BraUni…
//	func (b *Builder) Comment(text string)           // optional: // lines in the text
