#include "textflag.h"

// func walk(w *walked) bool
TEXT ·walk(SB), NOSPLIT|NOFRAME, $0-9
	MOVQ w+0(FP), DI
	MOVQ BP, SI
	MOVQ SP, DX
	MOVQ TLS, CX
	MOVQ 0(CX)(TLS*1), CX // g, which begins with its stack's ends
	MOVQ 8(CX), BX
	SUBQ $16, BX
	MOVQ $7, CX
next:
	TESTQ SI, SI
	JZ   done
	CMPQ SI, DX
	JLS  lost
	CMPQ SI, BX
	JHI  lost
	MOVQ SI, DX
	MOVQ 8(SI), AX
	MOVQ AX, (DI)
	ADDQ $8, DI
	MOVQ (SI), SI
	DECQ CX
	JNZ  next
done:
	MOVB $1, ret+8(FP)
	RET
lost:
	MOVB $0, ret+8(FP)
	RET
