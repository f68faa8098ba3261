package array

import (
	"fmt"
	"testing"
	"time"

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

// BenchmarkHostCopies copies a slice that the program has touched to the device and
// back, with different numbers of goroutines and sizes of buffers. What the first
// copy took, which makes the buffers, is reported as first-ms.
func BenchmarkHostCopies(b *testing.B) {
	bytes := 256 << 20
	if dev.Simulated() {
		bytes = 16 << 20
	}
	data := make([]float32, bytes/4)
	for i := range data {
		data[i] = float32(i)
	}
	for _, setting := range []struct{ workers, buffers, bytes int }{
		{1, 4, 2 << 20}, {2, 16, 1 << 20}, {4, 16, 1 << 20}, {8, 16, 1 << 20}, {12, 24, 1 << 20},
		{8, 16, 1<<20 - 4096}, {8, 16, 2 << 20}, {8, 12, 4 << 20}, {8, 32, 512 << 10}, {8, 48, 256 << 10},
	} {
		b.Run(fmt.Sprintf("workers=%d/buffers=%d/KiB=%d", setting.workers, setting.buffers, setting.bytes>>10), func(b *testing.B) {
			d, err := Open()
			if err != nil {
				b.Fatal(err)
			}
			defer d.Close()
			d.sh.staging.large.init(setting.buffers, setting.bytes)
			d.sh.staging.workers = setting.workers
			x := Zeros[float32](d, len(data)).Eval()
			x.Sync()
			start := time.Now()
			d.upload(call{}, x.node.store, bytesOf(data))
			first := time.Since(start)
			for name, run := range map[string]func() error{
				"up":   func() error { d.upload(call{}, x.node.store, bytesOf(data)); return x.Sync() },
				"down": func() error { return x.CopyTo(data) },
			} {
				b.Run(name, func(b *testing.B) {
					b.SetBytes(int64(bytes))
					for b.Loop() {
						if err := run(); err != nil {
							b.Fatal(err)
						}
					}
					b.ReportMetric(first.Seconds()*1e3, "first-ms")
				})
			}
		})
	}
}

// BenchmarkRead is a small operation whose result is read: launch, copy, wait.
func BenchmarkRead(b *testing.B) {
	x := Ones[float32](dev, 256)
	dst := make([]float32, 256)
	b.ReportAllocs()
	for b.Loop() {
		y := x.Add(x)
		if err := y.CopyTo(dst); err != nil {
			b.Fatal(err)
		}
		y.Free()
	}
}
