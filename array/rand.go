package array

import (
	"sync"

	"github.com/seed6486a2bb/gpuarray/kernels"
)

// Rand makes random arrays with Philox4x32-10. It is a key and a counter: each
// draw takes the next range of the counter, and an element depends on key, counter
// and its place only, so that a seed gives the same numbers on every device. Its
// methods may be called from several goroutines; then the order of the draws is
// theirs.
type Rand struct {
	dev *Device
	seq *sequence
}

// sequence is the numbers that Rands on several Devices draw from.
type sequence struct {
	key uint64

	mu      sync.Mutex
	counter uint64
	splits  uint64
}

// NewRand returns a generator for arrays on d.
func NewRand(d *Device, seed uint64) *Rand { return &Rand{d, &sequence{key: seed}} }

// On returns a generator of the same numbers for arrays on d, which may be any
// Device, in particular a fork of r's or one in a [Device.Scope]: the two share key
// and counter, so that what one has drawn the other does not draw again.
func (r *Rand) On(d *Device) *Rand {
	if r == nil {
		return nil
	}
	return &Rand{d, r.seq}
}

// Split returns a generator with a key of its own, a function of r's key and of how
// often r was split, whose numbers have nothing to do with r's.
func (r *Rand) Split() *Rand {
	if r == nil || r.seq == nil {
		return r
	}
	s := r.seq
	s.mu.Lock()
	defer s.mu.Unlock()
	s.splits++
	return &Rand{r.dev, &sequence{key: mix(s.key ^ mix(s.splits))}}
}

// mix is the finaliser of SplitMix64 (Steele, Lea, Flood 2014): a bijection whose
// output bits each depend on all input bits.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// take reserves the counter range of so many blocks of numbers.
func (s *sequence) take(blocks uint64) (counter uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	counter = s.counter
	s.counter += blocks
	return counter
}

// Uniform returns numbers evenly distributed over [0, 1), of a floating-point type.
func Uniform[T Element](r *Rand, shape ...int) *Array[T] {
	return to[T](draw("Uniform", r, kernels.Uniform, typeOf[T](), shape))
}

// Normal returns normally distributed numbers with mean 0 and variance 1, of a
// floating-point type.
func Normal[T Element](r *Rand, shape ...int) *Array[T] {
	return to[T](draw("Normal", r, kernels.Normal, typeOf[T](), shape))
}

func draw(name string, r *Rand, dist kernels.Dist, t kernels.Type, shape []int) handle {
	c := here(name)
	if r == nil || r.seq == nil {
		return (*Device)(nil).made(nil, c.fail(because(ErrDevice, "the Rand is nil or zero; array.NewRand makes one")))
	}
	d := r.dev
	l, err := c.begin(d, t, shape)
	if err == nil && !t.IsFloat() {
		err = c.fail(because(ErrType, "%s is not defined for %v; use float32 or float64 and array.Cast", name, t))
	}
	if err == nil {
		err = d.fits(c, &l, t)
	}
	if err != nil {
		return d.made(nil, err)
	}
	w := newWork(c, d)
	defer w.end()
	if n := l.Len(); n > 0 {
		if err := w.planDraw(r.seq, dist, t, n); err != nil {
			return d.made(nil, err)
		}
	}
	return d.made(w.create(l, t))
}

// planDraw plans a draw of n > 0 numbers. In a capture they are those that are next
// when the graph is launched.
func (w *work) planDraw(s *sequence, dist kernels.Dist, t kernels.Type, n int) *Error {
	blocks := uint64((n-1)/kernels.RandomPerBlock(t) + 1)
	sh := w.dev.sh
	sh.mu.Lock()
	defer sh.mu.Unlock()
	rec := w.dev.capturing()
	if rec == nil {
		return w.plannable(kernels.Random(&w.plan, dist, t, n, s.key, s.take(blocks)))
	}
	cell, offset, err := rec.draw(sh, s, blocks)
	if err != nil {
		return w.deviceError(err)
	}
	w.input(&node{store: cell}, layout{})
	return w.plannable(kernels.RandomStored(&w.plan, dist, t, n, s.key, offset))
}

// plannable returns the call's error of one from a planner.
func (c call) plannable(err error) *Error {
	if err == nil {
		return nil
	}
	return c.unsupported(err)
}
