package kernels

import (
	"fmt"
	"math"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A rowKernel holds each row in the registers of 'lanes' threads: a thread
// has 'run' neighbouring elements in each of 'passes' passes, which are 2048
// elements apart. So a thread's partial sums are slots of the tree. Where there
// are more lanes than a block has threads, a cluster of blocks holds the row.
type rowKernel struct {
	source
	kind           rowKind
	t              Type
	run, passes    int
	lanes, threads int
	out, in        int    // bytes of an access
	scales         [2]int // bytes of an access to weight and bias; 0: there is none
	kept           int    // axes
	whole          bool   // no element is missing, in several passes of vectors
	split          bool   // a variance: a block takes a piece of the row, the last one combines them
	tail           Op     // of a variance
}

// A rowKind is what is computed of a row.
type rowKind uint8

const (
	rowSoftmax rowKind = iota
	rowLogSoftmax
	rowLogSumExp
	rowVariance
	rowLayerNorm
	rowRMSNorm
)

var rowKinds = []string{"softmax", "log_softmax", "log_sum_exp", "variance", "layer_norm", "rms_norm"}

// isStatistic says whether the result is one number for each row.
func (k rowKind) isStatistic() bool { return k == rowLogSumExp || k == rowVariance }

func softmaxFamily() family {
	return family{
		prefix:   "softmax",
		generate: generateRow,
		name:     sourceName,
		embed:    embeddedSoftmax,
		narrow:   []int{baseline, packedRounding},
	}
}

func rowFamily() family {
	return family{
		prefix:   "row",
		generate: generateRow,
		name:     sourceName,
		embed:    func() []string { return nil },
		narrow:   []int{baseline, packedRounding},
	}
}

// packedRounding is the compute capability that rounds two floats to float16 or
// bfloat16 at once, and whose maximum prefers a NaN.
const packedRounding = 80

func (k *rowKernel) key() string {
	var w *keyWriter
	if k.blocks() > 1 {
		w = newKey("cluster").word(rowKinds[k.kind])
	} else if k.kind <= rowLogSoftmax {
		w = newKey("softmax").flag("log", k.kind == rowLogSoftmax)
	} else {
		w = newKey("row").word(rowKinds[k.kind])
	}
	w.word(k.t.String()).number("n", k.run).number("p", k.passes).
		number("l", k.lanes).number("t", k.threads).number("o", k.out).number("i", k.in).number("k", k.kept).flag("whole", k.whole)
	if k.kind >= rowLayerNorm {
		w.number("w", k.scales[0]).number("b", k.scales[1])
	}
	if k.kind == rowVariance {
		w.flag("split", k.split).tail(k.tail)
	}
	return w.source(&k.source).String()
}

func parseRowKernel(key string) (*rowKernel, error) {
	r := readKey(key)
	k := &rowKernel{}
	cluster := strings.HasPrefix(key, "cluster ")
	if cluster {
		k.kind = rowKind(r.word(rowKinds...))
	} else if strings.HasPrefix(key, "row ") {
		k.kind = rowLogSumExp + rowKind(r.word(rowKinds[rowLogSumExp:]...))
	} else if r.flag("log") {
		k.kind = rowLogSoftmax
	}
	k.t, k.run, k.passes = r.elem(), r.number("n", 16), r.number("p", 16)
	k.lanes, k.threads, k.out, k.in, k.kept = r.number("l", clusterBlocks*clusterThreads), r.number("t", 512), r.number("o", 16), r.number("i", 128), r.number("k", MaxRank)
	k.whole = r.flag("whole")
	if k.kind >= rowLayerNorm {
		k.scales = [2]int{r.number("w", 16), r.number("b", 16)}
	}
	if k.kind == rowVariance {
		k.split, k.tail = r.flag("split"), r.tail(k.t)
	}
	k.source = r.source(k.t, contiguous)
	if err := r.end(); err != nil {
		return nil, err
	}
	if k.plain() && k.in > 16 || k.key() != key {
		return nil, fmt.Errorf("kernel key %q: its operands cannot be read so", key)
	}
	for _, n := range k.scales {
		if n != 0 && (n&(n-1) != 0 || n < k.t.Size()) {
			return nil, fmt.Errorf("kernel key %q: its operands cannot be read so", key)
		}
	}
	for _, n := range []int{k.run, k.passes, k.lanes, k.threads, k.out, k.in} {
		if n < 1 || n&(n-1) != 0 {
			return nil, fmt.Errorf("kernel key %q: sizes must be powers of two", key)
		}
	}
	if k.whole && (!k.plain() || k.split || k.passes == 1 || k.lanes < k.threads || !k.inVectors()) {
		return nil, fmt.Errorf("kernel key %q: such rows need not be whole", key)
	}
	if cluster {
		return k, k.checkCluster(key)
	}
	if slots := k.run * k.lanes; !k.t.IsFloat() || slots > reduceSlots || k.passes > 1 && (slots < reduceSlots || k.lanes < k.threads) ||
		k.lanes > k.threads || k.threads < 32 || k.passes*reduceSlots > longestRow(k.t) || min(k.out, k.in) < k.t.Size() || k.split && k.lanes < k.threads {
		return nil, fmt.Errorf("kernel key %q: such a block is not possible", key)
	}
	return k, nil
}

func generateRow(key string, target int) (*ptx.Module, error) {
	k, err := parseRowKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)), target >= packedRounding)
	return m, nil
}

