package sim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// Options say what New makes. The zero value is one device of compute
// capability 9.0 (or what the environment says) that uses every processor.
type Options struct {
	Devices           int    // how many devices there are; 0 is 1
	ComputeCapability int    // 75, 80 or 90; 0 is the variable GPUARRAY_SIM_CC, else 90
	MemoryLimit       uint64 // bytes of each device's memory; 0 is 8 GiB, or half of the host's if that is less
	Workers           int    // goroutines that run a kernel's blocks; 0 is GOMAXPROCS, 1 is deterministic
	Seed              uint64 // not 0: one worker, with blocks and warps in an order drawn from it; 0 is GPUARRAY_SIM_SEED, else none
	Races             bool   // report races in shared memory; the variable GPUARRAY_SIM_RACES=1 does so too
	GlobalRaces       bool   // report races in global memory as well, on one worker; GPUARRAY_SIM_RACES=2
	Fuel              uint64 // how much a block may execute before it counts as endless (see exec.Options); 0 is exec.DefaultFuel
	Late              uint64 // not 0: asynchronous work runs as late as CUDA allows, in an order drawn from it; 0 is GPUARRAY_SIM_LATE, else at once
	Perturb           uint64 // not 0: approximations are off by as much as PTX allows, up or down as drawn from it; 0 is GPUARRAY_SIM_PERTURB, else none

	Output io.Writer // where kernels' printf writes; nil is os.Stdout

	// Counts, if not nil, adds up what the kernels' accesses to memory cost. With
	// CountsTo (GPUARRAY_SIM_COUNTS=1: standard error) the counts are printed there
	// whenever a device's context ends.
	Counts   *exec.Counter
	CountsTo io.Writer
}

// driverVersion is the CUDA version that the simulated device reports: 13.0,
// whose assembler reads PTX up to ISA 9.0.
const driverVersion = 13000

var (
	maxISA          = ptx.Version{Major: 9, Minor: 0}
	capabilityTable = map[int]*capability{75: &capability75, 80: &capability80, 90: &capability90}
)

// Sim implements abi.API.
type Sim struct {
	opts exec.Options
	caps *capability
	mem  *exec.Memory // one address space for all devices

	countsTo io.Writer // where opts.Counts is printed, or nil
	perturb  uint64    // seed for programs' approximations, or 0
	late     *late     // nil: work is done when the call that gave it returns

	// run is held while work touches device memory, so that the work of all
	// streams happens one after another. It is taken before mu.
	run sync.Mutex

	// mu guards everything below, and is never held while a kernel runs.
	mu         sync.Mutex
	ready      bool // Init was called
	devices    []*device
	current    map[int]*device // by thread; only used with several devices
	lastHandle uintptr

	modules   map[abi.Module]*module
	libraries map[abi.Library]*module
	functions map[abi.Function]*function
	streams   map[abi.Stream]*stream
	events    map[abi.Event]*event
	graphs    map[abi.Graph]*graph
	nodes     map[abi.GraphNode]*node
	execs     map[abi.GraphExec]*graphExec
	pools     map[abi.MemoryPool]*pool
	orphans   []*pool                // destroyed pools that still have allocations
	allocs    map[uint64]*allocation // by address
	bases     []uint64               // the addresses in allocs, in order
	host      map[unsafe.Pointer]hostBlock
	programs  map[string]*exec.Program // by text, those without variables
}

var _ abi.API = (*Sim)(nil)

// device is one simulated GPU and its primary context.
type device struct {
	ordinal int
	limit   uint64 // bytes of memory
	direct  uint64 // bytes allocated outside pools
	retains int    // of the primary context
	ctx     abi.Context
	legacy  *stream        // the NULL stream, while the context is alive
	left    []*task        // the last of blocking streams that were destroyed
	pool    abi.MemoryPool // the default pool, 0 until it is asked for
	limits  map[abi.Limit]uint64
	peers   map[*device]bool // whose memory this context may use

	fault       abi.Result // Success, or the code that every call returns from now on
	faultReport string
}

