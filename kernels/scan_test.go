package kernels

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/x448/float16"
	"gonum.org/v1/gonum/floats"
)

// scanModel is the order of a scan, written as its definition says.
func scanModel[T any](xs []T, combine func(a, b T) T) []T {
	// Each piece is absent, or the combination of its members in some order.
	plus := func(a, b *T) *T {
		if a == nil || b == nil {
			if a == nil {
				return b
			}
			return a
		}
		c := combine(*a, *b)
		return &c
	}
	serial := func(ps []*T) (sum *T) {
		for _, p := range ps {
			sum = plus(sum, p)
		}
		return sum
	}
	pairwise := func(ps []*T) *T {
		for len(ps) > 1 {
			var next []*T
			for i := 0; i < len(ps); i += 2 {
				next = append(next, ps[i])
				if i+1 < len(ps) {
					next[i/2] = plus(ps[i], ps[i+1])
				}
			}
			ps = next
		}
		return serial(ps) // one, or none
	}
	// inclusive Kogge-Stone scan
	lanes := func(ps []*T) []*T {
		ps = append([]*T(nil), ps...)
		for d := 1; d < len(ps); d *= 2 {
			for i := len(ps) - 1; i >= d; i-- {
				ps[i] = plus(ps[i-d], ps[i])
			}
		}
		return ps
	}
	pieces := func(size int, total func(from, to int) *T) (ts []*T) {
		for i := 0; i < len(xs); i += size {
			ts = append(ts, total(i, min(i+size, len(xs))))
		}
		return ts
	}
	run := func(from, to int) (ps []*T) {
		for i := range xs[from:to] {
			ps = append(ps, &xs[from+i])
		}
		return ps
	}
	runs := pieces(scanRun, func(from, to int) *T { return serial(run(from, to)) })
	var through []*T // a segment's runs up to each
	segments := pieces(scanSegment, func(from, to int) *T {
		through = append(through, lanes(runs[from/scanRun:(to+scanRun-1)/scanRun])...)
		return through[len(through)-1]
	})
	stretch := scanSegment * scanRounds
	stretches := pieces(stretch, func(from, to int) *T {
		return serial(segments[from/scanSegment : (to+scanSegment-1)/scanSegment])
	})
	levels := [][]*T{pieces(scanTile, func(from, to int) *T { return serial(stretches[from/stretch : (to+stretch-1)/stretch]) })}
	for last := levels[0]; len(last) >= 32; last = levels[len(levels)-1] {
		var next []*T
		for i := 0; i+32 <= len(last); i += 32 {
			next = append(next, pairwise(last[i:i+32]))
		}
		levels = append(levels, next)
	}
	ys := make([]T, len(xs))
	for i := range xs {
		var sum *T
		index := i / scanTile
		for _, l := range levels {
			sum = plus(pairwise(l[index&^31:index]), sum)
			index /= 32
		}
		before := serial(stretches[i/scanTile*scanWarps : i/stretch])
		within := serial(segments[i/stretch*scanRounds : i/scanSegment])
		var lane *T
		if from := i / scanSegment * 32; i/scanRun > from {
			lane = through[i/scanRun-1]
		}
		base := plus(plus(plus(sum, before), within), lane)
		ys[i] = *plus(base, serial(run(i/scanRun*scanRun, i+1)))
	}
	return ys
}

var scanCases = []softmaxCase{
	{[]int{1}, 0}, {[]int{3}, 0}, {[]int{5, 4}, 1}, {[]int{300, 9}, 1}, {[]int{7, 64}, 1}, {[]int{3, 128}, 1}, {[]int{3, 129}, 1}, {[]int{5, 512}, 1},
	{[]int{2, 513}, 1}, {[]int{2, 1500}, 1}, {[]int{2, 4096}, 1}, {[]int{4097}, 0}, {[]int{3, 9001}, 1}, {[]int{300_000}, 0}, {[]int{2, 140_000}, 1},
	{[]int{9, 5}, 0}, {[]int{3000, 6}, 0}, {[]int{3, 700, 5}, 1}, {[]int{2, 5, 3}, 1}, {[]int{0, 3}, 1}, {[]int{3, 0}, 1},
}

func scanRunCase[T, U any](t *testing.T, r *rand.Rand, op Op, in, out Type, c softmaxCase, value func() T) (xs [][]T, ys [][]U) {
	t.Helper()
	l, n := randomLayout(r, true, c.shape...)
	o, m := randomLayout(r, false, c.shape...)
	if r.IntN(2) == 0 {
		l, o = RowMajor(c.shape...), RowMajor(c.shape...)
		n, m = l.Len(), o.Len()
	}
	data, buf := make([]T, n), make([]U, m)
	for i := range data {
		data[i] = value()
	}
	var p Plan
	if err := Scan(&p, op, in, out, o, l, c.axis); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, buf, data, none)
	kept, order := splitAxes(len(c.shape), 1<<c.axis)
	return gather(data, l, kept, order), gather(buf, o, kept, order)
}

