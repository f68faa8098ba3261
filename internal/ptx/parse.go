package ptx

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Limits of what Parse takes, against text made to exhaust memory.
const (
	maxSource  = 64 << 20 // bytes of text
	maxRegs    = 1 << 20  // registers of an entry, and in one range
	maxInstrs  = 1 << 19  // of a module
	maxCopies  = 1 << 21  // of what functions consist of, at their calls
	maxCalls   = 1000     // functions that call one another
	maxInit    = 64 << 20 // zeros between initial values
	maxDepth   = 64       // nested blocks, braces and parentheses
	maxLocal   = 512 << 10
	maxConst   = 64 << 10
	maxParam   = 32764
	maxVarSize = 1<<31 - 1 // bytes of a variable, so that an int counts them on 32-bit machines too
)

// Parse reads PTX text. The error is an *Error with the place.
func Parse(src string) (m *Module, err error) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*Error)
			if !ok {
				panic(r)
			}
			m, err = nil, e
		}
	}()
	if len(src) > maxSource {
		fail(Pos{1, 1}, "%d bytes of PTX, at most %d are read", len(src), maxSource)
	}
	p := &parser{lex: lexer{src: src, line: 1}, m: &Module{AddressSize: 64}, orders: map[string][]string{}}
	p.global = &scope{names: map[string]any{}}
	p.scope = p.global
	p.advance()
	p.module()
	p.inline()
	p.rename()
	return p.m, nil
}

// parser holds the state of a parse. Its methods end it through fail.
type parser struct {
	lex     lexer
	tok     token // the current one
	m       *Module
	target  needs
	global  *scope
	scope   *scope
	entry   *Entry // being read
	bytes   [ParamSpace + 1]int64
	init    int // bytes of initial content so far
	refs    []labelRef
	depth   int
	instrs  int
	missing []*Entry            // kernels that were declared without a body
	orders  map[string][]string // the modifiers of mnemonics that have them in another order than the table, in its order
	copies  int                 // of what functions consist of

	unnamed    int              // in a prototype, where "_" is a name: how many there were
	inFunction bool             // what is being read is a function's
	passes     map[*Var]bool    // variables that calls take or return
	calls      map[*Instr]*call // what the call instructions name
	addressed  []*function      // whose addresses are taken
}

// scope is a block's names.
type scope struct {
	parent *scope
	names  map[string]any      // *Reg, *Var, *Entry, *function; a register's Type until it is first used
	ranges map[string]regRange // by prefix
	labels map[string]*Label
	lists  map[string][]Operand // of labels, by .branchtargets

	prototypes map[string]*function // by .callprototype and .calltargets
}

// regRange is a declaration such as .reg .f32 %f<12>. Registers are made when
// they are first used, so large ranges cost nothing.
type regRange struct {
	regType
	count uint64
}

// regType is what a register is declared with: a type, and .v2 or .v4.
type regType struct {
	Type
	vec int // 0 for no vector
}

// vector is a register that was declared with .v2 or .v4. Its elements v.x, v.y, v.z
// and v.w are made when they are first used.
type vector struct {
	name string
	typ  Type
	regs []*Reg
}

// labelRef is a branch whose label is looked for when the entry has been read.
type labelRef struct {
	operand *Operand
	name    string
	scope   *scope
}

func (p *parser) advance() { p.tok = p.lex.next() }

func (p *parser) fail(format string, args ...any) { fail(p.tok.pos, format, args...) }

// is says whether the current token is this word or sign.
func (p *parser) is(text string) bool {
	return p.tok.text == text && (p.tok.kind == tokPunct || p.tok.kind == tokWord)
}

// accept passes the current token if it is text.
func (p *parser) accept(text string) bool {
	if !p.is(text) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		p.fail("got %v, expected %q", p.tok, text)
	}
}

// name passes an identifier.
func (p *parser) name(what string) string {
	if p.unnamed > 0 && p.accept("_") {
		p.unnamed++
		return fmt.Sprint("_", p.unnamed)
	}
	if p.tok.kind != tokWord || !isIdentifier(p.tok.text) {
		p.fail("got %v, expected %s", p.tok, what)
	}
	s := p.tok.text
	p.advance()
	return s
}

