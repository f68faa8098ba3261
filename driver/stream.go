package driver

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// A Stream is a queue of work for the device: what is put into it runs in order,
// what is in different streams may run at the same time. Methods that put work
// in return before it is done.
//
// A Stream may be used from several goroutines; who needs an order among them
// must see to it.
type Stream struct {
	child
	handle abi.Stream
}

// StreamConfig says what kind of stream to make. The zero value is a
// non-blocking stream of the default priority.
type StreamConfig struct {
	Priority int  // within [Context.StreamPriorities]; lower is more urgent
	Blocking bool // waits for, and is waited for by, the legacy default stream
}

func (s *Stream) base() *child {
	if s == nil {
		return nil
	}
	return &s.child
}

// NewStream makes a stream.
func (c *Context) NewStream(cfg StreamConfig) (*Stream, error) {
	flags := uint32(abi.StreamNonBlocking)
	if cfg.Blocking {
		flags = abi.StreamDefault
	}
	s := new(Stream)
	err := c.call("cuStreamCreateWithPriority", func(api abi.API) (r abi.Result) {
		s.handle, r = api.StreamCreateWithPriority(flags, int32(cfg.Priority))
		return r
	})
	if err != nil {
		return nil, err
	}
	s.born(c, kindStream)
	return s, nil
}

// Close gives the stream up. Work that is in it is still done.
func (s *Stream) Close() error {
	return s.base().close("cuStreamDestroy", func(api abi.API) abi.Result { return api.StreamDestroy(s.handle) })
}

// Context returns the context that the stream belongs to.
func (s *Stream) Context() *Context {
	if s == nil {
		return nil
	}
	return s.ctx
}

// Synchronize waits until all work put in before is done, and returns its fault
// if there was one.
func (s *Stream) Synchronize() error {
	upTo := s.Context().launched()
	err := s.base().call("cuStreamSynchronize", func(api abi.API) abi.Result { return api.StreamSynchronize(s.handle) })
	if err == nil {
		s.ctx.launches.done(s, upTo)
	}
	return err
}

// Done says, without waiting, whether all work put in before is done.
func (s *Stream) Done() (bool, error) {
	upTo := s.Context().launched()
	done := true
	err := s.base().call("cuStreamQuery", func(api abi.API) abi.Result {
		r := api.StreamQuery(s.handle)
		return readiness(r, &done)
	})
	if err != nil {
		return false, err
	}
	if done {
		s.ctx.launches.done(s, upTo)
	}
	return done, nil
}

// readiness takes "not ready", which is an answer and not an error, out of r.
func readiness(r abi.Result, done *bool) abi.Result {
	if Code(r) == ErrorNotReady {
		*done = false
		return abi.Success
	}
	return r
}

// Wait makes the work that is put into s from now on wait for e, as it was last
// recorded. It does not wait itself. An event never recorded is no wait. The
// event may belong to another device.
func (s *Stream) Wait(e *Event) error {
	const op = "cuStreamWaitEvent"
	if err := e.base().enter(op); err != nil {
		return err
	}
	defer e.exit()
	return s.base().call(op, func(api abi.API) abi.Result {
		return api.StreamWaitEvent(s.handle, e.handle, 0)
	})
}

// CaptureMode says which calls of other threads, unsafe during a capture, are
// refused meanwhile.
type CaptureMode int32

const (
	CaptureGlobal      = CaptureMode(abi.StreamCaptureModeGlobal)      // of all threads
	CaptureThreadLocal = CaptureMode(abi.StreamCaptureModeThreadLocal) // of the calling thread; of little use in Go, where a goroutine changes threads
	CaptureRelaxed     = CaptureMode(abi.StreamCaptureModeRelaxed)     // none
)

// BeginCapture turns s into a recorder: what is put in is not run but becomes
// nodes of a graph, until EndCapture. The modules used must have been loaded
// before. Building a graph by its nodes has no such conditions.
//
// With CaptureThreadLocal the caller must have locked the goroutine to its
// thread until EndCapture.
func (s *Stream) BeginCapture(mode CaptureMode) error {
	return s.base().call("cuStreamBeginCapture", func(api abi.API) abi.Result {
		return api.StreamBeginCapture(s.handle, abi.StreamCaptureMode(mode))
	})
}

// EndCapture ends the capture and returns what was recorded.
func (s *Stream) EndCapture() (*Graph, error) {
	g := new(Graph)
	err := s.base().call("cuStreamEndCapture", func(api abi.API) (r abi.Result) {
		g.handle, r = api.StreamEndCapture(s.handle)
		return r
	})
	if err != nil {
		return nil, err
	}
	g.born(s.ctx, kindGraph)
	return g, nil
}
