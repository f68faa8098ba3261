package driver

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
)

// provoke launches good kernels, waits, launches others, among them one that
// writes to an address that is no memory, and says what the errors must say.
func provoke(drv *Driver) error {
	dev, err := drv.Device(0)
	if err != nil {
		return err
	}
	ctx, err := dev.Context()
	if err != nil {
		return err
	}
	mod, err := ctx.LoadModule(kernelsPTX, LoadConfig{})
	if err != nil {
		return err
	}
	var kernels [3]*Kernel
	for i, name := range []string{"saxpy", "count", "poke"} {
		if kernels[i], err = mod.Kernel(name); err != nil {
			return err
		}
	}
	saxpy, count, poke := kernels[0], kernels[1], kernels[2]
	s, err := ctx.NewStream(StreamConfig{})
	if err != nil {
		return err
	}
	one := LaunchConfig{Grid: Dim{1}, Block: Dim{1}}
	err = firstError(
		saxpy.Launch(s, one, Ptr(0), Ptr(0), float32(1), uint32(0)), s.Synchronize(),
		count.Launch(s, one))
	if err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	// The simulated device tells at the next call, a GPU when it is waited for.
	err = firstError(count.Launch(s, one), poke.Launch(s, one, Ptr(0xdead0000)), s.Synchronize())
	if !errors.Is(err, ErrorIllegalAddress) {
		return fmt.Errorf("the fault is reported as: %w", err)
	}
	if err := says(err, "count×2, poke", "must be started again"); err != nil {
		return err
	}
	if strings.Contains(err.Error(), "saxpy") {
		return fmt.Errorf("a launch that was waited for is a suspect: %w", err)
	}
	if drv.IsSimulated() {
		if err := says(err, "poke", "line"); err != nil { // the simulator's report
			return err
		}
	}
	if !errors.Is(ctx.Err(), ErrorIllegalAddress) {
		return fmt.Errorf("Err() = %w", ctx.Err())
	}
	_, allocErr := ctx.Alloc(4)
	for what, err := range map[string]error{"Alloc": allocErr, "Launch": count.Launch(s, one), "Synchronize": s.Synchronize(), "Close": s.Close()} {
		if !errors.Is(err, ErrorIllegalAddress) {
			return fmt.Errorf("%s after the fault: %v", what, err)
		}
		if err := says(err, "count×2, poke", "must be started again", "had reported this fault before"); err != nil {
			return err
		}
	}
	again, err := dev.Context()
	if err == nil {
		_, _, err = again.MemInfo()
	}
	if !errors.Is(err, ErrorIllegalAddress) {
		return fmt.Errorf("another Context after the fault: %v", err)
	}
	if again != nil {
		if err := says(err, "count×2, poke"); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return fmt.Errorf("the second Close after the fault: %w", err)
	}
	return nil
}

func says(err error, texts ...string) error {
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			return fmt.Errorf("an error does not say %q: %w", text, err)
		}
	}
	return nil
}

