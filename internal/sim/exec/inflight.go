package exec

import "fmt"

// What asynchronous operations in flight read and write: until somebody waits
// for them, nobody may write the one or touch the other. Copies of cp.async are
// kept apart, in async.go: there are many, and all are small.

// hold is memory that an operation in flight reads or writes.
type hold struct {
	writes bool
	parts  []extent // global addresses, or places in a block's shared memory
	all    extent   // around all of them
	from   *Fault   // where the operation was issued
	until  string   // what ends it
	in     *holds   // where it is listed, nil once it has ended
}

type extent struct{ lo, hi uint64 }

func (e extent) meets(lo, hi uint64) bool { return e.lo < hi && lo < e.hi }

// holds are those of a block's shared memory, or those of global memory by the
// blocks of a cluster.
type holds struct{ list []*hold }

func (l *holds) add(h *hold) *hold {
	h.all = h.parts[0]
	for _, p := range h.parts {
		h.all.lo, h.all.hi = min(h.all.lo, p.lo), max(h.all.hi, p.hi)
	}
	h.in = l
	l.list = append(l.list, h)
	return h
}

// end takes a hold off its list.
func (h *hold) end() {
	if h.in == nil {
		return
	}
	for i, o := range h.in.list {
		if o == h {
			h.in.list = append(h.in.list[:i], h.in.list[i+1:]...)
			break
		}
	}
	h.in = nil
}

// find is a hold that an access to [lo, hi) disturbs, or nil.
func (l *holds) find(lo, hi uint64, store bool) *hold {
	for _, h := range l.list {
		if !h.writes && !store || !h.all.meets(lo, hi) {
			continue
		}
		for _, p := range h.parts {
			if p.meets(lo, hi) {
				return h
			}
		}
	}
	return nil
}

// held are the holds that an address of a region may be in, and what to take
// from the address.
func (x *ctx) held(r *region) (l *holds, base uint64) {
	if r.home != nil {
		return &r.home.holds, r.base
	}
	return &x.cluster.holds, 0
}

// part is n bytes from an address of a region, as holds have them.
func (x *ctx) part(r *region, addr, n uint64) []extent {
	_, base := x.held(r)
	return []extent{{addr - base, addr - base + n}}
}

// inFlight reports accesses of the view to memory that an operation in flight
// is to write, and stores to what one reads. The lanes' addresses are in
// x.addrs.
func (x *ctx) inFlight(in *inst, r *region, lo, hi uint64) {
	if x.copyMeets(in, r, lo, hi) || x.holdMet(in, r, lo, hi) != nil {
		x.active(func(lane int) { x.inFlightAt(in, r, lane, x.addrs[lane], uint64(in.mem.bytes)) })
	}
}

func (x *ctx) holdMet(in *inst, r *region, lo, hi uint64) *hold {
	l, base := x.held(r)
	return l.find(lo-base, hi-base, in.mem.store)
}

func (x *ctx) inFlightAt(in *inst, r *region, lane int, addr, n uint64) {
	if x.copyMeets(in, r, addr, addr+n) {
		x.copyInFlight(in, r, lane, addr, n)
	}
	if h := x.holdMet(in, r, addr, addr+n); h != nil {
		x.failHeld(in, r, lane, addr, n, h)
	}
}

// failHeld reports an access to what an operation in flight holds.
func (x *ctx) failHeld(in *inst, r *region, lane int, addr, n uint64, h *hold) {
	what := "reads"
	if h.writes {
		what = "writes"
	}
	label := x.memoryName(r, addr)
	x.fail(in, AsyncMisuse, lane, addr, uint32(n), label, "%s: line %d (%s), by thread (%d,%d,%d), still %s it: %s",
		label, h.from.Pos.Line, h.from.Instr, h.from.Thread[0], h.from.Thread[1], h.from.Thread[2], what, h.until)
}

// memoryName names an address for a report.
func (x *ctx) memoryName(r *region, addr uint64) string {
	if r.home != nil {
		return x.k.sharedName(addr - r.base)
	}
	if name := text(r.label); name != "" {
		return name
	}
	return fmt.Sprintf("memory at %#x", addr)
}

// holding reports whether there is any hold in the cluster.
func (x *ctx) holding() bool {
	if len(x.cluster.holds.list) > 0 {
		return true
	}
	for _, m := range x.cluster.members {
		if len(m.holds.list) > 0 {
			return true
		}
	}
	return false
}
