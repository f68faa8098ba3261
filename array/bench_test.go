package array

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// BenchmarkHost is what this package and driver take for operations where the driver
// takes no time. kernels/op are the kernels of one; launches/op is its time in bare
// launches through package driver and the same seam, measured in turns.
func BenchmarkHost(b *testing.B) {
	d := openIdle(b)
	bare := bareLaunch(b, d)
	for _, c := range append(hostOperations(b, d), hostOperation{"bare", bare, 0}) {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			kernels, collections := d.Stats().Launches, d.Stats().Collections
			for b.Loop() {
				if err := c.run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(d.Stats().Launches-kernels)/float64(b.N), "kernels/op")
			b.ReportMetric(float64(d.Stats().Collections-collections)/float64(b.N), "collections/op")
			b.ReportMetric(inTurns(c.run, bare), "launches/op")
		})
	}
}

// TestHostAllocations: what an operation takes of Go's memory is its result (the
// array and its node) and no more.
func TestHostAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	t.Setenv("GPUARRAY_NO_CACHE", "")                // with which each array is an allocation of the driver
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // a collection empties pools, which are filled again
	for _, c := range hostOperations(t, openIdle(t)) {
		for range 3 { // kernels are assembled, and plans remembered
			if err := c.run(); err != nil {
				t.Fatal(err)
			}
		}
		if n := testing.AllocsPerRun(100, func() { c.run() }); n > c.allocations {
			t.Errorf("%s: %v allocations, want at most %v", c.name, n, c.allocations)
		}
	}
}

