package kernels

import (
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/x448/float16"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// planRunner runs plans on the GPU where there is one, else on the simulated
// device. What runs on a GPU runs on the simulated device too, unless -short is
// given, and the two must agree bit for bit.
type planRunner struct {
	twin    *planRunner // the simulated device beside a GPU
	ctx     *driver.Context
	stream  *driver.Stream
	cc      int
	kernels map[string]*driver.Kernel
}

var openRunner = sync.OnceValues(func() (*planRunner, error) {
	drv, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		return simulatedRunner(0) // GPUARRAY_SIM_CC, or 90
	}
	if err != nil {
		return nil, err
	}
	r, err := newRunnerOn(drv)
	if err != nil {
		return nil, err
	}
	r.twin, err = simulatedRunner(min(r.cc, 90))
	return r, err
})

func simulatedRunner(cc int) (*planRunner, error) {
	drv, err := driver.Simulated(driver.SimulatedConfig{ComputeCapability: cc, Races: true})
	if err != nil {
		return nil, err
	}
	return newRunnerOn(drv)
}

func newRunnerOn(drv *driver.Driver) (*planRunner, error) {
	dev, err := drv.Device(0)
	if err != nil {
		return nil, err
	}
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return nil, err
	}
	ctx, err := dev.Context()
	if err != nil {
		return nil, err
	}
	stream, err := ctx.NewStream(driver.StreamConfig{})
	return &planRunner{ctx: ctx, stream: stream, cc: major*10 + minor, kernels: map[string]*driver.Kernel{}}, err
}

// TestCapability: the tests run on the compute capability that they were told to.
func TestCapability(t *testing.T) {
	cc, err := strconv.Atoi(os.Getenv("GPUARRAY_SIM_CC"))
	if err != nil {
		cc = 90
	}
	r, err := simulatedRunner(0)
	if err != nil {
		t.Fatal(err)
	}
	if r.cc != cc {
		t.Errorf("compute capability %d, want %d", r.cc, cc)
	}
}

func newRunner(t testing.TB) *planRunner {
	t.Helper()
	r, err := openRunner()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *planRunner) kernel(t testing.TB, key string) *driver.Kernel {
	t.Helper()
	if k := r.kernels[key]; k != nil {
		return k
	}
	text, err := Source(key, r.cc)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.ctx.LoadModule([]byte(text), driver.LoadConfig{})
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	k, err := m.Kernel(EntryName(key))
	if err != nil {
		t.Fatal(err)
	}
	if n := SharedMemory(key); n > 0 {
		if err := k.SetMaxDynamicShared(n); err != nil {
			t.Fatal(err)
		}
	}
	r.kernels[key] = k
	return k
}

// twinBytes is the most that a plan's operands may have for the simulated device
// to run it beside a GPU.
const twinBytes = 32 << 20

// run executes a plan over operands given as bytes; operand 0, of type out, is
// read back. Operand memory begins with what the slices hold.
func (r *planRunner) run(t testing.TB, p *Plan, out Type, operands ...[]byte) {
	t.Helper()
	bytes := 0
	for _, o := range operands {
		bytes += len(o)
	}
	if r.twin == nil || bytes > twinBytes || testing.Short() {
		r.runAlone(t, p, operands)
		return
	}
	beside := append([][]byte{slices.Clone(operands[0])}, operands[1:]...)
	r.runAlone(t, p, operands)
	r.twin.runAlone(t, p, beside)
	simulated := unpackElements(out, beside[0])
	for i, gpu := range unpackElements(out, operands[0]) {
		if !same(out, gpu, simulated[i], false, 0) {
			t.Fatalf("%s: element %d of %d is %s on the GPU and %s on the simulated device", p.Launches[0].Key, i, len(simulated), show(out, gpu), show(out, simulated[i]))
		}
	}
}

