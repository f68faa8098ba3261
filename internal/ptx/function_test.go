package ptx

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCalls: what stands in the place of calls.
func TestCalls(t *testing.T) {
	m, err := Parse(`.version 7.8
.target sm_80
.address_size 64
.extern .func __assertfail(.param .b64 m, .param .b32 line);
.func (.param .b32 r) twice(.param .b32 x);
.visible .entry k(.param .u64 out)
{
	.reg .b32 %r<4>; .reg .b64 %d<3>; .reg .pred %p;
	mov.u32 %r1, 5; mov.b64 %d2, 0;
	setp.eq.u32 %p, %r1, 6;
	{ .param .b32 a; .param .b32 b; st.param.b32 [a], %r1; call.uni (b), twice, (a); ld.param.b32 %r2, [b]; }
	@%p call (%r3), twice, (7);
	@!%p call __assertfail, (%d2, 12);
	ret;
}
.func (.param .b32 r) twice(.param .b32 x)
{
	.reg .b32 %r<3>; .reg .pred %p;
	.shared .b32 s;
	ld.param.b32 %r1, [x]; st.shared.b32 [s], %r1;
	setp.eq.u32 %p, %r1, 0;
	@%p ret;
	shl.b32 %r2, %r1, 1; st.param.b32 [r], %r2;
	ret;
}`)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
	.reg .pred %p;
	.reg .pred %p_<3>;
	.reg .b32 %r<4>;
	.reg .b32 %r1_<3>;
	.reg .b32 %r2_<3>;
	.reg .b64 %d<3>;
	.local .b32 a;
	.local .b32 b;
	.shared .b32 s;
	.local .b32 r;
	.local .b32 x;
	mov.u32 %r1, 5;
	mov.b64 %d2, 0;
	setp.eq.u32 %p, %r1, 6;
	st.local.b32 [a], %r1;
	ld.local.b32 %r1_1, [a];
	st.shared.b32 [s], %r1_1;
	setp.eq.u32 %p_1, %r1_1, 0;
	@%p_1 bra $end_twice;
	shl.b32 %r2, %r1_1, 1;
	st.local.b32 [b], %r2;
$end_twice:
	ld.local.b32 %r2_1, [b];
	@!%p bra $over_twice;
	st.local.b32 [x], 7;
	ld.local.b32 %r1_2, [x];
	st.shared.b32 [s], %r1_2;
	setp.eq.u32 %p_2, %r1_2, 0;
	@%p_2 bra $end_twice_1;
	shl.b32 %r2_2, %r1_2, 1;
	st.local.b32 [r], %r2_2;
$end_twice_1:
	ld.local.b32 %r3, [r];
$over_twice:
	@%p bra $over___assertfail;
	trap;
$over___assertfail:
	ret;
}
`
	if _, got, _ := strings.Cut(m.String(), ")\n"); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	for _, in := range m.Entries[0].Body {
		if in.Pos.Line < 9 || in.Pos.Line > 23 {
			t.Errorf("%v is at %v", in, in.Pos)
		}
	}
}

// TestFunctionsAgree: what ptxas takes of functions, indirect branches and addresses in
// initial content, we take, but for what is not supported; what it rejects, we reject.
func TestFunctionsAgree(t *testing.T) {
	const one = ".func (.param .b32 r) f(.param .b32 x) { .reg .b32 %a; ld.param.b32 %a, [x]; st.param.b32 [r], %a; ret; }\n"
	kernel := func(body string) string {
		return ".visible .entry k(.param .u64 p)\n{\n.reg .b32 %r<5>; .reg .b64 %d<5>; .reg .f32 %f<5>; .reg .b16 %h<5>; .reg .pred %q<3>;\n" + body + "\nret;\n}\n"
	}
	for _, c := range []struct {
		name, text string
		ours       string // what we say, "" where we take it
		takes      bool   // ptxas does, though we do not, or the reverse
	}{
		{name: "a call", text: one + kernel("{ .param .b32 a; .param .b32 b; st.param.b32 [a], 1; call.uni (b), f, (a); ld.param.b32 %r1, [b]; }")},
		{name: "an offset in a parameter", text: ".func f(.param .align 4 .b8 x[8]) { .reg .b32 %a; ld.param.b32 %a, [x+4]; ret; }\n" + kernel("{ .param .align 4 .b8 a[8]; st.param.b32 [a+0], 1; st.param.b32 [a+4], 1; call f, (a); }")},
		{name: "registers", text: ".func (.reg .b32 r) f(.reg .b32 x, .reg .f32 y) { add.u32 r, x, 1; ret; }\n" + kernel("call (%r1), f, (%r2, %f1);")},
		{name: "a constant for a register", text: ".func (.reg .b32 r) f(.reg .b32 x) { add.u32 r, x, 1; ret; }\n" + kernel("call (%r1), f, (3);")},
		{name: "registers for parameters", text: one + kernel("call (%r1), f, (%r2);")},
		{name: "a constant for a parameter", text: one + kernel("call (%r1), f, (7);")},
		{name: "a guarded call", text: one + kernel("@%q1 call (%r1), f, (7);")},
		{name: "a function without parameters", text: ".func f { ret; }\n" + kernel("call f;")},
		{name: "empty parentheses", text: ".func f() { ret; }\n" + kernel("call f, ();")},
		{name: "a function declared twice", text: ".func f(.param .b32 x);\n.func f(.param .b32 x);\n.func f(.param .b32 y) { ret; }\n" + kernel("call f, (1);")},
		{name: "one that is defined behind", text: ".visible .func f(.param .b32 x);\n" + kernel("call f, (1);") + ".visible .func f(.param .b32 y) { ret; }\n"},
		{name: "one that nobody calls", text: one + kernel("")},
		{name: "a function that calls one", text: one + ".func g() { .reg .b32 %a; call (%a), f, (1); ret; }\n" + kernel("call g;")},
		{name: "weak", text: ".weak .func f() { ret; }\n" + kernel("call f;")},
		{name: "noreturn", text: ".func f() .noreturn { trap; exit; }\n" + kernel("call f;")},
		{name: "the address of a parameter", text: ".func f(.param .align 8 .b8 x[16]) { .reg .b64 %a; .reg .b32 %b; mov.b64 %a, x; ld.param.b32 %b, [%a+4]; ret; }\n" + kernel("{ .param .align 8 .b8 a[16]; st.param.b64 [a], %d1; st.param.b64 [a+8], %d1; call f, (a); }")},
		{name: "shared memory of a function", text: ".func f() { .shared .b32 s; st.shared.b32 [s], 1; ret; }\n" + kernel("call f; call f;")},
		{name: "a list of labels", text: kernel("T: .branchtargets A, B; brx.idx %r1, T; A: mov.u32 %r2, 1; B: ret;")},
		{name: "a list for two branches", text: kernel("T: .branchtargets A, B; @%q1 brx.idx.uni %r1, T; { brx.idx.uni %r2, T; } A: mov.u32 %r2, 1; B: ret;")},
		{name: "a guarded branch by index", text: kernel("T: .branchtargets A, B; @%q1 brx.idx %r1, T; A: mov.u32 %r2, 1; B: ret;")},
		{name: "a constant index", text: kernel("T: .branchtargets A; brx.idx 0, T; A: ret;")},

		{name: "recursion", text: ".func f() { call f; ret; }\n" + kernel("call f;")},
		{name: "two that call each other", text: ".func g();\n.func f() { .reg .pred p; @p call g; ret; }\n.func g() { call f; ret; }\n" + kernel("call f; call g;")},
		{name: "recursion with variables", text: ".func (.param .align 8 .b8 r[24]) f(.param .align 8 .b8 x[12], .param .b32 n) { .local .align 4 .b8 v[8]; .reg .b32 %a; .reg .b64 %d; .reg .pred %p; ld.param.b32 %a, [n]; setp.eq.u32 %p, %a, 0; @%p ret; mov.u64 %d, v; st.local.b32 [v+4], %a; " +
			"{ .param .align 8 .b8 b[24]; .param .align 8 .b8 y[12]; sub.u32 %a, %a, 1; st.param.b32 [y], %a; call (b), f, (y, %a); ld.param.b32 %a, [b+8]; } st.param.b32 [r+8], %a; ret; }\n" + kernel("{ .param .align 8 .b8 b[24]; .param .align 8 .b8 y[12]; st.param.b32 [y], 1; @%q1 call (b), f, (y, 3); }")},
		{name: "a call through a register", text: ".func f() { ret; }\n" + kernel("mov.u64 %d1, f; P: .callprototype _ (); call %d1, (), P;")},
		{name: "one with parameters", text: one + kernel("mov.u64 %d1, f; P: .callprototype (.param .b32 _) _ (.param .b32 _); call (%r1), %d1, (%r2), P; @%q1 call (%r1), %d1, (%r2), P;")},
		{name: "one where no function has an address", text: kernel("P: .callprototype _ (.param .b32 _); call %d1, (%r2), P;")},
		{name: "call targets", text: one + kernel("mov.u64 %d1, f; P: .calltargets f; call (%r1), %d1, (%r2), P;")},
		{name: "addresses of functions", text: one + ".global .u64 t[2] = {f, 0};\n" + kernel("ld.global.u64 %d1, [t]; P: .callprototype (.param .b32 _) _ (.param .b32 _); call (%r1), %d1, (%r2), P;")},

		{name: "printf", text: ".extern .func (.param .b32 r) vprintf(.param .b64 f, .param .b64 v);\n" + kernel("{ .param .b64 a; .param .b64 b; .param .b32 c; st.param.b64 [a], %d1; st.param.b64 [b], %d2; call.uni (c), vprintf, (a, b); ld.param.b32 %r1, [c]; } @%q1 call (%r1), vprintf, (%d1, %d2);")},
		{name: "a function of the driver", text: ".extern .func (.param .b64 r) malloc(.param .b64 n);\n" + kernel("call (%d1), malloc, (8);"), ours: "malloc has no body in this module", takes: true},

		{name: "a call through a register without prototype", text: one + kernel("mov.u64 %d1, f; call (%r1), %d1, (%r2);"), ours: "expected \",\""},
		{name: "no prototype", text: one + kernel("mov.u64 %d1, f; call (%r1), %d1, (%r2), P;"), ours: "no .callprototype"},
		{name: "another prototype", text: one + kernel("mov.u64 %d1, f; P: .callprototype (.param .b32 _) _ (); call (%r1), %d1, (%r2), P;"), ours: "the function has 0 arguments, the call 1"},
		{name: "too few arguments", text: one + kernel("call (%r1), f, ();"), ours: "f has 1 arguments, the call 0"},
		{name: "too few results", text: one + kernel("call f, (1);"), ours: "f has 1 results, the call 0"},
		{name: "a parameter of another size", text: one + kernel("{ .param .b64 a; st.param.b64 [a], 1; call (%r1), f, (a); }"), ours: "argument 1 of f is .align 4 .b32, a is .align 8 .b64"},
		{name: "a parameter of another alignment", text: ".func f(.param .align 4 .b8 x[8]) { ret; }\n" + kernel("{ .param .align 8 .b8 a[8]; call f, (a); }"), ours: "is .align 4 .b8[8], a is .align 8 .b8[8]"},
		{name: "a parameter of another type", text: ".func f(.param .u32 x) { ret; }\n" + kernel("{ .param .f32 a; call f, (a); }"), ours: "is .align 4 .u32, a is .align 4 .f32"},
		{name: "bytes for a word", text: one + kernel("{ .param .align 4 .b8 a[4]; call (%r1), f, (a); }"), ours: "a is .align 4 .b8[4]"},
		{name: "a register of another size", text: one + kernel("call (%r1), f, (%d1);"), ours: "register %d1 is .b64"},
		{name: "a register for an array", text: ".func f(.param .align 4 .b8 x[4]) { ret; }\n" + kernel("call f, (%r1);"), ours: "no variable in .param"},
		{name: "nothing of that name", text: kernel("call f;"), ours: "there is no function f"},
		{name: "a store to a kernel's parameter", text: kernel("st.param.u64 [p], %d1;"), ours: "no variable that a call takes or returns"},
		{name: "another declaration", text: ".func f(.param .b32 x);\n.func f(.param .b64 x) { ret; }\n" + kernel(""), ours: "declared with other parameters"},
		{name: "two bodies", text: ".func f() { ret; }\n.func f() { ret; }\n" + kernel(""), ours: "declared twice"},
		{name: "a variable of that name", text: ".global .u32 f;\n.func f() { ret; }\n" + kernel(""), ours: "declared twice"},
		{name: "no list of labels", text: kernel("brx.idx %r1, A; A: ret;"), ours: "no list of labels"},
		{name: "no label of a list", text: kernel("T: .branchtargets A; brx.idx %r1, T;"), ours: "there is no label A"},
		{name: "a list behind its branch", text: kernel("brx.idx %r1, T; T: .branchtargets A; A: ret;"), ours: "no list of labels"},
		{name: "an index of 64 bits", text: kernel("T: .branchtargets A; brx.idx %d1, T; A: ret;"), ours: "register is .b64"},

		{name: "another name", text: ".visible .func f() { ret; }\n.visible .func g();\n.alias g, f;\n" + kernel(""), ours: "not supported", takes: true},
	} {
		text := ".version 7.8\n.target sm_80\n.address_size 64\n" + c.text
		m, err := Parse(text)
		switch {
		case c.ours == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.ours != "" && (err == nil || !strings.Contains(err.Error(), c.ours)):
			t.Errorf("%s: %v, want …%s…", c.name, err, c.ours)
		}
		printed := ""
		if err == nil {
			printed = m.String()
			if again, err := Parse(printed); err != nil || again.String() != printed {
				t.Errorf("%s: printed, it is %v:\n%s", c.name, err, printed)
			}
		}
		if _, err := exec.LookPath("ptxas"); err != nil {
			continue
		}
		if out, rejects := assemble(t, printed); rejects && printed != "" {
			t.Errorf("%s: ptxas rejects what is printed of it:\n%s\n%s", c.name, out, printed)
		}
		out, rejects := assemble(t, text)
		if rejects != (c.ours != "" && !c.takes) {
			t.Errorf("%s: ptxas rejects it: %t; we: %v\n%s", c.name, rejects, err, out)
		}
	}
}

// assemble has ptxas assemble a module, and returns what it says, and whether it
// rejects it.
func assemble(t *testing.T, text string) (string, bool) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "module.ptx")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	out, err := exec.CommandContext(ctx, "ptxas", "-O0", "-arch=sm_80", file, "-o", os.DevNull).CombinedOutput()
	return string(out), err != nil
}
