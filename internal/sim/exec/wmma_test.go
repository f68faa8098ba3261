package exec

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/x448/float16"
)

// wmmaCase is a product of one type.
type wmmaCase struct {
	factor, sum string
	shapes      []string
	regs        map[string][3]int // of a, b and c, by shape
	bytes       [2]int            // of an element of a factor and of the sum
	cc          []int
}

var wmmaCases = []wmmaCase{
	{"f16", "f32", []string{"m16n16k16", "m8n32k16", "m32n8k16"}, map[string][3]int{"": {8, 8, 8}}, [2]int{2, 4}, []int{75, 80, 90}},
	{"f16", "f16", []string{"m16n16k16", "m8n32k16", "m32n8k16"}, map[string][3]int{"": {8, 8, 4}}, [2]int{2, 2}, []int{75, 90}},
	{"bf16", "f32", []string{"m16n16k16", "m8n32k16", "m32n8k16"}, map[string][3]int{"": {4, 4, 8}, "m8n32k16": {2, 8, 8}, "m32n8k16": {8, 2, 8}}, [2]int{2, 4}, []int{80}},
	{"tf32", "f32", []string{"m16n16k8"}, map[string][3]int{"": {4, 4, 8}}, [2]int{4, 4}, []int{80}},
	{"u8", "s32", []string{"m16n16k16", "m8n32k16", "m32n8k16"}, map[string][3]int{"": {2, 2, 8}, "m8n32k16": {1, 4, 8}, "m32n8k16": {4, 1, 8}}, [2]int{1, 4}, []int{75, 90}},
	{"s8", "s32", []string{"m16n16k16", "m8n32k16", "m32n8k16"}, map[string][3]int{"": {2, 2, 8}, "m8n32k16": {1, 4, 8}, "m32n8k16": {4, 1, 8}}, [2]int{1, 4}, []int{80}},
	{"f64", "f64", []string{"m8n8k4"}, map[string][3]int{"": {1, 1, 2}}, [2]int{8, 8}, []int{80}},
}

// encode writes a small integer as a type; decode is the reverse.
func encode(t string, v int) uint64 {
	switch t {
	case "f16":
		return uint64(float16.Fromfloat32(float32(v)))
	case "bf16":
		return uint64(math.Float32bits(float32(v)) >> 16)
	case "tf32", "f32":
		return uint64(math.Float32bits(float32(v)))
	case "f64":
		return math.Float64bits(float64(v))
	}
	return uint64(v)
}

// matrixIn puts a matrix into memory, by rows or by columns with this many elements
// from one to the next; what lies between is filled.
func matrixIn(t string, bytes, rows, cols int, byRows bool, leading int, v func(i, j int) int) []byte {
	lines := rows
	if !byRows {
		lines = cols
	}
	b := make([]byte, lines*leading*bytes)
	for i := range b {
		b[i] = 0x3e
	}
	for i := range rows {
		for j := range cols {
			at := (i*leading + j) * bytes
			if !byRows {
				at = (j*leading + i) * bytes
			}
			for k := range bytes {
				b[at+k] = byte(encode(t, v(i, j)) >> (8 * k))
			}
		}
	}
	return b
}

// TestWmma multiplies matrices of small integers, whose products and sums are exact in
// every type, in all shapes and orders, from global and shared memory, with and
// without a stride.
func TestWmma(t *testing.T) {
	r := newRand(11)
	for _, c := range wmmaCases {
		for _, shape := range c.shapes {
			for variant := range 8 {
				c.check(t, shape, c.cc[variant%len(c.cc)], variant, func() int { return r.IntN(7) })
			}
		}
	}
}

