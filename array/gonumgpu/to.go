package gonumgpu

import (
	"errors"

	"gonum.org/v1/gonum/mat"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/internal/phrase"
)

// ToDense copies an array of rank 2 to a new mat.Dense. It waits for the elements
// and returns the first error of what they were computed from. Shape (0, 0) is
// gonum's empty matrix; other shapes without elements are array.ErrShape, as gonum
// has no such matrices.
func ToDense[T Float](a *array.Array[T]) (*mat.Dense, error) {
	data, err := host(a, 2)
	switch {
	case made(err):
		return nil, array.Failed[T](nil, "gonumgpu.ToDense", err).Err()
	case err != nil:
		return nil, err
	case len(data) == 0:
		return &mat.Dense{}, nil
	}
	shape := a.Shape()
	return mat.NewDense(shape[0], shape[1], data), nil
}

// ToVecDense copies an array of rank 1 to a new mat.VecDense. It waits for the
// elements and returns the first error of what they were computed from. Shape (0,)
// is gonum's empty vector.
func ToVecDense[T Float](a *array.Array[T]) (*mat.VecDense, error) {
	data, err := host(a, 1)
	switch {
	case made(err):
		return nil, array.Failed[T](nil, "gonumgpu.ToVecDense", err).Err()
	case err != nil:
		return nil, err
	case len(data) == 0:
		return &mat.VecDense{}, nil
	}
	return mat.NewVecDense(len(data), data), nil
}

// host returns an array's elements if it has the given rank and a shape that gonum
// can have.
func host[T Float](a *array.Array[T], rank int) ([]float64, error) {
	if err := a.Err(); err != nil {
		return nil, err
	}
	shape := a.Shape()
	if len(shape) != rank {
		return nil, unfit("an array of shape %s and rank %d, where rank %d is needed; Reshape, Slice or Squeeze it first", phrase.Shape(shape), len(shape), rank)
	}
	if a.Size() == 0 && (shape[0] != 0 || shape[rank-1] != 0) {
		return nil, unfit("shape %s: gonum has no matrices without elements but 0 × 0", phrase.Shape(shape))
	}
	values, err := a.ToSlice()
	if err != nil {
		return nil, err
	}
	if data, ok := any(values).([]float64); ok {
		return data, nil
	}
	data := make([]float64, len(values))
	for i, v := range values {
		data[i] = float64(v)
	}
	return data, nil
}

// made says whether an error of host began there, and not with an operation that
// the array was computed by.
func made(err error) bool {
	var e *array.Error
	return err != nil && (!errors.As(err, &e) || e.Op == "Err" || e.Op == "ToSlice")
}
