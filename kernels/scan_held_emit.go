package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// heldEmitter is the state of writing a heldKernel. Barriers and what is known of
// tiles are arrays in shared memory, of which these are the addresses.
type heldEmitter struct {
	*scanEmitter
	outAt, inAt, n *ptx.Var

	buffers                     *ptx.Reg
	came                        *ptx.Reg // by buffer: a tile is there
	told, summed, known         *ptx.Reg // by place in the ring: the tile is a certain one; it is added up; what precedes its parts is there
	numbers                     *ptx.Reg // the tiles, or heldEnd
	totals, stretches, preceded *ptx.Reg // of a tile's stretches, what precedes these in the tile, and what precedes the tile
}

// heldEnd is the number of no tile: there are no more.
const heldEnd uint32 = 0xffffffff

func (k *heldKernel) emit(b *ptx.Builder) {
	tile := &scanKernel{op: k.op, in: k.t, out: k.t, lanes: 32, rounds: scanRounds, warps: scanWarps, inAccess: 16, outAccess: 16}
	e := &heldEmitter{scanEmitter: &scanEmitter{reducer: newReducer(b, k.op, k.t, k.t, false), k: tile}}
	e.outAt, e.inAt, e.tickets = b.Param("out", ptx.U64), b.Param("in", ptx.U64), b.Param("tickets", ptx.U64)
	e.n, e.tiles = b.Param("n", ptx.U32), b.Param("tiles", ptx.U32)
	b.MaxThreads(heldThreads)
	b.MinBlocks(1)
	tid := b.Special("%tid.x")
	e.lane, e.warp = b.Op("and.b32", tid, 31), b.Op("shr.u32", tid, 5)
	e.begin(tid)
	warp, end := e.warp, 0
	for _, part := range []struct {
		warps int
		emit  func()
	}{{heldGroups * scanWarps, e.hold}, {1, e.produce}, {1, e.describe}, {1, e.follow}} {
		next := b.NewLabel("next")
		end += part.warps
		b.BraIf(b.Op("setp.ge.u32", warp, end), next)
		part.emit()
		b.Do("ret")
		b.Bind(next)
	}
	b.Do("ret")
}

// begin declares shared memory and makes the barriers.
func (e *heldEmitter) begin(tid *ptx.Reg) {
	b := e.b
	array := func(name string, t ptx.Type, n int) *ptx.Reg { return b.Addr(b.Shared(name, t, 16, n)) }
	e.buffers = b.Addr(b.DynamicShared("buffers", 128))
	e.numbers = array("numbers", ptx.U32, heldRing)
	e.preceded, e.stretches, e.totals = array("preceded", e.acc.reg(), heldRing), array("stretches", e.acc.reg(), scanWarps*heldRing), array("totals", e.acc.reg(), scanWarps*heldRing)
	begun := b.NewLabel("begun")
	barriers := func(name string, n, arrivals int) *ptx.Reg {
		at := array(name, ptx.U64, n)
		for i := range n {
			b.Do("mbarrier.init.shared::cta.b64", b.At(at, int64(8*i)), arrivals)
		}
		return at
	}
	b.BraIf(b.Op("setp.ne.u32", tid, 0), begun)
	e.came = barriers("came", heldBuffers, 1)
	e.told, e.summed, e.known = barriers("told", heldRing, 1), barriers("summed", heldRing, scanWarps), barriers("known", heldRing, 2)
	b.Do("fence.mbarrier_init.release.cluster")
	b.Bind(begun)
	b.Do("bar.sync", 0)
}

// A heldPlace goes round an array of n; phase is the parity of its round.
type heldPlace struct {
	at, phase *ptx.Reg
	n         int
}

func (e *heldEmitter) places(n int, first any) *heldPlace {
	p := &heldPlace{e.b.Reg(ptx.U32), e.b.Reg(ptx.U32), n}
	e.b.Do("mov.u32", p.at, first)
	e.b.Do("mov.u32", p.phase, 0)
	return p
}

