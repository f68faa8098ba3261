package exec

import (
	"math"
	"math/big"
	"sort"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/x448/float16"
)

// Models of the floating-point instructions: the exact result in math/big,
// rounded by math/big, or by search among all values of a 16-bit format.

const (
	precision = 4500 // bits that hold any sum or product of float64 values
)

func exactly(v float64) *big.Float { return new(big.Float).SetPrec(precision).SetFloat64(v) }

// round32 rounds to float32 bits.
func round32(x *big.Float, mode string) uint64 {
	f, acc := x.Float32()
	inf := float32(math.Inf(1))
	switch {
	case acc == big.Above && (mode == "rm" || mode == "rz" && x.Sign() > 0):
		f = math.Nextafter32(f, -inf)
	case acc == big.Below && (mode == "rp" || mode == "rz" && x.Sign() < 0):
		f = math.Nextafter32(f, inf)
	}
	if f == 0 && x.Signbit() {
		return 1 << 31
	}
	return uint64(math.Float32bits(f))
}

func round64(x *big.Float, mode string) uint64 {
	f, acc := x.Float64()
	switch {
	case acc == big.Above && (mode == "rm" || mode == "rz" && x.Sign() > 0):
		f = math.Nextafter(f, math.Inf(-1))
	case acc == big.Below && (mode == "rp" || mode == "rz" && x.Sign() < 0):
		f = math.Nextafter(f, math.Inf(1))
	}
	if f == 0 && x.Signbit() {
		return 1 << 63
	}
	return math.Float64bits(f)
}

// fp is a format for the models.
type fp struct {
	name  string
	t     ptx.Type
	value func(uint64) float64
	round func(*big.Float, string) uint64
	bits  func(float64) uint64 // of a special value
}

var (
	fp32 = fp{"f32", ptx.F32, func(b uint64) float64 { return float64(math.Float32frombits(uint32(b))) }, round32,
		func(v float64) uint64 { return uint64(math.Float32bits(float32(v))) }}
	fp64  = fp{"f64", ptx.F64, math.Float64frombits, round64, math.Float64bits}
	fp16  = fp16Of("f16", ptx.F16, func(b uint64) float64 { return float64(float16.Frombits(uint16(b)).Float32()) })
	fpB16 = fp16Of("bf16", ptx.BF16, func(b uint64) float64 { return float64(math.Float32frombits(uint32(b) << 16)) })
)

