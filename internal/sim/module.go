package sim

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/ptx"
	"github.com/seed6486a2bb/gpuarray/internal/sim/exec"
)

// module is a loaded CUmodule or CUlibrary.
type module struct {
	dev      *device // nil: a library, which is the process's. Its variables exist once
	target   int     // compute capability that the PTX was written for
	prog     *exec.Program
	shared   bool // prog is in Sim.programs and stays loaded
	unloaded bool
	handles  map[string]abi.Function // of those kernels that were asked for
}

// parsed keeps modules by their text, for all simulated devices of the process:
// a program that opens many (tests do) parses each text once. Modules are not
// changed after parsing.
var parsed struct {
	sync.Mutex
	modules map[string]*ptx.Module
	bytes   int // of text
}

// maxParsed is how many bytes of text parsed keeps; then it starts anew. What is
// parsed takes some 17 times its text, and each collection walks it.
const maxParsed = 1 << 20

func parse(text string) (*ptx.Module, error) {
	parsed.Lock()
	m := parsed.modules[text]
	parsed.Unlock()
	if m != nil {
		return m, nil
	}
	m, err := ptx.Parse(text)
	if err != nil {
		return nil, err
	}
	parsed.Lock()
	defer parsed.Unlock()
	if parsed.modules == nil || parsed.bytes > maxParsed {
		parsed.modules, parsed.bytes = map[string]*ptx.Module{}, 0
	}
	parsed.modules[text] = m
	parsed.bytes += len(text)
	return m, nil
}

// loadError is why an image was not loaded: the code, and the line for the
// error log.
type loadError struct {
	code abi.Result
	text string
}

func (e *loadError) Error() string { return e.text }

func cannotLoad(code abi.Result, format string, args ...any) error {
	return &loadError{code, fmt.Sprintf(format, args...)}
}

// load makes a program of an image. s.mu is held.
func (s *Sim) load(image []byte, jit *abi.JitOptions) (*module, error) {
	text, err := ptxText(image)
	if err != nil {
		return nil, err
	}
	m := &module{handles: map[string]abi.Function{}}
	tree, err := parse(text)
	if err != nil {
		return nil, cannotLoad(abi.ErrorInvalidPTX, "%s", located(err))
	}
	if m.target, err = s.accepts(tree, jit); err != nil {
		return nil, err
	}
	if p := s.programs[text]; p != nil {
		m.prog, m.shared = p, true
		return m, nil
	}
	prog, err := exec.LoadPerturbed(tree, s.mem, s.caps.cc, s.perturb)
	switch {
	case errors.Is(err, exec.ErrOutOfMemory):
		return nil, cannotLoad(abi.ErrorOutOfMemory, "ptx: %v", err)
	case err != nil:
		return nil, cannotLoad(abi.ErrorInvalidPTX, "%s", located(err))
	}
	m.prog = prog
	for _, e := range tree.Entries {
		if err := s.fits(e, prog.Kernels[e.Name], tree.Version); err != nil {
			prog.Unload()
			return nil, err
		}
	}
	// A program without variables has no state: one copy serves every load.
	if len(prog.Globals) == 0 {
		if len(s.programs) >= maxPrograms {
			clear(s.programs)
		}
		s.programs[text], m.shared = prog, true
	}
	return m, nil
}

// maxPrograms is how many programs without variables are kept decoded.
const maxPrograms = 4096

// ptxText takes an image as PTX text, which ends at the first NUL.
func ptxText(image []byte) (string, error) {
	if bytes.HasPrefix(image, []byte("\x7fELF")) || bytes.HasPrefix(image, []byte{0x50, 0xed, 0x55, 0xba}) {
		return "", cannotLoad(abi.ErrorNoBinaryForGPU, "the image is compiled machine code (a cubin or fatbin): the simulated device runs PTX text only")
	}
	if i := bytes.IndexByte(image, 0); i >= 0 {
		image = image[:i]
	}
	if len(image) == 0 {
		return "", cannotLoad(abi.ErrorInvalidImage, "the image is not PTX text")
	}
	for at, text := 0, image; at < len(text); {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n == 1 {
			line := text[:at]
			pos := ptx.Pos{Line: 1 + bytes.Count(line, []byte("\n")), Col: at - bytes.LastIndexByte(line, '\n')}
			return "", cannotLoad(abi.ErrorInvalidImage, "ptx line %v: the image is not PTX text: expected UTF-8, got the byte %#x", pos, text[at])
		}
		at += n
	}
	return string(image), nil
}

