package ptx

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
	"sync"
)

// Form is one instruction form: a name with all its modifiers, and what it
// takes. Forms come from the table of rows, so the builder, the parser and the
// simulator's decoder agree.
type Form struct {
	Op     string
	Mods   []string
	Args   []ArgSpec
	MinSM  int     // lowest compute capability, 75 for 7.5; 0 for any
	Arch   bool    // only targets with the suffix "a" have it
	MinPTX Version // zero for any
	from   [2]int  // from this capability on, this version is enough; zero for none
}

// ArgKind says what may stand as an operand.
type ArgKind uint8

const (
	ArgValue   ArgKind = iota // a register or, where it is only read, a constant
	ArgMov                    // mov's source: also a special register or a variable's address
	ArgAddress                // cvta's source: also a variable's address
	ArgPack                   // a vector that fills Type: {lo, hi}
	ArgPred                   // a predicate
	ArgMem                    // an address in brackets
	ArgTensor                 // an address in brackets with coordinates
	ArgConst                  // an integer constant from Lo to Hi
	ArgBarrier                // a barrier's number, 0 to 15, or a register
	ArgThreads                // a number of threads, a multiple of 32, or a register
	ArgLabel                  // a label
	ArgLabels                 // a list of labels, or its name while the text is read
	ArgSink                   // "_" alone
)

// ArgSpec is what a form wants as one operand.
type ArgSpec struct {
	Kind     ArgKind
	Type     Type
	Vec      int  // number of vector elements; 0 for no vector
	Dst, Src bool // written, read
	Reg      bool // a register, never a constant
	Special  bool // may be a special register
	Wider    bool // a wider register will do
	Not      bool // a predicate that may be negated
	Pair     bool // a second, predicate destination may follow: "d|p"
	Paired   bool // it must
	Sink     bool // "_" will do
	Optional bool
	Lo, Hi   int64 // ArgConst, and constants for an ArgValue where Hi is not 0
	Step     int64 // what such constants are multiples of; 0 for 1
	Space    Space
	NoLocal  bool // in the generic space: never a local variable
}

// slot is one modifier of a row.
type slot struct {
	keep     byte // letter, 0 for none
	optional bool
	alts     []alt
}

// alt is one alternative of a slot with what it requires.
type alt struct {
	name  string
	needs needs
}

// matches says whether a modifier is this alternative.
func (a *alt) matches(mod string) bool {
	before, after, star := strings.Cut(a.name, "*")
	if !star {
		return mod == a.name
	}
	step := 8
	if s, twice := strings.CutPrefix(after, "*"); twice {
		step, after = 16, s
	}
	mid, ok1 := strings.CutPrefix(mod, before)
	mid, ok2 := strings.CutSuffix(mid, after)
	n, err := strconv.ParseUint(mid, 10, 16)
	return ok1 && ok2 && err == nil && n > 0 && n <= 256 && int(n)%step == 0 && mid[0] != '0'
}

// needs is a requirement of target and PTX version; zero for none.
type needs struct {
	sm, ptx int
	arch    bool
	from    [2]int // from this target on, this version is enough
}

func (n needs) join(m needs) needs {
	return needs{max(n.sm, m.sm), max(n.ptx, m.ptx), n.arch || m.arch, [2]int{max(n.from[0], m.from[0]), max(n.from[1], m.from[1])}}
}

// compiled is a row taken apart.
type compiled struct {
	needs needs
	slots []slot
	args  string
}

// compiledRows holds, by instruction name, the rows taken apart so far: few of
// the table's instructions occur in a program.
var compiledRows sync.Map // string → []compiled

// rowsByName is the table by instruction name.
var rowsByName = sync.OnceValue(func() map[string][]row {
	m := make(map[string][]row)
	for _, r := range table {
		m[r.op] = append(m[r.op], r)
	}
	m["call"] = []row{{"call", "vprintf", ">b32 u64 u64"}} // what is left of calls: its result, the format and the arguments
	return m
})

func compileRows(op string) []compiled {
	if c, ok := compiledRows.Load(op); ok {
		return c.([]compiled)
	}
	var cs []compiled
	for _, r := range rowsByName()[op] {
		cs = append(cs, compileRow(r))
	}
	if cs != nil {
		compiledRows.Store(op, cs)
	}
	return cs
}

func compileRow(r row) compiled {
	c := compiled{args: r.args}
	for _, f := range strings.Fields(r.mods) {
		if f[0] == '@' {
			c.needs = parseNeeds(f[1:])
			continue
		}
		var s slot
		if len(f) > 2 && f[1] == '=' {
			s.keep, f = f[0], f[2:]
		}
		f, s.optional = strings.CutSuffix(f, "?")
		for _, name := range strings.Split(f, "|") {
			name, need, _ := strings.Cut(name, "@")
			s.alts = append(s.alts, alt{name, parseNeeds(need)})
		}
		c.slots = append(c.slots, s)
	}
	return c
}

