package ptx

import "slices"

// An addition, subtraction or multiplication of floats without a rounding mode
// rounds to nearest, but the assembler may join a product and a sum of this kind
// into one fma, which rounds once: another result, as the assembler likes. With
// a rounding mode written, each is done as it stands.

// Unrounded lists the instructions of an entry that the assembler may contract,
// for want of a rounding mode.
func (e *Entry) Unrounded() []*Instr {
	var list []*Instr
	for _, in := range e.Body {
		if in.unrounded() {
			list = append(list, in)
		}
	}
	return list
}

func (in *Instr) unrounded() bool {
	if in.Op != "add" && in.Op != "sub" && in.Op != "mul" || len(in.Mods) == 0 {
		return false
	}
	switch t, _ := TypeByName(in.Mods[len(in.Mods)-1]); t {
	case F16, F16x2, BF16, BF16x2, F32, F32x2, F64:
	default:
		return false
	}
	for _, r := range []string{"rn", "rz", "rm", "rp"} {
		if slices.Contains(in.Mods, r) {
			return false
		}
	}
	return true
}

// A Contraction is a product and a sum that reads it which the assembler may make
// one instruction.
type Contraction struct{ Product, Sum *Instr }

// Contractions lists the pairs of instructions in which a sum without a rounding
// mode reads the register that a product without one writes.
func (e *Entry) Contractions() []Contraction {
	var list []Contraction
	products := map[*Reg]*Instr{}
	loose := e.Unrounded()
	for _, in := range loose {
		if in.Op == "mul" {
			products[in.Args[0].Reg] = in
		}
	}
	for _, in := range loose {
		for _, a := range in.Args[1:] {
			if p := products[a.Reg]; p != nil && a.Reg != nil && in.Op != "mul" {
				list = append(list, Contraction{p, in})
				break
			}
		}
	}
	return list
}
