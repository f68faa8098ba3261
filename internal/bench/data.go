package main

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// randomize fills memory with n normally distributed numbers of a type, times
// scale: integers are those numbers truncated.
func (r *runner) randomize(at driver.Ptr, t kernels.Type, n int, scale float32) error {
	w := &work{r: r}
	defer w.close()
	raw, err := w.alloc(4 * uint64(n))
	if err != nil {
		return err
	}
	var p kernels.Plan
	if err := kernels.Random(&p, kernels.Normal, kernels.Float32, n, r.nextSeed(), 0); err != nil {
		return err
	}
	if err := w.plan(&p, raw); err != nil {
		return err
	}
	l := kernels.RowMajor(n)
	e := kernels.Expr{Nodes: []kernels.Node{
		{Kind: kernels.Load, Type: kernels.Float32, Operand: 1},
		{Kind: kernels.Immediate, Type: kernels.Float32, Bits: uint64(math.Float32bits(scale))},
		{Kind: kernels.Apply, Op: kernels.OpMul, Type: kernels.Float32, Args: [3]int{0, 1}},
	}}
	if t != kernels.Float32 {
		e.Nodes = append(e.Nodes, kernels.Node{Kind: kernels.Apply, Op: kernels.OpCast, Type: t, Args: [3]int{2}})
	}
	p.Reset()
	if err := kernels.Elementwise(&p, &e, l, []kernels.Layout{l}); err != nil {
		return err
	}
	if err := w.plan(&p, at, raw); err != nil {
		return err
	}
	return w.once()
}

// decode returns the elements of a type in device memory, which is little-endian.
func decode(t kernels.Type, b []byte) []float64 {
	le := binary.LittleEndian
	read := map[kernels.Type]func(b []byte) float64{
		kernels.Bool:     func(b []byte) float64 { return float64(b[0]) },
		kernels.Uint8:    func(b []byte) float64 { return float64(b[0]) },
		kernels.Int32:    func(b []byte) float64 { return float64(int32(le.Uint32(b))) },
		kernels.Int64:    func(b []byte) float64 { return float64(int64(le.Uint64(b))) },
		kernels.Float16:  func(b []byte) float64 { return float64(array.Float16FromBits(le.Uint16(b)).Float32()) },
		kernels.BFloat16: func(b []byte) float64 { return float64(array.BFloat16FromBits(le.Uint16(b)).Float32()) },
		kernels.Float32:  func(b []byte) float64 { return float64(math.Float32frombits(le.Uint32(b))) },
		kernels.Float64:  func(b []byte) float64 { return math.Float64frombits(le.Uint64(b)) },
	}[t]
	x := make([]float64, len(b)/t.Size())
	for i := range x {
		x[i] = read(b[i*t.Size():])
	}
	return x
}

// host returns n elements of a type.
func (r *runner) host(at driver.Ptr, t kernels.Type, n int) ([]float64, error) {
	b := make([]byte, n*t.Size())
	if err := r.stream.Synchronize(); err != nil {
		return nil, err
	}
	if err := r.ctx.CopyDtoH(b, at); err != nil {
		return nil, err
	}
	return decode(t, b), nil
}

// equal says where got is not want, but for tol relative to the larger of |want|
// and 1.
func equal(got, want []float64, tol float64) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d numbers; want %d", len(got), len(want))
	}
	for i, w := range want {
		if d := math.Abs(got[i] - w); !(d <= tol*max(math.Abs(w), 1)) {
			return fmt.Errorf("number %d is %v; want %v", i, got[i], w)
		}
	}
	return nil
}
