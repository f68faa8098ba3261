package array

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// Ordinary Go memory travels to and from the device through pinned buffers: the
// driver copies between these and the device at the bus's speed and beside the
// program, but between ordinary memory and the device at that of one core. A large
// copy is cut into parts, which several goroutines take one after another: while
// some fill or empty buffers, the device copies others. They put their copies into
// the stream themselves, without the device's lock, which they would wait for more
// than they copy: the order of parts does not matter, and that against other work is
// kept by the transfer's begin and end.
type staging struct {
	small   ring // for copies of up to smallBytes: its buffers are made quickly
	large   ring
	workers int // goroutines that share a large copy, at most
}

const (
	smallBuffers = 4
	smallBytes   = 64 << 10 // of each
	largeBuffers = maxWorkers * handBuffers
	largeBytes   = 1 << 20 // of each
	maxWorkers   = 8       // a core copies 5 to 8 GB/s, the bus takes about 50
	handBuffers  = 2       // that a goroutine has: while it fills or empties one, the device copies the other
)

// A ring hands out buffers, that which was used longest ago first. The channel
// holds those that nobody uses now; the device may still be copying from them.
type ring struct {
	buffers chan *pinned
	bytes   int          // of each
	waiting atomic.Int32 // goroutines that wait for a buffer
}

// pinned is a buffer of a ring. Its memory is made when it is first used.
type pinned struct {
	mem    *driver.PinnedMem
	event  *driver.Event // after the last copy
	flying bool          // that copy is not known to be complete
}

func (s *staging) init() {
	s.small.init(smallBuffers, smallBytes)
	s.large.init(largeBuffers, largeBytes)
	s.workers = min(runtime.GOMAXPROCS(0), maxWorkers)
}

func (r *ring) init(buffers, bytes int) {
	r.buffers, r.bytes = make(chan *pinned, buffers), bytes
	for range buffers {
		r.buffers <- new(pinned)
	}
}

// take returns the buffer that was used longest ago, when the device is done with
// it. It must be put back. Where all are in use it waits, or returns nil if wait is
// false: who has one must not wait for another, as all may do that.
func (r *ring) take(ctx *driver.Context, wait bool) (p *pinned, err error) {
	select {
	case p = <-r.buffers:
	default:
		if !wait {
			return nil, nil
		}
		r.waiting.Add(1)
		p = <-r.buffers
		r.waiting.Add(-1)
	}
	if err := p.prepare(ctx, r.bytes); err != nil {
		r.put(p)
		return nil, err
	}
	return p, nil
}

func (r *ring) put(p *pinned) { r.buffers <- p }

// A hand is the buffers that one goroutine has for its parts of a copy. They are its
// own, so that they stay in its core's cache, until others wait for one.
type hand struct {
	ring *ring
	has  int       // those in use included
	free []*pinned // that used longest ago first
}

// take returns a buffer that the device is done with: another of the ring while it
// may have one, rather than wait for one of its own. It returns nil where all that it
// has are in use and the ring has none. Who has none waits.
func (h *hand) take(ctx *driver.Context) (*pinned, error) {
	if h.has < handBuffers && (len(h.free) == 0 || h.free[0].flying) {
		p, err := h.ring.take(ctx, h.has == 0)
		if p != nil {
			h.has++
		}
		if p != nil || err != nil || len(h.free) == 0 {
			return p, err
		}
	}
	p := h.free[0]
	if err := p.wait(); err != nil {
		return nil, err
	}
	h.free = append(h.free[:0], h.free[1:]...)
	return p, nil
}

// put takes a buffer back that is not used any more, but by the device.
func (h *hand) put(p *pinned) {
	if h.ring.waiting.Load() > 0 {
		h.has--
		h.ring.put(p)
		return
	}
	h.free = append(h.free, p)
}

// empty gives all buffers back.
func (h *hand) empty() {
	for _, p := range h.free {
		h.ring.put(p)
	}
}

// prepare makes what the buffer lacks, and waits until the device is done with it.
func (p *pinned) prepare(ctx *driver.Context, bytes int) (err error) {
	if p.mem == nil {
		if p.mem, err = ctx.AllocPinned(bytes, driver.PinnedConfig{}); err != nil {
			return err
		}
	}
	if p.event == nil {
		p.event, err = ctx.NewEvent(driver.EventConfig{Blocking: true})
		return err
	}
	return p.wait()
}

