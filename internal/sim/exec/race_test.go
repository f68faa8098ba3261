package exec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// raceKernel has thread t in %r0, its lane in %r1, its warp in %r2, the address
// of its word of shared memory in %r3, that of its neighbour's in %r4, that of
// the word 32 further in %r5, and a zero in %r6.
func raceKernel(body string) string {
	return `.visible .entry k(.param .u64 p) {
	.reg .b32 %r<32>; .reg .b64 %d<8>; .reg .pred %p<8>;
	.shared .align 16 .b32 pad[4];
	.shared .align 16 .b32 tile[256];
	mov.u32 %r0, %tid.x; and.b32 %r1, %r0, 31; shr.u32 %r2, %r0, 5;
	mov.u32 %r7, tile; mad.lo.u32 %r3, %r0, 4, %r7;
	xor.b32 %r8, %r0, 1; mad.lo.u32 %r4, %r8, 4, %r7;
	xor.b32 %r8, %r0, 32; mad.lo.u32 %r5, %r8, 4, %r7;
	mov.u32 %r6, 0;
	setp.eq.u32 %p0, %r0, 0; setp.lt.u32 %p1, %r0, 32; setp.lt.u32 %p2, %r1, 16;
	ld.param.u64 %d0, [p];
` + body + "\nret;\n}\n"
}

