package ptx

import "strings"

// specialRegs holds the special registers with their types; those with the
// type in specialVectors also have .x, .y and .z.
var specialRegs = map[string]Type{
	"%laneid": U32, "%warpid": U32, "%nwarpid": U32, "%smid": U32, "%nsmid": U32, "%gridid": U64,
	"%lanemask_eq": U32, "%lanemask_le": U32, "%lanemask_lt": U32, "%lanemask_ge": U32, "%lanemask_gt": U32,
	"%clock": U32, "%clock_hi": U32, "%clock64": U64,
	"%globaltimer": U64, "%globaltimer_lo": U32, "%globaltimer_hi": U32,
	"%total_smem_size": U32, "%dynamic_smem_size": U32, "%aggr_smem_size": U32,
	"%cluster_ctarank": U32, "%cluster_nctarank": U32, "%is_explicit_cluster": Pred,
}

var specialVectors = map[string]bool{
	"%tid": true, "%ntid": true, "%ctaid": true, "%nctaid": true,
	"%clusterid": true, "%nclusterid": true, "%cluster_ctaid": true, "%cluster_nctaid": true,
}

// specialType returns the type of a special register such as "%tid.x".
func specialType(name string) (Type, bool) {
	if t, ok := specialRegs[name]; ok {
		return t, true
	}
	base, axis, ok := strings.Cut(name, ".")
	if ok && specialVectors[base] && (axis == "x" || axis == "y" || axis == "z") {
		return U32, true
	}
	return NoType, false
}

// specialNeeds says what target and PTX version a special register requires.
func specialNeeds(name string) needs {
	switch {
	case strings.Contains(name, "cluster"):
		return needs{sm: 90, ptx: 78}
	case name == "%aggr_smem_size":
		return needs{sm: 90, ptx: 81}
	}
	return needs{}
}
