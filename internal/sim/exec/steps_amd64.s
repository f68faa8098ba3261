#include "textflag.h"

// Steps over rows with AVX2 and FMA3. Rows have a multiple of 32 lanes, so their
// size is a multiple of 128 bytes (4-byte lanes) or 256 (8-byte lanes). Each step
// ends by jumping to the next one; all the way through,
//
//	R8   row 0 of 32-bit lanes      R9   row 0 of 64-bit lanes
//	R10  bytes from slot to slot    R14  bytes of a 32-bit row
//	R11  predicate 0                R15  bytes from predicate to predicate
//	R12  the step                   BX   the step after the last
//
// and the others are free. A step is {code, d, a, b, c, with}, of 4 bytes each.

#define ROW(at, r) \
	MOVLQSX at(R12), r \
	IMULQ R10, r       \
	ADDQ R8, r

#define WIDE(at, r) \
	MOVLQSX at(R12), r \
	IMULQ R10, r       \
	ADDQ R9, r

#define PRED(at, r) \
	MOVLQSX at(R12), r \
	IMULQ R15, r       \
	ADDQ R11, r

#define GO \
	MOVL (R12), AX        \
	LEAQ codes<>(SB), CX  \
	MOVQ (CX)(AX*8), AX   \
	JMP AX

#define NEXT AFTER(24)

// AFTER goes on after so many bytes of steps.
#define AFTER(bytes) \
	ADDQ $bytes, R12 \
	CMPQ R12, BX   \
	JNE  on        \
	VZEROUPPER     \
	RET            \
on:                \
	GO

// func runSteps(s *step, n int, rows, wide unsafe.Pointer, pitch int, preds *uint32, predPitch, bytes int)
TEXT ·runSteps(SB), NOSPLIT, $0-64
	MOVQ s+0(FP), R12
	MOVQ n+8(FP), BX
	MOVQ rows+16(FP), R8
	MOVQ wide+24(FP), R9
	MOVQ pitch+32(FP), R10
	MOVQ preds+40(FP), R11
	MOVQ predPitch+48(FP), R15
	MOVQ bytes+56(FP), R14
	LEAQ (BX)(BX*2), BX
	LEAQ (R12)(BX*8), BX
	GO

// Loops over 4-byte lanes, 128 bytes at a time; loops over 8-byte lanes are the
// same with twice the bytes.
#define ABD(row) \
	row(4, DI)   \
	row(8, SI)   \
	row(12, DX)  \
	XORL AX, AX

#define AD(row) \
	row(4, DI)   \
	row(8, SI)   \
	XORL AX, AX

#define LOAD(p, y0, y1, y2, y3) \
	VMOVUPS (p)(AX*1), y0   \
	VMOVUPS 32(p)(AX*1), y1 \
	VMOVUPS 64(p)(AX*1), y2 \
	VMOVUPS 96(p)(AX*1), y3

#define STORE(y0, y1, y2, y3) \
	VMOVUPS y0, (DI)(AX*1)   \
	VMOVUPS y1, 32(DI)(AX*1) \
	VMOVUPS y2, 64(DI)(AX*1) \
	VMOVUPS y3, 96(DI)(AX*1)

// EACH applies op to what is at p and Y0…Y3.
#define EACH(op, p) \
	op (p)(AX*1), Y0, Y0   \
	op 32(p)(AX*1), Y1, Y1 \
	op 64(p)(AX*1), Y2, Y2 \
	op 96(p)(AX*1), Y3, Y3

// ALL applies op to a register and Y0…Y3.
#define ALL(op, y) \
	op y, Y0, Y0 \
	op y, Y1, Y1 \
	op y, Y2, Y2 \
	op y, Y3, Y3

#define AGAIN \
	ADDQ $128, AX \
	CMPQ AX, R14  \
	JLT  loop

#define AGAINWIDE \
	ADDQ $128, AX          \
	LEAQ (R14)(R14*1), R13 \
	CMPQ AX, R13           \
	JLT  loop

#define BINARY(op) \
	ABD(ROW)               \
loop:                      \
	LOAD(SI, Y0, Y1, Y2, Y3) \
	EACH(op, DX)           \
	STORE(Y0, Y1, Y2, Y3)  \
	AGAIN                  \
	NEXT

