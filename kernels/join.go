package kernels

import (
	"fmt"
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Join appends the copies of operands 1, 2, … (in[0], in[1], …), all of type t, to the
// plan: they become one operand, 0, behind one another along an axis. Their other sizes
// are equal, and what their sizes along the axis add up to is out's. Any layout may have
// any strides, but out's elements must not overlap. Bits are copied as they are.
//
// A launch copies as many operands as its parameters hold (see joinCapacity). Those that
// are long, or contiguous along another axis than out, take launches of their own (see
// Copy).
func Join(p *Plan, t Type, out Layout, in []Layout, axis int) error {
	q := p.ask(planJoin, uint64(t), uint64(axis))
	q.layout(&out)
	q.layouts(in)
	if q.answered() {
		return nil
	}
	launches := len(p.Launches)
	err := planJoining(p, t, out, in, axis)
	if err != nil {
		p.Launches = p.Launches[:launches]
	}
	return q.remember(err)
}

func planJoining(p *Plan, t Type, out Layout, in []Layout, axis int) error {
	if !t.valid() {
		return &UnsupportedError{"join", t}
	}
	if err := checkJoin(&out, in, axis); err != nil {
		return err
	}
	var parts []joinPart
	to := out
	for i := range in {
		to.Shape[axis] = in[i].Shape[axis]
		if in[i].Len() > 0 {
			if part, ok := newJoinPart(i+1, t.Size(), &to, &in[i]); ok {
				parts = append(parts, part)
			} else if err := copyOperand(p, t, to, in[i], i+1); err != nil {
				return err
			}
		}
		to.Offset += in[i].Shape[axis] * out.Strides[axis]
	}
	evenJoinAccess(parts)
	for access := 16; access > 0; access /= 2 {
		var group []joinPart
		for i := range parts {
			if parts[i].access == access {
				parts[i].cut()
				group = append(group, parts[i])
			}
		}
		for len(group) > 0 {
			k, n := joinKernelFor(group)
			if n == 1 {
				only := &group[0]
				if err := copyOperand(p, t, only.to, in[only.operand-1], only.operand); err != nil {
					return err
				}
			} else {
				k.plan(p, group[:n])
			}
			group = group[n:]
		}
	}
	return nil
}

func checkJoin(out *Layout, in []Layout, axis int) error {
	if err := out.check("the output of join"); err != nil {
		return err
	}
	if axis < 0 || axis >= out.Rank {
		return fmt.Errorf("join along axis %d of %d", axis, out.Rank)
	}
	rest := *out
	for i := range in {
		if err := in[i].check("an operand of join"); err != nil {
			return err
		}
		part := rest
		if part.Shape[axis] = in[i].Shape[axis]; !in[i].sameShape(&part) {
			return fmt.Errorf("join of shape %v to shape %v along axis %d", in[i].shape(), out.shape(), axis)
		}
		rest.Shape[axis] -= in[i].Shape[axis]
	}
	if rest.Shape[axis] != 0 {
		return fmt.Errorf("join of operands that leave %d places along axis %d of shape %v", rest.Shape[axis], axis, out.shape())
	}
	return nil
}

// copyOperand plans the copy of an operand that is not the first.
func copyOperand(p *Plan, t Type, out, in Layout, operand int) error {
	from := len(p.Launches)
	if err := Copy(p, t, out, in); err != nil {
		return err
	}
	for i := range p.Launches[from:] {
		for j := range p.Launches[from+i].Args {
			if a := &p.Launches[from+i].Args[j]; a.Pointer && a.Operand == 1 {
				a.Operand = operand
			}
		}
	}
	return nil
}

// A joinPart is an operand that is copied with others, in pieces.
type joinPart struct {
	operand int
	to      Layout
	size    int  // bytes of an element
	access  int  // bytes of a piece
	nest    nest // of elements, then of pieces: where they go, and where they are
	count   int  // pieces
}

// newJoinPart says whether an operand may be copied with others.
func newJoinPart(operand, size int, out, in *Layout) (joinPart, bool) {
	part := joinPart{operand: operand, to: *out, size: size, nest: nest{rank: out.Rank, shape: out.Shape, strides: [][MaxRank]int{out.Strides, in.Strides}, offsets: []int{out.Offset, in.Offset}}}
	n := &part.nest
	n.coalesce()
	part.access = n.joinAccess(size)
	return part, transposedAxis(n) < 0 && n.len()*size < joinLong
}

// joinLong is how many bytes take longer to copy than a launch: Copy's kernels, which have
// more to choose from, are worth it then.
const joinLong = 4 << 20

// joinAccess returns the bytes in which elements can be copied.
func (n *nest) joinAccess(size int) int {
	last := n.rank - 1
	if last < 0 || n.strides[0][last] != 1 || n.strides[1][last] != 1 {
		return size
	}
	all := (n.shape[last]|n.offsets[0]|n.offsets[1])*size | 16
	for k := range n.strides {
		for _, s := range n.strides[k][:last] {
			all |= s * size
		}
	}
	return all & -all
}

// Operands of less than joinShort bytes are copied with the least access among them: what
// that costs is less than another launch.
const joinShort = 64 << 10

func evenJoinAccess(parts []joinPart) {
	short := func(p *joinPart) bool { return p.nest.len()*p.size < joinShort }
	least := 16
	for i := range parts {
		if short(&parts[i]) {
			least = min(least, parts[i].access)
		}
	}
	for i := range parts {
		if short(&parts[i]) {
			parts[i].access = least
		}
	}
}

// cut makes the nest one of pieces, with strides in bytes.
func (p *joinPart) cut() {
	n, per := &p.nest, p.access/p.size
	if last := n.rank - 1; per > 1 {
		n.shape[last] /= per
		for k := range n.strides {
			n.strides[k][last] *= per
		}
		if n.shape[last] == 1 {
			n.remove(last)
		}
	}
	for k := range n.strides {
		for i := range n.rank {
			n.strides[k][i] *= p.size
		}
	}
	p.count = n.len()
}

// axes is how many axes a kernel needs to know of: none where pieces lie one after the
// other.
func (p *joinPart) axes() int {
	n := &p.nest
	if n.rank == 1 && n.strides[0][0] == p.access && n.strides[1][0] == p.access {
		return 0
	}
	return n.rank
}

// A joinKernel copies as many parts in pieces of 'access' bytes. Each part has blocks of its
// own, and a nest of so many axes.
type joinKernel struct{ access, parts, axes int }

const (
	joinThreads = 256
	joinMost    = 8 // pieces of a thread
)

// joinSizes are the numbers of parts that there are kernels for: few, as each kernel is
// assembled when it is first used.
var joinSizes = [...]int{2, 8, 32, 128}

// joinCapacity returns how many parts the parameters of a kernel hold: 128 of no axes, 32
// of up to three, 8 of more.
func joinCapacity(axes int) int {
	bytes, most := 24+16*axes+16*max(axes-1, 0), 0
	for _, n := range joinSizes {
		if n*bytes <= maxParamBytes {
			most = n
		}
	}
	return most
}

// joinKernelFor returns the kernel for the first n parts of a list.
func joinKernelFor(parts []joinPart) (k joinKernel, n int) {
	k.access = parts[0].access
	for n < len(parts) {
		axes := max(k.axes, parts[n].axes())
		if n >= joinCapacity(axes) {
			break
		}
		k.axes, n = axes, n+1
	}
	for _, k.parts = range joinSizes {
		if k.parts >= n {
			break
		}
	}
	return k, n
}

// per is how many pieces a thread copies: 16 bytes, if that is not too many.
func (k *joinKernel) per() int { return min(16/k.access, joinMost) }

// plan appends the launch for parts; the kernel may take more, which have no blocks.
func (k *joinKernel) plan(p *Plan, parts []joinPart) {
	l := p.launch(k.key(), [3]uint32{}, [3]uint32{joinThreads, 1, 1}, 0)
	blocks := 0
	for i := range parts {
		part := &parts[i]
		l.pointer(0, part.nest.offsets[0]*part.size)
		l.pointer(part.operand, part.nest.offsets[1]*part.size)
		k.walk(l, blocks, part.count, &part.nest)
		blocks += ceilDiv(part.count, joinThreads*k.per())
	}
	for range k.parts - len(parts) {
		l.pointer(0, 0)
		l.pointer(0, 0)
		k.walk(l, blocks, 0, &nest{strides: make([][MaxRank]int, 2)})
	}
	l.Grid = [3]uint32{uint32(blocks), 1, 1}
}

// walk adds the parameters of a part behind its addresses: the number of its first block,
// that of its pieces, and its nest.
func (k *joinKernel) walk(l *Launch, block, count int, n *nest) {
	l.value32(uint32(block))
	l.value32(uint32(count))
	for n.rank < k.axes {
		n.insert(2) // of which no piece reaches the second place
	}
	l.axes(n, 0, k.axes, false, []int{0, 1}, []int{1, 1})
}

func joinFamily() family {
	return family{
		prefix:   "join",
		generate: generateJoin,
		name:     keyName,
		embed:    func() []string { return nil },
	}
}

func (k *joinKernel) key() string {
	return newKey("join").number("a", k.access).number("n", k.parts).number("k", k.axes).String()
}

func parseJoinKernel(key string) (*joinKernel, error) {
	r := readKey(key)
	k := &joinKernel{access: r.number("a", 16), parts: r.number("n", joinSizes[len(joinSizes)-1]), axes: r.number("k", MaxRank)}
	if err := r.end(); err != nil {
		return nil, err
	}
	if k.access < 1 || k.access&(k.access-1) != 0 || !slices.Contains(joinSizes[:], k.parts) || k.parts > joinCapacity(k.axes) || k.key() != key {
		return nil, fmt.Errorf("kernel key %q: no such kernel", key)
	}
	return k, nil
}

func generateJoin(key string, target int) (*ptx.Module, error) {
	k, err := parseJoinKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

// A joinParams is the parameters of a part.
type joinParams struct {
	all                    []*ptx.Var
	out, in, block, pieces *ptx.Var
	axes                   []axisParam
}

func (k *joinKernel) declare(b *ptx.Builder, i int) joinParams {
	from := len(b.AST().Params)
	name := func(s string) string { return fmt.Sprintf("%s%d", s, i) }
	p := joinParams{out: b.Param(name("out"), ptx.U64), in: b.Param(name("in"), ptx.U64), block: b.Param(name("block"), ptx.U32), pieces: b.Param(name("pieces"), ptx.U32)}
	p.axes = declareAxes(b, name("axis")+"_", k.axes, false, "out", "in")
	p.all = b.AST().Params[from:]
	return p
}

// emit writes a kernel whose blocks look for their part, and copy pieces of that.
func (k *joinKernel) emit(b *ptx.Builder) {
	parts := make([]joinParams, k.parts)
	for i := range parts {
		parts[i] = k.declare(b, i)
	}
	b.MaxThreads(joinThreads)
	block := b.Special("%ctaid.x")
	part := make([]*ptx.Reg, len(parts[0].all)) // the parameters of the block's part
	for j, v := range parts[0].all {
		part[j] = b.Reg(v.Type)
	}
	found := b.NewLabel("found")
	var choose func(low, high int)
	choose = func(low, high int) {
		if high-low > 1 {
			mid, upper := (low+high)/2, b.NewLabel("upper")
			b.BraUniIf(b.Op("setp.ge.u32", block, b.Ld(parts[mid].block)), upper)
			choose(low, mid)
			b.Bind(upper)
			choose(mid, high)
			return
		}
		for j, v := range parts[low].all {
			b.Do("ld.param."+v.Type.String(), part[j], b.At(v, 0))
		}
		b.BraUni(found)
	}
	choose(0, k.parts)
	b.Bind(found)
	k.copyPieces(b, block, &parts[0], func(v *ptx.Var) *ptx.Reg { return part[slices.Index(parts[0].all, v)] })
}

// copyPieces copies a thread's pieces of the part whose parameters ld returns.
func (k *joinKernel) copyPieces(b *ptx.Builder, block *ptx.Reg, p *joinParams, ld func(*ptx.Var) *ptx.Reg) {
	first := b.Op("mad.lo.u32", b.Op("sub.u32", block, ld(p.block)), joinThreads*k.per(), b.Special("%tid.x"))
	inside, to, words := make([]*ptx.Reg, k.per()), make([]*ptx.Reg, k.per()), make([][]*ptx.Reg, k.per())
	for j := range words {
		number := addConst(b, first, j*joinThreads)
		inside[j] = b.Op("setp.lt.u32", number, ld(p.pieces))
		at := []*ptx.Reg{ld(p.out), ld(p.in)}
		if k.axes == 0 {
			for i := range at {
				at[i] = b.Op("mad.wide.u32", number, k.access, at[i])
			}
		} else {
			at = emitOffsetsOf(b, ld, p.axes, number, false, at...)
		}
		to[j], words[j] = at[0], b.Regs(ptx.U32, max(1, k.access/4))
		for _, w := range words[j] { // else what is stored might be undefined, for all that the simulated device knows
			b.Do("mov.u32", w, 0)
		}
		b.DoIf(inside[j], "ld.global."+pieceAccess(k.access), wordOperand(b, words[j]), b.At(at[1], 0))
	}
	for j := range words {
		b.DoIf(inside[j], "st.global."+pieceAccess(k.access), b.At(to[j], 0), wordOperand(b, words[j]))
	}
	b.Do("ret")
}
