package kernels

import (
	"math"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/distuv"
)

// philox is Philox4x32-10 as its authors define it.
func philox(c [4]uint32, k [2]uint32) [4]uint32 {
	for round := range 10 {
		if round > 0 {
			k[0] += 0x9E3779B9
			k[1] += 0xBB67AE85
		}
		p0, p1 := uint64(c[0])*0xD2511F53, uint64(c[2])*0xCD9E8D57
		c = [4]uint32{uint32(p1>>32) ^ c[1] ^ k[0], uint32(p1), uint32(p0>>32) ^ c[3] ^ k[1], uint32(p0)}
	}
	return c
}

// The known answers that the authors publish with Random123.
func TestPhiloxModel(t *testing.T) {
	const all = 0xffffffff
	for _, v := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(v.counter, v.key); got != v.want {
			t.Errorf("counter %x key %x: %x, want %x", v.counter, v.key, got, v.want)
		}
	}
}

func draw[T any](t *testing.T, dist Dist, typ Type, n int, key, counter uint64) []T {
	t.Helper()
	var p Plan
	if err := Random(&p, dist, typ, n, key, counter); err != nil {
		t.Fatal(err)
	}
	out := make([]T, n)
	runPlan(t, &p, out, none, none)
	return out
}

func words(n int, key, counter uint64) (ws []uint32) {
	for i := uint64(0); len(ws) < n; i++ {
		c := counter + i
		w := philox([4]uint32{uint32(c), uint32(c >> 32)}, [2]uint32{uint32(key), uint32(key >> 32)})
		ws = append(ws, w[:]...)
	}
	return ws[:n]
}

func TestRandomBits(t *testing.T) {
	if got := draw[uint32](t, Bits, Uint32, 4, 0, 0); !slices.Equal(got, []uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}) {
		t.Errorf("%x", got)
	}
	r := newRand(t)
	for _, n := range []int{0, 1, 2, 3, 5, 1023, 1024, 3001} {
		key, counter := r.Uint64(), r.Uint64()
		if n == 5 {
			counter = 0xfffffffe // the carry between the counter's words
		}
		if got, want := draw[uint32](t, Bits, Uint32, n, key, counter), words(n, key, counter); !slices.Equal(got, want) {
			t.Errorf("%d words: %x, want %x", n, got, want)
		}
		got, want := draw[uint64](t, Bits, Uint64, n, key, counter), words(2*n, key, counter)
		for i, x := range got {
			if x != uint64(want[2*i+1])<<32|uint64(want[2*i]) {
				t.Errorf("word %d of %d is %x", i, n, x)
			}
		}
	}
}

// TestRandomStored reads the counter from memory: the numbers are those of the
// sum of what lies there and the offset.
func TestRandomStored(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{0, 1, 5, 1025} {
		key, start, offset := r.Uint64(), r.Uint64(), r.Uint64()>>r.IntN(64)
		var p Plan
		if err := RandomStored(&p, Bits, Uint32, n, key, offset); err != nil {
			t.Fatal(err)
		}
		got := make([]uint32, n)
		runPlan(t, &p, got, []uint64{start}, none)
		if want := words(n, key, start+offset); !slices.Equal(got, want) {
			t.Errorf("%d words from %x + %x: %x, want %x", n, start, offset, got, want)
		}
	}
	const n, key, start, offset = 1000, 42, 7, 11
	for _, d := range []Dist{Uniform, Normal} {
		var p Plan
		if err := RandomStored(&p, d, Float64, n, key, offset); err != nil {
			t.Fatal(err)
		}
		got := make([]float64, n)
		runPlan(t, &p, got, []uint64{start}, none)
		if want := draw[float64](t, d, Float64, n, key, start+offset); !slices.Equal(got, want) {
			t.Errorf("%v numbers differ from those of the counter given as a value", d)
		}
	}
}

func TestUniform(t *testing.T) {
	const n, key, counter = 4001, 42, 7
	ws := words(2*n, key, counter)
	for i, x := range draw[float32](t, Uniform, Float32, n, key, counter) {
		if want := float32(ws[i]>>8) / (1 << 24); x != want {
			t.Fatalf("float32 %d is %v, want %v", i, x, want)
		}
	}
	for i, x := range draw[float64](t, Uniform, Float64, n, key, counter) {
		bits := uint64(ws[2*i+1])<<32 | uint64(ws[2*i])
		if want := float64(bits>>11) / (1 << 53); x != want {
			t.Fatalf("float64 %d is %v, want %v", i, x, want)
		}
	}
}

