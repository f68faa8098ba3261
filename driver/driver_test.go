package driver

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
)

//go:embed testdata/kernels.ptx
var kernelsPTX []byte

// rig is what a test works with: a context over a wrapper that counts, and can
// make calls fail.
type rig struct {
	*testing.T
	drv *Driver
	api *abitest.API
	ctx *Context
}

// onEach runs a test on the simulated device, and on the GPU where there is one,
// and looks for leaks when it is done.
func onEach(t *testing.T, test func(r rig)) {
	t.Helper()
	if drv, err := Open(); err == nil {
		t.Run("cuda", func(t *testing.T) { runRig(t, drv, test) })
	} else if !errors.Is(err, ErrNoDriver) && !errors.Is(err, ErrNoDevice) {
		t.Errorf("the driver is broken: %v", err)
	}
	t.Run("simulated", func(t *testing.T) {
		drv, err := Simulated(SimulatedConfig{})
		if err != nil {
			t.Fatal(err)
		}
		runRig(t, drv, test)
	})
}

func runRig(t *testing.T, base *Driver, test func(r rig)) {
	api := abitest.Wrap(base.api)
	drv, err := OpenAPI(api)
	r := rig{T: t, drv: drv, api: api}
	r.check(err)
	dev, err := drv.Device(0)
	r.check(err)
	r.ctx, err = dev.Context()
	r.check(err)
	test(r)
	if n := r.ctx.Handles(); n != (Handles{}) {
		t.Errorf("handles left open: %+v", n)
	}
	r.check(r.ctx.Close())
	if leaks := api.Leaks(); leaks != "" {
		t.Error(leaks)
	}
}

func (r rig) check(errs ...error) {
	r.Helper()
	for _, err := range errs {
		if err != nil {
			r.Fatal(err)
		}
	}
}

// want checks that an error is (in the sense of errors.Is) what it should be and
// says what it should.
func (r rig) want(err, is error, says ...string) {
	r.Helper()
	if !errors.Is(err, is) {
		r.Errorf("got error %v, want %v", err, is)
		return
	}
	for _, text := range says {
		if !strings.Contains(err.Error(), text) {
			r.Errorf("error %q does not say %q", err, text)
		}
	}
}

func (r rig) closes(handles ...interface{ Close() error }) {
	r.Helper()
	for _, h := range handles {
		r.check(h.Close())
	}
}

func (r rig) stream() *Stream {
	r.Helper()
	s, err := r.ctx.NewStream(StreamConfig{})
	r.check(err)
	return s
}

func (r rig) alloc(bytes uint64) *Mem {
	r.Helper()
	m, err := r.ctx.Alloc(bytes)
	r.check(err)
	return m
}

func (r rig) pinned(bytes int) *PinnedMem {
	r.Helper()
	p, err := r.ctx.AllocPinned(bytes, PinnedConfig{})
	r.check(err)
	return p
}

func (r rig) kernel(name string) (*Module, *Kernel) {
	r.Helper()
	m, err := r.ctx.LoadModule(kernelsPTX, LoadConfig{})
	r.check(err)
	k, err := m.Kernel(name)
	r.check(err)
	return m, k
}

// floats returns n random numbers that float32 sums of products are exact on.
func floats(rng *rand.Rand, n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(rng.IntN(2001) - 1000)
	}
	return v
}

