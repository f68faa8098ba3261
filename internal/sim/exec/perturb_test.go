package exec

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestPerturb: by default approximations are correctly rounded; perturbed they
// lie within what the PTX ISA documents, are mostly not what they were, and are
// the same for the same seed.
func TestPerturb(t *testing.T) {
	ulp := func(f *format, v float64) float64 {
		_, e := math.Frexp(v)
		return math.Ldexp(1, max(e-1, 1-f.bias)-f.mant)
	}
	rel := func(b float64) func(f *format, x, v float64) float64 {
		return func(_ *format, _, v float64) float64 { return b * math.Abs(v) }
	}
	abs := func(b float64) func(f *format, x, v float64) float64 {
		return func(*format, float64, float64) float64 { return b }
	}
	ulps := func(n float64) func(f *format, x, v float64) float64 {
		return func(f *format, _, v float64) float64 { return n * ulp(f, v) }
	}
	for _, c := range []struct {
		form   string
		of     func(a, b float64) float64
		most   func(f *format, x, v float64) float64 // of the (last) operand and the result
		lo, hi float64                               // binary exponents of operands
		signed bool
	}{
		{"rcp.approx.f32", func(_, b float64) float64 { return 1 / b }, ulps(1), -120, 120, true},
		{"rcp.approx.ftz.f32", func(_, b float64) float64 { return 1 / b }, ulps(1), -120, 120, true},
		{"sqrt.approx.f32", func(_, b float64) float64 { return math.Sqrt(b) }, rel(0x1p-23), -140, 127, false},
		{"rsqrt.approx.f32", func(_, b float64) float64 { return 1 / math.Sqrt(b) }, rel(math.Exp2(-22.9)), -126, 127, false},
		{"ex2.approx.f32", func(_, b float64) float64 { return math.Exp2(b) }, ulps(2), -20, 6, true},
		{"lg2.approx.f32", func(_, b float64) float64 { return math.Log2(b) }, func(f *format, x, v float64) float64 {
			if x > 0.5 && x < 2 {
				return 0x1p-22
			}
			return 0x1p-22 * math.Abs(v)
		}, -126, 127, false},
		{"sin.approx.f32", func(_, b float64) float64 { return math.Sin(b) }, abs(math.Exp2(-20.5)), -20, 2, true},
		{"cos.approx.f32", func(_, b float64) float64 { return math.Cos(b) }, abs(math.Exp2(-20.5)), -20, 2, true},
		{"tanh.approx.f32", func(_, b float64) float64 { return math.Tanh(b) }, rel(0x1p-11), -20, 6, true},
		{"tanh.approx.f16", func(_, b float64) float64 { return math.Tanh(b) }, abs(math.Exp2(-10.987)), -8, 3, true},
		{"tanh.approx.bf16", func(_, b float64) float64 { return math.Tanh(b) }, abs(0x1p-8), -8, 3, true},
		{"ex2.approx.f16", func(_, b float64) float64 { return math.Exp2(b) }, rel(math.Exp2(-9.9)), -8, 3, true},
		{"ex2.approx.ftz.bf16", func(_, b float64) float64 { return math.Exp2(b) }, rel(0x1p-7), -8, 6, true},
		{"div.approx.f32", func(a, b float64) float64 { return a / b }, ulps(2), -40, 40, true},
		{"div.full.f32", func(a, b float64) float64 { return a / b }, ulps(2), -40, 40, true},
	} {
		t.Run(c.form, func(t *testing.T) {
			mods := strings.Split(c.form, ".")
			typ, _ := ptx.TypeByName(mods[len(mods)-1])
			f := formatOf(typ)
			call := func(p *perturbation, a, b uint64) float64 {
				switch g := approximate(mods[0], mods[1:], typ, p).(type) {
				case func(uint64) uint64:
					return f.value(g(b))
				case func(a, b uint64) uint64:
					return f.value(g(a, b))
				default:
					t.Fatalf("%T", g)
					return 0
				}
			}
			r := newRand(7)
			value := func() uint64 {
				v := math.Exp2(c.lo + (c.hi-c.lo)*r.Float64())
				if c.signed && r.IntN(2) == 0 {
					v = -v
				}
				return f.round(v, nearest)
			}
			const n = 4000
			one, two := newPerturbation(1, mods[0], typ), newPerturbation(2, mods[0], typ)
			var moved, above, differ int
			for range n {
				a, b := value(), value()
				exact := c.of(f.value(a), f.value(b))
				plain, p, q := call(nil, a, b), call(one, a, b), call(two, a, b)
				if want := f.value(f.round(exact, nearest)); plain != want && !strings.Contains(c.form, "ftz") {
					t.Fatalf("%v, %v: %v, rounded correctly %v", f.value(a), f.value(b), plain, want)
				}
				if most := c.most(f, f.value(b), exact) * (1 + 1e-6); math.Abs(p-exact) > most || math.Abs(q-exact) > most {
					t.Fatalf("%v, %v: %v and %v, exact %v, at most %v away", f.value(a), f.value(b), p, q, exact, most)
				}
				if p != call(one, a, b) {
					t.Fatal("not the same twice")
				}
				if p != plain {
					moved++
				}
				if p > plain {
					above++
				}
				if p != q {
					differ++
				}
			}
			if moved < n/3 || above < n/10 || above > moved-n/10 || differ < n/10 {
				t.Errorf("of %d results %d moved, %d up; seeds differ in %d", n, moved, above, differ)
			}
			for _, x := range []float64{0, math.Copysign(0, -1), math.Inf(1), math.Inf(-1), math.NaN()} {
				b := f.round(x, nearest)
				if plain, p := call(nil, b, b), call(one, b, b); plain != p && (plain == plain || p == p) {
					t.Errorf("of %v: %v, perturbed %v", x, plain, p)
				}
			}
		})
	}
}

