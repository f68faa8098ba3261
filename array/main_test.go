package array

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// dev is the device that tests share: whatever Open finds.
var dev *Device

// TestMain opens the device, and at the end looks for what was left behind: arrays
// that are still registered although no test can reach them, and goroutines.
func TestMain(m *testing.M) {
	before := runtime.NumGoroutine()
	var err error
	if dev, err = Open(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if fuzzing := flag.Lookup("test.fuzz"); code == 0 && fuzzing.Value.String() == "" { // which has goroutines of its own
		code = leftBehind(before)
	}
	os.Exit(code)
}

func leftBehind(goroutines int) int {
	for range 3 { // what a collection frees may hold other things
		runtime.GC()
	}
	if s := dev.Stats(); s.Arrays != 0 || s.Used > minTickets+8*statusCells {
		fmt.Fprintf(os.Stderr, "left behind: %+v\n", s)
		return 1
	}
	if err := dev.Close(); err != nil {
		fmt.Fprintln(os.Stderr, "closing the device:", err)
		return 1
	}
	if runtime.GOOS == "js" {
		goroutines++ // the runtime's own, once it has had an event
	}
	for range 100 {
		if runtime.NumGoroutine() <= goroutines {
			return 0
		}
		time.Sleep(10 * time.Millisecond)
	}
	fmt.Fprintf(os.Stderr, "%d goroutines, %d before the tests\n", runtime.NumGoroutine(), goroutines)
	return 1
}

// seeded returns a generator whose seed is printed where the test fails.
func seeded(t *testing.T) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// values reads an array, which must not carry an error.
func values[T Element](t *testing.T, a *Array[T]) []T {
	t.Helper()
	v, err := a.ToSlice()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// sample is a random array that may be a view, and its elements on the host.
type sample[T Element] struct {
	array *Array[T]
	grid  grid // the shape; positions are replaced by 0, 1, …
	data  []T
}

// newSample makes an array of a random shape, or a view of one, with elements from f.
func newSample[T Element](t *testing.T, rng *rand.Rand, f func() T) sample[T] {
	shape := make([]int, rng.IntN(4))
	for i := range shape {
		shape[i] = []int{1, 2, 3, 5, 8, 17}[rng.IntN(6)]
	}
	return newSampleOf(t, rng, shape, rng.IntN(4), f)
}

// newSampleOf makes a sample from an array of the given shape by some random view
// operations.
func newSampleOf[T Element](t *testing.T, rng *rand.Rand, shape []int, views int, f func() T) sample[T] {
	t.Helper()
	l, err := newLayout(shape, typeOf[T]())
	if err != nil {
		t.Fatal(err)
	}
	base := make([]T, l.Len())
	for i := range base {
		base[i] = f()
	}
	a := FromSlice(dev, base, shape...)
	g := gridOf(&l)
	for range views {
		if _, l, g, err = randomView(rng, l, g); err != nil {
			t.Fatal(err)
		}
	}
	s := sample[T]{array: to[T](call{op: "test"}.view(a.h(), l)), grid: grid{shape: g.shape}}
	for i, p := range g.at {
		s.data = append(s.data, base[p])
		s.grid.at = append(s.grid.at, i)
	}
	if a.Err() != nil {
		t.Fatal(a.Err())
	}
	return s
}

// at returns the element that broadcasts to an index of a larger shape.
func (s *sample[T]) at(index []int) T {
	from := index[len(index)-len(s.grid.shape):]
	p := 0
	for i, n := range s.grid.shape {
		x := from[i]
		if n == 1 {
			x = 0
		}
		p = p*n + x
	}
	return s.data[p]
}

// broadcastable makes a sample whose shape broadcasts with another's.
func broadcastable[T Element](t *testing.T, rng *rand.Rand, shape []int, f func() T) sample[T] {
	s := append([]int{}, shape...)
	for i := range s {
		if rng.IntN(4) == 0 {
			s[i] = 1
		}
	}
	if len(s) > 0 && rng.IntN(4) == 0 {
		s = s[1:]
	}
	return newSampleOf(t, rng, s, 0, f)
}

// anyFloat draws numbers of all magnitudes and, now and then, special ones.
func anyFloat(rng *rand.Rand) float64 {
	switch rng.IntN(16) {
	case 0:
		return []float64{0, math.Copysign(0, -1), 1, -1, math.Inf(1), math.Inf(-1), math.NaN(), 0.5, -2}[rng.IntN(9)]
	case 1:
		return math.Ldexp(rng.NormFloat64(), rng.IntN(200)-100)
	}
	return rng.NormFloat64() * 4
}

// ulps is the distance of two numbers of a type in units of the last place; NaNs
// are equal, zeros too.
func ulps(t kernels.Type, got, want float64) float64 {
	if math.IsNaN(got) || math.IsNaN(want) {
		if math.IsNaN(got) && math.IsNaN(want) {
			return 0
		}
		return math.Inf(1)
	}
	if got == want {
		return 0
	}
	digits, least := 52, -1074
	switch t {
	case kernels.Float32:
		digits, least = 23, -149
	case kernels.Float16:
		digits, least = 10, -24
	case kernels.BFloat16:
		digits, least = 7, -133
	}
	if math.IsInf(want, 0) || math.IsInf(got, 0) {
		return math.Inf(1)
	}
	_, exp := math.Frexp(want)
	return math.Abs(got-want) / math.Ldexp(1, max(exp-1-digits, least))
}
