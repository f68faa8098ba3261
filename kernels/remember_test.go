package kernels

import (
	"math/rand/v2"
	"reflect"
	"testing"
)

// A request is a planning function that remembers, with its arguments, and the one
// that it asks where it does not.
type request struct {
	name        string
	ask, answer func(p *Plan) error
}

// randomRequest makes one of few: arguments differ in one thing or two.
func randomRequest(rng *rand.Rand) request {
	pick := func(list ...int) int { return list[rng.IntN(len(list))] }
	t := []Type{Float32, Float64, Int32}[rng.IntN(3)]
	shape := RowMajor(pick(64, 65), pick(64, 128))
	other := shape
	switch rng.IntN(4) {
	case 0:
		other.Strides[0] = 0
	case 1:
		other.Strides = [MaxRank]int{1, other.Shape[0]}
	case 2:
		other.Offset = pick(1, 4)
	}
	e := &Expr{Nodes: []Node{{Kind: Load, Type: t, Operand: 1}, {Kind: Load, Type: t, Operand: pick(1, 2)},
		{Kind: Immediate, Type: t, Bits: uint64(pick(1, 2))}, {Kind: Index, Type: Int64}}}
	e.Nodes = append(e.Nodes[:pick(3, 4)], Node{Kind: Apply, Op: []Op{OpAdd, OpMul}[rng.IntN(2)], Type: t, Args: [3]int{pick(0, 2), pick(0, 1)}})
	in := []Layout{shape, other}
	axis := pick(0, 1)
	switch rng.IntN(9) {
	case 0:
		return request{"elementwise", func(p *Plan) error { return Elementwise(p, e, shape, in) },
			func(p *Plan) error {
				return (&elementwiseWork{limit: maxCoordinates}).elementwise(p, e, shape, in)
			}}
	case 1:
		return request{"copy", func(p *Plan) error { return Copy(p, t, shape, other) }, func(p *Plan) error { return planCopying(p, t, shape, other) }}
	case 2:
		op, axes := []Op{OpSum, OpMax, OpArgMax}[rng.IntN(3)], uint32(pick(1, 2, 3))
		out, u := RowMajor(), reduceResult(op, t)
		if axes < 3 {
			out = RowMajor(shape.Shape[2-axes])
		}
		return request{"reduction", func(p *Plan) error { return ReduceExpr(p, op, e, u, out, in, axes) },
			func(p *Plan) error { return planReduceExpr(p, op, e, u, out, in, axes) }}
	}
	if rng.IntN(8) == 0 {
		parts := []Layout{shape, shape, other}[:pick(2, 3)]
		long := shape
		long.Shape[axis] *= len(parts)
		out := RowMajor(long.Shape[:2]...)
		return request{"join", func(p *Plan) error { return Join(p, t, out, parts, axis) }, func(p *Plan) error { return planJoining(p, t, out, parts, axis) }}
	}
	if t == Float32 && pick(0, 1) == 0 {
		e, in := usualExpressions(t)["sqdiff"], []Layout{shape, shape} // few, so that questions come again
		kept, row := RowMajor(shape.Shape[1-axis]), RowMajor(shape.Shape[axis])
		correction, eps := pick(0, 1), float64(pick(1, 2))
		weight := []*Layout{nil, &row}[pick(0, 1)]
		switch rng.IntN(5) {
		case 0:
			return request{"softmax", func(p *Plan) error { return SoftmaxExpr(p, e, shape, in, axis) }, func(p *Plan) error { return softmaxExpr(p, rowSoftmax, e, shape, in, axis) }}
		case 1:
			return request{"layer norm", func(p *Plan) error { return LayerNormExpr(p, e, eps, shape, in, axis, weight, nil) },
				func(p *Plan) error { return planNormExpr(p, rowLayerNorm, e, eps, shape, in, axis, weight, nil) }}
		case 2:
			return request{"variance", func(p *Plan) error { return VarianceExpr(p, e, correction, kept, in, 1<<axis) }, func(p *Plan) error {
				return (&statistic{kind: rowVariance, correction: correction}).planExpr(p, e, kept, in, 1<<axis)
			}}
		case 3:
			return request{"norm", func(p *Plan) error { return NormExpr(p, e, kept, in, 1<<axis) }, func(p *Plan) error { return planNormOfAll(p, e, kept, in, 1<<axis) }}
		}
		op := []Op{OpSum, OpProd}[correction]
		return request{"scan", func(p *Plan) error { return ScanExpr(p, op, e, t, shape, in, axis) }, func(p *Plan) error { return scanExpr(p, op, e, t, shape, in, axis) }}
	}
	m, k, n := pick(64, 65), pick(0, 64, 4096), pick(64, 128)
	a, b, out := RowMajor(m, k), RowMajor(k, n), RowMajor(m, n)
	if pick(0, 1) == 0 {
		b.Strides = [MaxRank]int{1, k}
	}
	if pick(0, 1) == 0 {
		return request{"product", func(p *Plan) error { return MatMul(p, t, out, a, b) }, func(p *Plan) error { return planMatMul(p, t, out, a, b) }}
	}
	bias := []Layout{{Rank: 2, Shape: out.Shape, Strides: [MaxRank]int{0, pick(1, 2)}}}
	return request{"product and more", func(p *Plan) error { return MatMulThen(p, t, e, out, a, b, bias) },
		func(p *Plan) error { return planMatMulThen(p, t, e, out, a, b, bias) }}
}

