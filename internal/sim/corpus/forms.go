package corpus

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A form is a row of instructions that work on each lane by itself: an
// instruction's name whose modifiers are lists of alternatives ("rn|rz"), of
// which an empty one is absence. Combinations that PTX lacks are left out.
type form struct {
	names string
	lanes int    // 0 is 256
	tail  string // constant operands behind the registers
	note  string // what varies beside the name
	pools []pool // of the operands; an empty one is the type's own
	wide  bool   // 16-bit operands in 32-bit registers
	bound *Bound

	// anyNaN: the bits of a NaN result are not compared, as PTX leaves them open
	// and assemblers change operands' order: which NaN of several operands a
	// float64 sum keeps, whether a sign or a conversion keeps one as it is.
	anyNaN bool
}

const (
	ints  = "u16|u32|u64|s16|s32|s64"
	every = "u8|u16|u32|u64|s8|s16|s32|s64"
	modes = "rn|rz|rm|rp"
	fcmp  = "eq|ne|lt|le|gt|ge|equ|neu|ltu|leu|gtu|geu|num|nan"
	ucmp  = "eq|ne|lt|le|gt|ge|lo|ls|hi|hs"
)

var (
	any0 = pool{}
	// Divisors: not zero, and not −1, with which the least integer has no quotient.
	divisors = pool{list: []uint64{1, 2, 3, 5, 7, 10, 255, 256, 641, 0x7ffe, 0x7fff}, random: func(r *rand.Rand) uint64 {
		return (r.Uint64()>>r.IntN(60))&^0xffff | r.Uint64N(0x7fff) + 1
	}}
	selectors = pool{list: []uint64{0x3210, 0x7654, 0x0123, 0xfedc, 0x89ab, 0xcdef, 0xffff, 0, 0x8888}, random: func(r *rand.Rand) uint64 { return r.Uint64() }}
	// What PTX allows as position and length of a bit field; cards take more of a
	// larger number's bits into account with 64-bit operands.
	bytes = pool{list: []uint64{0, 1, 2, 5, 8, 15, 16, 17, 24, 31, 32, 33, 47, 48, 63, 64, 65, 127, 128, 200, 255}, random: func(r *rand.Rand) uint64 { return r.Uint64N(70) }}
	// Every NaN of float16, and every NaN of bfloat16 among others.
	nans = pool{list: sixteen(0x7c01, 0x7fff), all: true}
	ones = pool{list: []uint64{0x3c00, 0x3f80}}
	// Numbers whose products lie at the edge of the normal numbers, and quotients.
	edge32  = pool{list: signed(1<<31, 0x1ffffffd, 0x1ffffffe, 0x1fffffff, 0x20000000, 0x20000001, 0x20000002, 0x1f800000, 0x20800001)}
	edge16  = pool{list: signed(1<<15, 0x1ffd, 0x1ffe, 0x1fff, 0x2000, 0x2001, 0x2002, 0x1c00, 0x2401)}
	tiny    = pool{list: signed(1<<31, 0, 1, 0x400000, 0x7fffff, 0x800000, 0x800001, 0x1000000)}
	least   = pool{list: signed(1<<31, 0x800000, 0x800001, 0x800002, 0x800003, 0xffffff, 0x1000000, 0x1000001)}
	near1   = pool{list: signed(1<<31, 0x3f7ffffd, 0x3f7ffffe, 0x3f7fffff, 0x3f800000, 0x3f800001, 0x3f800002, 0x40000000, 0x3fffffff)}
	places  = pool{list: []uint64{0, 1, 15, 30, 31}}
	offsets = pool{list: []uint64{0, 1, 2, 3, 8, 31, 32, 33, 1<<32 - 1, 1<<32 - 2, 1<<32 - 8}}
	// Angles within the range for which sin and cos have a bound.
	angles = pool{list: []uint64{0, 1 << 31, 1, 0x3f800000, 0x3fc90fdb, 0x40490fdb, 0xc0490fdb, 0x40c90fda, 0x7fc00000, 0x7f800000, 0xff800000, 0x33800000, 0x00800000}, random: angle}
	// Divisors and dividends of ordinary size.
	ordinary = pool{list: []uint64{0x3f800000, 0xbf800000, 0x40000000, 0x40400000, 0x3eaaaaab, 0x3f7fffff, 0x3f800001}, random: func(r *rand.Rand) uint64 { return layout{32, 23}.ordinary(r) }}
)

