package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

const memTypes = "b8 b16 b32 b64 u8 u16 u32 u64 s8 s16 s32 s64 f32 f64"

// wider is the untyped register that takes a loaded value, at least 32 bits
// wide so that extension shows.
func wider(t string) ptx.Type {
	if typed(t).Bits() == 64 {
		return ptx.B64
	}
	return ptx.B32
}

// regs lists n registers, in braces unless it is one.
func regs(prefix string, n int) string {
	if n == 1 {
		return prefix + "0"
	}
	var s []string
	for i := range n {
		s = append(s, fmt.Sprint(prefix, i))
	}
	return "{" + strings.Join(s, ", ") + "}"
}

// accesses are loads, stores, and asynchronous copies. A lane's operand is 16
// bytes of memory.
func accesses() (list []*draft) {
	b32, b64 := ptx.B32, ptx.B64
	in := types(2, b64)
	const shared = "\t.shared .align 16 .b8 smem[4096];\n"
	const local = "\t.local .align 16 .b8 lmem[16];\n"
	// The lane's 16 bytes of scratch memory, of shared memory, and of local memory.
	const own = "\tmul.wide.u32 %y0, %g, 16;\n\tadd.u64 %y0, %scratch, %y0;\n"
	const ownShared = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 4;\n\tadd.u32 %x9, %x9, %x8;\n"
	const fillGlobal = own + "\tst.global.v2.b64 [%y0], {%i0, %i1};\n"
	const fillShared = ownShared + "\tst.shared.v2.b64 [%x9], {%i0, %i1};\n"
	const fillLocal = "\tst.local.v2.b64 [lmem], {%i0, %i1};\n"

	for _, space := range []struct{ name, decl, fill, clear, address string }{
		{".global", "", fillGlobal, own + "\tst.global.v2.b64 [%y0], {%i1, %i1};\n", "[%y0]"},
		{".shared", shared, fillShared, ownShared + "\tst.shared.v2.b64 [%x9], {%i1, %i1};\n", "[%x9]"},
		{".local", local, fillLocal, "\tst.local.v2.b64 [lmem], {%i1, %i1};\n", "[lmem]"},
		{"", shared, fillShared + "\tcvt.u64.u32 %y1, %x9;\n\tcvta.shared.u64 %y1, %y1;\n", ownShared + "\tst.shared.v2.b64 [%x9], {%i1, %i1};\n\tcvt.u64.u32 %y1, %x9;\n\tcvta.shared.u64 %y1, %y1;\n", "[%y1]"},
	} {
		for _, t := range strings.Fields(memTypes) {
			for _, v := range []struct {
				name string
				n    int
			}{{"", 1}, {".v2", 2}, {".v4", 4}} {
				ld, st := "ld"+space.name+v.name+"."+t, "st"+space.name+v.name+"."+t
				if !known(ld) {
					continue
				}
				note := ""
				if space.name == "" {
					note = ", generic"
				}
				r := wider(t)
				list = append(list, &draft{name: ld + note, decl: space.decl, ins: in, outs: types(v.n, r), body: space.fill + fmt.Sprintf("\t%s %s, %s;\n", ld, regs("%o", v.n), space.address)})
				var cuts string // the values to store, in registers of the width
				for i := range v.n {
					if r == b64 {
						cuts += fmt.Sprintf("\tmov.b64 %%y%d, %%i%d;\n", 4+i, i&1)
					} else {
						cuts += fmt.Sprintf("\tshr.u64 %%y9, %%i%d, %d;\n\tcvt.u32.u64 %%x%d, %%y9;\n", i&1, 8*i, 10+i)
					}
				}
				from := regs("%x1", v.n)
				if r == b64 {
					from = strings.NewReplacer("%y0", "%y4", "%y1", "%y5").Replace(regs("%y", v.n))
				}
				list = append(list, &draft{name: st + note, decl: space.decl, ins: in, outs: types(2, b64), body: space.clear + cuts + fmt.Sprintf("\t%s %s, %s;\n\tld%s.v2.b64 {%%o0, %%o1}, %s;\n", st, space.address, from, space.name, space.address)})
			}
		}
	}
	for _, ld := range strings.Fields("ld.volatile.global.u32 ld.relaxed.gpu.global.u32 ld.relaxed.gpu.global.u64 ld.acquire.gpu.global.u32 ld.relaxed.cta.global.u16 ld.global.nc.u32 ld.global.nc.v4.f32 ld.global.ca.u32 ld.global.cg.u32 ld.global.cs.u32 ld.global.cv.s16 ld.global.lu.u32 ld.weak.global.u32 ld.global.L1::no_allocate.v4.f32 ld.global.L1::no_allocate.v4.s32 ld.global.L1::no_allocate.v4.u32 ld.global.L1::no_allocate.v2.u32 ld.global.L1::no_allocate.v2.f64 ld.global.L1::no_allocate.v2.s64") {
		n, out := 1, b32
		if i := strings.Index(ld, ".v"); i > 0 && ld[i+2] <= '4' {
			n = int(ld[i+2] - '0')
		}
		if strings.HasSuffix(ld, "64") {
			out = b64
		}
		if known(ld) {
			list = append(list, &draft{name: ld, ins: in, outs: types(n, out), body: fmt.Sprintf("\tmul.wide.u32 %%y0, %%g, 8;\n\tsub.u64 %%y0, %%ia, %%y0;\n\tmul.wide.u32 %%y1, %%g, 16;\n\tadd.u64 %%y0, %%y0, %%y1;\n\t%s %s, [%%y0];\n", ld, regs("%o", n))})
		}
	}
	for _, t := range strings.Fields(memTypes) {
		for _, n := range []int{1, 2, 4} {
			ld := "ldu.global." + t
			if n > 1 {
				ld = fmt.Sprintf("ldu.global.v%d.%s", n, t)
			}
			if known(ld) { // one address a warp, as the instruction asks
				list = append(list, &draft{name: ld, ins: in, outs: types(n, wider(t)), body: fmt.Sprintf("\tmul.wide.u32 %%y0, %%g, 8;\n\tsub.u64 %%y0, %%ia, %%y0;\n\tshr.u32 %%x0, %%g, 5;\n\tmul.wide.u32 %%y1, %%x0, 16;\n\tadd.u64 %%y0, %%y0, %%y1;\n\t%s %s, [%%y0];\n", ld, regs("%o", n))})
			}
		}
	}
	for _, st := range strings.Fields("st.volatile.global.u32 st.relaxed.gpu.global.u32 st.release.gpu.global.u16 st.global.wb.u32 st.global.cg.u32 st.global.cs.u8 st.global.wt.u32 st.weak.global.u32") {
		if known(st) {
			list = append(list, &draft{name: st, ins: types(1, b32), outs: types(1, b64), body: own + fmt.Sprintf("\t%s [%%y0+4], %%i0;\n\tld.global.b64 %%o0, [%%y0];\n", st)})
		}
	}
	list = append(list, &draft{name: "st.relaxed.gpu.global.u64", ins: types(1, b64), outs: types(1, b64), body: own + "\tst.relaxed.gpu.global.u64 [%y0+8], %i0;\n\tld.global.b64 %o0, [%y0+8];\n"})
	for _, t := range strings.Fields(memTypes) {
		bytes := typed(t).Size()
		list = append(list, &draft{name: "ld.const." + t, ins: types(1, b32), outs: types(1, wider(t)), vars: ".const .align 8 .b8 table[16] = {1, 255, 3, 128, 127, 6, 0, 240, 9, 10, 254, 12, 13, 129, 15, 192};\n",
			body: fmt.Sprintf("\tand.b32 %%x0, %%i0, %d;\n\tcvt.u64.u32 %%y0, %%x0;\n\tmov.u64 %%y1, table;\n\tadd.u64 %%y1, %%y1, %%y0;\n\tld.const.%s %%o0, [%%y1];\n", 16-bytes, t)})
		// A parameter's halves, or the whole, against the parameter.
		halves := "\tld.param.%[1]s %%y0, [in];\n"
		if bytes == 4 {
			halves = "\tld.param.%[1]s %%x0, [in];\n\tld.param.%[1]s %%x1, [in+4];\n\tmov.b64 %%y0, {%%x0, %%x1};\n"
		}
		if bytes >= 4 {
			list = append(list, &draft{name: "ld.param." + t, outs: types(1, b64), body: fmt.Sprintf(halves+"\tld.param.u64 %%y1, [in];\n\tsub.u64 %%o0, %%y0, %%y1;\n", t)})
		}
	}
	list = append(list,
		&draft{name: "ld.const, an array", ins: types(1, b32), outs: []ptx.Type{b32, b64}, vars: ".const .align 8 .b32 table[8] = {1, 0xffffffff, 3, 4, 0x80000000, 6, 7, 8};\n",
			body: "\tand.b32 %x0, %i0, 7;\n\tmul.wide.u32 %y0, %x0, 4;\n\tmov.u64 %y1, table;\n\tadd.u64 %y1, %y1, %y0;\n\tld.const.b32 %o0, [%y1];\n\tld.const.b64 %o1, [table+16];\n"},
		&draft{name: "ld.global, an initialised variable", ins: types(1, b32), outs: types(2, b32), vars: ".global .align 4 .b8 bytes[8] = {1, 2, 255, 4, 128, 6, 7, 8};\n.global .f32 number = 0f3fc00000;\n",
			body: "\tand.b32 %x0, %i0, 7;\n\tcvt.u64.u32 %y0, %x0;\n\tmov.u64 %y1, bytes;\n\tadd.u64 %y1, %y1, %y0;\n\tld.global.s8 %o0, [%y1];\n\tld.global.b32 %o1, [number];\n"},
		&draft{name: "isspacep", decl: shared + local, outs: types(6, ptx.Pred),
			body: "\tmov.u64 %y0, smem;\n\tcvta.shared.u64 %y0, %y0;\n\tmov.u64 %y1, lmem;\n\tcvta.local.u64 %y1, %y1;\n\tisspacep.shared %o0, %y0;\n\tisspacep.global %o1, %y0;\n\tisspacep.local %o2, %y1;\n\tisspacep.global %o3, %ia;\n\tisspacep.shared %o4, %ia;\n\tisspacep.const %o5, %ia;\n"},
		&draft{name: "isspacep, parameters", ptx: 83, outs: types(7, ptx.Pred),
			body: "\tmov.u64 %y0, in;\n\tcvta.param.u64 %y1, %y0;\n\tcvta.param::entry.u64 %y2, %y0;\n\tisspacep.param %o0, %y1;\n\tisspacep.param::entry %o1, %y2;\n\tisspacep.param::entry %o2, %ia;\n\tisspacep.global %o3, %y1;\n\tisspacep.shared %o4, %y1;\n\tisspacep.local %o5, %y1;\n\tsetp.eq.u64 %o6, %y1, %y2;\n"},
		&draft{name: "cvta.to.shared", decl: shared, ins: types(1, b32), outs: types(1, b32),
			body: ownShared + "\tst.shared.b32 [%x9], %i0;\n\tcvt.u64.u32 %y0, %x9;\n\tcvta.shared.u64 %y0, %y0;\n\tcvta.to.shared.u64 %y1, %y0;\n\tcvt.u32.u64 %x1, %y1;\n\tld.shared.b32 %o0, [%x1];\n"},
	)
	return append(list, copies(shared, ownShared)...)
}

