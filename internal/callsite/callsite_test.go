package callsite

import (
	"runtime"
	"sync"
	"testing"
)

// inner and outer are what a library has: a core function, and a public one, which
// the compiler may put into its caller.
//
//go:noinline
func inner() uintptr { return Caller(1) }

func outer() uintptr { return inner() }

type thing struct{}

func (thing) call() uintptr { return inner() }

type caller interface{ call() uintptr }

type generic[T any] struct{ _ T }

func (g *generic[T]) call() uintptr { return inner() }

func lineOf(pc uintptr) int {
	f, _ := runtime.CallersFrames([]uintptr{pc}).Next()
	return f.Line
}

// here is the line that it is called on.
func here() int {
	_, _, line, _ := runtime.Caller(1)
	return line
}

// TestCaller calls in all the ways that Go has, twice from each line: once the line
// is looked up, and once it is remembered.
func TestCaller(t *testing.T) {
	value := thing{}.call
	var iface caller = thing{}
	var pointer caller = &thing{}
	var shaped caller = &generic[string]{}
	method := shaped.call
	helper := func() (uintptr, int) { return outer(), here() }
	for round := range 3 {
		check := func(what string, pc uintptr, want int) {
			if got := lineOf(pc); got != want {
				t.Errorf("round %d, %s: line %d, want %d", round, what, got, want)
			}
		}
		check("a function", outer(), here())
		check("another line", outer(), here())
		check("a method", thing{}.call(), here())
		check("a method value", value(), here())
		check("an interface", iface.call(), here())
		check("an interface of a pointer", pointer.call(), here())
		check("the same on another line", pointer.call(), here())
		check("a generic method", (&generic[int]{}).call(), here())
		check("a generic method through an interface", shaped.call(), here())
		check("the same on another line", shaped.call(), here())
		check("its method value", method(), here())
		check("the same on another line", method(), here())
		pc, line := helper()
		check("a closure", pc, line)
		func() {
			defer func() { check("a deferred function", outer(), here()) }()
		}()
		var wg sync.WaitGroup
		wg.Go(func() { check("a goroutine", outer(), here()) })
		wg.Wait()
		done := make(chan uintptr)
		go func() {
			done <- outer() // this line
		}()
		check("a goroutine's own", <-done, here()-2)
		deep(200, func() { check("a deep stack", outer(), here()) })
	}
}

// deep makes the stack grow, and so move.
func deep(n int, f func()) {
	var room [512]byte
	if n > 0 {
		deep(n-1, f)
		room[n%512] = 1
		return
	}
	f()
	runtime.KeepAlive(&room)
}

// TestAgrees compares with runtime.Callers where many lines share places.
func TestAgrees(t *testing.T) {
	want := func(skip int) uintptr {
		var pc [1]uintptr
		runtime.Callers(skip+2, pc[:])
		return pc[0]
	}
	for skip := range maxSkip + 2 {
		for range 2 {
			got, want := Caller(skip), want(skip+1)
			if lineOf(got) != lineOf(want) {
				t.Errorf("skip %d: line %d, want %d", skip, lineOf(got), lineOf(want))
			}
		}
	}
}

func BenchmarkCaller(b *testing.B) {
	for b.Loop() {
		outer()
	}
}

func BenchmarkCallers(b *testing.B) {
	for b.Loop() {
		look(1)
	}
}

// TestWalks: where there are frame pointers, a goroutine's stack of Go code is never
// taken for one that cannot be followed.
func TestWalks(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("no frame pointers on", runtime.GOARCH)
	}
	for _, depth := range []int{0, 1, 5, 300} {
		deep(depth, func() {
			var w walked
			if !walk(&w) || w[0] == 0 {
				t.Errorf("at depth %d: %x", depth, w)
			}
		})
	}
}
