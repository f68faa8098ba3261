package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// arrivals are barriers in shared memory.
func arrivals() []*draft {
	b32, b64 := ptx.B32, ptx.B64
	const shared = "\t.shared .align 8 .b64 bar;\n\t.shared .align 2048 .b8 smem[2048];\n"
	list := []*draft{
		{name: "mbarrier, one thread's arrivals", sm: 80, block: 32, lanes: 64, decl: shared, outs: []ptx.Type{b32, b32, ptx.Pred, ptx.Pred, ptx.Pred, ptx.Pred, ptx.Pred, ptx.Pred}, body: `
	setp.ne.u32 %q0, %lane, 0;
	mov.u32 %o0, 0;
	mov.u32 %o1, 0;
	setp.ne.u32 %o2, %lane, %lane;
	setp.ne.u32 %o3, %lane, %lane;
	setp.ne.u32 %o4, %lane, %lane;
	setp.ne.u32 %o5, %lane, %lane;
	setp.ne.u32 %o6, %lane, %lane;
	setp.ne.u32 %o7, %lane, %lane;
	@%q0 bra DONE;
	mbarrier.init.shared.b64 [bar], 3;
	mbarrier.arrive.shared.b64 %y1, [bar];
	mbarrier.pending_count.b64 %o0, %y1;
	mbarrier.test_wait.shared.b64 %o2, [bar], %y1;
	mbarrier.arrive.noComplete.shared.b64 %y2, [bar], 1;
	mbarrier.pending_count.b64 %o1, %y2;
	mbarrier.test_wait.parity.shared.b64 %o3, [bar], 0;
	mbarrier.test_wait.parity.shared.b64 %o4, [bar], 1;
	mbarrier.arrive_drop.shared.b64 %y3, [bar];
	mbarrier.test_wait.shared.b64 %o5, [bar], %y3;
	mbarrier.test_wait.parity.shared.b64 %o6, [bar], 1;
	mbarrier.arrive.shared.b64 %y3, [bar];
	mbarrier.arrive.shared.b64 %y4, [bar];
	mbarrier.test_wait.shared.b64 %o7, [bar], %y4;
	mbarrier.inval.shared.b64 [bar];
DONE:
`},
		{name: "mbarrier, a block that waits three times", sm: 80, decl: shared, ins: types(1, b32), outs: types(2, b32), body: `
	setp.ne.u32 %q0, %t, 0;
	@%q0 bra READY;
	mbarrier.init.shared.b64 [bar], 128;
READY:
	bar.sync 0;
	mov.u32 %x9, smem;
	shl.b32 %x8, %t, 2;
	add.u32 %x9, %x9, %x8;
	xor.b32 %x7, %x9, 0x84;
	mov.u32 %x5, 0;
	mov.u32 %o1, %i0;
ROUND:
	st.shared.u32 [%x9], %o1;
	mbarrier.arrive.shared.b64 %y1, [bar];
WAIT:
	mbarrier.test_wait.shared.b64 %q1, [bar], %y1;
	@!%q1 bra WAIT;
	ld.shared.u32 %x6, [%x7];
	bar.sync 0;
	mad.lo.u32 %o1, %o1, 3, %x6;
	add.u32 %x5, %x5, 1;
	setp.lt.u32 %q2, %x5, 3;
	@%q2 bra ROUND;
	mov.u32 %o0, %x6;
`},
		{name: "mbarrier, cp.async arrives", sm: 80, decl: shared, ins: types(2, b64), outs: types(2, b64), body: `
	setp.ne.u32 %q0, %t, 0;
	@%q0 bra READY;
	mbarrier.init.shared.b64 [bar], 256;
READY:
	bar.sync 0;
	mov.u32 %x9, smem;
	shl.b32 %x8, %t, 4;
	add.u32 %x9, %x9, %x8;
	mul.wide.u32 %y0, %g, 8;
	sub.u64 %y0, %ia, %y0;
	mul.wide.u32 %y1, %g, 16;
	add.u64 %y0, %y0, %y1;
	cp.async.ca.shared.global [%x9], [%y0], 16;
	cp.async.mbarrier.arrive.noinc.shared.b64 [bar];
	mbarrier.arrive.shared.b64 %y1, [bar];
WAIT:
	mbarrier.test_wait.shared.b64 %q1, [bar], %y1;
	@!%q1 bra WAIT;
	xor.b32 %x7, %x9, 0x210;
	ld.shared.v2.b64 {%o0, %o1}, [%x7];
`},
	}
	return list
}

