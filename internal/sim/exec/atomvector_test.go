package exec

import (
	"errors"
	"slices"
	"testing"
)

// TestAtomVectors: elements are added one by one, the old values may replace
// the operands, and the address is checked as the whole vector's.
func TestAtomVectors(t *testing.T) {
	d := deviceOf(t, `.visible .entry k(.param .u64 out, .param .u64 at) {
.reg .b64 %out, %at; .reg .f32 %f<4>;
ld.param.u64 %out, [out]; ld.param.u64 %at, [at];
mov.f32 %f0, 0f3F800000; mov.f32 %f1, 0f40000000; mov.f32 %f2, 0f40400000; mov.f32 %f3, 0f40800000;
atom.global.add.v4.f32 {%f3, %f2, %f1, %f0}, [%at], {%f0, %f1, %f2, %f3};
st.global.v4.f32 [%out], {%f3, %f2, %f1, %f0};
red.global.add.v2.f32 [%at+8], {%f3, %f2};
ret; }`, 90)
	po, pa := buffer(d, "out", make([]float32, 4)), buffer(d, "at", []float32{10, 20, 30, 40, 50, 60})
	d.must("k", 1, 1, po, pa)
	if got, want := read[float32](d, po, 4), []float32{10, 20, 30, 40}; !slices.Equal(got, want) {
		t.Errorf("old values %v, want %v", got, want)
	}
	if got, want := read[float32](d, pa, 6), []float32{11, 22, 43, 64, 50, 60}; !slices.Equal(got, want) {
		t.Errorf("new values %v, want %v", got, want)
	}
	for off, kind := range map[uint64]FaultKind{8: Misaligned, 16: OutOfBounds} {
		var f *Fault
		if err := d.run("k", 1, 1, Options{}, po, pa+off); !errors.As(err, &f) || f.Kind != kind {
			t.Errorf("at %d: got %v, want %v", off, err, kind)
		}
	}
}
