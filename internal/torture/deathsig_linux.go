package torture

import "syscall"

// setDeathSignal makes the kernel kill the process when the thread that starts it
// ends.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
