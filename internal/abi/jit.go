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

	// Held is set by the implementation to the memory that the driver may still
	// write to after the call: a library is assembled when it is first used. It
	// and the buffers must stay reachable as long as the library.
	Held any
}

// JitOption names an option of the PTX assembler (CUjit_option; CU_JIT_ becomes
// JitOption). Each value travels in a void *: numbers in its low bytes, not behind it.
type JitOption int32

const (
	JitOptionMaxRegisters                  JitOption = 0  // uint32
	JitOptionThreadsPerBlock               JitOption = 1  // uint32; on return, what the registers allow
	JitOptionWallTime                      JitOption = 2  // float32 on return: milliseconds
	JitOptionInfoLogBuffer                 JitOption = 3  // char *
	JitOptionInfoLogBufferSizeBytes        JitOption = 4  // uint32; on return, bytes written
	JitOptionErrorLogBuffer                JitOption = 5  // char *
	JitOptionErrorLogBufferSizeBytes       JitOption = 6  // uint32; on return, bytes written
	JitOptionOptimizationLevel             JitOption = 7  // uint32, 0 to 4
	JitOptionTargetFromCUContext           JitOption = 8  // no value: the default
	JitOptionTarget                        JitOption = 9  // a JitTarget
	JitOptionFallbackStrategy              JitOption = 10 // a JitFallback
	JitOptionGenerateDebugInfo             JitOption = 11 // int32
	JitOptionLogVerbose                    JitOption = 12 // int32, 1 or 0
	JitOptionGenerateLineInfo              JitOption = 13 // int32
	JitOptionCacheMode                     JitOption = 14 // a JitCacheMode
	JitOptionNewSm3XOpt                    JitOption = 15
	JitOptionFastCompile                   JitOption = 16
	JitOptionGlobalSymbolNames             JitOption = 17
	JitOptionGlobalSymbolAddresses         JitOption = 18
	JitOptionGlobalSymbolCount             JitOption = 19
	JitOptionLTO                           JitOption = 20
	JitOptionFTZ                           JitOption = 21
	JitOptionPrecDiv                       JitOption = 22
	JitOptionPrecSqrt                      JitOption = 23
	JitOptionFMA                           JitOption = 24
	JitOptionReferencedKernelNames         JitOption = 25
	JitOptionReferencedKernelCount         JitOption = 26
	JitOptionReferencedVariableNames       JitOption = 27
	JitOptionReferencedVariableCount       JitOption = 28
	JitOptionOptimizeUnusedDeviceVariables JitOption = 29
	JitOptionPositionIndependentCode       JitOption = 30
	JitOptionMinCTAPerSM                   JitOption = 31 // uint32
	JitOptionMaxThreadsPerBlock            JitOption = 32 // uint32
	JitOptionOverrideDirectiveValues       JitOption = 33 // int32
	JitOptionSplitCompile                  JitOption = 34 // int32: threads; 0 for all
)

// JitTarget is a compute capability to assemble for, 10 × major + minor, with
// architecture-specific (A) or family-specific (F) features (CUjit_target).
type JitTarget int32

const (
	JitTargetCompute30   JitTarget = 30
	JitTargetCompute32   JitTarget = 32
	JitTargetCompute35   JitTarget = 35
	JitTargetCompute37   JitTarget = 37
	JitTargetCompute50   JitTarget = 50
	JitTargetCompute52   JitTarget = 52
	JitTargetCompute53   JitTarget = 53
	JitTargetCompute60   JitTarget = 60
	JitTargetCompute61   JitTarget = 61
	JitTargetCompute62   JitTarget = 62
	JitTargetCompute70   JitTarget = 70
	JitTargetCompute72   JitTarget = 72
	JitTargetCompute75   JitTarget = 75
	JitTargetCompute80   JitTarget = 80
	JitTargetCompute86   JitTarget = 86
	JitTargetCompute87   JitTarget = 87
	JitTargetCompute89   JitTarget = 89
	JitTargetCompute90   JitTarget = 90
	JitTargetCompute100  JitTarget = 100
	JitTargetCompute103  JitTarget = 103
	JitTargetCompute110  JitTarget = 110
	JitTargetCompute120  JitTarget = 120
	JitTargetCompute121  JitTarget = 121
	JitTargetCompute90A  JitTarget = 65626
	JitTargetCompute100A JitTarget = 65636
	JitTargetCompute103A JitTarget = 65639
	JitTargetCompute110A JitTarget = 65646
	JitTargetCompute120A JitTarget = 65656
	JitTargetCompute121A JitTarget = 65657
	JitTargetCompute100F JitTarget = 131172
	JitTargetCompute103F JitTarget = 131175
	JitTargetCompute110F JitTarget = 131182
	JitTargetCompute120F JitTarget = 131192
	JitTargetCompute121F JitTarget = 131193
)

// JitFallback is what is preferred where no code fits exactly (CUjit_fallback;
// CU_PREFER_ becomes JitPrefer).
type JitFallback int32

const (
	JitPreferPTX    JitFallback = 0
	JitPreferBinary JitFallback = 1
)

// JitCacheMode is how global loads are cached (CUjit_cacheMode;
// CU_JIT_CACHE_OPTION_ becomes JitCacheOption).
type JitCacheMode int32

const (
	JitCacheOptionNone JitCacheMode = 0
	JitCacheOptionCG   JitCacheMode = 1
	JitCacheOptionCA   JitCacheMode = 2
)

// LibraryOption names an option of loading a library (CUlibraryOption;
// CU_LIBRARY_ becomes Library).
type LibraryOption int32

const (
	LibraryHostUniversalFunctionAndDataTable LibraryOption = 0
	LibraryBinaryIsPreserved                 LibraryOption = 1 // the image stays in place, so the driver need not copy it
)
