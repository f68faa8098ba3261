package exec

import (
	"math"
	"math/bits"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// The scalar functions give the meaning of instructions, one lane at a time:
// values are the low bits of a uint64, arguments come with anything above
// their width, results are cut to the destination by who stores them. Every
// instruction has one, and where a typed loop over the lanes exists as well,
// tests hold it against this.

type (
	fn1 = func(a uint64) uint64
	fn2 = func(a, b uint64) uint64
	fn3 = func(a, b, c uint64) uint64
)

// extend reads the low bits as a value of the type: sign- or zero-extended.
func extend(t ptx.Type, v uint64) uint64 {
	n := t.Bits()
	if n >= 64 {
		return v
	}
	if t.Signed() {
		return uint64(int64(v<<(64-n)) >> (64 - n))
	}
	return v & (1<<n - 1)
}

// limits are the least and greatest value of an integer type, extended.
func limits(t ptx.Type) (lo, hi uint64) {
	n := t.Bits()
	if t.Signed() {
		return uint64(int64(-1) << (n - 1)), 1<<(n-1) - 1
	}
	return 0, math.MaxUint64 >> (64 - n)
}

// less compares extended values.
func less(t ptx.Type, a, b uint64) bool {
	if t.Signed() {
		return int64(a) < int64(b)
	}
	return a < b
}

func mod(mods []string, name string) bool {
	for _, m := range mods {
		if m == name {
			return true
		}
	}
	return false
}

// oneOf returns which of the names is a modifier, or "".
func oneOf(mods []string, names ...string) string {
	for _, n := range names {
		if mod(mods, n) {
			return n
		}
	}
	return ""
}

// integer returns the scalar function of an integer instruction whose operands
// have type t: an fn1, fn2 or fn3, or nil where there is none.
func integer(op string, mods []string, t ptx.Type) any {
	n := uint64(t.Bits())
	ex := func(v uint64) uint64 { return extend(t, v) }
	mask := uint64(math.MaxUint64) >> (64 - n)
	switch op {
	case "add":
		if mod(mods, "sat") {
			return func(a, b uint64) uint64 { return clampS32(int64(ex(a)) + int64(ex(b))) }
		}
		return func(a, b uint64) uint64 { return a + b }
	case "sub":
		if mod(mods, "sat") {
			return func(a, b uint64) uint64 { return clampS32(int64(ex(a)) - int64(ex(b))) }
		}
		return func(a, b uint64) uint64 { return a - b }
	case "mul":
		if mod(mods, "hi") {
			return func(a, b uint64) uint64 { return mulHi(t, ex(a), ex(b)) }
		}
		return func(a, b uint64) uint64 { return ex(a) * ex(b) }
	case "mad":
		if mod(mods, "hi") {
			if mod(mods, "sat") {
				return func(a, b, c uint64) uint64 { return clampS32(int64(mulHi(t, ex(a), ex(b))) + int64(ex(c))) }
			}
			return func(a, b, c uint64) uint64 { return mulHi(t, ex(a), ex(b)) + c }
		}
		return func(a, b, c uint64) uint64 { return ex(a)*ex(b) + c }
	case "mul24":
		return func(a, b uint64) uint64 { return mul24(t, mods, a, b) }
	case "mad24":
		if mod(mods, "sat") {
			return func(a, b, c uint64) uint64 { return clampS32(int64(int32(mul24(t, mods, a, b))) + int64(int32(c))) }
		}
		return func(a, b, c uint64) uint64 { return mul24(t, mods, a, b) + c }
	case "sad":
		return func(a, b, c uint64) uint64 {
			if a, b = ex(a), ex(b); less(t, a, b) {
				return c + b - a
			}
			return c + a - b
		}
	case "div":
		return func(a, b uint64) uint64 { q, _ := divide(t, ex(a), ex(b)); return q }
	case "rem":
		return func(a, b uint64) uint64 { _, r := divide(t, ex(a), ex(b)); return r }
	case "abs":
		return func(a uint64) uint64 {
			if int64(ex(a)) < 0 {
				return -a
			}
			return a
		}
	case "neg":
		return func(a uint64) uint64 { return -a }
	case "min", "max":
		isMax, relu := op == "max", mod(mods, "relu")
		return func(a, b uint64) uint64 {
			a, b = ex(a), ex(b)
			if less(t, a, b) == isMax {
				a = b
			}
			if relu && int64(a) < 0 {
				a = 0
			}
			return a
		}
	case "popc":
		return func(a uint64) uint64 { return uint64(bits.OnesCount64(a & mask)) }
	case "clz":
		return func(a uint64) uint64 { return uint64(bits.LeadingZeros64(a&mask)) - (64 - n) }
	case "bfind":
		shift := mod(mods, "shiftamt")
		return func(a uint64) uint64 {
			if a = ex(a); t.Signed() && int64(a) < 0 {
				a = ^a
			}
			a &= mask
			if a == 0 {
				return math.MaxUint32
			}
			p := uint64(bits.Len64(a) - 1)
			if shift {
				return n - 1 - p
			}
			return p
		}
	case "brev":
		return func(a uint64) uint64 { return bits.Reverse64(a) >> (64 - n) }
	case "bfe":
		return func(a, b, c uint64) uint64 { return bitField(t, a, b, c) }
	case "szext":
		wrap := mod(mods, "wrap")
		return func(a, b uint64) uint64 { return signZeroExtend(t, a, b, wrap) }
	case "bmsk":
		wrap := mod(mods, "wrap")
		return func(a, b uint64) uint64 { return bitMask(a, b, wrap) }
	case "fns":
		return func(a, b, c uint64) uint64 { return findNthSet(uint32(a), uint32(b), int32(c)) }
	case "and":
		return func(a, b uint64) uint64 { return a & b }
	case "or":
		return func(a, b uint64) uint64 { return a | b }
	case "xor":
		return func(a, b uint64) uint64 { return a ^ b }
	case "not":
		return func(a uint64) uint64 { return ^a }
	case "cnot":
		return func(a uint64) uint64 {
			if a&mask == 0 {
				return 1
			}
			return 0
		}
	case "shl":
		return func(a, b uint64) uint64 { return a << min(b&math.MaxUint32, 64) }
	case "shr":
		return func(a, b uint64) uint64 {
			b = min(b&math.MaxUint32, n)
			if t.Signed() {
				return uint64(int64(ex(a)) >> min(b, 63))
			}
			return a & mask >> b
		}
	case "prmt":
		mode := oneOf(mods, "f4e", "b4e", "rc8", "ecl", "ecr", "rc16")
		return func(a, b, c uint64) uint64 { return permute(mode, uint32(a), uint32(b), uint32(c)) }
	case "shf":
		left, wrap := mod(mods, "l"), mod(mods, "wrap")
		return func(a, b, c uint64) uint64 {
			s := c & math.MaxUint32
			if wrap {
				s &= 31
			} else {
				s = min(s, 32)
			}
			v := b<<32 | a&math.MaxUint32
			if left {
				return v << s >> 32
			}
			return v >> s
		}
	}
	return nil
}

func clampS32(v int64) uint64 { return uint64(max(math.MinInt32, min(math.MaxInt32, v))) }

// mulHi is the upper half of the product of extended values.
func mulHi(t ptx.Type, a, b uint64) uint64 {
	n := t.Bits()
	if n < 64 {
		p := a * b
		if n == 32 && !t.Signed() {
			return p >> 32
		}
		return uint64(int64(p) >> n)
	}
	h, _ := bits.Mul64(a, b)
	if t.Signed() {
		h -= b & uint64(int64(a)>>63)
		h -= a & uint64(int64(b)>>63)
	}
	return h
}

func mul24(t ptx.Type, mods []string, a, b uint64) uint64 {
	var p uint64
	if t.Signed() {
		p = uint64(int64(a<<40) >> 40 * (int64(b<<40) >> 40))
	} else {
		p = a & 0xffffff * (b & 0xffffff)
	}
	if mod(mods, "hi") {
		return p >> 16
	}
	return p
}

// divide divides extended values; by zero gives all ones and the dividend, as
// the hardware does, but a kernel that does it is reported.
func divide(t ptx.Type, a, b uint64) (q, r uint64) {
	switch {
	case b == 0:
		return math.MaxUint64, a
	case t.Signed():
		return uint64(int64(a) / int64(b)), uint64(int64(a) % int64(b))
	}
	return a / b, a % b
}

// bitField is bfe: c bits of a from bit b on, of which only 8 bits count.
func bitField(t ptx.Type, a, b, c uint64) uint64 {
	n := uint64(t.Bits())
	pos, length := b&255, c&255
	v := extend(t, a)
	sign := uint64(0)
	if t.Signed() && length > 0 {
		sign = -(v >> min(pos+length-1, n-1) & 1)
	}
	var d uint64
	if pos < n {
		d = v & (math.MaxUint64 >> (64 - n)) >> pos
	}
	// Bits that lie past the value's end are copies of the sign.
	have := min(length, n-min(pos, n))
	if have >= 64 {
		return d
	}
	d &= 1<<have - 1
	return d | sign<<have
}

// bitInsert is bfi: the low d bits of a put into b at bit c.
func bitInsert(t ptx.Type, a, b, c, d uint64) uint64 {
	n := uint64(t.Bits())
	pos, length := c&255, d&255
	if pos >= n || length == 0 {
		return b
	}
	length = min(length, n-pos)
	m := uint64(math.MaxUint64) >> (64 - length) << pos
	return b&^m | a<<pos&m
}

func signZeroExtend(t ptx.Type, a, b uint64, wrap bool) uint64 {
	n := b & math.MaxUint32
	if wrap {
		n &= 31
	}
	switch {
	case n >= 32:
		return a
	case n == 0:
		return 0
	case t.Signed():
		return uint64(int32(a<<(32-n)) >> (32 - n))
	}
	return a & (1<<n - 1)
}

func bitMask(a, b uint64, wrap bool) uint64 {
	a, b = a&math.MaxUint32, b&math.MaxUint32
	if wrap {
		a, b = a&31, b&31
	}
	if a >= 32 {
		return 0
	}
	return (1<<min(b, 32) - 1) << a
}

// findNthSet is fns: the n-th set bit of the mask from base, up or down.
func findNthSet(mask, base uint32, n int32) uint64 {
	const none = math.MaxUint32
	if base > 31 {
		return none
	}
	if n == 0 {
		if mask>>base&1 != 0 {
			return uint64(base)
		}
		return none
	}
	step, count := int32(1), n
	if n < 0 {
		step, count = -1, -n
	}
	for p := int32(base); p >= 0 && p < 32; p += step {
		if mask>>p&1 != 0 {
			if count--; count == 0 {
				return uint64(p)
			}
		}
	}
	return none
}

// permute is prmt.
func permute(mode string, a, b, c uint32) uint64 {
	bytes := uint64(b)<<32 | uint64(a)
	at := func(i uint32) uint64 { return bytes >> (8 * (i & 7)) & 255 }
	s := c & 3
	var sel [4]uint32
	switch mode {
	case "":
		var d uint64
		for i := range uint32(4) {
			k := c >> (4 * i)
			v := at(k)
			if k&8 != 0 {
				v = -(v >> 7) & 255
			}
			d |= v << (8 * i)
		}
		return d
	case "f4e":
		sel = [4]uint32{s, s + 1, s + 2, s + 3}
	case "b4e":
		sel = [4]uint32{s, s + 7, s + 6, s + 5}
	case "rc8":
		sel = [4]uint32{s, s, s, s}
	case "ecl":
		sel = [4]uint32{s, max(s, 1), max(s, 2), 3}
	case "ecr":
		sel = [4]uint32{0, min(s, 1), min(s, 2), s}
	case "rc16":
		h := s & 1 * 2
		sel = [4]uint32{h, h + 1, h, h + 1}
	}
	return at(sel[0]) | at(sel[1])<<8 | at(sel[2])<<16 | at(sel[3])<<24
}

// lop3 looks each bit up in the table.
func lop3(a, b, c uint64, table uint64) uint64 {
	var d uint64
	for i := range uint64(8) {
		if table>>i&1 == 0 {
			continue
		}
		t := uint64(math.MaxUint64)
		for k, v := range [...]uint64{c, b, a} {
			if i>>k&1 == 0 {
				v = ^v
			}
			t &= v
		}
		d |= t
	}
	return d
}

// dot is dp4a and dp2a: c plus products of a's elements with b's bytes.
func dot(ta, tb ptx.Type, elems int, hi bool) fn3 {
	ea, eb := ptx.B8, ptx.U8
	if elems == 2 {
		ea = ptx.B16
	}
	ea, eb = signed(ea, ta.Signed()), signed(eb, tb.Signed())
	return func(a, b, c uint64) uint64 {
		if hi {
			b >>= 16
		}
		for i := range elems {
			c += extend(ea, a>>(i*ea.Bits())) * extend(eb, b>>(8*i))
		}
		return c
	}
}

func signed(t ptx.Type, s bool) ptx.Type {
	switch {
	case t.Bits() == 8 && s:
		return ptx.S8
	case t.Bits() == 8:
		return ptx.U8
	case s:
		return ptx.S16
	}
	return ptx.U16
}

// halves runs a function on the two 16-bit halves.
func halves2(f fn2) fn2 {
	return func(a, b uint64) uint64 {
		return f(a&0xffff, b&0xffff)&0xffff | f(a>>16&0xffff, b>>16&0xffff)&0xffff<<16
	}
}

func halves1(f fn1) fn1 {
	return func(a uint64) uint64 { return f(a&0xffff)&0xffff | f(a>>16&0xffff)&0xffff<<16 }
}

func halves3(f fn3) fn3 {
	return func(a, b, c uint64) uint64 {
		return f(a&0xffff, b&0xffff, c&0xffff)&0xffff | f(a>>16&0xffff, b>>16&0xffff, c>>16&0xffff)&0xffff<<16
	}
}
