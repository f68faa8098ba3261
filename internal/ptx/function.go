package ptx

import (
	"fmt"
	"slices"
)

// Device functions. The simulated device has no stack of calls: when a module has
// been read, the body of a function stands in the place of each call of it, with
// registers and labels of its own. Where that cannot be, it is a routine (see there).
//
// What a function takes and returns in .param is memory of the thread, as .local is:
// such variables are in .local here, and ld.param and st.param of them ld.local and
// st.local. Where a call passes a variable, the function's own is that variable.

// A function is one .func. Its instructions, registers, variables and labels are kept
// as an entry's are.
type function struct {
	entry    *Entry
	results  []formal
	params   []formal
	defined  bool // it has a body
	inlined  bool // its own calls have been replaced
	inlining bool
	routine  bool // it calls itself, or its address is taken
}

// A formal is one of a function's parameters or results: a variable or a register.
type formal struct {
	v *Var
	r *Reg
}

// size in bytes.
func (f formal) size() int {
	if f.r != nil {
		return f.r.Type.Size()
	}
	return f.v.Count * f.v.Type.Size()
}

func (f formal) typ() Type {
	if f.r != nil {
		return f.r.Type
	}
	return f.v.Type
}

// A call is what a call instruction names. Where a register has the function's
// address, fn is only declared.
type call struct {
	fn            *function
	target        *Reg
	pos           Pos
	results, args []Operand
}

// printed is what printf calls, with addresses of the format and of the arguments.
const printed = "vprintf"

// assertionFailed is what the macro assert calls: it does not return.
const assertionFailed = "__assertfail"

// function reads a .func: a declaration, or one with a body.
func (p *parser) function(pos Pos) {
	p.expect(".func")
	for p.accept(".attribute") {
		p.fail("functions with attributes are not supported")
	}
	f := &function{entry: &Entry{Pos: pos}}
	p.entry, p.inFunction = f.entry, true
	p.push()
	if p.is("(") {
		f.results = p.formals()
	}
	pos = p.tok.pos
	f.entry.Name = p.name("the function's name")
	if p.is("(") {
		f.params = p.formals()
	}
	p.performance(f.entry)
	f = p.declareFunction(pos, f)
	if p.accept("{") {
		f.defined = true
		p.block()
		p.resolveLabels()
	} else {
		p.expect(";")
	}
	p.pop()
	p.inFunction = false
	p.leave()
}

// declareFunction enters a function's name, or finds what it declares anew.
func (p *parser) declareFunction(pos Pos, f *function) *function {
	old, _ := p.global.names[f.entry.Name].(*function)
	if old == nil {
		if _, ok := p.global.names[f.entry.Name]; ok {
			fail(pos, "%s is declared twice", f.entry.Name)
		}
		p.global.names[f.entry.Name] = f
		return f
	}
	same := func(a, b formal) bool { return a.size() == b.size() && (a.r == nil) == (b.r == nil) }
	if !slices.EqualFunc(old.params, f.params, same) || !slices.EqualFunc(old.results, f.results, same) {
		fail(pos, "%s was declared with other parameters at %v", f.entry.Name, old.entry.Pos)
	}
	if !p.is("{") {
		return f
	}
	if old.defined {
		fail(pos, "%s is declared twice", f.entry.Name)
	}
	old.entry, old.params, old.results = f.entry, f.params, f.results
	return old
}

// formals reads a list of parameters or results.
func (p *parser) formals() []formal {
	var list []formal
	p.expect("(")
	for !p.accept(")") {
		if len(list) > 0 {
			p.expect(",")
		}
		if p.accept(".reg") {
			typ, pos := p.typ(), p.tok.pos
			name := p.name("a register's name")
			if !typ.declarable() {
				fail(pos, "there are no registers of type .%s", typ)
			}
			r := p.newReg(pos, name, typ)
			p.declare(pos, name, r)
			list = append(list, formal{r: r})
			continue
		}
		v := p.param()
		p.passed(v)
		list = append(list, formal{v: v})
	}
	return list
}

// passed makes a variable in .param one of the thread's own.
func (p *parser) passed(v *Var) {
	v.Space = LocalSpace
	if p.passes == nil {
		p.passes = map[*Var]bool{}
	}
	p.passes[v] = true
	p.entry.Vars = append(p.entry.Vars, v)
}

