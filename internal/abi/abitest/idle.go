package abitest

import (
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// Idle is an implementation of the seam that launches neither kernels nor graphs: what
// a program then takes is the host's share.
type Idle struct{ abi.API }

// LaunchKernel does nothing. It does not look at params.
func (Idle) LaunchKernel(_ abi.Function, _, _, _, _, _, _, _ uint32, _ abi.Stream, _ *unsafe.Pointer) abi.Result {
	return abi.Success
}

// GraphLaunch does nothing.
func (Idle) GraphLaunch(abi.GraphExec, abi.Stream) abi.Result { return abi.Success }
