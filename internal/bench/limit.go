package main

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A probe is traffic to find the limit of: so many arrays read and written side by
// side, of so many bytes together.
type probe struct {
	reads, writes int
	bytes         uint64
}

// probeFor is the probe for a task that reads and writes so many bytes.
func probeFor(read, written uint64) probe {
	p := probe{bytes: read + written}
	switch {
	case written*64 < read: // a reduction's result does not count
		p.reads = 1
	case read == 0:
		p.writes = 1
	default:
		p.writes = 1
		p.reads = min(max(int((read+written/2)/written), 1), 3)
	}
	return p
}

// probeShapes are the kernels tried, as vectors of 16 bytes for each thread and
// array; the fastest is the limit.
var probeShapes = []int{1, 2, 4}

const probeThreads = 256

// limit returns the bytes per second, in GB/s, that the device reaches for a probe.
func (r *runner) limit(p probe) (float64, error) {
	if gbs := r.probes[p]; gbs > 0 {
		return gbs, nil
	}
	w := &work{r: r}
	defer w.close()
	each := p.bytes / uint64(p.reads+p.writes) &^ 255
	var bases []driver.Ptr
	for range p.reads + p.writes {
		base, err := w.alloc(each)
		if err != nil {
			return 0, err
		}
		bases = append(bases, base)
		if err := r.randomize(base, kernels.Float32, int(each/4), 1); err != nil {
			return 0, err
		}
	}
	best := 0.0
	try := func(c call, bytes uint64) error {
		one := &work{r: r, calls: []call{c}}
		us, err := median(r.rounds(), func() (float64, error) { return one.micros(r.batch(bytes)) })
		if err == nil {
			best = max(best, float64(bytes)/us/1e3)
		}
		return err
	}
	if p.reads == 1 && p.writes == 1 {
		if err := try(call{dst: bases[1], src: bases[0], bytes: each}, 2*each); err != nil {
			return 0, err
		}
	}
	for _, vectors := range probeShapes {
		blocks := each / 16 / probeThreads / uint64(vectors)
		if blocks == 0 {
			continue
		}
		k, err := r.load(fmt.Sprint("probe", p.reads, p.writes, vectors), probeText(p.reads, p.writes, vectors), "probe")
		if err != nil {
			return 0, err
		}
		args := driver.NewArgs()
		defer args.Release()
		for _, b := range bases {
			args.Ptr(b)
		}
		moved := blocks * 16 * probeThreads * uint64(vectors) * uint64(p.reads+p.writes)
		c := call{kernel: k, config: driver.LaunchConfig{Grid: driver.Dim{uint32(blocks)}, Block: driver.Dim{probeThreads}}, args: args}
		if err := try(c, moved); err != nil {
			return 0, err
		}
	}
	r.probes[p] = best
	return best, nil
}

// probeText is a kernel that reads and writes vectors of 16 bytes, all loads first.
// What it writes is the exclusive or of what it read; where it writes nothing, a
// store that does not happen for random data keeps the loads in.
func probeText(reads, writes, vectors int) string {
	var b strings.Builder
	arrays := reads + writes
	b.WriteString(".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry probe(")
	for i := range arrays {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, ".param .u64 p%d", i)
	}
	fmt.Fprintf(&b, ")\n{\n.reg .pred %%q;\n.reg .b32 %%t, %%c, %%i;\n.reg .b64 %%o;\n.reg .b64 %%a<%d>;\n.reg .b32 %%r<%d>;\n.reg .b32 %%x<4>;\n", arrays, 4*vectors*max(reads, 1))
	fmt.Fprintf(&b, "mov.u32 %%t, %%tid.x;\nmov.u32 %%c, %%ctaid.x;\nmad.lo.u32 %%i, %%c, %d, %%t;\nmul.wide.u32 %%o, %%i, 16;\n", probeThreads*vectors)
	for i := range arrays {
		fmt.Fprintf(&b, "ld.param.u64 %%a%d, [p%d];\ncvta.to.global.u64 %%a%d, %%a%d;\nadd.s64 %%a%d, %%a%d, %%o;\n", i, i, i, i, i, i)
	}
	reg := func(array, vector int) int { return 4 * (array*vectors + vector) }
	for v := range vectors {
		for a := range reads {
			n := reg(a, v)
			fmt.Fprintf(&b, "ld.global.v4.b32 {%%r%d, %%r%d, %%r%d, %%r%d}, [%%a%d+%d];\n", n, n+1, n+2, n+3, a, v*probeThreads*16)
		}
		if reads == 0 {
			for i := range 4 {
				fmt.Fprintf(&b, "xor.b32 %%r%d, %%i, %d;\n", reg(0, v)+i, 0x3f9a2b1d+i)
			}
		}
	}
	for v := range vectors {
		for a := 1; a < reads; a++ {
			for i := range 4 {
				fmt.Fprintf(&b, "xor.b32 %%r%d, %%r%d, %%r%d;\n", reg(0, v)+i, reg(0, v)+i, reg(a, v)+i)
			}
		}
		if n := reg(0, v); writes > 0 {
			fmt.Fprintf(&b, "st.global.v4.b32 [%%a%d+%d], {%%r%d, %%r%d, %%r%d, %%r%d};\n", reads, v*probeThreads*16, n, n+1, n+2, n+3)
		}
	}
	if writes == 0 {
		b.WriteString("mov.b32 %x0, 0;\n")
		for i := range 4 * vectors {
			fmt.Fprintf(&b, "xor.b32 %%x0, %%x0, %%r%d;\n", i)
		}
		b.WriteString("setp.eq.u32 %q, %x0, 0x7fc0dead;\n@%q st.global.b32 [%a0], %x0;\n")
	}
	b.WriteString("ret;\n}\n")
	return b.String()
}

// lanes are the float32 multiply-adds a multiprocessor starts in a clock, by compute
// capability (CUDA C++ Programming Guide, arithmetic instructions).
func lanes(cc int) float64 {
	if cc == 75 || cc == 80 {
		return 64
	}
	return 128
}

// peak returns the TFLOP/s of the device's multiply-add units for a type, at its
// highest clock: not of its tensor cores.
func (r *runner) peak(t kernels.Type) (float64, error) {
	var values [3]float64
	for i, a := range []driver.Attribute{driver.AttrClockRate, driver.AttrMultiprocessorCount, driver.AttrSingleToDoublePrecisionPerfRatio} {
		v, err := r.dev.Attribute(a)
		if err != nil {
			return 0, err
		}
		values[i] = float64(v)
	}
	tflops := values[0] * 1e3 * values[1] * lanes(r.cc) * 2 / 1e12
	if t == kernels.Float64 {
		tflops /= max(values[2], 1)
	}
	return tflops, nil
}
