package array

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// A floatRow is an operation on floats, with a reference in float64.
type floatRow[T Element] struct {
	name  string
	op    func(a, b *Array[T]) *Array[T]
	want  func(x, y float64) float64
	bound float64 // ulps; the reference's own error in float64 is among them
}

// looseBound is for functions that package math does not compute to a few ulps in
// float64: powers, and sines and cosines of huge numbers. The kernels' own tests
// compare with math/big.
func looseBound[T Element]() float64 {
	if typeOf[T]() == kernels.Float64 {
		return 2000
	}
	return 2
}

func unaryRow[T Element](name string, op func(a *Array[T]) *Array[T], want func(float64) float64, bound float64) floatRow[T] {
	return floatRow[T]{name, func(a, _ *Array[T]) *Array[T] { return op(a) }, func(x, _ float64) float64 { return want(x) }, bound}
}

func floatRows[T Element](two T) []floatRow[T] {
	var zero T
	return []floatRow[T]{
		{"Add", (*Array[T]).Add, func(x, y float64) float64 { return x + y }, 0.5},
		{"Sub", (*Array[T]).Sub, func(x, y float64) float64 { return x - y }, 0.5},
		{"Mul", (*Array[T]).Mul, func(x, y float64) float64 { return x * y }, 0.5},
		{"Div", (*Array[T]).Div, func(x, y float64) float64 { return x / y }, 0.5},
		{"Pow", (*Array[T]).Pow, power, looseBound[T]()},
		{"Minimum", (*Array[T]).Minimum, func(x, y float64) float64 { return min(x, y) }, 0},
		{"Maximum", (*Array[T]).Maximum, func(x, y float64) float64 { return max(x, y) }, 0},
		{"FMin", (*Array[T]).FMin, func(x, y float64) float64 { return numberOr(math.Min, x, y) }, 0},
		{"FMax", (*Array[T]).FMax, func(x, y float64) float64 { return numberOr(math.Max, x, y) }, 0},
		{"CopySign", (*Array[T]).CopySign, math.Copysign, 0},
		{"FMA", func(a, b *Array[T]) *Array[T] { return a.FMA(b, b) }, func(x, y float64) float64 { return math.FMA(x, y, y) }, 0.5},
		unaryRow("Neg", (*Array[T]).Neg, func(x float64) float64 { return -x }, 0),
		unaryRow("Abs", (*Array[T]).Abs, math.Abs, 0),
		unaryRow("Sign", (*Array[T]).Sign, sign, 0),
		unaryRow("Square", (*Array[T]).Square, func(x float64) float64 { return x * x }, 0.5),
		unaryRow("Reciprocal", (*Array[T]).Reciprocal, func(x float64) float64 { return 1 / x }, 0.5),
		unaryRow("Sqrt", (*Array[T]).Sqrt, math.Sqrt, 0.5),
		unaryRow("Rsqrt", (*Array[T]).Rsqrt, func(x float64) float64 { return 1 / math.Sqrt(x) }, 3),
		unaryRow("Exp", (*Array[T]).Exp, math.Exp, 3),
		unaryRow("Exp2", (*Array[T]).Exp2, math.Exp2, 3),
		unaryRow("Expm1", (*Array[T]).Expm1, math.Expm1, 3),
		unaryRow("Log", (*Array[T]).Log, math.Log, 3),
		unaryRow("Log2", (*Array[T]).Log2, func(x float64) float64 { return math.Log(x) / math.Ln2 }, 4),
		unaryRow("Log10", (*Array[T]).Log10, func(x float64) float64 { return math.Log(x) / math.Ln10 }, 4),
		unaryRow("Log1p", (*Array[T]).Log1p, math.Log1p, 3),
		unaryRow("Tanh", (*Array[T]).Tanh, math.Tanh, 4),
		unaryRow("Sigmoid", (*Array[T]).Sigmoid, func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }, 4),
		unaryRow("Sin", (*Array[T]).Sin, math.Sin, looseBound[T]()),
		unaryRow("Cos", (*Array[T]).Cos, math.Cos, looseBound[T]()),
		unaryRow("Floor", (*Array[T]).Floor, math.Floor, 0),
		unaryRow("Ceil", (*Array[T]).Ceil, math.Ceil, 0),
		unaryRow("Round", (*Array[T]).Round, math.RoundToEven, 0),
		unaryRow("Trunc", (*Array[T]).Trunc, math.Trunc, 0),
		unaryRow("AddScalar", func(a *Array[T]) *Array[T] { return a.AddScalar(two) }, func(x float64) float64 { return x + 2 }, 0.5),
		unaryRow("SubScalar", func(a *Array[T]) *Array[T] { return a.SubScalar(two) }, func(x float64) float64 { return x - 2 }, 0.5),
		unaryRow("MulScalar", func(a *Array[T]) *Array[T] { return a.MulScalar(two) }, func(x float64) float64 { return x * 2 }, 0.5),
		unaryRow("DivScalar", func(a *Array[T]) *Array[T] { return a.DivScalar(two) }, func(x float64) float64 { return x / 2 }, 0.5),
		unaryRow("PowScalar", func(a *Array[T]) *Array[T] { return a.PowScalar(two) }, func(x float64) float64 { return math.Pow(x, 2) }, looseBound[T]()),
		unaryRow("MinimumScalar", func(a *Array[T]) *Array[T] { return a.MinimumScalar(two) }, func(x float64) float64 { return min(x, 2) }, 0),
		unaryRow("Clip", func(a *Array[T]) *Array[T] { return a.Clip(zero, two) }, func(x float64) float64 { return min(max(x, 0), 2) }, 0),
		unaryRow("MaximumScalar", func(a *Array[T]) *Array[T] { return a.MaximumScalar(two) }, func(x float64) float64 { return max(x, 2) }, 0),
	}
}

