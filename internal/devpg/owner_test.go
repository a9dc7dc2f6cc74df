package devpg

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// ownerEnv makes the test binary start a server and wait until it is killed.
const ownerEnv = "FUNDRAIL_DEVPG_TEST_OWNER"

// ownerRequest is the input of an owner process, ownerReport its output.
type (
	ownerRequest struct {
		DataDir      string
		TempDir      string // a directory that no other Start sweeps
		WatchdogOnly bool
	}
	ownerReport struct {
		Dir      string
		PID      int
		URL      string
		Watchdog int
	}
)

func ownerMain() int {
	if err := runOwner(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func runOwner() error {
	var req ownerRequest
	if err := json.Unmarshal([]byte(os.Getenv(ownerEnv)), &req); err != nil {
		return err
	}
	s, err := Start(context.Background(), Options{DataDir: req.DataDir, watchdogOnly: req.WatchdogOnly})
	if err != nil {
		return err
	}
	report := ownerReport{Dir: s.home.dir, PID: s.PID(), URL: s.DatabaseURL(), Watchdog: s.watchdog.cmd.Process.Pid}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin) // ends with the test, if the test does not kill this process
	return err
}

func TestOwnerIsKilled(t *testing.T) {
	t.Parallel()

	t.Run("TemporaryClusterIsRemoved", func(t *testing.T) {
		t.Parallel()

		owner, report := startOwner(t, ownerRequest{TempDir: dataDir(t)})
		killOwner(t, owner)

		requireGone(t, report)
		require.Eventually(t, func() bool { return !exists(report.Dir) }, patience, tick)
	})

	t.Run("WatchdogAloneIsEnough", func(t *testing.T) {
		t.Parallel()

		owner, report := startOwner(t, ownerRequest{TempDir: dataDir(t), WatchdogOnly: true})
		killOwner(t, owner)

		requireGone(t, report)
		require.Eventually(t, func() bool { return !exists(report.Dir) }, patience, tick)
	})

	t.Run("NextStartCleansUpAfterADeadWatchdog", func(t *testing.T) {
		t.Parallel()

		// Without the death signal the server remains an orphan until the next
		// Start of any test here.
		owner, report := startOwner(t, ownerRequest{WatchdogOnly: true})
		require.NoError(t, syscall.Kill(report.Watchdog, syscall.SIGKILL))
		killOwner(t, owner)

		require.Eventually(t, func() bool {
			mustStart(t, Options{})
			return !exists(report.Dir)
		}, patience, tick)
		requireGone(t, report)
	})

	t.Run("NextStartOnTheDataDirWorks", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		owner, report := startOwner(t, ownerRequest{DataDir: dir})
		query(t, report.URL, "CREATE TABLE kept AS SELECT 42 AS n")
		killOwner(t, owner)

		s := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "42", query(t, s.DatabaseURL(), "SELECT n FROM kept"))
		requireGone(t, report)
	})

	t.Run("NextStartOnTheDataDirEndsAnOrphan", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		owner, report := startOwner(t, ownerRequest{DataDir: dir, WatchdogOnly: true})
		query(t, report.URL, "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, syscall.Kill(report.Watchdog, syscall.SIGKILL))
		killOwner(t, owner)
		require.True(t, alive(report.PID))

		s := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "42", query(t, s.DatabaseURL(), "SELECT n FROM kept"))
		requireGone(t, report)
	})

	t.Run("OtherProcessIsNamed", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		owner, report := startOwner(t, ownerRequest{DataDir: dir})

		_, err := Start(t.Context(), Options{DataDir: dir})

		require.ErrorContains(t, err, fmt.Sprintf("is in use by process %d", owner.Process.Pid))
		require.Equal(t, "1", query(t, report.URL, "SELECT 1"))
	})
}

// startOwner starts a server in another process.
func startOwner(t *testing.T, req ownerRequest) (*exec.Cmd, ownerReport) {
	t.Helper()
	env, err := json.Marshal(req)
	require.NoError(t, err)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), ownerEnv+"="+string(env))
	if req.TempDir != "" {
		owner.Env = append(owner.Env, "TMPDIR="+req.TempDir)
	}
	owner.Stderr = os.Stderr
	stdin, err := owner.StdinPipe()
	require.NoError(t, err)
	stdout, err := owner.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, owner.Start())
	t.Cleanup(func() { _ = stdin.Close(); _ = owner.Wait() })

	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	require.NoError(t, err)
	var report ownerReport
	require.NoError(t, json.Unmarshal(line, &report))
	require.True(t, alive(report.PID))
	return owner, report
}

func killOwner(t *testing.T, owner *exec.Cmd) {
	t.Helper()
	require.NoError(t, owner.Process.Kill())
	_ = owner.Wait()
}

// requireGone waits until the server has ended. The server takes a moment, not the
// ten seconds after which the watchdog removes its files in any case.
func requireGone(t *testing.T, report ownerReport) {
	t.Helper()
	require.Eventually(t, func() bool { return !alive(report.PID) }, 8*time.Second, tick)
}

func exists(path string) bool {
	_, err := os.Lstat(filepath.Clean(path))
	return !errors.Is(err, os.ErrNotExist)
}
