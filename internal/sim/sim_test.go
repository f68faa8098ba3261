package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// env is a simulated device with its context retained.
type env struct {
	*Sim
	t   testing.TB
	ctx abi.Context
}

func open(t testing.TB, o Options) *env {
	t.Helper()
	e := &env{Sim: New(o).(*Sim), t: t}
	e.ok(e.Init(0))
	ctx, r := e.DevicePrimaryCtxRetain(0)
	e.ok(r)
	e.ok(e.CtxSetCurrent(ctx))
	e.ctx = ctx
	return e
}

func (e *env) ok(r abi.Result) {
	e.t.Helper()
	if r != abi.Success {
		e.t.Fatalf("got %v\n%s", r, e.FaultReport())
	}
}

func (e *env) want(r, want abi.Result) {
	e.t.Helper()
	if r != want {
		e.t.Errorf("got %v, want %v", r, want)
	}
}

func must[T any](e *env) func(v T, r abi.Result) T {
	return func(v T, r abi.Result) T {
		e.t.Helper()
		e.ok(r)
		return v
	}
}

func (e *env) alloc(n uint64) abi.DevicePtr {
	e.t.Helper()
	return must[abi.DevicePtr](e)(e.MemAlloc(n))
}

func (e *env) stream() abi.Stream {
	e.t.Helper()
	return must[abi.Stream](e)(e.StreamCreateWithPriority(abi.StreamNonBlocking, 0))
}

func (e *env) event() abi.Event {
	e.t.Helper()
	return must[abi.Event](e)(e.EventCreate(0))
}

// upload makes device memory of a slice.
func upload[T any](e *env, x []T) abi.DevicePtr {
	e.t.Helper()
	p := e.alloc(uint64(len(x)) * uint64(unsafe.Sizeof(x[0])))
	e.ok(e.MemcpyHtoD(p, unsafe.Pointer(&x[0]), uint64(len(x))*uint64(unsafe.Sizeof(x[0]))))
	return p
}

func download[T any](e *env, p abi.DevicePtr, n int) []T {
	e.t.Helper()
	x := make([]T, n)
	e.ok(e.MemcpyDtoH(unsafe.Pointer(&x[0]), p, uint64(n)*uint64(unsafe.Sizeof(x[0]))))
	return x
}

func (e *env) module(text string) abi.Module {
	e.t.Helper()
	log := &abi.JitOptions{ErrorLog: make([]byte, 1000)}
	m, r := e.ModuleLoadDataEx([]byte(text), log)
	if r != abi.Success {
		e.t.Fatalf("%v: %s", r, log.ErrorLog[:log.ErrorLen])
	}
	return m
}

func (e *env) kernel(text, name string) abi.Function {
	e.t.Helper()
	return must[abi.Function](e)(e.ModuleGetFunction(e.module(text), name))
}

// args makes a launch's parameters of pointers to values.
func args(p ...unsafe.Pointer) *unsafe.Pointer {
	if len(p) == 0 {
		return nil
	}
	return &p[0]
}

func ptr[T any](v T) unsafe.Pointer { return unsafe.Pointer(&v) }

func (e *env) launch1(f abi.Function, grid, block uint32, s abi.Stream, p ...unsafe.Pointer) abi.Result {
	return e.LaunchKernel(f, grid, 1, 1, block, 1, 1, 0, s, args(p...))
}

