package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A reducer writes the arithmetic of a reduction: what the kernels over rows
// and over columns share.
type reducer struct {
	b       *ptx.Builder
	op      Op
	in, out Type
	acc     Type // of the accumulator
	wide    bool // positions have 64 bits
	form    partialForm
	tail    Op // what the result goes through before it is rounded

	memory []*ptx.Var // shared memory that the fields of partials are exchanged through
}

// A partial is the reduction of some elements: its value and, for argmax and
// argmin, the position it was found at. Of a pair the mean is another sum. Of
// moments the value is the sum of the squares of the differences from the mean,
// which has two parts, and count is how many elements that were.
type partial struct{ v, at, mean, low, count *ptx.Reg }

// A partialForm says which fields partials have besides those of their operation.
type partialForm uint8

const (
	plainPartial partialForm = iota
	pairPartial
	momentsPartial
)

// A field is one register of a partial.
type field struct {
	name   string
	reg    *ptx.Reg
	typ    ptx.Type
	suffix string // of instructions that move it
}

// fields takes a partial apart, value first.
func (r *reducer) fields(p partial) []field {
	value := func(name string, reg *ptx.Reg) field { return field{name, reg, r.acc.reg(), "." + r.acc.suffix()} }
	fs := []field{value("values", p.v)}
	if isArg(r.op) {
		fs = append(fs, field{"positions", p.at, r.position(), r.pos("")})
	}
	if r.form != plainPartial {
		fs = append(fs, value("means", p.mean))
	}
	if r.form == momentsPartial {
		fs = append(fs, value("lows", p.low), value("counts", p.count))
	}
	return fs
}

func newReducer(b *ptx.Builder, op Op, in, out Type, wide bool) *reducer {
	return &reducer{b: b, op: op, in: in, out: out, acc: accumulator(op, in, out), wide: wide}
}

// exchange declares the shared memory for n accumulators, as far as there is
// none yet.
func (r *reducer) exchange(n int) {
	for _, f := range r.fields(partial{})[len(r.memory):] {
		r.memory = append(r.memory, r.b.Shared(f.name, f.typ, 16, n))
	}
}

// position is the type of positions and linear indices.
func (r *reducer) position() ptx.Type {
	if r.wide {
		return ptx.U64
	}
	return ptx.U32
}

// pos completes a mnemonic with the type of positions.
func (r *reducer) pos(mnemonic string) string { return mnemonic + "." + r.position().String() }

// identity is the value that combines with any other to that other. For sums
// it is −0: adding +0 would lose the sign of −0.
func (r *reducer) identity() any {
	switch r.op {
	case OpSum, OpMean:
		if r.acc.IsFloat() {
			return floatConst(r.acc, math.Copysign(0, -1))
		}
		return 0
	case OpAny:
		return 0
	case OpAll:
		return 1
	case OpProd:
		if r.acc.IsFloat() {
			return floatConst(r.acc, 1)
		}
		return 1
	case OpMin, OpArgMin:
		return r.extreme(1)
	}
	return r.extreme(-1)
}

// extreme is the largest or smallest value of the accumulator.
func (r *reducer) extreme(sign int) any {
	if r.acc.IsFloat() {
		return floatConst(r.acc, math.Inf(sign))
	}
	width := max(r.acc.bits(), 32)
	if r.acc.class() == unsigned {
		if sign < 0 {
			return 0
		}
		return int64(^uint64(0) >> (64 - width))
	}
	if sign < 0 {
		return int64(math.MinInt64 >> (64 - width))
	}
	return int64(math.MaxInt64 >> (64 - width))
}

// newPartial returns fresh registers that hold the identity, found at position
// at (which may be any register if positions do not matter).
func (r *reducer) newPartial(at *ptx.Reg) partial {
	p := partial{v: r.b.Reg(r.acc.reg())}
	r.b.Do("mov."+r.acc.suffix(), p.v, r.identity())
	if isArg(r.op) {
		p.at = r.b.Reg(r.position())
		r.b.Do(r.pos("mov"), p.at, at)
	}
	zero := func() *ptx.Reg {
		z := r.b.Reg(r.acc.reg())
		r.b.Do("mov."+r.acc.suffix(), z, floatConst(r.acc, 0))
		return z
	}
	if r.form != plainPartial {
		p.mean = zero()
	}
	if r.form == momentsPartial {
		p.low, p.count = zero(), zero()
	}
	return p
}

