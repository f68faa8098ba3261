package array

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// openAPI makes a Device of an implementation of the seam.
func openAPI(api abi.API) (*Device, error) {
	drv, err := driver.OpenAPI(api)
	if err != nil {
		return nil, err
	}
	gpu, err := drv.Device(0)
	if err != nil {
		return nil, err
	}
	return newDevice(gpu, true)
}

// forgiven are driver calls whose failure loses nothing: the driver package checks
// arguments where it can, puts back a thread's context where it can, and error
// texts say how much memory is free where they can. Each of these also asks for the
// thread's current context.
var forgiven = []string{"FuncGetParamInfo", "MemGetInfo", "CtxSetCurrent", "CtxGetCurrent"}

// TestFaults fails each driver call of each operation in turn with an unknown
// error, and each allocation for lack of memory: the error comes back (or, for lack
// of memory, another way is found), nothing leaks, and the device still works. Of
// operations that make the same calls as another one, only some call is failed.
func TestFaults(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "") // which frees with each array: a fault then is reported by Close
	if testing.Short() {
		t.Skip("thousands of devices are opened")
	}
	rng := seeded(t)
	runs := 0
	for i := range operations {
		op := &operations[i]
		if op.quiet {
			continue
		}
		if op.alike {
			withFault(t, op, false, abitest.Fault{Nth: 1 + rng.IntN(12), Result: abi.ErrorUnknown})
			continue
		}
		runs += abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API { return withFault(t, op, true, f) })
		if i%8 == 0 { // loading a kernel is the same for all of them, and slow
			runs += abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API { return withFault(t, op, false, f) })
		}
		runs += abitest.Sweep(abi.ErrorOutOfMemory, func(f abitest.Fault) *abitest.API {
			f.Method = "MemAlloc"
			return withFault(t, op, false, f)
		})
		if t.Failed() {
			return
		}
	}
	t.Log(runs, "faults injected")
}

// withFault runs an operation on a device of its own whose driver fails once: the
// first time, or, warm, when it has run before.
func withFault(t *testing.T, op *operation, warm bool, f abitest.Fault) *abitest.API {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	shape := op.shape
	if shape == nil {
		shape = []int{3, 3}
	}
	d.sh.eager = true
	o := newOperands(d, shape...)
	if warm {
		if err := op.run(o); err != nil {
			t.Fatal(op.name, err)
		}
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	api.Record(abitest.RecordNames)
	api.Inject(f)
	err = op.run(o)
	api.Heal()
	what := fmt.Sprintf("%s with call %d failing as %v", op.name, f.Nth, f.Result.Name())
	for _, c := range api.Calls() {
		if c.Injected {
			what += " (" + c.Method + ")"
			checkFault(t, op, what, c, err)
		}
	}
	if api.Injected() > 0 {
		checkWorks(t, what, d)
	}
	o.free()
	if err != nil {
		checkReturned(t, what, d)
	}
	if err := d.Close(); err != nil {
		t.Errorf("%s: Close: %v", what, err)
	}
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("%s leaks:\n%s", what, leaks)
	}
	return api
}

// checkFault looks at what an operation returned when a call of the driver failed.
func checkFault(t *testing.T, op *operation, what string, c abitest.Call, err error) {
	t.Helper()
	var e *Error
	switch code := driver.Code(c.Result); {
	case err == nil && c.Result != abi.ErrorOutOfMemory && !slices.Contains(forgiven, c.Method) && !strings.HasPrefix(what, "Device.Fork"): // whose user closes the fork and looks at no error
		t.Errorf("%s: no error came back", what)
	case err != nil && !errors.As(err, &e):
		t.Errorf("%s: %T is no *Error: %v", what, err, err)
	case err != nil && !errors.Is(err, code):
		t.Errorf("%s: the driver's code is not in the error: %v", what, err)
	case err != nil && !errors.Is(err, ErrDevice) && !errors.Is(err, ErrOutOfMemory):
		t.Errorf("%s: error of the wrong kind: %v", what, err)
	case err != nil && op.operands > 0 && len(e.Operands) == 0:
		t.Errorf("%s: the error names no operands: %v", what, err)
	}
}

