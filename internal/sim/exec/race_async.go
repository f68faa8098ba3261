package exec

import (
	"math"
	"math/bits"
)

// Accesses of asynchronous operations to shared memory. They go another way to
// memory than those of ordinary instructions, another proxy, and what an ordinary
// instruction wrote is only sure to be seen there if a fence.proxy.async is on
// the way from one to the other: executed by the thread that wrote, or by one
// that comes after it, before what makes the reader wait. The end of an
// asynchronous operation is such a fence by itself; and an ordinary read need
// only come before an asynchronous write.

// proxy is the way by which an access reaches memory.
type proxy uint8

const (
	genericProxy proxy = iota
	asyncProxy
	eitherProxy // cp.async: PTX does not say that it needs a fence
)

// proxyFence is a fence.proxy.async of some lanes of a warp.
type proxyFence struct {
	time, lanes uint32
	seen        []uint32 // what came before it; of its own warp: by all lanes
}

// proxyFence decodes fence.proxy.async. One of global memory alone says nothing
// about shared memory, one of anything else than the asynchronous proxy nothing
// at all here.
func (d *decoder) proxyFence(n inst) {
	shared := mod(d.in.Mods, "async") && !mod(d.in.Mods, "global")
	n.fn = func(x *ctx, _ *inst) {
		if shared && x.races != nil && x.k.code.async {
			for k := range x.n / 32 {
				x.races.fenceProxy(x.wave.first+x.lane0/32+k, x.mask)
			}
		}
	}
	d.emit(n)
}

func (r *races) fenceProxy(warp int, lanes uint32) {
	c := &r.warps[warp]
	f := proxyFence{c.now, lanes, append([]uint32(nil), c.seen...)}
	f.seen[warp] = max(f.seen[warp], c.full)
	for m := lanes; m != 0; m &= m - 1 {
		if own := c.own[bits.TrailingZeros32(m)]; own != nil {
			join(f.seen, own.seen)
		}
	}
	r.proxies[warp] = append(r.proxies[warp], f)
	r.tick(c)
}

// fenced reports whether a fence of proxies stands between a write and what a
// lane does now.
func (r *races) fenced(s *stamp, warp, lane int) bool {
	c := &r.warps[warp]
	for by := range r.proxies {
		until := c.seen[by]
		if by == warp {
			until = c.now
		}
		missing := s.lanes
		list := r.proxies[by]
		for i := len(list) - 1; i >= 0; i-- {
			f := &list[i]
			lanes := f.lanes
			switch {
			case by == warp && f.time > c.full:
				lanes = c.before(lane, f.lanes, f.time)
			case f.time > until:
				lanes = r.heardOf(c, lane, by, f)
			}
			if lanes == 0 {
				continue
			}
			if _, ok := r.covers(f.seen, nil, s); ok {
				return true
			}
			if by != int(s.warp) || f.time < s.time {
				break // those before it know less
			}
			if missing &^= lanes; missing == 0 {
				return true
			}
		}
	}
	return false
}

// heardOf are those of the lanes of another warp's fence that a lane comes after.
func (r *races) heardOf(c *clock, lane, by int, f *proxyFence) (m uint32) {
	var own []uint32
	if c.own[lane] != nil {
		own = c.own[lane].seen
	}
	for left := f.lanes; left != 0; left &= left - 1 {
		one := left & -left
		if _, ok := r.covers(c.seen, own, &stamp{time: f.time, lanes: one, warp: uint16(by)}); ok {
			m |= one
		}
	}
	return m
}

// before are those of some lanes of the warp whose accesses at a time come
// before what a lane does now.
func (c *clock) before(lane int, lanes, time uint32) (m uint32) {
	m = lanes & (1 << lane)
	if c.part != nil {
		for l := range 32 {
			if c.part[lane][l] >= time {
				m |= lanes & (1 << l)
			}
		}
	}
	return m
}

// checkProduct looks at what a product of four warps is about to read.
func (x *ctx) checkProduct(p *groupProduct, at int) {
	r := x.races
	r.settle(false)
	r.issue++
	var last stamp // the same for many words
	for _, parts := range [...][]extent{p.atA, p.atB} {
		for _, e := range parts {
			r.shared.of(e.lo, e.hi-e.lo, func(c *cell) {
				if c.write != last {
					last = c.write
					x.checkRead(p, at, e.lo, &c.write)
				}
				for i := range c.n {
					if s := r.shared.at(c, i); s.wrote {
						x.checkRead(p, at, e.lo, s)
					}
				}
			})
		}
	}
}

// checkRead looks at what wrote a word that a product reads.
func (x *ctx) checkRead(p *groupProduct, at int, addr uint64, w *stamp) {
	r := x.races
	if !w.remote && w.time <= r.base {
		return
	}
	for k := range 4 {
		warp, lane := x.wave.first+(x.lane0+at)/32+k, 0
		if w.lanes != math.MaxUint32 && int(w.warp) == warp {
			for lane = 0; w.lanes>>lane&1 != 0; lane++ {
			}
		}
		if h, found := r.clash(w, &stamp{proxy: asyncProxy}, warp, lane); found {
			x.raceFault(&p.reads, &x.shared, at+32*k+lane, addr, h, warp)
		}
	}
}

// raceProduct notes what a product has read, once its four warps have waited for
// it. It takes all four to make a product, so that who comes after one of them
// comes after the reading.
func (x *ctx) raceProduct(p *groupProduct, at int) {
	r := x.races
	r.settle(false)
	r.issue++
	r.time++
	first := x.wave.first + (x.lane0+at)/32
	for k := range 4 {
		r.warps[first+k].now = r.time
	}
	s := stamp{time: r.time, lanes: math.MaxUint32, warp: uint16(first), group: true, proxy: asyncProxy, place: p.reads.place, issue: r.issue}
	for _, parts := range [...][]extent{p.atA, p.atB} {
		for _, e := range parts {
			r.recent.touch(e.lo, e.hi, false)
			r.shared.of(e.lo, e.hi-e.lo, func(c *cell) { r.note(&r.shared, c, s, 0) })
		}
	}
}