func seeded(t testing.TB) *rand.Rand {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

func TestCopies(t *testing.T) {
	onEach(t, func(r rig) {
		rng := seeded(r)
		s := r.stream()
		for range 20 {
			n := 1 + rng.IntN(10000)
			host := make([]byte, n)
			for i := range host {
				host[i] = byte(rng.Uint32())
			}
			a, b, p := r.alloc(uint64(n)), r.alloc(uint64(n)), r.pinned(n)
			r.check(Write(a, 0, host))
			// A part of a to b's same place, the rest of b by way of pinned memory.
			lo := rng.IntN(n)
			r.check(s.CopyDtoD(b.Ptr(), a.Ptr(), uint64(lo)))
			copy(p.Bytes()[lo:], host[lo:])
			r.check(s.CopyHtoD(b.Ptr()+Ptr(lo), p, uint64(lo), uint64(n-lo)))
			r.check(s.CopyDtoH(p, 0, b.Ptr(), uint64(n)))
			r.check(s.Synchronize())
			if !bytes.Equal(p.Bytes(), host) {
				r.Fatalf("%d bytes, %d on the device: they differ", n, lo)
			}
			back := make([]byte, n-lo)
			r.check(r.ctx.CopyDtoD(a.Ptr(), b.Ptr(), uint64(n)), Read(back, a, uint64(lo)))
			if !bytes.Equal(back, host[lo:]) {
				r.Fatalf("%d bytes from %d read back differ", n, lo)
			}
			r.closes(a, b, p)
		}
		m, p := r.alloc(100), r.pinned(100)
		r.check(Write(m, 100, []byte{}), Read([]byte(nil), m, 0), s.CopyHtoD(m.Ptr(), p, 100, 0))
		r.want(Write(m, 96, []int64{1}), ErrorInvalidValue, "bytes 96 to 104 of an allocation of 100 bytes")
		r.want(Read(make([]byte, 2), m, 1<<64-1), ErrorInvalidValue)
		r.want(Write(m, 0, []string{"x"}), ErrorInvalidValue, "hold pointers")
		r.want(s.CopyHtoD(m.Ptr(), p, 1, 100), ErrorInvalidValue, "bytes 1 to 101 of pinned memory of 100 bytes")
		r.want(s.CopyDtoH(p, 1<<64-1, m.Ptr(), 1), ErrorInvalidValue)
		r.closes(m, p, s)
	})
}

func TestMemset(t *testing.T) {
	onEach(t, func(r rig) {
		s, m := r.stream(), r.alloc(64)
		r.check(s.MemsetD8(m.Ptr(), 0x11, 64), s.MemsetD16(m.Ptr()+8, 0x2345, 5), s.MemsetD32(m.Ptr()+32, 0x6789abcd, 3), s.Synchronize())
		got, want := make([]byte, 64), bytes.Repeat([]byte{0x11}, 64)
		d16, _ := Bytes([]uint16{0x2345, 0x2345, 0x2345, 0x2345, 0x2345})
		d32, _ := Bytes([]uint32{0x6789abcd, 0x6789abcd, 0x6789abcd})
		copy(want[8:], d16)
		copy(want[32:], d32)
		r.check(Read(got, m, 0))
		if diff := cmp.Diff(want, got); diff != "" {
			r.Error(diff)
		}
		r.want(s.MemsetD32(m.Ptr()+1, 1, 3), ErrorInvalidValue, "3 words of 4 bytes", fmt.Sprintf("to %#x", uint64(m.Ptr()+1)), "aligned")
		r.want(s.MemsetD16(m.Ptr()+1, 1, 3), ErrorInvalidValue, "3 words of 2 bytes")
		r.closes(m, s)
	})
}

// TestSimulatedConfig gives the simulated device values that mean nothing.
func TestSimulatedConfig(t *testing.T) {
	for says, cfg := range map[string]SimulatedConfig{"ComputeCapability=86": {ComputeCapability: 86}, "Devices=-1": {Devices: -1}, "Workers=-2": {Workers: -2}} {
		if drv, err := Simulated(cfg); drv != nil || !errors.Is(err, ErrorInvalidValue) || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, %v; want %q", drv, err, says)
		}
	}
	for variable, value := range map[string]string{"GPUARRAY_SIM_CC": "86", "GPUARRAY_SIM_RACES": "yes", "GPUARRAY_SIM_LATE": "now"} {
		t.Run(variable, func(t *testing.T) {
			t.Setenv(variable, value)
			if drv, err := Simulated(SimulatedConfig{}); drv != nil || !errors.Is(err, ErrorInvalidValue) || !strings.Contains(err.Error(), variable+"="+value) {
				t.Errorf("%v, %v; want %s=%s", drv, err, variable, value)
			}
		})
	}
}

// TestCopy2D copies random rectangles between all kinds of sides and holds them
// against a loop.
func TestCopy2D(t *testing.T) {
	onEach(t, func(r rig) {
		rng := seeded(r)
		s := r.stream()
		const size = 4096
		src, dst, pin := r.alloc(size), r.alloc(size), r.pinned(size)
		for range 60 {
			image := make([]byte, size)
			for i := range image {
				image[i] = byte(rng.Uint32())
			}
			w, h := uint64(1+rng.IntN(60)), uint64(1+rng.IntN(30))
			pitchA, pitchB := w+uint64(rng.IntN(60)), w+uint64(rng.IntN(60))
			want := make([]byte, size)
			for y := range h {
				copy(want[y*pitchB:][:w], image[y*pitchA:][:w])
			}
			r.check(Write(src, 0, image), s.MemsetD8(dst.Ptr(), 0, size), s.Synchronize())
			got := make([]byte, size)
			switch rng.IntN(3) {
			case 0:
				r.check(s.Copy2D(Copy2D{Side{Ptr: dst.Ptr(), Pitch: pitchB}, Side{Ptr: src.Ptr(), Pitch: pitchA}, w, h}), s.Synchronize(), Read(got, dst, 0))
			case 1:
				r.check(r.ctx.Copy2D(Copy2D{Side{Host: got, Pitch: pitchB}, Side{Ptr: src.Ptr(), Pitch: pitchA}, w, h}))
			case 2:
				copy(pin.Bytes(), image)
				r.check(s.Copy2D(Copy2D{Side{Ptr: dst.Ptr(), Pitch: pitchB}, Side{Pinned: pin, Pitch: pitchA}, w, h}), s.Synchronize(), Read(got, dst, 0))
			}
			if !bytes.Equal(got, want) {
				r.Fatalf("%d rows of %d bytes, from pitch %d to %d, differ", h, w, pitchA, pitchB)
			}
		}
		dev := Side{Ptr: src.Ptr()}
		r.want(s.Copy2D(Copy2D{dev, Side{Host: make([]byte, 9)}, 3, 3}), ErrorInvalidValue, "pinned")
		r.want(r.ctx.Copy2D(Copy2D{dev, Side{Host: make([]byte, 8)}, 3, 3}), ErrorInvalidValue, "do not fit in 8 bytes")
		r.want(r.ctx.Copy2D(Copy2D{dev, Side{Pinned: pin, Offset: size - 8}, 3, 3}), ErrorInvalidValue, "do not fit")
		r.want(r.ctx.Copy2D(Copy2D{dev, Side{Pinned: pin, Offset: size + 1}, 3, 3}), ErrorInvalidValue, "offset")
		r.want(r.ctx.Copy2D(Copy2D{dev, Side{Ptr: dst.Ptr(), Pitch: 2}, 3, 3}), ErrorInvalidValue, "rows of 3 bytes are 2 bytes apart")
		r.want(r.ctx.Copy2D(Copy2D{dev, Side{Ptr: dst.Ptr(), Pinned: pin}, 3, 3}), ErrorInvalidValue, "one of")
		r.check(r.ctx.Copy2D(Copy2D{dev, Side{Host: []byte{}}, 0, 5}))
		r.closes(src, dst, pin, s)
	})
}

