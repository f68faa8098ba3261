package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// evaluate is what an elementwise kernel computes, for one element of each
// operand; operands[0] is not used. close says that a function is involved.
func evaluate(e *Expr, operands []uint64, index int) (bits uint64, close bool) {
	values := make([]uint64, len(e.Nodes))
	for i, n := range e.Nodes {
		switch n.Kind {
		case Load:
			values[i] = operands[n.Operand]
		case Immediate:
			values[i] = n.Bits
		case Index:
			values[i] = uint64(index)
		case Apply:
			var args [3]uint64
			var types [3]Type
			arity := n.Op.Arity()
			for k, a := range n.Args[:arity] {
				args[k], types[k] = values[a], e.Nodes[a].Type
			}
			var c bool
			values[i], c = reference(n.Op, n.Op.worksOn(types[:arity]), n.Type, args[:arity])
			close = close || c
		}
	}
	return values[e.value()], close
}

// checkElementwise plans, runs and compares. data[k] is operand k's whole
// buffer; data[0] is what the output's buffer holds before, and must still hold
// between the output's elements.
func checkElementwise(t *testing.T, e *Expr, out Layout, in []Layout, data [][]uint64) {
	t.Helper()
	var p Plan
	if err := Elementwise(&p, e, out, in); err != nil {
		t.Fatal(err)
	}
	checkPlan(t, &p, e, out, in, data)
}

// checkPlan is checkElementwise for a plan made by the caller.
func checkPlan(t *testing.T, p *Plan, e *Expr, out Layout, in []Layout, data [][]uint64) {
	t.Helper()
	comparePlan(t, p, e, operandTypes(e, len(in)), out, in, data)
}

// comparePlan is checkPlan for operands of the types given.
func comparePlan(t *testing.T, p *Plan, e *Expr, types []Type, out Layout, in []Layout, data [][]uint64) {
	t.Helper()
	var buffers [][]byte
	for k, d := range data {
		buffers = append(buffers, packElements(types[k], d))
	}
	newRunner(t).run(t, p, types[0], buffers...)
	got := unpackElements(types[0], buffers[0])
	want := slices.Clone(data[0])
	near := make([]bool, len(want))
	positions := make([][]int, len(in)+1)
	out.each(func(at int) { positions[0] = append(positions[0], at) })
	for k := range in {
		in[k].each(func(at int) { positions[k+1] = append(positions[k+1], at) })
	}
	operands := make([]uint64, len(in)+1)
	from := make(map[int]string)
	for i, at := range positions[0] {
		for k := range in {
			operands[k+1] = data[k+1][positions[k+1][i]]
		}
		want[at], near[at] = evaluate(e, operands, i)
		if !same(types[0], got[at], want[at], near[at], tolerance) {
			var s []string
			for k := range in {
				s = append(s, show(types[k+1], operands[k+1]))
			}
			from[at] = strings.Join(s, ", ")
		}
	}
	bad := 0
	for at := range want {
		if same(types[0], got[at], want[at], near[at], tolerance) {
			continue
		}
		if bad++; bad <= 5 {
			t.Errorf("%v\n  element at %d of (%s): got %s, want %s", p.Launches[0].Key, at, from[at], show(types[0], got[at]), show(types[0], want[at]))
		}
	}
	if bad > 5 {
		t.Errorf("and %d more", bad-5)
	}
}

// tolerance is how many representable numbers a function's result may be away
// from the reference, which is rounded itself. TestFunctionErrors is stricter.
const tolerance = 2

func operandTypes(e *Expr, inputs int) []Type {
	types := make([]Type, inputs+1)
	types[0] = e.Nodes[e.value()].Type
	for _, n := range e.Nodes {
		if n.Kind == Load || n.Kind == Store {
			types[n.Operand] = n.Type
		}
	}
	return types
}

