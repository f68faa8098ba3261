package kernels

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// A rowExprOperation is an operation on the rows along an axis, of values that lie
// and of those of an expression.
type rowExprOperation struct {
	name      string
	statistic bool // one result for each row
	scales    int  // operands after the others, as long as a row
	result    func(t Type) Type
	takes     func(t Type) bool
	plain     func(p *Plan, t Type, out, in Layout, axis int, scales []*Layout) error
	expr      func(p *Plan, e *Expr, out Layout, in []Layout, axis int, scales []*Layout) error
}

// scales returns the i-th of the scales, or nil.
func scaleOf(scales []*Layout, i int) *Layout {
	if i < len(scales) {
		return scales[i]
	}
	return nil
}

func rowExprOperations() []rowExprOperation {
	same := func(t Type) Type { return t }
	summed := func(t Type) Type {
		if t == Bool || t.IsInteger() && t.Size() < 4 {
			return Int64
		}
		return t
	}
	number := func(t Type) bool { return t.IsFloat() }
	any := func(t Type) bool { return true }
	norm := func(name string, kind rowKind, n int) rowExprOperation {
		return rowExprOperation{name, false, n, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, s []*Layout) error {
				return planNorm(p, kind, t, 1e-5, out, in, axis, scaleOf(s, 0), scaleOf(s, 1))
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, s []*Layout) error {
				return planNormExpr(p, kind, e, 1e-5, out, in, axis, scaleOf(s, 0), scaleOf(s, 1))
			}}
	}
	return []rowExprOperation{
		{"softmax", false, 0, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return Softmax(p, t, out, in, axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return SoftmaxExpr(p, e, out, in, axis)
			}},
		{"log_softmax", false, 0, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return LogSoftmax(p, t, out, in, axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return LogSoftmaxExpr(p, e, out, in, axis)
			}},
		{"log_sum_exp", true, 0, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return LogSumExp(p, t, out, in, 1<<axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return LogSumExpExpr(p, e, out, in, 1<<axis)
			}},
		{"variance", true, 0, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return Variance(p, t, 1, out, in, 1<<axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return VarianceExpr(p, e, 1, out, in, 1<<axis)
			}},
		{"deviation", true, 0, same, number,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return StdDev(p, t, 0, out, in, 1<<axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return StdDevExpr(p, e, 0, out, in, 1<<axis)
			}},
		norm("layer_norm", rowLayerNorm, 2), norm("layer_norm, bare", rowLayerNorm, 0), norm("rms_norm", rowRMSNorm, 1),
		{"sums", false, 0, summed, any,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return Scan(p, OpSum, t, summed(t), out, in, axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return ScanExpr(p, OpSum, e, summed(valueType(e)), out, in, axis)
			}},
		{"products", false, 0, summed, any,
			func(p *Plan, t Type, out, in Layout, axis int, _ []*Layout) error {
				return Scan(p, OpProd, t, summed(t), out, in, axis)
			},
			func(p *Plan, e *Expr, out Layout, in []Layout, axis int, _ []*Layout) error {
				return ScanExpr(p, OpProd, e, summed(valueType(e)), out, in, axis)
			}},
	}
}

