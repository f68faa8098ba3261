package exec

import (
	"fmt"
	"strings"
	"testing"
)

// TestCounts holds counts against what the CUDA guides say of strides: a stride
// of s words meets gcd(s, 32) times in a bank, and moves a sector for each 32
// bytes that it touches.
func TestCounts(t *testing.T) {
	const head = `
.visible .entry k(.param .u64 p)
{
	.reg .pred %p<3>; .reg .b32 %r<20>; .reg .b64 %rd<20>;
	.shared .align 16 .b8 tile[32768];
	ld.param.u64 %rd1, [p]; mov.u32 %r1, %tid.x; mov.u32 %r2, tile;
	and.b32 %r3, %r1, 31; setp.lt.u32 %p1, %r3, 8;
	`
	type row struct{ accesses, cost, least uint64 }
	stride := func(bytes int, access string) string {
		return fmt.Sprintf("mul.lo.u32 %%r3, %%r3, %d; add.u32 %%r4, %%r2, %%r3; cvt.u64.u32 %%rd2, %%r3; add.u64 %%rd3, %%rd1, %%rd2; %s", bytes, access)
	}
	const ld, ld2, ld4 = "ld.shared.b32 %r10, [%r4];", "ld.shared.v2.b32 {%r10, %r11}, [%r4];", "ld.shared.v4.b32 {%r10, %r11, %r12, %r13}, [%r4];"
	const g, g4 = "ld.global.b32 %r10, [%rd3];", "ld.global.v4.b32 {%r10, %r11, %r12, %r13}, [%rd3];"
	for _, c := range []struct {
		name, code string
		shared     bool
		want       row // of one warp
	}{
		{"one word each", stride(4, ld), true, row{1, 1, 1}},
		{"all lanes one word", stride(0, ld), true, row{1, 1, 1}},
		{"stride of 2 words", stride(8, ld), true, row{1, 2, 1}},
		{"stride of 3 words", stride(12, ld), true, row{1, 1, 1}},
		{"stride of 12 words", stride(48, ld), true, row{1, 4, 1}},
		{"a column of 32", stride(128, ld), true, row{1, 32, 1}},
		{"a padded column", stride(132, ld), true, row{1, 1, 1}},
		{"bytes", stride(1, "ld.shared.u8 %r10, [%r4];"), true, row{1, 1, 1}},
		{"half words apart", stride(66, "ld.shared.u16 %r10, [%r4];"), true, row{1, 1, 1}},
		{"64 bits", stride(8, "ld.shared.b64 %rd10, [%r4];"), true, row{1, 2, 2}},
		{"pairs", stride(8, ld2), true, row{1, 2, 2}},
		{"pairs, apart", stride(16, ld2), true, row{1, 4, 2}},
		{"vectors", stride(16, ld4), true, row{1, 4, 4}},
		{"vectors, apart", stride(32, ld4), true, row{1, 8, 4}},
		{"vectors, one for all", stride(0, ld4), true, row{1, 4, 4}},
		{"eight lanes", stride(16, "@%p1 "+ld4), true, row{1, 1, 1}},
		{"store", stride(8, "st.shared.b32 [%r4], %r1;"), true, row{1, 2, 1}},
		{"atomic, one word", stride(0, "st.shared.b32 [%r2], 0; atom.shared.add.u32 %r10, [%r4], 1;"), true, row{1, 32, 1}},
		{"atomic, apart", stride(4, "st.shared.b32 [%r4], 0; red.shared.add.u32 [%r4], 1;"), true, row{1, 1, 1}},
		{"generic", stride(8, "cvt.u64.u32 %rd4, %r4; cvta.shared.u64 %rd4, %rd4; ld.b32 %r10, [%rd4];"), true, row{1, 2, 1}},
		{"matrices", stride(16, "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r10, %r11, %r12, %r13}, [%r4];"), true, row{1, 4, 4}},
		{"matrices in rows of 64 bytes", stride(64, "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r10, %r11}, [%r4];"), true, row{1, 8, 2}},
		{"matrices in padded rows", stride(80, "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r10}, [%r4];"), true, row{1, 1, 1}},

		{"global, in order", stride(4, g), false, row{1, 4, 4}},
		{"global, one word", stride(0, g), false, row{1, 1, 1}},
		{"global, every second", stride(8, g), false, row{1, 8, 4}},
		{"global, far apart", stride(64, g), false, row{1, 32, 4}},
		{"global, across a sector", stride(4, "ld.global.b32 %r10, [%rd3+4];"), false, row{1, 5, 4}},
		{"global vectors", stride(16, g4), false, row{1, 16, 16}},
		{"global bytes", stride(1, "ld.global.u8 %r10, [%rd3];"), false, row{1, 1, 1}},
		{"global, eight lanes", stride(4, "@%p1 "+g), false, row{1, 1, 1}},
		{"global, generic", stride(8, "ld.b32 %r10, [%rd3];"), false, row{1, 8, 4}},
		{"copied to shared memory", stride(32, "cp.async.ca.shared.global [%r4], [%rd3], 16; cp.async.wait_all;"), true, row{1, 8, 4}},
		{"copied from global memory", stride(32, "cp.async.ca.shared.global [%r4], [%rd3], 16; cp.async.wait_all;"), false, row{1, 32, 16}},
		// Lane 0 copies nothing, the others want 496 bytes.
		{"zeros copied", stride(32, "min.u32 %r5, %r3, 16; cp.async.ca.shared.global [%r4], [%rd3], 16, %r5; cp.async.wait_all;"), false, row{1, 31, 16}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t, head+c.code+"\n\tret;\n}")
			counter := new(Counter)
			const blocks = 3
			warps := uint64(9) // more than one wave
			if strings.Contains(c.code, "cp.async") {
				warps = 1 // all warps have the same addresses
			}
			if err := d.run("k", blocks, uint32(32*warps), Options{Counts: counter}, buffer(d, "in", make([]uint32, 4096))); err != nil {
				t.Fatal(err)
			}
			c.want.accesses, c.want.cost, c.want.least = blocks*warps*c.want.accesses, blocks*warps*c.want.cost, blocks*warps*c.want.least
			var found bool
			for _, n := range counter.Counts() {
				if n.Shared != c.shared || strings.HasSuffix(n.Instr, "[%r2], 0;") || strings.HasPrefix(c.name, "atomic") && strings.HasPrefix(n.Instr, "st") {
					continue
				}
				found = true
				if got := (row{n.Accesses, n.Cost, n.Least}); got != c.want {
					t.Errorf("%s: %v, want %v", n.Instr, got, c.want)
				}
			}
			if !found {
				t.Errorf("nothing counted: %v", counter.Counts())
			}
		})
	}
}

