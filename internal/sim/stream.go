package sim

import (
	"time"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// stream is a queue that is always empty: its work is done when the call that
// gave it returns, unless it is being captured, or Options.Late keeps it waiting.
type stream struct {
	dev         *device
	legacy      bool // the NULL stream
	nonBlocking bool
	priority    int32
	capture     *capture // nil: not capturing
	frontier    []*node  // the captured nodes that the next one comes after
	tail        []*task  // the last task, if any
	rank        uint64   // of its tasks
}

// event remembers a moment in a stream's queue.
type event struct {
	dev      *device
	timing   bool
	recorded bool
	at       time.Duration // since start
	capture  *capture      // the capture it was last recorded in, nil outside
	frontier []*node       // what was captured before it
	mark     *task         // its place in a queue, nil where work does not wait
}

// stream returns the stream of a handle; 0 and the special handles are the
// current context's NULL stream. The result tells of a poisoned device too.
// s.mu is held.
func (s *Sim) stream(h abi.Stream) (*stream, abi.Result) {
	if h <= abi.StreamPerThread {
		d, r := s.context()
		if r != abi.Success {
			return nil, r
		}
		return d.legacy, abi.Success
	}
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	st := s.streams[h]
	if st == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return st, st.dev.fault
}

// event returns the event of a handle. s.mu is held.
func (s *Sim) event(h abi.Event) (*event, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	e := s.events[h]
	if e == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return e, e.dev.fault
}

// StreamCreateWithPriority makes a stream; a priority outside the range is
// brought into it, as the driver does.
func (s *Sim) StreamCreateWithPriority(flags uint32, priority int32) (abi.Stream, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	if r != abi.Success {
		return 0, r
	}
	if flags&^abi.StreamNonBlocking != 0 {
		return 0, abi.ErrorInvalidValue
	}
	h := abi.Stream(s.handle())
	s.streams[h] = &stream{dev: d, nonBlocking: flags == abi.StreamNonBlocking, priority: min(max(priority, greatestPriority), leastPriority)}
	return h, abi.Success
}

// StreamDestroy ends a stream's handle. If it is being captured, the capture is
// lost.
func (s *Sim) StreamDestroy(h abi.Stream) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h <= abi.StreamPerThread {
		return abi.ErrorInvalidHandle
	}
	st, r := s.stream(h)
	if r != abi.Success {
		return r
	}
	if st.capture != nil {
		st.capture.invalid = true
		if st.capture.origin == st {
			s.dropNodes(st.capture.graph)
			s.abandon(st.capture)
		}
	}
	if !st.nonBlocking {
		st.dev.left = append(st.dev.left, st.tail...)
	}
	delete(s.streams, h)
	return abi.Success
}

// StreamQuery is Success where nothing is pending.
func (s *Sim) StreamQuery(h abi.Stream) abi.Result {
	st, tasks, r := s.awaited(h)
	if r != abi.Success || s.late == nil {
		return r
	}
	return s.answer(st.dev, tasks)
}

// awaited is a stream, and the tasks that it has, for calls that look at its end.
func (s *Sim) awaited(h abi.Stream) (*stream, []*task, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.uncaptured(h)
	if r != abi.Success || s.late == nil {
		return st, nil, r
	}
	return st, s.queued(st), r
}

// StreamSynchronize waits for what is pending, and for work that other goroutines
// have in progress.
func (s *Sim) StreamSynchronize(h abi.Stream) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	st, tasks, r := s.awaited(h)
	if r != abi.Success {
		return r
	}
	s.finish(tasks)
	s.mu.Lock()
	defer s.mu.Unlock()
	if st.dev.fault == abi.Success {
		s.trimPools(st.dev)
	}
	return st.dev.fault
}

// StreamWaitEvent orders a stream after an event. Where work is done at once this is
// only checked outside a capture; a captured event brings the stream into its
// capture.
func (s *Sim) StreamWaitEvent(h abi.Stream, eh abi.Event, flags uint32) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.stream(h)
	if r != abi.Success {
		return r
	}
	e, r := s.event(eh)
	if r != abi.Success {
		return r
	}
	if flags > abi.EventWaitExternal {
		return abi.ErrorInvalidValue
	}
	if st.legacy {
		if r := s.implicit(st.dev); r != abi.Success {
			return r
		}
	}
	if r = s.join(st, e); r == abi.Success && st.capture == nil && e.mark != nil {
		s.enqueue(st, nil, e.mark)
	}
	return r
}

