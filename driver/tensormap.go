package driver

import (
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A TensorMap describes a tensor in device memory to the copy engine of compute
// capability 9.0 and above (TMA). It is given to a kernel by value, as a
// parameter ".param .align 64 .b8 name[128]".
type TensorMap struct {
	abi *abi.TensorMap // aligned as TensorMapEncodeTiled asks
}

// TensorType is the type of a tensor map's elements.
type TensorType int32

const (
	TensorUint8    = TensorType(abi.TensorMapDataTypeUint8)
	TensorUint16   = TensorType(abi.TensorMapDataTypeUint16)
	TensorUint32   = TensorType(abi.TensorMapDataTypeUint32)
	TensorInt32    = TensorType(abi.TensorMapDataTypeInt32)
	TensorUint64   = TensorType(abi.TensorMapDataTypeUint64)
	TensorInt64    = TensorType(abi.TensorMapDataTypeInt64)
	TensorFloat16  = TensorType(abi.TensorMapDataTypeFloat16)
	TensorFloat32  = TensorType(abi.TensorMapDataTypeFloat32)
	TensorFloat64  = TensorType(abi.TensorMapDataTypeFloat64)
	TensorBFloat16 = TensorType(abi.TensorMapDataTypeBFloat16)
	TensorTFloat32 = TensorType(abi.TensorMapDataTypeTFloat32) // float32 in memory, rounded to TF32 as it is copied

	// As above; an H100 copies subnormal numbers to shared memory as they are all
	// the same.
	TensorFloat32FTZ  = TensorType(abi.TensorMapDataTypeFloat32FTZ)
	TensorTFloat32FTZ = TensorType(abi.TensorMapDataTypeTFloat32FTZ)
)

// Swizzle is the pattern in which a box lies in shared memory, so that its
// columns are read without bank conflicts.
type Swizzle int32

const (
	SwizzleNone = Swizzle(abi.TensorMapSwizzleNone)
	Swizzle32B  = Swizzle(abi.TensorMapSwizzle32B)
	Swizzle64B  = Swizzle(abi.TensorMapSwizzle64B)
	Swizzle128B = Swizzle(abi.TensorMapSwizzle128B)
)

// Interleave says that the first axis, the channels, is cut into slices that lie
// apart in memory, each of 16 or 32 bytes: the layouts NC/8HWC8 and NC/16HWC16
// of 2-byte elements.
type Interleave int32

const (
	InterleaveNone = Interleave(abi.TensorMapInterleaveNone)
	Interleave16B  = Interleave(abi.TensorMapInterleave16B)
	Interleave32B  = Interleave(abi.TensorMapInterleave32B) // needs Swizzle32B, and multiples of 32 for address and strides
)

// Promotion is how much the L2 cache fetches at a time.
type Promotion int32

const (
	PromotionNone = Promotion(abi.TensorMapL2PromotionNone)
	Promotion64B  = Promotion(abi.TensorMapL2Promotion64B)
	Promotion128B = Promotion(abi.TensorMapL2Promotion128B)
	Promotion256B = Promotion(abi.TensorMapL2Promotion256B)
)

// TensorMapConfig describes a tensor of 1 to 5 axes, the one whose elements are
// adjacent first: the reverse of the usual order of a row-major array.
type TensorMapConfig struct {
	Type           TensorType
	Address        Ptr        // a multiple of 16
	Shape          []uint64   // elements along each axis
	Strides        []uint64   // bytes from one index to the next, for all axes but the first; multiples of 16
	Box            []uint32   // elements along each axis of what one copy moves; at most 256 each
	ElementStrides []uint32   // of the elements that are copied; nil is all of them
	Interleave     Interleave // of at least 3 axes
	Swizzle        Swizzle
	Promotion      Promotion
	NaNOutside     bool // elements outside the tensor read as NaN, not 0
}

// NewTensorMap makes a tensor map. It is plain memory and needs no closing.
func (c *Context) NewTensorMap(cfg TensorMapConfig) (*TensorMap, error) {
	const op = "cuTensorMapEncodeTiled"
	rank := len(cfg.Shape)
	switch {
	case rank < 1 || rank > 5:
		return nil, invalid(op, "a tensor of %d axes: 1 to 5 are possible", rank)
	case len(cfg.Strides) != rank-1 || len(cfg.Box) != rank:
		return nil, invalid(op, "a tensor of %d axes needs %d strides and %d box sizes, %d and %d were given", rank, rank-1, rank, len(cfg.Strides), len(cfg.Box))
	case cfg.ElementStrides != nil && len(cfg.ElementStrides) != rank:
		return nil, invalid(op, "a tensor of %d axes has %d element strides", rank, len(cfg.ElementStrides))
	}
	steps := cfg.ElementStrides
	if steps == nil {
		steps = []uint32{1, 1, 1, 1, 1}[:rank]
	}
	fill := abi.TensorMapFloatOOBFillNone
	if cfg.NaNOutside {
		fill = abi.TensorMapFloatOOBFillNaNRequestZeroFMA
	}
	strides := make([]uint64, 4) // there, though not read, for a tensor of one axis: the driver refuses a null pointer
	copy(strides, cfg.Strides)
	m := newAlignedMap()
	err := c.call(op, func(api abi.API) abi.Result {
		return api.TensorMapEncodeTiled(m, abi.TensorMapDataType(cfg.Type), uint32(rank), abi.DevicePtr(cfg.Address),
			cfg.Shape, strides, cfg.Box, steps,
			abi.TensorMapInterleave(cfg.Interleave), abi.TensorMapSwizzle(cfg.Swizzle), abi.TensorMapL2Promotion(cfg.Promotion), fill)
	})
	if err != nil {
		return nil, named(err, "type %d, address %#x, shape %v, strides %v, box %v, interleave %d, swizzle %d", cfg.Type, cfg.Address, cfg.Shape, cfg.Strides, cfg.Box, cfg.Interleave, cfg.Swizzle)
	}
	return &TensorMap{abi: m}, nil
}

// newAlignedMap takes a map from a larger piece of memory, which it keeps alive;
// the heap does not move.
func newAlignedMap() *abi.TensorMap {
	buf := make([]byte, unsafe.Sizeof(abi.TensorMap{})+abi.TensorMapAlignment-1)
	return (*abi.TensorMap)(alignUp(unsafe.Pointer(&buf[0]), abi.TensorMapAlignment))
}
