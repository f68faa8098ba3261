package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// pool holds the values that instructions on a type are tried with.
func pool(t ptx.Type, r *rand.Rand) []uint64 {
	var v []uint64
	n := t.Bits()
	switch {
	case t == ptx.F32:
		for _, b := range []uint64{0, 1, 2, 0x7fffff, 0x800000, 0x800001, 0x3f800000, 0x3f800001, 0x3f7fffff, 0x3f000000, 0x40490fdb, 0x4b000000, 0x4b7fffff, 0x4b800001,
			0x4effffff, 0x4f000000, 0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0x5f800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fffffff, 0x3eaaaaab, 0x33800000, 0x33000000, 0x7e800000, 0x00400000, 0x40200000, 0x3fc00000} {
			v = append(v, b, b|1<<31)
		}
	case t == ptx.F64:
		for _, b := range []uint64{0, 1, 1<<52 - 1, 1 << 52, 0x3ff << 52, 0x3ff<<52 + 1, 0x3fe << 52, 0x400921fb54442d18, 0x41dfffffffc00000, 0x41e0000000000000, 0x41efffffffe00000, 0x43e0000000000000, 0x43f0000000000000,
			0x7fefffffffffffff, 0x7ff << 52, 0x7ff<<52 + 1, 0x7ff8 << 48, 0x36a0000000000000, 0x380fffffffffffff, 0x47efffffefffffff, 0x47effffff0000000, 0x3ff0000010000000, 0x3ff0000010000001, 0x3fefffffffffffff, 0x3ff8000000000000, 0x4004000000000000, 0x3e60000000000000} {
			v = append(v, b, b|1<<63)
		}
	case n == 16 && isFloat(t):
		for _, b := range []uint64{0, 1, 0x3ff, 0x400, 0x3c00, 0x3c01, 0x3bff, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7fff, 0x3f80, 0x3f81, 0x7f80, 0x7f7f, 0x7f81, 0x80, 0x7f, 0x6400, 0x4e00} {
			v = append(v, b, b|1<<15)
		}
	default:
		for _, b := range []uint64{0, 1, 2, 3, 7, 8, 15, 16, 24, 31, 32, 33, 63, 64, 65, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, 0x1fffff80000000, 1<<53 + 1, 1<<62 + 1, 1<<63 - 1, 1 << 63, 0xfffffffffffffbff, 0x1234567890abcdef} {
			v = append(v, b, -b, ^b)
		}
	}
	for range 12 {
		v = append(v, r.Uint64())
	}
	for i := range v {
		if n < 64 {
			v[i] &= 1<<n - 1
		}
	}
	return v
}

// regType is the register that a value of type t travels in.
func regType(t ptx.Type) string { return fmt.Sprintf("b%d", max(16, t.Bits())) }

// argType is the register that an operand takes.
func argType(a *ptx.ArgSpec) string {
	if a.Type.Bits() == 8 && !a.Wider {
		return "b8"
	}
	return regType(a.Type)
}

// trial is an instruction with the inputs it is run on: ins[i] is operand i of
// all lanes.
type trial struct {
	mnemonic string
	tail     string // constant operands after the registers, as text
	ins      [][]uint64
}

// source is a kernel that runs the instruction in every lane, blocks of 96
// threads, the last one partial.
func (tr *trial) source(t testing.TB) string {
	t.Helper()
	forms, err := ptx.Forms(tr.mnemonic)
	if err != nil {
		t.Fatal(err)
	}
	f := forms[0]
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(".visible .entry k(.param .u64 out, .param .u64 in, .param .u32 n)\n{")
	p(".reg .b8 %%b<9>; .reg .b16 %%h<9>; .reg .b32 %%r<9>; .reg .b64 %%l<9>; .reg .b32 %%i<9>; .reg .b64 %%a<9>; .reg .pred %%p<9>;")
	p("ld.param.u64 %%a1, [out]; ld.param.u64 %%a2, [in]; ld.param.u32 %%i5, [n];")
	p("mov.u32 %%i1, %%tid.x; mov.u32 %%i2, %%ctaid.x; mov.u32 %%i3, %%ntid.x; mad.lo.u32 %%i4, %%i2, %%i3, %%i1;")
	p("setp.ge.u32 %%p8, %%i4, %%i5; @%%p8 ret;")
	p("mul.wide.u32 %%a3, %%i4, 8; add.u64 %%a1, %%a1, %%a3; mul.wide.u32 %%a3, %%i4, %d; add.u64 %%a2, %%a2, %%a3;", 8*len(tr.ins))
	names := map[string]string{"b8": "%b", "b16": "%h", "b32": "%r", "b64": "%l"}
	var args []string
	dst := f.Args[0].Type
	for i := range tr.ins {
		a := f.Args[i+1]
		if a.Type == ptx.Pred {
			p("ld.global.b32 %%r8, [%%a2+%d]; setp.ne.u32 %%p%d, %%r8, 0;", 8*i, i+1)
			args = append(args, fmt.Sprintf("%%p%d", i+1))
			continue
		}
		rt := argType(&a)
		p("ld.global.%s %s%d, [%%a2+%d];", rt, names[rt], i+1, 8*i)
		args = append(args, fmt.Sprintf("%s%d", names[rt], i+1))
	}
	if tr.tail != "" {
		args = append(args, tr.tail)
	}
	out := ""
	if dst == ptx.Pred {
		p("%s %%p7, %s;", tr.mnemonic, strings.Join(args, ", "))
		p("selp.b32 %%r7, 1, 0, %%p7; st.global.b32 [%%a1], %%r7;")
	} else {
		rt := argType(&f.Args[0])
		out = names[rt] + "7"
		p("%s %s, %s;", tr.mnemonic, out, strings.Join(args, ", "))
		p("st.global.%s [%%a1], %s;", rt, out)
	}
	p("ret;\n}")
	return b.String()
}

