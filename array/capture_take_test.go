package array

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lookup is a training step over embeddings: rows of a table by index, a product, its
// loss, and a step down its gradient.
func lookup(d *Device, table, w *Array[float32], ids *Array[int64]) (loss *Array[float32], err error) {
	rows := table.On(d).Take(ids, 0)
	out := rows.MatMul(w.On(d)).Tanh()
	grad := rows.Transpose().MatMul(out.Mul(Scalar(d, float32(1)).Sub(out.Square())))
	return out.Sum(), w.On(d).Assign(w.On(d).Sub(grad.MulScalar(0.01)))
}

// TestTakeInGraphs compares a captured training step with an eager one, over batches of
// indices, and counts its calls of the driver.
func TestTakeInGraphs(t *testing.T) {
	d, api := newRecorded(t)
	r := NewRand(d, 1)
	table := Normal[float32](r, 20, 6)
	w := Normal[float32](r, 6, 4)
	eager, ids := w.Clone(), Zeros[int64](d, 8)
	var loss *Array[float32]
	g := capture(t, d, func(c *Device) (err error) {
		loss, err = lookup(c, table, w, ids)
		loss.Keep()
		return err
	})
	rng := seeded(t)
	for step := range 5 {
		batch := make([]int64, 8)
		for i := range batch {
			batch[i] = rng.Int64N(40) - 20
		}
		if err := ids.Assign(FromSlice(d, batch)); err != nil {
			t.Fatal(err)
		}
		counted(api)
		launch(t, g)
		calls := counted(api)
		if cells := d.sh.statuses.block; !slices.Contains(cells.reads, d.stream.now()) {
			t.Errorf("another stream that clears the cells would not wait for the launch: %v", cells.reads)
		}
		if step > 0 && (calls["GraphLaunch"] != 1 || calls["MemcpyDtoDAsync"] != 1 || len(calls) > 4) { // those, and the context before and after
			t.Errorf("calls of a launch: %v", calls)
		}
		want, err := lookup(d, table, eager, ids)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := values(t, loss), values(t, want); !slices.Equal(got, want) {
			t.Errorf("step %d: the loss is %v, want %v", step, got, want)
		}
		if got, want := values(t, w), values(t, eager); !slices.Equal(got, want) {
			t.Errorf("step %d: the weights are %v, want %v", step, got, want)
		}
	}
}

// TestBadIndicesAtALaunch follows an index that is out of range at one launch of a graph
// to what that launch computed from it, and to nothing else.
func TestBadIndicesAtALaunch(t *testing.T) {
	d, _ := newRecorded(t)
	x, ids, others := Arange[float32](d, 0, 5, 1), FromSlice(d, []int64{0, 1, 2}), FromSlice(d, []int64{4})
	state, steps, whole := Zeros[float32](d, 3), Zeros[int32](d), Zeros[float32](d)
	var kept, other, hidden *Array[float32]
	g := capture(t, d, func(c *Device) error {
		rows := x.On(c).Take(ids, 0)
		kept, other = rows.MulScalar(2).Keep(), x.On(c).Take(others, 0).Keep()
		hidden = x.On(c).Take(ids.Add(others), 0).Keep()
		return errors.Join(state.On(c).Assign(state.On(c).Add(rows)), steps.On(c).Assign(steps.On(c).AddScalar(1)),
			whole.On(c).Assign(rows.Sum()), hidden.Fill(7))
	})
	set := func(batch ...int64) {
		t.Helper()
		if err := ids.Assign(FromSlice(d, batch)); err != nil {
			t.Fatal(err)
		}
		launch(t, g)
	}
	check := func(name string, err error, bad bool) {
		t.Helper()
		if bad && (!errors.Is(err, ErrIndex) || !strings.Contains(err.Error(), "Take of float32 (5,), int64 (3,) at capture_take_test.go:73: the index at (1,)")) || !bad && err != nil {
			t.Errorf("%s: %v, want an error %v", name, err, bad)
		}
	}
	all := func(when string, keptBad, stateBad bool) {
		t.Helper()
		check(when+": kept", ignoring(kept.ToSlice()), keptBad)
		check(when+": replaced", ignoring(whole.Item()), keptBad)
		check(when+": state", ignoring(state.ToSlice()), stateBad)
		check(when+": a count", ignoring(steps.Item()), false)
		check(when+": of other indices", ignoring(other.ToSlice()), false)
		check(when+": replaced before it is read", ignoring(hidden.ToSlice()), false)
	}
	set(0, 1, 4)
	all("good", false, false)
	before := kept.Clone()
	set(0, 5, -7)
	after := kept.AddScalar(1).Eval()
	all("bad", true, true)
	set(1, 1, 1)
	all("good again", false, true)
	check("a copy of before", ignoring(before.ToSlice()), false)
	check("a copy of after", ignoring(after.ToSlice()), true)
	set(0, 9, 0) // which nobody reads
	if err := errors.Join(state.Fill(0), ids.Fill(3)); err != nil {
		t.Fatal(err)
	}
	launch(t, g)
	all("state replaced", false, false)
	if got, count := values(t, state), values(t, steps); !slices.Equal(got, []float32{3, 3, 3}) || count[0] != 5 {
		t.Errorf("state %v after %v steps", got, count)
	}
}

