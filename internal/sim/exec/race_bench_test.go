package exec

import "testing"

// BenchmarkRaces measures what looking for races costs, as a multiple of the
// same run without, on one worker.
func BenchmarkRaces(b *testing.B) {
	modes := []struct {
		name string
		o    Options
	}{{"shared", Options{Workers: 1, Races: true}}, {"global", Options{Workers: 1, GlobalRaces: true}}}
	compare := func(b *testing.B, k *Kernel, l Launch) {
		run := func(o Options) float64 {
			return float64(median(func() {
				if err := Run(k, l, o); err != nil {
					b.Fatal(err)
				}
			}))
		}
		plain := run(Options{Workers: 1})
		for range b.N {
		}
		for _, m := range modes {
			b.ReportMetric(run(m.o)/plain, "x-"+m.name)
		}
		b.ReportMetric(plain/1e6, "plain-ms")
		b.ReportMetric(0, "ns/op")
	}
	b.Run("saxpy", func(b *testing.B) {
		const n = 1_000_000
		d := newDevice(b, saxpy)
		k := d.prog.Kernels["saxpy"]
		x, y := buffer(d, "x", random32(n, 1)), buffer(d, "y", random32(n, 2))
		compare(b, k, Launch{Grid: [3]uint32{(n + 255) / 256, 1, 1}, Block: [3]uint32{256, 1, 1}, Params: k.pack(uint32(n), float32(1.5), x, y)})
	})
	b.Run("product", func(b *testing.B) {
		const n = 256
		d := newDevice(b, product())
		k := d.prog.Kernels["product"]
		x, y, z := buffer(d, "a", random32(n*n, 1)), buffer(d, "b", random32(n*n, 2)), d.empty("c", n*n*4)
		compare(b, k, Launch{Grid: [3]uint32{n / 64, n / 64, 1}, Block: [3]uint32{256, 1, 1}, Params: k.pack(uint32(n), x, y, z)})
	})
}
