package kernels

import (
	"cmp"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/x448/float16"
	"gonum.org/v1/gonum/floats"
)

// reduceModel is the order of a reduction, written as its definition says.
func reduceModel[T any](xs []T, combine func(a, b T) T) T {
	slots := make([]*T, (len(xs)+reduceChunk-1)/reduceChunk*reduceSlots)
	for i := range xs {
		s := i/reduceChunk*reduceSlots + i%reduceSlots
		if slots[s] == nil {
			slots[s] = new(T)
			*slots[s] = xs[i]
		} else {
			*slots[s] = combine(*slots[s], xs[i])
		}
	}
	for len(slots) > 1 {
		var next []*T
		for i := 0; i < len(slots); i += 2 {
			a := slots[i]
			if i+1 < len(slots) && slots[i+1] != nil {
				c := combine(*a, *slots[i+1])
				a = &c
			}
			next = append(next, a)
		}
		slots = next
	}
	return *slots[0]
}

func TestReduceModel(t *testing.T) {
	xs := make([]string, 2051)
	for i := range xs {
		xs[i] = fmt.Sprint(i)
	}
	join := func(a, b string) string { return "(" + a + " " + b + ")" }
	if got := reduceModel(xs[:5], join); got != "(((0 1) (2 3)) 4)" {
		t.Error(got)
	}
	got := reduceModel(xs, join)
	if want := strings.Repeat("(", 11) + "(0 2048) (1 2049)) ((2 2050) 3)) "; !strings.HasPrefix(got, want) {
		t.Error(got[:80], "want", want)
	}
}

// memoryOrder returns the reduced axes in the order of a reduction.
func memoryOrder(l Layout, axes []int) []int {
	order := slices.Clone(axes)
	var places []int
	var moving []int
	for i, a := range axes {
		if l.Strides[a] != 0 && l.Shape[a] != 1 {
			places, moving = append(places, i), append(moving, a)
		}
	}
	slices.SortStableFunc(moving, func(a, b int) int {
		return cmp.Compare(magnitude(l.Strides[b]), magnitude(l.Strides[a]))
	})
	for i, p := range places {
		order[p] = moving[i]
	}
	return order
}

// gather returns, for each result in row-major order of the kept axes, its
// elements in the order given.
func gather[T any](data []T, l Layout, kept, order []int) [][]T {
	pick := func(axes []int) Layout {
		p := Layout{Rank: len(axes)}
		for i, a := range axes {
			p.Shape[i], p.Strides[i] = l.Shape[a], l.Strides[a]
		}
		return p
	}
	k, r := pick(kept), pick(order)
	k.Offset = l.Offset
	var rows [][]T
	k.each(func(at int) {
		var row []T
		r.Offset = at
		r.each(func(at int) { row = append(row, data[at]) })
		rows = append(rows, row)
	})
	return rows
}

func splitAxes(rank int, mask uint32) (kept, reduced []int) {
	for i := range rank {
		if mask>>i&1 != 0 {
			reduced = append(reduced, i)
		} else {
			kept = append(kept, i)
		}
	}
	return kept, reduced
}

type reduceCase struct {
	shape []int
	axes  uint32
}

// Shapes for every form and path: one pass, chunk, split, finishing passes,
// columns of all widths, middle axes, several axes.
var reduceCases = []reduceCase{
	{[]int{1}, 1}, {[]int{7}, 1}, {[]int{}, 0}, {[]int{5}, 0}, {[]int{2048}, 1}, {[]int{2049}, 1}, {[]int{4097}, 1},
	{[]int{32768}, 1}, {[]int{40000}, 1}, {[]int{300001}, 1},
	{[]int{3, 5}, 2}, {[]int{100, 64}, 2}, {[]int{9, 130}, 2}, {[]int{5, 2047}, 2}, {[]int{3, 5000}, 2}, {[]int{2, 33000}, 2},
	{[]int{5, 3}, 1}, {[]int{64, 100}, 1}, {[]int{130, 9}, 1}, {[]int{2047, 5}, 1}, {[]int{5000, 3}, 1}, {[]int{33000, 2}, 1}, {[]int{3000, 64}, 1}, {[]int{2100, 128}, 1},
	{[]int{7, 5, 11}, 2}, {[]int{3, 100, 64}, 2}, {[]int{64, 2, 3}, 2}, {[]int{4, 2100, 8}, 2},
	{[]int{7, 5, 11}, 5}, {[]int{6, 4, 16}, 5}, {[]int{6, 40, 16}, 3}, {[]int{6, 40, 16}, 6}, {[]int{30, 4, 20, 8}, 5}, {[]int{3, 4, 5, 6}, 10}, {[]int{2, 3, 2, 3}, 15},
}