// rowEmitter is the state of writing a rowKernel.
type rowEmitter struct {
	*rowKernel
	b                  *ptx.Builder
	c                  Type     // computed in
	packed             bool     // packedRounding is there
	n                  *ptx.Reg // elements of a row
	walk               *walk
	along              []*ptx.Reg // where the operands' rows start
	base, stride       *ptx.Reg   // of the row that is read, where the expression is one load
	starts             []*ptx.Reg
	most, sum          *reducer
	outBase, outStride *ptx.Reg
	lane, inside       *ptx.Reg
	rank               *ptx.Reg   // of the block in its cluster
	arrivals           []*ptx.Reg // barriers of the exchanges between the blocks of a cluster
	exchanges          int        // so far

	row, part *ptx.Reg // of a split
	piece     *ptx.Var // its elements
	moments   *reducer
	finish    *finish

	count, inverse, divisor, eps *ptx.Reg // of the kinds that have them
	scale                        [2]scale // weight and bias
}

// A scale is an operand that multiplies, or is added to, every row.
type scale struct {
	base, stride *ptx.Var
	access       int // bytes; 0: there is none
}

func (k *rowKernel) emit(b *ptx.Builder, packed bool) {
	e := &rowEmitter{rowKernel: k, b: b, c: k.t.compute(), packed: packed}
	e.walk = newWalk(b, k.source, k.in)
	out := b.Param("out", ptx.U64)
	e.walk.declarePointers()
	length := ptx.U32
	if k.split {
		length = ptx.U64
	}
	e.n = b.Ld(b.Param("n", length))
	rows := b.Ld(b.Param("rows", ptx.U32))
	e.outStride = b.Ld(b.Param("step_out", ptx.U64))
	e.walk.declareSteps()
	if k.plain() {
		e.stride = b.Ld(e.walk.steps[1])
	}
	e.walk.declareConstants()
	e.parameters()
	e.most, e.sum = newReducer(b, OpMax, e.c, e.c, false), newReducer(b, OpSum, e.c, e.c, false)
	if k.blocks() > 1 {
		e.enterCluster()
	} else if k.lanes > 32 {
		e.most.exchange(k.threads / 32)
		e.sum.memory = e.most.memory
	}
	if k.split {
		if e.declareSplit(); !k.plain() {
			b.MinBlocks(1) // or the assembler saves registers by spilling some
		}
	}
	kept := declareAxes(b, "kept", k.kept, false, append([]string{"out"}, e.walk.names(e.walk.all())...)...)
	b.MaxThreads(k.threads)
	row := e.whichRow(rows)
	bases := emitOffsets(b, kept, row, false, append([]*ptx.Reg{b.Ld(out)}, e.walk.bases()...)...)
	e.outBase, e.along = bases[0], e.walk.begin(bases[1:])
	if k.plain() {
		e.base = e.along[1]
	}
	if k.split {
		e.splitVariance()
		return
	}

	xs := e.load()
	switch k.kind {
	case rowSoftmax, rowLogSoftmax:
		m := e.largest(xs)
		if k.t.Size() < 4 && k.blocks() == 1 {
			e.storeNarrowSoftmax(xs, m)
			break
		}
		sum := e.total(e.exponentials(xs, m))
		e.storeSoftmax(xs, e.unlessFinite(m, floatConst(e.c, math.NaN()), sum))
	case rowLogSumExp:
		e.logSumExp(xs)
	case rowVariance:
		e.deviations(xs)
		e.storeQuotient(e.total(e.squares(xs)))
	case rowLayerNorm:
		e.deviations(xs)
		e.storeNorm(xs)
	case rowRMSNorm:
		e.storeNorm(xs)
	}
}

