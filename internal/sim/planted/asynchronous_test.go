package planted

import "github.com/seed6486a2bb/gpuarray/internal/sim/exec"

// pipeline is how kernels for 9.0 are made: a thread that fills two stages of
// shared memory by bulk copies, four warps that multiply what is there with one
// product in flight, barriers for full and for empty stages, and results that
// leave by bulk stores, through memory that is used twice. The warps patch B in
// each stage by ordinary stores. The module has no kernel with wgmma.
const pipeline = `.version 8.0
.target sm_90a
.address_size 64
.visible .entry pipeline(.param .u64 out, .param .u64 in)
{
	.reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .f32 %f<8>; .reg .pred %p<8>;
	.shared .align 128 .b8 stages[5120];
	.shared .align 128 .b8 tile[2048];
	.shared .align 8 .b64 full[2];
	.shared .align 8 .b64 empty[2];
	ld.param.u64 %rd0, [out]; ld.param.u64 %rd1, [in];
	mov.u32 %r0, %tid.x; mov.u32 %r1, %ctaid.x;
	mul.wide.u32 %rd2, %r1, 4096; add.u64 %rd0, %rd0, %rd2;
	mul.wide.u32 %rd2, %r1, 13824; add.u64 %rd1, %rd1, %rd2;
	mov.u32 %r10, stages; mov.u32 %r11, tile; mov.u32 %r12, full; mov.u32 %r13, empty;
	setp.ne.u32 %p0, %r0, 0;
	@%p0 bra ready;
	mbarrier.init.shared.b64 [full], 1; mbarrier.init.shared.b64 [full+8], 1;
	mbarrier.init.shared.b64 [empty], 1; mbarrier.init.shared.b64 [empty+8], 1;
	fence.mbarrier_init.release.cluster;
ready:
	bar.sync 0;
	mov.u32 %r1, 0;
	setp.ge.u32 %p1, %r0, 128;
	@%p1 bra producer;
	mov.f32 %f0, 0f00000000; mov.f32 %f1, %f0; mov.f32 %f2, %f0; mov.f32 %f3, %f0; mov.f32 %f4, 0f3f800000;
	mad.lo.u32 %r9, %r0, 16, %r11;
consume:
	and.b32 %r2, %r1, 1; shr.u32 %r3, %r1, 1; and.b32 %r3, %r3, 1;
	mad.lo.u32 %r4, %r2, 8, %r12;
is_full:
	mbarrier.try_wait.parity.shared.b64 %p2, [%r4], %r3;
	@!%p2 bra is_full;
past:
	mad.lo.u32 %r5, %r2, 2560, %r10;
	mad.lo.u32 %r6, %r0, 4, %r5;
	setp.lt.u32 %p3, %r0, 64;
	@%p3 st.shared.f32 [%r6+2048], %f4;
	fence.proxy.async.shared::cta; // patched
	bar.sync 1, 128; // patched
	shr.u32 %r5, %r5, 4; cvt.u64.u32 %rd3, %r5;
	or.b64 %rd3, %rd3, 0x0000001000080000; add.u64 %rd4, %rd3, 128;
	wgmma.fence.sync.aligned;
	wgmma.mma_async.sync.aligned.m64n8k8.f32.tf32.tf32 {%f0, %f1, %f2, %f3}, %rd3, %rd4, 1, 1, 1;
	wgmma.commit_group.sync.aligned;
	wgmma.wait_group.sync.aligned 1;
	setp.eq.u32 %p4, %r1, 0;
	@%p4 bra next;
	@%p0 bra next;
	xor.b32 %r6, %r2, 1; // the stage before
	mad.lo.u32 %r7, %r6, 8, %r13;
	mbarrier.arrive.shared.b64 _, [%r7];
next:
	add.u32 %r1, %r1, 1;
	setp.lt.u32 %p2, %r1, 6;
	@%p2 bra consume;
	wgmma.wait_group.sync.aligned 0; // all
	st.shared.v4.f32 [%r9], {%f0, %f1, %f2, %f3};
	fence.proxy.async.shared::cta; // stored
	bar.sync 1, 128; // stored
	@%p0 bra stored;
	cp.async.bulk.global.shared::cta.bulk_group [%rd0], [tile], 2048;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group.read 0;
stored:
	bar.sync 1, 128; // read
	st.shared.v4.f32 [%r9], {%f3, %f2, %f1, %f0};
	fence.proxy.async.shared::cta;
	bar.sync 1, 128;
	@%p0 bra end;
	cp.async.bulk.global.shared::cta.bulk_group [%rd0+2048], [tile], 2048;
	cp.async.bulk.commit_group;
	cp.async.bulk.wait_group 0;
	bra end;
producer:
	setp.ne.u32 %p1, %r0, 128;
	@%p1 bra end;
produce:
	and.b32 %r2, %r1, 1; shr.u32 %r3, %r1, 1; and.b32 %r3, %r3, 1; xor.b32 %r3, %r3, 1;
	mad.lo.u32 %r4, %r2, 8, %r13;
is_empty:
	mbarrier.try_wait.parity.shared.b64 %p2, [%r4], %r3;
	@!%p2 bra is_empty;
	mad.lo.u32 %r4, %r2, 8, %r12;
	mad.lo.u32 %r5, %r2, 2560, %r10;
	mbarrier.arrive.expect_tx.shared.b64 _, [%r4], 2304;
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5], [%rd1], 2048, [%r4];
	cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r5+2048], [%rd1+2048], 256, [%r4];
	add.u64 %rd1, %rd1, 2304;
	add.u32 %r1, %r1, 1;
	setp.lt.u32 %p2, %r1, 6;
	@%p2 bra produce;
end:
	ret;
}
`

