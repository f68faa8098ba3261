package sim

import (
	"math/big"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// lateModel says what CUDA's rules allow of a program: for each operation, which ones
// are done before it begins. Nothing else of a schedule is promised.
type lateModel struct {
	*env
	rng  *rand.Rand
	ops  []modelOp
	host *big.Int // operations that the host knows to be done

	streams  []abi.Stream // 0: the NULL stream, 1 and 2: blocking, 3 and 4: not
	ends     []*big.Int   // what comes before a stream's next operation, of its own queue
	events   []abi.Event
	recorded []*big.Int
	graphs   []modelGraph

	cells  abi.DevicePtr // words that operations read and write
	logs   abi.DevicePtr // words that each take one read's result
	pinned []uint32      // words that copies read
	landed []uint32      // pinned words that take one read's result each
	value  uint32        // the latest that was written: each is written once
}

const (
	modelCells    = 4
	modelPinned   = 3
	modelReads    = 200
	modelBlocking = 3 // streams below it are not of the non-blocking kind
)

// modelOp is a write of one of some values to a cell, or a read.
type modelOp struct {
	before *big.Int
	cell   int
	values []uint32 // of a write: what its source may hold when it runs
	source int      // the pinned word that it copies, or -1
	read   bool
	landed bool // where its result is: in landed or in logs
	place  int
}

// modelGraph is a ready graph that writes values to cells; each comes after those
// before it that after names.
type modelGraph struct {
	exec   abi.GraphExec
	cells  []int
	values []uint32
	after  [][]int
	last   *big.Int
}

func union(sets ...*big.Int) *big.Int {
	u := new(big.Int)
	for _, s := range sets {
		if s != nil {
			u.Or(u, s)
		}
	}
	return u
}

func newLateModel(t *testing.T, seed uint64) *lateModel {
	m := &lateModel{env: open(t, Options{Late: seed}), rng: rand.New(rand.NewPCG(seed, 1)), host: new(big.Int)}
	for k, flags := range []uint32{9, 0, 0, abi.StreamNonBlocking, abi.StreamNonBlocking} {
		s := abi.Stream(0)
		if k > 0 {
			s = must[abi.Stream](m.env)(m.StreamCreateWithPriority(flags, 0))
		}
		m.streams, m.ends = append(m.streams, s), append(m.ends, new(big.Int))
	}
	for range 3 {
		m.events, m.recorded = append(m.events, m.event()), append(m.recorded, nil)
	}
	m.cells, m.logs = m.alloc(4*modelCells), m.alloc(4*modelReads)
	m.ok(m.MemsetD8Async(m.cells, 0, 4*modelCells, 0))
	m.pinned = unsafe.Slice((*uint32)(must[unsafe.Pointer](m.env)(m.MemHostAlloc(4*modelPinned, 0))), modelPinned)
	m.landed = unsafe.Slice((*uint32)(must[unsafe.Pointer](m.env)(m.MemHostAlloc(4*modelReads, 0))), modelReads)
	for range 2 {
		m.graphs = append(m.graphs, m.newGraph())
	}
	m.ok(m.CtxSynchronize())
	return m
}

func (m *lateModel) newValue() uint32 { m.value++; return m.value }

func (m *lateModel) newGraph() modelGraph {
	x := modelGraph{last: new(big.Int)}
	g := must[abi.Graph](m.env)(m.GraphCreate(0))
	var nodes []abi.GraphNode
	for k := range 3 {
		cell, value := m.rng.IntN(modelCells), m.newValue()
		var after []int
		var deps []abi.GraphNode
		for j := range k {
			if m.rng.IntN(2) == 0 {
				after, deps = append(after, j), append(deps, nodes[j])
			}
		}
		nodes = append(nodes, must[abi.GraphNode](m.env)(m.GraphAddMemsetNode(g, deps, &abi.MemsetNodeParams{Dst: m.cell(cell), Value: value, ElementSize: 4, Width: 1, Height: 1}, m.ctx)))
		x.cells, x.values, x.after = append(x.cells, cell), append(x.values, value), append(x.after, after)
	}
	x.exec = must[abi.GraphExec](m.env)(m.GraphInstantiate(g, 0))
	m.ok(m.GraphDestroy(g))
	return x
}

func (m *lateModel) cell(k int) abi.DevicePtr { return m.cells + abi.DevicePtr(4*k) }

// begin is all that is done before the next operation of a stream.
func (m *lateModel) begin(stream int) *big.Int {
	b := union(m.host, m.ends[stream])
	if stream == 0 {
		return union(append(m.ends[:modelBlocking:modelBlocking], b)...)
	}
	if stream < modelBlocking {
		return union(m.ends[0], b)
	}
	return b
}

// put notes an operation, and returns the set of it.
func (m *lateModel) put(o modelOp) *big.Int {
	m.ops = append(m.ops, o)
	return new(big.Int).SetBit(new(big.Int), len(m.ops)-1, 1)
}

// on notes an operation at a stream's end.
func (m *lateModel) on(stream int, o modelOp) {
	o.before = m.begin(stream)
	m.ends[stream] = union(o.before, m.put(o))
}

// step does one random operation in both the device and the model.
func (m *lateModel) step() {
	k, cell, word := m.rng.IntN(len(m.streams)), m.rng.IntN(modelCells), m.rng.IntN(modelPinned)
	s, e := m.streams[k], m.rng.IntN(len(m.events))
	read, source := len(m.ops), unsafe.Pointer(&m.pinned[word])
	switch m.rng.IntN(16) {
	case 0, 1, 2:
		v := m.newValue()
		m.ok(m.MemsetD32Async(m.cell(cell), v, 1, s))
		m.on(k, modelOp{cell: cell, values: []uint32{v}, source: -1})
	case 3:
		m.ok(m.MemcpyHtoDAsync(m.cell(cell), source, 4, s))
		m.on(k, modelOp{cell: cell, values: []uint32{m.pinned[word]}, source: word})
	case 4: // of pageable memory, which may change at once
		v := m.newValue()
		m.ok(m.MemcpyHtoDAsync(m.cell(cell), unsafe.Pointer(&v), 4, s))
		m.on(k, modelOp{cell: cell, values: []uint32{v}, source: -1})
		v = 1 << 30
	case 5: // the host writes what copies may still have to read
		m.pinned[word] = m.newValue()
		for i := range m.ops {
			if o := &m.ops[i]; o.source == word && m.host.Bit(i) == 0 {
				o.values = append(o.values, m.pinned[word])
			}
		}
	case 6, 7:
		m.ok(m.MemcpyDtoDAsync(m.logs+abi.DevicePtr(4*read), m.cell(cell), 4, s))
		m.on(k, modelOp{cell: cell, read: true, place: read, source: -1})
	case 8:
		m.ok(m.MemcpyDtoHAsync(unsafe.Pointer(&m.landed[read]), m.cell(cell), 4, s))
		m.on(k, modelOp{cell: cell, read: true, landed: true, place: read, source: -1})
	case 9: // into pageable memory: waits
		var v uint32
		m.ok(m.MemcpyDtoHAsync(unsafe.Pointer(&v), m.cell(cell), 4, s))
		m.on(k, modelOp{cell: cell, read: true, landed: true, place: read, source: -1})
		m.host, m.landed[read] = union(m.host, m.ends[k]), v
	case 10, 11:
		m.ok(m.EventRecord(m.events[e], s))
		m.ends[k] = m.begin(k)
		m.recorded[e] = m.ends[k]
	case 12, 13:
		m.ok(m.StreamWaitEvent(s, m.events[e], 0))
		if m.recorded[e] != nil { // else the call is nothing, also in the NULL stream
			m.ends[k] = union(m.begin(k), m.recorded[e])
		}
	case 14:
		m.launch(k, &m.graphs[m.rng.IntN(len(m.graphs))])
	default:
		m.wait(k, e)
	}
}

func (m *lateModel) launch(stream int, g *modelGraph) {
	m.ok(m.GraphLaunch(g.exec, m.streams[stream]))
	begin := union(m.begin(stream), g.last)
	end, sets := begin, []*big.Int{}
	for i, cell := range g.cells {
		before := begin
		for _, j := range g.after[i] {
			before = union(before, m.ops[len(m.ops)-i+j].before, sets[j])
		}
		sets = append(sets, m.put(modelOp{before: before, cell: cell, values: g.values[i : i+1], source: -1}))
		end = union(end, sets[i])
	}
	m.ends[stream], g.last = end, end
}

// wait does something after which the host knows that work is done, or asks.
func (m *lateModel) wait(k, e int) {
	switch m.rng.IntN(6) {
	case 0:
		m.ok(m.StreamSynchronize(m.streams[k]))
		m.host = union(m.host, m.begin(k))
	case 1:
		m.ok(m.EventSynchronize(m.events[e]))
		m.host = union(m.host, m.recorded[e])
	case 2:
		if r := m.StreamQuery(m.streams[k]); r == abi.Success {
			m.host = union(m.host, m.begin(k))
		} else {
			m.want(r, abi.ErrorNotReady)
		}
	case 3:
		if r := m.EventQuery(m.events[e]); r == abi.Success {
			m.host = union(m.host, m.recorded[e])
		} else {
			m.want(r, abi.ErrorNotReady)
		}
	case 4: // waits for all work
		m.ok(m.MemFree(m.alloc(4)))
		m.host = union(append(m.ends, m.host)...)
	default:
		v, cell := m.newValue(), m.rng.IntN(modelCells)
		m.ok(m.MemcpyHtoD(m.cell(cell), unsafe.Pointer(&v), 4))
		m.host = m.begin(0)
		m.on(0, modelOp{cell: cell, values: []uint32{v}, source: -1})
		v = 1 << 30
	}
}

// allowed says whether a read may have given v: the latest write that is before it,
// or one that is neither before nor after it.
func (m *lateModel) allowed(read int, v uint32) bool {
	r, initial := &m.ops[read], true
	for i := range m.ops {
		w := &m.ops[i]
		if w.read || w.cell != r.cell || w.before.Bit(read) == 1 {
			continue
		}
		initial = initial && r.before.Bit(i) == 0
		overwritten := false
		for j := range m.ops {
			o := &m.ops[j]
			overwritten = overwritten || !o.read && o.cell == r.cell && o.before.Bit(i) == 1 && r.before.Bit(j) == 1
		}
		if !overwritten && slices.Contains(w.values, v) {
			return true
		}
	}
	return initial && v == 0
}

// TestLateAgainstModel runs random programs. What they read must be what CUDA's rules
// allow; and where these allow more than one value, others than the one that work
// done at once gives must show too.
func TestLateAgainstModel(t *testing.T) {
	first, late, reads := rand.Uint64()|1, 0, 0
	for k := range uint64(300) {
		seed := first + 2*k
		m := newLateModel(t, seed)
		for range 60 {
			m.step()
		}
		m.ok(m.CtxSynchronize())
		logs := download[uint32](m.env, m.logs, modelReads)
		cells := make([]uint32, modelCells) // if work were done at once
		for i := range m.ops {
			o := &m.ops[i]
			if !o.read {
				cells[o.cell] = o.values[0]
				continue
			}
			got := logs[o.place]
			if o.landed {
				got = m.landed[o.place]
			}
			if !m.allowed(i, got) {
				t.Fatalf("seed %d: operation %d reads %d from cell %d", seed, i, got, o.cell)
			}
			if reads++; got != cells[o.cell] {
				late++
			}
		}
		m.ok(m.DevicePrimaryCtxRelease(0))
	}
	if late*10 < reads {
		t.Errorf("%d of %d reads differ from what work done at once gives", late, reads)
	}
}

// lateProgram is a program of two streams that may lack a wait, and whether it gave
// the right result.
type lateProgram struct {
	name string
	run  func(e *env, mistake bool) (right bool)
}

var latePrograms = []lateProgram{
	{"a stream reads what another writes", func(e *env, mistake bool) bool {
		a, b, ev, x, y := e.stream(), e.stream(), e.event(), e.alloc(4), e.alloc(4)
		e.ok(e.MemsetD32Async(x, 7, 1, a))
		e.ok(e.EventRecord(ev, a))
		if !mistake {
			e.ok(e.StreamWaitEvent(b, ev, 0))
		}
		e.ok(e.MemcpyDtoDAsync(y, x, 4, b))
		e.ok(e.StreamSynchronize(b))
		return download[uint32](e, y, 1)[0] == 7
	}},
	{"a stream overwrites what another reads", func(e *env, mistake bool) bool {
		a, b, ev, x, y := e.stream(), e.stream(), e.event(), upload(e, []uint32{7}), e.alloc(4)
		e.ok(e.CtxSynchronize())
		e.ok(e.MemcpyDtoDAsync(y, x, 4, a))
		e.ok(e.EventRecord(ev, a))
		if !mistake {
			e.ok(e.StreamWaitEvent(b, ev, 0))
		}
		e.ok(e.MemsetD32Async(x, 8, 1, b))
		e.ok(e.StreamSynchronize(b))
		e.ok(e.StreamSynchronize(a))
		return download[uint32](e, y, 1)[0] == 7
	}},
	{"a stream waits for an event's record of before", func(e *env, mistake bool) bool {
		a, b, ev, x, y := e.stream(), e.stream(), e.event(), e.alloc(4), e.alloc(4)
		e.ok(e.EventRecord(ev, a))
		if mistake {
			e.ok(e.StreamWaitEvent(b, ev, 0))
		}
		e.ok(e.MemsetD32Async(x, 7, 1, a))
		e.ok(e.EventRecord(ev, a))
		if !mistake {
			e.ok(e.StreamWaitEvent(b, ev, 0))
		}
		e.ok(e.MemcpyDtoDAsync(y, x, 4, b))
		e.ok(e.StreamSynchronize(b))
		return download[uint32](e, y, 1)[0] == 7
	}},
	{"the host refills pinned memory", func(e *env, mistake bool) bool {
		a, x := e.stream(), e.alloc(4)
		host := (*uint32)(must[unsafe.Pointer](e)(e.MemHostAlloc(4, 0)))
		*host = 7
		e.ok(e.MemcpyHtoDAsync(x, unsafe.Pointer(host), 4, a))
		if !mistake {
			e.ok(e.StreamSynchronize(a))
		}
		*host = 8
		e.ok(e.StreamSynchronize(a))
		return download[uint32](e, x, 1)[0] == 7
	}},
	{"the host reads pinned memory", func(e *env, mistake bool) bool {
		a, x := e.stream(), upload(e, []uint32{7})
		e.ok(e.CtxSynchronize())
		host := (*uint32)(must[unsafe.Pointer](e)(e.MemHostAlloc(4, 0)))
		e.ok(e.MemcpyDtoHAsync(unsafe.Pointer(host), x, 4, a))
		if !mistake {
			e.ok(e.StreamSynchronize(a))
		}
		return *host == 7
	}},
	{"a synchronous copy before another stream's work", func(e *env, mistake bool) bool {
		a, y := e.stream(), e.alloc(4)
		x := upload(e, []uint32{7}) // which returns when pageable memory is staged
		if !mistake {
			e.ok(e.StreamSynchronize(0))
		}
		e.ok(e.MemcpyDtoDAsync(y, x, 4, a))
		e.ok(e.StreamSynchronize(a))
		return download[uint32](e, y, 1)[0] == 7
	}},
	{"the NULL stream and another", func(e *env, mistake bool) bool {
		flags := uint32(abi.StreamDefault)
		if mistake {
			flags = abi.StreamNonBlocking
		}
		a := must[abi.Stream](e)(e.StreamCreateWithPriority(flags, 0))
		x, y := e.alloc(4), e.alloc(4)
		e.ok(e.MemsetD32Async(x, 7, 1, a))
		e.ok(e.MemcpyDtoDAsync(y, x, 4, 0))
		e.ok(e.MemsetD32Async(x, 8, 1, a))
		e.ok(e.StreamDestroy(a))
		return download[uint32](e, y, 1)[0] == 7
	}},
	{"nodes of a graph", func(e *env, mistake bool) bool {
		a, x, y, z := e.stream(), e.alloc(4), e.alloc(4), e.alloc(4)
		g := must[abi.Graph](e)(e.GraphCreate(0))
		fill := must[abi.GraphNode](e)(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: x, Value: 7, ElementSize: 4, Width: 1, Height: 1}, e.ctx))
		deps := []abi.GraphNode{fill}
		if mistake {
			deps = nil
		}
		must[abi.GraphNode](e)(e.GraphAddMemcpyNode(g, deps, &abi.Memcpy3D{
			SrcMemoryType: abi.MemoryTypeDevice, SrcDevice: x, DstMemoryType: abi.MemoryTypeDevice, DstDevice: y,
			WidthInBytes: 4, Height: 1, Depth: 1,
		}, 0))
		exec := must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
		e.ok(e.GraphLaunch(exec, a))
		e.ok(e.GraphExecDestroy(exec))
		e.ok(e.MemcpyDtoDAsync(z, y, 4, a))
		e.ok(e.StreamDestroy(a)) // the work is done nonetheless
		e.ok(e.CtxSynchronize())
		return download[uint32](e, z, 1)[0] == 7
	}},
	{"memory that another stream allocates and frees", func(e *env, mistake bool) bool {
		a, b, ev, y := e.stream(), e.stream(), e.event(), e.alloc(4)
		x := must[abi.DevicePtr](e)(e.MemAllocAsync(4, a))
		if !mistake {
			e.ok(e.EventRecord(ev, a))
			e.ok(e.StreamWaitEvent(b, ev, 0))
		}
		e.ok(e.MemsetD32Async(x, 7, 1, b))
		if r := e.MemcpyDtoDAsync(y, x, 4, b); r != abi.Success {
			return false
		}
		if !mistake {
			e.ok(e.EventRecord(ev, b))
			e.ok(e.StreamWaitEvent(a, ev, 0))
		}
		if r := e.MemFreeAsync(x, a); r != abi.Success {
			return false
		}
		return e.CtxSynchronize() == abi.Success && download[uint32](e, y, 1)[0] == 7
	}},
}

