//go:build !((linux && !android) || windows) || !(amd64 || arm64) || gpuarray_nocuda || faketime

package driver

import (
	"fmt"
	"runtime"
)

// builtWithout says why this program cannot load a driver.
const builtWithout = "this program was built without it (build tag gpuarray_nocuda, or a system that has no CUDA driver)"

func openNative() (*Driver, error) {
	return nil, fmt.Errorf("%w: %s, for %s/%s", ErrNoDriver, builtWithout, runtime.GOOS, runtime.GOARCH)
}