#define BINARYWIDE(op) \
	ABD(WIDE)              \
loop:                      \
	LOAD(SI, Y0, Y1, Y2, Y3) \
	EACH(op, DX)           \
	STORE(Y0, Y1, Y2, Y3)  \
	AGAINWIDE              \
	NEXT

// CANON makes NaNs in r the one that float32 instructions give, in Y15.
#define CANON(r, t) \
	VCMPPS $3, r, r, t \
	VBLENDVPS t, Y15, r, r

// SETTLE stores Y0…Y3, where there is a NaN after making it canonical: rarely,
// so that it is tested for all at once. It ends a loop.
#define SETTLE SETTLEAFTER(24)

#define SETTLEAFTER(bytes) \
	VCMPPS $3, Y1, Y0, Y4 \
	VCMPPS $3, Y3, Y2, Y5 \
	VORPS Y5, Y4, Y4      \
	VMOVMSKPS Y4, R13     \
	TESTL R13, R13        \
	JNE  nans             \
settled:                  \
	STORE(Y0, Y1, Y2, Y3) \
	AGAIN                 \
	AFTER(bytes)          \
nans:                     \
	VBROADCASTSS canonical<>(SB), Y15 \
	CANON(Y0, Y4)         \
	CANON(Y1, Y4)         \
	CANON(Y2, Y4)         \
	CANON(Y3, Y4)         \
	JMP settled

DATA canonical<>+0(SB)/4, $0x7fffffff
GLOBL canonical<>(SB), RODATA|NOPTR, $4

DATA one<>+0(SB)/4, $0x3f800000
GLOBL one<>(SB), RODATA|NOPTR, $4

#define BINARYFLOAT(op) \
	ABD(ROW)              \
loop:                     \
	LOAD(SI, Y0, Y1, Y2, Y3) \
	EACH(op, DX)          \
	SETTLE

TEXT add32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPADDD)

TEXT sub32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPSUBD)

TEXT mul32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPMULLD)

TEXT and32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPAND)

TEXT or32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPOR)

TEXT xor32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPXOR)

TEXT shl32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPSLLVD)

TEXT shr32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPSRLVD)

TEXT sar32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPSRAVD)

TEXT minU32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPMINUD)

TEXT maxU32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPMAXUD)

TEXT minS32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPMINSD)

TEXT maxS32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARY(VPMAXSD)

TEXT add64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VPADDQ)

TEXT sub64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VPSUBQ)

TEXT and64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VPAND)

TEXT or64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VPOR)

TEXT xor64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VPXOR)

TEXT addF64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VADDPD)

TEXT subF64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VSUBPD)

TEXT mulF64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VMULPD)

TEXT divF64<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYWIDE(VDIVPD)

TEXT addF32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYFLOAT(VADDPS)

TEXT subF32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYFLOAT(VSUBPS)

TEXT mulF32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYFLOAT(VMULPS)

TEXT divF32<>(SB), NOSPLIT|NOFRAME, $0-0
	BINARYFLOAT(VDIVPS)

TEXT rcpF32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
	VBROADCASTSS one<>(SB), Y14
loop:
	VDIVPS (SI)(AX*1), Y14, Y0
	VDIVPS 32(SI)(AX*1), Y14, Y1
	VDIVPS 64(SI)(AX*1), Y14, Y2
	VDIVPS 96(SI)(AX*1), Y14, Y3
	SETTLE

TEXT sqrtF32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
loop:
	VSQRTPS (SI)(AX*1), Y0
	VSQRTPS 32(SI)(AX*1), Y1
	VSQRTPS 64(SI)(AX*1), Y2
	VSQRTPS 96(SI)(AX*1), Y3
	SETTLE

// Each 32-bit product's upper half: of even lanes and of odd ones.
#define UPPER(at) \
	VMOVDQU at(SI)(AX*1), Y0 \
	VMOVDQU at(DX)(AX*1), Y1 \
	VPMULUDQ Y1, Y0, Y2      \
	VPSRLQ $32, Y0, Y0       \
	VPSRLQ $32, Y1, Y1       \
	VPMULUDQ Y1, Y0, Y0      \
	VPSRLQ $32, Y2, Y2       \
	VPBLENDD $0xaa, Y0, Y2, Y0 \
	VMOVDQU Y0, at(DI)(AX*1)

