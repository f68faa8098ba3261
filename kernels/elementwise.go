package kernels

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
	"sync/atomic"
)

// Geometry of elementwise kernels. A thread handles as many elements as fit 16
// bytes of the widest type: as vectors (v elements, one 16-byte access), or,
// where alignment or strides forbid that, as u narrower items, each of them
// adjacent to its neighbour threads' so that a warp's access is one run of
// memory. All loads come before the first use, so bytes in flight are the same
// either way.
//
// The block's size is no part of the key: short arrays get smaller blocks, so
// that every multiprocessor has work, from the same kernel.
const (
	accessBytes    = 16
	blockThreads   = 256
	enoughBlocks   = 2 * 148 // two for each multiprocessor of the largest GPUs
	smallestBlock  = 32
	maxParamBytes  = 4096
	maxGrid        = math.MaxInt32
	maxWork        = 128           // operations × elements in one thread's code, beyond 4 elements
	maxCoordinates = math.MaxInt32 // what 32-bit index arithmetic reaches
)

// elementwiseWork is the planner's working memory.
type elementwiseWork struct {
	nest  nest
	types []Type // of the operands in the nest: output, then the others; Invalid for one that is not used
	forms []form
	index int // the nest's place of the linear index, -1 without one
	key   []byte
	limit int // of coordinates and positions: maxCoordinates, but in tests
}

var elementwisePool = sync.Pool{New: func() any { return &elementwiseWork{limit: maxCoordinates} }}

// Elementwise plans the evaluation of e for every element of out. The last
// node's value is stored to operand 0, which has layout out; operand i ≥ 1 has
// layout in[i-1], already broadcast to out's shape (strides 0 where it is).
// An input may be the output itself, through the same layout; what Store nodes
// write is memory of its own. Operands that are used by no node are ignored. An
// empty output needs no launch.
//
// More elements or longer strides than 32-bit arithmetic can index give several
// launches of one kernel, but operands without strides (contiguous) have no
// limit.
func Elementwise(p *Plan, e *Expr, out Layout, in []Layout) error {
	q := p.ask(planElementwise)
	q.expr(e)
	q.layout(&out)
	q.layouts(in)
	if q.answered() {
		return nil
	}
	w := elementwisePool.Get().(*elementwiseWork)
	defer elementwisePool.Put(w)
	return q.remember(w.elementwise(p, e, out, in))
}

func (w *elementwiseWork) elementwise(p *Plan, e *Expr, out Layout, in []Layout) error {
	if err := w.check(e, &out, in); err != nil {
		return err
	}
	if out.Len() == 0 {
		return nil
	}
	w.fill(e, &out, in)
	w.nest.coalesce()
	w.nest.sortByOutput()
	w.nest.coalesce()
	launches := len(p.Launches)
	if err := w.plan(p, e); err != nil {
		p.Launches = p.Launches[:launches]
		return err
	}
	return nil
}

func (w *elementwiseWork) check(e *Expr, out *Layout, in []Layout) error {
	if err := out.check("the output"); err != nil {
		return err
	}
	if len(in) > maxOperands {
		return fmt.Errorf("an expression over %d operands; at most %d are supported: evaluate part of it first", len(in), maxOperands)
	}
	for i := range in {
		if err := in[i].check("an operand"); err != nil {
			return err
		}
		if !in[i].sameShape(out) {
			return fmt.Errorf("operand %d has shape %v; the output has %v", i+1, in[i].shape(), out.shape())
		}
	}
	if err := e.check(len(in)); err != nil {
		return err
	}
	for i := e.value() + 1; i < len(e.Nodes); i++ {
		if err := in[e.Nodes[i].Operand-1].checkWritten(); err != nil {
			return err
		}
	}
	return out.checkWritten()
}

// checkWritten says what is wrong with a layout that is written to.
func (l *Layout) checkWritten() error {
	for i, d := range l.Shape[:l.Rank] {
		if d > 1 && l.Strides[i] == 0 {
			return fmt.Errorf("the output's axis %d has %d elements in one place", i, d)
		}
	}
	return nil
}