// located puts an error of the parser or the loader in the form of the error
// log: "ptx line 12:5: …".
func located(err error) string {
	var (
		text *ptx.Error
		code *exec.DecodeError
	)
	switch {
	case errors.As(err, &text):
		return fmt.Sprintf("ptx line %v: %s", text.Pos, text.Msg)
	case errors.As(err, &code) && code.Text != "":
		return fmt.Sprintf("ptx line %v: %s: %s", code.Pos, code.Text, code.Why)
	case errors.As(err, &code):
		return fmt.Sprintf("ptx line %v: %s", code.Pos, code.Why)
	}
	return "ptx: " + err.Error()
}

// accepts checks what a module asks of the device, and returns the compute
// capability that it was written for.
func (s *Sim) accepts(m *ptx.Module, jit *abi.JitOptions) (int, error) {
	if v := m.Version; v.Major > maxISA.Major || v.Major == maxISA.Major && v.Minor > maxISA.Minor {
		return 0, cannotLoad(abi.ErrorUnsupportedPTXVersion, "ptx: .version %d.%d is newer than %d.%d, the newest that this driver (CUDA %d.%d) reads",
			v.Major, v.Minor, maxISA.Major, maxISA.Minor, driverVersion/1000, driverVersion%1000/10)
	}
	var cc int
	var feature string
	if n, _ := fmt.Sscanf(m.Target, "sm_%d%s", &cc, &feature); n == 0 {
		return 0, cannotLoad(abi.ErrorInvalidPTX, "ptx: .target %q is not of the form sm_80", m.Target)
	}
	if cc > s.caps.cc || feature != "" && cc != s.caps.cc {
		return 0, cannotLoad(abi.ErrorNoBinaryForGPU, "ptx: .target %s does not run on compute capability %d.%d", m.Target, s.caps.cc/10, s.caps.cc%10)
	}
	if jit != nil && jit.Target != 0 && int(jit.Target&0xffff) != s.caps.cc {
		return 0, cannotLoad(abi.ErrorNoBinaryForGPU, "ptx: asked to assemble for compute capability %d, the device has %d", jit.Target&0xffff, s.caps.cc)
	}
	return cc, nil
}

// fits checks a kernel against the limits that the assembler enforces.
func (s *Sim) fits(e *ptx.Entry, k *exec.Kernel, isa ptx.Version) error {
	if k.StaticShared > maxSharedDefault {
		return cannotLoad(abi.ErrorInvalidPTX, "ptx line %v: entry %s uses too much shared data (%d bytes, at most %d)", e.Pos, k.Name, k.StaticShared, maxSharedDefault)
	}
	limit := uint32(maxParameterBytes)
	if isa.Major > 8 || isa.Major == 8 && isa.Minor >= 1 {
		limit = maxParameterBytes81
	}
	if k.ParamBytes > limit {
		return cannotLoad(abi.ErrorInvalidPTX, "ptx line %v: entry %s has too many parameters (%d bytes, at most %d)", e.Pos, k.Name, k.ParamBytes, limit)
	}
	return nil
}

// unload frees a module's variables and its kernels' handles. s.mu is held.
func (s *Sim) unload(m *module) {
	m.unloaded = true
	if !m.shared {
		m.prog.Unload()
	}
	for _, h := range m.handles {
		delete(s.functions, h)
	}
}

// logTo writes a message to a JIT log, cut to the buffer with room for C's NUL.
func logTo(buf []byte, text string) int {
	if len(buf) == 0 {
		return 0
	}
	n := copy(buf[:len(buf)-1], text)
	buf[n] = 0
	return n
}

// report fills the logs for a finished load and returns its code.
func (s *Sim) report(m *module, err error, jit *abi.JitOptions) abi.Result {
	if jit != nil {
		jit.InfoLen, jit.ErrorLen = 0, 0
	}
	if err != nil {
		if jit != nil {
			jit.ErrorLen = logTo(jit.ErrorLog, err.Error()+"\n")
		}
		var le *loadError
		if errors.As(err, &le) {
			return le.code
		}
		return abi.ErrorInvalidPTX
	}
	if jit != nil && jit.LogVerbose {
		var b bytes.Buffer
		for _, name := range slices.Sorted(maps.Keys(m.prog.Kernels)) {
			k := m.prog.Kernels[name]
			fmt.Fprintf(&b, "ptx info: entry %s: at most %d registers, %d bytes shared, %d bytes local, %d bytes of parameters\n",
				name, registers(k), k.StaticShared, k.Local, k.ParamBytes)
		}
		jit.InfoLen = logTo(jit.InfoLog, b.String())
	}
	return abi.Success
}

