package corpus

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// types repeats a type.
func types(n int, t ptx.Type) []ptx.Type {
	list := make([]ptx.Type, n)
	for i := range list {
		list[i] = t
	}
	return list
}

// known says whether PTX has an instruction.
func known(mnemonic string) bool {
	_, err := ptx.Forms(mnemonic)
	return err == nil
}

// typed is the type of a name such as "u32".
func typed(name string) ptx.Type {
	t, ok := ptx.TypeByName(name)
	if !ok {
		panic("no type " + name)
	}
	return t
}

// moves are what is between registers of different widths, and special
// registers.
func moves() (list []*draft) {
	b16, b32, b64 := ptx.B16, ptx.B32, ptx.B64
	list = append(list,
		&draft{name: "mov.b32, pack", ins: types(2, b16), outs: []ptx.Type{b32}, body: "\tmov.b32 %o0, {%i0, %i1};\n"},
		&draft{name: "mov.b32, unpack", ins: []ptx.Type{b32}, outs: types(2, b16), body: "\tmov.b32 {%o0, %o1}, %i0;\n"},
		&draft{name: "mov.b64, pack of 2", ins: types(2, b32), outs: []ptx.Type{b64}, body: "\tmov.b64 %o0, {%i0, %i1};\n"},
		&draft{name: "mov.b64, unpack to 2", ins: []ptx.Type{b64}, outs: types(2, b32), body: "\tmov.b64 {%o0, %o1}, %i0;\n"},
		&draft{name: "mov.b64, pack of 4", ins: types(4, b16), outs: []ptx.Type{b64}, body: "\tmov.b64 %o0, {%i0, %i1, %i2, %i3};\n"},
		&draft{name: "mov.b64, unpack to 4", ins: []ptx.Type{b64}, outs: types(4, b16), body: "\tmov.b64 {%o0, %o1, %o2, %o3}, %i0;\n"},
		&draft{name: "mov.b32, through floats", ins: []ptx.Type{b32}, outs: []ptx.Type{b32}, body: "\t.reg .f32 %f;\n\tmov.b32 %f, %i0;\n\tmov.f32 %f, %f;\n\tmov.b32 %o0, %f;\n"},
		&draft{name: "mov.pred", ins: []ptx.Type{ptx.Pred}, outs: types(2, ptx.Pred), body: "\tmov.pred %o0, %i0;\n\tmov.pred %o1, !%i0;\n"},
		&draft{name: "lop3.or.b32", sm: 70, ptx: 82, ins: []ptx.Type{b32, b32, b32, ptx.Pred}, outs: []ptx.Type{b32, ptx.Pred}, body: "\tlop3.or.b32 %o0|%o1, %i0, %i1, %i2, 0x80, %i3;\n"},
		&draft{name: "lop3.and.b32", sm: 70, ptx: 82, ins: []ptx.Type{b32, b32, b32, ptx.Pred}, outs: []ptx.Type{b32, ptx.Pred}, body: "\tlop3.and.b32 %o0|%o1, %i0, %i1, %i2, 0x80, !%i3;\n"},
	)
	for _, t := range strings.Fields(memTypes) {
		for _, n := range []int{2, 4} {
			name := fmt.Sprintf("mov.v%d.%s", n, t)
			if !known(name) {
				continue
			}
			// Around by one, and by one more in place.
			around := func(prefix string) string {
				return strings.TrimSuffix(vector(prefix, 1, n-1), "}") + ", " + prefix + "0}"
			}
			list = append(list, &draft{name: name, ins: types(n, typed(t)), outs: types(n, typed(t)), body: fmt.Sprintf("\t%[1]s %[2]s, %[3]s;\n\t%[1]s %[2]s, %[4]s;\n", name, regs("%o", n), around("%i"), around("%o"))})
		}
	}
	for _, group := range []struct {
		name string
		sm   int
		regs string
	}{
		{"thread and block", 0, "tid.x tid.y tid.z ntid.x ntid.y ntid.z ctaid.x ctaid.y ctaid.z nctaid.x nctaid.y nctaid.z"},
		{"lane", 0, "laneid lanemask_eq lanemask_le lanemask_lt lanemask_ge lanemask_gt dynamic_smem_size"},
		{"cluster", 90, "clusterid.x clusterid.y nclusterid.x nclusterid.z cluster_ctaid.x cluster_nctaid.x cluster_ctarank cluster_nctarank"},
	} {
		d := &draft{name: "mov.u32, special registers of the " + group.name, sm: group.sm}
		for j, r := range strings.Fields(group.regs) {
			d.outs = append(d.outs, b32)
			d.body += fmt.Sprintf("\tmov.u32 %%o%d, %%%s;\n", j, r)
		}
		list = append(list, d)
	}
	return list
}

