package exec

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// wmma's fragments are opaque: PTX does not say which thread holds what. Here they
// are those of mma, and a kernel's wmma instructions become loads, stores and mma
// before it is decoded, for the device as ptxas does it: products of 16-bit floats are
// two of m16n8k16, or four of m16n8k8 before compute capability 8.0.

// linear is a coordinate: c, and its multiples of the lane's group (lane/4) and of its
// place in that (lane%4).
type linear struct{ c, group, place int }

func (l linear) plus(c int) linear { return linear{l.c + c, l.group, l.place} }

// spot is where an element of a matrix is.
type spot struct{ row, col linear }

// wmmaShape is a product and how mma's make it up: M and N are cut into tiles of rows
// by 8. Where M is less than a tile has rows, the transposed product is computed.
type wmmaShape struct {
	m, n, k int
	rows    int
	per     int // elements of A and B in a register
	deep    int // registers that a tile has along K
	swapped bool
}

func shapeOf(shape, typ string) wmmaShape {
	var s wmmaShape
	fmt.Sscanf(shape, "m%dn%dk%d", &s.m, &s.n, &s.k)
	s.rows, s.per, s.deep = 16, 2, 2
	switch typ {
	case "tf32":
		s.per = 1
	case "u8", "s8":
		s.rows, s.per, s.deep = 8, 4, 1
	case "f64":
		s.rows, s.per, s.deep = 8, 1, 1
	}
	if s.m < s.rows {
		s.m, s.n, s.swapped = s.n, s.m, true
	}
	return s
}

// registers lists, for each register of matrix a, b or c, what it holds. Those of c
// hold packed elements.
func (s wmmaShape) registers(matrix string, packed int) (list [][]spot) {
	along, group := linear{0, 0, s.per}, linear{0, 1, 0}
	bands := s.rows / 8
	switch {
	case matrix == "c":
		for m := 0; m < s.m; m += s.rows {
			for n := 0; n < s.n; n += 8 {
				for i := 0; i < 2*bands; i += packed {
					list = append(list, spots(spot{group.plus(m + i/2*8), linear{n + i%2, 0, 2}}, packed, false))
				}
			}
		}
	case matrix == "a" != s.swapped: // the first factor
		for m := 0; m < s.m; m += s.rows {
			for i := range s.deep * bands {
				list = append(list, spots(spot{group.plus(m + i%bands*8), along.plus(i / bands * 4 * s.per)}, s.per, false))
			}
		}
	default:
		for n := 0; n < s.n; n += 8 {
			for i := range s.deep {
				list = append(list, spots(spot{along.plus(i * 4 * s.per), group.plus(n)}, s.per, true))
			}
		}
	}
	if s.swapped {
		for _, r := range list {
			for i, e := range r {
				r[i] = spot{e.col, e.row}
			}
		}
	}
	return list
}

// spots is n elements from e on, along a row or down a column.
func spots(e spot, n int, down bool) (list []spot) {
	for i := range n {
		if down {
			list = append(list, spot{e.row.plus(i), e.col})
		} else {
			list = append(list, spot{e.row, e.col.plus(i)})
		}
	}
	return list
}

// wmmaBody is a body whose wmma instructions are being replaced.
type wmmaBody struct {
	e  *ptx.Entry
	cc int
	in *ptx.Instr

	group, place ptx.Operand // of the lane
}

// mostReplaced bounds a body without wmma, against programs made to exhaust memory.
const mostReplaced = 1 << 20

