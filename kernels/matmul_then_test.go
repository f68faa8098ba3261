package kernels

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// thenExpr is a random expression whose operand 1 has type t.
func thenExpr(r *rand.Rand, t Type, inputs, ops int) *Expr {
	for {
		if e := randomExpr(r, inputs, ops); e.Nodes[0].Type == t {
			return e
		}
	}
}

// TestMatMulThen compares products with an epilogue, over operands and outputs of any
// layout, with the product and then the expression, bit for bit.
func TestMatMulThen(t *testing.T) {
	r := newRand(t)
	want := 20 // that take their epilogue: about every second one does
	if testing.Short() {
		want = 6
	}
	fused := 0
	for tried := 0; fused < want; tried++ {
		if tried == 6*want {
			t.Fatalf("%d of %d products took their epilogue", fused, tried)
		}
		c := matmulCases[r.IntN(len(matmulCases)-3)]
		typ := []Type{Float32, Float64, Float16, BFloat16, Int32, Int8}[r.IntN(6)]
		inputs := 1 + r.IntN(3)
		e := thenExpr(r, typ, inputs, r.IntN(5))
		shape := append(append([]int{}, c.batch...), c.m, c.n)
		types := operandTypes(e, inputs)
		out, size := randomLayout(r, false, shape...)
		if r.IntN(2) == 0 {
			out = RowMajor(shape...)
			size = out.Len()
		}
		a, b := RowMajor(append(append([]int{}, c.batch...), c.m, c.k)...), RowMajor(append(append([]int{}, c.batch...), c.k, c.n)...)
		layouts, data := []Layout{}, [][]uint64{filled(r, types[0], size), filled(r, typ, a.Len()), filled(r, typ, b.Len())}
		add := func(l Layout, u Type, size int) {
			layouts, data, types = append(layouts, l), append(data, filled(r, u, size)), append(types, u)
		}
		of := types
		types = []Type{of[0], typ, typ}
		for k := 2; k <= inputs; k++ {
			l, size := operandLayout(r, shape)
			add(l, of[k], size)
		}
		if r.IntN(2) == 0 { // the product itself is stored too
			l, size := randomLayout(r, false, shape...)
			if r.IntN(2) == 0 {
				l = RowMajor(shape...)
				size = l.Len()
			}
			add(l, typ, size)
			e.Nodes = append(e.Nodes, Node{Kind: Store, Type: typ, Operand: len(layouts) + 1})
		}
		var p Plan
		if err := MatMulThen(&p, typ, e, out, a, b, layouts); err != nil {
			t.Fatal(err)
		}
		var apart Plan
		if err := productApart(&apart, typ, e, out, a, b, layouts); err != nil {
			t.Fatal(err)
		}
		if len(p.Launches) == 1 {
			fused++
			if k, err := parseMatmulKernel(p.Launches[0].Key); err != nil || k.key() != p.Launches[0].Key {
				t.Fatalf("%q is read as another key, or not: %v", p.Launches[0].Key, err)
			}
		}
		for _, operand := range append([]int{0}, stored(e)...) {
			sameOutputs(t, &p, &apart, operand, types, data)
		}
		if t.Failed() {
			t.Fatalf("%v %+v: out %v, operands %v", typ, c, out, layouts)
		}
	}
}

// stored lists the plan's operands that an epilogue stores.
func stored(e *Expr) (operands []int) {
	for _, n := range e.Nodes[e.value()+1:] {
		operands = append(operands, n.Operand+1)
	}
	return operands
}

// sameOutputs runs two plans and compares what they leave in an operand.
func sameOutputs(t *testing.T, p, q *Plan, operand int, types []Type, data [][]uint64) {
	t.Helper()
	var results [2][]byte
	for i, plan := range []*Plan{p, q} {
		var swapped Plan
		swapped.Scratch, swapped.Tickets = plan.Scratch, plan.Tickets
		for _, l := range plan.Launches {
			l.Args = slices.Clone(l.Args)
			for j := range l.Args {
				switch a := &l.Args[j]; {
				case a.Pointer && a.Operand == 0:
					a.Operand = operand
				case a.Pointer && a.Operand == operand:
					a.Operand = 0
				}
			}
			swapped.Launches = append(swapped.Launches, l)
		}
		var buffers [][]byte
		for k := range data {
			buffers = append(buffers, packElements(types[k], data[k]))
		}
		buffers[0], buffers[operand] = buffers[operand], buffers[0]
		newRunner(t).run(t, &swapped, types[operand], buffers...)
		results[i] = buffers[0]
	}
	got, want := unpackElements(types[operand], results[0]), unpackElements(types[operand], results[1])
	for i := range want {
		if !same(types[operand], got[i], want[i], false, 0) {
			t.Fatalf("%s\noperand %d has %s at %d, want %s", p.Launches[0].Key, operand, show(types[operand], got[i]), i, show(types[operand], want[i]))
		}
	}
}

func TestMatMulThenErrors(t *testing.T) {
	l, row := RowMajor(4, 4), RowMajor(4)
	once := l
	once.Strides[0] = 0
	bias := singleOp(OpAdd, Float32, false)
	for _, c := range []struct {
		e    *Expr
		typ  Type
		in   []Layout
		want string
	}{
		{bias, Float32, nil, "there are operands 1 to 1"},
		{bias, Float64, []Layout{l}, "no load of the product"},
		{bias, Bool, []Layout{l}, "matmul"},
		{bias, Float32, []Layout{row}, "operand 2 has shape [4]; the output has [4 4]"},
		{storing(bias, Node{Kind: Store, Type: Float32, Operand: 3, Args: [3]int{2}}), Float32, []Layout{l, once}, "in one place"},
		{storing(bias, Node{Kind: Store, Type: Float32, Operand: 1, Args: [3]int{2}}), Float32, []Layout{l}, "which node 0 uses"},
	} {
		var p Plan
		err := MatMulThen(&p, c.typ, c.e, l, l, l, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) || len(p.Launches)+int(p.Scratch) != 0 {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
}
