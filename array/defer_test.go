package array

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// TestOneLaunch counts the kernels of expressions.
func TestOneLaunch(t *testing.T) {
	d, api := newRecorded(t)
	r := NewRand(d, 1)
	x, y, z := Normal[float32](r, 20, 30), Normal[float32](r, 20, 30), Normal[float32](r, 20, 30)
	row, v, w := Normal[float32](r, 30), Normal[float32](r, 20, 30), Normal[float32](r, 20, 30)
	rows := FromSlice(d, []int64{3, -1, 0})
	var held []*Array[float32]
	for _, c := range []struct {
		name string
		want int
		run  func() error
	}{
		{"nothing is needed", 0, func() error { return x.Mul(y).Add(z).Tanh().Err() }},
		{"a chain", 1, func() error { return x.Mul(y).Add(z).Tanh().Eval().Err() }},
		{"a read of a chain", 1, func() error { return ignoring(x.Mul(y).Add(z).ToSlice()) }},
		{"a broadcast operand", 1, func() error { return x.Add(row).MulScalar(2).Eval().Err() }},
		{"a cheap broadcast expression", 1, func() error { return x.Add(row.MulScalar(2)).Eval().Err() }},
		{"an expensive broadcast expression", 2, func() error { return x.Add(row.Exp()).Eval().Err() }},
		{"a mask", 1, func() error { return Where(x.Greater(y), x, y).Eval().Err() }},
		{"a cast", 1, func() error { return Cast[int32](x.AddScalar(1)).Eval().Err() }},
		{"one node twice", 1, func() error { e := x.Exp(); return e.Mul(e).Add(e).Eval().Err() }},
		{"a view of an expression", 1, func() error { return x.Exp().Transpose().Slice(R(3, 20)).MulScalar(3).Eval().Err() }},
		{"a reshaped expression", 1, func() error { return x.Exp().Reshape(600).AddScalar(3).Eval().Err() }},
		{"an expression broadcast", 2, func() error { return row.Exp().BroadcastTo(20, 30).AddScalar(3).Eval().Err() }},
		{"a reduction", 1, func() error { return x.Sub(y).Square().Sum().Eval().Err() }},
		{"a reduction of rows", 1, func() error { return x.Sub(y).Square().Mean(-1).Eval().Err() }},
		{"a reduction of a transposed expression", 1, func() error { return x.Sub(y).Transpose().Max(0).Eval().Err() }},
		{"a reduction of a mask", 1, func() error { return x.Greater(y).Any().Eval().Err() }},
		{"the variance of all", 1, func() error { return x.Var().Err() }},
		{"the deviation of rows", 1, func() error { return x.Std(-1).Err() }},
		{"the norm of all", 1, func() error { return x.Norm().Err() }},
		{"the norms of an expression's columns", 1, func() error { return x.Sub(y).Norm(0).Err() }},
		{"the deviation of columns", 1, func() error { return x.Std(0).Err() }},
		{"a tiled expression", 1, func() error { return x.AddScalar(1).Tile(2, 3).Err() }},
		{"a repeated expression", 1, func() error { return x.AddScalar(1).Repeat(3, 0).Err() }},
		{"a padded expression", 3, func() error { return x.Exp().Pad(0, [2]int{0, 1}, [2]int{2, 0}).Err() }},
		{"a rolled array", 1, func() error { return x.Roll(-7, 1).Err() }},
		{"a concatenation", 1, func() error { return Concat(1, x, y, z).Err() }},
		{"taken rows", 1, func() error { return x.Take(rows, 0).Err() }},
		{"softmax of a matrix", 1, func() error { return x.Softmax(-1).Err() }},
		{"softmax of columns", 1, func() error { return x.Softmax(0).Err() }},
		{"layer normalisation", 1, func() error { return x.LayerNorm(row, row, 1e-5, -1).Err() }},
		{"layer normalisation of columns", 1, func() error { return x.LayerNorm(nil, nil, 1e-5, 0).Err() }},
		{"RMS normalisation", 1, func() error { return x.RMSNorm(row, 1e-5, -1).Err() }},
		{"log-sum-exp of rows", 1, func() error { return x.LogSumExp(-1).Err() }},
		{"softmax of an expression", 1, func() error { return x.Mul(y).Softmax(-1).Err() }},
		{"log-softmax of a transposed expression", 1, func() error { return x.Mul(y).Transpose().LogSoftmax(0).Err() }},
		{"log-sum-exp of an expression", 1, func() error { return x.Add(row).LogSumExp(-1).Err() }},
		{"the variance of an expression", 1, func() error { return x.Sub(y).Var().Err() }},
		{"the deviation of an expression's rows", 1, func() error { return x.Sub(y).MulScalar(2).Std(-1).Err() }},
		{"the variance of an expression's columns", 1, func() error { return x.Sub(y).Var(0).Err() }},
		{"layer normalisation of a sum", 1, func() error { return x.Add(y).LayerNorm(row, row, 1e-5, -1).Err() }},
		{"RMS normalisation by a weight that is an expression", 2, func() error { return x.Add(y).RMSNorm(row.AddScalar(1), 1e-5, -1).Err() }},
		{"cumulative sums of an expression", 1, func() error { return x.Sub(y).Square().CumSum(-1).Err() }},
		{"cumulative sums of a mask", 1, func() error { return CumSumAs[int64](x.Greater(y), -1).Err() }},
		{"cumulative sums", 1, func() error { return x.CumSum(-1).Err() }},
		{"cumulative sums of columns", 1, func() error { return x.CumSum(0).Err() }},
		{"Assign", 1, func() error { return w.Assign(w.Sub(x.MulScalar(0.1))) }},
		{"Assign again", 1, func() error { return w.Assign(w.Sub(x.MulScalar(0.1))) }},
		{"Assign of a longer expression", 1, func() error { return w.Assign(w.MulScalar(0.9).Add(x.Square())) }},
		{"Assign of an expression that is held", 1, func() error { held = append(held, w.MulScalar(0.9)); return w.Assign(held[0].AddScalar(1)) }},
		{"Assign to a view", 1, func() error { return v.Slice(All, I(0)).Assign(x.Slice(All, I(1)).Add(z.Slice(All, I(2)))) }},
		{"Assign through another view", 1, func() error { return w.Slice(R(End, End, -1)).Assign(w.AddScalar(1)) }},
		{"Assign of a broadcast expression", 1, func() error { return w.Assign(row.AddScalar(1)) }},
		{"an operand that is freed", 1, func() error {
			e := x.Clone()
			s := e.MulScalar(2).AddScalar(1)
			e.Free()
			return s.Eval().Err()
		}},
	} {
		for range 2 {
			counted(api)
			if err := c.run(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			want := c.want
			if c.name == "an operand that is freed" {
				want++ // the clone
			}
			if got := counted(api)["LaunchKernel"]; got != want {
				t.Errorf("%s: %d launches, want %d", c.name, got, want)
			}
		}
	}
	runtime.KeepAlive(held)
}

// usual are programs as users write them. They return what they compute.
var usual = []struct {
	name string
	run  func(d *Device) []*Array[float32]
}{
	{"softmax by hand", func(d *Device) []*Array[float32] {
		x := Normal[float32](NewRand(d, 1), 40, 50)
		e := x.Sub(x.Max(-1).ExpandDims(-1)).Exp()
		return []*Array[float32]{e.Div(e.Sum(-1).ExpandDims(-1)).Eval()}
	}},
	{"variance by hand", func(d *Device) []*Array[float32] {
		x := Normal[float32](NewRand(d, 1), 40, 50)
		c := x.Sub(x.Mean(-1).ExpandDims(-1))
		return []*Array[float32]{c.Square().Mean(-1).Eval()}
	}},
	{"Adam", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		w, m, v := Normal[float32](r, 60, 20), Zeros[float32](d, 60, 20), Zeros[float32](d, 60, 20)
		for range 3 {
			g := Normal[float32](r, 60, 20)
			m.Assign(m.MulScalar(0.9).Add(g.MulScalar(0.1)))
			v.Assign(v.MulScalar(0.999).Add(g.Square().MulScalar(0.001)))
			w.Assign(w.Sub(m.MulScalar(0.01).Div(v.Sqrt().AddScalar(1e-8))))
		}
		return []*Array[float32]{w, m, v}
	}},
	{"GELU by hand", func(d *Device) []*Array[float32] {
		x := Normal[float32](NewRand(d, 1), 2000)
		inner := x.Add(x.PowScalar(3).MulScalar(0.044715)).MulScalar(0.7978845608)
		return []*Array[float32]{x.MulScalar(0.5).Mul(inner.Tanh().AddScalar(1)).Eval()}
	}},
	{"layer normalisation by hand", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, scale, shift := Normal[float32](r, 40, 50), Normal[float32](r, 50), Normal[float32](r, 50)
		c := x.Sub(x.Mean(-1).ExpandDims(-1))
		s := c.Square().Mean(-1).AddScalar(1e-5).Sqrt()
		return []*Array[float32]{c.Div(s.ExpandDims(-1)).Mul(scale).Add(shift).Eval()}
	}},
	{"a mask with two consumers", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y := Normal[float32](r, 2000), Normal[float32](r, 2000)
		mask := x.Greater(y)
		return []*Array[float32]{Where(mask, x, y).Eval(), Where(mask, y, x).Eval()}
	}},
	{"a mask of other arrays, with two consumers", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y, u, v := Normal[float32](r, 2000), Normal[float32](r, 2000), Normal[float32](r, 2000), Normal[float32](r, 2000)
		mask := x.Greater(y)
		a, b := Where(mask, u, v), Where(mask, v, u)
		return []*Array[float32]{a.Eval(), b.Eval()}
	}},
	{"Adam with what its three steps share held", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		w, m, v := Normal[float32](r, 60, 20), Zeros[float32](d, 60, 20), Zeros[float32](d, 60, 20)
		for range 3 {
			g := Normal[float32](r, 60, 20)
			m2 := m.MulScalar(0.9).Add(g.MulScalar(0.1))
			v2 := v.MulScalar(0.999).Add(g.Square().MulScalar(0.001))
			w2 := w.Sub(m2.MulScalar(0.01).Div(v2.Sqrt().AddScalar(1e-8)))
			m.Assign(m2)
			v.Assign(v2)
			w.Assign(w2)
		}
		return []*Array[float32]{w, m, v}
	}},
	{"Adam with the weights first", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		w, m, v := Normal[float32](r, 60, 20), Zeros[float32](d, 60, 20), Zeros[float32](d, 60, 20)
		for range 3 {
			g := Normal[float32](r, 60, 20)
			m2 := m.MulScalar(0.9).Add(g.MulScalar(0.1))
			v2 := v.MulScalar(0.999).Add(g.Square().MulScalar(0.001))
			w.Assign(w.Sub(m2.MulScalar(0.01).Div(v2.Sqrt().AddScalar(1e-8))))
			m.Assign(m2)
			v.Assign(v2)
		}
		return []*Array[float32]{w, m, v}
	}},
	{"a difference from the mean, twice", func(d *Device) []*Array[float32] {
		x := Normal[float32](NewRand(d, 1), 40, 50)
		c := x.Sub(x.Mean(-1).ExpandDims(-1))
		variance := c.Square().Mean(-1).ExpandDims(-1)
		return []*Array[float32]{c.Div(variance.AddScalar(1e-5).Sqrt()).Eval(), variance.Eval()}
	}},
	{"several statistics of one expression", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y, z := Normal[float32](r, 40, 50), Normal[float32](r, 40, 50), Normal[float32](r, 40, 50)
		e := x.Mul(y).Add(z)
		return []*Array[float32]{e.Sum().Eval(), e.Max().Eval(), e.Min(0).Eval(), e.Mean(-1).Eval(), e.Square().Sum().Eval()}
	}},
	{"an activation and its derivative", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, b, g := Normal[float32](r, 40, 50), Normal[float32](r, 50), Normal[float32](r, 40, 50)
		h := x.Add(b).Sigmoid()
		slope := h.Mul(h.Neg().AddScalar(1)).Mul(g)
		return []*Array[float32]{h.Eval(), slope.Eval()}
	}},
	{"an expensive expression with four consumers", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y := Normal[float32](r, 2000), Normal[float32](r, 2000)
		e := x.Exp().Add(y.Tanh()).Sigmoid()
		return []*Array[float32]{e.AddScalar(1).Eval(), e.AddScalar(2).Eval(), e.AddScalar(3).Eval(), e.Sum().Eval()}
	}},
	{"a perceptron's step", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, w, b, target := Normal[float32](r, 32, 16), Normal[float32](r, 16, 8), Zeros[float32](d, 8), Uniform[float32](r, 32, 8)
		for range 2 {
			h := x.MatMul(w).Add(b).Sigmoid()
			g := h.Sub(target).Mul(h).Mul(h.Neg().AddScalar(1))
			dw := x.Transpose().MatMul(g)
			w.Assign(w.Sub(dw.MulScalar(0.1)))
			b.Assign(b.Sub(g.Sum(0).MulScalar(0.1)))
			for _, a := range []*Array[float32]{h, g, dw} {
				a.Free()
			}
		}
		return []*Array[float32]{w, b}
	}},
	{"a layer", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, w, b := Normal[float32](r, 40, 30), Normal[float32](r, 30, 50), Normal[float32](r, 50)
		return []*Array[float32]{x.MatMul(w).Add(b).Maximum(Scalar[float32](d, 0)).Eval()}
	}},
	{"a layer whose parts are read again", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, w, b := Normal[float32](r, 40, 30), Normal[float32](r, 30, 50), Normal[float32](r, 50)
		p := x.MatMul(w)
		z := p.Add(b)
		h := z.Maximum(Scalar[float32](d, 0))
		mask := z.Greater(Scalar[float32](d, 0))
		return []*Array[float32]{h.Eval(), Where(mask, h, p).Eval(), p.Eval()}
	}},
	{"two layers and a residual", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, w1, w2, b := Normal[float32](r, 40, 50), Normal[float32](r, 50, 50), Normal[float32](r, 50, 50), Normal[float32](r, 50)
		h := x.MatMul(w1).Add(b).Tanh()
		return []*Array[float32]{h.MatMul(w2).MulScalar(0.5).Add(x).Eval()}
	}},
	{"attention weights", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		q, k, mask := Normal[float32](r, 30, 16), Normal[float32](r, 40, 16), Normal[float32](r, 40)
		return []*Array[float32]{q.MatMul(k.Transpose()).MulScalar(0.25).Add(mask).Softmax(-1).Eval()}
	}},
	{"residuals and normalisations", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, w, scale, shift := Normal[float32](r, 40, 50), Normal[float32](r, 50, 50), Normal[float32](r, 50), Normal[float32](r, 50)
		for range 3 {
			x = x.Add(x.LayerNorm(scale, shift, 1e-5, -1).MatMul(w).Tanh())
		}
		return []*Array[float32]{x.RMSNorm(scale, 1e-5, -1)}
	}},
	{"a normalisation of what is read later", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y, u, v := Normal[float32](r, 40, 50), Normal[float32](r, 40, 50), Normal[float32](r, 40, 50), Normal[float32](r, 40, 50)
		e := x.Mul(y).Add(u.Mul(v))
		rest := e.MulScalar(0.5)
		return []*Array[float32]{e.LayerNorm(nil, nil, 1e-5, -1), rest.Eval()}
	}},
	{"batch normalisation", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		x, y := Normal[float32](r, 100, 50), Normal[float32](r, 100, 50)
		e := x.Sub(y)
		scale := e.Var(0).AddScalar(1e-5).Rsqrt()
		return []*Array[float32]{e.Sub(e.Mean(0)).Mul(scale).Eval()}
	}},
	{"clipping by the norm", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		g, w := Normal[float32](r, 60, 20), Normal[float32](r, 60, 20)
		d2 := g.Add(w.MulScalar(0.01))
		w.Assign(w.Sub(d2.Div(d2.Norm().AddScalar(1e-6))))
		return []*Array[float32]{w}
	}},
	{"a stencil in place", func(d *Device) []*Array[float32] {
		u := Normal[float32](NewRand(d, 1), 30, 40)
		for range 3 {
			u.Slice(R(1, -1), R(1, -1)).Assign(diffused(u))
		}
		return []*Array[float32]{u}
	}},
	{"a long chain", func(d *Device) []*Array[float32] {
		x := Normal[float32](NewRand(d, 1), 2000)
		y := x
		for i := range 100 {
			y = y.MulScalar(0.5).Add(x).AddScalar(float32(i))
		}
		return []*Array[float32]{y.Eval()}
	}},
	{"doubling", func(d *Device) []*Array[float32] {
		y := Normal[float32](NewRand(d, 1), 2000)
		for range 80 {
			y = y.Mul(y).Sub(y)
		}
		return []*Array[float32]{y.Eval()}
	}},
	{"many arrays", func(d *Device) []*Array[float32] {
		r := NewRand(d, 1)
		y := Normal[float32](r, 2000)
		for range 30 {
			y = y.Add(Normal[float32](r, 2000))
		}
		return []*Array[float32]{y.Eval()}
	}},
	{"two images of each step", func(d *Device) []*Array[float32] {
		y := Normal[float32](NewRand(d, 1), 30, 30)
		for range 10 {
			y = y.Add(y.Transpose().Flip(0)).MulScalar(0.5)
		}
		return []*Array[float32]{y.Eval()}
	}},
}