// Integers of every size, of both signs.
var sizes = pool{list: []uint64{0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1<<32 - 2, 1<<32 - 3, 1<<32 - 8, 1<<32 - 9, 1<<32 - 128, 1<<32 - 129, 1<<32 - 32768, 1<<32 - 32769}, random: func(r *rand.Rand) uint64 {
	return uint64(int64(r.Uint64()) >> (32 + r.IntN(31)))
}}

// sixteen lists 16-bit values and their negatives.
func sixteen(from, to uint64) (v []uint64) {
	for x := from; x <= to; x++ {
		v = append(v, x, x|1<<15)
	}
	return v
}

func angle(r *rand.Rand) uint64 {
	v := layout{32, 23}.ordinary(r)
	for v&0x7fffffff > 0x40c90fda {
		v -= 1 << 23
	}
	return v
}

// forms is the table.
var forms = []form{
	// Integers.
	{names: "add|sub|min|max." + ints},
	{names: "add|sub.sat.s32"},
	{names: "min|max|add.u16x2|s16x2"},
	{names: "min|max.relu.s16x2|s32"},
	{names: "mul.lo|hi." + ints},
	{names: "mul.wide.u16|u32|s16|s32"},
	{names: "mad.lo|hi." + ints},
	{names: "mad.wide.u16|u32|s16|s32"},
	{names: "mad.hi.sat.s32"},
	{names: "mul24|mad24.lo|hi.u32|s32"},
	{names: "mad24.hi.sat.s32"},
	{names: "sad." + ints},
	{names: "div|rem." + ints, pools: []pool{any0, divisors}},
	{names: "abs|neg.s16|s32|s64"},
	{names: "popc|clz|brev.b32|b64"},
	{names: "bfind.|shiftamt.u32|u64|s32|s64"},
	{names: "bfe.u32|s32", lanes: 1024, pools: []pool{any0, *counts, *counts}},
	{names: "bfe.u64|s64", lanes: 1024, pools: []pool{any0, bytes, bytes}},
	{names: "bfi.b32", lanes: 1024, pools: []pool{any0, any0, *counts, *counts}},
	{names: "bfi.b64", lanes: 1024, pools: []pool{any0, any0, bytes, bytes}},
	{names: "szext.clamp|wrap.u32|s32", pools: []pool{any0, *counts}},
	{names: "bmsk.clamp|wrap.b32", pools: []pool{*counts, *counts}},
	{names: "fns.b32", pools: []pool{any0, places, offsets}},
	{names: "dp4a.u32|s32.u32|s32"},
	{names: "dp2a.lo|hi.u32|s32.u32|s32"},
	{names: "and|or|xor.b16|b32|b64|pred"},
	{names: "not.b16|b32|b64|pred"},
	{names: "cnot.b16|b32|b64"},
	{names: "shl|shr.b16|b32|b64|u16|u32|u64|s16|s32|s64", pools: []pool{any0, *counts}},
	{names: "shf.l|r.clamp|wrap.b32", pools: []pool{any0, any0, *counts}},
	{names: "prmt.b32.|f4e|b4e|rc8|ecl|ecr|rc16", lanes: 512, pools: []pool{any0, any0, selectors}},
	{names: "lop3.b32", tail: "0x96", note: "lut 0x96"},
	{names: "lop3.b32", tail: "0xe8", note: "lut 0xe8"},
	{names: "lop3.b32", tail: "0xca", note: "lut 0xca"},
	{names: "lop3.b32", tail: "0x01", note: "lut 0x01"},
	{names: "lop3.b32", tail: "0x1d", note: "lut 0x1d"},
	{names: "lop3.b32", tail: "0xfb", note: "lut 0xfb"},

	// Floating point.
	{names: "add|sub|mul.|" + modes + ".|ftz.|sat.f32|f16|f16x2|bf16|bf16x2", lanes: 512},
	{names: "add|sub|mul.|" + modes + ".f64", lanes: 512, anyNaN: true},
	{names: "fma." + modes + ".|ftz.|sat|relu.f32|f16|f16x2|bf16|bf16x2", lanes: 1024},
	{names: "fma." + modes + ".f64", lanes: 1024, anyNaN: true},
	{names: "fma.rn.oob.|relu.f16|f16x2|bf16|bf16x2", lanes: 512},
	{names: "fma.rn.oob.f16|bf16", lanes: 2048, note: "every NaN", pools: []pool{nans, ones, ones}},
	{names: "div|rcp|sqrt." + modes + ".|ftz.f32|f64", lanes: 512},
	{names: "abs|neg.|ftz.f32|f64|f16|f16x2|bf16|bf16x2", anyNaN: true},
	{names: "min|max.|ftz.|NaN.|xorsign.|abs.f32|f16|f16x2|bf16|bf16x2"},
	{names: "min|max.f64", anyNaN: true},
	{names: "copysign.f32|f64"},
	{names: "testp.finite|infinite|number|notanumber|normal|subnormal.f32|f64"},

	// .ftz at the edge of the normal numbers.
	{names: "mul." + modes + ".ftz.f32", note: "at the edge", lanes: 512, pools: []pool{edge32, edge32}},
	{names: "fma." + modes + ".ftz.f32", note: "at the edge", lanes: 1024, pools: []pool{edge32, edge32, tiny}},
	{names: "div." + modes + ".ftz.f32", note: "at the edge", lanes: 512, pools: []pool{least, near1}},
	{names: "mul.rn.ftz.f16", note: "at the edge", lanes: 512, pools: []pool{edge16, edge16}},

	// Approximations.
	{names: "rcp.approx.|ftz.f32", bound: &Bound{ULP: 1}},
	{names: "sqrt.approx.|ftz.f32", bound: &Bound{Rel: 0x1p-23}},
	{names: "rsqrt.approx.|ftz.f32", bound: &Bound{Rel: 0x1.2p-23}},
	{names: "ex2.approx.|ftz.f32", lanes: 512, bound: &Bound{ULP: 2}},
	{names: "lg2.approx.|ftz.f32", lanes: 512, bound: &Bound{Rel: 0x1p-22, Abs: 0x1p-22}},
	{names: "sin|cos.approx.|ftz.f32", lanes: 512, pools: []pool{angles}, bound: &Bound{Abs: 0x1.7p-21}},
	{names: "tanh.approx.f32", lanes: 512, bound: &Bound{Rel: 0x1p-11}},
	{names: "tanh.approx.f16|f16x2", bound: &Bound{Abs: 0x1.03p-11}},
	{names: "tanh.approx.bf16|bf16x2", bound: &Bound{Abs: 0x1p-8}},
	{names: "ex2.approx.|ftz.f16|f16x2", bound: &Bound{Rel: 0x1.12p-10, ULP: 1}},
	{names: "ex2.approx.ftz.bf16|bf16x2", bound: &Bound{Rel: 0x1p-7}},
	{names: "div.approx|full.|ftz.f32", pools: []pool{ordinary, ordinary}, bound: &Bound{ULP: 2}},
	{names: "rsqrt.approx.f64", bound: &Bound{Rel: 0x1.2p-23}},
	{names: "rsqrt|rcp.approx.ftz.f64", bound: &Bound{Rel: 0x1p-19}}, // 20 fraction bits

	// Comparison and selection.
	{names: "setp." + ucmp + "." + ints + "|b16|b32|b64"},
	{names: "setp." + fcmp + ".|ftz.f32|f64|f16|bf16|f16x2|bf16x2"},
	{names: "setp.eq|ne|lt|ge.and|or." + ints},
	{names: "set.lt|ls|ne.u32|s32|f32." + ints + "|b16|b32|b64"},
	{names: "set." + fcmp + ".|ftz.u32.f32"},
	{names: "set." + fcmp + ".|ftz.f16x2|bf16x2.f16x2|bf16x2"},
	{names: "set.lt|neu|nan.|ftz.u32|s32|f32|u16|s16|f16|bf16.f32|f64|f16|bf16"},
	{names: "setp.lt|ne|gtu|ltu.and|or|xor.|ftz.u32|s64|f32|f64|f16|bf16"},
	{names: "set.lt|gtu.and|or|xor.u32|f32.u32|s64|f32|f64|f16"},
	{names: "set.lt|geu|nan.|and|or|xor.u32|s32.f16x2|bf16x2"},
	{names: "set.lt|geu|nan.and|or|xor.f16x2|bf16x2.f16x2|bf16x2"},
	{names: "selp.b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64"},
	{names: "slct.|ftz.b16|b32|b64|f32|f64.s32|f32"},

	// Moves and conversions.
	{names: "mov." + ints + "|b16|b32|b64|f32|f64"},
	{names: "cvt.|sat." + every + "." + every, wide: true},
	{names: "cvt.rni|rzi|rmi|rpi.|ftz.|sat." + every + ".f16|f32|f64|bf16"},
	{names: "cvt.rzi.s16|u16.f32|f64|f16", wide: true, note: "to 32 bits"},
	{names: "cvt." + modes + ".|ftz.|sat.f16|f32|f64|bf16." + every},
	{names: "cvt.|" + modes + "|rni|rzi|rmi|rpi.|ftz.|relu.|sat.f16|f32|f64|bf16.f16|f32|f64|bf16", lanes: 384, anyNaN: true},
	{names: "cvt.rn|rz.|relu.f16x2|bf16x2.f32", lanes: 512},
	{names: "cvt.rn|rz.|relu.satfinite.f16|bf16|f16x2|bf16x2.f32", lanes: 512},
	{names: "cvt.rna.|satfinite.tf32.f32", lanes: 512},
	{names: "cvt.rn|rz.|relu.tf32.f32", lanes: 512},
	{names: "cvt.rn.satfinite.|relu.e4m3x2|e5m2x2.f32|f16x2", lanes: 512},
	{names: "cvt.rn.|relu.f16x2.e4m3x2|e5m2x2", lanes: 512},
	{names: "cvt.pack.sat.u16|s16.s32", pools: []pool{sizes, sizes}},
	{names: "cvt.pack.sat.u8|s8|u4|s4|u2|s2.s32.b32", pools: []pool{sizes, sizes, any0}},
}

