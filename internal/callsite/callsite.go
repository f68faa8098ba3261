// Package callsite finds out, in about 10 ns, which line of a program called.
//
// runtime.Callers takes 20 times as long, most of it for finding out what was
// inlined where. That depends on nothing but the return addresses on the stack, so
// it is done once for each list of these that comes up; the list itself is a walk
// along the frame pointers, where Go has them.
package callsite

import (
	"runtime"
	"sync/atomic"
)

// maxSkip is the largest skip that Caller takes: with the frames that the compiler
// puts between for methods called through interfaces and function values, these are
// in walked.
const maxSkip = 2

// walked are the innermost return addresses: of this package's own functions, of
// those that are skipped, and of compiler-made ones between.
type walked [7]uintptr

// A site is what was found out about one list of return addresses.
type site struct {
	frames walked
	skip   int
	pc     uintptr
}

// sites remembers, at a place that the addresses give, the site that was there last.
// A program has hundreds of lines that call us rather than thousands; where two have
// one place, both are looked up each time.
var sites [1 << 11]atomic.Pointer[site]

// Caller returns a program counter for runtime.CallersFrames: with skip 0 that of the
// call of the function that calls Caller, with 1 that of its caller's call, and so on
// up to 2.
//
//go:noinline
func Caller(skip int) uintptr {
	var frames walked
	if skip > maxSkip || !walk(&frames) {
		return look(skip)
	}
	place := &sites[frames.place()]
	if s := place.Load(); s != nil && s.frames == frames && s.skip == skip {
		return s.pc
	}
	s := &site{frames, skip, look(skip)}
	place.Store(s)
	return s.pc
}

// look asks the runtime. It is called by Caller alone.
//
//go:noinline
func look(skip int) uintptr {
	var pc [1]uintptr
	runtime.Callers(skip+4, pc[:]) // over Callers, look, Caller and the function that calls Caller
	return pc[0]
}

// place mixes the addresses; those of calls nearby differ in the low bits.
func (w *walked) place() uint64 {
	h := uint64(w[1])*0x9e3779b97f4a7c15 + uint64(w[2])*0xbf58476d1ce4e5b9 + uint64(w[3])*0x94d049bb133111eb + uint64(w[4])*0xd6e8feb86659fd93 + uint64(w[5])*0xa0761d6478bd642f
	return h >> (64 - 11)
}
