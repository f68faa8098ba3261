package array

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A storage is the device memory of one array and all views of it. Its fields
// are guarded by the shared device's lock.
type storage struct {
	node  *node   // that it is part of
	sh    *shared // nil until it is made
	block *block  // nil where it has no bytes, and once freed
	freed call    // the Free that gave it back; without a name while there was none
	err   *Error  // what left its content undefined, or nil
	scope *scope  // that frees it when it ends, or nil
	holds int     // host copies, works under way whose expressions read it, and graphs, which put off giving the block back

	carried *doubts // operations that it was computed from whose operands' values may be wrong, or nil

	readers     readers       // expressions that read it
	label       func() string // what it is called in reports, or nil
	elementSize int32         // bytes
	detached    bool          // only expressions refer to it: it goes with the last of them
}

// address is where the storage's first element lies.
func (s *storage) address() driver.Ptr {
	if s.block == nil {
		return 0
	}
	return driver.Ptr(s.block.address)
}

// usable, under the lock, returns why the storage cannot be read, or nil.
func (s *storage) usable(c call) *Error {
	switch {
	case s.freed.op != "":
		return c.useOf(s.freed)
	case s.err != nil:
		return c.early(s.err)
	}
	return nil
}

// early names the call and not the capture where it is too early to use what a graph
// computes. Other errors stay what they are.
func (c call) early(err *Error) *Error {
	if !errors.Is(err, ErrCapture) {
		return err
	}
	file, line := lineOf(err.pc)
	return c.fail(because(ErrCapture, "a graph that was not launched yet computes it, of %s at %s:%d; Graph.Launch comes first", err.Op, filepath.Base(file), line))
}

// useOf is the error of using what an earlier call gave back.
func (c call) useOf(freed call) *Error {
	file, line := lineOf(freed.pc)
	return c.fail(because(ErrFreed, "its memory was given back by %s at %s:%d", freed.op, filepath.Base(file), line))
}

// readable is usable for operations that were accepted before: a Free in between
// does no harm while the memory is held.
func (s *storage) readable(c call) *Error {
	if s.freed.op != "" && s.block != nil {
		return s.err
	}
	return s.usable(c)
}

// room returns a storage that has no memory yet and is part of n: they live as long
// as each other, which takes one allocation and one anchor.
func (n *node) room() *storage {
	n.own = storage{node: n}
	return &n.own
}

// owner is how the registry and scopes refer to s.
func (s *storage) owner() *anchor { return s.sh.anchor(s.node, s.bytes()) }

// storage is the storage that a block serves, nil if nothing refers to it any more.
func (b *block) storage() *storage {
	if n := b.owner.node(); n != nil {
		return &n.own
	}
	return nil
}

// makeStorage gives s memory for the elements of a layout and announces it. The
// caller holds the lock.
func (d *Device) makeStorage(s *storage, c call, l *layout, t kernels.Type) error {
	bytes := uint64(l.Len()) * uint64(t.Size())
	if bytes == 0 {
		s.sh, s.elementSize = d.sh, int32(t.Size())
		d.scope.lasting().add(s)
		return nil
	}
	b, err := d.obtain(bytes)
	if err != nil {
		return err
	}
	d.storageIn(s, b, c, l, t)
	return nil
}

// spareStorage is makeStorage for n where memory is to be had without looking for
// it; else it returns nil.
func (d *Device) spareStorage(n *node) *storage {
	c, l, t := n.call, &n.layout, n.typ
	bytes := uint64(n.bytes())
	if rec := d.capturing(); rec != nil {
		return d.storageIn(n.room(), rec.block(bytes), c, l, t)
	}
	b := d.sh.arena.alloc(bytes)
	if b == nil && !d.sh.nearlyFull(bytes) {
		b, _ = d.sh.arena.grow(bytes)
	}
	if b == nil {
		return nil
	}
	return d.storageIn(n.room(), b, c, l, t)
}

// storageIn gives s a block.
func (d *Device) storageIn(s *storage, b *block, c call, l *layout, t kernels.Type) *storage {
	sh := d.sh
	s.sh, s.elementSize, s.block = sh, int32(t.Size()), b
	sh.register(s)
	d.scope.lasting().add(s)
	if sh.announces {
		shape, rank := l.Shape, l.Rank
		s.label = func() string {
			file, line := lineOf(c.pc)
			return fmt.Sprintf("%v %s made by %s at %s:%d", t, phrase.Shape(shape[:rank]), c.op, file, line)
		}
		sh.mark(b, driver.MemoryPoisoned, s.label)
	}
	return s
}

