package main

import (
	"fmt"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// sizes are how large the rows are. Memory-bound ones have n elements, as matrices
// side × side.
type sizes struct {
	n, side, cols int
	long          int // elements of a row that no block of a kernel holds
	mid           [3]int
	shrink        int // of each dimension of a product
	hostBytes     int // that host rows copy
	calls         int // in a host row's batch
}

var (
	full = sizes{n: 1 << 26, side: 1 << 13, cols: 64, long: 1 << 16, mid: [3]int{64, 1024, 1024}, shrink: 1, hostBytes: 256 << 20, calls: 5000}
	tiny = sizes{n: 1 << 12, side: 1 << 6, cols: 16, long: 1 << 10, mid: [3]int{4, 16, 64}, shrink: 128, hostBytes: 1 << 16, calls: 3}
)

// A row is a task: its name, and how it is made on a device. A row without one is
// listed as not there yet, with what is missing.
type row struct {
	task    string
	unit    string // gbs, tflops, us or s
	make    func(r *runner) (*task, error)
	missing string
}

// A task is a row at work.
type task struct {
	read, written uint64 // bytes that must move
	flops         float64
	peak          kernels.Type // of the products' limit
	method        string       // how it is timed
	timer         timer
	limitTimer    timer             // of a row whose limit is measured in turn with it
	moved         uint64            // bytes between host and device
	pairs         int               // samples, where fewer than usual are enough
	graph         func(n int) error // makes the timer run a graph of n calls; may be nil
	check         func() error      // compares the result of a run with a plain computation
	close         func() error
}

// A side is an operand of a kernel row.
type side struct {
	typ    kernels.Type
	layout kernels.Layout
	scale  float32 // of the random numbers; 0 is 1
	abs    bool    // made positive
}

func (s *side) elements() int {
	_, high := s.layout.Span()
	return high + 1
}

func matrix(t kernels.Type, shape ...int) side {
	return side{typ: t, layout: kernels.RowMajor(shape...)}
}

// swapped is the transposed view of a matrix; over a batch, of each.
func swapped(s side) side {
	l := &s.layout
	i, j := l.Rank-2, l.Rank-1
	l.Shape[i], l.Shape[j] = l.Shape[j], l.Shape[i]
	l.Strides[i], l.Strides[j] = l.Strides[j], l.Strides[i]
	return s
}

// A kernelTask says what a kernel row does: plan plans it, plain computes the same
// from the inputs' elements, in the order of their memory.
type kernelTask struct {
	in    []side
	out   side
	plan  func(p *kernels.Plan, out kernels.Layout, in []kernels.Layout) error
	plain func(in [][]float64) []float64
	check func(got []float64) error // instead of plain
	tol   float64
	flops float64
}

// start makes the row's operands and launches.
func (k kernelTask) start(r *runner) (*task, error) {
	w := &work{r: r}
	t := &task{timer: w.micros, graph: w.asGraph, close: w.close, method: "events", flops: k.flops, peak: k.out.typ}
	var p kernels.Plan
	var layouts []kernels.Layout
	var bases []driver.Ptr
	for i, s := range append([]side{k.out}, k.in...) {
		bytes := uint64(s.elements() * s.typ.Size())
		base, err := w.alloc(bytes)
		if err != nil {
			return t, err
		}
		bases = append(bases, base)
		if i == 0 {
			t.written = bytes
			if err := r.stream.MemsetD8(base, 0xff, bytes); err != nil {
				return t, err
			}
			continue
		}
		t.read += bytes
		layouts = append(layouts, s.layout)
		if err := r.fillSide(base, s); err != nil {
			return t, err
		}
	}
	if err := k.plan(&p, k.out.layout, layouts); err != nil {
		return t, err
	}
	t.check = func() error { return k.compare(r, w, bases) }
	return t, w.plan(&p, bases...)
}

// fillSide makes an operand's random elements.
func (r *runner) fillSide(base driver.Ptr, s side) error {
	scale := s.scale
	if scale == 0 {
		scale = 1
	}
	if err := r.randomize(base, s.typ, s.elements(), scale); err != nil || !s.abs {
		return err
	}
	w := &work{r: r}
	defer w.close()
	var p kernels.Plan
	l := kernels.RowMajor(s.elements())
	e := unary(kernels.OpAbs, s.typ)
	if err := kernels.Elementwise(&p, &e, l, []kernels.Layout{l}); err != nil {
		return err
	}
	if err := w.plan(&p, base, base); err != nil {
		return err
	}
	return w.once()
}

// compare runs the row once and compares.
func (k *kernelTask) compare(r *runner, w *work, bases []driver.Ptr) error {
	if err := w.once(); err != nil {
		return err
	}
	got, err := r.host(bases[0], k.out.typ, k.out.elements())
	if err != nil {
		return err
	}
	if k.check != nil {
		return k.check(got)
	}
	var in [][]float64
	for i, s := range k.in {
		x, err := r.host(bases[i+1], s.typ, s.elements())
		if err != nil {
			return err
		}
		in = append(in, x)
	}
	return equal(got, k.plain(in), k.tol)
}

func unary(op kernels.Op, t kernels.Type) kernels.Expr {
	return kernels.Expr{Nodes: []kernels.Node{
		{Kind: kernels.Load, Type: t, Operand: 1},
		{Kind: kernels.Apply, Op: op, Type: t},
	}}
}

func binary2(op kernels.Op, t kernels.Type) kernels.Expr {
	return kernels.Expr{Nodes: []kernels.Node{
		{Kind: kernels.Load, Type: t, Operand: 1},
		{Kind: kernels.Load, Type: t, Operand: 2},
		{Kind: kernels.Apply, Op: op, Type: t, Args: [3]int{0, 1}},
	}}
}

// An arrayTask is an expression over arrays of random numbers, which is what a
// program writes.
type arrayTask[T array.Element] struct {
	inputs        int
	shape         []int                               // of each of them
	more          [][]int                             // of the inputs after them
	setup         func(d *array.Device) (free func()) // makes what else it needs; may be nil
	of            func(x []*array.Array[T]) *array.Array[T]
	plain         func(in [][]float64) []float64
	tol           float64
	read, written uint64
}

func (k arrayTask[T]) start(r *runner) (*task, error) {
	rng := array.NewRand(r.arr, r.nextSeed())
	var x []*array.Array[T]
	for range k.inputs {
		x = append(x, array.Normal[T](rng, k.shape...))
	}
	for _, shape := range k.more {
		x = append(x, array.Normal[T](rng, shape...))
	}
	free := func() {}
	if k.setup != nil {
		free = k.setup(r.arr)
	}
	run := func(keep bool) (y *array.Array[T], err error) {
		err = r.arr.Scope(func(s *array.Device) error {
			on := make([]*array.Array[T], len(x))
			for i := range x {
				on[i] = x[i].On(s)
			}
			y = k.of(on).Eval()
			if keep {
				y.Keep()
			}
			return y.Err()
		})
		return y, err
	}
	t := &task{read: k.read, written: k.written, method: "array, wall clock"}
	t.timer = func(batch int) (float64, error) {
		return r.queued(batch, func() error { _, err := run(false); return err })
	}
	t.close = func() error {
		for _, a := range x {
			a.Free()
		}
		free()
		return r.arr.Trim(0)
	}
	t.check = func() error {
		y, err := run(true)
		if err != nil {
			return err
		}
		defer y.Free()
		got, err := floats(y)
		if err != nil {
			return err
		}
		var in [][]float64
		for _, a := range x {
			v, err := floats(a)
			if err != nil {
				return err
			}
			in = append(in, v)
		}
		return equal(got, k.plain(in), k.tol)
	}
	return t, r.arr.Sync()
}

// queued returns the time of a call, in µs, where batch of them queue behind one
// another.
func (r *runner) queued(batch int, f func() error) (float64, error) {
	if err := f(); err != nil {
		return 0, err
	}
	if err := r.arr.Sync(); err != nil {
		return 0, err
	}
	start := time.Now()
	for range batch {
		if err := f(); err != nil {
			return 0, err
		}
	}
	err := r.arr.Sync()
	return micros(time.Since(start)) / float64(batch), err
}

// floats reads an array as float64.
func floats[T array.Element](a *array.Array[T]) ([]float64, error) {
	b := array.Cast[float64](a)
	if any(a) != any(b) {
		defer b.Free()
	}
	x, err := b.ToSlice()
	if err != nil {
		return nil, fmt.Errorf("reading a result: %w", err)
	}
	return x, nil
}