var sharedRaceCases = []struct {
	name, body string
	want       FaultKind // 0: clean
	says       string
}{
	{"own word", "st.shared.u32 [%r3], %r0; ld.shared.u32 %r9, [%r3];", 0, ""},
	{"barrier between warps", "st.shared.u32 [%r3], %r0; bar.sync 0; ld.shared.u32 %r9, [%r5];", 0, ""},
	{"write then read, warps", "st.shared.u32 [%r3], %r0; ld.shared.u32 %r9, [%r5];", SharedRace, "tile+128: thread (32,0,0) at line"},
	{"read then write, warps", "st.shared.u32 [%r3], %r0; bar.sync 0; ld.shared.u32 %r9, [%r5]; st.shared.u32 [%r3], %r9;", SharedRace, "read it without a barrier"},
	{"write then write, warps", "mad.lo.u32 %r9, %r1, 4, %r7; st.shared.u32 [%r9], %r2;", SharedRace, "wrote it"},
	{"warp barrier is none between warps", "st.shared.u32 [%r3], %r0; bar.warp.sync -1; ld.shared.u32 %r9, [%r5];", SharedRace, ""},
	{"lanes", "st.shared.u32 [%r3], %r0; ld.shared.u32 %r9, [%r4];", SharedRace, "bar.warp.sync"},
	{"lanes with a warp barrier", "st.shared.u32 [%r3], %r0; bar.warp.sync -1; ld.shared.u32 %r9, [%r4];", 0, ""},
	{"a shuffle orders no memory", "st.shared.u32 [%r3], %r0; shfl.sync.bfly.b32 %r9, %r0, 1, 31, -1; ld.shared.u32 %r9, [%r4];", SharedRace, ""},
	{"one instruction, other values", "st.shared.u32 [tile], %r1;", SharedRace, "by the same instruction"},
	{"one instruction, same value, one warp", "@%p1 st.shared.u32 [tile], %r6;", 0, ""},
	{"one instruction, same value", "st.shared.u32 [tile], %r6;", 0, ""},
	{"one instruction, same value, one warp after the other", "@%p1 bra far; bra near; far: bar.warp.sync -1; near: st.shared.v2.u32 [tile+8], {%r6, %r6};", 0, ""},
	{"one instruction, same byte", "shl.b32 %r9, %r2, 8; st.shared.u8 [tile+1], %r9;", 0, ""},
	{"one instruction, same value, and read before all have", "st.shared.u32 [tile], %r6; ld.shared.u32 %r9, [tile];", SharedRace, ""},
	{"same value, two instructions", "@%p1 st.shared.u32 [tile], %r6; @!%p1 st.shared.u32 [tile], %r6;", SharedRace, "wrote it"},
	{"one instruction, parts of the value differ", "st.shared.v2.u32 [tile+8], {%r6, %r2};", SharedRace, "wrote it"},
	{"atomics", "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; red.shared.add.u32 [tile], %r0; bar.sync 0; ld.shared.u32 %r9, [tile];", 0, ""},
	{"atomic and plain read", "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; red.shared.add.u32 [tile], %r0; ld.shared.u32 %r9, [tile];", SharedRace, ""},
	{"atomics, set to zero before without a barrier", "@!%p1 bra done; @%p0 st.shared.u32 [tile], %r6; red.shared.add.u32 [tile], 1; done:", SharedRace, "wrote it without"},
	{"half of a warp", "@%p2 bra low; bra done; low: st.shared.u32 [%r3], %r0; bar.warp.sync 0xffff; ld.shared.u32 %r9, [%r4]; done:", 0, ""},
	{"half of a warp, other half reads", "@%p2 bra low; bra meet; low: st.shared.u32 [%r3], %r0; bar.warp.sync 0xffff; meet: xor.b32 %r9, %r0, 16; mad.lo.u32 %r9, %r9, 4, %r7; @!%p2 ld.shared.u32 %r10, [%r9];", SharedRace, ""},
	{"bytes of a word", "add.u32 %r9, %r7, %r0; st.shared.u8 [%r9], %r0; ld.shared.u8 %r10, [%r9];", 0, ""},
	{"neighbouring byte", "add.u32 %r9, %r7, %r0; st.shared.u8 [%r9], %r0; xor.b32 %r9, %r9, 1; ld.shared.u8 %r10, [%r9];", SharedRace, ""},
	{"bytes, then words", "add.u32 %r9, %r7, %r0; st.shared.u8 [%r9], %r0; bar.sync 0; and.b32 %r9, %r9, -4; ld.shared.u32 %r10, [%r9]; bar.sync 0; @%p0 st.shared.u32 [tile], %r6;", 0, ""},
	{"arrive and sync", "@%p1 bra w; bar.sync 1, 64; ld.shared.u32 %r9, [%r5]; bra done; w: st.shared.u32 [%r3], %r0; bar.arrive 1, 64; done:", 0, ""},
	{"written after arrive", "@%p1 bra w; bar.sync 1, 64; ld.shared.u32 %r9, [%r5]; bra done; w: bar.arrive 1, 64; st.shared.u32 [%r3], %r0; done:", SharedRace, ""},
	{"two barriers, wrong one", "@%p1 bra w; bar.sync 1, 32; ld.shared.u32 %r9, [%r5]; bra done; w: st.shared.u32 [%r3], %r0; bar.sync 2, 32; done:", SharedRace, ""},
	{"flag", "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; setp.eq.u32 %p3, %r0, 32; @!%p0 bra other; st.shared.u32 [tile+4], %r0; fence.acq_rel.gpu; st.volatile.shared.u32 [tile], 1; other: @!%p3 bra done; spin: ld.volatile.shared.u32 %r9, [tile]; setp.eq.u32 %p4, %r9, 0; @%p4 bra spin; fence.acq_rel.gpu; ld.shared.u32 %r9, [tile+4]; done:", 0, ""},
	{"flag, fences of the block", "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; setp.eq.u32 %p3, %r0, 32; @!%p0 bra other; st.shared.u32 [tile+4], %r0; fence.acq_rel.cta; st.volatile.shared.u32 [tile], 1; other: @!%p3 bra done; spin: ld.volatile.shared.u32 %r9, [tile]; setp.eq.u32 %p4, %r9, 0; @%p4 bra spin; fence.acq_rel.cta; ld.shared.u32 %r9, [tile+4]; done:", 0, ""},
	{"flag, one fence of the block is missing", "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; setp.eq.u32 %p3, %r0, 32; @!%p0 bra other; st.shared.u32 [tile+4], %r0; st.volatile.shared.u32 [tile], 1; other: @!%p3 bra done; spin: ld.volatile.shared.u32 %r9, [tile]; setp.eq.u32 %p4, %r9, 0; @%p4 bra spin; fence.acq_rel.cta; ld.shared.u32 %r9, [tile+4]; done:", SharedRace, ""},
}

// handOver is a warp that writes and arrives at a barrier in shared memory, and
// another that waits there and reads.
func handOver(arrivals int, arrive, wait string) string {
	return fmt.Sprintf("@%%p0 mbarrier.init.shared.b64 [tile+512], %d; setp.eq.u32 %%p3, %%r1, 0; setp.ne.u32 %%p4, %%r1, 0; bar.sync 0; @!%%p1 bra w; st.shared.u32 [%%r3], %%r0; %s bra done; w: %s ld.shared.u32 %%r9, [%%r5]; done:", arrivals, arrive, wait)
}

