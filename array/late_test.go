package array

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// This file runs random programs of several streams on a device whose work runs as
// late as CUDA allows (sim.Options.Late), and on the host: a wait that this package
// forgets between streams, memory that it gives away or overwrites too early, and a
// buffer that it fills or reads while a copy needs it, show as wrong values.

// lateArray is an array of a program and what it must hold.
type lateArray struct {
	name string
	real *Array[int32]
	data []int32
	bad  bool // a Take with an index out of range is among what it was computed from
}

// lateGraph is a graph of a program: it adds the cumulative sums of the cumulative sums
// of x, and the sum of y, to y, and keeps the difference of what both were in out.
type lateGraph struct {
	real      *Graph
	on        *Device
	x, y, out *lateArray
	begun     bool
}

// lateProgram is a random program under way.
type lateProgram struct {
	*testing.T
	rng     *rand.Rand
	devices []*Device
	live    []*lateArray
	graphs  []*lateGraph
	log     []string
}

// lateSizes are numbers of elements: in one block of the allocator, in as much as two
// of those, in more than one block of a kernel, and in a large buffer for copies.
var lateSizes = []int{1, 16, 200, 4000, 20_000}

func openLate(t *testing.T, seed uint64) *Device {
	t.Helper()
	d, err := openAPI(sim.New(sim.Options{Late: seed, Workers: 1}))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestLatePrograms(t *testing.T) {
	first, programs := rand.Uint64N(1<<63)+1, uint64(12)
	if testing.Short() {
		programs = 4
	}
	for seed := first; seed < first+programs; seed++ {
		d := openLate(t, seed)
		p := newLateProgram(t, seed, d, d)
		p.run(80)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("seed %d:\n%s", seed, strings.Join(p.log, "\n"))
		}
	}
}

// TestLateProgramsOfManyGoroutines runs programs that share the device's memory, and
// its staging buffers and status cells, and nothing else.
func TestLateProgramsOfManyGoroutines(t *testing.T) {
	seed := rand.Uint64N(1<<63) + 1
	d := openLate(t, seed)
	var wg sync.WaitGroup
	logs := make([]string, 4)
	for k := range logs {
		wg.Go(func() {
			f, err := d.Fork()
			if err != nil {
				t.Error(err)
				return
			}
			p := newLateProgram(t, seed+uint64(k), f)
			p.run(60)
			logs[k] = strings.Join(p.log, "\n")
		})
	}
	wg.Wait()
	if err := d.Close(); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("seed %d:\n%s", seed, strings.Join(logs, "\n\n"))
	}
}

// newLateProgram makes a program on devices and two forks.
func newLateProgram(t *testing.T, seed uint64, devices ...*Device) *lateProgram {
	p := &lateProgram{T: t, rng: rand.New(rand.NewPCG(seed, 0)), devices: devices}
	for range 2 {
		f, err := devices[0].Fork()
		if err != nil {
			t.Error(err)
			continue
		}
		p.devices = append(p.devices, f)
	}
	return p
}

// run does so many steps and looks at all that is left.
func (p *lateProgram) run(steps int) {
	for range steps {
		if p.step(); p.Failed() {
			return
		}
	}
	for _, a := range p.live {
		p.compare(a)
	}
	for _, g := range p.graphs {
		p.check("Graph.Close", g.real.Close())
	}
}

func (p *lateProgram) check(what string, err error) {
	if err != nil {
		p.Errorf("%s: %v", what, err)
	}
}

func (p *lateProgram) logf(format string, args ...any) {
	p.log = append(p.log, fmt.Sprintf(format, args...))
}

// add notes a new array.
func (p *lateProgram) add(real *Array[int32], data []int32, bad bool, format string, args ...any) *lateArray {
	a := &lateArray{name: fmt.Sprintf("a%d", len(p.log)), real: real, data: data, bad: bad}
	p.live = append(p.live, a)
	p.logf("%s = %s", a.name, fmt.Sprintf(format, args...))
	return a
}

// pick returns an array and another of its size, which may be the same.
func (p *lateProgram) pick() (a, b *lateArray) {
	a = p.live[p.rng.IntN(len(p.live))]
	for range 10 {
		if b = p.live[p.rng.IntN(len(p.live))]; len(b.data) == len(a.data) {
			return a, b
		}
	}
	return a, a
}

// mapped is f of each element of x and y.
func mapped(x, y *lateArray, f func(x, y int32) int32) []int32 {
	z := make([]int32, len(x.data)) // that of y is as long
	for i := range z {
		z[i] = f(x.data[i], y.data[i])
	}
	return z
}

