package abi

// TensorMapAlignment is the alignment in bytes that the driver asks of a
// TensorMap, in memory that is passed to TensorMapEncodeTiled and in a kernel's
// parameters.
const TensorMapAlignment = 64

// TensorMap describes a tensor in device memory for the copy unit of compute
// capability 9.0 and above (CUtensorMap): 128 opaque bytes.
//
// C aligns it to 64 bytes and Go has no way to ask for more than 8, so whoever
// makes one must see to it: take TensorMap values from an allocation of at
// least TensorMapAlignment−1 more bytes and round the address up, as
//
//	buf := make([]byte, unsafe.Sizeof(TensorMap{})+TensorMapAlignment-1)
//	off := -uintptr(unsafe.Pointer(&buf[0])) & (TensorMapAlignment - 1)
//	m := (*TensorMap)(unsafe.Pointer(&buf[off]))
//
// which is safe because the heap does not move and m keeps buf alive. It must
// then be used in place: a copy of the value is not aligned.
type TensorMap [16]uint64