// packed holds the inputs lane by lane.
func (tr *trial) packed() []uint64 {
	lanes := len(tr.ins[0])
	in := make([]uint64, 0, lanes*len(tr.ins))
	for i := range lanes {
		for _, c := range tr.ins {
			in = append(in, c[i])
		}
	}
	return in
}

// execute runs the instruction and returns the destination of each lane,
// zero-extended.
func (tr *trial) execute(t testing.TB) []uint64 {
	t.Helper()
	d, in, lanes := newDevice(t, tr.source(t)), tr.packed(), len(tr.ins[0])
	pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, lanes))
	d.must("k", uint32(lanes+95)/96, 96, po, pi, uint32(lanes))
	return read[uint64](d, po, lanes)
}

// combinations picks operands from the pools: all pairs for two, random ones
// for more.
func combinations(types []ptx.Type, r *rand.Rand) [][]uint64 {
	ins := make([][]uint64, len(types))
	pools := make([][]uint64, len(types))
	for i, t := range types {
		if t == ptx.Pred {
			pools[i] = []uint64{0, 1}
		} else {
			pools[i] = pool(t, r)
		}
	}
	add := func(v ...uint64) {
		for i := range ins {
			ins[i] = append(ins[i], v[i])
		}
	}
	switch len(types) {
	case 1:
		for _, a := range pools[0] {
			add(a)
		}
		for range 2000 {
			add(randomValue(types[0], r))
		}
	case 2:
		for _, a := range pools[0] {
			for _, b := range pools[1] {
				add(a, b)
			}
		}
		for range 2000 {
			add(randomValue(types[0], r), randomValue(types[1], r))
		}
	default:
		for range 8000 {
			v := make([]uint64, len(types))
			for i := range v {
				v[i] = pools[i][r.IntN(len(pools[i]))]
				if r.IntN(4) == 0 && types[i] != ptx.Pred {
					v[i] = randomValue(types[i], r)
				}
			}
			add(v...)
		}
	}
	return ins
}

// randomValue is any bits, or for floats often a number of ordinary size.
func randomValue(t ptx.Type, r *rand.Rand) uint64 {
	v := r.Uint64()
	if r.IntN(2) == 0 {
		switch t {
		case ptx.F32:
			v = uint64(math.Float32bits(float32(r.NormFloat64() * math.Exp2(float64(r.IntN(40)-20)))))
		case ptx.F64:
			v = math.Float64bits(r.NormFloat64() * math.Exp2(float64(r.IntN(40)-20)))
		}
	}
	if n := t.Bits(); n < 64 {
		v &= 1<<n - 1
	}
	return v
}

// same compares results of a type: NaNs are equal to each other.
func same(t ptx.Type, a, b uint64) bool {
	if n := max(t.Bits(), 16); n < 64 {
		a, b = a&(1<<n-1), b&(1<<n-1)
	}
	if a == b {
		return true
	}
	switch t {
	case ptx.F16x2, ptx.BF16x2:
		half := ptx.F16
		if t == ptx.BF16x2 {
			half = ptx.BF16
		}
		return same(half, a&0xffff, b&0xffff) && same(half, a>>16, b>>16)
	}
	if !isFloat(t) {
		return false
	}
	f := formatOf(t)
	if t == ptx.TF32 {
		f = formatF32
	}
	x, y := f.value(a), f.value(b)
	return x != x && y != y
}

// check runs an instruction on many values and compares with the model.
func check(t *testing.T, mnemonic, tail string, model func(v []uint64) uint64, sources ...ptx.Type) {
	t.Helper()
	forms, err := ptx.Forms(mnemonic)
	if err != nil {
		t.Error(err)
		return
	}
	if sources == nil {
		for _, a := range forms[0].Args[1:] {
			if a.Kind != ptx.ArgConst {
				sources = append(sources, a.Type)
			}
		}
	}
	r := rand.New(rand.NewPCG(7, 7))
	ins := combinations(sources, r)
	tr := &trial{mnemonic, tail, ins}
	got := tr.execute(t)
	compareAll(t, tr, got, model, forms[0].Args[0].Type)
	if hardware != nil {
		compareHardware(t, tr, got, forms[0].Args[0].Type)
	}
	if fast[mnemonic] != nil || strings.HasPrefix(mnemonic, "setp") || strings.HasPrefix(mnemonic, "selp") {
		withoutVectors(func() { compareAll(t, tr, tr.execute(t), model, forms[0].Args[0].Type) })
	}
}

