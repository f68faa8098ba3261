package kernels

import (
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// planRunner runs plans on the GPU where there is one, else on the simulated
// device.
type planRunner struct {
	ctx     *driver.Context
	stream  *driver.Stream
	cc      int
	kernels map[string]*driver.Kernel
}

var openRunner = sync.OnceValues(func() (*planRunner, error) {
	drv, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		drv, err = driver.Simulated(driver.SimulatedConfig{ComputeCapability: 90})
	}
	if err != nil {
		return nil, err
	}
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
})

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
	r.kernels[key] = k
	return k
}

// run executes a plan over operands given as bytes; operand 0 is read back.
// Operand memory begins with what the slices hold.
func (r *planRunner) run(t testing.TB, p *Plan, operands ...[]byte) {
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
	newRunner(t).run(t, p, bytesOf(driver.Bytes(out)), bytesOf(driver.Bytes(a)), bytesOf(driver.Bytes(b)))
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
