package exec

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// DecodeError is an instruction or declaration that the simulated device does
// not have, or that is wrong.
type DecodeError struct {
	Pos  ptx.Pos
	Text string // the instruction
	Why  string
}

func (e *DecodeError) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("%s: %s", e.Pos, e.Why)
	}
	return fmt.Sprintf("%s: %s: %s", e.Pos, e.Text, e.Why)
}

func load(m *ptx.Module, mem *Memory, cc int, perturb uint64) (*Program, error) {
	p := &Program{Kernels: map[string]*Kernel{}, Globals: map[string]Global{}, mem: mem, perturb: perturb}
	addrs := map[*ptx.Var]uint64{}
	shared := map[*ptx.Var]int{}
	room := uint64(0)
	for _, v := range m.Vars {
		room += varBytes(v) + 3*redZone
	}
	mem.keepTogether(room)
	for _, v := range m.Vars {
		var err error
		switch v.Space {
		case ptx.GlobalSpace, ptx.ConstSpace:
			addrs[v], err = p.global(v, addrs)
		case ptx.SharedSpace:
			shared[v] = len(shared)
		default:
			err = fmt.Errorf("a .%s variable at module scope", v.Space)
		}
		if err != nil {
			p.unload()
			return nil, &DecodeError{v.Pos, v.Name, err.Error()}
		}
	}
	for _, e := range m.Entries {
		k, err := p.kernel(e, addrs, shared, cc)
		if err != nil {
			p.unload()
			return nil, err
		}
		p.Kernels[e.Name] = k
	}
	return p, nil
}

// varBytes is a variable's size.
func varBytes(v *ptx.Var) uint64 { return uint64(v.Count) * uint64(v.Type.Size()) }

// global allocates and initialises a module-scope variable; addrs are those of
// the variables before it, of which its content may have the addresses.
func (p *Program) global(v *ptx.Var, addrs map[*ptx.Var]uint64) (uint64, error) {
	n := varBytes(v)
	if n == 0 {
		return 0, fmt.Errorf("a .%s variable without a size", v.Space)
	}
	name := v.Name
	// LLVM 14 reads a flag, which it keeps in one byte, as two.
	addr, err := p.mem.Alloc(max(n, 2), func() string { return "variable " + name })
	if err != nil {
		return 0, err
	}
	p.Globals[v.Name] = Global{addr, n}
	// Without an initialiser a variable is zero.
	b, _ := p.mem.Slice(addr, n)
	copy(b, v.Init)
	for _, a := range v.Addrs {
		if x := addrs[a.Var] + uint64(a.Off); a.Mask == 0 {
			binary.LittleEndian.PutUint64(b[a.At:], x)
		} else {
			b[a.At] = byte(x & a.Mask >> bits.TrailingZeros64(a.Mask))
		}
	}
	if size := v.Type.Size(); bigEndian && size > 1 {
		for i := 0; i+size <= len(b); i += size {
			slices.Reverse(b[i : i+size])
		}
	}
	p.mem.MarkInitialised(addr, max(n, 2))
	if v.Space == ptx.ConstSpace {
		p.mem.setReadOnly(addr)
		p.high = addr &^ math.MaxUint32
	}
	return addr, nil
}

func (p *Program) unload() {
	for _, g := range p.Globals {
		_ = p.mem.Free(g.Addr) // freed already: the memory is gone anyway
	}
	p.Globals = nil
}

// setReadOnly makes a whole allocation read-only for kernels.
func (m *Memory) setReadOnly(addr uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := (*m.allocation(addr).regions.Load())[0]
	m.allocation(addr).regions.Store(&[]*region{{base: old.base, size: old.size, data: old.data, init: old.init, label: old.label, readOnly: true, state: abi.MemoryLive}})
	old.stale.Store(true)
}

// layout gives variables their places.
type layout struct {
	size  uint64
	at    map[*ptx.Var]uint64
	align uint64
}

func (l *layout) place(v *ptx.Var) {
	a := uint64(max(v.Align, v.Type.Size(), 1))
	l.size = (l.size + a - 1) &^ (a - 1)
	if l.at == nil {
		l.at = map[*ptx.Var]uint64{}
	}
	l.at[v] = l.size
	l.size += varBytes(v)
	l.align = max(l.align, a)
}

