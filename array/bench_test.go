package array

import "testing"

// BenchmarkAdd is the host's share of one small operation: plan, allocation, launch
// and Free. On the simulated device the launch runs the kernel.
func BenchmarkAdd(b *testing.B) {
	x := Ones[float32](dev, 64)
	x.Add(x).Free()
	b.ReportAllocs()
	for b.Loop() {
		x.Add(x).Free()
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
