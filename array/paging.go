package array

import (
	"os"
	"runtime"

	"github.com/seed6486a2bb/gpuarray/driver"
)

// A platform is what decides whether the system pages device memory.
type platform struct {
	goos   string
	exists func(path string) bool                    // a file is there
	tcc    func() (isTCC int, err error)             // of the device's driver, on Windows
	free   func() (free, total uint64, failed error) // bytes of device memory
}

func platformOf(dev *driver.Device, ctx *driver.Context) platform {
	return platform{
		goos:   runtime.GOOS,
		exists: func(path string) bool { _, err := os.Stat(path); return err == nil },
		tcc:    func() (int, error) { return dev.Attribute(driver.AttrTCCDriver) },
		free:   ctx.MemInfo,
	}
}

// defaultLimit is the limit on what a Device takes where the system, instead of
// refusing an allocation, moves device memory to the host's, so that programs do
// not fail but crawl: under WDDM, which is Windows with a GPU that also drives
// displays, and so under WSL 2. It is what is free when the Device is opened;
// elsewhere 0, no limit.
func (p platform) defaultLimit() uint64 {
	switch p.goos {
	case "windows":
		if tcc, err := p.tcc(); err != nil || tcc != 0 {
			return 0
		}
	case "linux":
		if !p.exists("/dev/dxg") { // WSL 2's way to the GPU
			return 0
		}
	default:
		return 0
	}
	free, _, err := p.free()
	if err != nil {
		return 0
	}
	return free
}
