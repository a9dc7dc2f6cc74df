//go:build jsclient

package js

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end the program when the test is killed.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