func random(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

const saxpyPTX = `.version 7.0
.target sm_75
.address_size 64
.visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
{
	.reg .pred %p<2>;
	.reg .f32 %f<5>;
	.reg .b32 %r<6>;
	.reg .b64 %rd<6>;
	ld.param.u32 %r1, [n];
	ld.param.f32 %f1, [a];
	ld.param.u64 %rd1, [x];
	ld.param.u64 %rd2, [y];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.s32 %r5, %r2, %r3, %r4;
	setp.ge.u32 %p1, %r5, %r1;
	@%p1 bra done;
	mul.wide.u32 %rd3, %r5, 4;
	add.s64 %rd4, %rd1, %rd3;
	add.s64 %rd5, %rd2, %rd3;
	ld.global.f32 %f2, [%rd4];
	ld.global.f32 %f3, [%rd5];
	fma.rn.f32 %f4, %f1, %f2, %f3;
	st.global.f32 [%rd5], %f4;
done:
	ret;
}
`

// reducePTX sums 256 values for each block in a tree in shared memory.
const reducePTX = `.version 7.0
.target sm_75
.address_size 64
.visible .entry reduce(.param .u64 in, .param .u64 out)
.maxntid 256, 1, 1
{
	.reg .pred %p<3>;
	.reg .b32 %r<20>;
	.reg .b64 %rd<8>;
	.shared .align 4 .b8 buf[1024];
	ld.param.u64 %rd1, [in];
	ld.param.u64 %rd2, [out];
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, %ctaid.x;
	shl.b32 %r3, %r2, 8;
	add.u32 %r4, %r3, %r1;
	mul.wide.u32 %rd3, %r4, 4;
	add.u64 %rd4, %rd1, %rd3;
	ld.global.u32 %r5, [%rd4];
	mov.u32 %r6, buf;
	shl.b32 %r7, %r1, 2;
	add.u32 %r8, %r6, %r7;
	st.shared.u32 [%r8], %r5;
	mov.u32 %r9, 128;
loop:
	bar.sync 0;
	setp.ge.u32 %p1, %r1, %r9;
	@%p1 bra skip;
	shl.b32 %r10, %r9, 2;
	add.u32 %r11, %r8, %r10;
	ld.shared.u32 %r12, [%r11];
	ld.shared.u32 %r13, [%r8];
	add.u32 %r14, %r12, %r13;
	st.shared.u32 [%r8], %r14;
skip:
	shr.u32 %r9, %r9, 1;
	setp.ne.u32 %p2, %r9, 0;
	@%p2 bra loop;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra end;
	ld.shared.u32 %r15, [%r8];
	mul.wide.u32 %rd5, %r2, 4;
	add.u64 %rd6, %rd2, %rd5;
	st.global.u32 [%rd6], %r15;
end:
	ret;
}
`

// variousPTX has a variable, kernels that go wrong, and kernels with demands.
const variousPTX = `.version 7.0
.target sm_75
.address_size 64
.global .align 4 .u32 counter[2] = {5, 7};
.visible .entry count()
{
	.reg .b32 %r<3>;
	.reg .b64 %rd<2>;
	mov.u64 %rd1, counter;
	ld.global.u32 %r1, [%rd1];
	add.u32 %r2, %r1, 1;
	st.global.u32 [%rd1], %r2;
	ret;
}
.visible .entry store(.param .u64 p, .param .u32 v)
{
	.reg .b32 %r<2>;
	.reg .b64 %rd<2>;
	ld.param.u64 %rd1, [p];
	ld.param.u32 %r1, [v];
	st.global.u32 [%rd1], %r1;
	ret;
}
.visible .entry forever()
{
again:
	bra again;
}
.visible .entry stop()
{
	trap;
}
.visible .entry nothing(.param .u8 a, .param .u64 b, .param .align 16 .b8 c[24])
{
	ret;
}
.visible .entry exactly()
.reqntid 64, 2, 1
{
	ret;
}
.extern .shared .align 16 .b8 dynamic[];
.visible .entry shared()
{
	.reg .b32 %r<3>;
	.reg .b64 %rd<2>;
	.shared .align 4 .b8 fixed[4096];
	mov.u32 %r1, dynamic;
	st.shared.u32 [%r1], %r1;
	ret;
}
`

func saxpyModel(a float32, x, y []float32) []float32 {
	out := make([]float32, len(x))
	for i := range x {
		// Products of float32 are exact in float64, and these sums of small integers too.
		out[i] = float32(float64(a)*float64(x[i]) + float64(y[i]))
	}
	return out
}

func integers(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.IntN(2000) - 1000)
	}
	return x
}

