package array

import (
	"errors"
	"os"
	"regexp"
	"runtime"
	"testing"
)

// TestOutOfMemoryLadder gives each way of finding memory, in the order in which they
// are tried, something to find, and sees that no later one was needed.
func TestOutOfMemoryLadder(t *testing.T) {
	const size = 18 << 20 // a segment of its own; the limit has room for one
	for _, c := range []struct {
		name               string
		prepare            func(d *Device) *Array[uint8] // what it returns stays reachable
		ask                int
		collects, replaces bool // a collection was started; a segment went back to the driver for another
		fails              bool
	}{
		{"a free block", func(d *Device) *Array[uint8] { Zeros[uint8](d, size).Free(); return nil }, size, false, false, false},
		{"what the collector has found", func(d *Device) *Array[uint8] {
			Zeros[uint8](d, size)
			for before := collections.Load(); collections.Load() < before+2; runtime.Gosched() { // the count comes after the collection
				runtime.GC()
			}
			return nil
		}, size, false, false, false},
		{"what the collector finds", func(d *Device) *Array[uint8] { Zeros[uint8](d, size); return nil }, size, true, false, false},
		{"a segment that is too small", func(d *Device) *Array[uint8] { Zeros[uint8](d, size).Free(); return nil }, size + 2<<20, true, true, false},
		{"nothing", func(d *Device) *Array[uint8] { return Zeros[uint8](d, size) }, size, true, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, api := newRecorded(t)
			if err := d.Limit("20MiB"); err != nil {
				t.Fatal(err)
			}
			kept := c.prepare(d)
			counted(api)
			before := d.sh.counts
			err := Zeros[uint8](d, c.ask).Err()
			after, calls := d.sh.counts, counted(api)
			if errors.Is(err, ErrOutOfMemory) != c.fails || err != nil && !c.fails {
				t.Errorf("error %v", err)
			}
			if started := after.Collections > before.Collections; started != c.collects {
				t.Errorf("a collection was started: %v, want %v", started, c.collects)
			}
			if replaced := calls["MemFree"] > 0 && after.Reserves > before.Reserves; replaced != c.replaces {
				t.Errorf("a segment was replaced: %v, want %v; %v", replaced, c.replaces, calls)
			}
			runtime.KeepAlive(kept)
		})
	}
}

// TestFullDevice takes all that a limit allows, and goes on after some was given back.
// With GPUARRAY_FILL=1 it takes all of a GPU's memory, which no other program or test
// should need meanwhile.
func TestFullDevice(t *testing.T) {
	d, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	most := d.sh.total
	if fill := os.Getenv("GPUARRAY_FILL") == "1"; d.Simulated() || !fill {
		most = 256 << 20
		if err := d.Limit("256MiB"); err != nil {
			t.Fatal(err)
		}
	}
	size := int(most / 16)
	var list []*Array[uint8]
	for err == nil && len(list) <= 16 {
		a := Zeros[uint8](d, size)
		if err = a.Err(); err == nil {
			list = append(list, a)
		}
	}
	said := regexp.MustCompile(`[\d.]+ [GM]iB asked; [\d.]+ [GM]iB in \d+ arrays, [\d.]+ \w+ cached.*, device has [\d.]+ \w+ free of [\d.]+ \w+; Free arrays`)
	if !errors.Is(err, ErrOutOfMemory) || !said.MatchString(err.Error()) || len(list) < 4 {
		t.Fatalf("after %d arrays of %s: %v", len(list), byteText(uint64(size)), err)
	}
	t.Logf("after %d arrays: %v", len(list), err)
	for i, a := range list {
		if i%2 == 0 {
			a.Free()
		}
	}
	for range len(list) / 2 {
		a := Full[uint8](d, 7, size)
		if v, err := a.At(-1); v != 7 || err != nil {
			t.Fatalf("after Free: %v, %v", v, err)
		}
		list = append(list, a)
	}
	for _, a := range list {
		a.Free()
	}
	if err := d.Trim(0); err != nil {
		t.Error(err)
	}
	if s := d.Stats(); s.Arrays != 0 || s.Used > minTickets {
		t.Errorf("after all were freed: %+v", s)
	}
}
