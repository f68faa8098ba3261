package main

import (
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

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func (w *work) micros(batch int) (float64, error) {
	d, err := w.timed(batch)
	return micros(d), err
}

// middle returns the median of s, which it sorts.
func middle(s []float64) float64 {
	slices.Sort(s)
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

// compare takes samples of all timers in turn and returns each one's median. The
// batch is chosen from a first sample of each.
func (r *runner) compare(pairs int, timers []timer) ([]float64, []error) {
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
	medians := make([]float64, len(timers))
	for i, s := range samples {
		medians[i] = middle(s)
	}
	return medians, errs
}
