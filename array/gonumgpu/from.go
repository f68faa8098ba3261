package gonumgpu

import (
	"fmt"
	"math"
	"math/bits"
	"reflect"

	"gonum.org/v1/gonum/mat"

	"github.com/seed6486a2bb/gpuarray/array"
)

// Float is the set of element types that gonum's matrices travel as.
type Float interface{ float32 | float64 }

// FromMatrix copies m to the device as an array of shape (rows, columns), of any
// type that implements mat.Matrix. Those whose elements lie in a slice (mat.Dense,
// its views and transposes) are not read element by element.
func FromMatrix[T Float](dev *array.Device, m mat.Matrix) *array.Array[T] {
	data, shape, transposed, err := hostMatrix[T](m)
	if err != nil {
		return array.Failed[T](dev, "gonumgpu.FromMatrix", err)
	}
	a := array.FromSlice(dev, data, shape...)
	if transposed {
		sent := a
		a = sent.Transpose().Clone()
		sent.Free()
	}
	if err := a.Err(); err != nil {
		return array.Failed[T](dev, "gonumgpu.FromMatrix", err)
	}
	return a
}

// FromVector copies v to the device as an array of one axis. (FromMatrix makes a
// vector a column, of shape (n, 1).)
func FromVector[T Float](dev *array.Device, v mat.Vector) *array.Array[T] {
	data, err := hostVector[T](v)
	if err != nil {
		return array.Failed[T](dev, "gonumgpu.FromVector", err)
	}
	a := array.FromSlice(dev, data)
	if err := a.Err(); err != nil {
		return array.Failed[T](dev, "gonumgpu.FromVector", err)
	}
	return a
}

// hostMatrix returns m's elements in row-major order, or, where transposed, those
// of the matrix that m is the transpose of, with that one's shape. The slice may
// be m's own.
func hostMatrix[T Float](m mat.Matrix) (data []T, shape []int, transposed bool, err error) {
	defer recovered(&err)
	for {
		u, ok := m.(mat.Untransposer)
		if !ok {
			break
		}
		m, transposed = u.Untranspose(), !transposed
	}
	if isNil(m) {
		return nil, nil, false, unfit("the matrix is nil")
	}
	rows, columns := m.Dims()
	shape = []int{rows, columns}
	if r, ok := m.(mat.RawMatrixer); ok {
		raw := r.RawMatrix()
		data, err = strided[T](raw.Data, rows, columns, raw.Stride, 1)
		return data, shape, transposed, err
	}
	if r, ok := m.(mat.RawVectorer); ok && columns == 1 {
		raw := r.RawVector()
		data, err = strided[T](raw.Data, 1, rows, 0, raw.Inc)
		return data, shape, transposed, err
	}
	if data, err = room[T](rows, columns); err != nil {
		return nil, nil, false, err
	}
	for i := range rows {
		row := data[i*columns : (i+1)*columns]
		for j := range row {
			row[j] = T(m.At(i, j))
		}
	}
	return data, shape, transposed, nil
}

// hostVector returns v's elements. The slice may be v's own.
func hostVector[T Float](v mat.Vector) (data []T, err error) {
	defer recovered(&err)
	if isNil(v) {
		return nil, unfit("the vector is nil")
	}
	n := v.Len()
	if r, ok := v.(mat.RawVectorer); ok {
		raw := r.RawVector()
		return strided[T](raw.Data, 1, n, 0, raw.Inc)
	}
	if data, err = room[T](1, n); err != nil {
		return nil, err
	}
	for i := range data {
		data[i] = T(v.AtVec(i))
	}
	return data, nil
}

// isNil says whether m is nil or a nil pointer.
func isNil(m mat.Matrix) bool {
	v := reflect.ValueOf(m)
	return m == nil || v.Kind() == reflect.Pointer && v.IsNil()
}

// strided returns the elements that lie in rows of columns, row and column steps
// apart, as T: the slice itself where nothing has to be moved or rounded.
func strided[T Float](from []float64, rows, columns, row, column int) ([]T, error) {
	if whole, ok := any(from).([]T); ok && column == 1 && (rows == 1 || row == columns) {
		return whole[:rows*columns], nil
	}
	data, err := room[T](rows, columns)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		src := from[i*row:]
		dst := data[i*columns : (i+1)*columns]
		for j := range dst {
			dst[j] = T(src[j*column])
		}
	}
	return data, nil
}

// room allocates host memory for a matrix.
func room[T Float](rows, columns int) ([]T, error) {
	hi, n := bits.Mul64(uint64(rows), uint64(columns))
	if rows < 0 || columns < 0 || hi != 0 || n > math.MaxInt/8 {
		return nil, unfit("the matrix says that it is %d × %d, which is no size that memory has addresses for", rows, columns)
	}
	return make([]T, n), nil
}

// recovered makes an error of a panic: of a matrix whose methods break their promises,
// or that is too large for the host's memory.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = unfit("the matrix cannot be read: %v", p)
	}
}

// unfit makes an error that is array.ErrShape to errors.Is.
func unfit(format string, args ...any) error { return unfitting(fmt.Sprintf(format, args...)) }

type unfitting string

func (u unfitting) Error() string { return string(u) }
func (u unfitting) Unwrap() error { return array.ErrShape }
