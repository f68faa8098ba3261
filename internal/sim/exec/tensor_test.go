package exec

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// productKernel is a kernel "k" of one mma: the registers of A, B and C come
// from "in" and those of D go to "out", 8 bytes a lane, a register after the
// other. As many warps as one likes compute one each.
func productKernel(t testing.TB, name string) (src string, form *ptx.Form) {
	t.Helper()
	forms, err := ptx.Forms(name)
	if err != nil {
		t.Fatal(err)
	}
	form = forms[0]
	var decl, load, store strings.Builder
	var args [4]string
	at := 0
	for i, a := range form.Args {
		bits := max(32, a.Type.Bits())
		var regs []string
		for j := range a.Vec {
			r := fmt.Sprintf("%%v%d_%d", i, j)
			regs = append(regs, r)
			fmt.Fprintf(&decl, ".reg .b%d %s;\n", bits, r)
			if i == 0 {
				fmt.Fprintf(&store, "st.global.b%d [%%out+%d], %s;\n", bits, 256*j, r)
				continue
			}
			fmt.Fprintf(&load, "ld.global.b%d %s, [%%in+%d];\n", bits, r, 256*at)
			at++
		}
		args[i] = "{" + strings.Join(regs, ",") + "}"
	}
	src = fmt.Sprintf(`.visible .entry k(.param .u64 out, .param .u64 in) {
.reg .b64 %%in, %%out, %%l; .reg .b32 %%t, %%w;
%sld.param.u64 %%out, [out]; ld.param.u64 %%in, [in];
mov.u32 %%t, %%laneid; mov.u32 %%w, %%warpid;
mul.wide.u32 %%l, %%t, 8; add.u64 %%in, %%in, %%l; add.u64 %%out, %%out, %%l;
mul.wide.u32 %%l, %%w, %d; add.u64 %%in, %%in, %%l;
mul.wide.u32 %%l, %%w, %d; add.u64 %%out, %%out, %%l;
%s%s %s;
%sret;
}`, decl.String(), 256*at, 256*form.Args[0].Vec, load.String(), name, strings.Join(args[:], ", "), store.String())
	return src, form
}

func deviceOf(t testing.TB, src string, cc int) *device {
	t.Helper()
	m, err := ptx.Parse(fmt.Sprintf(".version 8.4\n.target sm_%d\n.address_size 64\n%s", cc, src))
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	mem := NewMemory(1 << 30)
	p, err := Load(m, mem, cc)
	if err != nil {
		t.Fatal(err)
	}
	return &device{t, mem, p}
}

// productShape is an mma's size, its types (of D, A, B and C), and how many
// registers a lane has of each.
type productShape struct {
	m, k       int
	quads      int // products a warp: 4 for m8n8k4 with float16
	types      []string
	regs       [4]int
	colA, rowB bool
	perA, perC int // elements in a register
}

func newProductShape(t testing.TB, name string, form *ptx.Form) *productShape {
	t.Helper()
	mods := strings.Split(name, ".")
	s := &productShape{types: mods[len(mods)-4:], quads: 1, colA: mods[1] == "col", rowB: mods[2] == "row"}
	if _, err := fmt.Sscanf(name, "m%dn8k%d", &s.m, &s.k); err != nil {
		t.Fatal(err)
	}
	s.perA, s.perC = max(1, 32/elementBits(s.types[1])), max(1, 32/elementBits(s.types[3]))
	if s.m == 8 && s.k == 4 && s.types[1] == "f16" {
		s.quads = 4
	}
	for i, a := range form.Args {
		s.regs[i] = a.Vec
	}
	return s
}