// arguments reads a .param declaration in a body: what a call takes or returns.
func (p *parser) arguments() {
	base, bytes := p.variableType(p.space()), p.bytes[ParamSpace]
	for more := true; more; more = p.accept(",") {
		p.passed(p.declarator(base))
		p.bytes[ParamSpace] = bytes // the limit is for what one function takes
	}
	p.expect(";")
}

// passes says whether an instruction accesses what calls take or return, whatever its
// operands are: a kernel's parameters are only read.
func passes(op string, mods []string) bool {
	return len(mods) > 0 && (op == "st" && mods[0] == "param" || (op == "ld" || op == "st") && mods[0] == "param::func")
}

// ofCall makes an access to .param one to .local where it is to what a call passes.
func (p *parser) ofCall(in *Instr) {
	if !passes(in.Op, in.Mods) && (in.Op != "ld" || len(in.Mods) == 0 || in.Mods[0] != "param") {
		return
	}
	for _, a := range in.Args {
		if a.Kind == MemOperand && (p.passes[a.Var] || p.inFunction && a.Var == nil) {
			in.Mods = append([]string{"local"}, in.Mods[1:]...)
		}
	}
	if passes(in.Op, in.Mods) {
		fail(in.Pos, "%s: this is no variable that a call takes or returns", in.Mnemonic())
	}
}

// call reads the rest of a call.
func (p *parser) call(in *Instr) {
	if len(in.Mods) > 1 || len(in.Mods) == 1 && in.Mods[0] != "uni" {
		fail(in.Pos, "%s: expected call or call.uni", in.Mnemonic())
	}
	c := &call{pos: in.Pos}
	if p.is("(") {
		c.results = p.actuals()
		p.expect(",")
	}
	pos := p.tok.pos
	name := p.name("a function's name")
	switch what := p.lookup(pos, name).(type) {
	case *function:
		c.fn = what
	case *Reg:
		c.target = what
	default:
		fail(pos, "there is no function %s", name)
	}
	if p.accept(",") {
		c.args = p.actuals()
	}
	if c.target != nil {
		p.expect(",")
		c.fn = p.prototype()
		if c.target.Type.Bits() != 64 {
			fail(pos, "register %s is .%s: a function's address has 64 bits", name, c.target.Type)
		}
	}
	p.expect(";")
	p.match(c, "argument", c.args, c.fn.params)
	p.match(c, "result", c.results, c.fn.results)
	if p.calls == nil {
		p.calls = map[*Instr]*call{}
	}
	p.calls[in] = c
}

// prototype passes the name of what a call through a register calls: of a
// .callprototype or of .calltargets.
func (p *parser) prototype() *function {
	pos := p.tok.pos
	name := p.name("a prototype's name")
	for s := p.scope; s != nil; s = s.parent {
		if f := s.prototypes[name]; f != nil {
			return f
		}
	}
	fail(pos, "there is no .callprototype and are no .calltargets %s before this", name)
	return nil
}

// callPrototype reads the rest of a .callprototype, and callTargets that of
// .calltargets, of which all are of one kind.
func (p *parser) callPrototype() *function {
	f := &function{entry: &Entry{Name: "the function"}}
	vars := p.entry.Vars
	p.unnamed = 1
	p.push()
	defer func() { p.pop(); p.entry.Vars, p.unnamed = vars, 0 }()
	if p.is("(") {
		f.results = p.formals()
	}
	p.name("_")
	if p.is("(") {
		f.params = p.formals()
	}
	p.accept(".noreturn")
	p.expect(";")
	return f
}

func (p *parser) callTargets() (f *function) {
	for more := true; more; more = p.accept(",") {
		pos := p.tok.pos
		name := p.name("a function's name")
		if f, _ = p.lookup(pos, name).(*function); f == nil {
			fail(pos, "there is no function %s", name)
		}
		p.number(f)
	}
	p.expect(";")
	return f
}

func (p *parser) actuals() []Operand {
	var list []Operand
	p.expect("(")
	for !p.accept(")") {
		if len(list) > 0 {
			p.expect(",")
		}
		list = append(list, p.scalar())
	}
	return list
}