// loadBulk waits for a copy of the block's input into shared memory.
const loadBulk = `
	setp.ne.u32 %%q0, %%t, 0;
	mul.lo.u32 %%x1, %%n, 16;
	mul.lo.u32 %%x2, %%x1, %%x20;
	cvt.u64.u32 %%y2, %%x2;
	mul.wide.u32 %%y0, %%g, 8;
	sub.u64 %%y0, %%ia, %%y0;
	add.u64 %%y0, %%y0, %%y2;
	@%%q0 bra READY;
	mbarrier.init.shared.b64 [bar], 1;
	fence.mbarrier_init.release.cluster;
	fence.proxy.async;
	mbarrier.arrive.expect_tx.shared.b64 %%y1, [bar], %%x1;
	mov.u32 %%x3, smem;
	mov.u32 %%x4, bar;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%%x3], [%%y0], %%x1, [%%x4];
READY:
	bar.sync 0;
WAIT:
	mbarrier.try_wait.parity.shared.b64 %%q1, [bar], 0;
	@!%%q1 bra WAIT;
	mov.u32 %%x9, smem;
	shl.b32 %%x8, %%t, 4;
	add.u32 %%x9, %%x9, %%x8;
`

// bulks are copies of many bytes by one thread, and their reductions.
func bulks() []*draft {
	b64 := ptx.B64
	const shared = "\t.shared .align 8 .b64 bar;\n\t.shared .align 128 .b8 smem[2048];\n"
	load := "\tmov.u32 %x20, %ctaid.x;\n" + strings.ReplaceAll(loadBulk, "%%", "%")
	list := []*draft{{name: "cp.async.bulk, to shared memory", sm: 90, decl: shared, ins: types(2, b64), outs: types(2, b64), body: load + "\tld.shared.v2.b64 {%o0, %o1}, [%x9];\n"}}
	own := *list[0]
	own.name, own.body = "cp.async.bulk, awaited at a barrier of shared::cta", strings.ReplaceAll(own.body, "try_wait.parity.shared.b64", "try_wait.parity.shared::cta.b64")
	list = append(list, &own)
	// Each block's 2048 bytes of scratch memory are first the operands turned.
	const back = `
	add.u64 %%y3, %%scratch, %%y2;
	mul.wide.u32 %%y4, %%t, 16;
	add.u64 %%y4, %%y3, %%y4;
	st.global.v2.b64 [%%y4], {%%i1, %%i0};
	fence.proxy.async;
	bar.sync 0;
	@%%q0 bra PAST;
	%s [%%y3], [%%x3], %%x1;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group 0;
PAST:
	bar.sync 0;
	fence.proxy.async;
	ld.global.v2.b64 {%%o0, %%o1}, [%%y4];
`
	names := []string{"cp.async.bulk.global.shared::cta.bulk_group"}
	for _, op := range strings.Fields("and.b32 or.b64 xor.b32 add.u32 add.s32 add.u64 inc.u32 dec.u32 min.u32 min.s32 max.s64 max.u64 add.f32 add.f64 add.noftz.f16 add.noftz.bf16 min.f16 max.bf16") {
		names = append(names, "cp.reduce.async.bulk.global.shared::cta.bulk_group."+op)
	}
	for _, name := range names {
		d := &draft{name: name, sm: 90, decl: shared, ins: types(2, b64), outs: types(2, b64), body: load + fmt.Sprintf(back, name)}
		if t, ok := ptx.TypeByName(name[strings.LastIndexByte(name, '.')+1:]); ok {
			if _, float := layoutOf(t); float {
				d.fill = func(r *rand.Rand, d *draft) [][]uint64 { return packedFill(r, d, t) }
			}
		}
		list = append(list, d)
	}
	return list
}

