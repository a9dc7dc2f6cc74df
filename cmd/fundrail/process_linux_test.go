package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill a process when this process ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
