package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/seed6486a2bb/gpuarray/array"
	"github.com/seed6486a2bb/gpuarray/kernels"
)

const (
	f16  = kernels.Float16
	bf16 = kernels.BFloat16
	f32  = kernels.Float32
	f64  = kernels.Float64
	i32  = kernels.Int32
	i64  = kernels.Int64
	u8   = kernels.Uint8
)

var shortNames = map[kernels.Type]string{f16: "f16", bf16: "bf16", f32: "f32", f64: "f64", i32: "i32", i64: "i64", u8: "u8"}

// table returns all rows.
func table() []row {
	rows := memoryRows()
	rows = append(rows, productRows()...)
	return append(rows, hostRows()...)
}

func kernelRow(name string, spec func(s sizes) kernelTask) row {
	return row{task: name, unit: "gbs", make: func(r *runner) (*task, error) { return spec(r.sizes).start(r) }}
}

func arrayRow[T array.Element](name string, spec func(s sizes) arrayTask[T]) row {
	return row{task: name, unit: "gbs", make: func(r *runner) (*task, error) { return spec(r.sizes).start(r) }}
}

func notYet(name, unit, missing string) row { return row{task: name, unit: unit, missing: missing} }

func memoryRows() []row {
	return []row{
		kernelRow("copy_f32", func(s sizes) kernelTask { return copyOf(matrix(f32, s.n), 1) }),
		add("add_f32", f32),
		function("exp_f32", kernels.OpExp, math.Exp),
		function("sin_f32", kernels.OpSin, math.Sin),
		kernelRow("pow_f32", func(s sizes) kernelTask {
			k := elementwise(binary2(kernels.OpPow, f32), matrix(f32, s.n), matrix(f32, s.n), matrix(f32, s.n))
			k.in[0].abs, k.plain = true, each2(math.Pow)
			return k
		}),
		add("add_alloc_f32", f32), // an allocation makes no call to the driver, so the kernel is all there is
		arrayRow("chain3_f32", chain),
		arrayRow("gelu_f32", gelu),
		broadcastAdd("rowbcast_add_f32", func(side, _ int) kernels.Layout { return stretched(side, 0, 1) }, func(i, side int) int { return i % side }),
		broadcastAdd("colbcast_add_f32", func(side, _ int) kernels.Layout { return stretched(side, 1, 0) }, func(i, side int) int { return i / side }),
		kernelRow("transpose_copy_f32", func(s sizes) kernelTask { return copyOf(swapped(matrix(f32, s.side, s.side)), s.side) }),
		arrayRow("where_f32", func(s sizes) arrayTask[float32] {
			return arrayTask[float32]{
				inputs: 2, shape: []int{s.n}, read: uint64(8 * s.n), written: uint64(4 * s.n),
				of: func(x []*array.Array[float32]) *array.Array[float32] {
					return array.Where(x[0].GreaterScalar(0), x[0], x[1])
				},
				plain: each2(func(a, b float64) float64 { return pick(a > 0, a, b) }),
			}
		}),
		add("add_bf16", bf16), add("add_f16", f16), add("add_f64", f64), add("add_i32", i32), add("add_i64", i64), add("add_u8", u8),
		kernelRow("cast_f32_bf16", func(s sizes) kernelTask {
			k := elementwise(unary(kernels.OpCast, f32), matrix(bf16, s.n), matrix(f32, s.n))
			k.plain = each1(func(a float64) float64 { return float64(array.BF16(float32(a)).Float32()) })
			return k
		}),
		arrayRow("gather_rows_f32", gatherRows),
		draw("randn_f32", kernels.Normal, 0, 1),
		draw("rand_f32", kernels.Uniform, 0.5, 1./12),
		reduceAll("sum_f32", kernels.OpSum, f32, f32, sumOf),
		reduceAll("max_f32", kernels.OpMax, f32, f32, maxOf),
		reduceAll("argmax_f32", kernels.OpArgMax, f32, i64, argmaxOf),
		reduceAll("mean_f32", kernels.OpMean, f32, f32, func(x []float64) float64 { return sumOf(x) / float64(len(x)) }),
		arrayRow("var_f32", func(s sizes) arrayTask[float32] {
			return whole(s, 1, func(x []*array.Array[float32]) *array.Array[float32] { return x[0].Var() }, func(in [][]float64) float64 { return varianceOf(in[0]) })
		}),
		arrayRow("norm_f32", func(s sizes) arrayTask[float32] {
			return whole(s, 1, func(x []*array.Array[float32]) *array.Array[float32] { return x[0].Norm() }, func(in [][]float64) float64 { return math.Sqrt(dotOf(in[0], in[0])) })
		}),
		reduceAxis("rowsum_f32", kernels.OpSum, f32, 1, func(s sizes) []int { return []int{s.side, s.side} }, sumOf),
		reduceAxis("colsum_f32", kernels.OpSum, f32, 0, func(s sizes) []int { return []int{s.side, s.side} }, sumOf),
		reduceAxis("rowsum_64cols_f32", kernels.OpSum, f32, 1, func(s sizes) []int { return []int{s.n / s.cols, s.cols} }, sumOf),
		reduceAxis("colsum_64cols_f32", kernels.OpSum, f32, 0, func(s sizes) []int { return []int{s.n / s.cols, s.cols} }, sumOf),
		reduceAxis("midsum_f32", kernels.OpSum, f32, 1, func(s sizes) []int { return s.mid[:] }, sumOf),
		reduceAxis("rowargmax_f32", kernels.OpArgMax, i64, 1, func(s sizes) []int { return []int{s.side, s.side} }, argmaxOf),
		arrayRow("softmax_f32", softmax[float32](4, 1e-5, sizes.square)),
		arrayRow("layernorm_f32", layerNorm(sizes.square)),
		arrayRow("longsoftmax_f32", softmax[float32](4, 1e-5, sizes.longRows)),
		arrayRow("longlayernorm_f32", layerNorm(sizes.longRows)),
		arrayRow("cumsum_f32", func(s sizes) arrayTask[float32] { return cumSum(s, s.n) }),
		arrayRow("rowcumsum_f32", func(s sizes) arrayTask[float32] { return cumSum(s, s.side, s.side) }),
		notYet("sort_f32", "gbs", "no Sort yet"),
		notYet("topk16_rows_f32", "gbs", "no TopK yet"),
		arrayRow("dot_f32", func(s sizes) arrayTask[float32] {
			return whole(s, 2, func(x []*array.Array[float32]) *array.Array[float32] { return x[0].Dot(x[1]) }, func(in [][]float64) float64 { return dotOf(in[0], in[1]) })
		}),
		arrayRow("fused_sqdiff_sum_f32", func(s sizes) arrayTask[float32] {
			return whole(s, 2, func(x []*array.Array[float32]) *array.Array[float32] { return x[0].Sub(x[1]).Square().Sum() }, func(in [][]float64) float64 {
				d := each2(func(a, b float64) float64 { return a - b })(in)
				return dotOf(d, d)
			})
		}),
		reduceAll("sum_bf16", kernels.OpSum, bf16, bf16, sumOf),
		arrayRow("softmax_bf16", softmax[array.BFloat16](2, 1e-2, sizes.square)),
		arrayRow("longsoftmax_bf16", softmax[array.BFloat16](2, 1e-2, sizes.longRows)),
		reduceAll("sum_f64", kernels.OpSum, f64, f64, sumOf),
		reduceAll("sum_i32", kernels.OpSum, i32, i64, sumOf),
	}
}

