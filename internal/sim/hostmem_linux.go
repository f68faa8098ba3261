package sim

import "syscall"

// hostMemory returns the host's memory in bytes.
func hostMemory() uint64 {
	var i syscall.Sysinfo_t
	if syscall.Sysinfo(&i) != nil {
		return assumedHostMemory
	}
	return uint64(i.Totalram) * uint64(max(i.Unit, 1))
}
