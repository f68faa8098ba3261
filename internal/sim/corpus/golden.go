package corpus

import (
	"bufio"
	"compress/gzip"
	"encoding/gob"
	"fmt"
	"io"
	"os"
)

// Golden is what a card answered.
type Golden struct {
	Card   string // as the driver names it
	CC     int    // compute capability, as 90
	Driver string // the newest CUDA version that the driver serves
	Date   string // of the run, as 2026-11-22

	Answers []Answer
}

// An Answer is a program's result, or why there is none.
type Answer struct {
	Name string
	Key  [8]byte // Program.Key, of the program as it ran
	Out  []byte
	Err  string
}

// ByKey returns the answers by their programs' keys.
func (g *Golden) ByKey() map[[8]byte]Answer {
	m := make(map[[8]byte]Answer, len(g.Answers))
	for _, a := range g.Answers {
		m[a.Key] = a
	}
	return m
}

// WriteFile writes the golden file.
func (g *Golden) WriteFile(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	for _, step := range []func() error{func() error { return gob.NewEncoder(z).Encode(g) }, z.Close, f.Close} {
		if err := step(); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// ReadFile reads a golden file.
func ReadFile(name string) (*Golden, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	g, err := read(bufio.NewReader(f))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return g, nil
}

func read(r io.Reader) (*Golden, error) {
	z, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	g := new(Golden)
	return g, gob.NewDecoder(z).Decode(g)
}
