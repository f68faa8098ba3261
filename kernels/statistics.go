package kernels

import (
	"fmt"
	"math"
)

// LogSumExp appends m + log Σ exp(x − m) over the axes in the mask (bit i is
// axis i) to the plan, where m is the maximum (0 where that is not finite) and
// the sum follows the order of a reduction (reduce.go). Operand 0 is out, with
// the remaining axes, operand 1 in. It is defined for floating-point types;
// float16 and bfloat16 are float32 inside and rounded once. Of no elements it is
// −Inf.
//
// Rows of up to longestRow elements (longestClusterRow where there are clusters)
// that lie along memory take one launch and are read once.
func LogSumExp(p *Plan, t Type, out, in Layout, axes uint32) error {
	s := statistic{kind: rowLogSumExp, t: t}
	return s.plan(p, out, in, axes)
}

// Variance appends Σ (x − mean)² / (n − correction) over the axes in the mask to
// the plan; correction is 0 for a population's variance and 1 for a sample's.
// Mean and sum follow the order of a reduction (reduce.go), the mean being
// rounded to the type that is computed in: float32 for float16 and bfloat16.
// Operand 0 is out, with the remaining axes, operand 1 in. It is defined for
// floating-point types. Where n − correction is not positive, the divisor is 0.
//
// Rows that lie along memory take one launch and are read once. Those of more
// than longestRow elements are taken in pieces (row_split.go), which are combined
// pairwise, neighbours first. What lies across is read twice.
func Variance(p *Plan, t Type, correction int, out, in Layout, axes uint32) error {
	s := statistic{kind: rowVariance, t: t, correction: max(correction, 0)}
	return s.plan(p, out, in, axes)
}

// StdDev appends the square root of Variance to the plan, which is taken before the
// result is rounded to t.
func StdDev(p *Plan, t Type, correction int, out, in Layout, axes uint32) error {
	s := statistic{kind: rowVariance, t: t, correction: max(correction, 0), root: true}
	return s.plan(p, out, in, axes)
}

// LayerNorm appends (x − mean) / √(variance + eps) · weight + bias along an axis
// to the plan. Operand 0 is out, operand 1 in, of the same shape; the operands after
// it are weight and bias, of that axis alone; where one is nil, there is none. The
// variance is the mean of (x − mean)²; sums follow the order of a reduction. It is
// defined for floating-point types; float16 and bfloat16 are float32 inside and
// rounded once. Rows of up to longestRow elements (longestClusterRow where
// there are clusters) that lie along memory take one launch and are read once. Longer
// ones take several, which give the same bits. out may be in, through the same layout.
func LayerNorm(p *Plan, t Type, eps float64, out, in Layout, axis int, weight, bias *Layout) error {
	return planNorm(p, rowLayerNorm, t, eps, out, in, axis, weight, bias)
}

// RMSNorm appends x / √(mean of x² + eps) · weight along an axis to the plan, in
// the manner of LayerNorm.
func RMSNorm(p *Plan, t Type, eps float64, out, in Layout, axis int, weight *Layout) error {
	return planNorm(p, rowRMSNorm, t, eps, out, in, axis, weight, nil)
}

// A statistic is one number computed of many.
type statistic struct {
	kind       rowKind
	t          Type
	correction int
	root       bool // of the variance
}

func (s *statistic) plan(p *Plan, out, in Layout, axes uint32) error {
	if !s.t.IsFloat() {
		return &UnsupportedError{rowKinds[s.kind], s.t}
	}
	r := newReduction(OpMean, s.t)
	defer r.release()
	r.one[0] = Node{Kind: Load, Type: s.t, Operand: 1}
	r.load.Nodes, r.layouts = r.one[:], append(r.layouts, in)
	if err := r.setLayouts(&r.load, &out, r.layouts, axes); err != nil {
		return err
	}
	switch {
	case r.outputs() == 0:
		return nil
	case r.n == 0:
		x := math.NaN()
		if s.kind == rowLogSumExp {
			x = math.Inf(-1)
		}
		fill := Expr{Nodes: []Node{{Kind: Immediate, Type: s.t, Bits: constantBits(s.t, x)}}}
		return Elementwise(p, &fill, out, nil)
	}
	w := rowPlan{kind: s.kind, t: s.t, n: r.n, rows: &r.kept, correction: s.correction, root: s.root}
	if r.red.rank == 1 {
		w.inStride = r.red.strides[1][0]
	}
	switch {
	case !r.overRows():
	case r.red.rank <= 1 && (w.inBlock() || w.inCluster(p)):
		w.planRows(p)
		return nil
	case s.kind == rowVariance && r.n > longestRow(s.t) && r.outputs()*ceilDiv(r.n, splitPiece(s.t, r.n)) < 1<<31:
		if r.red.rank > 1 {
			return s.planCopied(p, r)
		}
		w.split = true
		w.planRows(p)
		return nil
	}
	return s.planSteps(p, r)
}

