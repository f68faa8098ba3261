package main

import (
	"math"
	"slices"
	"time"
)

// Samples of a measurement: pairs with peers in turn, or of the limit.
const (
	fullPairs  = 21
	quickPairs = 5
)

// batchTime is how long a batch of calls lasts, about: long against the
// resolution of a clock and the end of a batch.
const batchTime = 3 * time.Millisecond

// graphBelow is the time of one call, in µs, under which calls are put into a
// graph, as the program could not launch them one by one as fast as they run.
const graphBelow = 40

// graphMethod is what such rows say.
const graphMethod = "events around a graph"

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func (w *work) micros(batch int) (float64, error) {
	d, err := w.timed(batch)
	return micros(d), err
}

// middle returns the median.
func middle(s []float64) float64 {
	s = slices.Sorted(slices.Values(s))
	if len(s) == 0 {
		return 0
	}
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// median of n measurements, after one that does not count.
func median(n int, f func() (float64, error)) (float64, error) {
	if _, err := f(); err != nil {
		return 0, err
	}
	var s []float64
	for range n {
		x, err := f()
		if err != nil {
			return 0, err
		}
		s = append(s, x)
	}
	return middle(s), nil
}

// rounds is the number of samples of a limit.
func (r *runner) rounds() int {
	if r.simulated() {
		return 1
	}
	return 9
}

// batch is the number of calls in a batch, for one that moves so many bytes: a guess
// from 2 TB/s, which needs not be good.
func (r *runner) batch(bytes uint64) int {
	return r.batchOf(float64(bytes) / 2e6)
}

// batchOf is the number of calls in a batch, for one that takes so many µs.
func (r *runner) batchOf(us float64) int {
	if r.simulated() {
		return 1
	}
	return min(max(int(micros(batchTime)/max(us, 0.5)), 2), 1000)
}

// A timer runs a batch of calls and returns the time of one, in µs.
type timer func(batch int) (float64, error)

// compare takes samples of all timers in turn. The batch of each is chosen from a
// first sample. A timer that fails has an error, and is not asked again.
func (r *runner) compare(pairs int, timers []timer) ([][]float64, []error) {
	batches, samples, errs := make([]int, len(timers)), make([][]float64, len(timers)), make([]error, len(timers))
	for i, t := range timers {
		us, err := t(2)
		batches[i], errs[i] = r.batchOf(us), err
	}
	for range pairs {
		for i, t := range timers {
			if errs[i] != nil {
				continue
			}
			us, err := t(batches[i])
			errs[i] = err
			samples[i] = append(samples[i], us)
		}
	}
	return samples, errs
}

// A ratio is that of two times measured in turn: the median, and a bound under which
// the true median is with a probability of at most 5%, or 0 where there are too few
// pairs to tell.
type ratio struct{ middle, low float64 }

// ratioOf is the ratio a/b.
func ratioOf(a, b []float64) ratio {
	var x []float64
	for i := range min(len(a), len(b)) {
		x = append(x, a[i]/b[i])
	}
	r := ratio{middle: middle(x)}
	if k := signRank(len(x)); k >= 0 {
		slices.Sort(x)
		r.low = x[k]
	}
	return r
}

// signRank is the position, among n sorted samples, of the lower 95% bound of the
// median, by the sign test: the largest k with P(Bin(n, 1/2) ≤ k) ≤ 0.05; −1 where
// there is none.
func signRank(n int) int {
	k, term, sum := -1, math.Pow(0.5, float64(n)), 0.0
	for i := range n {
		if sum += term; sum > 0.05 {
			break
		}
		k = i
		term *= float64(n-i) / float64(i+1)
	}
	return k
}
