package array

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"weak"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// newRecorded makes a simulated device whose driver calls are recorded.
func newRecorded(t *testing.T) (*Device, *abitest.API) {
	t.Helper()
	t.Setenv("GPUARRAY_NO_CACHE", "")
	return recorded(t)
}

func recorded(t *testing.T) (*Device, *abitest.API) {
	t.Helper()
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("leaks:\n%s", leaks)
		}
	})
	api.Record(abitest.RecordNames)
	return d, api
}

// counted returns how often each method was called since the last count.
func counted(api *abitest.API) map[string]int {
	n := map[string]int{}
	for _, c := range api.Calls() {
		n[c.Method]++
	}
	return n
}

func TestFree(t *testing.T) {
	d, _ := newRecorded(t)
	x := Arange[float32](d, 0, 100, 1)
	view, sum := x.Slice(R(10, 20)), x.Sum()
	view.Free() // a view owns nothing
	if v, err := view.At(0); v != 10 || err != nil {
		t.Errorf("after Free of a view it reads %v, %v", v, err)
	}
	x.Free()
	x.Free()
	for name, err := range map[string]error{
		"the array": x.Err(), "a view": view.Err(), "a read of a view": ignoring(view.ToSlice()), "an operation on a view": view.Exp().Err(),
		"Assign to a view": view.Fill(1), "a new view": x.Reshape(10, 10).Err(), "a handle": x.On(d).Err(),
	} {
		if !errors.Is(err, ErrFreed) || !strings.Contains(fmt.Sprint(err), "lifetime_test.go") {
			t.Errorf("%s: %v, want ErrFreed and the line of Free", name, err)
		}
	}
	if v, err := sum.Item(); v != 4950 || err != nil {
		t.Errorf("a result computed before Free is %v, %v", v, err)
	}
	sum.Free()
	if s := d.Stats(); s.Arrays != 0 || s.Cached == 0 {
		t.Errorf("%+v after Free of everything", s)
	}
	if err := d.Trim(0); err != nil {
		t.Error(err)
	}
}

func ignoring[V any](_ V, err error) error { return err }

// TestAllocationMakesNoDriverCall is the common path: an operation's result comes
// from the cache.
func TestAllocationMakesNoDriverCall(t *testing.T) {
	d, api := newRecorded(t)
	x := Ones[float32](d, 1000)
	x.Add(x).Eval().Free()
	counted(api)
	for range 10 {
		x.Add(x).Eval().Free()
	}
	got := counted(api)
	if got["LaunchKernel"] != 10 {
		t.Errorf("%d launches for 10 operations", got["LaunchKernel"])
	}
	for method := range got {
		if strings.HasPrefix(method, "Mem") || strings.HasPrefix(method, "Module") || strings.HasPrefix(method, "Stream") || strings.HasPrefix(method, "Event") {
			t.Errorf("%d calls of %s in the steady state", got[method], method)
		}
	}
}

func TestNoCache(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "1")
	d, api := recorded(t)
	x, y := Ones[float32](d, 10), Ones[float32](d, 10)
	if n := counted(api)["MemAlloc"]; n != 2 {
		t.Errorf("%d allocations of the driver for two arrays", n)
	}
	x.Free()
	y.Free()
	if n := counted(api)["MemFree"]; n != 2 {
		t.Errorf("%d allocations given back for two arrays", n)
	}
}

