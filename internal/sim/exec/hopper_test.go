package exec

import (
	"errors"
	"strings"
	"testing"

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
		{"noComplete completes", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive.noComplete.shared.b64 %rd4, [bar], 2;"), "would complete the phase"},
		{"too many bytes", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.expect_tx.shared.b64 [bar], 1048576;"), "1048576 bytes expected"},
		{"old state", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.arrive.shared.b64 %rd4, [bar];\nmbarrier.arrive.shared.b64 _, [bar];\nmbarrier.test_wait.shared.b64 %p1, [bar], %rd4;"), "only the current phase"},
		{"parity 2", BarrierMisuse, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmov.u32 %r2, 2;\nmbarrier.test_wait.parity.shared.b64 %p1, [bar], %r2;"), "parity of 2"},
		{"missing arrival", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nmbarrier.arrive.shared.b64 _, [bar];\n" + wait0), "phase 0: 1 of 2 arrivals and 0 bytes missing"},
		{"missing bytes", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 1;\nmbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;\n" + wait0), "64 bytes missing"},
		{"test_wait for ever", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\nW:\nmbarrier.test_wait.parity.shared.b64 %p1, [bar], 0;\n@!%p1 bra W;\n"), "2 of 2"},
		{"wait and barrier", Deadlock, 1, leader("mbarrier.init.shared.b64 [bar], 2;\n"+wait0) + "bar.sync 0;", "barrier 0"},
		{"cluster arrive twice", BarrierMisuse, 2, "barrier.cluster.arrive;\nbarrier.cluster.arrive;", "second time"},
		{"cluster wait alone", BarrierMisuse, 2, "barrier.cluster.wait;", "without having arrived"},
		{"cluster, half a warp", BarrierMisuse, 2, "setp.lt.u32 %p1, %r1, 7;\n@%p1 bra A;\nbarrier.cluster.arrive.aligned;\nbra B;\nA:\nbarrier.cluster.arrive.aligned;\nB:\nbarrier.cluster.wait;", "only lanes"},
		{"cluster, one block waits", Deadlock, 2, "mov.u32 %r2, %cluster_ctarank;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 bra A;\nbar.sync 1, 160;\nA:\n" + meetCluster, "the cluster's barrier"},
		{"no such rank", OutOfBounds, 2, "mov.u32 %r2, sh;\nmapa.shared::cluster.u32 %r3, %r2, 2;", "block 2 of a cluster of 2"},
		{"beyond a neighbour's", OutOfBounds, 2, "mov.u32 %r2, sh;\nmapa.shared::cluster.u32 %r3, %r2, 1;\nst.shared::cluster.u32 [%r3+4200], %r1;", "shared memory"},
		{"neighbour without ::cluster", OutOfBounds, 2, "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nxor.b32 %r4, %r4, 1;\nmapa.shared::cluster.u32 %r3, %r2, %r4;\nst.shared.u32 [%r3], %r1;", "shared memory"},
		{"neighbour has exited", UseAfterFree, 2, "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nsetp.eq.u32 %p1, %r4, 0;\n@%p1 exit;\nmapa.shared::cluster.u32 %r3, %r2, 0;\nst.shared::cluster.u32 [%r3], %r1;", "threads have all exited"},
		{"unwritten by the neighbour", Uninitialised, 2, "mov.u32 %r2, sh;\nmov.u32 %r4, %cluster_ctarank;\nxor.b32 %r4, %r4, 1;\nmapa.shared::cluster.u32 %r3, %r2, %r4;\nld.shared::cluster.u32 %r5, [%r3];\nst.global.u32 [%rd1], %r5;\n" + meetCluster, "nobody wrote"},
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

func hopperDevice(t testing.TB, src string) *device {
	t.Helper()
	mem := NewMemory(1 << 31)
	m, err := ptx.Parse(strings.NewReplacer("sm_90", "sm_90a", "8.0", "8.4").Replace(header) + src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	p, err := Load(m, mem, 90)
	if err != nil {
		t.Fatal(err)
	}
	return &device{t, mem, p}
}

// cluster runs two clusters of kernel k.
func (d *device) cluster(size, block uint32, workers int, vals ...any) error {
	k := d.prog.Kernels["k"]
	return Run(k, Launch{Grid: [3]uint32{2 * size, 1, 1}, Block: [3]uint32{block, 1, 1}, Cluster: [3]uint32{size, 1, 1}, Params: k.pack(vals...)}, Options{Workers: workers, Fuel: 1 << 26})
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