func TestScanOrder(t *testing.T) {
	r := newRand(t)
	for _, c := range scanCases {
		check := func(same bool, i, j int, got, want any) {
			t.Helper()
			if !same {
				t.Fatalf("along axis %d of %v: element %d of row %d is %v, want %v", c.axis, c.shape, j, i, got, want)
			}
		}
		xs, ys := scanRunCase[float32, float32](t, r, OpSum, Float32, Float32, c, func() float32 { return float32(r.NormFloat64()) })
		for i, row := range xs {
			for j, want := range scanModel(row, add[float32]) {
				check(sameBits(ys[i][j], want), i, j, ys[i][j], want)
			}
		}
		x64, y64 := scanRunCase[float64, float64](t, r, OpProd, Float64, Float64, c, func() float64 { return 1 + r.NormFloat64()/1000 })
		for i, row := range x64 {
			plain := floats.CumProd(make([]float64, len(row)), row)
			for j, want := range scanModel(row, func(a, b float64) float64 { return a * b }) {
				check(sameBits(y64[i][j], want) && math.Abs(want-plain[j]) <= 1e-10*math.Abs(want), i, j, y64[i][j], want)
			}
		}
		x8, y8 := scanRunCase[uint8, int64](t, r, OpSum, Uint8, Int64, c, func() uint8 { return uint8(r.Uint32()) })
		for i, row := range x8 {
			sum := int64(0)
			for j, x := range row {
				sum += int64(x)
				check(y8[i][j] == sum, i, j, y8[i][j], sum)
			}
		}
		x16, y16 := scanRunCase[float16.Float16, float16.Float16](t, r, OpSum, Float16, Float16, c, func() float16.Float16 { return float16.Fromfloat32(float32(r.NormFloat64())) })
		for i, row := range x16 {
			wide := make([]float32, len(row))
			for j, x := range row {
				wide[j] = x.Float32()
			}
			for j, sum := range scanModel(wide, add[float32]) {
				want := float16.Fromfloat32(sum)
				check(y16[i][j] == want, i, j, y16[i][j], want)
			}
		}
	}
}

// TestScanPrefetched scans a row that is long enough to be prefetched, the last tile
// not whole.
func TestScanPrefetched(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("17 million elements")
	}
	r := newRand(t)
	xs := make([]int32, scanCached/4+5000)
	for i := range xs {
		xs[i] = int32(r.Uint32())
	}
	var p Plan
	l := RowMajor(len(xs))
	if err := Scan(&p, OpSum, Int32, Int32, l, l, 0); err != nil {
		t.Fatal(err)
	}
	ys, sum := make([]int32, len(xs)), int32(0)
	runPlan(t, &p, ys, xs, none)
	for i, x := range xs {
		if sum += x; ys[i] != sum {
			t.Fatalf("element %d is %d, want %d", i, ys[i], sum)
		}
	}
}

// TestScanOfManyRows scans more rows than a launch may number.
func TestScanOfManyRows(t *testing.T) {
	const many = 1<<32 + 3
	for _, l := range []Layout{RowMajor(many, 2), RowMajor(2, many), RowMajor(3, 1<<30, 1)} {
		var p Plan
		axis, rows := 1, l.Shape[0]
		if l.Shape[1] > 3 {
			axis, rows = l.Rank-2, l.Len()/l.Shape[l.Rank-2]
		}
		if l.Rank == 2 && axis == 0 { // they lie across memory, and are turned around first
			rows = many
		}
		if err := Scan(&p, OpSum, Float16, Float16, l, l, axis); err != nil {
			t.Fatal(err)
		}
		for _, launch := range p.Launches {
			if strings.HasPrefix(launch.Key, "scan ") {
				n := int(launch.Args[3].Bits)
				if n > math.MaxInt32 {
					t.Errorf("%v: a launch of %d rows", l.shape(), n)
				}
				rows -= n
			}
		}
		if rows != 0 {
			t.Errorf("%v: %d rows are left", l.shape(), rows)
		}
	}

	defer func(n int) { mostScanRows = n }(mostScanRows)
	mostScanRows = 20
	r := newRand(t)
	for _, c := range []softmaxCase{{[]int{41, 5}, 1}, {[]int{3, 300, 7}, 1}, {[]int{9, 7, 5}, 2}, {[]int{9, 7, 5}, 0}} {
		xs, ys := scanRunCase[int32, int64](t, r, OpSum, Int32, Int64, c, func() int32 { return int32(r.Uint32()) })
		for i, row := range xs {
			sum := int64(0)
			for j, x := range row {
				if sum += int64(x); ys[i][j] != sum {
					t.Fatalf("along axis %d of %v: element %d of row %d is %d, want %d", c.axis, c.shape, j, i, ys[i][j], sum)
				}
			}
		}
	}
	e := &Expr{}
	e.apply(OpAbs, Float32, e.load(1, Float32, Float32))
	l := RowMajor(21, 5)
	if err := ScanExpr(new(Plan), OpSum, e, Float32, l, []Layout{l}, 1); err != ErrApart {
		t.Errorf("of an expression: %v, want ErrApart", err)
	}
}

func TestScanErrors(t *testing.T) {
	x := RowMajor(4, 5)
	for _, c := range []struct {
		op   Op
		t, u Type
		out  Layout
		axis int
	}{
		{OpMax, Float32, Float32, x, 0}, {OpSum, Float32, Int32, x, 0}, {OpSum, Uint8, Uint8, x, 0}, {OpSum, Float32, Float32, RowMajor(4), 0},
		{OpSum, Float32, Float32, x, 2}, {OpSum, Float32, Float32, x, -1}, {OpSum, Invalid, Float32, x, 0},
	} {
		var p Plan
		if err := Scan(&p, c.op, c.t, c.u, c.out, x, c.axis); err == nil || len(p.Launches) != 0 {
			t.Errorf("%v of %v as %v along %d: no error", c.op, c.t, c.u, c.axis)
		}
	}
}
