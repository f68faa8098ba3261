package kernels

import (
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// rasterRows is the number of tile rows that neighbouring blocks work on
// together, so that tiles of both operands are found in the L2 cache.
const rasterRows = 8

// matmulEmitter is the state of writing a matmulKernel.
type matmulEmitter struct {
	*matmulKernel
	b           *ptx.Builder
	acc, stored Type     // of the accumulators, and of what is stored
	k           *ptx.Reg // K, or the segment's length
	at          *ptx.Reg // the first k of the tiles that are loaded next

	left, right *tileLoader
	sums        [][]*ptx.Reg
	epilogue    *thenEmitter // or nil
}

func (k *matmulKernel) emit(b *ptx.Builder) {
	e := &matmulEmitter{matmulKernel: k, b: b, acc: k.t.compute(), stored: k.t}
	out, pa, pb := b.Param("out", ptx.U64), b.Param("a", ptx.U64), b.Param("b", ptx.U64)
	m, n, kk := b.Ld(b.Param("m", ptx.U32)), b.Ld(b.Param("n", ptx.U32)), b.Param("k", ptx.U32)
	tilesM, tilesN := b.Ld(b.Param("tiles_m", ptx.U32)), b.Ld(b.Param("tiles_n", ptx.U32))
	strides := make([]*ptx.Var, 6)
	for i, name := range []string{"out_m", "out_n", "a_m", "a_k", "b_n", "b_k"} {
		strides[i] = b.Param(name, ptx.U64)
	}
	var segment, batches, between *ptx.Var
	if k.split {
		segment, batches, between = b.Param("segment", ptx.U32), b.Param("batches", ptx.U32), b.Param("between", ptx.U64)
	}
	operands := []string{"out", "a", "b"}
	if k.then.expr != nil {
		e.epilogue = newThen(b, k.t, k.then)
		operands = append(operands, e.epilogue.names(e.epilogue.ks)...)
	}
	batch := declareAxes(b, "batch", k.batch, false, operands...)
	b.MaxThreads(k.tile.threads())
	e.k = b.Ld(kk)

	tileM, tileN, z := e.whichTile(tilesM, tilesN)
	m0, n0 := b.Op("mul.lo.u32", tileM, k.tile.m), b.Op("mul.lo.u32", tileN, k.tile.n)
	bases := []*ptx.Reg{b.Ld(out), b.Ld(pa), b.Ld(pb)}
	if k.split {
		var part *ptx.Reg
		part, z = emitDivRem(b, z, b.Ld(batches))
		first := b.Op("mul.lo.u32", part, b.Ld(segment))
		e.k = b.Op("min.u32", b.Ld(segment), b.Op("sub.u32", e.k, first))
		first = b.Op("cvt.u64.u32", first)
		bases[0] = b.Op("mad.lo.u64", b.Op("cvt.u64.u32", part), b.Ld(between), bases[0])
		bases[1] = b.Op("mad.lo.u64", first, b.Ld(strides[3]), bases[1])
		bases[2] = b.Op("mad.lo.u64", first, b.Ld(strides[5]), bases[2])
		e.stored = e.acc
	}
	if e.epilogue != nil {
		bases = append(bases, e.epilogue.at0()...)
	}
	bases = emitOffsets(b, batch, z, false, bases...)
	// Beyond K, a counts as −0 and b as +0: a chain of additions of −0 changes nothing.
	negative := math.Copysign(0, -1)
	e.left = e.newLoader("tile_a", k.a, k.tile.m, k.tile.threadM, bases[1], m0, m, b.Ld(strides[2]), b.Ld(strides[3]), negative)
	e.right = e.newLoader("tile_b", k.b, k.tile.n, k.tile.threadN, bases[2], n0, n, b.Ld(strides[4]), b.Ld(strides[5]), 0)
	row, column := e.threadPlace()
	e.left.readFrom(e, row)
	e.right.readFrom(e, column)

	e.zeroSums()
	e.loop()
	if e.epilogue != nil {
		e.epilogue.begin(bases[3:])
	}
	e.storeSums(bases[0], b.Op("mad.lo.u32", row, k.vector(), m0), b.Op("mad.lo.u32", column, k.vector(), n0), m, n, b.Ld(strides[0]), b.Ld(strides[1]))
	b.Do("ret")
}

// whichTile returns the block's tile and its place in the batch. Blocks go
// down rasterRows rows of tiles before they go on to the next column.
func (e *matmulEmitter) whichTile(tilesM, tilesN *ptx.Reg) (tileM, tileN, z *ptx.Reg) {
	b := e.b
	z, i := emitDivRem(b, b.Special("%ctaid.x"), b.Op("mul.lo.u32", tilesM, tilesN))
	band, i := emitDivRem(b, i, b.Op("mul.lo.u32", tilesN, rasterRows))
	first := b.Op("mul.lo.u32", band, rasterRows)
	rows := b.Op("min.u32", b.Op("sub.u32", tilesM, first), rasterRows)
	tileN, row := emitDivRem(b, i, rows)
	return b.Op("add.u32", first, row), tileN, z
}

// threadPlace returns the thread's row and column among the block's threads.
// The 32 lanes of a warp form 8 rows and 4 columns.
func (e *matmulEmitter) threadPlace() (row, column *ptx.Reg) {
	b := e.b
	warpsN := e.tile.n / e.tile.threadN / 4
	tid := b.Special("%tid.x")
	lane, warp := b.Op("and.b32", tid, 31), b.Op("shr.u32", tid, 5)
	warpN := b.Op("and.b32", warp, warpsN-1)
	warpM := b.Op("shr.u32", warp, log2(warpsN))
	row = b.Op("mad.lo.u32", warpM, 8, b.Op("shr.u32", lane, 2))
	column = b.Op("mad.lo.u32", warpN, 4, b.Op("and.b32", lane, 3))
	return row, column
}

func (e *matmulEmitter) zeroSums() {
	for range e.tile.threadM {
		row := e.b.Regs(e.acc.reg(), e.tile.threadN)
		for _, r := range row {
			zero(e.b, e.acc, r)
		}
		e.sums = append(e.sums, row)
	}
}

// loop walks along k: load the next tiles into registers, multiply the present
// ones, put the next into the other buffer.
func (e *matmulEmitter) loop() {
	b := e.b
	e.at = b.Reg(ptx.U32)
	b.Do("mov.u32", e.at, 0)
	e.left.load(e)
	e.right.load(e)
	e.left.put(e)
	e.right.put(e)
	e.left.start(b)
	e.right.start(b)
	b.Do("bar.sync", 0)
	again, last, done := b.NewLabel("step"), b.NewLabel("last"), b.NewLabel("done")
	b.Bind(again)
	b.Do("add.u32", e.at, e.at, e.tile.k)
	more := b.Op("setp.lt.u32", e.at, e.k)
	b.BraUnless(more, last)
	e.left.load(e)
	e.right.load(e)
	b.Bind(last)
	e.multiply()
	b.BraUnless(more, done)
	e.left.put(e)
	e.right.put(e)
	e.left.flip(b)
	e.right.flip(b)
	b.Do("bar.sync", 0)
	b.Bra(again)
	b.Bind(done)
}

// multiply adds the product of the tiles in shared memory. The fragments of the
// next k are loaded while those of the present one are multiplied.
func (e *matmulEmitter) multiply() {
	x, y := e.left.fragment(e, 0), e.right.fragment(e, 0)
	for k := range e.tile.k {
		var nextX, nextY []*ptx.Reg
		if k+1 < e.tile.k {
			nextX, nextY = e.left.fragment(e, k+1), e.right.fragment(e, k+1)
		}
		for i := range x {
			for j := range y {
				if i%2 == 1 { // to and fro, so that neighbours share an operand
					j = len(y) - 1 - j
				}
				e.multiplyAdd(e.sums[i][j], x[i], y[j])
			}
		}
		x, y = nextX, nextY
	}
}

func (e *matmulEmitter) multiplyAdd(sum, x, y *ptx.Reg) {
	if e.acc.IsFloat() {
		e.b.Do("fma.rn."+e.acc.suffix(), sum, x, y, sum)
	} else {
		e.b.Do("mad.lo."+e.acc.suffix(), sum, x, y, sum)
	}
}

// storeSums writes the thread's elements that lie inside out. row and column
// are those of its first.
func (e *matmulEmitter) storeSums(base, row, column, m, n, strideM, strideN *ptx.Reg) {
	b, v := e.b, e.vector()
	gapM, gapN := e.left.gap(e), e.right.gap(e)
	for i, sums := range e.sums {
		r := b.Op("add.u32", row, i/v*gapM+i%v)
		skip := b.NewLabel("below")
		b.BraIf(b.Op("setp.ge.u32", r, m), skip)
		r = b.Op("cvt.u64.u32", r)
		at := b.Op("mad.lo.u64", r, strideM, base)
		if e.epilogue != nil {
			e.epilogue.row(r)
		}
		for j := 0; j < len(sums); j += e.store {
			c := b.Op("add.u32", column, j/v*gapN+j%v)
			wide := b.Op("cvt.u64.u32", c)
			e.storeRun(sums[j:j+e.store], wide, b.Op("mad.lo.u64", wide, strideN, at), b.Op("setp.lt.u32", c, n))
		}
		b.Bind(skip)
	}
}

// storeRun stores neighbouring elements from column c on, where inside is true.
func (e *matmulEmitter) storeRun(sums []*ptx.Reg, c, at, inside *ptx.Reg) {
	b := e.b
	if e.epilogue != nil {
		skip := b.NewLabel("beside")
		b.BraUnless(inside, skip)
		storeRun(b, e.then.result(), e.epilogue.run(sums, c), at)
		b.Bind(skip)
		return
	}
	var vs []*ptx.Reg
	for _, s := range sums {
		vs = append(vs, emitFit(b, e.stored, s))
	}
	if len(vs) == 1 {
		storeElement(b, e.stored, vs[0], b.At(at, 0), inside)
		return
	}
	skip := b.NewLabel("beside")
	b.BraUnless(inside, skip)
	storeVector(b, e.stored, vs, b.At(at, 0))
	b.Bind(skip)
}

// A tileLoader brings an operand's tiles into shared memory, and from there
// into the threads' registers. x is the operand's axis that is not k.
type tileLoader struct {
	access tileAccess
	size   int      // elements of the tile along x
	thread int      // elements of a thread along x
	groups int      // threads along x
	blank  float64  // what counts beyond K
	shared *ptx.Var // two buffers

	from  []*ptx.Reg   // address of each of the thread's vectors in the next tile
	next  *ptx.Reg     // bytes between tiles
	k     []*ptx.Reg   // k of each of the thread's vectors in the tile
	vecs  [][]*ptx.Reg // what was loaded
	into  [][]*ptx.Reg // shared addresses of each vector: see places
	read  []*ptx.Reg   // shared address of the thread's fragments, for each swizzle
	other *ptx.Reg     // bytes from the buffer that is read to the other
}

// newLoader sets up a loader for the tile that starts at x0 in an axis of
// 'length'. Beyond that axis' end the last elements are read again: what comes
// of them is not stored.
func (e *matmulEmitter) newLoader(name string, access tileAccess, size, thread int, base, x0, length, strideX, strideK *ptx.Reg, blank float64) *tileLoader {
	b, t := e.b, e.tile
	l := &tileLoader{access: access, size: size, thread: thread, groups: size / thread, blank: blank}
	perRow := size / access.vec // vectors side by side
	if access.alongK {
		perRow = t.k / access.vec
	}
	across := t.threads() / perRow // rows of them that the threads load at once
	tid := b.Special("%tid.x")
	lane := b.Op("mul.lo.u32", b.Op("and.b32", tid, perRow-1), access.vec)
	row := b.Op("shr.u32", tid, log2(perRow))
	limit := b.Op("sub.u32", length, access.vec)
	if access.alongK {
		limit = b.Op("sub.u32", length, 1)
	}
	l.shared = b.Shared(name, e.acc.reg(), 16, 2*size*t.k)
	shared := b.Addr(l.shared)
	for i := range size * t.k / access.vec / t.threads() {
		x, k := lane, addConst(b, row, i*across)
		if access.alongK {
			x, k = k, lane
		}
		inside := b.Op("min.u32", b.Op("add.u32", x0, x), limit)
		at := b.Op("mad.lo.u64", b.Op("cvt.u64.u32", inside), strideX, base)
		l.from = append(l.from, b.Op("mad.lo.u64", b.Op("cvt.u64.u32", k), strideK, at))
		l.k = append(l.k, k)
		l.vecs = append(l.vecs, b.Regs(e.t.reg(), access.vec))
		l.into = append(l.into, e.places(l, shared, x, k))
	}
	l.next = b.Op("mul.lo.u64", strideK, t.k)
	l.other = b.Reg(ptx.U32)
	b.Do("mov.u32", l.other, e.bufferBytes(l))
	return l
}

func addConst(b *ptx.Builder, x *ptx.Reg, n int) *ptx.Reg {
	if n == 0 {
		return x
	}
	return b.Op("add.u32", x, n)
}

func (e *matmulEmitter) bufferBytes(l *tileLoader) int { return l.size * e.tile.k * e.acc.reg().Size() }

// swizzle says which groups of vector() elements change places in row k of a
// tile in shared memory: element x lies at x xor vector()·swizzle(k). It takes
// the values 0 to 7, so that lanes that write different k in the same column
// meet different banks, while fragments stay in one piece.
func (t tile) swizzle(k int) int { return k * 8 / t.k }

// places returns the shared addresses of the vector at x and k. Where it lies
// along k, they are those of its elements for each swizzle that it meets, but
// for the distance between rows.
func (e *matmulEmitter) places(l *tileLoader, shared, x, k *ptx.Reg) []*ptx.Reg {
	b, bytes := e.b, e.acc.reg().Size()
	row := b.Op("mad.lo.u32", k, l.size*bytes, shared)
	if !l.access.alongK {
		return []*ptx.Reg{b.Op("mad.lo.u32", x, bytes, row)}
	}
	first := b.Op("shr.u32", k, log2(e.tile.k/8))
	var at []*ptx.Reg
	for i := range e.tile.swizzle(l.access.vec-1) + 1 {
		swapped := b.Op("xor.b32", x, b.Op("mul.lo.u32", addConst(b, first, i), e.vector()))
		at = append(at, b.Op("mad.lo.u32", swapped, bytes, row))
	}
	return at
}

// load starts loading the tile at e.at, and moves on to the next.
func (l *tileLoader) load(e *matmulEmitter) {
	b := e.b
	cut, loaded := b.NewLabel("cut"), b.NewLabel("loaded")
	b.BraIf(b.Op("setp.gt.u32", b.Op("add.u32", e.at, e.tile.k), e.k), cut)
	for i, v := range l.vecs {
		loadVector(b, e.t, v, b.At(l.from[i], 0))
	}
	b.Bra(loaded)
	b.Bind(cut)
	for i, v := range l.vecs {
		for _, x := range v {
			e.blank(x, l.blank)
		}
		skip := b.NewLabel("beyond")
		b.BraIf(b.Op("setp.ge.u32", b.Op("add.u32", e.at, l.k[i]), e.k), skip)
		loadVector(b, e.t, v, b.At(l.from[i], 0))
		b.Bind(skip)
	}
	b.Bind(loaded)
	for _, p := range l.from {
		b.Do("add.u64", p, p, l.next)
	}
}

func (e *matmulEmitter) blank(x *ptx.Reg, value float64) {
	if e.acc.IsFloat() {
		e.b.Do("mov."+e.acc.suffix(), x, floatConst(e.acc, value))
	} else {
		zero(e.b, e.acc, x)
	}
}

// put stores what was loaded in the buffer that is not read.
func (l *tileLoader) put(e *matmulEmitter) {
	b, rowBytes := e.b, int64(l.size*e.acc.reg().Size())
	for i, v := range l.vecs {
		if !l.access.alongK {
			if len(v) == 1 {
				b.Do("st.shared."+e.acc.suffix(), b.At(l.into[i][0], 0), v[0])
			} else {
				b.Do(fmt.Sprintf("st.shared.v%d.%s", len(v), e.acc.suffix()), b.At(l.into[i][0], 0), vector(b, v))
			}
			continue
		}
		for j, x := range v {
			b.Do("st.shared."+e.acc.suffix(), b.At(l.into[i][e.tile.swizzle(j)], int64(j)*rowBytes), x)
		}
	}
}

// flip exchanges the two buffers.
func (l *tileLoader) flip(b *ptx.Builder) {
	for _, r := range l.read {
		b.Do("add.u32", r, r, l.other)
	}
	for _, v := range l.into {
		for _, w := range v {
			b.Do("sub.u32", w, w, l.other)
		}
	}
	b.Do("neg.s32", l.other, l.other)
}

// start makes the first tile's buffer the one that is read.
func (l *tileLoader) start(b *ptx.Builder) {
	for _, v := range l.into {
		for _, w := range v {
			b.Do("add.u32", w, w, l.other)
		}
	}
}

// readFrom sets where the thread reads, given its place along x.
func (l *tileLoader) readFrom(e *matmulEmitter, place *ptx.Reg) {
	b, bytes := e.b, e.acc.reg().Size()
	shared := b.Addr(l.shared)
	swizzles := 1
	if l.access.alongK {
		swizzles = 8
	}
	x := b.Op("mul.lo.u32", place, e.vector())
	for s := range swizzles {
		at := x
		if s > 0 {
			at = b.Op("xor.b32", x, s*e.vector())
		}
		r := b.Reg(ptx.U32)
		b.Do("mad.lo.u32", r, at, bytes, shared)
		l.read = append(l.read, r)
	}
}

// gap is the distance along x between the pieces of a thread's fragment. Being
// a multiple of all that swizzles move, it is the same in every row.
func (l *tileLoader) gap(e *matmulEmitter) int { return l.groups * e.vector() }

// fragment loads the thread's elements of row k.
func (l *tileLoader) fragment(e *matmulEmitter, k int) []*ptx.Reg {
	b, bytes, v := e.b, e.acc.reg().Size(), e.vector()
	at := l.read[0]
	if l.access.alongK {
		at = l.read[e.tile.swizzle(k)]
	}
	xs := b.Regs(e.acc.reg(), l.thread)
	for i := 0; i < l.thread; i += v {
		off := int64((k*l.size + i/v*l.gap(e)) * bytes)
		b.Do(fmt.Sprintf("ld.shared.v%d.%s", v, e.acc.suffix()), vector(b, xs[i:i+v]), b.At(at, off))
	}
	return xs
}
