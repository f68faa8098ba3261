package driver

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// Dim is a size in up to three directions, x first. Zeros after the first mean 1.
type Dim [3]uint32

func (d Dim) full() Dim { return Dim{d[0], max(d[1], 1), max(d[2], 1)} }

// LaunchConfig is the shape of a launch.
type LaunchConfig struct {
	Grid   Dim    // blocks
	Block  Dim    // threads in a block
	Shared uint32 // dynamic shared memory of a block, bytes

	// Cluster is the number of blocks that run together on neighbouring
	// multiprocessors and see each other's shared memory, for compute
	// capability 9.0 and above; zero is no cluster, or what the kernel says.
	Cluster Dim

	// Programmatic lets the kernel begin before the one ahead of it in the stream
	// has ended, for compute capability 9.0 and above: it must execute
	// griddepcontrol.wait before it touches memory that the other writes.
	Programmatic bool

	// Cooperative makes sure that all blocks run at the same time, or fails with
	// ErrorCooperativeLaunchTooLarge.
	Cooperative bool
}

const maxLaunchAttributes = 3

// check refuses shapes of which the driver would only say "invalid value".
func (cfg *LaunchConfig) check(op string) error {
	switch {
	case cfg.Grid[0] == 0 || cfg.Block[0] == 0:
		return invalid(op, "a grid of %v blocks of %v threads: the first number of each must be at least 1", cfg.Grid, cfg.Block)
	case cfg.Cluster[0] == 0 && cfg.Cluster != Dim{}:
		return invalid(op, "a cluster of %v blocks: the first number must be at least 1", cfg.Cluster)
	}
	if cfg.Cluster[0] != 0 {
		g, c := cfg.Grid.full(), cfg.Cluster.full()
		for i := range g {
			if g[i]%c[i] != 0 {
				return invalid(op, "a grid of %v blocks is not a whole number of clusters of %v", g, c)
			}
		}
	}
	return nil
}

func (cfg *LaunchConfig) plain() bool {
	return cfg.Cluster[0] == 0 && !cfg.Programmatic && !cfg.Cooperative
}

// Launch puts one run of the kernel into s. The args are its parameters in
// order: numbers of the parameter's size (int8 to int64, uint8 to uint64,
// float32, float64, bool as a byte), Ptr, *Mem and *TensorMap. A plain int has no
// size that a kernel could rely on, and is refused.
//
// The number and sizes of the arguments are checked, except for kernels of a cubin
// on a driver before CUDA 12.4, where it is the caller who answers for them.
// Launch does not wait, and allocates nothing if the values are not converted to
// any elsewhere.
func (k *Kernel) Launch(s *Stream, cfg LaunchConfig, args ...any) error {
	a := NewArgs()
	for _, v := range args {
		a.add(v)
	}
	err := k.LaunchArgs(s, cfg, a)
	a.Release()
	return err
}

// LaunchArgs is [Kernel.Launch] with arguments that are laid out already. nil is
// none.
func (k *Kernel) LaunchArgs(s *Stream, cfg LaunchConfig, args *Args) error {
	if args == nil {
		none := NewArgs()
		defer none.Release()
		args = none
	}
	const op = "cuLaunchKernel"
	err := k.base().enter(op)
	if err == nil { // no defers: of as many as are needed here, each takes longer than what it calls
		err = k.launch(op, s, &cfg, args)
		k.mod.exit()
	}
	return err
}

// launch is LaunchArgs with the module in use.
func (k *Kernel) launch(op string, s *Stream, cfg *LaunchConfig, args *Args) error {
	err := s.base().enter(op)
	if err == nil {
		if err = k.check(op, s.ctx, cfg, args); err == nil {
			err = s.launch(op, k, cfg, args)
		}
		s.exit()
	}
	return err
}

// launch launches what was checked. The context is only asked whether it is open: the
// stream, which is in use, keeps it retained.
func (s *Stream) launch(op string, k *Kernel, cfg *LaunchConfig, args *Args) error {
	c := s.ctx
	if !c.life.isOpen() {
		return c.closed(op)
	}
	if fault := c.fault.Load(); fault != nil {
		return fault.later(op)
	}
	r := c.onStream(func(api abi.API) abi.Result {
		if cfg.plain() {
			g, b := cfg.Grid.full(), cfg.Block.full()
			return api.LaunchKernel(k.handle, g[0], g[1], g[2], b[0], b[1], b[2], cfg.Shared, s.handle, args.params())
		}
		return api.LaunchKernelEx(args.configure(cfg, s.handle), k.handle, args.params())
	})
	if r != abi.Success {
		return k.failed(op, r, cfg)
	}
	c.launches.add(k.name, s)
	return nil
}

