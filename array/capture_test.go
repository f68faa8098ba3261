package array

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// capture captures and closes the graph at the end of the test.
func capture(t *testing.T, d *Device, f func(c *Device) error) *Graph {
	t.Helper()
	g, err := d.Capture(f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

func launch(t *testing.T, g *Graph) {
	t.Helper()
	if err := g.Launch(); err != nil {
		t.Fatal(err)
	}
}

// TestCapture launches a graph that counts and computes.
func TestCapture(t *testing.T) {
	d, api := newRecorded(t)
	x, n := FromSlice(d, []float32{1, 2, 3, 4}, 2, 2), Zeros[float32](d, 2, 2)
	outside := x.MulScalar(10) // an expression of the time before the capture
	var y, both *Array[float32]
	g := capture(t, d, func(c *Device) error {
		both = x.On(c).Add(outside).Keep()
		z := x.On(c).MatMul(x.On(c)).AddScalar(1)
		y = z.Sum(0).Mul(Full[float32](c, 2, 2)).Keep()
		return n.On(c).Assign(n.On(c).Add(x))
	})
	if _, err := y.ToSlice(); !errors.Is(err, ErrCapture) || !strings.HasPrefix(err.Error(), "array: ToSlice of float32 (") || !strings.Contains(err.Error(), "of Device.Capture at capture_test.go:") {
		t.Errorf("before the first launch the result reads %v", err)
	}
	if got := values(t, n); !slices.Equal(got, []float32{0, 0, 0, 0}) {
		t.Errorf("before the first launch the count is %v", got)
	}
	for range 3 {
		counted(api)
		launch(t, g)
		if got := counted(api); got["GraphLaunch"] != 1 || got["LaunchKernel"] != 0 {
			t.Errorf("calls of a launch: %v", got)
		}
	}
	if got := values(t, y); !slices.Equal(got, []float32{48, 68}) {
		t.Errorf("result %v", got)
	}
	if got := values(t, n); !slices.Equal(got, []float32{3, 6, 9, 12}) {
		t.Errorf("after three launches the count is %v", got)
	}
	if err := x.Fill(1); err != nil {
		t.Fatal(err)
	}
	launch(t, g)
	if got := values(t, y); !slices.Equal(got, []float32{12, 12}) {
		t.Errorf("after an operand changed, the result is %v", got)
	}
	if got := values(t, both); !slices.Equal(got, []float32{11, 21, 31, 41}) {
		t.Errorf("the operand and an expression of before it changed: %v", got)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if err := g.Close(); err != nil {
		t.Error("second Close:", err)
	}
	if err := g.Launch(); !errors.Is(err, ErrFreed) || !strings.Contains(err.Error(), "capture_test.go") {
		t.Errorf("Launch after Close: %v", err)
	}
	if got := values(t, y); !slices.Equal(got, []float32{12, 12}) {
		t.Errorf("after Close the kept array is %v", got)
	}
	runtime.KeepAlive(n)
}

// TestCaptureEqualsEager runs a program of many kinds of operations eagerly and as a
// graph, with the same bits, also where expressions are read after what they read was
// overwritten, and where one is kept that another Assign contains.
func TestCaptureEqualsEager(t *testing.T) {
	d, _ := newRecorded(t)
	data := make([]float32, 600)
	r := seeded(t)
	for i := range data {
		data[i] = float32(r.NormFloat64())
	}
	program := func(c *Device, x, w, m *Array[float32]) (outs []*Array[float32], err error) {
		x, w, m = x.On(c), w.On(c), m.On(c)
		before := w.MulScalar(2) // reads w as it was
		inner := m.MulScalar(0.9)
		momentum := inner.Add(x.Sum(0))
		err = errors.Join(
			m.Assign(momentum),
			w.Assign(w.Sub(m.MulScalar(0.1))),
			w.Slice(R(0, 10)).Assign(w.Slice(R(10, 20))),
		)
		soft := x.Softmax(1).Mul(w)
		joined := Concat(0, soft, x.Slice(R(0, 5)).Exp(), Full(c, float32(3), 1, 30))
		sums := SumAs[float32](joined.Greater(x.Mean()))
		return []*Array[float32]{before.Keep(), inner.Keep(), joined.Keep(), sums.Keep(), Arange[float32](c, 0, 30, 1).Add(before).Keep(), Eye[float32](c, 4).Keep()}, err
	}
	start := func() (x, w, m *Array[float32]) {
		return FromSlice(d, data, 20, 30), FromSlice(d, data[:30]), FromSlice(d, data[30:60])
	}
	x1, w1, m1 := start()
	x2, w2, m2 := start()
	var outs []*Array[float32]
	g := capture(t, d, func(c *Device) (err error) {
		outs, err = program(c, x2, w2, m2)
		return err
	})
	for step := range 3 {
		want, err := program(d, x1, w1, m1)
		if err != nil {
			t.Fatal(err)
		}
		launch(t, g)
		for i, a := range append(outs, w2, m2) {
			if got, want := values(t, a), values(t, append(want, w1, m1)[i]); !slices.Equal(got, want) {
				t.Errorf("launch %d, array %d: %v, want %v", step, i, got, want)
			}
		}
	}
}

// TestCapturedExpressions counts the kernels of a graph: what is assigned is one
// kernel, and what nobody needs is none.
func TestCapturedExpressions(t *testing.T) {
	d, _ := newRecorded(t)
	w, m, x := Ones[float32](d, 100), Ones[float32](d, 100), Ones[float32](d, 100)
	for name, c := range map[string]struct {
		kernels, fills int
		f              func(c *Device) error
	}{
		"one Assign": {1, 0, func(c *Device) error { return w.On(c).Assign(w.On(c).Sub(x.On(c).MulScalar(0.1))) }},
		"momentum": {2, 0, func(c *Device) error {
			w, m := w.On(c), m.On(c)
			return errors.Join(m.Assign(m.MulScalar(0.9).Add(x)), w.Assign(w.Sub(m)))
		}},
		"what is not needed": {0, 0, func(c *Device) error { x.On(c).Exp().Sum(); Zeros[float32](c, 5); x.On(c).Add(x).Eval(); return nil }},
		"overwritten unread": {1, 0, func(c *Device) error {
			y := x.On(c).Exp()
			y.Eval()
			y.Fill(3)
			z := x.On(c).Add(x).Keep()
			return z.Err()
		}},
		"what was read before it": {3, 0, func(c *Device) error {
			y := x.On(c).Exp().Eval()
			z := y.Add(x).Eval().Keep()
			err := y.Fill(3)
			y.Keep()
			return errors.Join(err, z.Err())
		}},
		"nothing": {0, 0, func(c *Device) error { return nil }},
		"a fill":  {0, 1, func(c *Device) error { return Zeros[int32](c, 5).Keep().Err() }},
		"a part of an array written": {1, 1, func(c *Device) error {
			y := Zeros[float32](c, 100).Keep()
			return y.Slice(R(0, 50)).Assign(x.On(c).Slice(R(0, 50)))
		}},
	} {
		g := capture(t, d, c.f)
		if g.kernels != c.kernels || g.fills != c.fills {
			t.Errorf("%s: %v, want %d kernels and %d fills", name, g, c.kernels, c.fills)
		}
		if text := g.String(); c.kernels == 1 && c.fills == 1 && !strings.HasPrefix(text, "graph of 1 kernel and 1 fill, with ") || c.kernels == 0 && c.fills == 0 && !strings.HasPrefix(text, "graph of 0 kernels and 0 fills, with ") {
			t.Errorf("%s prints as %q", name, text)
		}
		launch(t, g)
	}
	runtime.KeepAlive(m)
}

// TestUncapturable tries what a graph cannot contain.
func TestUncapturable(t *testing.T) {
	d, _ := newRecorded(t)
	x, w := Ones[float32](d, 4), Ones[float32](d, 4)
	other := Ones[float32](dev, 4)
	var inside *Array[float32]
	for _, c := range []struct {
		name string
		text string
		f    func(c *Device) error
	}{
		{"ToSlice", "A read by the host", func(c *Device) error { return ignoring(x.On(c).ToSlice()) }},
		{"ToSlice of a view", "A read by the host", func(c *Device) error { return ignoring(x.On(c).Slice(R(End, End, -1)).ToSlice()) }},
		{"ToSlice of no elements", "A read by the host", func(c *Device) error { return ignoring(x.On(c).Slice(R(0, 0)).ToSlice()) }},
		{"CopyTo", "A read by the host", func(c *Device) error { return x.On(c).Add(x).CopyTo(make([]float32, 4)) }},
		{"Item", "A read by the host", func(c *Device) error { return ignoring(x.On(c).Sum().Item()) }},
		{"At", "A read by the host", func(c *Device) error { return ignoring(x.On(c).At(1)) }},
		{"AllClose", "A read by the host", func(c *Device) error { return ignoring(AllClose(x.On(c), w.On(c), 0, 0)) }},
		{"ArrayEqual", "A read by the host", func(c *Device) error { return ignoring(ArrayEqual(x.On(c), w.On(c))) }},
		{"FromSlice", "A copy from host memory", func(c *Device) error { return FromSlice(c, []float32{1}).Err() }},
		{"FromSlice of no elements", "A copy from host memory", func(c *Device) error { return FromSlice(c, []float32{}).Err() }},
		{"Array.Sync", "Waiting", func(c *Device) error { return x.On(c).Sync() }},
		{"Device.Sync", "Waiting", func(c *Device) error { return c.Sync() }},
		{"Fork", "A fork", func(c *Device) error { return ignoring(c.Fork()) }},
		{"Capture", "A capture in a capture", func(c *Device) error { return ignoring(c.Capture(func(*Device) error { return nil })) }},
		{"Capture in a scope", "A capture in a capture", func(c *Device) error {
			return c.Scope(func(s *Device) error { return ignoring(s.Capture(func(*Device) error { return nil })) })
		}},
		{"an operation outside on an array inside", "x.On(c)", func(c *Device) error { return w.Add(x.On(c).MatMul(x)).Err() }},
		{"an operation outside on an expression inside", "x.On(c)", func(c *Device) error { return w.Add(x.On(c).Add(x)).Err() }},
		{"On the outer Device", "x.On(c)", func(c *Device) error { return x.On(c).Add(x).On(d).Err() }},
		{"a read of an array inside by another Device", "x.On(c)", func(c *Device) error {
			y := x.On(c).Add(x).Eval()
			return ignoring(to[float32](handle{d, y.node}).ToSlice())
		}},
	} {
		if _, err := d.Capture(c.f); !errors.Is(err, ErrCapture) || !strings.Contains(err.Error(), c.text) || !strings.Contains(err.Error(), "capture_test.go") {
			t.Errorf("%s: %v, want ErrCapture that says %q", c.name, err, c.text)
		}
	}
	failure := errors.New("mine")
	for name, c := range map[string]struct {
		want error
		f    func(c *Device) error
	}{
		"f's error":                        {failure, func(c *Device) error { inside = x.On(c).Add(x).Keep(); return failure }},
		"an Assign that failed":            {ErrShape, func(c *Device) error { _ = x.On(c).Assign(Ones[float32](c, 3)); return nil }},
		"a Fill that failed":               {ErrShape, func(c *Device) error { _ = x.On(c).BroadcastTo(2, 4).Fill(1); return nil }},
		"a Keep that failed":               {ErrShape, func(c *Device) error { x.On(c).Add(Ones[float32](c, 3)).Keep(); return nil }},
		"an array of another device":       {ErrDevice, func(c *Device) error { return x.On(c).Assign(other) }},
		"On from another device":           {ErrDevice, func(c *Device) error { return other.On(c).Err() }},
		"Close of the capture's Device":    {ErrDevice, func(c *Device) error { return c.Close() }},
		"an array freed before it is used": {ErrFreed, func(c *Device) error { y := Ones[float32](c, 4); y.Free(); return y.Exp().Keep().Err() }},
	} {
		if g, err := d.Capture(c.f); !errors.Is(err, c.want) || g != nil {
			t.Errorf("%s: %v and graph %v, want %v", name, err, g, c.want)
		}
	}
	if err := inside.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("what a failed capture kept: %v", err)
	}
	func() {
		defer func() {
			if p := recover(); p != "mine" {
				t.Errorf("f's panic became %v", p)
			}
		}()
		d.Capture(func(c *Device) error {
			inside = x.On(c).Add(x).Keep()
			panic("mine")
		})
	}()
	if err := inside.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("what a capture kept that panicked: %v", err)
	}
	for _, a := range []*Array[float32]{x, w} {
		if got := values(t, a); !slices.Equal(got, []float32{1, 1, 1, 1}) {
			t.Errorf("an operand is %v", got)
		}
		a.Free()
	}
	runtime.GC()
	if s := d.Stats(); s.Arrays != 0 || s.Used != 0 {
		t.Errorf("left behind: %+v", s)
	}
}

// TestCaptureAssignsWhatItReads assigns expressions that read their destination in
// another order, or through a product of several blocks of a kernel, and an array that
// is not on the graph's Device to itself, backwards.
func TestCaptureAssignsWhatItReads(t *testing.T) {
	d, _ := newRecorded(t)
	const n = 300
	flipped, ones := Arange[float64](d, 0, n, 1), Ones[float32](d, n, n)
	turned, product := Arange[float64](d, 0, n*n, 1).Reshape(n, n), Ones[float32](d, n, n)
	g, err := d.Capture(func(c *Device) error {
		w, p := turned.On(c), product.On(c)
		return errors.Join(flipped.On(c).Flip().Assign(flipped), w.Assign(w.Transpose().AddScalar(1)), p.Assign(p.MatMul(ones)))
	})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if err := errors.Join(flipped.Assign(flipped.AddScalar(5)), g.Launch()); err != nil {
		t.Fatal(err)
	}
	for i, v := range values(t, flipped) {
		if want := float64(n - 1 - i + 5); v != want {
			t.Fatalf("turned round, element %d is %v, want %v", i, v, want)
		}
	}
	v, p := values(t, turned), values(t, product)
	for i := range n {
		for j := range n {
			if v[i*n+j] != float64(j*n+i+1) || p[i*n+j] != n {
				t.Fatalf("element (%d, %d) is %v and %v, want %v and %v", i, j, v[i*n+j], p[i*n+j], j*n+i+1, n)
			}
		}
	}
}
