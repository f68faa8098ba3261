//go:build (amd64 || arm64)

package callsite

// walk writes down the return addresses on the stack, innermost first, as far as
// there are any, and says that it could. Go's code keeps frame pointers on these
// architectures: each points to the caller's, behind which is the return address;
// the outermost is 0.
//
//go:noescape
func walk(w *walked) bool