// TestRemembers asks many similar questions, some three times in a row, after which
// they are remembered: the answers are those that are found anew, also for the
// capability that the plan is for, and in a plan that holds something already.
func TestRemembers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var got Plan
	for range 10_000 {
		r := randomRequest(rng)
		want := Plan{Capability: []int{75, 90}[rng.IntN(2)], Multiprocessors: rng.IntN(2), BlockMemory: heldMemory * rng.IntN(2)}
		failed := r.answer(&want)
		for range 1 + 2*rng.IntN(2) {
			got.Reset()
			got.Capability, got.Multiprocessors, got.BlockMemory = want.Capability, want.Multiprocessors, want.BlockMemory
			before := rng.IntN(2)
			if one := RowMajor(3); before > 0 {
				if err := Copy(&got, Float32, one, one); err != nil {
					t.Fatal(err)
				}
			}
			err := r.ask(&got)
			launches := got.Launches[before:]
			if (err == nil) != (failed == nil) || got.Scratch != want.Scratch || got.Tickets != want.Tickets || len(got.words) > 0 ||
				len(launches)+len(want.Launches) > 0 && !reflect.DeepEqual(launches, want.Launches) {
				t.Fatalf("%s: %+v, %v\nanew: %+v, %v", r.name, got, err, want, failed)
			}
		}
	}
	known := 0
	for i := range answers {
		if answers[i].answer.Load() != nil {
			known++
		}
	}
	if known < len(answers)/8 {
		t.Errorf("%d answers are remembered", known)
	}
}

// TestRemembersWhatDiffers asks for what differs in the axes alone, in the capability
// alone, or in the kinds of two nodes, one after the other.
func TestRemembersWhatDiffers(t *testing.T) {
	e := &Expr{Nodes: []Node{{Kind: Load, Type: Float32, Operand: 1}}}
	square, long := RowMajor(96, 96), RowMajor(3, longestRow(Float32)+1)
	plan := func(capability int, f func(p *Plan) error) []Launch {
		var p Plan
		for range 3 { // the third is remembered
			p.Reset()
			p.Capability = capability
			if err := f(&p); err != nil {
				t.Fatal(err)
			}
		}
		return p.Launches
	}
	sum := func(axes uint32) []Launch {
		return plan(75, func(p *Plan) error { return ReduceExpr(p, OpSum, e, Float32, RowMajor(96), []Layout{square}, axes) })
	}
	softmax := func(capability int) []Launch {
		return plan(capability, func(p *Plan) error { return SoftmaxExpr(p, e, long, []Layout{long}, 1) })
	}
	if reflect.DeepEqual(sum(1), sum(2)) {
		t.Error("one plan for the sums along both axes")
	}
	if reflect.DeepEqual(softmax(75), softmax(clusterCapability)) {
		t.Error("one plan with clusters and without")
	}
	difference := func(a, b NodeKind) []Launch {
		const bits = uint64(Int64) << 16 // as in the word of each of the nodes, but for their kinds
		e := &Expr{Nodes: []Node{{Kind: a, Type: Int64, Bits: bits}, {Kind: b, Type: Int64, Bits: bits}, {Kind: Apply, Op: OpSub, Type: Int64, Args: [3]int{0, 1}}}}
		return plan(75, func(p *Plan) error { return Elementwise(p, e, RowMajor(96), nil) })
	}
	if reflect.DeepEqual(difference(Index, Immediate), difference(Immediate, Index)) {
		t.Error("one plan for indices less a number and a number less the indices")
	}
}
