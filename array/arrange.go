package array

import "slices"

// An arrangement is a recording made ready to become a graph: the steps that something
// needs, what each must wait for, and where the blocks lie that have no address yet.
// Steps wait for others only where they use the same elements, so that what does not
// depend on one another may run at the same time. Two blocks share memory only where
// all uses of one are before those of the other anyway: sharing never makes a step
// wait.
type arrangement struct {
	steps  []step
	after  [][]int // the steps that each waits for, by index; without those that others of them wait for
	before []bitset
	plots  []plot
	used   map[*block]bool // by a step; true where one writes it
}

// A plot is a piece of memory and the blocks that lie in it.
type plot struct {
	bytes     uint64
	lasting   bool
	residents []resident
}

type resident struct {
	block  *block
	offset uint64
}

// arrange arranges steps. Kept storages and blocks that have an address are what a
// graph is for. With apart, no two blocks share memory.
func arrange(steps []step, kept []*storage, apart bool) *arrangement {
	a := &arrangement{used: map[*block]bool{}}
	a.steps = needed(steps, kept)
	a.order()
	outside := map[*block]bool{}
	for _, s := range kept {
		outside[s.block] = true
	}
	a.place(outside, apart)
	return a
}

// needed returns the steps that compute something that is kept, or from outside.
func needed(steps []step, kept []*storage) []step {
	wanted := map[*block]bool{}
	for _, s := range kept {
		wanted[s.block] = true
	}
	var list []step
	for i := len(steps) - 1; i >= 0; i-- {
		s := steps[i]
		if !slices.ContainsFunc(s.uses, func(u use) bool { return u.writes && (u.block.in == nil || wanted[u.block]) }) {
			continue
		}
		for _, u := range s.uses {
			wanted[u.block] = true
		}
		list = append(list, s)
	}
	slices.Reverse(list)
	return list
}

// order finds what each step must wait for: who reads for the last write, who writes
// for that and all reads since.
func (a *arrangement) order() {
	type access struct {
		wrote int // -1: nobody
		reads []int
	}
	blocks := map[*block]*access{}
	var waits []int
	for i, s := range a.steps {
		waits = waits[:0]
		for _, u := range s.uses {
			if u.block == nil {
				continue
			}
			a.used[u.block] = a.used[u.block] || u.writes
			x := blocks[u.block]
			if x == nil {
				x = &access{wrote: -1}
				blocks[u.block] = x
			}
			if x.wrote >= 0 {
				waits = append(waits, x.wrote)
			}
			if !u.writes {
				x.reads = append(x.reads, i)
				continue
			}
			waits = append(waits, x.reads...)
			x.wrote, x.reads = i, x.reads[:0]
		}
		after, before := a.reduce(waits, i)
		a.after, a.before = append(a.after, after), append(a.before, before)
	}
}

// reduce leaves out what is waited for by others of the list, and returns the set of
// all steps that are done before the i-th begins.
func (a *arrangement) reduce(waits []int, i int) (after []int, before bitset) {
	before = make(bitset, (i+63)/64)
	slices.Sort(waits)
	for _, w := range slices.Backward(slices.Compact(waits)) {
		if before.has(w) {
			continue
		}
		after = append(after, w)
		before.add(w)
		before.merge(a.before[w])
	}
	slices.Reverse(after)
	return after, before
}

// touches says whether a step uses a block, and whether one writes it.
func (a *arrangement) touches(b *block) (touched, writes bool) {
	writes, touched = a.used[b]
	return touched, writes
}

// A tenant is a block to be placed, with the steps that use it.
type tenant struct {
	block *block
	uses  []int
	at    uint64
}

// place gives each block its place: the largest first, each at the lowest address
// where it lies over nobody who is not done before it, or begins after it.
func (a *arrangement) place(outside map[*block]bool, apart bool) {
	shared, lasting := plot{}, plot{lasting: true}
	var placed []*tenant
	for _, t := range a.tenants(outside) {
		size := roundUp(t.block.asked, granule)
		switch {
		case apart:
			a.plots = append(a.plots, plot{t.block.asked, t.block.lasting, []resident{{t.block, 0}}})
		case t.block.lasting:
			lasting.residents = append(lasting.residents, resident{t.block, lasting.bytes})
			lasting.bytes += size
		default:
			t.at = a.lowest(placed, t, size)
			placed = append(placed, t)
			shared.residents = append(shared.residents, resident{t.block, t.at})
			shared.bytes = max(shared.bytes, t.at+size)
		}
	}
	for _, p := range []plot{shared, lasting} {
		if p.bytes > 0 {
			a.plots = append(a.plots, p)
		}
	}
}

// tenants lists the blocks without an address, the largest first.
func (a *arrangement) tenants(outside map[*block]bool) []*tenant {
	byBlock := map[*block]*tenant{}
	var list []*tenant
	for i, s := range a.steps {
		for _, u := range s.uses {
			if u.block == nil || u.block.in == nil || outside[u.block] {
				continue
			}
			t := byBlock[u.block]
			if t == nil {
				t = &tenant{block: u.block}
				byBlock[u.block] = t
				list = append(list, t)
			}
			t.uses = append(t.uses, i)
		}
	}
	slices.SortStableFunc(list, func(x, y *tenant) int {
		switch {
		case x.block.asked > y.block.asked:
			return -1
		case x.block.asked < y.block.asked:
			return 1
		}
		return 0
	})
	return list
}

// lowest returns the lowest address for t among those that are placed.
func (a *arrangement) lowest(placed []*tenant, t *tenant, size uint64) uint64 {
	var others []*tenant
	for _, p := range placed {
		if !a.done(p, t) && !a.done(t, p) {
			others = append(others, p)
		}
	}
	slices.SortFunc(others, func(x, y *tenant) int {
		if x.at < y.at {
			return -1
		}
		return 1
	})
	at := uint64(0)
	for _, p := range others {
		if at+size <= p.at {
			break
		}
		at = max(at, p.at+roundUp(p.block.asked, granule))
	}
	return at
}

// done says whether all uses of x are done before the first one of y, which all other
// uses of y wait for, begins.
func (a *arrangement) done(x, y *tenant) bool {
	before := a.before[y.uses[0]]
	for _, i := range x.uses {
		if !before.has(i) {
			return false
		}
	}
	return true
}

// A bitset is a set of small numbers.
type bitset []uint64

func (s bitset) has(i int) bool { return i/64 < len(s) && s[i/64]>>(i%64)&1 != 0 }

func (s bitset) add(i int) { s[i/64] |= 1 << (i % 64) }

// only is the set of one number.
func only(i int) bitset {
	s := make(bitset, i/64+1)
	s.add(i)
	return s
}

// union returns the numbers of both, in memory of its own where that is not one of them.
func (s bitset) union(other bitset) bitset {
	if len(s) < len(other) {
		s, other = other, s
	}
	if len(other) == 0 {
		return s
	}
	u := slices.Clone(s)
	u.merge(other)
	return u
}

func (s bitset) merge(other bitset) {
	for i, w := range other {
		s[i] |= w
	}
}
