package driver

import (
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// idle answers the calls of a launch at once, so that what is measured is this
// package. Any other call is a nil dereference.
type idle struct{ abi.API }

func (idle) Init(uint32) abi.Result                                          { return 0 }
func (idle) DriverGetVersion() (int32, abi.Result)                           { return 12040, 0 }
func (idle) DeviceGetCount() (int32, abi.Result)                             { return 1, 0 }
func (idle) DeviceGet(int32) (abi.Device, abi.Result)                        { return 0, 0 }
func (idle) DevicePrimaryCtxRetain(abi.Device) (abi.Context, abi.Result)     { return 1, 0 }
func (idle) CtxGetCurrent() (abi.Context, abi.Result)                        { return 0, 0 }
func (idle) CtxSetCurrent(abi.Context) abi.Result                            { return 0 }
func (idle) StreamCreateWithPriority(uint32, int32) (abi.Stream, abi.Result) { return 1, 0 }
func (idle) EventCreate(uint32) (abi.Event, abi.Result)                      { return 1, 0 }
func (idle) EventRecord(abi.Event, abi.Stream) abi.Result                    { return 0 }
func (idle) StreamWaitEvent(abi.Stream, abi.Event, uint32) abi.Result        { return 0 }
func (idle) StreamSynchronize(abi.Stream) abi.Result                         { return 0 }
func (idle) MemAlloc(uint64) (abi.DevicePtr, abi.Result)                     { return 256, 0 }
func (idle) MemHostAlloc(n uint64, _ uint32) (unsafe.Pointer, abi.Result) {
	return unsafe.Pointer(&make([]byte, n)[0]), 0
}
func (idle) MemcpyHtoDAsync(abi.DevicePtr, unsafe.Pointer, uint64, abi.Stream) abi.Result { return 0 }
func (idle) MemcpyHtoD(abi.DevicePtr, unsafe.Pointer, uint64) abi.Result                  { return 0 }
func (idle) MemsetD32Async(abi.DevicePtr, uint32, uint64, abi.Stream) abi.Result          { return 0 }
func (idle) ModuleLoadDataEx([]byte, *abi.JitOptions) (abi.Module, abi.Result)            { return 1, 0 }
func (idle) ModuleGetFunction(abi.Module, string) (abi.Function, abi.Result)              { return 1, 0 }
func (idle) FuncGetAttribute(abi.FunctionAttribute, abi.Function) (int32, abi.Result)     { return 1024, 0 }
func (idle) GraphCreate(uint32) (abi.Graph, abi.Result)                                   { return 1, 0 }
func (idle) GraphInstantiate(abi.Graph, uint64) (abi.GraphExec, abi.Result)               { return 1, 0 }
func (idle) GraphLaunch(abi.GraphExec, abi.Stream) abi.Result                             { return 0 }
func (idle) TensorMapEncodeTiled(*abi.TensorMap, abi.TensorMapDataType, uint32, abi.DevicePtr, []uint64, []uint64, []uint32, []uint32, abi.TensorMapInterleave, abi.TensorMapSwizzle, abi.TensorMapL2Promotion, abi.TensorMapFloatOOBFill) abi.Result {
	return 0
}

func (idle) FuncGetParamInfo(_ abi.Function, i uint64) (offset, size uint64, r abi.Result) {
	sizes := [...]uint64{8, 8, 4, 4, 1, 2, 8, 128}
	if i >= uint64(len(sizes)) {
		return 0, 0, abi.ErrorInvalidValue
	}
	return 0, sizes[i], 0
}

func (idle) LaunchKernel(abi.Function, uint32, uint32, uint32, uint32, uint32, uint32, uint32, abi.Stream, *unsafe.Pointer) abi.Result {
	return 0
}
func (idle) LaunchKernelEx(*abi.LaunchConfig, abi.Function, *unsafe.Pointer) abi.Result { return 0 }

func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose things under the race detector")
	}
	drv, err := OpenAPI(idle{})
	if err != nil {
		t.Fatal(err)
	}
	dev, _ := drv.Device(0)
	ctx, _ := dev.Context()
	s, _ := ctx.NewStream(StreamConfig{})
	e, _ := ctx.NewEvent(EventConfig{})
	mod, _ := ctx.LoadModule([]byte("x"), LoadConfig{})
	k, _ := mod.Kernel("k")
	mem, _ := ctx.Alloc(64)
	pin, _ := ctx.AllocPinned(64, PinnedConfig{})
	g, _ := ctx.NewGraph()
	x, _ := g.Instantiate()
	tm, err := ctx.NewTensorMap(TensorMapConfig{Type: TensorFloat32, Shape: []uint64{1}, Box: []uint32{1}})
	if err != nil {
		t.Fatal(err)
	}
	cfg := LaunchConfig{Grid: Dim{100}, Block: Dim{256}}
	special := LaunchConfig{Grid: Dim{100}, Block: Dim{256}, Cluster: Dim{2}, Programmatic: true, Cooperative: true}
	host := make([]byte, 64)
	n := uint32(1e6)
	for name, f := range map[string]func() error{
		"Launch": func() error {
			n++
			return k.Launch(s, cfg, mem, Ptr(n), float32(n), n, uint8(1), int16(-2), float64(n), tm)
		},
		"LaunchArgs": func() error {
			args := NewArgs().Ptr(mem.Ptr()).Bits(uint64(n), 8).F32(1).U32(2).U8(3).U16(4).U64(5).TensorMap(tm)
			defer args.Release()
			return k.LaunchArgs(s, cfg, args)
		},
		"LaunchArgs with attributes": func() error {
			args := NewArgs().Ptr(mem.Ptr()).Bits(uint64(n), 8).F32(1).U32(2).U8(3).U16(4).U64(5).TensorMap(tm)
			defer args.Release()
			return k.LaunchArgs(s, special, args)
		},
		"graph launch": func() error { return x.Launch(s) },
		"event":        func() error { return firstError(e.Record(s), s.Wait(e)) },
		"async copy":   func() error { return s.CopyHtoD(mem.Ptr(), pin, 0, 64) },
		"copy":         func() error { return ctx.CopyHtoD(mem.Ptr(), host) },
		"memset":       func() error { return s.MemsetD32(mem.Ptr(), 1, 2) },
		"synchronize":  func() error { return s.Synchronize() },
	} {
		if err := f(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if allocs := testing.AllocsPerRun(200, func() { f() }); allocs != 0 {
			t.Errorf("%s allocates %v times", name, allocs)
		}
	}
}

