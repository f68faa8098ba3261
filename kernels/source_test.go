package kernels

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// TestEmbedded holds the files in kernels/ptx against the generator.
func TestEmbedded(t *testing.T) {
	files, err := Files()
	if err != nil {
		t.Fatal(err)
	}
	have, err := embedded.ReadDir("ptx")
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, f := range have {
		text, err := embedded.ReadFile("ptx/" + f.Name())
		if err != nil {
			t.Fatal(err)
		}
		total += len(text)
		switch want, ok := files[f.Name()]; {
		case !ok:
			t.Errorf("%s is no longer generated: run go generate ./kernels", f.Name())
		case want != string(text):
			t.Errorf("%s is not what the generator writes: run go generate ./kernels", f.Name())
		}
		delete(files, f.Name())
	}
	for name := range files {
		t.Errorf("%s is missing: run go generate ./kernels", name)
	}
	t.Logf("%d files, %d bytes", len(have), total)
	if total > 3<<20 {
		t.Errorf("the embedded kernels have %d bytes; every program carries them", total)
	}
}

// TestSourceEmbedded asks for every embedded kernel as a device does.
func TestSourceEmbedded(t *testing.T) {
	for _, key := range EmbeddedKeys() {
		for _, cc := range []int{75, 80, 90, 120} {
			f, err := familyOf(key)
			if err != nil {
				t.Fatal(err)
			}
			target, err := f.target(key, cc)
			if err != nil {
				continue // no kernel for this device
			}
			text, err := Source(key, cc)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(text, "// "+key+"\n") {
				t.Errorf("%s: the text begins with %.60q", key, text)
			}
			if want := fmt.Sprintf(".target sm_%d", target); !strings.Contains(text, want) {
				t.Errorf("%s for %d: no %s", key, cc, want)
			}
			if !strings.Contains(text, ".visible .entry "+EntryName(key)+"(") {
				t.Errorf("%s: no entry %s", key, EntryName(key))
			}
		}
	}
}

func TestEntryNames(t *testing.T) {
	identifier := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	seen := map[string]string{}
	for _, key := range EmbeddedKeys() {
		name := EntryName(key)
		if !identifier.MatchString(name) || len(name) > 64 {
			t.Errorf("%s: entry %q", key, name)
		}
		if seen[name] != "" {
			t.Errorf("%s and %s are both called %s", key, seen[name], name)
		}
		seen[name] = key
	}
	for key, want := range map[string]string{
		"ew v4 u1 r0 outc float32:1c float32:2c add.float32:0,1":                      "add_float32_contiguous",
		"ew v2 u2 r2 outc float32:1w float32:2c add.float32:0,1":                      "add_float32_strided_contiguous_r2_v2u2",
		"ew v4 u1 r0 outw float32:1c sqrt.float32:0":                                  "", // no coordinates: no such kernel
		"ew v4 u1 r0 outc float32:1c float32:imm multiply.float32:0,1":                "multiply_float32_contiguous_immediate",
		"ew v4 u1 r0 outc float32:1c multiply.float32:0,0":                            "ew_multiply_",
		"ew v4 u1 r0 outc float32:1c float32:2c add.float32:0,1 sqrt.float32:2":       "ew_add_sqrt_",
		"ew v2 u1 r0 outc int64:idxc cast.float64:0 float64:imm multiply.float64:1,2": "ew_cast_multiply_",
	} {
		name := EntryName(key)
		if want == "" || name == want {
			continue
		}
		if rest, ok := strings.CutPrefix(name, want); !ok || len(rest) != 16 {
			t.Errorf("%s: entry %s, want %s", key, name, want)
		}
	}
}