// withoutWmma is an entry with other instructions for wmma's.
func withoutWmma(e *ptx.Entry, cc int) (*ptx.Entry, error) {
	any := false
	for _, in := range e.Body {
		any = any || in.Op == "wmma"
	}
	if !any {
		return e, nil
	}
	copied := *e
	b := &wmmaBody{e: &copied, cc: cc}
	copied.Regs, copied.Body = append([]*ptx.Reg(nil), e.Regs...), nil
	at := make([]int, 0, len(e.Body)+1)
	for _, in := range e.Body {
		at = append(at, len(copied.Body))
		if in.Op != "wmma" {
			copied.Body = append(copied.Body, in)
			continue
		}
		if b.in = in; len(copied.Body) > mostReplaced {
			return nil, &DecodeError{in.Pos, in.String(), fmt.Sprintf("wmma stands for more than %d instructions before this", mostReplaced)}
		}
		b.replace()
	}
	at = append(at, len(copied.Body))
	b.moveLabels(e.Labels, at)
	return b.e, nil
}

// moveLabels gives the copy labels where their instructions now are.
func (b *wmmaBody) moveLabels(labels []*ptx.Label, at []int) {
	moved := map[*ptx.Label]*ptx.Label{}
	b.e.Labels = nil
	for _, l := range labels {
		c := *l
		if l.At >= 0 && l.At < len(at) {
			c.At = at[l.At]
		}
		moved[l] = &c
		b.e.Labels = append(b.e.Labels, &c)
	}
	var operands func(list []ptx.Operand) []ptx.Operand
	operands = func(list []ptx.Operand) []ptx.Operand {
		list = append([]ptx.Operand(nil), list...)
		for i := range list {
			if l := moved[list[i].Label]; l != nil {
				list[i].Label = l
			}
			if list[i].Elems != nil {
				list[i].Elems = operands(list[i].Elems)
			}
		}
		return list
	}
	named := func(o ptx.Operand) bool {
		return o.Label != nil || slices.ContainsFunc(o.Elems, func(o ptx.Operand) bool { return o.Label != nil })
	}
	for i, in := range b.e.Body {
		if slices.ContainsFunc(in.Args, named) {
			c := *in
			c.Args = operands(in.Args)
			b.e.Body[i] = &c
		}
	}
}

// replace appends what the current instruction stands for.
func (b *wmmaBody) replace() {
	mods, args := b.in.Mods, b.in.Args
	switch mods[0] {
	case "mma":
		b.product(mods, args)
	case "load":
		b.transfer(mods, &args[1], args[0].Elems, args[2:])
	case "store":
		b.transfer(mods, &args[0], args[1].Elems, args[2:])
	}
}

// transfer moves a fragment from or to memory.
func (b *wmmaBody) transfer(mods []string, at *ptx.Operand, fragment, stride []ptx.Operand) {
	matrix, name := mods[1], mods[len(mods)-1]
	t := map[string]ptx.Type{"f16": ptx.B16, "bf16": ptx.B16, "u8": ptx.B8, "s8": ptx.B8, "f64": ptx.B64}[name]
	if t == ptx.NoType { // tf32, f32, s32
		t = ptx.B32
	}
	factor, packed := name, 1 // the type of the factors of a sum of this type decides its shape
	if matrix != "a" && matrix != "b" {
		matrix, factor = "c", map[string]string{"s32": "s8", "f64": "f64"}[name]
		packed = 4 / t.Size()
		packed = max(packed, 1)
	}
	s := shapeOf(mods[5], factor)
	list := s.registers(matrix, packed)
	move := transfer{load: mods[0] == "load", rows: mods[4] == "row", t: t, space: b.space(mods), off: at.Off}
	move.leading = b.leading(matrix, s, move.rows, stride)
	b.lane()
	move.base = b.base(at)
	for i := range fragment {
		if (i < len(list) || move.load) && fragment[i].Kind != ptx.SinkOperand {
			b.access(&move, &fragment[i], list[i%len(list)])
		}
	}
}

// space is the modifier of a state space, if there is one.
func (b *wmmaBody) space(mods []string) []string {
	if len(mods) == 8 {
		return mods[6:7]
	}
	return nil
}

