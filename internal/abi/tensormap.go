package abi

// TensorMapAlignment is the alignment in bytes to give a TensorMap, in memory
// that is passed to TensorMapEncodeTiled and in a kernel's parameters: what the C
// type has since CUDA 13.0. Before, it was 64, which is all that the driver asks.
const TensorMapAlignment = 128

// TensorMap describes a tensor in device memory for the copy unit of compute
// capability 9.0 and above (CUtensorMap): 128 opaque bytes.
//
// Go has no way to ask for an alignment of more than 8, so whoever makes one must
// see to it: take TensorMap values from an allocation of at least
// TensorMapAlignment−1 more bytes and round the address up, as
//
//	buf := make([]byte, unsafe.Sizeof(TensorMap{})+TensorMapAlignment-1)
//	off := -uintptr(unsafe.Pointer(&buf[0])) & (TensorMapAlignment - 1)
//	m := (*TensorMap)(unsafe.Pointer(&buf[off]))
//
// which is safe because the heap does not move and m keeps buf alive. It must
// then be used in place: a copy of the value is not aligned.
type TensorMap [16]uint64

// TensorMapDataType is the type of a tensor's elements (CUtensorMapDataType).
type TensorMapDataType int32

const (
	TensorMapDataTypeUint8        TensorMapDataType = 0
	TensorMapDataTypeUint16       TensorMapDataType = 1
	TensorMapDataTypeUint32       TensorMapDataType = 2
	TensorMapDataTypeInt32        TensorMapDataType = 3
	TensorMapDataTypeUint64       TensorMapDataType = 4
	TensorMapDataTypeInt64        TensorMapDataType = 5
	TensorMapDataTypeFloat16      TensorMapDataType = 6
	TensorMapDataTypeFloat32      TensorMapDataType = 7
	TensorMapDataTypeFloat64      TensorMapDataType = 8
	TensorMapDataTypeBFloat16     TensorMapDataType = 9
	TensorMapDataTypeFloat32FTZ   TensorMapDataType = 10
	TensorMapDataTypeTFloat32     TensorMapDataType = 11
	TensorMapDataTypeTFloat32FTZ  TensorMapDataType = 12
	TensorMapDataType16U4Align8B  TensorMapDataType = 13
	TensorMapDataType16U4Align16B TensorMapDataType = 14
	TensorMapDataType16U6Align16B TensorMapDataType = 15
)

// TensorMapInterleave is an interleaved layout (CUtensorMapInterleave).
type TensorMapInterleave int32

const (
	TensorMapInterleaveNone TensorMapInterleave = 0
	TensorMapInterleave16B  TensorMapInterleave = 1
	TensorMapInterleave32B  TensorMapInterleave = 2
)

// TensorMapSwizzle is the permutation of a box in shared memory that avoids bank
// conflicts (CUtensorMapSwizzle). The numbers are the bytes of its span.
type TensorMapSwizzle int32

const (
	TensorMapSwizzleNone              TensorMapSwizzle = 0
	TensorMapSwizzle32B               TensorMapSwizzle = 1
	TensorMapSwizzle64B               TensorMapSwizzle = 2
	TensorMapSwizzle128B              TensorMapSwizzle = 3
	TensorMapSwizzle128BAtom32B       TensorMapSwizzle = 4
	TensorMapSwizzle128BAtom32BFlip8B TensorMapSwizzle = 5
	TensorMapSwizzle128BAtom64B       TensorMapSwizzle = 6
)

// TensorMapL2Promotion is how much L2 fetches at a time (CUtensorMapL2promotion;
// CU_TENSOR_MAP_L2_PROMOTION_L2_64B is TensorMapL2Promotion64B).
type TensorMapL2Promotion int32

const (
	TensorMapL2PromotionNone TensorMapL2Promotion = 0
	TensorMapL2Promotion64B  TensorMapL2Promotion = 1
	TensorMapL2Promotion128B TensorMapL2Promotion = 2
	TensorMapL2Promotion256B TensorMapL2Promotion = 3
)

// TensorMapFloatOOBFill is what is read outside the tensor (CUtensorMapFloatOOBfill).
type TensorMapFloatOOBFill int32

const (
	TensorMapFloatOOBFillNone              TensorMapFloatOOBFill = 0
	TensorMapFloatOOBFillNaNRequestZeroFMA TensorMapFloatOOBFill = 1
)
