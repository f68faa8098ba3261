package kernels

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// The variance of a row that registers do not hold. Blocks take pieces of it, in
// steps of splitStep elements. In a step a thread has up to 'passes' runs of
// neighbours, 2048 elements apart: it sums them pairwise to their mean, takes the
// squares around it, and adds both to those of its earlier steps. Only at the end
// of the piece do threads, pairwise, and then blocks combine theirs. So most of
// the time nobody waits for anybody, and a mean is that of elements that are few
// enough for its error not to matter.

// splitStep is the number of elements of a step: what keeps 64 bytes a thread in
// flight.
func splitStep(t Type) int {
	if t == Float64 {
		return 2 * reduceSlots
	}
	return 4 * reduceSlots
}

// splitPiece is the number of elements of a block's piece of a row of n: up to
// eight steps, where that leaves enough blocks.
func splitPiece(t Type, n int) int {
	const blocks = 2048
	step := splitStep(t)
	return step * min(ceilPow2(ceilDiv(n, blocks*step)), 8)
}

// parts is the number of a row's pieces.
func (s *rowPlan) parts() int { return ceilDiv(s.n, s.piece) }

// declareSplit declares what the blocks of a row share.
func (e *rowEmitter) declareSplit() {
	e.piece = e.b.Param("piece", ptx.U32)
	e.moments = newReducer(e.b, OpSum, e.c, e.c, false)
	e.moments.form, e.moments.memory = momentsPartial, e.sum.memory
	e.moments.exchange(e.threads / 32)
	e.finish = declareFinish(e.moments, momentsFan)
	e.walk.once = true
}

// splitVariance stores the variance of a row that blocks share.
func (e *rowEmitter) splitVariance() {
	b, f := e.b, e.finish
	acc := e.pieceMoments()
	e.moments.foldThreads(acc, e.lanes)
	group := b.Op("mul.lo.u32", e.row, b.Ld(f.lines))
	f.store(b.Op("setp.eq.u32", e.lane, 0), b.Op("add.u32", group, e.part), acc)
	exit := b.NewLabel("exit")
	f.arrive(e.row, b.Ld(f.parts), exit)
	all := f.combine(group, b.Ld(f.parts), []*ptx.Reg{nil}, []*ptx.Reg{nil}, e.lane, e.lanes)[0]
	e.moments.foldThreads(all, e.lanes)
	e.storeQuotient(all.v)
	b.Bind(exit)
	b.Do("ret")
}

// pieceMoments returns those of the thread's elements of the block's piece.
func (e *rowEmitter) pieceMoments() partial {
	b := e.b
	start := b.Op("mul.wide.u32", e.part, b.Ld(e.piece))
	left := b.Op("min.u64", b.Op("sub.u64", e.n, start), b.Op("cvt.u64.u32", b.Ld(e.piece)))
	start = b.Op("add.u64", start, b.Op("cvt.u64.u32", b.Op("mul.lo.u32", e.lane, e.run)))
	at, n := e.walk.from(e.along, start), b.Reg(ptx.S32)
	b.Do("cvt.u32.u64", n, left)
	acc := e.steps(at, n)

	again, done := b.NewLabel("rest"), b.NewLabel("complete")
	b.Bind(again)
	b.BraUniIf(b.Op("setp.le.s32", n, 0), done)
	e.moments.combine(acc, e.restMoments(at, n))
	e.pass(at, n, 1)
	b.BraUni(again)
	b.Bind(done)
	return acc
}

// pass moves on over passes.
func (e *rowEmitter) pass(at []*ptx.Reg, n *ptx.Reg, passes int) {
	for _, k := range e.walk.again() {
		e.b.Do("mad.lo.u64", at[k], e.b.Ld(e.walk.steps[k]), passes*reduceSlots, at[k])
	}
	e.b.Do("sub.s32", n, n, passes*reduceSlots)
}

// steps takes the whole steps. The means of the later ones are counted from that
// of the first: there are too few of them for the squares to cancel.
func (e *rowEmitter) steps(at []*ptx.Reg, n *ptx.Reg) partial {
	b, s := e.b, e.c.suffix()
	first, acc := e.moments.newPartial(nil), e.moments.newPartial(nil)
	again, later, done := b.NewLabel("step"), b.NewLabel("later"), b.NewLabel("stepped")
	b.Bind(again)
	b.BraUniIf(b.Op("setp.lt.s32", n, e.passes*reduceSlots), done)
	xs := e.loadStep(at)
	e.pass(at, n, e.passes)
	g := e.groupMoments(xs, nil, nil)
	b.BraUniIf(b.Op("setp.ne."+s, acc.count, floatConst(e.c, 0)), later)
	b.Do("mov."+s, first.mean, g.mean)
	b.Do("mov."+s, first.low, g.low)
	b.Bind(later)
	d := e.float("add", e.float("sub", g.mean, first.mean), e.float("sub", g.low, first.low))
	b.Do("add.rn."+s, first.v, first.v, g.v)
	b.Do("add.rn."+s, acc.mean, acc.mean, d)
	b.Do("fma.rn."+s, acc.v, d, d, acc.v)
	b.Do("add.rn."+s, acc.count, acc.count, floatConst(e.c, 1))
	b.BraUni(again)
	b.Bind(done)

	size := floatConst(e.c, float64(e.passes*e.run))
	shift := e.float("div", acc.mean, b.Op("max."+s, acc.count, floatConst(e.c, 1)))
	between := b.Op("fma.rn."+s, b.Op("neg."+s, shift), acc.mean, acc.v)
	b.Do("fma.rn."+s, acc.v, between, size, first.v)
	b.Do("add.rn."+s, acc.mean, first.mean, shift)
	b.Do("add.rn."+s, acc.low, first.low, e.float("add", e.float("sub", first.mean, acc.mean), shift))
	b.Do("mul.rn."+s, acc.count, acc.count, size)
	return acc
}

