#include "textflag.h"

// func walk(w *walked) bool
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-9
	MOVQ w+0(FP), DI
	MOVQ BP, SI
	MOVQ $7, CX
next:
	TESTQ SI, SI
	JZ   done
	MOVQ 8(SI), AX
	MOVQ AX, (DI)
	ADDQ $8, DI
	MOVQ (SI), SI
	DECQ CX
	JNZ  next
done:
	MOVB $1, ret+8(FP)
	RET
