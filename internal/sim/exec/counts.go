package exec

import (
	"cmp"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Counts of what accesses to memory would cost on hardware. Shared memory has 32
// banks of 4 bytes, and gives each bank's word to all lanes that want it: an
// access takes as many wavefronts as there are different words in one bank.
// Accesses of 8 and 16 bytes a lane go by half and quarter warps. Atomic
// operations of several lanes on a word go one after another. Global memory moves
// whole sectors of 32 bytes.
//
// The least possible is what the best addresses for the same lanes would take:
// one wavefront for each part of a warp with an active lane, and the sectors that
// hold as many bytes as the lanes want, each counted once.

// A Counter adds up what the launches that are given it do. Its zero value is
// ready; several launches may use it at a time.
type Counter struct {
	mu    sync.Mutex
	lines map[countAt]*Count
	lanes uint64
}

type countAt struct {
	kernel *Kernel
	place  int32
	shared bool
}

// Count is what one instruction did to shared memory, or to global memory.
type Count struct {
	Kernel   string
	Pos      ptx.Pos // of the instruction in the PTX text
	Instr    string
	Shared   bool   // Cost and Least are wavefronts, else sectors of 32 bytes
	Accesses uint64 // how often a warp executed it
	Cost     uint64
	Least    uint64 // the cost that the best addresses would have had
}

// Waste is what better addresses would save.
func (c *Count) Waste() uint64 { return c.Cost - c.Least }

// Lanes returns how many instructions the launches executed, each counted for
// every lane that took part: decoded ones, of which a PTX instruction may be
// several or none.
func (c *Counter) Lanes() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lanes
}

// Counts returns what was counted, the most waste first.
func (c *Counter) Counts() []Count {
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Count
	for _, n := range c.lines {
		list = append(list, *n)
	}
	slices.SortFunc(list, func(a, b Count) int {
		return cmp.Or(cmp.Compare(b.Waste(), a.Waste()), cmp.Compare(a.Kernel, b.Kernel),
			cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col), cmp.Compare(a.Instr, b.Instr))
	})
	return list
}

// Write prints the counts as a table.
func (c *Counter) Write(w io.Writer) error {
	list := c.Counts()
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no accesses to shared or global memory")
		return err
	}
	_, err := fmt.Fprintf(w, "%12s %12s %12s %12s %-10s %6s  %s\n", "accesses", "cost", "least", "waste", "unit", "line", "kernel: instruction")
	for i := range list {
		n := &list[i]
		unit := "sectors"
		if n.Shared {
			unit = "wavefronts"
		}
		if err == nil {
			_, err = fmt.Fprintf(w, "%12d %12d %12d %12d %-10s %6d  %s: %s\n", n.Accesses, n.Cost, n.Least, n.Waste(), unit, n.Pos.Line, n.Kernel, n.Instr)
		}
	}
	return err
}

// tally is a worker's share of the counts.
type tally struct {
	places [][2]struct{ accesses, cost, least uint64 } // by place; [1] is shared memory
	lanes  uint64
}

// count prepares the members of a cluster for a launch.
func (c *cluster) count(o Options) {
	for _, x := range c.members {
		x.counts = nil
		if o.Counts != nil {
			x.counts = &tally{places: make([][2]struct{ accesses, cost, least uint64 }, len(x.k.code.places))}
		}
	}
}

// counted hands what the members counted to the launch's counter.
func (c *cluster) counted(o Options) {
	if o.Counts == nil {
		return
	}
	o.Counts.mu.Lock()
	defer o.Counts.mu.Unlock()
	if o.Counts.lines == nil {
		o.Counts.lines = map[countAt]*Count{}
	}
	for _, x := range c.members {
		o.Counts.add(x.k, x.counts)
		x.counts = nil
	}
}

func (c *Counter) add(k *Kernel, t *tally) {
	c.lanes += t.lanes
	for i, spaces := range t.places {
		for j, n := range spaces {
			if n.accesses == 0 {
				continue
			}
			at := countAt{k, int32(i), j == 1}
			sum := c.lines[at]
			if sum == nil {
				p := k.code.places[i]
				sum = &Count{Kernel: k.Name, Pos: p.pos, Instr: k.code.text[p.from:p.to], Shared: j == 1}
				c.lines[at] = sum
			}
			sum.Accesses += n.accesses
			sum.Cost += n.cost
			sum.Least += n.least
		}
	}
}

