package ptx

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// saxpy builds y = a·x + y with everything the builder keeps at the head.
func saxpy() *Module {
	m := NewModule("sm_75")
	m.Comments = []string{"y[i] += a * x[i]"}
	k := m.Entry("saxpy")
	n, a := k.Param("n", U32), k.Param("a", F32)
	x, y := k.Param("x", U64), k.Param("y", U64)
	i := k.Op("mad.lo.u32", k.Special("%ctaid.x"), k.Special("%ntid.x"), k.Special("%tid.x"))
	out := k.NewLabel("out")
	k.BraIf(k.Op("setp.ge.u32", i, k.Ld(n)), out)
	off := k.Op("mul.wide.u32", i, 4)
	px, py := k.Op("add.u64", k.Ld(x), off), k.Op("add.u64", k.Ld(y), off)
	k.Comment("one element")
	v := k.Op("fma.rn.f32", k.Ld(a), k.Op("ld.global.nc.f32", k.At(px, 0)), k.Op("ld.global.f32", k.At(py, 0)))
	k.Do("st.global.f32", k.At(py, 0), k.Op("add.rn.f32", v, 0.5))
	k.Bind(out)
	k.Do("ret")
	return m
}

const saxpyText = `// y[i] += a * x[i]
.version 6.3
.target sm_75
.address_size 64

.visible .entry saxpy(
	.param .u32 n,
	.param .f32 a,
	.param .u64 x,
	.param .u64 y
)
{
	.reg .pred %p<1>;
	.reg .u32 %r<5>;
	.reg .u64 %rd<5>;
	.reg .f32 %f<5>;
	mov.u32 %r0, %ctaid.x;
	mov.u32 %r1, %ntid.x;
	mov.u32 %r2, %tid.x;
	ld.param.u32 %r4, [n];
	ld.param.u64 %rd1, [x];
	ld.param.u64 %rd3, [y];
	ld.param.f32 %f0, [a];
	mad.lo.u32 %r3, %r0, %r1, %r2;
	setp.ge.u32 %p0, %r3, %r4;
	@%p0 bra $out_0;
	mul.wide.u32 %rd0, %r3, 4;
	add.u64 %rd2, %rd1, %rd0;
	add.u64 %rd4, %rd3, %rd0;
	// one element
	ld.global.nc.f32 %f1, [%rd2];
	ld.global.f32 %f2, [%rd4];
	fma.rn.f32 %f3, %f0, %f1, %f2;
	add.rn.f32 %f4, %f3, 0f3F000000;
	st.global.f32 [%rd4], %f4;
$out_0:
	ret;
}
`

func TestBuilderText(t *testing.T) {
	if got := saxpy().String(); got != saxpyText {
		t.Errorf("got:\n%s\nwant:\n%s", got, saxpyText)
	}
}

// TestBuilderPanics checks that mistakes panic at once, with a message that
// names the instruction and what was expected.
func TestBuilderPanics(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(b *Builder)
		want string
	}{
		{"unknown instruction", func(b *Builder) { b.Op("frob.f32", 1) }, `unknown instruction "frob"`},
		{"unknown modifier", func(b *Builder) { b.Op("add.rx.f32", b.Reg(F32), b.Reg(F32)) }, "after add: got .rx, expected"},
		{"missing modifier", func(b *Builder) { b.Op("fma.f32", b.Reg(F32), b.Reg(F32), b.Reg(F32)) }, "after fma: got .f32, expected .rm or .rn or .rp or .rz"},
		{"too few operands", func(b *Builder) { b.Op("add.f32", b.Reg(F32)) }, "add.f32 takes 3 operands, got 2"},
		{"wrong register", func(b *Builder) { b.Op("add.f32", b.Reg(F32), b.Reg(U32)) }, "operand 3 (%r0): register is .u32, expected a register or constant of type .f32"},
		{"integer for float", func(b *Builder) { b.Op("add.f32", b.Reg(F32), 1) }, "got an integer constant"},
		{"inexact constant", func(b *Builder) { b.Op("add.f32", b.Reg(F32), 0.1) }, "not exact in float32"},
		{"constant too large", func(b *Builder) { b.Op("add.u32", b.Reg(U32), int64(1<<32)) }, "does not fit .u32"},
		{"no destination", func(b *Builder) { b.Op("st.global.f32", b.At(b.Reg(U64), 0), b.Reg(F32)) }, "use Do"},
		{"target too low", func(b *Builder) { b.Op("max.NaN.f32", b.Reg(F32), b.Reg(F32)) }, "needs sm_80 or higher, the module's target is sm_75"},
		{"float address", func(b *Builder) { b.Op("ld.global.f32", b.At(b.Reg(F32), 0)) }, "an address is in an integer register"},
		{"guard", func(b *Builder) { b.DoIf(b.Reg(U32), "ret") }, "not a predicate"},
		{"special", func(b *Builder) { b.Special("%tid.w") }, "unknown special register"},
		{"space", func(b *Builder) { b.Op("ld.global.f32", b.At(b.Shared("s", F32, 4, 4), 0)) }, "s is in .shared, the instruction accesses .global"},
		{"nil register", func(b *Builder) { b.Op("neg.f32", (*Reg)(nil)) }, "is no operand"},
		{"label twice", func(b *Builder) { l := b.NewLabel("l"); b.Bind(l); b.Bind(l) }, "bound twice"},
		{"label unbound", func(b *Builder) { b.Bra(b.NewLabel("l")); _ = b.Module().String() }, "not bound"},
		{"vector", func(b *Builder) { b.Do("ld.global.v4.f32", b.Vec(b.Regs(F32, 3)), b.At(b.Reg(U64), 0)) }, "expected a vector of 4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				got, _ := recover().(string)
				if !strings.Contains(got, c.want) {
					t.Errorf("panic %q, want one with %q", got, c.want)
				}
			}()
			c.f(NewModule("sm_75").Entry("k"))
		})
	}
}

