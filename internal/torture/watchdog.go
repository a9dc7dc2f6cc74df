package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// watchdogScript keeps a list of process ids: "+ 12" adds one, "- 12" takes it
// away. The end of the input without a farewell means that our process is gone:
// then those on the list go too.
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

// watchdog is a shell that outlives us for as long as it takes to end what we
// started. On Linux the kernel does so as well.
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
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C is not for it
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start watchdog: %w", err), w.Close())
	}
	return &watchdog{cmd: cmd, pipe: w}, nil
}

// watch adds a process, forget takes it away once it has ended.
func (w *watchdog) watch(pid int)  { _, _ = fmt.Fprintln(w.pipe, "+", pid) }
func (w *watchdog) forget(pid int) { _, _ = fmt.Fprintln(w.pipe, "-", pid) }

// dismiss sends the watchdog away with nothing to do.
func (w *watchdog) dismiss() {
	_, _ = fmt.Fprintln(w.pipe, "bye")
	_ = w.pipe.Close()
	_ = w.cmd.Wait()
}
