package abitest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// API implements abi.API by another implementation.
type API struct {
	next abi.API

	mu       sync.Mutex
	faults   []*fault
	count    int
	injected int
	record   Record
	calls    []Call
	live     map[resource]*life
	misuse   []string
}

var _ abi.API = (*API)(nil)

// Wrap gives a wrapper around next without faults, which records nothing yet.
func Wrap(next abi.API) *API {
	return &API{next: next, live: map[resource]*life{}}
}

// Unwrap gives what was wrapped.
func (api *API) Unwrap() abi.API { return api.next }

// FaultReport is the wrapped implementation's text about the last device fault,
// or nothing if it has none.
func (api *API) FaultReport() string {
	if f, ok := api.next.(interface{ FaultReport() string }); ok {
		return f.FaultReport()
	}
	return ""
}

// A Fault says which calls shall fail, and how. Calls are counted from Inject on.
type Fault struct {
	Method      string     // the calls that count, such as "MemAlloc"; empty: all
	Nth         int        // only the nth of these, from 1; 0: each
	Sticky      bool       // with Nth: and each later one
	Probability float64    // of these, each with this probability; 0: always
	Seed        uint64     // with Probability: the same seed fails the same calls of a sequence
	Result      abi.Result // what the call returns instead; Success means ErrorUnknown
}

type fault struct {
	Fault
	seen int
	rng  *rand.Rand
}

// Inject adds a fault. Where several hit one call the first of them counts.
func (api *API) Inject(f Fault) {
	if f.Result == abi.Success {
		f.Result = abi.ErrorUnknown
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	api.faults = append(api.faults, &fault{Fault: f, rng: rand.New(rand.NewPCG(f.Seed, 0))})
}

// Heal takes all faults away.
func (api *API) Heal() {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.faults = nil
}

// Sweep makes each call of a piece of work fail in turn: it calls run with a
// fault for the first call, then for the second, and so on, until a run ends
// without having met its fault. run makes a wrapper, injects the fault where the
// work that matters begins, does the work, checks what came of it, and returns
// the wrapper. Sweep returns the number of runs that met their fault.
func Sweep(result abi.Result, run func(f Fault) *API) int {
	for n := 1; ; n++ {
		if run(Fault{Nth: n, Result: result}).Injected() == 0 {
			return n - 1
		}
	}
}

// hits counts the call and says whether it shall fail.
func (f *fault) hits(method string) bool {
	if f.Method != "" && f.Method != method {
		return false
	}
	f.seen++
	if f.Nth > 0 && f.seen != f.Nth && !(f.Sticky && f.seen > f.Nth) {
		return false
	}
	return f.Probability == 0 || f.rng.Float64() < f.Probability
}

// Count is the number of calls so far, MarkMemory's not among them.
func (api *API) Count() int {
	api.mu.Lock()
	defer api.mu.Unlock()
	return api.count
}

// Injected is the number of calls that were made to fail.
func (api *API) Injected() int {
	api.mu.Lock()
	defer api.mu.Unlock()
	return api.injected
}

// Record says what is kept of each call.
type Record uint8

const (
	RecordNothing Record = iota
	RecordNames          // the method and the result
	RecordArgs           // and the arguments, as text
)

// A Call is a recorded call.
type Call struct {
	Method   string
	Args     string
	Result   abi.Result
	Injected bool // the result was not the implementation's own
}

func (c Call) String() string {
	return fmt.Sprintf("%s(%s) = %s", c.Method, c.Args, c.Result.Name())
}

// Record chooses what is kept of the calls from now on.
func (api *API) Record(what Record) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.record = what
}

// Calls gives the recorded calls in the order in which they ended, and forgets
// them.
func (api *API) Calls() []Call {
	api.mu.Lock()
	defer api.mu.Unlock()
	calls := api.calls
	api.calls = nil
	return calls
}

// call is a call under way.
type call struct {
	api     *API
	method  string
	args    []any
	number  int
	forward bool       // to be passed on
	failure abi.Result // what to return in the end, if not Success
}

// begin counts a call and decides its fate.
func (api *API) begin(method string, args ...any) call {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.count++
	c := call{api: api, method: method, args: args, number: api.count, forward: true}
	for _, f := range api.faults {
		if f.hits(method) && c.failure == abi.Success {
			c.failure = f.Result
		}
	}
	if c.failure != abi.Success {
		api.injected++
		c.forward = released[method] != "" || method == endCapture
	}
	return c
}

// endCapture ends a stream's capture even when it fails; it leaves no graph then.
const endCapture = "StreamEndCapture"

