package kernels

import (
	"strings"
	"testing"
)

var copyCases = [][]int{
	{}, {1}, {0, 3}, {1000}, {37, 41}, {64, 64}, {128, 192}, {100, 8}, {9, 300}, {3, 20, 33}, {2, 64, 3, 64}, {5, 1, 40}, {2, 3, 4, 5, 6}, {1, 65, 1, 130},
}

func testCopy[T comparable](t *testing.T, typ Type, value func(i int) T) (transposes int) {
	r := newRand(t)
	for _, shape := range copyCases {
		for range 8 {
			in, n := randomLayout(r, true, shape...)
			out, m := randomLayout(r, false, shape...)
			if k := len(shape); k >= 2 && r.IntN(2) == 0 { // the common case: a transposed matrix, aligned
				out, in = RowMajor(shape...), RowMajor(shape...)
				n, m = in.Len(), in.Len()
				stride := 1
				for _, axis := range r.Perm(k) {
					in.Strides[axis] = stride
					stride *= max(shape[axis], 1)
				}
			}
			data, got, want := make([]T, n), make([]T, m), make([]T, m)
			for i := range data {
				data[i] = value(i)
			}
			for i := range got {
				got[i], want[i] = value(-i), value(-i) // gaps stay as they are
			}
			var places []int
			in.each(func(at int) { places = append(places, at) })
			out.each(func(at int) { want[at], places = data[places[0]], places[1:] })
			var p Plan
			if err := Copy(&p, typ, out, in); err != nil {
				t.Fatal(err)
			}
			for _, l := range p.Launches {
				if strings.HasPrefix(l.Key, "transpose") {
					transposes++
				}
			}
			runPlan(t, &p, got, data, none)
			for i := range want {
				if got[i] != want[i] {
					t.Fatalf("%v %v: %+v from %+v: place %d is %v, want %v", typ, shape, out, in, i, got[i], want[i])
				}
			}
		}
	}
	return transposes
}

func TestCopy(t *testing.T) {
	for name, n := range map[string]int{
		"bool":    testCopy(t, Bool, func(i int) bool { return i*7%5 < 2 }),
		"int8":    testCopy(t, Int8, func(i int) int8 { return int8(i * 31) }),
		"float16": testCopy(t, Float16, func(i int) uint16 { return uint16(i * 257) }),
		"float32": testCopy(t, Float32, func(i int) uint32 { return uint32(i) * 0x01010107 }), // NaNs of all kinds among them
		"float64": testCopy(t, Float64, func(i int) uint64 { return uint64(i) * 0x0101010101010107 }),
	} {
		if n == 0 {
			t.Errorf("%s: no copy went through tiles", name)
		}
	}
}

func TestCopyErrors(t *testing.T) {
	var p Plan
	if err := Copy(&p, Float32, RowMajor(3), RowMajor(4)); err == nil {
		t.Error("shapes differ: no error")
	}
	if err := Copy(&p, Invalid, RowMajor(3), RowMajor(3)); err == nil {
		t.Error("no type: no error")
	}
}