// reduceRun reduces random data over random layouts and returns the rows of
// elements and the results.
func reduceRun[T, U any](t *testing.T, r *rand.Rand, op Op, in, out Type, c reduceCase, value func() T) (rows [][]T, got []U) {
	t.Helper()
	l, n := randomLayout(r, true, c.shape...)
	data := make([]T, n)
	for i := range data {
		data[i] = value()
	}
	kept, reduced := splitAxes(len(c.shape), c.axes)
	var shape []int
	for _, a := range kept {
		shape = append(shape, c.shape[a])
	}
	o, m := randomLayout(r, false, shape...)
	buf := make([]U, m)
	var p Plan
	if err := ReduceAs(&p, op, in, out, o, l, c.axes); err != nil {
		t.Fatal(err)
	}
	if len(p.Launches) > 1 {
		t.Errorf("%v over %b of %v takes %d launches", op, c.axes, c.shape, len(p.Launches))
	}
	runPlan(t, &p, buf, data, none)
	o.each(func(at int) { got = append(got, buf[at]) })
	order := memoryOrder(l, reduced)
	if isArg(op) {
		order = reduced
	}
	return gather(data, l, kept, order), got
}

// oneCase runs a case and compares each result with the model, by sameBits.
func oneCase[T, U any](t *testing.T, r *rand.Rand, op Op, in, out Type, c reduceCase, value func() T, model func([]T) U) {
	t.Helper()
	rows, got := reduceRun[T, U](t, r, op, in, out, c, value)
	for i, row := range rows {
		if want := model(row); fmt.Sprint(got[i]) != fmt.Sprint(want) || !sameBits(got[i], want) {
			t.Fatalf("%v of %v as %v over %b of %v: result %d is %v, want %v", op, in, out, c.axes, c.shape, i, got[i], want)
		}
	}
}

// sameBits compares floats bit by bit, but for NaNs, and others with ==.
func sameBits(a, b any) bool {
	switch a := a.(type) {
	case float32:
		b := b.(float32)
		return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
	case float64:
		b := b.(float64)
		return math.Float64bits(a) == math.Float64bits(b) || a != a && b != b
	}
	return a == b
}

func add[T float32 | float64 | int32 | int64](a, b T) T { return a + b }

func TestSumOrder(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		f32 := func() float32 { return float32(r.NormFloat64()) }
		oneCase(t, r, OpSum, Float32, Float32, c, f32, func(row []float32) float32 { return reduceModel(row, add[float32]) })
		f64 := func() float64 { return r.NormFloat64() }
		oneCase(t, r, OpSum, Float64, Float64, c, f64, func(row []float64) float64 { return reduceModel(row, add[float64]) })
		oneCase(t, r, OpSum, Float32, Float64, c, f32, func(row []float32) float64 {
			wide := make([]float64, len(row))
			for i, x := range row {
				wide[i] = float64(x)
			}
			return reduceModel(wide, add[float64])
		})
		half := func() float16.Float16 { return float16.Fromfloat32(float32(r.NormFloat64())) }
		oneCase(t, r, OpSum, Float16, Float16, c, half, func(row []float16.Float16) float16.Float16 {
			wide := make([]float32, len(row))
			for i, x := range row {
				wide[i] = x.Float32()
			}
			return float16.Fromfloat32(reduceModel(wide, add[float32]))
		})
	}
}

// The order does not depend on the plan's geometry; the error stays that of a
// pairwise sum.
func TestSumError(t *testing.T) {
	r := newRand(t)
	xs := make([]float32, 1<<17+5)
	wide := make([]float64, len(xs))
	for i := range xs {
		xs[i] = r.Float32()
		wide[i] = float64(xs[i])
	}
	out := make([]float32, 1)
	var p Plan
	if err := Reduce(&p, OpSum, Float32, RowMajor(), RowMajor(len(xs)), 1); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, out, xs, none)
	exact := floats.SumCompensated(wide)
	// On every path there are 15 serial additions and log₂ of the slots more.
	bound := exact * float64(15+bits.Len(uint(len(xs)/16))) * 0x1p-24
	if diff := math.Abs(float64(out[0]) - exact); diff > bound {
		t.Errorf("sum of %d is %v, %v away; bound %v", len(xs), out[0], diff, bound)
	}
}

