package kernels

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestRecentKeys asks for the keys of more kernels than are remembered, in random
// order, among them ones that differ in one thing only, and with immediates of all
// values, which are no part of a key.
func TestRecentKeys(t *testing.T) {
	var list []*elementwiseKernel
	for _, key := range elementwiseEmbedded() {
		k, err := parseElementwise(key)
		if err != nil {
			t.Fatal(err)
		}
		narrow, items, rank, scattered := *k, *k, *k, *k
		narrow.width, items.items, rank.rank = 1, 2, 3
		scattered.forms = append([]form{strided}, k.forms[1:]...)
		for _, other := range []*elementwiseKernel{&narrow, &items, &rank, &scattered} {
			if k.same(other) != (string(k.appendKey(nil)) == string(other.appendKey(nil))) {
				t.Errorf("the same for comparison only: %+v and %+v", k, other)
			}
		}
		list = append(list, k, &narrow, &items, &rank, &scattered)
	}
	for _, pair := range [][2]string{
		{"int64:1c int64:2c %s.int64:0,1", "int64:2c int64:1c %s.int64:0,1"},
		{"int64:1c int64:2c %s.int64:0,1", "int64:1c int64:2c %s.int64:1,0"},
		{"int64:imm int64:idxc %s.int64:0,1", "int64:idxc int64:imm %s.int64:0,1"},
		{"int64:1c int64:imm %s.int64:0,1", "int64:imm int64:1c %s.int64:0,1"},
	} {
		var both [2]*elementwiseKernel
		for i, words := range pair {
			k, err := parseElementwise("ew v1 u1 r0 outc " + fmt.Sprintf(words, OpSub))
			if err != nil {
				t.Fatal(err)
			}
			both[i] = k
		}
		if both[0].same(both[1]) {
			t.Errorf("the same for comparison: %q and %q", pair[0], pair[1])
		}
	}
	if len(list) <= len(recentKeys) {
		t.Errorf("%d kernels fit %d places", len(list), len(recentKeys))
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var w elementwiseWork
	for range 10 * len(list) {
		k := list[rng.IntN(len(list))]
		for i := range k.expr.Nodes {
			if n := &k.expr.Nodes[i]; n.Kind == Immediate {
				n.Bits = rng.Uint64()
			}
		}
		if got, want := w.keyOf(k), string(k.appendKey(nil)); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
}
