package exec

import "maps"

// Races in global memory, between blocks as well as within one. The blocks run
// one after another on one worker. What one block did comes before what another
// does only through a fence, an atomic operation at some address, another such
// operation that comes after it at the same address, and a fence.

// globalRaces is what a launch's detector remembers beyond a block.
type globalRaces struct {
	shadows map[*allocBits]*shadow
	last    *allocBits
	lastOf  *shadow
	blocks  uint32               // the greatest number of one
	ids     map[uint32][3]uint32 // the blocks' indices
}

// allocBits identifies an allocation: its regions share their init bits.
type allocBits = uint64

func newGlobalRaces() *globalRaces {
	return &globalRaces{shadows: map[*allocBits]*shadow{}, ids: map[uint32][3]uint32{}}
}

func (g *globalRaces) of(r *region) *shadow {
	key := &r.init[0]
	if key == g.last {
		return g.lastOf
	}
	s := g.shadows[key]
	if s == nil {
		s = new(shadow)
		g.shadows[key] = s
	}
	g.last, g.lastOf = key, s
	return s
}

// syncAt is where threads synchronise by atomic operations: a global address,
// or a place in the shared memory of a block.
type syncAt struct {
	block uint32
	addr  uint64
}

// fence is a fence of some lanes of a warp. Where others have written since the
// lanes last met, it counts for none of what the warp did since.
func (r *races) fence(warp int, lanes uint32) {
	c := &r.warps[warp]
	own := c.fenced[warp]
	c.fenced, c.fences = r.knows(warp, c.fenced), true
	if c.wrote&^lanes != 0 {
		c.fenced[warp] = max(own, c.full)
	}
	r.tick(c)
	if len(c.heard) > 0 {
		c.others = union(c.others, c.heard)
		join(c.seen, c.heard[r.block])
		c.heard = nil
	}
}

// sync is an atomic operation of a warp, which may publish what the warp has
// fenced and hears what others published.
func (r *races) sync(at syncAt, warp, lane int, m *memOp) {
	c := &r.warps[warp]
	if m.release {
		r.fence(warp, 1<<lane)
	}
	if m.update != nil || !m.store {
		c.heard = union(c.heard, r.syncs[at])
	}
	if c.fences && (m.update != nil || m.store) {
		own := known{r.block: append([]uint32(nil), c.fenced...)}
		r.syncs[at] = union(union(r.syncs[at], c.others), own)
	}
	if m.acquire {
		r.fence(warp, 1<<lane)
	}
}

// joinFences joins, at a barrier, what the warps have fenced.
func (r *races) joinFences(warps []int) {
	any := false
	for _, w := range warps {
		any = any || r.warps[w].fences
	}
	if !any {
		return
	}
	fenced := make([]uint32, len(r.warps))
	for _, w := range warps {
		join(fenced, r.warps[w].fenced)
	}
	for _, w := range warps {
		c := &r.warps[w]
		c.fences = true
		copy(c.fenced, fenced)
	}
}

// known is up to when accesses come before something: by block, and in it by warp.
// It is never changed, so that warps can share one.
type known map[uint32][]uint32

// holds reports whether a knows all that b does.
func (a known) holds(b known) bool {
	for block, times := range b {
		have := a[block]
		if have == nil {
			return false
		}
		for i, t := range times {
			if have[i] < t {
				return false
			}
		}
	}
	return true
}

// union joins b into a copy of a.
func union(a, b known) known {
	if a.holds(b) {
		return a
	}
	a = maps.Clone(a)
	if a == nil {
		a = known{}
	}
	for block, times := range b {
		if have := a[block]; have == nil {
			a[block] = times
		} else {
			have = append([]uint32(nil), have...)
			join(have, times)
			a[block] = have
		}
	}
	return a
}

func join(a, b []uint32) {
	for i, t := range b {
		a[i] = max(a[i], t)
	}
}