func TestScope(t *testing.T) {
	d, _ := newRecorded(t)
	outside := Ones[float32](d, 4)
	var kept, lost, inner, plain, keptEmpty, lostEmpty *Array[float32]
	failure := errors.New("mine")
	err := d.Scope(func(s *Device) error {
		lost = Ones[float32](s, 4)
		kept = outside.On(s).Add(lost).Slice(R(0, 2)).Keep()
		plain = outside.Add(outside) // made on d
		keptEmpty, lostEmpty = Ones[float32](s, 0).Keep(), Ones[float32](s, 0)
		if err := s.Close(); !errors.Is(err, ErrDevice) {
			t.Errorf("Close of a scope's Device: %v", err)
		}
		return s.Scope(func(s2 *Device) error {
			inner = Ones[float32](s2, 4).Keep()
			return failure
		})
	})
	if err != failure {
		t.Errorf("Scope returned %v", err)
	}
	for name, c := range map[string]struct {
		a    *Array[float32]
		want error
	}{
		"made in the scope": {lost, ErrFreed}, "kept": {kept, nil}, "of no elements": {lostEmpty, ErrFreed}, "of no elements, kept": {keptEmpty, nil},
		"kept in an inner scope only": {inner, ErrFreed},
		"made on the outer Device":    {plain, nil}, "made before": {outside, nil},
	} {
		if err := c.a.Err(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if got := values(t, kept); !slices.Equal(got, []float32{2, 2}) {
		t.Errorf("kept: %v", got)
	}
	func() { // a panic ends the scope too
		defer func() { recover() }()
		d.Scope(func(s *Device) error {
			lost = Ones[float32](s, 4)
			panic("mine")
		})
	}()
	if err := lost.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("after a panic: %v", err)
	}
}

// TestAfterScope computes with what a scope has left: the results belong to the
// scope around it.
func TestAfterScope(t *testing.T) {
	d, _ := newRecorded(t)
	var results [4]*Array[float32]
	var fork *Device
	d.Scope(func(outer *Device) error {
		var kept *Array[float32]
		var s *Device
		outer.Scope(func(inner *Device) error {
			var err error
			if fork, err = inner.Fork(); err != nil {
				t.Fatal(err)
			}
			return inner.Scope(func(innermost *Device) error {
				s, kept = innermost, Ones[float32](innermost, 4).Keep().Keep()
				return nil
			})
		})
		results = [4]*Array[float32]{kept, kept.AddScalar(1), Ones[float32](s, 4), Ones[float32](fork, 4)}
		for i, r := range results {
			if err := r.Err(); err != nil {
				t.Errorf("result %d within the outer scope: %v", i, err)
			}
		}
		return nil
	})
	for i, r := range results {
		if err := r.Err(); !errors.Is(err, ErrFreed) {
			t.Errorf("result %d after the outer scope: %v", i, err)
		}
	}
	if x := Ones[float32](fork, 4); x.Err() != nil || x.node.store.scope != nil {
		t.Errorf("on a fork that outlives all scopes: %v", x.Err())
	}
}

// TestScopeOfManyArrays prunes the scope's list of what is gone already.
func TestScopeOfManyArrays(t *testing.T) {
	d, _ := newRecorded(t)
	d.Scope(func(s *Device) error {
		for range 5000 {
			Zeros[uint8](s, 1).Free()
		}
		if n := len(s.scope.made); n > 3000 {
			t.Errorf("the scope lists %d arrays, of which none is alive", n)
		}
		return nil
	})
}

// TestUnreachableArrays shows that what nobody can reach comes back after a
// collection, but not the memory of an array of which a view is reachable.
func TestUnreachableArrays(t *testing.T) {
	d, _ := newRecorded(t)
	view := Arange[int32](d, 0, 100, 1).Slice(R(50, 60))
	for range 100 {
		Ones[float32](d, 1000).AddScalar(1)
	}
	runtime.GC()
	if s := d.Stats(); s.Arrays != 1 {
		t.Errorf("%d arrays after a collection, one is reachable", s.Arrays)
	}
	if v, err := view.At(0); v != 50 || err != nil {
		t.Errorf("the view reads %v, %v", v, err)
	}
}

// TestYoungArrays: what nobody can reach is found although it was young when it was
// left: by a collection that the package starts, and by any once there were enough
// others. What is freed meanwhile needs no weak pointer.
func TestYoungArrays(t *testing.T) {
	d, _ := newRecorded(t)
	leave := func(n int) {
		for range n {
			Ones[float32](d, 1000).AddScalar(1).Eval()
		}
	}
	locked := func(f func()) int {
		d.sh.mu.Lock()
		defer d.sh.mu.Unlock()
		f()
		return len(d.sh.registry.blocks)
	}
	leave(mostYoung / 4)
	if n := locked(d.sh.collect); n != 0 {
		t.Errorf("%d arrays after a collection that was started, none is reachable", n)
	}
	leave(mostYoung / 4)
	freed := Ones[float32](d, 1000)
	anchor := freed.node.self
	freed.Free()
	for range mostYoung {
		Ones[float32](d, 1).Free()
	}
	if anchor.young != nil || anchor.old != (weak.Pointer[node]{}) {
		t.Error("an array that was freed when it was young has a weak pointer, or is still kept")
	}
	runtime.GC()
	if n := locked(d.sh.sweep); n != 0 {
		t.Errorf("%d arrays after a collection, none is reachable", n)
	}
	held := Ones[float32](d, 1000)
	locked(func() { held.node.store.holds++ })
	held.Free()
	if n := locked(func() { d.sh.age(); d.sh.sweep() }); n != 1 {
		t.Errorf("%d arrays while one is held that was freed", n)
	}
	locked(held.node.store.release)
	large := Zeros[uint8](d, largeNode)
	if large.node.self.young != nil {
		t.Error("an array of many bytes is kept")
	}
}

// TestCollectionsOfAnotherDevice: a collection that the package starts for one device is
// not taken for the program's by another, whose Stats would start one as well.
func TestCollectionsOfAnotherDevice(t *testing.T) {
	d, _ := newRecorded(t)
	other, _ := newRecorded(t)
	started := func() int {
		Ones[float32](d, 10).AddScalar(1).Eval() // young, and left
		before := d.Stats().Collections
		for range 3 {
			other.sh.mu.Lock()
			other.sh.collect()
			other.sh.mu.Unlock()
			d.Stats()
		}
		return int(d.Stats().Collections - before)
	}
	runtime.GC()
	d.Stats()
	if n := started(); n != 0 {
		t.Errorf("%d collections were started after those of another device", n)
	}
	runtime.GC()
	if s := d.Stats(); s.Arrays != 0 {
		t.Errorf("%d arrays after one of the program's, none is reachable", s.Arrays)
	}
}

// TestClosedDeviceKeepsNoArrays: an Array of a closed Device does not keep others.
func TestClosedDeviceKeepsNoArrays(t *testing.T) {
	d, _ := newRecorded(t)
	kept, left := Ones[float32](d, 10), weak.Make(Ones[float32](d, 10).node)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if left.Value() != nil {
		t.Error("an array that nobody can reach is kept")
	}
	runtime.KeepAlive(kept)
}

// TestGarbageUnderALimit makes far more garbage than fits, without Free.
func TestGarbageUnderALimit(t *testing.T) {
	d, _ := newRecorded(t)
	if err := d.Limit("48MiB"); err != nil {
		t.Fatal(err)
	}
	x := Zeros[float32](d, 1<<20)
	for i := range 100 {
		if x = Zeros[float32](d, 1<<20); x.Err() != nil {
			t.Fatalf("array %d: %v", i, x.Err())
		}
	}
	if s := d.Stats(); s.Reserved > 48<<20 || s.Collections == 0 {
		t.Errorf("%+v", s)
	}
	runtime.KeepAlive(x)
}

// TestPacing makes garbage where there is memory enough: collections are started
// before all of it is taken, also where somebody watches, which sweeps.
func TestPacing(t *testing.T) {
	d, _ := newRecorded(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // the simulated device's memory is on Go's heap
	for _, watched := range []bool{false, true} {
		before, most := d.Stats().Collections, uint64(0)
		for range 100 {
			if err := Zeros[uint8](d, 4<<20).Err(); err != nil {
				t.Fatal(err)
			}
			d.sh.registry.paused = d.sh.registry.paused.Add(-1 << 40) // the cap on time is not what is tested
			if most = max(most, d.sh.arena.used); watched {
				d.Stats()
			}
		}
		if started := d.Stats().Collections - before; started < 3 || most > 200<<20 {
			t.Errorf("watched %v: for 400 MiB of garbage %d collections were started, and up to %s were in use", watched, started, byteText(most))
		}
	}
	d.sh.collect()
	before := d.Stats().Collections
	for range 100 {
		Zeros[uint8](d, 4<<20).Free()
		d.sh.registry.paused = d.sh.registry.paused.Add(-1 << 40)
	}
	if s := d.Stats(); s.Collections != before {
		t.Errorf("%d collections were started after 400 MiB that were freed", s.Collections-before)
	}
}

func TestOutOfMemory(t *testing.T) {
	d, _ := newRecorded(t)
	if err := d.Limit("10MiB"); err != nil {
		t.Fatal(err)
	}
	x, y := Zeros[uint8](d, 4<<20), Zeros[uint8](d, 4<<20)
	z := Zeros[uint8](d, 4<<20)
	if err := z.Err(); !errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), "4 MiB asked; 8 MiB in 2 arrays") || !strings.Contains(err.Error(), "limit 10 MiB") {
		t.Errorf("the third array: %v", err)
	}
	x.Free()
	if err := Zeros[uint8](d, 3<<20).Err(); err != nil {
		t.Errorf("after Free: %v", err)
	}
	y.Free()
	runtime.GC()
	if err := Zeros[uint8](d, 9<<20).Err(); err != nil { // the free segments go back to the driver first
		t.Errorf("an array of another size: %v", err)
	}
}