// packedFill fills registers with as many values of a type as they hold, none of
// them a NaN.
func packedFill(r *rand.Rand, d *draft, t ptx.Type) [][]uint64 {
	in := make([][]uint64, len(d.ins))
	for j := range in {
		in[j] = make([]uint64, d.lanes)
		for i := range in[j] {
			for at := 0; at < 64; at += t.Bits() {
				v := random(t, r) & (1<<t.Bits() - 1)
				for isNaN(t, v) {
					v = random(t, r) & (1<<t.Bits() - 1)
				}
				in[j][i] |= v << at
			}
		}
	}
	return in
}

// clusters are blocks that see each other's shared memory.
func clusters() []*draft {
	b32 := ptx.B32
	const shared = "\t.shared .align 4 .b8 smem[512];\n"
	const address = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 2;\n\tadd.u32 %x9, %x9, %x8;\n\tmov.u32 %x1, %cluster_ctarank;\n\tadd.u32 %x2, %x1, 1;\n\tand.b32 %x2, %x2, 3;\n"
	const meet = "\tbarrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;\n"
	const four = "\n.explicitcluster\n.reqnctapercluster 4, 1, 1"
	list := []*draft{
		{name: "cluster, a neighbour's shared memory", ins: types(1, b32), outs: types(3, b32), body: address + "\tst.shared.u32 [%x9], %i0;\n" + meet + `
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	ld.shared::cluster.u32 %o0, [%x5];
` + meet + `
	add.u32 %x6, %o0, %t;
	st.shared::cluster.u32 [%x5], %x6;
` + meet + `
	ld.shared.u32 %o1, [%x9];
	cvt.u64.u32 %y1, %x9;
	cvta.shared.u64 %y1, %y1;
	mapa.u64 %y2, %y1, %x2;
	ld.u32 %o2, [%y2];
` + meet},
		{name: "cluster, atomics on one block's shared memory", ins: types(1, b32), outs: types(1, b32), body: address + `
	setp.eq.u32 %q0, %t, 0;
	@%q0 st.shared.u32 [smem], %t;
` + meet + `
	mov.u32 %x4, smem;
	mapa.shared::cluster.u32 %x5, %x4, 2;
	red.relaxed.cluster.shared::cluster.add.u32 [%x5], %i0;
` + meet + `
	ld.shared::cluster.u32 %o0, [%x5];
` + meet},
		{name: "cluster, ranks", outs: types(8, b32), body: address + `
	mov.u32 %o0, %x1;
	mov.u32 %o1, %cluster_nctarank;
	mov.u32 %o2, %clusterid.x;
	mov.u32 %o3, %nclusterid.x;
	mov.u32 %o4, %cluster_ctaid.x;
	mov.u32 %o5, %cluster_nctaid.x;
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	getctarank.shared::cluster.u32 %o6, %x5;
	getctarank.shared::cluster.u32 %o7, %x9;
`},
	}
	for _, d := range list {
		d.sm, d.lanes, d.block, d.decl, d.entry = 90, 1024, 128, shared, four
	}
	return list
}

// groups are products of four warps. A and B lie in shared memory without a
// swizzle, in core matrices of 8 rows of 16 bytes, two to a row of A or a column
// of B; or A lies in registers.
func groups() (list []*draft) {
	rows := []form{
		{names: "wgmma.mma_async.sync.aligned.m64n8k16|m64n32k16.f32|f16.f16.f16"},
		{names: "wgmma.mma_async.sync.aligned.m64n8k16|m64n32k16.f32.bf16.bf16"},
		{names: "wgmma.mma_async.sync.aligned.m64n8k8|m64n32k8.f32.tf32.tf32"},
		{names: "wgmma.mma_async.sync.aligned.m64n8k32.f32|f16.e4m3|e5m2.e4m3|e5m2"},
		{names: "wgmma.mma_async.sync.aligned.m64n8k32|m64n32k32.s32.s8|u8.s8|u8"},
		{names: "wgmma.mma_async.sync.aligned.m64n8k32.satfinite.s32.s8|u8.s8|u8"},
	}
	for i := range rows {
		for _, name := range rows[i].expand() {
			list = append(list, group(name, false, 1), group(name, true, 1))
		}
	}
	return append(list, group("wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16", false, 4), group("wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32", false, 4))
}