func elementwise(e kernels.Expr, out side, in ...side) kernelTask {
	e.Nodes[len(e.Nodes)-1].Type = out.typ
	return kernelTask{in: in, out: out, tol: 1e-6, plan: func(p *kernels.Plan, out kernels.Layout, in []kernels.Layout) error {
		return kernels.Elementwise(p, &e, out, in)
	}}
}

func function(name string, op kernels.Op, f func(float64) float64) row {
	return kernelRow(name, func(s sizes) kernelTask {
		k := elementwise(unary(op, f32), matrix(f32, s.n), matrix(f32, s.n))
		k.plain = each1(f)
		return k
	})
}

// sums are additions in each type, as Go does them.
var sums = map[kernels.Type]func(a, b float64) float64{
	f16:  func(a, b float64) float64 { return float64(array.F16(float32(a + b)).Float32()) },
	bf16: func(a, b float64) float64 { return float64(array.BF16(float32(a + b)).Float32()) },
	f32:  func(a, b float64) float64 { return float64(float32(a + b)) },
	f64:  func(a, b float64) float64 { return a + b },
	i32:  func(a, b float64) float64 { return float64(int32(a) + int32(b)) },
	i64:  func(a, b float64) float64 { return float64(int64(a) + int64(b)) },
	u8:   func(a, b float64) float64 { return float64(uint8(a) + uint8(b)) },
}