func TestFaultSimulated(t *testing.T) {
	drv, err := Simulated(SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := provoke(drv); err != nil {
		t.Error(err)
	}
}

// TestFaultCUDA runs in a process of its own, as the fault ends the use of the
// GPU in it.
func TestFaultCUDA(t *testing.T) {
	drv, err := Open()
	if err != nil {
		t.Skip(err)
	}
	const variable = "GPUARRAY_DRIVER_TEST_FAULT"
	if os.Getenv(variable) != "" {
		if err := provoke(drv); err != nil {
			t.Error(err)
		}
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestFaultCUDA$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPoison checks for each code that ruins a context, and some that do not,
// whether later calls are refused.
func TestPoison(t *testing.T) {
	base, err := Simulated(SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		code    Code
		poisons bool
	}{
		{ErrorIllegalAddress, true}, {ErrorLaunchFailed, true}, {ErrorMisalignedAddress, true}, {ErrorIllegalInstruction, true},
		{ErrorInvalidPC, true}, {ErrorInvalidAddressSpace, true}, {ErrorHardwareStackError, true}, {ErrorAssert, true},
		{ErrorLaunchTimeout, true}, {ErrorECCUncorrectable, true},
		{ErrorOutOfMemory, false}, {ErrorInvalidValue, false}, {ErrorNotSupported, false},
	} {
		api := abitest.Wrap(base.api)
		drv, err := OpenAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		dev, _ := drv.Device(0)
		ctx, err := dev.Context()
		if err != nil {
			t.Fatal(err)
		}
		m, err := ctx.Alloc(4)
		if err != nil {
			t.Fatal(err)
		}
		api.Inject(abitest.Fault{Method: "CtxSynchronize", Nth: 1, Result: abi.Result(test.code)})
		if err := ctx.Synchronize(); !errors.Is(err, test.code) {
			t.Errorf("%v: reported as %v", test.code, err)
		}
		_, err = ctx.Alloc(4)
		if test.poisons != errors.Is(err, test.code) {
			t.Errorf("%v: the next call returns %v", test.code, err)
		}
		if test.poisons != (ctx.Err() != nil) {
			t.Errorf("%v: Err() = %v", test.code, ctx.Err())
		}
		if !test.poisons {
			continue // the second allocation is not closed
		}
		m.Close()
		ctx.Close()
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("%v: closing a ruined context's handles leaks\n%s", test.code, leaks)
		}
	}
}

func TestSuspects(t *testing.T) {
	var l launchRing
	a, b := new(Stream), new(Stream)
	expect := func(want string) {
		t.Helper()
		if got := strings.Join(l.suspects(), " "); got != want {
			t.Errorf("suspects %q, want %q", got, want)
		}
	}
	expect("")
	l.add("x", a)
	l.add("y", b)
	l.add("y", b)
	expect("x y×2")
	l.done(b, l.count())
	expect("x")
	at := l.count()
	l.add("z", a)
	l.done(a, at)
	expect("z")
	for i := range 40 {
		l.add(fmt.Sprint(i), a)
	}
	expect("24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39")
	l.done(nil, l.count()-1)
	expect("39")
	l.done(nil, 1000)
	expect("")
}

func TestErrorText(t *testing.T) {
	err := &Error{Op: "cuMemAlloc", Code: ErrorOutOfMemory, Detail: "8 bytes were asked for"}
	const want = "cuMemAlloc: CUDA_ERROR_OUT_OF_MEMORY, not enough memory on the device, or not enough resources for the request: 8 bytes were asked for; free device memory, or look with nvidia-smi for other processes that hold it"
	if err.Error() != want {
		t.Errorf("%q", err.Error())
	}
	wrapped := fmt.Errorf("loading: %w", err)
	var e *Error
	var c Code
	if !errors.Is(wrapped, ErrorOutOfMemory) || errors.Is(wrapped, ErrorInvalidValue) || !errors.As(wrapped, &e) || !errors.As(wrapped, &c) || c != 2 {
		t.Error("errors.Is and errors.As do not see the code")
	}
	if Code(12345).Name() != "CUresult(12345)" {
		t.Error(Code(12345).Name())
	}
}

// TestOpenFailures makes the calls of opening fail.
func TestOpenFailures(t *testing.T) {
	base, err := Simulated(SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		method string
		code   Code
		is     error // besides the code
		says   string
	}{
		{"Init", ErrorNoDevice, ErrNoDevice, "cuInit"},
		{"Init", ErrorStubLibrary, ErrNoDriver, "install the driver"},
		{"Init", ErrorSystemDriverMismatch, nil, "restart the machine"},
		{"Init", ErrorUnknown, nil, "nvidia-smi"},
		{"DriverGetVersion", ErrorUnknown, nil, "cuDriverGetVersion"},
		{"DeviceGetCount", ErrorNotInitialized, nil, "cuDeviceGetCount"},
	} {
		api := abitest.Wrap(base.api)
		api.Inject(abitest.Fault{Method: test.method, Nth: 1, Result: abi.Result(test.code)})
		_, err := OpenAPI(api)
		if !errors.Is(err, test.code) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s fails with %v: %v", test.method, test.code.Name(), err)
		}
		for _, sentinel := range []error{ErrNoDriver, ErrNoDevice} {
			if errors.Is(err, sentinel) != (sentinel == test.is) {
				t.Errorf("%s fails with %v: errors.Is %v", test.method, test.code.Name(), sentinel)
			}
		}
	}
}

// TestOpen checks what Open says where there is nothing to open.
func TestOpen(t *testing.T) {
	d, err := Open()
	if err == nil {
		if again, err := Open(); again != d || err != nil {
			t.Errorf("the second Open returns another driver, or %v", err)
		}
		return
	}
	if !errors.Is(err, ErrNoDriver) && !errors.Is(err, ErrNoDevice) {
		t.Errorf("the driver is broken: %v", err)
	}
	t.Log(err)
}
