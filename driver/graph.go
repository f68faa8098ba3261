package driver

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Graph is a recipe: launches, copies and fills, and which waits for which. It
// runs when it is instantiated and launched, at a fraction of the cost of
// putting the same work into a stream. A Graph is not safe for use by several
// goroutines at a time.
type Graph struct {
	child
	handle abi.Graph
	names  []string // of its kernels, for the suspects after a fault
}

// A GraphNode is one step of a Graph, and valid as long as that is open. The
// zero GraphNode is none.
type GraphNode struct {
	graph  *Graph
	handle abi.GraphNode
}

func (g *Graph) base() *child {
	if g == nil {
		return nil
	}
	return &g.child
}

// NewGraph makes an empty graph.
func (c *Context) NewGraph() (*Graph, error) {
	g := new(Graph)
	err := c.call("cuGraphCreate", func(api abi.API) (r abi.Result) {
		g.handle, r = api.GraphCreate(0)
		return r
	})
	if err != nil {
		return nil, err
	}
	g.born(c, kindGraph)
	return g, nil
}

// Close gives the graph up. What was instantiated from it stays usable.
func (g *Graph) Close() error {
	return g.base().close("cuGraphDestroy", func(api abi.API) abi.Result { return api.GraphDestroy(g.handle) })
}

// add runs f with the handles of the nodes to wait for.
func (g *Graph) add(op string, after []GraphNode, f func(api abi.API, deps []abi.GraphNode) (abi.GraphNode, abi.Result)) (GraphNode, error) {
	deps := make([]abi.GraphNode, len(after))
	for i, n := range after {
		if n.graph != g || g == nil {
			return GraphNode{}, invalid(op, "node %d to wait for belongs to another graph", i)
		}
		deps[i] = n.handle
	}
	node := GraphNode{graph: g}
	err := g.base().call(op, func(api abi.API) (r abi.Result) {
		node.handle, r = f(api, deps)
		return r
	})
	if err != nil {
		return GraphNode{}, err
	}
	return node, nil
}

// AddKernel adds a launch, to run when the nodes after have. The arguments are
// copied; LaunchConfig's Cluster, Programmatic and Cooperative are refused, as
// kernel nodes have no such parameters (a cluster that the kernel's own code
// requires works).
func (g *Graph) AddKernel(after []GraphNode, k *Kernel, cfg LaunchConfig, args *Args) (GraphNode, error) {
	const op = "cuGraphAddKernelNode"
	var node GraphNode
	err := k.withNodeParams(op, g.base(), &cfg, args, func(p *abi.KernelNodeParams) (err error) {
		node, err = g.add(op, after, func(api abi.API, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
			return api.GraphAddKernelNode(g.handle, deps, p)
		})
		return err
	})
	if err != nil {
		return GraphNode{}, err
	}
	g.names = append(g.names, k.name)
	return node, nil
}

// withNodeParams checks a launch and calls f with its form for graphs, while
// the kernel is in use.
func (k *Kernel) withNodeParams(op string, h *child, cfg *LaunchConfig, args *Args, f func(p *abi.KernelNodeParams) error) error {
	if err := k.base().enter(op); err != nil {
		return err
	}
	defer k.mod.exit()
	if err := h.enter(op); err != nil {
		return err
	}
	defer h.exit()
	if args == nil {
		args = NewArgs()
		defer args.Release()
	}
	if err := k.check(op, h.ctx, cfg, args); err != nil {
		return err
	}
	if !cfg.plain() {
		return &Error{Op: op, Code: ErrorNotSupported, Detail: "kernel " + k.name + ": nodes of a graph take no Cluster, Programmatic or Cooperative"}
	}
	grid, block := cfg.Grid.full(), cfg.Block.full()
	err := f(&abi.KernelNodeParams{
		Func:     k.handle,
		GridDimX: grid[0], GridDimY: grid[1], GridDimZ: grid[2],
		BlockDimX: block[0], BlockDimY: block[1], BlockDimZ: block[2],
		SharedMemBytes: cfg.Shared, KernelParams: args.params(),
	})
	if err != nil {
		return named(err, "kernel %s", k.name)
	}
	return nil
}

// AddCopy adds a copy of bytes within device memory, to run when the nodes after
// have.
func (g *Graph) AddCopy(after []GraphNode, dst, src Ptr, bytes uint64) (GraphNode, error) {
	// One row has no pitch: there is a limit on pitches, which long copies would pass.
	p := &abi.Memcpy3D{
		SrcMemoryType: abi.MemoryTypeDevice, SrcDevice: abi.DevicePtr(src),
		DstMemoryType: abi.MemoryTypeDevice, DstDevice: abi.DevicePtr(dst),
		WidthInBytes: bytes, Height: 1, Depth: 1,
	}
	return g.add("cuGraphAddMemcpyNode", after, func(api abi.API, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
		return api.GraphAddMemcpyNode(g.handle, deps, p, g.ctx.handle)
	})
}