// decoder turns one entry into code.
type decoder struct {
	p       *Program
	k       *Kernel
	e       *ptx.Entry
	c       *code
	cc      int
	globals map[*ptx.Var]uint64 // addresses of variables in global and constant memory
	addrs   map[*ptx.Var]uint64 // offsets of variables in shared, local and parameter memory
	regs    []slot
	defs    []int // how many instructions write each register
	first   map[fill]slot
	at      []int32 // where each instruction of the body begins in code.insts
	text    strings.Builder
	in      *ptx.Instr
	form    *ptx.Form
	guard   slot
	guards  uint32
	carry   slot
	forms   []*ptx.Form
	rows    *rows
	fixed   map[slot]bool // rows that are filled before the kernel or the block runs
	fix     []int         // branches whose target is an index into the body
}

// kernel decodes an entry. shared numbers the module's variables in .shared.
func (p *Program) kernel(e *ptx.Entry, globals map[*ptx.Var]uint64, shared map[*ptx.Var]int, cc int) (*Kernel, error) {
	k := &Kernel{Name: e.Name, prog: p, MaxThreads: 1024}
	e, err := withoutWmma(e, cc)
	if err != nil {
		return nil, err
	}
	d := &decoder{p: p, k: k, e: e, c: &k.code, cc: cc, globals: globals, addrs: map[*ptx.Var]uint64{}, first: map[fill]slot{}, fixed: map[slot]bool{}, carry: noSlot}
	if err := d.variables(d.used(shared)); err != nil {
		return nil, err
	}
	d.attributes()
	d.regs = make([]slot, len(e.Regs))
	d.defs = make([]int, len(e.Regs))
	for i, r := range e.Regs {
		d.regs[i] = noSlot
		switch {
		case r.Index != i:
			return nil, &DecodeError{e.Pos, r.Name, "register out of place"}
		case r.Type.Bits() > 64:
			return nil, &DecodeError{e.Pos, r.Name, fmt.Sprintf("registers of type .%s are not supported", r.Type)}
		}
	}
	if err := d.countDefs(); err != nil {
		return nil, err
	}
	l, err := registerLives(e, d.forms)
	if err != nil {
		return nil, err
	}
	d.rows = newRows(l)
	for i, in := range e.Body {
		d.rows.reclaim(d, i)
		d.early(i)
		d.at = append(d.at, int32(len(d.c.insts)))
		if err := d.instr(in); err != nil {
			return nil, &DecodeError{in.Pos, in.String(), err.Error()}
		}
	}
	d.at = append(d.at, int32(len(d.c.insts)))
	d.in = nil
	if len(e.Body) == 0 {
		d.note(&ptx.Instr{Op: "ret", Pos: e.Pos})
	}
	d.c.insts = append(d.c.insts, inst{ctl: blockEnd, guard: noSlot, place: int32(len(d.c.places) - 1)})
	d.c.text = d.text.String()
	return k, d.finish()
}

// note records where an instruction is and how it reads.
func (d *decoder) note(in *ptx.Instr) {
	from := int32(d.text.Len())
	d.text.WriteString(in.String())
	d.c.places = append(d.c.places, place{in.Pos, from, int32(d.text.Len())})
}

// used lists those of the module's variables that the entry names, in order: as
// for ptxas, the others take none of its shared memory.
func (d *decoder) used(shared map[*ptx.Var]int) []*ptx.Var {
	var list []*ptx.Var
	seen := map[*ptx.Var]bool{}
	for _, in := range d.e.Body {
		for i := range in.Args {
			v := in.Args[i].Var
			if _, ok := shared[v]; ok && !seen[v] {
				seen[v] = true
				list = append(list, v)
			}
		}
	}
	slices.SortFunc(list, func(a, b *ptx.Var) int { return shared[a] - shared[b] })
	return list
}

// addr is where a variable is: of global and constant memory, or in its space.
func (d *decoder) addr(v *ptx.Var) uint64 {
	if a, ok := d.addrs[v]; ok {
		return a
	}
	return d.globals[v]
}

