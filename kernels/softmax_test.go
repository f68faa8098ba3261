package kernels

import (
	"math"
	"slices"
	"testing"

	"github.com/x448/float16"
	"gonum.org/v1/gonum/floats"
)

// softmaxModel is the definition in float64, for a comparison within rounding.
func softmaxModel(row []float64, log bool) []float64 {
	m := slices.Max(row)
	out := make([]float64, len(row))
	for i, x := range row {
		out[i] = math.Exp(x - m)
	}
	sum := floats.SumCompensated(out)
	for i, x := range row {
		if out[i] = math.Exp(x-m) / sum; log {
			out[i] = x - m - math.Log(sum)
		}
	}
	return out
}

type softmaxCase struct {
	shape []int
	axis  int
}

var softmaxCases = []softmaxCase{
	{[]int{1}, 0}, {[]int{3, 1}, 1}, {[]int{5, 7}, 1}, {[]int{5, 7}, 0}, {[]int{100, 64}, 1}, {[]int{3, 128}, 1}, {[]int{9, 1000}, 1}, {[]int{2, 2048}, 1},
	{[]int{2, 2049}, 1}, {[]int{2, 8192}, 1}, {[]int{2, 30000}, 1}, {[]int{2, 33001}, 1}, {[]int{4, 5, 6}, 1}, {[]int{0, 4}, 1}, {[]int{4, 0}, 1}, {[]int{20000, 2}, 0},
}

// softmaxRun returns the rows of the operand and of the result.
func softmaxRun[T any](t *testing.T, log bool, typ Type, c softmaxCase, in, out Layout, lengths [2]int, value func() T) (xs, ys [][]T) {
	t.Helper()
	data, got := make([]T, lengths[0]), make([]T, lengths[1])
	for i := range data {
		data[i] = value()
	}
	p := Plan{Capability: newRunner(t).cc}
	if err := softmax(&p, log, typ, out, in, c.axis); err != nil {
		t.Fatal(err)
	}
	if want := 1; c.shape[c.axis] <= longestRow(typ) && len(p.Launches) > want {
		t.Errorf("%v takes %d launches", c, len(p.Launches))
	}
	runPlan(t, &p, got, data, none)
	kept, order := splitAxes(len(c.shape), 1<<c.axis)
	return gather(data, in, kept, order), gather(got, out, kept, order)
}

func TestSoftmax(t *testing.T) {
	r := newRand(t)
	for _, c := range softmaxCases {
		for _, log := range []bool{false, true} {
			in, n := randomLayout(r, true, c.shape...)
			out, m := randomLayout(r, false, c.shape...)
			if r.IntN(2) == 0 {
				in, out = RowMajor(c.shape...), RowMajor(c.shape...)
				n, m = in.Len(), in.Len()
			}
			lengths := [2]int{n, m}
			check := func(typ Type, eps, subnormal float64, xs, ys [][]float64) {
				t.Helper()
				for i := range xs {
					if len(xs[i]) == 0 {
						continue
					}
					m := slices.Max(xs[i])
					for j, want := range softmaxModel(xs[i], log) {
						// Rounding x − m is an error of exp's argument.
						bound := eps * (8 + 2*(m-xs[i][j]))
						if !log {
							bound *= want
						}
						if diff := math.Abs(ys[i][j] - want); diff > bound+subnormal {
							t.Fatalf("%v log %v %+v: row %d element %d is %v, want %v", typ, log, c, i, j, ys[i][j], want)
						}
					}
				}
			}
			x32, y32 := softmaxRun(t, log, Float32, c, in, out, lengths, func() float32 { return float32(5 * r.NormFloat64()) })
			check(Float32, 0x1p-24, 0, rowsOf(x32, wide32), rowsOf(y32, wide32))
			x64, y64 := softmaxRun(t, log, Float64, c, in, out, lengths, func() float64 { return 5 * r.NormFloat64() })
			check(Float64, 0x1p-52, 0, x64, y64)
			x16, y16 := softmaxRun(t, log, Float16, c, in, out, lengths, func() float16.Float16 { return float16.Fromfloat32(float32(2 * r.NormFloat64())) })
			if !log {
				check(Float16, 0x1p-13, 0x1p-25, rowsOf(x16, wide16), rowsOf(y16, wide16))
			}
		}
	}
}

