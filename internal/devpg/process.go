package devpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	fastTimeout      = 10 * time.Second
	immediateTimeout = 6 * time.Second // longer than the 5 seconds that postgres gives its child processes
	readyInterval    = 5 * time.Millisecond
)

// errPortTaken means that another process listens on the port.
var errPortTaken = errors.New("the port is taken")

// process is one run of the server.
type process struct {
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
	logFrom int64         // the offset in the log at which this run begins
	logPath string
}

type processOptions struct {
	account     account
	args        []string
	bins        binaries
	deathSignal bool
	lock        *fileLock // inherited by the server and its child processes, and held until the last has ended
	logPath     string
	onEnd       func() // called when the server has ended
}

func startProcess(opts processOptions) (*process, error) {
	log, err := os.OpenFile(opts.logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	from, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	cmd := opts.account.command(context.Background(), opts.bins.path("postgres"), opts.args...)
	cmd.ExtraFiles = []*os.File{opts.lock.file}
	cmd.Stderr = log
	cmd.Stdout = log
	if opts.deathSignal {
		setDeathSignal(cmd.SysProcAttr)
	}
	p := &process{cmd: cmd, done: make(chan struct{}), logFrom: from, logPath: opts.logPath}
	started := make(chan error)
	go p.run(started, opts.onEnd)
	return p, <-started
}

// run starts the server and waits until it ends. The kernel sends the death signal
// when the thread that started the server ends, so run keeps its thread until then.
func (p *process) run(started chan<- error, onEnd func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = p.cmd.Wait() // the log says how it ended
	onEnd()
	close(p.done)
}

func (p *process) pid() int { return p.cmd.Process.Pid }

func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// waitReady returns when the server accepts connections. The server reports this in
// postmaster.pid.
func (p *process) waitReady(ctx context.Context, data string) error {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		content, _ := readSmall(filepath.Join(data, "postmaster.pid"))
		lines := strings.Split(content, "\n")
		if len(lines) >= 8 && strings.TrimSpace(lines[7]) == "ready" && lines[0] == strconv.Itoa(p.pid()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the server: %w\n%s", ctx.Err(), p.logTail())
		case <-p.done:
			return p.whyEnded()
		case <-ticker.C:
		}
	}
}

func (p *process) whyEnded() error {
	tail := p.logTail()
	if strings.Contains(tail, "could not bind") || strings.Contains(tail, "could not create any TCP/IP sockets") {
		return fmt.Errorf("%w\n%s", errPortTaken, tail)
	}
	return fmt.Errorf("the server ended (%v), its log says:\n%s", p.cmd.ProcessState, tail)
}

// logTail returns the last lines that this run of the server has logged.
func (p *process) logTail() string {
	f, err := os.Open(p.logPath)
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	content, _ := io.ReadAll(io.NewSectionReader(f, p.logFrom, 1<<20))
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}

// stop shuts the server down with a fast shutdown, then an immediate one, then
// SIGKILL. If the context ends, the fast shutdown is cut short.
func (p *process) stop(ctx context.Context) error {
	for _, step := range []struct {
		ctx    context.Context
		signal syscall.Signal
		wait   time.Duration
	}{
		{ctx, syscall.SIGINT, fastTimeout},
		{context.Background(), syscall.SIGQUIT, immediateTimeout},
	} {
		_ = p.cmd.Process.Signal(step.signal)
		waitCtx, cancel := context.WithTimeout(step.ctx, step.wait)
		ended := p.wait(waitCtx)
		cancel()
		if ended {
			return nil
		}
	}
	return p.kill(context.Background())
}

func (p *process) kill(ctx context.Context) error {
	_ = p.cmd.Process.Kill()
	if !p.wait(ctx) {
		return fmt.Errorf("wait for process %d: %w", p.pid(), ctx.Err())
	}
	return nil
}

// wait reports whether the process ended before the context did.
func (p *process) wait(ctx context.Context) bool {
	select {
	case <-p.done:
		return true
	case <-ctx.Done():
		return false
	}
}

// serverArgs returns the server's arguments. Settings are arguments and not in a
// file, so that a data directory does not keep old settings.
func serverArgs(data string, port int, opts Options) []string {
	settings := map[string]string{
		"jit":                     "off", // costs more than it saves in short queries
		"listen_addresses":        "127.0.0.1",
		"log_checkpoints":         "off",
		"log_timezone":            "UTC",
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"timezone":                "UTC",
		"unix_socket_directories": "",
	}
	if !opts.Durable {
		// synchronous_commit stays on. Without fsync it costs almost nothing, and
		// commits survive a killed server.
		settings["checkpoint_timeout"] = "30min"
		settings["fsync"] = "off"
		settings["full_page_writes"] = "off"
		settings["max_wal_size"] = "256MB"
	}
	if opts.DataDir == "" {
		// Shared memory of a killed server would remain in /dev/shm, because a
		// temporary cluster is not started again to free it.
		settings["dynamic_shared_memory_type"] = "mmap"
	}
	maps.Copy(settings, opts.Settings)
	args := []string{"-D", data, "-p", strconv.Itoa(port)}
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}

// freePort returns a port that is free now. It is below the range of ephemeral
// ports, so that it is probably still free after a restart.
func freePort(ctx context.Context) (int, error) {
	const low, high, tries = 15000, 32000, 50
	var lc net.ListenConfig
	var err error
	for range tries {
		port := low + rand.IntN(high-low) //nolint:gosec // not a secret
		var l net.Listener
		l, err = lc.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}