// place says which lane and register has element (row, col) of operand 0 to 3
// of product q, and which of the register's elements it is, as PTX says it.
func (s *productShape) place(operand, q, row, col int) (lane, reg, part int) {
	switch {
	case operand == 2:
		row, col = col, row // B is A with rows and columns exchanged, of 8 rows
	case operand != 1 && s.quads > 1 && s.perC == 1:
		return q*4 + row&1 + col&2 + row&4*4, col&1 | row&2 | col&4, 0
	case operand != 1 && s.quads == 1 && s.perC == 1:
		return row%8*4 + col/2, row/8*2 + col%2, 0
	case operand != 1 && s.quads == 1:
		return row%8*4 + col/2, row / 8, col % 2
	}
	if s.quads > 1 {
		if operand == 1 && s.colA || operand == 2 && s.rowB {
			row, col = row&4|col, row&3
		}
		return q*4 + row&3 + row&4*4, col / 2, col % 2
	}
	lane, reg = row%8*4+col/s.perA%4, col/(4*s.perA)
	if operand == 1 && s.m == 16 {
		reg = 2*reg + row/8
	}
	return lane, reg, col % s.perA
}

// set puts an element where it belongs among the registers of a warp, of which
// those of the operand begin at first.
func (s *productShape) set(regs []uint64, first, operand, q, row, col, v int) {
	lane, reg, part := s.place(operand, q, row, col)
	bits := elementBits(s.types[operand])
	regs[32*(first+reg)+lane] |= bitsOf(s.types[operand], v) & (math.MaxUint64 >> (64 - bits)) << (part * bits)
}

// fill draws the operands of one warp and computes what they give.
func (s *productShape) fill(r *rand.Rand, in, want []uint64) {
	for q := range s.quads {
		a, b := make([]int, s.m*s.k), make([]int, s.k*8)
		for i := range a {
			a[i] = small(r, s.types[1])
			s.set(in, 0, 1, q, i/s.k, i%s.k, a[i])
		}
		for i := range b {
			b[i] = small(r, s.types[2])
			s.set(in, s.regs[1], 2, q, i/8, i%8, b[i])
		}
		for i := range s.m {
			for j := range 8 {
				sum := small(r, s.types[3])
				s.set(in, s.regs[1]+s.regs[2], 3, q, i, j, sum)
				for l := range s.k {
					sum += a[i*s.k+l] * b[l*8+j]
				}
				s.set(want, 0, 0, q, i, j, sum)
			}
		}
	}
}

// bitsOf makes an element of a small whole number.
func bitsOf(t string, v int) uint64 {
	switch t {
	case "f64":
		return math.Float64bits(float64(v))
	case "f32", "tf32":
		return uint64(math.Float32bits(float32(v)))
	case "f16", "bf16", "e4m3", "e5m2":
		return tensorFormats[t].round(float64(v), nearest)
	}
	return uint64(uint32(v))
}

func elementBits(t string) int {
	return map[string]int{"f16": 16, "bf16": 16, "tf32": 32, "f32": 32, "f64": 64, "e4m3": 8, "e5m2": 8, "u8": 8, "s8": 8, "u4": 4, "s4": 4, "s32": 32}[t]
}

// small draws an element that leaves every sum exact: whole, and at most 3.
func small(r *rand.Rand, t string) int {
	if t[0] == 'u' {
		return r.IntN(4)
	}
	return r.IntN(7) - 3
}

var productForms = []string{
	"m8n8k4.row.row.f16.f16.f16.f16", "m8n8k4.row.col.f16.f16.f16.f16", "m8n8k4.col.row.f32.f16.f16.f32", "m8n8k4.col.col.f32.f16.f16.f32", "m8n8k4.row.col.f32.f16.f16.f32",
	"m16n8k8.row.col.f16.f16.f16.f16", "m16n8k8.row.col.f32.f16.f16.f32", "m16n8k16.row.col.f16.f16.f16.f16", "m16n8k16.row.col.f32.f16.f16.f32",
	"m16n8k8.row.col.f32.bf16.bf16.f32", "m16n8k16.row.col.f32.bf16.bf16.f32", "m16n8k4.row.col.f32.tf32.tf32.f32", "m16n8k8.row.col.f32.tf32.tf32.f32",
	"m8n8k4.row.col.f64.f64.f64.f64", "m8n8k4.row.col.rn.f64.f64.f64.f64", "m16n8k4.row.col.f64.f64.f64.f64", "m16n8k8.row.col.f64.f64.f64.f64", "m16n8k16.row.col.f64.f64.f64.f64",
	"m8n8k16.row.col.s32.u8.s8.s32", "m16n8k16.row.col.s32.s8.s8.s32", "m16n8k32.row.col.satfinite.s32.s8.u8.s32", "m16n8k32.row.col.s32.u8.u8.s32",
	"m8n8k32.row.col.s32.s4.u4.s32", "m16n8k32.row.col.s32.u4.s4.s32", "m16n8k64.row.col.satfinite.s32.s4.s4.s32", "m16n8k64.row.col.s32.u4.u4.s32",
	"m16n8k32.row.col.f32.e4m3.e5m2.f32", "m16n8k32.row.col.f32.e5m2.e4m3.f32",
}

