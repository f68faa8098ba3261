package exec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// In asyncKernel %r3 and %r5 are words of shared memory as in raceKernel, %d0 the
// thread's word of the input, %d1 that of the output.
func asyncKernel(body string) string {
	return raceKernel("add.u64 %d1, %d0, 256; mad.wide.u32 %d0, %r0, 4, %d0; mad.wide.u32 %d1, %r0, 4, %d1;" + body)
}

const copyWord = "cp.async.ca.shared.global [%r3], [%d0], 4; "

var asyncCases = []struct {
	name, body string
	want       FaultKind
	says       string
}{
	{"own word", copyWord + "cp.async.commit_group; cp.async.wait_group 0; ld.shared.u32 %r9, [%r3]; st.global.u32 [%d1], %r9;", 0, ""},
	{"wait_all without commit", copyWord + "cp.async.wait_all; ld.shared.u32 %r9, [%r3]; st.global.u32 [%d1], %r9;", 0, ""},
	{"other warp's, after a barrier", copyWord + "cp.async.wait_all; bar.sync 0; ld.shared.u32 %r9, [%r5]; xor.b32 %r10, %r0, 32; sub.u32 %r10, %r10, %r0; cvt.s64.s32 %d2, %r10; shl.b64 %d2, %d2, 2; add.u64 %d1, %d1, %d2; st.global.u32 [%d1], %r9;", 0, ""},
	{"other warp's, no barrier", copyWord + "cp.async.wait_all; ld.shared.u32 %r9, [%r5];", SharedRace, ""},
	{"barrier before the wait", copyWord + "bar.sync 0; cp.async.wait_all; bar.warp.sync -1; ld.shared.u32 %r9, [%r5];", SharedRace, ""},
	{"no wait", copyWord + "ld.shared.u32 %r9, [%r3];", AsyncMisuse, "tile+0: a copy of thread (0,0,0)"},
	{"wait without commit", copyWord + "cp.async.wait_group 0; ld.shared.u32 %r9, [%r3];", AsyncMisuse, "no cp.async.wait_group"},
	{"wait for all but one", copyWord + "cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r9, [%r3];", AsyncMisuse, ""},
	{"the older of two", copyWord + "cp.async.commit_group; cp.async.ca.shared.global [%r3+256], [%d0], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r9, [%r3]; st.global.u32 [%d1], %r9; cp.async.wait_group 0;", 0, ""},
	{"the younger of two", copyWord + "cp.async.commit_group; cp.async.ca.shared.global [%r3+256], [%d0], 4; cp.async.commit_group; cp.async.wait_group 1; ld.shared.u32 %r9, [%r3+256];", AsyncMisuse, ""},
	{"written while in flight", copyWord + "st.shared.u32 [%r3], %r0;", AsyncMisuse, ""},
	{"copied to twice", copyWord + copyWord, AsyncMisuse, ""},
	{"never waited for", copyWord + "cp.async.commit_group;", AsyncMisuse, "ends with 1 copies in flight"},
	{"zeros after the source's size", "cp.async.ca.shared.global [%r3], [%d0], 4, %r6; cp.async.wait_all; ld.shared.u32 %r9, [%r3]; add.u32 %r9, %r9, %r0; st.global.u32 [%d1], %r9;", 0, ""},
	{"the source overwritten", copyWord + "st.global.u32 [%d0], %r0; cp.async.wait_all;", AsyncMisuse, "buf: a copy of thread (0,0,0) at line"},
	{"the source overwritten by another thread", copyWord + "@%p0 st.global.u32 [%d0+128], %r0; cp.async.wait_all;", AsyncMisuse, "a copy of thread (32,0,0)"},
	{"the source overwritten between waits", copyWord + "cp.async.commit_group; cp.async.ca.shared.global [%r3+256], [%d1], 4; cp.async.commit_group; cp.async.wait_group 1; st.global.u32 [%d0], %r0; st.global.u32 [%d1], %r0; cp.async.wait_group 0;", AsyncMisuse, "at line"},
	{"the source overwritten after the wait", copyWord + "cp.async.commit_group; cp.async.ca.shared.global [%r3+256], [%d1], 4; cp.async.commit_group; cp.async.wait_group 1; st.global.u32 [%d0], 7; cp.async.wait_group 0; ld.shared.u32 %r9, [%r3]; st.global.u32 [%d1], %r9;", 0, ""},
	{"the source read", copyWord + "ld.global.u32 %r9, [%d0]; cp.async.wait_all; st.global.u32 [%d1], %r9;", 0, ""},
	{"over what is still read", "st.shared.u32 [%r3], %r0; bar.sync 0; ld.shared.u32 %r9, [%r5]; " + copyWord + "cp.async.wait_all;", SharedRace, ""},
}