// copies are cp.async of every size, whole and short, which fills with zeros.
func copies(shared, ownShared string) (list []*draft) {
	b64 := ptx.B64
	const source = "\tmul.wide.u32 %y0, %g, 8;\n\tsub.u64 %y0, %ia, %y0;\n\tmul.wide.u32 %y1, %g, 16;\n\tadd.u64 %y0, %y0, %y1;\n"
	add := func(name, body string) {
		list = append(list, &draft{name: name, sm: 80, decl: shared, ins: types(2, b64), outs: types(2, b64),
			body: ownShared + source + "\tst.shared.v2.b64 [%x9], {%i1, %i1};\n" + body + "\tld.shared.v2.b64 {%o0, %o1}, [%x9];\n"})
	}
	const done = "\tcp.async.commit_group;\n\tcp.async.wait_group 0;\n"
	for _, size := range []int{4, 8, 16} {
		for _, op := range []string{"ca", "cg"} {
			if op == "cg" && size < 16 {
				continue
			}
			add(fmt.Sprintf("cp.async.%s, %d bytes", op, size), fmt.Sprintf("\tcp.async.%s.shared.global [%%x9], [%%y0], %d;\n%s", op, size, done))
			for _, src := range []int{0, 1, 3, 4, 7, 8, 13, 16} {
				if src <= size {
					add(fmt.Sprintf("cp.async.%s, %d bytes of which the source has %d", op, size, src), fmt.Sprintf("\tcp.async.%s.shared.global [%%x9], [%%y0], %d, %d;\n\tcp.async.wait_all;\n", op, size, src))
				}
			}
			add(fmt.Sprintf("cp.async.%s, %d bytes, source size in a register", op, size), fmt.Sprintf("\trem.u32 %%x1, %%t, %d;\n\tcp.async.%s.shared.global [%%x9], [%%y0], %d, %%x1;\n%s", size+1, op, size, done))
		}
	}
	add("cp.async, groups", `
	cp.async.ca.shared.global [%x9], [%y0], 8;
	cp.async.commit_group;
	cp.async.ca.shared.global [%x9+8], [%y0], 8;
	cp.async.commit_group;
	cp.async.wait_group 1;
	ld.shared.b64 %y3, [%x9];
	cp.async.wait_group 0;
	add.u64 %y3, %y3, 1;
	st.shared.b64 [%x9], %y3;
`)
	return list
}

