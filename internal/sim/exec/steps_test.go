package exec

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestStepTwins: what a processor runs in steps has a loop in Go, too.
func TestStepTwins(t *testing.T) {
	for name := range vectors.steps {
		if fast[name] == nil {
			t.Errorf("%s has no loop in Go", name)
		}
	}
}

// stepKinds are the registers of TestSteps: so many of each kind, and of which
// pools their values are. Float64 values stay among themselves, as the bits of
// their NaNs are anyone's guess.
var stepKinds = []struct {
	prefix, store string
	count         int
	pools         []ptx.Type
}{
	{"%r", "b32", 8, []ptx.Type{ptx.F32, ptx.U32}},
	{"%l", "b64", 4, []ptx.Type{ptx.U64}},
	{"%d", "f64", 4, []ptx.Type{ptx.F64}},
	{"%q", "b32", 4, []ptx.Type{ptx.U32}}, // predicates
}

func stepKind(t ptx.Type) int {
	switch {
	case t == ptx.Pred:
		return 3
	case t == ptx.F64:
		return 2
	case t.Bits() == 64:
		return 1
	}
	return 0
}

const stepWords = 8 + 4 + 4 + 4 // registers of TestSteps

// stepProgram is a kernel that loads its registers, runs lines of random
// instructions with steps, among guarded and diverging ones, and stores all
// registers.
func stepProgram(r *rand.Rand, names []string, lines int) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p(".visible .entry k(.param .u64 out, .param .u64 in)\n{")
	p(".reg .b32 %%r<8>; .reg .b64 %%l<4>; .reg .f64 %%d<4>; .reg .pred %%q<4>; .reg .b32 %%s<600>; .reg .b32 %%i<6>; .reg .b64 %%a<5>;")
	p("ld.param.u64 %%a1, [out]; ld.param.u64 %%a2, [in];")
	p("mov.u32 %%i1, %%tid.x; mov.u32 %%i2, %%ctaid.x; mov.u32 %%i3, %%ntid.x; mad.lo.u32 %%i4, %%i2, %%i3, %%i1;")
	p("mul.wide.u32 %%a3, %%i4, %d; add.u64 %%a1, %%a1, %%a3; add.u64 %%a2, %%a2, %%a3;", 8*stepWords)
	at := 0
	each := func(f func(k, i, at int)) {
		at = 0
		for k := range stepKinds {
			for i := range stepKinds[k].count {
				f(k, i, at)
				at += 8
			}
		}
	}
	each(func(k, i, at int) {
		if k == 3 {
			p("ld.global.b32 %%i5, [%%a2+%d]; setp.lt.s32 %%q%d, %%i5, 0;", at, i)
		} else {
			p("ld.global.%s %s%d, [%%a2+%d];", stepKinds[k].store, stepKinds[k].prefix, i, at)
		}
	})
	open, sums := "", 0
	for i := range lines {
		if r.IntN(15) == 0 && sums < 580 {
			p("%s", stepPolynomial(r, &sums))
		}
		if open == "" && r.IntN(12) == 0 {
			open = fmt.Sprintf("L%d", i)
			p("@%%q%d bra %s;", r.IntN(4), open)
		} else if open != "" && r.IntN(4) == 0 {
			p("%s:", open)
			open = ""
		}
		p("%s", stepLine(r, names[r.IntN(len(names))]))
	}
	if open != "" {
		p("%s:", open)
	}
	each(func(k, i, at int) {
		if k == 3 {
			p("selp.b32 %%i5, 1, 0, %%q%d; st.global.b32 [%%a1+%d], %%i5;", i, at)
		} else {
			p("st.global.%s [%%a1+%d], %s%d;", stepKinds[k].store, at, stepKinds[k].prefix, i)
		}
	})
	p("ret;\n}")
	return b.String()
}

