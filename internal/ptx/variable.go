package ptx

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strings"
)

// space reads a state space such as ".global".
func (p *parser) space() Space {
	s, ok := spaceOf(strings.TrimPrefix(p.tok.text, "."))
	if p.tok.kind != tokWord || p.tok.text[0] != '.' || !ok {
		p.fail("got %v, expected a state space such as .global", p.tok)
	}
	p.advance()
	return s
}

// variables reads a declaration outside the parameters, and puts what it
// declares where it belongs.
func (p *parser) variables(extern bool) {
	space := p.space()
	base := p.variableType(space)
	base.Extern = extern
	for more := true; more; more = p.accept(",") {
		v := p.declarator(base)
		if p.entry != nil && !extern && (space == SharedSpace || space == LocalSpace) {
			p.entry.Vars = append(p.entry.Vars, v)
		} else {
			p.m.Vars = append(p.m.Vars, v)
		}
	}
	p.expect(";")
}

// param reads a kernel's parameter.
func (p *parser) param() *Var {
	if !p.is(".param") {
		p.fail("got %v, expected .param", p.tok)
	}
	return p.declarator(p.variableType(p.space()))
}

// variableType reads what precedes the name: alignment, vector and type.
func (p *parser) variableType(space Space) Var {
	v := Var{Space: space, Count: 1}
	for {
		switch {
		case p.accept(".align"):
			v.Align = p.alignment()
		case p.is(".v2") || p.is(".v4"):
			v.Count, v.Array = int(p.tok.text[2]-'0'), true
			p.advance()
		case p.accept(".attribute"):
			p.attribute()
		default:
			p.variableBase(&v)
			return v
		}
	}
}

// attribute passes (.managed): memory that the host reaches, too, but the simulated
// device's is reached by copies only.
func (p *parser) attribute() {
	p.expect("(")
	if !p.accept(".managed") {
		p.fail("got %v, expected .managed: other attributes of variables are not supported", p.tok)
	}
	p.expect(")")
}

func (p *parser) alignment() int {
	pos := p.tok.pos
	n := p.integer(".align", 1, 1<<16)
	if n&(n-1) != 0 {
		fail(pos, "alignment %d is not a power of two", n)
	}
	return int(n)
}

// variableBase reads the type, and passes a parameter's ".ptr .global .align 4".
func (p *parser) variableBase(v *Var) {
	pos := p.tok.pos
	v.Type = p.typ()
	if !v.Type.declarable() || v.Type == Pred {
		fail(pos, "there are no variables of type .%s", v.Type)
	}
	if v.Array && v.Align == 0 {
		v.Align = v.Count * v.Type.Size()
	}
	if v.Space != ParamSpace || !p.accept(".ptr") {
		return
	}
	if !p.is(".align") && p.tok.kind == tokWord && p.tok.text[0] == '.' {
		p.space()
	}
	if p.accept(".align") {
		p.alignment()
	}
}

// declarator reads a name with dimensions and initial content.
func (p *parser) declarator(v Var) *Var {
	v.Pos = p.tok.pos
	v.Name = p.name("a variable's name")
	dims := p.dimensions(&v)
	if v.Array && v.Count > 1 && len(dims) == 0 { // a vector
		dims = []int{v.Count}
	}
	if p.is("=") {
		p.initialise(&v, dims)
	}
	if !v.Extern && (v.Count == 0 || len(dims) > 0 && dims[0] == 0 && v.Init == nil) {
		fail(v.Pos, "array %s without a size", v.Name)
	}
	p.limit(&v)
	p.declare(v.Pos, v.Name, &v)
	return &v
}

// dimensions reads "[4][8]"; the first may be empty, and is then 0.
func (p *parser) dimensions(v *Var) []int {
	var dims []int
	for p.accept("[") {
		n := 0
		if len(dims) > 0 || !p.is("]") {
			n = int(p.integer("dimension", 1, maxVarSize))
		}
		p.expect("]")
		hi, lo := bits.Mul64(uint64(v.Count), uint64(n))
		if hi != 0 || lo > maxVarSize || len(dims) == maxDepth {
			fail(v.Pos, "array %s is too large", v.Name)
		}
		if dims = append(dims, n); n > 0 {
			v.Count = int(lo)
		}
		v.Array = true
	}
	if len(dims) > 0 && dims[0] == 0 && v.Extern {
		v.Count = 0
	}
	return dims
}

// initialise reads "= value" or "= {value, {…}, …}". Content that is not given
// is zero; v.Init ends with what is given.
func (p *parser) initialise(v *Var, dims []int) {
	p.expect("=")
	if v.Space != GlobalSpace && v.Space != ConstSpace || v.Extern {
		fail(v.Pos, "variables in .%s cannot have initial content", v.Space)
	}
	if !v.Array {
		v.Init = p.initial(v, nil)
		return
	}
	inner := 1 // elements of one of the outermost
	for _, d := range dims[1:] {
		inner *= d
	}
	limit := v.Count
	if dims[0] == 0 {
		limit = maxVarSize
	}
	p.initialList(v, 0, limit, dims)
	if dims[0] == 0 {
		v.Count = (len(v.Init)/v.Type.Size() + inner - 1) / inner * inner
	}
}

