package array

import (
	"errors"
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"testing"
	"time"
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

// TestSmallAmongLarge: where all memory lies in segments for large arrays, small ones
// take what is free there, rather than fail.
func TestSmallAmongLarge(t *testing.T) {
	if raceEnabled {
		t.Skip("one goroutine, for a minute")
	}
	d, api := newRecorded(t)
	x, y := Full[float32](d, 2, 3<<20), Full[float32](d, 1, 3<<20) // share a segment
	if err := d.Limit("0"); err != nil {
		t.Fatal(err)
	}
	if err := Zeros[float32](d, 16).Err(); err != nil {
		t.Errorf("a small array where the segment has room: %v", err)
	}
	fill := Zeros[uint8](d, 32<<20-int(d.Stats().Used))
	if err := errors.Join(fill.Err(), y.Err()); err != nil {
		t.Fatal(err)
	}
	y.Free()
	counted(api)
	list := make([]*Array[float32], 100)
	for i := range list {
		list[i] = x.Slice(R(0, 1+i)).AddScalar(float32(i)).Eval()
	}
	for i, a := range list {
		if v, err := a.At(-1); v != float32(2+i) || err != nil {
			t.Errorf("array %d: %v, %v", i, v, err)
		}
		a.Free()
	}
	if n := counted(api)["MemAlloc"]; n != 0 {
		t.Errorf("the driver was asked %d times for memory that the limit forbids", n)
	}
	if err := Zeros[float32](d, 3<<20).Err(); err != nil {
		t.Errorf("a large array after the small ones were freed: %v", err)
	}
	runtime.KeepAlive(x)
}

// TestTrimKeeps gives back no more than is asked for.
func TestTrimKeeps(t *testing.T) {
	d, _ := newRecorded(t)
	const size = 18 << 20 // a segment of its own
	for range 2 {
		x, y, z := Zeros[uint8](d, size), Zeros[uint8](d, size), Zeros[uint8](d, size)
		x.Free()
		y.Free()
		z.Free()
		for _, c := range []struct{ keep, want uint64 }{{3 * size, 3 * size}, {3*size - 1, 2 * size}, {2*size - 1, size}, {size, size}, {0, 0}} {
			if err := d.Trim(c.keep); err != nil || d.Stats().Cached != c.want {
				t.Errorf("Trim(%d) leaves %d bytes, want %d; %v", c.keep, d.Stats().Cached, c.want, err)
			}
		}
	}
}

// TestCollectionsArePutOff: a collection is put off for as long as keeps the share of
// time that they take small, and what was freed since the last one is not counted as
// garbage later.
func TestCollectionsArePutOff(t *testing.T) {
	d, _ := newRecorded(t)
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	begin := time.Now()
	d.sh.collect()
	if r := &d.sh.registry; r.paused.Sub(begin) < maxShare*d.sh.counts.CollectTime {
		t.Errorf("the next collection may come after %v, this one took %v", r.paused.Sub(begin), d.sh.counts.CollectTime)
	}
	garbage := func(n int, paused time.Time) (most uint64) {
		for range n {
			d.sh.registry.paused = paused
			if err := Zeros[uint8](d, 4<<20).Err(); err != nil {
				t.Fatal(err)
			}
			most = max(most, d.sh.arena.used)
		}
		return most
	}
	before := d.sh.counts.Collections
	garbage(3*minCollect/(4<<20), time.Now().Add(time.Hour))
	if n := d.sh.counts.Collections - before; n != 0 {
		t.Errorf("%d collections before the time", n)
	}
	if garbage(1, time.Time{}); d.sh.counts.Collections == before {
		t.Error("no collection when the time has come")
	}
	kept := Zeros[uint8](d, 4*minCollect)
	d.sh.collect()
	kept.Free()
	d.Stats()
	if most := garbage(3*minCollect/(4<<20), time.Time{}); most > 3*minCollect/2 {
		t.Errorf("%s were in use where no array is", byteText(most))
	}
}

// TestYoungBytes: what is kept because it is young is bounded in bytes too.
func TestYoungBytes(t *testing.T) {
	d, _ := newRecorded(t)
	for i := range 2 * mostYoung {
		Zeros[uint8](d, 1<<20)
		var sum uint64
		for _, a := range d.sh.nursery.young {
			sum += a.young.own.bytes()
		}
		if n := len(d.sh.nursery.young); sum > youngBytes || n > mostYoung || n == 0 {
			t.Fatalf("after %d arrays %d are young, of %s", i+1, n, byteText(sum))
		}
	}
}

// TestStatsCollects: after runtime.GC, and only then, Stats looks once more for arrays
// that were young in it.
func TestStatsCollects(t *testing.T) {
	d, _ := newRecorded(t)
	for range 3 {
		Ones[float32](d, 1000)
		runtime.GC()
		if s := d.Stats(); s.Arrays != 0 {
			t.Errorf("%d arrays after runtime.GC, none is reachable", s.Arrays)
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	before, heap := d.Stats().Collections, make([][]byte, 256)
	for i := range 5 {
		Ones[float32](d, 1000)
		for seen := collections.Load(); collections.Load() == seen; runtime.Gosched() { // until Go starts one
			heap[i] = make([]byte, 1<<16)
		}
		d.Stats()
	}
	if n := d.Stats().Collections - before; n != 0 {
		t.Errorf("Stats started %d collections after those that Go had started", n)
	}
	runtime.GC()
	if s := d.Stats(); s.Arrays != 0 {
		t.Errorf("%d arrays in the end, none is reachable", s.Arrays)
	}
	runtime.KeepAlive(heap)
}
