package pgproxy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/testdb"
)

// TestMain fails if a goroutine of a proxy has outlived its proxy.
func TestMain(m *testing.M) {
	if code := m.Run(); code != 0 {
		os.Exit(code)
	}
	stacks := make([]byte, 16<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	if strings.Contains(string(stacks), "internal/pgproxy.(*") {
		fmt.Fprintf(os.Stderr, "goroutines of a proxy have outlived it:\n%s\n", stacks)
		os.Exit(1)
	}
}

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// rig is a database with a proxy before it.
type rig struct {
	direct *pgxpool.Pool // not through the proxy
	proxy  *pgproxy.Proxy
	pool   *pgxpool.Pool // through the proxy
	url    string        // through the proxy
	writes int           // so far
}

// newDatabase returns the URL of a database with a table for writes, and a pool.
func newDatabase(tb testing.TB) (string, *pgxpool.Pool) {
	tb.Helper()
	url := testdb.URL(tb, testdb.Empty())
	direct, err := pgxpool.New(tb.Context(), url)
	require.NoError(tb, err)
	tb.Cleanup(direct.Close)
	_, err = direct.Exec(tb.Context(), "create table written (write text, part int, primary key (write, part))")
	require.NoError(tb, err)
	return url, direct
}

func newRig(tb testing.TB) *rig {
	tb.Helper()
	url, direct := newDatabase(tb)
	return newRigOn(tb, url, direct)
}

// newRigOn puts a proxy of its own before a database.
func newRigOn(tb testing.TB, url string, direct *pgxpool.Pool) *rig {
	tb.Helper()
	proxy, url, err := pgproxy.StartURL(tb.Context(), url)
	require.NoError(tb, err)
	config, err := pgxpool.ParseConfig(url)
	require.NoError(tb, err)
	config.MaxConns = 4
	config.ConnConfig.RuntimeParams["application_name"] = "pool"
	pool, err := pgxpool.NewWithConfig(tb.Context(), config)
	require.NoError(tb, err)
	// The proxy goes first: the pool waits for its connections to end.
	tb.Cleanup(pool.Close)
	tb.Cleanup(func() { require.NoError(tb, proxy.Close()) })
	return &rig{direct: direct, proxy: proxy, pool: pool, url: url}
}

// written counts the rows of a write, asked for without the proxy.
func (r *rig) written(t *testing.T, write string) int {
	t.Helper()
	var n int
	err := r.direct.QueryRow(t.Context(), "select count(*) from written where write = $1", write).Scan(&n)
	require.NoError(t, err)
	return n
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = conn.Close(ctx) // its proxy may be gone
	})
	return conn
}

func receive(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		t.Fatalf("%s did not come", what)
	}
}

func result(t *testing.T, c <-chan error) error {
	t.Helper()
	select {
	case err := <-c:
		return err
	case <-time.After(patience):
		t.Fatal("the call did not return")
		return nil
	}
}

// async calls f and returns where its error comes.
func async(f func() error) <-chan error {
	c := make(chan error, 1)
	go func() { c <- f() }()
	return c
}

// sort names what pgx makes of a fault, in the words of the package comment.
func sort(err error) string {
	var name string
	pgErr, isPgErr := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return "nil"
	case isPgErr:
		name = pgErr.Severity + " " + pgErr.Code
	case errors.Is(err, pgconn.ErrConnClosed):
		name = "conn closed"
	case errors.Is(err, io.ErrUnexpectedEOF):
		name = "unexpected EOF"
	case errors.Is(err, io.EOF):
		name = "EOF"
	case errors.Is(err, syscall.ECONNRESET):
		name = "reset"
	case errors.Is(err, syscall.EPIPE):
		name = "broken pipe"
	case errors.Is(err, context.DeadlineExceeded):
		name = "deadline"
	case errors.Is(err, context.Canceled):
		name = "canceled"
	case errors.Is(err, net.ErrClosed):
		name = "net closed"
	default:
		name = err.Error()
	}
	if pgconn.Timeout(err) {
		name += ", timeout"
	}
	if pgconn.SafeToRetry(err) {
		name += ", safe"
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		name += ", connect"
	}
	return name
}
