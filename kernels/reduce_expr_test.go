package kernels

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// checkReduceExpr compares a reduction of an expression with the expression's
// evaluation and a reduction of what that gave, bit for bit. It returns the
// kernel's key.
func checkReduceExpr(t *testing.T, r *rand.Rand, op Op, e *Expr, u Type, c reduceCase, in []Layout, sizes []int) string {
	t.Helper()
	types := operandTypes(e, len(in))
	var data [][]byte
	for k := range in {
		data = append(data, packElements(types[k+1], filled(r, types[k+1], sizes[k])))
	}
	kept := reducedRowMajor(c.shape, c.axes)
	out, length := randomLayout(r, false, kept.Shape[:kept.Rank]...)
	var p Plan
	if err := ReduceExpr(&p, op, e, u, out, in, c.axes); err != nil {
		t.Fatalf("%v of %v: %v", op, types, err)
	}
	got := make([]byte, length*u.Size())
	runner := newRunner(t)
	runner.run(t, &p, u, append([][]byte{got}, data...)...)

	var evaluate, reduce Plan
	whole := RowMajor(c.shape...)
	if err := Elementwise(&evaluate, e, whole, in); err != nil {
		t.Fatal(err)
	}
	values := make([]byte, whole.Len()*types[0].Size())
	runner.run(t, &evaluate, types[0], append([][]byte{values}, data...)...)
	if err := ReduceAs(&reduce, op, types[0], u, out, whole, c.axes); err != nil {
		t.Fatal(err)
	}
	want := make([]byte, length*u.Size())
	runner.run(t, &reduce, u, want, values)
	g, w := unpackElements(u, got), unpackElements(u, want)
	for i := range w {
		if !same(u, g[i], w[i], false, 0) {
			t.Fatalf("%s over %b of %v: element %d is %s, want %s\nlayouts %v", p.Launches[0].Key, c.axes, c.shape, i, show(u, g[i]), show(u, w[i]), in)
		}
	}
	return p.Launches[0].Key
}

// randomReduction returns an operation and its result's type for values of type t.
func randomReduction(r *rand.Rand, t Type, c reduceCase) (Op, Type) {
	for {
		op, u := reduceOps[r.IntN(len(reduceOps))], reduceResult(OpSum, t)
		if r.IntN(2) == 0 || u.Size() < 4 && !u.IsFloat() {
			u = []Type{Int32, Uint64, Float32, Float64, Float16}[r.IntN(5)]
		}
		if op != OpSum && op != OpProd && op != OpMean {
			u = reduceResult(op, t)
		}
		if checkReduction(op, t, u) == nil && (!isArg(op) || argCase(c)) {
			return op, u
		}
	}
}

// TestReduceExpr reduces random expressions over operands of random layouts.
func TestReduceExpr(t *testing.T) {
	r := newRand(t)
	runs := 3
	if testing.Short() {
		runs = 1
	}
	forms := map[string]int{}
	for range runs {
		for _, c := range reduceCases {
			inputs := 1 + r.IntN(3)
			e := randomExpr(r, inputs, r.IntN(6))
			op, u := randomReduction(r, operandTypes(e, inputs)[0], c)
			in, sizes := make([]Layout, inputs), make([]int, inputs)
			for k := range in {
				in[k], sizes[k] = operandLayout(r, c.shape)
			}
			key := checkReduceExpr(t, r, op, e, u, c, in, sizes)
			forms[strings.Join(strings.Fields(key)[:1], " ")]++
			if f, err := familyOf(key); err == nil && f.prefix == "reduce_rows" {
				if k, err := parseRowsKernel(key); err != nil || k.key() != key {
					t.Fatalf("%q is read as another key, or not: %v", key, err)
				}
			}
		}
	}
	t.Log(forms)
}

