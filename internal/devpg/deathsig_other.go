//go:build !linux

package devpg

import "syscall"

// setDeathSignal does nothing here; the watchdog has to do.
func setDeathSignal(*syscall.SysProcAttr) {}
