package exec

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// clusterBody is body with barriers and more shared memory, for clusters.
func clusterBody(text string) string {
	return strings.Replace(body(text), ".shared .align 16 .b8 sh[256];", ".shared .align 1024 .b8 sh[4096];\n.shared .align 8 .b64 bar;\n.shared .align 8 .b64 bar2;\n.reg .pred %q;", 1)
}

// leader executes instructions in the block's first thread.
func leader(text string) string {
	return "setp.ne.u32 %p8, %r1, 0;\n@%p8 bra PAST;\n" + text + "\nPAST:\n"
}

const wait0 = "W:\nmbarrier.try_wait.parity.shared.b64 %p1, [bar], 0;\n@!%p1 bra W;\n"

const copyIn = "mbarrier.init.shared.b64 [bar], 1;\nmbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;\ncp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [sh], [%rd1], 64, [bar];\n"

// copyOut begins a copy of 16 bytes to global memory.
const copyOut = "st.shared.v4.u32 [sh], {%r1, %r1, %r1, %r1};\nfence.proxy.async;\ncp.async.bulk.global.shared::cta.bulk_group [%rd1], [sh], 16;\ncp.async.bulk.commit_group;\n"

const meetCluster = "barrier.cluster.arrive;\nbarrier.cluster.wait;\n"