// Environment returns o with what it leaves open taken from the variables
// GPUARRAY_SIM_…. What means nothing, there or in o, stays open and is in the error.
func (o Options) Environment() (Options, error) {
	var errs []error
	wrong := func(what, value string, means string) {
		errs = append(errs, fmt.Errorf("%s=%s, which is %s", what, value, means))
	}
	number := func(variable string, into *uint64) {
		text := os.Getenv(variable)
		if *into != 0 || text == "" {
			return
		}
		var err error
		if *into, err = strconv.ParseUint(text, 0, 64); err != nil {
			*into = 0
			wrong(variable, text, "no number from 0 to 2⁶⁴−1")
		}
	}
	for what, n := range map[string]*int{"Devices": &o.Devices, "Workers": &o.Workers} {
		if *n < 0 {
			wrong(what, strconv.Itoa(*n), "negative")
			*n = 0
		}
	}
	const capabilities = "none of 75, 80 and 90"
	if cc := o.ComputeCapability; cc != 0 && capabilityTable[cc] == nil {
		wrong("ComputeCapability", strconv.Itoa(cc), capabilities)
		o.ComputeCapability = 0
	}
	if text := os.Getenv("GPUARRAY_SIM_CC"); o.ComputeCapability == 0 && text != "" {
		if cc, err := strconv.Atoi(text); err == nil && capabilityTable[cc] != nil {
			o.ComputeCapability = cc
		} else {
			wrong("GPUARRAY_SIM_CC", text, capabilities)
		}
	}
	number("GPUARRAY_SIM_SEED", &o.Seed)
	number("GPUARRAY_SIM_LATE", &o.Late)
	number("GPUARRAY_SIM_PERTURB", &o.Perturb)
	switch text := os.Getenv("GPUARRAY_SIM_RACES"); text {
	case "", "0":
	case "1":
		o.Races = true
	case "2":
		o.Races, o.GlobalRaces = true, true
	default:
		wrong("GPUARRAY_SIM_RACES", text, "none of 0, 1 and 2")
	}
	switch text := os.Getenv("GPUARRAY_SIM_COUNTS"); {
	case text == "1" && o.CountsTo == nil:
		o.CountsTo = os.Stderr
	case text != "" && text != "0" && text != "1":
		wrong("GPUARRAY_SIM_COUNTS", text, "neither 0 nor 1")
	}
	return o, errors.Join(errs...)
}

// New makes simulated devices that share nothing with those of other calls. What
// the options leave open the environment decides: who wants to know whether it means
// something asks Options.Environment.
func New(o Options) abi.API {
	o, _ = o.Environment()
	caps := &capability90
	if o.ComputeCapability != 0 {
		caps = capabilityTable[o.ComputeCapability]
	}
	if o.CountsTo != nil && o.Counts == nil {
		o.Counts = new(exec.Counter)
	}
	if o.Seed != 0 || o.GlobalRaces {
		o.Workers = 1
	}
	if o.MemoryLimit == 0 {
		o.MemoryLimit = min(8<<30, hostMemory()/2)
	}
	o.Devices = max(o.Devices, 1)
	s := &Sim{
		opts: exec.Options{Workers: o.Workers, Seed: o.Seed, Fuel: o.Fuel, Races: o.Races, GlobalRaces: o.GlobalRaces, Counts: o.Counts, Output: o.Output},
		caps: caps, countsTo: o.CountsTo, perturb: o.Perturb,
		// Each device's share is enforced here; the margin is for modules' variables.
		mem:        exec.NewMemory(uint64(o.Devices) * (o.MemoryLimit + moduleMargin)),
		current:    map[int]*device{},
		lastHandle: 0x1000, // above the streams' special handles
		modules:    map[abi.Module]*module{},
		libraries:  map[abi.Library]*module{},
		functions:  map[abi.Function]*function{},
		streams:    map[abi.Stream]*stream{},
		events:     map[abi.Event]*event{},
		graphs:     map[abi.Graph]*graph{},
		nodes:      map[abi.GraphNode]*node{},
		execs:      map[abi.GraphExec]*graphExec{},
		pools:      map[abi.MemoryPool]*pool{},
		allocs:     map[uint64]*allocation{},
		host:       map[unsafe.Pointer]hostBlock{},
		programs:   map[string]*exec.Program{},
	}
	if o.Late != 0 {
		s.late = newLate(o.Late)
	}
	for i := range o.Devices {
		s.devices = append(s.devices, &device{ordinal: i, limit: o.MemoryLimit, peers: map[*device]bool{}})
	}
	return s
}

// moduleMargin is room for modules' variables above a device's memory limit.
const moduleMargin = 256 << 20

// handle returns a number that was not given out before, for any kind of
// object: so a destroyed handle never comes back to life, and a handle of one
// kind is never valid as another. s.mu is held.
func (s *Sim) handle() uintptr {
	s.lastHandle += 16
	return s.lastHandle
}

// Init makes the other methods work.
func (s *Sim) Init(flags uint32) abi.Result {
	if flags != 0 {
		return abi.ErrorInvalidValue
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ready = true
	return abi.Success
}

// DriverGetVersion reports the CUDA version that the simulated driver acts as.
func (s *Sim) DriverGetVersion() (int32, abi.Result) { return driverVersion, abi.Success }

// FaultReport is the full text of what poisoned a device: the kernel, the line
// of its PTX, block and thread, the address and what it belongs to. It is empty
// while nothing did.
func (s *Sim) FaultReport() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range s.devices {
		if d.fault != abi.Success {
			return d.faultReport
		}
	}
	return ""
}

// poison makes every later call on the device fail with code. The first fault
// stays.
func (s *Sim) poison(d *device, code abi.Result, report string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d.fault == abi.Success {
		d.fault, d.faultReport = code, report
	}
}

// workers is the number of goroutines that run blocks.
func (s *Sim) workers() int {
	if s.opts.Workers > 0 {
		return s.opts.Workers
	}
	return runtime.GOMAXPROCS(0)
}

// start is the time from which events count, so that their times are small
// and monotonic.
var start = time.Now()

// name is what DeviceGetName reports.
func (s *Sim) name() string {
	if n := s.workers(); n != 1 {
		return fmt.Sprintf("simulated GPU (gpuarray, %d workers)", n)
	}
	return "simulated GPU (gpuarray, 1 worker)"
}