// leading is how many elements lie between two rows, or columns, in memory.
func (b *wmmaBody) leading(matrix string, s wmmaShape, rows bool, stride []ptx.Operand) ptx.Operand {
	if len(stride) > 0 {
		return stride[0]
	}
	if s.swapped {
		s.m, s.n = s.n, s.m
	}
	height, width := s.m, s.n
	switch matrix {
	case "a":
		width = s.k
	case "b":
		height = s.k
	}
	if rows {
		return constant(width)
	}
	return constant(height)
}

// transfer is how the spots of a fragment are found.
type transfer struct {
	load, rows    bool
	t             ptx.Type // of an element
	space         []string
	base, leading ptx.Operand
	off           int64
}

// access loads or stores what one register holds: at once where it lies together.
func (b *wmmaBody) access(m *transfer, r *ptx.Operand, elements []spot) {
	major, minor := func(e spot) linear { return e.row }, func(e spot) linear { return e.col }
	if !m.rows {
		major, minor = minor, major
	}
	together := len(elements) == 1 || minor(elements[0]).plus(1) == minor(elements[1])
	n, t := len(elements), m.t
	if together {
		t = map[int]ptx.Type{32: ptx.B32, 64: ptx.B64}[n*t.Bits()]
		n = 1
	}
	parts := ptx.Operand{Kind: ptx.VectorOperand}
	for range n {
		parts.Elems = append(parts.Elems, b.reg(t))
	}
	if n > 1 && !m.load {
		b.emit("mov.b32", parts, *r)
	}
	for i := range n {
		at := b.address(m, major(elements[i]), minor(elements[i]))
		value := *r
		if n > 1 {
			value = parts.Elems[i]
		}
		if m.load {
			b.emitTo("ld", m.space, t, value, at)
		} else {
			b.emitTo("st", m.space, t, at, value)
		}
	}
	if n > 1 && m.load {
		b.emit("mov.b32", *r, parts)
	}
}

// address is that of an element.
func (b *wmmaBody) address(m *transfer, major, minor linear) ptx.Operand {
	index := b.reg(ptx.U32)
	b.emit("mad.lo.u32", index, b.value(major), m.leading, b.value(minor))
	at := b.reg(m.base.Reg.Type)
	if m.base.Reg.Type.Bits() == 64 {
		b.emit("mad.wide.u32", at, index, constant(m.t.Size()), m.base)
	} else {
		b.emit("mad.lo.u32", at, index, constant(m.t.Size()), m.base)
	}
	return ptx.Operand{Kind: ptx.MemOperand, Reg: at.Reg, Off: m.off}
}

// value is a coordinate in a register.
func (b *wmmaBody) value(l linear) ptx.Operand {
	v := b.reg(ptx.U32)
	if l.place != 0 {
		b.emit("mad.lo.u32", v, b.place, constant(l.place), constant(l.c))
	} else {
		b.emit("add.u32", v, b.group, constant(l.c))
	}
	return v
}

// lane puts the lane's group and place in registers.
func (b *wmmaBody) lane() {
	id := b.reg(ptx.U32)
	b.group, b.place = b.reg(ptx.U32), b.reg(ptx.U32)
	b.emit("mov.u32", id, ptx.Operand{Kind: ptx.SpecialOperand, Special: "%laneid"})
	b.emit("shr.u32", b.group, id, constant(2))
	b.emit("and.b32", b.place, id, constant(3))
}

// base is the register of an address, into which a variable's is put.
func (b *wmmaBody) base(at *ptx.Operand) ptx.Operand {
	if at.Reg != nil {
		return ptx.Operand{Kind: ptx.RegOperand, Reg: at.Reg}
	}
	t, name := ptx.U64, "mov.u64"
	if at.Var.Space == ptx.SharedSpace {
		t, name = ptx.U32, "mov.u32"
	}
	v := b.reg(t)
	b.emit(name, v, ptx.Operand{Kind: ptx.VarOperand, Var: at.Var})
	return v
}

