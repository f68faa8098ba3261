package array

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// This file runs random programs that mix everything which decides when an expression is
// computed: operations, casts and masks of several types, views of expressions, Assign
// through views, reductions, Free, scopes, streams and graphs. They run on a device whose work is
// late (see late_test.go), and on a model that computes each step at once in plain Go.

// mixedType is an element type of a program and how the model computes with it: elements
// are float64s that it can hold.
type mixedType struct {
	name     string
	integer  bool
	wrap     func(int64) float64   // of integers
	round    func(float64) float64 // of floats, the results of one operation, also to bool
	saturate func(float64) float64 // of floats that become this type
	value    func(*rand.Rand) float64
	make     func(d *Device, data []float64, shape []int) mixedArray
	full     func(d *Device, v float64, shape []int) mixedArray
	from     func(a mixedArray) mixedArray // a cast
}

// mixedArray is an Array of any of the types.
type mixedArray interface {
	handle() handle
	free()
	eval()
	keep() mixedArray
	on(d *Device) mixedArray
	assign(src mixedArray) error
	fill(v float64) error
	op(name string, b mixedArray) mixedArray
	scalar(name string, v float64) mixedArray
	less(b mixedArray) mixedArray
	where(mask, b mixedArray) mixedArray
	max(axes []int) mixedArray
	sum(axes []int) mixedArray
	clone() mixedArray
	slice(index []Index) mixedArray
	permute(axes []int) mixedArray
	broadcast(shape []int) mixedArray
	flip(axis int) mixedArray
	expand(axis int) mixedArray
	reshape(shape []int) mixedArray
	read() ([]float64, error)
}

// mixed is an Array[T], with conversions.
type mixed[T Element] struct {
	*Array[T]
	*conversions[T]
}

type conversions[T Element] struct {
	in  func(float64) T
	out func(T) float64
}

func (m mixed[T]) with(a *Array[T]) mixedArray    { return mixed[T]{a, m.conversions} }
func (m mixed[T]) handle() handle                 { return m.h() }
func (m mixed[T]) free()                          { m.Free() }
func (m mixed[T]) eval()                          { m.Eval() }
func (m mixed[T]) keep() mixedArray               { return m.with(m.Keep()) }
func (m mixed[T]) on(d *Device) mixedArray        { return m.with(m.On(d)) }
func (m mixed[T]) assign(src mixedArray) error    { return m.Assign(src.(mixed[T]).Array) }
func (m mixed[T]) fill(v float64) error           { return m.Fill(m.in(v)) }
func (m mixed[T]) less(b mixedArray) mixedArray   { return flags(m.Less(b.(mixed[T]).Array)) }
func (m mixed[T]) max(axes []int) mixedArray      { return m.with(m.Max(axes...)) }
func (m mixed[T]) sum(axes []int) mixedArray      { return m.with(m.Sum(axes...)) }
func (m mixed[T]) clone() mixedArray              { return m.with(m.Clone()) }
func (m mixed[T]) slice(index []Index) mixedArray { return m.with(m.Slice(index...)) }
func (m mixed[T]) permute(axes []int) mixedArray  { return m.with(m.PermuteDims(axes...)) }
func (m mixed[T]) broadcast(shape []int) mixedArray {
	return m.with(m.BroadcastTo(shape...))
}
func (m mixed[T]) flip(axis int) mixedArray       { return m.with(m.Flip(axis)) }
func (m mixed[T]) expand(axis int) mixedArray     { return m.with(m.ExpandDims(axis)) }
func (m mixed[T]) reshape(shape []int) mixedArray { return m.with(m.Reshape(shape...)) }
func (m mixed[T]) where(mask, b mixedArray) mixedArray {
	return m.with(Where(mask.(mixed[bool]).Array, m.Array, b.(mixed[T]).Array))
}

func (m mixed[T]) op(name string, other mixedArray) mixedArray {
	b := other.(mixed[T]).Array
	return m.with(map[string]func(*Array[T]) *Array[T]{
		"Add": m.Add, "Sub": m.Sub, "Mul": m.Mul, "Minimum": m.Minimum,
		"LogicalAnd": m.LogicalAnd, "LogicalOr": m.LogicalOr, "LogicalXor": m.LogicalXor,
	}[name](b))
}