TEXT mulHi32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
loop:
	UPPER(0)
	UPPER(32)
	UPPER(64)
	UPPER(96)
	AGAIN
	NEXT

TEXT mad32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
	ROW(16, CX)
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	EACH(VPMULLD, DX)
	EACH(VPADDD, CX)
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

#define FMAS(op) \
	op (DX)(AX*1), Y4, Y0   \
	op 32(DX)(AX*1), Y5, Y1 \
	op 64(DX)(AX*1), Y6, Y2 \
	op 96(DX)(AX*1), Y7, Y3

TEXT fmaF32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
	ROW(16, CX)
loop:
	LOAD(CX, Y0, Y1, Y2, Y3)
	LOAD(SI, Y4, Y5, Y6, Y7)
	FMAS(VFMADD231PS)
	SETTLE

TEXT fmaF64<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(WIDE)
	WIDE(16, CX)
loop:
	LOAD(CX, Y0, Y1, Y2, Y3)
	LOAD(SI, Y4, Y5, Y6, Y7)
	FMAS(VFMADD231PD)
	STORE(Y0, Y1, Y2, Y3)
	AGAINWIDE
	NEXT

// Each is a where b is greater (less), b where a is, and where neither is, as
// zeros and equal numbers are, their bits joined, which makes −0 of zeros with
// different signs (+0). NaNs come later.
#define LIMIT(op, join, a, b, r) \
	op a, b, Y12 \
	op b, a, r   \
	join Y12, r, r

#define LIMITS(op, join) \
	LOAD(SI, Y0, Y1, Y2, Y3)  \
	LOAD(DX, Y4, Y5, Y6, Y7)  \
	LIMIT(op, join, Y0, Y4, Y8)  \
	LIMIT(op, join, Y1, Y5, Y9)  \
	LIMIT(op, join, Y2, Y6, Y10) \
	LIMIT(op, join, Y3, Y7, Y11) \
	VCMPPS $3, Y4, Y0, Y12 \
	VCMPPS $3, Y5, Y1, Y13 \
	VORPS Y13, Y12, Y12    \
	VCMPPS $3, Y6, Y2, Y13 \
	VORPS Y13, Y12, Y12    \
	VCMPPS $3, Y7, Y3, Y13 \
	VORPS Y13, Y12, Y12    \
	VMOVMSKPS Y12, R13     \
	TESTL R13, R13         \
	JNE  nans              \
settled:                   \
	STORE(Y8, Y9, Y10, Y11) \
	AGAIN                  \
	NEXT

// NUMBER is what there is of a number: r where both are.
#define NUMBER(a, b, r) \
	VCMPPS $3, a, a, Y12    \
	VBLENDVPS Y12, b, r, r  \
	VCMPPS $3, b, b, Y12    \
	VBLENDVPS Y12, a, r, r  \
	CANON(r, Y12)

#define NUMBERS \
nans:                   \
	VBROADCASTSS canonical<>(SB), Y15 \
	NUMBER(Y0, Y4, Y8)  \
	NUMBER(Y1, Y5, Y9)  \
	NUMBER(Y2, Y6, Y10) \
	NUMBER(Y3, Y7, Y11) \
	JMP settled

#define NEITHER(a, b, r) \
	VCMPPS $3, a, b, Y12 \
	VBLENDVPS Y12, Y15, r, r

#define NEITHERS \
nans:                    \
	VBROADCASTSS canonical<>(SB), Y15 \
	NEITHER(Y0, Y4, Y8)  \
	NEITHER(Y1, Y5, Y9)  \
	NEITHER(Y2, Y6, Y10) \
	NEITHER(Y3, Y7, Y11) \
	JMP settled

TEXT minF32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
loop:
	LIMITS(VMINPS, VORPS)
	NUMBERS

TEXT maxF32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
loop:
	LIMITS(VMAXPS, VANDPS)
	NUMBERS

TEXT minNaNF32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
loop:
	LIMITS(VMINPS, VORPS)
	NEITHERS

TEXT maxNaNF32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
loop:
	LIMITS(VMAXPS, VANDPS)
	NEITHERS

