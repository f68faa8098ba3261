package driver

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// Limit is a resource of a context that can be set.
type Limit int32

const (
	LimitStackSize             = Limit(abi.LimitStackSize)             // of each thread, bytes
	LimitPrintfSize            = Limit(abi.LimitPrintfFifoSize)        // buffer of printf in kernels, bytes
	LimitMallocSize            = Limit(abi.LimitMallocHeapSize)        // heap of malloc in kernels, bytes
	LimitL2FetchGranularity    = Limit(abi.LimitMaxL2FetchGranularity) // a hint, bytes
	LimitPersistingL2CacheSize = Limit(abi.LimitPersistingL2CacheSize) // of L2 for persisting accesses, bytes
)