// integer passes a constant expression with a value from lo to hi.
func (p *parser) integer(what string, lo, hi int64) int64 {
	pos := p.tok.pos
	o := p.constant()
	if v := int64(o.Imm); o.Kind == IntOperand && v >= lo && v <= hi {
		return v
	}
	fail(pos, "%s: expected an integer from %d to %d", what, lo, hi)
	return 0
}

func (p *parser) module() {
	p.header()
	for p.tok.kind != tokEOF {
		p.topLevel()
	}
	p.defined()
}

func (p *parser) header() {
	p.expect(".version")
	major, minor, ok := strings.Cut(p.tok.text, ".")
	a, err1 := strconv.ParseUint(major, 10, 8)
	b, err2 := strconv.ParseUint(minor, 10, 4)
	if !ok || err1 != nil || err2 != nil || b > 9 {
		p.fail("got %v, expected a version such as 7.0", p.tok)
	}
	p.m.Version = Version{int(a), int(b)}
	p.advance()
	p.expect(".target")
	pos := p.tok.pos
	p.m.Target = p.name("a target such as sm_80")
	if p.target, ok = parseTarget(p.m.Target); !ok {
		fail(pos, "unknown target %q", p.m.Target)
	}
	if v := (Version{p.target.ptx / 10, p.target.ptx % 10}); p.target.sm > 75 && p.m.Version.Less(v) {
		fail(pos, "target %s needs .version %v or higher, the module has %v", p.m.Target, v, p.m.Version)
	}
	for p.accept(",") {
		pos := p.tok.pos
		option := p.name("a target option")
		if _, known := parseTarget(option); !known && option != "debug" && option != "texmode_unified" && option != "texmode_independent" {
			fail(pos, "unknown target option %q", option)
		}
	}
	if p.accept(".address_size") {
		p.integer("address size (32-bit addresses are not supported)", 64, 64)
	}
}

func (p *parser) topLevel() {
	if p.debugDirective() {
		return
	}
	linkage, pos := "", p.tok.pos
	for p.is(".visible") || p.is(".extern") || p.is(".weak") || p.is(".common") {
		linkage = p.tok.text
		p.advance()
	}
	switch p.tok.text {
	case ".entry":
		p.advance()
		p.kernel(pos, linkage == ".extern")
	case ".global", ".const", ".shared":
		p.variables(linkage == ".extern")
	case ".func":
		p.function(pos)
	case ".alias":
		p.fail("other names of functions (.alias) are not supported")
	case ".tex":
		p.fail("textures are not supported")
	default:
		p.fail("got %v, expected .entry or a variable in .global, .const or .shared", p.tok)
	}
}

// debugDirective passes what does not change what a program does.
func (p *parser) debugDirective() bool {
	switch p.tok.text {
	case ".file", ".loc":
		for line := p.tok.pos.Line; p.tok.kind != tokEOF && p.tok.pos.Line == line; {
			p.advance()
		}
	case ".pragma":
		for p.tok.kind != tokEOF && !p.is(";") {
			p.advance()
		}
		p.expect(";")
	case ".section":
		for p.tok.kind != tokEOF && !p.is("{") {
			p.advance()
		}
		for p.tok.kind != tokEOF && !p.is("}") {
			p.advance()
		}
		p.expect("}")
	default:
		return false
	}
	return true
}

// prototype is a kernel that has been declared, but not defined so far.
type prototype struct{ *Entry }

// kernel reads an .entry: a declaration, or one with a body.
func (p *parser) kernel(pos Pos, extern bool) {
	e := &Entry{Pos: pos}
	e.Name = p.name("the entry's name")
	declared, _ := p.global.names[e.Name].(prototype)
	if declared.Entry == nil {
		p.declare(pos, e.Name, prototype{e})
	}
	p.entry = e
	p.push()
	if p.accept("(") {
		for !p.accept(")") {
			if len(e.Params) > 0 {
				p.expect(",")
			}
			e.Params = append(e.Params, p.param())
		}
	}
	p.performance(e)
	if old := declared.Entry; old != nil && !slices.EqualFunc(old.Params, e.Params, func(a, b *Var) bool { return a.Type == b.Type && a.Count == b.Count }) {
		fail(pos, "%s was declared with other parameters at %v", e.Name, old.Pos)
	}
	if p.accept(";") {
		p.pop()
		if !extern {
			p.missing = append(p.missing, e)
		}
		p.leave()
		return
	}
	p.global.names[e.Name] = e
	p.expect("{")
	p.block()
	p.pop()
	p.resolveLabels()
	p.m.Entries = append(p.m.Entries, e)
	p.leave()
}

