package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"
)

func main() {
	if kind := os.Getenv(firstVariable); kind != "" {
		exit(computeFirst(kind))
	}
	o := options{}
	var garbage garbageRun
	flag.DurationVar(&garbage.length, "garbage", 0, "for so long, make arrays without freeing any, and measure nothing else")
	flag.StringVar(&garbage.limit, "limit", "2GiB", "with -garbage: most device memory to take")
	pattern := flag.String("rows", "", "measure the tasks that match this regular expression")
	flag.StringVar(&o.json, "json", "", "write the results to this file")
	flag.StringVar(&o.chart, "chart", "", "draw the shares of the limits to this file: .svg, .png or .pdf")
	flag.StringVar(&o.from, "from", "", "draw the chart from this file, which -json wrote, and measure nothing")
	flag.BoolVar(&o.check, "check", false, "before measuring, compare what each row computes, at a tiny size, with a plain computation")
	flag.BoolVar(&o.peers, "peers", false, "measure PyTorch, CuPy and JAX in turn with ours, through python3")
	flag.BoolVar(&o.quick, "quick", false, "few samples")
	flag.BoolVar(&o.simulated, "sim", os.Getenv("GPUARRAY_DEVICE") == "sim", "use the simulated device")
	flag.Parse()
	var err error
	switch o.rows, err = regexp.Compile(*pattern); {
	case err != nil:
	case flag.NArg() > 0:
		err = fmt.Errorf("%q is no flag; -h lists them", flag.Arg(0))
	case garbage.length < 0:
		err = fmt.Errorf("-garbage %v is no length of time", garbage.length)
	case garbage.length == 0 && isSet("limit"):
		err = errors.New("-limit is of -garbage's run, which is not asked for")
	case garbage.length > 0:
		err = garbage.open(o.simulated)
	default:
		err = o.run()
	}
	exit(err)
}

func isSet(name string) (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == name })
	return set
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

type options struct {
	rows                           *regexp.Regexp
	json, chart, from              string
	check, peers, quick, simulated bool
}

func (o *options) run() (err error) {
	if err := o.drawable(); err != nil {
		return err
	}
	if o.from != "" {
		return o.redraw()
	}
	rows := o.chosen()
	if len(rows) == 0 {
		return fmt.Errorf("no task matches %q; without -rows all are measured", o.rows)
	}
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
		defer func() { err = errors.Join(err, p.close()) }()
	}
	pairs := fullPairs
	if o.quick {
		pairs = quickPairs
	}
	if o.check {
		err = r.check(rows) // and measure all the same: other rows are right
	}
	return errors.Join(err, o.measure(r, rows, p, pairs))
}

// drawable says before minutes of measuring what would keep the chart from being drawn.
func (o *options) drawable() error {
	switch ending := filepath.Ext(o.chart); {
	case o.chart == "" && o.from != "":
		return errors.New("-from draws a chart, and -chart names no file for it")
	case o.chart != "" && !slices.Contains([]string{".svg", ".png", ".pdf"}, ending):
		return fmt.Errorf("-chart %s ends in none of .svg, .png and .pdf", o.chart)
	}
	return nil
}

// measure runs rows and reports them as they come.
func (o *options) measure(r *runner, rows []row, p *peers, pairs int) error {
	var failed []error
	rep := newReport(r, time.Now())
	rep.header(os.Stdout)
	for _, row := range rows {
		if row.make == nil {
			continue
		}
		x := r.measure(row, p, pairs)
		if x.line(os.Stdout); x.err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", x.Task, x.err))
			continue
		}
		rep.Rows = append(rep.Rows, x)
		if err := o.results(rep); err != nil { // as far as it has come, should the rest not end
			return err
		}
	}
	footer(os.Stdout, rows)
	if o.chart != "" {
		failed = append(failed, rep.chart(o.chart))
	}
	return errors.Join(failed...)
}

// redraw draws what an earlier run found.
func (o *options) redraw() error {
	rep, err := readReport(o.from)
	if err != nil {
		return err
	}
	rep.Rows = slices.DeleteFunc(rep.Rows, func(x result) bool { return !o.rows.MatchString(x.Task) })
	return rep.chart(o.chart)
}

