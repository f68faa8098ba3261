package main

import (
	"strings"
	"testing"
	"time"

	"github.com/seed6486a2bb/gpuarray/array"
)

// TestGarbage runs for a short time what -garbage runs for minutes, and looks at
// memory alone: how quick a machine with other work is says nothing.
func TestGarbage(t *testing.T) {
	d, err := array.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	g := garbageRun{length: 2 * time.Second, interval: 200 * time.Millisecond, limit: "24MiB", elements: 16 << 10}
	var out strings.Builder
	lines, err := g.run(d, &out)
	if err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	var sweeps uint64
	for _, l := range lines {
		sweeps += l.sweeps
		if l.live > 24<<20 || l.device > 24<<20 {
			t.Errorf("beyond the limit: %+v", l)
		}
	}
	if sweeps == 0 {
		t.Errorf("nothing was collected:\n%s", out.String())
	}
}

func TestGarbageVerdict(t *testing.T) {
	flat := garbageLine{speed: 100, live: 50e6, device: 60e6, heap: 10e6}
	with := func(change func(l *garbageLine)) garbageLine {
		l := flat
		change(&l)
		return l
	}
	for _, c := range []struct {
		name string
		last garbageLine
		want string // in the error; empty: none
	}{
		{"the same", flat, ""},
		{"a little slower", with(func(l *garbageLine) { l.speed = 95 }), ""},
		{"slower", with(func(l *garbageLine) { l.speed = 80 }), "speed fell from 100.0 to 80.0"},
		{"a leak of arrays", with(func(l *garbageLine) { l.live = 60e6 }), "live memory rose from 50.0 to 60.0 MB"},
		{"a leak of segments", with(func(l *garbageLine) { l.device = 90e6 }), "device memory rose"},
		{"a heap that settles", with(func(l *garbageLine) { l.heap = 15e6 }), ""},
		{"a heap that grows", with(func(l *garbageLine) { l.heap = 30e6 }), "heap memory rose"},
	} {
		_, err := verdict([]garbageLine{flat, flat, c.last}, 0.9)
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := verdict([]garbageLine{flat, flat}, 0.9); err == nil {
		t.Error("two lines are enough")
	}
}
