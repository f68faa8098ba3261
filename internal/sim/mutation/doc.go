// Package mutation holds the simulated device's tests to account: a table of
// mistakes in what instructions mean, each of which is planted in the source of
// internal/sim/exec (by a build overlay, so that no file changes) and must make the
// corpus, exec's own tests or the driver's fail.
//
//	go test ./internal/sim/mutation          # each mistake can still be planted
//	go test ./internal/sim/mutation -plant 8 # plants eight, drawn at random
//	go test ./internal/sim/mutation -plant all -timeout 1h
//
// A mistake that no test notices is a hole in the tests: the corpus lacks a program.
package mutation