func TestHopperFaults(t *testing.T) {
	for _, c := range []struct {
		name    string
		kind    FaultKind
		cluster uint32
		text    string
		detail  string
	}{
		{"no barrier", BarrierMisuse, 1, leader("mbarrier.arrive.shared.b64 _, [bar];"), "nobody executed mbarrier.init"},
		{"invalidated", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.inval.shared.b64 [bar];\nmbarrier.arrive.shared.b64 _, [bar];"), "invalidated"},
		{"twice", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.init.shared.b64 [bar], 1;"), "there is a barrier already"},
		{"count of 0", BarrierMisuse, 1, leader("mov.u32 %r2, 0;\nmbarrier.init.shared.b64 [bar], %r2;"), "count of 0"},
		{"overwritten", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nst.shared.u32 [bar+4], %r1;\nmbarrier.arrive.shared.b64 _, [bar];"), "was written to"},
		{"read", Uninitialised, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nld.shared.u32 %r2, [bar];\nst.global.u32 [%rd1], %r2;"), "nobody wrote"},
		{"misaligned", Misaligned, 1, leader("mbarrier.init.shared.b64 [bar+4], 1;"), "multiple of 8"},
		{"beyond", OutOfBounds, 1, leader("mbarrier.init.shared.b64 [bar+4096], 1;"), "not in shared memory"},
		{"too many arrivals", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive.shared.b64 _, [bar], 3;"), "3 arrivals at a barrier whose phase 0 expects 2 more of 2"},
		{"arrival after a drop", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive_drop.shared.b64 _, [bar];\nmbarrier.arrive.shared.b64 _, [bar];\nmbarrier.arrive.shared.b64 _, [bar], 2;"), "2 arrivals at a barrier whose phase 1 expects 1 more of 1"},
		{"noComplete completes", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive.noComplete.shared.b64 %rd4, [bar], 2;"), "would complete the phase"},
		{"too many bytes", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.expect_tx.shared.b64 [bar], 1048576;"), "1048576 bytes expected"},
		{"old state", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.arrive.shared.b64 %rd4, [bar];\nmbarrier.arrive.shared.b64 _, [bar];\nmbarrier.test_wait.shared.b64 %p1, [bar], %rd4;"), "only the current phase"},
		{"parity 2", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmov.u32 %r2, 2;\nmbarrier.test_wait.parity.shared.b64 %p1, [bar], %r2;"), "parity of 2"},
		{"missing arrival", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive.shared.b64 _, [bar];\n" + wait0), "phase 0: 1 of 2 arrivals and 0 bytes missing"},
		{"missing bytes", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;\n" + wait0), "64 bytes missing"},
		{"test_wait for ever", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nW:\nmbarrier.test_wait.parity.shared.b64 %p1, [bar], 0;\n@!%p1 bra W;\n"), "2 of 2"},
		{"wait and barrier", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\n"+wait0) + "bar.sync 0;", "barrier 0"},
		{"bulk, read before the wait", AsyncMisuse, 1, leader(copyIn + "ld.shared.u32 %r2, [sh];\n" + wait0), "still writes it: nobody has waited for the barrier"},
		{"bulk, written before the wait", AsyncMisuse, 1, leader(copyIn + "st.shared.u32 [sh+60], %r1;\n" + wait0), "sh+60: line"},
		{"bulk, source overwritten", AsyncMisuse, 1, leader(copyIn + "st.global.u32 [%rd1+60], %r1;\n" + wait0), "array a: line"},
		{"bulk, a neighbour's as one's own", OutOfBounds, 2, "mov.u32 %r2, sh;\nmapa.shared::cluster.u32 %r3, %r2, 1;\n" + leader(strings.NewReplacer("shared::cluster", "shared::cta", "[sh]", "[%r3]").Replace(copyIn)+wait0), "shared memory"},
		{"bulk, copied to twice", AsyncMisuse, 1, leader(strings.Replace(copyIn, "64, [bar];", "64, [bar];\ncp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [sh+48], [%rd1], 64, [bar];", 1) + wait0), "still writes it"},
		{"bulk store, source overwritten", AsyncMisuse, 1, leader(copyOut + "st.shared.u32 [sh+12], %r1;\ncp.async.bulk.wait_group.read 0;"), "still reads it: no cp.async.bulk.wait_group"},
		{"bulk store, source overwritten after a wait for too little", AsyncMisuse, 1, leader(copyOut + "cp.async.bulk.wait_group.read 1;\nst.shared.u32 [sh+12], %r1;\ncp.async.bulk.wait_group.read 0;"), "still reads it: no cp.async.bulk.wait_group"},
		{"bulk store, destination read after the wait for the source", AsyncMisuse, 1, leader(copyOut + "cp.async.bulk.wait_group.read 0;\nld.global.u32 %r2, [%rd1];"), "still writes it"},
		{"bulk store, destination written", AsyncMisuse, 1, leader(copyOut + "st.global.u32 [%rd1+12], %r1;\ncp.async.bulk.wait_group 0;"), "still writes it"},
		{"bulk, nobody waits", AsyncMisuse, 1, leader(copyIn), "without waiting for the barrier"},
		{"bulk, nothing expected", AsyncMisuse, 1, leader(strings.Replace(copyIn, "arrive.expect_tx.shared.b64 _, [bar], 64", "arrive.shared.b64 _, [bar]", 1) + wait0 + "ld.shared.u32 %r2, [sh];"), "still writes it"},
		{"bulk, too much expected", Deadlock, 1, leader(strings.Replace(copyIn, "[bar], 64", "[bar], 80", 1) + wait0), "16 bytes missing"},
		{"bulk, odd size", Misaligned, 1, leader("mov.u32 %r2, 40;\n" + strings.Replace(copyIn, "[%rd1], 64", "[%rd1], %r2", 1) + wait0), "multiple of 16"},
		{"bulk, misaligned", Misaligned, 1, leader(strings.Replace(copyIn, "[%rd1], 64", "[%rd1+8], 64", 1) + wait0), "multiple of 16"},
		{"bulk, past the source", OutOfBounds, 1, leader(strings.Replace(copyIn, "[%rd1], 64", "[%rd1+480], 64", 1) + wait0), "passes the end of array a"},
		{"bulk, past shared memory", OutOfBounds, 1, leader(strings.Replace(copyIn, "[sh], [%rd1]", "[sh+4080], [%rd1]", 1) + wait0), "shared memory"},
		{"bulk, no barrier", BarrierMisuse, 1, leader(strings.Replace(copyIn, "64, [bar]", "64, [bar2]", 1) + wait0), "no barrier"},
		{"bulk, barrier ends first", BarrierMisuse, 1, leader(copyIn + "mbarrier.inval.shared.b64 [bar];"), "in flight"},
		{"bulk, no such block", OutOfBounds, 1, leader("mov.u16 %h1, 3;\n" + strings.Replace(strings.Replace(copyIn, "64, [bar];", "64, [bar], %h1;", 1), "::bytes", "::bytes.multicast::cluster", 1) + wait0), "blocks 0x3 of a cluster of 1"},
		{"bulk, no wait for the group", AsyncMisuse, 1, leader("st.shared.v4.u32 [sh], {%r1, %r1, %r1, %r1};\ncp.async.bulk.global.shared::cta.bulk_group [%rd1], [sh], 16;\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 1;"), "without a cp.async.bulk.wait_group"},
		{"bulk, no group", AsyncMisuse, 1, leader("st.shared.v4.u32 [sh], {%r1, %r1, %r1, %r1};\ncp.async.bulk.global.shared::cta.bulk_group [%rd1], [sh], 16;\ncp.async.bulk.wait_group 0;"), "commit_group"},
		{"bulk store of what nobody wrote", Uninitialised, 1, leader("st.shared.v2.u32 [sh], {%r1, %r1};\nst.shared.u32 [sh+12], %r1;\ncp.async.bulk.global.shared::cta.bulk_group [%rd1], [sh], 16;\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;"), "nobody wrote: sh+8"},
		{"bulk reduction of what nobody wrote", Uninitialised, 1, leader("cp.reduce.async.bulk.global.shared::cta.bulk_group.add.u32 [%rd1], [sh], 16;\ncp.async.bulk.commit_group;\ncp.async.bulk.wait_group 0;"), "nobody wrote: sh+0"},
		{"cluster arrive twice", BarrierMisuse, 2, "barrier.cluster.arrive;\nbarrier.cluster.arrive;", "second time"},
		{"cluster wait alone", BarrierMisuse, 2, "barrier.cluster.wait;", "without having arrived"},
		{"cluster, half a warp", Deadlock, 2, "setp.lt.u32 %p1, %r1, 7;\n@%p1 bra A;\nbarrier.cluster.arrive.aligned;\nbra B;\nA:\nbarrier.cluster.arrive.aligned;\nB:\nbarrier.cluster.wait;", "waits for lanes 0xffffff80"},
		{"cluster, one block waits", Deadlock, 2, "mov.u32 %r2, %cluster_ctarank;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra A;\nbar.sync 1, 160;\nA:\n" + meetCluster, "the cluster's barrier"},
		{"no such rank", OutOfBounds, 2, "mov.u32 %r2, sh;\nmapa.shared::cluster.u32 %r3, %r2, 2;", "block 2 of a cluster of 2"},
		{"beyond a neighbour's", OutOfBounds, 2, "mov.u32 %r2, sh;\nmapa.shared::cluster.u32 %r3, %r2, 1;\nst.shared::cluster.u32 [%r3+4200], %r1;", "shared memory"},
		{"neighbour without ::cluster", OutOfBounds, 2, "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nxor.b32 %r4, %r4, 1;\nmapa.shared::cluster.u32 %r3, %r2, %r4;\nst.shared.u32 [%r3], %r1;", "shared memory"},
		{"neighbour has exited", UseAfterFree, 2, meetCluster + "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nsetp.eq.u32 %p1, %r4, 1;\n@%p1 exit;\nmapa.shared::cluster.u32 %r3, %r2, 1;\nst.shared::cluster.u32 [%r3], %r1;", "threads have all exited"},
		{"halves in a neighbour's", Trap, 2, "mov.u32 %r2, sh;\nst.shared.u32 [%r2], %r1;\n" + meetCluster + "mapa.shared::cluster.u32 %r3, %r2, 1;\natom.shared::cluster.add.noftz.f16x2 %r5, [%r3], %r1;\n" + meetCluster, "adds as one integer"},
		{"unwritten by the neighbour", Uninitialised, 2, meetCluster + "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nxor.b32 %r4, %r4, 1;\nmapa.shared::cluster.u32 %r3, %r2, %r4;\nld.shared::cluster.u32 %r5, [%r3];\nst.global.u32 [%rd1], %r5;\n" + meetCluster, "nobody wrote"},
		{"setmaxnreg by one warp", Deadlock, 1, "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra A;\nbar.sync 1, 128;\nA:\nsetmaxnreg.dec.sync.aligned.u32 40;", "other warps of its group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			src := strings.Replace(clusterBody(c.text), ".param .u64 b)\n", ".param .u64 b)\n.maxntid 128\n", 1)
			d := hopperDevice(t, src)
			err := d.cluster(c.cluster, 128, 1, buffer(d, "array a", make([]uint32, 128)), uint64(0))
			f := new(Fault)
			if !errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(f.Error(), c.detail) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.detail)
			}
		})
	}
}

// TestBulkToOwn: copies to the block's own shared memory, as PTX has them since 8.6.
func TestBulkToOwn(t *testing.T) {
	d := hopperDevice(t, clusterBody(leader(strings.Replace(copyIn, "shared::cluster", "shared::cta", 1)+wait0+"ld.shared.u32 %r2, [sh+12];\nst.global.u32 [%rd1], %r2;")))
	a := buffer(d, "array a", []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16})
	if err := d.cluster(1, 32, 1, a, uint64(0)); err != nil {
		t.Fatal(err)
	}
	if got := read[uint32](d, a, 1)[0]; got != 4 {
		t.Errorf("%d was copied, want 4", got)
	}
}

// TestBulkStoreLetsGo: the source of a bulk store may be overwritten after the
// wait for it to be read, and what the store writes is what was there before.
func TestBulkStoreLetsGo(t *testing.T) {
	d := hopperDevice(t, clusterBody(leader(copyOut+"cp.async.bulk.wait_group.read 0;\nmov.u32 %r2, 99;\nst.shared.u32 [sh], %r2;\ncp.async.bulk.wait_group 0;\nld.global.u32 %r3, [%rd1];\nst.global.u32 [%rd1+16], %r3;")))
	for _, o := range []Options{{Workers: 1}, {Workers: 1, Races: true}} {
		a := buffer(d, "array a", []uint32{7, 7, 7, 7, 7})
		k := d.prog.Kernels["k"]
		if err := Run(k, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Params: k.pack(a, uint64(0))}, o); err != nil {
			t.Fatal(err)
		}
		for i, v := range read[uint32](d, a, 5) {
			if v != 0 {
				t.Errorf("%+v, element %d: %d, want 0", o, i, v)
			}
		}
	}
}

func hopperDevice(t testing.TB, src string) *device {
	t.Helper()
	mem := NewMemory(1 << 31)
	m, err := ptx.Parse(strings.NewReplacer("sm_90", "sm_90a", "8.1", "8.6").Replace(header) + src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	p, err := Load(m, mem, 90)
	if err != nil {
		t.Fatal(err)
	}
	return &device{t, mem, p}
}

// cluster runs two clusters of kernel k, those of several blocks again with races
// looked for.
func (d *device) cluster(size, block uint32, workers int, vals ...any) error {
	k := d.prog.Kernels["k"]
	for _, races := range []bool{false, true}[:min(size, 2)] {
		if err := Run(k, Launch{Grid: [3]uint32{2 * size, 1, 1}, Block: [3]uint32{block, 1, 1}, Cluster: [3]uint32{size, 1, 1}, Params: k.pack(vals...)}, Options{Workers: workers, Fuel: 1 << 26, Races: races}); err != nil {
			return err
		}
	}
	return nil
}

// TestRing passes values around a cluster, several times, through barriers of
// the neighbours: each block waits for its own barrier, adds its rank, and
// hands the sum on to the next block.
func TestRing(t *testing.T) {
	d := hopperDevice(t, clusterBody(leader(`
	mbarrier.init.shared.b64 [bar], 1;
	fence.mbarrier_init.release.cluster;`)+meetCluster+`
	mov.u32 %r2, %cluster_ctarank;
	mov.u32 %r3, %cluster_nctarank;
	add.u32 %r4, %r2, 1;
	rem.u32 %r4, %r4, %r3;
	mov.u32 %r5, bar;
	mapa.shared::cluster.u32 %r6, %r5, %r4;
	mov.u32 %r7, sh;
	mapa.shared::cluster.u32 %r8, %r7, %r4;
	mov.u32 %r9, 0;
	mov.u32 %r10, 0;
	mov.u32 %r12, 0;
	setp.ne.u32 %p2, %r1, 0;
	@%p2 bra END;
	setp.eq.u32 %p1, %r2, 0;
	@%p1 bra SEND;
ROUND:
	mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [bar], %r9;
	@!%p1 bra ROUND;
	xor.b32 %r9, %r9, 1;
	ld.shared.u32 %r10, [sh];
SEND:
	add.u32 %r10, %r10, %r2;
	add.u32 %r11, %r10, 1;
	st.shared::cluster.u32 [%r8], %r11;
	mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r6];
	add.u32 %r12, %r12, 1;
	setp.lt.u32 %p1, %r12, 5;
	@%p1 bra ROUND;
	setp.ne.u32 %p1, %r2, 0;
	@%p1 bra END;
LAST:
	mbarrier.try_wait.parity.shared.b64 %p1, [bar], %r9;
	@!%p1 bra LAST;
	mov.u32 %r13, %clusterid.x;
	mul.wide.u32 %rd4, %r13, 4;
	add.u64 %rd4, %rd4, %rd1;
	ld.shared.u32 %r10, [sh];
	st.global.u32 [%rd4], %r10;
END:
`+meetCluster))
	for _, n := range []uint32{1, 2, 3, 8, 16} {
		out := buffer(d, "out", make([]uint32, 2))
		if err := d.cluster(n, 64, 0, out, uint64(0)); err != nil {
			t.Fatal(err)
		}
		want := 5 * n * (n + 1) / 2
		if got := read[uint32](d, out, 2); got[0] != want || got[1] != want {
			t.Errorf("cluster of %d: %d, want %d", n, got, want)
		}
	}
}

// TestMulticast copies one block's rows to all blocks of a cluster, and stores
// asynchronously to the neighbours.
func TestMulticast(t *testing.T) {
	d := hopperDevice(t, clusterBody(leader(`
	mbarrier.init.shared.b64 [bar], 1;
	mbarrier.arrive.expect_tx.shared.b64 _, [bar], 520;`)+meetCluster+`
	mov.u32 %r2, %cluster_ctarank;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra READY;
	shl.b32 %r3, %r2, 8;
	mov.u32 %r4, sh;
	add.u32 %r4, %r4, %r3;
	cvt.u64.u32 %rd4, %r3;
	add.u64 %rd4, %rd4, %rd1;
	mov.u16 %h1, 3;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r4], [%rd4], 256, [bar], %h1;
	xor.b32 %r5, %r2, 1;
	mov.u32 %r6, sh;
	mapa.shared::cluster.u32 %r7, %r6, %r5;
	mov.u32 %r6, bar;
	mapa.shared::cluster.u32 %r8, %r6, %r5;
	add.u32 %r9, %r2, 77;
	st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.v2.u32 [%r7+512], {%r9, %r2}, [%r8];
READY:
	bar.sync 0;
`+wait0+`
	shl.b32 %r3, %r1, 2;
	mov.u32 %r4, sh;
	add.u32 %r4, %r4, %r3;
	ld.shared.u32 %r5, [%r4];
	ld.shared.u32 %r6, [sh+512];
	add.u32 %r5, %r5, %r6;
	mul.lo.u32 %r7, %r2, 512;
	cvt.u64.u32 %rd5, %r7;
	add.u64 %rd5, %rd5, %rd2;
	add.u64 %rd5, %rd5, %rd3;
	st.global.u32 [%rd5], %r5;
`+meetCluster))
	in := make([]uint32, 128)
	for i := range in {
		in[i] = uint32(1000 * i)
	}
	out := buffer(d, "out", make([]uint32, 256))
	if err := d.cluster(2, 128, 1, buffer(d, "in", in), out); err != nil {
		t.Fatal(err)
	}
	for i, v := range read[uint32](d, out, 256) {
		if want := in[i%128] + 77 + uint32(1-i/128); v != want {
			t.Fatalf("element %d: %d, want %d", i, v, want)
		}
	}
}

// remoteReductions makes a kernel of blocks of 64 threads, each of which reduces
// its value of in into one of 8 words of the other block, which has them from
// first and stores what came of them in out.
func remoteReductions(op string, bytes int) string {
	return strings.NewReplacer("BYTES", fmt.Sprint(bytes), "TOTAL", fmt.Sprint(64*bytes), "BITS", fmt.Sprint(8*bytes), "OP", op).Replace(`
.visible .entry k(.param .u64 in, .param .u64 first, .param .u64 out)
{
	.reg .b32 %r<10>; .reg .b64 %d<4>; .reg .pred %p<3>; .reg .bBITS %v, %w;
	.shared .align 8 .b8 tile[64];
	.shared .align 8 .b64 bar;
	ld.param.u64 %d0, [in]; ld.param.u64 %d1, [first]; ld.param.u64 %d2, [out];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %cluster_ctarank; xor.b32 %r2, %r1, 1; mov.u32 %r3, %ctaid.x;
	setp.ne.u32 %p0, %r0, 0; setp.ge.u32 %p1, %r0, 8;
	mad.lo.u32 %r4, %r3, 64, %r0; mul.wide.u32 %d3, %r4, BYTES; add.u64 %d0, %d0, %d3;
	ld.global.bBITS %v, [%d0];
	mov.u32 %r5, tile; and.b32 %r6, %r0, 7; mad.lo.u32 %r5, %r6, BYTES, %r5;
	@%p1 bra ON;
	mad.lo.u32 %r7, %r3, 8, %r0; mul.wide.u32 %d3, %r7, BYTES; add.u64 %d1, %d1, %d3; add.u64 %d2, %d2, %d3;
	ld.global.bBITS %w, [%d1]; st.shared.bBITS [%r5], %w;
	@%p0 bra ON;
	mbarrier.init.shared.b64 [bar], 1; mbarrier.arrive.expect_tx.shared.b64 _, [bar], TOTAL;
	fence.mbarrier_init.release.cluster;
ON:
` + meetCluster + `
	mapa.shared::cluster.u32 %r8, %r5, %r2; mov.u32 %r9, bar; mapa.shared::cluster.u32 %r9, %r9, %r2;
	red.async.relaxed.cluster.shared::cluster.mbarrier::complete_tx::bytes.OP [%r8], %v, [%r9];
W:	mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p2, [bar], 0;
	@!%p2 bra W;
	@%p1 bra END;
	ld.shared.bBITS %w, [%r5]; st.global.bBITS [%d2], %w;
END:
` + meetCluster + `
	ret;
}`)
}

// TestRemoteReductions holds red.async against Go's integers.
func TestRemoteReductions(t *testing.T) {
	u32 := func(f func(a, b uint32) uint32) func(a, b uint64) uint64 {
		return func(a, b uint64) uint64 { return uint64(f(uint32(a), uint32(b))) }
	}
	for op, f := range map[string]func(a, b uint64) uint64{
		"inc.u32": u32(func(a, b uint32) uint32 {
			if a >= b {
				return 0
			}
			return a + 1
		}),
		"dec.u32": u32(func(a, b uint32) uint32 {
			if a == 0 || a > b {
				return b
			}
			return a - 1
		}),
		"min.u32": u32(func(a, b uint32) uint32 { return min(a, b) }), "max.u32": u32(func(a, b uint32) uint32 { return max(a, b) }),
		"min.s32": u32(func(a, b uint32) uint32 { return uint32(min(int32(a), int32(b))) }), "max.s32": u32(func(a, b uint32) uint32 { return uint32(max(int32(a), int32(b))) }),
		"add.u32": u32(func(a, b uint32) uint32 { return a + b }), "add.s32": u32(func(a, b uint32) uint32 { return a + b }),
		"and.b32": u32(func(a, b uint32) uint32 { return a & b }), "or.b32": u32(func(a, b uint32) uint32 { return a | b }), "xor.b32": u32(func(a, b uint32) uint32 { return a ^ b }),
		"add.u64": func(a, b uint64) uint64 { return a + b },
	} {
		if strings.HasSuffix(op, "64") {
			holdReductions(t, op, f)
		} else {
			holdReductions(t, op, func(a, b uint32) uint32 { return uint32(f(uint64(a), uint64(b))) })
		}
	}
}

func holdReductions[T uint32 | uint64](t *testing.T, op string, f func(a, b T) T) {
	t.Helper()
	const blocks, seed = 4, 73
	r := newRand(seed)
	in, first := make([]T, 64*blocks), make([]T, 8*blocks)
	for i := range first {
		first[i] = T(r.Uint64() >> (r.UintN(2) * 28))
	}
	for i := range in {
		in[i] = T(r.Uint64() | r.Uint64()>>(r.UintN(2)*8))
		if strings.Contains(op, "c.") {
			in[i] = 5 // the order does not matter
		}
	}
	want := slices.Clone(first)
	for i := range in {
		to := &want[(i/64^1)*8+i%8]
		*to = f(*to, in[i])
	}
	bytes := 4
	if ^T(0)>>31 > 1 {
		bytes = 8
	}
	d := hopperDevice(t, remoteReductions(op, bytes))
	out := buffer(d, "out", make([]T, 8*blocks))
	if err := d.cluster(2, 64, 1, buffer(d, "in", in), buffer(d, "first", first), out); err != nil {
		t.Errorf("%s: %v", op, err)
		return
	}
	if got := read[T](d, out, 8*blocks); !slices.Equal(got, want) {
		t.Errorf("%s, seed %d: %x, want %x", op, seed, got, want)
	}
}

// TestTensorCopies holds copies of boxes, both ways, against a plain model.
func TestTensorCopies(t *testing.T) {
	const seed = 7
	r := newRand(seed)
	for n := range 60 {
		m := TensorMap{Type: abi.TensorMapDataTypeUint16, Rank: 1 + n%5, Swizzle: abi.TensorMapSwizzle(n / 5 % 4)}
		unit := uint64(2)
		if n%3 == 0 {
			m.Type, unit = abi.TensorMapDataTypeFloat32, 4
		}
		// Rows as long as the swizzle's span, so that the pattern is by rows.
		span := [...]uint64{64, 32, 64, 128}[m.Swizzle]
		total, boxes := uint64(1), uint64(1)
		var first [5]int32
		for i := range m.Rank {
			m.Dims[i], m.Box[i], m.ElementStrides[i] = 1+r.Uint64N(7), 1+r.Uint32N(4), 1+r.Uint32N(2)
			if i == 0 {
				m.Dims[i], m.Box[i], m.ElementStrides[i] = 16/unit*(1+r.Uint64N(9)), uint32(span/unit), 1
				total = m.Dims[0] * unit
			} else {
				m.Strides[i] = total + 16*r.Uint64N(2)
				total = m.Strides[i] * m.Dims[i]
			}
			if first[i] = int32(r.IntN(8)) - 4; i == 0 {
				first[i] *= 16 / int32(unit)
			}
			boxes *= uint64((m.Box[i] + m.ElementStrides[i] - 1) / m.ElementStrides[i])
		}
		coords := strings.Join([]string{"%r3", "%r4", "%r5", "%r6", "%r7"}[:m.Rank], ", ")
		src := strings.NewReplacer("DIM", fmt.Sprintf("%dd", m.Rank), "COORDS", coords, "BYTES", fmt.Sprint(boxes*unit)).Replace(tensorKernel)
		d := hopperDevice(t, src)
		data := make([]byte, total)
		for i := range data {
			data[i] = byte(r.Uint32())
		}
		in, out := buffer(d, "in", data), buffer(d, "out", make([]byte, boxes*unit))
		back := make([]byte, total)
		copyTo := buffer(d, "back", back)
		k := d.prog.Kernels["k"]
		params := make([]byte, k.ParamBytes)
		for i, a := range []uint64{in, copyTo} {
			m.Address = a
			for j, w := range m.Encode() {
				hostOrder.PutUint64(params[128*i+8*j:], w)
			}
		}
		hostOrder.PutUint64(params[256:], out)
		for i, c := range first {
			hostOrder.PutUint32(params[264+4*i:], uint32(c))
		}
		if err := Run(k, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Params: params}, Options{}); err != nil {
			t.Fatalf("seed %d, map %+v: %v", seed, m, err)
		}
		got := read[byte](d, out, int(boxes*unit))
		want := make([]byte, boxes*unit)
		rows := boxes * unit / span
		for row := range rows {
			// The row's coordinates but the first.
			rest, at, inside := row, uint64(0), true
			for i := 1; i < m.Rank; i++ {
				steps := uint64((m.Box[i] + m.ElementStrides[i] - 1) / m.ElementStrides[i])
				c := int64(first[i]) + int64(rest%steps)*int64(m.ElementStrides[i])
				rest /= steps
				inside = inside && c >= 0 && c < int64(m.Dims[i])
				at += uint64(c) * m.Strides[i]
			}
			for col := range span {
				c := int64(first[0])*int64(unit) + int64(col)
				if !inside || c < 0 || c >= int64(m.Dims[0]*unit) {
					continue
				}
				unit16 := col / 16
				switch m.Swizzle {
				case abi.TensorMapSwizzle128B:
					unit16 ^= row % 8
				case abi.TensorMapSwizzle64B:
					unit16 ^= row / 2 % 4
				case abi.TensorMapSwizzle32B:
					unit16 ^= row / 4 % 2
				}
				want[row*span+16*unit16+col%16] = data[at+uint64(c)]
				if slices.Min(first[:]) >= 0 { // else it is not stored
					back[at+uint64(c)] = data[at+uint64(c)]
				}
			}
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("seed %d, map %+v, from %v: in shared memory\n%x, want\n%x", seed, m, first, got, want)
		}
		if !bytes.Equal(read[byte](d, copyTo, int(total)), back) {
			t.Fatalf("seed %d, map %+v, from %v: copied back wrongly", seed, m, first)
		}
	}
}

const tensorKernel = `
.visible .entry k(.param .align 64 .b8 from[128], .param .align 64 .b8 to[128], .param .u64 out, .param .u32 c0, .param .u32 c1, .param .u32 c2, .param .u32 c3, .param .u32 c4)
{
	.reg .pred %p<9>; .reg .b32 %r<20>; .reg .b64 %rd<20>;
	.shared .align 1024 .b8 sh[32768];
	.shared .align 8 .b64 bar;
	mov.b64 %rd1, from;
	cvta.param.u64 %rd1, %rd1;
	mov.b64 %rd2, to;
	cvta.param.u64 %rd2, %rd2;
	ld.param.u32 %r3, [c0];
	ld.param.u32 %r4, [c1];
	ld.param.u32 %r5, [c2];
	ld.param.u32 %r6, [c3];
	ld.param.u32 %r7, [c4];
	ld.param.u64 %rd3, [out];
	mov.u32 %r1, %tid.x;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra END;
	mbarrier.init.shared.b64 [bar], 1;
	mbarrier.arrive.expect_tx.shared.b64 _, [bar], BYTES;
	cp.async.bulk.tensor.DIM.shared::cluster.global.tile.mbarrier::complete_tx::bytes [sh], [%rd1, {COORDS}], [bar];
W:
	mbarrier.try_wait.parity.shared.b64 %p1, [bar], 0;
	@!%p1 bra W;
	min.s32 %r8, %r3, %r4;
	min.s32 %r8, %r8, %r5;
	min.s32 %r8, %r8, %r6;
	min.s32 %r8, %r8, %r7;
	setp.ge.s32 %p2, %r8, 0;
	@%p2 cp.async.bulk.tensor.DIM.global.shared::cta.tile.bulk_group [%rd2, {COORDS}], [sh];
	cp.async.bulk.global.shared::cta.bulk_group [%rd3], [sh], BYTES;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group 0;
END:
	ret;
}`

// TestTensorPlaces: on an H100 a box that begins elsewhere than at a multiple of 16
// bytes of a row is an illegal instruction, and so is one that is stored at a
// coordinate below 0.
func TestTensorPlaces(t *testing.T) {
	for _, always := range []bool{false, true} {
		src := strings.NewReplacer("DIM", "1d", "COORDS", "%r3", "BYTES", "32").Replace(tensorKernel)
		if always {
			src = strings.Replace(src, "@%p2 ", "", 1)
		}
		for _, first := range []int32{0, 8, 1, 4, -1, -8} {
			want := FaultKind(0)
			switch {
			case first%8 != 0:
				want = Misaligned
			case first < 0 && always:
				want = Trap
			}
			err := copyRow(t, src, abi.TensorMapInterleaveNone, first)
			if f := new(Fault); errors.As(err, &f) != (want != 0) || f.Kind != want {
				t.Errorf("from %d, stored in any case: %v: got %v, want %v", first, always, err, want)
			}
		}
	}
}

// copyRow loads 16 elements of a row of 64 from the first one on, and stores them
// to another.
func copyRow(t *testing.T, src string, interleave abi.TensorMapInterleave, first int32) error {
	d := hopperDevice(t, src)
	m := TensorMap{Type: abi.TensorMapDataTypeUint16, Rank: 1, Dims: [5]uint64{64}, Box: [5]uint32{16}, ElementStrides: [5]uint32{1}, Interleave: interleave}
	k := d.prog.Kernels["k"]
	params := make([]byte, k.ParamBytes)
	for i := range 2 {
		m.Address = buffer(d, "tensor", make([]byte, 128))
		for j, w := range m.Encode() {
			hostOrder.PutUint64(params[128*i+8*j:], w)
		}
	}
	hostOrder.PutUint64(params[256:], buffer(d, "out", make([]byte, 32)))
	hostOrder.PutUint32(params[264:], uint32(first))
	return Run(k, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{32, 1, 1}, Params: params}, Options{})
}

// TestInterleavedLayouts: they are refused by name, not copied in some other way.
func TestInterleavedLayouts(t *testing.T) {
	src := strings.NewReplacer("DIM", "1d", "COORDS", "%r3", "BYTES", "32").Replace(tensorKernel)
	for _, i := range []abi.TensorMapInterleave{abi.TensorMapInterleave16B, abi.TensorMapInterleave32B} {
		f := new(Fault)
		if err := copyRow(t, src, i, 0); !errors.As(err, &f) || f.Kind != Trap || !strings.Contains(f.Error(), "does not have interleaved layouts") || !strings.Contains(f.Instr, "cp.async.bulk.tensor") {
			t.Errorf("interleave %d: %v", i, err)
		}
	}
}