func TestStatsString(t *testing.T) {
	for want, s := range map[string]Stats{
		"0 arrays of 0 bytes, 0 bytes cached; 0 bytes taken, with no limit; since Open 0 launches, 0 allocations of the driver, 0 collections in 0s": {},
		"1 array of 1 KiB, 2 MiB cached; 3 GiB taken, with a limit of 4 GiB; since Open 1 launch, 1 allocation of the driver, 1 collection in 1.5s": {
			Arrays: 1, Used: 1 << 10, Cached: 2 << 20, Reserved: 3 << 30, Limit: 4 << 30, Launches: 1, Reserves: 1, Collections: 1, CollectTime: 1500 * time.Millisecond},
		"0 arrays of 0 bytes, 0 bytes cached; 0 bytes taken, with a limit of 0 bytes; since Open 0 launches, 0 allocations of the driver, 0 collections in 0s": {Limit: noMemory},
	} {
		if got := fmt.Sprint(s); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestLimits(t *testing.T) {
	d, _ := newRecorded(t)
	total := d.sh.total
	for text, want := range map[string]uint64{"none": 0, "0": noMemory, "1000": 1000, "2GiB": 2 << 30, "1.5 MB": 1500000, "50%": total / 2, "100%": total, "0%": noMemory, "900TiB": 900 << 40} {
		if err := d.Limit(text); err != nil || d.Stats().Limit != want {
			t.Errorf("Limit(%q): %v, %d bytes, want %d", text, err, d.Stats().Limit, want)
		}
	}
	if err := d.Limit("0"); err != nil {
		t.Fatal(err)
	}
	if err := Zeros[uint8](d, 1).Err(); !errors.Is(err, ErrOutOfMemory) || !strings.Contains(err.Error(), "limit 0 bytes") || strings.Contains(err.Error(), "1 bytes leaves") {
		t.Errorf("with a limit of 0: %v", err)
	}
	for _, text := range []string{"", "-1", "GiB", "1XB", "NaN", "1e300", "50%%", "101%", "-1%", "-2GiB"} {
		if err := d.Limit(text); !errors.Is(err, ErrArgument) {
			t.Errorf("Limit(%q): %v", text, err)
		}
	}
}

// TestFreeOfHeldMemory shows that a block stays while a read holds it.
func TestFreeOfHeldMemory(t *testing.T) {
	d, _ := newRecorded(t)
	x := Ones[float32](d, 100)
	held := transfer{dev: d, store: x.node.store}
	if err := held.begin(call{}, ""); err != nil {
		t.Fatal(err)
	}
	x.Free()
	if n := d.Stats().Arrays; n != 1 {
		t.Errorf("%d blocks are in use while one is held", n)
	}
	held.end()
	if n := d.Stats().Arrays; n != 0 {
		t.Errorf("%d blocks are in use after the read", n)
	}
}

// TestScratch shows that an operation's scratch memory comes back when it is queued.
func TestScratch(t *testing.T) {
	d, _ := newRecorded(t)
	x := Ones[float32](d, 300_000)
	before := d.Stats().Used
	sum := x.Sum()
	if v, err := sum.Item(); v != 300_000 || err != nil {
		t.Errorf("sum %v, %v", v, err)
	}
	if d.stream.tickets == nil {
		t.Skip("sums need no scratch memory")
	}
	if used := d.Stats().Used - d.stream.tickets.bytes - granule; used != before {
		t.Errorf("%d bytes in use, %d before", used, before)
	}
	runtime.KeepAlive(x)
	runtime.KeepAlive(sum)
}

// TestFreeDuringRead frees an array while other goroutines read it: they get its
// elements or ErrFreed, and nothing else.
func TestFreeDuringRead(t *testing.T) {
	d, _ := newRecorded(t)
	for range 30 {
		x := Full(d, int64(7), 400_000)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				got, err := x.ToSlice()
				if err != nil && !errors.Is(err, ErrFreed) {
					t.Error(err)
				}
				if err == nil && slices.ContainsFunc(got, func(v int64) bool { return v != 7 }) {
					t.Error("memory of a freed array was reused while it was read")
				}
			})
		}
		x.Free()
		Full(d, int64(8), 400_000).Free()
		wg.Wait()
	}
	if s := d.Stats(); s.Arrays != 0 {
		t.Errorf("%+v", s)
	}
}

