package kernels

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/x448/float16"
	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"
)

// Every path: rows held in registers in one and several passes, rows that are
// longer, columns, several axes.
var statisticCases = []reduceCase{
	{[]int{1}, 1}, {[]int{7}, 1}, {[]int{2048}, 1}, {[]int{2049}, 1}, {[]int{9000}, 1}, {[]int{100_000}, 1},
	{[]int{5, 7}, 2}, {[]int{100, 64}, 2}, {[]int{3, 8192}, 2}, {[]int{2, 40_000}, 2}, {[]int{7, 5}, 1}, {[]int{3000, 64}, 1}, {[]int{40_000, 4}, 1},
	{[]int{6, 40, 16}, 5}, {[]int{6, 40, 16}, 6}, {[]int{6, 40, 16}, 7}, {[]int{4, 3}, 0}, {[]int{40, 30, 40}, 7}, {[]int{2, 300, 200}, 6},
}

// statisticRun returns the rows of the operand and the results.
func statisticRun[T any](t *testing.T, r *rand.Rand, c reduceCase, l Layout, n int, value func() T, plan func(p *Plan, out, in Layout) error) (rows [][]T, got []T) {
	t.Helper()
	data := make([]T, n)
	for i := range data {
		data[i] = value()
	}
	kept, reduced := splitAxes(len(c.shape), c.axes)
	keptShape := reducedRowMajor(c.shape, c.axes)
	out, m := randomLayout(r, false, keptShape.Shape[:keptShape.Rank]...)
	buf := make([]T, m)
	p := Plan{Capability: newRunner(t).cc}
	if err := plan(&p, out, l); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, buf, data, none)
	out.each(func(at int) { got = append(got, buf[at]) })
	return gather(data, l, kept, reduced), got
}

func TestVarianceAndLogSumExp(t *testing.T) {
	r := newRand(t)
	for _, c := range statisticCases {
		for _, layout := range []func() (Layout, int){
			func() (Layout, int) { whole := RowMajor(c.shape...); return whole, whole.Len() },
			func() (Layout, int) { return randomLayout(r, false, c.shape...) }, // equal elements would show the mean's rounding
		} {
			l, n := layout()
			for _, correction := range []int{0, 1} {
				check := func(typ Type, eps float64, rows [][]float64, got []float64) {
					t.Helper()
					for i, row := range rows {
						m := stat.Mean(row, nil)
						want := stat.MomentAbout(2, row, m, nil) * float64(len(row)) / float64(len(row)-correction)
						bound := eps * (want + m*m*eps + 1e-30)
						if len(row) == correction {
							if !math.IsNaN(got[i]) {
								t.Fatalf("the sample variance of one number is %v", got[i])
							}
						} else if !(math.Abs(got[i]-want) <= bound) {
							t.Fatalf("%v over %b of %v in %v: variance %d is %v, want %v", typ, c.axes, c.shape, l, i, got[i], want)
						}
					}
				}
				plan := func(typ Type) func(p *Plan, out, in Layout) error {
					return func(p *Plan, out, in Layout) error { return Variance(p, typ, correction, out, in, c.axes) }
				}
				x32, v32 := statisticRun(t, r, c, l, n, func() float32 { return float32(100 + r.NormFloat64()) }, plan(Float32))
				check(Float32, 1e-5, rowsOf(x32, wide32), rowsOf([][]float32{v32}, wide32)[0])
				x64, v64 := statisticRun(t, r, c, l, n, func() float64 { return 100 + r.NormFloat64() }, plan(Float64))
				check(Float64, 1e-13, x64, v64)
				x16, v16 := statisticRun(t, r, c, l, n, func() float16.Float16 { return float16.Fromfloat32(float32(4 * r.NormFloat64())) }, plan(Float16))
				check(Float16, 1e-3, rowsOf(x16, wide16), rowsOf([][]float16.Float16{v16}, wide16)[0])
			}
			xs, got := statisticRun(t, r, c, l, n, func() float32 { return float32(30 * r.NormFloat64()) }, func(p *Plan, out, in Layout) error {
				return LogSumExp(p, Float32, out, in, c.axes)
			})
			for i, row := range rowsOf(xs, wide32) {
				if want := floats.LogSumExp(row); math.Abs(float64(got[i])-want) > 1e-6*(math.Abs(want)+1) {
					t.Fatalf("over %b of %v in %v: log of the sum %d is %v, want %v", c.axes, c.shape, l, i, got[i], want)
				}
			}
		}
	}
}

