package array

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

func TestDeviceVariable(t *testing.T) {
	for value, want := range map[string]choice{
		"": {fallback: true}, "cuda": {by: "GPUARRAY_DEVICE=cuda"}, "cuda:0": {by: "GPUARRAY_DEVICE=cuda:0"}, "cuda:3": {ordinal: 3, by: "GPUARRAY_DEVICE=cuda:3"}, "sim": {simulated: true},
	} {
		if got, err := chosenBy(value); got != want || err != nil {
			t.Errorf("%q chooses %+v, %v", value, got, err)
		}
	}
	for _, value := range []string{"gpu", "CUDA", "cuda:", "cuda:x", "sim:1", ":1", " "} {
		t.Setenv(DeviceVariable, value)
		for _, options := range [][]Option{nil, {nil}} { // a nil option leaves the choice to the variable
			if d, err := Open(options...); !errors.Is(err, ErrDevice) || !strings.Contains(err.Error(), "open_test.go") || d != nil {
				t.Errorf("%q: %v, %v", value, d, err)
			}
		}
	}
}

func TestCacheVariable(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "yes")
	if d, err := Open(Simulated()); d != nil || !errors.Is(err, ErrDevice) || !strings.Contains(err.Error(), "GPUARRAY_NO_CACHE=yes is neither 0 nor 1") {
		t.Errorf("%v, %v", d, err)
	}
}

// TestOptionsDecide shows that what the program asks for wins over the variable.
func TestOptionsDecide(t *testing.T) {
	t.Setenv(DeviceVariable, "cuda:99")
	d, err := Open(nil, CUDA(1), Simulated())
	if err != nil || !d.Simulated() || !strings.Contains(d.String(), "simulated") {
		t.Fatalf("%v, %v", d, err)
	}
	if err := d.Close(); err != nil {
		t.Error(err)
	}
}

// TestNoFallback asks for a GPU that is not there.
func TestNoFallback(t *testing.T) {
	for _, n := range []int{-1, 99} {
		d, err := Open(CUDA(n))
		var code driver.Code
		known := errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) || errors.As(err, &code)
		if d != nil || !errors.Is(err, ErrDevice) || !known {
			t.Errorf("GPU %d: %v, %v", n, d, err)
		}
	}
}

// TestWhoAsks shows that the error where a GPU is missing says who wanted it.
func TestWhoAsks(t *testing.T) {
	if _, err := driver.Open(); !errors.Is(err, driver.ErrNoDriver) && !errors.Is(err, driver.ErrNoDevice) {
		t.Skip("there is a GPU here, or a driver that is broken")
	}
	t.Setenv(DeviceVariable, "cuda:1")
	for _, c := range []struct {
		options []Option
		want    string
	}{
		{nil, "GPUARRAY_DEVICE=cuda:1 asks for a GPU"},
		{[]Option{CUDA(1)}, "the program asks for a GPU"},
	} {
		if _, err := Open(c.options...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

// TestFallback follows from what the driver says, here whatever this machine has.
func TestFallback(t *testing.T) {
	t.Setenv(DeviceVariable, "")
	drv, missing := driver.Open()
	d, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if d.Simulated() != (missing != nil) {
		t.Errorf("Open took %v; the driver: %v, %v", d, drv, missing)
	}
	t.Log(d)
}
