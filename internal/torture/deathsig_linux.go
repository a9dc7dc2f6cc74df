package torture

import "syscall"

// setDeathSignal has the kernel end the process when the thread that starts it is
// gone.
func setDeathSignal(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