func add(name string, t kernels.Type) row {
	return kernelRow(name, func(s sizes) kernelTask {
		k := elementwise(binary2(kernels.OpAdd, t), matrix(t, s.n), matrix(t, s.n), matrix(t, s.n))
		k.in[0].scale, k.in[1].scale = 10, 10
		k.plain, k.tol = each2(sums[t]), 0
		return k
	})
}

func copyOf(in side, stride int) kernelTask {
	out := in
	out.layout = kernels.RowMajor(in.layout.Shape[:in.layout.Rank]...)
	return kernelTask{in: []side{in}, out: out, plan: func(p *kernels.Plan, out kernels.Layout, in []kernels.Layout) error {
		return kernels.Copy(p, f32, out, in[0])
	}, plain: func(in [][]float64) []float64 {
		y := make([]float64, len(in[0]))
		for i := range y {
			y[i] = in[0][i%stride*stride+i/stride] // of a transposed square; all of it where stride is 1
			if stride == 1 {
				y[i] = in[0][i]
			}
		}
		return y
	}}
}

// stretched is the layout of a vector broadcast to a square matrix.
func stretched(side, rowStride, colStride int) kernels.Layout {
	l := kernels.RowMajor(side, side)
	l.Strides[0], l.Strides[1] = rowStride, colStride
	return l
}

func broadcastAdd(name string, layout func(side, _ int) kernels.Layout, at func(i, side int) int) row {
	return kernelRow(name, func(s sizes) kernelTask {
		v := side{typ: f32, layout: layout(s.side, 0)}
		k := elementwise(binary2(kernels.OpAdd, f32), matrix(f32, s.side, s.side), matrix(f32, s.side, s.side), v)
		k.plain = func(in [][]float64) []float64 {
			y := make([]float64, len(in[0]))
			for i, a := range in[0] {
				y[i] = sums[f32](a, in[1][at(i, s.side)])
			}
			return y
		}
		return k
	})
}

// draw is a row that makes random numbers of the given mean and variance.
func draw(name string, d kernels.Dist, mean, variance float64) row {
	return kernelRow(name, func(s sizes) kernelTask {
		return kernelTask{out: matrix(f32, s.n), plan: func(p *kernels.Plan, _ kernels.Layout, _ []kernels.Layout) error {
			return kernels.Random(p, d, f32, s.n, 1, 0)
		}, check: func(x []float64) error {
			n := float64(len(x))
			return equal([]float64{sumOf(x) / n, varianceOf(x)}, []float64{mean, variance}, 6/math.Sqrt(n))
		}}
	})
}

func reduceAll(name string, op kernels.Op, t, result kernels.Type, plain func(x []float64) float64) row {
	return kernelRow(name, func(s sizes) kernelTask {
		in := matrix(t, s.n)
		if t.IsInteger() {
			in.scale = 10
		}
		return reduction(op, t, result, in, matrix(result), 0, func(in [][]float64) []float64 { return []float64{plain(in[0])} })
	})
}

func reduceAxis(name string, op kernels.Op, result kernels.Type, axis int, shape func(s sizes) []int, plain func(x []float64) float64) row {
	return kernelRow(name, func(s sizes) kernelTask {
		dims := shape(s)
		inner := 1
		for _, d := range dims[axis+1:] {
			inner *= d
		}
		var kept []int
		for i, d := range dims {
			if i != axis {
				kept = append(kept, d)
			}
		}
		return reduction(op, f32, result, matrix(f32, dims...), matrix(result, kept...), axis, func(in [][]float64) []float64 {
			x := make([]float64, dims[axis])
			var y []float64
			for i := range len(in[0]) / dims[axis] {
				for j := range x {
					x[j] = in[0][i/inner*inner*len(x)+j*inner+i%inner]
				}
				y = append(y, plain(x))
			}
			return y
		})
	})
}

func reduction(op kernels.Op, t, result kernels.Type, in, out side, axis int, plain func(in [][]float64) []float64) kernelTask {
	tol := 1e-5
	if t == bf16 {
		tol = 1e-2
	}
	return kernelTask{in: []side{in}, out: out, plain: plain, tol: tol, plan: func(p *kernels.Plan, out kernels.Layout, in []kernels.Layout) error {
		return kernels.ReduceAs(p, op, t, result, out, in[0], 1<<axis)
	}}
}

// whole is a reduction of n elements to one.
func whole(s sizes, inputs int, of func(x []*array.Array[float32]) *array.Array[float32], plain func(in [][]float64) float64) arrayTask[float32] {
	return arrayTask[float32]{inputs: inputs, shape: []int{s.n}, of: of, tol: 1e-4, read: uint64(4 * s.n * inputs), written: 4,
		plain: func(in [][]float64) []float64 { return []float64{plain(in)} }}
}