func (m mixed[T]) scalar(name string, v float64) mixedArray {
	return m.with(map[string]func(T) *Array[T]{"AddScalar": m.AddScalar, "MulScalar": m.MulScalar}[name](m.in(v)))
}

func (m mixed[T]) read() ([]float64, error) {
	host, err := m.ToSlice()
	data := make([]float64, len(host))
	for i, v := range host {
		data[i] = m.out(v)
	}
	return data, err
}

var boolConversions = &conversions[bool]{func(v float64) bool { return v != 0 }, func(v bool) float64 {
	if v {
		return 1
	}
	return 0
}}

func flags(a *Array[bool]) mixedArray { return mixed[bool]{a, boolConversions} }

// newMixed completes a type.
func newMixed[T Element](t mixedType, c *conversions[T]) *mixedType {
	t.name = typeOf[T]().String()
	t.make = func(d *Device, data []float64, shape []int) mixedArray {
		host := make([]T, len(data))
		for i, v := range data {
			host[i] = c.in(v)
		}
		return mixed[T]{FromSlice(d, host, shape...), c}
	}
	t.full = func(d *Device, v float64, shape []int) mixedArray {
		return mixed[T]{Full(d, c.in(v), shape...), c}
	}
	t.from = func(a mixedArray) mixedArray { return mixed[T]{to[T](convert("Cast", a.handle(), typeOf[T]())), c} }
	return &t
}

func mixedInteger[T int8 | uint8 | int16 | int32](least, most float64) *mixedType {
	wrap := func(v int64) float64 { return float64(T(v)) }
	return newMixed(mixedType{
		integer: true, wrap: wrap,
		saturate: func(v float64) float64 {
			if v != v {
				return 0
			}
			return max(least, min(math.Trunc(v), most))
		},
		value: func(r *rand.Rand) float64 { return wrap(r.Int64() >> r.IntN(64)) },
	}, &conversions[T]{func(v float64) T { return T(int64(v)) }, func(v T) float64 { return float64(v) }})
}

func mixedFloat[T Element](from func(float32) T, out func(T) float64) *mixedType {
	round := func(v float64) float64 { return out(from(float32(v))) }
	value := func(r *rand.Rand) float64 { return round(anyFloat(r)) }
	return newMixed(mixedType{round: round, saturate: round, value: value},
		&conversions[T]{func(v float64) T { return from(float32(v)) }, out})
}

var mixedBool = newMixed(mixedType{
	round: func(v float64) float64 { return boolConversions.out(v != 0) }, saturate: func(v float64) float64 { return boolConversions.out(v != 0) },
	value: func(r *rand.Rand) float64 { return float64(r.IntN(2)) },
}, boolConversions)

var mixedTypes = []*mixedType{
	mixedInteger[int32](math.MinInt32, math.MaxInt32), mixedInteger[uint8](0, 255), mixedInteger[int16](math.MinInt16, math.MaxInt16),
	mixedFloat(func(v float32) float32 { return v }, func(v float32) float64 { return float64(v) }),
	mixedFloat(F16, func(v Float16) float64 { return float64(v.Float32()) }),
	mixedFloat(BF16, func(v BFloat16) float64 { return float64(v.Float32()) }),
	mixedBool,
}

// compute is one operation of the model on elements of t.
func (t *mixedType) compute(name string, x, y float64) float64 {
	if t.integer {
		switch a, b := int64(x), int64(y); name {
		case "Add":
			return t.wrap(a + b)
		case "Sub":
			return t.wrap(a - b)
		case "Mul":
			return t.wrap(a * b)
		}
		return min(x, y)
	}
	a, b := float32(x), float32(y)
	switch name {
	case "Add":
		return t.round(float64(a + b))
	case "Sub":
		return t.round(float64(a - b))
	case "Mul":
		return t.round(float64(a * b))
	case "LogicalAnd":
		return x * y
	case "LogicalOr":
		return max(x, y)
	case "LogicalXor":
		return boolConversions.out(x != y)
	}
	return min(x, y)
}

