package exec

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// matmulKernel multiplies 64×64 matrices of float16 that tensor copies bring,
// with swizzles and transposed as kernels use them: A's and B's rows or columns
// lie together, in boxes as wide as the swizzle's span.
func matmulKernel(span [2]int, trans [2]bool, negate bool) string {
	var s strings.Builder
	w := func(format string, args ...any) { fmt.Fprintf(&s, "\t"+format+"\n", args...) }
	s.WriteString(".visible .entry k(.param .align 64 .b8 a[128], .param .align 64 .b8 b[128], .param .u64 out)\n{\n")
	w(".reg .pred %%p<9>; .reg .b32 %%r<20>; .reg .b64 %%rd<20>; .reg .f32 %%f<32>;")
	w(".shared .align 1024 .b8 sh[16384];\n\t.shared .align 8 .b64 bar;")
	w("mov.u32 %%r1, %%tid.x;\n\tsetp.ne.u32 %%p1, %%r1, 0;\n\t@%%p1 bra READY;")
	w("mbarrier.init.shared.b64 [bar], 1;\n\tmbarrier.arrive.expect_tx.shared.b64 _, [bar], 16384;")
	for m, name := range []string{"a", "b"} {
		w("mov.b64 %%rd1, %s;\n\tcvta.param.u64 %%rd1, %%rd1;", name)
		for i := range 128 / span[m] {
			w("mov.u32 %%r2, %d;\n\tmov.u32 %%r3, 0;", i*span[m]/2)
			w("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [sh+%d], [%%rd1, {%%r2, %%r3}], [bar];", 8192*m+i*64*span[m])
		}
	}
	w("READY:\n\tbar.sync 0;\nW:\n\tmbarrier.try_wait.parity.shared.b64 %%p1, [bar], 0;\n\t@!%%p1 bra W;")
	var d []string
	for i := range 32 {
		d = append(d, fmt.Sprintf("%%f%d", i))
		w("mov.f32 %%f%d, 0f7fc00000;", i) // a NaN, unless the first product leaves it out
	}
	w("wgmma.fence.sync.aligned;")
	for k := range 4 {
		var desc [2]uint64
		for m := range desc {
			start := 8192*m + 32*k/span[m]*64*span[m] + 32*k%span[m]
			if trans[m] {
				start = 8192*m + 16*k*span[m]
			}
			kind := map[int]uint64{128: 1, 64: 2, 32: 3}[span[m]]
			desc[m] = uint64(start)>>4 | uint64(64*span[m]>>4)<<16 | uint64(8*span[m]>>4)<<32 | kind<<62
		}
		w("mov.u64 %%rd2, %#x;\n\tmov.u64 %%rd3, %#x;\n\tsetp.ne.u32 %%p2, %d, 0;", desc[0], desc[1], k)
		sign := map[bool]int{false: 1, true: -1}
		flag := map[bool]int{true: 1}
		w("wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {%s}, %%rd2, %%rd3, %%p2, %d, 1, %d, %d;", strings.Join(d, ", "), sign[negate], flag[trans[0]], flag[trans[1]])
	}
	w("wgmma.commit_group.sync.aligned;\n\twgmma.wait_group.sync.aligned 0;")
	w("ld.param.u64 %%rd4, [out];\n\tmul.wide.u32 %%rd5, %%r1, 128;\n\tadd.u64 %%rd4, %%rd4, %%rd5;")
	for i := range 32 {
		w("st.global.f32 [%%rd4+%d], %%f%d;", 4*i, i)
	}
	w("ret;\n}")
	return s.String()
}

