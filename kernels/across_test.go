package kernels

import "testing"

// Turning rows around changes no bits: each operation on rows across memory gives
// what its kernel gives where it reads them as they lie.
func TestAcross(t *testing.T) {
	defer func(bytes int) { turnBytes = bytes }(turnBytes)
	r := newRand(t)
	row := RowMajor(300)
	for _, c := range []struct {
		name string
		u    Type
		plan func(p *Plan, x Layout) error
	}{
		{"softmax", Float32, func(p *Plan, x Layout) error { return Softmax(p, Float32, x, x, 1) }},
		{"log_softmax", Float32, func(p *Plan, x Layout) error { return LogSoftmax(p, Float32, x, x, 1) }},
		{"layer_norm", Float32, func(p *Plan, x Layout) error { return LayerNorm(p, Float32, 1e-5, x, x, 1, &row, &row) }},
		{"rms_norm", Float32, func(p *Plan, x Layout) error { return RMSNorm(p, Float32, 1e-5, x, x, 1, &row) }},
		{"sums", Float32, func(p *Plan, x Layout) error { return Scan(p, OpSum, Float32, Float32, x, x, 1) }},
		{"wider sums", Float64, func(p *Plan, x Layout) error { return Scan(p, OpSum, Float32, Float64, x, x, 1) }},
	} {
		x := RowMajor(3, 300, 8)
		in, line := packElements(Float32, normals(r, Float32, x.Len())), packElements(Float32, normals(r, Float32, 300))
		var results [2][]uint64
		for i, bytes := range []int{1 << 30, 0} {
			turnBytes = bytes
			var p Plan
			if err := c.plan(&p, x); err != nil {
				t.Fatal(err)
			}
			if want := []int{1, 3}[i]; len(p.Launches) != want {
				t.Errorf("%s: %d launches, want %d", c.name, len(p.Launches), want)
			}
			out := make([]byte, x.Len()*c.u.Size())
			newRunner(t).run(t, &p, c.u, out, in, line, line)
			results[i] = unpackElements(c.u, out)
		}
		for i, got := range results[1] {
			if want := results[0][i]; got != want {
				t.Fatalf("%s: element %d is %v turned around, %v as it lies", c.name, i, floatOf(c.u, got), floatOf(c.u, want))
			}
		}
	}
}
