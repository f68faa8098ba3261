package array

import (
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
