package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"time"
)

// A report is what a run found.
type report struct {
	Device string   `json:"device"`
	Driver string   `json:"driver"`
	Date   string   `json:"date"`
	Rows   []result `json:"rows"`

	note string
}

// A result is a row's. Gbs and Tflops are what the time makes of the bytes or
// operations; Limit is in the same unit, µs for a row that has neither. Peers are
// times in µs.
type result struct {
	Task   string             `json:"task"`
	Micros float64            `json:"us"`
	Gbs    float64            `json:"gbs,omitempty"`
	Tflops float64            `json:"tflops,omitempty"`
	Limit  float64            `json:"limit,omitempty"`
	Peers  map[string]float64 `json:"peers,omitempty"`

	method string
	ratios map[string]ratio // of peers' times to ours
	bus    bool             // its bytes go between host and device
	err    error
}

// fraction is how much of the limit the row reaches, 0 where it has none.
func (x *result) fraction() float64 {
	switch speed := x.Gbs + x.Tflops; {
	case x.Limit == 0 || x.Micros == 0:
		return 0
	case speed == 0:
		return x.Limit / x.Micros
	default:
		return speed / x.Limit
	}
}

// best returns the fastest peer, "" where there is none.
func (x *result) best() (name string, us float64) {
	for _, n := range slices.Sorted(maps.Keys(x.Peers)) {
		if us == 0 || x.Peers[n] < us {
			name, us = n, x.Peers[n]
		}
	}
	return name, us
}

// digits rounds to four significant digits, more than repeat.
func digits(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

func (p *report) write(file string) error {
	b, err := json.MarshalIndent(p, "", "\t")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}

// readReport reads what write wrote.
func readReport(file string) (*report, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	p := new(report)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for i := range p.Rows { // which the file does not say
		p.Rows[i].bus = strings.Contains(p.Rows[i].Task, "→")
	}
	return p, nil
}

// newReport describes the device.
func newReport(r *runner, now time.Time) *report {
	p := &report{Device: r.arr.String(), Driver: fmt.Sprintf("CUDA %v (%s)", r.drv.Version(), r.drv.Source()), Date: now.UTC().Format(time.RFC3339)}
	if b, err := os.ReadFile("/proc/driver/nvidia/version"); err == nil && !r.simulated() {
		line, _, _ := strings.Cut(string(b), "\n")
		for _, field := range strings.Fields(line) {
			if field[0] >= '0' && field[0] <= '9' && strings.Contains(field, ".") {
				p.Driver += ", " + field
				break
			}
		}
	}
	if r.simulated() {
		p.note = "the simulated device, with tiny sizes: these figures say nothing about a GPU"
	}
	return p
}

const lineFormat = "%-40s %10s %16s %9s %6s  %s\n"

func (p *report) header(w io.Writer) {
	fmt.Fprintf(w, "%s\n%s\n%s\n", p.Device, p.Driver, p.Date)
	if p.note != "" {
		fmt.Fprintf(w, "Note: %s.\n", p.note)
	}
	fmt.Fprintln(w, "The limit of a memory-bound row is a plain kernel's, or cuMemcpyDtoD's, for the same traffic; of a product, the peak of the multiply-add units (not tensor cores) at the highest clock; of a host row, a bare launch.")
	fmt.Fprintf(w, lineFormat, "task", "µs", "speed", "limit", "share", "timed by; peers: µs (their time over ours, ≥ lower 95% bound)")
}

// line prints a result.
func (x *result) line(w io.Writer) {
	if x.err != nil {
		fmt.Fprintf(w, "%-40s failed: %s\n", x.Task, x.err)
		return
	}
	speed, share, limit := "", "", ""
	switch {
	case x.Gbs > 0:
		speed = fmt.Sprintf("%.1f GB/s", x.Gbs)
	case x.Tflops > 0:
		speed = fmt.Sprintf("%.2f TFLOP/s", x.Tflops)
	}
	if x.Limit > 0 {
		limit, share = fmt.Sprintf("%.1f", x.Limit), fmt.Sprintf("%.3f", x.fraction())
	}
	var peers []string
	for _, n := range slices.Sorted(maps.Keys(x.Peers)) {
		r := x.ratios[n]
		low := ""
		if r.low > 0 {
			low = fmt.Sprintf(" ≥%.3f", r.low)
		}
		peers = append(peers, fmt.Sprintf("%s %.2f (%.3f%s)", n, x.Peers[n], r.middle, low))
	}
	fmt.Fprintf(w, lineFormat, x.Task, fmt.Sprintf("%.2f", x.Micros), speed, limit, share, x.method+"; "+strings.Join(peers, "  "))
}

// footer lists what is not there yet, by reason.
func footer(w io.Writer, rows []row) {
	tasks := map[string][]string{}
	for _, r := range rows {
		if r.make == nil {
			tasks[r.missing] = append(tasks[r.missing], r.task)
		}
	}
	for _, why := range slices.Sorted(maps.Keys(tasks)) {
		fmt.Fprintf(w, "not yet (%s): %s\n", why, strings.Join(tasks[why], ", "))
	}
}
