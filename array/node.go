package array

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/internal/phrase"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Array is an array of elements of type T in the memory of a device. The zero
// Array and a nil one are errors to use, not crashes.
//
// Methods are thin: the work is done by functions on handles, which are compiled
// once and not for each T.
type Array[T Element] struct{ handle }

// A handle is an array as one Device sees it: the node, which other handles may
// share, and the Device on whose stream operations on it run.
type handle struct {
	dev  *Device
	node *node
}

// h returns the array's handle; that of a nil Array is the zero handle.
func (a *Array[T]) h() handle {
	if a == nil {
		return handle{}
	}
	return a.handle
}

// to wraps a handle whose elements are of type T.
func to[T Element](h handle) *Array[T] { return &Array[T]{h} }

// A node is a value: an error, an expression that has not been evaluated, elements
// in a storage (it is materialised), or a view of one of these. Type, shape, base
// and err never change. The other fields are guarded by the shared device's lock;
// but who has seen that a node is materialised may read its storage without, as that
// stays.
type node struct {
	call
	typ    kernels.Type
	linked bool  // it is entered as a reader of what it reads
	layout       // the shape, and where the elements lie in the storage; an expression's is contiguous
	base   *node // what it is a view of, or nil; not a view itself
	err    *Error

	store *storage   // of no view: that is its base's. Mostly own
	own   storage    // see room
	expr  expression // what computes it, until it is materialised
	fault *Error     // what its evaluation met
	freed call       // the Free of an array that was not evaluated then

	dev       *Device // where it was recorded
	scope     *scope  // that it was recorded in, or nil
	self      *anchor // once something refers to it that is not to keep it
	readers   readers // until it is materialised; then they are the storage's
	consumers int32   // operations recorded with it as an operand
	inlined   int32   // times that it was computed without being stored
	busy      int32   // evaluations in progress that it is part of
	cost      int32   // cost, operations, arrays and bytes read of the expression as a tree
	output    bool    // one of the evaluations in progress stores it
	nodes     int
	leaves    int
	reads     int
}

// An expression is what computes a node's elements from others': a kernel's
// expression node, whose arguments may be materialised or expressions again, of
// shapes that broadcast to the node's.
type expression struct {
	kind kernels.NodeKind
	op   kernels.Op
	args [3]*node
	bits uint64 // of an immediate value, or of the operand that is one of scalars

	product *product // instead of op: the matrix product of two arrays
}

// describe gives type and shape for an error.
func (h handle) describe() string {
	if h.node == nil {
		return "nil or zero Array"
	}
	return h.node.typ.String() + " " + phrase.Shape(dims(&h.node.layout))
}

// failed returns a handle that carries an error, on h's device.
func (h handle) failed(err *Error) handle { return handle{h.dev, &node{err: err}} }

// check returns the first error among operands: one that an operand carries, a
// nil operand, operands of different devices, a closed device or freed memory.
func (c call) check(operands ...handle) *Error {
	if err := c.complete(operands); err != nil {
		return err
	}
	sh := operands[0].dev.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return c.checkLocked(operands)
}

// ready checks operands and materialises them.
func (c call) ready(operands ...handle) *Error {
	if err := c.complete(operands); err != nil {
		return err
	}
	sh := operands[0].dev.sh
	sh.mu.Lock()
	err := c.checkLocked(operands)
	for i := 0; i < len(operands) && err == nil; i++ {
		err = sh.try(operands[i].node.root())
	}
	sh.mu.Unlock()
	if err != missing {
		return err
	}
	for _, h := range operands {
		if err := c.evaluate(h); err != nil {
			return err
		}
	}
	return nil
}

// complete is the part of check that needs no lock.
func (c call) complete(operands []handle) *Error {
	for i, h := range operands {
		if h.node == nil || h.node.err == nil && h.dev == nil {
			return c.fail(because(ErrDevice, "operand %d of %d is nil or a zero Array, which has no device; FromSlice, Zeros and the like make Arrays", i+1, len(operands)), operands...)
		}
		if h.node.err != nil {
			return h.node.err
		}
		if h.dev.sh != operands[0].dev.sh {
			return c.fail(because(ErrDevice, "operand %d is on another device than the first, or on one opened anew: %v and %v; copy it there with ToSlice and FromSlice", i+1, h.dev, operands[0].dev), operands...)
		}
	}
	return nil
}

// checkLocked is the part of check that needs the lock.
func (c call) checkLocked(operands []handle) *Error {
	rec := operands[0].dev.capturing()
	for i, h := range operands {
		if err := h.dev.open(c); err != nil {
			return c.of(err, operands...)
		}
		root := h.node.root()
		if err := root.usable(c); err != nil {
			return c.lost(err, i, operands)
		}
		if in := root.madeIn(); in != nil && in != rec {
			return c.of(c.foreign(), operands...)
		}
	}
	return nil
}

// usable, under the lock, returns why a root cannot be read, or nil.
func (n *node) usable(c call) *Error {
	switch {
	case n.store != nil:
		if n.freed.op != "" {
			return c.useOf(n.freed)
		}
		return n.store.usable(c)
	case n.freed.op != "":
		return c.useOf(n.freed)
	case n.fault != nil:
		return n.fault
	case n.scope != nil && n.scope.ended.op != "":
		return c.useOf(n.scope.ended)
	}
	return nil
}

