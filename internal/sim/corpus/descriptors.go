package corpus

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Products of four warps by the layouts of their operands in shared memory: all
// of it is filled with small numbers that depend on the address, so that every
// descriptor leads to some matrix, and which one shows in the results. All sums
// are exact.

// groupMemory is the shared memory of a block, of which A begins at 0 and B at
// groupB.
const (
	groupMemory = 48 << 10
	groupB      = 16 << 10
)

// The swizzles as descriptors number them.
const (
	plain = iota
	swizzle128
	swizzle64
	swizzle32
)

var spans = [...]int{plain: 16, swizzle128: 128, swizzle64: 64, swizzle32: 32}

// A descriptor says where a matrix lies in shared memory, in bytes from its
// beginning.
type descriptor struct{ start, leading, stride, base, kind int }

// load puts the descriptor in register %y<n>; smem is in %x9.
func (d descriptor) load(n int) string {
	bits := uint64(d.leading/16)<<16 | uint64(d.stride/16)<<32 | uint64(d.base)<<49 | uint64(d.kind)<<62
	return fmt.Sprintf("\tadd.u32 %%x8, %%x9, %d;\n\tand.b32 %%x8, %%x8, 0x3ffff;\n\tshr.u32 %%x8, %%x8, 4;\n\tcvt.u64.u32 %%y%d, %%x8;\n\tor.b64 %%y%d, %%y%d, %#x;\n", d.start, n, n, n, bits)
}

// A layoutCase is a product of operands that lie in some way.
type layoutCase struct {
	name      string // what is said beside the instruction
	mnemonic  string
	a, b      descriptor
	registers bool // A is in registers
	transA    bool
	transB    bool
	negA      bool
	negB      bool
	scale     string // of the accumulators; "" is a predicate: false for the first product
	steps     int    // products in a row, 0 is 1
	stepA     int    // from one to the next
	stepB     int
}

// fills are, by type of A and B, what numbers have in common, and which bits
// differ: ±1, ±1¼, ±1½, …, or any integers.
var fills = map[string][2]uint32{
	"f16": {0x3c003c00, 0x83008300}, "bf16": {0x3f803f80, 0x80608060}, "tf32": {0x3f800000, 0x80600000},
	"e4m3": {0x38383838, 0x86868686}, "e5m2": {0x3c3c3c3c, 0x83838383}, "s8": {0, 0xffffffff}, "u8": {0, 0xffffffff},
}

// scramble makes x of %x of the number from; the results are in fill's form.
func scramble(from, to string, fill [2]uint32) string {
	return fmt.Sprintf("\tmul.lo.u32 %[2]s, %[1]s, 0x9e3779b1;\n\tshr.u32 %%x7, %[2]s, 15;\n\txor.b32 %[2]s, %[2]s, %%x7;\n\tmul.lo.u32 %[2]s, %[2]s, 0x85ebca6b;\n\tshr.u32 %%x7, %[2]s, 13;\n\txor.b32 %[2]s, %[2]s, %%x7;\n\tand.b32 %[2]s, %[2]s, %[3]d;\n\tor.b32 %[2]s, %[2]s, %[4]d;\n", from, to, fill[1], fill[0])
}

