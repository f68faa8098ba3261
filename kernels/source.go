package kernels

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"

	"github.com/seed6486a2bb/gpuarray/internal/ptx"
)

//go:generate go run -tags kernels_generate ./internal/generate

// A family is a set of kernels with one generator. The first word of a key
// names its family.
type family struct {
	prefix string // first word of the keys

	// generate writes the kernel for a key, for the target it is given (one of
	// targets): a module with one entry, named EntryName(key).
	generate func(key string, target int) (*ptx.Module, error)

	// targets are the compute capabilities that kernels of this family are
	// written for, ascending. Source takes the highest one that the device has.
	// nil means the baseline, 75, alone.
	targets []int

	// narrow are the same for kernels whose keys name float16 or bfloat16; nil
	// means targets. Compute capability 8.0 rounds two floats to them at once.
	narrow []int

	// shared is the dynamic shared memory that a launch has, in bytes, where it is more
	// than a kernel may have without asking (see SharedMemory).
	shared int

	// name returns a readable C identifier that determines the key, or, where
	// that would be too long, one that a hash is to be added to.
	name func(key string) (name string, unique bool)

	// embed lists the keys whose kernels are files in kernels/ptx.
	embed func() []string
}

// families lists every family. Each is a function, not a variable, since its
// generator asks for entry names, which are looked up here.
func families() []family {
	return []family{
		elementwiseFamily(),
		reduceRowsFamily(),
		reduceColumnsFamily(),
		softmaxFamily(),
		rowFamily(),
		clusterFamily(),
		scanFamily(),
		heldFamily(),
		matmulFamily(),
		transposeFamily(),
		takeFamily(),
		joinFamily(),
		randomFamily(),
	}
}

// baseline is the lowest compute capability that kernels are written for.
const baseline = 75

func familyOf(key string) (family, error) {
	word, _, _ := strings.Cut(key, " ")
	if strings.Join(strings.Fields(key), " ") != key {
		return family{}, fmt.Errorf("kernel key %q: words are separated by one space", key)
	}
	for _, f := range families() {
		if f.prefix == word {
			return f, nil
		}
	}
	return family{}, fmt.Errorf("kernel key %q: no family %q", key, word)
}

// target returns the best target of a kernel for a device.
func (f family) target(key string, cc int) (int, error) {
	targets, best := f.allTargets(key), 0
	for _, t := range targets {
		if t <= cc {
			best = t
		}
	}
	if best == 0 {
		lowest := targets[0]
		return 0, fmt.Errorf("%s kernels need compute capability %d.%d or higher; the device has %d.%d", f.prefix, lowest/10, lowest%10, cc/10, cc%10)
	}
	return best, nil
}

// Source returns the PTX text of the kernel that key names, for a device of
// compute capability cc (major·10 + minor): 75 and higher. It is taken from the
// binary if it is embedded there, else generated from the key; the bytes are
// the same.
func Source(key string, cc int) (string, error) {
	f, err := familyOf(key)
	if err != nil {
		return "", err
	}
	target, err := f.target(key, cc)
	if err != nil {
		return "", err
	}
	if text, err := embedded.ReadFile("ptx/" + fileName(key, target)); err == nil {
		return string(text), nil
	}
	return generate(f, key, target)
}

// SharedMemory returns the dynamic shared memory, in bytes, that must be allowed for the
// kernel that key names before it is launched; 0 where it need not be.
func SharedMemory(key string) int {
	f, _ := familyOf(key)
	return f.shared
}

// generate is Source without the embedded files. The builder panics at an
// instruction that does not exist: for a key that no planner made, that is the
// key's fault.
func generate(f family, key string, target int) (text string, err error) {
	defer func() {
		if r := recover(); r != nil {
			text, err = "", fmt.Errorf("kernel key %q: %v", key, r)
		}
	}()
	m, err := f.generate(key, target)
	if err != nil {
		return "", err
	}
	m.Comments = append([]string{key}, m.Comments...)
	return m.String(), nil
}

// Files returns the name and text of every file that belongs in kernels/ptx,
// newly generated.
func Files() (map[string]string, error) {
	files := map[string]string{}
	for _, f := range families() {
		for _, key := range f.embed() {
			for _, target := range f.allTargets(key) {
				text, err := generate(f, key, target)
				if err != nil {
					return nil, err
				}
				name := fileName(key, target)
				if files[name] != "" {
					return nil, fmt.Errorf("two kernels have the file name %s; one key is %q", name, key)
				}
				files[name] = text
			}
		}
	}
	return files, nil
}

// allTargets are those of a kernel, ascending.
func (f family) allTargets(key string) []int {
	switch {
	case f.narrow != nil && strings.Contains(key, Float16.String()): // which bfloat16 contains
		return f.narrow
	case f.targets == nil:
		return []int{baseline}
	}
	return f.targets
}

// EmbeddedKeys returns the keys of all kernels that are embedded in the binary,
// sorted.
func EmbeddedKeys() []string {
	var keys []string
	for _, f := range families() {
		keys = append(keys, f.embed()...)
	}
	slices.Sort(keys)
	return keys
}

// fileName returns the file in kernels/ptx that holds a kernel if it is embedded.
func fileName(key string, target int) string {
	if target == baseline {
		return EntryName(key) + ".ptx"
	}
	return fmt.Sprintf("%s_sm%d.ptx", EntryName(key), target)
}

// EntryName returns the name of the entry in the module that Source returns for
// key: a C identifier.
func EntryName(key string) string {
	f, err := familyOf(key)
	if err != nil {
		return hashed("kernel", key)
	}
	name, unique := f.name(key)
	if !isIdentifier(name) { // of a key that is no kernel's
		return hashed("kernel", key)
	}
	if unique && len(name) <= 64 {
		return name
	}
	return hashed(name[:min(len(name), 40)], key)
}

func isIdentifier(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

func hashed(name, key string) string {
	h := fnv.New64a()
	h.Write([]byte(key))
	return fmt.Sprintf("%s_%016x", name, h.Sum64())
}

// keys holds every key made so far, so that making one again allocates nothing.
var keys struct {
	sync.RWMutex
	known map[string]string
}

// intern returns key as a string.
func intern(key []byte) string {
	keys.RLock()
	s, ok := keys.known[string(key)]
	keys.RUnlock()
	if ok {
		return s
	}
	keys.Lock()
	defer keys.Unlock()
	if s, ok := keys.known[string(key)]; ok {
		return s
	}
	if keys.known == nil {
		keys.known = map[string]string{}
	}
	s = string(key)
	keys.known[s] = s
	return s
}
