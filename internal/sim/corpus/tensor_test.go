package corpus

import (
	"math"
	"math/bits"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A plain model of mma.sync, held against what cards answered: PTX leaves the
// tensor cores' arithmetic open, and this is the evidence for the rule that the
// simulated device follows.

// shape is an mma's size, and how its elements lie in registers.
type shape struct{ m, n, k, width int } // width: bits of an element of A and B

// matricesOf collects the matrices of warp w from the lanes' registers. A 32-bit
// register (64 for f64) holds e elements of a row of A, or of a column of B.
func (s shape) matricesOf(p *Program, w, regsA, regsB int) (a, b, c [][]uint64) {
	a, b, c = grid(s.m, s.k), grid(s.k, s.n), grid(s.m, s.n)
	e := max(1, 32/s.width)
	mask := uint64(1)<<s.width - 1
	if s.width == 64 {
		mask = math.MaxUint64
	}
	for lane := range 32 {
		g, t := lane>>2, lane&3
		for r := range regsA {
			row, group := g, r
			if s.m == 16 {
				row, group = g+8*(r&1), r>>1
			}
			for i := range e {
				a[row][e*t+i+4*e*group] = p.In[r][32*w+lane] >> (i * s.width) & mask
			}
		}
		for r := range regsB {
			for i := range e {
				b[e*t+i+4*e*r][g] = p.In[regsA+r][32*w+lane] >> (i * s.width) & mask
			}
		}
		for j, reg := range p.In[regsA+regsB:] {
			s.place(c, p.Outs[0], j, lane, reg[32*w+lane])
		}
	}
	return a, b, c
}

// place puts register j of C or D into the matrix.
func (s shape) place(c [][]uint64, t ptx.Type, j, lane int, v uint64) {
	g, col := lane>>2, 2*(lane&3)
	if packed(t) {
		c[g+8*j][col], c[g+8*j][col+1] = v&0xffff, v>>16
		return
	}
	c[g+8*(j>>1)][col+j&1] = v
}

func grid(rows, cols int) [][]uint64 {
	m := make([][]uint64, rows)
	for i := range m {
		m[i] = make([]uint64, cols)
	}
	return m
}

// term is sig · 2^(exp − frac), with the sign in neg.
type term struct {
	neg  bool
	sig  uint64
	exp  int
	frac int
}

// split takes a float apart; ok is false for infinities and NaNs.
func (l layout) split(v uint64) (t term, ok bool) {
	top := 1<<(l.bits-1-l.mant) - 1
	e := int(v>>l.mant) & top
	t = term{v>>(l.bits-1)&1 != 0, v & (1<<l.mant - 1), max(e, 1) - top>>1, l.mant}
	if e > 0 {
		t.sig |= 1 << l.mant
	}
	return t, e != top || l.bits == 8 && l.mant == 3 && t.sig&7 != 7
}

// rule is how a card adds up.
type rule struct {
	extra int // fraction bits of the sum beyond float32's 23
	group int // products that are added at a time
}

// dot is c plus the products of a and b, all finite, as the tensor cores add
// them: products and c shifted to the largest exponent, cut to 23 + extra
// fraction bits, added, and rounded once.
func (r rule) dot(l, lb layout, a, b []uint64, c uint64, out layout) uint64 {
	for k := 0; k < len(a); k += r.group {
		to := min(len(a), k+r.group)
		c = r.sum(l, lb, a[k:to], b[k:to], c, out)
	}
	return c
}

func (r rule) sum(l, lb layout, a, b []uint64, c uint64, out layout) uint64 {
	var list []term
	special := math.NaN()
	finite := true
	add := func(v float64) {
		if finite {
			special, finite = v, false
		} else {
			special += v
		}
	}
	for i := range a {
		x, okX := l.split(a[i])
		y, okY := lb.split(b[i])
		if !okX || !okY {
			add(value8(l, a[i]) * value8(lb, b[i]))
			continue
		}
		list = append(list, term{x.neg != y.neg, x.sig * y.sig, x.exp + y.exp, l.mant + lb.mant})
	}
	z, ok := out.split(c)
	if !ok {
		add(value8(out, c))
	}
	if !finite {
		switch {
		case special != special && out.bits == 32:
			return 0x7fffffff
		case special != special:
			return 0x7fff
		}
		v := uint64(1)<<(out.bits-1-out.mant) - 1
		v <<= out.mant
		if special < 0 {
			v |= 1 << (out.bits - 1)
		}
		return v
	}
	list = append(list, z)
	top := math.MinInt
	for _, t := range list {
		if t.sig != 0 {
			top = max(top, t.exp)
		}
	}
	frac := 23 + r.extra
	total := int64(0)
	allNegative := true
	for _, t := range list {
		allNegative = allNegative && t.neg
		if t.sig == 0 {
			continue
		}
		v := t.sig
		if shift := top - t.exp + t.frac - frac; shift >= 64 {
			v = 0
		} else if shift > 0 {
			v >>= shift
		} else {
			v <<= -shift
		}
		if t.neg {
			total -= int64(v)
		} else {
			total += int64(v)
		}
	}
	if total == 0 {
		if allNegative {
			return 1 << (out.bits - 1)
		}
		return 0
	}
	return out.round(total, top-frac, out.bits == 16)
}

// round makes total · 2^exp a float, to nearest even or towards zero.
func (l layout) round(total int64, exp int, nearest bool) uint64 {
	neg := total < 0
	m := uint64(total)
	if neg {
		m = -m
	}
	bias := 1<<(l.bits-2-l.mant) - 1
	e := max(exp+bits.Len64(m)-1, 1-bias) // the result's exponent
	shift := e - l.mant - exp
	rest := uint64(0)
	switch {
	case shift >= 64:
		m, rest = 0, 0
	case shift > 0:
		half := uint64(1) << (shift - 1)
		rest = m & (half<<1 - 1)
		m >>= shift
		if nearest && (rest > half || rest == half && m&1 == 1) {
			m++
		}
	default:
		m <<= -shift
	}
	v := m
	if m >= 1<<l.mant {
		v = m + uint64(e+bias-1)<<l.mant
	}
	v = min(v, (1<<(l.bits-1-l.mant)-1)<<l.mant)
	if neg {
		v |= 1 << (l.bits - 1)
	}
	return v
}

// value8 is the value of an 8-, 16- or 32-bit float where it is not finite.
func value8(l layout, v uint64) float64 {
	t, ok := l.split(v)
	x := math.Ldexp(float64(t.sig), t.exp-t.frac)
	if !ok {
		x = math.NaN()
		if v&(1<<l.mant-1) == 0 {
			x = math.Inf(1)
		}
	}
	if t.neg {
		x = -x
	}
	return x
}

// product is the model's answer for one element.
func (r rule) product(mods []string, a, b []uint64, c uint64) uint64 {
	if n := len(mods); mods[n-1] == "popc" {
		acc := uint32(c)
		for k := range a {
			if mods[n-2] == "xor" {
				acc += uint32(a[k] ^ b[k])
			} else {
				acc += uint32(a[k] & b[k])
			}
		}
		return uint64(acc)
	}
	of := mods[len(mods)-4:]
	switch of[1] {
	case "f64":
		acc := math.Float64frombits(c)
		for k := range a {
			acc = math.FMA(math.Float64frombits(a[k]), math.Float64frombits(b[k]), acc)
		}
		return math.Float64bits(acc)
	case "u8", "s8", "u4", "s4":
		acc := int64(int32(c))
		for k := range a {
			acc += whole(of[1], a[k]) * whole(of[2], b[k])
		}
		if strings.Contains(strings.Join(mods, "."), "satfinite") {
			acc = min(max(acc, math.MinInt32), math.MaxInt32)
		}
		return uint64(uint32(acc))
	case "tf32":
		l := layout{19, 10}
		cut := func(v []uint64) []uint64 {
			w := make([]uint64, len(v))
			for i := range v {
				w[i] = v[i] >> 13
			}
			return w
		}
		return r.dot(l, l, cut(a), cut(b), c, layouts[of[0]])
	}
	if layouts[of[1]].bits == 8 {
		// The assembler makes two products of float16 out of it, of the low halves
		// of the registers and then of the high ones, and adds C in the end.
		acc := uint64(0)
		for h := range 2 {
			var x, y []uint64
			for k := range a {
				if k%4/2 == h {
					x, y = append(x, a[k]), append(y, b[k])
				}
			}
			acc = r.sum(layouts[of[1]], layouts[of[2]], x, y, acc, layouts["f32"])
		}
		return uint64(math.Float32bits(math.Float32frombits(uint32(c)) + math.Float32frombits(uint32(acc))))
	}
	return r.dot(layouts[of[1]], layouts[of[2]], a, b, c, layouts[of[0]])
}

func whole(t string, v uint64) int64 {
	n := 64 - int(t[1]-'0')
	if t[0] == 's' {
		return int64(v) << n >> n
	}
	return int64(v)
}

// TestTensorCores holds the model against what the cards answered.
func TestTensorCores(t *testing.T) {
	files, err := filepath.Glob(goldenFiles)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		g, err := ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range g.Answers {
			p := byName()[a.Name]
			if p == nil || p.Key() != a.Key || a.Err != "" || !strings.HasPrefix(a.Name, "mma.sync.aligned.m") || strings.Contains(a.Name, ",") {
				continue
			}
			if old := strings.Contains(a.Name, "m8n8k4") && !strings.Contains(a.Name, "f64"); !old {
				holdProduct(t, p, a.Out, rule{2, 16})
			}
		}
	}
}

