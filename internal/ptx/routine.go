package ptx

import (
	"fmt"
	"slices"
	"strings"
)

// Routines are the functions whose bodies cannot stand in the place of their calls:
// those that call themselves, by whatever way, and those whose address is taken. An
// entry that needs one has its body once, behind its own, and a stack in local memory.
//
// A call stores the arguments and the number of the place to return to in a new frame,
// and branches to the routine; the routine ends with a branch by that number. A routine
// that calls one keeps its registers in its own frame meanwhile. A function's address
// is a number, from 1 on.

// stackBytes is what a thread has for frames.
const stackBytes = 64 << 10

// linkage is what an entry's code and its routines share.
type linkage struct {
	p      *parser
	e      *Entry
	stack  *Var
	sp     *Reg
	starts map[*function]*Label
	queue  []*function // whose bodies are to be written
	sites  []Operand   // labels: where calls return to
	ends   []*Instr    // the branches that return
	has    map[*Var]bool
	body   []*Instr
	trap   *Label // where calls through a register of a function of another kind go
}

// A host is a body of code with calls of routines: an entry's, or a routine's.
type host struct {
	*linkage
	x     *expansion     // of a routine: its registers and labels
	frame map[*Var]int64 // of a routine: where its variables lie above sp
	saved map[*Reg]int64 // of a routine: where its registers are kept
	size  int64          // of its frame
}

// frameHead is the part of a frame before results and parameters: the number of the
// place to return to.
const frameHead = 16

// slots returns where a function's results and parameters lie in its frame, and where
// the next thing may. It depends on nothing but their sizes, so that a caller through
// a register knows it too.
func (f *function) slots() (results, params []int64, end int64) {
	end = frameHead
	place := func(list []formal) (at []int64) {
		for _, a := range list {
			at = append(at, end)
			end += int64(a.size()+15) &^ 15
		}
		return at
	}
	results, params = place(f.results), place(f.params)
	return results, params, end
}

// number is a function's address.
func (p *parser) number(f *function) uint64 {
	i := slices.Index(p.addressed, f)
	if i < 0 {
		i = len(p.addressed)
		p.addressed = append(p.addressed, f)
	}
	f.routine = true
	return uint64(i + 1)
}

// link writes the routines that an entry calls behind its body.
func (p *parser) link(e *Entry) {
	if !slices.ContainsFunc(e.Body, func(in *Instr) bool { return p.calls[in] != nil }) {
		return
	}
	p.entry = e
	l := &linkage{p: p, e: e, starts: map[*function]*Label{}, has: map[*Var]bool{}}
	for _, v := range e.Vars {
		l.has[v] = true
	}
	l.stack = &Var{Name: "$stack", Space: LocalSpace, Type: B8, Align: 16, Count: stackBytes, Array: true, Pos: e.Pos}
	l.sp = p.newReg(e.Pos, "%sp", B64)
	l.emit(e.Pos, "mov.u64", l.reg(l.sp), Operand{Kind: VarOperand, Var: l.stack})
	main := &host{linkage: l}
	labels := e.Labels
	e.Labels = nil
	main.write(e.Body, labels)
	l.add(&Instr{Op: "ret", Pos: e.Pos})
	e.Labels = append(labels, e.Labels...)
	for len(l.queue) > 0 {
		f := l.queue[0]
		l.queue = l.queue[1:]
		l.routine(f)
	}
	if l.trap != nil {
		l.bind(l.trap)
		l.add(&Instr{Op: "trap", Pos: e.Pos})
	}
	for _, in := range l.ends {
		in.Args[1].Elems = l.sites
	}
	e.Vars = append(e.Vars, l.stack) // the last, so that what is above is nobody's
	e.Body = l.body
}

func (l *linkage) add(in *Instr) {
	l.p.count(in.Pos)
	l.body = append(l.body, in)
}

