package array

import "github.com/seed6486a2bb/gpuarray/kernels"

// AllClose says whether |a − b| ≤ atol + rtol·|b| for all elements, computed in
// float64; equal infinities are close, NaN is close to nothing. Shapes broadcast.
// It waits for the result.
func AllClose[T Element](a, b *Array[T], rtol, atol float64) (bool, error) {
	return allClose("AllClose", a.h(), b.h(), rtol, atol)
}

// ArrayEqual says whether a and b have the same shape and equal elements. NaN
// equals nothing. It waits for the result.
func ArrayEqual[T Element](a, b *Array[T]) (bool, error) {
	return arrayEqual("ArrayEqual", a.h(), b.h())
}

func allClose(name string, x, y handle, rtol, atol float64) (bool, error) {
	c := here(name)
	if err := c.check(x, y); err != nil {
		return false, err
	}
	var f formula
	a, b := cast(x.node, kernels.Float64), cast(y.node, kernels.Float64)
	distance := f.do(kernels.OpAbs, f.do(kernels.OpSub, a, b))
	bound := f.do(kernels.OpAdd, constant(scalarOf(atol)), f.do(kernels.OpMul, constant(scalarOf(rtol)), f.do(kernels.OpAbs, b)))
	finite := f.do(kernels.OpIsFinite, b) // an infinite b has an infinite bound
	within := f.do(kernels.OpLogicalAnd, finite, f.do(kernels.OpLessEqual, distance, bound))
	close := f.do(kernels.OpLogicalOr, within, f.do(kernels.OpEqual, a, b))
	return c.holds(x, close, f.err, x, y)
}

func arrayEqual(name string, x, y handle) (bool, error) {
	c := here(name)
	if err := c.check(x, y); err != nil {
		return false, err
	}
	if x.node.Rank != y.node.Rank || x.node.Shape != y.node.Shape {
		return false, nil
	}
	n, err := apply(kernels.OpEqual, x.node, y.node)
	return c.holds(x, n, err, x, y)
}

// holds evaluates a condition and says whether it is true everywhere.
func (c call) holds(h handle, condition *node, err error, operands ...handle) (bool, error) {
	if err != nil {
		return false, c.explain(err, operands...)
	}
	s := &chain{call: c, dev: h.dev}
	each := s.eval(condition, nil)
	if s.err != nil {
		return false, c.of(s.err, operands...)
	}
	all := s.step(s.call.reduce(kernels.OpAll, handle{s.dev, each}, kernels.Bool, nil))
	defer s.end(h, nil)
	if s.err != nil {
		return false, c.of(s.err, operands...)
	}
	var b [1]byte
	if err := h.dev.download(c, b[:], all.root().store, uint64(all.Offset)); err != nil {
		return false, c.of(err, operands...)
	}
	return b[0] != 0, nil
}
