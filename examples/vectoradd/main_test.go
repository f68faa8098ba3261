package main

import (
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

func TestSimulated(t *testing.T) {
	drv, err := driver.Simulated(driver.SimulatedConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 255, 256, 1001} {
		if err := run(drv, n); err != nil {
			t.Error(err)
		}
	}
}