// match checks what a call passes against what the function declares.
func (p *parser) match(c *call, what string, actuals []Operand, formals []formal) {
	name := c.fn.entry.Name
	if len(actuals) != len(formals) {
		fail(c.pos, "%s has %d %ss, the call %d", name, len(formals), what, len(actuals))
	}
	for i, f := range formals {
		switch a := &actuals[i]; {
		case a.Kind == VarOperand && f.r == nil && p.passes[a.Var] && a.Off == 0:
			if !a.Var.passesAs(f.v) {
				fail(a.Pos, "%s %d of %s is %s, %s is %s", what, i+1, name, f.v.passing(), a.Var.Name, a.Var.passing())
			}
		case a.Kind == RegOperand && a.Reg.Type.Size() != f.size():
			fail(a.Pos, "%s %d of %s has %d bytes, register %s is .%s", what, i+1, name, f.size(), a.Reg.Name, a.Reg.Type)
		case f.r == nil && f.v.Array, a.Kind == VarOperand:
			fail(a.Pos, "%s %d of %s: %s is no variable in .param that the body declares", what, i+1, name, a)
		}
	}
}

// passesAs says whether a variable may be what a call passes for another.
func (v *Var) passesAs(f *Var) bool {
	same := v.Type == f.Type || !v.Array && v.Type.Bits() > 8 && holds(v.Type, f.Type, false)
	return same && v.Array == f.Array && v.Count == f.Count && v.align() == f.align()
}

func (v *Var) align() int { return max(v.Align, v.Type.Size()) }

// passing describes a variable as an argument.
func (v *Var) passing() string {
	s := fmt.Sprintf(".align %d .%s", v.align(), v.Type)
	if v.Array {
		s += fmt.Sprintf("[%d]", v.Count)
	}
	return s
}

// inline replaces the calls in the entries.
func (p *parser) inline() {
	if p.calls == nil {
		return
	}
	for _, e := range p.m.Entries {
		n := len(e.Vars)
		p.replaceCalls(e)
		p.link(e)
		own := map[*Var]*Var{} // a function's variables have names in each entry that calls it
		for i, v := range e.Vars[n:] {
			copied := *v
			own[v], e.Vars[n+i] = &copied, &copied
		}
		for _, in := range e.Body {
			for i := range in.Args {
				if v := own[in.Args[i].Var]; v != nil {
					in.Args[i].Var = v
				}
			}
		}
		e.order()
	}
}

// order puts the registers in the order in which the body names them, as they are
// without calls.
func (e *Entry) order() {
	e.Regs = e.Regs[:0]
	seen := map[*Reg]bool{}
	note := func(r *Reg) {
		if r != nil && !seen[r] {
			seen[r], r.Index = true, len(e.Regs)
			e.Regs = append(e.Regs, r)
		}
	}
	var operands func(list []Operand)
	operands = func(list []Operand) {
		for i := range list {
			note(list[i].Reg)
			note(list[i].Pair)
			operands(list[i].Elems)
		}
	}
	for _, in := range e.Body {
		note(in.Guard)
		operands(in.Args)
	}
}

// replaceCalls puts the bodies of what e calls in the place of the calls.
func (p *parser) replaceCalls(e *Entry) {
	if !slices.ContainsFunc(e.Body, func(in *Instr) bool { return p.calls[in] != nil }) {
		return
	}
	x := expansion{p: p, e: e, has: map[*Var]bool{}}
	own, at := e.Labels, make([]int, len(e.Body)+1)
	e.Labels = nil
	for i, in := range e.Body {
		at[i] = len(x.body)
		if c := p.calls[in]; c != nil {
			x.insert(in, c)
		} else {
			x.body = append(x.body, in)
		}
	}
	at[len(e.Body)] = len(x.body)
	for _, l := range own {
		l.At = at[l.At]
	}
	e.Labels, e.Body = append(own, e.Labels...), x.body
}

// An expansion is the new body of an entry or a function.
type expansion struct {
	p    *parser
	e    *Entry
	body []*Instr
	has  map[*Var]bool // functions' variables that are among the entry's

	regs   []*Reg        // of the function that is being inserted, by index: the new ones
	vars   map[*Var]*Var // instead of its own
	labels map[*Label]*Label
}

