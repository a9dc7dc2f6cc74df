package devpg

import (
	"context"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const (
	patience = 20 * time.Second
	tick     = 20 * time.Millisecond
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerEnv) != "" {
		os.Exit(ownerMain())
	}
	os.Exit(m.Run())
}

func TestStartTemporary(t *testing.T) {
	t.Parallel()

	t.Run("RunsUntilStopped", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		pid, dir := s.PID(), s.home.dir

		require.True(t, alive(pid))
		require.Equal(t, "1", query(t, s.DatabaseURL(), "SELECT 1"))
		require.FileExists(t, s.LogPath())
		require.FileExists(t, filepath.Join(s.BinDir(), "initdb"))

		require.NoError(t, s.Stop(t.Context()))
		require.False(t, alive(pid))
		require.Zero(t, s.PID())
		require.NoDirExists(t, dir)
		require.NoError(t, s.Stop(t.Context()))
		require.Error(t, s.Restart(t.Context()))
	})

	t.Run("TwoAtOnce", func(t *testing.T) {
		t.Parallel()

		a, b := mustStart(t, Options{}), mustStart(t, Options{})

		query(t, a.DatabaseURL(), "CREATE TABLE only_in_a ()")
		require.Equal(t, "0", query(t, b.DatabaseURL(), "SELECT count(*) FROM pg_class WHERE relname = 'only_in_a'"))
		require.NotEqual(t, a.password, b.password)
	})

	t.Run("TakesSettings", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{Settings: map[string]string{"jit": "on", "work_mem": "5MB"}})

		require.Equal(t, "off", query(t, s.DatabaseURL(), "SHOW fsync"))
		require.Equal(t, "on", query(t, s.DatabaseURL(), "SHOW jit"))
		require.Equal(t, "5MB", query(t, s.DatabaseURL(), "SHOW work_mem"))
	})

	t.Run("SaysWhyItDoesNotStart", func(t *testing.T) {
		t.Parallel()

		_, err := Start(t.Context(), Options{Settings: map[string]string{"shared_buffers": "plenty"}})

		require.ErrorContains(t, err, `invalid value for parameter "shared_buffers": "plenty"`)
	})

	t.Run("GivesUpWithTheContext", func(t *testing.T) {
		t.Parallel()

		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		_, err := Start(ctx, Options{})

		require.ErrorIs(t, err, context.Canceled)
	})

	t.Run("RequiresThePassword", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		u, err := url.Parse(s.DatabaseURL())
		require.NoError(t, err)
		u.User = url.UserPassword(role, "guess")

		_, err = pgx.Connect(t.Context(), u.String())
		require.ErrorContains(t, err, "password authentication failed")
		require.Equal(t, "127.0.0.1", query(t, s.DatabaseURL(), "SHOW listen_addresses"))
		require.Empty(t, query(t, s.DatabaseURL(), "SHOW unix_socket_directories"))
		info, err := os.Stat(s.home.path(passwordFile))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	})
}

func TestStartPersistent(t *testing.T) {
	t.Parallel()

	t.Run("KeepsItsData", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		first := mustStart(t, Options{DataDir: dir, Durable: true})
		require.Equal(t, "on", query(t, first.DatabaseURL(), "SHOW fsync"))
		query(t, first.DatabaseURL(), "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, first.Stop(t.Context()))

		second := mustStart(t, Options{DataDir: dir, Durable: true})

		require.Equal(t, "42", query(t, second.DatabaseURL(), "SELECT n FROM kept"))
	})

	t.Run("RefusesADirectoryInUse", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		s := mustStart(t, Options{DataDir: dir})

		_, err := Start(t.Context(), Options{DataDir: dir})

		require.ErrorContains(t, err, dir+" is in use by process "+strconv.Itoa(os.Getpid()))
		require.Equal(t, "1", query(t, s.DatabaseURL(), "SELECT 1"))
	})

	t.Run("IgnoresAStaleProcessFile", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		first := mustStart(t, Options{DataDir: dir})
		require.NoError(t, first.Kill(t.Context()))
		pidFile := filepath.Join(first.home.data, "postmaster.pid")
		require.FileExists(t, pidFile)
		require.NoError(t, first.Stop(t.Context()))
		// Another process of the same user now has the killed server's process id,
		// as happens in containers.
		other := first.home.account.command(t.Context(), "/bin/sh", "-c", "read -r line")
		stdin, err := other.StdinPipe()
		require.NoError(t, err)
		require.NoError(t, other.Start())
		defer func() { _ = stdin.Close(); _ = other.Wait() }()
		content, err := os.ReadFile(pidFile)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(content), "\n")
		require.NoError(t, os.WriteFile(pidFile, []byte(strconv.Itoa(other.Process.Pid)+"\n"+rest), 0o600))

		second := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "1", query(t, second.DatabaseURL(), "SELECT 1"))
	})

	t.Run("SurvivesAnInitdbThatWasKilled", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, dataName+".new", "base"), 0o700))

		s := mustStart(t, Options{DataDir: dir})

		require.Equal(t, "1", query(t, s.DatabaseURL(), "SELECT 1"))
	})

	t.Run("TakesNoSeed", func(t *testing.T) {
		t.Parallel()

		_, err := Start(t.Context(), Options{DataDir: dataDir(t), Seed: &Seed{}})

		require.ErrorContains(t, err, "seed is for temporary clusters")
	})

	t.Run("MissesItsPassword", func(t *testing.T) {
		t.Parallel()

		dir := dataDir(t)
		s := mustStart(t, Options{DataDir: dir})
		require.NoError(t, os.Remove(s.home.path(passwordFile)))
		require.NoError(t, s.Stop(t.Context()))

		_, err := Start(t.Context(), Options{DataDir: dir})

		require.ErrorContains(t, err, "start afresh")
	})
}

