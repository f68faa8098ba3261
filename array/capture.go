package array

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A recording is a capture under way: the launches and fills that the operations on
// its Device come to, in order, over blocks of memory. Blocks that operations make
// have no address yet: which of them may lie at the same place is decided when all
// of their uses are known (see arrangement). So a Free in the capture, or the
// collector's finding an array, changes nothing in the graph. Fields are guarded by
// the shared device's lock.
type recording struct {
	call
	active bool // f has not returned
	steps  []step
	made   []*storage        // whose blocks have no address yet
	held   map[*storage]bool // made before the capture: their memory stays where it is until the graph is closed
	exprs  []*anchor         // recorded on the Device
	draws  []*drawing
	flow   flow
	cells  *block // status cells, once there is a Take
	failed *Error // the first Keep or Assign that failed
}

// A step is one launch, or, without a kernel, a fill.
type step struct {
	kernel *driver.Kernel
	config driver.LaunchConfig
	args   []kernels.Arg // Operand is an index of uses
	uses   []use
	take   *suspect // or nil

	value uint32 // of a fill
	size  int
	n     uint64
}

// A use is a block that a step reads, or writes and perhaps reads.
type use struct {
	block  *block
	writes bool
}

// A drawing is what a graph draws from a sequence of random numbers: kernels read the
// place in the sequence from a cell, which the graph moves on at its end.
type drawing struct {
	from  *sequence
	cell  *storage
	drawn uint64 // by one launch
	next  uint64 // what the cell holds when all that is queued is done
	known bool   // it holds that
}