func TestSaxpy(t *testing.T) {
	rng := random(t)
	for _, n := range []int{1, 31, 256, 1000, 5000} {
		e := open(t, Options{})
		f := e.kernel(saxpyPTX, "saxpy")
		x, y := integers(rng, n), integers(rng, n)
		px, py := upload(e, x), upload(e, y)
		e.ok(e.launch1(f, uint32(n+255)/256, 256, 0, ptr(uint32(n)), ptr(float32(3)), ptr(px), ptr(py)))
		e.ok(e.CtxSynchronize())
		if got, want := download[float32](e, py, n), saxpyModel(3, x, y); !slices.Equal(got, want) {
			t.Errorf("n = %d: got %v, want %v", n, got, want)
		}
	}
}

func TestReduceInSharedMemory(t *testing.T) {
	rng := random(t)
	for _, seed := range []uint64{0, 1, 99} {
		e := open(t, Options{Seed: seed})
		f := e.kernel(reducePTX, "reduce")
		const blocks = 9
		in, want := make([]uint32, blocks*256), make([]uint32, blocks)
		for i := range in {
			in[i] = rng.Uint32()
			want[i/256] += in[i]
		}
		out := e.alloc(blocks * 4)
		e.ok(e.launch1(f, blocks, 256, 0, ptr(upload(e, in)), ptr(out)))
		if got := download[uint32](e, out, blocks); !slices.Equal(got, want) {
			t.Errorf("seed %d: got %v, want %v", seed, got, want)
		}
	}
}

// A fault is reported by the call after the launch, and by every later one.
func TestFaultsAreSticky(t *testing.T) {
	for _, c := range []struct {
		name   string
		launch func(e *env, f func(name string) abi.Function) abi.Result
		want   abi.Result
		report string
	}{
		{"wild address", func(e *env, f func(string) abi.Function) abi.Result {
			return e.launch1(f("store"), 1, 1, 0, ptr(uint64(64)), ptr(uint32(1)))
		}, abi.ErrorIllegalAddress, "store"},
		{"past the end", func(e *env, f func(string) abi.Function) abi.Result {
			return e.launch1(f("store"), 1, 1, 0, ptr(e.alloc(100)+100), ptr(uint32(1)))
		}, abi.ErrorIllegalAddress, "store"},
		{"misaligned", func(e *env, f func(string) abi.Function) abi.Result {
			return e.launch1(f("store"), 1, 1, 0, ptr(e.alloc(100)+2), ptr(uint32(1)))
		}, abi.ErrorMisalignedAddress, "misaligned"},
		{"use after free", func(e *env, f func(string) abi.Function) abi.Result {
			p := e.alloc(100)
			e.ok(e.MemFree(p))
			return e.launch1(f("store"), 1, 1, 0, ptr(p), ptr(uint32(1)))
		}, abi.ErrorIllegalAddress, "use after free"},
		{"dead part of an allocation", func(e *env, f func(string) abi.Function) abi.Result {
			p := e.alloc(1024)
			e.MarkMemory(p, 512, abi.MemoryLive, func() string { return "first" })
			e.MarkMemory(p+512, 512, abi.MemoryDead, func() string { return "second" })
			e.ok(e.launch1(f("store"), 1, 1, 0, ptr(p), ptr(uint32(1))))
			e.ok(e.CtxSynchronize())
			return e.launch1(f("store"), 1, 1, 0, ptr(p+512), ptr(uint32(1)))
		}, abi.ErrorIllegalAddress, "second"},
		{"trap", func(e *env, f func(string) abi.Function) abi.Result {
			return e.launch1(f("stop"), 1, 1, 0)
		}, abi.ErrorLaunchFailed, "trap"},
		{"endless loop", func(e *env, f func(string) abi.Function) abi.Result {
			return e.launch1(f("forever"), 1<<20, 256, 0)
		}, abi.ErrorLaunchTimeout, "forever"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, Options{Fuel: 100_000})
			m := e.module(variousPTX)
			p, s, ev := e.alloc(16), e.stream(), e.event()
			r := c.launch(e, func(name string) abi.Function { return must[abi.Function](e)(e.ModuleGetFunction(m, name)) })
			e.want(r, abi.Success)
			var b [4]byte
			for range 2 {
				e.want(e.CtxSynchronize(), c.want)
				e.want(e.StreamSynchronize(s), c.want)
				e.want(e.StreamQuery(0), c.want)
				e.want(e.EventRecord(ev, s), c.want)
				e.want(e.EventSynchronize(ev), c.want)
				e.want(e.MemcpyDtoH(unsafe.Pointer(&b), p, 4), c.want)
				e.want(e.MemFree(p), c.want)
				_, r := e.MemAlloc(4)
				e.want(r, c.want)
				_, r = e.ModuleGetFunction(m, "store")
				e.want(r, c.want)
			}
			if rep := e.FaultReport(); !strings.Contains(rep, c.report) {
				t.Errorf("report %q does not say %q", rep, c.report)
			}
			// What is not the context's still works.
			_, r = e.DeviceGetName(0)
			e.want(r, abi.Success)
			e.want(e.DevicePrimaryCtxRelease(0), abi.Success)
		})
	}
}

