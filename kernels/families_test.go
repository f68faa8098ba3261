package kernels

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// A workload is a family of kernels, at a size that all of its parts matter at.
type workload struct {
	name     string
	plan     func(p *Plan, l []Layout) error
	types    []Type
	operands []Layout // the first is the result
	text     string   // of a kernel that is none of the module's
}

func workElementwise(name string, e *Expr, types ...Type) workload {
	l := RowMajor(256, 1024)
	operands := make([]Layout, len(types))
	for i := range operands {
		operands[i] = l
	}
	return workload{name: name, plan: func(p *Plan, l []Layout) error { return Elementwise(p, e, l[0], l[1:]) }, types: types, operands: operands}
}

func workReduce(name string, axes uint32, out Layout) workload {
	return workload{name: name, plan: func(p *Plan, l []Layout) error { return Reduce(p, OpSum, Float32, l[0], l[1], axes) },
		types: []Type{Float32, Float32}, operands: []Layout{out, RowMajor(512, 512)}}
}

func workMatMul(t Type) workload {
	l := RowMajor(128, 128)
	return workload{name: "product/" + t.String(), plan: func(p *Plan, l []Layout) error { return MatMul(p, t, l[0], l[1], l[2]) },
		types: []Type{t, t, t}, operands: []Layout{l, l, l}}
}

func workloads() []workload {
	matrix := RowMajor(512, 512)
	transposed := matrix
	transposed.Strides[0], transposed.Strides[1] = 1, 512
	long, row := RowMajor(2, 1<<16), RowMajor(32*scanTile)
	cast := func(from, to Type) *Expr {
		return &Expr{[]Node{{Kind: Load, Type: from, Operand: 1}, {Kind: Apply, Op: OpCast, Type: to}}}
	}
	return []workload{
		workElementwise("elementwise/float32", singleOp(OpAdd, Float32, false), Float32, Float32, Float32),
		workElementwise("elementwise/float64", singleOp(OpAdd, Float64, false), Float64, Float64, Float64),
		workElementwise("exp/float32", singleOp(OpExp, Float32, false), Float32, Float32),
		workElementwise("cast/uint8-float32", cast(Uint8, Float32), Float32, Uint8),
		workElementwise("cast/float32-float16", cast(Float32, Float16), Float16, Float32),
		workReduce("sum/whole", 3, RowMajor()),
		workReduce("sum/rows", 2, RowMajor(512)),
		workReduce("sum/columns", 1, RowMajor(512)),
		{name: "softmax", plan: func(p *Plan, l []Layout) error { return Softmax(p, Float32, l[0], l[1], 1) }, types: []Type{Float32, Float32}, operands: []Layout{matrix, matrix}},
		{name: "softmax/long rows", plan: func(p *Plan, l []Layout) error { return Softmax(p, Float32, l[0], l[1], 1) }, types: []Type{Float32, Float32}, operands: []Layout{long, long}},
		{name: "layer norm", plan: func(p *Plan, l []Layout) error { return LayerNorm(p, Float32, 1e-5, l[0], l[1], 1, nil, nil) }, types: []Type{Float32, Float32}, operands: []Layout{matrix, matrix}},
		{name: "variance", plan: func(p *Plan, l []Layout) error { return Variance(p, Float32, 0, l[0], l[1], 3) }, types: []Type{Float32, Float32}, operands: []Layout{RowMajor(), matrix}},
		{name: "scan", plan: func(p *Plan, l []Layout) error { return Scan(p, OpSum, Float32, Float32, l[0], l[1], 1) }, types: []Type{Float32, Float32}, operands: []Layout{matrix, matrix}},
		{name: "scan/held", plan: func(p *Plan, l []Layout) error { planHeldRow(p, OpSum, Float32, l[0], 2); return nil }, types: []Type{Float32, Float32}, operands: []Layout{row, row}},
		{name: "take", plan: planTakeWorkload, types: []Type{Float32, Float32, Int64, Int64}, operands: []Layout{matrix, matrix, RowMajor(512), RowMajor(1)}},
		{name: "join/rows", plan: func(p *Plan, l []Layout) error { return Join(p, Float32, l[0], l[1:], 0) }, types: []Type{Float32, Float32, Float32}, operands: []Layout{RowMajor(1024, 512), matrix, matrix}},
		{name: "join/columns", plan: func(p *Plan, l []Layout) error { return Join(p, Float32, l[0], l[1:], 1) }, types: []Type{Float32, Float32, Float32}, operands: []Layout{RowMajor(512, 1024), matrix, matrix}},
		{name: "transpose/float32", plan: func(p *Plan, l []Layout) error { return Copy(p, Float32, l[0], l[1]) }, types: []Type{Float32, Float32}, operands: []Layout{matrix, transposed}},
		{name: "transpose/float64", plan: func(p *Plan, l []Layout) error { return Copy(p, Float64, l[0], l[1]) }, types: []Type{Float64, Float64}, operands: []Layout{matrix, transposed}},
		{name: "transpose/float16", plan: func(p *Plan, l []Layout) error { return Copy(p, Float16, l[0], l[1]) }, types: []Type{Float16, Float16}, operands: []Layout{matrix, transposed}},
		{name: "transpose/uint8", plan: func(p *Plan, l []Layout) error { return Copy(p, Uint8, l[0], l[1]) }, types: []Type{Uint8, Uint8}, operands: []Layout{matrix, transposed}},
		workMatMul(Float32),
		workMatMul(Float64),
		{name: "random", plan: func(p *Plan, l []Layout) error { return Random(p, Normal, Float32, l[0].Len(), 1, 2) }, types: []Type{Float32}, operands: []Layout{matrix}},
		{name: "mma", text: mmaText, types: []Type{Float32}, operands: []Layout{RowMajor(128, 32)}},
		{name: "wgmma", text: wgmmaText, types: []Type{Float32}, operands: []Layout{RowMajor(16, 128)}},
	}
}

