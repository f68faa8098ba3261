package exec

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// body wraps instructions in a kernel with two buffers, %rd1 and %rd2, the
// thread in %r1, and 4·thread in %rd3.
func body(text string) string {
	return `
.visible .entry k(.param .u64 a, .param .u64 b)
{
	.reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %rd<20>; .reg .f32 %f<9>; .reg .b16 %h<9>;
	.shared .align 16 .b8 sh[256];
	ld.param.u64 %rd1, [a];
	ld.param.u64 %rd2, [b];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd3, %r1, 4;
` + text + `
	ret;
}`
}

func TestFaults(t *testing.T) {
	const block = 64
	for _, c := range []struct {
		name   string
		kind   FaultKind
		text   string
		line   int    // of the body, from 1
		thread uint32 // the first thread that does wrong
		detail string // part of the report
	}{
		{"past the end", OutOfBounds, "add.u64 %rd4, %rd1, %rd3;\nld.global.u32 %r2, [%rd4+4];", 2, 63, "0 bytes past the end of array a (256 bytes"},
		{"before the start", OutOfBounds, "ld.global.u32 %r2, [%rd1+-4];", 1, 0, "4 bytes before array a"},
		{"across the end", OutOfBounds, "add.u64 %rd4, %rd1, %rd3;\nld.global.u8 %r2, [%rd4+253];", 2, 1, "past the end of array a"},
		{"nowhere", OutOfBounds, "mov.u64 %rd4, 16;\nst.global.u32 [%rd4], %r1;", 2, 0, "no allocation is near"},
		{"wild lane", OutOfBounds, "setp.eq.u32 %p1, %r1, 37;\nselp.b64 %rd4, 64, %rd1, %p1;\nld.global.u32 %r2, [%rd4];", 3, 37, "no allocation"},
		{"misaligned", Misaligned, "add.u64 %rd4, %rd1, %rd3;\nld.global.u64 %rd5, [%rd4];", 2, 1, "multiple of 8"},
		{"misaligned vector", Misaligned, "st.global.v4.u32 [%rd1+8], {%r1, %r1, %r1, %r1};", 1, 0, "multiple of 16"},
		{"freed", UseAfterFree, "ld.global.u32 %r2, [%rd2];", 1, 0, "array b (256 bytes"},
		{"shared", OutOfBounds, "st.shared.u32 [sh+256], %r1;", 1, 0, "256 bytes of shared memory"},
		{"shared register", OutOfBounds, "shl.b32 %r2, %r1, 3;\nst.shared.u32 [%r2], %r1;", 2, 32, "256 bytes of shared memory"},
		{"generic shared", OutOfBounds, "mov.u32 %r2, sh;\ncvt.u64.u32 %rd4, %r2;\ncvta.shared.u64 %rd4, %rd4;\nst.u32 [%rd4+256], %r1;", 4, 0, "shared memory"},
		{"divide", DivideByZero, "sub.u32 %r2, %r1, 5;\ndiv.u32 %r3, %r1, %r2;\nst.global.u32 [%rd1], %r3;", 3, 5, "at line 15 (div.u32 %r3, %r1, %r2;) the divisor was zero"},
		{"remainder", DivideByZero, "sub.u32 %r2, %r1, 5;\nrem.s32 %r3, %r1, %r2;\nadd.u32 %r3, %r3, 1;\nsetp.eq.u32 %p1, %r3, 0;\n@%p1 bra L;\nL:", 5, 5, "at line 15"},
		{"trap", Trap, "setp.eq.u32 %p1, %r1, 40;\n@%p1 trap;", 2, 40, "trap"},
		{"uninitialised load", Uninitialised, "st.shared.u32 [sh], %r1;\nld.shared.u32 %r2, [sh+4];\nadd.u32 %r2, %r2, 1;\nst.global.u32 [%rd1], %r2;", 4, 0, "nobody wrote"},
		{"uninitialised local memory", Uninitialised, ".local .b8 l[16];\nld.local.u32 %r2, [l+4];\nst.global.u32 [%rd1], %r2;", 3, 0, "from local memory, byte 4"},
		{"lanes exit while others of the warp wait", BarrierMisuse, "setp.lt.u32 %p1, %r1, 7;\n@%p1 bar.sync 0;", 3, 7, "lanes 0x7f wait at line"},
		{"uninitialised branch", Uninitialised, "ld.shared.u32 %r2, [sh+4];\nsetp.eq.u32 %p1, %r2, 1;\n@%p1 bra L;\nst.global.u32 [%rd1], %r1;\nL:", 3, 0, "nobody wrote"},
		{"uninitialised address", Uninitialised, "ld.shared.u32 %r2, [sh+4];\nld.shared.u32 %r3, [%r2];", 2, 0, "nobody wrote"},
		{"uninitialised lane", Uninitialised, "setp.lt.u32 %p1, %r1, 50;\n@%p1 st.shared.u8 [sh], %r1;\nshl.b32 %r4, %r1, 2;\n@%p1 st.shared.u32 [%r4], %r1;\nbar.sync 0;\nld.shared.u32 %r2, [%r4];\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r2;", 8, 50, "nobody wrote"},
		{"uninitialised between stores", Uninitialised, "and.b32 %r2, %r1, 31;\nshl.b32 %r2, %r2, 3;\nst.shared.u32 [%r2], %r1;\nld.shared.u32 %r3, [%r2+4];\nst.global.u32 [%rd1], %r3;", 5, 0, "nobody wrote"},
		{"uninitialised between bytes", Uninitialised, "shl.b32 %r2, %r1, 1;\nst.shared.u8 [%r2], %r1;\nld.shared.u8 %r3, [%r2+1];\nst.global.u32 [%rd1], %r3;", 4, 0, "nobody wrote"},
		{"uninitialised half of a matrix's element", Uninitialised, "shl.b32 %r2, %r1, 1;\nst.shared.u8 [%r2], %r1;\nsetp.ne.u32 %p1, %r1, 20;\n@%p1 st.shared.u8 [%r2+1], %r1;\nbar.sync 0;\nand.b32 %r3, %r1, 7;\nshl.b32 %r3, %r3, 4;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r4}, [%r3];\nst.global.u32 [%rd1], %r4;", 9, 10, "nobody wrote"},
		{"uninitialised register", Uninitialised, "setp.eq.u32 %p1, %r1, 3;\n@!%p1 mov.u32 %r5, 7;\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r5;", 4, 3, "nobody wrote"},
		{"fuel", OutOfFuel, "L:\nbra L;", 2, 0, "does not end"},
		{"barrier numbers", BarrierMisuse, "shr.u32 %r2, %r1, 1;\nbar.sync %r2;", 2, 2, "differs between lanes"},
		{"barrier 16", BarrierMisuse, "mov.u32 %r2, 16;\nbar.sync %r2;", 2, 0, "there are 16"},
		{"barrier counts", BarrierMisuse, "and.b32 %r2, %r1, 32;\nadd.u32 %r2, %r2, 64;\nbar.sync 1, %r2;\n", 3, 32, "expects 96 threads here, others arrived expecting 64 threads"},
		{"kinds of barriers", BarrierMisuse, "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra L;\nbar.sync 1, 64;\nbra M;\nL:\nbar.red.popc.u32 %r2, 1, 64, %p1;\nM:", 6, 0, "another bar.red"},
		{"divergent barrier", BarrierMisuse, "and.b32 %r2, %r1, 1;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra L;\nbar.sync 0;\nbra M;\nL:\nbar.sync 0;\nM:", 0, 0, "must be executed by all threads of a warp"},
		{"deadlock", Deadlock, "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra L;\nbar.sync 1, 64;\nL:\nbar.sync 2, 64;", 0, 0, "waits for barrier"},
		{"missing lanes", Deadlock, "setp.lt.u32 %p1, %r1, 32;\nand.b32 %r2, %r1, 1;\nsetp.eq.u32 %p2, %r2, 0;\n@%p2 bra L;\nbar.sync 0;\nL:\n@%p2 bra M;\nret;\nM: bar.warp.sync 0xffffffff;\nbar.sync 0;", 0, 0, "waits for"},
		{"foreign lane", WarpMisuse, "bar.warp.sync 0x0fffffff;", 1, 28, "does not name it"},
		{"constant", ReadOnly, "mov.u64 %rd4, table;\nst.u32 [%rd4], %r1;", 2, 0, "variable table is constant"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t, ".const .align 4 .u32 table[2] = {1, 2};\n"+body(c.text)+".visible .entry k2() { ret; }")
			a := buffer(d, "array a", make([]uint32, block))
			b := buffer(d, "array b", make([]uint32, block))
			if err := d.mem.Free(b); err != nil {
				t.Fatal(err)
			}
			err := d.run("k", 2, block, Options{Workers: 1, Fuel: 1 << 20}, a, b)
			var f *Fault
			if !errors.As(err, &f) {
				t.Fatalf("got %v, want a fault: %v", err, c.kind)
			}
			if f.Kind != c.kind || !strings.Contains(err.Error(), c.detail) {
				t.Errorf("got %v\nwant %v with %q", err, c.kind, c.detail)
			}
			// The header has 3 lines, the constant one, body's first lines 8 and an empty one.
			if line := f.Pos.Line - 13; c.line != 0 && (line != c.line || f.Thread != [3]uint32{c.thread, 0, 0}) {
				t.Errorf("line %d of the body, thread %v, want line %d, thread %d\n%v", line, f.Thread, c.line, c.thread, err)
			}
			if f.Kernel != "k" || f.Block != [3]uint32{} || f.Instr == "" {
				t.Errorf("kernel %q block %v instruction %q", f.Kernel, f.Block, f.Instr)
			}
			// The device goes on working.
			d.must("k2", 1, 32)
		})
	}
}

