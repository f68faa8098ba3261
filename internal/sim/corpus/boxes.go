package corpus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Copies of boxes by tensor map. One warp waits for each box, with a limit, so
// that a map that brings fewer bytes than expected gives a wrong answer and no
// program without end.

// tensorElements are the types of tensor maps, with those of the elements.
var tensorElements = []struct {
	name string
	is   driver.TensorType
	t    ptx.Type
}{
	{"u8", driver.TensorUint8, ptx.U8}, {"u16", driver.TensorUint16, ptx.U16}, {"u32", driver.TensorUint32, ptx.U32}, {"s32", driver.TensorInt32, ptx.S32},
	{"u64", driver.TensorUint64, ptx.U64}, {"s64", driver.TensorInt64, ptx.S64}, {"f16", driver.TensorFloat16, ptx.F16}, {"bf16", driver.TensorBFloat16, ptx.BF16},
	{"f32", driver.TensorFloat32, ptx.F32}, {"f64", driver.TensorFloat64, ptx.F64}, {"tf32", driver.TensorTFloat32, ptx.F32},
	{"f32 ftz", driver.TensorFloat32FTZ, ptx.F32}, {"tf32 ftz", driver.TensorTFloat32FTZ, ptx.F32},
}

// A tensor is what a program copies boxes of.
type tensor struct {
	name   string
	of     int // of tensorElements
	shape  []uint64
	pitch  []uint64 // bytes; nil: as little as may be
	box    []uint32
	steps  []uint32
	twist  driver.Swizzle
	nan    bool
	at     int       // the box's offset in shared memory
	corner [][]int32 // of each box
	hint   bool      // with a cache policy
	values bool      // special and random values; else each 16 bits say where they are
}

const tensorWord = 1 // of tensorElements

func (x *tensor) size() int { return tensorElements[x.of].t.Size() }

// config describes the tensor; its address is still to be set.
func (x *tensor) config() driver.TensorMapConfig {
	return driver.TensorMapConfig{Type: tensorElements[x.of].is, Shape: x.shape, Strides: x.strides(), Box: x.box, ElementStrides: x.steps, Swizzle: x.twist, NaNOutside: x.nan}
}

// strides are given, or the least.
func (x *tensor) strides() []uint64 {
	if x.pitch != nil {
		return x.pitch
	}
	var list []uint64
	n := x.shape[0] * uint64(x.size())
	for _, d := range x.shape[1:] {
		n = (n + 15) / 16 * 16
		list = append(list, n)
		n *= d
	}
	return list
}

// bytes is what the tensor takes.
func (x *tensor) bytes() int {
	s := x.strides()
	if len(s) == 0 {
		return int(x.shape[0]) * x.size()
	}
	return int(s[len(s)-1] * x.shape[len(s)])
}

// boxBytes is what a box takes in shared memory.
func (x *tensor) boxBytes() int {
	n := x.size()
	for i, b := range x.box {
		step := 1
		if x.steps != nil && i > 0 {
			step = int(x.steps[i])
		}
		n *= (int(b) + step - 1) / step
	}
	return n
}

// boxColumns is how many times 256 bytes shared memory needs for a box.
func (x *tensor) boxColumns() int {
	n := x.boxBytes()
	if inner := int(x.box[0]) * x.size(); x.twist != 0 {
		n = n / inner * (16 << x.twist) // rows begin at the swizzle's span
	}
	return (x.at + n + 255) / 256
}

// word is 64 bits of a tensor or box, the i-th.
func (x *tensor) word(r *rand.Rand, i int) uint64 {
	t, v := tensorElements[x.of].t, uint64(0)
	if !x.values {
		for j := range 4 {
			v |= uint64(4*i+j) & 0xffff << (16 * j)
		}
		return v
	}
	list := specials(t)
	for at := 0; at < 64; at += t.Bits() {
		e := random(t, r)
		if n := i*64/t.Bits() + at/t.Bits(); n < len(list) {
			e = list[n]
		}
		v |= e & (1<<t.Bits() - 1) << at
	}
	return v
}

