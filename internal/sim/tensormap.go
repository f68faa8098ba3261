package sim

import (
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// The simulated device's own format of a tensor map. The words are
//
//	0      tensorMapMagic, so that bytes which are no map are seen
//	1      global address
//	2      bytes, low first: data type, rank, interleave, swizzle, L2 promotion, out-of-bounds fill
//	3–7    dims[i] − 1 (below 2³²) with box[i] above it (16 bits from 32) and elementStrides[i] (from 48)
//	8–11   strides in bytes of dimensions 1 to 4
//	12–15  zero
const (
	tensorMapMagic = 0x70616d6d69736e74 // "tnsimmap"
	maxTensorRank  = 5
)

// tensorTypes are the sizes of the elements in bytes, 0 for types that the
// simulated device does not have; floats says which are floating point.
var (
	tensorTypes = [...]uint64{
		abi.TensorMapDataTypeUint8: 1, abi.TensorMapDataTypeUint16: 2, abi.TensorMapDataTypeUint32: 4, abi.TensorMapDataTypeInt32: 4,
		abi.TensorMapDataTypeUint64: 8, abi.TensorMapDataTypeInt64: 8, abi.TensorMapDataTypeFloat16: 2, abi.TensorMapDataTypeFloat32: 4,
		abi.TensorMapDataTypeFloat64: 8, abi.TensorMapDataTypeBFloat16: 2, abi.TensorMapDataTypeFloat32FTZ: 4,
		abi.TensorMapDataTypeTFloat32: 4, abi.TensorMapDataTypeTFloat32FTZ: 4,
	}
	swizzleSpans = [...]uint64{abi.TensorMapSwizzle32B: 32, abi.TensorMapSwizzle64B: 64, abi.TensorMapSwizzle128B: 128}
)

// TensorMapEncodeTiled checks its arguments by the rules in cuda.h and writes a
// map that only the simulated device reads. The address is not checked against
// allocations, as the driver does not: an access does that.
func (s *Sim) TensorMapEncodeTiled(m *abi.TensorMap, t abi.TensorMapDataType, rank uint32, address abi.DevicePtr, dims, strides []uint64, box, elementStrides []uint32, interleave abi.TensorMapInterleave, swizzle abi.TensorMapSwizzle, promotion abi.TensorMapL2Promotion, fill abi.TensorMapFloatOOBFill) abi.Result {
	s.mu.Lock()
	_, r := s.context()
	s.mu.Unlock()
	switch {
	case r != abi.Success:
		return r
	case !s.caps.clusters:
		return abi.ErrorNotSupported // as tensor maps are, below compute capability 9.0
	case m == nil || uintptr(unsafe.Pointer(m))%64 != 0: // a number only, never a pointer again
		return abi.ErrorInvalidValue
	}
	a := tiledMap{t, rank, address, dims, strides, box, elementStrides, interleave, swizzle, promotion, fill}
	if !a.valid() {
		return abi.ErrorInvalidValue
	}
	*m = a.encode()
	return abi.Success
}

// tiledMap is the arguments of TensorMapEncodeTiled.
type tiledMap struct {
	t                   abi.TensorMapDataType
	rank                uint32
	address             abi.DevicePtr
	dims, strides       []uint64
	box, elementStrides []uint32
	interleave          abi.TensorMapInterleave
	swizzle             abi.TensorMapSwizzle
	promotion           abi.TensorMapL2Promotion
	fill                abi.TensorMapFloatOOBFill
}

func (a *tiledMap) valid() bool {
	rank := int(a.rank)
	switch {
	case a.rank < 1 || a.rank > maxTensorRank,
		len(a.dims) < rank || len(a.strides) < rank-1 || len(a.box) < rank || len(a.elementStrides) < rank,
		a.t < 0 || int(a.t) >= len(tensorTypes),
		a.interleave < abi.TensorMapInterleaveNone || a.interleave > abi.TensorMapInterleave32B,
		a.interleave != abi.TensorMapInterleaveNone && rank < 3,
		a.interleave == abi.TensorMapInterleave32B && a.swizzle != abi.TensorMapSwizzle32B,
		a.swizzle < abi.TensorMapSwizzleNone || a.swizzle > abi.TensorMapSwizzle128B,
		a.promotion < abi.TensorMapL2PromotionNone || a.promotion > abi.TensorMapL2Promotion256B,
		a.fill < abi.TensorMapFloatOOBFillNone || a.fill > abi.TensorMapFloatOOBFillNaNRequestZeroFMA,
		a.fill == abi.TensorMapFloatOOBFillNaNRequestZeroFMA && a.t < abi.TensorMapDataTypeFloat16:
		return false
	}
	return a.validLayout()
}

// validLayout checks what depends on the element's size and on the alignment that
// the interleave asks for.
func (a *tiledMap) validLayout() bool {
	align, size := uint64(16), tensorTypes[a.t]
	if a.interleave == abi.TensorMapInterleave32B {
		align = 32
	}
	if a.address == 0 || uint64(a.address)%align != 0 {
		return false
	}
	for i := range int(a.rank) {
		if a.dims[i] == 0 || a.dims[i] > 1<<32 || a.box[i] == 0 || a.box[i] > 256 || a.elementStrides[i] == 0 || a.elementStrides[i] > 8 {
			return false
		}
		if i > 0 && (a.strides[i-1]%align != 0 || a.strides[i-1] >= 1<<40) {
			return false
		}
	}
	inner := uint64(a.box[0]) * size
	if a.interleave == abi.TensorMapInterleaveNone {
		return inner%16 == 0 && (a.swizzle == abi.TensorMapSwizzleNone || inner <= swizzleSpans[a.swizzle])
	}
	return true
}

func (a *tiledMap) encode() (m abi.TensorMap) {
	m[0], m[1] = tensorMapMagic, uint64(a.address)
	m[2] = uint64(a.t) | uint64(a.rank)<<8 | uint64(a.interleave)<<16 | uint64(a.swizzle)<<24 | uint64(a.promotion)<<32 | uint64(a.fill)<<40
	for i := range int(a.rank) {
		m[3+i] = a.dims[i] - 1 | uint64(a.box[i])<<32 | uint64(a.elementStrides[i])<<48
		if i > 0 {
			m[7+i] = a.strides[i-1]
		}
	}
	return m
}
