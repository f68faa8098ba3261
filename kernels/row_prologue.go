package kernels

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Operations on rows (softmax, norms, statistics, scans) compute an expression as
// they read it, as reductions do. Operands are contiguous along the row, strided, or
// scalar, which here is one element for the whole row; the linear index counts on.

// ErrApart says that an operation on an expression is better planned on its values,
// evaluated before: it would read them again and again, or not as they lie, or
// registers would run out.
var ErrApart = errors.New("kernels: the expression is better evaluated first")

// maxRowWork is how many instructions an expression may take for what a thread
// holds of a row, beyond which kernels are slow to assemble and registers run out.
const maxRowWork = 8192

// tooHeavy says whether the expression is more than a kernel takes whose threads
// hold n elements each. Elements of 8 bytes take two registers, and functions of them
// twice the instructions and constants.
func (r *reduction) tooHeavy(n int) bool {
	words := registersOf(r.in())
	return !r.plain() && r.weight()*n*words*words > maxRowWork
}

// step is the distance of operand k's elements along the row; out's is not known
// here.
func (r *reduction) step(k int) int {
	if r.red.rank == 0 {
		return 0
	}
	return r.red.strides[k][0]
}

// walkForms chooses how the operands are read along a row of one axis at most, in
// runs of the length given, and returns the bytes of an access to values of the
// expression's type.
func (r *reduction) walkForms(run int) int {
	size := r.in().Size()
	if r.plain() {
		r.forms[1] = contiguous
		return r.kept.access(1, r.step(1), size)
	}
	vector := 0
	for k := 1; k < len(r.forms); k++ {
		switch step := r.step(k); {
		case r.types[k] == Invalid:
			r.forms[k] = noForm
		case k == r.index():
			r.forms[k] = contiguous
		case step == 0:
			r.forms[k] = scalar
		case step == 1:
			n := min(r.kept.access(k, step, r.sizes[k])/r.sizes[k], run)
			if r.forms[k] = contiguous; vector == 0 || n < vector {
				vector = n
			}
		default:
			r.forms[k] = strided
		}
	}
	return max(vector, 1) * size
}

// crossMemory says whether an operand lies across memory along the axis, where that
// matters.
func crossMemory(e *Expr, out *Layout, in []Layout, axis int) bool {
	for i := range e.Nodes {
		if n := &e.Nodes[i]; n.Kind == Load && acrossMemory(n.Type, out, &in[n.Operand-1], axis) {
			return true
		}
	}
	return false
}

// A walk reads an expression along a row in a kernel.
type walk struct {
	*prologue
	steps []*ptx.Var // by operand: bytes from element to element
	elems int        // neighbours that are read at once of what is contiguous
}

// newWalk reads values of the type in accesses of as many elements as fit in the
// bytes given.
func newWalk(b *ptx.Builder, s source, access int) *walk {
	return &walk{newPrologue(b, s), make([]*ptx.Var, len(s.forms)), access / s.result().Size()}
}

// declareSteps adds the parameters.
func (w *walk) declareSteps() {
	for _, k := range w.again() {
		w.steps[k] = w.b.Param("step_"+w.name(k), ptx.U64)
	}
}

// rowSteps adds the arguments of walk.declareSteps.
func (r *reduction) rowSteps(l *Launch) {
	for k := 1; k < len(r.forms); k++ {
		if f := r.forms[k]; f == contiguous || f == strided {
			l.value64(uint64(r.step(k) * r.sizes[k]))
		}
	}
}

// begin takes the operands' addresses at the row's start, and returns those, by
// operand, of what is read along it.
func (w *walk) begin(bases []*ptx.Reg) []*ptx.Reg {
	at := map[int]*ptx.Reg{}
	along := make([]*ptx.Reg, len(w.forms))
	for i, k := range w.all() {
		at[k] = bases[i]
		if w.forms[k] != scalar {
			along[k] = bases[i]
		}
	}
	w.prepare(at)
	return along
}

// from returns the addresses of element i, given as U64.
func (w *walk) from(bases []*ptx.Reg, i *ptx.Reg) []*ptx.Reg {
	at := make([]*ptx.Reg, len(bases))
	for _, k := range w.again() {
		at[k] = w.b.Op("mad.lo.u64", i, w.b.Ld(w.steps[k]), bases[k])
	}
	return at
}

// A stretch is a run of neighbouring elements: the values of the expression's nodes
// for each of them, and where they are, by operand. Where only some of them exist,
// exist says of each whether it does.
type stretch struct {
	values [][]*ptx.Reg
	raw    [][]*ptx.Reg // by operand
	at     []*ptx.Reg
	far    []int64 // bytes behind at
	exist  []*ptx.Reg
}

// stretch returns the one that begins 'behind' elements behind the addresses.
func (w *walk) stretch(at []*ptx.Reg, behind, run int) *stretch {
	s := &stretch{values: w.values(run), raw: make([][]*ptx.Reg, len(at)), at: make([]*ptx.Reg, len(at)), far: make([]int64, len(at))}
	for _, k := range w.again() {
		s.at[k] = at[k]
		switch {
		case behind == 0:
		case w.forms[k] == contiguous && k != w.index():
			s.far[k] = int64(behind * w.operand(k).Size())
		default:
			s.at[k] = w.b.Op("mad.lo.u64", w.b.Ld(w.steps[k]), behind, at[k])
		}
		if k == w.index() {
			w.prologue.load(s.values, k, s.at[k], 0, w.b.Ld(w.steps[k]))
			continue
		}
		s.raw[k] = w.b.Regs(w.operand(k).reg(), run)
		for j, r := range s.raw[k] {
			w.set(s.values[j], k, r)
		}
	}
	return s
}

