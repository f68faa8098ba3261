package ptx

import (
	"flag"
	"math/rand/v2"
	"regexp"
	"sort"
	"strings"
	"testing"
)

var (
	mutations    = flag.Int("mutations", 4000, "mutated instructions to compare with ptxas")
	mutationSeed = flag.Uint64("mutation-seed", 1, "seed of the mutations")
)

// allMods are all modifiers of the table.
func allMods() []string {
	seen := map[string]bool{}
	for _, r := range table {
		c := compileRow(r)
		for _, s := range c.slots {
			for _, a := range s.alts {
				seen[regexp.MustCompile(`\*+`).ReplaceAllString(a.name, "64")] = true
			}
		}
	}
	var list []string
	for m := range seen {
		list = append(list, m)
	}
	sort.Strings(list)
	return list
}

// mutator makes instructions that are nearly right.
type mutator struct {
	rng   *rand.Rand
	forms []*Form
	mods  []string
	ops   []string
}

func newMutator(seed uint64) *mutator {
	m := &mutator{rng: rand.New(rand.NewPCG(seed, 5)), forms: allForms(2), mods: allMods(), ops: agreeOperands()}
	for _, t := range agreeRegs {
		m.ops = append(m.ops, agreeReg(t, 10))
	}
	for n := range 9 { // vectors of wrong sizes and types
		t := agreeRegs[m.rng.IntN(len(agreeRegs))]
		var elems []string
		for i := range n {
			elems = append(elems, agreeReg(t, 20+i))
		}
		m.ops = append(m.ops, "{"+strings.Join(elems, ", ")+"}")
	}
	m.ops = append(m.ops, "-2147483648", "4294967296", "0xffffffffffffffff", "[lv]", "[cv]", "[pv]", "[sv+4]", "[gv+-8]", "[%b32_9]", "[%u32_9+4]", "0dFFF0000000000000", "1e300", "!%pred_3", "%pred_4|%pred_5")
	return m
}

// line is an instruction with one or two mutations.
func (m *mutator) line() string {
	f := m.forms[m.rng.IntN(len(m.forms))]
	mods := append([]string{}, f.Mods...)
	var args []string
	for i := range f.Args {
		a := agreeOperand(&f.Args[i], 1+i*20%180)
		if f.Args[i].Paired {
			a += "|%pred_7"
		}
		args = append(args, a)
	}
	for range 1 + m.rng.IntN(2) {
		if m.rng.IntN(2) == 0 {
			mods = mutate(m.rng, mods, m.mods)
		} else {
			args = mutate(m.rng, args, m.ops)
		}
	}
	guard := ""
	switch m.rng.IntN(12) {
	case 0:
		guard = "@%pred_2 "
	case 1:
		guard = "@!%pred_2 "
	case 2:
		guard = "@" + agreeReg(agreeRegs[m.rng.IntN(len(agreeRegs))], 2) + " "
	}
	return guard + strings.TrimSpace((&Instr{Op: f.Op, Mods: mods}).Mnemonic()+" "+strings.Join(args, ", ")) + ";"
}

// mutate drops, adds, swaps, repeats or replaces one.
func mutate(rng *rand.Rand, list, pool []string) []string {
	other := pool[rng.IntN(len(pool))]
	at := rng.IntN(len(list) + 1)
	if len(list) == 0 || rng.IntN(6) == 0 {
		return append(list[:at:at], append([]string{other}, list[at:]...)...)
	}
	at %= len(list)
	switch rng.IntN(6) {
	case 0:
		return append(list[:at:at], list[at+1:]...)
	case 1:
		to := rng.IntN(len(list))
		list[at], list[to] = list[to], list[at]
	case 2:
		list[at] = list[rng.IntN(len(list))]
	default:
		list[at] = other
	}
	return list
}

