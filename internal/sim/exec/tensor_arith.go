package exec

import (
	"math"
	"math/bits"
)

// The arithmetic of the tensor cores, which PTX leaves open.
//
// Floats: the exact products of a group and the addend are shifted to the
// largest exponent among them, where that of a product is the sum of its
// factors' (it is not normalised first), and their magnitudes cut to 23+extra
// fraction bits. These are added as integers, and the sum is rounded once:
// towards zero for float32 (an overflow is infinite nevertheless), to nearest
// even for float16. A sum of nothing is +0. Subnormal numbers count. A NaN is
// all ones but for its sign.
//
// Compute capability 9.0 adds 16 products of 16 bits or 8 of tf32 at a time,
// with 2 extra bits. Every element of the corpus' products on an H100 agrees
// (testdata/corpus), and changes of these rules show there: of the group, of
// the extra bits for float32, of cutting and rounding, of overflow. What does
// not show there: whether zeros have an exponent that others are shifted to,
// the sign of a sum of negative zeros alone, and more than 21 fraction bits
// before a float16 result is rounded.
//
// 7.5 and 8.0 add half as many, with 1 extra bit, one group after the other;
// between them the sum is rounded to D's type. That is what is published of
// them, not confirmed here.
//
// 8.0 and 9.0 have no tensor cores for m8n8k4 of float16, nor 9.0's mma for
// 8-bit floats: what they do instead is confirmed on an H100, too.
//
// float64: a chain of fused operations in the order of k, confirmed on an H100
// for all four shapes. Integers are exact; they wrap, or saturate at the end.

// number is an element of A or B: m·2^(e−fraction bits) for a float, m for an
// integer. The exponent of zero is lost below all others; specialNumber's, of
// infinities (m is ±1) and NaNs (m is 0), stands above all others.
type number struct{ m, e int32 }

const (
	zeroExponent    = -1 << 20
	specialExponent = 1 << 24
)

// operands are the decoded elements of A, by rows, and B, by columns.
type operands struct{ a, b [16 * 64]number }

// tensorFormats are the types of elements.
var tensorFormats = map[string]*format{"f16": formatF16, "bf16": formatBF16, "tf32": formatTF32, "f32": formatF32, "e4m3": formatE4M3, "e5m2": formatE5M2}

// split takes a float apart.
func (f *format) split(v uint32) number {
	top := int32(1)<<(f.bits-1-f.mant) - 1
	e, m := int32(v>>f.mant)&top, int32(v&(1<<f.mant-1))
	neg := v>>(f.bits-1)&1 != 0
	switch {
	case e == top && !f.finite && m == 0:
		m, e = 1, specialExponent
	case e == top && (!f.finite || uint64(v)&f.nan == f.nan):
		return number{0, specialExponent}
	case e > 0:
		m |= 1 << f.mant
		e -= int32(f.bias)
	case m == 0:
		return number{0, zeroExponent}
	default:
		for e = 1 - int32(f.bias); f.finite && m < 1<<f.mant; e-- {
			m <<= 1 // e4m3 is computed as float16, which has its subnormal numbers as normal ones
		}
	}
	if neg {
		m = -m
	}
	return number{m, e}
}

// tensorSum is how sums of products of floats are made.
type tensorSum struct {
	a, b, out *format
	group     int // products that are added at a time
	extra     int // fraction bits of a sum beyond float32's 23
}

