package exec

import (
	"errors"
	"fmt"
	"slices"
	"strings"
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

// halfVectors makes a kernel that has each thread of a block do atom on its 16
// bytes at a, red on those at b, with operands of in, and store what was at a in
// out. Vectors that are shorter leave the rest.
func halfVectors(op, t string, n int) string {
	bits := 16
	if strings.HasSuffix(t, "x2") {
		bits = 32
	}
	var regs, loads, olds, stores []string
	for i := range n {
		regs, olds = append(regs, fmt.Sprintf("%%v%d", i)), append(olds, fmt.Sprintf("%%w%d", i))
		loads = append(loads, fmt.Sprintf("ld.global.b%d %%v%d, [%%d3+%d];", bits, i, i*bits/8))
		stores = append(stores, fmt.Sprintf("st.global.b%d [%%d0+%d], %%w%d;", bits, i*bits/8, i))
	}
	return fmt.Sprintf(`.visible .entry k(.param .u64 out, .param .u64 a, .param .u64 b, .param .u64 in) {
.reg .b64 %%d<5>; .reg .b32 %%t; .reg .b%d %%v<8>, %%w<8>;
ld.param.u64 %%d0, [out]; ld.param.u64 %%d1, [a]; ld.param.u64 %%d2, [b]; ld.param.u64 %%d3, [in];
mov.u32 %%t, %%tid.x; mul.wide.u32 %%d4, %%t, 16;
add.u64 %%d0, %%d0, %%d4; add.u64 %%d1, %%d1, %%d4; add.u64 %%d2, %%d2, %%d4; add.u64 %%d3, %%d3, %%d4;
%s
atom.global.%[3]s {%[4]s}, [%%d1], {%[5]s};
red.%[3]s [%%d2], {%[5]s};
%[6]s
ret; }`, bits, strings.Join(loads, " "), fmt.Sprintf("%s.noftz.v%d.%s", op, n, t), strings.Join(olds, ", "), strings.Join(regs, ", "), strings.Join(stores, " "))
}

// TestAtomVectorsOfHalves holds vectors of 16-bit floats, and of pairs of them,
// against the models of single ones.
func TestAtomVectorsOfHalves(t *testing.T) {
	const threads, seed = 64, 71
	r := newRand(seed)
	for _, f := range []fp{fp16, fpB16} {
		values := pool(f.t, r)
		for _, c := range []struct {
			suffix    string
			n, halves int
		}{{"", 2, 2}, {"", 4, 4}, {"", 8, 8}, {"x2", 2, 4}, {"x2", 4, 8}} {
			for _, op := range []string{"add", "min", "max"} {
				first, in, want := make([]uint16, 8*threads), make([]uint16, 8*threads), make([]uint16, 8*threads)
				for i := range first {
					x, y := values[r.IntN(len(values))], values[r.IntN(len(values))]
					first[i], in[i], want[i] = uint16(x), uint16(y), uint16(x)
					switch {
					case i%8 >= c.halves:
					case op == "add":
						want[i] = uint16(f.arithmetic(op, "rn", f.value(x), f.value(y)))
					default:
						want[i] = uint16(f.minMax(op, false, x, y))
					}
				}
				d := deviceOf(t, halfVectors(op, f.name+c.suffix, c.n), 90)
				out, a, b := buffer(d, "out", slices.Clone(first)), buffer(d, "a", first), buffer(d, "b", first)
				d.must("k", 1, threads, out, a, b, buffer(d, "in", in))
				for name, got := range map[string][]uint16{"atom": read[uint16](d, a, 8*threads), "red": read[uint16](d, b, 8*threads)} {
					for i := range got {
						if got[i] != want[i] {
							t.Fatalf("%s.%s.v%d.%s%s, seed %d, half %d: %#x and %#x give %#x, want %#x", name, op, c.n, f.name, c.suffix, seed, i, first[i], in[i], got[i], want[i])
						}
					}
				}
				if got := read[uint16](d, out, 8*threads); !slices.Equal(got, first) {
					t.Errorf("%s.v%d.%s%s: old values %x, want %x", op, c.n, f.name, c.suffix, got, first)
				}
			}
		}
	}
}

// TestAtomVectorFaults: a vector is checked as a whole, and its elements race
// with what is not atomic.
func TestAtomVectorFaults(t *testing.T) {
	const vector = "red%s.add.noftz.v8.bf16 [%%d0+%d], {%%h0, %%h1, %%h2, %%h3, %%h0, %%h1, %%h2, %%h3};"
	global := func(off int) string { return fmt.Sprintf(vector, ".global", off) }
	for _, c := range []struct {
		name, text string
		kind       FaultKind // 0: none
	}{
		{"all threads", global(16), 0},
		{"and on an element", global(16) + "red.global.add.noftz.bf16 [%d0+30], %h0;", 0},
		{"halfway", global(8), Misaligned},
		{"past the end", global(32), OutOfBounds},
		{"shared memory", "mov.u64 %d1, sh; cvta.shared.u64 %d0, %d1; @%p0 st.shared.v4.b32 [sh], {%t, %t, %t, %t}; bar.sync 0;" + fmt.Sprintf(vector, "", 0), OutOfBounds},
		{"a plain store to the last element", global(16) + "@%p0 st.global.b16 [%d0+30], %h0;", GlobalRace},
		{"nobody wrote the last element", "ld.param.u64 %d0, [b];" + global(0), Uninitialised},
	} {
		d := deviceOf(t, `.visible .entry k(.param .u64 a, .param .u64 b) {
.reg .b64 %d<2>; .reg .b32 %t; .reg .b16 %h<4>; .reg .pred %p0;
.shared .align 16 .b8 sh[16];
ld.param.u64 %d0, [a]; mov.u32 %t, %tid.x; setp.eq.u32 %p0, %t, 0; mov.b16 %h0, 0; mov.b16 %h1, 0; mov.b16 %h2, 0; mov.b16 %h3, 0;
`+c.text+"\nret; }", 90)
		a, b := buffer(d, "a", make([]uint32, 8)), d.empty("b", 16)
		d.mem.MarkInitialised(b, 14)
		err := d.run("k", 1, 64, Options{GlobalRaces: true, Workers: 1}, a, b)
		if f := new(Fault); c.kind == 0 && err != nil || c.kind != 0 && (!errors.As(err, &f) || f.Kind != c.kind) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.kind)
		}
	}
}
