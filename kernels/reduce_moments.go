package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// The variance of columns in one read. The elements of a slot of the tree (reduce.go),
// of which there are at most 16, are counted from its first one, which is near their
// mean as a rule, and gives nothing worse than a sixteenth of the squares where it is
// not. Slots and what they combine to are moments: their mean in two parts, the squares
// around it and how many elements they are of (see combineMoments).

// momentsOf says what a columnsKernel takes moments of.
type momentsOf uint8

const (
	noMoments     momentsOf = iota
	momentsOfMany           // elements of a slot
	momentsOnce             // at most one element of each slot
)

// momentWords is the number of registers that hold one number each for the slots of a
// thread: it has three or four such numbers.
const momentWords = 16

// registersOf is the number of registers that a value takes.
func registersOf(t Type) int { return max(t.Size(), 4) / 4 }

// A momentSlot is the first of a slot's elements, and the sums of the others'
// differences from it and of their squares.
type momentSlot struct{ first, sum, squares *ptx.Reg }

// beginMoments makes slots of no elements.
func (e *columnsEmitter) beginMoments() {
	zero := func() *ptx.Reg { return e.b.Op("mov."+e.acc.suffix(), floatConst(e.acc, 0)) }
	e.slots = make([][]momentSlot, e.k.vec)
	for v := range e.slots {
		for range e.k.run {
			s := momentSlot{first: zero()}
			if e.k.moments == momentsOfMany {
				s.sum, s.squares = zero(), zero()
			}
			e.slots[v] = append(e.slots[v], s)
		}
	}
	for range e.k.run {
		e.counts = append(e.counts, zero())
	}
}

// takeMoment adds an element to slot s of column v.
func (e *columnsEmitter) takeMoment(s, v int, x *ptx.Reg) {
	b, suffix, slot := e.b, e.acc.suffix(), e.slots[v][s]
	if e.k.moments == momentsOnce {
		b.Do("mov."+suffix, slot.first, x)
		return
	}
	none := b.Op("setp.eq."+suffix, e.counts[s], floatConst(e.acc, 0))
	b.Do("selp."+suffix, slot.first, x, slot.first, none)
	d := b.Op("sub.rn."+suffix, x, slot.first)
	b.Do("add.rn."+suffix, slot.sum, slot.sum, d)
	b.Do("fma.rn."+suffix, slot.squares, d, d, slot.squares)
}

// countMoment counts an element of slot s, of each column.
func (e *columnsEmitter) countMoment(s int) {
	e.b.Do("add.rn."+e.acc.suffix(), e.counts[s], e.counts[s], floatConst(e.acc, 1))
}

// endMoments makes accumulators of the slots.
func (e *columnsEmitter) endMoments() {
	b, suffix := e.b, e.acc.suffix()
	op := func(name string, args ...any) *ptx.Reg { return b.Op(name+".rn."+suffix, args...) }
	for v, slots := range e.slots {
		for s, slot := range slots {
			p := partial{count: b.Op("mov."+suffix, e.counts[s])}
			if e.k.moments == momentsOnce {
				// The squares are 0, but a NaN of an infinite element: its mean alone might
				// leave the others an infinite distance.
				p.v, p.mean, p.low = op("sub", slot.first, slot.first), slot.first, b.Op("mov."+suffix, floatConst(e.acc, 0))
			} else {
				shift := op("div", slot.sum, b.Op("max."+suffix, e.counts[s], floatConst(e.acc, 1)))
				p.v = op("fma", b.Op("neg."+suffix, shift), slot.sum, slot.squares)
				p.mean = op("add", slot.first, shift)
				p.low = op("add", op("sub", slot.first, p.mean), shift)
			}
			e.accs[v] = append(e.accs[v], p)
		}
	}
}