// element brings a loaded element into the accumulator's type.
func (r *reducer) element(x *ptx.Reg) *ptx.Reg {
	from := r.in.compute()
	if r.op == OpAny || r.op == OpAll {
		x, from = emitCast(r.b, from, Bool, x), Bool
	}
	return emitCast(r.b, from, r.acc, x)
}

// scalarOp is the operation of the table that combines two values.
func (r *reducer) scalarOp() Op {
	switch r.op {
	case OpSum, OpMean:
		return OpAdd
	case OpProd:
		return OpMul
	case OpMax:
		return OpMaximum
	case OpMin:
		return OpMinimum
	case OpAny:
		return OpBitwiseOr
	}
	return OpBitwiseAnd
}

// take adds an element, at a higher position than those before it, to p.
func (r *reducer) take(p partial, x, at *ptx.Reg) {
	if !isArg(r.op) {
		r.b.Do("mov."+r.acc.suffix(), p.v, table[r.scalarOp()].emit(r.b, r.acc, []*ptx.Reg{p.v, x}))
		return
	}
	var better *ptx.Reg
	if r.acc.IsFloat() { // a NaN is better than any number, and stays: better by value or unordered, than what is a number
		unordered := map[Op]string{OpArgMax: "gtu", OpArgMin: "ltu"}[r.op]
		number := r.b.Op("setp.num."+r.acc.suffix(), p.v, p.v)
		better = r.b.Op("setp."+unordered+".and."+r.acc.suffix(), x, p.v, number)
	} else {
		better = r.better(x, p.v)
	}
	r.b.DoIf(better, "mov."+r.acc.suffix(), p.v, x)
	r.b.DoIf(better, r.pos("mov"), p.at, at)
}

// better says whether x comes before y by value alone.
func (r *reducer) better(x, y *ptx.Reg) *ptx.Reg {
	if r.op == OpArgMin {
		return r.b.Op("setp.lt."+r.acc.suffix(), x, y)
	}
	return r.b.Op("setp.gt."+r.acc.suffix(), x, y)
}

// combine combines q into p. Which of them comes first does not matter: the
// operations are commutative to the bit, but for moments.
func (r *reducer) combine(p, q partial) {
	switch r.form {
	case pairPartial:
		r.b.Do("add.rn."+r.acc.suffix(), p.v, p.v, q.v)
		r.b.Do("add.rn."+r.acc.suffix(), p.mean, p.mean, q.mean)
		return
	case momentsPartial:
		r.combineMoments(p, q)
		return
	}
	if !isArg(r.op) {
		r.take(p, q.v, nil)
		return
	}
	b, s := r.b, r.acc.suffix()
	first := b.Op(r.pos("setp.lt"), q.at, p.at)
	var replace *ptx.Reg
	if r.acc.IsFloat() {
		// By value, a NaN counting as better than any number; equals and two NaN by position.
		pn, qn := b.Op("setp.nan."+s, p.v, p.v), b.Op("setp.nan."+s, q.v, q.v)
		wins := b.Op("or.pred", r.better(q.v, p.v), b.Op("and.pred", qn, b.Not(pn)))
		tie := b.Op("or.pred", b.Op("setp.eq."+s, q.v, p.v), b.Op("and.pred", qn, pn))
		replace = b.Op("or.pred", wins, b.Op("and.pred", tie, first))
	} else {
		tie := b.Op("and.pred", b.Op("setp.eq."+s, q.v, p.v), first)
		replace = b.Op("or.pred", r.better(q.v, p.v), tie)
	}
	b.DoIf(replace, "mov."+s, p.v, q.v)
	b.DoIf(replace, r.pos("mov"), p.at, q.at)
}

