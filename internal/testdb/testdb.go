// Package testdb gives each test a database of its own, with the schema in it and
// no rows: a clone of a template, dropped when the test is over. Commits, locks
// and notifications all work as they do in production. Rows are left to package
// testfactory.
//
// The databases live on the server of DATABASE_URL, beside the database that it
// names and never in it, or else on a private server that the first test starts
// and the end of the test binary stops.
//
// It does not use github.com/peterldowns/pgtestdb, which leaves behind the databases of
// test binaries that were killed and the templates of older migrations. The private
// server and the locks that make that cleanup safe would remain code of our own.
package testdb

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
)

const (
	// defaultMaxConns is enough for a client with workers, and low enough for many
	// tests at once.
	defaultMaxConns = 8
	// closeTimeout is how long a test may take to release its connections.
	closeTimeout = 10 * time.Second
	dropTimeout  = 30 * time.Second
)

// Option changes what New and URL return.
type Option func(*options)

type options struct {
	empty    bool
	lockWait time.Duration
	maxConns int32
}

// Empty leaves the schema out of the database.
func Empty() Option {
	return func(o *options) { o.empty = true }
}

// LockWait limits how long a statement of the pool waits for a lock. The default is so
// long that no statement of a test gives up.
func LockWait(d time.Duration) Option {
	return func(o *options) { o.lockWait = d }
}

// MaxConns limits the connections of the pool. The default is 8.
func MaxConns(n int32) Option {
	return func(o *options) { o.maxConns = n }
}

// patience is how long a test's statement waits for a lock, and how long the server keeps
// its transaction. The service's limits are too short for a test that holds a lock until
// another session waits for it: on a busy machine the wait would be over before the test
// has seen it.
const patience = time.Minute

// New returns a pool of connections to a new database with the current schema. They
// have the settings of the service's connections, but more patience with locks.
// Both are gone when the test ends, and the test fails if it has not released every
// connection by then. The pool and the server run goroutines, so a check by goleak needs
// IgnoreCurrent after the first New.
func New(tb testing.TB, opts ...Option) *pgxpool.Pool {
	tb.Helper()
	o := collect(opts)
	pool, err := postgres.OpenPool(context.WithoutCancel(tb.Context()), postgres.PoolOptions{
		URL: URL(tb, opts...), MaxConns: o.maxConns, Name: "test", PlanByIndex: true,
		Silence: patience, LockWait: o.lockWait, Abandoned: patience,
	})
	require.NoError(tb, err)
	tb.Cleanup(func() { closePool(tb, pool, closeTimeout) })
	return pool
}

// URL returns the connection URL of a new database like New's, for a test that
// connects by itself. The database is dropped when the test ends, even if connections
// are left.
func URL(tb testing.TB, opts ...Option) string {
	tb.Helper()
	s, err := shared()
	require.NoError(tb, err, "a database for the test")
	name, err := s.createDatabase(tb.Context(), collect(opts).empty)
	require.NoError(tb, err, "a database for the test")
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), dropTimeout)
		defer cancel()
		if err := s.dropDatabase(ctx, name); err != nil {
			tb.Errorf("drop the test's database: %v", err)
		}
	})
	return s.url(name)
}

// Main runs a package's tests, shuts the private server down and exits. It is for
// packages that need a TestMain anyway: without it, the server ends with the test binary
// as well.
func Main(m *testing.M) {
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func collect(opts []Option) options {
	o := options{lockWait: patience, maxConns: defaultMaxConns}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// closePool closes the pool, which waits for its connections. A test that leaks one gets
// an error here, rather than the test binary's timeout.
func closePool(tb testing.TB, pool *pgxpool.Pool, timeout time.Duration) {
	tb.Helper()
	closed := make(chan struct{})
	go func() {
		pool.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(timeout):
		tb.Errorf("%d of the test's database connections were not released", pool.Stat().AcquiredConns())
	}
}