const (
	arriveAll  = "mbarrier.arrive.shared.b64 _, [tile+512];"
	arriveLane = "@%p3 mbarrier.arrive.shared.b64 _, [tile+512];"
	waitAll    = "again: mbarrier.try_wait.parity.shared.b64 %p5, [tile+512], 0; @!%p5 bra again;"
	waitLane   = "@%p4 bra others; " + waitAll + " others:"
)

var handOverCases = []struct {
	name, body string
	want       FaultKind
	says       string
}{
	{"all arrive, all wait", handOver(32, arriveAll, waitAll), 0, ""},
	{"one lane arrives for its warp", handOver(1, "bar.warp.sync -1;"+arriveLane, waitAll), 0, ""},
	{"one lane arrives and the others may not be so far", handOver(1, arriveLane, waitAll), SharedRace, "thread (1,0,0)"},
	{"one lane waits for its warp", handOver(32, arriveAll, waitLane+"bar.warp.sync -1;"), 0, ""},
	{"one lane waits and the others go on", handOver(32, arriveAll, waitLane), SharedRace, ""},
	{"one lane waits for some of its warp", handOver(32, arriveAll, waitLane+"@!%p2 bra done; bar.warp.sync 0xffff;"), 0, ""},
	{"one lane of a half waits and the other half goes on", handOver(32, arriveAll, waitLane+"@!%p2 bra high; bar.warp.sync 0xffff; high:"), SharedRace, ""},
	{"one lane hands over what it wrote", handOver(1, "@%p3 st.shared.u32 [%r3], %r0;"+arriveLane, waitAll+"@%p4 bra done;"), 0, ""},
	{"half of a warp meets and one lane arrives", handOver(1, "@!%p2 bra done; bar.warp.sync 0xffff;"+arriveLane, waitAll+"@!%p2 bra done;"), 0, ""},
	{"lanes arrive one after the other", handOver(32, "@%p2 bra low; "+arriveAll+" bra done; low: "+arriveAll, waitAll), 0, ""},
	{"a wait that is not repeated", handOver(32, arriveAll, "mbarrier.try_wait.parity.shared.b64 %p5, [tile+512], 0;"), SharedRace, ""},
	{"a wait that comes too early in another order", "@%p0 mbarrier.init.shared.b64 [tile+512], 64; bar.sync 0; st.shared.u32 [%r3], %r0; " + arriveAll + " mbarrier.test_wait.parity.shared.b64 %p5, [tile+512], 0; ld.shared.u32 %r9, [%r5];", SharedRace, ""},
	{"a wait for what is known to be complete", "@%p0 mbarrier.init.shared.b64 [tile+512], 64; bar.sync 0; st.shared.u32 [%r3], %r0; " + arriveAll + " bar.sync 0; mbarrier.test_wait.parity.shared.b64 %p5, [tile+512], 0; @!%p5 trap;", 0, ""},
	{"what a lane heard is handed on", "@%p0 mbarrier.init.shared.b64 [tile+512], 1; @%p0 mbarrier.init.shared.b64 [tile+520], 1; bar.sync 0; @!%p0 bra next; st.shared.u32 [tile+256], %r6; " + arriveAll + " bra done; next: setp.eq.u32 %p3, %r0, 9; setp.eq.u32 %p4, %r0, 40; @!%p3 bra third; " + waitAll +
		" mbarrier.arrive.shared.b64 _, [tile+520]; third: @!%p4 bra done; more: mbarrier.try_wait.parity.shared.b64 %p5, [tile+520], 0; @!%p5 bra more; ld.shared.u32 %r9, [tile+256]; done:", 0, ""},
	{"a barrier used before it is there", "@!%p1 bra done; @%p0 mbarrier.init.shared.b64 [tile+512], 32; mbarrier.arrive.shared.b64 _, [tile+512]; done:", SharedRace, "mbarrier.init"},
	{"a barrier ended while it is used", "@%p0 mbarrier.init.shared.b64 [tile+512], 33; bar.sync 0; @!%p1 bra done; mbarrier.arrive.shared.b64 _, [tile+512]; @%p0 mbarrier.inval.shared.b64 [tile+512]; done:", SharedRace, "mbarrier.arrive"},
	{"a barrier ended after it was used", "@%p0 mbarrier.init.shared.b64 [tile+512], 33; bar.sync 0; @!%p1 bra met; mbarrier.arrive.shared.b64 _, [tile+512]; met: bar.sync 0; @%p0 mbarrier.inval.shared.b64 [tile+512]; bar.sync 0; @%p0 st.shared.u32 [tile+512], %r6;", 0, ""},
}