// insert appends what a call stands for.
func (x *expansion) insert(in *Instr, c *call) {
	f := c.fn
	if f.defined && c.target == nil {
		x.p.expandFunction(f, c.pos)
	}
	if f.routine || c.target != nil {
		x.body = append(x.body, in)
		return
	}
	over := &Label{Name: "$over_" + f.entry.Name, Pos: in.Pos}
	if in.Guard != nil {
		around := branchTo(over, in.Pos)
		around.Guard, around.GuardNot = in.Guard, !in.GuardNot
		x.add(around)
	}
	switch {
	case f.defined:
		x.function(c)
	case f.entry.Name == assertionFailed:
		x.add(&Instr{Op: "trap", Pos: in.Pos})
	case f.entry.Name == printed && len(c.args) == 2 && len(c.results) == 1:
		x.print(c)
	default:
		fail(c.pos, "%s has no body in this module, and other modules are not linked to it", f.entry.Name)
	}
	if in.Guard != nil {
		x.bind(over)
	}
}

// print appends a call of vprintf with registers for what it takes and returns.
func (x *expansion) print(c *call) {
	x.p.entry = x.e
	result := x.inRegister(c.results[0], B32, "%printed")
	in := &Instr{Op: "call", Mods: []string{printed}, Pos: c.pos, Args: []Operand{result}}
	for i, a := range c.args {
		r := x.inRegister(a, B64, "%print")
		if r.Reg != a.Reg {
			x.move(c.pos, c.fn.params[i], r, &a)
		}
		in.Args = append(in.Args, r)
	}
	x.p.checkInstr(c.pos, in)
	x.add(in)
	if result.Reg != c.results[0].Reg {
		x.move(c.pos, c.fn.results[0], c.results[0], &result)
	}
}

// inRegister is an operand, if it is a register, or a new register for it.
func (x *expansion) inRegister(o Operand, t Type, name string) Operand {
	if o.Kind == RegOperand {
		return o
	}
	return Operand{Kind: RegOperand, Reg: x.p.newReg(o.Pos, name, t), Pos: o.Pos}
}

// move appends a move of a register, constant or variable to a register or variable.
func (x *expansion) move(pos Pos, f formal, to Operand, from *Operand) {
	in := &Instr{Op: "mov", Mods: []string{f.typ().String()}, Args: []Operand{to, *from}, Pos: pos}
	for i := range in.Args {
		if o := &in.Args[i]; o.Kind == VarOperand {
			in.Op, in.Mods = [...]string{"st", "ld"}[i], []string{"local", f.typ().String()}
			o.Kind = MemOperand
		}
	}
	x.p.checkInstr(pos, in)
	x.add(in)
}

// function appends a function's body with what passes its arguments and results.
func (x *expansion) function(c *call) {
	f := c.fn
	if x.p.copies += 1 + len(f.entry.Body) + len(f.entry.Regs) + len(f.entry.Vars) + len(f.entry.Labels); x.p.copies > maxCopies {
		fail(c.pos, "the functions that are called have more than %d instructions, registers, variables and labels in the places of their calls", maxCopies)
	}
	x.adopt(c)
	for i, a := range f.params {
		x.pass(c.pos, a, &c.args[i], true)
	}
	end, returns := &Label{Name: "$end_" + f.entry.Name, Pos: c.pos}, false
	start, last := len(x.body), len(f.entry.Body)-1
	for i, in := range f.entry.Body {
		switch {
		case in.Op != "ret":
			x.add(x.copied(in))
		case i < last || in.Guard != nil:
			back := branchTo(end, in.Pos)
			back.Guard, back.GuardNot, back.Mods = x.reg(in.Guard), in.GuardNot, in.Mods
			x.add(back)
			returns = true
		}
	}
	for _, l := range f.entry.Labels {
		x.labels[l].At = min(start+l.At, len(x.body))
		x.e.Labels = append(x.e.Labels, x.labels[l])
	}
	if returns {
		x.bind(end)
	}
	for i, r := range f.results {
		x.pass(c.pos, r, &c.results[i], false)
	}
}