// operands draws what makes atomics interesting: small numbers among any.
func operands(t ptx.Type) pool {
	return pool{random: func(r *rand.Rand) uint64 {
		if r.IntN(3) == 0 {
			return r.Uint64N(4)
		}
		return random(t, r)
	}}
}

// atomics run every operation on a word of each lane's own, where the order
// does not matter and the old value is known, and those on integers on a word
// that a whole block shares.
func atomics() (list []*draft) {
	ops := map[string]string{
		"add": "u32 s32 u64 f32 f64 noftz.f16 noftz.f16x2 noftz.bf16 noftz.bf16x2", "min": "u32 s32 u64 s64", "max": "u32 s32 u64 s64",
		"inc": "u32", "dec": "u32", "and": "b32 b64", "or": "b32 b64", "xor": "b32 b64", "exch": "b32 b64", "cas": "b16 b32 b64",
	}
	const shared = "\t.shared .align 16 .b8 smem[4096];\n"
	for _, op := range []string{"add", "min", "max", "inc", "dec", "and", "or", "xor", "exch", "cas"} {
		for _, suffix := range strings.Fields(ops[op]) {
			t := typed(suffix[strings.LastIndexByte(suffix, '.')+1:])
			for _, space := range []string{"global", "shared", ""} {
				for _, kind := range []string{"atom", "red"} {
					name := strings.ReplaceAll(fmt.Sprintf("%s.%s.%s.%s", kind, space, op, suffix), "..", ".")
					x, err := ptx.Forms(name)
					if err != nil {
						continue
					}
					d := &draft{name: name, sm: x[0].MinSM, ptx: x[0].MinPTX.Major*10 + x[0].MinPTX.Minor, lanes: 512, block: 128, ins: types(2, t), outs: types(1, t), anyNaN: t == ptx.F64}
					if layoutOf, float := layoutOf(t); !float || layoutOf.bits == 0 {
						d.pools = []pool{operands(t), operands(t), operands(t)}
					}
					if op == "cas" {
						d.ins = types(3, t)
						d.pools = []pool{few(4), few(4), any0}
					}
					address, bits := "[%y0]", t.Bits()
					d.body = "\tmul.wide.u32 %y0, %g, 16;\n\tadd.u64 %y0, %scratch, %y0;\n"
					if space == "shared" {
						d.decl, address = shared, "[%x9]"
						d.body = "\tmov.u32 %x9, smem;\n\tshl.b32 %x8, %t, 4;\n\tadd.u32 %x9, %x9, %x8;\n"
					}
					where := "." + space
					if space == "" {
						where = ""
					}
					d.body += fmt.Sprintf("\tst%s.b%d %s, %%i0;\n", where, bits, address)
					operand := "%i1"
					if op == "cas" {
						operand = "%i1, %i2"
					}
					if kind == "atom" {
						d.outs = types(2, t)
						d.body += fmt.Sprintf("\t%s %%o1, %s, %s;\n", name, address, operand)
					} else {
						d.body += fmt.Sprintf("\t%s %s, %s;\n", name, address, operand)
					}
					d.body += fmt.Sprintf("\tld%s.b%d %%o0, %s;\n", where, bits, address)
					if space == "" {
						d.name += ", generic"
					}
					list = append(list, d)
					if name == "atom.global.inc.u32" { // by which blocks take numbers, and the last one of a grid is found
						for _, order := range []string{"relaxed", "release", "acq_rel"} {
							ticket := *d
							ticket.name = "atom." + order + ".gpu.global.inc.u32"
							ticket.body = strings.Replace(d.body, name, ticket.name, 1)
							list = append(list, &ticket)
						}
					}
					if _, float := layoutOf(t); !float && op != "exch" && op != "cas" && space != "" {
						list = append(list, crowd(d.name, kind, t, space))
					}
				}
			}
		}
	}
	list = append(list, vectorAtomics()...)
	return append(list, &draft{name: "atom.cas.b32, a sum by retries", block: 64, lanes: 128, ins: types(1, ptx.B32), outs: types(1, ptx.B32), decl: shared, ran: strings.NewReplacer("ld.volatile", "ld"), body: `
	setp.ne.u32 %q0, %t, 0;
	@!%q0 st.shared.u32 [smem], %t;
	bar.sync 0;
	ld.volatile.shared.u32 %x1, [smem];
RETRY:
	add.u32 %x2, %x1, %i0;
	atom.shared.cas.b32 %x3, [smem], %x1, %x2;
	setp.ne.u32 %q1, %x3, %x1;
	mov.u32 %x1, %x3;
	@%q1 bra RETRY;
	bar.sync 0;
	ld.shared.u32 %o0, [smem];
`})
}