// defined checks that kernels which were declared have a body.
func (p *parser) defined() {
	for _, e := range p.missing {
		if _, ok := p.global.names[e.Name].(prototype); ok {
			fail(e.Pos, "%s is declared, but has no body", e.Name)
		}
	}
}

// leave ends an entry or a function.
func (p *parser) leave() {
	p.entry, p.bytes[LocalSpace], p.bytes[ParamSpace] = nil, 0, 0
}

// performance reads the directives between an entry's parameters and body.
func (p *parser) performance(e *Entry) {
	for !p.is("{") && !p.is(";") {
		directive := p.tok.text
		if p.debugDirective() {
			continue
		}
		p.advance()
		switch directive {
		case ".maxntid":
			e.MaxNTID = p.dims(directive)
		case ".reqntid":
			e.ReqNTID = p.dims(directive)
		case ".reqnctapercluster":
			e.Cluster = p.dims(directive)
		case ".minnctapersm":
			e.MinNCTA = int(p.integer(directive, 1, 1<<16))
		case ".maxnreg":
			e.MaxNReg = int(p.integer(directive, 1, 1<<16))
		case ".maxnctapersm", ".maxclusterrank":
			p.integer(directive, 1, 1<<16)
		case ".explicitcluster":
		case ".noreturn":
			if !p.inFunction {
				fail(p.tok.pos, ".noreturn is for functions")
			}
		default:
			fail(p.tok.pos, "got %q, expected the entry's body or a directive such as .maxntid", directive)
		}
	}
}

func (p *parser) dims(directive string) [3]int {
	d := [3]int{1, 1, 1}
	for i := range d {
		d[i] = int(p.integer(directive, 1, 1<<30))
		if i == 2 || !p.accept(",") {
			break
		}
	}
	return d
}

func (p *parser) push() {
	if p.depth++; p.depth > maxDepth {
		p.fail("blocks nested more than %d deep", maxDepth)
	}
	p.scope = &scope{parent: p.scope, names: map[string]any{}, ranges: map[string]regRange{}, labels: map[string]*Label{}, lists: map[string][]Operand{}, prototypes: map[string]*function{}}
}

func (p *parser) pop() { p.depth, p.scope = p.depth-1, p.scope.parent }

// declare enters a name in the current scope.
func (p *parser) declare(pos Pos, name string, what any) {
	if _, ok := p.scope.names[name]; ok || p.scope.inRange(name).Type != NoType {
		fail(pos, "%s is declared twice", name)
	}
	p.scope.names[name] = what
}

// block reads statements to the closing brace.
func (p *parser) block() {
	for !p.accept("}") {
		p.statement()
	}
}

func (p *parser) statement() {
	switch p.tok.text {
	case "{":
		p.advance()
		p.push()
		p.block()
		p.pop()
		return
	case ".reg":
		p.registers()
		return
	case ".local", ".shared", ".global", ".const":
		p.variables(false)
		return
	case ".extern":
		p.advance()
		p.variables(true)
		return
	case ".param":
		p.arguments()
		return
	}
	if p.debugDirective() {
		return
	}
	if p.tok.kind == tokWord && p.label() {
		return
	}
	p.instruction()
}

// label reads "name:" if it is there.
func (p *parser) label() bool {
	if !isIdentifier(p.tok.text) {
		return false
	}
	t, lex := p.tok, p.lex
	p.advance()
	if !p.is(":") {
		p.tok, p.lex = t, lex
		return false
	}
	p.advance()
	_, label := p.scope.labels[t.text]
	if _, list := p.scope.lists[t.text]; label || list {
		fail(t.pos, "label %s is declared twice", t.text)
	}
	switch {
	case p.scope.prototypes[t.text] != nil:
		fail(t.pos, "label %s is declared twice", t.text)
	case p.accept(".callprototype"):
		p.scope.prototypes[t.text] = p.callPrototype()
		return true
	case p.accept(".calltargets"):
		p.scope.prototypes[t.text] = p.callTargets()
		return true
	}
	if p.accept(".branchtargets") {
		p.scope.lists[t.text] = p.branchTargets()
		return true
	}
	l := &Label{Name: t.text, At: len(p.entry.Body), Pos: t.pos}
	p.scope.labels[t.text] = l
	p.entry.Labels = append(p.entry.Labels, l)
	return true
}