// stepPolynomial is a chain of fma, some of whose links are no polynomial's: of
// another x, of an addend that is no constant, or with a result that is used twice.
func stepPolynomial(r *rand.Rand, sums *int) string {
	var b strings.Builder
	begin := *sums
	x, c := fmt.Sprintf("%%r%d", r.IntN(8)), func() string { return fmt.Sprintf("0f%08x", r.Uint32()>>r.IntN(2)&0xbfffffff) }
	skip := r.IntN(4) == 0 // some lanes come to the first link another way
	if skip {
		fmt.Fprintf(&b, "mov.b32 %%s%d, %%r%d; @%%q%d bra P%d;\n", begin, r.IntN(8), r.IntN(4), begin)
	}
	fmt.Fprintf(&b, "fma.rn.f32 %%s%d, %s, %%r%d, %%r%d;\n", *sums, x, r.IntN(8), r.IntN(8))
	if skip {
		fmt.Fprintf(&b, "P%d:\n", begin)
	}
	if r.IntN(8) == 0 {
		x = fmt.Sprintf("%%s%d", begin) // the result itself
	}
	for range r.IntN(10) {
		args := []string{fmt.Sprintf("%%s%d", *sums), x}
		if r.IntN(12) == 0 {
			args[r.IntN(2)] = fmt.Sprintf("%%r%d", r.IntN(8))
		}
		if r.IntN(3) == 0 {
			slices.Reverse(args)
		}
		k := c()
		if r.IntN(12) == 0 {
			k = fmt.Sprintf("%%r%d", r.IntN(8))
		}
		if r.IntN(20) != 0 {
			*sums++
		}
		fmt.Fprintf(&b, "fma.rn.f32 %%s%d, %s, %s, %s;\n", *sums, args[0], args[1], k)
	}
	for range r.IntN(3) {
		fmt.Fprintf(&b, "xor.b32 %%r%d, %%r%d, %%s%d;\n", r.IntN(8), r.IntN(8), max(begin, *sums-r.IntN(2)*r.IntN(4)))
	}
	fmt.Fprintf(&b, "mov.b32 %%r%d, %%s%d;", r.IntN(8), *sums)
	*sums++
	return b.String()
}

// stepLine is an instruction with random registers, sometimes guarded.
func stepLine(r *rand.Rand, name string) string {
	register := func(t ptx.Type) string {
		k := stepKinds[stepKind(t)]
		return fmt.Sprint(k.prefix, r.IntN(k.count))
	}
	if rest, ok := strings.CutPrefix(name, "setp."); ok && r.IntN(4) == 0 {
		relation, t, _ := strings.Cut(rest, ".")
		name = "setp." + relation + "." + []string{"and", "or", "xor"}[r.IntN(3)] + "." + t
	}
	forms, err := ptx.Forms(name)
	if err != nil {
		return "// " + name
	}
	var args []string
	for _, a := range forms[0].Args {
		args = append(args, register(a.Type))
	}
	if strings.HasPrefix(name, "setp.") && r.IntN(4) == 0 {
		second := (args[0][2]-'0'+1)%4 + '0'
		args[0] += fmt.Sprintf("|%%q%c", second)
	}
	line := name + " " + strings.Join(args, ", ") + ";"
	if r.IntN(6) == 0 {
		line = fmt.Sprintf("@%s%%q%d %s", []string{"", "!"}[r.IntN(2)], r.IntN(4), line)
	}
	return line
}

// TestSteps holds runs of steps against the loops in Go.
func TestSteps(t *testing.T) {
	if vectors.steps == nil {
		t.Skip("no steps on this machine")
	}
	var names []string
	for name := range vectors.steps {
		names = append(names, name)
	}
	slices.Sort(names)
	seed := rand.Uint64()
	r := newRand(seed)
	var pools [][]uint64
	for _, k := range stepKinds {
		var all []uint64
		for _, ty := range k.pools {
			all = append(all, pool(ty, r)...)
		}
		pools = append(pools, all)
	}
	for range 60 {
		src := stepProgram(r, names, 20+r.IntN(100))
		threads, blocks := uint32(1+r.IntN(400)), uint32(3)
		lanes := int(threads * blocks)
		in := make([]uint64, 0, lanes*stepWords)
		together := r.IntN(16) // predicates that are the same for all threads
		for range lanes {
			for i, k := range stepKinds {
				for range k.count {
					v := pools[i][r.IntN(len(pools[i]))]
					if word := len(in) % stepWords; word >= 16 && len(in) >= stepWords && together>>(word-16)&1 != 0 {
						v = in[word]
					}
					in = append(in, v)
				}
			}
		}
		execute := func() []uint64 {
			d := newDevice(t, src)
			pi, po := buffer(d, "in", in), buffer(d, "out", make([]uint64, len(in)))
			d.must("k", blocks, threads, po, pi)
			return read[uint64](d, po, len(in))
		}
		got := execute()
		var want []uint64
		withoutVectors(func() { want = execute() })
		for i := range got {
			word, ty := i%stepWords, ptx.B64
			if word >= 12 && word < 16 {
				ty = ptx.F64
			}
			if !same(ty, got[i], want[i]) {
				t.Fatalf("seed %d: thread %d of %d, register %d: %#x, in Go %#x, from %#x\n%s", seed, i/stepWords%int(threads), threads, word, got[i], want[i], in[i-word:][:stepWords], src)
			}
		}
	}
}
