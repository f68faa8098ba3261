package gonumgpu_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/array/gonumgpu"
)

func open(t *testing.T) *array.Device {
	t.Helper()
	dev, err := array.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	})
	return dev
}

// opaque is a matrix that says nothing of how its elements lie.
type opaque struct{ m mat.Matrix }

func (o opaque) Dims() (int, int)    { return o.m.Dims() }
func (o opaque) At(i, j int) float64 { return o.m.At(i, j) }
func (o opaque) T() mat.Matrix       { return mat.Transpose{Matrix: o} }

// matrices returns one of each kind of matrix that gonum has.
func matrices(rng *rand.Rand, rows, columns int) map[string]mat.Matrix {
	numbers := func(n int) []float64 {
		data := make([]float64, n)
		for i := range data {
			data[i] = rng.NormFloat64()
		}
		return data
	}
	dense := mat.NewDense(rows, columns, numbers(rows*columns))
	larger := mat.NewDense(rows+3, columns+2, numbers((rows+3)*(columns+2)))
	view := larger.Slice(1, rows+1, 2, columns+2)
	vector := mat.NewVecDense(rows, numbers(rows))
	n := rows
	return map[string]mat.Matrix{
		"Dense":                       dense,
		"Dense transposed":            dense.T(),
		"Dense transposed twice":      mat.Transpose{Matrix: dense.T()},
		"view":                        view,
		"view transposed":             view.T(),
		"view of a view":              view.(*mat.Dense).Slice(0, rows, 0, 1),
		"row of a Dense":              larger.RowView(1),
		"column of a Dense":           larger.ColView(1),
		"column of a Dense as a row":  larger.ColView(1).T(),
		"VecDense":                    vector,
		"VecDense transposed":         vector.T(),
		"SymDense":                    mat.NewSymDense(n, numbers(n*n)),
		"TriDense":                    mat.NewTriDense(n, mat.Lower, numbers(n*n)),
		"TriDense transposed":         mat.NewTriDense(n, mat.Upper, numbers(n*n)).T(),
		"BandDense":                   mat.NewBandDense(n, n, 0, 0, numbers(n)),
		"DiagDense":                   mat.NewDiagDense(n, numbers(n)),
		"SymBandDense":                mat.NewSymBandDense(n, 0, numbers(n)),
		"no slice behind":             opaque{view},
		"no slice behind, transposed": opaque{view}.T(),
		"special values":              mat.NewDense(2, 3, []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5e-324, math.MaxFloat64}),
	}
}

func TestFromMatrix(t *testing.T) {
	dev := open(t)
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 0))
	for _, size := range [][2]int{{1, 1}, {1, 7}, {5, 1}, {4, 4}, {31, 17}, {257, 130}} {
		for name, m := range matrices(rng, size[0], size[1]) {
			t.Run(fmt.Sprintf("%s %dx%d seed %d", name, size[0], size[1], seed), func(t *testing.T) {
				checkMatrix(t, dev, m, func(x float64) float64 { return x })
				checkMatrix(t, dev, m, func(x float64) float32 { return float32(x) })
			})
		}
	}
}

// checkMatrix sends m to the device and back and looks at each element.
func checkMatrix[T gonumgpu.Float](t *testing.T, dev *array.Device, m mat.Matrix, round func(float64) T) {
	t.Helper()
	a := gonumgpu.FromMatrix[T](dev, m)
	back, err := gonumgpu.ToDense(a)
	if err != nil {
		t.Fatal(err)
	}
	rows, columns := m.Dims()
	if r, c := back.Dims(); r != rows || c != columns {
		t.Fatalf("came back as %d × %d, was %d × %d", r, c, rows, columns)
	}
	for i := range rows {
		for j := range columns {
			got, want := back.At(i, j), float64(round(m.At(i, j)))
			if math.Float64bits(got) != math.Float64bits(want) && !(got != got && want != want) {
				t.Fatalf("element (%d, %d) came back as %v, was %v", i, j, got, want)
			}
		}
	}
	a.Free()
	if err := a.Err(); !errors.Is(err, array.ErrFreed) {
		t.Errorf("after Free: %v; the array is not the owner of its memory", err)
	}
}

func TestFromVector(t *testing.T) {
	dev := open(t)
	m := mat.NewDense(5, 4, nil)
	m.Apply(func(i, j int, _ float64) float64 { return float64(10*i + j) }, m)
	for name, v := range map[string]mat.Vector{
		"VecDense":          mat.NewVecDense(3, []float64{1, 2, 3}),
		"row":               m.RowView(2),
		"column":            m.ColView(2),
		"part of a column":  m.ColView(1).(*mat.VecDense).SliceVec(1, 4),
		"BasicVector":       basicVector{4, 5, 6},
		"vector of one":     mat.NewVecDense(1, []float64{7}),
		"transposed vector": mat.TransposeVec{Vector: m.ColView(3)}.UntransposeVec(),
	} {
		t.Run(name, func(t *testing.T) {
			back, err := gonumgpu.ToVecDense(gonumgpu.FromVector[float32](dev, v))
			if err != nil {
				t.Fatal(err)
			}
			if !mat.Equal(back, v) {
				t.Errorf("came back as %v, was %v", mat.Formatted(back.T()), mat.Formatted(v.T()))
			}
		})
	}
}