// usual are expressions that programs reduce, over contiguous operands in every
// form of kernel; vectors must be read whole.
func usualExpressions(t Type) map[string]*Expr {
	load := func(k int) Node { return Node{Kind: Load, Type: t, Operand: k} }
	apply := func(op Op, u Type, args ...int) Node {
		n := Node{Kind: Apply, Op: op, Type: u}
		copy(n.Args[:], args)
		return n
	}
	return map[string]*Expr{
		"dot":    {[]Node{load(1), load(2), apply(OpMul, t, 0, 1)}},
		"sqdiff": {[]Node{load(1), load(2), apply(OpSub, t, 0, 1), apply(OpSquare, t, 2)}},
		"abs":    {[]Node{load(1), apply(OpAbs, t, 0)}},
		"less":   {[]Node{load(1), load(2), apply(OpLess, Bool, 0, 1)}},
		"exp":    {[]Node{load(1), load(2), apply(OpSub, t, 0, 1), apply(OpExp, t, 2)}},
	}
}

func TestReduceUsualExpressions(t *testing.T) {
	r := newRand(t)
	for _, typ := range []Type{Float32, BFloat16, Float64} {
		for name, e := range usualExpressions(typ) {
			op, u := OpSum, typ
			if name == "less" {
				op, u = OpAny, Bool
			}
			for _, c := range []reduceCase{{[]int{4096}, 1}, {[]int{70001}, 1}, {[]int{30, 64}, 2}, {[]int{3, 9000}, 2}, {[]int{300, 64}, 1}, {[]int{5000, 32}, 1}, {[]int{3, 70, 32}, 2}} {
				row := RowMajor(c.shape...)
				in, sizes := []Layout{row, row}, []int{row.Len(), row.Len()}
				key := checkReduceExpr(t, r, op, e, u, c, in, sizes)
				vector := false
				for _, w := range []string{" a16 ", " a8 ", " a4 ", " a2 ", " v4 ", " v8 ", " v2 "} {
					vector = vector || strings.Contains(key, w)
				}
				if !vector && c.shape[0] != 70001 {
					t.Errorf("%s of %v over %b of %v is not read in vectors: %s", name, typ, c.axes, c.shape, key)
				}
			}
		}
	}
}

// A sum that is computed by its definition, in Go.
func TestReduceExprModel(t *testing.T) {
	r := newRand(t)
	for _, n := range []int{1, 1000, 40000} {
		a, b, d := make([]float32, n), make([]float32, n), make([]float32, n)
		for i := range a {
			a[i], b[i] = float32(r.NormFloat64()), float32(r.NormFloat64())
			d[i] = (a[i] - b[i]) * (a[i] - b[i])
		}
		var p Plan
		if err := ReduceExpr(&p, OpSum, usualExpressions(Float32)["sqdiff"], Float32, RowMajor(), []Layout{RowMajor(n), RowMajor(n)}, 1); err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 1)
		runPlan(t, &p, got, a, b)
		if want := reduceModel(d, add[float32]); !sameBits(got[0], want) {
			t.Errorf("%d squared differences are %v, want %v", n, got[0], want)
		}
	}
}

func TestReduceExprErrors(t *testing.T) {
	e := usualExpressions(Float32)["dot"]
	wide := RowMajor(8)
	wide.Rank = MaxRank + 1
	for name, c := range map[string]struct {
		e   *Expr
		u   Type
		in  []Layout
		out Layout
	}{
		"no operands":   {&Expr{[]Node{{Kind: Immediate, Type: Float32}}}, Float32, nil, RowMajor()},
		"shapes":        {e, Float32, []Layout{RowMajor(8), RowMajor(9)}, RowMajor()},
		"operand":       {e, Float32, []Layout{RowMajor(8)}, RowMajor()},
		"result":        {e, Int32, []Layout{RowMajor(8), RowMajor(8)}, RowMajor()},
		"output":        {e, Float32, []Layout{RowMajor(8), RowMajor(8)}, RowMajor(8)},
		"no expression": {&Expr{}, Float32, []Layout{RowMajor(8)}, RowMajor()},
		"axes":          {e, Float32, []Layout{wide, wide}, RowMajor()},
	} {
		var p Plan
		if err := ReduceExpr(&p, OpSum, c.e, c.u, c.out, c.in, 1); err == nil || len(p.Launches)+int(p.Scratch)+int(p.Tickets) != 0 {
			t.Errorf("%s: %v, %v", name, err, p)
		}
	}
	many := &Expr{}
	for range 600 {
		many.Nodes = append(many.Nodes, Node{Kind: Immediate, Type: Float64})
	}
	var p Plan
	if err := ReduceExpr(&p, OpSum, many, Float64, RowMajor(), []Layout{RowMajor(100_000)}, 1); err == nil || len(p.Launches)+int(p.Scratch)+int(p.Tickets) != 0 {
		t.Errorf("600 immediates: %v, %v", err, p)
	}
}