// TestProducts holds every shape against a plain product of small whole
// numbers, which no order of additions and no rounding changes.
func TestProducts(t *testing.T) {
	for i, name := range productForms {
		for _, cc := range []int{75, 80, 90} {
			t.Run(fmt.Sprint(name, " on ", cc), func(t *testing.T) { holdProduct(t, name, cc, newRand(uint64(i))) })
		}
	}
}

func holdProduct(t *testing.T, name string, cc int, r *rand.Rand) {
	src, form := productKernel(t, "mma.sync.aligned."+name)
	if form.MinSM > cc {
		t.Skip("the device does not have it")
	}
	const warps = 3
	s := newProductShape(t, name, form)
	regs := s.regs[1] + s.regs[2] + s.regs[3]
	in, want := make([]uint64, warps*regs*32), make([]uint64, warps*s.regs[0]*32)
	for w := range warps {
		s.fill(r, in[w*regs*32:][:regs*32], want[w*s.regs[0]*32:][:s.regs[0]*32])
	}
	d := deviceOf(t, src, cc)
	pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, len(want)))
	d.must("k", 1, 32*warps, po, pi)
	for i, got := range read[uint64](d, po, len(want)) {
		if got != want[i] {
			t.Fatalf("register %d of D of all warps, lane %d: got %#x, want %#x", i/32, i%32, got, want[i])
		}
	}
}

// TestGroups: how many products are added at a time, and with how many bits,
// is the device's. The first is 1, the last 0, the others are 2^-25 or 2^-24,
// of which what lies below the last bit of the sum, 2^-23, is lost.
func TestGroups(t *testing.T) {
	for _, c := range []struct {
		name string
		cc   int
		e    int // of the small products
		want uint64
	}{
		// Together: 14·2^-25 is 3.5 units.
		{"m16n8k16.row.col.f32.bf16.bf16.f32", 90, -25, 0x3f800003},
		{"m16n8k16.row.col.f32.f16.f16.f32", 90, -24, 0x3f800007},
		{"m16n8k8.row.col.f32.tf32.tf32.f32", 90, -25, 0x3f800001},
		// With one bit less nothing is left of 2^-25, and in halves of 2^-24
		// twice 3.5 or 1.5 units.
		{"m16n8k16.row.col.f32.bf16.bf16.f32", 80, -25, 0x3f800000},
		{"m16n8k16.row.col.f32.f16.f16.f32", 80, -24, 0x3f800006},
		{"m16n8k8.row.col.f32.tf32.tf32.f32", 80, -24, 0x3f800002},
		{"m16n8k8.row.col.f32.f16.f16.f32", 75, -24, 0x3f800003},
		// By tensor cores, or by one addition after the other.
		{"m8n8k4.row.col.f32.f16.f16.f32", 75, -24, 0x3f800001},
		{"m8n8k4.row.col.f32.f16.f16.f32", 80, -24, 0x3f800000},
	} {
		src, form := productKernel(t, "mma.sync.aligned."+c.name)
		s := newProductShape(t, c.name, form)
		in := make([]uint64, (s.regs[1]+s.regs[2]+s.regs[3])*32)
		f := tensorFormats[s.types[1]]
		low := 0
		if s.types[1] == "tf32" {
			low = 13
		}
		for k := range s.k - 1 {
			v := 1.0
			if k > 0 {
				v = math.Exp2(float64(c.e / 2))
			}
			for operand := range 2 {
				lane, reg, part := s.place(operand+1, 0, 3*(1-operand)+k*operand, k*(1-operand)+5*operand)
				in[32*(operand*s.regs[1]+reg)+lane] |= f.round(v, nearest) << low << (part * elementBits(s.types[1]))
				if v != 1 && c.e%2 != 0 {
					v /= 2
				}
			}
		}
		d := deviceOf(t, src, c.cc)
		pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, s.regs[0]*32))
		d.must("k", 1, 32, po, pi)
		lane, reg, _ := s.place(0, 0, 3, 5)
		if got := read[uint64](d, po, s.regs[0]*32)[32*reg+lane]; got != c.want {
			t.Errorf("%s on %d, products of 2^%d: got %#x, want %#x", c.name, c.cc, c.e, got, c.want)
		}
	}
}

