package kernels

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// A rowOperation is one on rows along the last axis.
type rowOperation struct {
	name         string
	statistic    bool // one result for each row
	weight, bias bool
	plan         func(p *Plan, t Type, out, in Layout, weight, bias *Layout) error
}

var rowOperations = []rowOperation{
	{name: "softmax", plan: func(p *Plan, t Type, out, in Layout, _, _ *Layout) error { return Softmax(p, t, out, in, 1) }},
	{name: "log_softmax", plan: func(p *Plan, t Type, out, in Layout, _, _ *Layout) error { return LogSoftmax(p, t, out, in, 1) }},
	{name: "log_sum_exp", statistic: true, plan: func(p *Plan, t Type, out, in Layout, _, _ *Layout) error { return LogSumExp(p, t, out, in, 2) }},
	{name: "layer_norm", weight: true, bias: true, plan: func(p *Plan, t Type, out, in Layout, weight, bias *Layout) error {
		return LayerNorm(p, t, 1e-5, out, in, 1, weight, bias)
	}},
	{name: "layer_norm, bare", plan: func(p *Plan, t Type, out, in Layout, _, _ *Layout) error {
		return LayerNorm(p, t, 1e-5, out, in, 1, nil, nil)
	}},
	{name: "rms_norm", weight: true, plan: func(p *Plan, t Type, out, in Layout, weight, _ *Layout) error {
		return RMSNorm(p, t, 1e-5, out, in, 1, weight)
	}},
}

// scales returns the layouts of the weight and bias that the operation takes.
func (o *rowOperation) scales(row *Layout) (weight, bias *Layout) {
	if o.weight {
		weight = row
	}
	if o.bias {
		bias = row
	}
	return weight, bias
}

// A cluster's blocks give the bits that several launches give, from rows that fill
// them and rows that do not, contiguous and not. What they do not hold takes several
// launches everywhere.
func TestClusters(t *testing.T) {
	on := newRunner(t)
	if on.cc < clusterCapability {
		t.Skipf("compute capability %d has no clusters", on.cc)
	}
	old, err := simulatedRunner(80)
	if err != nil {
		t.Fatal(err)
	}
	r := newRand(t)
	for _, typ := range []Type{Float32, Float64, Float16, BFloat16} {
		most := longestClusterRow(typ)
		for i, n := range []int{longestRow(typ) + 1, 32768, 65536, 70001, most / 2, most - 1, most, most + 1} {
			if n <= longestRow(typ) {
				continue
			}
			o := rowOperations[r.IntN(len(rowOperations))]
			if i < len(rowOperations) {
				o = rowOperations[i]
			}
			t.Run(fmt.Sprintf("%s/%v/%d", o.name, typ, n), func(t *testing.T) {
				in, size := RowMajor(2, n), 2*n
				shape, row, scales := []int{2, n}, RowMajor(n), n
				if o.statistic {
					shape = shape[:1]
				}
				out, length := RowMajor(shape...), 0
				if n%2 == 1 {
					in, size = randomLayout(r, true, 2, n)
					out, _ = randomLayout(r, false, shape...)
					row, scales = randomLayout(r, true, n)
				}
				_, length = out.Span()
				weight, bias := o.scales(&row)
				xs, scale := make([]uint64, size), []float64{1, 30, 300}[r.IntN(3)] // exponentials become subnormal, or 0
				for i := range xs {
					xs[i] = bitsOf(typ, 3+scale*r.NormFloat64())
				}
				for range r.IntN(3) {
					xs[r.IntN(size)] = bitsOf(typ, []float64{math.Inf(-1), math.Inf(1), math.NaN(), -1e4}[r.IntN(4)])
				}
				data := [][]byte{packElements(typ, filled(r, typ, length+1)), packElements(typ, xs), packElements(typ, normals(r, typ, scales)), packElements(typ, normals(r, typ, scales))}
				var results [2][]byte
				for k, runner := range []*planRunner{on, old} {
					p := Plan{Capability: runner.cc}
					if err := o.plan(&p, typ, out, in, weight, bias); err != nil {
						t.Fatal(err)
					}
					if one := len(p.Launches) == 1; one != (k == 0 && n <= most) {
						t.Errorf("%d launches for compute capability %d", len(p.Launches), runner.cc)
					}
					operands := slices.Clone(data)
					operands[0] = slices.Clone(data[0])
					runner.run(t, &p, typ, operands...)
					results[k] = operands[0]
				}
				several := unpackElements(typ, results[1])
				for i, x := range unpackElements(typ, results[0]) {
					if !same(typ, x, several[i], false, 0) {
						t.Fatalf("element %d is %s in a cluster, %s in several launches", i, show(typ, x), show(typ, several[i]))
					}
				}
			})
		}
	}
}

// Quotients without a division are those of a division: of rows whose terms are all
// large, or some small, subnormal or 0, at every distance from the largest.
func TestClusterQuotients(t *testing.T) {
	on := newRunner(t)
	if on.cc < clusterCapability {
		t.Skipf("compute capability %d has no clusters", on.cc)
	}
	r := newRand(t)
	const n = 65536
	spreads := []float64{0, 1, 50, 54.7, 54.8, 60, 90, 105, 105}
	x := RowMajor(len(spreads), n)
	data := make([]float32, x.Len())
	for i := range data {
		row := i / n
		data[i] = float32(7 - spreads[row]*r.Float64())
		if (row == 2 || row == len(spreads)-1) && r.IntN(9) == 0 {
			data[i] = float32(math.Inf(-1))
		}
	}
	p, long := Plan{Capability: on.cc}, Plan{Capability: on.cc}
	if err := Softmax(&p, Float32, x, x, 1); err != nil {
		t.Fatal(err)
	}
	if key := p.Launches[0].Key; !strings.HasPrefix(key, "cluster ") || !strings.Contains(key, " whole") {
		t.Errorf("the kernel is %s", key)
	}
	s := &rowPlan{t: Float32, n: n}
	if err := s.planLong(&long, x, x, 1); err != nil {
		t.Fatal(err)
	}
	got, want := make([]float32, len(data)), make([]float32, len(data))
	runPlan(t, &p, got, data, none)
	runPlan(t, &long, want, data, none)
	for i, y := range want {
		if got[i] != y {
			t.Fatalf("spread %v: element %d is %v, want %v", spreads[i/n], i%n, got[i], y)
		}
	}
}
