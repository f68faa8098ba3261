package corpus

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// products lists the mma.sync forms.
var products = []form{
	{names: "mma.sync.aligned.m8n8k4.row|col.row|col.f16|f32.f16.f16.f16|f32"},
	{names: "mma.sync.aligned.m16n8k8|m16n8k16.row.col.f16|f32.f16.f16.f16|f32"},
	{names: "mma.sync.aligned.m16n8k8|m16n8k16.row.col.f32.bf16.bf16.f32"},
	{names: "mma.sync.aligned.m16n8k4|m16n8k8.row.col.f32.tf32.tf32.f32"},
	{names: "mma.sync.aligned.m8n8k4|m16n8k4|m16n8k8|m16n8k16.row.col.f64.f64.f64.f64"},
	{names: "mma.sync.aligned.m8n8k16|m16n8k16|m16n8k32.row.col.|satfinite.s32.u8|s8.u8|s8.s32"},
	{names: "mma.sync.aligned.m8n8k32|m16n8k32|m16n8k64.row.col.|satfinite.s32.u4|s4.u4|s4.s32"},
	{names: "mma.sync.aligned.m8n8k128|m16n8k128|m16n8k256.row.col.s32.b1.b1.s32.xor|and.popc"},
	{names: "mma.sync.aligned.m16n8k32.row.col.f32.e4m3|e5m2.e4m3|e5m2.f32"},
}

// matrices are the products, and the instructions that bring their operands.
func matrices() (list []*draft) {
	for i := range products {
		for _, name := range products[i].expand() {
			list = append(list, product(name))
		}
	}
	for _, name := range []string{"mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32", "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32", "mma.sync.aligned.m16n8k16.row.col.f16.f16.f16.f16"} {
		list = append(list, chain(name))
	}
	for _, types := range []string{"m16n8k16.row.col.f16.f16.f16.f16", "m16n8k16.row.col.f32.f16.f16.f32", "m16n8k16.row.col.f32.bf16.bf16.f32", "m16n8k8.row.col.f32.tf32.tf32.f32", "m16n8k32.row.col.f32.e5m2.e5m2.f32"} {
		list = append(list, edges("mma.sync.aligned."+types))
	}
	return append(list, fragments()...)
}

// product makes the program of one mma: A's registers, then B's, then C's. Each
// warp has matrices of a kind of its own, see [element].
func product(name string) *draft {
	forms, _ := ptx.Forms(name)
	x := forms[0]
	d := &draft{name: name, sm: x.MinSM, ptx: x.MinPTX.Major*10 + x.MinPTX.Minor, lanes: 32 * kinds * 3, block: 32 * kinds}
	args := []string{vector("%o", 0, x.Args[0].Vec)}
	d.outs = types(x.Args[0].Vec, x.Args[0].Type)
	for _, a := range x.Args[1:] {
		args = append(args, vector("%i", len(d.ins), a.Vec))
		d.ins = append(d.ins, types(a.Vec, a.Type)...)
	}
	d.body = fmt.Sprintf("\t%s %s;\n", name, strings.Join(args, ", "))
	// The types are the last four modifiers: of D, A, B and C.
	mods := x.Mods
	if mods[len(mods)-1] == "popc" { // behind its operation
		mods = mods[:len(mods)-2]
	}
	of := mods[len(mods)-4:]
	a, b := x.Args[1].Vec, x.Args[2].Vec
	d.fill = func(r *rand.Rand, d *draft) [][]uint64 {
		in := make([][]uint64, len(d.ins))
		for j := range in {
			in[j] = make([]uint64, d.lanes)
			operand := 1
			switch {
			case j >= a+b:
				operand = 3
			case j >= a:
				operand = 2
			}
			for i := range in[j] {
				in[j][i] = fragment(r, of[operand], operand, i/32%kinds, d.ins[j].Bits())
			}
		}
		return in
	}
	return d
}

// chain is a product whose result is the next one's C, four times with A's
// registers turned.
func chain(name string) *draft {
	d := product(name)
	d.name += ", a chain of 4"
	forms, _ := ptx.Forms(name)
	x := forms[0]
	a, b, c := x.Args[1].Vec, x.Args[2].Vec, x.Args[3].Vec
	body, from := "", vector("%i", a+b, c)
	for k := range 4 {
		var turned []string
		for i := range a {
			turned = append(turned, fmt.Sprintf("%%i%d", (i+k)%a))
		}
		body += fmt.Sprintf("\t%s %s, {%s}, %s, %s;\n", name, vector("%o", 0, c), strings.Join(turned, ", "), vector("%i", a, b), from)
		from = vector("%o", 0, c)
	}
	d.body = body
	return d
}