func wide32(x float32) float64         { return float64(x) }
func wide16(x float16.Float16) float64 { return float64(x.Float32()) }

func rowsOf[T any](rows [][]T, f func(T) float64) [][]float64 {
	out := make([][]float64, len(rows))
	for i, row := range rows {
		for _, x := range row {
			out[i] = append(out[i], f(x))
		}
	}
	return out
}

// Rows too long for registers give the bits that the same operations give
// within a kernel, and layouts do not matter.
func TestSoftmaxForms(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{50, 5000} {
		data := make([]float32, 3*n)
		for i := range data {
			data[i] = float32(r.NormFloat64() * []float64{1, 10, 30}[i/n]) // exponentials become subnormal, or 0
		}
		layout := RowMajor(3, n)
		var short, long Plan
		if err := Softmax(&short, Float32, layout, layout, 1); err != nil {
			t.Fatal(err)
		}
		s := &rowPlan{t: Float32, n: n}
		if err := s.planLong(&long, layout, layout, 1); err != nil {
			t.Fatal(err)
		}
		a, b := make([]float32, 3*n), make([]float32, 3*n)
		runPlan(t, &short, a, data, none)
		runPlan(t, &long, b, data, none)
		for i := range a {
			if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
				t.Fatalf("rows of %d: element %d is %v in one kernel, %v in several", n, i, a[i], b[i])
			}
		}
	}
}

func TestSoftmaxSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range []struct{ in, want []float32 }{
		{[]float32{-inf, 0, -inf}, []float32{0, 1, 0}},
		{[]float32{1, inf, 0}, []float32{0, nan, 0}},
		{[]float32{1, nan, 0}, []float32{nan, nan, nan}},
		{[]float32{-inf, -inf, -inf}, []float32{nan, nan, nan}},
		{[]float32{3e38, 3e38, -3e38}, []float32{0.5, 0.5, 0}},
	} {
		var p Plan
		if err := Softmax(&p, Float32, RowMajor(3), RowMajor(3), 0); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 3)
		runPlan(t, &p, got, c.in, none)
		for i := range got {
			if c.in[1] == inf { // the sum is NaN
				c.want = []float32{nan, nan, nan}
			}
			if !sameBits(got[i], c.want[i]) {
				t.Errorf("softmax of %v is %v, want %v", c.in, got, c.want)
				break
			}
		}
	}
}

// Of float16 and bfloat16, whose exponentials have code of their own, every
// target gives the same, which is the formula rounded once, or nearly.
func TestSoftmaxNarrow(t *testing.T) {
	old, err := simulatedRunner(75)
	if err != nil {
		t.Fatal(err)
	}
	r, inf := newRand(t), math.Inf(1)
	rows := [][]float64{{-inf, 0, -inf}, {1, inf, 0}, {1, math.NaN(), 0}, {-inf, -inf, -inf}, {3e4, 3e4, -3e4}, {0, -80, -120}, {5}}
	for _, n := range []int{64, 1000, 2048, 5001} {
		row := make([]float64, n)
		for i := range row {
			row[i] = 4 * r.NormFloat64()
		}
		rows = append(rows, row)
	}
	for _, typ := range []Type{Float16, BFloat16} {
		unit := map[Type]float64{Float16: 0x1p-11, BFloat16: 0x1p-8}[typ]
		for _, row := range rows {
			in := elements(typ, row)
			for i := range row {
				row[i] = floatOf(typ, in[i])
			}
			for _, log := range []bool{false, true} {
				var p Plan
				l := RowMajor(len(row))
				if err := softmax(&p, log, typ, l, l, 0); err != nil {
					t.Fatal(err)
				}
				var results [2][]uint64
				for i, on := range []*planRunner{newRunner(t), old} {
					buffers := [][]byte{packElements(typ, in), packElements(typ, in)}
					on.run(t, &p, typ, buffers...)
					results[i] = unpackElements(typ, buffers[0])
				}
				for i, want := range softmaxModel(row, log) {
					got, other := floatOf(typ, results[0][i]), floatOf(typ, results[1][i])
					if sum := floats.Sum(row); math.IsNaN(sum) || math.IsInf(sum, 1) { // as a maximum that is no number makes all
						want = math.NaN()
					}
					bound := unit*1.01*math.Abs(want) + 0x1p-25
					if typ == BFloat16 && !log {
						bound = unit*1.01*want + 0x1p-134
					}
					if got != other && (got == got || other == other) {
						t.Errorf("%v log %v of %d: element %d is %v, and %v for compute capability 7.5", typ, log, len(row), i, got, other)
					}
					if (got != got) != (want != want) || math.Abs(got-want) > bound {
						t.Fatalf("%v log %v of %d: element %d is %v, want %v", typ, log, len(row), i, got, want)
					}
				}
			}
		}
	}
}

