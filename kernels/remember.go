package kernels

import (
	"math/bits"
	"slices"
	"sync/atomic"
)

// Programs ask for the same plans again and again. A planning function is a function
// of its arguments alone, so it writes them down as a question, and where that was
// asked before the answer is copied: that takes a fifth of the time, or a twentieth,
// of finding it anew.

// A planner is a planning function that remembers.
type planner uint8

const (
	planElementwise planner = 1 + iota
	planCopy
	planReduction
	planProduct
	planProductThen
	planRowsOf
	planStatisticOf
	planScanOf
	planNormsOf
	planJoin
)

// A question is what a planning function is asked, written to the end of the plan's
// list of words: questions that a planning function asks others in turn come behind.
type question struct {
	p     *Plan
	from  int  // where its words begin
	whole bool // the answer is all of the plan; else it is neither looked for nor remembered
}

// ask begins a question: that of a function about types and other small numbers.
func (p *Plan) ask(f planner, numbers ...uint64) question {
	q := question{p, len(p.words), len(p.Launches) == 0 && p.Scratch == 0 && p.Tickets == 0}
	p.words = append(append(p.words, uint64(f)|uint64(p.Capability)<<8|uint64(len(numbers))<<32, uint64(p.Multiprocessors)|uint64(p.BlockMemory)<<32), numbers...)
	return q
}

func (q question) layout(l *Layout) {
	words := append(q.p.words, uint64(l.Rank), uint64(l.Offset))
	if uint(l.Rank) <= MaxRank { // else it is an error, which is not remembered
		for i, n := range l.Shape[:l.Rank] {
			words = append(words, uint64(n), uint64(l.Strides[i]))
		}
	}
	q.p.words = words
}

func (q question) layouts(ls []Layout) {
	q.p.words = append(q.p.words, uint64(len(ls)))
	for i := range ls {
		q.layout(&ls[i])
	}
}

// optional is a layout that there need not be.
func (q question) optional(l *Layout) {
	q.p.words = append(q.p.words, 0)
	if l != nil {
		q.p.words[len(q.p.words)-1] = 1
		q.layout(l)
	}
}

// of is an operation on an expression.
func (q question) of(e *Expr, out *Layout, in []Layout) {
	q.expr(e)
	q.layout(out)
	q.layouts(in)
}

func (q question) expr(e *Expr) {
	words := append(q.p.words, uint64(len(e.Nodes)))
	for i := range e.Nodes {
		n := &e.Nodes[i]
		words = append(words, uint64(n.Kind)|uint64(n.Op)<<8|uint64(n.Type)<<16|uint64(n.Operand)<<24)
		switch n.Kind {
		case Immediate:
			words = append(words, n.Bits)
		case Apply, Store:
			words = append(words, uint64(n.Args[0])|uint64(n.Args[1])<<20|uint64(n.Args[2])<<40)
		}
	}
	q.p.words = words
}

// An answer is a plan that was made.
type answer struct {
	words            []uint64 // the question
	launches         []Launch
	scratch, tickets uint64
}

// answers remembers, at a place that the question gives, one that was asked there
// twice in a row, so that a question that is never asked again takes no memory.
var answers [1 << 12]struct {
	answer atomic.Pointer[answer]
	asked  atomic.Uint64 // the hash of the question that was asked last
}

// answered gives the plan the answer, if that is known.
func (q question) answered() bool {
	if !q.whole {
		return false
	}
	words := q.p.words[q.from:]
	a := answers[hashWords(words)%uint64(len(answers))].answer.Load()
	if a == nil || !slices.Equal(a.words, words) {
		return false
	}
	for i := range a.launches {
		l := &a.launches[i]
		m := q.p.launch(l.Key, l.Grid, l.Block, l.Shared)
		m.Args = append(m.Args, l.Args...)
	}
	q.p.Scratch, q.p.Tickets = a.scratch, a.tickets
	q.end()
	return true
}

// remember ends a question that the plan now answers, but for an error.
func (q question) remember(err error) error {
	if q.whole && err == nil {
		words := q.p.words[q.from:]
		h := hashWords(words)
		if place := &answers[h%uint64(len(answers))]; place.asked.Swap(h) == h {
			a := &answer{words: slices.Clone(words), launches: slices.Clone(q.p.Launches), scratch: q.p.Scratch, tickets: q.p.Tickets}
			for i := range a.launches {
				a.launches[i].Args = slices.Clone(a.launches[i].Args)
			}
			place.answer.Store(a)
		}
	}
	q.end()
	return err
}

func (q question) end() { q.p.words = q.p.words[:q.from] }

// hashWords mixes two words at a time.
func hashWords(words []uint64) uint64 {
	h := uint64(len(words)) + 0x9e3779b97f4a7c15
	for len(words) > 1 {
		high, low := bits.Mul64(words[0]^h, words[1]^0xbf58476d1ce4e5b9)
		h = bits.RotateLeft64(h, 23) ^ high ^ low
		words = words[2:]
	}
	if len(words) > 0 {
		h ^= words[0]
	}
	high, low := bits.Mul64(h^0x94d049bb133111eb, 0xd6e8feb86659fd93)
	return high ^ low
}