// frame is shared memory for a box and its barrier.
func (x *tensor) frame() string {
	return fmt.Sprintf("\t.shared .align 8 .b64 bar;\n\t.shared .align 1024 .b8 smem[%d];\n", 256*x.boxColumns())
}

// awaitBox ends when the barrier's first phase does, or after many tries.
const awaitBox = `
	mov.u32 %x29, 0;
WAIT:
	mbarrier.test_wait.parity.shared.b64 %q1, [bar], 0;
	add.u32 %x29, %x29, 1;
	setp.gt.u32 %q2, %x29, 100000;
	or.pred %q1, %q1, %q2;
	@!%q1 bra WAIT;
`

// policy is a cache policy in %y7, and how a copy names it.
func (x *tensor) policy() (make, mod, arg string) {
	if !x.hint {
		return "", "", ""
	}
	return "\tcreatepolicy.fractional.L2::evict_first.b64 %y7, 1.0;\n", ".L2::cache_hint", ", %y7"
}

// load is the program that copies boxes to shared memory, each block one, and
// reads all of it.
func (x *tensor) load() *draft {
	rank, n := len(x.shape), x.boxColumns()
	lanes := 32 * len(x.corner)
	columns := (x.bytes() + 8*lanes - 1) / (8 * lanes)
	d := &draft{name: "cp.async.bulk.tensor, to shared memory: " + x.name, sm: 90, block: 32, lanes: lanes, decl: x.frame(), ins: append(types(rank, ptx.B32), types(columns, ptx.B64)...), outs: types(n+1, ptx.B64)}
	m := Map{TensorMapConfig: x.config()}
	m.Address = driver.Ptr(rank * 8 * lanes)
	d.maps = []Map{m}
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	w("mov.u32 %%x9, smem;\n\tshl.b32 %%x8, %%t, 3;\n\tadd.u32 %%x8, %%x8, %%x9;\n\tmov.b64 %%y0, 0xeeeeeeeeeeeeeeee;")
	for j := range n {
		w("st.shared.b64 [%%x8+%d], %%y0;", 256*j)
	}
	policy, mod, arg := x.policy()
	s.WriteString(policy)
	w("setp.ne.u32 %%q0, %%t, 0;\n\tmov.b64 %%y1, map0;\n\tcvta.param.u64 %%y1, %%y1;")
	w("@!%%q0 mbarrier.init.shared.b64 [bar], 1;\n\tfence.mbarrier_init.release.cluster;\n\tfence.proxy.async;\n\tbar.sync 0;\n\t@%%q0 bra PAST;")
	w("mbarrier.arrive.expect_tx.shared.b64 _, [bar], %d;\n\tmov.u32 %%x7, bar;\n\tadd.u32 %%x6, %%x9, %d;", x.boxBytes(), x.at)
	w("cp.async.bulk.tensor.%dd.shared::cluster.global.mbarrier::complete_tx::bytes%s [%%x6], [%%y1, %s], [%%x7]%s;", rank, mod, vector("%i", 0, rank), arg)
	s.WriteString("PAST:" + awaitBox)
	for j := range n {
		w("ld.shared.b64 %%o%d, [%%x8+%d];", j, 256*j)
	}
	w("selp.b64 %%o%d, 1, 0, %%q2;", n) // whether the bytes never came
	d.body = s.String()
	d.fill = func(r *rand.Rand, d *draft) [][]uint64 {
		in := make([][]uint64, len(d.ins))
		for j := range in {
			in[j] = make([]uint64, lanes)
			for i := range in[j] {
				if j < rank {
					in[j][i] = uint64(uint32(x.corner[i/32][j]))
				} else {
					in[j][i] = x.word(r, (j-rank)*lanes+i)
				}
			}
		}
		return in
	}
	return d
}

