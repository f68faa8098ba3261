package kernels

import "github.com/seed6486a2bb/gpuarray/internal/ptx"

// Rows that fill their lanes have kernels without code for elements that may be
// missing. That code puts a branch around every run, across which the assembler
// moves no load: a norm's weight and bias were loaded one pass after the other,
// when nothing else was in flight.

// inVectors says whether all that has the row's length is read and written in
// vectors, so that neighbours lie side by side.
func (k *rowKernel) inVectors() bool {
	size := k.t.Size()
	for _, access := range k.scales {
		if access == size {
			return false
		}
	}
	return k.in > size && (k.out > size || k.kind.isStatistic())
}

// passBytes is how far a pass lies behind the first one.
func (e *rowEmitter) passBytes(p int) int64 { return int64(p * reduceSlots * e.t.Size()) }

// loadPasses is load of a whole row, of which the thread's first element is given.
func (e *rowEmitter) loadPasses(first *ptx.Reg) [][]*ptx.Reg {
	e.starts = []*ptx.Reg{first}
	xs, at := make([][]*ptx.Reg, e.passes), e.address(first, e.base, e.stride)
	for p := range xs {
		xs[p] = e.b.Regs(e.c.reg(), e.run)
		e.loadWhole(xs[p], at, e.passBytes(p), e.stride, e.in)
	}
	return xs
}

// scalesAhead returns a function that returns the weight and bias of one pass after
// the other; they are loaded two passes before. Whether a store changes what is
// loaded behind it the assembler cannot know: it would load each pass' after the
// stores of the one before.
func (e *rowEmitter) scalesAhead() func(p int) [2][]*ptx.Reg {
	const ahead = 2
	scales := make([][2][]*ptx.Reg, e.passes)
	var at [2]*ptx.Reg
	for k, s := range e.scale {
		if s.access > 0 {
			at[k] = e.address(e.starts[0], e.b.Ld(s.base), e.b.Ld(s.stride))
		}
	}
	load := func(p int) {
		for k, s := range e.scale {
			if p < e.passes && s.access > 0 {
				scales[p][k] = e.b.Regs(e.c.reg(), e.run)
				e.loadWhole(scales[p][k], at[k], e.passBytes(p), e.b.Ld(s.stride), s.access)
			}
		}
	}
	for p := range ahead {
		load(p)
	}
	return func(p int) [2][]*ptx.Reg {
		load(p + ahead)
		return scales[p]
	}
}

// storePasses is store of a whole row: its lanes are those of all threads, so that
// no thread is without one.
func (e *rowEmitter) storePasses(results func(p int) []*ptx.Reg) {
	at := e.address(e.starts[0], e.outBase, e.outStride)
	for p := range e.passes {
		e.storeWhole(results(p), at, e.passBytes(p))
	}
	e.b.Do("ret")
}
