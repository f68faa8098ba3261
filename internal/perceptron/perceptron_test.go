package perceptron

import (
	"math"
	"slices"
	"testing"

	"github.com/seed6486a2bb/gpuarray/array"
	"gonum.org/v1/gonum/mat"
)

// model is the same step in float64, by gonum.
type model struct{ w, b []*mat.Dense }

func (m *model) step(x, labels *mat.Dense, rate float64) (loss float64) {
	rows, _ := x.Dims()
	ins := []*mat.Dense{x}
	last := len(m.w) - 1
	for i, w := range m.w {
		var z mat.Dense
		z.Mul(ins[i], w)
		z.Apply(func(_, j int, v float64) float64 {
			if v += m.b[i].At(0, j); i < last {
				v = max(v, 0)
			}
			return v
		}, &z)
		ins = append(ins, &z)
	}
	var slope mat.Dense
	slope.Apply(func(i, j int, v float64) float64 {
		sum := 0.0
		for _, z := range ins[last+1].RawRowView(i) {
			sum += math.Exp(z)
		}
		loss -= labels.At(i, j) * (v - math.Log(sum)) / float64(rows)
		return (math.Exp(v)/sum - labels.At(i, j)) / float64(rows)
	}, ins[last+1])
	for i := last; i >= 0; i-- {
		var toW, back mat.Dense
		toW.Mul(ins[i].T(), &slope)
		back.Mul(&slope, m.w[i].T())
		for j := range m.b[i].RawRowView(0) {
			m.b[i].Set(0, j, m.b[i].At(0, j)-rate*mat.Sum(slope.ColView(j)))
		}
		toW.Scale(-rate, &toW)
		m.w[i].Add(m.w[i], &toW)
		slope.Reset()
		slope.Apply(func(r, c int, v float64) float64 {
			if ins[i].At(r, c) > 0 {
				return v
			}
			return 0
		}, &back)
	}
	return loss
}

func values(t *testing.T, a *array.Array[float32]) []float32 {
	t.Helper()
	v, err := a.ToSlice()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func dense(t *testing.T, a *array.Array[float32]) *mat.Dense {
	v := values(t, a)
	cols := a.Shape()[len(a.Shape())-1]
	d := mat.NewDense(len(v)/cols, cols, nil)
	for i, x := range v {
		d.Set(i/cols, i%cols, float64(x))
	}
	return d
}

// TestStep trains eagerly and by a graph, with the same bits, and beside the model.
func TestStep(t *testing.T) {
	dev, err := array.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := dev.Close(); err != nil {
			t.Error(err)
		}
	}()
	sizes, batches, steps := []int{784, 512, 512, 10}, []int{128, 1024}, 10
	if dev.Simulated() {
		sizes, batches, steps = []int{40, 24, 24, 10}, []int{16}, 5
	}
	for _, batch := range batches {
		rng := array.NewRand(dev, 7)
		x := array.Normal[float32](rng, batch, sizes[0])
		labels := array.Cast[float32](array.Arange[int64](dev, 0, int64(batch), 1).ExpandDims(1).Remainder(array.Full(dev, int64(10), 1)).Equal(array.Arange[int64](dev, 0, 10, 1))).Eval()
		eager, graphed := New(array.NewRand(dev, 8), sizes...), New(array.NewRand(dev, 8), sizes...)
		m := new(model)
		for i, a := range eager.Parameters() {
			if i%2 == 0 {
				m.w = append(m.w, dense(t, a))
			} else {
				m.b = append(m.b, dense(t, a))
			}
		}
		const rate = 0.1
		var kept *array.Array[float32]
		g, err := dev.Capture(func(c *array.Device) error {
			loss, err := graphed.On(c).Step(x.On(c), labels.On(c), rate)
			kept = loss.Keep()
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Log(g)
		var losses []float64
		for range steps {
			loss, err := eager.Step(x, labels, rate)
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Launch(); err != nil {
				t.Fatal(err)
			}
			want := m.step(dense(t, x), dense(t, labels), rate)
			got := values(t, loss)
			if !slices.Equal(got, values(t, kept)) {
				t.Errorf("the loss is %v eagerly and %v by the graph", got, values(t, kept))
			}
			if math.Abs(float64(got[0])-want) > 1e-5*want {
				t.Errorf("the loss is %v, of the model %v", got[0], want)
			}
			if losses = append(losses, want); len(losses) == 3 {
				beside(t, batch, eager, m)
			}
		}
		if last := losses[len(losses)-1]; !(last < 0.9*losses[0]) {
			t.Errorf("the losses do not go down: %v", losses)
		}
		for i, a := range eager.Parameters() {
			if !slices.Equal(values(t, a), values(t, graphed.Parameters()[i])) {
				t.Errorf("parameter %d differs between eager and graph", i)
			}
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		eager.Free()
		graphed.Free()
	}
}

// beside holds the parameters against the model's, by the columns that belong to a
// unit. A ReLU whose input is about zero is on or off by chance, which changes its
// unit's column alone by 10⁻⁵ and more of its norm: a hundredth of the columns may.
func beside(t *testing.T, batch int, p *Perceptron, m *model) {
	for i, a := range p.Parameters() {
		want := [][]*mat.Dense{m.w, m.b}[i%2][i/2]
		var diff mat.Dense
		diff.Sub(dense(t, a), want)
		_, columns := want.Dims()
		typical := mat.Norm(want, 2) / math.Sqrt(float64(columns))
		var off []float64
		for j := range columns {
			off = append(off, mat.Norm(diff.ColView(j), 2)/typical)
		}
		slices.Sort(off)
		median, most := off[columns/2], off[columns-1-columns/100]
		t.Logf("batch %d, parameter %d: columns differ by %.1e of their norm, one of a hundred by more than %.1e", batch, i, median, most)
		if median > 1e-6 || most > 4e-6 {
			t.Errorf("batch %d, parameter %d: columns differ from the model's by %g of their norm, one of a hundred by more than %g", batch, i, median, most)
		}
	}
}
