package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// MatMul appends the product of the matrices in the last two axes of a (M×K)
// and b (K×N) to the plan: operand 0 is out (M×N), operand 1 a, operand 2 b.
// The leading axes are a batch; all three layouts have them in the same shape,
// with strides 0 where an operand is broadcast. Matrices may have any strides,
// and a product with K = 0 is zero. It is defined for all numbers.
//
// Each element is one chain of fused multiply-adds over k = 0, 1, …, K−1, from
// +0, in the type itself, or in float32 for float16 and bfloat16, which are
// rounded once at the end. Where a product has few elements and a long K, the
// chain is cut into equal segments (the last may be shorter), whose sums are
// added in the order of a reduction (reduce.go); their length follows from the
// shapes and the type. So a result does not depend on tiles, layouts or the
// device. Integers wrap.
func MatMul(p *Plan, t Type, out, a, b Layout) error {
	q := p.ask(planProduct, uint64(t))
	q.layout(&out)
	q.layout(&a)
	q.layout(&b)
	if q.answered() {
		return nil
	}
	return q.remember(planMatMul(p, t, out, a, b))
}

func planMatMul(p *Plan, t Type, out, a, b Layout) error {
	if !t.IsFloat() && !t.IsInteger() {
		return &UnsupportedError{"matmul", t}
	}
	var g product
	if err := g.setLayouts(t, out, a, b); err != nil || out.Len() == 0 {
		return err
	}
	g.batch = newNest(g.layouts[:3])
	defer g.batch.release()
	g.batch.coalesce()
	if g.k == 0 {
		zero := Expr{Nodes: []Node{{Kind: Immediate, Type: t}}}
		return Elementwise(p, &zero, out, nil)
	}
	if segment := g.segment(); segment < g.k && out.Rank < MaxRank {
		return g.planSplit(p, out, segment)
	}
	return g.plan(p)
}

// A product is what MatMul is to plan.
type product struct {
	t       Type
	m, n, k int
	batch   *nest                       // operands out, a, b
	layouts [3 + maxThenOperands]Layout // the batch's axes of each, and of the epilogue's operands
	then    *Expr                       // the epilogue, or nil
	in      []Layout                    // of its operands 2, 3, …
	// Strides in elements: of out along m and n, of a along m and k, of b along n and k.
	outM, outN, aM, aK, bN, bK int

	// Where K is split: the length of a segment, the number of segments, and
	// the elements between their results. out has the type of the accumulator.
	segmentK, segments, between int
}

func (g *product) setLayouts(t Type, out, a, b Layout) error {
	for _, l := range []*Layout{&out, &a, &b} {
		if err := l.check("an operand of matmul"); err != nil {
			return err
		}
		if l.Rank < 2 || l.Rank != out.Rank {
			return fmt.Errorf("matmul of operands with %d and %d axes into %d; all need the same, two at least", a.Rank, b.Rank, out.Rank)
		}
	}
	r := out.Rank - 2
	*g = product{t: t, m: out.Shape[r], n: out.Shape[r+1], k: a.Shape[r+1], segments: 1}
	shapes := func() error {
		return fmt.Errorf("matmul of shapes %v and %v into %v", a.shape(), b.shape(), out.shape())
	}
	if a.Shape[r] != g.m || b.Shape[r] != g.k || b.Shape[r+1] != g.n {
		return shapes()
	}
	if max(g.m, g.n, g.k) > math.MaxInt32-1024 {
		return fmt.Errorf("%w: axes may be at most 2³¹−1025 long", shapes())
	}
	g.outM, g.outN = out.stride(r), out.stride(r+1)
	g.aM, g.aK = a.stride(r), a.stride(r+1)
	g.bK, g.bN = b.stride(r), b.stride(r+1)
	ls := []Layout{out, a, b}
	for i := range ls {
		ls[i].Rank = r
		if !ls[i].sameShape(&ls[0]) {
			return shapes()
		}
	}
	copy(g.layouts[:], ls)
	return nil
}

// stride is an axis' stride, or 0 where any will do.
func (l *Layout) stride(axis int) int {
	if l.Shape[axis] == 1 {
		return 0
	}
	return l.Strides[axis]
}

func (g *product) batches() int {
	n := 1
	for _, d := range g.batch.shape[:g.batch.rank] {
		n *= d
	}
	return n
}

// A tile is the block of the product that a block of threads computes: m×n
// elements, in steps of k, each thread threadM×threadN of them.
type tile struct{ m, n, k, threadM, threadN int }

func (t tile) threads() int { return t.m / t.threadM * (t.n / t.threadN) }

// Tiles for accumulators of 4 and of 8 bytes, the most efficient first, each
// with the number of blocks from which it is the fastest on an H100 (132
// multiprocessors).
var (
	tiles4 = []tile{{256, 128, 8, 16, 8}, {128, 128, 8, 8, 8}, {64, 64, 16, 8, 4}, {32, 32, 16, 4, 4}}
	tiles8 = []tile{{128, 64, 8, 8, 8}, {64, 64, 8, 8, 4}, {32, 32, 16, 4, 2}}

	enough4 = []int{384, 180, 100, 0}
	enough8 = []int{110, 100, 0}
)