// variables lays out parameters, shared and local memory.
func (d *decoder) variables(moduleVars []*ptx.Var) error {
	var params, shared, local layout
	for _, v := range d.e.Params {
		params.place(v)
		d.addrs[v] = params.at[v]
		d.k.Params = append(d.k.Params, Param{v.Name, uint32(params.at[v]), uint32(varBytes(v))})
	}
	d.k.ParamBytes = uint32(params.size)
	var extern []*ptx.Var
	for _, v := range slices.Concat(moduleVars, d.e.Vars) {
		switch {
		case v.Space == ptx.SharedSpace && v.Count == 0:
			extern = append(extern, v)
		case v.Space == ptx.SharedSpace:
			shared.place(v)
			d.addrs[v] = shared.at[v]
		case v.Space == ptx.LocalSpace:
			local.place(v)
			d.addrs[v] = local.at[v]
		}
	}
	// Dynamic shared memory begins after the static variables.
	for _, v := range extern {
		shared.place(v)
	}
	for _, v := range extern {
		d.addrs[v] = shared.size
	}
	d.nameShared(slices.Concat(moduleVars, d.e.Vars))
	if shared.size > MaxShared || local.size > 512<<10 {
		return &DecodeError{d.e.Pos, d.e.Name, fmt.Sprintf("%d bytes of shared memory (at most %d), %d of local memory (at most %d)", shared.size, MaxShared, local.size, 512<<10)}
	}
	d.k.StaticShared, d.k.Local = uint32(shared.size), uint32((local.size+15)&^15)
	return nil
}

// attributes reads the entry's directives.
func (d *decoder) attributes() {
	d.k.MaxRegisters, d.k.MinBlocks = d.e.MaxNReg, d.e.MinNCTA
	for i := range 3 {
		d.k.ReqBlock[i], d.k.ReqCluster[i] = uint32(d.e.ReqNTID[i]), uint32(d.e.Cluster[i])
	}
	for _, dim := range [][3]int{d.e.MaxNTID, d.e.ReqNTID} {
		if dim[0] > 0 {
			d.k.MaxThreads = min(1024, dim[0]*max(dim[1], 1)*max(dim[2], 1))
		}
	}
	for i := range 3 {
		if d.k.ReqBlock[0] > 0 {
			d.k.ReqBlock[i] = max(d.k.ReqBlock[i], 1)
		}
	}
	for _, r := range d.e.Regs {
		switch {
		case r.Type.Bits() == 64:
			d.k.Registers += 2
		case r.Type != ptx.Pred:
			d.k.Registers++
		}
	}
	d.k.Registers = min(d.k.Registers, 255)
}

// countDefs finds the registers that one instruction alone writes.
func (d *decoder) countDefs() error {
	for _, in := range d.e.Body {
		f, err := in.Resolve()
		if err != nil {
			return &DecodeError{in.Pos, in.String(), err.Error()}
		}
		d.forms = append(d.forms, f)
		for i, a := range f.Specs(len(in.Args)) {
			if a.Dst {
				d.countDef(&in.Args[i], in.Guard != nil)
			}
		}
	}
	return nil
}

func (d *decoder) countDef(o *ptx.Operand, guarded bool) {
	for i := range o.Elems {
		d.countDef(&o.Elems[i], guarded)
	}
	for _, r := range [...]*ptx.Reg{o.Reg, o.Pair} {
		if r != nil {
			d.defs[r.Index]++
			if guarded {
				d.defs[r.Index]++
			}
		}
	}
}

// instr decodes one instruction to any number of insts.
func (d *decoder) instr(in *ptx.Instr) error {
	f := d.forms[len(d.at)-1]
	if f.MinSM > d.cc {
		return fmt.Errorf("needs compute capability %d.%d, the device has %d.%d", f.MinSM/10, f.MinSM%10, d.cc/10, d.cc%10)
	}
	d.in, d.form = in, f
	d.note(in)
	d.guard, d.guards = noSlot, 0
	if in.Guard != nil {
		d.guard = d.reg(in.Guard)
		if in.GuardNot {
			d.guards = math.MaxUint32
		}
	}
	op := ops[in.Op]
	if op == nil {
		op = lanewise
	}
	from := len(d.c.insts)
	if err := op(d); err != nil {
		return err
	}
	d.followHoles(d.c.insts[from:])
	return nil
}

