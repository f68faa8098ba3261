package exec

import (
	"math/bits"
)

// Operations between the lanes of a warp. All members of the mask in inst.e
// are here (see warpSync), so that the active lanes are the members.

// shuffle is shfl.sync; in.f2(lane, b|c<<32) gives the source lane, plus 32
// where the source is out of range.
func shuffle(x *ctx, in *inst) {
	d, a := row[uint32](x, in.d), row[uint32](x, in.a)
	b, c := row[uint32](x, in.b), row[uint32](x, in.c)
	for k := range x.n / 32 {
		var out [32]uint32
		var inRange uint32
		from := undefinedValue{in: in, block: x.blk.id, wave: x.wave}
		for i := range 32 {
			at := 32*k + i
			j := in.f2(uint64(i), uint64(b[at])|uint64(c[at])<<32)
			if j < 32 {
				inRange |= 1 << i
			}
			j &= 31
			out[i] = a[32*k+int(j)]
			if x.mask>>i&1 != 0 && x.mask>>j&1 == 0 {
				x.setUndefined(in.d, at) // what an absent lane holds is anyone's guess
				from.lanes[x.lane0/32+k] |= 1 << i
			}
		}
		if from.lanes[x.lane0/32+k] != 0 {
			x.remember(from)
		}
		for m := x.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			d[32*k+i] = out[i]
		}
		if in.q != noSlot {
			x.setPred(in.q, k, inRange)
		}
	}
}

// shuffleSource is the source lane of each mode, from the lane's own number
// and the operands b (lane or distance) and c (clamp and segment mask).
func shuffleSource(mode string) fn2 {
	return func(lane, bc uint64) uint64 {
		l, b, c, seg := int(lane), int(bc&31), int(bc>>32&31), int(bc>>40&31)
		last := l&seg | c&^seg
		var j int
		var ok bool
		switch mode {
		case "up":
			j = l - b
			ok = j >= last
		case "down":
			j = l + b
			ok = j <= last
		case "bfly":
			j = l ^ b
			ok = j <= last
		default:
			j = l&seg | b&^seg
			ok = j <= last
		}
		if !ok {
			return uint64(l + 32)
		}
		return uint64(j & 31)
	}
}

// shuffledFrom is the lane of the view that a lane gets its value from.
func shuffledFrom(x *ctx, in *inst, lane int) int {
	b, c := row[uint32](x, in.b)[lane], row[uint32](x, in.c)[lane]
	return lane&^31 + int(in.f2(uint64(lane&31), uint64(b)|uint64(c)<<32)&31)
}

func mergeShuffle(x *ctx, in *inst, warp int) uint32 {
	from, u := *x.undefined(in.a, warp), uint32(0)
	for i := range 32 {
		u |= from >> (shuffledFrom(x, in, 32*warp+i) & 31) & 1 << i
	}
	return u
}

// shuffled is the holesOp of shfl.
func shuffled(x *ctx, in *inst, lane int) (uint64, bool) {
	from := shuffledFrom(x, in, lane)
	return x.holes(in.a, false, from), x.isMixed(in.a, from)
}

// vote is vote.sync, in.off being all ones where predicate c is negated.
func vote(mode string) func(x *ctx, in *inst) {
	return func(x *ctx, in *inst) {
		for k, p := range x.pred(in.c) {
			p = (p ^ uint32(in.off)) & x.mask
			yes := false
			switch mode {
			case "all":
				yes = p == x.mask
			case "any":
				yes = p != 0
			case "uni":
				yes = p == 0 || p == x.mask
			default:
				x.broadcast(in, k, uint64(p))
				continue
			}
			x.setPred(in.d, k, spread(yes))
		}
	}
}

func spread(b bool) uint32 {
	if b {
		return ^uint32(0)
	}
	return 0
}

// broadcast stores one value in the active lanes of a warp.
func (x *ctx) broadcast(in *inst, warp int, v uint64) {
	d := row[uint32](x, in.d)[32*warp:]
	for m := x.mask; m != 0; m &= m - 1 {
		d[bits.TrailingZeros32(m)&31] = uint32(v)
	}
}

func activeMask(x *ctx, in *inst) {
	for k := range x.n / 32 {
		x.broadcast(in, k, uint64(x.mask))
	}
}

// matchAny gives each lane the mask of the lanes with the same value.
func matchAny(x *ctx, in *inst) {
	a := x.operand(in.a, in.wide&wideA != 0)
	d := row[uint32](x, in.d)
	for k := range x.n / 32 {
		var out [32]uint32
		for m := x.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			for o := x.mask; o != 0; o &= o - 1 {
				if j := bits.TrailingZeros32(o) & 31; a.at(32*k+i) == a.at(32*k+j) {
					out[i] |= 1 << j
				}
			}
		}
		for m := x.mask; m != 0; m &= m - 1 {
			i := bits.TrailingZeros32(m) & 31
			d[32*k+i] = out[i]
		}
	}
}

// matchAll gives the member mask if all values are equal, else 0.
func matchAll(x *ctx, in *inst) {
	a := x.operand(in.a, in.wide&wideA != 0)
	for k := range x.n / 32 {
		first := bits.TrailingZeros32(x.mask) & 31
		same := true
		for m := x.mask; m != 0; m &= m - 1 {
			same = same && a.at(32*k+bits.TrailingZeros32(m)&31) == a.at(32*k+first)
		}
		x.broadcast(in, k, uint64(x.mask&spread(same)))
		if in.q != noSlot {
			x.setPred(in.q, k, spread(same))
		}
	}
}

// reduce is redux.sync: in.f2 joins two values.
func reduce(x *ctx, in *inst) {
	a := row[uint32](x, in.a)
	for k := range x.n / 32 {
		first := bits.TrailingZeros32(x.mask) & 31
		v := uint64(a[32*k+first])
		for m := x.mask & (x.mask - 1); m != 0; m &= m - 1 {
			v = in.f2(v, uint64(a[32*k+bits.TrailingZeros32(m)&31]))
		}
		x.broadcast(in, k, v)
	}
}

// elect chooses the lowest member.
func elect(x *ctx, in *inst) {
	leader := bits.TrailingZeros32(x.mask)
	for k := range x.n / 32 {
		if in.d != noSlot {
			x.broadcast(in, k, uint64(leader))
		}
		x.setPred(in.q, k, 1<<leader)
	}
}
