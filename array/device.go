package array

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A Device is a GPU, or the simulated device, with a stream of its own: the work
// of one Device runs in the order in which it was queued. A Device may be used
// from any goroutine. A nil or zero Device makes Arrays that carry ErrDevice.
type Device struct {
	sh     *shared
	stream *stream
	scope  *scope
	part   bool       // made by Scope or Capture, which end it
	rec    *recording // of Capture, or nil
}

// shared is what all Devices forked from one have in common: the memory, the
// kernels, and the lock that orders work. A driver call that waits is not made
// under the lock, but for Trim, and where all status cells are in use.
type shared struct {
	ctx       *driver.Context
	name      string
	simulated bool
	cc        int    // compute capability that kernels are chosen for, major·10 + minor
	total     uint64 // bytes of the device's memory
	announces bool   // blocks are announced with MarkMemory

	multiprocessors, blockMemory int // see kernels.Plan; 0 where plans are not to depend on them

	kernels kernelCache
	staging staging

	mu        sync.Mutex // guards all below, and all storages, blocks and streams
	idle      sync.Cond  // signalled when busy, or a stream's transfers, become 0
	busy      int        // operations in progress
	closed    bool
	root      *Device
	streams   []*stream
	graphs    []*graph
	arena     arena
	segments  map[uint64]*driver.Mem
	reserved  uint64 // bytes of all segments
	limit     uint64 // of reserved; 0 is none
	registry  registry
	nursery   nursery
	statuses  statuses
	moved     *int   // bytes that kernels read and write are added to it: for tests
	eager     bool   // expressions are evaluated at once: for tests
	missing   string // the key of a kernel that an evaluation lacked
	setAside  uint64 // bytes of storages that only expressions refer to
	relieving bool   // relieve is in progress
	late      error  // what giving memory back met, for the next Sync or Close
	counts    counts
}

// counts are the running totals that Stats shows.
type counts struct {
	Launches    uint64
	Reserves    uint64
	Collections uint64
	CollectTime time.Duration
}

// leastCC is the compute capability that kernels are written for at least.
const leastCC = 75

// kernelCapability is the compute capability that kernels are chosen for. Those of
// clusters are of PTX 8.1, which drivers before CUDA 12.1 refuse: there they are not
// used.
func kernelCapability(cc int, v driver.Version) int {
	if cc >= 90 && v < 12010 {
		return 89
	}
	return cc
}

// newDevice takes hold of a device of the driver.
func newDevice(dev *driver.Device, simulated bool) (*Device, error) {
	noCache, err := withoutCache()
	if err != nil {
		return nil, err
	}
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return nil, err
	}
	model, err := dev.Name()
	if err != nil {
		return nil, err
	}
	if 10*major+minor < leastCC {
		return nil, because(ErrDevice, "%s has compute capability %d.%d, and at least %d.%d is needed; compute without it with %s=sim", model, major, minor, leastCC/10, leastCC%10, DeviceVariable)
	}
	total, err := dev.TotalMem()
	if err != nil {
		return nil, err
	}
	ctx, err := dev.Context()
	if err != nil {
		return nil, err
	}
	sh := &shared{ctx: ctx, simulated: simulated, announces: simulated, cc: kernelCapability(10*major+minor, dev.Driver().Version()), total: total, segments: map[uint64]*driver.Mem{}}
	sh.idle.L = &sh.mu
	if !simulated {
		sh.limit = platformOf(dev, ctx).defaultLimit()
		// The simulated device runs few blocks at a time: those that stay would poll.
		if err := sh.know(dev); err != nil {
			return nil, errors.Join(err, ctx.Close())
		}
	}
	sh.name = fmt.Sprintf("%s (cuda:%d, compute capability %d.%d)", model, dev.Ordinal(), major, minor)
	if simulated {
		sh.name = fmt.Sprintf("%s, compute capability %d.%d; no GPU is used", model, major, minor)
	}
	sh.arena.init(sh, noCache)
	sh.staging.init()
	st, err := sh.newStream()
	if err != nil {
		return nil, errors.Join(err, ctx.Close())
	}
	sh.root = &Device{sh: sh, stream: st}
	watchCollections()
	return sh.root, nil
}

// know asks what plans depend on besides the compute capability.
func (sh *shared) know(dev *driver.Device) (err error) {
	if sh.multiprocessors, err = dev.Attribute(driver.AttrMultiprocessorCount); err == nil {
		sh.blockMemory, err = dev.Attribute(driver.AttrMaxSharedMemoryPerBlockOptin)
	}
	return err
}

// withoutCache reads the variable that turns the cache of device memory off.
func withoutCache() (bool, error) {
	const variable = "GPUARRAY_NO_CACHE"
	value := os.Getenv(variable)
	if value != "" && value != "0" && value != "1" {
		return false, because(ErrDevice, "%s=%s is neither 0 nor 1", variable, value)
	}
	return value == "1", nil
}