// errUnknown is what decoding functions give for a form they do not have.
func (d *decoder) unknown() error {
	return fmt.Errorf("the simulated device does not have this instruction")
}

// emit appends an inst for the current instruction.
func (d *decoder) emit(n inst) *inst {
	n.guard, n.guardNot, n.place = d.guard, d.guards, int32(len(d.c.places)-1)
	n.fuel = max(n.fuel, n.takes())
	d.c.insts = append(d.c.insts, n)
	return &d.c.insts[len(d.c.insts)-1]
}

// takes is the fuel that an instruction takes, roughly by the time: a loop that
// does not end must be found in seconds, whatever it does.
func (n *inst) takes() uint8 {
	switch {
	case n.mem != nil && (n.mem.strong || n.mem.update != nil):
		return 64 // lane by lane
	case n.mem != nil, n.ctl == barSync, n.ctl == barArrive, n.ctl == barRed, n.ctl == warpSync, n.ctl == clusterArrive, n.ctl == clusterWait, n.ctl == mbarWait, n.ctl == groupSync:
		return 8
	}
	return 1
}

// productFuel is what a product of tensor cores takes.
const productFuel = 255

// blank is an inst whose operands are absent.
func blank() inst {
	return inst{d: noSlot, a: noSlot, b: noSlot, c: noSlot, e: noSlot, q: noSlot, guard: noSlot}
}

// reg is a register's slot, given out at its first mention.
func (d *decoder) reg(r *ptx.Reg) slot {
	if d.regs[r.Index] == noSlot {
		s, ok := d.rows.take(r.Type)
		if !ok {
			s = d.newSlot(r.Type)
		}
		d.regs[r.Index] = s
	}
	return d.regs[r.Index]
}

// early gives slots to the registers that hold a value at instruction at
// before the text names them: in loops whose end comes first.
func (d *decoder) early(at int) {
	for _, r := range d.rows.begin[at] {
		d.reg(d.e.Regs[r])
	}
}

func (d *decoder) isFilled(s slot) bool { return d.fixed[s] }

func (d *decoder) newSlot(t ptx.Type) slot {
	if t == ptx.Pred {
		d.c.preds++
		return slot(d.c.preds - 1)
	}
	d.c.slots++
	if t.Bits() == 64 {
		d.c.slots++
		return slot(d.c.slots - 2)
	}
	return slot(d.c.slots - 1)
}

// filled is the row of a constant, parameter or special register.
func (d *decoder) filled(f fill) slot {
	if s, ok := d.first[f]; ok {
		return s
	}
	key := f
	t := ptx.B32
	switch {
	case f.pred:
		t = ptx.Pred
	case f.wide:
		t = ptx.B64
	}
	f.at = d.newSlot(t)
	d.first[key] = f.at
	d.fixed[f.at] = d.fixed[f.at] || !f.pred
	if f.kind == fillCtaid || f.kind == fillClusterID {
		d.c.blocks = append(d.c.blocks, f)
	} else {
		d.c.fills = append(d.c.fills, f)
	}
	return f.at
}

func (d *decoder) constant(v uint64, wide bool) slot {
	if !wide {
		v &= math.MaxUint32
	}
	return d.filled(fill{kind: fillConst, wide: wide, bits: v})
}

var specials = map[string]fill{
	"%laneid": {kind: fillLane}, "%warpid": {kind: fillWarp}, "%nwarpid": {kind: fillNwarp},
	"%smid": {kind: fillConst}, "%nsmid": {kind: fillConst, bits: 1}, "%gridid": {kind: fillConst},
	"%lanemask_eq": {kind: fillLaneMask}, "%lanemask_le": {kind: fillLaneMask, dim: 1}, "%lanemask_lt": {kind: fillLaneMask, dim: 2},
	"%lanemask_ge": {kind: fillLaneMask, dim: 3}, "%lanemask_gt": {kind: fillLaneMask, dim: 4},
	"%dynamic_smem_size": {kind: fillDynShared}, "%total_smem_size": {kind: fillTotalShared}, "%aggr_smem_size": {kind: fillTotalShared},
	"%cluster_ctarank": {kind: fillClusterRank}, "%cluster_nctarank": {kind: fillClusterSize},
	"%is_explicit_cluster": {kind: fillExplicitCluster, pred: true},
}

