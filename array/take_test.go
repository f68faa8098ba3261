package array

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// takeModel is a.Take(index, axis) on the host.
func takeModel[T Element](a *sample[T], index *sample[int64], axis int) (shape []int, want []T) {
	rank := len(a.grid.shape)
	shape = slices.Concat(a.grid.shape[:axis], index.grid.shape, a.grid.shape[axis+1:])
	out := make([]int, rank)
	var walk func(k int)
	walk = func(k int) {
		switch {
		case k == rank:
			want = append(want, a.at(out))
		case k == axis:
			for _, x := range index.data {
				if x < 0 {
					x += int64(a.grid.shape[axis])
				}
				out[k] = int(x)
				walk(k + 1)
			}
		default:
			for out[k] = 0; out[k] < a.grid.shape[k]; out[k]++ {
				walk(k + 1)
			}
		}
	}
	walk(0)
	return shape, want
}

func takeSamples[T Element](t *testing.T, rng *rand.Rand, value func() T) {
	t.Helper()
	for range 12 {
		a := newSample(t, rng, value)
		if len(a.grid.shape) == 0 || len(a.data) == 0 {
			continue
		}
		axis := rng.IntN(len(a.grid.shape))
		n := int64(a.grid.shape[axis])
		index := newSample(t, rng, func() int64 { return rng.Int64N(2*n) - n })
		r := a.array.Take(index.array, axis-len(a.grid.shape)*rng.IntN(2))
		shape, want := takeModel(&a, &index, axis)
		if len(shape) > 8 || len(want) > 100_000 {
			continue
		}
		if got := values(t, r); !slices.Equal(got, want) || !slices.Equal(r.Shape(), shape) {
			t.Fatalf("along axis %d of %v at %v: %v of shape %v, want %v of shape %v", axis, a.grid.shape, index.data, got, r.Shape(), want, shape)
		}
	}
}

func TestTake(t *testing.T) {
	rng := seeded(t)
	takeSamples(t, rng, func() float32 { return rng.Float32() })
	takeSamples(t, rng, func() int8 { return int8(rng.Uint32()) })
	takeSamples(t, rng, func() uint64 { return rng.Uint64() })
	takeSamples(t, rng, func() bool { return rng.IntN(2) == 0 })
	takeSamples(t, rng, func() Float16 { return F16(rng.Float32()) })
	x := Arange[float64](dev, 0, 12, 1).Reshape(3, 4)
	rows := x.MulScalar(2).Take(x.ArgMax(0).Slice(R(0, 2)), 0) // of expressions
	if got := values(t, rows.AddScalar(1)); !slices.Equal(got, []float64{17, 19, 21, 23, 17, 19, 21, 23}) {
		t.Errorf("rows %v", got)
	}
}

// TestBadIndices follows an index that is out of range to everything that is computed
// from it, and to nothing else.
func TestBadIndices(t *testing.T) {
	d, api := newRecorded(t)
	x := Arange[float32](d, 0, 12, 1).Reshape(3, 4)
	good := x.Take(FromSlice(d, []int64{0, -1}), 0)
	bad := x.Take(FromSlice(d, []int64{0, 1, 3, 7}), 0)
	sum := good.Add(bad.Slice(R(0, 2))).Sum()
	shared := bad.Exp().Add(bad.Tanh()).Sigmoid() // stored beside the first of two that are computed from it
	one, two := shared.AddScalar(1), shared.MulScalar(2)
	w, v := Zeros[float32](d, 4, 4), Zeros[float32](d, 4, 4)
	freed, replaced := bad.Clone(), bad.Clone()
	ofFreed, ofReplaced := freed.Neg(), replaced.Neg()
	freed.Free()
	if err := errors.Join(replaced.Fill(1), bad.Err(), sum.Err(), w.Assign(bad), v.Slice(I(0)).Assign(bad.Slice(I(1))), v.Slice(I(1)).Fill(7), d.Sync()); err != nil {
		t.Fatalf("before anything is read: %v", err)
	}
	_, item := sum.Item()
	dst := make([]float32, 4)
	_, equal := ArrayEqual(w, w)
	for name, err := range map[string]error{
		"ToSlice": ignoring(bad.ToSlice()), "again": ignoring(bad.ToSlice()), "a sum": item, "a view": bad.Slice(I(0)).CopyTo(dst), "Assign": ignoring(w.ToSlice()), "a view that was assigned to": ignoring(v.At(3, 3)),
		"Sync": bad.Sync(), "ArrayEqual": equal, "what is computed later": ignoring(bad.AddScalar(1).Exp().ToSlice()), "of a fork": onFork(t, d, bad),
		"a consumer": ignoring(one.ToSlice()), "another": ignoring(two.ToSlice()), "what they share": ignoring(shared.ToSlice()),
		"of an array freed since": ignoring(ofFreed.ToSlice()), "of an array overwritten since": ignoring(ofReplaced.ToSlice()),
	} {
		if !errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), "Take of float32 (3, 4), int64 (4,) at take_test.go:80: the index at (2,)") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if text := bad.String(); !strings.Contains(text, "the index at (2,)") {
		t.Errorf("printed: %s", text)
	}
	if got := values(t, good); got[7] != 11 {
		t.Errorf("good rows: %v", got)
	}
	if err := w.Fill(1); err != nil {
		t.Fatal(err)
	}
	if got := values(t, w); got[0] != 1 {
		t.Errorf("overwritten: %v", got)
	}
	counted(api)
	if values(t, good); counted(api)["MemcpyDtoH"] != 0 {
		t.Error("what was found good is looked at again")
	}
}