// parseNeeds reads "80:70", "90a:80" or "89:81,90:78".
func parseNeeds(s string) (n needs) {
	if s == "" {
		return n
	}
	s, later, _ := strings.Cut(s, ",")
	if later != "" {
		m := parseNeeds(later)
		n.from = [2]int{m.sm, m.ptx}
	}
	sm, ptx, _ := strings.Cut(s, ":")
	sm, n.arch = strings.CutSuffix(sm, "a")
	n.sm, _ = strconv.Atoi(sm)
	n.ptx, _ = strconv.Atoi(ptx)
	return n
}

// matcher matches a mnemonic's modifiers with a row's slots.
type matcher struct {
	mods     []string
	kept     ['Z' + 1]string
	furthest int                 // modifiers matched on the best attempt
	expected map[string]struct{} // what could have come there
}

// match tries slots from the i-th modifier on.
func (m *matcher) match(slots []slot, i int, n needs) (needs, bool) {
	if len(slots) == 0 {
		if i == len(m.mods) {
			return n, true
		}
		m.want(i, "")
		return n, false
	}
	s := &slots[0]
	for _, a := range s.alts {
		if i < len(m.mods) && a.matches(m.mods[i]) {
			m.kept[s.keep] = m.mods[i]
			if r, ok := m.match(slots[1:], i+1, n.join(a.needs)); ok {
				return r, true
			}
			m.kept[s.keep] = ""
		} else {
			m.want(i, a.name)
		}
	}
	if s.optional {
		return m.match(slots[1:], i, n)
	}
	return n, false
}

// want notes that name could have been the i-th modifier.
func (m *matcher) want(i int, name string) {
	if i > m.furthest || m.expected == nil {
		m.furthest, m.expected = i, map[string]struct{}{}
	}
	if i == m.furthest {
		m.expected[name] = struct{}{}
	}
}

// formCache remembers the forms of mnemonics that were found.
var formCache struct {
	sync.RWMutex
	m map[string][]*Form
}

// formCacheMax bounds the cache; all mnemonics of a large program fit.
const formCacheMax = 4096

// Forms returns the forms that a mnemonic such as "ld.global.v4.f32" may have:
// more than one where only the operands tell them apart (mov). The caller must
// not change them.
func Forms(mnemonic string) ([]*Form, error) {
	formCache.RLock()
	fs := formCache.m[mnemonic]
	formCache.RUnlock()
	if fs != nil {
		return fs, nil
	}
	parts := strings.Split(mnemonic, ".")
	fs, err := findForms(parts[0], parts[1:])
	if err != nil {
		return nil, err
	}
	formCache.Lock()
	if formCache.m == nil || len(formCache.m) >= formCacheMax {
		formCache.m = make(map[string][]*Form)
	}
	formCache.m[mnemonic] = fs
	formCache.Unlock()
	return fs, nil
}

func findForms(op string, mods []string) ([]*Form, error) {
	rows := compileRows(op)
	if rows == nil {
		if why := unsupported[op]; why != "" {
			return nil, fmt.Errorf("%s is not supported: %s", op, why)
		}
		return nil, fmt.Errorf("unknown instruction %q", op)
	}
	var fs []*Form
	contradiction := ""
	m := &matcher{mods: mods}
	for _, c := range rows {
		m.kept = [len(m.kept)]string{}
		if n, ok := m.match(c.slots, 0, c.needs); ok {
			if why := m.contradiction(); why != "" {
				contradiction = why
				continue
			}
			fs = append(fs, m.form(op, c.args, n))
		}
	}
	switch {
	case fs == nil && contradiction != "":
		return nil, fmt.Errorf("%s: %s", op, contradiction)
	case fs == nil:
		return nil, m.complain(op)
	}
	return fs, nil
}

// unsupported gives reasons for instructions left out on purpose.
var unsupported = map[string]string{
	"tex": "textures are not", "tld4": "textures are not", "txq": "textures are not",
	"suld": "surfaces are not", "sust": "surfaces are not", "sured": "surfaces are not", "suq": "surfaces are not",
}

// complain says what modifier was expected where.
func (m *matcher) complain(op string) error {
	at := op
	for _, mod := range m.mods[:m.furthest] {
		at += "." + mod
	}
	var want []string
	for name := range m.expected {
		if name == "" {
			want = append(want, "nothing")
		} else {
			want = append(want, "."+name)
		}
	}
	if want == nil {
		return fmt.Errorf("no form %s of %s", strings.Join(m.mods, "."), op)
	}
	sort.Strings(want)
	got := "nothing"
	if m.furthest < len(m.mods) {
		got = "." + m.mods[m.furthest]
	}
	return fmt.Errorf("after %s: got %s, expected %s", at, got, strings.Join(want, " or "))
}

// contradiction says why modifiers that a row lists do not go together, or "".
func (m *matcher) contradiction() string {
	if s := m.kept['S']; s != "" && s != "global" {
		for _, letter := range "CPE" {
			if hint := m.kept[letter]; hint != "" {
				return fmt.Sprintf(".%s is for global memory, not .%s", hint, s)
			}
		}
	}
	if v := m.kept['V']; v != "" && int(v[1]-'0')*m.typeOf("T").Size() > 16 {
		return fmt.Sprintf(".%s of .%s is more than 16 bytes", v, m.kept['T'])
	}
	return ""
}

