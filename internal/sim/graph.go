package sim

import (
	"slices"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// graph is a list of nodes in the order in which they were added. A node's
// dependencies are there before it, so there are no cycles, and the order is one
// in which the nodes can run.
type graph struct{ nodes []*node }

type node struct {
	handle abi.GraphNode
	graph  *graph
	work   work
	deps   []*node
}

// graphExec is a graph made ready: its works, which are replaced and never
// changed, so that a launch can go on with those it began with.
type graphExec struct {
	dev   *device
	works []work
	deps  [][]int
	index map[abi.GraphNode]int // by the handles of the graph it was made from
	last  *task                 // the end of its last launch, nil where work does not wait
}

// graphWork runs a ready graph's works, one after another.
type graphWork struct {
	exec  *graphExec
	works []work
}

func (g graphWork) kind() abi.GraphNodeType { return abi.GraphNodeTypeGraph }

func (g graphWork) run(s *Sim) error {
	for _, w := range g.works {
		if err := w.run(s); err != nil {
			return err
		}
	}
	return nil
}

// addNode appends a node. s.mu is held.
func (s *Sim) addNode(g *graph, deps []*node, w work) *node {
	n := &node{handle: abi.GraphNode(s.handle()), graph: g, work: w, deps: deps}
	g.nodes = append(g.nodes, n)
	s.nodes[n.handle] = n
	return n
}

// dropNodes forgets a graph's nodes. s.mu is held.
func (s *Sim) dropNodes(g *graph) {
	for _, n := range g.nodes {
		delete(s.nodes, n.handle)
	}
}

// byGraph returns the graph of a handle. s.mu is held.
func (s *Sim) byGraph(h abi.Graph) (*graph, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	g := s.graphs[h]
	if g == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return g, abi.Success
}

// byExec returns the ready graph of a handle. s.mu is held.
func (s *Sim) byExec(h abi.GraphExec) (*graphExec, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	x := s.execs[h]
	if x == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return x, x.dev.fault
}

// GraphCreate makes an empty graph.
func (s *Sim) GraphCreate(flags uint32) (abi.Graph, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return 0, abi.ErrorNotInitialized
	}
	if flags != 0 {
		return 0, abi.ErrorInvalidValue
	}
	h := abi.Graph(s.handle())
	s.graphs[h] = &graph{}
	return h, abi.Success
}

// GraphDestroy ends a graph's handle and those of its nodes; what was made ready
// from it stays.
func (s *Sim) GraphDestroy(h abi.Graph) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, r := s.byGraph(h)
	if r == abi.Success {
		s.dropNodes(g)
		delete(s.graphs, h)
	}
	return r
}

// add checks a new node's place and appends it.
func (s *Sim) add(h abi.Graph, deps []abi.GraphNode, prepare func() (work, abi.Result)) (abi.GraphNode, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, r := s.byGraph(h)
	if r != abi.Success {
		return 0, r
	}
	before := make([]*node, 0, len(deps))
	for _, dep := range deps {
		n := s.nodes[dep]
		if n == nil || n.graph != g {
			return 0, abi.ErrorInvalidHandle
		}
		if slices.Contains(before, n) {
			return 0, abi.ErrorInvalidValue
		}
		before = append(before, n)
	}
	w, r := prepare()
	if r != abi.Success {
		return 0, r
	}
	return s.addNode(g, before, w).handle, abi.Success
}

// GraphAddKernelNode adds a launch, whose parameters are copied now.
func (s *Sim) GraphAddKernelNode(h abi.Graph, deps []abi.GraphNode, p *abi.KernelNodeParams) (abi.GraphNode, abi.Result) {
	return s.add(h, deps, func() (work, abi.Result) { return s.kernelNode(p) })
}

// GraphAddMemcpyNode adds a copy.
func (s *Sim) GraphAddMemcpyNode(h abi.Graph, deps []abi.GraphNode, p *abi.Memcpy3D, c abi.Context) (abi.GraphNode, abi.Result) {
	return s.add(h, deps, func() (work, abi.Result) {
		if _, r := s.nodeContext(c); r != abi.Success {
			return nil, r
		}
		if p == nil {
			return nil, abi.ErrorInvalidValue
		}
		return s.copy3D(p)
	})
}

// GraphAddMemsetNode adds a fill.
func (s *Sim) GraphAddMemsetNode(h abi.Graph, deps []abi.GraphNode, p *abi.MemsetNodeParams, c abi.Context) (abi.GraphNode, abi.Result) {
	return s.add(h, deps, func() (work, abi.Result) {
		if _, r := s.nodeContext(c); r != abi.Success {
			return nil, r
		}
		if p == nil {
			return nil, abi.ErrorInvalidValue
		}
		return s.checkFill(&fillWork{
			addr: uint64(p.Dst), pitch: p.Pitch, value: p.Value, size: uint64(p.ElementSize), width: p.Width, height: p.Height,
		})
	})
}

// GraphAddEmptyNode adds a node that only joins others.
func (s *Sim) GraphAddEmptyNode(h abi.Graph, deps []abi.GraphNode) (abi.GraphNode, abi.Result) {
	return s.add(h, deps, func() (work, abi.Result) { return emptyWork{}, abi.Success })
}