// TestSwizzledProducts: what a tensor copy writes with a swizzle, a descriptor
// with that swizzle reads.
func TestSwizzledProducts(t *testing.T) {
	const seed = 11
	r := newRand(seed)
	swizzles := map[int]abi.TensorMapSwizzle{32: abi.TensorMapSwizzle32B, 64: abi.TensorMapSwizzle64B, 128: abi.TensorMapSwizzle128B}
	for _, spans := range [][2]int{{128, 128}, {64, 128}, {32, 64}, {64, 32}, {128, 32}} {
		for mode := range 4 {
			trans := [2]bool{mode&1 != 0, mode&2 != 0}
			d := hopperDevice(t, matmulKernel(spans, trans, mode == 3))
			k := d.prog.Kernels["k"]
			params := make([]byte, k.ParamBytes)
			var values [2][64][64]float32 // by row of A or column of B, and k
			for m := range values {
				var bits [64][64]uint16
				for i := range 64 {
					for l := range 64 {
						v := r.IntN(17) - 8
						values[m][i][l] = float32(v)
						at := &bits[i][l]
						if trans[m] {
							at = &bits[l][i]
						}
						*at = uint16(formatF16.round(float64(v), nearest))
					}
				}
				tm := TensorMap{Type: abi.TensorMapDataTypeFloat16, Rank: 2, Address: buffer(d, "operand", bits[:]), Dims: [5]uint64{64, 64}, Strides: [5]uint64{0, 128},
					Box: [5]uint32{uint32(spans[m] / 2), 64}, ElementStrides: [5]uint32{1, 1}, Swizzle: swizzles[spans[m]]}
				for j, w := range tm.Encode() {
					hostOrder.PutUint64(params[128*m+8*j:], w)
				}
			}
			out := buffer(d, "out", make([]float32, 64*64))
			hostOrder.PutUint64(params[256:], out)
			if err := Run(k, Launch{Grid: [3]uint32{1, 1, 1}, Block: [3]uint32{128, 1, 1}, Params: params}, Options{}); err != nil {
				t.Fatalf("spans %v, transposed %v: %v", spans, trans, err)
			}
			got := read[float32](d, out, 64*64)
			for thread := range 128 {
				for i := range 32 {
					row, col := thread/32*16+thread%32/4+8*(i>>1&1), i/4*8+thread%4*2+i&1
					want := float32(0)
					for l := range 64 {
						want += values[0][row][l] * values[1][col][l]
					}
					if mode == 3 {
						want = -want
					}
					if v := got[32*thread+i]; v != want {
						t.Fatalf("seed %d, spans %v, transposed %v, element %d,%d: %v, want %v", seed, spans, trans, row, col, v, want)
					}
				}
			}
		}
	}
}

const (
	groupDesc      = "mov.u64 %rd4, 0x0000001000080000;\nmov.u64 %rd5, 0x0000001000080080;\nmov.f32 %f1, 0f00000000;\nmov.f32 %f2, %f1;\nmov.f32 %f3, %f1;\nmov.f32 %f4, %f1;\nmov.f32 %f5, %f1;\nmov.f32 %f6, %f1;\nmov.f32 %f7, %f1;\nmov.f32 %f8, %f1;\n"
	groupFill      = "shl.b32 %r2, %r1, 5;\nmov.f32 %f1, 0f00000000;\nst.shared.v4.f32 [%r2], {%f1, %f1, %f1, %f1};\nst.shared.v4.f32 [%r2+16], {%f1, %f1, %f1, %f1};\nbar.sync 0;\n"
	groupFence     = "wgmma.fence.sync.aligned;\n"
	groupMMA       = "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1, %f2, %f3, %f4}, %rd4, %rd5, 1, 1, 1, 0, 0;\n"
	groupRegisters = "mov.u32 %r12, 0;\n" + groupFence + "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {%f1, %f2, %f3, %f4}, {%r12, %r12, %r12, %r12}, %rd5, 1, 1, 1, 0;\n"
	groupCommit    = "wgmma.commit_group.sync.aligned;\n"
	groupWait      = "wgmma.wait_group.sync.aligned 0;\n"
	groupStore     = "st.global.f32 [%rd1], %f1;\n"
)

