package main

import (
	"testing"
)

// TestRows runs every row at a tiny size and compares what it computes with a plain
// computation.
func TestRows(t *testing.T) {
	r, err := open(true)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := r.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, row := range table() {
		if row.make == nil {
			continue
		}
		t.Run(row.task, func(t *testing.T) {
			k, err := row.make(r)
			if err != nil {
				t.Fatal(err)
			}
			if k.check != nil {
				if err := k.check(); err != nil {
					t.Error(err)
				}
			}
			if us, err := k.timer(2); err != nil || us <= 0 {
				t.Errorf("a batch takes %v µs, %v", us, err)
			}
			if k.close != nil {
				if err := k.close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
