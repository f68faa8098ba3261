package corpus

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// What the blocks of a cluster do with each other's shared memory, and the rest
// of compute capability 9.0: four blocks of 32 threads, of which each has the
// address of its word in %x9, its rank in %x1 and the next block's rank in %x2.

const clusterAddress = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 3;\n\tadd.u32 %x9, %x9, %x8;\n\tmov.u32 %x1, %cluster_ctarank;\n\tadd.u32 %x2, %x1, 1;\n\tand.b32 %x2, %x2, 3;\n"

const clusterMeet = "\tbarrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;\n"

// awaitRemote is a wait for a barrier on which other blocks and copies arrive;
// %x27 is the number of its phase.
const awaitRemote = `
WAIT:
	mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %q1, [bar], %x27;
	@!%q1 bra WAIT;
`

func inCluster(name string, ins, outs []ptx.Type, body string) *draft {
	return &draft{name: name, sm: 90, ptx: 81, block: 32, lanes: 256, ins: ins, outs: outs, entry: "\n.explicitcluster\n.reqnctapercluster 4, 1, 1",
		decl: "\t.shared .align 8 .b64 bar;\n\t.shared .align 128 .b8 smem[1024];\n", body: clusterAddress + body}
}

// remotes are atomics, stores, copies and arrivals between the blocks of a
// cluster.
func remotes() (list []*draft) {
	b32, b64 := ptx.B32, ptx.B64
	const barrier = "\tsetp.ne.u32 %q0, %t, 0;\n\tmov.u32 %x27, 0;\n\t@!%q0 mbarrier.init.shared::cta.b64 [bar], ARRIVALS;\n\tfence.mbarrier_init.release.cluster;\n"
	ready := func(arrivals int, more string) string {
		return strings.ReplaceAll(barrier, "ARRIVALS", fmt.Sprint(arrivals)) + more + clusterMeet
	}
	list = append(list, remoteAtomics()...)
	for _, sem := range []string{"", ".release"} {
		list = append(list, inCluster("barrier.cluster.arrive"+sem, types(1, b32), types(1, b32), `
	st.shared.u32 [%x9], %i0;
	barrier.cluster.arrive`+sem+`;
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	barrier.cluster.wait;
	ld.shared::cluster.u32 %o0, [%x5];
`+clusterMeet))
	}
	list = append(list,
		inCluster("barrier.cluster.arrive.relaxed", types(1, b32), types(1, b32), `
	st.shared.u32 [%x9], %i0;
	fence.acq_rel.cluster;
	barrier.cluster.arrive.relaxed.aligned;
	barrier.cluster.wait.aligned;
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	ld.shared::cluster.u32 %o0, [%x5];
`+clusterMeet),
		inCluster("cluster, addresses", nil, types(6, b32), `
	mapa.shared::cluster.u32 %x5, smem, %x2;
	getctarank.shared::cluster.u32 %o0, %x5;
	mapa.shared::cluster.u32 %x6, %x5, 3;
	getctarank.shared::cluster.u32 %o1, %x6;
	cvt.u64.u32 %y1, %x5;
	cvta.shared::cluster.u64 %y1, %y1;
	getctarank.u64 %o2, %y1;
	isspacep.shared::cluster %q1, %y1;
	selp.u32 %o3, 1, 0, %q1;
	isspacep.shared::cta %q1, %y1;
	selp.u32 %o4, 1, 0, %q1;
	cvta.to.shared::cluster.u64 %y2, %y1;
	cvt.u32.u64 %x7, %y2;
	sub.u32 %o5, %x7, %x5;
`),
		inCluster("mbarrier, arrivals from other blocks", types(1, b32), types(2, b32), ready(96, "\tst.shared.u32 [%x9], %i0;\n")+`
	mov.u32 %x26, bar;
	mov.u32 %x25, 0;
ROUND:
	setp.eq.u32 %q3, %x25, %x1;
	mapa.shared::cluster.u32 %x24, %x26, %x25;
	@!%q3 mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%x24];
	add.u32 %x25, %x25, 1;
	setp.lt.u32 %q3, %x25, 4;
	@%q3 bra ROUND;
`+awaitRemote+`
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	ld.shared::cluster.u32 %o0, [%x5];
	mov.u32 %o1, 7;
`+clusterMeet),
		inCluster("mbarrier, bytes expected and completed from another block", nil, types(1, b32), ready(1, "")+`
	mov.u32 %x26, bar;
	mapa.shared::cluster.u32 %x24, %x26, %x2;
	@%q0 bra WAIT;
	mbarrier.arrive.expect_tx.release.cluster.shared::cluster.b64 _, [%x24], 48;
	mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%x24], 16;
	mbarrier.complete_tx.relaxed.cluster.shared::cluster.b64 [%x24], 32;
`+awaitRemote+`
	mov.u32 %o0, 7;
`+clusterMeet),
		inCluster("mbarrier, expect_tx, drop and try_wait with a state", nil, types(3, b32), ready(3, "")+`
	mov.u32 %o0, 0;
	mov.u32 %o1, 0;
	mov.u32 %o2, 0;
	@%q0 bra DONE;
	mbarrier.arrive_drop.expect_tx.shared::cta.b64 %y1, [bar], 8;
	mbarrier.pending_count.b64 %o0, %y1;
	mbarrier.expect_tx.relaxed.cta.shared::cta.b64 [bar], 8;
	mbarrier.complete_tx.relaxed.cta.shared::cta.b64 [bar], 16;
	mbarrier.arrive.release.cta.shared::cta.b64 %y2, [bar], 2;
	mbarrier.try_wait.shared::cta.b64 %q4, [bar], %y2;
	selp.u32 %o1, 1, 0, %q4;
	mbarrier.arrive.shared::cta.b64 %y2, [bar];
	mbarrier.pending_count.b64 %o2, %y2;
	mbarrier.arrive.shared::cta.b64 %y2, [bar];
	mbarrier.test_wait.acquire.cta.shared::cta.b64 %q4, [bar], %y2;
	@%q4 add.u32 %o2, %o2, 100;
DONE:
`+clusterMeet))
	for _, v := range []struct {
		mods, args string
		n          int
	}{{"b32", "%x10", 1}, {"f32", "%x10", 1}, {"b64", "%y5", 1}, {"f64", "%y5", 1}, {"v2.b32", "{%x10, %x11}", 2}, {"v2.b64", "{%y5, %y6}", 2}, {"v4.b32", "{%x10, %x11, %x12, %x13}", 4}, {"v4.f32", "{%x10, %x11, %x12, %x13}", 4}} {
		size := v.n * 4
		if strings.Contains(v.mods, "64") {
			size *= 2
		}
		list = append(list, inCluster("st.async."+v.mods, types(2, b64), types(2, b64), fmt.Sprintf(`
	mul.lo.u32 %%x8, %%t, 8;
	add.u32 %%x9, %%x9, %%x8;
	st.shared.v2.b64 [%%x9], {%%i1, %%i0};
`)+ready(1, fmt.Sprintf("\t@!%%q0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], %d;\n", 32*size))+`
	mov.b64 {%x10, %x11}, %i0;
	mov.b64 {%x12, %x13}, %i1;
	mov.b64 %y5, %i0;
	mov.b64 %y6, %i1;
	mov.u32 %x26, bar;
	mapa.shared::cluster.u32 %x24, %x26, %x2;
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.`+v.mods+` [%x5], `+v.args+`, [%x24];
`+awaitRemote+`
	ld.shared.v2.b64 {%o0, %o1}, [%x9];
`+clusterMeet))
	}
	for _, op := range strings.Fields("inc.u32 dec.u32 min.u32 min.s32 max.u32 max.s32 add.u32 add.s32 add.u64 and.b32 or.b32 xor.b32") {
		t := typed(op[strings.IndexByte(op, '.')+1:])
		bits := t.Bits()
		list = append(list, inCluster("red.async."+op, types(2, t), types(1, t), fmt.Sprintf("\tst.shared.b%d [%%x9], %%i0;\n", bits)+
			ready(1, fmt.Sprintf("\t@!%%q0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], %d;\n", 32*t.Size()))+`
	mov.u32 %x26, bar;
	mapa.shared::cluster.u32 %x24, %x26, %x2;
	mapa.shared::cluster.u32 %x5, %x9, %x2;
	red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.`+op+` [%x5], %i1, [%x24];
`+awaitRemote+fmt.Sprintf("\tld.shared.b%d %%o0, [%%x9];\n", bits)+clusterMeet))
	}
	copies := []string{"cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes"}
	for _, op := range strings.Fields("and.b32 or.b32 xor.b32 add.u32 add.s32 add.u64 inc.u32 dec.u32 min.u32 min.s32 max.u32 max.s32") {
		copies = append(copies, "cp.reduce.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes."+op)
	}
	for _, name := range copies {
		list = append(list, inCluster(name, types(2, b64), types(1, b64), `
	st.shared.b64 [%x9], %i0;
	st.shared.b64 [%x9+512], %i1;
	fence.proxy.async;
`+ready(1, "\t@!%q0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 256;\n")+`
	mov.u32 %x26, bar;
	mov.u32 %x25, smem;
	mapa.shared::cluster.u32 %x24, %x26, %x2;
	mapa.shared::cluster.u32 %x23, %x25, %x2;
	add.u32 %x22, %x25, 512;
	@%q0 bra WAIT;
	`+name+` [%x23], [%x22], 256, [%x24];
`+awaitRemote+`
	ld.shared.b64 %o0, [%x9];
`+clusterMeet))
	}
	for _, hint := range []string{"", ".L2::cache_hint"} {
		arg, policy := "", ""
		if hint != "" {
			arg, policy = ", %y7", "\tcreatepolicy.fractional.L2::evict_last.b64 %y7, 0.5;\n"
		}
		list = append(list, inCluster("cp.async.bulk, to the blocks of a cluster"+hint, types(1, b64), types(4, b64), ready(1, "\t@!%q0 mbarrier.arrive.expect_tx.shared::cta.b64 _, [bar], 768;\n\tst.shared.b64 [%x9], 0;\n\tst.shared.b64 [%x9+256], 0;\n\tst.shared.b64 [%x9+512], 0;\n\tst.shared.b64 [%x9+768], 0;\n\tfence.proxy.async;\n")+policy+`
	mov.u32 %x26, bar;
	mov.u32 %x25, smem;
	shl.b32 %x24, %x1, 8;
	add.u32 %x25, %x25, %x24;
	mov.u32 %x23, 1;
	shl.b32 %x23, %x23, %x1;
	xor.b32 %x23, %x23, 15;
	cvt.u16.u32 %h1, %x23;
	@%q0 bra WAIT;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster`+hint+` [%x25], [%ia], 256, [%x26], %h1`+arg+`;
`+awaitRemote+`
	ld.shared.b64 %o0, [%x9];
	ld.shared.b64 %o1, [%x9+256];
	ld.shared.b64 %o2, [%x9+512];
	ld.shared.b64 %o3, [%x9+768];
`+clusterMeet))
	}
	return list
}