func TestLaunch(t *testing.T) {
	onEach(t, func(r rig) {
		rng := seeded(r)
		mod, k := r.kernel("saxpy")
		s := r.stream()
		const n = 1000
		x, y := floats(rng, n), floats(rng, n)
		dx, dy := r.alloc(4*n), r.alloc(4*n)
		r.check(Write(dx, 0, x), Write(dy, 0, y))
		cfg := LaunchConfig{Grid: Dim{8}, Block: Dim{128}}
		r.check(k.Launch(s, cfg, dx, dy, float32(2), uint32(n)))
		args := NewArgs().Ptr(dx.Ptr()).Bits(uint64(dy.Ptr()), 8).F32(-3).I32(n - 1)
		r.check(k.LaunchArgs(s, cfg, args))
		args.Release()
		r.check(s.Synchronize())
		got := make([]float32, n)
		r.check(Read(got, dy, 0))
		for i := range got {
			want := 2*x[i] + y[i]
			if i < n-1 {
				want -= 3 * x[i]
			}
			if got[i] != want {
				r.Fatalf("element %d is %v, want %v", i, got[i], want)
			}
		}

		for _, test := range []struct {
			cfg  LaunchConfig
			args []any
			says string
		}{
			{cfg, []any{dx, dy, float32(2)}, "has 4 parameters and was given 3 arguments"},
			{cfg, []any{dx, dy, float32(2), uint64(n)}, "parameter 3 of kernel saxpy has 4 bytes, the argument has 8"},
			{cfg, []any{dx, dy, float32(2), n}, "argument 3 is of type int"},
			{cfg, []any{dx, dy, float32(2), nil}, "argument 3 is of type nil"},
			{cfg, []any{dx, (*TensorMap)(nil), float32(2), uint32(n)}, "nil TensorMap"},
			{LaunchConfig{Block: Dim{1}}, []any{dx, dy, float32(2), uint32(0)}, "at least 1"},
			{LaunchConfig{Grid: Dim{1}}, []any{dx, dy, float32(2), uint32(0)}, "at least 1"},
			{LaunchConfig{Grid: Dim{3}, Block: Dim{1}, Cluster: Dim{2}}, []any{dx, dy, float32(2), uint32(0)}, "whole number of clusters"},
			{LaunchConfig{Grid: Dim{2}, Block: Dim{1}, Cluster: Dim{0, 2}}, []any{dx, dy, float32(2), uint32(0)}, "cluster"},
			{LaunchConfig{Grid: Dim{1}, Block: Dim{2048}}, []any{dx, dy, float32(2), uint32(0)}, "kernel saxpy, grid [1 1 1], block [2048 1 1]"},
		} {
			r.want(k.Launch(s, test.cfg, test.args...), ErrorInvalidValue, test.says)
		}
		r.want(k.LaunchArgs(s, cfg, NewArgs().Bits(1, 3)), ErrorInvalidValue, "Bits takes")
		r.want(k.LaunchArgs(s, cfg, NewArgs().Struct(nil)), ErrorInvalidValue, "has 1 to")
		r.want(k.LaunchArgs(s, cfg, nil), ErrorInvalidValue, "0 arguments")
		r.want(k.LaunchArgs(s, cfg, new(Args)), ErrorInvalidValue, "0 arguments")
		r.closes(dx, dy, s, mod)
		r.want(k.Launch(s, cfg, dx, dy, float32(2), uint32(n)), ErrClosed)
	})
}