func tilesFor(t Type) (tiles []tile, enough []int) {
	if t.compute().reg().Size() == 8 {
		return tiles8, enough8
	}
	return tiles4, enough4
}

// choose returns the first tile that gives enough blocks.
func (g *product) choose() tile {
	tiles, enough := tilesFor(g.t)
	for i, t := range tiles {
		if min(g.m, g.n) <= 32 { // larger tiles would be mostly empty
			break
		}
		if ceilDiv(g.m, t.m)*ceilDiv(g.n, t.n)*g.batches()*g.segments >= enough[i] && (g.segments == 1 || t.m < 128) {
			return t
		}
	}
	return tiles[len(tiles)-1]
}

func (g *product) plan(p *Plan) error {
	t := g.choose()
	tilesM, tilesN := ceilDiv(g.m, t.m), ceilDiv(g.n, t.n)
	if tilesM*tilesN > math.MaxInt32/(g.batches()*g.segments) {
		return fmt.Errorf("matmul of %d×%d×%d in a batch of %d needs more blocks than a launch may have", g.m, g.k, g.n, g.batches())
	}
	kern := &matmulKernel{t: g.t, tile: t, batch: g.batch.rank, split: g.segments > 1}
	kern.a = g.access(1, g.m, g.aM, g.aK)
	kern.b = g.access(2, g.n, g.bN, g.bK)
	kern.store = 1
	if g.outN == 1 && g.aligned(0, g.n, g.outM) {
		kern.store = kern.vector()
	}
	size, outSize := g.t.Size(), g.t.Size()
	if kern.split {
		outSize = g.t.compute().Size()
	}
	sizes, operands := []int{outSize, size, size}, []int{0, 1, 2}
	if g.then != nil {
		kern.then = g.thenSource(kern.store)
		sizes[0] = kern.then.result().Size()
		outSize = sizes[0]
		for k := range g.in {
			size := kern.then.operand(k + 2).Size()
			if sizes = append(sizes, size); size > 0 {
				operands = append(operands, k+3)
			}
		}
	}
	l := p.launch(kern.key(), [3]uint32{uint32(tilesM * tilesN * g.batches() * g.segments), 1, 1}, [3]uint32{uint32(t.threads()), 1, 1}, 0)
	for i, off := range g.batch.offsets[:3] {
		l.pointer(i, off*sizes[i])
	}
	for _, n := range []int{g.m, g.n, g.k, tilesM, tilesN} {
		l.value32(uint32(n))
	}
	l.value64(uint64(g.outM * outSize))
	l.value64(uint64(g.outN * outSize))
	for _, s := range []int{g.aM, g.aK, g.bN, g.bK} {
		l.value64(uint64(s * size))
	}
	if kern.split {
		l.value32(uint32(g.segmentK))
		l.value32(uint32(g.batches()))
		l.value64(uint64(g.between * outSize))
	}
	if g.then != nil {
		g.thenArgs(l, &kern.then, sizes)
	}
	used := sizes[:0]
	for _, k := range operands {
		used = append(used, sizes[k])
	}
	l.axes(g.batch, 0, g.batch.rank, false, operands, used)
	if bytes := l.paramBytes(); bytes > maxParamBytes {
		p.Launches = p.Launches[:len(p.Launches)-1]
		return tooManyParameters(bytes)
	}
	return nil
}

// segment returns the length of the segments that K is cut into: K itself, or
// less where the product alone does not give enough blocks, or, being little
// more than a matrix read once, not enough reads at a time.
func (g *product) segment() int {
	const shortest = 256
	wanted, edge := 264, 64
	if min(g.m, g.n) < 32 {
		wanted, edge = 2048, 32
	}
	blocks := ceilDiv(g.m, edge) * ceilDiv(g.n, edge) * g.batches()
	segments := min(wanted/blocks, g.k/shortest)
	if segments < 2 || !g.t.IsFloat() {
		return g.k
	}
	return (ceilDiv(g.k, segments) + 63) &^ 63
}

// planSplit makes the segments' products one batch in scratch memory, and adds
// them.
func (g *product) planSplit(p *Plan, out Layout, segment int) error {
	acc := g.t.compute()
	r := out.Rank - 2
	inner := RowMajor(out.Shape[:out.Rank]...)
	g.segmentK, g.segments, g.between = segment, ceilDiv(g.k, segment), inner.Len()
	partial := inner
	partial.insert(g.segments, g.between)
	at := p.scratch(partial.Len() * acc.Size())
	whole := *g
	whole.outM, whole.outN = inner.Strides[r], inner.Strides[r+1]
	inner.Rank = r
	whole.batch = newNest([]Layout{inner, g.layouts[1], g.layouts[2]})
	defer whole.batch.release()
	whole.batch.coalesce()
	from := len(p.Launches)
	if err := whole.plan(p); err != nil {
		return err
	}
	p.moveOperands(from, []operandPlace{{ScratchOperand, at}, {1, 0}, {2, 0}})
	from = len(p.Launches)
	if err := ReduceAs(p, OpSum, acc, g.t, out, partial, 1); err != nil {
		p.Launches = p.Launches[:from-1]
		return err
	}
	p.moveOperands(from, []operandPlace{{0, 0}, {ScratchOperand, at}})
	return nil
}

