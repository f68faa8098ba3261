package exec

import (
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// A random structured program over four registers, as PTX and as Go.
type program struct {
	r         *rand.Rand
	text      strings.Builder
	labels    int
	functions *functions
	inside    bool // of a function
}

// The functions that a program calls, as PTX and as Go. Each has four parameters, and
// how deep it may call more.
type functions struct {
	text   strings.Builder
	models []func(s *state, depth uint32)

	declared string
}

// programRegisters are what a program, or a function, declares.
const programRegisters = ".reg .pred %q<3>; .reg .b32 %r<4>; .reg .b32 %t<3>; .reg .b32 %n<999>;\n"

type state [4]uint32

// block writes statements and returns what they do.
func (p *program) block(depth int) func(s *state, n uint32) {
	var steps []func(s *state, n uint32)
	for range 1 + p.r.IntN(4) {
		steps = append(steps, p.statement(depth))
	}
	return func(s *state, n uint32) {
		for _, f := range steps {
			f(s, n)
		}
	}
}

func (p *program) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

func (p *program) label() int { p.labels++; return p.labels }

func (p *program) statement(depth int) func(s *state, n uint32) {
	a, b, c := p.r.IntN(4), p.r.IntN(4), p.r.Uint32N(64)
	kind := p.r.IntN(10)
	if depth == 0 {
		kind = p.r.IntN(4)
	}
	switch kind {
	case 0:
		p.line("add.u32 %%r%d, %%r%d, %d;", a, b, c)
		return func(s *state, n uint32) { s[a] = s[b] + c }
	case 1:
		p.line("xor.b32 %%r%d, %%r%d, %%r%d;", a, a, b)
		return func(s *state, n uint32) { s[a] ^= s[b] }
	case 2:
		p.line("mad.lo.u32 %%r%d, %%r%d, %d, %%r%d;", a, b, c|1, a)
		return func(s *state, n uint32) { s[a] += s[b] * (c | 1) }
	case 3: // a guarded instruction
		p.line("and.b32 %%t1, %%r%d, %d; setp.gt.u32 %%q1, %%t1, %d; @%%q1 sub.u32 %%r%d, %%r%d, 3;", b, c, c/2, a, a)
		return func(s *state, n uint32) {
			if s[b]&c > c/2 {
				s[a] -= 3
			}
		}
	case 4, 5: // if, with or without else
		l, m := p.label(), p.label()
		p.line("and.b32 %%t1, %%r%d, %d; setp.eq.u32 %%q1, %%t1, 0; @%%q1 bra L%d;", a, c, l)
		yes := p.block(depth - 1)
		no := func(*state, uint32) {}
		if kind == 4 {
			p.line("bra L%d;\nL%d:", m, l)
			no = p.block(depth - 1)
			p.line("L%d:", m)
		} else {
			p.line("L%d:", l)
		}
		return func(s *state, n uint32) {
			if s[a]&c != 0 {
				yes(s, n)
			} else {
				no(s, n)
			}
		}
	case 6: // a loop that runs up to seven times, with a break
		l, m := p.label(), p.label()
		p.line("and.b32 %%n%d, %%r%d, 7;\nL%d:\nsetp.eq.u32 %%q1, %%n%d, 0; @%%q1 bra L%d; sub.u32 %%n%d, %%n%d, 1;", l, a, l, l, m, l, l)
		body := p.block(depth - 1)
		if p.r.IntN(2) == 0 {
			p.line("and.b32 %%t1, %%r%d, 31; setp.eq.u32 %%q1, %%t1, 5; @%%q1 bra L%d; bra L%d;\nL%d:", b, m, l, m)
		} else {
			p.line("and.b32 %%t1, %%r%d, 31; setp.eq.u32 %%q1, %%t1, 5; selp.u32 %%t1, 1, 0, %%q1;\nT%d: .branchtargets L%d, L%d;\nbrx.idx %%t1, T%d;\nL%d:", b, l, l, m, l, m)
		}
		return func(s *state, n uint32) {
			for left := s[a] & 7; left != 0; left-- {
				if body(s, n); s[b]&31 == 5 {
					return
				}
			}
		}
	case 7: // one of several blocks, by an index
		l, out := p.label(), p.label()
		p.line("and.b32 %%t1, %%r%d, 3;\nT%d: .branchtargets L%d_0, L%d_1, L%d, L%d_2;\nbrx.idx %%t1, T%d;", a, l, l, l, out, l, l)
		models := [4]func(*state, uint32){2: func(*state, uint32) {}}
		for i, at := range []int{0, 1, 3} {
			p.line("L%d_%d:", l, i)
			models[at] = p.block(depth - 1)
			p.line("bra L%d;", out)
		}
		p.line("L%d:", out)
		return func(s *state, n uint32) { models[s[a]&3](s, n) }
	case 8:
		return p.call(depth - 1)
	default: // out-of-line code, which runs before what textually precedes it
		l, m := p.label(), p.label()
		p.line("setp.lt.s32 %%q1, %%r%d, %%r%d; @!%%q1 bra L%d; bra L%d;\nL%d:", a, b, m, l, l)
		yes := p.block(depth - 1)
		p.line("L%d:", m)
		return func(s *state, n uint32) {
			if int32(s[a]) < int32(s[b]) {
				yes(s, n)
			}
		}
	}
}

// call calls a function, under a guard, with two of the registers in memory and two as
// they are, and gets its results so. It may be one that is being written: in a function
// that depth bounds.
func (p *program) call(depth int) func(s *state, n uint32) {
	if p.functions == nil {
		p.functions = &functions{}
	}
	i := len(p.functions.models)
	if i > 0 && p.r.IntN(2) == 0 {
		i = p.r.IntN(i)
	} else {
		i = p.function(depth)
	}
	a, inside := p.r.IntN(4), p.inside
	p.line("setp.gt.u32 %%q2, %%r%d, 99; mov.u32 %%t2, 2;", a)
	if inside {
		p.line("setp.gt.and.u32 %%q2, depth, 0, %%q2; sub.u32 %%t2, depth, 1;")
	}
	p.line("{ .param .align 8 .b8 in[8]; .param .align 8 .b8 out[8]; st.param.b32 [in], %%r0; st.param.b32 [in+4], %%r1;")
	target, tail := fmt.Sprintf("f%d", i), ""
	if p.r.IntN(4) == 0 {
		p.line(".reg .b64 %%to; mov.u64 %%to, f%d; P: .callprototype (.param .align 8 .b8 _[8], .reg .b32 _, .reg .b32 _) _ (.param .align 8 .b8 _[8], .reg .b32 _, .reg .b32 _, .param .b32 _);", i)
		target, tail = "%to", ", P"
	}
	p.line("@%%q2 call (out, %%r2, %%r3), %s, (in, %%r2, %%r3, %%t2)%s;", target, tail)
	p.line("@%%q2 ld.param.v2.b32 {%%r0, %%r1}, [out]; }")
	return func(s *state, n uint32) {
		switch {
		case s[a] <= 99:
		case !inside:
			p.functions.models[i](s, 2)
		case n > 0:
			p.functions.models[i](s, n-1)
		}
	}
}

// function writes a new function, which in some threads returns at once.
func (p *program) function(depth int) int {
	f := &program{r: p.r, functions: p.functions, inside: true}
	a, i := p.r.IntN(4), len(p.functions.models)
	p.functions.models = append(p.functions.models, nil)
	model := f.block(depth)
	p.functions.models[i] = func(s *state, n uint32) {
		if saved := s[a]; saved&7 != 0 {
			model(s, n)
			s[1] += saved
		}
	}
	t := &p.functions.text
	head := fmt.Sprintf(".func (.param .align 8 .b8 out[8], .reg .b32 o2, .reg .b32 o3) f%d(.param .align 8 .b8 in[8], .reg .b32 i2, .reg .b32 i3, .param .b32 n)", i)
	fmt.Fprintf(t, "%s\n{\n%s", head, programRegisters)
	fmt.Fprintf(t, ".local .b32 saved; .reg .b32 depth; .reg .b64 %%d; mov.u64 %%d, in; ld.param.b32 depth, [n]; ld.param.b32 %%r0, [in]; ld.param.b32 %%r1, [%%d+4]; mov.b32 %%r2, i2; mov.b32 %%r3, i3;\n")
	results := "st.param.b32 [out], %r0; st.param.b32 [out+4], %r1; mov.b32 o2, %r2; mov.b32 o3, %r3;"
	fmt.Fprintf(t, "and.b32 %%t1, %%r%d, 7; setp.ne.u32 %%q1, %%t1, 0; st.local.u32 [saved], %%r%d;\n%s\n@!%%q1 ret;\n", a, a, results)
	fmt.Fprintf(t, "%s\nld.local.u32 %%t1, [saved]; add.u32 %%r1, %%r1, %%t1; %s\nret;\n}\n", f.text.String(), results)
	p.functions.declared += head + ";\n"
	return i
}

func TestRandomPrograms(t *testing.T) {
	programs := uint64(60)
	if runtime.GOARCH == "wasm" { // whose memory is not given back: each program has a stack for every thread
		programs = 10
	}
	for seed := range programs {
		p := &program{r: newRand(seed)}
		model := p.block(4)
		src := ""
		if p.functions != nil {
			src = p.functions.declared + p.functions.text.String()
		}
		src += `
.visible .entry k(.param .u64 out)
{
	` + programRegisters + `	.reg .b64 %d<4>; .reg .b32 %z<3>;
	ld.param.u64 %d1, [out];
	mov.u32 %z0, %ctaid.x; mov.u32 %z1, %ntid.x; mov.u32 %z2, %tid.x;
	mad.lo.u32 %r0, %z0, %z1, %z2;
	mul.wide.u32 %d2, %r0, 16; add.u64 %d1, %d1, %d2;
	mul.lo.u32 %r1, %r0, 747796405; shr.u32 %r2, %r1, 9; xor.b32 %r3, %r1, 77;
` + p.text.String() + `
	bar.sync 0;
	st.global.v4.u32 [%d1], {%r0, %r1, %r2, %r3};
	ret;
}`
		d := newDevice(t, src)
		const n = 5 * 200
		po := buffer(d, "out", make([]state, n))
		for _, o := range []Options{{}, {Workers: 1, Seed: seed + 1}} {
			if err := d.run("k", 5, 200, o, po); err != nil {
				t.Fatalf("seed %d: %v\n%s", seed, err, src)
			}
			for i, got := range read[state](d, po, n) {
				h := uint32(i) * 747796405
				s := state{uint32(i), h, h >> 9, h ^ 77}
				if model(&s, 0); got != s {
					t.Fatalf("seed %d, thread %d: %x, want %x\n%s", seed, i, got, s, src)
				}
			}
		}
	}
}

// TestShuffle follows the manual's program for shfl.
func TestShuffle(t *testing.T) {
	r := newRand(1)
	for _, mode := range []string{"up", "down", "bfly", "idx"} {
		for range 30 {
			b, c := r.IntN(32), r.IntN(1<<13)
			d := newDevice(t, body(fmt.Sprintf(`
	mul.lo.u32 %%r2, %%r1, 3;
	shfl.sync.%s.b32 %%r3|%%p1, %%r2, %d, %d, 0xffffffff;
	selp.u32 %%r4, 1, 0, %%p1;
	mul.wide.u32 %%rd3, %%r1, 8;
	add.u64 %%rd4, %%rd1, %%rd3;
	st.global.v2.u32 [%%rd4], {%%r3, %%r4};`, mode, b, c)))
			out := buffer(d, "out", make([]uint32, 512))
			d.must("k", 1, 256, out, out)
			for i, got := range read[[2]uint32](d, out, 256) {
				lane, cval, mask := i&31, c&31, c>>8&31
				maxLane, minLane := lane&mask|cval&^mask, lane&mask
				var j int
				var p bool
				switch mode {
				case "up":
					j = lane - b
					p = j >= maxLane
				case "down":
					j = lane + b
					p = j <= maxLane
				case "bfly":
					j = lane ^ b
					p = j <= maxLane
				default:
					j = minLane | b&^mask
					p = j <= maxLane
				}
				if !p {
					j = lane
				}
				if want := [2]uint32{uint32(i&^31+j) * 3, uint32(b2u(p))}; got != want {
					t.Fatalf("%s b %d c %#x thread %d: %v, want %v", mode, b, c, i, got, want)
				}
			}
		}
	}
	// A lane that is not there has nothing to give: an error where it matters.
	for _, c := range []struct {
		text  string
		fault bool
	}{
		{"shfl.sync.down.b32 %r3, %r1, 8, 31, 0xffffffff;\nsetp.lt.u32 %p1, %r1, 41; @%p1 st.global.u32 [%rd4], %r3;", true},
		{"shfl.sync.down.b32 %r3, %r1, 8, 31, 0xffffffff;\nsetp.lt.u32 %p1, %r1, 40; @%p1 st.global.u32 [%rd4], %r3;", false},
		{"ld.shared.u32 %r2, [sh]; setp.eq.u32 %p1, %r1, 5; selp.u32 %r2, %r2, 1, %p1; shfl.sync.idx.b32 %r2, %r2, 6, 31, 0xffffffff; st.global.u32 [%rd4], %r2;", false},
		{"ld.shared.u32 %r2, [sh]; setp.eq.u32 %p1, %r1, 5; selp.u32 %r2, %r2, 1, %p1; shfl.sync.idx.b32 %r2, %r2, 5, 31, 0xffffffff; st.global.u32 [%rd4], %r2;", true},
	} {
		d := newDevice(t, body("add.u64 %rd4, %rd1, %rd3;\n"+c.text))
		out := buffer(d, "out", make([]uint32, 256))
		err := d.run("k", 1, 48, Options{}, out, out)
		var f *Fault
		if got := errors.As(err, &f) && f.Kind == Uninitialised; got != c.fault {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}

// TestWarp checks votes, matches and reductions, in half-divergent warps too.
func TestWarp(t *testing.T) {
	const text = `
	mul.lo.u32 %r2, %r1, 40503; shr.u32 %r2, %r2, 9; and.b32 %r2, %r2, 7;   // the value
	mov.u32 %r15, 0xffffffff;
	setp.eq.u32 %p8, %r0, 0; @%p8 bra GO;          // %r0 != 0: odd lanes leave
	and.b32 %r3, %r1, 1; setp.eq.u32 %p1, %r3, 1; @%p1 bra OUT;
	mov.u32 %r15, 0x55555555;
GO:
	setp.lt.u32 %p2, %r2, BOUND;
	vote.sync.ballot.b32 %r4, %p2, %r15;
	vote.sync.any.pred %p3, !%p2, %r15; selp.u32 %r5, 1, 0, %p3;
	vote.sync.all.pred %p3, %p2, %r15; selp.u32 %r6, 1, 0, %p3;
	vote.sync.uni.pred %p3, %p2, %r15; selp.u32 %r7, 1, 0, %p3;
	match.sync.any.b32 %r8, %r2, %r15;
	match.sync.all.b32 %r9|%p4, %r2, %r15; selp.u32 %r10, 1, 0, %p4;
	redux.sync.add.u32 %r11, %r2, %r15;
	redux.sync.max.s32 %r12, %r2, %r15;
	redux.sync.xor.b32 %r13, %r2, %r15;
	activemask.b32 %r14;
	mul.wide.u32 %rd3, %r1, 64; add.u64 %rd4, %rd1, %rd3;
	st.global.v4.u32 [%rd4], {%r4, %r5, %r6, %r7};
	st.global.v4.u32 [%rd4+16], {%r8, %r9, %r10, %r11};
	st.global.v4.u32 [%rd4+32], {%r12, %r13, %r14, %r14};
	bar.warp.sync %r15;
OUT:`
	for i, half := range []string{"0", "1", "0", "1", "0"} {
		bound := []uint32{3, 3, 0, 8, 1}[i]
		d := newDevice(t, strings.Replace(body(strings.ReplaceAll(text, "BOUND", fmt.Sprint(bound))), "mov.u32 %r1, %tid.x;", "mov.u32 %r1, %tid.x; mov.u32 %r0, "+half+";", 1))
		const n = 128
		out := buffer(d, "out", make([]uint32, 16*n))
		d.must("k", 1, n, out, out)
		members := uint32(0xffffffff)
		if half == "1" {
			members = 0x55555555
		}
		got := read[[16]uint32](d, out, n)
		for i := range n {
			if members>>(i&31)&1 == 0 {
				continue
			}
			val := func(j int) uint32 { return uint32(i&^31+j) * 40503 >> 9 & 7 }
			var w [11]uint32
			w[9], w[10] = 0, members
			for j := range 32 {
				if members>>j&1 == 0 {
					continue
				}
				if val(j) < bound {
					w[0] |= 1 << j
				}
				if val(j) == val(i&31) {
					w[4] |= 1 << j
				}
				w[7] += val(j)
				w[8] = max(w[8], val(j))
				w[9] ^= val(j)
			}
			w[1], w[2] = uint32(b2u(w[0] != members)), uint32(b2u(w[0] == members))
			w[3] = uint32(b2u(w[0] == 0 || w[0] == members))
			if w[4] == members {
				w[5], w[6] = members, 1
			}
			if [11]uint32(got[i][:11]) != w {
				t.Fatalf("half %s thread %d: %x, want %x", half, i, got[i][:11], w)
			}
		}
	}
}

// TestBarrierRed reduces a predicate over a block with a partial last warp.
func TestBarrierRed(t *testing.T) {
	d := newDevice(t, body(`
	and.b32 %r2, %r1, 3; setp.eq.u32 %p1, %r2, 1;
	bar.red.popc.u32 %r3, 0, %p1;
	bar.red.and.pred %p2, 0, %p1; selp.u32 %r4, 1, 0, %p2;
	bar.red.or.pred %p3, 0, !%p1; selp.u32 %r5, 1, 0, %p3;
	mul.wide.u32 %rd3, %r1, 16; add.u64 %rd4, %rd1, %rd3;
	st.global.v4.u32 [%rd4], {%r3, %r4, %r5, %r1};`))
	const n = 300
	out := buffer(d, "out", make([]uint32, 4*n))
	d.must("k", 1, n, out, out)
	for i, got := range read[[4]uint32](d, out, n) {
		if want := [4]uint32{75, 0, 1, uint32(i)}; got != want {
			t.Fatalf("thread %d: %v, want %v", i, got, want)
		}
	}
}

// TestNamedBarriers passes a value down a chain of warps.
func TestNamedBarriers(t *testing.T) {
	d := newDevice(t, body(`
	shr.u32 %r2, %r1, 5;                           // the warp
	setp.ne.u32 %p1, %r2, 0; @!%p1 bra FIRST;
	bar.sync %r2, 64;                              // with the warp before
	ld.shared.u32 %r3, [sh]; add.u32 %r3, %r3, %r2;
	bar.warp.sync 0xffffffff;
	st.shared.u32 [sh], %r3;
	bra NEXT;
FIRST:
	st.shared.u32 [sh], 100;
NEXT:
	add.u32 %r4, %r2, 1; setp.eq.u32 %p2, %r4, 12; @%p2 bra LAST;
	bar.arrive %r4, 64;
	ret;
LAST:
	ld.shared.u32 %r3, [sh]; add.u64 %rd4, %rd1, %rd3; st.global.u32 [%rd4], %r3;`))
	out := buffer(d, "out", make([]uint32, 12*32))
	for seed := range uint64(8) {
		if err := d.run("k", 1, 12*32, Options{Workers: 1, Seed: seed}, out, out); err != nil {
			t.Fatal(err)
		}
		for i, v := range read[uint32](d, out, 12*32)[11*32:] {
			if v != 100+66 {
				t.Fatalf("seed %d lane %d: %d", seed, i, v)
			}
		}
	}
}

// TestAtomics counts in many blocks on several workers.
func TestAtomics(t *testing.T) {
	d := newDevice(t, `
.visible .entry k(.param .u64 p)
{
	.reg .b32 %r<20>; .reg .b64 %rd<9>; .reg .f32 %f<4>; .reg .f64 %d<4>; .reg .pred %q; .reg .b16 %h<4>;
	ld.param.u64 %rd1, [p];
	mov.u32 %r1, %tid.x; mov.u32 %r2, %ctaid.x; mov.u32 %r3, %ntid.x; mad.lo.u32 %r4, %r2, %r3, %r1;
	atom.global.add.u32 %r5, [%rd1], 1;            // a number of its own
	mul.wide.u32 %rd2, %r5, 4; add.u64 %rd3, %rd1, %rd2; st.global.u32 [%rd3+256], %r4;
	red.global.max.u32 [%rd1+4], %r4;
	red.global.min.s32 [%rd1+8], %r4;
	red.global.xor.b32 [%rd1+12], %r4;
	atom.global.inc.u32 %r6, [%rd1+16], 9;
	atom.global.dec.u32 %r6, [%rd1+20], 9;
	cvt.u64.u32 %rd4, %r4; red.global.add.u64 [%rd1+24], %rd4;
	red.global.add.f32 [%rd1+32], 0f3f800000;
	red.global.add.f64 [%rd1+40], 0d3fe0000000000000;
	mov.u32 %r10, 1; atom.global.add.noftz.f16x2 %r6, [%rd1+48], %r10;
	mov.b16 %h1, 1; mov.b16 %h2, 0;
CAS:                                              // add 1 to the upper half by compare and swap
	ld.relaxed.gpu.global.u32 %r7, [%rd1+52]; add.u32 %r8, %r7, 65536;
	atom.global.cas.b32 %r9, [%rd1+52], %r7, %r8; setp.ne.u32 %q, %r9, %r7; @%q bra CAS;
	atom.global.exch.b32 %r6, [%rd1+56], %r4;
	ret;
}`)
	const blocks, threads = 40, 96
	const n = blocks * threads
	p := buffer(d, "cells", make([]uint32, 64+n))
	d.must("k", blocks, threads, p)
	c := read[uint32](d, p, 64+n)
	var x uint32
	for i := range uint32(n) {
		x ^= i
	}
	dec := uint32(0)
	for range n {
		if dec == 0 || dec > 9 {
			dec = 9
		} else {
			dec--
		}
	}
	sum := uint64(n) * (n - 1) / 2
	if c[0] != n || c[1] != n-1 || c[2] != 0 || c[3] != x || c[4] != n%10 || c[5] != dec || uint64(c[6])|uint64(c[7])<<32 != sum {
		t.Errorf("integers: %v", c[:8])
	}
	if f := read[float32](d, p+32, 1)[0]; f != n {
		t.Errorf("float32 sum %v", f)
	}
	if f := read[float64](d, p+40, 1)[0]; f != n/2 {
		t.Errorf("float64 sum %v", f)
	}
	if c[13] != n<<16 {
		t.Errorf("compare and swap: %#x", c[13])
	}
	seen := make([]bool, n)
	for _, v := range c[64:] {
		if seen[v] {
			t.Fatalf("%d stored twice", v)
		}
		seen[v] = true
	}
}

// TestSpinWithinBlock: a warp that waits in a loop for another lets it run.
func TestSpinWithinBlock(t *testing.T) {
	d := newDevice(t, body(`
	setp.ge.u32 %p1, %r1, 300; @%p1 bra SET;
WAIT:
	ld.volatile.global.u32 %r2, [%rd1]; setp.eq.u32 %p2, %r2, 0; @%p2 bra WAIT;
	bra OUT;
SET:
	st.volatile.global.u32 [%rd1], 1;
OUT:`))
	p := buffer(d, "flag", make([]uint32, 64))
	d.must("k", 1, 320, p, p)
}

// TestMemoryForms moves every width through registers, vectors and spaces.
func TestMemoryForms(t *testing.T) {
	d := newDevice(t, body(`
	.local .align 8 .b8 own[64];
	shl.b32 %r2, %r1, 3;                          // byte 8·thread
	cvt.u64.u32 %rd4, %r2; add.u64 %rd5, %rd1, %rd4; add.u64 %rd6, %rd2, %rd4;
	ld.global.s8 %r3, [%rd5]; ld.global.u8 %r4, [%rd5]; ld.global.s16 %r5, [%rd5+2]; ld.global.s32 %rd7, [%rd5+4]; ld.global.s8 %rd8, [%rd5+1];
	ld.global.s8 %h1, [%rd5]; cvt.u32.u16 %r6, %h1;
	add.u32 %r3, %r3, %r4; add.u32 %r3, %r3, %r5; add.u32 %r3, %r3, %r6;
	add.s64 %rd7, %rd7, %rd8; cvt.u64.u32 %rd9, %r3; add.s64 %rd7, %rd7, %rd9;
	st.local.u64 [own+8], %rd7; ld.local.v2.u32 {%r7, %r8}, [own+8];
	mov.u64 %rd10, own; cvta.local.u64 %rd10, %rd10; ld.v2.u32 {%r9, %r10}, [%rd10+8];
	xor.b32 %r7, %r7, %r9; xor.b32 %r7, %r7, %r9; mov.b32 %r8, %r10;
	mov.b64 %rd11, {%r7, %r8}; st.global.u64 [%rd6], %rd11;
	and.b32 %r11, %r1, 1; setp.eq.u32 %p1, %r11, 0; mov.u32 %r12, sh;
	and.b32 %r13, %r1, 31; shl.b32 %r13, %r13, 3; add.u32 %r12, %r12, %r13;
	st.shared.v2.u16 [%r12], {%h1, %h1}; bar.warp.sync 0xffffffff; ld.shared.b32 %r14, [%r12];
	mov.b32 {%h2, %h3}, %r14; mov.b32 %r15, {%h3, %h2};
	@%p1 st.global.u8 [%rd6+7], %r15;`))
	const n = 32
	r := newRand(2)
	in := make([]byte, 8*n)
	for i := range in {
		in[i] = byte(r.Uint32())
	}
	a, b := buffer(d, "in", in), d.empty("out", 8*n)
	d.must("k", 1, n, a, b)
	for i, got := range read[uint64](d, b, n) {
		v := in[8*i:]
		s := uint32(int32(int8(v[0]))) + uint32(v[0]) + uint32(int32(int16(hostOrder.Uint16(v[2:])))) + uint32(uint16(int8(v[0])))
		want := uint64(int64(int32(hostOrder.Uint32(v[4:])))) + uint64(int64(int8(v[1]))) + uint64(s)
		if i%2 == 0 {
			want = want&^(255<<56) | uint64(v[0])<<56
		}
		if got != want {
			t.Fatalf("thread %d: %#x, want %#x", i, got, want)
		}
	}
}

// TestVectorMoves: elements change places, of registers that are read and
// written, in every lane or where a guard holds.
func TestVectorMoves(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       func(lane, a, b, c, d uint64) [4]uint64
	}{
		{"swap", "mov.v2.u64 {%a, %b}, {%b, %a};", func(_, a, b, c, d uint64) [4]uint64 { return [4]uint64{b, a, c, d} }},
		{"three of them", "mov.v2.b64 {%a, %b}, {%b, %c};", func(_, a, b, c, d uint64) [4]uint64 { return [4]uint64{b, c, c, d} }},
		{"one to both", "mov.v2.f64 {%a, %b}, {%c, %a};", func(_, a, b, c, d uint64) [4]uint64 { return [4]uint64{c, a, c, d} }},
		{"a sink and a constant", "mov.v2.s64 {_, %d}, {%a, -5};", func(_, a, b, c, _ uint64) [4]uint64 { return [4]uint64{a, b, c, ^uint64(4)} }},
		{"swap in odd lanes", "@%p mov.v2.u64 {%a, %b}, {%b, %a};", func(lane, a, b, c, d uint64) [4]uint64 {
			if lane%2 == 1 {
				a, b = b, a
			}
			return [4]uint64{a, b, c, d}
		}},
		{"around, in halves", "mov.v4.u32 {%r0, %r1, %r2, %r3}, {%r3, %r0, %r1, %r2};", func(_, a, b, c, d uint64) [4]uint64 {
			return [4]uint64{a<<32 | b>>32, b<<32 | a>>32, c, d}
		}},
		{"back, in quarters", "mov.v4.b16 {%h0, %h1, %h2, %h3}, {%h1, %h2, %h3, %h0};", func(_, a, b, c, d uint64) [4]uint64 {
			return [4]uint64{a, b, c, bits.RotateLeft64(d, -16)}
		}},
		{"special registers", "mov.v2.u32 {%r3, %r0}, {%tid.x, %r3};", func(lane, a, b, c, d uint64) [4]uint64 {
			return [4]uint64{a>>32<<32 | b>>32, b<<32>>32 | lane<<32, c, d}
		}},
	} {
		d := newDevice(t, `.visible .entry k(.param .u64 io) {
	.reg .b64 %io, %a, %b, %c, %d; .reg .b32 %t, %r<4>; .reg .b16 %h<4>; .reg .pred %p;
	ld.param.u64 %io, [io]; mov.u32 %t, %tid.x; mul.wide.u32 %a, %t, 32; add.u64 %io, %io, %a;
	and.b32 %t, %t, 1; setp.eq.u32 %p, %t, 1;
	ld.global.v2.b64 {%a, %b}, [%io]; ld.global.v2.b64 {%c, %d}, [%io+16];
	mov.b64 {%r0, %r1}, %a; mov.b64 {%r2, %r3}, %b; mov.b64 {%h0, %h1, %h2, %h3}, %d;
	`+c.body+`
	`+map[bool]string{true: "mov.b64 %a, {%r0, %r1}; mov.b64 %b, {%r2, %r3};"}[strings.Contains(c.body, "%r0")]+`
	`+map[bool]string{true: "mov.b64 %d, {%h0, %h1, %h2, %h3};"}[strings.Contains(c.body, "%h0")]+`
	st.global.v2.b64 [%io], {%a, %b}; st.global.v2.b64 [%io+16], {%c, %d}; ret; }`)
		r := newRand(9)
		in := make([]uint64, 4*64)
		for i := range in {
			in[i] = r.Uint64()
		}
		p := buffer(d, "io", in)
		d.must("k", 1, 64, p)
		got := read[uint64](d, p, len(in))
		for lane := range 64 {
			v := in[4*lane:]
			if want := c.want(uint64(lane), v[0], v[1], v[2], v[3]); [4]uint64(got[4*lane:]) != want {
				t.Errorf("%s, lane %d: got %#x, want %#x", c.name, lane, got[4*lane:][:4], want)
				break
			}
		}
	}
}

// TestLdu: the loads for an address that the warp's lanes share are loads.
func TestLdu(t *testing.T) {
	d := newDevice(t, `.visible .entry k(.param .u64 out, .param .u64 in) {
	.reg .b64 %in, %out, %l; .reg .b32 %r<8>; .reg .b64 %d<2>;
	ld.param.u64 %out, [out]; ld.param.u64 %in, [in];
	mov.u32 %r0, %tid.x; mul.wide.u32 %l, %r0, 32; add.u64 %out, %out, %l;
	shr.u32 %r0, %r0, 5; mul.wide.u32 %l, %r0, 16; add.u64 %in, %in, %l;
	ldu.global.s8 %r0, [%in+3]; ldu.v2.u16 {%r1, %r2}, [%in+4]; ldu.global.v4.u8 {%r3, %r4, %r5, %r6}, [%in];
	ldu.global.s32 %d0, [%in+8]; ldu.global.u32 %r7, [%in+12];
	add.u32 %r4, %r4, %r5; cvt.u32.u64 %r5, %d0; shr.u64 %d0, %d0, 32; cvt.u32.u64 %r6, %d0;
	st.global.v4.u32 [%out], {%r0, %r1, %r2, %r3}; st.global.v4.u32 [%out+16], {%r4, %r5, %r6, %r7};
	ret; }`)
	in := make([]uint8, 32)
	for i := range in {
		in[i] = uint8(0xf1 - 7*i)
	}
	pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint32, 64*8))
	d.must("k", 1, 64, po, pi)
	got := read[uint32](d, po, 64*8)
	for lane := range 64 {
		b := in[lane/32*16:]
		word := func(at int) uint32 { return hostOrder.Uint32(b[at:]) }
		want := []uint32{uint32(int8(b[3])), uint32(hostOrder.Uint16(b[4:])), uint32(hostOrder.Uint16(b[6:])), uint32(b[0]), uint32(b[1]) + uint32(b[2]), word(8), uint32(int32(word(8)) >> 31), word(12)}
		if !slices.Equal(got[8*lane:][:8], want) {
			t.Fatalf("lane %d: got %#x, want %#x", lane, got[8*lane:][:8], want)
		}
	}
}

