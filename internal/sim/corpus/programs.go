package corpus

import (
	"fmt"
	"sync"
)

// Programs is the corpus, in the table's order; names are unique.
var Programs = sync.OnceValue(func() []*Program {
	var list []*Program
	seen := make(map[string]bool)
	add := func(d *draft) {
		if !seen[d.name] {
			seen[d.name] = true
			list = append(list, d.finish())
		}
	}
	for i := range forms {
		for _, name := range forms[i].expand() {
			add(forms[i].draft(name))
		}
	}
	for _, family := range [][]*draft{moves(), carries(), accesses(), warps(), barriers(), atomics(), flows(), matrices(), arrivals(), bulks(), clusters(), remotes(), hints(), groups(), descriptors(), boxes()} {
		for _, d := range family {
			if seen[d.name] {
				panic(fmt.Sprintf("two programs are named %q", d.name))
			}
			add(d)
		}
	}
	return list
})
