package kernels

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat"
)

// moments is a partial of a variance, as combineMoments says.
type moments struct{ squares, mean, low, count float64 }

func (p moments) combine(q moments) moments {
	if p.count == 0 {
		p.mean, p.low = q.mean, q.low
	}
	count := p.count + q.count
	share := q.count / max(count, 1)
	d := (q.mean - p.mean) + (q.low - p.low)
	if q.count == 0 {
		d = 0
	}
	between := float64(d*d) * float64(p.count*share)
	shift := math.FMA(d, share, p.low)
	mean := p.mean + shift
	return moments{float64(p.squares+q.squares) + between, mean, float64(p.mean-mean) + shift, count}
}

// momentsModel is the variance of a column by its definition: slots, whose elements are
// counted from the first, combined as a reduction's.
func momentsModel(xs []float64) float64 {
	slots := make([]moments, (len(xs)+reduceChunk-1)/reduceChunk*reduceSlots)
	for i := range slots {
		first := i/reduceSlots*reduceChunk + i%reduceSlots
		if first >= len(xs) {
			continue
		}
		var sum, squares, count float64
		for at := first; at < len(xs) && at < i/reduceSlots*reduceChunk+reduceChunk; at += reduceSlots {
			d := xs[at] - xs[first]
			sum += d
			squares = math.FMA(d, d, squares)
			count++
		}
		shift := sum / count
		mean := xs[first] + shift
		slots[i] = moments{math.FMA(-shift, sum, squares), mean, float64(xs[first]-mean) + shift, count}
	}
	for len(slots) > 1 {
		var next []moments
		for i := 0; i < len(slots); i += 2 {
			m := slots[i]
			if i+1 < len(slots) && slots[i+1].count > 0 {
				m = m.combine(slots[i+1])
			}
			next = append(next, m)
		}
		slots = next
	}
	return slots[0].squares / float64(len(xs))
}

// TestColumnVariance: the variance of columns has its definition's bits, in every
// geometry, and takes one launch.
func TestColumnVariance(t *testing.T) {
	r := newRand(t)
	for _, shape := range [][3]int{{1, 2, 600}, {1, 3, 300}, {1, 64, 5}, {2, 64, 40}, {1, 2048, 3}, {1, 2049, 4}, {1, 5000, 2}, {1, 5000, 37}, {3, 3000, 8}, {1, 40_000, 3}, {2, 33_000, 2}, {1, 2100, 128}} {
		outer, n, columns := shape[0], shape[1], shape[2]
		for _, gap := range []int{0, 3} {
			in := RowMajor(outer, n, columns)
			in.Strides[0], in.Strides[1], in.Offset = n*(columns+gap), columns+gap, gap
			data := make([]float64, outer*n*(columns+gap)+gap)
			scale := []float64{1, 1e-3, 1e5}[r.IntN(3)]
			for i := range data {
				data[i] = 100 + scale*r.NormFloat64()
			}
			var p Plan
			got := make([]float64, outer*columns)
			if err := Variance(&p, Float64, 0, RowMajor(outer, columns), in, 2); err != nil || len(p.Launches) != 1 {
				t.Fatal(shape, err, p.Launches)
			}
			checkReductionKey(t, p.Launches[0].Key)
			runPlan(t, &p, got, data, none)
			for i, v := range got {
				column := make([]float64, n)
				for j := range column {
					column[j] = data[in.Offset+i/columns*in.Strides[0]+j*in.Strides[1]+i%columns]
				}
				if want := momentsModel(column); v != want {
					t.Fatalf("%v, gap %d, %s: the variance of column %d is %v, want %v", shape, gap, p.Launches[0].Key, i, v, want)
				}
				if exact := stat.PopVariance(column, nil); !(math.Abs(v-exact) <= 1e-12*exact) {
					t.Fatalf("%v: the variance of column %d is %v, want %v", shape, i, v, exact)
				}
			}
		}
	}
}

// What is far from the rest, or from zero, does not spoil the variance of a column.
func TestVarianceOfHardColumns(t *testing.T) {
	r := newRand(t)
	const n, columns = 5000, 4
	far := func(x float64, where func(i int) bool) func(i int) float64 { return noiseBut(r, x, where) }
	for name, value := range map[string]func(i int) float64{
		"at 30000":               func(int) float64 { return 30000 + r.NormFloat64() },
		"equal":                  func(int) float64 { return 0.1 },
		"the first far":          far(1e6, func(i int) bool { return i == 0 }),
		"all first of slots far": far(1e5, func(i int) bool { return i < reduceSlots }),
		"the last far":           far(1e6, func(i int) bool { return i == n-1 }),
		"steps":                  func(i int) float64 { return r.NormFloat64() + float64(i/1000*1000) },
	} {
		data, got := make([]float32, n*columns), make([]float32, columns)
		for i := range data {
			data[i] = float32(value(i / columns))
		}
		var p Plan
		if err := StdDev(&p, Float32, 1, RowMajor(columns), RowMajor(n, columns), 1); err != nil || len(p.Launches) != 1 {
			t.Fatal(err, p.Launches)
		}
		runPlan(t, &p, got, data, none)
		for c := range columns {
			exact := make([]float64, n)
			for i := range exact {
				exact[i] = float64(data[i*columns+c])
			}
			if want := stat.StdDev(exact, nil); !(math.Abs(float64(got[c])-want) <= 1e-6*want) {
				t.Errorf("%s: the deviation of column %d is %v, want %v", name, c, got[c], want)
			}
		}
	}
}

// A column with an infinite element or a NaN, wherever it is, has no variance, as rows
// have none, and its neighbours keep theirs.
func TestVarianceOfInfiniteColumns(t *testing.T) {
	const columns = 40
	for _, n := range []int{1, 2, 3, 5, 9, 129, 2048, 2049, 2100} {
		data, got := make([]float32, n*columns), make([]float32, columns)
		for i := range data {
			data[i] = float32(i / columns % 2)
		}
		want := make([]bool, columns)
		for c, x := range map[int]float64{0: math.Inf(1), 7: math.Inf(-1), 12: math.NaN(), 39: math.Inf(1)} {
			for at, c := range []int{c, c / 2} { // the last element, and the first
				data[(1-at)*(n-1)*columns+c], want[c] = float32(x), true
			}
		}
		var p Plan
		if err := Variance(&p, Float32, 0, RowMajor(columns), RowMajor(n, columns), 1); err != nil {
			t.Fatal(err)
		}
		runPlan(t, &p, got, data, none)
		for c, v := range got {
			if v != v != want[c] {
				t.Errorf("%s: the variance of column %d of %d elements is %v", p.Launches[0].Key, c, n, v)
			}
		}
	}
}
