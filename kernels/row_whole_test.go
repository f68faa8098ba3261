package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Rows that fill their block have kernels without code for missing elements, which
// give the bits of those with it; how operands lie decides, and changes no bits.
func TestWholeRows(t *testing.T) {
	on, r := newRunner(t), newRand(t)
	operations := append(slices.Clone(rowOperations), rowOperation{name: "variance", statistic: true, plan: func(p *Plan, t Type, out, in Layout, _, _ *Layout) error {
		return Variance(p, t, 1, out, in, 2)
	}})
	for _, typ := range []Type{Float32, Float64, Float16, BFloat16} {
		for _, o := range operations {
			n := []int{4096, 8192, longestRow(typ)}[r.IntN(3)]
			t.Run(fmt.Sprintf("%s/%v/%d", o.name, typ, n), func(t *testing.T) {
				xs, scale := make([]uint64, 2*n), []float64{1, 30, 300}[r.IntN(3)]
				for i := range xs {
					xs[i] = bitsOf(typ, 3+scale*r.NormFloat64())
				}
				for range r.IntN(3) {
					xs[n+r.IntN(n)] = bitsOf(typ, []float64{math.Inf(-1), math.Inf(1), math.NaN(), math.Copysign(0, -1)}[r.IntN(4)])
				}
				weight, bias := filled(r, typ, n), filled(r, typ, n)
				var want []uint64
				for _, c := range wholeForms(&o, n) {
					var p Plan
					w, b := o.scales(&c.scale)
					if err := o.plan(&p, typ, c.out, c.in, w, b); err != nil {
						t.Fatal(err)
					}
					operands := [][]byte{nil, spread(typ, &c.in, xs), spread(typ, &c.scale, weight), spread(typ, &c.scale, bias)}
					run := func(p *Plan) []uint64 {
						operands[0] = spread(typ, &c.out, make([]uint64, c.out.Len()))
						on.run(t, p, typ, operands...)
						all := unpackElements(typ, operands[0])
						var ys []uint64
						c.out.each(func(at int) { ys = append(ys, all[at]) })
						return ys
					}
					got, l := run(&p), &p.Launches[0]
					if len(p.Launches) > 1 || strings.Contains(l.Key, " whole") != c.whole {
						t.Errorf("%s: %d launches, the first is of %s", c.name, len(p.Launches), l.Key)
					}
					if want == nil {
						l.Key = strings.Replace(l.Key, " whole", "", 1)
						want = run(&p)
					}
					for i, x := range got {
						if !same(typ, x, want[i], false, 0) {
							t.Fatalf("%s: element %d is %s, want %s", c.name, i, show(typ, x), show(typ, want[i]))
						}
					}
				}
			})
		}
	}
}

// A wholeForm is a way in which two rows of a power of two elements may lie.
type wholeForm struct {
	name           string
	whole          bool
	out, in, scale Layout
}

// wholeForms begins with what is contiguous.
func wholeForms(o *rowOperation, n int) []wholeForm {
	plain := wholeForm{whole: true, out: RowMajor(2, n), in: RowMajor(2, n), scale: RowMajor(n)}
	if o.statistic {
		plain.out = RowMajor(2)
	}
	form := func(name string, whole bool, change func(f *wholeForm)) wholeForm {
		f := plain
		f.name, f.whole = name, whole
		change(&f)
		return f
	}
	forms := []wholeForm{
		form("contiguous", true, func(*wholeForm) {}),
		form("two elements on", true, func(f *wholeForm) { f.in.Offset = 2 }),
		form("one element on", false, func(f *wholeForm) { f.in.Offset = 1 }),
		form("strided", false, func(f *wholeForm) { f.in.Strides = [MaxRank]int{2 * n, 2} }),
		form("backwards", false, func(f *wholeForm) { f.in.Strides[1], f.in.Offset = -1, n-1 }),
		form("uneven rows", false, func(f *wholeForm) { f.in.Strides[0] = n + 1 }),
	}
	if !o.statistic {
		forms = append(forms, form("strided result", false, func(f *wholeForm) { f.out.Strides = [MaxRank]int{2 * n, 2} }),
			form("result one element on", false, func(f *wholeForm) { f.out.Offset = 1 }))
	}
	if o.weight {
		forms = append(forms, form("strided weight", false, func(f *wholeForm) { f.scale.Strides[0] = 2 }),
			form("weight one element on", false, func(f *wholeForm) { f.scale.Offset = 1 }))
	}
	return forms
}

// spread packs values as the layout has them, in row-major order.
func spread(typ Type, l *Layout, xs []uint64) []byte {
	_, last := l.Span()
	all, i := make([]uint64, last+1), 0
	l.each(func(at int) { all[at], i = xs[i], i+1 })
	return packElements(typ, all)
}

// Quotients are rounded where that is hardest: as near as can be to the middle
// between two numbers.
func TestDivider(t *testing.T) {
	m := ptx.NewModule("sm_75")
	b := m.Entry("divide")
	var at [3]*ptx.Reg
	for i := range at {
		at[i] = b.Ld(b.Param(fmt.Sprintf("p%d", i), ptx.U64))
	}
	thread := b.Op("mad.lo.u32", b.Special("%ctaid.x"), 128, b.Special("%tid.x"))
	for i := range at {
		at[i] = b.Op("mad.wide.u32", thread, 4, at[i])
	}
	f := newFunction(b, Float32)
	b.Do("st.global.f32", b.At(at[0], 0), f.divider(b.Op("ld.global.f32", b.At(at[2], 0)))(b.Op("ld.global.f32", b.At(at[1], 0))))
	b.Do("ret")

	r, on := newRand(t), newRunner(t)
	const n = 1 << 16
	xs, ys := make([]float32, n), make([]float32, n)
	for i := range xs {
		x, y := hardQuotient(r)
		xs[i], ys[i] = float32(math.Ldexp(float64(x), -24-r.IntN(77))), float32(math.Ldexp(float64(y), r.IntN(18)-23))
	}
	var p Plan
	l := p.launch("divide", [3]uint32{n / 128, 1, 1}, [3]uint32{128, 1, 1}, 0)
	for i := range at {
		l.pointer(i, 0)
	}
	for _, r := range []*planRunner{on, on.twin} {
		if r == nil {
			continue
		}
		loaded, err := r.ctx.LoadModule([]byte(m.String()), driver.LoadConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if r.kernels["divide"], err = loaded.Kernel("divide"); err != nil {
			t.Fatal(err)
		}
	}
	got := make([]float32, n)
	runPlan(t, &p, got, xs, ys)
	for i, x := range xs {
		if want := x / ys[i]; got[i] != want {
			t.Fatalf("%v/%v is %v, want %v", x, ys[i], got[i], want)
		}
	}
}

// hardQuotient returns numbers of up to 24 bits whose quotient, scaled, is one of 25
// bits, more or less 1/(y·2²⁵).
func hardQuotient(r *rand.Rand) (x, y int64) {
	for {
		y = 1<<23 + 2*r.Int64N(1<<22) + 1
		inverse := y // modulo 8; each step doubles the bits
		for range 4 {
			inverse *= 2 - y*inverse
		}
		off := 1 - 2*r.Int64N(2)
		middle := inverse * off & (1<<25 - 1)
		if x = (y*middle - off) >> 25; middle >= 1<<24 {
			return x, y
		}
	}
}