// lenient matches what ptxas 12.4 takes against the manual and the parser rejects.
var lenient = regexp.MustCompile(strings.Join([]string{
	`\.(finite|infinite|normal|subnormal|number|notanumber|pred)\b`, // modifiers of testp and setp, anywhere
	`b128`,                             // with every cache operator
	`f16x2_`,                           // as integers
	`^(testp|vote\.sync)\.\w+ `,        // no mode at all
	`^(wgmma|mma|ldmatrix|stmatrix)\.`, // without .aligned and .sync
	`\{%\w+\}`,                         // vectors of one
	`^(atom|red|cp)\.`,                 // more operands, values in place of addresses
	`^prefetch\.tensormap \[%\w+32`,    // a 32-bit address
	`^barrier\.arrive 4294967296`,      // constants cut to 32 bits
}, "|"))

// outOfOrder says whether the instruction's modifiers are those of a row in
// another order or more than once, which ptxas mostly takes.
func outOfOrder(line string) bool {
	name, _, _ := strings.Cut(strings.TrimSuffix(line, ";"), " ")
	op, rest, _ := strings.Cut(name, ".")
	mods := strings.Split(rest, ".")
	if _, err := findForms(op, mods); err == nil {
		return false
	}
	left := map[string]int{}
	for _, m := range mods {
		left[m]++
	}
	for _, c := range compileRows(op) {
		if orderless(c.slots, left, map[string]bool{}) {
			return true
		}
	}
	return false
}

// orderless says whether slots can be filled with the modifiers of a set, of
// which none but repetitions may be left.
func orderless(slots []slot, left map[string]int, used map[string]bool) bool {
	if len(slots) == 0 {
		for mod, n := range left {
			if n > 0 && !used[mod] {
				return false
			}
		}
		return true
	}
	for mod, n := range left {
		for _, a := range slots[0].alts {
			if n > 0 && a.matches(mod) {
				before := used[mod]
				left[mod], used[mod] = n-1, true
				if orderless(slots[1:], left, used) {
					return true
				}
				left[mod], used[mod] = n, before
			}
		}
	}
	return slots[0].optional && orderless(slots[1:], left, used)
}

// TestMutationsAgree holds the parser against ptxas on instructions that are
// nearly right. What the parser takes ptxas must take. What ptxas takes beside
// that is looked through by hand: it ignores modifiers and operands that have no
// meaning, and the forms that have one are held by the tests above.
func TestMutationsAgree(t *testing.T) {
	needPtxas(t)
	seed := *mutationSeed
	m := newMutator(seed)
	head := agreeHead("sm_90a", Version{8, 4})
	seen := map[string]bool{}
	var taken, rejected []string
	for range *mutations {
		line := m.line()
		if seen[line] {
			continue
		}
		seen[line] = true
		if ourComplaint(head, line) == "" {
			taken = append(taken, line)
		} else {
			rejected = append(rejected, line)
		}
	}
	bad := ptxas(t, "sm_90a", Version{8, 4}, taken)
	for i, theirs := range bad {
		if !strings.HasPrefix(theirs, "signal") { // a crash is no verdict
			t.Errorf("seed %d: taken, but ptxas says of %s %s", seed, taken[i], theirs)
		}
	}
	m.rng.Shuffle(len(rejected), func(i, j int) { rejected[i], rejected[j] = rejected[j], rejected[i] })
	rejected = rejected[:min(len(rejected), *mutations/4)]
	bad = ptxas(t, "sm_90a", Version{8, 4}, rejected)
	for i, line := range rejected {
		bare := line
		if line[0] == '@' {
			_, bare, _ = strings.Cut(line, " ")
		}
		if bad[i] == "" && !outOfOrder(bare) && !quirk.MatchString(bare) && !lenient.MatchString(bare) {
			t.Logf("seed %d: ptxas takes %s but %s", seed, line, ourComplaint(head, line))
		}
	}
	t.Logf("seed %d: %d taken, %d rejected", seed, len(taken), len(rejected))
}
