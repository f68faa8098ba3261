package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const head = ".version 7.0\n.target sm_80\n.address_size 64\n"

// copyKernel copies one float32 a thread, without looking where the arrays end.
const copyKernel = head + `
.visible .entry copy(.param .u64 out, .param .u64 in, .param .f32 scale)
{
	.reg .b32 %i, %n, %t;
	.reg .b64 %o, %a, %d;
	.reg .f32 %x, %s;
	mov.u32 %i, %ctaid.x;
	mov.u32 %n, %ntid.x;
	mov.u32 %t, %tid.x;
	mad.lo.u32 %i, %i, %n, %t;
	mul.wide.u32 %d, %i, 4;
	ld.param.u64 %o, [out];
	ld.param.u64 %a, [in];
	ld.param.f32 %s, [scale];
	add.u64 %o, %o, %d;
	add.u64 %a, %a, %d;
	ld.global.f32 %x, [%a];
	mul.rn.f32 %x, %x, %s;
	st.global.f32 [%o], %x;
	ret;
}
`

const endless = head + ".visible .entry spin()\n{\nagain:\n\tbra again;\n}\n"

func TestExitCodes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var input []byte
	for i := range 256 {
		input = binary.LittleEndian.AppendUint32(input, math.Float32bits(float32(i)))
	}
	in := file("in.bin", string(input))
	good := file("copy.ptx", copyKernel)
	for _, c := range []struct {
		name string
		args string // FILE is added
		file string
		code int
		says string // on standard output when clean, else on standard error
	}{
		{"clean", "-entry copy -grid 2 -block 128 -args buf:1024,in:" + in + ",f32:2", good, clean, "clean"},
		{"out of bounds", "-entry copy -grid 3 -block 128 -args buf:4096,in:" + in + ",f32:2", good, reported, "argument 1"},
		{"write out of bounds", "-entry copy -grid 2 -block 128 -args buf:1020,in:" + in + ",f32:2", good, reported, "argument 0"},
		{"uninitialised", "-entry copy -block 32 -args buf:1024,buf:1024,f32:2", good, reported, "uninitialised"},
		{"no such entry", "-entry other -block 32", good, unusable, `no kernel "other"; there is copy`},
		{"no entry", "-entry other", file("none.ptx", head), unusable, "no kernel"},
		{"too few arguments", "-entry copy -block 32 -args buf:1024", good, unusable, "takes 3 arguments, -args has 1"},
		{"too many arguments", "-entry copy -block 32 -args buf:1024,buf:1024,f32:2,u32:1", good, unusable, "takes 3 arguments, -args has 4"},
		{"integer for float", "-entry copy -block 32 -args buf:1024,buf:1024,u32:2", good, unusable, "argument 2: u32:2 is not a value of parameter .f32 scale"},
		{"float for address", "-entry copy -block 32 -args f64:1,buf:1024,f32:2", good, unusable, "argument 0: f64:1"},
		{"half an address", "-entry copy -block 32 -args u32:1,buf:1024,f32:2", good, unusable, "argument 0: u32:1"},
		{"wrong size of argument", "-entry copy -block 32 -args buf:1024,buf:1024,f64:2", good, unusable, "argument"},
		{"bytes of another size", "-entry copy -block 32 -args buf:1024,buf:1024,bytes:" + in, good, unusable, "has 1024 bytes, parameter scale has 4"},
		{"no bytes", "-entry copy -args bytes:" + file("empty.bin", ""), good, unusable, "empty"},
		{"unknown argument", "-entry copy -args f16:2", good, unusable, "expected buf:BYTES"},
		{"value out of range", "-entry copy -args u32:-1", good, unusable, "argument 0"},
		{"no buffer", "-entry copy -args buf:0", good, unusable, "argument 0"},
		{"missing input", "-entry copy -args in:" + filepath.Join(dir, "none"), good, unusable, "argument 0"},
		{"zero block", "-entry copy -block 0", good, unusable, "-block"},
		{"zero grid", "-entry copy -grid 0", good, unusable, "from 1 to 2147483647"},
		{"grid of 2^31", "-entry copy -grid 2147483648", good, unusable, "from 1 to 2147483647"},
		{"grid of 2^32", "-entry copy -grid 4294967296", good, unusable, "from 1 to 2147483647"},
		{"high grid", "-entry copy -grid 1,65536", good, unusable, "from 1 to 65535"},
		{"four dimensions", "-entry copy -grid 1,1,1,1", good, unusable, "at most three"},
		{"many threads", "-entry copy -block 1024,2 -args buf:1024,buf:1024,f32:2", good, unusable, "at most 1024 threads, -block has 2048"},
		{"another block than is required", "-entry copy -block 32 -args buf:1024,buf:1024,f32:2", file("required.ptx", strings.Replace(copyKernel, "scale)", "scale)\n.reqntid 64", 1)), unusable, "needs -block 64,1,1"},
		{"more memory than there is", "-entry copy -block 32 -args buf:1024,buf:4000000000000000000,f32:2", good, unusable, "argument 1"},
		{"block too large", "-entry copy -block 2048 -args buf:1024,buf:1024,f32:2", good, unusable, "2048"},
		{"too much shared memory", "-entry copy -shared 4294967295 -block 32 -args buf:1024,buf:1024,f32:2", good, unusable, "shared"},
		{"a byte more than a block can have", "-entry copy -shared 232449 -cc 90 -block 32 -args buf:1024,buf:1024,f32:2", good, unusable, "can have 232448 bytes"},
		{"more blocks than run here", "-entry copy -grid 2147483647 -block 32 -args buf:1024,buf:1024,f32:2", good, unusable, "runs at most 268435456 blocks"},
		{"no fuel", "-entry copy -fuel 0", good, unusable, "-fuel"},
		{"no file", "-entry copy", filepath.Join(dir, "none.ptx"), unusable, "none.ptx"},
		{"not PTX", "-entry copy", file("text.ptx", "hello"), unusable, "1:1"},
		{"bad instruction", "-entry copy", file("bad.ptx", strings.Replace(copyKernel, "mul.rn.f32", "mul.rx.f32", 1)), unusable, "21:"},
		{"no entry named", "", good, unusable, "-entry"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, err bytes.Buffer
			code := run(append(strings.Fields(c.args), c.file), &out, &err)
			text := err.String()
			if code == clean {
				text = out.String()
			}
			if code != c.code || !strings.Contains(text, c.says) {
				t.Errorf("exit code %d, want %d; want %q in:\n%s%s", code, c.code, c.says, out.String(), err.String())
			}
		})
	}
}

