package exec

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Models in math/big of the integer instructions, written from the PTX manual.

// num reads the low bits of v as a number of type t.
func num(t ptx.Type, v uint64) *big.Int {
	b := new(big.Int).SetUint64(v)
	b.And(b, ones(t.Bits()))
	if t.Signed() && b.Bit(t.Bits()-1) == 1 {
		b.Sub(b, new(big.Int).Lsh(big.NewInt(1), uint(t.Bits())))
	}
	return b
}

func ones(n int) *big.Int {
	b := new(big.Int).Lsh(big.NewInt(1), uint(n))
	return b.Sub(b, big.NewInt(1))
}

// low is the number's low 64 bits in two's complement.
func low(b *big.Int) uint64 { return new(big.Int).And(b, ones(64)).Uint64() }

func s32sat(b *big.Int) uint64 {
	if b.Cmp(big.NewInt(1<<31-1)) > 0 {
		return 1<<31 - 1
	}
	if b.Cmp(big.NewInt(-1<<31)) < 0 {
		return 1 << 31
	}
	return low(b)
}

func TestIntegerArithmetic(t *testing.T) {
	types := map[string]ptx.Type{"u16": ptx.U16, "s16": ptx.S16, "u32": ptx.U32, "s32": ptx.S32, "u64": ptx.U64, "s64": ptx.S64}
	two := map[string]func(t ptx.Type, a, b *big.Int) *big.Int{
		"add":    func(_ ptx.Type, a, b *big.Int) *big.Int { return a.Add(a, b) },
		"sub":    func(_ ptx.Type, a, b *big.Int) *big.Int { return a.Sub(a, b) },
		"mul.lo": func(_ ptx.Type, a, b *big.Int) *big.Int { return a.Mul(a, b) },
		"mul.hi": func(t ptx.Type, a, b *big.Int) *big.Int { a.Mul(a, b); return a.Rsh(a, uint(t.Bits())) },
		"min": func(_ ptx.Type, a, b *big.Int) *big.Int {
			if a.Cmp(b) < 0 {
				return a
			}
			return b
		},
		"max": func(_ ptx.Type, a, b *big.Int) *big.Int {
			if a.Cmp(b) > 0 {
				return a
			}
			return b
		},
	}
	for name, ty := range types {
		for op, f := range two {
			check(t, op+"."+name, "", func(v []uint64) uint64 { return low(f(ty, num(ty, v[0]), num(ty, v[1]))) })
		}
		check(t, "mad.lo."+name, "", func(v []uint64) uint64 {
			a := num(ty, v[0])
			return low(a.Mul(a, num(ty, v[1])).Add(a, num(ty, v[2])))
		})
		check(t, "mad.hi."+name, "", func(v []uint64) uint64 {
			a := num(ty, v[0])
			a.Mul(a, num(ty, v[1]))
			return low(a.Rsh(a, uint(ty.Bits())).Add(a, num(ty, v[2])))
		})
		check(t, "sad."+name, "", func(v []uint64) uint64 {
			a := num(ty, v[0])
			return low(a.Sub(a, num(ty, v[1])).Abs(a).Add(a, num(ty, v[2])))
		})
		if ty.Bits() < 64 {
			check(t, "mul.wide."+name, "", func(v []uint64) uint64 { a := num(ty, v[0]); return low(a.Mul(a, num(ty, v[1]))) })
			check(t, "mad.wide."+name, "", func(v []uint64) uint64 {
				a := num(ty, v[0])
				a.Mul(a, num(ty, v[1]))
				return low(a.Add(a, new(big.Int).SetUint64(v[2])))
			})
		}
		if ty.Signed() {
			check(t, "neg."+name, "", func(v []uint64) uint64 { a := num(ty, v[0]); return low(a.Neg(a)) })
			check(t, "abs."+name, "", func(v []uint64) uint64 { a := num(ty, v[0]); return low(a.Abs(a)) })
		}
	}
	check(t, "add.sat.s32", "", func(v []uint64) uint64 { a := num(ptx.S32, v[0]); return s32sat(a.Add(a, num(ptx.S32, v[1]))) })
	check(t, "sub.sat.s32", "", func(v []uint64) uint64 { a := num(ptx.S32, v[0]); return s32sat(a.Sub(a, num(ptx.S32, v[1]))) })
	check(t, "mad.hi.sat.s32", "", func(v []uint64) uint64 {
		a := num(ptx.S32, v[0])
		a.Mul(a, num(ptx.S32, v[1]))
		return s32sat(a.Rsh(a, 32).Add(a, num(ptx.S32, v[2])))
	})
	for _, half := range []struct {
		name string
		t    ptx.Type
	}{{"u16x2", ptx.U16}, {"s16x2", ptx.S16}} {
		for op, f := range two {
			if op[:3] == "mul" || op == "sub" {
				continue
			}
			check(t, op+"."+half.name, "", func(v []uint64) uint64 {
				lo := low(f(half.t, num(half.t, v[0]), num(half.t, v[1]))) & 0xffff
				return lo | low(f(half.t, num(half.t, v[0]>>16), num(half.t, v[1]>>16)))&0xffff<<16
			})
		}
	}
}

