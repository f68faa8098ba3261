package ptx

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Mnemonic returns the instruction's name and modifiers, without guard and operands.
func (in *Instr) Mnemonic() string {
	if len(in.Mods) == 0 {
		return in.Op
	}
	return in.Op + "." + strings.Join(in.Mods, ".")
}

// Resolve finds the form that the instruction's operands fit, and says what is
// wrong where none does.
func (in *Instr) Resolve() (*Form, error) {
	forms, err := Forms(in.Mnemonic())
	if err != nil {
		return nil, err
	}
	var first error
	for _, f := range forms {
		err := f.Check(in.Args)
		if err == nil {
			return f, nil
		}
		if first == nil || argErrorIndex(err) > argErrorIndex(first) {
			first = err
		}
	}
	return nil, first
}

// argError is a complaint about one operand.
type argError struct {
	index int // -1 for their number
	msg   string
}

func (e *argError) Error() string { return e.msg }

func argErrorIndex(err error) int { return err.(*argError).index }

// Mnemonic returns the form's name with its modifiers.
func (f *Form) Mnemonic() string {
	return (&Instr{Op: f.Op, Mods: f.Mods}).Mnemonic()
}

// Specs pairs operands with what the form wants in their places: operand i is
// wanted by the i-th of the returned. It is nil where the count does not fit.
func (f *Form) Specs(n int) []*ArgSpec {
	skip := len(f.Args) - n
	specs := make([]*ArgSpec, 0, n)
	for i := range f.Args {
		// The optional operands that are absent are the last optional ones.
		if f.Args[i].Optional && skip > 0 && f.optionalAfter(i) < skip {
			skip--
			continue
		}
		specs = append(specs, &f.Args[i])
	}
	if len(specs) != n {
		return nil
	}
	return specs
}

// optionalAfter counts the optional operands after the i-th.
func (f *Form) optionalAfter(i int) (n int) {
	for _, a := range f.Args[i+1:] {
		if a.Optional {
			n++
		}
	}
	return n
}

// Check says whether the operands fit the form.
func (f *Form) Check(args []Operand) error {
	specs := f.Specs(len(args))
	if specs == nil && len(args)+len(f.Args) > 0 {
		return &argError{-1, fmt.Sprintf("%s takes %s, got %d", f.Mnemonic(), f.count(), len(args))}
	}
	for i := range args {
		if msg := specs[i].check(&args[i]); msg != "" {
			return &argError{i, fmt.Sprintf("%s: operand %d (%s): %s", f.Mnemonic(), i+1, args[i].String(), msg)}
		}
	}
	return nil
}

// count says in words how many operands the form takes.
func (f *Form) count() string {
	least := 0
	for _, a := range f.Args {
		if !a.Optional {
			least++
		}
	}
	switch {
	case least < len(f.Args):
		return fmt.Sprintf("%d to %d operands", least, len(f.Args))
	case least == 1:
		return "1 operand"
	}
	return fmt.Sprintf("%d operands", least)
}

// check says what is wrong with an operand, or "".
func (a *ArgSpec) check(o *Operand) string {
	if o.Pair != nil {
		if !a.Pair {
			return "no second destination (d|p) here"
		}
		if o.Pair.Type != Pred {
			return fmt.Sprintf("%s is .%s, expected a predicate", o.Pair.Name, o.Pair.Type)
		}
	}
	if a.Paired && o.Pair == nil {
		return "expected a destination with a predicate (d|p)"
	}
	if o.Not && !a.Not {
		return "no negated predicate here"
	}
	switch a.Kind {
	case ArgLabel:
		if o.Kind != LabelOperand {
			return "expected a label"
		}
		return ""
	case ArgLabels:
		if o.Kind != LabelOperand && (o.Kind != VectorOperand || len(o.Elems) == 0 || slices.ContainsFunc(o.Elems, func(e Operand) bool { return e.Kind != LabelOperand })) {
			return "expected a list of labels (.branchtargets)"
		}
		return ""
	case ArgSink:
		if o.Kind != SinkOperand {
			return "expected _"
		}
		return ""
	case ArgConst:
		if v := int64(o.Imm); o.Kind != IntOperand || v < a.Lo || v > a.Hi || v == 0 && a.Lo == -1 {
			return fmt.Sprintf("expected an integer constant from %d to %d", a.Lo, a.Hi)
		}
		return a.checkStep(int64(o.Imm))
	case ArgMem, ArgTensor:
		return a.checkMem(o)
	case ArgPack:
		return a.checkPack(o)
	}
	if a.Vec > 0 {
		return a.checkVector(o)
	}
	return a.checkValue(o)
}