// TestLaunchAttributes launches with each attribute that the device has.
func TestLaunchAttributes(t *testing.T) {
	onEach(t, func(r rig) {
		mod, k := r.kernel("saxpy")
		s := r.stream()
		x, y := r.alloc(4*512), r.alloc(4*512)
		r.check(s.MemsetD32(x.Ptr(), 0x3f800000, 512), s.MemsetD32(y.Ptr(), 0, 512))
		cfg := LaunchConfig{Grid: Dim{4}, Block: Dim{128}}
		has := func(a Attribute) bool {
			v, err := r.ctx.Device().Attribute(a)
			r.check(err)
			return v != 0
		}
		shapes := []LaunchConfig{cfg}
		if has(AttrCooperativeLaunch) {
			cfg := cfg
			cfg.Cooperative = true
			shapes = append(shapes, cfg)
			cfg.Grid = Dim{1 << 20}
			r.want(k.Launch(s, cfg, x, y, float32(1), uint32(0)), ErrorCooperativeLaunchTooLarge, "saxpy")
		}
		if has(AttrClusterLaunch) {
			cluster, programmatic := cfg, cfg
			cluster.Cluster, programmatic.Programmatic = Dim{2}, true
			shapes = append(shapes, cluster, programmatic)
			n, err := k.MaxActiveClusters(cluster)
			r.check(err)
			if n < 1 {
				r.Errorf("%d clusters are resident", n)
			}
		}
		r.Logf("%d shapes", len(shapes))
		for _, cfg := range shapes {
			r.check(k.Launch(s, cfg, x, y, float32(1), uint32(512)), s.Synchronize())
		}
		got := make([]float32, 512)
		r.check(Read(got, y, 0))
		if want := float32(len(shapes)); got[0] != want || got[511] != want {
			r.Errorf("after %v launches %v and %v", want, got[0], got[511])
		}

		optin, err := r.ctx.Device().Attribute(AttrMaxSharedMemoryPerBlockOptin)
		r.check(err)
		cfg.Shared = uint32(optin)
		r.want(k.Launch(s, cfg, x, y, float32(1), uint32(512)), ErrorInvalidValue, fmt.Sprint(optin, " bytes of dynamic shared memory"))
		r.want(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{64, 64}}, x, y, float32(1), uint32(512)), ErrorInvalidValue, "block [64 64 1] (this kernel takes at most ", " threads)")
		r.check(k.SetMaxDynamicShared(optin), k.SetSharedCarveout(-1), k.Launch(s, cfg, x, y, float32(1), uint32(512)), s.Synchronize())
		r.want(k.SetMaxDynamicShared(optin+1), ErrorInvalidValue, fmt.Sprintf("can have %d bytes", optin))
		if wide := optin << 16 << 16; wide != 0 { // in 32 bits it would be 0, which is allowed
			r.want(k.SetMaxDynamicShared(wide), ErrorInvalidValue, fmt.Sprintf("%d bytes", wide))
		}
		r.closes(x, y, mod, s)
	})
}

// TestArgsMany fills more arguments than fit in place, and structs.
func TestArgsMany(t *testing.T) {
	a := NewArgs()
	defer a.Release()
	for range 2 { // the second time with used Args
		a.Reset()
		for i := range 100 {
			a.U64(uint64(i)).U8(uint8(i)).Struct(bytes.Repeat([]byte{byte(i)}, 20))
		}
		if a.Len() != 300 || a.err != nil {
			t.Fatal(a.Len(), a.err)
		}
		for i := range 100 {
			u, b := *(*uint64)(a.ptrs[3*i]), *(*uint8)(a.ptrs[3*i+1])
			s := *(*[20]byte)(a.ptrs[3*i+2])
			if u != uint64(i) || b != uint8(i) || s != [20]byte(bytes.Repeat([]byte{byte(i)}, 20)) {
				t.Fatalf("argument %d: %d, %d, %v", i, u, b, s)
			}
		}
	}
}

func TestModule(t *testing.T) {
	onEach(t, func(r rig) {
		mod, k := r.kernel("count")
		s := r.stream()
		p, size, err := mod.Global("counter")
		r.check(err)
		if size != 4 {
			r.Errorf("counter has %d bytes", size)
		}
		r.check(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}}), s.Synchronize())
		got := make([]byte, 4)
		r.check(r.ctx.CopyDtoH(got, p))
		if v, _ := View[uint32](got); v[0] != 42 {
			r.Errorf("counter is %d, want 42", v[0])
		}
		_, err = mod.Kernel("nothing")
		r.want(err, ErrorNotFound, `kernel "nothing"`)
		_, _, err = mod.Global("nothing")
		r.want(err, ErrorNotFound, `variable "nothing"`)
		info, err := k.Info()
		r.check(err)
		if info.MaxThreads < 32 || info.PTXVersion != 75 {
			r.Errorf("Info() = %+v", info)
		}
		blocks, err := k.MaxActiveBlocks(128, 0)
		r.check(err)
		threads, grid, err := k.SuggestBlock(0, 256)
		r.check(err)
		if blocks < 1 || threads < 32 || threads > 256 || grid < 1 {
			r.Errorf("%d blocks; %d threads in %d blocks", blocks, threads, grid)
		}
		if k.Name() != "count" {
			r.Errorf("Name() = %q", k.Name())
		}
		_, saxpy := r.kernel("saxpy")
		params, err := saxpy.Params()
		r.check(err)
		if diff := cmp.Diff([]Param{{0, 8}, {8, 8}, {16, 4}, {20, 4}}, params); diff != "" {
			r.Error(diff)
		}
		r.closes(saxpy.mod, mod, s)
	})
}

func TestLibrary(t *testing.T) {
	onEach(t, func(r rig) {
		lib, err := r.ctx.LoadLibrary(kernelsPTX, LoadConfig{})
		r.check(err)
		k, err := lib.Kernel("count")
		r.check(err)
		s := r.stream()
		r.check(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}}), s.Synchronize())
		p, _, err := lib.Global("counter")
		r.check(err)
		got := make([]byte, 4)
		r.check(r.ctx.CopyDtoH(got, p))
		if v, _ := View[uint32](got); v[0] != 42 {
			r.Errorf("counter is %d, want 42", v[0])
		}
		_, err = lib.Kernel("nothing")
		r.want(err, ErrorNotFound, `kernel "nothing"`)
		r.closes(lib, s)
	})
}