func TestGroupFaults(t *testing.T) {
	const start = groupFill + groupDesc + groupFence
	for _, c := range []struct {
		name   string
		kind   FaultKind
		block  uint32
		text   string
		detail string
	}{
		{"good", 0, 128, start + groupMMA + groupMMA + groupCommit + groupWait + groupStore, ""},
		{"read before the wait", AsyncMisuse, 128, start + groupMMA + groupCommit + groupStore + groupWait, "accumulates in: no wgmma.wait_group"},
		{"accumulator written before the wait", AsyncMisuse, 128, start + groupMMA + groupCommit + "mov.f32 %f4, 0f00000000;\n" + groupWait, "accumulates in"},
		{"another product's accumulator read", 0, 128, start + groupMMA + groupCommit + "mov.f32 %f5, %f6;\n" + groupWait, ""},
		{"register of A written before the wait", AsyncMisuse, 128, start + groupRegisters + groupCommit + "mov.u32 %r12, 0;\n" + groupWait, "reads A from"},
		{"register of A written after the wait", 0, 128, start + groupRegisters + groupCommit + groupWait + "mov.u32 %r12, 0;\n" + groupStore, ""},
		{"B written before the wait", AsyncMisuse, 128, start + groupMMA + groupCommit + "st.shared.f32 [%r2], %f8;\n" + groupWait, "still reads it: no wgmma.wait_group"},
		{"memory beside A and B written before the wait", 0, 128, start + groupMMA + groupCommit + "st.shared.u8 [%r1+3900], %r1;\n" + groupWait, ""},
		{"read of a group not waited for", AsyncMisuse, 128, start + groupMMA + groupCommit + strings.Replace(groupWait, "0;", "1;", 1) + groupStore, "accumulates in"},
		{"no fence", WarpMisuse, 128, groupFill + groupDesc + groupMMA + groupCommit + groupWait, "wgmma.fence must come"},
		{"accumulator written after the wait, no fence", WarpMisuse, 128, start + groupMMA + groupCommit + groupWait + "mov.f32 %f4, 0f3f800000;\n" + groupMMA + groupCommit + groupWait, "since the last wgmma.fence"},
		{"accumulator written after the wait, and a fence", 0, 128, start + groupMMA + groupCommit + groupWait + "mov.f32 %f4, 0f3f800000;\n" + groupFence + groupMMA + groupCommit + groupWait + groupStore, ""},
		{"products one after the other need no fence", 0, 128, groupFill + groupDesc + "mov.f32 %f2, 0f3f800000;\n" + groupFence + strings.Replace(groupMMA, "%rd5, 1,", "%rd5, 0,", 1) + groupCommit + groupWait + groupMMA + groupCommit + groupWait + groupStore, ""},
		{"register of A written after the fence", WarpMisuse, 128, start + strings.Replace(groupRegisters, groupFence, groupFence+"mov.u32 %r12, 77;\n", 1) + groupCommit + groupWait, "since the last wgmma.fence"},
		{"no wait", AsyncMisuse, 128, start + groupMMA + groupCommit, "without a wgmma.commit_group and wait_group"},
		{"no commit", AsyncMisuse, 128, start + groupMMA + groupWait, "without a wgmma.commit_group"},
		{"memory nobody wrote", Uninitialised, 128, groupDesc + groupFence + groupMMA + groupCommit + groupWait + groupStore, "an operand"},
		{"three warps", WarpMisuse, 96, groupDesc + groupFence, "no group of four"},
		{"three warps of four", Deadlock, 128, "setp.lt.u32 %p1, %r1, 32;\n@%p1 bra END;\n" + groupFence + "END:\nbar.sync 0;", "other warps of its group"},
		{"half a warp", WarpMisuse, 128, "setp.lt.u32 %p1, %r1, 7;\n@%p1 bra END;\n" + groupFence + "END:\n", "all 32 must"},
		{"beyond shared memory", OutOfBounds, 128, strings.Replace(start, "0x0000001000080000", "0x0000001000083000", 1) + groupMMA + groupCommit + groupWait, "a descriptor leads to byte"},
		{"descriptors differ", WarpMisuse, 128, start + "cvt.u64.u32 %rd4, %r1;\n" + groupMMA, "descriptor"},
		{"two shapes in flight", BarrierMisuse, 128, start + groupMMA + "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {%f1, %f2, %f3, %f4, %f5, %f6, %f7, %f8}, %rd4, %rd5, 1, 1, 1, 0, 0;", "another shape"},
		{"stage loaded again before the wait", AsyncMisuse, 128, leader("mbarrier.init.shared.b64 [bar], 1;") + start + groupMMA + groupCommit +
			"setp.ne.u32 %p8, %r1, 0;\n@%p8 bra P2;\nmbarrier.arrive.expect_tx.shared.b64 _, [bar], 64;\ncp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [sh], [%rd1], 64, [bar];\nP2:\n" +
			groupWait + groupStore, "still reads it: no wgmma.wait_group"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := hopperDevice(t, clusterBody(c.text))
			err := d.cluster(1, c.block, 1, buffer(d, "array a", make([]uint32, 128)), uint64(0))
			if c.kind == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			f := new(Fault)
			if !errors.As(err, &f) || f.Kind != c.kind || !strings.Contains(f.Error(), c.detail) {
				t.Errorf("got %v, want %v with %q", err, c.kind, c.detail)
			}
		})
	}
}

