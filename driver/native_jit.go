//go:build ((linux && !android) || windows) && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import (
	"bytes"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// jitArrays is abi.JitOptions as C takes it: names and values side by side, where
// a value is a number in the low bytes of a pointer, or a pointer.
type jitArrays struct {
	names             []abi.JitOption
	values            []uintptr
	infoLen, errorLen int // index of the value that returns a log's length, or -1
}

func newJit(o *abi.JitOptions) *jitArrays {
	j := &jitArrays{infoLen: -1, errorLen: -1}
	if o == nil {
		return j
	}
	o.Held = j
	j.infoLen = j.buffer(o.InfoLog, abi.JitOptionInfoLogBuffer, abi.JitOptionInfoLogBufferSizeBytes)
	j.errorLen = j.buffer(o.ErrorLog, abi.JitOptionErrorLogBuffer, abi.JitOptionErrorLogBufferSizeBytes)
	for _, row := range [...]struct {
		name  abi.JitOption
		value int
	}{
		{abi.JitOptionMaxRegisters, o.MaxRegisters},
		{abi.JitOptionOptimizationLevel, o.OptLevel},
		{abi.JitOptionTarget, int(o.Target)},
	} {
		if row.value != 0 {
			j.add(row.name, uintptr(row.value))
		}
	}
	if o.LogVerbose {
		j.add(abi.JitOptionLogVerbose, 1)
	}
	return j
}

func (j *jitArrays) add(name abi.JitOption, value uintptr) {
	j.names = append(j.names, name)
	j.values = append(j.values, value)
}

// buffer adds a log buffer, and returns the index of its length.
func (j *jitArrays) buffer(buf []byte, address, size abi.JitOption) int {
	if len(buf) == 0 {
		return -1
	}
	// A number, not a pointer: arguments keeps the buffer alive.
	j.add(address, uintptr(unsafe.Pointer(&buf[0])))
	j.add(size, uintptr(len(buf)))
	return len(j.values) - 1
}

// arguments are what the C functions take of this. The log buffers are part of
// the call's memory too.
func (j *jitArrays) arguments(b *block, o *abi.JitOptions) (names, values, n uintptr) {
	if o != nil {
		refSlice(b, o.InfoLog)
		refSlice(b, o.ErrorLog)
	}
	return refSlice(b, j.names), refSlice(b, j.values), uintptr(len(j.names))
}

// finish takes the lengths of the logs over, which include the final NUL.
func (j *jitArrays) finish(o *abi.JitOptions) {
	if o == nil {
		return
	}
	o.InfoLen = j.length(j.infoLen, o.InfoLog)
	o.ErrorLen = j.length(j.errorLen, o.ErrorLog)
}

func (j *jitArrays) length(i int, buf []byte) int {
	if i < 0 {
		return 0
	}
	n := min(int(uint32(j.values[i])), len(buf))
	if end := bytes.IndexByte(buf[:n], 0); end >= 0 {
		n = end
	}
	return n
}

// terminated returns the image with a NUL behind it, if it is text without one.
func terminated(image []byte) []byte {
	elf := bytes.HasPrefix(image, []byte("\x7fELF"))
	fat := bytes.HasPrefix(image, []byte("\x50\xed\x55\xba"))
	if n := len(image); elf || fat || n > 0 && image[n-1] == 0 {
		return image
	}
	return append(bytes.Clone(image), 0)
}