// nodeContext returns the device of a node's context, 0 being the current one.
func (s *Sim) nodeContext(c abi.Context) (*device, abi.Result) {
	if c == 0 {
		return s.context()
	}
	d, r := s.byContext(c)
	if r != abi.Success {
		return nil, r
	}
	return d, d.fault
}

// topology lists the places of each node's dependencies, in order.
func (g *graph) topology() (deps [][]int, index map[abi.GraphNode]int) {
	deps, index = make([][]int, len(g.nodes)), map[abi.GraphNode]int{}
	for i, n := range g.nodes {
		index[n.handle] = i
		for _, d := range n.deps {
			deps[i] = append(deps[i], index[d.handle])
		}
		slices.Sort(deps[i])
	}
	return deps, index
}

func (g *graph) works() []work {
	ws := make([]work, len(g.nodes))
	for i, n := range g.nodes {
		ws[i] = n.work
	}
	return ws
}

// GraphInstantiate makes a graph ready to launch. Later changes of the graph do
// not reach it.
func (s *Sim) GraphInstantiate(h abi.Graph, flags uint64) (abi.GraphExec, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g, r := s.byGraph(h)
	if r != abi.Success {
		return 0, r
	}
	d, r := s.context()
	if r != abi.Success {
		return 0, r
	}
	switch flags &^ (abi.GraphInstantiateFlagAutoFreeOnLaunch | abi.GraphInstantiateFlagUseNodePriority) {
	case 0:
	case abi.GraphInstantiateFlagDeviceLaunch:
		return 0, abi.ErrorNotSupported
	default:
		return 0, abi.ErrorInvalidValue
	}
	x := &graphExec{dev: d, works: g.works()}
	x.deps, x.index = g.topology()
	xh := abi.GraphExec(s.handle())
	s.execs[xh] = x
	return xh, abi.Success
}

// GraphExecDestroy ends a ready graph's handle.
func (s *Sim) GraphExecDestroy(h abi.GraphExec) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r := s.byExec(h)
	if r == abi.Success {
		delete(s.execs, h)
	}
	return r
}

// GraphExecKernelNodeSetParams replaces a launch in a ready graph; the graph it
// was made from stays as it is.
func (s *Sim) GraphExecKernelNodeSetParams(h abi.GraphExec, n abi.GraphNode, p *abi.KernelNodeParams) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, r := s.byExec(h)
	if r != abi.Success {
		return r
	}
	i, ok := x.index[n]
	if !ok {
		return abi.ErrorInvalidHandle
	}
	if _, ok := x.works[i].(*kernelWork); !ok {
		return abi.ErrorInvalidValue
	}
	w, r := s.kernelNode(p)
	if r != abi.Success {
		return r
	}
	x.works = slices.Clone(x.works)
	x.works[i] = w
	return abi.Success
}

// GraphExecUpdate replaces the works of a ready graph by those of a graph of the
// same form.
func (s *Sim) GraphExecUpdate(h abi.GraphExec, gh abi.Graph) (abi.GraphExecUpdateResultInfo, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info := abi.GraphExecUpdateResultInfo{Result: abi.GraphExecUpdateError}
	x, r := s.byExec(h)
	if r != abi.Success {
		return info, r
	}
	g, r := s.byGraph(gh)
	if r != abi.Success {
		return info, r
	}
	if info = x.compare(g); info.Result != abi.GraphExecUpdateSuccess {
		return info, abi.ErrorGraphExecUpdateFailure
	}
	x.works = g.works()
	_, index := g.topology()
	for n, i := range index {
		x.index[n] = i
	}
	return info, abi.Success
}

// compare says whether a graph can take the place of what x runs. CUDA allows
// other parameters, and for fills only in one row.
func (x *graphExec) compare(g *graph) (info abi.GraphExecUpdateResultInfo) {
	deps, _ := g.topology()
	if len(deps) != len(x.deps) {
		info.Result = abi.GraphExecUpdateErrorTopologyChanged
		return info
	}
	for i, n := range g.nodes {
		info.ErrorNode = n.handle
		if !slices.Equal(deps[i], x.deps[i]) {
			info.Result = abi.GraphExecUpdateErrorTopologyChanged
			return info
		}
		if n.work.kind() != x.works[i].kind() {
			info.Result = abi.GraphExecUpdateErrorNodeTypeChanged
			return info
		}
		if f, ok := n.work.(*fillWork); ok && (f.height != 1 || x.works[i].(*fillWork).height != 1) {
			info.Result = abi.GraphExecUpdateErrorParametersChanged
			return info
		}
	}
	return abi.GraphExecUpdateResultInfo{Result: abi.GraphExecUpdateSuccess}
}

// GraphUpload has nothing to do.
func (s *Sim) GraphUpload(h abi.GraphExec, sh abi.Stream) abi.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, r := s.byExec(h); r != abi.Success {
		return r
	}
	_, r := s.uncaptured(sh)
	return r
}

// GraphLaunch runs a ready graph; in a capture it becomes one node.
func (s *Sim) GraphLaunch(h abi.GraphExec, sh abi.Stream) abi.Result {
	return s.submit(sh, false, func(*device) (work, abi.Result) {
		x, r := s.byExec(h)
		if r != abi.Success {
			return nil, r
		}
		return graphWork{x, x.works}, abi.Success
	})
}
