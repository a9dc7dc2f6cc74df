package devpg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchdogScript reads the server's process id, line by line as it changes, with
// 0 for none. The end of the input without a farewell means that our process is
// gone: then the server goes too, and a temporary cluster's files with it.
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

// watchdog is a shell that outlives us for as long as it takes to tidy up.
type watchdog struct {
	cmd  *exec.Cmd
	pipe *os.File
}

// startWatchdog starts a watchdog that removes the directory, if one is given,
// when our process is gone.
func startWatchdog(dir string) (*watchdog, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	cmd := exec.Command("/bin/sh", "-c", watchdogScript, "fundrail-watchdog", dir) //nolint:gosec // a script of its own
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdin = r
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start the server's watchdog: %w", err), w.Close())
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// watch names the process to end with us; 0 is none. A watchdog that somebody
// killed is no reason to fail: the next Start tidies up.
func (w *watchdog) watch(pid int) {
	_, _ = fmt.Fprintln(w.pipe, pid)
}

// dismiss sends the watchdog away with nothing to do.
func (w *watchdog) dismiss() error {
	_, _ = fmt.Fprintln(w.pipe, "bye")
	err := w.pipe.Close()
	_ = w.cmd.Wait()
	return err
}
