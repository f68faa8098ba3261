package kernels

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// An Expr is an elementwise expression: nodes in topological order, the last of
// which is its value, but for Store nodes behind it. It is evaluated for each
// element on its own; the same node is computed once.
type Expr struct{ Nodes []Node }

// value is the place of the node that is the expression's value.
func (e *Expr) value() int {
	last := len(e.Nodes) - 1
	for last > 0 && e.Nodes[last].Kind == Store {
		last--
	}
	return last
}

// valueType is the expression's type, or Invalid of none.
func valueType(e *Expr) Type {
	if len(e.Nodes) == 0 {
		return Invalid
	}
	return e.Nodes[e.value()].Type
}

// stores says whether there are values that are written besides the last.
func (e *Expr) stores() bool { return e.Nodes[len(e.Nodes)-1].Kind == Store }

// load appends a load of an operand of type t, cast to u, and returns its place.
func (e *Expr) load(operand int, t, u Type) int {
	e.Nodes = append(e.Nodes, Node{Kind: Load, Type: t, Operand: operand})
	return e.cast(u)
}

// cast makes the last node a value of type t, unless it is one.
func (e *Expr) cast(t Type) int {
	last := len(e.Nodes) - 1
	if e.Nodes[last].Type == t {
		return last
	}
	return e.apply(OpCast, t, last)
}

// apply appends an operation on earlier nodes.
func (e *Expr) apply(op Op, t Type, args ...int) int {
	n := Node{Kind: Apply, Op: op, Type: t}
	copy(n.Args[:], args)
	e.Nodes = append(e.Nodes, n)
	return len(e.Nodes) - 1
}

// constant appends an immediate of a type that is computed in.
func (e *Expr) constant(t Type, x float64) int {
	e.Nodes = append(e.Nodes, Node{Kind: Immediate, Type: t, Bits: constantBits(t, x)})
	return len(e.Nodes) - 1
}

// NodeKind says what a node is.
type NodeKind uint8

const (
	Load      NodeKind = iota // an element of operand Operand (1 and up)
	Immediate                 // the value Bits, passed as a kernel parameter: no part of the key
	Index                     // the element's row-major position in the output's shape; its Type is Int64
	Apply                     // Op applied to the nodes Args
	Store                     // writes the value of node Args[0] to operand Operand, besides what the kernel is for
)

// A Node is a value of an Expr. Type is the type of that value. Args are places
// of earlier nodes, as many as the operation's arity. Bits holds an immediate
// as it would lie in memory, low byte first.
type Node struct {
	Kind    NodeKind
	Op      Op
	Type    Type
	Args    [3]int
	Operand int
	Bits    uint64
}

// check says what is wrong with an expression over operands 1 to inputs. It
// allocates nothing where nothing is.
func (e *Expr) check(inputs int) error {
	if len(e.Nodes) == 0 {
		return fmt.Errorf("an expression needs at least one node")
	}
	for i := range e.Nodes {
		n := &e.Nodes[i]
		if !n.Type.valid() {
			return fmt.Errorf("node %d has no valid type", i)
		}
		switch n.Kind {
		case Load:
			if n.Operand < 1 || n.Operand > inputs {
				return fmt.Errorf("node %d loads operand %d; there are operands 1 to %d", i, n.Operand, inputs)
			}
			for j := range e.Nodes[:i] {
				if m := &e.Nodes[j]; m.Kind == Load && m.Operand == n.Operand && m.Type != n.Type {
					return fmt.Errorf("node %d loads operand %d as %v, node %d as %v", j, n.Operand, m.Type, i, n.Type)
				}
			}
		case Immediate:
		case Index:
			if n.Type != Int64 {
				return fmt.Errorf("node %d is an index of type %v; indices are int64", i, n.Type)
			}
		case Apply:
			if err := e.checkOp(i); err != nil {
				return err
			}
		case Store:
			if err := e.checkStore(i, inputs); err != nil {
				return err
			}
		default:
			return fmt.Errorf("node %d has the unknown kind %d", i, n.Kind)
		}
	}
	return nil
}