// TestCountsApart: an access to several arrays at once is counted once.
func TestCountsApart(t *testing.T) {
	d := newDevice(t, `
.visible .entry k(.param .u64 a, .param .u64 b)
{
	.reg .pred %p<3>; .reg .b32 %r<20>; .reg .b64 %rd<20>;
	ld.param.u64 %rd1, [a]; ld.param.u64 %rd2, [b]; mov.u32 %r1, %tid.x;
	and.b32 %r2, %r1, 1; setp.eq.u32 %p1, %r2, 0; selp.b64 %rd3, %rd1, %rd2, %p1;
	mad.wide.u32 %rd3, %r1, 4, %rd3;
	st.global.u32 [%rd3], %r1;
	ret;
}`)
	c := new(Counter)
	if err := d.run("k", 1, 64, Options{Counts: c}, d.empty("a", 256), d.empty("b", 256)); err != nil {
		t.Fatal(err)
	}
	list := c.Counts()
	if len(list) != 1 || list[0].Accesses != 2 || list[0].Cost != 16 || list[0].Least != 8 {
		t.Errorf("%+v", list)
	}
	// 8 instructions at most, decoded, of 64 lanes; the parameters are rows, which cost none.
	if n := c.Lanes(); n%64 != 0 || n < 5*64 || n > 8*64 {
		t.Errorf("%d lane-instructions", n)
	}
	var b strings.Builder
	if err := c.Write(&b); err != nil || !strings.Contains(b.String(), "sectors") || !strings.Contains(b.String(), "k: st.global.u32 [%rd3], %r1") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