// store is the program that copies a box from shared memory to several corners
// of a tensor, or reduces it into the tensor, and reads all of that.
func (x *tensor) store(op string) *draft {
	rank, boxes, columns := len(x.shape), x.boxColumns(), (x.bytes()+255)/256
	name, what := "cp.async.bulk.tensor, from shared memory: ", "cp.async.bulk.tensor.%dd.global.shared::cta.bulk_group%s"
	if op != "" {
		name, what = "cp.reduce.async.bulk.tensor."+op+": ", "cp.reduce.async.bulk.tensor.%dd.global.shared::cta."+op+".bulk_group%s"
	}
	d := &draft{name: name + x.name, sm: 90, block: 32, lanes: 32, decl: x.frame(), ins: types(columns+boxes, ptx.B64), outs: types(columns, ptx.B64)}
	d.maps = []Map{{TensorMapConfig: x.config(), Scratch: true}}
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	w("mov.u32 %%x9, smem;\n\tshl.b32 %%x8, %%t, 3;\n\tadd.u32 %%x8, %%x8, %%x9;\n\tmul.wide.u32 %%y0, %%t, 8;\n\tadd.u64 %%y0, %%y0, %%scratch;")
	for j := range columns {
		w("st.global.b64 [%%y0+%d], %%i%d;", 256*j, j)
	}
	for j := range boxes {
		w("st.shared.b64 [%%x8+%d], %%i%d;", 256*j, columns+j)
	}
	policy, mod, arg := x.policy()
	s.WriteString(policy)
	w("setp.ne.u32 %%q0, %%t, 0;\n\tmov.b64 %%y1, map0;\n\tcvta.param.u64 %%y1, %%y1;\n\tadd.u32 %%x9, %%x9, %d;", x.at)
	w("fence.proxy.async;\n\tbar.sync 0;\n\t@%%q0 bra PAST;")
	for _, c := range x.corner {
		for j, v := range c {
			w("mov.u32 %%x%d, %d;", 20+j, uint32(v))
		}
		w(what+" [%%y1, %s], [%%x9]%s;\n\tcp.async.bulk.commit_group;\n\tcp.async.bulk.wait_group 0;", rank, mod, vector("%x2", 0, rank), arg)
	}
	s.WriteString("PAST:\n\tbar.sync 0;\n\tfence.proxy.async;\n")
	for j := range columns {
		w("ld.relaxed.gpu.global.b64 %%o%d, [%%y0+%d];", j, 256*j)
	}
	d.body = s.String()
	switch t := tensorElements[x.of].t; {
	case op != "" && x.values:
		if _, float := layoutOf(t); float {
			d.fill = func(r *rand.Rand, d *draft) [][]uint64 { return packedFill(r, d, t) }
			break
		}
		fallthrough
	default:
		d.fill = func(r *rand.Rand, d *draft) [][]uint64 {
			in := make([][]uint64, len(d.ins))
			for j := range in {
				in[j] = make([]uint64, 32)
				for i := range in[j] {
					v := x.word(r, 32*j+i)
					if j >= columns && !x.values {
						v |= 0x8000800080008000
					}
					in[j][i] = v
				}
			}
			return in
		}
	}
	return d
}

// around are corners at which a box lies inside, hangs over each edge, and is
// outside. The first coordinate leads to a multiple of 16 bytes, unit elements:
// with another, an H100 has an illegal instruction.
func around(shape []uint64, box []uint32, unit int32) [][]int32 {
	rank := len(shape)
	list := [][]int32{make([]int32, rank)}
	add := func(d int, v int32) {
		c := make([]int32, rank)
		for i := range c {
			c[i] = int32(shape[i]) / 4
		}
		c[d] = v
		c[0] &^= unit - 1
		list = append(list, c)
	}
	for d := range rank {
		add(d, -1-int32(box[d]/2))
		add(d, int32(shape[d])-1)
	}
	add(rank-1, int32(shape[rank-1]))
	add(0, math.MinInt32)
	add(rank-1, math.MaxInt32)
	return list
}