// vectorAtomics are the operations on vectors, which only global memory has.
func vectorAtomics() (list []*draft) {
	for _, v := range []string{"v2.f32", "v4.f32", "v2.f16", "v4.f16", "v8.f16", "v2.bf16", "v4.bf16", "v8.bf16", "v2.f16x2", "v4.f16x2", "v2.bf16x2", "v4.bf16x2"} {
		ops := []string{"add.noftz", "min.noftz", "max.noftz"}
		if strings.HasSuffix(v, ".f32") {
			ops = []string{"add"}
		}
		for _, op := range ops {
			for _, kind := range []string{"atom", "red"} {
				list = append(list, vectorAtomic(kind+".global."+op+"."+v, kind, int(v[1]-'0'), typed(v[3:])))
			}
		}
	}
	return list
}

func vectorAtomic(name, kind string, n int, t ptx.Type) *draft {
	join := func(from, to int, prefix string) string {
		var s []string
		for i := from; i < to; i++ {
			s = append(s, fmt.Sprint(prefix, i))
		}
		return "{" + strings.Join(s, ", ") + "}"
	}
	d := &draft{name: name, sm: 90, ptx: 81, lanes: 512, ins: types(2*n, t), outs: types(n, t), body: "\tmul.wide.u32 %y0, %g, 16;\n\tadd.u64 %y0, %scratch, %y0;\n"}
	part := min(n, 4) // what st and ld have
	for i := 0; i < n; i += part {
		d.body += fmt.Sprintf("\tst.global.v%d.b%d [%%y0%s], %s;\n", part, t.Bits(), plus(i*t.Size()), join(i, i+part, "%i"))
	}
	old := ""
	if kind == "atom" {
		old = join(n, 2*n, "%o") + ", "
		d.outs = types(2*n, t)
	}
	d.body += fmt.Sprintf("\t%s %s[%%y0], %s;\n", name, old, join(n, 2*n, "%i"))
	for i := 0; i < n; i += part {
		d.body += fmt.Sprintf("\tld.global.v%d.b%d %s, [%%y0%s];\n", part, t.Bits(), join(i, i+part, "%o"), plus(i*t.Size()))
	}
	return d
}

