//go:build jsclient && !linux

package js

import "os/exec"

// dieWithParent does nothing here: only Linux ends a program with its parent.
func dieWithParent(*exec.Cmd) {}
