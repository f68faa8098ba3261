package array

import (
	"errors"
	"runtime"
	"testing"
)

// TestLateCopies overwrites a part of an array whose elements the steps of an expression
// still read, which is done in a copy of its memory. The copy waits for the stream that
// wrote the array.
func TestLateCopies(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		source, row := Full[float32](f, 3, 600), Full[float32](d, 5, 300)
		if err := errors.Join(d.Sync(), f.Sync()); err != nil {
			t.Fatal(err)
		}
		x := source.AddScalar(1).Eval() // on the fork
		old := x.node.store.block
		sum := x.AddScalar(1).Mul(x.MulScalar(2).Flip())
		if err := x.On(d).Slice(R(0, 300)).Assign(row); err != nil {
			t.Fatal(err)
		}
		if x.node.store.block == old {
			t.Fatal("the array was not copied")
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		for i, want := range map[int]float32{1: 5, 599: 4} {
			if v, err := x.On(d).At(i); err != nil || v != want {
				t.Errorf("seed %d: element %d is %v, %v; want %v", seed, i, v, err, want)
			}
		}
		if v, err := sum.At(1); err != nil || v != 40 {
			t.Errorf("seed %d: what the expression gives is %v, %v; want 40", seed, v, err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateCopyOfWhatIsGivenAway has the memory that such a copy reads given back, and
// taken by the stream of the expression that it was left to: that waits for the copy.
func TestLateCopyOfWhatIsGivenAway(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		x, row := Full[float32](f, 4, 600), Full[float32](d, 5, 300)
		if err := errors.Join(d.Sync(), f.Sync()); err != nil {
			t.Fatal(err)
		}
		old := x.node.store.address()
		plus, twice := x.AddScalar(1), x.MulScalar(2)
		product := plus.Mul(twice.Flip())
		if err := x.On(d).Slice(R(0, 300)).Assign(row); err != nil {
			t.Fatal(err)
		}
		plus.Free()
		twice.Free()
		if product.Eval(); x.node.store.address() == old {
			t.Fatal("the array was not copied")
		}
		var taken []*Array[float32]
		for found := false; !found; found = taken[len(taken)-1].node.store.address() == old {
			if len(taken) == 64 {
				t.Fatal("the memory is not used again")
			}
			taken = append(taken, Full[float32](f, 9, 600))
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if v, err := x.On(d).At(599); err != nil || v != 4 {
			t.Errorf("seed %d: element 599 is %v, %v; want 4", seed, v, err)
		}
		if v, err := product.At(1); err != nil || v != 40 {
			t.Errorf("seed %d: what the expression gives is %v, %v; want 40", seed, v, err)
		}
		runtime.KeepAlive(taken)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
