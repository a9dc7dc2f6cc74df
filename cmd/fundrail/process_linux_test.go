package main

import (
	"os/exec"
	"syscall"
)

// dieWithParent has the kernel end a process with ours.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