// walked returns the operands' layouts with their axes as r walks them: the kept
// ones, then the others.
func (r *reduction) walked() (out, in Layout) {
	in, out = Layout{Offset: r.kept.offsets[1]}, Layout{Offset: r.kept.offsets[0]}
	for i := range r.kept.rank {
		out.append(r.kept.shape[i], r.kept.strides[0][i])
		in.append(r.kept.shape[i], r.kept.strides[1][i])
	}
	for i := range r.red.rank {
		in.append(r.red.shape[i], r.red.strides[1][i])
	}
	return out, in
}

// planCopied brings the elements together first: a kernel that takes rows in
// pieces wants them at equal distances.
func (s statistic) planCopied(p *Plan, r *reduction) error {
	out, in := r.walked()
	work := RowMajor(in.Shape[:in.Rank]...)
	axes := uint32(1)<<in.Rank - uint32(1)<<out.Rank
	from := operandPlace{ScratchOperand, p.scratch(work.Len() * s.t.Size())}
	return p.steps(
		step{[]operandPlace{from, {1, 0}}, func() error { return Copy(p, s.t, work, in) }},
		step{[]operandPlace{{0, 0}, from}, func() error { return s.plan(p, out, work, axes) }})
}

// planSteps takes several launches. The axes are walked as the first of them
// does, so that all have one order.
func (s statistic) planSteps(p *Plan, r *reduction) error {
	c := s.t.compute()
	out, in := r.walked()
	kept := RowMajor(out.Shape[:out.Rank]...)
	each := kept
	for i := range r.red.rank {
		each.append(r.red.shape[i], 0)
	}
	axes := uint32(1)<<in.Rank - uint32(1)<<out.Rank
	center := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	x := operandPlace{1, 0}
	if s.kind == rowVariance {
		squares := &Expr{}
		squares.apply(OpSquare, c, squares.apply(OpSub, c, squares.load(1, s.t, c), squares.load(2, c, c)))
		mean := func(u Type, to *Layout) func() error {
			return func() error {
				m := newReduction(OpMean, u)
				defer m.release()
				m.correction = min(s.correction, r.n)
				return m.planExpr(p, squares, to, []Layout{in, each}, axes)
			}
		}
		first := step{[]operandPlace{center, x}, func() error { return ReduceAs(p, OpMean, s.t, c, kept, in, axes) }}
		if !s.root {
			return p.steps(first, step{[]operandPlace{{0, 0}, x, center}, mean(s.t, &out)})
		}
		root := &Expr{}
		root.apply(OpSqrt, c, root.load(1, c, c))
		root.cast(s.t)
		variance := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
		return p.steps(first, step{[]operandPlace{variance, x, center}, mean(c, &kept)},
			step{[]operandPlace{{0, 0}, variance}, func() error { return Elementwise(p, root, out, []Layout{kept}) }})
	}
	sum := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	finite := func(e *Expr, m int) int {
		return e.apply(OpWhere, c, e.apply(OpIsFinite, Bool, m), m, e.constant(c, 0))
	}
	exps, result := &Expr{}, &Expr{}
	shifted := exps.apply(OpSub, c, exps.load(1, s.t, c), finite(exps, exps.load(2, s.t, c)))
	exps.apply(OpExp, c, shifted)
	log := result.apply(OpLog, c, result.load(1, c, c))
	result.apply(OpAdd, c, log, finite(result, result.load(2, s.t, c)))
	result.cast(s.t)
	return p.steps(
		step{[]operandPlace{center, x}, func() error { return ReduceAs(p, OpMax, s.t, s.t, kept, in, axes) }},
		step{[]operandPlace{sum, x, center}, func() error { return ReduceExpr(p, OpSum, exps, c, kept, []Layout{in, each}, axes) }},
		step{[]operandPlace{{0, 0}, sum, center}, func() error { return Elementwise(p, result, out, []Layout{kept, kept}) }})
}

