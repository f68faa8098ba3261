package phrase

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 axes", 1: "1 axis", 2: "2 axes", 11: "11 axes"} {
		if got := Count(n, "axis", "axes"); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}

func TestShape(t *testing.T) {
	for want, shape := range map[string][]int{"()": nil, "(3,)": {3}, "(2, 3)": {2, 3}, "(0, -1, 10)": {0, -1, 10}} {
		if got := Shape(shape); got != want {
			t.Errorf("%v: %q, want %q", shape, got, want)
		}
	}
}
