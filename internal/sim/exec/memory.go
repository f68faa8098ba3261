package exec

import (
	"errors"

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

// Block is what Find says of an address.
type Block struct {
	Addr, Bytes           uint64 // of the sub-block (or the allocation, where nothing was marked)
	AllocAddr, AllocBytes uint64 // of the allocation
	Label                 string
	State                 abi.MemoryState
	Freed                 bool // the allocation itself was freed
}

// NewMemory makes an empty address space that holds at most limit bytes.
func NewMemory(limit uint64) *Memory

// Alloc allocates n > 0 bytes of undefined content, 256-byte aligned, with red
// zones around; addresses are never used twice. label (may be nil) says what
// it is, in reports. The error wraps ErrOutOfMemory.
func (m *Memory) Alloc(n uint64, label func() string) (addr uint64, err error)

// Free ends an allocation; addr must be what Alloc returned.
func (m *Memory) Free(addr uint64) error

// Used returns the bytes allocated, and Limit the most there may be.
func (m *Memory) Used() uint64
func (m *Memory) Limit() uint64

// Slice is the host's view of n bytes, for copies and fills: they must lie in
// one live allocation (and one live sub-block, where it has any). It says
// nothing of their being initialised: MarkInitialised and CopyInitialised do.
// The error is an *AccessError.
func (m *Memory) Slice(addr, n uint64) ([]byte, error)

// MarkInitialised says that the host wrote n bytes.
func (m *Memory) MarkInitialised(addr, n uint64)

// CopyInitialised says that n bytes were copied from src to dst.
func (m *Memory) CopyInitialised(dst, src, n uint64)

// Initialised reports whether all n bytes were written.
func (m *Memory) Initialised(addr, n uint64) bool

// Mark sets the state of part of an allocation: what the allocator above
// cut out of a segment. Dead parts fault when touched, poisoned ones when read
// before they are written. An access must lie within one marked part.
func (m *Memory) Mark(addr, n uint64, s abi.MemoryState, label func() string)

// Find looks an address up, for reports and address-range queries; ok is false
// where it was never allocated.
func (m *Memory) Find(addr uint64) (b Block, ok bool)