// expand lists the mnemonics that PTX knows among a row's combinations, each
// once.
func (f *form) expand() []string {
	list := []string{""}
	for _, segment := range strings.Split(f.names, ".") {
		var next []string
		for _, head := range list {
			for _, alt := range strings.Split(segment, "|") {
				switch {
				case alt == "":
					next = append(next, head)
				case head == "":
					next = append(next, alt)
				default:
					next = append(next, head+"."+alt)
				}
			}
		}
		list = next
	}
	var known []string
	for _, name := range list {
		if _, err := ptx.Forms(name); err == nil {
			known = append(known, name)
		}
	}
	return known
}

// draft makes the program of a mnemonic. The lane's predicate result p|q is two
// results.
func (f *form) draft(name string) *draft {
	forms, _ := ptx.Forms(name)
	x := forms[0]
	d := &draft{name: name, sm: x.MinSM, ptx: x.MinPTX.Major*10 + x.MinPTX.Minor, lanes: f.lanes, pools: f.pools, wide: f.wide, bound: f.bound, anyNaN: f.anyNaN}
	if strings.HasPrefix(name, "cvt.") && strings.Contains(name, "ftz.f32.bf16") {
		d.sm = 90 // newer assemblers say so
	}
	if f.note != "" {
		d.name += ", " + f.note
	}
	d.outs = []ptx.Type{x.Args[0].Type}
	args := []string{"%o0"}
	if x.Op == "setp" && x.Args[0].Pair && x.Args[1].Type != ptx.F16 && x.Args[1].Type != ptx.BF16 { // of which ptxas allows no pair
		d.outs, args = append(d.outs, ptx.Pred), []string{"%o0|%o1"}
	}
	for i, a := range x.Args[1:] {
		if a.Kind == ptx.ArgConst {
			break
		}
		d.ins = append(d.ins, a.Type)
		args = append(args, fmt.Sprintf("%%i%d", i))
	}
	if f.tail != "" {
		args = append(args, f.tail)
	}
	d.body = fmt.Sprintf("\t%s %s;\n", name, strings.Join(args, ", "))
	narrow(d, x)
	return d
}

// narrow puts 8-bit operands of which x wants no wider registers through one of
// their size.
func narrow(d *draft, x *ptx.Form) {
	for i, a := range x.Args {
		if a.Type.Bits() != 8 || a.Wider {
			continue
		}
		wide := strings.Replace(a.Type.String(), "8", "32", 1)
		if i == 0 {
			d.body = fmt.Sprintf("\t.reg .b8 x;\n%s\tcvt.%s.%s %%o0, x;\n", strings.Replace(d.body, "%o0", "x", 1), wide, a.Type)
		} else {
			d.body = fmt.Sprintf("\t.reg .b8 x;\n\tcvt.%s.%s x, %%i%d;\n%s", a.Type, wide, i-1, strings.Replace(d.body, fmt.Sprint("%i", i-1), "x", 1))
		}
	}
}
