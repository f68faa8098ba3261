package exec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A hostileCase is a program made to crash, to hang or to exhaust memory; it must
// end in an error, or in nothing at all, and soon.
type hostileCase struct {
	name, src   string
	grid, block uint32 // 0: 1
	want        string // in the error; "" where there is none
}

// hostile has everything that the text of a program can do.
func hostile() []hostileCase {
	entry := func(s string) string {
		return header + ".visible .entry k() {\n.reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %y<8>; .reg .f32 %f<4>;\n" + s + "\nret;\n}\n"
	}
	var registers, labels strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&registers, "mov.u32 %%z%d, %d;\n", i, i)
		fmt.Fprintf(&labels, "L%d: @%%p1 bra L%d;\n", i, (i*7919+1)%20000)
	}
	var add strings.Builder
	for range 20000 {
		add.WriteString("add.u32 %z0, %z0, %z1;\n")
	}
	return []hostileCase{
		{name: "empty", want: "expected \".version\""},
		{name: "NUL bytes", src: strings.Repeat("\x00", 1000), want: "expected \".version\""},
		{name: "NUL in the text", src: entry("add.u32 %r1, \x00%r1, 1;"), want: "6:14"},
		{name: "invalid UTF-8", src: entry("add.u32 %r1, \xff\xfe, 1;"), want: "expected an operand"},
		{name: "UTF-16", src: "\xff\xfe.\x00v\x00e\x00", want: "1:1"},
		{name: "truncated in an instruction", src: header + ".visible .entry k() {\nadd.u32 %r1", want: "end of file"},
		{name: "truncated in a parameter", src: header + ".visible .entry k(.param .u64", want: "a variable's name"},
		{name: "truncated in a string", src: header + ".file 1 \"abc", want: "string without an end"},
		{name: "truncated in a comment", src: header + "/* abc", want: "comment without an end"},
		{name: "deep blocks", src: entry(strings.Repeat("{", 1<<20)), want: "nested more than 64 deep"},
		{name: "deep parentheses", src: entry("mov.u32 %r1, " + strings.Repeat("(", 1<<20)), want: "nested more than 64 deep"},
		{name: "deep signs", src: entry("mov.u32 %r1, " + strings.Repeat("-", 1<<20)), want: "nested more than 64 deep"},
		{name: "deep braces", src: header + ".global .b32 v" + strings.Repeat("[1]", 99) + " = " + strings.Repeat("{", 99), want: "too large"},
		{name: "a huge number of registers", src: entry(".reg .b32 %z<4294967295>;"), want: "number of registers"},
		{name: "many registers that are used", src: entry(".reg .b32 %z<20000>; " + registers.String())},
		{name: "many instructions", src: entry(".reg .b32 %z<2>; mov.u32 %z0, 1; mov.u32 %z1, 1;" + add.String())},
		{name: "too many instructions", src: entry(strings.Repeat("ret;", 1<<19)), want: "more than 524288 instructions"},
		{name: "labels that jump anywhere", src: entry("setp.eq.u32 %p1, 0, 0;\n" + labels.String()), want: "out of fuel"},
		{name: "a label twice", src: entry("L: L: bra L;"), want: "declared twice"},
		{name: "a label of another block", src: entry("{ L: ret; } bra L;"), want: "no label L"},
		{name: "a jump to a register", src: entry("bra %r1;"), want: "expected a label"},
		{name: "a loop without end", src: entry("L: bra L;"), want: "out of fuel"},
		{name: "a loop without end, many blocks", src: entry("L: bra L;"), grid: 1 << 27, block: 1024, want: "out of fuel"},
		{name: "nearly without end, very many blocks", src: entry("mov.u32 %r1, 0;\nL: add.u32 %r1, %r1, 1;\nsetp.lt.u32 %p1, %r1, 20000;\n@%p1 bra L;"), grid: 1<<31 - 1, want: "the launch's blocks have run for longer"},
		{name: "a wait without end", src: entry("mov.u32 %r1, %tid.x; setp.ne.u32 %p1, %r1, 0; @%p1 bra L; barrier.sync 0, 64;\nL:"), block: 32, want: "deadlock"},
		{name: "too much shared memory", src: entry(".shared .b8 s[4294967296];"), want: "dimension"},
		{name: "too much shared memory in parts", src: entry(".shared .b8 s[200000]; .shared .b8 t[200000];"), want: "400000 bytes of shared memory (at most"},
		{name: "shared memory of many kernels", src: header + sharing(4000)},
		{name: "global variables of many kernels", src: header + naming(20000)},
		{name: "a branch by index to thousands of places, thousands of times", src: entry("L: T: .branchtargets " + strings.Repeat("L, ", 20000) + "L;\n" + strings.Repeat("brx.idx %r1, T;\n", 2000)), want: "more than 524288 instructions"},
		{name: "fragments without end", src: entry(strings.Repeat("wmma.load.a.sync.aligned.row.m16n16k16.f16 {%r1, %r1, %r1, %r1, %r1, %r1, %r1, %r1}, [%y1], %r2;\n", 50000)), want: "wmma stands for more than"},
		{name: "loops around loops", src: entry(".reg .b32 %z<20000>; setp.ne.u32 %p1, 0, 0;\n" + ladder(20000))},
		{name: "every jump goes back", src: entry(".reg .b32 %z<20000>; " + backwards(20000))},
		{name: "gigabytes of local memory", src: entry(".local .b8 l[2000000000];"), want: "at most 524288"},
		{name: "a product of dimensions that overflows", src: header + ".global .b8 v[2000000000][2000000000][2000000000];", want: "too large"},
		{name: "gigabytes of global memory", src: header + ".global .b8 v[2000000000];\n.visible .entry k() { ret; }", want: "memory"},
		{name: "gigabytes of zeros", src: header + ".global .b8 v[2][1000000000] = {{1}, {1}};", want: "bytes of initial content"},
		{name: "too many parameters", src: header + ".visible .entry k(.param .b8 p[40000]) { ret; }", want: "at most 32764"},
		{name: "a huge alignment", src: header + ".global .align 1073741824 .b8 v[4];", want: ".align"},
		{name: "a vector of the wrong size", src: entry("ld.global.v4.u32 {%r1, %r2}, [%y1];"), want: "a vector of 4"},
		{name: "a vector of none", src: entry("ld.global.v2.u32 {}, [%y1];"), want: "a vector of 2"},
		{name: "a vector of thousands", src: entry("ld.global.v2.u32 {" + strings.Repeat("%r1,", 10000) + "%r1}, [%y1];"), want: "a vector of 2"},
		{name: "a vector in a vector", src: entry("ld.global.v2.u32 {{%r1, %r2}, %r3}, [%y1];"), want: "expected an operand"},
		{name: "a call of a kernel", src: entry("call k;"), want: "there is no function k"},
		{name: "recursion without end", src: calling(".func f() { call f; }"), want: "out of bounds"},
		{name: "two that call each other without end", src: calling(".func g();\n.func f() { call g; }\n.func g() { call f; }"), want: "out of bounds"},
		{name: "a frame larger than the stack", src: calling(".func f() { .reg .pred %p; .reg .u32 %r; mov.u32 %r, %tid.x; setp.ne.u32 %p, %r, 0; .local .b8 v[100000]; st.local.b8 [v], 0; @%p call f; }"), want: "bytes of the stack for each call"},
		{name: "a hundred that call each other", src: calling(ring(100))},
		{name: "thousands that call each other", src: calling(ring(3000)), want: "calls nested"},
		{name: "a call of no address", src: calling(".func g() { ret; } .func f() { .reg .u64 %d; mov.u64 %d, 0; P: .calltargets g; call %d, (), P; }"), want: "the index is 1, of 1 labels"},
		{name: "a call of a wrong address", src: calling(".func g() { ret; } .func f() { .reg .u64 %d; mov.u64 %d, 0x100000001; P: .calltargets g; call %d, (), P; }"), want: "the index is 1, of 1 labels"},
		{name: "a call of another kind of function", src: calling(".func h(.param .b32 x) { ret; } .func g() { ret; } .func f() { .reg .u64 %d; mov.u64 %d, h; P: .calltargets g; call %d, (), P; }"), want: "trap"},
		{name: "a function without a body", src: calling(".func f();"), want: "no body"},
		{name: "calls that double forty times", src: calling(doubling(40, ".reg .b32 %r; mov.b32 %r, 1;")), want: "more than 524288 instructions"},
		{name: "empty calls that double forty times", src: calling(doubling(40, ""))},
		{name: "labels that double forty times", src: calling(doubling(40, "L:")), want: "more than"},
		{name: "registers at many calls", src: calling(".func g(.reg .b32 x) { ret; }\n" + ".func f() { .reg .b32 %r<100000>; " + strings.Repeat("{ .reg .b32 a, b, c, d; call g, (a); call g, (b); call g, (c); call g, (d); }\n", 20000) + "}")},
		{name: "calls a hundred thousand deep", src: calling(deep(100_000)), want: "calls nested"},
		{name: "a branch by an index that is out of range", src: entry("mov.u32 %r1, 4294967295; T: .branchtargets L, L; brx.idx %r1, T;\nL:"), want: "of 2 labels"},
		{name: "a branch by an index into nothing", src: entry("brx.idx %r1, L;\nL:"), want: "no list of labels"},
		{name: "a branch to itself by index", src: entry("mov.u32 %r1, 0;\nL: T: .branchtargets L; brx.idx %r1, T;"), want: "out of fuel"},
		{name: "initial content that is its own address", src: header + ".global .u64 v = v;", want: "expected a constant or a variable"},
		{name: "a huge constant", src: entry("mov.u64 %y1, " + strings.Repeat("9", 1<<16) + ";"), want: "no 64-bit integer"},
		{name: "a huge exponent", src: entry("mov.f32 %f1, 1e999999999;")},
		{name: "a shift by a huge constant", src: entry("mov.u32 %r1, 1<<0xffffffffffffffff;")},
		{name: "the least integer divided by minus one", src: entry("mov.u64 %y1, 0x8000000000000000 / -1;")},
		{name: "a remainder of zero", src: entry("mov.u64 %y1, 1 % 0;"), want: "division by zero"},
		{name: "a huge offset", src: entry("ld.global.u32 %r1, [%y1+0x7fffffffffffffff];"), want: "does not fit 32 bits"},
		{name: "an address of all ones", src: entry("mov.u64 %y1, -4; ld.global.u32 %r1, [%y1+2147483647];"), want: "misaligned"},
		{name: "an address that wraps", src: entry("mov.u64 %y1, -16; ld.global.v4.u32 {%r1, %r2, %r3, %r4}, [%y1];"), want: "out of bounds"},
		{name: "a name of a megabyte", src: header + ".visible .entry " + strings.Repeat("k", 1<<20) + "() { add; }", want: "got nothing"},
		{name: "modifiers without end", src: entry("add" + strings.Repeat(".u32", 1<<18) + " %r1, %r1, 1;"), want: "after add.u32"},
		{name: "a cluster of 2^30", src: header + ".visible .entry k() .explicitcluster .reqnctapercluster 1073741824, 1, 1 { ret; }", want: "cluster"},
		{name: "a block of 2^30", src: header + ".visible .entry k() .reqntid 1073741824, 1073741824, 1073741824 { ret; }", want: "thread"},
		{name: "a block of 2^32 - 1", src: entry(""), block: 1<<32 - 1, want: "at most 1024"},
		{name: "a grid of 2^32 - 1", src: entry(""), grid: 1<<32 - 1, want: "at most 2147483647"},
	}
}