// TestBadIndicesInGraphs has a graph read what a Take gave.
func TestBadIndicesInGraphs(t *testing.T) {
	d, _ := newRecorded(t)
	x, batch, sum := Arange[float32](d, 0, 5, 1), Zeros[float32](d, 2), Zeros[float32](d)
	g, err := d.Capture(func(c *Device) error { return sum.On(c).Assign(batch.On(c).Sum()) })
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for _, c := range []struct {
		index int64
		want  error
	}{{2, nil}, {5, ErrIndex}} {
		if err := errors.Join(batch.Assign(x.Take(FromSlice(d, []int64{1, c.index}), 0)), g.Launch()); err != nil {
			t.Fatal(err)
		}
		if v, err := sum.Item(); !errors.Is(err, c.want) || err == nil && v != 3 {
			t.Errorf("with index %d: %v, %v", c.index, v, err)
		}
	}
}

func onFork(t *testing.T, d *Device, a *Array[float32]) error {
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	return ignoring(a.On(f).MulScalar(2).ToSlice())
}

// TestStatusRounds uses more cells than there are.
func TestStatusRounds(t *testing.T) {
	d, _ := newRecorded(t)
	x, in, out := Arange[int32](d, 0, 5, 1), FromSlice(d, []int64{4}), FromSlice(d, []int64{5})
	bad := x.Take(out, 0)
	total := Zeros[int32](d, 1)
	for i := range 3 * statusCells {
		y := x.Take(in, 0)
		if err := total.Assign(total.Add(y)); err != nil {
			t.Fatal(i, err)
		}
		if i == 2*statusCells {
			bad = bad.Add(x.Take(in, 0)).Eval() // carries what is wrong into another round
		}
	}
	if got := values(t, total); got[0] != 4*3*statusCells {
		t.Errorf("%v", got)
	}
	if err := ignoring(bad.ToSlice()); !errors.Is(err, ErrIndex) {
		t.Errorf("rounds later: %v", err)
	}
	if n := len(d.sh.statuses.faults); n != 1 {
		t.Errorf("%d faults are kept", n)
	}
}

// TestBadIndicesAndCaptures has captures write what a Take gave, and read it: nothing
// changes before a launch, and a kept array is as good as the latest one's operands.
func TestBadIndicesAndCaptures(t *testing.T) {
	d, _ := newRecorded(t)
	x, good, bad := Arange[float32](d, 0, 5, 1), FromSlice(d, []int64{1, 2}), FromSlice(d, []int64{1, 5})
	taken, sum, batch := x.Take(bad, 0), Zeros[float32](d), Zeros[float32](d, 2)
	var kept *Array[float32]
	feed := capture(t, d, func(c *Device) error { kept = batch.On(c).MulScalar(2).Keep(); return nil })
	defer feed.Close()
	g := capture(t, d, func(c *Device) error {
		return errors.Join(sum.On(c).Assign(taken.Sum()), taken.On(c).Fill(0))
	})
	defer g.Close()
	if err := ignoring(taken.ToSlice()); !errors.Is(err, ErrIndex) {
		t.Errorf("what a launch will overwrite: %v", err)
	}
	if err := ignoring(sum.ToSlice()); err != nil {
		t.Errorf("what a launch will spoil: %v", err)
	}
	for _, c := range []struct {
		indices *Array[int64]
		want    error
	}{{bad, ErrIndex}, {good, nil}} {
		if err := batch.Assign(x.Take(c.indices, 0)); err != nil {
			t.Fatal(err)
		}
		launch(t, feed)
		if err := ignoring(kept.ToSlice()); !errors.Is(err, c.want) {
			t.Errorf("a kept array: %v, want %v", err, c.want)
		}
	}
}
