package array

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"weak"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// A Graph is work that [Device.Capture] has recorded. It may be used from any
// goroutine.
type Graph struct{ *graph }

// graph is what a Graph has on its device. It does not keep the Graph from being
// collected: a sweep closes it then. Fields are guarded by the shared device's lock.
type graph struct {
	dev    *Device
	handle weak.Pointer[Graph]
	exec   *driver.GraphExec // nil where there is nothing to do
	blocks []*block          // memory of its own
	poison []*block          // those of them that hold nothing between two launches
	reads  []*storage        // from outside, and not written
	writes []*storage        // from outside, or kept
	held   []*storage        // all that it keeps where they are
	shares []share           // of what it writes
	cells  []*suspect        // whose its status cells are
	status *block            // those, if there are any
	draws  []*drawing
	begun  bool // it was launched
	closed call

	kernels int
	fills   int
	bytes   uint64
}

// finish makes a graph of a recording. The caller holds the lock.
func (rec *recording) finish(d, recorded *Device) (*Graph, *Error) {
	sh := d.sh
	rec.stop(recorded)
	g := &graph{dev: d, draws: rec.draws}
	var kept []*storage
	for _, s := range rec.made {
		if s.freed.op == "" && s.block != nil {
			kept = append(kept, s)
		}
	}
	a := arrange(rec.steps, kept, sh.arena.noCache)
	g.bindStorages(rec, a, kept)
	err := g.furnish(a, kept)
	if err == nil {
		err = g.build(a)
	}
	if err != nil {
		return nil, rec.deviceError(errors.Join(err, g.discard()))
	}
	for s := range rec.held {
		g.held = append(g.held, s)
	}
	for _, s := range kept {
		s.holds++
		s.err = rec.fail(because(ErrCapture, "a graph computes it, which was not launched yet"))
		g.held = append(g.held, s)
	}
	public := &Graph{g}
	g.handle = weak.Make(public)
	sh.graphs = append(sh.graphs, g)
	return public, nil
}

// furnish gets the memory of the arrangement and gives each block its address. Kept
// arrays become arrays as others.
func (g *graph) furnish(a *arrangement, kept []*storage) error {
	sh := g.dev.sh
	for _, s := range kept {
		b, err := sh.obtain(s.block.asked)
		if err != nil {
			return err
		}
		s.block.address = b.address // for the steps
		s.block = b
		sh.registry.add(b, s.owner())
		sh.mark(b, driver.MemoryPoisoned, s.label)
	}
	for _, p := range a.plots {
		b, err := sh.obtain(p.bytes)
		if err != nil {
			return err
		}
		g.blocks = append(g.blocks, b)
		g.bytes += b.bytes
		for _, r := range p.residents {
			r.block.address = b.address + r.offset
		}
		if !p.lasting {
			g.poison = append(g.poison, b)
			continue
		}
		sh.mark(b, driver.MemoryLive, func() string { return "tickets and status cells of a graph" })
		if err := b.beforeWrite(g.dev.stream); err != nil {
			return err
		}
		err = g.dev.stream.queue.MemsetD8(driver.Ptr(b.address), 0, b.asked)
		b.write(g.dev.stream.next())
		if err != nil {
			return err
		}
	}
	return nil
}

// bindStorages lists the storages that the graph reads and writes, and gives its takes
// their status cells.
func (g *graph) bindStorages(rec *recording, a *arrangement, kept []*storage) {
	for s := range rec.held {
		if touched, writes := a.touches(s.block); writes {
			g.writes = append(g.writes, s)
		} else if touched {
			g.reads = append(g.reads, s)
		}
	}
	g.writes = append(g.writes, kept...)
	g.shares = rec.flow.shares(g.writes)
	if g.cells = rec.flow.assign(g.shares); len(g.cells) > 0 {
		g.status = rec.cells
	}
	for _, s := range a.steps {
		s.bindStatus(rec.cells)
	}
	for _, drawn := range rec.draws {
		g.writes = append(g.writes, drawn.cell)
	}
}

