package array

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed6486a2bb/gpuarray/internal/abi/abitest"
	"github.com/seed6486a2bb/gpuarray/internal/sim"
)

// TestRoundedAfterEachOperation compares fused operations on 16-bit types, before a
// sum too, with the same in Go, each result rounded.
func TestRoundedAfterEachOperation(t *testing.T) {
	t.Run("Float16", func(t *testing.T) { roundedEachTime(t, F16, Float16.Float32) })
	t.Run("BFloat16", func(t *testing.T) { roundedEachTime(t, BF16, BFloat16.Float32) })
}

func roundedEachTime[T Element](t *testing.T, round func(float32) T, wide func(T) float32) {
	d, api := newRecorded(t)
	rng := seeded(t)
	const n = 500
	var data [3][]T
	var arrays [3]*Array[T]
	for k := range data {
		for range n {
			data[k] = append(data[k], round(float32(rng.NormFloat64())))
		}
		arrays[k] = FromSlice(d, data[k])
	}
	d.Sync()
	counted(api)
	got := values(t, arrays[0].Mul(arrays[1]).Add(arrays[2]))
	if launches := counted(api)["LaunchKernel"]; launches != 1 {
		t.Errorf("%d launches, want 1", launches)
	}
	once, products := 0, make([]T, n)
	for i := range n {
		x, y, z := wide(data[0][i]), wide(data[1][i]), wide(data[2][i])
		products[i] = round(x * y)
		want := round(wide(products[i]) + z)
		if got[i] != want {
			t.Fatalf("%v·%v + %v is %v, want %v", x, y, z, got[i], want)
		}
		if round(x*y+z) != want {
			once++
		}
	}
	if once == 0 {
		t.Error("no element tells rounding twice from rounding once")
	}
	sum, of := values(t, arrays[0].Mul(arrays[1]).Sum()), values(t, FromSlice(d, products).Sum())
	if sum[0] != of[0] {
		t.Errorf("a sum of products is %v; of rounded products %v", sum[0], of[0])
	}
}

// TestNotContracted subtracts products from themselves: a fused multiply-add would
// leave the product's rounding error.
func TestNotContracted(t *testing.T) {
	d, _ := newRecorded(t)
	rng := seeded(t)
	a, b := make([]float64, 1000), make([]float64, 1000)
	for i := range a {
		a[i], b[i] = rng.NormFloat64(), rng.NormFloat64()
	}
	notContracted(t, FromSlice(d, a), FromSlice(d, b))
	notContracted(t, Cast[float32](FromSlice(d, a)).Eval(), Cast[float32](FromSlice(d, b)).Eval())
}

func notContracted[T float32 | float64](t *testing.T, x, y *Array[T]) {
	t.Helper()
	product := x.Mul(y).Eval()
	fused, exact := values(t, x.Mul(y).Sub(product)), values(t, x.FMA(y, product.Neg()))
	errors := 0
	for i := range fused {
		if fused[i] != 0 {
			t.Fatalf("element %d of xy − xy is %v", i, fused[i])
		}
		if exact[i] != 0 {
			errors++
		}
	}
	if errors == 0 {
		t.Error("no product was rounded")
	}
	if sum, err := x.Mul(y).Sub(product).Abs().Sum().Item(); sum != 0 || err != nil {
		t.Errorf("the sum of |xy − xy| is %v, %v", sum, err)
	}
}

// TestCastPairs casts there and back in one kernel.
func TestCastPairs(t *testing.T) {
	d, api := newRecorded(t)
	x, k := FromSlice(d, []float32{1.75, -2.5, 65520, 0.1}), FromSlice(d, []int32{1<<24 + 1, -7, 300, 0})
	d.Sync()
	counted(api)
	trunc, half := values(t, Cast[float32](Cast[int32](x))), values(t, Cast[float32](Cast[Float16](x)))
	through, narrow := values(t, Cast[int32](Cast[float32](k))), values(t, Cast[int32](Cast[uint8](k)))
	if n := counted(api)["LaunchKernel"]; n != 4 {
		t.Errorf("%d launches, want 4", n)
	}
	for i, x := range []float32{1.75, -2.5, 65520, 0.1} {
		if want := F16(x).Float32(); half[i] != want || trunc[i] != float32(int32(x)) {
			t.Errorf("%v through float16 is %v, through int32 %v", x, half[i], trunc[i])
		}
	}
	for i, k := range []int32{1<<24 + 1, -7, 300, 0} {
		if through[i] != int32(float32(k)) || narrow[i] != int32(uint8(k)) {
			t.Errorf("%d through float32 is %d, through uint8 %d", k, through[i], narrow[i])
		}
	}
}

