package array

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// staging is a ring of pinned buffers through which ordinary Go memory travels to
// and from the device. The channel holds the buffers that nobody uses now; the
// device may still be copying from them.
type staging struct{ ring chan *pinned }

// pinned is a buffer of the ring. Its memory is made when it is first used.
type pinned struct {
	mem   *driver.PinnedMem
	event *driver.Event // after the last copy
}

const (
	stagingBuffers = 4
	stagingBytes   = 2 << 20 // of each
)

func (s *staging) init() {
	s.ring = make(chan *pinned, stagingBuffers)
	for range stagingBuffers {
		s.ring <- new(pinned)
	}
}

// take returns the buffer that was used longest ago, when the device is done with
// it. It must be put back. Where all are in use it waits, or returns nil if wait is
// false: who has one must not wait for another, as all may do that.
func (s *staging) take(ctx *driver.Context, wait bool) (*pinned, error) {
	var p *pinned
	if wait {
		p = <-s.ring
	} else {
		select {
		case p = <-s.ring:
		default:
			return nil, nil
		}
	}
	if err := p.prepare(ctx); err != nil {
		s.put(p)
		return nil, err
	}
	return p, nil
}

func (s *staging) put(p *pinned) { s.ring <- p }

func (p *pinned) prepare(ctx *driver.Context) (err error) {
	if p.mem == nil {
		if p.mem, err = ctx.AllocPinned(stagingBytes, driver.PinnedConfig{}); err != nil {
			return err
		}
	}
	if p.event == nil {
		p.event, err = ctx.NewEvent(driver.EventConfig{Blocking: true})
		return err
	}
	return p.event.Synchronize()
}

// close gives all buffers back; nobody uses one any more.
func (s *staging) close() error {
	var errs []error
	for range stagingBuffers {
		p := <-s.ring
		errs = append(errs, p.event.Close(), p.mem.Close())
	}
	return errors.Join(errs...)
}

// upload queues a copy of src to a new storage, which only a scope that ends may
// free meanwhile. When it returns, src may be changed.
func (d *Device) upload(c call, dst *storage, src []byte) *Error {
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	if err := dst.hold(c); err != nil {
		return err
	}
	defer dst.unhold()
	for at := 0; at < len(src); at += stagingBytes {
		if err := d.uploadPart(dst, uint64(at), src[at:min(at+stagingBytes, len(src))]); err != nil {
			return c.deviceError(err)
		}
	}
	return nil
}

func (d *Device) uploadPart(dst *storage, at uint64, part []byte) error {
	sh := d.sh
	p, err := sh.staging.take(sh.ctx, true)
	if err != nil {
		return err
	}
	defer sh.staging.put(p)
	copy(p.mem.Bytes(), part)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if err := dst.block.beforeWrite(d.stream); err != nil {
		return err
	}
	err = d.stream.queue.CopyHtoD(dst.address()+driver.Ptr(at), p.mem, 0, uint64(len(part)))
	dst.block.write(d.stream.next())
	if err != nil {
		return err
	}
	return p.copied(d.stream)
}

// copied records the buffer's event after a copy. Where that fails it waits for the
// copy: the buffer must not go back to the ring while the device uses it.
func (p *pinned) copied(s *stream) error {
	err := p.event.Record(s.queue)
	if err != nil {
		return errors.Join(err, s.queue.Synchronize())
	}
	return nil
}

// download copies bytes of a storage to dst and waits for them, but not for what
// is queued behind.
func (d *Device) download(c call, dst []byte, src *storage, at uint64) *Error {
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	if err := src.hold(c); err != nil {
		return err
	}
	defer src.unhold()
	var flights [stagingBuffers - 1]flight // a ring; one buffer stays for others
	first, count := 0, 0
	var failed error
	for at0 := at; count > 0 || failed == nil && at-at0 < uint64(len(dst)); {
		if rest := dst[at-at0:]; failed == nil && len(rest) > 0 && count < len(flights) {
			f, err := d.downloadPart(rest[:min(stagingBytes, len(rest))], src, at, count == 0)
			failed = err
			if f.p != nil {
				flights[(first+count)%len(flights)] = f
				count++
				at += uint64(len(f.dst))
				continue
			}
		}
		if count > 0 {
			if err := flights[first].land(d.sh); failed == nil {
				failed = err
			}
			first, count = (first+1)%len(flights), count-1
		}
	}
	if failed != nil {
		return c.deviceError(failed)
	}
	return nil
}

// flight is a copy from the device that is under way.
type flight struct {
	p   *pinned
	m   mark
	dst []byte
}

// downloadPart queues the copy of one part. The flight is empty where no buffer is
// free and wait is false.
func (d *Device) downloadPart(dst []byte, src *storage, at uint64, wait bool) (flight, error) {
	sh := d.sh
	p, err := sh.staging.take(sh.ctx, wait)
	if p == nil {
		return flight{}, err
	}
	sh.mu.Lock()
	defer sh.mu.Unlock()
	f := flight{p: p, dst: dst}
	err = src.block.beforeRead(d.stream)
	if err == nil {
		err = d.stream.queue.CopyDtoH(p.mem, 0, src.address()+driver.Ptr(at), uint64(len(dst)))
	}
	if err == nil {
		f.m = d.stream.next()
		src.block.read(f.m)
		err = p.copied(d.stream)
	}
	if err != nil {
		sh.staging.put(p)
		return flight{}, err
	}
	return f, nil
}

