package main

import "testing"

// The comparison with gonum is in run itself.
func TestRun(t *testing.T) {
	if err := run(); err != nil {
		t.Fatal(err)
	}
}