// diffused is what a step of the heat equation makes of the inside of u.
func diffused(u *Array[float32]) *Array[float32] {
	in := R(1, -1)
	sides := u.Slice(R(0, -2), in).Add(u.Slice(R(2, End), in)).Add(u.Slice(in, R(0, -2))).Add(u.Slice(in, R(2, End)))
	return u.Slice(in, in).Add(sides.Sub(u.Slice(in, in).MulScalar(4)).MulScalar(0.2))
}

// TestStencil takes steps of the heat equation in place, at once and by a graph: as plain
// Go does, and without the steps of a step in kernels of their own. Those that are
// looked at later have the value that they had.
func TestStencil(t *testing.T) {
	const rows, columns, steps = 20, 33, 10
	d, _ := newRecorded(t)
	rng := seeded(t)
	want := make([]float32, rows*columns)
	for i := range want {
		want[i] = rng.Float32()
	}
	first := slices.Clone(want)
	for range steps {
		old := slices.Clone(want)
		for i := range want {
			if r, c := i/columns, i%columns; r > 0 && r < rows-1 && c > 0 && c < columns-1 {
				sides := old[i-columns] + old[i+columns] + old[i-1] + old[i+1]
				want[i] = old[i] + float32(float32(sides-old[i]*4)*0.2)
			}
		}
	}
	check := func(what string, u *Array[float32]) {
		t.Helper()
		if got := values(t, u); !slices.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", what, got, want)
		}
	}
	inside := func(u *Array[float32]) *Array[float32] { return u.Slice(R(1, -1), R(1, -1)) }

	u := FromSlice(d, first, rows, columns)
	before := d.Stats().Launches
	for range steps {
		if err := inside(u).Assign(diffused(u)); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.Stats().Launches - before; n != steps {
		t.Errorf("%d kernels for %d steps", n, steps)
	}
	check("at once", u)

	u = FromSlice(d, first, rows, columns)
	g, err := d.Capture(func(c *Device) error { return inside(u.On(c)).Assign(diffused(u.On(c))) })
	if err != nil {
		t.Fatal(err)
	}
	before = d.Stats().Launches
	for range steps {
		if err := g.Launch(); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.Stats().Launches - before; n != 2*steps {
		t.Errorf("%d kernels in %d launches of a graph, want 2 in each", n, steps)
	}
	check("by a graph", u)

	fork, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	u = FromSlice(d, first, rows, columns)
	middle := inside(u.On(fork))
	sum := middle.Add(u.On(fork).Slice(R(0, -2), R(1, -1)))
	more := sum.Add(middle)
	last := more.Add(middle)
	if err := inside(u).Slice(R(0, 2)).Fill(0); err != nil {
		t.Fatal(err)
	}
	switch old := sum.node.operands()[0].root().store.block; {
	case old == u.node.store.block:
		t.Error("the steps were not left the old memory")
	case !slices.ContainsFunc(old.reads, func(m mark) bool { return m.stream == d.stream }):
		t.Error("who writes to the old memory will not wait for the copy")
	}
	runtime.KeepAlive(last)
	sums, mores := values(t, sum), values(t, more) // computed on the other stream
	for i := range sums {
		at := (1+i/(columns-2))*columns + 1 + i%(columns-2)
		if want := first[at] + first[at-columns]; sums[i] != want || mores[i] != want+first[at] {
			t.Fatalf("element %d of what was recorded before: %v and %v, want %v and %v", i, sums[i], mores[i], want, want+first[at])
		}
	}
	for i, got := range values(t, u) {
		want := first[i]
		if r, c := i/columns, i%columns; (r == 1 || r == 2) && c > 0 && c < columns-1 {
			want = 0
		}
		if got != want {
			t.Fatalf("element %d is %v, want %v", i, got, want)
		}
	}
}

// TestNeverMoreThanEager runs the usual programs with and without deferral: results
// have the same bits, and there are no more launches nor bytes moved.
func TestNeverMoreThanEager(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, for long")
	}
	table := fmt.Sprintf("%-50s %18s %22s\n", "", "launches, eager", "bytes, eager")
	for _, p := range usual {
		var launches, moved [2]int
		var results [2][]byte
		for k := range 2 {
			d, _ := newRecorded(t)
			d.sh.eager, d.sh.moved = k == 1, &moved[k]
			for _, a := range p.run(d) {
				results[k] = append(results[k], bytesOf(values(t, a))...)
			}
			launches[k] = int(d.Stats().Launches)
		}
		if !bytes.Equal(results[0], results[1]) {
			t.Errorf("%s: the results differ from those of one operation after the other", p.name)
		}
		if launches[0] > launches[1] || moved[0] > moved[1] {
			t.Errorf("%s: %d launches and %d bytes, one by one %d and %d", p.name, launches[0], moved[0], launches[1], moved[1])
		}
		table += fmt.Sprintf("%-50s %9d %8d %11d %10d\n", p.name, launches[0], launches[1], moved[0], moved[1])
	}
	t.Log("\n" + table)
}

