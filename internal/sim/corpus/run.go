package corpus

import (
	"fmt"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// A Machine is a device that programs run on.
type Machine struct {
	ctx    *driver.Context
	stream *driver.Stream
	CC     int
}

// NewMachine takes the driver's first device.
func NewMachine(drv *driver.Driver) (*Machine, error) {
	dev, err := drv.Device(0)
	if err != nil {
		return nil, err
	}
	major, minor, err := dev.ComputeCapability()
	if err != nil {
		return nil, err
	}
	m := &Machine{CC: 10*major + minor}
	if m.ctx, err = dev.Context(); err != nil {
		return nil, err
	}
	if m.stream, err = m.ctx.NewStream(driver.StreamConfig{}); err != nil {
		m.ctx.Close()
		return nil, err
	}
	return m, nil
}

// Simulated is a machine that is simulated, of the newest kind, and looks for races.
func Simulated() (*Machine, error) {
	drv, err := driver.Simulated(driver.SimulatedConfig{ComputeCapability: 90, MemoryLimit: 1 << 28, Races: true})
	if err != nil {
		return nil, err
	}
	return NewMachine(drv)
}

// Close gives the device back.
func (m *Machine) Close() {
	m.stream.Close()
	m.ctx.Close()
}

// A LoadError is a program that the device does not take.
type LoadError struct{ Err error }

func (e *LoadError) Error() string { return e.Err.Error() }
func (e *LoadError) Unwrap() error { return e.Err }

// A Loaded is a program that is ready to run.
type Loaded struct {
	m   *Machine
	p   *Program
	mod *driver.Module
	k   *driver.Kernel
	err error
}

// Load assembles a program, which several goroutines may do at a time. An error
// is kept for Run.
func (m *Machine) Load(p *Program) *Loaded {
	l := &Loaded{m: m, p: p}
	if p.SM > m.CC {
		l.err = fmt.Errorf("it needs compute capability %d.%d, the device has %d.%d", p.SM/10, p.SM%10, m.CC/10, m.CC%10)
		return l
	}
	if l.mod, l.err = m.ctx.LoadModule([]byte(p.PTX), driver.LoadConfig{}); l.err == nil {
		l.k, l.err = l.mod.Kernel("k")
	}
	return l
}

// Run loads and runs a program, and returns its results. After an error that
// is not a *LoadError the machine may be of no more use.
func (m *Machine) Run(p *Program) ([]byte, error) { return m.Load(p).Run() }

// Run runs a program once.
func (l *Loaded) Run() (out []byte, err error) {
	defer l.mod.Close()
	if l.err != nil {
		return nil, &LoadError{l.err}
	}
	m, p := l.m, l.p
	in := make([]uint64, 0, 1+len(p.In)*p.Lanes())
	for _, c := range p.In {
		in = append(in, c...)
	}
	in = append(in, 0) // memory is never empty
	zeros := make([]byte, p.scratch()+scratchBytes)
	src, err := m.ctx.Alloc(uint64(8 * len(in)))
	if err != nil {
		return nil, err
	}
	defer src.Close()
	dst, err := m.ctx.Alloc(uint64(len(zeros)))
	if err != nil {
		return nil, err
	}
	defer dst.Close()
	args := []any{dst, src}
	for _, t := range p.Maps {
		cfg, from := t.TensorMapConfig, src.Ptr()
		if t.Scratch {
			from = dst.Ptr() + driver.Ptr(p.scratch())
		}
		cfg.Address += from
		tm, err := m.ctx.NewTensorMap(cfg)
		if err != nil {
			return nil, &LoadError{err}
		}
		args = append(args, tm)
	}
	out = make([]byte, p.OutBytes())
	for _, step := range []func() error{
		func() error { return driver.Write(src, 0, in) },
		func() error { return driver.Write(dst, 0, zeros) },
		func() error {
			return l.k.Launch(m.stream, driver.LaunchConfig{Grid: driver.Dim{p.Grid}, Block: driver.Dim{p.Block}}, args...)
		},
		m.stream.Synchronize,
		func() error { return driver.Read(out, dst, 0) },
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// A Difference is a lane's result on which two machines disagree.
type Difference struct {
	Result, Lane int
	Got, Want    uint64
}

// Compare lists where results differ from those wanted.
func (p *Program) Compare(got, want []byte) []Difference {
	var list []Difference
	for j := range p.Outs {
		for lane := range p.Lanes() {
			if g, w := p.At(got, j, lane), p.At(want, j, lane); !p.same(j, g, w) {
				list = append(list, Difference{j, lane, g, w})
			}
		}
	}
	return list
}

// NaNsOnly says whether all differences are between NaNs.
func (p *Program) NaNsOnly(list []Difference) bool {
	q := *p
	q.AnyNaN = true
	for _, d := range list {
		if !q.same(d.Result, d.Got, d.Want) {
			return false
		}
	}
	return true
}

// Explain words a difference.
func (p *Program) Explain(d Difference) string {
	digits := 2 * outBytes(p.Outs[d.Result])
	s := fmt.Sprintf("lane %d, result %d: got %#0*x, want %#0*x, of", d.Lane, d.Result, digits+2, d.Got, digits+2, d.Want)
	for _, c := range p.In {
		s += fmt.Sprintf(" %#x", c[d.Lane])
	}
	return s
}
