package abitest

import (
	"reflect"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// fake has what the tests need; everything else is a nil interface's method.
type fake struct {
	abi.API
	mu     sync.Mutex
	last   uint64
	ended  int
	marked int
}

func (f *fake) new() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	return f.last
}

func (f *fake) end() abi.Result {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended++
	return abi.Success
}

func (f *fake) MemAlloc(uint64) (abi.DevicePtr, abi.Result) {
	return abi.DevicePtr(f.new()), abi.Success
}
func (f *fake) MemAllocAsync(uint64, abi.Stream) (abi.DevicePtr, abi.Result) {
	return abi.DevicePtr(f.new()), abi.Success
}
func (f *fake) MemHostAlloc(uint64, uint32) (unsafe.Pointer, abi.Result) {
	return unsafe.Pointer(new(int64)), abi.Success
}
func (f *fake) EventCreate(uint32) (abi.Event, abi.Result) {
	return abi.Event(f.new()), abi.Success
}
func (f *fake) DevicePrimaryCtxRetain(abi.Device) (abi.Context, abi.Result) {
	return 77, abi.Success
}
func (f *fake) StreamEndCapture(abi.Stream) (abi.Graph, abi.Result) {
	return abi.Graph(f.new()), abi.Success
}
func (f *fake) CtxSynchronize() abi.Result                                       { return abi.Success }
func (f *fake) MemFree(abi.DevicePtr) abi.Result                                 { return f.end() }
func (f *fake) MemFreeAsync(abi.DevicePtr, abi.Stream) abi.Result                { return f.end() }
func (f *fake) MemFreeHost(unsafe.Pointer) abi.Result                            { return f.end() }
func (f *fake) StreamDestroy(abi.Stream) abi.Result                              { return f.end() }
func (f *fake) EventDestroy(abi.Event) abi.Result                                { return f.end() }
func (f *fake) ModuleUnload(abi.Module) abi.Result                               { return f.end() }
func (f *fake) LibraryUnload(abi.Library) abi.Result                             { return f.end() }
func (f *fake) GraphDestroy(abi.Graph) abi.Result                                { return f.end() }
func (f *fake) GraphExecDestroy(abi.GraphExec) abi.Result                        { return f.end() }
func (f *fake) MemPoolDestroy(abi.MemoryPool) abi.Result                         { return f.end() }
func (f *fake) DevicePrimaryCtxRelease(abi.Device) abi.Result                    { return f.end() }
func (f *fake) FaultReport() string                                              { return "line 3 did it" }
func (f *fake) MarkMemory(abi.DevicePtr, uint64, abi.MemoryState, func() string) { f.marked++ }

// TestForwarding calls every method of the seam through two wrappers, of which
// the inner one fails each call: each arrives under its own name, with its
// arguments, and its result comes back.
func TestForwarding(t *testing.T) {
	seam := reflect.TypeFor[abi.API]()
	for i := range seam.NumMethod() {
		m := seam.Method(i)
		f := &fake{}
		inner := Wrap(f)
		inner.Inject(Fault{Result: abi.ErrorECCUncorrectable})
		inner.Record(RecordArgs)
		outer := Wrap(inner)
		args := make([]reflect.Value, m.Type.NumIn())
		for k := range args {
			args[k] = distinct(m.Type.In(k), k)
		}
		out := reflect.ValueOf(outer).MethodByName(m.Name).Call(args)
		calls := inner.Calls()
		if len(calls) != 1 || calls[0].Method != m.Name {
			t.Errorf("%s arrived as %v", m.Name, calls)
			continue
		}
		var want []any
		for _, a := range args {
			want = append(want, a.Interface())
		}
		if got := calls[0].Args; got != argText(want) {
			t.Errorf("%s(%s) arrived with the arguments %s", m.Name, argText(want), got)
		}
		if m.Name == "MarkMemory" {
			if f.marked != 1 {
				t.Error("MarkMemory did not arrive")
			}
			continue
		}
		if r := out[len(out)-1].Interface(); r != abi.ErrorECCUncorrectable {
			t.Errorf("%s returned %v", m.Name, r)
		}
		if released[m.Name] != "" && f.ended != 1 {
			t.Errorf("%s was not passed on", m.Name)
		}
	}
}

// distinct makes a value that differs from that of other parameters.
func distinct(typ reflect.Type, k int) reflect.Value {
	v := reflect.New(typ).Elem()
	switch {
	case v.CanInt():
		v.SetInt(int64(k + 1))
	case v.CanUint():
		v.SetUint(uint64(k + 1))
	case typ.Kind() == reflect.String:
		v.SetString(string(rune('a' + k)))
	case typ.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(typ, k+1, k+1))
	}
	return v
}

// TestTables: every method that is said to make or to release is one of the seam.
func TestTables(t *testing.T) {
	seam := reflect.TypeFor[abi.API]()
	for _, table := range []map[string]string{made, released} {
		for name := range table {
			if _, ok := seam.MethodByName(name); !ok {
				t.Errorf("the seam has no method %s", name)
			}
		}
	}
	for i := range seam.NumMethod() {
		name := seam.Method(i).Name
		for _, word := range []string{"Destroy", "Unload", "Release", "Free"} {
			if strings.Contains(name, word) && released[name] == "" {
				t.Errorf("%s sounds as if it released something", name)
			}
		}
		for _, word := range []string{"Create", "Alloc", "Load", "Instantiate"} {
			if strings.Contains(name, word) && !strings.Contains(name, "Unload") && made[name] == "" {
				t.Errorf("%s sounds as if it made something", name)
			}
		}
	}
}

