package kernels

// Rows that lie across memory. A kernel over rows reads and writes along them; where
// memory runs along another axis, that would touch a sector of memory for each
// element, so the rows are turned around first, and the result is turned back.

// turnBytes is the size from which turning rows around pays: smaller operands stay
// in the cache, and two more launches cost more. A variable for tests.
var turnBytes = 1 << 20

// acrossMemory says whether rows along an axis are better turned around first.
func acrossMemory(t Type, out, in *Layout, axis int) bool {
	return in.Len()*t.Size() >= turnBytes && (in.crosses(axis) || out.crosses(axis))
}

// crosses says whether memory runs along another axis than this one.
func (l *Layout) crosses(axis int) bool {
	const few = 4
	for i, d := range l.Shape[:l.Rank] {
		if s := magnitude(l.Strides[i]); i != axis && d >= few && l.Shape[axis] >= few && s != 0 && s < magnitude(l.Strides[axis]) {
			return true
		}
	}
	return false
}

// toLast makes an axis the last.
func (l *Layout) toLast(axis int) {
	size, stride := l.Shape[axis], l.Strides[axis]
	copy(l.Shape[axis:], l.Shape[axis+1:l.Rank])
	copy(l.Strides[axis:], l.Strides[axis+1:l.Rank])
	l.Shape[l.Rank-1], l.Strides[l.Rank-1] = size, stride
}

// planAcross plans an operation on the rows along an axis, from type t to u, as
// three steps: a copy whose rows lie along memory, the operation, and a copy back.
// rows plans the operation, which may be in place, for a layout whose rows lie along
// the last axis, with operands 0 and 1; its operands 2 and 3 are the plan's.
func planAcross(p *Plan, t, u Type, out, in Layout, axis int, rows func(work Layout, last int) error) error {
	in.toLast(axis)
	out.toLast(axis)
	work := RowMajor(in.Shape[:in.Rank]...)
	from := operandPlace{ScratchOperand, p.scratch(work.Len() * t.Size())}
	to := from
	if t.Size() != u.Size() {
		to.bytes = p.scratch(work.Len() * u.Size())
	}
	return p.steps(
		step{[]operandPlace{from, {1, 0}}, func() error { return Copy(p, t, work, in) }},
		step{[]operandPlace{to, from, {2, 0}, {3, 0}}, func() error { return rows(work, work.Rank-1) }},
		step{[]operandPlace{{0, 0}, to}, func() error { return Copy(p, u, out, work) }})
}