func TestOneSimIsNotTheOther(t *testing.T) {
	bad, good := open(t, Options{}), open(t, Options{})
	bad.ok(bad.launch1(bad.kernel(variousPTX, "stop"), 1, 1, 0))
	bad.want(bad.CtxSynchronize(), abi.ErrorLaunchFailed)
	good.ok(good.CtxSynchronize())
}

func TestLaunchConfigurations(t *testing.T) {
	e := open(t, Options{})
	m := e.module(variousPTX)
	k := func(name string) abi.Function { return must[abi.Function](e)(e.ModuleGetFunction(m, name)) }
	plain, exactly, shared := k("count"), k("exactly"), k("shared")
	limited := e.kernel(reducePTX, "reduce")
	p := e.alloc(4096)
	for _, c := range []struct {
		name        string
		f           abi.Function
		grid, block [3]uint32
		shared      uint32
		want        abi.Result
	}{
		{"one thread", plain, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, abi.Success},
		{"no blocks", plain, [3]uint32{0, 1, 1}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidValue},
		{"no threads", plain, [3]uint32{1, 1, 1}, [3]uint32{1, 0, 1}, 0, abi.ErrorInvalidValue},
		{"grid x", plain, [3]uint32{1 << 31, 1, 1}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidValue},
		{"grid x, all bits", plain, [3]uint32{math.MaxUint32, 1, 1}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidValue},
		{"grid y", plain, [3]uint32{1, 65536, 1}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidValue},
		{"grid z", plain, [3]uint32{1, 1, 65536}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidValue},
		{"largest grid", plain, [3]uint32{1<<31 - 1, 65535, 65535}, [3]uint32{1, 1, 1}, 0, abi.ErrorNotSupported},
		{"block x", plain, [3]uint32{1, 1, 1}, [3]uint32{1025, 1, 1}, 0, abi.ErrorInvalidValue},
		{"block z", plain, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 65}, 0, abi.ErrorInvalidValue},
		{"block in all", plain, [3]uint32{1, 1, 1}, [3]uint32{64, 32, 1}, 0, abi.ErrorInvalidValue},
		{"block overflow", plain, [3]uint32{1, 1, 1}, [3]uint32{1 << 16, 1 << 16, 1}, 0, abi.ErrorInvalidValue},
		{"beyond maxntid", limited, [3]uint32{1, 1, 1}, [3]uint32{512, 1, 1}, 0, abi.ErrorLaunchOutOfResources},
		{"not reqntid", exactly, [3]uint32{1, 1, 1}, [3]uint32{128, 1, 1}, 0, abi.ErrorInvalidValue},
		{"reqntid", exactly, [3]uint32{1, 1, 1}, [3]uint32{64, 2, 1}, 0, abi.Success},
		{"shared", shared, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 44 << 10, abi.Success},
		{"too much shared", shared, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 44<<10 + 1, abi.ErrorInvalidValue},
		{"all shared", shared, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, math.MaxUint32, abi.ErrorInvalidValue},
		{"no function", 0, [3]uint32{1, 1, 1}, [3]uint32{1, 1, 1}, 0, abi.ErrorInvalidHandle},
	} {
		t.Run(c.name, func(t *testing.T) {
			e.t = t
			r := e.LaunchKernel(c.f, c.grid[0], c.grid[1], c.grid[2], c.block[0], c.block[1], c.block[2], c.shared, 0, args(ptr(p), ptr(p)))
			e.want(r, c.want)
			e.ok(e.CtxSynchronize()) // nothing sticks
		})
	}
	e.t = t
	e.want(e.launch1(limited, 1, 32, 0), abi.ErrorInvalidValue)               // no parameters
	e.want(e.launch1(limited, 1, 32, 0, ptr(p), nil), abi.ErrorInvalidValue)  // a nil one
	e.want(e.launch1(plain, 1, 1, abi.Stream(1<<30)), abi.ErrorInvalidHandle) // no such stream
	e.want(e.LaunchKernelEx(nil, plain, nil), abi.ErrorInvalidValue)
}

