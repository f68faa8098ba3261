// Command vectoradd adds two vectors with a kernel that is written by hand in
// PTX, through package driver alone: load, allocate, copy, launch, wait, copy
// back, and check against Go. Where there is no GPU it runs on the simulated
// device, and says so.
//
//	go run ./examples/vectoradd
package main

import (
	_ "embed"
	"errors"
	"fmt"
	"log"
	"math/rand/v2"
	"time"

	"github.com/seed6486a2bb/gpuarray/driver"
)

//go:embed vectoradd.ptx
var ptx []byte

func main() {
	drv, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		fmt.Println("no GPU here, so this runs on the simulated device")
		drv, err = driver.Simulated(driver.SimulatedConfig{})
	}
	if err != nil {
		log.Fatal(err)
	}
	if err := run(drv, 1_000_003); err != nil {
		log.Fatal(err)
	}
}

// run adds two random vectors of n elements on the first device.
func run(drv *driver.Driver, n int) error {
	dev, err := drv.Device(0)
	if err != nil {
		return err
	}
	name, err := dev.Name()
	if err != nil {
		return err
	}
	ctx, err := dev.Context()
	if err != nil {
		return err
	}
	defer ctx.Close()

	a, b, c := make([]float32, n), make([]float32, n), make([]float32, n)
	for i := range a {
		a[i], b[i] = rand.Float32(), rand.Float32()
	}
	took, err := add(ctx, c, a, b)
	if err != nil {
		return err
	}
	for i := range c {
		if want := a[i] + b[i]; c[i] != want {
			return fmt.Errorf("element %d: %v + %v = %v on the device, %v in Go", i, a[i], b[i], c[i], want)
		}
	}
	fmt.Printf("%s: added %d pairs of float32 in %v, all equal to Go's sums\n", name, n, took)
	return nil
}

// add sets c to a + b, element by element, and returns how long the kernel ran.
func add(ctx *driver.Context, c, a, b []float32) (time.Duration, error) {
	mod, err := ctx.LoadModule(ptx, driver.LoadConfig{})
	if err != nil {
		return 0, err
	}
	defer mod.Close()
	kernel, err := mod.Kernel("vectoradd")
	if err != nil {
		return 0, err
	}
	stream, err := ctx.NewStream(driver.StreamConfig{})
	if err != nil {
		return 0, err
	}
	defer stream.Close()

	var mem [3]*driver.Mem
	for i := range mem {
		if mem[i], err = ctx.Alloc(4 * uint64(len(a))); err != nil {
			return 0, err
		}
		defer mem[i].Close()
	}
	for i, v := range [][]float32{a, b} {
		if err := driver.Write(mem[i], 0, v); err != nil {
			return 0, err
		}
	}

	// The stream is clocked by events on the device itself.
	var clock [2]*driver.Event
	for i := range clock {
		if clock[i], err = ctx.NewEvent(driver.EventConfig{Timing: true}); err != nil {
			return 0, err
		}
		defer clock[i].Close()
	}
	const threads = 256
	n := uint32(len(a))
	shape := driver.LaunchConfig{Grid: driver.Dim{(n + threads - 1) / threads}, Block: driver.Dim{threads}}
	if err := clock[0].Record(stream); err != nil {
		return 0, err
	}
	if err := kernel.Launch(stream, shape, mem[0], mem[1], mem[2], n); err != nil {
		return 0, err
	}
	if err := clock[1].Record(stream); err != nil {
		return 0, err
	}
	if err := stream.Synchronize(); err != nil {
		return 0, err
	}
	took, err := clock[1].Since(clock[0])
	if err != nil {
		return 0, err
	}
	return took, driver.Read(c, mem[2], 0)
}
