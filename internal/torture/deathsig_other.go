//go:build !linux

package torture

import "syscall"

// setDeathSignal does nothing: the watchdog alone does it.
func setDeathSignal(*syscall.SysProcAttr) {}