// basicVector is a vector of another package.
type basicVector []float64

func (v basicVector) Dims() (int, int)    { return len(v), 1 }
func (v basicVector) At(i, _ int) float64 { return v[i] }
func (v basicVector) T() mat.Matrix       { return mat.Transpose{Matrix: v} }
func (v basicVector) AtVec(i int) float64 { return v[i] }
func (v basicVector) Len() int            { return len(v) }

// The data of a gonum matrix may be changed as soon as FromMatrix has returned.
func TestFromMatrixCopies(t *testing.T) {
	dev := open(t)
	m := mat.NewDense(2, 2, []float64{1, 2, 3, 4})
	a := gonumgpu.FromMatrix[float64](dev, m)
	m.Zero()
	got, err := a.ToSlice()
	if want := []float64{1, 2, 3, 4}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v; want %v", got, err, want)
	}
}

func TestToDenseOfViews(t *testing.T) {
	dev := open(t)
	m := mat.NewDense(4, 6, nil)
	m.Apply(func(i, j int, _ float64) float64 { return float64(10*i + j) }, m)
	a := gonumgpu.FromMatrix[float64](dev, m)
	for name, c := range map[string]struct {
		a    *array.Array[float64]
		want mat.Matrix
	}{
		"transpose": {a.Transpose(), m.T()},
		"slice":     {a.Slice(array.R(1, 3), array.R(2, 6)), m.Slice(1, 3, 2, 6)},
		"product":   {a.Transpose().MatMul(a), product(m.T(), m)},
		"column":    {a.Slice(array.All, array.R(3, 4)), m.ColView(3)},
	} {
		got, err := gonumgpu.ToDense(c.a)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if !mat.Equal(got, c.want) {
			t.Errorf("%s:\n%v\nwant\n%v", name, mat.Formatted(got), mat.Formatted(c.want))
		}
	}
	row, err := gonumgpu.ToVecDense(a.Slice(array.I(2)))
	if err != nil || !mat.Equal(row, m.RowView(2)) {
		t.Errorf("row: %v, %v", row, err)
	}
}

func product(a, b mat.Matrix) mat.Matrix {
	var c mat.Dense
	c.Mul(a, b)
	return &c
}

// broken is a matrix that breaks its promises.
type broken struct{ rows, columns int }

func (b broken) Dims() (int, int)    { return b.rows, b.columns }
func (b broken) At(i, j int) float64 { panic("no elements") }
func (b broken) T() mat.Matrix       { return b }

// lying is a matrix whose slice is too short.
type lying struct{ broken }

func (lying) RawMatrix() blas64.General {
	return blas64.General{Rows: 2, Cols: 2, Stride: 2, Data: []float64{1}}
}