func TestDynamicSharedMemoryOptIn(t *testing.T) {
	for cc, most := range map[int]int32{75: 64 << 10, 80: 163 << 10, 90: 227 << 10} {
		e := open(t, Options{ComputeCapability: cc})
		f := e.kernel(variousPTX, "shared") // has 4096 bytes of its own
		e.want(e.FuncSetAttribute(f, abi.FunctionAttributeMaxDynamicSharedSizeBytes, most-4096+1), abi.ErrorInvalidValue)
		e.want(e.FuncSetAttribute(f, abi.FunctionAttributeMaxDynamicSharedSizeBytes, -1), abi.ErrorInvalidValue)
		e.ok(e.FuncSetAttribute(f, abi.FunctionAttributeMaxDynamicSharedSizeBytes, most-4096))
		e.want(e.LaunchKernel(f, 1, 1, 1, 1, 1, 1, uint32(most-4096), 0, nil), abi.Success)
		e.want(e.LaunchKernel(f, 1, 1, 1, 1, 1, 1, uint32(most-4095), 0, nil), abi.ErrorInvalidValue)
		e.ok(e.CtxSynchronize())
		if v := must[int32](e)(e.DeviceGetAttribute(abi.DeviceAttributeMaxSharedMemoryPerBlockOptin, 0)); v != most {
			t.Errorf("cc %d: opt-in limit %d, want %d", cc, v, most)
		}
	}
}