// draft makes the program: 16 accumulators or fewer are its results, else the
// first one and what mixes all.
func (c *layoutCase) draft() *draft {
	forms, err := ptx.Forms(c.mnemonic)
	if err != nil {
		panic(err)
	}
	x := forms[0]
	of := x.Mods[len(x.Mods)-3:]
	n := x.Args[0].Vec
	d := &draft{name: c.mnemonic + ", " + c.name, sm: 90, ptx: x.MinPTX.Major*10 + x.MinPTX.Minor, arch: true, block: 128, lanes: 128}
	d.decl = fmt.Sprintf("\t.shared .align 1024 .b8 smem[%d];\n\t.reg .b32 %%c<%d>;\n", groupMemory, n)
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	w("mov.u32 %%x9, smem;\n\tshl.b32 %%x1, %%t, 2;")
	s.WriteString("FILL:\n" + scramble("%x1", "%x2", fills[of[1]]))
	w("add.u32 %%x3, %%x9, %%x1;\n\tst.shared.b32 [%%x3], %%x2;\n\tadd.u32 %%x1, %%x1, 512;\n\tsetp.lt.u32 %%q0, %%x1, %d;\n\t@%%q0 bra FILL;", groupMemory)
	from := "%y1"
	if c.registers {
		from = "{%x20, %x21, %x22, %x23}"
		for i := range 4 {
			w("mad.lo.u32 %%x1, %%t, 4, %d;", groupMemory+i)
			s.WriteString(scramble("%x1", fmt.Sprintf("%%x2%d", i), fills[of[1]]))
		}
	}
	for i := range n {
		start := map[string]uint32{"f32": 0x42c80000, "f16": 0x57b0d640, "s32": 1000000}[of[0]]
		w("mov.b32 %%c%d, %#x;", i, start)
	}
	w("setp.eq.u32 %%q1, %%t, %%t;\n\tsetp.ne.u32 %%q2, %%t, %%t;\n\tfence.proxy.async;\n\tbar.sync 0;\n\twgmma.fence.sync.aligned;")
	sign := map[bool]string{false: "1", true: "-1"}
	tail := ""
	if of[0] != "s32" {
		tail = ", " + sign[c.negA] + ", " + sign[c.negB]
	}
	if of[1] == "f16" || of[1] == "bf16" {
		if !c.registers {
			tail += fmt.Sprintf(", %d", map[bool]int{true: 1}[c.transA])
		}
		tail += fmt.Sprintf(", %d", map[bool]int{true: 1}[c.transB])
	}
	scale := "%q2"
	for i := range max(1, c.steps) {
		a, b := c.a, c.b
		a.start += i * c.stepA
		b.start += groupB + i*c.stepB
		s.WriteString(a.load(1) + b.load(2))
		if c.scale != "" {
			scale = c.scale
		}
		w("%s %s, %s, %%y2, %s%s;", c.mnemonic, vector("%c", 0, n), from, scale, tail)
		scale = "%q1"
	}
	w("wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;")
	d.outs = types(min(n, 2), ptx.B32)
	if n <= 16 {
		d.outs = types(n, ptx.B32)
		for i := range n {
			w("mov.b32 %%o%d, %%c%d;", i, i)
		}
	} else {
		w("mov.b32 %%o0, %%c0;\n\tmov.u32 %%o1, 0;")
		for i := range n {
			w("mul.lo.u32 %%o1, %%o1, 0x01000193;\n\txor.b32 %%o1, %%o1, %%c%d;", i)
		}
	}
	d.body = s.String()
	return d
}

// along is a descriptor of a matrix whose rows (of A, or columns of B) are
// adjacent (trans) or its elements along K, with a number of rows, dense or with
// other distances between its parts.
func along(kind int, trans bool, rows int, loose bool) descriptor {
	span := spans[kind]
	d := descriptor{kind: kind}
	switch {
	case kind == plain && !loose:
		d.leading, d.stride = 128, 256
	case kind == plain && trans:
		d.leading, d.stride = 2*rows*8+512, 128
	case kind == plain:
		d.leading, d.stride = 16*rows+256, 128
	case !trans && !loose:
		d.leading, d.stride = 16, 8*span
	case !trans:
		d.leading, d.stride = 4096, 6*span
	case !loose:
		d.leading, d.stride = 16*span, 8*span
	default:
		d.leading, d.stride = 8*span, 8*span*max(1, rows*2/span)+256
	}
	return d
}

