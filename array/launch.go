package array

import (
	"sync"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// work is one operation on its way to the device: what a planning function of
// package kernels is given and gives, and then the launches. It is pooled, so
// that an operation allocates its result and nothing else.
type work struct {
	call
	dev     *Device
	plan    kernels.Plan
	expr    kernels.Expr
	layouts []layout    // of operands 1, 2, …
	inputs  []*storage  // of operands 1, 2, …: what is read, and the outputs
	loaded  []*storage  // inputs that are held for the expression
	outputs []output    // what is written besides operand 0
	sharing bool        // the kernel may store what it computes on the way
	product *node       // whose kernel this is, or nil
	shapes  product     // the product's
	factors [2]*storage // its operands, which are added when it is planned
	fusing  bool        // it may be a product's
	size    int         // elements that are computed
	placed  []place     // roots that are in expr already
	busy    int         // how many of them are marked as busy
	kernels []*driver.Kernel
	args    *driver.Args // of the launch being made
	suspect *suspect     // the operation, where its operands' values may be wrong, or nil
	cell    int          // its status cell
}

// An output is an expression that the work stores besides what it is for, as an
// operand.
type output struct {
	node    *node
	operand int
}

// place says where in an expression the elements of a node are, in the order of a
// layout over them.
type place struct {
	node   *node
	layout layout
	at     int
}

var workPool = sync.Pool{New: func() any { return &work{args: driver.NewArgs()} }}

func newWork(c call, d *Device) *work {
	w := workPool.Get().(*work)
	w.call, w.dev = c, d
	w.plan.Capability, w.plan.Multiprocessors, w.plan.BlockMemory = d.sh.cc, d.sh.multiprocessors, d.sh.blockMemory
	return w
}

// end gives w back to the pool, without references to anything.
func (w *work) end() {
	w.again()
	w.dev, w.sharing, w.fusing = nil, false, false
	workPool.Put(w)
}

// again empties w, to plan anew. Outputs that were not written are given back.
func (w *work) again() {
	for _, o := range w.outputs {
		if s := w.inputs[o.operand-1]; o.node.store != s {
			o.node.output = false
			s.free(w.call)
		}
	}
	w.release()
	w.unload()
	w.plan.Reset()
	w.product, w.factors = nil, [2]*storage{}
	clear(w.inputs)
	clear(w.outputs)
	for i := range w.placed {
		w.placed[i].node = nil // there is no other reference in a place, and it is large
	}
	clear(w.kernels)
	w.expr.Nodes, w.layouts, w.inputs, w.outputs, w.placed, w.kernels = w.expr.Nodes[:0], w.layouts[:0], w.inputs[:0], w.outputs[:0], w.placed[:0], w.kernels[:0]
	w.suspect = nil
}

// input adds a materialised node as the next operand, read with the layout l.
func (w *work) input(n *node, l layout) (operand int) {
	w.layouts = append(w.layouts, l)
	w.inputs = append(w.inputs, n.root().store)
	return len(w.inputs)
}

// constant plans a fill with a constant.
func (w *work) constant(value scalar, out *layout) error {
	w.expr.Nodes = append(w.expr.Nodes, value.word())
	return kernels.Elementwise(&w.plan, &w.expr, *out, nil)
}

// create runs the plan with a new array of the given layout, contiguous, as
// operand 0.
func (w *work) create(l layout, t kernels.Type) (*node, *Error) {
	n := &node{call: w.call, typ: t, layout: l}
	var err *Error
	n.store, err = w.run(&n.layout, t, n.room())
	return n, err
}

// run queues the plan: kernels first, as assembling one may take long; then, under
// the lock, memory, waits for other streams, launches, and notes in the blocks'
// histories. Operand 0 is into, which is given memory for the layout if it is new.
func (w *work) run(l *layout, t kernels.Type, into *storage) (*storage, *Error) {
	d, sh := w.dev, w.dev.sh
	for i := range w.plan.Launches {
		k, err := d.kernel(w.call, w.plan.Launches[i].Key)
		if err != nil {
			return nil, w.deviceError(err)
		}
		w.kernels = append(w.kernels, k)
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return w.queue(l, t, into)
}

// runLocked is run under the lock, for expressions: where a kernel is not assembled
// yet, it returns missing.
func (w *work) runLocked(l *layout, t kernels.Type, into *storage) (*storage, *Error) {
	if err := w.assembled(); err != nil {
		return nil, err
	}
	return w.queue(l, t, into)
}

// assembled looks the plan's kernels up, under the lock.
func (w *work) assembled() *Error {
	sh := w.dev.sh
	w.kernels = w.kernels[:0]
	for i := range w.plan.Launches {
		k := sh.kernels.lookup(w.plan.Launches[i].Key)
		if k == nil {
			sh.missing = w.plan.Launches[i].Key
			return missing
		}
		w.kernels = append(w.kernels, k)
	}
	return nil
}

func (w *work) queue(l *layout, t kernels.Type, into *storage) (*storage, *Error) {
	d := w.dev
	if err := d.open(w.call); err != nil {
		return nil, err
	}
	rec := d.capturing()
	if rec == nil {
		d.stream.launchWaiting(d.sh, w)
	}
	for _, s := range w.inputs {
		if err := s.readable(w.call); err != nil {
			return nil, err
		}
		if s.block != nil && s.block.in != nil && s.block.in != rec {
			return nil, w.foreign()
		}
	}
	fresh := into.sh == nil
	if fresh {
		if err := d.makeStorage(into, w.call, l, t); err != nil {
			return nil, w.deviceError(err)
		}
	} else if err := into.usable(w.call); err != nil {
		return nil, err
	}
	if len(w.plan.Launches) == 0 {
		return into, nil
	}
	if d.sh.moved != nil {
		*d.sh.moved += w.moves(l, t)
	}
	replaced := fresh || l.Len()*t.Size() == int(into.block.asked)
	if err := w.launch(into, replaced); err != nil {
		e := w.deviceError(err)
		if fresh {
			into.free(w.call)
		}
		return nil, e
	}
	if rec == nil { // else each launch of the graph carries what it reads
		w.carry(into, replaced)
	}
	return into, nil
}

// moves is the number of bytes that the work reads and writes, each once.
func (w *work) moves(out *layout, t kernels.Type) int {
	n := out.Len() * t.Size()
	for i := range w.layouts {
		l := &w.layouts[i]
		size := int(w.inputs[i].elementSize)
		for k, d := range l.Shape[:l.Rank] {
			if l.Strides[k] != 0 {
				size *= d
			}
		}
		n += size
	}
	return n
}

// launch makes the stream wait for what the plan needs and launches it. replaced says
// that it leaves nothing of what out was before.
func (w *work) launch(out *storage, replaced bool) error {
	d, sh := w.dev, w.dev.sh
	st := d.stream
	var scratch *block
	if w.plan.Scratch > 0 {
		var err error
		if scratch, err = d.obtain(w.plan.Scratch); err != nil {
			return err
		}
		sh.mark(scratch, driver.MemoryPoisoned, func() string { return "scratch memory" })
		defer sh.giveBack(scratch)
	}
	if rec := d.capturing(); rec != nil {
		rec.add(w, out, scratch, replaced)
		return nil
	}
	if err := w.waits(out, scratch); err != nil {
		return err
	}
	if err := st.needTickets(sh, w.plan.Tickets); err != nil {
		return err
	}
	if w.suspect != nil {
		var err error
		if w.cell, err = sh.statuses.open(sh, st, w.suspect); err != nil {
			return err
		}
	}
	m := st.next()
	defer w.note(out, scratch, m) // before scratch is given back, and also where a launch fails
	for i := range w.plan.Launches {
		if err := w.launchOne(&w.plan.Launches[i], w.kernels[i], out, scratch); err != nil {
			if i > 0 { // what ran before may have written a part
				out.err = w.deviceError(err)
			}
			return err
		}
		sh.counts.Launches++
	}
	return nil
}

// waits makes the stream wait for other streams' work on the operands.
func (w *work) waits(out *storage, scratch *block) error {
	st := w.dev.stream
	for _, s := range w.inputs {
		if s.block != nil {
			if err := s.block.beforeRead(st); err != nil {
				return err
			}
		}
	}
	for _, o := range w.outputs {
		if err := w.inputs[o.operand-1].block.beforeWrite(st); err != nil {
			return err
		}
	}
	for _, b := range [...]*block{out.block, scratch} {
		if b != nil {
			if err := b.beforeWrite(st); err != nil {
				return err
			}
		}
	}
	return nil
}

// note enters the work at m in the operands' histories.
func (w *work) note(out *storage, scratch *block, m mark) {
	for _, s := range w.inputs {
		if s.block != nil {
			s.block.read(m)
		}
	}
	for _, o := range w.outputs {
		w.inputs[o.operand-1].block.write(m)
	}
	for _, b := range [...]*block{out.block, scratch} {
		if b != nil {
			b.write(m)
		}
	}
	if w.suspect != nil {
		w.dev.sh.statuses.block.read(m) // operations write to cells of their own
	}
}

// launchOne queues one launch of the plan.
func (w *work) launchOne(l *kernels.Launch, k *driver.Kernel, out *storage, scratch *block) error {
	args := w.args.Reset()
	for i := range l.Args {
		a := &l.Args[i]
		if !a.Pointer {
			args.Bits(a.Bits, int(a.Size))
			continue
		}
		var base driver.Ptr
		switch a.Operand {
		case 0:
			base = out.address()
		case kernels.ScratchOperand:
			base = driver.Ptr(scratch.address)
		case kernels.TicketOperand:
			base = driver.Ptr(w.dev.stream.tickets.address)
		case kernels.StatusOperand:
			base = w.dev.sh.statuses.address(w.cell)
		default:
			base = w.inputs[a.Operand-1].address()
		}
		args.Ptr(base + driver.Ptr(a.Bits))
	}
	return k.LaunchArgs(w.dev.stream.queue, driver.LaunchConfig{Grid: l.Grid, Block: l.Block, Shared: l.Shared}, args)
}

// minTickets is the least ticket memory that a stream gets, in bytes.
const minTickets = 64 << 10

// needTickets makes sure that the stream has n bytes of ticket memory: zero when
// it is made, and left zero by every kernel that uses it.
func (s *stream) needTickets(sh *shared, n uint64) error {
	if n == 0 || s.tickets != nil && s.tickets.asked >= n {
		return nil
	}
	b, err := s.zeroed(sh, max(minTickets, roundUp(n, minTickets)), "tickets of a stream")
	if err != nil {
		return err
	}
	if s.tickets != nil {
		s.tickets.write(s.now())
		sh.giveBack(s.tickets)
	}
	s.tickets = b
	return nil
}

// zeroed returns a new block of n bytes that are zero.
func (s *stream) zeroed(sh *shared, n uint64, label string) (*block, error) {
	b, err := sh.obtain(n)
	if err != nil {
		return nil, err
	}
	sh.mark(b, driver.MemoryLive, func() string { return label })
	if err := s.clear(b); err != nil {
		sh.giveBack(b)
		return nil, err
	}
	return b, nil
}

// clear makes a block zero.
func (s *stream) clear(b *block) error {
	err := b.beforeWrite(s)
	if err == nil {
		err = s.queue.MemsetD8(driver.Ptr(b.address), 0, b.asked)
	}
	b.write(s.next())
	return err
}