// fp16Of makes a model of a 16-bit format from its values: rounding searches
// among them.
func fp16Of(name string, t ptx.Type, value func(uint64) float64) fp {
	var vals []float64 // all finite values from 0 up; their index is their bits
	for b := uint64(0); ; b++ {
		v := value(b)
		if math.IsInf(v, 0) {
			// The next value of the grid stands for overflow.
			vals = append(vals, 2*vals[b-1]-vals[b-2])
			break
		}
		vals = append(vals, v)
	}
	return fp{name, t, value, func(x *big.Float, mode string) uint64 {
		sign := uint64(0)
		if x.Signbit() {
			sign = 1 << 15
		}
		a := new(big.Float).SetPrec(precision).Abs(x)
		i := sort.Search(len(vals), func(i int) bool { return exactly(vals[i]).Cmp(a) >= 0 })
		toZero := mode == "rz" || mode == "rm" && sign == 0 || mode == "rp" && sign != 0
		if i == len(vals) {
			if toZero {
				return sign | uint64(len(vals)-2)
			}
			return sign | uint64(len(vals)-1)
		}
		if exactly(vals[i]).Cmp(a) != 0 {
			mid := exactly(vals[i-1])
			mid.Add(mid, exactly(vals[i])).Quo(mid, exactly(2))
			switch c := a.Cmp(mid); {
			case mode == "rn" && (c < 0 || c == 0 && i&1 == 1), toZero:
				i--
			}
		}
		if toZero {
			i = min(i, len(vals)-2)
		}
		return sign | uint64(i)
	}, func(v float64) uint64 {
		switch {
		case v != v:
			return 0x7fff
		case v < 0 || v == 0 && math.Signbit(v):
			return 1<<15 | uint64(len(vals)-1)*b2u(v != 0)
		}
		return uint64(len(vals)-1) * b2u(v != 0)
	}}
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// arithmetic is the model of an operation: IEEE where an operand or the result
// is special (as Go computes it in float64), exact and rounded otherwise.
func (f fp) arithmetic(op, mode string, v ...float64) uint64 {
	special := false
	for _, a := range v {
		special = special || a != a || math.IsInf(a, 0)
	}
	native := map[string]func() float64{
		"add": func() float64 { return v[0] + v[1] }, "sub": func() float64 { return v[0] - v[1] },
		"mul": func() float64 { return v[0] * v[1] }, "div": func() float64 { return v[0] / v[1] },
		"fma": func() float64 { return math.FMA(v[0], v[1], v[2]) },
		"rcp": func() float64 { return 1 / v[0] }, "sqrt": func() float64 { return math.Sqrt(v[0]) },
	}[op]()
	if special || native != native || (op == "div" || op == "rcp") && v[len(v)-1] == 0 {
		return f.bits(native)
	}
	x := exactly(v[0])
	if f.t != ptx.F64 {
		x.SetPrec(1000) // holds what is exact, and settles the rest, in less time
	}
	switch op {
	case "add":
		x.Add(x, exactly(v[1]))
	case "sub":
		x.Sub(x, exactly(v[1]))
	case "mul":
		x.Mul(x, exactly(v[1]))
	case "fma":
		x.Mul(x, exactly(v[1])).Add(x, exactly(v[2]))
	case "div":
		x.Quo(x, exactly(v[1])) // 4500 bits settle any rounding of these operands
	case "rcp":
		x.Quo(exactly(1), x)
	case "sqrt":
		x.Sqrt(x)
	}
	if x.Sign() == 0 {
		zero := native
		a, b := v[0], v[len(v)-1]
		if op == "fma" {
			a = v[0] * v[1]
			if a == 0 {
				a = math.Copysign(0, math.Copysign(1, v[0])*math.Copysign(1, v[1]))
			}
		}
		if op == "sub" {
			b = -b
		}
		if (op == "add" || op == "sub" || op == "fma") && (a != 0 || math.Signbit(a) != math.Signbit(b)) {
			zero = 0 // x − x
			if mode == "rm" {
				zero = math.Copysign(0, -1)
			}
		}
		return f.bits(zero)
	}
	return f.round(x, mode)
}

func ftz32(b uint64) uint64 {
	if v := math.Abs(fp32.value(b)); v < 0x1p-126 {
		return b & (1 << 31)
	}
	return b
}

// fpFlushed is float32 under .ftz, which makes zero of a result that is below
// the normal numbers when it is rounded as if exponents had no end: an H100 does
// so with 2⁻¹²⁶·(1−2⁻²⁴), which round32 alone would make 2⁻¹²⁶.
var fpFlushed = fp{"f32", ptx.F32, fp32.value, func(x *big.Float, mode string) uint64 {
	direction := map[string]big.RoundingMode{"rn": big.ToNearestEven, "rz": big.ToZero, "rm": big.ToNegativeInf, "rp": big.ToPositiveInf}[mode]
	y := new(big.Float).SetPrec(24).SetMode(direction).Set(x)
	if y.Abs(y).Cmp(big.NewFloat(0x1p-126)) < 0 {
		return 1 << 31 * b2u(x.Signbit())
	}
	return round32(x, mode)
}, fp32.bits}

func TestFloatArithmetic(t *testing.T) {
	for _, f := range []fp{fp32, fp64, fp16, fpB16} {
		modes := []string{"rn", "rz", "rm", "rp"}
		ops := []string{"add", "sub", "mul", "fma", "div", "rcp", "sqrt"}
		if f.t == ptx.F16 || f.t == ptx.BF16 {
			modes, ops = modes[:1], ops[:4]
		}
		for _, op := range ops {
			for _, mode := range modes {
				values := func(v []uint64) []float64 {
					vals := make([]float64, len(v))
					for i := range v {
						vals[i] = f.value(v[i])
					}
					return vals
				}
				model := func(v []uint64) uint64 { return f.arithmetic(op, mode, values(v)...) }
				check(t, op+"."+mode+"."+f.name, "", model)
				if f.t != ptx.F32 {
					continue
				}
				check(t, op+"."+mode+".ftz.f32", "", func(v []uint64) uint64 {
					w := make([]uint64, len(v))
					for i := range v {
						w[i] = ftz32(v[i])
					}
					return ftz32(fpFlushed.arithmetic(op, mode, values(w)...))
				})
				if op == "fma" || op == "add" || op == "mul" {
					check(t, op+"."+mode+".sat.f32", "", func(v []uint64) uint64 { return sat32(model(v)) })
				}
			}
		}
		// Two at a time.
		if f.t == ptx.F16 || f.t == ptx.BF16 {
			check(t, "fma.rn."+f.name+"x2", "", func(v []uint64) uint64 {
				half := func(s uint) uint64 {
					return f.arithmetic("fma", "rn", f.value(v[0]>>s&0xffff), f.value(v[1]>>s&0xffff), f.value(v[2]>>s&0xffff))
				}
				return half(0) | half(16)<<16
			})
		}
	}
}

func sat32(b uint64) uint64 {
	v := fp32.value(b)
	switch {
	case !(v > 0):
		return 0
	case v > 1:
		return 0x3f800000
	}
	return b
}

// TestFma32 tries sums that lie half way between float32 values, where
// rounding twice goes wrong.
func TestFma32(t *testing.T) {
	r := newRand(11)
	for range 300_000 {
		a := math.Float32frombits(r.Uint32()&0x807fffff | uint32(90+r.IntN(80))<<23)
		b := math.Float32frombits(r.Uint32()&0x807fffff | uint32(90+r.IntN(80))<<23)
		p := float64(a) * float64(b)
		// c makes the product a small part of a half of its last place.
		c := float32(math.Ldexp(p, 20+r.IntN(40)))
		if r.IntN(2) == 0 {
			c = math.Float32frombits(math.Float32bits(c) &^ 0xfff)
		}
		if math.IsInf(float64(c), 0) || math.IsInf(p, 0) {
			continue
		}
		want := fp32.arithmetic("fma", "rn", float64(a), float64(b), float64(c))
		if got := uint64(math.Float32bits(fma32(a, b, c))); got != want {
			t.Fatalf("fma(%x, %x, %x) = %#x, want %#x", a, b, c, got, want)
		}
	}
}

// TestFmaLoops runs the instruction where a sum is subnormal, or lies close to
// half way, in both loops over lanes.
func TestFmaLoops(t *testing.T) {
	r := newRand(12)
	ins := make([][]uint64, 3)
	for range 40_000 {
		a := math.Float32frombits(r.Uint32()&0x807fffff | uint32(40+r.IntN(30))<<23)
		b := math.Float32frombits(r.Uint32()&0x807fffff | uint32(40+r.IntN(30))<<23)
		c := math.Float32frombits(r.Uint32() & 0x80ffffff)
		if r.IntN(2) == 0 {
			a, b = a*0x1p60, b*0x1p60
			c = float32(math.Ldexp(float64(a)*float64(b), 20+r.IntN(12)))
		}
		if r.IntN(4) == 0 {
			// The product is half the last place of a subnormal sum, but for
			// a part in 2^36 to 2^46: float64 rounds that away.
			e := math.Exp2(-float64(18 + r.IntN(6)))
			a, b = float32((1+e)*0x1p-75), float32((1-e)*0x1p-75)
			c = math.Float32frombits(r.Uint32()&0x807fffff | 1<<20)
		}
		for i, v := range []float32{a, b, c} {
			ins[i] = append(ins[i], uint64(math.Float32bits(v)))
		}
	}
	tr := &trial{"fma.rn.f32", "", ins}
	model := func(v []uint64) uint64 {
		return fp32.arithmetic("fma", "rn", fp32.value(v[0]), fp32.value(v[1]), fp32.value(v[2]))
	}
	compareAll(t, tr, tr.execute(t), model, ptx.F32)
	withoutVectors(func() { compareAll(t, tr, tr.execute(t), model, ptx.F32) })
}

// TestAddresses holds the vector loops over addresses against plain Go.
func TestAddresses(t *testing.T) {
	if vectors.offset32 == nil {
		t.Skip("no vector loops on this machine")
	}
	r := newRand(13)
	for range 2000 {
		n := 32 * (1 + r.IntN(8))
		a, b := make([]uint32, n), make([]uint64, n)
		step, off := uint64(4<<r.IntN(3)), r.Uint64()>>20
		for i := range a {
			a[i] = r.Uint32() >> r.IntN(20)
			b[i] = uint64(i) * step
		}
		same := r.IntN(2) == 0
		if !same {
			b[1+r.IntN(n-1)] ^= 1 << r.IntN(64)
		}
		got, lanes := make([]uint64, n), make([]uint64, n)
		var bounds [3]uint32
		vectors.offset32(&got[0], &a[0], uint32(off), n, &bounds)
		want := [3]uint32{math.MaxUint32, 0, 0}
		for i, v := range a {
			v += uint32(off)
			want = [3]uint32{min(want[0], v), max(want[1], v), want[2] | v}
			if got[i] != uint64(v) {
				t.Fatalf("lane %d: %#x, want %#x", i, got[i], v)
			}
		}
		if bounds != want {
			t.Fatalf("bounds %x, want %x", bounds, want)
		}
		if d := vectors.offset64(&lanes[0], &b[0], off, step, n); (d == 0) != same || lanes[n-1] != b[n-1]+off || lanes[0] != b[0]+off {
			t.Fatalf("step %d of %d lanes: %v", step, n, d)
		}
	}
}

// minMax is the model of min and max, of which some give a NaN where an operand
// is one.
func (f fp) minMax(op string, nan bool, v, w uint64) uint64 {
	a, b := f.value(v), f.value(w)
	switch {
	case a != a && b != b, nan && (a != a || b != b):
		return f.bits(math.NaN())
	case a != a:
		return w
	case b != b:
		return v
	}
	// math.Min and Max order zeros by sign.
	m := math.Min(a, b)
	if op == "max" {
		m = math.Max(a, b)
	}
	if m == a && math.Signbit(m) == math.Signbit(a) {
		return v
	}
	return w
}

func TestMinMax(t *testing.T) {
	for _, f := range []fp{fp32, fp64, fp16, fpB16} {
		for _, op := range []string{"min", "max"} {
			for _, nan := range []string{"", "NaN."} {
				if f.t == ptx.F64 && nan != "" {
					continue
				}
				check(t, op+"."+nan+f.name, "", func(v []uint64) uint64 { return f.minMax(op, nan != "", v[0], v[1]) })
			}
		}
		check(t, "neg."+f.name, "", func(v []uint64) uint64 { return v[0] ^ 1<<(f.t.Bits()-1) })
		check(t, "abs."+f.name, "", func(v []uint64) uint64 { return v[0] &^ (1 << (f.t.Bits() - 1)) })
		checkKnown(t, "copysign."+f.name, "", func(v []uint64) uint64 { return v[1]&^(1<<(f.t.Bits()-1)) | v[0]&(1<<(f.t.Bits()-1)) })
	}
}

func TestCompare(t *testing.T) {
	ordered := map[string]func(c int) bool{
		"eq": func(c int) bool { return c == 0 }, "ne": func(c int) bool { return c != 0 },
		"lt": func(c int) bool { return c < 0 }, "le": func(c int) bool { return c <= 0 },
		"gt": func(c int) bool { return c > 0 }, "ge": func(c int) bool { return c >= 0 },
	}
	for name, yes := range ordered {
		for _, f := range []fp{fp32, fp64, fp16, fpB16} {
			for _, u := range []string{"", "u"} {
				check(t, "setp."+name+u+"."+f.name, "", func(v []uint64) uint64 {
					a, b := f.value(v[0]), f.value(v[1])
					if a != a || b != b {
						return b2u(u != "")
					}
					return b2u(yes(exactly(a).Cmp(exactly(b))))
				})
			}
		}
		for _, ty := range []string{"u16", "s16", "u32", "s32", "u64", "s64"} {
			tt, _ := ptx.TypeByName(ty)
			check(t, "setp."+name+"."+ty, "", func(v []uint64) uint64 { return b2u(yes(num(tt, v[0]).Cmp(num(tt, v[1])))) })
		}
	}
	check(t, "setp.num.f32", "", func(v []uint64) uint64 {
		return b2u(!math.IsNaN(fp32.value(v[0])) && !math.IsNaN(fp32.value(v[1])))
	})
	check(t, "setp.nan.f64", "", func(v []uint64) uint64 {
		return b2u(math.IsNaN(fp64.value(v[0])) || math.IsNaN(fp64.value(v[1])))
	})
	check(t, "setp.lt.and.s32", "", func(v []uint64) uint64 { return b2u(int32(v[0]) < int32(v[1])) & v[2] })
	check(t, "setp.lo.or.u32", "", func(v []uint64) uint64 { return b2u(uint32(v[0]) < uint32(v[1])) | v[2] })
	check(t, "setp.hs.xor.u64", "", func(v []uint64) uint64 { return b2u(v[0] >= v[1]) ^ v[2] })
	check(t, "setp.lt.ftz.f32", "", func(v []uint64) uint64 { return b2u(fp32.value(ftz32(v[0])) < fp32.value(ftz32(v[1]))) })
	check(t, "set.lt.u32.f32", "", func(v []uint64) uint64 { return 0xffffffff * b2u(fp32.value(v[0]) < fp32.value(v[1])) })
	check(t, "set.ge.f32.s32", "", func(v []uint64) uint64 { return 0x3f800000 * b2u(int32(v[0]) >= int32(v[1])) })
	for _, f := range []fp{fp16, fpB16} {
		less := func(v []uint64, shift int) uint64 {
			return b2u(f.value(v[0]>>shift&0xffff) < f.value(v[1]>>shift&0xffff))
		}
		logic := map[string]func(a, b uint64) uint64{
			"":     func(a, _ uint64) uint64 { return a },
			".and": func(a, b uint64) uint64 { return a & b },
			".or":  func(a, b uint64) uint64 { return a | b },
			".xor": func(a, b uint64) uint64 { return a ^ b },
		}
		for join, op := range logic {
			for ty, yes := range map[string]uint64{"u32": 0xffff, "s32": 0xffff, f.name + "x2": f.round(exactly(1), "rn")} {
				check(t, "set.lt"+join+"."+ty+"."+f.name+"x2", "", func(v []uint64) uint64 {
					c := v[len(v)-1] & 1
					return yes*op(less(v, 0), c) | yes*op(less(v, 16), c)<<16
				})
			}
		}
	}
	check(t, "selp.b64", "", func(v []uint64) uint64 { return v[1-v[2]] })
	check(t, "selp.f32", "", func(v []uint64) uint64 { return v[1-v[2]] })
	check(t, "slct.u64.s32", "", func(v []uint64) uint64 { return v[b2u(int32(v[2]) < 0)] })
	check(t, "slct.f32.f32", "", func(v []uint64) uint64 { return v[b2u(!(fp32.value(v[2]) >= 0))] })
	for kind, yes := range map[string]func(v float64) bool{
		"finite":     func(v float64) bool { return !math.IsInf(v, 0) && v == v },
		"infinite":   func(v float64) bool { return math.IsInf(v, 0) },
		"number":     func(v float64) bool { return v == v },
		"notanumber": func(v float64) bool { return v != v },
		"normal":     func(v float64) bool { return (v == 0 || math.Abs(v) >= 0x1p-126) && !math.IsInf(v, 0) },
		"subnormal":  func(v float64) bool { return math.Abs(v) < 0x1p-126 && v != 0 },
	} {
		check(t, "testp."+kind+".f32", "", func(v []uint64) uint64 { return b2u(yes(fp32.value(v[0]))) })
	}
}

// TestConvert compares every plain cvt with exact arithmetic.
func TestConvert(t *testing.T) {
	ints := []string{"u8", "s8", "u16", "s16", "u32", "s32", "u64", "s64"}
	formats := []fp{fp32, fp64, fp16, fpB16}
	ty := func(name string) ptx.Type { t, _ := ptx.TypeByName(name); return t }
	cut := func(d ptx.Type, x *big.Int) uint64 {
		lo, hi := new(big.Int), ones(d.Bits())
		if d.Signed() {
			hi = ones(d.Bits() - 1)
			lo.Neg(hi).Sub(lo, big.NewInt(1))
		}
		switch {
		case x.Cmp(lo) < 0:
			return low(lo)
		case x.Cmp(hi) > 0:
			return low(hi)
		}
		return low(x)
	}
	for _, d := range ints {
		for _, s := range ints {
			check(t, "cvt."+d+"."+s, "", func(v []uint64) uint64 { return low(num(ty(d), low(num(ty(s), v[0])))) })
			checkKnown(t, "cvt.sat."+d+"."+s, "", func(v []uint64) uint64 { return cut(ty(d), num(ty(s), v[0])) })
		}
		for _, f := range formats {
			for _, mode := range []string{"rni", "rzi", "rmi", "rpi"} {
				checkKnown(t, "cvt."+mode+"."+d+"."+f.name, "", func(v []uint64) (r uint64) {
					if d == "s8" && f.t == ptx.BF16 { // the register has 8 bits
						defer func() { r &= 0xff }()
					}
					x := f.value(v[0])
					switch {
					case x != x && (f.t == ptx.F64 || ty(d).Bits() == 64):
						return low(num(ty(d), 1<<(ty(d).Bits()-1)))
					case x != x:
						return 0
					case math.IsInf(x, 0):
						x = math.Copysign(0x1p100, x)
					}
					i, _ := exactly(map[string]func(float64) float64{"rni": math.RoundToEven, "rzi": math.Trunc, "rmi": math.Floor, "rpi": math.Ceil}[mode](x)).Int(nil)
					return cut(ty(d), i)
				})
			}
			for _, mode := range []string{"rn", "rz", "rm", "rp"} {
				checkKnown(t, "cvt."+mode+"."+f.name+"."+d, "", func(v []uint64) uint64 {
					x := new(big.Float).SetPrec(100).SetInt(num(ty(d), v[0]))
					return f.round(x, mode)
				})
			}
		}
	}
	for _, p := range []struct{ d, s fp }{{fp32, fp64}, {fp16, fp32}, {fp16, fp64}, {fp64, fp32}, {fp32, fp16}, {fp64, fp16}, {fp32, fpB16}, {fpB16, fp32}} {
		for _, mode := range []string{"rn.", "rz.", "rm.", "rp."} {
			switch {
			case p.d.t.Bits() > p.s.t.Bits():
				mode = ""
			case p.d.t == ptx.BF16 && (mode == "rm." || mode == "rp."):
				continue
			}
			check(t, "cvt."+mode+p.d.name+"."+p.s.name, "", func(v []uint64) uint64 {
				x := p.s.value(v[0])
				if x != x || math.IsInf(x, 0) {
					return p.d.bits(x)
				}
				return p.d.round(exactly(x), strings.TrimSuffix(mode, "."))
			})
		}
	}
	for _, mode := range []string{"rni", "rzi", "rmi", "rpi"} {
		check(t, "cvt."+mode+".f32.f32", "", func(v []uint64) uint64 {
			x := fp32.value(v[0])
			return fp32.bits(map[string]func(float64) float64{"rni": math.RoundToEven, "rzi": math.Trunc, "rmi": math.Floor, "rpi": math.Ceil}[mode](x))
		})
	}
	check(t, "cvt.rna.tf32.f32", "", func(v []uint64) uint64 {
		if x := fp32.value(v[0]); x != x {
			return v[0] &^ 0x1fff
		} else if math.IsInf(x, 0) {
			return v[0]
		}
		return (v[0] + 1<<12) &^ (1<<13 - 1) // half of the dropped 13 bits, away from zero
	})
	for _, f := range []fp{fp16, fpB16} {
		finite := func(v uint64) uint64 {
			x := fp32.value(v)
			if x == x {
				x = min(max(x, -f.value(f.bits(math.Inf(1))-1)), f.value(f.bits(math.Inf(1))-1))
				return f.round(exactly(x), "rn")
			}
			return f.bits(x)
		}
		check(t, "cvt.rn.satfinite."+f.name+".f32", "", func(v []uint64) uint64 { return finite(v[0]) })
		check(t, "cvt.rn.satfinite."+f.name+"x2.f32", "", func(v []uint64) uint64 { return finite(v[0])<<16 | finite(v[1]) })
	}
	check(t, "cvt.rna.satfinite.tf32.f32", "", func(v []uint64) uint64 {
		if x := fp32.value(v[0]); x != x { // as ptxas 12.4 translates it
			return v[0]&^0x1fff - 0x2000
		}
		sign := v[0] & 0x80000000
		return sign | min((v[0]^sign+1<<12)&^(1<<13-1), 0x7f7fe000)
	})
	check(t, "cvt.rn.f16x2.f32", "", func(v []uint64) uint64 {
		return uint64(float16.Fromfloat32(math.Float32frombits(uint32(v[0]))))<<16 | uint64(float16.Fromfloat32(math.Float32frombits(uint32(v[1]))))
	})
}

// TestApproximate holds the approximations against math in float64: at most
// half an ulp and a little more.
func TestApproximate(t *testing.T) {
	for name, f := range map[string]func(float64) float64{
		"rcp": func(v float64) float64 { return 1 / v }, "sqrt": math.Sqrt, "rsqrt": func(v float64) float64 { return math.Pow(v, -0.5) },
		"sin": math.Sin, "cos": math.Cos, "lg2": math.Log2, "ex2": math.Exp2, "tanh": math.Tanh,
	} {
		check(t, name+".approx.f32", "", func(v []uint64) uint64 {
			x := fp32.value(v[0])
			switch {
			case name == "rsqrt" && x == 0:
				return fp32.bits(1 / x)
			case name == "rsqrt" && x < 0:
				return 0x7fffffff
			}
			return fp32.bits(f(x))
		})
	}
	check(t, "ex2.approx.ftz.f32", "", func(v []uint64) uint64 { return ftz32(fp32.bits(math.Exp2(fp32.value(ftz32(v[0]))))) })
}
