package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// scanEmitter is the state of writing a scanKernel.
type scanEmitter struct {
	*reducer
	k                          *scanKernel
	walk                       *walk
	along                      []*ptx.Reg // the tile's first element, by operand
	inBase, inStep             *ptx.Reg   // and bytes between elements, where the expression is one load
	outBase, outStep           *ptx.Reg
	left                       *ptx.Reg   // elements of the row from the tile's first on, at most a tile's
	lane, warp                 *ptx.Reg   // of the row's
	starts                     []*ptx.Reg // the thread's runs, counted from the tile's first element
	inside                     *ptx.Reg   // whether the thread's row exists
	tickets, tiles, slots, all *ptx.Var   // of a split
	row, tile                  *ptx.Reg
	number                     *ptx.Var // shared memory: of the block, by when it started
	before                     *ptx.Reg // the number of blocks that left before this one

	// preceding returns what precedes the warp's stretch in the row, of which the total
	// is given; nil where a warp has all of the row.
	preceding func(total *ptx.Reg) *ptx.Reg
}

func (k *scanKernel) emit(b *ptx.Builder) {
	e := &scanEmitter{reducer: newReducer(b, k.op, k.in, k.out, false), k: k}
	e.walk = newWalk(b, k.source, k.inAccess)
	out := b.Param("out", ptx.U64)
	e.walk.declarePointers()
	n, rows := b.Ld(b.Param("n", ptx.U64)), b.Ld(b.Param("rows", ptx.U32))
	e.outStep = b.Ld(b.Param("step_out", ptx.U64))
	e.walk.declareSteps()
	e.walk.declareConstants()
	if k.split {
		e.tickets, e.tiles, e.slots, e.all = b.Param("tickets", ptx.U64), b.Param("tiles", ptx.U32), b.Param("slots", ptx.U32), b.Param("words", ptx.U64)
		e.number = b.Shared("number", ptx.U32, 4, 1)
	}
	kept := declareAxes(b, "kept", k.kept, false, append([]string{"out"}, e.walk.names(e.walk.all())...)...)
	b.MaxThreads(k.threads())
	if k.warps > 1 {
		e.exchange(2 * k.warps)
		e.preceding = e.precedingWarps
	}
	e.place(rows)
	e.inside = b.Op("setp.lt.u32", e.row, rows)
	row := e.row
	if k.groups() > 1 && !k.plain() { // what is the same along a row is read of any
		row = b.Op("min.u32", row, b.Op("sub.u32", rows, 1))
	}
	bases := emitOffsets(b, kept, row, false, append([]*ptx.Reg{b.Ld(out)}, e.walk.bases()...)...)
	e.outBase, e.along = bases[0], e.walk.begin(bases[1:])
	if k.split {
		first := b.Op("mul.wide.u32", e.tile, k.size())
		n = b.Op("sub.u64", n, first)
		e.outBase = b.Op("mad.lo.u64", first, e.outStep, e.outBase)
		e.along = e.walk.from(e.along, first)
	}
	if k.plain() {
		e.inBase, e.inStep = e.along[1], b.Ld(e.walk.steps[1])
	}
	e.left = b.Op("cvt.u32.u64", b.Op("min.u64", n, k.size()))
	e.runs()
	if k.split && k.plain() && k.inAccess > k.in.Size() {
		e.prefetch()
	}
	xs := e.load()
	e.scan(xs)
	if k.split {
		e.leave()
	}
	e.store(xs)
	if k.split {
		e.clear()
	}
	b.Do("ret")
}

// size is the number of elements of a row that a block holds.
func (k *scanKernel) size() int { return scanRun * k.lanes * k.rounds * k.warps }

// place finds the thread's row and its place in it. Groups behind the last row
// take that row again and store nothing.
func (e *scanEmitter) place(rows *ptx.Reg) {
	b, k, tid := e.b, e.k, e.b.Special("%tid.x")
	block := b.Special("%ctaid.x")
	e.lane = b.Op("and.b32", tid, k.lanes-1)
	switch {
	case k.split:
		e.row, e.tile = emitDivRem(b, e.ticket(), b.Ld(e.tiles))
	case k.groups() == 1:
		e.row = block
	default:
		e.row = b.Op("mad.lo.u32", block, k.groups(), b.Op("shr.u32", tid, log2(k.lanes)))
		return
	}
	e.warp = b.Op("shr.u32", tid, 5)
}

