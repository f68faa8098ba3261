package kernels

import (
	"slices"
	"strconv"
	"strings"
)

// embeddedTypes are the types whose kernels are kept as files; others are
// generated when they are first used.
var embeddedTypes = []Type{Bool, Uint8, Int32, Int64, Float32, Float64}

// withImmediate lists the operations that are embedded with a number as second
// operand too: x + 2.
var withImmediate = []Op{
	OpAdd, OpSub, OpMul, OpDiv, OpPow, OpMinimum, OpMaximum,
	OpEqual, OpNotEqual, OpLess, OpLessEqual, OpGreater, OpGreaterEqual,
}

// trivialOnIntegers are operations that integers have for completeness: few
// programs need a file for them.
var trivialOnIntegers = []Op{OpFloor, OpCeil, OpRound, OpTrunc, OpIsNaN, OpIsInf, OpIsFinite, OpFMin, OpFMax}

// elementwiseEmbedded lists the keys of the embedded elementwise kernels: every
// operation on contiguous operands, casts between all pairs of types, filling,
// and the usual operations with an immediate operand.
func elementwiseEmbedded() []string {
	var keys []string
	for _, t := range embeddedTypes {
		for op := NoOp + 1; op.IsScalar(); op++ {
			if op != OpCast && table[op].types.has(t) && !(t.IsInteger() && slices.Contains(trivialOnIntegers, op)) {
				keys = append(keys, embeddedKey(singleOp(op, t, false)))
			}
		}
		for _, op := range withImmediate {
			if table[op].types.has(t) && t != Bool {
				keys = append(keys, embeddedKey(singleOp(op, t, true)))
			}
		}
		for _, u := range embeddedTypes {
			if t != u {
				keys = append(keys, embeddedKey(&Expr{[]Node{{Kind: Load, Type: t, Operand: 1}, {Kind: Apply, Op: OpCast, Type: u}}}))
			}
		}
		keys = append(keys, embeddedKey(&Expr{[]Node{{Kind: Immediate, Type: t}}}))
	}
	return keys
}

// embeddedKey returns the key for an expression whose operands are all
// contiguous.
func embeddedKey(e *Expr) string {
	var p Plan
	shape := RowMajor(1 << 20)
	in := make([]Layout, 3)
	for i := range in {
		in[i] = shape
	}
	if err := Elementwise(&p, e, shape, in); err != nil {
		panic(err) // the table offers what it does not support
	}
	return p.Launches[0].Key
}

// singleOp is the expression of one operation on loads of type t, the last of
// which may be an immediate instead.
func singleOp(op Op, t Type, immediate bool) *Expr {
	e := &Expr{}
	result := Node{Kind: Apply, Op: op, Type: t}
	if table[op].result == givesBool {
		result.Type = Bool
	}
	for k := range op.Arity() {
		n := Node{Kind: Load, Type: t, Operand: k + 1}
		if op == OpWhere && k == 0 {
			n.Type = Bool
		}
		if immediate && k == op.Arity()-1 {
			n = Node{Kind: Immediate, Type: t}
		}
		result.Args[k] = k
		e.Nodes = append(e.Nodes, n)
	}
	e.Nodes = append(e.Nodes, result)
	return e
}

// elementwiseName names a kernel of one operation on operands of its own:
// "add_float32_contiguous". Others get the names of their operations, which a
// hash completes.
func elementwiseName(key string) (name string, unique bool) {
	k, err := parseElementwise(key)
	if err != nil {
		return "ew", false
	}
	nodes := k.expr.Nodes
	last := nodes[len(nodes)-1]
	var ops []string
	for _, n := range nodes {
		if n.Kind == Apply {
			ops = append(ops, n.Op.String())
		}
	}
	switch {
	case len(nodes) == 1 && last.Kind == Immediate:
		return join("fill", last.Type.String(), k.access()), true
	case len(ops) != 1 || last.Kind != Apply || !inOrder(nodes):
		return join(append([]string{"ew"}, ops...)...), false
	case last.Op == OpCast:
		return join("cast", nodes[0].Type.String(), "to", last.Type.String(), k.access()), true
	}
	return join(ops[0], nodes[len(nodes)-2].Type.String(), k.access()), true
}

func join(words ...string) string { return strings.Join(words, "_") }

// inOrder says whether the nodes are leaves, each the operand of its place or an
// immediate, and last an operation on all of them in order.
func inOrder(nodes []Node) bool {
	last := len(nodes) - 1
	for i, n := range nodes[:last] {
		if n.Kind == Index || n.Kind == Load && n.Operand != i+1 || nodes[last].Args[i] != i {
			return false
		}
	}
	return last == nodes[last].Op.Arity()
}

// access describes how the kernel's operands are accessed, in a word where all
// are contiguous.
func (k *elementwiseKernel) access() string {
	var words []string
	all := true
	for i, n := range k.expr.Nodes {
		switch n.Kind {
		case Immediate:
			words, all = append(words, "immediate"), all && len(k.expr.Nodes) == 1
		case Load:
			words, all = append(words, formNames[k.forms[i+1]]), all && k.forms[i+1] == contiguous
		}
	}
	if k.forms[0] != contiguous {
		words, all = append(words, "to", formNames[k.forms[0]]), false
	}
	if all {
		words = []string{"contiguous"}
	}
	if k.rank > 0 {
		words = append(words, "r"+string(rune('0'+k.rank)))
	}
	if k.width != k.fullWidth() || k.items != 1 {
		words = append(words, "v"+strconv.Itoa(k.width)+"u"+strconv.Itoa(k.items))
	}
	return join(words...)
}

// fullWidth is the vector width that the kernel has where nothing is in the way.
func (k *elementwiseKernel) fullWidth() int {
	size := k.result().Size()
	for _, n := range k.expr.Nodes {
		if n.Kind == Load || n.Kind == Store {
			size = max(size, n.Type.Size())
		}
	}
	return accessBytes / size
}
