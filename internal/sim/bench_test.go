package sim

import (
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// What a call costs besides the work itself.
func BenchmarkCalls(b *testing.B) {
	e := open(b, Options{Workers: 1})
	f := e.kernel(saxpyPTX, "saxpy")
	x := upload(e, make([]float32, 64))
	var host [64]float32
	s, ev := e.stream(), e.event()
	params := []unsafe.Pointer{ptr(uint32(32)), ptr(float32(2)), ptr(x), ptr(x)}
	for range 1000 {
		e.alloc(256) // a table of some size
	}
	for _, c := range []struct {
		name string
		call func() abi.Result
	}{
		{"launch of one warp", func() abi.Result { return e.LaunchKernel(f, 1, 1, 1, 32, 1, 1, 0, s, &params[0]) }},
		{"copy of 256 bytes", func() abi.Result { return e.MemcpyDtoHAsync(unsafe.Pointer(&host), x, 256, s) }},
		{"fill of 256 bytes", func() abi.Result { return e.MemsetD32Async(x, 0, 64, s) }},
		{"allocate and free", func() abi.Result {
			p, _ := e.MemAlloc(256)
			return e.MemFree(p)
		}},
		{"record and query", func() abi.Result {
			e.EventRecord(ev, s)
			return e.EventQuery(ev)
		}},
		{"mark", func() abi.Result {
			e.MarkMemory(x, 256, abi.MemoryLive, nil)
			return abi.Success
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if r := c.call(); r != abi.Success {
					b.Fatal(r)
				}
			}
		})
	}
}
