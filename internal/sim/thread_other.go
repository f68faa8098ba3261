//go:build !linux

package sim

// threadID is the same for all threads: the current context is the process's.
func threadID() int { return 0 }
