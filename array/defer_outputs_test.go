package array

import (
	"bytes"
	"runtime"
	"testing"
)

// sharing are programs in which several kernels need an expression. Counts are of the
// kernels from where launches are counted on, and bytes are those of an element of n.
var sharing = []struct {
	name     string
	launches int
	bytes    int // for each of the arrays' elements
	run      func(x, y, z, u *Array[float32]) []*Array[float32]
}{
	{"stored besides, being needed again", 2, 12 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		return evaluated(e.AddScalar(1), e.MulScalar(2))
	}},
	{"computed again, as all that it reads is read anyway, and stored then, as it may be needed once more", 2, 12 + 12 + 1, func(x, y, z, u *Array[float32]) []*Array[float32] {
		mask := x.Greater(y)
		return evaluated(Where(mask, x, y), Where(mask, y, x))
	}},
	{"a mask of other arrays", 2, 16 + 4 + 1 + 9 + 4, func(x, y, z, u *Array[float32]) []*Array[float32] {
		mask := x.Greater(y)
		return evaluated(Where(mask, z, u), Where(mask, u, z))
	}},
	{"computed again, as storing writes as much as it saves", 2, 12 + 12, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.AddScalar(1)
		return evaluated(e.Mul(y), e.Mul(z))
	}},
	{"stored the second time", 3, 12 + 12 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y)
		a := e.AddScalar(1).Eval()
		b := e.AddScalar(2).Eval()
		return []*Array[float32]{a, b, e.AddScalar(3).Eval()}
	}},
	{"stored in the order of a view", 2, 12 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		return evaluated(e.Transpose().AddScalar(1), e.Flip().MulScalar(2))
	}},
	{"the value of an expression that is deeper in another", 2, 12 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		return evaluated(e.AddScalar(1).Exp().MulScalar(3), e.MulScalar(2).Neg())
	}},
	{"what is shared at the top, and not what is below", 2, 12 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		p := x.Mul(y)
		q := p.Add(z).Mul(p) // p has two consumers, both in q
		return evaluated(q.AddScalar(1), q.MulScalar(2))
	}},
	{"Assign stores besides", 2, 16 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		later := e.MulScalar(2)
		if err := u.Assign(u.Add(e)); err != nil {
			return []*Array[float32]{to[float32](x.failed(err.(*Error)))}
		}
		return append(evaluated(later), u)
	}},
	{"freed, but needed", 2, 12 + 4 + 4 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		a, b := e.AddScalar(1), e.MulScalar(2)
		e.Free()
		return evaluated(a, b)
	}},
	{"evaluated before what does not store besides", 3, 16 + 4 + 8 + 8, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z.Mul(u))
		later := e.MulScalar(2)
		s := e.Softmax(-1)
		return append(evaluated(later), s)
	}},
	{"evaluated before, being in what is reduced", 3, -1, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z.Mul(u))
		later := e.MulScalar(2)
		s := e.AddScalar(1).Square().Sum(0)
		return append(evaluated(later), s)
	}},
	{"computed again, as that is no more than evaluating it before, and stored then", 2, 8 + 4 + 12 + 4, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Sub(y)
		later := e.MulScalar(2)
		s := e.LayerNorm(nil, nil, 1e-5, -1)
		return append(evaluated(later), s)
	}},
	{"not stored by what shows one row in all places", 2, -1, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := x.Mul(y).Add(z)
		row := e.Slice(R(0, 1)).BroadcastTo(x.Shape()...)
		return evaluated(row.AddScalar(1), e.MulScalar(2))
	}},
	{"more than the kernel may store", 7, -1, func(x, y, z, u *Array[float32]) []*Array[float32] {
		e := make([]*Array[float32], 6)
		sum := u
		for i := range e {
			e[i] = x.MulScalar(float32(i)).Mul(y).Add(z)
			sum = sum.Add(e[i])
		}
		later := make([]*Array[float32], 0, 7)
		for i := range e {
			later = append(later, e[i].AddScalar(1))
		}
		return evaluated(append([]*Array[float32]{sum}, later...)...)
	}},
}

// evaluated evaluates arrays one after the other.
func evaluated(arrays ...*Array[float32]) []*Array[float32] {
	for _, a := range arrays {
		a.Eval()
	}
	return arrays
}

func TestExtraOutputs(t *testing.T) {
	const rows, columns = 30, 41
	for _, p := range sharing {
		var launches, moved [2]int
		var results [2][]byte
		for k := range 2 {
			d, _ := newRecorded(t)
			d.sh.eager = k == 1
			r := NewRand(d, 7)
			x, y, z, u := Normal[float32](r, rows, columns), Normal[float32](r, rows, columns), Normal[float32](r, rows, columns), Normal[float32](r, rows, columns)
			arrays, before := d.Stats().Arrays, d.Stats().Launches
			d.sh.moved = &moved[k]
			got := p.run(x, y, z, u)
			launches[k] = int(d.Stats().Launches - before)
			for _, a := range got {
				results[k] = append(results[k], bytesOf(values(t, a))...)
			}

			if k == 0 && p.name == "freed, but needed" && d.Stats().Arrays != arrays+2 {
				t.Errorf("%s: %d arrays, want %d: what was stored for an expression goes with it", p.name, d.Stats().Arrays, arrays+2)
			}
			runtime.KeepAlive([]*Array[float32]{x, y, z, u})
		}
		if launches[0] != p.launches {
			t.Errorf("%s: %d launches, want %d", p.name, launches[0], p.launches)
		}
		if want := p.bytes * rows * columns; p.bytes > 0 && moved[0] != want {
			t.Errorf("%s: %d bytes, want %d", p.name, moved[0], want)
		}
		if moved[0] > moved[1] || launches[0] > launches[1] {
			t.Errorf("%s: %d launches and %d bytes, one by one %d and %d", p.name, launches[0], moved[0], launches[1], moved[1])
		}
		if !bytes.Equal(results[0], results[1]) {
			t.Errorf("%s: the results differ from those of one operation after the other", p.name)
		}
	}
}