// combineMoments puts two groups of elements together (Chan, Golub and LeVeque,
// Updating formulae and a pairwise algorithm for computing sample variances,
// 1979): p's come first.
func (r *reducer) combineMoments(p, q partial) {
	op := func(name string, args ...any) *ptx.Reg { return r.b.Op(name+".rn."+r.acc.suffix(), args...) }
	move := func(to, from *ptx.Reg) { r.b.Do("mov."+r.acc.suffix(), to, from) }
	none := r.b.Op("setp.eq."+r.acc.suffix(), p.count, floatConst(r.acc, 0)) // then the mean is q's, both parts of it
	move(p.mean, r.b.Op("selp."+r.acc.suffix(), q.mean, p.mean, none))
	move(p.low, r.b.Op("selp."+r.acc.suffix(), q.low, p.low, none))
	count := op("add", p.count, q.count)
	share := op("div", q.count, r.b.Op("max."+r.acc.suffix(), count, floatConst(r.acc, 1))) // 0 where there are none
	d := op("add", op("sub", q.mean, p.mean), op("sub", q.low, p.low))
	d = r.b.Op("selp."+r.acc.suffix(), d, floatConst(r.acc, 0), r.b.Op("setp.gt."+r.acc.suffix(), q.count, floatConst(r.acc, 0)))
	between := op("mul", op("mul", d, d), op("mul", p.count, share))
	move(p.v, op("add", op("add", p.v, q.v), between))
	shift := op("fma", d, share, p.low)
	mean := op("add", p.mean, shift)
	move(p.low, op("add", op("sub", p.mean, mean), shift))
	move(p.mean, mean)
	move(p.count, count)
}

// fold combines neighbours pairwise until one partial is left, which it
// returns; len(ps) is a power of two.
func (r *reducer) fold(ps []partial) partial {
	for n := len(ps) / 2; n > 0; n /= 2 {
		for i := range n {
			r.combine(ps[2*i], ps[2*i+1])
			ps[i] = ps[2*i]
		}
	}
	return ps[0]
}

// foldLanes combines p over groups of n neighbouring lanes of a warp; every
// lane gets the result. (Where order matters, the group's first lane has the
// right one: what it takes in comes from first lanes of smaller groups.)
func (r *reducer) foldLanes(p partial, n int) {
	for mask := 1; mask < n; mask *= 2 {
		q := partial{v: emitShuffle(r.b, p.v, mask)}
		if isArg(r.op) {
			q.at = emitShuffle(r.b, p.at, mask)
		}
		if r.form != plainPartial {
			q.mean = emitShuffle(r.b, p.mean, mask)
		}
		if r.form == momentsPartial {
			q.low, q.count = emitShuffle(r.b, p.low, mask), emitShuffle(r.b, p.count, mask)
		}
		r.combine(p, q)
	}
}

// emitShuffle returns the value of x in the lane whose number differs in mask.
func emitShuffle(b *ptx.Builder, x *ptx.Reg, mask int) *ptx.Reg {
	return emitShuffleTo(b, "bfly", x, mask, 31)
}

// emitShuffleTo is a shuffle in any mode.
func emitShuffleTo(b *ptx.Builder, mode string, x *ptx.Reg, lane, clamp int) *ptx.Reg {
	const allLanes uint32 = 0xffffffff
	op := "shfl.sync." + mode + ".b32"
	d := b.Reg(x.Type)
	if x.Type.Bits() == 32 {
		b.Do(op, d, x, lane, clamp, allLanes)
		return d
	}
	lo, hi := b.Reg(ptx.B32), b.Reg(ptx.B32)
	b.Do("mov.b64", b.Vec(lo, hi), x)
	lo = b.Op(op, lo, lane, clamp, allLanes)
	hi = b.Op(op, hi, lane, clamp, allLanes)
	b.Do("mov.b64", d, b.Vec(lo, hi))
	return d
}