// A twin is an array computed twice: as expressions, and one operation at a time.
type twin[T Element] struct {
	name  string
	array [2]*Array[T]
}

// twins runs random programs on two devices, of which one defers.
type twins[T Element] struct {
	*testing.T
	rng  *rand.Rand
	devs [2][]*Device
	live []twin[T]
	log  []string
}

func TestRandomExpressions(t *testing.T) {
	t.Run("float32", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) float32 { return float32(anyFloat(r)) }, floatSteps[float32]())
	})
	t.Run("float64", func(t *testing.T) { runTwins(t, anyFloat, floatSteps[float64]()) })
	t.Run("Float16", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) Float16 { return F16(float32(anyFloat(r))) }, floatSteps[Float16]())
	})
	t.Run("BFloat16", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) BFloat16 { return BF16(float32(anyFloat(r))) }, floatSteps[BFloat16]())
	})
	t.Run("int32", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) int32 { return int32(r.Uint32()) >> r.IntN(32) }, []func(a *Array[int32]) *Array[int32]{gram[int32]})
	})
	t.Run("uint8", func(t *testing.T) { runTwins(t, func(r *rand.Rand) uint8 { return uint8(r.Uint32()) }, nil) })
}

func floatSteps[T Element]() []func(a *Array[T]) *Array[T] {
	return []func(a *Array[T]) *Array[T]{
		(*Array[T]).Exp, (*Array[T]).Tanh, (*Array[T]).Sqrt, (*Array[T]).Sigmoid, (*Array[T]).Log,
		func(a *Array[T]) *Array[T] { return Cast[T](Cast[int32](a)) },
		func(a *Array[T]) *Array[T] { return Cast[T](Cast[Float16](a)) },
		func(a *Array[T]) *Array[T] { return a.Sum(-1) },
		gram[T], gram[T], gram[T],
		func(a *Array[T]) *Array[T] { return a.Var() },
		func(a *Array[T]) *Array[T] { return a.Norm(-1) },
		func(a *Array[T]) *Array[T] { return a.Mean(0).ExpandDims(0) },
		func(a *Array[T]) *Array[T] { return a.Softmax(0) },
		func(a *Array[T]) *Array[T] { return a.LogSumExp(-1) },
		func(a *Array[T]) *Array[T] { return a.CumSum(0) },
		func(a *Array[T]) *Array[T] { return a.Tile(1, 2) },
		func(a *Array[T]) *Array[T] { return a.Repeat(2, -1) },
		func(a *Array[T]) *Array[T] { return a.Flatten().Pad(*new(T), [2]int{1, 2}) },
		func(a *Array[T]) *Array[T] { return a.Roll(3, 0) },
		func(a *Array[T]) *Array[T] { return a.Take(Zeros[int64](a.Device(), 2), -1) },
		func(a *Array[T]) *Array[T] { return a.LayerNorm(nil, a.Slice(I(0)), 1e-5, -1) },
	}
}

