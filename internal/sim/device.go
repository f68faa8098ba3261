package sim

import "github.com/seed6486a2bb/gpuarray/internal/abi"

// device returns the device of an ordinal. s.mu is held.
func (s *Sim) device(d abi.Device) (*device, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	if d < 0 || int(d) >= len(s.devices) {
		return nil, abi.ErrorInvalidDevice
	}
	return s.devices[d], abi.Success
}

// lockedDevice is device for callers that do not hold s.mu.
func (s *Sim) lockedDevice(d abi.Device) (*device, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.device(d)
}

// DeviceGetCount returns how many devices there are.
func (s *Sim) DeviceGetCount() (int32, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return 0, abi.ErrorNotInitialized
	}
	return int32(len(s.devices)), abi.Success
}

// DeviceGet returns the device of an ordinal.
func (s *Sim) DeviceGet(ordinal int32) (abi.Device, abi.Result) {
	_, r := s.lockedDevice(abi.Device(ordinal))
	if r != abi.Success {
		return 0, r
	}
	return abi.Device(ordinal), abi.Success
}

// DeviceGetName says that the device is simulated, and with how many workers.
func (s *Sim) DeviceGetName(d abi.Device) (string, abi.Result) {
	if _, r := s.lockedDevice(d); r != abi.Success {
		return "", r
	}
	return s.name(), abi.Success
}

// DeviceGetUuid returns an identifier that spells what the device is.
func (s *Sim) DeviceGetUuid(d abi.Device) (abi.UUID, abi.Result) {
	if _, r := s.lockedDevice(d); r != abi.Success {
		return abi.UUID{}, r
	}
	u := abi.UUID([]byte("gpuarray-sim-\x00\x00\x00"))
	u[15] = byte(d)
	return u, abi.Success
}

// DeviceTotalMem returns the memory limit in bytes.
func (s *Sim) DeviceTotalMem(d abi.Device) (uint64, abi.Result) {
	dev, r := s.lockedDevice(d)
	if r != abi.Success {
		return 0, r
	}
	return dev.limit, abi.Success
}

// DeviceGetAttribute returns a row of the table in attributes.go. An attribute
// that it does not have is 0 if CUDA defines it.
func (s *Sim) DeviceGetAttribute(a abi.DeviceAttribute, d abi.Device) (int32, abi.Result) {
	dev, r := s.lockedDevice(d)
	if r != abi.Success {
		return 0, r
	}
	if a <= 0 || a > abi.DeviceAttributeOnlyPartialHostNativeAtomicSupported {
		return 0, abi.ErrorInvalidValue
	}
	if a == abi.DeviceAttributePCIDeviceID {
		return int32(dev.ordinal), abi.Success
	}
	return s.caps.attribute(a), abi.Success
}

// DeviceCanAccessPeer is 1 for two different devices: they share an address
// space.
func (s *Sim) DeviceCanAccessPeer(d, peer abi.Device) (int32, abi.Result) {
	if _, r := s.lockedDevice(d); r != abi.Success {
		return 0, r
	}
	if _, r := s.lockedDevice(peer); r != abi.Success {
		return 0, r
	}
	if d == peer {
		return 0, abi.Success
	}
	return 1, abi.Success
}