// edges is a product of floats by which rules can be told apart that ordinary
// numbers do not tell apart: terms that leave only what was cut off from others,
// and zeros.
func edges(name string) *draft {
	d := product(name)
	d.name += ", edges"
	forms, _ := ptx.Forms(name)
	x := forms[0]
	of := x.Mods[len(x.Mods)-4:]
	a, b := x.Args[1].Vec, x.Args[2].Vec
	d.fill = func(r *rand.Rand, d *draft) [][]uint64 {
		in := make([][]uint64, len(d.ins))
		for j := range in {
			in[j] = make([]uint64, d.lanes)
			operand, group := 1, j>>1 // a register of A is followed by one 8 rows further
			switch {
			case j >= a+b:
				operand = 3
			case j >= a:
				operand, group = 2, j-a
			}
			l := layouts[of[operand]]
			per := 32 / l.bits
			for i := range in[j] {
				for e := range per {
					k := per*(4*group+i%4) + e
					in[j][i] |= l.edge(r, operand, k, i/32%kinds) << (e * l.bits)
				}
			}
		}
		return in
	}
	return d
}

// edge draws element k of a row of A or a column of B, or one of C. Elements 0
// and 1 make, by kind: two large products that cancel each other; zeros of A or
// of B beside the largest power of two; subnormal numbers beside it, which
// cancel. The others are near what the sum's last bit then is, or would be if
// the zeros and subnormal numbers had an exponent. The kinds from 4 on: zeros of
// any sign; negative zeros; a C that a product cancels; the smallest products
// that float32 has, of which several make one bit of the result.
func (l layout) edge(r *rand.Rand, operand, k, kind int) uint64 {
	top := uint64(1)<<(l.bits-1-l.mant) - 1
	bias := int(top >> 1)
	minus := uint64(1) << (l.bits - 1)
	sign := r.Uint64N(2) << (l.bits - 1)
	power := func(e int) uint64 { return uint64(e+bias) << l.mant }
	// near is a factor of products of about 2^e.
	near := func(e int) uint64 {
		v := power(e/2-2+r.IntN(6)) | r.Uint64()&(1<<l.mant-1)
		if l.bits == 32 {
			v &^= 1<<13 - 1
		}
		return sign | v
	}
	second := uint64(0)
	if operand == 1 && k == 1 {
		second = minus
	}
	switch {
	case kind == 4:
		return sign
	case kind == 5 && operand == 2:
		return power(0)
	case kind == 5:
		return minus
	case operand == 3 && kind == 6:
		return power(12) | minus
	case operand == 3:
		return sign
	case kind == 6 && k == 0:
		return power(6)
	case kind == 6:
		return near(12 - 24)
	case kind == 7:
		return near(max(2-2*bias, -150))
	case kind == 0 && k < 2:
		return power(6) | second
	case kind == 0:
		return near(12 - 24)
	case k > 1:
		return near(1 - 24)
	case kind == 1 && operand == 1, kind == 2 && operand == 2:
		return sign
	case kind == 3 && operand == 1:
		if l.bits == 32 {
			return 1<<13 | second
		}
		return 1 | second
	}
	return power(bias)
}