// ticket numbers the block by when it starts. What it waits for are blocks with
// smaller numbers, so these run already or are done.
func (e *scanEmitter) ticket() *ptx.Reg {
	b := e.b
	skip := b.NewLabel("numbered")
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), skip)
	number := b.Op("atom.global.inc.u32", b.At(b.Ld(e.tickets), 0), b.Op("sub.u32", b.Special("%nctaid.x"), 1))
	b.Do("st.shared.u32", b.At(b.Addr(e.number), 0), number)
	b.Bind(skip)
	b.Do("bar.sync", 0)
	return b.Op("ld.shared.u32", b.At(b.Addr(e.number), 0))
}

// prefetch brings a later tile into L2, which no block has begun to read: its block
// then holds registers for a shorter time while it waits for memory. Rows that L2 may
// hold as a whole are left alone.
func (e *scanEmitter) prefetch() {
	b, skip := e.b, e.b.NewLabel("last")
	bytes := e.k.size() * e.in.Size()
	ahead := scanAhead / bytes
	b.BraUniIf(b.Op("setp.lt.u32", b.Ld(e.tiles), scanCached/bytes), skip)
	b.BraUniIf(b.Op("setp.ge.u32", b.Op("add.u32", e.tile, ahead+1), b.Ld(e.tiles)), skip) // the last one may not be whole
	const line = 128
	tid, lines := b.Special("%tid.x"), bytes/line
	at := b.Op("mad.wide.u32", tid, line, e.inBase)
	var pred *ptx.Reg
	if lines < e.k.threads() {
		pred = b.Op("setp.lt.u32", tid, lines)
	}
	for done := 0; done < lines; done += e.k.threads() {
		b.DoIf(pred, "prefetch.global.L2", b.At(at, int64(ahead*bytes+done*line)))
	}
	b.Bind(skip)
}

// runs numbers the first elements of the thread's runs.
func (e *scanEmitter) runs() {
	b := e.b
	first := b.Op("mul.lo.u32", e.lane, scanRun)
	if e.warp != nil {
		first = b.Op("mad.lo.u32", e.warp, scanSegment*e.k.rounds, first)
	}
	for r := range e.k.rounds {
		e.starts = append(e.starts, addConst(b, first, r*scanSegment))
	}
}

// full branches to partial where not all the elements exist that a row of the
// block could have.
func (e *scanEmitter) full(partial *ptx.Label) {
	e.b.BraUniIf(e.b.Op("setp.ne.u32", e.left, e.k.size()), partial)
}

// load reads the thread's runs, all before the first use where the tile is
// full. What is beyond the row's end is the identity.
func (e *scanEmitter) load() [][]partial {
	b := e.b
	xs := make([][]partial, e.k.rounds)
	for r := range xs {
		for range scanRun {
			xs[r] = append(xs[r], partial{v: b.Reg(e.acc.reg())})
		}
	}
	if e.k.groups() > 1 { // a row that does not exist is not read
		e.left = b.Op("selp.u32", e.left, 0, e.inside)
	}
	if !e.k.plain() {
		e.compute(xs)
		return xs
	}
	row := b.NewLabel("row")
	cut := b.NewLabel("cut")
	if e.k.groups() > 1 {
		b.BraIf(b.Op("setp.ne.u32", e.left, e.k.size()), cut)
	} else {
		e.full(cut)
	}
	raw := make([][]*ptx.Reg, e.k.rounds)
	first := e.address(e.starts[0], e.inBase, e.inStep)
	for r, i := range e.starts {
		if e.k.inAccess > e.in.Size() { // side by side
			raw[r] = loadRun(b, e.in, scanRun, first, int64(r*scanSegment*e.in.Size()), e.k.inAccess)
		} else {
			raw[r] = e.loadWhole(i)
		}
	}
	for r := range raw {
		for j, x := range raw[r] {
			b.Do("mov."+e.acc.suffix(), xs[r][j].v, e.element(x))
		}
	}
	b.Bra(row)
	b.Bind(cut)
	for r, i := range e.starts {
		e.loadCut(xs[r], i)
	}
	b.Bind(row)
	return xs
}

