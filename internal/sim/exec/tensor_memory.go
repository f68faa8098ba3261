package exec

import (
	"math/bits"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// ldmatrix and stmatrix: 8×8 matrices of 16-bit elements between shared memory
// and the registers of a warp. Row r of matrix j is 16 bytes at the address
// that lane 8j+r has; the addresses of further lanes are not used. Lane l holds
// elements 2·(l%4) and 2·(l%4)+1 of row l/4; of column l/4 with .trans.
// movmatrix transposes one from registers to registers.

// lanesMatrix is the matrix that the registers of a warp hold.
func lanesMatrix(lanes []uint32) (m [8][8]uint16) {
	for lane, v := range lanes[:32] {
		m[lane/4][lane%4*2], m[lane/4][lane%4*2+1] = uint16(v), uint16(v>>16)
	}
	return m
}

// setLanes gives the registers of a warp a matrix.
func setLanes(lanes []uint32, m *[8][8]uint16) {
	lanes = lanes[:32]
	for lane := range lanes {
		p := m[lane/4][lane%4*2:]
		lanes[lane] = uint32(p[0]) | uint32(p[1])<<16
	}
}

// matrixOp is the constant part of ldmatrix and stmatrix.
type matrixOp struct {
	regs  []slot // one a matrix
	trans bool
}

func decodeLdmatrix(d *decoder) error {
	return d.matrices(&d.in.Args[1], &d.in.Args[0], false)
}

func decodeStmatrix(d *decoder) error {
	return d.matrices(&d.in.Args[0], &d.in.Args[1], true)
}

func (d *decoder) matrices(address, regs *ptx.Operand, store bool) error {
	op := &matrixOp{trans: mod(d.in.Mods, "trans")}
	n := blank()
	n.ctl, n.sink = warpSync, true
	n.mem = &memOp{space: spaceOf(d.in.Mods), size: 2, bytes: 16, store: store}
	d.address(&n, address)
	for _, o := range elements(regs) {
		s, _, err := d.source(&o, ptx.B32)
		if err != nil {
			return err
		}
		op.regs = append(op.regs, s)
	}
	// Of the lanes' addresses some are used, of a store's registers all lanes.
	used := op.rows()
	n.merge = func(x *ctx, in *inst, warp int) uint32 {
		u := *x.undefined(in.a, warp) & used
		if store {
			for _, s := range op.regs {
				u |= *x.undefined(s, warp)
			}
		}
		return u
	}
	n.fn = op.load
	if store {
		n.fn = op.store
	} else {
		n.sets = append(n.sets, op.regs...)
	}
	d.flow(n)
	return nil
}

// rows is the mask of the lanes that have a row's address.
func (op *matrixOp) rows() uint32 { return 1<<(8*len(op.regs)) - 1 }

// load is ldmatrix.
func (op *matrixOp) load(x *ctx, in *inst) {
	x.wholeWarp(in)
	if x.counts != nil {
		x.countPlaces(in, in, func(lane int) bool { return op.rows()>>(lane&31)&1 != 0 })
	}
	for w := range x.n / 32 {
		for j, s := range op.regs {
			var m [8][8]uint16
			var undefined [8]uint8 // a bit for each element
			for r := range m {
				region, a := x.matrixRow(in, 32*w+8*j+r)
				m[r] = *(*[8]uint16)(region.at(a)) // 16 bytes that matrixRow checked
				if off := a - region.base + region.initOff; !region.init.all(off, 16) {
					for i := range 8 {
						if region.init.few(off+2*uint64(i), 2) != 3 {
							undefined[r] |= 1 << i
						}
					}
				}
			}
			if op.trans {
				m = transpose(m)
			}
			setLanes(row[uint32](x, s)[32*w:], &m)
			if undefined != [8]uint8{} {
				op.loadUndefined(x, s, w, undefined)
			}
		}
	}
}

func transpose(m [8][8]uint16) (t [8][8]uint16) {
	for r := range m {
		for c, v := range m[r] {
			t[c][r] = v
		}
	}
	return t
}

// loadUndefined marks the lanes that got elements which nobody wrote.
func (op *matrixOp) loadUndefined(x *ctx, s slot, w int, elements [8]uint8) {
	for r, m := range elements {
		for ; m != 0; m &= m - 1 {
			row, col := r, bits.TrailingZeros8(m)
			if op.trans {
				row, col = col, row
			}
			x.setUndefined(s, 32*w+4*row+col/2)
		}
	}
}

// store is stmatrix.
func (op *matrixOp) store(x *ctx, in *inst) {
	x.wholeWarp(in)
	if x.counts != nil {
		x.countPlaces(in, in, func(lane int) bool { return op.rows()>>(lane&31)&1 != 0 })
	}
	for w := range x.n / 32 {
		for j, s := range op.regs {
			m := lanesMatrix(row[uint32](x, s)[32*w:])
			if op.trans {
				m = transpose(m)
			}
			for r := range m {
				region, a := x.matrixRow(in, 32*w+8*j+r)
				*(*[8]uint16)(region.at(a)) = m[r]
				region.init.set(a-region.base+region.initOff, 16)
			}
		}
	}
}

func decodeMovmatrix(d *decoder) error {
	n, err := d.intoAny(blank(), &d.in.Args[0]), error(nil)
	n.ctl, n.fn, n.merge = warpSync, moveMatrix, mergeMatrix
	if n.a, _, err = d.source(&d.in.Args[1], ptx.B32); err != nil {
		return err
	}
	n.reads = []slot{n.a}
	d.flow(n)
	return nil
}

// moveMatrix is movmatrix.
func moveMatrix(x *ctx, in *inst) {
	x.wholeWarp(in)
	for w := range x.n / 32 {
		m := transpose(lanesMatrix(row[uint32](x, in.a)[32*w:]))
		setLanes(row[uint32](x, in.d)[32*w:], &m)
	}
}

// mergeMatrix is taint for movmatrix: a lane gets elements of two others.
func mergeMatrix(x *ctx, in *inst, warp int) uint32 {
	from, u := *x.undefined(in.a, warp), uint32(0)
	for lane := range 32 {
		row, col := lane%4*2, lane/4
		u |= (from>>(4*row+col/2) | from>>(4*(row+1)+col/2)) & 1 << lane
	}
	return u
}

// matrixRow checks the row at a lane's address.
func (x *ctx) matrixRow(in *inst, lane int) (*region, uint64) {
	r, a := x.lanePlace(in, lane, 16)
	if r != &x.shared && r != &x.window {
		x.fail(in, OutOfBounds, lane, a, 16, text(r.label), "the address is not in shared memory")
	}
	return r, a
}