func TestLaunchAttributes(t *testing.T) {
	cluster := func(x, y, z uint32) (a abi.LaunchAttribute) {
		a.ID = abi.LaunchAttributeClusterDimension
		*a.Value.ClusterDim() = abi.Dim3{X: x, Y: y, Z: z}
		return a
	}
	serial := abi.LaunchAttribute{ID: abi.LaunchAttributeProgrammaticStreamSerialization}
	*serial.Value.ProgrammaticStreamSerializationAllowed() = 1
	cooperative := abi.LaunchAttribute{ID: abi.LaunchAttributeCooperative}
	*cooperative.Value.Cooperative() = 1
	for _, c := range []struct {
		name string
		cc   int
		attr abi.LaunchAttribute
		want abi.Result
	}{
		{"priority", 80, abi.LaunchAttribute{ID: abi.LaunchAttributePriority}, abi.Success},
		{"cluster before 9.0", 80, cluster(2, 1, 1), abi.ErrorNotSupported},
		{"cluster that does not divide", 90, cluster(3, 1, 1), abi.ErrorInvalidClusterSize},
		{"cluster of nothing", 90, cluster(0, 1, 1), abi.ErrorInvalidClusterSize},
		{"large cluster", 90, cluster(16, 1, 1), abi.ErrorInvalidClusterSize},
		{"cluster overflow", 90, cluster(16, 1<<31, 1<<31), abi.ErrorInvalidClusterSize},
		{"programmatic before 9.0", 80, serial, abi.ErrorNotSupported},
		{"programmatic", 90, serial, abi.Success},
		{"cooperative", 80, cooperative, abi.ErrorNotSupported},
		{"unknown", 80, abi.LaunchAttribute{ID: 99}, abi.ErrorInvalidValue},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, Options{ComputeCapability: c.cc, Workers: 1}) // the kernel's blocks all write one word
			f := e.kernel(variousPTX, "count")
			l := abi.LaunchConfig{GridDimX: 16, GridDimY: 1, GridDimZ: 1, BlockDimX: 1, BlockDimY: 1, BlockDimZ: 1, Attrs: &c.attr, NumAttrs: 1}
			e.want(e.LaunchKernelEx(&l, f, nil), c.want)
			l.Attrs = nil
			e.want(e.LaunchKernelEx(&l, f, nil), abi.ErrorInvalidValue)
			e.ok(e.CtxSynchronize())
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	before := runtime.NumGoroutine()
	e := open(t, Options{Workers: 2})
	f := e.kernel(saxpyPTX, "saxpy")
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			s, r := e.StreamCreateWithPriority(0, 0)
			x, y := integers(rand.New(rand.NewPCG(uint64(g), 1)), 1000), make([]float32, 1000)
			for range 10 {
				if r != abi.Success {
					t.Errorf("got %v", r)
					return
				}
				px, _ := e.MemAllocAsync(4000, s)
				py, _ := e.MemAlloc(4000)
				e.MemcpyHtoDAsync(px, unsafe.Pointer(&x[0]), 4000, s)
				e.MemsetD32Async(py, 0, 1000, s)
				e.launch1(f, 4, 256, s, ptr(uint32(1000)), ptr(float32(2)), ptr(px), ptr(py))
				e.MemcpyDtoHAsync(unsafe.Pointer(&y[0]), py, 4000, s)
				r = e.StreamSynchronize(s)
				if want := saxpyModel(2, x, make([]float32, 1000)); !slices.Equal(y, want) {
					t.Errorf("goroutine %d: wrong sums", g)
				}
				e.MemFreeAsync(px, s)
				e.MemFree(py)
			}
			e.StreamDestroy(s)
		}()
	}
	wg.Wait()
	e.ok(e.CtxSynchronize()) // pools give back what they keep
	if free, total, _ := e.MemGetInfo(); free != total {
		t.Errorf("%d bytes of %d are not free at the end", total-free, total)
	}
	for i := 0; runtime.NumGoroutine() > before && i < 100; i++ {
		time.Sleep(time.Millisecond) // workers that are on their way out
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		env          string
		option       int
		major, minor int32
	}{{"", 0, 9, 0}, {"75", 0, 7, 5}, {"80", 0, 8, 0}, {"90", 0, 9, 0}, {"90", 75, 7, 5}, {"61", 0, 9, 0}, {"x", 0, 9, 0}} {
		t.Setenv("GPUARRAY_SIM_CC", c.env)
		e := open(t, Options{ComputeCapability: c.option})
		major := must[int32](e)(e.DeviceGetAttribute(abi.DeviceAttributeComputeCapabilityMajor, 0))
		minor := must[int32](e)(e.DeviceGetAttribute(abi.DeviceAttributeComputeCapabilityMinor, 0))
		if major != c.major || minor != c.minor {
			t.Errorf("GPUARRAY_SIM_CC=%q, option %d: %d.%d, want %d.%d", c.env, c.option, major, minor, c.major, c.minor)
		}
	}
	t.Setenv("GPUARRAY_SIM_CC", "")
	for variable, values := range map[string][]string{
		"GPUARRAY_SIM_CC": {"61", "86", "x", "-1"}, "GPUARRAY_SIM_SEED": {"x", "-1", "1e3"}, "GPUARRAY_SIM_LATE": {"yes", "18446744073709551616"},
		"GPUARRAY_SIM_PERTURB": {"1.5"}, "GPUARRAY_SIM_RACES": {"yes", "3", "-1"}, "GPUARRAY_SIM_COUNTS": {"true"},
	} {
		old := os.Getenv(variable)
		for _, v := range values {
			t.Setenv(variable, v)
			if o, err := (Options{}).Environment(); err == nil || !strings.Contains(err.Error(), variable+"="+v) || o != (Options{Late: o.Late, Perturb: o.Perturb}) {
				t.Errorf("%s=%s: %+v, %v", variable, v, o, err)
			}
		}
		t.Setenv(variable, old)
	}
	for what, o := range map[string]Options{"ComputeCapability=86": {ComputeCapability: 86}, "Devices=-1": {Devices: -1}, "Workers=-2": {Workers: -2}} {
		if _, err := o.Environment(); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	t.Setenv("GPUARRAY_SIM_SEED", "0x12")
	if e := open(t, Options{}); e.opts.Seed != 18 || e.workers() != 1 {
		t.Errorf("GPUARRAY_SIM_SEED=0x12: seed %d, %d workers", e.opts.Seed, e.workers())
	}
}