// TestPerturb64 is TestPerturb for float64.
func TestPerturb64(t *testing.T) {
	r := newRand(8)
	for _, c := range []struct {
		form string
		of   func(float64) float64
		most float64
	}{
		{"rsqrt.approx.f64", func(a float64) float64 { return 1 / math.Sqrt(a) }, math.Exp2(-22.9)},
		{"rsqrt.approx.ftz.f64", func(a float64) float64 { return 1 / math.Sqrt(a) }, 0x1p-19},
		{"rcp.approx.ftz.f64", func(a float64) float64 { return 1 / a }, 0x1p-19},
	} {
		mods := strings.Split(c.form, ".")
		plain := approximate(mods[0], mods[1:], ptx.F64, nil).(func(uint64) uint64)
		bad := approximate(mods[0], mods[1:], ptx.F64, newPerturbation(3, mods[0], ptx.F64)).(func(uint64) uint64)
		for range 4000 {
			a := math.Exp2(200*r.Float64()-100) * (1 + r.Float64())
			if strings.Contains(c.form, "ftz") {
				a = math.Float64frombits(math.Float64bits(a) &^ math.MaxUint32)
			}
			want := c.of(a)
			x, y := math.Float64frombits(plain(math.Float64bits(a))), math.Float64frombits(bad(math.Float64bits(a)))
			if math.Abs(y-want) > c.most*want || x == y {
				t.Fatalf("%s of %v: %v, perturbed %v, exact %v", c.form, a, x, y, want)
			}
		}
	}
}

// TestPerturbedProgram: a program is perturbed as it is loaded, and no other.
func TestPerturbedProgram(t *testing.T) {
	src := header + body("cvt.rn.f32.u32 %f1, %r1; add.rn.f32 %f1, %f1, 0f3FC00000; lg2.approx.f32 %f2, %f1; tanh.approx.f32 %f3, %f2; add.rn.f32 %f2, %f2, %f3; add.u64 %rd3, %rd3, %rd1; st.global.f32 [%rd3], %f2;")
	m, err := ptx.Parse(src)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]uint64{}
	for _, seed := range []uint64{0, 1, 1, 2} {
		d := &device{t: t, mem: NewMemory(1 << 20)}
		if d.prog, err = LoadPerturbed(m, d.mem, 90, seed); err != nil {
			t.Fatal(err)
		}
		out := d.empty("out", 4*256)
		d.must("k", 1, 256, out, out)
		results[fmt.Sprint(read[float32](d, out, 256))] = seed
	}
	if len(results) != 3 {
		t.Errorf("%d different results for three seeds", len(results))
	}
}
