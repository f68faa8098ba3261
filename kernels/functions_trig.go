package kernels

import (
	"encoding/binary"
	"math"
	"math/big"
	"math/bits"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Sine and cosine, for arguments of any size.

func emitSin(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg { return newFunction(b, t).sinCos(a[0], 0) }
func emitCos(b *ptx.Builder, t Type, a []*ptx.Reg) *ptx.Reg { return newFunction(b, t).sinCos(a[0], 1) }

// sinCos returns sin(x + quarter·π/2).
func (f *function) sinCos(x *ptx.Reg, quarter int) *ptx.Reg {
	b := f.b
	ax := f.abs(x)
	quadrant, r, low := f.reduceCircle(ax)
	z := f.mul(r, r)
	sine := f.add(r, f.fma(f.mul(z, r), f.polynomial(z, f.sin), low))

	half := f.mul(z, 0.5)
	one := f.sub(1.0, half)
	rest := f.fma(f.mul(z, z), f.polynomial(z, f.cos), f.neg(f.mul(r, low)))
	cosine := f.add(one, f.add(f.sub(f.sub(1.0, one), half), rest))

	// sin(−x) = −sin(x): the sign goes in front, and the quarter is added to |x|,
	// which is right for the cosine.
	q := quadrant
	if quarter != 0 {
		q = b.Op("add.u32", q, quarter)
	}
	odd := b.Op("setp.ne.u32", b.Op("and.b32", q, 1), 0)
	y := f.choose(odd, cosine, sine)
	y = f.choose(b.Op("setp.ne.u32", b.Op("and.b32", q, 2), 0), f.neg(y), y)
	if quarter == 0 {
		y = f.choose(f.is("lt", x, 0.0), f.neg(y), y)
		y = f.choose(f.is("lt", ax, f.minNormal), x, y)
	}
	return f.choose(f.is("lt", ax, math.Inf(1)), y, math.NaN())
}

// reduceCircle returns q, r and low with x = q·π/2 + r + low, |r| ≤ π/4, for
// x ≥ 0; q is right modulo 4. Below circleLimit multiples of π/2 in three parts
// are subtracted; above, x is multiplied by as many bits of 2/π as it needs.
func (f *function) reduceCircle(x *ptx.Reg) (q, r, low *ptx.Reg) {
	b := f.b
	float, n := f.nearest(x, 2/math.Pi)
	minus := f.neg(float)
	exact := f.fma(minus, f.halfPi[0], x)
	second := f.mul(minus, f.halfPi[1])
	rest := f.fma(minus, f.halfPi[2], f.fma(minus, f.halfPi[1], f.neg(second)))
	sum := f.sumAny(exact, second)
	r, low = sum.high, f.add(sum.low, rest)
	q = b.Reg(ptx.U32)
	b.Do("mov.b32", q, n)
	done := b.NewLabel("reduced")
	b.BraIf(f.is("lt", x, f.circleLimit()), done)
	f.reduceHuge(x, q, r, low)
	b.Bind(done)
	return q, r, low
}

func (f *function) circleLimit() float64 {
	if f.t.wide() {
		return 0x1p20
	}
	return 0x1p15
}

// reduceHuge overwrites q, r and low. With x = M·2ᵉ, M a whole register, it
// needs the bits of 2/π from weight 2^(1−e) on, since those before it give
// multiples of 4: three words of them times M, of which the integer part does
// not count. Two words of fraction are right, enough for the closest that a
// float comes to a multiple of π/2.
func (f *function) reduceHuge(x, q, r, low *ptx.Reg) {
	b, bw, width := f.b, "b"+f.i, 32
	word, wide := ptx.U32, f.t.wide()
	if wide {
		width, word = 64, ptx.U64
	}
	u := floatBits(b, f.t, x)
	exponent := b.Op("shr.u"+f.i, u, f.mantissa)
	if wide {
		exponent = b.Op("cvt.u32.u64", exponent)
	}
	m := b.Op("or."+bw, b.Op("shl."+bw, u, width-1-f.mantissa), uint64(1)<<(width-1)&math.MaxUint64)
	// M·2ᵉ with M of the full width has e = exponent − bias − (width−1).
	at := b.Op("add.u32", exponent, twoOverPiPad-2-(width-1)-f.bias)
	index, shift := b.Op("shr.u32", at, bits.TrailingZeros(uint(width))), b.Op("and.b32", at, width-1)
	table := twoOverPiTable(b.Module(), word)
	address := b.Op("add.u64", b.Addr(table), b.Op("mul.wide.u32", index, width/8))
	words := b.Regs(word, 4)
	for i, w := range words {
		b.Do("ld.const.u"+f.i, w, b.At(address, int64(i*width/8)))
	}
	back := b.Op("sub.u32", width, shift) // a shift by the width gives 0
	for i := range 3 {
		words[i] = b.Op("or."+bw, b.Op("shl."+bw, words[i], shift), b.Op("shr.u"+f.i, words[i+1], back))
	}
	fraction, next := f.fractionOf(m, words)

	// The quadrant is rounded to nearest; what is left is signed.
	high := b.Op("or."+bw, b.Op("shl."+bw, fraction, 2), b.Op("shr.u"+f.i, next, width-2))
	rest := b.Op("shl."+bw, next, 2)
	quadrant := b.Op("shr.u"+f.i, fraction, width-2)
	if wide {
		quadrant = b.Op("cvt.u32.u64", quadrant)
	}
	negative := b.Op("setp.lt.s"+f.i, high, 0)
	b.Do("add.u32", q, quadrant, b.Op("selp.u32", 1, 0, negative))
	high = b.Op("selp."+bw, b.Op("not."+bw, high), high, negative)
	rest = b.Op("selp."+bw, b.Op("not."+bw, rest), rest, negative)

	zeros := b.Op("clz."+bw, high)
	w := b.Op("or."+bw, b.Op("shl."+bw, high, zeros), b.Op("shr.u"+f.i, rest, b.Op("sub.u32", width, zeros)))
	g := b.Op("cvt.rz"+f.s+".u"+f.i, w)
	gLow := b.Op("cvt.rn"+f.s+".u"+f.i, b.Op("sub.u"+f.i, w, b.Op("cvt.rzi.u"+f.i+f.s, g)))
	scale := f.power(b.Op("sub.s32", -width, zeros))
	scale = f.choose(negative, f.neg(scale), scale)
	p := f.product(double{f.mul(g, scale), f.mul(gLow, scale)}, f.constant([2]float64{f.halfPi[0], f.halfPi[1]}))
	b.Do("mov"+f.s, r, p.high)
	b.Do("mov"+f.s, low, p.low)
}

// fractionOf returns the first two words after the point of m·0.words.
func (f *function) fractionOf(m *ptx.Reg, words []*ptx.Reg) (first, second *ptx.Reg) {
	b, u := f.b, ".u"+f.i
	carry := func(p *ptx.Reg) *ptx.Reg { return b.Op("selp"+u, 1, 0, p) }
	second = b.Op("add"+u, b.Op("mul.hi"+u, m, words[2]), b.Op("mul.lo"+u, m, words[1]))
	over := b.Op("setp.lt"+u, second, b.Op("mul.lo"+u, m, words[1]))
	first = b.Op("add"+u, b.Op("mul.hi"+u, m, words[1]), b.Op("mul.lo"+u, m, words[0]))
	return b.Op("add"+u, first, carry(over)), second
}

// twoOverPiPad is how many zero bits stand before 2/π in the table, for
// arguments that need bits before the first.
const twoOverPiPad = 128

// twoOverPi is the fraction 2/π, padded, most significant word first.
var twoOverPi = sync.OnceValue(func() [24]uint64 {
	const digits = 24*64 - twoOverPiPad
	x := new(big.Int).Quo(new(big.Int).Lsh(big.NewInt(1), 2*digits+64), scaledPi(digits+63)) // 2^(digits+1)/π
	var words [24]uint64
	for i := range words {
		shift := uint(64 * (23 - i))
		words[i] = new(big.Int).And(new(big.Int).Rsh(x, shift), new(big.Int).SetUint64(math.MaxUint64)).Uint64()
	}
	return words
})

// scaledPi returns π·2ⁿ, rounded down to within a few units, by Machin's formula.
func scaledPi(n uint) *big.Int {
	const guard = 32
	atan := func(inverse int64) *big.Int {
		sum, square := new(big.Int), big.NewInt(inverse*inverse)
		power := new(big.Int).Quo(new(big.Int).Lsh(big.NewInt(1), n+guard), big.NewInt(inverse))
		for i := int64(1); power.Sign() != 0; i += 2 {
			term := new(big.Int).Quo(power, big.NewInt(i))
			if i%4 == 1 {
				sum.Add(sum, term)
			} else {
				sum.Sub(sum, term)
			}
			power.Quo(power, square)
		}
		return sum
	}
	pi := new(big.Int).Mul(atan(5), big.NewInt(16))
	pi.Sub(pi, new(big.Int).Mul(atan(239), big.NewInt(4)))
	return pi.Rsh(pi, guard)
}

// twoOverPiTable returns the module's table of 2/π in words of the given type,
// adding it first if need be.
func twoOverPiTable(m *ptx.Module, word ptx.Type) *ptx.Var {
	const name = "two_over_pi_"
	for _, v := range m.Vars {
		if v.Name == name+word.String() {
			return v
		}
	}
	var data []byte
	for _, w := range twoOverPi() {
		if word == ptx.U64 {
			data = binary.LittleEndian.AppendUint64(data, w)
		} else {
			data = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(data, uint32(w>>32)), uint32(w))
		}
	}
	if word == ptx.U32 {
		data = data[:(twoOverPiPad+288)/8] // no float32 reaches further
	}
	return m.Const(name+word.String(), word, 0, data)
}