// foldThreads combines p over groups of n neighbouring threads of the block, a
// power of two of them; every thread gets the result. It contains barriers if n
// is larger than a warp.
func (r *reducer) foldThreads(p partial, n int) {
	r.foldLanes(p, min(n, 32))
	if n <= 32 {
		return
	}
	b := r.b
	tid := b.Special("%tid.x")
	lane := b.Op("and.b32", tid, 31)
	leader := b.Op("setp.eq.u32", lane, 0)
	b.Do("bar.sync", 0) // what was read from this memory before has been read
	r.share(leader, b.Op("shr.u32", tid, 5), p)
	b.Do("bar.sync", 0)
	// Each warp reads the results of its group's warps: lane i takes that of
	// warp i mod the number of warps.
	warps := n / 32
	first := b.Op("and.b32", b.Op("shr.u32", tid, 5), int(^uint32(warps-1)&31))
	r.unshare(p, b.Op("add.u32", first, b.Op("and.b32", lane, warps-1)))
	r.foldLanes(p, warps)
}

// share stores p at place i of the shared memory if the predicate holds.
func (r *reducer) share(pred, i *ptx.Reg, p partial) {
	for k, f := range r.fields(p) {
		at := r.b.Op("mad.lo.u32", i, f.typ.Size(), r.b.Addr(r.memory[k]))
		r.b.DoIf(pred, "st.shared"+f.suffix, r.b.At(at, 0), f.reg)
	}
}

// unshare loads place i of the shared memory into p.
func (r *reducer) unshare(p partial, i *ptx.Reg) {
	for k, f := range r.fields(p) {
		at := r.b.Op("mad.lo.u32", i, f.typ.Size(), r.b.Addr(r.memory[k]))
		r.b.Do("ld.shared"+f.suffix, f.reg, r.b.At(at, 0))
	}
}

// tails are the operations of the table that a result may go through before it is
// rounded and stored: a launch less than if they came after.
var tails = []Op{OpSqrt}

// emitTail is one of them, or nothing, in the type that is computed in.
func emitTail(b *ptx.Builder, tail Op, t Type, v *ptx.Reg) *ptx.Reg {
	if tail == NoOp {
		return v
	}
	return emitOp(b, tail, t, t, v)
}

// tail writes one, or nothing, to a key.
func (w *keyWriter) tail(op Op) *keyWriter {
	if op == NoOp {
		return w
	}
	return w.word(op.String())
}

// tail reads what keyWriter.tail wrote; results are of type t.
func (r *keyReader) tail(t Type) Op {
	for _, op := range tails {
		if r.flag(op.String()) {
			if !table[op].types.has(t) {
				r.fail("a type that has " + op.String())
			}
			return op
		}
	}
	return NoOp
}

// store writes a finished result to memory if the predicate (may be nil) holds.
// count is the number of elements, in the accumulator's type, for OpMean.
func (r *reducer) store(pred *ptx.Reg, at ptx.Operand, p partial, count *ptx.Reg) {
	b, v, t := r.b, p.v, r.out
	switch r.op {
	case OpArgMax, OpArgMin:
		v = p.at
		if !r.wide {
			v = b.Op("cvt.u64.u32", v)
		}
	case OpAny, OpAll:
		v = emitCast(b, r.acc, Bool, v)
	case OpMean:
		v = b.Op("div.rn."+r.acc.suffix(), v, count)
	}
	v = emitTail(b, r.tail, r.acc, v)
	storeElement(b, t, emitFit(b, t, v), at, pred)
}

// loadRun loads n neighbouring elements of type t, 'far' bytes behind p; that address
// is a multiple of access bytes, and the pieces have that size.
func loadRun(b *ptx.Builder, t Type, n int, p *ptx.Reg, far int64, access int) []*ptx.Reg {
	return loadRunAs(b, cached, t, n, p, far, access)
}

// loadRunAs is loadRun with a kind of loads.
func loadRunAs(b *ptx.Builder, load string, t Type, n int, p *ptx.Reg, far int64, access int) []*ptx.Reg {
	xs := b.Regs(t.reg(), n)
	piece := max(min(access/t.Size(), n), 1)
	for i := 0; i < n; i += piece {
		loadVectorAs(b, load, t, xs[i:i+piece], b.At(p, far+int64(i*t.Size())))
	}
	return xs
}

// loadOne loads one element.
func loadOne(b *ptx.Builder, t Type, p *ptx.Reg) *ptx.Reg { return loadRun(b, t, 1, p, 0, t.Size())[0] }