func TestRestart(t *testing.T) {
	t.Parallel()

	t.Run("KeepsPortAndData", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		pid, address := s.PID(), s.DatabaseURL()
		query(t, address, "CREATE TABLE kept AS SELECT 42 AS n")

		require.NoError(t, s.Restart(t.Context()))

		require.Equal(t, address, s.DatabaseURL())
		require.NotEqual(t, pid, s.PID())
		require.Equal(t, "42", query(t, address, "SELECT n FROM kept"))
	})

	t.Run("RecoversFromKill", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{Durable: true})
		conn, err := pgx.Connect(t.Context(), s.DatabaseURL())
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		_, err = conn.Exec(t.Context(), "CREATE TABLE kept AS SELECT 42 AS n")
		require.NoError(t, err)
		backend, postmaster := int(conn.PgConn().PID()), s.PID()
		require.True(t, alive(backend))

		require.NoError(t, s.Kill(t.Context()))

		// A process releases its locks shortly before it ends.
		for _, pid := range []int{postmaster, backend} {
			require.Eventually(t, func() bool { return !alive(pid) }, 10*time.Second, time.Millisecond)
		}
		require.Zero(t, s.PID())
		require.NoError(t, s.Kill(t.Context()))
		require.NoError(t, s.Restart(t.Context()))
		require.Equal(t, "42", query(t, s.DatabaseURL(), "SELECT n FROM kept"))
	})

	t.Run("RecoversFromASuddenEnd", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
		require.Eventually(t, func() bool { return s.PID() == 0 }, patience, tick)

		require.NoError(t, s.Restart(t.Context()))

		require.Equal(t, "1", query(t, s.DatabaseURL(), "SELECT 1"))
	})

	t.Run("WaitsForItsPort", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		require.NoError(t, s.Kill(t.Context()))
		squatter, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)))
		require.NoError(t, err)
		restarted := make(chan error, 1)
		go func() { restarted <- s.Restart(t.Context()) }()
		require.Eventually(t, func() bool {
			log, _ := os.ReadFile(s.LogPath())
			return strings.Contains(string(log), "could not bind")
		}, patience, tick)

		require.NoError(t, squatter.Close())

		require.NoError(t, <-restarted)
		require.Equal(t, "1", query(t, s.DatabaseURL(), "SELECT 1"))
	})
}

func TestStop(t *testing.T) {
	t.Parallel()

	t.Run("DisconnectsClients", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		conn, err := pgx.Connect(t.Context(), s.DatabaseURL())
		require.NoError(t, err)
		defer conn.Close(context.WithoutCancel(t.Context()))
		_, err = conn.Exec(t.Context(), "BEGIN; CREATE TABLE unfinished ()")
		require.NoError(t, err)

		require.NoError(t, s.Stop(t.Context()))

		require.Error(t, conn.Ping(t.Context()))
	})

	t.Run("LeavesNoSharedMemoryOfAKilledServer", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		require.Equal(t, "mmap", query(t, s.DatabaseURL(), "SHOW dynamic_shared_memory_type"))
		content, err := readSmall(filepath.Join(s.home.data, "postmaster.pid"))
		require.NoError(t, err)
		segment := strings.Fields(strings.Split(content, "\n")[6])[1]
		segments := func() string {
			out, err := exec.Command("ipcs", "-m").Output()
			require.NoError(t, err)
			return string(out)
		}
		require.Regexp(t, `(?m)^\S+\s+`+segment+`\s`, segments())
		require.NoError(t, s.Kill(t.Context()))

		require.NoError(t, s.Stop(t.Context()))

		require.NotRegexp(t, `(?m)^\S+\s+`+segment+`\s`, segments())
	})

	t.Run("SkipsTheFastShutdownWithoutTime", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		pid := s.PID()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		require.NoError(t, s.Stop(ctx))

		require.False(t, alive(pid))
	})

	t.Run("KillsOneThatHangs", func(t *testing.T) {
		t.Parallel()

		s := mustStart(t, Options{})
		pid := s.PID()
		require.NoError(t, syscall.Kill(pid, syscall.SIGSTOP))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		require.NoError(t, s.Stop(ctx))

		require.False(t, alive(pid))
	})
}

// mustStart starts a server that is stopped at the end of the test.
func mustStart(t *testing.T, opts Options) *Server {
	t.Helper()
	s, err := Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop(context.WithoutCancel(t.Context()))) })
	return s
}

// dataDir returns a directory that the server's account can enter, so that the
// cluster is in it even if the test runs as root.
func dataDir(t *testing.T) string {
	t.Helper()
	a, err := serverAccount()
	require.NoError(t, err)
	parent, err := sharedParent(t.Context(), a, preferredParents(false)...)
	require.NoError(t, err)
	dir := filepath.Join(parent, "devpg-test-"+randomHex(8))
	require.NoError(t, os.Mkdir(dir, 0o700))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chmod(dir, 0o711))
	return dir
}

// query runs a statement and returns the first column of its first row, if any.
func query(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	results, err := conn.PgConn().Exec(t.Context(), sql).ReadAll()
	require.NoError(t, err)
	if len(results[0].Rows) == 0 {
		return ""
	}
	return string(results[0].Rows[0][0])
}

// alive reports whether the process runs. A zombie process does not.
func alive(pid int) bool {
	if err := syscall.Kill(pid, 0); err != nil {
		return false
	}
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}