func (a *ArgSpec) checkValue(o *Operand) string {
	switch o.Kind {
	case RegOperand:
		if !holds(o.Reg.Type, a.Type, a.Wider) {
			return fmt.Sprintf("register is .%s, expected %s", o.Reg.Type, a.want())
		}
		return ""
	case SinkOperand:
		if a.Sink || a.Dst && o.Pair != nil {
			return ""
		}
	case SpecialOperand:
		return a.checkSpecial(o)
	case IntOperand:
		if !a.Reg {
			return a.checkInt(int64(o.Imm))
		}
	case FloatOperand:
		if !a.Reg && a.takesFloat(o.Type) {
			if v := math.Float64frombits(o.Imm); a.Hi != 0 && !(v > float64(a.Lo) && v <= float64(a.Hi)) {
				return fmt.Sprintf("expected a constant above %d, at most %d", a.Lo, a.Hi)
			}
			return ""
		}
	case VarOperand:
		if a.Kind == ArgMov || a.Kind == ArgAddress {
			return a.checkVarAddress(o)
		}
	}
	return "expected " + a.want()
}

// want describes what the operand should be.
func (a *ArgSpec) want() string {
	t := "." + a.Type.String()
	if a.Wider {
		t += " or wider"
	}
	if a.Reg {
		return "a register of type " + t
	}
	switch a.Kind {
	case ArgMov:
		return "a register, constant, special register or address of type " + t
	case ArgAddress:
		return "a register or address of type " + t
	}
	return "a register or constant of type " + t
}

// takesFloat says whether a floating-point constant written as t will do.
// Decimal constants are F64 and become what the instruction computes with; one
// in an untyped instruction keeps its own size.
func (a *ArgSpec) takesFloat(t Type) bool {
	switch a.Type {
	case F32, F64:
		return true
	case B32, B64:
		return t.Bits() == a.Type.Bits()
	}
	return false
}

func (a *ArgSpec) checkStep(v int64) string {
	if a.Step != 0 && v%a.Step != 0 {
		return fmt.Sprintf("expected a multiple of %d", a.Step)
	}
	return ""
}

func (a *ArgSpec) checkInt(v int64) string {
	switch typeInfo[a.Type].kind {
	case kindPred, kindBits, kindInt:
	default:
		return "expected " + a.want() + ", got an integer constant"
	}
	switch {
	case a.Hi != 0 && (v < a.Lo || v > a.Hi):
		return fmt.Sprintf("expected a constant from %d to %d", a.Lo, a.Hi)
	case a.checkStep(v) != "":
		return a.checkStep(v)
	case a.Kind == ArgBarrier && (v < 0 || v > 15):
		return "barriers are numbered 0 to 15"
	case a.Kind == ArgThreads && (v < 0 || v%32 != 0 || v == 0 && !a.Optional):
		return "expected a multiple of 32 threads"
	}
	return ""
}

// inRange says whether an integer constant fits the type, read as signed or
// unsigned.
func inRange(v int64, t Type) bool {
	n := t.Bits()
	return n >= 64 || v >= -1<<(n-1) && v < 1<<n
}

func (a *ArgSpec) checkSpecial(o *Operand) string {
	t, ok := specialType(o.Special)
	switch {
	case !ok:
		return "unknown special register"
	case !a.Special:
		return "no special register here: mov it to a register first"
	case t == Pred || a.Type == Pred:
		if t == a.Type {
			return ""
		}
	case typeInfo[a.Type].kind == kindFloat:
	case a.Type.Bits() == t.Bits() || a.Type.Bits() < t.Bits() && (a.Wider || t == U32):
		return ""
	}
	return fmt.Sprintf("special register is .%s, instruction takes .%s", t, a.Type)
}

func (a *ArgSpec) checkVarAddress(o *Operand) string {
	if a.Kind == ArgAddress && a.Space == GenericSpace {
		return fmt.Sprintf("%s is in .%s, the instruction is for generic addresses", o.Var.Name, o.Var.Space)
	}
	if a.Kind == ArgAddress && o.Var.Space != a.Space {
		return fmt.Sprintf("%s is in .%s, the instruction is for .%s", o.Var.Name, o.Var.Space, a.Space)
	}
	if typeInfo[a.Type].kind == kindFloat || a.Type.Bits() < 32 {
		return fmt.Sprintf("an address does not fit .%s", a.Type)
	}
	if a.Type.Bits() < 64 && o.Var.Space != SharedSpace && o.Var.Space != LocalSpace && o.Var.Space != ConstSpace {
		return fmt.Sprintf("the address of a .%s variable has 64 bits, the instruction takes .%s", o.Var.Space, a.Type)
	}
	return ""
}

