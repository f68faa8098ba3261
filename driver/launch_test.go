package driver

import (
	"errors"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// strict is a driver that launches only in the current context, and counts.
type strict struct {
	idle
	version          int32
	refusal          abi.Result // of launches where nothing is current
	current          *abi.Context
	launches, others *int
}

func (d strict) DriverGetVersion() (int32, abi.Result) { return d.version, 0 }

func (d strict) CtxGetCurrent() (abi.Context, abi.Result) {
	*d.others++
	return *d.current, 0
}

func (d strict) CtxSetCurrent(c abi.Context) abi.Result {
	*d.others++
	*d.current = c
	return 0
}

func (d strict) LaunchKernel(abi.Function, uint32, uint32, uint32, uint32, uint32, uint32, uint32, abi.Stream, *unsafe.Pointer) abi.Result {
	*d.launches++
	if *d.current == 0 {
		return d.refusal
	}
	return 0
}

// TestLaunchWithoutCurrent: a launch is one call where the driver takes the context
// from the stream; where it does not, that is found out once, and what was current
// is put back.
func TestLaunchWithoutCurrent(t *testing.T) {
	for _, c := range []struct {
		version         int32
		refusal         abi.Result
		first, launches int // calls of the first launch, and of three
		others          int // calls besides of three launches
		want            abi.Result
	}{
		{13000, abi.Success, 1, 3, 0, abi.Success},
		{12000, abi.ErrorInvalidContext, 2, 4, 9, abi.Success},
		{12000, abi.ErrorInvalidHandle, 2, 4, 9, abi.Success},
		{11080, abi.ErrorInvalidContext, 1, 3, 9, abi.Success},
		{13000, abi.ErrorLaunchOutOfResources, 1, 3, 9, abi.ErrorLaunchOutOfResources}, // the error asks what the kernel takes
	} {
		api := strict{version: c.version, refusal: c.refusal, current: new(abi.Context), launches: new(int), others: new(int)}
		drv, err := OpenAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		dev, _ := drv.Device(0)
		ctx, _ := dev.Context()
		s, _ := ctx.NewStream(StreamConfig{})
		mod, _ := ctx.LoadModule([]byte(".entry k()"), LoadConfig{})
		k, _ := mod.Kernel("k")
		k.layout.Do(func() {})
		*api.launches, *api.others = 0, 0
		for i := range 3 {
			err := k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}})
			if c.want == abi.Success && err != nil || c.want != abi.Success && !errors.Is(err, Code(c.want)) {
				t.Errorf("CUDA %d, %v: %v", c.version, c.refusal, err)
			}
			if i == 0 && *api.launches != c.first {
				t.Errorf("CUDA %d, %v: the first launch took %d calls, want %d", c.version, c.refusal, *api.launches, c.first)
			}
		}
		if *api.launches != c.launches || *api.others != c.others || *api.current != 0 {
			t.Errorf("CUDA %d, %v: %d launches and %d other calls, want %d and %d; current is %d", c.version, c.refusal, *api.launches, *api.others, c.launches, c.others, *api.current)
		}
	}
}
