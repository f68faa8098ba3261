package exec

import (
	"math"
	"math/bits"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// ops decodes, by instruction name, what is more than a scalar function over
// the lanes.
var ops map[string]func(d *decoder) error

func init() {
	ops = map[string]func(d *decoder) error{
		"mov": decodeMov, "cvt": decodeCvt, "cvta": decodeCvta, "isspacep": decodeIsspacep,
		"setp": decodeSetp, "set": decodeSet, "selp": decodeSelp, "slct": decodeSlct, "testp": decodeTestp,
		"and": decodeLogic, "or": decodeLogic, "xor": decodeLogic, "not": decodeLogic,
		"lop3": decodeLop3, "bfi": decodeBfi, "dp4a": decodeDot, "dp2a": decodeDot,
		"div": decodeDiv, "rem": decodeDiv,
		"add": decodeCarry, "sub": decodeCarry, "mad": decodeCarry, "addc": decodeCarry, "subc": decodeCarry, "madc": decodeCarry,
		"ld": decodeLd, "ldu": decodeLd, "st": decodeSt, "atom": decodeAtom, "red": decodeAtom, "cp": decodeCp,
		"bra": decodeBra, "brx": decodeBrx, "call": decodeCall, "ret": decodeEnd, "exit": decodeEnd, "trap": decodeEnd,
		"bar": decodeBar, "barrier": decodeBar,
		"shfl": decodeShfl, "vote": decodeVote, "match": decodeMatch, "redux": decodeRedux, "elect": decodeElect, "activemask": decodeActivemask,
		"mma": decodeMma, "ldmatrix": decodeLdmatrix, "stmatrix": decodeStmatrix, "movmatrix": decodeMovmatrix,
		"mbarrier": decodeMbarrier, "mapa": decodeMapa, "getctarank": decodeCtaRank, "createpolicy": decodePolicy, "setmaxnreg": decodeSetmaxnreg, "wgmma": decodeWgmma,
		"membar": decodeFence, "fence": decodeFence, "nanosleep": decodeNanosleep,
	}
	// Hints to a cache or a profiler, and waits for what the simulated device
	// has done already.
	for _, op := range []string{"prefetch", "prefetchu", "applypriority", "discard", "pmevent", "brkpt", "griddepcontrol"} {
		ops[op] = func(*decoder) error { return nil }
	}
}

// alias makes a register another name of a row that never changes, if this
// unguarded instruction is the only one that writes it.
func (d *decoder) alias(o *ptx.Operand, s slot, wide bool) bool {
	r := o.Reg
	if o.Kind != ptx.RegOperand || d.guard != noSlot || d.defs[r.Index] != 1 || d.regs[r.Index] != noSlot || (r.Type.Bits() == 64) != wide || r.Type.Bits() < 32 {
		return false
	}
	if !d.isFilled(s) {
		return false
	}
	d.regs[r.Index] = s
	return true
}

func decodeMov(d *decoder) error {
	args := d.in.Args
	t := d.form.Args[0].Type
	switch {
	case d.form.Args[0].Kind == ptx.ArgPack:
		return d.unpack()
	case d.form.Args[1].Kind == ptx.ArgPack:
		return d.pack()
	case d.form.Args[0].Vec > 0:
		return d.moveVector(args[0].Elems, args[1].Elems, t)
	case t == ptx.Pred && args[1].Kind == ptx.SpecialOperand:
		return d.predicates(&args[0], d.filled(specials[args[1].Special]), 0, noSlot, 0, "and")
	case t == ptx.Pred:
		s, not := d.predicate(&args[1])
		return d.predicates(&args[0], s, not, s, not, "and")
	case args[1].Kind == ptx.SpecialOperand && (strings.Contains(args[1].Special, "clock") || strings.Contains(args[1].Special, "timer")):
		return d.clock(&args[0], args[1].Special)
	}
	s, wide, err := d.source(&args[1], t)
	if err != nil {
		return err
	}
	if d.alias(&args[0], s, wide) {
		return nil
	}
	return d.copyRow(&args[0], s, wide)
}

// copyRow emits a move of a row to a register of its width.
func (d *decoder) copyRow(to *ptx.Operand, s slot, wide bool) error {
	n := blank()
	n.a, n.reads = s, []slot{s}
	name := "mov.b32"
	if wide {
		name, n.wide = "mov.b64", wideA
	}
	n.f1, n.fn = func(a uint64) uint64 { return a }, lanes1
	if n = d.into(n, to); to.Reg.Type.Bits() >= 32 {
		n.use(name)
	}
	d.emit(n)
	return nil
}

// moveVector is mov of {a, b}: all elements are read before any is written, so
// that {a, b} = {b, a} swaps.
func (d *decoder) moveVector(to, from []ptx.Operand, t ptx.Type) error {
	written := make(map[slot]bool)
	rows := make([]slot, len(from))
	wide := t.Bits() == 64
	for i := range from {
		s, _, err := d.source(&from[i], t)
		if err != nil {
			return err
		}
		if written[s] {
			s = d.hold(s, t)
		}
		rows[i] = s
		if to[i].Kind == ptx.RegOperand {
			written[d.reg(to[i].Reg)] = true
		}
	}
	for i := range to {
		if to[i].Kind != ptx.RegOperand {
			continue
		}
		if err := d.copyRow(&to[i], rows[i], wide); err != nil {
			return err
		}
	}
	return nil
}

// hold emits a copy of a row of type t, and returns where it is.
func (d *decoder) hold(s slot, t ptx.Type) slot {
	n, _ := scalar(func(a uint64) uint64 { return a })
	n.a, n.reads = s, []slot{s}
	n.d, n.writes = d.newSlot(t), row32
	if t.Bits() == 64 {
		n.wide, n.writes = wideA|wideD, row64
	}
	n.sets = []slot{n.d}
	d.emit(n)
	return n.d
}

// unpack is mov {a, b}, c: element i is c shifted right.
func (d *decoder) unpack() error {
	args := d.in.Args
	s, wide, err := d.source(&args[1], d.form.Args[1].Type)
	if err != nil {
		return err
	}
	each := uint64(d.form.Args[1].Type.Bits() / len(args[0].Elems))
	// Elements may share their slot with the source only where a register is
	// its own element, which their widths exclude.
	for i := range args[0].Elems {
		o := &args[0].Elems[i]
		if o.Kind != ptx.RegOperand {
			continue
		}
		shift := uint64(i) * each
		n, _ := scalar(func(a uint64) uint64 { return a >> shift })
		n.a, n.reads = s, []slot{s}
		if wide {
			n.wide |= wideA
		}
		d.emit(d.into(n, o))
	}
	return nil
}

// pack is mov c, {a, b}: two at a time.
func (d *decoder) pack() error {
	args := d.in.Args
	elems := args[1].Elems
	each := d.form.Args[1].Type.Bits() / len(elems)
	element := map[int]ptx.Type{8: ptx.B8, 16: ptx.B16, 32: ptx.B32}[each]
	var rows []slot
	for i := range elems {
		s, _, err := d.source(&elems[i], element)
		if err != nil {
			return err
		}
		rows = append(rows, s)
	}
	join := func(a, b slot, bits int) inst {
		low := uint64(1)<<bits - 1
		n, _ := scalar(func(a, b uint64) uint64 { return a&low | b<<bits })
		n.a, n.b, n.reads = a, b, []slot{a, b}
		return n
	}
	for len(rows) > 2 {
		var half []slot
		for i := 0; i < len(rows); i += 2 {
			n := join(rows[i], rows[i+1], each)
			n.d, n.writes = d.newSlot(ptx.B32), row32
			n.sets = []slot{n.d}
			d.emit(n)
			half = append(half, n.d)
		}
		rows, each = half, 2*each
	}
	d.emit(d.into(join(rows[0], rows[1], each), &args[0]))
	return nil
}

// clock reads the time: nanoseconds stand for clock cycles.
func (d *decoder) clock(o *ptx.Operand, name string) error {
	n := blank()
	shift := uint(0)
	if strings.HasSuffix(name, "_hi") {
		shift = 32
	}
	n.fn = func(x *ctx, in *inst) {
		v := uint64(time.Now().UnixNano()) >> shift
		r := x.result(in)
		for i := range x.n {
			r.set(i, v)
		}
	}
	d.emit(d.into(n, o))
	return nil
}

func decodeCvt(d *decoder) error {
	args, mods := d.in.Args, d.in.Mods
	if mods[0] == "pack" {
		n, _ := scalar(packSaturated(mods[2], len(args) > 3))
		return d.lane(n)
	}
	to, _ := ptx.TypeByName(mods[len(mods)-2])
	from, _ := ptx.TypeByName(mods[len(mods)-1])
	if len(args) == 3 {
		// Two values packed, the first above the second.
		f, bits := convert(mods, to, from), uint64(formatOf(to).bits)
		if from == ptx.F16x2 {
			return d.unknown()
		}
		n, _ := scalar(func(a, b uint64) uint64 { return f(a)<<bits | f(b) })
		return d.lane(n)
	}
	f := convert(mods, to, from)
	switch {
	case to == ptx.F16x2: // from e4m3x2 or e5m2x2
		g := f
		f = func(a uint64) uint64 { return g(a&0xff) | g(a>>8&0xff)<<16 }
	case from == ptx.F16x2:
		g := f
		f = func(a uint64) uint64 { return g(a&0xffff) | g(a>>16&0xffff)<<8 }
	}
	n, _ := scalar(f)
	if args[0].Reg.Type.Bits() == to.Bits() && (args[1].Kind != ptx.RegOperand || args[1].Reg.Type.Bits() == from.Bits()) {
		n.use(d.in.Mnemonic())
	}
	return d.lane(n)
}

// decodeCvta: a generic address of global or constant memory is the address
// itself; shared and local memory have windows.
func decodeCvta(d *decoder) error {
	args := d.in.Args
	s, wide, err := d.source(&args[1], d.form.Args[1].Type)
	if err != nil {
		return err
	}
	var base uint64
	switch space := oneOf(d.in.Mods, "shared", "shared::cta", "shared::cluster", "local", "param", "param::entry"); space {
	case "":
		if high := d.p.high; mod(d.in.Mods, "const") && !mod(d.in.Mods, "to") && !d.isFilled(s) {
			n, _ := scalar(func(a uint64) uint64 {
				if a>>32 == 0 { // 32 bits, widened
					a |= high
				}
				return a
			})
			return d.lane(n)
		}
		if d.alias(&args[0], s, wide) {
			return nil
		}
		return d.copyRow(&args[0], s, wide)
	case "local":
		base = localWindow
	case "param", "param::entry":
		base = paramWindow
	default:
		base = sharedWindow
	}
	if mod(d.in.Mods, "to") {
		base = -base
	}
	n, _ := scalar(func(a uint64) uint64 { return a + base })
	return d.lane(n)
}

func decodeIsspacep(d *decoder) error {
	space := d.in.Mods[0]
	mem := d.p.mem
	n := blank()
	n.f2 = func(a, _ uint64) uint64 {
		in := false
		switch {
		case space == "shared::cluster":
			in = a-sharedWindow < windowBytes
		case strings.HasPrefix(space, "shared"):
			in = a-sharedWindow < rankBytes
		case strings.HasPrefix(space, "param"):
			in = a-paramWindow < windowBytes
		case space == "local":
			in = a-localWindow < windowBytes
		case space == "const":
			r := mem.region(a)
			in = r != nil && r.readOnly
		case space == "global":
			in = a >= globalBase || a-paramWindow < windowBytes // as the manual has it
		}
		return uint64(spread(in) & 1)
	}
	return d.compare(n, &d.in.Args[0], &d.in.Args[1], &d.in.Args[1], nil, "", ptx.U64, false, 0)
}

// compare emits a comparison of operands a and b to o and its pair.
func (d *decoder) compare(n inst, o, a, b, c *ptx.Operand, join string, t ptx.Type, swap bool, invert uint32) error {
	if n.fn == nil {
		n.fn = compareAny
	}
	op := &compareOp{invert: invert, join: join}
	var wa, wb bool
	var err error
	if n.a, wa, err = d.source(a, t); err != nil {
		return err
	}
	if n.b, wb, err = d.source(b, t); err != nil {
		return err
	}
	if swap {
		n.a, n.b, wa, wb = n.b, n.a, wb, wa
	}
	if wa {
		n.wide |= wideA
	}
	if wb {
		n.wide |= wideB
	}
	n.reads = []slot{n.a, n.b}
	if c != nil {
		n.c, op.not = d.predicate(c)
		n.reads = append(n.reads, readsPred(n.c))
	}
	if o.Kind == ptx.RegOperand {
		n.d = d.reg(o.Reg)
		n.sets = append(n.sets, readsPred(n.d))
	}
	if o.Pair != nil {
		n.e = d.reg(o.Pair)
		n.sets = append(n.sets, readsPred(n.e))
	}
	n.cmp = op
	d.emit(n)
	return nil
}

// comparisonMods takes setp's and set's modifiers apart.
func comparisonMods(mods []string) (cmp, join string, t ptx.Type, ftz bool) {
	t, _ = ptx.TypeByName(mods[len(mods)-1])
	return mods[0], oneOf(mods, "and", "or", "xor"), t, mod(mods, "ftz")
}

func decodeSetp(d *decoder) error {
	cmp, join, t, ftz := comparisonMods(d.in.Mods)
	args := d.in.Args
	var c *ptx.Operand
	if join != "" {
		c = &args[3]
	}
	f := compare(cmp, t, ftz)
	n := blank()
	if t == ptx.F16x2 || t == ptx.BF16x2 {
		lo, hi := args[0], args[0]
		lo.Pair = nil
		n.f2 = bit(f)
		if err := d.compare(n, &lo, &args[1], &args[2], c, join, t, false, 0); err != nil || args[0].Pair == nil {
			return err
		}
		hi.Reg, hi.Pair = hi.Pair, nil
		n.f2 = func(a, b uint64) uint64 { return bit(f)(a>>16, b>>16) }
		return d.compare(n, &hi, &args[1], &args[2], c, join, t, false, 0)
	}
	name, swap, invert := typedComparison(cmp, t, ftz)
	if n.use(name); n.fn == nil {
		n.f2, swap, invert = bit(f), false, 0
	}
	if !isFloat(t) {
		n.merge = mergeCompare(cmp, t, bit(f), swap)
	}
	return d.compare(n, &args[0], &args[1], &args[2], c, join, t, swap, invert)
}

func bit(f func(a, b uint64) bool) fn2 {
	return func(a, b uint64) uint64 {
		if f(a, b) {
			return 1
		}
		return 0
	}
}

// typedComparison is the name of the loop for a type, if there is one.
func typedComparison(cmp string, t ptx.Type, ftz bool) (name string, swap bool, invert uint32) {
	if ftz {
		return "", false, 0
	}
	base, swap, invert := comparison(cmp, isFloat(t))
	return "setp." + base + "." + t.String(), swap, invert
}

// decodeSet compares to a predicate of its own and selects all ones (or 1.0).
func decodeSet(d *decoder) error {
	mods, args := d.in.Mods, d.in.Args
	cmp, join, t, ftz := comparisonMods(mods)
	dt, _ := ptx.TypeByName(mods[len(mods)-2])
	yes := uint64(math.MaxUint32)
	switch dt {
	case ptx.F32:
		yes = 0x3f800000
	case ptx.U16, ptx.S16:
		yes = 0xffff
	case ptx.F16, ptx.F16x2:
		yes = 0x3c00
	case ptx.BF16, ptx.BF16x2:
		yes = 0x3f80
	}
	f := bit(compare(cmp, t, ftz))
	if t == ptx.F16x2 || t == ptx.BF16x2 {
		if dt == ptx.U32 || dt == ptx.S32 {
			yes = 0xffff
		}
		return d.setHalves(f, yes, join)
	}
	var c *ptx.Operand
	if join != "" {
		c = &args[3]
	}
	r := &ptx.Reg{Type: ptx.Pred, Index: len(d.regs)}
	d.regs = append(d.regs, d.newSlot(ptx.Pred))
	n := blank()
	n.f2 = f
	if err := d.compare(n, &ptx.Operand{Kind: ptx.RegOperand, Reg: r}, &args[1], &args[2], c, join, t, false, 0); err != nil {
		return err
	}
	return d.choose(&args[0], d.constant(yes, false), d.constant(0, false), false, d.reg(r), 0)
}

// setHalves compares both halves of float16x2 and the like.
func (d *decoder) setHalves(f fn2, yes uint64, join string) error {
	args := d.in.Args
	if join == "" {
		n, _ := scalar(halves2(func(a, b uint64) uint64 { return f(a, b) * yes }))
		return d.lane(n)
	}
	logic := map[string]fn2{
		"and": func(a, b uint64) uint64 { return a & b },
		"or":  func(a, b uint64) uint64 { return a | b },
		"xor": func(a, b uint64) uint64 { return a ^ b },
	}[join]
	p, not := d.predicate(&args[3])
	c := d.selection(d.constant(1, false), d.constant(0, false), false, p, not)
	c.d, c.writes = d.newSlot(ptx.B32), row32
	c.sets = []slot{c.d}
	d.emit(c)
	n, _ := scalar(func(a, b, c uint64) uint64 {
		return halves2(func(a, b uint64) uint64 { return logic(f(a, b), c) * yes })(a, b)
	})
	n.c = c.d
	for i, row := range []*slot{&n.a, &n.b} {
		s, _, err := d.source(&args[i+1], ptx.B32)
		if err != nil {
			return err
		}
		*row = s
	}
	n.reads = []slot{n.a, n.b, n.c}
	d.emit(d.into(n, &args[0]))
	return nil
}

// choose emits a selection by a predicate.
func (d *decoder) choose(o *ptx.Operand, a, b slot, wide bool, p slot, not uint32) error {
	d.emit(d.into(d.selection(a, b, wide, p, not), o))
	return nil
}

// selection is a where the predicate is true, else b.
func (d *decoder) selection(a, b slot, wide bool, p slot, not uint32) inst {
	n := blank()
	if wide {
		n.use("selp.b64")
		n.wide = wideA | wideB
	} else {
		n.use("selp.b32")
	}
	n.a, n.b, n.c, n.off = a, b, p, int64(not)
	n.reads, n.merge = []slot{a, b, readsPred(p)}, mergeSelect
	return n
}

func decodeSelp(d *decoder) error {
	args, t := d.in.Args, d.form.Args[0].Type
	a, wide, err := d.source(&args[1], t)
	if err != nil {
		return err
	}
	b, _, err := d.source(&args[2], t)
	if err != nil {
		return err
	}
	p, not := d.predicate(&args[3])
	return d.choose(&args[0], a, b, wide, p, not)
}

func decodeSlct(d *decoder) error {
	float, ftz := mod(d.in.Mods, "f32"), mod(d.in.Mods, "ftz")
	if d.in.Mods[len(d.in.Mods)-1] != "f32" {
		float = false
	}
	n, _ := scalar(func(a, b, c uint64) uint64 {
		yes := int32(c) >= 0
		if float {
			if ftz {
				c = flush32(c)
			}
			yes = math.Float32frombits(uint32(c)) >= 0
		}
		if yes {
			return a
		}
		return b
	})
	return d.lane(n)
}

func decodeTestp(d *decoder) error {
	t, _ := ptx.TypeByName(d.in.Mods[1])
	f := classify(d.in.Mods[0], t)
	n := blank()
	n.f2 = bit(func(a, _ uint64) bool { return f(a) })
	return d.compare(n, &d.in.Args[0], &d.in.Args[1], &d.in.Args[1], nil, "", t, false, 0)
}

func decodeLogic(d *decoder) error {
	if d.in.Mods[0] != "pred" {
		return lanewise(d)
	}
	args := d.in.Args
	a, notA := d.predicate(&args[1])
	if d.in.Op == "not" {
		return d.predicates(&args[0], a, ^notA, a, ^notA, "and")
	}
	b, notB := d.predicate(&args[2])
	return d.predicates(&args[0], a, notA, b, notB, d.in.Op)
}

// predicates emits a logical operation on predicates.
func (d *decoder) predicates(o *ptx.Operand, a slot, notA uint32, b slot, notB uint32, op string) error {
	n := blank()
	n.a, n.b, n.d = a, b, d.reg(o.Reg)
	if b == noSlot {
		n.b = a
	}
	n.reads, n.sets = []slot{readsPred(n.a), readsPred(n.b)}, []slot{readsPred(n.d)}
	n.fn = func(x *ctx, in *inst) {
		for k, v := range x.pred(in.a) {
			v ^= notA
			w := x.pred(in.b)[k] ^ notB
			switch op {
			case "and":
				v &= w
			case "or":
				v |= w
			default:
				v ^= w
			}
			x.setPred(in.d, k, v)
		}
	}
	n.merge = func(x *ctx, in *inst, warp int) uint32 {
		a, b := slot(x.k.code.slots)+in.a, slot(x.k.code.slots)+in.b
		return logicHoles(op, x.pred(in.a)[warp]^notA, *x.undefined(a, warp), x.pred(in.b)[warp]^notB, *x.undefined(b, warp))
	}
	d.emit(n)
	return nil
}

func decodeLop3(d *decoder) error {
	args := d.in.Args
	var table uint64
	for i := range args {
		if s := d.form.Specs(len(args)); s[i].Kind == ptx.ArgConst {
			table = args[i].Imm
		}
	}
	n, _ := scalar(func(a, b, c uint64) uint64 { return lop3(a, b, c, table) })
	if err := d.lane(n); err != nil || len(args) == 5 {
		return err
	}
	// The predicate: d != 0, joined with the last operand.
	o := ptx.Operand{Kind: ptx.RegOperand, Reg: args[0].Pair}
	if o.Reg == nil {
		return nil
	}
	zero := ptx.Operand{Kind: ptx.IntOperand}
	from := args[0]
	if from.Kind != ptx.RegOperand {
		return d.unknown()
	}
	from.Pair = nil
	name, swap, invert := typedComparison("ne", ptx.B32, false)
	m := blank()
	m.use(name)
	return d.compare(m, &o, &from, &zero, &args[5], oneOf(d.in.Mods, "and", "or"), ptx.B32, swap, invert)
}

// decodeBfi: four operands, of which the last two are 32-bit rows.
func decodeBfi(d *decoder) error {
	t, _ := ptx.TypeByName(d.in.Mods[0])
	args := d.in.Args
	n := blank()
	for i, p := range [...]*slot{&n.a, &n.b, &n.c, &n.e} {
		s, wide, err := d.source(&args[i+1], d.form.Args[i+1].Type)
		if err != nil {
			return err
		}
		*p, n.reads = s, append(n.reads, s)
		if wide {
			n.wide |= wideA << i
		}
	}
	n.fn = func(x *ctx, in *inst) {
		r, a, b := x.result(in), x.operand(in.a, in.wide&wideA != 0), x.operand(in.b, in.wide&wideB != 0)
		c, e := row[uint32](x, in.c), row[uint32](x, in.e)
		for i := range x.n {
			r.set(i, bitInsert(t, a.at(i), b.at(i), uint64(c[i]), uint64(e[i])))
		}
	}
	d.emit(d.into(n, &args[0]))
	return nil
}

func decodeDot(d *decoder) error {
	mods := d.in.Mods
	ta, _ := ptx.TypeByName(mods[len(mods)-2])
	tb, _ := ptx.TypeByName(mods[len(mods)-1])
	elems := 4
	if d.in.Op == "dp2a" {
		elems = 2
	}
	n, _ := scalar(dot(ta, tb, elems, mods[0] == "hi"))
	return d.lane(n)
}

// decodeDiv: what an integer is divided by zero is undefined, which is reported
// where it is used: compilers divide ahead of the test whether they may.
func decodeDiv(d *decoder) error {
	t, _ := ptx.TypeByName(d.in.Mods[len(d.in.Mods)-1])
	if isFloat(t) {
		return lanewise(d)
	}
	n, _ := scalar(integer(d.in.Op, d.in.Mods, t))
	n.fn = func(x *ctx, in *inst) {
		from := undefinedValue{in: in, kind: DivideByZero, block: x.blk.id, wave: x.wave}
		b, found := x.operand(in.b, in.wide&wideB != 0), false
		for i := range x.n {
			if extend(t, b.at(i)) == 0 && x.isActive(i) {
				x.setUndefined(in.d, i)
				from.lanes[x.lane0/32+i/32] |= 1 << (i & 31)
				found = true
			}
		}
		if found {
			x.remember(from)
		}
		lanes2(x, in)
	}
	return d.lane(n)
}

// decodeCarry: additions with a carry, or else plain arithmetic.
func decodeCarry(d *decoder) error {
	op, mods := d.in.Op, d.in.Mods
	in, out := strings.HasSuffix(op, "c"), mod(mods, "cc")
	if !in && !out {
		return lanewise(d)
	}
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	if d.carry == noSlot {
		d.carry = d.newSlot(ptx.Pred)
	}
	n := blank()
	for i, p := range [...]*slot{&n.a, &n.b, &n.c} {
		if i+1 < len(d.in.Args) {
			s, _, err := d.source(&d.in.Args[i+1], t)
			if err != nil {
				return err
			}
			*p, n.reads = s, append(n.reads, s)
		}
	}
	n = d.into(n, &d.in.Args[0])
	n.writes = self
	if n.wide = 0; t.Bits() == 64 {
		n.wide = wideA | wideB | wideC | wideD
	}
	if in {
		n.q = d.carry
		n.reads = append(n.reads, readsPred(d.carry))
	}
	if out {
		n.e = d.carry
		n.sets = append(n.sets, readsPred(d.carry))
	}
	n.fn = carryLoop(op, mods, t)
	d.emit(n)
	return nil
}

// carryLoop adds the third operand or the second, and the carry q; the carry out
// goes to e. Subtraction adds the complement and a carry: the hardware's flag says
// that nothing was borrowed, which addc after sub.cc sees.
func carryLoop(op string, mods []string, t ptx.Type) func(x *ctx, in *inst) {
	wide := t.Bits() == 64
	subtract := strings.HasPrefix(op, "sub")
	product, _ := integer("mul", mods, t).(fn2)
	return func(x *ctx, in *inst) {
		var out [maxLanes / 32]uint32
		x.active(func(lane int) {
			a, b := x.get(in.a, wide, lane), x.get(in.b, wide, lane)
			if in.c != noSlot {
				a, b = product(a, b), x.get(in.c, wide, lane)
			}
			var c uint64
			if subtract {
				b, c = ^b, 1
			}
			if in.q != noSlot {
				c = uint64(x.pred(in.q)[lane/32] >> (lane & 31) & 1)
			}
			v, carry := addCarry(t, a, b, c)
			out[lane/32] |= carry << (lane & 31)
			x.put(in.d, wide, lane, v)
		})
		if in.e != noSlot {
			for k := range x.n / 32 {
				x.setPred(in.e, k, out[k])
			}
		}
	}
}

func addCarry(t ptx.Type, a, b, c uint64) (v uint64, carry uint32) {
	if t.Bits() == 32 {
		v = a&math.MaxUint32 + b&math.MaxUint32 + c
		return v & math.MaxUint32, uint32(v >> 32)
	}
	v, c = bits.Add64(a, b, c)
	return v, uint32(c)
}

func spaceOf(mods []string) ptx.Space {
	switch oneOf(mods, "global", "shared", "shared::cta", "shared::cluster", "local", "const", "param", "param::entry") {
	case "global":
		return ptx.GlobalSpace
	case "shared", "shared::cta", "shared::cluster":
		return ptx.SharedSpace
	case "local":
		return ptx.LocalSpace
	case "const":
		return ptx.ConstSpace
	case "param", "param::entry":
		return ptx.ParamSpace
	}
	return ptx.GenericSpace
}

// constAddress emits the whole of a 32-bit address of .const memory.
func (d *decoder) constAddress(s slot, off int64) slot {
	high := d.p.high
	n, _ := scalar(func(a uint64) uint64 { return uint64(uint32(a)+uint32(off)) | high })
	n.a, n.reads = s, []slot{s}
	n.d, n.writes, n.wide = d.newSlot(ptx.B64), row64, wideD
	n.sets = []slot{n.d}
	d.emit(n)
	return n.d
}

// address gives an inst its address row and offset.
func (d *decoder) address(n *inst, o *ptx.Operand) {
	switch {
	case o.Reg != nil && n.mem.space == ptx.ConstSpace && o.Reg.Type.Bits() == 32:
		n.a = d.constAddress(d.reg(o.Reg), o.Off)
		n.wide |= wideA
	case o.Reg != nil:
		n.a, n.off = d.reg(o.Reg), o.Off
		if o.Reg.Type.Bits() == 64 {
			n.wide |= wideA
		}
	case o.Var != nil:
		v := d.addr(o.Var) + uint64(o.Off)
		if n.mem.space == ptx.GenericSpace {
			switch o.Var.Space {
			case ptx.SharedSpace:
				v += sharedWindow
			case ptx.LocalSpace:
				v += localWindow
			case ptx.ParamSpace:
				v += paramWindow
			}
		}
		n.a = d.constant(v, true)
		n.wide |= wideA
	default:
		n.a = d.constant(uint64(o.Off), true)
		n.wide |= wideA
	}
	n.reads = append(n.reads, n.a)
	n.mem.cache = d.c.caches
	d.c.caches++
}

// elements lists the registers of a scalar or vector operand.
func elements(o *ptx.Operand) []ptx.Operand {
	if o.Kind == ptx.VectorOperand {
		return o.Elems
	}
	return []ptx.Operand{*o}
}

// memory is the inst of a load or store.
func (d *decoder) memory(address, value *ptx.Operand) (inst, error) {
	mods := d.in.Mods
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	if t.Bits() > 64 {
		return inst{}, d.unknown()
	}
	elems := elements(value)
	m := &memOp{space: spaceOf(mods), size: uint32(t.Size())}
	m.bytes = m.size * uint32(len(elems))
	m.strong = oneOf(mods, "volatile", "relaxed", "acquire", "release") != ""
	m.ordering(mods)
	m.atomic = m.strong && m.space != ptx.SharedSpace && m.space != ptx.LocalSpace
	m.cluster = mod(mods, "shared::cluster")
	n := blank()
	n.mem = m
	n.sink = true
	d.address(&n, address)
	return n, nil
}

func decodeLd(d *decoder) error {
	args, mods := d.in.Args, d.in.Mods
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	elems := elements(&args[0])
	if spaceOf(mods) == ptx.ParamSpace && args[1].Reg == nil {
		return d.loadParam(t, elems, &args[1])
	}
	n, err := d.memory(&args[1], &args[0])
	if err != nil {
		return err
	}
	m := n.mem
	n.fn, m.signed = loadRows, t.Signed()
	for i := range elems {
		o := &elems[i]
		if o.Kind != ptx.RegOperand {
			m.regs, m.wide = append(m.regs, noSlot), append(m.wide, false)
			continue
		}
		s, bits := d.reg(o.Reg), o.Reg.Type.Bits()
		m.regs, m.wide = append(m.regs, s), append(m.wide, bits == 64)
		n.sets = append(n.sets, s)
		if bits < 32 && t.Signed() {
			m.cut = 1<<bits - 1
		}
		if bits == 64 && t == ptx.S32 {
			n.wide |= wideE
		}
		m.gather = gatherOf(t, bits == 64)
	}
	m.plain = len(elems) == 1 && m.gather == nil && m.regs[0] != noSlot
	d.emit(n)
	return nil
}

// loadParam reads parameters at a fixed place: rows that are filled once.
func (d *decoder) loadParam(t ptx.Type, elems []ptx.Operand, at *ptx.Operand) error {
	off := int64(d.addr(at.Var)) + at.Off
	for i := range elems {
		o, size := &elems[i], t.Size()
		if o.Kind != ptx.RegOperand {
			off += int64(size)
			continue
		}
		if off < 0 || off+int64(size) > int64(d.k.ParamBytes) {
			return d.unknown()
		}
		wide := o.Reg.Type.Bits() == 64
		s := d.filled(fill{kind: fillParam, wide: wide, bits: uint64(off), size: size, sign: t.Signed()})
		off += int64(size)
		if d.alias(o, s, wide) {
			continue
		}
		if err := d.copyRow(o, s, wide); err != nil {
			return err
		}
	}
	return nil
}

// gatherOf is the loop that loads elements of type t; nil for the plain ones,
// as wide as their register.
func gatherOf(t ptx.Type, wide bool) func(x *ctx, s slot, p ptr, lo uint64) {
	switch {
	case t.Bits() == 8 && t.Signed() && wide:
		return gather[int8, uint64]
	case t.Bits() == 8 && t.Signed():
		return gather[int8, uint32]
	case t.Bits() == 8 && wide:
		return gather[uint8, uint64]
	case t.Bits() == 8:
		return gather[uint8, uint32]
	case t.Bits() == 16 && t.Signed() && wide:
		return gather[int16, uint64]
	case t.Bits() == 16 && t.Signed():
		return gather[int16, uint32]
	case t.Bits() == 16 && wide:
		return gather[uint16, uint64]
	case t.Bits() == 16:
		return gather[uint16, uint32]
	case t.Bits() == 32 && t.Signed() && wide:
		return gather[int32, uint64]
	case t.Bits() == 32 && wide:
		return gather[uint32, uint64]
	}
	return nil
}

func scatterOf(t ptx.Type, wide bool) func(x *ctx, s slot, p ptr, lo uint64) {
	switch {
	case t.Bits() == 8 && wide:
		return scatter[uint8, uint64]
	case t.Bits() == 8:
		return scatter[uint8, uint32]
	case t.Bits() == 16 && wide:
		return scatter[uint16, uint64]
	case t.Bits() == 16:
		return scatter[uint16, uint32]
	case t.Bits() == 32 && wide:
		return scatter[uint32, uint64]
	}
	return nil
}

func decodeSt(d *decoder) error {
	if d.in.Mods[0] == "async" {
		return decodeStAsync(d)
	}
	args, mods := d.in.Args, d.in.Mods
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	n, err := d.memory(&args[0], &args[1])
	if err != nil {
		return err
	}
	m := n.mem
	m.store = true
	n.fn = storeRows
	for _, o := range elements(&args[1]) {
		s, wide, err := d.source(&o, t)
		if err != nil {
			return err
		}
		m.regs, m.wide = append(m.regs, s), append(m.wide, wide)
		n.reads = append(n.reads, s)
		m.scatter = scatterOf(t, wide)
	}
	m.plain = len(m.regs) == 1 && m.scatter == nil
	d.emit(n)
	return nil
}

func decodeAtom(d *decoder) error {
	if d.in.Mods[0] == "async" {
		return decodeStAsync(d)
	}
	args := d.in.Args
	var to *ptx.Operand
	if d.in.Op == "atom" {
		to, args = &args[0], args[1:]
	}
	if len(args) > 1 && args[1].Kind == ptx.VectorOperand {
		return d.atomVector(to, &args[0], args[1].Elems)
	}
	n, err := d.atom(&args[0], args[1:])
	if err != nil {
		return err
	}
	if to != nil && to.Kind == ptx.RegOperand {
		n.d = d.reg(to.Reg)
		n.sets = []slot{n.d}
		if to.Reg.Type.Bits() == 64 {
			n.wide |= wideD
		}
	}
	d.emit(n)
	return nil
}

// atom is the inst of an atomic operation, without its destination.
func (d *decoder) atom(address *ptx.Operand, args []ptx.Operand) (inst, error) {
	mods := d.in.Mods
	t, _ := ptx.TypeByName(mods[len(mods)-1])
	if t.Bits() > 64 {
		return inst{}, d.unknown()
	}
	n := blank()
	n.mem = &memOp{space: spaceOf(mods), size: uint32(t.Size()), bytes: uint32(t.Size()), store: true, cluster: mod(mods, "shared::cluster")}
	n.mem.ordering(mods)
	n.sink, n.fn = true, updateRows
	d.address(&n, address)
	for i, p := range [...]*slot{&n.b, &n.c} {
		if i == len(args) || i == 1 && !mod(mods, "cas") {
			break
		}
		s, wide, err := d.source(&args[i], t)
		if err != nil {
			return n, err
		}
		*p, n.reads = s, append(n.reads, s)
		if wide {
			n.wide |= wideB << i
		}
	}
	f := atomics(mods, t, n.mem.space == ptx.SharedSpace)
	if f == nil {
		return n, d.unknown()
	}
	n.mem.update = updater(n.mem.size, f)
	n.mem.halves = mod(mods, "add") && (t == ptx.F16x2 || t == ptx.BF16x2)
	if n.mem.space == ptx.GenericSpace && t == ptx.F32 {
		n.mem.updateShared = updater(n.mem.size, atomics(mods, t, true))
	}
	return n, nil
}

// atomVector is one atomic operation an element, as PTX promises no more. The
// first checks the whole vector's address. Results wait in rows of their own,
// as their registers may be operands of the next.
func (d *decoder) atomVector(to, address *ptx.Operand, args []ptx.Operand) error {
	results := make([]slot, len(args))
	for i := range args {
		n, err := d.atom(address, args[i:i+1])
		if err != nil {
			return err
		}
		if i == 0 {
			n.mem.bytes *= uint32(len(args))
		}
		n.off += int64(i) * int64(n.mem.size)
		n.mem.part, n.mem.globalOnly = i > 0, true
		if to != nil {
			results[i] = d.newSlot(ptx.B32)
			n.d, n.sets = results[i], []slot{results[i]}
		}
		d.emit(n)
	}
	if to == nil {
		return nil
	}
	for i := range to.Elems {
		if to.Elems[i].Kind != ptx.RegOperand {
			continue
		}
		if err := d.copyRow(&to.Elems[i], results[i], false); err != nil {
			return err
		}
	}
	return nil
}

func decodeCp(d *decoder) error {
	if f := cpOf(d.in.Mods); f != nil {
		return f(d)
	}
	if oneOf(d.in.Mods, "commit_group", "wait_group", "wait_all") != "" {
		return decodeAsyncGroup(d)
	}
	args := d.in.Args
	from := blank()
	n := blank()
	bytes := uint32(args[2].Imm)
	if bytes != 4 && bytes != 8 && bytes != 16 {
		return d.unknown()
	}
	from.mem = &memOp{space: ptx.GlobalSpace, bytes: bytes}
	n.mem = &memOp{space: ptx.SharedSpace, bytes: bytes, store: true, from: &from, proxy: eitherProxy}
	n.sink, n.fn = true, countedCopyAsync
	d.address(&n, &args[0])
	d.address(&from, &args[1])
	n.reads = append(n.reads, from.reads...)
	from.place = int32(len(d.c.places) - 1)
	if specs := d.form.Specs(len(args)); len(args) > 3 && specs[3].Type == ptx.U32 {
		s, _, err := d.source(&args[3], ptx.U32)
		if err != nil {
			return err
		}
		n.b, n.reads = s, append(n.reads, s)
	}
	d.emit(n)
	return nil
}

// flow emits an instruction that changes the flow; under a guard, a branch
// goes around it.
func (d *decoder) flow(n inst) {
	if d.guard != noSlot {
		around := blank()
		around.ctl, around.sink = branch, true
		d.guards = ^d.guards
		around.target = int32(len(d.at)) // the next instruction of the body
		around.reads = []slot{readsPred(d.guard)}
		d.fix = append(d.fix, len(d.c.insts))
		d.emit(around)
		d.guard, d.guards = noSlot, 0
	}
	d.emit(n)
}

func decodeBra(d *decoder) error {
	n := blank()
	n.ctl, n.sink = branch, true
	l := d.in.Args[0].Label
	if l.At < 0 || l.At > len(d.e.Body) {
		return d.unknown()
	}
	n.target = int32(l.At)
	d.fix = append(d.fix, len(d.c.insts))
	d.emit(n)
	return nil
}

func decodeBrx(d *decoder) error {
	n := blank()
	s, _, err := d.source(&d.in.Args[0], ptx.U32)
	n.ctl, n.a, n.reads, n.sink = branchAmong, s, []slot{s}, true
	for _, l := range d.in.Args[1].Elems {
		n.targets = append(n.targets, int32(l.Label.At))
	}
	d.flow(n)
	return err
}

func decodeEnd(d *decoder) error {
	n := blank()
	n.ctl = exit
	if d.in.Op == "trap" {
		n.ctl = trap
	}
	d.flow(n)
	return nil
}

func decodeBar(d *decoder) error {
	args, mods := d.in.Args, d.in.Mods
	n := blank()
	if mod(mods, "warp") {
		s, _, err := d.source(&args[0], ptx.B32)
		n.ctl, n.e, n.reads, n.sink = warpSync, s, []slot{s}, true
		n.fn = barrierOfWarp
		d.flow(n)
		return err
	}
	if mod(mods, "cluster") {
		return d.clusterBarrier()
	}
	n.bar = &barOp{aligned: d.in.Op == "bar" || mod(mods, "aligned")}
	n.ctl = barSync
	switch {
	case mod(mods, "arrive"):
		n.ctl = barArrive
	case mod(mods, "red"):
		n.ctl = barRed
		n.bar.red = oneOf(mods, "popc", "and", "or")[0]
		n = d.intoAny(n, &args[0])
		args = args[1:]
		var not uint32
		n.bar.src, not = d.predicate(&args[len(args)-1])
		n.bar.not = not != 0
		n.reads = append(n.reads, readsPred(n.bar.src))
		args = args[:len(args)-1]
	}
	var err error
	if n.a, _, err = d.source(&args[0], ptx.U32); err != nil {
		return err
	}
	n.reads = append(n.reads, n.a)
	if len(args) > 1 {
		if n.b, _, err = d.source(&args[1], ptx.U32); err != nil {
			return err
		}
		n.bar.counted = true
		n.reads = append(n.reads, n.b)
	}
	d.flow(n)
	return nil
}

// intoAny gives an inst that looks at its mask itself its destination, which
// may be a predicate.
func (d *decoder) intoAny(n inst, o *ptx.Operand) inst {
	if o.Kind == ptx.RegOperand {
		n.d = d.reg(o.Reg)
		if o.Reg.Type == ptx.Pred {
			n.sets = append(n.sets, readsPred(n.d))
		} else {
			n.sets = append(n.sets, n.d)
		}
		if o.Reg.Type.Bits() == 64 {
			n.wide |= wideD
		}
	}
	if o.Pair != nil {
		n.q = d.reg(o.Pair)
		n.sets = append(n.sets, readsPred(n.q))
	}
	return n
}

// warp is the inst of an operation among lanes: a destination, rows or a
// predicate, and last the member mask.
func (d *decoder) warp(fn func(x *ctx, in *inst)) (inst, error) {
	args := d.in.Args
	n := d.intoAny(blank(), &args[0])
	n.ctl, n.fn = warpSync, fn
	rows := [...]*slot{&n.a, &n.b, &n.c}
	specs := d.form.Specs(len(args))
	at := 0
	for i := 1; i < len(args); i++ {
		t := specs[i].Type
		if t == ptx.Pred {
			p, not := d.predicate(&args[i])
			n.c, n.off = p, int64(not)
			n.reads = append(n.reads, readsPred(p))
			continue
		}
		s, wide, err := d.source(&args[i], t)
		if err != nil {
			return n, err
		}
		n.reads = append(n.reads, s)
		if i == len(args)-1 {
			n.e = s
			break
		}
		*rows[at] = s
		if wide {
			n.wide |= wideA << at
		}
		at++
	}
	return n, nil
}

func decodeShfl(d *decoder) error {
	n, err := d.warp(shuffle)
	n.f2, n.merge = shuffleSource(d.in.Mods[1]), mergeShuffle
	if n.d == noSlot {
		n.d = d.newSlot(ptx.B32)
	} else {
		n.holes, n.keeps = shuffled, math.MaxUint32
	}
	d.flow(n)
	return err
}

func decodeVote(d *decoder) error {
	n, err := d.warp(vote(d.in.Mods[1]))
	d.flow(n)
	return err
}

func decodeMatch(d *decoder) error {
	fn := matchAny
	if mod(d.in.Mods, "all") {
		fn = matchAll
	}
	n, err := d.warp(fn)
	if n.d == noSlot {
		n.d = d.newSlot(ptx.B32)
	}
	d.flow(n)
	return err
}

func decodeRedux(d *decoder) error {
	t, _ := ptx.TypeByName(d.in.Mods[2])
	n, err := d.warp(reduce)
	n.f2, _ = integer(d.in.Mods[1], nil, t).(fn2)
	d.flow(n)
	return err
}

func decodeElect(d *decoder) error {
	n, err := d.warp(elect)
	if n.q == noSlot {
		n.q = d.newSlot(ptx.Pred)
	}
	d.flow(n)
	return err
}

func decodeActivemask(d *decoder) error {
	n := d.intoAny(blank(), &d.in.Args[0])
	n.fn = activeMask
	d.emit(n)
	return nil
}

// decodeFence: an atomic operation orders the accesses before and after it.
func decodeFence(d *decoder) error {
	n := blank()
	if mod(d.in.Mods, "proxy") {
		d.proxyFence(n)
		return nil
	}
	wide := !mod(d.in.Mods, "cta")
	n.fn = func(x *ctx, _ *inst) {
		atomic.AddUint32(&x.fence, 1)
		if x.races != nil {
			for k := range x.n / 32 {
				x.races.fence(x.wave.first+x.lane0/32+k, x.mask, wide)
			}
		}
	}
	d.emit(n)
	return nil
}

// decodeNanosleep lets other workers run: who sleeps waits for them.
func decodeNanosleep(d *decoder) error {
	n := blank()
	n.fn = func(*ctx, *inst) { runtime.Gosched() }
	d.emit(n)
	return nil
}