// TestLateShowsMistakes runs programs with and without a mistake: it must show under
// most seeds, and nothing must without it.
func TestLateShowsMistakes(t *testing.T) {
	const seeds = 100
	for _, p := range latePrograms {
		wrong := 0
		for seed := uint64(1); seed <= seeds; seed++ {
			if !p.run(open(t, Options{Late: seed}), false) {
				t.Errorf("%s: seed %d: wrong without a mistake", p.name, seed)
			}
			if !p.run(open(t, Options{Late: seed}), true) {
				wrong++
			}
		}
		if wrong < seeds/2 {
			t.Errorf("%s: the mistake shows under %d of %d seeds", p.name, wrong, seeds)
		}
		if os.Getenv("GPUARRAY_SIM_LATE") == "" && !p.run(open(t, Options{}), true) && p.name != "the host refills pinned memory" {
			t.Errorf("%s: the mistake shows where work is done at once", p.name)
		}
	}
}

// TestLateProgress asks until work is done, which must not be at once always, and must
// not take long; and gives work that nobody waits for without end.
func TestLateProgress(t *testing.T) {
	refused, most := 0, 0
	for seed := uint64(1); seed <= 50; seed++ {
		e := open(t, Options{Late: seed})
		a, ev, x := e.stream(), e.event(), e.alloc(4)
		for k := range uint32(20) {
			e.ok(e.MemsetD32Async(x, k, 1, a))
		}
		e.ok(e.EventRecord(ev, a))
		for _, ask := range []func() abi.Result{
			func() abi.Result { return e.EventQuery(ev) },
			func() abi.Result { e.ok(e.MemsetD32Async(x, 99, 1, a)); return e.StreamQuery(a) },
		} {
			n := 0
			for r := ask(); r != abi.Success && n < 100; r = ask() {
				e.want(r, abi.ErrorNotReady)
				n++
			}
			refused, most = refused+n, max(most, n)
		}
		for range 3 * queueDepth {
			e.ok(e.MemsetD32Async(x, 1, 1, a))
		}
		if n := len(e.late.pending); n > queueDepth+1 {
			t.Errorf("seed %d: %d tasks are pending", seed, n)
		}
	}
	if refused < 50 || most > 10 {
		t.Errorf("%d queries of 100 ends were refused, at most %d in a row", refused, most)
	}
}