// newStream makes a stream with its event.
func (sh *shared) newStream() (*stream, error) {
	q, err := sh.ctx.NewStream(driver.StreamConfig{})
	if err != nil {
		return nil, err
	}
	ev, err := sh.ctx.NewEvent(driver.EventConfig{})
	if err != nil {
		return nil, errors.Join(err, q.Close())
	}
	st := &stream{queue: q, event: ev}
	sh.mu.Lock()
	sh.streams = append(sh.streams, st)
	sh.mu.Unlock()
	return st, nil
}

// String says plainly what the device is.
func (d *Device) String() string {
	if d == nil || d.sh == nil {
		return "no device"
	}
	return d.sh.name
}

// Simulated says whether the device is the simulated one.
func (d *Device) Simulated() bool { return d != nil && d.sh != nil && d.sh.simulated }

// check returns why the device cannot be used, or nil.
func (d *Device) check(c call) *Error {
	if d == nil || d.sh == nil {
		return c.fail(because(ErrDevice, "the Device is nil or zero; array.Open makes one"))
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	return d.open(c)
}

// open is check under the lock.
func (d *Device) open(c call) *Error {
	switch {
	case d.sh.closed:
		return c.fail(because(ErrDevice, "the Device was closed: %v", d))
	case d.stream.closed:
		return c.fail(because(ErrDevice, "this fork was closed, of %v", d))
	}
	return nil
}

// enter begins an operation, which Close waits for; leave ends it.
func (d *Device) enter(c call) *Error {
	if d == nil || d.sh == nil {
		return d.check(c)
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	if err := d.open(c); err != nil {
		return err
	}
	d.sh.busy++
	return nil
}

func (d *Device) leave() {
	d.sh.mu.Lock()
	if d.sh.busy--; d.sh.busy == 0 {
		d.sh.idle.Broadcast()
	}
	d.sh.mu.Unlock()
}

// deviceError makes the call's error of one of the driver. Errors of this package
// pass through.
func (c call) deviceError(err error, operands ...handle) *Error {
	var e *Error
	var r *reason
	switch {
	case errors.As(err, &e):
		return e
	case errors.As(err, &r):
		return c.fail(err, operands...)
	case errors.Is(err, driver.ErrorOutOfMemory):
		return c.fail(&reason{ErrOutOfMemory, "the driver has no memory left", err}, operands...)
	}
	return c.fail(&reason{ErrDevice, "the device failed", err}, operands...)
}

// asDeviceError is deviceError where there may be none.
func (c call) asDeviceError(err error) *Error {
	if err == nil {
		return nil
	}
	return c.deviceError(err)
}

// asError returns nil for a nil *Error, which an error holding one is not.
func asError(e *Error) error {
	if e == nil {
		return nil
	}
	return e
}

// Sync waits until all work queued on d is done and returns the device's error if
// it failed. It does not wait for forks of d.
func (d *Device) Sync() error { return asError(d.sync(directly("Device.Sync"))) }

func (d *Device) sync(c call) *Error {
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	if err := d.hostless(c, "Waiting"); err != nil {
		return err
	}
	d.sh.mu.Lock()
	d.stream.launchWaiting(d.sh, nil)
	m, late := d.stream.now(), d.sh.late
	d.sh.late = nil
	d.sh.mu.Unlock()
	if err := d.stream.queue.Synchronize(); err != nil {
		return c.deviceError(err)
	}
	d.sh.reach(m)
	if late != nil {
		return c.deviceError(late)
	}
	return nil
}

// reach notes that the work at m is complete.
func (sh *shared) reach(m mark) {
	sh.mu.Lock()
	m.stream.done = max(m.stream.done, m.seq)
	sh.mu.Unlock()
}

// Fork returns a Device over the same memory with a stream of its own, whose work
// may run at the same time as d's. Arrays move between the two with [Array.On];
// where one stream needs what another computes, or overwrites what another reads,
// it is made to wait. Close gives the stream back; closing the Device that was
// opened closes its forks.
func (d *Device) Fork() (*Device, error) {
	c := directly("Device.Fork")
	if err := d.enter(c); err != nil {
		return nil, err
	}
	defer d.leave()
	if err := d.hostless(c, "A fork"); err != nil { // and needs none: what does not depend on one another runs at the same time
		return nil, err
	}
	st, err := d.sh.newStream()
	if err != nil {
		return nil, c.deviceError(err)
	}
	return &Device{sh: d.sh, stream: st, scope: d.scope}, nil
}

// Scope calls f with a Device that is d, but for one thing: what is made on it is
// freed when f returns, except Arrays on which Keep was called. It returns f's
// error. Results belong to the receiver's Device, so an Array x made outside takes
// part as x.On(s). Forks of s belong to the scope too. Once it has ended, s, its
// forks and the Arrays kept may still be used: what is made with them then belongs
// to the scope around it, if there is one.
func (d *Device) Scope(f func(s *Device) error) error {
	c := directly("Device.Scope")
	if err := d.enter(c); err != nil {
		return err
	}
	d.leave() // f may close d
	if f == nil {
		return c.fail(because(ErrArgument, "the function is nil, so there is nothing to give the Device to"))
	}
	s := &Device{sh: d.sh, stream: d.stream, scope: &scope{parent: d.scope}, part: true, rec: d.rec}
	defer func() {
		d.sh.mu.Lock()
		defer d.sh.mu.Unlock()
		s.scope.end(d.sh, c)
	}()
	return f(s)
}

// Close waits for the device and gives everything back: on a fork its stream, on
// the Device that was opened all memory, kernels and forks. It returns the first
// error that the device still had to tell. A second Close does nothing. Arrays of
// a closed Device are errors to use.
func (d *Device) Close() error {
	c := directly("Device.Close")
	switch {
	case d == nil || d.sh == nil:
		return d.check(c)
	case d.part:
		return c.fail(because(ErrDevice, "this Device belongs to a Scope or a Capture, which ends it"))
	case d.stream != d.sh.root.stream: // a copy of the Device that was opened is that Device
		return asError(d.closeFork(c))
	}
	return asError(d.sh.close(c))
}

func (d *Device) closeFork(c call) *Error {
	sh := d.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	for d.stream.transfers > 0 && !sh.closed {
		sh.idle.Wait()
	}
	if sh.closed || d.stream.closed {
		return nil
	}
	for i, s := range sh.streams {
		if s == d.stream {
			sh.streams = append(sh.streams[:i], sh.streams[i+1:]...)
			break
		}
	}
	err := d.stream.close()
	if t := d.stream.tickets; t != nil {
		d.stream.tickets = nil
		sh.giveBack(t)
	}
	if err != nil {
		return c.deviceError(err)
	}
	return nil
}

// close waits for the stream's work and gives it back. The caller holds the lock.
func (s *stream) close() error {
	err := s.queue.Synchronize()
	s.closed = true
	return errors.Join(err, s.event.Close(), s.queue.Close())
}

func (sh *shared) close(c call) *Error {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return nil
	}
	sh.closed = true
	for sh.busy > 0 {
		sh.idle.Wait()
	}
	unwatchCollections()
	errs := []error{sh.late}
	for _, s := range sh.streams {
		errs = append(errs, s.close())
	}
	errs = append(errs, sh.kernels.close(), sh.staging.close())
	for _, g := range sh.graphs {
		errs = append(errs, g.end())
	}
	for _, m := range sh.segments {
		errs = append(errs, m.Close())
	}
	sh.age() // an Array that the program has yet keeps sh, and is not to keep the others
	sh.graphs, sh.segments, sh.registry, sh.arena = nil, nil, registry{}, arena{}
	if err := errors.Join(append(errs, sh.ctx.Close())...); err != nil {
		return c.deviceError(err)
	}
	return nil
}

// kernelCache holds the kernels that were assembled, by key. Keys are assembled
// when first needed, each once, however many goroutines ask. A failure is not
// remembered: a later call tries again.
type kernelCache struct {
	mu      sync.RWMutex
	ready   map[string]*kernelEntry
	pending map[string]*kernelEntry
}

type kernelEntry struct {
	once   sync.Once
	module *driver.Module
	kernel *driver.Kernel
	err    error
}

// kernel returns the kernel for a key.
func (d *Device) kernel(c call, key string) (*driver.Kernel, error) {
	if k := d.sh.kernels.lookup(key); k != nil {
		return k, nil
	}
	if err := d.enter(c); err != nil { // so that Close waits for the module
		return nil, err
	}
	defer d.leave()
	return d.sh.load(key)
}

// load assembles a kernel that was not found.
func (sh *shared) load(key string) (*driver.Kernel, error) {
	e := sh.kernels.entry(key)
	e.once.Do(func() { sh.kernels.settle(key, e, e.assemble(sh, key)) })
	return e.kernel, e.err
}

// lookup returns a kernel that is assembled, or nil.
func (k *kernelCache) lookup(key string) *driver.Kernel {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if e := k.ready[key]; e != nil {
		return e.kernel
	}
	return nil
}

// entry returns the key's entry, a new one where there is none.
func (k *kernelCache) entry(key string) *kernelEntry {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ready == nil {
		k.ready, k.pending = map[string]*kernelEntry{}, map[string]*kernelEntry{}
	}
	if e := k.ready[key]; e != nil {
		return e
	}
	e := k.pending[key]
	if e == nil {
		e = new(kernelEntry)
		k.pending[key] = e
	}
	return e
}

// settle notes how assembling went.
func (k *kernelCache) settle(key string, e *kernelEntry, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.pending, key)
	if e.err = err; err == nil {
		k.ready[key] = e
	}
}

func (e *kernelEntry) assemble(sh *shared, key string) error {
	source, err := kernels.Source(key, sh.cc)
	if err != nil {
		return err
	}
	m, err := sh.ctx.LoadModule([]byte(source), driver.LoadConfig{})
	if err != nil {
		return err
	}
	kernel, err := m.Kernel(kernels.EntryName(key))
	if n := kernels.SharedMemory(key); err == nil && n > 0 {
		err = kernel.SetMaxDynamicShared(n)
	}
	if err != nil {
		return errors.Join(err, m.Close())
	}
	e.module, e.kernel = m, kernel
	return nil
}

func (k *kernelCache) close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, e := range k.ready {
		errs = append(errs, e.module.Close())
	}
	k.ready = nil
	return errors.Join(errs...)
}