// filled returns n elements: first the specials, in turn.
func filled(r *rand.Rand, t Type, n int) []uint64 {
	d := make([]uint64, n)
	for i := range d {
		d[i] = random(r, t)
	}
	return d
}

// TestScalarOperations runs every operation on every type that it takes, on
// special values in all combinations and on random ones.
func TestScalarOperations(t *testing.T) {
	r := newRand(t)
	for op := NoOp + 1; op.IsScalar(); op++ {
		for typ := Bool; typ < numTypes; typ++ {
			if !table[op].types.has(typ) || op == OpCast {
				continue
			}
			t.Run(op.String()+"/"+typ.String(), func(t *testing.T) {
				e := singleOp(op, typ, false)
				types := operandTypes(e, op.Arity())
				data := combinations(r, types[1:])
				runContiguous(t, e, data)
			})
		}
	}
}

// combinations returns operands that meet in every combination of special
// values (of three: most), then random ones.
func combinations(r *rand.Rand, types []Type) [][]uint64 {
	data := make([][]uint64, len(types))
	var walk func(chosen []uint64)
	walk = func(chosen []uint64) {
		if len(chosen) == len(types) {
			for k, v := range chosen {
				data[k] = append(data[k], v)
			}
			return
		}
		for _, v := range specials(types[len(chosen)]) {
			if len(types) < 3 || r.IntN(4) == 0 || types[len(chosen)] == Bool {
				walk(append(chosen, v))
			}
		}
	}
	walk(nil)
	for k, t := range types {
		data[k] = append(data[k], filled(r, t, 501)...)
	}
	n := len(data[0])
	for k, t := range types { // walk may have been cut short differently; it was not, but be sure
		if len(data[k]) != n {
			panic(fmt.Sprint("operands of different lengths: ", t))
		}
	}
	return data
}

// runContiguous checks an expression over whole, contiguous operands.
func runContiguous(t *testing.T, e *Expr, data [][]uint64) {
	t.Helper()
	n := len(data[0])
	l := RowMajor(n)
	in := make([]Layout, len(data))
	for k := range in {
		in[k] = l
	}
	checkElementwise(t, e, l, in, append([][]uint64{make([]uint64, n)}, data...))
}

func TestCasts(t *testing.T) {
	r := newRand(t)
	for from := Bool; from < numTypes; from++ {
		for to := Bool; to < numTypes; to++ {
			t.Run(from.String()+"/"+to.String(), func(t *testing.T) {
				e := &Expr{[]Node{{Kind: Load, Type: from, Operand: 1}, {Kind: Apply, Op: OpCast, Type: to}}}
				runContiguous(t, e, combinations(r, []Type{from}))
			})
		}
	}
}

// randomExpr returns an expression over the given number of inputs, of
// operations that are exact.
func randomExpr(r *rand.Rand, inputs, ops int) *Expr {
	e := &Expr{}
	for k := range inputs {
		e.Nodes = append(e.Nodes, Node{Kind: Load, Type: Bool + Type(r.IntN(int(numTypes-Bool))), Operand: k + 1})
	}
	if r.IntN(2) == 0 {
		t := Bool + Type(r.IntN(int(numTypes-Bool)))
		e.Nodes = append(e.Nodes, Node{Kind: Immediate, Type: t, Bits: random(r, t)})
	}
	if r.IntN(3) == 0 || len(e.Nodes) == 0 {
		e.Nodes = append(e.Nodes, Node{Kind: Index, Type: Int64})
	}
	pick := func(want Type) int { // a node of the type, casting one if need be
		at := r.IntN(len(e.Nodes))
		for range 8 {
			if e.Nodes[at].Type == want {
				return at
			}
			at = r.IntN(len(e.Nodes))
		}
		e.Nodes = append(e.Nodes, Node{Kind: Apply, Op: OpCast, Type: want, Args: [3]int{at}})
		return len(e.Nodes) - 1
	}
	exact := []Op{OpAdd, OpSub, OpMul, OpDiv, OpNegative, OpAbs, OpSign, OpMinimum, OpMaximum, OpSqrt, OpFloor, OpWhere, OpLess, OpEqual, OpLogicalAnd, OpBitwiseXor, OpShiftRight, OpCopy, OpIsNaN}
	for range ops {
		op := exact[r.IntN(len(exact))]
		t := e.Nodes[r.IntN(len(e.Nodes))].Type
		if !table[op].types.has(t) {
			continue
		}
		n := Node{Kind: Apply, Op: op, Type: t}
		if table[op].result == givesBool {
			n.Type = Bool
		}
		for k := range op.Arity() {
			want := t
			if op == OpWhere && k == 0 {
				want = Bool
			}
			n.Args[k] = pick(want)
		}
		e.Nodes = append(e.Nodes, n)
	}
	return e
}