func TestBits(t *testing.T) {
	for _, w := range []struct {
		name string
		n    int
	}{{"b16", 16}, {"b32", 32}, {"b64", 64}} {
		n := w.n
		m := ^uint64(0) >> (64 - n)
		check(t, "and."+w.name, "", func(v []uint64) uint64 { return v[0] & v[1] })
		check(t, "or."+w.name, "", func(v []uint64) uint64 { return v[0] | v[1] })
		check(t, "xor."+w.name, "", func(v []uint64) uint64 { return v[0] ^ v[1] })
		check(t, "not."+w.name, "", func(v []uint64) uint64 { return ^v[0] & m })
		check(t, "cnot."+w.name, "", func(v []uint64) uint64 {
			if v[0] == 0 {
				return 1
			}
			return 0
		})
		check(t, "shl."+w.name, "", func(v []uint64) uint64 {
			a := new(big.Int).SetUint64(v[0])
			return low(a.Lsh(a, uint(min(v[1], 200)))) & m
		})
		for _, k := range []string{"u", "s", "b"} {
			name := fmt.Sprintf("%s%d", k, n)
			ty, _ := ptx.TypeByName(name)
			check(t, "shr."+name, "", func(v []uint64) uint64 {
				a := num(ty, v[0])
				return low(a.Rsh(a, uint(min(v[1], 200)))) & m
			})
		}
		if n == 16 {
			continue
		}
		check(t, "popc."+w.name, "", func(v []uint64) uint64 { return uint64(bits.OnesCount64(v[0])) })
		check(t, "clz."+w.name, "", func(v []uint64) uint64 { return uint64(n - bits.Len64(v[0])) })
		check(t, "brev."+w.name, "", func(v []uint64) uint64 {
			var d uint64
			for i := range n {
				d |= v[0] >> i & 1 << (n - 1 - i)
			}
			return d
		})
		check(t, "bfi."+w.name, "", func(v []uint64) uint64 {
			f := v[1]
			pos, length := v[2]&255, v[3]&255
			for i := uint64(0); i < length && pos+i < uint64(n); i++ {
				f = f&^(1<<(pos+i)) | v[0]>>i&1<<(pos+i)
			}
			return f
		})
		for _, k := range []string{"u", "s"} {
			name := fmt.Sprintf("%s%d", k, n)
			check(t, "bfe."+name, "", func(v []uint64) uint64 {
				msb := uint64(n - 1)
				pos, length := v[1]&255, v[2]&255
				var sbit, d uint64
				if k == "s" && length > 0 {
					sbit = v[0] >> min(pos+length-1, msb) & 1
				}
				for i := uint64(0); i <= msb; i++ {
					if i < length && pos+i <= msb {
						d |= v[0] >> (pos + i) & 1 << i
					} else {
						d |= sbit << i
					}
				}
				return d
			})
			for _, shift := range []string{"", "shiftamt."} {
				check(t, "bfind."+shift+name, "", func(v []uint64) uint64 {
					a := v[0]
					if k == "s" && a>>(n-1)&1 != 0 {
						a = ^a & m
					}
					for i := n - 1; i >= 0; i-- {
						if a>>i&1 != 0 {
							if shift != "" {
								return uint64(n - 1 - i)
							}
							return uint64(i)
						}
					}
					return 0xffffffff
				})
			}
		}
	}
	for _, table := range []uint64{0, 0x80, 0xfe, 0x96, 0xe8, 0xca, 0x1b, 255} {
		check(t, "lop3.b32", fmt.Sprint(table), func(v []uint64) uint64 {
			var d uint64
			for i := range 32 {
				d |= table >> (v[0]>>i&1<<2 | v[1]>>i&1<<1 | v[2]>>i&1) & 1 << i
			}
			return d
		})
	}
	check(t, "shf.l.clamp.b32", "", func(v []uint64) uint64 { return (v[1]<<32 | v[0]) << min(v[2], 32) >> 32 })
	check(t, "shf.l.wrap.b32", "", func(v []uint64) uint64 { return (v[1]<<32 | v[0]) << (v[2] & 31) >> 32 })
	check(t, "shf.r.clamp.b32", "", func(v []uint64) uint64 { return (v[1]<<32 | v[0]) >> min(v[2], 32) & 0xffffffff })
	check(t, "shf.r.wrap.b32", "", func(v []uint64) uint64 { return (v[1]<<32 | v[0]) >> (v[2] & 31) & 0xffffffff })
	check(t, "bmsk.clamp.b32", "", func(v []uint64) uint64 {
		var d uint64
		for i := v[0]; i < 32 && i-v[0] < v[1]; i++ {
			d |= 1 << i
		}
		return d
	})
	check(t, "szext.clamp.s32", "", func(v []uint64) uint64 {
		switch n := v[1]; {
		case n == 0:
			return 0
		case n >= 32:
			return v[0]
		default:
			a := v[0] & (1<<n - 1)
			if a>>(n-1) != 0 {
				a |= ^uint64(0) << n
			}
			return a
		}
	})
	check(t, "dp4a.s32.u32", "", func(v []uint64) uint64 {
		s := int64(int32(v[2]))
		for i := range 4 {
			s += int64(int8(v[0]>>(8*i))) * int64(uint8(v[1]>>(8*i)))
		}
		return uint64(s)
	})
	check(t, "dp2a.hi.s32.s32", "", func(v []uint64) uint64 {
		s := int64(int32(v[2]))
		for i := range 2 {
			s += int64(int16(v[0]>>(16*i))) * int64(int8(v[1]>>(16+8*i)))
		}
		return uint64(s)
	})
}

