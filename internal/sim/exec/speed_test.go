package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"
)

const saxpy = `
.visible .entry saxpy(.param .u32 n, .param .f32 a, .param .u64 x, .param .u64 y)
{
	.reg .pred %p<2>; .reg .b32 %r<6>; .reg .f32 %f<5>; .reg .b64 %rd<8>;
	ld.param.u32 %r1, [n];
	ld.param.f32 %f1, [a];
	ld.param.u64 %rd1, [x];
	ld.param.u64 %rd2, [y];
	mov.u32 %r2, %ctaid.x;
	mov.u32 %r3, %ntid.x;
	mov.u32 %r4, %tid.x;
	mad.lo.u32 %r5, %r2, %r3, %r4;
	setp.ge.u32 %p1, %r5, %r1;
	@%p1 bra DONE;
	cvta.to.global.u64 %rd3, %rd1;
	cvta.to.global.u64 %rd4, %rd2;
	mul.wide.u32 %rd5, %r5, 4;
	add.u64 %rd6, %rd3, %rd5;
	add.u64 %rd7, %rd4, %rd5;
	ld.global.f32 %f2, [%rd6];
	ld.global.f32 %f3, [%rd7];
	fma.rn.f32 %f4, %f1, %f2, %f3;
	st.global.f32 [%rd7], %f4;
DONE:
	ret;
}`

// product is C = A·B for square matrices whose size is a multiple of 64: 256
// threads compute a 64×64 tile, each a 4×4 part, 16 deep at a time.
func product() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(".visible .entry product(.param .u32 n, .param .u64 pa, .param .u64 pb, .param .u64 pc)")
	p("{")
	p(".reg .pred %%p<2>; .reg .b32 %%r<40>; .reg .f32 %%f<60>; .reg .b64 %%rd<40>;")
	p(".shared .align 16 .f32 sa[1024]; .shared .align 16 .f32 sb[1024];") // sa[k][row], sb[k][col]
	p("ld.param.u32 %%r1, [n]; ld.param.u64 %%rd1, [pa]; ld.param.u64 %%rd2, [pb]; ld.param.u64 %%rd3, [pc];")
	p("mov.u32 %%r2, %%tid.x; mov.u32 %%r3, %%ctaid.x; mov.u32 %%r4, %%ctaid.y;")
	p("and.b32 %%r5, %%r2, 15; shr.u32 %%r6, %%r2, 4;")                       // tx, ty
	p("shr.u32 %%r7, %%r2, 2; and.b32 %%r8, %%r2, 3; shl.b32 %%r8, %%r8, 2;") // a: row, k of its four
	p("shl.b32 %%r9, %%r4, 6; add.u32 %%r10, %%r9, %%r7; mad.lo.u32 %%r11, %%r10, %%r1, %%r8; mul.wide.u32 %%rd4, %%r11, 4; add.u64 %%rd5, %%rd1, %%rd4;")
	p("shl.b32 %%r12, %%r3, 6; shl.b32 %%r13, %%r5, 2; add.u32 %%r14, %%r12, %%r13; mad.lo.u32 %%r15, %%r6, %%r1, %%r14; mul.wide.u32 %%rd6, %%r15, 4; add.u64 %%rd7, %%rd2, %%rd6;")
	p("mov.u32 %%r16, sa; mov.u32 %%r17, sb;")
	p("shl.b32 %%r18, %%r8, 8; shl.b32 %%r19, %%r7, 2; add.u32 %%r20, %%r18, %%r19; add.u32 %%r20, %%r20, %%r16;") // &sa[k][row]
	p("shl.b32 %%r21, %%r2, 4; add.u32 %%r21, %%r21, %%r17;")                                                      // &sb[ty][4tx]
	p("shl.b32 %%r22, %%r6, 4; add.u32 %%r22, %%r22, %%r16; shl.b32 %%r23, %%r5, 4; add.u32 %%r23, %%r23, %%r17;")
	p("mul.wide.u32 %%rd8, %%r1, 64;") // 16 rows of B
	for i := range 16 {
		p("mov.f32 %%f%d, 0f00000000;", 20+i)
	}
	p("mov.u32 %%r24, 0;")
	p("LOOP:")
	p("ld.global.v4.f32 {%%f1, %%f2, %%f3, %%f4}, [%%rd5]; ld.global.v4.f32 {%%f5, %%f6, %%f7, %%f8}, [%%rd7];")
	p("bar.sync 0;")
	for i := range 4 {
		p("st.shared.f32 [%%r20+%d], %%f%d;", 256*i, 1+i)
	}
	p("st.shared.v4.f32 [%%r21], {%%f5, %%f6, %%f7, %%f8};")
	p("bar.sync 0;")
	for k := range 16 {
		p("ld.shared.v4.f32 {%%f40, %%f41, %%f42, %%f43}, [%%r22+%d]; ld.shared.v4.f32 {%%f44, %%f45, %%f46, %%f47}, [%%r23+%d];", 256*k, 256*k)
		for i := range 4 {
			for j := range 4 {
				p("fma.rn.f32 %%f%d, %%f%d, %%f%d, %%f%d;", 20+4*i+j, 40+i, 44+j, 20+4*i+j)
			}
		}
	}
	p("add.u64 %%rd5, %%rd5, 64; add.u64 %%rd7, %%rd7, %%rd8;")
	p("add.u32 %%r24, %%r24, 16; setp.lt.u32 %%p1, %%r24, %%r1; @%%p1 bra LOOP;")
	p("shl.b32 %%r25, %%r6, 2; add.u32 %%r25, %%r25, %%r9; mad.lo.u32 %%r26, %%r25, %%r1, %%r14; mul.wide.u32 %%rd9, %%r26, 4; add.u64 %%rd10, %%rd3, %%rd9;")
	p("mul.wide.u32 %%rd11, %%r1, 4;")
	for i := range 4 {
		p("st.global.v4.f32 [%%rd10], {%%f%d, %%f%d, %%f%d, %%f%d}; add.u64 %%rd10, %%rd10, %%rd11;", 20+4*i, 21+4*i, 22+4*i, 23+4*i)
	}
	p("ret;\n}")
	return b.String()
}

