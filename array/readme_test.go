package array_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestReadme runs the README's first program.
func TestReadme(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	readme, err := os.ReadFile("../README.md")
	tool, missing := exec.LookPath("go")
	if err != nil || missing != nil {
		t.Skip("no README or no Go here", err, missing)
	}
	_, rest, _ := strings.Cut(string(readme), "```go\n")
	program, _, found := strings.Cut(rest, "```")
	if !found {
		t.Fatal("the README shows no program")
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "run", file).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "\n8 values\n") {
		t.Errorf("%v\n%s", err, out)
	}
}