// mmaText multiplies fragments on tensor cores 64 times, without loading them.
const mmaText = `.version 8.0
.target sm_80
.address_size 64
.visible .entry k(.param .u64 out)
{
	.reg .pred %p<2>; .reg .b32 %r<12>; .reg .f32 %f<8>; .reg .b64 %rd<3>;
	ld.param.u64 %rd0, [out];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mad.lo.u32 %r0, %r1, %r2, %r0;
	mad.wide.u32 %rd1, %r0, 4, %rd0;
	mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0;
	mov.b32 %r3, 0x3c003c00; mov.u32 %r4, 0;
again:
	mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%f0, %f1, %f2, %f3}, {%r3, %r3, %r3, %r3}, {%r3, %r3}, {%f0, %f1, %f2, %f3};
	add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 64; @%p0 bra again;
	st.global.f32 [%rd1], %f0;
	ret;
}
`

// wgmmaText multiplies a tile of zeros in shared memory 16 times.
var wgmmaText = func() string {
	var b strings.Builder
	b.WriteString(`.version 8.0
.target sm_90a
.address_size 64
.visible .entry k(.param .u64 out)
{
	.reg .pred %p<2>; .reg .b32 %r<12>; .reg .f32 %f<32>; .reg .b64 %rd<6>;
	.shared .align 128 .b8 tile[4096];
	ld.param.u64 %rd0, [out];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x; mov.u32 %r2, %ntid.x; mad.lo.u32 %r6, %r1, %r2, %r0;
	mad.wide.u32 %rd1, %r6, 4, %rd0;
	mov.u32 %r3, tile; mad.lo.u32 %r4, %r0, 32, %r3; mov.u32 %r5, 0;
	st.shared.v4.u32 [%r4], {%r5, %r5, %r5, %r5}; st.shared.v4.u32 [%r4+16], {%r5, %r5, %r5, %r5};
	fence.proxy.async.shared::cta; bar.sync 0;
	shr.u32 %r3, %r3, 4; cvt.u64.u32 %rd2, %r3; or.b64 %rd2, %rd2, 0x0000001000080000;
`)
	var d []string
	for i := range 32 {
		d = append(d, fmt.Sprintf("%%f%d", i))
		fmt.Fprintf(&b, "\tmov.f32 %%f%d, 0f00000000;\n", i)
	}
	b.WriteString(`	mov.u32 %r4, 0;
again:
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {` + strings.Join(d, ", ") + `}, %rd2, %rd2, 1, 1, 1, 0, 0;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	add.u32 %r4, %r4, 1; setp.lt.u32 %p0, %r4, 16; @%p0 bra again;
	st.global.f32 [%rd1], %f0;
	ret;
}
`)
	return b.String()
}()

// planned returns the workload's plan; where it has a text, a launch of it.
func (f *workload) planned(t testing.TB) *Plan {
	t.Helper()
	p := &Plan{Capability: 90}
	if f.text != "" {
		l := f.operands[0]
		threads := 128
		p.Launches = []Launch{{Key: f.text, Grid: [3]uint32{uint32(l.Len() / threads), 1, 1}, Block: [3]uint32{uint32(threads), 1, 1}, Args: []Arg{{Pointer: true, Size: 8}}}}
	} else if err := f.plan(p, f.operands); err != nil {
		t.Fatal(err)
	}
	return p
}

