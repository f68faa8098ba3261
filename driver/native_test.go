//go:build linux && !android && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
	"github.com/google/go-cmp/cmp"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// fakeLibrary compiles testdata/fakecuda.c and returns the library's path.
func fakeLibrary(t testing.TB, defines ...string) string {
	t.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler to build a fake driver library with")
	}
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	args := append([]string{"-shared", "-fPIC", "-w", "-o", path, "testdata/fakecuda.c"}, defines...)
	if out, err := exec.Command(cc, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func openFake(t testing.TB, defines ...string) (*Driver, *Context) {
	t.Helper()
	drv, err := openLibrary(fakeLibrary(t, defines...))
	if err != nil {
		t.Fatal(err)
	}
	dev, err := drv.Device(0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, err := dev.Context()
	if err != nil {
		t.Fatal(err)
	}
	return drv, ctx
}

// TestSymbolNumbers holds the list of constants against the table that they
// number.
func TestSymbolNumbers(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "native.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(spec.Names[0].Name, "fn") {
			names = append(names, spec.Names[0].Name)
		}
		return true
	})
	var want []string
	for _, s := range abi.Symbols {
		name, _, _ := strings.Cut(s.Name, "_v")
		want = append(want, "fn"+strings.TrimPrefix(name, "cu"))
	}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error(diff)
	}
}

func TestNativeValues(t *testing.T) {
	drv, ctx := openFake(t)
	defer ctx.Close()
	dev := ctx.Device()
	name, err := dev.Name()
	if err != nil || name != "Fake GPU" {
		t.Errorf("Name() = %q, %v", name, err)
	}
	if n, err := dev.TotalMem(); n != 5<<32|40 || err != nil {
		t.Errorf("TotalMem() = %#x, %v", n, err)
	}
	if v, err := dev.Attribute(7); v != -740 || err != nil {
		t.Errorf("Attribute(7) = %d, %v", v, err)
	}
	if drv.Version() != 11020 || drv.Version().String() != "11.2" {
		t.Errorf("Version() = %v", drv.Version())
	}
	if lo, hi, err := ctx.StreamPriorities(); lo != 0 || hi != -5 || err != nil {
		t.Errorf("StreamPriorities() = %d, %d, %v", lo, hi, err)
	}
	if free, total, err := ctx.MemInfo(); free != 1000 || total != 3<<33 || err != nil {
		t.Errorf("MemInfo() = %d, %d, %v", free, total, err)
	}
	a, err1 := ctx.NewEvent(EventConfig{Timing: true})
	b, err2 := ctx.NewEvent(EventConfig{Timing: true})
	if d, err3 := b.Since(a); d != 1500*time.Microsecond || errors.Join(err1, err2, err3) != nil {
		t.Errorf("Since() = %v, %v", d, errors.Join(err1, err2, err3))
	}
}

func TestNativeLaunch(t *testing.T) {
	_, ctx := openFake(t)
	defer ctx.Close()
	stream, err := ctx.NewStream(StreamConfig{Priority: -3})
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Close()
	mod, err := ctx.LoadModule([]byte("good"), LoadConfig{MaxRegisters: 64, OptLevel: 3, Verbose: true})
	if err != nil {
		t.Fatal(err)
	}
	defer mod.Close()
	kernel, err := mod.Kernel("kernel")
	if err != nil {
		t.Fatal(err)
	}
	mem, err := ctx.Alloc(12 * 8)
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	cfg := LaunchConfig{Grid: Dim{4000000000, 2}, Block: Dim{5, 6, 7}, Shared: 48 << 10}
	if err := kernel.Launch(stream, cfg, mem, uint8(200), int16(-2), int32(-3), uint64(1<<63|9)); err != nil {
		t.Fatal(err)
	}
	got := make([]uint64, 12)
	if err := Read(got, mem, 0); err != nil {
		t.Fatal(err)
	}
	priority := ^uint64(0) - 2 // −3, as C makes a uint64 of an int
	want := []uint64{4000000000, 2, 1, 5, 6, 7, 48 << 10, priority, 200, 0xfffe, 0xfffffffd, 1<<63 | 9}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	err = kernel.Launch(stream, LaunchConfig{Grid: Dim{1<<32 - 1}, Block: Dim{1}}, mem)
	if !errors.Is(err, ErrorLaunchOutOfResources) || !strings.Contains(err.Error(), "kernel kernel, grid [4294967295 1 1]") {
		t.Error(err)
	}
}

