package kernels

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// TestTune times variants of the memory-bound kernels that lag behind their
// goals. It runs with GPUARRAY_TUNE set to a regular expression of rows ("." for
// all), on a GPU (about two minutes) or, tiny, on the simulated device.

type tuneVariant struct {
	label string
	set   func()                   // changes the planners, before planning
	plan  func(p *Plan) error      // nil: the row's
	edit  func(text string) string // of the PTX; nil: none
}

type tuneRow struct {
	name          string
	read, written int // bytes
	probe         string
	plan          func(p *Plan) error
	operands      []int // numbers of buffers
	variants      []tuneVariant
}

type tuner struct {
	t          *testing.T
	r          *planRunner
	n, side    int
	buffers    []driver.Ptr
	scratch    driver.Ptr
	tickets    driver.Ptr
	start, end *driver.Event
	loaded     map[string]*driver.Kernel
	limits     map[string]float64
	samples    int
}

func (u *tuner) check(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

func (u *tuner) alloc(bytes int) driver.Ptr {
	m, err := u.r.ctx.Alloc(uint64(bytes))
	u.check(err)
	u.t.Cleanup(func() { m.Close() })
	return m.Ptr()
}

func (u *tuner) kernel(key string, text func() (string, error), label, entry string) (*driver.Kernel, error) {
	id := label + "|" + key
	if k := u.loaded[id]; k != nil {
		return k, nil
	}
	s, err := text()
	if err != nil {
		return nil, err
	}
	m, err := u.r.ctx.LoadModule([]byte(s), driver.LoadConfig{})
	if err != nil {
		return nil, err
	}
	k, err := m.Kernel(entry)
	u.loaded[id] = k
	return k, err
}

const tuneScratch, tuneTickets = 64 << 20, 16 << 20

// prepare returns a function that queues a variant's launches once.
func (u *tuner) prepare(row *tuneRow, v *tuneVariant) (func() error, error) {
	tuneColumns, tuneRows, tuneUnroll, tuneScan, tuneSteps, tunePublish = nil, nil, 0, [2]int{}, 0, false
	tuneCluster = 0
	if v.set != nil {
		v.set()
	}
	plan := row.plan
	if v.plan != nil {
		plan = v.plan
	}
	p := Plan{Capability: u.r.cc}
	if err := plan(&p); err != nil {
		return nil, err
	}
	if p.Scratch > tuneScratch || p.Tickets > tuneTickets {
		return nil, fmt.Errorf("%d bytes of scratch and %d of tickets", p.Scratch, p.Tickets)
	}
	var queue []func() error
	for _, l := range p.Launches {
		k, err := u.kernel(l.Key, func() (string, error) {
			f, err := familyOf(l.Key)
			if err != nil {
				return "", err
			}
			target, err := f.target(l.Key, u.r.cc)
			if err != nil {
				return "", err
			}
			text, err := generate(f, l.Key, target)
			if err == nil && v.edit != nil {
				text = v.edit(text)
			}
			return text, err
		}, v.label, EntryName(l.Key))
		if err != nil {
			return nil, err
		}
		args := driver.NewArgs()
		for _, a := range l.Args {
			switch {
			case !a.Pointer:
				args.Bits(a.Bits, int(a.Size))
			case a.Operand == ScratchOperand:
				args.Ptr(u.scratch + driver.Ptr(a.Bits))
			case a.Operand == TicketOperand:
				args.Ptr(u.tickets + driver.Ptr(a.Bits))
			default:
				args.Ptr(u.buffers[row.operands[a.Operand]] + driver.Ptr(a.Bits))
			}
		}
		cfg := driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block), Shared: l.Shared}
		queue = append(queue, func() error { return k.LaunchArgs(u.r.stream, cfg, args) })
	}
	return func() error {
		for _, q := range queue {
			if err := q(); err != nil {
				return err
			}
		}
		return nil
	}, nil
}

