// Package ptx holds PTX, the assembly language of NVIDIA GPUs, as Go values
// (Module, Entry, Instr, Operand), and goes both ways between them and text.
//
// The Builder is the assembler that the kernels are written with; String
// prints a Module; Parse reads one. All three use one table of instruction
// forms (Forms), which says for each mnemonic what operands it takes and from
// which target and PTX version on. What the table refuses never becomes text,
// and text that the table refuses is an Error with line and column. The
// simulator decodes through the same table (Instr.Resolve, Form.Specs).
//
// Within an Entry there is one level of names: the parser renames what nested
// blocks declare. Registers exist once an instruction names them.
//
// Device functions are read, and their bodies put in the places of their calls,
// so that a Module has entries only. Those that call themselves, or are called
// through a register, stand once behind the entry's body, which gets a stack.
//
// Not supported: functions of other modules (but __assertfail, which traps, and
// vprintf), textures and surfaces, wmma of less than 8 bits, sparse products, video
// instructions, 32-bit addresses of global memory, and warp instructions without
// .sync. Comments and directives for debuggers are passed over.
package ptx
