package array

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// fakeSource hands out addresses and remembers what is out.
type fakeSource struct {
	next  uint64
	out   map[uint64]uint64
	limit uint64
	calls int
}

var errFull = fmt.Errorf("full: %w", driver.ErrorOutOfMemory)

func (f *fakeSource) reserve(bytes uint64) (uint64, error) {
	f.calls++
	total := bytes
	for _, n := range f.out {
		total += n
	}
	if f.limit > 0 && total > f.limit {
		return 0, errFull
	}
	f.next += 1 << 40
	f.out[f.next] = bytes
	return f.next, nil
}

func (f *fakeSource) releaseSegment(address uint64) error {
	delete(f.out, address)
	return nil
}

func newTestArena(noCache bool, limit uint64) (*arena, *fakeSource) {
	f := &fakeSource{out: map[uint64]uint64{}, limit: limit}
	a := new(arena)
	a.init(f, noCache)
	return a, f
}

// checkArena holds the arena's books against its blocks, one by one.
func checkArena(t *testing.T, a *arena, f *fakeSource, live map[*block]uint64) {
	t.Helper()
	var used, cached uint64
	inUse := 0
	for s := range a.segments {
		at := s.address
		var prev *block
		for b := s.first; b != nil; prev, b = b, b.next {
			if b.address != at || b.prev != prev || b.seg != s {
				t.Fatalf("block %#x of %d bytes: address should be %#x, previous %p is %p", b.address, b.bytes, at, b.prev, prev)
			}
			if b.free && prev != nil && prev.free {
				t.Fatal("two free neighbours were not joined")
			}
			at += b.bytes
			if b.free {
				cached += b.bytes
			} else {
				used += b.bytes
				inUse++
				if n, ok := live[b]; !ok || b.bytes < n || b.asked != n || b.address%256 != 0 {
					t.Fatalf("block of %d bytes at %#x for %d asked (known: %v)", b.bytes, b.address, n, ok)
				}
			}
		}
		if at != s.address+s.bytes || f.out[s.address] != s.bytes {
			t.Fatalf("blocks of a segment end at %#x, the segment at %#x", at, s.address+s.bytes)
		}
	}
	if used != a.used || cached != a.cached || inUse != len(live) || len(a.segments) != len(f.out) {
		t.Fatalf("used %d cached %d in %d blocks, counted %d, %d and %d", a.used, a.cached, len(live), used, cached, inUse)
	}
}

func TestArenaRandomly(t *testing.T) {
	for _, noCache := range []bool{false, true} {
		seed := rand.Uint64()
		rng := rand.New(rand.NewPCG(seed, 3))
		a, f := newTestArena(noCache, 0)
		borrowed := 0
		live := map[*block]uint64{}
		var order []*block
		for i := range 6000 {
			if len(order) > 0 && (rng.IntN(100) < 48 || len(order) > 300) {
				k := rng.IntN(len(order))
				b := order[k]
				order[k] = order[len(order)-1]
				order = order[:len(order)-1]
				delete(live, b)
				if err := a.giveBack(b); err != nil {
					t.Fatal(err)
				}
			} else {
				n := uint64(1 + rng.IntN(1<<rng.IntN(26)))
				var b *block
				if rng.IntN(4) == 0 {
					if b = a.borrow(n); b != nil {
						borrowed++
					}
				}
				if b == nil {
					b = a.alloc(n)
				}
				if b == nil {
					var err error
					if b, err = a.grow(n); err != nil {
						t.Fatal(err)
					}
				}
				live[b] = n
				order = append(order, b)
			}
			if i%50 == 0 {
				checkArena(t, a, f, live)
			}
		}
		if noCache != (borrowed == 0) {
			t.Errorf("seed %d: %d blocks were borrowed", seed, borrowed)
		}
		for b := range live {
			delete(live, b)
			a.giveBack(b)
		}
		checkArena(t, a, f, live)
		if len(a.idle()) != len(a.segments) {
			t.Fatalf("seed %d: %d of %d segments are idle after all was given back", seed, len(a.idle()), len(a.segments))
		}
		for _, s := range a.idle() {
			a.drop(s)
		}
		if len(f.out) != 0 || a.cached != 0 || a.used != 0 {
			t.Fatalf("seed %d: %d segments, %d cached, %d used left", seed, len(f.out), a.cached, a.used)
		}
	}
}

// TestArenaSteadyState shows the common path: what was given back serves the next
// request of the size without the driver, and without Go allocations.
func TestArenaSteadyState(t *testing.T) {
	a, f := newTestArena(false, 0)
	warm, _ := a.grow(4096)
	a.giveBack(warm)
	calls := f.calls
	allocs := testing.AllocsPerRun(100, func() {
		x, y := a.alloc(4096), a.alloc(100)
		a.giveBack(x)
		a.giveBack(y)
	})
	if f.calls != calls || allocs > 0 {
		t.Errorf("%d driver calls and %v allocations in the steady state", f.calls-calls, allocs)
	}
}

func TestArenaFallsBackToSmallSegments(t *testing.T) {
	a, _ := newTestArena(false, 3<<20)
	b, err := a.grow(2 << 20)
	if err != nil || b.seg.bytes != 2<<20 {
		t.Fatalf("a segment of the request's size should fit: %v", err)
	}
	if _, err := a.grow(2 << 20); !errors.Is(err, errFull) {
		t.Fatalf("error %v, want the source's", err)
	}
	for _, n := range []uint64{granule, smallLimit, smallLimit + granule, 3 << 20, 17<<20 + granule} { // and at last of no more than that
		a, _ := newTestArena(false, n)
		if b, err := a.grow(n); err != nil || b.seg.bytes != n {
			t.Errorf("%d bytes where there are as many: %v", n, err)
		}
	}
}

// TestArenaTakesTheBestFit: of the first blocks of like size, the smallest that is
// large enough.
func TestArenaTakesTheBestFit(t *testing.T) {
	a, _ := newTestArena(false, 0)
	sizes := []uint64{9 * granule, 17 * granule, 17 * granule, 16 * granule, 17 * granule}
	var blocks []*block
	for _, n := range sizes { // of one list, with blocks between that stay
		for _, n := range []uint64{n, granule} {
			b := a.alloc(n)
			if b == nil {
				b, _ = a.grow(n)
			}
			blocks = append(blocks, b)
		}
	}
	for i := 0; i < len(blocks); i += 2 {
		a.giveBack(blocks[i])
	}
	if b := a.alloc(16 * granule); b != blocks[6] {
		t.Errorf("a block of %d bytes for %d", b.bytes, 16*granule)
	}
}
