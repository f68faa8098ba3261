package exec

import "encoding/binary"

// hostOrder is the byte order of the values that the host hands over. Device
// memory keeps each value in the host's order, because host and device copy
// arrays as they are; on a big-endian host a kernel that writes a value of one
// width and reads it with another sees other bytes than on a GPU.
var hostOrder = binary.NativeEndian

var bigEndian = hostOrder.Uint16([]byte{0, 1}) == 1
