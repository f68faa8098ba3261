package driver

import (
	"errors"
	"fmt"
	"strings"
)

// libraryCandidates lists where the driver library may be, in the order in which
// the places are tried: first the plain name, which the system's own search
// path, LD_LIBRARY_PATH included, resolves; then places that installations use
// without adding them to that path.
func libraryCandidates(goos, goarch string) []string {
	switch goos {
	case "windows":
		return []string{"nvcuda.dll"} // in the system folder, and only there
	case "linux":
		triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[goarch]
		list := []string{
			"libcuda.so.1",
			"libcuda.so",
			"/usr/lib/wsl/lib/libcuda.so.1",         // Windows Subsystem for Linux
			"/usr/local/nvidia/lib64/libcuda.so.1",  // containers, GKE
			"/usr/lib/" + triplet + "/libcuda.so.1", // Debian, Ubuntu
			"/usr/lib64/libcuda.so.1",               // Fedora, RHEL, SUSE
			"/usr/lib64/nvidia/libcuda.so.1",        // older RHEL packages
			"/usr/lib/libcuda.so.1",                 // Arch
			"/run/opengl-driver/lib/libcuda.so.1",   // NixOS
			"/opt/nvidia/lib64/libcuda.so.1",        // Container-Optimized OS
		}
		if goarch == "arm64" {
			list = append(list,
				"/usr/lib/aarch64-linux-gnu/nvidia/libcuda.so.1", // Jetson, since JetPack 6
				"/usr/lib/aarch64-linux-gnu/tegra/libcuda.so.1",  // Jetson, before
			)
		}
		return list
	}
	return nil
}

// openFirst returns the first driver that open makes of a candidate. A place
// without a driver, and one with the toolkit's stub only, is passed over; a
// driver that is there and does not work is the answer, and not hidden by a
// search for others.
func openFirst(candidates []string, open func(path string) (*Driver, error)) (*Driver, error) {
	var failures []error
	for _, path := range candidates {
		d, err := open(path)
		if err == nil {
			return d, nil
		}
		if !errors.Is(err, ErrNoDriver) {
			return nil, err
		}
		failures = append(failures, err)
	}
	return nil, &noDriverError{failures}
}

// noDriverError is ErrNoDriver with what was found in each place.
type noDriverError struct{ places []error }

func (e *noDriverError) Error() string {
	text := ErrNoDriver.Error() + ": install one from your distribution or nvidia.com to use a GPU; looked for it here:"
	for _, err := range e.places {
		text += "\n\t" + err.Error()
	}
	return text
}

func (e *noDriverError) Unwrap() []error { return append([]error{ErrNoDriver}, e.places...) }

// notLoaded is the failure of one place.
type notLoaded struct {
	path string
	err  error // the system's
}

func (e *notLoaded) Error() string {
	if text := e.err.Error(); strings.Contains(text, e.path) { // as dlopen's does
		return text
	}
	return fmt.Sprintf("%s: %v", e.path, e.err)
}

func (e *notLoaded) Unwrap() []error { return []error{ErrNoDriver, e.err} }
