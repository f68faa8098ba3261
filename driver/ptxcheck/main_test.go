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
		{"no such entry", "-entry other -block 32", good, unusable, `"other"`},
		{"too few arguments", "-entry copy -block 32 -args buf:1024", good, unusable, "argument"},
		{"wrong size of argument", "-entry copy -block 32 -args buf:1024,buf:1024,f64:2", good, unusable, "argument"},
		{"unknown argument", "-entry copy -args f16:2", good, unusable, "expected buf:BYTES"},
		{"value out of range", "-entry copy -args u32:-1", good, unusable, "argument 0"},
		{"no buffer", "-entry copy -args buf:0", good, unusable, "argument 0"},
		{"missing input", "-entry copy -args in:" + filepath.Join(dir, "none"), good, unusable, "argument 0"},
		{"zero block", "-entry copy -block 0", good, unusable, "-block"},
		{"block too large", "-entry copy -block 2048 -args buf:1024,buf:1024,f32:2", good, unusable, "2048"},
		{"too much shared memory", "-entry copy -shared 4294967295 -block 32 -args buf:1024,buf:1024,f32:2", good, unusable, "shared"},
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
	ptx, in, dump := filepath.Join(dir, "copy.ptx"), filepath.Join(dir, "in.bin"), filepath.Join(dir, "dump")
	var input, want []byte
	for i := range 64 {
		input = binary.LittleEndian.AppendUint32(input, math.Float32bits(float32(i)))
		want = binary.LittleEndian.AppendUint32(want, math.Float32bits(float32(i)*-1.5))
	}
	for path, content := range map[string][]byte{ptx: []byte(copyKernel), in: input} {
		if err := os.WriteFile(path, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	var out, errs bytes.Buffer
	if code := run([]string{"-entry", "copy", "-block", "64", "-args", "buf:256,in:" + in + ",f32:-1.5", "-dump", dump, ptx}, &out, &errs); code != clean {
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