// gram is the product of a matrix with its transpose, or of a vector with itself.
func gram[T Element](a *Array[T]) *Array[T] {
	if r := a.Rank(); r < 1 || r > 2 || a.Size() > 1500 {
		return a.Neg()
	}
	return a.MatMul(a.Transpose())
}

// TestRandomExpressionsWhereMemoryIsShort has the search for memory, in which
// expressions are evaluated and garbage is given back, come between the planning of a
// kernel and its launch, again and again. Each block is an allocation of its own, so
// that the simulated device reports work on one that was given back.
func TestRandomExpressionsWhereMemoryIsShort(t *testing.T) {
	scarce := func(d *Device) {
		d.sh.arena.noCache = true
		d.sh.arena.source = &scarce{memorySource: d.sh.arena.source, sh: d.sh}
	}
	t.Run("int32", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) int32 { return int32(r.Uint32()) >> r.IntN(32) }, []func(a *Array[int32]) *Array[int32]{gram[int32]}, scarce)
	})
	t.Run("float32", func(t *testing.T) {
		runTwins(t, func(r *rand.Rand) float32 { return float32(anyFloat(r)) }, floatSteps[float32](), scarce)
	})
}

// scarce is a source of memory that has none at every tenth request, but some once
// the search is over.
type scarce struct {
	memorySource
	sh       *shared
	requests int
}