func cumulated(x []int32) []int32 {
	z, sum := make([]int32, len(x)), int32(0)
	for i := range z {
		sum += x[i]
		z[i] = sum
	}
	return z
}

// step does one thing at random, on a random stream.
func (p *lateProgram) step() {
	k := p.rng.IntN(len(p.devices))
	d := p.devices[k]
	if len(p.live) < 3 || p.rng.IntN(8) == 0 {
		p.create(d, k)
		return
	}
	a, b := p.pick()
	x, y := a.real.On(d), b.real.On(d)
	switch p.rng.IntN(29) {
	case 0, 1, 2:
		z := p.add(x.Add(y), mapped(a, b, func(x, y int32) int32 { return x + y }), a.bad || b.bad, "%s + %s on %d", a.name, b.name, k)
		if p.rng.IntN(2) == 0 {
			z.real.Eval()
		}
	case 3, 4:
		p.logf("%s = %s - 3*%s on %d", a.name, a.name, b.name, k)
		p.check("Assign", x.Assign(x.Sub(y.MulScalar(3))))
		a.data, a.bad = mapped(a, b, func(x, y int32) int32 { return x - 3*y }), a.bad || b.bad
	case 5, 6:
		p.logf("%s = %s on %d", a.name, b.name, k)
		p.check("Assign", x.Assign(y))
		a.data, a.bad = b.data, b.bad
	case 7:
		v := p.rng.Int32N(1000)
		p.logf("%s.Fill(%d) on %d", a.name, v, k)
		p.check("Fill", x.Fill(v))
		a.data, a.bad = slices.Repeat([]int32{v}, len(a.data)), false
	case 8, 9:
		p.add(x.CumSum(0).Eval(), cumulated(a.data), a.bad, "%s.CumSum on %d", a.name, k)
	case 10, 11:
		sum := cumulated(a.data)
		p.add(x.Sum().Reshape(1).Eval(), sum[len(sum)-1:], a.bad, "%s.Sum on %d", a.name, k)
	case 12:
		p.take(d, k, a)
	case 13, 14, 22, 23, 24:
		p.graph(d, k, a, b)
	case 15, 16:
		p.compare(a)
	case 17:
		p.free(a)
	case 18, 25, 26:
		p.half(d, k, a, b)
	case 19, 20, 21:
		p.handOver(d, k, a)
	case 27:
		if n := len(a.data) / 2; n > 0 {
			p.add(Concat(0, x.Slice(R(n, End)), y.Slice(R(0, n))), slices.Concat(a.data[n:], b.data[:n]), a.bad || b.bad, "half of %s and half of %s on %d", a.name, b.name, k)
		}
	default:
		p.other(d, k)
	}
}

// handOver has streams write, and perhaps read, arrays that are freed at once, and
// another do what takes their memory: for an array, or for what a kernel needs on the
// way.
func (p *lateProgram) handOver(d *Device, k int, a *lateArray) {
	any := func() (*Device, int) { k := p.rng.IntN(len(p.devices)); return p.devices[k], k }
	var gone []*lateArray
	for range 2 {
		data := make([]int32, 16)
		for i := range data {
			data[i] = p.rng.Int32()
		}
		from, at := any()
		gone = append(gone, p.add(FromSlice(from, data), data, false, "FromSlice of 16 on %d", at))
	}
	for _, x := range gone {
		if p.rng.IntN(3) > 0 {
			to, at := any()
			p.add(x.real.On(to).Neg().Eval(), mapped(x, x, func(x, _ int32) int32 { return -x }), false, "-%s on %d", x.name, at)
		}
	}
	for _, x := range gone {
		p.free(x)
	}
	if p.rng.IntN(2) == 0 {
		v := p.rng.Int32()
		p.add(Full(d, v, 200), slices.Repeat([]int32{v}, 200), false, "Full(%d, 200) on %d", v, k)
		return
	}
	sum := cumulated(a.data)
	p.add(a.real.On(d).Sum().Reshape(1).Eval(), sum[len(sum)-1:], a.bad, "%s.Sum on %d", a.name, k)
}