func (r *planRunner) runAlone(t testing.TB, p *Plan, operands [][]byte) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			for _, l := range p.Launches {
				t.Log(l.Key, l.Grid, l.Block, l.Args)
			}
			t.Fatal(err)
		}
	}
	var mems []*driver.Mem
	alloc := func(bytes uint64) *driver.Mem {
		m, err := r.ctx.Alloc(max(bytes, 1))
		check(err)
		mems = append(mems, m)
		return m
	}
	for _, o := range operands {
		m := alloc(uint64(len(o)))
		if len(o) > 0 {
			check(r.ctx.CopyHtoD(m.Ptr(), o))
		}
	}
	scratch, tickets := alloc(p.Scratch), alloc(p.Tickets)
	zero := make([]byte, max(p.Tickets, 1))
	check(r.ctx.CopyHtoD(tickets.Ptr(), zero))
	for _, l := range p.Launches {
		args := driver.NewArgs()
		for _, a := range l.Args {
			switch {
			case !a.Pointer:
				args.Bits(a.Bits, int(a.Size))
			case a.Operand == ScratchOperand:
				args.Ptr(scratch.Ptr() + driver.Ptr(a.Bits))
			case a.Operand == TicketOperand:
				args.Ptr(tickets.Ptr() + driver.Ptr(a.Bits))
			default:
				args.Ptr(mems[a.Operand].Ptr() + driver.Ptr(a.Bits))
			}
		}
		cfg := driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block), Shared: l.Shared}
		check(r.kernel(t, l.Key).LaunchArgs(r.stream, cfg, args))
		args.Release()
	}
	check(r.ctx.Synchronize())
	if len(operands[0]) > 0 {
		check(r.ctx.CopyDtoH(operands[0], mems[0].Ptr()))
	}
	if p.Tickets > 0 {
		check(r.ctx.CopyDtoH(zero, tickets.Ptr()))
		for _, b := range zero {
			if b != 0 {
				t.Fatalf("tickets are not zero after %s", p.Launches[0].Key)
			}
		}
	}
	for _, m := range mems {
		check(m.Close())
	}
}

// runPlan is run for slices of any element type.
func runPlan[T, U, V any](t testing.TB, p *Plan, out []T, a []U, b []V) {
	t.Helper()
	bytesOf := func(b []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	newRunner(t).run(t, p, elementType[T](), bytesOf(driver.Bytes(out)), bytesOf(driver.Bytes(a)), bytesOf(driver.Bytes(b)))
}

// elementType is a type whose elements compare as those of T do.
func elementType[T any]() Type {
	var zero T
	switch any(zero).(type) {
	case float16.Float16:
		return Float16
	case float32:
		return Float32
	case float64:
		return Float64
	}
	return map[uintptr]Type{1: Uint8, 2: Uint16, 4: Uint32, 8: Uint64}[reflect.TypeOf(zero).Size()]
}

// none stands for an operand that there is not.
var none []byte

// newRand returns a generator whose seed is printed; GPUARRAY_SEED sets it.
func newRand(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if s := os.Getenv("GPUARRAY_SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("GPUARRAY_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// randomLayout returns a layout of the given shape in a buffer, and the
// buffer's length: axes in any order in memory, with gaps, backwards, or (where
// broadcast) repeated.
func randomLayout(r *rand.Rand, broadcast bool, shape ...int) (l Layout, length int) {
	l = Layout{Rank: len(shape)}
	copy(l.Shape[:], shape)
	order := r.Perm(len(shape))
	if r.IntN(2) == 0 { // often row-major
		for i := range order {
			order[i] = len(shape) - 1 - i
		}
	}
	stride := 1
	if r.IntN(4) == 0 {
		stride = 1 + r.IntN(3)
	}
	low := 0
	for _, axis := range order {
		if broadcast && r.IntN(6) == 0 {
			continue
		}
		s := stride
		if r.IntN(5) == 0 {
			s = -s
			low -= max(shape[axis]-1, 0) * stride
		}
		l.Strides[axis] = s
		stride *= max(shape[axis], 1)
		if r.IntN(4) == 0 {
			stride += r.IntN(5)
		}
	}
	l.Offset = -low
	if r.IntN(3) == 0 {
		l.Offset += r.IntN(9)
	}
	_, high := l.Span()
	return l, high + 1 + r.IntN(3)
}

// each calls do with the position of every element of a layout, in row-major
// order.
func (l *Layout) each(do func(at int)) {
	var walk func(axis, at int)
	walk = func(axis, at int) {
		if axis == l.Rank {
			do(at)
			return
		}
		for i := range l.Shape[axis] {
			walk(axis+1, at+i*l.Strides[axis])
		}
	}
	walk(0, l.Offset)
}