// bindStatus has a take write to its own of the graph's status cells.
func (s *step) bindStatus(cells *block) {
	for i := range s.args {
		if a := &s.args[i]; s.take != nil && a.Pointer && s.uses[a.Operand].block == cells {
			a.Bits = uint64(8 * s.take.cell)
		}
	}
}

// build makes the driver's graph.
func (g *graph) build(a *arrangement) (err error) {
	if len(a.steps) == 0 {
		return nil
	}
	sh := g.dev.sh
	recipe, err := sh.ctx.NewGraph()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, recipe.Close()) }()
	nodes := make([]driver.GraphNode, len(a.steps))
	var after []driver.GraphNode
	for i, s := range a.steps {
		after = after[:0]
		for _, d := range a.after[i] {
			after = append(after, nodes[d])
		}
		if nodes[i], err = s.addTo(recipe, after); err != nil {
			return err
		}
		if s.kernel != nil {
			g.kernels++
		} else {
			g.fills++
		}
	}
	if g.exec, err = recipe.Instantiate(); err != nil {
		return err
	}
	return g.exec.Upload(g.dev.stream.queue)
}

// addTo adds the step's node to a graph.
func (s *step) addTo(g *driver.Graph, after []driver.GraphNode) (driver.GraphNode, error) {
	if s.kernel == nil {
		return g.AddMemset(after, driver.Ptr(s.uses[0].block.address), s.value, s.size, s.n)
	}
	args := driver.NewArgs()
	defer args.Release()
	for _, a := range s.args {
		switch {
		case !a.Pointer:
			args.Bits(a.Bits, int(a.Size))
		case s.uses[a.Operand].block == nil: // of no elements
			args.Ptr(driver.Ptr(a.Bits))
		default:
			args.Ptr(driver.Ptr(s.uses[a.Operand].block.address + a.Bits))
		}
	}
	return g.AddKernel(after, s.kernel, s.config, args)
}

// discard gives back what the graph has taken of its own.
func (g *graph) discard() error {
	err := g.end()
	for _, b := range g.blocks {
		g.dev.sh.giveBack(b)
	}
	g.blocks = nil
	return err
}

// end gives the driver's graph back.
func (g *graph) end() error {
	if g.exec == nil {
		return nil
	}
	err := g.exec.Close()
	g.exec = nil
	return err
}

// Launch queues one run of the graph on the stream of the Device that it was captured
// on, by one call of the driver, and does not wait. It counts as a write to every
// array that the work writes: expressions recorded before that read one are evaluated
// first, and streams wait for one another as with any work. A graph that takes makes
// one call more, and counts as a Take, or a few, among those of which each 256th waits
// for the ones before. A closed Graph is ErrFreed.
func (g *Graph) Launch() error {
	c := directly("Graph.Launch")
	if g == nil || g.graph == nil {
		return c.fail(because(ErrArgument, "the Graph is nil or zero; Device.Capture makes one"))
	}
	defer runtime.KeepAlive(g)
	return asError(c.locked(g.dev, func() *Error { return g.launch(c) }))
}

func (g *graph) launch(c call) *Error {
	sh := g.dev.sh
	if g.closed.op != "" {
		file, line := lineOf(g.closed.pc)
		return c.fail(because(ErrFreed, "the Graph was closed by %s at %s:%d", g.closed.op, filepath.Base(file), line))
	}
	if err := g.dev.open(c); err != nil {
		return err
	}
	for _, s := range g.reads {
		if s.err != nil {
			return c.early(s.err)
		}
	}
	for _, s := range g.writes {
		if err := sh.overwritten(s); err != nil {
			return err
		}
	}
	if g.exec == nil {
		return nil
	}
	cell := 0
	if g.status != nil {
		var err error
		if cell, err = sh.statuses.open(sh, g.dev.stream, g.cells...); err != nil {
			return c.deviceError(err)
		}
	}
	if err := g.queue(cell); err != nil {
		return c.deviceError(err)
	}
	sh.statuses.spread(g.shares, cell)
	sh.counts.Launches += uint64(g.kernels)
	if !g.begun {
		g.begun = true
		for _, s := range g.writes {
			if errors.Is(s.err, ErrCapture) {
				s.err = nil
			}
		}
	}
	return nil
}