func TestFaults(t *testing.T) {
	run := func(faults ...Fault) (failed []int, api *API) {
		api = Wrap(&fake{})
		for _, f := range faults {
			api.Inject(f)
		}
		for i := 1; i <= 10; i++ {
			var r abi.Result
			if i%2 == 1 {
				_, r = api.MemAlloc(8)
			} else {
				r = api.CtxSynchronize()
			}
			if r != abi.Success {
				failed = append(failed, i)
			}
		}
		return failed, api
	}
	for _, test := range []struct {
		f    Fault
		want []int
	}{
		{Fault{Nth: 3}, []int{3}},
		{Fault{Nth: 3, Method: "MemAlloc"}, []int{5}},
		{Fault{Nth: 4, Method: "MemAlloc", Sticky: true}, []int{7, 9}},
		{Fault{Method: "CtxSynchronize"}, []int{2, 4, 6, 8, 10}},
		{Fault{Method: "MemFree"}, nil},
		{Fault{Nth: 11}, nil},
	} {
		failed, api := run(test.f)
		if !reflect.DeepEqual(failed, test.want) {
			t.Errorf("%+v failed %d, want %d", test.f, failed, test.want)
		}
		if api.Count() != 10 || api.Injected() != len(test.want) {
			t.Errorf("%+v: %d calls, %d injected", test.f, api.Count(), api.Injected())
		}
	}
	a, _ := run(Fault{Probability: 0.5, Seed: 1})
	b, _ := run(Fault{Probability: 0.5, Seed: 1})
	if len(a) == 0 || len(a) == 10 || !reflect.DeepEqual(a, b) {
		t.Errorf("with the same seed %d and %d failed", a, b)
	}
	api := Wrap(&fake{})
	api.Inject(Fault{})
	if r := api.CtxSynchronize(); r != abi.ErrorUnknown {
		t.Error(r)
	}
	api.Heal()
	if r := api.CtxSynchronize(); r != abi.Success {
		t.Error(r)
	}
	if api.FaultReport() != "line 3 did it" || api.Unwrap() == nil {
		t.Error("the wrapped implementation's report is lost")
	}
}

func TestSweep(t *testing.T) {
	var failed []string
	n := Sweep(abi.ErrorOutOfMemory, func(f Fault) *API {
		api := Wrap(&fake{})
		api.CtxSynchronize() // before the work
		api.Inject(f)
		api.Record(RecordNames)
		if p, r := api.MemAlloc(8); r == abi.Success {
			api.CtxSynchronize()
			api.MemFree(p)
		}
		for _, c := range api.Calls() {
			if c.Injected {
				failed = append(failed, c.String())
			}
		}
		if s := api.Leaks(); s != "" {
			t.Error(s)
		}
		return api
	})
	want := []string{"MemAlloc() = CUDA_ERROR_OUT_OF_MEMORY", "CtxSynchronize() = CUDA_ERROR_OUT_OF_MEMORY", "MemFree() = CUDA_ERROR_OUT_OF_MEMORY"}
	if n != 3 || !reflect.DeepEqual(failed, want) {
		t.Errorf("%d runs failed in %q", n, failed)
	}
}

func TestLeaks(t *testing.T) {
	api := Wrap(&fake{})
	p, _ := api.MemAlloc(1024)
	q, _ := api.MemAllocAsync(16, 0)
	h, _ := api.MemHostAlloc(8, 0)
	e, _ := api.EventCreate(0)
	api.DevicePrimaryCtxRetain(0)
	api.DevicePrimaryCtxRetain(0)
	want := map[string]int{Memory: 2, HostMemory: 1, Events: 1, Contexts: 2}
	if got := api.Live(); !reflect.DeepEqual(got, want) {
		t.Errorf("alive: %v, want %v", got, want)
	}
	if s := api.Leaks(); strings.Count(s, "\n") != 4 || !strings.Contains(s, "device memory 1 is alive (count 1), made by call 1, MemAlloc(1024)") {
		t.Errorf("leaks:\n%s", s)
	}
	api.Inject(Fault{Method: "MemFree", Result: abi.ErrorLaunchFailed})
	if r := api.MemFree(p); r != abi.ErrorLaunchFailed {
		t.Error(r)
	}
	api.MemFreeAsync(q, 0)
	api.MemFreeHost(h)
	api.EventDestroy(e)
	api.DevicePrimaryCtxRelease(0)
	api.DevicePrimaryCtxRelease(0)
	if s := api.Leaks(); s != "" {
		t.Errorf("leaks:\n%s", s)
	}
	api.EventDestroy(e)
	if s := api.Leaks(); !strings.Contains(s, "is not alive") {
		t.Errorf("a second release went unseen: %q", s)
	}
}

func TestFailedEndCaptureLeavesNoGraph(t *testing.T) {
	f := &fake{}
	api := Wrap(f)
	api.Inject(Fault{Method: "StreamEndCapture", Result: abi.ErrorStreamCaptureInvalidated})
	if _, r := api.StreamEndCapture(1); r != abi.ErrorStreamCaptureInvalidated {
		t.Error(r)
	}
	if f.ended != 1 || api.Leaks() != "" {
		t.Errorf("%d graphs destroyed, leaks %q", f.ended, api.Leaks())
	}
}

func TestManyGoroutines(t *testing.T) {
	api := Wrap(&fake{})
	api.Inject(Fault{Method: "MemAlloc", Probability: 0.3, Seed: 7})
	api.Record(RecordArgs)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if p, r := api.MemAlloc(8); r == abi.Success {
					api.MemFree(p)
				}
				api.Live()
			}
		})
	}
	wg.Wait()
	if api.Leaks() != "" || api.Injected() == 0 || len(api.Calls()) != api.Count() {
		t.Errorf("leaks %q, %d injected, %d calls", api.Leaks(), api.Injected(), api.Count())
	}
}
