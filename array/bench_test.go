package array

import (
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// BenchmarkHost is what this package and driver take for operations on 64 elements
// where the driver takes no time.
func BenchmarkHost(b *testing.B) {
	d, err := openAPI(abitest.Idle{API: sim.New(sim.Options{Workers: 1})})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	d.sh.announces = false // as on a GPU
	x, y, z := Ones[float32](d, 64), Ones[float32](d, 64), Ones[float32](d, 64)
	for _, c := range []struct {
		name string
		run  func()
	}{
		{"add", func() { x.Add(y).Eval().Free() }},
		{"chain", func() { x.Mul(y).Add(z).Tanh().Eval().Free() }},
		{"sum", func() { x.Sub(y).Square().Sum().Free() }},
		{"assign", func() { z.Assign(z.Sub(x)) }},
		{"record", func() { x.Add(y).Free() }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.run()
			}
		})
	}
}

// BenchmarkAdd is the host's share of one small operation: plan, allocation, launch
// and Free. On the simulated device the launch runs the kernel.
func BenchmarkAdd(b *testing.B) {
	x := Ones[float32](dev, 64)
	x.Add(x).Eval().Free()
	b.ReportAllocs()
	for b.Loop() {
		x.Add(x).Eval().Free()
	}
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSum is a reduction with scratch memory.
func BenchmarkSum(b *testing.B) {
	x := Ones[float32](dev, 1<<20)
	b.SetBytes(4 << 20)
	b.ReportAllocs()
	for b.Loop() {
		x.Sum().Free()
	}
	if err := dev.Sync(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkToSlice copies an array to the host.
func BenchmarkToSlice(b *testing.B) {
	x := Ones[float32](dev, 1<<22)
	dst := make([]float32, 1<<22)
	b.SetBytes(16 << 20)
	b.ReportAllocs()
	for b.Loop() {
		if err := x.CopyTo(dst); err != nil {
			b.Fatal(err)
		}
	}
}