// emit appends an instruction made here.
func (l *linkage) emit(pos Pos, mnemonic string, args ...Operand) {
	parts := strings.Split(mnemonic, ".")
	in := &Instr{Op: parts[0], Mods: parts[1:], Args: args, Pos: pos}
	for i := range args {
		args[i].Pos = pos
	}
	if in.Op != "bra" && in.Op != "brx" {
		l.p.checkInstr(pos, in)
	}
	l.add(in)
}

func (l *linkage) bind(label *Label) {
	label.At = len(l.body)
	l.e.Labels = append(l.e.Labels, label)
}

func (l *linkage) reg(r *Reg) Operand  { return Operand{Kind: RegOperand, Reg: r} }
func (l *linkage) temp(t Type) Operand { return l.reg(l.p.newReg(l.e.Pos, "%link", t)) }

// above is the address so many bytes above the frame.
func (l *linkage) above(off int64) Operand { return Operand{Kind: MemOperand, Reg: l.sp, Off: off} }

// start is where a routine begins; it is written if it was not yet.
func (l *linkage) start(f *function) *Label {
	if l.starts[f] == nil {
		l.starts[f] = &Label{Name: "$start_" + f.entry.Name, At: -1, Pos: f.entry.Pos}
		l.queue = append(l.queue, f)
	}
	return l.starts[f]
}

// routine writes a routine's body.
func (l *linkage) routine(f *function) {
	if !f.defined {
		fail(f.entry.Pos, "%s has no body in this module, and other modules are not linked to it", f.entry.Name)
	}
	l.p.expandFunction(f, f.entry.Pos)
	if l.p.copies += 1 + len(f.entry.Body) + len(f.entry.Regs) + len(f.entry.Vars) + len(f.entry.Labels); l.p.copies > maxCopies {
		fail(f.entry.Pos, "the functions that are called have more than %d instructions, registers, variables and labels in the places of their calls", maxCopies)
	}
	h := &host{linkage: l, x: &expansion{p: l.p, e: l.e, vars: map[*Var]*Var{}, labels: map[*Label]*Label{}}, frame: map[*Var]int64{}, saved: map[*Reg]int64{}}
	results, params, size := f.slots()
	for i, a := range f.results {
		h.frame[a.v] = results[i]
	}
	for i, a := range f.params {
		h.frame[a.v] = params[i]
	}
	for _, v := range f.entry.Vars {
		switch _, passed := h.frame[v]; {
		case passed:
		case v.Space == LocalSpace:
			align := int64(max(v.Align, v.Type.Size(), 1))
			size = (size + align - 1) &^ (align - 1)
			h.frame[v] = size
			size += int64(v.Count) * int64(v.Type.Size())
		case !l.has[v]:
			l.has[v] = true
			l.e.Vars = append(l.e.Vars, v)
		}
	}
	size = (size + 15) &^ 15
	h.x.regs = make([]*Reg, len(f.entry.Regs))
	for i, r := range f.entry.Regs {
		h.x.regs[i] = l.p.newReg(f.entry.Pos, r.Name, r.Type)
		h.saved[h.x.regs[i]] = size
		size += 8
	}
	if h.size = (size + 15) &^ 15; h.size > stackBytes {
		fail(f.entry.Pos, "%s takes %d bytes of the stack for each call, which has %d", f.entry.Name, h.size, stackBytes)
	}
	labels := make([]*Label, len(f.entry.Labels))
	for i, label := range f.entry.Labels {
		labels[i] = &Label{Name: label.Name, At: label.At, Pos: label.Pos}
		h.x.labels[label] = labels[i]
	}
	l.bind(l.starts[f])
	for i, a := range f.params {
		if a.r != nil {
			l.emit(f.entry.Pos, "ld.local."+untyped(a.r.Type), l.reg(h.x.reg(a.r)), l.above(params[i]))
		}
	}
	end := &Label{Name: "$return_" + f.entry.Name, Pos: f.entry.Pos}
	body := make([]*Instr, len(f.entry.Body))
	for i, in := range f.entry.Body {
		if body[i] = h.x.copied(in); in.Op == "ret" {
			back := branchTo(end, in.Pos)
			back.Guard, back.GuardNot, back.Mods = body[i].Guard, in.GuardNot, in.Mods
			body[i] = back
		}
	}
	h.write(body, labels)
	l.e.Labels = append(l.e.Labels, labels...)
	l.bind(end)
	for i, r := range f.results {
		if r.r != nil {
			l.emit(f.entry.Pos, "st.local."+untyped(r.r.Type), l.above(results[i]), l.reg(h.x.reg(r.r)))
		}
	}
	l.back(f.entry.Pos)
}

