//go:build !linux

package devpg

import "syscall"

// setDeathSignal does nothing. Only Linux has the signal; elsewhere the watchdog
// ends the server.
func setDeathSignal(*syscall.SysProcAttr) {}