func TestSourceErrors(t *testing.T) {
	add := "ew v4 u1 r0 outc float32:1c float32:2c add.float32:0,1"
	for _, c := range []struct {
		key  string
		cc   int
		want string
	}{
		{"", 80, "no family"},
		{"nosuch key", 80, "no family"},
		{"ew\nv4", 80, "separated by one space"},
		{"ew v+4 u1 r0 outc float32:1c sqrt.float32:0", 80, `it is written "ew v4 u1`},
		{add, 70, "need compute capability 7.5 or higher; the device has 7.0"},
		{"ew v4", 80, "want ew"},
		{"ew v3 u1 r0 outc float32:1c sqrt.float32:0", 80, "no thread has"},
		{"ew v4 u1 r0 outc float64:1c sqrt.float64:0", 80, "no thread has"},
		{"ew v4 u1 r0 outw float32:1c sqrt.float32:0", 80, "needs coordinates"},
		{"ew v4 u1 r0 outs float32:1c sqrt.float32:0", 80, "an output is"},
		{"ew v4 u1 r0 outc int32:1c sqrt.int32:0", 80, "sqrt is not defined for int32"},
		{"ew v4 u1 r0 outc float32:1c sqrt.float32:0,0", 80, "no node"},
		{"ew v4 u1 r0 outc float32:1c sqrt.float32:1", 80, "does not come before"},
		{"ew v4 u1 r0 outc float32:1c float32:1s add.float32:0,1", 80, "two forms"},
		{"join a16 n128 k3", 80, "no such kernel"},
		{"join a3 n2 k0", 80, "no such kernel"},
		{"join a4 n3 k0", 80, "no such kernel"},
		{"join a04 n8 k0", 80, "no such kernel"},
		{"ew v2 u1 r0 outc int64:idxs", 80, "an index is"},
		{"ew v2 u1 r0 outc bool:1c int64:1c where.int64:0,1,1", 80, "node 0 loads operand 1 as bool, node 1 as int64"},
	} {
		_, err := Source(c.key, c.cc)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: got %v, want %q", c.key, err, c.want)
		}
	}
}

// FuzzSource: no key makes the generators panic or write what the parser does
// not read.
func FuzzSource(f *testing.F) {
	keys := EmbeddedKeys()
	for i := 0; i < len(keys); i += 7 {
		f.Add(keys[i])
	}
	f.Add("ew v1 u4 r3 outw int64:idxw float32:2w cast.float32:0 add.float32:1,2")
	f.Fuzz(func(t *testing.T, key string) {
		text, err := Source(key, 90)
		if err != nil {
			return
		}
		if _, err := ptx.Parse(text); err != nil {
			t.Errorf("%q: %v", key, err)
		}
	})
}

// TestAssemble gives kernels to ptxas where it is at hand: no errors, no
// warnings, no spills. All of them with GPUARRAY_PTXAS=all, else a sample.
func TestAssemble(t *testing.T) {
	ptxas, err := exec.LookPath("ptxas")
	if err != nil {
		t.Skip("no ptxas in the path")
	}
	type job struct {
		key    string
		target int // what the file is written for
		arch   int // what it is assembled for
	}
	var jobs []job
	for _, f := range families() {
		keys := append(f.embed(), generatedKeys(f.prefix)...)
		if os.Getenv("GPUARRAY_PTXAS") != "all" {
			r := newRand(t)
			r.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
			keys = keys[:min(len(keys), 8)]
		}
		for _, key := range keys {
			targets := f.allTargets(key)
			for i, target := range targets {
				for _, arch := range []int{75, 80, 90} {
					if arch >= target && (i+1 == len(targets) || arch < targets[i+1]) {
						jobs = append(jobs, job{key, target, arch})
					}
				}
			}
		}
	}
	queue := make(chan job)
	var wg sync.WaitGroup
	for range min(2, runtime.GOMAXPROCS(0)) {
		wg.Go(func() {
			for j := range queue {
				assemble(t, ptxas, j.key, j.target, j.arch)
			}
		})
	}
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	wg.Wait()
	t.Logf("assembled %d kernels", len(jobs))
}