// group makes the program of a wgmma, or of several in a row on the same
// operands: A's 16 bytes of each thread, or A's four registers, then 16 bytes
// of B of each thread, then C.
func group(name string, registers bool, times int) *draft {
	forms, _ := ptx.Forms(name)
	x := forms[0]
	b64 := ptx.B64
	d := &draft{name: name, sm: 90, ptx: x.MinPTX.Major*10 + x.MinPTX.Minor, arch: true, block: 128, lanes: 128 * kinds}
	n := x.Args[0].Vec
	d.decl = "\t.shared .align 1024 .b8 smem[4096];\n"
	_, columns, _ := extent(x.Mods[3])
	a := 2
	d.ins = types(2, b64)
	if registers {
		d.name += ", A in registers"
		a, d.ins = 4, types(4, ptx.B32)
	}
	if times > 1 {
		d.name += fmt.Sprintf(", %d in a row", times)
	}
	d.ins = append(append(d.ins, b64, b64), types(n, x.Args[0].Type)...)
	d.outs = types(n, x.Args[0].Type)
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	w("mov.u32 %%x9, smem;")
	w("shl.b32 %%x8, %%t, 4;\n\tadd.u32 %%x7, %%x9, %%x8;")
	if !registers {
		w("st.shared.v2.b64 [%%x7], {%%i0, %%i1};")
	}
	w("setp.lt.u32 %%q0, %%t, %d;", 2*columns)
	w("@%%q0 st.shared.v2.b64 [%%x7+2048], {%%i%d, %%i%d};", a, a+1)
	for j := range n {
		w("mov.b32 %%o%d, %%i%d;", j, a+2+j)
	}
	w("fence.proxy.async;\n\tbar.sync 0;")
	// The descriptor: address, distance of core matrices in a row (128 bytes), and of rows of them (256), all in units of 16 bytes.
	w("and.b32 %%x6, %%x9, 0x3ffff;\n\tshr.u32 %%x6, %%x6, 4;\n\tcvt.u64.u32 %%y1, %%x6;\n\tor.b64 %%y1, %%y1, 0x0000001000080000;\n\tadd.u64 %%y2, %%y1, 128;")
	w("setp.eq.u32 %%q1, %%t, %%t;")
	w("wgmma.fence.sync.aligned;")
	from, tail := "%y1", ""
	if registers {
		from = vector("%i", 0, 4)
	}
	of := x.Mods[len(x.Mods)-1]
	switch {
	case x.Mods[len(x.Mods)-3] == "s32":
	case of == "f16" || of == "bf16":
		if tail = ", 1, 1, 0, 0"; registers {
			tail = ", 1, 1, 0"
		}
	default:
		tail = ", 1, 1"
	}
	for range times {
		w("%s %s, %s, %%y2, %%q1%s;", name, vector("%o", 0, n), from, tail)
	}
	w("wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;")
	d.body = s.String()
	types := x.Mods[len(x.Mods)-3:]
	d.fill = func(r *rand.Rand, d *draft) [][]uint64 {
		in := make([][]uint64, len(d.ins))
		for j := range in {
			in[j] = make([]uint64, d.lanes)
			operand := 1
			switch {
			case j >= a+2:
				operand = 3
			case j >= a:
				operand = 2
			}
			t := types[operand%3] // D's type is C's
			for i := range in[j] {
				in[j][i] = fragment(r, t, operand, i/128%kinds, d.ins[j].Bits())
			}
		}
		return in
	}
	return d
}

// extent reads "m64n8k16".
func extent(s string) (m, n, k int) {
	for _, c := range s {
		switch {
		case c >= '0' && c <= '9':
			k = 10*k + int(c-'0')
		case c == 'n':
			m, k = k, 0
		case c == 'k':
			n, k = k, 0
		}
	}
	return m, n, k
}
