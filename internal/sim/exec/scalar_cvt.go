package exec

import (
	"math"
	"math/big"
	"strconv"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

func isFloat(t ptx.Type) bool { return t == ptx.F64 || formatOf(t) != nil }

// convert returns the scalar function of cvt from type s to type d.
func convert(mods []string, d, s ptx.Type) fn1 {
	switch {
	case !isFloat(d) && !isFloat(s):
		return intToInt(mod(mods, "sat"), d, s)
	case !isFloat(s):
		return intToFloat(mods, d, s)
	case !isFloat(d):
		return floatToInt(mods, d, s)
	}
	return floatToFloat(mods, d, s)
}

func intToInt(sat bool, d, s ptx.Type) fn1 {
	lo, hi := limits(d)
	return func(a uint64) uint64 {
		v := extend(s, a)
		if sat {
			// Compare as signed where the value can be negative, else unsigned.
			switch {
			case s.Signed() && int64(v) < 0:
				if !d.Signed() {
					v = 0
				} else if int64(v) < int64(lo) {
					v = lo
				}
			case v > hi:
				v = hi
			}
		}
		return extend(d, v)
	}
}

// packSaturated returns the scalar function of cvt.pack to a type such as "u4",
// which no value has by itself: b's low bits under a's, and under those of c, if
// there is one. The result is 32 bits, in a wider register, too.
func packSaturated(to string, third bool) any {
	width, _ := strconv.Atoi(to[1:])
	lo, hi := int64(0), int64(1)<<width-1
	if to[0] == 's' {
		lo, hi = -1<<(width-1), 1<<(width-1)-1
	}
	low := func(v uint64) uint64 { return uint64(min(max(int64(int32(v)), lo), hi)) & (1<<width - 1) }
	if !third {
		return func(a, b uint64) uint64 { return low(a)<<width | low(b) }
	}
	return func(a, b, c uint64) uint64 { return c<<(2*width)&math.MaxUint32 | low(a)<<width | low(b) }
}

func intToFloat(mods []string, d, s ptx.Type) fn1 {
	f, r := formatOf(d), roundingOf(mods)
	out := finish(f, mods, r)
	return func(a uint64) uint64 {
		v := extend(s, a)
		neg := s.Signed() && int64(v) < 0
		if neg {
			v = -v
		}
		var x float64
		switch {
		case v < 1<<53:
			x = float64(v)
		case f == nil:
			// To float64 itself: the one rounding there is.
			b := new(big.Float).SetPrec(64).SetUint64(v)
			if neg {
				b.Neg(b)
			}
			return out(directed64(b, r))
		default:
			// 53 bits with a sticky last one, which is rounding to odd.
			lost := v&(1<<11-1) != 0
			v &^= 1<<11 - 1
			if lost {
				v |= 1 << 11
			}
			x = float64(v)
		}
		if neg {
			x = -x
		}
		return out(x)
	}
}

// floatToInt clamps; NaN gives 0, except from float64 or to 64 bits, where it
// gives the top bit alone.
func floatToInt(mods []string, d, s ptx.Type) fn1 {
	f, r := formatOf(s), roundingOf(mods)
	ftz := mod(mods, "ftz") && s == ptx.F32
	lo, hi := limits(d)
	nan := uint64(0)
	if s == ptx.F64 || d.Bits() == 64 {
		nan = extend(d, 1<<(d.Bits()-1))
	}
	// One past the greatest value, as a float.
	over := math.Ldexp(1, d.Bits())
	under := 0.0
	if d.Signed() {
		over, under = over/2, -over/2
	}
	return func(a uint64) uint64 {
		if ftz {
			a = flush32(a)
		}
		v := roundInt(f.value(a), r)
		switch {
		case v != v:
			return nan
		case v >= over:
			return hi
		case v <= under:
			return lo
		case d.Signed():
			return uint64(int64(v))
		}
		return uint64(v)
	}
}

// roundInt rounds to an integer.
func roundInt(v float64, r rounding) float64 {
	switch r {
	case zero:
		return math.Trunc(v)
	case down:
		return math.Floor(v)
	case up:
		return math.Ceil(v)
	}
	return math.RoundToEven(v)
}

func floatToFloat(mods []string, d, s ptx.Type) fn1 {
	from, to := formatOf(s), formatOf(d)
	r := roundingOf(mods)
	integral := oneOf(mods, "rni", "rzi", "rmi", "rpi") != ""
	// To float16, .ftz flushes nothing.
	ftzIn := mod(mods, "ftz") && s == ptx.F32 && d != ptx.F16
	ftzOut := mod(mods, "ftz") && d == ptx.F32
	sat, relu, clamp := mod(mods, "sat"), mod(mods, "relu"), mod(mods, "satfinite")
	return func(a uint64) uint64 {
		if ftzIn {
			a = flush32(a)
		}
		v := from.value(a)
		if v != v && !sat {
			switch {
			case d == ptx.TF32 && clamp:
				return a&^0x1fff - 0x2000 // as the assembler has it
			case d == ptx.TF32 && r == away:
				return a &^ 0x1fff
			case d == ptx.TF32:
				return to.nan << 13
			case to != nil && relu:
				return to.nan
			case d == ptx.F64 && s != ptx.F64:
				return 0x7ff8000000000000
			case d == s && d != ptx.F16 && d != ptx.BF16:
				return a
			}
		}
		if integral {
			v = roundInt(v, r)
		}
		if sat {
			v = saturate(v)
		}
		if relu && !(v > 0) && v == v {
			v = 0
		}
		b := to.round(v, r)
		if clamp && v == v {
			b = clampFinite(to, b)
		}
		if ftzOut {
			b = flush32(b)
		}
		if d == ptx.TF32 {
			return b << 13
		}
		return b
	}
}

// clampFinite is .satfinite: what would overflow is the largest number.
func clampFinite(f *format, b uint64) uint64 {
	sign := b & (1 << (f.bits - 1))
	largest := uint64(1)<<(f.bits-1) - 1<<f.mant - 1
	if f.finite {
		largest = f.nan - 1
	}
	return sign | min(b^sign, largest)
}
