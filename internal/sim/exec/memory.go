package exec

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// ErrOutOfMemory says that an allocation would pass the memory's limit.
var ErrOutOfMemory = errors.New("out of device memory")

// AccessError is a host access to device memory that is not there.
type AccessError struct {
	Kind        FaultKind
	Addr, Bytes uint64
	Detail      string
}

func (e *AccessError) Error() string {
	return fmt.Sprintf("%s: %d bytes at %#x: %s", e.Kind, e.Bytes, e.Addr, e.Detail)
}

// The device's address space, from above: addresses of .shared and .local
// memory in the generic space are in windows of their own below global memory.
const (
	globalBase   = 0x7f0000000000 // the first allocation's address
	sharedWindow = 0x7e0000000000 // a block's own shared memory; that of the cluster's block r is at + (r+1)<<24
	localWindow  = 0x7d0000000000
	paramWindow  = 0x7c0000000000
	windowBytes  = 1 << 32
	redZone      = 4096 // bytes between allocations that never belong to one
)

// Memory is the address space of a device: allocations with red zones between
// them, whose addresses are never used again, so that a stale pointer is always
// recognised. Its methods may be called from several goroutines, also while
// kernels run.
type Memory struct {
	limit uint64

	mu    sync.Mutex // guards what follows; table is replaced, never changed in place but past its end
	used  uint64
	next  uint64
	dead  int // tombstones in table
	table atomic.Pointer[[]*allocation]
}

// allocation is one Alloc. Its regions cover it without gaps, in order; they
// are nil once it is freed.
type allocation struct {
	base, size uint64
	label      func() string
	regions    atomic.Pointer[[]*region]
}

// region is a part of an allocation with one state: what an access must lie
// in. It never changes; when the part does, it becomes stale and others take
// its place, so that who holds one (every memory instruction remembers its
// last) need only look at stale.
type region struct {
	base, size uint64         // addresses [base, base+size)
	data       unsafe.Pointer // to the byte at base; the Go memory that holds it is kept alive by this pointer
	init       bitmap         // of the whole allocation
	initOff    uint64         // base's place in it
	state      abi.MemoryState
	readOnly   bool
	shared     bool    // .shared memory: one worker alone touches it
	home       *worker // of a block's .shared memory: the block's worker
	stale      atomic.Bool
	label      func() string
}

// Block is what Find says of an address.
type Block struct {
	Addr, Bytes           uint64 // of the sub-block (or the allocation, where nothing was marked)
	AllocAddr, AllocBytes uint64 // of the allocation
	Label                 string
	State                 abi.MemoryState
	Freed                 bool // the allocation itself was freed
}

// NewMemory makes an empty address space that holds at most limit bytes.
func NewMemory(limit uint64) *Memory {
	m := &Memory{limit: limit, next: globalBase}
	m.table.Store(new([]*allocation))
	return m
}

// hugeBytes is the size from which on it is asked whether the host has so much: the
// Go runtime ends the process where it has not.
const hugeBytes = 64 << 20

// Alloc allocates n > 0 bytes of undefined content, 256-byte aligned, with red
// zones around; addresses are never used twice. label (may be nil) says what
// it is, in reports. The error wraps ErrOutOfMemory.
func (m *Memory) Alloc(n uint64, label func() string) (addr uint64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n == 0 {
		return 0, errors.New("allocation of 0 bytes")
	}
	if n > m.limit || m.used+n > m.limit {
		return 0, fmt.Errorf("%w: %d bytes asked, %d of %d in use", ErrOutOfMemory, n, m.used, m.limit)
	}
	if n > math.MaxInt/2 || n >= hugeBytes && !hostHas(int(n+n/8)) { // and a bit for each
		return 0, fmt.Errorf("%w: %d bytes asked, which the host has not got", ErrOutOfMemory, n)
	}
	// Whole 64-bit words, so that atomics on them are aligned.
	words := make([]uint64, (n+7)/8)
	a := &allocation{base: m.next, size: n, label: label}
	a.regions.Store(&[]*region{{
		base: a.base, size: n, data: unsafe.Pointer(unsafe.SliceData(words)), init: newBitmap(n), label: label,
	}})
	m.used += n
	m.next += (n+redZone+255)&^255 + redZone
	t := append(*m.table.Load(), a)
	m.table.Store(&t)
	return a.base, nil
}

// keepTogether makes the allocations that follow, of n bytes in all, differ in the
// low 32 bits of their addresses only.
func (m *Memory) keepTogether(n uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.next>>32 != (m.next+n)>>32 {
		m.next = m.next&^math.MaxUint32 + 1<<32
	}
}

