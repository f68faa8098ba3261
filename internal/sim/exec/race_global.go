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

// fences is what the fences of a warp have taken in: up to when accesses come
// before one, by warp.
type fences struct {
	any   bool
	times []uint32
}

const (
	ofBlock = iota // fences whatever their scope
	wider          // those that other blocks see
)

// fence is a fence of some lanes of a warp. Where others have written since the
// lanes last met, it counts for none of what the warp did since.
func (r *races) fence(warp int, lanes uint32, wide bool) {
	c := &r.warps[warp]
	for s := range c.fences {
		if s == wider && !wide {
			break
		}
		f := &c.fences[s]
		own := f.times[warp]
		f.times, f.any = r.knows(warp, f.times), true
		if c.wrote&^lanes != 0 {
			f.times[warp] = max(own, c.full)
		}
		if r.lanes != 0 {
			r.laneKnows(warp, lanes, f.times)
		}
	}
	r.tick(c)
	join(c.seen, c.near)
	c.near = nil
	if wide && len(c.heard) > 0 {
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
		r.fence(warp, 1<<lane, m.others)
	}
	if m.update != nil || !m.store {
		c.heard = union(c.heard, r.syncs[at])
		c.near = joined(c.near, r.near[at])
	}
	if m.update != nil || m.store {
		if f := &c.fences[wider]; f.any {
			own := known{r.block: append([]uint32(nil), f.times...)}
			r.syncs[at] = union(union(r.syncs[at], c.others), own)
		}
		if f := &c.fences[ofBlock]; f.any {
			if r.near == nil {
				r.near = map[syncAt][]uint32{}
			}
			r.near[at] = joined(r.near[at], f.times)
		}
	}
	if m.acquire {
		r.fence(warp, 1<<lane, m.others)
	}
}

// joinFences joins, at a barrier, what the warps have fenced.
func (r *races) joinFences(warps []int) {
	for s := range wider + 1 {
		var all []uint32
		for _, w := range warps {
			if f := &r.warps[w].fences[s]; f.any {
				all = joined(all, f.times)
			}
		}
		if all == nil {
			continue
		}
		for _, w := range warps {
			f := &r.warps[w].fences[s]
			f.any = true
			copy(f.times, all)
		}
	}
}

// joined joins b into a, or into a new clock where a is none.
func joined(a, b []uint32) []uint32 {
	if a == nil {
		return append([]uint32(nil), b...)
	}
	join(a, b)
	return a
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
