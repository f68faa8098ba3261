//go:build linux && (amd64 || arm64)

package exec

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/ebitengine/purego"
)

// With GPUARRAY_TEST_GPU=1 the instruction tests also run on the first GPU,
// which must agree with the simulated device.
func TestMain(m *testing.M) {
	if os.Getenv("GPUARRAY_TEST_GPU") == "1" {
		run, err := openGPU()
		if err != nil {
			fmt.Fprintln(os.Stderr, "GPUARRAY_TEST_GPU:", err)
			os.Exit(1)
		}
		hardware = run
	}
	os.Exit(m.Run())
}

// gpu holds the driver's functions that a launch takes. This package lies
// below the driver package, so it calls the library itself.
type gpu struct {
	init           func(flags uint32) int32
	retain         func(ctx *uintptr, dev int32) int32
	setCurrent     func(ctx uintptr) int32
	load           func(mod *uintptr, image unsafe.Pointer) int32
	unload         func(mod uintptr) int32
	function       func(f *uintptr, mod uintptr, name string) int32
	alloc          func(p *uint64, n uintptr) int32
	free           func(p uint64) int32
	toDevice       func(dst uint64, src unsafe.Pointer, n uintptr) int32
	toHost         func(dst unsafe.Pointer, src uint64, n uintptr) int32
	launch         func(f uintptr, gx, gy, gz, bx, by, bz, shared uint32, stream uintptr, params, extra unsafe.Pointer) int32
	synchronize    func() int32
	primaryContext uintptr
}

func openGPU() (func(src, entry string, in []uint64, lanes int) ([]uint64, error), error) {
	lib, err := purego.Dlopen("libcuda.so.1", purego.RTLD_NOW)
	if err != nil {
		return nil, err
	}
	g := &gpu{}
	for name, f := range map[string]any{
		"cuInit": &g.init, "cuDevicePrimaryCtxRetain": &g.retain, "cuCtxSetCurrent": &g.setCurrent,
		"cuModuleLoadData": &g.load, "cuModuleUnload": &g.unload, "cuModuleGetFunction": &g.function,
		"cuMemAlloc_v2": &g.alloc, "cuMemFree_v2": &g.free, "cuMemcpyHtoD_v2": &g.toDevice, "cuMemcpyDtoH_v2": &g.toHost,
		"cuLaunchKernel": &g.launch, "cuCtxSynchronize": &g.synchronize,
	} {
		purego.RegisterLibFunc(f, lib, name)
	}
	if r := g.init(0); r != 0 {
		return nil, fmt.Errorf("cuInit: %d", r)
	}
	if r := g.retain(&g.primaryContext, 0); r != 0 {
		return nil, fmt.Errorf("cuDevicePrimaryCtxRetain: %d", r)
	}
	return g.run, nil
}

// run launches a kernel of parameters out, in and n over the lanes.
func (g *gpu) run(src, entry string, in []uint64, lanes int) ([]uint64, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var err error
	do := func(what string, r int32) {
		if r != 0 && err == nil {
			err = fmt.Errorf("%s: CUDA error %d", what, r)
		}
	}
	out := make([]uint64, lanes)
	image := append([]byte(src), 0)
	var mod, f uintptr
	var pin, pout uint64
	do("cuCtxSetCurrent", g.setCurrent(g.primaryContext))
	if do("cuModuleLoadData", g.load(&mod, unsafe.Pointer(&image[0]))); err != nil {
		return nil, err
	}
	defer g.unload(mod)
	do("cuModuleGetFunction", g.function(&f, mod, entry))
	do("cuMemAlloc", g.alloc(&pin, uintptr(8*len(in))))
	do("cuMemAlloc", g.alloc(&pout, uintptr(8*lanes)))
	defer func() { g.free(pin); g.free(pout) }()
	if err != nil {
		return nil, err
	}
	do("cuMemcpyHtoD", g.toDevice(pin, unsafe.Pointer(&in[0]), uintptr(8*len(in))))
	do("cuMemcpyHtoD", g.toDevice(pout, unsafe.Pointer(&out[0]), uintptr(8*lanes)))
	n := uint32(lanes)
	// The driver reads the values before the call returns; they are kept in
	// place by being pinned for it.
	params := []unsafe.Pointer{unsafe.Pointer(&pout), unsafe.Pointer(&pin), unsafe.Pointer(&n)}
	var pins runtime.Pinner
	for _, p := range params {
		pins.Pin(p)
	}
	defer pins.Unpin()
	do("cuLaunchKernel", g.launch(f, uint32(lanes+95)/96, 1, 1, 96, 1, 1, 0, 0, unsafe.Pointer(&params[0]), nil))
	do("cuCtxSynchronize", g.synchronize())
	do("cuMemcpyDtoH", g.toHost(unsafe.Pointer(&out[0]), pout, uintptr(8*lanes)))
	return out, err
}
