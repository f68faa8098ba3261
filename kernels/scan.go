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

	scanCounters = 16 // bytes of ticket memory before the published words: blocks that started, and that are done
)

// Scan appends the cumulative sums (OpSum) or products (OpProd) of in along an
// axis to the plan: element i of the result combines elements 0 to i. Operand 0
// is out, operand 1 in, of the same shape, in any layouts; they may be the same
// memory through the same layout. Elements are converted from t to u first, as
// by ReduceAs; float16 and bfloat16 are accumulated in float32, each result
// rounded once.
//
// It takes one launch, which reads and writes once; rows that lie across memory,
// where there is much of it, are copied to scratch memory and back.
func Scan(p *Plan, op Op, t, u Type, out, in Layout, axis int) error {
	if op != OpSum && op != OpProd {
		return fmt.Errorf("%v is not a cumulative operation; OpSum and OpProd are", op)
	}
	if err := checkReduction(op, t, u); err != nil {
		return err
	}
	if err := in.check("the operand of a scan"); err != nil {
		return err
	}
	if err := out.check("the output of a scan"); err != nil {
		return err
	}
	if !in.sameShape(&out) {
		return fmt.Errorf("a scan of shape %v gives that shape, not %v", in.shape(), out.shape())
	}
	if axis < 0 || axis >= in.Rank {
		return fmt.Errorf("a scan along axis %d of an operand with %d axes", axis, in.Rank)
	}
	if in.Len() == 0 {
		return nil
	}
	s := scanPlan{op: op, in: t, out: u, n: in.Shape[axis]}
	if acrossMemory(t, &out, &in, axis) {
		return planAcross(p, t, u, out, in, axis, func(work Layout, last int) error { return s.planRows(p, work, work, last) })
	}
	return s.planRows(p, out, in, axis)
}

// A scanPlan is what Scan is to plan.
type scanPlan struct {
	op      Op
	in, out Type
	n       int
}

// planRows plans the one launch.
func (s *scanPlan) planRows(p *Plan, out, in Layout, axis int) error {
	outStep, inStep := out.Strides[axis], in.Strides[axis]
	rows := newNest([]Layout{out, in})
	defer rows.release()
	rows.remove(axis)
	rows.sortByOutput()
	rows.coalesce()
	k := &scanKernel{op: s.op, in: s.in, out: s.out, lanes: 32, rounds: 1, warps: 1, kept: rows.rank}
	k.outAccess, k.inAccess = rows.access(0, outStep, s.out.Size()), rows.access(1, inStep, s.in.Size())
	k.geometry(s.n)
	tiles, count := ceilDiv(s.n, k.size()), rows.len()
	blocks := ceilDiv(count, k.groups())
	if k.split {
		blocks = count * tiles
	}
	if blocks > math.MaxInt32 || tiles > math.MaxInt32 {
		return fmt.Errorf("a scan of %d rows of %d elements is more than a grid can cover", count, s.n)
	}
	l := p.launch(k.key(), [3]uint32{uint32(blocks), 1, 1}, [3]uint32{uint32(k.threads()), 1, 1}, 0)
	l.pointer(0, rows.offsets[0]*s.out.Size())
	l.pointer(1, rows.offsets[1]*s.in.Size())
	l.value64(uint64(s.n))
	l.value32(uint32(count))
	l.value64(uint64(outStep * s.out.Size()))
	l.value64(uint64(inStep * s.in.Size()))
	if k.split {
		slots := 0 // of one row: a published aggregate for each tile, and for each whole group
		for n := tiles; n > 0; n /= 32 {
			slots += n
		}
		words := count * slots * (accumulator(s.op, s.in, s.out).Size() / 4)
		words += words & 1 // cleared two at a time
		p.Tickets = max(p.Tickets, uint64(scanCounters+8*words))
		l.pointer(TicketOperand, 0)
		l.value32(uint32(tiles))
		l.value32(uint32(slots))
		l.value64(uint64(words))
	}
	l.axes(rows, 0, rows.rank, false, []int{0, 1}, []int{s.out.Size(), s.in.Size()})
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
		name:     keyName,
		embed:    func() []string { return nil },
	}
}

func (k *scanKernel) key() string {
	return newKey("scan").word(k.op.String()).word(k.in.String()).word(k.out.String()).number("l", k.lanes).number("n", k.rounds).
		number("w", k.warps).number("o", k.outAccess).number("i", k.inAccess).number("k", k.kept).flag("split", k.split).String()
}

func parseScanKernel(key string) (*scanKernel, error) {
	r := readKey(key)
	k := &scanKernel{op: reduceOps[r.word(OpSum.String(), OpProd.String())], in: r.elem(), out: r.elem(), lanes: r.number("l", 32), rounds: r.number("n", scanRounds),
		warps: r.number("w", scanWarps), outAccess: r.number("o", 16), inAccess: r.number("i", 16), kept: r.number("k", MaxRank), split: r.flag("split")}
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
		k.outAccess < k.out.Size() || k.inAccess < k.in.Size() || k.key() != key {
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