// parameters declares those of rowPlan.parameters.
func (e *rowEmitter) parameters() {
	b := e.b
	number := func(name string) *ptx.Reg { return b.Ld(b.Param(name, e.c.reg())) }
	if e.kind >= rowVariance && !e.split {
		e.count = number("count")
	}
	if e.kind == rowLayerNorm {
		e.inverse = number("inverse")
	}
	if e.kind == rowVariance {
		e.divisor = number("divisor")
	} else if e.kind >= rowLayerNorm {
		e.eps = number("eps")
	}
	for i, name := range []string{"weight", "bias"} {
		if e.scales[i] > 0 {
			e.scale[i] = scale{b.Param(name, ptx.U64), b.Param("step_"+name, ptx.U64), e.scales[i]}
		}
	}
}

// float is an instruction on two values of the type that is computed in.
func (e *rowEmitter) float(name string, x, y any) *ptx.Reg {
	return e.b.Op(name+".rn."+e.c.suffix(), x, y)
}

// logSumExp stores m + log Σ exp(x − m). A maximum that is no finite number is
// the result: the formula gives it back.
func (e *rowEmitter) logSumExp(xs [][]*ptx.Reg) {
	m := e.largest(xs)
	sum := e.total(e.exponentials(xs, m))
	e.storeOne(e.unlessFinite(m, m, e.float("add", emitOp(e.b, OpLog, e.c, e.c, sum), m)))
}

// unlessFinite returns y, but z where x is infinite or NaN.
func (e *rowEmitter) unlessFinite(x *ptx.Reg, z any, y *ptx.Reg) *ptx.Reg {
	return e.b.Op("selp."+e.c.suffix(), y, z, emitOp(e.b, OpIsFinite, e.c, Bool, x))
}

// storeOne stores the row's result.
func (e *rowEmitter) storeOne(v *ptx.Reg) {
	first := e.b.Op("setp.eq.and.u32", e.lane, 0, e.inside)
	storeElement(e.b, e.t, emitFit(e.b, e.t, v), e.b.At(e.outBase, 0), first)
	e.b.Do("ret")
}

// storeQuotient stores the variance of a sum of squares.
func (e *rowEmitter) storeQuotient(sum *ptx.Reg) {
	e.storeOne(emitTail(e.b, e.tail, e.c, e.float("div", sum, e.divisor)))
}

// mean divides by the number of elements. Where its inverse is given, as rounded,
// one step of correction gives the rounded quotient (Markstein, Computation of
// elementary functions on the IBM RISC System/6000 processor, 1990): a second
// division in a kernel costs a spilled register in float64.
func (e *rowEmitter) mean(sum *ptx.Reg) *ptx.Reg {
	if e.inverse == nil {
		return e.float("div", sum, e.count)
	}
	fma, q := "fma.rn."+e.c.suffix(), e.float("mul", sum, e.inverse)
	rest := e.b.Op(fma, e.b.Op("neg."+e.c.suffix(), q), e.count, sum)
	return e.b.Op(fma, rest, e.inverse, q)
}

// deviations replaces x by its difference from the row's mean. What is beyond the
// row's end stays −0, as in load.
func (e *rowEmitter) deviations(xs [][]*ptx.Reg) {
	mean := e.mean(e.total(passesOf(xs)))
	for p, run := range xs {
		if e.whole {
			xs[p] = each(run, func(x *ptx.Reg) *ptx.Reg { return e.float("sub", x, mean) })
			continue
		}
		left := e.b.Op("sub.s32", e.n, e.starts[p])
		for j, x := range run {
			inside := e.b.Op("setp.gt.s32", left, j)
			run[j] = e.b.Op("selp."+e.c.suffix(), e.float("sub", x, mean), x, inside)
		}
	}
}