// carries are chains of instructions that pass the carry flag on.
func carries() (list []*draft) {
	for _, t := range []string{"u32", "s32", "u64", "s64"} {
		y := typed(t)
		for _, op := range []string{"add", "sub"} {
			list = append(list, &draft{name: fmt.Sprintf("%s.cc.%s, %sc.cc, %sc", op, t, op, op), ins: types(6, y), outs: types(3, y), lanes: 512,
				body: fmt.Sprintf("\t%s.cc.%s %%o0, %%i0, %%i3;\n\t%sc.cc.%s %%o1, %%i1, %%i4;\n\t%sc.%s %%o2, %%i2, %%i5;\n", op, t, op, t, op, t)})
		}
		list = append(list,
			&draft{name: "sub.cc." + t + ", addc, add.cc, subc", ins: types(2, y), outs: types(2, y), lanes: 512,
				body: fmt.Sprintf("\tsub.cc.%s %%o0, %%i0, %%i1;\n\taddc.%s %%o0, %%o0, 0;\n\tadd.cc.%s %%o1, %%i0, %%i1;\n\tsubc.%s %%o1, %%o1, 0;\n", t, t, t, t)},
			&draft{name: "mad.lo.cc." + t + ", madc.hi", ins: types(4, y), outs: types(2, y), lanes: 512,
				body: fmt.Sprintf("\tmad.lo.cc.%s %%o0, %%i0, %%i1, %%i2;\n\tmadc.hi.%s %%o1, %%i0, %%i1, %%i3;\n", t, t)},
			&draft{name: "mad.hi.cc." + t + ", madc.lo.cc, addc", ins: types(4, y), outs: types(3, y), lanes: 512,
				body: fmt.Sprintf("\tmad.hi.cc.%s %%o0, %%i0, %%i1, %%i2;\n\tmadc.lo.cc.%s %%o1, %%i1, %%i2, %%i3;\n\taddc.%s %%o2, 0, 0;\n", t, t, t)},
			&draft{name: "madc.hi.cc." + t, ins: types(4, y), outs: types(3, y), lanes: 512,
				body: fmt.Sprintf("\tadd.cc.%s %%o0, %%i0, %%i1;\n\tmadc.hi.cc.%s %%o1, %%i1, %%i2, %%i3;\n\taddc.%s %%o2, 0, 0;\n", t, t, t)})
	}
	return list
}