func TestBadPTX(t *testing.T) {
	onEach(t, func(r rig) {
		bad := bytes.Replace(kernelsPTX, []byte("fma.rn.f32"), []byte("fma.rn.f33"), 1)
		_, err := r.ctx.LoadModule(bad, LoadConfig{})
		r.want(err, ErrorInvalidPTX, "the assembler's log:\n", "f33")
		_, err = r.ctx.LoadModule(nil, LoadConfig{})
		r.want(err, ErrorInvalidValue, "empty")
		m, err := r.ctx.LoadModule(kernelsPTX, LoadConfig{Verbose: true, OptLevel: 2, MaxRegisters: 32})
		r.check(err, m.Close())
	})
}

func TestOutOfMemory(t *testing.T) {
	onEach(t, func(r rig) {
		_, err := r.ctx.Alloc(1 << 50)
		r.want(err, ErrorOutOfMemory, "1125899906842624 bytes were asked for", "are free", "nvidia-smi")
		s := r.stream()
		_, err = s.Alloc(1 << 50)
		r.want(err, ErrorOutOfMemory, "1125899906842624 bytes")
		_, err = r.ctx.Alloc(0)
		r.want(err, ErrorInvalidValue, "0 bytes")
		_, err = r.ctx.AllocPinned(0, PinnedConfig{})
		r.want(err, ErrorInvalidValue)
		_, err = r.ctx.AllocPinned(-1, PinnedConfig{})
		r.want(err, ErrorInvalidValue)
		m := r.alloc(1024)
		r.closes(m, s)
	})
}

func TestStreamOrderedMemory(t *testing.T) {
	onEach(t, func(r rig) {
		s := r.stream()
		pool, err := r.ctx.NewMemPool(0)
		r.check(err, pool.SetReleaseThreshold(1<<20))
		deflt, err := r.ctx.DefaultMemPool()
		r.check(err)
		a, err := s.Alloc(1000)
		r.check(err)
		b, err := pool.Alloc(5000, s)
		r.check(err, s.MemsetD8(b.Ptr(), 5, 5000), s.Synchronize())
		used, held, err := pool.Usage()
		r.check(err)
		if used < 5000 || held < used {
			r.Errorf("after an allocation of 5000 bytes %d are used of %d held", used, held)
		}
		got := make([]byte, 5000)
		r.check(Read(got, b, 0))
		if !bytes.Equal(got, bytes.Repeat([]byte{5}, 5000)) {
			r.Error("the fill is not there")
		}
		r.check(a.Close(), b.CloseOn(s), b.CloseOn(s), b.Close(), s.Synchronize(), pool.Trim(0))
		if used, _, err := pool.Usage(); used != 0 || err != nil {
			r.Errorf("%d bytes used in the end, %v", used, err)
		}
		r.closes(pool, deflt, s)
	})
}

func TestEvents(t *testing.T) {
	onEach(t, func(r rig) {
		s, s2 := r.stream(), r.stream()
		a, err := r.ctx.NewEvent(EventConfig{Timing: true})
		r.check(err)
		b, err := r.ctx.NewEvent(EventConfig{Timing: true, Blocking: true})
		r.check(err)
		plain, err := r.ctx.NewEvent(EventConfig{})
		r.check(err)
		if done, err := plain.Done(); !done || err != nil {
			r.Errorf("an event never recorded: %v, %v", done, err)
		}
		m := r.alloc(1 << 20)
		r.check(a.Record(s), s.MemsetD8(m.Ptr(), 1, 1<<20), b.Record(s), plain.Record(s), s2.Wait(plain), s2.MemsetD8(m.Ptr(), 2, 1<<20), b.Synchronize())
		d, err := b.Since(a)
		r.check(err)
		if d < 0 || d > time.Minute {
			r.Errorf("a fill took %v", d)
		}
		_, err = plain.Since(a)
		r.want(err, ErrorInvalidValue, "Timing")
		r.check(s2.Synchronize())
		for _, done := range []func() (bool, error){a.Done, b.Done, s.Done, s2.Done} {
			if yes, err := done(); !yes || err != nil {
				r.Errorf("done after a wait: %v, %v", yes, err)
			}
		}
		var one [1]byte
		r.check(Read(one[:], m, 12345))
		if one[0] != 2 {
			r.Errorf("the second stream did not wait: %d", one[0])
		}
		r.closes(a, b, plain, m, s, s2)
	})
}

