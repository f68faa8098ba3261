package kernels

import (
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// An elementwise kernel, from its key:
//
//	ew v4 u1 r0 outc float32:1c float32:2c add.float32:0,1
//
// Items have v elements, a thread has u items, r axes have coordinates (0 where
// no operand needs them); then the output's form, and the expression, whose
// Store nodes are outputs more.
func elementwiseFamily() family {
	return family{
		prefix:   "ew",
		generate: generateElementwise,
		name:     elementwiseName,
		embed:    elementwiseEmbedded,
	}
}

// elementwiseKernel is what a key says.
type elementwiseKernel struct {
	width, items, rank int
	expr               *Expr
	forms              []form // of operands; 0 is the output
	index              form
}

func parseElementwise(key string) (*elementwiseKernel, error) {
	words := strings.Fields(key)
	fail := func(err error) (*elementwiseKernel, error) { return nil, fmt.Errorf("kernel key %q: %w", key, err) }
	if len(words) < 6 || !strings.HasPrefix(words[4], "out") || len(words[4]) != 4 {
		return fail(fmt.Errorf("want ew v… u… r… out… and at least one node"))
	}
	k := &elementwiseKernel{}
	for i, field := range []struct {
		to        *int
		prefix    string
		low, high int
	}{{&k.width, "v", 1, 16}, {&k.items, "u", 1, 16}, {&k.rank, "r", 0, MaxRank}} {
		v, err := strconv.Atoi(strings.TrimPrefix(words[i+1], field.prefix))
		if err != nil || v < field.low || v > field.high || words[i+1][0] != field.prefix[0] {
			return fail(fmt.Errorf("%q is not %s%d to %s%d", words[i+1], field.prefix, field.low, field.prefix, field.high))
		}
		*field.to = v
	}
	var err error
	if k.expr, k.forms, k.index, err = parseExpr(words[5:]); err != nil {
		return fail(err)
	}
	k.forms[0] = form(words[4][3])
	if err := k.check(); err != nil {
		return fail(err)
	}
	if canonical := k.appendKey(nil); string(canonical) != key {
		return fail(fmt.Errorf("it is written %q", canonical))
	}
	return k, nil
}

// appendKey writes the key.
func (k *elementwiseKernel) appendKey(key []byte) []byte {
	key = append(key, "ew v"...)
	key = append(strconv.AppendInt(key, int64(k.width), 10), " u"...)
	key = append(strconv.AppendInt(key, int64(k.items), 10), " r"...)
	key = append(strconv.AppendInt(key, int64(k.rank), 10), " out"...)
	return k.expr.appendKey(append(key, byte(k.forms[0])), k.forms, k.index)
}

// check says why there can be no such kernel.
func (k *elementwiseKernel) check() error {
	if k.forms[0] != contiguous && k.forms[0] != strided {
		return fmt.Errorf("an output is contiguous or strided, not %q", k.forms[0])
	}
	if k.index != noForm && k.index != contiguous && k.index != strided {
		return fmt.Errorf("an index is contiguous or strided, not %q", k.index)
	}
	if k.width&(k.width-1) != 0 || k.width > k.fullWidth() || k.width*k.items > accessBytes {
		return fmt.Errorf("no thread has %d items of %d such elements", k.items, k.width)
	}
	for i := k.expr.value() + 1; i < len(k.expr.Nodes); i++ {
		if f := k.forms[k.expr.Nodes[i].Operand]; f != contiguous && f != strided {
			return fmt.Errorf("an output is contiguous or strided, not %q", f)
		}
	}
	for _, f := range append(k.forms, k.index) {
		if f == accumulated {
			return fmt.Errorf("there is no product to accumulate")
		}
		if (f == strided || f == broadcast) && k.rank == 0 {
			return fmt.Errorf("form %q needs coordinates", f)
		}
	}
	return nil
}

// result is the type of the output's elements.
func (k *elementwiseKernel) result() Type { return k.expr.Nodes[k.expr.value()].Type }

// elementwiseWriter writes one kernel. Its fields are filled in from top to
// bottom.
type elementwiseWriter struct {
	*elementwiseKernel
	b *ptx.Builder

	total     *ptx.Var
	pointers  []*ptx.Var // by operand; nil for one that is not used
	origin    *ptx.Var   // of the index
	constants []*ptx.Var // by node
	axes      [MaxRank]struct{ size, mul, shift *ptx.Var }
	steps     [][]*ptx.Var // strides by operand; the index's last

	base, left *ptx.Reg // the block's first element, and how many it has
	full       *ptx.Reg // whether that is all that it could have
	each       []item
	uniform    []bool // by node
}

// item is what a thread knows of its u-th item.
type item struct {
	at        *ptx.Reg      // its first element, counted from the block's first
	addresses []ptx.Operand // by operand
	index     *ptx.Reg      // value of the linear index at its first element
	inside    []*ptx.Reg    // by element: whether it exists, in a block that is not full
	values    [][]*ptx.Reg  // by element and node
}

func generateElementwise(key string, target int) (*ptx.Module, error) {
	k, err := parseElementwise(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	w := &elementwiseWriter{elementwiseKernel: k, b: m.Entry(EntryName(key))}
	w.b.MaxThreads(blockThreads)
	w.params()
	w.place()
	w.load()
	w.compute()
	w.store()
	return m, nil
}

// params declares the parameters, in the order of elementwiseWork.launch.
func (w *elementwiseWriter) params() {
	b := w.b
	w.total = b.Param("n", ptx.U64)
	w.pointers = make([]*ptx.Var, len(w.forms))
	for k, f := range w.forms {
		if f != noForm {
			w.pointers[k] = b.Param(fmt.Sprintf("p%d", k), ptx.U64)
		}
	}
	if w.index != noForm {
		w.origin = b.Param("origin", ptx.U64)
	}
	w.constants = make([]*ptx.Var, len(w.expr.Nodes))
	for i, n := range w.expr.Nodes {
		if n.Kind == Immediate {
			w.constants[i] = b.Param(fmt.Sprintf("c%d", i), immediateParam(n.Type))
		}
	}
	for i := 1; i < w.rank; i++ {
		a := &w.axes[i]
		a.size, a.mul, a.shift = b.Param(fmt.Sprintf("d%d", i), ptx.U32), b.Param(fmt.Sprintf("m%d", i), ptx.U32), b.Param(fmt.Sprintf("s%d", i), ptx.U32)
	}
	for k, f := range append(w.forms, w.index) {
		var steps []*ptx.Var
		for i := range f.strides(w.rank) {
			steps = append(steps, b.Param(fmt.Sprintf("t%d_%d", k, i), ptx.S32))
		}
		w.steps = append(w.steps, steps)
	}
}

// immediateParam is the type of an immediate's parameter; see Launch.immediate.
func immediateParam(t Type) ptx.Type {
	switch {
	case t == Float32 || t == Float64 || t.IsInteger():
		return t.reg()
	}
	return ptx.U32
}

// place finds out which elements the block and the thread have, and where they
// are. The block's base is 64-bit; within the block, and for coordinates, 32
// bits are enough.
func (w *elementwiseWriter) place() {
	b := w.b
	threads := b.Special("%ntid.x")
	tile := b.Op("mul.lo.u32", threads, w.width*w.items)
	w.base = b.Op("mul.wide.u32", b.Special("%ctaid.x"), tile)
	rest := b.Op("sub.u64", b.Ld(w.total), w.base)
	w.left = b.Op("cvt.u32.u64", b.Op("min.u64", rest, b.Op("cvt.u64.u32", tile)))
	w.full = b.Op("setp.eq.u32", w.left, tile)

	blocks := make([]*ptx.Reg, len(w.forms)) // contiguous operands at the block's base
	for k, f := range w.forms {
		if f == contiguous {
			blocks[k] = b.Op("add.u64", b.Ld(w.pointers[k]), b.Op("shl.b64", w.base, bits.TrailingZeros(uint(w.operand(k).Size()))))
		}
	}
	first := times(b, b.Special("%tid.x"), w.width)
	w.each = make([]item, w.items)
	for u := range w.each {
		it := &w.each[u]
		it.at = first
		if u > 0 {
			it.at = b.Op("mad.lo.u32", threads, u*w.width, first)
		}
		coordinates := w.coordinates(it.at)
		it.addresses = make([]ptx.Operand, len(w.forms))
		for k, f := range w.forms {
			size := w.operand(k).Size()
			switch f {
			case contiguous:
				it.addresses[k] = b.At(b.Op("mad.wide.u32", it.at, size, blocks[k]), 0)
			case scalar:
				it.addresses[k] = b.At(b.Ld(w.pointers[k]), 0)
			case strided, broadcast:
				it.addresses[k] = b.At(b.Op("mad.wide.s32", w.position(k, coordinates), size, b.Ld(w.pointers[k])), 0)
			}
		}
		it.index = w.indexAt(it.at, coordinates)
		w.values(it)
	}
}

// times multiplies by a small constant.
func times(b *ptx.Builder, x *ptx.Reg, n int) *ptx.Reg {
	if n == 1 {
		return x
	}
	return b.Op("mul.lo.u32", x, n)
}

// operand returns the type of operand k's elements.
func (w *elementwiseWriter) operand(k int) Type {
	if k == 0 {
		return w.result()
	}
	for _, n := range w.expr.Nodes {
		if (n.Kind == Load || n.Kind == Store) && n.Operand == k {
			return n.Type
		}
	}
	return Invalid
}

// coordinates takes an element's place in the nest apart.
func (w *elementwiseWriter) coordinates(at *ptx.Reg) []*ptx.Reg {
	if w.rank == 0 {
		return nil
	}
	b := w.b
	c := make([]*ptx.Reg, w.rank)
	rest := b.Op("add.u32", b.Op("cvt.u32.u64", w.base), at)
	for i := w.rank - 1; i > 0; i-- {
		a := &w.axes[i]
		rest, c[i] = emitDivide(b, rest, b.Ld(a.size), b.Ld(a.mul), b.Ld(a.shift))
	}
	c[0] = rest
	return c
}

// position is the sum of coordinates times strides, of an operand or, for
// k = len(forms), of the index.
func (w *elementwiseWriter) position(k int, coordinates []*ptx.Reg) *ptx.Reg {
	b, steps := w.b, w.steps[k]
	if len(steps) == 0 { // a broadcast along the only axis
		zero := b.Reg(ptx.S32)
		b.Do("mov.u32", zero, 0)
		return zero
	}
	sum := b.Op("mul.lo.s32", coordinates[0], b.Ld(steps[0]))
	for i := 1; i < len(steps); i++ {
		sum = b.Op("mad.lo.s32", coordinates[i], b.Ld(steps[i]), sum)
	}
	return sum
}

// indexAt returns the linear index of an item's first element, nil where no
// node wants it.
func (w *elementwiseWriter) indexAt(at *ptx.Reg, coordinates []*ptx.Reg) *ptx.Reg {
	b := w.b
	switch w.index {
	case contiguous:
		return b.Op("add.s64", b.Op("add.s64", b.Ld(w.origin), w.base), b.Op("cvt.s64.u32", at))
	case strided:
		return b.Op("add.s64", b.Ld(w.origin), b.Op("cvt.s64.s32", w.position(len(w.forms), coordinates)))
	}
	return nil
}

// values makes the registers that leaves are loaded into. Nodes that are the
// same for all elements share those of the first.
func (w *elementwiseWriter) values(it *item) {
	it.values = make([][]*ptx.Reg, w.width)
	for e := range it.values {
		it.values[e] = make([]*ptx.Reg, len(w.expr.Nodes))
	}
	if w.uniform == nil {
		w.uniform = w.expr.uniform(w.forms)
	}
}

// load fills the leaves of every item. A full block takes whole vectors, the
// last one element by element, as far as they exist.
func (w *elementwiseWriter) load() {
	b := w.b
	w.leaves()
	if !w.hasLoads() {
		return
	}
	partial, ready := b.NewLabel("partial"), b.NewLabel("ready")
	b.BraUniUnless(w.full, partial)
	for u := range w.each {
		for k := 1; k < len(w.forms); k++ {
			w.loadItem(&w.each[u], k)
		}
	}
	b.BraUni(ready)
	b.Bind(partial)
	for u := range w.each {
		w.each[u].inside = w.insideOf(&w.each[u])
		for k := 1; k < len(w.forms); k++ {
			w.loadElements(&w.each[u], k)
		}
	}
	b.Bind(ready)
}

func (w *elementwiseWriter) hasLoads() bool {
	for _, n := range w.expr.Nodes {
		if n.Kind == Load && w.forms[n.Operand] != scalar {
			return true
		}
	}
	return false
}

// leaves makes registers for what is loaded in both branches, and fills in what
// does not depend on them: immediates, scalars, the index.
func (w *elementwiseWriter) leaves() {
	b := w.b
	loaded := map[int]*ptx.Reg{} // scalars by operand
	for i, n := range w.expr.Nodes {
		var one *ptx.Reg
		switch {
		case n.Kind == Immediate:
			one = fromImmediate(b, n.Type, b.Ld(w.constants[i]))
		case n.Kind == Load && w.forms[n.Operand] == scalar:
			if loaded[n.Operand] == nil {
				r := b.Reg(n.Type.reg())
				loadElement(b, n.Type, r, w.each[0].addresses[n.Operand], nil)
				loaded[n.Operand] = r
			}
			one = loaded[n.Operand]
		}
		for u := range w.each {
			it := &w.each[u]
			fresh := map[int]*ptx.Reg{} // broadcast values of this item
			for e := range it.values {
				switch {
				case one != nil:
					it.values[e][i] = one
				case n.Kind == Index:
					it.values[e][i] = w.indexOf(it, e)
				case n.Kind == Load && w.forms[n.Operand] == broadcast:
					if fresh[i] == nil {
						fresh[i] = w.operandRegister(u, 0, i)
					}
					it.values[e][i] = fresh[i]
				case n.Kind == Load:
					it.values[e][i] = w.operandRegister(u, e, i)
				}
			}
		}
	}
}

// operandRegister returns the register for element e of item u of the operand
// that node i loads; nodes that load the same operand share it.
func (w *elementwiseWriter) operandRegister(u, e, i int) *ptx.Reg {
	for j, n := range w.expr.Nodes[:i] {
		if n.Kind == Load && n.Operand == w.expr.Nodes[i].Operand {
			return w.each[u].values[e][j]
		}
	}
	return w.b.Reg(w.expr.Nodes[i].Type.reg())
}

// indexOf returns the linear index of an item's element e.
func (w *elementwiseWriter) indexOf(it *item, e int) *ptx.Reg {
	b := w.b
	switch {
	case e == 0:
		return it.index
	case w.index == contiguous:
		return b.Op("add.s64", it.index, e)
	}
	steps := w.steps[len(w.forms)]
	return b.Op("add.s64", it.index, b.Op("mul.wide.s32", b.Ld(steps[w.rank-1]), e))
}

// registers returns where the elements of an item of operand k go; nil for one
// that is not loaded.
func (w *elementwiseWriter) registers(it *item, k int) []*ptx.Reg {
	for i, n := range w.expr.Nodes {
		if n.Kind == Load && n.Operand == k {
			rs := make([]*ptx.Reg, w.width)
			for e := range rs {
				rs[e] = it.values[e][i]
			}
			return rs
		}
	}
	return nil
}

func (w *elementwiseWriter) loadItem(it *item, k int) {
	t, rs := w.operand(k), w.registers(it, k)
	if rs == nil {
		return
	}
	switch w.forms[k] {
	case contiguous, strided:
		loadVector(w.b, t, rs, it.addresses[k])
	case broadcast:
		loadElement(w.b, t, rs[0], it.addresses[k], nil)
	}
}

func (w *elementwiseWriter) loadElements(it *item, k int) {
	t, rs := w.operand(k), w.registers(it, k)
	for e := range rs {
		switch w.forms[k] {
		case contiguous, strided:
			loadElement(w.b, t, rs[e], offset(it.addresses[k], e*t.Size()), it.inside[e])
		case broadcast:
			if e == 0 {
				loadElement(w.b, t, rs[0], it.addresses[k], it.inside[0])
			}
		}
	}
}

func offset(address ptx.Operand, bytes int) ptx.Operand {
	address.Off += int64(bytes)
	return address
}

// insideOf returns, for each element of an item, whether it exists.
func (w *elementwiseWriter) insideOf(it *item) []*ptx.Reg {
	ps := make([]*ptx.Reg, w.width)
	for e := range ps {
		at := it.at
		if e > 0 {
			at = w.b.Op("add.u32", at, e)
		}
		ps[e] = w.b.Op("setp.lt.u32", at, w.left)
	}
	return ps
}

// compute evaluates the expression, element by element; what is the same for
// all of them once.
func (w *elementwiseWriter) compute() {
	first := w.each[0].values[0]
	w.expr.emit(w.b, first, func(i int) bool { return w.uniform[i] })
	for u := range w.each {
		for _, values := range w.each[u].values {
			for i := range values {
				if w.uniform[i] {
					values[i] = first[i]
				}
			}
			w.expr.emit(w.b, values, func(i int) bool { return !w.uniform[i] })
		}
	}
}

// store writes the value, and what Store nodes say.
func (w *elementwiseWriter) store() {
	b := w.b
	partial := b.NewLabel("partialstore")
	b.BraUniUnless(w.full, partial)
	for u := range w.each {
		it := &w.each[u]
		w.outputs(func(operand, node int) {
			rs := make([]*ptx.Reg, w.width)
			for e := range rs {
				rs[e] = it.values[e][node]
			}
			storeVector(b, w.operand(operand), rs, it.addresses[operand])
		})
	}
	b.Do("ret")
	b.Bind(partial)
	for u := range w.each {
		it := &w.each[u]
		inside := w.insideOf(it)
		w.outputs(func(operand, node int) {
			t := w.operand(operand)
			for e := range inside {
				storeElement(b, t, it.values[e][node], offset(it.addresses[operand], e*t.Size()), inside[e])
			}
		})
	}
	b.Do("ret")
}

// outputs calls f for each operand that is written, and the node whose value it is.
func (w *elementwiseWriter) outputs(f func(operand, node int)) {
	value := w.expr.value()
	f(0, value)
	for _, n := range w.expr.Nodes[value+1:] {
		f(n.Operand, n.Args[0])
	}
}
