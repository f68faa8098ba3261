package kernels

import "fmt"

// Softmax appends exp(x − m) / Σ exp(x − m) along an axis to the plan, where m is
// the axis' maximum and the sum follows the order of a reduction (reduce.go).
// Operand 0 is out, operand 1 in, of the same shape, in any layouts; they may be
// the same memory through the same layout. It is defined for floating-point
// types; float16 and bfloat16 are float32 inside and rounded once.
//
// A row (the elements along the axis) with a NaN or +Inf, or of −Inf only, has
// NaNs where the formula gives them. Rows of up to longestRow elements, and
// where there are clusters longestClusterRow, are read once, in one launch, if they
// lie along memory; others take several launches, which give the same bits in float32
// and float64. (Of float16 and bfloat16 only rows of up to longestRow elements have
// code of their own, by length alone: the bits are every device's.)
func Softmax(p *Plan, t Type, out, in Layout, axis int) error {
	return softmax(p, false, t, out, in, axis)
}

// LogSoftmax is Softmax's logarithm, x − m − log Σ exp(x − m).
func LogSoftmax(p *Plan, t Type, out, in Layout, axis int) error {
	return softmax(p, true, t, out, in, axis)
}

// SoftmaxExpr is Softmax of the values of an expression, whose operand i has the
// layout in[i-1] (see [ReduceExpr]). The result is, bit for bit, that of evaluating e
// first. It takes one launch or is ErrApart.
func SoftmaxExpr(p *Plan, e *Expr, out Layout, in []Layout, axis int) error {
	return rememberedSoftmax(p, rowSoftmax, e, out, in, axis)
}

// LogSoftmaxExpr is LogSoftmax in the manner of SoftmaxExpr.
func LogSoftmaxExpr(p *Plan, e *Expr, out Layout, in []Layout, axis int) error {
	return rememberedSoftmax(p, rowLogSoftmax, e, out, in, axis)
}

func rememberedSoftmax(p *Plan, kind rowKind, e *Expr, out Layout, in []Layout, axis int) error {
	q := p.ask(planRowsOf, uint64(kind), uint64(axis))
	if q.of(e, &out, in); q.answered() {
		return nil
	}
	return q.remember(softmaxExpr(p, kind, e, out, in, axis))
}

func softmax(p *Plan, log bool, t Type, out, in Layout, axis int) error {
	kind := rowSoftmax
	if log {
		kind = rowLogSoftmax
	}
	r := newReduction(OpSum, t)
	defer r.release()
	e, ins := r.single(t, in)
	return planSoftmax(p, r, kind, e, out, ins, axis)
}

func softmaxExpr(p *Plan, kind rowKind, e *Expr, out Layout, in []Layout, axis int) error {
	r := newReduction(OpSum, Float32)
	defer r.release()
	return planSoftmax(p, r, kind, e, out, in, axis)
}

func planSoftmax(p *Plan, r *reduction, kind rowKind, e *Expr, out Layout, in []Layout, axis int) error {
	if err := checkRows(kind, e, &out, in, axis); err != nil || out.Len() == 0 {
		return err
	}
	s := newRowPlan(r, kind, e, &out, in, axis)
	across := crossMemory(e, &out, in, axis)
	switch {
	case !r.plain() && across:
		return ErrApart
	case s.n <= longestRow(s.t) && across:
		return planAcross(p, s.t, s.t, out, in[0], axis, func(work Layout, last int) error { return softmax(p, kind == rowLogSoftmax, s.t, work, work, last) })
	case s.inBlock() || s.inCluster(p) && !across:
		return s.planRows(p)
	case !r.plain():
		return ErrApart
	}
	return s.planLong(p, out, in[0], axis)
}

// checkRows says what is wrong with an operation on the rows along an axis.
func checkRows(kind rowKind, e *Expr, out *Layout, in []Layout, axis int) error {
	name := rowKinds[kind]
	if err := checkExpr(name, e, in); err != nil {
		return err
	}
	if t := valueType(e); !t.IsFloat() {
		return &UnsupportedError{name, t}
	}
	return checkAlong(name, out, in, axis)
}

