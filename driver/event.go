package driver

import (
	"sync/atomic"
	"time"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// An Event marks a place in a stream: others can wait for it, ask whether it was
// reached, and, if it was made for that, measure the time between two.
type Event struct {
	child
	handle abi.Event
	timing bool

	// Where it was last recorded, for the names of suspects after a fault only:
	// that the two are not set at one instant does no harm.
	stream atomic.Pointer[Stream]
	upTo   atomic.Uint64 // launches of the context until then
}

// EventConfig says what kind of event to make. The zero value is the cheapest:
// no time, and Synchronize spins.
type EventConfig struct {
	Timing   bool // Since works
	Blocking bool // Synchronize sleeps instead of spinning
}

func (e *Event) base() *child {
	if e == nil {
		return nil
	}
	return &e.child
}

// NewEvent makes an event.
func (c *Context) NewEvent(cfg EventConfig) (*Event, error) {
	var flags uint32
	if !cfg.Timing {
		flags |= abi.EventDisableTiming
	}
	if cfg.Blocking {
		flags |= abi.EventBlockingSync
	}
	e := &Event{timing: cfg.Timing}
	err := c.call("cuEventCreate", func(api abi.API) (r abi.Result) {
		e.handle, r = api.EventCreate(flags)
		return r
	})
	if err != nil {
		return nil, err
	}
	e.born(c, kindEvent)
	return e, nil
}

// Close gives the event up. Waits for it that are in streams hold.
func (e *Event) Close() error {
	return e.base().close("cuEventDestroy", func(api abi.API) abi.Result { return api.EventDestroy(e.handle) })
}

// Record moves the event to the end of what is in s now.
func (e *Event) Record(s *Stream) error {
	upTo := s.Context().launched()
	err := e.base().call2("cuEventRecord", s.base(), func(api abi.API) abi.Result {
		return api.EventRecord(e.handle, s.handle)
	})
	if err == nil {
		e.stream.Store(s)
		e.upTo.Store(upTo)
	}
	return err
}

// Synchronize waits until the event is reached; one never recorded is reached.
func (e *Event) Synchronize() error {
	s, upTo := e.last()
	err := e.base().call("cuEventSynchronize", func(api abi.API) abi.Result { return api.EventSynchronize(e.handle) })
	if err == nil {
		e.reached(s, upTo)
	}
	return err
}

// Done says, without waiting, whether the event is reached; one never recorded is.
func (e *Event) Done() (bool, error) {
	s, upTo := e.last()
	done := true
	err := e.base().call("cuEventQuery", func(api abi.API) abi.Result {
		return readiness(api.EventQuery(e.handle), &done)
	})
	if err != nil {
		return false, err
	}
	if done {
		e.reached(s, upTo)
	}
	return done, nil
}

func (e *Event) last() (s *Stream, upTo uint64) {
	if e == nil {
		return nil, 0
	}
	return e.stream.Load(), e.upTo.Load()
}

func (e *Event) reached(s *Stream, upTo uint64) {
	if s != nil {
		e.ctx.launches.done(s, upTo)
	}
}

// Since returns the time on the device between start and e, both made with
// Timing, recorded, and reached. Its resolution is about half a microsecond.
func (e *Event) Since(start *Event) (time.Duration, error) {
	const op = "cuEventElapsedTime"
	if e.base().isOpen() && start.base().isOpen() && !(e.timing && start.timing) {
		return 0, invalid(op, "both events must have been made with EventConfig.Timing")
	}
	var ms float32
	err := e.base().call2(op, start.base(), func(api abi.API) (r abi.Result) {
		ms, r = api.EventElapsedTime(start.handle, e.handle)
		return r
	})
	return time.Duration(float64(ms) * float64(time.Millisecond)), err
}
