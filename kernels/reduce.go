package kernels

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
)

// The order of a reduction. Every sum and product in this package, and every
// kernel that reduces, follows one tree, which depends on nothing but the
// number n of elements reduced and their linear order. Number the elements
// 0 … n−1. Element i belongs to slot
//
//	(i / 32768)·2048 + i mod 2048
//
// A slot has up to 16 elements, 2048 apart; they are combined one after the
// other in increasing order. The slots are then combined pairwise: 0 with 1, 2
// with 3, …; the results again in pairs, and so on until one is left; what has
// no partner goes up unchanged. So a sum of up to 2048 elements is purely
// pairwise, and one of n elements has at most 15 + log₂(n/16) roundings on any
// path, one less than NumPy's pairwise sum.
//
// Any aligned group of 2^k slots is one node of that tree. So lanes, warps and
// blocks can share the work in any way that gives each such a group, and the
// result is the same, bit for bit: the geometry is chosen for speed.
//
// The linear order of the elements is that of the reduced axes in memory: by
// decreasing stride, where axes of stride 0 keep their place, and within an
// axis by increasing index (also where its stride is negative). For axes in
// row-major order that is row-major order, whether the data are contiguous or a
// view. Positions (argmax, argmin) count in row-major order always.
const (
	reduceSlots = 2048             // slots of a chunk
	reduceChunk = 16 * reduceSlots // elements of a chunk
)

// Reduce appends the reduction of in over the axes in the mask (bit i is axis
// i) to the plan. out has the remaining axes, in their order; it may have any
// strides that do not overlap. Operand 1 is in.
//
// OpSum, OpProd and OpMean give the type t and are defined for the types whose
// accumulator is as wide: 32- and 64-bit integers and floating-point types
// (OpMean: floating-point types only); float16 and bfloat16 are accumulated in
// float32 and rounded once. OpMax and OpMin give t: a NaN wins, −0 < +0. OpAny
// and OpAll give bool and take any type: what is not zero is true. OpArgMax and
// OpArgMin give int64, over one axis or over all: the position of the first
// occurrence, or of the first NaN.
//
// Over no elements a sum is 0, a product 1, OpAny false, OpAll true, OpMean
// NaN; OpMax, OpMin, OpArgMax and OpArgMin are errors.
//
// The launches are one kernel each. Results are the same on every device, in
// every geometry: see the order of a reduction in this package's reduce.go.
func Reduce(p *Plan, op Op, t Type, out, in Layout, axes uint32) error {
	if (op == OpSum || op == OpProd) && (t == Bool || t.IsInteger() && t.Size() < 4) {
		return &UnsupportedError{op.String(), t}
	}
	if op == OpMean && !t.IsFloat() {
		return &UnsupportedError{op.String(), t}
	}
	return ReduceAs(p, op, t, reduceResult(op, t), out, in, axes)
}

// ReduceAs is Reduce with elements converted from t to u before they are added
// or multiplied: OpSum and OpProd to any 32- or 64-bit integer type or
// floating-point type that is not narrower in kind (integers and bool to any of
// them, floating-point types to floating-point types), OpMean to floating-point
// types. u is the type of the result. The other operations take only the u that
// Reduce would give.
func ReduceAs(p *Plan, op Op, t, u Type, out, in Layout, axes uint32) error {
	r := newReduction(op, u)
	defer r.release()
	r.one[0] = Node{Kind: Load, Type: t, Operand: 1}
	r.load.Nodes, r.layouts = r.one[:], append(r.layouts, in)
	return r.planExpr(p, &r.load, &out, r.layouts, axes)
}

// ReduceExpr is ReduceAs over the values of an expression: operand i of e has
// the layout in[i-1], all of one shape (strides 0 where an operand is
// broadcast), of which axes are reduced. Operands that no node loads are
// ignored, but for their shape; at least one must be given.
//
// The result is, bit for bit, that of evaluating e into a new row-major array
// and reducing that; an expression that is one load is reduced as it lies.
func ReduceExpr(p *Plan, op Op, e *Expr, u Type, out Layout, in []Layout, axes uint32) error {
	q := p.ask(planReduction, uint64(op)|uint64(u)<<8|uint64(axes)<<16)
	q.expr(e)
	q.layout(&out)
	q.layouts(in)
	if q.answered() {
		return nil
	}
	return q.remember(planReduceExpr(p, op, e, u, out, in, axes))
}

