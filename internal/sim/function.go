package sim

import (
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// function is a kernel with what FuncSetAttribute can change.
type function struct {
	mod         *module
	kernel      *exec.Kernel
	maxDynamic  uint32 // bytes of dynamic shared memory that a launch may ask for
	carveout    int32
	policy      int32
	nonPortable bool // clusters of more than 8 blocks
}

// function returns the kernel of a handle. s.mu is held.
func (s *Sim) function(h abi.Function) (*function, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	f := s.functions[h]
	if f == nil {
		return nil, abi.ErrorInvalidHandle
	}
	if f.mod.dev != nil {
		return f, f.mod.dev.fault
	}
	return f, abi.Success
}

// registers bounds the registers of a thread that an assembler would use. PTX
// registers are virtual, so it is only a bound: never more than are declared, nor
// than the largest block leaves to each thread.
func registers(k *exec.Kernel) int {
	n := max(roundUp(uint64(k.Registers), 8), 16)
	perThread := uint64(registersPerSM) / roundUp(uint64(k.MaxThreads), warpSize)
	return int(min(n, perThread/8*8, 255))
}

// FuncGetAttribute returns a property of a kernel.
func (s *Sim) FuncGetAttribute(a abi.FunctionAttribute, h abi.Function) (int32, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return 0, r
	}
	k := f.kernel
	switch a {
	case abi.FunctionAttributeMaxThreadsPerBlock:
		return int32(k.MaxThreads), abi.Success
	case abi.FunctionAttributeSharedSizeBytes:
		return int32(k.StaticShared), abi.Success
	case abi.FunctionAttributeConstSizeBytes, abi.FunctionAttributeCacheModeCA:
		return 0, abi.Success
	case abi.FunctionAttributeLocalSizeBytes:
		return int32(k.Local), abi.Success
	case abi.FunctionAttributeNumRegs:
		return int32(registers(k)), abi.Success
	case abi.FunctionAttributePTXVersion:
		return int32(f.mod.target), abi.Success
	case abi.FunctionAttributeBinaryVersion:
		return int32(s.caps.cc), abi.Success
	case abi.FunctionAttributeMaxDynamicSharedSizeBytes:
		return int32(f.maxDynamic), abi.Success
	case abi.FunctionAttributePreferredSharedMemoryCarveout:
		return f.carveout, abi.Success
	case abi.FunctionAttributeClusterSizeMustBeSet:
		return 0, abi.Success
	case abi.FunctionAttributeRequiredClusterWidth, abi.FunctionAttributeRequiredClusterHeight, abi.FunctionAttributeRequiredClusterDepth:
		return int32(k.ReqCluster[a-abi.FunctionAttributeRequiredClusterWidth]), abi.Success
	case abi.FunctionAttributeNonPortableClusterSizeAllowed:
		if f.nonPortable {
			return 1, abi.Success
		}
		return 0, abi.Success
	case abi.FunctionAttributeClusterSchedulingPolicyPreference:
		return f.policy, abi.Success
	}
	return 0, abi.ErrorInvalidValue
}

// FuncSetAttribute changes a property; of those that may be set, only the
// dynamic shared memory and the cluster size have an effect.
func (s *Sim) FuncSetAttribute(h abi.Function, a abi.FunctionAttribute, value int32) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return r
	}
	switch a {
	case abi.FunctionAttributeMaxDynamicSharedSizeBytes:
		if value < 0 || int64(value)+int64(f.kernel.StaticShared) > int64(s.caps.sharedOptIn) {
			return abi.ErrorInvalidValue
		}
		f.maxDynamic = uint32(value)
	case abi.FunctionAttributePreferredSharedMemoryCarveout:
		if value < -1 || value > 100 {
			return abi.ErrorInvalidValue
		}
		f.carveout = value
	case abi.FunctionAttributeNonPortableClusterSizeAllowed:
		f.nonPortable = value != 0
	case abi.FunctionAttributeClusterSchedulingPolicyPreference:
		if value < 0 || value > int32(abi.ClusterSchedulingPolicyLoadBalancing) {
			return abi.ErrorInvalidValue
		}
		f.policy = value
	default:
		return abi.ErrorInvalidValue
	}
	return abi.Success
}

