package array_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/seed6486a2bb/gpuarray/array"
)

func Example() {
	dev, err := array.Open(array.Simulated()) // array.Open() takes a GPU where there is one
	if err != nil {
		log.Fatal(err)
	}
	defer dev.Close()

	x := array.FromSlice(dev, []float32{1, 2, 3, 4, 5, 6}, 2, 3)
	w := array.FromSlice(dev, []float32{1, 0, 0, 1, 1, 1}, 3, 2)
	bias := array.FromSlice(dev, []float32{0.5, -0.5})

	y := x.MatMul(w).Add(bias) // queued, not waited for
	host, err := y.ToSlice()   // waits, copies, and returns the first error
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(host)
	fmt.Println(y) // prints as NumPy does
	// Output:
	// [4.5 4.5 10.5 10.5]
	// [[ 4.5  4.5]
	//  [10.5 10.5]]
}

// open is what the examples' programs begin with.
func open() *array.Device {
	dev, err := array.Open(array.Simulated())
	if err != nil {
		log.Fatal(err)
	}
	return dev
}

// Errors travel with the arrays: a chain needs one check, where something is read.
func ExampleError() {
	dev := open()
	defer dev.Close()
	x := array.Ones[float32](dev, 2, 3)
	y := array.Ones[float32](dev, 4)

	z := x.Add(y).Exp().Sum() // the shapes do not fit; nothing panics
	_, err := z.Item()

	var e *array.Error
	fmt.Println(errors.As(err, &e), e.Op, e.Operands)
	fmt.Println(errors.Is(err, array.ErrShape))
	fmt.Println(e.Err)
	// Output:
	// true Add [float32 (2, 3) float32 (4,)]
	// true
	// sizes 3 and 4 at axis -1; broadcasting needs equal sizes or a 1 (see ExpandDims)
}

func ExampleFromSlice() {
	dev := open()
	defer dev.Close()
	fmt.Println(array.FromSlice(dev, []int32{1, 2, 3}))
	fmt.Println(array.FromSlice(dev, []int32{1, 2, 3, 4, 5, 6}, 2, 3))
	// Output:
	// [1 2 3]
	// [[1 2 3]
	//  [4 5 6]]
}

func ExampleArray_Slice() {
	dev := open()
	defer dev.Close()
	x := array.Arange[int32](dev, 0, 12, 1).Reshape(3, 4)
	fmt.Println(x.Slice(array.R(0, 2)))                                 // the first two rows
	fmt.Println(x.Slice(array.All, array.I(-1)))                        // the last column
	fmt.Println(x.Slice(array.I(1), array.R(array.End, array.End, -1))) // the second row backwards
	// Output:
	// [[0 1 2 3]
	//  [4 5 6 7]]
	// [ 3  7 11]
	// [7 6 5 4]
}

// Assign writes through a view.
func ExampleArray_Assign() {
	dev := open()
	defer dev.Close()
	x := array.Zeros[float64](dev, 2, 3)
	column := x.Slice(array.All, array.I(1))
	if err := column.Assign(array.FromSlice(dev, []float64{7, 8})); err != nil {
		log.Fatal(err)
	}
	fmt.Println(x)
	// Output:
	// [[0. 7. 0.]
	//  [0. 8. 0.]]
}

// A reduced axis is dropped; ExpandDims brings it back, so that it broadcasts.
func ExampleArray_ExpandDims() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []float32{1, 5, 3, 9, 2, 4}, 2, 3)
	fmt.Println(x.Sub(x.Max(-1).ExpandDims(-1)))
	// Output:
	// [[-4.  0. -2.]
	//  [ 0. -7. -5.]]
}

func ExampleArray_Softmax() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []float32{1, 1, 1, 1, 0, 1000}, 3, 2)
	fmt.Println(x.Softmax(-1))
	// Output:
	// [[0.5 0.5]
	//  [0.5 0.5]
	//  [0.  1. ]]
}

// Sums of narrow integers would wrap, so their type has to be named.
func ExampleSumAs() {
	dev := open()
	defer dev.Close()
	x := array.Full[uint8](dev, 200, 1000)
	fmt.Println(errors.Is(x.Sum().Err(), array.ErrType))
	fmt.Println(array.SumAs[int64](x))
	// Output:
	// true
	// 200000
}

