package exec

import (
	"math"
	"math/bits"
	"sync"
)

// The arithmetic of the tensor cores, which PTX leaves open.
//
// Floats: the exact products of a group and the addend are shifted to the
// largest exponent among them, where that of a product is the sum of its
// factors' (it is not normalised first), and which is at least −133, and their
// magnitudes cut to 23+extra fraction bits. These are added as integers, and the sum is rounded once:
// towards zero for float32 (an overflow is infinite nevertheless), to nearest
// even for float16. A sum of nothing is +0. Subnormal numbers count. A NaN is
// all ones but for its sign.
//
// Compute capability 9.0 adds 16 products of 16 bits or 8 of tf32 at a time,
// with 2 extra bits. Every element of the corpus' products on an H100 agrees
// (testdata/corpus), and changes of these rules show there: of the group, of
// the extra bits for float32, of cutting and rounding, of overflow, of the least
// exponent.
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

// operands are the decoded elements of A, by rows, and B, by columns.
type operands struct{ a, b lines }

// lines are rows of A or columns of B: of an integer the value is in e; of a
// float, value and exponent. The exponent of zero is lost below all others,
// specialExponent, of infinities and NaNs, stands above all others.
type lines struct {
	v [16 * 64]float64
	e [16 * 64]int32
}

const (
	zeroExponent    = -1 << 20
	specialExponent = 1 << 24
)

var operandsPool = sync.Pool{New: func() any { return new(operands) }}

// tensorFormats are the types of elements.
var tensorFormats = map[string]*format{"f16": formatF16, "bf16": formatBF16, "tf32": formatTF32, "f32": formatF32, "e4m3": formatE4M3, "e5m2": formatE5M2}

// split is a float's value and its exponent, as a term of a sum has it.
func (f *format) split(v uint32) (value float64, exponent int32) {
	sign := uint64(v) >> (f.bits - 1) << 63
	top := uint32(1)<<(f.bits-1-f.mant) - 1
	e, m := v>>f.mant&top, uint64(v&(1<<f.mant-1))
	switch {
	case e == top && (!f.finite || uint64(v)&f.nan == f.nan):
		return f.value(uint64(v)), specialExponent
	case e > 0:
		// The same number as a float64.
		return math.Float64frombits(sign | uint64(int(e)-f.bias+1023)<<52 | m<<(52-f.mant)), int32(e) - int32(f.bias)
	case m == 0:
		return math.Float64frombits(sign), zeroExponent
	case f.finite:
		// e4m3 is computed as float16, of which all its numbers are normal.
		value = f.value(uint64(v))
		return value, int32(math.Ilogb(value))
	}
	return f.value(uint64(v)), int32(1 - f.bias)
}

// tensorSum is how sums of products of floats are made.
type tensorSum struct {
	a, b, out *format
	group     int // products that are added at a time
	extra     int // fraction bits of a sum beyond float32's 23
}

// arithmetic chooses the arithmetic of D, A, B and C's types.
func (t *tensorOp) arithmetic(types, mods []string, cc int) bool {
	switch types[1] {
	case "f64":
		return true
	case "u8", "s8", "u4", "s4":
		t.integers(types[1], types[2], mod(mods, "satfinite"))
		return true
	case "b1":
		t.bits(mod(mods, "and"))
		return true
	}
	s := &tensorSum{a: tensorFormats[types[1]], b: tensorFormats[types[2]], out: tensorFormats[types[0]], group: 16, extra: 2}
	if types[1] == "tf32" {
		s.group = 8
	}
	if cc < 90 {
		s.group, s.extra = s.group/2, 1
	}
	fill := func(f *format) func(elements []uint32, to *lines) {
		drop := t.width - f.bits // a register's low bits that tf32 does not have
		return func(elements []uint32, to *lines) {
			for i, v := range elements {
				to.v[i], to.e[i] = f.split(v >> drop)
			}
		}
	}
	t.fillA, t.fillB = fill(s.a), fill(s.b)
	switch {
	case t.quad && cc >= 80 && types[0] == "f16":
		t.dot = fusedPairs
	case t.quad && cc >= 80:
		t.dot = fusedChain
	case s.a.bits == 8:
		t.dot = s.byHalves
	default:
		t.dot = s.inGroups
	}
	return true
}

// inGroups adds the products of one group after the other.
func (s *tensorSum) inGroups(a, b *lines, i, j, k int, c uint32) uint32 {
	for ; k > 0; k -= s.group {
		n := min(k, s.group)
		c = s.add(a.v[i:i+n], b.v[j:j+n], a.e[i:i+n], b.e[j:j+n], c)
		i, j = i+n, j+n
	}
	return c
}

// byHalves is how devices of 9.0, whose mma has no 8-bit floats, multiply them:
// as float16, the first two of each four elements, then, added to their sum, the
// last two; that sum is added to c in float32.
func (s *tensorSum) byHalves(a, b *lines, i, j, k int, c uint32) uint32 {
	sum := uint32(0)
	for half := range 2 {
		var v, w [16]float64
		var e, f [16]int32
		for l := range v {
			at := l>>1<<2 | half<<1 | l&1
			v[l], w[l], e[l], f[l] = a.v[i+at], b.v[j+at], a.e[i+at], b.e[j+at]
		}
		sum = s.add(v[:], w[:], e[:], f[:], sum)
	}
	return addFloat32(c, sum)
}