func TestSharedRaces(t *testing.T) {
	for _, c := range slices.Concat(sharedRaceCases, handOverCases) {
		for seed := range uint64(4) {
			err := newDevice(t, raceKernel(c.body)).run("k", 2, 64, Options{Workers: 1, Seed: seed * 0x4000000000000123, Races: true}, uint64(0))
			var f *Fault
			switch errors.As(err, &f); {
			case c.want == 0 && err != nil:
				t.Errorf("%s: %v", c.name, err)
			case c.want != 0 && (f == nil || f.Kind != c.want || seed == 0 && !strings.Contains(f.Detail, c.says)):
				t.Errorf("%s, seed %d: %v, want %v that says %q", c.name, seed, err, c.want, c.says)
			}
		}
	}
}

// TestReaders: whoever writes must come after each of the warps that have read,
// however many there are and in whatever order.
func TestReaders(t *testing.T) {
	const warps = 8
	run := func(without int, again string) error {
		body := fmt.Sprintf("@%%p0 st.shared.u32 [tile], %%r6; bar.sync 0; ld.shared.u32 %%r9, [tile]; %s setp.eq.u32 %%p3, %%r2, %d; @%%p3 bra done; bar.sync 1, %d; setp.eq.u32 %%p4, %%r0, %d; @%%p4 st.shared.u32 [tile], %%r6; done:",
			again, without, 32*(warps-1), 32*((without+1)%warps))
		return newDevice(t, raceKernel(body)).run("k", 1, 32*warps, Options{Workers: 1, Races: true}, uint64(0))
	}
	for _, again := range []string{"", "setp.lt.u32 %p5, %r1, 9; @%p5 ld.shared.u32 %r9, [tile]; bar.warp.sync -1; @%p5 ld.shared.u8 %r9, [tile+1];"} {
		for w := range warps {
			var f *Fault
			if err := run(w, again); !errors.As(err, &f) || f.Kind != SharedRace || !strings.Contains(f.Detail, fmt.Sprintf("thread (%d,0,0)", 32*w)) {
				t.Errorf("nobody waits for warp %d: %v", w, err)
			}
		}
	}
	const all = "@%p0 st.shared.u32 [tile], %r6; bar.sync 0; ld.shared.u32 %r9, [tile]; bar.sync 1, 256; @%p0 st.shared.u32 [tile], %r6;"
	if err := newDevice(t, raceKernel(all)).run("k", 1, 32*warps, Options{Workers: 1, Races: true}, uint64(0)); err != nil {
		t.Error(err)
	}
}

