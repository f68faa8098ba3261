package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// CumSum returns the cumulative sums along an axis: element i is the sum of elements
// 0 to i. Types are those of Sum, and so is the precision: Float16 and BFloat16 are
// accumulated in float32 and each result is rounded once. Which sums are taken of
// floating-point elements depends on the size of the axis only.
func (a *Array[T]) CumSum(axis int) *Array[T] {
	return to[T](cumulate("CumSum", kernels.OpSum, a.h(), typeOf[T](), axis))
}

// CumProd returns the cumulative products along an axis, in the manner of CumSum.
func (a *Array[T]) CumProd(axis int) *Array[T] {
	return to[T](cumulate("CumProd", kernels.OpProd, a.h(), typeOf[T](), axis))
}

// CumSumAs returns the cumulative sums of elements converted to U first, between the
// types of [SumAs].
func CumSumAs[U, T Element](a *Array[T], axis int) *Array[U] {
	return to[U](cumulate("CumSumAs", kernels.OpSum, a.h(), typeOf[U](), axis))
}

func cumulate(name string, op kernels.Op, h handle, result kernels.Type, axis int) handle {
	c := here(name)
	if err := c.check(h); err != nil {
		return h.failed(err)
	}
	if err := summable(name, op, h.node.typ, result); err != nil {
		return h.failed(c.fail(err, h))
	}
	return c.alongAxis(axis, result, func(w *work, out layout, in []layout, axis int) error {
		return kernels.ScanExpr(&w.plan, op, &w.expr, result, out, in, axis)
	}, h)
}
