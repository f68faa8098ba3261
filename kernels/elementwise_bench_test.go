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

// benchmarkPlan launches an elementwise plan.
func benchmarkPlan(b *testing.B, r *planRunner, e *Expr, out Layout, in []Layout) {
	var p Plan
	if err := Elementwise(&p, e, out, in); err != nil {
		b.Fatal(err)
	}
	benchmarkLaunches(b, r, &p, operandTypes(e, len(in)), append([]Layout{out}, in...))
}

// benchmarkLaunches launches the plan b.N times in a row. The operands' bytes
// are all the same.
func benchmarkLaunches(b *testing.B, r *planRunner, p *Plan, types []Type, layouts []Layout) {
	check := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	var mems []*driver.Mem
	traffic := 0
	for k, l := range layouts {
		_, high := l.Span()
		m, err := r.ctx.Alloc(uint64((high + 1) * types[k].Size()))
		check(err)
		mems = append(mems, m)
		check(r.stream.MemsetD8(m.Ptr(), fillOf(types[k]), m.Size()))
		distinct := types[k].Size()
		for i, d := range l.Shape[:l.Rank] {
			if l.Strides[i] != 0 {
				distinct *= d
			}
		}
		traffic += distinct
	}
	scratch, err := r.ctx.Alloc(max(p.Scratch, 1))
	check(err)
	tickets, err := r.ctx.Alloc(max(p.Tickets, 1))
	check(err)
	check(r.stream.MemsetD8(tickets.Ptr(), 0, tickets.Size()))
	launch := func() {
		for _, l := range p.Launches {
			args := driver.NewArgs()
			for _, a := range l.Args {
				switch {
				case !a.Pointer:
					args.Bits(a.Bits, int(a.Size))
				case a.Operand == ScratchOperand:
					args.Ptr(scratch.Ptr() + driver.Ptr(a.Bits))
				case a.Operand == TicketOperand:
					args.Ptr(tickets.Ptr() + driver.Ptr(a.Bits))
				default:
					args.Ptr(mems[a.Operand].Ptr() + driver.Ptr(a.Bits))
				}
			}
			check(r.kernel(b, l.Key).LaunchArgs(r.stream, driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block), Shared: l.Shared}, args))
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
	for _, m := range append(mems, scratch, tickets) {
		check(m.Close())
	}
}

// BenchmarkRows runs reductions, scans and row operations on 2²⁶ elements where
// there is a GPU.
func BenchmarkRows(b *testing.B) {
	r := newRunner(b)
	n, side := 1<<26, 1<<13
	if r.simulated() {
		n, side = 1<<16, 1<<8
	}
	whole, square, one, line := RowMajor(n), RowMajor(n/side, side), RowMajor(), RowMajor(side)
	narrow, mid := RowMajor(n/64, 64), RowMajor(n/side/64, side, 64)
	column := RowMajor(n / side)
	usual, half := usualExpressions(Float32), usualExpressions(BFloat16)
	for _, c := range []struct {
		name    string
		types   []Type
		layouts []Layout
		plan    func(p *Plan) error
	}{
		{"sum/float32", []Type{Float32, Float32}, []Layout{one, whole}, func(p *Plan) error { return Reduce(p, OpSum, Float32, one, whole, 1) }},
		{"sum/bfloat16", []Type{BFloat16, BFloat16}, []Layout{one, whole}, func(p *Plan) error { return Reduce(p, OpSum, BFloat16, one, whole, 1) }},
		{"sum/uint8", []Type{Int64, Uint8}, []Layout{one, whole}, func(p *Plan) error { return ReduceAs(p, OpSum, Uint8, Int64, one, whole, 1) }},
		{"argmax/float32", []Type{Int64, Float32}, []Layout{one, whole}, func(p *Plan) error { return Reduce(p, OpArgMax, Float32, one, whole, 1) }},
		{"rowsum/float32", []Type{Float32, Float32}, []Layout{column, square}, func(p *Plan) error { return Reduce(p, OpSum, Float32, column, square, 2) }},
		{"colsum/float32", []Type{Float32, Float32}, []Layout{line, square}, func(p *Plan) error { return Reduce(p, OpSum, Float32, line, square, 1) }},
		{"midsum/float32", []Type{Float32, Float32}, []Layout{RowMajor(n/side/64, 64), mid}, func(p *Plan) error { return Reduce(p, OpSum, Float32, RowMajor(n/side/64, 64), mid, 2) }},
		{"dot/float32", []Type{Float32, Float32, Float32}, []Layout{one, whole, whole}, func(p *Plan) error {
			return ReduceExpr(p, OpSum, usual["dot"], Float32, one, []Layout{whole, whole}, 1)
		}},
		{"sqdiff/float32", []Type{Float32, Float32, Float32}, []Layout{one, whole, whole}, func(p *Plan) error {
			return ReduceExpr(p, OpSum, usual["sqdiff"], Float32, one, []Layout{whole, whole}, 1)
		}},
		{"sqdiff/bfloat16", []Type{BFloat16, BFloat16, BFloat16}, []Layout{one, whole, whole}, func(p *Plan) error {
			return ReduceExpr(p, OpSum, half["sqdiff"], BFloat16, one, []Layout{whole, whole}, 1)
		}},
		{"colsqdiff/float32", []Type{Float32, Float32, Float32}, []Layout{line, square, square}, func(p *Plan) error {
			return ReduceExpr(p, OpSum, usual["sqdiff"], Float32, line, []Layout{square, square}, 1)
		}},
		{"softmax/float32", []Type{Float32, Float32}, []Layout{square, square}, func(p *Plan) error { return Softmax(p, Float32, square, square, 1) }},
		{"softmax/bfloat16", []Type{BFloat16, BFloat16}, []Layout{square, square}, func(p *Plan) error { return Softmax(p, BFloat16, square, square, 1) }},
		{"layernorm/float32", []Type{Float32, Float32, Float32, Float32}, []Layout{square, square, line, line}, func(p *Plan) error {
			return LayerNorm(p, Float32, 1e-5, square, square, 1, &line, &line)
		}},
		{"variance/rows/float32", []Type{Float32, Float32}, []Layout{column, square}, func(p *Plan) error { return Variance(p, Float32, 0, column, square, 2) }},
		{"variance/whole/float32", []Type{Float32, Float32}, []Layout{one, whole}, func(p *Plan) error { return Variance(p, Float32, 0, one, whole, 1) }},
		{"cumsum/float32", []Type{Float32, Float32}, []Layout{whole, whole}, func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, whole, whole, 0) }},
		{"cumsum/rows/float32", []Type{Float32, Float32}, []Layout{square, square}, func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, square, square, 1) }},
		{"cumsum/64cols/float32", []Type{Float32, Float32}, []Layout{narrow, narrow}, func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, narrow, narrow, 1) }},
		{"cumsum/columns/float32", []Type{Float32, Float32}, []Layout{square, square}, func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, square, square, 0) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var p Plan
			if err := c.plan(&p); err != nil {
				b.Fatal(err)
			}
			benchmarkLaunches(b, r, &p, c.types, c.layouts)
		})
	}
}
