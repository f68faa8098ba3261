package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/perceptron"
)

// A training is a perceptron at work, eagerly and by a graph.
type training struct {
	r             *runner
	eager, graphs *perceptron.Perceptron
	x, labels     *array.Array[float32]
	loss          *array.Array[float32] // what the last launch kept
	graph         *array.Graph
	kernels       int // of a step
}

// rate is of descent.
const rate = 0.01

// training makes the layers 784-512-512-10 and a batch of random samples.
func (r *runner) training(batch int) (t *training, err error) {
	small := func(d int) int { return max(d/r.sizes.shrink, min(d, 3)) }
	sizes := []int{small(784), small(512), small(512), small(10)}
	seed, rng := r.nextSeed(), array.NewRand(r.arr, r.nextSeed())
	t = &training{r: r, eager: perceptron.New(array.NewRand(r.arr, seed), sizes...), graphs: perceptron.New(array.NewRand(r.arr, seed), sizes...)}
	t.x = array.Normal[float32](rng, small(batch), sizes[0])
	scores := array.Normal[float32](rng, small(batch), sizes[3])
	t.labels = array.Cast[float32](scores.Equal(scores.Max(1).ExpandDims(1))).Eval()
	t.graph, err = r.arr.Capture(func(c *array.Device) error {
		loss, err := t.graphs.On(c).Step(t.x.On(c), t.labels.On(c), rate)
		t.loss = loss.Keep()
		return err
	})
	if err != nil {
		return t, err
	}
	before := r.arr.Stats().Launches
	err = t.graph.Launch()
	t.kernels = int(r.arr.Stats().Launches - before)
	return t, errors.Join(err, t.step())
}

// step is one eager step, whose temporaries are given back at its end.
func (t *training) step() error {
	return t.r.arr.Scope(func(s *array.Device) error {
		_, err := t.eager.On(s).Step(t.x.On(s), t.labels.On(s), rate)
		return err
	})
}

// check compares the eager steps' weights with the graph's.
func (t *training) check() error {
	for i, a := range t.eager.Parameters() {
		x, err1 := a.ToSlice()
		y, err2 := t.graphs.Parameters()[i].ToSlice()
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		if !slices.Equal(x, y) {
			return fmt.Errorf("parameter %d differs between eager and graph", i)
		}
	}
	return nil
}

func (t *training) close() (err error) {
	if t.graph != nil {
		err = t.graph.Close()
	}
	t.eager.Free()
	t.graphs.Free()
	for _, a := range []*array.Array[float32]{t.x, t.labels, t.loss} {
		a.Free()
	}
	return err
}

// trainingRow times a step by the clock of the program, from the first one's queueing
// to the last one's end. What an eager step is measured against is as many bare
// launches, and a graph's against a graph of as many empty kernels in a row: the
// share of the time that is not the kernels'.
func trainingRow(batch int, graph bool) row {
	name := fmt.Sprintf("one training step, batch %d", batch)
	if graph {
		name += ", graph"
	}
	return row{task: name, unit: "us", make: func(r *runner) (*task, error) {
		t, err := r.training(batch)
		if err != nil {
			return &task{close: t.close}, err
		}
		step, overhead, closeOverhead := t.step, timer(nil), func() error { return nil }
		if graph {
			step = t.graph.Launch
			overhead, closeOverhead, err = r.emptyGraph(t.kernels)
		} else {
			var one timer
			if one, err = r.emptyLaunch(); err == nil {
				overhead = func(batch int) (float64, error) {
					us, err := one(batch * t.kernels)
					return us * float64(t.kernels), err
				}
			}
		}
		return &task{method: fmt.Sprintf("%s, %d kernels", wallClock, t.kernels), timer: r.waited(step), limitTimer: overhead,
			check: t.check, close: func() error { return errors.Join(t.close(), closeOverhead()) }}, err
	}}
}

// waited times calls from the first one to the end of the last one's work.
func (r *runner) waited(f func() error) timer {
	return func(batch int) (float64, error) {
		if err := errors.Join(f(), r.arr.Sync()); err != nil {
			return 0, err
		}
		start := time.Now()
		for range batch {
			if err := f(); err != nil {
				return 0, err
			}
		}
		err := r.arr.Sync()
		return micros(time.Since(start)) / float64(batch), err
	}
}

// emptyGraph times launches of a graph of n empty kernels in a row.
func (r *runner) emptyGraph(n int) (timer, func() error, error) {
	k, err := r.load("empty", emptyText, "empty")
	if err != nil {
		return nil, nil, err
	}
	w := &work{r: r, calls: []call{{kernel: k, config: driver.LaunchConfig{Grid: driver.Dim{1}, Block: driver.Dim{256}}, args: driver.NewArgs()}}}
	if err := w.asGraph(n); err != nil {
		return nil, nil, errors.Join(err, w.close())
	}
	return func(batch int) (float64, error) {
		start := time.Now()
		for range batch {
			if err := w.graph.Launch(r.stream); err != nil {
				return 0, err
			}
		}
		err := r.stream.Synchronize()
		return micros(time.Since(start)) / float64(batch), err
	}, w.close, nil
}