// matrixKernel is a kernel of a .trans or plain ldmatrix or stmatrix in shared
// memory that "in" fills: lane l's address is row 5·l+3 of the 32 of 16 bytes,
// rounds over.
func matrixKernel(name string, n int) string {
	regs := strings.Join([]string{"%r0", "%r1", "%r2", "%r3"}[:n], ",")
	access := fmt.Sprintf("%s {%s}, [%%a];", name, regs)
	if strings.HasPrefix(name, "st") {
		access = fmt.Sprintf("mad.lo.u32 %%r0, %%t, 65539, 1; add.u32 %%r1, %%r0, 0x1000; add.u32 %%r2, %%r0, 0x2000; add.u32 %%r3, %%r0, 0x3000; %s [%%a], {%s};", name, regs)
	}
	return `.visible .entry k(.param .u64 out, .param .u64 in) {
.reg .b64 %in, %out, %l, %d0, %d1; .reg .b32 %t, %a, %b, %r<4>;
.shared .align 16 .b8 s[512];
ld.param.u64 %out, [out]; ld.param.u64 %in, [in];
mov.u32 %t, %laneid; mul.wide.u32 %l, %t, 16; add.u64 %in, %in, %l; add.u64 %out, %out, %l;
ld.global.v2.b64 {%d0, %d1}, [%in];
mov.u32 %b, s; shl.b32 %a, %t, 4; add.u32 %b, %b, %a; st.shared.v2.b64 [%b], {%d0, %d1};
mad.lo.u32 %a, %t, 5, 3; and.b32 %a, %a, 31; shl.b32 %a, %a, 4; mov.u32 %r0, s; add.u32 %a, %a, %r0;
mov.u32 %r0, 0; mov.u32 %r1, 0; mov.u32 %r2, 0; mov.u32 %r3, 0;
bar.warp.sync -1;
` + access + `
bar.warp.sync -1;
` + map[bool]string{true: "ld.shared.v2.b64 {%d0, %d1}, [%b]; st.global.v2.b64 [%out], {%d0, %d1};", false: "st.global.v4.b32 [%out], {%r0, %r1, %r2, %r3};"}[strings.HasPrefix(name, "st")] + `
ret; }`
}

// TestMatrices holds ldmatrix and stmatrix against PTX's words: lane l has
// elements 2·(l%4) and the next of row l/4, whose address lane 8j+l/4 gives.
func TestMatrices(t *testing.T) {
	var in [256]uint16
	for i := range in {
		in[i] = uint16(i*257 + 11)
	}
	for _, op := range []string{"ldmatrix", "stmatrix"} {
		for _, n := range []int{1, 2, 4} {
			for _, trans := range []string{"", ".trans"} {
				name := fmt.Sprintf("%s.sync.aligned.m8n8.x%d%s.shared.b16", op, n, trans)
				out, memory := [256]uint16{}, in
				for lane := range 32 {
					for j := range n {
						for i := range 2 {
							row, col := lane/4, lane%4*2+i
							if trans != "" {
								row, col = col, row
							}
							at := ((8*j+row)*5+3)%32*8 + col
							v := uint32(lane)*65539 + 1 + uint32(j)*0x1000
							memory[at] = uint16(v >> (16 * i))
							out[8*lane+2*j+i] = in[at]
						}
					}
				}
				if op == "stmatrix" {
					out = memory
				}
				d := newDevice(t, matrixKernel(name, n))
				pi, po := buffer(d, "in", in[:]), buffer(d, "out", make([]uint16, 256))
				d.must("k", 1, 32, po, pi)
				if got := read[uint16](d, po, 256); [256]uint16(got) != out {
					t.Errorf("%s: got %#x, want %#x", name, got, out)
				}
			}
		}
	}
}