// squares returns the x² of a pass. Beyond the row's end that is +0, which changes
// no sum of squares.
func (e *rowEmitter) squares(xs [][]*ptx.Reg) func(p int) []*ptx.Reg {
	return func(p int) []*ptx.Reg { return each(xs[p], func(x *ptx.Reg) *ptx.Reg { return e.float("mul", x, x) }) }
}

// storeNorm stores x divided by the root of the mean of the squares, times the
// weight, plus the bias. Whole runs and cut ones are two paths to the end: what
// is loaded in one need not have a value in the other.
func (e *rowEmitter) storeNorm(xs [][]*ptx.Reg) {
	b := e.b
	mean := e.float("div", e.total(e.squares(xs)), e.count)
	inverse := emitOp(b, OpRsqrt, e.c, e.c, e.float("add", mean, e.eps))
	norm := func(xs []*ptx.Reg, scales [2][]*ptx.Reg) []*ptx.Reg {
		ys := make([]*ptx.Reg, len(xs))
		for j, x := range xs {
			ys[j] = e.float("mul", x, inverse)
			for k, s := range scales {
				if s != nil {
					ys[j] = e.float([]string{"mul", "add"}[k], ys[j], s[j])
				}
			}
		}
		return ys
	}
	if e.whole {
		scales := e.scalesAhead()
		e.storePasses(func(p int) []*ptx.Reg { return norm(xs[p], scales(p)) })
		return
	}
	exit := b.NewLabel("exit")
	b.BraUnless(e.inside, exit)
	for p, i := range e.starts {
		e.eachRun(i, func() {
			var scales [2][]*ptx.Reg
			for k, s := range e.scale {
				if s.access > 0 {
					scales[k] = b.Regs(e.c.reg(), e.run)
					e.loadWhole(scales[k], e.address(i, b.Ld(s.base), b.Ld(s.stride)), 0, b.Ld(s.stride), s.access)
				}
			}
			e.storeWhole(norm(xs[p], scales), e.address(i, e.outBase, e.outStride), 0)
		}, func(j int, at *ptx.Reg) {
			var scales [2][]*ptx.Reg
			for k, s := range e.scale {
				if s.access > 0 {
					scales[k] = []*ptx.Reg{loadOne(b, e.t, e.address(at, b.Ld(s.base), b.Ld(s.stride)))}
				}
			}
			e.storeAt(norm(xs[p][j:j+1], scales)[0], at)
		})
	}
	b.Bind(exit)
	b.Do("ret")
}

// whichRow returns the group's row, the last one for groups beyond.
func (e *rowEmitter) whichRow(rows *ptx.Reg) *ptx.Reg {
	b, tid := e.b, e.b.Special("%tid.x")
	if e.blocks() > 1 {
		row := e.placeInCluster()
		e.inside = b.Op("setp.lt.u32", row, rows)
		return row
	}
	e.lane = b.Op("and.b32", tid, e.lanes-1)
	if e.split {
		e.row, e.part = emitDivRem(b, b.Special("%ctaid.x"), b.Ld(e.finish.parts))
		e.inside = b.Op("setp.lt.u32", e.row, rows)
		return e.row
	}
	row := b.Op("mad.lo.u32", b.Special("%ctaid.x"), e.threads/e.lanes, b.Op("shr.u32", tid, log2(e.lanes)))
	e.inside = b.Op("setp.lt.u32", row, rows)
	return b.Op("min.u32", row, b.Op("sub.u32", rows, 1))
}

