package exec

import (
	"fmt"
	"math"
	"math/bits"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Matrix products of a warp, mma.sync. Which lane and register holds which
// element is a table made once for a shape; the arithmetic is in
// tensor_arith.go.

// tensorOp is the constant part of an mma.
type tensorOp struct {
	*fragments
	a, b, c, d []slot
	fillA      func(elements []uint32, to *lines) // decodes elements
	fillB      func(elements []uint32, to *lines)
	// dot is an element of D: c plus k products of elements from a's i and b's j on.
	dot func(a, b *lines, i, j, k int, c uint32) uint32
}

// fragments says where the elements of an mma's matrices are. A is kept by
// rows, B by columns, each k elements. Element i of register r in lane l has
// the index (32·r+l)·per+i.
type fragments struct {
	m, k      int // rows of A, and elements of a row
	n         int // columns of B
	width     int // bits of an element of A and B
	per, perC int // elements in a register of A and B; of C and D
	a, b      []uint16
	row, col  []uint8 // of the elements of C and D
	quad      bool    // m8n8k4 of f16, which is four products: 32 rows, 32 columns
}

// fragmentKey is what fragments depend on.
type fragmentKey struct {
	shape      string
	width      int
	widthC     int
	colA, rowB bool // m8n8k4 of f16: A by columns, B by rows
}

var fragmentTables struct {
	sync.Mutex
	made map[fragmentKey]*fragments
}

func fragmentsOf(key fragmentKey) *fragments {
	t := &fragmentTables
	t.Lock()
	defer t.Unlock()
	if f := t.made[key]; f != nil {
		return f
	}
	if t.made == nil {
		t.made = map[fragmentKey]*fragments{}
	}
	f := new(fragments)
	if key.shape == "m8n8k4" && key.width == 16 {
		f.quads(key)
	} else {
		f.whole(key)
	}
	t.made[key] = f
	return f
}

// whole makes the tables of a product that the warp computes together. With g
// = lane/4 and t = lane%4, a register of A holds neighbours in row g, from
// column t·per on; registers alternate between rows g and g+8 where there are
// 16, then go on 4·per columns further. B is the same by columns, C has two
// neighbours at column 2t.
func (f *fragments) whole(key fragmentKey) {
	f.width, f.per, f.perC, f.n = key.width, max(1, 32/key.width), max(1, 32/key.widthC), 8
	// The shapes were checked by the parser's table.
	_, _ = fmt.Sscanf(key.shape, "m%dn8k%d", &f.m, &f.k)
	each(f.m*f.k/32/f.per, f.per, func(r, g, t, i int) {
		row, group := g, r
		if f.m == 16 {
			row, group = g+8*(r&1), r>>1
		}
		f.a = append(f.a, uint16(row*f.k+f.per*(4*group+t)+i))
	})
	each(f.k*8/32/f.per, f.per, func(r, g, t, i int) {
		f.b = append(f.b, uint16(g*f.k+f.per*(4*r+t)+i))
	})
	each(f.m*8/32/f.perC, f.perC, func(r, g, t, i int) {
		at := r*f.perC + i
		f.row = append(f.row, uint8(g+8*(at>>1)))
		f.col = append(f.col, uint8(2*t+at&1))
	})
}

// quads makes the tables of m8n8k4 with f16: four products, each of eight
// lanes, q·4 to q·4+3 and the same plus 16, which hold rows (of A) and columns
// (of B) 0 to 3 and 4 to 7 of theirs.
func (f *fragments) quads(key fragmentKey) {
	f.m, f.n, f.k, f.width, f.per, f.perC, f.quad = 32, 32, 4, 16, 2, max(1, 32/key.widthC), true
	operand := func(across bool) (list []uint16) {
		each(2, 2, func(r, g, t, i int) {
			q, high, e := g&3, 4*(g>>2), 2*r+i
			if across { // the lane's four elements are of as many rows
				list = append(list, uint16((8*q+high+e)*4+t))
			} else {
				list = append(list, uint16((8*q+high+t)*4+e))
			}
		})
		return list
	}
	f.a, f.b = operand(key.colA), operand(key.rowB)
	each(8/f.perC, f.perC, func(r, g, t, i int) {
		q, high, e := g&3, 4*(g>>2), r*f.perC+i
		row, col := t, e
		if key.widthC == 32 {
			row, col = t&1+e&2, e&4+t&2+e&1
		}
		f.row = append(f.row, uint8(8*q+high+row))
		f.col = append(f.col, uint8(8*q+col))
	})
}

// each calls f for every element of so many registers, in the order of the
// tables.
func each(regs, per int, f func(r, g, t, i int)) {
	for r := range regs {
		for lane := range 32 {
			for i := range per {
				f(r, lane>>2, lane&3, i)
			}
		}
	}
}

// decodeMma: the types are the last four modifiers, of D, A, B and C.
func decodeMma(d *decoder) error {
	args, mods := d.in.Args, d.in.Mods
	if mods[len(mods)-1] == "popc" {
		mods = mods[:len(mods)-2]
	}
	types, shape := mods[len(mods)-4:], mods[2]
	a, _ := ptx.TypeByName(types[1])
	c, _ := ptx.TypeByName(types[3])
	width := a.Bits()
	switch types[1][1:] {
	case "4": // s4, u4
		width = 4
	case "4m3", "5m2":
		width = 8
	case "1": // in words of 32, which lie as elements of a 32nd of the columns do
		width, shape = 32, map[string]string{"m8n8k128": "m8n8k4", "m16n8k128": "m16n8k4", "m16n8k256": "m16n8k8"}[shape]
	}
	t := &tensorOp{fragments: fragmentsOf(fragmentKey{shape, width, c.Bits(), mods[3] == "col", mods[4] == "row"})}
	for i, list := range [...]*[]slot{&t.d, &t.a, &t.b, &t.c} {
		for _, o := range elements(&args[i]) {
			s, _, err := d.source(&o, d.form.Args[i].Type)
			if err != nil {
				return err
			}
			*list = append(*list, s)
		}
	}
	if !t.arithmetic(types, d.in.Mods, d.cc) {
		return d.unknown()
	}
	n := blank()
	n.ctl, n.fn, n.fuel = warpSync, t.run, productFuel
	d.flow(n)
	return nil
}

// run computes the products of the view's warps.
func (t *tensorOp) run(x *ctx, in *inst) {
	x.wholeWarp(in)
	if x.wave.tainted {
		for w := range x.n / 32 {
			t.taint(x, w)
		}
	}
	m := operandsPool.Get().(*operands)
	defer operandsPool.Put(m)
	for w := range x.n / 32 {
		if t.width == 64 {
			t.doubles(x, w)
		} else {
			t.product(x, w, m)
		}
	}
}

// wholeWarp reports lanes that are missing at an instruction which the whole
// warp must execute.
func (x *ctx) wholeWarp(in *inst) {
	if !x.full {
		x.fail(in, WarpMisuse, x.firstActive(), 0, 0, "", "only lanes %#x of the warp execute it: all 32 must, together", x.mask)
	}
}

// product is a product of elements of at most 32 bits.
func (t *tensorOp) product(x *ctx, w int, m *operands) {
	var elements [16 * 64]uint32
	t.gather(x, w, t.a, t.fragments.a, &elements)
	t.fillA(elements[:t.m*t.k], &m.a)
	t.gather(x, w, t.b, t.fragments.b, &elements)
	t.fillB(elements[:t.n*t.k], &m.b)
	var out [8][32]uint32
	mask, shift := ^uint32(0), 0
	if t.perC == 2 {
		mask, shift = 0xffff, 16
	}
	at := 0
	for r, s := range t.c {
		c := row[uint32](x, s)[32*w:][:32]
		for lane := range 32 {
			for i := range t.perC {
				v := t.dot(&m.a, &m.b, int(t.row[at])*t.k, int(t.col[at])*t.k, t.k, c[lane]>>(i*shift)&mask)
				out[r][lane] |= v << (i * shift)
				at++
			}
		}
	}
	for r, s := range t.d {
		copy(row[uint32](x, s)[32*w:], out[r][:])
	}
}

// gather collects the elements of A or B from the registers of a warp.
func (t *tensorOp) gather(x *ctx, w int, regs []slot, at []uint16, to *[16 * 64]uint32) {
	mask := uint32(1)<<t.width - 1
	for _, s := range regs {
		for _, v := range row[uint32](x, s)[32*w:][:32] {
			for range t.per {
				to[at[0]&1023] = v & mask
				v >>= t.width & 31
				at = at[1:]
			}
		}
	}
}

// taint passes undefined values on: an element of D depends on a row of A, a
// column of B and an element of C.
func (t *tensorOp) taint(x *ctx, w int) {
	lines := func(regs []slot, at []uint16) (u uint64) {
		for r, s := range regs {
			for m := *x.undefined(s, w); m != 0; m &= m - 1 {
				for i := range t.per {
					u |= 1 << (int(at[(32*r+bits.TrailingZeros32(m))*t.per+i]) / t.k)
				}
			}
		}
		return u
	}
	rows, cols := lines(t.a, t.fragments.a), lines(t.b, t.fragments.b)
	var out [8]uint32
	for r, s := range t.c {
		out[r] = *x.undefined(s, w)
		for i := range 32 * t.perC {
			at := 32*t.perC*r + i
			if rows>>t.row[at]&1|cols>>t.col[at]&1 != 0 {
				out[r] |= 1 << (i / t.perC)
			}
		}
	}
	for r, s := range t.d {
		x.setUndefinedLanes(s, w, math.MaxUint32, out[r])
	}
}
