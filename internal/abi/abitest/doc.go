// Package abitest wraps an implementation of the seam for tests: it records the
// calls, makes calls fail on purpose, and counts what is alive, so that a leak
// test is one line:
//
//	api := abitest.Wrap(sim.New())
//	api.Inject(abitest.Fault{Nth: n, Result: abi.ErrorOutOfMemory})
//	… use api through driver …
//	if s := api.Leaks(); s != "" {
//		t.Error(s)
//	}
//
// Faults come in three kinds: a call that makes or does something fails without
// being forwarded; one that releases something is forwarded and then fails, as
// the driver's do when they report an earlier failure (StreamEndCapture too: it
// ends the capture and gives no graph); MarkMemory cannot fail.
//
// Everything may be used from several goroutines.
package abitest

//go:generate go run ./generate ../seam.go forward.go
