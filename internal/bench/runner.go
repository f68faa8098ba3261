package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A runner holds the device: as package array has it, and, for what array keeps to
// itself (events, graphs, single kernels), as package driver does.
type runner struct {
	arr    *array.Device
	drv    *driver.Driver
	dev    *driver.Device
	ctx    *driver.Context
	stream *driver.Stream
	start  *driver.Event
	end    *driver.Event
	cc     int
	loaded map[string]*driver.Kernel
	probes map[probe]float64
	sizes  sizes
	seeds  uint64 // used so far
}

// nextSeed is of the next array of random numbers: each is another, and every run has
// the same.
func (r *runner) nextSeed() uint64 {
	r.seeds++
	return r.seeds
}

// open takes the first GPU, or the simulated device where there is none or it is
// asked for.
func open(simulated bool) (*runner, error) {
	r, err := openDriver(simulated)
	if err != nil {
		return nil, err
	}
	option := array.CUDA(0)
	if r.drv.IsSimulated() {
		option, r.sizes = array.Simulated(), tiny
	}
	r.arr, err = array.Open(option)
	return r, err
}

// openDriver is open without package array's side.
func openDriver(simulated bool) (*runner, error) {
	r := &runner{loaded: map[string]*driver.Kernel{}, probes: map[probe]float64{}, sizes: full}
	var err error
	if !simulated {
		r.drv, err = driver.Open()
		simulated = errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice)
	}
	if simulated {
		r.drv, err = driver.Simulated(driver.SimulatedConfig{})
	}
	if err != nil {
		return nil, err
	}
	return r, r.take()
}

// take makes what the driver's side needs.
func (r *runner) take() (err error) {
	if r.dev, err = r.drv.Device(0); err != nil {
		return err
	}
	major, minor, err := r.dev.ComputeCapability()
	if err != nil {
		return err
	}
	r.cc = 10*major + minor
	if r.ctx, err = r.dev.Context(); err != nil {
		return err
	}
	if r.stream, err = r.ctx.NewStream(driver.StreamConfig{}); err != nil {
		return err
	}
	if r.start, err = r.ctx.NewEvent(driver.EventConfig{Timing: true}); err != nil {
		return err
	}
	r.end, err = r.ctx.NewEvent(driver.EventConfig{Timing: true})
	return err
}

func (r *runner) close() error { return errors.Join(r.arr.Close(), r.ctx.Close()) }

// simulated says whether times mean nothing.
func (r *runner) simulated() bool { return r.drv.IsSimulated() }

// kernel returns the kernel of package kernels for a key.
func (r *runner) kernel(key string) (*driver.Kernel, error) {
	if k := r.loaded[key]; k != nil {
		return k, nil
	}
	text, err := kernels.Source(key, r.cc)
	if err != nil {
		return nil, err
	}
	return r.load(key, text, kernels.EntryName(key))
}

// load assembles a kernel and keeps it under a key.
func (r *runner) load(key, text, entry string) (*driver.Kernel, error) {
	if k := r.loaded[key]; k != nil {
		return k, nil
	}
	m, err := r.ctx.LoadModule([]byte(text), driver.LoadConfig{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	k, err := m.Kernel(entry)
	if err != nil {
		return nil, err
	}
	r.loaded[key] = k
	return k, nil
}

// A call is one launch with its arguments, or a copy where it has no kernel.
type call struct {
	kernel *driver.Kernel
	config driver.LaunchConfig
	args   *driver.Args

	dst, src driver.Ptr
	bytes    uint64
}

func (c *call) queue(s *driver.Stream) error {
	if c.kernel == nil {
		return s.CopyDtoD(c.dst, c.src, c.bytes)
	}
	return c.kernel.LaunchArgs(s, c.config, c.args)
}

// work is device work that is repeated: its calls and the memory they use.
type work struct {
	r     *runner
	calls []call
	mems  []*driver.Mem
	graph *driver.GraphExec
	nodes int // repetitions in graph
}

func (w *work) alloc(bytes uint64) (driver.Ptr, error) {
	m, err := w.r.ctx.Alloc(max(bytes, 256))
	if err != nil {
		return 0, err
	}
	w.mems = append(w.mems, m)
	return m.Ptr(), nil
}

// plan adds a plan's launches. operands are the base addresses of operands 0, 1, ….
func (w *work) plan(p *kernels.Plan, operands ...driver.Ptr) error {
	scratch, err := w.alloc(p.Scratch)
	if err != nil {
		return err
	}
	tickets, err := w.alloc(p.Tickets)
	if err != nil {
		return err
	}
	if p.Tickets > 0 {
		if err := w.r.stream.MemsetD8(tickets, 0, p.Tickets); err != nil {
			return err
		}
	}
	for _, l := range p.Launches {
		k, err := w.r.kernel(l.Key)
		if err != nil {
			return err
		}
		args := driver.NewArgs()
		for _, a := range l.Args {
			switch {
			case !a.Pointer:
				args.Bits(a.Bits, int(a.Size))
			case a.Operand == kernels.ScratchOperand:
				args.Ptr(scratch + driver.Ptr(a.Bits))
			case a.Operand == kernels.TicketOperand:
				args.Ptr(tickets + driver.Ptr(a.Bits))
			default:
				args.Ptr(operands[a.Operand] + driver.Ptr(a.Bits))
			}
		}
		w.calls = append(w.calls, call{kernel: k, config: driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block), Shared: l.Shared}, args: args})
	}
	return nil
}

// once queues the work.
func (w *work) once() error {
	for i := range w.calls {
		if err := w.calls[i].queue(w.r.stream); err != nil {
			return err
		}
	}
	return nil
}

// timed runs the work batch times and returns the time of one, from events. A run
// before the first event keeps the device busy while the batch is queued.
func (w *work) timed(batch int) (time.Duration, error) {
	repeat := func() error {
		for range batch {
			if err := w.once(); err != nil {
				return err
			}
		}
		return nil
	}
	if w.graph != nil {
		repeat = func() error { return w.graph.Launch(w.r.stream) }
		batch = w.nodes
		if err := repeat(); err != nil {
			return 0, err
		}
	}
	d, err := w.r.between(w.once, repeat)
	return d / time.Duration(batch), err
}

// between queues first, and returns the device's time for what repeat queues.
func (r *runner) between(first, repeat func() error) (time.Duration, error) {
	for _, f := range []func() error{first, func() error { return r.start.Record(r.stream) }, repeat, func() error { return r.end.Record(r.stream) }, r.end.Synchronize} {
		if err := f(); err != nil {
			return 0, err
		}
	}
	return r.end.Since(r.start)
}

// asGraph makes timed run a graph of n repetitions in a row.
func (w *work) asGraph(n int) error {
	g, err := w.r.ctx.NewGraph()
	if err != nil {
		return err
	}
	defer g.Close()
	var last []driver.GraphNode
	for range n {
		for i := range w.calls {
			c := &w.calls[i]
			if c.kernel == nil {
				return errors.New("a copy needs no graph")
			}
			node, err := g.AddKernel(last, c.kernel, c.config, c.args)
			if err != nil {
				return err
			}
			last = []driver.GraphNode{node}
		}
	}
	w.graph, err = g.Instantiate()
	w.nodes = n
	return err
}

func (w *work) close() error {
	errs := []error{w.r.stream.Synchronize()}
	for i := range w.calls {
		if a := w.calls[i].args; a != nil {
			a.Release()
		}
	}
	if w.graph != nil {
		errs = append(errs, w.graph.Close())
	}
	for _, m := range w.mems {
		errs = append(errs, m.Close())
	}
	return errors.Join(errs...)
}