func init() {
	for name, kind := range map[string]fillKind{
		"%tid": fillTid, "%ntid": fillNtid, "%ctaid": fillCtaid, "%nctaid": fillNctaid, "%clusterid": fillClusterID,
		"%nclusterid": fillNclusterID, "%cluster_ctaid": fillClusterCtaid, "%cluster_nctaid": fillClusterNctaid,
	} {
		for i, axis := range []string{".x", ".y", ".z"} {
			specials[name+axis] = fill{kind: kind, dim: i}
		}
	}
}

// source is the row of an operand that is read as type t.
func (d *decoder) source(o *ptx.Operand, t ptx.Type) (s slot, wide bool, err error) {
	wide = t.Bits() == 64
	switch o.Kind {
	case ptx.RegOperand:
		return d.reg(o.Reg), o.Reg.Type.Bits() == 64, nil
	case ptx.IntOperand:
		v := o.Imm
		if n := t.Bits(); n < 32 {
			v &= 1<<n - 1
		}
		return d.constant(v, wide), wide, nil
	case ptx.FloatOperand:
		if wide {
			return d.constant(o.Imm, true), true, nil
		}
		return d.constant(uint64(o.Float32Bits()), false), false, nil
	case ptx.SpecialOperand:
		f, ok := specials[o.Special]
		if !ok {
			return 0, false, fmt.Errorf("the simulated device does not have the special register %s here", o.Special)
		}
		f.wide = wide
		return d.filled(f), wide, nil
	case ptx.VarOperand:
		return d.constant(d.addr(o.Var)+uint64(o.Off), wide), wide, nil
	}
	return 0, false, fmt.Errorf("operand %s is not supported here", o.String())
}

// predicate is a predicate operand and its mask of negation. A constant is a
// predicate that is false everywhere, negated where it is not 0.
func (d *decoder) predicate(o *ptx.Operand) (slot, uint32) {
	if o.Kind == ptx.IntOperand {
		return d.filled(fill{kind: fillConst, pred: true}), spread(o.Imm != 0)
	}
	return d.reg(o.Reg), spread(o.Not)
}

// readsPred is a predicate's number among reads and sets; finish turns it into
// the one after the slots.
func readsPred(p slot) slot { return -2 - p }

// lane emits an operation on rows: destination, then up to three sources,
// whose types are those of the form.
func (d *decoder) lane(n inst) error {
	args, specs := d.in.Args, d.form.Specs(len(d.in.Args))
	rows := [...]*slot{&n.a, &n.b, &n.c}
	for i := range args[1:] {
		if i == len(rows) || specs[i+1].Type == ptx.Pred {
			break
		}
		s, wide, err := d.source(&args[i+1], specs[i+1].Type)
		if err != nil {
			return err
		}
		*rows[i] = s
		n.reads = append(n.reads, s)
		if wide {
			n.wide |= wideA << i
		}
	}
	d.emit(d.into(n, &args[0]))
	return nil
}

// into gives an inst its destination register.
func (d *decoder) into(n inst, o *ptx.Operand) inst {
	if o.Kind != ptx.RegOperand {
		n.d = d.newSlot(ptx.B64) // "_"
		n.writes = row32
		return n
	}
	n.d, n.writes, n.last = d.reg(o.Reg), row32, int32(d.rows.lives.to[o.Reg.Index])
	n.sets = append(n.sets, n.d)
	switch o.Reg.Type.Bits() {
	case 64:
		n.writes = row64
		n.wide |= wideD
	case 8, 16:
		cut(&n, 1<<o.Reg.Type.Bits()-1)
	}
	return n
}

// cut makes the scalar function keep what a narrow register holds.
func cut(n *inst, mask uint64) {
	switch f1, f2, f3 := n.f1, n.f2, n.f3; {
	case f1 != nil:
		n.f1 = func(a uint64) uint64 { return f1(a) & mask }
	case f2 != nil:
		n.f2 = func(a, b uint64) uint64 { return f2(a, b) & mask }
	case f3 != nil:
		n.f3 = func(a, b, c uint64) uint64 { return f3(a, b, c) & mask }
	}
}