// TestLateFaults has a kernel do wrong, which shows at a call that waits for it, or
// sooner, and not at the launch; what comes after it is not done.
func TestLateFaults(t *testing.T) {
	later := 0
	for seed := uint64(1); seed <= 20; seed++ {
		e := open(t, Options{Late: seed})
		f := e.kernel(saxpyPTX, "saxpy")
		a, x := e.stream(), upload(e, make([]float32, 8))
		e.ok(e.CtxSynchronize())
		e.ok(e.launch1(f, 1, 32, a, ptr(uint32(32)), ptr(float32(1)), ptr(x), ptr(x)))
		if r := e.MemsetD8Async(x, 1, 32, a); r == abi.Success {
			later++
		}
		e.want(e.StreamSynchronize(a), abi.ErrorIllegalAddress)
		e.want(e.CtxSynchronize(), abi.ErrorIllegalAddress)
		if e.FaultReport() == "" {
			t.Errorf("seed %d: no report", seed)
		}
		if b, err := e.mem.Slice(uint64(x), 1); err != nil || b[0] != 0 {
			t.Errorf("seed %d: what follows a fault was done", seed)
		}
	}
	if later < 5 {
		t.Errorf("%d of 20 faults show later than at the next call", later)
	}
}

// TestLateTimes has events' times be those of the device's getting there.
func TestLateTimes(t *testing.T) {
	refused := 0
	for seed := uint64(1); seed <= 20; seed++ {
		e := open(t, Options{Late: seed})
		s, a, b := e.stream(), e.event(), e.event()
		e.ok(e.EventRecord(a, s))
		e.ok(e.EventRecord(b, s))
		if _, r := e.EventElapsedTime(a, b); r != abi.Success {
			e.want(r, abi.ErrorNotReady)
			refused++
		}
		e.ok(e.EventSynchronize(b))
		if ms := must[float32](e)(e.EventElapsedTime(a, b)); ms < 0 {
			t.Errorf("%v ms between records", ms)
		}
	}
	if refused == 0 {
		t.Error("no event was ever on its way")
	}
}
