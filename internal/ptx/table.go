package ptx

// A row describes instructions of one name that differ only in modifiers.
//
// mods lists the modifiers in order, separated by spaces. Each is a list of
// alternatives, "rn|rz|rm|rp"; a final "?" makes it optional; "T=u32|s32"
// keeps what was found under the letter T. "@80:70" after an alternative says
// that it needs sm_80 and PTX 7.0; standing alone it holds for the row. "*" in
// an alternative is a multiple of 8 up to 256, "**" of 16.
//
// args lists the operands in order:
//
//	T u32 f32   a register or constant of the kept or named type
//	>T          a destination register; "<>T" one that is also read
//	>T|p >T|P   a destination register and a predicate, which T|p may lack
//	p !p        a source predicate; "!p" may be negated
//	u32#0:255   a constant, if it is one, in that range; of 0:256/8 a multiple of
//	            8; of f32#0:1 above 0
//	T+          a register wider than the type will do as well
//	T*2         twice the kept type's width
//	=T          a register, not a constant
//	4xT VxT     a vector of four, or as many as the kept v2, v4 or v8 says (a scalar if absent)
//	N2xT        as many as half the N of a kept m64nNk16; "N4x" a quarter
//	[] [S] [tensor]  an address, in the kept state space; with coordinates for
//	            as many dimensions as the kept 1d to 5d says
//	[S-local]   not of a local variable, where the state space is not said
//	_           the sink, nothing else
//	#lo:hi      an integer constant in that range; of #-1:1 not 0
//	label
//	C:u32       only where the letter C was kept
//
// The letters C, P and E keep cache hints, which only global memory has.
//
// A final "?" makes an operand optional (with all that follow).
type row struct{ op, mods, args string }

const (
	anyInt  = "T=u16|u32|u64|s16|s32|s64"
	allInts = "u8|u16|u32|u64|s8|s16|s32|s64"
	rnd     = "rn|rz|rm|rp"
	rndi    = "rni|rzi|rmi|rpi"
	scmp    = "eq|ne|lt|le|gt|ge"
	ucmp    = scmp + "|lo|ls|hi|hs"
	fcmp    = scmp + "|equ|neu|ltu|leu|gtu|geu|num|nan"
	boolop  = "and|or|xor"

	memTypes  = "T=b8|b16|b32|b64|u8|u16|u32|u64|s8|s16|s32|s64|f32|f64"
	intShapes = "N=m64n8k32|m64n24k32|m64n**k32"

	memVec   = "V=v2|v4?"
	scopes   = "cta|cluster@90:78|gpu|sys"
	spaces   = "S=global|shared|shared::cta@0:78|shared::cluster@90:78"
	evict    = "E=L1::evict_normal@0:74|L1::evict_unchanged@0:74|L1::evict_first@0:74|L1::evict_last@0:74|L1::no_allocate@0:74"
	hint     = "C=L2::cache_hint@80:74?"
	prefetch = "P=L2::64B@0:74|L2::128B@0:74|L2::256B@80:74?"
	ldTail   = " " + hint + " " + prefetch + " " + memVec + " " + memTypes
	stTail   = " " + hint + " " + memVec + " " + memTypes
	ldSpaces = "S=const|global|local|param|param::entry@0:83|shared|shared::cta@0:78|shared::cluster@90:78?"
	stSpaces = "S=global|local|shared|shared::cta@0:78|shared::cluster@90:78?"
	atomHead = "relaxed|acquire|release|acq_rel? " + scopes + "? " + spaces + "? "
	redHead  = "relaxed|release? " + scopes + "? " + spaces + "? "
	redAsync = "@90:81 async relaxed cluster S=shared::cluster? mbarrier::complete_tx::bytes "
	ldArgs   = ">VxT+ [S] C:u64"
	stArgs   = "[S] VxT+ C:u64"

	atomVector = "@90:81 relaxed|acquire|release|acq_rel? " + scopes + "? S=global? "
	redVector  = "@90:81 relaxed|release? " + scopes + "? S=global? "
)