// TestConfigure reads back what a launch with attributes hands to the driver.
func TestConfigure(t *testing.T) {
	cfg := LaunchConfig{Grid: Dim{8, 2}, Block: Dim{5, 6, 7}, Shared: 99, Cluster: Dim{4, 2}, Programmatic: true, Cooperative: true}
	a := NewArgs()
	defer a.Release()
	c := a.configure(&cfg, 77)
	if got := [...]uint32{c.GridDimX, c.GridDimY, c.GridDimZ, c.BlockDimX, c.BlockDimY, c.BlockDimZ, c.SharedMemBytes, uint32(c.Stream)}; got != [...]uint32{8, 2, 1, 5, 6, 7, 99, 77} {
		t.Error(got)
	}
	var seen int
	for _, attr := range c.Attributes() {
		switch v := &attr.Value; {
		case attr.ID == abi.LaunchAttributeClusterDimension && *v.ClusterDim() == abi.Dim3{X: 4, Y: 2, Z: 1}:
			seen |= 1
		case attr.ID == abi.LaunchAttributeProgrammaticStreamSerialization && *v.ProgrammaticStreamSerializationAllowed() == 1:
			seen |= 2
		case attr.ID == abi.LaunchAttributeCooperative && *v.Cooperative() == 1:
			seen |= 4
		}
	}
	if seen != 7 || len(c.Attributes()) != 3 {
		t.Errorf("attributes %+v", c.Attributes())
	}
	if c := a.configure(&LaunchConfig{Grid: Dim{1}, Block: Dim{1}}, 0); c.NumAttrs != 0 || c.Attrs != nil {
		t.Errorf("attributes without need: %+v", c.Attributes())
	}
}

// BenchmarkOverhead is what a launch costs beside the driver's own work.
func BenchmarkOverhead(b *testing.B) {
	drv, _ := OpenAPI(idle{})
	dev, _ := drv.Device(0)
	ctx, _ := dev.Context()
	s, _ := ctx.NewStream(StreamConfig{})
	mod, _ := ctx.LoadModule([]byte("x"), LoadConfig{})
	k, _ := mod.Kernel("k")
	args := NewArgs().U64(1).U64(2).F32(1).U32(2).U8(3).U16(4).U64(5).Struct(make([]byte, 128))
	cfg := LaunchConfig{Grid: Dim{100}, Block: Dim{256}}
	b.ReportAllocs()
	for b.Loop() {
		if err := k.LaunchArgs(s, cfg, args); err != nil {
			b.Fatal(err)
		}
	}
}
