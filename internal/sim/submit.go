package sim

import (
	"errors"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// work is one operation in a stream or a graph: a launch, a copy, a fill. It
// owns its parameters, and was checked when it was made.
type work interface {
	// run does the work; Sim.run is held. The error is a *exec.Fault or
	// *exec.AccessError if the work did wrong, a *exec.LaunchError or a
	// refusal if it could not start.
	run(s *Sim) error
	kind() abi.GraphNodeType
}

// refusal is the error of work that was valid when it was made and can no
// longer start.
type refusal abi.Result

func (r refusal) Error() string { return abi.Result(r).String() }

// submit makes work and gives it to a stream: it runs now, or under Options.Late
// some time, or is recorded if the stream is being captured. sync says that the caller waits for it.
func (s *Sim) submit(h abi.Stream, sync bool, prepare func(d *device) (work, abi.Result)) abi.Result {
	s.mu.Lock()
	st, r := s.stream(h)
	var w work
	if r == abi.Success && st.legacy {
		r = s.implicit(st.dev)
	}
	if r == abi.Success {
		w, r = prepare(st.dev)
	}
	if r != abi.Success || w == nil {
		s.mu.Unlock()
		return r
	}
	if st.capture != nil {
		defer s.mu.Unlock()
		return s.record(st, w)
	}
	if s.late != nil {
		return s.later(st, w, sync)
	}
	s.mu.Unlock()
	return s.execute(st.dev, w, sync)
}

// execute runs work. What it did wrong poisons the device, and is returned only
// to a caller that waits for it.
func (s *Sim) execute(d *device, w work, sync bool) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.mu.Lock()
	r := d.fault // another goroutine's work may have poisoned the device since the checks
	s.mu.Unlock()
	if r != abi.Success {
		return r
	}
	err := w.run(s)
	if err == nil {
		return abi.Success
	}
	code, startFailure := classify(err)
	if startFailure {
		return code
	}
	s.poison(d, code, err.Error())
	if sync {
		return code
	}
	return abi.Success
}

// faultCodes says what hardware would report for what a kernel did wrong. Some
// of these it would not notice; then the nearest.
var faultCodes = map[exec.FaultKind]abi.Result{
	exec.OutOfBounds:   abi.ErrorIllegalAddress,
	exec.Misaligned:    abi.ErrorMisalignedAddress,
	exec.UseAfterFree:  abi.ErrorIllegalAddress,
	exec.Uninitialised: abi.ErrorLaunchFailed,
	exec.Deadlock:      abi.ErrorLaunchTimeout,
	exec.BarrierMisuse: abi.ErrorLaunchFailed,
	exec.WarpMisuse:    abi.ErrorLaunchFailed,
	exec.DivideByZero:  abi.ErrorLaunchFailed,
	exec.Trap:          abi.ErrorLaunchFailed,
	exec.OutOfFuel:     abi.ErrorLaunchTimeout,
	exec.ReadOnly:      abi.ErrorIllegalAddress,
	exec.SharedRace:    abi.ErrorLaunchFailed,
	exec.GlobalRace:    abi.ErrorLaunchFailed,
	exec.AsyncMisuse:   abi.ErrorLaunchFailed,
	exec.Internal:      abi.ErrorUnknown,
}

// classify returns an error's code, and whether the work did not even start (so
// that nothing is poisoned).
func classify(err error) (code abi.Result, startFailure bool) {
	var (
		fault  *exec.Fault
		access *exec.AccessError
		launch *exec.LaunchError
		refuse refusal
	)
	switch {
	case errors.As(err, &refuse):
		return abi.Result(refuse), true
	case errors.As(err, &launch):
		if launch.TooManyResources {
			return abi.ErrorLaunchOutOfResources, true
		}
		return abi.ErrorInvalidValue, true
	case errors.As(err, &fault):
		if c, ok := faultCodes[fault.Kind]; ok {
			return c, false
		}
	case errors.As(err, &access):
		return abi.ErrorIllegalAddress, false
	}
	return abi.ErrorLaunchFailed, false
}