// EventCreate makes an event. Events for other processes are not supported.
func (s *Sim) EventCreate(flags uint32) (abi.Event, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.context()
	switch {
	case r != abi.Success:
		return 0, r
	case flags&^(abi.EventBlockingSync|abi.EventDisableTiming|abi.EventInterprocess) != 0:
		return 0, abi.ErrorInvalidValue
	case flags&abi.EventInterprocess != 0:
		return 0, abi.ErrorNotSupported
	}
	h := abi.Event(s.handle())
	s.events[h] = &event{dev: d, timing: flags&abi.EventDisableTiming == 0}
	return h, abi.Success
}

// EventDestroy ends an event's handle.
func (s *Sim) EventDestroy(h abi.Event) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r := s.event(h)
	if r == abi.Success {
		delete(s.events, h)
	}
	return r
}

// EventRecord takes the time or the place in the queue, or in a capture what was
// captured so far.
func (s *Sim) EventRecord(h abi.Event, sh abi.Stream) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, r := s.event(h)
	if r != abi.Success {
		return r
	}
	st, r := s.stream(sh)
	if r != abi.Success {
		return r
	}
	if e.dev != st.dev {
		return abi.ErrorInvalidHandle
	}
	if st.legacy {
		if r := s.implicit(st.dev); r != abi.Success {
			return r
		}
	}
	if st.capture != nil {
		if st.capture.invalid {
			return abi.ErrorStreamCaptureInvalidated
		}
		e.capture, e.frontier, e.recorded, e.mark = st.capture, append([]*node(nil), st.frontier...), true, nil
		return abi.Success
	}
	e.capture, e.frontier, e.recorded, e.at = nil, nil, true, time.Since(start)
	if s.late != nil {
		e.mark = s.enqueue(st, nil)
	}
	return abi.Success
}

// EventQuery is Success for every event that was reached, or never recorded.
func (s *Sim) EventQuery(h abi.Event) abi.Result {
	d, tasks, r := s.reached(h)
	if r != abi.Success || s.late == nil {
		return r
	}
	return s.answer(d, tasks)
}

// reached is an event's device, and what is to be done before it, for calls that look
// at whether it was.
func (s *Sim) reached(h abi.Event) (*device, []*task, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, r := s.event(h)
	switch {
	case r != abi.Success:
		return nil, nil, r
	case e.capture != nil:
		if e.capture.active {
			e.capture.invalid = true
		}
		return nil, nil, abi.ErrorCapturedEvent
	case s.invalidateCaptures(func(c *capture) bool { return c.origin.dev == e.dev && c.mode == abi.StreamCaptureModeGlobal }):
		return nil, nil, abi.ErrorStreamCaptureUnsupported
	case e.mark == nil:
		return e.dev, nil, abi.Success
	}
	return e.dev, []*task{e.mark}, abi.Success
}

// EventSynchronize waits for the event, and for work that other goroutines have in
// progress.
func (s *Sim) EventSynchronize(h abi.Event) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	d, tasks, r := s.reached(h)
	if r != abi.Success {
		return r
	}
	s.finish(tasks)
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.fault == abi.Success {
		s.trimPools(d)
	}
	return d.fault
}

// EventElapsedTime is the host's time between two records.
func (s *Sim) EventElapsedTime(first, last abi.Event) (float32, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, r := s.event(first)
	if r != abi.Success {
		return 0, r
	}
	b, r := s.event(last)
	switch {
	case r != abi.Success:
		return 0, r
	case a.capture != nil || b.capture != nil:
		return 0, abi.ErrorCapturedEvent
	case !a.timing || !b.timing || !a.recorded || !b.recorded || a.dev != b.dev:
		return 0, abi.ErrorInvalidHandle
	}
	if a.mark != nil && b.mark != nil {
		if a.mark.waits() || b.mark.waits() {
			return 0, abi.ErrorNotReady
		}
		a.at, b.at = a.mark.at, b.mark.at
	}
	return float32((b.at - a.at).Seconds() * 1000), abi.Success
}
