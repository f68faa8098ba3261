package driver

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
)

func TestPTXParams(t *testing.T) {
	const text = `
.visible .entry one( .param .u64 .ptr .global .align 4 one_0 , // .entry no(.param .u8 x)
	.param .align 64 .b8 map[128],
	/* .param .u8 no, */ .param .f64 d,.param .s16 s
) .maxntid 128, 1, 1 { .reg .b32 %r<3>; call (x), f, (y); }
.entry none { ret; }
.weak .entry empty ( ) { ret; }
.func (.param .u32 r) f (.param .u32 x) { ret; }
.entry odd (.param .pred p) { ret; }
.entry two(.param .b8 a, .param .f32 b)
{ ret; }`
	want := map[string][]int{"one": {8, 128, 8, 2}, "none": nil, "empty": nil, "two": {1, 4}}
	if diff := cmp.Diff(want, ptxParams([]byte(text))); diff != "" {
		t.Error(diff)
	}
	want = map[string][]int{"saxpy": {8, 8, 4, 4}, "poke": {8}, "count": nil}
	if diff := cmp.Diff(want, ptxParams(kernelsPTX)); diff != "" {
		t.Error(diff)
	}
	for _, image := range []string{"", "\x7fELF .entry x()", ".entry", ".entry (", "/", "/* .entry", ".entry x(", ".entry x(.param .b8 a[z])"} {
		if got := ptxParams([]byte(image)); len(got) != 0 {
			t.Errorf("%q: %v", image, got)
		}
	}
}

// TestParamsOfOldDriver checks launches' arguments with a driver that cannot
// tell the parameters.
func TestParamsOfOldDriver(t *testing.T) {
	base, err := Simulated(SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	api := abitest.Wrap(base.api)
	api.Inject(abitest.Fault{Method: "FuncGetParamInfo", Result: abi.ErrorCallRequiresNewerDriver})
	drv, err := OpenAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	drv.version = 12030
	dev, _ := drv.Device(0)
	ctx, err := dev.Context()
	if err != nil {
		t.Fatal(err)
	}
	defer ctx.Close()
	mod, err := ctx.LoadModule(kernelsPTX, LoadConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer mod.Close()
	k, err1 := mod.Kernel("saxpy")
	s, err2 := ctx.NewStream(StreamConfig{})
	if err := firstError(err1, err2); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{1}}
	if err := k.Launch(s, cfg, Ptr(0), Ptr(0), float32(0)); !errors.Is(err, ErrorInvalidValue) || !strings.Contains(err.Error(), "has 4 parameters and was given 3 arguments") {
		t.Error(err)
	}
	if err := k.Launch(s, cfg, Ptr(0), Ptr(0), float32(0), uint32(0)); err != nil {
		t.Error(err)
	}
	if _, err := k.Params(); !errors.Is(err, ErrorCallRequiresNewerDriver) {
		t.Error(err)
	}
}