// load reads the thread's elements, all before the first use. What is beyond the
// row's end is −Inf, whose exponential is 0, or −0, which changes no sum.
func (e *rowEmitter) load() [][]*ptx.Reg {
	b := e.b
	none := math.Inf(-1)
	if e.kind >= rowVariance {
		none = math.Copysign(0, -1)
	}
	first := e.firstElement(b.Op("mul.lo.u32", e.lane, e.run))
	if !e.plain() {
		return e.compute(first, floatConst(e.c, none))
	}
	if e.whole {
		return e.loadPasses(first)
	}
	xs := make([][]*ptx.Reg, e.passes)
	for p := range xs {
		i := addConst(b, first, p*reduceSlots)
		e.starts = append(e.starts, i)
		xs[p] = b.Regs(e.c.reg(), e.run)
		for _, x := range xs[p] {
			b.Do("mov."+e.c.suffix(), x, floatConst(e.c, none))
		}
	}
	whole, done := b.NewLabel("wholerow"), b.NewLabel("loaded")
	straight := e.passes > 1 && (e.t.Size() < 4 || e.blocks() > 1)
	if straight { // what unpacks elements waits for them: not behind a branch for each run, where it need not be
		b.BraUniIf(e.blockIsWhole(), whole)
	}
	for p, i := range e.starts {
		e.loadRun(xs[p], i, e.base, e.stride, e.in)
	}
	if straight {
		b.BraUni(done)
		b.Bind(whole)
		for p, i := range e.starts {
			e.loadWhole(xs[p], e.address(i, e.base, e.stride), 0, e.stride, e.in)
		}
		b.Bind(done)
	}
	return xs
}

// compute returns the elements of an expression.
func (e *rowEmitter) compute(first *ptx.Reg, none any) [][]*ptx.Reg {
	for p := range e.passes {
		e.starts = append(e.starts, addConst(e.b, first, p*reduceSlots))
	}
	at := e.walk.from(e.along, e.b.Op("cvt.u64.u32", first))
	piece := rowPiece{starts: e.starts, run: e.run, apart: reduceSlots, end: e.n, whole: e.blockIsWhole(), at: at}
	return e.walk.elements(piece, e.c, none, func(x *ptx.Reg) *ptx.Reg { return x })
}

// loadRun loads a run of an operand from element i on, as far as the row goes.
func (e *rowEmitter) loadRun(xs []*ptx.Reg, i, base, stride *ptx.Reg, access int) {
	b := e.b
	e.eachRun(i, func() { e.loadWhole(xs, e.address(i, base, stride), 0, stride, access) }, func(j int, at *ptx.Reg) {
		loadElement(b, e.t, xs[j], b.At(e.address(at, base, stride), 0), nil)
	})
}

// loadWhole loads a run that lies in the row, 'far' bytes behind at.
func (e *rowEmitter) loadWhole(xs []*ptx.Reg, at *ptx.Reg, far int64, stride *ptx.Reg, access int) {
	piece := min(access/e.t.Size(), e.run)
	for j := 0; j < e.run; j += piece {
		loadVector(e.b, e.t, xs[j:j+piece], e.b.At(e.advance(at, j, access, stride), far+e.offset(j, access)))
	}
}