// inside are those of the corners at which the box lies inside.
func inside(corners [][]int32, shape []uint64, box []uint32) (list [][]int32) {
	for _, c := range corners {
		in := true
		for d, v := range c {
			in = in && v >= 0 && uint64(v)+uint64(box[d]) <= shape[d]
		}
		if in {
			list = append(list, c)
		}
	}
	return list
}

// tensors are the tensors of the programs: every type, rank, step and swizzle.
func tensors() (list []tensor) {
	add := func(x tensor) {
		if x.corner == nil {
			x.corner = around(x.shape, x.box, int32(16/x.size()))
		}
		list = append(list, x)
	}
	for i, e := range tensorElements {
		n := uint64(16 / e.t.Size())
		for _, nan := range []bool{false, true} {
			if _, float := layoutOf(e.t); nan && !float {
				continue
			}
			add(tensor{name: fmt.Sprintf("of %s, NaN outside: %v", e.name, nan), of: i, shape: []uint64{4*n + 1, 5}, box: []uint32{uint32(2 * n), 4}, nan: nan, values: true})
		}
	}
	shape, box := []uint64{27, 5, 3, 2, 3}, []uint32{16, 3, 2, 2, 2}
	for rank := 1; rank <= 5; rank++ {
		add(tensor{name: fmt.Sprintf("%d dimensions", rank), of: tensorWord, shape: shape[:rank], box: box[:rank]})
	}
	add(tensor{name: "a policy", of: tensorWord, shape: shape[:2], box: box[:2], hint: true})
	add(tensor{name: "rows further apart", of: tensorWord, shape: []uint64{24, 4, 3}, pitch: []uint64{80, 400}, box: []uint32{16, 4, 2}})
	add(tensor{name: "rows that overlap", of: tensorWord, shape: []uint64{64, 6}, pitch: []uint64{16}, box: []uint32{24, 5}})
	for _, steps := range [][]uint32{{1, 2, 1}, {1, 3, 2}, {2, 1, 1}, {3, 1, 1}, {1, 8, 1}, {1, 1, 5}, {8, 2, 2}} {
		add(tensor{name: fmt.Sprint("steps ", steps), of: tensorWord, shape: []uint64{24, 12, 6}, box: []uint32{16, 7, 5}, steps: steps})
	}
	for i, span := range []int{16, 32, 64, 128} {
		for _, inner := range []int{16, 32, 48, 64, 80, 96, 128} {
			if i > 0 && inner > span {
				continue
			}
			for _, at := range []int{0, 128, 384, 512} {
				if at > 0 && inner != span && inner != 48 {
					continue
				}
				add(tensor{name: fmt.Sprintf("swizzle %d, rows of %d bytes, at %d", span, inner, at), of: tensorWord, shape: []uint64{72, 19}, box: []uint32{uint32(inner / 2), 17}, twist: driver.Swizzle(i), at: at, corner: [][]int32{{0, 0}, {8, 2}, {-8, -1}, {32, 5}}})
			}
		}
		if i > 0 {
			add(tensor{name: fmt.Sprintf("swizzle %d, three dimensions", span), of: tensorWord, shape: []uint64{72, 4, 4}, box: []uint32{uint32(span / 2), 3, 3}, twist: driver.Swizzle(i), corner: [][]int32{{0, 0, 0}, {8, 1, 1}, {-8, -1, 2}}})
		}
	}
	return list
}

