package array

import (
	"fmt"
	"math"
	"math/big"
	"testing"
)

// TestBF16Rounding compares with math/big, rounding to 8 bits.
func TestBF16Rounding(t *testing.T) {
	for hi := range 1 << 16 {
		for _, lo := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
			x := math.Float32frombits(uint32(hi)<<16 | lo)
			got := BF16(x).Float32()
			exp := int(uint32(hi) >> 7 & 0xff)
			if exp == 0xff || exp == 0 {
				if (x != x) != (got != got) || math.IsInf(float64(x), 0) && got != x {
					t.Fatalf("BF16(%v) = %v", x, got)
				}
				continue
			}
			want, _ := new(big.Float).SetPrec(8).SetMode(big.ToNearestEven).SetFloat64(float64(x)).Float64()
			if float64(got) != want && !(math.IsInf(float64(got), 0) && math.Abs(want) > math.MaxFloat32) {
				t.Fatalf("BF16(%v) = %v, want %v", x, got, want)
			}
		}
	}
}

func TestHalvesRoundTrip(t *testing.T) {
	for bits := range 1 << 16 {
		h, b := Float16FromBits(uint16(bits)), BFloat16FromBits(uint16(bits))
		if f := h.Float32(); f == f && F16(f) != h {
			t.Fatalf("F16(%v) = %#x, want %#x", f, F16(f).Bits(), bits)
		}
		if f := b.Float32(); f == f && BF16(f) != b {
			t.Fatalf("BF16(%v) = %#x, want %#x", f, BF16(f).Bits(), bits)
		}
	}
}

// Halves print as their float32 does, by every verb.
func TestHalvesFormat(t *testing.T) {
	for _, x := range []float32{0, 1.5, -2.25, 1 << 20, float32(math.Inf(1)), float32(math.NaN())} {
		for _, format := range []string{"%v", "%.2f", "%8.3e", "%+g", "%06.1f", "%d"} {
			b, h := BF16(x), F16(min(x, 1<<14))
			if got, want := fmt.Sprintf(format, b), fmt.Sprintf(format, b.Float32()); got != want {
				t.Errorf("BFloat16 %s: %q, want %q", format, got, want)
			}
			if got, want := fmt.Sprintf(format, h), fmt.Sprintf(format, h.Float32()); got != want {
				t.Errorf("Float16 %s: %q, want %q", format, got, want)
			}
		}
	}
	if got := fmt.Sprintf("%s %v", F16(1.5), []BFloat16{BF16(2)}); got != "1.5 [2]" {
		t.Errorf("got %q", got)
	}
}
