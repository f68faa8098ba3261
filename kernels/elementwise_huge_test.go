package kernels

import (
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// TestElementwiseHuge works beyond 2³¹ and 2³² elements, which takes a GPU.
func TestElementwiseHuge(t *testing.T) {
	r := newRunner(t)
	if r.simulated() {
		t.Skip("the simulated device would take minutes")
	}
	bytes := uint64(1<<32 + 1000)
	n := int(bytes) // a variable, as 32-bit machines must build this
	whole, err := r.ctx.Alloc(bytes)
	if err != nil {
		t.Skip(err)
	}
	defer whole.Close()
	part, err := r.ctx.Alloc(2000)
	if err != nil {
		t.Fatal(err)
	}
	defer part.Close()

	// Every element is its index modulo 251.
	index := &Expr{[]Node{
		{Kind: Index, Type: Int64},
		{Kind: Immediate, Type: Int64, Bits: 251},
		{Kind: Apply, Op: OpRemainder, Type: Int64, Args: [3]int{0, 1}},
		{Kind: Apply, Op: OpCast, Type: Uint8, Args: [3]int{2}},
	}}
	r.launch(t, index, RowMajor(n), nil, whole)
	// Two rows, more than 2³¹ elements apart.
	rows := RowMajor(2, 1000)
	far := rows
	far.Strides[0] = n/2 - 400 // 2³¹ + 100
	far.Offset = n - 1000 - far.Strides[0]
	r.launch(t, singleOp(OpCopy, Uint8, false), rows, []Layout{far}, part, whole)

	got := make([]byte, 2000)
	if err := r.ctx.CopyDtoH(got, part.Ptr()); err != nil {
		t.Fatal(err)
	}
	for i, g := range got {
		at := far.Offset + i/1000*far.Strides[0] + i%1000
		if g != byte(at%251) {
			t.Fatalf("element %d: got %d, want %d", at, g, at%251)
		}
	}
}

// launch plans and runs an expression over memory that is there.
func (r *planRunner) launch(t testing.TB, e *Expr, out Layout, in []Layout, mems ...*driver.Mem) {
	t.Helper()
	var p Plan
	if err := Elementwise(&p, e, out, in); err != nil {
		t.Fatal(err)
	}
	for _, l := range p.Launches {
		args := driver.NewArgs()
		for _, a := range l.Args {
			if a.Pointer {
				args.Ptr(mems[a.Operand].Ptr() + driver.Ptr(a.Bits))
			} else {
				args.Bits(a.Bits, int(a.Size))
			}
		}
		if err := r.kernel(t, l.Key).LaunchArgs(r.stream, driver.LaunchConfig{Grid: driver.Dim(l.Grid), Block: driver.Dim(l.Block)}, args); err != nil {
			t.Fatal(err)
		}
		args.Release()
	}
	if err := r.stream.Synchronize(); err != nil {
		t.Fatal(err)
	}
}
