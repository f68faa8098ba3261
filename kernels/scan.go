package kernels

import (
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// The order of a scan. A row is cut into tiles of 8192 elements, a tile into 8
// stretches of 1024, a stretch into 8 segments of 128, a segment into 32 runs of
// 4. Element i of a row is
//
//	((((tiles + stretches) + segments) + runs) + run)
//
// where each term combines what lies before i within the next larger piece:
// 'run' the elements of its run up to i, one after the other; 'runs' the runs
// before it in its segment, in a Kogge-Stone scan; 'segments' and 'stretches'
// those before it, one after the other; 'tiles' the tiles before it: they form
// groups of 32, groups of 32 groups and so on, each combined pairwise,
// neighbours first, and what lies before a tile is at most 31 members of a group
// at each level, combined in the same way, then from the smallest groups to the
// largest. So the result depends on the length of the row alone.
const (
	scanRun     = 4
	scanSegment = 32 * scanRun
	scanRounds  = 8
	scanWarps   = 8
	scanTile    = scanSegment * scanRounds * scanWarps

	scanAhead  = 3 << 20  // bytes that are on their way into L2 before a block asks for them: about what memory sends while one waits for its first
	scanCached = 64 << 20 // no row of fewer bytes is prefetched: L2 may have all of it

	scanCounters = 16 // bytes of ticket memory before the published words: blocks that started, and that are done
)

// Scan appends the cumulative sums (OpSum) or products (OpProd) of in along an
// axis to the plan: element i of the result combines elements 0 to i. Operand 0
// is out, operand 1 in, of the same shape, in any layouts; they may be the same
// memory through the same layout. Elements are converted from t to u first, as
// by ReduceAs; float16 and bfloat16 are accumulated in float32, each result
// rounded once.
//
// It takes one launch, which reads and writes once, or as many as rows of which there
// are more than one can number need; rows that lie across memory, where there is much
// of it, are copied to scratch memory and back.
func Scan(p *Plan, op Op, t, u Type, out, in Layout, axis int) error {
	r := newReduction(op, u)
	defer r.release()
	e, ins := r.single(t, in)
	return r.planScan(p, e, out, ins, axis)
}

// ScanExpr is Scan of the values of an expression, converted to u, whose operand i has
// the layout in[i-1] (see [ReduceExpr]). The result is, bit for bit, that of evaluating
// e first. It takes one launch or is ErrApart.
func ScanExpr(p *Plan, op Op, e *Expr, u Type, out Layout, in []Layout, axis int) error {
	q := p.ask(planScanOf, uint64(op)|uint64(u)<<8, uint64(axis))
	if q.of(e, &out, in); q.answered() {
		return nil
	}
	return q.remember(scanExpr(p, op, e, u, out, in, axis))
}

func scanExpr(p *Plan, op Op, e *Expr, u Type, out Layout, in []Layout, axis int) error {
	r := newReduction(op, u)
	defer r.release()
	return r.planScan(p, e, out, in, axis)
}

func (r *reduction) planScan(p *Plan, e *Expr, out Layout, in []Layout, axis int) error {
	if r.op != OpSum && r.op != OpProd {
		return fmt.Errorf("%v is not a cumulative operation; OpSum and OpProd are", r.op)
	}
	if err := checkExpr("a scan", e, in); err != nil {
		return err
	}
	t, u := valueType(e), r.out
	if err := checkReduction(r.op, t, u); err != nil {
		return err
	}
	if err := out.check("the output of a scan"); err != nil {
		return err
	}
	if err := checkAlong("a scan", &out, in, axis); err != nil || out.Len() == 0 {
		return err
	}
	if across := crossMemory(e, &out, in, axis); across && len(e.Nodes) == 1 {
		op := r.op
		return planAcross(p, t, u, out, in[0], axis, func(work Layout, last int) error { return scanRows(p, op, t, u, work, last) })
	} else if across {
		return ErrApart
	}
	return r.planScanRows(p, e, &out, in, axis)
}

// scanRows plans the one launch of a scan in place.
func scanRows(p *Plan, op Op, t, u Type, work Layout, axis int) error {
	r := newReduction(op, u)
	defer r.release()
	e, in := r.single(t, work)
	return r.planScanRows(p, e, &work, in, axis)
}

// mostScanRows is how many rows a launch numbers. A variable for tests.
var mostScanRows = math.MaxInt32

// planScanHalves plans a scan of more rows than that: half of them, then the others.
func (r *reduction) planScanHalves(p *Plan, out, in Layout, axis int) error {
	longest := -1
	for i, d := range out.Shape[:out.Rank] {
		if i != axis && (longest < 0 || d > out.Shape[longest]) {
			longest = i
		}
	}
	op, t, u := r.op, r.in(), r.out
	part := func(from, to int) step {
		return step{[]operandPlace{{0, 0}, {1, 0}}, func() error {
			o, i := out, in
			for _, l := range []*Layout{&o, &i} {
				l.Shape[longest] = to - from
				l.Offset += from * l.Strides[longest]
			}
			r := newReduction(op, u)
			defer r.release()
			e, ins := r.single(t, i)
			return r.planScanRows(p, e, &o, ins, axis)
		}}
	}
	half := out.Shape[longest] / 2
	return p.steps(part(0, half), part(half, out.Shape[longest]))
}

// planScanRows plans the one launch.
func (r *reduction) planScanRows(p *Plan, e *Expr, out *Layout, in []Layout, axis int) error {
	outStep := r.alongRows(e, out, in, axis)
	if r.outputs() > mostScanRows {
		if len(e.Nodes) > 1 {
			return ErrApart
		}
		return r.planScanHalves(p, *out, in[0], axis)
	}
	k := &scanKernel{op: r.op, in: r.in(), out: r.out, lanes: 32, rounds: 1, warps: 1, kept: r.kept.rank}
	k.outAccess, k.inAccess = r.kept.access(0, outStep, r.sizes[0]), r.walkForms(scanRun)
	k.source = r.source
	k.geometry(r.n)
	if r.tooHeavy(scanRun * k.rounds) {
		return ErrApart
	}
	if r.canHold(p, k) {
		r.planHeld(p)
		return nil
	}
	tiles, count := ceilDiv(r.n, k.size()), r.outputs()
	blocks := ceilDiv(count, k.groups())
	if k.split {
		blocks = count * tiles
	}
	if blocks > math.MaxInt32 || tiles > math.MaxInt32 {
		return fmt.Errorf("a scan of %d rows of %d elements is more than a grid can cover", count, r.n)
	}
	before := *p
	l := p.launch(k.key(), [3]uint32{uint32(blocks), 1, 1}, [3]uint32{uint32(k.threads()), 1, 1}, 0)
	r.pointers(l)
	l.value64(uint64(r.n))
	l.value32(uint32(count))
	l.value64(uint64(outStep * r.sizes[0]))
	r.rowSteps(l)
	r.constants(l)
	if k.split {
		slots := 0 // of one row: a published aggregate for each tile, and for each whole group
		for n := tiles; n > 0; n /= 32 {
			slots += n
		}
		words := count * slots * (r.accumulator().Size() / 4)
		words += words & 1 // cleared two at a time
		p.Tickets = max(p.Tickets, uint64(scanCounters+8*words))
		l.pointer(TicketOperand, 0)
		l.value32(uint32(tiles))
		l.value32(uint32(slots))
		l.value64(uint64(words))
	}
	ks, sizes := r.operands(0, contiguous, strided, scalar)
	l.axes(&r.kept, 0, r.kept.rank, false, ks, sizes)
	if l.paramBytes() > maxParamBytes {
		p.Launches, p.Scratch, p.Tickets = before.Launches, before.Scratch, before.Tickets
		return ErrApart
	}
	return nil
}

// access returns the bytes in which operand k's rows can be accessed whose
// elements are step apart.
func (n *nest) access(k, step, size int) int {
	if step != 1 {
		return size
	}
	all := n.offsets[k]*size | 16
	for _, d := range n.strides[k][:n.rank] {
		all |= d * size
	}
	return all & -all
}

// A scanKernel has 'lanes' threads for a segment; a warp takes 'rounds' segments,
// 'warps' of them a row. Blocks with one warp to a row, or less, take several
// rows. With split, rows are longer than a block's tile.
type scanKernel struct {
	source
	op                   Op
	in, out              Type
	lanes, rounds, warps int
	outAccess, inAccess  int // bytes
	kept                 int // axes
	split                bool
}

// geometry chooses the smallest block that holds a row.
func (k *scanKernel) geometry(n int) {
	switch {
	case n <= scanSegment:
		k.lanes = ceilPow2(ceilDiv(n, scanRun))
	case n <= scanTile:
		k.rounds = min(ceilPow2(ceilDiv(n, scanSegment)), scanRounds)
		k.warps = ceilPow2(ceilDiv(n, scanSegment*scanRounds))
	default:
		k.rounds, k.warps, k.split = scanRounds, scanWarps, true
	}
}

// threads returns the threads of a block, groups how many rows it takes.
func (k *scanKernel) threads() int {
	if k.warps == 1 {
		return 128
	}
	return 32 * k.warps
}

func (k *scanKernel) groups() int { return k.threads() / (k.lanes * k.warps) }

func scanFamily() family {
	return family{
		prefix:   "scan",
		generate: generateScan,
		name:     sourceName,
		embed:    func() []string { return nil },
	}
}

func (k *scanKernel) key() string {
	return newKey("scan").word(k.op.String()).word(k.in.String()).word(k.out.String()).number("l", k.lanes).number("n", k.rounds).
		number("w", k.warps).number("o", k.outAccess).number("i", k.inAccess).number("k", k.kept).flag("split", k.split).source(&k.source).String()
}

func parseScanKernel(key string) (*scanKernel, error) {
	r := readKey(key)
	k := &scanKernel{op: reduceOps[r.word(OpSum.String(), OpProd.String())], in: r.elem(), out: r.elem(), lanes: r.number("l", 32), rounds: r.number("n", scanRounds),
		warps: r.number("w", scanWarps), outAccess: r.number("o", 16), inAccess: r.number("i", 128), kept: r.number("k", MaxRank), split: r.flag("split")}
	k.source = r.source(k.in, contiguous)
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkReduction(k.op, k.in, k.out); err != nil {
		return nil, err
	}
	for _, n := range []int{k.lanes, k.rounds, k.warps, k.outAccess, k.inAccess} {
		if n < 1 || n&(n-1) != 0 {
			return nil, fmt.Errorf("kernel key %q: sizes must be powers of two", key)
		}
	}
	if k.lanes < 32 && k.rounds*k.warps > 1 || k.warps > 1 && k.rounds != scanRounds || k.split && k.warps != scanWarps ||
		k.outAccess < k.out.Size() || k.inAccess < k.in.Size() || k.plain() && k.inAccess > 16 || k.key() != key {
		return nil, fmt.Errorf("kernel key %q: such a block is not possible", key)
	}
	return k, nil
}

func generateScan(key string, target int) (*ptx.Module, error) {
	k, err := parseScanKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}
