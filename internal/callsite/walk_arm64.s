#include "textflag.h"

// func walk(w *walked) bool
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-9
	MOVD w+0(FP), R0
	MOVD R29, R1
	MOVD $7, R2
next:
	CBZ  R1, done
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
