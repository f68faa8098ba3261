package sim

import (
	"slices"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// graphOf builds: fill out, y := 3x+out, copy to the host; it returns the launch's node.
func graphOf(e *env, f abi.Function, n uint32, a float32, x, out abi.DevicePtr, host unsafe.Pointer) (abi.Graph, abi.GraphNode) {
	e.t.Helper()
	node := must[abi.GraphNode](e)
	g := must[abi.Graph](e)(e.GraphCreate(0))
	fill := node(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: out, Value: 0, ElementSize: 4, Width: uint64(n), Height: 1}, e.ctx))
	params := []unsafe.Pointer{ptr(n), ptr(a), ptr(x), ptr(out)}
	p := &abi.KernelNodeParams{Func: f, GridDimX: (n + 255) / 256, GridDimY: 1, GridDimZ: 1, BlockDimX: 256, BlockDimY: 1, BlockDimZ: 1, KernelParams: &params[0]}
	launch := node(e.GraphAddKernelNode(g, []abi.GraphNode{fill}, p))
	*(*float32)(params[1]) = 1e9 // parameters were copied
	none := node(e.GraphAddEmptyNode(g, []abi.GraphNode{fill, launch}))
	node(e.GraphAddMemcpyNode(g, []abi.GraphNode{none}, &abi.Memcpy3D{
		SrcMemoryType: abi.MemoryTypeDevice, SrcDevice: out, DstMemoryType: abi.MemoryTypeHost, DstHost: host,
		WidthInBytes: uint64(n) * 4, Height: 1, Depth: 1,
	}, 0))
	return g, launch
}

func TestGraphAgainstModel(t *testing.T) {
	e := open(t, Options{})
	f := e.kernel(saxpyPTX, "saxpy")
	const n = 700
	x := integers(random(t), n)
	px, out := upload(e, x), e.alloc(n*4)
	host := make([]float32, n)
	g, launch := graphOf(e, f, n, 3, px, out, unsafe.Pointer(&host[0]))
	exec := must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
	run := func(what string, a float32) {
		t.Helper()
		clear(host)
		e.ok(e.GraphUpload(exec, 0))
		e.ok(e.GraphLaunch(exec, 0))
		e.ok(e.CtxSynchronize())
		if want := saxpyModel(a, x, make([]float32, n)); !slices.Equal(host, want) {
			t.Errorf("%s: wrong result", what)
		}
	}
	run("as made", 3)
	run("again", 3)

	params := []unsafe.Pointer{ptr(uint32(n)), ptr(float32(5)), ptr(px), ptr(out)}
	p := &abi.KernelNodeParams{Kern: f, GridDimX: 3, GridDimY: 1, GridDimZ: 1, BlockDimX: 256, BlockDimY: 1, BlockDimZ: 1, KernelParams: &params[0]}
	e.ok(e.GraphExecKernelNodeSetParams(exec, launch, p))
	run("with other parameters", 5)

	other, otherLaunch := graphOf(e, f, n, 7, px, out, unsafe.Pointer(&host[0]))
	info, r := e.GraphExecUpdate(exec, other)
	if e.ok(r); info.Result != abi.GraphExecUpdateSuccess {
		t.Errorf("update says %d", info.Result)
	}
	run("updated", 7)
	*(*float32)(params[1]) = 9
	e.ok(e.GraphExecKernelNodeSetParams(exec, otherLaunch, p))
	run("with parameters by the second graph's node", 9)

	// Changes that are not allowed leave the graph as it is.
	e.want(e.GraphExecKernelNodeSetParams(exec, 12345, p), abi.ErrorInvalidHandle)
	e.want(e.GraphExecKernelNodeSetParams(exec, launch, nil), abi.ErrorInvalidValue)
	e.want(e.GraphExecKernelNodeSetParams(exec, launch, &abi.KernelNodeParams{}), abi.ErrorInvalidHandle)
	p.GridDimX = 0
	e.want(e.GraphExecKernelNodeSetParams(exec, launch, p), abi.ErrorInvalidValue)
	must[abi.GraphNode](e)(e.GraphAddEmptyNode(other, nil))
	info, r = e.GraphExecUpdate(exec, other)
	if e.want(r, abi.ErrorGraphExecUpdateFailure); info.Result != abi.GraphExecUpdateErrorTopologyChanged {
		t.Errorf("another node: update says %d", info.Result)
	}
	run("as before", 9)
	e.ok(e.GraphDestroy(g))
	e.ok(e.GraphDestroy(other))
	run("after the graphs are gone", 9)
	e.ok(e.GraphExecDestroy(exec))
	e.want(e.GraphLaunch(exec, 0), abi.ErrorInvalidHandle)
	if len(e.nodes) != 0 || len(e.execs) != 0 {
		t.Errorf("%d nodes and %d ready graphs are left", len(e.nodes), len(e.execs))
	}
}

