package kernels

import (
	"fmt"
	"math"
	"slices"
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
	s := statistic{kind: rowLogSumExp}
	return s.plan(p, t, out, in, axes)
}

// LogSumExpExpr is LogSumExp of the values of an expression, whose operand i has the
// layout in[i-1] (see [ReduceExpr]). The result is, bit for bit, that of evaluating e
// first, which takes more launches and, where this is not ErrApart, more bytes.
func LogSumExpExpr(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	s := statistic{kind: rowLogSumExp}
	return s.remembered(p, e, out, in, axes)
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
// pairwise, neighbours first. Columns take one launch and are read once too, their
// elements being combined so (reduce_moments.go); columns that are few and short, and
// several axes that do not lie along memory, are read twice.
func Variance(p *Plan, t Type, correction int, out, in Layout, axes uint32) error {
	s := statistic{kind: rowVariance, correction: max(correction, 0)}
	return s.plan(p, t, out, in, axes)
}

// StdDev appends the square root of Variance to the plan, which is taken before the
// result is rounded to t.
func StdDev(p *Plan, t Type, correction int, out, in Layout, axes uint32) error {
	s := statistic{kind: rowVariance, correction: max(correction, 0), tail: OpSqrt}
	return s.plan(p, t, out, in, axes)
}

// VarianceExpr and StdDevExpr are Variance and StdDev in the manner of LogSumExpExpr.
func VarianceExpr(p *Plan, e *Expr, correction int, out Layout, in []Layout, axes uint32) error {
	s := statistic{kind: rowVariance, correction: max(correction, 0)}
	return s.remembered(p, e, out, in, axes)
}

// StdDevExpr: see VarianceExpr.
func StdDevExpr(p *Plan, e *Expr, correction int, out Layout, in []Layout, axes uint32) error {
	s := statistic{kind: rowVariance, correction: max(correction, 0), tail: OpSqrt}
	return s.remembered(p, e, out, in, axes)
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

// LayerNormExpr is LayerNorm of the values of an expression, whose operand i has the
// layout in[i-1] (see [ReduceExpr]); weight and bias are the operands after those. The
// result is, bit for bit, that of evaluating e first. It takes one launch or is
// ErrApart.
func LayerNormExpr(p *Plan, e *Expr, eps float64, out Layout, in []Layout, axis int, weight, bias *Layout) error {
	return rememberedNorm(p, rowLayerNorm, e, eps, out, in, axis, weight, bias)
}

// RMSNormExpr is RMSNorm in the manner of LayerNormExpr.
func RMSNormExpr(p *Plan, e *Expr, eps float64, out Layout, in []Layout, axis int, weight *Layout) error {
	return rememberedNorm(p, rowRMSNorm, e, eps, out, in, axis, weight, nil)
}

// Norm appends √Σ x² over the axes in the mask to the plan, where the sum follows the
// order of a reduction of an expression. Operand 0 is out, with the remaining axes,
// operand 1 in. It is defined for floating-point types; float16 and bfloat16 are
// float32 inside and rounded once. Squares that are beyond the type give +Inf, or 0.
// It takes one launch.
func Norm(p *Plan, t Type, out, in Layout, axes uint32) error {
	return NormExpr(p, &Expr{[]Node{{Kind: Load, Type: t, Operand: 1}}}, out, []Layout{in}, axes)
}

// NormExpr is Norm of the values of an expression, whose operand i has the layout
// in[i-1] (see [ReduceExpr]).
func NormExpr(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	q := p.ask(planNormsOf, uint64(axes))
	if q.of(e, &out, in); q.answered() {
		return nil
	}
	return q.remember(planNormOfAll(p, e, out, in, axes))
}

func planNormOfAll(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	if err := checkExpr("norm", e, in); err != nil {
		return err
	}
	t := valueType(e)
	if !t.IsFloat() {
		return &UnsupportedError{"norm", t}
	}
	r := newReduction(OpSum, t)
	defer r.release()
	r.tail = OpSqrt
	squares := &r.squares
	squares.Nodes = append(squares.Nodes[:0], e.Nodes...)
	squares.apply(OpSquare, t.compute(), squares.cast(t.compute()))
	return r.planExpr(p, squares, &out, in, axes)
}

func rememberedNorm(p *Plan, kind rowKind, e *Expr, eps float64, out Layout, in []Layout, axis int, weight, bias *Layout) error {
	q := p.ask(planRowsOf, uint64(kind), uint64(axis), math.Float64bits(eps))
	q.of(e, &out, in)
	q.optional(weight)
	if q.optional(bias); q.answered() {
		return nil
	}
	return q.remember(planNormExpr(p, kind, e, eps, out, in, axis, weight, bias))
}

// A statistic is one number computed of many.
type statistic struct {
	kind       rowKind
	t          Type
	correction int
	tail       Op // of a variance
}

func (s *statistic) plan(p *Plan, t Type, out, in Layout, axes uint32) error {
	r := newReduction(OpMean, t)
	defer r.release()
	e, ins := r.single(t, in)
	return s.planOf(p, r, e, &out, ins, axes)
}

func (s *statistic) remembered(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	q := p.ask(planStatisticOf, uint64(s.kind)|uint64(s.tail)<<8|uint64(axes)<<32, uint64(s.correction))
	if q.of(e, &out, in); q.answered() {
		return nil
	}
	return q.remember(s.planExpr(p, e, out, in, axes))
}

func (s *statistic) planExpr(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	r := newReduction(OpMean, Float32)
	defer r.release()
	return s.planOf(p, r, e, &out, in, axes)
}

func (s *statistic) planOf(p *Plan, r *reduction, e *Expr, out *Layout, in []Layout, axes uint32) error {
	if err := checkExpr(rowKinds[s.kind], e, in); err != nil {
		return err
	}
	s.t = valueType(e)
	if r.out = s.t; !s.t.IsFloat() {
		return &UnsupportedError{rowKinds[s.kind], s.t}
	}
	if err := r.setLayouts(e, out, in, axes); err != nil {
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
		return Elementwise(p, &fill, *out, nil)
	}
	w := rowPlan{kind: s.kind, t: s.t, n: r.n, r: r, correction: s.correction, tail: s.tail}
	way, possible := s.way(p, &w), true
	if !r.plain() {
		way, possible = s.wayOfValues(p, r, in, axes, way)
	}
	switch {
	case !possible:
		return ErrApart
	case way == inSteps && r.plain():
		out, in := r.walked()
		return s.planSteps(p, e, out, []Layout{in}, uint32(1)<<in.Rank-uint32(1)<<out.Rank)
	case way == inSteps:
		return s.planSteps(p, e, *out, in, axes)
	case way == copied:
		return s.planCopied(p, r)
	case way == inColumns:
		return s.planColumns(p, r)
	}
	w.split = way == inPieces
	return w.planRows(p)
}

// A way is one to compute a statistic.
type way uint8

const (
	inSteps   way = iota // several launches
	inColumns            // one, in which threads walk across the columns
	inRows               // one, in which a block or a cluster holds a row
	inPieces             // one, in which blocks share a row
	copied               // inPieces, of a copy
)

// way chooses one.
func (s *statistic) way(p *Plan, w *rowPlan) way {
	r := w.r
	switch {
	case !r.overRows():
		if s.kind == rowVariance && r.enoughColumns() {
			return inColumns
		}
	case r.red.rank <= 1 && (w.inBlock() || w.inCluster(p)):
		return inRows
	case s.kind == rowVariance && r.n > longestRow(s.t) && r.outputs()*ceilDiv(r.n, splitPiece(s.t, r.n)) <= math.MaxInt32:
		if r.red.rank > 1 {
			return copied
		}
		return inPieces
	}
	return inSteps
}

// enoughColumns says whether columns are for a kernel of their own: blocks would be
// small else. Bits depend on it, so it looks at the shape alone.
func (r *reduction) enoughColumns() bool {
	columns := r.kept.shape[r.laneAxis()]
	return columns == r.outputs() || columns*min(r.n, reduceSlots) >= 512
}

// wayOfValues chooses the way for an expression's values, where the one for how its
// operands lie is given: bits are those of the way that a new array of them goes.
// What reads operands more often than that is not possible.
func (s *statistic) wayOfValues(p *Plan, r *reduction, in []Layout, axes uint32, lying way) (w way, possible bool) {
	v := newReduction(OpMean, s.t)
	defer v.release()
	e, ins := v.single(s.t, RowMajor(in[0].Shape[:in[0].Rank]...))
	out := reducedRowMajor(in[0].Shape[:in[0].Rank], axes)
	if v.setLayouts(e, &out, ins, axes) != nil {
		return lying, false
	}
	w = s.way(p, &rowPlan{kind: s.kind, t: s.t, n: v.n, r: v})
	if w != inSteps {
		return w, w == lying && w != copied
	}
	const reads = 2 // of each operand
	return w, (reads-1)*(r.bytesRead()+r.opBytes()) <= (reads+1)*v.bytesRead()
}

// bytesRead is the size of what the operands have, each place once.
func (r *reduction) bytesRead() int {
	n := 0
	for k := 1; k < r.index(); k++ {
		if r.types[k] != Invalid {
			n += r.sizes[k] * r.kept.distinct(k) * r.red.distinct(k)
		}
	}
	return n
}

// opBytes is how many bytes are read or written in the time that the expression's
// operations take.
func (r *reduction) opBytes() int {
	const opsPerByte = 5
	return r.weight() * r.n * r.outputs() / opsPerByte
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

// planColumns reads the columns once.
func (s *statistic) planColumns(p *Plan, r *reduction) error {
	r.moments, r.tail, r.correction = true, s.tail, min(s.correction, r.n)
	before := *p
	r.planColumns(p)
	if p.Launches[len(p.Launches)-1].paramBytes() > maxParamBytes {
		p.Launches, p.Scratch, p.Tickets = before.Launches, before.Scratch, before.Tickets
		return ErrApart
	}
	return nil
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
		step{[]operandPlace{{0, 0}, from}, func() error { return s.plan(p, s.t, out, work, axes) }})
}

// planSteps takes several launches, over expressions of e's value.
func (s statistic) planSteps(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
	c := s.t.compute()
	kept := RowMajor(out.Shape[:out.Rank]...)
	each, k := in[0], 0 // a result for all of its elements
	for i := range each.Rank {
		if each.Strides[i] = 0; axes>>i&1 == 0 {
			each.Strides[i] = kept.Strides[k]
			k++
		}
	}
	each.Offset = 0
	with, operand := append(slices.Clone(in), each), len(in)+1
	places := func(of ...operandPlace) (ps []operandPlace) { // of the result, the operands, and what is given
		ps = append(ps, of[0])
		for k := range in {
			ps = append(ps, operandPlace{k + 1, 0})
		}
		return append(ps, of[1:]...)
	}
	value := func() *Expr { // in the type that is computed in
		v := &Expr{slices.Clone(e.Nodes)}
		v.cast(c)
		return v
	}
	center := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	if s.kind == rowVariance {
		squares := value()
		squares.apply(OpSquare, c, squares.apply(OpSub, c, squares.value(), squares.load(operand, c, c)))
		first := step{places(center), func() error { return ReduceExpr(p, OpMean, e, c, kept, in, axes) }}
		return p.steps(first, step{places(operandPlace{0, 0}, center), func() error {
			m := newReduction(OpMean, s.t)
			defer m.release()
			m.correction, m.tail = min(s.correction, reducedLen(in, axes)), s.tail
			return m.planExpr(p, squares, &out, with, axes)
		}})
	}
	sum := operandPlace{ScratchOperand, p.scratch(kept.Len() * c.Size())}
	finite := func(e *Expr, m int) int {
		return e.apply(OpWhere, c, e.apply(OpIsFinite, Bool, m), m, e.constant(c, 0))
	}
	exps, result := value(), &Expr{}
	x := exps.value()
	exps.apply(OpExp, c, exps.apply(OpSub, c, x, finite(exps, exps.load(operand, s.t, c))))
	log := result.apply(OpLog, c, result.load(1, c, c))
	result.apply(OpAdd, c, log, finite(result, result.load(2, s.t, c)))
	result.cast(s.t)
	return p.steps(
		step{places(center), func() error { return ReduceExpr(p, OpMax, e, s.t, kept, in, axes) }},
		step{places(sum, center), func() error { return ReduceExpr(p, OpSum, exps, c, kept, with, axes) }},
		step{[]operandPlace{{0, 0}, sum, center}, func() error { return Elementwise(p, result, out, []Layout{kept, kept}) }})
}

// reducedLen is the number of elements along the axes.
func reducedLen(in []Layout, axes uint32) int {
	n := 1
	for i, d := range in[0].Shape[:in[0].Rank] {
		if axes>>i&1 != 0 {
			n *= d
		}
	}
	return n
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
	r := newReduction(OpSum, t)
	defer r.release()
	e, ins := r.single(t, in)
	return planNormOf(p, r, kind, e, eps, out, ins, axis, weight, bias)
}

func planNormExpr(p *Plan, kind rowKind, e *Expr, eps float64, out Layout, in []Layout, axis int, weight, bias *Layout) error {
	r := newReduction(OpSum, Float32)
	defer r.release()
	return planNormOf(p, r, kind, e, eps, out, in, axis, weight, bias)
}

func planNormOf(p *Plan, r *reduction, kind rowKind, e *Expr, eps float64, out Layout, in []Layout, axis int, weight, bias *Layout) error {
	name := rowKinds[kind]
	if err := checkRows(kind, e, &out, in, axis); err != nil {
		return err
	}
	for _, l := range []*Layout{weight, bias} {
		if l == nil {
			continue
		}
		if err := l.check("the weight or bias"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if l.Rank != 1 || l.Shape[0] != out.Shape[axis] {
			return fmt.Errorf("%s along axis %d of shape %v takes weight and bias of shape [%d], not %v", name, axis, out.shape(), out.Shape[axis], l.shape())
		}
	}
	if out.Len() == 0 {
		return nil
	}
	s := newRowPlan(r, kind, e, &out, in, axis)
	s.scales, s.eps = [2]*Layout{weight, bias}, eps
	across := crossMemory(e, &out, in, axis)
	switch {
	case !r.plain() && across:
		return ErrApart
	case s.n <= longestRow(s.t) && across:
		return planAcross(p, s.t, s.t, out, in[0], axis, func(work Layout, last int) error {
			return planNorm(p, kind, s.t, eps, work, work, last, weight, bias)
		})
	case s.inBlock() || s.inCluster(p) && !across:
		return s.planRows(p)
	case !r.plain():
		return ErrApart
	}
	out.toLast(axis)
	x := in[0]
	x.toLast(axis)
	return s.planLongNorm(p, out, x)
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