// openIdle opens a device that launches nothing.
func openIdle(t testing.TB) *Device {
	d, err := openAPI(abitest.Idle{API: sim.New(sim.Options{Workers: 1})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	d.sh.announces = false // as on a GPU
	return d
}

// A hostOperation is what the host's share is measured of.
type hostOperation struct {
	name        string
	run         func() error
	allocations float64 // at most
}

// hostOperations are operations on 64 elements, a matrix product of 64×64, and a
// training step, eager and as a graph.
func hostOperations(t testing.TB, d *Device) []hostOperation {
	ones := func(shape ...int) *Array[float32] { return Ones[float32](d, shape...).Eval() }
	x, y, z, square := ones(64), ones(64), ones(64), ones(64, 64)
	step := trainingStep(d)
	graph, err := d.Capture(trainingStep(d))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { graph.Close() })
	return []hostOperation{
		{"into", func() error { t := x.Add(y); defer t.Free(); return z.Assign(t) }, 3},
		{"assign", func() error { return z.Assign(z.Sub(x)) }, 7},
		{"add", func() error { return computedAndFreed(x.Add(y)) }, 3},
		{"scale", func() error { return computedAndFreed(x.MulScalar(2)) }, 3},
		{"chain", func() error { return computedAndFreed(x.Mul(y).Add(z).Tanh()) }, 9},
		{"sum", func() error { return computedAndFreed(x.Sum()) }, 3},
		{"squares", func() error { return computedAndFreed(x.Sub(y).Square().Sum()) }, 9},
		{"product", func() error { return computedAndFreed(square.MatMul(square)) }, 3},
		{"record", func() error { t := x.Add(y); defer t.Free(); return t.Err() }, 3},
		{"step", func() error { return d.Scope(step) }, 180},
		{"graph", graph.Launch, 0},
	}
}

// computedAndFreed is what the benchmark command does with a result: it makes sure that it
// is computed or queued, and frees it.
func computedAndFreed(a *Array[float32]) error {
	err := a.Eval().Err()
	a.Free()
	return err
}

// bareLaunch launches a kernel with three parameters through package driver.
func bareLaunch(b *testing.B, d *Device) func() error {
	const text = ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry bare(.param .u64 x, .param .u64 y, .param .u64 z)\n{\nret;\n}\n"
	m, err := d.sh.ctx.LoadModule([]byte(text), driver.LoadConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { m.Close() })
	k, err := m.Kernel("bare")
	if err != nil {
		b.Fatal(err)
	}
	args := driver.NewArgs().U64(0).U64(0).U64(0)
	config := driver.LaunchConfig{Grid: driver.Dim{1}, Block: driver.Dim{256}}
	return func() error { return k.LaunchArgs(d.stream.queue, config, args) }
}

// inTurns returns the time that f takes in units of what g takes: the median of many
// short measurements of the one and the other.
func inTurns(f, g func() error) float64 {
	const turns, turn = 31, 500 * time.Microsecond
	each := func(f func() error) float64 {
		start := time.Now()
		for n := 1; ; n++ {
			f()
			if t := time.Since(start); t > turn {
				return t.Seconds() / float64(n)
			}
		}
	}
	ratios := make([]float64, turns)
	for i := range ratios {
		ratios[i] = each(f) / each(g)
	}
	slices.Sort(ratios)
	return ratios[turns/2]
}

// trainingStep is a step of gradient descent of layers 784-512-512-10 on a batch of
// 128, as package perceptron has it, on a Device of a scope or a capture.
func trainingStep(d *Device) func(d *Device) error {
	sizes := []int{784, 512, 512, 10}
	x, labels := Ones[float32](d, 128, sizes[0]), Ones[float32](d, 128, sizes[3])
	var weights, biases []*Array[float32]
	for i, n := range sizes[1:] {
		weights, biases = append(weights, Ones[float32](d, sizes[i], n)), append(biases, Ones[float32](d, n))
	}
	return func(d *Device) (err error) {
		inputs := []*Array[float32]{x.On(d)}
		var ws, bs []*Array[float32]
		for i := range weights {
			ws, bs = append(ws, weights[i].On(d)), append(bs, biases[i].On(d))
		}
		labels := labels.On(d)
		last := len(ws) - 1
		for i := range last {
			inputs = append(inputs, inputs[i].MatMul(ws[i]).Add(bs[i]).MaximumScalar(0))
		}
		logs := inputs[last].MatMul(ws[last]).Add(bs[last]).LogSoftmax(-1)
		logs.Mul(labels).MulScalar(-1. / 128).Sum()
		slope := logs.Exp().Sub(labels).MulScalar(1. / 128)
		for i := last; i >= 0; i-- {
			above := slope
			if i > 0 {
				back := above.MatMul(ws[i].Transpose())
				slope = Where(inputs[i].GreaterScalar(0), back, back.MulScalar(0)).Eval()
			}
			toB := above.Sum(0)
			toW := inputs[i].Transpose().MatMul(above)
			err = errors.Join(err, ws[i].Assign(ws[i].Sub(toW.MulScalar(0.01))), bs[i].Assign(bs[i].Sub(toB.MulScalar(0.01))))
		}
		return err
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
// back, with different numbers of goroutines, which have two buffers each where there
// are as many, and sizes of those. What the first copy took, which makes the buffers, is reported as first-ms.
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
		{1, 2, 1 << 20}, {2, 4, 1 << 20}, {4, 8, 1 << 20}, {8, 16, 1 << 20}, {12, 24, 1 << 20}, {8, 8, 1 << 20},
		{8, 16, 1<<20 - 4096}, {8, 16, 2 << 20}, {8, 16, 4 << 20}, {8, 16, 512 << 10}, {8, 16, 256 << 10},
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

// chain3 is tanh(a·b + c)·σ(a − c) + b/2; the arrays between go as a program that
// frees what it does not need has them go.
func chain3(a, b, c *Array[float32]) *Array[float32] {
	steps := []*Array[float32]{a.Mul(b), nil, nil, a.Sub(c), nil, nil, b.MulScalar(0.5)}
	steps[1] = steps[0].Add(c)
	steps[2] = steps[1].Tanh()
	steps[4] = steps[3].Sigmoid()
	steps[5] = steps[2].Mul(steps[4])
	y := steps[5].Add(steps[6]).Eval()
	for _, s := range steps {
		s.Free()
	}
	return y
}

// BenchmarkFusion is a chain of eight operations on arrays beyond caches, in one
// kernel and one operation after the other, in turns: the median of each, and the
// first as a part of the second.
func BenchmarkFusion(b *testing.B) {
	const n = 1 << 22
	var arrays [2][3]*Array[float32]
	for k := range arrays {
		d, err := Open()
		if err != nil {
			b.Fatal(err)
		}
		defer d.Close()
		d.sh.eager = k == 1
		r := NewRand(d, 1)
		for i := range arrays[k] {
			arrays[k][i] = Normal[float32](r, n)
		}
		chain3(arrays[k][0], arrays[k][1], arrays[k][2]).Free()
	}
	var times [2][]time.Duration
	for b.Loop() {
		for k, a := range arrays {
			if err := a[0].Device().Sync(); err != nil {
				b.Fatal(err)
			}
			start := time.Now()
			y := chain3(a[0], a[1], a[2])
			if err := y.Sync(); err != nil {
				b.Fatal(err)
			}
			times[k] = append(times[k], time.Since(start))
			y.Free()
		}
	}
	median := func(k int) float64 {
		slices.Sort(times[k])
		return times[k][len(times[k])/2].Seconds()
	}
	b.ReportMetric(median(0)*1e6, "fused-µs")
	b.ReportMetric(median(1)*1e6, "eager-µs")
	b.ReportMetric(median(0)/median(1), "ratio")
}
