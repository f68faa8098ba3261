//go:build race

package array

// raceEnabled: the race detector makes pools lose things at random, so that
// allocations cannot be counted.
const raceEnabled = true
