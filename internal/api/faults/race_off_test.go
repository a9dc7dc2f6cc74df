//go:build !race

package faults_test

const (
	slower  = 1
	oneCase = 1
)