// impatience is how long a wait asks for its end again and again before it has the
// system wake it, which takes tens of microseconds: a buffer of 1 MiB takes 20.
const impatience = 100 * time.Microsecond

// wait waits for the buffer's last copy.
func (p *pinned) wait() error {
	if !p.flying {
		return nil
	}
	done, err := p.event.Done()
	for start := time.Now(); !done && err == nil && time.Since(start) < impatience; done, err = p.event.Done() {
		runtime.Gosched()
	}
	if !done && err == nil {
		err = p.event.Synchronize()
	}
	p.flying = err != nil
	return err
}

// copied records the buffer's event after a copy. Where that fails it waits for the
// copy: the buffer must not go back to the ring while the device uses it.
func (p *pinned) copied(s *driver.Stream) error {
	err := p.event.Record(s)
	if err != nil {
		return errors.Join(err, s.Synchronize())
	}
	p.flying = true
	return nil
}

// close gives all buffers back; nobody uses one any more.
func (s *staging) close() error {
	var errs []error
	for _, r := range []*ring{&s.small, &s.large} {
		for range cap(r.buffers) {
			p := <-r.buffers
			errs = append(errs, p.event.Close(), p.mem.Close())
		}
	}
	return errors.Join(errs...)
}

// A transfer is a copy between host memory and a storage, which it holds. Between
// begin and end, which take the device's lock, its copies are put into the stream
// beside what other goroutines queue.
type transfer struct {
	dev    *Device
	store  *storage
	at     uint64 // where in the storage
	host   []byte
	up     bool // to the device, over all of the storage's memory
	failed bool
	before mark // the stream's work before it
}

