package kernels

import (
	"strconv"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Loads and stores between memory and registers as Type.reg describes them.

// loadElement loads one element into dst. With a guard, only where it is true;
// elsewhere dst is zero.
func loadElement(b *ptx.Builder, t Type, dst *ptx.Reg, from ptx.Operand, guard *ptx.Reg) {
	raw := dst
	if t == Bool || t == Float16 || t == BFloat16 {
		raw = b.Reg(ptx.U32)
	}
	mnemonic := "ld.global." + t.mem()
	if guard == nil {
		b.Do(mnemonic, raw, from)
	} else {
		zero(b, t, raw)
		b.DoIf(guard, mnemonic, raw, from)
	}
	if raw != dst {
		unpack(b, t, dst, raw, 0)
	}
}

// zero clears the register that an element of type t is loaded into.
func zero(b *ptx.Builder, t Type, r *ptx.Reg) {
	switch t {
	case Float32, Float64:
		b.Do("mov."+t.suffix(), r, floatConst(t, 0))
	case Int64, Uint64:
		b.Do("mov.u64", r, 0)
	default:
		b.Do("mov.u32", r, 0)
	}
}

// The loads of vectors: streamed ones leave nothing in the level-1 cache, and are
// for what nobody reads again. A sector of 32 bytes that is not read at once would
// be fetched twice.
const cached, streamed = "ld.global.", "ld.global.L1::no_allocate."

// loadVector loads consecutive elements, as many as there are registers, with
// one access of at most 16 bytes, to which the address is aligned.
func loadVector(b *ptx.Builder, t Type, dst []*ptx.Reg, from ptx.Operand) {
	loadVectorAs(b, cached, t, dst, from)
}

// loadVectorAs is loadVector with a kind of loads.
func loadVectorAs(b *ptx.Builder, load string, t Type, dst []*ptx.Reg, from ptx.Operand) {
	switch {
	case len(dst) == 1:
		loadElement(b, t, dst[0], from, nil)
	case t.Size() >= 4:
		b.Do(load+"v"+strconv.Itoa(len(dst))+"."+t.mem(), vector(b, dst), from)
	default:
		words := packedWords(b, t, len(dst))
		b.Do(load+wordAccess(t, len(dst)), wordOperand(b, words), from)
		perWord := 4 / t.Size()
		for e, d := range dst {
			unpack(b, t, d, words[e/perWord], e%perWord)
		}
	}
}

// storeElement stores one element, where guard is true if there is one.
func storeElement(b *ptx.Builder, t Type, v *ptx.Reg, to ptx.Operand, guard *ptx.Reg) {
	raw := toBits(b, t, v)
	mnemonic := "st.global." + unsignedMem(t)
	if guard == nil {
		b.Do(mnemonic, to, raw)
	} else {
		b.DoIf(guard, mnemonic, to, raw)
	}
}

// unsignedMem is mem for a store, where the sign says nothing.
func unsignedMem(t Type) string {
	switch t {
	case Int8:
		return "u8"
	case Int16:
		return "u16"
	}
	return t.mem()
}

// storeVector is the counterpart of loadVector.
func storeVector(b *ptx.Builder, t Type, vs []*ptx.Reg, to ptx.Operand) {
	switch {
	case len(vs) == 1:
		storeElement(b, t, vs[0], to, nil)
	case t.Size() >= 4:
		b.Do("st.global.v"+strconv.Itoa(len(vs))+"."+t.mem(), to, vector(b, vs))
	default:
		b.Do("st.global."+wordAccess(t, len(vs)), to, wordOperand(b, pack(b, t, vs)))
	}
}

func vector(b *ptx.Builder, rs []*ptx.Reg) ptx.Operand {
	elems := make([]any, len(rs))
	for i, r := range rs {
		elems[i] = r
	}
	return b.Vec(elems...)
}

// packedWords returns registers for n elements of 1 or 2 bytes: 32-bit words,
// of which a single one may be filled in part.
func packedWords(b *ptx.Builder, t Type, n int) []*ptx.Reg {
	return b.Regs(ptx.U32, max(1, n*t.Size()/4))
}

// wordAccess is the type of an access to n packed elements of type t.
func wordAccess(t Type, n int) string {
	switch n * t.Size() {
	case 2:
		return "u16"
	case 4:
		return "u32"
	case 8:
		return "v2.u32"
	}
	return "v4.u32"
}

// pieceAccess is the type of an access to a number of bytes that are one piece.
func pieceAccess(bytes int) string {
	if bytes == 1 {
		return "u8"
	}
	return wordAccess(Uint8, bytes)
}

func wordOperand(b *ptx.Builder, words []*ptx.Reg) any {
	if len(words) == 1 {
		return words[0]
	}
	return vector(b, words)
}

// unpack moves the e-th element in a word of elements of 1 or 2 bytes to dst.
func unpack(b *ptx.Builder, t Type, dst, word *ptx.Reg, e int) {
	bits := t.bits()
	switch t {
	case Bool:
		b.Do("setp.ne.u32", dst, b.Op("and.b32", word, 0xff<<(8*e)), 0)
	case Int8, Int16:
		b.Do("bfe.s32", dst, word, bits*e, bits)
	case Uint8, Uint16:
		b.Do("bfe.u32", dst, word, bits*e, bits)
	case Float16:
		half := b.Regs(ptx.F16, 2)
		b.Do("mov.b32", b.Vec(half[0], half[1]), word)
		b.Do("cvt.f32.f16", dst, half[e])
	case BFloat16:
		if e == 0 {
			b.Do("mov.b32", dst, b.Op("shl.b32", word, 16))
		} else {
			b.Do("mov.b32", dst, b.Op("and.b32", word, uint32(0xffff0000)))
		}
	}
}

// toBits returns what is stored of a value: for types of 1 and 2 bytes a 32-bit
// register whose low bytes count, else the value's register.
func toBits(b *ptx.Builder, t Type, v *ptx.Reg) *ptx.Reg {
	switch t {
	case Bool:
		return b.Op("selp.u32", 1, 0, v)
	case Float16:
		word := b.Reg(ptx.U32)
		half := b.Op("cvt.rn.f16.f32", v)
		b.Do("mov.b32", word, b.Vec(half, half))
		return word
	case BFloat16:
		return b.Op("shr.u32", b.Op("mov.b32", v), 16)
	}
	return v
}

// pack puts elements of 1 or 2 bytes into words, the first lowest.
func pack(b *ptx.Builder, t Type, vs []*ptx.Reg) []*ptx.Reg {
	words := make([]*ptx.Reg, len(vs))
	for i, v := range vs {
		words[i] = toBits(b, t, v)
	}
	if t.Size() == 1 {
		words = pairs(b, words, 0x0040)
	}
	if len(words) > 1 {
		words = pairs(b, words, 0x5410)
	}
	return words
}

// pairs joins neighbours with a byte permutation.
func pairs(b *ptx.Builder, words []*ptx.Reg, selector int) []*ptx.Reg {
	var joined []*ptx.Reg
	for i := 0; i < len(words); i += 2 {
		joined = append(joined, b.Op("prmt.b32", words[i], words[i+1], selector))
	}
	return joined
}

// fromImmediate returns the value of an immediate's parameter.
func fromImmediate(b *ptx.Builder, t Type, param *ptx.Reg) *ptx.Reg {
	switch t {
	case Bool, Float16, BFloat16:
		r := b.Reg(t.reg())
		unpack(b, t, r, param, 0)
		return r
	}
	return param
}
