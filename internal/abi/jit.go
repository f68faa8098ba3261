package abi

// JitOptions is this module's own form of the options that the C functions take
// as two parallel arrays of CUjit_option and values. The zero value asks for the
// driver's defaults. It is not laid out as anything in C.
type JitOptions struct {
	// InfoLog and ErrorLog are buffers for the assembler's text; a nil one is
	// not asked for. InfoLen and ErrorLen are set on return, also when the call
	// failed: the number of bytes written, without the final NUL.
	InfoLog, ErrorLog []byte
	InfoLen, ErrorLen int

	MaxRegisters int       // for each thread; 0 is the driver's choice
	OptLevel     int       // 1 to 4; 0 is the driver's default (4)
	LogVerbose   bool      // registers, shared memory and spills in InfoLog
	Target       JitTarget // 0 is the current context's device
}
