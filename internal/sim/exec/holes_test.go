package exec

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
)

// A bit of a result is undefined where it differs between two contents of the
// bytes that nobody wrote. Random operands, each bit asked for by a branch.
func TestHoles(t *testing.T) {
	const seed = 7
	rnd := newRand(seed)
	for _, c := range []struct {
		op    string // of %r1, %r2, %rd1 and %rd2, to %r3 or %rd3
		exact bool   // else bits may be called undefined above one that is
	}{
		{"mov.b64 %rd3, %rd1;", true},
		{"mov.b64 {%r3, %r4}, %rd1; xor.b32 %r3, %r4, %r2;", true},
		{"mov.b64 %rd3, {%r2, %r1};", true},
		{"mov.b32 {%h1, %h2}, %r1; mov.b32 %r3, {%h2, %h1};", true},
		{"cvt.s64.s8 %rd3, %r1;", true},
		{"cvt.u16.u32 %h1, %r1; cvt.u32.u16 %r3, %h1;", true},
		{"cvt.u16.u32 %h1, %r1; not.b16 %h1, %h1; cvt.s32.s16 %r3, %h1;", true},
		{"cvt.u16.u32 %h1, %r1; or.b16 %h1, %h1, 0xff; cvt.s32.s16 %r3, %h1;", true},
		{"and.b32 %r3, %r1, 0x1ff0;", true},
		{"and.b64 %rd3, %rd1, %rd2;", true},
		{"or.b64 %rd3, %rd1, %rd2;", true},
		{"xor.b64 %rd3, %rd1, %rd2;", true},
		{"shl.b64 %rd3, %rd1, 13;", true},
		{"shr.u32 %r3, %r1, 5;", true},
		{"shr.s64 %rd3, %rd1, 17;", true},
		{"bfe.s32 %r3, %r1, 3, 9;", true},
		{"bfe.u64 %rd3, %rd1, 12, 30;", true},
		{"bfi.b32 %r3, %r1, %r2, 5, 12;", true},
		{"bfi.b64 %rd3, %rd1, %rd2, 20, 23;", true},
		{"prmt.b32 %r3, %r1, %r2, 0xa521;", true},
		{"shf.l.wrap.b32 %r3, %r1, %r2, 11;", true},
		{"brev.b32 %r3, %r1;", true},
		{"setp.lt.s32 %p1, %r1, 0; selp.b32 %r3, %r1, %r2, %p1;", false},
		{"setp.ge.u64 %p1, %rd1, %rd2; selp.u32 %r3, 5, 4, %p1;", true},
		{"setp.gt.s16 %p1, %h3, -100; selp.u32 %r3, 1, 0, %p1;", true},
		{"and.b32 %r1, %r1, 255; setp.gt.u32 %p1, %r1, 255; selp.u32 %r3, 1, 0, %p1;", true},
		{"setp.ge.u32 %p1, %r1, %r2; selp.u32 %r3, 6, 3, %p1;", true},
		{"setp.eq.u32 %p1, %r1, %r2; selp.u32 %r3, 1, 0, %p1;", false},
		{"setp.lt.s32 %p1, %r1, 0; setp.lt.s32 %p2, %r2, 0; and.pred %p3, %p1, %p2; or.pred %p3, %p3, %p4; selp.u32 %r3, 1, 0, %p3;", false},
		{"add.u64 %rd3, %rd1, %rd2;", false},
		{"sub.u32 %r3, %r1, %r2;", false},
		{"mul.lo.u32 %r3, %r1, %r2;", false},
		{"mad.wide.u32 %rd3, %r1, %r2, %rd2;", false},
		{"add.sat.s32 %r3, %r1, %r2;", false},
		{"mul.hi.u32 %r3, %r1, %r2;", false},
		{"div.u32 %r3, %r1, 7;", false},
		{"shl.b32 %r3, %r1, %r2;", false},
		{"clz.b32 %r3, %r1;", false},
	} {
		t.Run(strings.SplitN(c.op, " ", 2)[0], func(t *testing.T) {
			for range 20 {
				checkHoles(t, rnd, c.op, c.exact)
			}
		})
	}
}

