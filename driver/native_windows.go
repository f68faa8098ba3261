//go:build windows && (amd64 || arm64) && !gpuarray_nocuda && !faketime

package driver

import "golang.org/x/sys/windows"

// library is a loaded DLL. It stays loaded: the driver has threads of its own.
type library struct{ dll *windows.LazyDLL }

// loadLibrary looks in the system folder only, so that no nvcuda.dll that lies
// beside the program or in the current folder is run.
func loadLibrary(name string) (*library, error) {
	dll := windows.NewLazySystemDLL(name)
	if err := dll.Load(); err != nil {
		return nil, &notLoaded{name, err}
	}
	return &library{dll}, nil
}

// find returns the address of an exported function, or 0.
func (l *library) find(name string) uintptr {
	proc := l.dll.NewProc(name)
	if proc.Find() != nil {
		return 0
	}
	return proc.Addr()
}
