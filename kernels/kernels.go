package kernels

import "fmt"

// A Plan is what an operation does on the device: its launches in order, and
// the scratch memory they share. Planning functions append to a Plan that the
// caller may reuse (see Reset); they do not touch the device. A planning
// function that returns an error leaves the plan as it was.
type Plan struct {
	// Capability is the compute capability (major·10 + minor) of the device that
	// the plan is for, where it is known when the plan is made; 0 asks for
	// kernels that every device has. It changes which kernels there are, not
	// their results. Reset keeps what is known of the device.
	Capability int

	// Multiprocessors is how many that device has, and BlockMemory the most shared
	// memory, in bytes, that a block may ask for, where they are known; 0 asks for
	// kernels that do not depend on them. They change no results either.
	Multiprocessors, BlockMemory int

	Launches []Launch
	Scratch  uint64 // bytes of scratch memory, 256-byte aligned, content undefined; operand ScratchOperand
	Tickets  uint64 // bytes of ticket memory, operand TicketOperand: zero before the first launch, and zero again after the last, so one buffer that was cleared once serves every plan of a stream

	words []uint64 // questions under way
}

// A Launch is one kernel launch but for the addresses.
type Launch struct {
	Key    string // names the kernel: Source(Key, cc) is its PTX, EntryName(Key) its entry
	Grid   [3]uint32
	Block  [3]uint32
	Shared uint32 // dynamic shared memory, bytes
	Args   []Arg  // one for each kernel parameter, in order
}

// ScratchOperand is the operand number of a plan's scratch memory.
const ScratchOperand = -1

// TicketOperand is the operand number of a plan's ticket memory: counters by
// which the last block of a launch finds out that it is the last.
const TicketOperand = -2

// An Arg is one kernel parameter: the address of an operand (plus Bits bytes),
// or a value.
type Arg struct {
	Pointer bool
	Operand int    // which operand's base address, where Pointer; 0 is the (first) output, inputs follow
	Bits    uint64 // a value's bits, low bytes first; byte offset for a pointer
	Size    uint8  // bytes of the parameter: 1, 2, 4, 8
}

// Reset empties the plan and keeps its memory, so that planning into it again
// allocates nothing.
func (p *Plan) Reset() { p.Launches, p.Scratch, p.Tickets = p.Launches[:0], 0, 0 }

// launch appends a launch without arguments, reusing the memory of an earlier
// one. The pointer is valid until the next call.
func (p *Plan) launch(key string, grid, block [3]uint32, shared uint32) *Launch {
	n := len(p.Launches)
	if n < cap(p.Launches) {
		p.Launches = p.Launches[:n+1]
	} else {
		p.Launches = append(p.Launches, Launch{})
	}
	l := &p.Launches[n]
	*l = Launch{Key: key, Grid: grid, Block: block, Shared: shared, Args: l.Args[:0]}
	return l
}

// pointer adds a parameter: the address of an operand plus bytes.
func (l *Launch) pointer(operand int, bytes int) {
	l.Args = append(l.Args, Arg{Pointer: true, Operand: operand, Bits: uint64(bytes), Size: 8})
}

// value32 adds a 32-bit parameter.
func (l *Launch) value32(v uint32) { l.Args = append(l.Args, Arg{Bits: uint64(v), Size: 4}) }

// value64 adds a 64-bit parameter.
func (l *Launch) value64(v uint64) { l.Args = append(l.Args, Arg{Bits: v, Size: 8}) }

// UnsupportedError says that an operation is not defined for a type.
type UnsupportedError struct {
	Op   string
	Type Type
}

func (e *UnsupportedError) Error() string {
	return fmt.Sprintf("%s is not defined for %v", e.Op, e.Type)
}