// back is the branch that returns.
func (l *linkage) back(pos Pos) {
	at := l.temp(B32)
	l.emit(pos, "ld.local.b32", at, l.above(0))
	l.emit(pos, "brx.idx", at, Operand{Kind: VectorOperand})
	l.ends = append(l.ends, l.body[len(l.body)-1])
}

// write writes a body, whose labels are put in their new places.
func (h *host) write(body []*Instr, labels []*Label) {
	at := make([]int, len(body)+1)
	for i, in := range body {
		at[i] = len(h.body)
		if c := h.p.calls[in]; c != nil {
			h.call(in, c)
			continue
		}
		h.localise(in)
		h.add(in)
	}
	at[len(body)] = len(h.body)
	for _, label := range labels {
		label.At = at[label.At]
	}
}

// localise makes the operands of a routine's instruction that are variables in its
// frame addresses relative to sp.
func (h *host) localise(in *Instr) {
	for i := range in.Args {
		o := &in.Args[i]
		off, ok := h.frame[o.Var]
		switch {
		case !ok || o.Var == nil:
		case o.Kind == MemOperand && slices.Contains(in.Mods, "local"):
			o.Var, o.Reg, o.Off = nil, h.sp, o.Off+off
		default:
			at := h.temp(B64)
			h.emit(in.Pos, "add.s64", at, h.reg(h.sp), Operand{Kind: IntOperand, Imm: uint64(off + o.Off)})
			switch {
			case o.Kind == MemOperand: // at a generic address
				h.emit(in.Pos, "cvta.local.u64", at, at)
				o.Var, o.Reg, o.Off = nil, at.Reg, 0
			case in.Args[0].Reg != nil && in.Args[0].Reg.Type.Bits() == 32:
				narrow := h.temp(B32)
				h.emit(in.Pos, "cvt.u32.u64", narrow, at)
				*o = narrow
			default:
				*o = at
			}
		}
	}
}

// call writes a call of a routine, or of whichever one a register names.
func (h *host) call(in *Instr, c *call) {
	pos := in.Pos
	over := &Label{Name: "$over", Pos: pos}
	if in.Guard != nil {
		around := branchTo(over, pos)
		around.Guard, around.GuardNot = in.Guard, !in.GuardNot
		h.add(around)
	}
	results, params, _ := c.fn.slots()
	for i, a := range c.fn.params {
		h.pass(pos, a, &c.args[i], h.size+params[i], true)
	}
	h.emit(pos, "st.local.b32", h.above(h.size), Operand{Kind: IntOperand, Imm: uint64(len(h.sites))})
	h.keep(pos, true)
	h.emit(pos, "add.s64", h.reg(h.sp), h.reg(h.sp), Operand{Kind: IntOperand, Imm: uint64(h.size)})
	if c.target == nil {
		h.add(branchTo(h.start(c.fn), pos))
	} else {
		h.among(pos, c)
	}
	site := &Label{Name: fmt.Sprintf("$site_%d", len(h.sites)), Pos: pos}
	h.sites = append(h.sites, Operand{Kind: LabelOperand, Label: site, Pos: pos})
	h.bind(site)
	h.emit(pos, "add.s64", h.reg(h.sp), h.reg(h.sp), Operand{Kind: IntOperand, Imm: uint64(-h.size)})
	h.keep(pos, false)
	for i, r := range c.fn.results {
		h.pass(pos, r, &c.results[i], h.size+results[i], false)
	}
	if in.Guard != nil {
		h.bind(over)
	}
}

