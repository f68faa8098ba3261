package array

import (
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// TestGraphRandom draws from generators in a graph, and between its launches: the
// numbers are those of a program that does the same without one.
func TestGraphRandom(t *testing.T) {
	d, api := newRecorded(t)
	r1, r2 := NewRand(d, 5), NewRand(d, 5)
	s1, s2 := r1.Split(), r2.Split()
	draws := func(c *Device, r, s *Rand) (list []*Array[float32]) {
		list = append(list, Uniform[float32](r.On(c), 3), Normal[float32](s.On(c), 1025))
		Uniform[float64](r.On(c), 100) // drawn and not used
		return append(list, Normal[float32](r.On(c), 2, 2), Uniform[float32](r.On(c), 0))
	}
	r1.seq.counter, r2.seq.counter = 0xfffffff0, 0xfffffff0 // the carry between the words of a counter
	var kept []*Array[float32]
	g := capture(t, d, func(c *Device) error {
		for _, a := range draws(c, r2, s2) {
			kept = append(kept, a.Keep())
		}
		return nil
	})
	for i := range 5 {
		if i == 2 { // others draw too
			if got, want := values(t, Uniform[float32](r2, 7)), values(t, Uniform[float32](r1, 7)); !slices.Equal(got, want) {
				t.Errorf("between launches: %v, want %v", got, want)
			}
		}
		counted(api)
		launch(t, g)
		sets := 0
		if i == 0 {
			sets = 4
		} else if i == 2 {
			sets = 2
		}
		if got := counted(api); got["MemsetD32Async"] != sets || got["GraphLaunch"] != 1 {
			t.Errorf("launch %d: calls %v, want %d fills", i, got, sets)
		}
		for k, a := range draws(d, r1, s1) {
			if got, want := values(t, kept[k]), values(t, a); !slices.Equal(got, want) {
				t.Errorf("launch %d, draw %d: %v, want %v", i, k, got, want)
			}
		}
	}
}

// TestGraphClusters captures kernels over rows that clusters of blocks hold, where
// the device has them: the kernels themselves say so, as a graph's nodes do not.
func TestGraphClusters(t *testing.T) {
	d, _ := newRecorded(t)
	x := Normal[float32](NewRand(d, 3), 2, 40_000)
	rows := func(x *Array[float32]) []*Array[float32] {
		return []*Array[float32]{x.Softmax(-1), x.LogSumExp(-1), x.LayerNorm(nil, nil, 1e-5, -1)}
	}
	var kept []*Array[float32]
	g := capture(t, d, func(c *Device) error {
		for _, a := range rows(x.On(c)) {
			kept = append(kept, a.Keep())
		}
		return nil
	})
	if s := g.String(); d.sh.cc >= 90 && !strings.Contains(s, "graph of 3 kernels") {
		t.Errorf("%s, want one kernel each", s)
	}
	launch(t, g)
	for i, want := range rows(x) {
		if got, want := values(t, kept[i]), values(t, want); !slices.Equal(got, want) {
			t.Errorf("result %d of the graph is not what it is without one", i)
		}
	}
}

// TestGraphOrder launches a graph between work of other streams and expressions: they
// see what they would if the work of the graph had been done in its place.
func TestGraphOrder(t *testing.T) {
	d, api := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	x, w := Ones[float32](d, 100), Full(d, float32(10), 100)
	var y *Array[float32]
	g := capture(t, d, func(c *Device) error {
		y = x.On(c).MulScalar(3).Keep()
		return w.On(c).Assign(w.On(c).Add(x))
	})
	launch(t, g)
	before := w.AddScalar(0.5) // recorded before the second launch, evaluated after it
	beforeY := y.On(f).AddScalar(0.5)
	waits := func(what string, want int, work func()) {
		t.Helper()
		counted(api)
		work()
		if got := counted(api); got["StreamWaitEvent"] != want || got["StreamSynchronize"] != 0 {
			t.Errorf("%s: %d waits, want %d", what, got["StreamWaitEvent"], want)
		}
	}
	waits("a launch evaluates a fork's expression, which waits for the first launch, and waits for that", 2, func() { launch(t, g) })
	waits("a launch after work of its own stream", 0, func() { launch(t, g) })
	waits("a fork reads what the graph writes", 1, func() { w.On(f).AddScalar(1).Eval() })
	waits("a launch overwrites what the fork reads", 1, func() { launch(t, g) })
	waits("a fork reads what the graph reads", 0, func() { x.On(f).AddScalar(1).Eval() })
	waits("a fork overwrites what the graph reads", 1, func() { x.On(f).Fill(2) })
	waits("a launch reads what the fork wrote", 1, func() { launch(t, g) })
	for name, c := range map[string]struct {
		a    *Array[float32]
		want float32
	}{
		"an expression of what the graph overwrote": {before, 11.5}, "a fork's": {beforeY, 3.5}, "what five launches counted": {w, 16}, "what the last one kept": {y, 6},
	} {
		if got := values(t, c.a); got[0] != c.want || got[99] != c.want {
			t.Errorf("%s: %v, want %v", name, got[0], c.want)
		}
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestGraphMemory frees what a graph uses, inside and outside, and closes it.
func TestGraphMemory(t *testing.T) {
	d, _ := newRecorded(t)
	x := FromSlice(d, []float32{1, 2, 3, 4})
	outside := x.MulScalar(2) // evaluated once, when the capture uses it
	var kept, view, lost *Array[float32]
	g := capture(t, d, func(c *Device) error {
		if err := x.Assign(x.MulScalar(1)); err != nil { // not work of the graph
			return err
		}
		y := x.On(c).Add(outside).Eval()
		lost = y.Add(y)
		for range 10 {
			z := y.CumSum(0)
			y.Free()
			y = z
		}
		kept = y.Keep()
		view = kept.Slice(R(0, 2))
		return c.Scope(func(s *Device) error {
			Ones[float32](s, 5).Keep().Keep()
			return nil
		})
	})
	if err := lost.Err(); !errors.Is(err, ErrFreed) || !strings.Contains(err.Error(), "Device.Capture") {
		t.Errorf("what was not kept: %v", err)
	}
	if g.bytes > 4*granule+2*smallLimit {
		t.Errorf("temporaries that follow one another take %d bytes", g.bytes)
	}
	x.Free()
	outside.Free()
	if err := x.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("an operand that was freed: %v", err)
	}
	noise := Full(d, float32(9), 4) // would take the memory
	launch(t, g)
	want := []float32{3, 6, 9, 12}
	for range 10 {
		for i := 1; i < 4; i++ {
			want[i] += want[i-1]
		}
	}
	if got := values(t, kept); !slices.Equal(got, want) {
		t.Errorf("computed from freed operands: %v, want %v", got, want)
	}
	if got := values(t, view); !slices.Equal(got, want[:2]) {
		t.Errorf("a view: %v", got)
	}
	noise.Free()
	kept.Free()
	launch(t, g) // still writes there
	if err := kept.Err(); !errors.Is(err, ErrFreed) {
		t.Errorf("a kept array that was freed: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	runtime.GC()
	if s := d.Stats(); s.Arrays != 0 || s.Used > minTickets {
		t.Errorf("after Close: %+v", s)
	}
	if err := d.Limit("0"); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Capture(func(c *Device) error { return Zeros[float32](c, 64<<20).Keep().Err() }); !errors.Is(err, ErrOutOfMemory) {
		t.Errorf("a graph larger than memory: %v", err)
	}
}

// TestCapturedOutputs keeps what a kernel stores besides a result that nobody needs.
func TestCapturedOutputs(t *testing.T) {
	d, _ := newRecorded(t)
	x := FromSlice(d, []float32{0, 1, 2, 3})
	program := func(c *Device) *Array[float32] {
		shared := x.On(c).Exp().Sin().Tanh().Sigmoid()
		first, second := shared.AddScalar(1), shared.MulScalar(2)
		first.Eval()
		return second.Keep()
	}
	var kept *Array[float32]
	g := capture(t, d, func(c *Device) error {
		kept = program(c)
		return nil
	})
	launch(t, g)
	if got, want := values(t, kept), values(t, program(d)); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestCapturedOutputsOfBadIndices: what a graph's kernel stores besides the result it is for
// is as wrong as that, in the launches that have an index out of range.
func TestCapturedOutputsOfBadIndices(t *testing.T) {
	d, _ := newRecorded(t)
	x, index := FromSlice(d, []float32{0, 1, 2, 3}), FromSlice(d, []int64{3, 2, 1, 0})
	var kept *Array[float32]
	g := capture(t, d, func(c *Device) error {
		shared := x.On(c).Take(index.On(c), 0).Exp().Sin().Tanh().Sigmoid()
		first, second := shared.AddScalar(1), shared.MulScalar(2)
		if err := first.Eval().Err(); err != nil {
			return err
		}
		kept = second.Keep()
		return kept.Err()
	})
	for i, place := range []int64{2, 4, 0} {
		if err := index.Fill(place); err != nil {
			t.Fatal(err)
		}
		launch(t, g)
		if _, err := kept.ToSlice(); errors.Is(err, ErrIndex) != (i == 1) {
			t.Errorf("launched with index %d of 4: %v", place, err)
		}
	}
}

// TestUnreachableGraph shows that a graph that nobody can reach is given back after a
// collection, and what it kept when nobody can reach that.
func TestUnreachableGraph(t *testing.T) {
	d, api := newRecorded(t)
	x := Ones[float32](d, 4)
	var kept *Array[float32]
	g, err := d.Capture(func(c *Device) error {
		kept = x.On(c).Add(x).Eval().Sum().Keep()
		return kept.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	launch(t, g)
	runtime.GC()
	if d.Stats(); api.Live()["executable graph"] != 1 {
		t.Errorf("live: %v, want the graph among it", api.Live())
	}
	runtime.KeepAlive(g)
	runtime.GC()
	if d.Stats(); api.Live()["executable graph"] != 0 {
		t.Errorf("after a collection: %v", api.Live())
	}
	if got := values(t, kept); got[0] != 8 {
		t.Errorf("kept: %v", got)
	}
	runtime.KeepAlive(x)
}

// TestGraphOfAClosedDevice closes devices under graphs.
func TestGraphOfAClosedDevice(t *testing.T) {
	d, _ := newRecorded(t)
	f, err := d.Fork()
	if err != nil {
		t.Fatal(err)
	}
	g, err := f.Capture(keepOne)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(g.Launch(), f.Close()); err != nil {
		t.Error(err)
	}
	if err := g.Launch(); !errors.Is(err, ErrDevice) {
		t.Errorf("Launch on a closed fork: %v", err)
	}
	if _, err := f.Capture(keepOne); !errors.Is(err, ErrDevice) {
		t.Errorf("Capture on a closed fork: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Errorf("Close after the fork's: %v", err)
	}
	other, err := Open(Simulated())
	if err != nil {
		t.Fatal(err)
	}
	if g, err = other.Capture(keepOne); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Capture(func(c *Device) error { Ones[float32](c, 4).Keep(); return other.Close() }); !errors.Is(err, ErrDevice) {
		t.Errorf("a device closed while it was captured: %v", err)
	}
	if err := g.Launch(); !errors.Is(err, ErrDevice) {
		t.Errorf("Launch on a closed device: %v", err)
	}
	if err := g.Close(); err != nil {
		t.Errorf("Close after the device's: %v", err)
	}
}

// TestGraphGoroutines captures from several goroutines, and launches from several.
func TestGraphGoroutines(t *testing.T) {
	d, _ := newRecorded(t)
	counts := make([]*Array[int64], 4)
	for i := range counts {
		counts[i] = Zeros[int64](d, 50)
	}
	g := capture(t, d, func(c *Device) error {
		var wg sync.WaitGroup
		errs := make([]error, len(counts))
		for i, n := range counts {
			wg.Go(func() { errs[i] = n.On(c).Assign(n.On(c).AddScalar(int64(i + 1))) })
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for range 5 {
				if err := g.Launch(); err != nil {
					t.Error(err)
				}
				counts[i].AddScalar(1).Eval()
			}
		})
	}
	wg.Wait()
	for i, n := range counts {
		if got := values(t, n); got[0] != int64(20*(i+1)) {
			t.Errorf("count %d is %d, want %d", i, got[0], 20*(i+1))
		}
	}
}

// TestArrangement looks at what steps wait for, and at which memory blocks share.
func TestArrangement(t *testing.T) {
	rec := new(recording)
	sized := func(granules int) *block { return rec.block(uint64(granules * granule)) }
	a, b, c, d, e, out := sized(4), sized(4), sized(2), sized(2), sized(4), &block{}
	steps := []step{
		{uses: []use{{a, true}}},                           // 0
		{uses: []use{{b, true}}},                           // 1: beside 0
		{uses: []use{{c, true}, {a, false}}},               // 2: after 0
		{uses: []use{{d, true}, {b, false}}},               // 3: after 1
		{uses: []use{{sized(9), true}, {c, false}}},        // nobody needs it
		{uses: []use{{e, true}, {c, false}, {d, false}}},   // 4: after 2 and 3
		{uses: []use{{out, true}, {e, false}, {a, false}}}, // 5: after 4 alone
	}
	got := arrange(steps, nil, false)
	want := [][]int{nil, nil, {0}, {1}, {2, 3}, {4}}
	if len(got.steps) != len(want) {
		t.Fatalf("%d steps, want %d", len(got.steps), len(want))
	}
	for i := range want {
		if !slices.Equal(got.after[i], want[i]) {
			t.Errorf("step %d waits for %v, want %v", i, got.after[i], want[i])
		}
	}
	if len(got.plots) != 1 || got.plots[0].bytes != 12*granule { // e lies where b was: c, d and a are still in use
		t.Fatalf("plots %+v, want one of 12 granules", got.plots)
	}
	places := map[*block]uint64{}
	for _, r := range got.plots[0].residents {
		places[r.block] = r.offset
	}
	if places[e] != places[b] || places[a] == places[b] || places[c] == places[d] {
		t.Errorf("places %v: e is to lie where b was, and what is used at the same time apart", places)
	}
	if apart := arrange(steps, nil, true); len(apart.plots) != 5 {
		t.Errorf("%d plots for 5 blocks that lie apart", len(apart.plots))
	}
}

// TestArrangementOfRandomSteps compares with the plain rules: a step comes after
// another if there is a way from one to the other over steps that use the same block,
// one of them writing it; and blocks that share memory are not used at the same time.
func TestArrangementOfRandomSteps(t *testing.T) {
	r := seeded(t)
	for range 300 {
		rec := new(recording)
		blocks := make([]*block, 2+r.IntN(8))
		for i := range blocks {
			if blocks[i] = rec.block(uint64(1 + r.IntN(4*granule))); i == 0 || r.IntN(4) == 0 {
				blocks[i] = new(block) // from outside
			}
		}
		steps := make([]step, r.IntN(20))
		for i := range steps {
			for range 1 + r.IntN(3) {
				steps[i].use(blocks[r.IntN(len(blocks))], r.IntN(2) == 0)
			}
			steps[i].n = uint64(i)
		}
		a := arrange(steps, nil, false)
		written := map[*block]bool{}
		var sound []step // none reads a block of the recording that nothing has written
		for _, s := range a.steps {
			if slices.ContainsFunc(s.uses, func(u use) bool { return u.block.in != nil && !u.writes && !written[u.block] }) {
				continue // what it writes is not written then
			}
			sound = append(sound, s)
			for _, u := range s.uses {
				written[u.block] = written[u.block] || u.writes
			}
		}
		a = arrange(sound, nil, false)
		checkArrangement(t, a)
	}
}

func checkArrangement(t *testing.T, a *arrangement) {
	t.Helper()
	n := len(a.steps)
	before := make([][]bool, n) // before[j][i]: i is done before j begins
	for j := range n {
		before[j] = make([]bool, n)
		for i := j - 1; i >= 0; i-- {
			conflict := slices.ContainsFunc(a.steps[i].uses, func(u use) bool {
				return slices.ContainsFunc(a.steps[j].uses, func(v use) bool { return u.block == v.block && (u.writes || v.writes) })
			})
			if conflict {
				before[j][i] = true
				for k := range i {
					before[j][k] = before[j][k] || before[i][k]
				}
			}
		}
		reached := make([]bool, n) // by the edges
		for _, i := range a.after[j] {
			if reached[i] {
				t.Fatalf("step %d waits for %v, %d of which is waited for anyway", j, a.after[j], i)
			}
			reached[i] = true
			for k := range i {
				reached[k] = reached[k] || before[i][k]
			}
		}
		if !slices.Equal(reached, before[j]) {
			t.Fatalf("step %d waits for %v, which is %v; want %v", j, a.after[j], reached, before[j])
		}
	}
	uses := func(b *block) (list []int) {
		for i, s := range a.steps {
			if slices.ContainsFunc(s.uses, func(u use) bool { return u.block == b }) {
				list = append(list, i)
			}
		}
		return list
	}
	apart := func(x, y *block) bool { // all uses of x are done before any of y
		return !slices.ContainsFunc(uses(x), func(i int) bool {
			return slices.ContainsFunc(uses(y), func(j int) bool { return !before[j][i] })
		})
	}
	for _, p := range a.plots {
		for i, x := range p.residents {
			if x.offset+x.block.asked > p.bytes {
				t.Fatalf("a block of %d bytes at %d in a plot of %d", x.block.asked, x.offset, p.bytes)
			}
			for _, y := range p.residents[:i] {
				if x.offset < y.offset+y.block.asked && y.offset < x.offset+x.block.asked && !apart(x.block, y.block) && !apart(y.block, x.block) {
					t.Fatalf("blocks share memory that are used at the same time: steps %v and %v", uses(x.block), uses(y.block))
				}
			}
		}
	}
}

// TestUnreachableGraphsHoldMemory has a sweep close graphs, the first of which gives
// memory back that an expression still reads: evaluating that takes a collection, which
// closes the others.
func TestUnreachableGraphsHoldMemory(t *testing.T) {
	d, _ := newRecorded(t)
	if err := d.Limit("12MiB"); err != nil {
		t.Fatal(err)
	}
	const n = 1<<19 - 1<<10
	Ones[float32](d, n).AddScalar(1).Eval() // a missing kernel would put the evaluation off
	runtime.GC()
	var sums []*Array[float32]
	for k := range 4 {
		x := Full(d, float32(k), n)
		if _, err := d.Capture(func(c *Device) error { return x.On(c).Slice(R(0, 1)).Fill(0) }); err != nil {
			t.Fatal(err)
		}
		sums = append(sums, x.AddScalar(1))
		x.Free()
	}
	runtime.GC()
	if err := d.Trim(0); err != nil { // which sweeps
		t.Fatal(err)
	}
	for k, sum := range sums {
		if v, err := sum.At(n / 2); v != float32(k+1) || err != nil {
			t.Errorf("the sum of %d and 1 is %v, %v", k, v, err)
		}
	}
}
