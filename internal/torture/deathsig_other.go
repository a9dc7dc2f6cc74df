//go:build !linux

package torture

import "syscall"

// setDeathSignal does nothing. Only the watchdog kills the process.
func setDeathSignal(*syscall.SysProcAttr) {}
