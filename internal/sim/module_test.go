package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

func TestModuleErrors(t *testing.T) {
	head := func(version, target string) string {
		return ".version " + version + "\n.target " + target + "\n.address_size 64\n"
	}
	const empty = ".visible .entry k()\n{\n\tret;\n}\n"
	for _, c := range []struct {
		name  string
		cc    int
		image string
		want  abi.Result
		log   string // what the error log says
	}{
		{"right", 80, head("7.0", "sm_80") + empty, abi.Success, ""},
		{"right, with C's NUL and more", 80, head("7.0", "sm_80") + empty + "\x00garbage", abi.Success, ""},
		{"an older target", 90, head("6.3", "sm_75") + empty, abi.Success, ""},
		{"architecture-specific", 90, head("8.0", "sm_90a") + empty, abi.Success, ""},
		{"nothing", 80, "", abi.ErrorInvalidImage, "not PTX"},
		{"only NUL", 80, "\x00", abi.ErrorInvalidImage, "not PTX"},
		{"bytes", 80, "\xff\xfe\x01", abi.ErrorInvalidImage, "not PTX"},
		{"cubin", 80, "\x7fELF\x02\x01", abi.ErrorNoBinaryForGPU, "PTX text only"},
		{"prose", 80, "hello, world", abi.ErrorInvalidPTX, "line 1:1"},
		{"truncated", 80, head("7.0", "sm_80") + ".visible .entry k()\n{\n\tret;", abi.ErrorInvalidPTX, "line "},
		{"no such instruction", 80, head("7.0", "sm_80") + ".visible .entry k()\n{\n\tfrobnicate.u32;\n\tret;\n}\n", abi.ErrorInvalidPTX, "line 6:2"},
		{"no such register", 80, head("7.0", "sm_80") + ".visible .entry k()\n{\n\tadd.u32 %r1, %r1, 1;\n}\n", abi.ErrorInvalidPTX, "line 6:"},
		{"no such instruction on the device", 90, head("8.0", "sm_90a") + ".visible .entry k()\n{\n\tfrob.aligned;\n\tret;\n}\n", abi.ErrorInvalidPTX, "line 6:2"},
		{"newer device", 75, head("7.0", "sm_80") + empty, abi.ErrorNoBinaryForGPU, "sm_80"},
		{"other architecture", 80, head("8.0", "sm_90a") + empty, abi.ErrorNoBinaryForGPU, "sm_90a"},
		{"newer version", 80, head("9.1", "sm_80") + empty, abi.ErrorUnsupportedPTXVersion, "9.1"},
		{"the newest version", 80, head("9.0", "sm_80") + empty, abi.Success, ""},
		{"too much shared memory", 80, head("7.0", "sm_80") + ".visible .entry k()\n{\n\t.shared .b8 s[49153];\n\tret;\n}\n", abi.ErrorInvalidPTX, "shared"},
		{"too much shared memory of the module", 80, head("7.0", "sm_80") + ".shared .b8 s[40000], t[40000];\n.visible .entry k()\n{\n\tst.shared.u8 [s], 1;\n\tst.shared.u8 [t], 1;\n\tret;\n}\n", abi.ErrorInvalidPTX, "80000 bytes"},
		{"shared memory of which a kernel uses little", 80, head("7.0", "sm_80") + ".shared .b8 s[40000], t[40000];\n.visible .entry k()\n{\n\tst.shared.u8 [t], 1;\n\tret;\n}\n", abi.Success, ""},
		{"too many parameters", 80, head("7.0", "sm_80") + ".visible .entry k(.param .b8 p[4097])\n{\n\tret;\n}\n", abi.ErrorInvalidPTX, "param"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := open(t, Options{ComputeCapability: c.cc})
			jit := &abi.JitOptions{ErrorLog: make([]byte, 500), InfoLog: make([]byte, 500), LogVerbose: true}
			m, r := e.ModuleLoadDataEx([]byte(c.image), jit)
			e.want(r, c.want)
			if log := string(jit.ErrorLog[:jit.ErrorLen]); !strings.Contains(log, c.log) || (log == "") != (c.want == abi.Success) {
				t.Errorf("log %q does not say %q", log, c.log)
			}
			if r == abi.Success {
				if info := string(jit.InfoLog[:jit.InfoLen]); !strings.Contains(info, "entry k: ") {
					t.Errorf("info log %q", info)
				}
				e.ok(e.ModuleUnload(m))
			}
			l, r := e.LibraryLoadData([]byte(c.image), nil)
			e.want(r, c.want)
			if r == abi.Success {
				e.ok(e.LibraryUnload(l))
			}
			short := &abi.JitOptions{ErrorLog: make([]byte, 5)}
			if e.ModuleLoadDataEx([]byte(c.image), short); short.ErrorLen > 4 {
				t.Errorf("%d bytes in a log of 5", short.ErrorLen)
			}
		})
	}
}

