package corpus

import (
	"fmt"
	"math/rand/v2"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// few is values of which lanes share some.
func few(n int) pool {
	return pool{random: func(r *rand.Rand) uint64 { return r.Uint64N(uint64(n)) * 0x100000001 }}
}

// halves are the ways to part a warp, of which each part runs an instruction
// by itself.
var halves = []struct{ name, split string }{
	{"all lanes", ""},
	{"two halves", "\tand.b32 %x9, %lane, 16;\n"},
	{"odd and even", "\tand.b32 %x9, %lane, 1;\n"},
}

// apart runs body, which has its member mask in place of %%s, in both parts of
// the warp.
func apart(part int, body string) string {
	low, high := "0x0000ffff", "0xffff0000"
	switch part {
	case 0:
		return fmt.Sprintf(body, "0xffffffff")
	case 2:
		low, high = "0x55555555", "0xaaaaaaaa"
	}
	return halves[part].split + "\tsetp.ne.u32 %q9, %x9, 0;\n\t@%q9 bra HIGH;\n" + fmt.Sprintf(body, low) + "\tbra MEET;\nHIGH:\n" + fmt.Sprintf(body, high) + "MEET:\n"
}

// warps are the instructions by which the lanes of a warp talk.
func warps() (list []*draft) {
	b32, b64 := ptx.B32, ptx.B64
	add := func(name string, d *draft) {
		d.name = name
		list = append(list, d)
	}
	for _, mode := range []string{"up", "down", "bfly", "idx"} {
		for _, c := range []string{"0", "0x1f", "0x181f", "0x1000", "0x1807", "0x1c05"} {
			add(fmt.Sprintf("shfl.sync.%s.b32, clamp and segments %s", mode, c), &draft{ins: types(2, b32), outs: []ptx.Type{b32, ptx.Pred}, pools: []pool{any0, {random: func(r *rand.Rand) uint64 { return r.Uint64N(34) }}},
				body: fmt.Sprintf("\tshfl.sync.%s.b32 %%o0|%%o1, %%i0, %%i1, %s, 0xffffffff;\n", mode, c)})
		}
		add(fmt.Sprintf("shfl.sync.%s.b32, any", mode), &draft{ins: types(3, b32), outs: []ptx.Type{b32, ptx.Pred}, lanes: 512,
			body: fmt.Sprintf("\tshfl.sync.%s.b32 %%o0|%%o1, %%i0, %%i1, %%i2, 0xffffffff;\n", mode)})
		add(fmt.Sprintf("shfl.sync.%s.b32, without a predicate", mode), &draft{ins: types(1, b32), outs: types(1, b32),
			body: fmt.Sprintf("\tshfl.sync.%s.b32 %%o0, %%i0, 3, 0x1f, 0xffffffff;\n", mode)})
	}
	for part, h := range halves {
		for _, mode := range []string{"all", "any", "uni"} {
			add("vote.sync."+mode+".pred, "+h.name, &draft{ins: types(2, ptx.Pred), outs: types(3, ptx.Pred), body: apart(part, fmt.Sprintf(
				"\tvote.sync.%s.pred %%%%o0, %%%%i0, %%[1]s;\n\tvote.sync.%s.pred %%%%o1, !%%%%i0, %%[1]s;\n\tor.pred %%%%q0, %%%%i0, %%%%i1;\n\tsetp.lt.or.u32 %%%%q0, %%%%g, 64, %%%%q0;\n\tvote.sync.%s.pred %%%%o2, %%%%q0, %%[1]s;\n", mode, mode, mode))})
		}
		add("vote.sync.ballot.b32, "+h.name, &draft{ins: types(1, ptx.Pred), outs: types(2, b32), body: apart(part, "\tvote.sync.ballot.b32 %%o0, %%i0, %[1]s;\n\tvote.sync.ballot.b32 %%o1, !%%i0, %[1]s;\n")})
		for _, t := range []ptx.Type{b32, b64} {
			add("match.any.sync."+t.String()+", "+h.name, &draft{ins: types(1, t), outs: types(1, b32), pools: []pool{few(5)}, body: apart(part, "\tmatch.any.sync."+t.String()+" %%o0, %%i0, %s;\n")})
			add("match.all.sync."+t.String()+", "+h.name, &draft{ins: types(1, t), outs: []ptx.Type{b32, ptx.Pred}, fill: nearlyEqual, lanes: 512, body: apart(part, "\tmatch.all.sync."+t.String()+" %%o0|%%o1, %%i0, %s;\n")})
		}
		for _, op := range []string{"add.u32", "add.s32", "min.u32", "min.s32", "max.u32", "max.s32", "and.b32", "or.b32", "xor.b32"} {
			add("redux.sync."+op+", "+h.name, &draft{sm: 80, ins: types(1, b32), outs: types(1, b32), body: apart(part, "\tredux.sync."+op+" %%o0, %%i0, %s;\n")})
		}
		add("activemask.b32, "+h.name, &draft{outs: types(1, b32), body: apart(part, "\tbar.warp.sync %s;\n\tactivemask.b32 %%o0;\n")})
		add("elect.sync, "+h.name, &draft{sm: 90, outs: []ptx.Type{b32, ptx.Pred}, body: apart(part, "\telect.sync %%o0|%%o1, %s;\n")})
	}
	return list
}

// nearlyEqual gives most warps one value, and one lane of every second warp
// another.
func nearlyEqual(r *rand.Rand, d *draft) [][]uint64 {
	in := make([]uint64, d.lanes)
	for w := range d.lanes / 32 {
		v := r.Uint64()
		for i := range 32 {
			in[32*w+i] = v
		}
		if w%2 == 1 {
			in[32*w+r.IntN(32)] ^= 1 << r.IntN(64)
		}
	}
	return [][]uint64{in}
}

// barriers are what the warps of a block wait at. Each warp writes to shared
// memory, and reads what another wrote.
func barriers() (list []*draft) {
	b32 := ptx.B32
	const shared = "\t.shared .align 4 .b8 smem[1024];\n"
	const address = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 2;\n\tadd.u32 %x9, %x9, %x8;\n"
	add := func(name string, ins, outs []ptx.Type, body string) {
		list = append(list, &draft{name: name, ins: ins, outs: outs, block: 256, lanes: 512, decl: shared, body: address + body})
	}
	one := types(1, b32)
	for _, b := range []string{"bar.sync 0", "bar.sync 15", "bar.sync 3, 256", "barrier.sync 1", "barrier.sync.aligned 2, 256", "bar.cta.sync 4"} {
		add(b, one, types(3, b32), fmt.Sprintf(`
	st.shared.u32 [%%x9], %%i0;
	%[1]s;
	xor.b32 %%x7, %%x9, 0x84;
	ld.shared.u32 %%o0, [%%x7];
	%[1]s;
	add.u32 %%x6, %%o0, %%t;
	st.shared.u32 [%%x9], %%x6;
	%[1]s;
	xor.b32 %%x7, %%x9, 0x3fc;
	ld.shared.u32 %%o1, [%%x7];
	%[1]s;
	ld.shared.u32 %%o2, [smem+128];
`, b))
	}
	add("bar.sync with a register, groups of 64 threads", one, one, `
	shr.u32 %x5, %t, 6;
	add.u32 %x5, %x5, 1;
	st.shared.u32 [%x9], %i0;
	bar.sync %x5, 64;
	xor.b32 %x7, %x9, 0x80;
	ld.shared.u32 %o0, [%x7];
`)
	add("bar.arrive, bar.sync", one, types(2, b32), `
	mov.u32 %o1, 0;
	setp.lt.u32 %q0, %t, 128;
	@%q0 bra PRODUCER;
	bar.sync 1, 256;
	xor.b32 %x7, %x9, 0x200;
	ld.shared.u32 %o0, [%x7];
	add.u32 %x6, %o0, 1;
	st.shared.u32 [%x9], %x6;
	bar.arrive 2, 256;
	bra DONE;
PRODUCER:
	st.shared.u32 [%x9], %i0;
	mov.u32 %o0, 0;
	bar.arrive 1, 256;
	bar.sync 2, 256;
	xor.b32 %x7, %x9, 0x200;
	ld.shared.u32 %o1, [%x7];
DONE:
	add.u32 %o0, %o0, 1;
`)
	for _, b := range []string{"bar.red.popc.u32 %o0, 0, %i0", "bar.red.popc.u32 %o0, 1, 256, !%i0", "barrier.red.popc.u32 %o0, 3, %i0", "barrier.red.popc.aligned.u32 %o0, 3, %i0"} {
		add(b, types(1, ptx.Pred), one, "\t"+b+";\n")
	}
	for _, op := range []string{"and", "or"} {
		for _, limit := range []int{0, 1, 300, 511, 512} {
			add(fmt.Sprintf("bar.red.%s.pred, true for %d threads of 512", op, limit), nil, types(2, ptx.Pred), fmt.Sprintf(
				"\tsetp.lt.u32 %%q0, %%g, %d;\n\tbar.red.%s.pred %%o0, 2, %%q0;\n\tbar.red.%s.pred %%o1, 2, 256, !%%q0;\n", limit, op, op))
		}
	}
	add("barrier.sync in branches", one, one, `
	st.shared.u32 [%x9], %i0;
	and.b32 %x5, %lane, 1;
	setp.eq.u32 %q0, %x5, 0;
	@%q0 bra EVEN;
	barrier.sync 1;
	bra MEET;
EVEN:
	barrier.sync 1;
MEET:
	xor.b32 %x7, %x9, 0x84;
	ld.shared.u32 %o0, [%x7];
`)
	for _, f := range []string{"membar.cta", "membar.gl", "membar.sys", "fence.sc.cta", "fence.acq_rel.gpu", "fence.sc.sys"} {
		add(f, one, one, fmt.Sprintf("\tst.shared.u32 [%%x9], %%i0;\n\t%s;\n\tbar.sync 0;\n\txor.b32 %%x7, %%x9, 0x84;\n\tld.shared.u32 %%o0, [%%x7];\n", f))
	}
	return list
}