// table holds every instruction form that the package knows.
var table = []row{
	// Integer arithmetic.
	{"add", anyInt, ">T T T"},
	{"add", "sat s32", ">s32 s32 s32"},
	{"add", "@90:80 T=u16x2|s16x2", ">T T T"},
	{"sub", anyInt, ">T T T"},
	{"sub", "sat s32", ">s32 s32 s32"},
	{"mul", "lo|hi " + anyInt, ">T T T"},
	{"mul", "wide T=u16|u32|s16|s32", ">T*2 T T"},
	{"mad", "lo|hi " + anyInt, ">T T T T"},
	{"mad", "wide T=u16|u32|s16|s32", ">T*2 T T T*2"},
	{"mad", "hi sat s32", ">s32 s32 s32 s32"},
	{"mul24", "lo|hi T=u32|s32", ">T T T"},
	{"mad24", "lo|hi T=u32|s32", ">T T T T"},
	{"mad24", "hi sat s32", ">s32 s32 s32 s32"},
	{"sad", anyInt, ">T T T T"},
	{"div", anyInt, ">T T T"},
	{"rem", anyInt, ">T T T"},
	{"abs", "T=s16|s32|s64", ">T T"},
	{"neg", "T=s16|s32|s64", ">T T"},
	{"min", anyInt, ">T T T"},
	{"max", anyInt, ">T T T"},
	{"min", "@90:80 T=u16x2|s16x2", ">T T T"},
	{"max", "@90:80 T=u16x2|s16x2", ">T T T"},
	{"min", "@90:80 relu T=s16x2|s32", ">T T T"},
	{"max", "@90:80 relu T=s16x2|s32", ">T T T"},
	{"popc", "T=b32|b64", ">u32 T"},
	{"clz", "T=b32|b64", ">u32 T"},
	{"bfind", "shiftamt? T=u32|u64|s32|s64", ">u32 T"},
	{"brev", "T=b32|b64", ">T T"},
	{"bfe", "T=u32|u64|s32|s64", ">T T u32#0:255 u32#0:255"},
	{"bfi", "T=b32|b64", ">T T T u32#0:255 u32#0:255"},
	{"szext", "@0:76 clamp|wrap T=u32|s32", ">T T u32"},
	{"bmsk", "@0:76 clamp|wrap b32", ">u32 u32 u32"},
	{"fns", "b32", ">b32 b32 b32 s32"},
	{"dp4a", "T=u32|s32 U=u32|s32", ">s32 T U s32"},
	{"dp2a", "lo|hi T=u32|s32 U=u32|s32", ">s32 T U s32"},
	{"add", "cc T=u32|s32|u64|s64", ">T T T"},
	{"addc", "cc? T=u32|s32|u64|s64", ">T T T"},
	{"sub", "cc T=u32|s32|u64|s64", ">T T T"},
	{"subc", "cc? T=u32|s32|u64|s64", ">T T T"},
	{"mad", "lo|hi cc T=u32|s32|u64|s64", ">T T T T"},
	{"madc", "lo|hi cc? T=u32|s32|u64|s64", ">T T T T"},

	// Logic and shifts.
	{"and", "T=b16|b32|b64", ">T T T"},
	{"or", "T=b16|b32|b64", ">T T T"},
	{"xor", "T=b16|b32|b64", ">T T T"},
	{"and", "pred", ">p !p !p"},
	{"or", "pred", ">p !p !p"},
	{"xor", "pred", ">p !p !p"},
	{"not", "T=b16|b32|b64", ">T T"},
	{"not", "pred", ">p !p"},
	{"cnot", "T=b16|b32|b64", ">T T"},
	{"shl", "T=b16|b32|b64", ">T T u32"},
	{"shr", "T=b16|b32|b64|u16|u32|u64|s16|s32|s64", ">T T u32"},
	{"shf", "l|r clamp|wrap b32", ">b32 b32 b32 u32"},
	{"prmt", "b32", ">b32 b32 b32 b32"},
	{"prmt", "b32 f4e|b4e|rc8|ecl|ecr|rc16", ">b32 b32 b32 b32"},
	{"lop3", "b32", ">b32 b32 b32 b32 #0:255"},
	{"lop3", "@70:82 or|and b32", ">b32|P b32 b32 b32 #0:255 !p"},

	// Floating-point arithmetic.
	{"add", rnd + "? ftz? sat? T=f32", ">T T T"},
	{"add", rnd + "? T=f64", ">T T T"},
	{"add", "rn? ftz? sat? T=f16|f16x2", ">T T T"},
	{"add", "@90:78 rn? T=bf16|bf16x2", ">T T T"},
	{"sub", rnd + "? ftz? sat? T=f32", ">T T T"},
	{"sub", rnd + "? T=f64", ">T T T"},
	{"sub", "rn? ftz? sat? T=f16|f16x2", ">T T T"},
	{"sub", "@90:78 rn? T=bf16|bf16x2", ">T T T"},
	{"mul", rnd + "? ftz? sat? T=f32", ">T T T"},
	{"mul", rnd + "? T=f64", ">T T T"},
	{"mul", "rn? ftz? sat? T=f16|f16x2", ">T T T"},
	{"mul", "@90:78 rn? T=bf16|bf16x2", ">T T T"},
	{"fma", rnd + " ftz? sat? T=f32", ">T T T T"},
	{"fma", rnd + " T=f64", ">T T T T"},
	{"fma", "rn ftz? sat? T=f16|f16x2", ">T T T T"},
	{"fma", "@80:70 rn ftz? relu T=f16|f16x2", ">T T T T"},
	{"fma", "@80:70 rn relu? T=bf16|bf16x2", ">T T T T"},
	{"fma", "@90:81 rn oob relu? T=f16|f16x2|bf16|bf16x2", ">T T T T"},
	{"mad", rnd + " ftz? sat? T=f32", ">T T T T"},
	{"mad", rnd + " T=f64", ">T T T T"},
	{"div", "approx|full ftz? T=f32", ">T T T"},
	{"div", rnd + " ftz? T=f32", ">T T T"},
	{"div", rnd + " T=f64", ">T T T"},
	{"abs", "ftz? T=f32", ">T T"},
	{"abs", "T=f64", ">T T"},
	{"abs", "@0:65 ftz? T=f16|f16x2", ">T T"},
	{"abs", "@80:70 T=bf16|bf16x2", ">T T"},
	{"neg", "ftz? T=f32", ">T T"},
	{"neg", "T=f64", ">T T"},
	{"neg", "ftz? T=f16|f16x2", ">T T"},
	{"neg", "@80:70 T=bf16|bf16x2", ">T T"},
	{"min", "ftz? NaN@80:70? T=f32", ">T T T"},
	{"min", "@86:72 ftz? NaN? xorsign abs T=f32|f16|f16x2", ">T T T"},
	{"min", "@86:72 NaN? xorsign abs T=bf16|bf16x2", ">T T T"},
	{"max", "ftz? NaN@80:70? T=f32", ">T T T"},
	{"max", "@86:72 ftz? NaN? xorsign abs T=f32|f16|f16x2", ">T T T"},
	{"max", "@86:72 NaN? xorsign abs T=bf16|bf16x2", ">T T T"},
	{"min", "T=f64", ">T T T"},
	{"max", "T=f64", ">T T T"},
	{"min", "@80:70 ftz? NaN? T=f16|f16x2", ">T T T"},
	{"max", "@80:70 ftz? NaN? T=f16|f16x2", ">T T T"},
	{"min", "@80:70 NaN? T=bf16|bf16x2", ">T T T"},
	{"max", "@80:70 NaN? T=bf16|bf16x2", ">T T T"},
	{"copysign", "T=f32|f64", ">T T T"},
	{"testp", "finite|infinite|number|notanumber|normal|subnormal T=f32|f64", ">p T"},
	{"rcp", "approx ftz? T=f32", ">T T"},
	{"rcp", rnd + " ftz? T=f32", ">T T"},
	{"rcp", rnd + " T=f64", ">T T"},
	{"rcp", "approx ftz T=f64", ">T T"},
	{"sqrt", "approx ftz? T=f32", ">T T"},
	{"sqrt", rnd + " ftz? T=f32", ">T T"},
	{"sqrt", rnd + " T=f64", ">T T"},
	{"rsqrt", "approx ftz? T=f32", ">T T"},
	{"rsqrt", "approx ftz? T=f64", ">T T"},
	{"sin", "approx ftz? T=f32", ">T T"},
	{"cos", "approx ftz? T=f32", ">T T"},
	{"lg2", "approx ftz? T=f32", ">T T"},
	{"ex2", "approx ftz? T=f32", ">T T"},
	{"ex2", "@75:70 approx T=f16|f16x2", ">T T"},
	{"ex2", "@90:78 approx ftz T=bf16|bf16x2", ">T T"},
	{"tanh", "@75:70 approx T=f16|f16x2|f32", ">T T"},
	{"tanh", "@90:78 approx T=bf16|bf16x2", ">T T"},

	// Comparison and selection.
	{"setp", scmp + " T=s16|s32|s64", ">p_|p T T"},
	{"setp", ucmp + " T=u16|u32|u64", ">p_|p T T"},
	{"setp", "eq|ne T=b16|b32|b64", ">p_|p T T"},
	{"setp", fcmp + " ftz? T=f32", ">p_|p T T"},
	{"setp", fcmp + " T=f64", ">p_|p T T"},
	{"setp", fcmp + " ftz? T=f16", ">p_ T T"},
	{"setp", fcmp + " ftz? T=f16x2", ">p_|p T T"},
	{"setp", "@90:78 " + fcmp + " T=bf16", ">p_ T T"},
	{"setp", "@90:78 " + fcmp + " T=bf16x2", ">p_|p T T"},
	{"setp", scmp + " " + boolop + " T=s16|s32|s64", ">p_|p T T !p"},
	{"setp", ucmp + " " + boolop + " T=u16|u32|u64", ">p_|p T T !p"},
	{"setp", "eq|ne " + boolop + " T=b16|b32|b64", ">p_|p T T !p"},
	{"setp", fcmp + " " + boolop + " ftz? T=f32", ">p_|p T T !p"},
	{"setp", fcmp + " " + boolop + " T=f64", ">p_|p T T !p"},
	{"setp", fcmp + " " + boolop + " ftz? T=f16", ">p_ T T !p"},
	{"setp", fcmp + " " + boolop + " ftz? T=f16x2", ">p_|p T T !p"},
	{"setp", "@90:78 " + fcmp + " " + boolop + " T=bf16", ">p_ T T =!p"},
	{"setp", "@90:78 " + fcmp + " " + boolop + " T=bf16x2", ">p_|p T T =!p"},
	{"set", scmp + " D=u32|s32|f32 T=s16|s32|s64", ">D T T"},
	{"set", ucmp + " D=u32|s32|f32 T=u16|u32|u64", ">D T T"},
	{"set", "eq|ne D=u32|s32|f32 T=b16|b32|b64", ">D T T"},
	{"set", fcmp + " ftz? D=u32|s32|f32 T=f32", ">D T T"},
	{"set", fcmp + " D=u32|s32|f32 T=f64", ">D T T"},
	{"set", "@0:65 " + fcmp + " ftz? D=u16|s16|u32|s32 T=f16", ">D T T"},
	{"set", fcmp + " ftz? D=f16 T=f16", ">D T T"},
	{"set", fcmp + " ftz? D=f16x2 T=f16x2", ">D T T"},
	{"set", scmp + " " + boolop + " D=u32|s32|f32 T=s16|s32|s64", ">D T T !p"},
	{"set", ucmp + " " + boolop + " D=u32|s32|f32 T=u16|u32|u64", ">D T T !p"},
	{"set", "eq|ne " + boolop + " D=u32|s32|f32 T=b16|b32|b64", ">D T T !p"},
	{"set", fcmp + " " + boolop + " ftz? D=u32|s32|f32 T=f32", ">D T T !p"},
	{"set", fcmp + " " + boolop + " D=u32|s32|f32 T=f64", ">D T T !p"},
	{"set", "@0:65 " + fcmp + " " + boolop + " ftz? D=u16|s16|u32|s32 T=f16", ">D T T !p"},
	{"set", "@90:78 " + fcmp + " D=u16|s16|u32|s32|bf16 T=bf16", ">D T T"},
	{"set", "@90:78 " + fcmp + " D=bf16x2 T=bf16x2", ">D T T"},
	{"set", "@90:78 " + fcmp + " " + boolop + " D=u16|s16|u32|s32|bf16 T=bf16", ">D T T =!p"},
	{"set", "@90:78 " + fcmp + " " + boolop + " D=bf16x2 T=bf16x2", ">D T T =!p"},
	{"set", fcmp + " " + boolop + " ftz? D=f16 T=f16", ">D T T !p"},
	{"set", fcmp + " " + boolop + " ftz? D=f16x2 T=f16x2", ">D T T !p"},
	{"selp", "T=b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64", ">T T T !p"},
	{"slct", "T=b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64 s32", ">T T T s32"},
	{"slct", "ftz? T=b16|b32|b64|u16|u32|u64|s16|s32|s64|f32|f64 f32", ">T T T f32"},

	// Moves and conversions.
	{"mov", "T=u16|u32|u64|s16|s32|s64|b16|b32|b64|f32|f64", ">T mov:T"},
	{"mov", "V=v2|v4 T=u16|s16|b16", ">VxT VxT"},
	{"mov", "V=v2|v4 T=u32|u64|s32|s64|b32|b64|f32|f64", ">VxT sreg:VxT"},
	{"mov", "pred", ">p !p"},
	{"mov", "b128", ">b128 =b128"},
	{"mov", "T=b32|b64", ">T pack:T"},
	{"mov", "T=b32|b64", ">pack:T =T"},
	{"mov", "@70:83 T=b128", ">T pack:T"},
	{"mov", "@70:83 T=b128", ">pack:T =T"},
	{"cvt", "D=" + allInts + " T=" + allInts, ">D+ sreg:T+"},
	{"cvt", "sat D=u8 T=u16|u32|u64|s8|s16|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=u16 T=u32|u64|s8|s16|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=u32 T=u64|s8|s16|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=u64 T=s8|s16|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=s8 T=u8|u16|u32|u64|s16|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=s16 T=u16|u32|u64|s32|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=s32 T=u32|u64|s64", ">D+ sreg:T+"},
	{"cvt", "sat D=s64 T=u64", ">D+ sreg:T+"},
	{"cvt", rndi + " sat? D=" + allInts + " T=f16|f64", ">D+ T+"},
	{"cvt", rndi + " ftz? sat? D=" + allInts + " T=f32", ">D+ T+"},
	{"cvt", "@90:78 " + rndi + " D=u16|u32|u64|s16|s32|s64 T=bf16", ">D T"},
	{"cvt", rnd + " sat? D=f16|f64 T=" + allInts, ">D+ T+"},
	{"cvt", rnd + " ftz? sat? D=f32 T=" + allInts, ">D+ T+"},
	{"cvt", "@90:78 " + rnd + " D=bf16 T=u16|u32|u64|s16|s32|s64", ">D T"},
	{"cvt", rndi + "? sat? f16 f16", ">f16+ f16+"},
	{"cvt", rndi + "? ftz? sat? f32 f32", ">f32+ f32+"},
	{"cvt", rndi + "? sat? f64 f64", ">f64+ f64+"},
	{"cvt", "@90:78 " + rndi + "? bf16 bf16", ">bf16 bf16"},
	{"cvt", "ftz? sat? f32 f16", ">f32+ f16+"},
	{"cvt", "ftz? sat? f64 f32", ">f64+ f32+"},
	{"cvt", "sat? f64 f16", ">f64+ f16+"},
	{"cvt", rnd + " ftz? sat? f16 f32", ">f16+ f32+"},
	{"cvt", rnd + " sat? f16 f64", ">f16+ f64+"},
	{"cvt", rnd + " ftz? sat? f32 f64", ">f32+ f64+"},
	{"cvt", "@80:71 " + rnd + "? ftz@90:78? f32 bf16", ">f32 bf16"},
	{"cvt", "@90:78 " + rnd + "? D=f16|f64 bf16", ">D bf16"},
	{"cvt", "@90:78 " + rnd + "? bf16 f16", ">bf16 f16"},
	{"cvt", "@90:78 " + rnd + " bf16 f64", ">bf16 f64"},
	{"cvt", "@80:70 rn|rz relu? T=f16|bf16 f32", ">T f32"},
	{"cvt", "@80:70 " + rnd + " ftz? bf16 f32", ">bf16 f32"},
	{"cvt", "@80:70 rn|rz relu? T=f16x2 f32", ">T+ f32+ f32+"},
	{"cvt", "@80:70 rn|rz relu? T=bf16x2 f32", ">T f32 f32"},
	{"cvt", "@80:70 rna tf32 f32", ">tf32 =f32"},
	{"cvt", "@90:78 rn|rz relu? tf32 f32", ">tf32 f32"},
	{"cvt", "@89:81 rn satfinite relu? T=e4m3x2|e5m2x2 f32", ">T f32 f32"},
	{"cvt", "@89:81 rn satfinite relu? T=e4m3x2|e5m2x2 f16x2", ">T f16x2"},
	{"cvt", "@89:81 rn relu? f16x2 T=e4m3x2|e5m2x2", ">f16x2 T"},
	{"cvt", "@72:65 pack sat u16|s16 s32", ">u32+ s32+ s32+"},
	{"cvt", "@72:65 pack sat u8|s8|u4@75:65|s4@75:65|u2@75:65|s2@75:65 s32 b32", ">u32+ s32+ s32+ b32+"},
	{"cvta", "S=const|global|local|shared|shared::cta@0:78|shared::cluster@90:78|param@70:77|param::entry@70:83 T=u64", ">T addr:T"},
	{"cvta", "to S=const|global|local|shared|shared::cta@0:78|shared::cluster@90:78|param@70:77|param::entry@70:83 T=u64", ">T T"},
	{"isspacep", "const|global|local|shared|shared::cta@0:78|shared::cluster@90:78|param@70:77|param::entry@70:83", ">p =u64"},

	// Memory.
	{"ld", "weak? " + ldSpaces + " ca|cg|cs|lu|cv?" + ldTail, ldArgs},
	{"ld", "weak? " + ldSpaces + " " + evict + ldTail, ldArgs},
	{"ld", "weak? " + ldSpaces + " " + evict + "? " + hint + " " + prefetch + " T=b128@70:83", ldArgs},
	{"ld", "relaxed|acquire cta|cluster@90:83|gpu|sys@0:84 " + spaces + "? " + evict + "? " + hint + " " + prefetch + " T=b128@70:83", ldArgs},
	{"ld", "S=global nc " + evict + "? " + hint + " " + prefetch + " T=b128@70:83", ldArgs},
	{"ld", "volatile " + spaces + "? " + prefetch + " " + memVec + " " + memTypes, ldArgs},
	{"ld", "relaxed|acquire " + scopes + " " + spaces + "? " + evict + "?" + ldTail, ldArgs},
	{"ld", "@0:82 mmio relaxed sys S=global? " + memTypes, ldArgs},
	{"ld", "S=global ca|cg|cs? nc" + ldTail, ldArgs},
	{"ld", "S=global nc " + evict + ldTail, ldArgs},
	{"ldu", "S=global? " + memVec + " " + memTypes, ">VxT+ [S]"},
	{"ldu", "S=global? T=b128@70:83", ">T [S]"},
	{"st", "weak? " + stSpaces + " wb|cg|cs|wt?" + stTail, stArgs},
	{"st", "weak? " + stSpaces + " " + evict + stTail, stArgs},
	{"st", "weak? " + stSpaces + " " + evict + "? " + hint + " T=b128@70:83", stArgs},
	{"st", "relaxed|release cta|cluster@90:83|gpu|sys@0:84 " + spaces + "? " + evict + "? " + hint + " T=b128@70:83", stArgs},
	{"st", "volatile " + spaces + "? " + memVec + " " + memTypes, stArgs},
	{"st", "relaxed|release " + scopes + " " + spaces + "? " + evict + "?" + stTail, stArgs},
	{"st", "@0:82 mmio relaxed sys S=global? " + memTypes, stArgs},
	{"prefetch", "S=global|local? L1|L2", "[S]"},
	{"prefetch", "@80:74 S=global L2::evict_last|L2::evict_normal", "[S]"},
	{"prefetchu", "L1", "[]"},
	{"prefetch", "@90:80 S=const|param? tensormap", "[S]"},
	{"applypriority", "@80:74 S=global? L2::evict_normal", "[S] #128:128"},
	{"discard", "@80:74 S=global? L2", "[S] #128:128"},

	// Atomics.
	{"atom", atomHead + "and|or|xor " + hint + " T=b32|b64", ">T_ [S-local] T C:u64"},
	{"atom", atomHead + "exch " + hint + " T=b32|b64|b128@90:83", ">T_ [S-local] T C:u64"},
	{"atom", atomHead + "cas T=b16@70:63", ">T_ [S-local] T T"},
	{"atom", atomHead + "cas T=b32|b64", ">T_ [S-local] T T"},
	{"atom", atomHead + "cas " + hint + " T=b128@90:83", ">T_ [S-local] T T C:u64"},
	{"atom", atomHead + "add " + hint + " T=u32|s32|u64|f32|f64", ">T_ [S-local] T C:u64"},
	{"atom", atomHead + "add noftz " + hint + " T=f16|f16x2", ">T_ [S-local] T C:u64"},
	{"atom", "@90:78 " + atomHead + "add noftz " + hint + " T=bf16|bf16x2", ">T [S-local] T C:u64"},
	{"atom", atomHead + "inc|dec " + hint + " T=u32", ">T_ [S-local] T C:u64"},
	{"atom", atomHead + "min|max " + hint + " T=u32|s32|u64|s64", ">T_ [S-local] T C:u64"},
	{"atom", atomVector + "add " + hint + " V=v2|v4 T=f32", ">VxT [S-local] VxT C:u64"},
	{"atom", atomVector + "add|min|max noftz " + hint + " V=v2|v4|v8 T=f16|bf16", ">VxT [S-local] VxT C:u64"},
	{"atom", atomVector + "add|min|max noftz " + hint + " V=v2|v4 T=f16x2|bf16x2", ">VxT [S-local] VxT C:u64"},
	{"red", redVector + "add " + hint + " V=v2|v4 T=f32", "[S-local] VxT C:u64"},
	{"red", redVector + "add|min|max noftz " + hint + " V=v2|v4|v8 T=f16|bf16", "[S-local] VxT C:u64"},
	{"red", redVector + "add|min|max noftz " + hint + " V=v2|v4 T=f16x2|bf16x2", "[S-local] VxT C:u64"},
	{"red", redHead + "and|or|xor " + hint + " T=b32|b64", "[S-local] T C:u64"},
	{"red", redHead + "add " + hint + " T=u32|s32|u64|f32|f64", "[S-local] T C:u64"},
	{"red", redHead + "add noftz " + hint + " T=f16|f16x2|bf16@90:78|bf16x2@90:78", "[S-local] T C:u64"},
	{"red", redHead + "inc|dec " + hint + " T=u32", "[S-local] T C:u64"},
	{"red", redHead + "min|max " + hint + " T=u32|s32|u64|s64", "[S-local] T C:u64"},

	// Warp.
	{"shfl", "sync up|down|bfly|idx b32", ">b32|p b32 b32 b32 u32"},
	{"vote", "sync all|any|uni pred", ">p !p u32"},
	{"vote", "sync ballot b32", ">b32 !p u32"},
	{"match", "any sync T=b32|b64", ">u32 T u32"},
	{"match", "all sync T=b32|b64", ">u32_|p T u32"},
	{"match", "sync any T=b32|b64", ">u32 T u32"},
	{"match", "sync all T=b32|b64", ">u32_|p T u32"},
	{"activemask", "b32", ">b32"},
	{"redux", "@80:70 sync add|min|max T=u32|s32", ">T T u32"},
	{"redux", "@80:70 sync and|or|xor b32", ">u32 u32 u32"},
	{"elect", "@90:80 sync", ">b32|P u32"},

	// Barriers and fences.
	{"bar", "cta@0:78? sync", "bar threads?"},
	{"bar", "cta@0:78? arrive", "bar threads"},
	{"bar", "cta@0:78? red popc u32", ">u32 bar threads? !p"},
	{"bar", "cta@0:78? red and|or pred", ">p bar threads? !p"},
	{"barrier", "cta@0:78? sync aligned?", "bar threads?"},
	{"barrier", "cta@0:78? arrive aligned?", "bar threads"},
	{"barrier", "cta@0:78? red popc aligned? u32", ">u32 bar threads? !p"},
	{"barrier", "cta@0:78? red and|or aligned? pred", ">p bar threads? !p"},
	{"bar", "warp sync", "u32"},
	{"barrier", "@90:78 cluster arrive release@90:80|relaxed@90:80? aligned?", ""},
	{"barrier", "@90:78 cluster wait acquire@90:80? aligned?", ""},
	{"membar", "cta|gl|sys", ""},
	{"fence", "sc|acq_rel? " + scopes, ""},
	{"fence", "@70:75 proxy alias", ""},
	{"fence", "@90:80 proxy async", ""},
	{"fence", "@90:80 proxy async global|shared::cta|shared::cluster", ""},
	{"fence", "@90:80 mbarrier_init release cluster", ""},

	// Control flow.
	{"bra", "uni?", "label"},
	{"ret", "uni?", ""},
	{"exit", "", ""},
	{"trap", "", ""},
	{"brkpt", "", ""},
	{"nanosleep", "u32", "u32"},
	{"pmevent", "", "#0:15"},
	{"griddepcontrol", "@90:78 launch_dependents|wait", ""},

	// Asynchronous copies.
	{"cp", "@80:70 async ca shared|shared::cta global " + hint + " " + prefetch, "[shared] [global] #4:16 u32#0:16? C:u64"},
	{"cp", "@80:70 async cg shared|shared::cta global " + hint + " " + prefetch, "[shared] [global] #16:16 u32#0:16? C:u64"},
	{"cp", "@80:70 async commit_group|wait_all", ""},
	{"cp", "@80:70 async wait_group", "#0:2147483647"},

	// Matrices.
	{"ldmatrix", "@75:65 sync aligned m8n8 x1 trans? shared|shared::cta@75:78? b16", ">1xb32 [shared]"},
	{"ldmatrix", "@75:65 sync aligned m8n8 x2 trans? shared|shared::cta@75:78? b16", ">2xb32 [shared]"},
	{"ldmatrix", "@75:65 sync aligned m8n8 x4 trans? shared|shared::cta@75:78? b16", ">4xb32 [shared]"},
	{"stmatrix", "@90:78 sync aligned m8n8 x1 trans? shared|shared::cta? b16", "[shared] 1xb32"},
	{"stmatrix", "@90:78 sync aligned m8n8 x2 trans? shared|shared::cta? b16", "[shared] 2xb32"},
	{"stmatrix", "@90:78 sync aligned m8n8 x4 trans? shared|shared::cta? b16", "[shared] 4xb32"},
	{"movmatrix", "@75:78 sync aligned m8n8 trans b16", ">b32 =b32"},
	{"mma", "@70:64 sync aligned m8n8k4 row|col row|col f16 f16 f16 f16", ">4xf16x2 2xf16x2 2xf16x2 4xf16x2"},
	{"mma", "@70:64 sync aligned m8n8k4 row|col row|col f32 f16 f16 f32", ">8xf32 2xf16x2 2xf16x2 8xf32"},
	{"mma", "@75:65 sync aligned m16n8k8 row col f16 f16 f16 f16", ">2xf16x2 2xf16x2 1xf16x2 2xf16x2"},
	{"mma", "@75:65 sync aligned m16n8k8 row col f32 f16 f16 f32", ">4xf32 2xf16x2 1xf16x2 4xf32"},
	{"mma", "@80:70 sync aligned m16n8k16 row col f16 f16 f16 f16", ">2xf16x2 4xf16x2 2xf16x2 2xf16x2"},
	{"mma", "@80:70 sync aligned m16n8k16 row col f32 f16 f16 f32", ">4xf32 4xf16x2 2xf16x2 4xf32"},
	{"mma", "@80:70 sync aligned m16n8k8 row col f32 bf16 bf16 f32", ">4xf32 2xbf16x2 1xbf16x2 4xf32"},
	{"mma", "@80:70 sync aligned m16n8k16 row col f32 bf16 bf16 f32", ">4xf32 4xbf16x2 2xbf16x2 4xf32"},
	{"mma", "@80:70 sync aligned m16n8k4 row col f32 tf32 tf32 f32", ">4xf32 2xtf32 1xtf32 4xf32"},
	{"mma", "@80:70 sync aligned m16n8k8 row col f32 tf32 tf32 f32", ">4xf32 4xtf32 2xtf32 4xf32"},
	{"mma", "@80:70 sync aligned m8n8k4 row col f64 f64 f64 f64", ">2xf64 1xf64 1xf64 2xf64"},
	{"mma", "@90:78 sync aligned m16n8k4 row col f64 f64 f64 f64", ">4xf64 2xf64 1xf64 4xf64"},
	{"mma", "@90:78 sync aligned m16n8k8 row col f64 f64 f64 f64", ">4xf64 4xf64 2xf64 4xf64"},
	{"mma", "@90:78 sync aligned m16n8k16 row col f64 f64 f64 f64", ">4xf64 8xf64 4xf64 4xf64"},
	{"mma", "@75:65 sync aligned m8n8k16 row col satfinite? s32 u8|s8 u8|s8 s32", ">2xs32 1xb32 1xb32 2xs32"},
	{"mma", "@80:70 sync aligned m16n8k16 row col satfinite? s32 u8|s8 u8|s8 s32", ">4xs32 2xb32 1xb32 4xs32"},
	{"mma", "@80:70 sync aligned m16n8k32 row col satfinite? s32 u8|s8 u8|s8 s32", ">4xs32 4xb32 2xb32 4xs32"},
	{"mma", "@75:65 sync aligned m8n8k32 row col satfinite? s32 u4|s4 u4|s4 s32", ">2xs32 1xb32 1xb32 2xs32"},
	{"mma", "@80:70 sync aligned m16n8k32 row col satfinite? s32 u4|s4 u4|s4 s32", ">4xs32 2xb32 1xb32 4xs32"},
	{"mma", "@80:70 sync aligned m16n8k64 row col satfinite? s32 u4|s4 u4|s4 s32", ">4xs32 4xb32 2xb32 4xs32"},
	{"mma", "@75:70 sync aligned m8n8k128 row col s32 b1 b1 s32 xor|and@80:71 popc", ">2xs32 1xb32 1xb32 2xs32"},
	{"mma", "@80:70 sync aligned m16n8k128 row col s32 b1 b1 s32 xor|and@80:71 popc", ">4xs32 2xb32 1xb32 4xs32"},
	{"mma", "@80:70 sync aligned m16n8k256 row col s32 b1 b1 s32 xor|and@80:71 popc", ">4xs32 4xb32 2xb32 4xs32"},
	{"mma", "@89:84 sync aligned m16n8k32 row col f32 e4m3|e5m2 e4m3|e5m2 f32", ">4xf32 4xb32 2xb32 4xf32"},

	// Barriers in shared memory.
	{"mbarrier", "@80:70 init S=shared|shared::cta@80:78? b64", "[S] u32#1:1048575"},
	{"mbarrier", "@80:70 inval S=shared|shared::cta@80:78? b64", "[S]"},
	{"mbarrier", "@90:80 expect_tx|complete_tx S=shared|shared::cta|shared::cluster? b64", "[S] u32"},
	{"mbarrier", "@90:80 expect_tx|complete_tx relaxed cta|cluster S=shared|shared::cta|shared::cluster? b64", "[S] u32"},
	{"mbarrier", "@80:70 arrive S=shared|shared::cta@80:78? b64", ">u64_ [S]"},
	{"mbarrier", "@90:78 arrive S=shared|shared::cta@80:78? b64", ">u64_ [S] u32#1:1048575"},
	{"mbarrier", "@90:80 arrive release cta|cluster S=shared|shared::cta@80:78? b64", ">u64_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive release cluster|cta S=shared::cluster b64", "_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive S=shared::cluster b64", "_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive expect_tx S=shared|shared::cta@80:78? b64", ">u64_ [S] u32"},
	{"mbarrier", "@90:80 arrive expect_tx release cta|cluster S=shared|shared::cta@80:78? b64", ">u64_ [S] u32"},
	{"mbarrier", "@90:80 arrive expect_tx S=shared::cluster b64", "_ [S] u32"},
	{"mbarrier", "@90:80 arrive expect_tx release cta|cluster S=shared::cluster b64", "_ [S] u32"},
	{"mbarrier", "@80:70 arrive noComplete S=shared|shared::cta@80:78? b64", ">u64 [S] u32#1:1048575"},
	{"mbarrier", "@80:80 arrive noComplete release cta S=shared|shared::cta@80:78? b64", ">u64 [S] u32#1:1048575"},
	{"mbarrier", "@80:70 arrive_drop S=shared|shared::cta@80:78? b64", ">u64_ [S]"},
	{"mbarrier", "@90:78 arrive_drop S=shared|shared::cta@80:78? b64", ">u64_ [S] u32#1:1048575"},
	{"mbarrier", "@90:80 arrive_drop release cta|cluster S=shared|shared::cta@80:78? b64", ">u64_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive_drop release cluster|cta S=shared::cluster b64", "_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive_drop S=shared::cluster b64", "_ [S] u32#1:1048575?"},
	{"mbarrier", "@90:80 arrive_drop expect_tx S=shared|shared::cta@80:78? b64", ">u64_ [S] u32"},
	{"mbarrier", "@90:80 arrive_drop expect_tx release cta|cluster S=shared|shared::cta@80:78? b64", ">u64_ [S] u32"},
	{"mbarrier", "@90:80 arrive_drop expect_tx S=shared::cluster b64", "_ [S] u32"},
	{"mbarrier", "@90:80 arrive_drop expect_tx release cta|cluster S=shared::cluster b64", "_ [S] u32"},
	{"mbarrier", "@80:70 arrive_drop noComplete S=shared|shared::cta@80:78? b64", ">u64 [S] u32#1:1048575"},
	{"mbarrier", "@80:80 arrive_drop noComplete release cta S=shared|shared::cta@80:78? b64", ">u64 [S] u32#1:1048575"},
	{"mbarrier", "@80:70 test_wait S=shared|shared::cta@80:78? b64", ">p [S] =u64"},
	{"mbarrier", "@80:71 test_wait parity S=shared|shared::cta@80:78? b64", ">p [S] u32#0:1"},
	{"mbarrier", "@80:80 test_wait acquire cta|cluster@90:80 S=shared|shared::cta@80:78? b64", ">p [S] =u64"},
	{"mbarrier", "@80:80 test_wait parity acquire cta|cluster@90:80 S=shared|shared::cta@80:78? b64", ">p [S] u32#0:1"},
	{"mbarrier", "@90:78 try_wait S=shared|shared::cta@80:78? b64", ">p [S] =u64 u32?"},
	{"mbarrier", "@90:78 try_wait parity S=shared|shared::cta@80:78? b64", ">p [S] u32#0:1 u32?"},
	{"mbarrier", "@90:80 try_wait acquire cta|cluster S=shared|shared::cta@80:78? b64", ">p [S] =u64 u32?"},
	{"mbarrier", "@90:80 try_wait parity acquire cta|cluster S=shared|shared::cta@80:78? b64", ">p [S] u32#0:1 u32?"},
	{"mbarrier", "@80:70 pending_count b64", ">u32 u64"},
	{"cp", "@80:70 async mbarrier arrive noinc? S=shared|shared::cta@80:78? b64", "[S]"},

	// Bulk and tensor copies.
	{"cp", "@90:80 async bulk shared::cluster global mbarrier::complete_tx::bytes M=multicast::cluster? C=L2::cache_hint?", "[shared] [global] u32#0:1048560/16 [shared] M:u16 C:u64"},
	{"cp", "@90:80 async bulk shared::cluster shared::cta mbarrier::complete_tx::bytes", "[shared] [shared] u32#0:1048560/16 [shared]"},
	{"cp", "@90:80 async bulk global shared::cta bulk_group C=L2::cache_hint?", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 async bulk prefetch L2 global C=L2::cache_hint?", "[global] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 async bulk commit_group", ""},
	{"cp", "@90:80 async bulk wait_group read?", "#0:2147483647"},
	{"cp", "@90:80 reduce async bulk global shared::cta bulk_group C=L2::cache_hint? and|or|xor b32|b64", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 reduce async bulk global shared::cta bulk_group C=L2::cache_hint? add u32|s32|u64|f32|f64", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 reduce async bulk global shared::cta bulk_group C=L2::cache_hint? add noftz f16|bf16", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 reduce async bulk global shared::cta bulk_group C=L2::cache_hint? inc|dec u32", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 reduce async bulk global shared::cta bulk_group C=L2::cache_hint? min|max u32|s32|u64|s64|f16|bf16", "[global] [shared] u32#0:1048560/16 C:u64"},
	{"cp", "@90:80 reduce async bulk shared::cluster shared::cta mbarrier::complete_tx::bytes and|or|xor b32", "[shared] [shared] u32#0:1048560/16 [shared]"},
	{"cp", "@90:80 reduce async bulk shared::cluster shared::cta mbarrier::complete_tx::bytes add u32|s32|u64", "[shared] [shared] u32#0:1048560/16 [shared]"},
	{"cp", "@90:80 reduce async bulk shared::cluster shared::cta mbarrier::complete_tx::bytes inc|dec u32", "[shared] [shared] u32#0:1048560/16 [shared]"},
	{"cp", "@90:80 reduce async bulk shared::cluster shared::cta mbarrier::complete_tx::bytes min|max u32|s32", "[shared] [shared] u32#0:1048560/16 [shared]"},
	{"cp", "@90:80 async bulk tensor N=1d|2d|3d|4d|5d shared::cluster global tile? mbarrier::complete_tx::bytes M=multicast::cluster? C=L2::cache_hint?", "[shared] [tensor-local] [shared] M:u16 C:u64"},
	{"cp", "@90:80 async bulk tensor N=1d|2d|3d|4d|5d global shared::cta tile? bulk_group C=L2::cache_hint?", "[tensor-local] [shared] C:u64"},
	{"cp", "@90:80 async bulk prefetch tensor N=1d|2d|3d|4d|5d L2 global tile? C=L2::cache_hint?", "[tensor-local] C:u64"},
	{"cp", "@90:80 reduce async bulk tensor N=1d|2d|3d|4d|5d global shared::cta add|min|max|inc|dec|and|or|xor tile? bulk_group C=L2::cache_hint?", "[tensor-local] [shared] C:u64"},
	{"st", "@90:81 async weak? S=shared::cluster? mbarrier::complete_tx::bytes V=v2|v4? T=b32|b64|u32|u64|s32|s64|f32|f64", "[S] VxT [shared]"},
	{"red", redAsync + "inc|dec T=u32", "[S] T [shared]"},
	{"red", redAsync + "min|max T=u32|s32", "[S] T [shared]"},
	{"red", redAsync + "and|or|xor T=b32", "[S] T [shared]"},
	{"red", redAsync + "add T=u32|s32|u64", "[S] T [shared]"},

	// Clusters and cache policies.
	{"mapa", "@90:78 S=shared::cluster? T=u32|u64", ">T addr:T u32"},
	{"getctarank", "@90:78 S=shared::cluster? T=u32|u64", ">u32 addr:T"},
	{"createpolicy", "@80:74 fractional L2::evict_last|L2::evict_normal|L2::evict_first|L2::evict_unchanged L2::evict_first|L2::evict_unchanged? b64", ">u64 f32#0:1?"},
	{"createpolicy", "@80:74 range global? L2::evict_last|L2::evict_normal|L2::evict_first|L2::evict_unchanged L2::evict_first|L2::evict_unchanged? b64", ">u64 [global] u32 u32"},
	{"setmaxnreg", "@90a:80 inc|dec sync aligned u32", "#24:256/8"},

	// Products of four warps.
	{"wgmma", "@90a:80 fence|commit_group sync aligned", ""},
	{"wgmma", "@90a:80 wait_group sync aligned", "#0:2147483647"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f32 f16 f16", "<>N2xf32 u64 u64 !p#0:1 #-1:1 #-1:1 #0:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f32 f16 f16", "<>N2xf32 4xf16x2 u64 !p#0:1 #-1:1 #-1:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f16 f16 f16", "<>N4xf16x2 u64 u64 !p#0:1 #-1:1 #-1:1 #0:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f16 f16 f16", "<>N4xf16x2 4xf16x2 u64 !p#0:1 #-1:1 #-1:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f32 bf16 bf16", "<>N2xf32 u64 u64 !p#0:1 #-1:1 #-1:1 #0:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k16 f32 bf16 bf16", "<>N2xf32 4xbf16x2 u64 !p#0:1 #-1:1 #-1:1 #0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k8 f32 tf32 tf32", "<>N2xf32 u64 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k8 f32 tf32 tf32", "<>N2xf32 4xtf32 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k32 f32 e4m3|e5m2 e4m3|e5m2", "<>N2xf32 u64 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k32 f32 e4m3|e5m2 e4m3|e5m2", "<>N2xf32 4xb8x4 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k32 f16 e4m3|e5m2 e4m3|e5m2", "<>N4xf16x2 u64 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned N=m64n*k32 f16 e4m3|e5m2 e4m3|e5m2", "<>N4xf16x2 4xb8x4 u64 !p#0:1 #-1:1 #-1:1"},
	{"wgmma", "@90a:80 mma_async sync aligned " + intShapes + " satfinite? s32 s8 s8", "<>N2xs32 u64 u64 !p#0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned " + intShapes + " satfinite? s32 u8 u8", "<>N2xs32 u64 u64 !p#0:1"},
	{"wgmma", "@90a:84 mma_async sync aligned " + intShapes + " satfinite? s32 u8|s8 u8|s8", "<>N2xs32 u64 u64 !p#0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned " + intShapes + " satfinite? s32 s8 s8", "<>N2xs32 4xb32 u64 !p#0:1"},
	{"wgmma", "@90a:80 mma_async sync aligned " + intShapes + " satfinite? s32 u8 u8", "<>N2xs32 4xb32 u64 !p#0:1"},
	{"wgmma", "@90a:84 mma_async sync aligned " + intShapes + " satfinite? s32 u8|s8 u8|s8", "<>N2xs32 4xb32 u64 !p#0:1"},
}
