package planted

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A mistake is an edit of the first kernel of an operation: the nth match
// (every one, where nth is all) of a pattern becomes something else. The
// simulated device must report it as one of the kinds in want.
type mistake struct {
	name      string
	operation string
	pattern   string
	nth       int
	to        string
	want      []exec.FaultKind
}

const all = -1

func is(kinds ...exec.FaultKind) []exec.FaultKind { return kinds }

const (
	bar     = `bar\.sync 0;`
	warpBar = `bar.warp.sync 0xffffffff;`

	heldWait = `@!%p\d+ bra \$await_\d+;`
)

var mistakes = []mistake{
	// Barriers.
	{"no barrier between a warp's partial sum and its reader", "sum", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a barrier of the warp instead of the block", "sum", bar, 1, warpBar, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier before the flag is read", "sum", bar, 3, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a barrier of the warp before the flag is read", "sum", bar, 3, warpBar, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier between partial sums of the last block", "sum", bar, 6, ``, is(exec.SharedRace)},
	{"a barrier for some lanes only", "sum", `(setp\.eq\.u32 (%p\d+), %b\d+, 0;\n\t)bar\.sync 0;`, 0, `$1@$2 bar.sync 0;`, is(exec.BarrierMisuse, exec.Deadlock)},
	{"a barrier that expects too few", "sum", bar, 1, `bar.sync 0, 64;`, is(exec.BarrierMisuse, exec.SharedRace)},
	{"a barrier that expects too many", "sum", bar, 1, `bar.sync 0, 256;`, is(exec.Deadlock)},
	{"no barrier before a stage of the tree", "columns", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier before the next stage", "columns", bar, 2, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier before the ticket", "columns", bar, 4, ``, is(exec.GlobalRace)},
	{"no barrier after the ticket", "columns", bar, 5, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier before the first tile is read", "matmul", bar, 0, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a barrier of the warp before the first tile is read", "matmul", bar, 0, warpBar, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier before the next tile is read", "matmul", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier between tiles, whole vectors", "matmul4", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier between tiles of a segment", "segments", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"no barrier between the maxima and their readers", "softmax", bar, 1, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"shared memory used again without a barrier", "softmax", bar, 2, ``, is(exec.SharedRace)},
	{"no barrier between the sums and their readers", "softmax", bar, 3, ``, is(exec.SharedRace)},
	{"no barrier between writing a tile and reading it", "transpose", bar, 0, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a barrier of the warp between writing a tile and reading it", "transpose", bar, 0, warpBar, is(exec.SharedRace, exec.Uninitialised)},

	// Blocks that work together.
	{"a relaxed ticket", "sum", `atom\.release`, 0, `atom.relaxed`, is(exec.GlobalRace)},
	{"no fence after the ticket", "sum", `@%p\d+ fence\.acq_rel\.gpu;`, 0, ``, is(exec.GlobalRace)},
	{"a fence of the block before a relaxed ticket", "columns", `atom\.release`, 0, `fence.acq_rel.cta; atom.relaxed`, is(exec.GlobalRace)},
	{"a release to the block", "columns", `atom\.release\.gpu`, 0, `atom.release.cta`, is(exec.GlobalRace)},
	{"a fence of the block after the ticket", "columns", `fence\.acq_rel\.gpu;`, 0, `fence.acq_rel.cta;`, is(exec.GlobalRace)},
	{"a relaxed ticket, positions", "argmax", `atom\.release`, 0, `atom.relaxed`, is(exec.GlobalRace)},
	{"a ticket that is not atomic", "sum", `atom\.release\.gpu\.global\.inc\.u32 (%r\d+), (\[%rd\d+\]), (%r\d+);`, 0, `ld.global.u32 $1, $2; st.global.u32 $2, $1;`, is(exec.GlobalRace)},
	{"every block counts as the last", "rows", `@%p\d+ bra \$exit_0;`, 0, ``, is(exec.GlobalRace, exec.Uninitialised)},
	{"all rows share their partial results", "rows", `(mul\.lo\.u32 %r\d+, %r\d+), %r\d+;`, 1, `$1, 0;`, is(exec.GlobalRace)},
	{"every thread stores the partial result", "sum", `@%p\d+ (st\.global\.f32)`, 0, `$1`, is(exec.GlobalRace)},
	{"every block writes the first elements", "add", `shl\.b64 (%bd\d+), %rd\d+, 2;`, 0, `mov.b64 $1, 0;`, is(exec.GlobalRace)},

	// Bounds.
	{"a whole vector where one element is left", "sum", `(add\.u32 %r\d+, %r\d+), 2052;`, 0, `$1, 2048;`, is(exec.OutOfBounds)},
	{"one element past the end", "sum", `setp\.ge(\.u32 %p\d+, %r\d+, %r\d+;\n\t@%p\d+ bra \$whole)`, 2, `setp.gt$1`, is(exec.OutOfBounds)},
	{"one column too many", "columns", `setp\.lt\.u32`, 0, `setp.le.u32`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"rows of a tile that are not there", "matmul", `min\.u32 (%r\d+), (%r\d+), %r27;`, all, `mov.u32 $1, $2;`, is(exec.OutOfBounds)},
	{"one step of K too many", "matmul", `setp\.ge(\.u32 %p\d+, %r\d+, %r\d+;\n\t@%p\d+ bra \$beyond)`, all, `setp.gt$1`, is(exec.OutOfBounds)},
	{"one row of the product too many", "matmul", `setp\.ge(\.u32 %p\d+, %r\d+, %r\d+;\n\t@%p\d+ bra \$below)`, all, `setp.gt$1`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"one column of the product too many", "matmul", `setp\.lt(\.u32 %p\d+, %r\d+, %r\d+;\n\t@%p\d+ st)`, all, `setp.le$1`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"a row's tail one too long", "softmax", `setp\.ge(\.u32 %p\d+, %r\d+, %r0;\n\t@%p\d+ bra)`, all, `setp.gt$1`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"a tile's edge not looked at", "transpose", `@!%p1 bra \$outside_0;`, 0, ``, is(exec.OutOfBounds)},
	{"a tile one column too wide", "transpose", `setp\.lt\.and`, all, `setp.le.and`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"an element past the end loaded and stored", "add", `setp\.lt`, all, `setp.le`, is(exec.OutOfBounds)},
	{"a store without its guard", "add", `@%p\d+ (st\.global\.f32 \[%rd11\+12\])`, 0, `$1`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"a vector stored where the tail is", "random", `setp\.gt(\.u64 %p\d+)`, 0, `setp.lt$1`, is(exec.OutOfBounds)},
	{"a tail stored without its guard", "random", `@%p\d+ (st\.global\.f32 \[%rd8\+4\])`, 0, `$1`, is(exec.OutOfBounds)},

	// Sizes and addresses.
	{"elements of 8 bytes", "add", `(shl\.b64 %bd1, %rd0), 2;`, 0, `$1, 3;`, is(exec.OutOfBounds)},
	{"elements of 2 bytes", "add", `(mad\.wide\.u32 %rd11, %r5), 4`, 0, `$1, 2`, is(exec.Misaligned)},
	{"a vector that begins an element late", "sum", `(ld\.global\S*\.v4\.f32 \{[^}]*\}, \[%rd\d+)\]`, 0, `$1+4]`, is(exec.Misaligned)},
	{"a vector of shared memory that begins an element late", "matmul4", `(ld\.shared\.v4\.f32 \{[^}]*\}, \[%r\d+)\]`, 0, `$1+4]`, is(exec.Misaligned)},
	{"positions of 8 bytes", "argmax", `(mad\.wide\.u32 %rd\d+, %r\d+), 4, %rd41;`, all, `$1, 8, %rd41;`, is(exec.OutOfBounds, exec.GlobalRace)},
	{"tickets of 3 bytes", "rows", `(mad\.wide\.u32 %rd\d+, %r5), 4(, %rd\d+;\n\tatom)`, 0, `$1, 3$2`, is(exec.Misaligned)},
	{"half of an address", "add", `ld\.param\.u64 (%rd7), \[p1\];`, 0, `mov.u64 $1, 4096;`, is(exec.OutOfBounds)},

	// Shared memory.
	{"partial sums 8 bytes apart", "sum", `(mad\.lo\.u32 %r\d+, %r\d+), 4`, 0, `$1, 8`, is(exec.OutOfBounds)},
	{"a tile's array too short", "transpose", `tile\[4160\]`, 0, `tile[4000]`, is(exec.OutOfBounds)},
	{"a row of the tile one longer", "transpose", `, 65,`, all, `, 66,`, is(exec.OutOfBounds)},
	{"the other buffer never changes back", "matmul4", `neg\.s32 (%r\d+), %r\d+;`, all, ``, is(exec.OutOfBounds, exec.SharedRace, exec.Uninitialised)},
	{"tiles stored into the buffer that is read", "matmul4", `sub\.u32 (%r\d+), %r\d+, %r\d+;\n(\tsub|\tneg)`, all, `$2`, is(exec.OutOfBounds, exec.SharedRace)},
	{"a swizzle out of the tile", "matmul", `(xor\.b32 %b\d+, %r\d+), 8;`, all, `$1, 2056;`, is(exec.OutOfBounds, exec.SharedRace, exec.Uninitialised)},
	{"only some warps write their sums", "sum", `setp\.eq\.u32 (%p\d+), %b1, 0;(\n\tbar)`, 0, `setp.eq.u32 $1, %b1, 33;$2`, is(exec.Uninitialised)},
	{"every lane stores into its warp's slot", "softmax", `@%p\d+ (st\.shared\.f32 \[%r\d+\], )%f\d+;`, 0, `cvt.rn.f32.u32 %f4, %r2; $1%f4;`, is(exec.SharedRace)},

	// Registers and warps.
	{"partial results that are not there are read", "sum", `@%p\d+ (ld\.global\.f32 %f\d+, \[%rd\d+\];)`, all, `$1`, is(exec.Uninitialised, exec.OutOfBounds)},
	{"absent partial results have no value", "sum", `\tmov\.f32 %f\d+, 0f80000000;\n(\tsetp\.lt)`, all, `$1`, is(exec.Uninitialised)},
	{"absent elements of a tile have no value", "transpose", `\tmov\.u32 %r\d+, 0;\n`, all, ``, is(exec.Uninitialised)},
	{"a shuffle that names half of the warp", "sum", `(shfl\.sync\.bfly\.b32 %f\d+, %f\d+, 1, 31, )0xffffffff`, 0, `${1}0x0000ffff`, is(exec.WarpMisuse)},
	{"a shuffle without its first lane", "softmax", `(shfl\.sync\.bfly\.b32 %f\d+, %f\d+, 1, 31, )0xffffffff`, 0, `${1}0xfffffffe`, is(exec.WarpMisuse)},
	{"a loop that does not go on", "sum", `\tadd\.u32 %r16, %r16, 16384;\n`, 0, ``, is(exec.OutOfFuel)},
	{"a division by the number of parts before it is set", "sum", `ld\.param\.u32 %r4, \[parts\];`, 0, `mov.u32 %r4, 0;`, is(exec.DivideByZero)},

	// Asynchronous copies.
	{"a wait for all groups but one more", "staged", `wait_group 1;`, 0, `wait_group 2;`, is(exec.AsyncMisuse)},
	{"no wait", "staged", `cp\.async\.wait_group 1;`, 0, ``, is(exec.AsyncMisuse)},
	{"groups not committed", "staged", `cp\.async\.commit_group;`, 1, ``, is(exec.AsyncMisuse)},
	{"a wait after the barrier", "staged", `(cp\.async\.wait_group 1;)\s*(bar\.sync 0;)`, 0, `$2 $1`, is(exec.SharedRace, exec.AsyncMisuse)},
	{"a stage filled while it is read", "staged", `bar\.sync 0; // read`, 0, ``, is(exec.SharedRace, exec.AsyncMisuse)},
	{"copies left at the end", "staged", `cp\.async\.wait_all;`, 0, ``, is(exec.AsyncMisuse)},
	{"a stage too far", "staged", `and\.b32 (%r\d+), %r\d+, 1;`, 0, `mov.u32 $1, 2;`, is(exec.OutOfBounds, exec.AsyncMisuse)},

	// Blocks that stay. The waits are for: a tile that is told, came, and is known what
	// precedes; one that is added up, so that its buffer is free; the same for its totals.
	{"a tile is read before it came", "held", heldWait, 1, ``, is(exec.SharedRace, exec.AsyncMisuse, exec.Uninitialised)},
	{"a tile is stored before it is known what precedes it", "held", heldWait, 2, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a tile is copied over one that is read", "held", heldWait, 3, ``, is(exec.SharedRace, exec.AsyncMisuse, exec.BarrierMisuse)},
	{"totals are published before there are any", "held", heldWait, 5, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"totals of tiles that nobody told of", "held", heldWait, 6, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"a buffer is waited for as in the round before", "held", `xor\.b32 %r\d+, %r\d+, 1;`, 1, ``, is(exec.SharedRace, exec.AsyncMisuse, exec.Deadlock)},
}

func TestMistakes(t *testing.T) {
	for _, m := range append(mistakes[:len(mistakes):len(mistakes)], asynchronous...) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			err := operations[m.operation].run(t, 0, m.edit(t))
			var f *exec.Fault
			if !errors.As(err, &f) {
				t.Fatalf("not reported: %v", err)
			}
			for _, k := range m.want {
				if f.Kind == k && strings.Contains(f.Detail, says[m.name]) {
					return
				}
			}
			t.Errorf("reported as %v, want %v that says %q", err, m.want, says[m.name])
		})
	}
	if len(mistakes) < 40 {
		t.Errorf("%d mistakes, want at least 40", len(mistakes))
	}
}

