package exec

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// Variables whose initial content has the addresses of others, whole and in bytes.
func TestInitialAddresses(t *testing.T) {
	bytes, load := "", ""
	for i := range 8 {
		bytes += fmt.Sprintf(", %#x(a)", uint64(0xff)<<(8*i))
		load += fmt.Sprintf("ld.global.u8 %%rd4, [packed+%d]; shl.b64 %%rd4, %%rd4, %d; or.b64 %%rd3, %%rd3, %%rd4;\n", 1+i, 8*i)
	}
	d := newDevice(t, `.global .align 4 .u32 a[4] = {10, 11, 12, 13};
.const .align 4 .u32 c[2] = {20, 21};
.global .align 8 .u64 list[3] = {generic(a)+4, 7, c};
.const .align 8 .u64 root = generic(list);
.global .u8 packed[9] = {99`+bytes+`};
`+body(`ld.const.u64 %rd2, [root];
ld.u64 %rd3, [%rd2];
ld.u32 %r2, [%rd3+4];
ld.u64 %rd3, [%rd2+16];
ld.const.u32 %r3, [%rd3+4];
ld.u32 %r4, [%rd2+8];
mov.u64 %rd3, 0;
`+load+`ld.global.u32 %r5, [%rd3+12];
st.global.v4.u32 [%rd1], {%r2, %r3, %r4, %r5};`))
	out := buffer(d, "out", make([]uint32, 4))
	d.must("k", 1, 1, out, out)
	if got, want := read[uint32](d, out, 4), []uint32{12, 21, 7, 13}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Addresses of .const memory may have 32 bits, as in what clang makes with
// -nvptx-short-ptr.
func TestShortConstAddresses(t *testing.T) {
	mem := NewMemory(1 << 33)
	mem.next += 1<<32 - 2*redZone // the variables would lie on both sides of a border
	d := &device{t, mem, newProgram(t, mem, `.const .align 4 .u32 c[2] = {20, 21};
.const .align 4 .u32 e[2048] = {30, 31};
`+body(`mov.u32 %r2, c;
ld.const.u32 %r3, [%r2+4];
add.u32 %r4, %r2, 8;
ld.const.v2.u32 {%r4, %r5}, [%r4+-8];
mov.b32 %r6, e;
cvt.u64.u32 %rd4, %r6;
cvta.const.u64 %rd5, %rd4;
ld.u32 %r6, [%rd5+4];
st.global.v4.u32 [%rd1], {%r3, %r4, %r5, %r6};`))}
	out := buffer(d, "out", make([]uint32, 4))
	d.must("k", 1, 1, out, out)
	if got, want := read[uint32](d, out, 4), []uint32{21, 20, 21, 31}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// A narrow load by some lanes, in a loop that others have left, leaves alone what
// those hold in the same row.
func TestNarrowLoadOfSomeLanes(t *testing.T) {
	d := newDevice(t, body(`mov.u32 %r4, 0;
add.u64 %rd3, %rd1, %rd3;
L:
ld.global.s8 %h1, [%rd2];
cvt.s32.s16 %r3, %h1;
st.global.u32 [%rd3], %r3;
add.u32 %r4, %r4, 1;
sub.u32 %r5, %r1, 100000;
sub.u32 %r6, %r1, 200000;
sub.u32 %r7, %r1, 300000;
setp.lt.u32 %p1, %r1, 16;
setp.lt.u32 %p2, %r4, 3;
and.pred %p1, %p1, %p2;
@%p1 bra L;
add.u32 %r5, %r5, %r6;
add.u32 %r5, %r5, %r7;
st.global.u32 [%rd3], %r5;`))
	out := buffer(d, "out", make([]uint32, 32))
	d.must("k", 1, 32, out, buffer(d, "in", []int8{-7}))
	for i, got := range read[int32](d, out, 32) {
		if want := int32(3*i) - 600000; got != want {
			t.Errorf("lane %d: got %d, want %d", i, got, want)
		}
	}
}

// A flag that LLVM keeps in one byte is read as two.
func TestFlagVariable(t *testing.T) {
	src := ".global .u8 flag = 1;\n" + body("ld.global.u16 %h1, [flag];\nand.b16 %h1, %h1, 1;\nst.global.u16 [%rd1], %h1;")
	d := newDevice(t, src)
	out := buffer(d, "out", make([]uint32, 1))
	d.must("k", 1, 1, out, out)
	if got := read[uint32](d, out, 1)[0]; got != 1 {
		t.Errorf("got %d, want 1", got)
	}
	if g := d.prog.Globals["flag"]; g.Size != 1 {
		t.Errorf("the variable has %d bytes, want 1", g.Size)
	}
	d = newDevice(t, strings.Replace(src, "[flag]", "[flag+2]", 1))
	if err := d.run("k", 1, 1, Options{}, out, out); err == nil {
		t.Error("an access past the flag is not reported")
	}
}
