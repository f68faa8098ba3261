package ptx

import (
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
		{"constant too large", func(b *Builder) { b.Op("add.u32", b.Reg(U32), 1<<32) }, "does not fit .u32"},
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