// check refuses what the driver would crash on, or not explain.
func (k *Kernel) check(op string, c *Context, cfg *LaunchConfig, args *Args) error {
	if k.mod.ctx.handle != c.handle {
		return &Error{Op: op, Code: ErrorInvalidContext, Detail: "kernel " + k.name + " and the stream belong to different contexts"}
	}
	if args.err != nil {
		return named(args.err, "kernel %s", k.name)
	}
	if err := cfg.check(op); err != nil {
		return named(err, "kernel %s", k.name)
	}
	k.layout.Do(k.learn)
	if !k.known {
		return nil
	}
	if len(args.ptrs) != len(k.sizes) {
		return invalid(op, "kernel %s has %s and was given %s", k.name, phrase.Count(len(k.sizes), "parameter", "parameters"), phrase.Count(len(args.ptrs), "argument", "arguments"))
	}
	for i, size := range k.sizes {
		if size != int(args.sizes[i]) {
			return invalid(op, "parameter %d of kernel %s has %s, the argument has %d", i, k.name, phrase.Count(size, "byte", "bytes"), args.sizes[i])
		}
	}
	return nil
}

// failed is the error of a launch that was refused.
func (k *Kernel) failed(op string, r abi.Result, cfg *LaunchConfig) error {
	err := k.mod.ctx.result(op, r)
	if poisons[Code(r)] {
		return err
	}
	most, block := "", cfg.Block.full()
	if n, unknown := k.attribute(abi.FunctionAttributeMaxThreadsPerBlock); unknown == nil && float64(block[0])*float64(block[1])*float64(block[2]) > float64(n) {
		most = fmt.Sprintf(" (this kernel takes at most %d threads)", n)
	}
	grid, many := cfg.Grid.full(), ""
	if l, ok := k.mod.ctx.api.(blockLimiter); ok && float64(grid[0])*float64(grid[1])*float64(grid[2]) > float64(l.MaxBlocks()) {
		many = fmt.Sprintf(" (the simulated device runs at most %d blocks)", l.MaxBlocks())
	}
	return named(err, "kernel %s, grid %v%s, block %v%s, %d bytes of dynamic shared memory", k.name, grid, many, block, most, cfg.Shared)
}

// blockLimiter is an implementation of the seam that does not run every grid that
// CUDA allows.
type blockLimiter interface{ MaxBlocks() uint64 }

// configure writes cfg down as the driver wants it, in memory of a's.
func (a *Args) configure(cfg *LaunchConfig, s abi.Stream) *abi.LaunchConfig {
	g, b := cfg.Grid.full(), cfg.Block.full()
	n := 0
	attribute := func(id abi.LaunchAttributeID) *abi.LaunchAttributeValue {
		a.attrs[n] = abi.LaunchAttribute{ID: id}
		n++
		return &a.attrs[n-1].Value
	}
	if cfg.Cluster[0] != 0 {
		c := cfg.Cluster.full()
		*attribute(abi.LaunchAttributeClusterDimension).ClusterDim() = abi.Dim3{X: c[0], Y: c[1], Z: c[2]}
	}
	if cfg.Programmatic {
		*attribute(abi.LaunchAttributeProgrammaticStreamSerialization).ProgrammaticStreamSerializationAllowed() = 1
	}
	if cfg.Cooperative {
		*attribute(abi.LaunchAttributeCooperative).Cooperative() = 1
	}
	a.config = abi.LaunchConfig{
		GridDimX: g[0], GridDimY: g[1], GridDimZ: g[2],
		BlockDimX: b[0], BlockDimY: b[1], BlockDimZ: b[2],
		SharedMemBytes: cfg.Shared, Stream: s, NumAttrs: uint32(n),
	}
	if n > 0 {
		a.config.Attrs = &a.attrs[0]
	}
	return &a.config
}
