package exec

import "unsafe"

// stepNames has the mnemonics of each code of steps_amd64.s, in its order. A
// comparison's stand after "setp.".
var stepNames = [...][]string{
	{"add.u32", "add.s32"}, {"sub.u32", "sub.s32"}, {"mul.lo.u32", "mul.lo.s32"},
	{"and.b32"}, {"or.b32"}, {"xor.b32"}, {"shl.b32"}, {"shr.u32", "shr.b32"}, {"shr.s32"},
	{"min.u32"}, {"max.u32"}, {"min.s32"}, {"max.s32"},
	{"add.u64", "add.s64"}, {"sub.u64", "sub.s64"}, {"and.b64"}, {"or.b64"}, {"xor.b64"},
	{"add.f64", "add.rn.f64"}, {"sub.f64", "sub.rn.f64"}, {"mul.f64", "mul.rn.f64"}, {"div.rn.f64"},
	{"add.f32", "add.rn.f32"}, {"sub.f32", "sub.rn.f32"}, {"mul.f32", "mul.rn.f32"}, {"div.rn.f32"},
	{"rcp.rn.f32"}, {"sqrt.rn.f32"},
	{"mad.lo.u32", "mad.lo.s32"}, {"fma.rn.f32", "mad.rn.f32"}, {"fma.rn.f64", "mad.rn.f64"},
	{"min.f32"}, {"max.f32"}, {"min.NaN.f32"}, {"max.NaN.f32"},
	{"neg.f32"}, {"abs.f32"}, {"neg.f64"}, {"abs.f64"}, {"copysign.f32"}, {"copysign.f64"},
	{"not.b32"}, {"mov.b32"}, {"mov.b64"}, {"cvt.rn.f32.s32"},
	{"mul.wide.u32"}, {"mul.wide.s32"}, {"mad.wide.u32"}, {"mad.wide.s32"},
	{"shl.b64"}, {"shr.u64", "shr.b64"},
	{"cvt.u64.u32", "cvt.s64.u32"}, {"cvt.s64.s32", "cvt.u64.s32"},
	{"cvt.u32.u64", "cvt.s32.s64", "cvt.u32.s64", "cvt.s32.u64"},
	{"selp.b32"}, {"selp.b64"},
	{"setp.eq.f32"}, {"setp.lt.f32"}, {"setp.le.f32"}, {"setp.nan.f32"},
	{"setp.eq.u32", "setp.eq.s32", "setp.eq.b32"}, {"setp.le.u32"}, {"setp.le.s32"},
	{"mul.hi.u32"},
}

// chains are the codes after those with mnemonics: polynomials of one link to six.
var chains = func() (codes [6]uint32) {
	for i := range codes {
		codes[i] = uint32(len(stepNames) + i)
	}
	return codes
}()

// stepForms lists the steps by mnemonic.
func stepForms() map[string]*stepForm {
	forms := map[string]*stepForm{}
	for code, names := range stepNames {
		for _, n := range names {
			forms[n] = &stepForm{code: uint32(code)}
		}
	}
	for _, t := range []string{"u32", "s32"} {
		forms["setp.lt."+t] = &stepForm{forms["setp.le."+t].code, true, ^uint32(0)}
	}
	return forms
}

// runSteps runs n steps over rows of a number of bytes: rows and wide are where
// those of 32 and 64 bits begin, pitch lies between slots, predPitch between
// predicates.
//
//go:noescape
func runSteps(s *step, n int, rows, wide unsafe.Pointer, pitch int, preds *uint32, predPitch, bytes int)