// Numbers agree with Box and Muller's formula as package math computes it.
func TestNormalFormula(t *testing.T) {
	const n, key, counter = 4002, 42, 1 << 40
	ws := words(2*n, key, counter)
	polar := func(u, v float64) (x, y float64) {
		r := math.Sqrt(-2 * math.Log(u))
		sin, cos := math.Sincos(2 * math.Pi * v)
		return r * cos, r * sin
	}
	xs := draw[float32](t, Normal, Float32, n, key, counter)
	for i := 0; i+1 < n; i += 2 {
		u := float64(float32(float32(float64(float32(ws[i]))*0x1p-32 + 0x1p-33)))
		x, y := polar(u, float64(ws[i+1])*0x1p-32)
		if math.Abs(float64(xs[i])-x) > 2e-6 || math.Abs(float64(xs[i+1])-y) > 2e-6 {
			t.Fatalf("float32 pair %d is %v, want %v", i, xs[i:i+2], []float64{x, y})
		}
	}
	ys := draw[float64](t, Normal, Float64, n, key, counter)
	for i := 0; i+1 < n; i += 2 {
		word := func(k int) float64 { return float64(uint64(ws[2*k+1])<<32 | uint64(ws[2*k])) }
		x, y := polar(word(i)*0x1p-64+0x1p-65, word(i+1)*0x1p-64)
		if math.Abs(ys[i]-x) > 1e-14 || math.Abs(ys[i+1]-y) > 1e-14 {
			t.Fatalf("float64 pair %d is %v, want %v", i, ys[i:i+2], []float64{x, y})
		}
	}
}

// At fixed seeds, moments and distribution are as they should be.
func TestRandomStatistics(t *testing.T) {
	const n = 100_000
	for _, c := range []struct {
		dist Dist
		typ  Type
		cdf  func(float64) float64
		mean float64
		vari float64
	}{
		{Uniform, Float32, distuv.UnitUniform.CDF, 0.5, 1.0 / 12}, {Uniform, Float64, distuv.UnitUniform.CDF, 0.5, 1.0 / 12},
		{Normal, Float32, distuv.UnitNormal.CDF, 0, 1}, {Normal, Float64, distuv.UnitNormal.CDF, 0, 1},
	} {
		var xs []float64
		if c.typ == Float32 {
			xs = widen(draw[float32](t, c.dist, c.typ, n, 12345, 0))
		} else {
			xs = draw[float64](t, c.dist, c.typ, n, 12345, 0)
		}
		mean, variance := stat.MeanVariance(xs, nil)
		if sigma := math.Sqrt(c.vari / n); math.Abs(mean-c.mean) > 4*sigma {
			t.Errorf("%v %v: mean %v", c.dist, c.typ, mean)
		}
		if math.Abs(variance-c.vari) > 4*c.vari*math.Sqrt(2.0/n) {
			t.Errorf("%v %v: variance %v", c.dist, c.typ, variance)
		}
		if corr := stat.Correlation(xs[1:], xs[:n-1], nil); math.Abs(corr) > 4/math.Sqrt(n) {
			t.Errorf("%v %v: neighbours correlate by %v", c.dist, c.typ, corr)
		}
		slices.Sort(xs)
		distance := 0.0 // of Kolmogorov and Smirnov
		for i, x := range xs {
			p := c.cdf(x)
			distance = max(distance, p-float64(i)/n, float64(i+1)/n-p)
		}
		if distance > 1.95/math.Sqrt(n) { // passed by one sample in a thousand
			t.Errorf("%v %v: distance %v from the distribution", c.dist, c.typ, distance)
		}
	}
}

func TestRandomErrors(t *testing.T) {
	var p Plan
	for _, c := range []struct {
		dist Dist
		typ  Type
		n    int
	}{{Uniform, Int32, 4}, {Normal, Bool, 4}, {Bits, Float32, 4}, {Dist(9), Float32, 4}, {Uniform, Float32, -1}} {
		if err := Random(&p, c.dist, c.typ, c.n, 0, 0); err == nil {
			t.Errorf("%v %v %d: no error", c.dist, c.typ, c.n)
		}
	}
}
