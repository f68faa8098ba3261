// Package corpus holds the simulated device against real hardware: some
// thousand small PTX programs, one for each instruction form, with the inputs
// where semantics go wrong, and what real cards answered.
//
// [Programs] makes the programs: a row of the table is an instruction's name
// with all its modifiers, and the frame around it, which loads each lane's
// operands and stores its results as raw bits, is the same for all. The command
// record runs them on the GPU at hand, writes the answers to a golden file, and
// lists at once where the simulated device differs. The package's tests run all
// golden files on the simulated device.
//
// Results are compared bit for bit, NaNs included, but for the approximate
// instructions, which PTX bounds and does not define (see [Bound]), and for
// those NaNs whose bits PTX leaves open (see Program.AnyNaN).
//
// Tensor cores are held twice: a plain model in the tests gives what cards answer
// to every mma and wgmma form, and the simulated device follows the same rule.
//
// Not here: what is undefined in PTX (division by zero, shuffles from lanes that
// take no part).
package corpus