// Y15 = the sign bit of each lane; Y14 = the others.
#define SIGNS32 \
	VPCMPEQD Y15, Y15, Y15 \
	VPSRLD $1, Y15, Y14    \
	VPSLLD $31, Y15, Y15

#define SIGNS64 \
	VPCMPEQD Y15, Y15, Y15 \
	VPSRLQ $1, Y15, Y14    \
	VPSLLQ $63, Y15, Y15

TEXT neg32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
	SIGNS32
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	ALL(VPXOR, Y15)
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

TEXT abs32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
	SIGNS32
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	ALL(VPAND, Y14)
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

TEXT neg64<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(WIDE)
	SIGNS64
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	ALL(VPXOR, Y15)
	STORE(Y0, Y1, Y2, Y3)
	AGAINWIDE
	NEXT

TEXT abs64<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(WIDE)
	SIGNS64
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	ALL(VPAND, Y14)
	STORE(Y0, Y1, Y2, Y3)
	AGAINWIDE
	NEXT

// The sign of a, the rest of b.
#define COPYSIGN \
	VPAND (SI)(AX*1), Y15, Y0   \
	VPAND 32(SI)(AX*1), Y15, Y1 \
	VPAND 64(SI)(AX*1), Y15, Y2 \
	VPAND 96(SI)(AX*1), Y15, Y3 \
	VPAND (DX)(AX*1), Y14, Y4   \
	VPAND 32(DX)(AX*1), Y14, Y5 \
	VPAND 64(DX)(AX*1), Y14, Y6 \
	VPAND 96(DX)(AX*1), Y14, Y7 \
	VPOR Y4, Y0, Y0 \
	VPOR Y5, Y1, Y1 \
	VPOR Y6, Y2, Y2 \
	VPOR Y7, Y3, Y3 \
	STORE(Y0, Y1, Y2, Y3)

TEXT copysign32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
	SIGNS32
loop:
	COPYSIGN
	AGAIN
	NEXT

TEXT copysign64<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(WIDE)
	SIGNS64
loop:
	COPYSIGN
	AGAINWIDE
	NEXT

TEXT not32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
	VPCMPEQD Y15, Y15, Y15
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	ALL(VPXOR, Y15)
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

TEXT move32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

TEXT move64<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(WIDE)
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	STORE(Y0, Y1, Y2, Y3)
	AGAINWIDE
	NEXT

TEXT f32FromS32<>(SB), NOSPLIT|NOFRAME, $0-0
	AD(ROW)
loop:
	VCVTDQ2PS (SI)(AX*1), Y0
	VCVTDQ2PS 32(SI)(AX*1), Y1
	VCVTDQ2PS 64(SI)(AX*1), Y2
	VCVTDQ2PS 96(SI)(AX*1), Y3
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

// Loops over rows of both widths, 32 bytes of the narrow one at a time.
#define AGAINMIXED \
	ADDQ $32, AX  \
	CMPQ AX, R14  \
	JLT  loop

#define STOREMIXED \
	VMOVDQU Y0, (DI)(AX*2)   \
	VMOVDQU Y2, 32(DI)(AX*2)

#define PRODUCTS(extend, op) \
	extend (SI)(AX*1), Y0   \
	extend (DX)(AX*1), Y1   \
	op Y1, Y0, Y0           \
	extend 16(SI)(AX*1), Y2 \
	extend 16(DX)(AX*1), Y3 \
	op Y3, Y2, Y2

#define MULWIDE(extend, op) \
	WIDE(4, DI)          \
	ROW(8, SI)           \
	ROW(12, DX)          \
	XORL AX, AX          \
loop:                    \
	PRODUCTS(extend, op) \
	STOREMIXED           \
	AGAINMIXED           \
	NEXT

#define MADWIDE(extend, op) \
	WIDE(4, DI)          \
	ROW(8, SI)           \
	ROW(12, DX)          \
	WIDE(16, CX)         \
	XORL AX, AX          \
loop:                    \
	PRODUCTS(extend, op) \
	VPADDQ (CX)(AX*2), Y0, Y0   \
	VPADDQ 32(CX)(AX*2), Y2, Y2 \
	STOREMIXED           \
	AGAINMIXED           \
	NEXT