// generatedKeys lists kernels of a family that are not embedded, of the kinds
// that are made at run time.
func generatedKeys(prefix string) []string {
	if strings.HasPrefix(prefix, "reduce_") {
		return generatedReductions(prefix)
	}
	switch prefix {
	case softmaxFamily().prefix:
		return append(generatedSoftmaxes(), generatedRowExprs(prefix)...)
	case rowFamily().prefix:
		return append(generatedRows(), generatedRowExprs(prefix)...)
	case clusterFamily().prefix:
		return append(generatedClusters(), generatedRowExprs(prefix)...)
	case scanFamily().prefix:
		return append(generatedScans(), generatedRowExprs(prefix)...)
	case heldFamily().prefix:
		return generatedHeldScans()
	case matmulFamily().prefix:
		return generatedMatmuls()
	case joinFamily().prefix:
		return []string{"join a16 n128 k0", "join a16 n8 k2", "join a8 n2 k1", "join a4 n32 k3", "join a2 n8 k5", "join a1 n2 k0", "join a1 n8 k8", "join a16 n8 k8"}
	case takeFamily().prefix:
		return []string{"take a1 n1 k0", "take a2 n4 k1", "take a4 n4 k2", "take a8 n4 k3", "take a16 n4 k2", "take a16 n1 k8", "take a16 n4 k4 wide"}
	}
	if prefix != elementwiseFamily().prefix {
		return nil
	}
	keys := []string{
		"ew v1 u4 r3 outw int64:idxw float32:2w cast.float32:0 add.float32:1,2",
		"ew v4 u1 r0 outc float32:1c float32:2c multiply.float32:0,1 exp.float32:2 store.float32:3c,2",
		"ew v1 u4 r2 outc float16:1w less.bool:0,0 where.float16:1,0,0 store.bool:2w,1 store.float16:3c,0",
		"ew v16 u1 r2 outc uint8:1w uint8:2b uint8:3s add.uint8:0,1 multiply.uint8:3,2",
		"ew v4 u1 r0 outc float32:1c exp.float32:0 tanh.float32:1 log1p.float32:2 sigmoid.float32:3 sin.float32:4",
	}
	for op := NoOp + 1; op.IsScalar(); op++ {
		for _, t := range []Type{Int8, Uint16, Uint64, Float16, BFloat16} {
			if op != OpCast && table[op].types.has(t) {
				keys = append(keys, embeddedKey(singleOp(op, t, false)))
			}
		}
	}
	return keys
}

// generatedReductions lists reductions of expressions, and variances of columns.
func generatedReductions(prefix string) []string {
	var keys []string
	shapes := slices.Clone(embeddedShapes)
	shapes = append(shapes, shapes[0])
	shapes[len(shapes)-1].shape = []int{1 << 24}
	for _, t := range []Type{BFloat16, Float32, Float64} {
		for name, e := range usualExpressions(t) {
			op, u := OpSum, t
			if name == "less" {
				op, u = OpAny, Bool
			}
			for _, s := range shapes {
				in := RowMajor(s.shape...)
				keys = append(keys, plannedKeys(prefix, func(p *Plan) error {
					return ReduceExpr(p, op, e, u, reducedRowMajor(s.shape, s.axes), []Layout{in, in}, s.axes)
				})...)
				if t == u {
					keys = append(keys, plannedKeys(prefix, func(p *Plan) error {
						return NormExpr(p, e, reducedRowMajor(s.shape, s.axes), []Layout{in, in}, s.axes)
					})...)
				}
			}
		}
	}
	for _, shape := range [][]int{{64, 1024, 1024}, {1, 8192, 8192}, {1, 1 << 20, 64}, {1, 1 << 20, 16}} { // many blocks to a column
		in, out := RowMajor(shape...), RowMajor(shape[0], shape[2])
		for _, t := range []Type{Int8, Int32, BFloat16, Float32, Float64} {
			for _, op := range []Op{OpSum, OpMax, OpAny, OpArgMax} {
				if op != OpSum || t != Int8 {
					keys = append(keys, plannedKeys(prefix, func(p *Plan) error { return Reduce(p, op, t, out, in, 2) })...)
				}
			}
		}
	}
	for _, t := range []Type{BFloat16, Float32, Float64} {
		for _, n := range []int{1000, 5000, 1 << 20} {
			in := RowMajor(n, 64)
			keys = append(keys, plannedKeys(prefix, func(p *Plan) error {
				return errors.Join(Variance(p, t, 1, RowMajor(64), in, 1), StdDevExpr(p, usualExpressions(t)["sqdiff"], 0, RowMajor(64), []Layout{in, in}, 1))
			})...)
		}
	}
	return keys
}

