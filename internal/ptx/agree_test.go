package ptx

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// These tests hold the instruction table against ptxas, NVIDIA's assembler,
// where one is on PATH: what it takes the parser must take, what it rejects the
// parser must reject. Instructions are made from the table's own rows.

// ptxas checks instructions, each on a line of its own, for a target and
// version, and returns the complaint about each that it rejects.
func ptxas(t *testing.T, target string, version Version, lines []string) map[int]string {
	t.Helper()
	bad := map[int]string{}
	const batch = 2000
	for start := 0; start < len(lines); start += batch {
		end := min(start+batch, len(lines))
		for again := true; again; {
			again = ptxasBatch(t, target, version, lines, start, end, bad)
		}
	}
	return bad
}

var ptxasError = regexp.MustCompile(`line (\d+); (?:error|fatal)\s*: (.*)`)

// ptxasBatch adds complaints to bad, and says whether there were new ones: an
// error of syntax hides later ones of meaning.
func ptxasBatch(t *testing.T, target string, version Version, lines []string, start, end int, bad map[int]string) bool {
	t.Helper()
	head := agreeHead(target, version)
	var text strings.Builder
	text.WriteString(head)
	for i := start; i < end; i++ {
		if _, ok := bad[i]; !ok {
			text.WriteString(lines[i])
		}
		text.WriteString("\n")
	}
	text.WriteString("L: ret;\n}\n")
	file := filepath.Join(t.TempDir(), "agree.ptx")
	if err := os.WriteFile(file, []byte(text.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	// It may not only crash but never end.
	ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
	defer stop()
	out, err := exec.CommandContext(ctx, "ptxas", "-O0", "-arch="+target, file, "-o", os.DevNull).CombinedOutput()
	if err == nil {
		return false
	}
	first := strings.Count(head, "\n") + 1
	found := false
	for _, m := range ptxasError.FindAllStringSubmatch(string(out), -1) {
		n, _ := strconv.Atoi(m[1])
		if i := start + n - first; i >= start && i < end && bad[i] == "" {
			bad[i], found = m[2], true
		}
	}
	switch {
	case found:
	case end-start == 1: // an error that ptxas gives no line for
		if bad[start] != "" {
			t.Fatalf("ptxas: %v\n%.2000s", err, out)
		}
		bad[start] = fmt.Sprintf("%v %s", err, out) // it may crash without a word
	default:
		mid := (start + end) / 2
		for ptxasBatch(t, target, version, lines, start, mid, bad) {
		}
		for ptxasBatch(t, target, version, lines, mid, end, bad) {
		}
		return false
	}
	return true
}

// agreeRegs are the types that registers of the test are declared with.
var agreeRegs = []Type{Pred, B16, B32, B64, U16, U32, U64, S16, S32, S64, F16, F16x2, F32, F64}

// agreeHead declares what the instructions of the test name.
func agreeHead(target string, version Version) string {
	var b strings.Builder
	fmt.Fprintf(&b, ".version %v\n.target %s\n.address_size 64\n", version, target)
	b.WriteString(".global .align 16 .b8 gv[256];\n.const .align 16 .b8 cv[256];\n")
	b.WriteString(".visible .entry k(.param .align 16 .b8 pv[256]) {\n")
	b.WriteString(".shared .align 16 .b8 sv[256];\n.local .align 16 .b8 lv[256];\n")
	for _, t := range agreeRegs {
		fmt.Fprintf(&b, ".reg .%s %%%s_<200>;\n", t, t)
	}
	if !version.Less(Version{8, 3}) {
		b.WriteString(".reg .b128 %b128_<9>;\n")
	}
	return b.String()
}

// ourComplaint says what the parser finds wrong with an instruction.
func ourComplaint(head, line string) string {
	if _, err := Parse(head + line + "\nL: ret;\n}\n"); err != nil {
		return err.Error()
	}
	return ""
}

// agreeReg names register n for a value of type t.
func agreeReg(t Type, n int) string {
	switch {
	case t == NoType || t == B8 || t == U8 || t == S8:
		t = U32
	case typeInfo[t].kind == kindAlt:
		t = map[int]Type{8: B16, 16: B16, 32: B32, 64: B64}[t.Bits()]
	}
	return fmt.Sprintf("%%%s_%d", t, n)
}

// agreeOperand writes an operand that fits a spec.
func agreeOperand(a *ArgSpec, n int) string {
	switch a.Kind {
	case ArgMem, ArgTensor:
		mem := map[Space]string{GenericSpace: "%u64_90", GlobalSpace: "gv", SharedSpace: "sv", LocalSpace: "lv", ConstSpace: "cv", ParamSpace: "pv"}[a.Space]
		if a.Kind == ArgTensor {
			return "[" + mem + ", {" + strings.TrimPrefix(strings.Repeat(", %s32_1", a.Vec), ", ") + "}]"
		}
		return "[" + mem + "]"
	case ArgConst:
		return strconv.FormatInt(a.Hi&^7|a.Lo&1, 10)
	case ArgLabel:
		return "L"
	case ArgSink:
		return "_"
	case ArgBarrier:
		return "1"
	case ArgThreads:
		return "64"
	case ArgPack:
		t := map[Type]Type{B32: B16, B64: B32, B128: B64}[a.Type]
		return "{" + agreeReg(t, n) + ", " + agreeReg(t, n+1) + "}"
	}
	if a.Vec == 0 {
		return agreeReg(a.Type, n)
	}
	var elems []string
	for i := range a.Vec {
		elems = append(elems, agreeReg(a.Type, n+i))
	}
	return "{" + strings.Join(elems, ", ") + "}"
}

// agreeLine writes an instruction of a form with all its operands.
func agreeLine(f *Form) string { return agreeLineWith(f, -1, "") }

// agreeLineWith puts another operand in place of the at-th.
func agreeLineWith(f *Form, at int, operand string) string {
	var args []string
	for i := range f.Args {
		arg := agreeOperand(&f.Args[i], 1+i*20%180)
		if f.Args[i].Paired {
			arg += "|%pred_7"
		}
		if i == at {
			arg = operand
		}
		args = append(args, arg)
	}
	return strings.TrimSpace(f.Mnemonic()+" "+strings.Join(args, ", ")) + ";"
}

// mnemonics returns sets of modifiers that a row allows: every alternative of
// each slot with the first of the others, and some at random.
func (c *compiled) mnemonics(rng *rand.Rand, random int) [][]string {
	var all [][]string
	pick := func(choose func(i, n int) int) {
		mods := []string{}
		for i, s := range c.slots {
			n := len(s.alts)
			if s.optional {
				n++
			}
			if k := choose(i, n); k < len(s.alts) {
				mods = append(mods, regexp.MustCompile(`\*+`).ReplaceAllString(s.alts[k].name, "64"))
			}
		}
		all = append(all, mods)
	}
	first := func(i int) int {
		if c.slots[i].optional {
			return len(c.slots[i].alts)
		}
		return 0
	}
	pick(func(i, n int) int { return first(i) })
	for slot, s := range c.slots {
		for k := range s.alts {
			pick(func(i, n int) int {
				if i == slot {
					return k
				}
				return first(i)
			})
		}
	}
	for range random {
		pick(func(i, n int) int { return rng.IntN(n) })
	}
	return all
}

// allForms returns forms of every row, without repetition.
func allForms(random int) []*Form {
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	var all []*Form
	for _, r := range table {
		c := compileRow(r)
		for _, mods := range c.mnemonics(rng, random) {
			forms, err := findForms(r.op, mods)
			if err != nil { // modifiers that contradict each other, as v4 with b64
				continue
			}
			name := (&Instr{Op: r.op, Mods: mods}).Mnemonic()
			if !seen[name] {
				seen[name] = true
				all = append(all, forms...)
			}
		}
	}
	return all
}

func needPtxas(t *testing.T) {
	if _, err := exec.LookPath("ptxas"); err != nil {
		t.Skip("no ptxas on PATH to compare with")
	}
}

// compare checks that the parser and ptxas take and reject the same lines.
func compare(t *testing.T, target string, version Version, lines []string) {
	t.Helper()
	bad := ptxas(t, target, version, lines)
	head := agreeHead(target, version)
	for i, line := range lines {
		ours := ourComplaint(head, line)
		switch theirs, rejected := bad[i]; {
		case ours == "" && rejected:
			t.Errorf("taken, but ptxas says of %s %v %s\n\t%s", target, version, line, theirs)
		case ours != "" && !rejected:
			t.Errorf("ptxas takes for %s %v %s, but %s", target, version, line, ours)
		}
	}
	t.Logf("%d instructions, %d of them rejected", len(lines), len(bad))
}

// TestFormsAgree checks the modifiers and operands of every row.
func TestFormsAgree(t *testing.T) {
	needPtxas(t)
	var lines []string
	for _, f := range allForms(20) {
		lines = append(lines, agreeLine(f))
	}
	compare(t, "sm_90a", Version{8, 4}, lines)
}

// looser matches what ptxas takes in any order where the parser wants the
// table's: b128 in loads, barrier.aligned.sync, and bf16 compared with swapped
// types, which it takes for one type.
var looser = regexp.MustCompile(`^(ldu?\.\S*b128|barrier(\.cta)?\.aligned|set\.\S*bf16)`)

// TestOrderAgree checks modifiers in other orders than the table's.
func TestOrderAgree(t *testing.T) {
	needPtxas(t)
	seed := uint64(time.Now().UnixNano())
	t.Log("seed", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var lines []string
	for _, f := range allForms(2) {
		g := *f
		g.Mods = slices.Clone(f.Mods)
		swap := func(i, j int) { g.Mods[i], g.Mods[j] = g.Mods[j], g.Mods[i] }
		if n := len(g.Mods); n > 1 && rng.IntN(2) == 0 {
			swap(rng.IntN(n), rng.IntN(n))
		} else {
			rng.Shuffle(n, swap)
		}
		if line := agreeLine(&g); !looser.MatchString(line) {
			lines = append(lines, line)
		}
	}
	compare(t, "sm_90a", Version{8, 4}, lines)
}

// TestLaterTargetsAgree checks forms that a later target has in an earlier version.
func TestLaterTargetsAgree(t *testing.T) {
	needPtxas(t)
	var lines []string
	for _, f := range allForms(5) {
		if f.from[0] == 90 {
			lines = append(lines, agreeLine(f))
		}
	}
	compare(t, "sm_90", Version{7, 8}, lines)
	compare(t, "sm_89", Version{7, 8}, lines)
}

// agreeTargets are targets with the PTX version that first knows each, lowest
// first.
var agreeTargets = []struct {
	name string
	ptx  Version
}{
	{"sm_75", Version{6, 3}}, {"sm_80", Version{7, 0}}, {"sm_86", Version{7, 1}}, {"sm_89", Version{7, 8}},
	{"sm_90", Version{7, 8}}, {"sm_90a", Version{8, 0}},
}

// TestNeedsAgree checks that each form is taken by the lowest target and version
// that the table gives for it, and not by a lower target or version.
// stricter matches what the assembler of CUDA 13.0's driver wants a newer target
// for than ptxas 12.4 does: it is right, as the table is.
var stricter = regexp.MustCompile(`^cvt\S*\.ftz\.f32\.bf16 `)

func TestNeedsAgree(t *testing.T) {
	needPtxas(t)
	type place struct {
		target  string
		version Version
	}
	lines := map[place][]string{}
	add := func(target string, v Version, line string) {
		lines[place{target, v}] = append(lines[place{target, v}], line)
	}
	newest := Version{8, 4} // of ptxas 12.4
	for _, f := range allForms(5) {
		if newest.Less(f.MinPTX) {
			continue
		}
		line := agreeLine(f)
		n := f.needs()
		for i, at := range agreeTargets {
			sm, _ := parseTarget(at.name)
			if sm.lacks(n) != "" {
				continue
			}
			v := f.MinPTX
			if v.Less(at.ptx) {
				v = at.ptx
			}
			add(at.name, v, line)
			if at.ptx.Less(v) {
				below := Version{v.Major, v.Minor - 1}
				if v.Minor == 0 {
					below = map[int]Version{7: {6, 5}, 8: {7, 8}}[v.Major]
				}
				add(at.name, below, line)
			}
			if i > 0 && !stricter.MatchString(line) {
				add(agreeTargets[i-1].name, newest, line)
			}
			break
		}
	}
	for at, l := range lines {
		compare(t, at.target, at.version, l)
	}
}

// agreeOperands are operands put in every place, right or wrong.
func agreeOperands() []string {
	ops := []string{
		"0", "1", "-1", "3", "31", "64", "300", "0x123456789a", "1.5", "0f3F800000", "0d3FF0000000000000",
		"%tid.x", "%clock64", "gv", "sv", "!%pred_9", "_", "[gv]", "[sv]", "[%u64_9]", "[%u64_9+16]", "[%f64_9]", "[16]",
		"{%b32_8, %b32_9}", "{%b16_8, %b16_9}", "{%f32_8, %f32_9, %f32_10, %f32_11}", "L", "%u32_9|%pred_9",
	}
	for _, t := range agreeRegs {
		if t != F16x2 {
			ops = append(ops, agreeReg(t, 9))
		}
	}
	return ops
}

// quirk matches what ptxas 12.4 takes or rejects against the manual, and the
// parser does not imitate: a variable's address or a vector as a value in
// arithmetic, .f16x2 registers as integers, …
var quirk = regexp.MustCompile(strings.Join([]string{
	`^(add|sub|mul|ex2|tanh|set|setp|cvt)\S*bf16.*\{`, // vectors as bf16 values
	`^set\S*bf16`,                                                                               // destinations of other types
	`^mov\.b128`, `^mov\.b32 .*gv`, `^mov\.[bu]16 .*[gs]v`, `^mov\.b\d+ \{.*\}, ([-\d%]|[gs]v)`, // constants where the manual has none
	`^isspacep`, `^fns.*(f32|f3F)`, // 32-bit addresses
	`^lop3\S* (_,|.*, (-1|300|0x123456789a)[,;])`, // tables of more than 8 bits
	`^red\S* _`,               // no address
	`^cp\.async`,              // ignore-src predicates, sizes above 16
	`^(cvt|mma)\S*e[45]m[23]`, // typed 16-bit registers
	`^cvt\.rna\.tf32`,         // constants, of float32 alone
	`L2::cache_hint.*\[sv`,    // a shared variable's generic address
	`^mapa.* sv`, `^mov\.s16 .*[gs]v`, `^wgmma\.wait_group.*0x`,
	`^st\.async`, `^createpolicy.*\[sv\]`, `^getctarank.* sv`,
	`^mbarrier\.(init|t\w+_wait)\S* .*, (-1|\d+|0x\w+)[,;]`, `^mbarrier\.arrive.*(\{|0x)`, // large counts, constant states
	`^mov\.v[24]\S* \{.*\}, [^{]`, // one value for all elements
	`^movmatrix.*(pred_9|0f3F)`,
	`^(ld|st)matrix.*\[gv\]`, // the wrong state space
}, "|"))

// agreeSample bounds the operands tried, of some 70,000.
const agreeSample = 1500

// TestOperandsAgree checks places of every row with operands of all kinds and
// types.
func TestOperandsAgree(t *testing.T) {
	needPtxas(t)
	seen := map[string]bool{}
	var lines []string
	for _, f := range allForms(0) {
		key := fmt.Sprint(f.Op, f.Args)
		if f.Op == "wgmma" && len(f.Mods) > 4 { // one shape is enough
			key = strings.Join(f.Mods[4:], ".") + f.Args[min(1, len(f.Args)-1)].Type.String()
		}
		if seen[key] {
			continue
		}
		seen[key] = true
		for at := range f.Args {
			for _, o := range agreeOperands() {
				if o == "_" && f.Args[at].Dst && !f.Args[at].Sink { // ptxas crashes
					continue
				}
				if line := agreeLineWith(f, at, o); !quirk.MatchString(line) {
					lines = append(lines, line)
				}
			}
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	rng.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
	compare(t, "sm_90a", Version{8, 4}, lines[:min(len(lines), agreeSample)])
}