// pipelineKernel is a product as kernels for 9.0 are made: a warp that brings
// stages by tensor copies, four that multiply, barriers for full and for empty
// stages, and a cluster of two blocks which share B: each brings half of it to
// both. C = A·Bᵀ, with A of 128 rows (64 of each block), B of 64.
func pipelineKernel(steps int) string {
	var d []string
	for i := range 32 {
		d = append(d, fmt.Sprintf("%%f%d", i))
	}
	return strings.NewReplacer("STEPS", fmt.Sprint(steps), "ACCUMULATORS", strings.Join(d, ", ")).Replace(`
.visible .entry k(.param .align 64 .b8 a[128], .param .align 64 .b8 b[128], .param .align 64 .b8 c[128])
.maxntid 256
{
	.reg .pred %p<9>; .reg .b32 %r<30>; .reg .b64 %rd<30>; .reg .f32 %f<32>; .reg .b16 %h<4>;
	.shared .align 1024 .b8 sh[32768];
	.shared .align 8 .b64 full[2];
	.shared .align 8 .b64 empty[2];
	mov.u32 %r1, %tid.x;
	mov.u32 %r2, %cluster_ctarank;
	mov.u32 %r20, full;
	mov.u32 %r21, empty;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra READY;
	mbarrier.init.shared.b64 [full], 1;
	mbarrier.init.shared.b64 [full+8], 1;
	mbarrier.init.shared.b64 [empty], 2;
	mbarrier.init.shared.b64 [empty+8], 2;
	fence.mbarrier_init.release.cluster;
READY:
	barrier.cluster.arrive.release.aligned;
	barrier.cluster.wait.acquire.aligned;
	mov.u32 %r3, 0;
	setp.lt.u32 %p1, %r1, 128;
	@%p1 bra CONSUMER;
	setmaxnreg.dec.sync.aligned.u32 40;
	setp.ne.u32 %p1, %r1, 128;
	@%p1 bra END;
	mov.b64 %rd1, a;
	cvta.param.u64 %rd1, %rd1;
	mov.b64 %rd2, b;
	cvta.param.u64 %rd2, %rd2;
	shl.b32 %r9, %r2, 6;
	shl.b32 %r10, %r2, 5;
	mov.u16 %h1, 3;
PRODUCE:
	and.b32 %r4, %r3, 1;
	shr.u32 %r5, %r3, 1;
	and.b32 %r5, %r5, 1;
	xor.b32 %r5, %r5, 1;
	shl.b32 %r6, %r4, 3;
	add.u32 %r7, %r20, %r6;
	add.u32 %r8, %r21, %r6;
PW:
	mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 %p1, [%r8], %r5;
	@!%p1 bra PW;
	mbarrier.arrive.expect_tx.shared.b64 _, [%r7], 16384;
	shl.b32 %r11, %r4, 14;
	mov.u32 %r12, sh;
	add.u32 %r11, %r11, %r12;
	shl.b32 %r13, %r3, 6;
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%r11], [%rd1, {%r13, %r9}], [%r7];
	shl.b32 %r14, %r2, 12;
	add.u32 %r14, %r14, %r11;
	cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r14+8192], [%rd2, {%r13, %r10}], [%r7], %h1;
	add.u32 %r3, %r3, 1;
	setp.lt.u32 %p1, %r3, STEPS;
	@%p1 bra PRODUCE;
	bra END;
CONSUMER:
	setmaxnreg.inc.sync.aligned.u32 240;
CONSUME:
	and.b32 %r4, %r3, 1;
	shr.u32 %r5, %r3, 1;
	and.b32 %r5, %r5, 1;
	shl.b32 %r6, %r4, 3;
	add.u32 %r7, %r20, %r6;
	add.u32 %r8, %r21, %r6;
CW:
	mbarrier.try_wait.parity.shared.b64 %p1, [%r7], %r5;
	@!%p1 bra CW;
	shl.b32 %r11, %r4, 10;
	mov.u32 %r12, sh;
	shr.u32 %r12, %r12, 4;
	add.u32 %r11, %r11, %r12;
	cvt.u64.u32 %rd3, %r11;
	or.b64 %rd3, %rd3, 0x4000004000010000;
	add.u64 %rd4, %rd3, 512;
	setp.ne.u32 %p2, %r3, 0;
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {ACCUMULATORS}, %rd3, %rd4, %p2, 1, 1, 0, 0;
	add.u64 %rd3, %rd3, 2;
	add.u64 %rd4, %rd4, 2;
	wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {ACCUMULATORS}, %rd3, %rd4, 1, 1, 1, 0, 0;
	add.u64 %rd3, %rd3, 2;
	add.u64 %rd4, %rd4, 2;
	wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {ACCUMULATORS}, %rd3, %rd4, 1, 1, 1, 0, 0;
	add.u64 %rd3, %rd3, 2;
	add.u64 %rd4, %rd4, 2;
	wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 {ACCUMULATORS}, %rd3, %rd4, 1, 1, 1, 0, 0;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 0;
	setp.ge.u32 %p1, %r1, 2;
	@%p1 bra NEXT;
	mapa.shared::cluster.u32 %r15, %r8, %r1;
	mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%r15];
NEXT:
	add.u32 %r3, %r3, 1;
	setp.lt.u32 %p1, %r3, STEPS;
	@%p1 bra CONSUME;
	// Rows 16·warp + lane/4 of 64 columns, where the first stage was.
	bar.sync 2, 128;
	shr.u32 %r4, %r1, 5;
	shl.b32 %r4, %r4, 4;
	and.b32 %r5, %r1, 31;
	shr.u32 %r6, %r5, 2;
	add.u32 %r4, %r4, %r6;
	shl.b32 %r4, %r4, 8;
	and.b32 %r5, %r5, 3;
	shl.b32 %r5, %r5, 3;
	add.u32 %r4, %r4, %r5;
	mov.u32 %r5, sh;
	add.u32 %r4, %r4, %r5;
STORES
	fence.proxy.async.shared::cta;
	bar.sync 1, 128;
	setp.ne.u32 %p1, %r1, 0;
	@%p1 bra END;
	mov.b64 %rd1, c;
	cvta.param.u64 %rd1, %rd1;
	mov.u32 %r6, 0;
	shl.b32 %r7, %r2, 6;
	cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%rd1, {%r6, %r7}], [sh];
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group.read 0;
END:
	barrier.cluster.arrive.release;
	barrier.cluster.wait.acquire;
	ret;
}`)
}