func (e *heldEmitter) advance(p *heldPlace, by int) {
	b := e.b
	for ; by >= p.n; by -= p.n {
		b.Do("xor.b32", p.phase, p.phase, 1)
	}
	b.Do("add.u32", p.at, p.at, by)
	over := b.Op("setp.ge.u32", p.at, p.n)
	b.DoIf(over, "sub.u32", p.at, p.at, p.n)
	b.DoIf(over, "xor.b32", p.phase, p.phase, 1)
}

// member is the address of a place's part of an array, of size bytes.
func (e *heldEmitter) member(array *ptx.Reg, p *heldPlace, size int) *ptx.Reg {
	return e.b.Op("mad.lo.u32", p.at, size, array)
}

func (e *heldEmitter) wait(barriers *ptx.Reg, p *heldPlace) {
	b, again := e.b, e.b.NewLabel("await")
	at := e.member(barriers, p, 8)
	b.Bind(again)
	b.BraUnless(b.Op("mbarrier.try_wait.parity.shared::cta.b64", b.At(at, 0), p.phase), again)
}

func (e *heldEmitter) arrive(barriers *ptx.Reg, p *heldPlace) {
	e.b.Op("mbarrier.arrive.shared::cta.b64", e.b.At(e.member(barriers, p, 8), 0))
}

// warpArrives arrives once for the warp, when all of it has come here.
func (e *heldEmitter) warpArrives(barriers *ptx.Reg, p *heldPlace) {
	b, skip := e.b, e.b.NewLabel("arrived")
	b.Do("bar.warp.sync", uint32(0xffffffff))
	b.BraIf(b.Op("setp.ne.u32", e.lane, 0), skip)
	e.arrive(barriers, p)
	b.Bind(skip)
}

// awaitTile waits for the tile at a place of the ring, and leaves for end if there is none.
func (e *heldEmitter) awaitTile(p *heldPlace, end *ptx.Label) *ptx.Reg {
	e.wait(e.told, p)
	t := e.b.Op("ld.shared.u32", e.b.At(e.member(e.numbers, p, 4), 0))
	e.b.BraIf(e.b.Op("setp.eq.u32", t, heldEnd), end)
	return t
}

// produce takes a ticket when there is a buffer for its tile, and has the tile copied.
// Every block takes one ticket for which there is no tile: the last of all leaves the
// counter zero.
func (e *heldEmitter) produce() {
	b, exit := e.b, e.b.NewLabel("exit")
	b.BraIf(b.Op("setp.ne.u32", e.lane, 0), exit)
	count, last := b.Ld(e.tiles), b.Op("sub.u32", b.Op("add.u32", b.Ld(e.tiles), b.Special("%nctaid.x")), 1)
	buffer, ring, behind := e.places(heldBuffers, 0), e.places(heldRing, 0), e.places(heldRing, 0)
	i, again, free, end := b.Reg(ptx.U32), b.NewLabel("take"), b.NewLabel("free"), b.NewLabel("end")
	b.Do("mov.u32", i, 0)
	b.Bind(again)
	b.BraIf(b.Op("setp.lt.u32", i, heldBuffers), free)
	e.wait(e.summed, behind)
	e.advance(behind, 1)
	b.Bind(free)
	b.Do("add.u32", i, i, 1)
	tile := b.Op("atom.relaxed.gpu.global.inc.u32", b.At(b.Ld(e.tickets), 0), last)
	b.BraIf(b.Op("setp.ge.u32", tile, count), end)
	e.copy(tile, buffer)
	e.tell(ring, tile)
	e.advance(buffer, 1)
	e.advance(ring, 1)
	b.Bra(again)
	b.Bind(end)
	for range heldGroups { // each sees an end
		e.tell(ring, b.Op("mov.u32", heldEnd))
		e.advance(ring, 1)
	}
	b.Bind(exit)
}

// tell has the block know the tile at a place.
func (e *heldEmitter) tell(ring *heldPlace, tile *ptx.Reg) {
	e.b.Do("st.shared.u32", e.b.At(e.member(e.numbers, ring, 4), 0), tile)
	e.arrive(e.told, ring)
}