// Operands that nobody loads do not count, and positions are those of the shape.
func TestReduceExprIndex(t *testing.T) {
	positions := &Expr{[]Node{{Kind: Index, Type: Int64}}}
	for _, c := range reduceCases {
		in := RowMajor(c.shape...)
		var p Plan
		if err := ReduceExpr(&p, OpMax, positions, Int64, reducedRowMajor(c.shape, c.axes), []Layout{in}, c.axes); err != nil {
			t.Fatal(err)
		}
		all := make([]int64, in.Len())
		for i := range all {
			all[i] = int64(i)
		}
		kept, reduced := splitAxes(len(c.shape), c.axes)
		rows := gather(all, in, kept, reduced)
		got := make([]int64, len(rows))
		runPlan(t, &p, got, none, none)
		for i, row := range rows {
			if got[i] != slices.Max(row) {
				t.Fatalf("%s over %b of %v: %d, want %d", p.Launches[0].Key, c.axes, c.shape, got[i], slices.Max(row))
			}
		}
	}
}

// TestNorm: a norm is the root of the sum of squares, bit for bit, wherever the
// elements lie, and takes one launch.
func TestNorm(t *testing.T) {
	r := newRand(t)
	for _, c := range reduceCases {
		for _, typ := range []Type{Float32, Float64, BFloat16} {
			if len(c.shape) == 1 && r.IntN(2) > 0 {
				continue
			}
			inputs := 1 + r.IntN(2)
			e := randomExpr(r, inputs, r.IntN(4))
			e.cast(typ)
			in, sizes := make([]Layout, inputs), make([]int, inputs)
			types, data := operandTypes(e, inputs), [][]byte{}
			for k := range in {
				in[k], sizes[k] = operandLayout(r, c.shape)
				data = append(data, packElements(types[k+1], filled(r, types[k+1], sizes[k])))
			}
			out := reducedRowMajor(c.shape, c.axes)
			var p, sum, root Plan
			if err := NormExpr(&p, e, out, in, c.axes); err != nil || len(p.Launches) != 1 {
				t.Fatal(err, p.Launches)
			}
			checkReductionKey(t, p.Launches[0].Key)
			u := typ.compute()
			squares := &Expr{slices.Clone(e.Nodes)}
			squares.apply(OpSquare, u, squares.cast(u))
			if err := ReduceExpr(&sum, OpSum, squares, u, out, in, c.axes); err != nil {
				t.Fatal(err)
			}
			sqrt := &Expr{}
			sqrt.apply(OpSqrt, u, sqrt.load(1, u, u))
			sqrt.cast(typ)
			if err := Elementwise(&root, sqrt, out, []Layout{out}); err != nil {
				t.Fatal(err)
			}
			got, sums, want := make([]byte, out.Len()*typ.Size()), make([]byte, out.Len()*u.Size()), make([]byte, out.Len()*typ.Size())
			runner := newRunner(t)
			runner.run(t, &p, typ, append([][]byte{got}, data...)...)
			runner.run(t, &sum, u, append([][]byte{sums}, data...)...)
			runner.run(t, &root, typ, want, sums)
			g, w := unpackElements(typ, got), unpackElements(typ, want)
			for i := range w {
				if !same(typ, g[i], w[i], false, 0) {
					t.Fatalf("%s over %b of %v: norm %d is %s, want %s", p.Launches[0].Key, c.axes, c.shape, i, show(typ, g[i]), show(typ, w[i]))
				}
			}
		}
	}
	var p Plan
	if err := Norm(&p, Int32, RowMajor(), RowMajor(5), 1); err == nil {
		t.Error("a norm of integers")
	}
	p.Reset()
	got := make([]float32, 3)
	if err := Norm(&p, Float32, RowMajor(3), RowMajor(3, 0), 2); err != nil {
		t.Fatal(err)
	}
	got[1] = 7
	if runPlan(t, &p, got, none, none); !slices.Equal(got, make([]float32, 3)) {
		t.Errorf("the norm of no numbers is %v", got)
	}
}

