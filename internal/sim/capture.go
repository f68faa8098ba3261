package sim

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// capture is the recording of a stream's work into a graph, from
// StreamBeginCapture to StreamEndCapture. Other streams join it by waiting for
// an event that was recorded in it.
type capture struct {
	origin  *stream
	mode    abi.StreamCaptureMode
	graph   *graph
	active  bool
	invalid bool // something was done that cannot be captured; only ending it is allowed
}

// refuse makes the capture invalid because of a call, whose result it returns.
func (c *capture) refuse(r abi.Result) abi.Result {
	if c.invalid {
		return abi.ErrorStreamCaptureInvalidated
	}
	c.invalid = true
	return r
}

// captures calls f for each active capture. s.mu is held.
func (s *Sim) captures(f func(c *capture)) {
	for _, st := range s.streams {
		if c := st.capture; c != nil && c.origin == st {
			f(c)
		}
	}
}

// invalidateCaptures makes the captures that which accepts invalid, and reports
// whether there were any.
func (s *Sim) invalidateCaptures(which func(c *capture) bool) (any bool) {
	s.captures(func(c *capture) {
		if which(c) {
			c.invalid, any = true, true
		}
	})
	return any
}

// implicit refuses work in the NULL stream while a stream that it would have to
// wait for is being captured: the wait would make it part of the capture.
func (s *Sim) implicit(d *device) abi.Result {
	var found *capture
	for _, st := range s.streams {
		if st.dev == d && st.capture != nil && !st.nonBlocking {
			st.capture.invalid, found = true, st.capture
		}
	}
	if found != nil {
		return abi.ErrorStreamCaptureImplicit
	}
	return abi.Success
}

// unsafeContext is context for the calls that CUDA forbids while any capture in
// global mode is active.
func (s *Sim) unsafeContext() (*device, abi.Result) {
	d, r := s.context()
	if r == abi.Success && s.invalidateCaptures(func(c *capture) bool { return c.mode == abi.StreamCaptureModeGlobal }) {
		return nil, abi.ErrorStreamCaptureUnsupported
	}
	return d, r
}

// uncaptured is stream for calls that cannot be captured.
func (s *Sim) uncaptured(h abi.Stream) (*stream, abi.Result) {
	st, r := s.stream(h)
	if r == abi.Success && st.legacy {
		r = s.implicit(st.dev)
	}
	if r == abi.Success && st.capture != nil {
		r = st.capture.refuse(abi.ErrorStreamCaptureUnsupported)
	}
	return st, r
}

// record adds work to the graph of a stream's capture.
func (s *Sim) record(st *stream, w work) abi.Result {
	if st.capture.invalid {
		return abi.ErrorStreamCaptureInvalidated
	}
	st.frontier = []*node{s.addNode(st.capture.graph, st.frontier, w)}
	return abi.Success
}

// join makes a stream's next work come after an event.
func (s *Sim) join(st *stream, e *event) abi.Result {
	switch {
	case !e.recorded:
		return abi.Success // nothing to wait for
	case st.capture != nil && st.capture.invalid:
		return abi.ErrorStreamCaptureInvalidated
	case e.capture == nil && st.capture == nil:
		return abi.Success
	case e.capture == nil:
		return st.capture.refuse(abi.ErrorStreamCaptureIsolation)
	case !e.capture.active:
		return abi.ErrorCapturedEvent
	case e.capture.invalid:
		return abi.ErrorStreamCaptureInvalidated
	case st.legacy:
		return e.capture.refuse(abi.ErrorStreamCaptureImplicit)
	case st.capture != nil && st.capture != e.capture:
		st.capture.invalid, e.capture.invalid = true, true
		return abi.ErrorStreamCaptureMerge
	}
	st.capture = e.capture
	for _, n := range e.frontier {
		if !slices.Contains(st.frontier, n) {
			st.frontier = append(st.frontier[:len(st.frontier):len(st.frontier)], n)
		}
	}
	return abi.Success
}

// abandon takes all streams out of a capture. s.mu is held.
func (s *Sim) abandon(c *capture) {
	c.active = false
	for _, st := range s.streams {
		if st.capture == c {
			st.capture, st.frontier = nil, nil
		}
	}
}

// unjoined reports whether a stream of the capture has work that the origin
// does not wait for.
func (s *Sim) unjoined(c *capture) bool {
	reached := map[*node]bool{}
	var reach func(ns []*node)
	reach = func(ns []*node) {
		for _, n := range ns {
			if !reached[n] {
				reached[n] = true
				reach(n.deps)
			}
		}
	}
	reach(c.origin.frontier)
	for _, st := range s.streams {
		if st.capture == c && slices.ContainsFunc(st.frontier, func(n *node) bool { return !reached[n] }) {
			return true
		}
	}
	return false
}

// StreamBeginCapture begins to record a stream's work instead of doing it.
func (s *Sim) StreamBeginCapture(h abi.Stream, mode abi.StreamCaptureMode) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.stream(h)
	switch {
	case r != abi.Success:
		return r
	case mode < abi.StreamCaptureModeGlobal || mode > abi.StreamCaptureModeRelaxed:
		return abi.ErrorInvalidValue
	case st.legacy:
		return abi.ErrorStreamCaptureUnsupported
	case st.capture != nil:
		return abi.ErrorIllegalState
	}
	st.capture = &capture{origin: st, mode: mode, graph: &graph{}, active: true}
	return abi.Success
}

// StreamEndCapture ends a capture and returns what was recorded.
func (s *Sim) StreamEndCapture(h abi.Stream) (abi.Graph, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st, r := s.stream(h)
	if r != abi.Success {
		return 0, r
	}
	c := st.capture
	if c == nil {
		return 0, abi.ErrorIllegalState
	}
	if c.origin != st {
		c.invalid = true
		return 0, abi.ErrorStreamCaptureUnmatched
	}
	r = abi.Success
	if c.invalid {
		r = abi.ErrorStreamCaptureInvalidated
	} else if s.unjoined(c) {
		r = abi.ErrorStreamCaptureUnjoined
	}
	s.abandon(c)
	if r != abi.Success {
		s.dropNodes(c.graph)
		return 0, r
	}
	g := abi.Graph(s.handle())
	s.graphs[g] = c.graph
	return g, abi.Success
}
