package pgproxy_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/pgproxy"
)

const insert = "insert into written (write, part) values ($1, $2)"

// way is one of the ways in which a program writes.
type way struct {
	name     string
	rows     int
	explicit bool // the COMMIT is a request of its own
	streams  bool // the client sends more before it has the server's answer
	write    func(ctx context.Context, pool *pgxpool.Pool, name string) error
}

func group(name string) *pgx.Batch {
	var b pgx.Batch
	for part := range 20 {
		b.Queue(insert, name, part)
	}
	return &b
}

func ways() []way {
	return []way{
		{"Exec", 1, false, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			_, err := pool.Exec(ctx, insert, name, 0)
			return err
		}},
		{"SendBatch", 20, false, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pool.SendBatch(ctx, group(name)).Close()
		}},
		{"SendBatchWithCommit", 20, false, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			b := &pgx.Batch{}
			b.Queue("begin")
			b.QueuedQueries = append(b.QueuedQueries, group(name).QueuedQueries...)
			b.Queue("commit")
			return pool.SendBatch(ctx, b).Close()
		}},
		{"CopyFrom", 20, false, true, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			rows := pgx.CopyFromSlice(20, func(part int) ([]any, error) { return []any{name, part}, nil })
			_, err := pool.CopyFrom(ctx, pgx.Identifier{"written"}, []string{"write", "part"}, rows)
			return err
		}},
		{"BeginFunc", 1, true, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				_, err := tx.Exec(ctx, insert, name, 0)
				return err
			})
		}},
		{"BeginFuncBatch", 20, true, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
				return tx.SendBatch(ctx, group(name)).Close()
			})
		}},
		{"Commit", 1, true, false, func(ctx context.Context, pool *pgxpool.Pool, name string) error {
			tx, err := pool.Begin(ctx)
			if err != nil {
				return err
			}
			if _, err = tx.Exec(ctx, insert, name, 0); err != nil {
				_ = tx.Rollback(ctx)
				return err
			}
			return tx.Commit(ctx)
		}},
	}
}

// stored is when the rows of a write are there.
type stored int

const (
	never stored = iota
	late         // when the fault has been released
	yes
)

// faultCase is a line of the table in the package comment.
type faultCase struct {
	do         pgproxy.Action
	error      pgproxy.Error
	stored     stored
	err        string
	errOfQuery string // of a simple query, if it is another
}

const (
	connClosed = "conn closed, safe"
	canceled   = "canceled"
)

func beforeCases() []faultCase {
	return []faultCase{
		{pgproxy.CloseConn, pgproxy.Error{}, never, "unexpected EOF", connClosed},
		{pgproxy.ResetConn, pgproxy.Error{}, never, "reset", connClosed},
		{pgproxy.AnswerError, pgproxy.ServerConnCrashed, never, "FATAL 08P01", ""},
		{pgproxy.AnswerError, pgproxy.AdminShutdown, never, "FATAL 57P01", ""},
		{pgproxy.AnswerError, pgproxy.CompletionUnknown, never, "ERROR 40003", ""},
		{pgproxy.HoldRequest, pgproxy.Error{}, late, canceled, ""},
		{pgproxy.FreezeConn, pgproxy.Error{}, late, canceled, ""},
		{pgproxy.FreezeToServer, pgproxy.Error{}, late, canceled, ""},
		{pgproxy.FreezeToClient, pgproxy.Error{}, yes, canceled, ""},
		{pgproxy.HoldAnswer, pgproxy.Error{}, yes, canceled, ""},
	}
}

func afterCases() []faultCase {
	return []faultCase{
		{pgproxy.CloseConn, pgproxy.Error{}, yes, "unexpected EOF", connClosed},
		{pgproxy.ResetConn, pgproxy.Error{}, yes, "reset", connClosed},
		{pgproxy.AnswerError, pgproxy.ServerConnCrashed, yes, "FATAL 08P01", ""},
		{pgproxy.AnswerError, pgproxy.AdminShutdown, yes, "FATAL 57P01", ""},
		{pgproxy.AnswerError, pgproxy.CompletionUnknown, yes, "ERROR 40003", ""},
		{pgproxy.HoldAnswer, pgproxy.Error{}, yes, canceled, ""},
		{pgproxy.FreezeConn, pgproxy.Error{}, yes, canceled, ""},
		{pgproxy.FreezeToClient, pgproxy.Error{}, yes, canceled, ""},
		{pgproxy.FreezeToServer, pgproxy.Error{}, yes, "nil", ""},
	}
}