// TestListedAccesses holds what is found with a list of recent accesses against
// what is found where every access goes to its cells at once, in random kernels.
func TestListedAccesses(t *testing.T) {
	const seed = 21
	r := newRand(seed)
	steps := []string{
		"st.shared.u32 [%r3], %r0;", "ld.shared.u32 %r9, [%r3];", "ld.shared.u32 %r9, [%r4];", "ld.shared.u32 %r9, [%r5];", "st.shared.u32 [%r5], %r0;",
		"st.shared.u32 [%r3+512], %r0;", "ld.shared.u32 %r9, [%r5+512];", "@%p1 st.shared.u32 [%r3+512], %r0;", "@%p2 ld.shared.u32 %r9, [%r4+512];",
		"bar.sync 0;", "bar.sync 0;", "bar.warp.sync -1;", "bar.sync 1, 64;", "add.u32 %r9, %r2, 2; bar.sync %r9, 32;", "@%p2 ld.shared.u32 %r9, [%r4];", "@%p0 st.shared.u32 [tile], %r0;",
		"ld.shared.v2.u32 {%r9, %r10}, [%r11];", "st.shared.v2.u32 [%r11], {%r0, %r1};", "ld.shared.u8 %r9, [%r3+1];", "st.shared.u8 [%r3+2], %r0;",
		"red.shared.add.u32 [%r3], 1;", "ld.volatile.shared.u32 %r9, [%r4];", "st.shared.u32 [%r12], %r6;", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r9}, [%r13];",
	}
	races := 0
	for n := range 400 {
		body := []string{"mad.lo.u32 %r11, %r0, 8, %r7; mad.lo.u32 %r12, %r1, 4, %r7; mad.lo.u32 %r13, %r1, 16, %r7; mad.lo.u32 %r14, %r0, 16, %r7; st.shared.v4.u32 [%r14], {%r6, %r6, %r6, %r6}; bar.sync 0;"}
		for range 2 + r.IntN(8) {
			body = append(body, steps[r.IntN(len(steps))])
		}
		d := newDevice(t, raceKernel(strings.Join(body, "\n")))
		o := Options{Workers: 1, Seed: r.Uint64N(3), Races: true}
		got := d.run("k", 2, 64, o, uint64(0))
		o.allCells = true
		want := d.run("k", 2, 64, o, uint64(0))
		// Which earlier access a race is with may differ.
		at := func(err error) string {
			s, _, _ := strings.Cut(fmt.Sprint(err), ": tile")
			return s
		}
		if at(got) != at(want) {
			t.Fatalf("seed %d, kernel %d:\n%s\nlisted: %v\ncells: %v", seed, n, strings.Join(body, "\n"), got, want)
		}
		if want != nil {
			races++
		}
	}
	if races < 100 || races > 300 {
		t.Errorf("%d of 400 kernels have races: too few of one kind to tell", races)
	}
}

var globalRaceCases = []struct {
	name, body string
	want       FaultKind
}{
	{"own words", "mov.u32 %r9, %ctaid.x; mad.lo.u32 %r9, %r9, 64, %r0; mad.wide.u32 %d0, %r9, 4, %d0; st.global.u32 [%d0], %r0; ld.global.u32 %r9, [%d0];", 0},
	{"blocks write the same words", "mad.wide.u32 %d0, %r0, 4, %d0; st.global.u32 [%d0], %r0;", GlobalRace},
	{"warps write the same value", "and.b32 %r9, %r0, 31; mad.wide.u32 %d0, %r9, 4, %d0; mov.u32 %r10, %ctaid.x; setp.eq.u32 %p3, %r10, 0; @%p3 st.global.u32 [%d0], %r9;", GlobalRace},
	{"blocks read the same words", "mad.wide.u32 %d0, %r0, 4, %d0; ld.global.u32 %r9, [%d0];", 0},
	{"atomics", "red.global.add.u32 [%d0], 1;", 0},
	{"atomics, plain read", "red.global.add.u32 [%d0], 1; ld.global.u32 %r9, [%d0];", GlobalRace},
	{"atomics, set to zero before without a barrier", "mov.u32 %r9, %ctaid.x; mad.wide.u32 %d0, %r9, 4, %d0; @%p0 st.global.u32 [%d0], %r6; red.global.add.u32 [%d0], 1;", GlobalRace},
	{"atomics, set to zero before", "mov.u32 %r9, %ctaid.x; mad.wide.u32 %d0, %r9, 4, %d0; @%p0 st.global.u32 [%d0], %r6; bar.sync 0; red.global.add.u32 [%d0], 1;", 0},
	{"warps of a block", "mov.u32 %r9, %ctaid.x; mad.lo.u32 %r9, %r9, 64, %r1; mad.wide.u32 %d0, %r9, 4, %d0; st.global.u32 [%d0], %r0;", GlobalRace},
	{"ticket", ticket("fence.acq_rel.gpu;", "bar.sync 0;", "fence.acq_rel.gpu;"), 0},
	{"ticket, every thread fences", ticket("", "fence.acq_rel.gpu; bar.sync 0;", "fence.acq_rel.gpu;"), 0},
	{"ticket that releases", strings.Replace(ticket("", "bar.sync 0;", "fence.acq_rel.gpu;"), "atom", "atom.release.gpu", 1), 0},
	{"ticket that releases to the block", strings.Replace(ticket("", "bar.sync 0;", "fence.acq_rel.gpu;"), "atom", "atom.release.cta", 1), GlobalRace},
	{"ticket without a fence", ticket("", "bar.sync 0;", "fence.acq_rel.gpu;"), GlobalRace},
	{"ticket with a fence of the block only", ticket("fence.acq_rel.cta;", "bar.sync 0;", "fence.acq_rel.gpu;"), GlobalRace},
	{"ticket without the fence after", ticket("fence.acq_rel.gpu;", "bar.sync 0;", ""), GlobalRace},
	{"ticket that the last resets", strings.Replace(ticket("fence.acq_rel.gpu;", "bar.sync 0;", "fence.acq_rel.gpu;"), "done:", "@%p0 st.global.u32 [%d0], %r6; done:", 1), 0},
	{"ticket that the first resets", strings.NewReplacer("eq.u32", "ne.u32", "%d1, %r0, 8, %d0; ld.global.v2.u32 {%r12, %r13}, [%d1+64];", "%d1, %r0, 8, %d0; @%p0 st.global.u32 [%d0], %r6;").Replace(ticket("fence.acq_rel.gpu;", "bar.sync 0;", "fence.acq_rel.gpu;")), GlobalRace},
	{"a sum that one block reads", "@%p0 red.global.add.u32 [%d0], 1; mov.u32 %r9, %ctaid.x; setp.eq.u32 %p3, %r9, 0; @%p3 bra done; @%p0 ld.global.u32 %r9, [%d0]; done:", GlobalRace},
	{"ticket without a barrier", ticket("fence.acq_rel.gpu;", "", "fence.acq_rel.gpu;"), GlobalRace},
}

