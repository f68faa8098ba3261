package array

import (
	"errors"
	"fmt"
	"slices"
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
		{"step", trainingStep(b, d)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			launches, collections := d.Stats().Launches, d.Stats().Collections
			for b.Loop() {
				c.run()
			}
			b.ReportMetric(float64(d.Stats().Launches-launches)/float64(b.N), "launches/op")
			b.ReportMetric(float64(d.Stats().Collections-collections)/float64(b.N), "collections/op")
		})
	}
}

// trainingStep is a step of gradient descent of layers 784-512-512-10 on a batch of
// 128, as package perceptron has it, whose temporaries go at its end.
func trainingStep(b *testing.B, d *Device) func() {
	sizes := []int{784, 512, 512, 10}
	x, labels := Ones[float32](d, 128, sizes[0]), Ones[float32](d, 128, sizes[3])
	var weights, biases []*Array[float32]
	for i, n := range sizes[1:] {
		weights, biases = append(weights, Ones[float32](d, sizes[i], n)), append(biases, Ones[float32](d, n))
	}
	return func() {
		err := d.Scope(func(d *Device) error {
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
				toW, toB := inputs[i].Transpose().MatMul(slope), slope.Sum(0)
				if i > 0 {
					back := slope.MatMul(ws[i].Transpose())
					slope = Where(inputs[i].GreaterScalar(0), back, back.MulScalar(0)).Eval()
				}
				if err := errors.Join(ws[i].Assign(ws[i].Sub(toW.MulScalar(0.01))), bs[i].Assign(bs[i].Sub(toB.MulScalar(0.01)))); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
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