// convert is the model's cast from t.
func (t *mixedType) convert(v float64, to *mixedType) float64 {
	if t.integer && to.integer {
		return to.wrap(int64(v))
	}
	return to.saturate(v)
}

func (t *mixedType) operations() []string {
	if t == mixedBool {
		return []string{"LogicalAnd", "LogicalOr", "LogicalXor"}
	}
	return []string{"Add", "Sub", "Mul", "Minimum"}
}

// mixedScope is a Scope under way, or over.
type mixedScope struct {
	parent *mixedScope
	ended  bool
}

func (s *mixedScope) lasting() *mixedScope {
	for s != nil && s.ended {
		s = s.parent
	}
	return s
}

// mixedDevice is a Device and its scope.
type mixedDevice struct {
	*Device
	scope *mixedScope
	name  string
}

// mixedMemory is what an array and its views share.
type mixedMemory struct {
	data  []float64
	scope *mixedScope
	freed bool
	in    *mixedGraph // that it was made in, or nil
	fixed bool        // several programs read it, and none writes or frees it
}

// mixedValue is an array of a program and its model.
type mixedValue struct {
	name  string
	real  mixedArray
	typ   *mixedType
	on    *mixedDevice
	mem   *mixedMemory
	shape []int
	at    []int // for each element, in row-major order, where it is in mem
	owner bool
}

func (v *mixedValue) values() []float64 {
	data := make([]float64, len(v.at))
	for i, at := range v.at {
		data[i] = v.mem.data[at]
	}
	return data
}

// broadcast gives the elements in a larger shape.
func (v *mixedValue) broadcast(shape []int) []float64 {
	m := &modelArray[float64]{mem: &modelMemory[float64]{data: v.mem.data}, shape: v.shape, at: v.at}
	data, _ := m.broadcastValues(shape)
	return data
}

// mixedGraph is a graph and what the model does at each launch.
type mixedGraph struct {
	*Graph
	on    *mixedDevice // of the capture
	steps []func()
}

// mixedProgram is a random program under way.
type mixedProgram struct {
	*testing.T
	rec     *mixedGraph // being captured, or nil
	graphs  []*mixedGraph
	rng     *rand.Rand
	devices []*mixedDevice
	live    []*mixedValue
	names   int
	log     []string
}

func TestMixedPrograms(t *testing.T) {
	first, programs := rand.Uint64N(1<<63)+1, uint64(40)
	if testing.Short() {
		programs = 8
	}
	for seed := first; seed < first+programs; seed++ {
		d := openLate(t, seed)
		p := newMixedProgram(t, seed, d)
		p.run(80)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(p.log, "\n"))
		}
	}
}

// TestMixedProgramsOfManyGoroutines runs programs that share a device, and expressions
// that each of them may be the first to need.
func TestMixedProgramsOfManyGoroutines(t *testing.T) {
	seed := rand.Uint64N(1<<63) + 1
	d := openLate(t, seed)
	var programs [4]*mixedProgram
	for k := range programs {
		programs[k] = newMixedProgram(t, seed+uint64(k), d)
	}
	for i := range 6 {
		v := programs[0].create()
		if i%2 > 0 {
			programs[0].binary(v)
		}
	}
	for _, v := range programs[0].live {
		v.mem.fixed = true
	}
	for _, p := range programs[1:] {
		p.live, p.names, p.log = slices.Clone(programs[0].live), programs[0].names, slices.Clone(programs[0].log)
	}
	var wg sync.WaitGroup
	for _, p := range programs {
		wg.Go(func() { p.run(80) })
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		for _, p := range programs {
			t.Logf("seed %d:\n%s\n", seed, strings.Join(p.log, "\n"))
		}
	}
}

func newMixedProgram(t *testing.T, seed uint64, d *Device) *mixedProgram {
	p := &mixedProgram{T: t, rng: rand.New(rand.NewPCG(seed, 0)), devices: []*mixedDevice{{d, nil, "d"}}}
	for i := range 2 {
		f, err := d.Fork()
		if err != nil {
			t.Error(err)
			continue
		}
		p.devices = append(p.devices, &mixedDevice{f, nil, fmt.Sprintf("f%d", i)})
	}
	return p
}