// withoutVectors runs f with the loops in Go.
func withoutVectors(f func()) {
	keep := vectors
	defer func() { vectors = keep }()
	vectors.steps, vectors.run, vectors.chains = nil, nil, nil
	vectors.offset64, vectors.offset32, vectors.gather4, vectors.scatter4, vectors.fill32 = nil, nil, nil, nil, nil
	f()
}

func compareAll(t *testing.T, tr *trial, got []uint64, model func(v []uint64) uint64, ty ptx.Type) {
	t.Helper()
	ins, mnemonic, tail, bad := tr.ins, tr.mnemonic, tr.tail, 0
	v := make([]uint64, len(ins))
	for i := range got {
		for j := range ins {
			v[j] = ins[j][i]
		}
		if want := model(v); !same(ty, got[i], want) {
			if bad++; bad <= 3 {
				t.Errorf("%s %s of %#x: got %#x, want %#x", mnemonic, tail, v, got[i], want)
			}
		}
	}
}

// checkKnown is check for mnemonics out of a product of modifiers, of which
// PTX lacks some.
func checkKnown(t *testing.T, mnemonic, tail string, model func(v []uint64) uint64) {
	t.Helper()
	if _, err := ptx.Forms(mnemonic); err == nil {
		check(t, mnemonic, tail, model)
	}
}

// hardware runs a kernel on a real GPU; nil where there is none, or where
// nobody asked for it.
var hardware func(src, entry string, in []uint64, lanes int) ([]uint64, error)

// compareHardware holds the simulated device against a GPU: bit for bit but
// for NaNs, and for the functions that PTX only bounds.
func compareHardware(t *testing.T, tr *trial, got []uint64, ty ptx.Type) {
	t.Helper()
	want, err := hardware(header+tr.source(t), "k", tr.packed(), len(got))
	if err != nil {
		t.Errorf("%s on the GPU: %v", tr.mnemonic, err)
		return
	}
	if strings.Contains(tr.mnemonic, "approx") {
		return
	}
	bad := 0
	for i := range got {
		if same(ty, got[i], want[i]) {
			continue
		}
		if bad++; bad <= 3 {
			v := make([]uint64, len(tr.ins))
			for j := range v {
				v[j] = tr.ins[j][i]
			}
			t.Errorf("%s %s of %#x: the GPU gives %#x, the simulated device %#x", tr.mnemonic, tr.tail, v, want[i], got[i])
		}
	}
}

// TestConstantPredicates: ptxas takes 0 and other integers as predicates, and
// compilers write them.
func TestConstantPredicates(t *testing.T) {
	d := newDevice(t, `.visible .entry k(.param .u64 out) {
	.reg .pred %p<6>; .reg .b32 %r<8>; .reg .b64 %y<3>;
	ld.param.u64 %y0, [out];
	mov.u32 %r0, %tid.x;
	mul.wide.u32 %y1, %r0, 4;
	add.u64 %y0, %y0, %y1;
	mov.pred %p0, -1;
	mov.pred %p1, 0;
	selp.u32 %r1, 1, 0, %p0;
	selp.u32 %r2, 2, 0, %p1;
	add.u32 %r1, %r1, %r2;
	setp.lt.or.u32 %p2, %r0, 3, 7;
	selp.u32 %r2, 4, 0, %p2;
	add.u32 %r1, %r1, %r2;
	bar.red.popc.u32 %r3, 0, 1;
	add.u32 %r1, %r1, %r3;
	and.pred %p3, %p0, 0;
	selp.u32 %r2, 8, 0, %p3;
	add.u32 %r1, %r1, %r2;
	st.global.u32 [%y0], %r1;
	ret;
}`)
	a := d.empty("out", 256)
	d.must("k", 1, 64, a)
	for i, v := range read[uint32](d, a, 64) {
		if v != 1+4+64 {
			t.Fatalf("thread %d: %d", i, v)
		}
	}
}

// TestLoadsExtend: a register wider than what is loaded gets the sign or zeros,
// whatever the strength of the load.
func TestLoadsExtend(t *testing.T) {
	const word = 0x8182f3f4
	for _, strength := range []string{"", ".volatile", ".relaxed.gpu", ".acquire.gpu"} {
		for typ, want := range map[string]uint64{
			"s8": 0xfffffffffffffff4, "u8": 0xf4, "s16": 0xfffffffffffff3f4, "u16": 0xf3f4, "s32": 0xffffffff8182f3f4, "u32": word,
		} {
			d := newDevice(t, body(fmt.Sprintf("ld%s.global.%s %%rd4, [%%rd1];\nst.global.u64 [%%rd2], %%rd4;", strength, typ)))
			a, b := buffer(d, "a", []uint32{word}), buffer(d, "b", []uint64{0})
			d.must("k", 1, 1, a, b)
			if got := read[uint64](d, b, 1)[0]; got != want {
				t.Errorf("ld%s.%s of %#x: %#x, want %#x", strength, typ, uint32(word), got, want)
			}
		}
	}
}