func (s *scarce) reserve(bytes uint64) (uint64, error) {
	if !s.sh.relieving {
		if s.requests++; s.requests%10 == 0 {
			return 0, driver.ErrorOutOfMemory
		}
	}
	return s.memorySource.reserve(bytes)
}

func runTwins[T Element](t *testing.T, value func(*rand.Rand) T, more []func(a *Array[T]) *Array[T], prepare ...func(d *Device)) {
	seed := rand.Uint64()
	p := &twins[T]{T: t}
	for k := range p.devs {
		d, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		for _, f := range prepare[:min(len(prepare), 1-k)] { // only where operations wait
			f(d)
		}
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		d.sh.eager = k == 1
		p.devs[k] = []*Device{d, d, f}
	}
	programs := 30
	if testing.Short() || len(prepare) > 0 {
		programs = 8
	}
	for i := range uint64(2 * programs) {
		n := i / 2 // again when all kernels are there: else an evaluation starts over where one is missing
		rng := rand.New(rand.NewPCG(seed, n))
		p.rng, p.live, p.log = rng, nil, nil
		for range 50 {
			p.step(func() T { return value(rng) }, more)
		}
		for _, a := range slices.Clone(p.live) { // free deletes
			p.same(a)
			p.free(a)
		}
		if t.Failed() {
			t.Fatalf("seed %d, program %d:\n%s", seed, n, strings.Join(p.log, "\n"))
		}
	}
}

