package driver

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Device is one GPU. It needs no closing.
type Device struct {
	drv     *Driver
	handle  abi.Device
	ordinal int
}

// DeviceCount returns how many devices the driver shows to this process. The
// variable CUDA_VISIBLE_DEVICES hides some.
func (d *Driver) DeviceCount() (int, error) {
	if d == nil || d.api == nil {
		return 0, closed("cuDeviceGetCount", nil)
	}
	n, r := d.api.DeviceGetCount()
	return int(n), d.fail("cuDeviceGetCount", r, "")
}

// Device returns the device with the given number, counted from 0.
func (d *Driver) Device(ordinal int) (*Device, error) {
	const op = "cuDeviceGet"
	n, err := d.DeviceCount()
	if err != nil {
		return nil, err
	}
	if ordinal < 0 || ordinal >= n {
		return nil, &Error{Op: op, Code: ErrorInvalidDevice, Detail: fmt.Sprintf("device %d was asked for, the last one is %d", ordinal, n-1)}
	}
	h, r := d.api.DeviceGet(int32(ordinal))
	if err := d.fail(op, r, "device "+strconv.Itoa(ordinal)); err != nil {
		return nil, err
	}
	return &Device{drv: d, handle: h, ordinal: ordinal}, nil
}

// Devices returns all devices.
func (d *Driver) Devices() ([]*Device, error) {
	n, err := d.DeviceCount()
	if err != nil {
		return nil, err
	}
	list := make([]*Device, n)
	for i := range list {
		if list[i], err = d.Device(i); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// Driver returns the driver that the device belongs to.
func (d *Device) Driver() *Driver {
	if d == nil {
		return nil
	}
	return d.drv
}

// Ordinal returns the device's number.
func (d *Device) Ordinal() int {
	if d == nil {
		return -1
	}
	return d.ordinal
}

// ask runs f, one of the calls that need no context.
func (d *Device) ask(op string, f func(api abi.API) abi.Result) error {
	if d == nil || d.drv == nil {
		return closed(op, nil)
	}
	if r := f(d.drv.api); r != abi.Success {
		return d.drv.fail(op, r, "device "+strconv.Itoa(d.ordinal))
	}
	return nil
}

// Name returns what the maker calls the device.
func (d *Device) Name() (name string, err error) {
	err = d.ask("cuDeviceGetName", func(api abi.API) (r abi.Result) {
		name, r = api.DeviceGetName(d.handle)
		return r
	})
	return name, err
}

// UUID identifies a device across processes and restarts.
type UUID [16]byte

// String returns the form that nvidia-smi prints and CUDA_VISIBLE_DEVICES takes.
func (u UUID) String() string {
	return fmt.Sprintf("GPU-%s-%s-%s-%s-%s", hex.EncodeToString(u[:4]), hex.EncodeToString(u[4:6]),
		hex.EncodeToString(u[6:8]), hex.EncodeToString(u[8:10]), hex.EncodeToString(u[10:]))
}

// UUID returns the device's identity.
func (d *Device) UUID() (u UUID, err error) {
	err = d.ask("cuDeviceGetUuid", func(api abi.API) abi.Result {
		id, r := api.DeviceGetUuid(d.handle)
		u = UUID(id)
		return r
	})
	return u, err
}

// TotalMem returns the device's memory in bytes.
func (d *Device) TotalMem() (bytes uint64, err error) {
	err = d.ask("cuDeviceTotalMem", func(api abi.API) (r abi.Result) {
		bytes, r = api.DeviceTotalMem(d.handle)
		return r
	})
	return bytes, err
}

// Attribute returns a property of the device. Yes and no are 1 and 0. An
// attribute that the driver does not know is ErrorInvalidValue.
func (d *Device) Attribute(a Attribute) (value int, err error) {
	if d == nil || d.drv == nil {
		return 0, closed("cuDeviceGetAttribute", nil)
	}
	v, r := d.drv.api.DeviceGetAttribute(abi.DeviceAttribute(a), d.handle)
	return int(v), d.drv.fail("cuDeviceGetAttribute", r, a.String())
}

// ComputeCapability returns the two numbers that say which instructions the
// device has, as 9 and 0.
func (d *Device) ComputeCapability() (major, minor int, err error) {
	if major, err = d.Attribute(AttrComputeCapabilityMajor); err != nil {
		return 0, 0, err
	}
	minor, err = d.Attribute(AttrComputeCapabilityMinor)
	return major, minor, err
}

// CanAccessPeer says whether kernels on d can use peer's memory directly, once
// [Context.EnablePeerAccess] was called.
func (d *Device) CanAccessPeer(peer *Device) (can bool, err error) {
	if peer == nil || peer.drv == nil {
		return false, closed("cuDeviceCanAccessPeer", nil)
	}
	err = d.ask("cuDeviceCanAccessPeer", func(api abi.API) abi.Result {
		v, r := api.DeviceCanAccessPeer(d.handle, peer.handle)
		can = v != 0
		return r
	})
	return can, err
}
