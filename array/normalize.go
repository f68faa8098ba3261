package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// Operations that take an axis as a whole, row by row. Float16 and BFloat16 are
// computed in float32 and rounded once. Sums follow the order of Sum.

// Softmax returns exp(a − max a) / Σ exp(a − max a) along an axis, of
// floating-point types.
func (a *Array[T]) Softmax(axis int) *Array[T] {
	return to[T](softmax("Softmax", a.h(), axis, kernels.Softmax))
}

// LogSoftmax returns the logarithm of Softmax, a − max a − log Σ exp(a − max a),
// along an axis, of floating-point types.
func (a *Array[T]) LogSoftmax(axis int) *Array[T] {
	return to[T](softmax("LogSoftmax", a.h(), axis, kernels.LogSoftmax))
}

// LogSumExp returns log Σ exp(a) over axes, computed as m + log Σ exp(a − m) with
// the largest element m, so that it does not overflow; −Inf over no elements. Of
// floating-point types.
func (a *Array[T]) LogSumExp(axes ...int) *Array[T] {
	return to[T](statistic("LogSumExp", a.h(), axes, kernels.LogSumExp))
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

func softmax(name string, h handle, axis int, plan func(p *kernels.Plan, t kernels.Type, out, in layout, axis int) error) handle {
	c := here(name)
	if err := c.floating(h); err != nil {
		return h.failed(err)
	}
	return c.alongAxis(axis, h.node.typ, func(w *work, out layout, axis int) error {
		return plan(&w.plan, h.node.typ, out, h.node.layout, axis)
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
			wrong = because(ErrShape, "the %s has shape %s; along axis %d it needs (%d,)", []string{"weight", "bias"}[i], shapeText(dims(&s.node.layout)), a, h.node.Shape[a])
		}
	}
	if wrong != nil {
		return h.failed(c.fail(wrong, operands...))
	}
	return c.alongAxis(axis, h.node.typ, func(w *work, out layout, axis int) error {
		if name == "RMSNorm" {
			return kernels.RMSNorm(&w.plan, h.node.typ, eps, out, h.node.layout, axis, scales[0])
		}
		return kernels.LayerNorm(&w.plan, h.node.typ, eps, out, h.node.layout, axis, scales[0], scales[1])
	}, operands...)
}

// alongAxis is an operation along an axis of the first operand whose result has its
// shape and elements of type t.
func (c call) alongAxis(axis int, t kernels.Type, plan func(w *work, out layout, axis int) error, operands ...handle) handle {
	h := operands[0]
	a, err := axisOf(axis, h.node.Rank)
	if err != nil {
		return h.failed(c.fail(err, operands...))
	}
	if err := c.ready(operands...); err != nil {
		return h.failed(err)
	}
	out := contiguousLike(&h.node.layout)
	if err := h.dev.fits(c, &out, t); err != nil {
		return h.failed(c.of(err, operands...))
	}
	w := newWork(c, h.dev)
	defer w.end()
	for _, o := range operands {
		w.input(o.node, o.node.layout)
	}
	if err := plan(w, out, a); err != nil {
		return h.failed(c.unsupported(err, operands...))
	}
	n, failed := w.create(out, t)
	return h.dev.made(n, c.of(failed, operands...))
}
