package array

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Operations that take an axis as a whole, row by row. Float16 and BFloat16 are
// computed in float32 and rounded once. Sums follow the order of Sum.

// Softmax returns exp(a − max a) / Σ exp(a − max a) along an axis, of
// floating-point types.
func (a *Array[T]) Softmax(axis int) *Array[T] {
	return to[T](softmax("Softmax", a.h(), axis, kernels.SoftmaxExpr))
}

// LogSoftmax returns the logarithm of Softmax, a − max a − log Σ exp(a − max a),
// along an axis, of floating-point types.
func (a *Array[T]) LogSoftmax(axis int) *Array[T] {
	return to[T](softmax("LogSoftmax", a.h(), axis, kernels.LogSoftmaxExpr))
}

// LogSumExp returns log Σ exp(a) over axes, computed as m + log Σ exp(a − m) with
// the largest element m, so that it does not overflow; −Inf over no elements. Of
// floating-point types.
func (a *Array[T]) LogSumExp(axes ...int) *Array[T] {
	return to[T](statistic("LogSumExp", a.h(), axes, kernels.LogSumExpExpr))
}

// LayerNorm returns (a − mean) / √(variance + eps) · weight + bias along an axis,
// of floating-point types, where the variance is that of Var. weight and bias have
// one axis, as long as a's; nil stands for none.
func (a *Array[T]) LayerNorm(weight, bias *Array[T], eps float64, axis int) *Array[T] {
	return to[T](norm("LayerNorm", a.h(), optional(weight), optional(bias), eps, axis))
}

// RMSNorm returns a / √(mean of a² + eps) · weight along an axis, of floating-point
// types. weight has one axis, as long as a's; nil stands for none.
func (a *Array[T]) RMSNorm(weight *Array[T], eps float64, axis int) *Array[T] {
	return to[T](norm("RMSNorm", a.h(), optional(weight), nil, eps, axis))
}

// optional returns an operand that need not be there, or nil.
func optional[T Element](a *Array[T]) *handle {
	if a == nil {
		return nil
	}
	return &a.handle
}

func softmax(name string, h handle, axis int, plan func(p *kernels.Plan, e *kernels.Expr, out layout, in []layout, axis int) error) handle {
	c := here(name)
	if err := c.floating(h); err != nil {
		return h.failed(err)
	}
	return c.alongAxis(axis, h.node.typ, func(w *work, out layout, in []layout, axis int) error {
		return plan(&w.plan, &w.expr, out, in, axis)
	}, h)
}

func norm(name string, h handle, weight, bias *handle, eps float64, axis int) handle {
	c := here(name)
	operands := append(make([]handle, 0, 3), h)
	for _, s := range []*handle{weight, bias} {
		if s != nil {
			operands = append(operands, *s)
		}
	}
	err := c.check(operands...)
	if err == nil {
		err = c.floating(h)
	}
	if err != nil {
		return h.failed(err)
	}
	a, wrong := axisOf(axis, h.node.Rank)
	var scales [2]*layout
	for i, s := range []*handle{weight, bias} {
		if s == nil {
			continue
		}
		scales[i] = &s.node.layout
		if wrong == nil && (s.node.Rank != 1 || s.node.Shape[0] != h.node.Shape[a]) {
			wrong = because(ErrShape, "the %s has shape %s; along axis %d it needs (%d,)", []string{"weight", "bias"}[i], phrase.Shape(dims(&s.node.layout)), a, h.node.Shape[a])
		}
	}
	if wrong != nil {
		return h.failed(c.fail(wrong, operands...))
	}
	return c.alongAxis(axis, h.node.typ, func(w *work, out layout, in []layout, axis int) error {
		if name == "RMSNorm" {
			return kernels.RMSNormExpr(&w.plan, &w.expr, eps, out, in, axis, scales[0])
		}
		return kernels.LayerNormExpr(&w.plan, &w.expr, eps, out, in, axis, scales[0], scales[1])
	}, operands...)
}

// alongAxis is an operation along an axis of the first operand, whose expression's
// layouts plan is given, and whose result has its shape and elements of type t.
func (c call) alongAxis(axis int, t kernels.Type, plan func(w *work, out layout, in []layout, axis int) error, operands ...handle) handle {
	h := operands[0]
	a, err := axisOf(axis, h.node.Rank)
	if err != nil {
		return h.failed(c.fail(err, operands...))
	}
	out := contiguousLike(&h.node.layout)
	if err := h.dev.fits(c, &out, t); err != nil {
		return h.failed(c.of(err, operands...))
	}
	return c.taking(out, t, func(w *work, in []layout) error { return plan(w, out, in, a) }, operands...)
}

// taking is an operation that computes its first operand, which may be an expression,
// as it reads it; the others are arrays. plan is given the layouts of what the
// expression reads.
func (c call) taking(out layout, t kernels.Type, plan func(w *work, in []layout) error, operands ...handle) handle {
	h := operands[0]
	if err := c.check(operands...); err != nil {
		return h.failed(err)
	}
	n := &node{call: c, typ: t, layout: out}
	err := c.locked(h.dev, func() (err *Error) {
		n.store, err = c.takeLocked(n, plan, operands)
		return err
	})
	return h.dev.made(n, c.of(err, operands...))
}

// takeLocked evaluates the expression first where that is better.
func (c call) takeLocked(out *node, plan func(w *work, in []layout) error, operands []handle) (*storage, *Error) {
	sh := operands[0].dev.sh
	for _, o := range operands[1:] {
		if err := sh.try(o.node.root()); err != nil {
			return nil, err
		}
	}
	w := newWork(c, operands[0].dev)
	defer w.end()
	err := w.take(plan, operands)
	if err == kernels.ErrApart {
		w.again()
		if err := sh.try(operands[0].node.root()); err != nil {
			return nil, err
		}
		err = w.take(plan, operands)
	}
	var failed *Error
	switch {
	case errors.As(err, &failed):
		return nil, failed
	case err != nil:
		return nil, c.unsupported(err, operands...)
	}
	s, failed := w.runLocked(&out.layout, out.typ, out.room())
	if failed == nil {
		w.computed()
	}
	return s, failed
}

// take adds the first operand's expression and the others, and plans.
func (w *work) take(plan func(w *work, in []layout) error, operands []handle) error {
	if err := w.prologue(operands[0].node, &operands[0].node.layout); err != nil {
		return err
	}
	expression := len(w.layouts)
	for _, o := range operands[1:] {
		w.input(o.node, o.node.layout)
	}
	return plan(w, w.layouts[:expression])
}
