package exec

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// vprintf is what printf in a kernel becomes: it takes the addresses of the format and
// of the arguments, which lie one after the other at multiples of their sizes, as C
// promotes them.

// decodeCall: vprintf is the one function that is called.
func decodeCall(d *decoder) error {
	args := d.in.Args
	format, _, err1 := d.source(&args[1], ptx.U64)
	values, _, err2 := d.source(&args[2], ptx.U64)
	if err1 != nil || err2 != nil {
		return d.unknown()
	}
	n := d.into(blank(), &args[0])
	n.a, n.b, n.reads, n.sink, n.writes, n.fn = format, values, []slot{format, values}, true, self, printLanes
	n.fuel = productFuel
	d.emit(n)
	return nil
}

// printing keeps the lines of threads apart.
var printing sync.Mutex

func printLanes(x *ctx, in *inst) {
	to := x.output
	if to == nil {
		to = os.Stdout
	}
	x.active(func(lane int) {
		p := printer{x: x, in: in, lane: lane, next: x.get(in.b, true, lane)}
		n := p.format(p.text(x.get(in.a, true, lane)))
		printing.Lock()
		_, err := io.WriteString(to, p.out.String())
		printing.Unlock()
		if err != nil {
			n = -1
		}
		x.put(in.d, in.wide&wideD != 0, lane, uint64(uint32(n)))
	})
}

// A printer formats one thread's arguments.
type printer struct {
	x    *ctx
	in   *inst
	lane int
	next uint64 // address of the next argument
	out  strings.Builder
}

// mostPrinted is how long a string may be: what has no end is found soon.
const mostPrinted = 64 << 10

// text reads a string that ends with 0.
func (p *printer) text(addr uint64) string {
	var b []byte
	for len(b) < mostPrinted {
		c := p.bytes(addr+uint64(len(b)), 1)[0]
		if c == 0 {
			return string(b)
		}
		b = append(b, c)
	}
	p.x.fail(p.in, OutOfBounds, p.lane, addr, 0, "", "a string of printf without an end in %d bytes", mostPrinted)
	return ""
}

// argument takes the next argument of 4 or 8 bytes.
func (p *printer) argument(size uint64) uint64 {
	p.next = (p.next + size - 1) &^ (size - 1)
	b := p.bytes(p.next, size)
	p.next += size
	if size == 4 {
		return uint64(hostOrder.Uint32(b))
	}
	return hostOrder.Uint64(b)
}

// bytes are n bytes at a generic address.
func (p *printer) bytes(addr, n uint64) []byte {
	x := p.x
	var r *region
	off := addr
	switch {
	case addr-localWindow < windowBytes:
		if off = addr - localWindow; off+n > uint64(x.k.Local) {
			x.fail(p.in, OutOfBounds, p.lane, addr, uint32(n), "", "a thread has %d bytes of local memory", x.k.Local)
		}
		off += uint64(x.k.Local) * uint64(x.wave.first*32+x.lane0+p.lane)
		r = &x.local
	case addr-sharedWindow < windowBytes:
		r = &x.window
	default:
		r = x.mem.region(addr)
	}
	if r == nil || r.state == abi.MemoryDead || !r.holds(off, n) {
		kind, detail := x.mem.explain(addr, n)
		x.fail(p.in, kind, p.lane, addr, uint32(n), "", "printf reads it: %s", detail)
	}
	if at := off - r.base + r.initOff; !r.init.all(at, n) {
		x.fail(p.in, Uninitialised, p.lane, addr, uint32(n), "", "printf reads what nobody wrote")
	}
	return unsafe.Slice((*byte)(r.at(off)), n) // n bytes of a region that holds them
}

// format writes the text of a format, and returns how many arguments it took.
func (p *printer) format(f string) (n int32) {
	for {
		before, rest, found := strings.Cut(f, "%")
		p.out.WriteString(before)
		if !found {
			return n
		}
		if after, ok := strings.CutPrefix(rest, "%"); ok {
			p.out.WriteByte('%')
			f = after
			continue
		}
		f = p.conversion(rest, &n)
	}
}

// conversion writes what follows a "%", and returns the rest of the format.
func (p *printer) conversion(f string, n *int32) string {
	end := strings.IndexAny(f, "diuoxXcspfFeEgGaA")
	if end < 0 {
		p.out.WriteString("%" + f)
		return ""
	}
	spec, verb, rest := f[:end], f[end], f[end+1:]
	flags := strings.TrimRight(spec, "hlLqjzt")
	length := spec[len(flags):]
	values := []any{}
	for range strings.Count(flags, "*") {
		values = append(values, int(int32(p.argument(4))))
		*n++
	}
	*n++
	switch verb {
	case 'd', 'i':
		values, verb = append(values, p.signed(length)), 'd'
	case 'u', 'o', 'x', 'X':
		if values = append(values, p.unsigned(length)); verb == 'u' {
			verb = 'd'
		}
	case 'c':
		values, verb = append(values, string([]byte{byte(p.argument(4))})), 's'
	case 's':
		values = append(values, p.text(p.argument(8)))
	case 'p':
		values, verb = append(values, fmt.Sprintf("%#x", p.argument(8))), 's'
	case 'a', 'A':
		values, verb = append(values, math.Float64frombits(p.argument(8))), verb+'x'-'a'
	case 'F':
		values, verb = append(values, math.Float64frombits(p.argument(8))), 'f'
	default:
		values = append(values, math.Float64frombits(p.argument(8)))
	}
	fmt.Fprintf(&p.out, "%"+flags+string(verb), values...)
	return rest
}

// long says whether an integer has 8 bytes.
func long(length string) bool { return strings.ContainsAny(length, "lLqjzt") }

func (p *printer) signed(length string) int64 {
	switch {
	case long(length):
		return int64(p.argument(8))
	case length == "hh":
		return int64(int8(p.argument(4)))
	case length == "h":
		return int64(int16(p.argument(4)))
	}
	return int64(int32(p.argument(4)))
}

func (p *printer) unsigned(length string) uint64 {
	switch {
	case long(length):
		return p.argument(8)
	case length == "hh":
		return p.argument(4) & 0xff
	case length == "h":
		return p.argument(4) & 0xffff
	}
	return p.argument(4)
}