// fusedChain and fusedPairs are m8n8k4 of float16, which devices from 8.0 on
// do without tensor cores, in float32: the sum of the four products made by fused
// operations in order and added to c; or, with a float16 result, c plus the sum
// of two products, plus that of the other two.
func fusedChain(a, b *lines, i, j, k int, c uint32) uint32 {
	s := float32(0)
	for l := range k {
		s = fma32(float32(a.v[i+l]), float32(b.v[j+l]), s)
	}
	return addFloat32(c, math.Float32bits(s))
}

func fusedPairs(a, b *lines, i, j, k int, c uint32) uint32 {
	s := float32(formatF16.value(uint64(c)))
	for l := 0; l < k; l += 2 {
		p := float32(a.v[i+l]) * float32(b.v[j+l])
		s += fma32(float32(a.v[i+l+1]), float32(b.v[j+l+1]), p)
	}
	return uint32(formatF16.round(float64(s), nearest))
}

// addFloat32 is add.rn.f32 of bits, with the only NaN that results have.
func addFloat32(a, b uint32) uint32 {
	return uint32(formatF32.round(float64(math.Float32frombits(a)+math.Float32frombits(b)), nearest))
}

// integers adds exactly, and wraps or saturates at the end.
func (t *tensorOp) integers(a, b string, sat bool) {
	fill := func(name string) func(elements []uint32, to *lines) {
		n := 32 - int(name[1]-'0')
		signed := name[0] == 's'
		return func(elements []uint32, to *lines) {
			for i, v := range elements {
				to.e[i] = int32(v)
				if signed {
					to.e[i] = int32(v) << n >> n
				}
			}
		}
	}
	t.fillA, t.fillB = fill(a), fill(b)
	t.dot = func(a, b *lines, i, j, k int, c uint32) uint32 {
		x, y := a.e[i:i+k], b.e[j:j+k]
		y = y[:len(x)]
		sum := int32(0) // at most 64·2^16
		for l := range x {
			sum += x[l] * y[l]
		}
		total := int64(int32(c)) + int64(sum)
		if sat {
			total = min(max(total, math.MinInt32), math.MaxInt32)
		}
		return uint32(total)
	}
}

// bits makes the operation on single bits, in words of 32: c plus the number of
// those that are set in both, or in one alone.
func (t *tensorOp) bits(and bool) {
	t.fillA = func(elements []uint32, to *lines) {
		for i, v := range elements {
			to.e[i] = int32(v)
		}
	}
	t.fillB = t.fillA
	t.dot = func(a, b *lines, i, j, k int, c uint32) uint32 {
		for l := range k {
			x, y := uint32(a.e[i+l]), uint32(b.e[j+l])
			if and {
				c += uint32(bits.OnesCount32(x & y))
			} else {
				c += uint32(bits.OnesCount32(x ^ y))
			}
		}
		return c
	}
}

// leastExponent is that below which terms are not shifted any less, as found on
// an H100.
const leastExponent = -133

// add is c plus the products of a and b, which have values v and w, exponents
// e and f.
func (s *tensorSum) add(v, w []float64, e, f []int32, c uint32) uint32 {
	w, e, f = w[:len(v)], e[:len(v)], f[:len(v)]
	z, top := s.out.split(c)
	for i := range e {
		top = max(top, e[i]+f[i])
	}
	switch {
	case top >= specialExponent/2:
		return s.special(v, w, z)
	case top <= zeroExponent/2:
		return 0
	}
	top = max(top, leastExponent)
	// In units of the last place that is kept, a term is its value times a
	// power of two. That is exact, or less than one, so that converting cuts it.
	frac := 23 + s.extra
	unit := math.Float64frombits(uint64(1023+frac-int(top)) << 52)
	total := int64(z * unit)
	for i := range v {
		total += int64(v[i] * w[i] * unit)
	}
	return s.round(total, int(top)-frac)
}

// round makes total·2^exp a float: of 32 bits cut, of 16 bits to nearest even.
func (s *tensorSum) round(total int64, exp int) uint32 {
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
	if v == 0 && l.bits == 32 {
		return 0 // what is cut to nothing has no sign left
	}
	if m >= 1<<l.mant {
		v += uint32(e+bias-1) << l.mant
	}
	return min(v, (1<<(l.bits-1-l.mant)-1)<<l.mant) | neg<<(l.bits-1)
}

// special is add where a term is not finite.
func (s *tensorSum) special(v, w []float64, z float64) uint32 {
	for i := range v {
		z += float64(v[i] * w[i])
	}
	return uint32(s.out.round(z, nearest))
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
				v := math.FMA(a[i+k], b[j+k], c)
				if v != v {
					v = nan64(a[i+k], b[j+k], c)
				}
				c = v
			}
			out[r][lane] = c
		}
	}
	for r, s := range t.d {
		copy(row[float64](x, s)[32*w:], out[r][:])
	}
}

// nan64 is the NaN that a fused operation in float64 makes, on any host: the
// first NaN among b, c and a, made quiet, as fma.rn.f64 on an H100 chooses (of
// products with several NaNs none was recorded), or else one of its own.
func nan64(a, b, c float64) float64 {
	for _, v := range [...]float64{b, c, a} {
		if v != v {
			return math.Float64frombits(math.Float64bits(v) | 1<<51)
		}
	}
	return math.Float64frombits(0xfff8 << 48)
}
