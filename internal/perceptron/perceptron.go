// Package perceptron is a classifier of fully connected layers with the gradient
// written by hand: what a training step costs is measured with it, and the tests of
// graphs compare its steps.
//
//	p := perceptron.New(rng, 784, 512, 512, 10)
//	g, err := dev.Capture(func(c *array.Device) error {
//		loss, err = p.On(c).Step(x.On(c), labels.On(c), 0.01)
//		loss.Keep()
//		return err
//	})
//	err = g.Launch() // one step
package perceptron

import (
	"errors"
	"math"

	"github.com/seed6486a2bb/gpuarray/array"
)

// A Perceptron is layers x ↦ x·w + b with max(x, 0) between them.
type Perceptron struct{ layers []layer }

type layer struct {
	w *array.Array[float32] // inputs × outputs
	b *array.Array[float32] // outputs
}

// New makes a Perceptron of random weights on the generator's device. Sizes are those
// of the input, of what lies between the layers, and of the output: the classes.
func New(rng *array.Rand, sizes ...int) *Perceptron {
	p := new(Perceptron)
	for i, n := range sizes[1:] {
		in := sizes[i]
		w := array.Normal[float32](rng, in, n).MulScalar(float32(math.Sqrt(2 / float64(in)))).Eval()
		p.layers = append(p.layers, layer{w, w.Slice(array.I(0)).MulScalar(0).Eval()})
	}
	return p
}

// On returns the same Perceptron whose steps run on d.
func (p *Perceptron) On(d *array.Device) *Perceptron {
	q := new(Perceptron)
	for _, l := range p.layers {
		q.layers = append(q.layers, layer{l.w.On(d), l.b.On(d)})
	}
	return q
}

// Parameters returns all weights, layer by layer: a matrix, then a vector.
func (p *Perceptron) Parameters() (list []*array.Array[float32]) {
	for _, l := range p.layers {
		list = append(list, l.w, l.b)
	}
	return list
}

// Free gives the weights back.
func (p *Perceptron) Free() {
	for _, a := range p.Parameters() {
		a.Free()
	}
}

// Step does one step of gradient descent on the mean cross-entropy over a batch, and
// returns that as it was before the step. x has a row for each sample, labels a row
// with a 1 in the sample's class and 0 elsewhere.
func (p *Perceptron) Step(x, labels *array.Array[float32], rate float32) (loss *array.Array[float32], err error) {
	share := 1 / float32(max(x.Shape()[0], 1))
	inputs := []*array.Array[float32]{x} // of each layer
	last := len(p.layers) - 1
	for _, l := range p.layers[:last] {
		inputs = append(inputs, inputs[len(inputs)-1].MatMul(l.w).Add(l.b).MaximumScalar(0))
	}
	logs := inputs[last].MatMul(p.layers[last].w).Add(p.layers[last].b).LogSoftmax(-1)
	loss = logs.Mul(labels).MulScalar(-share).Sum()
	slope := logs.Exp().Sub(labels).MulScalar(share) // of the loss, by what the layer gives
	for i := last; i >= 0; i-- {
		l, in, above := p.layers[i], inputs[i], slope
		if i > 0 { // before the weights change
			back := above.MatMul(l.w.Transpose())
			slope = array.Where(in.GreaterScalar(0), back, back.MulScalar(0)).Eval()
		}
		toB := above.Sum(0)
		toW := in.Transpose().MatMul(above) // which waits for what follows, and is part of it
		err = errors.Join(err, l.w.Assign(l.w.Sub(toW.MulScalar(rate))), l.b.Assign(l.b.Sub(toB.MulScalar(rate))))
	}
	return loss, err
}