// create makes an array of random elements, by a copy, or of a constant.
func (p *lateProgram) create(d *Device, k int) {
	data := make([]int32, lateSizes[p.rng.IntN(len(lateSizes))])
	if p.rng.IntN(3) == 0 {
		v := p.rng.Int32()
		p.add(Full(d, v, len(data)), slices.Repeat([]int32{v}, len(data)), false, "Full(%d, %d) on %d", v, len(data), k)
		return
	}
	for i := range data {
		data[i] = p.rng.Int32()
	}
	p.add(FromSlice(d, data, len(data)), slices.Clone(data), false, "FromSlice of %d on %d", len(data), k)
	clear(data) // which may be changed at once
}

// take gathers elements, one of which may not exist.
func (p *lateProgram) take(d *Device, k int, a *lateArray) {
	indices, want, bad := make([]int64, 3), make([]int32, 3), p.rng.IntN(4) == 0
	for i := range indices {
		indices[i] = p.rng.Int64N(int64(len(a.data)))
		want[i] = a.data[indices[i]]
	}
	if bad {
		indices[2] = int64(len(a.data))
	}
	p.add(a.real.On(d).Take(FromSlice(d, indices), 0), want, a.bad || bad, "%s.Take(%v) on %d", a.name, indices, k)
}

// graph captures a graph, or launches or closes one.
func (p *lateProgram) graph(d *Device, k int, a, b *lateArray) {
	if a == b {
		return
	}
	if len(p.graphs) < 2 {
		g := &lateGraph{on: d, x: a, y: b}
		var out *Array[int32]
		var err error
		g.real, err = d.Capture(func(c *Device) error {
			x, y := a.real.On(c), b.real.On(c)
			sums, total := x.CumSum(0).CumSum(0), y.Sum()
			out = x.Sub(y).Keep()
			return y.Assign(y.Add(sums).Add(total))
		})
		if p.check("Capture", err); err == nil {
			g.out = &lateArray{real: out}
			p.graphs = append(p.graphs, g)
			p.logf("graph of %s and %s on %d", a.name, b.name, k)
		}
		return
	}
	i := p.rng.IntN(len(p.graphs))
	g := p.graphs[i]
	if p.rng.IntN(6) == 0 {
		p.logf("close the graph of %s and %s", g.x.name, g.y.name)
		p.check("Graph.Close", g.real.Close())
		p.graphs = slices.Delete(p.graphs, i, i+1)
		return
	}
	p.logf("launch the graph of %s and %s", g.x.name, g.y.name)
	p.check("Launch", g.real.Launch())
	sums, totals := &lateArray{data: cumulated(cumulated(g.x.data))}, cumulated(g.y.data)
	total := totals[len(totals)-1]
	g.out.data = mapped(g.x, g.y, func(x, y int32) int32 { return x - y })
	g.y.data = mapped(g.y, sums, func(y, sum int32) int32 { return y + sum + total })
	g.y.bad = g.x.bad || g.y.bad
	if g.out.bad = g.y.bad; !g.begun {
		g.out.name = fmt.Sprintf("out of %s and %s", g.x.name, g.y.name)
		p.live, g.begun = append(p.live, g.out), true
	}
}

// half assigns to a part of an array, which expressions in several steps may still read:
// those are left its memory.
func (p *lateProgram) half(d *Device, k int, a, b *lateArray) {
	n := len(a.data) / 2
	if p.rng.IntN(2) == 0 {
		at := p.rng.IntN(len(p.devices))
		x, y := a.real.On(p.devices[at]), b.real.On(p.devices[at])
		p.add(x.Add(y).Add(x).Add(y), mapped(a, b, func(x, y int32) int32 { return 2*x + 2*y }), a.bad || b.bad, "%s + %s, twice, on %d", a.name, b.name, at)
	}
	p.logf("half of %s = half of %s on %d", a.name, b.name, k)
	p.check("Assign", a.real.On(d).Slice(R(0, n)).Assign(b.real.On(d).Slice(R(n, 2*n))))
	data := slices.Clone(a.data)
	copy(data, b.data[n:2*n])
	a.data, a.bad = data, a.bad || b.bad && n > 0
}

// other waits for streams, gives memory back, and lets forks go.
func (p *lateProgram) other(d *Device, k int) {
	switch p.rng.IntN(4) {
	case 0:
		p.logf("Sync on %d", k)
		p.check("Sync", d.Sync())
	case 1:
		p.logf("Trim")
		p.check("Trim", d.Trim(0))
	case 2:
		p.logf("collection")
		runtime.GC()
	default: // arrays of the fork stay
		last := len(p.devices) - 1
		if fork := p.devices[last]; !slices.ContainsFunc(p.graphs, func(g *lateGraph) bool { return g.on == fork }) {
			p.logf("another fork for %d", last)
			p.check("Close", fork.Close())
			f, err := p.devices[0].Fork()
			p.check("Fork", err)
			p.devices[last] = f
		}
	}
}