// TestSpaces: which spaces the manual says that generic addresses are in; that
// of parameters is part of global memory.
func TestSpaces(t *testing.T) {
	spaces := []string{"global", "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"}
	for of, want := range map[string]string{
		"mov.u64 %at, gv":                         "global",
		"mov.u64 %at, %out":                       "global",
		"mov.u64 %at, sv; cvta.shared.u64":        "shared shared::cta shared::cluster",
		"mov.u64 %at, lv; cvta.local.u64":         "local",
		"mov.u64 %at, out; cvta.param.u64":        "global param param::entry",
		"mov.u64 %at, out; cvta.param::entry.u64": "global param param::entry",
	} {
		if strings.Contains(of, "cvta") {
			of += " %at, %at"
		}
		body := of + "; mov.u32 %r, 0;\n"
		for i, space := range spaces {
			body += fmt.Sprintf("isspacep.%s %%p, %%at; @%%p or.b32 %%r, %%r, %d;\n", space, 1<<i)
		}
		d := deviceOf(t, `.global .b32 gv; .visible .entry k(.param .u64 out) {
	.shared .b32 sv; .local .b32 lv; .reg .b64 %out, %at; .reg .b32 %r; .reg .pred %p;
	ld.param.u64 %out, [out];
	`+body+`st.global.u32 [%out], %r; ret; }`, 90)
		po := d.empty("out", 4)
		d.must("k", 1, 1, po)
		var got []string
		for i, space := range spaces {
			if read[uint32](d, po, 1)[0]>>i&1 == 1 {
				got = append(got, space)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: in %v, want %s", of, got, want)
		}
	}
}

// TestCpAsync copies to shared memory with zero fill.
func TestCpAsync(t *testing.T) {
	d := newDevice(t, body(`
	shl.b32 %r2, %r1, 4; cvt.u64.u32 %rd4, %r2; add.u64 %rd5, %rd1, %rd4; add.u64 %rd6, %rd2, %rd4;
	mov.u32 %r3, sh; add.u32 %r3, %r3, %r2;
	st.shared.v4.u32 [%r3], {%r3, %r3, %r3, %r3};
	and.b32 %r4, %r1, 1; shl.b32 %r4, %r4, 3; add.u32 %r4, %r4, 8;      // 8 or 16 bytes
	cp.async.cg.shared.global [%r3], [%rd5], 16, %r4;
	cp.async.commit_group; cp.async.wait_group 0; bar.sync 0;
	ld.shared.v4.u32 {%r5, %r6, %r7, %r8}, [%r3]; st.global.v4.u32 [%rd6], {%r5, %r6, %r7, %r8};`))
	in := make([]uint32, 64)
	for i := range in {
		in[i] = uint32(i + 1)
	}
	a, b := buffer(d, "in", in), d.empty("out", 256)
	d.must("k", 1, 16, a, b)
	for i, got := range read[uint32](d, b, 64) {
		want := in[i]
		if i/4%2 == 0 && i%4 >= 2 {
			want = 0
		}
		if got != want {
			t.Fatalf("word %d: %d, want %d", i, got, want)
		}
	}
}

func TestSpecialRegisters(t *testing.T) {
	d := newDevice(t, body(`
	mov.u32 %r2, %laneid; mov.u32 %r3, %warpid; mov.u32 %r4, %lanemask_lt; mov.u32 %r5, %lanemask_ge;
	mov.u32 %r6, %ctaid.y; mov.u32 %r7, %nctaid.z; mov.u32 %r8, %tid.y; mov.u32 %r9, %ntid.z;
	mov.u32 %r10, %tid.z; mov.u32 %r11, %dynamic_smem_size;
	shl.b32 %r10, %r10, 8; or.b32 %r8, %r8, %r10;
	mov.u32 %r12, %ntid.x; mad.lo.u32 %r13, %r3, 32, %r2;
	mul.wide.u32 %rd3, %r13, 32; add.u64 %rd4, %rd1, %rd3;
	st.global.v4.u32 [%rd4], {%r2, %r3, %r4, %r5}; st.global.v4.u32 [%rd4+16], {%r6, %r7, %r8, %r11};`))
	k := d.prog.Kernels["k"]
	const n = 8 * 5 * 9
	out := buffer(d, "out", make([]uint32, 8*n))
	l := Launch{Grid: [3]uint32{1, 3, 2}, Block: [3]uint32{8, 5, 9}, DynamicShared: 77, Params: k.pack(out, out)}
	if err := Run(k, l, Options{Workers: 1}); err != nil {
		t.Fatal(err)
	}
	for i, got := range read[[8]uint32](d, out, n) {
		lane := uint32(i % 32)
		want := [8]uint32{lane, uint32(i / 32), 1<<lane - 1, ^uint32(1<<lane - 1), 2, 2, uint32(i/8%5 | i/40<<8), 77}
		if got != want {
			t.Fatalf("thread %d: %v, want %v", i, got, want)
		}
	}
	if bits.Len(uint(len(k.Params))) == 0 {
		t.Error("no parameters")
	}
}

// TestPack puts values together from registers and constants and takes them apart.
func TestPack(t *testing.T) {
	for _, c := range []struct {
		body string
		want uint64
	}{
		{"mov.b32 r1, {0, h1}; cvt.u64.u32 l9, r1;", 0xfeed0000}, // bfloat16 to float32
		{"mov.b32 r1, {h1, -2}; cvt.u64.u32 l9, r1;", 0xfffefeed},
		{"mov.b32 r1, {70000, 3}; cvt.u64.u32 l9, r1;", 0x31170},
		{"mov.b64 l9, {r2, 0f3F800000};", 0x3f80000089abcdef},
		{"mov.b64 l9, {h1, 1, h2, 0xffff};", 0xffffbeef0001feed},
		{"mov.b64 {r1, r3}, l1; mov.b64 l9, {r3, r1};", 0x89abcdef01234567},
		{"mov.b16 h1, {b1, 0x7f}; cvt.u64.u16 l9, h1;", 0x7fa5},
		{"mov.b16 {b1, b2}, h1; cvt.u64.u8 l9, b1; cvt.u64.u8 l2, b2; shl.b64 l2, l2, 32; or.b64 l9, l9, l2;", 0xfe000000ed},
		{"mov.b32 {b1, _, b3, b4}, r2; mov.b32 r1, {b4, 0x100, b3, b1}; cvt.u64.u32 l9, r1;", 0xefab0089},
		{"mov.b32 r1, {r2}; mov.b32 {r3}, r1; cvt.u64.u32 l9, r3;", 0x89abcdef},
	} {
		d := newDevice(t, `.entry k(.param .u64 out) {
.reg .b8 b<9>; .reg .b16 h<9>; .reg .b32 r<9>; .reg .b64 l<10>;
ld.param.u64 {l0}, [out]; mov.b64 l1, 0x0123456789abcdef; mov.b16 h1, 0xfeed; mov.b16 h2, 0xbeef; cvt.u32.u64 r2, l1; cvt.u8.u32 b1, 0xa5;
`+c.body+"st.global.b64 [l0], {l9}; }")
		out := buffer(d, "out", []uint64{1})
		d.must("k", 1, 1, out)
		if got := read[uint64](d, out, 1)[0]; got != c.want {
			t.Errorf("%s: %#x, want %#x", c.body, got, c.want)
		}
	}
}

// TestModuleShared: of the module's variables in shared memory, a kernel has those
// that it names, and they begin where its shared memory does.
func TestModuleShared(t *testing.T) {
	d := newDevice(t, `
.shared .align 16 .b8 a[30000];
.shared .b8 unused[200000];
.shared .b32 b[4];
.entry one(.param .u64 out) { .reg .b64 l; .reg .b32 r; ld.param.u64 l, [out]; mov.u32 r, b; st.global.u32 [l], r; }
.entry two(.param .u64 out) { .reg .b64 l; .reg .b32 r; ld.param.u64 l, [out]; st.shared.u32 [b], 7; mov.u32 r, a; st.global.u32 [l], r; mov.u32 r, b; st.global.u32 [l+4], r; }`)
	out := buffer(d, "out", []uint32{9, 9})
	d.must("one", 1, 1, out)
	if got, bytes := read[uint32](d, out, 1)[0], d.prog.Kernels["one"].StaticShared; got != 0 || bytes != 16 {
		t.Errorf("b is at %d of %d bytes, want 0 of 16", got, bytes)
	}
	d.must("two", 1, 1, out)
	if got, bytes := read[uint32](d, out, 2), d.prog.Kernels["two"].StaticShared; got[0] != 0 || got[1] != 30000 || bytes != 30016 {
		t.Errorf("a and b are at %d of %d bytes, want 0 and 30000 of 30016", got, bytes)
	}
}