// edit returns the function that plants the mistake.
func (m *mistake) edit(t *testing.T) func(text string) string {
	re := regexp.MustCompile(m.pattern)
	return func(text string) string {
		found := re.FindAllStringSubmatchIndex(text, -1)
		if len(found) == 0 || m.nth >= len(found) {
			t.Fatalf("the kernel has %d places that match %s", len(found), m.pattern)
		}
		if m.nth != all {
			found = found[m.nth : m.nth+1]
		}
		var out []byte
		at := 0
		for _, f := range found {
			out = append(out, text[at:f[0]]...)
			out = re.ExpandString(out, m.to, text, f)
			at = f[1]
		}
		return string(out) + text[at:]
	}
}

func TestClean(t *testing.T) {
	for name, o := range operations {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(4) {
				if err := o.run(t, seed, func(text string) string { return text }); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
			}
		})
	}
}

// An operation is a plan and the bytes of its operands, the first of which is
// the result and the others random float32.
type operation struct {
	plan  func(p *kernels.Plan) error
	bytes []int
	text  string // of the kernel, where it is none of the module's
}

func matmul(m, n, k int) operation {
	return operation{plan: func(p *kernels.Plan) error {
		return kernels.MatMul(p, kernels.Float32, kernels.RowMajor(m, n), kernels.RowMajor(m, k), kernels.RowMajor(k, n))
	}, bytes: []int{4 * m * n, 4 * m * k, 4 * k * n}}
}

