package exec

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

const header = ".version 8.1\n.target sm_90\n.address_size 64\n"

// device is a memory and a program to run in it.
type device struct {
	t    testing.TB
	mem  *Memory
	prog *Program
}

func newDevice(t testing.TB, src string) *device {
	t.Helper()
	mem := NewMemory(1 << 31)
	return &device{t, mem, newProgram(t, mem, src)}
}

func newProgram(t testing.TB, mem *Memory, src string) *Program {
	t.Helper()
	m, err := ptx.Parse(header + src)
	if err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
	p, err := Load(m, mem, 90)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// buffer allocates and fills device memory.
func buffer[T any](d *device, label string, data []T) uint64 {
	d.t.Helper()
	n := uint64(len(data)) * uint64(unsafe.Sizeof(data[0]))
	a := d.empty(label, n)
	b, err := d.mem.Slice(a, n)
	if err != nil {
		d.t.Fatal(err)
	}
	copy(unsafe.Slice((*T)(unsafe.Pointer(&b[0])), len(data)), data)
	d.mem.MarkInitialised(a, n)
	return a
}

func (d *device) empty(label string, n uint64) uint64 {
	d.t.Helper()
	a, err := d.mem.Alloc(n, func() string { return label })
	if err != nil {
		d.t.Fatal(err)
	}
	return a
}

// read views device memory.
func read[T any](d *device, addr uint64, n int) []T {
	d.t.Helper()
	var z T
	b, err := d.mem.Slice(addr, uint64(n)*uint64(unsafe.Sizeof(z)))
	if err != nil {
		d.t.Fatal(err)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// params lays values out as a kernel's parameters.
func (k *Kernel) pack(vals ...any) []byte {
	b := make([]byte, k.ParamBytes)
	for i, v := range vals {
		p := b[k.Params[i].Offset:]
		switch v := v.(type) {
		case uint64:
			hostOrder.PutUint64(p, v)
		case uint32:
			hostOrder.PutUint32(p, v)
		case float32:
			hostOrder.PutUint32(p, math.Float32bits(v))
		case float64:
			hostOrder.PutUint64(p, math.Float64bits(v))
		case uint16:
			hostOrder.PutUint16(p, v)
		case uint8:
			p[0] = v
		default:
			panic(binary.Size(v))
		}
	}
	return b
}

func (d *device) run(name string, grid, block uint32, o Options, vals ...any) error {
	d.t.Helper()
	k := d.prog.Kernels[name]
	if k == nil {
		d.t.Fatalf("no kernel %s", name)
	}
	return Run(k, Launch{Grid: [3]uint32{grid, 1, 1}, Block: [3]uint32{block, 1, 1}, Params: k.pack(vals...)}, o)
}

func (d *device) must(name string, grid, block uint32, vals ...any) {
	d.t.Helper()
	if err := d.run(name, grid, block, Options{}, vals...); err != nil {
		d.t.Fatal(err)
	}
}

func newRand(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