// asynchronous are the mistakes that the pipeline and its like can have.
var asynchronous = []mistake{
	{"a product in flight too many", "pipeline", `wait_group\.sync\.aligned 1;`, 0, `wait_group.sync.aligned 2;`, is(exec.AsyncMisuse)},
	{"no wait for products in the loop", "pipeline", `wgmma\.wait_group\.sync\.aligned 1;`, 0, ``, is(exec.AsyncMisuse)},
	{"accumulators used before the last product is waited for", "pipeline", `wgmma\.wait_group\.sync\.aligned 0;`, 0, ``, is(exec.AsyncMisuse)},
	{"a stage given back while it is multiplied", "pipeline", `@%p4 bra next;\n\t@%p0 bra next;\n\txor\.b32 %r6, %r2, 1;`, 0, `@%p0 bra next; mov.u32 %r6, %r2;`, is(exec.SharedRace, exec.AsyncMisuse)},
	{"a stage filled before it is empty", "pipeline", `@!%p2 bra is_empty;`, 0, ``, is(exec.AsyncMisuse, exec.SharedRace)},
	{"a stage multiplied before it is full", "pipeline", `@!%p2 bra is_full;`, 0, ``, is(exec.AsyncMisuse)},
	{"only one warp waits for a full stage", "pipeline", `(is_full:)`, 0, `setp.lt.u32 %p5, %r0, 32; @!%p5 bra past; $1`, is(exec.SharedRace, exec.AsyncMisuse)},
	{"a stage patched without a fence of the proxies", "pipeline", `fence\.proxy\.async\.shared::cta; // patched`, 0, ``, is(exec.SharedRace)},
	{"a fence of global memory's proxies", "pipeline", `fence\.proxy\.async\.shared::cta; // patched`, 0, `fence.proxy.async.global;`, is(exec.SharedRace)},
	{"an ordinary fence instead of one of the proxies", "pipeline", `fence\.proxy\.async\.shared::cta; // patched`, 0, `fence.acq_rel.gpu;`, is(exec.SharedRace)},
	{"a stage patched without a barrier", "pipeline", `bar\.sync 1, 128; // patched`, 0, ``, is(exec.SharedRace)},
	{"a bulk store without a fence of the proxies", "pipeline", `fence\.proxy\.async\.shared::cta; // stored`, 0, ``, is(exec.SharedRace)},
	{"a fence of the storing thread alone, before the barrier", "pipeline", `(fence\.proxy\.async\.shared::cta; // stored)`, 0, `@!%p0 $1`, is(exec.SharedRace)},
	{"a bulk store without a barrier", "pipeline", `bar\.sync 1, 128; // stored`, 0, ``, is(exec.SharedRace, exec.Uninitialised)},
	{"the source of a bulk store overwritten", "pipeline", `cp\.async\.bulk\.wait_group\.read 0;`, 0, ``, is(exec.AsyncMisuse)},
	{"the source of a bulk store overwritten by threads that did not wait", "pipeline", `bar\.sync 1, 128; // read`, 0, ``, is(exec.AsyncMisuse, exec.SharedRace)},
	{"one bulk store more in flight than there is memory for", "pipeline", `wait_group\.read 0;`, 0, `wait_group.read 1;`, is(exec.AsyncMisuse)},
	{"the source of a copy overwritten", "staged", `cp\.async\.commit_group;`, 1, `cp.async.commit_group; @%p0 st.global.f32 [%rd2], %f0;`, is(exec.AsyncMisuse)},
}

// says is what the report must say where its kind does not tell.
var says = map[string]string{
	"a product in flight too many":                            "still reads it: no wgmma.wait_group",
	"accumulators used before the last product is waited for": "accumulates in",
	"a stage given back while it is multiplied":               "wgmma.mma_async",
	"a stage patched without a fence of the proxies":          "without fence.proxy.async",
	"a fence of global memory's proxies":                      "without fence.proxy.async",
	"an ordinary fence instead of one of the proxies":         "without fence.proxy.async",
	"a bulk store without a fence of the proxies":             "without fence.proxy.async",
	"a fence of the storing thread alone, before the barrier": "without fence.proxy.async",
	"the source of a bulk store overwritten":                  "still reads it: no cp.async.bulk.wait_group",
	"the source of a copy overwritten":                        "may still read it",
}
