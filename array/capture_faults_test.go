package array

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// TestFaultsOfCapture fails each driver call of capturing, launching and closing a
// graph in turn: an error comes back, what was there before is as it was or as after
// a launch, nothing leaks, and the device still works.
func TestFaultsOfCapture(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "")
	runs := abitest.Sweep(abi.ErrorUnknown, func(f abitest.Fault) *abitest.API { return captureWithFault(t, true, f) })
	runs += abitest.Sweep(abi.ErrorOutOfMemory, func(f abitest.Fault) *abitest.API {
		f.Method = "MemAlloc"
		return captureWithFault(t, false, f)
	})
	t.Log(runs, "faults injected")
}

func captureWithFault(t *testing.T, warm bool, f abitest.Fault) *abitest.API {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	fork, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x, w, ids := Full(d, float32(3), 4), Full(fork, float32(10), 4), Zeros[int64](d, 4)
	rng := NewRand(d, 1)
	program := func() (held, kept *Array[float32], err error) {
		outside := x.MulScalar(2)
		g, err := d.Capture(func(c *Device) error {
			noise := Uniform[float32](rng.On(c), 4)
			kept = x.On(c).Take(ids, 0).MatMul(outside).Add(noise.Floor()).ExpandDims(0).Sum(0).Keep()
			return w.On(c).Assign(w.On(c).Sub(x))
		})
		if err != nil {
			return nil, kept, err
		}
		held = w.MulScalar(2) // recorded before the launch
		return held, kept, errors.Join(g.Launch(), g.Close())
	}
	if warm {
		if _, _, err := program(); err != nil {
			t.Fatal(err)
		}
		w.Fill(10)
	}
	if err := errors.Join(d.Sync(), fork.Sync()); err != nil {
		t.Fatal(err)
	}
	api.Record(abitest.RecordNames)
	api.Inject(f)
	held, kept, err := program()
	api.Heal()
	what := fmt.Sprintf("call %d failing as %v", f.Nth, f.Result.Name())
	for _, c := range api.Calls() {
		if c.Injected {
			what += " (" + c.Method + ")"
			if held != nil {
				err = errors.Join(err, held.Eval().Err())
			}
			if err == nil && c.Result != abi.ErrorOutOfMemory && !slices.Contains(forgiven, c.Method) {
				t.Errorf("%s: no error came back", what)
			}
			var e *Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%s: %T is no *Error: %v", what, err, err)
			}
		}
	}
	got, failed := w.On(d).ToSlice()
	if failed != nil || got[0] != 7 && (err == nil || got[0] != 10) || slices.Max(got) != slices.Min(got) {
		t.Errorf("%s: an array from outside is %v, %v", what, got, failed)
	}
	if got, failed := kept.ToSlice(); (failed != nil || !slices.Equal(got, []float32{72, 72, 72, 72})) && err == nil {
		t.Errorf("%s: a kept array is %v, %v", what, got, failed)
	}
	checkWorks(t, what, d)
	for _, a := range []*Array[float32]{x, w, held, kept} {
		a.Free()
	}
	ids.Free()
	x, w, ids, held, kept = nil, nil, nil, nil, nil
	checkReturned(t, what, d)
	if err := d.Close(); err != nil {
		t.Errorf("%s: Close: %v", what, err)
	}
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("%s leaks:\n%s", what, leaks)
	}
	return api
}