// FuncGetParamInfo returns where a parameter lies in the parameter block.
func (s *Sim) FuncGetParamInfo(h abi.Function, index uint64) (offset, bytes uint64, r abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return 0, 0, r
	}
	if index >= uint64(len(f.kernel.Params)) {
		return 0, 0, abi.ErrorInvalidValue
	}
	p := f.kernel.Params[index]
	return uint64(p.Offset), uint64(p.Size), abi.Success
}

// blocksPerSM is how many blocks of a kernel one multiprocessor holds at a time:
// what threads, registers and shared memory leave.
func (s *Sim) blocksPerSM(f *function, threads int, dynamicShared uint64) int {
	if threads > f.kernel.MaxThreads || dynamicShared > uint64(f.maxDynamic) {
		return 0
	}
	warps := (threads + warpSize - 1) / warpSize
	n := min(s.caps.blocksPerSM, s.caps.threadsPerSM/(warps*warpSize), registersPerSM/(warps*warpSize*registers(f.kernel)))
	if shared := roundUp(uint64(f.kernel.StaticShared)+dynamicShared, 128) + uint64(s.caps.reserved); shared > 0 {
		n = min(n, s.caps.sharedPerSM/int(shared))
	}
	return n
}

// OccupancyMaxActiveBlocksPerMultiprocessor says how many blocks run at a time on
// one multiprocessor of hardware like this.
func (s *Sim) OccupancyMaxActiveBlocksPerMultiprocessor(h abi.Function, blockSize int32, dynamicShared uint64) (int32, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return 0, r
	}
	if blockSize <= 0 {
		return 0, abi.ErrorInvalidValue
	}
	return int32(s.blocksPerSM(f, int(blockSize), dynamicShared)), abi.Success
}

// OccupancyMaxPotentialBlockSize returns the block size, whole warps or the limit,
// with the most threads running at a time (the largest of those), and the grid
// that fills the device.
func (s *Sim) OccupancyMaxPotentialBlockSize(h abi.Function, dynamicShared uint64, limit int32) (minGrid, block int32, r abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return 0, 0, r
	}
	if limit < 0 {
		return 0, 0, abi.ErrorInvalidValue
	}
	most := f.kernel.MaxThreads
	if limit > 0 {
		most = min(most, int(limit))
	}
	best := 0
	for n := int(roundUp(uint64(most), warpSize)); n > 0; n -= warpSize {
		threads := min(n, most)
		if blocks := s.blocksPerSM(f, threads, dynamicShared); blocks*threads > best {
			best, block, minGrid = blocks*threads, int32(threads), int32(blocks*multiprocessors)
		}
	}
	if best == 0 {
		return 0, 0, abi.ErrorInvalidValue
	}
	return minGrid, block, abi.Success
}

// OccupancyMaxActiveClusters says how many clusters run at a time.
func (s *Sim) OccupancyMaxActiveClusters(h abi.Function, c *abi.LaunchConfig) (int32, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, r := s.function(h)
	if r != abi.Success {
		return 0, r
	}
	if c == nil {
		return 0, abi.ErrorInvalidValue
	}
	l, r := s.shape(f, c)
	if r != abi.Success {
		return 0, r
	}
	threads := int(c.BlockDimX * c.BlockDimY * c.BlockDimZ)
	blocks := s.blocksPerSM(f, threads, uint64(c.SharedMemBytes)) * multiprocessors
	size := int(max(l.Cluster[0], 1) * max(l.Cluster[1], 1) * max(l.Cluster[2], 1))
	return int32(blocks / size), abi.Success
}