// compute makes xs the elements of an expression.
func (e *scanEmitter) compute(xs [][]partial) {
	b := e.b
	whole := b.Op("setp.eq.u32", e.left, e.k.size())
	if e.k.groups() > 1 { // for all of the warp
		whole = b.Op("vote.sync.all.pred", whole, uint32(0xffffffff))
	}
	at := e.walk.from(e.along, b.Op("cvt.u64.u32", e.starts[0]))
	piece := rowPiece{starts: e.starts, run: scanRun, apart: scanSegment, end: e.left, whole: whole, at: at}
	for r, run := range e.walk.elements(piece, e.acc, e.identity(), e.element) {
		for j, x := range run {
			b.Do("mov."+e.acc.suffix(), xs[r][j].v, x)
		}
	}
}

func (e *scanEmitter) loadWhole(i *ptx.Reg) []*ptx.Reg {
	at := e.address(i, e.inBase, e.inStep)
	if e.k.inAccess > e.in.Size() {
		return loadRun(e.b, e.in, scanRun, at, 0, e.k.inAccess)
	}
	var xs []*ptx.Reg
	for j := range scanRun {
		if j > 0 {
			at = e.b.Op("add.u64", at, e.inStep)
		}
		xs = append(xs, loadOne(e.b, e.in, at))
	}
	return xs
}

// loadCut loads a run of which perhaps not all is there.
func (e *scanEmitter) loadCut(xs []partial, i *ptx.Reg) {
	b := e.b
	some, done := b.NewLabel("some"), b.NewLabel("loaded")
	b.BraIf(b.Op("setp.gt.u32", b.Op("add.u32", i, scanRun), e.left), some)
	for j, x := range e.loadWhole(i) {
		b.Do("mov."+e.acc.suffix(), xs[j].v, e.element(x))
	}
	b.Bra(done)
	b.Bind(some)
	at := e.address(i, e.inBase, e.inStep)
	for j := range xs {
		if j > 0 {
			at = b.Op("add.u64", at, e.inStep)
		}
		exists := b.Op("setp.lt.u32", addConst(b, i, j), e.left)
		x := b.Reg(e.in.reg())
		loadElement(b, e.in, x, b.At(at, 0), exists)
		b.Do("mov."+e.acc.suffix(), xs[j].v, b.Op("selp."+e.acc.suffix(), e.element(x), e.identity(), exists))
	}
	b.Bind(done)
}

func (e *scanEmitter) address(i, base, step *ptx.Reg) *ptx.Reg {
	return e.b.Op("mad.lo.u64", e.b.Op("cvt.u64.u32", i), step, base)
}

// sum combines two values.
func (e *scanEmitter) sum(x, y *ptx.Reg) *ptx.Reg {
	return table[e.scalarOp()].emit(e.b, e.acc, []*ptx.Reg{x, y})
}

// scan replaces the elements by their results.
func (e *scanEmitter) scan(xs [][]partial) {
	carry := e.newPartial(nil).v
	bases := make([]*ptx.Reg, len(xs)) // what precedes each run in the warp's stretch: the carry, and the runs before it
	before := make([]*ptx.Reg, len(xs))
	for r, run := range xs {
		for j := 1; j < scanRun; j++ {
			run[j].v = e.sum(run[j-1].v, run[j].v)
		}
		through := e.scanLanes(run[scanRun-1].v)
		bases[r], before[r] = carry, e.previousLane(through)
		if e.k.rounds > 1 {
			carry = e.sum(carry, emitShuffleTo(e.b, "idx", through, e.k.lanes-1, 31))
		}
	}
	var start *ptx.Reg
	if e.preceding != nil {
		start = e.preceding(carry)
	}
	for r, run := range xs {
		base := bases[r]
		if start != nil {
			base = e.sum(start, base)
		}
		base = e.sum(base, before[r])
		for j := range run {
			run[j].v = e.sum(base, run[j].v)
		}
	}
}

