package torture

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is one service. It is started again after each time that it was ended.
type process struct {
	args    []string
	env     []string
	logPath string
	program []string
	url     string // empty for a process that only works jobs
	dog     *watchdog

	revived  atomic.Int64 // how often it failed to start and was started again
	mu       sync.Mutex
	instance *instance
	frozen   bool
	ends     []time.Time // when it was ended
	// busy prevents two actions on the process at the same time.
	busy sync.Mutex
}

// instance is one run of the process.
type instance struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	// logFrom is where its part of the log begins.
	logFrom int64
}

// start starts the process unless it is running.
func (p *process) start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance != nil && !p.instance.over() {
		return nil
	}
	return p.launch()
}

// launch starts the process. The caller holds p.mu.
func (p *process) launch() error {
	log, err := os.OpenFile(filepath.Clean(p.logPath), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	end, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	args := append(append([]string{}, p.program[1:]...), p.args...)
	cmd := exec.Command(p.program[0], args...) //nolint:gosec,noctx // this program; the storm ends it
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	setDeathSignal(cmd.SysProcAttr)
	l := &instance{cmd: cmd, done: make(chan struct{}), logFrom: end}
	started := make(chan error)
	go func() {
		l.run(started, p.dog)
		p.revive(l)
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %v: %w", p.args, err)
	}
	p.instance, p.frozen = l, false
	return nil
}

// revive starts the process again if it has ended by itself before it served, because
// it did not reach the database. Supervisors do the same.
func (p *process) revive(l *instance) {
	if !failedToStart(p.logPath, l.logFrom) {
		return
	}
	timer := time.NewTimer(200 * time.Millisecond)
	defer timer.Stop()
	<-timer.C
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance != l {
		return // it was ended, or is started already
	}
	p.revived.Add(1)
	_ = p.launch() // without success it stays down, and judgeProcesses says so
}

// failedToStart reports whether the log of an instance, which begins at from, ends with
// the command's error and does not say that the service has started. A panic is not
// such an error.
func failedToStart(logPath string, from int64) bool {
	log, err := os.ReadFile(filepath.Clean(logPath))
	if err != nil || from > int64(len(log)) {
		return false
	}
	log = bytes.TrimSpace(log[from:])
	last := log[bytes.LastIndexByte(log, '\n')+1:]
	return bytes.HasPrefix(last, []byte("fundrail: ")) && !bytes.Contains(log, []byte(`"msg":"started"`))
}

// run starts the process and waits until it ends. The kernel sends the death signal
// when the thread that started the process ends, so run keeps its thread until
// then.
func (l *instance) run(started chan<- error, dog *watchdog) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := l.cmd.Start()
	if err == nil {
		dog.watch(l.cmd.Process.Pid)
	}
	started <- err
	if err != nil {
		return
	}
	_ = l.cmd.Wait() // the log shows how it ended
	dog.forget(l.cmd.Process.Pid)
	close(l.done)
}

// signal sends a signal to the process, if it is running.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.instance != nil {
		_ = p.instance.cmd.Process.Signal(sig) // it may have ended by itself
		p.frozen = sig == syscall.SIGSTOP
	}
}

// end sends a signal and waits until the process has ended. It kills a process that
// takes longer than supervisors allow, and reports whether it had to.
func (p *process) end(sig syscall.Signal) (stubborn bool) {
	const patience = 15 * time.Second
	p.mu.Lock()
	l := p.instance
	p.instance = nil
	p.mu.Unlock()
	if l == nil {
		return false
	}
	_ = l.cmd.Process.Signal(sig)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-l.done:
		return false
	case <-timer.C:
	}
	_ = l.cmd.Process.Kill()
	<-l.done
	return true
}

// ending notes that the process is ended at a time.
func (p *process) ending(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends = append(p.ends, at)
}

// endedSince reports whether the process was ended at t or later.
func (p *process) endedSince(t time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ends) > 0 && !p.ends[len(p.ends)-1].Before(t)
}

// running reports whether the process is running.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.instance != nil && !p.instance.over()
}

// over reports whether the instance has ended.
func (l *instance) over() bool {
	select {
	case <-l.done:
		return true
	default:
		return false
	}
}

// awaitReady returns when the process answers requests, or at once if it only works
// jobs.
func (p *process) awaitReady(ctx context.Context) error {
	if p.url == "" {
		return nil
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready(ctx, p.url) {
			return nil
		}
		if !p.running() {
			return fmt.Errorf("%v ended; its log is %s", p.args, p.logPath)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%v does not answer; its log is %s", p.args, p.logPath)
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, url string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}