// flows are threads that part and meet again.
func flows() (list []*draft) {
	b32 := ptx.B32
	one := []ptx.Type{b32}
	return append(list,
		&draft{name: "flow, nested branches", ins: types(2, b32), outs: one, body: `
	mov.u32 %o0, 1;
	and.b32 %x0, %i0, 1;
	setp.eq.u32 %q0, %x0, 0;
	and.b32 %x1, %i1, 2;
	setp.eq.u32 %q1, %x1, 0;
	@%q0 bra A;
	add.u32 %o0, %o0, 10;
	@%q1 bra B;
	mul.lo.u32 %o0, %o0, %i0;
	bra.uni C;
B:
	xor.b32 %o0, %o0, %i1;
C:
	add.u32 %o0, %o0, 100;
	bra E;
A:
	@!%q1 bra D;
	sub.u32 %o0, %o0, %i1;
D:
	shl.b32 %o0, %o0, 3;
E:
	add.u32 %o0, %o0, %lane;
`},
		&draft{name: "flow, loops of different lengths", ins: one, outs: types(2, b32), body: `
	and.b32 %x0, %i0, 63;
	mov.u32 %o0, 0;
	mov.u32 %o1, 1;
	setp.eq.u32 %q0, %x0, 0;
	@%q0 bra DONE;
LOOP:
	mad.lo.u32 %o1, %o1, 1664525, 1013904223;
	add.u32 %o0, %o0, 1;
	setp.lt.u32 %q1, %o0, %x0;
	@%q1 bra LOOP;
DONE:
	add.u32 %o1, %o1, %o0;
`},
		&draft{name: "flow, nested loops with a break", ins: one, outs: types(2, b32), body: `
	and.b32 %x0, %i0, 7;
	shr.u32 %x1, %i0, 28;
	mov.u32 %o0, 0;
	mov.u32 %o1, 0;
	mov.u32 %x2, 0;
OUTER:
	mov.u32 %x3, 0;
INNER:
	add.u32 %o0, %o0, 1;
	add.u32 %x4, %x2, %x3;
	setp.gt.u32 %q0, %x4, %x1;
	@%q0 bra BREAK;
	mad.lo.u32 %o1, %o1, 31, %x4;
	add.u32 %x3, %x3, 1;
	setp.le.u32 %q1, %x3, %x0;
	@%q1 bra INNER;
BREAK:
	add.u32 %x2, %x2, 1;
	setp.lt.u32 %q2, %x2, 5;
	@%q2 bra OUTER;
`},
		&draft{name: "flow, early exit", ins: one, outs: one, body: `
	mov.u32 %o0, 7;
	and.b32 %x0, %i0, 3;
	setp.eq.u32 %q0, %x0, 0;
	@%q0 exit;
	setp.eq.u32 %q1, %x0, 1;
	@%q1 ret;
	add.u32 %o0, %o0, %x0;
`},
		&draft{name: "flow, a guard on every instruction", ins: types(2, b32), outs: types(2, b32), body: `
	mov.u32 %o0, 0;
	mov.u32 %o1, 5;
	setp.lt.s32 %q0|%q1, %i0, %i1;
	@%q0 add.u32 %o0, %i0, 1;
	@!%q0 mul.lo.u32 %o0, %i1, 3;
	@%q1 sub.u32 %o1, %o1, %i0;
	@!%q1 mad.hi.u32 %o1, %i0, %i1, %o1;
`},
		&draft{name: "flow, warp barriers in branches", ins: one, outs: types(2, b32), decl: "\t.shared .align 4 .b8 smem[1024];\n", body: `
	mov.u32 %x9, smem;
	shl.b32 %x8, %t, 2;
	add.u32 %x9, %x9, %x8;
	st.shared.u32 [%x9], %i0;
	bar.warp.sync 0xffffffff;
	setp.lt.u32 %q0, %lane, 16;
	@%q0 bra LOW;
	xor.b32 %x7, %x9, 4;
	bar.warp.sync 0xffff0000;
	ld.shared.u32 %o0, [%x7];
	bar.warp.sync 0xffff0000;
	add.u32 %x6, %o0, 3;
	st.shared.u32 [%x9], %x6;
	bra MEET;
LOW:
	xor.b32 %x7, %x9, 8;
	bar.warp.sync 0x0000ffff;
	ld.shared.u32 %o0, [%x7];
	bar.warp.sync 0x0000ffff;
	add.u32 %x6, %o0, 5;
	st.shared.u32 [%x9], %x6;
MEET:
	bar.warp.sync 0xffffffff;
	xor.b32 %x7, %x9, 64;
	ld.shared.u32 %o1, [%x7];
`},
		&draft{name: "flow, a shuffle in each branch", ins: one, outs: one, body: `
	and.b32 %x0, %lane, 1;
	setp.eq.u32 %q0, %x0, 0;
	@%q0 bra EVEN;
	shfl.sync.bfly.b32 %o0, %i0, 2, 0x1f, 0xaaaaaaaa;
	bra MEET;
EVEN:
	shfl.sync.bfly.b32 %o0, %i0, 4, 0x1f, 0x55555555;
MEET:
	add.u32 %o0, %o0, 1;
`},
	)
}