// scanLanes returns x combined with those of all lanes before.
func (e *scanEmitter) scanLanes(x *ptx.Reg) *ptx.Reg {
	b := e.b
	for d := 1; d < e.k.lanes; d *= 2 {
		from := emitShuffleTo(b, "up", x, d, 0)
		has := b.Op("setp.ge.u32", e.lane, d)
		x = e.sum(b.Op("selp."+e.acc.suffix(), from, e.identity(), has), x)
	}
	return x
}

// previousLane returns x of the lane before, the identity in the first.
func (e *scanEmitter) previousLane(x *ptx.Reg) *ptx.Reg {
	b := e.b
	if e.k.lanes == 1 {
		return e.newPartial(nil).v
	}
	from := emitShuffleTo(b, "up", x, 1, 0)
	return b.Op("selp."+e.acc.suffix(), from, e.identity(), b.Op("setp.gt.u32", e.lane, 0))
}

// precedingWarps returns what precedes the warp's stretch in the row; total is
// the warp's own.
func (e *scanEmitter) precedingWarps(total *ptx.Reg) *ptx.Reg {
	b := e.b
	e.share(b.Op("setp.eq.u32", e.lane, 0), e.warp, partial{v: total})
	b.Do("bar.sync", 0)
	sum := e.newPartial(nil).v
	start := e.newPartial(nil).v
	for w := range e.k.warps {
		b.DoIf(b.Op("setp.eq.u32", e.warp, w), "mov."+e.acc.suffix(), start, sum)
		other := e.newPartial(nil)
		e.unshare(other, b.Op("mov.u32", w))
		sum = e.sum(sum, other.v)
	}
	if e.k.split {
		start = e.sum(e.precedingTiles(sum), start)
	}
	return start
}

// precedingTiles publishes the tile's total and returns what precedes the tile.
// There are fewer levels than warps, and each warp waits for its own.
func (e *scanEmitter) precedingTiles(total *ptx.Reg) *ptx.Reg {
	b := e.b
	e.share(b.Op("setp.eq.u32", e.lane, 0), b.Op("add.u32", e.warp, e.k.warps), partial{v: e.lookBack(total)})
	b.Do("bar.sync", 0)
	sum := e.newPartial(nil).v
	for w := range e.k.warps {
		level := e.newPartial(nil)
		e.unshare(level, b.Op("mov.u32", e.k.warps+w))
		sum = e.sum(level.v, sum)
	}
	return sum
}

// lookBack returns what precedes the tile, or the group of tiles that has it, at
// the warp's level: groups of tiles, groups of groups and so on. The first warp
// of the last tile of a group publishes the group.
func (e *scanEmitter) lookBack(total *ptx.Reg) *ptx.Reg {
	b := e.b
	own, member, sum := b.Reg(e.acc.reg()), e.newPartial(nil), e.newPartial(nil)
	index, count, level := b.Reg(ptx.U32), b.Reg(ptx.U32), b.Reg(ptx.U32)
	b.Do("mov."+e.acc.suffix(), own, total)
	b.Do("mov.u32", index, e.tile)
	b.Do("mov.u32", count, b.Ld(e.tiles))
	b.Do("mul.lo.u32", level, e.row, b.Ld(e.slots))
	up := func() {
		b.Do("add.u32", level, level, count)
		b.Do("shr.u32", count, count, 5)
		b.Do("shr.u32", index, index, 5)
	}
	firstWarp := b.Op("setp.eq.u32", e.warp, 0)
	first := b.Op("setp.eq.and.u32", e.lane, 0, firstWarp)
	e.publish(first, b.Op("add.u32", level, index), own)

	climb, there, done := b.NewLabel("climb"), b.NewLabel("there"), b.NewLabel("preceded")
	steps := b.Reg(ptx.U32)
	b.Do("mov.u32", steps, e.warp)
	b.Bind(climb)
	b.BraIf(b.Op("setp.eq.u32", steps, 0), there)
	up()
	b.Do("sub.u32", steps, steps, 1)
	b.Bra(climb)
	b.Bind(there)
	b.BraIf(b.Op("setp.eq.u32", index, 0), done)
	digit := e.awaitMembers(level, index, member.v)
	b.Do("mov."+e.acc.suffix(), sum.v, member.v)
	e.foldLanes(sum, 32)

	again := b.NewLabel("group")
	b.Bind(again)
	b.BraIf(b.Op("setp.ne.u32", digit, 31), done)
	b.BraUnless(firstWarp, done)
	b.DoIf(b.Op("setp.eq.u32", e.lane, 31), "mov."+e.acc.suffix(), member.v, own)
	e.foldLanes(member, 32)
	b.Do("mov."+e.acc.suffix(), own, member.v)
	up()
	e.publish(first, b.Op("add.u32", level, index), own)
	b.Do("mov."+e.acc.suffix(), member.v, e.identity())
	b.Do("mov.u32", digit, e.awaitMembers(level, index, member.v))
	b.Bra(again)
	b.Bind(done)
	return sum.v
}