// TestScopeEndsDuringCreation ends a scope under goroutines that make arrays in it:
// they get the array or ErrFreed, and nothing else.
func TestScopeEndsDuringCreation(t *testing.T) {
	d, _ := newRecorded(t)
	data := make([]float32, 3<<19) // three parts
	var wg sync.WaitGroup
	for i := range 40 {
		d.Scope(func(s *Device) error {
			for _, f := range []func() error{
				func() error { return FromSlice(s, data).Err() },
				func() error { return Ones[float32](s, 1<<16).Err() },
				func() error { return Eye[float32](s, 50).Err() },
			} {
				wg.Go(func() {
					if err := f(); err != nil && !errors.Is(err, ErrFreed) {
						t.Error(err)
					}
				})
			}
			time.Sleep(time.Duration(i*20) * time.Microsecond)
			return nil
		})
		wg.Wait()
	}
	// The same without luck: the memory goes between its creation and its filling.
	for name, fill := range map[string]func(n *node) *Error{
		"upload": func(n *node) *Error { return d.upload(call{op: "test"}, n.store, make([]byte, 4)) },
		"memset": func(n *node) *Error { return d.set(call{op: "test"}, n, scalarOf[float32](1)) },
	} {
		x := Zeros[float32](d, 1)
		x.Free()
		if err := fill(x.node); !errors.Is(asError(err), ErrFreed) {
			t.Errorf("%s of freed memory: %v", name, asError(err))
		}
	}
}