// time returns the µs of one of n calls.
func (u *tuner) time(once func() error, n int) float64 {
	u.check(once())
	u.check(u.start.Record(u.r.stream))
	for range n {
		u.check(once())
	}
	u.check(u.end.Record(u.r.stream))
	u.check(u.end.Synchronize())
	d, err := u.end.Since(u.start)
	u.check(err)
	return float64(d.Nanoseconds()) / 1e3 / float64(n)
}

func (u *tuner) batch(bytes int) int { return min(max(int(2e-3/(float64(bytes)/2e12)), 2), 200) }

func tuneMedian(xs []float64) float64 {
	xs = slices.Sorted(slices.Values(xs))
	return xs[len(xs)/2]
}

// limit is the best time, in µs, of plain kernels that read and write as much.
func (u *tuner) limit(row *tuneRow) float64 {
	id := fmt.Sprint(row.probe, row.read+row.written)
	if us := u.limits[id]; us > 0 {
		return us
	}
	reads, writes := int(row.probe[0]-'0'), int(row.probe[1]-'0')
	each := (row.read + row.written) / (reads + writes)
	best := 0.0
	for _, vectors := range []int{1, 2, 4} {
		k, err := u.kernel(fmt.Sprint(row.probe, vectors), func() (string, error) { return tuneProbe(reads, writes, vectors), nil }, "", "probe")
		u.check(err)
		args := driver.NewArgs()
		for i := range reads + writes {
			args.Ptr(u.buffers[i])
		}
		cfg := driver.LaunchConfig{Grid: driver.Dim{uint32(max(each/16/256/vectors, 1)), 1, 1}, Block: driver.Dim{256, 1, 1}}
		var xs []float64
		for range u.samples {
			xs = append(xs, u.time(func() error { return k.LaunchArgs(u.r.stream, cfg, args) }, u.batch(row.read+row.written)))
		}
		if us := tuneMedian(xs); best == 0 || us < best {
			best = us
		}
	}
	u.limits[id] = best
	return best
}

func tuneProbe(reads, writes, vectors int) string {
	var b strings.Builder
	b.WriteString(".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry probe(")
	for i := range reads + writes {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, ".param .u64 p%d", i)
	}
	fmt.Fprintf(&b, ")\n{\n.reg .pred %%q;\n.reg .b32 %%t, %%c, %%i;\n.reg .b64 %%o;\n.reg .b64 %%a<%d>;\n.reg .b32 %%r<%d>;\n.reg .b32 %%x<4>;\n", reads+writes, 4*vectors*max(reads, 1))
	fmt.Fprintf(&b, "mov.u32 %%t, %%tid.x;\nmov.u32 %%c, %%ctaid.x;\nmad.lo.u32 %%i, %%c, %d, %%t;\nmul.wide.u32 %%o, %%i, 16;\n", 256*vectors)
	for i := range reads + writes {
		fmt.Fprintf(&b, "ld.param.u64 %%a%d, [p%d];\ncvta.to.global.u64 %%a%d, %%a%d;\nadd.s64 %%a%d, %%a%d, %%o;\n", i, i, i, i, i, i)
	}
	quad := func(n int) string { return fmt.Sprintf("{%%r%d, %%r%d, %%r%d, %%r%d}", n, n+1, n+2, n+3) }
	for v := range vectors {
		for a := range reads {
			fmt.Fprintf(&b, "ld.global.v4.b32 %s, [%%a%d+%d];\n", quad(4*(a*vectors+v)), a, v*4096)
		}
		for i := range 4 {
			if reads == 0 {
				fmt.Fprintf(&b, "xor.b32 %%r%d, %%i, %d;\n", 4*v+i, 0x3f9a2b1d+i)
			}
		}
	}
	for v := range vectors {
		for a := 1; a < reads; a++ {
			for i := range 4 {
				fmt.Fprintf(&b, "xor.b32 %%r%d, %%r%d, %%r%d;\n", 4*v+i, 4*v+i, 4*(a*vectors+v)+i)
			}
		}
		if writes > 0 {
			fmt.Fprintf(&b, "st.global.v4.b32 [%%a%d+%d], %s;\n", reads, v*4096, quad(4*v))
		}
	}
	if writes == 0 {
		b.WriteString("mov.b32 %x0, 0;\n")
		for i := range 4 * vectors {
			fmt.Fprintf(&b, "xor.b32 %%x0, %%x0, %%r%d;\n", i)
		}
		b.WriteString("setp.eq.u32 %q, %x0, 0x7fc0dead;\n@%q st.global.b32 [%a0], %x0;\n")
	}
	b.WriteString("ret;\n}\n")
	return b.String()
}