func random32(n int, seed uint64) []float32 {
	r := rand.New(rand.NewPCG(seed, 1))
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(r.NormFloat64())
	}
	return v
}

func TestSaxpy(t *testing.T) {
	d := newDevice(t, saxpy)
	for _, n := range []int{1, 31, 32, 33, 255, 256, 257, 1000, 100003} {
		x, y := random32(n, 1), random32(n, 2)
		px, py := buffer(d, "x", x), buffer(d, "y", y)
		d.must("saxpy", uint32(n+255)/256, 256, uint32(n), float32(1.5), px, py)
		got := read[float32](d, py, n)
		for i := range y {
			if want := float32(math.FMA(1.5, float64(x[i]), float64(y[i]))); got[i] != want {
				t.Fatalf("n %d: element %d is %v, want %v", n, i, got[i], want)
			}
		}
	}
}

func TestProduct(t *testing.T) {
	const n = 192
	d := newDevice(t, product())
	a, b := random32(n*n, 3), random32(n*n, 4)
	pa, pb, pc := buffer(d, "a", a), buffer(d, "b", b), d.empty("c", n*n*4)
	k := d.prog.Kernels["product"]
	if err := Run(k, Launch{Grid: [3]uint32{n / 64, n / 64, 1}, Block: [3]uint32{256, 1, 1}, Params: k.pack(uint32(n), pa, pb, pc)}, Options{}); err != nil {
		t.Fatal(err)
	}
	got := read[float32](d, pc, n*n)
	for i := range n {
		for j := range n {
			var s float32
			for q := range n {
				s = fma32(a[i*n+q], b[q*n+j], s)
			}
			if got[i*n+j] != s {
				t.Fatalf("(%d,%d) is %v, want %v", i, j, got[i*n+j], s)
			}
		}
	}
}

// median runs f ten times, after once to warm up.
func median(f func()) time.Duration {
	f()
	var ts []time.Duration
	for range 10 {
		start := time.Now()
		f()
		ts = append(ts, time.Since(start))
	}
	slices.Sort(ts)
	return (ts[4] + ts[5]) / 2
}

