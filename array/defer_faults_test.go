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

// TestFaultsOfExpressions fails each driver call while expressions are evaluated:
// the arrays that need it carry the error, Assign leaves its destination as it was,
// nothing leaks, and the device still works.
func TestFaultsOfExpressions(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, for minutes")
	}
	t.Setenv("GPUARRAY_NO_CACHE", "") // which frees with each array: a fault then is reported by Close
	for _, result := range []abi.Result{abi.ErrorUnknown, abi.ErrorOutOfMemory} {
		for _, warm := range []bool{false, true} {
			runs := abitest.Sweep(result, func(f abitest.Fault) *abitest.API { return expressionsWithFault(t, warm, f) })
			t.Log(runs, "faults injected")
		}
	}
}

func expressionsWithFault(t *testing.T, warm bool, f abitest.Fault) *abitest.API {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	x, w, part, grid := Full(d, float32(3), 4), Full(d, float32(10), 4), Full(d, float32(20), 4), Full(d, float32(30), 4)
	program := func() (held, sum *Array[float32], errs [6]error) {
		held = w.Sub(x)
		mid := part.Add(x)
		errs[0] = w.Assign(held.MulScalar(2))
		errs[1] = part.Slice(R(0, 2)).Assign(mid.Slice(R(2, 4)))
		sum = mid.Mul(x).Sum()
		shared := w.Mul(x).Add(part)
		later := shared.AddScalar(1)
		steps := grid.Add(x).Add(grid) // which are left the grid's memory
		errs[2] = grid.Slice(R(0, 2)).Assign(steps.Slice(R(2, 4)).Neg())
		errs[3], errs[4], errs[5] = held.Eval().Err(), sum.Err(), errors.Join(shared.Neg().Eval().Err(), later.Eval().Err())
		return held, sum, errs
	}
	if warm {
		program()
		w.Fill(10)
		part.Fill(20)
		grid.Fill(30)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	api.Record(abitest.RecordNames)
	api.Inject(f)
	held, sum, errs := program()
	api.Heal()
	what := fmt.Sprintf("call %d failing as %v", f.Nth, f.Result.Name())
	for _, c := range api.Calls() {
		if c.Injected {
			what += " (" + c.Method + ")"
			if err := errors.Join(errs[:]...); err == nil && c.Result != abi.ErrorOutOfMemory && !slices.Contains(forgiven, c.Method) {
				t.Errorf("%s: no error came back", what)
			}
		}
	}
	for i, c := range []struct {
		a    *Array[float32]
		want []float32
		old  []float32
	}{{w, []float32{14, 14, 14, 14}, []float32{10, 10, 10, 10}}, {part, []float32{23, 23, 20, 20}, []float32{20, 20, 20, 20}}, {grid, []float32{-63, -63, 30, 30}, []float32{30, 30, 30, 30}}, {held, []float32{7, 7, 7, 7}, nil}, {sum, []float32{276}, nil}} {
		if errs[i] != nil {
			c.want = c.old
		}
		got, err := c.a.ToSlice()
		if c.want == nil {
			if err == nil {
				t.Errorf("%s: an array that failed reads %v", what, got)
			}
		} else if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: array %d is %v, %v; want %v", what, i, got, err, c.want)
		}
	}
	checkWorks(t, what, d)
	for _, a := range []*Array[float32]{x, w, part, grid, held, sum} {
		a.Free()
	}
	x, w, part, grid, held, sum = nil, nil, nil, nil, nil, nil
	checkReturned(t, what, d)
	if err := d.Close(); err != nil {
		t.Errorf("%s: Close: %v", what, err)
	}
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("%s leaks:\n%s", what, leaks)
	}
	return api
}

// TestFailedWriteAfterProduct fails the launch of a write on whose way a product is
// launched that is the last to read what is overwritten: the array keeps its elements.
func TestFailedWriteAfterProduct(t *testing.T) {
	d, api := newRecorded(t)
	x, y := Full(d, float32(2), 32, 32), Full(d, float32(3), 32, 32)
	write := func() (*Array[float32], error) { return x.MatMul(y), x.Assign(y.AddScalar(1)) }
	product, err := write()
	if err := errors.Join(err, product.Eval().Err(), x.Fill(2), d.Sync()); err != nil {
		t.Fatal(err)
	}
	before := d.Stats().Launches
	api.Inject(abitest.Fault{Method: "LaunchKernel", Nth: 2})
	product, err = write()
	api.Heal()
	if n := d.Stats().Launches - before; err == nil || n != 1 {
		t.Fatalf("%d launches, %v; the product's is to succeed, and the write's to fail", n, err)
	}
	if got := values(t, x); slices.Min(got) != 2 || slices.Max(got) != 2 {
		t.Errorf("after a write that failed the array is %v", got)
	}
	if err := x.Fill(7); err != nil {
		t.Errorf("a write after one that failed: %v", err)
	}
	if got := values(t, product); slices.Min(got) != 192 || slices.Max(got) != 192 {
		t.Errorf("the product is %v", got)
	}
}