func checkHoles(t *testing.T, rnd *rand.Rand, op string, exact bool) {
	widen := "cvt.u64.u32 %rd3, %r3;"
	if strings.Contains(op, "%rd3,") {
		widen = ""
	}
	entry := func(name, end string) string {
		return ".visible .entry " + name + `(.param .u64 in, .param .u64 out, .param .u32 bit)
{
	.reg .pred %p<9>; .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .b16 %h<9>;
	ld.param.u64 %rd7, [in]; ld.param.u64 %rd8, [out]; ld.param.u32 %r8, [bit];
	setp.eq.u32 %p4, %r8, 99;
	ld.global.u64 %rd1, [%rd7]; ld.global.u64 %rd2, [%rd7+8];
	cvt.u32.u64 %r1, %rd1; cvt.u32.u64 %r2, %rd2; cvt.u16.u32 %h3, %r1;
	` + op + widen + end + "\n\tret;\n}\n"
	}
	d := newDevice(t, entry("value", "st.global.u64 [%rd8], %rd3;")+
		entry("bit", "shr.u64 %rd3, %rd3, %r8; and.b64 %rd3, %rd3, 1; setp.ne.u64 %p1, %rd3, 0; @%p1 bra L; L:"))
	known, content := rnd.Uint32(), [16]byte{}
	fill := func() {
		for i := range content {
			if known>>i&1 == 0 || known>>16 != 0 {
				content[i] = byte(rnd.Uint32() >> (rnd.Uint32() % 8)) // few high bits, so that signs differ
			}
		}
		known &= 0xffff
	}
	fill()
	out := buffer(d, "out", []uint64{0})
	var first, differ uint64
	for i := range 200 {
		fill()
		d.must("value", 1, 1, buffer(d, "in", content[:]), out, uint32(0))
		v := read[uint64](d, out, 1)[0]
		if i == 0 {
			first = v
		}
		differ |= v ^ first
	}
	in := d.empty("in", 16)
	to, _ := d.mem.Slice(in, 16)
	copy(to, content[:])
	for i := range content {
		if known>>i&1 != 0 {
			d.mem.MarkInitialised(in+uint64(i), 1)
		}
	}
	for bit := range uint32(64) {
		err := d.run("bit", 1, 1, Options{}, in, out, bit)
		undefined := errors.As(err, new(*Fault))
		if depends := differ>>bit&1 != 0; depends && !undefined || exact && undefined && !depends {
			t.Fatalf("%s of %x, known bytes %016b: bit %d differs: %v, reported: %v (differ %#x)", op, content, known, bit, depends, err, differ)
		}
	}
}