// TestElementwiseStores evaluates random expressions with several outputs, of any
// layout, and compares each output with what the expression up to there gives.
func TestElementwiseStores(t *testing.T) {
	r := newRand(t)
	runs := 60
	if testing.Short() {
		runs = 15
	}
	for range runs {
		inputs := r.IntN(3)
		e := randomExpr(r, inputs, 1+r.IntN(6))
		value, shape := e.value(), randomShape(r)
		types := operandTypes(e, inputs)
		out, size := randomLayout(r, false, shape...)
		if out.Len() == 0 {
			continue
		}
		layouts := []Layout{out}
		data := [][]uint64{filled(r, types[0], size)}
		for k := range inputs {
			l, size := operandLayout(r, shape)
			layouts, data = append(layouts, l), append(data, filled(r, types[k+1], size))
		}
		for range 1 + r.IntN(3) {
			node := r.IntN(value + 1)
			l, size := randomLayout(r, false, shape...)
			layouts, data = append(layouts, l), append(data, filled(r, e.Nodes[node].Type, size))
			e.Nodes = append(e.Nodes, Node{Kind: Store, Type: e.Nodes[node].Type, Operand: len(layouts) - 1, Args: [3]int{node}})
		}
		var p Plan
		if err := Elementwise(&p, e, out, layouts[1:]); err != nil {
			t.Fatal(err)
		}
		if k, err := parseElementwise(p.Launches[0].Key); err != nil || string(k.appendKey(nil)) != p.Launches[0].Key {
			t.Fatalf("%q is read as another key, or not: %v", p.Launches[0].Key, err)
		}
		checkPlan(t, &p, e, out, layouts[1:], data)
		for i := value + 1; i < len(e.Nodes); i++ {
			checkStore(t, &p, e, e.Nodes[i], layouts, data)
		}
		if t.Failed() {
			t.Fatalf("shape %v, layouts %v", shape, layouts)
		}
	}
}

// checkStore runs a plan of e and compares what it stores besides its value: the
// operand changes places with operand 0, which is the one that is read back.
func checkStore(t *testing.T, p *Plan, e *Expr, store Node, layouts []Layout, data [][]uint64) {
	t.Helper()
	up := &Expr{slices.Clone(e.Nodes[:store.Args[0]+1])}
	var swapped Plan
	for _, l := range p.Launches {
		l.Args = slices.Clone(l.Args)
		for i := range l.Args {
			switch a := &l.Args[i]; {
			case a.Pointer && a.Operand == 0:
				a.Operand = store.Operand
			case a.Pointer && a.Operand == store.Operand:
				a.Operand = 0
			}
		}
		swapped.Launches = append(swapped.Launches, l)
	}
	types := operandTypes(e, len(layouts)-1)
	swap := func(n int) int {
		switch n {
		case 0:
			return store.Operand
		case store.Operand:
			return 0
		}
		return n
	}
	var ls []Layout
	var ds [][]uint64
	var ts []Type
	for k := range layouts {
		ls, ds, ts = append(ls, layouts[swap(k)]), append(ds, data[swap(k)]), append(ts, types[swap(k)])
	}
	comparePlan(t, &swapped, up, ts, ls[0], ls[1:], ds)
}