// TestAssignReadsItsDestination assigns expressions that read their destination: in
// place, in another order, and shifted.
func TestAssignReadsItsDestination(t *testing.T) {
	d, _ := newRecorded(t)
	const n = 3000
	for _, c := range []struct {
		name   string
		assign func(x *Array[int32]) error
		want   func(i int32) int32
	}{
		{"in place", func(x *Array[int32]) error { return x.Assign(x.MulScalar(2).Add(x)) }, func(i int32) int32 { return 3 * i }},
		{"backwards", func(x *Array[int32]) error { return x.Assign(x.Flip().AddScalar(1)) }, func(i int32) int32 { return n - i }},
		{"to a view", func(x *Array[int32]) error { return x.Flip().Assign(x.AddScalar(1)) }, func(i int32) int32 { return n - i }},
		{"shifted up", func(x *Array[int32]) error { return x.Slice(R(1, n)).Assign(x.Slice(R(0, n-1)).MulScalar(1)) }, func(i int32) int32 { return max(i-1, 0) }},
		{"shifted down", func(x *Array[int32]) error { return x.Slice(R(0, n-1)).Assign(x.Slice(R(1, n)).Neg()) }, func(i int32) int32 { return map[bool]int32{true: -i - 1, false: i}[i < n-1] }},
		{"both", func(x *Array[int32]) error { return x.Assign(x.Add(x.Flip())) }, func(int32) int32 { return n - 1 }},
		{"what was recorded before keeps its value", func(x *Array[int32]) error {
			before := x.AddScalar(5)
			return errors.Join(x.Fill(0), x.Assign(before))
		}, func(i int32) int32 { return i + 5 }},
	} {
		x := Arange[int32](d, 0, n, 1)
		if err := c.assign(x); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, v := range values(t, x) {
			if want := c.want(int32(i)); v != want {
				t.Errorf("%s: element %d is %d, want %d", c.name, i, v, want)
				break
			}
		}
	}
}

// TestSecondUse evaluates a structure again over other arrays: no
// module is loaded.
func TestSecondUse(t *testing.T) {
	api := abitest.Wrap(sim.New(sim.Options{Workers: 1}))
	d, err := openAPI(api)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	programs := map[string]func(x, y *Array[float32]) *Array[float32]{
		"a chain":     func(x, y *Array[float32]) *Array[float32] { return x.Mul(y).Add(x).Tanh() },
		"a view":      func(x, y *Array[float32]) *Array[float32] { return x.Sub(y.Transpose()).Exp() },
		"a row":       func(x, y *Array[float32]) *Array[float32] { return x.Mul(y.Slice(I(0))).MulScalar(3) },
		"an epilogue": func(x, y *Array[float32]) *Array[float32] { return x.MatMul(y).Add(y).Tanh() },
		"two outputs": func(x, y *Array[float32]) *Array[float32] { e := x.Mul(y).Exp().Exp(); e.Neg(); return e.Abs() },
		"a sum":       func(x, y *Array[float32]) *Array[float32] { return x.Sub(y).Square().Sum(-1).Eval() },
	}
	r := NewRand(d, 1)
	for name, program := range programs {
		for i := range 2 {
			const n = 64
			x, y := Normal[float32](r, n, n), Normal[float32](r, n, n)
			d.Sync()
			api.Record(abitest.RecordNames)
			if err := program(x, y).Eval().Err(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			calls := counted(api)
			for call, count := range calls {
				if i > 0 && (strings.Contains(call, "Module") || strings.Contains(call, "Library")) {
					t.Errorf("%s, the second time: %d calls of %s", name, count, call)
				}
			}
		}
	}
}

// TestEvalAllocates counts the Go allocations of evaluating what was recorded: the
// storage and the weak pointer by which it is found.
func TestEvalAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes pools allocate")
	}
	t.Setenv("GPUARRAY_NO_CACHE", "") // whose blocks are the driver's, each an object
	d, err := openAPI(abitest.Idle{API: sim.New(sim.Options{Workers: 1})})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.sh.announces = false // as on a GPU
	x, y := Ones[float32](d, 64, 64), Ones[float32](d, 64, 64)
	const runs = 50
	for name, record := range map[string]func() *Array[float32]{
		"a chain": func() *Array[float32] { return x.Mul(y).Add(x).Tanh() },
		"a view":  func() *Array[float32] { return x.Sub(y.Transpose()).Exp() },
	} {
		record().Eval().Free()
		var arrays []*Array[float32]
		for range runs + 1 {
			arrays = append(arrays, record())
		}
		i := 0
		if n := testing.AllocsPerRun(runs, func() { arrays[i].Eval().Free(); i++ }); n > 3 {
			t.Errorf("%s: evaluating it allocates %v times, want 3 at most", name, n)
		}
	}
}