// checkReturned looks for device memory that is in use although no array can be
// reached any more.
func checkReturned(t *testing.T, what string, d *Device) {
	t.Helper()
	runtime.GC()
	s := d.Stats()
	for _, b := range []*block{d.stream.tickets, d.sh.statuses.block} {
		if b != nil {
			s.Used -= b.bytes
		}
	}
	if s.Arrays != 0 || s.Used != 0 {
		t.Errorf("%s: %d arrays and %d bytes are in use", what, s.Arrays, s.Used)
	}
}

// checkWorks computes on after a fault.
func checkWorks(t *testing.T, what string, d *Device) {
	t.Helper()
	x := Full(d, float32(3), 2)
	got, err := x.Add(x).ToSlice()
	if err != nil || !slices.Equal(got, []float32{6, 6}) {
		t.Errorf("%s: afterwards 3 + 3 is %v, %v", what, got, err)
	}
}

// TestFaultsOfOpen fails each driver call of opening and closing a device.
func TestFaultsOfOpen(t *testing.T) {
	runs := abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API {
		api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
		api.Inject(f)
		d, err := openAPI(api)
		api.Heal()
		if (err != nil) != (api.Injected() > 0) && err != nil {
			t.Errorf("Open with call %d failing: %v", f.Nth, err)
		}
		if d != nil {
			if err := d.Close(); err != nil {
				t.Error(err)
			}
		}
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("Open with call %d failing leaks:\n%s", f.Nth, leaks)
		}
		return api
	})
	t.Log(runs, "faults injected")
}

// TestDeviceFault has a kernel poison the context: everything later is ErrDevice
// with the driver's code, and closing gives back what the host holds.
func TestDeviceFault(t *testing.T) {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	x := Ones[float32](d, 10)
	api.Inject(abitest.Fault{Method: "LaunchKernel", Nth: 1, Result: abi.ErrorIllegalAddress})
	y := x.Add(x).Eval()
	_, read := x.ToSlice()
	for name, err := range map[string]error{
		"the operation": y.Err(), "a later one": x.Exp().Eval().Err(), "one on its result": y.Exp().Err(), "a read": read, "Sync": d.Sync(), "Fill": x.Fill(1),
	} {
		if !errors.Is(err, ErrDevice) || !errors.Is(err, driver.ErrorIllegalAddress) {
			t.Errorf("%s: %v, want ErrDevice with the driver's code", name, err)
		}
	}
	if err := d.Close(); !errors.Is(err, driver.ErrorIllegalAddress) {
		t.Errorf("Close: %v", err)
	}
	if err := d.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

// TestFaultsOfPrinting fails each driver call of printing in turn: what is printed
// names the line that prints, with and without package fmt.
func TestFaultsOfPrinting(t *testing.T) {
	for name, show := range map[string]func(a *Array[float32]) (string, int){
		"String":  func(a *Array[float32]) (string, int) { return a.String(), line() },
		"Sprint":  func(a *Array[float32]) (string, int) { return fmt.Sprint(a), line() },
		"Sprintf": func(a *Array[float32]) (string, int) { return fmt.Sprintf("%.3f", a), line() },
	} {
		faults := 0
		abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API {
			api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
			d, err := openAPI(api)
			if err != nil {
				t.Fatal(err)
			}
			a := Ones[float32](d, 60, 40)
			api.Inject(f)
			text, at := show(a)
			api.Heal()
			if strings.Contains(text, "array: ") {
				faults++
				if want := fmt.Sprintf("array: String of float32 (60, 40) at faults_test.go:%d: ", at); !strings.HasPrefix(text, want) {
					t.Errorf("%s, call %d fails: %q, want %q", name, f.Nth, text, want)
				}
			}
			a.Free()
			if s := d.Stats(); s.Arrays != 0 {
				t.Errorf("%s, call %d fails: %d arrays are left", name, f.Nth, s.Arrays)
			}
			d.Close()
			return api
		})
		if faults < 5 {
			t.Errorf("%s: only %d faults showed", name, faults)
		}
	}
}

// line is the number of the line that it is called on.
func line() int {
	_, _, n, _ := runtime.Caller(1)
	return n
}