func ExampleWhere() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []float32{-1.5, 2, -3})
	fmt.Println(array.Where(x.GreaterScalar(0), x, x.MulScalar(0.1)))
	// Output: [-0.15  2.   -0.3 ]
}

func ExampleCast() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []float64{1.9, -1.9, 300, -300})
	fmt.Println(array.Cast[int8](x)) // truncates and saturates
	// Output: [   1   -1  127 -128]
}

// The numbers of a seed are the same on every device.
func ExampleNewRand() {
	dev := open()
	defer dev.Close()
	a := array.Normal[float32](array.NewRand(dev, 42), 2, 3)
	b := array.Normal[float32](array.NewRand(dev, 42), 2, 3)
	fmt.Println(array.ArrayEqual(a, b))
	// Output: true <nil>
}

// What is made within a scope is freed at its end, but for what is kept.
func ExampleDevice_Scope() {
	dev := open()
	defer dev.Close()
	x := array.Arange[float64](dev, 0, 5, 1)
	var norm, square *array.Array[float64]
	err := dev.Scope(func(s *array.Device) error {
		square = x.On(s).Square()
		norm = square.Sum().Sqrt().Keep()
		return norm.Err()
	})
	fmt.Println(err, errors.Is(square.Err(), array.ErrFreed))
	fmt.Printf("%.3f\n", norm)
	// Output:
	// <nil> true
	// 5.477
}

// A graph does the work of a function again and again, by one call of the driver.
func ExampleDevice_Capture() {
	dev := open()
	defer dev.Close()
	w := array.Ones[float32](dev, 3)
	gradient := array.FromSlice(dev, []float32{1, 2, 3})
	var norm *array.Array[float32]
	step, err := dev.Capture(func(c *array.Device) error {
		w, gradient := w.On(c), gradient.On(c) // work on these is recorded
		norm = gradient.Square().Sum().Sqrt().Keep()
		return w.Assign(w.Sub(gradient.MulScalar(0.5)))
	})
	if err != nil {
		log.Fatal(err)
	}
	defer step.Close()
	for range 2 {
		if err := step.Launch(); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println(w)
	fmt.Printf("%.3f\n", norm)
	// Output:
	// [ 0. -1. -2.]
	// 3.742
}

// A fork has a stream of its own, so that its work may run at the same time.
func ExampleDevice_Fork() {
	dev := open()
	defer dev.Close()
	fork, err := dev.Fork()
	if err != nil {
		log.Fatal(err)
	}
	x := array.Ones[float32](dev, 3)
	y := x.On(fork).MulScalar(2) // waits on the device, not here, for x
	fmt.Println(x.Add(y.On(dev)))
	// Output: [3. 3. 3.]
}

// Rows of a table, as of an embedding, by their numbers. A number that is out of
// range shows when the result is read.
func ExampleArray_Take() {
	dev := open()
	defer dev.Close()
	table := array.FromSlice(dev, []float32{0, 1, 10, 11, 20, 21}, 3, 2)

	fmt.Println(table.Take(array.FromSlice(dev, []int64{2, 0, -1}), 0))
	_, err := table.Take(array.FromSlice(dev, []int64{1, 3}), 0).ToSlice()
	fmt.Println(errors.Is(err, array.ErrIndex))
	// Output:
	// [[20. 21.]
	//  [ 0.  1.]
	//  [20. 21.]]
	// true
}

func ExampleArray_LayerNorm() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []float32{1, 2, 3, 2, 2, 2}, 2, 3)

	fmt.Printf("%.3f\n", x.LayerNorm(nil, nil, 1e-5, -1))
	// Output:
	// [[-1.225  0.000  1.225]
	//  [ 0.000  0.000  0.000]]
}

func ExampleArray_CumSum() {
	dev := open()
	defer dev.Close()
	x := array.FromSlice(dev, []int32{1, 2, 3, 4, 5, 6}, 2, 3)

	fmt.Println(x.CumSum(1))
	// Output:
	// [[ 1  3  6]
	//  [ 4  9 15]]
}