// access chooses how operand i is read, whose axis x (m or n) is 'length' long.
func (g *product) access(i, length, strideX, strideK int) tileAccess {
	v := vectorOf(g.t)
	switch {
	case strideK == 1 && g.aligned(i, g.k, strideX):
		return tileAccess{alongK: true, vec: v}
	case strideX == 1 && g.aligned(i, length, strideK):
		return tileAccess{vec: v}
	}
	x, k := magnitude(strideX), magnitude(strideK)
	return tileAccess{alongK: x == 0 || k != 0 && k < x, vec: 1}
}

// aligned says whether operand i can be read in whole vectors along an axis of
// that length and stride 1, the other axis having the stride across.
func (g *product) aligned(i, length, across int) bool {
	all := length | across | g.batch.offsets[i]
	for _, s := range g.batch.strides[i][:g.batch.rank] {
		all |= s
	}
	return all%vectorOf(g.t) == 0
}

// vectorOf is the number of accumulators that fit 16 bytes.
func vectorOf(t Type) int { return 16 / t.compute().reg().Size() }

// A tileAccess says how a block reads its tile of an operand: with neighbouring
// lanes along k or along the other axis, and how many elements at once.
type tileAccess struct {
	alongK bool
	vec    int
}

// A matmulKernel is a tiled product. Tiles of a and b go through registers into
// shared memory, k by rows ([k][m] and [k][n]), in two buffers: while the
// threads multiply out of one, the next tiles are on their way to the other.
// Where an operand is read along k, its rows in shared memory are swizzled (see
// swizzle), so that neither writing nor reading them meets bank conflicts.
type matmulKernel struct {
	t     Type
	tile  tile
	a, b  tileAccess
	store int // elements of out that are stored at once
	batch int // axes
	split bool
	then  source // the epilogue; its expression is nil without one
}

func matmulFamily() family {
	return family{
		prefix:   "matmul",
		generate: generateMatmul,
		name:     matmulName,
		embed:    embeddedMatmul,
	}
}

func (k *matmulKernel) vector() int { return vectorOf(k.t) }

var accessWords = []string{"x", "k"}

func (k *matmulKernel) key() string {
	along := func(a tileAccess) string {
		if a.alongK {
			return "k"
		}
		return "x"
	}
	w := newKey("matmul").word(k.t.String()).number("m", k.tile.m).number("n", k.tile.n).number("k", k.tile.k).
		number("tm", k.tile.threadM).number("tn", k.tile.threadN).
		word(along(k.a)).number("a", k.a.vec).word(along(k.b)).number("b", k.b.vec).number("c", k.store).
		number("batch", k.batch).flag("split", k.split)
	if k.then.expr != nil {
		w.n = k.then.expr.appendKey(append(w.n, " then"...), k.then.forms, noForm)
	}
	return w.String()
}

// matmulName names a kernel by the words of its key before the epilogue.
func matmulName(key string) (name string, unique bool) {
	head, _, then := strings.Cut(key, " then ")
	return strings.ReplaceAll(head, " ", "_"), !then
}

func parseMatmulKernel(key string) (*matmulKernel, error) {
	r := readKey(key)
	k := &matmulKernel{t: r.elem(), tile: tile{m: r.number("m", 256), n: r.number("n", 256), k: r.number("k", 64),
		threadM: r.number("tm", 16), threadN: r.number("tn", 16)}}
	k.a.alongK, k.a.vec = r.word(accessWords...) == 1, r.number("a", 4)
	k.b.alongK, k.b.vec = r.word(accessWords...) == 1, r.number("b", 4)
	k.store, k.batch, k.split = r.number("c", 4), r.number("batch", MaxRank), r.flag("split")
	if r.flag("then") {
		k.then = r.epilogue(k)
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	tiles, _ := tilesFor(k.t)
	for _, t := range tiles {
		if t == k.tile && k.t != Bool && k.vecOK(k.a.vec) && k.vecOK(k.b.vec) && k.vecOK(k.store) {
			return k, nil
		}
	}
	return nil, fmt.Errorf("kernel key %q: no such tile", key)
}

// epilogue reads the rest of a key.
func (r *keyReader) epilogue(k *matmulKernel) source {
	e, forms, index, err := parseExpr(r.words)
	if err == nil && (index != noForm || k.split || len(forms) < 2 || forms[1] != accumulated || (&source{e, forms}).written(1) || slices.Contains(forms[2:], accumulated)) {
		err = fmt.Errorf("that is no epilogue")
	}
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("kernel key %q: %w", r.key, err)
	}
	r.words = nil
	return source{e, append(forms, noForm)}
}

func (k *matmulKernel) vecOK(v int) bool { return v == 1 || v == k.vector() }

func generateMatmul(key string, target int) (*ptx.Module, error) {
	k, err := parseMatmulKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}