func byName() map[string]*Program {
	m := make(map[string]*Program)
	for _, p := range Programs() {
		m[p.Name] = p
	}
	return m
}

func holdProduct(t *testing.T, p *Program, out []byte, r rule) {
	forms, err := ptx.Forms(p.Name)
	if err != nil {
		t.Error(err)
		return
	}
	x := forms[0]
	var s shape
	s.m, s.n, s.k = extent(x.Mods[2])
	mods := x.Mods
	if mods[len(mods)-1] == "popc" { // the operation on single bits comes behind the types
		mods = mods[:len(mods)-2]
	}
	s.width = map[string]int{"f16": 16, "bf16": 16, "tf32": 32, "f64": 64, "e4m3": 8, "e5m2": 8, "u8": 8, "s8": 8, "u4": 4, "s4": 4, "b1": 1}[mods[len(mods)-3]]
	bad, n := [kinds]int{}, 0
	for w := range p.Lanes() / 32 {
		a, b, c := s.matricesOf(p, w, x.Args[1].Vec, x.Args[2].Vec)
		d := grid(s.m, s.n)
		for lane := range 32 {
			for j := range p.Outs {
				s.place(d, p.Outs[0], j, lane, p.At(out, j, 32*w+lane))
			}
		}
		for i := range d {
			for j := range d[i] {
				column := make([]uint64, s.k)
				for k := range column {
					column[k] = b[k][j]
				}
				if got := r.product(x.Mods, a[i], column, c[i][j]); got != d[i][j] && !(isNaN(p.Outs[0], got) && isNaN(p.Outs[0], d[i][j])) {
					bad[w%kinds]++
					if n++; n <= 3 {
						t.Errorf("%s, warp %d (kind %d), element %d,%d: the model says %#x, the card %#x, of %#x · %#x + %#x", p.Name, w, w%kinds, i, j, got, d[i][j], a[i], column, c[i][j])
					}
				}
			}
		}
	}
	if n > 0 {
		t.Errorf("%s: %d differences, by kind %v", p.Name, n, bad)
	}
}