// arithmetic chooses the arithmetic of D, A, B and C's types.
func (t *tensorOp) arithmetic(types []string, sat bool, cc int) bool {
	switch types[1] {
	case "f64":
		return true
	case "u8", "s8", "u4", "s4":
		t.integers(types[1], types[2], sat)
		return true
	}
	s := &tensorSum{a: tensorFormats[types[1]], b: tensorFormats[types[2]], out: tensorFormats[types[0]], group: 16, extra: 2}
	if types[1] == "tf32" {
		s.group = 8
	}
	if cc < 90 {
		s.group, s.extra = s.group/2, 1
	}
	fill := func(f *format) func(elements []uint32, to []number) {
		if t.quad && cc >= 80 {
			return fillBits
		}
		drop := t.width - f.bits // a register's low bits that tf32 does not have
		return func(elements []uint32, to []number) {
			for i, v := range elements {
				to[i] = f.split(v >> drop)
			}
		}
	}
	t.fillA, t.fillB = fill(s.a), fill(s.b)
	sum := s.inGroups
	switch {
	case t.quad && cc >= 80 && types[0] == "f16":
		sum = fusedPairs
	case t.quad && cc >= 80:
		sum = fusedChain
	case s.a.bits == 8:
		sum = s.byHalves
	}
	k := t.k
	t.dot = func(m *operands, row, col int, c uint32) uint32 {
		return sum(m.a[row*k:][:k], m.b[col*k:][:k], c)
	}
	return true
}

// inGroups adds the products of one group after the other.
func (s *tensorSum) inGroups(a, b []number, c uint32) uint32 {
	for g := 0; g < len(a); g += s.group {
		to := min(len(a), g+s.group)
		c = s.add(a[g:to], b[g:to], c)
	}
	return c
}

// byHalves is how devices of 9.0, whose mma has no 8-bit floats, multiply them:
// as float16, the first two of each four elements, then, added to their sum, the
// last two; that sum is added to c in float32.
func (s *tensorSum) byHalves(a, b []number, c uint32) uint32 {
	var x, y [2][16]number
	for i := range a {
		half, at := i>>1&1, i>>2<<1|i&1
		x[half][at], y[half][at] = a[i], b[i]
	}
	first := s.add(x[0][:], y[0][:], 0)
	return addFloat32(c, s.add(x[1][:], y[1][:], first))
}

// fusedChain and fusedPairs are m8n8k4 of float16, which devices from 8.0 on
// do without tensor cores, in float32: the sum of the four products made by fused
// operations in order and added to c; or, with a float16 result, c plus the sum
// of two products, plus that of the other two.
func fusedChain(a, b []number, c uint32) uint32 {
	s := float32(0)
	for i := range a {
		s = fma32(a[i].float16(), b[i].float16(), s)
	}
	return addFloat32(c, math.Float32bits(s))
}

func fusedPairs(a, b []number, c uint32) uint32 {
	s := number{m: int32(c)}.float16()
	for i := 0; i < len(a); i += 2 {
		p := a[i].float16() * b[i].float16()
		s += fma32(a[i+1].float16(), b[i+1].float16(), p)
	}
	return uint32(formatF16.round(float64(s), nearest))
}

// addFloat32 is add.rn.f32 of bits, with the only NaN that results have.
func addFloat32(a, b uint32) uint32 {
	return uint32(formatF32.round(float64(math.Float32frombits(a)+math.Float32frombits(b)), nearest))
}

// fillBits keeps elements as they are, and float16 is the value of such a one.
func fillBits(elements []uint32, to []number) {
	for i, v := range elements {
		to[i].m = int32(v)
	}
}

func (n number) float16() float32 { return float32(formatF16.value(uint64(n.m))) }

// integers adds exactly, and wraps or saturates at the end.
func (t *tensorOp) integers(a, b string, sat bool) {
	fill := func(name string) func(elements []uint32, to []number) {
		n := 32 - int(name[1]-'0')
		signed := name[0] == 's'
		return func(elements []uint32, to []number) {
			for i, v := range elements {
				to[i].m = int32(v)
				if signed {
					to[i].m = int32(v) << n >> n
				}
			}
		}
	}
	t.fillA, t.fillB = fill(a), fill(b)
	k := t.k
	t.dot = func(m *operands, row, col int, c uint32) uint32 {
		a, b := m.a[row*k:][:k], m.b[col*k:][:k]
		sum := int64(int32(c))
		for i := range a {
			sum += int64(a[i].m * b[i].m)
		}
		if sat {
			sum = min(max(sum, math.MinInt32), math.MaxInt32)
		}
		return uint32(sum)
	}
}