// TestElementwiseForms runs random expressions over operands of random layouts:
// permuted, broadcast, backwards, with gaps, at odd offsets.
func TestElementwiseForms(t *testing.T) {
	r := newRand(t)
	runs := 300
	if testing.Short() {
		runs = 50
	}
	seen := map[string]bool{}
	for range runs {
		inputs := r.IntN(4)
		e := randomExpr(r, inputs, r.IntN(7))
		types := operandTypes(e, inputs)
		shape := randomShape(r)
		out, size := randomLayout(r, false, shape...)
		data := [][]uint64{filled(r, types[0], size)}
		in := make([]Layout, inputs)
		for k := range in {
			l, size := operandLayout(r, shape)
			in[k] = l
			data = append(data, filled(r, types[k+1], size))
		}
		if out.Len() == 0 {
			continue
		}
		checkElementwise(t, e, out, in, data)
		var p Plan
		if err := Elementwise(&p, e, out, in); err != nil {
			t.Fatal(err)
		}
		seen[strings.Join(strings.Fields(p.Launches[0].Key)[1:4], " ")] = true
		if t.Failed() {
			t.Logf("shape %v, out %v, in %v", shape, out, in)
			return
		}
	}
	t.Logf("%d kinds of kernels", len(seen))
}

// operandLayout is often one of the usual: contiguous, a scalar, a row, a
// column, a row-aligned slice.
func operandLayout(r *rand.Rand, shape []int) (l Layout, size int) {
	l = RowMajor(shape...)
	rank := len(shape)
	switch r.IntN(8) {
	case 0:
	case 1:
		l.Strides = [MaxRank]int{}
	case 2:
		for i := range max(rank-1, 0) {
			l.Strides[i] = 0
		}
	case 3:
		if rank > 0 {
			l.Strides = [MaxRank]int{}
			l.Strides[0] = 1
		}
	case 4: // rows with a gap of a multiple of 16
		if rank > 1 {
			pitch := (shape[rank-1] + 31) / 16 * 16
			for i := rank - 2; i >= 0; i-- {
				l.Strides[i] = pitch
				pitch *= max(shape[i], 1)
			}
		}
	case 5:
		l.Offset = r.IntN(20)
	default:
		return randomLayout(r, true, shape...)
	}
	_, high := l.Span()
	return l, high + 1
}

func randomShape(r *rand.Rand) []int {
	sizes := []int{1, 2, 3, 4, 5, 7, 8, 12, 16, 32, 33, 64}
	shape := make([]int, r.IntN(5))
	total := 1
	for i := range shape {
		shape[i] = sizes[r.IntN(len(sizes))]
		for shape[i]*total > 20000 {
			shape[i] = (shape[i] + 1) / 2
		}
		total *= shape[i]
	}
	if len(shape) > 0 && r.IntN(30) == 0 {
		shape[r.IntN(len(shape))] = 0
	}
	return shape
}

// TestElementwiseSplit lowers the limit of 32-bit arithmetic, so that plans have
// several launches.
func TestElementwiseSplit(t *testing.T) {
	r := newRand(t)
	split := 0
	for range 60 {
		e := randomExpr(r, 1, 3)
		types := operandTypes(e, 1)
		shape := []int{1 + r.IntN(9), 1 + r.IntN(9), 1 + r.IntN(9)}
		out, outSize := randomLayout(r, false, shape...)
		in, inSize := randomLayout(r, true, shape...)
		w := &elementwiseWork{limit: 1 + r.IntN(200)}
		var p Plan
		if err := w.elementwise(&p, e, out, []Layout{in}); err != nil {
			t.Fatal(err)
		}
		if len(p.Launches) > 1 {
			split++
		}
		checkPlan(t, &p, e, out, []Layout{in}, [][]uint64{filled(r, types[0], outSize), filled(r, types[1], inSize)})
	}
	if split < 10 {
		t.Errorf("only %d of 60 plans had several launches", split)
	}
}

