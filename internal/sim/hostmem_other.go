//go:build !linux

package sim

// hostMemory returns a guess at the host's memory in bytes.
func hostMemory() uint64 { return assumedHostMemory }
