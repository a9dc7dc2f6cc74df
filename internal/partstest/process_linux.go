package partstest

import (
	"bytes"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// command returns a command that runs as another user if this process runs as root, which
// PgBouncer and PostgreSQL refuse.
func command(tb testing.TB, name string, args ...string) *exec.Cmd {
	tb.Helper()

	cmd := exec.CommandContext(tb.Context(), name, args...) //nolint:gosec // names of Debian's programs
	cmd.Dir = "/"
	cmd.Env = []string{"LC_ALL=C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TZ=UTC"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() == 0 {
		uid, gid := lent(tb)
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd
}

// lent returns the ids of the user nobody.
func lent(tb testing.TB) (uid, gid uint32) {
	tb.Helper()

	u, err := user.Lookup("nobody")
	require.NoError(tb, err)
	ids := [2]uint32{}
	for i, text := range []string{u.Uid, u.Gid} {
		id, err := strconv.ParseUint(text, 10, 32)
		require.NoError(tb, err)
		ids[i] = uint32(id)
	}
	return ids[0], ids[1]
}

// process is a part that runs.
type process struct {
	cmd    *exec.Cmd
	output *buffer
	ended  chan struct{}
}

// start runs a command until stop or the end of the test.
func start(tb testing.TB, cmd *exec.Cmd) *process {
	tb.Helper()

	p := &process{cmd: cmd, output: &buffer{}, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p.output, p.output
	started := make(chan error)
	go func() {
		// The kernel kills the part when the thread that started it ends.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // the test sees by other means that its part has ended
			close(p.ended)
		}
	}()
	require.NoError(tb, <-started)
	tb.Cleanup(func() {
		p.stop()
		if tb.Failed() {
			tb.Logf("%s printed:\n%s", cmd.Path, p.output)
		}
	})
	return p
}

func (p *process) stop() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// buffer is safe for concurrent use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
