package kernels

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// A long row is scanned by blocks that stay, one to a multiprocessor, in the order of
// every scan. One warp takes tickets and has tiles copied into shared memory; groups of
// warps take a tile into registers each, add it up, and hold it until they know what
// precedes it; one warp publishes the tiles' totals; and one follows the totals of all
// tiles, which it combines itself, so that what precedes a tile is known as soon as the
// totals are, without another block's help.
const (
	// heldCapability is the compute capability that has copies into shared memory
	// that arrive at a barrier.
	heldCapability = 90

	heldBuffers = 2 // tiles that are copied or added up at the same time: the fewer, the sooner is a tile's total known that others wait for
	heldGroups  = 3 // tiles that wait in registers
	heldPolled  = 4 // groups of 32 totals that are asked for at the same time

	// heldRing is the number of places for what is known of a tile. Where a tile is
	// told, the one heldBuffers before it is added up, so its group is done with the one
	// heldGroups before that; and where there is no tile any more, each group is told so.
	heldRing = heldBuffers + 2*heldGroups

	heldTileBytes = 4 * scanTile
	heldShared    = heldBuffers * heldTileBytes
	heldMemory    = heldShared + 1<<10 // with what is declared in the kernel
	heldThreads   = 32 * (heldGroups*scanWarps + 3)

	heldTiles = 32 * 32 * 32 // the most of a row: three levels of groups
)

// A heldKernel scans a row of a type of 4 bytes.
type heldKernel struct {
	op Op
	t  Type
}

// canHold says whether the row is for such a kernel: the device runs it, the row is
// contiguous, aligned and too long for L2.
func (r *reduction) canHold(p *Plan, k *scanKernel) bool {
	return p.Capability >= heldCapability && p.Multiprocessors > 0 && p.BlockMemory >= heldMemory &&
		k.plain() && k.in == k.out && heldType(k.in) && k.inAccess == 16 && k.outAccess == 16 &&
		r.outputs() == 1 && r.n >= scanCached/4 && ceilDiv(r.n, scanTile) <= heldTiles
}

func heldType(t Type) bool { return t.Size() == 4 && t.compute() == t }

// planHeld plans the launch.
func (r *reduction) planHeld(p *Plan) {
	k, tiles := heldKernel{r.op, r.out}, ceilDiv(r.n, scanTile)
	l := p.launch(k.key(), [3]uint32{uint32(min(p.Multiprocessors, tiles)), 1, 1}, [3]uint32{heldThreads, 1, 1}, heldShared)
	r.pointers(l)
	p.Tickets = max(p.Tickets, uint64(scanCounters+8*(tiles+tiles&1))) // cleared two words at a time
	l.pointer(TicketOperand, 0)
	l.value32(uint32(r.n))
	l.value32(uint32(tiles))
}

func heldFamily() family {
	return family{
		prefix:   "scanheld",
		generate: generateHeld,
		targets:  []int{heldCapability},
		shared:   heldShared,
		name:     sourceName,
		embed:    func() []string { return nil },
	}
}

func (k *heldKernel) key() string {
	return newKey("scanheld").word(k.op.String()).word(k.t.String()).String()
}

func generateHeld(key string, target int) (*ptx.Module, error) {
	r := readKey(key)
	k := &heldKernel{op: reduceOps[r.word(OpSum.String(), OpProd.String())], t: r.elem()}
	if err := r.end(); err != nil {
		return nil, err
	}
	if !heldType(k.t) {
		return nil, fmt.Errorf("kernel key %q: tiles of such elements are not held", key)
	}
	m := ptx.NewModule(fmt.Sprintf("sm_%d", target))
	k.emit(m.Entry(EntryName(key)))
	return m, nil
}