func TestGraph(t *testing.T) {
	onEach(t, func(r rig) {
		mod, k := r.kernel("saxpy")
		s := r.stream()
		const n = 100
		x, y, z := r.alloc(4*n), r.alloc(4*n), r.alloc(4*n)
		ones := bytes.Repeat([]byte{0, 0, 0x80, 0x3f}, n) // 1 as float32, low byte first
		host, _ := View[uint32](ones)
		for i := range host {
			host[i] = 0x3f800000
		}
		r.check(Write(x, 0, ones))
		cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{128}}
		args := func(a float32) *Args { return NewArgs().Ptr(x.Ptr()).Ptr(y.Ptr()).F32(a).U32(n) }

		g, err := r.ctx.NewGraph()
		r.check(err)
		fill, err := g.AddMemset(nil, y.Ptr(), 0x40000000, 4, n) // 2
		r.check(err)
		add, err := g.AddKernel([]GraphNode{fill}, k, cfg, args(10))
		r.check(err)
		join, err := g.AddEmpty([]GraphNode{fill, add})
		r.check(err)
		_, err = g.AddCopy([]GraphNode{join}, z.Ptr(), y.Ptr(), 4*n)
		r.check(err)
		exec, err := g.Instantiate()
		r.check(err)
		result := func(want float32) {
			r.Helper()
			r.check(exec.Upload(s), exec.Launch(s), s.Synchronize())
			got := make([]float32, n)
			r.check(Read(got, z, 0))
			if got[0] != want || got[n-1] != want {
				r.Errorf("the graph gives %v and %v, want %v", got[0], got[n-1], want)
			}
		}
		result(12)
		r.check(exec.SetKernel(add, k, cfg, args(20)))
		result(22)
		r.check(exec.Update(g))
		result(12)

		_, err = g.AddKernel(nil, k, LaunchConfig{Grid: Dim{2}, Block: Dim{1}, Cluster: Dim{2}}, args(1))
		r.want(err, ErrorNotSupported, "saxpy")
		_, err = g.AddKernel(nil, k, cfg, nil)
		r.want(err, ErrorInvalidValue, "0 arguments")
		_, err = g.AddMemset(nil, y.Ptr(), 0, 3, n)
		r.want(err, ErrorInvalidValue, "3 bytes")
		g2, err := r.ctx.NewGraph()
		r.check(err)
		_, err = g2.AddEmpty([]GraphNode{fill})
		r.want(err, ErrorInvalidValue, "another graph")
		_, err = g2.AddEmpty([]GraphNode{{}})
		r.want(err, ErrorInvalidValue, "another graph")
		_, err = g2.AddEmpty(nil)
		r.check(err)
		r.want(exec.Update(g2), ErrorGraphExecUpdateFailure)
		r.closes(exec, g, g2, x, y, z, mod, s)
	})
}

func TestCapture(t *testing.T) {
	onEach(t, func(r rig) {
		mod, k := r.kernel("count")
		s := r.stream()
		p, _, err := mod.Global("counter")
		r.check(err)
		cfg := LaunchConfig{Grid: Dim{1}, Block: Dim{1}}
		r.check(k.Launch(s, cfg), s.Synchronize())
		r.check(s.BeginCapture(CaptureRelaxed), k.Launch(s, cfg), k.Launch(s, cfg))
		g, err := s.EndCapture()
		r.check(err)
		exec, err := g.Instantiate()
		r.check(err, exec.Launch(s), exec.Launch(s), s.Synchronize())
		got := make([]byte, 4)
		r.check(r.ctx.CopyDtoH(got, p))
		if v, _ := View[uint32](got); v[0] != 41+1+4 {
			r.Errorf("counter is %d, want 46", v[0])
		}
		_, err = s.EndCapture()
		if err == nil {
			r.Error("ending no capture is no error")
		}
		r.closes(exec, g, mod, s)
	})
}

func TestContext(t *testing.T) {
	onEach(t, func(r rig) {
		free, total, err := r.ctx.MemInfo()
		r.check(err)
		if free == 0 || free > total {
			r.Errorf("%d of %d bytes are free", free, total)
		}
		_, _, err = r.ctx.StreamPriorities()
		r.check(err)
		size, err := r.ctx.Limit(LimitStackSize)
		r.check(err, r.ctx.SetLimit(LimitStackSize, size))
		r.check(r.ctx.Synchronize(), r.ctx.Err())
		m := r.alloc(1000)
		start, bytes, err := r.ctx.AddressRange(m.Ptr() + 500)
		r.check(err)
		if start != m.Ptr() || bytes < 1000 {
			r.Errorf("AddressRange is %d bytes from %#x, for 1000 at %#x", bytes, start, m.Ptr())
		}
		r.ctx.MarkMemory(m.Ptr(), 500, MemoryPoisoned, func() string { return "the first half" })
		r.ctx.MarkMemory(m.Ptr(), 1000, MemoryLive, nil)
		r.closes(m)
		other, err := r.ctx.Device().Context()
		r.check(err)
		if other.handle != r.ctx.handle {
			r.Error("the primary context is not one")
		}
		s, err := other.NewStream(StreamConfig{Blocking: true})
		r.check(err)
		mod, k := r.kernel("count")
		r.check(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}}), s.Synchronize())
		r.closes(mod, s, other)
	})
}

