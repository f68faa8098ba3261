package kernels

import (
	"fmt"
	"slices"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A source is the expression whose values a reduction takes, and how its
// operands are read. A plain reduction's expression is one load.
//
// The form of an operand (the index's is the last in the list) says how it runs
// along what a thread reads at once, which is neighbouring elements of a row or
// of neighbouring columns:
//
//	contiguous  neighbours in memory, read in vectors (columns: anything, if they are read one by one)
//	broadcast   one element for all
//	strided     each has an address of its own
//	scalar      one for all that the thread reads (columns: one for each of its columns), read once
type source struct {
	expr  *Expr
	forms []form
}

// plain says whether the expression is one load, of which a key says nothing
// more than a type.
func (s *source) plain() bool { return len(s.expr.Nodes) == 1 && s.expr.Nodes[0].Kind == Load }

// result is the type of the expression's values.
func (s *source) result() Type { return s.expr.Nodes[s.expr.value()].Type }

// index is the place of the linear index among the operands.
func (s *source) index() int { return len(s.forms) - 1 }

// operand returns the type of operand k's elements.
func (s *source) operand(k int) Type {
	if k == s.index() {
		return Int64
	}
	for i := range s.expr.Nodes {
		if n := &s.expr.Nodes[i]; (n.Kind == Load || n.Kind == Store) && n.Operand == k {
			return n.Type
		}
	}
	return Invalid
}

// loads returns how many operands are read from memory again and again.
func (s *source) loads() int {
	count := 0
	for _, f := range s.forms[1:s.index()] {
		if f != noForm && f != scalar {
			count++
		}
	}
	return count
}

// weight is about how many instructions the expression takes.
func (s *source) weight() int {
	w := 0
	for i := range s.expr.Nodes {
		n := &s.expr.Nodes[i]
		switch {
		case n.Kind != Apply:
		case n.Op == OpPow:
			w += 200
		case n.Op >= OpExp && n.Op <= OpCos:
			w += 40
		case n.Op == OpDiv || n.Op == OpFloorDivide || n.Op == OpRemainder || n.Op == OpReciprocal || n.Op == OpSqrt || n.Op == OpRsqrt:
			w += 10
		default:
			w++
		}
	}
	return w
}

// source completes a key with the expression, unless that is one load.
func (w *keyWriter) source(s *source) *keyWriter {
	if !s.plain() {
		w.n = s.expr.appendKey(append(w.n, " of"...), s.forms, s.forms[s.index()])
	}
	return w
}

// source reads the rest of a key: an expression, or one load of type t in the
// form that is given.
func (r *keyReader) source(t Type, one form) source {
	if !r.flag("of") {
		return source{&Expr{[]Node{{Kind: Load, Type: t, Operand: 1}}}, []form{noForm, one, noForm}}
	}
	e, forms, index, err := parseExpr(r.words)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("kernel key %q: %w", r.key, err)
	}
	r.words = nil
	if err == nil && (e.stores() || slices.Contains(forms, accumulated)) {
		r.fail("an expression of what is read")
	}
	s := source{e, append(forms, index)}
	if r.err == nil && s.result() != t {
		r.fail("an expression of type " + t.String())
	}
	return s
}

// sourceName names a kernel by the words of its key before the expression.
func sourceName(key string) (name string, unique bool) {
	head, _, prologue := strings.Cut(key, " of ")
	return strings.ReplaceAll(head, " ", "_"), !prologue
}

// A prologue is a source in a kernel: it loads what the expression needs and
// computes its values.
type prologue struct {
	source
	b         *ptx.Builder
	pointers  []*ptx.Var // by operand; the index's is its value at the first element
	constants []*ptx.Var // immediates, by node
	uniform   []bool     // by node: the same for all elements of a thread
	shared    []*ptx.Reg // by node: values of those
	once      bool       // the kernel reads no element twice
}

func newPrologue(b *ptx.Builder, s source) *prologue {
	return &prologue{source: s, b: b, pointers: make([]*ptx.Var, len(s.forms)), constants: make([]*ptx.Var, len(s.expr.Nodes))}
}

// operands returns the operands that have one of the forms.
func (p *prologue) operands(forms ...form) []int {
	var ks []int
	for k, f := range p.forms[1:] {
		for _, g := range forms {
			if f == g {
				ks = append(ks, k+1)
			}
		}
	}
	return ks
}

