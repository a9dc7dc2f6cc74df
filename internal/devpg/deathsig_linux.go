package devpg

import "syscall"

// setDeathSignal makes the kernel send SIGQUIT to the process when the thread that
// starts it ends. For PostgreSQL this is an immediate shutdown, from which the next
// start recovers.
func setDeathSignal(attr *syscall.SysProcAttr) {
	attr.Pdeathsig = syscall.SIGQUIT
}
