package driver_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// doubling multiplies each of n float32 by 2.
const doubling = `
.version 6.3
.target sm_75
.address_size 64
.visible .entry doubling(.param .u64 values, .param .u32 n)
{
	.reg .pred %past;
	.reg .b32 %i, %n;
	.reg .b64 %p, %offset;
	.reg .f32 %v;
	mov.u32 %i, %tid.x;
	ld.param.u32 %n, [n];
	setp.ge.u32 %past, %i, %n;
	@%past bra done;
	ld.param.u64 %p, [values];
	cvta.to.global.u64 %p, %p;
	mul.wide.u32 %offset, %i, 4;
	add.u64 %p, %p, %offset;
	ld.global.f32 %v, [%p];
	add.rn.f32 %v, %v, %v;
	st.global.f32 [%p], %v;
done:
	ret;
}
`

// open is what a program does that can live without a GPU.
func open() (*driver.Driver, error) {
	drv, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		return driver.Simulated(driver.SimulatedConfig{})
	}
	return drv, err
}

func Example() {
	values := []float32{1, 2.5, -3}
	if err := double(values); err != nil {
		log.Fatal(err)
	}
	fmt.Println(values)
	// Output: [2 5 -6]
}

func double(values []float32) error {
	drv, err := open()
	if err != nil {
		return err
	}
	dev, err := drv.Device(0)
	if err != nil {
		return err
	}
	ctx, err := dev.Context()
	if err != nil {
		return err
	}
	defer ctx.Close()
	mod, err := ctx.LoadModule([]byte(doubling), driver.LoadConfig{})
	if err != nil {
		return err
	}
	defer mod.Close()
	kernel, err := mod.Kernel("doubling")
	if err != nil {
		return err
	}
	stream, err := ctx.NewStream(driver.StreamConfig{})
	if err != nil {
		return err
	}
	defer stream.Close()
	mem, err := ctx.Alloc(4 * uint64(len(values)))
	if err != nil {
		return err
	}
	defer mem.Close()

	if err := driver.Write(mem, 0, values); err != nil {
		return err
	}
	shape := driver.LaunchConfig{Grid: driver.Dim{1}, Block: driver.Dim{32}}
	if err := kernel.Launch(stream, shape, mem, uint32(len(values))); err != nil {
		return err
	}
	if err := stream.Synchronize(); err != nil {
		return err
	}
	return driver.Read(values, mem, 0)
}

func ExampleError() {
	drv, err := driver.Simulated(driver.SimulatedConfig{MemoryLimit: 1 << 20})
	if err != nil {
		log.Fatal(err)
	}
	dev, err := drv.Device(0)
	if err != nil {
		log.Fatal(err)
	}
	ctx, err := dev.Context()
	if err != nil {
		log.Fatal(err)
	}
	defer ctx.Close()
	_, err = ctx.Alloc(1 << 21)
	fmt.Println(errors.Is(err, driver.ErrorOutOfMemory))
	var e *driver.Error
	if errors.As(err, &e) {
		fmt.Println(e.Op, e.Code.Name(), e.Detail)
	}
	// Output:
	// true
	// cuMemAlloc CUDA_ERROR_OUT_OF_MEMORY 2097152 bytes were asked for, 1048576 of 1048576 are free
}