func planReduceExpr(p *Plan, op Op, e *Expr, u Type, out Layout, in []Layout, axes uint32) error {
	r := newReduction(op, u)
	defer r.release()
	return r.planExpr(p, e, &out, in, axes)
}

func (r *reduction) planExpr(p *Plan, e *Expr, out *Layout, in []Layout, axes uint32) error {
	if len(in) == 0 || len(in) > maxOperands {
		return fmt.Errorf("%v of an expression over %d operands; 1 to %d are supported", r.op, len(in), maxOperands)
	}
	if err := e.check(len(in)); err != nil {
		return err
	}
	if e.stores() {
		return fmt.Errorf("%v of an expression that stores other values: evaluate those first", r.op)
	}
	if err := checkReduction(r.op, e.Nodes[len(e.Nodes)-1].Type, r.out); err != nil {
		return err
	}
	if err := r.setLayouts(e, out, in, axes); err != nil {
		return err
	}
	return r.plan(p, out)
}

func (r *reduction) plan(p *Plan, out *Layout) error {
	before := *p
	switch {
	case r.outputs() == 0:
		return nil
	case r.n == 0:
		return r.planEmpty(p, *out)
	case r.overRows() || !r.planColumns(p):
		r.planRows(p)
	}
	if bytes := p.Launches[len(p.Launches)-1].paramBytes(); bytes > maxParamBytes {
		p.Launches, p.Scratch, p.Tickets = before.Launches, before.Scratch, before.Tickets
		return tooManyParameters(bytes)
	}
	return nil
}

// reduceResult is the type of a reduction's result.
func reduceResult(op Op, t Type) Type {
	switch op {
	case OpAny, OpAll:
		return Bool
	case OpArgMax, OpArgMin:
		return Int64
	}
	return t
}

// reduceOps are the operations that reduce, and their names in keys.
var reduceOps = []Op{OpSum, OpProd, OpMax, OpMin, OpAny, OpAll, OpMean, OpArgMax, OpArgMin}

func reduceNames() []string {
	names := make([]string, len(reduceOps))
	for i, op := range reduceOps {
		names[i] = op.String()
	}
	return names
}

func isArg(op Op) bool { return op == OpArgMax || op == OpArgMin }

func checkReduction(op Op, t, u Type) error {
	if !slices.Contains(reduceOps, op) {
		return fmt.Errorf("%v is not a reduction", op)
	}
	ok := t.valid() && u == reduceResult(op, t)
	switch op {
	case OpSum, OpProd:
		ok = t.valid() && (u.IsInteger() && u.Size() >= 4 && !t.IsFloat() || u.IsFloat())
	case OpMean:
		ok = t.valid() && u.IsFloat()
	case OpMax, OpMin, OpArgMax, OpArgMin:
		ok = ok && t != Bool
	}
	if !ok {
		return &UnsupportedError{op.String(), t}
	}
	return nil
}

// accumulator is the type that a reduction of t with the result type u is
// computed in. Truth values are computed as Uint32, 0 or 1.
func accumulator(op Op, t, u Type) Type {
	switch op {
	case OpAny, OpAll:
		return Uint32
	case OpMax, OpMin, OpArgMax, OpArgMin:
		return t.compute()
	}
	return u.compute()
}

// A reduction is what is to be planned, and the planner's working memory: the
// loop nests of the axes that are kept and of those that are reduced. Operand 0
// is the output (which does not move along reduced axes), the expression's
// follow, and last the linear index, if it is used.
type reduction struct {
	source
	op        Op
	out       Type
	types     []Type // of the operands; Invalid for what is not loaded
	sizes     []int  // their bytes; 1 for the index, whose positions are its values
	kept, red nest
	main      int  // the operand that most is read of: it decides how threads walk
	n         int  // elements reduced for each result
	wide      bool // positions need 64 bits

	correction int  // OpMean divides by n less this
	tail       Op   // what results go through before they are rounded
	moments    bool // the mean is that of the squares of the distances from the elements' mean

	one     [1]Node
	load    Expr
	squares Expr
	layouts []Layout
	ks      []int
	bytes   []int
}

var reductionPool = sync.Pool{New: func() any { return new(reduction) }}

func newReduction(op Op, u Type) *reduction {
	r := reductionPool.Get().(*reduction)
	r.op, r.out, r.layouts, r.correction, r.tail, r.moments = op, u, r.layouts[:0], 0, NoOp, false
	return r
}

