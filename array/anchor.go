package array

import "weak"

// An anchor is how the registry, scopes and lists of readers refer to a node that they
// are not to keep: by a weak pointer, once the node is no longer young. To make a weak
// pointer takes a quarter of a small operation, and each collection sweeps them; most
// arrays are freed, or their Scope ends, before they need one. What nobody can reach
// while it is young is found one collection later: each has nodes grow old, and those that
// this package starts do so first.
type anchor struct {
	young *node
	old   weak.Pointer[node]
}

// node returns the node, or nil if nothing refers to it any more. A nil anchor is that
// of no node.
func (a *anchor) node() *node {
	switch {
	case a == nil:
		return nil
	case a.young != nil:
		return a.young
	}
	return a.old.Value()
}

// What is young is kept, so there is a bound to it.
const (
	mostYoung  = 256      // nodes
	youngBytes = 64 << 20 // of the elements of all
	largeNode  = 4 << 20  // bytes of elements from which on a node never is
)

// nursery holds the anchors of the nodes that are young.
type nursery struct {
	young   []*anchor
	bytes   uint64                 // of their elements
	witness weak.Pointer[sentinel] // made with the first of them, and gone once the collector has run
	spare   []anchor               // of which none is used
}

// anchor returns n's anchor, a new one where there is none, for elements of so many
// bytes. The caller holds the lock.
func (sh *shared) anchor(n *node, bytes uint64) *anchor {
	if n.self != nil {
		return n.self
	}
	y := &sh.nursery
	if len(y.spare) == 0 {
		y.spare = make([]anchor, 16) // few, as one that is in use keeps all
	}
	n.self, y.spare = &y.spare[0], y.spare[1:]
	if bytes >= largeNode {
		n.self.old = weak.Make(n)
		return n.self
	}
	if y.bytes += bytes; len(y.young) == mostYoung || y.bytes > youngBytes {
		sh.age()
		y.bytes = bytes
	}
	if len(y.young) == 0 {
		y.witness = weak.Make(new(sentinel))
	}
	n.self.young = n
	y.young = append(y.young, n.self)
	return n.self
}

// age makes the young nodes old. What was freed, or only hosted memory for expressions,
// and has nothing left to give back needs no weak pointer.
func (sh *shared) age() {
	y := &sh.nursery
	for _, a := range y.young {
		if n := a.young; n.own.block != nil || n.pending() || n.freed.op == "" && n.own.freed.op == "" && !n.own.detached {
			a.old = weak.Make(n)
		}
		a.young = nil
	}
	clear(y.young)
	y.young, y.bytes = y.young[:0], 0
}
