package array

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// A keeper runs a random program of arrays that are made, computed from others, left
// and freed, and keeps what their elements should be.
type keeper struct {
	t      *testing.T
	rng    *rand.Rand
	d      *Device
	most   int // elements of an array
	arrays []*Array[int32]
	want   [][]int32
	denied int // operations that met a lack of memory
}

// step does one thing to the program's arrays. Where there is no memory for it,
// nothing has changed.
func (k *keeper) step() {
	switch kind := k.rng.IntN(12); {
	case kind < 4 || len(k.arrays) == 0:
		data := make([]int32, 1+k.rng.IntN(1+k.rng.IntN(k.most)))
		for i := range data {
			data[i] = k.rng.Int32()
		}
		k.add(FromSlice(k.d, data), data)
	case kind < 6:
		i := k.rng.IntN(len(k.arrays))
		y := slices.Clone(k.want[i])
		for j := range y {
			y[j] = 3*y[j] + y[j]
		}
		k.add(k.arrays[i].MulScalar(3).Add(k.arrays[i]), y)
	case kind < 7:
		i := k.rng.IntN(len(k.arrays))
		from := k.rng.IntN(len(k.want[i]))
		k.add(k.arrays[i].Slice(R(from, len(k.want[i]))), k.want[i][from:])
	case kind < 8:
		i := k.rng.IntN(len(k.arrays))
		k.add(k.arrays[i].CumSum(0), sums32(k.want[i]))
	case kind < 10:
		i := k.rng.IntN(len(k.arrays))
		if k.rng.IntN(2) == 0 && k.arrays[i].node.base == nil {
			k.free(i)
		} else {
			k.forget(i)
		}
	default:
		i := k.rng.IntN(len(k.arrays))
		got, err := k.arrays[i].ToSlice()
		k.check(i, got, err)
	}
}

func sums32(x []int32) []int32 {
	y := slices.Clone(x)
	for i := 1; i < len(y); i++ {
		y[i] += y[i-1]
	}
	return y
}

// add enters an array, unless there was no memory for it.
func (k *keeper) add(a *Array[int32], want []int32) {
	if k.rng.IntN(2) == 0 {
		a = a.Eval()
	}
	if err := a.Err(); err != nil {
		k.deny(err)
		return
	}
	k.arrays, k.want = append(k.arrays, a), append(k.want, want)
}

func (k *keeper) deny(err error) {
	k.t.Helper()
	if k.denied++; !errors.Is(err, ErrOutOfMemory) {
		k.t.Errorf("%v is no lack of memory", err)
	}
}

// free frees an array, and forgets its views.
func (k *keeper) free(i int) {
	root := k.arrays[i].node
	k.arrays[i].Free()
	for j := len(k.arrays) - 1; j >= 0; j-- {
		if k.arrays[j].node.root() == root {
			k.forget(j)
		}
	}
}

func (k *keeper) forget(i int) {
	last := len(k.arrays) - 1
	k.arrays[i], k.want[i] = k.arrays[last], k.want[last]
	k.arrays[last] = nil
	k.arrays, k.want = k.arrays[:last], k.want[:last]
}

func (k *keeper) check(i int, got []int32, err error) {
	k.t.Helper()
	switch {
	case err != nil:
		k.deny(err)
		if k.arrays[i].node.root().usable(call{}) != nil { // its evaluation failed, and so it stays
			k.forget(i)
		}
	case !slices.Equal(got, k.want[i]):
		k.t.Errorf("an array of %d elements is wrong", len(got))
	}
}

// TestProgramsShortOfMemory runs random programs while the driver's allocations fail
// now and then, and under a limit: an operation fails with ErrOutOfMemory or has its
// values, and when memory is there again all arrays have theirs. In the end everything
// has come back.
func TestProgramsShortOfMemory(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "")
	rng := seeded(t)
	denied, rounds := 0, 6
	if raceEnabled { // its collections take minutes
		rounds = 2
	}
	for round := range rounds {
		api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
		d, err := openAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		k := &keeper{t: t, rng: rng, d: d, most: 1 << (6 + rng.IntN(12))}
		if round%2 == 0 {
			api.Inject(abitest.Fault{Method: "MemAlloc", Probability: 0.5, Seed: rng.Uint64(), Result: abi.ErrorOutOfMemory})
		} else if err := d.Limit([]string{"2KiB", "64KiB", "3000000"}[round/2]); err != nil {
			t.Fatal(err)
		}
		for range 150 {
			k.step()
		}
		api.Heal()
		if err := d.Limit("none"); err != nil {
			t.Fatal(err)
		}
		for i := len(k.arrays) - 1; i >= 0; i-- {
			got, err := k.arrays[i].ToSlice()
			k.check(i, got, err)
		}
		checkWorks(t, "after the program", d)
		k.arrays = nil
		checkReturned(t, "after the program", d)
		if s := d.Stats(); s.Used+s.Cached != s.Reserved {
			t.Errorf("%+v: what is used and cached is not what is reserved", s)
		}
		if err := d.Trim(0); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if leaks := api.Leaks(); leaks != "" {
			t.Errorf("leaks:\n%s", leaks)
		}
		denied += k.denied
		if t.Failed() {
			return
		}
	}
	if denied == 0 {
		t.Error("no program was short of memory")
	}
}
