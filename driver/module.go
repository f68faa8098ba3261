package driver

import (
	"fmt"
	"strings"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
)

// A Module is loaded code: kernels and global variables.
type Module struct {
	child
	handle  abi.Module
	library abi.Library // instead of handle, if not 0
	log     string
	jit     *abi.JitOptions  // a library's: it is assembled when a kernel is first asked for, and the driver writes to the logs then
	params  map[string][]int // sizes of the entries' parameters, for drivers that do not tell
}

// LoadConfig says how PTX is to be assembled. The zero value is the driver's
// default.
type LoadConfig struct {
	MaxRegisters int  // for each thread; 0 is the driver's choice
	OptLevel     int  // 1 to 4; 0 is the driver's default, 4
	Verbose      bool // Module.Log has registers, shared memory and spills of each kernel
}

// logBytes is room for the assembler's messages; it cuts what is longer.
const logBytes = 16 << 10

func (m *Module) base() *child {
	if m == nil {
		return nil
	}
	return &m.child
}

// LoadModule loads PTX text, which the driver assembles for the context's device
// (10 to 200 ms, the first time more; the driver keeps a cache on disk), or a
// cubin. PTX that does not assemble is ErrorInvalidPTX, and the error holds the
// assembler's log.
func (c *Context) LoadModule(image []byte, cfg LoadConfig) (*Module, error) {
	m := new(Module)
	return m.load(c, "cuModuleLoadDataEx", cfg, func(api abi.API, jit *abi.JitOptions) (r abi.Result) {
		m.handle, r = api.ModuleLoadDataEx(image, jit)
		return r
	}, image)
}

// LoadLibrary is LoadModule through the driver's newer interface, which keeps
// the code apart from the context: it needs a driver for CUDA 12.
func (c *Context) LoadLibrary(image []byte, cfg LoadConfig) (*Module, error) {
	m := new(Module)
	return m.load(c, "cuLibraryLoadData", cfg, func(api abi.API, jit *abi.JitOptions) (r abi.Result) {
		m.library, r = api.LibraryLoadData(image, jit)
		return r
	}, image)
}

func (m *Module) load(c *Context, op string, cfg LoadConfig, f func(api abi.API, jit *abi.JitOptions) abi.Result, image []byte) (*Module, error) {
	if len(image) == 0 {
		return nil, invalid(op, "the image is empty")
	}
	if cfg.MaxRegisters < 0 || cfg.OptLevel < 0 || cfg.OptLevel > 4 {
		return nil, invalid(op, "MaxRegisters %d and OptLevel %d: at least 0, and levels up to 4, are possible", cfg.MaxRegisters, cfg.OptLevel)
	}
	jit := &abi.JitOptions{
		InfoLog: make([]byte, logBytes), ErrorLog: make([]byte, logBytes),
		MaxRegisters: cfg.MaxRegisters, OptLevel: cfg.OptLevel, LogVerbose: cfg.Verbose,
	}
	err := c.call(op, func(api abi.API) abi.Result { return f(api, jit) })
	if err != nil {
		return nil, withLog(err, logText(jit.ErrorLog, jit.ErrorLen))
	}
	m.log = logText(jit.InfoLog, jit.InfoLen)
	if m.library != 0 {
		m.jit = jit
	}
	if c.dev.drv.version < firstParamInfo {
		m.params = ptxParams(image)
	}
	m.born(c, kindModule)
	return m, nil
}

// firstParamInfo is the version of CUDA that came with cuFuncGetParamInfo.
const firstParamInfo = 12040

// logText is the text in a log buffer; no length is trusted.
func logText(buf []byte, n int) string {
	text := string(buf[:max(0, min(n, len(buf)))])
	if i := strings.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	return strings.TrimSpace(text)
}

// withLog adds the assembler's log to a failed load.
func withLog(err error, log string) error {
	e, ok := err.(*Error)
	if !ok || log == "" {
		return err
	}
	return &Error{Op: e.Op, Code: e.Code, Err: e.Err, Detail: join(e.Detail, "the assembler's log:\n"+log)}
}

// named says what a call was about.
func named(err error, format string, args ...any) error {
	e, ok := err.(*Error)
	if !ok || e.Err != nil {
		return err
	}
	return &Error{Op: e.Op, Code: e.Code, Detail: join(fmt.Sprintf(format, args...), e.Detail)}
}

// Log returns what the assembler said: warnings, and with LoadConfig.Verbose the
// resources of each kernel. It may be empty, as when the driver found the code
// in its cache.
func (m *Module) Log() string {
	if m == nil {
		return ""
	}
	return m.log
}

// Global returns the address and the size in bytes of a variable of the module.
func (m *Module) Global(name string) (p Ptr, bytes uint64, err error) {
	op := "cuModuleGetGlobal"
	if m != nil && m.library != 0 {
		op = "cuLibraryGetGlobal"
	}
	err = m.base().call(op, func(api abi.API) (r abi.Result) {
		var a abi.DevicePtr
		if m.library != 0 {
			a, bytes, r = api.LibraryGetGlobal(m.library, name)
		} else {
			a, bytes, r = api.ModuleGetGlobal(m.handle, name)
		}
		p = Ptr(a)
		return r
	})
	if err != nil {
		return 0, 0, named(err, "variable %q", name)
	}
	return p, bytes, nil
}

// Close unloads the module. None of its kernels may be running, and graphs that
// hold one must not be launched any more.
func (m *Module) Close() error {
	if m != nil && m.library != 0 {
		return m.base().close("cuLibraryUnload", func(api abi.API) abi.Result { return api.LibraryUnload(m.library) })
	}
	return m.base().close("cuModuleUnload", func(api abi.API) abi.Result { return api.ModuleUnload(m.handle) })
}