// name is what an operand is called in parameters.
func (p *prologue) name(k int) string {
	switch {
	case p.plain():
		return "in"
	case k == p.index():
		return "index"
	}
	return fmt.Sprintf("in%d", k)
}

func (p *prologue) names(ks []int) []string {
	var names []string
	for _, k := range ks {
		names = append(names, p.name(k))
	}
	return names
}

// declarePointers and declareConstants add the parameters.
func (p *prologue) declarePointers() {
	for _, k := range p.all() {
		p.pointers[k] = p.b.Param(p.name(k), ptx.U64)
	}
}

func (p *prologue) declareConstants() {
	for i, n := range p.expr.Nodes {
		if n.Kind == Immediate {
			p.constants[i] = p.b.Param(fmt.Sprintf("c%d", i), immediateParam(n.Type))
		}
	}
}

// all returns every operand, again those that are read more than once a thread.
func (p *prologue) all() []int   { return p.operands(contiguous, broadcast, strided, scalar) }
func (p *prologue) again() []int { return p.operands(contiguous, broadcast, strided) }

// bases returns the pointers.
func (p *prologue) bases() []*ptx.Reg {
	var rs []*ptx.Reg
	for _, k := range p.all() {
		rs = append(rs, p.b.Ld(p.pointers[k]))
	}
	return rs
}

// pickAxes returns the axes with the strides of operands ks alone; they have
// those of operands from.
func pickAxes(axes []axisParam, from, ks []int) []axisParam {
	var picked []axisParam
	for _, a := range axes {
		strides := a.strides
		a.strides = nil
		for i, k := range from {
			for _, l := range ks {
				if k == l {
					a.strides = append(a.strides, strides[i])
				}
			}
		}
		picked = append(picked, a)
	}
	return picked
}

// prepare computes what is the same for all elements: scalar operands are at
// the addresses given.
func (p *prologue) prepare(at map[int]*ptx.Reg) {
	nodes := p.expr.Nodes
	p.uniform, p.shared = p.expr.uniform(p.forms), make([]*ptx.Reg, len(nodes))
	for i, n := range nodes {
		if n.Kind == Immediate {
			p.shared[i] = fromImmediate(p.b, n.Type, p.b.Ld(p.constants[i]))
		}
	}
	for _, k := range p.operands(scalar) {
		p.set(p.shared, k, loadOne(p.b, p.operand(k), at[k]))
	}
	p.expr.emit(p.b, p.shared, func(i int) bool { return p.uniform[i] })
}

// values returns the values of the nodes, as far as they are known, for each of
// n elements.
func (p *prologue) values(n int) [][]*ptx.Reg {
	vs := make([][]*ptx.Reg, n)
	for i := range vs {
		vs[i] = append([]*ptx.Reg(nil), p.shared...)
	}
	return vs
}

// set sets the nodes that are loads of operand k.
func (p *prologue) set(values []*ptx.Reg, k int, r *ptx.Reg) {
	for i, n := range p.expr.Nodes {
		if n.Kind == Load && n.Operand == k || n.Kind == Index && k == p.index() {
			values[i] = r
		}
	}
}

// load reads operand k of neighbouring elements, in its form, vectors being of
// the size given; step is the distance of their indices.
func (p *prologue) load(run [][]*ptx.Reg, k int, at *ptx.Reg, access int, step any) {
	switch {
	case k == p.index():
		r := p.b.Op("add.s64", at, 0)
		for s := range run {
			if s > 0 && p.forms[k] == contiguous {
				r = p.b.Op("add.s64", r, step)
			}
			p.set(run[s], k, r)
		}
	case p.forms[k] == contiguous:
		t := p.operand(k)
		for s, r := range loadRunAs(p.b, p.vectors(len(run)*t.Size(), access), t, len(run), at, 0, access) {
			p.set(run[s], k, r)
		}
	default:
		r := loadOne(p.b, p.operand(k), at)
		for s := range run {
			p.set(run[s], k, r)
		}
	}
}

// vectors is how a thread loads neighbours that have so many bytes, in accesses of
// the size given.
func (p *prologue) vectors(bytes, access int) string {
	if p.once && access >= bytes {
		return streamed
	}
	return cached
}

// value computes the expression's value for an element.
func (p *prologue) value(values []*ptx.Reg) *ptx.Reg {
	p.expr.emit(p.b, values, func(i int) bool { return !p.uniform[i] })
	return values[p.expr.value()]
}