// copyArrives is a copy by each thread that arrives at a barrier in shared memory.
func copyArrives(count int, arrive, then string) string {
	return fmt.Sprintf("@%%p0 mbarrier.init.shared.b64 [tile+512], %d; bar.sync 0; %s cp.async.mbarrier.arrive.%sshared.b64 [tile+512]; %s", count, copyWord, arrive, then)
}

// TestFreedBetweenLaunches: what a kernel remembers of memory from one launch to
// the next does not let a lane's copy read it once it is freed.
func TestFreedBetweenLaunches(t *testing.T) {
	d := newDevice(t, asyncKernel(copyWord+"cp.async.wait_all;"))
	buf := buffer(d, "buf", make([]uint32, 128))
	for range 2 {
		if err := d.run("k", 1, 64, Options{Workers: 1}, buf); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.mem.Free(buf); err != nil {
		t.Fatal(err)
	}
	var f *Fault
	if err := d.run("k", 1, 64, Options{Workers: 1}, buf); !errors.As(err, &f) || f.Kind != UseAfterFree || f.Label != "buf" {
		t.Errorf("%v, want a use after free of buf", err)
	}
}

const useWord = "ld.shared.u32 %r9, [%r3]; st.global.u32 [%d1], %r9;"

var arrivingCases = []struct {
	name, body string
	want       FaultKind
	says       string
}{
	{"arrival waited for", copyArrives(64, "noinc.", waitAll+useWord), 0, ""},
	{"arrival not waited for", copyArrives(64, "noinc.", useWord+waitAll), AsyncMisuse, "nobody has waited for the barrier at which it arrives"},
	{"arrival, but the thread waits itself", copyArrives(64, "noinc.", "cp.async.wait_all;"+useWord), 0, ""},
	{"arrival, both wait", copyArrives(64, "noinc.", "cp.async.wait_all;"+waitAll+useWord), 0, ""},
	{"arrival that nobody waits for", copyArrives(64, "noinc.", ""), AsyncMisuse, "without waiting for the barrier"},
	{"arrival besides the thread's own", copyArrives(64, "", arriveAll+waitAll+useWord), 0, ""},
	{"arrival in place of the thread's own", copyArrives(64, "", waitAll+useWord), Deadlock, "64 of 64 arrivals"},
	{"other warp's, after its arrival", copyArrives(64, "noinc.", waitAll+"ld.shared.u32 %r9, [%r5];") + useWord, 0, ""},
	{"copy after the arrival", copyArrives(64, "noinc.", "cp.async.ca.shared.global [%r3+256], [%d0], 4;"+waitAll+"ld.shared.u32 %r9, [%r3+256];"), AsyncMisuse, "no cp.async.wait_group"},
	{"two phases", copyArrives(64, "noinc.", waitAll+"bar.sync 0;"+copyWord+"cp.async.mbarrier.arrive.noinc.shared.b64 [tile+512]; more: mbarrier.try_wait.parity.shared.b64 %p5, [tile+512], 1; @!%p5 bra more;"+useWord), 0, ""},
	{"two phases, the first waited for again", copyArrives(64, "noinc.", waitAll+"bar.sync 0;"+copyWord+"cp.async.mbarrier.arrive.noinc.shared.b64 [tile+512]; more: mbarrier.try_wait.parity.shared.b64 %p5, [tile+512], 0; @!%p5 bra more;"+useWord), AsyncMisuse, "nobody has waited"},
}

func TestAsyncCopies(t *testing.T) {
	for _, c := range slices.Concat(asyncCases, arrivingCases) {
		d := newDevice(t, asyncKernel(c.body))
		in := make([]uint32, 128)
		for i := range 64 {
			in[i] = uint32(i)
		}
		buf := buffer(d, "buf", in)
		err := d.run("k", 1, 64, Options{Races: true}, buf)
		var f *Fault
		switch errors.As(err, &f); {
		case c.want == 0 && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.want != 0 && (f == nil || f.Kind != c.want || !strings.Contains(f.Detail, c.says)):
			t.Errorf("%s: %v, want %v that says %q", c.name, err, c.want, c.says)
		case c.want == 0:
			for i, v := range read[uint32](d, buf, 128)[64:] {
				if v != uint32(i) {
					t.Errorf("%s: element %d is %d", c.name, i, v)
					break
				}
			}
		}
	}
}
