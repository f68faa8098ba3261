package exec

import (
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// Program is a loaded module: its kernels decoded, its .global and .const
// variables allocated and initialised in a Memory.
type Program struct {
	Kernels map[string]*Kernel
	Globals map[string]Global

	mem     *Memory
	high    uint64 // of the addresses of .const variables: what a 32-bit one lacks
	perturb uint64 // not 0: the seed by which approximations are moved
}

// Global is a module-scope variable in device memory.
type Global struct {
	Addr, Size uint64
}

// Param is one kernel parameter's place in the parameter block.
type Param struct {
	Name         string
	Offset, Size uint32
}

// Kernel is a decoded entry, ready to run.
type Kernel struct {
	Name         string
	Params       []Param
	ParamBytes   uint32 // size of the parameter block
	StaticShared uint32 // bytes of .shared variables with a size
	Local        uint32 // bytes of .local variables of one thread
	Registers    int    // 32-bit registers a thread declares (a 64-bit one counts two), at most 255
	MaxThreads   int    // the largest block (.maxntid, .reqntid or 1024)
	MaxRegisters int    // .maxnreg, 0: none
	MinBlocks    int    // .minnctapersm, 0: none
	ReqBlock     [3]uint32
	ReqCluster   [3]uint32

	prog       *Program
	code       code
	sharedVars []sharedVar
	pool       sync.Pool // of *workerState
}

// Launch is the shape of a launch and its parameter block (each value at its
// Param's Offset, in the host's byte order).
type Launch struct {
	Grid, Block   [3]uint32
	Cluster       [3]uint32 // zero: no cluster
	DynamicShared uint32
	Params        []byte
}

// Options say how Run executes.
type Options struct {
	Workers int    // goroutines that run blocks; 0 is GOMAXPROCS, 1 makes a run deterministic
	Seed    uint64 // with one worker, not 0: shuffles the order of blocks and of warps
	Fuel    uint64 // what a block's instructions may take before Run gives up on it, one of a warp's least costly ones taking 1; 0 is DefaultFuel. All blocks together have launchFuel times as much

	Races       bool // report races in shared memory: up to twice as slow where it is used most
	GlobalRaces bool // report races in global memory as well; blocks then run on one worker, an order of magnitude slower

	Output io.Writer // where kernels print; nil is os.Stdout

	Counts *Counter // not nil: count what the accesses to memory cost

	allCells bool // of tests: no access to shared memory is only listed (see race_recent.go)
}

// DefaultFuel ends a loop that never ends within a minute.
const DefaultFuel = 1 << 30

// MaxShared is the most shared memory a block may have.
const MaxShared = 227 << 10

// Load decodes a module for compute capability cc (75, 80, 90) and allocates
// its variables in mem. An instruction it does not have is an error naming it
// with line and column.
func Load(m *ptx.Module, mem *Memory, cc int) (*Program, error) { return load(m, mem, cc, 0) }

// LoadPerturbed is Load, but approximations (rcp.approx and its kin) are as far
// from the exact result as PTX allows, above or below as the seed says; 0 leaves
// them exact.
func LoadPerturbed(m *ptx.Module, mem *Memory, cc int, seed uint64) (*Program, error) {
	return load(m, mem, cc, seed)
}

// Unload frees the module's variables. Its kernels must not run any more.
func (p *Program) Unload() { p.unload() }

// Run executes a kernel to its end. It may be called from several goroutines.
// The error is a *Fault where the kernel did wrong, a *LaunchError where the
// launch cannot start.
func Run(k *Kernel, l Launch, o Options) error { return run(k, l, o) }

// Check is the *LaunchError that Run would return.
func (k *Kernel) Check(l Launch) error { return k.check(&l) }

// LaunchError says why a launch could not start.
type LaunchError struct {
	Kernel string
	Reason string
	// TooManyResources: the block is too large for the kernel or the device
	// (CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES), else the values are invalid.
	TooManyResources bool
}

func (e *LaunchError) Error() string { return fmt.Sprintf("launch of %s: %s", e.Kernel, e.Reason) }

// FaultKind is what a kernel did wrong.
type FaultKind uint8

const (
	OutOfBounds   FaultKind = iota + 1 // an address outside every live allocation, or past its array's end
	Misaligned                         // an address that is not a multiple of the access's size
	UseAfterFree                       // an address in freed memory
	Uninitialised                      // a value nobody wrote reached an address, a branch or a store
	Deadlock                           // every thread waits
	BarrierMisuse                      // a barrier that the threads cannot all reach, or a wrong count
	WarpMisuse                         // .sync member masks, shuffles from inactive lanes
	DivideByZero                       // the result of an integer division by zero (undefined in PTX) reached an address, a branch or a store
	Trap                               // trap, or a failed check of the kernel's own
	OutOfFuel                          // the block ran too long: most likely a loop without end
	ReadOnly                           // a store to .const or .param memory
	SharedRace                         // two accesses to shared memory that nothing orders
	GlobalRace                         // two accesses to global memory that nothing orders
	AsyncMisuse                        // an access to what an asynchronous copy is still writing, or a copy that nobody waits for
	Internal                           // the simulator itself failed
)

var faultNames = [...]string{
	OutOfBounds: "out of bounds", Misaligned: "misaligned access", UseAfterFree: "use after free",
	Uninitialised: "uninitialised value", Deadlock: "deadlock", BarrierMisuse: "barrier misuse",
	WarpMisuse: "warp operation misuse", DivideByZero: "integer division by zero", Trap: "trap", OutOfFuel: "out of fuel",
	ReadOnly: "store to read-only memory", SharedRace: "shared memory race", GlobalRace: "global memory race",
	AsyncMisuse: "asynchronous copy misuse", Internal: "internal error of the simulated device",
}

func (k FaultKind) String() string { return faultNames[k] }

// Fault is what a kernel did wrong, and where.
type Fault struct {
	Kind   FaultKind
	Kernel string
	Pos    ptx.Pos // of the instruction in the PTX text; zero for a module made by the builder
	Instr  string  // the instruction's text
	Block  [3]uint32
	Thread [3]uint32
	Addr   uint64 // the address, where there is one
	Bytes  uint32 // the size of the access
	Label  string // the array or allocation the address belongs to or is nearest to
	Detail string // the rest, in words
}

func (f *Fault) Error() string {
	s := fmt.Sprintf("%s in kernel %s, line %d: %s\n  block (%d,%d,%d), thread (%d,%d,%d)", f.Kind, f.Kernel, f.Pos.Line, f.Instr,
		f.Block[0], f.Block[1], f.Block[2], f.Thread[0], f.Thread[1], f.Thread[2])
	if f.Bytes != 0 {
		s += fmt.Sprintf(": %d bytes at %#x", f.Bytes, f.Addr)
	}
	if f.Label != "" && !strings.Contains(f.Detail, f.Label) {
		s += " in " + f.Label
	}
	if f.Detail != "" {
		s += ": " + f.Detail
	}
	return s
}
