package array

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// MatMul returns the matrix product over the last two axes, as NumPy's matmul: of
// shapes (…, m, k) and (…, k, n) it is (…, m, n), where leading axes broadcast. An
// operand of rank 1 is a row on the left and a column on the right, and its axis is
// dropped from the result. Float16 and BFloat16 are accumulated in float32 and
// rounded once; integers wrap; it is not defined for bool. A product of matrices waits
// for the elementwise operations that follow it and computes them in the same kernel.
func (a *Array[T]) MatMul(b *Array[T]) *Array[T] { return to[T](matMul("MatMul", a.h(), b.h())) }

// Dot returns the sum of the products of two arrays of rank 1 and equal size, in
// the order of Sum. Types are those of Sum.
func (a *Array[T]) Dot(b *Array[T]) *Array[T] { return to[T](dot("Dot", a.h(), b.h())) }

func matMul(name string, a, b handle) handle {
	c := here(name)
	if err := c.ready(a, b); err != nil {
		return a.failed(err)
	}
	p, out, result, err := newProduct(&a.node.layout, &b.node.layout, a.node.typ)
	if err != nil {
		return a.failed(c.fail(err, a, b))
	}
	if err := a.dev.fits(c, &out, a.node.typ); err != nil {
		return a.failed(c.of(err, a, b))
	}
	if t := a.node.typ; !t.IsFloat() && !t.IsInteger() {
		return a.failed(c.unsupported(&kernels.UnsupportedError{Op: "matmul", Type: t}, a, b))
	}
	if out.Rank == result.Rank && out.Len() > 0 {
		n := &node{typ: a.node.typ, layout: result, expr: expression{kind: kernels.Apply, args: [3]*node{a.node, b.node}, product: p.kept(&a.node.layout, &b.node.layout)}}
		r := c.record(a.dev, n)
		r.node.err = c.of(r.node.err, a, b)
		return r
	}
	w := newWork(c, a.dev)
	defer w.end()
	w.input(a.node, p.a)
	w.input(b.node, p.b)
	if err := kernels.MatMul(&w.plan, a.node.typ, out, p.a, p.b); err != nil {
		return a.failed(c.unsupported(err, a, b))
	}
	n, failed := w.create(out, a.node.typ)
	n.layout = result
	return a.dev.made(n, c.of(failed, a, b))
}

// Deferred products. A product of matrices waits, at most one on each stream, for
// elementwise operations that follow it: they become its epilogue, in one kernel. It
// is launched with them when the value is needed, or before the next kernel on its
// stream that does not take it, as the device should not idle while the host
// records. What it multiplies is evaluated when it is recorded.

// A product's kernel is never run twice for what is known then: an operation
// recorded on the product that is not part of the epilogue has it stored besides (see
// work.share). As nobody can say whether it will be used once more, it is stored too
// where that takes little of the time it takes to compute: operations of a product
// to a byte moved.
const (
	productOpsPerByte = 20
	storedFor         = 8 // of its price, a part as small as this
)

// insured says whether a pending product is to be stored in any case.
func (n *node) insured() bool {
	if n.expr.product == nil || n.freed.op != "" {
		return false
	}
	a, _ := n.factors()
	return 2*a.Shape[a.Rank-1]/productOpsPerByte >= storedFor*n.typ.Size()
}

// wait makes n, a product that was just recorded, the one that waits on its stream;
// in a capture, what is not used is not computed at all. The caller holds the lock.
func (n *node) wait() {
	if n.dev.capturing() != nil {
		return
	}
	st := n.dev.stream
	st.launchWaiting(n.dev.sh, nil)
	st.waiting = n.self
}

// launchWaiting launches the product that waits on the stream, with the epilogue
// that was recorded until now, unless w takes it. The caller holds the lock. Errors
// are the product's.
func (s *stream) launchWaiting(sh *shared, w *work) {
	p := s.waiting.node()
	s.waiting = nil
	if p == nil || !p.pending() || p.busy > 0 || w != nil && w.holds(p) {
		return
	}
	n := p.top()
	if n.busy > 0 {
		return
	}
	for sh.try(n) == missing {
		if _, err := sh.load(sh.missing); err != nil {
			break
		}
	}
}

// accumulate adds a product to the work's expression: as the accumulator of its
// kernel, if it is the only one and the kernel's elements are those of the product.
func (w *work) accumulate(r *node, m *layout) (int, *Error) {
	if w.product != nil || !w.fusing || m.Rank != r.Rank || m.Shape != r.Shape || !sameElements(m, &r.layout) {
		if err := w.dev.sh.try(r); err != nil {
			return 0, err
		}
		return w.load(r, m)
	}
	a, b := r.factors()
	w.product, w.shapes = r, product{*a, *b}
	for i, a := range r.operands() {
		w.factors[i] = a.root().store
		w.loads(w.factors[i])
	}
	return w.append(r, m, kernels.Node{Kind: kernels.Load, Type: r.typ})
}

