package exec

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

// FuzzRun loads whatever parses and runs it with little fuel: any outcome but
// a crash or a hang is right.
func FuzzRun(f *testing.F) {
	f.Add(header+saxpy, uint32(33))
	f.Add(header+product(), uint32(256))
	f.Add(header+body("bar.red.popc.u32 %r3, 0, %p1; shfl.sync.up.b32 %r3|%p1, %r1, 1, 0, -1; @%p1 bar.sync 1, 64; vote.sync.all.pred %p2, %p1, -1;"), uint32(64))
	f.Add(header+body("cp.async.ca.shared.global [sh], [%rd1], 4; atom.shared.cas.b64 %rd4, [sh], %rd1, %rd2; ld.v2.u8 {%h1, %h2}, [%rd1]; bfi.b64 %rd4, %rd1, %rd2, %r1, %r2; lop3.b32 %r1, %r1, %r1, %r1, 7;"), uint32(40))
	f.Add(header+body("add.cc.u64 %rd4, %rd1, %rd2; madc.hi.u32 %r3, %r1, %r1, %r1; div.s32 %r4, %r1, -1; cvt.rn.f16.f32 %h1, %f1; set.lt.f32.s32 %f2, %r1, 4; prmt.b32.rc16 %r5, %r1, %r1, %r1; mov.b64 {%r6, %r7}, %rd1; mov.b64 %rd5, {%h1, %h1, %h1, %h1};"), uint32(32))
	f.Add(header+body("mov.b32 %r3, {%h1, 5}; .reg .v2 .b32 v; mov.b64 %rd4, v; ld.global.v2.b32 v, [%rd1]; mov.b32 %r4, v.y; set.lt.and.u32.f16x2 %r5, %r3, %r4, %p1; sub.cc.u32 %r6, %r3, %r4; addc.u32 %r6, 0, 0; atom.add.acquire.gpu.u32 %r7, [%rd1], 1;"), uint32(32))
	f.Add(header+body("wmma.load.a.sync.aligned.col.m16n16k16.s8 {%r3, %r4}, [%rd1], 16; wmma.load.b.sync.aligned.row.m16n16k16.shared.s8 {%r5, _}, [sh], %r1; wmma.mma.sync.aligned.col.row.m16n16k16.s32.s8.s8.s32 {%r1, %r2, %r3, %r4, %r5, %r6, %r7, %r8}, {%r3, %r4}, {%r5, 0}, {%r1, %r2, %r3, %r4, %r5, %r6, 1, 2};"), uint32(32))
	for _, c := range hostile() {
		if len(c.src) < 4096 {
			f.Add(c.src, c.block)
		}
	}
	if files, _ := filepath.Glob("../../../kernels/ptx/*.ptx"); len(files) > 0 {
		for i := 0; i < len(files); i += 40 {
			if b, err := os.ReadFile(files[i]); err == nil {
				f.Add(string(b), uint32(64))
			}
		}
	}
	f.Fuzz(func(t *testing.T, src string, threads uint32) {
		m, err := ptx.Parse(src)
		if err != nil {
			return
		}
		mem := NewMemory(1 << 20)
		p, err := Load(m, mem, 90)
		if err != nil {
			return
		}
		a, err := mem.Alloc(4096, nil)
		if err != nil {
			return
		}
		mem.MarkInitialised(a, 4096)
		for _, k := range p.Kernels {
			params := make([]byte, min(k.ParamBytes, 4096))
			for i := 0; i+8 <= len(params); i += 8 {
				hostOrder.PutUint64(params[i:], a)
			}
			err := Run(k, Launch{Grid: [3]uint32{2, 1, 1}, Block: [3]uint32{threads % 300, 1, 1}, Params: params}, Options{Workers: 1, Fuel: 4096})
			var fault *Fault
			var launch *LaunchError
			if err != nil && !errors.As(err, &fault) && !errors.As(err, &launch) {
				t.Fatal(err)
			}
			if fault != nil && fault.Error() == "" {
				t.Fatal("empty report")
			}
		}
		p.Unload()
	})
}
