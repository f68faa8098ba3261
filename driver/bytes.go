package driver

import (
	"reflect"
	"unsafe"
)

// Bytes returns the memory of s as bytes, in the machine's own order: a view,
// not a copy. T must hold no pointers, so that nothing that a device writes
// can be taken for one.
func Bytes[T any](s []T) ([]byte, error) {
	if err := plain[T](); err != nil {
		return nil, err
	}
	var zero T
	// The slice's own memory, all of it, kept alive by the result; any byte
	// pattern is a T, and T needs no write barrier, as it holds no pointers.
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), uintptr(len(s))*unsafe.Sizeof(zero)), nil
}

// View returns bytes as a slice of T, in the machine's own order: a view, not a
// copy, of as many elements as fit. T must hold no pointers, and b must be
// aligned as T asks.
func View[T any](b []byte) ([]T, error) {
	if err := plain[T](); err != nil {
		return nil, err
	}
	var zero T
	size := unsafe.Sizeof(zero)
	if size == 0 || len(b) == 0 {
		return nil, nil
	}
	p := unsafe.Pointer(unsafe.SliceData(b))
	if uintptr(p)%unsafe.Alignof(zero) != 0 {
		return nil, invalid("View", "the bytes start at an address that is no multiple of %d, as %s needs", unsafe.Alignof(zero), reflect.TypeFor[T]())
	}
	// As in Bytes; the length is rounded down, so the view stays within b.
	return unsafe.Slice((*T)(p), uintptr(len(b))/size), nil
}

func plain[T any]() error {
	if t := reflect.TypeFor[T](); !isPlain(t) {
		return invalid("Bytes", "elements of type %s hold pointers, or are of a size that differs between machines' C compilers", t)
	}
	return nil
}

func isPlain(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Array:
		return isPlain(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			if !isPlain(t.Field(i).Type) {
				return false
			}
		}
		return true
	default:
		return reflect.Bool <= t.Kind() && t.Kind() <= reflect.Complex128 && t.Kind() != reflect.Uintptr
	}
}