TEXT mulWideU<>(SB), NOSPLIT|NOFRAME, $0-0
	MULWIDE(VPMOVZXDQ, VPMULUDQ)

TEXT mulWideS<>(SB), NOSPLIT|NOFRAME, $0-0
	MULWIDE(VPMOVSXDQ, VPMULDQ)

TEXT madWideU<>(SB), NOSPLIT|NOFRAME, $0-0
	MADWIDE(VPMOVZXDQ, VPMULUDQ)

TEXT madWideS<>(SB), NOSPLIT|NOFRAME, $0-0
	MADWIDE(VPMOVSXDQ, VPMULDQ)

#define SHIFTWIDE(op) \
	WIDE(4, DI)                  \
	WIDE(8, SI)                  \
	ROW(12, DX)                  \
	XORL AX, AX                  \
loop:                            \
	VMOVDQU (SI)(AX*2), Y0       \
	VMOVDQU 32(SI)(AX*2), Y2     \
	VPMOVZXDQ (DX)(AX*1), Y1     \
	VPMOVZXDQ 16(DX)(AX*1), Y3   \
	op Y1, Y0, Y0                \
	op Y3, Y2, Y2                \
	STOREMIXED                   \
	AGAINMIXED                   \
	NEXT

TEXT shl64<>(SB), NOSPLIT|NOFRAME, $0-0
	SHIFTWIDE(VPSLLVQ)

TEXT shr64<>(SB), NOSPLIT|NOFRAME, $0-0
	SHIFTWIDE(VPSRLVQ)

#define WIDEN(extend) \
	WIDE(4, DI)             \
	ROW(8, SI)              \
	XORL AX, AX             \
loop:                       \
	extend (SI)(AX*1), Y0   \
	extend 16(SI)(AX*1), Y2 \
	STOREMIXED              \
	AGAINMIXED              \
	NEXT

TEXT widenU<>(SB), NOSPLIT|NOFRAME, $0-0
	WIDEN(VPMOVZXDQ)

TEXT widenS<>(SB), NOSPLIT|NOFRAME, $0-0
	WIDEN(VPMOVSXDQ)

TEXT narrow<>(SB), NOSPLIT|NOFRAME, $0-0
	ROW(4, DI)
	WIDE(8, SI)
	XORL AX, AX
loop:
	VMOVUPS (SI)(AX*2), Y0
	VSHUFPS $0x88, 32(SI)(AX*2), Y0, Y0
	VPERMQ $0xd8, Y0, Y0
	VMOVDQU Y0, (DI)(AX*1)
	AGAINMIXED
	NEXT

// selp: the bit of each lane of a warp's mask moves to its sign, where a blend
// looks.
DATA toSign<>+0(SB)/8, $0x0000001e0000001f
DATA toSign<>+8(SB)/8, $0x0000001c0000001d
DATA toSign<>+16(SB)/8, $0x0000001a0000001b
DATA toSign<>+24(SB)/8, $0x0000001800000019
DATA toSign<>+32(SB)/8, $0x0000001600000017
DATA toSign<>+40(SB)/8, $0x0000001400000015
DATA toSign<>+48(SB)/8, $0x0000001200000013
DATA toSign<>+56(SB)/8, $0x0000001000000011
DATA toSign<>+64(SB)/8, $0x0000000e0000000f
DATA toSign<>+72(SB)/8, $0x0000000c0000000d
DATA toSign<>+80(SB)/8, $0x0000000a0000000b
DATA toSign<>+88(SB)/8, $0x0000000800000009
DATA toSign<>+96(SB)/8, $0x0000000600000007
DATA toSign<>+104(SB)/8, $0x0000000400000005
DATA toSign<>+112(SB)/8, $0x0000000200000003
DATA toSign<>+120(SB)/8, $0x0000000000000001
GLOBL toSign<>(SB), RODATA|NOPTR, $128

// Y7 = the mask at CX, with the step's negation in Y6, in every lane.
#define MASK \
	VPBROADCASTD (CX), Y7 \
	VPXOR Y6, Y7, Y7      \
	ADDQ $4, CX