func TestDump(t *testing.T) {
	dir := t.TempDir()
	ptx, in, dump, scale := filepath.Join(dir, "copy.ptx"), filepath.Join(dir, "in.bin"), filepath.Join(dir, "dump"), filepath.Join(dir, "scale.bin")
	var input, want []byte
	for i := range 64 {
		input = binary.LittleEndian.AppendUint32(input, math.Float32bits(float32(i)))
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(float32(i)*-1.5))
	}
	for path, content := range map[string][]byte{ptx: []byte(copyKernel), in: input, scale: binary.LittleEndian.AppendUint32(nil, math.Float32bits(-1.5))} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-entry", "copy", "-block", "64", "-args", "buf:256,in:" + in + ",bytes:" + scale, "-dump", dump, ptx}, &out, &errs); code != clean {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	for i, want := range [][]byte{want, input} {
		got, err := os.ReadFile(filepath.Join(dump, []string{"0.bin", "1.bin"}[i]))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("buffer %d: %v, %x, want %x", i, err, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dump, "2.bin")); err == nil {
		t.Error("a value was dumped")
	}
}

// TestArguments: every kind of value comes to the kernel as it was written, and
// buffers are dumped under their positions.
func TestArguments(t *testing.T) {
	const text = head + `
.visible .entry values(.param .u32 a, .param .s32 b, .param .u64 c, .param .u64 out, .param .f32 d, .param .f64 e)
{
	.reg .b32 %r<3>;
	.reg .b64 %y<3>;
	ld.param.u64 %y0, [out];
	ld.param.u32 %r0, [a];
	ld.param.s32 %r1, [b];
	st.global.v2.u32 [%y0], {%r0, %r1};
	ld.param.u64 %y1, [c];
	st.global.u64 [%y0+8], %y1;
	ld.param.f64 %y2, [e];
	st.global.u64 [%y0+16], %y2;
	ld.param.f32 %r2, [d];
	st.global.u32 [%y0+24], %r2;
	ret;
}
`
	dir := t.TempDir()
	ptx := filepath.Join(dir, "values.ptx")
	if err := os.WriteFile(ptx, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	want := binary.LittleEndian.AppendUint32(nil, 4294967295)
	want = binary.LittleEndian.AppendUint32(want, 1<<31)
	want = binary.LittleEndian.AppendUint64(want, math.MaxUint64)
	want = binary.LittleEndian.AppendUint64(want, math.Float64bits(-0.1))
	want = binary.LittleEndian.AppendUint32(want, math.Float32bits(float32(math.Inf(1))))
	var out, errs bytes.Buffer
	args := []string{"-entry", "values", "-grid", "1,1,1", "-block", "1,1", "-args", "u32:4294967295,s32:-2147483648,u64:0xffffffffffffffff,buf:28,f32:inf,f64:-0.1", "-dump", filepath.Join(dir, "new", "folder"), ptx}
	if code := run(args, &out, &errs); code != clean {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	got, err := os.ReadFile(filepath.Join(dir, "new", "folder", "3.bin"))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, %x, want %x", err, got, want)
	}
	for _, bad := range []string{"u32:4294967296", "s32:2147483648", "s32:x", "u64:18446744073709551616", "u64:", "f32:1e40", "f64:one", "buf:-1", "buf:99999999999999999999", "in:", ":", "u32"} {
		var out, errs bytes.Buffer
		if code := run([]string{"-entry", "values", "-args", bad, ptx}, &out, &errs); code != unusable || !strings.Contains(errs.String(), "argument 0 is") {
			t.Errorf("%s: exit code %d: %s", bad, code, errs.String())
		}
	}
}

// TestUnusable: what is wrong with the text is said with line, column and what
// was expected.
func TestUnusable(t *testing.T) {
	for _, c := range []struct{ old, new, place, expected string }{
		{"mul.rn.f32", "mul.rx.f32", "21:2", "expected"},
		{"[%a]", "[%q]", "20:21", "%q"},
		{"ret;", "rat;", "23:2", "unknown instruction"},
		{".param .f32 scale", ".param .f33 scale", "", "expected a type"},
		{"st.global.f32 [%o], %x", "st.global.f32 [%o]", "22:2", "takes 2 operands, got 1"},
		{"}\n", "", "", "end of file"},
		{"ret;", "ret; // 3 \xb5s", "23:12", "expected UTF-8"},
		{".param .f32 scale", ".param .f32 scale, .param .b8 more[4096]", "5:1", "at most 4096"},
	} {
		path := filepath.Join(t.TempDir(), "bad.ptx")
		if err := os.WriteFile(path, []byte(strings.Replace(copyKernel, c.old, c.new, 1)), 0o666); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code := run([]string{"-entry", "copy", path}, &out, &errs)
		if text := errs.String(); code != unusable || !strings.Contains(text, c.place) || !strings.Contains(text, c.expected) || !strings.Contains(text, "bad.ptx") || out.Len() > 0 {
			t.Errorf("%s: exit code %d, want %q and %q in: %s", c.new, code, c.place, c.expected, text)
		}
	}
}

func TestEndless(t *testing.T) {
	path := filepath.Join(t.TempDir(), "spin.ptx")
	if err := os.WriteFile(path, []byte(endless), 0o666); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-entry", "spin", "-block", "32", "-fuel", "1000000", path}, &out, &errs); code != reported || !strings.Contains(errs.String(), "fuel") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
}

func TestCounts(t *testing.T) {
	dir := t.TempDir()
	ptx, in := filepath.Join(dir, "copy.ptx"), filepath.Join(dir, "in.bin")
	// The input read 4 bytes late: each warp touches five sectors instead of four.
	text := strings.Replace(copyKernel, "[%a];", "[%a+4];", 1)
	for path, content := range map[string][]byte{ptx: []byte(text), in: make([]byte, 260)} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-entry", "copy", "-block", "64", "-counts", "-args", "buf:256,in:" + in + ",f32:1", ptx}, &out, &errs); code != clean {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	var rows [][]string
	for _, line := range strings.Split(out.String(), "\n") {
		rows = append(rows, strings.Fields(line))
	}
	for i, want := range []string{"accesses cost least waste unit", "2 10 8 2 sectors 20 copy: ld.global.f32", "2 8 8 0 sectors 22 copy: st.global.f32"} {
		if got := strings.Join(rows[i], " "); !strings.HasPrefix(got, want) {
			t.Errorf("row %d is %q, want %q", i, got, want)
		}
	}
}

// TestNotes: what the assembler may contract is noted, and fails nothing.
func TestNotes(t *testing.T) {
	loose := strings.Replace(copyKernel, "mul.rn.f32 %x, %x, %s;", "mul.f32 %x, %x, %s;\n\tadd.f32 %x, %x, %s;", 1)
	for text, want := range map[string]string{copyKernel: "", loose: "21: mul.f32 %x, %x, %s; and line 22: add.f32"} {
		dir := t.TempDir()
		ptx, in := filepath.Join(dir, "copy.ptx"), filepath.Join(dir, "in.bin")
		for path, content := range map[string]string{ptx: text, in: strings.Repeat("\x00", 256)} {
			if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		var out, errs bytes.Buffer
		if code := run([]string{"-entry", "copy", "-block", "64", "-args", "buf:256,in:" + in + ",f32:1", ptx}, &out, &errs); code != clean {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		if got := errs.String(); !strings.Contains(got, want) || (want == "") != (got == "") {
			t.Errorf("noted %q, want %q", got, want)
		}
	}
}

// TestPerturb: what depends on more than an approximation promises shows.
func TestPerturb(t *testing.T) {
	dir := t.TempDir()
	ptx, in := filepath.Join(dir, "copy.ptx"), filepath.Join(dir, "in.bin")
	text := strings.Replace(copyKernel, "mul.rn.f32 %x, %x, %s;", "tanh.approx.f32 %x, %s;", 1)
	for path, content := range map[string]string{ptx: text, in: strings.Repeat("\x00", 256)} {
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	results := map[string]bool{}
	for _, seed := range []string{"0", "1", "1", "2", "3", "4"} {
		var out, errs bytes.Buffer
		if code := run([]string{"-entry", "copy", "-block", "64", "-perturb", seed, "-args", "buf:256,in:" + in + ",f32:0.5", "-dump", dir, ptx}, &out, &errs); code != clean {
			t.Fatalf("exit code %d: %s", code, errs.String())
		}
		b, err := os.ReadFile(filepath.Join(dir, "0.bin"))
		if err != nil {
			t.Fatal(err)
		}
		results[string(b)] = true
	}
	if len(results) != 3 { // exact, above and below
		t.Errorf("%d different results", len(results))
	}
}
