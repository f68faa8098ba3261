package kernels

import (
	"fmt"
	"math"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// StatusOperand is the operand number of a plan's status cell: a 64-bit number that
// is 0 before the plan runs. Afterwards it says what was wrong with the operands'
// values: 0 that nothing was, else see the planning function.
const StatusOperand = -3

// Take appends the elements of in (operand 1) at the positions along an axis that
// index (operand 2, of type Int64) has, to the plan: operand 0 is contiguous and has
// in's shape, with index's in the place of the axis, as TakeShape returns it.
// Positions below 0 count from the end of the axis. Where one is out of range the
// result is 0, and the plan's status cell becomes ^p, where p is the smallest
// place of such a one in index, in row-major order and counted from first on, so that
// several takes may share a cell.
//
// Bits are copied as they are: kernels depend on the bytes that may be copied at
// once. It takes one launch.
func Take(p *Plan, t Type, in Layout, axis int, index Layout, first int) error {
	if !t.valid() {
		return &UnsupportedError{"take", t}
	}
	if err := in.check("the operand of take"); err != nil {
		return err
	}
	if err := index.check("the indices of take"); err != nil {
		return err
	}
	shape, err := TakeShape(&in, axis, &index)
	if err != nil {
		return err
	}
	if shape.Len() == 0 {
		return nil
	}
	n := takeNest(&shape, &in, axis, &index)
	defer n.release()
	return planTake(p, n, taking{size: t.Size(), length: in.Shape[axis], step: in.Strides[axis], first: first, cache: takeCache})
}

// TakeShape returns the layout of Take's result.
func TakeShape(in *Layout, axis int, index *Layout) (Layout, error) {
	if axis < 0 || axis >= in.Rank {
		return Layout{}, fmt.Errorf("take along axis %d of an operand with %d axes", axis, in.Rank)
	}
	if rank := in.Rank - 1 + index.Rank; rank > MaxRank {
		return Layout{}, fmt.Errorf("take with indices of %d axes from an operand with %d gives %d; at most %d are supported", index.Rank, in.Rank, rank, MaxRank)
	}
	shape := slices.Concat(in.Shape[:axis], index.Shape[:index.Rank], in.Shape[axis+1:in.Rank])
	return RowMajor(shape...), nil
}

// Operands of a take's nest.
const (
	takeOut = iota
	takeIn
	takeIndex
	takePlace // the place of the index, in row-major order
	takeOperands
)

// takeNest walks the result: the operand's axes before and after the one that is
// taken from, and in its place the indices'.
func takeNest(out, in *Layout, axis int, index *Layout) *nest {
	var ls [takeOperands]Layout
	for k := range ls {
		ls[k] = *out
		ls[k].Strides, ls[k].Offset = [MaxRank]int{}, 0
	}
	place := RowMajor(index.Shape[:index.Rank]...)
	ls[takeOut] = *out
	ls[takeIn].Offset, ls[takeIndex].Offset = in.Offset, index.Offset
	copy(ls[takeIn].Strides[:], in.Strides[:axis])
	copy(ls[takeIn].Strides[axis+index.Rank:], in.Strides[axis+1:in.Rank])
	copy(ls[takeIndex].Strides[axis:], index.Strides[:index.Rank])
	copy(ls[takePlace].Strides[axis:], place.Strides[:place.Rank])
	n := newNest(ls[:])
	n.coalesce()
	return n
}

// A taking is what a nest does not say.
type taking struct {
	size         int  // bytes of an element
	length, step int  // the operand's axis that is taken from, and its stride
	first        int  // the number of the first index
	cache        int  // takeCache, or less
	wide         bool // piece numbers have 64 bits in any case
}

func planTake(p *Plan, n *nest, t taking) error {
	size := t.size
	k := &takeKernel{access: n.takeAccess(size, t.step), per: 1}
	if last := n.rank - 1; k.access > size {
		n.shape[last] /= k.access / size
		for i := range n.strides {
			n.strides[i][last] *= k.access / size
		}
		if n.shape[last] == 1 {
			n.remove(last)
		}
	}
	sliced := n.takeSlices(t.length, k.access, t.cache)
	const many = 1 << 19 // pieces that fill a large GPU several times over
	count := n.len()
	if count >= many && !sliced { // slices: short blocks keep to one better
		k.per = 4
	}
	k.axes, k.wide = n.rank, t.wide || count >= math.MaxInt32-takeThreads*k.per
	blocks := ceilDiv(count, takeThreads*k.per)
	if blocks > math.MaxInt32 {
		return fmt.Errorf("take of %d pieces of %d bytes is more than a grid can cover", count, k.access)
	}
	l := p.launch(k.key(), [3]uint32{uint32(blocks), 1, 1}, [3]uint32{takeThreads, 1, 1}, 0)
	l.pointer(0, 0)
	l.pointer(1, n.offsets[takeIn]*size)
	l.pointer(2, n.offsets[takeIndex]*Int64.Size())
	l.pointer(StatusOperand, 0)
	l.index(count, k.wide)
	l.value64(uint64(t.length))
	l.value64(uint64(t.step * size))
	l.value64(uint64(t.first))
	l.axes(n, 0, n.rank, k.wide, []int{takeOut, takeIn, takeIndex, takePlace}, []int{size, size, Int64.Size(), 1})
	return nil
}

// takeAccess returns the bytes in which elements can be copied: those of one where
// the innermost axis is the indices', or the operand is not contiguous along it.
func (n *nest) takeAccess(size, step int) int {
	last := n.rank - 1
	if last < 0 || n.strides[takeIn][last] != 1 || n.strides[takePlace][last] != 0 || n.strides[takeIndex][last] != 0 {
		return size
	}
	all := (n.offsets[takeIn]|step|n.shape[last])*size | 16
	for _, s := range n.strides[takeIn][:last] {
		all |= s * size
	}
	return max(all&-all, size)
}

// takeCache is how much of an operand is taken from at about the same time: what the
// L2 cache of a large GPU surely keeps of it, besides what is written. Parts of rows
// have at least takePart bytes: shorter ones cost more than what they save.
const (
	takeCache = 8 << 20
	takePart  = 256
)

// takeSlices cuts the rows that are taken into parts, and walks all indices for one
// part before the next, where the rows are more than the cache holds: a row that is
// taken again is then found there. It says whether it did.
func (n *nest) takeSlices(length, access, cache int) bool {
	last, first, rows, step := n.rank-1, 0, 1, access // first: the indices' first axis; step: bytes that a row has for one along its last
	if last < 1 || n.rank == MaxRank || n.strides[takePlace][last] != 0 {
		return false
	}
	for i := last - 1; i >= 0; i-- {
		if n.strides[takePlace][i] != 0 {
			rows, first = rows*n.shape[i], i
		} else if rows == 1 {
			step *= n.shape[i]
		}
	}
	all := min(rows, length) * step * n.shape[last]
	if rows == 1 || all <= cache {
		return false
	}
	for slices := ceilDiv(all, cache); slices*takePart <= n.shape[last]*access; slices++ {
		if n.shape[last]%slices == 0 {
			n.split(last, n.shape[last]/slices, first)
			return true
		}
	}
	return false
}

// A takeKernel copies pieces of 'access' bytes, 'per' to a thread. Pieces are
// numbered in the order of the nest.
type takeKernel struct {
	access, per, axes int
	wide              bool // piece numbers need 64 bits
}

const takeThreads = 256

func takeFamily() family {
	return family{
		prefix:   "take",
		generate: generateTake,
		name:     keyName,
		embed:    func() []string { return nil },
	}
}

func (k *takeKernel) key() string {
	return newKey("take").number("a", k.access).number("n", k.per).number("k", k.axes).flag("wide", k.wide).String()
}

func parseTakeKernel(key string) (*takeKernel, error) {
	r := readKey(key)
	k := &takeKernel{access: r.number("a", 16), per: r.number("n", 4), axes: r.number("k", MaxRank), wide: r.flag("wide")}
	if err := r.end(); err != nil {
		return nil, err
	}
	if k.access < 1 || k.access&(k.access-1) != 0 || k.per < 1 || k.key() != key {
		return nil, fmt.Errorf("kernel key %q: no such kernel", key)
	}
	return k, nil
}

func generateTake(key string, target int) (*ptx.Module, error) {
	k, err := parseTakeKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

// A takePiece is a piece on its way.
type takePiece struct {
	number, inside *ptx.Reg   // its number, or the last one's, and whether there is such a piece
	to             *ptx.Reg   // where it goes
	from           *ptx.Reg   // where its element 0 along the axis is
	at             *ptx.Reg   // the index
	found          *ptx.Reg   // whether that is in range
	words          []*ptx.Reg // the bytes
}

func (k *takeKernel) emit(b *ptx.Builder) {
	index := ptx.U32
	if k.wide {
		index = ptx.U64
	}
	pos := func(mnemonic string) string { return mnemonic + "." + index.String() }
	out, in, indices, status := b.Param("out", ptx.U64), b.Param("in", ptx.U64), b.Param("index", ptx.U64), b.Param("status", ptx.U64)
	count := b.Ld(b.Param("count", index))
	length, step, firstPlace := b.Ld(b.Param("length", ptx.U64)), b.Ld(b.Param("step", ptx.U64)), b.Param("first", ptx.U64)
	axes := declareAxes(b, "axis", k.axes, k.wide, "out", "in", "index", "place")
	b.MaxThreads(takeThreads)

	first := b.Op("cvt.u64.u32", b.Special("%tid.x"))
	first = b.Op("mad.wide.u32", b.Special("%ctaid.x"), takeThreads*k.per, first)
	last := b.Op(pos("sub"), count, 1)
	if !k.wide {
		first = b.Op("cvt.u32.u64", first)
	}
	operands := []int{takeOut, takeIn, takeIndex, takePlace}
	pieces := make([]takePiece, k.per)
	for j := range pieces {
		p := &pieces[j]
		p.number = first
		if j > 0 {
			p.number = b.Op(pos("add"), first, j*takeThreads)
		}
		p.inside = b.Op(pos("setp.lt"), p.number, count)
		p.number = b.Op(pos("min"), p.number, last)
		bases := emitOffsets(b, pickAxes(axes, operands, operands[:takePlace]), p.number, k.wide, b.Ld(out), b.Ld(in), b.Ld(indices))
		p.to, p.from, p.at = bases[takeOut], bases[takeIn], b.Op("ld.global.u64", b.At(bases[takeIndex], 0))
	}
	var wrong *ptx.Reg // whether an index is out of range
	for j := range pieces {
		p := &pieces[j]
		fromEnd := b.Op("setp.lt.s64", p.at, 0)
		p.at = b.Op("selp.u64", b.Op("add.u64", p.at, length), p.at, fromEnd)
		p.found = b.Op("setp.lt.u64", p.at, length)
		k.load(b, p, b.Op("mad.lo.u64", p.at, step, p.from))
		if w := b.Op("and.pred", p.inside, b.Not(p.found)); j == 0 {
			wrong = w
		} else {
			wrong = b.Op("or.pred", wrong, w)
		}
	}
	for _, p := range pieces {
		b.DoIf(p.inside, "st.global."+pieceAccess(k.access), b.At(p.to, 0), wordOperand(b, p.words))
	}
	report := b.NewLabel("report")
	b.BraIf(wrong, report)
	b.Do("ret")
	b.Bind(report)
	base := b.Ld(firstPlace)
	for _, p := range pieces {
		place := emitOffsets(b, pickAxes(axes, operands, operands[takePlace:]), p.number, k.wide, base)[0]
		bad := b.Op("and.pred", p.inside, b.Not(p.found))
		b.DoIf(bad, "atom.global.max.u64", b.Reg(ptx.U64), b.At(b.Ld(status), 0), b.Op("not.b64", place))
	}
	b.Do("ret")
}

// load loads the piece at an address; 0 where its index is out of range.
func (k *takeKernel) load(b *ptx.Builder, p *takePiece, from *ptx.Reg) {
	p.words = b.Regs(ptx.U32, max(1, k.access/4))
	for _, w := range p.words {
		b.Do("mov.u32", w, 0)
	}
	b.DoIf(p.found, "ld.global."+pieceAccess(k.access), wordOperand(b, p.words), b.At(from, 0))
}