// fill sets up the nest: the output, the operands that are used, and, if it is
// used, the linear index as an operand whose positions are its values.
func (w *elementwiseWork) fill(e *Expr, out *Layout, in []Layout) {
	n := &w.nest
	n.rank, n.shape = out.Rank, out.Shape
	n.strides, n.offsets, w.types = n.strides[:0], n.offsets[:0], w.types[:0]
	add := func(l *Layout, t Type) {
		n.strides, n.offsets, w.types = append(n.strides, l.Strides), append(n.offsets, l.Offset), append(w.types, t)
	}
	add(out, e.Nodes[e.value()].Type)
	for i := range in {
		add(&in[i], Invalid)
	}
	w.index = -1
	for i := range e.Nodes {
		switch e.Nodes[i].Kind {
		case Load, Store:
			w.types[e.Nodes[i].Operand] = e.Nodes[i].Type
		case Index:
			if w.index < 0 {
				w.index = len(w.types)
				rows := RowMajor(out.Shape[:out.Rank]...)
				add(&rows, Int64)
			}
		}
	}
	// What is not used must not stand in the way of merging axes.
	for k, t := range w.types {
		if t == Invalid {
			n.strides[k] = [MaxRank]int{}
		}
	}
}

// plan appends the launches for the nest, halving it where 32 bits do not reach.
func (w *elementwiseWork) plan(p *Plan, e *Expr) error {
	width, items := w.geometry(e)
	for {
		w.setForms(width)
		if width == 1 || w.fits(width) {
			break
		}
		width, items = width/2, items*2
	}
	if axis := w.tooLong(); axis >= 0 {
		return w.split(p, e, axis)
	}
	return w.launch(p, e, width, items)
}

// geometry returns the widest vector, and one item.
func (w *elementwiseWork) geometry(e *Expr) (width, items int) {
	size := 1
	for k, t := range w.types {
		if k != w.index {
			size = max(size, t.Size())
		}
	}
	ops := 0
	for i := range e.Nodes {
		if e.Nodes[i].Kind == Apply {
			ops++
		}
	}
	width = accessBytes / size
	for width > 4 && width*ops > maxWork {
		width /= 2
	}
	return width, 1
}

// setForms chooses each operand's form for vectors of the given width.
func (w *elementwiseWork) setForms(width int) {
	n := &w.nest
	w.forms = w.forms[:0]
	for k := range n.strides {
		s := &n.strides[k]
		f := strided
		switch {
		case w.types[k] == Invalid:
			f = noForm
		case n.dense(k):
			f = contiguous
		case allZero(s[:n.rank]):
			f = scalar
		case width > 1 && s[n.rank-1] == 0 && k != w.index:
			f = broadcast
		}
		w.forms = append(w.forms, f)
	}
}

func allZero(s []int) bool {
	for _, v := range s {
		if v != 0 {
			return false
		}
	}
	return true
}

// dense says whether operand k lies as the nest's elements follow each other.
func (n *nest) dense(k int) bool {
	stride := 1
	for i := n.rank - 1; i >= 0; i-- {
		if n.strides[k][i] != stride {
			return false
		}
		stride *= n.shape[i]
	}
	return true
}

// fits says whether every operand can be accessed in items of width elements, a
// power of two.
func (w *elementwiseWork) fits(width int) bool {
	n := &w.nest
	for k, f := range w.forms {
		inside := n.rank > 0 && n.shape[n.rank-1]&(width-1) == 0 // items do not cross rows
		switch f {
		case contiguous:
			if k != w.index && n.offsets[k]&(width-1) != 0 {
				return false
			}
		case broadcast:
			if !inside {
				return false
			}
		case strided:
			if !inside || k != w.index && !n.alignedRows(k, width) {
				return false
			}
		}
	}
	return true
}

