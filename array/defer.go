package array

import (
	"errors"
	"runtime"
	"slices"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Deferred elementwise work. Operations that are rows of the kernels' table only
// record an expression; one kernel computes all of it when its value is needed.
// What must not show is when that is:
//
//   - Elements that an expression reads are not overwritten or given back under
//     it. Whoever wants to finds the expression in the storage's list of readers,
//     and either leaves it the memory (see storage.detach) or evaluates it first.
//   - Lists of readers keep young expressions only (see anchor): an older one that
//     nobody can reach is not run, and what it alone holds is given back after a
//     collection.
//   - A view of an expression is a layout over what the expression's elements will
//     be (see node.base), so that writing through it writes to the array.
//
// All of this is guarded by the shared device's lock.

// Limits of an expression that is still recorded; what goes beyond has its largest
// operand evaluated. They bound the registers and the parameters of a kernel, and
// the time it takes to write and assemble it: a chain that is longer than that has
// little to gain from being one kernel.
const (
	maxNodes    = 32                     // operations
	maxLeaves   = 8                      // arrays read
	maxExpanded = 2*maxNodes + maxLeaves // nodes in a kernel: a scalar for each operation, or one expression that is read through several views
	maxOutputs  = 4                      // expressions that a kernel stores besides the one that it is for
)

// Costs of operations, in units of an addition, where it is to be decided whether
// computing something again is cheaper than storing it.
const (
	costly      = 8   // functions, division
	fewCheapOps = 4   // may be computed once for each element that they broadcast to
	opsPerByte  = 5   // take as long as a byte moved
	maxCost     = 1e6 // where costs, and operations, stop being added
)

// costOf is an operation's cost.
func costOf(op kernels.Op) int32 {
	switch op {
	case kernels.OpDiv, kernels.OpFloorDivide, kernels.OpRemainder, kernels.OpPow, kernels.OpReciprocal, kernels.OpSqrt, kernels.OpRsqrt,
		kernels.OpExp, kernels.OpExp2, kernels.OpExpm1, kernels.OpLog, kernels.OpLog2, kernels.OpLog10, kernels.OpLog1p,
		kernels.OpTanh, kernels.OpSigmoid, kernels.OpSin, kernels.OpCos:
		return costly
	}
	return 1
}

// root is the node whose elements n shows: n itself, or what it is a view of.
func (n *node) root() *node {
	if n.base != nil {
		return n.base
	}
	return n
}

// pending says whether n is an operation that has not been evaluated. n is a root.
func (n *node) pending() bool {
	return n.store == nil && n.fault == nil && n.expr.kind == kernels.Apply && n.expr.args[0] != nil
}

// readers lists the expressions that read an array, or an expression, themselves.
// Mostly there is one.
type readers struct {
	one  *anchor
	more []*anchor
}

func (r *readers) add(p *anchor) {
	switch n := len(r.more); {
	case r.one == nil:
		r.one = p
		return
	case n >= 64 && n == cap(r.more): // before it grows it is cleared of what is gone
		r.any()
	}
	r.more = append(r.more, p)
}

// remove takes out p, which was added late, in most cases.
func (r *readers) remove(p *anchor) {
	last := len(r.more) - 1
	for i := last; i >= 0; i-- {
		if r.more[i] == p {
			r.more[i] = r.more[last]
			r.more[last] = nil
			r.more = r.more[:last]
			return
		}
	}
	if r.one == p {
		r.one = nil
	}
}

// any says whether an expression is left that may be evaluated, and clears the list
// of the others.
func (r *readers) any() bool {
	if r.one != nil && pending(r.one) == nil {
		r.one = nil
	}
	left := r.more[:0]
	for _, p := range r.more {
		if pending(p) != nil {
			left = append(left, p)
		}
	}
	clear(r.more[len(left):])
	r.more = left
	return r.one != nil || len(left) > 0
}

// empty says that no expression is listed, gone or not.
func (r *readers) empty() bool { return r.one == nil && len(r.more) == 0 }

// all goes through the expressions that may be evaluated, mostly in the order in which
// they were added. The list must not change meanwhile.
func (r *readers) all(yield func(*node) bool) {
	if n := pending(r.one); n != nil && !yield(n) {
		return
	}
	for _, p := range r.more {
		if n := pending(p); n != nil && !yield(n) {
			return
		}
	}
}

// last is an expression that was added late, or nil; after any, one that is left.
func (r *readers) last() *node {
	if n := len(r.more); n > 0 {
		return pending(r.more[n-1])
	}
	return pending(r.one)
}

// pending is what p points to, if that may be evaluated, or nil.
func pending(p *anchor) *node {
	if n := p.node(); n != nil && n.pending() {
		return n
	}
	return nil
}

// readBy is the list of the expressions that read n, a root.
func (n *node) readBy() *readers {
	if n.store != nil {
		return &n.store.readers
	}
	return &n.readers
}

// link enters an operation, and those that it is composed of, as readers of what
// they read.
func (c call) link(d *Device, n *node) {
	n.call, n.dev, n.linked = c, d, true
	n.nodes, n.cost = 1, costOf(n.expr.op)
	self := d.sh.anchor(n, uint64(n.bytes()))
	if n.scope = d.scope.lasting(); n.scope != nil {
		n.scope.note(self)
	}
	if n.expr.product != nil {
		n.cost = maxCost
	}
	rec := d.capturing()
	if rec != nil {
		rec.exprs = append(rec.exprs, self)
	}
	for i, a := range n.operands() {
		r := a.root()
		if r.store == nil && r.expr.kind != kernels.Apply {
			continue // a constant
		}
		if r.store == nil && !r.linked {
			c.link(d, r)
		}
		if r.store == nil {
			n.nodes = min(n.nodes+r.nodes, maxCost) // a tree's count doubles where a node is read twice
			n.leaves = min(n.leaves+r.leaves, maxCost)
			n.reads += r.reads
			n.cost = min(n.cost+r.cost, maxCost)
		} else {
			if rec != nil {
				rec.hold(r.store)
			}
			n.leaves++
			n.reads += min(r.Len(), n.Len()) * r.typ.Size()
		}
		if n.reads < 0 {
			n.reads = maxBytes // beyond counting, so never worth reading again
		}
		if i > 0 && n.expr.args[0].root() == r || i > 1 && n.expr.args[1].root() == r {
			continue // counted already
		}
		r.consumers++
		r.readBy().add(self)
	}
}

// operands are the nodes that n's operation works on.
func (n *node) operands() []*node {
	k := 0
	for k < len(n.expr.args) && n.expr.args[k] != nil {
		k++
	}
	return n.expr.args[:k]
}

// unlink forgets how n was to be computed: it is not needed any more. What only n
// kept goes too.
func (sh *shared) unlink(n *node) {
	args := n.expr.args
	n.expr = expression{}
	for i, a := range args {
		if a == nil {
			break
		}
		r := a.root()
		if r.store == nil && !r.linked || i > 0 && args[0].root() == r || i > 1 && args[1].root() == r {
			continue
		}
		list := r.readBy()
		list.remove(n.self)
		if !list.empty() {
			continue
		}
		if s := r.store; s != nil && s.detached {
			s.drop()
		} else if s == nil && r.freed.op != "" && r.busy == 0 && r.pending() {
			sh.unlink(r)
		}
	}
}

// tooLarge returns the largest operand of an operation that exceeds the limits, to
// be evaluated before it is recorded, or nil.
func (n *node) tooLarge() *node {
	var t tally
	t.node(n)
	if t.nodes <= maxNodes && t.leaves <= maxLeaves {
		return nil
	}
	var largest *node
	most := -1
	for _, a := range n.parts() {
		if size := a.nodes + a.leaves; size > most {
			largest, most = a, size
		}
	}
	return largest
}

// parts are the recorded expressions right under an operation, which may be
// composed of operations that are not recorded yet.
func (n *node) parts() []*node {
	var list []*node
	for _, a := range n.operands() {
		switch r := a.root(); {
		case r.store != nil || r.expr.kind != kernels.Apply || r.fault != nil:
		case r.linked:
			list = append(list, r)
		default:
			list = append(list, r.parts()...)
		}
	}
	return list
}

// A tally counts the different nodes and arrays of an expression. It stops beyond
// the limits.
type tally struct {
	nodes, leaves int
	seen          [maxNodes + maxLeaves + 2]*node
}

func (t *tally) node(n *node) {
	if t.nodes > maxNodes || t.leaves > maxLeaves || n.store == nil && n.expr.kind != kernels.Apply {
		return
	}
	for _, s := range t.seen[:t.nodes+t.leaves] {
		if s == n {
			return
		}
	}
	if t.see(n); n.store != nil {
		return
	}
	for _, a := range n.operands() {
		t.node(a.root())
	}
}

// see adds n alone.
func (t *tally) see(n *node) {
	t.seen[t.nodes+t.leaves] = n
	if n.store != nil {
		t.leaves++
	} else {
		t.nodes++
	}
}

// record makes an expression a value of the program, to be evaluated when it is
// needed. Operands are those that were not checked under the lock yet.
func (c call) record(d *Device, n *node, operands ...handle) handle {
	n.call = c
	h := handle{d, n}
	if err := d.fits(c, &n.layout, n.typ); err != nil {
		return h.failed(err)
	}
	for {
		d.sh.mu.Lock()
		large := (*node)(nil)
		err := d.open(c)
		if err == nil && len(operands) > 0 {
			err = c.checkLocked(operands)
		}
		if err == nil {
			if large = n.tooLarge(); large == nil {
				if c.link(d, n); n.expr.product != nil {
					n.wait()
				}
			}
		}
		d.sh.mu.Unlock()
		if err != nil {
			return h.failed(err)
		}
		if large == nil {
			break
		}
		if err := c.evaluate(handle{d, large}); err != nil {
			return h.failed(err)
		}
	}
	if d.sh.eager {
		if err := c.evaluate(h); err != nil {
			return h.failed(err)
		}
	}
	return h
}

// missing is the error of an evaluation that needs a kernel which is not assembled
// yet: shared.missing is its key. The caller assembles it without the lock, and
// tries again.
var missing = &Error{Op: "evaluation"}

// underway is the error of evaluating what the kernel of another work, which is on its
// way to the device, stores. Only those meet it who evaluate on the way, and need not:
// they leave it.
var underway = &Error{Op: "evaluation"}

// locked calls f under the lock, again and again until it does not return missing.
// f must be able to start over.
func (c call) locked(d *Device, f func() *Error) *Error {
	for {
		d.sh.mu.Lock()
		err := f()
		key := d.sh.missing
		d.sh.mu.Unlock()
		if err != missing {
			return err
		}
		if _, err := d.kernel(c, key); err != nil {
			return c.deviceError(err)
		}
	}
}

// evaluate materialises an array: after it, its elements are in its storage, and
// will be as soon as the device gets there.
func (c call) evaluate(h handle) *Error {
	n := h.node.root()
	if h.node.err != nil {
		return h.node.err
	}
	sh := h.dev.sh
	for {
		sh.mu.Lock()
		err := sh.try(n)
		key := sh.missing
		sh.mu.Unlock()
		if err != missing {
			return err
		}
		if _, failed := h.dev.kernel(n.call, key); failed != nil {
			err := n.deviceError(failed)
			sh.mu.Lock()
			err = sh.fail(n, err)
			sh.mu.Unlock()
			return err
		}
	}
}

// fail makes n carry the error of its evaluation, and returns it.
func (sh *shared) fail(n *node, err *Error) *Error {
	if n.pending() {
		var operands [3]handle
		args := n.operands()
		for i, a := range args {
			operands[i].node = a
		}
		n.fault = n.of(err, operands[:len(args)]...)
		sh.unlink(n)
	}
	return n.fault
}

// where is the Device on which n is evaluated: that which it was recorded on, if it
// is still there.
func (n *node) where() *Device {
	if n.dev.stream.closed {
		return n.dev.sh.root
	}
	return n.dev
}

// try evaluates n, a root, under the lock.
func (sh *shared) try(n *node) *Error {
	if !n.pending() {
		return n.fault
	}
	if n.output {
		return underway
	}
	w := newWork(n.call, n.where())
	defer w.end()
	s, err := w.evaluate(n, true)
	if err != nil && len(w.outputs) > 0 && errors.Is(err, ErrOutOfMemory) {
		w.again()
		s, err = w.evaluate(n, false)
	}
	if err == missing || err == underway {
		return err
	}
	if err != nil {
		if !sh.relieving { // else that was only an attempt
			err = sh.fail(n, err)
		}
		return err
	}
	w.computed()
	sh.stored(n, s)
	return nil
}

// stored makes n an array whose elements are in s.
func (sh *shared) stored(n *node, s *storage) {
	if sc := n.scope; sc != nil && sc.ended.op != "" && n.freed.op == "" {
		n.freed = sc.ended
	}
	s.readers, n.readers = n.readers, readers{}
	sh.unlink(n)
	n.store = s
	if n.freed.op != "" { // only expressions read it
		s.detached = true
		if !s.readers.any() {
			s.drop()
		}
	}
}

// evaluate computes n to memory of its own, and stores what n shares with other
// expressions if it may.
func (w *work) evaluate(n *node, sharing bool) (*storage, *Error) {
	if err := w.dev.open(n.call); err != nil {
		return nil, err
	}
	w.sharing, w.fusing = sharing, true
	if err := w.compute(n); err != nil {
		return nil, err
	}
	return w.runLocked(&n.layout, n.typ, n.room())
}

// compute plans the evaluation of n.
func (w *work) compute(n *node) *Error {
	if n.Len() == 0 {
		return nil
	}
	w.size = n.Len()
	_, err := w.operation(n, &n.layout, true)
	if err == tooMany {
		w.again()
		for _, a := range n.operands() {
			if err := w.dev.sh.try(a.root()); err != nil {
				return err
			}
		}
		w.size = n.Len()
		_, err = w.operation(n, &n.layout, true)
	}
	if err != nil {
		return err
	}
	w.share(n)
	if err := w.planTo(n.typ, &n.layout); err != nil {
		return w.unsupported(err, handle{w.dev, n})
	}
	return nil
}

// tooMany is the error of an expression that takes more than maxExpanded nodes.
var tooMany = &Error{Op: "evaluation"}

// value adds an array or an expression, read with the layout l over the elements of
// its root, to the work's expression, and makes sure that it fits: it is the whole
// expression.
func (w *work) value(n *node, l *layout) *Error {
	w.size = l.Len()
	_, err := w.place(n, l)
	if err != tooMany {
		return err
	}
	w.again()
	if err := w.dev.sh.try(n.root()); err != nil {
		return err
	}
	_, err = w.place(n, l)
	return err
}

// place adds the elements of n's root, in the order of the layout m over them, to
// the work's expression, once, and returns where.
func (w *work) place(n *node, m *layout) (int, *Error) {
	r := n.root()
	for i := range w.placed {
		if p := &w.placed[i]; p.node == r && (r.expr.kind == kernels.Immediate || sameElements(&p.layout, m)) {
			return p.at, nil
		}
	}
	switch {
	case r.fault != nil:
		return 0, r.fault
	case r.store != nil:
		return w.load(r, m)
	case r.expr.kind != kernels.Apply:
		return w.append(r, m, kernels.Node{Kind: r.expr.kind, Type: r.typ, Bits: r.expr.bits})
	case w.keeps(r, m) || r.linked && w.dev.capturing() != r.dev.capturing():
		if err := w.dev.sh.try(r); err != nil {
			return 0, err
		}
		return w.load(r, m)
	}
	return w.operation(r, m, false)
}

// keeps says whether a pending expression, read with the layout m, is to be
// evaluated on its own rather than as part of this one: there are more elements here
// than it has itself, or it is to be stored, and this kernel cannot do that besides.
func (w *work) keeps(r *node, m *layout) bool {
	if r.busy > 0 || !r.linked {
		return false
	}
	if w.size > r.Len() {
		return r.cost > fewCheapOps
	}
	again := r.again()
	return again > 0 && !(w.sharing && covers(m, r)) && again*(r.price(nil)-r.bytes()) > 2*r.bytes()
}

// A kernel may store expressions that it computes on the way, as outputs besides
// its own. That writes their bytes once; and each later kernel that needs one reads
// the bytes instead of what it is computed from, and does not compute it. Later
// kernels are those of the operations recorded with it as an operand that are not
// part of this one; and where it was computed before, as many others are expected as
// there were so far. So what is computed again and again is stored in the end, at no
// more than twice the price of having known.

// share adds outputs to the work for the expressions of which that is worth it. n,
// if not nil, is what the kernel stores anyway.
func (w *work) share(n *node) {
	if !w.sharing {
		return
	}
	for i := len(w.placed) - 1; i >= 0 && len(w.outputs) < maxOutputs; i-- {
		p := &w.placed[i]
		r := p.node
		if r == n || r.store != nil || !r.linked || r.consumers < 2 && r.inlined == 0 && r.expr.product == nil || w.elsewhere(r) {
			continue
		}
		if covers(&p.layout, r) && !w.writes(r) && (w.saves(r) > r.bytes() || r.insured()) {
			w.output(p)
		}
	}
}

// prologue is value for a kernel that stores nothing besides: what is worth more than
// another launch and reading it once is evaluated first.
func (w *work) prologue(n *node, l *layout) *Error {
	for {
		if err := w.value(n, l); err != nil {
			return err
		}
		r := w.storedBefore(n.root())
		if r == nil {
			return nil
		}
		w.again()
		if err := w.dev.sh.try(r); err != nil {
			return err
		}
	}
}

// storedBefore returns an expression in the work, which is top or is in it, that saves
// later kernels more than it takes to write it and to read it here, or nil.
func (w *work) storedBefore(top *node) *node {
	for i := len(w.placed) - 1; i >= 0; i-- {
		p := &w.placed[i]
		r, here := p.node, int32(1) // operations recorded on it that are in the work
		if r == top {
			here = 0
		}
		if r.store == nil && r.linked && (r.consumers > here || r.inlined > 0) && !w.elsewhere(r) && covers(&p.layout, r) && w.saves(r) > 2*r.bytes() {
			return r
		}
	}
	return nil
}

// elsewhere says whether another work, under way, computes r too.
func (w *work) elsewhere(r *node) bool {
	own := int32(0)
	for i := range w.placed {
		if w.placed[i].node == r {
			own++
		}
	}
	return r.busy > own
}

// covers says whether the layout m over r's elements shows each of them once.
func covers(m *layout, r *node) bool { return m.Len() == r.Len() && !overlapsItself(m) }

// writes says whether r is an output already.
func (w *work) writes(r *node) bool {
	for _, o := range w.outputs {
		if o.node == r {
			return true
		}
	}
	return false
}

// output adds the expression at p to what the kernel stores, if there is memory.
func (w *work) output(p *place) {
	r := p.node
	s := r.where().spareStorage(r)
	if s == nil {
		return
	}
	w.layouts = append(w.layouts, p.layout)
	w.inputs = append(w.inputs, s)
	w.outputs = append(w.outputs, output{r, len(w.inputs)})
	r.output = true
	w.expr.Nodes = append(w.expr.Nodes, kernels.Node{Kind: kernels.Store, Type: r.typ, Args: [3]int{p.at}, Operand: len(w.inputs)})
}

// bytes is the size of n's elements.
func (n *node) bytes() int { return n.Len() * n.typ.Size() }

// again is how often r was computed without being stored, but for the times that a
// pending expression was in which it is an operand.
func (r *node) again() int {
	most := int32(0)
	if r.inlined > 0 {
		for c := range r.readers.all {
			most = max(most, c.inlined)
		}
	}
	return int(r.inlined - most)
}

// saves is what later kernels save where r is stored: bytes, and operations counted
// as bytes.
func (w *work) saves(r *node) int {
	var tops [maxOutputs]*node
	known := 0
	for c := range r.readers.all {
		if w.holds(c) || known == len(tops) {
			continue
		}
		if top := c.top(); !slices.Contains(tops[:known], top) {
			tops[known] = top
			known++
		}
	}
	saved := 0
	for _, top := range tops[:known] {
		saved += r.price(top) - r.bytes()
	}
	if again := r.again(); again > known {
		saved += (again - known) * (r.price(nil) - r.bytes())
	}
	return saved
}

// holds says whether n is part of the work.
func (w *work) holds(n *node) bool {
	for i := range w.placed {
		if w.placed[i].node == n {
			return true
		}
	}
	return false
}

// top follows the pending expressions that n is an operand of upwards, to what is
// likely to be evaluated. Where there are several, any does.
func (n *node) top() *node {
	for {
		up := n
		for c := range n.readers.all {
			up = c
			break
		}
		if up == n {
			return n
		}
		n = up
	}
}

// price is what computing r takes in an expression, in bytes: those read that the
// rest of the expression does not read anyway, and operations.
func (r *node) price(in *node) int {
	var own, rest tally
	own.node(r)
	if in != nil {
		rest.see(r)
		rest.node(in)
	}
	sum := int(r.cost) * r.Len() / opsPerByte
	for _, leaf := range own.seen[:own.nodes+own.leaves] {
		if leaf.store != nil && !slices.ContainsFunc(rest.seen[:rest.nodes+rest.leaves], func(n *node) bool { return n.store == leaf.store }) {
			sum += min(leaf.Len(), r.Len()) * leaf.typ.Size()
		}
	}
	return sum
}

// operation adds r's operation and, before it, what it works on. Where r is read
// through a layout that its operands cannot be read through, r is evaluated first;
// whole says that r is read as it is.
func (w *work) operation(r *node, m *layout, whole bool) (int, *Error) {
	r.busy++
	defer func() { r.busy-- }()
	if r.expr.product != nil {
		return w.accumulate(r, m)
	}
	k := kernels.Node{Kind: kernels.Apply, Op: r.expr.op, Type: r.typ}
	var maps [3]layout
	var over3 [3]*layout // mostly the operands' own
	args := r.operands()
	whole = whole || m.Rank == r.Rank && sameElements(m, &r.layout) && m.Shape == r.Shape
	for i, a := range args {
		if over3[i] = &maps[i]; a.root().expr.kind == kernels.Immediate {
			continue
		}
		if whole && sameShape(&a.layout, &r.layout) {
			over3[i] = &a.layout
			continue
		}
		over, err := broadcastTo(&a.layout, dims(&r.layout))
		if err != nil {
			return 0, w.explain(err)
		}
		ok := true
		if whole {
			maps[i] = over
		} else if maps[i], ok = through(m, &over); !ok {
			if err := w.dev.sh.try(r); err != nil {
				return 0, err
			}
			return w.load(r, m)
		}
	}
	for i, a := range args {
		var err *Error
		if a == &scalars[a.typ] {
			k.Args[i], err = w.node(kernels.Node{Kind: kernels.Immediate, Type: a.typ, Bits: r.expr.bits})
		} else {
			k.Args[i], err = w.place(a, over3[i])
		}
		if err != nil {
			return 0, err
		}
	}
	return w.append(r, m, k)
}

// load adds a load of r's elements.
func (w *work) load(r *node, m *layout) (int, *Error) {
	for i, s := range w.inputs {
		if s == r.store && sameElements(&w.layouts[i], m) {
			for at, k := range w.expr.Nodes {
				if k.Kind == kernels.Load && k.Operand == i+1 {
					return at, nil
				}
			}
		}
	}
	w.layouts = append(w.layouts, *m)
	w.inputs = append(w.inputs, r.store)
	w.loads(r.store)
	return w.append(r, m, kernels.Node{Kind: kernels.Load, Type: r.typ, Operand: len(w.inputs)})
}

// loads has s keep its memory until unload, as the work's expression reads it: other
// expressions that read it may be evaluated, and graphs closed, before the work is
// on its way.
func (w *work) loads(s *storage) {
	s.holds++
	w.loaded = append(w.loaded, s)
}

func (w *work) unload() {
	for _, s := range w.loaded {
		s.release()
	}
	clear(w.loaded)
	w.loaded = w.loaded[:0]
}

// append adds a node to the expression, which has the elements of r.
func (w *work) append(r *node, m *layout, k kernels.Node) (int, *Error) {
	at, err := w.node(k)
	if err != nil {
		return 0, err
	}
	last := len(w.placed)
	w.placed = slices.Grow(w.placed, 1)[:last+1]
	p := &w.placed[last] // in its place, as a layout takes long to copy
	p.node, p.layout, p.at = r, *m, at
	r.busy++
	w.busy++
	return at, nil
}

// node adds a node to the expression.
func (w *work) node(k kernels.Node) (int, *Error) {
	at := len(w.expr.Nodes)
	if at == maxExpanded {
		return 0, tooMany
	}
	w.expr.Nodes = append(w.expr.Nodes, k)
	return at, nil
}

// computed notes that the operations in the work were computed, and makes arrays of
// those that were stored.
func (w *work) computed() {
	w.release()
	for i := range w.placed {
		if n := w.placed[i].node; n.store == nil {
			n.inlined++
		}
	}
	for _, o := range w.outputs {
		o.node.output = false
		w.dev.sh.stored(o.node, w.inputs[o.operand-1])
	}
}

// release lets the work's expressions be evaluated by others, and dropped. While the
// work is planned and queued they may not: what they are computed from is forgotten
// then.
func (w *work) release() {
	for i := range w.placed[:w.busy] {
		w.placed[i].node.busy--
	}
	w.busy = 0
}

// overwritten makes sure that expressions recorded so far keep their values when
// elements of s are overwritten: it evaluates them.
func (sh *shared) overwritten(s *storage) *Error {
	for s.readers.any() {
		n := s.readers.last()
		if n == nil { // the collector has just found it
			continue
		}
		if err := sh.try(n); err != nil && n.pending() { // a kernel is missing, or this was only an attempt
			return err
		}
	}
	return nil
}

// detach moves the memory of s, and the expressions that read it, to a storage that
// nothing else refers to. s has no memory then.
func (s *storage) detach() *storage {
	old := (&node{}).room()
	old.sh, old.elementSize, old.err, old.carried, old.detached, old.label = s.sh, s.elementSize, s.err, s.carried, true, s.label
	if old.block = s.block; old.block != nil {
		old.block.owner = old.owner()
		s.sh.setAside += old.block.bytes
		old.block.aside = true
	}
	s.block = nil
	s.moveReaders(old)
	return old
}

// attach undoes detach.
func (s *storage) attach(old *storage) {
	if s.block = old.block; s.block != nil {
		s.block.owner = s.owner()
		s.block.aside = false
		s.sh.setAside -= s.block.bytes
	}
	old.block = nil
	old.moveReaders(s)
}

// moveReaders makes the expressions that read s read to.
func (s *storage) moveReaders(to *storage) {
	to.readers, s.readers = s.readers, readers{}
	for n := range to.readers.all {
		for i, a := range n.operands() {
			if a.root().store == s {
				r := to.node
				if r.store != nil {
					r = new(node)
				}
				r.typ, r.layout, r.store = a.typ, a.layout, to
				n.expr.args[i] = r
			}
		}
	}
}

// maySetAside says whether n more bytes may be kept for expressions after what they
// read was freed or overwritten. Much of that may be garbage that the collector has
// not found yet, so it is bounded; beyond, expressions are evaluated.
func (sh *shared) maySetAside(n uint64) bool {
	room := sh.total / 8
	if sh.limit > 0 {
		room = min(room, sh.limit/8)
	}
	if sh.setAside+n <= max(room, minSetAside) {
		return true
	}
	if collections.Load() == sh.registry.seen {
		return false
	}
	sh.sweep()
	return sh.setAside+n <= max(room, minSetAside)
}

const minSetAside = 1 << 20

// relieve evaluates the expressions that hold more memory than they need when they
// are evaluated, where memory is short.
func (sh *shared) relieve() {
	if sh.relieving {
		return
	}
	sh.relieving = true
	defer func() { sh.relieving = false }()
	var list []*node
	for _, b := range sh.registry.blocks {
		if s := b.storage(); s != nil && s.readers.any() {
			for n := range s.readers.all {
				if n.busy == 0 && n.consumers == 0 && n.reads > n.bytes() {
					list = append(list, n)
				}
			}
		}
	}
	for _, n := range list {
		for sh.try(n) == missing {
			if _, err := sh.load(sh.missing); err != nil {
				break
			}
		}
	}
	runtime.KeepAlive(list)
}

// free gives an array back: its memory, or, where it was not evaluated, its
// expression.
func (sh *shared) free(c call, n *node) {
	if n.store != nil {
		n.store.free(c)
		return
	}
	if n.freed.op != "" {
		return
	}
	n.freed = c
	if !n.readers.any() && n.busy == 0 && n.pending() {
		sh.unlink(n)
	}
}
