package array

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// TestHostCopies takes slices of all types, of sizes around those of the staging
// buffers and of several times all of them, to the device and back.
func TestHostCopies(t *testing.T) {
	rng := seeded(t)
	bytes := []int{1, smallBytes - 1, smallBytes, smallBytes + 1, largeBytes, largeBytes + 1, 3*largeBytes + 17}
	testHostCopies(t, rng, bytes, func(x uint64) uint8 { return uint8(x) })
	testHostCopies(t, rng, bytes, func(x uint64) bool { return x&1 != 0 })
	testHostCopies(t, rng, bytes, func(x uint64) int16 { return int16(x) })
	testHostCopies(t, rng, bytes, func(x uint64) Float16 { return F16(float32(int8(x))) })
	testHostCopies(t, rng, bytes, func(x uint64) float32 { return float32(int32(x)) })
	testHostCopies(t, rng, bytes, func(x uint64) float64 { return float64(int64(x)) })
	testHostCopies(t, rng, append(bytes, (largeBuffers+2)*largeBytes+8), func(x uint64) uint64 { return x })
}

func testHostCopies[T Element](t *testing.T, rng *rand.Rand, bytes []int, value func(x uint64) T) {
	t.Helper()
	for _, n := range bytes {
		data := make([]T, max(n/typeOf[T]().Size(), 1))
		for i := range data {
			data[i] = value(rng.Uint64())
		}
		want := slices.Clone(data)
		x := FromSlice(dev, data)
		clear(data) // FromSlice must not need them any more
		if got := values(t, x); !slices.Equal(got, want) {
			t.Errorf("%d bytes of %s: ToSlice differs", n, x.DType())
		}
		part := data[1:]
		if err := x.Slice(R(1, End)).CopyTo(part); err != nil || !slices.Equal(part, want[1:]) {
			t.Errorf("%d bytes of %s: CopyTo of all but the first: %v", n, x.DType(), err)
		}
		if err := x.Slice(R(End, End, -1)).CopyTo(data); err != nil {
			t.Error(err)
		}
		if slices.Reverse(data); !slices.Equal(data, want) {
			t.Errorf("%d bytes of %s: CopyTo in reverse differs", n, x.DType())
		}
		x.Free()
	}
}

// TestHostCopiesAtOnce has more goroutines copy both ways than there are buffers.
func TestHostCopiesAtOnce(t *testing.T) {
	d, _ := newRecorded(t)
	d.sh.staging.workers = 3
	var wg sync.WaitGroup
	for g := range largeBuffers + 4 {
		wg.Go(func() {
			data := make([]uint32, (2*largeBytes+g*4096)/4)
			for i := range data {
				data[i] = uint32(i*31 + g)
			}
			x := FromSlice(d, data)
			got, err := x.ToSlice()
			if err != nil || !slices.Equal(got, data) {
				t.Errorf("goroutine %d: %v, or other elements", g, err)
			}
			x.Free()
		})
	}
	wg.Wait()
}

// TestLateHostCopies copies both ways, in parts of a few bytes, on a device whose
// copies run as late as CUDA allows: a buffer that is filled or emptied too early, or
// memory that is, shows as wrong bytes.
func TestLateHostCopies(t *testing.T) {
	const part = 64
	first := rand.Uint64N(1<<63) + 1
	for seed := first; seed < first+20; seed++ {
		d := openLate(t, seed)
		d.sh.staging.small.init(2, 16)
		d.sh.staging.large.init(5, part)
		d.sh.staging.workers = 2
		var wg sync.WaitGroup
		for g := range 3 {
			wg.Go(func() {
				f, err := d.Fork()
				if err != nil {
					t.Error(err)
					return
				}
				rng := rand.New(rand.NewPCG(seed, uint64(g)))
				for _, n := range []int{1, 15, 16, 17, part - 1, part, part + 1, 9*part - 1, 9 * part, 30*part + 5} {
					data, on := make([]uint8, n), []*Device{d, f}
					for i := range data {
						data[i] = uint8(rng.Uint32())
					}
					want := slices.Clone(data)
					x := FromSlice(on[rng.IntN(2)], data)
					clear(data)
					y := x.On(on[rng.IntN(2)]).AddScalar(1).Eval()
					x.Free()
					if err := y.On(on[rng.IntN(2)]).CopyTo(data); err != nil {
						t.Error(err)
					}
					y.Free()
					for i := range want {
						want[i]++
					}
					if !slices.Equal(data, want) {
						t.Errorf("seed %d: %d bytes come back as others", seed, n)
					}
				}
			})
		}
		wg.Wait()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestHostCopiesBesideTheLock copies while others have the device's lock.
func TestHostCopiesBesideTheLock(t *testing.T) {
	d, _ := newRecorded(t)
	data := make([]byte, 3*largeBytes)
	x := FromSlice(d, data)
	for _, up := range []bool{true, false} {
		c := transfer{dev: d, store: x.node.store, host: data, up: up}
		if err := c.begin(call{}, ""); err != nil {
			t.Fatal(err)
		}
		d.sh.mu.Lock()
		done := make(chan error)
		go func() { done <- c.run() }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("up %v: a copy waits for the device's lock", up)
		}
		d.sh.mu.Unlock()
		c.end()
	}
	runtime.KeepAlive(x)
}

// TestDeviceFaultDuringHostCopies poisons the context in the middle of a large copy:
// it ends with the driver's code, and its buffers are back.
func TestDeviceFaultDuringHostCopies(t *testing.T) {
	for _, method := range []string{"MemcpyHtoDAsync", "MemcpyDtoHAsync"} {
		for nth := 1; nth <= 9; nth += 4 {
			api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
			d, err := openAPI(api)
			if err != nil {
				t.Fatal(err)
			}
			d.sh.staging.workers = 2
			api.Inject(abitest.Fault{Method: method, Nth: nth, Result: abi.ErrorIllegalAddress})
			_, err = FromSlice(d, make([]byte, 10*largeBytes)).ToSlice()
			if !errors.Is(err, ErrDevice) || !errors.Is(err, driver.ErrorIllegalAddress) {
				t.Errorf("%s %d: %v, want ErrDevice with the driver's code", method, nth, err)
			}
			if r := &d.sh.staging.large; len(r.buffers) != cap(r.buffers) {
				t.Errorf("%s %d: %d of %d buffers are back", method, nth, len(r.buffers), cap(r.buffers))
			}
			if err := d.Close(); !errors.Is(err, driver.ErrorIllegalAddress) {
				t.Errorf("%s %d: Close: %v", method, nth, err)
			}
		}
	}
}

// TestFaultsOfHostCopies fails each driver call of large copies in turn.
func TestFaultsOfHostCopies(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "") // which frees with each array: a fault then is reported by Close
	data := make([]byte, 4*largeBytes+1)
	runs := abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API {
		api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
		d, err := openAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		d.sh.staging.workers = 2
		api.Record(abitest.RecordNames)
		api.Inject(f)
		x := FromSlice(d, data)
		_, err = x.ToSlice()
		x.Free()
		api.Heal()
		for _, c := range api.Calls() {
			if c.Injected && !slices.Contains(forgiven, c.Method) && !errors.Is(err, driver.ErrorUnknown) {
				t.Errorf("call %d, %s, failed: %v", f.Nth, c.Method, err)
			}
		}
		what := fmt.Sprintf("copies with call %d failing", f.Nth)
		checkWorks(t, what, d)
		checkReturned(t, what, d)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("call %d leaks:\n%s", f.Nth, leaks)
		}
		return api
	})
	if runs < 30 {
		t.Errorf("only %d calls were made to fail", runs)
	}
}