// layoutCases are the ways that operands lie, and the other forms of a product.
func layoutCases() (list []layoutCase) {
	const head = "wgmma.mma_async.sync.aligned."
	kinds := []int{plain, swizzle32, swizzle64, swizzle128}
	major := map[bool]string{false: "K", true: "MN"}
	for _, kind := range kinds {
		for _, n := range []int{8, 16, 64, 128, 256} {
			for form := range 8 {
				ta, tb, loose := form&1 != 0, form&2 != 0, form&4 != 0
				list = append(list, layoutCase{name: fmt.Sprintf("swizzle %d, A %s-major, B %s-major, loose %v", spans[kind], major[ta], major[tb], loose),
					mnemonic: fmt.Sprintf("%sm64n%dk16.f32.f16.f16", head, n), a: along(kind, ta, 64, loose), b: along(kind, tb, n, loose), transA: ta, transB: tb})
			}
		}
		for _, n := range []int{8, 64, 256} {
			for _, tb := range []bool{false, true} {
				list = append(list, layoutCase{name: fmt.Sprintf("swizzle %d, A in registers, B %s-major", spans[kind], major[tb]), mnemonic: fmt.Sprintf("%sm64n%dk16.f32.bf16.bf16", head, n), b: along(kind, tb, n, false), transB: tb, registers: true})
			}
			for _, shape := range []string{"k16.f16.f16.f16", "k16.f32.bf16.bf16", "k8.f32.tf32.tf32", "k32.f32.e4m3.e5m2", "k32.f16.e5m2.e4m3", "k32.s32.s8.s8", "k32.s32.u8.u8"} {
				list = append(list, layoutCase{name: fmt.Sprintf("swizzle %d", spans[kind]), mnemonic: fmt.Sprintf("%sm64n%d%s", head, n, shape), a: along(kind, false, 64, false), b: along(kind, false, n, false)})
			}
		}
		const f16 = head + "m64n16k16.f32.f16.f16"
		k, mn := along(kind, false, 64, false), along(kind, true, 64, false)
		// Along K within a tile, and along M and N.
		for _, step := range []int{16, 32, 64, 96} {
			if step < spans[kind] {
				c := layoutCase{name: fmt.Sprintf("swizzle %d, %d bytes into a row", spans[kind], step), mnemonic: f16, a: k, b: k}
				c.a.start, c.b.start = step, step
				list = append(list, c)
				c.name, c.a, c.b, c.transA, c.transB = c.name+", MN-major", mn, mn, true, true
				c.a.start, c.b.start = step, step
				list = append(list, c)
			}
		}
		if kind != plain {
			list = append(list,
				layoutCase{name: fmt.Sprintf("swizzle %d, steps along K", spans[kind]), mnemonic: f16, a: k, b: k, steps: spans[kind] / 32, stepA: 32, stepB: 32},
				layoutCase{name: fmt.Sprintf("swizzle %d, steps along K, MN-major", spans[kind]), mnemonic: f16, a: mn, b: mn, steps: 3, stepA: 16 * spans[kind], stepB: 16 * spans[kind], transA: true, transB: true})
		}
		// Patterns that begin elsewhere than at a multiple of their size.
		for _, at := range []int{128, 256, 384, 640, 896} {
			for _, base := range []int{0, 1, 2, 3, 5, 7} {
				if kind == plain && base > 1 || base != 0 && base != 1 && base != at/128 {
					continue
				}
				c := layoutCase{name: fmt.Sprintf("swizzle %d, at %d, base offset %d", spans[kind], at, base), mnemonic: f16, a: k, b: k}
				c.a.start, c.a.base = at, base
				list = append(list, c)
				c.name, c.a, c.transA = c.name+", MN-major", mn, true
				c.a.start, c.a.base = at, base
				list = append(list, c)
			}
		}
		wide := k
		wide.stride += 128
		list = append(list, layoutCase{name: fmt.Sprintf("swizzle %d, groups of rows out of the pattern's step", spans[kind]), mnemonic: f16, a: wide, b: wide})
		for i, leading := range []int{0, 16, 2048} {
			if x := k; kind != plain {
				x.leading = leading
				list = append(list, layoutCase{name: fmt.Sprintf("swizzle %d, leading offset %d along K", spans[kind], []int{0, 16, 2048}[i]), mnemonic: f16, a: x, b: x})
			}
		}
	}
	return append(list, otherProducts(head)...)
}

// otherProducts are the widths, signs and scales.
func otherProducts(head string) (list []layoutCase) {
	a := along(swizzle128, false, 64, false)
	for n := 8; n <= 256; n += 8 {
		list = append(list, layoutCase{name: "every width", mnemonic: fmt.Sprintf("%sm64n%dk16.f32.f16.f16", head, n), a: a, b: a})
		if n == 8 || n == 24 || n%16 == 0 {
			list = append(list, layoutCase{name: "every width", mnemonic: fmt.Sprintf("%sm64n%dk32.s32.s8.s8", head, n), a: a, b: a})
		}
	}
	for _, of := range []string{"m64n8k16.f32.f16.f16", "m64n8k16.f16.f16.f16", "m64n8k16.f32.bf16.bf16", "m64n8k8.f32.tf32.tf32", "m64n8k32.f32.e4m3.e4m3"} {
		for signs := range 4 {
			for _, registers := range []bool{false, true} {
				if signs == 0 && !registers {
					continue
				}
				list = append(list, layoutCase{name: fmt.Sprintf("signs %d, A in registers %v", signs, registers), mnemonic: head + of, a: a, b: a, negA: signs&1 != 0, negB: signs&2 != 0, registers: registers, scale: "%q1"})
			}
		}
	}
	for _, of := range []string{"m64n8k16.f32.f16.f16", "m64n8k16.f16.f16.f16", "m64n8k32.s32.s8.s8"} {
		for _, scale := range []string{"%q1", "%q2", "0", "1"} {
			list = append(list, layoutCase{name: "scale " + scale, mnemonic: head + of, a: a, b: a, scale: scale})
		}
	}
	return list
}

// descriptors are the programs.
func descriptors() (list []*draft) {
	for _, c := range layoutCases() {
		list = append(list, c.draft())
	}
	return list
}