// fillOf is what all bytes of an operand are: numbers near 1, or zeros, which are
// indices that exist.
func fillOf(t Type) byte {
	if t.IsFloat() {
		return 0x3f
	}
	return 0
}

// planTakeWorkload plans a take of rows, whose status cell is the last operand.
func planTakeWorkload(p *Plan, l []Layout) error {
	err := Take(p, Float32, l[1], 0, l[2], 0)
	for i := range p.Launches {
		for j := range p.Launches[i].Args {
			if a := &p.Launches[i].Args[j]; a.Pointer && a.Operand == StatusOperand {
				a.Operand = 3
			}
		}
	}
	return err
}

// TestWorkloads: each family of kernels has one.
func TestWorkloads(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range workloads() {
		if f.text != "" {
			continue
		}
		for _, l := range f.planned(t).Launches {
			family, err := familyOf(l.Key)
			if err != nil {
				t.Fatal(err)
			}
			seen[family.prefix] = true
		}
	}
	for _, f := range families() {
		if !seen[f.prefix] {
			t.Errorf("no workload runs a kernel of family %s", f.prefix)
		}
	}
}

// run executes a workload once on operands filled as fillOf says, and returns the
// result.
func (f *workload) run(t testing.TB, r *planRunner) []byte {
	t.Helper()
	if f.text != "" && r.kernels[f.text] == nil {
		m, err := r.ctx.LoadModule([]byte(f.text), driver.LoadConfig{})
		if err != nil {
			t.Fatal(err)
		}
		if r.kernels[f.text], err = m.Kernel("k"); err != nil {
			t.Fatal(err)
		}
	}
	operands := make([][]byte, len(f.operands))
	for i, l := range f.operands {
		operands[i] = bytes.Repeat([]byte{fillOf(f.types[i])}, l.Len()*f.types[i].Size())
	}
	r.runAlone(t, f.planned(t), operands)
	return operands[0]
}

func countingRunner(t testing.TB, cc int, c *exec.Counter) *planRunner {
	t.Helper()
	drv, err := driver.OpenAPI(sim.New(sim.Options{ComputeCapability: cc, Counts: c}))
	if err != nil {
		t.Fatal(err)
	}
	r, err := newRunnerOn(drv)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestMemoryCounts: accesses to shared memory have no bank conflicts, and those to
// global memory move no more sectors than they must, on aligned arrays.
func TestMemoryCounts(t *testing.T) {
	// Parts of the least that a workload may move above it: partial results lie
	// where the next stage wants them, and tiles that are waited for are asked for
	// where they are missing.
	wasted := map[string]float64{"sum/whole": 0.001, "sum/columns": 0.05, "variance": 0.002, "scan/held": 0.25}
	for _, f := range workloads() {
		if f.text != "" {
			continue
		}
		t.Run(f.name, func(t *testing.T) {
			c := new(exec.Counter)
			f.run(t, countingRunner(t, 90, c))
			var moved, least uint64
			for _, n := range c.Counts() {
				if n.Shared && n.Waste() != 0 {
					t.Errorf("line %d of %s: %s: %d wavefronts, %d would do", n.Pos.Line, n.Kernel, n.Instr, n.Cost, n.Least)
				}
				if !n.Shared {
					moved, least = moved+n.Cost, least+n.Least
				}
			}
			if least == 0 || float64(moved-least) > wasted[f.name]*float64(least) {
				var table strings.Builder
				_ = c.Write(&table) // a strings.Builder takes everything
				t.Errorf("%d sectors, %d would do\n%s", moved, least, table.String())
			}
		})
	}
}

// BenchmarkFamilies prints how many instructions a second the simulated device
// executes, each counted for every lane: decoded ones, of which a PTX instruction
// may be several or none.
func BenchmarkFamilies(b *testing.B) {
	for _, f := range workloads() {
		b.Run(f.name, func(b *testing.B) {
			c := new(exec.Counter)
			f.run(b, countingRunner(b, 90, c))
			r := countingRunner(b, 90, nil)
			if f.text != "" {
				f.run(b, r) // loads it
			}
			benchmarkLaunches(b, r, f.planned(b), f.types, f.operands)
			b.ReportMetric(float64(c.Lanes())*float64(b.N)/b.Elapsed().Seconds(), "lane-instr/s")
		})
	}
}