// TestMovmatrix: the element of row r and column c comes to row c, column r; the
// register may be both.
func TestMovmatrix(t *testing.T) {
	for _, to := range []string{"%a", "%b"} {
		d := newDevice(t, `.visible .entry k(.param .u64 out, .param .u64 in) {
.reg .b64 %in, %out, %l; .reg .b32 %t, %a, %b;
ld.param.u64 %out, [out]; ld.param.u64 %in, [in];
mov.u32 %t, %tid.x; mul.wide.u32 %l, %t, 4; add.u64 %in, %in, %l; add.u64 %out, %out, %l;
ld.global.b32 %a, [%in];
movmatrix.sync.aligned.m8n8.trans.b16 `+to+`, %a;
st.global.b32 [%out], `+to+`; ret; }`)
		in, want := make([]uint16, 3*64), make([]uint16, 3*64)
		for i := range in {
			in[i] = uint16(i*257 + 11)
			want[i&^63+i%8*8+i/8%8] = in[i]
		}
		pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint16, len(in)))
		d.must("k", 1, 96, po, pi)
		if got := read[uint16](d, po, len(in)); !slices.Equal(got, want) {
			t.Errorf("to %s: got %v, want %v", to, got, want)
		}
	}
}

// TestMatrixFaults: what the checks find in the instructions on matrices.
func TestMatrixFaults(t *testing.T) {
	const mma = "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0,%f1,%f2,%f3}, {%r0,%r1,%r2,%r3}, {%r4,%r5}, {%f0,%f1,%f2,%f3};\n"
	const zero = "mov.b32 %r0, 0; mov.b32 %r1, 0; mov.b32 %r2, 0; mov.b32 %r3, 0; mov.b32 %r4, 0; mov.b32 %r5, 0; mov.b32 %f0, 0f00000000; mov.b32 %f1, %f0; mov.b32 %f2, %f0; mov.b32 %f3, %f0;\n"
	const store = "st.global.f32 [%out], %f0;\n"
	const seven = "setp.lt.u32 %p, %t, 7;\n@%p st.shared.v2.b64 [%a], {0, 0};\n"
	const fill = "st.shared.v2.b64 [%a], {0, 0};\n"
	for _, c := range []struct {
		name, body string
		block      uint32
		kind       FaultKind
		text       string // of the report; "" means that there must be none
	}{
		{"in order", zero + mma + store, 64, 0, ""},
		{"half of the warp", zero + "setp.lt.u32 %p, %t, 16;\n@%p bra L;\nret;\nL:\n" + mma + store, 32, WarpMisuse, "all 32 must"},
		{"under a guard that differs", zero + "setp.lt.u32 %p, %t, 16;\n@%p " + mma + store, 32, WarpMisuse, "lanes 0xffff of the warp"},
		{"a warp that is not full", zero + mma + store, 48, WarpMisuse, "all 32 must"},
		{"ldmatrix of half of the warp", "setp.lt.u32 %p, %t, 16;\n" + fill + "@%p ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\n", 32, WarpMisuse, "all 32 must"},
		{"movmatrix of half of the warp", zero + "setp.lt.u32 %p, %t, 16;\n@%p movmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1;\n", 32, WarpMisuse, "all 32 must"},
		// Lane 9's elements, of row 2 and columns 2 and 3, come to lanes 9 and 13.
		{"movmatrix to lanes of other elements", "setp.ne.u32 %p, %t, 9;\n@%p mov.u32 %r1, 5;\nmovmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1;\nand.b32 %r2, %t, 27;\nsetp.ne.u32 %p, %r2, 9;\n@%p st.global.b32 [%out], %r0;\n", 32, 0, ""},
		{"movmatrix of what nobody wrote", "setp.ne.u32 %p, %t, 9;\n@%p mov.u32 %r1, 5;\nmovmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1;\nst.global.b32 [%out], %r0;\n", 32, Uninitialised, "lanes 0x2200"},
		{"movmatrix of what nobody wrote, an odd row", "setp.ne.u32 %p, %t, 13;\n@%p mov.u32 %r1, 5;\nmovmatrix.sync.aligned.m8n8.trans.b16 %r0, %r1;\nst.global.b32 [%out], %r0;\n", 32, Uninitialised, "lanes 0x2200"},
		{"misaligned row", fill + "add.u32 %a, %a, 8;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\n", 32, Misaligned, "multiple of 16"},
		{"row after the end", fill + "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r0,%r1,%r2,%r3}, [%a+16];\n", 32, OutOfBounds, "512 bytes of shared memory"},
		{"rows of which the last is not used", fill + "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%r0,%r1}, [%a+16];\n", 32, 0, ""},
		{"stmatrix after the end", zero + "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%a+16], {%r0,%r1,%r2,%r3};\n", 32, OutOfBounds, "512 bytes of shared memory"},
		{"not shared memory", "ldmatrix.sync.aligned.m8n8.x1.b16 {%r0}, [%out];\n", 32, OutOfBounds, "not in shared memory"},
		{"a generic address", fill + "mov.u32 %r0, s; cvt.u64.u32 %l, %r0; cvta.shared.u64 %l, %l;\nldmatrix.sync.aligned.m8n8.x1.b16 {%r0}, [%l];\nst.global.b32 [%out], %r0;\n", 32, 0, ""},
		{"memory nobody wrote", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\nst.global.b32 [%out], %r0;\n", 32, Uninitialised, "nobody wrote"},
		{"a fragment nobody wrote", zero + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r5}, [%a];\n" + mma + store, 32, Uninitialised, "nobody wrote"},
		{"an accumulator nobody wrote", strings.Replace(zero, "mov.b32 %f0, 0f00000000; mov.b32 %f1, %f0;", "mov.b32 %f1, 0f00000000;", 1) + mma + store, 32, Uninitialised, "nobody wrote"},
		// Rows 8 to 15 of A are of f2 and f3 alone.
		{"rows that are not stored", zero + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%a];\n" + mma + store, 32, 0, ""},
		{"rows that are stored", zero + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r1}, [%a];\n" + mma + "st.global.f32 [%out], %f3;\n", 32, Uninitialised, "nobody wrote"},
		{"a column of a row nobody wrote", seven + "and.b32 %r1, %t, 3;\nsetp.ne.u32 %p, %r1, 3;\nldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r0}, [%a];\n@%p st.global.b32 [%out], %r0;\n", 32, 0, ""},
		{"the rest of it", seven + "setp.eq.u32 %p, %t, 3;\nldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%r0}, [%a];\n@%p st.global.b32 [%out], %r0;\n", 32, Uninitialised, "nobody wrote"},
		{"a register that gets a value at last", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\n" + fill + "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\nst.global.b32 [%out], %r0;\n", 32, 0, ""},
		{"memory that stmatrix wrote", zero + "stmatrix.sync.aligned.m8n8.x4.shared.b16 [%a], {%r0,%r1,%r2,%r3};\nld.shared.b32 %r0, [%a+12];\nst.global.b32 [%out], %r0;\n", 32, 0, ""},
		{"an address nobody wrote", fill + "setp.lt.u32 %p, %t, 7;\n@%p mov.u32 %r5, %a;\nldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%r5];\n", 32, Uninitialised, "lanes 0x80"},
		{"stmatrix of what nobody wrote", "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%r0}, [%a];\nstmatrix.sync.aligned.m8n8.x1.shared.b16 [%a], {%r0};\n", 32, Uninitialised, "nobody wrote"},
	} {
		body := strings.ReplaceAll(c.body, "[%a], {0, 0}", "[%a], {%l, %l}")
		d := newDevice(t, `.visible .entry k(.param .u64 out) {
.reg .b64 %out, %l; .reg .b32 %t, %a, %r<6>; .reg .f32 %f<4>; .reg .pred %p;
.shared .align 16 .b8 s[512];
ld.param.u64 %out, [out]; mov.u32 %t, %laneid; mul.wide.u32 %l, %t, 4; add.u64 %out, %out, %l;
mov.u32 %a, s; mad.lo.u32 %a, %t, 16, %a;
`+body+"ret; }")
		err := d.run("k", 1, c.block, Options{Workers: 1}, buffer(d, "out", make([]float32, 64)))
		var f *Fault
		switch {
		case c.text == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.text != "" && (!errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(err.Error(), c.text)):
			t.Errorf("%s: got %v, want %q of kind %v", c.name, err, c.text, c.kind)
		}
	}
}

// BenchmarkProduct is one mma of a warp, by type.
func BenchmarkProduct(b *testing.B) {
	for _, name := range []string{"m16n8k16.row.col.f32.f16.f16.f32", "m16n8k16.row.col.f32.bf16.bf16.f32", "m16n8k8.row.col.f32.tf32.tf32.f32", "m16n8k32.row.col.s32.s8.s8.s32", "m16n8k16.row.col.f64.f64.f64.f64"} {
		b.Run(name, func(b *testing.B) {
			const products = 512
			src, form := productKernel(b, "mma.sync.aligned."+name)
			s := newProductShape(b, name, form)
			at := strings.Index(src, "mma.")
			end := at + strings.Index(src[at:], "\n") + 1
			src = src[:at] + strings.Repeat(src[at:end], products) + src[end:]
			in, want := make([]uint64, (s.regs[1]+s.regs[2]+s.regs[3])*32), make([]uint64, s.regs[0]*32)
			s.fill(newRand(1), in, want)
			d := deviceOf(b, src, 90)
			pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, len(want)))
			for b.Loop() {
				d.must("k", 1, 32, po, pi)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*products), "ns/mma")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*products*s.m*8*s.k), "ns/product")
		})
	}
}