// How the elements lie does not show in the bits of a log-sum-exp, and hardly in a
// variance, which combines columns in another order than rows.
func TestStatisticForms(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{64, 3000, 20_000} {
		data, turned := make([]float32, 3*n), make([]float32, 3*n)
		for i := range data {
			data[i] = float32(r.NormFloat64())
			turned[i%n*3+i/n] = data[i]
		}
		across := RowMajor(3, n)
		across.Strides = [MaxRank]int{1, 3}
		for _, c := range []struct {
			name    string
			plan    func(p *Plan, in Layout) error
			columns int // launches
			within  float64
		}{
			{"variance", func(p *Plan, in Layout) error { return Variance(p, Float32, 1, RowMajor(3), in, 2) }, 1, 1e-6},
			{"log_sum_exp", func(p *Plan, in Layout) error { return LogSumExp(p, Float32, RowMajor(3), in, 2) }, 3, 0},
		} {
			var along, columns Plan
			a, b := make([]float32, 3), make([]float32, 3)
			if err := c.plan(&along, RowMajor(3, n)); err != nil || len(along.Launches) != 1 {
				t.Fatal(err, along.Launches)
			}
			if err := c.plan(&columns, across); err != nil || len(columns.Launches) != c.columns {
				t.Fatal(err, columns.Launches)
			}
			runPlan(t, &along, a, data, none)
			runPlan(t, &columns, b, turned, none)
			for i := range a {
				if math.Abs(float64(a[i]-b[i])) > c.within*math.Abs(float64(a[i])) {
					t.Errorf("%s of %d: %v along memory, %v across", c.name, n, a, b)
				}
			}
		}
	}
}

// A long row is taken in pieces: wherever its elements lie, they are the same
// pieces, and combining them loses nothing that matters.
func TestVarianceInPieces(t *testing.T) {
	r := newRand(t)
	const rows, columns, gap = 300, 400, 5
	packed, spread := make([]float32, rows*columns), make([]float32, rows*(columns+gap))
	exact := make([]float64, rows*columns)
	for i := range packed {
		packed[i] = float32(1000 + r.NormFloat64() + float64(i/30_000)) // pieces differ in their means
		spread[i/columns*(columns+gap)+i%columns] = packed[i]
		exact[i] = float64(packed[i])
	}
	view := RowMajor(rows, columns)
	view.Strides[0] += gap
	var whole, parts Plan
	a, b := make([]float32, 1), make([]float32, 1)
	if err := Variance(&whole, Float32, 0, RowMajor(), RowMajor(rows, columns), 3); err != nil || len(whole.Launches) != 1 {
		t.Fatal(err, whole.Launches)
	}
	if err := Variance(&parts, Float32, 0, RowMajor(), view, 3); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &whole, a, packed, none)
	runPlan(t, &parts, b, spread, none)
	if a[0] != b[0] {
		t.Errorf("the variance is %v of an array and %v of a view of the same", a[0], b[0])
	}
	if want := stat.PopVariance(exact, nil); math.Abs(float64(a[0])-want) > 1e-6*want {
		t.Errorf("the variance is %v, want %v", a[0], want)
	}
}

// noiseBut returns normal numbers, but x where it says.
func noiseBut(r *rand.Rand, x float64, where func(i int) bool) func(i int) float64 {
	return func(i int) float64 {
		if where(i) {
			return x
		}
		return r.NormFloat64()
	}
}

