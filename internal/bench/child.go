package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	startChild   = 20 * time.Second
	stopChild    = 15 * time.Second
	pollInterval = 10 * time.Millisecond
)

// child is a command of this program in its own process. It ends when its input
// ends, and therefore also when this process is killed.
type child struct {
	addr  string
	cmd   *exec.Cmd
	ended chan struct{}
	input io.Closer
	log   string
	name  string
}

// startChild runs the program with args. Its environment is env only. startChild
// returns when the program listens on addr.
func (b *bench) startChild(ctx context.Context, name, addr string, env []string, args ...string) (*child, error) {
	c := &child{addr: addr, ended: make(chan struct{}), log: filepath.Join(b.dir, name+".log"), name: name}
	log, err := os.Create(c.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// The process outlives the context, because it must be stopped before the
	// servers that it uses.
	c.cmd = exec.CommandContext(context.WithoutCancel(ctx), b.Executable, append([]string{"supervised", "--"}, args...)...) //nolint:gosec // this program
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr = env, log, log
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = c.cmd.Wait() // the log says how it ended
		close(c.ended)
	}()
	if err := c.waitListening(ctx); err != nil {
		return nil, errors.Join(err, c.stop())
	}
	return c, nil
}

func (c *child) pid() int { return c.cmd.Process.Pid }

func (c *child) waitListening(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startChild)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if probe, err := new(net.Dialer).DialContext(ctx, "tcp", c.addr); err == nil {
			return probe.Close()
		}
		select {
		case <-c.ended:
			return fmt.Errorf("%s ended at its start:\n%s", c.name, c.logTail())
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w\n%s", c.name, ctx.Err(), c.logTail())
		case <-ticker.C:
		}
	}
}

// stop asks the process to end, and kills it if it takes too long.
func (c *child) stop() error {
	_ = c.input.Close() // asks the process to end
	timer := time.NewTimer(stopChild)
	defer timer.Stop()
	select {
	case <-c.ended:
		return nil
	case <-timer.C:
		_ = c.cmd.Process.Kill()
		<-c.ended
		return fmt.Errorf("%s did not stop", c.name)
	}
}

// alive returns an error if the process has ended.
func (c *child) alive() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s ended:\n%s", c.name, c.logTail())
	default:
		return nil
	}
}

func (c *child) logTail() string {
	const last = 20
	content, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return strings.Join(lines[max(0, len(lines)-last):], "\n")
}

// freeAddr returns a loopback address whose port is free.
func freeAddr(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
