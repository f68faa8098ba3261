// Command generate writes the embedded kernels to kernels/ptx and removes what
// is there besides. It runs in the directory kernels; with the build tag
// kernels_generate it does not need the files to exist:
//
//	go run -tags kernels_generate ./internal/generate
package main

import (
	"bytes"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

func main() {
	log.SetFlags(0)
	if err := write("ptx"); err != nil {
		log.Fatal(err)
	}
}

func write(dir string) error {
	files, err := kernels.Files()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	removed, written, total := 0, 0, 0
	for _, f := range old {
		if _, keep := files[f.Name()]; keep || filepath.Ext(f.Name()) != ".ptx" {
			continue
		}
		if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
			return err
		}
		removed++
	}
	for name, text := range files {
		path := filepath.Join(dir, name)
		total += len(text)
		if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, []byte(text)) {
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return err
		}
		written++
	}
	fmt.Printf("%d kernels, %d bytes: %d written, %d removed\n", len(files), total, written, removed)
	return nil
}
