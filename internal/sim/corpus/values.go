package corpus

import (
	"math"
	"math/rand/v2"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A pool is the values that an operand is tried with: the listed ones, and
// random ones. nil is the pool of the operand's type.
type pool struct {
	list   []uint64
	random func(r *rand.Rand) uint64 // nil: only the list
	all    bool                      // the first lanes get the list in order
}

var (
	f32Specials = signed(1<<31, 0, 1, 2, 0x7fffff, 0x800000, 0x800001, 0x3f800000, 0x3f800001, 0x3f7fffff, 0x3f000000, 0x3fc00000, 0x40200000, 0x40490fdb, 0x33800000, 0x33000000, 0x4b000000, 0x4b7fffff, 0x4b800001,
		0x42fe0000, 0x43000000, 0x437f8000, 0x477fe000, 0x477ff000, 0x47800000, 0x4effffff, 0x4f000000, 0x4f7fffff, 0x4f800000, 0x5effffff, 0x5f000000, 0x5f800000, 0x7e800000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fc00000, 0x7fc12345, 0x7fffffff, 0x00400000, 0x3eaaaaab)
	f64Specials = signed(1<<63, 0, 1, 1<<52-1, 1<<52, 0x3ff<<52, 0x3ff<<52+1, 0x3fefffffffffffff, 0x3fe<<52, 0x3ff8<<48, 0x4004<<48, 0x400921fb54442d18, 0x41dfffffffc00000, 0x41e0000000000000, 0x41efffffffe00000, 0x43e0000000000000, 0x43f0000000000000,
		0x7fefffffffffffff, 0x7ff<<52, 0x7ff<<52+1, 0x7ff8<<48, 0x7ff8000000012345, 0x7fffffffffffffff, 0x36a0000000000000, 0x380fffffffffffff, 0x3810000000000000, 0x47efffffefffffff, 0x47effffff0000000, 0x3ff0000010000000, 0x3ff0000010000001, 0x40efffc000000000, 0x40effe0000000000)
	f16Specials  = signed(1<<15, 0, 1, 2, 0x3ff, 0x400, 0x401, 0x3c00, 0x3c01, 0x3bff, 0x3800, 0x3e00, 0x4100, 0x4248, 0x57f0, 0x5800, 0x5bf8, 0x6400, 0x67ff, 0x7800, 0x7bff, 0x7c00, 0x7c01, 0x7e00, 0x7e12, 0x7fff)
	bf16Specials = signed(1<<15, 0, 1, 2, 0x7f, 0x80, 0x81, 0x3f80, 0x3f81, 0x3f7f, 0x3f00, 0x3fc0, 0x4020, 0x4049, 0x42fe, 0x4380, 0x4b00, 0x4f00, 0x7e80, 0x7f7f, 0x7f80, 0x7f81, 0x7fc0, 0x7fd2, 0x7fff)
	intSpecials  = []uint64{0, 1, 2, 3, 7, 8, 15, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0x8001, 0xffff, 0x10000, 0xffffff, 0x1000000, 0x7fffffff, 0x80000000, 0x80000001, 0xffffffff, 0x100000000, 0x1fffff80000000, 1<<53 + 1, 1<<62 + 1, 1<<63 - 1, 1 << 63, 1<<63 + 1, math.MaxUint64, math.MaxUint64 - 1, 0xfffffffffffffbff, 0x1234567890abcdef, 0xffffffff80000000, 0xffffffffffff8000, 0xffffffffffffff80}
	counts       = &pool{list: []uint64{0, 1, 2, 5, 8, 15, 16, 17, 24, 30, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 255, 256, 257, 0x8000, 0x10001, 0x7fffffff, 0x80000000, 0xffffffff}, random: func(r *rand.Rand) uint64 { return r.Uint64N(40) }}
)

func signed(sign uint64, v ...uint64) []uint64 {
	for _, x := range v[:len(v):len(v)] {
		v = append(v, x|sign)
	}
	return v
}

// layout is where the exponent of a float type lies.
type layout struct{ bits, mant int }

func layoutOf(t ptx.Type) (layout, bool) {
	switch t {
	case ptx.F32, ptx.TF32:
		return layout{32, 23}, true
	case ptx.F64:
		return layout{64, 52}, true
	case ptx.F16, ptx.F16x2:
		return layout{16, 10}, true
	case ptx.BF16, ptx.BF16x2:
		return layout{16, 7}, true
	}
	return layout{}, false
}

func specials(t ptx.Type) []uint64 {
	switch t {
	case ptx.Pred:
		return []uint64{0, 1}
	case ptx.F32, ptx.TF32:
		return f32Specials
	case ptx.F64:
		return f64Specials
	case ptx.F16, ptx.F16x2:
		return f16Specials
	case ptx.BF16, ptx.BF16x2:
		return bf16Specials
	}
	return intSpecials
}

// packed says whether a register holds two values of the type.
func packed(t ptx.Type) bool {
	switch t {
	case ptx.F16x2, ptx.BF16x2:
		return true
	}
	return false
}

// random is any bits or, for floats, half the time a number of ordinary size.
func random(t ptx.Type, r *rand.Rand) uint64 {
	v := r.Uint64()
	if l, ok := layoutOf(t); ok && r.IntN(2) == 0 {
		v = l.ordinary(r)
	}
	return v
}

// ordinary is a number from 2⁻⁸ to 2⁸, or the negative of one.
func (l layout) ordinary(r *rand.Rand) uint64 {
	v := r.Uint64()
	bias := 1<<(l.bits-2-l.mant) - 1
	return v&(1<<l.mant-1) | uint64(bias+r.IntN(17)-8)<<l.mant | v>>63<<(l.bits-1)
}

// near is a number whose exponent is close to v's.
func (l layout) near(v uint64, r *rand.Rand) uint64 {
	e := int(v>>l.mant)&(1<<(l.bits-1-l.mant)-1) + r.IntN(5) - 2
	e = max(0, min(e, 1<<(l.bits-1-l.mant)-2))
	w := r.Uint64()
	switch r.IntN(3) {
	case 0:
		w = v ^ w&3
	case 1:
		w &^= 1<<(l.mant/2) - 1
	}
	return w&(1<<l.mant-1) | uint64(e)<<l.mant | r.Uint64N(2)<<(l.bits-1)
}

// product is about −a·b, so that a·b plus it cancels.
func (l layout) product(a, b uint64) uint64 {
	switch {
	case l.bits == 64:
		return math.Float64bits(-math.Float64frombits(a) * math.Float64frombits(b))
	case l.bits == 32:
		return uint64(math.Float32bits(-math.Float32frombits(uint32(a)) * math.Float32frombits(uint32(b))))
	case l.mant == 7:
		return uint64(math.Float32bits(-math.Float32frombits(uint32(a)<<16)*math.Float32frombits(uint32(b)<<16)) >> 16)
	}
	bias := uint64(15) << 10
	return (a&0x7fff+b&0x7fff-bias)&0x7fff | ^(a^b)&0x8000
}

// half makes one tuple of single values.
func (d *draft) half(r *rand.Rand, i int) []uint64 {
	v := make([]uint64, len(d.ins))
	kind := r.IntN(4)
	if i < d.lanes/2 {
		kind = 0
	}
	for j, t := range d.ins {
		all, list, rnd := len(d.ins) == 1, specials(t), func(r *rand.Rand) uint64 { return random(t, r) }
		if j < len(d.pools) && (d.pools[j].list != nil || d.pools[j].random != nil) {
			all = all || d.pools[j].all
			if list = d.pools[j].list; d.pools[j].random != nil {
				rnd = d.pools[j].random
			} else {
				rnd = nil
			}
		}
		l, float := layoutOf(t)
		switch {
		case all && i < len(list):
			v[j] = list[i]
		case rnd == nil || kind == 0 && len(d.ins) > 1 && len(list) > 0:
			v[j] = list[r.IntN(len(list))]
		case kind == 1 && j > 0 && float && len(d.pools) == 0:
			v[j] = l.near(v[j-1], r)
			if j == 2 {
				v[2] = l.product(v[0], v[1])
				if r.IntN(2) == 0 {
					v[2] = l.near(v[2], r)
				}
			}
		default:
			v[j] = rnd(r)
		}
	}
	return v
}

// tuples draws the lanes' operands: special values combined, then random ones,
// among them numbers that are close to each other.
func (d *draft) tuples(r *rand.Rand) [][]uint64 {
	in := make([][]uint64, len(d.ins))
	for j := range in {
		in[j] = make([]uint64, d.lanes)
	}
	for i := range d.lanes {
		v := d.half(r, i)
		var w []uint64
		for j, t := range d.ins {
			if packed(t) {
				if w == nil {
					w = d.half(r, (i*7+3)%d.lanes)
				}
				v[j] = v[j]&0xffff | w[j]<<16
			}
			if n := max(t.Bits(), 1); n < 64 && n != 8 {
				v[j] &= 1<<n - 1
			}
			in[j][i] = v[j]
		}
	}
	return in
}
