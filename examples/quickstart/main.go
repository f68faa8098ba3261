// Quickstart fits a linear model to 1797 images of handwritten digits on the
// device, does the same with gonum on the CPU, and prints both.
//
// The model is ridge regression of ten 0/1 columns, one for each digit, on the
// 64 pixels and a constant: the W that minimises |X·W − Y|² + λ|W|². It solves
// (XᵀX + λI)·W = XᵀY; on the device by conjugate gradients, on the CPU by
// gonum's Cholesky factorisation. The digit of an image is the largest of its
// ten outputs.
package main

import (
	"fmt"
	"log"
	"time"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/mat"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/testdata/digits"
)

const (
	classes = 10
	train   = 1500 // images to fit; the rest test the fit
	lambda  = 10
)

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	pixels, labels, err := digits.Load()
	if err != nil {
		return err
	}
	n := len(labels)

	start := time.Now()
	dev, err := array.Open() // the first NVIDIA GPU, or the simulated device where there is none
	if err != nil {
		return err
	}
	defer dev.Close()
	fmt.Println("device:", dev)
	opened := time.Since(start)

	// Pixels 0…16 become 0…1, with a column of ones for the constant term; the
	// digits become ten columns of 0 and 1.
	start = time.Now()
	images := array.Cast[float64](array.FromSlice(dev, pixels, n, digits.Pixels)).DivScalar(16)
	x := array.Concat(1, images, array.Ones[float64](dev, n, 1))
	digit := array.FromSlice(dev, labels, n, 1)
	y := array.Cast[float64](digit.Equal(array.Arange[uint8](dev, 0, classes, 1)))

	w, steps := fit(dev, x.Slice(array.R(0, train)), y.Slice(array.R(0, train)))
	guess, err := x.Slice(array.R(train, n)).MatMul(w).ArgMax(1).ToSlice()
	if err != nil {
		return err
	}
	weights, err := w.ToSlice()
	if err != nil {
		return err
	}
	onDevice := time.Since(start)

	start = time.Now()
	want, wantGuess, err := fitGonum(pixels, labels)
	if err != nil {
		return err
	}
	onCPU := time.Since(start)

	fmt.Printf("%d images to fit, %d to test, %d conjugate gradient steps\n", train, n-train, steps)
	fmt.Printf("%-10s %-18s %-12s %s\n", "", "test digits right", "|W|", "time")
	fmt.Printf("%-10s %-18s %-12.8f %v (and %v to open the device)\n", "gpuarray", percent(guess, labels[train:]), floats.Norm(weights, 2), onDevice.Round(time.Millisecond), opened.Round(time.Millisecond))
	fmt.Printf("%-10s %-18s %-12.8f %v\n", "gonum", percent(wantGuess, labels[train:]), floats.Norm(want, 2), onCPU.Round(time.Millisecond))

	difference := floats.Distance(weights, want, 2) / floats.Norm(want, 2)
	fmt.Printf("relative difference of W: %.1e\n", difference)
	if !(difference < 1e-8) {
		return fmt.Errorf("the device's answer differs from gonum's by %g, more than 1e-8", difference)
	}
	return nil
}

// fit solves (XᵀX + λI)·W = XᵀY by conjugate gradients, all ten columns at a
// time, until every residual is 10⁻¹¹ of where it began.
func fit(dev *array.Device, x, y *array.Array[float64]) (w *array.Array[float64], steps int) {
	xt := x.Transpose()
	a := xt.MatMul(x).Add(array.Eye[float64](dev, digits.Pixels+1).MulScalar(lambda))
	r := xt.MatMul(y)
	w = array.Zeros[float64](dev, digits.Pixels+1, classes)
	p := r.Clone()
	rr := r.Mul(r).Sum(0)
	enough := rr.MulScalar(1e-22)
	for ; steps < 10*digits.Pixels; steps++ {
		ap := a.MatMul(p)
		alpha := rr.Div(p.Mul(ap).Sum(0))
		w = w.Add(p.Mul(alpha))
		r = r.Sub(ap.Mul(alpha))
		next := r.Mul(r).Sum(0)
		if steps%8 == 7 { // a look at the residual waits for the device, so not at every step
			if done, err := next.Less(enough).All().Item(); done || err != nil {
				break // an error stays with w, and is reported where w is read
			}
		}
		p = r.Add(p.Mul(next.Div(rr)))
		rr = next
	}
	return w, steps
}

// fitGonum does the same on the CPU, with a direct method.
func fitGonum(pixels, labels []uint8) (weights []float64, guess []int64, err error) {
	n := len(labels)
	x := mat.NewDense(n, digits.Pixels+1, nil)
	y := mat.NewDense(n, classes, nil)
	for i, l := range labels {
		for j := range digits.Pixels {
			x.Set(i, j, float64(pixels[i*digits.Pixels+j])/16)
		}
		x.Set(i, digits.Pixels, 1)
		y.Set(i, int(l), 1)
	}
	xt, yt := x.Slice(0, train, 0, digits.Pixels+1), y.Slice(0, train, 0, classes)
	var a mat.SymDense
	a.SymOuterK(1, xt.T())
	for i := range digits.Pixels + 1 {
		a.SetSym(i, i, a.At(i, i)+lambda)
	}
	var b, w, out mat.Dense
	b.Mul(xt.T(), yt)
	var chol mat.Cholesky
	if !chol.Factorize(&a) {
		return nil, nil, fmt.Errorf("gonum: XᵀX + λI is not positive definite")
	}
	if err := chol.SolveTo(&w, &b); err != nil {
		return nil, nil, fmt.Errorf("gonum: %w", err)
	}
	out.Mul(x.Slice(train, n, 0, digits.Pixels+1), &w)
	for i := range n - train {
		guess = append(guess, int64(floats.MaxIdx(out.RawRowView(i))))
	}
	return w.RawMatrix().Data, guess, nil
}

// percent says how many of the guesses are the labels.
func percent(guess []int64, labels []uint8) string {
	right := 0
	for i, g := range guess {
		if g == int64(labels[i]) {
			right++
		}
	}
	return fmt.Sprintf("%.1f%%", 100*float64(right)/float64(len(labels)))
}