TEXT select32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(ROW)
	PRED(16, CX)
	VPBROADCASTD 20(R12), Y6
	VMOVDQU toSign<>+0(SB), Y8
	VMOVDQU toSign<>+32(SB), Y9
	VMOVDQU toSign<>+64(SB), Y10
	VMOVDQU toSign<>+96(SB), Y11
loop:
	MASK
	VPSLLVD Y8, Y7, Y12
	VPSLLVD Y9, Y7, Y13
	VPSLLVD Y10, Y7, Y14
	VPSLLVD Y11, Y7, Y15
	LOAD(DX, Y0, Y1, Y2, Y3)
	VBLENDVPS Y12, (SI)(AX*1), Y0, Y0
	VBLENDVPS Y13, 32(SI)(AX*1), Y1, Y1
	VBLENDVPS Y14, 64(SI)(AX*1), Y2, Y2
	VBLENDVPS Y15, 96(SI)(AX*1), Y3, Y3
	STORE(Y0, Y1, Y2, Y3)
	AGAIN
	NEXT

// SELECT64 is eight lanes of 64 bits at p and q of a row, whose places in the
// mask are at toSign+at.
#define SELECT64(at, p, q) \
	VPSLLVD toSign<>+at(SB), Y7, Y4 \
	VPMOVSXDQ X4, Y2                \
	VEXTRACTI128 $1, Y4, X4         \
	VPMOVSXDQ X4, Y3                \
	VMOVUPD p(DX)(AX*1), Y0         \
	VMOVUPD q(DX)(AX*1), Y1         \
	VBLENDVPD Y2, p(SI)(AX*1), Y0, Y0 \
	VBLENDVPD Y3, q(SI)(AX*1), Y1, Y1 \
	VMOVUPD Y0, p(DI)(AX*1)         \
	VMOVUPD Y1, q(DI)(AX*1)

TEXT select64<>(SB), NOSPLIT|NOFRAME, $0-0
	ABD(WIDE)
	PRED(16, CX)
	VPBROADCASTD 20(R12), Y6
loop:
	MASK
	SELECT64(0, 0, 32)
	SELECT64(32, 64, 96)
	SELECT64(64, 128, 160)
	SELECT64(96, 192, 224)
	ADDQ $128, AX
	AGAINWIDE
	NEXT

// Comparisons: one mask of 32 lanes for every 128 bytes, of the sign bits of
// Y0…Y3, xored with the step's last word.
#define ABP \
	PRED(4, DI)        \
	ROW(8, SI)         \
	ROW(12, DX)        \
	XORL AX, AX

#define BITS \
	VMOVMSKPS Y0, R13 \
	VMOVMSKPS Y1, CX  \
	SHLL $8, CX       \
	ORL  CX, R13      \
	VMOVMSKPS Y2, CX  \
	SHLL $16, CX      \
	ORL  CX, R13      \
	VMOVMSKPS Y3, CX  \
	SHLL $24, CX      \
	ORL  CX, R13      \
	XORL 20(R12), R13 \
	MOVL R13, (DI)    \
	ADDQ $4, DI       \
	AGAIN             \
	NEXT

#define COMPAREFLOAT(relation) \
	ABP                                     \
loop:                                       \
	LOAD(SI, Y0, Y1, Y2, Y3)                \
	VCMPPS relation, (DX)(AX*1), Y0, Y0     \
	VCMPPS relation, 32(DX)(AX*1), Y1, Y1   \
	VCMPPS relation, 64(DX)(AX*1), Y2, Y2   \
	VCMPPS relation, 96(DX)(AX*1), Y3, Y3   \
	BITS

TEXT eqF32<>(SB), NOSPLIT|NOFRAME, $0-0
	COMPAREFLOAT($0)

TEXT ltF32<>(SB), NOSPLIT|NOFRAME, $0-0
	COMPAREFLOAT($1)

TEXT leF32<>(SB), NOSPLIT|NOFRAME, $0-0
	COMPAREFLOAT($2)

TEXT nanF32<>(SB), NOSPLIT|NOFRAME, $0-0
	COMPAREFLOAT($3)

TEXT eq32<>(SB), NOSPLIT|NOFRAME, $0-0
	ABP
loop:
	LOAD(SI, Y0, Y1, Y2, Y3)
	EACH(VPCMPEQD, DX)
	BITS