// awaitMembers waits for the members of a group before the one with the given
// index, each in its lane, and returns how many these are.
func (e *scanEmitter) awaitMembers(level, index, v *ptx.Reg) *ptx.Reg {
	b := e.b
	digit := b.Op("and.b32", index, 31)
	slot := b.Op("add.u32", b.Op("add.u32", level, b.Op("sub.u32", index, digit)), e.lane)
	e.await(b.Op("setp.lt.u32", e.lane, digit), slot, v)
	b.Do("bar.warp.sync", uint32(0xffffffff))
	return digit
}

// A published value is one 64-bit word for each 32 bits of it, with 1 in the
// word's upper half: value and mark come in one access, so that no order between
// accesses is needed.

// wordAt returns the address of a slot's words.
func (e *scanEmitter) wordAt(slot *ptx.Reg) *ptx.Reg {
	b := e.b
	return b.Op("add.u64", b.Op("mad.wide.u32", slot, 2*e.acc.reg().Size(), b.Ld(e.tickets)), scanCounters)
}

func (e *scanEmitter) publish(pred, slot, v *ptx.Reg) {
	b, at, mark := e.b, e.wordAt(slot), e.b.Op("mov.b32", 1)
	for i, half := range e.halves(v) {
		word := b.Reg(ptx.U64)
		b.Do("mov.b64", word, b.Vec(half, mark))
		b.DoIf(pred, "st.relaxed.gpu.global.u64", b.At(at, int64(8*i)), word)
	}
}

// halves returns the 32-bit parts of a value, the low one first.
func (e *scanEmitter) halves(v *ptx.Reg) []*ptx.Reg {
	if v.Type.Bits() == 32 {
		return []*ptx.Reg{e.b.Op("mov.b32", v)}
	}
	rs := e.b.Regs(ptx.B32, 2)
	e.b.Do("mov.b64", e.b.Vec(rs[0], rs[1]), v)
	return rs
}

// await waits for a slot's value where the predicate holds, and leaves v as it is
// elsewhere.
func (e *scanEmitter) await(pred, slot, v *ptx.Reg) {
	b := e.b
	skip := b.NewLabel("nothing")
	b.BraUnless(pred, skip)
	at := e.wordAt(slot)
	var halves []*ptx.Reg
	for i := range v.Type.Bits() / 32 {
		wait := b.NewLabel("wait")
		half, mark := b.Reg(ptx.B32), b.Reg(ptx.B32)
		b.Bind(wait)
		word := b.Op("ld.relaxed.gpu.global.u64", b.At(at, int64(8*i)))
		b.Do("mov.b64", b.Vec(half, mark), word)
		b.BraIf(b.Op("setp.eq.u32", mark, 0), wait)
		halves = append(halves, half)
	}
	if len(halves) == 1 {
		b.Do("mov.b32", v, halves[0])
	} else {
		b.Do("mov.b64", v, b.Vec(halves[0], halves[1]))
	}
	b.Bind(skip)
}

