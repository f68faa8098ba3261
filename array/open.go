package array

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// An Option chooses the device that Open takes.
type Option func(*choice)

// choice is where to compute.
type choice struct {
	simulated bool
	ordinal   int
	fallback  bool   // to the simulated device, where there is no GPU
	by        string // who says so
}

// CUDA chooses the n-th NVIDIA GPU, counted from 0, and nothing else: where it
// cannot be had, Open returns an error.
func CUDA(n int) Option { return func(c *choice) { *c = choice{ordinal: n, by: "the program"} } }

// Simulated chooses the simulated device.
func Simulated() Option { return func(c *choice) { *c = choice{simulated: true} } }

// DeviceVariable is the environment variable that says which device Open takes
// where the program does not: "cuda" (the first GPU), "cuda:1" or "sim".
const DeviceVariable = "GPUARRAY_DEVICE"

// Open takes hold of a device: the one that an option names, else the one that the
// variable GPUARRAY_DEVICE names, else the first NVIDIA GPU, else, where this
// machine has no NVIDIA driver or no GPU, the simulated device. A GPU or driver
// that is there but does not work is an error that says what to check, never a
// silent fallback. [Device.String] says what was taken. Each call makes a Device
// with memory of its own; Close gives it back. A nil Option names nothing.
func Open(options ...Option) (*Device, error) {
	c := directly("Open")
	options = slices.DeleteFunc(slices.Clone(options), func(o Option) bool { return o == nil })
	var want choice
	var err error
	if len(options) == 0 {
		want, err = chosenBy(os.Getenv(DeviceVariable))
	}
	for _, o := range options {
		o(&want)
	}
	var d *Device
	if err == nil {
		d, err = want.open()
	}
	if err != nil {
		return nil, c.fail(err)
	}
	return d, nil
}

// chosenBy reads the value of GPUARRAY_DEVICE.
func chosenBy(value string) (choice, error) {
	kind, number, numbered := strings.Cut(value, ":")
	n := 0
	if numbered {
		var err error
		if n, err = strconv.Atoi(number); err != nil {
			kind = ""
		}
	}
	switch {
	case value == "":
		return choice{fallback: true}, nil
	case kind == "cuda":
		return choice{ordinal: n, by: DeviceVariable + "=" + value}, nil
	case value == "sim":
		return choice{simulated: true}, nil
	}
	return choice{}, because(ErrDevice, "%s=%q names no device; it may be \"cuda\", \"cuda:N\" or \"sim\"", DeviceVariable, value)
}

func (want choice) open() (*Device, error) {
	if want.simulated {
		return openSimulated()
	}
	drv, err := driver.Open()
	if err == nil {
		return openGPU(drv, want.ordinal)
	}
	if !errors.Is(err, driver.ErrNoDriver) && !errors.Is(err, driver.ErrNoDevice) {
		return nil, &reason{ErrDevice, "there is an NVIDIA driver, but it does not work; check nvidia-smi, or compute without a GPU with " + DeviceVariable + "=sim", err}
	}
	if want.fallback {
		return openSimulated()
	}
	return nil, &reason{ErrDevice, want.by + " asks for a GPU and gets no other device", err}
}

func openGPU(drv *driver.Driver, ordinal int) (*Device, error) {
	dev, err := drv.Device(ordinal)
	if err == nil {
		var d *Device
		if d, err = newDevice(dev, false); err == nil {
			return d, nil
		}
	}
	if r := (*reason)(nil); errors.As(err, &r) {
		return nil, err
	}
	return nil, &reason{ErrDevice, fmt.Sprintf("GPU %d cannot be used; check nvidia-smi", ordinal), err}
}

func openSimulated() (*Device, error) {
	drv, err := driver.Simulated(driver.SimulatedConfig{})
	if err == nil {
		var dev *driver.Device
		if dev, err = drv.Device(0); err == nil {
			var d *Device
			if d, err = newDevice(dev, true); err == nil {
				return d, nil
			}
		}
	}
	return nil, &reason{ErrDevice, "the simulated device did not start", err}
}
