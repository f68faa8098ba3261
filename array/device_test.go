package array

import (
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed6486a2bb/gpuarray/driver"
	"github.com/seed6486a2bb/gpuarray/internal/abi"
	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

// TestKernelsAreAssembledOnce asks for one kernel from many goroutines at a time.
func TestKernelsAreAssembledOnce(t *testing.T) {
	d, api := newRecorded(t)
	x := Ones[float32](d, 10)
	counted(api)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := x.Tanh().Eval().Err(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := counted(api)["ModuleLoadDataEx"]; n != 1 {
		t.Errorf("a kernel was assembled %d times", n)
	}
}

// TestHugeArrays has more elements than 32 bits count, where there is a GPU with
// the memory for it.
func TestHugeArrays(t *testing.T) {
	const n = 1<<32 + 100
	if dev.Simulated() || dev.sh.total < 32<<30 || testing.Short() {
		t.Skip("needs a GPU with 32 GiB")
	}
	x := Full(dev, int8(3), n)
	defer x.Free()
	if err := x.Slice(R(n-2, End)).Fill(-5); err != nil {
		t.Fatal(err)
	}
	y := x.Flip().AddScalar(1)
	defer y.Free()
	head := values(t, y.Slice(R(0, 4)))
	if [4]int8(head) != [4]int8{-4, -4, 4, 4} {
		t.Errorf("the first elements of the reversed array are %v", head)
	}
	if sum := values(t, SumAs[int64](y))[0]; sum != 4*(n-2)-8 {
		t.Errorf("the sum is %d, want %d", sum, int64(4*(n-2)-8))
	}
	if at := values(t, x.ArgMin())[0]; at != n-2 {
		t.Errorf("the least element is at %d, want %d", at, int64(n-2))
	}
	rows := y.Reshape(-1, 4).Max(-1)
	defer rows.Free()
	if got := values(t, rows.Slice(R(0, 2))); rows.Size() != n/4 || got[0] != 4 {
		t.Errorf("%d maxima of rows, the first are %v", rows.Size(), got)
	}
}

// TestHalvesRoundOnce shows that composite operations on 16-bit types compute in
// float32 and round their result. The last bits of that may differ from float32's own,
// as its exponential is another, and so may the rounding of what lies next to a tie.
func TestHalvesRoundOnce(t *testing.T) {
	rng := seeded(t)
	half := newSampleOf(t, rng, []int{5, 40}, 0, func() Float16 { return F16(float32(rng.NormFloat64())) })
	single := FromSlice(dev, values(t, Cast[float32](half.array)), 5, 40)
	for _, c := range []struct {
		name string
		got  *Array[Float16]
		want *Array[float32]
	}{
		{"Softmax", half.array.Softmax(-1), single.Softmax(-1)},
		{"Var", half.array.Var(0), single.Var(0)},
		{"Std", half.array.Std(), single.Std()},
		{"Mean", half.array.Mean(1), single.Mean(1)},
		{"Dot", half.array.Flatten().Dot(half.array.Flatten()), single.Flatten().Dot(single.Flatten())},
		{"MatMul", half.array.MatMul(half.array.Transpose()), single.MatMul(single.Transpose())},
	} {
		want := values(t, c.want)
		for i, got := range values(t, c.got) {
			const near = 0x1p-17
			one, other := F16(want[i]*(1-near)).Float32(), F16(want[i]*(1+near)).Float32()
			if got := got.Float32(); got < min(one, other) || got > max(one, other) {
				t.Fatalf("%s: element %d is %v, want %v rounded once", c.name, i, got, want[i])
			}
		}
	}
}

// oldGPU reports a compute capability of 7.0.
type oldGPU struct{ abi.API }

func (g oldGPU) DeviceGetAttribute(a abi.DeviceAttribute, d abi.Device) (int32, abi.Result) {
	switch a {
	case abi.DeviceAttributeComputeCapabilityMajor:
		return 7, abi.Success
	case abi.DeviceAttributeComputeCapabilityMinor:
		return 0, abi.Success
	}
	return g.API.DeviceGetAttribute(a, d)
}

func TestOldGPU(t *testing.T) {
	api := abitest.Wrap(oldGPU{sim.New(sim.Options{Workers: 1})})
	d, err := openAPI(api)
	if !errors.Is(err, ErrDevice) || !strings.Contains(err.Error(), "has compute capability 7.0, and at least 7.5 is needed") {
		t.Errorf("a GPU of compute capability 7.0: %v, %v", d, err)
	}
	if leaks := api.Leaks(); leaks != "" {
		t.Errorf("leaks:\n%s", leaks)
	}
	drv, err := driver.OpenAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := openGPU(drv, 0); err == nil || strings.Contains(err.Error(), "nvidia-smi") {
		t.Errorf("Open: %v", err)
	}
}

// versioned is a driver of a CUDA version.
type versioned struct {
	abi.API
	version int32
}

func (v versioned) DriverGetVersion() (int32, abi.Result) { return v.version, abi.Success }

// TestOldDriver: a driver that does not know the PTX of clusters is given none, and
// the result is the same.
func TestOldDriver(t *testing.T) {
	var want []float32
	for _, c := range []struct {
		version      int32
		capability   int
		cc, launches int
	}{{12040, 90, 90, 1}, {12010, 90, 90, 1}, {12000, 90, 89, 4}, {11080, 90, 89, 4}, {12000, 80, 80, 4}} {
		api := abitest.Wrap(versioned{sim.New(sim.Options{Workers: 1, ComputeCapability: c.capability}), c.version})
		d, err := openAPI(api)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float32, 40000)
		for i := range x {
			x[i] = float32(i%100) / 8
		}
		s := FromSlice(d, x, len(x)).Softmax(0)
		got := values(t, s)
		if n := d.Stats().Launches; d.sh.cc != c.cc || n != uint64(c.launches) {
			t.Errorf("a driver of CUDA %d and a device of %d: kernels for %d, %d launches", c.version, c.capability, d.sh.cc, n)
		}
		if want == nil {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Errorf("a driver of CUDA %d and a device of %d: another result", c.version, c.capability)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestDeviceString(t *testing.T) {
	for d, want := range map[*Device]string{nil: "no device", new(Device): "no device"} {
		if got := d.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if s := dev.String(); strings.Contains(s, "simulated") != dev.Simulated() || !strings.Contains(s, "compute capability") {
		t.Errorf("String is %q", s)
	}
}

func TestScalarsOfTypes(t *testing.T) {
	for _, c := range []struct {
		got  float64
		want float64
	}{
		{scalarOf(int8(-3)).float(), -3}, {scalarOf(uint8(200)).float(), 200}, {scalarOf(int16(-300)).float(), -300},
		{scalarOf(uint16(60000)).float(), 60000}, {scalarOf(int32(math.MinInt32)).float(), math.MinInt32}, {scalarOf(uint32(math.MaxUint32)).float(), math.MaxUint32},
		{scalarOf(int64(math.MinInt64)).float(), math.MinInt64}, {scalarOf(uint64(math.MaxUint64)).float(), math.MaxUint64},
		{scalarOf(float32(0.5)).float(), 0.5}, {scalarOf(-0.1).float(), -0.1}, {scalarOf(F16(-2)).float(), -2}, {scalarOf(BF16(3)).float(), 3},
		{scalarOf(true).float(), 1}, {scalarOf(false).float(), 0},
	} {
		if c.got != c.want {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
	for _, typ := range allTypes() {
		if got := number(typ, 1).float(); got != 1 {
			t.Errorf("1 as %v is %v", typ, got)
		}
	}
}

func allTypes() []kernels.Type {
	return []kernels.Type{kernels.Bool, kernels.Int8, kernels.Int16, kernels.Int32, kernels.Int64, kernels.Uint8, kernels.Uint16, kernels.Uint32, kernels.Uint64,
		kernels.Float16, kernels.BFloat16, kernels.Float32, kernels.Float64}
}
