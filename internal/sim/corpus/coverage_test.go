package corpus

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// instructions are the mnemonics in a module.
func instructions(t *testing.T, text, name string, to map[string]string) {
	t.Helper()
	m, err := ptx.Parse(text)
	if err != nil {
		if reasonFor(name) == "" {
			t.Errorf("%s: %v", name, err)
		}
		return
	}
	for _, e := range m.Entries {
		for _, in := range e.Body {
			to[in.Mnemonic()] = name
		}
	}
}

// TestKernelsAreCovered: each instruction form of the library's kernels is in
// the corpus.
func TestKernelsAreCovered(t *testing.T) {
	files, err := filepath.Glob("../../../kernels/ptx/*.ptx")
	if err != nil || len(files) == 0 {
		t.Fatal("no kernels:", err)
	}
	used, held := make(map[string]string), make(map[string]string)
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		instructions(t, string(text), filepath.Base(f), used)
	}
	for _, p := range Programs() {
		instructions(t, p.PTX, p.Name, held)
	}
	var missing []string
	for m, file := range used {
		if held[m] == "" {
			missing = append(missing, m+" of "+file)
		}
	}
	sort.Strings(missing)
	if missing != nil {
		t.Errorf("%d of %d forms are in no program, give them one:\n%s", len(missing), len(used), strings.Join(missing, "\n"))
	}
}
