package kernels

import (
	"strings"
	"testing"
)

// A teamCase is a reduction of outer·columns columns of n elements, and a geometry that
// makes many blocks of few elements. A team has max(groups/vec, 1)·fan of them; the fan
// is 16 for sums, 8 for positions and 4 for moments.
type teamCase struct {
	outer, n, columns       int
	vec, run, lanes, groups int
}

var teamCases = []teamCase{
	{1, 2000, 4, 1, 1, 4, 4},     // 512 blocks: 8 teams for sums
	{3, 1500, 12, 4, 2, 2, 4},    // 256: 16 teams, for two tiles, one of them not whole, and 3 outer indices
	{1, 2048, 2, 1, 1, 2, 1},     // 2048: more teams than one round combines
	{1, 140_000, 2, 1, 16, 2, 4}, // 160: 2½ teams
	{2, 70_000, 5, 1, 16, 4, 4},  // 96: 1½ teams, for two tiles and 2 outer indices
	{1, 40_000, 3, 1, 16, 4, 4},  // 64: one team
}

// checkTeams reduces in a case's geometry, with teams, and compares the results with the
// model's, bit for bit.
func checkTeams[T, U any](t *testing.T, c teamCase, op Op, in, result Type, moments momentsOf, value func() T, model func([]T) U) {
	t.Helper()
	x, out := RowMajor(c.outer, c.n, c.columns), RowMajor(c.outer, c.columns)
	w := newReduction(op, result)
	w.moments = moments != noMoments
	if err := w.setLayouts(oneLoad(in), &out, []Layout{x}, 2); err != nil {
		t.Fatal(err)
	}
	lane := w.laneAxis()
	vec := min(c.vec, w.columnForms(lane))
	k := &columnsKernel{source: w.source, op: op, in: in, out: result, vec: vec, run: c.run, lanes: c.lanes, groups: c.groups,
		kept: w.kept.rank - 1, red: w.red.rank, split: true, teams: true, moments: moments}
	var p Plan
	w.launchColumns(&p, k, lane)
	checkReductionKey(t, p.Launches[0].Key)
	data, got := make([]T, x.Len()), make([]U, out.Len())
	for i := range data {
		data[i] = value()
	}
	runPlan(t, &p, got, data, none)
	for i, column := range gather(data, x, []int{0, 2}, []int{1}) {
		if want := model(column); !sameBits(got[i], want) {
			t.Fatalf("%+v, %s: result %d is %v, want %v", c, p.Launches[0].Key, i, got[i], want)
		}
	}
}

// TestColumnTeams: teams of blocks combine in the order of a reduction, however many they
// are, and leave their tickets zero (see runAlone).
func TestColumnTeams(t *testing.T) {
	r := newRand(t)
	for _, c := range teamCases {
		checkTeams(t, c, OpSum, Float32, Float32, noMoments, func() float32 { return float32(r.NormFloat64()) }, func(xs []float32) float32 { return reduceModel(xs, add[float32]) })
		checkTeams(t, c, OpArgMin, Float64, Int64, noMoments, func() float64 { return float64(special(r, false)) }, func(xs []float64) int64 { return argBest(xs, -1) })
		moments := momentsOfMany
		if c.n <= reduceSlots {
			moments = momentsOnce
		}
		checkTeams(t, c, OpMean, Float64, Float64, moments, r.NormFloat64, momentsModel)
	}
}

// TestTeamsArePlanned: many blocks to a few columns make teams; few blocks do not.
func TestTeamsArePlanned(t *testing.T) {
	for _, c := range []struct {
		shape []int
		teams bool
	}{
		{[]int{1, 1 << 20, 64}, true}, {[]int{1, 1 << 19, 64}, false}, {[]int{1, 1 << 18, 256}, true}, {[]int{3, 1 << 20, 64}, true},
		{[]int{1, 8192, 8192}, false}, {[]int{64, 1024, 1024}, false}, {[]int{1, 1000, 256}, false},
	} {
		var p Plan
		if err := Reduce(&p, OpSum, Float32, RowMajor(c.shape[0], c.shape[2]), RowMajor(c.shape...), 2); err != nil {
			t.Fatal(err)
		}
		if key := p.Launches[0].Key; strings.Contains(key, " split teams") != c.teams {
			t.Errorf("columns of %v: %s", c.shape, key)
		}
	}
}