// minBlocks asks for so many blocks on a multiprocessor.
func minBlocks(n int) func(string) string {
	return func(text string) string {
		return regexp.MustCompile(`(?m)^(\.maxntid .*)$`).ReplaceAllString(text, fmt.Sprintf("$1\n.minnctapersm %d", n))
	}
}

func columnsAs(vec, run, lanes, groups int) func() {
	return func() {
		tuneColumns = func(k columnsKernel, slots int) columnsKernel {
			k.vec, k.run, k.lanes, k.groups = vec, run, lanes, groups
			k.run = min(k.run, slots)
			k.groups = min(k.groups, slots/k.run)
			return k
		}
	}
}

func rowsAs(lanes, unroll int) func() {
	return func() { tuneRows, tuneUnroll = func(k rowsKernel) rowsKernel { k.lanes = lanes; return k }, unroll }
}

func scanAs(rounds, warps int) tuneVariant {
	return tuneVariant{label: fmt.Sprintf("rounds %d warps %d", rounds, warps), set: func() { tuneScan = [2]int{rounds, warps} }}
}

func TestTune(t *testing.T) {
	pattern := os.Getenv("GPUARRAY_TUNE")
	if pattern == "" {
		t.Skip("GPUARRAY_TUNE is not set")
	}
	rows, err := regexp.Compile(pattern)
	if err != nil {
		t.Fatal(err)
	}
	u := &tuner{t: t, r: newRunner(t), n: 1 << 26, side: 1 << 13, samples: 7, loaded: map[string]*driver.Kernel{}, limits: map[string]float64{}}
	if u.r.twin == nil {
		u.n, u.side, u.samples = 1<<16, 1<<8, 1
	}
	u.start, err = u.r.ctx.NewEvent(driver.EventConfig{Timing: true})
	u.check(err)
	u.end, err = u.r.ctx.NewEvent(driver.EventConfig{Timing: true})
	u.check(err)
	u.scratch, u.tickets = u.alloc(tuneScratch), u.alloc(tuneTickets)
	u.check(u.r.stream.MemsetD8(u.scratch, 0, tuneScratch))
	u.check(u.r.stream.MemsetD8(u.tickets, 0, tuneTickets))
	for i := range 6 { // 0 to 2 hold float32, 3 and 4 bfloat16, 5 positive float32
		u.buffers = append(u.buffers, u.alloc(4*u.n))
		typ := Float32
		if i == 3 || i == 4 {
			typ = BFloat16
		}
		u.operate([]int{i}, func(p *Plan) error { return Random(p, Normal, typ, u.n, 7, uint64(i)<<40) })
	}
	u.operate([]int{5, 5}, func(p *Plan) error {
		l := RowMajor(u.n)
		return Elementwise(p, singleOp(OpAbs, Float32, false), l, []Layout{l})
	})
	began := time.Now()
	for _, row := range u.rows() {
		if rows.MatchString(row.name) {
			u.measure(&row)
		}
	}
	fmt.Printf("tuned in %.0f s\n", time.Since(began).Seconds())
}

func (u *tuner) operate(operands []int, plan func(p *Plan) error) {
	once, err := u.prepare(&tuneRow{operands: operands, plan: plan}, &tuneVariant{label: "set-up"})
	u.check(err)
	u.check(once())
}

