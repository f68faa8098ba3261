package exec

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// clusterKernel has thread t in %r0, the block's rank in %r1, the other block's in
// %r2, the address of the thread's word in %r3, that of the same word in the other
// block in %r4, that block's barrier in %r5, which expects as many arrivals as
// there are threads and is ready after the cluster's first barrier.
func clusterKernel(text string) string {
	return `.visible .entry k(.param .u64 out)
{
	.reg .b32 %r<32>; .reg .b64 %d<8>; .reg .pred %p<8>;
	.shared .align 16 .b32 tile[1024];
	.shared .align 8 .b64 bar;
	mov.u32 %r0, %tid.x; mov.u32 %r1, %cluster_ctarank; xor.b32 %r2, %r1, 1;
	mov.u32 %r3, tile; mad.lo.u32 %r3, %r0, 4, %r3;
	mapa.shared::cluster.u32 %r4, %r3, %r2;
	mov.u32 %r5, bar; mapa.shared::cluster.u32 %r5, %r5, %r2;
	setp.eq.u32 %p0, %r0, 0; setp.eq.u32 %p1, %r1, 0; setp.lt.u32 %p2, %r0, 32;
	mov.u32 %r6, 0; mov.u32 %r20, 0;
	@%p0 mbarrier.init.shared.b64 [bar], 64;
	fence.mbarrier_init.release.cluster;
` + strings.NewReplacer("MEET", "barrier.cluster.arrive; barrier.cluster.wait;", "AWAIT", awaitBar("a"),
		"EXPECT", "@!%p0 bra on; mbarrier.arrive.expect_tx.shared.b64 _, [bar], 256; on: @!%p0 mbarrier.arrive.shared.b64 _, [bar];",
		"REDUCE", "red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.add.u32 [%r4], %r0, [%r5];", "ARRIVE", "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r5];",
		"STORE", "st.shared::cluster.u32 [%r4], %r0;", "LOAD", "ld.shared::cluster.u32 %r9, [%r4];", "OWN", "st.shared.u32 [%r3], %r0;", "READ", "ld.shared.u32 %r9, [%r3];").Replace(text) + "\nret;\n}\n"
}

func awaitBar(label string) string {
	return fmt.Sprintf("%[1]s: mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %%p7, [bar], %%r20; @!%%p7 bra %[1]s;", label)
}

