// Command ptxcheck runs one kernel of a PTX file on the simulated device, under
// its checks: accesses out of bounds, misaligned, after free or of memory never
// written, misused barriers and warp operations, deadlock, loops without end,
// races in shared memory and, with -global-races, in global memory.
//
//	go run ./driver/ptxcheck -entry saxpy -grid 4 -block 256 -args f32:2,in:x.bin,in:y.bin,u32:1000 -dump out saxpy.ptx
//
// The arguments of the kernel, in order and separated by commas, are each one of
//
//	buf:BYTES   device memory that nothing has written yet
//	in:FILE     device memory filled from the file
//	u32:N  s32:N  u64:N  f32:X  f64:X   a value
//	bytes:FILE  a value of another type, a structure for one, as its bytes
//
// With -counts it prints, for each line of PTX that accesses shared or global
// memory: how often a warp executed it (accesses), how many wavefronts of shared
// memory or sectors of 32 bytes of global memory that took (cost), and how many it
// would have taken with the best addresses (least), the most waste first. Shared
// memory has 32 banks of 4 bytes; a wavefront serves one word of each, to as many
// lanes as want it. Accesses by cp.async are counted, those by bulk copies and
// wgmma are not.
//
// With -dump, each buffer's content after the run goes to DIR/0.bin, DIR/1.bin, …
// by its position among the arguments.
//
// What the kernel prints with printf (vprintf) goes to standard output.
//
// A product and a sum without a rounding mode, which ptxas may make one fma, are
// noted on standard error; they fail nothing. With -perturb, approximations are as
// bad as PTX allows, which shows what depends on more.
//
// It exits with 0 when the kernel ran clean, 1 when a check reports (on standard
// error), and 2 when the input can't be used. `go run` turns each failure into 1
// and prints the status; `go build` keeps it.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

const (
	clean = iota
	reported
	unusable
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// job is what the command line asks for.
type job struct {
	file, entry, dump string
	launch            driver.LaunchConfig
	args              []arg
	cc                int
	fuel, perturb     uint64
	global, counts    bool
}

func run(args []string, stdout, stderr io.Writer) int {
	j, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return clean
	}
	if err == nil {
		err = j.run(stdout, stderr)
	}
	if err == nil {
		fmt.Fprintf(stdout, "%s in %s: clean\n", j.entry, j.file)
		return clean
	}
	if report := (*finding)(nil); errors.As(err, &report) {
		fmt.Fprintln(stderr, report)
		return reported
	}
	fmt.Fprintf(stderr, "ptxcheck: %v\n", err)
	return unusable
}

// A finding is an error that a check reported while the kernel ran.
type finding struct{ err error }

// Error is the report alone: the first line is what the driver makes of a fault.
func (f *finding) Error() string {
	text := f.err.Error()
	if _, report, ok := strings.Cut(text, "\n"); ok {
		return report
	}
	return text
}

func (f *finding) Unwrap() error { return f.err }

func parse(args []string, stderr io.Writer) (*job, error) {
	var j job
	var grid, block, list string
	var shared uint64
	f := flag.NewFlagSet("ptxcheck", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&j.entry, "entry", "", "`name` of the kernel")
	f.StringVar(&grid, "grid", "1", "blocks, `X[,Y,Z]`")
	f.StringVar(&block, "block", "1", "threads of a block, `X[,Y,Z]`")
	f.Uint64Var(&shared, "shared", 0, "dynamic shared memory of a block, `bytes`")
	f.StringVar(&list, "args", "", "the kernel's arguments, `ARG,…`: "+kindsList)
	f.StringVar(&j.dump, "dump", "", "write each buffer after the run into this `folder`")
	f.IntVar(&j.cc, "cc", 0, "compute capability to simulate: 75, 80 or 90 (default the lowest of them that the file's .target allows)")
	f.BoolVar(&j.global, "global-races", false, "report races in global memory too, also between blocks (slow)")
	f.BoolVar(&j.counts, "counts", false, "print a table of bank conflicts and of sectors moved, by PTX line")
	f.Uint64Var(&j.perturb, "perturb", 0, "`seed`, if not 0: approximations (rcp.approx, ex2.approx, …) are off by as much as PTX allows")
	f.Uint64Var(&j.fuel, "fuel", 1<<28, "how `much` a block may execute before the kernel counts as endless: 1 for an instruction of a warp, more for costly ones")
	f.Usage = func() {
		fmt.Fprintln(stderr, "usage: ptxcheck -entry NAME [flags] FILE.ptx")
		f.PrintDefaults()
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() != 1 || j.entry == "" {
		return nil, errors.New("needs -entry NAME and one PTX file; -h explains")
	}
	j.file = f.Arg(0)
	var err error
	if j.launch.Grid, err = dim("-grid", grid, driver.Dim{1<<31 - 1, 65535, 65535}); err != nil {
		return nil, err
	}
	if j.launch.Block, err = dim("-block", block, driver.Dim{1024, 1024, 64}); err != nil {
		return nil, err
	}
	if shared > math.MaxUint32 {
		return nil, fmt.Errorf("-shared %d: more than any device has", shared)
	}
	if j.fuel == 0 {
		return nil, errors.New("-fuel 0: with none, nothing runs")
	}
	j.launch.Shared = uint32(shared)
	j.args, err = parseArgs(list)
	return &j, err
}

// dim reads X, X,Y or X,Y,Z.
func dim(name, s string, most driver.Dim) (d driver.Dim, err error) {
	parts := strings.Split(s, ",")
	if len(parts) > 3 {
		return d, fmt.Errorf("%s %s: at most three numbers, X,Y,Z", name, s)
	}
	d = driver.Dim{1, 1, 1}
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 0, 32)
		if err != nil || n == 0 || n > uint64(most[i]) {
			return d, fmt.Errorf("%s %s: %q is not a number from 1 to %d", name, s, p, most[i])
		}
		d[i] = uint32(n)
	}
	return d, nil
}

