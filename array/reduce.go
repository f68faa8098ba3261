package array

import (
	"strings"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Reductions. Axes are counted from the end when negative; none means all of them,
// and gives an array of rank 0. Reduced axes are dropped (ExpandDims brings one
// back). The order of a sum depends on type, shape and axes only, so results are
// the same bits from run to run and on every device. Float16 and BFloat16 are
// accumulated in float32 and rounded once.

// Sum returns the sum over axes; 0 over no elements. For bool and for 8- and 16-bit
// integers, which would wrap soon, it is ErrType: use [SumAs]. Sums of wider integers
// have the elements' type and wrap beyond its range; SumAs[int64] of int32 does not.
func (a *Array[T]) Sum(axes ...int) *Array[T] {
	return to[T](reduce("Sum", kernels.OpSum, a.h(), typeOf[T](), axes))
}

// Prod returns the product over axes; 1 over no elements. Types are those of Sum.
func (a *Array[T]) Prod(axes ...int) *Array[T] {
	return to[T](reduce("Prod", kernels.OpProd, a.h(), typeOf[T](), axes))
}

// Max returns the largest element over axes; NaN if there is one, and −0 < +0. It
// is an error over no elements. Of numbers.
func (a *Array[T]) Max(axes ...int) *Array[T] {
	return to[T](reduce("Max", kernels.OpMax, a.h(), typeOf[T](), axes))
}

// Min returns the smallest element over axes, with the rules of Max. Of numbers.
func (a *Array[T]) Min(axes ...int) *Array[T] {
	return to[T](reduce("Min", kernels.OpMin, a.h(), typeOf[T](), axes))
}

// Any says whether an element over axes is not zero; false over no elements.
func (a *Array[T]) Any(axes ...int) *Array[bool] {
	return to[bool](reduce("Any", kernels.OpAny, a.h(), kernels.Bool, axes))
}

// All says whether no element over axes is zero; true over no elements.
func (a *Array[T]) All(axes ...int) *Array[bool] {
	return to[bool](reduce("All", kernels.OpAll, a.h(), kernels.Bool, axes))
}

// ArgMax returns the position of the largest element along one axis, or, without
// an axis, in the array in row-major order: of the first, where several are equal,
// and of the first NaN, where there is one. It is an error over no elements. Of
// numbers.
func (a *Array[T]) ArgMax(axis ...int) *Array[int64] {
	return to[int64](reduce("ArgMax", kernels.OpArgMax, a.h(), kernels.Int64, axis))
}

// ArgMin returns the position of the smallest element, with the rules of ArgMax.
// Of numbers.
func (a *Array[T]) ArgMin(axis ...int) *Array[int64] {
	return to[int64](reduce("ArgMin", kernels.OpArgMin, a.h(), kernels.Int64, axis))
}

// Mean returns the mean over axes, of floating-point types; NaN over no elements.
// For integers use [MeanAs].
func (a *Array[T]) Mean(axes ...int) *Array[T] {
	return to[T](reduce("Mean", kernels.OpMean, a.h(), typeOf[T](), axes))
}

// Var returns the variance over axes, of floating-point types: the mean of the
// squared distances from the mean, divided by the number of elements n and not by
// n − 1 as gonum's stat.Variance does. NaN over no elements, and where one is NaN or
// infinite. Where sums, differences or squares are beyond the range of the type that is
// computed in, the result may be +Inf or NaN.
func (a *Array[T]) Var(axes ...int) *Array[T] {
	return to[T](statistic("Var", a.h(), axes, variance))
}

// Std returns the standard deviation: the square root of Var.
func (a *Array[T]) Std(axes ...int) *Array[T] {
	return to[T](statistic("Std", a.h(), axes, deviation))
}

// Norm returns the Euclidean norm over axes, of floating-point types: √Σ a², 0 over no
// elements. It takes one kernel. Float16 and BFloat16 are computed in float32 and
// rounded once. Where squares are beyond the range of the type that is computed in,
// the result is +Inf, or what is left of them, unlike gonum's floats.Norm, which
// scales.
func (a *Array[T]) Norm(axes ...int) *Array[T] {
	return to[T](statistic("Norm", a.h(), axes, kernels.NormExpr))
}

// SumAs returns the sum over axes of elements converted to U first: integers and
// bool to 32- and 64-bit integers and to floating-point types, floating-point types
// to one another.
func SumAs[U, T Element](a *Array[T], axes ...int) *Array[U] {
	return to[U](reduce("SumAs", kernels.OpSum, a.h(), typeOf[U](), axes))
}

// MeanAs returns the mean over axes of elements converted to U, a floating-point
// type, first.
func MeanAs[U, T Element](a *Array[T], axes ...int) *Array[U] {
	return to[U](reduce("MeanAs", kernels.OpMean, a.h(), typeOf[U](), axes))
}

func reduce(name string, op kernels.Op, h handle, result kernels.Type, axes []int) handle {
	c := here(name)
	r, err := c.reduce(op, h, result, axes)
	if err != nil {
		return h.failed(c.of(err, h))
	}
	return r
}

// reduce checks and runs a reduction. result is the type of its elements.
func (c call) reduce(op kernels.Op, h handle, result kernels.Type, axes []int) (handle, *Error) {
	if err := c.check(h); err != nil {
		return h, err
	}
	mask, err := axesOf(axes, h.node.Rank)
	if err == nil {
		err = c.reducible(op, h, result, len(axes), mask)
	}
	if err != nil {
		return h, c.fail(err, h)
	}
	out := dropAxes(&h.node.layout, mask)
	n := &node{call: c, typ: result, layout: out}
	failed := c.locked(h.dev, func() (err *Error) {
		n.store, err = c.reduceLocked(op, h, n, mask)
		return err
	})
	return handle{h.dev, n}, failed
}

// reduceLocked queues a reduction, which computes an expression as it reads it.
func (c call) reduceLocked(op kernels.Op, h handle, out *node, mask uint32) (*storage, *Error) {
	w := newWork(c, h.dev)
	defer w.end()
	if err := w.prologue(h.node, &h.node.layout); err != nil {
		return nil, err
	}
	if err := kernels.ReduceExpr(&w.plan, op, &w.expr, out.typ, out.layout, w.layouts, mask); err != nil {
		return nil, c.unsupported(err, h)
	}
	s, err := w.runLocked(&out.layout, out.typ, out.room())
	if err == nil {
		w.computed()
	}
	return s, err
}

// reducible returns what is wrong with a reduction, with advice.
func (c call) reducible(op kernels.Op, h handle, result kernels.Type, axes int, mask uint32) error {
	t := h.node.typ
	switch op {
	case kernels.OpSum, kernels.OpProd:
		return summable(c.op, op, t, result)
	case kernels.OpMean:
		if !result.IsFloat() {
			return because(ErrType, "%s of %v is no %v; use array.MeanAs[float64](a)", c.op, t, result)
		}
	case kernels.OpMax, kernels.OpMin, kernels.OpArgMax, kernels.OpArgMin:
		if t == kernels.Bool {
			return because(ErrType, "%s is not defined for bool; use Any or All, or array.Cast[uint8](a)", c.op)
		}
		if (op == kernels.OpArgMax || op == kernels.OpArgMin) && axes > 1 {
			return because(ErrIndex, "%s works along one axis or, without one, over all; %d were given", c.op, axes)
		}
		if reducedSize(&h.node.layout, mask) == 0 && h.node.Len() == 0 {
			out := dropAxes(&h.node.layout, mask)
			if out.Len() > 0 {
				return because(ErrShape, "%s of no elements", c.op)
			}
		}
	}
	return nil
}

// summable returns why elements of type t are not added up, or multiplied, to a
// result, with advice.
func summable(name string, op kernels.Op, t, result kernels.Type) error {
	if result == t && wraps(t) {
		advice := "array.SumAs[int64](a)"
		switch {
		case op == kernels.OpProd:
			advice = "array.Cast[int64](a)." + name
		case strings.HasPrefix(name, "Cum"):
			advice = "array.CumSumAs[int64](a, axis)"
		}
		return because(ErrType, "%s of %v would wrap; use %s", name, t, advice)
	}
	if t.IsFloat() && !result.IsFloat() || result == kernels.Bool || result.Size() < 4 && !result.IsFloat() {
		return because(ErrType, "%s of %v to %v would lose what the elements hold; sum to a 32- or 64-bit or floating-point type", name, t, result)
	}
	return nil
}

// wraps says whether sums and products of a type are refused, as they soon wrap.
func wraps(t kernels.Type) bool { return t == kernels.Bool || t.IsInteger() && t.Size() < 4 }

// reducedSize is the number of elements that go into each result.
func reducedSize(l *layout, mask uint32) int {
	n := 1
	for i, d := range l.Shape[:l.Rank] {
		if mask>>i&1 != 0 {
			n *= d
		}
	}
	return n
}

// wide is the type that composite operations on t are computed in: float32 for the
// 16-bit types, so that they round once.
func wide(t kernels.Type) kernels.Type {
	if t == kernels.Float16 || t == kernels.BFloat16 {
		return kernels.Float32
	}
	return t
}

// floating checks the operand of a composite operation for floating-point types.
func (c call) floating(h handle) *Error {
	if err := c.check(h); err != nil {
		return err
	}
	if t := h.node.typ; !t.IsFloat() {
		return c.fail(because(ErrType, "%s is not defined for %v; convert with array.Cast[float32] or array.Cast[float64]", c.op, t), h)
	}
	return nil
}

// A chain is a composite operation under way: steps that are public operations of
// their own, one error, and the arrays between that are freed at its end.
type chain struct {
	call
	dev  *Device
	err  *Error
	temp []handle
}

// step takes a result into the chain.
func (s *chain) step(h handle, err *Error) *node {
	if err == nil && h.node.err != nil {
		err = h.node.err
	}
	if s.err == nil {
		s.err = err
	}
	if err != nil {
		return &node{err: err}
	}
	s.temp = append(s.temp, h)
	return h.node
}

// eval is a step that evaluates an expression.
func (s *chain) eval(n *node, err error) *node {
	if s.err != nil {
		return n
	}
	if err != nil {
		s.err = s.explain(err)
		return n
	}
	if n.base != nil || n.linked || n.expr.kind != kernels.Apply {
		return n // a value of the program already
	}
	return s.step(s.record(s.dev, n), nil)
}

// end returns the last step's result and frees the others.
func (s *chain) end(h handle, last *node) handle {
	for _, t := range s.temp {
		if s.err != nil || t.node != last {
			t.free(s.call)
		}
	}
	if s.err != nil {
		return h.failed(s.of(s.err, h))
	}
	return handle{s.dev, last}
}

// statistic is a reduction that has a planning function of its own.
func statistic(name string, h handle, axes []int, plan func(p *kernels.Plan, e *kernels.Expr, out layout, in []layout, mask uint32) error) handle {
	c := here(name)
	if err := c.floating(h); err != nil {
		return h.failed(err)
	}
	mask, err := axesOf(axes, h.node.Rank)
	if err != nil {
		return h.failed(c.fail(err, h))
	}
	out := dropAxes(&h.node.layout, mask)
	return c.taking(out, h.node.typ, func(w *work, in []layout) error { return plan(&w.plan, &w.expr, out, in, mask) }, h)
}

func variance(p *kernels.Plan, e *kernels.Expr, out layout, in []layout, mask uint32) error {
	return kernels.VarianceExpr(p, e, 0, out, in, mask)
}

func deviation(p *kernels.Plan, e *kernels.Expr, out layout, in []layout, mask uint32) error {
	return kernels.StdDevExpr(p, e, 0, out, in, mask)
}
