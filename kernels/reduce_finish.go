package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// Blocks that share a result leave partial results in scratch memory; the last
// of them to arrive combines those, in the order of their places.

// A finish is that protocol in a kernel.
type finish struct {
	r       *reducer
	fields  []*ptx.Var // of partial results, each [group][place][column]
	tickets *ptx.Var   // one for each group of blocks
	parts   *ptx.Var   // blocks that share a result
	lines   *ptx.Var   // places a group has room for
	columns *ptx.Reg   // results in a group's line; nil means 1
	last    *ptx.Var   // shared memory that says whether this block came last
	fan     int        // partial results that a thread combines at once
}

// partialFan is the usual fan, wideFan that of columns where registers suffice, and
// momentsFan that of moments, which take more of them.
const partialFan, wideFan, momentsFan = 8, 16, 4

// declareFinish adds the parameters, in the order of split.scratch.
func declareFinish(r *reducer, fan int) *finish {
	b := r.b
	f := &finish{r: r, tickets: b.Param("tickets", ptx.U64), fan: fan}
	for _, field := range r.fields(partial{}) {
		f.fields = append(f.fields, b.Param("partial_"+field.name, ptx.U64))
	}
	f.parts, f.lines = b.Param("parts", ptx.U32), b.Param("lines", ptx.U32)
	f.last = b.Shared("last", ptx.U32, 4, 1)
	return f
}

// place returns the index of a place in the partial results.
func (f *finish) place(line, column *ptx.Reg) *ptx.Reg {
	if f.columns == nil {
		return line
	}
	return f.r.b.Op("mad.lo.u32", line, f.columns, column)
}

func (f *finish) address(base *ptx.Var, i *ptx.Reg, size int) ptx.Operand {
	b := f.r.b
	return b.At(b.Op("mad.wide.u32", i, size, b.Ld(base)), 0)
}

func (f *finish) store(pred, i *ptx.Reg, p partial) {
	for k, x := range f.r.fields(p) {
		f.r.b.DoIf(pred, "st.global"+x.suffix, f.address(f.fields[k], i, x.typ.Size()), x.reg)
	}
}

func (f *finish) load(pred, i *ptx.Reg, p partial) {
	for k, x := range f.r.fields(p) {
		f.r.b.DoIf(pred, "ld.global"+x.suffix, x.reg, f.address(f.fields[k], i, x.typ.Size()))
	}
}

// arrive publishes what the block stored, and goes on in the last of the group's
// blocks alone; others leave the kernel at exit. ticket numbers the group.
func (f *finish) arrive(ticket, blocks *ptx.Reg, exit *ptx.Label) {
	b := f.r.b
	b.Do("bar.sync", 0)
	skip := b.NewLabel("arrived")
	b.BraIf(b.Op("setp.ne.u32", b.Special("%tid.x"), 0), skip)
	// The barrier orders the block's stores before this thread, the release orders
	// them before the ticket. Only who comes last needs the fence, which empties
	// the level-1 cache under blocks that still load. The counter wraps to zero
	// at the last block, so it is ready for the next launch.
	most := b.Op("sub.u32", blocks, 1)
	before := b.Op("atom.release.gpu.global.inc.u32", b.At(b.Op("mad.wide.u32", ticket, 4, b.Ld(f.tickets)), 0), most)
	last := b.Op("setp.eq.u32", before, most)
	b.DoIf(last, "fence.acq_rel.gpu")
	b.Do("st.shared.u32", b.At(b.Addr(f.last), 0), b.Op("selp.u32", 1, 0, last))
	b.Bind(skip)
	b.Do("bar.sync", 0)
	b.BraIf(b.Op("setp.eq.u32", b.Op("ld.shared.u32", b.At(b.Addr(f.last), 0)), 0), exit)
}

// foldLines loads 'fan' neighbouring lines from first on and folds them; lines at
// end and beyond count as absent.
func (f *finish) foldLines(first, end, column *ptx.Reg) partial {
	b := f.r.b
	ps := make([]partial, f.fan)
	for i := range ps {
		line := first
		if i > 0 {
			line = b.Op("add.u32", first, i)
		}
		ps[i] = f.r.newPartial(f.r.never())
		f.load(b.Op("setp.lt.u32", line, end), f.place(line, column), ps[i])
	}
	return f.r.fold(ps)
}

// never is a position behind every other.
func (r *reducer) never() *ptx.Reg {
	if !isArg(r.op) {
		return nil
	}
	return r.b.Op(r.pos("mov"), -1)
}

// combine returns, for each of the columns, what the thread with number worker
// of n contributes to the result: neighbouring workers hold neighbouring nodes
// of the tree. group is the first of the group's lines; insides say which columns
// there are (nil: the one there is).
func (f *finish) combine(group, lines *ptx.Reg, columns, insides []*ptx.Reg, worker *ptx.Reg, n int) []partial {
	b := f.r.b
	first, count := b.Reg(ptx.U32), b.Reg(ptx.U32)
	b.Do("mov.u32", first, group)
	b.Do("mov.u32", count, lines)
	again, done := b.NewLabel("again"), b.NewLabel("few")
	b.Bind(again)
	b.BraIf(b.Op("setp.le.u32", count, f.fan*n), done)
	next := b.Op("add.u32", first, count)
	rest := b.Op("shr.u32", b.Op("add.u32", count, f.fan-1), log2(f.fan))
	f.pass(first, count, next, rest, columns, insides, worker, n)
	b.Do("mov.u32", first, next)
	b.Do("mov.u32", count, rest)
	b.Do("bar.sync", 0)
	b.Bra(again)
	b.Bind(done)
	end := b.Op("add.u32", first, count)
	line := b.Op("mad.lo.u32", worker, f.fan, first)
	ps := make([]partial, len(columns))
	for i, c := range columns {
		ps[i] = f.foldLines(line, end, c)
	}
	return ps
}

// pass combines count lines from first on, fan by fan, into rest lines from next on.
func (f *finish) pass(first, count, next, rest *ptx.Reg, columns, insides []*ptx.Reg, worker *ptx.Reg, n int) {
	b := f.r.b
	end := b.Op("add.u32", first, count)
	i := b.Reg(ptx.U32)
	b.Do("mov.u32", i, worker)
	loop, done := b.NewLabel("pass"), b.NewLabel("passed")
	b.Bind(loop)
	b.BraIf(b.Op("setp.ge.u32", i, rest), done)
	for j, c := range columns {
		p := f.foldLines(b.Op("mad.lo.u32", i, f.fan, first), end, c)
		f.store(insides[j], f.place(b.Op("add.u32", next, i), c), p)
	}
	b.Do("add.u32", i, i, n)
	b.Bra(loop)
	b.Bind(done)
}
