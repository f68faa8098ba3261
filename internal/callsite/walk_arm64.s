#include "textflag.h"

// func walk(w *walked) bool
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-9
	MOVD w+0(FP), R0
	MOVD R29, R1
	MOVD RSP, R5
	SUB  $16, R5, R5 // the caller keeps its pair 8 bytes below its stack pointer
	MOVD 8(g), R6 // g begins with its stack's ends
	SUB  $16, R6, R6
	MOVD $7, R2
next:
	CBZ  R1, done
	CMP  R5, R1
	BLS  lost
	CMP  R6, R1
	BHI  lost
	MOVD R1, R5
	MOVD 8(R1), R3
	MOVD R3, (R0)
	ADD  $8, R0
	MOVD (R1), R1
	SUB  $1, R2
	CBNZ R2, next
done:
	MOVD $1, R4
	MOVB R4, ret+8(FP)
	RET
lost:
	MOVB ZR, ret+8(FP)
	RET
