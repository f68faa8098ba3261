package exec

import (
	"math/bits"
	"slices"
)

// What a block did to its shared memory since all its warps last met at a
// barrier is most often no matter for a race: warps read what was written before
// they met, or write what none of them has touched since. Such accesses are only
// listed, and forgotten when the warps meet again. Where an access touches what
// one of another kind has touched since, those of the list get their cells after
// all, and it is looked at with them.

// recent is a block's list.
type recent struct {
	list   []access
	places []uint32 // of the accesses' lanes, one after the other
	// The words of shared memory touched since the block met, whether the list
	// or the cells know of it: those between the first and the last that a load
	// reads, and those that a store writes.
	read, wrote []uint64
	keep        bool // what the block stored matters after it met: asynchronous accesses are compared with it
	off         bool // every access goes to the cells at once
}

// access is one instruction of a view of warps.
type access struct {
	time   [maxLanes / 32]uint32
	from   int // in places
	place  int32
	issue  uint32
	bytes  uint32
	mask   uint32
	first  uint16 // warp
	warps  uint16
	single bool // of one lane, that of mask
	proxy  proxy
	store  bool
}

// listPlaces is how long the list of places may become: a block without barriers
// must not need memory without end.
const listPlaces = 1 << 15

// begin forgets everything, for a block with bytes of shared memory.
func (c *recent) begin(bytes uint64, keep bool) {
	c.list, c.places, c.keep = c.list[:0], c.places[:0], keep
	if n := int(bytes/256) + 1; len(c.read) != n {
		c.read, c.wrote = make([]uint64, n), make([]uint64, n)
		return
	}
	clear(c.read)
	clear(c.wrote)
}

// met forgets what the block did, once all its warps have met.
func (r *races) met() {
	c := &r.recent
	if c.keep {
		r.settle(true)
	}
	c.list, c.places = c.list[:0], c.places[:0]
	clear(c.read)
	clear(c.wrote)
}

// touch marks the words of bytes [lo, hi), and reports whether an access of
// another kind, or a store besides this one, has touched them.
func (c *recent) touch(lo, hi uint64, store bool) (clash bool) {
	lo, hi = lo/4, (hi-1)/4
	first, last := int(lo/64), int(hi/64)
	for i := first; i <= last; i++ {
		m := ^uint64(0)
		if i == first {
			m <<= lo & 63
		}
		if i == last {
			m &= ^uint64(0) >> (63 - hi&63)
		}
		if store {
			clash = clash || (c.read[i]|c.wrote[i])&m != 0
			c.wrote[i] |= m
		} else {
			clash = clash || c.wrote[i]&m != 0
			c.read[i] |= m
		}
	}
	return clash
}

// touchLanes is touch for the stores of the view's lanes, each for itself, so
// that two lanes which store to the same word are found as well.
func (c *recent) touchLanes(x *ctx, base uint64, bytes uint32) (clash bool) {
	words := uint64(1)<<((bytes+3)/4) - 1
	both := uint64(0)
	if x.full {
		for _, a := range x.addrs[:x.n] {
			a = (a - base) / 4
			w, m := &c.wrote[a/64], words<<(a&63) // a vector's words are in one of the bitmap: it is aligned
			both |= (*w | c.read[a/64]) & m
			*w |= m
		}
		return both != 0
	}
	for left := x.mask; left != 0; left &= left - 1 {
		a := (x.addrs[bits.TrailingZeros32(left)&31] - base) / 4
		w, m := &c.wrote[a/64], words<<(a&63)
		both |= (*w | c.read[a/64]) & m
		*w |= m
	}
	return both != 0
}

// listed puts the view's accesses to bytes [lo, hi) of shared memory, which
// begins at base, on the list if that is all that has to be done about them. The
// lanes' addresses are in x.addrs.
func (x *ctx) listed(in *inst, base, lo, hi uint64) bool {
	r, m := x.races, in.mem
	c := &r.recent
	clash := m.update != nil || m.strong || c.off
	if m.store {
		clash = c.touchLanes(x, base, m.bytes) || clash
	} else {
		clash = c.touch(lo-base, hi-base, false) || clash
	}
	if clash || len(c.places) > listPlaces {
		r.settle(false)
	}
	if clash {
		return false
	}
	first := x.wave.first + x.lane0/32
	c.list = append(c.list, access{from: len(c.places), place: in.place, issue: r.issue, bytes: m.bytes, mask: x.mask, store: m.store, first: uint16(first), warps: uint16(x.n / 32)})
	a := &c.list[len(c.list)-1]
	for k := range x.n / 32 {
		a.time[k] = r.warps[first+k].now
	}
	c.places = slices.Grow(c.places, x.n)
	to := c.places[a.from:][:x.n]
	for i, at := range x.addrs[:x.n] {
		to[i] = uint32(at - base)
	}
	c.places = c.places[:a.from+x.n]
	return true
}

// listedLane is listed for one lane's access to n bytes at a place.
func (x *ctx) listedLane(in *inst, lane int, at, n uint64) bool {
	r, m := x.races, in.mem
	c := &r.recent
	if clash := c.touch(at, at+n, m.store); clash || m.update != nil || m.strong || m.proxy == asyncProxy || c.off {
		r.settle(false)
		return false
	}
	if len(c.places) > listPlaces {
		r.settle(false)
	}
	warp := x.wave.first + (x.lane0+lane)/32
	c.list = append(c.list, access{time: [maxLanes / 32]uint32{r.warps[warp].now}, from: len(c.places), place: in.place, issue: r.issue, bytes: uint32(n),
		mask: 1 << (lane & 31), first: uint16(warp), warps: 1, single: true, store: m.store, proxy: m.proxy})
	c.places = append(c.places, uint32(at))
	return true
}

// settle brings the accesses of the list to their cells, all of them or only the
// stores.
func (r *races) settle(stores bool) {
	c := &r.recent
	for i := range c.list {
		a := &c.list[i]
		if stores && !a.store {
			continue
		}
		for k := range int(a.warps) {
			s := stamp{time: a.time[k], warp: a.first + uint16(k), place: a.place, issue: a.issue, proxy: a.proxy, wrote: a.store}
			for m := a.mask; m != 0; m &= m - 1 {
				lane := bits.TrailingZeros32(m)
				s.lanes = 1 << lane
				at := uint64(c.places[a.from])
				if !a.single {
					at = uint64(c.places[a.from+32*k+lane])
				}
				r.shared.of(at, uint64(a.bytes), func(c *cell) { r.record(c, s, a.store) })
			}
		}
	}
	c.list, c.places = c.list[:0], c.places[:0]
}

// record notes an access that is in order.
func (r *races) record(c *cell, s stamp, store bool) {
	if !store {
		r.note(&r.shared, c, s, 0)
		return
	}
	c.write, c.n = s, 0
}
