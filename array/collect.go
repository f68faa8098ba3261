package array

import (
	"runtime"
	"sync/atomic"
	"time"
)

// Go's collector sees a hundred bytes where the device holds a gigabyte. This
// file is how it finds out: storages are registered with weak pointers, a sweep
// after each collection gives back the blocks of those that are gone, and
// collections are started when there is so much more device memory in use than after
// the last one that it calls for it. What the program frees itself starts none. They
// run beside the program, which waits only where it has no memory left before they
// have ended.

// registry lists the blocks in use by storages.
type registry struct {
	blocks   []*block
	seen     uint64 // collections when it was swept last
	live     uint64 // bytes in use after the sweep that followed the last collection, or after a later one where that is less
	paused   time.Time
	underway *collection // that was started and whose end has not been seen, or nil

	since  time.Time     // the end of the last collection
	waited time.Duration // for collections until then
	handed uint64        // bytes handed out until then
	pace   uint64        // bytes that the program takes while a collection lasts
}

// A collection is one that this package starts.
type collection struct {
	begin  time.Time
	handed uint64 // bytes that had been handed out
	took   time.Duration
	ended  chan struct{} // closed when took is known
}

const (
	minCollect = 64 << 20 // bytes more in use before a collection is worth its time
	maxShare   = 20       // at most 1/maxShare of the time goes to collections that this package starts
)

func (r *registry) add(b *block, owner *anchor) {
	b.owner = owner
	b.slot = len(r.blocks)
	r.blocks = append(r.blocks, b)
}

func (r *registry) remove(b *block) {
	last := len(r.blocks) - 1
	r.blocks[b.slot] = r.blocks[last]
	r.blocks[b.slot].slot = b.slot
	r.blocks[last] = nil
	r.blocks = r.blocks[:last]
}

// sweep gives back the blocks of storages that the collector has found
// unreachable. It waits for a collection that runs beside the program: weak pointers
// that are looked at meanwhile keep what they point to. The caller holds the lock.
func (sh *shared) sweep() {
	r := &sh.registry
	if r.underway != nil {
		sh.await() // which sweeps
		return
	}
	seen := collections.Load()
	fresh := seen != r.seen
	r.seen = seen
	if fresh {
		sh.age()
	}
	sh.closeGraphs()
	for i := len(r.blocks) - 1; i >= 0; i-- { // remove moves only blocks that were looked at
		if b := r.blocks[i]; b.owner.node() == nil {
			sh.release(b)
		}
	}
	if fresh || sh.arena.used < r.live { // else what is in use besides may be what a collection would find
		r.live = sh.arena.used
	}
}

// sweepAll is sweep for who asks what is left after a collection: nodes that were young
// in it are looked for by another one.
func (sh *shared) sweepAll() {
	if len(sh.nursery.young) > 0 && sh.nursery.witness.Value() == nil {
		sh.collect()
		return
	}
	sh.sweep()
}

// pace sweeps if there was a collection since the last sweep, and starts one when
// as many bytes are in use besides as were live then, or when memory runs short.
func (sh *shared) pace() {
	r := &sh.registry
	if r.underway != nil {
		select {
		case <-r.underway.ended:
			sh.await()
		default:
			return
		}
	} else if collections.Load() != r.seen {
		sh.sweep()
	}
	if sh.short() || sh.arena.used >= r.live+max(r.live, minCollect) && time.Now().After(r.paused) {
		go sh.begin().run()
	}
}

// short says whether it is time to start a collection so that it has ended before the
// program must wait for memory: what is left is taken in half as much time again as the
// last collection lasted. Much of what is in use must be new, as only that may be
// garbage, and where a collection lasts longer than it takes to use all of it up, it
// finds most when it is started last.
func (sh *shared) short() bool {
	most, room := sh.mostReserved(), sh.arena.cached
	if sh.reserved < most {
		room += most - sh.reserved
	}
	r := &sh.registry
	return room <= r.pace+r.pace/2 && sh.arena.used >= r.live+max(room, minCollect) && r.pace < room+sh.arena.used-r.live
}

// begin makes a collection that is to run now.
func (sh *shared) begin() *collection {
	sh.age()
	c := &collection{begin: time.Now(), handed: sh.arena.handed, ended: make(chan struct{})}
	sh.registry.underway = c
	return c
}

func (c *collection) run() {
	runtime.GC()
	c.took = time.Since(c.begin)
	close(c.ended)
}

// await waits for the collection beside the program, if there is one, and sweeps. It puts
// off the next paced one in proportion to the time that this one took.
func (sh *shared) await() {
	r, a, began := &sh.registry, &sh.arena, time.Now()
	c := r.underway
	if c == nil {
		return
	}
	<-c.ended
	now := time.Now()
	sh.counts.Collections++
	sh.counts.CollectTime += c.took
	sh.counts.CollectWait += now.Sub(began)
	worked := now.Sub(r.since) - (sh.counts.CollectWait - r.waited)
	r.pace = uint64(float64(a.handed-r.handed) * c.took.Seconds() / max(worked, 1).Seconds())
	r.underway, r.since, r.waited, r.handed, r.paused = nil, now, sh.counts.CollectWait, a.handed, c.begin.Add(maxShare*c.took)
	during := a.handed - c.handed
	sh.sweep()
	r.live = a.used - min(during, a.used) // the cycle may not have been counted yet; what was made during it may be garbage
}

// collect runs the collector and sweeps.
func (sh *shared) collect() {
	sh.await()
	began := time.Now()
	sh.begin().run()
	sh.counts.CollectWait += time.Since(began)
	sh.await()
}

// collections counts the collector's cycles while a Device is open.
var collections atomic.Uint64

var (
	watched atomic.Int64 // shared devices that want collections counted
	armed   atomic.Bool  // a sentinel waits for the next collection
)

// sentinel is an object made only to be collected. It must not be tiny: the
// allocator packs tiny objects together and keeps them all while one lives.
type sentinel struct{ _ [4]*byte }

func watchCollections() {
	watched.Add(1)
	if armed.CompareAndSwap(false, true) {
		armSentinel()
	}
}

func unwatchCollections() { watched.Add(-1) }

// armSentinel counts a collection when its sentinel is collected, and arms the
// next while anybody wants to know. It touches nothing else: a cleanup must not
// call the driver.
func armSentinel() {
	runtime.AddCleanup(new(sentinel), func(struct{}) {
		collections.Add(1)
		armed.Store(false)
		if watched.Load() > 0 && armed.CompareAndSwap(false, true) {
			armSentinel()
		}
	}, struct{}{})
}
