package driver

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Kernel is an entry point of a module, and usable as long as that is open.
type Kernel struct {
	mod    *Module
	name   string
	handle abi.Function

	layout sync.Once
	sizes  []int // of the parameters, bytes; set by layout
	known  bool  // set by layout: sizes is what the kernel has
}

// Param is a kernel parameter's place among all of them.
type Param struct {
	Offset, Size int // bytes
}

// Kernel returns the entry of the given name.
func (m *Module) Kernel(name string) (*Kernel, error) {
	op := "cuModuleGetFunction"
	if m != nil && m.library != 0 {
		op = "cuLibraryGetKernel"
	}
	k := &Kernel{mod: m, name: name}
	err := m.base().call(op, func(api abi.API) (r abi.Result) {
		if m.library != 0 {
			k.handle, r = api.LibraryGetKernel(m.library, name)
		} else {
			k.handle, r = api.ModuleGetFunction(m.handle, name)
		}
		return r
	})
	if err != nil {
		if m != nil && m.jit != nil {
			err = withLog(err, logText(m.jit.ErrorLog, len(m.jit.ErrorLog)))
		}
		return nil, named(err, "kernel %q", name)
	}
	return k, nil
}

// Name returns the name of the entry.
func (k *Kernel) Name() string {
	if k == nil {
		return ""
	}
	return k.name
}

func (k *Kernel) base() *child {
	if k == nil {
		return nil
	}
	return k.mod.base()
}

