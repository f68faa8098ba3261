package sim

import (
	"math/rand/v2"
	"slices"
	"time"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// late is the schedule of asynchronous work under Options.Late: work waits, as
// tasks in a graph of what must come before what, until a call needs it done or
// the seed says so. CUDA promises no more than the edges of that graph, which come
// from the order within a stream, events, the NULL stream, and the order of a
// graph's nodes and of its launches.
//
// Tasks run in the calls of the program, never between them, so that one goroutine
// and a seed make one schedule. They are added under Sim.mu, and run under Sim.run.
type late struct {
	rng      *rand.Rand
	ready    []*task        // tasks that nothing is left to come before, but those that are running
	pending  map[*task]bool // tasks that are not done
	eager    int            // in so many of eagerness calls, work runs that nobody waits for
	calls    int            // that gave work
	refusals int            // queries in a row that were answered with "not ready"
}

const (
	eagerness   = 16
	mood        = 64  // calls until eager is drawn anew
	queueDepth  = 512 // tasks that may be pending: then a call waits for some, as the driver's do
	patience    = 3   // refusals after which a query is as good as waiting
	uniformly   = 8   // one choice in so many does not look at ranks
	rankChanges = 8   // one of a stream's tasks in so many changes its rank
)

// task is one operation of a stream or of a graph's launch, or without work a place
// between them: an event's record, the begin or the end of a graph's launch.
type task struct {
	dev    *device
	work   work
	rank   uint64  // the higher, the sooner
	before []*task // what it comes after, until it is done
	after  []*task // what comes after it, until it is done
	left   int     // how many of before are not done
	done   bool
	at     time.Duration // when it was done, since start
}

func newLate(seed uint64) *late {
	l := &late{rng: rand.New(rand.NewPCG(seed, 0)), pending: map[*task]bool{}}
	l.drawMood()
	return l
}

// drawMood says how much work runs from now on that nobody waits for: mostly little,
// as what is late shows mistakes, and often none.
func (l *late) drawMood() { l.eager = max(0, l.rng.IntN(eagerness)-eagerness/2) }

// add makes a task that comes after others. s.mu is held, as for all methods.
func (l *late) add(d *device, w work, rank uint64, before []*task) *task {
	t := &task{dev: d, work: w, rank: rank}
	for _, b := range before {
		if !b.done && !slices.Contains(t.before, b) {
			t.before, b.after = append(t.before, b), append(b.after, t)
		}
	}
	if t.left = len(t.before); t.left == 0 {
		l.ready = append(l.ready, t)
	}
	l.pending[t] = true
	return t
}

// finished notes that a task is done.
func (l *late) finished(t *task) {
	for _, a := range t.after {
		if a.left--; a.left == 0 {
			l.ready = append(l.ready, a)
		}
	}
	t.done, t.at = true, time.Since(start)
	t.work, t.before, t.after = nil, nil, nil
	delete(l.pending, t)
}

// choose takes a ready task out of those that are wanted; nil wants any. There is
// none only if none of those is pending. The stream of the highest rank goes first,
// mostly: so one stream may run far ahead of another, which a fair choice among
// tasks would hardly ever do.
func (l *late) choose(wanted map[*task]bool) *task {
	var best *task
	uniform, n := l.rng.IntN(uniformly) == 0, 0
	for _, t := range l.ready {
		if wanted != nil && !wanted[t] {
			continue
		}
		n++
		if best == nil || uniform && l.rng.IntN(n) == 0 || !uniform && t.rank > best.rank {
			best = t
		}
	}
	if i := slices.Index(l.ready, best); i >= 0 {
		l.ready = slices.Delete(l.ready, i, i+1)
	}
	return best
}

// needed are the tasks that must run for others to be done, these included.
func needed(targets []*task) map[*task]bool {
	all := map[*task]bool{}
	for stack := slices.Clone(targets); len(stack) > 0; {
		t := stack[len(stack)-1]
		if stack = stack[:len(stack)-1]; !t.done && !all[t] {
			all[t] = true
			stack = append(stack, t.before...)
		}
	}
	return all
}

// queued is the tasks that a stream's next one comes after. The NULL stream waits
// for all blocking streams, and they for it. s.mu is held.
func (s *Sim) queued(st *stream) []*task {
	before := slices.Clone(st.tail)
	switch {
	case st.legacy:
		before = append(before, st.dev.left...)
		for _, other := range s.streams {
			if other.dev == st.dev && !other.nonBlocking {
				before = append(before, other.tail...)
			}
		}
	case !st.nonBlocking:
		before = append(before, st.dev.legacy.tail...)
	}
	return slices.DeleteFunc(before, func(t *task) bool { return t.done })
}

// enqueue puts work at a stream's end, after what else is named; nil is a place in
// the queue. s.mu is held.
func (s *Sim) enqueue(st *stream, w work, after ...*task) *task {
	l := s.late
	if l.rng.IntN(rankChanges) == 0 || st.rank == 0 {
		st.rank = l.rng.Uint64()
	}
	var t *task
	before := append(s.queued(st), after...)
	if g, ok := w.(graphWork); ok {
		if g.exec.last != nil {
			before = append(before, g.exec.last) // launches of one graph run one after another
		}
		t = s.spread(st, g, before)
		g.exec.last = t
	} else {
		t = l.add(st.dev, w, st.rank, before)
	}
	st.tail = []*task{t}
	if st.legacy {
		st.dev.left = nil
	}
	return t
}

// spread makes a task of each node of a graph, and returns the one at its end: nodes
// keep no order but that of the graph. s.mu is held.
func (s *Sim) spread(st *stream, g graphWork, before []*task) *task {
	l := s.late
	begin := l.add(st.dev, nil, st.rank, before)
	nodes := make([]*task, len(g.works))
	for i, w := range g.works {
		before := []*task{begin}
		for _, d := range g.exec.deps[i] {
			before = append(before, nodes[d])
		}
		if child, ok := w.(graphWork); ok {
			nodes[i] = s.spread(st, child, before)
		} else {
			nodes[i] = l.add(st.dev, w, l.rng.Uint64(), before)
		}
	}
	return l.add(st.dev, nil, st.rank, append(nodes, begin))
}

// later is submit under Options.Late, outside captures. s.mu is held, and is
// released.
func (s *Sim) later(st *stream, w work, sync bool) abi.Result {
	if err := s.startable(w); err != nil {
		s.mu.Unlock()
		code, _ := classify(err)
		return code
	}
	wait := false
	if c, ok := w.(*copyWork); ok {
		var staged bool
		if staged, wait = s.hostSides(c, sync); staged {
			if sync { // then the stream is waited for, though not the copy
				before := s.queued(st)
				s.mu.Unlock()
				s.run.Lock()
				s.finish(before)
				s.run.Unlock()
				s.mu.Lock()
			}
			w = c.staged()
		}
	}
	t, d := s.enqueue(st, w), st.dev
	s.mu.Unlock()
	if !wait {
		s.drift()
		return abi.Success
	}
	s.run.Lock()
	defer s.run.Unlock()
	s.finish([]*task{t})
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.fault
}

// startable is what a launch is refused for when it starts, which the driver tells at
// the call. s.mu is held.
func (s *Sim) startable(w work) error {
	switch w := w.(type) {
	case *kernelWork:
		if w.mod.unloaded {
			return refusal(abi.ErrorInvalidHandle)
		}
		return w.kernel.Check(w.launch)
	case graphWork:
		for _, n := range w.works {
			if err := s.startable(n); err != nil {
				return err
			}
		}
	}
	return nil
}

// hostSides says whether a copy's source is taken while it is called, and whether the
// call waits for the copy. Of pinned memory the device reads and writes what is there
// when the copy runs. Pageable memory it does not reach: a source is staged first, a
// destination is filled before the call returns, whatever the call. Calls that are
// said to be synchronous wait where pinned memory takes part, and not where only the
// device's does. s.mu is held.
func (s *Sim) hostSides(c *copyWork, sync bool) (staged, wait bool) {
	from, to := c.src.host != nil, c.dst.host != nil
	pinnedFrom, pinnedTo := from && s.pinned(c.src.host), to && s.pinned(c.dst.host)
	wait = from && to || to && !pinnedTo || sync && (to || pinnedFrom)
	return from && !pinnedFrom && !wait, wait
}

// pinned says whether p points into pinned memory. s.mu is held.
func (s *Sim) pinned(p unsafe.Pointer) bool {
	for base, b := range s.host {
		// The distance is a number, never turned back into a pointer.
		if uintptr(p) >= uintptr(base) && uint64(uintptr(p)-uintptr(base)) < b.bytes {
			return true
		}
	}
	return false
}

// staged is the copy out of memory of its own.
func (c *copyWork) staged() work {
	buf := make([]byte, 0, c.width*c.height*c.depth)
	for z := range c.depth {
		for y := range c.height {
			// Within the caller's memory, by the contract of the copy.
			row := unsafe.Add(c.src.host, z*c.src.plane+y*c.src.pitch)
			buf = append(buf, unsafe.Slice((*byte)(row), c.width)...)
		}
	}
	own := *c
	own.src = end{host: unsafe.Pointer(&buf[0]), pitch: c.width, plane: c.width * c.height}
	return &own
}

// drift runs work that nobody waits for, now and then, and some where too much is
// pending. Where another goroutine runs work, that is left to it. Neither lock is
// held.
func (s *Sim) drift() {
	if !s.run.TryLock() {
		return
	}
	defer s.run.Unlock()
	s.mu.Lock()
	l, n := s.late, 0
	if l.calls++; l.calls%mood == 0 {
		l.drawMood()
	}
	if l.rng.IntN(eagerness) < l.eager {
		n = 1 + l.rng.IntN(4)
	}
	n = max(n, len(l.pending)-queueDepth)
	s.mu.Unlock()
	s.advance(n)
}

// advance runs up to n tasks of any streams. s.run is held.
func (s *Sim) advance(n int) {
	for range n {
		s.mu.Lock()
		t := s.late.choose(nil)
		s.mu.Unlock()
		if t == nil {
			return
		}
		s.perform(t)
	}
}

// finish runs what must run for tasks to be done, and perhaps more meanwhile. s.run
// is held. Without Options.Late there are no tasks.
func (s *Sim) finish(tasks []*task) {
	if len(tasks) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	wanted := needed(tasks)
	if s.late.rng.IntN(4) == 0 {
		wanted = nil
	}
	for slices.ContainsFunc(tasks, (*task).waits) {
		t := s.late.choose(wanted)
		s.mu.Unlock()
		s.perform(t)
		s.mu.Lock()
	}
}

func (t *task) waits() bool { return !t.done }

// finishAll is finish for all of a device's work, with nil of all devices. s.run is
// held.
func (s *Sim) finishAll(d *device) {
	if s.late == nil {
		return
	}
	s.mu.Lock()
	var tasks []*task
	for t := range s.late.pending {
		if d == nil || t.dev == d {
			tasks = append(tasks, t)
		}
	}
	s.mu.Unlock()
	s.finish(tasks)
}

// perform runs a task that was chosen. What it does wrong poisons its device, whose
// other tasks then do nothing. s.run is held.
func (s *Sim) perform(t *task) {
	s.mu.Lock()
	lost := t.dev.fault != abi.Success
	s.mu.Unlock()
	if t.work != nil && !lost {
		if err := t.work.run(s); err != nil {
			code, _ := classify(err)
			s.poison(t.dev, code, err.Error())
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late.finished(t)
}

// answer is what a query says of a device's tasks: a few times perhaps that they are
// not done, while other work runs or none, and then they are. Neither lock is held.
func (s *Sim) answer(d *device, tasks []*task) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	l := s.late
	n, patient := l.rng.IntN(4), l.refusals < patience
	s.mu.Unlock()
	if s.advance(n); !patient {
		s.finish(tasks)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if slices.ContainsFunc(tasks, (*task).waits) {
		l.refusals++
		return abi.ErrorNotReady
	}
	l.refusals = 0
	return d.fault
}

// arrive is memory that a stream allocates: it is not there before the stream gets so
// far.
type arrive struct{ addr, bytes uint64 }

func (a arrive) kind() abi.GraphNodeType { return abi.GraphNodeTypeMemAlloc }

func (a arrive) run(s *Sim) error {
	s.mem.Mark(a.addr, a.bytes, abi.MemoryPoisoned, nil)
	return nil
}

// leave is memory that a stream frees.
type leave struct{ addr uint64 }

func (l leave) kind() abi.GraphNodeType { return abi.GraphNodeTypeMemFree }

func (l leave) run(s *Sim) error { return s.mem.Free(l.addr) }