// TestPipeline runs the kernel that everything of 9.0 is for, also with races
// looked for, and with the mistakes that such kernels have.
func TestPipeline(t *testing.T) {
	const steps, seed = 5, 3
	var stores strings.Builder
	for j := range 8 {
		fmt.Fprintf(&stores, "\tst.shared.v2.f32 [%%r4+%d], {%%f%d, %%f%d};\n\tst.shared.v2.f32 [%%r4+%d], {%%f%d, %%f%d};\n", 32*j, 4*j, 4*j+1, 2048+32*j, 4*j+2, 4*j+3)
	}
	source := strings.Replace(pipelineKernel(steps), "STORES\n", stores.String(), 1)
	run := func(change func(s string) string, o Options) (got []float32, want []float32, err error) {
		r := newRand(seed)
		d := hopperDevice(t, change(source))
		k := d.prog.Kernels["k"]
		a, b := make([]float32, 128*64*steps), make([]float32, 64*64*steps)
		half := func(m []float32) []uint16 {
			bits := make([]uint16, len(m))
			for i := range m {
				m[i] = float32(r.IntN(9) - 4)
				bits[i] = uint16(formatF16.round(float64(m[i]), nearest))
			}
			return bits
		}
		out := d.empty("c", 4*128*64)
		params := make([]byte, k.ParamBytes)
		for i, m := range []TensorMap{
			{Type: abi.TensorMapDataTypeFloat16, Address: buffer(d, "a", half(a)), Dims: [5]uint64{64 * steps, 128}, Strides: [5]uint64{0, 128 * steps}, Box: [5]uint32{64, 64}, Swizzle: abi.TensorMapSwizzle128B},
			{Type: abi.TensorMapDataTypeFloat16, Address: buffer(d, "b", half(b)), Dims: [5]uint64{64 * steps, 64}, Strides: [5]uint64{0, 128 * steps}, Box: [5]uint32{64, 32}, Swizzle: abi.TensorMapSwizzle128B},
			{Type: abi.TensorMapDataTypeFloat32, Address: out, Dims: [5]uint64{64, 128}, Strides: [5]uint64{0, 256}, Box: [5]uint32{64, 64}},
		} {
			m.Rank, m.ElementStrides = 2, [5]uint32{1, 1}
			for j, w := range m.Encode() {
				hostOrder.PutUint64(params[128*i+8*j:], w)
			}
		}
		o.Fuel = 1 << 20
		err = Run(k, Launch{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{256, 1, 1}, Cluster: [3]uint32{2, 1, 1}, Params: params}, o)
		for i := range 128 {
			for j := range 64 {
				sum := float32(0)
				for l := range 64 * steps {
					sum += a[i*64*steps+l] * b[j*64*steps+l]
				}
				want = append(want, sum)
			}
		}
		return read[float32](d, out, 128*64), want, err
	}
	for _, o := range []Options{{}, {Races: true}, {Workers: 1, Seed: 5}, {Workers: 1, Seed: 6, Races: true}} {
		got, want, err := run(func(s string) string { return s }, o)
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("%+v, element %d: %v, want %v", o, i, got[i], want[i])
			}
		}
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"empty barriers not waited for", "@!%p1 bra PW;", "", "nobody wrote|more of"},
		{"full barriers not waited for", "@!%p1 bra CW;", "", "still writes it"},
		{"too few bytes expected", "[%r7], 16384", "[%r7], 12288", "nobody wrote|bytes"},
		{"too many bytes expected", "[%r7], 16384", "[%r7], 16400", "16 bytes missing"},
		{"only one block says that a stage is empty", "setp.ge.u32 %p1, %r1, 2;", "setp.ge.u32 %p1, %r1, 1;", "arrivals"},
		{"no wait for the products", "wgmma.wait_group.sync.aligned 0;", "", "still reads it: no wgmma.wait_group"},
		{"no fence of the proxies before the store", "fence.proxy.async.shared::cta;", "", "without fence.proxy.async"},
		{"no barrier before the store", "bar.sync 1, 128;", "", "nobody wrote|race"},
		{"the store is not waited for", "cp.async.bulk.wait_group.read 0;", "", "wait_group for this copy"},
		{"no cluster barrier at the end", "barrier.cluster.arrive.release;\n\tbarrier.cluster.wait.acquire;\n", "", "exited"},
		{"parity not turned", "xor.b32 %r5, %r5, 1;", "", "arrivals"},
	} {
		_, _, err := run(func(s string) string {
			if !strings.Contains(s, c.old) {
				t.Fatalf("%s: %q is not there", c.name, c.old)
			}
			return strings.Replace(s, c.old, c.new, 1)
		}, Options{Races: true, Workers: 1})
		f := new(Fault)
		ok := errors.As(err, &f)
		if ok {
			ok = false
			for _, w := range strings.Split(c.want, "|") {
				ok = ok || strings.Contains(f.Error(), w)
			}
		}
		if !ok {
			t.Errorf("%s: got %v, want a report with %q", c.name, err, c.want)
		}
	}
}
