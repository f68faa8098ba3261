package array

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// Stats says what a device's memory is used for. Forks share their device's.
type Stats struct {
	Arrays      int           // storages alive: arrays, not counting views
	Used        uint64        // bytes of their blocks
	Cached      uint64        // bytes of free blocks, kept for reuse
	Reserved    uint64        // bytes taken from the driver
	Limit       uint64        // most bytes to take: 0 is no limit, 1 is one of 0 bytes
	Launches    uint64        // kernels launched since Open
	Reserves    uint64        // allocations of the driver since Open
	Collections uint64        // collections started to find unreachable arrays
	CollectTime time.Duration // time spent in those
}

// String says the same in words.
func (s Stats) String() string {
	limit := "no limit"
	if s.Limit > 0 {
		limit = "a limit of " + limitText(s.Limit)
	}
	return fmt.Sprintf("%s of %s, %s cached; %s taken, with %s; since Open %s, %s of the driver, %s in %v",
		phrase.Count(s.Arrays, "array", "arrays"), byteText(s.Used), byteText(s.Cached), byteText(s.Reserved), limit,
		phrase.Count(int(s.Launches), "launch", "launches"), phrase.Count(int(s.Reserves), "allocation", "allocations"),
		phrase.Count(int(s.Collections), "collection", "collections"), s.CollectTime)
}

// Stats returns the device's memory figures now, after giving back what the
// garbage collector has found already. Small arrays that were made shortly before it ran
// are found by its next run; after a call of runtime.GC Stats does not wait for that but
// looks for them again, which takes a collection. It is zero for a closed Device.
func (d *Device) Stats() Stats {
	if d.check(call{}) != nil {
		return Stats{}
	}
	sh := d.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed {
		return Stats{}
	}
	sh.sweepAll()
	return Stats{
		Arrays: len(sh.registry.blocks), Used: sh.arena.used, Cached: sh.arena.cached, Reserved: sh.reserved, Limit: sh.limit,
		Launches: sh.counts.Launches, Reserves: sh.counts.Reserves, Collections: sh.counts.Collections, CollectTime: sh.counts.CollectTime,
	}
}

// Trim gives cached memory back to the driver until at most keep bytes are
// cached, as far as whole segments are free. It waits for the work on those.
func (d *Device) Trim(keep uint64) error {
	c := directly("Device.Trim")
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	d.sh.sweepAll()
	if err := d.sh.trim(keep); err != nil {
		return c.deviceError(err)
	}
	return nil
}

// Limit sets the most memory that the device's arrays may take from the driver:
// bytes ("1500000000"), with a unit ("2GiB", "500MB"), a share of the device's
// memory ("50%"), or "none". What is taken already stays; a limit below it, 0
// included, makes allocations fail that the cache cannot serve. A limit above the
// device's memory is kept, and the device fails first. Negative limits, and shares
// above 100%, are ErrArgument.
func (d *Device) Limit(limit string) error {
	c := directly("Device.Limit")
	if err := d.enter(c); err != nil {
		return err
	}
	defer d.leave()
	bytes, err := d.sh.parseLimit(limit)
	if err != nil {
		return c.deviceError(err)
	}
	d.sh.mu.Lock()
	defer d.sh.mu.Unlock()
	d.sh.limit = bytes
	return nil
}

// noMemory is what a limit of 0 bytes is kept as, as 0 means that there is none:
// less than any segment.
const noMemory = 1

// limitText says what a limit is.
func limitText(limit uint64) string {
	if limit == noMemory {
		return byteText(0)
	}
	return byteText(limit)
}

func (sh *shared) parseLimit(text string) (uint64, error) {
	if text == "none" {
		return 0, nil
	}
	number := strings.TrimRight(text, "%BKMGTi ")
	value, err := strconv.ParseFloat(number, 64)
	scale, known := limitUnits[strings.TrimSpace(text[len(number):])]
	switch {
	case err != nil || !known || !(value >= 0):
		return 0, because(ErrArgument, "limit %q is none of \"none\", bytes, bytes with a unit as in \"2GiB\", or a share as in \"50%%\"", text)
	case scale == 0 && value > 100:
		return 0, because(ErrArgument, "limit %q is more than all of the device's memory; \"none\" is no limit", text)
	case !(value*scale < 1<<62):
		return 0, because(ErrArgument, "limit %q is more than memory has addresses for; \"none\" is no limit", text)
	}
	if scale == 0 {
		scale = float64(sh.total) / 100
	}
	return max(uint64(value*scale), noMemory), nil
}

// limitUnits are the units of limits in bytes; 0 stands for a share of the total.
var limitUnits = map[string]float64{
	"": 1, "B": 1, "%": 0,
	"KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
	"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
}

// reserve takes a segment from the driver, within the limit.
func (sh *shared) reserve(bytes uint64) (uint64, error) {
	if sh.limit > 0 && sh.reserved+bytes > sh.limit {
		return 0, fmt.Errorf("the limit of %s leaves no room for %s: %w", limitText(sh.limit), byteText(bytes), driver.ErrorOutOfMemory)
	}
	m, err := sh.ctx.Alloc(bytes)
	if err != nil {
		return 0, err
	}
	address := uint64(m.Ptr())
	sh.segments[address] = m
	sh.reserved += bytes
	sh.counts.Reserves++
	if sh.announces {
		sh.ctx.MarkMemory(m.Ptr(), bytes, driver.MemoryDead, nil) // until blocks of it are handed out
	}
	return address, nil
}

// releaseSegment gives a segment back to the driver.
func (sh *shared) releaseSegment(address uint64) error {
	m := sh.segments[address]
	delete(sh.segments, address)
	sh.reserved -= m.Size()
	return m.Close()
}
