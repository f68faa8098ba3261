package kernels

import "testing"

// Planning what was planned before allocates nothing.
func TestPlanAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	square, row, one := RowMajor(512, 512), RowMajor(512), RowMajor()
	turned := square
	turned.Strides = [MaxRank]int{1, 512}
	long, double := RowMajor(1<<20), RowMajor(1024, 512)
	e := usualExpressions(Float32)["sqdiff"]
	both, squares := []Layout{long, long}, []Layout{square, square}
	for _, c := range []struct {
		name string
		plan func(p *Plan) error
	}{
		{"reduce all", func(p *Plan) error { return Reduce(p, OpSum, Float32, one, long, 1) }},
		{"reduce rows", func(p *Plan) error { return Reduce(p, OpMax, Float32, row, square, 2) }},
		{"reduce columns", func(p *Plan) error { return Reduce(p, OpMean, Float32, row, square, 1) }},
		{"reduce an expression", func(p *Plan) error { return ReduceExpr(p, OpSum, e, Float32, one, both, 1) }},
		{"matmul", func(p *Plan) error { return MatMul(p, Float32, square, square, square) }},
		{"copy", func(p *Plan) error { return Copy(p, Float32, square, square) }},
		{"join", func(p *Plan) error { return Join(p, Float32, double, squares, 0) }},
		{"transposed copy", func(p *Plan) error { return Copy(p, Float32, square, turned) }},
		{"softmax", func(p *Plan) error { return Softmax(p, Float32, square, square, 1) }},
		{"softmax of an expression", func(p *Plan) error { return SoftmaxExpr(p, e, square, squares, 1) }},
		{"variance of an expression", func(p *Plan) error { return VarianceExpr(p, e, 1, one, both, 1) }},
		{"scan of an expression", func(p *Plan) error { return ScanExpr(p, OpSum, e, Float32, long, both, 0) }},
		{"norm", func(p *Plan) error { return NormExpr(p, e, one, both, 1) }},
		{"layer norm", func(p *Plan) error { return LayerNorm(p, Float32, 1e-5, square, square, 1, &row, &row) }},
		{"variance", func(p *Plan) error { return Variance(p, Float32, 1, row, square, 2) }},
		{"variance of columns", func(p *Plan) error { return Variance(p, Float32, 1, row, square, 1) }},
		{"scan", func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, long, long, 0) }},
		{"random", func(p *Plan) error { return Random(p, Normal, Float32, 1000, 1, 2) }},
	} {
		var p Plan
		if n := testing.AllocsPerRun(50, func() {
			p.Reset()
			if err := c.plan(&p); err != nil {
				t.Fatal(err)
			}
		}); n > 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}