// Params returns the sizes and offsets of the kernel's parameters. It needs a
// driver for CUDA 12.4; older ones say
// ErrorCallRequiresNewerDriver.
func (k *Kernel) Params() ([]Param, error) {
	var list []Param
	err := k.base().call("cuFuncGetParamInfo", func(api abi.API) abi.Result {
		for {
			offset, size, r := api.FuncGetParamInfo(k.handle, uint64(len(list)))
			if r == abi.ErrorInvalidValue { // past the last
				return abi.Success
			}
			if r != abi.Success {
				return r
			}
			list = append(list, Param{int(offset), int(size)})
		}
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// learn finds out the parameters, so that launches can check their arguments: the
// driver itself reads as many pointers as the kernel has parameters, whatever it
// was given.
func (k *Kernel) learn() {
	list, err := k.Params()
	if err != nil {
		k.sizes, k.known = k.mod.params[k.name]
		return
	}
	for _, p := range list {
		k.sizes = append(k.sizes, p.Size)
	}
	k.known = true
}

func (k *Kernel) attribute(a abi.FunctionAttribute) (value int, err error) {
	err = k.base().call("cuFuncGetAttribute", func(api abi.API) abi.Result {
		v, r := api.FuncGetAttribute(a, k.handle)
		value = int(v)
		return r
	})
	return value, err
}

// KernelInfo is what the assembler made of a kernel.
type KernelInfo struct {
	MaxThreads    int // in a block, given the registers
	Registers     int // of each thread
	Shared        int // static shared memory of a block, bytes
	Const         int // constant memory, bytes
	Local         int // of each thread: spilled registers and local arrays, bytes
	MaxDynamic    int // dynamic shared memory that a launch may ask for, bytes
	PTXVersion    int // 10 × major + minor of the target it was written for
	BinaryVersion int // 10 × major + minor of the GPU it was assembled for
}

// Info returns the kernel's properties.
func (k *Kernel) Info() (info KernelInfo, err error) {
	for _, row := range [...]struct {
		a abi.FunctionAttribute
		p *int
	}{
		{abi.FunctionAttributeMaxThreadsPerBlock, &info.MaxThreads},
		{abi.FunctionAttributeNumRegs, &info.Registers},
		{abi.FunctionAttributeSharedSizeBytes, &info.Shared},
		{abi.FunctionAttributeConstSizeBytes, &info.Const},
		{abi.FunctionAttributeLocalSizeBytes, &info.Local},
		{abi.FunctionAttributeMaxDynamicSharedSizeBytes, &info.MaxDynamic},
		{abi.FunctionAttributePTXVersion, &info.PTXVersion},
		{abi.FunctionAttributeBinaryVersion, &info.BinaryVersion},
	} {
		if *row.p, err = k.attribute(row.a); err != nil {
			return KernelInfo{}, err
		}
	}
	return info, nil
}

func (k *Kernel) set(a abi.FunctionAttribute, value int) error {
	return k.base().call("cuFuncSetAttribute", func(api abi.API) abi.Result {
		return api.FuncSetAttribute(k.handle, a, int32(value))
	})
}

// SetMaxDynamicShared allows launches with up to bytes of dynamic shared memory.
// More than 48 KiB need it; the device's AttrMaxSharedMemoryPerBlockOptin is the
// limit of static and dynamic memory together.
func (k *Kernel) SetMaxDynamicShared(bytes int) error {
	err := k.set(abi.FunctionAttributeMaxDynamicSharedSizeBytes, max(math.MinInt32, min(bytes, math.MaxInt32)))
	if !errors.Is(err, ErrorInvalidValue) {
		return err
	}
	detail := fmt.Sprintf("%d bytes of dynamic shared memory", bytes)
	static, err1 := k.attribute(abi.FunctionAttributeSharedSizeBytes)
	most, err2 := k.mod.ctx.Device().Attribute(AttrMaxSharedMemoryPerBlockOptin)
	if err1 == nil && err2 == nil {
		detail += fmt.Sprintf(": a block of this device can have %d bytes of shared memory, %d of which are the kernel's own variables", most, static)
	}
	return named(err, "kernel %s, %s", k.name, detail)
}

// SetSharedCarveout says which share of the L1 cache should be shared memory, in
// percent; −1 leaves it to the driver.
func (k *Kernel) SetSharedCarveout(percent int) error {
	return k.set(abi.FunctionAttributePreferredSharedMemoryCarveout, percent)
}

// SetNonPortableCluster allows clusters of more than 8 blocks, which not every
// device has.
func (k *Kernel) SetNonPortableCluster(allow bool) error {
	v := 0
	if allow {
		v = 1
	}
	return k.set(abi.FunctionAttributeNonPortableClusterSizeAllowed, v)
}

// MaxActiveBlocks returns how many blocks of so many threads, each with so many
// bytes of dynamic shared memory, are resident on one multiprocessor.
func (k *Kernel) MaxActiveBlocks(threads, sharedBytes int) (blocks int, err error) {
	err = k.base().call("cuOccupancyMaxActiveBlocksPerMultiprocessor", func(api abi.API) abi.Result {
		n, r := api.OccupancyMaxActiveBlocksPerMultiprocessor(k.handle, int32(threads), uint64(max(sharedBytes, 0)))
		blocks = int(n)
		return r
	})
	return blocks, err
}

// SuggestBlock returns the number of threads for a block, at most limit (0: no
// limit), with which the most warps are resident, and the number of blocks that
// then fill the device.
func (k *Kernel) SuggestBlock(sharedBytes, limit int) (threads, minGrid int, err error) {
	err = k.base().call("cuOccupancyMaxPotentialBlockSize", func(api abi.API) abi.Result {
		g, b, r := api.OccupancyMaxPotentialBlockSize(k.handle, uint64(max(sharedBytes, 0)), int32(limit))
		threads, minGrid = int(b), int(g)
		return r
	})
	return threads, minGrid, err
}

// MaxActiveClusters returns how many clusters of a launch are resident on the
// device at a time.
func (k *Kernel) MaxActiveClusters(cfg LaunchConfig) (clusters int, err error) {
	const op = "cuOccupancyMaxActiveClusters"
	if err := cfg.check(op); err != nil {
		return 0, err
	}
	args := NewArgs()
	defer args.Release()
	err = k.base().call(op, func(api abi.API) abi.Result {
		n, r := api.OccupancyMaxActiveClusters(k.handle, args.configure(&cfg, 0))
		clusters = int(n)
		return r
	})
	return clusters, err
}