// calling is a program of functions and a kernel that calls f.
func calling(functions string) string {
	return header + functions + "\n.visible .entry k() { call f; ret; }"
}

// doubling is n functions that call the next one twice each, and the last.
func doubling(n int, last string) string {
	text := fmt.Sprintf(".func f%d() { %s }\n", n, last)
	for i := n - 1; i >= 0; i-- {
		text += fmt.Sprintf(".func f%d() { call f%d; call f%d; }\n", i, i+1, i+1)
	}
	return text + ".func f() { call f0; }"
}

// sharing is n kernels that use one each of n variables in shared memory.
func sharing(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ".shared .b8 s%d[40000];\n.visible .entry k%d() { .reg .b32 %%r; mov.u32 %%r, s%d; ret; }\n", i, i, i)
	}
	return b.String()
}

// naming is n kernels that name one each of n variables in global memory.
func naming(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ".global .b8 g%d;\n.visible .entry k%d() { .reg .b64 %%r; mov.u64 %%r, g%d; ret; }\n", i, i, i)
	}
	return b.String()
}

// ladder is n blocks each of which may go back two.
func ladder(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "L%d: mov.b32 %%z%d, %%z%d; @%%p1 bra L%d;\n", i, i, i*17%n, max(i-2, 0))
	}
	return b.String()
}

