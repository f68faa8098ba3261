// Package phrase has what messages of several packages say in the same way.
package phrase

import (
	"strconv"
	"strings"
)

// Count is a number of things: "1 kernel", "2 kernels".
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// Shape formats a shape as NumPy does: (), (3,), (2, 3).
func Shape(shape []int) string {
	var b strings.Builder
	b.WriteByte('(')
	for i, n := range shape {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(strconv.Itoa(n))
	}
	if len(shape) == 1 {
		b.WriteByte(',')
	}
	b.WriteByte(')')
	return b.String()
}