// AddMemset adds a fill of n elements of 1, 2 or 4 bytes with the low bytes of
// value, to run when the nodes after have.
func (g *Graph) AddMemset(after []GraphNode, dst Ptr, value uint32, elementSize int, n uint64) (GraphNode, error) {
	const op = "cuGraphAddMemsetNode"
	if elementSize != 1 && elementSize != 2 && elementSize != 4 {
		return GraphNode{}, invalid(op, "elements of %d bytes: 1, 2 and 4 are possible", elementSize)
	}
	p := &abi.MemsetNodeParams{Dst: abi.DevicePtr(dst), Value: value, ElementSize: uint32(elementSize), Width: n, Height: 1}
	return g.add(op, after, func(api abi.API, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
		return api.GraphAddMemsetNode(g.handle, deps, p, g.ctx.handle)
	})
}

// AddEmpty adds a node that does nothing: many nodes can wait for it, and it for
// many.
func (g *Graph) AddEmpty(after []GraphNode) (GraphNode, error) {
	return g.add("cuGraphAddEmptyNode", after, func(api abi.API, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
		return api.GraphAddEmptyNode(g.handle, deps)
	})
}

// A GraphExec is a Graph made ready to launch.
type GraphExec struct {
	child
	handle abi.GraphExec
	name   string
}

func (x *GraphExec) base() *child {
	if x == nil {
		return nil
	}
	return &x.child
}

// Instantiate makes g ready to launch. Later changes of g do not reach the
// result.
func (g *Graph) Instantiate() (*GraphExec, error) {
	x := new(GraphExec)
	err := g.base().call("cuGraphInstantiate", func(api abi.API) (r abi.Result) {
		x.handle, r = api.GraphInstantiate(g.handle, 0)
		return r
	})
	if err != nil {
		return nil, err
	}
	x.name = g.describe()
	x.born(g.ctx, kindGraphExec)
	return x, nil
}

// describe names a graph in the list of suspects.
func (g *Graph) describe() string {
	const most = 8
	switch n := len(g.names); {
	case n == 0:
		return "a graph"
	case n > most:
		return fmt.Sprintf("a graph of %s and %d more", strings.Join(g.names[:most], ", "), n-most)
	}
	return "a graph of " + strings.Join(g.names, ", ")
}

// Close gives x up; a launch that is running is done first, without waiting.
func (x *GraphExec) Close() error {
	return x.base().close("cuGraphExecDestroy", func(api abi.API) abi.Result { return api.GraphExecDestroy(x.handle) })
}

// SetKernel changes what a kernel node of the graph that x was made from does in
// later launches of x. The kernel must be of the same context.
func (x *GraphExec) SetKernel(node GraphNode, k *Kernel, cfg LaunchConfig, args *Args) error {
	const op = "cuGraphExecKernelNodeSetParams"
	if err := node.graph.base().enter(op); err != nil {
		return err
	}
	defer node.graph.exit()
	return k.withNodeParams(op, x.base(), &cfg, args, func(p *abi.KernelNodeParams) error {
		return x.base().call(op, func(api abi.API) abi.Result {
			return api.GraphExecKernelNodeSetParams(x.handle, node.handle, p)
		})
	})
}

// updateReasons say why a graph could not be updated in place.
var updateReasons = map[abi.GraphExecUpdateResult]string{
	abi.GraphExecUpdateErrorTopologyChanged:           "the nodes or their order changed",
	abi.GraphExecUpdateErrorNodeTypeChanged:           "a node became one of another kind",
	abi.GraphExecUpdateErrorFunctionChanged:           "the kernel of a node changed",
	abi.GraphExecUpdateErrorParametersChanged:         "the parameters of a node changed in a way that cannot be taken over",
	abi.GraphExecUpdateErrorNotSupported:              "something in a node cannot be updated",
	abi.GraphExecUpdateErrorUnsupportedFunctionChange: "the kernel of a node changed in a way that cannot be taken over",
	abi.GraphExecUpdateErrorAttributesChanged:         "the attributes of a node changed in a way that cannot be taken over",
}

// Update makes x do what g says, which must have the same nodes in the same
// order as the graph that x was made from; where that is not so it is
// ErrorGraphExecUpdateFailure, x is as before, and g can be instantiated anew.
func (x *GraphExec) Update(g *Graph) error {
	var info abi.GraphExecUpdateResultInfo
	err := x.base().call2("cuGraphExecUpdate", g.base(), func(api abi.API) (r abi.Result) {
		info, r = api.GraphExecUpdate(x.handle, g.handle)
		return r
	})
	if why := updateReasons[info.Result]; err != nil && why != "" {
		return named(err, "%s", why)
	}
	return err
}

// Upload does the part of a launch that can be done beforehand.
func (x *GraphExec) Upload(s *Stream) error {
	return x.base().call2("cuGraphUpload", s.base(), func(api abi.API) abi.Result { return api.GraphUpload(x.handle, s.handle) })
}

// Launch puts one run of the whole graph into s, and allocates nothing. Runs of
// the same GraphExec come one after another.
func (x *GraphExec) Launch(s *Stream) error {
	err := x.base().call2("cuGraphLaunch", s.base(), func(api abi.API) abi.Result { return api.GraphLaunch(x.handle, s.handle) })
	if err == nil {
		s.ctx.launches.add(x.name, s)
	}
	return err
}
