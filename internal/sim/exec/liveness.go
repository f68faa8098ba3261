package exec

import (
	"fmt"
	"math/bits"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Liveness of an entry's registers: which may be read before they are written,
// and from which instruction to which each holds a value, so that registers
// whose lives do not meet share a row. PTX has a new register for every value;
// a wave's rows should fit the cache.

// lives is what is known of the registers.
type lives struct {
	from, to  []int  // first and last instruction of the body at which register i holds a value or is named
	undefined []int  // registers that some path reads before it writes them
	first     []int  // where register i is first named
	named     []bool // registers that occur
}

// bodyBlock is a straight piece of the body: instructions [from, to).
type bodyBlock struct {
	from, to int
	next     []int // successors
	in, out  bitset
	use, def bitset // registers read before written here, and written
}

type bitset []uint64

func (b bitset) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }
func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }

// each calls f for what is in the set.
func (b bitset) each(f func(i int)) { b.news(make(bitset, len(b)), f) }

// news calls f for what is in the set and not in seen, and puts it there.
func (b bitset) news(seen bitset, f func(i int)) {
	for w, v := range b {
		for v &^= seen[w]; v != 0; v &= v - 1 {
			f(64*w + bits.TrailingZeros64(v))
		}
		seen[w] |= b[w]
	}
}

// registerLives analyses the entry, whose instructions have the given forms.
func registerLives(e *ptx.Entry, forms []*ptx.Form) (*lives, error) {
	blocks := bodyBlocks(e)
	words := (len(e.Regs) + 63) / 64
	if len(blocks)*words > 1<<24 {
		return nil, &DecodeError{e.Pos, e.Name, fmt.Sprintf("%d registers and %d blocks of instructions are more than the simulated device takes", len(e.Regs), len(blocks))}
	}
	l := &lives{from: make([]int, len(e.Regs)), to: make([]int, len(e.Regs)), first: make([]int, len(e.Regs)), named: make([]bool, len(e.Regs))}
	for i := range blocks {
		b := &blocks[i]
		all := make(bitset, 4*words)
		b.in, b.out, b.use, b.def = all[:words], all[words:2*words], all[2*words:3*words], all[3*words:]
		for j := b.from; j < b.to; j++ {
			l.instr(b, e.Body[j], forms[j], j)
		}
	}
	if !flowBack(blocks, words) {
		return nil, &DecodeError{e.Pos, e.Name, fmt.Sprintf("the branches between its %d blocks of instructions are more entangled than the simulated device takes", len(blocks))}
	}
	l.extend(blocks, words)
	if len(blocks) > 0 {
		blocks[0].in.each(func(r int) { l.undefined = append(l.undefined, r) })
	}
	return l, nil
}

// extend makes lives reach to the starts and ends of blocks at which registers
// hold values. Of the blocks in order, the first for each register is the earliest.
func (l *lives) extend(blocks []bodyBlock, words int) {
	seen := make(bitset, words)
	for i := range blocks {
		b := &blocks[i]
		b.in.news(seen, func(r int) { l.from[r] = min(l.from[r], b.from) })
		b.out.news(seen, func(r int) { l.from[r] = min(l.from[r], b.to-1) })
	}
	clear(seen)
	for i := len(blocks) - 1; i >= 0; i-- {
		b := &blocks[i]
		b.out.news(seen, func(r int) { l.to[r] = max(l.to[r], b.to-1) })
		b.in.news(seen, func(r int) { l.to[r] = max(l.to[r], b.from) })
	}
}

// instr notes what an instruction reads and writes. A guarded write leaves the
// old value in some lanes, so it ends no life.
func (l *lives) instr(b *bodyBlock, in *ptx.Instr, f *ptx.Form, at int) {
	read := func(r *ptx.Reg) {
		if r != nil {
			l.name(r, at)
			if !b.def.has(r.Index) {
				b.use.add(r.Index)
			}
		}
	}
	specs := f.Specs(len(in.Args))
	read(in.Guard)
	for i := range in.Args {
		if o := &in.Args[i]; specs[i].Dst && o.Kind != ptx.MemOperand {
			if specs[i].Src {
				operandRegs(o, read)
			}
			continue
		}
		operandRegs(&in.Args[i], read)
	}
	for i := range in.Args {
		if o := &in.Args[i]; specs[i].Dst && o.Kind != ptx.MemOperand {
			operandRegs(o, func(r *ptx.Reg) {
				l.name(r, at)
				if in.Guard == nil {
					b.def.add(r.Index)
				}
			})
		}
	}
}

// operandRegs calls f for the registers of an operand.
func operandRegs(o *ptx.Operand, f func(r *ptx.Reg)) {
	if o.Reg != nil {
		f(o.Reg)
	}
	if o.Pair != nil {
		f(o.Pair)
	}
	for i := range o.Elems {
		operandRegs(&o.Elems[i], f)
	}
}

func (l *lives) name(r *ptx.Reg, at int) {
	if !l.named[r.Index] {
		l.named[r.Index] = true
		l.from[r.Index], l.first[r.Index] = at, at
	}
	l.from[r.Index] = min(l.from[r.Index], at)
	l.to[r.Index] = max(l.to[r.Index], at)
}