func TestPrmt(t *testing.T) {
	byteOf := func(v []uint64, i uint64) uint64 {
		if i < 4 {
			return v[0] >> (8 * i) & 255
		}
		return v[1] >> (8 * (i - 4)) & 255
	}
	check(t, "prmt.b32", "", func(v []uint64) uint64 {
		var d uint64
		for i := range 4 {
			sel := v[2] >> (4 * i) & 15
			b := byteOf(v, sel&7)
			if sel >= 8 {
				b = b >> 7 * 255
			}
			d |= b << (8 * i)
		}
		return d
	})
	// The manual's tables, most significant byte first.
	for mode, rows := range map[string][4]string{
		"f4e":  {"3210", "4321", "5432", "6543"},
		"b4e":  {"5670", "6701", "7012", "0123"},
		"rc8":  {"0000", "1111", "2222", "3333"},
		"ecl":  {"3210", "3211", "3222", "3333"},
		"ecr":  {"0000", "1110", "2210", "3210"},
		"rc16": {"1010", "3232", "1010", "3232"},
	} {
		check(t, "prmt.b32."+mode, "", func(v []uint64) uint64 {
			var d uint64
			for _, c := range rows[v[2]&3] {
				d = d<<8 | byteOf(v, uint64(c-'0'))
			}
			return d
		})
	}
}