func reduce(op kernels.Op, result kernels.Type, axes uint32, out kernels.Layout, shape ...int) operation {
	in := kernels.RowMajor(shape...)
	return operation{plan: func(p *kernels.Plan) error {
		return kernels.ReduceAs(p, op, kernels.Float32, result, out, in, axes)
	}, bytes: []int{result.Size() * out.Len(), 4 * in.Len()}}
}

var operations = map[string]operation{
	"sum":      reduce(kernels.OpSum, kernels.Float32, 1, kernels.RowMajor(), 150001),
	"argmax":   reduce(kernels.OpArgMax, kernels.Int64, 1, kernels.RowMajor(), 150001),
	"rows":     reduce(kernels.OpSum, kernels.Float32, 2, kernels.RowMajor(5), 5, 6007),
	"columns":  reduce(kernels.OpSum, kernels.Float32, 1, kernels.RowMajor(70), 900, 70),
	"matmul":   matmul(45, 37, 19),
	"matmul4":  matmul(64, 64, 40),
	"segments": matmul(16, 16, 5000),
	"softmax": {plan: func(p *kernels.Plan) error {
		l := kernels.RowMajor(3, 1501)
		return kernels.Softmax(p, kernels.Float32, l, l, 1)
	}, bytes: []int{4 * 3 * 1501, 4 * 3 * 1501}},
	"transpose": {plan: func(p *kernels.Plan) error {
		in := kernels.RowMajor(68, 100)
		in.Shape[0], in.Shape[1], in.Strides[0], in.Strides[1] = 100, 68, 1, 100
		return kernels.Copy(p, kernels.Float32, kernels.RowMajor(100, 68), in)
	}, bytes: []int{4 * 6800, 4 * 6800}},
	"add": {plan: func(p *kernels.Plan) error {
		l := kernels.RowMajor(1003)
		op, _ := kernels.OpByName("add")
		e := &kernels.Expr{Nodes: []kernels.Node{
			{Kind: kernels.Load, Type: kernels.Float32, Operand: 1},
			{Kind: kernels.Load, Type: kernels.Float32, Operand: 2},
			{Kind: kernels.Apply, Type: kernels.Float32, Op: op, Args: [3]int{0, 1}},
		}}
		return kernels.Elementwise(p, e, l, []kernels.Layout{l, l})
	}, bytes: []int{4 * 1003, 4 * 1003, 4 * 1003}},
	"random": {plan: func(p *kernels.Plan) error {
		return kernels.Random(p, kernels.Normal, kernels.Float32, 1001, 1, 2)
	}, bytes: []int{4 * 1001}},
	"held": {plan: func(p *kernels.Plan) error { // 12 tiles, the last one not whole; planned are 2048 and more
		value := func(v uint64) kernels.Arg { return kernels.Arg{Bits: v, Size: 4} }
		key := "scanheld sum float32"
		p.Tickets = 16 + 8*12
		p.Launches = []kernels.Launch{{Key: key, Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{864, 1, 1}, Shared: uint32(kernels.SharedMemory(key)), Args: []kernels.Arg{
			{Pointer: true, Size: 8}, {Pointer: true, Operand: 1, Size: 8}, {Pointer: true, Operand: kernels.TicketOperand, Size: 8}, value(11*8192 + 5), value(12)}}}
		return nil
	}, bytes: []int{4 * (11*8192 + 5), 4 * (11*8192 + 5)}},
	"staged": {plan: func(p *kernels.Plan) error {
		p.Launches = []kernels.Launch{{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{128, 1, 1}, Args: []kernels.Arg{{Pointer: true, Size: 8}, {Pointer: true, Operand: 1, Size: 8}}}}
		return nil
	}, bytes: []int{4 * 256, 4 * 2048}, text: staged},
	"pipeline": {plan: func(p *kernels.Plan) error {
		p.Launches = []kernels.Launch{{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{160, 1, 1}, Args: []kernels.Arg{{Pointer: true, Size: 8}, {Pointer: true, Operand: 1, Size: 8}}}}
		return nil
	}, bytes: []int{2 * 4096, 2 * 13824}, text: pipeline},
}