// kitchen builds an entry with every kind of thing the builder makes.
func kitchen(target string) *Module {
	m := NewModule(target)
	table := m.Const("table", F32, 4, []byte{0, 0, 0x80, 0x3f, 0, 0, 0, 0x40})
	m.Global("counter", U32, 4, make([]byte, 4))
	k := m.Entry("kitchen")
	k.MaxThreads(128)
	k.MinBlocks(2)
	out, n := k.Param("out", U64), k.Param("n", U32)
	k.ParamBytes("raw", 64, 128)
	tile := k.Shared("tile", F32, 16, 256)
	dyn := k.DynamicShared("dyn", 16)
	spill := k.Local("spill", U32, 4, 8)

	i := k.Reg(U32)
	k.Do("mov.u32", i, 0)
	loop, done := k.NewLabel("loop"), k.NewLabel("done")
	k.Bind(loop)
	k.BraUniIf(k.Op("setp.ge.u32", i, k.Ld(n)), done)
	k.Do("st.local.u32", k.At(k.Addr(spill), 4), i)
	k.Do("add.u32", i, i, 1)
	k.BraUni(loop)
	k.Bind(done)
	lane := k.Special("%laneid")
	p, q := k.Reg(Pred), k.Reg(Pred)
	sum := k.Reg(F32)
	k.Do("mov.f32", sum, float32(1)/3)
	other := k.Reg(F32)
	k.Do("shfl.sync.bfly.b32", k.Pair(other, p), sum, 16, 31, uint32(0xffffffff))
	k.DoIf(p, "add.rn.f32", sum, sum, other)
	k.Do("setp.lt.and.f32", k.Pair(q, nil), sum, 2.0, k.Not(p))
	v := k.Regs(F32, 4)
	k.Do("ld.shared.v4.f32", k.Vec(v), k.At(k.Addr(tile), 16))
	k.Do("ld.shared.v2.f32", k.Vec(v[0], nil), k.At(k.Addr(dyn), 8))
	k.Do("bar.sync", 0)
	k.DoUnless(q, "st.global.v2.f32", k.At(k.Ld(out), -8), k.Vec(v[1], k.Op("ld.const.f32", k.At(table, 4))))
	k.Do("red.shared.add.u32", k.At(tile, 4), lane)
	k.Do("atom.global.add.u32", k.Reg(U32), k.At(k.Ld(out), 0), uint32(1))
	wide := k.Op("mov.b64", k.Vec(lane, i))
	k.Do("mov.b64", k.Vec(k.Reg(U32), nil), wide)
	k.Do("st.global.f64", k.At(k.Ld(out), 8), 0.1)
	k.Op("cvt.rzi.s64.f32", sum)
	k.Op("mov.u32", k.SpecialOp("%clock"))
	k.Do("ret")
	return m
}

func TestBuilderRoundTrip(t *testing.T) {
	for _, target := range []string{"sm_75", "sm_80", "sm_90", "sm_90a"} {
		text := kitchen(target).String()
		m, err := Parse(text)
		if err != nil {
			t.Fatalf("%v in:\n%s", err, text)
		}
		if got := m.String(); got != text {
			t.Errorf("built:\n%s\nparsed:\n%s", text, got)
		}
	}
}

// TestBuilderAssembles checks whole modules with ptxas, which has the last word
// on declarations.
func TestBuilderAssembles(t *testing.T) {
	needPtxas(t)
	nvcc, err := Parse(nvccText)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Module{saxpy(), kitchen("sm_75"), kitchen("sm_80"), kitchen("sm_90a"), nvcc} {
		text := m.String()
		file := filepath.Join(t.TempDir(), "k.ptx")
		if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("ptxas", "-arch="+m.Target, file, "-o", os.DevNull).CombinedOutput(); err != nil {
			t.Errorf("%s\nof:\n%s", out, text)
		}
	}
}

// TestBuilderHead checks that what the builder keeps is emitted where all later
// uses see it, and that labels before it stay where they were.
func TestBuilderHead(t *testing.T) {
	m := NewModule("sm_75")
	k := m.Entry("k")
	n := k.Param("n", U32)
	l := k.NewLabel("l")
	k.Bind(l)
	skip := k.NewLabel("skip")
	p := k.Op("setp.eq.u32", k.Special("%tid.x"), 0)
	k.BraIf(p, skip)
	first := k.Ld(n)
	k.Bind(skip)
	tid := k.Special("%tid.x")
	if k.Ld(n) != first || k.Special("%tid.x") != tid {
		t.Error("kept registers are not reused")
	}
	k.BraIf(k.Op("setp.eq.u32", first, 7), l)
	body := k.AST().Body
	if l.At != 2 || body[0].Op != "mov" || body[1].String() != "ld.param.u32 %r1, [n];" || skip.At != 4 {
		t.Errorf("labels at %d and %d in:\n%s", l.At, skip.At, m)
	}
}
