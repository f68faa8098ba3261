package kernels

import (
	"bytes"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestExactInstructions: no kernel, embedded or generated, has an instruction
// whose result PTX leaves open: an approximation, or a sum or product without a
// rounding mode, which the assembler may contract. The promise of equal bits on
// every device stands on this.
func TestExactInstructions(t *testing.T) {
	if raceEnabled {
		t.Skip("nothing here runs at the same time as anything else")
	}
	kernels := 0
	for _, f := range families() {
		for _, key := range append(f.embed(), generatedKeys(f.prefix)...) {
			for _, target := range f.allTargets(key) {
				text, err := generate(f, key, target)
				if err != nil {
					t.Fatal(err)
				}
				m, err := ptx.Parse(text)
				if err != nil {
					t.Fatalf("%s: %v", key, err)
				}
				for _, e := range m.Entries {
					kernels++
					for _, in := range e.Unrounded() {
						t.Errorf("%s, line %d: %s has no rounding mode", key, in.Pos.Line, in)
					}
					for _, in := range e.Body {
						if slices.Contains(in.Mods, "approx") || slices.Contains(in.Mods, "full") {
							t.Errorf("%s, line %d: %s is an approximation", key, in.Pos.Line, in)
						}
					}
				}
			}
		}
	}
	t.Logf("%d kernels", kernels)
}

// TestPerturbedKernels: a device whose approximations are as bad as they may be
// computes the same bits.
func TestPerturbedKernels(t *testing.T) {
	for _, f := range workloads() {
		if f.text != "" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			var results [2][]byte
			for i, seed := range []uint64{0, 1} {
				drv, err := driver.Simulated(driver.SimulatedConfig{Perturb: seed, ComputeCapability: 90})
				if err != nil {
					t.Fatal(err)
				}
				r, err := newRunnerOn(drv)
				if err != nil {
					t.Fatal(err)
				}
				results[i] = f.run(t, r)
			}
			if !bytes.Equal(results[0], results[1]) {
				t.Error("other bits with approximations perturbed")
			}
		})
	}
}
