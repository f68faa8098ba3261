package ptx

import (
	"slices"
	"strings"
)

// maxMnemonic bounds an instruction's name whose modifiers come after spaces.
const maxMnemonic = 256

// mnemonic passes an instruction's name and modifiers, which spaces may separate.
// The modifiers are returned in the table's order.
func (p *parser) mnemonic() (op string, mods []string) {
	pos, text := p.tok.pos, p.tok.text
	for p.advance(); p.tok.kind == tokWord && p.tok.text[0] == '.' && len(text) <= maxMnemonic; p.advance() {
		text += p.tok.text
	}
	parts := strings.Split(text, ".")
	op, mods = parts[0], parts[1:]
	if op == "call" {
		return op, mods
	}
	if passes(op, mods) {
		defer func(space string) { mods = append([]string{space}, mods[1:]...) }(mods[0])
		mods[0] = "local"
		text = strings.Join(parts, ".")
	}
	_, err := Forms(text)
	if err == nil {
		return op, mods
	}
	ordered, ok := p.orders[text]
	if !ok {
		ordered = inOrder(op, mods)
		p.orders[text] = ordered
	}
	if ordered == nil {
		fail(pos, "%v", err)
	}
	return op, ordered
}

// nameMods are the modifiers that belong to an instruction's name: they stand
// where the table has them. The others may come in any order, and compilers and
// libraries make use of that: atom.add.acquire.gpu.u32, rcp.approx.f32.ftz.
var nameMods = map[string]string{
	"bar":          "cta red warp sync arrive",
	"barrier":      "cta cluster red sync arrive wait",
	"cp":           "async bulk reduce prefetch tensor mbarrier arrive commit_group wait_group wait_all",
	"createpolicy": "fractional range",
	"cvt":          "pack",
	"cvta":         "to",
	"div":          "full",
	"dp2a":         "lo hi",
	"fence":        "proxy",
	"mad":          "lo hi wide",
	"mad24":        "lo hi",
	"madc":         "lo hi",
	"mbarrier":     "init inval expect_tx complete_tx arrive arrive_drop test_wait try_wait parity pending_count",
	"mul":          "lo hi wide",
	"mul24":        "lo hi",
	"red":          "async",
	"setmaxnreg":   "inc dec",
	"shf":          "l r",
	"st":           "async",
	"wmma":         "load store mma a b c d",
	"wgmma":        "fence mma_async commit_group wait_group",
}

// modClass tells modifiers apart whose order says what is meant: types, state
// spaces and so on keep their order among themselves. 0 is for all others.
func modClass(mod string) int {
	_, isType := typeNames[mod]
	_, isSpace := spaceOf(mod)
	switch {
	case isType, mod == "b1", mod == "u4", mod == "s4", mod == "u2", mod == "s2":
		return 1
	case isSpace:
		return 2
	case mod == "row", mod == "col":
		return 3
	case strings.HasPrefix(mod, "L2::evict_"):
		return 4
	case mod == "and", mod == "xor", mod == "popc":
		return 5
	}
	return 0
}

// arranger puts modifiers in the order of a row.
type arranger struct {
	mods  []string
	class []int
	named []bool
	used  []bool
	order []string
}

// inOrder returns the modifiers in the order that the table has for them, nil
// where there is none.
func inOrder(op string, mods []string) []string {
	if slices.Contains(mods, "b128") { // ptxas wants these in order, but for ld
		return nil
	}
	a := &arranger{mods: mods, used: make([]bool, len(mods))}
	names := strings.Fields(nameMods[op])
	for _, mod := range mods {
		a.class = append(a.class, modClass(mod))
		a.named = append(a.named, slices.Contains(names, mod))
	}
	for _, c := range compileRows(op) {
		if len(mods) <= len(c.slots) && a.arrange(c.slots) {
			return a.order
		}
	}
	return nil
}

// arrange gives each of the slots a modifier, or none where it is optional.
func (a *arranger) arrange(slots []slot) bool {
	if len(slots) == 0 {
		return len(a.order) == len(a.mods)
	}
	for _, alt := range slots[0].alts {
		for i, mod := range a.mods {
			if !alt.matches(mod) || !a.free(i) {
				continue
			}
			a.used[i], a.order = true, append(a.order, mod)
			if a.arrange(slots[1:]) {
				return true
			}
			a.used[i], a.order = false, a.order[:len(a.order)-1]
		}
	}
	return slots[0].optional && a.arrange(slots[1:])
}

// free says whether modifier i may be the next.
func (a *arranger) free(i int) bool {
	if a.used[i] || a.named[i] && i != len(a.order) {
		return false
	}
	for j := range i {
		if !a.used[j] && a.class[i] != 0 && a.class[j] == a.class[i] {
			return false
		}
	}
	return true
}