// generatedRows lists statistics and norms of rows, short and long.
func generatedRows() []string {
	var keys []string
	for _, t := range []Type{BFloat16, Float32, Float64} {
		keys = append(keys, plannedKeys("row", func(p *Plan) error { return Variance(p, t, 1, RowMajor(), RowMajor(longestRow(t)+1), 1) })...)
		for _, n := range []int{100, 2048, longestRow(t) - 16, longestRow(t)} { // the last one's rows are whole
			x, row := RowMajor(10, n), RowMajor(n)
			keys = append(keys, plannedKeys("row", func(p *Plan) error {
				return errors.Join(
					Variance(p, t, 1, RowMajor(10), x, 2), StdDev(p, t, 1, RowMajor(10), x, 2), StdDev(p, t, 0, RowMajor(), RowMajor(1<<20), 1), LogSumExp(p, t, RowMajor(10), x, 2),
					LayerNorm(p, t, 1e-5, x, x, x.Rank-1, &row, &row), RMSNorm(p, t, 1e-5, x, x, x.Rank-1, &row), RMSNorm(p, t, 1e-5, x, x, x.Rank-1, nil))
			})...)
		}
	}
	return keys
}

func generatedSoftmaxes() []string {
	var keys []string
	for _, t := range []Type{Float16, BFloat16, Float32, Float64} {
		for _, n := range []int{300, 4096, longestRow(t) - 16, longestRow(t)} {
			for _, log := range []bool{false, true} {
				keys = append(keys, plannedKeys("softmax", func(p *Plan) error { return softmax(p, log, t, RowMajor(10, n), RowMajor(10, n), 1) })...)
			}
		}
	}
	return keys
}

// generatedClusters lists every kernel over long rows that lie contiguous, whole and
// not.
func generatedClusters() []string {
	var keys []string
	for _, t := range []Type{BFloat16, Float16, Float32, Float64} {
		for long := longestClusterRow(t); long > longestRow(t); long /= 2 {
			for _, n := range []int{long, long - 16} {
				x, row := RowMajor(10, n), RowMajor(n)
				for _, o := range rowOperations {
					keys = append(keys, plannedKeys("cluster", func(p *Plan) error {
						p.Capability = clusterCapability
						out := x
						if o.statistic {
							out = RowMajor(10)
						}
						weight, bias := o.scales(&row)
						return o.plan(p, t, out, x, weight, bias)
					})...)
				}
			}
		}
	}
	return keys
}

// generatedMatmuls lists products with an epilogue: bias, residual and an activation,
// on every tile.
func generatedMatmuls() []string {
	var keys []string
	for _, t := range []Type{BFloat16, Float32, Float64} {
		for _, n := range []int{30, 640, 1024, 4096} {
			x, bias := RowMajor(n, n), RowMajor(n, n)
			bias.Strides[0] = 0
			e := &Expr{}
			e.load(1, t, t)
			e.load(2, t, t)
			e.apply(OpAdd, t, 0, 1)
			e.apply(OpTanh, t, 2)
			e.load(3, t, t)
			e.apply(OpAdd, t, 3, 4)
			e.Nodes = append(e.Nodes, Node{Kind: Store, Type: t, Operand: 4})
			keys = append(keys, plannedKeys("matmul", func(p *Plan) error {
				return MatMulThen(p, t, e, x, x, x, []Layout{bias, x, x})
			})...)
		}
	}
	return keys
}

func generatedScans() []string {
	var keys []string
	for _, t := range []Type{Float16, Float32, Float64, Int64} {
		for _, n := range []int{3, 100, 500, 4000, 5000, 9000} {
			x := RowMajor(10, n)
			keys = append(keys, plannedKeys("scan", func(p *Plan) error { return Scan(p, OpSum, t, t, x, x, 1) })...)
		}
	}
	return keys
}

// generatedHeldScans lists all scans whose tiles are held.
func generatedHeldScans() []string {
	var keys []string
	x := RowMajor(scanCached / 4)
	for _, op := range []Op{OpSum, OpProd} {
		for _, t := range []Type{Float32, Int32, Uint32} {
			keys = append(keys, plannedKeys(heldFamily().prefix, func(p *Plan) error {
				p.Capability, p.Multiprocessors, p.BlockMemory = heldCapability, 132, heldMemory
				return Scan(p, op, t, t, x, x, 0)
			})...)
		}
	}
	return keys
}

