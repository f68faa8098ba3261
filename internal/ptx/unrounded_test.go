package ptx

import (
	"fmt"
	"slices"
	"testing"
)

func TestUnrounded(t *testing.T) {
	m, err := Parse(`.version 8.0
.target sm_90
.address_size 64
.visible .entry k()
{
	.reg .f32 %f<9>; .reg .f64 %d<9>; .reg .b16 %h<9>; .reg .b32 %r<9>;
	mul.f32 %f0, %f1, %f2;
	mul.rn.f32 %f3, %f1, %f2;
	add.f32 %f4, %f0, %f3;
	add.f32 %f5, %f3, %f1;
	add.rn.f32 %f5, %f0, %f1;
	mul.ftz.f32 %f6, %f1, %f1;
	sub.ftz.f32 %f7, %f1, %f6;
	add.rz.ftz.f32 %f7, %f1, %f6;
	mul.f64 %d0, %d1, %d1;
	sub.f64 %d2, %d0, %d0;
	add.f16 %h0, %h1, %h2;
	add.rn.f16 %h0, %h1, %h2;
	mul.bf16x2 %r0, %r1, %r2;
	add.u32 %r0, %r1, %r2;
	mul.lo.u32 %r0, %r1, %r2;
	fma.rn.f32 %f0, %f1, %f2, %f3;
	min.f32 %f0, %f1, %f2;
	ret;
}
`)
	if err != nil {
		t.Fatal(err)
	}
	var lines []int
	for _, in := range m.Entries[0].Unrounded() {
		lines = append(lines, in.Pos.Line)
	}
	if want := []int{7, 9, 10, 12, 13, 15, 16, 17, 19}; !slices.Equal(lines, want) {
		t.Errorf("lines %v, want %v", lines, want)
	}
	var pairs string
	for _, c := range m.Entries[0].Contractions() {
		pairs += fmt.Sprint(c.Product.Pos.Line, "-", c.Sum.Pos.Line, " ")
	}
	if want := "7-9 12-13 15-16 "; pairs != want {
		t.Errorf("pairs %q, want %q", pairs, want)
	}
}