// eachRun does 'whole' where all of the run at i lies in the row and, if it may
// be one for a vector, 'one' for each element that does where only some do.
func (e *rowEmitter) eachRun(i *ptx.Reg, whole func(), one func(j int, at *ptx.Reg)) {
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

func (e *rowEmitter) address(i, base, stride *ptx.Reg) *ptx.Reg {
	return e.b.Op("mad.lo.u64", e.b.Op("cvt.u64.u32", i), stride, base)
}

// advance and offset give the address of a run's element j: pieces of more than
// one element lie side by side, single elements a stride apart.
func (e *rowEmitter) advance(at *ptx.Reg, j, access int, stride *ptx.Reg) *ptx.Reg {
	if j == 0 || access > e.t.Size() {
		return at
	}
	return e.b.Op("mad.lo.u64", stride, j, at)
}

func (e *rowEmitter) offset(j, access int) int64 {
	if access > e.t.Size() {
		return int64(j * e.t.Size())
	}
	return 0
}

// largest returns the row's maximum; its order does not matter.
func (e *rowEmitter) largest(xs [][]*ptx.Reg) *ptx.Reg {
	m := e.most.newPartial(nil)
	for _, run := range xs {
		for _, x := range run {
			if e.packed && e.c == Float32 {
				e.b.Do("max.NaN."+e.c.suffix(), m.v, m.v, x)
				continue
			}
			e.most.take(m, x, nil)
		}
	}
	e.fold(e.most, m)
	return m.v
}

// exponentials replaces the x of a pass by exp(x − m), or by x − m where the
// logarithm is wanted, and returns the exponentials. A row whose maximum m is
// infinite or NaN gives any numbers.
func (e *rowEmitter) exponentials(xs [][]*ptx.Reg, m *ptx.Reg) func(p int) []*ptx.Reg {
	f := newFunction(e.b, e.c)
	return func(p int) []*ptx.Reg {
		var es []*ptx.Reg
		for j, x := range xs[p] {
			d := e.float("sub", x, m)
			y := f.expOfNegative(d)
			es = append(es, y)
			xs[p][j] = y
			if e.kind == rowLogSoftmax {
				xs[p][j] = d
			}
		}
		return es
	}
}

// total is the sum, in the order of a reduction, of what there is in each pass.
// That is computed one pass after the other: registers do not hold it beside xs.
func (e *rowEmitter) total(terms func(p int) []*ptx.Reg) *ptx.Reg {
	slots := make([]partial, e.run)
	for j := range slots {
		slots[j] = e.sum.newPartial(nil)
	}
	for p := range e.passes {
		for j, y := range terms(p) {
			e.sum.take(slots[j], y, nil)
		}
	}
	sum := e.sum.fold(slots)
	e.fold(e.sum, sum)
	return sum.v
}

// passesOf are xs as they are.
func passesOf(xs [][]*ptx.Reg) func(p int) []*ptx.Reg {
	return func(p int) []*ptx.Reg { return xs[p] }
}

// storeSoftmax stores the quotients by the sum or, of narrow types, which have bits
// to spare and no time, the products with its inverse.
func (e *rowEmitter) storeSoftmax(xs [][]*ptx.Reg, sum *ptx.Reg) {
	finish := "div"
	switch {
	case e.kind == rowLogSoftmax:
		finish, sum = "sub", emitOp(e.b, OpLog, e.c, e.c, sum)
	case e.t.Size() < 4:
		finish, sum = "mul", emitOp(e.b, OpReciprocal, e.c, e.c, sum)
	case e.t == Float32 && e.whole && e.blocks() > 1:
		e.storeDivided(xs, sum)
		return
	}
	e.store(func(p int) []*ptx.Reg {
		return each(xs[p], func(x *ptx.Reg) *ptx.Reg { return e.float(finish, x, sum) })
	})
}

// storeNarrowSoftmax is for float16 and bfloat16, which are bound by the number of
// instructions. The exponentials are 2²⁴ times too large, so that none that
// matters is subnormal and a power of two is an addition to the exponent; what
// is smaller than any that matters is less than 2⁻¹²⁶, and vanishes in the sum
// and in the result. A maximum that is no number makes the row NaN.
func (e *rowEmitter) storeNarrowSoftmax(xs [][]*ptx.Reg, m *ptx.Reg) {
	const up = 24
	b, f := e.b, newFunction(e.b, e.c)
	exps := func(p int) []*ptx.Reg {
		var es []*ptx.Reg
		for j, x := range xs[p] {
			d := f.sub(x, m)
			a := f.op("max"+f.s, d, -(126+up)*math.Ln2)
			sum := f.fma(a, f.log2e[0], f.round+up) // an integer, in the low bits
			part := f.fma(a, f.log2e[0], f.neg(f.sub(sum, f.round+up)))
			y := f.fma(f.polynomial(part, f.exp2), part, 1.0)
			y = floatFromBits(b, e.c, b.Op("mad.lo.u32", floatBits(b, e.c, sum), 1<<f.mantissa, floatBits(b, e.c, y)))
			es = append(es, y)
			xs[p][j] = y
			if e.kind == rowLogSoftmax {
				xs[p][j] = d
			}
		}
		return es
	}
	finite := f.is("lt", f.abs(m), math.Inf(1))
	sum := f.choose(finite, e.total(exps), math.NaN())
	if e.kind == rowLogSoftmax {
		log := emitOp(b, OpLog, e.c, e.c, f.mul(sum, math.Ldexp(1, -up)))
		e.store(func(p int) []*ptx.Reg { return each(xs[p], func(x *ptx.Reg) *ptx.Reg { return f.sub(x, log) }) })
		return
	}
	inverse := f.op("rcp.rn"+f.s, sum)
	e.store(func(p int) []*ptx.Reg { return each(xs[p], func(x *ptx.Reg) *ptx.Reg { return f.mul(x, inverse) }) })
}

func each(xs []*ptx.Reg, do func(x *ptx.Reg) *ptx.Reg) []*ptx.Reg {
	ys := make([]*ptx.Reg, len(xs))
	for i, x := range xs {
		ys[i] = do(x)
	}
	return ys
}

// store writes the results of each pass, as far as the row goes.
func (e *rowEmitter) store(results func(p int) []*ptx.Reg) {
	if e.whole {
		e.storePasses(results)
		return
	}
	b := e.b
	exit := b.NewLabel("exit")
	b.BraUnless(e.inside, exit)
	for p, i := range e.starts {
		ys := results(p)
		e.eachRun(i, func() { e.storeWhole(ys, e.address(i, e.outBase, e.outStride), 0) }, func(j int, at *ptx.Reg) { e.storeAt(ys[j], at) })
	}
	b.Bind(exit)
	b.Do("ret")
}

// storeWhole rounds and stores a run that lies in the row, 'far' bytes behind at,
// storeAt one element.
func (e *rowEmitter) storeWhole(ys []*ptx.Reg, at *ptx.Reg, far int64) {
	piece := min(e.out/e.t.Size(), e.run)
	if e.packed && e.t.Size() < 4 && piece > 1 {
		for j := 0; j < e.run; j += piece {
			words := e.b.Regs(ptx.B32, piece/2)
			for k, w := range words {
				e.b.Do("cvt.rn."+map[Type]string{Float16: "f16x2", BFloat16: "bf16x2"}[e.t]+".f32", w, ys[j+2*k+1], ys[j+2*k])
			}
			e.b.Do("st.global."+strings.ReplaceAll(wordAccess(e.t, piece), "u32", "b32"), e.b.At(at, far+e.offset(j, e.out)), wordOperand(e.b, words))
		}
		return
	}
	ys = each(ys, func(y *ptx.Reg) *ptx.Reg { return emitFit(e.b, e.t, y) })
	for j := 0; j < e.run; j += piece {
		storeVector(e.b, e.t, ys[j:j+piece], e.b.At(e.advance(at, j, e.out, e.outStride), far+e.offset(j, e.out)))
	}
}

func (e *rowEmitter) storeAt(y, i *ptx.Reg) {
	storeElement(e.b, e.t, emitFit(e.b, e.t, y), e.b.At(e.address(i, e.outBase, e.outStride), 0), nil)
}

// longestRow is the longest row that is held in registers.
func longestRow(t Type) int {
	if t == Float64 {
		return 8 * reduceSlots
	}
	return 16 * reduceSlots
}

// A rowPlan is what is to be planned: a kind of kernel over rows.
type rowPlan struct {
	kind       rowKind
	t          Type
	n          int
	r          *reduction // the operands, along the row and from row to row
	outStep    int        // along the row
	scales     [2]*Layout // weight and bias of a norm, along the row; nil: none
	correction int        // of a variance
	eps        float64    // of a norm
	split      bool       // a row is taken in pieces
	piece      int        // their size; 0: splitPiece
	tail       Op         // of a variance
}

// newRowPlan sets up r for the rows along an axis.
func newRowPlan(r *reduction, kind rowKind, e *Expr, out *Layout, in []Layout, axis int) rowPlan {
	r.out = valueType(e)
	step := r.alongRows(e, out, in, axis)
	return rowPlan{kind: kind, t: r.out, n: r.n, r: r, outStep: step}
}

// alongRows sets up r for an operation on the rows along an axis whose result has the
// operands' shape. It returns the distance of the result's elements along the row.
func (r *reduction) alongRows(e *Expr, out *Layout, in []Layout, axis int) (outStep int) {
	outer := *out
	copy(outer.Shape[axis:], out.Shape[axis+1:out.Rank])
	copy(outer.Strides[axis:], out.Strides[axis+1:out.Rank])
	outer.Rank--
	r.fill(e, &outer, in, 1<<axis)
	r.n = in[0].Shape[axis]
	r.kept.sortByOutput()
	r.kept.coalesce()
	return out.Strides[axis]
}

// single is the expression that is one operand of type t.
func (r *reduction) single(t Type, in Layout) (*Expr, []Layout) {
	r.one[0] = Node{Kind: Load, Type: t, Operand: 1}
	r.load.Nodes, r.layouts = r.one[:], append(r.layouts, in)
	return &r.load, r.layouts
}

func (s *rowPlan) count() int { return s.r.outputs() }

// inBlock says whether the rows are for a block's registers.
func (s *rowPlan) inBlock() bool { return s.n <= longestRow(s.t) && s.count() <= math.MaxInt32 }

func (s *rowPlan) planRows(p *Plan) error {
	size, rows, cluster := s.t.Size(), s.count(), s.inCluster(p) && !s.split
	k := &rowKernel{kind: s.kind, t: s.t, tail: s.tail, run: max(4, 16/size), kept: s.r.kept.rank}
	k.out, k.in = s.r.kept.access(0, s.outStep, size), s.r.walkForms(k.run)
	k.source = s.r.source
	if s.kind.isStatistic() {
		k.out = size
	}
	for i, l := range s.scales {
		if l != nil {
			k.scales[i] = size
			if all := l.Offset*size | 16; l.Strides[0] == 1 {
				k.scales[i] = max(all&-all, size)
			}
		}
	}
	k.passes, k.lanes = 1, ceilPow2(ceilDiv(s.n, k.run))
	if s.n > reduceSlots {
		k.lanes, k.passes = reduceSlots/k.run, ceilPow2(ceilDiv(s.n, reduceSlots))
	}
	k.threads = max(k.lanes, 128)
	grid := ceilDiv(rows, k.threads/k.lanes)
	if cluster {
		k.run, k.passes = clusterRun(s.t), reduceChunk/reduceSlots
		k.lanes = ceilPow2(ceilDiv(s.n, reduceChunk)) * reduceSlots / k.run
		k.threads, grid = k.lanes/clusterBlocks, rows*clusterBlocks
	}
	if s.split {
		if s.piece == 0 {
			s.piece = splitPiece(s.t, s.n)
		}
		k.split, k.passes = true, splitStep(s.t)/reduceSlots
		grid = rows * s.parts()
	}
	if s.r.tooHeavy(k.run * k.passes) {
		return ErrApart
	}
	k.whole = k.plain() && !k.split && k.passes > 1 && s.n == k.passes*k.run*k.lanes && k.inVectors()
	before := *p
	l := p.launch(k.key(), [3]uint32{uint32(grid), 1, 1}, [3]uint32{uint32(k.threads), 1, 1}, 0)
	s.r.pointers(l)
	l.index(s.n, s.split)
	l.value32(uint32(rows))
	l.value64(uint64(s.outStep * size))
	s.r.rowSteps(l)
	s.r.constants(l)
	s.parameters(l)
	if s.split {
		c := s.t.compute().Size()
		l.value32(uint32(s.piece))
		newSplit(s.parts(), momentsFan).scratch(p, l, rows, rows, c, c, c, c)
	}
	ks, sizes := s.r.operands(0, contiguous, strided, scalar)
	l.axes(&s.r.kept, 0, s.r.kept.rank, false, ks, sizes)
	if l.paramBytes() > maxParamBytes {
		p.Launches, p.Scratch, p.Tickets = before.Launches, before.Scratch, before.Tickets
		return ErrApart
	}
	return nil
}

// parameters adds those that only some kinds have.
func (s *rowPlan) parameters(l *Launch) {
	c := s.t.compute()
	if s.kind >= rowVariance && !s.split {
		l.count(float64(s.n), c)
	}
	if s.kind == rowLayerNorm {
		l.count(1/float64(s.n), c)
	}
	if s.kind == rowVariance {
		l.count(float64(max(s.n-s.correction, 0)), c)
	} else if s.kind >= rowLayerNorm {
		l.count(s.eps, c)
	}
	operand := s.r.index() // behind the expression's
	for _, w := range s.scales {
		if w != nil {
			l.pointer(operand, w.Offset*s.t.Size())
			operand++
			l.value64(uint64(w.Strides[0] * s.t.Size()))
		}
	}
}
