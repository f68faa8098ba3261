// Package arraycmp compares arrays in tests that use go-cmp:
//
//	if diff := cmp.Diff(want, got, arraycmp.EquateArrays()); diff != "" {
//		t.Errorf("(-want +got)\n%s", diff)
//	}
//
// want and got may be arrays or hold them anywhere. The elements are read, so the
// comparison waits for the device; arrays of different devices can be compared.
package arraycmp

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"runtime"

	"github.com/google/go-cmp/cmp"

	"github.com/seed6486a2bb/gpuarray/array"
)

// An Option changes what EquateArrays takes as equal.
type Option func(*rules)

// rules are what elements of floating-point types are compared by.
type rules struct {
	relative, absolute float64
	distinctNaNs       bool
}

// Within takes two elements x and y of a floating-point type as equal where
// |x − y| ≤ absolute + relative · max(|x|, |y|), computed in float64. Infinities
// are equal to themselves only. A bound that is negative or NaN counts as 0.
func Within(relative, absolute float64) Option {
	return func(r *rules) { r.relative, r.absolute = bound(relative), bound(absolute) }
}

func bound(x float64) float64 {
	if x > 0 {
		return x
	}
	return 0
}

// DistinctNaNs takes NaN as different from every number, NaN included.
func DistinctNaNs() Option { return func(r *rules) { r.distinctNaNs = true } }

// EquateArrays returns an option for go-cmp by which two arrays of one element type
// are equal where their shapes are, and their elements: 0 is equal to −0, and,
// unless an option says otherwise, NaN to NaN. How the elements lie in memory, and
// on which device, does not matter. An array that carries an error, or cannot be
// read, is equal to nothing, and the difference shows the error. A nil *Array is
// equal to a nil one. Arrays may also be compared by value.
//
// The rules hold for arrays only: other numbers are compared as go-cmp's other
// options say, which in turn do not apply to arrays' elements.
func EquateArrays(options ...Option) cmp.Option {
	var r rules
	for _, o := range options {
		if o != nil {
			o(&r)
		}
	}
	at := ""
	if _, file, line, ok := runtime.Caller(1); ok {
		at = fmt.Sprintf("%s:%d", filepath.Base(file), line)
	}
	return cmp.Options{
		cmp.Comparer(func(failure, failure) bool { return false }),
		cmp.Comparer(func(x, y real64) bool { return r.equal(float64(x), float64(y)) }),
		cmp.Comparer(func(x, y real32) bool { return r.equal(float64(x), float64(y)) }),
		cmp.Comparer(func(x, y real16) bool { return r.equal(float64(x), float64(y)) }),
		contents(at, func(x bool) bool { return x }),
		contents(at, func(x int8) int8 { return x }),
		contents(at, func(x int16) int16 { return x }),
		contents(at, func(x int32) int32 { return x }),
		contents(at, func(x int64) int64 { return x }),
		contents(at, func(x uint8) uint16 { return uint16(x) }), // go-cmp shows bytes as text
		contents(at, func(x uint16) uint16 { return x }),
		contents(at, func(x uint32) uint32 { return x }),
		contents(at, func(x uint64) uint64 { return x }),
		contents(at, func(x float32) real32 { return real32(x) }),
		contents(at, func(x float64) real64 { return real64(x) }),
		contents(at, func(x array.Float16) real16 { return real16(x.Float32()) }),
		contents(at, func(x array.BFloat16) real16 { return real16(x.Float32()) }),
	}
}

// Elements of floating-point types are compared as types of this package, so that
// no other option applies to them.
type (
	real64 float64
	real32 float32
	real16 float32
)

func (r rules) equal(x, y float64) bool {
	switch {
	case x == y:
		return true
	case x != x || y != y:
		return x != x && y != y && !r.distinctNaNs
	case math.IsInf(x, 0) || math.IsInf(y, 0):
		return false
	}
	return math.Abs(x-y) <= r.absolute+r.relative*max(math.Abs(x), math.Abs(y))
}

// failure is why an array cannot be compared.
type failure string

// elements are what is compared of an array: E is what T is shown as.
type elements[T array.Element, E any] struct {
	Shape  []int
	Values any // E for rank 0, []E for rank 1, else []any of what is one rank lower
	Error  *failure
}

// failureOf says why an array could not be read. Where the error is of the read
// itself, it is for the line that made the option: at.
func failureOf(err error, at string) *failure {
	text := failure(err.Error())
	var e *array.Error
	if errors.As(err, &e) {
		if file, _ := e.Caller(); filepath.Base(file) == "arraycmp.go" {
			text = failure(fmt.Sprintf("%v (compared at %s)", &array.Error{Op: e.Op, Operands: e.Operands, Err: e.Err}, at))
		}
	}
	return &text
}

// contents makes go-cmp compare arrays, and pointers to them, by what they hold.
func contents[T array.Element, E any](at string, show func(T) E) cmp.Option {
	read := func(a *array.Array[T]) *elements[T, E] {
		if a == nil {
			return nil
		}
		values, err := a.ToSlice()
		if err != nil {
			return &elements[T, E]{Error: failureOf(err, at)}
		}
		shown := make([]E, len(values))
		for i, v := range values {
			shown[i] = show(v)
		}
		return &elements[T, E]{Shape: a.Shape(), Values: nested(shown, a.Shape())}
	}
	return cmp.Options{
		cmp.Transformer("arraycmp.EquateArrays", read),
		cmp.Transformer("arraycmp.EquateArrays", func(a array.Array[T]) *elements[T, E] { return read(&a) }),
	}
}

// nested arranges values, in row-major order, as the shape says.
func nested[E any](values []E, shape []int) any {
	switch len(shape) {
	case 0:
		return values[0]
	case 1:
		return values
	}
	rows := make([]any, shape[0])
	for i := range rows {
		n := len(values) / len(rows)
		rows[i] = nested(values[i*n:(i+1)*n], shape[1:])
	}
	return rows
}
