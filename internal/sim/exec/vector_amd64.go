package exec

import "unsafe"

// Loops in assembly for the operations that kernels spend most time in, used
// where the processor has AVX2 and FMA3. Each has a twin in Go, whose place in
// the table it takes, and which the tests hold it against.

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func xgetbv() uint32

// hasVectors reports AVX2 and FMA3, with an operating system that saves their
// registers.
func hasVectors() bool {
	top, _, _, _ := cpuid(0, 0)
	if top < 7 {
		return false
	}
	const fma, osxsave, avx, avx2 = 1 << 12, 1 << 27, 1 << 28, 1 << 5
	_, _, c, _ := cpuid(1, 0)
	if c&(fma|osxsave|avx) != fma|osxsave|avx || xgetbv()&6 != 6 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2 != 0
}

// Rows d, a, b and c of a number of bytes.
//
//go:noescape
func vAdd32(d, a, b *uint32, bytes int)

//go:noescape
func vSub32(d, a, b *uint32, bytes int)

//go:noescape
func vMul32(d, a, b *uint32, bytes int)

//go:noescape
func vAnd32(d, a, b *uint32, bytes int)

//go:noescape
func vOr32(d, a, b *uint32, bytes int)

//go:noescape
func vXor32(d, a, b *uint32, bytes int)

//go:noescape
func vShl32(d, a, b *uint32, bytes int)

//go:noescape
func vShr32(d, a, b *uint32, bytes int)

//go:noescape
func vSar32(d, a, b *uint32, bytes int)

//go:noescape
func vAddS(d, a, b *uint32, bytes int)

//go:noescape
func vSubS(d, a, b *uint32, bytes int)

//go:noescape
func vMulS(d, a, b *uint32, bytes int)

//go:noescape
func vAdd64(d, a, b *uint64, bytes int)

//go:noescape
func vAddD(d, a, b *uint64, bytes int)

//go:noescape
func vSubD(d, a, b *uint64, bytes int)

//go:noescape
func vMulD(d, a, b *uint64, bytes int)

//go:noescape
func vMad32(d, a, b, c *uint32, bytes int)

//go:noescape
func vFmaS(d, a, b, c *uint32, bytes int)

//go:noescape
func vFmaD(d, a, b, c *uint64, bytes int)

//go:noescape
func vMulWideU(d *uint64, a, b *uint32, lanes int)

//go:noescape
func vMulWideS(d *uint64, a, b *uint32, lanes int)

//go:noescape
func vFill32(d *uint32, v uint32, bytes int)

//go:noescape
func vEqS(d, a, b *uint32, bytes int)

//go:noescape
func vLtS(d, a, b *uint32, bytes int)

//go:noescape
func vLeS(d, a, b *uint32, bytes int)

//go:noescape
func vEq32(d, a, b *uint32, bytes int)

//go:noescape
func vLeU(d, a, b *uint32, bytes int)

//go:noescape
func vLeI(d, a, b *uint32, bytes int)

//go:noescape
func vOffset64(t, a *uint64, off, step uint64, lanes int) (different uint64)

//go:noescape
func vOffset32(t *uint64, a *uint32, off uint32, lanes int, out *[3]uint32)

//go:noescape
func gatherQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)

//go:noescape
func scatterQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)

func two[T uint32 | uint64](f func(d, a, b *T, bytes int)) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		d := dst[T](x, in.d)
		f(&d[0], &row[T](x, in.a)[0], &row[T](x, in.b)[0], len(d)*int(unsafe.Sizeof(d[0])))
	}
}

func three[T uint32 | uint64](f func(d, a, b, c *T, bytes int)) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		d := dst[T](x, in.d)
		f(&d[0], &row[T](x, in.a)[0], &row[T](x, in.b)[0], &row[T](x, in.c)[0], len(d)*int(unsafe.Sizeof(d[0])))
	}
}

func wideProduct(f func(d *uint64, a, b *uint32, lanes int)) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		d := dst[uint64](x, in.d)
		f(&d[0], &row[uint32](x, in.a)[0], &row[uint32](x, in.b)[0], len(d))
	}
}

// masks compares rows with f; invert is what the mask is xored with.
func masks(f func(d, a, b *uint32, bytes int), swap bool, invert uint32) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		a, b := row[uint32](x, in.a), row[uint32](x, in.b)
		if swap {
			a, b = b, a
		}
		f(&x.masks[0], &a[0], &b[0], 4*len(a))
		for k := range x.n / 32 {
			x.finishCompare(in, k, x.masks[k]^invert)
		}
	}
}

func init() {
	if !hasVectors() {
		return
	}
	vectors.loops = map[string]func(x *ctx, in *inst){
		"add.u32": two(vAdd32), "add.s32": two(vAdd32), "add.u64": two(vAdd64), "add.s64": two(vAdd64),
		"sub.u32": two(vSub32), "sub.s32": two(vSub32), "mul.lo.u32": two(vMul32), "mul.lo.s32": two(vMul32),
		"mad.lo.u32": three(vMad32), "mad.lo.s32": three(vMad32),
		"mul.wide.u32": wideProduct(vMulWideU), "mul.wide.s32": wideProduct(vMulWideS),
		"and.b32": two(vAnd32), "or.b32": two(vOr32), "xor.b32": two(vXor32),
		"shl.b32": two(vShl32), "shr.u32": two(vShr32), "shr.b32": two(vShr32), "shr.s32": two(vSar32),
		"add.f32": two(vAddS), "add.rn.f32": two(vAddS), "sub.f32": two(vSubS), "sub.rn.f32": two(vSubS),
		"mul.f32": two(vMulS), "mul.rn.f32": two(vMulS), "fma.rn.f32": three(vFmaS), "mad.rn.f32": three(vFmaS),
		"add.f64": two(vAddD), "add.rn.f64": two(vAddD), "sub.f64": two(vSubD), "sub.rn.f64": two(vSubD),
		"mul.f64": two(vMulD), "mul.rn.f64": two(vMulD), "fma.rn.f64": three(vFmaD), "mad.rn.f64": three(vFmaD),
	}
	const not = ^uint32(0)
	vectors.compare = map[string]func(x *ctx, in *inst){
		"eq.u32": masks(vEq32, false, 0), "eq.b32": masks(vEq32, false, 0), "eq.s32": masks(vEq32, false, 0), "eq.f32": masks(vEqS, false, 0),
		"le.u32": masks(vLeU, false, 0), "le.s32": masks(vLeI, false, 0), "le.f32": masks(vLeS, false, 0),
		"lt.u32": masks(vLeU, true, not), "lt.s32": masks(vLeI, true, not), "lt.f32": masks(vLtS, false, 0),
	}
	vectors.offset64, vectors.offset32 = vOffset64, vOffset32
	vectors.gather4, vectors.scatter4 = gatherQuads, scatterQuads
	vectors.fill32 = vFill32
}
