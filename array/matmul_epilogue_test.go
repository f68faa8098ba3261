package array

import (
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestEpilogueLaunches counts the kernels of products and what follows them.
func TestEpilogueLaunches(t *testing.T) {
	d, api := newRecorded(t)
	r := NewRand(d, 1)
	x, w, b, y := Normal[float32](r, 20, 30), Normal[float32](r, 30, 40), Normal[float32](r, 40), Normal[float32](r, 20, 40)
	long, wide := Normal[float32](r, 20, 400), Normal[float32](r, 400, 40)
	deep := Normal[float32](r, 20, 3000)
	batch, zero := Normal[float32](r, 3, 20, 30), Scalar[float32](d, 0)
	var held []*Array[float32]
	for _, c := range []struct {
		name string
		want int
		run  func() error
	}{
		{"freed before it is needed", 0, func() error { p := x.MatMul(w); defer p.Free(); return p.Err() }},
		{"a product", 1, func() error { return x.MatMul(w).Eval().Err() }},
		{"bias and ReLU", 1, func() error { return x.MatMul(w).Add(b).Maximum(zero).Eval().Err() }},
		{"a residual, on the left", 1, func() error { return y.Add(x.MatMul(w).MulScalar(0.5)).Eval().Err() }},
		{"a batch", 1, func() error { return batch.MatMul(w).Add(y).Tanh().Eval().Err() }},
		{"a cast", 1, func() error { return Cast[Float16](x.MatMul(w)).Eval().Err() }},
		{"a mask", 1, func() error { return x.MatMul(w).Greater(y).Eval().Err() }},
		{"Assign", 1, func() error { return y.Assign(y.Sub(x.MatMul(w).MulScalar(0.1))) }},
		{"Assign through a view", 1, func() error { return y.Slice(R(0, 20), R(End, End, -1)).Assign(x.MatMul(w).Add(b)) }},
		{"two products", 2, func() error { return x.MatMul(w).Add(b).Mul(x.MatMul(w.MulScalar(2).Eval())).Eval().Err() }},
		{"a transposed product", 2, func() error { return x.MatMul(w).Transpose().AddScalar(1).Eval().Err() }},
		{"a reduction", 2, func() error { return x.MatMul(w).Add(b).Sum().Eval().Err() }},
		{"the next operation launches it", 2, func() error {
			held = append(held, x.MatMul(w).Add(b))
			return y.Exp().Eval().Err()
		}},
		{"and the next product", 1, func() error {
			p := x.MatMul(w)
			held = append(held, p, x.MatMul(w))
			held[len(held)-1].Free()
			return nil
		}},
		{"and Sync", 1, func() error { held = append(held, x.MatMul(w)); return d.Sync() }},
		{"which two operations need, at once", 2, func() error {
			p := x.MatMul(w)
			a, m := p.Add(b), p.Mul(y)
			return errors.Join(a.Eval().Err(), m.Eval().Err())
		}},
		{"a long K, in segments", 3, func() error { return deep.MatMul(deep.Transpose()).AddScalar(1).Eval().Err() }},
		{"which is read afterwards, being dear", 1, func() error {
			p := long.MatMul(wide)
			held = append(held, p.Add(b).Eval())
			return p.Eval().Err()
		}},
	} {
		for range 2 {
			counted(api)
			if err := c.run(); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
			want := c.want
			if c.name == "two products" {
				want++ // the scaled weights
			}
			if got := counted(api)["LaunchKernel"]; got != want {
				t.Errorf("%s: %d launches, want %d", c.name, got, want)
			}
		}
	}
	runtime.KeepAlive(held)
}

// TestEpilogueBits compares what follows products with the same one by one.
func TestEpilogueBits(t *testing.T) {
	seed := rand.Uint64()
	t.Run("float32", func(t *testing.T) { epilogueBits[float32](t, seed) })
	t.Run("float64", func(t *testing.T) { epilogueBits[float64](t, seed) })
	t.Run("Float16", func(t *testing.T) { epilogueBits[Float16](t, seed) })
	t.Run("BFloat16", func(t *testing.T) { epilogueBits[BFloat16](t, seed) })
}

func epilogueBits[T Element](t *testing.T, seed uint64) {
	var results [2][]T
	for k := range results {
		d, _ := newRecorded(t)
		d.sh.eager = k == 1
		r := NewRand(d, seed)
		part := func(shape ...int) *Array[T] { return Cast[T](Normal[float64](r, shape...)) }
		x, w, b, y := part(35, 70), part(70, 33), part(33), part(35, 33)
		p := x.MatMul(w)
		for _, a := range []*Array[T]{
			p.Add(b).Tanh(), p.Mul(p).Add(p), x.MatMul(w).Add(b).Sub(x.MatMul(w)), Cast[T](Cast[float32](x.MatMul(w)).Mul(Cast[float32](y))),
			Where(x.MatMul(w).Greater(y), y, x.Slice(All, R(0, 33))), y.Sub(x.MatMul(w)).Transpose(),
		} {
			results[k] = append(results[k], values(t, a)...)
		}
		if err := y.Assign(y.Add(x.MatMul(w)).Mul(b)); err != nil {
			t.Fatal(err)
		}
		results[k] = append(results[k], values(t, y)...)
	}
	for i, got := range results[0] {
		if g, want := scalarOf(got), scalarOf(results[1][i]); g != want {
			t.Fatalf("seed %d: element %d is %v, one by one %v", seed, i, got, results[1][i])
		}
	}
}

// TestProductsKeepTheirOperands overwrites and frees what a waiting product reads.
func TestProductsKeepTheirOperands(t *testing.T) {
	d, _ := newRecorded(t)
	x, w := Ones[float32](d, 20, 30), Ones[float32](d, 30, 40)
	p := x.MatMul(w)
	sum := p.AddScalar(1)
	if err := x.Fill(5); err != nil {
		t.Fatal(err)
	}
	w.Free()
	if v, err := sum.At(3, 4); v != 31 || err != nil {
		t.Errorf("the sum is %v, %v; want 31", v, err)
	}
	if v, err := p.At(3, 4); v != 30 || err != nil {
		t.Errorf("the product is %v, %v; want 30", v, err)
	}
	square := Ones[float32](d, 30, 30)
	if err := square.Assign(square.MatMul(square).Sub(square)); err != nil {
		t.Fatal(err)
	}
	if v, err := square.At(29, 0); v != 29 || err != nil {
		t.Errorf("the square is %v, %v; want 29", v, err)
	}
	if err := square.Slice(R(0, 15)).Assign(square.Slice(R(15, 30)).MatMul(square)); err != nil {
		t.Fatal(err)
	}
	if v, err := square.At(0, 7); v != 30*29*29 || err != nil {
		t.Errorf("the upper half is %v, %v; want %v", v, err, 30*29*29)
	}
}

// TestWaitingProductTakesWhatIsComputed has an evaluation launch a product whose
// epilogue evaluates an expression that the evaluation computes too: it must neither
// lose the memory that it reads nor store the expression twice.
func TestWaitingProductTakesWhatIsComputed(t *testing.T) {
	for _, freed := range []bool{true, false} {
		d, _ := newRecorded(t)
		x, b := Arange[float32](d, 0, 24, 1).Reshape(4, 6).Clone(), Arange[float32](d, 0, 6, 1)
		shared := x.Add(b)
		if !freed { // dear enough to be stored
			shared = shared.Exp().Log().Tanh().Exp()
		}
		want := values(t, shared.Clone())
		if shared = x.Add(b); !freed {
			shared = shared.Exp().Log().Tanh().Exp()
		}
		twice, later := shared.MulScalar(2), shared.Flip(0).MulScalar(1)
		sum := Ones[float32](d, 3, 5).MatMul(Ones[float32](d, 5, 8)).Add(shared.Reshape(3, 8)) // not in the order of b
		if freed {
			x.Free()
		}
		twice.Eval()
		if err := shared.Assign(Zeros[float32](d, 4, 6)); err != nil {
			t.Fatal(err)
		}
		got, first, product := values(t, later.Flip(0)), values(t, twice), values(t, sum)
		for i, w := range want {
			if got[i] != w || first[i] != 2*w || product[i] != 5+w {
				t.Fatalf("freed %v, element %d: %v, %v and %v of %v", freed, i, got[i], first[i], product[i], w)
			}
		}
	}
}

// TestProductComputedMeanwhile has the search for memory, in the midst of planning a
// product with its epilogue, evaluate another expression that needs the product, so
// that it is an array then.
func TestProductComputedMeanwhile(t *testing.T) {
	d, _ := newRecorded(t)
	memory := &scarce{memorySource: d.sh.arena.source, sh: d.sh, requests: -1000}
	d.sh.arena.noCache, d.sh.arena.source = true, memory
	a, b, z := Ones[float32](d, 3, 5), Full(d, float32(2), 5, 4), Arange[float32](d, 0, 12, 1).Reshape(4, 3).Clone()
	row := Full(d, float32(1), 4)
	program := func() (sum, turned *Array[float32]) {
		p := a.MatMul(b)
		turned = p.Transpose().Add(z)
		return p.Add(row.Exp()), turned // the exponentials are computed first, by themselves
	}
	sum, turned := program()
	if err := errors.Join(sum.Eval().Err(), turned.Eval().Err()); err != nil { // kernels are assembled
		t.Fatal(err)
	}
	sum, turned = program()
	memory.requests = 9 // so that the next one fails
	sum.Eval()
	if turned.node.pending() {
		t.Error("the search for memory did not evaluate the other expression: this tests nothing")
	}
	got, other := values(t, sum), values(t, turned)
	for i := range 12 {
		if math.Abs(float64(got[i])-10-math.E) > 1e-5 || other[i] != 10+float32(i) {
			t.Fatalf("%v and %v", got, other)
		}
	}
	runtime.KeepAlive([]*Array[float32]{a, b, z, row})
}

// TestProductReadTwice has an epilogue whose other operand is computed first, from the
// product too, in a way that needs it stored.
func TestProductReadTwice(t *testing.T) {
	d, _ := newRecorded(t)
	a := Arange[float64](d, 0, 12, 1).Reshape(3, 4)
	p := a.MatMul(a.Transpose())
	want, err := p.Clone().ToSlice()
	if err != nil {
		t.Fatal(err)
	}
	for round := range 2 { // kernels are assembled between two attempts in the first
		q := a.MatMul(a.Transpose())
		got, err := q.Add(q.Slice(R(0, 1)).Sqrt()).ToSlice()
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if w := want[i] + math.Sqrt(want[i%3]); got[i] != w {
				t.Errorf("round %d: element %d is %v, want %v", round, i, got[i], w)
			}
		}
	}
}