func (e *Expr) checkStore(i, inputs int) error {
	n, value := &e.Nodes[i], e.value()
	switch {
	case i <= value:
		return fmt.Errorf("node %d stores; nodes that do come last, after the value", i)
	case n.Operand < 1 || n.Operand > inputs:
		return fmt.Errorf("node %d stores to operand %d; there are operands 1 to %d", i, n.Operand, inputs)
	case n.Args[0] < 0 || n.Args[0] > value || e.Nodes[n.Args[0]].Type != n.Type:
		return fmt.Errorf("node %d stores node %d as %v; there is no such value", i, n.Args[0], n.Type)
	}
	for j := range e.Nodes[:i] {
		if m := &e.Nodes[j]; (m.Kind == Load || m.Kind == Store) && m.Operand == n.Operand {
			return fmt.Errorf("node %d stores to operand %d, which node %d uses", i, n.Operand, j)
		}
	}
	return nil
}

func (e *Expr) checkOp(i int) error {
	n := &e.Nodes[i]
	var args [3]Type
	for k := range n.Op.Arity() {
		a := n.Args[k]
		if a < 0 || a >= i {
			return fmt.Errorf("node %d (%v) takes node %d, which does not come before it", i, n.Op, a)
		}
		args[k] = e.Nodes[a].Type
	}
	t, err := n.Op.Result(args[:n.Op.Arity()]...)
	if err != nil {
		return err
	}
	if t != n.Type && n.Op != OpCast {
		return fmt.Errorf("node %d (%v of %v) has type %v; want %v", i, n.Op, args[0], n.Type, t)
	}
	return nil
}

// A form says how a kernel reads or writes an operand. Items are runs of the
// kernel's vector width of consecutive elements of the output.
type form byte

const (
	noForm     form = 0
	contiguous form = 'c' // an item is consecutive elements, and items follow each other
	scalar     form = 's' // one element for all
	strided    form = 'w' // an item is consecutive elements somewhere (any element where the width is 1)
	broadcast  form = 'b' // one element for an item
)

var formNames = map[form]string{contiguous: "contiguous", scalar: "scalar", strided: "strided", broadcast: "broadcast", accumulated: "accumulated"}

// appendKey appends the expression's words to a key. forms[k] is how operand k
// is accessed; index is the form of Index.
//
//	float32:1c       operand 1, contiguous
//	float32:imm      a kernel parameter
//	int64:idxc       the index of a contiguous output
//	add.float32:0,1  an operation on nodes 0 and 1, and its result's type
//	store.int8:2c,0  node 0 is stored to operand 2, contiguous
func (e *Expr) appendKey(key []byte, forms []form, index form) []byte {
	for i := range e.Nodes {
		n := &e.Nodes[i]
		key = append(key, ' ')
		switch n.Kind {
		case Apply:
			key = append(append(key, n.Op.String()...), '.')
		case Store:
			key = append(key, storeWord...)
		}
		key = append(append(key, n.Type.String()...), ':')
		switch n.Kind {
		case Load:
			key = append(strconv.AppendInt(key, int64(n.Operand), 10), byte(forms[n.Operand]))
		case Store:
			key = append(strconv.AppendInt(key, int64(n.Operand), 10), byte(forms[n.Operand]), ',')
			key = strconv.AppendInt(key, int64(n.Args[0]), 10)
		case Immediate:
			key = append(key, "imm"...)
		case Index:
			key = append(append(key, "idx"...), byte(index))
		case Apply:
			for k, a := range n.Args[:n.Op.Arity()] {
				if k > 0 {
					key = append(key, ',')
				}
				key = strconv.AppendInt(key, int64(a), 10)
			}
		}
	}
	return key
}

// storeWord begins the word of a Store node.
const storeWord = "store."

