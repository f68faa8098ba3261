package array

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/callsite"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// Kinds of errors, for errors.Is. Each error of this package is an *Error with
// one of them, and with the driver's error where there is one.
var (
	ErrShape       = errors.New("array: shapes do not fit")
	ErrType        = errors.New("array: operation not defined for the element type")
	ErrIndex       = errors.New("array: index or axis out of range")
	ErrFreed       = errors.New("array: use of a freed array")
	ErrDevice      = errors.New("array: device missing, closed, foreign or failed")
	ErrOutOfMemory = errors.New("array: out of device memory")
	ErrCapture     = errors.New("array: not possible in a graph that is being captured, or before its first launch")
	ErrArgument    = errors.New("array: argument that means nothing") // of a function that takes no arrays, as Device.Limit
)

// Error says which operation failed, on what, where it was called, and why.
type Error struct {
	Op       string   // name of the public function or method, for instance "MatMul"
	Operands []string // type and shape of each operand, for instance "float32 (2, 3)"; of many, the first few
	Err      error    // the reason; errors.Is finds its kind and the driver's error in it

	pc uintptr // return address in the caller's code
}

// Error formats the error on one line.
func (e *Error) Error() string {
	if e == nil {
		return "array: no error"
	}
	var b strings.Builder
	b.WriteString("array: ")
	b.WriteString(e.Op)
	if len(e.Operands) > 0 {
		b.WriteString(" of ")
		b.WriteString(strings.Join(e.Operands, ", "))
	}
	if file, line := e.Caller(); file != "" {
		fmt.Fprintf(&b, " at %s:%d", filepath.Base(file), line)
	}
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Err
}

// Caller returns the file and line that called the operation, or "" and 0 where
// they are not known.
func (e *Error) Caller() (file string, line int) {
	if e == nil {
		return "", 0
	}
	return lineOf(e.pc)
}

// lineOf resolves a program counter taken by here or directly.
func lineOf(pc uintptr) (file string, line int) {
	if pc == 0 {
		return "", 0
	}
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return f.File, f.Line
}

// A reason is an error's kind with what was asked, what was there and what to do.
type reason struct {
	kind  error
	text  string
	cause error // the driver's error, or nil
}

func (r *reason) Error() string {
	if r.cause != nil {
		return r.text + ": " + r.cause.Error()
	}
	return r.text
}

func (r *reason) Unwrap() []error {
	if r.cause != nil {
		return []error{r.kind, r.cause}
	}
	return []error{r.kind}
}

// because returns a reason of the given kind.
func because(kind error, format string, args ...any) error {
	return &reason{kind: kind, text: fmt.Sprintf(format, args...)}
}

// A call is the public operation being carried out: its name and its caller. It
// is what errors, labels of memory and deferred work know about their origin.
type call struct {
	op string
	pc uintptr
}

// here starts a call. It must be called by the function that a public function
// calls, and by nothing deeper, for the program counter to be the user's. The
// counter is resolved only when an error or a report is printed.
func here(op string) call { return call{op, callsite.Caller(2)} }

// directly is here for a public function that does its work itself.
func directly(op string) call { return call{op, callsite.Caller(1)} }

// maxNamed is how many operands an error lists: Concat may have thousands.
const maxNamed = 8

// fail makes the call's error.
func (c call) fail(err error, operands ...handle) *Error {
	e := &Error{Op: c.op, Err: err, pc: c.pc}
	for i, h := range operands {
		if i == maxNamed && len(operands) > maxNamed+1 {
			e.Operands = append(e.Operands, fmt.Sprintf("and %d more", len(operands)-i))
			break
		}
		e.Operands = append(e.Operands, h.describe())
	}
	return e
}

// elements is a number of them, in words.
func elements(n int) string { return phrase.Count(n, "element", "elements") }

// indices is a number of them, in words.
func indices(n int) string { return phrase.Count(n, "index", "indices") }

// of adds the operands to an error of the call that was made where they were not
// known. Errors of other calls stay what they are.
func (c call) of(err *Error, operands ...handle) *Error {
	if err == nil || len(err.Operands) > 0 || err.Op != c.op || err.pc != c.pc {
		return err
	}
	return c.fail(err.Err, operands...)
}

// lost says which of the operands it is whose memory is gone.
func (c call) lost(err *Error, i int, operands []handle) *Error {
	if len(operands) > 1 && errors.Is(err, ErrFreed) && err.pc == c.pc {
		err = c.fail(&reason{ErrFreed, fmt.Sprintf("operand %d of %d", i+1, len(operands)), err.Err})
	}
	return c.of(err, operands...)
}
