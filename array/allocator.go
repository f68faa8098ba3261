package array

import (
	"errors"
	"math/bits"
	"slices"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// An arena is the caching allocator: it takes large segments from the driver and
// hands out blocks of them. The common path, a block from a free one, makes no
// driver call. Blocks are reused in stream order: a free block remembers the work
// that still uses it, and who takes it waits for that (see block.waits). The
// caller holds the shared device's lock.
type arena struct {
	source  memorySource
	noCache bool // one driver allocation for each block, given back when it is freed

	segments map[*segment]struct{}
	small    bins // blocks of segments for small requests, so that these do not fragment the large ones
	large    bins
	spare    *block // descriptors for reuse, linked by next

	used   uint64 // bytes in blocks handed out
	cached uint64 // bytes in free blocks
}

// memorySource is where an arena gets segments from.
type memorySource interface {
	reserve(bytes uint64) (address uint64, err error)
	releaseSegment(address uint64) error
}

const (
	granule      = 512      // block sizes and addresses are multiples of this
	smallLimit   = 1 << 20  // requests up to here share small segments
	smallSegment = 2 << 20  //
	largeSegment = 32 << 20 // for requests up to half of it; larger ones get their own
	largeGranule = 2 << 20
)

// A segment is one allocation of the driver, cut into blocks without gaps.
type segment struct {
	address uint64
	bytes   uint64
	bins    *bins
	first   *block
}

// A block is a piece of a segment, in use by one storage or free.
type block struct {
	address uint64
	bytes   uint64
	seg     *segment
	prev    *block // neighbours in the segment
	next    *block

	in      *recording // the capture under way that it is made in: it has no address yet, and is in no segment
	lasting bool       // of such a block: it is zero at first, and keeps what each launch of the graph leaves in it

	free             bool
	aside            bool   // it counts as set aside for expressions
	binPrev, binNext *block // neighbours in the list of free blocks of like size

	history         // the work that uses or used it
	owner   *anchor // of the storage it serves, while in use
	slot    int     // its place in the registry, while in use
	asked   uint64  // bytes asked for, while in use
}

func (a *arena) init(source memorySource, noCache bool) {
	a.source, a.noCache, a.segments = source, noCache, map[*segment]struct{}{}
}

// alloc returns a block of at least n > 0 bytes, or nil where no free block serves.
func (a *arena) alloc(n uint64) *block {
	size := roundUp(n, granule)
	return a.allocFrom(a.binsFor(size), n, size)
}

// borrow is alloc from the blocks for large requests, whatever n is.
func (a *arena) borrow(n uint64) *block {
	return a.allocFrom(&a.large, n, roundUp(n, granule))
}

func (a *arena) allocFrom(from *bins, n, size uint64) *block {
	if a.noCache {
		return nil
	}
	b := from.take(size)
	if b == nil {
		return nil
	}
	a.cached -= b.bytes
	a.split(b, size)
	return a.handOut(b, n)
}

// grow takes a segment from the driver and returns a block of n bytes from it.
func (a *arena) grow(n uint64) (*block, error) {
	size := roundUp(n, granule)
	sizes := a.segmentSizes(size)
	for i, bytes := range sizes {
		address, err := a.source.reserve(bytes)
		if err != nil {
			if i < len(sizes)-1 && errors.Is(err, driver.ErrorOutOfMemory) {
				continue // a smaller segment may still fit
			}
			return nil, err
		}
		s := &segment{address: address, bytes: bytes, bins: a.binsFor(size)}
		b := a.descriptor()
		b.address, b.bytes, b.seg = address, bytes, s
		s.first = b
		a.segments[s] = struct{}{}
		a.split(b, size)
		return a.handOut(b, n), nil
	}
	panic("array: no segment size to try") // segmentSizes returns at least one
}

// segmentSizes lists the segment sizes to try for a block, best first.
func (a *arena) segmentSizes(size uint64) []uint64 {
	switch {
	case a.noCache:
		return []uint64{size}
	case size <= smallLimit:
		return []uint64{smallSegment, size}
	case size <= largeSegment/2:
		return slices.Compact([]uint64{largeSegment, roundUp(size, largeGranule), size})
	}
	return slices.Compact([]uint64{roundUp(size, largeGranule), size})
}

func (a *arena) handOut(b *block, asked uint64) *block {
	b.free = false
	b.asked = asked
	a.used += b.bytes
	return b
}

// split cuts b to size and makes the rest a free block that waits for the same work.
func (a *arena) split(b *block, size uint64) {
	rest := b.bytes - size
	if rest < granule || b.seg.bins == &a.large && rest < smallLimit {
		return
	}
	r := a.descriptor()
	r.address, r.bytes, r.seg = b.address+size, rest, b.seg
	r.prev, r.next = b, b.next
	if r.next != nil {
		r.next.prev = r
	}
	b.next = r
	b.bytes = size
	r.history.merge(&b.history)
	r.free = true
	a.cached += rest
	r.seg.bins.put(r)
}

// giveBack makes b free, joined with free neighbours. With noCache it goes back to
// the driver.
func (a *arena) giveBack(b *block) error {
	a.used -= b.bytes
	a.cached += b.bytes
	b.owner = nil
	b.free = true
	if n := b.next; n != nil && n.free {
		n.seg.bins.remove(n)
		a.join(b, n)
	}
	if p := b.prev; p != nil && p.free {
		p.seg.bins.remove(p)
		a.join(p, b)
		b = p
	}
	b.seg.bins.put(b)
	if a.noCache {
		return a.drop(b.seg)
	}
	return nil
}

// join adds n's bytes and its pending work to b and forgets n.
func (a *arena) join(b, n *block) {
	b.bytes += n.bytes
	b.next = n.next
	if b.next != nil {
		b.next.prev = b
	}
	b.history.merge(&n.history)
	*n = block{next: a.spare, history: n.history.empty()}
	a.spare = n
}

// descriptor returns an empty block.
func (a *arena) descriptor() *block {
	b := a.spare
	if b == nil {
		return &block{}
	}
	a.spare = b.next
	b.next = nil
	return b
}

// idle returns the segments that are one free block: those that can go back to the
// driver once the work on them is done.
func (a *arena) idle() []*segment {
	var list []*segment
	for s := range a.segments {
		if s.first.free && s.first.next == nil {
			list = append(list, s)
		}
	}
	return list
}

// drop gives an idle segment back to the driver.
func (a *arena) drop(s *segment) error {
	s.bins.remove(s.first)
	a.cached -= s.bytes
	delete(a.segments, s)
	return a.source.releaseSegment(s.address)
}

func (a *arena) binsFor(size uint64) *bins {
	if size <= smallLimit {
		return &a.small
	}
	return &a.large
}

func roundUp(n, to uint64) uint64 { return (n + to - 1) / to * to }

// bins keeps free blocks in lists by size: eight lists for each power of two, and
// a bit for each list that is not empty.
type bins struct {
	list   [64 * 8]*block
	filled [8]uint64
}

// binOf returns the list for blocks of a size: all blocks of higher lists are
// larger.
func binOf(size uint64) int {
	g := size / granule
	if g < 8 {
		return int(g)
	}
	top := bits.Len64(g) - 4 // the three bits below the leading one
	return top*8 + int(g>>top)
}

func (s *bins) put(b *block) {
	i := binOf(b.bytes)
	b.binPrev, b.binNext = nil, s.list[i]
	if b.binNext != nil {
		b.binNext.binPrev = b
	}
	s.list[i] = b
	s.filled[i/64] |= 1 << (i % 64)
}

func (s *bins) remove(b *block) {
	i := binOf(b.bytes)
	if b.binNext != nil {
		b.binNext.binPrev = b.binPrev
	}
	if b.binPrev != nil {
		b.binPrev.binNext = b.binNext
	} else if s.list[i] = b.binNext; b.binNext == nil {
		s.filled[i/64] &^= 1 << (i % 64)
	}
	b.binPrev, b.binNext = nil, nil
}

// searchLimit bounds the search for the best block among those of like size.
const searchLimit = 16

// take removes and returns the best free block of at least size bytes: the
// smallest of the first few in its own list, else one of the next list that has
// any. It returns nil where there is none.
func (s *bins) take(size uint64) *block {
	i := binOf(size)
	best := fitting(s.list[i], size)
	for best == nil {
		if i = s.nextFilled(i + 1); i < 0 {
			return nil
		}
		best = fitting(s.list[i], size)
	}
	s.remove(best)
	return best
}

// fitting returns the smallest block of at least size bytes among the first of a list.
func fitting(b *block, size uint64) (best *block) {
	for n := 0; b != nil && n < searchLimit; b, n = b.binNext, n+1 {
		if b.bytes >= size && (best == nil || b.bytes < best.bytes) {
			best = b
		}
	}
	return best
}

// nextFilled returns the first non-empty list from i on, or -1.
func (s *bins) nextFilled(i int) int {
	if i >= len(s.list) {
		return -1
	}
	word := s.filled[i/64] &^ (1<<(i%64) - 1)
	for w := i / 64; ; {
		if word != 0 {
			return w*64 + bits.TrailingZeros64(word)
		}
		if w++; w == len(s.filled) {
			return -1
		}
		word = s.filled[w]
	}
}