// TestStatusRoundsOfGraphs launches a graph more often than there are cells, with other
// Takes between, on two streams.
func TestStatusRoundsOfGraphs(t *testing.T) {
	d, _ := newRecorded(t)
	fork, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	defer fork.Close()
	x, ids := Arange[int32](d, 0, 5, 1), FromSlice(d, []int64{4})
	total, latest := Zeros[int32](d, 1), Zeros[int32](d, 1)
	g := capture(t, d, func(c *Device) error {
		y := x.On(c).Take(ids, 0)
		return errors.Join(total.On(c).Assign(total.On(c).Add(y)), latest.On(c).Assign(y))
	})
	const launches = 2*statusCells + 10
	for i := range launches {
		launch(t, g)
		if i%7 == 0 {
			if err := x.On(fork).Take(ids, 0).Sync(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got := values(t, total); got[0] != 4*launches {
		t.Errorf("%v after %d launches", got, launches)
	}
	for i := range launches {
		if err := ids.Fill(int64(i)); err != nil { // bad from the fifth on
			t.Fatal(err)
		}
		launch(t, g)
	}
	if err := errors.Join(ids.Fill(0), g.Launch(), ignoring(latest.ToSlice())); err != nil {
		t.Errorf("the latest launch was good: %v", err)
	}
	if err := ignoring(total.ToSlice()); !errors.Is(err, ErrIndex) {
		t.Errorf("the sum over all launches: %v", err)
	}
}

// TestManyTakesInAGraph has more Takes with results of their own than a graph has cells:
// each error names its Take, and those with cells of their own do no harm to others.
func TestManyTakesInAGraph(t *testing.T) {
	d, _ := newRecorded(t)
	x := Arange[float64](d, 0, 5, 1)
	const n = 2 * graphCells
	var ids [n]*Array[int64]
	var out [n]*Array[float64]
	for i := range ids {
		ids[i] = Full(d, int64(i%5), i+1)
	}
	g := capture(t, d, func(c *Device) error {
		for i := range ids {
			out[i] = x.On(c).Take(ids[i], 0).Keep()
		}
		return nil
	})
	for _, bad := range []int{0, 7, n - 1} {
		if err := ids[bad].Slice(R(bad, bad+1)).Fill(5); err != nil {
			t.Fatal(err)
		}
		launch(t, g)
		for i, a := range out {
			err := ignoring(a.ToSlice())
			want := fmt.Sprintf("int64 (%d,) at capture_take_test.go:%d: the index at (%d,)", bad+1, 176, bad)
			switch {
			case err == nil && i != bad:
			case i != bad && (bad < graphCells-1 || i < graphCells-1), !errors.Is(err, ErrIndex), !strings.Contains(fmt.Sprint(err), want):
				t.Errorf("with Take %d bad, result %d: %v, want %q", bad, i, err, want)
			}
		}
		if err := ids[bad].Fill(0); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTakesThatNobodyNeeds leave a graph nothing to do.
func TestTakesThatNobodyNeeds(t *testing.T) {
	d, _ := newRecorded(t)
	x, ids := Ones[float32](d, 4), Full(d, int64(9), 2)
	g := capture(t, d, func(c *Device) error { return x.On(c).Take(ids, 0).Eval().Err() })
	if g.kernels+g.fills != 0 || g.status != nil {
		t.Errorf("%v", g)
	}
	launch(t, g)
}

// TestBadIndicesUnderWrites overwrites, in a graph, what rows at bad indices were taken
// to: a part of it leaves the rest wrong, all of it nothing.
func TestBadIndicesUnderWrites(t *testing.T) {
	d, _ := newRecorded(t)
	x, ids, one, three := Arange[float32](d, 0, 5, 1), FromSlice(d, []int64{0, 1, 9}), Ones[float32](d, 1), Ones[float32](d, 3)
	part, whole := Zeros[float32](d, 3), Zeros[float32](d, 3)
	g := capture(t, d, func(c *Device) error {
		rows := x.On(c).Take(ids, 0)
		return errors.Join(part.On(c).Assign(rows), whole.On(c).Assign(rows), part.On(c).Slice(R(0, 1)).Assign(one), whole.On(c).Assign(three))
	})
	launch(t, g)
	if _, err := part.ToSlice(); !errors.Is(err, ErrIndex) {
		t.Errorf("an array of which a part was overwritten: %v, want ErrIndex", err)
	}
	if got, err := whole.ToSlice(); err != nil || !slices.Equal(got, []float32{1, 1, 1}) {
		t.Errorf("an array that was overwritten: %v, %v", got, err)
	}
}
