package array

import (
	"errors"
	"testing"
)

func TestDefaultLimit(t *testing.T) {
	there := func(string) bool { return true }
	missing := func(string) bool { return false }
	tcc := func(is int, err error) func() (int, error) { return func() (int, error) { return is, err } }
	const free = 5 << 30
	info := func() (uint64, uint64, error) { return free, 8 << 30, nil }
	failing := func() (uint64, uint64, error) { return 0, 0, errors.New("no") }
	for _, c := range []struct {
		name string
		platform
		want uint64
	}{
		{"linux", platform{"linux", missing, tcc(0, nil), info}, 0},
		{"WSL 2", platform{"linux", there, tcc(0, nil), info}, free},
		{"Windows, WDDM", platform{"windows", missing, tcc(0, nil), info}, free},
		{"Windows, TCC", platform{"windows", missing, tcc(1, nil), info}, 0},
		{"Windows, no answer", platform{"windows", missing, tcc(0, errors.New("no")), info}, 0},
		{"WSL 2, no answer", platform{"linux", there, tcc(0, nil), failing}, 0},
		{"js", platform{"js", there, tcc(0, nil), info}, 0},
	} {
		if got := c.defaultLimit(); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}