func (r *reduction) release() {
	r.expr = nil
	reductionPool.Put(r)
}

// in is the type of the values that are reduced.
func (r *reduction) in() Type { return r.result() }

func (r *reduction) accumulator() Type { return accumulator(r.op, r.in(), r.out) }

func (r *reduction) outputs() int { return r.kept.len() }

func (n *nest) len() int {
	total := 1
	for _, d := range n.shape[:n.rank] {
		total *= d
	}
	return total
}

func (r *reduction) setLayouts(e *Expr, out *Layout, in []Layout, axes uint32) error {
	for i := range in {
		if err := in[i].check("an operand of a reduction"); err != nil {
			return err
		}
		if !in[i].sameShape(&in[0]) {
			return fmt.Errorf("%v of an expression: operand %d has shape %v, operand 1 %v", r.op, i+1, in[i].shape(), in[0].shape())
		}
	}
	l := &in[0]
	if axes>>l.Rank != 0 {
		return fmt.Errorf("%v over axes %b of an operand with %d axes", r.op, axes, l.Rank)
	}
	if count := bits.OnesCount32(axes); isArg(r.op) && count != 1 && count != l.Rank {
		return fmt.Errorf("%v works over one axis or over all, not over %d of %d", r.op, count, l.Rank)
	}
	r.fill(e, out, in, axes)
	kept := Layout{Rank: r.kept.rank, Shape: r.kept.shape}
	if !kept.sameShape(out) {
		return fmt.Errorf("%v over axes %b of shape %v gives shape %v, not %v", r.op, axes, l.shape(), kept.shape(), out.shape())
	}
	r.n = r.red.len()
	r.wide = r.n > math.MaxInt32 || r.outputs() > math.MaxInt32
	if !isArg(r.op) && (r.plain() || r.orderFree()) {
		r.red.sortByStride(r.main)
	}
	r.red.coalesce()
	r.kept.sortByStride(r.main)
	r.kept.coalesce()
	return nil
}

// orderFree says whether the order of the elements does not show in the result.
func (r *reduction) orderFree() bool {
	return !r.accumulator().IsFloat() || r.op == OpMax || r.op == OpMin
}

// fill sets up the nests.
func (r *reduction) fill(e *Expr, out *Layout, in []Layout, axes uint32) {
	r.expr, r.types, r.sizes, r.forms = e, r.types[:0], r.sizes[:0], r.forms[:0]
	for range len(in) + 2 {
		r.types, r.sizes, r.forms = append(r.types, Invalid), append(r.sizes, 1), append(r.forms, noForm)
	}
	r.types[0] = r.out
	for i := range e.Nodes {
		switch n := &e.Nodes[i]; n.Kind {
		case Load:
			r.types[n.Operand] = n.Type
		case Index:
			r.types[r.index()] = Int64
		}
	}
	for k, t := range r.types[:r.index()] {
		r.sizes[k] = t.Size()
	}
	index := RowMajor(in[0].Shape[:in[0].Rank]...)
	r.kept.reset(&in[0], ^axes)
	r.red.reset(&in[0], axes)
	r.kept.strides, r.kept.offsets = append(r.kept.strides, out.Strides), append(r.kept.offsets, out.Offset)
	r.red.strides = append(r.red.strides, [MaxRank]int{})
	for i := range in {
		r.addOperand(&in[i], r.types[i+1] != Invalid, axes)
	}
	r.addOperand(&index, r.types[r.index()] != Invalid, axes)
	r.chooseMain()
}

// reset makes the nest one of the axes in the mask and of no operand.
func (n *nest) reset(l *Layout, axes uint32) {
	n.rank, n.shape, n.strides, n.offsets = 0, [MaxRank]int{}, n.strides[:0], n.offsets[:0]
	for i, d := range l.Shape[:l.Rank] {
		if axes>>i&1 != 0 {
			n.shape[n.rank] = d
			n.rank++
		}
	}
}

// addOperand adds an operand to both nests. What is not loaded must not stand
// in the way of merging axes.
func (r *reduction) addOperand(l *Layout, loaded bool, axes uint32) {
	var kept, red [MaxRank]int
	k, d := 0, 0
	for i, s := range l.Strides[:l.Rank] {
		if !loaded {
			s = 0
		}
		if axes>>i&1 != 0 {
			red[d] = s
			d++
		} else {
			kept[k] = s
			k++
		}
	}
	r.kept.strides, r.kept.offsets = append(r.kept.strides, kept), append(r.kept.offsets, l.Offset)
	r.red.strides = append(r.red.strides, red)
}