func TestErrorsOfTheLoaderSayWhere(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&ptx.Error{Pos: ptx.Pos{Line: 12, Col: 5}, Msg: "why"}, "ptx line 12:5: why"},
		{&exec.DecodeError{Pos: ptx.Pos{Line: 12, Col: 5}, Text: "ret;", Why: "why"}, "ptx line 12:5: ret;: why"},
		{&exec.DecodeError{Pos: ptx.Pos{Line: 12, Col: 5}, Why: "why"}, "ptx line 12:5: why"},
		{errors.New("why"), "ptx: why"},
	} {
		if got := located(c.err); got != c.want {
			t.Errorf("%#v: %q, want %q", c.err, got, c.want)
		}
	}
}

// Damaged PTX is refused, or loads and then runs to an end or a fault: never a
// panic, never a hang.
func TestDamagedPTX(t *testing.T) {
	rng := random(t)
	texts := []string{saxpyPTX, reducePTX, variousPTX}
	loaded := 0
	for range 1500 {
		text := damage(rng, texts[rng.IntN(len(texts))])
		e := open(t, Options{Fuel: 2000, MemoryLimit: 1 << 20, Workers: 1})
		m, r := e.ModuleLoadDataEx([]byte(text), nil)
		if r != abi.Success {
			continue
		}
		loaded++
		for _, name := range []string{"saxpy", "reduce", "count", "store", "nothing", "shared"} {
			if f, r := e.ModuleGetFunction(m, name); r == abi.Success {
				p := e.alloc(4096)
				params := make([]unsafe.Pointer, 64)
				for i := range params {
					params[i] = unsafe.Pointer(&[512]uint64{uint64(p), uint64(p)})
				}
				e.LaunchKernel(f, 2, 1, 1, 64, 1, 1, 0, 0, &params[0])
				if e.CtxSynchronize() != abi.Success {
					break
				}
			}
		}
	}
	if loaded < 50 {
		t.Errorf("only %d damaged texts loaded: the damage is too great to test anything", loaded)
	}
}

// damage changes a few places of a text: characters, lines, numbers.
func damage(rng *rand.Rand, text string) string {
	lines := strings.Split(text, "\n")
	for range 1 + rng.IntN(3) {
		i := 3 + rng.IntN(len(lines)-3)
		switch rng.IntN(5) {
		case 0:
			lines[i] = ""
		case 1:
			lines[i] = lines[3+rng.IntN(len(lines)-3)]
		case 2:
			b := []byte(lines[i])
			if len(b) > 0 {
				b[rng.IntN(len(b))] = " .,;[]{}%@!0123456789abcdefrsux"[rng.IntN(31)]
			}
			lines[i] = string(b)
		case 3:
			lines[i] = strings.NewReplacer("1", strconv.Itoa(rng.IntN(10)), "2", "4294967295", "u32", "s64", "32", "64").Replace(lines[i])
		case 4:
			lines = lines[:max(i, 5)]
		}
	}
	return strings.Join(lines, "\n")
}

