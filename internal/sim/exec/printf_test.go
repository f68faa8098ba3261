package exec

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// printfText is a kernel whose thread 0 prints: setup leaves the address of the format
// in %d0, and the arguments are put at offsets of a local variable.
func printfText(globals, setup string) string {
	return globals + `
.extern .func (.param .b32 printed) vprintf(.param .b64 format, .param .b64 values);
.visible .entry k(.param .u64 out)
{
	.local .align 8 .b8 values[64]; .reg .b64 %d<5>; .reg .b32 %r<5>; .reg .pred %p;
	mov.u32 %r0, %tid.x; setp.ne.u32 %p, %r0, 0; @%p ret;
` + setup + `
	mov.u64 %d1, values; cvta.local.u64 %d1, %d1;
	{ .param .b64 a; .param .b64 b; .param .b32 c;
	st.param.b64 [a], %d0; st.param.b64 [b], %d1; call.uni (c), vprintf, (a, b); ld.param.b32 %r1, [c]; }
	ld.param.u64 %d2, [out]; st.global.u32 [%d2], %r1;
	ret;
}`
}

// constantText declares a string of the device.
func constantText(name, s string) string {
	return fmt.Sprintf(".global .b8 %s[%d] = {%s};\n", name, len(s)+1, strings.Trim(strings.ReplaceAll(fmt.Sprint(append([]byte(s), 0)), " ", ", "), "[]"))
}

// shellPrintf is the command printf.
func shellPrintf(args ...string) (string, error) {
	cmd := exec.Command("/usr/bin/printf", args...)
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.Output()
	return string(out), err
}

// TestPrintf: what C's printf writes, and where there is one, what the shell's does.
func TestPrintf(t *testing.T) {
	const (
		word   = "st.local.b32 [values%+d], %s;\n"
		double = "st.local.b64 [values%+d], %s;\n"
	)
	version, _ := shellPrintf("--version")
	gnu := strings.Contains(version, "GNU coreutils") // others know fewer formats
	for _, c := range []struct {
		format, values, want string
		shell                []string // the arguments of the shell's printf, nil where it knows no such format
	}{
		{"plain\n", "", "plain\n", []string{}},
		{"%d|%5d|%-5d|%05d|%+d|% d\n", fmt.Sprintf(strings.Repeat(word, 6), 0, "-7", 4, "42", 8, "42", 12, "42", 16, "42", 20, "42"), "-7|   42|42   |00042|+42| 42\n", []string{"-7", "42", "42", "42", "42", "42"}},
		{"%i %u %x %X %o %#x", fmt.Sprintf(strings.Repeat(word, 6), 0, "-1", 4, "-1", 8, "255", 12, "255", 16, "8", 20, "255"), "-1 4294967295 ff FF 10 0xff", nil},
		{"%ld %lld %lu %zu", fmt.Sprintf(strings.Repeat(double, 4), 0, "-5000000000", 8, "0x8000000000000000", 16, "-1", 24, "7"), "-5000000000 -9223372036854775808 18446744073709551615 7", nil},
		{"%d %ld %d", fmt.Sprintf(word+double+word, 0, "1", 8, "2", 16, "3"), "1 2 3", nil},
		{"%hd %hhd %hu %hhu", fmt.Sprintf(strings.Repeat(word, 4), 0, "65535", 4, "255", 8, "65537", 12, "257"), "-1 -1 1 1", nil},
		{"%f %.2f %8.3f %e %g %G", fmt.Sprintf(strings.Repeat(double, 6), 0, "0d3FF8000000000000", 8, "0d400921FB54442D18", 16, "0d400921FB54442D18", 24, "0d400921FB54442D18", 32, "0d3F1A36E2EB1C432D", 40, "0d4202A05F20000000"), "1.500000 3.14    3.142 3.141593e+00 0.0001 1E+10", []string{"1.5", "3.141592653589793", "3.141592653589793", "3.141592653589793", "0.0001", "1e10"}},
		{"%*d|%-*d|%.*f", fmt.Sprintf(word+word+word+word+word+double, 0, "4", 4, "1", 8, "3", 12, "2", 16, "1", 24, "0d4004000000000000"), "   1|2  |2.5", []string{"4", "1", "3", "2", "1", "2.5"}},
		{"%c%c %s|%6s|%-6s|%.2s|", fmt.Sprintf(word+word+strings.Repeat("mov.u64 %%d3, word; cvta.global.u64 %%d3, %%d3; "+double, 4), 0, "72", 4, "105", 8, "%d3", 16, "%d3", 24, "%d3", 32, "%d3"), "Hi abc|   abc|abc   |ab|", []string{"H", "i", "abc", "abc", "abc", "abc"}},
		{"100%% %d %", fmt.Sprintf(word, 0, "5"), "100% 5 %", nil},
		{"%p", fmt.Sprintf(double, 0, "255"), "0xff", nil},
	} {
		d := newDevice(t, printfText(constantText("format", c.format)+constantText("word", "abc"), c.values+"mov.u64 %d0, format; cvta.global.u64 %d0, %d0;"))
		out := buffer(d, "out", []uint32{9})
		var text strings.Builder
		if err := d.run("k", 2, 64, Options{Workers: 1, Output: &text}, out); err != nil {
			t.Errorf("%q: %v", c.format, err)
			continue
		}
		if text.String() != c.want+c.want {
			t.Errorf("%q: %q, want it twice: %q", c.format, text.String(), c.want)
		}
		if n := read[uint32](d, out, 1)[0]; n != uint32(strings.Count(c.values, "values")) {
			t.Errorf("%q: %d arguments", c.format, n)
		}
		if gnu && c.shell != nil {
			if got, err := shellPrintf(append([]string{c.format}, c.shell...)...); got != c.want {
				t.Errorf("%q: the shell's printf writes %q, %v", c.format, got, err)
			}
		}
	}
}

// TestPrintfFaults: what printf reads is checked like other accesses.
func TestPrintfFaults(t *testing.T) {
	format := constantText("format", "%d %s\n") + ".global .b8 endless[4] = {65, 65, 65, 65};\n"
	address := "mov.u64 %d0, format; cvta.global.u64 %d0, %d0;"
	for _, c := range []struct {
		name, setup string
		want        FaultKind
	}{
		{"an argument nobody wrote", address, Uninitialised},
		{"no format", "mov.u64 %d0, 0;", OutOfBounds},
		{"a format without an end", "mov.u64 %d0, endless; cvta.global.u64 %d0, %d0;", OutOfBounds},
		{"a string that is none", address + "st.local.b64 [values], 1; st.local.b64 [values+8], 8;", OutOfBounds},
		{"a format in nowhere", "mov.u64 %d0, values; cvta.local.u64 %d0, %d0; add.u64 %d0, %d0, 1000;", OutOfBounds},
		{"an address that depends on nothing", "ld.local.b64 %d0, [values+16];", Uninitialised},
	} {
		d := newDevice(t, printfText(format, c.setup))
		var f *Fault
		var text strings.Builder
		if err := d.run("k", 1, 32, Options{Output: &text}, buffer(d, "out", []uint32{9})); !errors.As(err, &f) || f.Kind != c.want || !strings.Contains(f.Instr, "vprintf") {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if text.Len() > 0 {
			t.Errorf("%s: printed %q", c.name, text.String())
		}
	}
}