// ModuleLoadDataEx loads PTX text into the current context.
func (s *Sim) ModuleLoadDataEx(image []byte, jit *abi.JitOptions) (abi.Module, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, r := s.unsafeContext()
	if r != abi.Success {
		return 0, r
	}
	m, err := s.load(image, jit)
	if r := s.report(m, err, jit); r != abi.Success {
		return 0, r
	}
	m.dev = d
	h := abi.Module(s.handle())
	s.modules[h] = m
	return h, abi.Success
}

// ModuleUnload unloads a module, after the work that may use it.
func (s *Sim) ModuleUnload(h abi.Module) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.finishAll(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.module(h)
	if r != abi.Success {
		return r
	}
	if _, r := s.unsafeContext(); r != abi.Success {
		return r
	}
	s.unload(m)
	delete(s.modules, h)
	return abi.Success
}

// module returns the module of a handle. s.mu is held.
func (s *Sim) module(h abi.Module) (*module, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	m := s.modules[h]
	if m == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return m, m.dev.fault
}

// library returns the library of a handle. s.mu is held.
func (s *Sim) library(h abi.Library) (*module, abi.Result) {
	if !s.ready {
		return nil, abi.ErrorNotInitialized
	}
	m := s.libraries[h]
	if m == nil {
		return nil, abi.ErrorInvalidHandle
	}
	return m, abi.Success
}

// kernel returns the handle of a module's kernel, the same each time.
func (s *Sim) kernel(m *module, name string) (abi.Function, abi.Result) {
	if name == "" {
		return 0, abi.ErrorInvalidValue
	}
	if h, ok := m.handles[name]; ok {
		return h, abi.Success
	}
	k := m.prog.Kernels[name]
	if k == nil {
		return 0, abi.ErrorNotFound
	}
	h := abi.Function(s.handle())
	m.handles[name] = h
	s.functions[h] = &function{mod: m, kernel: k, maxDynamic: maxSharedDefault - k.StaticShared, carveout: -1}
	return h, abi.Success
}

func (m *module) global(name string) (abi.DevicePtr, uint64, abi.Result) {
	if name == "" {
		return 0, 0, abi.ErrorInvalidValue
	}
	g, ok := m.prog.Globals[name]
	if !ok {
		return 0, 0, abi.ErrorNotFound
	}
	return abi.DevicePtr(g.Addr), g.Size, abi.Success
}

// ModuleGetFunction returns a kernel by name.
func (s *Sim) ModuleGetFunction(h abi.Module, name string) (abi.Function, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.module(h)
	if r != abi.Success {
		return 0, r
	}
	return s.kernel(m, name)
}

// ModuleGetGlobal returns a variable's address and size.
func (s *Sim) ModuleGetGlobal(h abi.Module, name string) (abi.DevicePtr, uint64, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.module(h)
	if r != abi.Success {
		return 0, 0, r
	}
	return m.global(name)
}

// LibraryLoadData loads PTX text for all devices.
func (s *Sim) LibraryLoadData(image []byte, jit *abi.JitOptions) (abi.Library, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ready {
		return 0, abi.ErrorNotInitialized
	}
	m, err := s.load(image, jit)
	if r := s.report(m, err, jit); r != abi.Success {
		return 0, r
	}
	h := abi.Library(s.handle())
	s.libraries[h] = m
	return h, abi.Success
}

// LibraryUnload unloads a library, after the work that may use it.
func (s *Sim) LibraryUnload(h abi.Library) abi.Result {
	s.run.Lock()
	defer s.run.Unlock()
	s.finishAll(nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.library(h)
	if r == abi.Success {
		s.unload(m)
		delete(s.libraries, h)
	}
	return r
}

// LibraryGetKernel returns a kernel by name; it runs on every device.
func (s *Sim) LibraryGetKernel(h abi.Library, name string) (abi.Function, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.library(h)
	if r != abi.Success {
		return 0, r
	}
	return s.kernel(m, name)
}

// LibraryGetGlobal returns a variable's address and size.
func (s *Sim) LibraryGetGlobal(h abi.Library, name string) (abi.DevicePtr, uint64, abi.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, r := s.library(h)
	if r != abi.Success {
		return 0, 0, r
	}
	return m.global(name)
}