// branchList is the list of labels that an operand names.
func (p *parser) branchList(o *Operand) Operand {
	for s := p.scope; s != nil; s = s.parent {
		if list := s.lists[o.Label.Name]; list != nil {
			for range list { // each is a way that the program may go
				p.count(o.Pos)
			}
			return Operand{Kind: VectorOperand, Elems: list, Pos: o.Pos}
		}
	}
	fail(o.Pos, "there is no list of labels (.branchtargets) %s before this", o.Label.Name)
	return Operand{}
}

// branchTargets reads the rest of a list of labels. More than one branch may use it.
func (p *parser) branchTargets() []Operand {
	var list []Operand
	for more := true; more; more = p.accept(",") {
		pos := p.tok.pos
		list = append(list, Operand{Kind: LabelOperand, Label: &Label{Name: p.name("a label"), At: -1, Pos: pos}, Pos: pos})
	}
	p.expect(";")
	for i := range list {
		p.refs = append(p.refs, labelRef{&list[i], list[i].Label.Name, p.scope})
	}
	return list
}

// registers reads a .reg declaration.
func (p *parser) registers() {
	p.expect(".reg")
	vec := 0
	if p.is(".v2") || p.is(".v4") {
		vec = int(p.tok.text[2] - '0')
		p.advance()
	}
	typ := regType{p.typ(), vec}
	if !typ.declarable() || vec > 0 && (typ.Type == Pred || vec*typ.Bits() > 128) {
		p.fail("there are no registers of type .%s, or no vectors", typ)
	}
	for more := true; more; more = p.accept(",") {
		pos := p.tok.pos
		name := p.name("a register's name")
		if !p.accept("<") {
			p.declare(pos, name, typ)
			continue
		}
		count := p.integer("number of registers", 1, maxRegs)
		p.expect(">")
		if _, ok := p.scope.ranges[name]; ok {
			fail(pos, "%s is declared twice", name)
		}
		p.scope.ranges[name] = regRange{typ, uint64(count)}
	}
	p.expect(";")
}

func (p *parser) newReg(pos Pos, name string, t Type) *Reg {
	r := &Reg{Name: name, Type: t, Index: len(p.entry.Regs)}
	if r.Index == maxRegs {
		fail(pos, "more than %d registers", maxRegs)
	}
	p.entry.Regs = append(p.entry.Regs, r)
	return r
}

// lookup finds a name in the current scope and those around it.
func (p *parser) lookup(pos Pos, name string) any {
	for s := p.scope; s != nil; s = s.parent {
		what := s.names[name]
		t, unused := what.(regType)
		if what != nil && !unused {
			return what
		}
		if !unused {
			t = s.inRange(name)
		}
		if t.Type != NoType {
			s.names[name] = p.makeReg(pos, name, t)
			return s.names[name]
		}
	}
	return nil
}

// makeReg makes a declared register or vector.
func (p *parser) makeReg(pos Pos, name string, t regType) any {
	if t.vec == 0 {
		return p.newReg(pos, name, t.Type)
	}
	return &vector{name, t.Type, make([]*Reg, t.vec)}
}

// of returns an element of a vector.
func (p *parser) of(pos Pos, v *vector, i int) *Reg {
	if v.regs[i] == nil {
		v.regs[i] = p.newReg(pos, v.name+"_"+"xyzw"[i:i+1], v.typ)
	}
	return v.regs[i]
}

// element finds v.x and the like, nil where name is nothing of this kind.
func (p *parser) element(pos Pos, name string) *Reg {
	base, which, _ := strings.Cut(name, ".")
	if v, ok := p.lookup(pos, base).(*vector); ok && len(which) == 1 {
		if i := strings.Index("xyzwrgba", which); i >= 0 && i%4 < len(v.regs) {
			return p.of(pos, v, i%4)
		}
	}
	return nil
}

