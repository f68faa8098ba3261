package mutation

// bug is one mistake: in file, old becomes new.
type bug struct {
	what     string
	file     string
	old, new string
}

// bugs are in the order of SIMULATOR's instructions: integers, floats, conversions,
// warps, memory and atomics, barriers, asynchronous copies, tensor cores, Hopper.
var bugs = []bug{
	{"add.sat does not saturate", "scalar_int.go", "clampS32(int64(ex(a)) + int64(ex(b)))", "ex(a) + ex(b)"},
	{"sub.sat saturates at one too many", "scalar_int.go", "max(math.MinInt32, min(math.MaxInt32, v))", "max(math.MinInt32, min(math.MaxInt32+1, v))"},
	{"mad.hi adds before it takes the high half", "scalar_int.go", "return mulHi(t, ex(a), ex(b)) + c }", "return mulHi(t, ex(a), ex(b)) + c>>1 }"},
	{"mul.hi of 64 bits forgets one sign", "scalar_int.go", "h -= a & uint64(int64(b)>>63)", "h -= 0"},
	{"mul24.hi takes bits from 24 on", "scalar_int.go", "return p >> 16", "return p >> 24"},
	{"sad subtracts the wrong way round", "scalar_int.go", "return c + b - a", "return c + a - b"},
	{"min and max compare unsigned values as signed", "scalar_int.go", "if t.Signed() {\n\t\treturn int64(a) < int64(b)", "if true {\n\t\treturn int64(a) < int64(b)"},
	{"clz counts from bit 63", "scalar_int.go", "uint64(bits.LeadingZeros64(a&mask)) - (64 - n)", "uint64(bits.LeadingZeros64(a & mask))"},
	{"bfind of a negative number looks for ones", "scalar_int.go", "a = ^a\n\t\t\t}\n\t\t\ta &= mask", "a += 0\n\t\t\t}\n\t\t\ta &= mask"},
	{"brev of 32 bits reverses 64", "scalar_int.go", "return bits.Reverse64(a) >> (64 - n)", "return bits.Reverse64(a)"},
	{"shl by the width and more wraps", "scalar_int.go", "return a << min(b&math.MaxUint32, 64)", "return a << (b & (n - 1))"},
	{"shr.s shifts zeros in", "scalar_int.go", "return uint64(int64(ex(a)) >> min(b, 63))", "return uint64(int64(ex(a)) >> min(b, 63) & int64(mask>>b))"},
	{"shf.wrap uses six bits of the distance", "scalar_int.go", "s &= 31\n\t\t\t} else {", "s &= 63\n\t\t\t} else {"},
	{"shf.clamp stops at 31", "scalar_int.go", "s = min(s, 32)", "s = min(s, 31)"},
	{"bfe replicates the wrong bit as sign", "scalar_int.go", "sign = -(v >> min(pos+length-1, n-1) & 1)", "sign = -(v >> min(pos+length, n-1) & 1)"},
	{"bfe uses five bits of the length", "scalar_int.go", "pos, length := b&255, c&255\n\tv := extend", "pos, length := b&255, c&31\n\tv := extend"},
	{"bfi clears nothing first", "scalar_int.go", "return b&^m | a<<pos&m", "return b | a<<pos&m"},
	{"prmt does not replicate the sign", "scalar_int.go", "if k&8 != 0 {", "if false {"},
	{"lop3 takes a for c", "scalar_int.go", "[...]uint64{c, b, a}", "[...]uint64{a, b, c}"},
	{"dp2a.hi takes the low half", "scalar_int.go", "b >>= 16\n", "b >>= 0\n"},
	{"fns counts one too many", "scalar_int.go", "if count--; count == 0 {", "if count--; count < 0 {"},

	{"fma.rn.f32 rounds twice", "scalar_float.go", "if v&(1<<29-1) == 1<<28 || v<<1 < 0x3810000000000000<<1 {", "if v<<1 < 0x3810000000000000<<1 {"},
	{"add.rz rounds to nearest", "scalar_float.go", "case \"rz\", \"rzi\":\n\t\treturn zero", "case \"rz\", \"rzi\":\n\t\treturn nearest"},
	{"rounding down of a negative number goes up", "scalar_float.go", "case down:\n\t\t\tr = up\n\t\tcase up:\n\t\t\tr = down", "case down:\n\t\t\tr = down\n\t\tcase up:\n\t\t\tr = up"},
	{"a tie goes away from zero", "scalar_float.go", "inc = half == 1 && (rest != 0 || kept&1 == 1)", "inc = half == 1"},
	{"x − x is +0 also rounded down", "scalar_float.go", "if s == 0 && r == down && (math.Signbit(a) || math.Signbit(b)) {", "if false {"},
	{"overflow towards zero is infinite", "scalar_float.go", "if r == zero || r == down {\n\t\t\treturn sign | largest", "if r == down {\n\t\t\treturn sign | largest"},
	{".ftz keeps subnormal inputs", "scalar_float.go", "in = func(b uint64) float64 { return f.value(f.flush(b)) }\n\t}\n\tvar one", "}\n\tvar one"},
	{".ftz flushes what rounds to the least normal number", "scalar_float.go", "ftz && b&(1<<(f.bits-1)-1) <= smallest && f.tiny(v, r)", "ftz && b&(1<<(f.bits-1)-1) <= smallest"},
	{".sat keeps NaN", "scalar_float.go", "return v\n\t}\n\treturn 0\n}\n\n// float returns", "return v\n\tcase v != v:\n\t\treturn v\n\t}\n\treturn 0\n}\n\n// float returns"},
	{"max of zeros returns the first", "scalar_float.go", "if (a == 0) != isMax {", "if false {"},
	{"min of a NaN and a number is the NaN", "scalar_float.go", "case x != x:\n\t\t\ta = b\n\t\tcase y != y:", "case x != x:\n\t\tcase y != y:\n\t\t\ta = b"},
	{"setp.ne is true of NaNs", "scalar_float.go", "return !nan && a != b", "return a != b"},
	{"setp.geu is false of NaNs", "scalar_float.go", "return nan || a >= b", "return a >= b"},
	{"rsqrt of −0 is +Inf", "scalar_float.go", "return out(math.Copysign(math.Inf(1), v))", "return out(math.Inf(1))"},
	{"copysign takes the sign of the second operand", "lanes.go", "a[i]&^rest | b[i]&rest", "a[i]&rest | b[i]&^rest"},

	{"cvt of NaN from float32 to 32 bits is the least integer", "scalar_cvt.go", "if s == ptx.F64 || d.Bits() == 64 {", "if true {"},
	{"cvt to an integer wraps", "scalar_cvt.go", "case v >= over:\n\t\t\treturn hi", "case v >= 2*over:\n\t\t\treturn hi"},
	{"cvt.rni rounds ties up", "scalar_cvt.go", "return math.RoundToEven(v)", "return math.Floor(v + 0.5)"},
	{"cvt.sat of a negative number to unsigned wraps", "scalar_cvt.go", "v = 0\n\t\t\t\t} else if", "v += 0\n\t\t\t\t} else if"},
	{"cvt of a large integer to float32 rounds twice", "scalar_cvt.go", "if lost {", "if lost && neg {"},
	{"cvt.rna.tf32 rounds to even", "scalar_float.go", "case away:\n\t\tinc = half == 1", "case away:\n\t\tinc = half == 1 && (rest != 0 || kept&1 == 1)"},
	{"cvt.satfinite overflows to NaN", "scalar_cvt.go", "if rest > largest {", "if false {"},

	{"shfl.up compares as the others", "warp.go", "ok = j >= last", "ok = j <= last"},
	{"shfl.bfly ignores segments", "warp.go", "j = l ^ b\n\t\t\tok = j <= last", "j = l ^ b\n\t\t\tok = true"},
	{"vote.all counts lanes that are no members", "warp.go", "p = (p ^ uint32(in.off)) & x.mask", "p = p ^ uint32(in.off)"},
	{"match.all is true of any values", "warp.go", "same = same && a.at", "same = true || a.at"},
	{"elect takes the highest lane", "warp.go", "leader := bits.TrailingZeros32(x.mask)", "leader := 31 - bits.LeadingZeros32(x.mask)"},

	{"atom.inc goes one too far", "memory_ops.go", "if r >= s&math.MaxUint32 {", "if r > s&math.MaxUint32 {"},
	{"atom.dec keeps what is above the bound", "memory_ops.go", "r == 0 || r > s {", "r == 0 {"},
	{"atom.cas stores when it must not", "memory_ops.go", "if old&w == b&w {", "if old&w != b&w {"},
	{"global atom.add.f32 keeps subnormals", "memory_ops.go", "if t == ptx.F32 && !shared {", "if false {"},
	{"a vector's third element comes from the second", "memory_ops.go", "v[0], v[1], v[2], v[3]", "v[0], v[1], v[1], v[3]"},

	{"bar.red.popc counts the others", "sched.go", "x.put(in.d, false, lane, uint64(set))", "x.put(in.d, false, lane, uint64(clear))"},
	{"bar.red.or needs all", "sched.go", "in.bar.red == 'o' && set > 0:", "in.bar.red == 'o' && clear == 0:"},
	{"a branch is taken by no lane if not by all", "sched.go", "masks[k] = (p ^ in.guardNot) & f.mask", "masks[k] = (p ^ in.guardNot) & f.mask & 0"},

	{"cp.async copies all bytes where the source is short", "async.go", "c := asyncCopy{in: in, n: uint32(n)}", "c := asyncCopy{in: in, n: m.bytes}"},
	{"cp.async.wait_group waits for one less", "async.go", "x.land(lane, t.group-pending)", "x.land(lane, t.group-pending-1)"},

	{"ldmatrix.trans does not transpose", "tensor_memory.go", "t[c][r] = v", "t[r][c] = v"},
	{"stmatrix exchanges a register's halves", "tensor_memory.go", "uint16(v), uint16(v>>16)", "uint16(v>>16), uint16(v)"},
	{"mma's A registers alternate columns first", "tensor.go", "row, group = g+8*(r&1), r>>1", "row, group = g+8*(r>>1&1), r&1|r>>2<<1"},
	{"mma's C columns are exchanged", "tensor.go", "f.col = append(f.col, uint8(2*t+at&1))", "f.col = append(f.col, uint8(2*t+1-at&1))"},
	{"tensor cores add in groups of half the size", "tensor_arith.go", "group: 16, extra: 2}\n\tif types[1] == \"tf32\"", "group: 8, extra: 2}\n\tif types[1] == \"tf32\""},
	{"tensor cores keep one bit less", "tensor_arith.go", "group: 16, extra: 2}\n\tif types[1] == \"tf32\"", "group: 16, extra: 1}\n\tif types[1] == \"tf32\""},
	{"tensor cores round float32 to nearest", "tensor_arith.go", "if l.bits == 16 && (rest > half", "if (rest > half"},
	{"tensor cores shift terms without a least exponent", "tensor_arith.go", "const leastExponent = -133", "const leastExponent = -200"},
	{"integer products do not saturate", "tensor_arith.go", "total = min(max(total, math.MinInt32), math.MaxInt32)", "total += 0"},
	{"float64 products are added from the last k on", "tensor_arith.go", "for k := range t.k {", "for k := t.k - 1; k >= 0; k-- {"},

	{"an mbarrier's parity is the other one", "hopper_mbarrier.go", "return b.phase&1 != v", "return b.phase&1 == v"},
	{"arrive_drop still expects the thread", "hopper_mbarrier.go", "b.expected -= count", "b.expected -= 0"},
	{"a phase ends without its bytes", "hopper_mbarrier.go", "if b.pending == 0 && b.tx == 0 {", "if b.pending == 0 {"},
	{"a swizzle of 128 bytes uses two bits", "hopper_tensor.go", "return a ^ a>>3&0x70", "return a ^ a>>3&0x60"},
	{"a tensor's outside is inside", "hopper_tensor.go", "uint64(c) < b.Dims[d]", "uint64(c) <= b.Dims[d]"},
	{"a bulk reduction stores instead", "hopper_bulk.go", "return op.update(old, v) })", "return v })"},
	{"wgmma's scale-d is the other way round", "hopper_wgmma.go", "op.scaleD = o.Imm != 0", "op.scaleD = o.Imm == 0"},
	{"wgmma does not negate A", "hopper_wgmma.go", "if neg {\n\t\t\t\tx = -x", "if false {\n\t\t\t\tx = -x"},
	{"wgmma's rows of eight follow at the leading offset", "hopper_wgmma.go", "r%8*span + r/8*stride", "r%8*span + r/8*leading"},
	{"wgmma's accumulators are laid out by rows of four", "hopper_wgmma.go", "thread/32*16+thread%32/4+8*(at>>1&1), at>>2*8+thread%4*2+at&1", "thread/32*16+thread%32/4+8*(at&1), at>>2*8+thread%4*2+at>>1&1"},
	{"mapa and the cluster's ranks run along y first", "hopper_cluster.go", "return [3]uint32{rank % c[0], rank / c[0] % c[1], rank / (c[0] * c[1])}", "return [3]uint32{rank / c[1] % c[0], rank % c[1], rank / (c[0] * c[1])}"},

	{"a block counts as started once it has arrived", "hopper_cluster.go", "\tif in.ctl == clusterArrive {\n\t\tx.clusterReleased()", "\tif in.ctl == clusterArrive {\n\t\tx.met = true\n\t\tx.clusterReleased()"},
	{"a warp knows of a start that another has waited for", "race_cluster.go", "x.races.warps[warp].others[m.races.block] == nil", "false"},
	{"a block that exits waits for nobody", "race_cluster.go", "times[who.warp] < v.time)", "false)"},
	{"a relaxed arrival orders what came before", "race_cluster.go", "if !relaxed {", "if true {"},
	{"an arrival tells of what its warp does next", "race_cluster.go", "\tn.others = union(n.others, c.others)\n\tr.tick(c)", "\tn.others = union(n.others, c.others)"},
	{"a barrier of a block joins nothing known of others", "race_cluster.go", "r.warps[w].others = union(all, nil)", "r.warps[w].others = union(r.warps[w].others, nil)"},
	{"a read of another block's shared memory is not noted", "race.go", "\tnote(c, mine)\n\treturn hit{}, false", "\tif r.home == 0 {\n\t\tnote(c, mine)\n\t}\n\treturn hit{}, false"},
	{"what a block did before its own barrier is forgotten for the cluster", "race.go", "o.allCells || len(c.members) > 1 && x.k.code.remote", "o.allCells"},
}