// form makes the form of the row just matched.
func (m *matcher) form(op, args string, n needs) *Form {
	f := &Form{Op: op, Mods: m.mods, MinSM: n.sm, Arch: n.arch, MinPTX: Version{n.ptx / 10, n.ptx % 10}, from: n.from}
	for _, a := range strings.Fields(args) {
		spec, ok := m.arg(a)
		if !ok {
			continue
		}
		f.Args = append(f.Args, spec)
	}
	return f
}

// typeOf finds the type that a name or a kept letter stands for.
func (m *matcher) typeOf(s string) Type {
	s, double := strings.CutSuffix(s, "*2")
	if len(s) == 1 && s[0] <= 'Z' {
		s = m.kept[s[0]]
	}
	t := typeNames[s]
	if double {
		return t.wide()
	}
	return t
}

// arg reads one operand of a row's args; ok is false where the modifiers say
// that it is absent.
func (m *matcher) arg(s string) (a ArgSpec, ok bool) {
	if s[0] >= 'A' && s[0] <= 'Z' && len(s) > 1 && s[1] == ':' {
		if m.kept[s[0]] == "" {
			return a, false
		}
		s = s[2:]
	}
	if s == "_" {
		return ArgSpec{Kind: ArgSink}, true
	}
	s, a.Optional = strings.CutSuffix(s, "?")
	s, a.Paired = strings.CutSuffix(s, "|P")
	s, a.Pair = strings.CutSuffix(s, "|p")
	a.Pair = a.Pair || a.Paired
	s, a.Wider = strings.CutSuffix(s, "+")
	s, a.Sink = strings.CutSuffix(s, "_")
	s, a.Special = strings.CutPrefix(s, "sreg:")
	switch {
	case s[0] == '>':
		s, a.Dst, a.Reg = s[1:], true, true
	case strings.HasPrefix(s, "<>"):
		s, a.Dst, a.Src, a.Reg = s[2:], true, true, true
	case s[0] == '=':
		s, a.Src, a.Reg = s[1:], true, true
	default:
		a.Src = true
	}
	s, limits, limited := strings.Cut(s, "#")
	if limited {
		lo, hi, _ := strings.Cut(limits, ":")
		hi, step, _ := strings.Cut(hi, "/")
		a.Step, _ = strconv.ParseInt(step, 10, 64)
		a.Lo, _ = strconv.ParseInt(lo, 10, 64)
		a.Hi, _ = strconv.ParseInt(hi, 10, 64)
	}
	switch s {
	case "p", "!p":
		a.Kind, a.Type, a.Not = ArgPred, Pred, s[0] == '!'
		return a, true
	case "bar":
		a.Kind, a.Type = ArgBarrier, U32
		return a, true
	case "threads":
		a.Kind, a.Type = ArgThreads, U32
		return a, true
	case "label":
		a.Kind = ArgLabel
		return a, true
	case "labels":
		a.Kind = ArgLabels
		return a, true
	}
	switch kind, rest, _ := strings.Cut(s, ":"); {
	case s == "":
		a.Kind = ArgConst
		return a, true
	case s[0] == '[':
		return m.memArg(a, s[1:len(s)-1]), true
	case kind == "mov":
		a.Kind, a.Special, s = ArgMov, true, rest
	case kind == "addr":
		a.Kind, s = ArgAddress, rest
		a.Space, _ = spaceOf(m.kept['S'])
	case kind == "pack":
		a.Kind, s = ArgPack, rest
	}
	if count, t, found := strings.Cut(s, "x"); found && strings.IndexByte("123456789VN", count[0]) >= 0 {
		a.Vec, s = m.count(count), t
	}
	a.Type = m.typeOf(s)
	return a, true
}

// count reads a vector's length: a number, or what the kept modifiers say.
func (m *matcher) count(s string) int {
	switch s[0] {
	case 'V':
		s = strings.TrimPrefix(m.kept['V'], "v")
	case 'N':
		_, after, _ := strings.Cut(m.kept['N'], "n")
		number, _, _ := strings.Cut(after, "k")
		n, _ := strconv.Atoi(number)
		return n / int(s[1]-'0')
	}
	n, _ := strconv.Atoi(s)
	return n
}

func (m *matcher) memArg(a ArgSpec, space string) ArgSpec {
	a.Kind = ArgMem
	if s, ok := strings.CutPrefix(space, "tensor"); ok {
		a.Kind, space = ArgTensor, s
		a.Vec, _ = strconv.Atoi(strings.TrimSuffix(m.kept['N'], "d"))
	}
	space, a.NoLocal = strings.CutSuffix(space, "-local")
	if space == "S" {
		space = m.kept['S']
	}
	a.Space, _ = spaceOf(space)
	return a
}
