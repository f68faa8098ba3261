package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/metrics"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
)

// A garbageRun computes without ever calling Free, under a limit on device memory:
// what it shows is that arrays which nobody can reach come back in time, for as long
// as the program runs, and what finding them costs.
type garbageRun struct {
	length   time.Duration
	interval time.Duration // between lines
	limit    string
	elements int     // of an array
	least    float64 // share of the first third's speed that the last must have
}

// What a run must keep to, last third against first.
const (
	mostMemory = 1.1  // times the first third's memory
	slack      = 8e6  // bytes by which memory may grow in any case: the heaps' own steps
	readEvery  = 64   // iterations to a read, which keeps the program from running far ahead of the device
	smallest   = 1e-9 // of a time that is divided by
)

// A garbageLine is what happened in one interval.
type garbageLine struct {
	at        time.Duration
	speed     float64 // iterations a second
	live      uint64  // bytes of arrays, the most that was seen
	device    uint64  // bytes taken from the driver
	heap      uint64  // bytes of Go objects, with those not yet collected
	collector float64 // share of the time of all processors that Go's collector took
	started   float64 // share of the time that the library's own collections lasted
	sweeps    uint64  // collections that the library started
}

// open runs on the first GPU, or the simulated device where there is none or it is
// asked for.
func (g *garbageRun) open(simulated bool) (err error) {
	r, err := open(simulated)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	g.elements, g.interval, g.least = 4<<20, min(10*time.Second, g.length/12), 0.9
	if r.simulated() {
		g.elements = 16 << 10
	}
	_, err = g.run(r.arr, os.Stdout)
	return err
}

// run prints a line for each interval and says at the end whether speed and memory
// were flat.
func (g *garbageRun) run(d *array.Device, out io.Writer) (lines []garbageLine, err error) {
	if err := d.Limit(g.limit); err != nil {
		return nil, err
	}
	p := newGarbageProgram(d, g.elements)
	if err := p.iterate(2 * readEvery); err != nil { // kernels are assembled
		return nil, err
	}
	fmt.Fprintf(out, "%s, limit %s, arrays of %.3g MB, no Free\n", d, g.limit, float64(g.elements)*4/1e6)
	fmt.Fprintf(out, "%8s %10s %9s %9s %9s %10s %10s %7s\n", "s", "iter/s", "live MB", "dev. MB", "heap MB", "GC CPU %", "ours %", "sweeps")
	begin := time.Now()
	for before := newGarbageCounts(d); time.Since(begin) < g.length || len(lines) < 3; { // so many are compared
		l := garbageLine{at: time.Since(begin)}
		n := 0
		for start := time.Now(); time.Since(start) < g.interval; n += readEvery {
			if err := p.iterate(readEvery); err != nil {
				return lines, fmt.Errorf("after %v: %w", time.Since(begin).Round(time.Second), err)
			}
			l.live = max(l.live, d.Stats().Used)
		}
		now := newGarbageCounts(d)
		now.since(&before, &l)
		l.speed = float64(n) / max(now.at.Sub(before.at).Seconds(), smallest)
		before = now
		lines = append(lines, l)
		fmt.Fprintf(out, "%8.1f %10.1f %9.1f %9.1f %9.1f %10.2f %10.2f %7d\n", l.at.Seconds(), l.speed, mega(l.live), mega(l.device), mega(l.heap), 100*l.collector, 100*l.started, l.sweeps)
	}
	text, err := verdict(lines, g.least)
	fmt.Fprintln(out, text)
	return lines, err
}

func mega(bytes uint64) float64 { return float64(bytes) / 1e6 }

// verdict compares the last third of the lines with the first.
func verdict(lines []garbageLine, least float64) (string, error) {
	third := len(lines) / 3
	if third == 0 {
		return "", errors.New("the run was too short for three intervals")
	}
	first, last := lines[:third], lines[len(lines)-third:]
	var wrong []error
	report := ""
	speed := func(l *garbageLine) float64 { return l.speed }
	a, b := middleOf(first, speed), middleOf(last, speed)
	report += fmt.Sprintf("speed %.1f and %.1f iterations/s", a, b)
	if b < least*a {
		wrong = append(wrong, fmt.Errorf("speed fell from %.1f to %.1f iterations/s", a, b))
	}
	for _, m := range []struct {
		name string
		of   func(l *garbageLine) float64
	}{
		{"live", func(l *garbageLine) float64 { return float64(l.live) }},
		{"device", func(l *garbageLine) float64 { return float64(l.device) }},
		{"heap", func(l *garbageLine) float64 { return float64(l.heap) }},
	} {
		a, b := middleOf(first, m.of), middleOf(last, m.of)
		report += fmt.Sprintf("; %s %.1f and %.1f MB", m.name, a/1e6, b/1e6)
		if b > max(mostMemory*a, a+slack) {
			wrong = append(wrong, fmt.Errorf("%s memory rose from %.1f to %.1f MB", m.name, a/1e6, b/1e6))
		}
	}
	collector := middleOf(lines, func(l *garbageLine) float64 { return l.collector })
	report = fmt.Sprintf("first and last third: %s; Go's collector took %.2f%% of the processors", report, 100*collector)
	if err := errors.Join(wrong...); err != nil {
		return "NOT FLAT: " + report, err
	}
	return "flat: " + report, nil
}

func middleOf(lines []garbageLine, f func(l *garbageLine) float64) float64 {
	s := make([]float64, len(lines))
	for i := range lines {
		s[i] = f(&lines[i])
	}
	return middle(s)
}

// A garbageProgram is the program that runs: an elementwise chain, a sum, and a
// state that each iteration replaces, as a training loop does.
type garbageProgram struct{ x, w, state *array.Array[float32] }

func newGarbageProgram(d *array.Device, n int) *garbageProgram {
	rng := array.NewRand(d, 1)
	x := array.Normal[float32](rng, n)
	return &garbageProgram{x: x, w: array.Normal[float32](rng, n), state: x}
}

func (p *garbageProgram) iterate(n int) error {
	for range n {
		y := p.state.Mul(p.w).Add(p.x).Tanh().Eval()
		p.state = y.Sub(y.Mean()).Eval()
	}
	v, err := p.state.At(0)
	if err == nil && math.IsNaN(float64(v)) {
		err = errors.New("the state is no number")
	}
	return err
}

// garbageCounts are the running totals that lines show the differences of.
type garbageCounts struct {
	at               time.Time
	stats            array.Stats
	collector, total float64 // seconds of all processors
	heap             uint64
}

func newGarbageCounts(d *array.Device) garbageCounts {
	samples := []metrics.Sample{{Name: "/cpu/classes/gc/total:cpu-seconds"}, {Name: "/cpu/classes/total:cpu-seconds"}, {Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(samples)
	return garbageCounts{at: time.Now(), stats: d.Stats(), collector: samples[0].Value.Float64(), total: samples[1].Value.Float64(), heap: samples[2].Value.Uint64()}
}

func (c *garbageCounts) since(before *garbageCounts, l *garbageLine) {
	l.device, l.heap = c.stats.Reserved, c.heap
	l.collector = (c.collector - before.collector) / max(c.total-before.total, smallest)
	l.started = (c.stats.CollectTime - before.stats.CollectTime).Seconds() / max(c.at.Sub(before.at).Seconds(), smallest)
	l.sweeps = c.stats.Collections - before.stats.Collections
}