func TestModules(t *testing.T) {
	e := open(t, Options{})
	m, again := e.module(variousPTX), e.module(variousPTX)
	lib := must[abi.Library](e)(e.LibraryLoadData([]byte(variousPTX), nil))
	count := must[abi.Function](e)(e.ModuleGetFunction(m, "count"))
	if f := must[abi.Function](e)(e.ModuleGetFunction(m, "count")); f != count {
		t.Error("the second handle of a kernel is another one")
	}
	fromLib := must[abi.Function](e)(e.LibraryGetKernel(lib, "count"))
	p, n, r := e.ModuleGetGlobal(m, "counter")
	if e.ok(r); n != 8 {
		t.Errorf("the variable has %d bytes", n)
	}
	p2, _, r := e.ModuleGetGlobal(again, "counter")
	e.ok(r)
	p3, _, r := e.LibraryGetGlobal(lib, "counter")
	e.ok(r)
	e.ok(e.launch1(count, 1, 1, 0))
	e.ok(e.launch1(count, 1, 1, 0))
	e.ok(e.launch1(fromLib, 1, 1, 0))
	// Each load has variables of its own.
	got := [][]uint32{download[uint32](e, p, 2), download[uint32](e, p2, 2), download[uint32](e, p3, 2)}
	if want := [][]uint32{{7, 7}, {5, 7}, {6, 7}}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("variables %v, want %v", got, want)
	}
	for _, c := range []struct {
		name string
		got  abi.Result
		want abi.Result
	}{
		{"no such kernel", second(e.ModuleGetFunction(m, "nope")), abi.ErrorNotFound},
		{"a variable as a kernel", second(e.ModuleGetFunction(m, "counter")), abi.ErrorNotFound},
		{"no name", second(e.ModuleGetFunction(m, "")), abi.ErrorInvalidValue},
		{"no such variable", third(e.ModuleGetGlobal(m, "nope")), abi.ErrorNotFound},
		{"no module", second(e.ModuleGetFunction(0, "count")), abi.ErrorInvalidHandle},
		{"no library", second(e.LibraryGetKernel(0, "count")), abi.ErrorInvalidHandle},
		{"a library as a module", e.ModuleUnload(abi.Module(lib)), abi.ErrorInvalidHandle},
		{"library's kernel", second(e.LibraryGetKernel(lib, "nope")), abi.ErrorNotFound},
		{"library's variable", third(e.LibraryGetGlobal(lib, "nope")), abi.ErrorNotFound},
		{"unload", e.ModuleUnload(m), abi.Success},
		{"unload again", e.ModuleUnload(m), abi.ErrorInvalidHandle},
		{"its kernel", e.launch1(count, 1, 1, 0), abi.ErrorInvalidHandle},
		{"its variable", e.MemsetD8Async(p, 0, 1, 0), abi.ErrorInvalidValue},
		{"the other one's", e.MemsetD8Async(p2, 0, 8, 0), abi.Success},
		{"unload library", e.LibraryUnload(lib), abi.Success},
		{"unload library again", e.LibraryUnload(lib), abi.ErrorInvalidHandle},
		{"its kernel", e.launch1(fromLib, 1, 1, 0), abi.ErrorInvalidHandle},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	// Programs without variables are decoded once, and work after an unload.
	for range 3 {
		s := e.module(saxpyPTX)
		f := must[abi.Function](e)(e.ModuleGetFunction(s, "saxpy"))
		x := upload(e, []float32{1, 2})
		e.ok(e.launch1(f, 1, 32, 0, ptr(uint32(2)), ptr(float32(1)), ptr(x), ptr(x)))
		if got := download[float32](e, x, 2); !slices.Equal(got, []float32{2, 4}) {
			t.Errorf("got %v", got)
		}
		e.ok(e.ModuleUnload(s))
	}
	if n := len(e.programs); n != 1 {
		t.Errorf("%d programs kept, want 1", n)
	}
}