// among branches to the routine whose address is in the call's register. An address
// that is none is an index out of range.
func (h *host) among(pos Pos, c *call) {
	number, index := h.temp(B64), h.temp(B32)
	h.emit(pos, "sub.s64", number, h.reg(c.target), Operand{Kind: IntOperand, Imm: 1})
	h.emit(pos, "min.u64", number, number, Operand{Kind: IntOperand, Imm: uint64(len(h.p.addressed))})
	h.emit(pos, "cvt.u32.u64", index, number)
	var list []Operand
	for _, f := range h.p.addressed {
		start := h.wrong(pos)
		if f.passesAs(c.fn) {
			start = h.start(f)
		}
		list = append(list, Operand{Kind: LabelOperand, Label: start, Pos: pos})
	}
	if list == nil { // no function has an address
		list = append(list, Operand{Kind: LabelOperand, Label: h.wrong(pos), Pos: pos})
	}
	h.emit(pos, "brx.idx", index, Operand{Kind: VectorOperand, Elems: list})
}

// wrong is where a call goes that finds no function of its kind.
func (l *linkage) wrong(pos Pos) *Label {
	if l.trap == nil {
		l.trap = &Label{Name: "$wrong", Pos: pos}
	}
	return l.trap
}

// passesAs says whether two functions have parameters and results of the same sizes.
func (f *function) passesAs(g *function) bool {
	same := func(a, b formal) bool { return a.size() == b.size() }
	return slices.EqualFunc(f.params, g.params, same) && slices.EqualFunc(f.results, g.results, same)
}

// keep stores the registers of a routine that calls another in its frame, or loads
// them.
func (h *host) keep(pos Pos, store bool) {
	if h.x == nil {
		return
	}
	for _, r := range h.x.regs {
		if r.Type == Pred {
			as := h.temp(B32)
			if store {
				h.emit(pos, "selp.b32", as, Operand{Kind: IntOperand, Imm: 1}, Operand{Kind: IntOperand}, h.reg(r))
				h.emit(pos, "st.local.b32", h.above(h.saved[r]), as)
			} else {
				h.emit(pos, "ld.local.b32", as, h.above(h.saved[r]))
				h.emit(pos, "setp.ne.b32", h.reg(r), as, Operand{Kind: IntOperand})
			}
			continue
		}
		h.move(pos, untyped(r.Type), h.reg(r), h.above(h.saved[r]), store)
	}
}

// move stores a register at an address, or loads it.
func (l *linkage) move(pos Pos, typ string, r, at Operand, store bool) {
	if store {
		l.emit(pos, "st.local."+typ, at, r)
	} else {
		l.emit(pos, "ld.local."+typ, r, at)
	}
}

// pass moves an argument to the frame of the function that is called, or a result
// from it.
func (h *host) pass(pos Pos, f formal, actual *Operand, off int64, in bool) {
	if actual.Kind != VarOperand {
		h.move(pos, untyped(f.typ()), *actual, h.above(off), in)
		return
	}
	v := actual.Var
	chunk := min(max(v.Align, v.Type.Size()), 8)
	for done := 0; done < f.size(); done += chunk {
		for chunk > f.size()-done {
			chunk /= 2
		}
		typ, through := fmt.Sprint("b", 8*chunk), h.temp(map[int]Type{1: B16, 2: B16, 4: B32, 8: B64}[chunk])
		own := Operand{Kind: MemOperand, Var: v, Off: int64(done)}
		if at, ok := h.frame[v]; ok {
			own = h.above(at + int64(done))
		}
		from, to := own, h.above(off+int64(done))
		if !in {
			from, to = to, from
		}
		h.move(pos, typ, through, from, false)
		h.move(pos, typ, through, to, true)
	}
}

// untyped is the name of the type of bits of a type's size.
func untyped(t Type) string { return fmt.Sprint("b", t.Bits()) }