// remoteAtomics are those on a neighbour's shared memory, which give back what
// was there. Sums of two 16-bit floats are not among them: an H100 adds them as
// integers there, and the simulated device reports them.
func remoteAtomics() (list []*draft) {
	for _, op := range strings.Fields("add.u32 add.s32 add.u64 add.f32 add.f64 min.u32 min.s32 min.s64 max.u64 inc.u32 dec.u32 and.b32 or.b64 xor.b32 exch.b32 exch.b64 cas.b32 cas.b64") {
		t := typed(op[strings.LastIndexByte(op, '.')+1:])
		second := "%i1"
		if strings.HasPrefix(op, "cas") {
			second = "%i0, %i1"
		}
		bits := t.Bits()
		for _, where := range []string{".shared::cluster", ""} {
			if where == "" && op != "add.u32" && op != "cas.b64" && op != "add.f32" {
				continue
			}
			address, name := "%x5", "atom"+where+"."+op
			body := fmt.Sprintf("\tst.shared.b%d [%%x9], %%i0;\n", bits) + clusterMeet + "\tmapa.shared::cluster.u32 %x5, %x9, %x2;\n"
			if where == "" {
				name += ", generic, of another block"
				body += "\tcvt.u64.u32 %y1, %x5;\n\tcvta.shared::cluster.u64 %y1, %y1;\n"
				address = "%y1"
			}
			d := inCluster(name, types(2, t), types(2, t), body+fmt.Sprintf("\tatom.relaxed.cluster%s.%s %%o0, [%s], %s;\n", where, op, address, second)+clusterMeet+fmt.Sprintf("\tld.shared.b%d %%o1, [%%x9];\n", bits))
			d.anyNaN = t == ptx.F64
			list = append(list, d)
		}
	}
	return list
}