// register enters the storage as the owner of its block.
func (sh *shared) register(s *storage) {
	if rec := s.block.in; rec != nil {
		s.block.owner = s.owner()
		rec.made = append(rec.made, s)
		return
	}
	sh.registry.add(s.block, s.owner())
}

// mark announces a block to the simulated device's checks.
func (sh *shared) mark(b *block, state driver.MemoryState, label func() string) {
	if sh.announces && b.in == nil {
		sh.ctx.MarkMemory(driver.Ptr(b.address), b.asked, state, label)
	}
}

// free gives the storage back in stream order, once. The caller holds the lock.
func (s *storage) free(c call) {
	if s.freed.op != "" {
		return
	}
	s.freed = c
	s.settle()
}

// settle does what is left to do when a storage was freed: expressions that read it
// keep its memory, or are evaluated where too much is kept already.
func (s *storage) settle() {
	if s.holds > 0 || s.sh.closed {
		return
	}
	if s.readers.any() {
		if !s.sh.maySetAside(s.bytes()) {
			s.holds++           // else a work that lets go of it, to start over, would come here
			s.sh.overwritten(s) // as far as kernels are assembled
			s.holds--
		}
		if s.readers.any() {
			s.detach()
			return
		}
	}
	s.drop()
}

// bytes is the size of the storage's block.
func (s *storage) bytes() uint64 {
	if s.block == nil {
		return 0
	}
	return s.block.bytes
}

// drop gives the block back, unless a host copy holds it.
func (s *storage) drop() {
	if s.block != nil && s.holds == 0 && !s.sh.closed {
		s.sh.release(s.block)
		s.block = nil
	}
}

// release gives back a block that a storage used.
func (sh *shared) release(b *block) {
	if b.in == nil {
		sh.registry.remove(b)
	}
	if b.aside {
		b.aside = false
		sh.setAside -= b.bytes
	}
	sh.giveBack(b)
}

// giveBack returns any block to the arena. An error of the driver, which may also
// be that of earlier work, is kept for the next Sync or Close.
func (sh *shared) giveBack(b *block) {
	if b.in != nil {
		return
	}
	sh.mark(b, driver.MemoryDead, nil)
	if err := sh.arena.giveBack(b); err != nil && sh.late == nil {
		sh.late = err
	}
}

// obtain returns a block of n bytes for d's work.
func (d *Device) obtain(n uint64) (*block, error) {
	if rec := d.capturing(); rec != nil {
		return rec.block(n), nil
	}
	return d.sh.obtain(n)
}

// obtain returns a block of n bytes. Where memory is short it takes, in this
// order: what the collector has found already, what it finds when it is run, for few
// bytes room among large blocks, and segments that are not used.
func (sh *shared) obtain(n uint64) (*block, error) {
	sh.pace()
	if b := sh.arena.alloc(n); b != nil {
		return b, nil
	}
	if sh.nearlyFull(n) { // while there is room for what expressions are evaluated to
		sh.collect()
		sh.relieve()
		if b := sh.arena.alloc(n); b != nil {
			return b, nil
		}
	}
	b, err := sh.arena.grow(n)
	if err == nil || !errors.Is(err, driver.ErrorOutOfMemory) {
		return b, err
	}
	for _, find := range []func(){sh.sweep, sh.collect, sh.relieveAndCollect} {
		find()
		if b := sh.arena.alloc(n); b != nil {
			return b, nil
		}
	}
	if b := sh.arena.borrow(n); b != nil {
		return b, nil
	}
	if err := sh.trim(0); err != nil {
		return nil, err
	}
	if b, err = sh.arena.grow(n); err != nil && errors.Is(err, driver.ErrorOutOfMemory) {
		return nil, sh.outOfMemory(n, err)
	}
	return b, err
}

// nearlyFull says whether n more bytes bring what was taken from the driver close to
// what may be taken, and expressions may hold some of it.
func (sh *shared) nearlyFull(n uint64) bool {
	most := sh.total
	if sh.limit > 0 {
		most = min(most, sh.limit)
	}
	return !sh.relieving && sh.reserved+n > most-most/4
}

// relieveAndCollect has expressions evaluated and what they read given back.
func (sh *shared) relieveAndCollect() {
	sh.relieve()
	sh.collect()
}