// A step is one of several operations that make up one; places say what its
// operands are.
type step struct {
	places []operandPlace
	plan   func() error
}

// steps plans them one after the other, or none of them.
func (p *Plan) steps(steps ...step) error {
	before := *p
	for _, s := range steps {
		at := len(p.Launches)
		if err := s.plan(); err != nil {
			p.Launches, p.Scratch, p.Tickets = before.Launches, before.Scratch, before.Tickets
			return err
		}
		p.moveOperands(at, s.places)
	}
	return nil
}

func planNorm(p *Plan, kind rowKind, t Type, eps float64, out, in Layout, axis int, weight, bias *Layout) error {
	name := rowKinds[kind]
	if !t.IsFloat() {
		return &UnsupportedError{name, t}
	}
	if err := in.check("the operand"); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if !in.sameShape(&out) {
		return fmt.Errorf("%s of shape %v gives that shape, not %v", name, in.shape(), out.shape())
	}
	if axis < 0 || axis >= in.Rank {
		return fmt.Errorf("%s along axis %d of an operand with %d axes", name, axis, in.Rank)
	}
	for _, l := range []*Layout{weight, bias} {
		if l == nil {
			continue
		}
		if err := l.check("the weight or bias"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if l.Rank != 1 || l.Shape[0] != in.Shape[axis] {
			return fmt.Errorf("%s along axis %d of shape %v takes weight and bias of shape [%d], not %v", name, axis, in.shape(), in.Shape[axis], l.shape())
		}
	}
	if in.Len() == 0 {
		return nil
	}
	if in.Shape[axis] <= longestRow(t) && acrossMemory(t, &out, &in, axis) {
		return planAcross(p, t, t, out, in, axis, func(work Layout, last int) error {
			return planNorm(p, kind, t, eps, work, work, last, weight, bias)
		})
	}
	out.toLast(axis)
	in.toLast(axis)
	axis = in.Rank - 1
	rows := newNest([]Layout{out, in})
	defer rows.release()
	s := rowPlan{kind: kind, t: t, n: in.Shape[axis], outStride: out.Strides[axis], inStride: in.Strides[axis], rows: rows,
		scales: [2]*Layout{weight, bias}, eps: eps}
	rows.remove(axis)
	rows.sortByOutput()
	rows.coalesce()
	if s.inBlock() || s.inCluster(p) && !acrossMemory(t, &out, &in, axis) {
		s.planRows(p)
		return nil
	}
	return s.planLongNorm(p, out, in)
}

// planLongNorm reads rows that registers do not hold three times.
func (s rowPlan) planLongNorm(p *Plan, out, in Layout) error {
	c, axis := s.t.compute(), in.Rank-1
	kept := RowMajor(in.Shape[:axis]...)
	each := kept
	each.append(s.n, 0)
	x := operandPlace{1, 0}
	mean := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	variance := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	center := func(e *Expr) int {
		at := e.load(1, s.t, c)
		if s.kind == rowLayerNorm {
			at = e.apply(OpSub, c, at, e.load(2, c, c))
		}
		return at
	}
	squares, result := &Expr{}, &Expr{}
	squares.apply(OpSquare, c, center(squares))
	y := center(result)
	root := result.apply(OpRsqrt, c, result.apply(OpAdd, c, result.load(3, c, c), result.constant(c, s.eps)))
	y = result.apply(OpMul, c, y, root)
	layouts := []Layout{in, each, each}
	places := []operandPlace{{0, 0}, x, mean, variance}
	for i, l := range s.scales {
		if l == nil {
			continue
		}
		row := in
		row.Strides, row.Offset = [MaxRank]int{}, l.Offset
		row.Strides[axis] = l.Strides[0]
		layouts, places = append(layouts, row), append(places, operandPlace{len(layouts) - 1, 0})
		y = result.apply([]Op{OpMul, OpAdd}[i], c, y, result.load(len(layouts), s.t, c))
	}
	result.cast(s.t)
	steps := []step{
		{[]operandPlace{variance, x, mean}, func() error {
			return ReduceExpr(p, OpMean, squares, c, kept, []Layout{in, each}, 1<<axis)
		}},
		{places, func() error { return Elementwise(p, result, out, layouts) }},
	}
	if s.kind == rowLayerNorm {
		first := step{[]operandPlace{mean, x}, func() error { return ReduceAs(p, OpMean, s.t, c, kept, in, 1<<axis) }}
		steps = append([]step{first}, steps...)
	}
	return p.steps(steps...)
}
