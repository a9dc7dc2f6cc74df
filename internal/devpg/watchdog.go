package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchdogScript reads the server's process id from its input, one per line, 0 for
// none. If the input ends without the line "bye", the owner has died. The script
// then stops the server and removes a temporary cluster's files.
const watchdogScript = `
pid=0
while read -r line; do
	[ "$line" = bye ] && exit 0
	pid=$line
done
if [ "$pid" != 0 ]; then
	kill -QUIT "$pid" 2>/dev/null
	n=0
	while [ $n -lt 100 ] && kill -0 "$pid" 2>/dev/null; do
		n=$((n + 1))
		sleep 0.1 2>/dev/null || sleep 1
	done
fi
[ -z "$1" ] || rm -rf -- "$1"
`

// watchdog is a shell process that outlives this process until it has cleaned up.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// startWatchdog starts a watchdog that removes dir, unless it is empty, when this
// process has died.
func startWatchdog(dir string) (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "fundrail-watchdog", dir) //nolint:gosec // a constant script
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // so that Ctrl-C does not end it
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server's watchdog: %w", err), w.Close())
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// watch sets the process to stop when this process dies, 0 for none. Errors are
// ignored: without a watchdog, the next Start cleans up.
func (w *watchdog) watch(pid int) {
	_, _ = fmt.Fprintln(w.pipe, pid)
}

// dismiss ends the watchdog without an action.
func (w *watchdog) dismiss() error {
	_, _ = fmt.Fprintln(w.pipe, "bye")
	err := w.pipe.Close()
	_ = w.cmd.Wait()
	return err
}
