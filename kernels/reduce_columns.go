package kernels

import (
	"fmt"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A columnsKernel reduces with its lanes along a kept axis, the one that runs
// through memory in the smallest steps; a column is the elements of one result.
// A block has lanes × groups threads. Each thread takes 'vec' neighbouring
// columns and 'run' neighbouring slots of the tree, in each of up to 16 passes;
// the groups of a block take neighbouring runs; so a block makes one node of
// the tree over groups·run slots, for lanes·vec columns. Where that is not the
// whole tree (split), the last of the blocks that share columns finishes them.
// Where they are many (teams), the last of each team combines what its team left,
// while other blocks still read, and the last of those finishes the columns.
type columnsKernel struct {
	source
	op, tail      Op
	in, out       Type
	vec           int // neighbouring columns of a thread, one load
	run           int // neighbouring slots of a thread
	lanes, groups int
	kept, red     int // axes; kept counts those besides the lanes'
	split, teams  bool
	wide          bool // 64-bit indices
	moments       momentsOf
}

func reduceColumnsFamily() family {
	return family{
		prefix:   "reduce_columns",
		generate: generateReduceColumns,
		name:     sourceName,
		embed:    embeddedReduceColumns,
	}
}

func (k *columnsKernel) key() string {
	return newKey("reduce_columns").word(k.op.String()).word(k.in.String()).word(k.out.String()).
		number("v", k.vec).number("n", k.run).number("l", k.lanes).number("g", k.groups).
		number("k", k.kept).number("r", k.red).flag("split", k.split).flag("teams", k.teams).flag("wide", k.wide).flag("moments", k.moments != noMoments).flag("once", k.moments == momentsOnce).tail(k.tail).source(&k.source).String()
}

func parseColumnsKernel(key string) (*columnsKernel, error) {
	r := readKey(key)
	k := &columnsKernel{op: reduceOps[r.word(reduceNames()...)], in: r.elem(), out: r.elem(),
		vec: r.number("v", 8), run: r.number("n", 16), lanes: r.number("l", 256), groups: r.number("g", 256),
		kept: r.number("k", MaxRank), red: r.number("r", MaxRank), split: r.flag("split"), teams: r.flag("teams"), wide: r.flag("wide")}
	if r.flag("moments") {
		if k.moments = momentsOfMany; r.flag("once") {
			k.moments = momentsOnce
		}
	}
	k.tail = r.tail(k.out)
	k.source = r.source(k.in, contiguous)
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkReduction(k.op, k.in, k.out); err != nil {
		return nil, err
	}
	for _, n := range []int{k.vec, k.run, k.lanes, k.groups} {
		if n < 1 || n&(n-1) != 0 {
			return nil, fmt.Errorf("kernel key %q: sizes must be powers of two", key)
		}
	}
	for i, f := range k.forms {
		if f == strided || i > 0 && i < k.index() && f == contiguous && k.vec*k.operand(i).Size() > 16 {
			return nil, fmt.Errorf("kernel key %q: its operands cannot be read so", key)
		}
	}
	if k.moments != noMoments && (k.op != OpMean || !k.in.IsFloat() || k.in != k.out) {
		return nil, fmt.Errorf("kernel key %q: only means of floating-point numbers have moments", key)
	}
	if k.key() != key || k.teams && !k.split || k.run*k.groups > reduceSlots || k.lanes*k.groups > 1024 {
		return nil, fmt.Errorf("kernel key %q: such a block is not possible", key)
	}
	return k, nil
}

// planColumns chooses the geometry. It declines (returns false) where so few
// columns lie side by side that blocks would be small.
func (r *reduction) planColumns(p *Plan) bool {
	lane := r.laneAxis()
	k := &columnsKernel{source: r.source, op: r.op, tail: r.tail, in: r.in(), out: r.out, kept: r.kept.rank - 1, red: r.red.rank, wide: r.wide}
	if r.moments {
		if k.moments = momentsOfMany; r.n <= reduceSlots {
			k.moments = momentsOnce
		}
	}
	columns := r.kept.shape[lane]
	k.vec = r.columnForms(lane)
	for k.vec > 1 && k.vec*k.weight() > 256 {
		k.vec /= 2
	}
	k.forms = r.forms
	slots := min(ceilPow2(r.n), reduceSlots)
	k.run = min(max(32/k.vec, 2), 8, slots)
	for k.run > 1 && (k.run*k.loads() > 8 || k.run*k.vec*k.weight() > 256 || r.moments && k.run*k.vec*registersOf(k.in) > momentWords) {
		k.run /= 2
	}
	k.groups = min(slots/k.run, 8)
	k.lanes = min(ceilPow2(columns/k.vec), 256/k.groups)
	k.groups = min(slots/k.run, 256/k.lanes)
	if k.lanes*k.groups < 64 && columns < r.outputs() && !r.moments {
		return false
	}
	parts := k.parts(r.n)
	k.split, k.teams = parts > 1, parts >= fewestTeams*k.team()
	r.launchColumns(p, k, lane)
	return true
}

// launchColumns plans the launch of a kernel.
func (r *reduction) launchColumns(p *Plan, k *columnsKernel, lane int) {
	s := newSplit(k.parts(r.n), k.fan())
	if k.teams {
		s = newTeamSplit(s.parts, k.team(), k.fan())
	}
	columns := r.kept.shape[lane]
	tiles, outer := ceilDiv(columns/k.vec, k.lanes), r.outputs()/columns
	l := p.launch(k.key(), [3]uint32{uint32(tiles * s.parts * outer), 1, 1}, [3]uint32{uint32(k.lanes * k.groups), 1, 1}, 0)
	r.pointers(l)
	l.index(r.n, k.wide)
	l.value32(uint32(tiles))
	l.index(columns, k.wide)
	ks, sizes := r.operands(0, contiguous, broadcast, scalar)
	for i, o := range ks {
		l.value64(uint64(r.kept.strides[o][lane] * sizes[i]))
	}
	if k.split {
		value, more := r.fieldSizes()
		if r.moments {
			s.scratch(p, l, columns*outer, tiles*outer, value, value, value, value)
		} else {
			s.scratch(p, l, columns*outer, tiles*outer, value, more)
		}
	}
	if r.op == OpMean {
		l.count(float64(r.n-r.correction), r.accumulator())
	}
	r.constants(l)
	r.kept.remove(lane)
	l.axes(&r.kept, 0, k.kept, k.wide, ks, sizes)
	ks, sizes = r.operands(1, contiguous, broadcast)
	l.axes(&r.red, 0, k.red, k.wide, ks, sizes)
}

// parts is how many blocks share a column of n elements.
func (k *columnsKernel) parts(n int) int {
	slots := min(ceilPow2(n), reduceSlots)
	return ceilDiv(n, reduceChunk) * (slots / (k.run * k.groups))
}

// columnForms chooses how the operands are read, and returns how many
// neighbouring columns a thread takes.
func (r *reduction) columnForms(lane int) int {
	vec, whole := 8, r.kept.shape[lane]
	for i := 1; i < len(r.forms); i++ {
		step := r.kept.strides[i][lane]
		r.forms[i] = contiguous
		switch {
		case r.types[i] == Invalid:
			r.forms[i] = noForm
		case i == r.index():
		case !r.plain() && allZero(r.red.strides[i][:r.red.rank]):
			r.forms[i] = scalar
		case !r.plain() && step == 0:
			r.forms[i] = broadcast
		case step == 1:
			vec = min(vec, r.align(&r.kept, lane, i)/r.sizes[i])
		default:
			vec = 1
		}
	}
	for whole%vec != 0 {
		vec /= 2
	}
	return vec
}

// laneAxis returns the kept axis with the smallest stride that is not 0.
func (r *reduction) laneAxis() int {
	best := 0
	for i := 1; i < r.kept.rank; i++ {
		s, t := magnitude(r.kept.strides[r.main][i]), magnitude(r.kept.strides[r.main][best])
		if s != 0 && (t == 0 || s <= t) {
			best = i
		}
	}
	return best
}

func generateReduceColumns(key string, target int) (*ptx.Module, error) {
	k, err := parseColumnsKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

// resident is how many blocks are to fit on a multiprocessor, where the assembler,
// left alone, saves registers by spilling some; 0 leaves it alone. Sums have what they
// need, and lose where fewer threads run.
func (k *columnsKernel) resident() int {
	threads := k.lanes * k.groups
	switch {
	case k.moments != noMoments:
		return 2
	case !k.split || !k.plain() || threads > 256:
		return 0
	case k.op == OpAny || k.op == OpAll:
		return 768 / threads
	case isArg(k.op):
		return 512 / threads
	}
	return 0
}

// fan is how many partial results a thread combines at once.
func (k *columnsKernel) fan() int {
	switch {
	case k.moments != noMoments:
		return momentsFan
	case isArg(k.op):
		return partialFan // wideFan spills
	}
	return wideFan
}

// workers is how many of a block's threads share a column in the finish.
func (k *columnsKernel) workers() int { return max(k.groups/k.vec, 1) }

// team is how many blocks make a team: their threads combine as many partial
// results in one round.
func (k *columnsKernel) team() int { return k.workers() * k.fan() }

// fewestTeams is how many teams pay. On an H100 eight do; one or two hand on what they
// have no sooner than the last block would have combined everything.
const fewestTeams = 8

// columnsEmitter is the state of writing a columnsKernel.
type columnsEmitter struct {
	*reducer
	k      *columnsKernel
	load   *prologue
	again  []int       // operands that are read along the column
	axes   []axisParam // with their strides
	bases  []*ptx.Reg  // their addresses at the thread's first element
	steps  map[int]*ptx.Var
	lane   *ptx.Reg // number of the thread's vector in the block
	group  *ptx.Reg
	column *ptx.Reg     // the thread's first column
	shared [][]*ptx.Reg // for each column, values that are the same down the column
	i, end *ptx.Reg     // the run's first element in this pass; where the chunk, or the column, ends
	accs   [][]partial

	slots  [][]momentSlot // of moments: for each column and slot
	counts []*ptx.Reg     // of elements, for each slot
}

func (k *columnsKernel) emit(b *ptx.Builder) {
	e := &columnsEmitter{reducer: newReducer(b, k.op, k.in, k.out, k.wide), k: k}
	e.reducer.tail = k.tail
	if k.moments != noMoments {
		e.form = momentsPartial
	}
	e.load = newPrologue(b, k.source)
	e.again = e.load.again()
	out := b.Param("out", ptx.U64)
	e.load.declarePointers()
	n := b.Param("n", e.position())
	tiles, columns := b.Param("tiles", ptx.U32), b.Param("columns", e.position())
	outStride := b.Param("column_out", ptx.U64)
	e.steps = map[int]*ptx.Var{}
	for _, o := range e.load.all() {
		e.steps[o] = b.Param("column_"+e.load.name(o), ptx.U64)
	}
	var f *finish
	if k.split {
		e.load.once = k.lanes*k.vec*k.in.Size() >= 128 // whole lines
		f = declareFinish(e.reducer, k.fan())
		f.columns = e.narrow(b.Ld(columns))
	}
	var count *ptx.Reg
	if k.op == OpMean {
		count = b.Ld(b.Param("count", e.acc.reg()))
	}
	e.load.declareConstants()
	kept := declareAxes(b, "kept", k.kept, k.wide, append([]string{"out"}, e.load.names(e.load.all())...)...)
	e.axes = declareAxes(b, "axis", k.red, k.wide, e.load.names(e.again)...)
	b.MaxThreads(k.lanes * k.groups)
	if n := k.resident(); n > 0 {
		b.MinBlocks(n)
	}
	if k.groups > 1 {
		e.exchange(k.lanes * k.groups * k.vec)
	}

	exit := b.NewLabel("exit")
	tid := b.Special("%tid.x")
	e.lane = b.Op("and.b32", tid, k.lanes-1)
	e.group = b.Op("shr.u32", tid, log2(k.lanes))
	block, tile := emitDivRem(b, b.Special("%ctaid.x"), b.Ld(tiles))
	outer, part := block, (*ptx.Reg)(nil)
	if f != nil {
		outer, part = emitDivRem(b, block, b.Ld(f.parts))
	}
	inside := e.whichColumn(tile, b.Ld(columns))
	addresses := emitOffsets(b, kept, e.widen(outer), k.wide, append([]*ptx.Reg{b.Ld(out)}, e.load.bases()...)...)
	e.start(addresses[1:])
	result := b.Op("mad.lo.u64", e.column64(), b.Ld(outStride), addresses[0])
	e.limits(part, b.Ld(n))
	e.accumulate()
	accs := make([]partial, k.vec)
	for v := range accs {
		accs[v] = e.fold(e.accs[v])
	}
	e.foldGroups(accs, k.lanes, k.groups, e.group)
	first := b.Op("setp.eq.and.u32", e.group, 0, inside)
	if f == nil {
		for v := range accs {
			if v > 0 {
				result = b.Op("add.u64", result, b.Ld(outStride))
			}
			e.store(first, b.At(result, 0), accs[v], count)
		}
	} else {
		names := e.columnNumbers()
		line := b.Op("mul.lo.u32", outer, b.Ld(f.lines))
		for v := range accs {
			f.store(first, f.place(b.Op("add.u32", line, part), names[v]), accs[v])
		}
		ticket, lines := b.Op("mad.lo.u32", outer, b.Ld(tiles), tile), b.Ld(f.parts)
		if k.teams {
			ticket, line, lines = e.finishTeam(f, ticket, line, part, tile, exit)
		}
		f.arrive(ticket, lines, exit)
		e.finish(f, line, lines, tile, func(column, pred *ptx.Reg, p partial) {
			at := b.Op("mad.lo.u64", b.Op("cvt.u64.u32", column), b.Ld(outStride), addresses[0])
			e.store(pred, b.At(at, 0), p, count)
		})
	}
	b.Bind(exit)
	b.Do("ret")
}

// finishTeam combines, in the last block of a team, what its blocks left, into a line
// behind theirs. It returns the ticket of the teams, the first of their lines, and how
// many there are.
func (e *columnsEmitter) finishTeam(f *finish, ticket, line, part, tile *ptx.Reg, exit *ptx.Label) (above, first, teams *ptx.Reg) {
	b, size := e.b, e.k.team()
	parts := b.Ld(f.parts)
	team := b.Op("shr.u32", part, log2(size))
	before := b.Op("mul.lo.u32", team, size)
	teams = b.Op("shr.u32", b.Op("add.u32", parts, size-1), log2(size))
	ticket = b.Op("mul.lo.u32", ticket, b.Op("add.u32", teams, 1))
	first = b.Op("add.u32", line, parts)
	blocks := b.Op("min.u32", b.Op("sub.u32", parts, before), size)
	f.arrive(b.Op("add.u32", ticket, team), blocks, exit)
	e.finish(f, b.Op("add.u32", line, before), blocks, tile, func(column, pred *ptx.Reg, p partial) {
		f.store(pred, f.place(b.Op("add.u32", first, team), column), p)
	})
	return b.Op("add.u32", ticket, teams), first, teams
}

// finish combines neighbouring lines of this tile of columns. The threads are dealt out
// anew: neighbours take neighbouring columns, one each, and where there are more threads
// than columns, several share a column.
func (e *columnsEmitter) finish(f *finish, line, lines, tile *ptx.Reg, store func(column, pred *ptx.Reg, p partial)) {
	b, tid := e.b, e.b.Special("%tid.x")
	threads, width, workers := e.k.lanes*e.k.groups, e.k.lanes*e.k.vec, e.k.workers()
	worker := b.Op("shr.u32", tid, log2(threads/workers))
	first := b.Op("mul.lo.u32", tile, width)
	start := b.Op("add.u32", first, b.Op("and.b32", tid, threads/workers-1))
	var columns, insides []*ptx.Reg
	for j := 0; j < width; j += threads {
		c := addConst(b, start, j)
		inside := b.Op("setp.lt.u32", c, f.columns)
		// Those behind the last column combine the tile's first one again: other
		// tiles' blocks may not have stored theirs yet.
		columns, insides = append(columns, b.Op("selp.u32", c, first, inside)), append(insides, inside)
	}
	accs := f.combine(line, lines, columns, insides, worker, workers)
	e.foldGroups(accs, threads/workers, workers, worker)
	for j, c := range columns {
		store(c, b.Op("setp.eq.and.u32", worker, 0, insides[j]), accs[j])
	}
}

// start finds the thread's first elements, and reads what is the same down its
// columns. The addresses are those of column 0.
func (e *columnsEmitter) start(addresses []*ptx.Reg) {
	at := map[int]*ptx.Reg{}
	for i, o := range e.load.all() {
		at[o] = e.b.Op("mad.lo.u64", e.column64(), e.b.Ld(e.steps[o]), addresses[i])
	}
	for _, o := range e.again {
		e.bases = append(e.bases, at[o])
	}
	scalars := e.load.operands(scalar)
	for v := range e.k.vec {
		if v > 0 {
			for _, o := range scalars {
				at[o] = e.b.Op("add.u64", at[o], e.b.Ld(e.steps[o]))
			}
		}
		e.load.prepare(at)
		e.shared = append(e.shared, e.load.shared)
		if len(scalars) == 0 {
			break
		}
	}
}

// values returns the values of the nodes, as far as they are known, for each of
// the thread's columns.
func (e *columnsEmitter) values() [][]*ptx.Reg {
	vs := make([][]*ptx.Reg, e.k.vec)
	for v := range vs {
		vs[v] = slices.Clone(e.shared[min(v, len(e.shared)-1)])
	}
	return vs
}

// emitDivRem returns x/d and x%d.
func emitDivRem(b *ptx.Builder, x, d *ptx.Reg) (quo, rem *ptx.Reg) {
	quo = b.Op("div.u32", x, d)
	return quo, b.Op("sub.u32", x, b.Op("mul.lo.u32", quo, d))
}

// whichColumn sets the thread's first column and returns whether there is one.
// Lanes behind the last column compute column 0 again and store nothing.
func (e *columnsEmitter) whichColumn(tile, columns *ptx.Reg) (inside *ptx.Reg) {
	b := e.b
	vector := b.Op(e.pos("mad.lo"), e.widen(tile), e.k.lanes, e.widen(e.lane))
	c := b.Op(e.pos("mul.lo"), vector, e.k.vec)
	inside = b.Op(e.pos("setp.lt"), c, columns)
	e.column = b.Op(e.pos("selp"), c, 0, inside)
	return inside
}

func (e *columnsEmitter) column64() *ptx.Reg {
	if e.wide {
		return e.column
	}
	return e.b.Op("cvt.u64.u32", e.column)
}

// columnNumbers returns the numbers of the thread's columns as U32.
func (e *columnsEmitter) columnNumbers() []*ptx.Reg {
	names := []*ptx.Reg{e.narrow(e.column)}
	for v := 1; v < e.k.vec; v++ {
		names = append(names, e.b.Op("add.u32", names[0], v))
	}
	return names
}

// limits sets where the thread starts and its block ends.
func (e *columnsEmitter) limits(part, n *ptx.Reg) {
	b := e.b
	e.i, e.end = b.Reg(e.position()), n
	start := e.widen(b.Op("mul.lo.u32", e.group, e.k.run))
	if part != nil {
		divisions := reduceSlots / (e.k.run * e.k.groups) // parts of a chunk
		chunk := b.Op(e.pos("mul.lo"), e.widen(b.Op("shr.u32", part, log2(divisions))), reduceChunk)
		e.end = b.Op(e.pos("min"), n, b.Op(e.pos("add"), chunk, reduceChunk))
		within := b.Op("mul.lo.u32", b.Op("and.b32", part, divisions-1), e.k.run*e.k.groups)
		start = b.Op(e.pos("add"), start, b.Op(e.pos("add"), chunk, e.widen(within)))
	}
	b.Do(e.pos("mov"), e.i, start)
}

// accumulate takes the thread's elements into accs[column][slot].
func (e *columnsEmitter) accumulate() {
	b, k := e.b, e.k
	e.accs = make([][]partial, k.vec)
	if k.moments != noMoments {
		e.beginMoments()
		defer e.endMoments()
	}
	for s := range k.run {
		if k.moments != noMoments {
			break
		}
		at := e.positionOf(s)
		for v := range k.vec {
			e.accs[v] = append(e.accs[v], e.newPartial(at))
		}
	}
	again, cut, done := b.NewLabel("pass"), b.NewLabel("cut"), b.NewLabel("done")
	b.Bind(again)
	b.BraIf(b.Op(e.pos("setp.gt"), b.Op(e.pos("add"), e.i, k.run), e.end), cut)
	rows := make([][][]*ptx.Reg, k.run)
	addresses := e.addresses()
	for s := range rows {
		rows[s] = e.loadRow(addresses[s])
	}
	for s, xs := range rows {
		e.takeRow(s, xs, e.positionOf(s))
	}
	b.Do(e.pos("add"), e.i, e.i, reduceSlots)
	b.Bra(again)

	b.Bind(cut)
	addresses = e.addresses()
	for s := range k.run - 1 {
		at := e.i
		if s > 0 {
			at = b.Op(e.pos("add"), e.i, s)
		}
		b.BraIf(b.Op(e.pos("setp.ge"), at, e.end), done)
		e.takeRow(s, e.loadRow(addresses[s]), at)
	}
	b.Bind(done)
}

// loadRow loads one element of each of the thread's columns.
func (e *columnsEmitter) loadRow(addresses []*ptx.Reg) [][]*ptx.Reg {
	row := e.values()
	for j, k := range e.again {
		e.load.load(row, k, addresses[j], 16, e.step(k))
	}
	return row
}

// step is the distance of operand k from column to column; only the index's
// matters.
func (e *columnsEmitter) step(k int) *ptx.Reg {
	if k != e.load.index() {
		return nil
	}
	return e.b.Ld(e.steps[k])
}

func (e *columnsEmitter) takeRow(s int, row [][]*ptx.Reg, at *ptx.Reg) {
	for v, x := range row {
		value := e.element(e.load.value(x))
		if e.slots != nil {
			e.takeMoment(s, v, value)
			continue
		}
		e.take(e.accs[v][s], value, at)
	}
	if e.slots != nil {
		e.countMoment(s)
	}
}

// positionOf returns the position of slot s of the run; where positions do not
// matter, anything.
func (e *columnsEmitter) positionOf(s int) *ptx.Reg {
	if !isArg(e.op) || s == 0 {
		return e.i
	}
	return e.b.Op(e.pos("add"), e.i, s)
}

// addresses returns, for each slot of the run, the operands' addresses in the
// first column.
func (e *columnsEmitter) addresses() [][]*ptx.Reg {
	b := e.b
	ps := [][]*ptx.Reg{emitOffsets(b, e.axes, e.i, e.wide, e.bases...)}
	for s := 1; s < e.k.run; s++ {
		if len(e.axes) == 1 {
			next := make([]*ptx.Reg, len(e.bases))
			for j, at := range ps[s-1] {
				next[j] = b.Op("add.u64", at, b.Ld(e.axes[0].strides[j]))
			}
			ps = append(ps, next)
		} else {
			ps = append(ps, emitOffsets(b, e.axes, b.Op(e.pos("add"), e.i, s), e.wide, e.bases...))
		}
	}
	return ps
}

// foldGroups combines partials over groups of 'lanes' threads, column by column,
// neighbours first; there are 'groups' of them, and the thread is in number
// group. The first group gets the result.
func (e *columnsEmitter) foldGroups(accs []partial, lanes, groups int, group *ptx.Reg) {
	b := e.b
	if groups == 1 {
		return
	}
	tid := b.Special("%tid.x")
	b.Do("bar.sync", 0) // what was read from this memory before has been read
	for step := 1; step < groups; step *= 2 {
		// Groups that are an odd multiple of step hand theirs to their left neighbour.
		state := b.Op("and.b32", group, 2*step-1)
		gives := b.Op("setp.eq.u32", state, step)
		for v := range accs {
			e.share(gives, addConst(b, tid, v*lanes*groups), accs[v])
		}
		b.Do("bar.sync", 0)
		skip := b.NewLabel("gave")
		b.BraIf(b.Op("setp.ne.u32", state, 0), skip)
		for v := range accs {
			q := e.newPartial(e.never())
			e.unshare(q, b.Op("add.u32", tid, step*lanes+v*lanes*groups))
			e.combine(accs[v], q)
		}
		b.Bind(skip)
	}
}