// TestDeviceQueries is for what is asked without a context.
func TestDeviceQueries(t *testing.T) {
	onEach(t, func(r rig) {
		devices, err := r.drv.Devices()
		r.check(err)
		for i, d := range devices {
			name, err := d.Name()
			r.check(err)
			uuid, err := d.UUID()
			r.check(err)
			total, err := d.TotalMem()
			r.check(err)
			major, minor, err := d.ComputeCapability()
			r.check(err)
			if name == "" || uuid == (UUID{}) || total == 0 || major < 5 || d.Ordinal() != i || d.Driver() != r.drv {
				r.Errorf("device %d: %q, %v, %d bytes, %d.%d", i, name, uuid, total, major, minor)
			}
			if w, err := d.Attribute(AttrWarpSize); w != 32 || err != nil {
				r.Errorf("warps of %d, %v", w, err)
			}
			_, err = d.Attribute(99999)
			r.want(err, ErrorInvalidValue, "attribute 99999")
			can, err := d.CanAccessPeer(d)
			r.check(err)
			if can {
				r.Error("a device is its own peer")
			}
		}
		_, err = r.drv.Device(len(devices))
		r.want(err, ErrorInvalidDevice, fmt.Sprintf("device %d was asked for, the last one is %d", len(devices), len(devices)-1))
		_, err = r.drv.Device(-1)
		r.want(err, ErrorInvalidDevice)
	})
}

func TestPeer(t *testing.T) {
	drv, err := Simulated(SimulatedConfig{Devices: 2})
	if err != nil {
		t.Fatal(err)
	}
	test := func(r rig) {
		dev, err := r.drv.Device(1)
		r.check(err)
		ctx2, err := dev.Context()
		r.check(err)
		s, err := ctx2.NewStream(StreamConfig{})
		r.check(err)
		e, err := r.ctx.NewEvent(EventConfig{})
		r.check(err)
		a := r.alloc(8)
		b, err := ctx2.Alloc(8)
		r.check(err, Write(a, 0, []uint64{77}))
		r.check(s.Wait(e), s.CopyPeer(b.Ptr(), ctx2, a.Ptr(), r.ctx, 8), s.Synchronize())
		var got [1]uint64
		r.check(Read(got[:], b, 0))
		if got[0] != 77 {
			r.Errorf("copied %d, want 77", got[0])
		}
		r.want(e.Record(s), ErrorInvalidContext, "another context")
		mod, k := r.kernel("count")
		r.want(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}}), ErrorInvalidContext, "different contexts")
		if can, err := r.ctx.Device().CanAccessPeer(dev); can {
			r.check(err, r.ctx.EnablePeerAccess(ctx2), r.ctx.EnablePeerAccess(ctx2), r.ctx.DisablePeerAccess(ctx2))
		}
		r.closes(mod, a, b, e, s, ctx2)
	}
	t.Run("simulated", func(t *testing.T) { runRig(t, drv, test) })
	if drv, err := Open(); err == nil {
		if n, err := drv.DeviceCount(); n > 1 && err == nil {
			t.Run("cuda", func(t *testing.T) { runRig(t, drv, test) })
		}
	}
}

func TestTensorMap(t *testing.T) {
	drv, err := Simulated(SimulatedConfig{ComputeCapability: 90})
	if err != nil {
		t.Fatal(err)
	}
	tests := func(r rig) {
		if major, _, err := r.ctx.Device().ComputeCapability(); major < 9 {
			r.Skip("compute capability below 9.0", err)
		}
		m := r.alloc(1 << 16)
		cfg := TensorMapConfig{
			Type: TensorFloat32, Address: m.Ptr(), Shape: []uint64{64, 100}, Strides: []uint64{256}, Box: []uint32{32, 64},
			Swizzle: Swizzle128B, Promotion: Promotion256B,
		}
		for range 50 { // as many chances to be misaligned
			tm, err := r.ctx.NewTensorMap(cfg)
			r.check(err)
			args := NewArgs().U8(1).TensorMap(tm).U32(2)
			for _, p := range []uintptr{uintptr(args.ptrs[1])} {
				if p%abi.TensorMapAlignment != 0 {
					r.Fatalf("the argument lies at %#x", p)
				}
			}
			if *(*abi.TensorMap)(args.ptrs[1]) != *tm.abi || args.sizes[1] != 128 || args.err != nil {
				r.Fatal("the argument is not the map")
			}
			args.Release()
		}
		bad := cfg
		bad.Address += 8
		_, err := r.ctx.NewTensorMap(bad)
		r.want(err, ErrorInvalidValue, "address", "[64 100]")
		bad = cfg
		bad.Strides = nil
		_, err = r.ctx.NewTensorMap(bad)
		r.want(err, ErrorInvalidValue, "needs 1 strides")
		bad.Shape = nil
		_, err = r.ctx.NewTensorMap(bad)
		r.want(err, ErrorInvalidValue, "0 axes")
		r.closes(m)
	}
	t.Run("simulated", func(t *testing.T) { runRig(t, drv, tests) })
	if drv, err := Open(); err == nil {
		t.Run("cuda", func(t *testing.T) { runRig(t, drv, tests) })
	}
}

