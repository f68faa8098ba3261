package array

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// FromSlice copies data to the device, in row-major order of the shape; without a
// shape the array has one axis. The size must be len(data). It does not wait for
// the copy, but may wait for room in the staging buffers; data may be changed when
// it returns.
func FromSlice[T Element](d *Device, data []T, shape ...int) *Array[T] {
	return to[T](fromBytes("FromSlice", d, typeOf[T](), bytesOf(data), len(data), shape))
}

// Zeros returns an array of zeros (false).
func Zeros[T Element](d *Device, shape ...int) *Array[T] {
	return to[T](full("Zeros", d, scalar{typeOf[T](), 0}, shape))
}

// Ones returns an array of ones (true).
func Ones[T Element](d *Device, shape ...int) *Array[T] {
	return to[T](full("Ones", d, number(typeOf[T](), 1), shape))
}

// Full returns an array whose elements are all value.
func Full[T Element](d *Device, value T, shape ...int) *Array[T] {
	return to[T](full("Full", d, scalarOf(value), shape))
}

// Scalar returns an array of rank 0, a constant where an elementwise operation takes
// it: 1 − x is Scalar(d, 1.0).Sub(x).
func Scalar[T Element](d *Device, value T) *Array[T] {
	return to[T](full("Scalar", d, scalarOf(value), nil))
}

// Arange returns start, start + step, start + 2·step, … up to, not including, stop:
// ⌈(stop − start) / step⌉ elements, none where that is negative. Elements are
// computed as start + i·step in T. It is not defined for bool.
func Arange[T Element](d *Device, start, stop, step T) *Array[T] {
	return to[T](arange("Arange", d, scalarOf(start), scalarOf(stop), scalarOf(step)))
}

// Linspace returns n numbers evenly spaced from start to stop, both included, of a
// floating-point type. They are computed in float64 and rounded once; the last is
// exactly stop.
func Linspace[T Element](d *Device, start, stop T, n int) *Array[T] {
	return to[T](linspace("Linspace", d, scalarOf(start), scalarOf(stop), n))
}

// Eye returns an n × n matrix with ones on the diagonal and zeros elsewhere.
func Eye[T Element](d *Device, n int) *Array[T] { return to[T](eye("Eye", d, typeOf[T](), n)) }

// begin starts an operation that makes an array of a shape on a device.
func (c call) begin(d *Device, t kernels.Type, shape []int) (layout, *Error) {
	if err := d.check(c); err != nil {
		return layout{}, err
	}
	l, err := newLayout(shape, t)
	if err != nil {
		return l, c.fail(err)
	}
	return l, nil
}

// made wraps a new node or its error.
func (d *Device) made(n *node, err *Error) handle {
	h := handle{d, n}
	if err != nil {
		return h.failed(err)
	}
	return h
}

func fromBytes(name string, d *Device, t kernels.Type, data []byte, n int, shape []int) handle {
	c := here(name)
	if shape == nil {
		shape = []int{n}
	}
	l, err := c.begin(d, t, shape)
	if err == nil && l.Len() != n {
		err = c.fail(because(ErrShape, "shape %s has %s, the slice has %d", phrase.Shape(shape), elements(l.Len()), n))
	}
	if err != nil {
		return d.made(nil, err)
	}
	w := newWork(c, d)
	defer w.end()
	made, err := w.create(l, t)
	if err == nil {
		if err = d.upload(c, made.store, data); err != nil {
			handle{d, made}.free(c)
		}
	}
	return d.made(made, err)
}

func full(name string, d *Device, value scalar, shape []int) handle {
	c := here(name)
	l, err := c.begin(d, value.typ, shape)
	if err != nil {
		return d.made(nil, err)
	}
	return c.fill(d, l, value)
}

// fill makes an array of one value.
func (c call) fill(d *Device, l layout, value scalar) handle {
	w := newWork(c, d)
	defer w.end()
	n, err := w.create(l, value.typ)
	if err == nil {
		if err = d.set(c, n, value); err != nil {
			handle{d, n}.free(c)
		}
	}
	return d.made(n, err)
}

// set fills a new contiguous array through the driver, or, for 8-byte elements that
// are not all one byte, through a kernel.
func (d *Device) set(c call, n *node, value scalar) *Error {
	if n.Len() == 0 {
		return nil
	}
	size := n.typ.Size()
	if size == 8 && value.bits != value.bits<<32>>32*(1<<32+1) {
		w := newWork(c, d)
		defer w.end()
		if err := w.constant(value, &n.layout); err != nil {
			return c.unsupported(err)
		}
		_, err := w.run(&n.layout, n.typ, n.store)
		return err
	}
	sh := d.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if err := d.open(c); err != nil {
		return err
	}
	if err := n.store.usable(c); err != nil { // a scope may have ended meanwhile
		return err
	}
	if err := d.memset(n.store, value.bits, size, uint64(n.Len())); err != nil {
		return c.deviceError(err)
	}
	return nil
}