func (j *job) run(stdout, stderr io.Writer) error {
	image, err := os.ReadFile(j.file)
	if err != nil {
		return err
	}
	cfg := driver.SimulatedConfig{ComputeCapability: j.capability(string(image)), Fuel: j.fuel, Races: true, GlobalRaces: j.global, Perturb: j.perturb}
	if j.counts {
		cfg.Counts = stdout
	}
	drv, err := driver.Simulated(cfg)
	if err != nil {
		return err
	}
	dev, err := drv.Device(0)
	if err != nil {
		return err
	}
	ctx, err := dev.Context()
	if err != nil {
		return err
	}
	defer ctx.Close()
	mod, err := ctx.LoadModule(image, driver.LoadConfig{})
	if err != nil {
		return fmt.Errorf("%s: %w", j.file, err)
	}
	defer mod.Close()
	entry, err := j.find(string(image))
	if err != nil {
		return fmt.Errorf("%s: %w", j.file, err)
	}
	j.warn(entry, stderr)
	kernel, err := mod.Kernel(j.entry)
	if err != nil {
		return fmt.Errorf("%s: %w", j.file, err)
	}
	if j.launch.Shared > 48<<10 {
		if err := kernel.SetMaxDynamicShared(int(j.launch.Shared)); err != nil {
			return fmt.Errorf("-shared %d: %w", j.launch.Shared, err)
		}
	}
	args := driver.NewArgs()
	defer args.Release()
	for i := range j.args {
		err := j.args[i].give(args, ctx, i)
		defer j.args[i].mem.Close()
		if err != nil {
			return err
		}
	}
	stream, err := ctx.NewStream(driver.StreamConfig{})
	if err != nil {
		return err
	}
	defer stream.Close()
	if err := kernel.LaunchArgs(stream, j.launch, args); err != nil {
		return err
	}
	if err := stream.Synchronize(); err != nil {
		return &finding{err}
	}
	return j.write()
}

// find is the kernel in the module's text, which the arguments and the shape of
// the launch must suit.
func (j *job) find(text string) (*ptx.Entry, error) {
	m, err := ptx.Parse(text)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range m.Entries {
		if e.Name == j.entry {
			return e, j.suits(e)
		}
		names = append(names, e.Name)
	}
	if len(names) == 0 {
		return nil, errors.New("there is no kernel in it")
	}
	return nil, fmt.Errorf("there is no kernel %q; there is %.2000s", j.entry, strings.Join(names, ", "))
}

func (j *job) suits(e *ptx.Entry) error {
	if len(j.args) != len(e.Params) {
		return fmt.Errorf("kernel %s takes %d arguments, -args has %d", e.Name, len(e.Params), len(j.args))
	}
	for i := range j.args {
		if err := j.args[i].fits(e.Params[i]); err != nil {
			return fmt.Errorf("kernel %s, argument %d: %w", e.Name, i, err)
		}
	}
	threads := 1
	for i, n := range j.launch.Block {
		threads *= int(n)
		if want := e.ReqNTID[i]; want != 0 && want != int(n) {
			return fmt.Errorf("kernel %s needs -block %d,%d,%d: it has .reqntid", e.Name, e.ReqNTID[0], max(e.ReqNTID[1], 1), max(e.ReqNTID[2], 1))
		}
		if c := e.Cluster[i]; c > 1 && int(j.launch.Grid[i])%c != 0 {
			return fmt.Errorf("kernel %s needs a -grid of whole clusters of %d,%d,%d blocks", e.Name, e.Cluster[0], max(e.Cluster[1], 1), max(e.Cluster[2], 1))
		}
	}
	most := 1024
	if e.MaxNTID[0] != 0 {
		most = min(most, e.MaxNTID[0]*max(e.MaxNTID[1], 1)*max(e.MaxNTID[2], 1))
	}
	if threads > most {
		return fmt.Errorf("kernel %s takes blocks of at most %d threads, -block has %d", e.Name, most, threads)
	}
	return nil
}

// warn says which results the assembler may change. That the simulated device
// computes each instruction as it stands is one of the results a GPU may give, so
// it is no finding.
func (j *job) warn(e *ptx.Entry, stderr io.Writer) {
	for _, c := range e.Contractions() {
		fmt.Fprintf(stderr, "ptxcheck: note: %s:%d: %s and line %d: %s have no rounding mode: ptxas may make them one fma, which rounds once; .rn keeps them apart\n",
			j.file, c.Product.Pos.Line, c.Product, c.Sum.Pos.Line, c.Sum)
	}
}

// capability is the lowest simulated compute capability that the file's .target
// allows; what is wrong with the file is for the loader to say.
func (j *job) capability(text string) int {
	if j.cc != 0 {
		return j.cc
	}
	_, rest, _ := strings.Cut(text, ".target")
	_, rest, _ = strings.Cut(rest, "sm_")
	digits := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if digits < 0 {
		return 0
	}
	n, _ := strconv.Atoi(rest[:digits])
	for _, cc := range []int{75, 80, 90} {
		if n <= cc {
			return cc
		}
	}
	return 90
}

// write dumps the buffers.
func (j *job) write() error {
	if j.dump == "" {
		return nil
	}
	if err := os.MkdirAll(j.dump, 0o777); err != nil {
		return err
	}
	for i, a := range j.args {
		if a.mem == nil {
			continue
		}
		content := make([]byte, a.mem.Size())
		if err := driver.Read(content, a.mem, 0); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(j.dump, fmt.Sprintf("%d.bin", i)), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}