// TestNoFault runs what looks like the faults above and is right.
func TestNoFault(t *testing.T) {
	for name, text := range map[string]string{
		"last element":           "add.u64 %rd4, %rd1, %rd3;\nld.global.u32 %r2, [%rd4];\nst.global.u32 [%rd4], %r2;",
		"undefined but unused":   "ld.shared.u32 %r2, [sh+4];\nadd.u32 %r2, %r2, 1;",
		"undefined not taken":    "ld.shared.u32 %r2, [sh+4];\nsetp.eq.u32 %p1, %r1, 99;\nselp.b32 %r2, %r2, 5, %p1;\nst.global.u32 [%rd1], %r2;",
		"guard keeps it away":    "setp.eq.u32 %p1, %r1, 99;\n@%p1 ld.global.u32 %r2, [%rd2];",
		"guarded definition":     "setp.eq.u32 %p1, %r1, 3;\n@!%p1 mov.u32 %r5, 7;\n@%p1 mov.u32 %r5, 8;\nadd.u64 %rd4, %rd1, %rd3;\nst.global.u32 [%rd4], %r5;",
		"exit before barrier":    "setp.gt.u32 %p1, %r1, 40;\n@%p1 ret;\nbar.sync 0;\nst.global.u32 [%rd1], %r1;",
		"exit while others wait": "setp.ge.u32 %p1, %r1, 32;\n@%p1 bra OUT;\nbar.sync 0;\nst.global.u32 [%rd1], %r1;\nOUT:",
		"two warps arrive":       "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra L;\nbar.arrive 3, 96;\nret;\nL:\nbar.sync 3, 96;\nst.global.u32 [%rd1], %r1;",
		"arrive and sync":        "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra L;\nbar.arrive 3, 64;\nret;\nL:\nbar.sync 3, 64;",
		"undefined then stored":  "ld.shared.u32 %r2, [sh];\nst.shared.u32 [sh], %r1;\nld.shared.u32 %r2, [sh];\nst.global.u32 [%rd1], %r2;",
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(t, body(text))
			a := buffer(d, "array a", make([]uint32, 64))
			b := buffer(d, "array b", make([]uint32, 64))
			if err := d.mem.Free(b); err != nil {
				t.Fatal(err)
			}
			for _, o := range []Options{{Workers: 1}, {Workers: 1, Seed: 9}} {
				threads := uint32(64)
				if name == "two warps arrive" {
					threads = 96
				}
				if err := d.run("k", 5, threads, o, a, b); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// TestMarks: the parts of an allocation that an allocator hands out are arrays
// of their own.
func TestMarks(t *testing.T) {
	d := newDevice(t, body("add.u64 %rd4, %rd1, %rd3;\nld.global.u32 %r2, [%rd4];\nadd.u64 %rd5, %rd2, %rd3;\nst.global.u32 [%rd5], %r2;"))
	seg := buffer(d, "segment", make([]uint32, 1024))
	d.mem.Mark(seg, 4096, abi.MemoryDead, nil)
	mark := func(off, n uint64, s abi.MemoryState, label string) {
		d.mem.Mark(seg+off, n, s, func() string { return label })
	}
	mark(0, 256, abi.MemoryLive, "array p")
	mark(512, 252, abi.MemoryLive, "array q")
	mark(1024, 256, abi.MemoryPoisoned, "array r")
	fault := func(a, b uint64) *Fault {
		t.Helper()
		var f *Fault
		if err := d.run("k", 1, 64, Options{}, a, b); err != nil && !errors.As(err, &f) {
			t.Fatal(err)
		}
		return f
	}
	if f := fault(seg, seg+1024); f != nil {
		t.Error(f)
	}
	if f := fault(seg+1024, seg); f != nil {
		t.Errorf("written since it was poisoned: %v", f)
	}
	mark(1024, 256, abi.MemoryPoisoned, "array r")
	if f := fault(seg+1024, seg); f == nil || f.Kind != Uninitialised {
		t.Errorf("read of poisoned memory: %v", f)
	}
	if f := fault(seg+512, seg); f == nil || f.Kind != OutOfBounds || !strings.Contains(f.Detail, "array q") || f.Thread[0] != 63 {
		t.Errorf("past a sub-block's end: %v", f)
	}
	if f := fault(seg, seg+1024); f != nil {
		t.Error(f)
	}
	mark(0, 256, abi.MemoryDead, "array p")
	if f := fault(seg, seg+1024); f == nil || f.Kind != UseAfterFree || f.Label != "array p" {
		t.Errorf("dead sub-block: %v", f)
	}
	// A part goes out again under another name.
	mark(0, 512, abi.MemoryLive, "array s")
	if f := fault(seg+256, seg+1024); f != nil {
		t.Error(f)
	}
	if b, ok := d.mem.Find(seg + 300); !ok || b.Label != "array s" || b.Addr != seg || b.Bytes != 512 || b.AllocBytes != 4096 {
		t.Errorf("Find: %+v", b)
	}
	if _, err := d.mem.Slice(seg, 600); err == nil {
		t.Error("host access across sub-blocks")
	}
}

// TestMarksModel holds parts that overlap in any manner against a list with an
// entry for each byte: which mark touched it last.
func TestMarksModel(t *testing.T) {
	const bytes, seed = 600, 31
	r := newRand(seed)
	m := NewMemory(1 << 20)
	base, err := m.Alloc(bytes, func() string { return "mark 0" })
	if err != nil {
		t.Fatal(err)
	}
	var last [bytes]int
	states := []abi.MemoryState{abi.MemoryLive}
	for id := 1; id < 2000; id++ {
		at, s := r.IntN(bytes), abi.MemoryState(r.IntN(3))
		n := 1 + r.IntN(bytes/(1+r.IntN(30)))
		m.Mark(base+uint64(at), uint64(n), s, func() string { return fmt.Sprint("mark ", id) })
		states = append(states, s)
		for i := at; i < min(at+n, bytes); i++ {
			last[i] = id
		}
		for i := 0; i < bytes; {
			end := i
			for end < bytes && last[end] == last[i] {
				end++
			}
			want := Block{Addr: base + uint64(i), Bytes: uint64(end - i), AllocAddr: base, AllocBytes: bytes,
				Label: fmt.Sprint("mark ", last[i]), State: states[last[i]]}
			if got, _ := m.Find(base + uint64(i+r.IntN(end-i))); got != want {
				t.Fatalf("seed %d, after %d marks, bytes %d to %d: %+v, want %+v", seed, id, i, end, got, want)
			}
			i = end
		}
	}
}

func TestMemory(t *testing.T) {
	m := NewMemory(1000)
	a, err := m.Alloc(600, func() string { return "first" })
	if err != nil || a%256 != 0 {
		t.Fatal(a, err)
	}
	if _, err := m.Alloc(401, nil); !errors.Is(err, ErrOutOfMemory) {
		t.Error(err)
	}
	b, err := m.Alloc(400, nil)
	if err != nil || m.Used() != 1000 {
		t.Fatal(err, m.Used())
	}
	if m.Initialised(a, 1) {
		t.Error("new memory counts as written")
	}
	m.MarkInitialised(a+3, 70)
	for _, c := range []struct {
		off, n uint64
		want   bool
	}{{3, 70, true}, {2, 1, false}, {2, 10, false}, {72, 1, true}, {72, 2, false}, {60, 10, true}} {
		if got := m.Initialised(a+c.off, c.n); got != c.want {
			t.Errorf("Initialised(%d, %d) = %v", c.off, c.n, got)
		}
	}
	m.CopyInitialised(b+100, a, 100)
	if !m.Initialised(b+103, 70) || m.Initialised(b+102, 1) || m.Initialised(b+173, 1) {
		t.Error("CopyInitialised")
	}
	if err := m.Free(a + 1); err == nil {
		t.Error("free of an inner address")
	}
	if err := m.Free(a); err != nil {
		t.Error(err)
	}
	if err := m.Free(a); err == nil {
		t.Error("double free")
	}
	var e *AccessError
	if _, err := m.Slice(a, 4); !errors.As(err, &e) || e.Kind != UseAfterFree || !strings.Contains(err.Error(), "first") {
		t.Error(err)
	}
	if c, err := m.Alloc(600, nil); err != nil || c == a {
		t.Error("address used twice", err)
	}
}

// TestBitmap holds bitmaps against slices of bool.
func TestBitmap(t *testing.T) {
	const n = 400
	r := newRand(4)
	a, b := newBitmap(n), newBitmap(n)
	ma, mb := make([]bool, n), make([]bool, n)
	for range 3000 {
		off, from := r.IntN(n), r.IntN(n)
		k := r.IntN(n - max(off, from) + 1)
		switch r.IntN(4) {
		case 0:
			a.set(uint64(off), uint64(k))
			for i := range k {
				ma[off+i] = true
			}
		case 1:
			a.clear(uint64(off), uint64(k))
			for i := range k {
				ma[off+i] = false
			}
		case 2:
			b.copyFrom(uint64(off), a, uint64(from), uint64(k))
			copy(mb[off:off+k], ma[from:])
		default:
			a.copyFrom(uint64(off), a, uint64(from), uint64(k))
			copy(ma[off:off+k], ma[from:from+k])
		}
		for i := range n {
			if a.all(uint64(i), 1) != ma[i] || b.all(uint64(i), 1) != mb[i] {
				t.Fatalf("bit %d", i)
			}
		}
		k = min(k, 40)
		want := true
		for i := range k {
			want = want && ma[off+i]
		}
		if a.all(uint64(off), uint64(k)) != want {
			t.Fatalf("all(%d, %d) is not %v", off, k, want)
		}
	}
}

// TestDecodeErrors: what cannot run is refused with its place.
func TestDecodeErrors(t *testing.T) {
	for text, want := range map[string]string{
		".reg .b128 %q;\nmov.b128 %q, {%rd1, %rd2};": "%q: registers of type .b128 are not supported",
	} {
		m, err := ptx.Parse(strings.Replace(header, "8.1", "8.3", 1) + body("\t"+text))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Load(m, NewMemory(1<<20), 90)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	m, err := ptx.Parse(header + body("redux.sync.add.u32 %r2, %r1, 0xffffffff;"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Load(m, NewMemory(1<<20), 75); err == nil || !strings.Contains(err.Error(), "needs compute capability 8.0") {
		t.Error(err)
	}
}

func TestLaunchErrors(t *testing.T) {
	d := newDevice(t, body(""))
	k := d.prog.Kernels["k"]
	good := Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Params: make([]byte, 16)}
	for name, change := range map[string]func(l *Launch){
		"no grid":        func(l *Launch) { l.Grid[0] = 0 },
		"huge grid":      func(l *Launch) { l.Grid[1] = 65536 },
		"large block":    func(l *Launch) { l.Block = [3]uint32{512, 3, 1} },
		"shared":         func(l *Launch) { l.DynamicShared = MaxShared },
		"short params":   func(l *Launch) { l.Params = l.Params[:8] },
		"overflow block": func(l *Launch) { l.Block = [3]uint32{1 << 31, 2, 1} },
	} {
		l := good
		change(&l)
		var e *LaunchError
		if err := Run(k, l, Options{}); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Run(k, good, Options{}); err != nil {
		t.Error(err)
	}
}

// TestUndefinedShuffle: a value from a lane that took no part in a shuffle is
// reported where it is used, with the shuffle.
func TestUndefinedShuffle(t *testing.T) {
	d := newDevice(t, body("setp.lt.u32 %p1, %r1, 16; @!%p1 ret; shfl.sync.down.b32 %r2, %r1, 4, 31, 0xffff; add.u64 %rd3, %rd3, %rd1; st.global.u32 [%rd3], %r2;"))
	a := d.empty("a", 256)
	var f *Fault
	if err := d.run("k", 1, 32, Options{}, a, a); !errors.As(err, &f) || f.Kind != Uninitialised || f.Thread != [3]uint32{12, 0, 0} || !strings.Contains(f.Detail, "shfl.sync.down.b32") || !strings.Contains(f.Detail, "took no part") {
		t.Errorf("got %v", err)
	}
}

// TestFuel: what takes long takes more fuel, by the number of warps too, so that
// all loops without end are found after about the same time.
func TestFuel(t *testing.T) {
	const rounds = 1000
	for _, c := range []struct {
		name, text  string
		threads     uint32
		least, most uint64 // fuel of a round
	}{
		{"addition", "add.u32 %r3, %r3, 1;", 32, 4, 8},
		{"addition, eight warps", "add.u32 %r3, %r3, 1;", 256, 16, 40},
		{"load", "ld.global.u32 %r3, [%rd1];", 32, 8, 20},
		{"atomic operation", "red.global.add.u32 [%rd1], %r3;", 32, 50, 100},
		{"atomic operation, eight warps", "red.global.add.u32 [%rd1], %r3;", 256, 200, 500},
		{"barrier", "bar.sync 0;", 32, 8, 20},
		{"function of one lane", "fns.b32 %r3, %r3, 0, 1;", 32, 12, 40},
		{"product", "mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%fd1, %fd2}, {%fd1}, {%fd2}, {%fd1, %fd2};", 32, 200, 300},
	} {
		d := newDevice(t, body(fmt.Sprintf(".reg .f64 %%fd<4>; mov.u32 %%r2, 0; mov.u32 %%r3, 0; mov.f64 %%fd1, 0d3ff0000000000000; mov.f64 %%fd2, %%fd1;\nL:\n%s\nadd.u32 %%r2, %%r2, 1; setp.lt.u32 %%p1, %%r2, %d; @%%p1 bra L;", c.text, rounds)))
		a := buffer(d, "a", make([]uint32, 64))
		run := func(fuel uint64) error { return d.run("k", 1, c.threads, Options{Fuel: fuel}, a, a) }
		var f *Fault
		if err := run(c.least * rounds); !errors.As(err, &f) || f.Kind != OutOfFuel {
			t.Errorf("%s takes less than %d: %v", c.name, c.least, err)
		}
		if err := run(c.most*rounds + 1000); err != nil {
			t.Errorf("%s takes more than %d: %v", c.name, c.most, err)
		}
	}
}

// TestHostMemory: memory that the host has not got is an error, where the device
// would have it.
func TestHostMemory(t *testing.T) {
	if !hostHas(1 << 20) {
		t.Skip("no memory at all")
	}
	if runtime.GOOS == "linux" && strconv.IntSize == 64 && hostHas(math.MaxInt) {
		t.Error("the host has more than there can be")
	}
	m := NewMemory(math.MaxUint64)
	for _, n := range []uint64{1 << 47, math.MaxInt64, math.MaxUint64} {
		if n == 1<<47 && runtime.GOOS != "linux" {
			continue
		}
		if _, err := m.Alloc(n, nil); !errors.Is(err, ErrOutOfMemory) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}