func (a *ArgSpec) checkVector(o *Operand) string {
	if o.Kind != VectorOperand || len(o.Elems) != a.Vec {
		return fmt.Sprintf("expected a vector of %d", a.Vec)
	}
	elem := *a
	elem.Vec, elem.Sink = 0, a.Dst
	for i := range o.Elems {
		if msg := elem.check(&o.Elems[i]); msg != "" {
			return fmt.Sprintf("element %d (%s): %s", i+1, o.Elems[i].String(), msg)
		}
	}
	return ""
}

// checkPack checks mov's {a, b}: elements of one size that fill the scalar.
func (a *ArgSpec) checkPack(o *Operand) string {
	n := len(o.Elems)
	if o.Kind != VectorOperand || n != 2 && n != 4 || a.Type.Bits()/n < 8 {
		return fmt.Sprintf("expected a vector that fills .%s", a.Type)
	}
	bits := a.Type.Bits() / n
	for i := range o.Elems {
		if e := &o.Elems[i]; e.Not || e.Pair != nil || !a.takesElement(e, bits) {
			return fmt.Sprintf("element %d (%s): expected a register of %d bits", i+1, e.String(), bits)
		}
	}
	return ""
}

// takesElement says whether e can be a part of so many bits of a packed value.
func (a *ArgSpec) takesElement(e *Operand, bits int) bool {
	switch e.Kind {
	case SinkOperand:
		return a.Dst
	case IntOperand:
		return a.Src
	case FloatOperand:
		return a.Src && e.Type.Bits() == bits
	}
	return e.Kind == RegOperand && e.Reg.Type != Pred && e.Reg.Type.Bits() == bits
}

func (a *ArgSpec) checkMem(o *Operand) string {
	if o.Kind != MemOperand {
		return "expected an address in brackets"
	}
	switch {
	case a.Kind == ArgMem && o.Elems != nil:
		return "no coordinates here"
	case a.Kind == ArgTensor && len(o.Elems) != a.Vec:
		return fmt.Sprintf("expected [map, {…}] with %d coordinates", a.Vec)
	}
	switch {
	case o.Reg != nil:
		if k := typeInfo[o.Reg.Type].kind; k != kindInt && k != kindBits {
			return fmt.Sprintf("%s is .%s: an address is in an integer register", o.Reg.Name, o.Reg.Type)
		}
		if narrow := o.Reg.Type.Bits() < 64; narrow && (a.Space != SharedSpace && a.Space != LocalSpace && a.Space != ConstSpace && a.Space != ParamSpace || o.Reg.Type.Bits() < 32) {
			return fmt.Sprintf("%s has %d bits: an address in this space has 64", o.Reg.Name, o.Reg.Type.Bits())
		}
	case o.Var != nil:
		if a.Space != GenericSpace && o.Var.Space != a.Space {
			return fmt.Sprintf("%s is in .%s, the instruction accesses .%s", o.Var.Name, o.Var.Space, a.Space)
		}
		if a.Space == GenericSpace && o.Var.Space == ParamSpace {
			return fmt.Sprintf("%s is a parameter: write .param", o.Var.Name)
		}
		if a.Space == GenericSpace && (o.Var.Space == ConstSpace || o.Var.Space == LocalSpace && a.NoLocal) {
			return fmt.Sprintf("%s is in .%s, which a generic address cannot name here", o.Var.Name, o.Var.Space)
		}
	case a.Space != LocalSpace:
		return "an address needs a register or a variable"
	}
	if o.Off != int64(int32(o.Off)) {
		return "the offset does not fit 32 bits"
	}
	for i := range o.Elems {
		coord := ArgSpec{Type: S32, Src: true}
		if msg := coord.check(&o.Elems[i]); msg != "" {
			return fmt.Sprintf("coordinate %d (%s): %s", i+1, o.Elems[i].String(), msg)
		}
	}
	return ""
}

// floatBits returns the constant's bits as a value of its Type.
func (o *Operand) floatBits() uint64 {
	if o.Type == F32 {
		return uint64(narrowBits(o.Imm))
	}
	return o.Imm
}

// narrowBits converts a float64's bits to a float32's, keeping the payload of
// a NaN, which the processor's conversion would change.
func narrowBits(b uint64) uint32 {
	if f := math.Float64frombits(b); f == f {
		return math.Float32bits(float32(f))
	}
	return uint32(b>>63<<31) | 0xff<<23 | uint32(b>>29)&(1<<23-1)
}

// widenBits is the inverse of narrowBits.
func widenBits(b uint32) uint64 {
	if f := math.Float32frombits(b); f == f {
		return math.Float64bits(float64(f))
	}
	return uint64(b>>31)<<63 | 0x7ff<<52 | uint64(b&(1<<23-1))<<29
}

// Float32Bits returns a FloatOperand's value as a float32's bits.
func (o *Operand) Float32Bits() uint32 { return narrowBits(o.Imm) }
