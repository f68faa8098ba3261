package corpus

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A Program is a kernel "k" in a module of its own, with its input.
type Program struct {
	Name string // the instruction's name and, in words, what varies beside it
	PTX  string

	Grid, Block uint32 // blocks, threads in a block
	SM          int    // lowest compute capability that can load it, as 80

	In     [][]uint64 // the lanes' operands: In[j][lane], the low bits of each
	Maps   []Map      // the parameters behind the results' and the operands' addresses
	Outs   []ptx.Type // the lanes' results
	Bound  *Bound     // how far results may lie from each other; nil: not at all
	AnyNaN bool       // PTX leaves open which NaN a NaN result is

	ran string // the text that was recorded, where another one stands for it now
}

// A Map is a tensor map that the device's driver makes of its description before
// the launch. Its address is an offset in the operands, as a column of In is
// 8·Lanes bytes, or in the scratch memory.
type Map struct {
	driver.TensorMapConfig
	Scratch bool
}

// Lanes is the number of threads in all.
func (p *Program) Lanes() int { return int(p.Grid * p.Block) }

// scratchBytes is room behind the results that programs may use.
const scratchBytes = 16 << 10

// scratch is its offset.
func (p *Program) scratch() int { return (p.OutBytes() + 255) / 256 * 256 }

// outBytes is the size of a result in memory.
func outBytes(t ptx.Type) int { return max(2, t.Size()) }

// offset is where result j of the first lane lies.
func (p *Program) offset(j int) int {
	n := 0
	for _, t := range p.Outs[:j] {
		n += p.Lanes() * outBytes(t)
	}
	return n
}

// OutBytes is the size of all results.
func (p *Program) OutBytes() int { return p.offset(len(p.Outs)) }

// At returns result j of a lane.
func (p *Program) At(out []byte, j, lane int) uint64 {
	n := outBytes(p.Outs[j])
	b := out[p.offset(j)+lane*n:]
	switch n {
	case 2:
		return uint64(binary.LittleEndian.Uint16(b))
	case 4:
		return uint64(binary.LittleEndian.Uint32(b))
	}
	return binary.LittleEndian.Uint64(b)
}

// Key identifies program and inputs: answers of another key are of no use.
func (p *Program) Key() [8]byte {
	h := sha256.New()
	text := p.PTX
	if p.ran != "" {
		text = p.ran
	}
	fmt.Fprint(h, text, p.Grid, p.Block)
	for _, c := range p.In {
		_ = binary.Write(h, binary.LittleEndian, c)
	}
	for _, m := range p.Maps {
		fmt.Fprintf(h, "%+v", m)
	}
	return [8]byte(h.Sum(nil))
}

// draft is a program before its text and inputs are made.
type draft struct {
	name   string
	sm     int // 0 is 75
	ptx    int // 0 is 80, PTX 8.0
	arch   bool
	lanes  int // a multiple of block
	block  int // 0 is 128
	ins    []ptx.Type
	wide   bool // 8-bit and 16-bit operands travel in 32-bit registers
	pools  []pool
	outs   []ptx.Type
	vars   string // declarations before the kernel
	entry  string // directives of the kernel, as .reqnctapercluster 2, 1, 1
	decl   string // declarations at its beginning
	body   string // from %i0, %i1, … to %o0, %o1, …
	maps   []Map  // parameters map0, map1, …
	bound  *Bound
	anyNaN bool
	ran    *strings.Replacer                       // makes of the text what was recorded; nil: it is that. Only for what cannot change an answer
	fill   func(r *rand.Rand, d *draft) [][]uint64 // the inputs; nil: by pools
}

// register is the type of the register that a value travels in.
func (d *draft) register(t ptx.Type) string {
	switch {
	case t == ptx.Pred:
		return "pred"
	case t.Bits() == 8, d.wide && t.Bits() < 32:
		return "b32"
	}
	return fmt.Sprintf("b%d", t.Bits())
}

// stored is the type that a result has in memory.
func (d *draft) stored(t ptx.Type) ptx.Type {
	if d.register(t) == "b32" && t.Bits() < 32 {
		return ptx.B32
	}
	return t
}