func TestBytesAndView(t *testing.T) {
	type pair struct {
		a [2]uint16
		b float32
	}
	b, err := Bytes([]pair{{[2]uint16{1, 2}, 3}, {}})
	if len(b) != 16 || err != nil {
		t.Error(len(b), err)
	}
	v, err := View[pair](b[:15])
	if len(v) != 1 || v[0].b != 3 || err != nil {
		t.Error(v, err)
	}
	if _, err := View[uint32](b[1:]); !errors.Is(err, ErrorInvalidValue) {
		t.Error(err)
	}
	if v, err := View[uint64](nil); len(v) != 0 || err != nil {
		t.Error(v, err)
	}
	if b, err := Bytes[int8](nil); len(b) != 0 || err != nil {
		t.Error(b, err)
	}
	for name, err := range map[string]error{
		"pointer": bytesError[*int](), "string": bytesError[string](), "slice": bytesError[[]int](), "any": bytesError[any](),
		"struct": bytesError[struct{ p *int }](), "uintptr": bytesError[uintptr](),
	} {
		if !errors.Is(err, ErrorInvalidValue) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, err := range map[string]error{"bool": bytesError[bool](), "complex": bytesError[complex128](), "int": bytesError[int]()} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func bytesError[T any]() error { _, err := Bytes(make([]T, 1)); return err }

// TestConcurrentClose closes handles while others use them: each use works or is
// ErrClosed.
func TestConcurrentClose(t *testing.T) {
	onEach(t, func(r rig) {
		mod, k := r.kernel("count")
		s := r.stream()
		var wg sync.WaitGroup
		for range 8 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				for {
					err := firstError(k.Launch(s, LaunchConfig{Grid: Dim{1}, Block: Dim{1}}), s.Synchronize())
					if errors.Is(err, ErrClosed) {
						return
					}
					if err != nil {
						r.Error(err)
						return
					}
					runtime.Gosched() // where goroutines share one thread and nothing takes it from them
				}
			}()
		}
		time.Sleep(20 * time.Millisecond)
		r.check(s.Synchronize(), s.Close(), mod.Close())
		wg.Wait()
	})
}

const clusterRanksPTX = `.version 8.0
.target sm_90
.address_size 64
.visible .entry ranks(.param .u64 out)
{
	.reg .b32 %r<10>; .reg .b64 %rd<3>;
	ld.param.u64 %rd1, [out];
	mov.u32 %r1, %ctaid.x;
	mov.u32 %r2, %ctaid.y;
	mov.u32 %r3, %ctaid.z;
	mov.u32 %r4, %nctaid.x;
	mov.u32 %r5, %nctaid.y;
	mad.lo.u32 %r3, %r3, %r5, %r2;
	mad.lo.u32 %r3, %r3, %r4, %r1;
	mul.wide.u32 %rd2, %r3, 4;
	add.u64 %rd1, %rd1, %rd2;
	mov.u32 %r6, %cluster_ctarank;
	st.global.u32 [%rd1], %r6;
	ret;
}
`

// TestClusterRanks: blocks of a cluster are numbered along x first, then y, then z.
func TestClusterRanks(t *testing.T) {
	onEach(t, func(r rig) {
		if v, err := r.ctx.Device().Attribute(AttrClusterLaunch); v == 0 {
			r.Skip("no clusters here", err)
		}
		m, err := r.ctx.LoadModule([]byte(clusterRanksPTX), LoadConfig{})
		r.check(err)
		defer m.Close()
		k, err := m.Kernel("ranks")
		r.check(err)
		s := r.stream()
		defer s.Close()
		for _, c := range []Dim{{2, 2, 2}, {1, 4, 2}, {4, 1, 2}, {2, 4}} {
			cluster, grid := c.full(), Dim{4, 8, 2}
			blocks := int(grid[0] * grid[1] * grid[2])
			out, err := r.ctx.Alloc(uint64(4 * blocks))
			r.check(err)
			r.check(k.Launch(s, LaunchConfig{Grid: grid, Block: Dim{1}, Cluster: c}, out))
			r.check(s.Synchronize())
			got := make([]uint32, blocks)
			r.check(Read(got, out, 0))
			r.check(out.Close())
			for i, rank := range got {
				x, y, z := uint32(i)%grid[0]%cluster[0], uint32(i)/grid[0]%grid[1]%cluster[1], uint32(i)/(grid[0]*grid[1])%cluster[2]
				if want := x + cluster[0]*(y+cluster[1]*z); rank != want {
					t.Fatalf("clusters of %v, block %d: rank %d, want %d", c, i, rank, want)
				}
			}
		}
	})
}

// TestWritesArrive has a non-blocking stream read what was written, in ways that
// promise to wait, from ordinary memory, where work runs as late as CUDA allows.
func TestWritesArrive(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		drv, err := Simulated(SimulatedConfig{Late: seed})
		if err != nil {
			t.Fatal(err)
		}
		runRig(t, drv, func(r rig) {
			a, b, c, s := r.alloc(8), r.alloc(8), r.alloc(8), r.stream()
			v := []uint64{1<<40 + seed}
			host, err := Bytes(v)
			r.check(err, r.ctx.CopyHtoD(a.Ptr(), host), s.CopyDtoD(b.Ptr(), a.Ptr(), 8), s.Synchronize())
			r.check(r.ctx.Copy2D(Copy2D{Side{Ptr: a.Ptr()}, Side{Host: make([]byte, 8)}, 4, 2}), s.CopyDtoD(c.Ptr(), a.Ptr(), 8), s.Synchronize())
			var first, second [1]uint64
			r.check(Read(first[:], b, 0), Read(second[:], c, 0))
			if first[0] != v[0] || second[0] != 0 {
				t.Errorf("seed %d: read %d and %d, want %d and 0", seed, first[0], second[0], v[0])
			}
			r.closes(a, b, c, s)
		})
	}
}