// begin checks the storage and keeps it until end, also where it is freed
// meanwhile, and makes the stream wait for what the copies need. Close of the Device
// waits for the end. what is said where a graph is captured, which cannot do it.
func (t *transfer) begin(c call, what string) *Error {
	d := t.dev
	if d == nil || d.sh == nil {
		return d.check(c)
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if err := d.open(c); err != nil {
		return err
	}
	if d.capturing() != nil {
		return c.uncapturable(what)
	}
	if err := t.store.usable(c); err != nil {
		return err
	}
	if err := t.waits(); err != nil {
		return c.deviceError(err)
	}
	t.before = d.stream.now()
	t.store.holds++
	d.stream.transfers++
	d.sh.busy++
	return nil
}

// waits makes the stream wait for other streams' work on the storage.
func (t *transfer) waits() error {
	switch b, st := t.store.block, t.dev.stream; {
	case b == nil:
		return nil
	case t.up:
		return b.beforeWrite(st)
	default:
		return b.beforeRead(st)
	}
}

// end notes in the block's history what the device may still be doing: its number
// follows those of all work that was queued among the copies.
func (t *transfer) end() {
	sh, st, b := t.dev.sh, t.dev.stream, t.store.block
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch {
	case b == nil, len(t.host) == 0: // nothing was queued, nor waited for
	case t.up:
		b.write(st.next())
	case t.failed:
		b.read(st.next())
	default: // the host has it all, and what was queued before is complete
		st.done = max(st.done, t.before.seq)
	}
	t.store.release()
	st.transfers--
	sh.busy--
	if st.transfers == 0 || sh.busy == 0 {
		sh.idle.Broadcast()
	}
}

// upload queues a copy of src to a new storage, which only a scope that ends may
// free meanwhile. When it returns, src may be changed.
func (d *Device) upload(c call, dst *storage, src []byte) *Error {
	t := transfer{dev: d, store: dst, host: src, up: true}
	if err := t.begin(c, "A copy from host memory"); err != nil {
		return err
	}
	defer t.end()
	if len(src) == 0 {
		return nil
	}
	return c.asDeviceError(t.run())
}

// download copies bytes of a storage to dst and waits for them, but not for what
// is queued behind. It returns what was wrong with what they were computed from.
func (d *Device) download(c call, dst []byte, src *storage, at uint64) *Error {
	t := transfer{dev: d, store: src, at: at, host: dst}
	if err := t.begin(c, "A read by the host"); err != nil {
		return err
	}
	defer t.end()
	if len(dst) == 0 {
		return nil
	}
	if err := t.run(); err != nil {
		return c.deviceError(err)
	}
	return src.examine(c)
}

// run copies all bytes.
func (t *transfer) run() (err error) {
	s := &t.dev.sh.staging
	if len(t.host) <= s.small.bytes {
		err = t.whole(&s.small)
	} else {
		shared := *t // only this one goes to other goroutines, and so to the heap
		err = s.share(len(t.host), shared.parts)
	}
	t.failed = err != nil
	return err
}

// whole copies all bytes through one buffer.
func (t *transfer) whole(r *ring) error {
	p, err := r.take(t.dev.sh.ctx, true)
	if err != nil {
		return err
	}
	defer r.put(p)
	f := flight{p, 0, len(t.host)}
	if err := t.send(f); err != nil || t.up {
		return err
	}
	return t.land(f)
}

// parts hands out a copy's bytes, a part at a time, to the goroutines that share it.
type parts struct {
	all, each int64
	taken     atomic.Int64
}

// take returns the next part; it is empty when there is none left.
func (p *parts) take() (from, to int) {
	end := p.taken.Add(p.each)
	return int(min(end-p.each, p.all)), int(min(end, p.all))
}

// share calls f, which takes parts of n bytes until there is none, from several
// goroutines, and returns the first error. After an error there are no more parts.
func (s *staging) share(n int, f func(h *hand, p *parts) error) error {
	p := &parts{all: int64(n), each: int64(s.large.bytes)}
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	work := func() {
		h := hand{ring: &s.large}
		defer h.empty()
		if err := f(&h, p); err != nil {
			p.taken.Store(p.all)
			once.Do(func() { first = err })
		}
	}
	for range min(int64(s.workers), (p.all+p.each-1)/p.each) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return first
}

// parts copies parts until there is none.
func (t *transfer) parts(h *hand, p *parts) error {
	if t.up {
		return t.sendAll(h, p)
	}
	return t.landAll(h, p)
}

// sendAll queues copies of parts to the device.
func (t *transfer) sendAll(h *hand, p *parts) error {
	for from, to := p.take(); from < to; from, to = p.take() {
		b, err := h.take(t.dev.sh.ctx)
		if err != nil {
			return err
		}
		err = t.send(flight{b, from, to})
		h.put(b)
		if err != nil {
			return err
		}
	}
	return nil
}

// landAll copies parts from the device and waits for them. While it empties one
// buffer, another is filled.
func (t *transfer) landAll(h *hand, p *parts) (failed error) {
	var flights []flight // that under way for longest first
	from, to := p.take()
	for from < to && failed == nil || len(flights) > 0 {
		if from < to && failed == nil && len(flights) < handBuffers {
			b, err := h.take(t.dev.sh.ctx)
			if b != nil {
				f := flight{b, from, to}
				if err = t.send(f); err == nil {
					flights = append(flights, f)
					from, to = p.take()
					continue
				}
				h.put(b)
			}
			if failed = err; err != nil {
				continue
			}
		}
		f := flights[0]
		flights = append(flights[:0], flights[1:]...)
		failed = errors.Join(failed, t.land(f))
		h.put(f.p)
	}
	return failed
}

// flight is the copy of one part.
type flight struct {
	p        *pinned
	from, to int
}

// send queues the copy.
func (t *transfer) send(f flight) (err error) {
	q, n := t.dev.stream.queue, uint64(f.to-f.from)
	at := t.store.address() + driver.Ptr(t.at) + driver.Ptr(f.from)
	if t.up {
		copy(f.p.mem.Bytes(), t.host[f.from:f.to])
		err = q.CopyHtoD(at, f.p.mem, 0, n)
	} else {
		err = q.CopyDtoH(f.p.mem, 0, at, n)
	}
	if err != nil {
		return err
	}
	return f.p.copied(q)
}

// land waits for a copy from the device and moves it to its place.
func (t *transfer) land(f flight) error {
	err := f.p.wait()
	if err == nil {
		copy(t.host[f.from:f.to], f.p.mem.Bytes())
	}
	return err
}