func TestIntegerReductions(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		i32 := func() int32 { return int32(r.Uint32()) }
		i64 := func() int64 { return int64(r.Uint64()) }
		u8 := func() uint8 { return uint8(r.Uint32()) }
		i8 := func() int8 { return int8(r.Uint32()) }
		oneCase(t, r, OpSum, Int32, Int32, c, i32, func(row []int32) int32 { return reduceModel(row, add[int32]) })
		oneCase(t, r, OpSum, Int64, Int64, c, i64, func(row []int64) int64 { return reduceModel(row, add[int64]) })
		oneCase(t, r, OpProd, Int64, Int64, c, i64, func(row []int64) int64 {
			return reduceModel(row, func(a, b int64) int64 { return a * b })
		})
		oneCase(t, r, OpSum, Uint8, Int64, c, u8, func(row []uint8) (s int64) {
			for _, x := range row {
				s += int64(x)
			}
			return s
		})
		oneCase(t, r, OpSum, Int8, Int64, c, i8, func(row []int8) (s int64) {
			for _, x := range row {
				s += int64(x)
			}
			return s
		})
		oneCase(t, r, OpMax, Uint8, Uint8, c, u8, func(row []uint8) uint8 { return slices.Max(row) })
		oneCase(t, r, OpMin, Int8, Int8, c, i8, func(row []int8) int8 { return slices.Min(row) })
		oneCase(t, r, OpMin, Int32, Int32, c, i32, func(row []int32) int32 { return slices.Min(row) })
		oneCase(t, r, OpMax, Int64, Int64, c, i64, func(row []int64) int64 { return slices.Max(row) })
		few := func() int32 { return int32(r.IntN(5)) }
		if !argCase(c) {
			continue
		}
		oneCase(t, r, OpArgMax, Int32, Int64, c, few, func(row []int32) int64 { return int64(slices.Index(row, slices.Max(row))) })
		oneCase(t, r, OpArgMin, Uint8, Int64, c, u8, func(row []uint8) int64 { return int64(slices.Index(row, slices.Min(row))) })
	}
}

// special draws from few values, so that ties, infinities, zeros of both signs
// and NaNs meet.
func special(r *rand.Rand, nan bool) float32 {
	values := []float32{0, float32(math.Copysign(0, -1)), 1, -1, 2, -2, float32(math.Inf(1)), float32(math.Inf(-1)), 3e-45}
	if nan && r.IntN(50) == 0 {
		return float32(math.NaN())
	}
	return values[r.IntN(len(values))]
}

func TestExtremes(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		for _, nan := range []bool{false, true} {
			value := func() float32 { return special(r, nan) }
			oneCase(t, r, OpMax, Float32, Float32, c, value, func(row []float32) float32 {
				return reduceModel(row, func(a, b float32) float32 { return max(a, b) })
			})
			oneCase(t, r, OpMin, Float64, Float64, c, func() float64 { return float64(value()) }, func(row []float64) float64 {
				return reduceModel(row, func(a, b float64) float64 { return min(a, b) })
			})
			if !argCase(c) {
				continue
			}
			oneCase(t, r, OpArgMax, Float32, Int64, c, value, func(row []float32) int64 { return argBest(row, 1) })
			oneCase(t, r, OpArgMin, Float64, Int64, c, func() float64 { return float64(value()) }, func(row []float64) int64 { return argBest(row, -1) })
		}
		oneCase(t, r, OpAny, Float32, Bool, c, func() float32 { return float32(r.IntN(20) / 19) }, func(row []float32) bool {
			return slices.ContainsFunc(row, func(x float32) bool { return x != 0 })
		})
		oneCase(t, r, OpAll, Bool, Bool, c, func() bool { return r.IntN(20) != 0 }, func(row []bool) bool { return !slices.Contains(row, false) })
	}
}

// argCase says whether a case is over one axis or over all.
func argCase(c reduceCase) bool {
	n := bits.OnesCount32(c.axes)
	return n == 1 || n == len(c.shape)
}

// argBest is the position of the first NaN, else of the first largest (sign 1)
// or smallest (−1) element.
func argBest[T float32 | float64](row []T, sign T) int64 {
	best := 0
	for i, x := range row {
		if x != x {
			return int64(i)
		}
		if sign*x > sign*row[best] {
			best = i
		}
	}
	return int64(best)
}

