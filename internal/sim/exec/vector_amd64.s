#include "textflag.h"

// Loops over rows for what is no step. Rows have a multiple of 32 lanes.

// func cpuid(leaf, sub uint32) (a, b, c, d uint32)
TEXT ·cpuid(SB), NOSPLIT, $0-24
	MOVL leaf+0(FP), AX
	MOVL sub+4(FP), CX
	CPUID
	MOVL AX, a+8(FP)
	MOVL BX, b+12(FP)
	MOVL CX, c+16(FP)
	MOVL DX, d+20(FP)
	RET

// func xgetbv() uint32
TEXT ·xgetbv(SB), NOSPLIT, $0-4
	XORL CX, CX
	XGETBV
	MOVL AX, ret+0(FP)
	RET

// func vFill32(d *uint32, v uint32, bytes int)
TEXT ·vFill32(SB), NOSPLIT, $0-24
	MOVQ d+0(FP), DI
	MOVL v+8(FP), AX
	VMOVD AX, X0
	VPBROADCASTD X0, Y0
	MOVQ bytes+16(FP), CX
	XORQ AX, AX
loop:
	VMOVDQU Y0, (DI)(AX*1)
	VMOVDQU Y0, 32(DI)(AX*1)
	VMOVDQU Y0, 64(DI)(AX*1)
	VMOVDQU Y0, 96(DI)(AX*1)
	ADDQ $128, AX
	CMPQ AX, CX
	JLT  loop
	VZEROUPPER
	RET

// func vOffset64(t, a *uint64, off, step uint64, lanes int) (different uint64)
//
// t[i] = a[i] + off; the result is 0 if each is step more than the one before.
TEXT ·vOffset64(SB), NOSPLIT, $0-48
	MOVQ t+0(FP), DI
	MOVQ a+8(FP), SI
	VPBROADCASTQ off+16(FP), Y0
	MOVQ step+24(FP), BX
	MOVQ lanes+32(FP), CX
	// Y1 = the expected addresses of lanes 0 to 3, Y2 = 4·step.
	MOVQ (SI), R8
	ADDQ off+16(FP), R8
	VMOVQ R8, X1
	ADDQ BX, R8
	VPINSRQ $1, R8, X1, X1
	ADDQ BX, R8
	VMOVQ R8, X3
	ADDQ BX, R8
	VPINSRQ $1, R8, X3, X3
	VINSERTI128 $1, X3, Y1, Y1
	SHLQ $2, BX
	VMOVQ BX, X2
	VPBROADCASTQ X2, Y2
	VPXOR Y4, Y4, Y4
	XORQ AX, AX
loop64:
	VPADDQ (SI)(AX*8), Y0, Y3
	VMOVDQU Y3, (DI)(AX*8)
	VPXOR Y1, Y3, Y3
	VPOR Y3, Y4, Y4
	VPADDQ Y2, Y1, Y1
	ADDQ $4, AX
	CMPQ AX, CX
	JLT  loop64
	XORQ R8, R8
	VPTEST Y4, Y4
	SETNE R8
	MOVQ R8, different+40(FP)
	VZEROUPPER
	RET

// func vOffset32(t *uint64, a *uint32, off uint32, lanes int, out *[3]uint32)
//
// t[i] = a[i] + off; out is their least, greatest and OR.
TEXT ·vOffset32(SB), NOSPLIT, $0-40
	MOVQ t+0(FP), DI
	MOVQ a+8(FP), SI
	MOVL off+16(FP), AX
	VMOVD AX, X0
	VPBROADCASTD X0, Y0
	MOVQ lanes+24(FP), CX
	MOVQ out+32(FP), R8
	VPCMPEQD Y1, Y1, Y1 // least
	VPXOR Y2, Y2, Y2    // greatest
	VPXOR Y3, Y3, Y3    // or
	XORQ AX, AX