// do runs a step on both devices.
func (p *twins[T]) do(what string, f func(k int) *Array[T]) {
	a := twin[T]{name: fmt.Sprintf("a%d", len(p.log)), array: [2]*Array[T]{f(0), f(1)}}
	p.log = append(p.log, fmt.Sprintf("%s = %s, shape %v", a.name, what, a.array[0].Shape()))
	e0, e1 := a.array[0].Err(), a.array[1].Err()
	if (e0 == nil) != (e1 == nil) {
		p.Errorf("%s: %v; one by one: %v", p.log[len(p.log)-1], e0, e1)
	}
	if e0 != nil || e1 != nil {
		return
	}
	if a.array[0].Size() > 3000 || a.array[0].Rank() > 5 {
		p.free(a)
		return
	}
	p.live = append(p.live, a)
}

func (p *twins[T]) pick() twin[T] { return p.live[p.rng.IntN(len(p.live))] }

func (p *twins[T]) step(value func() T, more []func(a *Array[T]) *Array[T]) {
	if len(p.live) == 0 || p.rng.IntN(9) == 0 {
		shape := [][]int{{}, {1}, {7}, {4, 5}, {5, 4}, {4, 1}, {1, 5}, {2, 4, 5}, {33, 40}}[p.rng.IntN(9)]
		n := 1
		for _, s := range shape {
			n *= s
		}
		data := make([]T, n)
		for i := range data {
			data[i] = value()
		}
		p.do("FromSlice", func(k int) *Array[T] { return FromSlice(p.devs[k][0], data, shape...) })
		return
	}
	a, b := p.pick(), p.pick()
	switch p.rng.IntN(20) {
	case 0, 1:
		p.do(a.name+" + "+b.name, func(k int) *Array[T] { return a.array[k].Add(b.array[k]) })
	case 2, 3:
		p.do(a.name+" · "+b.name, func(k int) *Array[T] { return a.array[k].Mul(b.array[k]) })
	case 4:
		p.do(a.name+" − "+a.name, func(k int) *Array[T] { return a.array[k].Sub(a.array[k]) })
	case 5:
		p.do("Where "+a.name+" < "+b.name, func(k int) *Array[T] { return Where(a.array[k].Less(b.array[k]), b.array[k], a.array[k]) })
	case 6:
		v := value()
		p.do(fmt.Sprintf("%s · %v", a.name, v), func(k int) *Array[T] { return a.array[k].MulScalar(v) })
	case 7:
		p.do(a.name+".Transpose", func(k int) *Array[T] { return a.array[k].Transpose() })
	case 8:
		if r := a.array[0].Rank(); r > 0 {
			n := a.array[0].Shape()[0]
			lo := p.rng.IntN(n + 1)
			p.do(fmt.Sprintf("%s.Slice(R(%d, End))", a.name, lo), func(k int) *Array[T] { return a.array[k].Slice(R(lo, End)) })
		}
	case 9:
		p.do(a.name+".Flip", func(k int) *Array[T] { return a.array[k].Flip() })
	case 10:
		p.do(a.name+".Flatten", func(k int) *Array[T] { return a.array[k].Flatten() })
	case 11:
		if n := a.array[0].Size(); n%4 == 0 {
			p.do(a.name+".Reshape(-1, 2, 2)", func(k int) *Array[T] { return a.array[k].Reshape(-1, 2, 2) })
		}
	case 12:
		if shape := a.array[0].Shape(); len(shape) < 3 {
			p.do(a.name+".BroadcastTo", func(k int) *Array[T] { return a.array[k].BroadcastTo(append([]int{2}, shape...)...) })
		}
	case 13, 14:
		p.log = append(p.log, a.name+".Assign("+b.name+")")
		e0, e1 := a.array[0].Assign(b.array[0]), a.array[1].Assign(b.array[1])
		if (e0 == nil) != (e1 == nil) {
			p.Errorf("%s: %v; one by one: %v", p.log[len(p.log)-1], e0, e1)
		}
	case 15:
		v := value()
		p.log = append(p.log, fmt.Sprintf("%s.Fill(%v)", a.name, v))
		for k := range p.devs {
			a.array[k].Fill(v)
		}
	case 16:
		i := p.rng.IntN(3)
		p.do(fmt.Sprintf("%s.On(%d)", a.name, i), func(k int) *Array[T] { return a.array[k].On(p.devs[k][i]) })
	case 17:
		switch p.rng.IntN(4) {
		case 0:
			p.same(a)
		case 1:
			p.free(a)
		}
	default:
		if len(more) > 0 {
			i := p.rng.IntN(len(more))
			p.do(fmt.Sprintf("more[%d](%s)", i, a.name), func(k int) *Array[T] { return more[i](a.array[k]) })
		}
	}
}