func (p *mixedProgram) run(steps int) {
	for range steps {
		if p.step(); p.Failed() {
			return
		}
	}
	for _, v := range p.live {
		p.compare(v)
	}
	for _, g := range p.graphs {
		if err := g.Close(); err != nil {
			p.Error(err)
		}
	}
	for _, v := range slices.Clone(p.live) { // free deletes
		p.free(v)
	}
}

func (p *mixedProgram) logf(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// add notes an array.
func (p *mixedProgram) add(v *mixedValue, format string, args ...any) *mixedValue {
	v.name = fmt.Sprintf("a%d", p.names)
	p.names++
	p.logf("%s = %s // %s %v on %s", v.name, fmt.Sprintf(format, args...), v.typ.name, v.shape, v.on.name)
	h := v.real.handle()
	if err := carried("Err", h); err != nil {
		p.Errorf("%s: %v", v.name, err)
		return v
	}
	if !slices.Equal(h.shape(), v.shape) {
		p.Errorf("%s has shape %v, want %v", v.name, h.shape(), v.shape)
	}
	if len(v.at) <= 3000 {
		p.live = append(p.live, v)
	}
	return v
}

// made notes a new array with memory of its own, which compute fills.
func (p *mixedProgram) made(on *mixedDevice, t *mixedType, real mixedArray, compute func() []float64, shape []int, format string, args ...any) *mixedValue {
	mem := &mixedMemory{scope: on.scope.lasting()}
	if p.rec == nil || on != p.rec.on { // a graph may be captured, but not this
		mem.data = compute()
	} else {
		mem.in = p.rec
		p.does(func() { mem.data = compute() })
	}
	at := make([]int, len(mem.data))
	for i := range at {
		at[i] = i
	}
	return p.add(&mixedValue{real: real, typ: t, on: on, mem: mem, shape: shape, at: at, owner: true}, format, args...)
}

// does takes a step of the model, now and at each launch of the graph that is captured.
func (p *mixedProgram) does(f func()) {
	if p.rec != nil {
		p.rec.steps = append(p.rec.steps, f)
	}
	f()
}

func (p *mixedProgram) device() *mixedDevice { return p.devices[p.rng.IntN(len(p.devices))] }

func (p *mixedProgram) create() *mixedValue {
	t, d := mixedTypes[p.rng.IntN(len(mixedTypes))], p.device()
	shape := [][]int{{}, {1}, {7}, {4, 5}, {5, 4}, {5, 5}, {4, 1}, {1, 5}, {2, 4, 5}, {3, 1, 2}, {33, 40}, {0, 5}}[p.rng.IntN(12)]
	return p.createOf(d, t, shape)
}

func (p *mixedProgram) createOf(d *mixedDevice, t *mixedType, shape []int) *mixedValue {
	n := 1
	for _, s := range shape {
		n *= s
	}
	data := make([]float64, n)
	if len(shape) == 0 || p.rec != nil || p.rng.IntN(4) == 0 { // FromSlice without a shape makes one axis
		v := t.value(p.rng)
		for i := range data {
			data[i] = v
		}
		return p.made(d, t, t.full(d.Device, v, shape), func() []float64 { return slices.Clone(data) }, shape, "Full(%v)", v)
	}
	for i := range data {
		data[i] = t.value(p.rng)
	}
	return p.made(d, t, t.make(d.Device, data, shape), func() []float64 { return data }, shape, "FromSlice")
}

// partner finds an array of v's type that broadcasts with it, perhaps one that shows the
// same memory.
func (p *mixedProgram) partner(v *mixedValue, t *mixedType) (*mixedValue, []int) {
	if t == v.typ && p.rng.IntN(3) == 0 {
		w := p.view(v)
		if l, err := broadcast(shapeOf(v.shape), shapeOf(w.shape)); err == nil {
			return w, slices.Clone(dims(&l))
		}
	}
	for range 20 {
		w := p.live[p.rng.IntN(len(p.live))]
		if l, err := broadcast(shapeOf(v.shape), shapeOf(w.shape)); w.typ == t && err == nil && l.Len() <= 3000 {
			return w, slices.Clone(dims(&l))
		}
	}
	return p.createOf(v.on, t, v.shape), v.shape
}

func shapeOf(shape []int) *layout {
	l, _ := newLayout(shape, typeOf[float64]())
	return &l
}

func (p *mixedProgram) pick() *mixedValue { return p.live[p.rng.IntN(len(p.live))] }

func (p *mixedProgram) step() {
	if len(p.live) < 4 || p.rng.IntN(10) == 0 {
		p.create()
		return
	}
	v := p.inside(p.pick())
	switch k := p.rng.IntN(35); {
	case k < 8:
		p.binary(v)
	case k < 10:
		p.cast(v)
	case k < 12:
		p.mask(v)
	case k < 16:
		p.view(v)
	case k < 17:
		p.scalar(v)
	case k < 19:
		p.reduce(v)
	case k < 23:
		p.assign(v)
	case k < 24:
		p.fill(v)
	case k < 25:
		p.move(v, p.device())
	case k < 27:
		p.free(v)
	case k < 28:
		p.logf("%s.Eval()", v.name)
		v.real.eval()
	case k < 29:
		p.scope()
	case k < 30:
		p.made(v.on, v.typ, v.real.clone(), v.values, v.shape, "%s.Clone()", v.name)
	case k < 31 && p.rng.IntN(4) == 0:
		p.logf("runtime.GC()")
		runtime.GC()
	case k >= 32:
		p.graph()
	default:
		p.compare(v)
	}
}

// inside is v on the Device of the capture, if there is one.
func (p *mixedProgram) inside(v *mixedValue) *mixedValue {
	if p.rec == nil || v.on == p.rec.on {
		return v
	}
	return p.move(v, p.rec.on)
}

// move makes a handle of the same array for another stream.
func (p *mixedProgram) move(v *mixedValue, d *mixedDevice) *mixedValue {
	return p.add(&mixedValue{real: v.real.on(d.Device), typ: v.typ, on: d, mem: v.mem, shape: v.shape, at: v.at, owner: v.owner}, "%s.On(%s)", v.name, d.name)
}

// graph captures some steps, or launches or closes a graph.
func (p *mixedProgram) graph() {
	switch {
	case p.rec != nil:
	case len(p.graphs) < 2:
		p.capture(p.device())
	default:
		i := p.rng.IntN(len(p.graphs))
		if p.rng.IntN(5) > 0 {
			p.launch(p.graphs[i])
			return
		}
		p.logf("graph %d closes", i)
		if err := p.graphs[i].Close(); err != nil {
			p.Error(err)
		}
		p.graphs = slices.Delete(p.graphs, i, i+1)
	}
}

// capture does some steps in a Capture, and launches it once.
func (p *mixedProgram) capture(outer *mixedDevice) {
	before := map[*mixedMemory][]float64{}
	for _, v := range p.live {
		before[v.mem] = slices.Clone(v.mem.data)
	}
	devices := p.devices
	g := &mixedGraph{}
	var err error
	p.logf("Capture on %s {", outer.name)
	g.Graph, err = outer.Capture(func(c *Device) error {
		g.on = &mixedDevice{c, outer.scope, fmt.Sprintf("c%d", p.names)}
		p.rec, p.devices = g, []*mixedDevice{g.on}
		for range 4 + p.rng.IntN(12) {
			p.step()
		}
		for _, v := range p.live {
			if v.mem.in == g && p.rng.IntN(3) == 0 {
				p.logf("%s.Keep()", v.name)
				v.real.keep()
				v.mem.in = nil
			}
		}
		return nil
	})
	p.logf("}")
	p.rec, p.devices = nil, devices
	if err != nil {
		p.Error(err)
		return
	}
	for _, v := range p.live {
		if v.mem.in == g { // no write where it is not: other programs read what is fixed
			v.mem.freed = true
		}
	}
	p.drop()
	for mem, data := range before {
		if !mem.fixed {
			mem.data = data
		}
	}
	p.graphs = append(p.graphs, g)
	p.launch(g)
}

func (p *mixedProgram) launch(g *mixedGraph) {
	p.logf("Launch of %s", g.on.name)
	if err := g.Launch(); err != nil {
		p.Error(err)
	}
	for _, f := range g.steps {
		f()
	}
}

func (p *mixedProgram) binary(v *mixedValue) *mixedValue {
	w, shape := p.partner(v, v.typ)
	names := v.typ.operations()
	name := names[p.rng.IntN(len(names))]
	compute := func() []float64 {
		x, y := v.broadcast(shape), w.broadcast(shape)
		for i := range x {
			x[i] = v.typ.compute(name, x[i], y[i])
		}
		return x
	}
	return p.made(v.on, v.typ, v.real.op(name, w.real), compute, shape, "%s.%s(%s)", v.name, name, w.name)
}

func (p *mixedProgram) scalar(v *mixedValue) {
	if v.typ == mixedBool {
		return
	}
	i, s := p.rng.IntN(2), v.typ.value(p.rng)
	name := []string{"AddScalar", "MulScalar"}[i]
	compute := func() []float64 {
		data := v.values()
		for k := range data {
			data[k] = v.typ.compute([]string{"Add", "Mul"}[i], data[k], s)
		}
		return data
	}
	p.made(v.on, v.typ, v.real.scalar(name, s), compute, v.shape, "%s.%s(%v)", v.name, name, s)
}

// cast casts, through several types.
func (p *mixedProgram) cast(v *mixedValue) {
	for range 1 + p.rng.IntN(3) {
		t := mixedTypes[p.rng.IntN(len(mixedTypes))]
		if v.typ.name == "int32" && t.name == "bfloat16" {
			continue // the model would round twice
		}
		from := v
		v = p.made(from.on, t, t.from(from.real), func() []float64 {
			data := from.values()
			for i := range data {
				data[i] = from.typ.convert(data[i], t)
			}
			return data
		}, from.shape, "Cast[%s](%s)", t.name, from.name)
	}
}

// mask makes a mask and uses it, perhaps twice.
func (p *mixedProgram) mask(v *mixedValue) {
	if v.typ == mixedBool {
		t := mixedTypes[p.rng.IntN(len(mixedTypes))]
		for range 1 + p.rng.IntN(2) {
			a, shape := p.partner(v, t)
			b, _ := p.partner(a, t)
			l, err := broadcast(shapeOf(shape), shapeOf(b.shape))
			if err != nil || l.Len() > 3000 {
				return
			}
			shape = slices.Clone(dims(&l))
			p.made(v.on, t, a.real.where(v.real, b.real), func() []float64 {
				m, x, y := v.broadcast(shape), a.broadcast(shape), b.broadcast(shape)
				for i := range m {
					if m[i] == 0 {
						x[i] = y[i]
					}
				}
				return x
			}, shape, "Where(%s, %s, %s)", v.name, a.name, b.name)
		}
		return
	}
	w, shape := p.partner(v, v.typ)
	p.made(v.on, mixedBool, v.real.less(w.real), func() []float64 {
		x, y := v.broadcast(shape), w.broadcast(shape)
		for i := range x {
			x[i] = boolConversions.out(x[i] < y[i])
		}
		return x
	}, shape, "%s.Less(%s)", v.name, w.name)
}

// view makes a view whose element at an index is v's at from(index).
func (p *mixedProgram) view(v *mixedValue) *mixedValue {
	rank := len(v.shape)
	if rank == 0 {
		return v
	}
	axis := p.rng.IntN(rank)
	keep := func(what string, real mixedArray, shape []int, from func(x []int) []int) *mixedValue {
		var at []int
		eachIndex(shape, func(index []int) {
			k := 0
			for i, x := range from(index) {
				k = k*v.shape[i] + x
			}
			at = append(at, v.at[k])
		})
		return p.add(&mixedValue{real: real, typ: v.typ, on: v.on, mem: v.mem, shape: shape, at: at}, "%s.%s", v.name, what)
	}
	switch p.rng.IntN(6) {
	case 0, 1:
		n := v.shape[axis]
		lo, hi, step := p.rng.IntN(n+1), n, 1+p.rng.IntN(2)
		shape := slices.Clone(v.shape)
		index := make([]Index, axis+1)
		for i := range index {
			index[i] = All
		}
		shape[axis] = (hi - lo + step - 1) / step
		index[axis] = R(lo, hi, step)
		return keep(fmt.Sprintf("Slice(axis %d: R(%d, %d, %d))", axis, lo, hi, step), v.real.slice(index), shape, func(x []int) []int {
			from := slices.Clone(x)
			from[axis] = lo + step*x[axis]
			return from
		})
	case 2:
		axes := p.rng.Perm(rank)
		shape := make([]int, rank)
		for i, a := range axes {
			shape[i] = v.shape[a]
		}
		return keep(fmt.Sprintf("PermuteDims(%v)", axes), v.real.permute(axes), shape, func(x []int) []int {
			from := make([]int, rank)
			for i, a := range axes {
				from[a] = x[i]
			}
			return from
		})
	case 3:
		return keep(fmt.Sprintf("Flip(%d)", axis), v.real.flip(axis), v.shape, func(x []int) []int {
			from := slices.Clone(x)
			from[axis] = v.shape[axis] - 1 - x[axis]
			return from
		})
	case 4:
		if rank > 4 || len(v.at) > 1000 {
			return v
		}
		shape := append([]int{1 + p.rng.IntN(3)}, v.shape...)
		return keep(fmt.Sprintf("BroadcastTo(%v)", shape), v.real.broadcast(shape), shape, func(x []int) []int { return x[1:] })
	}
	shape := []int{len(v.at)}
	if n := len(v.at); n%4 == 0 && p.rng.IntN(2) == 0 {
		shape = []int{2, n / 4, 2}
	}
	if len(v.at) == 0 {
		return v
	}
	real := v.real.reshape(shape)
	if !even(v.at, shape) {
		return p.made(v.on, v.typ, real, v.values, shape, "%s.Reshape(%v), which copies", v.name, shape)
	}
	return p.add(&mixedValue{real: real, typ: v.typ, on: v.on, mem: v.mem, shape: shape, at: v.at}, "%s.Reshape(%v)", v.name, shape)
}

// reduce takes the largest elements along some axes, or the sums of integers, and brings
// the axes back.
func (p *mixedProgram) reduce(v *mixedValue) {
	if v.typ == mixedBool || slices.Contains(v.shape, 0) || len(v.shape) == 0 {
		return
	}
	axes := p.rng.Perm(len(v.shape))[:1+p.rng.IntN(len(v.shape))]
	slices.Sort(axes)
	shape := slices.Clone(v.shape)
	for _, a := range axes {
		shape[a] = 1
	}
	name, real := "Max", v.real.max(axes)
	if v.typ.name == "int32" && p.rng.IntN(2) == 0 {
		name, real = "Sum", v.real.sum(axes)
	}
	n := 1
	for _, s := range shape {
		n *= s
	}
	compute := func() []float64 {
		data, known := make([]float64, n), make([]bool, n)
		all := v.values()
		i := 0
		eachIndex(v.shape, func(x []int) {
			k := 0
			for j, s := range shape {
				k = k*s + min(x[j], s-1)
			}
			switch e := all[i]; {
			case !known[k]:
				data[k], known[k] = e, true
			case name == "Sum":
				data[k] = v.typ.compute("Add", data[k], e)
			default:
				data[k] = max(data[k], e)
			}
			i++
		})
		return data
	}
	var reduced []int
	for j, s := range v.shape {
		if !slices.Contains(axes, j) {
			reduced = append(reduced, s)
		}
	}
	r := p.made(v.on, v.typ, real, compute, reduced, "%s.%s(%v)", v.name, name, axes)
	real = r.real
	for _, a := range axes {
		real = real.expand(a)
	}
	p.add(&mixedValue{real: real, typ: v.typ, on: v.on, mem: r.mem, shape: shape, at: r.at}, "%s with its axes", r.name)
}

// assign writes an expression, perhaps of the same memory, through a view.
func (p *mixedProgram) assign(v *mixedValue) {
	if p.rng.IntN(2) == 0 {
		v = p.view(v)
	}
	if v.mem.fixed {
		return
	}
	src, shape := p.partner(v, v.typ)
	if p.rng.IntN(2) == 0 {
		src = p.binary(p.inside(src))
		if l, err := broadcast(shapeOf(v.shape), shapeOf(src.shape)); err != nil {
			return
		} else {
			shape = slices.Clone(dims(&l))
		}
	}
	wrong := repeated(v.at) || !slices.Equal(shape, v.shape)
	if wrong && p.rec != nil { // the capture would fail
		return
	}
	p.logf("%s.Assign(%s)", v.name, src.name)
	err := v.real.assign(src.real)
	if wrong {
		if !errors.Is(err, ErrShape) {
			p.Errorf("%s: %v, want ErrShape", p.log[len(p.log)-1], err)
		}
		return
	}
	if err != nil {
		p.Errorf("%s: %v", p.log[len(p.log)-1], err)
	}
	p.does(func() {
		data := src.broadcast(v.shape)
		for i, at := range v.at {
			v.mem.data[at] = data[i]
		}
	})
}

func (p *mixedProgram) fill(v *mixedValue) {
	if v.mem.fixed || repeated(v.at) {
		return
	}
	x := v.typ.value(p.rng)
	p.logf("%s.Fill(%v)", v.name, x)
	if err := v.real.fill(x); err != nil {
		p.Errorf("%s: %v", p.log[len(p.log)-1], err)
	}
	p.does(func() {
		for _, at := range v.at {
			v.mem.data[at] = x
		}
	})
}

// repeated says whether a place is shown twice.
func repeated(at []int) bool { return (&modelArray[float64]{at: at}).repeats() }

func (p *mixedProgram) free(v *mixedValue) {
	if v.mem.fixed || v.mem.freed {
		return
	}
	p.logf("%s.Free()", v.name)
	v.real.free()
	if v.owner {
		v.mem.freed = true
		p.drop()
	}
}

// drop forgets what was freed, which is an error to use.
func (p *mixedProgram) drop() {
	p.live = slices.DeleteFunc(p.live, func(v *mixedValue) bool {
		if !v.mem.freed {
			return false
		}
		if err := carried("Err", v.real.handle()); !errors.Is(err, ErrFreed) {
			p.Errorf("%s of freed memory: %v", v.name, err)
		}
		return true
	})
}

// scope does some steps in a Scope and keeps some of what they make.
func (p *mixedProgram) scope() {
	if len(p.devices) > 6 || p.rec != nil {
		return
	}
	outer := p.device()
	sc := &mixedScope{parent: outer.scope}
	devices := p.devices
	err := outer.Scope(func(s *Device) error {
		p.logf("Scope of %s {", outer.name)
		p.devices = append(slices.Clone(p.devices), &mixedDevice{s, sc, fmt.Sprintf("s%d", p.names)}, &mixedDevice{s, sc, fmt.Sprintf("s%d", p.names)})
		for range 4 + p.rng.IntN(12) {
			p.step()
		}
		for _, v := range slices.Clone(p.live) {
			if v.mem.scope == sc && p.rng.IntN(4) == 0 {
				p.logf("%s.Keep()", v.name)
				v.real.keep()
				v.mem.scope = sc.parent.lasting()
			}
		}
		return nil
	})
	p.logf("}")
	if err != nil {
		p.Error(err)
	}
	sc.ended = true
	p.devices = devices
	for _, v := range p.live {
		if v.mem.scope == sc {
			v.mem.freed = true
		}
	}
	p.drop()
}

func (p *mixedProgram) compare(v *mixedValue) {
	if p.rec != nil {
		return
	}
	p.logf("%s.ToSlice()", v.name)
	got, err := v.real.read()
	if err != nil {
		p.Errorf("%s: %v", v.name, err)
		return
	}
	for i, want := range v.values() {
		if got[i] != want && (got[i] == got[i] || want == want) {
			p.Errorf("%s has %v at %d, want %v", v.name, got[i], i, want)
			return
		}
	}
}
