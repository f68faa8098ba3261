package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/driver"
)

// hostElements are the operands' of the rows that show what a call costs.
const hostElements = 256

// hostRows are timed by the clock of the program, but for pinned copies. The limit
// of a call is the bare launch of an empty kernel through package driver, in the
// same run.
func hostRows() []row {
	return []row{
		{task: "launch of an empty kernel", unit: "us", make: func(r *runner) (*task, error) {
			launch, err := r.emptyLaunch()
			return &task{timer: launch, method: wallClock}, err
		}},
		callRow("add into an existing output, 256 elements", false, func(x, y, out *array.Array[float32]) error {
			t := x.Add(y)
			defer t.Free()
			return out.Assign(t)
		}),
		callRow("add with a new output", false, func(x, y, _ *array.Array[float32]) error { return evaluated(x.Add(y)) }),
		callRow("sum", false, func(x, _, _ *array.Array[float32]) error { return evaluated(x.Sum()) }),
		{task: "64×64 product", unit: "us", make: func(r *runner) (*task, error) {
			a := array.Normal[float32](array.NewRand(r.arr, r.nextSeed()), 64, 64)
			return r.callTask(func() error { return evaluated(a.MatMul(a)) }, false, a)
		}},
		callRow("add of 256 elements and copy to the host", true, func(x, y, _ *array.Array[float32]) error {
			t := x.Add(y)
			defer t.Free()
			_, err := t.ToSlice()
			return err
		}),
		{task: "graph node", unit: "us", make: (*runner).graphNode},
		trainingRow(128, false), trainingRow(128, true), trainingRow(1024, false), trainingRow(1024, true),
		{task: firstResult, unit: "us", make: (*runner).first},
		copyRow("host → device, 256 MiB, pinned", pinned, toDevice),
		copyRow("host → device, 256 MiB, ordinary", ordinary, toDevice),
		copyRow("device → host, 256 MiB, pinned", pinned, toHost),
		copyRow("device → host, 256 MiB, ordinary", ordinary, toHost),
	}
}

const wallClock = "wall clock"

// evaluated makes sure that an array is computed or queued, and frees it.
func evaluated(a *array.Array[float32]) error {
	err := a.Eval().Err()
	a.Free()
	return err
}

// cost returns what a call costs the program, in µs: calls are queued until the
// last is, which is not waited for. A device that is slower than the program
// would show, as its queue is finite.
func (r *runner) cost(batch int, f func() error) (float64, error) {
	if err := f(); err != nil {
		return 0, err
	}
	if err := r.arr.Sync(); err != nil {
		return 0, err
	}
	start := time.Now()
	for range batch {
		if err := f(); err != nil {
			return 0, err
		}
	}
	us := micros(time.Since(start)) / float64(batch)
	return us, r.arr.Sync()
}

func callRow(name string, waits bool, f func(x, y, out *array.Array[float32]) error) row {
	return row{task: name, unit: "us", make: func(r *runner) (*task, error) {
		rng := array.NewRand(r.arr, r.nextSeed())
		x, y, out := array.Normal[float32](rng, hostElements), array.Normal[float32](rng, hostElements), array.Zeros[float32](r.arr, hostElements)
		return r.callTask(func() error { return f(x, y, out) }, waits, x, y, out)
	}}
}

// callTask times calls beside bare launches; with waits, beside launches that are
// waited for.
func (r *runner) callTask(f func() error, waits bool, operands ...*array.Array[float32]) (*task, error) {
	t := &task{method: wallClock, timer: func(batch int) (float64, error) { return r.cost(batch, f) }}
	t.close = func() error {
		for _, a := range operands {
			a.Free()
		}
		return nil
	}
	launch, err := r.emptyLaunch()
	if t.limitTimer = launch; waits {
		t.limitTimer = func(batch int) (float64, error) {
			start := time.Now()
			for range batch {
				if _, err := launch(0); err != nil {
					return 0, err
				}
			}
			return micros(time.Since(start)) / float64(batch), nil
		}
	}
	return t, err
}

const emptyText = ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry empty()\n{\nret;\n}\n"

// emptyLaunch times launches of a kernel that does nothing.
func (r *runner) emptyLaunch() (timer, error) {
	k, err := r.load("empty", emptyText, "empty")
	config := driver.LaunchConfig{Grid: driver.Dim{1}, Block: driver.Dim{256}}
	return func(batch int) (float64, error) {
		args := driver.NewArgs()
		defer args.Release()
		if err := errors.Join(k.LaunchArgs(r.stream, config, args), r.stream.Synchronize()); err != nil || batch == 0 {
			return 0, err
		}
		start := time.Now()
		for range batch {
			if err := k.LaunchArgs(r.stream, config, args); err != nil {
				return 0, err
			}
		}
		us := micros(time.Since(start)) / float64(batch)
		return us, r.stream.Synchronize()
	}, err
}