// checkExpr says what is wrong with an expression that an operation takes.
func checkExpr(name string, e *Expr, in []Layout) error {
	if len(in) == 0 || len(in) > maxOperands {
		return fmt.Errorf("%s of an expression over %d operands; 1 to %d are supported", name, len(in), maxOperands)
	}
	if err := e.check(len(in)); err != nil {
		return err
	}
	if e.stores() {
		return fmt.Errorf("%s of an expression that stores other values: evaluate those first", name)
	}
	return nil
}

// checkAlong says what is wrong with the layouts of an operation along an axis.
func checkAlong(name string, out *Layout, in []Layout, axis int) error {
	for i := range in {
		if err := in[i].check("the operand"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if !in[i].sameShape(out) {
			return fmt.Errorf("%s of shape %v gives that shape, not %v", name, in[i].shape(), out.shape())
		}
	}
	if axis < 0 || axis >= out.Rank {
		return fmt.Errorf("%s along axis %d of an operand with %d axes", name, axis, out.Rank)
	}
	return nil
}

// planLong composes a softmax of long rows of reductions and elementwise
// kernels, over scratch memory.
func (s rowPlan) planLong(p *Plan, out, in Layout, axis int) error {
	c := s.t.compute()
	row := in // one element for each row
	row.Shape[axis] = 1
	row = RowMajor(row.Shape[:row.Rank]...)
	each := row // the same for each element of the row
	each.Shape[axis], each.Strides[axis] = s.n, 0
	work := RowMajor(in.Shape[:in.Rank]...)
	kept := reducedLayout(row, axis)
	most, sum, wide := p.scratch(row.Len()*c.Size()), p.scratch(row.Len()*c.Size()), p.scratch(work.Len()*c.Size())

	x, m, exps, total := operandPlace{1, 0}, operandPlace{ScratchOperand, most}, operandPlace{ScratchOperand, wide}, operandPlace{ScratchOperand, sum}
	return p.steps(
		step{[]operandPlace{m, x}, func() error { return ReduceAs(p, OpMax, s.t, s.t, kept, in, 1<<axis) }},
		step{[]operandPlace{exps, x, m}, func() error { return Elementwise(p, s.shifted(OpExp), work, []Layout{in, each}) }},
		step{[]operandPlace{total, exps}, func() error { return Reduce(p, OpSum, c, kept, work, 1<<axis) }},
		step{[]operandPlace{{0, 0}, x, m, exps, total}, func() error { return Elementwise(p, s.finished(), out, []Layout{in, each, work, each}) }})
}

// reducedLayout drops an axis.
func reducedLayout(l Layout, axis int) Layout {
	n := newNest([]Layout{l})
	n.remove(axis)
	return Layout{Rank: n.rank, Shape: n.shape, Strides: n.strides[0], Offset: l.Offset}
}

// shifted is op(x − m) over operands x (type t) and m (type t), in the type that
// is computed in.
func (s *rowPlan) shifted(op Op) *Expr {
	e, c := &Expr{}, s.t.compute()
	e.apply(op, c, e.apply(OpSub, c, e.load(1, s.t, c), e.load(2, s.t, c)))
	return e
}

// finished is the last step, over operands x, m, exp(x − m) and the sum.
func (s *rowPlan) finished() *Expr {
	e, c := &Expr{}, s.t.compute()
	switch {
	case s.kind == rowLogSoftmax:
		d := e.apply(OpSub, c, e.load(1, s.t, c), e.load(2, s.t, c))
		e.apply(OpSub, c, d, e.apply(OpLog, c, e.load(4, c, c)))
	case s.t.Size() < 4:
		e.apply(OpMul, c, e.load(3, c, c), e.apply(OpReciprocal, c, e.load(4, c, c)))
	default:
		e.apply(OpDiv, c, e.load(3, c, c), e.load(4, c, c))
	}
	e.cast(s.t)
	return e
}

// An operandPlace is an operand, and bytes from its start.
type operandPlace struct{ operand, bytes int }

// moveOperands renumbers the operands of the launches from at on: operand k
// becomes places[k]. Scratch and ticket memory stay.
func (p *Plan) moveOperands(at int, places []operandPlace) {
	for i := at; i < len(p.Launches); i++ {
		args := p.Launches[i].Args
		for j := range args {
			if a := &args[j]; a.Pointer && a.Operand >= 0 {
				to := places[a.Operand]
				a.Operand, a.Bits = to.operand, a.Bits+uint64(to.bytes)
			}
		}
	}
}
