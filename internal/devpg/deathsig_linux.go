package devpg

import "syscall"

// setDeathSignal has the kernel end the process when the thread that starts it
// is gone: an immediate shutdown, from which the next start recovers.
func setDeathSignal(attr *syscall.SysProcAttr) {
	attr.Pdeathsig = syscall.SIGQUIT
}