func TestForkWaits(t *testing.T) {
	d, api := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x := Ones[float32](d, 1000)
	y := Ones[float32](f, 1000)
	waits := func(what string, want int, work func()) {
		t.Helper()
		counted(api)
		work()
		if got := counted(api); got["StreamWaitEvent"] != want || got["EventRecord"] != want || got["StreamSynchronize"] != 0 {
			t.Errorf("%s: %d waits on %d events and %d synchronisations, want %d waits", what, got["StreamWaitEvent"], got["EventRecord"], got["StreamSynchronize"], want)
		}
	}
	var z *Array[float32]
	waits("on one stream", 0, func() { x.AddScalar(1).Eval() })
	waits("read after write", 1, func() { z = x.On(f).Add(y).Eval() })
	waits("read again", 0, func() { x.On(f).Mul(y).Eval() })
	waits("write after read", 1, func() { x.Fill(2) })
	waits("write again", 0, func() { x.Fill(3) })
	waits("read after the second write", 1, func() { z = x.On(f).Add(z).Eval() })
	waits("result belongs to the receiver's stream", 0, func() { z.AddScalar(1).Eval() })
	waits("read on the first stream", 1, func() { z.On(d).AddScalar(1).Eval() })
	runtime.KeepAlive(x)
	if got := values(t, z); got[0] != 5 {
		t.Errorf("computed %v, want 5", got[0])
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	waits("on what a closed fork wrote", 0, func() { y.On(d).Fill(1) })
	if err := y.AddScalar(1).Err(); !errors.Is(err, ErrDevice) {
		t.Errorf("an operation on a closed fork: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestSyncOfAnArray waits for the stream that wrote the array, by an event of its
// own, whichever Device the handle is bound to.
func TestSyncOfAnArray(t *testing.T) {
	d, api := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x := Ones[float32](d, 1000)
	y := x.On(f).AddScalar(2).On(d)
	counted(api)
	if err := y.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := counted(api); got["EventRecord"] != 1 || got["EventSynchronize"] != 1 || got["EventDestroy"] != 1 || got["StreamSynchronize"] != 0 {
		t.Errorf("calls of Sync: %v, want one event recorded and waited for", got)
	}
	if w := y.node.store.block.wrote; w.stream != f.stream || !w.reached() {
		t.Errorf("the last write is at %+v and not known to be complete", w)
	}
	if y.Sync(); len(api.Calls()) != 0 {
		t.Error("a second Sync asks the driver again")
	}
	z := y.On(f).AddScalar(1).On(d)
	api.Inject(abitest.Fault{Method: "EventSynchronize", Nth: 1, Result: abi.ErrorUnknown})
	if err := z.Sync(); !errors.Is(err, driver.ErrorUnknown) {
		t.Errorf("a fault of the other stream: %v", err)
	}
	api.Heal()
}

// TestOnFromAClosedFork reads what a fork computed before it was closed.
func TestOnFromAClosedFork(t *testing.T) {
	d, _ := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	y := Ones[float32](f, 3).AddScalar(1)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got := values(t, y.On(d)); !slices.Equal(got, []float32{2, 2, 2}) {
		t.Errorf("got %v, want 2 2 2", got)
	}
	if _, err := y.ToSlice(); !errors.Is(err, ErrDevice) {
		t.Errorf("reading on the closed fork: %v", err)
	}
	if err := y.On(f).Err(); !errors.Is(err, ErrDevice) {
		t.Errorf("On the closed fork: %v", err)
	}
	y.Free()
	if err := y.On(d).Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("On of a freed array: %v", err)
	}
}

// TestReuseWaits frees on one stream and allocates on another: the block is the
// same, so the second stream waits.
func TestReuseWaits(t *testing.T) {
	d, api := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x := Zeros[float32](f, 3<<20)
	at := x.node.store.block.address
	x.Free()
	counted(api)
	y := Zeros[float32](d, 3<<20)
	if y.node.store.block.address != at {
		t.Fatal("the block was not reused")
	}
	if got := counted(api); got["StreamWaitEvent"] != 1 {
		t.Errorf("%d waits for a block that another stream used, want 1", got["StreamWaitEvent"])
	}
	y.Free()
	Zeros[float32](d, 3<<20).Free()
	if got := counted(api); got["StreamWaitEvent"] != 0 {
		t.Errorf("%d waits for a block of the same stream", got["StreamWaitEvent"])
	}
	// Both halves of a block that is split wait for what used the whole.
	g, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	Zeros[float32](f, 3<<20).Free()
	counted(api)
	first, second := Zeros[float32](d, 1<<20), Zeros[float32](g, 1<<20)
	if a, b := first.node.store.block, second.node.store.block; a.next != b {
		t.Fatal("the block was not split")
	}
	if got := counted(api); got["StreamWaitEvent"] != 3 { // the first stream used it too
		t.Errorf("%d waits for the halves of a block, want 3", got["StreamWaitEvent"])
	}
}

// TestTicketsAndGraphsWait gives ticket memory away that its stream may still use,
// and makes a graph of memory that another stream may still use.
func TestTicketsAndGraphsWait(t *testing.T) {
	d, api := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x := Ones[float32](d, 100_000)
	total := x.Sum()            // beside its tickets
	x.On(f).AddScalar(1).Eval() // waits for those to be cleared
	again := x.Sum()
	old := d.stream.tickets.address
	d.sh.mu.Lock()
	err = d.stream.needTickets(d.sh, minTickets+1)
	d.sh.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	var taken []*Array[uint8]
	for found := false; !found; {
		if len(taken) == 64 {
			t.Fatal("the old tickets are not used again")
		}
		counted(api)
		taken = append(taken, Zeros[uint8](f, minTickets))
		b := taken[len(taken)-1].node.store.block
		found = b.address <= old && old < b.address+b.bytes
	}
	runtime.KeepAlive(taken)
	runtime.KeepAlive(total)
	runtime.KeepAlive(again)
	if got := counted(api); got["StreamWaitEvent"] != 1 {
		t.Errorf("%d waits for tickets of another stream, want 1", got["StreamWaitEvent"])
	}

	last := Zeros[float32](d)
	big := Zeros[float32](f, 3<<20)
	at := big.node.store.block.address
	big.Free()
	g := capture(t, d, func(c *Device) error { return last.On(c).Assign(Full(c, float32(2), 3<<20).Eval().Slice(I(-1))) })
	if !slices.ContainsFunc(g.blocks, func(b *block) bool { return b.address == at }) {
		t.Fatal("the graph has other memory")
	}
	counted(api)
	launch(t, g)
	if got := counted(api); got["StreamWaitEvent"] != 1 {
		t.Errorf("%d waits for memory of another stream, want 1", got["StreamWaitEvent"])
	}
}

// TestCloseOfACopy closes a copy of the Device that was opened.
func TestCloseOfACopy(t *testing.T) {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	c := *d
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("leaks:\n%s", leaks)
	}
	if err := d.Close(); err != nil {
		t.Errorf("Close of the Device itself: %v", err)
	}
}

func TestOnForeignDevice(t *testing.T) {
	d, _ := newRecorded(t)
	x := Ones[float32](dev, 2)
	if err := x.On(d).Err(); !errors.Is(err, ErrDevice) {
		t.Errorf("On another device: %v", err)
	}
	if err := Ones[float32](d, 2).Add(x).Err(); !errors.Is(err, ErrDevice) {
		t.Errorf("operands of two devices: %v", err)
	}
}

// TestTwoDevices computes on two devices by turns, from goroutines that change
// between them and carry data across: nothing depends on which device's context
// a thread used last. Without two GPUs, on two simulated devices.
func TestTwoDevices(t *testing.T) {
	drv := dev.sh.ctx.Device().Driver()
	n, err := drv.DeviceCount()
	simulated := n < 2
	if simulated && err == nil {
		drv, err = driver.Simulated(driver.SimulatedConfig{Devices: 2})
	}
	if err != nil {
		t.Fatal(err)
	}
	var devices [2]*Device
	for i := range devices {
		gpu, err := drv.Device(i)
		if err != nil {
			t.Fatal(err)
		}
		if devices[i], err = newDevice(gpu, simulated); err != nil {
			t.Fatal(err)
		}
		t.Logf("%s", devices[i])
	}
	const size = 1 << 16
	weights := make([]float32, size)
	for i := range weights {
		weights[i] = float32(i % 7)
	}
	var shared [2]*Array[float32]
	for i, d := range devices {
		shared[i] = FromSlice(d, weights, 256, 256)
	}
	rounds := 40
	if testing.Short() || simulated {
		rounds = 4
	}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			values := make([]float32, size)
			for i := range values {
				values[i] = float32(g)
			}
			want := float32(g)
			for round := range rounds {
				i := (g + round) % 2
				d := devices[i]
				if g%4 == 3 {
					fork, err := d.Fork()
					if err != nil {
						t.Error(err)
						return
					}
					d = fork
				}
				x := FromSlice(d, values, 256, 256)
				y := x.MulScalar(2).Add(shared[i].On(d)).Sub(shared[i].On(d)).SubScalar(want - 1) // want + 1
				identity := Eye[float32](d, 256)
				product := y.MatMul(identity)
				want++
				sum, err := product.Sum().Item()
				if sum != want*size || err != nil {
					t.Errorf("goroutine %d, round %d, %s: a sum of %v, %v; want %v", g, round, d, sum, err, want*size)
				}
				if err := product.CopyTo(values); err != nil {
					t.Error(err)
				}
				for j, v := range values {
					if v != want {
						t.Errorf("goroutine %d, round %d, %s: element %d is %v, want %v", g, round, d, j, v, want)
						return
					}
				}
				if round%2 == 0 {
					x.Free()
					y.Free()
					identity.Free()
					product.Free()
				}
				if g%4 == 3 {
					if err := d.Close(); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	wg.Wait()
	for i, d := range devices {
		shared[i].Free()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestGoroutines computes on one device and its forks from several goroutines.
func TestGoroutines(t *testing.T) {
	d, _ := newRecorded(t)
	shared := Arange[float64](d, 0, 1000, 1)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			own := d
			if g%2 == 1 {
				f, err := d.Fork()
				if err != nil {
					t.Error(err)
					return
				}
				defer f.Close()
				own = f
			}
			for i := range 20 {
				x := shared.On(own).MulScalar(float64(g)).AddScalar(float64(i))
				got, err := x.Sum().Item()
				if want := 499500*float64(g) + 1000*float64(i); got != want || err != nil {
					t.Errorf("goroutine %d: %v, %v; want %v", g, got, err, want)
				}
				if i%2 == 0 {
					x.Free()
				}
			}
		})
	}
	wg.Wait()
}

// TestCloseDuringWork closes a device under goroutines that use it.
func TestCloseDuringWork(t *testing.T) {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	x := Ones[float32](d, 10000)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for {
				if _, err := x.Add(x).Sum().Item(); err != nil {
					if !errors.Is(err, ErrDevice) {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("leaks:\n%s", leaks)
	}
	x.Free()
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestScopeKeepsNothingForExpressions overwrites an array of which expressions show
// the old values: when the scope ends they go, without a collection, but for what is
// recorded outside of it.
func TestScopeKeepsNothingForExpressions(t *testing.T) {
	d, _ := newRecorded(t)
	x, y := Ones[float32](d, 1000), Ones[float32](d, 1000)
	before := d.Stats()
	for _, want := range []float32{3, 0, 3} { // x is 1, −2, 1
		var outside *Array[float32]
		err := d.Scope(func(s *Device) error {
			sum := x.On(s).Add(y).Mul(y)
			outside = y.Add(sum)
			return x.Assign(sum.Neg())
		})
		if err != nil {
			t.Fatal(err)
		}
		if v, err := outside.At(999); v != want || err != nil {
			t.Errorf("what was recorded outside is %v, %v, want %v", v, err, want)
		}
		outside.Free()
		if after := d.Stats(); after.Arrays != before.Arrays || after.Used != before.Used || d.sh.setAside != 0 {
			t.Errorf("%d arrays of %d bytes, %d set aside; before there were %d of %d", after.Arrays, after.Used, d.sh.setAside, before.Arrays, before.Used)
		}
	}
	runtime.KeepAlive(y)
}

// TestNodeSize holds nodes to the allocator's class of 512 bytes: the next one is
// larger by an eighth, and each operation makes one.
func TestNodeSize(t *testing.T) {
	if n := reflect.TypeFor[node]().Size(); n > 512 {
		t.Errorf("a node has %d bytes", n)
	}
}