// TestCloseDuringHostCopies closes a device under copies: they end well or with
// ErrDevice, and nothing leaks.
func TestCloseDuringHostCopies(t *testing.T) {
	for range 5 {
		api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
		d, err := openAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		d.sh.staging.workers = 2
		started := make(chan bool, 4)
		var wg sync.WaitGroup
		for range cap(started) {
			wg.Go(func() {
				data := make([]byte, 3*largeBytes)
				started <- true
				x := FromSlice(d, data)
				if err := x.CopyTo(data); err != nil && !errors.Is(err, ErrDevice) {
					t.Error(err)
				}
			})
		}
		<-started
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		wg.Wait()
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("leaks:\n%s", leaks)
		}
	}
}

// TestForkClosesDuringHostCopies closes a fork under copies, which it waits for.
func TestForkClosesDuringHostCopies(t *testing.T) {
	d, _ := newRecorded(t)
	d.sh.staging.workers = 2
	for range 5 {
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		data := make([]byte, 3*largeBytes)
		x := FromSlice(f, data)
		c := transfer{dev: f, store: x.node.store, host: data}
		if err := errors.Join(asError(c.begin(call{}, "")), asError(d.enter(call{}))); err != nil { // the second one is of no concern to the fork
			t.Fatal(err)
		}
		closed := make(chan error)
		go func() { closed <- f.Close() }()
		go func() { closed <- f.Close() }()
		for range 100 { // for Close to come to its wait
			runtime.Gosched()
		}
		if err := c.run(); err != nil {
			t.Error(err)
		}
		select {
		case <-closed:
			t.Error("a fork is closed while its stream has copies")
		default:
		}
		c.end()
		if err := errors.Join(<-closed, <-closed); err != nil {
			t.Error(err)
		}
		if err := x.CopyTo(data); !errors.Is(err, ErrDevice) {
			t.Errorf("a read on a closed fork: %v", err)
		}
		d.leave()
		x.Free()
	}
}

// TestFaultsOfStaging fails to record the event after a copy: the buffer goes back
// when the copy is done.
func TestFaultsOfStaging(t *testing.T) {
	d, api := newRecorded(t)
	x := Ones[float32](d, 10)
	for name, run := range map[string]func() error{
		"upload":   func() error { return FromSlice(d, make([]float32, 10)).Err() },
		"download": func() error { _, err := x.ToSlice(); return err },
	} {
		if err := run(); err != nil { // all that is made only once
			t.Fatal(err)
		}
		for range smallBuffers {
			run()
		}
		counted(api)
		api.Inject(abitest.Fault{Method: "EventRecord", Nth: 1, Result: abi.ErrorUnknown})
		err := run()
		api.Heal()
		if got := counted(api); !errors.Is(err, driver.ErrorUnknown) || got["StreamSynchronize"] != 1 {
			t.Errorf("%s: %v and %d synchronisations, want the fault and 1", name, err, got["StreamSynchronize"])
		}
	}
	runtime.KeepAlive(x)
}