loop32:
	VPADDD (SI)(AX*4), Y0, Y4
	VPMINUD Y4, Y1, Y1
	VPMAXUD Y4, Y2, Y2
	VPOR Y4, Y3, Y3
	VEXTRACTI128 $1, Y4, X5
	VPMOVZXDQ X4, Y6
	VPMOVZXDQ X5, Y7
	VMOVDQU Y6, (DI)(AX*8)
	VMOVDQU Y7, 32(DI)(AX*8)
	ADDQ $8, AX
	CMPQ AX, CX
	JLT  loop32
	VEXTRACTI128 $1, Y1, X4
	VPMINUD X4, X1, X1
	VEXTRACTI128 $1, Y2, X5
	VPMAXUD X5, X2, X2
	VEXTRACTI128 $1, Y3, X6
	VPOR X6, X3, X3
	VPSHUFD $0x4e, X1, X4
	VPMINUD X4, X1, X1
	VPSHUFD $0x4e, X2, X5
	VPMAXUD X5, X2, X2
	VPSHUFD $0x4e, X3, X6
	VPOR X6, X3, X3
	VPSHUFD $0xb1, X1, X4
	VPMINUD X4, X1, X1
	VPSHUFD $0xb1, X2, X5
	VPMAXUD X5, X2, X2
	VPSHUFD $0xb1, X3, X6
	VPOR X6, X3, X3
	VMOVD X1, (R8)
	VMOVD X2, 4(R8)
	VMOVD X3, 8(R8)
	VZEROUPPER
	RET

// Four lanes of four 32-bit elements: rows to columns and back (the transposition
// is its own inverse) in X0…X3, through X4…X7.
#define TRANSPOSE \
	VUNPCKLPS X1, X0, X4 \
	VUNPCKHPS X1, X0, X5 \
	VUNPCKLPS X3, X2, X6 \
	VUNPCKHPS X3, X2, X7 \
	VMOVLHPS X6, X4, X0  \
	VMOVHLPS X4, X6, X1  \
	VMOVLHPS X7, X5, X2  \
	VMOVHLPS X5, X7, X3

// func gatherQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)
//
// Element j of the quad at p + t[i] − lo goes to lane i of dj.
TEXT ·gatherQuads(SB), NOSPLIT, $0-64
	MOVQ d0+0(FP), DI
	MOVQ d1+8(FP), SI
	MOVQ d2+16(FP), DX
	MOVQ d3+24(FP), R8
	MOVQ p+32(FP), R9
	SUBQ lo+40(FP), R9
	MOVQ t+48(FP), R10
	MOVQ lanes+56(FP), CX
	XORQ AX, AX
loopg:
	MOVQ (R10)(AX*8), R11
	MOVQ 8(R10)(AX*8), R12
	MOVQ 16(R10)(AX*8), R13
	MOVQ 24(R10)(AX*8), BX
	VMOVUPS (R9)(R11*1), X0
	VMOVUPS (R9)(R12*1), X1
	VMOVUPS (R9)(R13*1), X2
	VMOVUPS (R9)(BX*1), X3
	TRANSPOSE
	VMOVUPS X0, (DI)(AX*4)
	VMOVUPS X1, (SI)(AX*4)
	VMOVUPS X2, (DX)(AX*4)
	VMOVUPS X3, (R8)(AX*4)
	ADDQ $4, AX
	CMPQ AX, CX
	JLT  loopg
	RET

// func scatterQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)
TEXT ·scatterQuads(SB), NOSPLIT, $0-64
	MOVQ d0+0(FP), DI
	MOVQ d1+8(FP), SI
	MOVQ d2+16(FP), DX
	MOVQ d3+24(FP), R8
	MOVQ p+32(FP), R9
	SUBQ lo+40(FP), R9
	MOVQ t+48(FP), R10
	MOVQ lanes+56(FP), CX
	XORQ AX, AX
loops:
	VMOVUPS (DI)(AX*4), X0
	VMOVUPS (SI)(AX*4), X1
	VMOVUPS (DX)(AX*4), X2
	VMOVUPS (R8)(AX*4), X3
	TRANSPOSE
	MOVQ (R10)(AX*8), R11
	MOVQ 8(R10)(AX*8), R12
	MOVQ 16(R10)(AX*8), R13
	MOVQ 24(R10)(AX*8), BX
	VMOVUPS X0, (R9)(R11*1)
	VMOVUPS X1, (R9)(R12*1)
	VMOVUPS X2, (R9)(R13*1)
	VMOVUPS X3, (R9)(BX*1)
	ADDQ $4, AX
	CMPQ AX, CX
	JLT  loops
	RET