// load reads a stretch that exists as a whole.
func (w *walk) load(s *stretch) {
	for k, raw := range s.raw {
		if raw == nil {
			continue
		}
		t := w.operand(k)
		if w.forms[k] == contiguous {
			piece := min(w.elems, len(raw))
			for j := 0; j < len(raw); j += piece {
				loadVectorAs(w.b, w.vectors(len(raw)*t.Size(), piece*t.Size()), t, raw[j:j+piece], w.b.At(s.at[k], s.far[k]+int64(j*t.Size())))
			}
			continue
		}
		w.each(s, k, func(j int, at ptx.Operand) { loadElement(w.b, t, raw[j], at, nil) })
	}
}

// loadSome reads those elements of a stretch that exist; others are zero.
func (w *walk) loadSome(s *stretch) {
	for k, raw := range s.raw {
		if raw != nil {
			w.each(s, k, func(j int, at ptx.Operand) { loadElement(w.b, w.operand(k), raw[j], at, s.exist[j]) })
		}
	}
}

// each calls f with the address of each element of operand k.
func (w *walk) each(s *stretch, k int, f func(j int, at ptx.Operand)) {
	at, far := s.at[k], s.far[k]
	for j := range s.raw[k] {
		if j > 0 && w.forms[k] == strided {
			at = w.b.Op("add.u64", at, w.b.Ld(w.steps[k]))
		} else if j > 0 {
			far += int64(w.operand(k).Size())
		}
		f(j, w.b.At(at, far))
	}
}

// existing sets which elements exist: those that are before the end, of which i is
// the first.
func (w *walk) existing(s *stretch, i, end *ptx.Reg) {
	for j := range s.values {
		s.exist = append(s.exist, w.b.Op("setp.lt.u32", addConst(w.b, i, j), end))
	}
}

// A rowPiece is what a thread reads of a row: runs that begin at starts (U32), a
// fixed number of elements apart, as far as they are before the end.
type rowPiece struct {
	starts     []*ptx.Reg
	run, apart int
	end        *ptx.Reg
	whole      *ptx.Reg // whether all of what the block reads is; nil: it is
	at         []*ptx.Reg
}

// elements returns the elements of a piece, converted by a function to values of
// type t, and none where there are none. Loads of a group of runs come before their
// first use; what registers do not hold is no part of a group.
func (w *walk) elements(p rowPiece, t Type, none any, convert func(x *ptx.Reg) *ptx.Reg) [][]*ptx.Reg {
	b := w.b
	xs := make([][]*ptx.Reg, len(p.starts))
	group := w.together(&p, t)
	for first := 0; first < len(xs); first += group {
		group := min(group, len(xs)-first)
		ss := w.group(&p, first, group)
		for i, s := range ss {
			for _, values := range s.values {
				x := b.Reg(t.reg())
				b.Do("mov."+t.suffix(), x, convert(w.value(values)))
				xs[first+i] = append(xs[first+i], x)
			}
		}
		if p.whole == nil {
			continue
		}
		full := b.NewLabel("full")
		b.BraUniIf(p.whole, full)
		for i := range ss {
			for j, x := range xs[first+i] {
				exists := b.Op("setp.lt.u32", addConst(b, p.starts[first+i], j), p.end)
				b.Do("selp."+t.suffix(), x, x, none, exists)
			}
		}
		b.Bind(full)
	}
	return xs
}

// group loads runs of a piece. Where blocks are large, what unpacks elements waits
// for them: not behind a branch for each run, where all of them exist.
func (w *walk) group(p *rowPiece, first, n int) []*stretch {
	b := w.b
	ss := make([]*stretch, n)
	for i := range ss {
		ss[i] = w.stretch(p.at, (first+i)*p.apart, p.run)
	}
	if p.whole == nil {
		for _, s := range ss {
			w.load(s)
		}
		return ss
	}
	whole, done := b.NewLabel("whole"), b.NewLabel("loaded")
	straight := len(p.starts) > 1
	if straight {
		b.BraUniIf(p.whole, whole)
	}
	for i, s := range ss {
		cut, next := b.NewLabel("cut"), b.NewLabel("next")
		start := p.starts[first+i]
		b.BraIf(b.Op("setp.gt.u32", b.Op("add.u32", start, p.run), p.end), cut)
		w.load(s)
		b.Bra(next)
		b.Bind(cut)
		w.existing(s, start, p.end)
		w.loadSome(s)
		b.Bind(next)
	}
	if straight {
		b.BraUni(done)
		b.Bind(whole)
		for _, s := range ss {
			w.load(s)
		}
		b.Bind(done)
	}
	return ss
}

// together is how many runs are loaded before the first of them is used: their
// operands take registers besides those that hold the values, which are of type t.
func (w *walk) together(p *rowPiece, t Type) int {
	words := func(t Type) int { return p.run * registersOf(t) }
	more := -words(t)
	for _, k := range w.again() {
		if k != w.index() {
			more += words(w.operand(k))
		}
	}
	spare := 16 // registers
	switch {
	case p.whole == nil: // of a loop
		spare = 8
	case w.result().Size() < 4: // blocks are smaller
		spare = 32
	}
	if more <= 0 {
		return len(p.starts)
	}
	return max(spare/more, 1)
}