// TestPackedConversions: two numbers clamped, the second in the low bits, and
// what the third operand has room for above.
func TestPackedConversions(t *testing.T) {
	for _, bits := range []int{16, 8, 4, 2} {
		for _, sign := range []string{"u", "s"} {
			lowest, highest := new(big.Int), ones(bits)
			if sign == "s" {
				lowest, highest = new(big.Int).Not(ones(bits-1)), ones(bits-1)
			}
			clamped := func(v uint64) *big.Int {
				b := num(ptx.S32, v)
				if b.Cmp(lowest) < 0 {
					b = lowest
				}
				if b.Cmp(highest) > 0 {
					b = highest
				}
				return new(big.Int).And(b, ones(bits))
			}
			name := fmt.Sprintf("cvt.pack.sat.%s%d.s32", sign, bits)
			if bits < 16 {
				name += ".b32"
			}
			check(t, name, "", func(v []uint64) uint64 {
				d := new(big.Int)
				if len(v) == 3 {
					d.SetUint64(v[2])
				}
				for _, x := range v[:2] {
					d.Add(d.Lsh(d, uint(bits)), clamped(x))
				}
				return low(d)
			})
		}
	}
}

// TestPackedConversionsWide: registers of 64 bits give their low halves, and get
// zeros above the result.
func TestPackedConversionsWide(t *testing.T) {
	d := newDevice(t, `.visible .entry k(.param .u64 out) {
	.reg .b64 %out, %a, %b, %c, %d, %e;
	ld.param.u64 %out, [out];
	mov.u64 %a, 0x700000081; mov.u64 %b, 0x1fffffff0; mov.u64 %c, 0x9abcdef0;
	cvt.pack.sat.s8.s32.b32 %d, %a, %b, %c;
	cvt.pack.sat.s16.s32 %e, %b, %a;
	st.global.v2.b64 [%out], {%d, %e}; ret; }`)
	po := buffer(d, "out", make([]uint64, 2))
	d.must("k", 1, 1, po)
	if got, want := [2]uint64(read[uint64](d, po, 2)), [2]uint64{0xdef07ff0, 0xfff00081}; got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

// TestCarry adds, subtracts and multiplies 128-bit numbers in 32-bit pieces.
func TestCarry(t *testing.T) {
	d := newDevice(t, `
.visible .entry k(.param .u64 io)
{
	.reg .b32 %a<9>; .reg .b32 %b<9>; .reg .b32 %s<9>; .reg .b64 %rd<4>; .reg .b32 %r1;
	ld.param.u64 %rd1, [io];
	mov.u32 %r1, %tid.x;
	mul.wide.u32 %rd2, %r1, 64;
	add.u64 %rd1, %rd1, %rd2;
	ld.global.v4.u32 {%a0, %a1, %a2, %a3}, [%rd1];
	ld.global.v4.u32 {%b0, %b1, %b2, %b3}, [%rd1+16];
	add.cc.u32 %s0, %a0, %b0;
	addc.cc.u32 %s1, %a1, %b1;
	addc.cc.u32 %s2, %a2, %b2;
	addc.u32 %s3, %a3, %b3;
	st.global.v4.u32 [%rd1+32], {%s0, %s1, %s2, %s3};
	sub.cc.u32 %s0, %a0, %b0;
	subc.cc.u32 %s1, %a1, %b1;
	subc.cc.u32 %s2, %a2, %b2;
	subc.u32 %s3, %a3, %b3;
	st.global.v4.u32 [%rd1+48], {%s0, %s1, %s2, %s3};
	ret;
}`)
	r := newRand(3)
	v := make([]uint32, 16*64)
	for i := range v {
		v[i] = []uint32{0, 1, 0xffffffff, 0x80000000, r.Uint32()}[r.IntN(5)]
	}
	p := buffer(d, "io", v)
	d.must("k", 1, 64, p)
	got := read[uint32](d, p, len(v))
	wide := func(w []uint32) *big.Int {
		b := new(big.Int)
		for i := range 4 {
			b.Or(b.Lsh(b, 32), big.NewInt(int64(w[3-i])))
		}
		return b
	}
	for i := range 64 {
		w := got[16*i:]
		a, b := wide(w), wide(w[4:])
		sum, diff := new(big.Int).Add(a, b), new(big.Int).Sub(a, b)
		if sum.And(sum, ones(128)).Cmp(wide(w[8:])) != 0 || diff.And(diff, ones(128)).Cmp(wide(w[12:])) != 0 {
			t.Fatalf("%x and %x: sum %x, difference %x", a, b, wide(w[8:]), wide(w[12:]))
		}
	}
}

// TestCarryFlag: the flag is set after a subtraction that borrows nothing, for all
// that read it (so ptxas translates these, and so ZLUDA's tests found it on a GPU).
func TestCarryFlag(t *testing.T) {
	for _, c := range []struct {
		body string
		want func(a, b, carry, noBorrow uint64) uint64
	}{
		{"sub.cc.T x, a, b; addc.T x, 0, 0;", func(_, _, _, noBorrow uint64) uint64 { return noBorrow }},
		{"add.cc.T x, a, b; subc.T x, 0, 0;", func(_, _, carry, _ uint64) uint64 { return carry - 1 }},
		{"sub.cc.T x, a, b; madc.lo.T x, a, b, 7;", func(a, b, _, noBorrow uint64) uint64 { return a*b + 7 + noBorrow }},
		{"sub.cc.T x, a, b; subc.cc.T x, a, a; addc.T x, 0, 0;", func(_, _, _, noBorrow uint64) uint64 { return noBorrow }},
	} {
		for _, ty := range []string{"u32", "s64"} {
			d := newDevice(t, strings.ReplaceAll(`.visible .entry k(.param .u64 io) {
.reg .b64 p, l; .reg .T a, b, x; ld.param.u64 p, [io]; ld.T a, [p]; ld.T b, [p+8];
`+c.body+"cvt.u64.T l, x; st.u64 [p+16], l; }", ".T", "."+ty))
			for _, v := range [][2]uint64{{1, 2}, {2, 1}, {5, 5}, {0, math.MaxUint64}, {math.MaxUint64, math.MaxUint64}} {
				io := buffer(d, "io", []uint64{v[0], v[1], 0})
				d.must("k", 1, 1, io)
				a, b, low := v[0], v[1], uint64(math.MaxUint64)
				if ty == "u32" {
					low = math.MaxUint32
				}
				carry := b2u(new(big.Int).Add(new(big.Int).SetUint64(a&low), new(big.Int).SetUint64(b&low)).Cmp(new(big.Int).SetUint64(low)) > 0)
				if got, want := read[uint64](d, io, 3)[2], c.want(a&low, b&low, carry, b2u(a&low >= b&low))&low; got != want {
					t.Errorf("%s of .%s %#x, %#x: %#x, want %#x", c.body, ty, a, b, got, want)
				}
			}
		}
	}
}

func TestDivide(t *testing.T) {
	for _, name := range []string{"u16", "s16", "u32", "s32", "u64", "s64"} {
		ty, _ := ptx.TypeByName(name)
		r := newRand(5)
		all := combinations([]ptx.Type{ty, ty}, r)
		ins := make([][]uint64, 2)
		for i, b := range all[1] {
			if b != 0 {
				ins[0], ins[1] = append(ins[0], all[0][i]), append(ins[1], b)
			}
		}
		for op, f := range map[string]func(a, b *big.Int) *big.Int{
			"div": func(a, b *big.Int) *big.Int { return new(big.Int).Quo(a, b) },
			"rem": func(a, b *big.Int) *big.Int { return new(big.Int).Rem(a, b) },
		} {
			got := (&trial{op + "." + name, "", ins}).execute(t)
			for i := range got {
				if want := low(f(num(ty, ins[0][i]), num(ty, ins[1][i]))); !same(ty, got[i], want) {
					t.Errorf("%s.%s of %#x, %#x: %#x, want %#x", op, name, ins[0][i], ins[1][i], got[i], want)
					break
				}
			}
		}
	}
}
