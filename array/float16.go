package array

import (
	"fmt"
	"math"

	"github.com/x448/float16"
)

// Float16 is an IEEE 754 half-precision number: 11 bits of precision, largest
// value 65504. It is a struct, so that Go's arithmetic and comparison of integers
// cannot be applied to its bits by mistake; its zero value is 0.
type Float16 struct{ bits uint16 }

// F16 returns x rounded to the nearest Float16, ties to even; beyond the range,
// an infinity.
func F16(x float32) Float16 { return Float16{float16.Fromfloat32(x).Bits()} }

// Float16FromBits returns the number with the given IEEE 754 bits.
func Float16FromBits(bits uint16) Float16 { return Float16{bits} }

// Bits returns the IEEE 754 bits of x.
func (x Float16) Bits() uint16 { return x.bits }

// Float32 returns x as a float32, exactly.
func (x Float16) Float32() float32 { return float16.Frombits(x.bits).Float32() }

// String formats x with the fewest digits that tell its float32 apart.
func (x Float16) String() string { return fmt.Sprint(x.Float32()) }

// Format implements fmt.Formatter: x is formatted as its float32 is.
func (x Float16) Format(f fmt.State, verb rune) { formatNumber(f, verb, x.Float32()) }

// BFloat16 is the upper half of a float32: its exponent range with 8 bits of
// precision. It is a struct for the reason that Float16 is one.
type BFloat16 struct{ bits uint16 }

// BF16 returns x rounded to the nearest BFloat16, ties to even. A NaN stays one.
func BF16(x float32) BFloat16 {
	b := math.Float32bits(x)
	if x != x {
		return BFloat16{uint16(b>>16) | 0x40} // quiet, so that cutting the payload leaves no infinity
	}
	return BFloat16{uint16((b + 0x7fff + b>>16&1) >> 16)}
}

// BFloat16FromBits returns the number with the given bits.
func BFloat16FromBits(bits uint16) BFloat16 { return BFloat16{bits} }

// Bits returns the bits of x.
func (x BFloat16) Bits() uint16 { return x.bits }

// Float32 returns x as a float32, exactly.
func (x BFloat16) Float32() float32 { return math.Float32frombits(uint32(x.bits) << 16) }

// String formats x with the fewest digits that tell its float32 apart.
func (x BFloat16) String() string { return fmt.Sprint(x.Float32()) }

// Format implements fmt.Formatter: x is formatted as its float32 is.
func (x BFloat16) Format(f fmt.State, verb rune) { formatNumber(f, verb, x.Float32()) }

// formatNumber formats x by a verb for floating-point numbers, and as %v where the verb
// is for what has a String method.
func formatNumber(f fmt.State, verb rune, x float32) {
	if verb == 's' {
		verb = 'v'
	}
	fmt.Fprintf(f, fmt.FormatString(f, verb), x)
}
