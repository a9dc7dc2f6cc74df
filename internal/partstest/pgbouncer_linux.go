package partstest

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// PoolMode is how PgBouncer shares its connections.
type PoolMode string

// The modes. In transaction mode each transaction may get another session.
const (
	PoolSession     PoolMode = "session"
	PoolTransaction PoolMode = "transaction"
)

const startWithin = 20 * time.Second

// PgBouncer is a pooler in front of a database.
type PgBouncer struct {
	// URL is that of the database through the pooler.
	URL string

	config string
	*process
}

// StartPgBouncer starts a pooler in front of the database of a URL.
func StartPgBouncer(tb testing.TB, databaseURL string, mode PoolMode) *PgBouncer {
	tb.Helper()

	target, err := pgconn.ParseConfig(databaseURL)
	require.NoError(tb, err)
	dir, err := os.MkdirTemp("", "fundrail-pgbouncer-") //nolint:usetesting // other users cannot enter the test's directory
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, os.RemoveAll(dir)) })
	require.NoError(tb, os.Chmod(dir, 0o755)) //nolint:gosec // the part runs as another user
	users := filepath.Join(dir, "users.txt")
	writeFile(tb, users, fmt.Sprintf("%q %q\n", target.User, target.Password))
	b := &PgBouncer{config: filepath.Join(dir, "pgbouncer.ini")}
	port := freePort(tb)
	writeFile(tb, b.config, strings.Join([]string{
		"[databases]",
		fmt.Sprintf("* = host=%s port=%d user=%s password=%s", target.Host, target.Port, target.User, target.Password),
		"[pgbouncer]",
		"listen_addr = 127.0.0.1",
		"listen_port = " + strconv.Itoa(port),
		"unix_socket_dir =",
		"auth_type = any",
		"auth_file = " + users,
		"pool_mode = " + string(mode),
		"default_pool_size = 60",
		"max_client_conn = 200",
		"",
	}, "\n"))
	b.URL = fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s?sslmode=disable",
		url.QueryEscape(target.User), url.QueryEscape(target.Password), port, url.PathEscape(target.Database))
	b.Start(tb)
	return b
}

// Start starts the pooler again after Stop.
func (b *PgBouncer) Start(tb testing.TB) {
	tb.Helper()

	b.process = start(tb, command(tb, "pgbouncer", b.config))
	u, err := url.Parse(b.URL)
	require.NoError(tb, err)
	awaitListener(tb, u.Host)
}

// Stop kills the pooler.
func (b *PgBouncer) Stop() { b.stop() }

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	require.NoError(tb, os.WriteFile(path, []byte(content), 0o644)) //nolint:gosec // the part runs as another user
}

// freePort returns a port of the loopback address that was free a moment ago.
func freePort(tb testing.TB) int {
	tb.Helper()

	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it is closed at once
	require.NoError(tb, err)
	defer l.Close()
	addr, ok := l.Addr().(*net.TCPAddr)
	require.True(tb, ok)
	return addr.Port
}

func awaitListener(tb testing.TB, addr string) {
	tb.Helper()

	require.Eventually(tb, func() bool {
		conn, err := net.Dial("tcp", addr) //nolint:noctx // loopback refuses at once
		if err != nil {
			return false
		}
		return conn.Close() == nil
	}, startWithin, 10*time.Millisecond, "%s should listen", addr)
}