// loadStep returns the thread's elements of a whole step.
func (e *rowEmitter) loadStep(at []*ptx.Reg) []*ptx.Reg {
	var xs []*ptx.Reg
	if e.plain() {
		for p := range e.passes {
			xs = append(xs, e.loadFar(at[1], p)...)
		}
		return xs
	}
	runs := e.walk.elements(rowPiece{starts: make([]*ptx.Reg, e.passes), run: e.run, apart: reduceSlots, at: at}, e.c, nil, func(x *ptx.Reg) *ptx.Reg { return x })
	return slices.Concat(runs...)
}

// loadFar loads the thread's run in pass p of the step at 'at'.
func (e *rowEmitter) loadFar(at *ptx.Reg, p int) []*ptx.Reg {
	b, xs, piece, far := e.b, e.b.Regs(e.c.reg(), e.run), min(e.in/e.t.Size(), e.run), int64(p*reduceSlots*e.t.Size())
	if piece == 1 {
		at, far = b.Op("mad.lo.u64", e.stride, p*reduceSlots, at), 0
	}
	for j := 0; j < e.run; j += piece {
		loadVectorAs(b, e.walk.vectors(e.run*e.t.Size(), piece*e.t.Size()), e.t, xs[j:j+piece], b.At(e.advance(at, j, e.in, e.stride), far+e.offset(j, e.in)))
	}
	return xs
}

// restMoments returns those of the thread's run at 'at', of which those exist that
// are among the block's n.
func (e *rowEmitter) restMoments(at []*ptx.Reg, n *ptx.Reg) partial {
	b, s := e.b, e.c.suffix()
	left := b.Op("sub.s32", n, b.Op("mul.lo.u32", e.lane, e.run))
	var xs, exists []*ptx.Reg
	for j := range e.run {
		exists = append(exists, b.Op("setp.gt.s32", left, j))
	}
	if e.plain() {
		for j, there := range exists {
			x := b.Reg(e.c.reg())
			loadElement(b, e.t, x, b.At(e.advance(at[1], j, e.t.Size(), e.stride), 0), there)
			xs = append(xs, b.Op("selp."+s, x, e.sum.identity(), there))
		}
	} else {
		rest := e.walk.stretch(at, 0, e.run)
		rest.exist = exists
		e.walk.loadSome(rest)
		for j, values := range rest.values {
			xs = append(xs, b.Op("selp."+s, e.walk.value(values), e.sum.identity(), exists[j]))
		}
	}
	count := b.Op("min.s32", b.Op("max.s32", left, 0), e.run)
	return e.groupMoments(xs, exists, b.Op("cvt.rn."+s+".s32", count))
}

// groupMoments returns those of a thread's elements: of all of them, whose number
// is a power of two, or of the count of them that exist; others are −0. The sum of
// the differences from the mean is what the mean lost in rounding.
func (e *rowEmitter) groupMoments(xs, exists []*ptx.Reg, count *ptx.Reg) partial {
	b, s := e.b, e.c.suffix()
	var average func(sum *ptx.Reg) *ptx.Reg
	if exists == nil {
		count = b.Op("mov."+s, floatConst(e.c, float64(len(xs))))
		average = func(sum *ptx.Reg) *ptx.Reg { return e.float("mul", sum, floatConst(e.c, 1/float64(len(xs)))) }
	} else {
		divisor := b.Op("max."+s, count, floatConst(e.c, 1))
		average = func(sum *ptx.Reg) *ptx.Reg { return e.float("div", sum, divisor) }
	}
	mean := average(e.pairwise(xs))
	ds, squares := make([]*ptx.Reg, len(xs)), make([]*ptx.Reg, len(xs)/e.run)
	for i, x := range xs {
		ds[i] = e.float("sub", x, mean)
		if exists != nil {
			ds[i] = b.Op("selp."+s, ds[i], floatConst(e.c, 0), exists[i])
		}
		if q := &squares[i/e.run]; *q == nil {
			*q = e.float("mul", ds[i], ds[i])
		} else {
			*q = b.Op("fma.rn."+s, ds[i], ds[i], *q)
		}
	}
	rest := e.pairwise(ds)
	low := average(rest)
	v := b.Op("fma.rn."+s, b.Op("neg."+s, low), rest, e.pairwise(squares))
	return partial{v: v, mean: mean, low: low, count: count}
}

// pairwise returns the sum of values, a power of two of them.
func (e *rowEmitter) pairwise(xs []*ptx.Reg) *ptx.Reg {
	for len(xs) > 1 {
		next := make([]*ptx.Reg, len(xs)/2)
		for i := range next {
			next[i] = e.float("add", xs[2*i], xs[2*i+1])
		}
		xs = next
	}
	return xs[0]
}
