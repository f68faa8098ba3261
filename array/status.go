package array

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Values that only the device sees may be wrong, as an index that is out of range.
// An operation that reads such values gets a status cell on the device, which its
// kernel writes to where it meets one. Nobody waits for that: its result carries the
// cell's number, and so does all that is computed from it, and the cell is looked at
// when one of them is read. A graph has cells of its own, which each launch clears;
// what they hold then is copied to cells of the device, so that every launch is an
// operation like others.

// statusCells is the number of cells. When all are in use the device is waited for,
// all are looked at, and they are used anew: the next round.
const statusCells = 256

// statuses are the cells of a device. They are guarded by the shared device's lock.
type statuses struct {
	block  *block // the cells, or nil: none was needed yet
	round  uint64
	used   int
	ops    [statusCells]*suspect
	known  cellSet           // those that are final and were looked at
	faults map[uint64]*Error // what was found wrong, by cellID
}

// A suspect is an operation with a status cell: what its error says.
type suspect struct {
	call
	operands [2]node // types and shapes only
	axis     int
	first    int        // the place of the first of its indices
	cell     int        // in a graph, which of its cells it has
	among    []*suspect // instead of all these, the operations of a graph that share a cell
}

// err is the error where the indices' element at place, in row-major order, is wrong.
func (s *suspect) err(place int) *Error {
	for _, one := range s.among {
		if place >= one.first && place-one.first < one.operands[1].Len() {
			return one.err(place)
		}
	}
	place -= s.first
	a, indices := &s.operands[0], &s.operands[1]
	var at [kernels.MaxRank]int
	for i := indices.Rank - 1; i >= 0; i-- {
		at[i] = place % indices.Shape[i]
		place /= indices.Shape[i]
	}
	n, advice := a.Shape[s.axis], "there are no indices"
	if n > 0 {
		advice = fmt.Sprintf("indices are %d to %d", -n, n-1)
	}
	return s.fail(because(ErrIndex, "the index at %s is out of range for axis %d, which has %s; %s", phrase.Shape(at[:indices.Rank]), s.axis, elements(n), advice),
		handle{node: a}, handle{node: indices})
}

// A cellSet is some of a round's cells.
type cellSet [statusCells / 64]uint64

func (s *cellSet) add(cell int) { s[cell/64] |= 1 << (cell % 64) }

// doubts are which operations with cells an array's elements were computed from, in
// one round, and what was found wrong with one of them.
type doubts struct {
	round uint64
	cells cellSet
	err   *Error
}

func cellID(round uint64, cell int) uint64 { return round*statusCells + uint64(cell) }

// open gives operations a cell each, zero, for use on a stream. It returns the first.
func (t *statuses) open(sh *shared, st *stream, ops ...*suspect) (cell int, err error) {
	if t.used+len(ops) > statusCells || t.block == nil {
		if err := t.renew(sh, st); err != nil {
			return 0, err
		}
	}
	cell = t.used
	t.used += copy(t.ops[cell:], ops)
	return cell, t.block.beforeRead(st)
}

// address is where a cell is.
func (t *statuses) address(cell int) driver.Ptr {
	return driver.Ptr(t.block.address) + driver.Ptr(8*cell)
}

// renew begins a round.
func (t *statuses) renew(sh *shared, st *stream) (err error) {
	if t.block == nil {
		if t.block, err = st.zeroed(sh, 8*statusCells, "status cells"); err != nil {
			return err
		}
	} else {
		if err := sh.settle(&t.block.history); err != nil {
			return err
		}
		if err := t.look(sh); err != nil {
			return err
		}
		if err := st.clear(t.block); err != nil {
			return err
		}
	}
	t.ops, t.used, t.known = [statusCells]*suspect{}, 0, cellSet{}
	t.round++
	return nil
}

