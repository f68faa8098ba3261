package kernels

import (
	"math"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

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

// storeDivided stores the quotients of a whole float32 row by its sum, which is 1 or
// more: by divider, unless they may be too small for it.
func (e *rowEmitter) storeDivided(xs [][]*ptx.Reg, sum *ptx.Reg) {
	const edge = (127 - 79) << 23 // the bits of 2⁻⁷⁹
	b, small := e.b, e.b.NewLabel("small")
	least := b.Op("mov.u32", int64(math.MaxUint32))
	for _, run := range xs {
		for _, x := range run {
			least = b.Op("min.u32", least, b.Op("sub.u32", floatBits(b, e.c, x), 1)) // 0 becomes the largest
		}
	}
	b.BraIf(b.Op("setp.lt.u32", least, edge), small)
	divide := newFunction(b, e.c).divider(sum)
	e.storePasses(func(p int) []*ptx.Reg { return each(xs[p], divide) })
	b.Bind(small)
	e.storePasses(func(p int) []*ptx.Reg {
		return each(xs[p], func(x *ptx.Reg) *ptx.Reg { return e.float("div", x, sum) })
	})
}

// divider returns a function that divides by y without the branch and the call of a
// rounded division. With y's rounded inverse and what that lacks, a product is within
// an ulp of the quotient, and one step of correction rounds it (as in mean), if the
// remainder is exact: it is for float32, where y is 1 to 2¹⁸ and x is above 2⁻⁷⁹ and
// at most 1, or 0.
func (f *function) divider(y *ptx.Reg) func(x *ptx.Reg) *ptx.Reg {
	minus, inverse := f.neg(y), f.op("rcp.rn"+f.s, y)
	rest := f.mul(f.fma(minus, inverse, 1.0), inverse)
	return func(x *ptx.Reg) *ptx.Reg {
		q := f.fma(x, inverse, f.mul(x, rest))
		return f.fma(f.fma(q, minus, x), inverse, q)
	}
}