// staged adds up 8 tiles of 128 elements a block, each reversed on the way,
// through two stages of shared memory that cp.async fills. The module has no
// kernel with cp.async.
const staged = `.version 7.0
.target sm_80
.address_size 64
.visible .entry staged(.param .u64 out, .param .u64 in)
{
	.reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .f32 %f<4>; .reg .pred %p<4>;
	.shared .align 16 .f32 stages[256];
	ld.param.u64 %rd0, [out]; ld.param.u64 %rd1, [in];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x;
	mov.u32 %r2, stages; mad.lo.u32 %r3, %r0, 4, %r2;
	sub.u32 %r4, 127, %r0; mad.lo.u32 %r4, %r4, 4, %r2;
	mad.lo.u32 %r5, %r1, 1024, %r0; mad.wide.u32 %rd1, %r5, 4, %rd1;
	mad.lo.u32 %r6, %r1, 128, %r0; mad.wide.u32 %rd0, %r6, 4, %rd0;
	mov.f32 %f0, 0f00000000;
	cp.async.ca.shared.global [%r3], [%rd1], 4;
	cp.async.commit_group;
	mov.u32 %r7, 0;
again:
	add.u32 %r8, %r7, 1;
	setp.lt.u32 %p0, %r8, 8;
	and.b32 %r9, %r8, 1; mad.lo.u32 %r10, %r9, 512, %r3;
	mad.wide.u32 %rd2, %r8, 512, %rd1;
	@%p0 cp.async.ca.shared.global [%r10], [%rd2], 4;
	cp.async.commit_group;
	cp.async.wait_group 1;
	bar.sync 0;
	and.b32 %r11, %r7, 1; mad.lo.u32 %r12, %r11, 512, %r4;
	ld.shared.f32 %f1, [%r12];
	add.rn.f32 %f0, %f0, %f1;
	bar.sync 0; // read
	mov.u32 %r7, %r8;
	@%p0 bra again;
	cp.async.ca.shared.global [%r3], [%rd1], 4;
	cp.async.wait_all;
	st.global.f32 [%rd0], %f0;
	ret;
}
`