// TestCurrentContext checks that calls leave the thread's current context alone,
// whether there was none, another, or the same.
func TestCurrentContext(t *testing.T) {
	drv, ctx := openFake(t)
	defer ctx.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for _, before := range []abi.Context{0, 12345, ctx.handle} {
		drv.api.CtxSetCurrent(before)
		if _, _, err := ctx.MemInfo(); err != nil {
			t.Errorf("with %#x current: %v", before, err)
		}
		if after, _ := drv.api.CtxGetCurrent(); after != before {
			t.Errorf("%#x was current before a call, %#x after it", before, after)
		}
	}
	drv.api.CtxSetCurrent(0)
}

// TestOldDriver asks for functions that the library does not export.
func TestOldDriver(t *testing.T) {
	_, ctx := openFake(t)
	defer ctx.Close()
	for op, call := range map[string]func() error{
		"12.0": func() error { _, err := ctx.LoadLibrary([]byte("x"), LoadConfig{}); return err },
		"11.4": func() error { _, err := ctx.Device().UUID(); return err },
	} {
		err := call()
		if !errors.Is(err, ErrorCallRequiresNewerDriver) || !strings.Contains(err.Error(), "the loaded driver is for CUDA 11.2") || !strings.Contains(err.Error(), "came with CUDA "+op) {
			t.Error(err)
		}
		if err2 := call(); err2 == nil || err2.Error() != err.Error() {
			t.Errorf("the second time: %v", err2)
		}
	}
}

func TestBrokenLibraries(t *testing.T) {
	for _, test := range []struct {
		define string
		want   error
	}{
		{"-DINIT_RESULT=34", ErrNoDriver},
		{"-DINIT_RESULT=34", ErrorStubLibrary},
		{"-DINIT_RESULT=100", ErrNoDevice},
		{"-DINIT_RESULT=803", ErrorSystemDriverMismatch},
		{"-DDEVICES=0", ErrNoDevice},
	} {
		_, err := openLibrary(fakeLibrary(t, test.define))
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.define, err, test.want)
		}
		t.Logf("%s: %v", test.define, err)
		for _, other := range []error{ErrNoDriver, ErrNoDevice} {
			if _, code := test.want.(Code); !code && other != test.want && errors.Is(err, other) {
				t.Errorf("%s: %v is also %v", test.define, err, other)
			}
		}
	}
}

func TestStubIsPassedOver(t *testing.T) {
	stub, real := fakeLibrary(t, "-DINIT_RESULT=34"), fakeLibrary(t)
	d, err := openFirst([]string{"/nowhere/libcuda.so.1", stub, real}, openLibrary)
	if err != nil || d.Source() != real {
		t.Errorf("opened %q, %v", d.Source(), err)
	}
	broken := fakeLibrary(t, "-DINIT_RESULT=999")
	if _, err = openFirst([]string{broken, real}, openLibrary); !errors.Is(err, ErrorUnknown) {
		t.Errorf("a broken driver was hidden: %v", err)
	}
}

func TestNativeAssemblerLog(t *testing.T) {
	_, ctx := openFake(t)
	defer ctx.Close()
	_, err := ctx.LoadModule([]byte("bad"), LoadConfig{})
	if !errors.Is(err, ErrorInvalidPTX) || !strings.Contains(err.Error(), "line 1; fatal   : not PTX") {
		t.Error(err)
	}
}

// TestContextRelease checks that the last handle releases the primary context,
// and not the first.
func TestContextRelease(t *testing.T) {
	path := fakeLibrary(t)
	drv, err := openLibrary(path)
	if err != nil {
		t.Fatal(err)
	}
	h, err := purego.Dlopen(path, purego.RTLD_NOW)
	if err != nil {
		t.Fatal(err)
	}
	fn, err := purego.Dlsym(h, "fakeReleased")
	if err != nil {
		t.Fatal(err)
	}
	released := func() int { n, _, _ := purego.SyscallN(fn); return int(int32(n)) }
	dev, _ := drv.Device(0)
	ctx, err := dev.Context()
	if err != nil {
		t.Fatal(err)
	}
	mem, err := ctx.Alloc(8)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := ctx.Close(); err != nil || released() != 0 {
			t.Fatalf("Close() = %v, %d releases while memory is open", err, released())
		}
	}
	if _, err := ctx.Alloc(8); !errors.Is(err, ErrClosed) {
		t.Errorf("Alloc on a closed context: %v", err)
	}
	for range 2 {
		if err := mem.Close(); err != nil || released() != 1 {
			t.Fatalf("Close() = %v, %d releases after the last handle", err, released())
		}
	}
}