// TestElementwisePlans shows which kernel is chosen for which layouts.
func TestElementwisePlans(t *testing.T) {
	rows := func(l Layout, offset int, strides ...int) Layout {
		copy(l.Strides[:], strides)
		l.Offset = offset
		return l
	}
	matrix := RowMajor(1000, 64)
	odd := RowMajor(1000, 63)
	for _, c := range []struct {
		what string
		t    Type
		out  Layout
		in   [2]Layout
		want string
	}{
		{"contiguous", Float32, matrix, [2]Layout{matrix, matrix}, "v4 u1 r0 outc float32:1c float32:2c"},
		{"contiguous doubles", Float64, matrix, [2]Layout{matrix, matrix}, "v2 u1 r0 outc float64:1c float64:2c"},
		{"contiguous bytes", Uint8, matrix, [2]Layout{matrix, matrix}, "v16 u1 r0 outc uint8:1c uint8:2c"},
		{"scalar", Float32, matrix, [2]Layout{matrix, rows(matrix, 3, 0, 0)}, "v4 u1 r0 outc float32:1c float32:2s"},
		{"row", Float32, matrix, [2]Layout{matrix, rows(matrix, 0, 0, 1)}, "v4 u1 r2 outc float32:1c float32:2w"},
		{"column", Float32, matrix, [2]Layout{matrix, rows(matrix, 0, 1, 0)}, "v4 u1 r2 outc float32:1c float32:2b"},
		{"row of odd length", Float32, odd, [2]Layout{odd, rows(odd, 0, 0, 1)}, "v1 u4 r2 outc float32:1c float32:2w"},
		{"slice of aligned rows", Float32, matrix, [2]Layout{rows(matrix, 128, 128, 1), matrix}, "v4 u1 r2 outc float32:1w float32:2c"},
		{"rows two elements off", Float32, matrix, [2]Layout{rows(matrix, 2, 128, 1), matrix}, "v2 u2 r2 outc float32:1w float32:2c"},
		{"transposed", Float32, matrix, [2]Layout{rows(matrix, 0, 1, 1000), matrix}, "v1 u4 r2 outc float32:1w float32:2c"},
		{"all transposed alike", Float32, rows(matrix, 0, 1, 1000), [2]Layout{rows(matrix, 0, 1, 1000), rows(matrix, 0, 1, 1000)}, "v4 u1 r0 outc float32:1c float32:2c"},
		{"all backwards", Float32, rows(matrix, 63999, -64, -1), [2]Layout{rows(matrix, 63999, -64, -1), rows(matrix, 0, 0, 0)}, "v4 u1 r0 outc float32:1c float32:2s"},
		{"odd offset", Float32, matrix, [2]Layout{rows(matrix, 1, 64, 1), matrix}, "v1 u4 r0 outc float32:1c float32:2c"},
	} {
		var p Plan
		if err := Elementwise(&p, singleOp(OpAdd, c.t, false), c.out, c.in[:]); err != nil {
			t.Fatal(err)
		}
		if want := "ew " + c.want + " add." + c.t.String() + ":0,1"; p.Launches[0].Key != want {
			t.Errorf("%s: got %s, want %s", c.what, p.Launches[0].Key, want)
		}
	}
}

// TestElementwisePlanAllocates nothing once the key has been seen.
func TestElementwisePlanAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	e, l := singleOp(OpAdd, Float32, false), RowMajor(100, 100)
	row := l
	row.Strides[0] = 0
	in := []Layout{l, row}
	var p Plan
	if n := testing.AllocsPerRun(100, func() {
		p.Reset()
		if err := Elementwise(&p, e, l, in); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("planning allocates %v times", n)
	}
}

