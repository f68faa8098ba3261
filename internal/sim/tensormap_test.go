package sim

import (
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

func TestTensorMap(t *testing.T) {
	type m = tiledMap
	valid := m{
		t: abi.TensorMapDataTypeFloat16, rank: 3, address: 0x1000, dims: []uint64{64, 100, 7}, strides: []uint64{128, 12800},
		box: []uint32{64, 8, 1}, elementStrides: []uint32{1, 1, 1}, swizzle: abi.TensorMapSwizzle128B,
	}
	e := open(t, Options{ComputeCapability: 90})
	raw := make([]byte, 2*unsafe.Sizeof(abi.TensorMap{})+abi.TensorMapAlignment-1)
	// The heap does not move, so the rounded address stays aligned, and raw holds two maps from there.
	at := (*abi.TensorMap)(unsafe.Pointer(&raw[-uintptr(unsafe.Pointer(&raw[0]))&(abi.TensorMapAlignment-1)]))
	encode := func(e *env, a m, at *abi.TensorMap) abi.Result {
		return e.TensorMapEncodeTiled(at, a.t, a.rank, a.address, a.dims, a.strides, a.box, a.elementStrides, a.interleave, a.swizzle, a.promotion, a.fill)
	}
	for _, c := range []struct {
		name   string
		change func(a *m)
		want   abi.Result
	}{
		{"as it is", func(a *m) {}, abi.Success},
		{"rank 1", func(a *m) { a.rank, a.strides = 1, nil }, abi.Success},
		{"rank 0", func(a *m) { a.rank = 0 }, abi.ErrorInvalidValue},
		{"rank 6", func(a *m) { a.rank = 6 }, abi.ErrorInvalidValue},
		{"rank of all bits", func(a *m) { a.rank = 1<<32 - 1 }, abi.ErrorInvalidValue},
		{"too few sizes", func(a *m) { a.dims = a.dims[:2] }, abi.ErrorInvalidValue},
		{"too few strides", func(a *m) { a.strides = a.strides[:1] }, abi.ErrorInvalidValue},
		{"no type", func(a *m) { a.t = 99 }, abi.ErrorInvalidValue},
		{"no address", func(a *m) { a.address = 0 }, abi.ErrorInvalidValue},
		{"address of 8", func(a *m) { a.address = 0x1008 }, abi.ErrorInvalidValue},
		{"size 0", func(a *m) { a.dims = []uint64{64, 0, 7} }, abi.ErrorInvalidValue},
		{"size 2^32", func(a *m) { a.dims = []uint64{1 << 32, 1, 1} }, abi.Success},
		{"size 2^32+1", func(a *m) { a.dims = []uint64{1<<32 + 1, 1, 1} }, abi.ErrorInvalidValue},
		{"stride of 8", func(a *m) { a.strides = []uint64{136, 12800} }, abi.ErrorInvalidValue},
		{"stride 2^40", func(a *m) { a.strides = []uint64{128, 1 << 40} }, abi.ErrorInvalidValue},
		{"box 0", func(a *m) { a.box = []uint32{64, 0, 1} }, abi.ErrorInvalidValue},
		{"box 256", func(a *m) { a.box = []uint32{64, 256, 1} }, abi.Success},
		{"box 257", func(a *m) { a.box = []uint32{64, 257, 1} }, abi.ErrorInvalidValue},
		{"inner box of 10 bytes", func(a *m) { a.box = []uint32{5, 8, 1} }, abi.ErrorInvalidValue},
		{"inner box beyond the swizzle", func(a *m) { a.swizzle = abi.TensorMapSwizzle64B }, abi.ErrorInvalidValue},
		{"inner box of the swizzle", func(a *m) { a.swizzle, a.box = abi.TensorMapSwizzle64B, []uint32{32, 8, 1} }, abi.Success},
		{"element stride 0", func(a *m) { a.elementStrides = []uint32{1, 0, 1} }, abi.ErrorInvalidValue},
		{"element stride 9", func(a *m) { a.elementStrides = []uint32{1, 9, 1} }, abi.ErrorInvalidValue},
		{"interleave of rank 2", func(a *m) { a.rank, a.interleave = 2, abi.TensorMapInterleave16B }, abi.ErrorInvalidValue},
		{"interleave 32 without its swizzle", func(a *m) { a.interleave = abi.TensorMapInterleave32B }, abi.ErrorInvalidValue},
		{"interleave 32", func(a *m) { a.interleave, a.swizzle = abi.TensorMapInterleave32B, abi.TensorMapSwizzle32B }, abi.Success},
		{"interleave 32, address of 16", func(a *m) {
			a.interleave, a.swizzle, a.address = abi.TensorMapInterleave32B, abi.TensorMapSwizzle32B, 0x1010
		}, abi.ErrorInvalidValue},
		{"fill with NaN", func(a *m) { a.fill = abi.TensorMapFloatOOBFillNaNRequestZeroFMA }, abi.Success},
		{"fill integers with NaN", func(a *m) {
			a.t, a.fill = abi.TensorMapDataTypeUint16, abi.TensorMapFloatOOBFillNaNRequestZeroFMA
		}, abi.ErrorInvalidValue},
		{"no such promotion", func(a *m) { a.promotion = 4 }, abi.ErrorInvalidValue},
	} {
		a := valid
		c.change(&a)
		*at = abi.TensorMap{}
		if r := encode(e, a, at); r != c.want {
			t.Errorf("%s: got %v, want %v", c.name, r, c.want)
		}
		if written := *at != (abi.TensorMap{}); written != (c.want == abi.Success) {
			t.Errorf("%s: written: %v", c.name, written)
		}
	}
	e.want(encode(e, valid, nil), abi.ErrorInvalidValue)
	e.want(encode(e, valid, (*abi.TensorMap)(unsafe.Add(unsafe.Pointer(at), 8))), abi.ErrorInvalidValue)
	old := open(t, Options{ComputeCapability: 80})
	old.want(encode(old, valid, at), abi.ErrorNotSupported)
}
