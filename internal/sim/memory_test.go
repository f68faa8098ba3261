package sim

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

func TestAllocationErrors(t *testing.T) {
	e := open(t, Options{MemoryLimit: 1 << 20})
	p := e.alloc(1000)
	freed := e.alloc(1000)
	e.ok(e.MemFree(freed))
	host, r := e.MemHostAlloc(100, 0)
	e.ok(r)
	for _, c := range []struct {
		name string
		got  abi.Result
		want abi.Result
	}{
		{"no bytes", second(e.MemAlloc(0)), abi.ErrorInvalidValue},
		{"no bytes, async", second(e.MemAllocAsync(0, 0)), abi.ErrorInvalidValue},
		{"too many", second(e.MemAlloc(1 << 20)), abi.ErrorOutOfMemory},
		{"far too many", second(e.MemAlloc(math.MaxUint64)), abi.ErrorOutOfMemory},
		{"far too many, async", second(e.MemAllocAsync(math.MaxUint64-5, 0)), abi.ErrorOutOfMemory},
		{"free twice", e.MemFree(freed), abi.ErrorInvalidValue},
		{"free twice, async", e.MemFreeAsync(freed, 0), abi.ErrorInvalidValue},
		{"free inside", e.MemFree(p + 256), abi.ErrorInvalidValue},
		{"free null", e.MemFree(0), abi.ErrorInvalidValue},
		{"host, no bytes", second(e.MemHostAlloc(0, 0)), abi.ErrorInvalidValue},
		{"host, flags", second(e.MemHostAlloc(8, 64)), abi.ErrorInvalidValue},
		{"host, too many", second(e.MemHostAlloc(math.MaxUint64, 0)), abi.ErrorOutOfMemory},
		{"host, free inside", e.MemFreeHost(unsafe.Add(host, 8)), abi.ErrorInvalidValue},
		{"host, free", e.MemFreeHost(host), abi.Success},
		{"host, free twice", e.MemFreeHost(host), abi.ErrorInvalidValue},
		{"range of freed", third(e.MemGetAddressRange(freed)), abi.ErrorNotFound},
		{"range of nothing", third(e.MemGetAddressRange(12345)), abi.ErrorNotFound},
		{"bad stream", second(e.MemAllocAsync(8, 1<<30)), abi.ErrorInvalidHandle},
		{"bad pool", second(e.MemAllocFromPoolAsync(8, 77, 0)), abi.ErrorInvalidHandle},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	base, n, r := e.MemGetAddressRange(p + 999)
	if e.ok(r); base != p || n != 1000 {
		t.Errorf("range of %#x+999 is %#x, %d bytes", p, base, n)
	}
	e.MarkMemory(p, 5000, abi.MemoryDead, nil) // reaches beyond the allocation: not marked
	e.MarkMemory(freed, 10, abi.MemoryLive, nil)
	e.MarkMemory(p, 0, abi.MemoryDead, nil)
	e.ok(e.MemsetD8Async(p, 1, 1000, 0))
	e.ok(e.CtxSynchronize())
}

func second[T any](_ T, r abi.Result) abi.Result        { return r }
func third[T, U any](_ T, _ U, r abi.Result) abi.Result { return r }

func TestMemoryIsCounted(t *testing.T) {
	e := open(t, Options{MemoryLimit: 100 << 20})
	used := func() uint64 {
		free, total, r := e.MemGetInfo()
		e.ok(r)
		return total - free
	}
	a := e.alloc(10 << 20)
	if u := used(); u != 10<<20 {
		t.Errorf("%d bytes used after 10 MiB", u)
	}
	_, r := e.MemAlloc(91 << 20)
	e.want(r, abi.ErrorOutOfMemory)
	b := e.alloc(90 << 20)
	e.ok(e.MemFree(a))
	a = e.alloc(10 << 20)
	e.ok(e.MemFree(a))
	e.ok(e.MemFree(b))
	if u := used(); u != 0 {
		t.Errorf("%d bytes used at the end", u)
	}
}

func TestPools(t *testing.T) {
	e := open(t, Options{MemoryLimit: 100 << 20})
	def := must[abi.MemoryPool](e)(e.DeviceGetDefaultMemPool(0))
	props := &abi.MemPoolProps{AllocType: abi.MemAllocationTypePinned, Location: abi.MemLocation{Type: abi.MemLocationTypeDevice}}
	own := must[abi.MemoryPool](e)(e.MemPoolCreate(props))
	get := func(p abi.MemoryPool, a abi.MemPoolAttribute) uint64 {
		t.Helper()
		return must[uint64](e)(e.MemPoolGetAttribute(p, a))
	}
	check := func(when string, p abi.MemoryPool, used, reserved uint64) {
		t.Helper()
		u, r := get(p, abi.MemPoolAttributeUsedMemCurrent), get(p, abi.MemPoolAttributeReservedMemCurrent)
		if u != used || r != reserved {
			t.Errorf("%s: %d used, %d reserved, want %d and %d", when, u, r, used, reserved)
		}
	}
	const mib = 1 << 20
	a := must[abi.DevicePtr](e)(e.MemAllocAsync(3*mib, 0))
	b := must[abi.DevicePtr](e)(e.MemAllocFromPoolAsync(5*mib, own, 0))
	check("default", def, 3*mib, 4*mib)
	check("own", own, 5*mib, 6*mib)
	if u, r := get(own, abi.MemPoolAttributeUsedMemHigh), get(own, abi.MemPoolAttributeReservedMemHigh); u != 5*mib || r != 6*mib {
		t.Errorf("high-water marks %d and %d", u, r)
	}
	e.ok(e.MemFreeAsync(a, 0))
	check("before the synchronisation", def, 0, 4*mib)
	e.ok(e.StreamSynchronize(0))
	check("after the synchronisation", def, 0, 0)

	// A threshold keeps what is unused.
	e.ok(e.MemPoolSetAttribute(own, abi.MemPoolAttributeReleaseThreshold, math.MaxUint64>>1))
	e.ok(e.MemFree(b))
	e.ok(e.CtxSynchronize())
	check("kept", own, 0, 6*mib)
	b = must[abi.DevicePtr](e)(e.MemAllocFromPoolAsync(2*mib, own, 0))
	check("reused", own, 2*mib, 6*mib)
	e.ok(e.MemPoolTrimTo(own, 3*mib))
	check("trimmed", own, 2*mib, 4*mib)
	if h := get(own, abi.MemPoolAttributeUsedMemHigh); h != 5*mib {
		t.Errorf("high-water mark %d", h)
	}
	e.want(e.MemPoolSetAttribute(own, abi.MemPoolAttributeUsedMemHigh, 5), abi.ErrorInvalidValue)
	e.ok(e.MemPoolSetAttribute(own, abi.MemPoolAttributeUsedMemHigh, 0))
	if h := get(own, abi.MemPoolAttributeUsedMemHigh); h != 2*mib {
		t.Errorf("high-water mark after its reset %d", h)
	}
	e.want(e.MemPoolSetAttribute(own, abi.MemPoolAttributeUsedMemCurrent, 0), abi.ErrorInvalidValue)
	e.want(second(e.MemPoolGetAttribute(own, 99)), abi.ErrorInvalidValue)
	e.want(e.MemPoolSetAttribute(own, 0, 1), abi.ErrorInvalidValue)

	// What a pool keeps unused is given up before memory runs out.
	big := e.alloc(98 * mib)
	check("given up", own, 2*mib, 2*mib)
	e.ok(e.MemFree(big))

	e.want(e.MemPoolDestroy(def), abi.ErrorInvalidValue)
	e.ok(e.MemPoolDestroy(own))
	e.want(e.MemPoolDestroy(own), abi.ErrorInvalidHandle)
	e.ok(e.MemFreeAsync(b, 0)) // outlives its pool
	e.ok(e.CtxSynchronize())
	if free, total, _ := e.MemGetInfo(); free != total {
		t.Errorf("%d bytes used at the end", total-free)
	}

	props.MaxSize = mib
	small := must[abi.MemoryPool](e)(e.MemPoolCreate(props))
	e.want(second(e.MemAllocFromPoolAsync(mib+1, small, 0)), abi.ErrorOutOfMemory)
	for _, bad := range []*abi.MemPoolProps{
		nil, {}, {AllocType: abi.MemAllocationTypePinned}, {AllocType: abi.MemAllocationTypeManaged, Location: props.Location},
	} {
		e.want(second(e.MemPoolCreate(bad)), abi.ErrorInvalidValue)
	}
	e.want(second(e.MemPoolCreate(&abi.MemPoolProps{AllocType: abi.MemAllocationTypePinned, Location: abi.MemLocation{Type: abi.MemLocationTypeDevice, ID: 5}})), abi.ErrorInvalidDevice)
}

func TestCopyErrors(t *testing.T) {
	e := open(t, Options{})
	p, q, freed := e.alloc(1000), e.alloc(1000), e.alloc(1000)
	e.ok(e.MemFree(freed))
	buf := make([]byte, 2000)
	h := unsafe.Pointer(&buf[0])
	pinned, r := e.MemHostAlloc(100, abi.MemHostAllocPortable)
	e.ok(r)
	if uintptr(pinned)%4096 != 0 {
		t.Errorf("pinned memory at %p", pinned)
	}
	for _, c := range []struct {
		name string
		got  abi.Result
		want abi.Result
	}{
		{"all", e.MemcpyHtoD(p, h, 1000), abi.Success},
		{"one too many", e.MemcpyHtoD(p, h, 1001), abi.ErrorInvalidValue},
		{"one too far", e.MemcpyHtoD(p+1, h, 1000), abi.ErrorInvalidValue},
		{"overflow", e.MemcpyHtoD(p+1, h, math.MaxUint64), abi.ErrorInvalidValue},
		{"nothing", e.MemcpyHtoD(p+5000, nil, 0), abi.Success},
		{"to null", e.MemcpyHtoD(0, h, 1), abi.ErrorInvalidValue},
		{"from null", e.MemcpyHtoD(p, nil, 1), abi.ErrorInvalidValue},
		{"to freed", e.MemcpyHtoD(freed, h, 1), abi.ErrorInvalidValue},
		{"from freed", e.MemcpyDtoH(h, freed, 1), abi.ErrorInvalidValue},
		{"back, too many", e.MemcpyDtoHAsync(h, p, 1001, 0), abi.ErrorInvalidValue},
		{"back to null", e.MemcpyDtoH(nil, p, 4), abi.ErrorInvalidValue},
		{"inside", e.MemcpyDtoD(q, p, 1000), abi.Success},
		{"inside, too many", e.MemcpyDtoDAsync(q, p, 1001, 0), abi.ErrorInvalidValue},
		{"past pinned memory's end", e.MemcpyDtoH(pinned, p, 101), abi.ErrorInvalidValue},
		{"past pinned memory's end, from inside", e.MemcpyHtoD(p, unsafe.Add(pinned, 50), 51), abi.ErrorInvalidValue},
		{"to pinned", e.MemcpyDtoHAsync(pinned, p, 100, 0), abi.Success},
		{"bad stream", e.MemcpyHtoDAsync(p, h, 1, 1<<30), abi.ErrorInvalidHandle},
		{"fill, odd", e.MemsetD16Async(p+1, 1, 1, 0), abi.ErrorInvalidValue},
		{"fill, not of four", e.MemsetD32Async(p+2, 1, 1, 0), abi.ErrorInvalidValue},
		{"fill, too many", e.MemsetD32Async(p, 1, 251, 0), abi.ErrorInvalidValue},
		{"fill, overflow", e.MemsetD32Async(p, 1, 1<<62+1, 0), abi.ErrorInvalidValue},
		{"fill nothing", e.MemsetD32Async(p, 1, 0, 0), abi.Success},
		{"fill freed", e.MemsetD8Async(freed, 1, 1, 0), abi.ErrorInvalidValue},
		{"no rows", e.Memcpy2D(nil), abi.ErrorInvalidValue},
		{"rows of no memory", e.Memcpy2D(&abi.Memcpy2D{WidthInBytes: 1, Height: 1}), abi.ErrorInvalidValue},
		{"rows from an array", e.Memcpy2D(&abi.Memcpy2D{WidthInBytes: 1, Height: 1, DstMemoryType: abi.MemoryTypeDevice, DstDevice: p, SrcMemoryType: abi.MemoryTypeArray}), abi.ErrorInvalidValue},
		{"pitch below width", e.Memcpy2D(rows(p, 9, q, 10, 10, 2)), abi.ErrorInvalidValue},
		{"rows past the end", e.Memcpy2D(rows(p, 100, q, 100, 1, 11)), abi.ErrorInvalidValue},
		{"rows to the end", e.Memcpy2D(rows(p, 111, q, 100, 1, 10)), abi.Success},
		{"pitch that overflows", e.Memcpy2D(rows(p, math.MaxUint64/2, q, 100, 1, 3)), abi.ErrorInvalidValue},
		{"height that overflows", e.Memcpy2D(rows(p, 8, q, 8, 8, math.MaxUint64)), abi.ErrorInvalidValue},
		{"peer without context", e.MemcpyPeerAsync(p, 0, q, e.ctx, 8, 0), abi.ErrorInvalidContext},
		{"peer to itself", e.MemcpyPeerAsync(p, e.ctx, q, e.ctx, 8, 0), abi.Success},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	e.ok(e.CtxSynchronize())
}

func rows(dst abi.DevicePtr, dstPitch uint64, src abi.DevicePtr, srcPitch, width, height uint64) *abi.Memcpy2D {
	return &abi.Memcpy2D{
		DstMemoryType: abi.MemoryTypeDevice, DstDevice: dst, DstPitch: dstPitch,
		SrcMemoryType: abi.MemoryTypeDevice, SrcDevice: src, SrcPitch: srcPitch, WidthInBytes: width, Height: height,
	}
}

// Copies of three dimensions, through graph nodes, against loops over bytes.
func TestCopiesAgainstLoops(t *testing.T) {
	rng := random(t)
	e := open(t, Options{})
	for range 300 {
		c := abi.Memcpy3D{WidthInBytes: 1 + rng.Uint64N(9), Height: 1 + rng.Uint64N(5), Depth: 1 + rng.Uint64N(4)}
		c.DstXInBytes, c.DstY, c.DstZ, c.SrcXInBytes, c.SrcY, c.SrcZ = rng.Uint64N(3), rng.Uint64N(3), rng.Uint64N(3), rng.Uint64N(3), rng.Uint64N(3), rng.Uint64N(3)
		c.DstPitch, c.SrcPitch = c.WidthInBytes+c.DstXInBytes+rng.Uint64N(4), c.WidthInBytes+c.SrcXInBytes+rng.Uint64N(4)
		c.DstHeight, c.SrcHeight = c.Height+c.DstY+rng.Uint64N(3), c.Height+c.SrcY+rng.Uint64N(3)
		src, dst := noise(rng, 1000+rng.IntN(100)), noise(rng, 1000+rng.IntN(100))
		want := bytes.Clone(dst)
		for z := range c.Depth {
			for y := range c.Height {
				for x := range c.WidthInBytes {
					want[((z+c.DstZ)*c.DstHeight+y+c.DstY)*c.DstPitch+x+c.DstXInBytes] = src[((z+c.SrcZ)*c.SrcHeight+y+c.SrcY)*c.SrcPitch+x+c.SrcXInBytes]
				}
			}
		}
		result := func() []byte { return dst }
		if c.DstMemoryType = abi.MemoryType(1 + rng.IntN(2)); c.DstMemoryType == abi.MemoryTypeHost {
			c.DstHost = unsafe.Pointer(&dst[0])
		} else {
			c.DstDevice = upload(e, dst)
			result = func() []byte { return download[byte](e, c.DstDevice, len(dst)) }
		}
		if c.SrcMemoryType = abi.MemoryType(1 + rng.IntN(2)); c.SrcMemoryType == abi.MemoryTypeHost {
			c.SrcHost = unsafe.Pointer(&src[0])
		} else {
			c.SrcDevice = upload(e, src)
		}
		g := must[abi.Graph](e)(e.GraphCreate(0))
		must[abi.GraphNode](e)(e.GraphAddMemcpyNode(g, nil, &c, e.ctx))
		e.ok(e.GraphLaunch(must[abi.GraphExec](e)(e.GraphInstantiate(g, 0)), 0))
		if !bytes.Equal(result(), want) {
			t.Fatalf("%+v: wrong bytes", c)
		}
		if c.Depth == 1 && c.DstZ == 0 && c.SrcZ == 0 {
			e.ok(e.Memcpy2D(&abi.Memcpy2D{
				DstXInBytes: c.DstXInBytes, DstY: c.DstY, DstMemoryType: c.DstMemoryType, DstHost: c.DstHost, DstDevice: c.DstDevice, DstPitch: c.DstPitch,
				SrcXInBytes: c.SrcXInBytes, SrcY: c.SrcY, SrcMemoryType: c.SrcMemoryType, SrcHost: c.SrcHost, SrcDevice: c.SrcDevice, SrcPitch: c.SrcPitch,
				WidthInBytes: c.WidthInBytes, Height: c.Height,
			}))
			if !bytes.Equal(result(), want) {
				t.Fatalf("%+v as two dimensions: wrong bytes", c)
			}
		}
	}
}

func noise(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func TestFills(t *testing.T) {
	e := open(t, Options{})
	for _, n := range []int{1, 2, 3, 7, 100, 1023} {
		p := upload(e, make([]uint32, n+1))
		e.ok(e.MemsetD8Async(p, 0xa5, uint64(n), 0))
		if got := download[uint8](e, p, n+1); got[n] != 0 || !slices.Equal(got[:n], slices.Repeat([]uint8{0xa5}, n)) {
			t.Errorf("%d bytes: %x", n, got)
		}
		e.ok(e.MemsetD16Async(p, 0xbeef, uint64(n), 0))
		if got := download[uint16](e, p, n+1); got[n]&0xff00 != 0 || !slices.Equal(got[:n], slices.Repeat([]uint16{0xbeef}, n)) {
			t.Errorf("%d values of 16 bits: %x", n, got)
		}
		e.ok(e.MemsetD32Async(p, 0xdeadbeef, uint64(n), 0))
		if got := download[uint32](e, p, n+1); got[n] != 0 || !slices.Equal(got[:n], slices.Repeat([]uint32{0xdeadbeef}, n)) {
			t.Errorf("%d values of 32 bits: %x", n, got)
		}
	}
}

// A copy that touches what the allocator above has freed is a fault, as a
// kernel's access would be, though hardware would not notice.
func TestCopyOfDeadMemory(t *testing.T) {
	e := open(t, Options{})
	p := e.alloc(1024)
	e.MarkMemory(p, 512, abi.MemoryLive, func() string { return "first" })
	e.MarkMemory(p+512, 512, abi.MemoryDead, func() string { return "second" })
	e.ok(e.MemsetD8Async(p, 0, 512, 0))
	e.ok(e.CtxSynchronize())
	e.ok(e.MemsetD8Async(p, 0, 513, 0))
	e.want(e.CtxSynchronize(), abi.ErrorIllegalAddress)
	if e.FaultReport() == "" {
		t.Error("no report")
	}
}