// land waits for the copy and moves it to its place.
func (f *flight) land(sh *shared) error {
	err := f.p.event.Synchronize()
	if err == nil {
		copy(f.dst, f.p.mem.Bytes())
		sh.reach(f.m)
	}
	sh.staging.put(f.p)
	f.p = nil
	return err
}

// hold keeps the storage's block until unhold, also where it is freed meanwhile.
func (s *storage) hold(c call) *Error {
	s.sh.mu.Lock()
	defer s.sh.mu.Unlock()
	if err := s.usable(c); err != nil {
		return err
	}
	s.holds++
	return nil
}

func (s *storage) unhold() {
	s.sh.mu.Lock()
	defer s.sh.mu.Unlock()
	if s.holds--; s.freed.op != "" {
		s.settle()
	}
}

// ToSlice returns the elements in row-major order. It waits for them, and returns
// the first error of what they were computed from. For rank 0 the slice has one
// element.
func (a *Array[T]) ToSlice() ([]T, error) {
	r, err := open("ToSlice", a.h(), nil)
	if err != nil {
		return nil, err
	}
	dst := make([]T, r.size())
	if err := r.fetch(bytesOf(dst)); err != nil {
		return nil, err
	}
	return dst, nil
}

// CopyTo copies the elements, in row-major order, to dst, whose length must be the
// array's size. It waits for them and returns the first error.
func (a *Array[T]) CopyTo(dst []T) error {
	n := len(dst)
	r, err := open("CopyTo", a.h(), &n)
	if err != nil {
		return err
	}
	return r.fetch(bytesOf(dst))
}

// Item returns the element of an array of size 1, of any rank. It waits for it.
func (a *Array[T]) Item() (T, error) {
	var dst [1]T
	r, err := openItem("Item", a.h())
	if err == nil {
		err = r.fetch(bytesOf(dst[:]))
	}
	return dst[0], err
}

// At returns the element at an index, one number for each axis, negative ones
// from the end. It waits for it.
func (a *Array[T]) At(index ...int) (T, error) {
	var dst [1]T
	r, err := openAt("At", a.h(), index)
	if err == nil {
		err = r.fetch(bytesOf(dst[:]))
	}
	return dst[0], err
}

// bytesOf is the memory of host elements.
func bytesOf[T Element](s []T) []byte {
	b, err := driver.Bytes(s)
	if err != nil {
		panic(err) // no Element holds pointers
	}
	return b
}

// A reading is an array, contiguous, that is about to be copied to the host.
type reading struct {
	call
	handle
	copied bool // it is a copy of the reader's own
}

// open checks an array that is to be read, and packs it where it is not contiguous:
// before the host makes room for it, as a broadcast array may be larger than any
// memory. room, if given, must be its size.
func open(op string, h handle, room *int) (reading, error) { return here(op).open(h, room) }

func (c call) open(h handle, room *int) (reading, error) {
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if size := h.node.Len(); room != nil && size != *room {
		return reading{}, c.fail(because(ErrShape, "room for %d elements, the array has %d", *room, size), h)
	}
	if h.node.IsContiguous() {
		return reading{c, h, false}, nil
	}
	packed, err := c.pack(h)
	if err != nil {
		return reading{}, err
	}
	return reading{c, packed, true}, nil
}

// openItem is open for an array of one element.
func openItem(op string, h handle) (reading, error) {
	c := here(op)
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if size := h.node.Len(); size != 1 {
		return reading{}, c.fail(because(ErrShape, "Item reads an array of one element, this one has %d; At(index...) reads one of many", size), h)
	}
	return c.open(h, nil)
}

// openAt is open for one element.
func openAt(op string, h handle, index []int) (reading, error) {
	c := here(op)
	if err := c.ready(h); err != nil {
		return reading{}, err
	}
	if len(index) != h.node.Rank {
		return reading{}, c.fail(because(ErrIndex, "%d indices for an array of rank %d", len(index), h.node.Rank), h)
	}
	var list [kernels.MaxRank]Index
	for i, x := range index {
		list[i] = I(x)
	}
	l, err := slice(&h.node.layout, list[:len(index)])
	if err != nil {
		return reading{}, c.fail(err, h)
	}
	return reading{c, c.view(h, l), false}, nil
}

// fetch copies the elements to host memory of their size.
func (r *reading) fetch(dst []byte) error {
	if r.copied {
		defer r.handle.free(r.call)
	}
	if len(dst) == 0 {
		return nil
	}
	n := r.node
	return asError(r.of(r.dev.download(r.call, dst, n.root().store, uint64(n.Offset)*uint64(n.typ.Size())), r.handle))
}