// inRange returns the type of a register declared by range, NoType where there
// is none.
func (s *scope) inRange(name string) regType {
	for i := len(name) - 1; i > 0 && isDigit(name[i]) && len(name)-i <= 8; i-- {
		if name[i] == '0' && i < len(name)-1 { // no leading zeros in a number
			continue
		}
		n, err := strconv.ParseUint(name[i:], 10, 32)
		if r, ok := s.ranges[name[:i]]; ok && err == nil && n < r.count {
			return r.regType
		}
	}
	return regType{}
}

// typ reads a type such as ".f32".
func (p *parser) typ() Type {
	t, ok := typeNames[strings.TrimPrefix(p.tok.text, ".")]
	if p.tok.kind != tokWord || p.tok.text[0] != '.' || !ok {
		p.fail("got %v, expected a type such as .b32", p.tok)
	}
	p.advance()
	return t
}

// instruction reads one, with its guard, and checks it.
func (p *parser) instruction() {
	in := &Instr{Pos: p.tok.pos}
	if p.accept("@") {
		in.GuardNot = p.accept("!")
		pos := p.tok.pos
		name := p.name("a predicate")
		r, _ := p.lookup(pos, name).(*Reg)
		if r == nil || r.Type != Pred {
			fail(pos, "%s is no predicate register", name)
		}
		in.Guard = r
	}
	pos := p.tok.pos
	if p.tok.kind != tokWord || p.tok.text[0] == '.' || p.tok.text[0] == '%' {
		p.fail("got %v, expected an instruction", p.tok)
	}
	if in.Op, in.Mods = p.mnemonic(); in.Op == "call" {
		p.call(in)
		p.append(in)
		return
	}
	for !p.is(";") {
		if len(in.Args) > 0 {
			p.expect(",")
		}
		in.Args = append(in.Args, p.operand())
	}
	in.unwrap()
	p.advance()
	p.ofCall(in)
	p.checkInstr(pos, in)
	p.append(in)
	p.noteLabels(in)
}

func (p *parser) append(in *Instr) {
	p.count(in.Pos)
	p.entry.Body = append(p.entry.Body, in)
}

// count counts an instruction.
func (p *parser) count(pos Pos) {
	if p.instrs++; p.instrs > maxInstrs {
		fail(pos, "more than %d instructions in a module, with those of the functions that are called", maxInstrs)
	}
}

func (p *parser) checkInstr(pos Pos, in *Instr) {
	f, err := in.Resolve()
	if err != nil {
		if a, ok := err.(*argError); ok && a.index >= 0 {
			pos = in.Args[a.index].Pos
		}
		fail(pos, "%v", err)
	}
	p.require(pos, f.Mnemonic, f.needs())
	for i, spec := range f.Specs(len(in.Args)) {
		switch o := &in.Args[i]; {
		case o.Kind == SpecialOperand:
			p.require(o.Pos, func() string { return o.Special }, specialNeeds(o.Special))
		case o.Kind == FloatOperand && spec.Type == F32:
			o.Type, o.Imm = F32, widenBits(narrowBits(o.Imm))
		case o.Kind == FloatOperand && spec.Type == F64:
			o.Type = F64
		}
	}
}

func (p *parser) require(pos Pos, what func() string, n needs) {
	if msg := p.target.lacks(n); msg != "" {
		fail(pos, "%s needs .target %s, the module has %s", what(), msg, p.m.Target)
	}
	if n.from[0] != 0 && p.target.sm >= n.from[0] {
		n.ptx = n.from[1]
	}
	if v := (Version{n.ptx / 10, n.ptx % 10}); p.m.Version.Less(v) {
		fail(pos, "%s needs .version %v or higher, the module has %v", what(), v, p.m.Version)
	}
}

// noteLabels remembers the branch targets of an instruction in its final place.
func (p *parser) noteLabels(in *Instr) {
	for i := range in.Args {
		switch o := &in.Args[i]; {
		case o.Kind != LabelOperand:
		case in.Op == "brx":
			*o = p.branchList(o)
		default:
			p.refs = append(p.refs, labelRef{o, o.Label.Name, p.scope})
		}
	}
}

// resolveLabels puts the labels in the branches of the entry just read.
func (p *parser) resolveLabels() {
	for _, r := range p.refs {
		var l *Label
		for s := r.scope; s != nil && l == nil; s = s.parent {
			l = s.labels[r.name]
		}
		if l == nil {
			fail(r.operand.Pos, "there is no label %s", r.name)
		}
		r.operand.Label = l
	}
	p.refs = nil
}
