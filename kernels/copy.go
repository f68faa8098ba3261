package kernels

import (
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Copy appends the copy of in (operand 1) to out (operand 0), of the same shape
// and type, to the plan. Both may have any strides, but out's elements must not
// overlap, nor the two each other. Bits are copied as they are.
//
// Where in is contiguous along another axis than out, and both axes are long
// enough, the copy goes through tiles in shared memory, so that reading and
// writing both touch whole runs of memory; any other copy is the identity as an
// elementwise kernel. Kernels depend on the size of an element only.
func Copy(p *Plan, t Type, out, in Layout) error {
	q := p.ask(planCopy, uint64(t))
	q.layout(&out)
	q.layout(&in)
	if q.answered() {
		return nil
	}
	return q.remember(planCopying(p, t, out, in))
}

func planCopying(p *Plan, t Type, out, in Layout) error {
	if !t.valid() {
		return &UnsupportedError{"copy", t}
	}
	if err := out.check("the output of copy"); err != nil {
		return err
	}
	if err := in.check("the operand of copy"); err != nil {
		return err
	}
	if !in.sameShape(&out) {
		return fmt.Errorf("copy of shape %v to shape %v", in.shape(), out.shape())
	}
	if out.Len() == 0 {
		return nil
	}
	word := wordOf(t)
	n := newNest([]Layout{out, in})
	defer n.release()
	n.coalesce()
	n.sortByOutput()
	n.coalesce()
	if x := transposedAxis(n); x >= 0 && planTranspose(p, word, n, x) {
		return nil
	}
	identity := Expr{Nodes: []Node{{Kind: Load, Type: word, Operand: 1}}}
	return Elementwise(p, &identity, out, []Layout{in})
}

// wordOf returns the unsigned integer of a type's size.
func wordOf(t Type) Type {
	switch t.Size() {
	case 1:
		return Uint8
	case 2:
		return Uint16
	case 4:
		return Uint32
	}
	return Uint64
}

// shortAxis is the length below which an axis is not worth tiles.
const shortAxis = 8

// transposedAxis returns the axis along which the input is contiguous, where
// the output is contiguous along another (the innermost); else −1.
func transposedAxis(n *nest) int {
	y := n.rank - 1
	if y < 1 || n.strides[0][y] != 1 || n.shape[y] < shortAxis || n.strides[1][y] == 0 {
		return -1
	}
	for x := range y {
		if n.strides[1][x] == 1 && n.shape[x] >= shortAxis {
			return x
		}
	}
	return -1
}

// A transposeKernel copies tiles of edge×edge elements: it reads rows along x,
// the axis that is contiguous in the input, and writes columns along y, which is
// contiguous in the output. In shared memory an element takes at least 4 bytes
// and rows have one place more than elements, so that rows and columns both
// meet all banks.
type transposeKernel struct {
	t       Type // Uint8, Uint16, Uint32, Uint64
	in, out int  // elements that are read, and written, at once
	batch   int  // the other axes
}

const transposeThreads = 256

func transposeFamily() family {
	return family{
		prefix:   "transpose",
		generate: generateTranspose,
		name:     keyName,
		embed:    embeddedTranspose,
	}
}

func (k *transposeKernel) key() string {
	return newKey("transpose").word(k.t.String()).number("i", k.in).number("o", k.out).number("k", k.batch).String()
}

func parseTransposeKernel(key string) (*transposeKernel, error) {
	r := readKey(key)
	k := &transposeKernel{t: r.elem(), in: r.number("i", 4), out: r.number("o", 4), batch: r.number("k", MaxRank)}
	if err := r.end(); err != nil {
		return nil, err
	}
	if v := k.vector(); k.t != wordOf(k.t) || k.in != 1 && k.in != v || k.out != 1 && k.out != v {
		return nil, fmt.Errorf("kernel key %q: no such kernel", key)
	}
	return k, nil
}

// vector is the most elements that are read or written at once.
func (k *transposeKernel) vector() int { return min(4, 16/k.t.Size()) }

// edge is the length of a tile's side.
func (k *transposeKernel) edge() int { return 16 * k.vector() }

// planTranspose plans the copy of a nest whose input is contiguous along axis x.
// It declines what needs more than 32-bit indices.
func planTranspose(p *Plan, t Type, n *nest, x int) bool {
	y := n.rank - 1
	k := &transposeKernel{t: t, batch: n.rank - 2}
	nx, ny := n.shape[x], n.shape[y]
	xOut, yIn := n.strides[0][x], n.strides[1][y]
	k.out = k.align(n, 0, y, ny)
	k.in = k.align(n, 1, x, nx)
	n.remove(y)
	n.remove(x)
	batches := 1
	for _, d := range n.shape[:n.rank] {
		batches *= d
	}
	tilesX, tilesY := ceilDiv(nx, k.edge()), ceilDiv(ny, k.edge())
	if max(nx, ny, batches) >= 1<<31-64 || tilesX*tilesY > math.MaxInt32/batches {
		return false
	}
	size := t.Size()
	l := p.launch(k.key(), [3]uint32{uint32(tilesX * tilesY * batches), 1, 1}, [3]uint32{transposeThreads, 1, 1}, 0)
	l.pointer(0, n.offsets[0]*size)
	l.pointer(1, n.offsets[1]*size)
	for _, v := range []int{nx, ny, tilesX, tilesY} {
		l.value32(uint32(v))
	}
	l.value64(uint64(xOut * size))
	l.value64(uint64(yIn * size))
	l.axes(n, 0, n.rank, false, []int{0, 1}, []int{size, size})
	return true
}

// align returns the elements that operand i can be accessed in along its
// contiguous axis: the kernel's vector, or 1.
func (k *transposeKernel) align(n *nest, i, axis, length int) int {
	all := length | n.offsets[i]
	for a, s := range n.strides[i][:n.rank] {
		if a != axis {
			all |= s
		}
	}
	if v := k.vector(); all%v == 0 {
		return v
	}
	return 1
}

func generateTranspose(key string, target int) (*ptx.Module, error) {
	k, err := parseTransposeKernel(key)
	if err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}

func (k *transposeKernel) emit(b *ptx.Builder) {
	out, in := b.Param("out", ptx.U64), b.Param("in", ptx.U64)
	nx, ny := b.Ld(b.Param("nx", ptx.U32)), b.Ld(b.Param("ny", ptx.U32))
	tilesX, tilesY := b.Ld(b.Param("tiles_x", ptx.U32)), b.Ld(b.Param("tiles_y", ptx.U32))
	xOut, yIn := b.Ld(b.Param("x_out", ptx.U64)), b.Ld(b.Param("y_in", ptx.U64))
	batch := declareAxes(b, "batch", k.batch, false, "out", "in")
	b.MaxThreads(transposeThreads)
	cell := ptx.U32
	if k.t.wide() {
		cell = ptx.U64
	}
	pitch := k.edge() + 1
	shared := b.Addr(b.Shared("tile", cell, 16, pitch*k.edge()))
	place := func(x, y *ptx.Reg) *ptx.Reg { // of element (x, y) in shared memory
		return b.Op("mad.lo.u32", b.Op("mad.lo.u32", y, pitch, x), cell.Size(), shared)
	}

	rest, tx := emitDivRem(b, b.Special("%ctaid.x"), tilesX)
	z, ty := emitDivRem(b, rest, tilesY)
	x0, y0 := b.Op("mul.lo.u32", tx, k.edge()), b.Op("mul.lo.u32", ty, k.edge())
	bases := emitOffsets(b, batch, z, false, b.Ld(out), b.Ld(in))

	// Read along x. All loads come before the first store.
	var places []*ptx.Reg
	var items [][]*ptx.Reg
	k.walk(b, k.in, func(along, across *ptx.Reg) {
		x, y := b.Op("add.u32", x0, along), b.Op("add.u32", y0, across)
		p := b.Op("mad.lo.u64", b.Op("cvt.u64.u32", y), yIn, b.Op("mad.wide.u32", x, k.t.Size(), bases[1]))
		item := b.Regs(cell, k.in)
		for _, r := range item {
			zero(b, k.t, r)
		}
		skip := b.NewLabel("outside")
		b.BraUnless(b.Op("setp.lt.and.u32", x, nx, b.Op("setp.lt.u32", y, ny)), skip)
		loadVector(b, k.t, item, b.At(p, 0))
		b.Bind(skip)
		places, items = append(places, place(along, across)), append(items, item)
	})
	for i, item := range items {
		for j, r := range item {
			b.Do("st.shared."+cell.String(), b.At(places[i], int64(j*cell.Size())), r)
		}
	}
	b.Do("bar.sync", 0)
	// Write along y.
	k.walk(b, k.out, func(along, across *ptx.Reg) {
		x, y := b.Op("add.u32", x0, across), b.Op("add.u32", y0, along)
		item := b.Regs(cell, k.out)
		from := place(across, along)
		for j, r := range item {
			b.Do("ld.shared."+cell.String(), r, b.At(from, int64(j*pitch*cell.Size())))
		}
		p := b.Op("mad.lo.u64", b.Op("cvt.u64.u32", x), xOut, b.Op("mad.wide.u32", y, k.t.Size(), bases[0]))
		skip := b.NewLabel("outside")
		b.BraUnless(b.Op("setp.lt.and.u32", x, nx, b.Op("setp.lt.u32", y, ny)), skip)
		storeVector(b, k.t, item, b.At(p, 0))
		b.Bind(skip)
	})
	b.Do("ret")
}

// walk calls do for each of the thread's items of v elements in a tile, with
// the place of the first along and across the contiguous axis. With vectors a
// warp takes 4 lines of 8 items, else one line of 32.
func (k *transposeKernel) walk(b *ptx.Builder, v int, do func(along, across *ptx.Reg)) {
	lanes := 32
	if v > 1 {
		lanes = 8
	}
	warps := k.edge() / (lanes * v) // side by side
	lines := transposeThreads / 32 / warps * (32 / lanes)
	tid := b.Special("%tid.x")
	lane, warp := b.Op("and.b32", tid, 31), b.Op("shr.u32", tid, 5)
	item := b.Op("mad.lo.u32", b.Op("and.b32", warp, warps-1), lanes, b.Op("and.b32", lane, lanes-1))
	along := b.Op("mul.lo.u32", item, v)
	line := b.Op("mad.lo.u32", b.Op("shr.u32", warp, log2(warps)), 32/lanes, b.Op("shr.u32", lane, log2(lanes)))
	for i := 0; i < k.edge(); i += lines {
		do(along, addConst(b, line, i))
	}
}