// chooseMain finds the operand with the most bytes, the first of several.
func (r *reduction) chooseMain() {
	most := 0
	r.main = r.index()
	for k := 1; k < r.index(); k++ {
		if r.types[k] == Invalid {
			continue
		}
		bytes := r.sizes[k] * r.kept.distinct(k) * r.red.distinct(k)
		if bytes > most {
			most, r.main = bytes, k
		}
	}
}

// distinct is the number of places that operand k has in the nest.
func (n *nest) distinct(k int) int {
	total := 1
	for i, d := range n.shape[:n.rank] {
		if n.strides[k][i] != 0 {
			total *= max(d, 1)
		}
	}
	return total
}

// sortByStride puts the axes in the order of operand k in memory: by decreasing
// size of the stride. Axes of stride 0 or size 1 keep their places.
func (n *nest) sortByStride(k int) {
	fixed := func(i int) bool { return n.strides[k][i] == 0 || n.shape[i] == 1 }
	for i := range n.rank {
		if fixed(i) {
			continue
		}
		best := i
		for j := i + 1; j < n.rank; j++ {
			if !fixed(j) && magnitude(n.strides[k][j]) > magnitude(n.strides[k][best]) {
				best = j
			}
		}
		n.moveTo(best, i, fixed)
	}
}

// moveTo brings axis from to place to, and moves the axes between one place on,
// past those that are fixed.
func (n *nest) moveTo(from, to int, fixed func(int) bool) {
	for at := from; at > to; {
		before := at - 1
		for fixed(before) {
			before--
		}
		n.shape[at], n.shape[before] = n.shape[before], n.shape[at]
		for k := range n.strides {
			s := &n.strides[k]
			s[at], s[before] = s[before], s[at]
		}
		at = before
	}
}

func magnitude(x int) int { return max(x, -x) }

// overRows says whether lanes walk along the reduced axes (else along a kept
// one): whichever runs through memory in smaller steps.
func (r *reduction) overRows() bool {
	return r.red.rank == 0 || r.red.smallestStride(r.main) <= r.kept.smallestStride(r.main)
}

func (n *nest) smallestStride(k int) int {
	least := math.MaxInt
	for i := range n.rank {
		if s := magnitude(n.strides[k][i]); s != 0 {
			least = min(least, s)
		}
	}
	return least
}

// planEmpty fills the results of a reduction over no elements.
func (r *reduction) planEmpty(p *Plan, out Layout) error {
	var x float64
	switch r.op {
	case OpSum, OpAny:
	case OpProd, OpAll:
		x = 1
	case OpMean:
		x = math.NaN()
	default:
		return fmt.Errorf("%v of no elements", r.op)
	}
	fill := Expr{Nodes: []Node{{Kind: Immediate, Type: r.out, Bits: constantBits(r.out, x)}}}
	if r.tail != NoOp {
		fill.apply(r.tail, r.out, 0)
	}
	return Elementwise(p, &fill, out, nil)
}

// align returns the bytes that one load may take along an axis of operand k: a
// power of two up to 16, so that every run of axis 'along' can be read in such
// pieces from its start. The axis must have stride 1.
func (r *reduction) align(along *nest, axis, k int) int {
	size := r.sizes[k]
	all := r.kept.offsets[k]*size | 16
	if along == &r.kept || r.red.rank > 1 {
		all |= along.shape[axis] * size
	}
	for i := range r.kept.rank {
		if along != &r.kept || i != axis {
			all |= r.kept.strides[k][i] * size
		}
	}
	for i := range r.red.rank {
		if along != &r.red || i != axis {
			all |= r.red.strides[k][i] * size
		}
	}
	return max(all&-all, size)
}

func ceilPow2(n int) int { return 1 << bits.Len(uint(n-1)) }

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// A split says how the work of one result is spread over blocks, and where
// their partial results are.
type split struct {
	parts int // blocks that share a result
	teams int // of those blocks, where teams combine theirs first; else 0
	lines int // partial results a result has room for: parts, and the levels above
}