// BenchmarkLaunch compares a launch through this package with the bare call, on
// a driver that does nothing and on a GPU. The first takes the context from the
// stream, as drivers for CUDA 12 do: one call a launch.
func BenchmarkLaunch(b *testing.B) {
	b.Run("fake", func(b *testing.B) {
		_, ctx := openFake(b, "-DVERSION=13000")
		benchmarkLaunch(b, ctx, []byte("good"), "kernel", func(p Ptr) *Args { return NewArgs().Ptr(p).U8(1).U16(2).U32(3).U64(4) })
	})
	b.Run("cuda", func(b *testing.B) {
		drv, err := Open()
		if err != nil {
			b.Skip(err)
		}
		dev, err := drv.Device(0)
		if err != nil {
			b.Fatal(err)
		}
		ctx, err := dev.Context()
		if err != nil {
			b.Fatal(err)
		}
		benchmarkLaunch(b, ctx, kernelsPTX, "saxpy", func(p Ptr) *Args { return NewArgs().Ptr(p).Ptr(p).F32(1).U32(0) })
	})
}

func benchmarkLaunch(b *testing.B, ctx *Context, image []byte, name string, fill func(Ptr) *Args) {
	defer ctx.Close()
	stream, err1 := ctx.NewStream(StreamConfig{})
	mod, err2 := ctx.LoadModule(image, LoadConfig{})
	if err := firstError(err1, err2); err != nil {
		b.Fatal(err)
	}
	defer stream.Close()
	defer mod.Close()
	kernel, err1 := mod.Kernel(name)
	mem, err2 := ctx.Alloc(12 * 8)
	if err := firstError(err1, err2); err != nil {
		b.Fatal(err)
	}
	defer mem.Close()
	args := fill(mem.Ptr())
	cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{32}}
	if err := kernel.LaunchArgs(stream, cfg, args); err != nil {
		b.Fatal(err)
	}

	b.Run("package", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := kernel.LaunchArgs(stream, cfg, args); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("raw", func(b *testing.B) {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		n := ctx.api.(*native)
		n.CtxSetCurrent(ctx.handle)
		defer n.CtxSetCurrent(0)
		fn := n.entry[fnLaunchKernel].Load()
		block := &block{args: [12]uintptr{uintptr(kernel.handle), 1, 1, 1, 32, 1, 1, 0, uintptr(stream.handle), uintptr(unsafe.Pointer(args.params()))}}
		b.ReportAllocs()
		for b.Loop() {
			if r, _, _ := purego.SyscallN(fn, block.args[:11]...); r != 0 {
				b.Fatal(abi.Result(r))
			}
		}
	})
	if err := stream.Synchronize(); err != nil {
		b.Fatal(err)
	}
}

func TestNativeAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("pools lose things under the race detector")
	}
	_, ctx := openFake(t)
	defer ctx.Close()
	stream, err1 := ctx.NewStream(StreamConfig{})
	mod, err2 := ctx.LoadModule([]byte("good"), LoadConfig{})
	if err := firstError(err1, err2); err != nil {
		t.Fatal(err)
	}
	kernel, err1 := mod.Kernel("kernel")
	mem, err2 := ctx.Alloc(12 * 8)
	if err := firstError(err1, err2); err != nil {
		t.Fatal(err)
	}
	cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{32}}
	allocs := testing.AllocsPerRun(200, func() {
		if err := kernel.Launch(stream, cfg, mem, uint8(1), uint16(2), uint32(3000), uint64(4000)); err != nil {
			t.Fatal(err)
		}
	})
	if allocs != 0 {
		t.Errorf("a launch allocates %v times", allocs)
	}
}
