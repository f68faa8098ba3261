package driver

import (
	"io"

	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// SimulatedConfig says what [Simulated] makes. The zero value is one device of
// compute capability 9.0 that uses every processor. The variables
// GPUARRAY_SIM_CC, GPUARRAY_SIM_SEED, GPUARRAY_SIM_LATE and GPUARRAY_SIM_PERTURB
// decide where the fields are zero; GPUARRAY_SIM_RACES is 1 for Races, 2 for both kinds, and
// GPUARRAY_SIM_COUNTS=1 prints Counts to standard error.
type SimulatedConfig struct {
	Devices           int    // 0 is 1
	ComputeCapability int    // 75, 80 or 90; 0 is 90
	MemoryLimit       uint64 // bytes of each device; 0 is 8 GiB, or half of the machine's if that is less
	Workers           int    // goroutines that run a kernel's blocks; 0 is GOMAXPROCS
	Seed              uint64 // not 0: blocks and warps run one after another, in an order drawn from it
	Races             bool   // accesses to shared memory that no barrier orders are faults; slower
	GlobalRaces       bool   // the same for global memory, also between blocks; much slower, one worker
	Fuel              uint64 // how much a block may execute before its kernel counts as endless, a fault: 1 for an instruction of a warp, more for costly ones; 0 is 2³⁰

	// Late, if not 0, keeps asynchronous work waiting for as long as CUDA allows, and
	// runs it in an order between streams that is drawn from Late: what a program
	// forgets to wait for is then seen. 0: work is done when the call that gave it
	// returns. Reports then do not name arrays, only whole allocations.
	Late uint64

	// Perturb, if not 0, makes approximations (rcp.approx, ex2.approx and their kin)
	// as bad as PTX allows: off by the documented bound, up or down as drawn from
	// it, always the same for the same operands. 0: correctly rounded.
	Perturb uint64

	// Counts, if not nil, is where a table is printed when a device's last context
	// closes: for each PTX instruction that accesses shared memory in how many
	// wavefronts it did so, and for global memory how many sectors of 32 bytes it
	// moved, beside the least that the best addresses would have taken. Bank
	// conflicts and accesses that do not coalesce show as waste.
	Counts io.Writer
}

// Simulated returns a driver whose devices are simulated within this process:
// they execute PTX, check every access to memory, and need no GPU. Each call
// makes devices of its own. A kernel that faults makes only those unusable.
//
// A field or a variable with a value that means nothing is ErrorInvalidValue.
//
// A program that does not call this function does not carry the simulator, but
// for some of its tables.
func Simulated(cfg SimulatedConfig) (*Driver, error) {
	options, err := sim.Options{
		Devices: cfg.Devices, ComputeCapability: cfg.ComputeCapability, MemoryLimit: cfg.MemoryLimit,
		Workers: cfg.Workers, Seed: cfg.Seed, Fuel: cfg.Fuel, Late: cfg.Late, Races: cfg.Races, GlobalRaces: cfg.GlobalRaces, Perturb: cfg.Perturb, CountsTo: cfg.Counts,
	}.Environment()
	if err != nil {
		return nil, invalid("Simulated", "%v", err)
	}
	return initialise(sim.New(options), simulatedSource)
}