// newSplit makes room for the finishing passes, in which a thread combines 'fan'
// partial results into one.
func newSplit(parts, fan int) split {
	s := split{parts: parts}
	for n := parts; ; n = ceilDiv(n, fan) {
		s.lines += n
		if n <= fan {
			return s
		}
	}
}

// newTeamSplit is newSplit where teams of blocks combine theirs first.
func newTeamSplit(parts, team, fan int) split {
	s := newSplit(ceilDiv(parts, team), fan)
	return split{parts: parts, teams: s.parts, lines: parts + s.lines}
}

// scratch takes room for the partial results of columns results, whose fields
// have the sizes given, and for the tickets of groups of blocks, and adds the
// arguments.
func (s split) scratch(p *Plan, l *Launch, columns, groups int, fields ...int) {
	p.Tickets = max(p.Tickets, uint64(4*groups*(s.teams+1))) // each launch leaves them zero for the next
	l.pointer(TicketOperand, 0)
	for _, size := range fields {
		if size > 0 {
			l.pointer(ScratchOperand, p.scratch(columns*s.lines*size))
		}
	}
	l.value32(uint32(s.parts))
	l.value32(uint32(s.lines))
}

// fieldSizes are the bytes of a partial result and, or 0, of its position.
func (r *reduction) fieldSizes() (value, position int) {
	if isArg(r.op) {
		position = positionSize(r.wide)
	}
	return max(r.accumulator().Size(), 4), position
}

func positionSize(wide bool) int {
	if wide {
		return 8
	}
	return 4
}

// operands sets the list of operands that have one of the forms, and of their
// sizes, in the order of prologue.operands.
func (r *reduction) operands(first int, forms ...form) (ks, sizes []int) {
	r.ks, r.bytes = r.ks[:0], r.bytes[:0]
	for k := first; k < len(r.forms); k++ {
		if k == 0 || slices.Contains(forms, r.forms[k]) {
			r.ks, r.bytes = append(r.ks, k), append(r.bytes, r.sizes[k])
		}
	}
	return r.ks, r.bytes
}

// pointers adds the parameters of the output's and the operands' first
// elements, constants those of immediates.
func (r *reduction) pointers(l *Launch) {
	l.pointer(0, r.kept.offsets[0]*r.sizes[0])
	for k := 1; k < r.index(); k++ {
		if r.types[k] != Invalid {
			l.pointer(k, r.kept.offsets[k]*r.sizes[k])
		}
	}
	if r.types[r.index()] != Invalid {
		l.value64(uint64(r.kept.offsets[r.index()]))
	}
}

func (r *reduction) constants(l *Launch) {
	for i := range r.expr.Nodes {
		if n := &r.expr.Nodes[i]; n.Kind == Immediate {
			l.immediate(n.Type, n.Bits)
		}
	}
}

// index adds a parameter that holds a number of elements.
func (l *Launch) index(n int, wide bool) {
	if wide {
		l.value64(uint64(n))
	} else {
		l.value32(uint32(n))
	}
}

// axes adds the parameters that declareAxes declares: of axes first to last of
// the nest, with the byte strides of the operands given.
func (l *Launch) axes(n *nest, first, last int, wide bool, operands []int, sizes []int) {
	for i := first; i < last; i++ {
		if i > first {
			l.index(n.shape[i], wide)
			if !wide {
				d := newDivisor(n.shape[i])
				l.value32(d.mul)
				l.value32(d.shift)
			}
		}
		for j, k := range operands {
			l.value64(uint64(n.strides[k][i] * sizes[j]))
		}
	}
}

// constantBits returns a number as a value of type t: of float16 it knows 0, 1,
// −Inf and NaN.
func constantBits(t Type, x float64) uint64 {
	switch t {
	case Float64:
		return math.Float64bits(x)
	case Float32:
		return uint64(math.Float32bits(float32(x)))
	case BFloat16:
		return uint64(math.Float32bits(float32(x)) >> 16)
	case Float16:
		switch {
		case x == 1:
			return 0x3c00
		case x != x:
			return 0x7e00
		case x < 0:
			return 0xfc00
		}
		return 0
	}
	return uint64(int64(x))
}

// scratch reserves bytes of scratch memory, 256-byte aligned, and returns where.
func (p *Plan) scratch(bytes int) int {
	at := (p.Scratch + 255) &^ 255
	p.Scratch = at + uint64(bytes)
	return int(at)
}