// alignedRows says whether operand k's rows are contiguous and begin at
// multiples of width.
func (n *nest) alignedRows(k, width int) bool {
	s := &n.strides[k]
	if s[n.rank-1] != 1 || n.offsets[k]&(width-1) != 0 {
		return false
	}
	for _, v := range s[:n.rank-1] {
		if v&(width-1) != 0 {
			return false
		}
	}
	return true
}

// rank returns the number of axes that the kernel computes coordinates of.
func (w *elementwiseWork) rank() int {
	for _, f := range w.forms {
		if f == strided || f == broadcast {
			return w.nest.rank
		}
	}
	return 0
}

// tooLong returns the axis to halve because 32 bits do not reach, or −1.
func (w *elementwiseWork) tooLong() int {
	n := &w.nest
	if w.rank() == 0 {
		return -1
	}
	total := 1
	for _, d := range n.shape[:n.rank] {
		total *= d
	}
	if total > w.limit {
		return 0
	}
	for k, f := range w.forms {
		if f != strided && f != broadcast || n.reach(k) <= w.limit {
			continue
		}
		longest, axis := 0, 0
		for i := range n.rank {
			if d := (n.shape[i] - 1) * n.strides[k][i]; max(d, -d) > longest {
				longest, axis = max(d, -d), i
			}
		}
		return axis
	}
	return -1
}

// split plans the two halves of an axis one after the other.
func (w *elementwiseWork) split(p *Plan, e *Expr, axis int) error {
	whole := w.nest.clone()
	first := whole.shape[axis] / 2
	for _, half := range [2]struct{ from, n int }{{0, first}, {first, whole.shape[axis] - first}} {
		w.nest = whole.clone()
		for k := range w.nest.offsets {
			w.nest.offsets[k] += half.from * whole.strides[k][axis]
		}
		w.nest.shape[axis] = half.n
		w.nest.coalesce()
		if err := w.plan(p, e); err != nil {
			return err
		}
	}
	return nil
}

// launch appends the launch of the kernel for the chosen geometry and forms.
// The parameters' order is that of elementwiseKernel.params.
func (w *elementwiseWork) launch(p *Plan, e *Expr, width, items int) error {
	n, rank := &w.nest, w.rank()
	k := elementwiseKernel{width: width, items: items, rank: rank, expr: e, forms: w.forms}
	if w.index >= 0 {
		k.index = w.forms[w.index]
	}
	key := w.keyOf(&k)

	total := 1
	for _, d := range n.shape[:n.rank] {
		total *= d
	}
	grid, block, err := elementwiseGrid(total, width*items)
	if err != nil {
		return err
	}
	l := p.launch(key, grid, block, 0)
	l.value64(uint64(total))
	for k, t := range w.types {
		if k != w.index && t != Invalid {
			l.pointer(k, n.offsets[k]*t.Size())
		}
	}
	if w.index >= 0 {
		l.value64(uint64(n.offsets[w.index]))
	}
	for i := range e.Nodes {
		if e.Nodes[i].Kind == Immediate {
			l.immediate(e.Nodes[i].Type, e.Nodes[i].Bits)
		}
	}
	for _, d := range n.shape[min(1, rank):rank] {
		q := newDivisor(d)
		l.value32(uint32(d))
		l.value32(q.mul)
		l.value32(q.shift)
	}
	for k, f := range w.forms {
		for _, s := range n.strides[k][:f.strides(rank)] {
			l.value32(uint32(int32(s)))
		}
	}
	if bytes := l.paramBytes(); bytes > maxParamBytes {
		return tooManyParameters(bytes)
	}
	return nil
}

// A recentKey is an elementwise kernel and its key.
type recentKey struct {
	kernel elementwiseKernel // with an expression and forms of its own
	key    string
}

// recentKeys remembers, at a place that the kernel gives, the key that was there
// last: writing a key anew takes several times as long as comparing what it is
// written from.
var recentKeys [1 << 10]atomic.Pointer[recentKey]

