package array

import (
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"
)

// Go's collector sees a hundred bytes where the device holds a gigabyte. This
// file is how it finds out: storages are registered by their anchors, a sweep
// after each collection gives back the blocks of those that are gone, and
// collections are started when there is so much more device memory in use than after
// the last one that it calls for it. What the program frees itself starts none.

// registry lists the blocks in use by storages.
type registry struct {
	blocks []*block
	seen   uint64 // collections when it was swept last
	live   uint64 // bytes in use after the sweep that followed the last collection, or after a later one where that is less
	paused time.Time
	forced uint64 // called.count when collect or sweepAll was called last
}

const (
	minCollect = 64 << 20 // bytes more in use before a collection is worth its time
	maxShare   = 20       // at most 1/maxShare of the time goes to collections that are started while there is memory
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
// unreachable. The caller holds the lock.
func (sh *shared) sweep() {
	r := &sh.registry
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

// sweepAll is sweep for who has run the collector and asks what is left: nodes that were
// young in that collection are looked for by another one. After those that Go starts by
// itself they are left to the next, as one takes long where the heap is large.
func (sh *shared) sweepAll() {
	forced := called.count()
	fresh := forced != sh.registry.forced
	sh.registry.forced = forced
	if fresh && len(sh.nursery.young) > 0 && sh.nursery.witness.Value() == nil {
		sh.collect()
		return
	}
	sh.sweep()
}

// called tells the collections that the program calls runtime.GC for from those that
// this package does, for whichever device.
var called calledCollections

type calledCollections struct {
	mu  sync.Mutex // held while one is under way that this package started
	own uint64
}

// run is runtime.GC.
func (c *calledCollections) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := forcedCollections()
	runtime.GC()
	if forcedCollections() > before { // else Go was starting one by itself
		c.own++
	}
}

// count is the number of collections that the program has called for.
func (c *calledCollections) count() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return forcedCollections() - c.own
}

// forcedCollections is the number of collections that runtime.GC was called for, by
// whomever.
func forcedCollections() uint64 {
	sample := []metrics.Sample{{Name: "/gc/cycles/forced:gc-cycles"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// pace sweeps if there was a collection since the last sweep, and starts one when
// as many bytes are in use besides as were live then.
func (sh *shared) pace() {
	r := &sh.registry
	if collections.Load() != r.seen {
		sh.sweep()
	}
	if sh.arena.used >= r.live+max(r.live, minCollect) && time.Now().After(r.paused) {
		sh.collect()
	}
}

// collect runs the collector, sweeps, and puts off the next paced collection in
// proportion to the time this one took.
func (sh *shared) collect() {
	begin := time.Now()
	sh.age()
	called.run()
	sh.registry.forced = called.count()
	sh.sweep()
	sh.registry.live = sh.arena.used // the cycle may not have been counted yet
	took := time.Since(begin)
	sh.counts.Collections++
	sh.counts.CollectTime += took
	sh.registry.paused = begin.Add(maxShare * took)
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
