package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

func TestStreamsAndEvents(t *testing.T) {
	e := open(t, Options{})
	s, gone := e.stream(), e.stream()
	e.ok(e.StreamDestroy(gone))
	a, b, untimed, never, dead := e.event(), e.event(), must[abi.Event](e)(e.EventCreate(abi.EventDisableTiming)), e.event(), e.event()
	e.ok(e.EventDestroy(dead))
	least, greatest, r := e.CtxGetStreamPriorityRange()
	if e.ok(r); greatest >= least {
		t.Errorf("priorities %d to %d", least, greatest)
	}
	e.ok(e.EventRecord(a, s))
	e.ok(e.EventRecord(untimed, s))
	time.Sleep(2 * time.Millisecond)
	e.ok(e.EventRecord(b, 0))
	if ms := must[float32](e)(e.EventElapsedTime(a, b)); ms < 2 || ms > 60_000 {
		t.Errorf("%v ms between records", ms)
	}
	if ms := must[float32](e)(e.EventElapsedTime(b, a)); ms > -2 {
		t.Errorf("%v ms backwards", ms)
	}
	for _, c := range []struct {
		name string
		got  abi.Result
		want abi.Result
	}{
		{"query", e.StreamQuery(s), abi.Success},
		{"synchronize", e.StreamSynchronize(s), abi.Success},
		{"null", e.StreamSynchronize(0), abi.Success},
		{"legacy", e.StreamSynchronize(abi.StreamLegacy), abi.Success},
		{"destroyed", e.StreamQuery(gone), abi.ErrorInvalidHandle},
		{"destroyed, synchronize", e.StreamSynchronize(gone), abi.ErrorInvalidHandle},
		{"destroyed, again", e.StreamDestroy(gone), abi.ErrorInvalidHandle},
		{"destroy null", e.StreamDestroy(0), abi.ErrorInvalidHandle},
		{"an event as a stream", e.StreamQuery(abi.Stream(a)), abi.ErrorInvalidHandle},
		{"flags", second(e.StreamCreateWithPriority(2, 0)), abi.ErrorInvalidValue},
		{"any priority", second(e.StreamCreateWithPriority(0, -1000)), abi.Success},
		{"event query", e.EventQuery(a), abi.Success},
		{"event never recorded", e.EventQuery(never), abi.Success},
		{"event synchronize", e.EventSynchronize(b), abi.Success},
		{"event destroyed", e.EventQuery(dead), abi.ErrorInvalidHandle},
		{"event destroyed, synchronize", e.EventSynchronize(dead), abi.ErrorInvalidHandle},
		{"event destroyed, again", e.EventDestroy(dead), abi.ErrorInvalidHandle},
		{"record destroyed", e.EventRecord(dead, 0), abi.ErrorInvalidHandle},
		{"record on destroyed", e.EventRecord(a, gone), abi.ErrorInvalidHandle},
		{"wait", e.StreamWaitEvent(s, a, 0), abi.Success},
		{"wait for never", e.StreamWaitEvent(s, never, 0), abi.Success},
		{"wait for destroyed", e.StreamWaitEvent(s, dead, 0), abi.ErrorInvalidHandle},
		{"wait, flags", e.StreamWaitEvent(s, a, 7), abi.ErrorInvalidValue},
		{"elapsed, never recorded", second(e.EventElapsedTime(a, never)), abi.ErrorInvalidHandle},
		{"elapsed, no timing", second(e.EventElapsedTime(untimed, b)), abi.ErrorInvalidHandle},
		{"elapsed, destroyed", second(e.EventElapsedTime(a, dead)), abi.ErrorInvalidHandle},
		{"event flags", second(e.EventCreate(16)), abi.ErrorInvalidValue},
		{"event for other processes", second(e.EventCreate(abi.EventInterprocess | abi.EventDisableTiming)), abi.ErrorNotSupported},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
}

// What is captured is not done until the graph is launched, and then gives what
// doing it directly gives; forks and joins included.
func TestCaptureAgainstDirect(t *testing.T) {
	e := open(t, Options{})
	f := e.kernel(saxpyPTX, "saxpy")
	const n = 500
	x := integers(random(t), n)
	px := upload(e, x)
	out, pinned := upload(e, make([]float32, 2*n)), must[unsafe.Pointer](e)(e.MemHostAlloc(2*n*4, 0))
	host := unsafe.Slice((*float32)(pinned), 2*n)
	s, side := e.stream(), e.stream()
	fork, join := e.event(), e.event()
	work := func() {
		e.ok(e.MemsetD32Async(out, 0, 2*n, s))
		e.ok(e.EventRecord(fork, s))
		e.ok(e.StreamWaitEvent(side, fork, 0))
		e.ok(e.launch1(f, 2, 256, s, ptr(uint32(n)), ptr(float32(2)), ptr(px), ptr(out)))
		e.ok(e.launch1(f, 2, 256, side, ptr(uint32(n)), ptr(float32(3)), ptr(px), ptr(out+n*4)))
		e.ok(e.EventRecord(join, side))
		e.ok(e.StreamWaitEvent(s, join, 0))
		e.ok(e.MemcpyDtoHAsync(pinned, out, 2*n*4, s))
	}
	work()
	want := slices.Clone(host)
	if !slices.Equal(want[n:], saxpyModel(3, x, make([]float32, n))) {
		t.Fatal("the direct result is wrong")
	}
	clear(host)
	e.ok(e.MemsetD8Async(out, 0xff, 2*n*4, 0))
	e.ok(e.StreamBeginCapture(s, abi.StreamCaptureModeGlobal))
	work()
	g := must[abi.Graph](e)(e.StreamEndCapture(s))
	if host[0] != 0 || download[uint32](e, out, 1)[0] != ^uint32(0) {
		t.Error("captured work was done during the capture")
	}
	deps, _ := e.graphs[g].topology()
	if want := [][]int{nil, {0}, {0}, {1, 2}}; fmt.Sprint(deps) != fmt.Sprint(want) {
		t.Errorf("captured dependencies %v, want %v", deps, want)
	}
	exec := must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
	e.ok(e.GraphDestroy(g))
	for range 2 {
		clear(host)
		e.ok(e.GraphLaunch(exec, side))
		e.ok(e.StreamSynchronize(side))
		if !slices.Equal(host, want) {
			t.Error("the graph's result differs from the direct one")
		}
	}
	// The streams are ordinary again, and a launch of a graph can itself be captured.
	clear(host)
	e.ok(e.StreamBeginCapture(s, abi.StreamCaptureModeRelaxed))
	e.ok(e.GraphLaunch(exec, s))
	outer := must[abi.GraphExec](e)(e.GraphInstantiate(must[abi.Graph](e)(e.StreamEndCapture(s)), 0))
	e.ok(e.GraphExecDestroy(exec))
	e.ok(e.GraphLaunch(outer, 0))
	if !slices.Equal(host, want) {
		t.Error("the graph in a graph gives something else")
	}
}

func TestCaptureErrors(t *testing.T) {
	type call func(e *env, s abi.Stream) abi.Result
	end := func(e *env, s abi.Stream) abi.Result { return second(e.StreamEndCapture(s)) }
	for _, c := range []struct {
		name        string
		mode        abi.StreamCaptureMode
		do          call
		want, atEnd abi.Result
	}{
		{"nothing", 0, nil, 0, abi.Success},
		{"again", 0, func(e *env, s abi.Stream) abi.Result { return e.StreamBeginCapture(s, 0) }, abi.ErrorIllegalState, abi.Success},
		{"synchronize it", 2, func(e *env, s abi.Stream) abi.Result { return e.StreamSynchronize(s) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"query it", 2, func(e *env, s abi.Stream) abi.Result { return e.StreamQuery(s) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"synchronize the context", 2, func(e *env, s abi.Stream) abi.Result { return e.CtxSynchronize() }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"allocate", 0, func(e *env, s abi.Stream) abi.Result { return second(e.MemAlloc(4)) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"allocate, relaxed", 2, func(e *env, s abi.Stream) abi.Result { return second(e.MemAlloc(4)) }, abi.Success, abi.Success},
		{"allocate in it", 2, func(e *env, s abi.Stream) abi.Result { return second(e.MemAllocAsync(4, s)) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"the NULL stream", 2, func(e *env, s abi.Stream) abi.Result { return e.MemsetD8Async(e.alloc(4), 0, 4, 0) }, abi.ErrorStreamCaptureImplicit, abi.ErrorStreamCaptureInvalidated},
		{"load a module", 0, func(e *env, s abi.Stream) abi.Result { return second(e.ModuleLoadDataEx([]byte(saxpyPTX), nil)) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"query an event, global", 0, func(e *env, s abi.Stream) abi.Result { return e.EventQuery(e.event()) }, abi.ErrorStreamCaptureUnsupported, abi.ErrorStreamCaptureInvalidated},
		{"query an event, relaxed", 2, func(e *env, s abi.Stream) abi.Result { return e.EventQuery(e.event()) }, abi.Success, abi.Success},
		{"query its event", 2, func(e *env, s abi.Stream) abi.Result {
			ev := e.event()
			e.ok(e.EventRecord(ev, s))
			return e.EventQuery(ev)
		}, abi.ErrorCapturedEvent, abi.ErrorStreamCaptureInvalidated},
		{"time its event", 2, func(e *env, s abi.Stream) abi.Result {
			ev := e.event()
			e.ok(e.EventRecord(ev, s))
			return second(e.EventElapsedTime(ev, ev))
		}, abi.ErrorCapturedEvent, abi.Success},
		{"wait for an event outside", 2, func(e *env, s abi.Stream) abi.Result {
			ev := e.event()
			e.ok(e.EventRecord(ev, e.stream()))
			return e.StreamWaitEvent(s, ev, 0)
		}, abi.ErrorStreamCaptureIsolation, abi.ErrorStreamCaptureInvalidated},
		{"work after that", 2, func(e *env, s abi.Stream) abi.Result {
			e.StreamQuery(s)
			return e.MemsetD8Async(e.alloc(4), 0, 4, s)
		}, abi.ErrorStreamCaptureInvalidated, abi.ErrorStreamCaptureInvalidated},
		{"never joined", 2, func(e *env, s abi.Stream) abi.Result {
			ev, side := e.event(), e.stream()
			e.ok(e.EventRecord(ev, s))
			e.ok(e.StreamWaitEvent(side, ev, 0))
			return e.MemsetD8Async(e.alloc(4), 0, 4, side)
		}, abi.Success, abi.ErrorStreamCaptureUnjoined},
		{"ended by another", 2, func(e *env, s abi.Stream) abi.Result {
			ev, side := e.event(), e.stream()
			e.ok(e.EventRecord(ev, s))
			e.ok(e.StreamWaitEvent(side, ev, 0))
			return second(e.StreamEndCapture(side))
		}, abi.ErrorStreamCaptureUnmatched, abi.ErrorStreamCaptureInvalidated},
		{"two captures meet", 2, func(e *env, s abi.Stream) abi.Result {
			ev, other := e.event(), e.stream()
			e.ok(e.StreamBeginCapture(other, 2))
			e.ok(e.EventRecord(ev, other))
			return e.StreamWaitEvent(s, ev, 0)
		}, abi.ErrorStreamCaptureMerge, abi.ErrorStreamCaptureInvalidated},
		{"the NULL stream waits for it", 2, func(e *env, s abi.Stream) abi.Result {
			ev := e.event()
			e.ok(e.EventRecord(ev, s))
			return e.StreamWaitEvent(0, ev, 0)
		}, abi.ErrorStreamCaptureImplicit, abi.ErrorStreamCaptureInvalidated},
		{"a mistake in it", 2, func(e *env, s abi.Stream) abi.Result { return e.MemsetD8Async(123, 0, 4, s) }, abi.ErrorInvalidValue, abi.Success},
		{"ended twice", 2, func(e *env, s abi.Stream) abi.Result { return end(e, s) }, abi.Success, abi.ErrorIllegalState},
		{"destroyed", 2, func(e *env, s abi.Stream) abi.Result { return e.StreamDestroy(s) }, abi.Success, abi.ErrorInvalidHandle},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, Options{})
			s := must[abi.Stream](e)(e.StreamCreateWithPriority(0, 0))
			e.ok(e.StreamBeginCapture(s, c.mode))
			if c.do != nil {
				e.want(c.do(e, s), c.want)
			}
			e.want(end(e, s), c.atEnd)
			// Whatever happened, the device works and the stream captures again.
			again := e.stream()
			e.ok(e.StreamBeginCapture(again, 0))
			e.ok(end(e, again))
			e.ok(e.MemsetD8Async(e.alloc(4), 0, 4, again))
			if c.name != "two captures meet" {
				e.ok(e.CtxSynchronize())
			}
		})
	}
	e := open(t, Options{})
	s, p := e.stream(), e.alloc(4)
	e.ok(e.StreamBeginCapture(s, abi.StreamCaptureModeGlobal))
	e.ok(e.MemsetD8Async(p, 0, 4, 0)) // the NULL stream does not wait for a non-blocking one
	e.ok(end(e, s))
	e.want(e.StreamBeginCapture(0, 0), abi.ErrorStreamCaptureUnsupported)
	e.want(e.StreamBeginCapture(e.stream(), 3), abi.ErrorInvalidValue)
	e.want(end(e, e.stream()), abi.ErrorIllegalState)
}
