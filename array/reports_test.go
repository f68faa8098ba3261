package array

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// TestReportsNameArrays runs kernels that do wrong on arrays' memory: each report
// names the kernel, the PTX line, block and thread, and the array by its type,
// shape and the line that made it.
func TestReportsNameArrays(t *testing.T) {
	if os.Getenv("GPUARRAY_SIM_LATE") != "" {
		t.Skip("arrays' memory is not announced where work waits")
	}
	t.Setenv("GPUARRAY_NO_CACHE", "") // which gives memory back to the driver, and with it the name of what was freed
	const (
		made     = iota // nothing happened to it since
		freed           // it was freed
		unmarked        // its memory was never written
	)
	for _, c := range []struct {
		name, code, want string
		state            int
	}{
		{"past the end", "st.global.u32 [%rd0+48], %r0;", "out of bounds", made},
		{"before the start", "st.global.u32 [%rd0+-4], %r0;", "out of bounds", made},
		{"across the end", "st.global.v2.u32 [%rd0+40], {%r0, %r0}; st.global.v4.u32 [%rd0+32], {%r0, %r0, %r0, %r0}; st.global.v4.u32 [%rd0+48], {%r0, %r0, %r0, %r0};", "out of bounds", made},
		{"misaligned", "st.global.u32 [%rd0+2], %r0;", "misaligned", made},
		{"after free", "ld.global.u32 %r1, [%rd0+4];", "use after free", freed},
		{"an undefined address", "ld.global.u32 %r1, [%rd0+8]; cvt.u64.u32 %rd1, %r1; add.u64 %rd1, %rd0, %rd1; ld.global.u32 %r2, [%rd1];", "uninitialised", unmarked},
		{"an undefined branch", "ld.global.u32 %r1, [%rd0+8]; setp.eq.u32 %p0, %r1, 0; @%p0 bra done; st.global.u32 [%rd0], %r0;", "uninitialised", unmarked},
		{"an undefined sum", "red.global.add.u32 [%rd0], 1;", "uninitialised", unmarked},
		{"a race", "mov.u32 %r2, %ctaid.x; st.global.u32 [%rd0], %r2;", "global memory race", made},
	} {
		t.Run(c.name, func(t *testing.T) {
			api := sim.New(sim.Options{GlobalRaces: true})
			d, err := openAPI(api)
			if err != nil {
				t.Fatal(err)
			}
			x := Ones[float32](d, 3, 4).Eval()
			_, file, line, _ := runtime.Caller(0)
			if err := errors.Join(x.Err(), d.Sync()); err != nil {
				t.Fatal(err)
			}
			store := x.node.root().store
			address := driver.Ptr(store.block.address)
			switch c.state {
			case unmarked:
				d.sh.mark(store.block, driver.MemoryPoisoned, store.label)
			case freed:
				x.Free()
			}
			text := ".version 7.0\n.target sm_75\n.address_size 64\n.visible .entry wrong(.param .u64 p)\n{\n" +
				"\t.reg .pred %p<2>; .reg .b32 %r<4>; .reg .b64 %rd<4>;\n\tld.param.u64 %rd0, [p]; mov.u32 %r0, 7;\n" + c.code + "\ndone:\n\tret;\n}\n"
			m, err := d.sh.ctx.LoadModule([]byte(text), driver.LoadConfig{})
			if err != nil {
				t.Fatal(err)
			}
			k, err := m.Kernel("wrong")
			if err != nil {
				t.Fatal(err)
			}
			s, err := d.sh.ctx.NewStream(driver.StreamConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := k.Launch(s, driver.LaunchConfig{Grid: driver.Dim{2, 1, 1}, Block: driver.Dim{1, 1, 1}}, address); err != nil {
				t.Fatal(err)
			}
			err = d.Sync()
			if err == nil {
				t.Fatal("nothing was reported")
			}
			for _, want := range []string{c.want, "kernel wrong", "line 8", "block (", "thread (0,0,0)", "float32 (3, 4)", fmt.Sprintf("%s:%d", file[strings.LastIndex(file, "/")+1:], line-1)} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the report does not say %q:\n%v", want, err)
				}
			}
		})
	}
}