// queue makes the stream wait for what the graph needs, and launches it. What its status
// cells hold then goes to the device's cells from cell on.
func (g *graph) queue(cell int) error {
	sh, st := g.dev.sh, g.dev.stream
	for _, s := range g.reads {
		if err := s.block.beforeRead(st); err != nil {
			return err
		}
	}
	for _, s := range g.writes {
		if err := s.block.beforeWrite(st); err != nil {
			return err
		}
	}
	for _, b := range g.blocks {
		if err := b.beforeWrite(st); err != nil {
			return err
		}
	}
	for _, b := range g.poison {
		sh.mark(b, driver.MemoryPoisoned, func() string { return "memory of a graph" })
	}
	for _, d := range g.draws {
		if err := d.begin(st); err != nil {
			return err
		}
	}
	err := g.exec.Launch(st.queue)
	if err == nil && g.status != nil {
		err = st.queue.CopyDtoD(sh.statuses.address(cell), driver.Ptr(g.status.address), 8*uint64(len(g.cells)))
	}
	g.note(st.next()) // also where it failed
	return err
}

// note enters a launch at m in the histories of all that it uses.
func (g *graph) note(m mark) {
	for _, s := range g.reads {
		s.block.read(m)
	}
	for _, s := range g.writes {
		s.block.write(m)
	}
	for _, b := range g.blocks {
		b.write(m)
	}
	if g.status != nil {
		g.dev.sh.statuses.block.read(m) // each writes to cells of its own
	}
}

// begin takes the launch's numbers from the sequence. The cell holds where they begin
// already if nobody else has drawn since the last launch.
func (d *drawing) begin(st *stream) error {
	at := d.from.take(d.drawn)
	if !d.known || d.next != at {
		d.known = false
		p := driver.Ptr(d.cell.block.address)
		err := errors.Join(st.queue.MemsetD32(p, uint32(at), 1), st.queue.MemsetD32(p+4, uint32(at>>32), 1))
		d.cell.block.write(st.next())
		if err != nil {
			return err
		}
	}
	d.next, d.known = at+d.drawn, true
	return nil
}

// Close gives the graph and its memory back, when the launches that are queued are
// done; it does not wait for them. Kept arrays stay as they are. A second Close does
// nothing.
func (g *Graph) Close() error {
	c := directly("Graph.Close")
	if g == nil || g.graph == nil {
		return c.fail(because(ErrArgument, "the Graph is nil or zero; Device.Capture makes one"))
	}
	g.dev.sh.mu.Lock()
	defer g.dev.sh.mu.Unlock()
	if err := g.close(c); err != nil {
		return c.deviceError(err)
	}
	return nil
}

// close is Close under the lock.
func (g *graph) close(c call) error {
	sh := g.dev.sh
	if g.closed.op != "" || sh.closed {
		return nil
	}
	g.closed = c
	err := g.discard()
	for _, s := range g.held {
		s.release()
	}
	for _, d := range g.draws {
		d.cell.free(c)
	}
	for i, other := range sh.graphs {
		if other == g {
			last := len(sh.graphs) - 1
			sh.graphs[i], sh.graphs[last] = sh.graphs[last], nil
			sh.graphs = sh.graphs[:last]
			break
		}
	}
	g.held, g.reads, g.writes, g.shares, g.draws = nil, nil, nil, nil, nil
	return err
}

// closeGraphs closes the graphs that the collector has found unreachable. An error is
// kept for the next Sync or Close.
func (sh *shared) closeGraphs() {
	for _, g := range slices.Clone(sh.graphs) { // closing one gives memory back, which may sweep and close others
		if g.handle.Value() == nil {
			if err := g.close(call{op: "the garbage collector"}); err != nil && sh.late == nil {
				sh.late = err
			}
		}
	}
}

// String says what a launch does.
func (g *Graph) String() string {
	if g == nil || g.graph == nil {
		return "no graph"
	}
	return fmt.Sprintf("graph of %s and %s, with %s of its own", phrase.Count(g.kernels, "kernel", "kernels"), phrase.Count(g.fills, "fill", "fills"), byteText(g.bytes))
}