// initialList reads a braced list for the elements from start on, at most
// limit of them; dims are the list's dimensions.
func (p *parser) initialList(v *Var, start, limit int, dims []int) {
	if p.depth++; p.depth > maxDepth {
		p.fail("braces nested more than %d deep", maxDepth)
	}
	defer func() { p.depth-- }()
	p.expect("{")
	at := start
	for !p.accept("}") {
		if at > start {
			p.expect(",")
		}
		if p.is("{") && len(dims) > 1 {
			inner := limit / max(dims[0], 1)
			if dims[0] == 0 {
				inner = v.Count
			}
			if at+inner > start+limit {
				p.fail("more initial values than %s has elements", v.Name)
			}
			p.initialList(v, at, inner, dims[1:])
			at += inner
			continue
		}
		if at == start+limit {
			p.fail("more initial values than %s has elements", v.Name)
		}
		p.padTo(v, at)
		v.Init = p.initial(v, v.Init)
		at++
	}
}

// padTo fills v.Init with zeros up to element at.
func (p *parser) padTo(v *Var, at int) {
	n := max(at*v.Type.Size()-len(v.Init), 0)
	if p.init += n; p.init > maxInit {
		p.fail("more than %d bytes of initial content", maxInit)
	}
	v.Init = append(v.Init, make([]byte, n)...)
}

// initial appends one value.
func (p *parser) initial(v *Var, to []byte) []byte {
	pos := p.tok.pos
	if p.tok.kind == tokWord && p.tok.text != "WARP_SZ" {
		return p.initialAddress(v, to, 0)
	}
	o := p.constant()
	if o.Kind == IntOperand && p.accept("(") {
		to = p.initialAddress(v, to, o.Imm)
		p.expect(")")
		return to
	}
	x := o.Imm
	if isFloat := typeInfo[v.Type].kind == kindFloat; isFloat || o.Kind == FloatOperand {
		if !isFloat || o.Kind != FloatOperand || v.Type == F16 || v.Type == F16x2 {
			fail(pos, "the constant is no .%s", v.Type)
		}
		if v.Type == F32 {
			x = uint64(o.Float32Bits())
		}
	}
	var b [16]byte
	binary.LittleEndian.PutUint64(b[:], x)
	return append(to, b[:v.Type.Size()]...)
}

// initialAddress appends zeros in the place of a variable's address, or of the
// byte of it that mask says, if it is not 0: "0xff00(generic(v))".
func (p *parser) initialAddress(v *Var, to []byte, mask uint64) []byte {
	pos := p.tok.pos
	a := InitAddr{At: len(to), Mask: mask}
	if a.Generic = p.accept("generic"); a.Generic {
		p.expect("(")
	}
	what := p.lookup(p.tok.pos, p.tok.text)
	if f, ok := what.(*function); ok && mask == 0 && !a.Generic && v.Type == U64 {
		p.advance()
		return binary.LittleEndian.AppendUint64(to, p.number(f))
	}
	a.Var, _ = what.(*Var)
	if a.Var == nil || a.Var.Space != GlobalSpace && a.Var.Space != ConstSpace {
		p.fail("got %v, expected a constant or a variable in .global or .const", p.tok)
	}
	p.advance()
	if a.Generic {
		p.expect(")")
	}
	switch {
	case mask == 0 && v.Type != U64:
		fail(pos, "an address is a .u64, not a .%s", v.Type)
	case mask == 0 && p.accept("+"):
		a.Off = p.integer("offset", math.MinInt64, math.MaxInt64)
	case mask != 0 && (v.Type != U8 || 0xff<<(bits.TrailingZeros64(mask)&^7) != mask):
		fail(pos, "mask %#x is not that of a byte of an address, for a .u8", mask)
	}
	v.Addrs = append(v.Addrs, a)
	return append(to, make([]byte, v.Type.Size())...)
}

// limit counts a variable's bytes against what its space holds. Of shared memory an
// entry takes what it uses of the module's variables: loading counts that.
func (p *parser) limit(v *Var) {
	most := [...]int64{SharedSpace: maxVarSize, LocalSpace: maxLocal, ConstSpace: maxConst, ParamSpace: maxParam, GlobalSpace: maxVarSize}[v.Space]
	align := int64(max(v.Align, v.Type.Size()))
	end := (p.bytes[v.Space]+align-1)&^(align-1) + int64(v.Count)*int64(v.Type.Size())
	if end > most {
		fail(v.Pos, "%s takes .%s to %d bytes, at most %d are possible", v.Name, v.Space, end, most)
	}
	if v.Space != SharedSpace {
		p.bytes[v.Space] = end
	}
}