// memset queues a fill of n elements of a size. The caller holds the lock.
func (d *Device) memset(s *storage, bits uint64, size int, n uint64) error {
	if rec := d.capturing(); rec != nil {
		if size == 8 {
			size, n = 4, 2*n
		}
		rec.fill(s, uint32(bits), size, n)
		return nil
	}
	q, b := d.stream.queue, s.block
	if err := b.beforeWrite(d.stream); err != nil {
		return err
	}
	p := driver.Ptr(b.address)
	defer func() { b.write(d.stream.next()) }()
	switch size {
	case 1:
		return q.MemsetD8(p, uint8(bits), n)
	case 2:
		return q.MemsetD16(p, uint16(bits), n)
	case 8:
		n *= 2
	}
	return q.MemsetD32(p, uint32(bits), n)
}

// generate makes an array from an expression that uses the linear index: its
// shape is l's.
func (c call) generate(d *Device, l layout, n *node, err error) handle {
	if err != nil {
		return d.made(nil, c.explain(err))
	}
	n.call, n.dev, n.linked, n.layout = c, d, true, l
	if err := d.fits(c, &n.layout, n.typ); err != nil {
		return d.made(nil, err)
	}
	return d.made(n, c.evaluate(handle{d, n})) // at once: the index is that of the whole array
}

func arange(name string, d *Device, start, stop, step scalar) handle {
	c := here(name)
	if err := d.check(c); err != nil {
		return d.made(nil, err)
	}
	t := start.typ
	count, err := arangeCount(start, stop, step)
	if err != nil {
		return d.made(nil, c.fail(err))
	}
	l, failed := c.begin(d, t, []int{count})
	if failed != nil {
		return d.made(nil, failed)
	}
	var f formula
	i := cast(position(), wide(t))
	n := f.do(kernels.OpAdd, constant(wideScalar(start)), f.do(kernels.OpMul, i, constant(wideScalar(step))))
	return c.generate(d, l, cast(n, t), f.err)
}

// wideScalar is the scalar in the type that composite operations compute in.
func wideScalar(s scalar) scalar {
	if w := wide(s.typ); w != s.typ {
		return number(w, s.float())
	}
	return s
}

// arangeCount returns the number of elements of Arange, exactly for integers.
func arangeCount(start, stop, step scalar) (int, error) {
	switch t := start.typ; {
	case t == kernels.Bool:
		return 0, because(ErrType, "Arange is not defined for bool; use Full, or compare an Arange of integers")
	case step.float() == 0:
		return 0, because(ErrShape, "the step is 0")
	case t.IsInteger():
		return integerCount(start, stop, step)
	}
	n := math.Ceil((stop.float() - start.float()) / step.float())
	if !(n < 1<<62) {
		return 0, because(ErrShape, "from %v to %v in steps of %v are not finitely many elements that memory has addresses for", start.float(), stop.float(), step.float())
	}
	return max(int(n), 0), nil
}

// integerCount is arangeCount for integers, whose distances fit a uint64.
func integerCount(start, stop, step scalar) (int, error) {
	var span, stride uint64
	if start.typ.IsSigned() {
		a, b, s := start.int(), stop.int(), step.int()
		if s < 0 {
			a, b = b, a
		}
		if a >= b {
			return 0, nil
		}
		span, stride = uint64(b)-uint64(a), uint64(s)
		if s < 0 {
			stride = -stride
		}
	} else {
		if start.bits >= stop.bits {
			return 0, nil
		}
		span, stride = stop.bits-start.bits, step.bits
	}
	n := (span-1)/stride + 1
	if n > math.MaxInt {
		return 0, because(ErrShape, "%d elements are more than memory has addresses for", n)
	}
	return int(n), nil
}

func linspace(name string, d *Device, start, stop scalar, count int) handle {
	c := here(name)
	t := start.typ
	l, err := c.begin(d, t, []int{count})
	if err == nil && !t.IsFloat() {
		err = c.fail(because(ErrType, "Linspace is not defined for %v; use float32 or float64 and array.Cast", t))
	}
	if err != nil {
		return d.made(nil, err)
	}
	a, b := start.float(), stop.float()
	step := (b - a) / float64(max(count-1, 1))
	if math.IsInf(b-a, 0) && !math.IsInf(a, 0) && !math.IsInf(b, 0) {
		step = b/float64(max(count-1, 1)) - a/float64(max(count-1, 1)) // b − a overflows
	}
	var f formula
	i := position()
	at := f.do(kernels.OpAdd, constant(scalarOf(a)), f.do(kernels.OpMul, cast(i, kernels.Float64), constant(scalarOf(step))))
	last := f.do(kernels.OpEqual, i, constant(scalarOf(int64(count-1))))
	if count > 1 {
		at = f.do(kernels.OpWhere, last, constant(scalarOf(b)), at)
	}
	return c.generate(d, l, cast(at, t), f.err)
}

func eye(name string, d *Device, t kernels.Type, size int) handle {
	c := here(name)
	l, err := c.begin(d, t, []int{size, size})
	if err != nil {
		return d.made(nil, err)
	}
	h := c.fill(d, l, scalar{t, 0})
	if h.node.err != nil || size == 0 {
		return h
	}
	diagonal := layout{Rank: 1}
	diagonal.Shape[0], diagonal.Strides[0] = size, size+1
	w := newWork(c, d)
	defer w.end()
	if err := w.constant(number(t, 1), &diagonal); err != nil {
		return d.made(nil, c.unsupported(err))
	}
	if _, err := w.run(&diagonal, t, h.node.store); err != nil {
		h.free(c)
		return d.made(nil, err)
	}
	return h
}