func assemble(t *testing.T, ptxas, key string, target, arch int) {
	f, err := familyOf(key)
	if err != nil {
		t.Error(err)
		return
	}
	text, err := generate(f, key, target)
	if err != nil {
		t.Error(err)
		return
	}
	m, err := ptx.Parse(text)
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return
	}
	name := fmt.Sprintf("sm_%d", arch)
	if strings.HasSuffix(m.Target, "a") {
		name = m.Target
	}
	file := filepath.Join(t.TempDir(), "kernel.ptx")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Error(err)
		return
	}
	out, err := exec.Command(ptxas, "-v", "-arch="+name, "-o", os.DevNull, file).CombinedOutput()
	if err != nil {
		t.Errorf("%s for %s: %v\n%s", key, name, err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "warning") || strings.Contains(line, "spill") && !strings.Contains(line, "0 bytes spill stores, 0 bytes spill loads") {
			t.Errorf("%s for %s: %s", key, name, line)
		}
	}
}

func TestDivisor(t *testing.T) {
	r := newRand(t)
	divide := func(x uint32, d divisor) uint32 { return uint32(uint64(x)*uint64(d.mul)>>32) >> d.shift }
	ds := []int{2, 3, 4, 5, 6, 7, 9, 10, 641, 1 << 16, 1<<16 + 1, 1<<30 - 1, 1 << 30, 1<<31 - 1}
	for range 2000 {
		ds = append(ds, 2+r.IntN(1<<31-2)>>r.IntN(30))
	}
	for _, n := range ds {
		n = max(n, 2)
		d := newDivisor(n)
		xs := []uint32{0, 1, uint32(n) - 1, uint32(n), 1<<31 - 1, 1<<31 - 2, r.Uint32() >> 1}
		if q := (1<<31 - 1) / uint32(n); q > 0 {
			xs = append(xs, q*uint32(n), q*uint32(n)-1)
		}
		for _, x := range xs {
			if got, want := divide(x, d), x/uint32(n); got != want {
				t.Fatalf("%d/%d: got %d, want %d", x, n, got, want)
			}
		}
	}
}

func TestTypes(t *testing.T) {
	for typ := Bool; typ < numTypes; typ++ {
		if got := typeByName(typ.String()); got != typ {
			t.Errorf("typeByName(%v) = %v", typ, got)
		}
		if n := slices.Index([]int{1, 2, 4, 8}, typ.Size()); n < 0 {
			t.Errorf("%v has %d bytes", typ, typ.Size())
		}
	}
	if Type(200).Size() != 0 || Type(200).String() != "invalid" || Type(200).IsFloat() {
		t.Error("an unknown type is something")
	}
}

// TestTable: names are found again, and what a row says can be asked.
func TestTable(t *testing.T) {
	for op := NoOp + 1; op < numOps; op++ {
		if got, ok := OpByName(op.String()); !ok || got != op {
			t.Errorf("OpByName(%v) = %v, %v", op, got, ok)
		}
		if op.Arity() == 0 || table[op].types == 0 {
			t.Errorf("%v has no operands or no types", op)
		}
		if op.IsScalar() && op != OpCast && table[op].emit == nil {
			t.Errorf("%v has no emitter", op)
		}
	}
	for _, c := range []struct {
		op   Op
		args []Type
		want Type
		err  string
	}{
		{OpAdd, []Type{Float32, Float32}, Float32, ""},
		{OpLess, []Type{Int8, Int8}, Bool, ""},
		{OpWhere, []Type{Bool, Uint16, Uint16}, Uint16, ""},
		{OpAdd, []Type{Float32, Float64}, 0, "operand 1 is float64 where float32 is needed"},
		{OpAdd, []Type{Bool, Bool}, 0, "add is not defined for bool"},
		{OpWhere, []Type{Int8, Uint16, Uint16}, 0, "operand 0 is int8 where bool is needed"},
		{OpAdd, []Type{Float32}, 0, "takes 2 operands, not 1"},
		{OpSum, []Type{Float32}, 0, "not a scalar operation"},
		{Op(9999), nil, 0, "Op(9999) is not a scalar operation"},
		{OpAdd, []Type{77, 77}, 0, "add is not defined for invalid"},
	} {
		got, err := c.op.Result(c.args...)
		if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%v%v: got %v, %v; want %v, %q", c.op, c.args, got, err, c.want, c.err)
		}
	}
}