// BenchmarkRatio measures the simulated device against plain Go and gonum, in
// the same run, on two cores, with every check on.
func BenchmarkRatio(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	b.Run("saxpy", func(b *testing.B) {
		const n = 10_000_000
		d := newDevice(b, saxpy)
		x, y := random32(n, 1), random32(n, 2)
		px, py := buffer(d, "x", x), buffer(d, "y", y)
		plain := median(func() {
			for i, v := range x {
				y[i] += 1.5 * v
			}
		})
		sim := median(func() { d.must("saxpy", (n+255)/256, 256, uint32(n), float32(1.5), px, py) })
		report(b, sim, plain, "x-go-loop", n*13)
		withoutVectors(func() {
			d.prog = newProgram(b, d.mem, saxpy)
			sim = median(func() { d.must("saxpy", (n+255)/256, 256, uint32(n), float32(1.5), px, py) })
		})
		b.ReportMetric(float64(sim)/float64(plain), "x-go-loop-without-avx2")
	})
	b.Run("product", func(b *testing.B) {
		const n = 512
		d := newDevice(b, product())
		x, y := random32(n*n, 1), random32(n*n, 2)
		px, py, pz := buffer(d, "a", x), buffer(d, "b", y), d.empty("c", n*n*4)
		z := make([]float32, n*n)
		m := func(v []float32) blas32.General { return blas32.General{Rows: n, Cols: n, Stride: n, Data: v} }
		plain := median(func() { blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, m(x), m(y), 0, m(z)) })
		run := func(k *Kernel) time.Duration {
			l := Launch{Grid: [3]uint32{n / 64, n / 64, 1}, Block: [3]uint32{256, 1, 1}, Params: k.pack(uint32(n), px, py, pz)}
			return median(func() {
				if err := Run(k, l, Options{}); err != nil {
					b.Fatal(err)
				}
			})
		}
		report(b, run(d.prog.Kernels["product"]), plain, "x-gonum", n*n*n*18/16)
		withoutVectors(func() {
			sim := run(newProgram(b, d.mem, product()).Kernels["product"])
			b.ReportMetric(float64(sim)/float64(plain), "x-gonum-without-avx2")
		})
	})
}

func report(b *testing.B, sim, plain time.Duration, unit string, lanes float64) {
	for range b.N {
	}
	b.ReportMetric(float64(sim)/float64(plain), unit)
	b.ReportMetric(float64(sim)/1e6, "sim-ms")
	b.ReportMetric(float64(plain)/1e6, "plain-ms")
	b.ReportMetric(2*float64(sim)/lanes, "core-ns/lane-inst")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkLaunch is what a launch costs before the kernel does anything.
func BenchmarkLaunch(b *testing.B) {
	for _, n := range []uint32{256, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := newDevice(b, saxpy)
			px, py := buffer(d, "x", random32(int(n), 1)), buffer(d, "y", random32(int(n), 2))
			k := d.prog.Kernels["saxpy"]
			p := k.pack(n, float32(1.5), px, py)
			b.ReportAllocs()
			for b.Loop() {
				if err := Run(k, Launch{Grid: [3]uint32{n / 256, 1, 1}, Block: [3]uint32{256, 1, 1}, Params: p}, Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestWithoutVectors runs whole kernels on the loops in Go alone.
func TestWithoutVectors(t *testing.T) {
	withoutVectors(func() {
		t.Run("saxpy", TestSaxpy)
		t.Run("product", TestProduct)
		t.Run("forms", TestMemoryForms)
		t.Run("faults", TestFaults)
	})
}

// TestDeterministic: one worker and a seed give the same order each time, and
// different seeds different orders of blocks.
func TestDeterministic(t *testing.T) {
	d := newDevice(t, body("mov.u32 %r2, %ctaid.x; setp.eq.u32 %p1, %r1, 0; @!%p1 ret; atom.global.add.u32 %r3, [%rd1], 1; mul.wide.u32 %rd4, %r3, 4; add.u64 %rd4, %rd2, %rd4; st.global.u32 [%rd4], %r2;"))
	const blocks = 60
	order := func(seed uint64) string {
		a, b := buffer(d, "count", make([]uint32, 1)), buffer(d, "order", make([]uint32, blocks))
		if err := d.run("k", blocks, 64, Options{Workers: 1, Seed: seed}, a, b); err != nil {
			t.Fatal(err)
		}
		got := slices.Clone(read[uint32](d, b, blocks))
		s := fmt.Sprint(got)
		slices.Sort(got)
		for i, v := range got {
			if v != uint32(i) {
				t.Fatalf("seed %d: not every block ran once: %v", seed, got)
			}
		}
		return s
	}
	var first [3]string
	for seed := range uint64(3) {
		first[seed] = order(seed)
		if again := order(seed); again != first[seed] {
			t.Errorf("seed %d: %s, then %s", seed, first[seed], again)
		}
	}
	if first[0] == first[1] || first[1] == first[2] {
		t.Error("the seed changes nothing")
	}
}