// checkReductionKey reads a key back.
func checkReductionKey(t *testing.T, key string) {
	t.Helper()
	again := ""
	if strings.HasPrefix(key, "reduce_rows ") {
		k, err := parseRowsKernel(key)
		if err != nil {
			t.Fatal(err)
		}
		again = k.key()
	} else {
		k, err := parseColumnsKernel(key)
		if err != nil {
			t.Fatal(err)
		}
		again = k.key()
	}
	if again != key {
		t.Fatalf("%q is read as %q", key, again)
	}
}

// TestTurnedExpressions: however the operand of an expression lies, what is reduced is
// in the order of the expression's values, or comes to the same ways.
func TestTurnedExpressions(t *testing.T) {
	r := newRand(t)
	type plan func(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error
	square := &Expr{}
	square.apply(OpSquare, Float32, square.load(1, Float32, Float32))
	for name, reduce := range map[string]plan{
		"sum": func(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
			return ReduceExpr(p, OpSum, e, Float32, out, in, axes)
		},
		"norm": NormExpr,
		"variance": func(p *Plan, e *Expr, out Layout, in []Layout, axes uint32) error {
			return VarianceExpr(p, e, 1, out, in, axes)
		},
		"log_sum_exp": LogSumExpExpr,
	} {
		fused := 0
		for _, c := range []reduceCase{{[]int{50, 60}, 3}, {[]int{50, 60}, 2}, {[]int{50, 60}, 1}, {[]int{3000, 64}, 1}, {[]int{64, 3000}, 2}, {[]int{300, 200}, 3}, {[]int{6, 40, 16}, 5}, {[]int{6, 40, 16}, 3}} {
			whole, out := RowMajor(c.shape...), reducedRowMajor(c.shape, c.axes)
			data := make([]float32, whole.Len())
			for i := range data {
				data[i] = float32(r.NormFloat64())
			}
			in := RowMajor(c.shape...) // with its axes the other way round
			for i, stride := 0, 1; i < in.Rank; i++ {
				in.Strides[i] = stride
				stride *= in.Shape[i]
			}
			var p, evaluate, then Plan
			if err := reduce(&p, square, out, []Layout{in}, c.axes); errors.Is(err, ErrApart) {
				continue
			} else if err != nil {
				t.Fatal(err)
			}
			if err := Elementwise(&evaluate, square, whole, []Layout{in}); err != nil {
				t.Fatal(err)
			}
			if err := reduce(&then, oneLoad(Float32), out, []Layout{whole}, c.axes); err != nil {
				t.Fatal(err)
			}
			fused++
			got, want, values := make([]float32, out.Len()), make([]float32, out.Len()), make([]float32, len(data))
			runPlan(t, &p, got, data, none)
			runPlan(t, &evaluate, values, data, none)
			runPlan(t, &then, want, values, none)
			for i := range want {
				if !sameBits(got[i], want[i]) {
					t.Errorf("%s over %b of %v: result %d is %v of an expression, %v of its values", name, c.axes, c.shape, i, got[i], want[i])
					break
				}
			}
		}
		if fused == 0 {
			t.Errorf("%s never takes an expression", name)
		}
	}
}