// copy has a tile copied into a buffer. One that is not whole is read by its group.
func (e *heldEmitter) copy(tile *ptx.Reg, buffer *heldPlace) {
	b, partial, copied := e.b, e.b.NewLabel("partial"), e.b.NewLabel("copied")
	b.BraIf(b.Op("setp.lt.u32", e.remaining(tile), scanTile), partial)
	came, to := e.member(e.came, buffer, 8), e.member(e.buffers, buffer, heldTileBytes)
	from := b.Op("mad.wide.u32", tile, heldTileBytes, b.Ld(e.inAt))
	b.Op("mbarrier.arrive.expect_tx.shared::cta.b64", b.At(came, 0), heldTileBytes)
	b.Do("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes", b.At(to, 0), b.At(from, 0), heldTileBytes, b.At(came, 0))
	b.Bra(copied)
	b.Bind(partial)
	e.arrive(e.came, buffer)
	b.Bind(copied)
}

// remaining is the number of the row's elements from a tile's first on.
func (e *heldEmitter) remaining(tile *ptx.Reg) *ptx.Reg {
	return e.b.Op("sub.u32", e.b.Ld(e.n), e.b.Op("mul.lo.u32", tile, scanTile))
}

// hold takes every heldGroups-th tile of the block, scans and stores it.
func (e *heldEmitter) hold() {
	b := e.b
	group := b.Op("shr.u32", e.warp, log2(scanWarps))
	e.warp = b.Op("and.b32", e.warp, scanWarps-1)
	buffer, ring := e.places(heldBuffers, group), e.places(heldRing, group)
	e.advance(buffer, 0) // there may be more groups than buffers
	e.inStep = b.Op("mov.u64", e.acc.Size())
	e.outStep = e.inStep
	e.runs()
	again, end := b.NewLabel("again"), b.NewLabel("end")
	b.Bind(again)
	t := e.awaitTile(ring, end)
	e.wait(e.came, buffer)
	e.left = b.Op("min.u32", e.remaining(t), scanTile)
	e.inBase, e.outBase = b.Op("mad.wide.u32", t, heldTileBytes, b.Ld(e.inAt)), b.Op("mad.wide.u32", t, heldTileBytes, b.Ld(e.outAt))
	xs := e.take(buffer)
	e.preceding = func(total *ptx.Reg) *ptx.Reg { return e.awaitPreceding(total, ring) }
	e.scan(xs)
	e.store(xs)
	e.advance(buffer, heldGroups)
	e.advance(ring, heldGroups)
	b.Bra(again)
	b.Bind(end)
}

// take reads the thread's elements of a tile.
func (e *heldEmitter) take(buffer *heldPlace) [][]partial {
	b := e.b
	xs := make([][]partial, scanRounds)
	for r := range xs {
		for range scanRun {
			xs[r] = append(xs[r], partial{v: b.Reg(e.acc.reg())})
		}
	}
	cut, taken := b.NewLabel("cut"), b.NewLabel("taken")
	e.full(cut)
	at := b.Op("mad.lo.u32", e.starts[0], e.acc.Size(), e.member(e.buffers, buffer, heldTileBytes))
	for r, run := range xs {
		b.Do("ld.shared.v4."+e.acc.suffix(), b.Vec(run[0].v, run[1].v, run[2].v, run[3].v), b.At(at, int64(r*scanSegment*e.acc.Size())))
	}
	b.BraUni(taken)
	b.Bind(cut)
	for r, i := range e.starts {
		e.loadCut(xs[r], i)
	}
	b.Bind(taken)
	return xs
}

// awaitPreceding gives the total of the warp's stretch away and returns what precedes
// the stretch in the row.
func (e *heldEmitter) awaitPreceding(total *ptx.Reg, ring *heldPlace) *ptx.Reg {
	b, size := e.b, e.acc.Size()
	mine := func(array *ptx.Reg) ptx.Operand {
		return b.At(b.Op("mad.lo.u32", e.warp, size, e.member(array, ring, scanWarps*size)), 0)
	}
	b.DoIf(b.Op("setp.eq.u32", e.lane, 0), "st.shared."+e.acc.suffix(), mine(e.totals), total)
	e.warpArrives(e.summed, ring)
	e.wait(e.known, ring)
	start := b.Op("ld.shared."+e.acc.suffix(), mine(e.stretches))
	return e.sum(b.Op("ld.shared."+e.acc.suffix(), b.At(e.member(e.preceded, ring, size), 0)), start)
}