// TestFaults sends each way of writing through each fault, and asks both sides what
// has come of it: pgx for its error, the database for the rows. It holds the table
// in the package comment.
func TestFaults(t *testing.T) {
	t.Parallel()
	url, direct := newDatabase(t)
	for _, w := range ways() {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			r := newRigOn(t, url, direct)
			// The statements are prepared from here on.
			require.NoError(t, w.write(t.Context(), r.pool, w.name))
			for _, c := range beforeCases() {
				if w.explicit && c.errOfQuery != "" {
					c.err = c.errOfQuery
				}
				r.run(t, w, c, pgproxy.BeforeCommit)
			}
			for _, c := range afterCases() {
				if w.explicit && c.errOfQuery != "" {
					c.err = c.errOfQuery
				}
				r.run(t, w, c, pgproxy.AfterCommit)
			}
			for _, c := range beforeCases() {
				if w.explicit {
					c.stored = never // nothing commits
				}
				r.run(t, w, c, pgproxy.BeforeWrite)
			}
			for _, c := range beforeCases() {
				if c.do == pgproxy.HoldRequest {
					r.run(t, w, c, pgproxy.BeforeCommit) // on a new connection, with nothing prepared
				}
			}
		})
	}
}

// run sends one write through one fault.
func (r *rig) run(t *testing.T, w way, c faultCase, when pgproxy.When) {
	t.Helper()
	r.writes++
	name := fmt.Sprintf("%s %d: when %d, %s %s", w.name, r.writes, when, c.do, c.error.Code)
	i := r.proxy.Inject(pgproxy.Fault{When: when, Do: c.do, Error: c.error})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := async(func() error { return w.write(ctx, r.pool, name) })
	receive(t, "the strike", i.Fired())
	held := c.do == pgproxy.HoldRequest || (c.do == pgproxy.FreezeConn || c.do == pgproxy.FreezeToServer) && when != pgproxy.AfterCommit
	switch {
	case held && w.streams:
		// A client that gives up now may have sent any part of the rows.
		require.Zero(t, r.written(t, name), name)
		i.Release()
		c.err, c.stored = "nil", yes
	case c.err == canceled:
		if !held {
			receive(t, "the server's answer", i.Done())
		}
		cancel()
	}
	got := sort(result(t, done))
	if w.streams && slices.Contains([]pgproxy.Action{pgproxy.CloseConn, pgproxy.ResetConn, pgproxy.AnswerError}, c.do) {
		// Reading and writing fail at the same time, and either may be first.
		require.Contains(t, []string{c.err, "reset", "broken pipe", "net closed"}, strings.TrimSuffix(got, ", safe"), name)
	} else {
		require.Equal(t, c.err, got, name)
	}
	rows := map[bool]int{true: w.rows}
	if c.do != pgproxy.CloseConn && c.do != pgproxy.ResetConn {
		require.Equal(t, rows[c.stored == yes], r.written(t, name), name)
	}
	i.Release()
	receive(t, "the end of the request", i.Done())
	require.Equal(t, rows[c.stored != never], r.written(t, name), name)
	require.Equal(t, 1, i.Struck(), name)
	i.Remove()
	require.NoError(t, w.write(t.Context(), r.pool, name+", and again"), "after the fault")
}

// expiring is a context whose deadline comes when the test says so.
type expiring struct {
	context.Context
	expired chan struct{}
}

func (c expiring) Done() <-chan struct{} { return c.expired }

func (c expiring) Err() error {
	select {
	case <-c.expired:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, w := range ways() {
		i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.HoldAnswer})
		ctx := expiring{t.Context(), make(chan struct{})}
		done := async(func() error { return w.write(ctx, r.pool, w.name) })
		receive(t, "the strike", i.Fired())
		close(ctx.expired)
		require.Equal(t, "deadline, timeout", sort(result(t, done)), w.name)
		require.Equal(t, w.rows, r.written(t, w.name))
		i.Remove()
	}
}

func TestConnectFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, c := range []struct {
		do    pgproxy.Action
		error pgproxy.Error
		err   string
	}{
		{pgproxy.CloseConn, pgproxy.Error{}, "unexpected EOF, connect"},
		{pgproxy.ResetConn, pgproxy.Error{}, "reset, connect"},
		{pgproxy.AnswerError, pgproxy.TooManyConnections, "FATAL 53300, connect"},
		{pgproxy.AnswerError, pgproxy.CannotConnectNow, "FATAL 57P03, connect"},
	} {
		i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.Connect, Do: c.do, Error: c.error})
		_, err := pgx.Connect(t.Context(), r.url)
		require.Equal(t, c.err, sort(err))
		receive(t, "the strike", i.Fired())
		receive(t, "the end", i.Done())
	}
	for _, do := range []pgproxy.Action{pgproxy.HoldRequest, pgproxy.FreezeConn, pgproxy.FreezeToServer, pgproxy.FreezeToClient} {
		i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.Connect, Do: do})
		connected := async(func() error {
			conn, err := pgx.Connect(t.Context(), r.url)
			if err == nil {
				err = conn.Close(t.Context())
			}
			return err
		})
		receive(t, "the strike", i.Fired())
		require.Empty(t, connected)
		i.Release()
		require.NoError(t, result(t, connected))
	}
}