// a <= b where min(a, b) is a.
#define ATMOST(min) \
	ABP                       \
loop:                         \
	LOAD(SI, Y0, Y1, Y2, Y3)  \
	min (DX)(AX*1), Y0, Y4    \
	min 32(DX)(AX*1), Y1, Y5  \
	min 64(DX)(AX*1), Y2, Y6  \
	min 96(DX)(AX*1), Y3, Y7  \
	VPCMPEQD Y4, Y0, Y0       \
	VPCMPEQD Y5, Y1, Y1       \
	VPCMPEQD Y6, Y2, Y2       \
	VPCMPEQD Y7, Y3, Y3       \
	BITS

TEXT leU32<>(SB), NOSPLIT|NOFRAME, $0-0
	ATMOST(VPMINUD)

TEXT leS32<>(SB), NOSPLIT|NOFRAME, $0-0
	ATMOST(VPMINSD)

// Polynomials: an fma and those after it whose first factor is the result before,
// the second its a, and the addend the constant in the last word of their step.
// Of the results only the last is stored; a NaN in between leaves a NaN.
#define CHAIN \
	ABD(ROW)                 \
	ROW(16, CX)

#define BEGIN \
	LOAD(CX, Y0, Y1, Y2, Y3) \
	LOAD(SI, Y4, Y5, Y6, Y7) \
	FMAS(VFMADD231PS)

#define LINK(c) \
	VFMADD213PS c, Y4, Y0 \
	VFMADD213PS c, Y5, Y1 \
	VFMADD213PS c, Y6, Y2 \
	VFMADD213PS c, Y7, Y3

TEXT chain1<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
loop:
	BEGIN
	LINK(Y8)
	SETTLEAFTER(48)

TEXT chain2<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
	VBROADCASTSS 68(R12), Y9
loop:
	BEGIN
	LINK(Y8)
	LINK(Y9)
	SETTLEAFTER(72)

TEXT chain3<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
	VBROADCASTSS 68(R12), Y9
	VBROADCASTSS 92(R12), Y10
loop:
	BEGIN
	LINK(Y8)
	LINK(Y9)
	LINK(Y10)
	SETTLEAFTER(96)

TEXT chain4<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
	VBROADCASTSS 68(R12), Y9
	VBROADCASTSS 92(R12), Y10
	VBROADCASTSS 116(R12), Y11
loop:
	BEGIN
	LINK(Y8)
	LINK(Y9)
	LINK(Y10)
	LINK(Y11)
	SETTLEAFTER(120)

TEXT chain5<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
	VBROADCASTSS 68(R12), Y9
	VBROADCASTSS 92(R12), Y10
	VBROADCASTSS 116(R12), Y11
	VBROADCASTSS 140(R12), Y12
loop:
	BEGIN
	LINK(Y8)
	LINK(Y9)
	LINK(Y10)
	LINK(Y11)
	LINK(Y12)
	SETTLEAFTER(144)

TEXT chain6<>(SB), NOSPLIT|NOFRAME, $0-0
	CHAIN
	VBROADCASTSS 44(R12), Y8
	VBROADCASTSS 68(R12), Y9
	VBROADCASTSS 92(R12), Y10
	VBROADCASTSS 116(R12), Y11
	VBROADCASTSS 140(R12), Y12
	VBROADCASTSS 164(R12), Y13
loop:
	BEGIN
	LINK(Y8)
	LINK(Y9)
	LINK(Y10)
	LINK(Y11)
	LINK(Y12)
	LINK(Y13)
	SETTLEAFTER(168)