// What is far from the rest, or from zero, does not spoil the variance of a long row.
func TestVarianceOfHardRows(t *testing.T) {
	r := newRand(t)
	noise := func(int) float64 { return r.NormFloat64() }
	far := func(x float64, where func(i int) bool) func(i int) float64 { return noiseBut(r, x, where) }
	for name, value := range map[string]func(i int) float64{
		"near zero":           noise,
		"at 30000":            func(i int) float64 { return 30000 + r.NormFloat64() },
		"equal":               func(int) float64 { return 0.1 },
		"the first far":       far(1e6, func(i int) bool { return i == 0 }),
		"a thread's first":    far(1e4, func(i int) bool { return i%32768 < 4 }),
		"one run far":         far(-1e5, func(i int) bool { return i/4 == 9000 }),
		"the last far":        far(1e6, func(i int) bool { return i == 70_000 }),
		"a step between them": func(i int) float64 { return r.NormFloat64() + float64(i/8192%2*1000) },
	} {
		for _, n := range []int{32_769, 65_536, 70_001, 1 << 17} {
			data, exact, got := make([]float32, n), make([]float64, n), make([]float32, 1)
			for i := range data {
				data[i] = float32(value(i))
				exact[i] = float64(data[i])
			}
			want := stat.PopVariance(exact, nil)
			for _, steps := range []int{1, 2, 8} { // of a block; only longer rows than these would have several
				var p Plan
				one := newReduction(OpMean, Float32)
				e, in := one.single(Float32, RowMajor(1, n))
				out := RowMajor(1)
				if err := one.setLayouts(e, &out, in, 2); err != nil {
					t.Fatal(err)
				}
				w := rowPlan{kind: rowVariance, t: Float32, n: n, r: one, split: true, piece: steps * splitStep(Float32)}
				if err := w.planRows(&p); err != nil {
					t.Fatal(err)
				}
				one.release()
				runPlan(t, &p, got, data, none)
				if !(math.Abs(float64(got[0])-want) <= 2e-6*want) {
					t.Errorf("%s: the variance of %d numbers is %v, want %v (%d steps)", name, n, got[0], want, steps)
				}
			}
		}
	}
}

// The root of a variance is that of the variance as it was before it was rounded.
func TestStdDev(t *testing.T) {
	r := newRand(t)
	for _, c := range statisticCases {
		l, n := randomLayout(r, false, c.shape...)
		data, out := make([]float32, n), reducedRowMajor(c.shape, c.axes)
		for i := range data {
			data[i] = float32(3 + r.NormFloat64())
		}
		run := func(plan func(p *Plan, t Type, correction int, out, in Layout, axes uint32) error) []float32 {
			got := make([]float32, out.Len())
			var p Plan
			if err := plan(&p, Float32, 0, out, l, c.axes); err != nil {
				t.Fatal(err)
			}
			runPlan(t, &p, got, data, none)
			return got
		}
		variances := run(Variance)
		for i, got := range run(StdDev) {
			if want := float32(math.Sqrt(float64(variances[i]))); got != want {
				t.Fatalf("over %b of %v: %v, want %v", c.axes, c.shape, got, want)
			}
		}
	}
	halves := make([]float16.Float16, 2000)
	for i := range halves {
		halves[i] = float16.Fromfloat32(300 * float32(1-i%2*2)) // the variance is beyond float16
	}
	for _, across := range []int{1, 2} {
		in, got := RowMajor(len(halves)/across, across), make([]float16.Float16, across)
		var p Plan
		if err := StdDev(&p, Float16, 0, RowMajor(across), in, 1); err != nil {
			t.Fatal(err)
		}
		runPlan(t, &p, got, halves, none)
		if want := float32(300 * (2 - across)); got[0].Float32() != want {
			t.Errorf("%d columns: %v, want %v", across, got[0].Float32(), want)
		}
	}
}

func TestLogSumExpSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct {
		in   []float32
		want float32
	}{
		{[]float32{-inf, -inf}, -inf}, {[]float32{1, inf}, inf}, {[]float32{1, nan, inf}, nan}, {[]float32{1000, -inf}, 1000}, {nil, -inf},
	} {
		for _, across := range []int{1, 2} { // a row, or the first of two columns
			xs := make([]float32, across*len(c.in))
			for i, x := range c.in {
				xs[i*across] = x
			}
			in := RowMajor(len(c.in), across)
			got := make([]float32, across)
			var p Plan
			if err := LogSumExp(&p, Float32, RowMajor(across), in, 1); err != nil {
				t.Fatal(err)
			}
			runPlan(t, &p, got, xs, none)
			if !sameBits(got[0], c.want) {
				t.Errorf("the log of the sum of the exponentials of %v is %v, want %v (%d columns)", c.in, got[0], c.want, across)
			}
		}
	}
}

func TestNorms(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{1, 5, 64, 1000, 2048, 4100, 33_000} {
		for _, typ := range []Type{Float32, Float64, BFloat16} {
			for variant := range 6 {
				shape := []int{2, 3, n}
				if n > 5000 {
					shape = []int{2, 1, n}
				}
				in, size := RowMajor(shape...), 0
				if variant%2 == 1 {
					in, _ = randomLayout(r, false, shape...) // equal elements would show the mean's rounding
				}
				_, high := in.Span()
				size = high + 1
				out, length := randomLayout(r, false, shape...)
				scale, _ := randomLayout(r, true, n)
				_, scales := scale.Span()
				weight, bias := &scale, &scale
				if variant >= 2 {
					weight = nil
				}
				if variant >= 4 {
					bias = nil
				}
				data := [][]uint64{filled(r, typ, length), normals(r, typ, size), normals(r, typ, scales+1), normals(r, typ, scales+1)}
				for _, rms := range []bool{false, true} {
					p := Plan{Capability: newRunner(t).cc}
					err := LayerNorm(&p, typ, 1e-5, out, in, in.Rank-1, weight, bias)
					if rms {
						p.Reset()
						err = RMSNorm(&p, typ, 1e-5, out, in, in.Rank-1, weight)
					}
					if err != nil {
						t.Fatal(err)
					}
					if n <= longestRow(typ) && len(p.Launches) != 1 {
						t.Errorf("a row of %d takes %d launches", n, len(p.Launches))
					}
					var buffers [][]byte
					for i, d := range data {
						if i != 2 || weight != nil {
							buffers = append(buffers, packElements(typ, d))
						}
					}
					newRunner(t).run(t, &p, typ, buffers...)
					checkNorm(t, typ, rms, in, out, weight, bias, data, unpackElements(typ, buffers[0]))
				}
			}
		}
	}
}

func normals(r *rand.Rand, t Type, n int) []uint64 {
	xs := make([]uint64, n)
	for i := range xs {
		xs[i] = bitsOf(t, 3+r.NormFloat64())
	}
	return xs
}

// checkNorm compares with the formula in float64.
func checkNorm(t *testing.T, typ Type, rms bool, in, out Layout, weight, bias *Layout, data [][]uint64, got []uint64) {
	t.Helper()
	eps := map[Type]float64{Float32: 2e-5, Float64: 1e-13, BFloat16: 0x1p-7}[typ]
	kept, reduced := splitAxes(in.Rank, 1<<(in.Rank-1))
	results := gather(got, out, kept, reduced)
	for i, row := range gather(data[1], in, kept, reduced) {
		xs := make([]float64, len(row))
		for j, x := range row {
			xs[j] = floatOf(typ, x)
		}
		if !rms {
			floats.AddConst(-stat.Mean(xs, nil), xs)
		}
		root := math.Sqrt(floats.Dot(xs, xs)/float64(len(xs)) + 1e-5)
		for j, x := range xs {
			want := x / root
			if weight != nil {
				want *= floatOf(typ, data[2][weight.Offset+j*weight.Strides[0]])
			}
			if bias != nil && !rms {
				want += floatOf(typ, data[3][bias.Offset+j*bias.Strides[0]])
			}
			if y := floatOf(typ, results[i][j]); math.Abs(y-want) > eps*(math.Abs(want)+10) {
				t.Fatalf("%v rms %v, rows of %d: element %d of row %d is %v, want %v", typ, rms, len(row), j, i, y, want)
			}
		}
	}
}