// ticket is two blocks that each write their words, and the last of which reads
// all of them.
func ticket(before, barrier, after string) string {
	return `mov.u32 %r9, %ctaid.x; mad.lo.u32 %r10, %r9, 64, %r0; mad.wide.u32 %d1, %r10, 4, %d0; st.global.u32 [%d1+64], %r0;
` + barrier + `
@!%p0 bra arrived; ` + before + ` atom.global.add.u32 %r11, [%d0], 1; ` + after + ` st.shared.u32 [tile], %r11;
arrived: bar.sync 0; ld.shared.u32 %r11, [tile]; setp.eq.u32 %p3, %r11, 0; @%p3 bra done;
mad.wide.u32 %d1, %r0, 8, %d0; ld.global.v2.u32 {%r12, %r13}, [%d1+64]; done:`
}

func TestGlobalRaces(t *testing.T) {
	for _, c := range globalRaceCases {
		for seed := range uint64(4) {
			d := newDevice(t, raceKernel(c.body))
			buf := buffer(d, "buf", make([]uint32, 256))
			err := d.run("k", 2, 64, Options{Seed: seed << 62, Workers: 1, GlobalRaces: true}, buf)
			var f *Fault
			if errors.As(err, &f); c.want == 0 && err != nil || c.want != 0 && (f == nil || f.Kind != c.want) {
				t.Errorf("%s, seed %d: %v, want %v", c.name, seed, err, c.want)
			}
		}
	}
}

// TestPanicIsFault holds that a mistake of the simulator is an error.
func TestPanicIsFault(t *testing.T) {
	d := newDevice(t, raceKernel("st.shared.u32 [%r3], %r0;"))
	c := &d.prog.Kernels["k"].code
	for i := range c.insts {
		if c.insts[i].mem != nil && c.insts[i].mem.store {
			c.insts[i].fn = func(*ctx, *inst) { panic("deliberate") }
		}
	}
	var f *Fault
	if err := d.run("k", 8, 64, Options{Workers: 4}, uint64(0)); !errors.As(err, &f) || f.Kind != Internal || !strings.Contains(f.Detail, "deliberate") {
		t.Errorf("%v", err)
	}
}

// TestSeedShuffles holds that seeds bring warps and blocks into different orders.
func TestSeedShuffles(t *testing.T) {
	body := "setp.eq.u32 %p3, %r1, 0; mov.u32 %r9, %ctaid.x; mad.lo.u32 %r9, %r9, 2, %r2; @%p3 atom.global.exch.b32 %r11, [%d0], %r9;"
	last := map[uint32]bool{}
	for seed := range uint64(64) {
		d := newDevice(t, raceKernel(body))
		buf := buffer(d, "buf", make([]uint32, 1))
		if err := d.run("k", 2, 64, Options{Workers: 1, Seed: seed}, buf); err != nil {
			t.Fatal(err)
		}
		last[read[uint32](d, buf, 1)[0]] = true
	}
	if len(last) != 4 {
		t.Errorf("of four warps in two blocks, only %v came last in 64 orders", last)
	}
}