// end keeps the books and gives the call's result. out is the first of the
// method's other results.
func (c call) end(result abi.Result, out any) abi.Result {
	api := c.api
	if g, ok := out.(abi.Graph); ok && c.method == endCapture && c.failure != abi.Success && g != 0 {
		api.next.GraphDestroy(g)
		result = c.failure
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	if c.forward && result == abi.Success {
		api.account(c, out)
	}
	if c.failure != abi.Success {
		result = c.failure
	}
	api.keep(c.method, c.args, result, c.failure != abi.Success)
	return result
}

// note records a call that cannot fail and has no result.
func (api *API) note(method string, args ...any) {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.keep(method, args, abi.Success, false)
}

func (api *API) keep(method string, args []any, result abi.Result, injected bool) {
	if api.record == RecordNothing {
		return
	}
	c := Call{Method: method, Result: result, Injected: injected}
	if api.record == RecordArgs {
		c.Args = argText(args)
	}
	api.calls = append(api.calls, c)
}

// longestArg is the most bytes of an argument that are shown: some are structures with
// room for a file's text.
const longestArg = 100

func argText(args []any) string {
	s := make([]string, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			s[i] = fmt.Sprintf("%q", a)
		case []byte:
			s[i] = fmt.Sprintf("%d bytes", len(a))
		case func() string:
			s[i] = "func"
			if a == nil {
				s[i] = "nil"
			}
		default:
			if s[i] = fmt.Sprint(a); len(s[i]) > longestArg {
				s[i] = s[i][:longestArg] + "…"
			}
		}
	}
	return strings.Join(s, ", ")
}

// Kinds of resources, as Live and Leaks name them.
const (
	Memory     = "device memory"
	HostMemory = "host memory"
	Streams    = "stream"
	Events     = "event"
	Modules    = "module"
	Libraries  = "library"
	Graphs     = "graph"
	GraphExecs = "executable graph"
	Pools      = "memory pool"
	Contexts   = "primary context"
)

// made are the methods whose first result is a new resource. A primary context
// is known by its device, the argument, as it is released by it.
var made = map[string]string{
	"MemAlloc": Memory, "MemAllocAsync": Memory, "MemAllocFromPoolAsync": Memory,
	"MemHostAlloc":             HostMemory,
	"StreamCreateWithPriority": Streams,
	"EventCreate":              Events,
	"ModuleLoadDataEx":         Modules,
	"LibraryLoadData":          Libraries,
	"GraphCreate":              Graphs, endCapture: Graphs,
	"GraphInstantiate":       GraphExecs,
	"MemPoolCreate":          Pools,
	"DevicePrimaryCtxRetain": Contexts,
}

// released are the methods whose first argument is a resource that they end.
var released = map[string]string{
	"MemFree": Memory, "MemFreeAsync": Memory,
	"MemFreeHost":             HostMemory,
	"StreamDestroy":           Streams,
	"EventDestroy":            Events,
	"ModuleUnload":            Modules,
	"LibraryUnload":           Libraries,
	"GraphDestroy":            Graphs,
	"GraphExecDestroy":        GraphExecs,
	"MemPoolDestroy":          Pools,
	"DevicePrimaryCtxRelease": Contexts,
}

type resource struct {
	kind   string
	handle any
}

// life counts how often a handle is alive: a context by each retain, and an
// address for a moment twice, when another goroutine gets it again before the
// release has been booked.
type life struct {
	count int
	made  string // the last call that made it
}

// account books what a successful call made or released.
func (api *API) account(c call, out any) {
	if kind := made[c.method]; kind != "" {
		r := resource{kind, out}
		if kind == Contexts {
			r.handle = c.args[0]
		}
		if api.live[r] == nil {
			api.live[r] = &life{}
		}
		api.live[r].count++
		api.live[r].made = fmt.Sprintf("call %d, %s(%s)", c.number, c.method, argText(c.args))
	}
	if kind := released[c.method]; kind != "" {
		r := resource{kind, c.args[0]}
		switch l := api.live[r]; {
		case l == nil:
			api.misuse = append(api.misuse, fmt.Sprintf("%s %v was released by call %d, %s, but is not alive", kind, r.handle, c.number, c.method))
		case l.count == 1:
			delete(api.live, r)
		default:
			l.count--
		}
	}
}

// Live gives the number of living resources of each kind that has any.
func (api *API) Live() map[string]int {
	api.mu.Lock()
	defer api.mu.Unlock()
	n := map[string]int{}
	for r, l := range api.live {
		n[r.kind] += l.count
	}
	return n
}

// Leaks describes everything that is alive, and each release of what was not,
// a line each. It is empty if all is well.
func (api *API) Leaks() string {
	api.mu.Lock()
	defer api.mu.Unlock()
	lines := slices.Clone(api.misuse)
	for r, l := range api.live {
		lines = append(lines, fmt.Sprintf("%s %v is alive (count %d), made by %s", r.kind, r.handle, l.count, l.made))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
