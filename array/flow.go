package array

import (
	"fmt"
	"slices"
)

// A flow is what the blocks of a recording are computed from: arrays as they are when
// a launch begins, and Takes, whose indices may be wrong. What a launch writes carries
// on what its own sources do, and nothing else.
type flow struct {
	arrays []*storage // from outside
	takes  []*suspect
	places int // of the indices of all takes
	of     map[*block]sources
}

// sources are some of a flow's arrays and takes, by their numbers there.
type sources struct{ arrays, takes bitset }

func (s *sources) add(from sources) {
	s.arrays, s.takes = s.arrays.union(from.arrays), s.takes.union(from.takes)
}

// at returns what an array's content is computed from, as far as is recorded: nothing
// where it was only filled.
func (f *flow) at(s *storage) sources {
	from, known := f.of[s.block]
	if !known && s.block != nil && s.block.in == nil {
		from.arrays = only(len(f.arrays))
		f.arrays = append(f.arrays, s)
		f.of[s.block] = from
	}
	return from
}

// work notes what a work writes. replaced says that nothing is left of what out was.
func (f *flow) work(w *work, out *storage, replaced bool) {
	var from sources
	if !replaced {
		from = f.at(out)
	}
	for _, s := range w.inputs {
		from.add(f.at(s))
	}
	if w.suspect != nil {
		from.takes = from.takes.union(only(len(f.takes)))
		f.takes = append(f.takes, w.suspect)
	}
	f.of[out.block] = from
	for _, o := range w.outputs {
		f.of[w.inputs[o.operand-1].block] = from
	}
}

// A share is arrays that a graph computes from the same sources: arrays, and Takes
// that write to some of its status cells.
type share struct {
	writes, reads []*storage
	cells         []int
	takes         bitset
}

// shares returns the shares of what a graph writes.
func (f *flow) shares(writes []*storage) []share {
	var list []share
	numbers := map[string]int{}
	for _, s := range writes {
		from := f.of[s.block]
		key := fmt.Sprint(from)
		i, known := numbers[key]
		if !known {
			i = len(list)
			numbers[key] = i
			list = append(list, share{takes: from.takes})
			for k, s := range f.arrays {
				if from.arrays.has(k) {
					list[i].reads = append(list[i].reads, s)
				}
			}
		}
		list[i].writes = append(list[i].writes, s)
	}
	return list
}

// graphCells is the most status cells that a graph uses: each launch takes as many of
// the device's. There is one more, for takes whose results nobody reads.
const graphCells = 16

// assign gives the takes their cells: one for those that go into the same shares, as
// far as there are enough. It returns, for each cell, whose it is.
func (f *flow) assign(shares []share) []*suspect {
	var cells []*suspect
	numbers := map[string]int{}
	for k, take := range f.takes {
		var into []int
		for i := range shares {
			if shares[i].takes.has(k) {
				into = append(into, i)
			}
		}
		if len(into) == 0 {
			take.cell = graphCells
			continue
		}
		key := fmt.Sprint(into)
		cell, known := numbers[key]
		if !known {
			if cell = min(len(cells), graphCells-1); cell == len(cells) {
				cells = append(cells, new(suspect))
			}
			numbers[key] = cell
		}
		cells[cell].among, take.cell = append(cells[cell].among, take), cell
		for _, i := range into {
			if !slices.Contains(shares[i].cells, cell) {
				shares[i].cells = append(shares[i].cells, cell)
			}
		}
	}
	return cells
}