// product multiplies tile by tile.
func (b *wmmaBody) product(mods []string, args []ptx.Operand) {
	types := mods[6:]
	satfinite := types[0] == "satfinite"
	factor := "f16"
	for _, t := range types {
		if t == "bf16" || t == "tf32" || t == "u8" || t == "s8" || t == "f64" {
			factor = t
		}
	}
	s := shapeOf(mods[5], factor)
	d, first, second, c := args[0].Elems, args[1].Elems, args[2].Elems, args[3].Elems
	names := types[len(types)-min(len(types), 4):]
	if factor == "f16" {
		names = []string{types[0], "f16", "f16", types[1]}
	}
	if s.swapped {
		first, second = second, first
		names = []string{names[0], names[2], names[1], names[3]}
	}
	m := tiles{b: b, s: s, types: names, satfinite: satfinite, each: len(c) / (s.m / s.rows * s.n / 8), sum: ptx.B32}
	move := "mov.b32"
	if factor == "f64" {
		m.sum, move = ptx.B64, "mov.b64"
	}
	deepA, deepB := s.deep*s.rows/8, s.deep
	var results []ptx.Operand
	for i := range s.m / s.rows {
		for j := range s.n / 8 {
			n := i*(s.n/8) + j
			results = append(results, m.multiply(first[deepA*i:][:deepA], second[deepB*j:][:deepB], c[m.each*n:][:m.each])...)
		}
	}
	for i := range d {
		if d[i].Kind == ptx.RegOperand {
			b.emit(move, d[i], results[i])
		}
	}
}

// tiles are the parts of a product.
type tiles struct {
	b         *wmmaBody
	s         wmmaShape
	types     []string
	satfinite bool
	each      int      // registers of a sum
	sum       ptx.Type // of one
}

// multiply is one tile's product and sum.
func (m *tiles) multiply(first, second, sum []ptx.Operand) []ptx.Operand {
	shape, steps := map[string]string{"f16": "m16n8k16", "bf16": "m16n8k16", "tf32": "m16n8k8", "f64": "m8n8k4"}[m.types[1]], 1
	switch {
	case shape == "":
		shape = "m8n8k16"
	case m.types[1] == "f16" && m.b.cc < 80:
		shape, steps = "m16n8k8", 2
	}
	name := "mma.sync.aligned." + shape + ".row.col."
	if m.satfinite {
		name += "satfinite."
	}
	name += strings.Join(m.types, ".")
	for i := range steps {
		to := make([]ptx.Operand, m.each)
		for j := range to {
			to[j] = m.b.reg(m.sum)
		}
		a, f := len(first)/steps, len(second)/steps
		m.b.emit(name, vectorOf(to), vectorOf(first[a*i:][:a]), vectorOf(second[f*i:][:f]), vectorOf(sum))
		sum = to
	}
	return sum
}

func vectorOf(list []ptx.Operand) ptx.Operand {
	return ptx.Operand{Kind: ptx.VectorOperand, Elems: list}
}

func constant(n int) ptx.Operand { return ptx.Operand{Kind: ptx.IntOperand, Imm: uint64(n)} }

// reg makes a register.
func (b *wmmaBody) reg(t ptx.Type) ptx.Operand {
	r := &ptx.Reg{Name: "%wmma" + strconv.Itoa(len(b.e.Regs)), Type: t, Index: len(b.e.Regs)}
	b.e.Regs = append(b.e.Regs, r)
	return ptx.Operand{Kind: ptx.RegOperand, Reg: r}
}

// emit appends an instruction under the guard and in the place of the one that is
// replaced.
func (b *wmmaBody) emit(name string, args ...ptx.Operand) {
	parts := strings.Split(name, ".")
	b.e.Body = append(b.e.Body, &ptx.Instr{Guard: b.in.Guard, GuardNot: b.in.GuardNot, Op: parts[0], Mods: parts[1:], Args: args, Pos: b.in.Pos})
}

func (b *wmmaBody) emitTo(op string, space []string, t ptx.Type, args ...ptx.Operand) {
	b.emit(strings.Join(append(append([]string{op}, space...), t.String()), "."), args...)
}