// Rows of float16 and bfloat16 that are too long for one block are multiplied by the sum's
// inverse too, on every target. The row is zeros, elements that vanish in their sum, and
// −Inf, so that the sum is exact; and one of those vanishing tells a product from a quotient.
func TestSoftmaxNarrowLong(t *testing.T) {
	const typ, n = BFloat16, 33001
	if n <= longestRow(typ) {
		t.Fatal("the row is not long")
	}
	var small []float64
	for x := -80.0; x <= -17; x += 0.125 {
		small = append(small, x)
	}
	for i, x := range elements(typ, small) {
		small[i] = floatOf(typ, x)
	}
	exps := make([]float32, len(small))
	for i, x := range small {
		exps[i] = float32(x)
	}
	var p Plan
	e := &Expr{}
	e.apply(OpExp, Float32, e.load(1, Float32, Float32))
	if err := Elementwise(&p, e, RowMajor(len(exps)), []Layout{RowMajor(len(exps))}); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, exps, slices.Clone(exps), none)
	rounded := func(x float32) uint64 { return elements(typ, []float64{float64(x)})[0] }
	zeros, telling := 0, -1
	for telling < 0 {
		if zeros++; zeros > n-len(small) {
			t.Fatal("no sum tells a product from a quotient")
		}
		sum := float32(zeros)
		telling = slices.IndexFunc(exps, func(x float32) bool { return rounded(x*(1/sum)) != rounded(x/sum) })
	}
	row := append(append(make([]float64, zeros), small...), slices.Repeat([]float64{math.Inf(-1)}, n-zeros-len(small))...)
	all := append(append(slices.Repeat([]float32{1}, zeros), exps...), make([]float32, n-zeros-len(small))...)
	for _, cc := range []int{75, 90} {
		on, err := simulatedRunner(cc)
		if err != nil {
			t.Fatal(err)
		}
		p := Plan{Capability: cc}
		if err := Softmax(&p, typ, RowMajor(n), RowMajor(n), 0); err != nil {
			t.Fatal(err)
		}
		buffers := [][]byte{make([]byte, 2*n), packElements(typ, elements(typ, row))}
		on.run(t, &p, typ, buffers...)
		for i, got := range unpackElements(typ, buffers[0]) {
			if want := rounded(all[i] * (1 / float32(zeros))); got != want {
				t.Fatalf("compute capability %d, %d launches: with %d zeros, element %d (%v) is %v, want %v", cc, len(p.Launches), zeros, i, row[i], floatOf(typ, got), floatOf(typ, want))
			}
		}
	}
}

func TestSoftmaxErrors(t *testing.T) {
	var p Plan
	if Softmax(&p, Int32, RowMajor(3), RowMajor(3), 0) == nil || Softmax(&p, Float32, RowMajor(4), RowMajor(3), 0) == nil ||
		Softmax(&p, Float32, RowMajor(3), RowMajor(3), 1) == nil || Softmax(&p, Float32, RowMajor(3), RowMajor(3), -1) == nil {
		t.Error("no error")
	}
}
