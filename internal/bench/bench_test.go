package main

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestMain lets the row that times whole processes start this one.
func TestMain(m *testing.M) {
	if kind := os.Getenv(firstVariable); kind != "" {
		exit(computeFirst(kind))
	}
	os.Exit(m.Run())
}

func openTiny(t *testing.T) *runner {
	t.Helper()
	r, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

// TestRows runs every row at a tiny size: what it computes is compared with a plain
// computation, and it can be measured.
func TestRows(t *testing.T) {
	r := openTiny(t)
	for _, row := range table() {
		if row.make == nil {
			continue
		}
		t.Run(row.task, func(t *testing.T) {
			if err := r.checkRow(row); err != nil {
				t.Error(err)
			}
			if testing.Short() {
				return
			}
			x := r.measure(row, nil, 1)
			if x.err != nil || x.Micros <= 0 || (row.unit == "gbs") != (x.Gbs > 0) || (row.unit == "tflops") != (x.Tflops > 0) {
				t.Errorf("measured %+v; %v", x, x.err)
			}
		})
	}
}

// TestGraphs runs rows as graphs, as short ones are on a GPU.
func TestGraphs(t *testing.T) {
	r := openTiny(t)
	for _, row := range table() {
		if row.task != "mm 128x784x512 f64" && row.task != "sum_f32" {
			continue
		}
		k, err := row.make(r)
		if err == nil {
			err = k.graph(3)
		}
		if err != nil {
			t.Fatal(row.task, err)
		}
		if us, err := k.timer(1); err != nil || us <= 0 {
			t.Errorf("%s: %v µs, %v", row.task, us, err)
		}
		if err := k.close(); err != nil {
			t.Error(row.task, err)
		}
	}
}

// The tasks that this project has agreed to measure.
const (
	memoryTasks = `copy_f32 add_f32 exp_f32 sin_f32 pow_f32 add_alloc_f32 chain3_f32 gelu_f32 rowbcast_add_f32 colbcast_add_f32
		transpose_copy_f32 where_f32 add_bf16 add_f16 add_f64 add_i32 add_i64 add_u8 cast_f32_bf16 gather_rows_f32 randn_f32 rand_f32
		sum_f32 max_f32 argmax_f32 mean_f32 var_f32 norm_f32 rowsum_f32 colsum_f32 rowsum_64cols_f32 colsum_64cols_f32 midsum_f32
		rowargmax_f32 softmax_f32 layernorm_f32 longsoftmax_f32 longlayernorm_f32 cumsum_f32 rowcumsum_f32 sort_f32 topk16_rows_f32 dot_f32 fused_sqdiff_sum_f32
		sum_bf16 softmax_bf16 longsoftmax_bf16 sum_f64 sum_i32`
	products = `mm 256x256x256, mm 512x512x512, mm 1024x1024x1024, mm 2048x2048x2048, mm 4096x4096x4096, mm 8192x8192x8192,
		mm 8192x8192x128, mm 128x8192x8192, mm 4096x11008x4096, mm 1000x1000x1000, mm 4095x4097x4099, mm 1x8192x8192, mm 16x8192x8192,
		mm 256x65536x256, bmm 64x256, mmNT 4096, mmTN 4096, mm 64x64x64, mm 128x128x128, mm 128x784x512, mm 128x512x10`
	hostTasks = `launch of an empty kernel; add into an existing output, 256 elements; add with a new output; sum; 64×64 product;
		add of 256 elements and copy to the host; graph node; one training step, batch 128; one training step, batch 128, graph;
		one training step, batch 1024; one training step, batch 1024, graph;
		process start to first result; host → device, 256 MiB, pinned; host → device, 256 MiB, ordinary;
		device → host, 256 MiB, pinned; device → host, 256 MiB, ordinary`
)

func TestTaskNames(t *testing.T) {
	want := strings.Fields(memoryTasks)
	for _, precision := range []string{"f32", "f64", "tf32", "f16", "bf16"} {
		for _, p := range strings.Split(products, ",") {
			want = append(want, strings.TrimSpace(p)+" "+precision)
		}
	}
	for _, h := range strings.Split(hostTasks, ";") {
		want = append(want, strings.TrimSpace(h))
	}
	var got []string
	for _, row := range table() {
		got = append(got, row.task)
		if (row.make == nil) != (row.missing != "") {
			t.Errorf("%s is neither made nor missing, or both", row.task)
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("tasks (-want +got):\n%s", d)
	}
}

// sampleReport has a row of each kind.
func sampleReport() *report {
	return &report{Device: "a GPU", Driver: "CUDA 13.0", Date: "2026-01-02T03:04:05Z", Rows: []result{
		{Task: "add_f32", Micros: 272, Gbs: 2959, Limit: 3002, Peers: map[string]float64{"torch": 286, "jax": 270}},
		{Task: "mm 64x64x64 f32", Micros: 3, Tflops: 0.17, Limit: 66.9},
		{Task: "graph node", Micros: 0.95},
	}}
}

func TestJSON(t *testing.T) {
	want := sampleReport()
	file := filepath.Join(t.TempDir(), "report.json")
	if err := want.write(file); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got, cmpopts.IgnoreUnexported(report{}, result{})); d != "" {
		t.Errorf("read back (-want +got):\n%s", d)
	}
	for _, key := range []string{`"device"`, `"driver"`, `"date"`, `"rows"`, `"task"`, `"us"`, `"gbs"`, `"tflops"`, `"limit"`, `"peers"`} {
		if !strings.Contains(string(b), key) {
			t.Errorf("%s is missing in %s", key, b)
		}
	}
}

// TestRedraw draws the chart of a file: it has the bars that the run drew.
func TestRedraw(t *testing.T) {
	rep := sampleReport()
	rep.Rows = append(rep.Rows, result{Task: "host → device, 256 MiB, ordinary", Micros: 7180, Gbs: 37.38, Limit: 55.31, bus: true})
	file := filepath.Join(t.TempDir(), "report.json")
	if err := rep.write(file); err != nil {
		t.Fatal(err)
	}
	got, err := readReport(file)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(chartBars(rep.Rows).names, chartBars(got.Rows).names); d != "" {
		t.Errorf("bars (-when measured +from the file):\n%s", d)
	}
	for chart, want := range map[string]string{"": "-chart names no file", "x.gif": "ends in none of", "nothing": "ends in none of", filepath.Join(t.TempDir(), "x.svg"): ""} {
		o := options{rows: regexp.MustCompile(""), from: file, chart: chart}
		if err := o.run(); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("-chart %q: %v, want %q", chart, err, want)
		}
	}
}