// describe publishes the tiles' totals, and says what precedes each stretch in its tile.
func (e *heldEmitter) describe() {
	b, size := e.b, e.acc.Size()
	ring := e.places(heldRing, 0)
	again, end := b.NewLabel("again"), b.NewLabel("end")
	b.Bind(again)
	tile := e.awaitTile(ring, end)
	e.wait(e.summed, ring)
	at := e.member(e.totals, ring, scanWarps*size)
	totals := b.Regs(e.acc.reg(), scanWarps)
	for w := 0; w < scanWarps; w += 4 {
		b.Do("ld.shared.v4."+e.acc.suffix(), b.Vec(totals[w], totals[w+1], totals[w+2], totals[w+3]), b.At(at, int64(w*size)))
	}
	sum, start := e.newPartial(nil).v, e.newPartial(nil).v
	for w, total := range totals {
		b.DoIf(b.Op("setp.eq.u32", e.lane, w), "mov."+e.acc.suffix(), start, sum)
		sum = e.sum(sum, total)
	}
	e.publish(b.Op("setp.eq.u32", e.lane, 0), tile, sum)
	to := b.Op("mad.lo.u32", e.lane, size, e.member(e.stretches, ring, scanWarps*size))
	b.DoIf(b.Op("setp.lt.u32", e.lane, scanWarps), "st.shared."+e.acc.suffix(), b.At(to, 0), start)
	e.warpArrives(e.known, ring)
	e.advance(ring, 1)
	b.Bra(again)
	b.Bind(end)
	e.depart()
}

// A heldTrail is how far the row's totals have been followed: all groups of 32 before
// number 'group', each lane holding the combination of one.
type heldTrail struct {
	group          *ptx.Reg
	groups, supers *ptx.Reg // of 32 tiles, in the group of 32 groups that is not over; and of 1024
	at             *ptx.Reg // address of the lane's word in that group
}

// follow combines the totals of all tiles as they are published, and says what precedes
// each of the block's own.
func (e *heldEmitter) follow() {
	b := e.b
	ring := e.places(heldRing, 0)
	t := &heldTrail{b.Reg(ptx.U32), e.newPartial(nil).v, e.newPartial(nil).v, b.Reg(ptx.U64)}
	b.Do("mov.u32", t.group, 0)
	again, poll, own, end := b.NewLabel("again"), b.NewLabel("poll"), b.NewLabel("own"), b.NewLabel("end")
	member := b.Reg(e.acc.reg())
	b.Bind(again)
	tile := e.awaitTile(ring, end)
	target, digit := b.Op("shr.u32", tile, 5), b.Op("and.b32", tile, 31)
	b.Bind(poll)
	b.Do("mov.u64", t.at, e.wordAt(b.Op("mad.lo.u32", t.group, 32, e.lane)))
	words := e.askTotals(t, target, digit)
	for i := range words {
		e.awaitTotals(t, words[i:], i, member)
		b.BraIf(b.Op("setp.eq.u32", t.group, target), own)
		e.pass(t, member)
	}
	b.Bra(poll)
	b.Bind(own)
	levels := e.foldAll(member, t.groups, t.supers)
	sum := e.sum(levels[2], e.sum(levels[1], levels[0]))
	b.DoIf(b.Op("setp.eq.u32", e.lane, 0), "st.shared."+e.acc.suffix(), b.At(e.member(e.preceded, ring, e.acc.Size()), 0), sum)
	e.warpArrives(e.known, ring)
	e.advance(ring, 1)
	b.Bra(again)
	b.Bind(end)
	e.depart()
}

// askTotals loads the lane's words of the next groups up to the target, of which only
// the first 'digit' are asked for. A word that is not needed holds the identity.
func (e *heldEmitter) askTotals(t *heldTrail, target, digit *ptx.Reg) []*ptx.Reg {
	b := e.b
	words := b.Regs(ptx.U64, heldPolled)
	absent := b.Op("mov.b32", b.Op("mov."+e.acc.suffix(), e.identity()))
	for i := range words {
		group := addConst(b, t.group, i)
		need := b.Op("selp.u32", 32, digit, b.Op("setp.lt.u32", group, target))
		need = b.Op("selp.u32", need, 0, b.Op("setp.le.u32", group, target))
		b.Do("mov.b64", words[i], b.Vec(absent, b.Op("mov.b32", 1)))
		b.DoIf(b.Op("setp.lt.u32", e.lane, need), "ld.relaxed.gpu.global.u64", words[i], b.At(t.at, int64(256*i)))
	}
	return words
}

