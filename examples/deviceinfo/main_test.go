package main

import (
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

func TestDescribe(t *testing.T) {
	drv, err := driver.Simulated(driver.SimulatedConfig{Devices: 2})
	if err != nil {
		t.Fatal(err)
	}
	devices, err := drv.Devices()
	if err != nil || len(devices) != 2 {
		t.Fatal(devices, err)
	}
	for _, d := range devices {
		if err := describe(d); err != nil {
			t.Error(err)
		}
	}
}

func TestQuantity(t *testing.T) {
	for _, test := range []struct {
		v    int64
		unit string
		want string
	}{
		{-1, "", "-1"}, {132, "", "132"}, {1000, "bytes", "1000 bytes"}, {49152, "bytes", "48.0 KiB"},
		{50 << 20, "bytes", "50.0 MiB"}, {80 << 30, "bytes", "80.0 GiB"}, {1980000, "kHz", "1980 MHz"}, {5120, "bits", "5120 bits"},
	} {
		if got := quantity(test.v, test.unit); got != test.want {
			t.Errorf("quantity(%d, %q) = %q, want %q", test.v, test.unit, got, test.want)
		}
	}
}
