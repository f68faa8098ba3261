package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// Blocks that share a result and leave one partial result each publish it in
// words of ticket memory. The block that started last waits for all of them and
// combines them, in the order of their places: nobody else waits, not even for
// its own stores, and what the last one waits for are blocks that run.
//
// A word is 32 bits of a partial result, and 1 above them: value and mark come in
// one access, so that no order between accesses is needed.

// publishedPerThread is the number of partial results that a thread of the last
// block combines.
const publishedPerThread = 8

// A board is that protocol in a kernel.
type board struct {
	r       *reducer
	tickets *ptx.Var // one for each group of blocks: how many have started
	words   *ptx.Var
	parts   *ptx.Var // blocks that share a result
	last    *ptx.Var // shared memory that says whether this block started last
	before  *ptx.Reg // in the first thread: how many of the group started before
	most    *ptx.Reg
}

// declareBoard adds the parameters, in the order of split.publish.
func declareBoard(r *reducer) *board {
	b := r.b
	return &board{r: r, tickets: b.Param("tickets", ptx.U64), words: b.Param("words", ptx.U64), parts: b.Param("parts", ptx.U32), last: b.Shared("last", ptx.U32, 4, 1)}
}

// publish takes room for the words of rows results, whose fields have the sizes
// given, and adds the arguments.
func (s split) publish(p *Plan, l *Launch, rows int, fields ...int) {
	counters := roundUp16(4 * rows)
	p.Tickets = max(p.Tickets, uint64(counters+s.publishedBytes(rows, fields...)))
	l.pointer(TicketOperand, 0)
	l.pointer(TicketOperand, counters)
	l.value32(uint32(s.parts))
}

func (s split) publishedBytes(rows int, fields ...int) int {
	bytes := 0
	for _, size := range fields {
		bytes += 2 * size * s.parts * rows
	}
	return bytes
}

func roundUp16(n int) int { return (n + 15) &^ 15 }

// start counts the block among its group's.
func (d *board) start(group *ptx.Reg) {
	b, skip := d.r.b, d.r.b.NewLabel("counted")
	d.most, d.before = b.Op("sub.u32", b.Ld(d.parts), 1), b.Reg(ptx.U32)
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), skip)
	b.Do("atom.relaxed.gpu.global.inc.u32", d.before, b.At(b.Op("mad.wide.u32", group, 4, b.Ld(d.tickets)), 0), d.most)
	b.Bind(skip)
}

// tell lets the block's threads know, behind the next barrier, which one it is.
func (d *board) tell() {
	b, skip := d.r.b, d.r.b.NewLabel("told")
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), skip)
	b.Do("st.shared.u32", b.At(b.Addr(d.last), 0), b.Op("selp.u32", 1, 0, b.Op("setp.eq.u32", d.before, d.most)))
	b.Bind(skip)
}

// wordAt returns the address of a place's first word; the words of one place lie
// side by side.
func (d *board) wordAt(place *ptx.Reg) *ptx.Reg {
	size := 0
	for _, f := range d.r.fields(partial{}) {
		size += 2 * f.typ.Size()
	}
	return d.r.b.Op("mad.wide.u32", place, size, d.r.b.Ld(d.words))
}

// publish stores a partial result where the predicate holds. All blocks but the
// last then leave the kernel at exit.
func (d *board) publish(pred, place *ptx.Reg, p partial, exit *ptx.Label) {
	b, mark, at, i := d.r.b, d.r.b.Op("mov.b32", 1), d.wordAt(place), int64(0)
	for _, f := range d.r.fields(p) {
		for _, half := range halves(b, f.reg) {
			word := b.Reg(ptx.U64)
			b.Do("mov.b64", word, b.Vec(half, mark))
			b.DoIf(pred, "st.relaxed.gpu.global.u64", b.At(at, i), word)
			i += 8
		}
	}
	b.BraIf(b.Op("setp.eq.u32", b.Op("ld.shared.u32", b.At(b.Addr(d.last), 0)), 0), exit)
}

// halves returns the 32-bit parts of a value, the low one first.
func halves(b *ptx.Builder, v *ptx.Reg) []*ptx.Reg {
	if v.Type.Bits() == 32 {
		return []*ptx.Reg{b.Op("mov.b32", v)}
	}
	rs := b.Regs(ptx.B32, 2)
	b.Do("mov.b64", b.Vec(rs[0], rs[1]), v)
	return rs
}

// combine returns what the thread with number worker contributes to the result:
// its published places, all of which it clears.
func (d *board) combine(row, worker *ptx.Reg) partial {
	b, r := d.r.b, d.r
	first := b.Op("mul.lo.u32", worker, publishedPerThread)
	place := b.Op("mad.lo.u32", row, b.Ld(d.parts), first)
	at := d.wordAt(place)
	ps, theirs := make([]partial, publishedPerThread), make([]*ptx.Reg, publishedPerThread)
	for i := range ps {
		theirs[i] = b.Op("setp.lt.u32", addConst(b, first, i), b.Ld(d.parts))
		ps[i] = r.newPartial(r.never())
	}
	each := int64(0)
	for _, f := range r.fields(partial{}) {
		each += int64(2 * f.typ.Size())
	}
	far := int64(0) // of a word within its place
	for k, f := range r.fields(partial{}) {
		words := f.typ.Size() / 4
		parts := make([][]*ptx.Reg, publishedPerThread)
		for range words {
			for i, half := range d.await(at, far, each, theirs) {
				parts[i] = append(parts[i], half)
			}
			far += 8
		}
		for i := range ps {
			to := r.fields(ps[i])[k].reg
			value := b.Reg(to.Type)
			if words == 1 {
				b.Do("mov.b32", value, parts[i][0])
			} else {
				b.Do("mov.b64", value, b.Vec(parts[i][0], parts[i][1]))
			}
			b.DoIf(theirs[i], "mov.b"+map[int]string{1: "32", 2: "64"}[words], to, value)
		}
	}
	zero := b.Op("mov.u64", 0)
	for i := range ps {
		for w := int64(0); w < each; w += 8 {
			b.DoIf(theirs[i], "st.relaxed.gpu.global.u64", b.At(at, int64(i)*each+w), zero)
		}
	}
	return r.fold(ps)
}

// await waits for a word of each of the thread's places, and returns their lower
// halves.
func (d *board) await(at *ptx.Reg, far, each int64, theirs []*ptx.Reg) []*ptx.Reg {
	b := d.r.b
	low, mark := b.Regs(ptx.B32, len(theirs)), b.Regs(ptx.B32, len(theirs))
	words := b.Regs(ptx.U64, len(theirs))
	again := b.NewLabel("await")
	for i := range theirs {
		b.Do("mov.u64", words[i], int64(1)<<32)
	}
	b.Bind(again)
	for i, w := range words {
		b.DoIf(theirs[i], "ld.relaxed.gpu.global.u64", w, b.At(at, int64(i)*each+far))
	}
	all := b.Op("mov.b32", 1)
	for i, w := range words {
		b.Do("mov.b64", b.Vec(low[i], mark[i]), w)
		all = b.Op("and.b32", all, mark[i])
	}
	b.BraIf(b.Op("setp.eq.u32", all, 0), again)
	return low
}