func TestElementwiseGrid(t *testing.T) {
	for _, c := range []struct{ n, perThread, blocks, threads int }{
		{1, 4, 1, 32}, {1000, 4, 8, 32}, {37889, 4, 297, 32}, {1 << 20, 4, 1024, 256}, {1 << 41, 4, 1 << 31, 0},
	} {
		grid, block, err := elementwiseGrid(c.n, c.perThread)
		if c.threads == 0 {
			if err == nil {
				t.Errorf("%d elements: want an error, got grid %v", c.n, grid)
			}
			continue
		}
		if err != nil || grid != [3]uint32{uint32(c.blocks), 1, 1} || block != [3]uint32{uint32(c.threads), 1, 1} {
			t.Errorf("%d elements: grid %v, block %v, %v; want %d blocks of %d", c.n, grid, block, err, c.blocks, c.threads)
		}
	}
}

// storing is an expression with Store nodes added.
func storing(e *Expr, stores ...Node) *Expr { return &Expr{append(slices.Clone(e.Nodes), stores...)} }

func TestElementwiseErrors(t *testing.T) {
	add := singleOp(OpAdd, Float32, false)
	l := RowMajor(4, 4)
	once := l
	once.Strides[0] = 0
	before := l
	before.Strides[0], before.Offset = -4, 4
	deep := &Expr{Nodes: []Node{{Kind: Immediate, Type: Float64}}}
	for i := range 600 {
		deep.Nodes = append(deep.Nodes, Node{Kind: Immediate, Type: Float64}, Node{Kind: Apply, Op: OpAdd, Type: Float64, Args: [3]int{2 * i, 2*i + 1}})
	}
	for _, c := range []struct {
		e    *Expr
		out  Layout
		in   []Layout
		want string
	}{
		{&Expr{}, l, nil, "at least one node"},
		{add, l, []Layout{l}, "loads operand 2"},
		{add, l, []Layout{l, RowMajor(4)}, "operand 2 has shape [4]; the output has [4 4]"},
		{add, l, []Layout{l, before}, "an element 8 before its base"},
		{add, once, []Layout{l, l}, "output's axis 0 has 4 elements in one place"},
		{singleOp(OpSqrt, Int32, false), l, []Layout{l}, "sqrt is not defined for int32"},
		{storing(add, Node{Kind: Store, Type: Float32, Operand: 2, Args: [3]int{2}}), l, []Layout{l, l}, "which node 1 uses"},
		{storing(add, Node{Kind: Store, Type: Float32, Operand: 4, Args: [3]int{2}}), l, []Layout{l, l, l}, "stores to operand 4; there are operands 1 to 3"},
		{storing(add, Node{Kind: Store, Type: Float64, Operand: 3, Args: [3]int{2}}), l, []Layout{l, l, l}, "stores node 2 as float64"},
		{storing(add, Node{Kind: Store, Type: Float32, Operand: 3, Args: [3]int{2}}), l, []Layout{l, l, once}, "output's axis 0 has 4 elements in one place"},
		{&Expr{[]Node{{Kind: Load, Type: Float32, Operand: 1}, {Kind: Store, Type: Float32, Operand: 2}, {Kind: Apply, Op: OpSqrt, Type: Float32}}}, l, []Layout{l, l}, "come last"},
		{deep, l, nil, "bytes of kernel parameters"},
		{&Expr{[]Node{{Kind: Apply, Op: OpAdd, Type: Float32}}}, l, nil, "does not come before it"},
		{&Expr{[]Node{{Kind: Load, Type: Float32, Operand: 1}, {Kind: Apply, Op: OpSum, Type: Float32}}}, l, []Layout{l}, "not a scalar operation"},
	} {
		p := Plan{Launches: make([]Launch, 1)}
		err := Elementwise(&p, c.e, c.out, c.in)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, want %q", err, c.want)
		}
		if len(p.Launches) != 1 {
			t.Errorf("%q: the plan has %d launches", c.want, len(p.Launches))
		}
	}
}
