package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchdogScript reads a list of process ids: "+ 12" adds one and "- 12" removes
// it. If the input ends without the line "bye", the parent process has died. The
// script then kills the processes in the list.
const watchdogScript = `
pids=" "
while read -r what pid; do
	case $what in
	bye) exit 0 ;;
	+) pids="$pids$pid " ;;
	-) pids="${pids%% $pid *} ${pids#* $pid }" ;;
	esac
done
for pid in $pids; do
	kill -KILL "$pid" 2>/dev/null
done
`

// watchdog is a shell process that outlives this process until it has killed what
// this process started. On Linux the kernel kills them as well.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

func startWatchdog() (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start watchdog: %w", err)
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "fundrail-torture-watchdog") //nolint:noctx // it outlives every context
	cmd.Dir = "/"
	cmd.Env = []string{}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // so that Ctrl-C does not end it
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start watchdog: %w", err), w.Close())
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// watch adds a process, and forget removes one that has ended.
func (w *watchdog) watch(pid int)  { _, _ = fmt.Fprintln(w.pipe, "+", pid) }
func (w *watchdog) forget(pid int) { _, _ = fmt.Fprintln(w.pipe, "-", pid) }

// dismiss ends the watchdog without an action.
func (w *watchdog) dismiss() {
	_, _ = fmt.Fprintln(w.pipe, "bye")
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