func numberOr(f func(x, y float64) float64, x, y float64) float64 {
	switch {
	case math.IsNaN(x):
		return y
	case math.IsNaN(y):
		return x
	}
	return f(x, y)
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

// power is math.Pow, but for large exponents, of whose errors that makes a multiple:
// it squares in float64.
func power(x, y float64) float64 {
	p := math.Pow(x, y)
	whole, part := math.Modf(y)
	if p == 0 || p-p != 0 || math.Abs(whole) < 16 || math.Abs(whole) > math.MaxInt64/2 {
		return p
	}
	product, square := big.NewFloat(1).SetPrec(256), big.NewFloat(x).SetPrec(256)
	for n := uint64(math.Abs(whole)); n > 0; n >>= 1 {
		if n&1 == 1 {
			product.Mul(product, square)
		}
		square.Mul(square, square)
	}
	if y < 0 {
		product.Quo(big.NewFloat(1), product)
	}
	p, _ = product.Mul(product, big.NewFloat(math.Pow(x, part))).Float64()
	return p
}

func TestFloatOperations(t *testing.T) {
	rng := seeded(t)
	t.Run("float32", func(t *testing.T) {
		checkFloatRows(t, rng, floatRows(float32(2)), func(x float64) float32 { return float32(x) })
	})
	t.Run("float64", func(t *testing.T) { checkFloatRows(t, rng, floatRows(2.0), func(x float64) float64 { return x }) })
	t.Run("float16", func(t *testing.T) {
		checkFloatRows(t, rng, floatRows(F16(2)), func(x float64) Float16 { return F16(float32(x)) })
	})
	t.Run("bfloat16", func(t *testing.T) {
		checkFloatRows(t, rng, floatRows(BF16(2)), func(x float64) BFloat16 { return BF16(float32(x)) })
	})
}

func checkFloatRows[T Element](t *testing.T, rng *rand.Rand, rows []floatRow[T], from func(float64) T) {
	typ := typeOf[T]()
	draw := func() T { return from(anyFloat(rng)) }
	for _, row := range rows {
		for range 2 {
			a := newSample(t, rng, draw)
			b := broadcastable(t, rng, a.grid.shape, draw)
			got := values(t, row.op(a.array, b.array))
			i := 0
			a.grid.each(func(index []int) {
				x, y := scalarOf(a.at(index)).float(), scalarOf(b.at(index)).float()
				want := scalarOf(from(row.want(x, y))).float()
				// The result is rounded twice where the type is narrow.
				if g := scalarOf(got[i]).float(); ulps(typ, g, want) > math.Ceil(row.bound) {
					t.Errorf("%s(%v, %v) = %v, want %v", row.name, x, y, g, want)
				}
				i++
			})
			if t.Failed() {
				return
			}
		}
	}
}

func TestComparisons(t *testing.T) {
	rng := seeded(t)
	rows := []struct {
		name string
		op   func(a, b *Array[float32]) *Array[bool]
		want func(x, y float32) bool
	}{
		{"Equal", (*Array[float32]).Equal, func(x, y float32) bool { return x == y }},
		{"NotEqual", (*Array[float32]).NotEqual, func(x, y float32) bool { return x != y }},
		{"Less", (*Array[float32]).Less, func(x, y float32) bool { return x < y }},
		{"LessEqual", (*Array[float32]).LessEqual, func(x, y float32) bool { return x <= y }},
		{"Greater", (*Array[float32]).Greater, func(x, y float32) bool { return x > y }},
		{"GreaterEqual", (*Array[float32]).GreaterEqual, func(x, y float32) bool { return x >= y }},
		{"EqualScalar", func(a, _ *Array[float32]) *Array[bool] { return a.EqualScalar(1) }, func(x, _ float32) bool { return x == 1 }},
		{"NotEqualScalar", func(a, _ *Array[float32]) *Array[bool] { return a.NotEqualScalar(1) }, func(x, _ float32) bool { return x != 1 }},
		{"LessScalar", func(a, _ *Array[float32]) *Array[bool] { return a.LessScalar(1) }, func(x, _ float32) bool { return x < 1 }},
		{"LessEqualScalar", func(a, _ *Array[float32]) *Array[bool] { return a.LessEqualScalar(1) }, func(x, _ float32) bool { return x <= 1 }},
		{"GreaterScalar", func(a, _ *Array[float32]) *Array[bool] { return a.GreaterScalar(1) }, func(x, _ float32) bool { return x > 1 }},
		{"GreaterEqualScalar", func(a, _ *Array[float32]) *Array[bool] { return a.GreaterEqualScalar(1) }, func(x, _ float32) bool { return x >= 1 }},
		{"IsNaN", func(a, _ *Array[float32]) *Array[bool] { return a.IsNaN() }, func(x, _ float32) bool { return x != x }},
		{"IsInf", func(a, _ *Array[float32]) *Array[bool] { return a.IsInf() }, func(x, _ float32) bool { return math.IsInf(float64(x), 0) }},
		{"IsFinite", func(a, _ *Array[float32]) *Array[bool] { return a.IsFinite() }, func(x, _ float32) bool { return x-x == 0 }},
	}
	draw := func() float32 {
		return []float32{0, 1, -1, 2, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}[rng.IntN(7)]
	}
	for _, row := range rows {
		a := newSample(t, rng, draw)
		b := broadcastable(t, rng, a.grid.shape, draw)
		got := values(t, row.op(a.array, b.array))
		i := 0
		a.grid.each(func(index []int) {
			if x, y := a.at(index), b.at(index); got[i] != row.want(x, y) {
				t.Errorf("%s(%v, %v) = %v", row.name, x, y, got[i])
			}
			i++
		})
	}
}

// integer is the element types with Go's integer arithmetic.
type integer interface {
	int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64
}

func TestIntegerOperations(t *testing.T) {
	rng := seeded(t)
	t.Run("int8", func(t *testing.T) { checkIntegers[int8](t, rng) })
	t.Run("int16", func(t *testing.T) { checkIntegers[int16](t, rng) })
	t.Run("int32", func(t *testing.T) { checkIntegers[int32](t, rng) })
	t.Run("int64", func(t *testing.T) { checkIntegers[int64](t, rng) })
	t.Run("uint8", func(t *testing.T) { checkIntegers[uint8](t, rng) })
	t.Run("uint16", func(t *testing.T) { checkIntegers[uint16](t, rng) })
	t.Run("uint32", func(t *testing.T) { checkIntegers[uint32](t, rng) })
	t.Run("uint64", func(t *testing.T) { checkIntegers[uint64](t, rng) })
}

func checkIntegers[T interface {
	Element
	integer
}](t *testing.T, rng *rand.Rand) {
	draw := func() T {
		if rng.IntN(2) == 0 {
			return T(rng.IntN(7)) - 3
		}
		return T(rng.Uint64() >> rng.IntN(64))
	}
	rows := []struct {
		name string
		op   func(a, b *Array[T]) *Array[T]
		want func(x, y T) T
	}{
		{"Add", (*Array[T]).Add, func(x, y T) T { return x + y }},
		{"Sub", (*Array[T]).Sub, func(x, y T) T { return x - y }},
		{"Mul", (*Array[T]).Mul, func(x, y T) T { return x * y }},
		{"Div", (*Array[T]).Div, func(x, y T) T {
			if y == 0 {
				return 0
			}
			return x / y
		}},
		{"FloorDivide", (*Array[T]).FloorDivide, floorDivide[T]},
		{"Remainder", (*Array[T]).Remainder, func(x, y T) T {
			if y == 0 {
				return 0
			}
			return x - y*floorDivide(x, y)
		}},
		{"Minimum", (*Array[T]).Minimum, func(x, y T) T { return min(x, y) }},
		{"Maximum", (*Array[T]).Maximum, func(x, y T) T { return max(x, y) }},
		{"BitwiseAnd", (*Array[T]).BitwiseAnd, func(x, y T) T { return x & y }},
		{"BitwiseOr", (*Array[T]).BitwiseOr, func(x, y T) T { return x | y }},
		{"BitwiseXor", (*Array[T]).BitwiseXor, func(x, y T) T { return x ^ y }},
		{"BitwiseInvert", func(a, _ *Array[T]) *Array[T] { return a.BitwiseInvert() }, func(x, _ T) T { return ^x }},
		{"Neg", func(a, _ *Array[T]) *Array[T] { return a.Neg() }, func(x, _ T) T { return -x }},
		{"Square", func(a, _ *Array[T]) *Array[T] { return a.Square() }, func(x, _ T) T { return x * x }},
		{"Abs", func(a, _ *Array[T]) *Array[T] { return a.Abs() }, func(x, _ T) T {
			if x < 0 {
				return -x
			}
			return x
		}},
		{"BitwiseLeftShift", (*Array[T]).BitwiseLeftShift, func(x, y T) T {
			if y < 0 {
				return 0
			}
			return x << uint64(y)
		}},
	}
	for _, row := range rows {
		a := newSample(t, rng, draw)
		b := broadcastable(t, rng, a.grid.shape, draw)
		got := values(t, row.op(a.array, b.array))
		i := 0
		a.grid.each(func(index []int) {
			if x, y := a.at(index), b.at(index); got[i] != row.want(x, y) {
				t.Errorf("%s(%v, %v) = %v, want %v", row.name, x, y, got[i], row.want(x, y))
			}
			i++
		})
	}
}

func floorDivide[T integer](x, y T) T {
	if y == 0 {
		return 0
	}
	q := x / y
	if q*y != x && (x < 0) != (y < 0) {
		q--
	}
	return q
}

func TestLogicalOperations(t *testing.T) {
	x := FromSlice(dev, []bool{false, false, true, true})
	y := FromSlice(dev, []bool{false, true, false, true})
	for _, c := range []struct {
		name string
		got  *Array[bool]
		want [4]bool
	}{
		{"and", x.LogicalAnd(y), [4]bool{false, false, false, true}},
		{"or", x.LogicalOr(y), [4]bool{false, true, true, true}},
		{"xor", x.LogicalXor(y), [4]bool{false, true, true, false}},
		{"not", x.LogicalNot(), [4]bool{true, true, false, false}},
		{"less", x.Less(y), [4]bool{false, true, false, false}},
		{"right shift", Cast[bool](Cast[int32](x).BitwiseRightShift(Cast[int32](y))), [4]bool{false, false, true, false}},
	} {
		if got := values(t, c.got); [4]bool(got) != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWhereBroadcasts(t *testing.T) {
	rng := seeded(t)
	for range 20 {
		cond := newSample(t, rng, func() bool { return rng.IntN(2) == 0 })
		a := broadcastable(t, rng, cond.grid.shape, func() int16 { return int16(rng.Uint32()) })
		b := broadcastable(t, rng, cond.grid.shape, func() int16 { return int16(rng.Uint32()) })
		got := values(t, Where(cond.array, a.array, b.array))
		i := 0
		cond.grid.each(func(index []int) {
			want := b.at(index)
			if cond.at(index) {
				want = a.at(index)
			}
			if got[i] != want {
				t.Fatalf("Where at %v = %v, want %v", index, got[i], want)
			}
			i++
		})
	}
}

func TestCast(t *testing.T) {
	x := FromSlice(dev, []float64{0, 1.9, -1.9, 300, -300, 1e20, -1e20, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1)})
	i8 := values(t, Cast[int8](x))
	for i, want := range []int8{0, 1, -1, 127, -128, 127, -128, 0, 127, -128, 0} {
		if i8[i] != want {
			t.Errorf("int8 of element %d: %d, want %d", i, i8[i], want)
		}
	}
	u64 := values(t, Cast[uint64](x))
	for i, want := range []uint64{0, 1, 0, 300, 0, math.MaxUint64, 0, 0, math.MaxUint64, 0, 0} {
		if u64[i] != want {
			t.Errorf("uint64 of element %d: %d, want %d", i, u64[i], want)
		}
	}
	b := values(t, Cast[bool](x))
	for i, want := range []bool{false, true, true, true, true, true, true, true, true, true, false} {
		if b[i] != want {
			t.Errorf("bool of element %d: %v, want %v", i, b[i], want)
		}
	}
	w := values(t, Cast[uint8](FromSlice(dev, []int64{-1, 256, 511})))
	if [3]uint8(w) != [3]uint8{255, 0, 255} {
		t.Errorf("integers should wrap: %v", w)
	}
	y := Cast[float64](x)
	y.Free()
	if x.Err() != nil {
		t.Error("Free of a cast to the same type freed its operand")
	}
}

// What Clip does where comparing does not say it: NaN, and a range that is empty.
func TestClip(t *testing.T) {
	x := FromSlice(dev, []float32{float32(math.NaN()), float32(math.Inf(1)), -3, 0.5})
	got := values(t, x.Clip(-1, 2))
	if want := [3]float32{2, -1, 0.5}; got[0] == got[0] || [3]float32(got[1:]) != want {
		t.Errorf("got %v, want NaN and %v", got, want)
	}
	got = values(t, x.Slice(R(1, End)).Clip(2, 1))
	if want := [3]float32{1, 1, 1}; [3]float32(got) != want {
		t.Errorf("to an empty range: %v, want %v", got, want)
	}
	u := values(t, FromSlice(dev, []uint64{0, 1 << 60, math.MaxUint64}).Clip(5, 1<<63))
	if want := [3]uint64{5, 1 << 60, 1 << 63}; [3]uint64(u) != want {
		t.Errorf("uint64: %v, want %v", u, want)
	}
}

func TestUnsupportedTypes(t *testing.T) {
	b, i, u := Ones[bool](dev, 2), Ones[int32](dev, 2), Ones[uint8](dev, 2)
	f := Ones[float32](dev, 2)
	for _, c := range []struct {
		name string
		err  error
	}{
		{"Add of bool", b.Add(b).Err()},
		{"Exp of int32", i.Exp().Err()},
		{"LogicalAnd of float32", f.LogicalAnd(f).Err()},
		{"BitwiseAnd of float32", f.BitwiseAnd(f).Err()},
		{"Sum of uint8", u.Sum().Err()},
		{"Sum of bool", b.Sum().Err()},
		{"Prod of int8", Ones[int8](dev, 2).Prod().Err()},
		{"Mean of int32", i.Mean().Err()},
		{"Max of bool", b.Max().Err()},
		{"Var of int32", i.Var().Err()},
		{"Softmax of int32", i.Softmax(0).Err()},
		{"MatMul of bool", b.MatMul(b).Err()},
		{"Dot of uint8", u.Dot(u).Err()},
		{"SumAs[int8]", SumAs[int8](i).Err()},
		{"SumAs[int64] of float32", SumAs[int64](f).Err()},
		{"MeanAs[int64]", MeanAs[int64](i).Err()},
		{"Arange of bool", Arange(dev, false, true, true).Err()},
		{"Linspace of int32", Linspace[int32](dev, 0, 1, 2).Err()},
		{"Uniform of int32", Uniform[int32](NewRand(dev, 1), 2).Err()},
	} {
		if !errors.Is(c.err, ErrType) {
			t.Errorf("%s: %v, want ErrType", c.name, c.err)
		}
	}
}