// boxes are the programs that copy by tensor map.
func boxes() (list []*draft) {
	all := tensors()
	for i := range all {
		list = append(list, all[i].load())
		x := all[i]
		x.corner = inside(x.corner, x.shape, x.box)
		if strings.Contains(x.name, "NaN outside: true") || x.pitch != nil && x.pitch[0] == 16 && len(x.pitch) == 1 {
			continue // stores know no outside; the order of overlapping ones is open
		}
		list = append(list, x.store(""))
	}
	over := tensor{of: tensorWord, shape: []uint64{27, 5}, box: []uint32{16, 3}}
	for _, x := range []struct {
		name   string
		corner []int32
	}{{"over the end of rows", []int32{16, 1}}, {"over the last row", []int32{8, 3}}, {"outside", []int32{0, 5}}} {
		over.name, over.corner = x.name, [][]int32{x.corner}
		list = append(list, over.store(""))
	}
	for _, op := range []struct{ name, types string }{
		{"add", "u32 s32 u64 f16 bf16 f32 f64"}, {"min", "u32 s32 u64 s64 f16 bf16"}, {"max", "u32 s32 u64 s64 f16 bf16"}, {"inc", "u32"}, {"dec", "u32"}, {"and", "u32 u64"}, {"or", "u32 u64"}, {"xor", "u32 u64"},
	} {
		for i, e := range tensorElements {
			if strings.Contains(" "+op.types+" ", " "+e.name+" ") {
				n := uint64(16 / e.t.Size())
				x := tensor{name: e.name, of: i, shape: []uint64{4*n + 1, 6}, box: []uint32{uint32(2 * n), 4}, values: true, corner: [][]int32{{0, 0}, {int32(n), 1}, {int32(2 * n), 2}}}
				list = append(list, x.store(op.name))
			}
		}
	}
	return append(list, boxMulticast(2), boxMulticast(4))
}

// boxMulticast is the program of a cluster whose blocks each copy a box to all of
// them.
func boxMulticast(blocks int) *draft {
	x := tensor{of: tensorWord, shape: []uint64{40, 8}, box: []uint32{32, 4}, twist: driver.Swizzle64B}
	for i := range 2 * blocks {
		x.corner = append(x.corner, []int32{int32(8*i - 8), int32(i - 1)})
	}
	d := x.load()
	d.name = fmt.Sprintf("cp.async.bulk.tensor, to %d blocks of a cluster", blocks)
	d.entry = fmt.Sprintf("\n.explicitcluster\n.reqnctapercluster %d, 1, 1", blocks)
	d.outs = types(blocks, ptx.B64)
	d.decl = fmt.Sprintf("\t.shared .align 8 .b64 bar;\n\t.shared .align 1024 .b8 smem[%d];\n", 256*blocks)
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	w("mov.u32 %%x9, smem;\n\tshl.b32 %%x8, %%t, 3;\n\tadd.u32 %%x8, %%x8, %%x9;\n\tsetp.ne.u32 %%q0, %%t, 0;\n\tmov.b64 %%y1, map0;\n\tcvta.param.u64 %%y1, %%y1;")
	w("@%%q0 bra READY;\n\tmbarrier.init.shared.b64 [bar], 1;\n\tfence.mbarrier_init.release.cluster;\n\tmbarrier.arrive.expect_tx.shared.b64 _, [bar], %d;", 256*blocks)
	s.WriteString("READY:\n\tbarrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;\n\t@%q0 bra PAST;\n")
	w("mov.u32 %%x1, %%cluster_ctarank;\n\tshl.b32 %%x1, %%x1, 8;\n\tadd.u32 %%x1, %%x1, %%x9;\n\tmov.u32 %%x7, bar;\n\tmov.u16 %%h1, %d;", 1<<blocks-1)
	w("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%%x1], [%%y1, {%%i0, %%i1}], [%%x7], %%h1;")
	s.WriteString("PAST:" + awaitBox)
	for j := range blocks {
		w("ld.shared.b64 %%o%d, [%%x8+%d];", j, 256*j)
	}
	w("barrier.cluster.arrive.aligned;\n\tbarrier.cluster.wait.aligned;")
	d.body = s.String()
	return d
}