// backwards is n blocks in the reverse of the order in which they run.
func backwards(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "bra L%d;\nL0: ret;\n", n-1)
	for i := 1; i < n; i++ {
		fmt.Fprintf(&b, "L%d: mov.b32 %%z%d, %%z%d; bra L%d;\n", i, i, i*17%n, i-1)
	}
	return b.String()
}

// ring is n functions that call the next one if the thread is not the first, the last
// the first.
func ring(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, ".func f%d();\n", i)
	}
	for i := range n {
		fmt.Fprintf(&b, ".func f%d() { .reg .u32 %%r; .reg .pred %%p; mov.u32 %%r, %%tid.x; setp.ne.u32 %%p, %%r, 0; @%%p call f%d; }\n", i, (i+1)%n)
	}
	return b.String() + ".func f() { call f0; }"
}

// deep is n functions that call the next one.
func deep(n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".func f%d() { ret; }\n", n)
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, ".func f%d() { call f%d; }\n", i, i+1)
	}
	return b.String() + ".func f() { call f0; }"
}

// do parses, loads and runs it.
func (c *hostileCase) do() error {
	m, err := ptx.Parse(c.src)
	if err != nil {
		return err
	}
	mem := NewMemory(1 << 24)
	p, err := Load(m, mem, 90)
	if err != nil {
		return err
	}
	defer p.Unload()
	for _, k := range p.Kernels {
		l := Launch{Grid: [3]uint32{max(c.grid, 1), 1, 1}, Block: [3]uint32{max(c.block, 1), 1, 1}, Params: make([]byte, k.ParamBytes)}
		if err := Run(k, l, Options{Fuel: 100_000}); err != nil {
			return err
		}
	}
	return nil
}

// TestHostile: each ends soon, and with the error that says why.
func TestHostile(t *testing.T) {
	for _, c := range hostile() {
		start := time.Now()
		err := c.do()
		if d := time.Since(start); d > 20*time.Second {
			t.Errorf("%s took %v", c.name, d)
		}
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %.300v", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %.300v, want %q", c.name, err, c.want)
		}
	}
}