func TestMeanAndProduct(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		f32 := func() float32 { return float32(r.NormFloat64()) }
		oneCase(t, r, OpMean, Float32, Float32, c, f32, func(row []float32) float32 {
			return reduceModel(row, add[float32]) / float32(len(row))
		})
		oneCase(t, r, OpMean, Uint8, Float64, c, func() uint8 { return uint8(r.Uint32()) }, func(row []uint8) float64 {
			s := 0.0
			for _, x := range row {
				s += float64(x)
			}
			return s / float64(len(row))
		})
		oneCase(t, r, OpProd, Float64, Float64, c, func() float64 { return 1 + r.NormFloat64()/1000 }, func(row []float64) float64 {
			return reduceModel(row, func(a, b float64) float64 { return a * b })
		})
	}
}

func TestReduceNegativeZero(t *testing.T) {
	xs := make([]float32, 77)
	for i := range xs {
		xs[i] = float32(math.Copysign(0, -1))
	}
	out := make([]float32, 1)
	var p Plan
	if err := Reduce(&p, OpSum, Float32, RowMajor(), RowMajor(len(xs)), 1); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, out, xs, none)
	if math.Float32bits(out[0]) != 1<<31 {
		t.Errorf("the sum of −0s is %x", math.Float32bits(out[0]))
	}
}

func TestReduceEmpty(t *testing.T) {
	for _, c := range []struct {
		op   Op
		want float32
	}{{OpSum, 0}, {OpProd, 1}, {OpMean, float32(math.NaN())}} {
		var p Plan
		if err := Reduce(&p, c.op, Float32, RowMajor(3), RowMajor(3, 0), 2); err != nil {
			t.Fatal(err)
		}
		out := []float32{9, 9, 9}
		runPlan(t, &p, out, none, none)
		for _, x := range out {
			if !sameBits(x, c.want) {
				t.Errorf("%v of nothing is %v", c.op, out)
			}
		}
	}
	var p Plan
	if err := Reduce(&p, OpSum, Float32, RowMajor(0), RowMajor(0, 5), 2); err != nil || len(p.Launches) != 0 {
		t.Error(err, p.Launches)
	}
	for _, op := range []Op{OpMax, OpMin, OpArgMax, OpArgMin} {
		if err := Reduce(&p, op, Float32, RowMajor(3), RowMajor(3, 0), 2); err == nil || len(p.Launches) != 0 {
			t.Errorf("%v of nothing: %v", op, err)
		}
	}
}

func TestReduceErrors(t *testing.T) {
	var p Plan
	for _, c := range []struct {
		op      Op
		t       Type
		out, in Layout
		axes    uint32
	}{
		{OpSum, Bool, RowMajor(), RowMajor(4), 1}, {OpSum, Uint8, RowMajor(), RowMajor(4), 1}, {OpMean, Int32, RowMajor(), RowMajor(4), 1},
		{OpMax, Bool, RowMajor(), RowMajor(4), 1}, {OpAdd, Float32, RowMajor(), RowMajor(4), 1}, {OpSum, Invalid, RowMajor(), RowMajor(4), 1},
		{OpSum, Float32, RowMajor(), RowMajor(4), 2}, {OpSum, Float32, RowMajor(3), RowMajor(4, 5), 1}, {OpArgMax, Float32, RowMajor(4), RowMajor(4, 5, 6), 6},
	} {
		if err := Reduce(&p, c.op, c.t, c.out, c.in, c.axes); err == nil {
			t.Errorf("%v of %v over %b: no error", c.op, c.t, c.axes)
		}
	}
}

func oneLoad(t Type) *Expr { return &Expr{[]Node{{Kind: Load, Type: t, Operand: 1}}} }

// What needs 64-bit positions does the same with them.
func TestReduceWide(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		for _, op := range []Op{OpSum, OpArgMin} {
			in, out := RowMajor(c.shape...), reducedRowMajor(c.shape, c.axes)
			if isArg(op) && !argCase(c) {
				continue
			}
			data := make([]float64, in.Len())
			for i := range data {
				data[i] = math.Round(r.NormFloat64() * 8)
			}
			var results [2][]uint64
			for i := range results {
				w := newReduction(op, reduceResult(op, Float64))
				if err := w.setLayouts(oneLoad(Float64), &out, []Layout{in}, c.axes); err != nil {
					t.Fatal(err)
				}
				w.wide = i == 1
				var p Plan
				if err := w.plan(&p, &out); err != nil {
					t.Fatal(err)
				}
				results[i] = make([]uint64, out.Len())
				runPlan(t, &p, results[i], data, none)
			}
			if !slices.Equal(results[0], results[1]) {
				t.Fatalf("%v over %b of %v: %x with 64-bit positions, %x without", op, c.axes, c.shape, results[1], results[0])
			}
		}
	}
}