func TestChart(t *testing.T) {
	b := chartBars(sampleReport().Rows)
	if !slices.Equal(b.names, []string{"mm 64x64x64 f32", "add_f32"}) {
		t.Error(b.names)
	}
	near := func(got, want float64) bool { return math.Abs(got-want) < 1e-3 }
	if !near(b.ours[1], 2959./3002) || !near(b.peers[1], 2959./3002*272/270) || b.peers[0] != 0 {
		t.Error(b)
	}
	file := filepath.Join(t.TempDir(), "chart.svg")
	if err := sampleReport().chart(file); err != nil {
		t.Fatal(err)
	}
	svg, err := os.ReadFile(file)
	if err != nil || !strings.Contains(string(svg), "add_f32") {
		t.Errorf("%d bytes, %v", len(svg), err)
	}
	if err := (&report{Date: "2026-01-02"}).chart(file); err == nil {
		t.Error("a chart of nothing")
	}
}

// TestSignRank compares with the tables of the sign test's critical values.
func TestSignRank(t *testing.T) {
	for n, want := range map[int]int{3: -1, 4: -1, 5: 0, 8: 1, 10: 1, 15: 3, 20: 5, 21: 6, 25: 7, 30: 10} {
		if got := signRank(n); got != want {
			t.Errorf("signRank(%d) = %d; want %d", n, got, want)
		}
	}
}

func TestRatio(t *testing.T) {
	ours, theirs := make([]float64, 21), make([]float64, 21)
	for i := range ours {
		ours[i] = float64(1 + (i*8)%21)
		theirs[i] = 2 * ours[i] // whatever the drift, twice as slow
	}
	if r := ratioOf(theirs, ours); r != (ratio{2, 2}) {
		t.Error(r)
	}
}

func TestProbeFor(t *testing.T) {
	for _, c := range []struct {
		read, written uint64
		want          string
	}{
		{4, 4, "1 1"}, {8, 4, "2 1"}, {12, 4, "3 1"}, {4, 2, "2 1"}, {1 << 20, 4, "1 0"}, {0, 4, "0 1"}, {400, 2, "1 0"},
	} {
		p := probeFor(c.read, c.written)
		if got := fmt.Sprint(p.reads, p.writes); got != c.want || p.bytes != c.read+c.written {
			t.Errorf("probeFor(%d, %d) = %+v; want %s", c.read, c.written, p, c.want)
		}
	}
}

// TestPeersProtocol talks to the script; without the libraries, or a GPU for them, it
// has no peers.
func TestPeersProtocol(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("no python3")
	}
	p, err := startPeers()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range p.prepare("add_f32", tiny, false) {
		if us, err := p.timer(name)(2); err != nil || us <= 0 {
			t.Errorf("%s: %v µs, %v", name, us, err)
		}
	}
	if _, err := p.timer("nobody")(1); err == nil || !strings.Contains(err.Error(), "nobody") {
		t.Errorf("timing a peer that is not there: %v", err)
	}
	p.drop()
	if err := p.close(); err != nil {
		t.Error(err)
	}
}

// TestProbeText assembles every probe on the simulated device and runs copies.
func TestProbeText(t *testing.T) {
	r := openTiny(t)
	for _, p := range []probe{{1, 0, 1 << 16}, {0, 1, 1 << 16}, {1, 1, 1 << 16}, {2, 1, 3 << 16}, {3, 1, 1 << 18}} {
		if gbs, err := r.limit(p); err != nil || gbs <= 0 {
			t.Errorf("%+v: %v GB/s, %v", p, gbs, err)
		}
	}
}

func TestNoSuchRow(t *testing.T) {
	o := options{rows: regexp.MustCompile("^add_f23$"), simulated: true, json: filepath.Join(t.TempDir(), "x.json")}
	if err := o.run(); err == nil || !strings.Contains(err.Error(), `no task matches "^add_f23$"`) {
		t.Error(err)
	}
}