// finish makes the program.
//
// The kernel has, beside operands and results: %t the thread in its block, %g
// among all, %lane, the scratch memory's address in %scratch, and scratch
// registers %h0–%h9 (16 bits), %x0–%x29 (32 bits), %y0–%y9 (64 bits), %q0–%q9
// (predicates).
func (d *draft) finish() *Program {
	if d.block == 0 {
		d.block = 128
	}
	if d.lanes == 0 {
		d.lanes = 256
	}
	p := &Program{Name: d.name, Grid: uint32(d.lanes / d.block), Block: uint32(d.block), SM: max(75, d.sm), Bound: d.bound, AnyNaN: d.anyNaN, Maps: d.maps}
	for _, t := range d.outs {
		p.Outs = append(p.Outs, d.stored(t))
	}
	p.PTX = d.text(p)
	if d.ran != nil {
		p.ran = d.ran.Replace(p.PTX)
	}
	h := fnv.New64a()
	h.Write([]byte(d.name))
	r := rand.New(rand.NewPCG(h.Sum64(), 1))
	if d.fill != nil {
		p.In = d.fill(r, d)
	} else {
		p.In = d.tuples(r)
	}
	return p
}

func (d *draft) text(p *Program) string {
	var b strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	version, suffix := max(d.ptx, 80), ""
	if d.arch {
		suffix = "a"
	}
	w(".version %d.%d\n.target sm_%d%s\n.address_size 64", version/10, version%10, p.SM, suffix)
	b.WriteString(d.vars)
	b.WriteString(".visible .entry k(.param .u64 out, .param .u64 in")
	for i := range d.maps {
		fmt.Fprintf(&b, ", .param .align 64 .b8 map%d[128]", i)
	}
	w(")%s\n{", d.entry)
	w("\t.reg .b32 %%t, %%g, %%n, %%lane, %%x<30>;\n\t.reg .b64 %%ia, %%oa, %%at, %%out, %%scratch, %%y<10>;\n\t.reg .b16 %%h<10>;\n\t.reg .pred %%q<10>;")
	for j, t := range d.ins {
		w("\t.reg .%s %%i%d;", d.register(t), j)
	}
	for j, t := range d.outs {
		w("\t.reg .%s %%o%d;", d.register(t), j)
	}
	b.WriteString(d.decl)
	w("\tld.param.u64 %%out, [out];\n\tld.param.u64 %%ia, [in];")
	w("\tmov.u32 %%t, %%tid.x;\n\tmov.u32 %%g, %%ctaid.x;\n\tmov.u32 %%n, %%ntid.x;\n\tmad.lo.u32 %%g, %%g, %%n, %%t;\n\tmov.u32 %%lane, %%laneid;")
	w("\tadd.u64 %%scratch, %%out, %d;", p.scratch())
	w("\tmul.wide.u32 %%at, %%g, 8;\n\tadd.u64 %%ia, %%ia, %%at;")
	for j, t := range d.ins {
		reg, off := d.register(t), 8*j*d.lanes
		if t == ptx.Pred {
			w("\tld.global.b32 %%x0, [%%ia+%d];\n\tsetp.ne.u32 %%i%d, %%x0, 0;", off, j)
			continue
		}
		w("\tld.global.%s %%i%d, [%%ia+%d];", reg, j, off)
	}
	w("%s", strings.TrimRight(d.body, "\n"))
	for j, t := range p.Outs {
		size := outBytes(t)
		w("\tmul.wide.u32 %%at, %%g, %d;\n\tadd.u64 %%oa, %%out, %%at;", size)
		if t == ptx.Pred {
			w("\tselp.u16 %%h9, 1, 0, %%o%d;\n\tst.global.b16 [%%oa+%d], %%h9;", j, p.offset(j))
			continue
		}
		w("\tst.global.b%d [%%oa+%d], %%o%d;", 8*size, p.offset(j), j)
	}
	w("\tret;\n}")
	return b.String()
}
