package array

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/internal/callsite"
)

// Failed returns an Array on d that carries err, as an operation's result does
// when it fails. It is for functions of other packages that make or compute
// Arrays, as array/gonumgpu does: op is the function's name in the error, and the
// line that the error shows is that of the function's caller. Where err is an
// [*Error] already, its reason is kept and its origin replaced. d may be nil.
func Failed[T Element](d *Device, op string, err error) *Array[T] {
	return to[T](failed(d, op, err))
}

func failed(d *Device, op string, err error) handle {
	e := &Error{Op: op, Err: err, pc: callsite.Caller(2)} // past failed, Failed and the function that failed
	var inner *Error
	switch {
	case errors.As(err, &inner):
		e.Operands, e.Err = inner.Operands, inner.Err
	case err == nil:
		e.Err = errors.New("no reason was given")
	}
	return handle{d, &node{err: e}}
}