// Free ends an allocation; addr must be what Alloc returned.
func (m *Memory) Free(addr uint64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.allocation(addr)
	if a == nil || a.base != addr {
		return &AccessError{OutOfBounds, addr, 0, "free of an address that no allocation starts at"}
	}
	regions := a.regions.Swap(nil)
	if regions == nil {
		return &AccessError{UseAfterFree, addr, 0, "free of what is free already"}
	}
	for _, r := range *regions {
		r.stale.Store(true)
	}
	m.used -= a.size
	if m.dead++; m.dead > 1024 && m.dead > len(*m.table.Load())/2 {
		m.forget()
	}
	return nil
}

// forget drops the older half of the tombstones: an access there is then out
// of bounds instead of a use after free.
func (m *Memory) forget() {
	drop := m.dead / 2
	m.dead -= drop
	var t []*allocation
	for _, a := range *m.table.Load() {
		if drop > 0 && a.regions.Load() == nil {
			drop--
			continue
		}
		t = append(t, a)
	}
	m.table.Store(&t)
}

// Used returns the bytes allocated.
func (m *Memory) Used() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

// Limit returns the most bytes that may be allocated.
func (m *Memory) Limit() uint64 { return m.limit }

// allocation finds the last allocation, live or freed, that starts at or
// before addr.
func (m *Memory) allocation(addr uint64) *allocation {
	t := *m.table.Load()
	i := sort.Search(len(t), func(i int) bool { return t[i].base > addr })
	if i == 0 {
		return nil
	}
	return t[i-1]
}

// region finds the region that holds addr, or nil.
func (m *Memory) region(addr uint64) *region {
	a := m.allocation(addr)
	if a == nil {
		return nil
	}
	p := a.regions.Load()
	if p == nil {
		return nil
	}
	rs := *p
	i := sort.Search(len(rs), func(i int) bool { return rs[i].base > addr })
	if i == 0 || addr-rs[i-1].base >= rs[i-1].size {
		return nil
	}
	return rs[i-1]
}

// holds reports whether n bytes from addr lie in the region.
func (r *region) holds(addr, n uint64) bool {
	return addr-r.base < r.size && n <= r.size-(addr-r.base)
}

// at is the Go address of a device address, which must lie in the region.
func (r *region) at(addr uint64) unsafe.Pointer { return unsafe.Add(r.data, addr-r.base) }

// live finds the region of a host access, and says what is wrong where there
// is none.
func (m *Memory) live(addr, n uint64) (*region, error) {
	r := m.region(addr)
	if r != nil && r.holds(addr, n) && r.state != abi.MemoryDead {
		return r, nil
	}
	kind, detail := m.explain(addr, n)
	return nil, &AccessError{kind, addr, n, detail}
}

// Slice is the host's view of n bytes, for copies and fills: they must lie in
// one live allocation (and one live sub-block, where it has any). It says
// nothing of their being initialised: MarkInitialised and CopyInitialised do.
// The error is an *AccessError.
func (m *Memory) Slice(addr, n uint64) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	r, err := m.live(addr, n)
	if err != nil {
		return nil, err
	}
	// The region's pointer leads to at least size bytes.
	return unsafe.Slice((*byte)(r.at(addr)), n), nil
}

// MarkInitialised says that the host wrote n bytes.
func (m *Memory) MarkInitialised(addr, n uint64) {
	if r, err := m.live(addr, n); err == nil {
		r.init.set(addr-r.base+r.initOff, n)
	}
}

// CopyInitialised says that n bytes were copied from src to dst.
func (m *Memory) CopyInitialised(dst, src, n uint64) {
	d, err := m.live(dst, n)
	s, err2 := m.live(src, n)
	if err == nil && err2 == nil {
		d.init.copyFrom(dst-d.base+d.initOff, s.init, src-s.base+s.initOff, n)
	}
}

// Initialised reports whether all n bytes were written.
func (m *Memory) Initialised(addr, n uint64) bool {
	r, err := m.live(addr, n)
	return err == nil && r.init.all(addr-r.base+r.initOff, n)
}