func (c *wmmaCase) check(t *testing.T, shape string, cc, variant int, next func() int) {
	t.Helper()
	var m, n, k int
	fmt.Sscanf(shape, "m%dn%dk%d", &m, &n, &k)
	order := func(bit int) (string, bool) {
		if variant>>bit&1 == 1 {
			return "col", false
		}
		return "row", true
	}
	sign := 0
	if c.factor != "u8" {
		sign = 3
	}
	fill := func(rows, cols int) func(i, j int) int {
		v := make([]int, rows*cols)
		for i := range v {
			v[i] = next() - sign
		}
		return func(i, j int) int { return v[i*cols+j] }
	}
	a, b, s := fill(m, k), fill(k, n), fill(m, n)
	most, satfinite := math.MaxInt, ""
	if c.sum == "s32" && variant&1 == 1 { // sums about the greatest number
		most, satfinite = math.MaxInt32, "satfinite."
		small := s
		s = func(i, j int) int { return math.MaxInt32 - 20 + small(i, j) }
	}
	aOrder, aRows := order(0)
	bOrder, bRows := order(1)
	cOrder, cRows := order(2)
	length := func(byRows bool, rows, cols int) int {
		if byRows {
			return cols
		}
		return rows
	}
	stride := func(byRows bool, rows, cols int) (int, string) {
		n := length(byRows, rows, cols)
		if variant < 4 {
			return n + 16, fmt.Sprint(", ", n+16)
		}
		return n, ""
	}
	lda, sa := stride(aRows, m, k)
	ldb, sb := stride(bRows, k, n)
	ldc, sc := stride(cRows, m, n)
	names := func(prefix string, n int) string {
		var list []string
		for i := range n {
			list = append(list, fmt.Sprint(prefix, i))
		}
		return "{" + strings.Join(list, ", ") + "}"
	}
	regs, ok := c.regs[shape]
	if !ok {
		regs = c.regs[""]
	}
	types := c.sum + "." + c.factor + "." + c.factor + "." + c.sum
	if c.factor == "f16" {
		types = c.sum + "." + c.sum
	}
	in := matrixIn(c.factor, c.bytes[0], m, k, aRows, lda, a)
	bytesA, file := len(in), ".reg .b32 a<9>, b<9>, c<9>;"
	if c.factor == "f64" {
		file = ".reg .f64 a<9>, b<9>, c<9>;"
	}
	src := fmt.Sprintf(`.shared .align 32 .b8 sh[%d];
.entry k(.param .u64 pa, .param .u64 pb, .param .u64 pc) {
%s .reg .b64 l<9>; .reg .b32 i, j; .reg .b8 v; .reg .pred p;
ld.param.u64 l0, [pa]; ld.param.u64 l1, [pb]; ld.param.u64 l2, [pc];
mov.u32 i, %%tid.x;
L: cvt.u64.u32 l3, i; add.u64 l3, l3, l0; ld.global.b8 v, [l3]; mov.u32 j, sh; add.u32 j, j, i; st.shared.b8 [j], v;
add.u32 i, i, 32; setp.lt.u32 p, i, %d; @p bra L;
bar.sync 0;
wmma.load.a.sync.aligned.%s.%s.shared.%s %s, [sh]%s;
wmma.load.b.sync.aligned.%s.%s.%s %s, [l1]%s;
wmma.load.c.sync.aligned.%s.%s.global.%s %s, [l2]%s;
wmma.mma.sync.aligned.%s.%s.%s.%s%s %s, %s, %s, %s;
bra over; trap; over:
wmma.store.d.sync.aligned.%s.%s.global.%s [l2], %s%s;
}`, bytesA, file, bytesA,
		aOrder, shape, c.factor, names("a", regs[0]), sa, bOrder, shape, c.factor, names("b", regs[1]), sb, cOrder, shape, c.sum, names("c", regs[2]), sc,
		aOrder, bOrder, shape, satfinite, types, names("c", regs[2]), names("a", regs[0]), names("b", regs[1]), names("c", regs[2]),
		cOrder, shape, c.sum, names("c", regs[2]), sc)
	d := deviceOf(t, src, cc)
	out := matrixIn(c.sum, c.bytes[1], m, n, cRows, ldc, s)
	pa, pb, pc := buffer(d, "a", in), buffer(d, "b", matrixIn(c.factor, c.bytes[0], k, n, bRows, ldb, b)), buffer(d, "c", out)
	if err := d.run("k", 1, 32, Options{Races: true}, pa, pb, pc); err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	want := matrixIn(c.sum, c.bytes[1], m, n, cRows, ldc, func(i, j int) int {
		v := int64(s(i, j)) // an int may have 32 bits
		for l := range k {
			v += int64(a(i, l) * b(l, j))
		}
		return int(min(v, int64(most)))
	})
	if got := read[byte](d, pc, len(want)); string(got) != string(want) {
		t.Errorf("%s of %s on %d, variant %d: wrong\n%x\n%x", shape, types, cc, variant, got, want)
	}
}
