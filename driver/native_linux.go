//go:build linux && !android && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import "github.com/ebitengine/purego"

// library is a loaded shared library. It stays loaded: the driver has threads of
// its own.
type library struct{ handle uintptr }

func loadLibrary(path string) (*library, error) {
	h, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, &notLoaded{path, err}
	}
	return &library{h}, nil
}

// find returns the address of an exported function, or 0.
func (l *library) find(name string) uintptr {
	p, err := purego.Dlsym(l.handle, name)
	if err != nil {
		return 0
	}
	return p
}