// codes holds the steps in the order of the constants in steps_amd64.go.
DATA codes<>+0(SB)/8, $add32<>(SB)
DATA codes<>+8(SB)/8, $sub32<>(SB)
DATA codes<>+16(SB)/8, $mul32<>(SB)
DATA codes<>+24(SB)/8, $and32<>(SB)
DATA codes<>+32(SB)/8, $or32<>(SB)
DATA codes<>+40(SB)/8, $xor32<>(SB)
DATA codes<>+48(SB)/8, $shl32<>(SB)
DATA codes<>+56(SB)/8, $shr32<>(SB)
DATA codes<>+64(SB)/8, $sar32<>(SB)
DATA codes<>+72(SB)/8, $minU32<>(SB)
DATA codes<>+80(SB)/8, $maxU32<>(SB)
DATA codes<>+88(SB)/8, $minS32<>(SB)
DATA codes<>+96(SB)/8, $maxS32<>(SB)
DATA codes<>+104(SB)/8, $add64<>(SB)
DATA codes<>+112(SB)/8, $sub64<>(SB)
DATA codes<>+120(SB)/8, $and64<>(SB)
DATA codes<>+128(SB)/8, $or64<>(SB)
DATA codes<>+136(SB)/8, $xor64<>(SB)
DATA codes<>+144(SB)/8, $addF64<>(SB)
DATA codes<>+152(SB)/8, $subF64<>(SB)
DATA codes<>+160(SB)/8, $mulF64<>(SB)
DATA codes<>+168(SB)/8, $divF64<>(SB)
DATA codes<>+176(SB)/8, $addF32<>(SB)
DATA codes<>+184(SB)/8, $subF32<>(SB)
DATA codes<>+192(SB)/8, $mulF32<>(SB)
DATA codes<>+200(SB)/8, $divF32<>(SB)
DATA codes<>+208(SB)/8, $rcpF32<>(SB)
DATA codes<>+216(SB)/8, $sqrtF32<>(SB)
DATA codes<>+224(SB)/8, $mad32<>(SB)
DATA codes<>+232(SB)/8, $fmaF32<>(SB)
DATA codes<>+240(SB)/8, $fmaF64<>(SB)
DATA codes<>+248(SB)/8, $minF32<>(SB)
DATA codes<>+256(SB)/8, $maxF32<>(SB)
DATA codes<>+264(SB)/8, $minNaNF32<>(SB)
DATA codes<>+272(SB)/8, $maxNaNF32<>(SB)
DATA codes<>+280(SB)/8, $neg32<>(SB)
DATA codes<>+288(SB)/8, $abs32<>(SB)
DATA codes<>+296(SB)/8, $neg64<>(SB)
DATA codes<>+304(SB)/8, $abs64<>(SB)
DATA codes<>+312(SB)/8, $copysign32<>(SB)
DATA codes<>+320(SB)/8, $copysign64<>(SB)
DATA codes<>+328(SB)/8, $not32<>(SB)
DATA codes<>+336(SB)/8, $move32<>(SB)
DATA codes<>+344(SB)/8, $move64<>(SB)
DATA codes<>+352(SB)/8, $f32FromS32<>(SB)
DATA codes<>+360(SB)/8, $mulWideU<>(SB)
DATA codes<>+368(SB)/8, $mulWideS<>(SB)
DATA codes<>+376(SB)/8, $madWideU<>(SB)
DATA codes<>+384(SB)/8, $madWideS<>(SB)
DATA codes<>+392(SB)/8, $shl64<>(SB)
DATA codes<>+400(SB)/8, $shr64<>(SB)
DATA codes<>+408(SB)/8, $widenU<>(SB)
DATA codes<>+416(SB)/8, $widenS<>(SB)
DATA codes<>+424(SB)/8, $narrow<>(SB)
DATA codes<>+432(SB)/8, $select32<>(SB)
DATA codes<>+440(SB)/8, $select64<>(SB)
DATA codes<>+448(SB)/8, $eqF32<>(SB)
DATA codes<>+456(SB)/8, $ltF32<>(SB)
DATA codes<>+464(SB)/8, $leF32<>(SB)
DATA codes<>+472(SB)/8, $nanF32<>(SB)
DATA codes<>+480(SB)/8, $eq32<>(SB)
DATA codes<>+488(SB)/8, $leU32<>(SB)
DATA codes<>+496(SB)/8, $leS32<>(SB)
DATA codes<>+504(SB)/8, $mulHi32<>(SB)
DATA codes<>+512(SB)/8, $chain1<>(SB)
DATA codes<>+520(SB)/8, $chain2<>(SB)
DATA codes<>+528(SB)/8, $chain3<>(SB)
DATA codes<>+536(SB)/8, $chain4<>(SB)
DATA codes<>+544(SB)/8, $chain5<>(SB)
DATA codes<>+552(SB)/8, $chain6<>(SB)
GLOBL codes<>(SB), RODATA, $560
