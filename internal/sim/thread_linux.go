package sim

import "syscall"

// threadID names the calling thread. It means something only while the caller
// has locked its goroutine to the thread.
func threadID() int { return syscall.Gettid() }
