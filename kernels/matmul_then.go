package kernels

import (
	"fmt"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// The epilogue of a product is an expression that its kernel computes of each
// element before it is stored, while it is in a register: bias, activation, scale,
// residual. Its operand 1 is the element, as the product alone would give it: 16-bit
// types are rounded there. The others are read, and Store nodes written, where the
// element lies: neighbours along n at once where memory allows, in the forms of a
// source.
//
// Nothing here depends on how the element was computed. A kernel declares the
// parameters, prepares what is the same for all elements, moves on from row to row,
// and hands over runs of neighbouring accumulators.

// accumulated is the form of operand 1.
const accumulated form = 'a'

const (
	maxThenOperands = 12   // read or stored
	maxThenWork     = 8192 // thenWork from which registers run out
)

// MatMulThen is MatMul followed by an elementwise expression, in one kernel where
// there can be one: operand 1 of e is the product, of type t, which appears nowhere
// else; operand i ≥ 2 of e is operand i + 1 of the plan, with the layout in[i-2],
// broadcast to out's shape. An operand that is loaded may be out itself, through the
// same layout. The result is, bit for bit, that of Elementwise over MatMul.
func MatMulThen(p *Plan, t Type, e *Expr, out, a, b Layout, in []Layout) error {
	q := p.ask(planProductThen, uint64(t))
	q.expr(e)
	q.layout(&out)
	q.layout(&a)
	q.layout(&b)
	q.layouts(in)
	if q.answered() {
		return nil
	}
	return q.remember(planMatMulThen(p, t, e, out, a, b, in))
}

func planMatMulThen(p *Plan, t Type, e *Expr, out, a, b Layout, in []Layout) error {
	if err := checkThen(t, e, &out, in); err != nil {
		return err
	}
	if len(in) > maxThenOperands || slices.ContainsFunc(e.Nodes, func(n Node) bool { return n.Kind == Index }) {
		return productApart(p, t, e, out, a, b, in)
	}
	var g product
	if err := g.setLayouts(t, out, a, b); err != nil || out.Len() == 0 {
		return err
	}
	if g.k == 0 {
		return productApart(p, t, e, out, a, b, in)
	}
	g.then, g.in = e, in
	g.batch = newNest(g.layouts[:3+g.batchLayouts()])
	defer g.batch.release()
	g.batch.coalesce()
	if g.segment() < g.k && out.Rank < MaxRank || g.thenWork() > maxThenWork {
		return productApart(p, t, e, out, a, b, in)
	}
	return g.plan(p)
}

// thenWork weighs an epilogue: its instructions times the elements that a thread
// holds. Elements of 8 bytes take two registers, and functions of them twice the
// instructions and constants.
func (g *product) thenWork() int {
	words := g.t.compute().reg().Size() / 4
	return (&source{expr: g.then}).weight() * g.choose().perThread() * words * words
}

func (t tile) perThread() int { return t.threadM * t.threadN }

func checkThen(t Type, e *Expr, out *Layout, in []Layout) error {
	if !t.IsFloat() && !t.IsInteger() {
		return &UnsupportedError{"matmul", t}
	}
	if err := e.check(len(in) + 1); err != nil {
		return err
	}
	for i := range in {
		if err := in[i].check("an operand"); err != nil {
			return err
		}
		if !in[i].sameShape(out) {
			return fmt.Errorf("operand %d has shape %v; the output has %v", i+2, in[i].shape(), out.shape())
		}
	}
	for i := range e.Nodes {
		switch n := &e.Nodes[i]; {
		case n.Kind != Load && n.Kind != Store:
		case n.Operand == 1 && (n.Kind == Store || n.Type != t):
			return fmt.Errorf("node %d is no load of the product, which is operand 1 and has type %v", i, t)
		case n.Kind == Store:
			if err := in[n.Operand-2].checkWritten(); err != nil {
				return err
			}
		}
	}
	return out.checkWritten()
}

// productApart plans the product to scratch memory, and then the expression.
func productApart(p *Plan, t Type, e *Expr, out, a, b Layout, in []Layout) error {
	whole := RowMajor(out.Shape[:out.Rank]...)
	before, from := *p, len(p.Launches)
	at := p.scratch(whole.Len() * t.Size())
	fail := func(err error) error {
		p.Launches, p.Scratch, p.Tickets = p.Launches[:from], before.Scratch, before.Tickets
		return err
	}
	if err := MatMul(p, t, whole, a, b); err != nil {
		return fail(err)
	}
	p.moveOperands(from, []operandPlace{{ScratchOperand, at}, {1, 0}, {2, 0}})
	next := len(p.Launches)
	if err := Elementwise(p, e, out, append([]Layout{whole}, in...)); err != nil {
		return fail(err)
	}
	places := []operandPlace{{0, 0}, {ScratchOperand, at}}
	for k := range in {
		places = append(places, operandPlace{k + 3, 0})
	}
	p.moveOperands(next, places)
	return nil
}

// batchLayouts adds the batch's axes of the epilogue's operands to the layouts of the
// product's, and returns how many there are.
func (g *product) batchLayouts() int {
	for i, l := range g.in {
		l.Rank -= 2
		if !(&source{expr: g.then}).uses(i + 2) { // must not stand in the way of merging axes
			l.Strides = [MaxRank]int{}
		}
		g.layouts[3+i] = l
	}
	return len(g.in)
}

// uses says whether operand k is read or stored.
func (s *source) uses(k int) bool { return s.operand(k) != Invalid }

// written says whether operand k is stored.
func (s *source) written(k int) bool {
	return slices.ContainsFunc(s.expr.Nodes, func(n Node) bool { return n.Kind == Store && n.Operand == k })
}

// thenSource chooses the forms of the epilogue's operands, for runs of the given
// length along n.
func (g *product) thenSource(run int) source {
	s := source{g.then, make([]form, len(g.in)+3)}
	s.forms[1] = accumulated
	for i := range g.in {
		k := i + 2
		m, n := g.thenStrides(i)
		batch := g.batch.strides[3+i][:g.batch.rank]
		switch {
		case !s.uses(k):
		case s.written(k) && !(n == 1 && g.alignedTo(run, 3+i, m)):
			s.forms[k] = strided
		case m == 0 && n == 0 && allZero(batch) && !s.written(k):
			s.forms[k] = scalar
		case n == 0 && !s.written(k):
			s.forms[k] = broadcast
		case n == 1 && g.alignedTo(run, 3+i, m):
			s.forms[k] = contiguous
		default:
			s.forms[k] = strided
		}
	}
	return s
}

// alignedTo says whether operand k of the batch can be accessed in runs along its
// rows, which are 'across' apart.
func (g *product) alignedTo(run, k, across int) bool {
	all := across | g.batch.offsets[k]
	for _, s := range g.batch.strides[k][:g.batch.rank] {
		all |= s
	}
	return all%run == 0
}

// thenStrides returns the strides of the epilogue's i-th operand along m and n, in
// elements.
func (g *product) thenStrides(i int) (m, n int) {
	l := &g.in[i]
	return l.stride(l.Rank - 2), l.stride(l.Rank - 1)
}

// thenArgs adds the parameters of thenEmitter.declare. sizes are those of all the
// batch's operands.
func (g *product) thenArgs(l *Launch, s *source, sizes []int) {
	for i := range g.in {
		if !s.uses(i + 2) {
			continue
		}
		m, n := g.thenStrides(i)
		l.pointer(i+3, g.batch.offsets[i+3]*sizes[i+3])
		l.value64(uint64(m * sizes[i+3]))
		l.value64(uint64(n * sizes[i+3]))
	}
	for i := range g.then.Nodes {
		if n := &g.then.Nodes[i]; n.Kind == Immediate {
			l.immediate(n.Type, n.Bits)
		}
	}
}

// A thenEmitter writes an epilogue.
type thenEmitter struct {
	*prologue
	t            Type // of the product
	ks           []int
	stepM, stepN []*ptx.Var // bytes, by operand
	bases, rows  []*ptx.Reg // where operands begin, and where their present row does
}

// newThen declares the parameters.
func newThen(b *ptx.Builder, t Type, s source) *thenEmitter {
	x := &thenEmitter{prologue: newPrologue(b, s), t: t}
	x.ks = x.all()
	for _, k := range x.ks {
		x.pointers[k] = b.Param(x.name(k), ptx.U64)
		x.stepM = append(x.stepM, b.Param(x.name(k)+"_m", ptx.U64))
		x.stepN = append(x.stepN, b.Param(x.name(k)+"_n", ptx.U64))
	}
	x.declareConstants()
	return x
}

// begin takes the operands' addresses in the block's place of the batch.
func (x *thenEmitter) begin(bases []*ptx.Reg) {
	x.bases, x.rows = bases, make([]*ptx.Reg, len(bases))
	at := map[int]*ptx.Reg{}
	for i, k := range x.ks {
		at[k] = bases[i]
	}
	x.prepare(at)
}

// at0 returns the operands' addresses.
func (x *thenEmitter) at0() []*ptx.Reg {
	var rs []*ptx.Reg
	for _, k := range x.ks {
		rs = append(rs, x.b.Ld(x.pointers[k]))
	}
	return rs
}

// row moves on to a row, given as U64.
func (x *thenEmitter) row(r *ptx.Reg) {
	for i := range x.ks {
		x.rows[i] = x.b.Op("mad.lo.u64", r, x.b.Ld(x.stepM[i]), x.bases[i])
	}
}

// run returns the values of neighbouring elements from column c (U64) on, given
// their accumulators, and stores what else is to be stored.
func (x *thenEmitter) run(sums []*ptx.Reg, c *ptx.Reg) []*ptx.Reg {
	run := x.values(len(sums))
	for s, sum := range sums {
		x.set(run[s], 1, emitFit(x.b, x.t, sum))
	}
	for i, k := range x.ks {
		if x.written(k) || x.forms[k] == scalar {
			continue
		}
		access := len(sums) * x.operand(k).Size()
		if x.forms[k] == strided {
			x.each(i, c, run, func(at *ptx.Reg, one [][]*ptx.Reg) { x.load(one, k, at, access, 1) })
		} else {
			x.load(run, k, x.at(i, c), min(access, accessBytes), 1)
		}
	}
	var vs []*ptx.Reg
	for s := range run {
		vs = append(vs, x.value(run[s]))
	}
	for i, k := range x.ks {
		if x.written(k) {
			x.store(i, k, c, run)
		}
	}
	return vs
}

// at is the address of operand ks[i] in column c.
func (x *thenEmitter) at(i int, c *ptx.Reg) *ptx.Reg {
	if x.forms[x.ks[i]] == broadcast {
		return x.rows[i]
	}
	return x.b.Op("mad.lo.u64", c, x.b.Ld(x.stepN[i]), x.rows[i])
}

// each calls f for each element of a run with its address.
func (x *thenEmitter) each(i int, c *ptx.Reg, run [][]*ptx.Reg, f func(at *ptx.Reg, one [][]*ptx.Reg)) {
	at := x.at(i, c)
	for s := range run {
		if s > 0 {
			at = x.b.Op("add.u64", at, x.b.Ld(x.stepN[i]))
		}
		f(at, run[s:s+1])
	}
}

// store writes operand ks[i] = k.
func (x *thenEmitter) store(i, k int, c *ptx.Reg, run [][]*ptx.Reg) {
	t, node := x.operand(k), 0
	for _, n := range x.expr.Nodes {
		if n.Kind == Store && n.Operand == k {
			node = n.Args[0]
		}
	}
	if x.forms[k] == strided {
		x.each(i, c, run, func(at *ptx.Reg, one [][]*ptx.Reg) { storeElement(x.b, t, one[0][node], x.b.At(at, 0), nil) })
		return
	}
	var vs []*ptx.Reg
	for s := range run {
		vs = append(vs, run[s][node])
	}
	storeRun(x.b, t, vs, x.at(i, c))
}

// storeRun stores neighbouring elements in pieces of at most 16 bytes, to which the
// address is aligned where there is more than one element.
func storeRun(b *ptx.Builder, t Type, vs []*ptx.Reg, at *ptx.Reg) {
	piece := min(len(vs), accessBytes/t.Size())
	for i := 0; i < len(vs); i += piece {
		storeVector(b, t, vs[i:i+piece], b.At(at, int64(i*t.Size())))
	}
}