// outOfMemory says what was asked and what there is.
func (sh *shared) outOfMemory(n uint64, cause error) error {
	text := fmt.Sprintf("%s asked; %s in %s, %s cached", byteText(n), byteText(sh.arena.used), phrase.Count(len(sh.registry.blocks), "array", "arrays"), byteText(sh.arena.cached))
	if sh.limit > 0 {
		text += fmt.Sprintf(", limit %s", limitText(sh.limit))
	}
	if free, total, err := sh.ctx.MemInfo(); err == nil {
		text += fmt.Sprintf(", device has %s free of %s", byteText(free), byteText(total))
	}
	return &reason{ErrOutOfMemory, text + "; Free arrays that are not needed, or work in smaller parts", cause}
}

// fits says that a result cannot be larger than the device's memory, which planning
// its computation would find in less clear words.
func (d *Device) fits(c call, l *layout, t kernels.Type) *Error {
	n := uint64(l.Len()) * uint64(t.Size())
	if n <= d.sh.total {
		return nil
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	return c.fail(d.sh.outOfMemory(n, nil))
}

// byteText formats a number of bytes with a binary unit.
func byteText(n uint64) string {
	unit, f := 0, float64(n)
	for f >= 1024 && unit < 4 {
		f /= 1024
		unit++
	}
	if unit == 0 {
		return phrase.Count(int(n), "byte", "bytes")
	}
	return fmt.Sprintf("%.4g %ciB", f, "KMGT"[unit-1])
}

// trim gives unused segments back to the driver until at most keep bytes are
// cached.
func (sh *shared) trim(keep uint64) error {
	for _, s := range sh.arena.idle() {
		if sh.arena.cached <= keep {
			break
		}
		if err := sh.settle(&s.first.history); err != nil {
			return err
		}
		if err := sh.arena.drop(s); err != nil {
			return err
		}
	}
	return nil
}

// settle waits on the host until the work of a history is done.
func (sh *shared) settle(h *history) error {
	for _, m := range append(h.reads[:len(h.reads):len(h.reads)], h.wrote) {
		if m.reached() {
			continue
		}
		upTo := m.stream.last
		if err := m.stream.queue.Synchronize(); err != nil {
			return err
		}
		m.stream.done = max(m.stream.done, upTo)
	}
	return nil
}

// A scope lists the storages that were made on its Device, and the expressions that
// were recorded: what those read is not to be kept for them once it has ended.
type scope struct {
	parent *scope
	made   []*anchor // of storages, and expressions
	prune  int       // length at which the list is cleared of what is gone
	ended  call
}

// lasting returns the innermost scope, from sc outwards, that has not ended, or
// nil: kept arrays and forks have the Devices of scopes longer than these last. The
// caller holds the shared device's lock.
func (sc *scope) lasting() *scope {
	for sc != nil && sc.ended.op != "" {
		sc = sc.parent
	}
	return sc
}

// add notes a storage; to no scope, it does nothing. The caller holds the shared
// device's lock.
func (sc *scope) add(s *storage) {
	if sc == nil {
		return
	}
	if s.scope = sc; s.node.scope != sc { // else it was noted as an expression
		sc.note(s.owner())
	}
}

// note enters a node that has a storage or is an expression.
func (sc *scope) note(a *anchor) {
	if len(sc.made) >= max(sc.prune, 1024) {
		alive := sc.made[:0]
		for _, a := range sc.made {
			if n := a.node(); n != nil && (n.own.freed.op == "" && n.own.scope == sc || n.scope == sc && n.pending()) {
				alive = append(alive, a)
			}
		}
		clear(sc.made[len(alive):])
		sc.made = alive
		sc.prune = 2 * len(alive)
	}
	if sc.made == nil {
		sc.made = make([]*anchor, 0, 64) // a step of training makes as many
	}
	sc.made = append(sc.made, a)
}

// end frees what the scope still has, the latest first: an expression goes before
// what it reads.
func (sc *scope) end(sh *shared, c call) {
	sc.ended = c
	for i := len(sc.made) - 1; i >= 0; i-- {
		switch n := sc.made[i].node(); {
		case n == nil:
		case n.own.scope == sc:
			n.own.free(c)
		case n.scope == sc && n.pending():
			sh.free(c, n)
		}
	}
	sc.made = nil
}