// unsupported turns a planner's error into one of this package.
func (c call) unsupported(err error, operands ...handle) *Error {
	var u *kernels.UnsupportedError
	if errors.As(err, &u) {
		return c.fail(because(ErrType, "%s is not defined for %v%s", c.op, u.Type, adviceFor(u)), operands...)
	}
	return c.fail(&reason{ErrShape, "no kernel serves these operands", err}, operands...)
}

// adviceFor says what to do where an operation lacks a type: what the kernels'
// table has it for decides.
func adviceFor(u *kernels.UnsupportedError) string {
	op, _ := kernels.OpByName(u.Op)
	takes := func(t kernels.Type) bool {
		_, err := op.Result([]kernels.Type{t, t, t}[:op.Arity()]...)
		return err == nil
	}
	integers, floats := takes(kernels.Int64), takes(kernels.Float32)
	switch t := u.Type; {
	case takes(kernels.Bool) && !integers:
		return "; it is for bool: array.Cast[bool] gives true for what is not 0"
	case integers && !floats && takes(kernels.Bool):
		return "; it is for integers and bool: convert with array.Cast[int64]"
	case integers && !floats:
		return "; it is for integers: convert with array.Cast[int64]"
	case t == kernels.Bool && integers:
		return "; convert with array.Cast, or use the logical operations"
	case t == kernels.Bool || t == kernels.Float16 || t == kernels.BFloat16:
		return "; convert with array.Cast[float32]"
	case t.IsInteger():
		return "; convert with array.Cast[float32] or array.Cast[float64]"
	}
	return "; convert with array.Cast"
}

// constant is a node of rank 0 with a fixed value.
func constant(s scalar) *node {
	return &node{typ: s.typ, expr: expression{kind: kernels.Immediate, bits: s.bits}}
}

// scalars stand, one for each type, for an operand that is a number, which the
// operation on it knows: it takes no node of its own.
var scalars = func() (list [kernels.NumTypes]node) {
	for t := range list {
		list[t] = node{typ: kernels.Type(t), expr: expression{kind: kernels.Immediate}}
	}
	return list
}()

// position is a node of type int64 whose elements are 0, 1, 2, … in row-major
// order. It takes the shape of the expression that it is used in.
func position() *node {
	return &node{typ: kernels.Int64, expr: expression{kind: kernels.Index}}
}

// apply makes the node of an operation on args, whose shapes broadcast. Nothing is
// computed.
func apply(op kernels.Op, args ...*node) (*node, error) {
	n := &node{expr: expression{kind: kernels.Apply, op: op}}
	var types [3]kernels.Type
	var err error
	for i, a := range args {
		n.expr.args[i] = a
		types[i] = a.typ
	}
	if n.typ, err = op.Result(types[:len(args)]...); err != nil {
		return nil, err
	}
	n.layout = args[0].layout
	setContiguous(&n.layout)
	for _, a := range args[1:] {
		if a.Rank == 0 || sameShape(&n.layout, &a.layout) {
			continue
		}
		if n.layout, err = broadcast(&n.layout, &a.layout); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// cast makes the node of a conversion; to its own type, a is returned.
func cast(a *node, t kernels.Type) *node {
	if a.typ == t {
		return a
	}
	return &node{typ: t, layout: contiguousLike(&a.layout), expr: expression{kind: kernels.Apply, op: kernels.OpCast, args: [3]*node{a}}}
}

// A formula builds a composite operation's expression and keeps the first error,
// so that steps need not be checked one by one.
type formula struct{ err error }

func (f *formula) do(op kernels.Op, args ...*node) *node {
	if f.err == nil {
		var n *node
		if n, f.err = apply(op, args...); f.err == nil {
			return n
		}
	}
	return &node{}
}

// elementwise is every operation that is one row of the kernels' table: the
// result is the receiver's device's.
func (c call) elementwise(op kernels.Op, operands ...handle) handle {
	return c.elementwiseWith(op, 0, operands...)
}

// elementwiseWith is elementwise with the value of an operand that is one of scalars.
func (c call) elementwiseWith(op kernels.Op, scalar uint64, operands ...handle) handle {
	if err := c.complete(operands); err != nil {
		return operands[0].failed(err)
	}
	var args [3]*node
	for i, h := range operands {
		args[i] = h.node
	}
	n, err := apply(op, args[:len(operands)]...)
	if err != nil {
		if failed := c.check(operands...); failed != nil {
			return operands[0].failed(failed)
		}
		return operands[0].failed(c.explain(err, operands...))
	}
	n.expr.bits = scalar
	r := c.record(operands[0].dev, n, operands...)
	r.node.err = c.of(r.node.err, operands...)
	return r
}

// explain makes the call's error of one from apply.
func (c call) explain(err error, operands ...handle) *Error {
	var r *reason
	if errors.As(err, &r) {
		return c.fail(err, operands...)
	}
	return c.unsupported(err, operands...)
}