// add is c plus the products of a and b.
func (s *tensorSum) add(a, b []number, c uint32) uint32 {
	b = b[:len(a)]
	z := s.out.split(c)
	top := z.e
	for i := range a {
		top = max(top, a[i].e+b[i].e)
	}
	if top >= specialExponent/2 {
		return s.special(a, b, z)
	}
	frac := 23 + s.extra
	up := frac - s.a.mant - s.b.mant
	total := int64(align(z.m<<(frac-s.out.mant), top-z.e))
	for i := range a {
		total += int64(align(a[i].m*b[i].m<<up, top-a[i].e-b[i].e))
	}
	return s.round(total, int(top)-frac, c)
}

// align shifts the magnitude of v right.
func align(v, shift int32) int32 {
	sign := v >> 31
	return (int32(uint32((v^sign)-sign)>>uint32(shift)) ^ sign) - sign
}

// round makes total·2^exp a float: of 32 bits cut, of 16 bits to nearest even.
func (s *tensorSum) round(total int64, exp int, c uint32) uint32 {
	l := s.out
	if total == 0 {
		return 0
	}
	neg := uint32(total >> 63 & 1)
	m := uint64(max(total, -total))
	bias := 1<<(l.bits-2-l.mant) - 1
	e := max(exp+bits.Len64(m)-1, 1-bias)
	shift := e - l.mant - exp
	if shift > 0 {
		half := uint64(1) << (min(shift, 63) - 1)
		rest := m & (2*half - 1)
		m >>= uint(shift)
		if l.bits == 16 && (rest > half || rest == half && m&1 != 0) {
			m++
		}
	} else {
		m <<= uint(-shift)
	}
	v := uint32(m)
	if m >= 1<<l.mant {
		v += uint32(e+bias-1) << l.mant
	}
	return min(v, (1<<(l.bits-1-l.mant)-1)<<l.mant) | neg<<(l.bits-1)
}

// special is add where a term is not finite.
func (s *tensorSum) special(a, b []number, z number) uint32 {
	float := func(n number) float64 {
		if n.e < specialExponent {
			return float64(n.m)
		}
		return math.Copysign(math.Inf(1), float64(n.m)) * math.Abs(float64(n.m)) // Inf·0 is NaN
	}
	sum := 0.0
	for i := range a {
		if x, y := float(a[i]), float(b[i]); a[i].e+b[i].e >= specialExponent/2 {
			sum += x * y
		}
	}
	if z.e >= specialExponent {
		sum += float(z)
	}
	top := uint32(1)<<(s.out.bits-1-s.out.mant) - 1
	switch {
	case sum != sum:
		return 1<<(s.out.bits-1) - 1
	case sum < 0:
		return top<<s.out.mant | 1<<(s.out.bits-1)
	}
	return top << s.out.mant
}

// doubles is a product of float64: a chain of fused operations, in order.
func (t *tensorOp) doubles(x *ctx, w int) {
	var a, b [16 * 16]float64
	gather := func(regs []slot, at []uint16, to *[256]float64) {
		for r, s := range regs {
			for lane, v := range row[uint64](x, s)[32*w:][:32] {
				to[at[32*r+lane]] = math.Float64frombits(v)
			}
		}
	}
	gather(t.a, t.fragments.a, &a)
	gather(t.b, t.fragments.b, &b)
	var out [4][32]float64
	for r, s := range t.c {
		for lane, c := range row[float64](x, s)[32*w:][:32] {
			i, j := int(t.row[32*r+lane])*t.k, int(t.col[32*r+lane])*t.k
			for k := range t.k {
				c = math.FMA(a[i+k], b[j+k], c)
			}
			out[r][lane] = c
		}
	}
	for r, s := range t.d {
		copy(row[float64](x, s)[32*w:], out[r][:])
	}
}