// checkRowExpr compares an operation on an expression with the expression's
// evaluation and the operation on what that gave, bit for bit. It returns the keys of
// the fused launches, none where the operation is apart.
func checkRowExpr(t *testing.T, r *rand.Rand, o *rowExprOperation, e *Expr, shape []int, axis int, in []Layout, sizes []int) (keys []string) {
	t.Helper()
	types := operandTypes(e, len(in))
	u := o.result(types[0])
	kept := RowMajor(shape...)
	if o.statistic {
		kept = reducedRowMajor(shape, 1<<axis)
	}
	out, length := randomLayout(r, false, kept.Shape[:kept.Rank]...)
	row, rowLength := randomLayout(r, true, shape[axis])
	var scales []*Layout
	runner := newRunner(t)
	data := [][]byte{packElements(u, filled(r, u, length))}
	for k := range in {
		data = append(data, packElements(types[k+1], filled(r, types[k+1], sizes[k])))
	}
	var last [][]byte
	for range o.scales {
		scales = append(scales, &row)
		last = append(last, packElements(u, normals(r, u, rowLength)))
	}
	p := Plan{Capability: runner.cc}
	err := o.expr(&p, e, out, in, axis, scales)
	if errors.Is(err, ErrApart) {
		if len(p.Launches)+int(p.Scratch)+int(p.Tickets) != 0 {
			t.Fatalf("%s: what is apart left a plan", o.name)
		}
		return nil
	}
	if err != nil {
		t.Fatalf("%s of %v: %v", o.name, types, err)
	}
	evaluate, then := Plan{}, Plan{Capability: runner.cc}
	whole := RowMajor(shape...)
	if err := Elementwise(&evaluate, e, whole, in); err != nil {
		t.Fatal(err)
	}
	if err := o.plain(&then, types[0], out, whole, axis, scales); err != nil {
		t.Fatal(err)
	}
	if len(e.Nodes) > 1 && len(p.Launches) > len(evaluate.Launches)+len(then.Launches) {
		t.Errorf("%s over %d of %v: %d launches, %d apart", o.name, axis, shape, len(p.Launches), len(evaluate.Launches)+len(then.Launches))
	}
	for _, l := range p.Launches {
		keys = append(keys, l.Key)
	}
	if len(keys) == 0 {
		return []string{""}
	}
	fused := append(slices.Clone(data), last...)
	fused[0] = slices.Clone(data[0])
	runner.run(t, &p, u, fused...)
	values := make([]byte, whole.Len()*types[0].Size())
	runner.run(t, &evaluate, types[0], append([][]byte{values}, data[1:]...)...)
	apart := append([][]byte{slices.Clone(data[0]), values}, last...)
	runner.run(t, &then, u, apart...)
	got, want := unpackElements(u, fused[0]), unpackElements(u, apart[0])
	for i := range want {
		if !same(u, got[i], want[i], false, 0) {
			t.Fatalf("%s over %d of %v: element %d is %s, want %s\n%v\nlayouts %v", o.name, axis, shape, i, show(u, got[i]), show(u, want[i]), keys, in)
		}
	}
	return keys
}

type rowExprCase struct {
	shape []int
	axis  int
}

var rowExprCases = []rowExprCase{
	{[]int{1}, 0}, {[]int{7}, 0}, {[]int{3, 1}, 1}, {[]int{5, 7}, 1}, {[]int{5, 7}, 0}, {[]int{100, 64}, 1}, {[]int{9, 1000}, 1}, {[]int{2, 2048}, 1}, {[]int{2, 2049}, 1},
	{[]int{3, 4096}, 1}, {[]int{2, 30001}, 1}, {[]int{4, 5, 6}, 1}, {[]int{4, 5, 6}, 2}, {[]int{3, 130, 4}, 0}, {[]int{0, 4}, 1}, {[]int{3, 0}, 1}, {[]int{2, 40_000}, 1}, {[]int{70_001}, 0}, {[]int{3000, 8}, 0},
}

// TestRowExpr does operations over rows of random expressions over operands of random
// layouts.
func TestRowExpr(t *testing.T) {
	r := newRand(t)
	fused, apart := map[string]int{}, 0
	for _, c := range rowExprCases {
		whole := RowMajor(c.shape...)
		for _, o := range rowExprOperations() {
			if testing.Short() && r.IntN(4) > 0 || whole.Len() > 20_000 && r.IntN(3) > 0 {
				continue
			}
			inputs := 1 + r.IntN(3)
			e := randomExpr(r, inputs, r.IntN(6))
			if !o.takes(valueType(e)) {
				e.cast([]Type{Float16, BFloat16, Float32, Float64}[r.IntN(4)])
			}
			in, sizes := make([]Layout, inputs), make([]int, inputs)
			for k := range in {
				in[k], sizes[k] = operandLayout(r, c.shape)
			}
			keys := checkRowExpr(t, r, &o, e, c.shape, c.axis, in, sizes)
			if keys == nil {
				apart++
			}
			for _, key := range keys {
				checkRowKey(t, key)
				if f, err := familyOf(key); err == nil {
					fused[f.prefix]++
				}
			}
		}
	}
	t.Log(fused, "apart", apart)
}

