package main

// Plain computations that results are compared with.

func each1(f func(a float64) float64) func(in [][]float64) []float64 {
	return func(in [][]float64) []float64 {
		y := make([]float64, len(in[0]))
		for i, a := range in[0] {
			y[i] = f(a)
		}
		return y
	}
}

func each2(f func(a, b float64) float64) func(in [][]float64) []float64 {
	return func(in [][]float64) []float64 {
		y := make([]float64, len(in[0]))
		for i, a := range in[0] {
			y[i] = f(a, in[1][i])
		}
		return y
	}
}

func pick(cond bool, a, b float64) float64 {
	if cond {
		return a
	}
	return b
}

func sumOf(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func dotOf(x, y []float64) (s float64) {
	for i, v := range x {
		s += v * y[i]
	}
	return s
}

func argmaxOf(x []float64) float64 {
	at := 0
	for i, v := range x {
		if v > x[at] {
			at = i
		}
	}
	return float64(at)
}

func maxOf(x []float64) float64 { return x[int(argmaxOf(x))] }

func varianceOf(x []float64) float64 {
	mean := sumOf(x) / float64(len(x))
	s := 0.0
	for _, v := range x {
		s += (v - mean) * (v - mean)
	}
	return s / float64(len(x))
}
