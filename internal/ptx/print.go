package ptx

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// String returns the module's PTX text. It depends on the module alone: equal
// modules give equal text. It panics where a label branched to is not bound.
func (m *Module) String() string {
	p := &printer{whole: true}
	for _, c := range m.Comments {
		p.f("// %s\n", c)
	}
	p.f(".version %d.%d\n.target %s\n.address_size %d\n", m.Version.Major, m.Version.Minor, m.Target, m.AddressSize)
	if len(m.Vars) > 0 {
		p.f("\n")
	}
	for _, v := range m.Vars {
		if v.Extern {
			p.f(".extern ")
		} else if v.Space != SharedSpace {
			p.f(".visible ")
		}
		p.variable(v)
		p.f(";\n")
	}
	if slices.ContainsFunc(m.Entries, func(e *Entry) bool {
		return slices.ContainsFunc(e.Body, func(in *Instr) bool { return in.Op == "call" })
	}) {
		p.f("\n.extern .func (.param .b32 printed) vprintf(.param .b64 format, .param .b64 values);\n")
	}
	for _, e := range m.Entries {
		p.entry(m, e)
	}
	return p.String()
}

// printer writes PTX text.
type printer struct {
	strings.Builder
	whole bool // a whole module: labels must be bound
}

func (p *printer) f(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func (p *printer) entry(m *Module, e *Entry) {
	p.f("\n.visible .entry %s(", e.Name)
	for i, v := range e.Params {
		if i > 0 {
			p.f(",")
		}
		p.f("\n\t")
		p.variable(v)
	}
	p.f("\n)\n")
	p.dims(".maxntid", e.MaxNTID)
	p.dims(".reqntid", e.ReqNTID)
	if e.MinNCTA > 0 {
		p.f(".minnctapersm %d\n", e.MinNCTA)
	}
	if e.MaxNReg > 0 {
		p.f(".maxnreg %d\n", e.MaxNReg)
	}
	if e.Cluster != [3]int{} { // as nvcc writes it
		p.f(".explicitcluster\n")
	}
	p.dims(".reqnctapercluster", e.Cluster)
	p.f("{\n")
	p.registers(m, e)
	for _, v := range e.Vars {
		p.f("\t")
		p.variable(v)
		p.f(";\n")
	}
	p.body(e)
	p.f("}\n")
}

func (p *printer) dims(directive string, d [3]int) {
	if d != [3]int{} {
		p.f("%s %d, %d, %d\n", directive, d[0], max(d[1], 1), max(d[2], 1))
	}
}

// variable writes a declaration, without what ends it.
func (p *printer) variable(v *Var) {
	p.f(".%s ", v.Space)
	if v.Align > 0 {
		p.f(".align %d ", v.Align)
	}
	p.f(".%s %s", v.Type, v.Name)
	switch {
	case v.Array && v.Count > 0:
		p.f("[%d]", v.Count)
	case v.Array:
		p.f("[]")
	}
	if v.Init != nil {
		p.initialiser(v)
	}
}

// initialiser writes integers of the variable's size: exact for floats too.
func (p *printer) initialiser(v *Var) {
	size, addrs := v.Type.Size(), v.Addrs
	open, end := "", ""
	if v.Array {
		open, end = "{", "}"
	}
	p.f(" = %s", open)
	for i := 0; i+size <= len(v.Init); i += size {
		if i > 0 {
			p.f(", ")
		}
		if len(addrs) > 0 && addrs[0].At == i {
			p.initAddr(&addrs[0])
			addrs = addrs[1:]
			continue
		}
		var x uint64
		for j := size - 1; j >= 0; j-- {
			x = x<<8 | uint64(v.Init[i+j])
		}
		switch v.Type {
		case F32:
			p.f("0f%08X", x)
		case F64:
			p.f("0d%016X", x)
		default:
			p.f("0x%x", x)
		}
	}
	p.f("%s", end)
}

// initAddr writes an element that is an address.
func (p *printer) initAddr(a *InitAddr) {
	text := a.Var.Name
	if a.Generic {
		text = "generic(" + text + ")"
	}
	if a.Mask != 0 {
		p.f("%#x(%s)", a.Mask, text)
		return
	}
	p.WriteString(text)
	p.offset(a.Off)
}

// body writes labels, comments and instructions.
func (p *printer) body(e *Entry) {
	labels := make([]*Label, len(e.Labels))
	copy(labels, e.Labels)
	sort.SliceStable(labels, func(i, j int) bool { return labels[i].At < labels[j].At })
	at := func(i int) {
		for len(labels) > 0 && labels[0].At <= i {
			p.f("%s:\n", labels[0].Name)
			labels = labels[1:]
		}
	}
	for i, in := range e.Body {
		at(i)
		for _, c := range in.Comments {
			p.f("\t// %s\n", c)
		}
		p.f("\t")
		if in.Op == "call" {
			p.f("call (%v), vprintf, (%v, %v);\n", &in.Args[0], &in.Args[1], &in.Args[2])
			continue
		}
		if in.Op == "brx" { // in a block, so that each list may have the same name
			p.f("{ $targets: .branchtargets ")
			p.list(in.Args[1].Elems)
			p.f("; ")
			named := *in
			named.Args = []Operand{in.Args[0], {Kind: LabelOperand, Label: &Label{Name: "$targets"}}}
			p.instr(&named)
			p.f(" }\n")
			continue
		}
		p.instr(in)
		p.f("\n")
	}
	at(len(e.Body))
}

func (p *printer) instr(in *Instr) {
	if in.Guard != nil {
		p.f("@")
		if in.GuardNot {
			p.f("!")
		}
		p.f("%s ", in.Guard.Name)
	}
	p.WriteString(in.Mnemonic())
	for i := range in.Args {
		if i > 0 {
			p.WriteByte(',')
		}
		p.WriteByte(' ')
		p.operand(&in.Args[i])
	}
	p.WriteByte(';')
}

// String returns the instruction's text.
func (in *Instr) String() string {
	p := &printer{}
	p.instr(in)
	return p.Builder.String()
}

// String returns the operand's text.
func (o *Operand) String() string {
	p := &printer{}
	p.operand(o)
	return p.Builder.String()
}

func (p *printer) operand(o *Operand) {
	if o.Not {
		p.WriteByte('!')
	}
	switch o.Kind {
	case RegOperand:
		p.WriteString(o.Reg.Name)
	case IntOperand:
		p.WriteString(formatInt(int64(o.Imm)))
	case FloatOperand:
		if o.Type == F32 {
			p.f("0f%08X", o.floatBits())
		} else {
			p.f("0d%016X", o.Imm)
		}
	case SpecialOperand:
		p.WriteString(o.Special)
	case VarOperand:
		p.WriteString(o.Var.Name)
		p.offset(o.Off)
	case LabelOperand:
		if o.Label.At < 0 && p.whole {
			panic("ptx: branch to label " + o.Label.Name + ", which is not bound")
		}
		p.WriteString(o.Label.Name)
	case SinkOperand:
		p.WriteByte('_')
	case MemOperand:
		p.mem(o)
	case VectorOperand:
		p.vector(o.Elems)
	}
	if o.Pair != nil {
		p.WriteByte('|')
		p.WriteString(o.Pair.Name)
	}
}

func (p *printer) vector(elems []Operand) {
	p.WriteByte('{')
	p.list(elems)
	p.WriteByte('}')
}

func (p *printer) list(elems []Operand) {
	for i := range elems {
		if i > 0 {
			p.WriteString(", ")
		}
		p.operand(&elems[i])
	}
}

func (p *printer) mem(o *Operand) {
	p.WriteByte('[')
	switch {
	case o.Reg != nil:
		p.WriteString(o.Reg.Name)
		p.offset(o.Off)
	case o.Var != nil:
		p.WriteString(o.Var.Name)
		p.offset(o.Off)
	default:
		p.WriteString(strconv.FormatInt(o.Off, 10))
	}
	if o.Elems != nil {
		p.WriteString(", ")
		p.vector(o.Elems)
	}
	p.WriteByte(']')
}

func (p *printer) offset(off int64) {
	if off != 0 {
		p.WriteByte('+')
		p.WriteString(strconv.FormatInt(off, 10))
	}
}

// formatInt writes small constants in decimal, bit patterns in hexadecimal.
func formatInt(v int64) string {
	if v > 0xffff && v&(v-1) != 0 && v%10 != 0 {
		return "0x" + strconv.FormatInt(v, 16)
	}
	return strconv.FormatInt(v, 10)
}

// regGroup is the registers of one type whose names differ in their number.
type regGroup struct {
	regPrefix
	names []string
	count int // the highest number and one
}

type regPrefix struct {
	typ    Type
	prefix string // "" for names without a number
}

// registers declares the entry's registers: by range (%f<12>) where their
// names have that form and nothing else has such a name, else one by one.
func (p *printer) registers(m *Module, e *Entry) {
	var groups []*regGroup
	byPrefix := map[regPrefix]*regGroup{}
	taken := takenPrefixes(m, e)
	for _, r := range e.Regs {
		prefix, number := splitNumber(r.Name)
		key := regPrefix{r.Type, prefix}
		g := byPrefix[key]
		if g == nil {
			g = &regGroup{regPrefix: key}
			byPrefix[key] = g
			groups = append(groups, g)
			taken[prefix]++
		}
		g.names = append(g.names, r.Name)
		g.count = max(g.count, number+1)
	}
	sort.Slice(groups, func(i, j int) bool {
		a, b := groups[i], groups[j]
		return a.typ < b.typ || a.typ == b.typ && a.prefix < b.prefix
	})
	for _, g := range groups {
		if g.prefix != "" && taken[g.prefix] == 1 && g.count <= 2*len(g.names)+32 {
			p.f("\t.reg .%s %s<%d>;\n", g.typ, g.prefix, g.count)
		} else {
			p.registerList(g)
		}
	}
}

// registerList declares registers by name, a few to a line.
func (p *printer) registerList(g *regGroup) {
	const perLine = 16
	for names := g.names; len(names) > 0; {
		n := min(len(names), perLine)
		p.f("\t.reg .%s %s;\n", g.typ, strings.Join(names[:n], ", "))
		names = names[n:]
	}
}

// takenPrefixes counts the names of everything but registers by what precedes
// their number: a range of registers with that prefix could take such a name.
func takenPrefixes(m *Module, e *Entry) map[string]int {
	taken := map[string]int{}
	add := func(name string) {
		if prefix, _ := splitNumber(name); prefix != "" {
			taken[prefix]++
		}
	}
	for _, vars := range [][]*Var{m.Vars, e.Params, e.Vars} {
		for _, v := range vars {
			add(v.Name)
		}
	}
	for _, l := range e.Labels {
		add(l.Name)
	}
	for _, e := range m.Entries {
		add(e.Name)
	}
	return taken
}

// splitNumber takes "%f12" apart; prefix is "" where the name has no number
// or does not start with "%".
func splitNumber(name string) (prefix string, number int) {
	i := len(name)
	for i > 0 && name[i-1] >= '0' && name[i-1] <= '9' {
		i--
	}
	for i < len(name)-1 && name[i] == '0' { // no leading zeros in a number
		i++
	}
	number, err := strconv.Atoi(name[i:])
	if err != nil || i < 2 || name[0] != '%' || number >= maxRegs {
		return "", 0
	}
	return name[:i], number
}
