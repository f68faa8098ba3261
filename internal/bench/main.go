package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"
)

func main() {
	o := options{}
	pattern := flag.String("rows", "", "measure the tasks that match this regular expression")
	flag.StringVar(&o.json, "json", "", "write the results to this file")
	flag.BoolVar(&o.peers, "peers", false, "measure PyTorch, CuPy and JAX in turn with ours, through python3")
	flag.BoolVar(&o.quick, "quick", false, "few samples")
	flag.BoolVar(&o.simulated, "sim", os.Getenv("GPUARRAY_DEVICE") == "sim", "use the simulated device")
	flag.Parse()
	var err error
	if o.rows, err = regexp.Compile(*pattern); err == nil {
		err = o.run()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	rows                    *regexp.Regexp
	json                    string
	peers, quick, simulated bool
}

func (o *options) run() (err error) {
	r, err := open(o.simulated)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	var p *peers
	if o.peers {
		if p, err = startPeers(); err != nil {
			return err
		}
		defer p.close()
	}
	pairs := fullPairs
	if o.quick {
		pairs = quickPairs
	}
	rep := newReport(r, time.Now())
	rep.header(os.Stdout)
	var chosen []row
	for _, row := range table() {
		if !o.rows.MatchString(row.task) {
			continue
		}
		chosen = append(chosen, row)
		if row.make == nil {
			rep.NotYet = append(rep.NotYet, row.task)
			continue
		}
		x := r.measure(row, p, pairs)
		x.line(os.Stdout)
		rep.Rows = append(rep.Rows, x)
	}
	footer(os.Stdout, chosen)
	if o.json != "" {
		return rep.write(o.json)
	}
	return nil
}

// measure runs a row: what fails is its result's error, so that the others run.
func (r *runner) measure(row row, p *peers, pairs int) result {
	x := result{Task: row.task}
	if err := r.measureInto(&x, row, p, pairs); err != nil {
		x.Error = err.Error()
	}
	return x
}

func (r *runner) measureInto(x *result, row row, p *peers, pairs int) (err error) {
	t, err := row.make(r)
	if t != nil && t.close != nil {
		defer func() { err = errors.Join(err, t.close()) }()
	}
	if err != nil {
		return err
	}
	if err := r.setLimit(x, row, t); err != nil {
		return err
	}
	if r.simulated() {
		pairs = 1
	} else if us, err := t.timer(4); err != nil {
		return err
	} else if t.graph != nil && us < graphBelow {
		if err := t.graph(r.batchOf(us)); err != nil {
			return err
		}
		t.method = "events around a graph"
	}
	x.Method = t.method
	names, timers := []string{""}, []timer{t.timer}
	if p != nil {
		for _, name := range p.prepare(row.task, r.sizes, t.method == "events around a graph") {
			names, timers = append(names, name), append(timers, p.timer(name))
		}
		defer p.drop()
	}
	medians, errs := r.compare(pairs, timers)
	if errs[0] != nil {
		return errs[0]
	}
	x.fill(t, medians[0])
	for i, name := range names[1:] {
		if err := errs[i+1]; err != nil {
			fmt.Fprintf(os.Stderr, "bench: %s: %s: %v\n", row.task, name, err)
			continue
		}
		if x.Peers == nil {
			x.Peers = map[string]float64{}
		}
		x.Peers[name] = digits(medians[i+1])
	}
	return nil
}

// fill sets a result's time and speed.
func (x *result) fill(t *task, us float64) {
	x.Micros = digits(us)
	switch {
	case t.flops > 0:
		x.Tflops = digits(t.flops / us / 1e6)
	case t.read+t.written > 0:
		x.Gbs = digits(float64(t.read+t.written) / us / 1e3)
	}
}

// setLimit finds the limit of a row that has one.
func (r *runner) setLimit(x *result, row row, t *task) error {
	var limit float64
	var err error
	switch {
	case t.limit > 0:
		limit = t.limit
	case t.flops > 0:
		limit, err = r.peak(t.peak)
	case row.unit == "gbs" && t.read+t.written > 0:
		limit, err = r.limit(probeFor(t.read, t.written))
	}
	x.Limit = digits(limit)
	return err
}