// chosen returns the rows that were asked for.
func (o *options) chosen() []row {
	var rows []row
	for _, row := range table() {
		if o.rows.MatchString(row.task) {
			rows = append(rows, row)
		}
	}
	return rows
}

// results writes the report where it was asked for.
func (o *options) results(rep *report) error {
	if o.json == "" {
		return nil
	}
	return rep.write(o.json)
}

// check runs each row at a tiny size and compares.
func (r *runner) check(rows []row) error {
	whole := r.sizes
	defer func() { r.sizes = whole }()
	r.sizes = tiny
	var wrong []error
	for _, row := range rows {
		if row.make == nil {
			continue
		}
		if err := r.checkRow(row); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w", row.task, err))
		}
	}
	return errors.Join(wrong...)
}

func (r *runner) checkRow(row row) (err error) {
	t, err := row.make(r)
	if t != nil && t.close != nil {
		defer func() { err = errors.Join(err, t.close()) }()
	}
	if err != nil || t.check == nil {
		return err
	}
	return t.check()
}

// measure runs a row: what fails is its result's error, so that the others run.
func (r *runner) measure(row row, p *peers, pairs int) result {
	x := result{Task: row.task}
	if err := r.measureInto(&x, row, p, pairs); err != nil {
		x.err = err
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
	if err := r.chooseMethod(t); err != nil {
		return err
	}
	x.method, x.bus = t.method, t.moved > 0
	names, timers := []string{""}, []timer{t.timer}
	if t.limitTimer != nil {
		names, timers = append(names, limitName), append(timers, t.limitTimer)
	}
	if p != nil {
		for _, name := range p.prepare(row.task, r.sizes, t.method == graphMethod) {
			names, timers = append(names, name), append(timers, p.timer(name))
		}
		defer p.drop()
	}
	if t.pairs > 0 {
		pairs = min(pairs, t.pairs)
	}
	if r.simulated() {
		pairs = 1
	}
	samples, errs := r.compare(pairs, timers)
	if errs[0] != nil {
		return errs[0]
	}
	x.fill(t, names, samples, errs)
	return nil
}

// limitName stands for the limit among the names of what is measured in turn.
const limitName = "limit"

// chooseMethod makes a graph of work that is too short to be launched call by call.
func (r *runner) chooseMethod(t *task) error {
	if t.graph == nil || r.simulated() {
		return nil
	}
	us, err := t.timer(4)
	if err != nil || us >= graphBelow {
		return err
	}
	t.method = graphMethod
	return t.graph(r.batchOf(us))
}

// fill sets a result's time, speed and peers from the samples, ours first.
func (x *result) fill(t *task, names []string, samples [][]float64, errs []error) {
	us := middle(samples[0])
	work, speed := 0.0, (*float64)(nil)
	switch {
	case t.flops > 0:
		work, speed = t.flops/1e6, &x.Tflops
	case t.read+t.written+t.moved > 0:
		work, speed = float64(t.read+t.written+t.moved)/1e3, &x.Gbs
	}
	if x.Micros = digits(us); speed != nil {
		*speed = digits(work / us)
	}
	x.Peers, x.ratios = map[string]float64{}, map[string]ratio{}
	for i, name := range names[1:] {
		s, err := samples[i+1], errs[i+1]
		switch {
		case err != nil:
			fmt.Fprintf(os.Stderr, "bench: %s: %s: %v\n", x.Task, name, err)
		case name == limitName && speed != nil:
			x.Limit = digits(work / middle(s))
		case name == limitName:
			x.Limit = digits(middle(s))
		default:
			x.Peers[name], x.ratios[name] = digits(middle(s)), ratioOf(s, samples[0])
		}
	}
}

// setLimit finds the limit of a row that has one.
func (r *runner) setLimit(x *result, row row, t *task) error {
	var limit float64
	var err error
	switch {
	case t.flops > 0:
		limit, err = r.peak(t.peak)
	case row.unit == "gbs" && t.read+t.written > 0:
		limit, err = r.limit(probeFor(t.read, t.written))
	}
	x.Limit = digits(limit)
	return err
}
