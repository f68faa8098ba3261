package abi

import (
	"bufio"
	"fmt"
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The exported constants of this package are found by type-checking its source,
// not by a list. These tables say only which C enumeration each type stands for.

// enums: a C enumerator with the prefix c is the Go constant with the prefix g.
var enums = []struct{ goType, cType, c, g string }{
	{"Result", "CUresult", "CUDA_", ""},
	{"DeviceAttribute", "CUdevice_attribute", "CU_DEVICE_ATTRIBUTE_", "DeviceAttribute"},
	{"DeviceP2PAttribute", "CUdevice_P2PAttribute", "CU_DEVICE_P2P_ATTRIBUTE_", "DeviceP2PAttribute"},
	{"ComputeMode", "CUcomputemode", "CU_COMPUTEMODE_", "ComputeMode"},
	{"FunctionAttribute", "CUfunction_attribute", "CU_FUNC_ATTRIBUTE_", "FunctionAttribute"},
	{"SharedMemCarveout", "CUshared_carveout", "CU_SHAREDMEM_CARVEOUT_", "SharedMemCarveout"},
	{"PointerAttribute", "CUpointer_attribute", "CU_POINTER_ATTRIBUTE_", "PointerAttribute"},
	{"Limit", "CUlimit", "CU_LIMIT_", "Limit"},
	{"uint32", "CUctx_flags", "CU_CTX_", "Ctx"},
	{"uint32", "CUstream_flags", "CU_STREAM_", "Stream"},
	{"uint32", "CUevent_flags", "CU_EVENT_", "Event"},
	{"uint32", "CUevent_record_flags", "CU_EVENT_RECORD_", "EventRecord"},
	{"uint32", "CUevent_wait_flags", "CU_EVENT_WAIT_", "EventWait"},
	{"StreamCaptureMode", "CUstreamCaptureMode", "CU_STREAM_CAPTURE_MODE_", "StreamCaptureMode"},
	{"StreamCaptureStatus", "CUstreamCaptureStatus", "CU_STREAM_CAPTURE_STATUS_", "StreamCaptureStatus"},
	{"SynchronizationPolicy", "CUsynchronizationPolicy", "CU_SYNC_POLICY_", "SyncPolicy"},
	{"uint64", "CUdriverProcAddress_flags", "CU_GET_PROC_ADDRESS_", "GetProcAddress"},
	{"DriverProcAddressQueryResult", "CUdriverProcAddressQueryResult", "CU_GET_PROC_ADDRESS_", "DriverProcAddress"},
	{"MemoryType", "CUmemorytype", "CU_MEMORYTYPE_", "MemoryType"},
	{"MemPoolAttribute", "CUmemPool_attribute", "CU_MEMPOOL_ATTR_", "MemPoolAttribute"},
	{"MemLocationType", "CUmemLocationType", "CU_MEM_LOCATION_TYPE_", "MemLocationType"},
	{"MemAllocationType", "CUmemAllocationType", "CU_MEM_ALLOCATION_TYPE_", "MemAllocationType"},
	{"MemAllocationHandleType", "CUmemAllocationHandleType", "CU_MEM_HANDLE_TYPE_", "MemHandleType"},
	{"AccessProperty", "CUaccessProperty", "CU_ACCESS_PROPERTY_", "AccessProperty"},
	{"LaunchAttributeID", "CUlaunchAttributeID", "CU_LAUNCH_ATTRIBUTE_", "LaunchAttribute"},
	{"ClusterSchedulingPolicy", "CUclusterSchedulingPolicy", "CU_CLUSTER_SCHEDULING_POLICY_", "ClusterSchedulingPolicy"},
	{"LaunchMemSyncDomain", "CUlaunchMemSyncDomain", "CU_LAUNCH_MEM_SYNC_DOMAIN_", "LaunchMemSyncDomain"},
	{"uint64", "CUgraphInstantiate_flags", "CUDA_GRAPH_INSTANTIATE_FLAG_", "GraphInstantiateFlag"},
	{"GraphExecUpdateResult", "CUgraphExecUpdateResult", "CU_GRAPH_EXEC_UPDATE_", "GraphExecUpdate"},
	{"GraphNodeType", "CUgraphNodeType", "CU_GRAPH_NODE_TYPE_", "GraphNodeType"},
	{"JitOption", "CUjit_option", "CU_JIT_", "JitOption"},
	{"JitTarget", "CUjit_target", "CU_TARGET_", "JitTarget"},
	{"JitFallback", "CUjit_fallback", "CU_PREFER_", "JitPrefer"},
	{"JitCacheMode", "CUjit_cacheMode", "CU_JIT_CACHE_OPTION_", "JitCacheOption"},
	{"LibraryOption", "CUlibraryOption", "CU_LIBRARY_", "Library"},
	{"TensorMapDataType", "CUtensorMapDataType", "CU_TENSOR_MAP_DATA_TYPE_", "TensorMapDataType"},
	{"TensorMapInterleave", "CUtensorMapInterleave", "CU_TENSOR_MAP_INTERLEAVE_", "TensorMapInterleave"},
	{"TensorMapSwizzle", "CUtensorMapSwizzle", "CU_TENSOR_MAP_SWIZZLE_", "TensorMapSwizzle"},
	{"TensorMapL2Promotion", "CUtensorMapL2promotion", "CU_TENSOR_MAP_L2_PROMOTION_", "TensorMapL2Promotion"},
	{"TensorMapFloatOOBFill", "CUtensorMapFloatOOBfill", "CU_TENSOR_MAP_FLOAT_OOB_FILL_", "TensorMapFloatOOBFill"},
}

// macros are constants that C makes with #define.
var macros = map[string]string{
	"StreamLegacy":                   "CU_STREAM_LEGACY",
	"StreamPerThread":                "CU_STREAM_PER_THREAD",
	"MemHostAllocPortable":           "CU_MEMHOSTALLOC_PORTABLE",
	"MemHostAllocDeviceMap":          "CU_MEMHOSTALLOC_DEVICEMAP",
	"MemHostAllocWriteCombined":      "CU_MEMHOSTALLOC_WRITECOMBINED",
	"MemPoolCreateUsageHWDecompress": "CU_MEM_POOL_CREATE_USAGE_HW_DECOMPRESS",
}

// ctypes are the types that are neither enumerations nor this module's own.
var ctypes = map[string]string{
	"Device": "CUdevice", "Context": "CUcontext", "Module": "CUmodule", "Library": "CUlibrary",
	"Function": "CUfunction", "Stream": "CUstream", "Event": "CUevent", "Graph": "CUgraph",
	"GraphNode": "CUgraphNode", "GraphExec": "CUgraphExec", "MemoryPool": "CUmemoryPool",
	"Array": "CUarray", "DevicePtr": "CUdeviceptr", "UUID": "CUuuid",
	"Memcpy2D": "CUDA_MEMCPY2D", "Memcpy3D": "CUDA_MEMCPY3D",
	"LaunchConfig": "CUlaunchConfig", "LaunchAttribute": "CUlaunchAttribute",
	"LaunchAttributeValue": "CUlaunchAttributeValue", "AccessPolicyWindow": "CUaccessPolicyWindow",
	"LaunchMemSyncDomainMap": "CUlaunchMemSyncDomainMap",
	"MemLocation":            "CUmemLocation", "MemPoolProps": "CUmemPoolProps",
	"KernelNodeParams": "CUDA_KERNEL_NODE_PARAMS", "MemsetNodeParams": "CUDA_MEMSET_NODE_PARAMS",
	"GraphExecUpdateResultInfo": "CUgraphExecUpdateResultInfo",
	"TensorMap":                 "CUtensorMap",
}

// members are Go types for the nameless structs inside CUlaunchAttributeValue.
var members = map[string][]string{
	"Dim3":                  {"clusterDim", "preferredClusterDim"},
	"ProgrammaticEvent":     {"programmaticEvent"},
	"LaunchCompletionEvent": {"launchCompletionEvent"},
}

// own are this module's types and constants, with no counterpart in C.
var own = []string{"API", "JitOptions", "Symbol", "MemoryState", "MemoryLive", "MemoryDead", "MemoryPoisoned", "TensorMapAlignment"}

// fieldNames are C names that differ from the Go names by more than case.
var fieldNames = map[string]string{
	"LaunchConfig.Stream":            "hStream",
	"AccessPolicyWindow.BasePtr":     "base_ptr",
	"AccessPolicyWindow.NumBytes":    "num_bytes",
	"LaunchMemSyncDomainMap.Default": "default_",
}

// since gives the CUDA version of what the oldest file in testdata/abi lacks.
var since = map[string]int{
	"ErrorCallRequiresNewerDriver":                            13000,
	"ErrorContained":                                          12080,
	"ErrorTensorMemoryLeak":                                   12080,
	"ErrorKeyRotation":                                        12080,
	"DeviceAttributeD3D12CIGSupported":                        12050,
	"DeviceAttributeMemDecompressAlgorithmMask":               12080,
	"DeviceAttributeMemDecompressMaximumLength":               12080,
	"DeviceAttributeGPUPCIDeviceID":                           12080,
	"DeviceAttributeGPUPCISubsystemID":                        12080,
	"DeviceAttributeHostNUMAMultinodeIPCSupported":            12080,
	"DeviceAttributeVulkanCIGSupported":                       12090,
	"DeviceAttributeHostNUMAVirtualMemoryManagementSupported": 12090,
	"DeviceAttributeHostNUMAMemoryPoolsSupported":             12090,
	"DeviceAttributeHostMemoryPoolsSupported":                 13000,
	"DeviceAttributeHostVirtualMemoryManagementSupported":     13000,
	"DeviceAttributeHostAllocDMABufSupported":                 13000,
	"DeviceAttributeOnlyPartialHostNativeAtomicSupported":     13000,
	"DeviceP2PAttributeOnlyPartialNativeAtomicSupported":      13000,
	"PointerAttributeIsHWDecompressCapable":                   12080,
	"LimitShMemSize":                                          12050,
	"LimitCIGEnabled":                                         12050,
	"LimitCIGShMemFallbackEnabled":                            12050,
	"MemAllocationTypeManaged":                                13000,
	"MemPoolCreateUsageHWDecompress":                          12080,
	"MemPoolProps.Usage":                                      12060,
	"LaunchAttributePreferredSharedMemoryCarveout":            12050,
	"LaunchAttributePreferredClusterDimension":                12080,
	"LaunchAttributeNVLinkUtilCentricScheduling":              13000,
	"LaunchAttributeValue.SharedMemCarveout":                  12050,
	"LaunchAttributeValue.PreferredClusterDim":                12080,
	"Dim3.preferredClusterDim":                                12080,
	"JitOptionSplitCompile":                                   13000,
	"JitTargetCompute100":                                     12080,
	"JitTargetCompute120":                                     12080,
	"JitTargetCompute100A":                                    12080,
	"JitTargetCompute120A":                                    12080,
	"JitTargetCompute103":                                     12090,
	"JitTargetCompute121":                                     12090,
	"JitTargetCompute103A":                                    12090,
	"JitTargetCompute121A":                                    12090,
	"JitTargetCompute100F":                                    12090,
	"JitTargetCompute103F":                                    12090,
	"JitTargetCompute120F":                                    12090,
	"JitTargetCompute121F":                                    12090,
	"JitTargetCompute110":                                     13000,
	"JitTargetCompute110A":                                    13000,
	"JitTargetCompute110F":                                    13000,
	"TensorMapDataType16U4Align8B":                            12080,
	"TensorMapDataType16U4Align16B":                           12080,
	"TensorMapDataType16U6Align16B":                           12080,
	"TensorMapSwizzle128BAtom32B":                             12080,
	"TensorMapSwizzle128BAtom32BFlip8B":                       12080,
	"TensorMapSwizzle128BAtom64B":                             12080,
}

// newestClaimed is the newest version of the C API that the package says it has.
const newestClaimed = 13000

// leftOut are enumerators that deliberately have no Go constant: ends of lists,
// masks, and what C itself calls old. See also secondName.
func leftOut(name string) bool {
	for _, suffix := range []string{"_MAX", "_NUM_OPTIONS", "_V1", "_FLAGS_MASK", "_SCHED_MASK"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// goName applies the rule of the package's documentation to a C name.
func goName(c, cPrefix, goPrefix string) string {
	rest := strings.TrimPrefix(c, cPrefix)
	if goPrefix == "TensorMapL2Promotion" {
		rest = strings.TrimPrefix(rest, "L2_")
	}
	var b strings.Builder
	b.WriteString(goPrefix)
	for word := range strings.SplitSeq(rest, "_") {
		if s, ok := spelled[word]; ok {
			b.WriteString(s)
			continue
		}
		upper := true
		for _, r := range word {
			if upper {
				b.WriteRune(r)
			} else {
				b.WriteString(strings.ToLower(string(r)))
			}
			upper = r >= '0' && r <= '9'
		}
	}
	return b.String()
}

var spelled = func() map[string]string {
	m := map[string]string{
		"BFLOAT16": "BFloat16", "TFLOAT32": "TFloat32", "NAN": "NaN", "NVLINK": "NVLink",
		"MEMPOOL": "MemPool", "MEMOPS": "MemOps", "CTXS": "Ctxs", "DEVSIDE": "DevSide", "SHMEM": "ShMem",
		"TEXTURECUBEMAP": "TextureCubemap", "SURFACECUBEMAP": "SurfaceCubemap", "COREDUMP": "CoreDump",
		"CUCONTEXT": "CUContext",
	}
	for w := range strings.FieldsSeq("ID PCI ECC TCC GPU RDMA CUDA VMM NUMA DMA IPC POSIX KMT PTX JIT CG CA LTO FTZ FMA CTA SM API MPS HW CDP PC RPC OOB CIG IO LMEM") {
		m[w] = w
	}
	return m
}()

// facts is one file of testdata/abi.
type facts struct {
	name    string
	version int
	enums   map[string]map[string]int64 // type, enumerator
	macros  map[string]int64
	types   map[string][2]int64            // size, alignment
	fields  map[string]map[string][2]int64 // offset, size
	funcs   map[string]int64               // number of arguments
	today   map[string]string              // C function to exported name
}

func readFacts(t *testing.T) []facts {
	t.Helper()
	names, err := filepath.Glob("../../testdata/abi/cuda-*.txt")
	if err != nil || len(names) == 0 {
		t.Fatalf("no output of a real header in testdata/abi (%v)", err)
	}
	var all []facts
	for _, name := range names {
		all = append(all, readFile(t, name))
	}
	slices.SortFunc(all, func(a, b facts) int { return a.version - b.version })
	return all
}

func readFile(t *testing.T, name string) facts {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	f := facts{
		name: filepath.Base(name), enums: map[string]map[string]int64{}, macros: map[string]int64{}, types: map[string][2]int64{},
		fields: map[string]map[string][2]int64{}, funcs: map[string]int64{}, today: map[string]string{},
	}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		f.add(t, lines.Text())
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("cuda-%d.%d.txt", f.version/1000, f.version%1000/10); f.name != want {
		t.Errorf("%s is of version %d: name it %s", f.name, f.version, want)
	}
	return f
}

func (f *facts) add(t *testing.T, line string) {
	t.Helper()
	number := func(s string) int64 {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			t.Fatalf("%s: %q: %v", f.name, line, err)
		}
		return n
	}
	// C's void * is one word here.
	w := strings.Fields(strings.Replace(line, "void *", "void*", 1))
	switch {
	case len(w) == 2 && w[0] == "version":
		f.version = int(number(w[1]))
	case len(w) == 4 && w[0] == "type":
		f.types[w[1]] = [2]int64{number(w[2]), number(w[3])}
	case len(w) == 5 && w[0] == "field":
		if f.fields[w[1]] == nil {
			f.fields[w[1]] = map[string][2]int64{}
		}
		f.fields[w[1]][w[2]] = [2]int64{number(w[3]), number(w[4])}
	case len(w) == 3 && w[0] == "macro":
		f.macros[w[1]] = number(w[2])
	case len(w) == 4 && w[0] == "enum":
		if f.enums[w[1]] == nil {
			f.enums[w[1]] = map[string]int64{}
		}
		f.enums[w[1]][w[2]] = number(w[3])
	case len(w) > 3 && w[0] == "func":
		f.funcs[w[1]] = number(w[2])
	case len(w) == 3 && w[0] == "today":
		f.today[w[1]] = w[2]
	default:
		t.Fatalf("%s: cannot read %q", f.name, line)
	}
}

// noImports stands for the packages that this one imports: what the test looks
// at needs none of them.
type noImports struct{}

func (noImports) Import(path string) (*types.Package, error) {
	if path == "unsafe" {
		return types.Unsafe, nil
	}
	if path == "sort" || path == "strconv" {
		return importer.ForCompiler(token.NewFileSet(), "source", nil).Import(path)
	}
	return nil, fmt.Errorf("the test knows no import of %q", path)
}

// checked type-checks this package's source for an architecture.
func checked(t *testing.T, arch string) (*types.Package, types.Sizes) {
	t.Helper()
	fset := token.NewFileSet()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	sizes := types.SizesFor("gc", arch)
	pkg, err := (&types.Config{Importer: noImports{}, Sizes: sizes}).Check("abi", fset, files, nil)
	if err != nil {
		t.Fatal(err)
	}
	return pkg, sizes
}

// expect says whether a file must have something of ours, and fails if it is
// there or missing against the table since.
func (f *facts) expect(t *testing.T, name string, there bool) bool {
	t.Helper()
	first := since[name]
	if first > newestClaimed {
		t.Errorf("%s is of version %d, newer than newestClaimed", name, first)
	}
	if there != (f.version >= first) {
		t.Errorf("%s: %s: there: %v, but the table since says version %d", f.name, name, there, first)
	}
	return there
}

// TestConstants holds each exported constant against each file, and each
// enumerator of a mirrored enumeration against the constants.
func TestConstants(t *testing.T) {
	pkg, _ := checked(t, "amd64")
	for _, f := range readFacts(t) {
		t.Run(f.name, func(t *testing.T) {
			mirrored := map[string]string{} // Go constant to C name
			for _, e := range enums {
				if len(f.enums[e.cType]) == 0 {
					t.Errorf("no enumeration %s", e.cType)
				}
				for c, value := range f.enums[e.cType] {
					name := goName(c, e.c, e.g)
					obj, ok := pkg.Scope().Lookup(name).(*types.Const)
					if !ok || typeName(obj.Type()) != e.goType {
						if !leftOut(c) && !secondName(f, pkg, e.cType, c, value) {
							t.Errorf("%s %s = %d has no constant %s of type %s", e.cType, c, value, name, e.goType)
						}
						continue
					}
					mirrored[name] = c
					equal(t, obj, c, value)
				}
			}
			for name, c := range macros {
				if value, ok := f.macros[c]; ok {
					mirrored[name] = c
					equal(t, pkg.Scope().Lookup(name).(*types.Const), c, value)
				}
			}
			for _, name := range pkg.Scope().Names() {
				obj, ok := pkg.Scope().Lookup(name).(*types.Const)
				if ok && obj.Exported() && !slices.Contains(own, name) {
					_, there := mirrored[name]
					f.expect(t, name, there)
				}
			}
		})
	}
}

// secondName reports whether an enumerator is only another name for a value that
// has a constant of ours under its first name.
func secondName(f facts, pkg *types.Package, cType, c string, value int64) bool {
	for _, e := range enums {
		if e.cType != cType {
			continue
		}
		for other, v := range f.enums[cType] {
			if v == value && other != c && !leftOut(other) && pkg.Scope().Lookup(goName(other, e.c, e.g)) != nil {
				return true
			}
		}
	}
	return false
}

func typeName(t types.Type) string {
	if n, ok := t.(*types.Named); ok {
		return n.Obj().Name()
	}
	return t.String()
}

func equal(t *testing.T, obj *types.Const, c string, want int64) {
	t.Helper()
	if got, ok := constant.Int64Val(constant.ToInt(obj.Val())); !ok || got != want {
		t.Errorf("%s = %d, but %s = %d", obj.Name(), got, c, want)
	}
}

// TestLayouts holds each exported type against each file: size, alignment, and
// offset and size of every field, on the architectures that the driver runs on.
func TestLayouts(t *testing.T) {
	for _, arch := range []string{"amd64", "arm64"} {
		pkg, sizes := checked(t, arch)
		for _, f := range readFacts(t) {
			t.Run(f.name+"/"+arch, func(t *testing.T) {
				for _, name := range pkg.Scope().Names() {
					obj, ok := pkg.Scope().Lookup(name).(*types.TypeName)
					if ok && obj.Exported() && !slices.Contains(own, name) {
						checkType(t, &f, sizes, obj)
					}
				}
			})
		}
	}
}

func checkType(t *testing.T, f *facts, sizes types.Sizes, obj *types.TypeName) {
	t.Helper()
	name := obj.Name()
	if where, ok := members[name]; ok {
		for _, member := range where {
			_, there := f.fields["CUlaunchAttributeValue"][member]
			if f.expect(t, name+"."+member, there) {
				checkFields(t, f, sizes, obj, "CUlaunchAttributeValue", member+".")
			}
		}
		return
	}
	c := ctypes[name]
	for _, e := range enums {
		if e.goType == name {
			c = e.cType
		}
	}
	want, ok := f.types[c]
	if !ok {
		t.Errorf("%s stands for no C type (%q)", name, c)
		return
	}
	size, align := sizes.Sizeof(obj.Type()), sizes.Alignof(obj.Type())
	// A UUID is bytes on both sides. Go aligns to 8 at most, see TensorMap.
	if size != want[0] || align != want[1] && name != "TensorMap" {
		t.Errorf("%s: size %d, alignment %d; %s: %d, %d", name, size, align, c, want[0], want[1])
	}
	if name == "TensorMap" && (TensorMapAlignment%want[1] != 0 || size != 8*f.macros["CU_TENSOR_MAP_NUM_QWORDS"]) {
		t.Errorf("TensorMapAlignment is %d, C's %d", TensorMapAlignment, want[1])
	}
	if _, ok := obj.Type().Underlying().(*types.Struct); ok {
		checkFields(t, f, sizes, obj, c, "")
	}
	if name == "LaunchAttributeValue" {
		checkUnion(t, f, sizes, obj)
	}
}

// checkFields compares the fields of obj with those of the C type whose names
// begin with prefix, in both directions.
func checkFields(t *testing.T, f *facts, sizes types.Sizes, obj *types.TypeName, c, prefix string) {
	t.Helper()
	s := obj.Type().Underlying().(*types.Struct)
	var fields []*types.Var
	for i := range s.NumFields() {
		fields = append(fields, s.Field(i))
	}
	offsets := sizes.Offsetsof(fields)
	left := map[string][2]int64{}
	for cField, at := range f.fields[c] {
		if rest, ok := strings.CutPrefix(cField, prefix); ok {
			left[strings.ToLower(rest)] = at
		}
	}
	for i, field := range fields {
		if field.Name() == "_" {
			continue
		}
		name := obj.Name() + "." + field.Name()
		cField := fieldNames[name]
		if cField == "" {
			cField = field.Name()
		}
		want, there := left[strings.ToLower(cField)]
		if !f.expect(t, name, there) {
			continue
		}
		delete(left, strings.ToLower(cField))
		if got := [2]int64{offsets[i], sizes.Sizeof(field.Type())}; got != want {
			t.Errorf("%s: offset and size %d; %s.%s: %d", name, got, c, cField, want)
		}
	}
	for cField := range left {
		t.Errorf("%s.%s has no field in %s", c, cField, obj.Name())
	}
}

// checkUnion holds the methods of LaunchAttributeValue, one for each member of
// the union, against the members.
func checkUnion(t *testing.T, f *facts, sizes types.Sizes, obj *types.TypeName) {
	t.Helper()
	left := map[string][2]int64{}
	for cField, at := range f.fields["CUlaunchAttributeValue"] {
		if !strings.Contains(cField, ".") {
			left[strings.ToLower(cField)] = at
		}
	}
	methods := types.NewMethodSet(types.NewPointer(obj.Type()))
	for m := range methods.Methods() {
		name := strings.ToLower(m.Obj().Name())
		want, there := left[name]
		if !f.expect(t, obj.Name()+"."+m.Obj().Name(), there) {
			continue
		}
		delete(left, name)
		result := m.Type().(*types.Signature).Results().At(0).Type().(*types.Pointer).Elem()
		if got := [2]int64{0, sizes.Sizeof(result)}; got != want {
			t.Errorf("%s: offset and size %d, C: %d", m.Obj().Name(), got, want)
		}
	}
	for cField := range left {
		t.Errorf("CUlaunchAttributeValue.%s has no method", cField)
	}
}

// todaysOtherNames are methods whose symbol differs, on purpose, from the name
// that a header of this version or above gives the function.
var todaysOtherNames = map[string]struct {
	from, to int
	today    string
}{
	"DeviceGetUuid":    {0, 12990, "cuDeviceGetUuid"},             // binds _v2, which knows MIG
	"EventElapsedTime": {13000, 1 << 30, "cuEventElapsedTime_v2"}, // binds the older, with the same signature
	"LibraryGetKernel": {0, 1 << 30, "cuLibraryGetKernel"},        // has a second symbol
}

func TestSymbols(t *testing.T) {
	pkg, _ := checked(t, "amd64")
	api := pkg.Scope().Lookup("API").Type().Underlying().(*types.Interface)
	bound := map[string]bool{"MarkMemory": true} // no C function
	for _, s := range Symbols {
		bound[s.Method] = true
	}
	for m := range api.Methods() {
		if !bound[m.Name()] {
			t.Errorf("no symbol for the method %s", m.Name())
		}
		delete(bound, m.Name())
	}
	for m := range bound {
		t.Errorf("a symbol for %s, which is no method of API", m)
	}
	for _, f := range readFacts(t) {
		for _, s := range Symbols {
			args, ok := f.funcs[s.Name]
			other, differs := todaysOtherNames[s.Method]
			differs = differs && f.version >= other.from && f.version <= other.to
			switch {
			case int(s.Since) <= f.version && !ok && !differs:
				t.Errorf("%s: no function %s", f.name, s.Name)
			case int(s.Since) > f.version && ok:
				t.Errorf("%s: has %s, said to be of version %d", f.name, s.Name, s.Since)
			case ok && int(args) != s.Args:
				t.Errorf("%s: %s has %d arguments, not %d", f.name, s.Name, args, s.Args)
			}
			want := s.Name
			if differs {
				want = other.today
			}
			if today := f.today["cu"+s.Method]; today != want && int(s.Since) <= f.version {
				t.Errorf("%s: the header's name for cu%s is %s, the table says %s", f.name, s.Method, today, want)
			}
		}
	}
}

func TestResults(t *testing.T) {
	newest := readFacts(t)
	names := newest[len(newest)-1].enums["CUresult"]
	for i, r := range Results() {
		if i > 0 && r <= results[i-1].code {
			t.Errorf("results are not in order at %d", r)
		}
		if value, ok := names[r.Name()]; ok && Result(value) != r {
			t.Errorf("%s is %d, not %d", r.Name(), value, r)
		}
		if r.Meaning() == "" || r.String() != r.Name()+": "+r.Meaning() {
			t.Errorf("%d: %q", r, r)
		}
	}
	for name, value := range names {
		if Result(value).Name() != name && value <= int64(ErrorUnknown) {
			if newest[len(newest)-1].version <= newestClaimed {
				t.Errorf("Result(%d).Name() = %q, want %q", value, Result(value).Name(), name)
			}
		}
	}
	if got := Result(-1).String(); got != "CUresult(-1): a code of a newer driver" {
		t.Error(got)
	}
}