// store writes the results.
func (e *scanEmitter) store(xs [][]partial) {
	b, done := e.b, e.b.NewLabel("stored")
	if e.k.groups() > 1 {
		b.BraUnless(e.inside, done)
	}
	results := func(r int) []*ptx.Reg {
		ys := make([]*ptx.Reg, scanRun)
		for j, x := range xs[r] {
			ys[j] = emitFit(b, e.out, x.v)
		}
		return ys
	}
	vectors := e.k.outAccess > e.out.Size()
	if vectors && e.k.groups() == 1 {
		partial := b.NewLabel("partial")
		e.full(partial)
		at := e.address(e.starts[0], e.outBase, e.outStep)
		for r := range xs {
			e.storeWhole(results(r), at, int64(r*scanSegment*e.out.Size()))
		}
		b.BraUni(done)
		b.Bind(partial)
	}
	for r, i := range e.starts {
		ys := results(r)
		cut, next := b.NewLabel("cutstore"), b.NewLabel("next")
		at := e.address(i, e.outBase, e.outStep)
		b.BraIf(b.Op("setp.gt.u32", b.Op("add.u32", i, scanRun), e.left), cut)
		e.storeWhole(ys, at, 0)
		b.Bra(next)
		b.Bind(cut)
		for j, y := range ys[:scanRun-1] {
			if j > 0 {
				at = b.Op("add.u64", at, e.outStep)
			}
			storeElement(b, e.out, y, b.At(at, 0), b.Op("setp.lt.u32", addConst(b, i, j), e.left))
		}
		b.Bind(next)
	}
	b.Bind(done)
}

// storeWhole stores a run, 'far' bytes behind at.
func (e *scanEmitter) storeWhole(ys []*ptx.Reg, at *ptx.Reg, far int64) {
	b, size := e.b, e.out.Size()
	piece := min(e.k.outAccess/size, scanRun)
	for j := 0; j < scanRun; j += piece {
		if e.k.outAccess > size {
			storeVector(b, e.out, ys[j:j+piece], b.At(at, far+int64(j*size)))
			continue
		}
		if j > 0 {
			at = b.Op("add.u64", at, e.outStep)
		}
		storeElement(b, e.out, ys[j], b.At(at, 0), nil)
	}
}

// leave counts the block among those that have read what they need of others.
// The count is back before the results are stored, as a rule.
func (e *scanEmitter) leave() {
	b := e.b
	skip := b.NewLabel("stays")
	e.before = b.Reg(ptx.U32)
	b.Do("mov.u32", e.before, 0)
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), skip)
	// The barrier ordered the block's reads before this thread.
	b.Do("atom.release.gpu.global.inc.u32", e.before, b.At(b.Ld(e.tickets), 4), b.Op("sub.u32", b.Special("%nctaid.x"), 1))
	b.Bind(skip)
}

// clear leaves the published words zero. The first warp of the block that leaves last
// does it; no other warp waits for the count.
func (e *scanEmitter) clear() {
	b, tid := e.b, e.b.Special("%tid.x")
	exit, again := b.NewLabel("exit"), b.NewLabel("clear")
	b.BraIf(b.Op("setp.ge.u32", tid, 32), exit)
	before := emitShuffleTo(b, "idx", e.before, 0, 31)
	b.BraIf(b.Op("setp.ne.u32", before, b.Op("sub.u32", b.Special("%nctaid.x"), 1)), exit)
	b.Do("fence.acq_rel.gpu")
	i, zero := b.Reg(ptx.U64), b.Op("mov.u64", 0)
	b.Do("cvt.u64.u32", i, b.Op("mul.lo.u32", tid, 2))
	b.Bind(again)
	b.BraIf(b.Op("setp.ge.u64", i, b.Ld(e.all)), exit)
	at := b.Op("add.u64", b.Ld(e.tickets), b.Op("shl.b64", i, 3))
	b.Do("st.global.v2.u64", b.At(at, scanCounters), b.Vec(zero, zero))
	b.Do("add.u64", i, i, 2*32)
	b.Bra(again)
	b.Bind(exit)
}