// graphNode times a graph of empty kernels in a row, on the device.
func (r *runner) graphNode() (*task, error) {
	k, err := r.load("empty", emptyText, "empty")
	if err != nil {
		return nil, err
	}
	args := driver.NewArgs()
	w := &work{r: r, calls: []call{{kernel: k, config: driver.LaunchConfig{Grid: driver.Dim{1}, Block: driver.Dim{256}}, args: args}}}
	return &task{timer: w.micros, close: w.close, method: graphMethod}, w.asGraph(r.sizes.calls)
}

const firstResult = "process start to first result"

// firstVariable makes a process of this program compute a first result and end:
// with the value "array" as a program does, with "driver" with nothing but the
// driver: start, context, and the first assembly.
const firstVariable = "GPUARRAY_BENCH_FIRST"

// first times processes. Each is a process, so samples are few.
func (r *runner) first() (*task, error) {
	self, err := os.Executable()
	process := func(kind string) timer {
		return func(int) (float64, error) {
			cmd := exec.Command(self)
			cmd.Env = append(os.Environ(), firstVariable+"="+kind)
			if r.simulated() {
				cmd.Env = append(cmd.Env, array.DeviceVariable+"=sim")
			}
			start := time.Now()
			if out, err := cmd.CombinedOutput(); err != nil {
				return 0, fmt.Errorf("a process of its own: %w: %s", err, out)
			}
			return micros(time.Since(start)), nil
		}
	}
	return &task{method: wallClock, timer: process("array"), limitTimer: process("driver"), pairs: 3}, err
}

// computeFirst is what such a process does.
func computeFirst(kind string) error {
	simulated := os.Getenv(array.DeviceVariable) == "sim"
	if kind == "driver" {
		r, err := openDriver(simulated)
		if err != nil {
			return err
		}
		launch, err := r.emptyLaunch()
		if err != nil {
			return err
		}
		_, err = launch(1)
		return err
	}
	d, err := array.Open()
	if err != nil {
		return err
	}
	a := array.Ones[float32](d, 1024)
	s, err := a.Add(a).Sum().Item()
	if err == nil && s != 2048 {
		err = fmt.Errorf("the first result is %v; want 2048", s)
	}
	return err
}

type hostMemory bool

const (
	ordinary hostMemory = false
	pinned   hostMemory = true
)

type direction bool

const (
	toDevice direction = false
	toHost   direction = true
)

// copyRow is a copy between host and device. The limit of one from or to ordinary
// memory is that of pinned memory.
func copyRow(name string, memory hostMemory, dir direction) row {
	return row{task: name, unit: "gbs", make: func(r *runner) (*task, error) {
		w := &work{r: r}
		t := &task{moved: uint64(r.sizes.hostBytes), method: "events", close: w.close}
		fast, host, err := r.pinnedCopy(w, dir)
		if err != nil {
			return t, err
		}
		t.timer, t.close = fast, func() error { return errors.Join(w.close(), host.Close()) }
		if memory == ordinary {
			slow, free := r.ordinaryCopy(dir)
			t.timer, t.limitTimer, t.method = slow, fast, wallClock
			t.close = func() error { return errors.Join(w.close(), host.Close(), free()) }
		}
		return t, nil
	}}
}

// pinnedCopy times copies from or to pinned memory, by events.
func (r *runner) pinnedCopy(w *work, dir direction) (timer, *driver.PinnedMem, error) {
	n := uint64(r.sizes.hostBytes)
	at, err := w.alloc(n)
	if err != nil {
		return nil, nil, err
	}
	host, err := r.ctx.AllocPinned(int(n), driver.PinnedConfig{})
	if err != nil {
		return nil, nil, err
	}
	rng := rand.New(rand.NewPCG(1, 2))
	b := host.Bytes()
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	one := func() error { return r.stream.CopyHtoD(at, host, 0, n) }
	if dir == toHost {
		one = func() error { return r.stream.CopyDtoH(host, 0, at, n) }
	}
	return func(batch int) (float64, error) {
		d, err := r.between(one, func() error {
			for range batch {
				if err := one(); err != nil {
					return err
				}
			}
			return nil
		})
		return micros(d) / float64(batch), err
	}, host, nil
}

// ordinaryCopy times FromSlice, or CopyTo, of a slice that the program has used
// before, and waits for each.
func (r *runner) ordinaryCopy(dir direction) (t timer, free func() error) {
	data := make([]float32, r.sizes.hostBytes/4)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range data {
		data[i] = float32(rng.NormFloat64())
	}
	kept := array.FromSlice(r.arr, data)
	one := func() error { return kept.CopyTo(data) }
	if dir == toDevice {
		one = func() error {
			a := array.FromSlice(r.arr, data)
			defer a.Free()
			return a.Sync()
		}
	}
	t = func(batch int) (float64, error) { return r.cost(batch, one) }
	return t, func() error {
		kept.Free()
		return r.arr.Trim(0)
	}
}