// run executes the operation under all checks, its first kernel edited. A seed
// draws the order of blocks and warps.
func (o operation) run(t *testing.T, seed uint64, edit func(string) string) error {
	p := new(kernels.Plan)
	if err := o.plan(p); err != nil {
		t.Fatal(err)
	}
	mem := exec.NewMemory(1 << 30)
	alloc := func(bytes uint64, label string) uint64 {
		a, err := mem.Alloc(max(bytes, 1), func() string { return label })
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	r := rand.New(rand.NewPCG(1, 2))
	addrs := map[int]uint64{kernels.ScratchOperand: alloc(p.Scratch, "scratch"), kernels.TicketOperand: alloc(p.Tickets, "tickets")}
	mem.MarkInitialised(addrs[kernels.TicketOperand], max(p.Tickets, 1)) // zero
	for i, n := range o.bytes {
		addrs[i] = alloc(uint64(n), fmt.Sprintf("operand %d", i))
		if i == 0 {
			continue
		}
		b, _ := mem.Slice(addrs[i], uint64(n))
		for ; len(b) > 0; b = b[4:] {
			binary.NativeEndian.PutUint32(b, 0x3f800000|r.Uint32()>>9) // 1 to 2
		}
		mem.MarkInitialised(addrs[i], uint64(n))
	}
	for i := range p.Launches {
		text := o.text
		if text == "" {
			var err error
			if text, err = kernels.Source(p.Launches[i].Key, 90); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			text = edit(text)
		}
		if err := launch(t, mem, text, &p.Launches[i], addrs, seed); err != nil {
			return err
		}
	}
	return nil
}

func launch(t *testing.T, mem *exec.Memory, text string, l *kernels.Launch, addrs map[int]uint64, seed uint64) error {
	m, err := ptx.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	prog, err := exec.Load(m, mem, 90)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range prog.Kernels {
		params := make([]byte, k.ParamBytes)
		for i, a := range l.Args {
			v := a.Bits
			if a.Pointer {
				v += addrs[a.Operand]
			}
			if at := params[k.Params[i].Offset:]; k.Params[i].Size == 8 {
				binary.NativeEndian.PutUint64(at, v)
			} else {
				binary.NativeEndian.PutUint32(at, uint32(v))
			}
		}
		return exec.Run(k, exec.Launch{Grid: l.Grid, Block: l.Block, DynamicShared: l.Shared, Params: params},
			exec.Options{Races: true, GlobalRaces: true, Workers: 1, Seed: seed, Fuel: 1 << 20})
	}
	return nil
}