// More partial results than the last block's threads take at once are combined
// in passes first.
func TestReducePasses(t *testing.T) {
	r := newRand(t)
	xs := make([]float32, 128*reduceChunk+5)
	for i := range xs {
		xs[i] = float32(r.NormFloat64())
	}
	w, out := newReduction(OpSum, Float32), RowMajor()
	if err := w.setLayouts(oneLoad(Float32), &out, []Layout{RowMajor(len(xs))}, 1); err != nil {
		t.Fatal(err)
	}
	w.forms = []form{noForm, contiguous, noForm}
	k := &rowsKernel{source: w.source, op: OpSum, in: Float32, out: Float32, form: rowsSplit, run: 4, access: 16, lanes: 32, threads: 32, red: 1}
	s := newSplit(129*reduceSlots/(4*32), partialFan)
	var p Plan
	w.launchRows(&p, k, s)
	got := make([]float32, 1)
	runPlan(t, &p, got, xs, none)
	if want := reduceModel(xs, add[float32]); !sameBits(got[0], want) {
		t.Errorf("the sum is %v, want %v", got[0], want)
	}
}

// A kernel is determined by its key.
func TestReduceKeys(t *testing.T) {
	keys := map[string]bool{}
	for _, c := range reduceCases {
		for _, typ := range []Type{Float32, Float64, Uint8} {
			kept, _ := splitAxes(len(c.shape), c.axes)
			var shape []int
			for _, a := range kept {
				shape = append(shape, c.shape[a])
			}
			var p Plan
			if err := ReduceAs(&p, OpSum, typ, Float64, RowMajor(shape...), RowMajor(c.shape...), c.axes); err != nil {
				t.Fatal(err)
			}
			for _, l := range p.Launches {
				keys[l.Key] = true
			}
		}
	}
	var sorted []string
	for k := range keys {
		sorted = append(sorted, k)
	}
	sort.Strings(sorted)
	for _, key := range sorted {
		if k, err := parseRowsKernel(key); err == nil && k.key() != key {
			t.Errorf("%q reads as %q", key, k.key())
		}
		if k, err := parseColumnsKernel(key); err == nil && k.key() != key {
			t.Errorf("%q reads as %q", key, k.key())
		}
	}
}

// Every embedded reduction runs, over ones.
func TestEmbeddedReductions(t *testing.T) {
	for _, r := range embeddedReductions {
		for _, typ := range r.types {
			switch typ {
			case Float32:
				embeddedOnes[float32](t, r.op, typ)
			case Float64:
				embeddedOnes[float64](t, r.op, typ)
			case Int32:
				embeddedOnes[int32](t, r.op, typ)
			case Int64:
				embeddedOnes[int64](t, r.op, typ)
			case Bool:
				embeddedOnes[uint8](t, r.op, typ)
			default:
				t.Errorf("no test for %v", typ)
			}
		}
	}
}

func embeddedOnes[T uint8 | int32 | int64 | float32 | float64](t *testing.T, op Op, typ Type) {
	for _, s := range embeddedShapes {
		in, out := RowMajor(s.shape...), reducedRowMajor(s.shape, s.axes)
		data := make([]T, in.Len())
		for i := range data {
			data[i] = 1
		}
		var p Plan
		if err := Reduce(&p, op, typ, out, in, s.axes); err != nil {
			t.Fatal(err)
		}
		want := 1
		switch op {
		case OpSum:
			want = in.Len() / out.Len()
		case OpArgMax, OpArgMin:
			want = 0
		}
		if isArg(op) {
			got := make([]int64, out.Len())
			runPlan(t, &p, got, data, none)
			allAre(t, op, typ, s.shape, got, int64(want))
		} else {
			got := make([]T, out.Len())
			runPlan(t, &p, got, data, none)
			allAre(t, op, typ, s.shape, got, T(want))
		}
	}
}

func allAre[T comparable](t *testing.T, op Op, typ Type, shape []int, got []T, want T) {
	t.Helper()
	for i, g := range got {
		if g != want {
			t.Fatalf("%v of %v ones, %v: result %d is %v, want %v", op, shape, typ, i, g, want)
		}
	}
}