// Capture calls f with a Device that is d, but for one thing: the work on it is not
// done but recorded, as a graph that [Graph.Launch] does again and again, each time
// by one call of the driver. It returns f's error, or the first one of an Assign or
// a Keep on the Device. Operations run on their receiver's Device, so an Array x made
// outside takes part as x.On(c), and a generator as r.On(c). What runs on another Device,
// d included, is done at once, as ever, and not recorded: where an On was forgotten,
// [Graph.String] tells of fewer kernels, perhaps none.
//
// Arrays from outside that the work reads or writes are those of the launch, not of
// the capture: an Assign to x.On(c) writes to x at each launch. Their memory stays
// where it is until the graph is closed, whether they are freed or not. Expressions
// recorded outside are evaluated, once, when the work uses them. Arrays made inside
// belong to the graph and are freed when f returns, except those on which Keep was
// called: they hold what the last launch computed, and reading them before the first
// one is ErrCapture. Random numbers are those that f would have drawn, had it been
// called in each launch's place.
//
// What needs the host cannot be captured and is ErrCapture: reads, waiting, FromSlice,
// operations the size of whose results depends on data, Fork, and a Capture inside f.
// A Take whose indices are out of range at some launch is found when something is read
// that was computed from what that launch took.
// f may use several goroutines, and must wait for them. When it has returned, c may
// still be used: its work is then done at once, on d's stream.
func (d *Device) Capture(f func(c *Device) error) (*Graph, error) {
	c := directly("Device.Capture")
	if err := d.enter(c); err != nil {
		return nil, err
	}
	d.leave() // f may close d
	if f == nil {
		return nil, c.fail(because(ErrArgument, "the function is nil, so there is nothing to give the Device to"))
	}
	if err := d.hostless(c, "A capture in a capture"); err != nil {
		return nil, err
	}
	rec := &recording{call: c, active: true, held: map[*storage]bool{}, flow: flow{of: map[*block]sources{}}}
	cd := &Device{sh: d.sh, stream: d.stream, scope: &scope{parent: d.scope}, part: true, rec: rec}
	var g *Graph
	defer func() { // also where f panics
		d.sh.mu.Lock()
		defer d.sh.mu.Unlock()
		if g == nil {
			rec.abort(cd)
		}
	}()
	if err := f(cd); err != nil {
		return nil, err
	}
	if err := rec.moveOn(cd); err != nil {
		return nil, err
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	err := d.open(c)
	if err == nil {
		err = rec.failed
	}
	if err == nil {
		g, err = rec.finish(d, cd)
	}
	return g, asError(err)
}

// capturing returns the recording that takes d's work, or nil. The caller holds the
// lock.
func (d *Device) capturing() *recording {
	if d.rec != nil && d.rec.active {
		return d.rec
	}
	return nil
}

// hostless is the error of something that a graph cannot contain, if d's work is
// being captured.
func (d *Device) hostless(c call, what string) *Error {
	if d.rec == nil {
		return nil
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if d.capturing() == nil {
		return nil
	}
	return c.uncapturable(what)
}

func (c call) uncapturable(what string) *Error {
	return c.fail(because(ErrCapture, "%s cannot be part of a graph, which runs without the host; do it before Capture or after Launch", what))
}

// madeIn is the capture under way in which a value is made, or nil. n is a root.
func (n *node) madeIn() *recording {
	switch {
	case n.store != nil:
		if n.store.block != nil {
			return n.store.block.in
		}
	case n.dev != nil:
		return n.dev.capturing()
	}
	return nil
}

// foreign is the error of using what a capture makes in work that is not its own.
func (c call) foreign() *Error {
	return c.fail(because(ErrCapture, "it is computed by a graph that is being captured; x.On(c) brings an array x from outside into the capture, and Keep one out of it, after a Launch"))
}

// spoil notes that what was to leave the capture failed.
func (d *Device) spoil(err *Error) {
	if err == nil || d == nil || d.rec == nil {
		return
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if rec := d.capturing(); rec != nil && rec.failed == nil {
		rec.failed = err
	}
}

// block returns a block that has no address yet.
func (rec *recording) block(n uint64) *block { return &block{asked: n, in: rec} }

// hold keeps the memory of a storage from outside where it is.
func (rec *recording) hold(s *storage) {
	if s.block != nil && s.block.in == nil && !rec.held[s] {
		rec.held[s] = true
		s.holds++
	}
}

// places reserves places for the indices of a Take in a capture, and returns the first.
func (d *Device) places(n int) (first int) {
	if d.rec == nil {
		return 0
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if rec := d.capturing(); rec != nil {
		first = rec.flow.places
		rec.flow.places += n
	}
	return first
}

// needCells returns the graph's status cells. Each launch clears them.
func (rec *recording) needCells() *block {
	if rec.cells == nil {
		rec.cells = rec.block(8 * (graphCells + 1))
		rec.cells.lasting = true
		rec.steps = append(rec.steps, step{uses: []use{{rec.cells, true}}, size: 4, n: 2 * (graphCells + 1)})
	}
	return rec.cells
}

// add appends the launches of a work. replaced says that it leaves nothing of what out
// was before.
func (rec *recording) add(w *work, out *storage, scratch *block, replaced bool) {
	rec.flow.work(w, out, replaced)
	operands := []*block{out.block}
	rec.hold(out)
	for _, s := range w.inputs {
		operands = append(operands, s.block)
		rec.hold(s)
	}
	written := map[int]bool{0: true}
	for _, o := range w.outputs {
		written[o.operand] = true
	}
	var tickets *block
	if w.plan.Tickets > 0 {
		tickets = rec.block(w.plan.Tickets)
		tickets.lasting = true
	}
	for i := range w.plan.Launches {
		l := &w.plan.Launches[i]
		if w.suspect != nil {
			rec.needCells() // before it
		}
		s := step{take: w.suspect, kernel: w.kernels[i], config: driver.LaunchConfig{Grid: l.Grid, Block: l.Block, Shared: l.Shared}}
		for _, a := range l.Args {
			if a.Pointer {
				switch a.Operand {
				case kernels.ScratchOperand:
					a.Operand = s.use(scratch, true)
				case kernels.TicketOperand:
					a.Operand = s.use(tickets, true)
				case kernels.StatusOperand:
					a.Operand = s.use(rec.cells, false) // several may write at once
				default:
					a.Operand = s.use(operands[a.Operand], written[a.Operand])
				}
			}
			s.args = append(s.args, a)
		}
		rec.steps = append(rec.steps, s)
	}
}

// use notes a block and returns its place.
func (s *step) use(b *block, writes bool) int {
	for i := range s.uses {
		if s.uses[i].block == b {
			s.uses[i].writes = s.uses[i].writes || writes
			return i
		}
	}
	s.uses = append(s.uses, use{b, writes})
	return len(s.uses) - 1
}

// fill appends a fill of a new array.
func (rec *recording) fill(s *storage, value uint32, size int, n uint64) {
	rec.hold(s)
	rec.steps = append(rec.steps, step{uses: []use{{s.block, true}}, value: value, size: size, n: n})
}

// readsElsewhere says whether the work reads elements of s for others than those that
// it overwrites at their place, which to shows.
func (w *work) readsElsewhere(s *storage, to *layout) bool {
	for i, in := range w.inputs {
		if in == s && !sameElements(&w.layouts[i], to) {
			return true
		}
	}
	return w.product != nil && slices.Contains(w.factors[:], s)
}

// evaluateReaders evaluates the expressions recorded in a capture that read s: the
// latest first, which are not computed from what the others give, so that the graph
// may do without those.
func (sh *shared) evaluateReaders(rec *recording, s *storage) *Error {
	for _, n := range slices.Backward(slices.Collect(s.readers.all)) {
		if n.pending() && n.dev.capturing() == rec {
			if err := sh.try(n); err == missing {
				return err
			}
		}
	}
	return nil
}

// writeRecorded is write in a capture. An array from outside keeps its memory, so
// recorded expressions that read it are evaluated before it is overwritten; what
// they give is not computed by the graph unless something uses it.
func (c call) writeRecorded(rec *recording, dst handle, express func(w *work) *Error) *Error {
	sh, to, s := dst.dev.sh, &dst.node.layout, dst.node.root().store
	w := newWork(c, dst.dev)
	defer w.end()
	w.fusing = true
	if err := express(w); err != nil {
		return err
	}
	if w.readsElsewhere(s, to) { // the expression goes through memory of its own
		if err := sh.evaluateReaders(rec, s); err != nil {
			return err
		}
		w.again()
		if err := express(w); err != nil {
			return err
		}
	}
	if err := w.planTo(dst.node.typ, to); err != nil {
		return c.unsupported(err, dst)
	}
	if err := w.assembled(); err != nil {
		return err
	}
	if err := sh.evaluateReaders(rec, s); err != nil {
		return err
	}
	_, err := w.runLocked(to, dst.node.typ, s)
	if err == nil {
		w.computed()
	}
	return err
}

// draw reserves the counter range of a draw that takes so many blocks of numbers: it
// begins at what the cell will hold, plus the offset. The caller holds the lock.
func (rec *recording) draw(sh *shared, s *sequence, blocks uint64) (cell *storage, offset uint64, err error) {
	i := slices.IndexFunc(rec.draws, func(d *drawing) bool { return d.from == s })
	if i < 0 {
		b, err := sh.obtain(counterBytes)
		if err != nil {
			return nil, 0, err
		}
		d := &drawing{from: s, cell: (&node{}).room()}
		d.cell.sh, d.cell.block, d.cell.elementSize = sh, b, counterBytes
		sh.registry.add(b, d.cell.owner())
		sh.mark(b, driver.MemoryPoisoned, func() string { return "the counter of a graph's random numbers" })
		i, rec.draws = len(rec.draws), append(rec.draws, d)
	}
	d := rec.draws[i]
	offset = d.drawn
	d.drawn += blocks
	return d.cell, offset, nil
}

const counterBytes = 8

// moveOn ends a recording that draws random numbers with the steps that move its
// counters on.
func (rec *recording) moveOn(d *Device) *Error {
	for _, drawn := range rec.draws {
		w := newWork(rec.call, d)
		cell := &node{typ: kernels.Uint64, store: drawn.cell}
		w.expr.Nodes = append(w.expr.Nodes,
			kernels.Node{Kind: kernels.Load, Type: kernels.Uint64, Operand: w.input(cell, cell.layout)},
			kernels.Node{Kind: kernels.Immediate, Type: kernels.Uint64, Bits: drawn.drawn},
			kernels.Node{Kind: kernels.Apply, Op: kernels.OpAdd, Type: kernels.Uint64, Args: [3]int{0, 1}})
		err := w.planTo(kernels.Uint64, &cell.layout)
		if err == nil {
			_, failed := w.run(&cell.layout, kernels.Uint64, drawn.cell)
			err = asError(failed)
		}
		w.end()
		if err != nil {
			return rec.deviceError(err)
		}
	}
	return nil
}

// stop ends the recording: what was made in it and not kept is freed. The caller
// holds the lock.
func (rec *recording) stop(d *Device) {
	rec.active = false
	for _, p := range rec.exprs {
		if n := p.node(); n != nil && n.pending() {
			n.freed = rec.call
			d.sh.unlink(n)
		}
	}
	d.scope.end(d.sh, rec.call)
}

// abort leaves nothing of a recording that becomes no graph.
func (rec *recording) abort(d *Device) {
	rec.stop(d)
	for _, s := range rec.made {
		s.free(rec.call)
	}
	for s := range rec.held {
		s.release()
	}
	for _, drawn := range rec.draws {
		drawn.cell.free(rec.call)
	}
}

// release ends a hold. What was freed meanwhile, or is left to no one, goes.
func (s *storage) release() {
	s.holds--
	switch {
	case s.freed.op != "":
		s.settle()
	case s.detached && !s.readers.any():
		s.drop()
	}
}