func TestGraphUpdateOfAnotherForm(t *testing.T) {
	e := open(t, Options{})
	p := e.alloc(64)
	fill := func(g abi.Graph, deps []abi.GraphNode, height uint64) abi.GraphNode {
		return must[abi.GraphNode](e)(e.GraphAddMemsetNode(g, deps, &abi.MemsetNodeParams{Dst: p, Pitch: 4, ElementSize: 1, Width: 4, Height: height}, 0))
	}
	three := func(g abi.Graph, height uint64) {
		first := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, nil))
		must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, []abi.GraphNode{first, fill(g, []abi.GraphNode{first}, height)}))
	}
	base := must[abi.Graph](e)(e.GraphCreate(0))
	three(base, 1)
	exec := must[abi.GraphExec](e)(e.GraphInstantiate(base, 0))
	for _, c := range []struct {
		name  string
		build func(g abi.Graph)
		want  abi.GraphExecUpdateResult
	}{
		{"the same", func(g abi.Graph) { three(g, 1) }, abi.GraphExecUpdateSuccess},
		{"nothing", func(g abi.Graph) {}, abi.GraphExecUpdateErrorTopologyChanged},
		{"other dependencies", func(g abi.Graph) {
			n := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, nil))
			must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, []abi.GraphNode{fill(g, nil, 1), n}))
		}, abi.GraphExecUpdateErrorTopologyChanged},
		{"another kind", func(g abi.Graph) {
			n := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, nil))
			m := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, []abi.GraphNode{n}))
			must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, []abi.GraphNode{n, m}))
		}, abi.GraphExecUpdateErrorNodeTypeChanged},
		{"dependencies listed otherwise", func(g abi.Graph) {
			n := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, nil))
			must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, []abi.GraphNode{fill(g, []abi.GraphNode{n}, 1), n}))
		}, abi.GraphExecUpdateSuccess},
		{"more rows", func(g abi.Graph) { three(g, 3) }, abi.GraphExecUpdateErrorParametersChanged},
	} {
		g := must[abi.Graph](e)(e.GraphCreate(0))
		c.build(g)
		info, r := e.GraphExecUpdate(exec, g)
		if info.Result != c.want || (r == abi.Success) != (c.want == abi.GraphExecUpdateSuccess) {
			t.Errorf("%s: %d, %v, want %d", c.name, info.Result, r, c.want)
		}
	}
}