// keyOf returns k's key.
func (w *elementwiseWork) keyOf(k *elementwiseKernel) string {
	place := &recentKeys[k.hash()%uint64(len(recentKeys))]
	if r := place.Load(); r != nil && r.kernel.same(k) {
		return r.key
	}
	w.key = k.appendKey(w.key[:0])
	r := &recentKey{key: intern(w.key)}
	r.kernel = elementwiseKernel{k.width, k.items, k.rank, &Expr{slices.Clone(k.expr.Nodes)}, slices.Clone(k.forms), k.index} // not *k, which would move each expression to the heap
	place.Store(r)
	return r.key
}

// hash mixes what the key is written from.
func (k *elementwiseKernel) hash() uint64 {
	h := uint64(k.width)<<16 ^ uint64(k.items)<<8 ^ uint64(k.rank)
	mix := func(v uint64) { h = bits.RotateLeft64(h^v, 29) * 0x9e3779b97f4a7c15 }
	for _, f := range k.forms {
		mix(uint64(f))
	}
	for i := range k.expr.Nodes {
		n := &k.expr.Nodes[i]
		mix(uint64(n.Kind) | uint64(n.Type)<<8 | uint64(n.Op)<<16 | uint64(n.Operand)<<32)
		mix(uint64(n.Args[0]) | uint64(n.Args[1])<<20 | uint64(n.Args[2])<<40)
	}
	return h >> 32
}

// same says whether k and o have one key: all but the values of immediates is
// equal.
func (k *elementwiseKernel) same(o *elementwiseKernel) bool {
	if k.width != o.width || k.items != o.items || k.rank != o.rank || k.index != o.index || !slices.Equal(k.forms, o.forms) || len(k.expr.Nodes) != len(o.expr.Nodes) {
		return false
	}
	for i := range k.expr.Nodes {
		a, b := &k.expr.Nodes[i], &o.expr.Nodes[i]
		if a.Kind != b.Kind || a.Op != b.Op || a.Type != b.Type || a.Args != b.Args || a.Operand != b.Operand {
			return false
		}
	}
	return true
}

func tooManyParameters(bytes int) error {
	return fmt.Errorf("an expression that needs %d bytes of kernel parameters; the limit is %d: evaluate part of it first", bytes, maxParamBytes)
}

// strides returns how many strides a kernel needs to know of an operand.
func (f form) strides(rank int) int {
	switch f {
	case strided:
		return rank
	case broadcast:
		return rank - 1
	}
	return 0
}

// immediate adds a value as its register holds it: 64 bits, or 32 to which
// narrower integers are extended. The halves of float16 and bfloat16 stay.
func (l *Launch) immediate(t Type, bits uint64) {
	switch t {
	case Int8:
		l.value32(uint32(int32(int8(bits))))
	case Int16:
		l.value32(uint32(int32(int16(bits))))
	case Uint8:
		l.value32(uint32(uint8(bits)))
	case Uint16, Float16, BFloat16:
		l.value32(uint32(uint16(bits)))
	case Bool:
		l.value32(uint32(bits & 1))
	case Int64, Uint64, Float64:
		l.value64(bits)
	default:
		l.value32(uint32(bits))
	}
}

// paramBytes returns the size of the parameters, each naturally aligned.
func (l *Launch) paramBytes() int {
	n := 0
	for _, a := range l.Args {
		size := int(a.Size) // a power of two
		n = (n+size-1)&^(size-1) + size
	}
	return n
}

// elementwiseGrid returns grid and block for n elements, each of them the work
// of a thread that handles perThread.
func elementwiseGrid(n, perThread int) (grid, block [3]uint32, err error) {
	threads := (n-1)/perThread + 1
	shift := bits.TrailingZeros(blockThreads)
	for shift > bits.TrailingZeros(smallestBlock) && (threads-1)>>shift+1 < enoughBlocks {
		shift--
	}
	blocks := (threads-1)>>shift + 1
	if blocks > maxGrid {
		return grid, block, fmt.Errorf("%d elements are more than a grid can cover", n)
	}
	return [3]uint32{uint32(blocks), 1, 1}, [3]uint32{1 << shift, 1, 1}, nil
}
