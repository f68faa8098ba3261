package driver

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Driver is a loaded and initialised CUDA driver. It needs no closing: the
// driver stays in the process.
type Driver struct {
	api     abi.API
	version Version
	source  string

	primaries []primary // of each device

	needsCurrent atomic.Bool // launches need their context to be the thread's
}

// Version is a CUDA version as the driver tells it: 1000 × major + 10 × minor.
type Version int

// String returns the form "12.4".
func (v Version) String() string { return fmt.Sprintf("%d.%d", v/1000, v%1000/10) }

// opened is the process's one native driver, once it could be opened.
var opened struct {
	sync.Mutex
	driver *Driver
}

// Open loads and initialises this machine's NVIDIA driver (0.2 s, the first
// time); later calls return the same Driver. [ErrNoDriver] is in the error where
// there is none, with each place that was looked at, and [ErrNoDevice] where
// there is a driver but no GPU.
func Open() (*Driver, error) {
	opened.Lock()
	defer opened.Unlock()
	if opened.driver != nil {
		return opened.driver, nil
	}
	d, err := openNative()
	if err != nil {
		return nil, err
	}
	opened.driver = d
	return d, nil
}

// OpenAPI makes a Driver of any implementation of the driver's functions. It is
// for tests within this module, which put in one that fails on purpose or records
// what is called; its type cannot be named elsewhere.
func OpenAPI(api abi.API) (*Driver, error) {
	if api == nil {
		return nil, closed("OpenAPI", nil)
	}
	return initialise(api, "test")
}

// initialise is what every way to open a driver ends with.
func initialise(api abi.API, source string) (*Driver, error) {
	d := &Driver{api: api, source: source}
	if r := api.Init(0); r != abi.Success {
		return nil, d.fail("cuInit", r, source)
	}
	v, r := api.DriverGetVersion()
	if err := d.fail("cuDriverGetVersion", r, source); err != nil {
		return nil, err
	}
	d.version = Version(v)
	d.needsCurrent.Store(v < 12000)
	n, err := d.DeviceCount()
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, &Error{Op: "cuDeviceGetCount", Err: ErrNoDevice, Detail: source + " shows no device; the variable CUDA_VISIBLE_DEVICES may hide them"}
	}
	d.primaries = make([]primary, n)
	return d, nil
}

// Version returns the newest CUDA version that the driver serves.
func (d *Driver) Version() Version {
	if d == nil {
		return 0
	}
	return d.version
}

// Source returns where the driver comes from: the library's path or name, or
// "simulated".
func (d *Driver) Source() string {
	if d == nil {
		return ""
	}
	return d.source
}

const simulatedSource = "simulated"

// IsSimulated says whether the devices are simulated ones.
func (d *Driver) IsSimulated() bool { return d != nil && d.source == simulatedSource }