// plus is the offset of an address, if there is one.
func plus(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("+%d", n)
}

// crowd makes the program of an operation on a word that a block shares; each
// lane reads what remains.
func crowd(name, kind string, t ptx.Type, space string) *draft {
	d := &draft{name: name + ", on one word", ins: types(1, t), outs: types(1, t), block: 256, lanes: 512}
	address := "[smem]"
	if space == "shared" {
		d.decl = "\t.shared .align 8 .b8 smem[8];\n"
	} else {
		d.body, address = "\tmov.u32 %x8, %ctaid.x;\n\tmul.wide.u32 %y0, %x8, 8;\n\tadd.u64 %y0, %scratch, %y0;\n", "[%y0]"
	}
	operand := "%i0"
	if strings.Contains(name, ".inc") || strings.Contains(name, ".dec") {
		d.body += "\tmov.u32 %x7, %ctaid.x;\n\tmad.lo.u32 %x7, %x7, 200, 37;\n"
		operand = "%x7"
	}
	mnemonic := strings.TrimSuffix(name, ", generic")
	result := ""
	if kind == "atom" {
		result = fmt.Sprintf("%%%s9, ", map[int]string{32: "x", 64: "y"}[t.Bits()])
	}
	d.body += fmt.Sprintf(`	setp.eq.u32 %%q0, %%t, 0;
	@%%q0 st.%[1]s.b%[2]d %[3]s, %%i0;
	bar.sync 0;
	%[4]s %[5]s%[3]s, %[6]s;
	bar.sync 0;
	ld.%[1]s.b%[2]d %%o0, %[3]s;
`, space, t.Bits(), address, mnemonic, result, operand)
	return d
}
