package driver

import (
	"errors"
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

var (
	// ErrNoDriver says that this machine has no usable NVIDIA driver library:
	// none of the places where it may be holds one, only the toolkit's stub
	// was found, or this program was built without it. The error that wraps it
	// lists each place and what was wrong there.
	ErrNoDriver = errors.New("no NVIDIA driver")

	// ErrNoDevice says that there is a driver, but no GPU that it can use.
	ErrNoDevice = errors.New("no NVIDIA GPU")

	// ErrClosed says that a handle was used after its Close (or was nil, or
	// was not made by this package).
	ErrClosed = errors.New("handle is closed")
)

// Error is a failed call. It prints what was asked, the driver's answer, and
// what to do where that is known. [errors.Is] finds the Code in it, and Err
// (ErrClosed, ErrNoDriver, …) where there is one.
type Error struct {
	Op     string // the C function, as cuMemAlloc
	Code   Code   // the driver's answer; ErrorInvalidValue where this package refused the call itself
	Detail string // what was asked, the assembler's log, the suspects of a fault; may be empty
	Err    error  // a sentinel of this package, or nil
}

// Error returns one line, but for the assembler's log and fault reports, which
// follow on lines of their own.
func (e *Error) Error() string {
	if e == nil {
		return "no error"
	}
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Err != nil {
		b.WriteString(": ")
		b.WriteString(e.Err.Error())
	}
	if e.Code != Success {
		b.WriteString(": ")
		b.WriteString(e.Code.Error())
	}
	if e.Detail != "" {
		b.WriteString(": ")
		b.WriteString(e.Detail)
	}
	if hint := hints[e.Code]; hint != "" {
		b.WriteString("; ")
		b.WriteString(hint)
	}
	return b.String()
}

// Unwrap gives errors.Is and errors.As the code and the sentinel.
func (e *Error) Unwrap() []error {
	if e == nil {
		return nil
	}
	var list []error
	if e.Code != Success {
		list = append(list, e.Code)
	}
	if e.Err != nil {
		list = append(list, e.Err)
	}
	return list
}

// hints say what to do about a code, where something useful is known.
var hints = map[Code]string{
	ErrorOutOfMemory:                "free device memory, or look with nvidia-smi for other processes that hold it",
	ErrorInvalidPTX:                 "the log above is the driver's own",
	ErrorUnsupportedPTXVersion:      "the PTX is newer than this driver: lower its .version, or update the driver",
	ErrorNoBinaryForGPU:             "the image holds nothing for this GPU: its .target is newer than the GPU, or it ends in \"a\" and names another one",
	ErrorSystemDriverMismatch:       "the driver's library and its kernel module are of different versions: restart the machine, or reload the module",
	ErrorSystemNotReady:             "check that the NVIDIA services run (nvidia-smi, and nvidia-fabricmanager on machines with NVSwitch)",
	ErrorUnknown:                    "check nvidia-smi and the kernel's log (dmesg); after a suspend, reload the nvidia_uvm module",
	ErrorOperatingSystem:            "check the permissions of /dev/nvidia* and the kernel's log (dmesg)",
	ErrorInvalidImage:               "the image is neither PTX text nor a cubin",
	ErrorLaunchOutOfResources:       "too many threads for the kernel's registers, or more shared memory than allowed: see Kernel.Info and Kernel.SetMaxDynamicShared",
	ErrorDeviceUnavailable:          "another process holds the GPU exclusively: see the compute mode in nvidia-smi",
	ErrorStubLibrary:                "what was loaded is the toolkit's stub: install the driver",
	ErrorCompatNotSupportedOnDevice: "the CUDA compatibility package does not serve this GPU: remove it from the library path",
}

// poisons are the codes after which a context answers no call any more.
var poisons = map[Code]bool{
	ErrorECCUncorrectable:    true,
	ErrorIllegalAddress:      true,
	ErrorLaunchTimeout:       true,
	ErrorAssert:              true,
	ErrorHardwareStackError:  true,
	ErrorIllegalInstruction:  true,
	ErrorMisalignedAddress:   true,
	ErrorInvalidAddressSpace: true,
	ErrorInvalidPC:           true,
	ErrorLaunchFailed:        true,
	ErrorTensorMemoryLeak:    true,
	ErrorContained:           true,
	ErrorNVLinkUncorrectable: true,
	ErrorExternalDevice:      true,
}

// fail makes the error for a result that is not success and has no context to
// look at.
func (d *Driver) fail(op string, r abi.Result, detail string) error {
	if r == abi.Success {
		return nil
	}
	e := &Error{Op: op, Code: Code(r), Detail: detail}
	switch e.Code {
	case ErrorNoDevice:
		e.Err = ErrNoDevice
	case ErrorStubLibrary:
		e.Err = ErrNoDriver
	case ErrorCallRequiresNewerDriver:
		e.Detail = join(detail, d.lacking(op))
	}
	return e
}

// lacking says which version of CUDA has the functions that op needs.
func (d *Driver) lacking(op string) string {
	for _, sym := range abi.Symbols {
		if "cu"+sym.Method == op && Version(sym.Since) > d.version {
			return fmt.Sprintf("the loaded driver is for CUDA %v, and %s came with CUDA %v: update the driver", d.version, sym.Name, Version(sym.Since))
		}
	}
	return "the loaded driver (CUDA " + d.version.String() + ") lacks a function that " + op + " needs: update the driver"
}

// invalid is the error for a call that this package refuses.
func invalid(op, format string, args ...any) error {
	return &Error{Op: op, Code: ErrorInvalidValue, Detail: fmt.Sprintf(format, args...)}
}

func join(parts ...string) string {
	kept := parts[:0:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "; ")
}