// TestClusters: what two blocks do with each other's shared memory, which starts
// and ends with them.
func TestClusters(t *testing.T) {
	for _, c := range []struct {
		name, text string
		kind       FaultKind // 0: clean
		always     bool      // reported although races are not looked for
		says       string
	}{
		{"store between barriers", "MEET STORE MEET READ", 0, false, ""},
		{"load between barriers", "OWN MEET LOAD MEET OWN", 0, false, ""},
		{"store before the other has started", "STORE MEET READ", BarrierMisuse, true, "may not have started"},
		{"store after an arrival alone", "barrier.cluster.arrive; STORE barrier.cluster.wait; MEET", BarrierMisuse, true, "may not have started"},
		{"atomic operation before the other has started", "OWN red.shared::cluster.add.u32 [%r4], %r0; MEET", BarrierMisuse, true, "may not have started"},
		{"arrival before the other has started", "ARRIVE MEET", BarrierMisuse, true, "may not have started"},
		{"asynchronous store before the other has started", "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r4], %r0, [%r5]; MEET", BarrierMisuse, true, "may not have started"},
		{"copy before the other has started", "@%p0 st.shared.v4.u32 [tile], {%r0, %r0, %r0, %r0}; fence.proxy.async; mov.u32 %r7, tile; mapa.shared::cluster.u32 %r8, %r7, %r2; @%p0 cp.async.bulk.shared::cluster.shared::cta.mbarrier::complete_tx::bytes [%r8+128], [tile], 16, [%r5]; MEET", BarrierMisuse, true, "may not have started"},
		{"generic store before the other has started", "cvt.u64.u32 %d0, %r4; cvta.shared::cluster.u64 %d0, %d0; st.u32 [%d0], %r0; MEET", BarrierMisuse, true, "may not have started"},
		{"a warp that has not waited, nor heard of one that has", "@%p0 st.shared.u32 [tile+512], %r6; bar.sync 0; barrier.cluster.arrive; @!%p2 bra spin; barrier.cluster.wait; st.volatile.shared.u32 [tile+512], 1; bra last; spin: ld.volatile.shared.u32 %r8, [tile+512]; setp.eq.u32 %p3, %r8, 0; @%p3 bra spin; STORE barrier.cluster.wait; last: MEET", BarrierMisuse, false, "may not have started"},
		{"another warp has waited and said so", "barrier.cluster.arrive; @!%p2 bra next; barrier.cluster.wait; next: bar.sync 0; STORE @%p2 bra last; barrier.cluster.wait; last: MEET", 0, false, ""},
		{"no barrier after a load", "OWN MEET LOAD", UseAfterFree, false, "exited"},
		{"no barrier after a store", "MEET STORE", UseAfterFree, false, "exited"},
		{"no wait after the last arrival", "OWN MEET LOAD barrier.cluster.arrive;", UseAfterFree, false, "exited"},
		{"a relaxed arrival after a load", "OWN MEET LOAD barrier.cluster.arrive.relaxed; barrier.cluster.wait;", UseAfterFree, false, "exited"},
		{"a fence and a relaxed arrival", "OWN fence.acq_rel.cluster; barrier.cluster.arrive.relaxed; barrier.cluster.wait; LOAD fence.acq_rel.cluster; barrier.cluster.arrive.relaxed; barrier.cluster.wait;", 0, false, ""},
		{"a relaxed arrival starts", "barrier.cluster.arrive.relaxed; barrier.cluster.wait; STORE MEET READ", 0, false, ""},
		{"a relaxed arrival does not order", "OWN barrier.cluster.arrive.relaxed; barrier.cluster.wait; LOAD MEET", SharedRace, false, "wrote it without the cluster's barrier"},
		{"an arrival that nobody waits for", "MEET ARRIVE", UseAfterFree, false, "exited"},
		{"an arrival that is waited for", "MEET ARRIVE AWAIT", 0, false, ""},
		{"a load, and an arrival", "OWN MEET LOAD ARRIVE AWAIT OWN", 0, false, ""},
		{"an arrival before the load", "OWN MEET ARRIVE LOAD AWAIT", UseAfterFree, false, "exited"},
		{"a store, and an arrival", "MEET STORE ARRIVE AWAIT READ", 0, false, ""},
		{"a store after the arrival", "MEET ARRIVE STORE AWAIT READ", SharedRace, false, ""},
		{"a store that the reader does not wait for", "MEET STORE READ MEET", SharedRace, false, "block ("},
		{"a store to what the other has stored", "OWN STORE MEET", BarrierMisuse, true, ""},
		{"a store to what the other still reads", "OWN MEET READ STORE MEET", SharedRace, false, "it without the cluster's barrier"},
		{"a store to what the other has read before a barrier of its own", "OWN MEET READ bar.sync 0; STORE MEET", SharedRace, false, "block ("},
		{"atomic operations", "OWN MEET red.relaxed.cluster.shared::cluster.add.u32 [%r4], %r0; red.shared.add.u32 [%r3], %r0; MEET READ", 0, false, ""},
		{"an atomic operation and a load", "OWN MEET red.relaxed.cluster.shared::cluster.add.u32 [%r4], %r0; READ MEET", SharedRace, false, ""},
		{"a flag", "@%p0 st.shared.u32 [tile+512], %r6; MEET STORE bar.sync 0; mov.u32 %r7, tile; mapa.shared::cluster.u32 %r7, %r7, %r2; @!%p0 bra met; red.release.cluster.shared::cluster.add.u32 [%r7+512], 1; spin: ld.acquire.cluster.shared.u32 %r8, [tile+512]; setp.eq.u32 %p3, %r8, 0; @%p3 bra spin; met: bar.sync 0; READ", 0, false, ""},
		{"a flag without release", "@%p0 st.shared.u32 [tile+512], %r6; MEET STORE bar.sync 0; mov.u32 %r7, tile; mapa.shared::cluster.u32 %r7, %r7, %r2; @!%p0 bra met; red.relaxed.cluster.shared::cluster.add.u32 [%r7+512], 1; spin: ld.acquire.cluster.shared.u32 %r8, [tile+512]; setp.eq.u32 %p3, %r8, 0; @%p3 bra spin; met: bar.sync 0; READ MEET", SharedRace, false, ""},
		{"a store to what another has loaded before it set a flag", "@%p0 st.shared.u32 [tile+512], %r6; OWN MEET LOAD mov.u32 %r7, tile; mapa.shared::cluster.u32 %r7, %r7, %r2; red.relaxed.cluster.shared::cluster.add.u32 [%r7+512], 1; spin: ld.volatile.shared.u32 %r8, [tile+512]; setp.lt.u32 %p3, %r8, 64; @%p3 bra spin; OWN MEET", SharedRace, false, "read it without"},
		{"stores that arrive by themselves", "MEET EXPECT st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r4], %r0, [%r5]; AWAIT READ", 0, false, ""},
		{"reductions that arrive by themselves", "OWN MEET EXPECT REDUCE AWAIT READ", 0, false, ""},
		{"reductions of one word", "OWN MEET EXPECT mov.u32 %r4, tile; mapa.shared::cluster.u32 %r4, %r4, %r2; REDUCE AWAIT READ", 0, false, ""},
		{"stores and reductions at generic addresses", "OWN MEET @!%p0 bra on; mbarrier.arrive.expect_tx.shared.b64 _, [bar], 512; on: @!%p0 mbarrier.arrive.shared.b64 _, [bar]; cvt.u64.u32 %d0, %r4; cvta.shared::cluster.u64 %d0, %d0; cvt.u64.u32 %d1, %r5; cvta.shared::cluster.u64 %d1, %d1; st.async.weak.mbarrier::complete_tx::bytes.u32 [%d0+2048], %r0, [%d1]; red.async.relaxed.cluster.mbarrier::complete_tx::bytes.add.u32 [%d0], %r0, [%d1]; AWAIT READ", 0, false, ""},
		{"a store of one's own at a generic address", "MEET @!%p0 bra on; mbarrier.arrive.expect_tx.shared.b64 _, [bar], 256; on: @!%p0 mbarrier.arrive.shared.b64 _, [bar]; cvt.u64.u32 %d0, %r3; cvta.shared.u64 %d0, %d0; mov.u64 %d1, bar; cvta.shared.u64 %d1, %d1; st.async.weak.mbarrier::complete_tx::bytes.u32 [%d0], %r0, [%d1]; AWAIT READ", 0, false, ""},
		{"a reduction in global memory", "MEET ld.param.u64 %d0, [out]; cvt.u64.u32 %d1, %r5; cvta.shared::cluster.u64 %d1, %d1; red.async.relaxed.cluster.mbarrier::complete_tx::bytes.add.u32 [%d0], %r0, [%d1]; MEET", OutOfBounds, true, ""},
		{"a reduction of one's own, without a fence", "OWN MEET EXPECT mov.u32 %r4, %r3; mov.u32 %r5, bar; REDUCE AWAIT READ MEET", 0, false, ""},
		{"a reduction of what is read before the wait", "OWN MEET EXPECT REDUCE READ AWAIT", SharedRace, false, ""},
		{"a reduction before the other has started", "OWN REDUCE MEET", BarrierMisuse, true, "may not have started"},
		{"a reduction of what nobody wrote", "MEET EXPECT REDUCE AWAIT", Uninitialised, true, "nobody wrote"},
		{"a reduction of half of two words", "OWN MEET EXPECT add.u32 %r4, %r4, 2; REDUCE AWAIT", Misaligned, true, "multiple of 4"},
		{"a reduction past shared memory", "OWN MEET EXPECT add.u32 %r4, %r4, 65536; REDUCE AWAIT", OutOfBounds, true, "shared memory"},
		{"a reduction that nobody waits for", "OWN MEET REDUCE MEET", AsyncMisuse, true, "without waiting for the barrier"},
		{"a reduction of what a store is to write", "OWN MEET st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.u32 [%r4], %r0, [%r5]; REDUCE MEET", AsyncMisuse, true, "still writes it"},
	} {
		for _, races := range []bool{true, false} {
			for seed := range uint64(4) {
				d := hopperDevice(t, clusterKernel(c.text))
				k := d.prog.Kernels["k"]
				err := Run(k, Launch{Grid: [3]uint32{4, 1, 1}, Block: [3]uint32{64, 1, 1}, Cluster: [3]uint32{2, 1, 1}, Params: k.pack(uint64(0))},
					Options{Workers: 1, Seed: seed * 0x4000000000000123, Fuel: 1 << 22, Races: races})
				f := new(Fault)
				switch {
				case c.kind == 0 && err != nil:
					t.Errorf("%s (races %v, seed %d): %v", c.name, races, seed, err)
				case c.kind != 0 && (races || c.always) && (!errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(f.Error(), c.says)):
					t.Errorf("%s (races %v, seed %d): got %v, want %v that says %q", c.name, races, seed, err, c.kind, c.says)
				}
			}
		}
	}
}