// expandFunction replaces the calls in a function, once. One that it is under way in
// calls itself.
func (p *parser) expandFunction(f *function, pos Pos) {
	switch {
	case f.inlining:
		f.routine = true
	case !f.inlined:
		if p.depth++; p.depth > maxCalls {
			fail(pos, "calls nested more than %d deep", maxCalls)
		}
		f.inlining = true
		p.replaceCalls(f.entry)
		f.inlining, f.inlined = false, true
		p.depth--
	}
}

// adopt makes registers, variables and labels for a copy of a function's body.
func (x *expansion) adopt(c *call) {
	f := c.fn
	x.p.entry = x.e
	x.vars, x.labels = map[*Var]*Var{}, map[*Label]*Label{}
	x.regs = make([]*Reg, len(f.entry.Regs))
	for i, r := range f.entry.Regs {
		x.regs[i] = x.p.newReg(c.pos, r.Name, r.Type)
	}
	for _, l := range f.entry.Labels {
		x.labels[l] = &Label{Name: l.Name, Pos: l.Pos}
	}
	alias := func(formals []formal, actuals []Operand) {
		for i, a := range formals {
			if a.v != nil && actuals[i].Kind == VarOperand {
				x.vars[a.v] = actuals[i].Var
			}
		}
	}
	alias(f.params, c.args)
	alias(f.results, c.results)
	for _, v := range f.entry.Vars {
		// Without recursion there is no time at which two calls use it.
		if x.vars[v] == nil && !x.has[v] {
			x.has[v] = true
			x.e.Vars = append(x.e.Vars, v)
		}
	}
}

// pass appends what brings an argument to the function, or a result from it, where
// one of the two is a register.
func (x *expansion) pass(pos Pos, f formal, actual *Operand, in bool) {
	var own Operand
	switch {
	case f.r != nil:
		own = Operand{Kind: RegOperand, Reg: x.reg(f.r), Pos: pos}
	case actual.Kind == VarOperand:
		return
	default:
		own = Operand{Kind: MemOperand, Var: f.v, Pos: pos}
	}
	move := &Instr{Op: "mov", Mods: []string{f.typ().String()}, Pos: pos}
	switch {
	case own.Kind == MemOperand && in:
		move.Op, move.Mods = "st", append([]string{"local"}, move.Mods...)
	case own.Kind == MemOperand:
		move.Op, move.Mods = "ld", append([]string{"local"}, move.Mods...)
	}
	if move.Args = []Operand{own, *actual}; !in {
		move.Args = []Operand{*actual, own}
	}
	x.p.checkInstr(pos, move)
	x.add(move)
}

func branchTo(l *Label, pos Pos) *Instr {
	return &Instr{Op: "bra", Args: []Operand{{Kind: LabelOperand, Label: l, Pos: pos}}, Pos: pos}
}

func (x *expansion) add(in *Instr) {
	x.p.count(in.Pos)
	x.body = append(x.body, in)
}

func (x *expansion) bind(l *Label) {
	l.At = len(x.body)
	x.e.Labels = append(x.e.Labels, l)
}

func (x *expansion) reg(r *Reg) *Reg {
	if r == nil {
		return nil
	}
	return x.regs[r.Index]
}

// copied is an instruction of the function with what the copy of its body has.
func (x *expansion) copied(in *Instr) *Instr {
	c := *in
	c.Guard = x.reg(in.Guard)
	c.Args = x.operands(in.Args)
	if to := x.p.calls[in]; to != nil {
		x.p.calls[&c] = &call{fn: to.fn, target: x.reg(to.target), pos: to.pos, results: x.operands(to.results), args: x.operands(to.args)}
	}
	return &c
}

func (x *expansion) operands(list []Operand) []Operand {
	list = slices.Clone(list)
	for i := range list {
		o := &list[i]
		o.Reg, o.Pair = x.reg(o.Reg), x.reg(o.Pair)
		if v := x.vars[o.Var]; v != nil {
			o.Var = v
		}
		if l := x.labels[o.Label]; l != nil {
			o.Label = l
		}
		if o.Elems != nil {
			o.Elems = x.operands(o.Elems)
		}
	}
	return list
}
