package ptx

import "math"

// operand reads an instruction's operand.
func (p *parser) operand() Operand {
	pos := p.tok.pos
	switch {
	case p.is("{"):
		o := Operand{Kind: VectorOperand, Pos: pos}
		o.Elems = p.vector()
		return o
	case p.is("["):
		return p.address()
	}
	return p.scalar()
}

// vector reads {a, b, …}.
func (p *parser) vector() []Operand {
	p.expect("{")
	elems := []Operand{}
	for !p.accept("}") {
		if len(elems) > 0 {
			p.expect(",")
		}
		elems = append(elems, p.scalar())
	}
	return elems
}

// unwrap makes {a} the scalar a where ptxas takes it for one.
func (in *Instr) unwrap() {
	if in.Op != "ld" && in.Op != "ldu" && in.Op != "st" && in.Op != "mov" {
		return
	}
	for i, o := range in.Args {
		if o.Kind == VectorOperand && len(o.Elems) == 1 {
			in.Args[i] = o.Elems[0]
		}
	}
}

// scalar reads an operand that is neither a vector nor an address in brackets.
func (p *parser) scalar() Operand {
	o := Operand{Pos: p.tok.pos}
	switch {
	case p.accept("!"):
		o.Not = true
	case p.accept("_"):
		o.Kind = SinkOperand
		p.pair(&o)
		return o
	case p.tok.kind != tokWord:
		return p.constant()
	}
	name := p.tok.text
	if p.tok.kind != tokWord || name[0] == '.' {
		p.fail("got %v, expected an operand", p.tok)
	}
	p.advance()
	p.named(&o, name)
	p.pair(&o)
	return o
}

// named fills in the operand that a name stands for.
func (p *parser) named(o *Operand, name string) {
	switch what := p.lookup(o.Pos, name).(type) {
	case *Reg:
		o.Kind, o.Reg = RegOperand, what
		return
	case *Var:
		o.Kind, o.Var = VarOperand, what
		o.Off = p.offset()
		return
	case *vector:
		o.Kind, o.Elems = VectorOperand, make([]Operand, len(what.regs))
		for i := range what.regs {
			o.Elems[i] = Operand{Kind: RegOperand, Reg: p.of(o.Pos, what, i), Pos: o.Pos}
		}
		return
	case *function:
		o.Kind, o.Imm = IntOperand, p.number(what)
		return
	}
	if r := p.element(o.Pos, name); r != nil {
		o.Kind, o.Reg = RegOperand, r
		return
	}
	switch {
	case special(name):
		o.Kind, o.Special = SpecialOperand, name
	case name == "WARP_SZ":
		o.Kind, o.Imm = IntOperand, 32
	case isIdentifier(name):
		o.Kind, o.Label = LabelOperand, &Label{Name: name, At: -1, Pos: o.Pos}
	default:
		fail(o.Pos, "%q is not declared", name)
	}
}

func special(name string) bool {
	_, ok := specialType(name)
	return ok
}

// pair reads the "|p" of a destination "d|p".
func (p *parser) pair(o *Operand) {
	if !p.accept("|") {
		return
	}
	pos := p.tok.pos
	name := p.name("a predicate")
	o.Pair, _ = p.lookup(pos, name).(*Reg)
	if o.Pair == nil {
		fail(pos, "%s is no register", name)
	}
}

// offset reads what may follow an address's base: "+16" or "-16".
func (p *parser) offset() int64 {
	switch {
	case p.is("+"):
		p.advance()
	case !p.is("-"):
		return 0
	}
	return p.integer("offset", math.MinInt64, math.MaxInt64)
}

// address reads [base+offset], with coordinates for tensors.
func (p *parser) address() Operand {
	o := Operand{Kind: MemOperand, Pos: p.tok.pos}
	p.expect("[")
	if p.tok.kind == tokWord {
		base := Operand{Pos: p.tok.pos}
		name := p.name("a register or variable")
		p.named(&base, name)
		switch base.Kind {
		case RegOperand:
			o.Reg, o.Off = base.Reg, p.offset()
		case VarOperand:
			o.Var, o.Off = base.Var, base.Off
		default:
			fail(base.Pos, "%s is neither a register nor a variable", name)
		}
	} else {
		o.Off = p.integer("address", math.MinInt64, math.MaxInt64)
	}
	if p.accept(",") {
		o.Elems = p.vector()
	}
	p.expect("]")
	return o
}

// binaryPrec is the binding strength of the operators of constant expressions.
var binaryPrec = map[string]int{"*": 6, "/": 6, "%": 6, "+": 5, "-": 5, "<<": 4, ">>": 4, "&": 3, "^": 2, "|": 1}

// constant reads a constant expression.
func (p *parser) constant() Operand { return p.binary(1) }

// binary reads an expression of operators that bind at least as prec.
func (p *parser) binary(prec int) Operand {
	a := p.unary()
	for {
		op := p.tok
		strength := binaryPrec[op.text]
		if op.kind != tokPunct || strength < prec {
			return a
		}
		p.advance()
		b := p.binary(strength + 1)
		if a.Kind != IntOperand || b.Kind != IntOperand {
			fail(op.pos, "%s between constants that are not integers", op.text)
		}
		a.Imm = fold(op, int64(a.Imm), int64(b.Imm))
	}
}

// fold computes with 64-bit integers, as PTX does.
func fold(op token, a, b int64) uint64 {
	switch op.text {
	case "*":
		a *= b
	case "/", "%":
		switch {
		case b == 0:
			fail(op.pos, "division by zero")
		case op.text == "/":
			a /= b
		default:
			a %= b
		}
	case "+":
		a += b
	case "-":
		a -= b
	case "<<":
		a <<= uint64(b)
	case ">>":
		a >>= uint64(b)
	case "&":
		a &= b
	case "^":
		a ^= b
	case "|":
		a |= b
	}
	return uint64(a)
}

// unary reads a literal, or an expression with a sign or in parentheses.
func (p *parser) unary() Operand {
	if p.depth++; p.depth > maxDepth {
		p.fail("expression nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	t := p.tok
	switch {
	case t.kind == tokNumber:
		p.advance()
		return literal(t)
	case p.accept("WARP_SZ"):
		return Operand{Kind: IntOperand, Imm: 32, Pos: t.pos}
	case p.accept("-"):
		o := p.unary()
		o.Pos = t.pos
		if o.Kind == FloatOperand {
			o.Imm ^= 1 << 63
		} else {
			o.Imm = -o.Imm
		}
		return o
	case p.accept("+"):
		return p.unary()
	case p.accept("~"):
		o := p.unary()
		if o.Kind != IntOperand {
			fail(t.pos, "~ of a constant that is no integer")
		}
		o.Imm = ^o.Imm
		return o
	case p.accept("("):
		o := p.constant()
		p.expect(")")
		return o
	}
	p.fail("got %v, expected an operand or a constant", t)
	return Operand{}
}
