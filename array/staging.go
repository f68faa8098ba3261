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
// some fill or empty buffers, the device copies others.
type staging struct {
	small   ring // for copies of up to smallBytes: its buffers are made quickly
	large   ring
	workers int // goroutines that share a large copy, at most
}

const (
	smallBuffers = 4
	smallBytes   = 64 << 10 // of each
	largeBuffers = 16
	largeBytes   = 1 << 20 // of each
	maxWorkers   = 8       // a core copies 6 to 11 GB/s, the bus takes about 50
)

// A ring hands out buffers, that which was used longest ago first. The channel
// holds those that nobody uses now; the device may still be copying from them.
type ring struct {
	buffers chan *pinned
	bytes   int // of each
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
func (r *ring) take(ctx *driver.Context, wait bool) (*pinned, error) {
	var p *pinned
	if wait {
		p = <-r.buffers
	} else {
		select {
		case p = <-r.buffers:
		default:
			return nil, nil
		}
	}
	if err := p.prepare(ctx, r.bytes); err != nil {
		r.put(p)
		return nil, err
	}
	return p, nil
}

func (r *ring) put(p *pinned) { r.buffers <- p }

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
	return p.wait(false)
}

// impatience is how long a short wait asks for its end again and again before it
// has the system wake it, which takes tens of microseconds.
const impatience = 50 * time.Microsecond

// wait waits for the buffer's last copy.
func (p *pinned) wait(short bool) error {
	if !p.flying {
		return nil
	}
	var done bool
	var err error
	for start := time.Now(); short && !done && err == nil && time.Since(start) < impatience; runtime.Gosched() {
		done, err = p.event.Done()
	}
	if !done && err == nil {
		err = p.event.Synchronize()
	}
	p.flying = err != nil
	return err
}

// copied records the buffer's event after a copy. Where that fails it waits for the
// copy: the buffer must not go back to the ring while the device uses it.
func (p *pinned) copied(s *stream) error {
	err := p.event.Record(s.queue)
	if err != nil {
		return errors.Join(err, s.queue.Synchronize())
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

// A transfer is a copy between host memory and a storage, which it holds.
type transfer struct {
	dev   *Device
	store *storage
	at    uint64 // where in the storage
	host  []byte
}

// begin checks the storage and keeps it until end, also where it is freed
// meanwhile. Close of the Device waits for the end. what is said where a graph is
// captured, which cannot do it.
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
	t.store.holds++
	d.sh.busy++
	return nil
}

func (t *transfer) end() {
	t.dev.sh.mu.Lock()
	t.store.release()
	t.dev.sh.mu.Unlock()
	t.dev.leave()
}

// upload queues a copy of src to a new storage, which only a scope that ends may
// free meanwhile. When it returns, src may be changed.
func (d *Device) upload(c call, dst *storage, src []byte) *Error {
	t := transfer{dev: d, store: dst, host: src}
	if err := t.begin(c, "A copy from host memory"); err != nil {
		return err
	}
	defer t.end()
	staging := &d.sh.staging
	if len(src) == 0 {
		return nil
	}
	if len(src) <= staging.small.bytes {
		return c.asDeviceError(t.uploadPart(&staging.small, 0, len(src)))
	}
	shared := t // only this one goes to other goroutines, and so to the heap
	return c.asDeviceError(staging.share(len(src), func(p *parts) error { return shared.upload(&staging.large, p) }))
}

// download copies bytes of a storage to dst and waits for them, but not for what
// is queued behind. It returns what was wrong with what they were computed from.
func (d *Device) download(c call, dst []byte, src *storage, at uint64) *Error {
	t := transfer{dev: d, store: src, at: at, host: dst}
	if err := t.begin(c, "A read by the host"); err != nil {
		return err
	}
	defer t.end()
	staging := &d.sh.staging
	if len(dst) <= staging.small.bytes {
		f, err := t.downloadPart(&staging.small, 0, len(dst), true)
		if err == nil {
			err = f.land(&t, &staging.small)
		}
		if err != nil {
			return c.deviceError(err)
		}
		return src.examine(c)
	}
	shared := t // only this one goes to other goroutines, and so to the heap
	if err := staging.share(len(dst), func(p *parts) error { return shared.download(&staging.large, p) }); err != nil {
		return c.deviceError(err)
	}
	return src.examine(c)
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
func (s *staging) share(n int, f func(p *parts) error) error {
	p := &parts{all: int64(n), each: int64(s.large.bytes)}
	var wg sync.WaitGroup
	var once sync.Once
	var first error
	work := func() {
		if err := f(p); err != nil {
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

// upload copies parts to the device until there is none.
func (t *transfer) upload(r *ring, p *parts) error {
	for {
		from, to := p.take()
		if from == to {
			return nil
		}
		if err := t.uploadPart(r, from, to); err != nil {
			return err
		}
	}
}

func (t *transfer) uploadPart(r *ring, from, to int) error {
	sh, st := t.dev.sh, t.dev.stream
	p, err := r.take(sh.ctx, true)
	if err != nil {
		return err
	}
	defer r.put(p)
	n := copy(p.mem.Bytes(), t.host[from:to])
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b := t.store.block
	if err := b.beforeWrite(st); err != nil {
		return err
	}
	err = st.queue.CopyHtoD(t.store.address()+driver.Ptr(t.at)+driver.Ptr(from), p.mem, 0, uint64(n))
	b.write(st.next())
	if err != nil {
		return err
	}
	return p.copied(st)
}

// flightsAhead is how many copies from the device a goroutine has under way: while
// it empties one buffer, another is filled.
const flightsAhead = 2

// download copies parts from the device until there is none, and waits for them.
func (t *transfer) download(r *ring, p *parts) error {
	var flights [flightsAhead]flight // a ring
	first, count, more := 0, 0, true
	var failed error
	from, to := p.take()
	for more = from < to; count > 0 || more; {
		if more && count < len(flights) {
			f, err := t.downloadPart(r, from, to, count == 0)
			if failed = err; err != nil {
				more = false
				continue
			}
			if f.p != nil {
				flights[(first+count)%len(flights)] = f
				count++
				from, to = p.take()
				more = from < to
				continue
			}
		}
		if err := flights[first].land(t, r); err != nil {
			failed, more = errors.Join(failed, err), false
		}
		first, count = (first+1)%len(flights), count-1
	}
	return failed
}

// flight is a copy from the device that is under way.
type flight struct {
	p        *pinned
	m        mark
	from, to int
}

// downloadPart queues the copy of one part. The flight is empty where no buffer is
// free and wait is false.
func (t *transfer) downloadPart(r *ring, from, to int, wait bool) (flight, error) {
	sh, st := t.dev.sh, t.dev.stream
	p, err := r.take(sh.ctx, wait)
	if p == nil {
		return flight{}, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	b, f := t.store.block, flight{p: p, from: from, to: to}
	if err = b.beforeRead(st); err == nil {
		err = st.queue.CopyDtoH(p.mem, 0, t.store.address()+driver.Ptr(t.at)+driver.Ptr(from), uint64(to-from))
	}
	if err == nil {
		f.m = st.next()
		b.read(f.m)
		err = p.copied(st)
	}
	if err != nil {
		r.put(p)
		return flight{}, err
	}
	return f, nil
}

// land waits for the copy and moves it to its place.
func (f *flight) land(t *transfer, r *ring) error {
	err := f.p.wait(f.to-f.from <= smallBytes)
	if err == nil {
		copy(t.host[f.from:f.to], f.p.mem.Bytes())
		t.dev.sh.reach(f.m)
	}
	r.put(f.p)
	f.p = nil
	return err
}