// hints are cache policies, whose only effect is on time, and what else changes
// no value: setmaxnreg, griddepcontrol, prefetches.
func hints() (list []*draft) {
	b32, b64 := ptx.B32, ptx.B64
	for i, policy := range []string{
		"createpolicy.fractional.L2::evict_last.b64 %y1;", "createpolicy.fractional.L2::evict_first.L2::evict_unchanged.b64 %y1, 0.25;", "createpolicy.fractional.L2::evict_normal.b64 %y1, 1.0;",
		"createpolicy.range.global.L2::evict_last.L2::evict_unchanged.b64 %y1, [%ia], 64, 128;",
	} {
		name, _, _ := strings.Cut(policy, " ")
		list = append(list, &draft{name: fmt.Sprintf("%s, and its uses, %d", name, i), sm: 80, block: 32, lanes: 64, ins: types(2, b64), outs: types(4, b64), decl: "\t.shared .align 16 .b8 smem[512];\n", body: "\t" + policy + `
	mul.wide.u32 %y0, %g, 16;
	add.u64 %y0, %y0, %scratch;
	st.global.L2::cache_hint.v2.b64 [%y0], {%i0, %i1}, %y1;
	ld.global.L2::cache_hint.b64 %o0, [%y0+8], %y1;
	atom.global.add.L2::cache_hint.u64 %o1, [%y0], %i1, %y1;
	red.global.xor.L2::cache_hint.b64 [%y0], %i0, %y1;
	ld.global.L1::evict_last.L2::cache_hint.b64 %o2, [%y0], %y1;
	mov.u32 %x9, smem;
	shl.b32 %x8, %t, 4;
	add.u32 %x9, %x9, %x8;
	cp.async.cg.shared.global.L2::cache_hint [%x9], [%y0], 16, %y1;
	cp.async.wait_all;
	ld.shared.b64 %o3, [%x9+8];
`})
	}
	return append(list,
		&draft{name: "setmaxnreg", sm: 90, arch: true, block: 256, lanes: 512, entry: "\n.maxntid 256, 1, 1\n.minnctapersm 1", ins: types(2, b32), outs: types(1, b32), body: `
	setp.lt.u32 %q0, %t, 128;
	@%q0 bra LESS;
	setmaxnreg.inc.sync.aligned.u32 240;
	add.u32 %o0, %i0, %i1;
	bra PAST;
LESS:
	setmaxnreg.dec.sync.aligned.u32 40;
	sub.u32 %o0, %i0, %i1;
PAST:
	bar.sync 0;
`},
		&draft{name: "griddepcontrol", sm: 90, ins: types(1, b32), outs: types(1, b32), body: "\tgriddepcontrol.wait;\n\tadd.u32 %o0, %i0, 1;\n\tgriddepcontrol.launch_dependents;\n"},
		&draft{name: "prefetch", sm: 80, ins: types(1, b32), outs: types(1, b32), body: "\tprefetch.global.L1 [%ia];\n\tprefetch.global.L2 [%ia];\n\tprefetch.L2 [%ia];\n\tprefetch.global.L2::evict_last [%ia];\n\tprefetchu.L1 [%ia];\n\tadd.u32 %o0, %i0, 1;\n"},
		&draft{name: "cp.async.bulk.prefetch", sm: 90, block: 32, lanes: 64, ins: types(1, b64), outs: types(1, b64), body: "\tsetp.ne.u32 %q0, %t, 0;\n\t@!%q0 cp.async.bulk.prefetch.L2.global [%ia], 256;\n\tadd.u64 %o0, %i0, 1;\n"},
	)
}