// TestBitProducts holds products of single bits against a plain one, with each
// bit's place by the manual: those of a register lie in one row of A, or one
// column of B.
func TestBitProducts(t *testing.T) {
	r := newRand(7)
	for _, c := range []struct{ m, k, cc int }{{8, 128, 75}, {16, 128, 80}, {16, 256, 80}} {
		for _, op := range []string{"xor", "and"} {
			if op == "and" {
				c.cc = max(c.cc, 80)
			}
			src, form := productKernel(t, fmt.Sprintf("mma.sync.aligned.m%dn8k%d.row.col.s32.b1.b1.s32.%s.popc", c.m, c.k, op))
			regsA, regsB, regsC := form.Args[1].Vec, form.Args[2].Vec, form.Args[3].Vec
			in := make([]uint64, (regsA+regsB+regsC)*32)
			for i := range in {
				in[i] = uint64(r.Uint32())
			}
			a, b := make([][]bool, c.m), make([][]bool, 8)
			for i := range a {
				a[i] = make([]bool, c.k)
			}
			for i := range b {
				b[i] = make([]bool, c.k)
			}
			for lane := range 32 {
				g, at := lane/4, lane%4*32
				for bit := range 32 {
					for reg := range regsA {
						row, col := g, at+bit
						if reg&1 == 1 {
							row += 8
						}
						if reg&2 == 2 {
							col += 128
						}
						a[row][col] = in[reg*32+lane]>>bit&1 == 1
					}
					for reg := range regsB {
						b[g][at+bit+128*reg] = in[(regsA+reg)*32+lane]>>bit&1 == 1
					}
				}
			}
			d := deviceOf(t, src, c.cc)
			pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, regsC*32))
			d.must("k", 1, 32, po, pi)
			for i, got := range read[uint64](d, po, regsC*32) {
				reg, lane := i/32, i%32
				want := uint32(in[(regsA+regsB)*32+i])
				for l := range c.k {
					x, y := a[lane/4+8*(reg/2)][l], b[2*(lane%4)+reg%2][l]
					if op == "and" && x && y || op == "xor" && x != y {
						want++
					}
				}
				if uint32(got) != want {
					t.Fatalf("m%dn8k%d %s, register %d, lane %d: got %#x, want %#x", c.m, c.k, op, reg, lane, got, want)
				}
			}
		}
	}
}
