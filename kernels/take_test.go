package kernels

import (
	"encoding/binary"
	"fmt"
	"testing"
)

// TestTake compares with a plain loop, over element sizes, axes, ranks of the
// indices, views, bad indices, and with rows that a cache does not hold.
func TestTake(t *testing.T) {
	r := newRand(t)
	sliced := 0
	for _, c := range []struct {
		shape []int
		axis  int
		index []int
	}{
		{[]int{9}, 0, []int{20}}, {[]int{9}, 0, nil}, {[]int{9}, 0, []int{2, 3}}, {[]int{5, 64}, 0, []int{7}}, {[]int{5, 7}, 0, []int{2, 2}},
		{[]int{3, 5, 12}, 1, []int{4}}, {[]int{3, 5, 2}, 2, []int{2, 3}}, {[]int{4, 3, 16}, 0, []int{1}}, {[]int{4, 1}, 1, []int{3}}, {[]int{0, 4}, 0, []int{2}},
		{[]int{3, 0}, 0, []int{2}}, {[]int{3, 4}, 0, []int{0}}, {[]int{70, 3000}, 0, []int{900}},
		{[]int{20, 2240}, 0, []int{25}}, {[]int{2, 9, 2, 1400}, 1, []int{5, 6}}, {[]int{2, 2, 2, 3, 2, 2, 2, 520}, 3, []int{4}},
	} {
		for _, typ := range []Type{Uint8, Float16, Int32, Float64} {
			for variant := range 4 {
				in, _ := randomLayout(r, true, c.shape...)
				if variant < 2 {
					in = RowMajor(c.shape...)
				}
				if in.Len() > 100_000 && (raceEnabled || typ != Int32 || variant > 1) {
					continue
				}
				index, _ := randomLayout(r, true, c.index...)
				_, high := in.Span()
				data := filled(r, typ, high+1)
				_, high = index.Span()
				where := make([]uint64, high+1)
				n := c.shape[c.axis]
				for i := range where {
					where[i] = uint64(r.IntN(max(2*n, 1)) - n)
					if variant%2 == 1 && r.IntN(5) == 0 { // bad ones
						where[i] = []uint64{uint64(n), uint64(-n - 1), 1 << 63, 1<<63 - 1}[r.IntN(4)]
					}
				}
				const little = 40 << 10
				whole := takeCase(t, typ, in, c.axis, index, data, where, false, takeCache)
				if takeCase(t, typ, in, c.axis, index, data, where, false, little) != whole {
					sliced++
				}
				takeCase(t, typ, in, c.axis, index, data, where, true, little)
			}
		}
	}
	if sliced < 20 {
		t.Errorf("only %d takes were sliced", sliced)
	}
}

// firstPlace is the number of the first index, of more than 32 bits.
const firstPlace = 1 << 40

// takeCase returns the kernel's key.
func takeCase(t *testing.T, typ Type, in Layout, axis int, index Layout, data, where []uint64, wide bool, cache int) (key string) {
	t.Helper()
	shape, err := TakeShape(&in, axis, &index)
	if err != nil {
		t.Fatal(err)
	}
	var p Plan
	if (wide || cache != takeCache) && shape.Len() > 0 {
		n := takeNest(&shape, &in, axis, &index)
		defer n.release()
		err = planTake(&p, n, taking{typ.Size(), in.Shape[axis], in.Strides[axis], firstPlace, cache, wide})
	} else {
		err = Take(&p, typ, in, axis, index, firstPlace)
	}
	if err != nil || len(p.Launches) > 1 {
		t.Fatal(err, len(p.Launches))
	}
	end := (shape.Len()*typ.Size() + 7) &^ 7
	got := make([]byte, end+8) // and the status cell behind it
	for i := range p.Launches {
		key = p.Launches[i].Key
		for j := range p.Launches[i].Args {
			if a := &p.Launches[i].Args[j]; a.Pointer && a.Operand == StatusOperand {
				a.Operand, a.Bits = 0, uint64(end)
			}
		}
	}
	newRunner(t).run(t, &p, typ, got, packElements(typ, data), packElements(Int64, where))
	want, bad := takeModel(in, axis, index, data, where)
	what := fmt.Sprintf("%v, axis %d of %v at %v of shape %v, wide %v, a cache of %d bytes", typ, axis, in, where, index.shape(), wide, cache)
	elements := unpackElements(typ, got)
	for i, w := range want {
		if g := elements[i]; g != w {
			t.Fatalf("%s: element %d is %x, want %x", what, i, g, w)
		}
	}
	if s := binary.LittleEndian.Uint64(got[end:]); shape.Len() > 0 && s != bad {
		t.Fatalf("%s: status %x, want %x", what, s, bad)
	}
	return key
}

// takeModel returns the elements and the status.
func takeModel(in Layout, axis int, index Layout, data, where []uint64) (want []uint64, status uint64) {
	outer, inner := in, in
	outer.Rank = axis
	inner.Rank = 0
	inner.Offset = 0
	for i := axis + 1; i < in.Rank; i++ {
		inner.append(in.Shape[i], in.Strides[i])
	}
	outer.each(func(from int) {
		place := uint64(firstPlace)
		index.each(func(at int) {
			i := int(where[at])
			if i < 0 {
				i += in.Shape[axis]
			}
			good := i >= 0 && i < in.Shape[axis]
			if !good && (status == 0 || ^status > place) {
				status = ^place
			}
			inner.each(func(to int) {
				if good {
					want = append(want, data[from+i*in.Strides[axis]+to])
				} else {
					want = append(want, 0)
				}
			})
			place++
		})
	})
	return want, status
}

func TestTakeErrors(t *testing.T) {
	var p Plan
	three, eight := RowMajor(3, 3), RowMajor(1, 1, 1, 1, 1, 1, 1, 1)
	for name, err := range map[string]error{
		"type": Take(&p, Invalid, three, 0, three, 0), "axis": Take(&p, Float32, three, 2, three, 0), "rank": Take(&p, Float32, three, 0, eight, 0),
	} {
		if err == nil || len(p.Launches) > 0 {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestTakeSlices asks for the parts that rows are cut into, in bytes; a whole row
// where they are not.
func TestTakeSlices(t *testing.T) {
	for _, c := range []struct{ rows, row, taken, part int }{
		{8192, 32 << 10, 8192, 1 << 10}, {8192, 32 << 10, 256, 32 << 10}, {256, 32 << 10, 8192, 32 << 10}, {1024, 256 << 10, 1024, 8 << 10},
		{32768, 8 << 10, 32768, 256}, {65536, 8 << 10, 65536, 8 << 10}, {1 << 20, 256, 1 << 20, 256}, {8192, 1008, 16384, 1008}, {16384, 1008, 16384, 504},
	} {
		in, index := RowMajor(c.rows, c.row/4), RowMajor(c.taken)
		shape, err := TakeShape(&in, 0, &index)
		if err != nil {
			t.Fatal(err)
		}
		n := takeNest(&shape, &in, 0, &index)
		n.takeSlices(c.rows, 4, takeCache)
		if got := n.shape[n.rank-1] * 4; got != c.part {
			t.Errorf("%d of %d rows of %d bytes: parts of %d bytes, want %d", c.taken, c.rows, c.row, got, c.part)
		}
		n.release()
	}
}
