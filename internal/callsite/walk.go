//go:build amd64 || arm64

package callsite

// walk writes down the return addresses on the stack, innermost first, as far as
// there are any, and says that it could. Go's code keeps frame pointers on these
// architectures: each points to the caller's, behind which is the return address;
// the outermost is 0. Code that is not Go's, which called back into Go, need not
// keep them: a pointer that does not lead further up in the goroutine's own stack is
// not followed, and the answer is false.
//
//go:noescape
func walk(w *walked) bool
