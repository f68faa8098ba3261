package kernels

import (
	"strings"
	"testing"
)

// heldPlan plans a scan whose tiles are held, however short the row.
func heldPlan(t testing.TB, op Op, typ Type, n, blocks int) *Plan {
	t.Helper()
	if newRunner(t).cc < heldCapability {
		t.Skip("the device has no copies that arrive at barriers")
	}
	p := new(Plan)
	planHeldRow(p, op, typ, RowMajor(n), blocks)
	return p
}

func planHeldRow(p *Plan, op Op, typ Type, row Layout, blocks int) {
	p.Multiprocessors = blocks
	r := newReduction(op, typ)
	defer r.release()
	e, in := r.single(typ, row)
	r.alongRows(e, &row, in, 0)
	r.planHeld(p)
}

// heldRow scans random elements, in place or not.
func heldRow[T any](t testing.TB, op Op, typ Type, n, blocks int, inPlace bool, value func() T) (xs, ys []T) {
	t.Helper()
	p := heldPlan(t, op, typ, n, blocks)
	xs, ys = make([]T, n), make([]T, n)
	for i := range xs {
		xs[i] = value()
	}
	if inPlace {
		for i := range p.Launches[0].Args {
			if a := &p.Launches[0].Args[i]; a.Pointer && a.Operand == 1 {
				a.Operand = 0
			}
		}
		copy(ys, xs)
	}
	runPlan(t, p, ys, xs, none)
	return xs, ys
}

// TestHeldScan: the order is that of every scan, whatever the number of blocks, and of
// elements in the last tile.
func TestHeldScan(t *testing.T) {
	r := newRand(t)
	for _, c := range []struct{ n, blocks int }{
		{1, 1}, {3, 2}, {scanTile - 1, 1}, {scanTile, 5}, {scanTile + 4, 132}, {2*scanTile + 1, 1}, {7*scanTile - 1, 2}, {9 * scanTile, 1},
		{32 * scanTile, 5}, {33*scanTile + 3, 5}, {40 * scanTile, 132}, {67*scanTile + 4095, 2},
	} {
		xs, ys := heldRow(t, OpSum, Float32, c.n, c.blocks, r.IntN(2) == 0, func() float32 { return float32(r.NormFloat64()) })
		for i, want := range scanModel(xs, add[float32]) {
			if !sameBits(ys[i], want) {
				t.Fatalf("%d elements, %d blocks: sum %d is %v, want %v", c.n, c.blocks, i, ys[i], want)
			}
		}
	}
	xs, ys := heldRow(t, OpProd, Float32, 5*scanTile+7, 2, false, func() float32 { return float32(1 + r.NormFloat64()/1000) })
	for i, want := range scanModel(xs, func(a, b float32) float32 { return a * b }) {
		if !sameBits(ys[i], want) {
			t.Fatalf("product %d is %v, want %v", i, ys[i], want)
		}
	}
	us, ps := heldRow(t, OpProd, Uint32, 6*scanTile+2, 2, true, func() uint32 { return r.Uint32() | 1 })
	product := uint32(1)
	for i, u := range us {
		if product *= u; ps[i] != product {
			t.Fatalf("integer product %d is %d, want %d", i, ps[i], product)
		}
	}
}

// heldFar is the length of a row whose last tiles are preceded by a group of 32 groups of
// 32 tiles, by groups, and by tiles.
const heldFar = 1100*scanTile + 5

// farBlocks is how many blocks scan a long row: one on the simulated device, where
// others would poll for long.
func farBlocks(t *testing.T) int {
	if newRunner(t).twin != nil {
		return 132
	}
	return 1
}

// TestHeldScanFar goes past a group of 32 groups of 32 tiles.
func TestHeldScanFar(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("9 million elements")
	}
	r := newRand(t)
	xs, ys := heldRow(t, OpSum, Int32, heldFar, farBlocks(t), true, func() int32 { return int32(r.Uint32()) })
	sum := int32(0)
	for i, x := range xs {
		if sum += x; ys[i] != sum {
			t.Fatalf("element %d is %d, want %d", i, ys[i], sum)
		}
	}
}

// TestHeldScanBits: the other kernel gives the same bits.
func TestHeldScanBits(t *testing.T) {
	if testing.Short() || raceEnabled {
		t.Skip("9 million elements")
	}
	r := newRand(t)
	n := heldFar
	if newRunner(t).twin != nil {
		n = 1 << 26
	}
	xs, ys := heldRow(t, OpSum, Float32, n, farBlocks(t), false, func() float32 { return float32(r.NormFloat64()) })
	want, row := make([]float32, n), RowMajor(n)
	var p Plan
	if err := Scan(&p, OpSum, Float32, Float32, row, row, 0); err != nil {
		t.Fatal(err)
	}
	runPlan(t, &p, want, xs, none)
	for i := range want {
		if !sameBits(ys[i], want[i]) {
			t.Fatalf("element %d is %v, the other kernel's %v", i, ys[i], want[i])
		}
	}
}

// TestHeldScanChoice: tiles are held of long rows alone, on devices that can.
func TestHeldScanChoice(t *testing.T) {
	const long = scanCached / 4
	device := Plan{Capability: heldCapability, Multiprocessors: 7, BlockMemory: heldMemory}
	plans := func(want bool, p Plan, in, out Type, x, y Layout, axis int) {
		t.Helper()
		for range 3 { // also as it is remembered
			p.Reset()
			if err := ScanExpr(&p, OpSum, oneLoad(in), out, y, []Layout{x}, axis); err != nil {
				t.Fatal(err)
			}
			held := strings.HasPrefix(p.Launches[0].Key, heldFamily().prefix+" ")
			if held != want {
				t.Errorf("%v, %v to %v on %+v: %s", x, in, out, [3]int{p.Capability, p.Multiprocessors, p.BlockMemory}, p.Launches[0].Key)
			}
			if l := p.Launches[0]; held && (l.Grid != [3]uint32{uint32(p.Multiprocessors), 1, 1} || int(l.Shared) != SharedMemory(l.Key)) {
				t.Errorf("%+v", l)
			}
		}
	}
	row := RowMajor(long)
	for _, typ := range []Type{Float32, Int32, Uint32} {
		plans(true, device, typ, typ, row, row, 0)
	}
	plans(true, device, Float32, Float32, RowMajor(1, long+3), RowMajor(1, long+3), 1)
	plans(true, device, Float32, Float32, RowMajor(heldTiles*scanTile), RowMajor(heldTiles*scanTile), 0)
	for _, less := range []func(p *Plan){
		func(p *Plan) { p.Capability-- }, func(p *Plan) { p.Multiprocessors = 0 }, func(p *Plan) { p.BlockMemory-- },
	} {
		p := device
		less(&p)
		plans(false, p, Float32, Float32, row, row, 0)
	}
	odd, twice := row, row
	odd.Offset, twice.Strides[0] = 1, 2
	plans(false, device, Float32, Float32, odd, row, 0)
	plans(false, device, Float32, Float32, row, odd, 0)
	plans(false, device, Float32, Float32, twice, row, 0)
	plans(false, device, Int32, Int64, row, row, 0)
	plans(false, device, Float16, Float16, row, row, 0)
	plans(false, device, Float32, Float32, RowMajor(long-1), RowMajor(long-1), 0)
	plans(false, device, Float32, Float32, RowMajor(2, long), RowMajor(2, long), 1)
	plans(false, device, Float32, Float32, RowMajor(heldTiles*scanTile+1), RowMajor(heldTiles*scanTile+1), 0)
}
