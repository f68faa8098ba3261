package array

import (
	"fmt"
	"math"
	"slices"
	"testing"
)

// TestExpressionLimits evaluates chains of as many operations and arrays as one kernel
// takes, of one less and more, and of twice as many, also as what is reduced: the values
// are those of float32 arithmetic on the host, and no kernel is launched that need not be.
func TestExpressionLimits(t *testing.T) {
	d := openForTest(t)
	const n = 300
	xs, hosts := make([]*Array[float32], 2*maxLeaves), make([][]float32, 2*maxLeaves)
	for i := range xs {
		hosts[i] = make([]float32, n)
		for j := range hosts[i] {
			hosts[i][j] = float32(math.Sin(float64(i*n + j)))
		}
		xs[i] = FromSlice(d, hosts[i], n)
	}
	for _, kind := range []struct {
		name  string
		most  int // steps in a kernel
		array func(a *Array[float32], i int) *Array[float32]
		host  func(v float32, i, j int) float32
	}{
		{"of one operand", maxNodes, func(a *Array[float32], i int) *Array[float32] { return a.Neg() }, func(v float32, i, j int) float32 { return -v }},
		{"with scalars", maxNodes, func(a *Array[float32], i int) *Array[float32] { return a.AddScalar(float32(i) / 8) },
			func(v float32, i, j int) float32 { return v + float32(i)/8 }},
		{"of one array", maxNodes, func(a *Array[float32], i int) *Array[float32] { return a.Sub(xs[0]) }, func(v float32, i, j int) float32 { return v - hosts[0][j] }},
		{"of many arrays", maxLeaves - 1, func(a *Array[float32], i int) *Array[float32] { return a.Add(xs[i+1]) }, func(v float32, i, j int) float32 { return v + hosts[i+1][j] }},
	} {
		for _, steps := range []int{kind.most - 1, kind.most, kind.most + 1, 2 * kind.most, 2*kind.most + 1} {
			for _, reduced := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%d/%v", kind.name, steps, reduced), func(t *testing.T) {
					before := d.Stats().Launches
					a, want := xs[0], slices.Clone(hosts[0])
					for i := range steps {
						a = kind.array(a, i)
						for j := range want {
							want[j] = kind.host(want[j], i, j)
						}
					}
					if reduced {
						a = a.Max()
						want = []float32{slices.Max(want)}
					}
					a.Eval()
					launches := int(d.Stats().Launches - before)
					if got := values(t, a); !slices.Equal(got, want) {
						t.Errorf("got %v, want %v", got, want)
					}
					if most := (steps + kind.most - 1) / kind.most; launches > most {
						t.Errorf("%d launches, %d would do", launches, most)
					}
				})
			}
		}
	}
}
