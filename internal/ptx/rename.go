package ptx

import "strconv"

// rename makes names unique within each entry. In PTX a block's registers,
// variables and labels may hide those of the blocks around it; an Entry has
// only one level.
func (p *parser) rename() {
	shared := map[string]bool{}
	var names []*string
	for _, e := range p.m.Entries {
		names = append(names, &e.Name)
	}
	for _, v := range p.m.Vars {
		names = append(names, &v.Name)
	}
	distinguish(names, nil, shared)
	for _, e := range p.m.Entries {
		renameEntry(e, shared)
	}
}

func renameEntry(e *Entry, shared map[string]bool) {
	var names []*string
	for _, v := range e.Params {
		names = append(names, &v.Name)
	}
	for _, r := range e.Regs {
		names = append(names, &r.Name)
	}
	for _, v := range e.Vars {
		names = append(names, &v.Name)
	}
	for _, l := range e.Labels {
		names = append(names, &l.Name)
	}
	distinguish(names, shared, map[string]bool{})
}

// distinguish adds numbers to names that come a second time or are in outer,
// and enters the names in taken.
func distinguish(names []*string, outer, taken map[string]bool) {
	given := make(map[string]bool, len(names))
	for _, n := range names {
		given[*n] = true
	}
	next := map[string]int{}
	for _, n := range names {
		base := *n
		for taken[*n] || outer[*n] || *n != base && given[*n] {
			next[base]++
			*n = base + "_" + strconv.Itoa(next[base])
		}
		taken[*n] = true
	}
}