// countLanes counts a straight run of n instructions.
func (x *ctx) countLanes(n int32) {
	lanes := x.n
	if !x.full {
		lanes = bits.OnesCount32(x.mask)
	}
	x.counts.lanes += uint64(n) * uint64(lanes)
}

// count counts an access of the view, whose addresses are in x.addrs.
func (x *ctx) count(in *inst) {
	for w := 0; w < x.n; w += 32 {
		x.countWarp(in, (*[32]uint64)(x.addrs[w:]), x.mask, in.mem)
	}
}

// countWarp counts an access of a warp's lanes. Memory other than shared and
// global is not counted.
func (x *ctx) countWarp(in *inst, addrs *[32]uint64, mask uint32, m *memOp) {
	if mask == 0 || m.part {
		return
	}
	first := addrs[bits.TrailingZeros32(mask)&31]
	n := &x.counts.places[in.place]
	switch {
	case m.space == ptx.SharedSpace, m.space == ptx.GenericSpace && first-sharedWindow < windowBytes:
		cost, least := wavefronts(addrs, mask, m.bytes, m.update != nil)
		n[1].accesses, n[1].cost, n[1].least = n[1].accesses+1, n[1].cost+cost, n[1].least+least
	case m.space == ptx.GlobalSpace, m.space == ptx.GenericSpace && first >= globalBase:
		cost, least := sectors(addrs, mask, m.bytes)
		n[0].accesses, n[0].cost, n[0].least = n[0].accesses+1, n[0].cost+cost, n[0].least+least
	}
}

// countPlaces counts an access whose addresses are not in x.addrs: those of in,
// which belongs to the instruction from, in the active lanes that use theirs.
func (x *ctx) countPlaces(from, in *inst, uses func(lane int) bool) {
	for w := 0; w < x.n; w += 32 {
		var addrs [32]uint64
		var mask uint32
		for i := range addrs {
			if x.isActive(i) && uses(w+i) {
				mask |= 1 << i
				addrs[i] = x.get(in.a, in.wide&wideA != 0, w+i) + uint64(in.off)
			}
		}
		x.countWarp(from, &addrs, mask, in.mem)
	}
}

// countedCopyAsync is cp.async, whose two accesses are counted where it is issued.
func countedCopyAsync(x *ctx, in *inst) {
	if x.counts != nil {
		x.countPlaces(in, in, func(int) bool { return true })
		x.countPlaces(in, in.mem.from, func(lane int) bool { return in.b == noSlot || x.get(in.b, false, lane) != 0 })
	}
	copyAsync(x, in)
}

// wavefronts is what an access of shared memory takes.
func wavefronts(addrs *[32]uint64, mask uint32, bytes uint32, atomic bool) (cost, least uint64) {
	lanes := min(32, 128/int(bytes)) // that go together
	for first := 0; first < 32; first += lanes {
		group := uint64(mask) >> first & (1<<lanes - 1)
		if group == 0 {
			continue
		}
		least++
		var seen [32]uint64 // words: at most 128 bytes
		var load [32]uint64 // of each bank
		n := 0
		for ; group != 0; group &= group - 1 {
			a := addrs[first+bits.TrailingZeros64(group)]
			for word := a / 4; word*4 < a+uint64(bytes); word++ {
				if !atomic && slices.Contains(seen[:n], word) {
					continue
				}
				seen[n] = word
				n++
				load[word%32]++
			}
		}
		cost += slices.Max(load[:])
	}
	return cost, least
}

// sectors is what an access of global memory moves. Addresses are multiples of
// bytes, so that an element lies in one sector and two overlap only where they
// are one.
func sectors(addrs *[32]uint64, mask uint32, bytes uint32) (cost, least uint64) {
	elements := make([]uint64, 0, 32)
	for ; mask != 0; mask &= mask - 1 {
		elements = append(elements, addrs[bits.TrailingZeros32(mask)])
	}
	slices.Sort(elements)
	elements = slices.Compact(elements)
	last := uint64(0)
	for _, a := range elements {
		if s := a / 32; s != last {
			cost, last = cost+1, s
		}
	}
	return cost, (uint64(len(elements))*uint64(bytes) + 31) / 32
}