func TestFunctionAttributes(t *testing.T) {
	e := open(t, Options{})
	m := e.module(variousPTX)
	k := func(name string) abi.Function { return must[abi.Function](e)(e.ModuleGetFunction(m, name)) }
	reduce := e.kernel(reducePTX, "reduce")
	for _, c := range []struct {
		name string
		f    abi.Function
		a    abi.FunctionAttribute
		want int32
	}{
		{"threads", k("count"), abi.FunctionAttributeMaxThreadsPerBlock, 1024},
		{"maxntid", reduce, abi.FunctionAttributeMaxThreadsPerBlock, 256},
		{"reqntid", k("exactly"), abi.FunctionAttributeMaxThreadsPerBlock, 128},
		{"shared", reduce, abi.FunctionAttributeSharedSizeBytes, 1024},
		{"dynamic", reduce, abi.FunctionAttributeMaxDynamicSharedSizeBytes, 47 << 10},
		{"local", reduce, abi.FunctionAttributeLocalSizeBytes, 0},
		{"binary", reduce, abi.FunctionAttributeBinaryVersion, 90},
		{"PTX", reduce, abi.FunctionAttributePTXVersion, 75},
		{"carveout", reduce, abi.FunctionAttributePreferredSharedMemoryCarveout, -1},
	} {
		if v := must[int32](e)(e.FuncGetAttribute(c.a, c.f)); v != c.want {
			t.Errorf("%s: %d, want %d", c.name, v, c.want)
		}
	}
	if v := must[int32](e)(e.FuncGetAttribute(abi.FunctionAttributeNumRegs, reduce)); v < 16 || v > 255 {
		t.Errorf("%d registers", v)
	}
	e.want(second(e.FuncGetAttribute(99, reduce)), abi.ErrorInvalidValue)
	e.want(second(e.FuncGetAttribute(0, 99)), abi.ErrorInvalidHandle)
	e.want(e.FuncSetAttribute(reduce, abi.FunctionAttributeNumRegs, 1), abi.ErrorInvalidValue)
	e.want(e.FuncSetAttribute(reduce, abi.FunctionAttributePreferredSharedMemoryCarveout, 101), abi.ErrorInvalidValue)
	e.ok(e.FuncSetAttribute(reduce, abi.FunctionAttributePreferredSharedMemoryCarveout, 100))
	e.ok(e.FuncSetAttribute(reduce, abi.FunctionAttributeNonPortableClusterSizeAllowed, 1))

	// u8, u64, and 24 bytes aligned to 16: C's rules.
	for i, want := range [][2]uint64{{0, 1}, {8, 8}, {16, 24}} {
		off, n, r := e.FuncGetParamInfo(k("nothing"), uint64(i))
		if e.ok(r); off != want[0] || n != want[1] {
			t.Errorf("parameter %d at %d, %d bytes, want %v", i, off, n, want)
		}
	}
	_, _, r := e.FuncGetParamInfo(k("nothing"), 3)
	e.want(r, abi.ErrorInvalidValue)
}

func TestOccupancy(t *testing.T) {
	e := open(t, Options{})
	f, shared := e.kernel(reducePTX, "reduce"), e.kernel(variousPTX, "shared")
	for _, c := range []struct {
		name    string
		f       abi.Function
		block   int32
		dynamic uint64
		want    int32
	}{
		{"limited by threads", f, 256, 0, 8},
		{"limited by blocks", f, 32, 0, 32},
		{"a part of a warp", f, 1, 0, 32},
		{"too large a block", f, 257, 0, 0},
		{"limited by shared memory", shared, 32, 37 << 10, 5}, // 4 + 37 + 1 reserved KiB of 228
		{"more shared memory than allowed", shared, 32, 60 << 10, 0},
	} {
		if n := must[int32](e)(e.OccupancyMaxActiveBlocksPerMultiprocessor(c.f, c.block, c.dynamic)); n != c.want {
			t.Errorf("%s: %d blocks, want %d", c.name, n, c.want)
		}
	}
	e.want(second(e.OccupancyMaxActiveBlocksPerMultiprocessor(f, 0, 0)), abi.ErrorInvalidValue)
	for limit, want := range map[int32]int32{0: 256, 1000: 256, 100: 64, 128: 128} {
		grid, block, r := e.OccupancyMaxPotentialBlockSize(f, 0, limit)
		if e.ok(r); block != want || grid%multiprocessors != 0 || grid == 0 {
			t.Errorf("limit %d: %d blocks of %d, want %d threads", limit, grid, block, want)
		}
	}
	l := &abi.LaunchConfig{GridDimX: 8, GridDimY: 1, GridDimZ: 1, BlockDimX: 256, BlockDimY: 1, BlockDimZ: 1}
	if n := must[int32](e)(e.OccupancyMaxActiveClusters(f, l)); n != 8*multiprocessors {
		t.Errorf("%d clusters of one block", n)
	}
	e.want(second(e.OccupancyMaxActiveClusters(f, nil)), abi.ErrorInvalidValue)
}
