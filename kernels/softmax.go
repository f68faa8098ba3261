package kernels

import (
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Softmax appends exp(x − m) / Σ exp(x − m) along an axis to the plan, where m is
// the axis' maximum and the sum follows the order of a reduction (reduce.go).
// Operand 0 is out, operand 1 in, of the same shape, in any layouts; they may be
// the same memory through the same layout. It is defined for floating-point
// types; float16 and bfloat16 are float32 inside and rounded once.
//
// A row (the elements along the axis) with a NaN or +Inf, or of −Inf only, has
// NaNs where the formula gives them. Rows of up to softmaxRow elements are read
// once, in one launch; longer ones take several launches and give the same bits
// as if they did not.
func Softmax(p *Plan, t Type, out, in Layout, axis int) error {
	return softmax(p, false, t, out, in, axis)
}

// LogSoftmax is Softmax's logarithm, x − m − log Σ exp(x − m).
func LogSoftmax(p *Plan, t Type, out, in Layout, axis int) error {
	return softmax(p, true, t, out, in, axis)
}

func softmax(p *Plan, log bool, t Type, out, in Layout, axis int) error {
	name := softmaxNames[b2i(log)]
	if !t.IsFloat() {
		return &UnsupportedError{name, t}
	}
	if err := in.check("the operand of " + name); err != nil {
		return err
	}
	if !in.sameShape(&out) {
		return fmt.Errorf("%s of shape %v gives that shape, not %v", name, in.Shape[:in.Rank], out.Shape[:out.Rank])
	}
	if axis < 0 || axis >= in.Rank {
		return fmt.Errorf("%s along axis %d of an operand with %d axes", name, axis, in.Rank)
	}
	if in.Len() == 0 {
		return nil
	}
	rows := newNest([]Layout{out, in})
	s := &softmaxPlan{log: log, t: t, n: in.Shape[axis], outStride: out.Strides[axis], inStride: in.Strides[axis], rows: rows}
	rows.remove(axis)
	rows.sortByOutput()
	rows.coalesce()
	if s.n > softmaxRow(t) || s.count() >= 1<<31 {
		return s.planLong(p, out, in, axis)
	}
	s.planRows(p)
	return nil
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

var softmaxNames = []string{"softmax", "log_softmax"}

// softmaxRow is the longest row that is held in registers.
func softmaxRow(t Type) int {
	if t == Float64 {
		return 8 * reduceSlots
	}
	return 16 * reduceSlots
}

// A softmaxPlan is what Softmax is to plan.
type softmaxPlan struct {
	log                 bool
	t                   Type
	n                   int
	outStride, inStride int   // along the row
	rows                *nest // operands out and in, the other axes
}

func (s *softmaxPlan) count() int {
	n := 1
	for _, d := range s.rows.shape[:s.rows.rank] {
		n *= d
	}
	return n
}

func (s *softmaxPlan) planRows(p *Plan) {
	size, rows := s.t.Size(), s.count()
	k := &softmaxKernel{log: s.log, t: s.t, run: max(4, 16/size), kept: s.rows.rank}
	k.out, k.in = s.access(0, s.outStride), s.access(1, s.inStride)
	k.passes, k.lanes = 1, ceilPow2(ceilDiv(s.n, k.run))
	if s.n > reduceSlots {
		k.lanes, k.passes = reduceSlots/k.run, ceilPow2(ceilDiv(s.n, reduceSlots))
	}
	k.threads = max(k.lanes, 128)
	l := p.launch(k.key(), [3]uint32{uint32(ceilDiv(rows, k.threads/k.lanes)), 1, 1}, [3]uint32{uint32(k.threads), 1, 1}, 0)
	l.pointer(0, s.rows.offsets[0]*size)
	l.pointer(1, s.rows.offsets[1]*size)
	l.value32(uint32(s.n))
	l.value32(uint32(rows))
	l.value64(uint64(s.outStride * size))
	l.value64(uint64(s.inStride * size))
	l.axes(s.rows, 0, s.rows.rank, false, []int{0, 1}, []int{size, size})
}

// access returns the bytes that an operand's rows can be accessed in.
func (s *softmaxPlan) access(i, stride int) int {
	size := s.t.Size()
	if stride != 1 {
		return size
	}
	all := s.rows.offsets[i]*size | 16
	for _, d := range s.rows.strides[i][:s.rows.rank] {
		all |= d * size
	}
	return all & -all
}

// planLong composes a softmax of long rows of reductions and elementwise
// kernels, over scratch memory.
func (s *softmaxPlan) planLong(p *Plan, out, in Layout, axis int) error {
	c := s.t.compute()
	row := in // one element for each row
	row.Shape[axis] = 1
	row = RowMajor(row.Shape[:row.Rank]...)
	each := row // the same for each element of the row
	each.Shape[axis], each.Strides[axis] = s.n, 0
	work := RowMajor(in.Shape[:in.Rank]...)
	kept := reducedLayout(row, axis)
	most, sum, wide := p.scratch(row.Len()*c.Size()), p.scratch(row.Len()*c.Size()), p.scratch(work.Len()*c.Size())

	from := len(p.Launches)
	steps := []func() error{
		func() error { return ReduceAs(p, OpMax, s.t, s.t, kept, in, 1<<axis) },
		func() error { return Elementwise(p, s.shifted(OpExp), work, []Layout{in, each}) },
		func() error { return Reduce(p, OpSum, c, kept, work, 1<<axis) },
		func() error { return Elementwise(p, s.finished(), out, []Layout{in, each, work, each}) },
	}
	in1 := operandPlace{1, 0}
	places := [][]operandPlace{
		{{ScratchOperand, most}, in1},
		{{ScratchOperand, wide}, in1, {ScratchOperand, most}},
		{{ScratchOperand, sum}, {ScratchOperand, wide}},
		{{0, 0}, in1, {ScratchOperand, most}, {ScratchOperand, wide}, {ScratchOperand, sum}},
	}
	for i, step := range steps {
		at := len(p.Launches)
		if err := step(); err != nil {
			p.Launches = p.Launches[:from]
			return err
		}
		p.moveOperands(at, places[i])
	}
	return nil
}

// reducedLayout drops an axis.
func reducedLayout(l Layout, axis int) Layout {
	n := newNest([]Layout{l})
	n.remove(axis)
	return Layout{Rank: n.rank, Shape: n.shape, Strides: n.strides[0], Offset: l.Offset}
}

// shifted is op(x − m) over operands x (type t) and m (type t), in the type that
// is computed in.
func (s *softmaxPlan) shifted(op Op) *Expr {
	e, x := s.difference()
	e.Nodes = append(e.Nodes, Node{Kind: Apply, Op: op, Type: s.t.compute(), Args: [3]int{x}})
	return e
}

func (s *softmaxPlan) difference() (e *Expr, at int) {
	c := s.t.compute()
	e = &Expr{}
	load := func(operand int) int {
		e.Nodes = append(e.Nodes, Node{Kind: Load, Type: s.t, Operand: operand})
		if c != s.t {
			e.Nodes = append(e.Nodes, Node{Kind: Apply, Op: OpCast, Type: c, Args: [3]int{len(e.Nodes) - 1}})
		}
		return len(e.Nodes) - 1
	}
	x, m := load(1), load(2)
	e.Nodes = append(e.Nodes, Node{Kind: Apply, Op: OpSub, Type: c, Args: [3]int{x, m}})
	return e, len(e.Nodes) - 1
}

// finished is the last step, over operands x, m, exp(x − m) and the sum.
func (s *softmaxPlan) finished() *Expr {
	c := s.t.compute()
	e := &Expr{}
	add := func(n Node) int { e.Nodes = append(e.Nodes, n); return len(e.Nodes) - 1 }
	var last int
	if s.log {
		var x int
		e, x = s.difference()
		sum := add(Node{Kind: Load, Type: c, Operand: 4})
		ln := add(Node{Kind: Apply, Op: OpLog, Type: c, Args: [3]int{sum}})
		last = add(Node{Kind: Apply, Op: OpSub, Type: c, Args: [3]int{x, ln}})
	} else {
		x, sum := add(Node{Kind: Load, Type: c, Operand: 3}), add(Node{Kind: Load, Type: c, Operand: 4})
		last = add(Node{Kind: Apply, Op: OpDiv, Type: c, Args: [3]int{x, sum}})
	}
	if c != s.t {
		add(Node{Kind: Apply, Op: OpCast, Type: s.t, Args: [3]int{last}})
	}
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

// A softmaxKernel holds each row in the registers of 'lanes' threads: a thread
// has 'run' neighbouring elements in each of 'passes' passes, which are 2048
// elements apart. So a thread's partial sums are slots of the tree.
type softmaxKernel struct {
	log            bool
	t              Type
	run, passes    int
	lanes, threads int
	out, in        int // bytes of an access
	kept           int // axes
}

func softmaxFamily() family {
	return family{
		prefix:   "softmax",
		generate: generateSoftmax,
		name:     keyName,
		embed:    embeddedSoftmax,
	}
}

func (k *softmaxKernel) key() string {
	return newKey("softmax").flag("log", k.log).word(k.t.String()).number("n", k.run).number("p", k.passes).
		number("l", k.lanes).number("t", k.threads).number("o", k.out).number("i", k.in).number("k", k.kept).String()
}

func parseSoftmaxKernel(key string) (*softmaxKernel, error) {
	r := readKey(key)
	k := &softmaxKernel{log: r.flag("log"), t: r.elem(), run: r.number("n", 16), passes: r.number("p", 16),
		lanes: r.number("l", 512), threads: r.number("t", 512), out: r.number("o", 16), in: r.number("i", 16), kept: r.number("k", MaxRank)}
	if err := r.end(); err != nil {
		return nil, err
	}
	for _, n := range []int{k.run, k.passes, k.lanes, k.threads, k.out, k.in} {
		if n < 1 || n&(n-1) != 0 {
			return nil, fmt.Errorf("kernel key %q: sizes must be powers of two", key)
		}
	}
	if slots := k.run * k.lanes; !k.t.IsFloat() || slots > reduceSlots || k.passes > 1 && (slots < reduceSlots || k.lanes < k.threads) ||
		k.lanes > k.threads || k.threads < 32 || k.passes*reduceSlots > softmaxRow(k.t) || min(k.out, k.in) < k.t.Size() {
		return nil, fmt.Errorf("kernel key %q: such a block is not possible", key)
	}
	return k, nil
}

func generateSoftmax(key string, target int) (*ptx.Module, error) {
	k, err := parseSoftmaxKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

// softmaxEmitter is the state of writing a softmaxKernel.
type softmaxEmitter struct {
	*softmaxKernel
	b                  *ptx.Builder
	c                  Type     // computed in
	n                  *ptx.Reg // elements of a row
	base, stride       *ptx.Reg // of the row that is read
	starts             []*ptx.Reg
	most, sum          *reducer
	outBase, outStride *ptx.Reg
	lane, inside       *ptx.Reg
}

func (k *softmaxKernel) emit(b *ptx.Builder) {
	e := &softmaxEmitter{softmaxKernel: k, b: b, c: k.t.compute()}
	out, in := b.Param("out", ptx.U64), b.Param("in", ptx.U64)
	e.n = b.Ld(b.Param("n", ptx.U32))
	rows := b.Ld(b.Param("rows", ptx.U32))
	e.outStride, e.stride = b.Ld(b.Param("step_out", ptx.U64)), b.Ld(b.Param("step_in", ptx.U64))
	kept := declareAxes(b, "kept", k.kept, false, "out", "in")
	b.MaxThreads(k.threads)
	e.most, e.sum = newReducer(b, OpMax, e.c, e.c, false), newReducer(b, OpSum, e.c, e.c, false)
	if k.lanes > 32 {
		e.most.exchange(k.threads / 32)
		e.sum.values = e.most.values
	}
	row := e.whichRow(rows)
	bases := emitOffsets(b, kept, row, false, b.Ld(out), b.Ld(in))
	e.outBase, e.base = bases[0], bases[1]

	xs := e.load()
	m := e.largest(xs)
	sum := e.total(e.exponentials(xs, m))
	e.store(xs, sum)
}

// whichRow returns the group's row, the last one for groups beyond.
func (e *softmaxEmitter) whichRow(rows *ptx.Reg) *ptx.Reg {
	b, tid := e.b, e.b.Special("%tid.x")
	e.lane = b.Op("and.b32", tid, e.lanes-1)
	row := b.Op("mad.lo.u32", b.Special("%ctaid.x"), e.threads/e.lanes, b.Op("shr.u32", tid, log2(e.lanes)))
	e.inside = b.Op("setp.lt.u32", row, rows)
	return b.Op("min.u32", row, b.Op("sub.u32", rows, 1))
}

// load reads the thread's elements, all before the first use. What is beyond the
// row's end is −Inf, whose exponential is 0.
func (e *softmaxEmitter) load() [][]*ptx.Reg {
	b := e.b
	first := b.Op("mul.lo.u32", e.lane, e.run)
	xs := make([][]*ptx.Reg, e.passes)
	for p := range xs {
		i := addConst(b, first, p*reduceSlots)
		e.starts = append(e.starts, i)
		xs[p] = b.Regs(e.c.reg(), e.run)
		for _, x := range xs[p] {
			b.Do("mov."+e.c.suffix(), x, floatConst(e.c, math.Inf(-1)))
		}
		e.eachRun(i, func() {
			at, piece := e.address(i, e.base, e.stride), min(e.in/e.t.Size(), e.run)
			for j := 0; j < e.run; j += piece {
				loadVector(b, e.t, xs[p][j:j+piece], b.At(e.advance(at, j, e.in, e.stride), e.offset(j, e.in)))
			}
		}, func(j int, at *ptx.Reg) {
			loadElement(b, e.t, xs[p][j], b.At(e.address(at, e.base, e.stride), 0), nil)
		})
	}
	return xs
}

// eachRun does 'whole' where all of the run at i lies in the row and, if it may
// be one for a vector, 'one' for each element that does where only some do.
func (e *softmaxEmitter) eachRun(i *ptx.Reg, whole func(), one func(j int, at *ptx.Reg)) {
	b := e.b
	cut, done := b.NewLabel("cut"), b.NewLabel("done")
	b.BraIf(b.Op("setp.gt.u32", b.Op("add.u32", i, e.run), e.n), cut)
	whole()
	b.Bra(done)
	b.Bind(cut)
	for j := range e.run - 1 {
		at := addConst(b, i, j)
		b.BraIf(b.Op("setp.ge.u32", at, e.n), done)
		one(j, at)
	}
	b.Bind(done)
}

func (e *softmaxEmitter) address(i, base, stride *ptx.Reg) *ptx.Reg {
	return e.b.Op("mad.lo.u64", e.b.Op("cvt.u64.u32", i), stride, base)
}

// advance and offset give the address of a run's element j: pieces of more than
// one element lie side by side, single elements a stride apart.
func (e *softmaxEmitter) advance(at *ptx.Reg, j, access int, stride *ptx.Reg) *ptx.Reg {
	if j == 0 || access > e.t.Size() {
		return at
	}
	return e.b.Op("mad.lo.u64", stride, j, at)
}

func (e *softmaxEmitter) offset(j, access int) int64 {
	if access > e.t.Size() {
		return int64(j * e.t.Size())
	}
	return 0
}

// largest returns the row's maximum; its order does not matter.
func (e *softmaxEmitter) largest(xs [][]*ptx.Reg) *ptx.Reg {
	m := e.most.newPartial(nil)
	for _, run := range xs {
		for _, x := range run {
			e.most.take(m, x, nil)
		}
	}
	e.most.foldThreads(m, e.lanes)
	return m.v
}

// exponentials replaces x by exp(x − m), or by x − m where the logarithm is
// wanted, and returns the exponentials.
func (e *softmaxEmitter) exponentials(xs [][]*ptx.Reg, m *ptx.Reg) [][]*ptx.Reg {
	b := e.b
	es := make([][]*ptx.Reg, len(xs))
	for p, run := range xs {
		for j, x := range run {
			d := b.Op("sub.rn."+e.c.suffix(), x, m)
			y := emitOp(b, OpExp, e.c, e.c, d)
			es[p] = append(es[p], y)
			run[j] = y
			if e.log {
				run[j] = d
			}
		}
	}
	return es
}

// total is the sum in the order of a reduction.
func (e *softmaxEmitter) total(es [][]*ptx.Reg) *ptx.Reg {
	slots := make([]partial, e.run)
	for j := range slots {
		slots[j] = e.sum.newPartial(nil)
		for p := range es {
			e.sum.take(slots[j], es[p][j], nil)
		}
	}
	sum := e.sum.fold(slots)
	e.sum.foldThreads(sum, e.lanes)
	return sum.v
}

func (e *softmaxEmitter) store(xs [][]*ptx.Reg, sum *ptx.Reg) {
	b := e.b
	exit := b.NewLabel("exit")
	b.BraUnless(e.inside, exit)
	if e.log {
		sum = emitOp(b, OpLog, e.c, e.c, sum)
	}
	for p, run := range xs {
		ys := make([]*ptx.Reg, len(run))
		for j, x := range run {
			if e.log {
				x = b.Op("sub.rn."+e.c.suffix(), x, sum)
			} else {
				x = b.Op("div.rn."+e.c.suffix(), x, sum)
			}
			ys[j] = emitFit(b, e.t, x)
		}
		i := e.starts[p]
		e.eachRun(i, func() {
			at, piece := e.address(i, e.outBase, e.outStride), min(e.out/e.t.Size(), e.run)
			for j := 0; j < e.run; j += piece {
				storeVector(b, e.t, ys[j:j+piece], b.At(e.advance(at, j, e.out, e.outStride), e.offset(j, e.out)))
			}
		}, func(j int, at *ptx.Reg) {
			storeElement(b, e.t, ys[j], b.At(e.address(at, e.outBase, e.outStride), 0), nil)
		})
	}
	b.Bind(exit)
	b.Do("ret")
}
