package kernels

import "slices"

// The embedded kernels of this package's larger families: what the commonest
// operations on row-major arrays need. They are listed as operations, and the
// planners say which kernels those are.

// embeddedReductions reduce short and long arrays, rows and columns.
var embeddedReductions = []struct {
	op    Op
	types []Type
}{
	{OpSum, []Type{Float32, Float64, Int32, Int64}}, {OpMean, []Type{Float32, Float64}}, {OpProd, []Type{Float32, Float64}},
	{OpMax, []Type{Float32, Float64, Int64}}, {OpMin, []Type{Float32, Float64, Int64}},
	{OpArgMax, []Type{Float32, Float64}}, {OpArgMin, []Type{Float32, Float64}}, {OpAny, []Type{Bool}}, {OpAll, []Type{Bool}},
}

var embeddedShapes = []struct {
	shape []int
	axes  uint32
}{
	{[]int{1000}, 1}, {[]int{100_000}, 1}, {[]int{200, 64}, 2}, {[]int{200, 1000}, 2}, {[]int{1000, 256}, 1},
}

// plannedKeys returns the keys of the launches that plans need and that belong
// to a family.
func plannedKeys(prefix string, plan func(p *Plan) error) []string {
	var p Plan
	if err := plan(&p); err != nil {
		panic("kernels: an embedded operation cannot be planned: " + err.Error())
	}
	var keys []string
	for _, l := range p.Launches {
		if f, err := familyOf(l.Key); err == nil && f.prefix == prefix && !slices.Contains(keys, l.Key) {
			keys = append(keys, l.Key)
		}
	}
	return keys
}

// planEmbeddedReductions plans each of them, one after another.
func planEmbeddedReductions(p *Plan) error {
	for _, r := range embeddedReductions {
		for _, t := range r.types {
			for _, s := range embeddedShapes {
				if err := Reduce(p, r.op, t, reducedRowMajor(s.shape, s.axes), RowMajor(s.shape...), s.axes); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// reducedRowMajor is the layout of a new array for a reduction's result.
func reducedRowMajor(shape []int, axes uint32) Layout {
	var kept []int
	for i, d := range shape {
		if axes>>i&1 == 0 {
			kept = append(kept, d)
		}
	}
	return RowMajor(kept...)
}

func embeddedReduceRows() []string    { return plannedKeys("reduce_rows", planEmbeddedReductions) }
func embeddedReduceColumns() []string { return plannedKeys("reduce_columns", planEmbeddedReductions) }

func embeddedSoftmax() []string {
	return plannedKeys("softmax", func(p *Plan) error {
		for _, t := range []Type{Float32, Float64} {
			for _, n := range []int{10, 64, 1000} {
				if err := Softmax(p, t, RowMajor(100, n), RowMajor(100, n), 1); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// embeddedMatmul lists every tile, for row-major matrices whose rows are whole
// vectors, and the smallest also for any others.
func embeddedMatmul() []string {
	return plannedKeys("matmul", func(p *Plan) error {
		for _, t := range []Type{Float32, Float64} {
			for _, n := range []int{63, 64, 640, 2048, 4096} {
				if err := MatMul(p, t, RowMajor(n, n), RowMajor(n, n), RowMajor(n, n)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func embeddedTranspose() []string {
	return plannedKeys("transpose", func(p *Plan) error {
		for _, t := range []Type{Uint8, Uint16, Uint32, Uint64} {
			in := RowMajor(64, 64)
			in.Strides[0], in.Strides[1] = in.Strides[1], in.Strides[0]
			if err := Copy(p, t, RowMajor(64, 64), in); err != nil {
				return err
			}
		}
		return nil
	})
}

func embeddedRandom() []string {
	return plannedKeys("random", func(p *Plan) error {
		for _, t := range []Type{Float32, Float64} {
			for _, d := range []Dist{Uniform, Normal} {
				if err := Random(p, d, t, 1000, 0, 0); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