func TestDeviceFacts(t *testing.T) {
	e := open(t, Options{Workers: 2, MemoryLimit: 1 << 30})
	if n := must[string](e)(e.DeviceGetName(0)); n != "simulated GPU (gpuarray, 2 workers)" {
		t.Errorf("name %q", n)
	}
	if v := must[uint64](e)(e.DeviceTotalMem(0)); v != 1<<30 {
		t.Errorf("total memory %d", v)
	}
	if v := must[int32](e)(e.DriverGetVersion()); v < 12000 {
		t.Errorf("driver version %d", v)
	}
	for a, want := range map[abi.DeviceAttribute]int32{
		abi.DeviceAttributeWarpSize: 32, abi.DeviceAttributeMaxThreadsPerBlock: 1024, abi.DeviceAttributeMaxGridDimX: math.MaxInt32,
		abi.DeviceAttributeMaxSharedMemoryPerBlock: 49152, abi.DeviceAttributeClusterLaunch: 1, abi.DeviceAttributeMaxThreadsPerMultiprocessor: 2048,
	} {
		if v := must[int32](e)(e.DeviceGetAttribute(a, 0)); v != want {
			t.Errorf("attribute %d is %d, want %d", a, v, want)
		}
	}
	_, r := e.DeviceGetAttribute(0, 0)
	e.want(r, abi.ErrorInvalidValue)
	_, r = e.DeviceGetAttribute(10_000, 0)
	e.want(r, abi.ErrorInvalidValue)
	for _, d := range []int32{-1, 1, 1 << 30} {
		_, r := e.DeviceGet(d)
		e.want(r, abi.ErrorInvalidDevice)
		_, r = e.DevicePrimaryCtxRetain(abi.Device(d))
		e.want(r, abi.ErrorInvalidDevice)
	}
}

// The reports that the package writes for itself go through the environment only
// where Options leave it open.
func TestMain(m *testing.M) {
	for _, v := range []string{"GPUARRAY_SIM_CC", "GPUARRAY_SIM_SEED"} {
		if err := os.Unsetenv(v); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}
