package driver

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// launchRing remembers the latest launches of a context: when a kernel faults,
// the driver says so at some later call and does not say which kernel it was.
type launchRing struct {
	mu     sync.Mutex
	recent [16]launch
	n      uint64 // launches so far; the latest is recent[(n-1)%len]
}

type launch struct {
	name   string
	stream *Stream
	done   bool // a wait that came after it has completed
}

func (l *launchRing) add(name string, s *Stream) {
	l.mu.Lock()
	l.recent[l.n%uint64(len(l.recent))] = launch{name: name, stream: s}
	l.n++
	l.mu.Unlock()
}

func (l *launchRing) count() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

func (c *Context) launched() uint64 {
	if c == nil || c.primary == nil {
		return 0
	}
	return c.launches.count()
}

// done notes that the launches on s (nil: on all streams) among the first upTo
// have completed.
func (l *launchRing) done(s *Stream, upTo uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := uint64(len(l.recent))
	for i := l.n - min(l.n, size); i < min(l.n, upTo); i++ {
		if rec := &l.recent[i%size]; s == nil || rec.stream == s {
			rec.done = true
		}
	}
}

// suspects names the launches that no completed wait covers, oldest first, the
// same name in a row once with its count.
func (l *launchRing) suspects() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var names []string
	var counts []int
	size := uint64(len(l.recent))
	for i := l.n - min(l.n, size); i < l.n; i++ {
		rec := l.recent[i%size]
		switch last := len(names) - 1; {
		case rec.done:
		case last >= 0 && names[last] == rec.name:
			counts[last]++
		default:
			names, counts = append(names, rec.name), append(counts, 1)
		}
	}
	for i, n := range counts {
		if n > 1 {
			names[i] += "×" + strconv.Itoa(n)
		}
	}
	return names
}

const startAgain = "the context is lost: this process must be started again to use the device"

// faultReporter is what an implementation of the seam may have beside the C
// functions: a report of where a kernel went wrong. The simulated device has it.
type faultReporter interface{ FaultReport() string }

func (c *Context) faultDetail() string {
	text := "no launch is known since the last completed wait"
	if names := c.launches.suspects(); len(names) > 0 {
		text = fmt.Sprintf("suspects, the launches since the last completed wait: %s", strings.Join(names, ", "))
	}
	text = join(text, startAgain)
	if f, ok := c.api.(faultReporter); ok {
		if report := f.FaultReport(); report != "" {
			text += "\n" + report
		}
	}
	return text
}

// later is the error of a call that came after the fault e.
func (e *Error) later(op string) error {
	return &Error{Op: op, Code: e.Code, Detail: "not tried, as " + e.Op + " had reported this fault before; " + e.Detail}
}
