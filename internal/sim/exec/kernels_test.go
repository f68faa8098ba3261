package exec

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestLoadKernels decodes every kernel of the repository.
func TestLoadKernels(t *testing.T) {
	files, err := filepath.Glob("../../../kernels/ptx/*.ptx")
	if err != nil || len(files) == 0 {
		t.Skip("no kernels")
	}
	for _, f := range files {
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		m, err := ptx.Parse(string(src))
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		p, err := Load(m, NewMemory(1<<30), 90)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		for _, k := range p.Kernels {
			if u := k.code.undef; len(u) > 0 {
				t.Errorf("%s: %s may read %d registers before it writes them", filepath.Base(f), k.Name, len(u))
			}
		}
	}
}
