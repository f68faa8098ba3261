package exec

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestClang compares what clang makes of a program for the simulated device and
// for the processor, where there is a clang that can.
func TestClang(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles six programs")
	}
	targets, err := exec.Command("clang", "-print-targets").Output()
	if err != nil || !strings.Contains(string(targets), "nvptx64") {
		t.Skip("no clang for nvptx64")
	}
	const seed = 3
	r := newRand(seed)
	in := make([]uint32, 128)
	for i := range in {
		in[i] = r.Uint32() >> (r.Uint32N(4) * 9)
	}
	host := filepath.Join(t.TempDir(), "host")
	common := []string{"-w", "-fwrapv", "-ffp-contract=off"}
	if out, err := exec.Command("clang", append(common, "-x", "c++", "-O0", "-mf16c", "testdata/clang.cu", "-o", host)...).CombinedOutput(); err != nil {
		t.Skipf("clang makes no programs here: %v\n%s", err, out)
	}
	cmd := exec.Command(host)
	cmd.Stdin = bytes.NewReader(asBytes(in))
	answers, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	want := make([]uint64, len(answers)/8)
	for i := range want {
		want[i] = binary.NativeEndian.Uint64(answers[8*i:])
	}
	for _, opt := range []string{"-O0", "-O1", "-O2", "-O3", "-O2 -g"} {
		file := host + ".ptx"
		args := append(common, "-x", "cuda", "--cuda-gpu-arch=sm_75", "-nocudainc", "-nocudalib", "--cuda-device-only", "-S", "testdata/clang.cu", "-o", file)
		if out, err := exec.Command("clang", append(args, strings.Fields(opt)...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ptx.Parse(string(text))
		if err != nil {
			t.Fatal(err)
		}
		mem := NewMemory(1 << 30)
		p, err := Load(m, mem, 75)
		if err != nil {
			t.Fatal(err)
		}
		d := &device{t, mem, p}
		out := d.empty("out", uint64(len(answers)))
		if err := d.run("k", 1, 64, Options{Races: true, GlobalRaces: true}, out, buffer(d, "in", in)); err != nil {
			t.Errorf("%s: %v", opt, err)
		} else if got := read[uint64](d, out, len(want)); !slices.Equal(got, want) {
			t.Errorf("seed %d, %s: got %x, want %x", seed, opt, got, want)
		}
	}
}

func asBytes(v []uint32) []byte {
	var b []byte
	for _, x := range v {
		b = binary.NativeEndian.AppendUint32(b, x)
	}
	return b
}
