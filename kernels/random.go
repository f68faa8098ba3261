package kernels

import (
	"fmt"
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Dist is a distribution of random numbers.
type Dist uint8

const (
	// Bits are random bits: Uint32 and Uint64.
	Bits Dist = iota
	// Uniform numbers are multiples of 2⁻ᵖ in [0, 1), all equally likely, where
	// p is the type's precision: 24 for float32, 53 for float64, 11 for
	// float16, 8 for bfloat16.
	Uniform
	// Normal numbers have mean 0 and variance 1. They are made in pairs by the
	// method of Box and Muller: the largest magnitude is 6.7 in float32 and
	// 8.7 in float64. float16 and bfloat16 are rounded from float32.
	Normal
)

var distNames = []string{"bits", "uniform", "normal"}

// String returns the distribution's name in lower case.
func (d Dist) String() string {
	if int(d) < len(distNames) {
		return distNames[d]
	}
	return fmt.Sprintf("Dist(%d)", uint8(d))
}

// Random appends n random numbers, contiguous from the start of operand 0, to
// the plan. They come from Philox4x32-10 (Salmon et al., Parallel random
// numbers: as easy as 1, 2, 3, SC'11): block i of 128 bits is the cipher of the
// counter counter+i under the key, and element j is made of block
// j / per and its place in it, where per is RandomPerBlock(t). So an element
// depends on key, counter and j only. The next draw may start at counter +
// ⌈n / per⌉.
func Random(p *Plan, dist Dist, t Type, n int, key, counter uint64) error {
	return planRandom(p, dist, t, n, key, counter, false)
}

// RandomStored is Random with the counter in device memory: it is the 64-bit
// number that operand 1 holds when the kernel runs, plus offset. A graph that is
// launched again and again thus makes other numbers each time.
func RandomStored(p *Plan, dist Dist, t Type, n int, key, offset uint64) error {
	return planRandom(p, dist, t, n, key, offset, true)
}

func planRandom(p *Plan, dist Dist, t Type, n int, key, counter uint64, stored bool) error {
	if err := checkRandom(dist, t); err != nil {
		return err
	}
	if n < 0 {
		return fmt.Errorf("%d random numbers", n)
	}
	if n == 0 {
		return nil
	}
	blocks := ceilDiv(n, RandomPerBlock(t))
	grid := ceilDiv(blocks, randomThreads)
	if grid > math.MaxInt32 {
		return fmt.Errorf("%d random numbers are more than one launch makes", n)
	}
	k := newKey("random").word(dist.String()).word(t.String()).flag(storedCounter, stored).String()
	l := p.launch(k, [3]uint32{uint32(grid), 1, 1}, [3]uint32{randomThreads, 1, 1}, 0)
	l.pointer(0, 0)
	l.value64(uint64(n))
	l.value64(key)
	l.value64(counter)
	if stored {
		l.pointer(1, 0)
	}
	return nil
}

// storedCounter ends the keys of kernels that read the counter's start.
const storedCounter = "stored"

// RandomPerBlock returns how many numbers of type t are made of one counter.
func RandomPerBlock(t Type) int {
	if t.Size() == 8 {
		return 2
	}
	return 4
}

func checkRandom(dist Dist, t Type) error {
	switch {
	case int(dist) >= len(distNames):
		return fmt.Errorf("unknown distribution %v", dist)
	case dist == Bits && t != Uint32 && t != Uint64, dist != Bits && !t.IsFloat():
		return &UnsupportedError{"random " + dist.String(), t}
	}
	return nil
}

const randomThreads = 256

func randomFamily() family {
	return family{
		prefix:   "random",
		generate: generateRandom,
		name:     keyName,
		embed:    embeddedRandom,
	}
}

func generateRandom(key string, target int) (*ptx.Module, error) {
	r := readKey(key)
	dist, t := Dist(r.word(distNames...)), r.elem()
	stored := r.flag(storedCounter)
	if err := r.end(); err != nil {
		return nil, err
	}
	if err := checkRandom(dist, t); err != nil {
		return nil, err
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	emitRandom(m.Entry(EntryName(key)), dist, t, stored)
	return m, nil
}

// emitRandom writes a kernel each of whose threads makes the numbers of one
// block.
func emitRandom(b *ptx.Builder, dist Dist, t Type, stored bool) {
	out, count := b.Param("out", ptx.U64), b.Param("n", ptx.U64)
	key, counter := b.Param("key", ptx.U64), b.Param("counter", ptx.U64)
	var start *ptx.Reg
	if stored {
		start = b.Reg(ptx.U64)
		b.Do("ld.global.u64", start, b.At(b.Ld(b.Param("start", ptx.U64)), 0))
	}
	b.MaxThreads(randomThreads)
	per := RandomPerBlock(t)
	thread := b.Op("mad.wide.u32", b.Special("%ctaid.x"), randomThreads, b.Op("cvt.u64.u32", b.Special("%tid.x")))
	first := b.Op("mul.lo.u64", thread, per)
	exit := b.NewLabel("exit")
	b.BraIf(b.Op("setp.ge.u64", first, b.Ld(count)), exit)
	place := b.Op("add.u64", b.Ld(counter), thread)
	if stored {
		place = b.Op("add.u64", place, start)
	}
	words := emitPhilox(b, place, b.Ld(key))
	values := emitDistribution(b, dist, t, words)
	at := b.Op("mad.lo.u64", thread, per*t.Size(), b.Ld(out))
	tail := b.NewLabel("tail")
	b.BraIf(b.Op("setp.gt.u64", b.Op("add.u64", first, per), b.Ld(count)), tail)
	storeVector(b, t, values, b.At(at, 0))
	b.Do("ret")
	b.Bind(tail)
	for i, v := range values[:per-1] {
		inside := b.Op("setp.lt.u64", b.Op("add.u64", first, i), b.Ld(count))
		storeElement(b, t, v, b.At(at, int64(i*t.Size())), inside)
	}
	b.Bind(exit)
	b.Do("ret")
}

// emitPhilox returns the four words of Philox4x32-10 for the counter (the low
// 64 of 128 bits; the others are 0) and the key.
func emitPhilox(b *ptx.Builder, counter, key *ptx.Reg) []*ptx.Reg {
	const rounds = 10
	multipliers := [2]uint32{0xD2511F53, 0xCD9E8D57}
	weyl := [2]uint32{0x9E3779B9, 0xBB67AE85}
	c, k := b.Regs(ptx.U32, 4), b.Regs(ptx.U32, 2)
	b.Do("mov.b64", b.Vec(c[0], c[1]), counter)
	b.Do("mov.b64", b.Vec(k[0], k[1]), key)
	b.Do("mov.u32", c[2], 0)
	b.Do("mov.u32", c[3], 0)
	for round := range rounds {
		if round > 0 {
			k = []*ptx.Reg{b.Op("add.u32", k[0], weyl[0]), b.Op("add.u32", k[1], weyl[1])}
		}
		hi0, lo0 := b.Op("mul.hi.u32", c[0], multipliers[0]), b.Op("mul.lo.u32", c[0], multipliers[0])
		hi1, lo1 := b.Op("mul.hi.u32", c[2], multipliers[1]), b.Op("mul.lo.u32", c[2], multipliers[1])
		c = []*ptx.Reg{
			b.Op("xor.b32", b.Op("xor.b32", hi1, c[1]), k[0]), lo1,
			b.Op("xor.b32", b.Op("xor.b32", hi0, c[3]), k[1]), lo0,
		}
	}
	return c
}

// emitDistribution makes numbers of four random words.
func emitDistribution(b *ptx.Builder, dist Dist, t Type, words []*ptx.Reg) []*ptx.Reg {
	if t.Size() == 8 {
		var pairs []*ptx.Reg
		for i := 0; i < len(words); i += 2 {
			pair := b.Reg(ptx.U64)
			b.Do("mov.b64", pair, b.Vec(words[i], words[i+1]))
			pairs = append(pairs, pair)
		}
		words = pairs
	}
	var values []*ptx.Reg
	switch dist {
	case Bits:
		values = words
	case Uniform:
		for _, w := range words {
			values = append(values, emitUniform(b, t, w))
		}
	case Normal:
		for i := 0; i < len(words); i += 2 {
			x, y := emitNormals(b, t.compute(), words[i], words[i+1])
			values = append(values, emitFit(b, t, x), emitFit(b, t, y))
		}
	}
	return values
}

// precisions are the bits of a significand.
var precisions = map[Type]int{Float16: 11, BFloat16: 8, Float32: 24, Float64: 53}

// emitUniform returns the highest bits of a random word as a multiple of 2⁻ᵖ.
func emitUniform(b *ptx.Builder, t Type, word *ptx.Reg) *ptx.Reg {
	width, p, c := word.Type.Bits(), precisions[t], t.compute()
	unsigned := fmt.Sprintf("u%d", width)
	x := b.Op("cvt.rn."+c.suffix()+"."+unsigned, b.Op("shr."+unsigned, word, width-p)) // exact
	return b.Op("mul.rn."+c.suffix(), x, floatConst(c, math.Ldexp(1, -p)))
}

// emitNormals returns two independent normal numbers made of two random words,
// of as many bits as the type t: r·cos(2πv) and r·sin(2πv) with r = √(−2·ln u).
func emitNormals(b *ptx.Builder, t Type, word0, word1 *ptx.Reg) (x, y *ptx.Reg) {
	s, width := "."+t.suffix(), word0.Type.Bits()
	if t == Float32 {
		return newFunction(b, t).normals(word0, word1)
	}
	// u is in (0, 1]: the middle of the word's interval, rounded.
	scaled := b.Op(fmt.Sprintf("cvt.rn%s.u%d", s, width), word0)
	u := b.Op("fma.rn"+s, scaled, floatConst(t, math.Ldexp(1, -width)), floatConst(t, math.Ldexp(1, -width-1)))
	ln := emitLog(b, t, []*ptx.Reg{u})
	r := b.Op("sqrt.rn"+s, b.Op("mul.rn"+s, ln, floatConst(t, -2)))
	sin, cos := emitTurn(b, t, word1)
	return b.Op("mul.rn"+s, r, cos), b.Op("mul.rn"+s, r, sin)
}

// normals is emitNormals for float32, which is bound by the number of
// instructions: it has no branch and no division.
func (f *function) normals(word0, word1 *ptx.Reg) (x, y *ptx.Reg) {
	u := f.fma(f.b.Op("cvt.rn.f32.u32", word0), 0x1p-32, 0x1p-33)
	r := f.root(f.minusTwiceLog(u))
	sin, cos := f.turn(word1)
	return f.mul(r, cos), f.mul(r, sin)
}

// minusTwiceLog returns −2·log x for a normal x up to 1.
func (f *function) minusTwiceLog(x *ptx.Reg) *ptx.Reg {
	u := floatBits(f.b, f.t, x)
	exponent := f.b.Op("and.b32", f.b.Op("sub.s32", u, int64(f.sqrtHalf)), uint32(0xff800000))
	s := f.sub(floatFromBits(f.b, f.t, f.b.Op("sub.s32", u, exponent)), 1.0)
	k := f.b.Op("cvt.rn.f32.s32", exponent) // 2²³ times too large
	return f.fma(k, -0x1p-22*math.Ln2, f.mul(f.mul(s, -2.0), f.polynomial(s, f.log)))
}

// root returns the square root of x, which is 0 or of ordinary size, by Newton's
// method for its inverse, from a guess that halves the exponent, and a last step
// for itself.
func (f *function) root(x *ptx.Reg) *ptx.Reg {
	guess := f.b.Op("sub.u32", 0x5f3759df, f.b.Op("shr.u32", floatBits(f.b, f.t, x), 1))
	inverse, half := floatFromBits(f.b, f.t, guess), f.mul(x, 0.5)
	for range 2 {
		inverse = f.mul(inverse, f.fma(f.neg(f.mul(half, inverse)), inverse, 1.5))
	}
	r := f.mul(x, inverse)
	return f.fma(f.fma(f.neg(r), r, x), f.mul(inverse, 0.5), r)
}

// turn is emitTurn with fewer instructions: twice shifted, a word has the nearest
// quarter taken off; what that leaves is signed.
func (f *function) turn(word *ptx.Reg) (sin, cos *ptx.Reg) {
	b := f.b
	x := f.mul(b.Op("cvt.rn.f32.s32", b.Op("shl.b32", word, 2)), 0x1p-32)
	square := f.mul(x, x)
	sin, cos = f.mul(f.polynomial(square, f.sinTurn), x), f.polynomial(square, f.cosTurn)
	quarter := b.Op("add.u32", word, 1<<29) // in its two highest bits
	odd := b.Op("setp.ne.u32", b.Op("and.b32", quarter, 1<<30), 0)
	sin, cos = f.choose(odd, cos, sin), f.choose(odd, sin, cos)
	signed := func(x, bit *ptx.Reg) *ptx.Reg {
		sign := b.Op("and.b32", bit, uint32(0x80000000))
		return floatFromBits(b, f.t, b.Op("xor.b32", floatBits(b, f.t, x), sign))
	}
	return signed(sin, quarter), signed(cos, b.Op("add.u32", quarter, 1<<30))
}

// emitTurn returns the sine and cosine of the fraction of a full turn that a
// word is of 2^width. The nearest quarter turn is taken off in integers, so the
// rest, at most an eighth of a turn either way, is as exact as the type.
func emitTurn(b *ptx.Builder, t Type, word *ptx.Reg) (sin, cos *ptx.Reg) {
	s, width := "."+t.suffix(), word.Type.Bits()
	typ := fmt.Sprint(width)
	var half any = uint32(1 << 29)
	if width == 64 {
		half = int64(1 << 61)
	}
	quarter := b.Op("shr.u"+typ, b.Op("add.u"+typ, word, half), width-2) // 0 to 3
	rest := b.Op("sub.u"+typ, word, b.Op("shl.b"+typ, quarter, width-2))
	x := b.Op("mul.rn"+s, b.Op("cvt.rn"+s+".s"+typ, rest), floatConst(t, math.Ldexp(1, -width+2))) // in quarter turns
	square := b.Op("mul.rn"+s, x, x)
	sinX := b.Op("mul.rn"+s, emitTaylor(b, t, square, 1), x)
	cosX := emitTaylor(b, t, square, 0)
	// Turn by the quarters.
	if width == 64 {
		quarter = b.Op("cvt.u32.u64", quarter)
	}
	odd := b.Op("setp.ne.u32", b.Op("and.b32", quarter, 1), 0)
	sin = b.Op("selp"+s, cosX, sinX, odd)
	cos = b.Op("selp"+s, sinX, cosX, odd)
	sin = b.Op("selp"+s, b.Op("neg"+s, sin), sin, b.Op("setp.ge.u32", quarter, 2))
	negative := b.Op("setp.ne.u32", b.Op("and.b32", b.Op("add.u32", quarter, 1), 2), 0)
	cos = b.Op("selp"+s, b.Op("neg"+s, cos), cos, negative)
	return sin, cos
}

// emitTaylor returns the Taylor series of cos(πx/2) (odd 0), or of sin(πx/2)/x
// (odd 1), in x². For |x| ≤ 1/2 what is left out is below 2⁻²⁹ in float32 and
// below 2⁻⁵⁸ in float64.
func emitTaylor(b *ptx.Builder, t Type, square *ptx.Reg, odd int) *ptx.Reg {
	terms := 5
	if t == Float64 {
		terms = 9
	}
	var sum *ptx.Reg
	for n := terms; n >= 0; n-- {
		c := quarterTurnTerm(2*n + odd)
		if n%2 == 1 {
			c = -c
		}
		if t == Float32 {
			c = float64(float32(c))
		}
		if sum == nil {
			sum = b.Op("mov."+t.suffix(), floatConst(t, c))
			continue
		}
		sum = b.Op("fma.rn."+t.suffix(), sum, square, floatConst(t, c))
	}
	return sum
}

// quarterTurnTerm is (π/2)ᵏ / k!.
func quarterTurnTerm(k int) float64 {
	x := 1.0
	for i := 1; i <= k; i++ {
		x = float64(x * (math.Pi / 2) / float64(i))
	}
	return x
}