func TestGraphErrors(t *testing.T) {
	e := open(t, Options{})
	f := e.kernel(variousPTX, "count")
	p, freed := e.alloc(64), e.alloc(64)
	e.ok(e.MemFree(freed))
	g, other := must[abi.Graph](e)(e.GraphCreate(0)), must[abi.Graph](e)(e.GraphCreate(0))
	n, foreign := must[abi.GraphNode](e)(e.GraphAddEmptyNode(g, nil)), must[abi.GraphNode](e)(e.GraphAddEmptyNode(other, nil))
	one := abi.KernelNodeParams{Func: f, GridDimX: 1, GridDimY: 1, GridDimZ: 1, BlockDimX: 1, BlockDimY: 1, BlockDimZ: 1}
	narrow := one
	narrow.Func, narrow.BlockDimX = e.kernel(reducePTX, "reduce"), 512
	wide := one
	wide.BlockDimX = 2000
	extra := one
	extra.Extra = new(unsafe.Pointer)
	exec := must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
	gone := must[abi.Graph](e)(e.GraphCreate(0))
	e.ok(e.GraphDestroy(gone))
	for _, c := range []struct {
		name string
		got  abi.Result
		want abi.Result
	}{
		{"flags", second(e.GraphCreate(1)), abi.ErrorInvalidValue},
		{"no graph", second(e.GraphAddEmptyNode(0, nil)), abi.ErrorInvalidHandle},
		{"destroyed", second(e.GraphAddEmptyNode(gone, nil)), abi.ErrorInvalidHandle},
		{"destroyed, again", e.GraphDestroy(gone), abi.ErrorInvalidHandle},
		{"foreign dependency", second(e.GraphAddEmptyNode(g, []abi.GraphNode{foreign})), abi.ErrorInvalidHandle},
		{"no such dependency", second(e.GraphAddEmptyNode(g, []abi.GraphNode{0})), abi.ErrorInvalidHandle},
		{"twice the same", second(e.GraphAddEmptyNode(g, []abi.GraphNode{n, n})), abi.ErrorInvalidValue},
		{"kernel, nil", second(e.GraphAddKernelNode(g, nil, nil)), abi.ErrorInvalidValue},
		{"kernel, block", second(e.GraphAddKernelNode(g, nil, &wide)), abi.ErrorInvalidValue},
		{"kernel, beyond maxntid", second(e.GraphAddKernelNode(g, nil, &narrow)), abi.ErrorLaunchOutOfResources},
		{"kernel, extra", second(e.GraphAddKernelNode(g, nil, &extra)), abi.ErrorInvalidValue},
		{"kernel", second(e.GraphAddKernelNode(g, []abi.GraphNode{n}, &one)), abi.Success},
		{"copy, nil", second(e.GraphAddMemcpyNode(g, nil, nil, 0)), abi.ErrorInvalidValue},
		{"copy, context", second(e.GraphAddMemcpyNode(g, nil, &abi.Memcpy3D{}, 99)), abi.ErrorInvalidContext},
		{"fill, nil", second(e.GraphAddMemsetNode(g, nil, nil, 0)), abi.ErrorInvalidValue},
		{"fill of three bytes", second(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: p, ElementSize: 3, Width: 1, Height: 1}, 0)), abi.ErrorInvalidValue},
		{"fill, pitch", second(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: p, ElementSize: 4, Pitch: 6, Width: 1, Height: 2}, 0)), abi.ErrorInvalidValue},
		{"fill, freed", second(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: freed, ElementSize: 4, Width: 1, Height: 1}, 0)), abi.ErrorInvalidValue},
		{"instantiate nothing", second(e.GraphInstantiate(gone, 0)), abi.ErrorInvalidHandle},
		{"instantiate, flags", second(e.GraphInstantiate(g, 1<<40)), abi.ErrorInvalidValue},
		{"instantiate for the device", second(e.GraphInstantiate(g, abi.GraphInstantiateFlagDeviceLaunch)), abi.ErrorNotSupported},
		{"launch nothing", e.GraphLaunch(0, 0), abi.ErrorInvalidHandle},
		{"launch nowhere", e.GraphLaunch(exec, 1<<30), abi.ErrorInvalidHandle},
		{"upload nothing", e.GraphUpload(0, 0), abi.ErrorInvalidHandle},
		{"update from nothing", second(e.GraphExecUpdate(exec, gone)), abi.ErrorInvalidHandle},
		{"destroy nothing", e.GraphExecDestroy(77), abi.ErrorInvalidHandle},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	e.ok(e.CtxSynchronize())
}

// A graph that outlives its module or its memory.
func TestGraphOfWhatIsGone(t *testing.T) {
	e := open(t, Options{})
	m := e.module(variousPTX)
	one := abi.KernelNodeParams{Func: must[abi.Function](e)(e.ModuleGetFunction(m, "count")), GridDimX: 1, GridDimY: 1, GridDimZ: 1, BlockDimX: 1, BlockDimY: 1, BlockDimZ: 1}
	g := must[abi.Graph](e)(e.GraphCreate(0))
	must[abi.GraphNode](e)(e.GraphAddKernelNode(g, nil, &one))
	exec := must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
	e.ok(e.GraphLaunch(exec, 0))
	e.ok(e.ModuleUnload(m))
	e.want(e.GraphLaunch(exec, 0), abi.ErrorInvalidHandle)
	e.ok(e.CtxSynchronize())

	p := e.alloc(64)
	g = must[abi.Graph](e)(e.GraphCreate(0))
	must[abi.GraphNode](e)(e.GraphAddMemsetNode(g, nil, &abi.MemsetNodeParams{Dst: p, ElementSize: 1, Width: 64, Height: 1}, 0))
	exec = must[abi.GraphExec](e)(e.GraphInstantiate(g, 0))
	e.ok(e.MemFree(p))
	e.ok(e.GraphLaunch(exec, 0))
	e.want(e.CtxSynchronize(), abi.ErrorIllegalAddress)
}