// chain is tanh(a·b + c)·σ(a − c) + b/2.
func chain(s sizes) arrayTask[float32] {
	return arrayTask[float32]{
		inputs: 3, shape: []int{s.n}, read: uint64(12 * s.n), written: uint64(4 * s.n), tol: 1e-5,
		of: func(x []*array.Array[float32]) *array.Array[float32] {
			a, b, c := x[0], x[1], x[2]
			return a.Mul(b).Add(c).Tanh().Mul(a.Sub(c).Sigmoid()).Add(b.MulScalar(0.5))
		},
		plain: func(in [][]float64) []float64 {
			y := make([]float64, len(in[0]))
			for i := range y {
				a, b, c := in[0][i], in[1][i], in[2][i]
				y[i] = math.Tanh(a*b+c)/(1+math.Exp(c-a)) + b/2
			}
			return y
		},
	}
}

// gelu is the tanh form, written out.
func gelu(s sizes) arrayTask[float32] {
	root := math.Sqrt(2 / math.Pi)
	return arrayTask[float32]{
		inputs: 1, shape: []int{s.n}, read: uint64(4 * s.n), written: uint64(4 * s.n), tol: 1e-5,
		of: func(x []*array.Array[float32]) *array.Array[float32] {
			a := x[0]
			t := a.Square().MulScalar(0.044715).AddScalar(1).Mul(a).MulScalar(float32(root)).Tanh()
			return t.AddScalar(1).Mul(a).MulScalar(0.5)
		},
		plain: each1(func(a float64) float64 { return a / 2 * (1 + math.Tanh(root*a*(1+0.044715*a*a))) }),
	}
}

// square and longRows are shapes of matrices of n elements.
func (s sizes) square() (rows, length int)   { return s.side, s.side }
func (s sizes) longRows() (rows, length int) { return s.n / s.long, s.long }

func softmax[T array.Element](size int, tol float64, shape func(s sizes) (rows, length int)) func(s sizes) arrayTask[T] {
	return func(s sizes) arrayTask[T] {
		rows, length := shape(s)
		return arrayTask[T]{
			inputs: 1, shape: []int{rows, length}, read: uint64(size * s.n), written: uint64(size * s.n), tol: tol,
			of: func(x []*array.Array[T]) *array.Array[T] { return x[0].Softmax(1) },
			plain: func(in [][]float64) []float64 {
				var y []float64
				for i := 0; i < len(in[0]); i += length {
					e := each1(math.Exp)([][]float64{in[0][i : i+length]})
					total := sumOf(e)
					for _, v := range e {
						y = append(y, v/total)
					}
				}
				return y
			},
		}
	}
}

// gatherRows takes as many rows of a matrix as it has, at random.
func gatherRows(s sizes) arrayTask[float32] {
	rng := rand.New(rand.NewPCG(1, 0))
	rows := make([]int64, s.side)
	for i := range rows {
		rows[i] = rng.Int64N(int64(s.side))
	}
	var index *array.Array[int64]
	return arrayTask[float32]{
		inputs: 1, shape: []int{s.side, s.side}, read: uint64(4*s.n + 8*s.side), written: uint64(4 * s.n),
		setup: func(d *array.Device) func() {
			index = array.FromSlice(d, rows)
			return index.Free
		},
		of: func(x []*array.Array[float32]) *array.Array[float32] { return x[0].Take(index, 0) },
		plain: func(in [][]float64) []float64 {
			var y []float64
			for _, i := range rows {
				y = append(y, in[0][int(i)*s.side:int(i+1)*s.side]...)
			}
			return y
		},
	}
}

// layerNorm normalises rows, with weight and bias.
func layerNorm(shape func(s sizes) (rows, length int)) func(s sizes) arrayTask[float32] {
	const eps = 1e-5
	return func(s sizes) arrayTask[float32] {
		rows, length := shape(s)
		return arrayTask[float32]{
			inputs: 1, shape: []int{rows, length}, more: [][]int{{length}, {length}}, read: uint64(4*s.n + 8*length), written: uint64(4 * s.n), tol: 1e-4,
			of: func(x []*array.Array[float32]) *array.Array[float32] { return x[0].LayerNorm(x[1], x[2], eps, 1) },
			plain: func(in [][]float64) []float64 {
				var y []float64
				for i := 0; i < len(in[0]); i += length {
					row := in[0][i : i+length]
					mean, root := sumOf(row)/float64(length), math.Sqrt(varianceOf(row)+eps)
					for j, x := range row {
						y = append(y, (x-mean)/root*in[1][j]+in[2][j])
					}
				}
				return y
			},
		}
	}
}

