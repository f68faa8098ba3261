package mutation

import (
	"bytes"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

var plant = flag.String("plant", "0", "how many bugs to plant, running the simulated device's tests on each: a number, of which the bugs are drawn, or all")

const source = "../exec"

// TestPlanted plants bugs and runs the corpus, then exec's own tests and the driver's,
// until one of them fails; of the others it only makes sure that they can be planted.
func TestPlanted(t *testing.T) {
	if len(bugs) < 40 {
		t.Errorf("%d bugs, want at least 40", len(bugs))
	}
	planted := drawn(t)
	for i, b := range bugs {
		t.Run(strings.ReplaceAll(b.what, " ", "_"), func(t *testing.T) {
			path := filepath.Join(source, b.file)
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(text), b.old); n != 1 || b.old == b.new {
				t.Fatalf("%s has %q %d times, want once: say anew where this bug goes", b.file, b.old, n)
			}
			if !planted[i] {
				return
			}
			t.Parallel()
			overlay := writeOverlay(t, path, strings.Replace(string(text), b.old, b.new, 1))
			for _, tests := range [][]string{{"../corpus"}, {source, "-short"}, {"../../../driver"}} {
				if by := caught(t, overlay, tests); by != "" {
					t.Log(by)
					return
				}
			}
			t.Error("no test notices it")
		})
	}
}

// drawn chooses the bugs that are planted.
func drawn(t *testing.T) map[int]bool {
	n, err := strconv.Atoi(*plant)
	if *plant == "all" {
		n, err = len(bugs), nil
	}
	if err != nil || n < 0 {
		t.Fatalf("-plant %s: a number, or all", *plant)
	}
	seed := rand.Uint64()
	if n > 0 && n < len(bugs) {
		t.Logf("%d bugs of %d drawn with seed %d", n, len(bugs), seed)
	}
	chosen := map[int]bool{}
	for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(len(bugs))[:min(n, len(bugs))] {
		chosen[i] = true
	}
	return chosen
}

// writeOverlay makes the file that has the go command read text for path.
func writeOverlay(t *testing.T, path, text string) string {
	dir := t.TempDir()
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {path: changed}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{changed: []byte(text), overlay: list} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return overlay
}

// caught runs a package's tests with the overlay and returns the first line that
// tells of a failed one, or "". A bug that does not compile is no bug.
func caught(t *testing.T, overlay string, tests []string) string {
	args := append([]string{"test", "-overlay", overlay, "-vet=off", "-failfast", "-timeout", "5m"}, tests...)
	out, err := exec.Command("go", args...).CombinedOutput()
	if err == nil {
		return ""
	}
	if bytes.Contains(out, []byte("[build failed]")) || !bytes.Contains(out, []byte("FAIL")) {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	for line := range strings.Lines(string(out)) {
		if s := strings.TrimSpace(line); strings.HasPrefix(s, "--- FAIL") || strings.HasPrefix(s, "panic") {
			return tests[0] + ": " + s
		}
	}
	return tests[0] + " fails"
}