func vector(prefix string, first, n int) string {
	var s []string
	for i := range n {
		s = append(s, fmt.Sprint(prefix, first+i))
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// fragment fills a register with elements.
func fragment(r *rand.Rand, t string, operand, kind, bits int) uint64 {
	if t == "b1" {
		return uint64(r.Uint32())
	}
	width := map[string]int{"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "s32": 32, "u8": 8, "s8": 8, "u4": 4, "s4": 4, "e4m3": 8, "e5m2": 8}[t]
	v := uint64(0)
	for at := 0; at < bits; at += width {
		e := element(r, t, operand, kind)
		if width < 64 {
			e &= 1<<width - 1
		}
		v |= e << at
	}
	return v
}

// kinds is the number of kinds of matrices.
const kinds = 8

// element draws an element of A (operand 1), B (2) or C (3). The kinds: numbers
// of ordinary size; of any size; any bits; ones and neighbours of one below a
// large C; small integers; an A that is mostly zero; a C far above or below the
// products; the smallest numbers.
func element(r *rand.Rand, t string, operand, kind int) uint64 {
	l, float := layouts[t]
	if !float {
		return integer(r, t, operand, kind)
	}
	v := l.draw(r, operand, kind)
	if t == "tf32" && kind != 2 {
		v &^= 1<<13 - 1
	}
	return v
}

var layouts = map[string]layout{"f16": {16, 10}, "bf16": {16, 7}, "tf32": {32, 23}, "f32": {32, 23}, "f64": {64, 52}, "e4m3": {8, 3}, "e5m2": {8, 2}}

func integer(r *rand.Rand, t string, operand, kind int) uint64 {
	switch {
	case operand == 3 && kind < 4:
		return uint64(r.IntN(2001) - 1000)
	case operand == 3 && kind == 4:
		return math.MaxInt32 - r.Uint64N(1000)
	case operand == 3 && kind == 5:
		return 1<<31 + r.Uint64N(1000)
	case kind == 6:
		return math.MaxUint64
	case kind == 7:
		return 0x88888888
	}
	return r.Uint64()
}

func (l layout) draw(r *rand.Rand, operand, kind int) uint64 {
	top := uint64(1)<<(l.bits-1-l.mant) - 1 // the highest exponent
	bias := top >> 1
	sign := r.Uint64N(2) << (l.bits - 1)
	fraction := r.Uint64() & (1<<l.mant - 1)
	number := func(exponent uint64) uint64 { return sign | min(exponent, top-1)<<l.mant | fraction }
	switch kind {
	case 1:
		return number(r.Uint64N(top))
	case 2:
		return r.Uint64()
	case 3:
		if operand == 3 {
			return number(bias + r.Uint64N(28))
		}
		return sign | bias<<l.mant | r.Uint64N(2)
	case 4:
		return sign | l.small(r.Uint64N(9))
	case 5:
		if operand == 1 && r.IntN(8) != 0 {
			return sign
		}
	case 6:
		if operand == 3 {
			return number(bias - 12 + r.Uint64N(40))
		}
		return number(bias - 1 + r.Uint64N(3))
	case 7:
		return number(r.Uint64N(min(bias, 12)))
	}
	return number(bias - min(bias-1, 4) + r.Uint64N(9))
}

// small is a small whole number.
func (l layout) small(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	bias := uint64(1)<<(l.bits-2-l.mant) - 1
	e := uint64(math.Ilogb(float64(n)))
	shift := l.mant - int(e)
	if shift < 0 {
		return bias << l.mant
	}
	return (bias+e)<<l.mant | (n<<shift)&(1<<l.mant-1)
}

// fragments are ldmatrix, stmatrix and movmatrix. Each warp has 512 bytes of shared memory,
// 32 rows of 16 bytes.
func fragments() (list []*draft) {
	const shared = "\t.shared .align 16 .b8 smem[2048];\n"
	const fill = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 4;\n\tadd.u32 %x9, %x9, %x8;\n\tst.shared.v2.b64 [%x9], {%i0, %i1};\n\tbar.warp.sync 0xffffffff;\n"
	// Rows in another order than the lanes': row (7·lane + 3) mod 32.
	const row = "\tmad.lo.u32 %x7, %lane, 7, 3;\n\tand.b32 %x7, %x7, 31;\n\tsub.u32 %x6, %t, %lane;\n\tadd.u32 %x7, %x7, %x6;\n\tshl.b32 %x7, %x7, 4;\n\tmov.u32 %x6, smem;\n\tadd.u32 %x7, %x7, %x6;\n"
	for _, n := range []int{1, 2, 4} {
		for _, trans := range []string{"", ".trans"} {
			ld := fmt.Sprintf("ldmatrix.sync.aligned.m8n8.x%d%s.shared.b16", n, trans)
			list = append(list, &draft{name: ld, sm: 75, decl: shared, ins: types(2, ptx.B64), outs: types(n, ptx.B32), body: fill + row + fmt.Sprintf("\t%s %s, [%%x7];\n", ld, vector("%o", 0, n))})
			st := fmt.Sprintf("stmatrix.sync.aligned.m8n8.x%d%s.shared.b16", n, trans)
			list = append(list, &draft{name: st, sm: 90, decl: shared, ins: types(2, ptx.B64), outs: types(2, ptx.B64), body: fill + row +
				"\tmov.b64 {%x10, %x11}, %i0;\n\tmov.b64 {%x12, %x13}, %i1;\n" +
				fmt.Sprintf("\t%s [%%x7], %s;\n\tbar.warp.sync 0xffffffff;\n\tld.shared.v2.b64 {%%o0, %%o1}, [%%x9];\n", st, vector("%x1", 0, n))})
		}
	}
	const move = "movmatrix.sync.aligned.m8n8.trans.b16"
	return append(list, &draft{name: move, sm: 75, ins: types(1, ptx.B32), outs: types(1, ptx.B32), body: "\t" + move + " %o0, %i0;\n"})
}