// look reads the cells, of which those of operations that are complete are final,
// and keeps what is wrong.
func (t *statuses) look(sh *shared) error {
	var values [statusCells]uint64
	if err := sh.ctx.CopyDtoH(bytesOf(values[:t.used]), driver.Ptr(t.block.address)); err != nil {
		return err
	}
	for cell, s := range t.ops[:t.used] {
		value := values[cell]
		if id := cellID(t.round, cell); value != 0 && t.faults[id] == nil {
			if t.faults == nil {
				t.faults = map[uint64]*Error{}
			}
			t.faults[id] = s.err(int(^value))
		}
	}
	return nil
}

// found returns the error of the first of the operations that d names, as far as
// it was looked at, and keeps it.
func (t *statuses) found(d *doubts) *Error {
	for i, word := range d.cells {
		for d.err == nil && word != 0 && len(t.faults) > 0 {
			cell := 64*i + bits.TrailingZeros64(word)
			word &= word - 1
			d.err = t.faults[cellID(d.round, cell)]
		}
	}
	return d.err
}

// examine returns the error of an operation that an array was computed from, now that
// the array is: it was read.
func (s *storage) examine(c call) *Error {
	s.sh.mu.Lock()
	defer s.sh.mu.Unlock()
	d, t := s.carried, &s.sh.statuses
	if d == nil {
		return nil
	}
	if d.err != nil || d.cells == (cellSet{}) || s.sh.closed {
		return d.err
	}
	if d.round == t.round && !t.knows(&d.cells) {
		if err := t.look(s.sh); err != nil {
			return c.deviceError(err)
		}
		for i, word := range d.cells {
			t.known[i] |= word
		}
	}
	err := t.found(d)
	d.cells = cellSet{}
	return err
}

// knows says whether all of the cells were looked at.
func (t *statuses) knows(cells *cellSet) bool {
	for i, word := range cells {
		if word&^t.known[i] != 0 {
			return false
		}
	}
	return true
}

// carry has out, and what else the work stored, carry on what its operands do, and
// its own cell. replaced says that nothing is left of what out was before.
func (w *work) carry(out *storage, replaced bool) {
	t := &w.dev.sh.statuses
	sum := doubts{round: t.round}
	if !replaced {
		t.join(&sum, out.carried)
	}
	for _, s := range w.inputs {
		t.join(&sum, s.carried)
	}
	if w.suspect != nil {
		sum.cells.add(w.cell)
	}
	out.carried = sum.kept()
	for _, o := range w.outputs {
		w.inputs[o.operand-1].carried = out.carried
	}
}

// kept is a copy of d in memory of its own, which arrays may share; nil if there is
// nothing in it.
func (d *doubts) kept() *doubts {
	if d.err == nil && d.cells == (cellSet{}) {
		return nil
	}
	k := *d
	return &k
}

// spread has what a launch of a graph writes carry on what it was computed from. The
// graph's cells are the device's from cell on.
func (t *statuses) spread(shares []share, cell int) {
	if !slices.ContainsFunc(shares, func(s share) bool { return s.doubtful() }) {
		return
	}
	sums := make([]doubts, len(shares)) // of what was before the launch, which writes what others read
	for i, s := range shares {
		sums[i].round = t.round
		for _, from := range s.reads {
			t.join(&sums[i], from.carried)
		}
		for _, c := range s.cells {
			sums[i].cells.add(cell + c)
		}
	}
	for i, s := range shares {
		kept := sums[i].kept()
		for _, to := range s.writes {
			to.carried = kept
		}
	}
}

// doubtful says whether there is anything to carry, or was.
func (s *share) doubtful() bool {
	carries := func(s *storage) bool { return s.carried != nil }
	return len(s.cells) > 0 || slices.ContainsFunc(s.reads, carries) || slices.ContainsFunc(s.writes, carries)
}

// join adds what one array carries to what another one does, which is of this round,
// but for cells that were looked at and are good.
func (t *statuses) join(to, d *doubts) {
	if d == nil {
		return
	}
	if d.round != t.round || t.knows(&d.cells) {
		t.found(d)
	} else {
		for i, word := range d.cells {
			to.cells[i] |= word
		}
	}
	if to.err == nil {
		to.err = d.err
	}
}