// cumSum is cumulative sums along the last axis.
func cumSum(s sizes, shape ...int) arrayTask[float32] {
	return arrayTask[float32]{
		inputs: 1, shape: shape, read: uint64(4 * s.n), written: uint64(4 * s.n), tol: 1e-2, // sums of thousands come near 0
		of: func(x []*array.Array[float32]) *array.Array[float32] { return x[0].CumSum(-1) },
		plain: func(in [][]float64) []float64 {
			y := make([]float64, len(in[0]))
			sum := 0.0
			for i, x := range in[0] {
				if i%shape[len(shape)-1] == 0 {
					sum = 0
				}
				sum += x
				y[i] = sum
			}
			return y
		},
	}
}

// A product is a shape of the table of matrix products.
type product struct {
	name    string
	m, k, n int
	batch   int
	nt, tn  bool // the second, or the first, operand is a transposed view
}

var productShapes = func() []product {
	var all []product
	for _, d := range [][3]int{{256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {4096, 4096, 4096}, {8192, 8192, 8192}, {8192, 8192, 128},
		{128, 8192, 8192}, {4096, 11008, 4096}, {1000, 1000, 1000}, {4095, 4097, 4099}, {1, 8192, 8192}, {16, 8192, 8192}, {256, 65536, 256}} {
		all = append(all, product{name: fmt.Sprintf("mm %dx%dx%d", d[0], d[1], d[2]), m: d[0], k: d[1], n: d[2]})
	}
	all = append(all,
		product{name: "bmm 64x256", m: 256, k: 256, n: 256, batch: 64},
		product{name: "mmNT 4096", m: 4096, k: 4096, n: 4096, nt: true},
		product{name: "mmTN 4096", m: 4096, k: 4096, n: 4096, tn: true})
	for _, d := range [][3]int{{64, 64, 64}, {128, 128, 128}, {128, 784, 512}, {128, 512, 10}} {
		all = append(all, product{name: fmt.Sprintf("mm %dx%dx%d", d[0], d[1], d[2]), m: d[0], k: d[1], n: d[2]})
	}
	return all
}()

// productRows are every shape in every precision, named as "mm 256x256x256 f32".
func productRows() []row {
	var rows []row
	for _, t := range []kernels.Type{f32, f64} {
		for _, p := range productShapes {
			rows = append(rows, row{task: p.name + " " + shortNames[t], unit: "tflops", make: func(r *runner) (*task, error) { return p.task(r.sizes, t).start(r) }})
		}
	}
	for _, precision := range []string{"tf32", "f16", "bf16"} {
		for _, p := range productShapes {
			rows = append(rows, notYet(p.name+" "+precision, "tflops", "no kernels for tensor cores yet"))
		}
	}
	return rows
}

func (p product) task(s sizes, t kernels.Type) kernelTask {
	small := func(d int) int { return max(d/s.shrink, min(d, 3)) }
	m, k, n := small(p.m), small(p.k), small(p.n)
	lead := func(shape ...int) []int {
		if p.batch > 0 {
			return append([]int{small(p.batch)}, shape...)
		}
		return shape
	}
	count := 1
	if p.batch > 0 {
		count = small(p.batch)
	}
	a, b := matrix(t, lead(m, k)...), matrix(t, lead(k, n)...)
	if p.tn {
		a = swapped(matrix(t, k, m))
	}
	if p.nt {
		b = swapped(matrix(t, n, k))
	}
	return kernelTask{in: []side{a, b}, out: matrix(t, lead(m, n)...), tol: 1e-4, flops: 2 * float64(count*m) * float64(k) * float64(n),
		plan: func(plan *kernels.Plan, out kernels.Layout, in []kernels.Layout) error {
			return kernels.MatMul(plan, t, out, in[0], in[1])
		},
		plain: func(in [][]float64) []float64 {
			y := make([]float64, count*m*n)
			ai, ak, bk, bj := k, 1, n, 1
			if p.tn {
				ai, ak = 1, m
			}
			if p.nt {
				bk, bj = 1, k
			}
			for i := range y {
				c, i0, j := i/(m*n), i/n%m, i%n
				for l := range k {
					y[i] += in[0][c*m*k+i0*ai+l*ak] * in[1][c*k*n+l*bk+j*bj]
				}
			}
			return y
		}}
}
