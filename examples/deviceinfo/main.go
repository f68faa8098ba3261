// Command deviceinfo lists every GPU that the NVIDIA driver shows to this
// process, with its properties. Where there is none it says why, and lists the
// simulated device instead.
//
//	go run ./examples/deviceinfo
package main

import (
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"text/tabwriter"

	"github.com/seed6486a2bb/gpuarray/driver"
)

func main() {
	drv, err := driver.Open()
	if errors.Is(err, driver.ErrNoDriver) || errors.Is(err, driver.ErrNoDevice) {
		fmt.Printf("There is no GPU to use here: %v\n\nThis is the simulated device:\n\n", err)
		drv, err = driver.Simulated(driver.SimulatedConfig{})
	}
	if err != nil {
		log.Fatal(err)
	}
	devices, err := drv.Devices()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("driver for CUDA %v (%s), %d device(s)\n", drv.Version(), drv.Source(), len(devices))
	for _, d := range devices {
		if err := describe(d); err != nil {
			log.Fatal(err)
		}
	}
}

// describe prints one device.
func describe(d *driver.Device) error {
	name, err := d.Name()
	if err != nil {
		return err
	}
	fmt.Printf("\ndevice %d: %s\n", d.Ordinal(), name)

	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(what, value string) { fmt.Fprintf(w, "  %s\t%s\n", what, value) }
	if uuid, err := d.UUID(); err == nil {
		row("UUID", uuid.String())
	}
	major, minor, err := d.ComputeCapability()
	if err != nil {
		return err
	}
	row("compute capability", fmt.Sprintf("%d.%d", major, minor))
	if err := memory(d, row); err != nil {
		return err
	}
	for _, a := range driver.Attributes() {
		v, err := d.Attribute(a)
		if err != nil { // an attribute that this driver does not know
			continue
		}
		row(a.String(), quantity(int64(v), a.Unit()))
	}
	return w.Flush()
}

// memory adds what the device has and what is free, for which a context is
// needed.
func memory(d *driver.Device, row func(what, value string)) error {
	total, err := d.TotalMem()
	if err != nil {
		return err
	}
	row("memory", quantity(int64(total), "bytes"))
	ctx, err := d.Context()
	if err != nil {
		row("free memory", "unknown: "+err.Error()) // in use by another process, say
		return nil
	}
	defer ctx.Close()
	free, _, err := ctx.MemInfo()
	if err != nil {
		return err
	}
	row("free memory", quantity(int64(free), "bytes"))
	return nil
}

// quantity prints a value with its unit; large ones in a larger unit.
func quantity(v int64, unit string) string {
	switch {
	case unit == "":
		return strconv.FormatInt(v, 10)
	case unit == "bytes" && v >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(v)/(1<<30))
	case unit == "bytes" && v >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(v)/(1<<20))
	case unit == "bytes" && v >= 1<<10:
		return fmt.Sprintf("%.1f KiB", float64(v)/(1<<10))
	case unit == "kHz":
		return fmt.Sprintf("%d MHz", v/1000)
	}
	return fmt.Sprintf("%d %s", v, unit)
}
