package array

import (
	"errors"
	"runtime"
	"testing"
)

// This file has memory given back under expressions that cannot be left it, as too much
// is left to others already: they are evaluated.

// newNarrow makes a device on which no expression is left memory of 2 MiB.
func newNarrow(t *testing.T) *Device {
	t.Helper()
	d, _ := newRecorded(t)
	if err := d.Limit("64MiB"); err != nil {
		t.Fatal(err)
	}
	d.sh.setAside = 7 << 20 // of 8
	t.Cleanup(func() {
		if d.sh.setAside != 7<<20 {
			t.Errorf("%d bytes set aside at the end, %d at the beginning", d.sh.setAside, 7<<20)
		}
	})
	return d
}

const narrowSize = 1 << 19 // of float32

// untilAssembled does something again and again, until no kernel is missing any more: memory is
// given back without waiting for one to be assembled.
func untilAssembled(t *testing.T, d *Device, do func() (evaluated bool)) {
	t.Helper()
	for range 10 {
		if do() {
			return
		}
		if _, err := d.kernel(call{}, d.sh.missing); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal("nothing was evaluated")
}

// TestScopeEndsWithinAnEvaluation has the end of a scope free an array that expressions
// outside read, and evaluate those, before it comes to another expression of its own: one
// that they share, so that the first of them stores it. It goes with the scope.
func TestScopeEndsWithinAnEvaluation(t *testing.T) {
	d := newNarrow(t)
	y, z, u := Full[float32](d, 3, narrowSize), Full[float32](d, 4, narrowSize), Ones[float32](d, narrowSize)
	untilAssembled(t, d, func() bool {
		before := d.Stats().Arrays
		var inner, first, second *Array[float32]
		err := d.Scope(func(s *Device) error {
			inner = y.On(s).Mul(z).Exp()
			x := Ones[float32](s, narrowSize)
			first, second = x.On(d).FMA(y, inner), u.Sub(inner)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		stored := inner.node.store != nil
		if _, err := inner.At(0); !errors.Is(err, ErrFreed) {
			t.Errorf("what the scope recorded: %v, want ErrFreed", err)
		}
		first.Eval()
		second.Eval()
		if n := d.Stats().Arrays - before; n != 2 {
			t.Errorf("%d arrays are left of the scope and of two outside", n)
		}
		first.Free()
		second.Free()
		return stored
	})
	runtime.KeepAlive([]*Array[float32]{y, z, u})
}

// TestFreeUnderALongExpression frees an array that is read by an expression which takes
// more nodes than a kernel may have: its evaluation lets go of the array in between, to
// start over.
func TestFreeUnderALongExpression(t *testing.T) {
	d := newNarrow(t)
	untilAssembled(t, d, func() bool {
		e := Arange[float32](d, 0, narrowSize, 1).Reshape(2, -1)
		for range maxNodes - 4 {
			e = e.AddScalar(1)
		}
		x := Ones[float32](d, 2, narrowSize/2)
		sum := x.Add(e.Add(e.Flip(0)).Sub(e.Flip(1)))
		x.Free()
		evaluated := sum.node.store != nil
		const half, added = narrowSize / 2, maxNodes - 4 // row 0 counts from 0, row 1 from half
		if v, err := sum.At(0, 7); err != nil || v != 1+(7+added)+(half+7+added)-(half-1-7+added) {
			t.Errorf("element (0, 7) is %v, %v", v, err)
		}
		return evaluated
	})
}
