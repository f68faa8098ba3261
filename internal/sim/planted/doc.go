// Package planted holds mistakes of the kind that kernels have, planted one by
// one into this module's own kernels, and the test that the simulated device's
// checks report each of them. A mistake is a small edit of a kernel's text: a
// barrier removed, a bound off by one, a wrong size of an element. None is found
// by comparing results: the report alone counts. The kernels as they are must
// run clean under all checks.
package planted