// parseExpr is the inverse of appendKey. forms has a place for each operand up
// to the last that is loaded; a place that is not used is noForm.
func parseExpr(words []string) (e *Expr, forms []form, index form, err error) {
	e, forms = &Expr{}, make([]form, 1)
	for _, w := range words {
		n, f, err := parseNode(w)
		if err != nil {
			return nil, nil, noForm, err
		}
		switch n.Kind {
		case Index:
			index = f
		case Load, Store:
			for len(forms) <= n.Operand {
				forms = append(forms, noForm)
			}
			if forms[n.Operand] != noForm && forms[n.Operand] != f {
				return nil, nil, noForm, fmt.Errorf("operand %d has two forms", n.Operand)
			}
			forms[n.Operand] = f
		}
		e.Nodes = append(e.Nodes, n)
	}
	return e, forms, index, e.check(len(forms) - 1)
}

// maxOperands bounds operand numbers in keys; a kernel's parameters hold fewer.
const maxOperands = 512

func parseNode(word string) (n Node, f form, err error) {
	head, tail, ok := strings.Cut(word, ":")
	name, typ, isOp := strings.Cut(head, ".")
	if !isOp {
		name, typ = "", head
	}
	n.Type = typeByName(typ)
	bad := fmt.Errorf("%q is no node of an expression", word)
	if !ok || n.Type == Invalid || tail == "" {
		return n, noForm, bad
	}
	if head, node, ok := strings.Cut(tail, ","); ok && isOp && name+"." == storeWord {
		n.Kind, tail = Store, head
		if n.Args[0], err = strconv.Atoi(node); err != nil || tail == "" {
			return n, noForm, bad
		}
	}
	f = form(tail[len(tail)-1])
	switch {
	case n.Kind == Store:
	case isOp:
		if n.Kind, n.Op, ok = Apply, NoOp, true; ok {
			n.Op, ok = OpByName(name)
		}
		args := strings.Split(tail, ",")
		if !ok || len(args) != n.Op.Arity() || len(args) > len(n.Args) {
			return n, noForm, bad
		}
		for k, a := range args {
			if n.Args[k], err = strconv.Atoi(a); err != nil {
				return n, noForm, bad
			}
		}
		return n, noForm, nil
	case tail == "imm":
		n.Kind = Immediate
		return n, noForm, nil
	case strings.HasPrefix(tail, "idx") && len(tail) == 4 && formNames[f] != "":
		n.Kind = Index
		return n, f, nil
	}
	n.Operand, err = strconv.Atoi(tail[:len(tail)-1])
	if err != nil || n.Operand < 1 || n.Operand > maxOperands || formNames[f] == "" {
		return n, noForm, bad
	}
	return n, f, nil
}

// uniform says, for each node, whether its value is the same for all elements.
func (e *Expr) uniform(forms []form) []bool {
	u := make([]bool, len(e.Nodes))
	for i, n := range e.Nodes {
		switch n.Kind {
		case Load:
			u[i] = forms[n.Operand] == scalar
		case Immediate:
			u[i] = true
		case Apply:
			u[i] = true
			for _, a := range n.Args[:n.Op.Arity()] {
				u[i] = u[i] && u[a]
			}
		}
	}
	return u
}

// emit writes the operations among the nodes that choose picks; values holds
// the registers of all leaves and of what was emitted before, and receives the
// others.
func (e *Expr) emit(b *ptx.Builder, values []*ptx.Reg, choose func(i int) bool) {
	for i, n := range e.Nodes {
		if n.Kind != Apply || !choose(i) {
			continue
		}
		var types [3]Type
		var args [3]*ptx.Reg
		arity := n.Op.Arity()
		for k, a := range n.Args[:arity] {
			types[k], args[k] = e.Nodes[a].Type, values[a]
		}
		values[i] = emitOp(b, n.Op, n.Op.worksOn(types[:arity]), n.Type, args[:arity]...)
	}
}
