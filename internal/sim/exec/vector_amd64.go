package exec

import "unsafe"

// What is in assembly is used where the processor has AVX2 and FMA3. Each has a
// twin in Go, whose place it takes, and which the tests hold it against.

func cpuid(leaf, sub uint32) (a, b, c, d uint32)
func xgetbv() uint32

// hasVectors reports AVX2 and FMA3, with an operating system that saves their
// registers.
func hasVectors() bool {
	top, _, _, _ := cpuid(0, 0)
	if top < 7 {
		return false
	}
	const fma, osxsave, avx, avx2 = 1 << 12, 1 << 27, 1 << 28, 1 << 5
	_, _, c, _ := cpuid(1, 0)
	if c&(fma|osxsave|avx) != fma|osxsave|avx || xgetbv()&6 != 6 {
		return false
	}
	_, b, _, _ := cpuid(7, 0)
	return b&avx2 != 0
}

//go:noescape
func vFill32(d *uint32, v uint32, bytes int)

//go:noescape
func vOffset64(t, a *uint64, off, step uint64, lanes int) (different uint64)

//go:noescape
func vOffset32(t *uint64, a *uint32, off uint32, lanes int, out *[3]uint32)

//go:noescape
func gatherQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)

//go:noescape
func scatterQuads(d0, d1, d2, d3 *uint32, p unsafe.Pointer, lo uint64, t *uint64, lanes int)

func init() {
	if !hasVectors() {
		return
	}
	vectors.steps, vectors.run = stepForms(), runSteps
	vectors.chains = chains[:]
	vectors.offset64, vectors.offset32 = vOffset64, vOffset32
	vectors.gather4, vectors.scatter4 = gatherQuads, scatterQuads
	vectors.fill32 = vFill32
}
