package torture

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// process is one service, which is started again each time that it was ended.
type process struct {
	args    []string
	env     []string
	logPath string
	program []string
	url     string // empty for one that works jobs only
	dog     *watchdog

	mu     sync.Mutex
	life   *life
	frozen bool
	// busy keeps two actions from having the same process at once.
	busy sync.Mutex
}

// life is the time between a start and an end.
type life struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
}

func (p *process) start() error {
	log, err := os.OpenFile(filepath.Clean(p.logPath), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	args := append(append([]string{}, p.program[1:]...), p.args...)
	cmd := exec.Command(p.program[0], args...) //nolint:gosec,noctx // this very program; the storm ends it
	cmd.Env = p.env
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	setDeathSignal(cmd.SysProcAttr)
	l := &life{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go l.run(started, p.dog)
	if err := <-started; err != nil {
		return fmt.Errorf("start %v: %w", p.args, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.life, p.frozen = l, false
	return nil
}

// run starts the process and stays with it. The death signal is sent when the
// thread that started it ends, so the thread is kept until then.
func (l *life) run(started chan<- error, dog *watchdog) {
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
	_ = l.cmd.Wait() // how it ended is in its log
	dog.forget(l.cmd.Process.Pid)
	close(l.done)
}

// signal sends a signal to the process, if it runs.
func (p *process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life != nil {
		_ = p.life.cmd.Process.Signal(sig) // it may have ended by itself
		p.frozen = sig == syscall.SIGSTOP
	}
}

// end sends a signal and waits until the process is gone. One that does not go
// within the time that supervisors give is killed, which the result tells.
func (p *process) end(sig syscall.Signal) (stubborn bool) {
	const patience = 15 * time.Second
	p.mu.Lock()
	l := p.life
	p.life = nil
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

// running tells whether the process is there and answers signals.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.life == nil {
		return false
	}
	select {
	case <-p.life.done:
		return false
	default:
		return true
	}
}

// awaitReady returns when the process answers, at once for one that only works.
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
