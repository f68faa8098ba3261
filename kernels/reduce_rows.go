package kernels

import (
	"fmt"
	"math"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A rowsKernel reduces with its lanes along the reduced axes. A group of
// 'lanes' threads takes a row (the elements of one result), each thread 'run'
// neighbouring slots of the tree:
//
//	one pass   n ≤ run·lanes ≤ 2048: each slot has at most one element; a block
//	           takes threads/lanes rows.
//	chunk      n ≤ 32768: run·lanes = 2048; one block a row walks through it
//	           in up to 16 passes.
//	split      many blocks share a row: each takes run·lanes slots of one
//	           chunk, and the last to finish combines their results.
type rowsKernel struct {
	source
	op, tail  Op
	in, out   Type
	run       int // neighbouring slots of a thread
	access    int // bytes that a load of values of type in would have; 0: elements are not neighbours in memory
	lanes     int // threads to a row
	threads   int // threads of a block
	kept, red int // axes
	form      rowsForm
	wide      bool // 64-bit indices
}

type rowsForm uint8

const (
	rowsOnePass rowsForm = iota
	rowsChunk
	rowsSplit
)

var rowsForms = []string{"once", "chunk", "split"}

func reduceRowsFamily() family {
	return family{
		prefix:   "reduce_rows",
		generate: generateReduceRows,
		name:     sourceName,
		embed:    embeddedReduceRows,
	}
}

func (k *rowsKernel) key() string {
	return newKey("reduce_rows").word(k.op.String()).word(k.in.String()).word(k.out.String()).
		word(rowsForms[k.form]).number("n", k.run).number("a", k.access).number("l", k.lanes).number("t", k.threads).
		number("k", k.kept).number("r", k.red).flag("wide", k.wide).tail(k.tail).source(&k.source).String()
}

func parseRowsKernel(key string) (*rowsKernel, error) {
	r := readKey(key)
	k := &rowsKernel{op: reduceOps[r.word(reduceNames()...)], in: r.elem(), out: r.elem(), form: rowsForm(r.word(rowsForms...)),
		run: r.number("n", 16), access: r.number("a", 128), lanes: r.number("l", 1024), threads: r.number("t", 1024),
		kept: r.number("k", MaxRank), red: r.number("r", MaxRank), wide: r.flag("wide")}
	k.tail = r.tail(k.out)
	one := contiguous
	if k.access == 0 {
		one = strided
	}
	k.source = r.source(k.in, one)
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkReduction(k.op, k.in, k.out); err != nil {
		return nil, err
	}
	for _, n := range []int{k.run, k.lanes, k.threads} {
		if n < 1 || n&(n-1) != 0 {
			return nil, fmt.Errorf("kernel key %q: sizes must be powers of two", key)
		}
	}
	if k.run*k.lanes > reduceSlots || k.lanes > k.threads || k.threads < 32 || k.form != rowsOnePass && k.lanes != k.threads {
		return nil, fmt.Errorf("kernel key %q: such a block is not possible", key)
	}
	if k.access&(k.access-1) != 0 || k.plain() && k.access > 16 || k.access == 0 && slices.Contains(k.forms[:k.index()], contiguous) || k.key() != key {
		return nil, fmt.Errorf("kernel key %q: its operands cannot be read so", key)
	}
	return k, nil
}

// planRows chooses the geometry.
func (r *reduction) planRows(p *Plan) {
	k := &rowsKernel{source: r.source, op: r.op, tail: r.tail, in: r.in(), out: r.out, wide: r.wide, kept: r.kept.rank, red: r.red.rank}
	r.rowForms(k)
	r.launchRows(p, k, k.chooseForm(r.n, r.outputs()))
}

// rowForms chooses how the operands are read: in vectors where those that are
// contiguous along the innermost reduced axis allow it, else element by element.
func (r *reduction) rowForms(k *rowsKernel) {
	inner, vector := r.red.rank-1, 16
	if k.weight() > 16 {
		vector = 4
	}
	neighbours := 0 // elements of a vector; 0: no operand is contiguous
	for i := 1; i < len(r.forms); i++ {
		switch {
		case r.types[i] == Invalid:
		case !k.plain() && i != r.index() && allZero(r.red.strides[i][:r.red.rank]):
			r.forms[i] = scalar
		case inner < 0 && i != r.index():
			r.forms[i], neighbours = contiguous, 1
		case inner >= 0 && r.red.strides[i][inner] == 1:
			r.forms[i] = contiguous
			if i != r.index() {
				vector = min(vector, r.align(&r.red, inner, i)/r.sizes[i])
				neighbours = vector
			}
		case inner >= 0 && r.red.strides[i][inner] == 0 && !k.plain() && i != r.index():
			r.forms[i] = broadcast
		default:
			r.forms[i] = strided
		}
	}
	k.run, k.access = max(4, neighbours), neighbours*k.in.Size()
	if r.red.rank > 1 && r.red.shape[inner]%k.run != 0 { // runs go on in other places
		k.run, k.access = 4, 0
		for i, f := range r.forms {
			if f == contiguous || f == broadcast {
				r.forms[i] = strided
			}
		}
	}
	k.forms = r.forms
}

// launchRows plans the launch of a kernel.
func (r *reduction) launchRows(p *Plan, k *rowsKernel, s split) {
	rows := r.outputs()
	grid := ceilDiv(rows, k.threads/k.lanes)
	if s.parts > 0 {
		grid = rows * s.parts
	}
	l := p.launch(k.key(), [3]uint32{uint32(grid), 1, 1}, [3]uint32{uint32(k.threads), 1, 1}, 0)
	r.pointers(l)
	l.index(r.n, k.wide)
	l.index(rows, k.wide)
	if s.parts > 0 {
		value, position := r.fieldSizes()
		s.scratch(p, l, rows, rows, value, position)
	}
	if r.op == OpMean {
		l.count(float64(r.n-r.correction), r.accumulator())
	}
	r.constants(l)
	ks, sizes := r.operands(0, contiguous, broadcast, strided, scalar)
	l.axes(&r.kept, 0, k.kept, k.wide, ks, sizes)
	ks, sizes = r.operands(1, contiguous, broadcast, strided)
	l.axes(&r.red, 0, k.red, k.wide, ks, sizes)
}

// chooseForm sets the form and the sizes of blocks.
func (k *rowsKernel) chooseForm(n, rows int) split {
	most := min(reduceSlots/k.run, 512)
	if n <= most*k.run {
		k.form, k.lanes = rowsOnePass, ceilPow2(ceilDiv(n, k.run))
		k.threads = max(k.lanes, 128)
		return split{}
	}
	chunks := ceilDiv(n, reduceChunk)
	k.lanes = most
	for k.lanes > 128 && rows*chunks*(reduceSlots/(k.lanes*k.run)) < 128 {
		k.lanes /= 2
	}
	k.threads = k.lanes
	parts := chunks * reduceSlots / (k.lanes * k.run)
	if parts == 1 {
		k.form = rowsChunk
		return split{}
	}
	k.form = rowsSplit
	return newSplit(parts, partialFan)
}

// count adds a number, of elements as a rule, as a value of type float32 or
// float64.
func (l *Launch) count(n float64, t Type) {
	if t == Float64 {
		l.value64(constantBits(t, n))
	} else {
		l.value32(uint32(constantBits(t, n)))
	}
}

func generateReduceRows(key string, target int) (*ptx.Module, error) {
	k, err := parseRowsKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

// rowsEmitter is the state of writing a rowsKernel.
type rowsEmitter struct {
	*reducer
	k     *rowsKernel
	n     *ptx.Reg // elements of a row
	load  *prologue
	again []int       // operands that are read along the row
	axes  []axisParam // with their strides
	bases []*ptx.Reg  // and their addresses at its start
	lane  *ptx.Reg    // number of the thread in its group
	start *ptx.Reg    // index of the thread's first element
	end   *ptx.Reg    // where the chunk, or the row, ends
	accs  []partial
}

func (k *rowsKernel) emit(b *ptx.Builder) {
	e := &rowsEmitter{reducer: newReducer(b, k.op, k.in, k.out, k.wide), k: k}
	e.reducer.tail = k.tail
	e.load = newPrologue(b, k.source)
	e.again = e.load.again()
	out := b.Param("out", ptx.U64)
	e.load.declarePointers()
	e.n = b.Ld(b.Param("n", e.position()))
	rows := b.Param("rows", e.position())
	var f *finish
	if k.form == rowsSplit {
		f, e.load.once = declareFinish(e.reducer, partialFan), true
	}
	var count *ptx.Reg
	if k.op == OpMean {
		count = b.Ld(b.Param("count", e.acc.reg()))
	}
	e.load.declareConstants()
	kept := declareAxes(b, "kept", k.kept, k.wide, append([]string{"out"}, e.load.names(e.load.all())...)...)
	e.axes = declareAxes(b, "axis", k.red, k.wide, e.load.names(e.again)...)
	b.MaxThreads(k.threads)
	if k.form == rowsSplit && k.registers(k.unroll()) <= splitRegisters {
		b.MinBlocks(1024 / k.threads)
	}
	if k.lanes > 32 {
		e.exchange(k.threads / 32)
	}

	exit := b.NewLabel("exit")
	row, part, inside := e.whichRow(f, b.Ld(rows))
	addresses := emitOffsets(b, kept, row, k.wide, append([]*ptx.Reg{b.Ld(out)}, e.load.bases()...)...)
	at := map[int]*ptx.Reg{}
	for i, o := range e.load.all() {
		at[o] = addresses[i+1]
	}
	for _, o := range e.again {
		e.bases = append(e.bases, at[o])
	}
	e.load.prepare(at)
	e.limits(part)
	e.accumulate()
	acc := e.fold(e.accs)
	e.foldThreads(acc, k.lanes)
	first := b.Op("setp.eq.u32", e.lane, 0)
	if f != nil {
		group := b.Op("mul.lo.u32", e.narrow(row), b.Ld(f.lines))
		f.store(first, b.Op("add.u32", group, part), acc)
		f.arrive(e.narrow(row), b.Ld(f.parts), exit)
		acc = f.combine(group, b.Ld(f.parts), []*ptx.Reg{nil}, []*ptx.Reg{nil}, e.lane, k.lanes)[0]
		e.foldThreads(acc, k.lanes)
	}
	if inside != nil {
		first = b.Op("and.pred", first, inside)
	}
	e.store(first, b.At(addresses[0], 0), acc, count)
	b.Bind(exit)
	b.Do("ret")
}

// whichRow returns the number of the group's row, which part of it the block
// takes, and whether there is such a row (nil: certainly). Groups behind the
// last row compute it again and store nothing.
func (e *rowsEmitter) whichRow(f *finish, rows *ptx.Reg) (row, part, inside *ptx.Reg) {
	b := e.b
	block, tid := b.Special("%ctaid.x"), b.Special("%tid.x")
	e.lane = tid
	switch {
	case f != nil:
		row, part = emitDivRem(b, block, b.Ld(f.parts))
		row = e.widen(row)
	case e.k.lanes == e.k.threads:
		row = e.widen(block)
	default:
		e.lane = b.Op("and.b32", tid, e.k.lanes-1)
		sub := b.Op("shr.u32", tid, log2(e.k.lanes))
		row = b.Op(e.pos("add"), b.Op(e.pos("mul.lo"), e.widen(block), e.k.threads/e.k.lanes), e.widen(sub))
		inside = b.Op(e.pos("setp.lt"), row, rows)
		row = b.Op(e.pos("min"), row, b.Op(e.pos("sub"), rows, 1))
	}
	return row, part, inside
}

// limits sets where the thread starts and its block ends.
func (e *rowsEmitter) limits(part *ptx.Reg) {
	b := e.b
	e.start, e.end = e.widen(b.Op("mul.lo.u32", e.lane, e.k.run)), e.n
	if part == nil {
		return
	}
	divisions := reduceSlots / (e.k.run * e.k.lanes) // parts of a chunk
	chunk := b.Op(e.pos("mul.lo"), e.widen(b.Op("shr.u32", part, log2(divisions))), reduceChunk)
	e.end = b.Op(e.pos("min"), e.n, b.Op(e.pos("add"), chunk, reduceChunk))
	within := b.Op("mul.lo.u32", b.Op("and.b32", part, divisions-1), e.k.run*e.k.lanes)
	e.start = b.Op(e.pos("add"), e.start, b.Op(e.pos("add"), chunk, e.widen(within)))
}

// accumulate takes the thread's elements into its accumulators, one for each
// of its slots.
func (e *rowsEmitter) accumulate() {
	b := e.b
	i := b.Reg(e.position())
	b.Do(e.pos("mov"), i, e.start)
	for s := range e.k.run {
		at := i
		if isArg(e.op) && s > 0 {
			at = b.Op(e.pos("add"), i, s)
		}
		e.accs = append(e.accs, e.newPartial(at))
	}
	if e.k.form == rowsOnePass {
		e.passes(i, 1, false)
	} else {
		most := e.k.unroll()
		e.passes(i, most, true)
		for n := most / 2; n > 0; n /= 2 {
			e.passes(i, n, false)
		}
	}
	if e.k.run > 1 {
		e.tail(i)
	}
}

// passes takes n passes' elements, if that many are left: as often as they
// are, or once. All loads come before the first use.
func (e *rowsEmitter) passes(i *ptx.Reg, n int, loop bool) {
	b := e.b
	again, done := b.NewLabel("passes"), b.NewLabel("passed")
	b.Bind(again)
	// i + … may not overflow: end is below 2³¹, or indices have 64 bits.
	need := b.Op(e.pos("add"), i, (n-1)*reduceSlots+e.k.run)
	b.BraIf(b.Op(e.pos("setp.gt"), need, e.end), done)
	runs := make([][][]*ptx.Reg, n)
	at := make([]*ptx.Reg, n)
	for j := range n {
		at[j] = i
		if j > 0 {
			at[j] = b.Op(e.pos("add"), i, j*reduceSlots)
		}
		runs[j] = e.loadRun(at[j])
	}
	for j, xs := range runs {
		for s, x := range xs {
			e.take(e.accs[s], e.element(e.load.value(x)), e.positionOf(at[j], s))
		}
	}
	b.Do(e.pos("add"), i, i, n*reduceSlots)
	if loop {
		b.Bra(again)
	}
	b.Bind(done)
}

// tail takes the elements of the run that the row's end cuts.
func (e *rowsEmitter) tail(i *ptx.Reg) {
	b := e.b
	done := b.NewLabel("whole")
	b.BraIf(b.Op(e.pos("setp.ge"), i, e.end), done)
	for s := range e.k.run - 1 {
		at := i
		if s > 0 {
			at = b.Op(e.pos("add"), i, s)
		}
		b.BraIf(b.Op(e.pos("setp.ge"), at, e.end), done)
		x := e.load.values(1)
		e.loadAt(x, e.again, at)
		e.take(e.accs[s], e.element(e.load.value(x[0])), at)
	}
	b.Bind(done)
}

// positionOf returns the position of element s of the run at i; where positions
// do not matter, anything.
func (e *rowsEmitter) positionOf(i *ptx.Reg, s int) *ptx.Reg {
	if !isArg(e.op) || s == 0 {
		return i
	}
	return e.b.Op(e.pos("add"), i, s)
}

// loadRun loads the run that starts with element i.
func (e *rowsEmitter) loadRun(i *ptx.Reg) [][]*ptx.Reg {
	run := e.load.values(e.k.run)
	e.loadAt(run, e.load.operands(contiguous, broadcast), i)
	far := e.load.operands(strided)
	for s := range run {
		at := i
		if s > 0 && len(far) > 0 {
			at = e.b.Op(e.pos("add"), i, s)
		}
		e.loadAt(run[s:s+1], far, at)
	}
	return run
}

// loadAt loads operands of neighbouring elements from i on.
func (e *rowsEmitter) loadAt(run [][]*ptx.Reg, ks []int, i *ptx.Reg) {
	if len(ks) == 0 {
		return
	}
	var bases []*ptx.Reg
	for j, k := range e.again {
		if slices.Contains(ks, k) {
			bases = append(bases, e.bases[j])
		}
	}
	at := emitOffsets(e.b, pickAxes(e.axes, e.again, ks), i, e.wide, bases...)
	for j, k := range ks {
		access := e.k.access / e.in.Size() * e.load.operand(k).Size()
		e.load.load(run, k, at[j], access, 1)
	}
}

// unroll is the number of passes whose loads are in flight at once.
func (k *rowsKernel) unroll() int {
	n, split := 4, k.form == rowsSplit
	if split && k.registers(8) <= splitRegisters {
		n = 8
	}
	for n > 1 && (n*k.loads() > 8 || n*k.run*k.weight() > 256 || split && n*k.words() > splitWords) {
		n /= 2
	}
	return n
}

// A thread of the split form has up to 128 bytes in flight, and, where it does with
// them, the registers that leave room for 1024 threads on a multiprocessor: fewer
// bytes and more threads, or the reverse, are slower. Left alone, the assembler
// takes 32 registers, and so waits for half of the loads before it starts the rest.
const splitWords, splitRegisters = 32, 64

// words is the number of registers that the loads of a pass fill.
func (k *rowsKernel) words() int {
	n := 0
	for o, f := range k.forms[:k.index()] {
		switch f {
		case contiguous:
			n += ceilDiv(k.run*k.operand(o).Size(), 4)
		case strided:
			n += k.run * registersOf(k.operand(o))
		case broadcast:
			n += registersOf(k.operand(o))
		}
	}
	return n
}

// registers is about how many a thread takes that has the loads of n passes in
// flight, if these are vectors.
func (k *rowsKernel) registers(n int) int {
	if k.access == 0 {
		return math.MaxInt
	}
	slot, others := registersOf(accumulator(k.op, k.in, k.out)), 20
	if isArg(k.op) {
		slot++
	}
	if k.wide {
		others += 10
	}
	return k.run*slot + n*k.words() + others + 10*(max(k.red, 1)-1)
}

// widen brings a U32 to the type of positions, narrow back.
func (r *reducer) widen(x *ptx.Reg) *ptx.Reg {
	if r.wide {
		return r.b.Op("cvt.u64.u32", x)
	}
	return x
}

func (r *reducer) narrow(x *ptx.Reg) *ptx.Reg {
	if r.wide {
		return r.b.Op("cvt.u32.u64", x)
	}
	return x
}

func log2(n int) int {
	k := 0
	for n > 1<<k {
		k++
	}
	return k
}