// scalar makes the inst of a scalar function.
func scalar(f any) (n inst, ok bool) {
	n = blank()
	n.fuel = 16
	switch f := f.(type) {
	case fn1:
		n.f1, n.fn = f, lanes1
	case fn2:
		n.f2, n.fn = f, lanes2
	case fn3:
		n.f3, n.fn = f, lanes3
	default:
		return n, false
	}
	return n, true
}

// lanewise decodes what has a scalar function.
func lanewise(d *decoder) error {
	if len(d.form.Args) == 0 || len(d.in.Mods) == 0 {
		return d.unknown()
	}
	t := d.form.Args[0].Type
	if len(d.form.Args) > 1 {
		t = d.form.Args[1].Type
	}
	f := meaning(d.in, t)
	if d.p.perturb != 0 && oneOf(d.in.Mods, "approx", "full") != "" {
		t, _ = ptx.TypeByName(d.in.Mods[len(d.in.Mods)-1])
		f = approximate(d.in.Op, d.in.Mods, t, newPerturbation(d.p.perturb, d.in.Op, t))
	}
	n, ok := scalar(f)
	if !ok {
		return d.unknown()
	}
	n.use(d.in.Mnemonic())
	return d.lane(n)
}

// meaning is the scalar function of an instruction on type t.
func meaning(in *ptx.Instr, t ptx.Type) any {
	if last, ok := ptx.TypeByName(in.Mods[len(in.Mods)-1]); ok && in.Op != "dp4a" && in.Op != "dp2a" {
		t = last
	}
	switch {
	case in.Op == "cvt":
		return nil
	case mod(in.Mods, "u16x2"), mod(in.Mods, "s16x2"):
		t = ptx.U16
		if mod(in.Mods, "s16x2") {
			t = ptx.S16
		}
		if f, ok := integer(in.Op, in.Mods, t).(fn2); ok {
			return halves2(f)
		}
		return nil
	case isFloat(t):
		return float(in.Op, in.Mods, t)
	}
	return integer(in.Op, in.Mods, t)
}

// finish resolves branches, finds the straight runs, and numbers predicates
// among the values that may be undefined.
func (d *decoder) finish() error {
	c := d.c
	d.findCopies()
	leader := make([]bool, len(c.insts)+1)
	for _, l := range d.e.Labels {
		if l.At < 0 || l.At >= len(d.at) {
			return &DecodeError{l.Pos, l.Name, "label without a place"}
		}
		leader[d.at[l.At]] = true
	}
	for _, i := range d.fix {
		c.insts[i].target = d.at[c.insts[i].target]
		leader[c.insts[i].target] = true
	}
	c.ends, c.fuel = make([]int32, len(c.insts)), make([]int64, len(c.insts)+1)
	for i := range c.insts {
		c.fuel[i+1] = c.fuel[i] + int64(c.insts[i].fuel)
	}
	for i := range c.insts {
		for j, at := range c.insts[i].targets {
			c.insts[i].targets[j] = d.at[at] // a label's, which begins a run
		}
	}
	end := int32(len(c.insts) - 1)
	for i := len(c.insts) - 1; i >= 0; i-- {
		if c.insts[i].ctl != straight {
			end = int32(i)
		}
		c.ends[i] = end
		if leader[i] {
			end = int32(i)
		}
	}
	c.findSteps(leader)
	for i := range c.insts {
		for _, list := range [][]slot{c.insts[i].reads, c.insts[i].sets} {
			for j, s := range list {
				if s < noSlot {
					list[j] = slot(c.slots) - 2 - s
				}
			}
		}
	}
	for _, r := range d.rows.lives.undefined {
		switch s, t := d.regs[r], d.e.Regs[r].Type; {
		case t == ptx.Pred:
			c.undef = append(c.undef, slot(c.slots)+s)
		case s != noSlot && !d.isFilled(s):
			c.undef = append(c.undef, s)
		}
	}
	return nil
}