func TestBadInput(t *testing.T) {
	dev, other := open(t), open(t)
	closed, err := array.Open()
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	ok := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	from := gonumgpu.FromMatrix[float64]
	fromVector := gonumgpu.FromVector[float32]
	dense := func(a *array.Array[float64]) error { _, err := gonumgpu.ToDense(a); return err }
	vector := func(a *array.Array[float64]) error { _, err := gonumgpu.ToVecDense(a); return err }
	freed := from(dev, ok)
	freed.Free()
	for _, c := range []struct {
		name string
		err  error
		want error
		op   string
		text string
	}{
		{"nil device", from(nil, ok).Err(), array.ErrDevice, "gonumgpu.FromMatrix", ""},
		{"zero device", from(new(array.Device), ok.T()).Err(), array.ErrDevice, "gonumgpu.FromMatrix", ""},
		{"closed device", from(closed, ok).Err(), array.ErrDevice, "gonumgpu.FromMatrix", "closed"},
		{"nil matrix", from(dev, nil).Err(), array.ErrShape, "gonumgpu.FromMatrix", "the matrix is nil"},
		{"nil Dense", from(dev, (*mat.Dense)(nil)).Err(), array.ErrShape, "gonumgpu.FromMatrix", "the matrix is nil"},
		{"transpose of nil", from(dev, mat.Transpose{}).Err(), array.ErrShape, "gonumgpu.FromMatrix", "the matrix is nil"},
		{"panicking matrix", from(dev, broken{2, 2}).Err(), array.ErrShape, "gonumgpu.FromMatrix", "no elements"},
		{"negative size", from(dev, broken{-1, 2}).Err(), array.ErrShape, "gonumgpu.FromMatrix", "-1 × 2"},
		{"overflowing size", from(dev, broken{math.MaxInt, 2}).Err(), array.ErrShape, "gonumgpu.FromMatrix", strconv.Itoa(math.MaxInt)},
		{"more than the host has", from(dev, broken{1 << 30, 1 << 29}).Err(), array.ErrShape, "gonumgpu.FromMatrix", ""},
		{"slice too short", from(dev, lying{broken{2, 2}}).Err(), array.ErrShape, "gonumgpu.FromMatrix", "range"},
		{"vector: nil device", fromVector(nil, ok.RowView(0)).Err(), array.ErrDevice, "gonumgpu.FromVector", ""},
		{"vector: nil", fromVector(dev, nil).Err(), array.ErrShape, "gonumgpu.FromVector", "the vector is nil"},
		{"vector: nil VecDense", fromVector(dev, (*mat.VecDense)(nil)).Err(), array.ErrShape, "gonumgpu.FromVector", "the vector is nil"},
		{"to: nil array", dense(nil), array.ErrDevice, "gonumgpu.ToDense", "nil"},
		{"to: zero array", dense(new(array.Array[float64])), array.ErrDevice, "gonumgpu.ToDense", "zero"},
		{"to: freed", dense(freed), array.ErrFreed, "gonumgpu.ToDense", "given back by Free"},
		{"to: rank 1", dense(array.Ones[float64](dev, 3)), array.ErrShape, "gonumgpu.ToDense", "(3,)"},
		{"to: rank 0", dense(array.Ones[float64](dev)), array.ErrShape, "gonumgpu.ToDense", "rank 0"},
		{"to: no rows", dense(array.Ones[float64](dev, 0, 3)), array.ErrShape, "gonumgpu.ToDense", "(0, 3)"},
		{"to: no columns", dense(array.Ones[float64](dev, 3, 0)), array.ErrShape, "gonumgpu.ToDense", "(3, 0)"},
		{"to: carried error", dense(array.Ones[float64](dev, 2).Add(array.Ones[float64](dev, 3))), array.ErrShape, "Add", "(3,)"},
		{"to: foreign operand", dense(array.Ones[float64](dev, 2, 2).Add(array.Ones[float64](other, 2, 2))), array.ErrDevice, "Add", "device"},
		{"to vector: nil", vector(nil), array.ErrDevice, "gonumgpu.ToVecDense", "nil"},
		{"to vector: rank 2", vector(array.Ones[float64](dev, 3, 1)), array.ErrShape, "gonumgpu.ToVecDense", "(3, 1)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var e *array.Error
			if !errors.As(c.err, &e) {
				t.Fatalf("%v (%T), want an *array.Error", c.err, c.err)
			}
			if !errors.Is(c.err, c.want) || e.Op != c.op || !strings.Contains(c.err.Error(), c.text) {
				t.Errorf("%v\nwant %q of %s, naming %q", c.err, c.want, c.op, c.text)
			}
			if strings.Contains(c.err.Error(), array.ErrShape.Error()) {
				t.Errorf("%v\nnames its kind besides the reason", c.err)
			}
			if file, _ := e.Caller(); !strings.HasSuffix(file, "gonumgpu_test.go") {
				t.Errorf("%v\nnames a line of %q, not of the caller", c.err, file)
			}
		})
	}
	if got, err := gonumgpu.ToDense(from(dev, ok)); err != nil || !mat.Equal(got, ok) {
		t.Errorf("afterwards: %v, %v", got, err)
	}
}

func TestEmpty(t *testing.T) {
	dev := open(t)
	a := gonumgpu.FromMatrix[float64](dev, &mat.Dense{})
	if got := a.Shape(); !slices.Equal(got, []int{0, 0}) {
		t.Errorf("the empty matrix has shape %v, %v", got, a.Err())
	}
	if m, err := gonumgpu.ToDense(a); err != nil || !m.IsEmpty() {
		t.Errorf("came back as %v, %v", m, err)
	}
	v := gonumgpu.FromVector[float32](dev, &mat.VecDense{})
	if got, err := gonumgpu.ToVecDense(v); err != nil || got.Len() != 0 {
		t.Errorf("the empty vector came back as %v, %v", got, err)
	}
}

func ExampleFromMatrix() {
	dev, err := array.Open(array.Simulated())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer dev.Close()
	m := mat.NewDense(2, 3, []float64{1, 2, 3, 4, 5, 6})
	x := gonumgpu.FromMatrix[float64](dev, m)
	g, err := gonumgpu.ToDense(x.MatMul(x.Transpose()))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(mat.Formatted(g))
	// Output:
	// ⎡14  32⎤
	// ⎣32  77⎦
}