// free frees an array, and drops what shares its memory.
func (p *twins[T]) free(a twin[T]) {
	p.log = append(p.log, a.name+".Free()")
	for _, x := range a.array {
		x.Free()
	}
	p.live = slices.DeleteFunc(p.live, func(b twin[T]) bool {
		e0, e1 := b.array[0].Err(), b.array[1].Err()
		if (e0 == nil) != (e1 == nil) {
			p.Errorf("after %s, %s: %v; one by one: %v", p.log[len(p.log)-1], b.name, e0, e1)
		}
		return e0 != nil
	})
}

// same reads an array.
func (p *twins[T]) same(a twin[T]) {
	p.log = append(p.log, a.name+".ToSlice()")
	got, err := a.array[0].ToSlice()
	want, err1 := a.array[1].ToSlice()
	if (err == nil) != (err1 == nil) {
		p.Errorf("%s: %v; one by one: %v", a.name, err, err1)
		return
	}
	for i := range got {
		if g, w := scalarOf(got[i]), scalarOf(want[i]); g != w && !(g.typ.IsFloat() && g.float() != g.float() && w.float() != w.float()) {
			p.Errorf("%s has %v at %d; one by one it is %v", a.name, got[i], i, want[i])
			return
		}
	}
}

// TestExpressionsOfManyGoroutines records over and evaluates the same expressions
// from several goroutines.
func TestExpressionsOfManyGoroutines(t *testing.T) {
	d, _ := newRecorded(t)
	x := Arange[float64](d, 0, 1000, 1)
	for range 20 {
		shared := x.MulScalar(2).AddScalar(1)
		view := shared.Slice(R(0, 10))
		var wg sync.WaitGroup
		for g := range 6 {
			wg.Go(func() {
				y := shared.AddScalar(float64(g))
				switch g {
				case 0:
					shared.Eval()
				case 1:
					if got, err := view.ToSlice(); err != nil || got[9] != 19 {
						t.Errorf("the view is %v, %v", got, err)
					}
				case 2:
					shared.Sub(shared).Err() // dropped
				}
				got, err := y.Sum().Item()
				if want := 1000000 + 1000*float64(g); got != want || err != nil {
					t.Errorf("goroutine %d: %v, %v; want %v", g, got, err, want)
				}
				if v, err := y.At(999); err != nil || v != 1999+float64(g) {
					t.Errorf("goroutine %d: element 999 is %v, %v", g, v, err)
				}
				y.Free()
			})
		}
		wg.Wait()
	}
}