// planProduct plans the work's product and what follows it. Its operands come before
// those of the expression, which has it as operand 1. It may be an array meanwhile.
func (w *work) planProduct(to *layout) error {
	r, p := w.product, &w.shapes
	for i := range w.expr.Nodes {
		if n := &w.expr.Nodes[i]; n.Kind == kernels.Load || n.Kind == kernels.Store {
			n.Operand++
		}
	}
	w.inputs = slices.Insert(w.inputs, 0, w.factors[:]...)
	w.layouts = slices.Insert(w.layouts, 0, p.a, p.b)
	for i := range w.outputs {
		w.outputs[i].operand += 2
	}
	if len(w.expr.Nodes) == 1 {
		return kernels.MatMul(&w.plan, r.typ, *to, p.a, p.b)
	}
	return kernels.MatMulThen(&w.plan, r.typ, &w.expr, *to, p.a, p.b, w.layouts[2:])
}

// A product is how its operands are read: with all batch axes.
type product struct{ a, b layout }

// asTheyLie is the product whose operands are read with their own layouts.
var asTheyLie product

// kept is the product of operands of the layouts a and b in memory of its own, if it
// needs any.
func (p *product) kept(a, b *layout) *product {
	if p.a == *a && p.b == *b {
		return &asTheyLie
	}
	q := *p
	return &q
}

// factors are the layouts with which the operands of a product are read.
func (n *node) factors() (a, b *layout) {
	if p := n.expr.product; p != &asTheyLie {
		return &p.a, &p.b
	}
	return &n.expr.args[0].layout, &n.expr.args[1].layout
}

// newProduct matches the shapes of two operands. out is the layout of the product with
// all axes, result as the caller sees it.
func newProduct(a, b *layout, t kernels.Type) (p product, out, result layout, err error) {
	if a.Rank == 0 || b.Rank == 0 {
		return p, out, result, because(ErrShape, "an operand has rank 0; at least 1 is needed (MulScalar and Mul multiply by numbers)")
	}
	rows, columns := a.Rank > 1, b.Rank > 1
	x, y := *a, *b
	if !rows {
		x = prepend(a)
	}
	if !columns {
		y = *b
		y.Rank, y.Shape[1], y.Strides[1] = 2, 1, 1
	}
	inner := x.Shape[x.Rank-1]
	if k := y.Shape[y.Rank-2]; k != inner {
		return p, out, result, because(ErrShape, "inner sizes %d and %d differ; the last axis of the left operand must be as long as the last but one of the right", inner, k)
	}
	var batch layout
	if batch, err = broadcastBatch(&x, &y); err != nil {
		return p, out, result, because(ErrShape, "the axes before the last two do not broadcast: %v", err)
	}
	n := batch.Rank
	m, k := x.Shape[x.Rank-2], y.Shape[y.Rank-1]
	shape := batch.Shape // of each
	with := func(rows, columns int) []int {
		shape[n], shape[n+1] = rows, columns
		return shape[:n+2]
	}
	if p.a, err = broadcastTo(&x, with(m, inner)); err != nil {
		return p, out, result, err
	}
	if p.b, err = broadcastTo(&y, with(inner, k)); err != nil {
		return p, out, result, err
	}
	if out, err = newLayout(with(m, k), t); err != nil {
		return p, out, result, err
	}
	switch {
	case !rows && !columns:
		result, err = newLayout(shape[:n], t)
	case !rows:
		shape[n] = k
		result, err = newLayout(shape[:n+1], t)
	case !columns:
		result, err = newLayout(shape[:n+1], t)
	default:
		result = out
	}
	return p, out, result, err
}

// prepend adds a first axis of size 1.
func prepend(l *layout) layout {
	r, _ := expand(l, []int{0})
	return r
}

// broadcastBatch returns the shape of the axes before the last two.
func broadcastBatch(a, b *layout) (layout, error) {
	x, y := *a, *b
	x.Rank -= 2
	y.Rank -= 2
	return broadcast(&x, &y)
}

func dot(name string, a, b handle) handle {
	c := here(name)
	if err := c.check(a, b); err != nil {
		return a.failed(err)
	}
	if a.node.Rank != 1 || b.node.Rank != 1 || a.node.Shape[0] != b.node.Shape[0] {
		return a.failed(c.fail(because(ErrShape, "Dot takes two arrays of rank 1 and equal size; MatMul multiplies matrices"), a, b))
	}
	t := a.node.typ
	if wraps(t) {
		return a.failed(c.fail(because(ErrType, "Dot of %v would wrap; convert both operands with array.Cast[int64]", t), a, b))
	}
	s := &chain{call: c, dev: a.dev}
	var f formula
	products := s.eval(f.do(kernels.OpMul, cast(a.node, wide(t)), cast(b.node, wide(t))), f.err)
	if s.err = c.of(s.err, a, b); s.err != nil {
		return s.end(a, products)
	}
	sum := s.step(s.call.reduce(kernels.OpSum, handle{s.dev, products}, wide(t), nil))
	last := s.eval(cast(sum, t), nil)
	s.err = c.of(s.err, a, b)
	return s.end(a, last)
}
