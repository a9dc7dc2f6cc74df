//go:build !linux

package main

import "os/exec"

// dieWithParent does nothing. The test's cleanup ends the process.
func dieWithParent(*exec.Cmd) {}