// awaitTotals makes member the lane's value of the first of some groups, of which the
// first is number i of those asked for; until it is there, it asks for all again.
func (e *heldEmitter) awaitTotals(t *heldTrail, words []*ptx.Reg, i int, member *ptx.Reg) {
	b := e.b
	wait, there := b.NewLabel("wait"), b.NewLabel("there")
	value, mark := b.Regs(ptx.B32, len(words)), b.Regs(ptx.B32, len(words))
	b.Bind(wait)
	b.Do("mov.b64", b.Vec(value[0], mark[0]), words[0])
	b.BraIf(b.Op("vote.sync.all.pred", b.Op("setp.ne.u32", mark[0], 0), uint32(0xffffffff)), there)
	for j, word := range words {
		if j > 0 {
			b.Do("mov.b64", b.Vec(value[j], mark[j]), word)
		}
		b.DoIf(b.Op("setp.eq.u32", mark[j], 0), "ld.relaxed.gpu.global.u64", word, b.At(t.at, int64(256*(i+j))))
	}
	b.Bra(wait)
	b.Bind(there)
	b.Do("mov.b32", member, value[0])
}

// pass goes past a group of tiles whose totals the lanes hold.
func (e *heldEmitter) pass(t *heldTrail, member *ptx.Reg) {
	b, inside := e.b, e.b.NewLabel("inside")
	digit, group := b.Op("and.b32", t.group, 31), e.foldAll(member)[0]
	b.DoIf(b.Op("setp.eq.u32", e.lane, digit), "mov."+e.acc.suffix(), t.groups, group)
	b.BraIf(b.Op("setp.ne.u32", digit, 31), inside)
	super := e.foldAll(t.groups)[0]
	b.DoIf(b.Op("setp.eq.u32", e.lane, b.Op("shr.u32", t.group, 5)), "mov."+e.acc.suffix(), t.supers, super)
	b.Do("mov."+e.acc.suffix(), t.groups, e.identity())
	b.Bind(inside)
	b.Do("add.u32", t.group, t.group, 1)
}

// foldAll combines each of xs over the lanes, pairwise, neighbours first.
func (e *heldEmitter) foldAll(xs ...*ptx.Reg) []*ptx.Reg {
	for d := 1; d < 32; d *= 2 {
		next := make([]*ptx.Reg, len(xs))
		for i, x := range xs {
			next[i] = emitShuffle(e.b, x, d)
		}
		for i, x := range xs {
			next[i] = e.sum(x, next[i])
		}
		xs = next
	}
	return xs
}

// depart counts a warp that touches the words no more. The last one clears them.
func (e *heldEmitter) depart() {
	b := e.b
	exit, clear := b.NewLabel("exit"), b.NewLabel("clear")
	left, last := b.Reg(ptx.U32), b.Op("mad.lo.u32", b.Special("%nctaid.x"), 2, uint32(0xffffffff))
	b.Do("mov.u32", left, 0)
	b.Do("bar.warp.sync", uint32(0xffffffff))
	b.DoIf(b.Op("setp.eq.u32", e.lane, 0), "atom.acq_rel.gpu.global.inc.u32", left, b.At(b.Ld(e.tickets), 4), last)
	left = emitShuffleTo(b, "idx", left, 0, 31)
	b.BraIf(b.Op("setp.ne.u32", left, last), exit)
	i, zero := b.Reg(ptx.U32), b.Op("mov.u64", 0)
	b.Do("mul.lo.u32", i, e.lane, 2)
	b.Bind(clear)
	b.BraIf(b.Op("setp.ge.u32", i, b.Ld(e.tiles)), exit)
	b.Do("st.global.v2.u64", b.At(e.wordAt(i), 0), b.Vec(zero, zero))
	b.Do("add.u32", i, i, 2*32)
	b.Bra(clear)
	b.Bind(exit)
}
