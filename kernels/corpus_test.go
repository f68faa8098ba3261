package kernels

import (
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/seed6486a2bb/gpuarray/internal/sim/corpus"
)

// TestCorpusHasEveryForm: each instruction form of the kernels, embedded or of the kinds
// that are made at run time, is in a program of the corpus, which a GPU has run.
func TestCorpusHasEveryForm(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here runs at the same time as anything else")
	}
	held := map[string]bool{}
	for _, p := range corpus.Programs() {
		if m, err := ptx.Parse(p.PTX); err == nil {
			for _, e := range m.Entries {
				for _, in := range e.Body {
					held[in.Mnemonic()] = true
				}
			}
		}
	}
	missing := map[string]string{}
	for _, f := range families() {
		for _, key := range append(f.embed(), generatedKeys(f.prefix)...) {
			for _, target := range f.allTargets(key) {
				text, err := generate(f, key, target)
				if err != nil {
					t.Fatal(key, err)
				}
				m, err := ptx.Parse(text)
				if err != nil {
					t.Fatal(key, err)
				}
				for _, in := range m.Entries[0].Body {
					if !held[in.Mnemonic()] {
						missing[in.Mnemonic()+" of "+f.prefix] = key
					}
				}
			}
		}
	}
	var lines []string
	for form, key := range missing {
		lines = append(lines, form+": "+key)
	}
	slices.Sort(lines)
	if lines != nil {
		t.Errorf("%d forms are in no program, give them one:\n%s", len(lines), strings.Join(lines, "\n"))
	}
}