// Mark sets the state of part of an allocation: what the allocator above
// cut out of a segment. Dead parts fault when touched, poisoned ones when read
// before they are written. An access must lie within one marked part.
func (m *Memory) Mark(addr, n uint64, s abi.MemoryState, label func() string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := m.allocation(addr)
	if n == 0 || a == nil || a.regions.Load() == nil || addr-a.base >= a.size {
		return
	}
	n = min(n, a.size-(addr-a.base))
	old := *a.regions.Load()
	first, last := regionAt(old, addr), regionAt(old, addr+n-1)
	whole, rest := old[first], old[last]
	if s == abi.MemoryDead && label == nil && (whole.size < a.size || whole.state == abi.MemoryPoisoned) {
		label = whole.label // of what it was
	}
	// A segment may have thousands of parts: all but those concerned are copied at once.
	rs := append(make([]*region, 0, len(old)+2), old[:first]...)
	add := func(old *region, from, to uint64, s abi.MemoryState, label func() string) {
		if from < to {
			rs = append(rs, &region{base: from, size: to - from, data: old.at(from), init: old.init, initOff: from - a.base,
				state: s, readOnly: old.readOnly, label: label})
		}
	}
	add(whole, whole.base, addr, whole.state, whole.label)
	add(whole, addr, addr+n, s, label)
	add(rest, addr+n, rest.base+rest.size, rest.state, rest.label)
	rs = append(rs, old[last+1:]...)
	if s == abi.MemoryPoisoned {
		whole.init.clear(addr-a.base, n)
	}
	a.regions.Store(&rs)
	for _, r := range old[first : last+1] {
		r.stale.Store(true)
	}
}

// regionAt is the place in rs of the region that holds addr.
func regionAt(rs []*region, addr uint64) int {
	return sort.Search(len(rs), func(i int) bool { return rs[i].base > addr }) - 1
}

// Find looks an address up, for reports and address-range queries; ok is false
// where it was never allocated.
func (m *Memory) Find(addr uint64) (b Block, ok bool) {
	a := m.allocation(addr)
	if a == nil || addr-a.base >= a.size {
		return Block{}, false
	}
	b = Block{Addr: a.base, Bytes: a.size, AllocAddr: a.base, AllocBytes: a.size, Label: text(a.label)}
	if r := m.region(addr); r != nil {
		b.Addr, b.Bytes, b.State, b.Label = r.base, r.size, r.state, text(r.label)
	} else {
		b.Freed, b.State = true, abi.MemoryDead
	}
	return b, true
}

func text(label func() string) string {
	if label == nil {
		return ""
	}
	return label()
}

// explain says what is wrong with an access that no live region holds.
func (m *Memory) explain(addr, n uint64) (FaultKind, string) {
	b, ok := m.Find(addr)
	name := func(b Block) string {
		if b.Label == "" {
			return fmt.Sprintf("an allocation of %d bytes at %#x", b.Bytes, b.Addr)
		}
		return fmt.Sprintf("%s (%d bytes at %#x)", b.Label, b.Bytes, b.Addr)
	}
	switch {
	case ok && b.State == abi.MemoryDead && b.Label == "" && !b.Freed:
		return OutOfBounds, "in memory that the allocator has not handed out" + m.before(addr, b, name)
	case ok && b.State == abi.MemoryDead:
		return UseAfterFree, fmt.Sprintf("%d bytes into %s, which was freed", addr-b.Addr, name(b)) + m.before(addr, b, name)
	case ok:
		return OutOfBounds, fmt.Sprintf("passes the end of %s, from byte %d", name(b), addr-b.Addr)
	}
	if a := m.allocation(addr); a != nil && addr-a.base < a.size+redZone {
		b, _ = m.Find(a.base + a.size - 1)
		if b.Freed {
			return UseAfterFree, fmt.Sprintf("%d bytes past the end of %s, which was freed", addr-b.Addr-b.Bytes, name(b))
		}
		return OutOfBounds, fmt.Sprintf("%d bytes past the end of %s", addr-b.Addr-b.Bytes, name(b))
	}
	t := *m.table.Load()
	if i := sort.Search(len(t), func(i int) bool { return t[i].base > addr }); i < len(t) && t[i].base-addr <= redZone {
		b, _ = m.Find(t[i].base)
		return OutOfBounds, fmt.Sprintf("%d bytes before %s", b.Addr-addr, name(b))
	}
	return OutOfBounds, "no allocation is near"
}

// before names the live sub-block that ends less than a red zone before addr:
// most often the one that was overrun.
func (m *Memory) before(addr uint64, dead Block, name func(Block) string) string {
	b, ok := m.Find(dead.Addr - 1)
	if !ok || b.State == abi.MemoryDead || addr-dead.Addr >= redZone {
		return ""
	}
	return fmt.Sprintf("; %d bytes past the end of %s", addr-dead.Addr, name(b))
}