// TestDroppedExpressions looks for what expressions hold when nobody can reach them.
func TestDroppedExpressions(t *testing.T) {
	d, _ := newRecorded(t)
	y := Ones[float32](d, 1000)
	launches := d.Stats().Launches
	func() {
		x := Ones[float32](d, 1000)
		z := x.Add(y).Exp()
		x.Free()
		if s := d.Stats(); s.Arrays != 2 {
			t.Errorf("%d arrays while an expression reads one that was freed, want 2", s.Arrays)
		}
		if err := y.Fill(3); err != nil {
			t.Error(err)
		}
		z.Free()
	}()
	runtime.GC()
	runtime.GC()
	if s := d.Stats(); s.Arrays != 1 || d.sh.setAside != 0 {
		t.Errorf("%d arrays and %d bytes set aside after the expression was dropped", s.Arrays, d.sh.setAside)
	}
	if n := d.Stats().Launches - launches; n > 1 { // Fill
		t.Errorf("%d launches for an expression that nobody needs", n)
	}
	if v, err := y.At(5); v != 3 || err != nil {
		t.Errorf("y is %v, %v", v, err)
	}
}

// TestExpressionsUnderALimit runs a loop that never frees anything, whose
// expressions hold more than they give.
func TestExpressionsUnderALimit(t *testing.T) {
	d, _ := newRecorded(t)
	if err := d.Limit("48MiB"); err != nil {
		t.Fatal(err)
	}
	w := Zeros[float32](d, 1<<18)
	var sums []*Array[float32]
	for i := range 200 {
		a, b := Full(d, float32(i), 1<<18), Full(d, float32(1), 1<<18)
		sums = append(sums, a.Slice(R(0, 4)).Add(b.Slice(R(0, 4)))) // holds 2 MiB for 16 bytes
		if err := w.Assign(w.MulScalar(0.5).Add(a)); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	for i, s := range sums {
		if v, err := s.At(2); v != float32(i+1) || err != nil {
			t.Fatalf("sum %d is %v, %v", i, v, err)
		}
	}
	if s := d.Stats(); s.Reserved > 48<<20 {
		t.Errorf("%+v", s)
	}
}

// TestExpressionsInScopes frees expressions with their scope, as if each were in
// memory, but not what is made on its Device later.
func TestExpressionsInScopes(t *testing.T) {
	d, _ := newRecorded(t)
	x := Ones[float32](d, 10)
	var lost, outer, kept, view *Array[float32]
	var scope *Device
	d.Scope(func(s *Device) error {
		scope = s
		lost = x.On(s).AddScalar(1)
		view = lost.Slice(R(0, 2))
		outer = x.Mul(lost) // made on d
		kept = lost.AddScalar(5).Keep()
		return nil
	})
	for name, a := range map[string]*Array[float32]{"an expression": lost, "a view of it": view, "an operation on it": lost.Exp()} {
		if err := a.Err(); !errors.Is(err, ErrFreed) || !strings.Contains(err.Error(), "Scope") {
			t.Errorf("%s: %v, want ErrFreed", name, err)
		}
	}
	for _, c := range []struct {
		a    *Array[float32]
		want float32
	}{{outer, 2}, {kept, 7}, {x.On(scope).AddScalar(3), 4}} {
		if v, err := c.a.At(3); v != c.want || err != nil {
			t.Errorf("%v, %v; want %v", v, err, c.want)
		}
	}
}

// TestThrough compares layouts of layouts with positions.
func TestThrough(t *testing.T) {
	rng := seeded(t)
	followed, refused := 0, 0
	for range 20000 {
		shape := make([]int, 1+rng.IntN(3))
		for i := range shape {
			shape[i] = 1 + rng.IntN(4)
		}
		whole, _ := newLayout(shape, typeOf[int8]())
		leaf := whole
		for i := range leaf.Rank { // any strides
			leaf.Strides[i] = []int{0, 1, 2, -1, 5, whole.Strides[i], whole.Strides[i]}[rng.IntN(7)]
		}
		leaf.Offset = 100
		m, g := whole, gridOf(&whole)
		for range rng.IntN(4) {
			var err error
			if _, m, g, err = randomView(rng, m, g); err != nil {
				t.Fatal(err)
			}
		}
		if n := m.Len(); rng.IntN(2) == 0 {
			if r, ok := reshape(&m, []int{n}); ok && n > 0 {
				m, g.shape = r, []int{n}
				for k := 2; k < n; k++ {
					if n%k == 0 {
						if r, ok := reshape(&m, []int{k, n / k}); ok {
							m, g.shape = r, []int{k, n / k}
						}
						break
					}
				}
			}
		}
		r, ok := through(&m, &leaf)
		if !ok {
			refused++
			continue
		}
		followed++
		at := gridOf(&leaf).at
		got := gridOf(&r)
		for i, p := range g.at {
			if got.at[i] != at[p] {
				t.Fatalf("%+v through %+v is %+v: element %d at %d, want %d", m, leaf, r, i, got.at[i], at[p])
			}
		}
	}
	if followed < 1000 || refused < 100 {
		t.Errorf("%d layouts were followed, %d refused", followed, refused)
	}
}
