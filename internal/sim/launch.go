package sim

import (
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// kernelWork is a launch with its parameters' values.
type kernelWork struct {
	mod    *module
	kernel *exec.Kernel
	launch exec.Launch
}

func (k *kernelWork) kind() abi.GraphNodeType { return abi.GraphNodeTypeKernel }

func (k *kernelWork) run(s *Sim) error {
	s.mu.Lock()
	gone := k.mod.unloaded
	s.mu.Unlock()
	if gone {
		return refusal(abi.ErrorInvalidHandle) // a graph outlived the module
	}
	return exec.Run(k.kernel, k.launch, s.opts)
}

// maxBlocks is the largest number of blocks in a grid that is run: more would take
// hours here, so that a launch with a wild size would look like a hang.
const maxBlocks = 1 << 28

// MaxBlocks is the most blocks that a launch may have.
func (s *Sim) MaxBlocks() uint64 { return maxBlocks }

// shape checks the sizes of a launch. s.mu is held.
func (s *Sim) shape(f *function, c *abi.LaunchConfig) (l exec.Launch, r abi.Result) {
	l = exec.Launch{
		Grid:          [3]uint32{c.GridDimX, c.GridDimY, c.GridDimZ},
		Block:         [3]uint32{c.BlockDimX, c.BlockDimY, c.BlockDimZ},
		Cluster:       f.kernel.ReqCluster,
		DynamicShared: c.SharedMemBytes,
	}
	if !within(l.Grid, [3]uint32{maxGridX, maxGridY, maxGridY}) || !within(l.Block, [3]uint32{maxBlockX, maxBlockX, maxBlockZ}) {
		return l, abi.ErrorInvalidValue
	}
	threads := l.Block[0] * l.Block[1] * l.Block[2] // at most 2^26
	switch {
	case threads > maxThreads, c.SharedMemBytes > f.maxDynamic:
		return l, abi.ErrorInvalidValue
	case threads > uint32(f.kernel.MaxThreads):
		return l, abi.ErrorLaunchOutOfResources
	case f.kernel.ReqBlock != [3]uint32{} && l.Block != f.kernel.ReqBlock:
		return l, abi.ErrorInvalidValue
	}
	if r := s.attributes(f, c, &l); r != abi.Success {
		return l, r
	}
	// The product fits: 2^31 times 2^16 times 2^16.
	if uint64(l.Grid[0])*uint64(l.Grid[1])*uint64(l.Grid[2]) > maxBlocks {
		return l, abi.ErrorNotSupported
	}
	return l, abi.Success
}

func within(v, limit [3]uint32) bool {
	for i := range v {
		if v[i] == 0 || v[i] > limit[i] {
			return false
		}
	}
	return true
}

// attributes takes a launch's attributes. Those that only say how fast things
// should go are accepted and change nothing.
func (s *Sim) attributes(f *function, c *abi.LaunchConfig, l *exec.Launch) abi.Result {
	if c.NumAttrs > 0 && c.Attrs == nil {
		return abi.ErrorInvalidValue
	}
	list := c.Attributes()
	for i := range list {
		switch v := &list[i].Value; list[i].ID {
		case abi.LaunchAttributeClusterDimension:
			d := v.ClusterDim()
			dims := [3]uint32{d.X, d.Y, d.Z}
			if l.Cluster != [3]uint32{} && l.Cluster != dims {
				return abi.ErrorInvalidClusterSize
			}
			l.Cluster = dims
		case abi.LaunchAttributeCooperative:
			// All blocks must be resident at the same time; here they run one after
			// another, so a kernel that waits for its grid would wait for ever.
			if *v.Cooperative() != 0 {
				return abi.ErrorNotSupported
			}
		case abi.LaunchAttributeProgrammaticEvent, abi.LaunchAttributeLaunchCompletionEvent, abi.LaunchAttributeDeviceUpdatableKernelNode:
			return abi.ErrorNotSupported
		case abi.LaunchAttributeProgrammaticStreamSerialization:
			if s.caps.cc < 90 && *v.ProgrammaticStreamSerializationAllowed() != 0 {
				return abi.ErrorNotSupported
			}
		case abi.LaunchAttributeIgnore, abi.LaunchAttributeAccessPolicyWindow, abi.LaunchAttributeSynchronizationPolicy,
			abi.LaunchAttributeClusterSchedulingPolicyPreference, abi.LaunchAttributePriority, abi.LaunchAttributeMemSyncDomainMap,
			abi.LaunchAttributeMemSyncDomain, abi.LaunchAttributePreferredClusterDimension,
			abi.LaunchAttributePreferredSharedMemoryCarveout, abi.LaunchAttributeNVLinkUtilCentricScheduling:
		default:
			return abi.ErrorInvalidValue
		}
	}
	return s.cluster(f, l)
}

// cluster checks a launch's cluster size.
func (s *Sim) cluster(f *function, l *exec.Launch) abi.Result {
	if l.Cluster == [3]uint32{} {
		return abi.Success
	}
	if !s.caps.clusters {
		return abi.ErrorNotSupported
	}
	size, limit := uint64(1), uint64(maxCluster)
	if f.nonPortable {
		limit *= 2
	}
	for i, c := range l.Cluster {
		if c == 0 || l.Grid[i]%c != 0 {
			return abi.ErrorInvalidClusterSize
		}
		if size *= uint64(c); size > limit {
			return abi.ErrorInvalidClusterSize
		}
	}
	return abi.Success
}

// prepareKernel makes a launch ready. The values are copied out of the caller's memory,
// each parameter's size from the kernel. s.mu is held.
func (s *Sim) prepareKernel(d *device, h abi.Function, c *abi.LaunchConfig, params *unsafe.Pointer) (work, abi.Result) {
	f, r := s.function(h)
	if r != abi.Success {
		return nil, r
	}
	if f.mod.dev != nil && f.mod.dev != d {
		return nil, abi.ErrorInvalidContext
	}
	l, r := s.shape(f, c)
	if r != abi.Success {
		return nil, r
	}
	k := f.kernel
	l.Params = make([]byte, k.ParamBytes)
	if len(k.Params) > 0 {
		if params == nil {
			return nil, abi.ErrorInvalidValue
		}
		// The contract of a launch, as in C: params points to one pointer for each
		// parameter, and that to a value of the parameter's size.
		for i, p := range unsafe.Slice(params, len(k.Params)) {
			if p == nil {
				return nil, abi.ErrorInvalidValue
			}
			at := k.Params[i]
			copy(l.Params[at.Offset:at.Offset+at.Size], unsafe.Slice((*byte)(p), at.Size))
		}
	}
	return &kernelWork{mod: f.mod, kernel: k, launch: l}, abi.Success
}

// LaunchKernel runs a kernel. What the kernel does wrong shows at the next call.
func (s *Sim) LaunchKernel(f abi.Function, gridX, gridY, gridZ, blockX, blockY, blockZ, sharedBytes uint32, h abi.Stream, params *unsafe.Pointer) abi.Result {
	return s.LaunchKernelEx(&abi.LaunchConfig{
		GridDimX: gridX, GridDimY: gridY, GridDimZ: gridZ, BlockDimX: blockX, BlockDimY: blockY, BlockDimZ: blockZ,
		SharedMemBytes: sharedBytes, Stream: h,
	}, f, params)
}

// LaunchKernelEx is LaunchKernel with attributes.
func (s *Sim) LaunchKernelEx(c *abi.LaunchConfig, f abi.Function, params *unsafe.Pointer) abi.Result {
	if c == nil {
		return abi.ErrorInvalidValue
	}
	return s.submit(c.Stream, false, func(d *device) (work, abi.Result) { return s.prepareKernel(d, f, c, params) })
}

// kernelNode makes a launch of a node's parameters. s.mu is held.
func (s *Sim) kernelNode(p *abi.KernelNodeParams) (work, abi.Result) {
	if p == nil || p.Extra != nil {
		return nil, abi.ErrorInvalidValue
	}
	d, r := s.nodeContext(p.Ctx)
	if r != abi.Success {
		return nil, r
	}
	f := p.Func
	if f == 0 {
		f = p.Kern
	}
	return s.prepareKernel(d, f, &abi.LaunchConfig{
		GridDimX: p.GridDimX, GridDimY: p.GridDimY, GridDimZ: p.GridDimZ,
		BlockDimX: p.BlockDimX, BlockDimY: p.BlockDimY, BlockDimZ: p.BlockDimZ, SharedMemBytes: p.SharedMemBytes,
	}, p.KernelParams)
}