// measure takes samples of all variants of a row in turn.
func (u *tuner) measure(row *tuneRow) {
	limit := u.limit(row)
	var calls []func() error
	for i := range row.variants {
		once, err := u.prepare(row, &row.variants[i])
		if err != nil {
			fmt.Printf("%-18s %-28s %v\n", row.name, row.variants[i].label, err)
			once = nil
		}
		calls = append(calls, once)
	}
	samples := make([][]float64, len(calls))
	for range u.samples {
		for i, once := range calls {
			if once != nil {
				samples[i] = append(samples[i], u.time(once, u.batch(row.read+row.written)))
			}
		}
	}
	for i, s := range samples {
		if len(s) > 0 {
			fmt.Printf("%-18s %-28s %8.1f µs  %.3f\n", row.name, row.variants[i].label, tuneMedian(s), limit/tuneMedian(s))
		}
	}
}

func (u *tuner) rows() []tuneRow {
	n, side := u.n, u.side
	whole, square := RowMajor(n), RowMajor(side, side)
	variants := func(vs ...tuneVariant) []tuneVariant { return append([]tuneVariant{{label: "now"}}, vs...) }
	publish := tuneVariant{label: "published", set: func() { tunePublish = true }}
	noFence := tuneVariant{label: "no fence: wrong, a bound", edit: func(s string) string { return strings.ReplaceAll(s, "fence.acq_rel.gpu;", "") }}
	rowsVariants := variants(publish, noFence, tuneVariant{label: "published l256", set: func() { rowsAs(256, 4)(); tunePublish = true }}, tuneVariant{label: "published l512 min4", set: publish.set, edit: minBlocks(4)},
		tuneVariant{label: "l512 u4 min4", edit: minBlocks(4)}, tuneVariant{label: "l512 u2", set: rowsAs(512, 2)}, tuneVariant{label: "l512 u8", set: rowsAs(512, 8)},
		tuneVariant{label: "l256 u4", set: rowsAs(256, 4)}, tuneVariant{label: "l256 u8", set: rowsAs(256, 8)}, tuneVariant{label: "l256 u4 min8", set: rowsAs(256, 4), edit: minBlocks(8)},
		tuneVariant{label: "l128 u4", set: rowsAs(128, 4)}, tuneVariant{label: "l128 u8", set: rowsAs(128, 8)})
	columnVariants := variants(noFence,
		tuneVariant{label: "n8 l32 g4", set: columnsAs(4, 8, 32, 4)}, tuneVariant{label: "n8 l16 g8", set: columnsAs(4, 8, 16, 8)}, tuneVariant{label: "n8 l64 g4", set: columnsAs(4, 8, 64, 4)},
		tuneVariant{label: "n4 l32 g8", set: columnsAs(4, 4, 32, 8)}, tuneVariant{label: "n4 l32 g4", set: columnsAs(4, 4, 32, 4)}, tuneVariant{label: "n4 l64 g4", set: columnsAs(4, 4, 64, 4)},
		tuneVariant{label: "n4 l16 g16", set: columnsAs(4, 4, 16, 16)}, tuneVariant{label: "n4 l32 g16", set: columnsAs(4, 4, 32, 16)}, tuneVariant{label: "n4 l16 g32", set: columnsAs(4, 4, 16, 32)},
		tuneVariant{label: "n2 l32 g8", set: columnsAs(4, 2, 32, 8)}, tuneVariant{label: "n2 l32 g16", set: columnsAs(4, 2, 32, 16)}, tuneVariant{label: "n2 l16 g32", set: columnsAs(4, 2, 16, 32)},
		tuneVariant{label: "n4 l8 g32", set: columnsAs(4, 4, 8, 32)}, tuneVariant{label: "n4 l8 g64", set: columnsAs(4, 4, 8, 64)}, tuneVariant{label: "n4 l8 g128", set: columnsAs(4, 4, 8, 128)},
		tuneVariant{label: "n8 l32 g8 min3", edit: minBlocks(3)}, tuneVariant{label: "v2 n8 l32 g8", set: columnsAs(2, 8, 32, 8)})
	reduceTo := func(op Op, t Type, out, in Layout, axes uint32) func(p *Plan) error {
		return func(p *Plan) error { return Reduce(p, op, t, out, in, axes) }
	}
	dot := &Expr{}
	dot.apply(OpMul, Float32, dot.load(1, Float32, Float32), dot.load(2, Float32, Float32))
	mid := RowMajor(64, side/8, n/64/(side/8))
	narrow := RowMajor(n/64, 64)
	longLength := min(n, 1<<16)
	long, row, longest := RowMajor(n/longLength, longLength), RowMajor(longLength), RowMajor(max(n>>18, 1), min(n, 1<<18))
	residents := func(n int) func(string) string { // on a multiprocessor, of blocks of 128 threads
		return func(text string) string {
			return strings.ReplaceAll(text, ".minnctapersm 4\n", fmt.Sprintf(".minnctapersm %d\n", n))
		}
	}
	clusters := variants(tuneVariant{label: "2 blocks", set: func() { tuneCluster = 2 }}, tuneVariant{label: "4 blocks", set: func() { tuneCluster = 4 }},
		tuneVariant{label: "min3", edit: residents(3)}, tuneVariant{label: "min5", edit: residents(5)})
	softmaxOf := func(t Type) func(p *Plan) error {
		return func(p *Plan) error { return Softmax(p, t, square, square, 1) }
	}
	normOf := func(t Type) func(p *Plan) error {
		scale := RowMajor(side)
		return func(p *Plan) error { return LayerNorm(p, t, 1e-5, square, square, 1, &scale, &scale) }
	}
	unaryOf := func(op Op) func(p *Plan) error {
		return func(p *Plan) error { return Elementwise(p, singleOp(op, Float32, false), whole, []Layout{whole}) }
	}
	return []tuneRow{
		{"sum_f32", 4 * n, 0, "10", reduceTo(OpSum, Float32, RowMajor(), whole, 1), []int{2, 0}, rowsVariants},
		{"sum_bf16", 2 * n, 0, "10", reduceTo(OpSum, BFloat16, RowMajor(), whole, 1), []int{2, 3}, variants(publish, noFence,
			tuneVariant{label: "l256 min4", edit: minBlocks(4)}, tuneVariant{label: "l256 min8", edit: minBlocks(8)}, tuneVariant{label: "l256 u2", set: rowsAs(256, 2)}, tuneVariant{label: "l256 u8", set: rowsAs(256, 8)}, tuneVariant{label: "l128 u4", set: rowsAs(128, 4)}, tuneVariant{label: "l128 u8", set: rowsAs(128, 8)})},
		{"argmax_f32", 4 * n, 0, "10", reduceTo(OpArgMax, Float32, RowMajor(), whole, 1), []int{2, 0}, rowsVariants},
		{"dot_f32", 8 * n, 0, "20", func(p *Plan) error { return ReduceExpr(p, OpSum, dot, Float32, RowMajor(), []Layout{whole, whole}, 1) }, []int{2, 0, 1}, rowsVariants},
		{"var_f32", 4 * n, 0, "10", func(p *Plan) error { return Variance(p, Float32, 0, RowMajor(), whole, 1) }, []int{2, 0}, variants(
			tuneVariant{label: "steps 2", set: func() { tuneSteps = 2 }}, tuneVariant{label: "steps 8", set: func() { tuneSteps = 8 }}, tuneVariant{label: "steps 16", set: func() { tuneSteps = 16 }},
			tuneVariant{label: "min3", edit: minBlocks(3)}, tuneVariant{label: "min4", edit: minBlocks(4)}, tuneVariant{label: "steps 8 min3", set: func() { tuneSteps = 8 }, edit: minBlocks(3)})},
		{"colsum_f32", 4 * n, 0, "10", reduceTo(OpSum, Float32, RowMajor(side), square, 1), []int{2, 0}, columnVariants},
		{"midsum_f32", 4 * n, 0, "10", reduceTo(OpSum, Float32, RowMajor(mid.Shape[0], mid.Shape[2]), mid, 2), []int{2, 0}, columnVariants},
		{"colsum_64cols_f32", 4 * n, 0, "10", reduceTo(OpSum, Float32, RowMajor(64), narrow, 1), []int{2, 0}, columnVariants},
		{"rowsum_64cols_f32", 4 * n, 0, "10", reduceTo(OpSum, Float32, RowMajor(n/64), narrow, 2), []int{2, 0}, variants()},
		{"softmax_f32", 4 * n, 4 * n, "11", softmaxOf(Float32), []int{2, 0}, variants(tuneVariant{label: "min3", edit: minBlocks(3)})},
		{"softmax_bf16", 2 * n, 2 * n, "11", softmaxOf(BFloat16), []int{4, 3}, variants(tuneVariant{label: "min5", edit: minBlocks(5)}, tuneVariant{label: "min6", edit: minBlocks(6)})},
		{"layernorm_f32", 4 * n, 4 * n, "11", normOf(Float32), []int{2, 0, 5, 5}, variants(tuneVariant{label: "min3", edit: minBlocks(3)})},
		{"layernorm_bf16", 2 * n, 2 * n, "11", normOf(BFloat16), []int{4, 3, 3, 3}, variants(tuneVariant{label: "min5", edit: minBlocks(5)}, tuneVariant{label: "min6", edit: minBlocks(6)})},
		{"longsoftmax_f32", 4 * n, 4 * n, "11", func(p *Plan) error { return Softmax(p, Float32, long, long, 1) }, []int{2, 0}, clusters},
		{"longsoftmax_bf16", 2 * n, 2 * n, "11", func(p *Plan) error { return Softmax(p, BFloat16, long, long, 1) }, []int{4, 3}, clusters},
		{"longlayernorm_f32", 4 * n, 4 * n, "11", func(p *Plan) error { return LayerNorm(p, Float32, 1e-5, long, long, 1, &row, &row) }, []int{2, 0, 5, 5}, clusters},
		{"longlogsumexp_f32", 4 * n, 0, "10", func(p *Plan) error { return LogSumExp(p, Float32, RowMajor(n/longLength), long, 2) }, []int{2, 0}, clusters},
		{"longestsoftmax_f32", 4 * n, 4 * n, "11", func(p *Plan) error { return Softmax(p, Float32, longest, longest, 1) }, []int{2, 0}, variants()},
		{"cumsum_f32", 4 * n, 4 * n, "11", func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, whole, whole, 0) }, []int{2, 0}, variants(scanAs(4, 8), scanAs(8, 4), scanAs(4, 4), scanAs(4, 16), tuneVariant{label: "min5", edit: minBlocks(5)}, tuneVariant{label: "min6", edit: minBlocks(6)})},
		{"rowcumsum_f32", 4 * n, 4 * n, "11", func(p *Plan) error { return Scan(p, OpSum, Float32, Float32, square, square, 1) }, []int{2, 0}, variants(tuneVariant{label: "min5", edit: minBlocks(5)}, tuneVariant{label: "min6", edit: minBlocks(6)})},
		{"pow_f32", 8 * n, 4 * n, "21", func(p *Plan) error {
			return Elementwise(p, singleOp(OpPow, Float32, false), whole, []Layout{whole, whole})
		}, []int{2, 5, 0}, variants(tuneVariant{label: "min6", edit: minBlocks(6)})},
		{"tanh_f32", 4 * n, 4 * n, "11", unaryOf(OpTanh), []int{2, 0}, variants()},
		{"exp_f32", 4 * n, 4 * n, "11", unaryOf(OpExp), []int{2, 0}, variants()},
		{"randn_f32", 0, 4 * n, "01", func(p *Plan) error { return Random(p, Normal, Float32, n, 1, 2) }, []int{2}, variants()},
		{"rand_f32", 0, 4 * n, "01", func(p *Plan) error { return Random(p, Uniform, Float32, n, 1, 2) }, []int{2}, variants()},
	}
}
