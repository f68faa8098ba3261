package exec

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// copyReach is how many instructions on what belongs together is looked for: an
// address may be computed in between.
const copyReach = 4

// findCopies marks the loads and stores that copy structures, which may have
// members that nobody wrote: pairs of a load and a store of what it loaded, one
// behind the other, or in a loop over bytes, which copies a large structure.
func (d *decoder) findCopies() {
	mark := func(p [2]int) {
		for _, i := range p {
			if n := int(d.at[i]); n < len(d.c.insts) && d.c.insts[n].mem != nil {
				d.c.insts[n].mem.copies = true
			}
		}
	}
	last := [2]int{-2 * copyReach, -2 * copyReach}
	for i := range d.e.Body {
		j := d.storeOf(i)
		if j == 0 {
			continue
		}
		p := [2]int{i, j}
		if i-last[1] < copyReach {
			mark(last)
			mark(p)
		} else if d.forms[i].Args[0].Type.Size() == 1 && d.loops(i, j) {
			mark(p)
		}
		last = p
	}
}

// storeOf finds the store, close behind, of what load i has loaded; 0: there is none.
func (d *decoder) storeOf(i int) int {
	body := d.e.Body
	if body[i].Op != "ld" {
		return 0
	}
	for j := i + 1; j < min(i+copyReach, len(body)); j++ {
		switch in := body[j]; {
		case in.Op == "st" && sameRegisters(&body[i].Args[0], &in.Args[1]):
			return j
		case len(in.Args) > 0 && in.Op != "st" && sharesRegister(&body[i].Args[0], &in.Args[0]):
			return 0 // it changes what was loaded
		}
	}
	return 0
}

// loops says whether a branch soon after instruction to leads back to from or before.
func (d *decoder) loops(from, to int) bool {
	for _, in := range d.e.Body[to : min(to+copyReach, len(d.e.Body)-1)+1] {
		if in.Op == "bra" && in.Args[0].Label.At <= from {
			return true
		}
	}
	return false
}

func sameRegisters(a, b *ptx.Operand) bool {
	return slices.EqualFunc(elements(a), elements(b), func(x, y ptx.Operand) bool { return x.Reg != nil && x.Reg == y.Reg })
}

func sharesRegister(a, b *ptx.Operand) bool {
	return slices.ContainsFunc(elements(a), func(x ptx.Operand) bool {
		return slices.ContainsFunc(elements(b), func(y ptx.Operand) bool { return x.Reg != nil && x.Reg == y.Reg })
	})
}
