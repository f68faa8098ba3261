package sim

import (
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

const maxTensorRank = 5

var swizzleSpans = [...]uint64{abi.TensorMapSwizzle32B: 32, abi.TensorMapSwizzle64B: 64, abi.TensorMapSwizzle128B: 128}

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
		exec.TensorElementBytes(a.t) == 0,
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
	align, size := uint64(16), exec.TensorElementBytes(a.t)
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

func (a *tiledMap) encode() abi.TensorMap {
	t := exec.TensorMap{Type: a.t, Rank: int(a.rank), Address: uint64(a.address), Interleave: a.interleave, Swizzle: a.swizzle, Promotion: a.promotion, Fill: a.fill}
	for i := range t.Rank {
		t.Dims[i], t.Box[i], t.ElementStrides[i] = a.dims[i], a.box[i], a.elementStrides[i]
		if i > 0 {
			t.Strides[i] = a.strides[i-1]
		}
	}
	return t.Encode()
}
