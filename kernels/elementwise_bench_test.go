package kernels

import (
	"strconv"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// BenchmarkElementwise runs kernels on resident arrays, larger than a GPU's
// cache where there is a GPU. GB/s counts what has to be read and written.
func BenchmarkElementwise(b *testing.B) {
	r := newRunner(b)
	columns := 4096
	rows := 256
	if r.simulated() {
		columns = 1024
	} else {
		rows = 1 << 14
	}
	matrix := RowMajor(rows, columns)
	row, column, pitched, transposed, odd := matrix, matrix, matrix, matrix, matrix
	row.Strides = [MaxRank]int{0, 1}
	column.Strides = [MaxRank]int{1, 0}
	pitched.Strides = [MaxRank]int{columns + 64, 1}
	transposed.Strides = [MaxRank]int{1, rows}
	odd.Offset = 1
	add := singleOp(OpAdd, Float32, false)
	for _, c := range []struct {
		name string
		e    *Expr
		in   []Layout
	}{
		{"copy/float32", singleOp(OpCopy, Float32, false), []Layout{matrix}},
		{"add/float32", add, []Layout{matrix, matrix}},
		{"add/float32/row", add, []Layout{matrix, row}},
		{"add/float32/column", add, []Layout{matrix, column}},
		{"add/float32/pitched", add, []Layout{pitched, matrix}},
		{"add/float32/odd", add, []Layout{odd, odd}},
		{"add/float32/transposed", add, []Layout{transposed, matrix}},
		{"add/uint8", singleOp(OpAdd, Uint8, false), []Layout{matrix, matrix}},
		{"add/float16", singleOp(OpAdd, Float16, false), []Layout{matrix, matrix}},
		{"add/float64", singleOp(OpAdd, Float64, false), []Layout{matrix, matrix}},
		{"less/float32", singleOp(OpLess, Float32, false), []Layout{matrix, matrix}},
		{"cast/uint8/float32", &Expr{[]Node{{Kind: Load, Type: Uint8, Operand: 1}, {Kind: Apply, Op: OpCast, Type: Float32}}}, []Layout{matrix}},
		{"exp/float32", singleOp(OpExp, Float32, false), []Layout{matrix}},
		{"log/float32", singleOp(OpLog, Float32, false), []Layout{matrix}},
		{"tanh/float32", singleOp(OpTanh, Float32, false), []Layout{matrix}},
		{"sin/float32", singleOp(OpSin, Float32, false), []Layout{matrix}},
		{"pow/float32", singleOp(OpPow, Float32, false), []Layout{matrix, matrix}},
		{"exp/float16", singleOp(OpExp, Float16, false), []Layout{matrix}},
		{"exp/float64", singleOp(OpExp, Float64, false), []Layout{matrix}},
		{"log/float64", singleOp(OpLog, Float64, false), []Layout{matrix}},
		{"tanh/float64", singleOp(OpTanh, Float64, false), []Layout{matrix}},
		{"pow/float64", singleOp(OpPow, Float64, false), []Layout{matrix, matrix}},
	} {
		b.Run(c.name+"/"+strconv.Itoa(rows)+"x"+strconv.Itoa(columns), func(b *testing.B) {
			benchmarkPlan(b, r, c.e, matrix, c.in)
		})
	}
}

func (r *planRunner) simulated() bool { return r.ctx.Device().Driver().IsSimulated() }

// benchmarkPlan launches the plan b.N times in a row.
func benchmarkPlan(b *testing.B, r *planRunner, e *Expr, out Layout, in []Layout) {
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	var p Plan
	check(Elementwise(&p, e, out, in))
	types := operandTypes(e, len(in))
	var mems []*driver.Mem
	traffic := 0
	for k, l := range append([]Layout{out}, in...) {
		_, high := l.Span()
		m, err := r.ctx.Alloc(uint64((high + 1) * types[k].Size()))
		check(err)
		mems = append(mems, m)
		check(r.stream.MemsetD8(m.Ptr(), 0x3f, m.Size()))
		distinct := types[k].Size()
		for i, d := range l.Shape[:l.Rank] {
			if l.Strides[i] != 0 {
				distinct *= d
			}
		}
		traffic += distinct
	}
	launch := func() {
		for _, l := range p.Launches {
			args := driver.NewArgs()
			for _, a := range l.Args {
				if a.Pointer {
					args.Ptr(mems[a.Operand].Ptr() + driver.Ptr(a.Bits))
				} else {
					args.Bits(a.Bits, int(a.Size))
				}
			}
			check(r.kernel(b, l.Key).LaunchArgs(r.stream, driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block)}, args))
			args.Release()
		}
	}
	launch()
	check(r.stream.Synchronize())
	b.SetBytes(int64(traffic))
	b.ResetTimer()
	for range b.N {
		launch()
	}
	check(r.stream.Synchronize())
	b.StopTimer()
	for _, m := range mems {
		check(m.Close())
	}
}