// What compilers make of correct programs, and what is wrong beside it.
func TestPartlyWrittenWords(t *testing.T) {
	const local = ".local .align 8 .b8 s[16];\nst.local.u32 [s], %r1;\n"
	for _, c := range []struct {
		name, text string
		line       int // that is reported, 0 for none
	}{
		{"a bit field of a local structure", ".local .align 4 .b8 s[8];\nld.local.u32 %r2, [s];\nand.b32 %r2, %r2, -8;\nor.b32 %r2, %r2, 5;\nst.local.u32 [s], %r2;\nld.local.u8 %r3, [s];\nand.b32 %r3, %r3, 7;\nst.global.u32 [%rd1], %r3;", 0},
		{"the byte beside it", ".local .align 4 .b8 s[8];\nld.local.u32 %r2, [s];\nand.b32 %r2, %r2, -8;\nor.b32 %r2, %r2, 5;\nst.local.u32 [s], %r2;\nld.local.u8 %r3, [s+1];\nst.global.u8 [%rd1], %r3;", 7},
		{"a bit field in shared memory", "ld.shared.u32 %r2, [sh];\nand.b32 %r2, %r2, 0xff00ffff;\nor.b32 %r2, %r2, 0x30000;\nst.shared.u32 [sh], %r2;\nld.shared.u32 %r3, [sh];\nbfe.u32 %r3, %r3, 16, 8;\nst.global.u32 [%rd1], %r3;", 0},
		{"a bit field, negative", "ld.shared.u32 %r2, [sh];\nor.b32 %r2, %r2, 0x80000000;\nsetp.lt.s32 %p1, %r2, 0;\n@%p1 st.global.u32 [%rd1], %r1;", 0},
		{"a structure with padding", "st.shared.u8 [sh], %r1;\nst.shared.u32 [sh+4], %r1;\nld.shared.u64 %rd4, [sh];\nst.global.u64 [%rd2], %rd4;\nld.global.u8 %r2, [%rd2];\nld.global.u32 %r3, [%rd2+4];\nadd.u32 %r2, %r2, %r3;\nst.global.u32 [%rd1], %r2;", 0},
		{"its padding", "st.shared.u8 [sh], %r1;\nst.shared.u32 [sh+4], %r1;\nld.shared.u64 %rd4, [sh];\nst.global.u64 [%rd2], %rd4;\nld.global.u8 %r2, [%rd2+1];\nst.global.u32 [%rd1], %r2;", 6},
		{"padding by vectors", "st.shared.u8 [sh], %r1;\nst.shared.u8 [sh+4], %r1;\nld.shared.v2.u32 {%r2, %r3}, [sh];\nst.global.v2.u32 [%rd2], {%r2, %r3};", 0},
		{"a vector with an element nobody wrote", "st.shared.u8 [sh], %r1;\nld.shared.v2.u32 {%r2, %r3}, [sh];\nst.global.v2.u32 [%rd2], {%r2, %r3};", 3},
		{"a generic copy to local memory, byte by byte", ".local .align 4 .b8 s[8];\nmov.u64 %rd4, s;\ncvta.local.u64 %rd4, %rd4;\nld.shared.u8 %r2, [sh];\nst.u8 [%rd4], %r2;", 0},
		{"read from there", ".local .align 4 .b8 s[8];\nmov.u64 %rd4, s;\ncvta.local.u64 %rd4, %rd4;\nst.u8 [%rd4], %r1;\nld.shared.u8 %r2, [sh];\nst.u8 [%rd4], %r2;\nld.local.u8 %r3, [s];\nadd.u32 %r3, %r3, 1;\nst.global.u8 [%rd1], %r3;", 9},
		{"a structure with members that nobody wrote", local + "ld.local.u32 %r2, [s];\nst.global.u32 [%rd2], %r2;\nld.local.u32 %r2, [s+4];\nst.global.u32 [%rd2+4], %r2;\nadd.u64 %rd4, %rd2, 8;\nld.local.u32 %r3, [s+8];\nst.global.u32 [%rd4], %r3;", 0},
		{"such a member", local + "ld.local.u32 %r2, [s];\nst.global.u32 [%rd2], %r2;\nld.local.u32 %r2, [s+4];\nst.global.u32 [%rd2+4], %r2;\nld.global.u32 %r3, [%rd2+4];\nst.global.u32 [%rd1], %r3;", 8},
		{"a structure in shared memory", "st.shared.u32 [sh], %r1;\nld.shared.u32 %r2, [sh];\nst.global.u32 [%rd2], %r2;\nld.shared.u32 %r2, [sh+4];\nst.global.u32 [%rd2+4], %r2;", 5},
		{"a large structure", local + "mov.u32 %r2, s;\nmov.u64 %rd4, %rd2;\nadd.u32 %r4, %r2, 16;\nL:\nld.local.u8 %r3, [%r2];\nadd.u32 %r2, %r2, 1;\nst.global.u8 [%rd4], %r3;\nsetp.lt.u32 %p1, %r2, %r4;\n@%p1 bra L;", 0},
		{"a byte of local memory", local + "ld.local.u8 %r3, [s+4];\nst.global.u8 [%rd1], %r3;", 4},
		{"a word with a bit inverted", "ld.shared.u32 %r2, [sh];\nxor.b32 %r2, %r2, 1;\nst.global.u32 [%rd1], %r2;", 3},
		{"a sign that nobody wrote", "st.shared.u8 [sh], %r1;\nld.shared.s16 %r2, [sh];\nshr.u32 %r2, %r2, 16;\nsetp.eq.u32 %p1, %r2, 0;\n@%p1 st.global.u32 [%rd1], %r1;", 5},
		{"an address of which nothing undefined is left", "ld.shared.u32 %r2, [sh];\nshl.b32 %r2, %r2, 31;\nshl.b32 %r2, %r2, 1;\nst.shared.u32 [%r2], %r1;", 0},
		{"a division before the test of its divisor", "mov.u32 %r3, 0;\ndiv.u32 %r2, %r1, %r3;\nsetp.eq.u32 %p1, %r3, 0;\nselp.u32 %r2, 1, %r2, %p1;\nst.global.u32 [%rd1], %r2;", 0},
		{"a structure shuffled", "st.shared.u8 [sh], %r1;\nld.shared.u32 %r2, [sh];\nshfl.sync.bfly.b32 %r2|%p1, %r2, 0, 31, 1;\nand.b32 %r2, %r2, 255;\nsetp.eq.u32 %p2, %r2, 0;\nand.pred %p1, %p1, %p2;\n@%p1 st.global.u32 [%rd1], %r2;", 0},
		{"its padding shuffled", "st.shared.u8 [sh], %r1;\nld.shared.u32 %r2, [sh];\nshfl.sync.bfly.b32 %r2, %r2, 0, 31, 1;\nand.b32 %r2, %r2, 256;\nsetp.eq.u32 %p2, %r2, 0;\n@%p2 st.global.u32 [%rd1], %r1;", 6},
		{"a byte widened", "ld.shared.u8 %r2, [sh];\nst.global.u32 [%rd1], %r2;", 2},
		{"a byte widened and scaled", "ld.shared.u8 %r2, [sh];\nmul.lo.u32 %r2, %r2, 4;\nst.global.u32 [%rd1], %r2;", 3},
		{"half of a float", "mov.b16 %h1, 0;\nst.shared.u16 [sh], %h1;\nld.shared.f32 %f1, [sh];\nadd.rn.f32 %f1, %f1, %f1;\nst.global.f32 [%rd1], %f1;", 5},
		{"a condition that another decides", "ld.shared.u32 %r2, [sh];\nsetp.eq.u32 %p1, %r2, 0;\nsetp.gt.u32 %p2, %r1, 5000;\nand.pred %p3, %p1, %p2;\n@%p3 st.global.u32 [%rd1], %r1;", 0},
		{"a condition that it does not", "ld.shared.u32 %r2, [sh];\nsetp.eq.u32 %p1, %r2, 0;\nsetp.gt.u32 %p2, %r1, 5000;\nor.pred %p3, %p1, %p2;\n@%p3 st.global.u32 [%rd1], %r1;", 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDevice(t, body(c.text))
			err := d.run("k", 1, 1, Options{}, buffer(d, "a", make([]uint32, 4)), d.empty("b", 16))
			line := 0
			if f := (*Fault)(nil); errors.As(err, &f) && f.Kind == Uninitialised {
				line, err = f.Pos.Line-12, nil // the header has 3 lines, body 9 before the text
			}
			if err != nil || line != c.line {
				t.Errorf("line %d is reported, not %d; %v", line, c.line, err)
			}
		})
	}
}