// free gives an array back, unless a graph is to write it.
func (p *lateProgram) free(a *lateArray) {
	if slices.ContainsFunc(p.graphs, func(g *lateGraph) bool { return g.x == a || g.y == a || g.out == a }) {
		return
	}
	p.logf("%s.Free", a.name)
	a.real.Free()
	p.live = slices.DeleteFunc(p.live, func(b *lateArray) bool { return a == b })
}

// compare reads an array.
func (p *lateProgram) compare(a *lateArray) {
	p.logf("read %s", a.name)
	got, err := a.real.On(p.devices[p.rng.IntN(len(p.devices))]).ToSlice()
	switch {
	case a.bad != errors.Is(err, ErrIndex) || !a.bad && err != nil:
		p.Errorf("%s: %v; an index out of range: %v", a.name, err, a.bad)
	case !a.bad && !slices.Equal(got, a.data):
		i := 0
		for got[i] == a.data[i] {
			i++
		}
		p.Errorf("%s of %d has %d at %d, want %d", a.name, len(got), got[i], i, a.data[i])
	}
}

// TestLateReadOfNothing reads no elements of an array that is still being written. That
// waits for nothing, and other streams wait for the write as before.
func TestLateReadOfNothing(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		x := Zeros[int32](f, 1000)
		y := x.On(d)
		if err := y.Fill(7); err != nil {
			t.Fatal(err)
		}
		if none := values(t, y.Slice(R(5, 5))); len(none) != 0 {
			t.Errorf("no elements are %v", none)
		}
		if got := values(t, x); got[0] != 7 || got[999] != 7 {
			t.Errorf("seed %d: a stream reads %d … %d, before the other has written 7", seed, got[0], got[999])
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateReadThatFails has a read fail before it waits for anything: other streams wait
// for the write before it as before.
func TestLateReadThatFails(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		api := abitest.Wrap(sim.New(sim.Options{Late: seed, Workers: 1}))
		d, err := openAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		x := Zeros[int32](f, 1000)
		y := x.On(d)
		if err := y.Fill(7); err != nil {
			t.Fatal(err)
		}
		api.Inject(abitest.Fault{Method: "MemcpyDtoHAsync", Nth: 1, Result: abi.ErrorUnknown})
		if _, err := y.ToSlice(); !errors.Is(err, driver.ErrorUnknown) {
			t.Errorf("the read that fails: %v", err)
		}
		api.Heal()
		if got := values(t, x); got[0] != 7 || got[999] != 7 {
			t.Errorf("seed %d: a stream reads %d … %d, before the other has written 7", seed, got[0], got[999])
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateShared has kernels store what they compute on the way, for expressions of
// other streams.
func TestLateShared(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "") // what is freed is used again
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		x, y := Arange[float32](d, 0, 600, 1), Full[float32](f, 2, 600)
		old := Ones[float32](f, 600)
		guard := Ones[float32](f, 600)                          // so that what is freed stays a block of its own
		if err := errors.Join(d.Sync(), f.Sync()); err != nil { // a wait for what is written here would be one for the read too
			t.Fatal(err)
		}
		sum := old.AddScalar(1).Eval() // the fork may still read what is stored over
		address := old.node.store.block.address
		old.Free()
		e := x.Mul(y.On(d)).AddScalar(1).Sqrt().Exp().Log().Square()
		first, second := e.AddScalar(1), e.AddScalar(2) // on one stream, as On evaluates
		before := d.Stats().Launches
		first.Eval()
		if s := e.node.store; s == nil || s.block.address != address || d.Stats().Launches != before+1 {
			t.Fatal("what both use is not stored besides, where the test needs it")
		}
		runtime.KeepAlive(guard)
		other := e.On(f).Sub(y)
		for what, c := range map[string]struct {
			got  *Array[float32]
			want float32
		}{"the first": {first, 4}, "the second": {second, 5}, "what both use": {e, 3}, "a third": {other, 1}, "the sum": {sum, 2}} {
			if v, err := c.got.At(1); err != nil || v < c.want-0.001 || v > c.want+0.001 {
				t.Errorf("seed %d: %s is %v, %v; want %v", seed, what, v, err, c.want)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateScratch has a kernel use memory on the way that another stream reads.
func TestLateScratch(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "") // what is freed is used again
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		var small [4]*Array[int32] // each a block; two stay, so that the others are not joined
		for k := range small {
			small[k] = Ones[int32](d, 16)
		}
		y := Ones[int32](d, 4000)
		if err := d.Sync(); err != nil {
			t.Fatal(err)
		}
		neg := small[0].On(f).Neg().Eval()
		small[0].Free() // what is freed first is taken last: after the sum's own memory
		small[2].Free()
		sum := y.Sum().Eval()
		v, err := sum.Item()
		if got, err1 := neg.At(0); v != 4000 || got != -1 || err != nil || err1 != nil {
			t.Errorf("seed %d: the sum is %d, %v; what was freed, negated, is %d, %v", seed, v, err, got, err1)
		}
		runtime.KeepAlive(small)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateTickets has tickets take memory that another stream reads, and give theirs
// to another stream while kernels still use it.
func TestLateTickets(t *testing.T) {
	t.Setenv("GPUARRAY_NO_CACHE", "") // what is freed is used again
	const n = minTickets / 4
	for seed := uint64(1); seed <= 20; seed++ {
		d := openLate(t, seed)
		f, err := d.Fork()
		if err != nil {
			t.Fatal(err)
		}
		x, y := Full[int32](d, 3, n), Full[int32](f, 5, n)
		var small [8]*Array[int32] // half of them stay, so that the others are not joined
		for k := range small {
			small[k] = Ones[int32](d, 1)
		}
		if err := errors.Join(d.Sync(), f.Sync()); err != nil {
			t.Fatal(err)
		}
		for k := 0; k < len(small); k += 2 { // for what else the sums need
			small[k].Free()
		}
		neg := x.Neg().Eval()
		address := x.node.store.block.address
		x.Free()
		sum := y.Sum().Eval()
		if f.stream.tickets.address != address {
			t.Fatal("the tickets are not where the test needs them")
		}
		again := y.Sum().Eval()
		d.sh.mu.Lock()
		err = f.stream.needTickets(d.sh, minTickets+1)
		d.sh.mu.Unlock()
		if err != nil {
			t.Fatal(err)
		}
		full := Full[int32](d, 7, n)
		if full.node.store.block.address != address {
			t.Fatal("what was freed last is not where the tickets were")
		}
		runtime.KeepAlive(small)
		last := y.Sum().Eval()
		for what, c := range map[string]struct {
			got  *Array[int32]
			want int32
		}{"what was freed, negated": {neg.Sum(), -3 * n}, "the first sum": {sum, 5 * n}, "the second": {again, 5 * n}, "the last": {last, 5 * n}, "what took the tickets": {full.Sum(), 7 * n}} {
			if v, err := c.got.Item(); v != c.want || err != nil {
				t.Errorf("seed %d: %s is %d, %v; want %d", seed, what, v, err, c.want)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestLateStatusRounds uses more status cells than there are, from several streams.
func TestLateStatusRounds(t *testing.T) {
	for seed := uint64(1); seed <= 4; seed++ {
		d, rng := openLate(t, seed), rand.New(rand.NewPCG(seed, 0))
		devices := []*Device{d}
		for range 2 {
			f, err := d.Fork()
			if err != nil {
				t.Fatal(err)
			}
			devices = append(devices, f)
		}
		x := Arange[int32](d, 0, 5, 1)
		indices := [2]*Array[int64]{FromSlice(d, []int64{1, 2}), FromSlice(d, []int64{1, 5})}
		type taken struct {
			array *Array[int32]
			bad   int
		}
		var all []taken
		for range 3 * statusCells {
			on, bad := devices[rng.IntN(3)], rng.IntN(5)/4
			all = append(all, taken{x.On(on).Take(indices[bad], 0), bad})
			if rng.IntN(8) == 0 {
				a := all[rng.IntN(len(all))]
				if err := ignoring(a.array.ToSlice()); (a.bad == 1) != errors.Is(err, ErrIndex) {
					t.Errorf("seed %d: %v of a bad index: %d", seed, err, a.bad)
				}
			}
		}
		for i, a := range all {
			got, err := a.array.On(devices[rng.IntN(3)]).ToSlice()
			if (a.bad == 1) != errors.Is(err, ErrIndex) || a.bad == 0 && !slices.Equal(got, []int32{1, 2}) {
				t.Errorf("seed %d, %d: %v, %v of a bad index: %d", seed, i, got, err, a.bad)
			}
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}