// bodyBlocks cuts the body at labels and after branches and ends.
func bodyBlocks(e *ptx.Entry) []bodyBlock {
	n := len(e.Body)
	starts := make([]bool, n+1)
	starts[0] = true
	for _, l := range e.Labels {
		if l.At >= 0 && l.At <= n {
			starts[l.At] = true
		}
	}
	for i, in := range e.Body {
		if ends(in) {
			starts[i+1] = true
		}
	}
	var blocks []bodyBlock
	index := make([]int, n+1)
	for i := range n {
		if starts[i] {
			blocks = append(blocks, bodyBlock{from: i})
		}
		index[i] = len(blocks) - 1
		blocks[len(blocks)-1].to = i + 1
	}
	for i := range blocks {
		b := &blocks[i]
		last := e.Body[b.to-1]
		if falls := !ends(last) || last.Guard != nil; falls && b.to < n {
			b.next = append(b.next, i+1)
		}
		for _, at := range targets(last) {
			if at < n {
				b.next = append(b.next, index[at])
			}
		}
	}
	return blocks
}

// ends reports whether an instruction ends a straight piece.
func ends(in *ptx.Instr) bool {
	return in.Op == "bra" || in.Op == "brx" || in.Op == "ret" || in.Op == "exit" || in.Op == "trap"
}

// targets are where a branch may go.
func targets(in *ptx.Instr) []int {
	var list []int
	switch in.Op {
	case "bra":
		list = append(list, in.Args[0].Label.At)
	case "brx":
		for _, o := range in.Args[1].Elems {
			list = append(list, o.Label.At)
		}
	}
	return list
}

// mostFlow bounds the words of sets that flowBack looks at, against control flow
// that is made to keep it busy.
const mostFlow = 1 << 29

// flowBack finds what is live at each block's start and end; it reports whether
// that could be done.
func flowBack(blocks []bodyBlock, words int) bool {
	order, left := afterSuccessors(blocks), mostFlow
	for changed := true; changed; {
		changed = false
		for _, i := range order {
			b := &blocks[i]
			if left -= words * (1 + len(b.next)); left < 0 {
				return false
			}
			for _, n := range b.next {
				for w, v := range blocks[n].in {
					b.out[w] |= v
				}
			}
			for w := range b.in {
				if v := b.use[w] | b.out[w]&^b.def[w]; v != b.in[w] {
					b.in[w] = v
					changed = true
				}
			}
		}
		slices.Reverse(order) // the way back takes along what goes around many loops
	}
	return true
}

// afterSuccessors is an order of the blocks in which each comes after those that
// it leads to, but for loops, whatever their order in the text is.
func afterSuccessors(blocks []bodyBlock) []int {
	type visit struct{ block, next int }
	var order []int
	var stack []visit
	seen := make([]bool, len(blocks))
	for root := range blocks {
		if seen[root] {
			continue
		}
		seen[root] = true
		stack = append(stack, visit{root, 0})
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if top.next == len(blocks[top.block].next) {
				order = append(order, top.block)
				stack = stack[:len(stack)-1]
				continue
			}
			n := blocks[top.block].next[top.next]
			if top.next++; !seen[n] {
				seen[n] = true
				stack = append(stack, visit{n, 0})
			}
		}
	}
	return order
}

// rows gives out slots while the body is decoded in order, and takes back
// those of registers that hold nothing any more.
type rows struct {
	lives *lives
	share bool
	order []int         // registers by the end of their lives
	begin map[int][]int // registers whose life begins before they are named, by where it does
	done  int           // of order
	free  [2][]slot
}

func newRows(l *lives) *rows {
	r := &rows{lives: l, share: len(l.undefined) == 0, begin: map[int][]int{}}
	for i, named := range l.named {
		if named {
			r.order = append(r.order, i)
			if l.from[i] < l.first[i] {
				r.begin[l.from[i]] = append(r.begin[l.from[i]], i)
			}
		}
	}
	slices.SortFunc(r.order, func(a, b int) int { return l.to[a] - l.to[b] })
	return r
}

// reclaim takes back what ended before instruction at. Rows that are filled
// before the kernel runs belong to no register.
func (r *rows) reclaim(d *decoder, at int) {
	if !r.share {
		return
	}
	for ; r.done < len(r.order) && r.lives.to[r.order[r.done]] < at; r.done++ {
		reg := d.e.Regs[r.order[r.done]]
		s := d.regs[reg.Index]
		if s == noSlot || reg.Type == ptx.Pred || d.isFilled(s) {
			continue
		}
		wide := reg.Type.Bits() / 64
		r.free[wide] = append(r.free[wide], s)
	}
}

// take finds a free slot for a type.
func (r *rows) take(t ptx.Type) (slot, bool) {
	f := &r.free[t.Bits()/64]
	if t == ptx.Pred || len(*f) == 0 {
		return noSlot, false
	}
	s := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return s, true
}