// checkRowKey reads a key back.
func checkRowKey(t *testing.T, key string) {
	t.Helper()
	f, err := familyOf(key)
	if err != nil {
		return // of no launch
	}
	again := key
	switch f.prefix {
	case "row", "softmax", "cluster":
		k, err := parseRowKernel(key)
		if err != nil {
			t.Fatal(err)
		}
		again = k.key()
	case "scan":
		k, err := parseScanKernel(key)
		if err != nil {
			t.Fatal(err)
		}
		again = k.key()
	}
	if again != key {
		t.Fatalf("%q is read as %q", key, again)
	}
}

// TestRowUsualExpressions: what programs write takes one launch, and reads vectors.
func TestRowUsualExpressions(t *testing.T) {
	r := newRand(t)
	for _, typ := range []Type{Float32, BFloat16, Float64} {
		for name, e := range usualExpressions(typ) {
			if name == "less" {
				continue
			}
			for _, shape := range [][]int{{30, 64}, {3, 1000}, {2, 4096}, {2, 16384}, {40_960}} {
				o := rowExprOperations()[r.IntN(len(rowExprOperations()))]
				t.Run(fmt.Sprintf("%s/%s/%v/%v", o.name, name, typ, shape), func(t *testing.T) {
					row := RowMajor(shape...)
					keys := checkRowExpr(t, r, &o, e, shape, len(shape)-1, []Layout{row, row}, []int{row.Len(), row.Len()})
					if one := len(keys) == 1; !one && (shape[0] != 40_960 || o.name == "variance" || o.name == "deviation" || o.name == "sums") {
						t.Errorf("%d launches: %v", len(keys), keys)
					}
				})
			}
		}
	}
}

func TestRowExprErrors(t *testing.T) {
	e := usualExpressions(Float32)["dot"]
	stores := &Expr{append(slices.Clone(e.Nodes), Node{Kind: Store, Type: Float32, Operand: 3, Args: [3]int{2}})}
	row := RowMajor(2, 8)
	for _, o := range rowExprOperations() {
		out := row
		if o.statistic {
			out = RowMajor(2)
		}
		for name, c := range map[string]struct {
			e    *Expr
			in   []Layout
			out  Layout
			axis int
		}{
			"no operands":   {&Expr{[]Node{{Kind: Immediate, Type: Float32}}}, nil, out, 1},
			"shapes":        {e, []Layout{row, RowMajor(2, 9)}, out, 1},
			"operand":       {e, []Layout{row}, out, 1},
			"output":        {e, []Layout{row, row}, RowMajor(5), 1},
			"no expression": {&Expr{}, []Layout{row}, out, 1},
			"axis":          {e, []Layout{row, row}, out, 2},
			"stores":        {stores, []Layout{row, row, row}, out, 1},
		} {
			var p Plan
			if err := o.expr(&p, c.e, c.out, c.in, c.axis, nil); err == nil || errors.Is(err, ErrApart) || len(p.Launches)+int(p.Scratch)+int(p.Tickets) != 0 {
				t.Errorf("%s, %s: %v, %v", o.name, name, err, p)
			}
		}
		many := &Expr{}
		for range 600 {
			many.Nodes = append(many.Nodes, Node{Kind: Immediate, Type: Float64})
		}
		var p Plan
		if err := o.expr(&p, many, out, []Layout{row}, 1, nil); !errors.Is(err, ErrApart) || len(p.Launches)+int(p.Scratch)+int(p.Tickets) != 0 {
			t.Errorf("%s of 600 immediates: %v, %v", o.name, err, p)
		}
	}
}

// generatedRowExprs lists the kernels of a family for usual expressions, of rows of
// all lengths.
func generatedRowExprs(prefix string) []string {
	var keys []string
	for _, t := range []Type{BFloat16, Float32, Float64} {
		for _, name := range []string{"sqdiff", "exp"} {
			for _, n := range []int{100, longestRow(t), 65536} {
				x, row := RowMajor(10, n), RowMajor(n)
				for _, o := range rowExprOperations() {
					out, scales := x, []*Layout{&row, &row}[:o.scales]
					if o.statistic {
						out = RowMajor(10)
					}
					keys = append(keys, plannedKeys(prefix, func(p *Plan) error {
						p.Capability = clusterCapability
						return o.expr(p, usualExpressions(t)[name], out, []Layout{x, x}, 1, scales)
					})...)
				}
			}
		}
	}
	return keys
}
