//go:build race

package faults_test

// The race detector makes everything slower, so the limits are longer, and one case in
// five is enough for it: its races are those of code that all cases share.
const (
	slower  = 4
	oneCase = 5
)
