package ptx

import (
	"fmt"
	"strconv"
	"strings"
)

// targetPTX is the lowest PTX version that knows each target. Below 6.3 it is
// raised to that: .sync instructions and the memory model are relied upon.
var targetPTX = map[string]int{
	"sm_50": 63, "sm_52": 63, "sm_53": 63, "sm_60": 63, "sm_61": 63, "sm_62": 63, "sm_70": 63, "sm_72": 63, "sm_75": 63,
	"sm_80": 70, "sm_86": 71, "sm_87": 74, "sm_89": 78, "sm_90": 78, "sm_90a": 80,
	"sm_100": 86, "sm_100a": 86, "sm_101": 86, "sm_101a": 86, "sm_103": 88, "sm_103a": 88,
	"sm_120": 87, "sm_120a": 87, "sm_121": 88, "sm_121a": 88,
}

// parseTarget returns a target's number, whether it has the suffix "a", and the
// lowest PTX version that knows it.
func parseTarget(target string) (needs, bool) {
	ptx, ok := targetPTX[target]
	number, arch := strings.CutSuffix(strings.TrimPrefix(target, "sm_"), "a")
	sm, _ := strconv.Atoi(number)
	return needs{sm: sm, ptx: ptx, arch: arch}, ok
}

// lacks says what the target t would have to be for n, or "" where it serves.
// What a target with the suffix "a" adds is not in later ones.
func (t needs) lacks(n needs) string {
	switch {
	case n.arch && (!t.arch || t.sm != n.sm):
		return fmt.Sprintf("sm_%da", n.sm)
	case t.sm < n.sm:
		return fmt.Sprintf("sm_%d or higher", n.sm)
	}
	return ""
}

// Less says whether v is the lower version.
func (v Version) Less(w Version) bool {
	return v.Major < w.Major || v.Major == w.Major && v.Minor < w.Minor
}

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// needs returns what the form requires of the target and the PTX version.
func (f *Form) needs() needs {
	return needs{f.MinSM, f.MinPTX.Major*10 + f.MinPTX.Minor, f.Arch, f.from}
}
