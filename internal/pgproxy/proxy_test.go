package pgproxy_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestFreezeAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := connect(t, r.url)
	r.proxy.FreezeAll()
	asked := async(func() error { return conn.Ping(t.Context()) })
	connected := async(func() error {
		other, err := pgx.Connect(t.Context(), r.url)
		if err == nil {
			err = other.Close(t.Context())
		}
		return err
	})
	require.Zero(t, r.written(t, "nothing")) // a round trip of another connection
	require.Empty(t, asked)
	require.Empty(t, connected)
	r.proxy.Thaw()
	require.NoError(t, result(t, asked))
	require.NoError(t, result(t, connected))
}

func TestRefuseNew(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := connect(t, r.url)
	r.proxy.RefuseNew(true)
	_, err := pgx.Connect(t.Context(), r.url)
	_, ok := err.(*pgconn.ConnectError) //nolint:errorlint // that very error
	require.True(t, ok, err)
	require.NoError(t, conn.Ping(t.Context()), "an open connection stays open")
	r.proxy.Reset()
	require.NoError(t, connect(t, r.url).Ping(t.Context()))
}

func TestCloseAll(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := connect(t, r.url)
	require.Equal(t, 1, r.proxy.Stats().Open)
	require.Equal(t, 1, r.proxy.Stats().Accepted)
	r.proxy.CloseAll()
	require.Zero(t, r.proxy.Stats().Open)
	require.Error(t, conn.Ping(t.Context()))
}

func TestCloseReleasesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.HoldRequest})
	done := async(func() error {
		_, err := r.pool.Exec(t.Context(), insert, "held", 0)
		return err
	})
	receive(t, "the strike", i.Fired())
	require.NoError(t, r.proxy.Close())
	require.Error(t, result(t, done))
	receive(t, "the end", i.Done())
	require.Zero(t, r.written(t, "held"))
}

func TestDelay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, do := range []pgproxy.Action{pgproxy.HoldRequest, pgproxy.HoldAnswer} {
		i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeCommit, Do: do, Delay: 1})
		_, err := r.pool.Exec(t.Context(), insert, do.String(), 0)
		require.NoError(t, err)
		require.Equal(t, 1, i.Struck())
	}
}

func TestWhichRequests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	conn := connect(t, strings.Replace(r.url, "?", "?application_name=mine&", 1))
	i := r.proxy.Inject(pgproxy.Fault{
		When: pgproxy.BeforeQuery, Do: pgproxy.AnswerError, Error: pgproxy.CompletionUnknown, Times: pgproxy.Always,
		SQL:   "FROM Written",
		Match: func(c pgproxy.ConnInfo) bool { return c.ApplicationName == "mine" && c.User != "" && c.Database != "" },
	})
	const query = "select count(*) from written where part = $1"
	for range 2 {
		_, err := conn.Exec(ctx, query, 1)
		require.Equal(t, "ERROR 40003", sort(err))
		_, err = conn.Exec(ctx, "select count(*) from written")
		require.Equal(t, "ERROR 40003", sort(err))
	}
	require.NoError(t, i.Wait(ctx, 4))
	require.NoError(t, conn.Ping(ctx), "another statement")
	_, err := r.pool.Exec(ctx, query, 1)
	require.NoError(t, err, "another connection")
	i.Remove()
	_, err = conn.Exec(ctx, query, 1)
	require.NoError(t, err)
	require.Equal(t, 4, r.proxy.Stats().Struck[pgproxy.AnswerError])

	// The statements of a whole transaction count for its commit.
	i = r.proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn, SQL: "insert into written"})
	require.NoError(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, query, 1); return err }))
	require.Zero(t, i.Struck())
	require.Error(t, pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, insert, "mine", 1); return err }))
	receive(t, "the strike", i.Fired())
	require.Equal(t, 1, r.written(t, "mine"))
}

// TestErrorInTransaction holds the server's transaction to the state that the error
// would leave it in.
func TestErrorInTransaction(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	conn := connect(t, r.url)
	tx, err := conn.Begin(ctx)
	require.NoError(t, err)
	r.proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeWrite, Do: pgproxy.AnswerError, Error: pgproxy.CompletionUnknown})
	_, err = tx.Exec(ctx, insert, "failed", 0)
	require.Equal(t, "ERROR 40003", sort(err))
	_, err = tx.Exec(ctx, insert, "failed", 1)
	require.Equal(t, "ERROR 25P02", sort(err), "the transaction is aborted")
	require.ErrorIs(t, tx.Commit(ctx), pgx.ErrTxCommitRollback)
	require.NoError(t, conn.Ping(ctx))
	require.Zero(t, r.written(t, "failed"))
}

// TestRefusedCommit holds AfterCommit to commits that the server has made.
func TestRefusedCommit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	_, err := r.direct.Exec(ctx, "create table once (n int unique deferrable initially deferred)")
	require.NoError(t, err)
	i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.CloseConn})
	twice := func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "insert into once select $1::int from generate_series(1, 2)", 7)
		return err
	}
	require.Equal(t, "ERROR 23505", sort(pgx.BeginFunc(ctx, r.pool, twice)))
	_, err = r.pool.Exec(ctx, "insert into once select $1::int from generate_series(1, 2)", 7)
	require.Equal(t, "ERROR 23505", sort(err))
	require.Zero(t, i.Struck())
	_, err = r.pool.Exec(ctx, "insert into once select $1::int", 7)
	require.Equal(t, "unexpected EOF", sort(err))
	receive(t, "the strike", i.Fired())
}

// TestSimpleProtocol writes as programs behind an old pooler do.
func TestSimpleProtocol(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	for _, write := range []func(*pgx.Conn, string) error{
		func(c *pgx.Conn, name string) error { return c.SendBatch(ctx, group(name)).Close() },
		func(c *pgx.Conn, name string) error {
			_, err := c.PgConn().Exec(ctx, "begin; insert into written select '"+name+"', generate_series(1, 20); commit").ReadAll()
			return err
		},
	} {
		for _, when := range []pgproxy.When{pgproxy.BeforeCommit, pgproxy.AfterCommit} {
			config, err := pgx.ParseConfig(r.url)
			require.NoError(t, err)
			config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
			conn, err := pgx.ConnectConfig(ctx, config)
			require.NoError(t, err)
			i := r.proxy.Inject(pgproxy.Fault{When: when, Do: pgproxy.CloseConn})
			r.writes++
			name := fmt.Sprint(r.writes)
			require.Error(t, write(conn, name))
			receive(t, "the strike", i.Fired())
			require.Equal(t, map[pgproxy.When]int{pgproxy.AfterCommit: 20}[when], r.written(t, name))
			_ = conn.Close(ctx)
		}
	}
}

// TestPipeline has several requests under way, of which a fault strikes one.
func TestPipeline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	conn := connect(t, r.url).PgConn()
	i := r.proxy.Inject(pgproxy.Fault{When: pgproxy.AfterCommit, Do: pgproxy.AnswerError, Error: pgproxy.CompletionUnknown, SQL: "'b'"})
	p := conn.StartPipeline(ctx)
	for _, name := range []string{"a", "b", "c"} {
		p.SendQueryParams("insert into written values ('"+name+"', 1)", nil, nil, nil, nil)
		require.NoError(t, p.Sync())
	}
	var answers []string
	for {
		results, err := p.GetResults()
		if err != nil {
			answers = append(answers, sort(err))
			continue
		}
		if results == nil {
			break
		}
		if reader, ok := results.(*pgconn.ResultReader); ok {
			tag, err := reader.Close()
			require.NoError(t, err)
			answers = append(answers, tag.String())
		}
	}
	require.NoError(t, p.Close())
	require.Equal(t, []string{"INSERT 0 1", "ERROR 40003", "INSERT 0 1"}, answers)
	receive(t, "the strike", i.Fired())
	require.Equal(t, 1, r.written(t, "b"))
}

// TestLargeMessages sends more than the proxy holds, both ways.
func TestLargeMessages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	text := strings.Repeat("x", 5<<20)
	var got string
	require.NoError(t, r.pool.QueryRow(ctx, "select $1::text", text).Scan(&got))
	require.Equal(t, text, got)
	require.NoError(t, r.pool.QueryRow(ctx, "select '"+text+"'").Scan(&got))
	require.Equal(t, text, got)
	rows, err := r.pool.Query(ctx, "select n from generate_series(1, 300000) n")
	require.NoError(t, err)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int])
	require.NoError(t, err)
	require.Len(t, numbers, 300000)

	r.proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeCommit, Do: pgproxy.CloseConn})
	_, err = r.pool.Exec(ctx, insert, text, 1)
	require.Equal(t, "unexpected EOF", sort(err))
	r.proxy.Inject(pgproxy.Fault{When: pgproxy.BeforeQuery, Do: pgproxy.AnswerError, Error: pgproxy.CompletionUnknown, SQL: "select 'xx"})
	require.Equal(t, "ERROR 40003", sort(r.pool.QueryRow(ctx, "select '"+text+"'").Scan(&got)))
	require.NoError(t, r.pool.Ping(ctx))
}

func TestCopyOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var out bytes.Buffer
	_, err := connect(t, r.url).PgConn().CopyTo(t.Context(), &out, "copy (select n from generate_series(1, 100000) n) to stdout")
	require.NoError(t, err)
	require.Equal(t, 100000, bytes.Count(out.Bytes(), []byte{'\n'}))
}

func TestNotifications(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	conn := connect(t, r.url)
	_, err := conn.Exec(ctx, "listen news")
	require.NoError(t, err)
	for n := range 3 {
		_, err = r.direct.Exec(ctx, "select pg_notify('news', $1)", fmt.Sprint(n))
		require.NoError(t, err)
		news, err := conn.WaitForNotification(ctx)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(n), news.Payload)
	}
	require.NoError(t, conn.Ping(ctx))
}

func TestCancelRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	conn := connect(t, r.url)
	_, err := r.direct.Exec(ctx, "create table locked ()")
	require.NoError(t, err)
	tx, err := r.direct.Begin(ctx)
	require.NoError(t, err)
	_, err = tx.Exec(ctx, "lock table locked")
	require.NoError(t, err)
	done := async(func() error { _, err := conn.Exec(ctx, "select from locked"); return err })
	for canceled := false; !canceled; {
		// The server ignores one that comes before the statement.
		require.NoError(t, conn.PgConn().CancelRequest(ctx))
		canceled = len(done) > 0
	}
	require.Equal(t, "ERROR 57014", sort(result(t, done)))
	require.NoError(t, tx.Rollback(ctx))
}

func TestURL(t *testing.T) {
	t.Parallel()
	p, err := pgproxy.Start(t.Context(), "127.0.0.1:1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	for _, url := range []string{
		"postgres://me:secret@db.example:6432/books?sslmode=require&application_name=a",
		"postgres:///books?host=/run/postgresql&port=6432&user=me",
		"host=db.example port=6432 user=me dbname=books sslmode=require",
	} {
		config, err := pgxpool.ParseConfig(pgproxy.URL(url, p))
		require.NoError(t, err)
		c := config.ConnConfig
		require.Equal(t, p.Addr(), fmt.Sprintf("%s:%d", c.Host, c.Port))
		require.Equal(t, "me books", c.User+" "+c.Database)
		require.Nil(t, c.TLSConfig)
	}
	_, err = pgx.Connect(t.Context(), pgproxy.URL("postgres://me@x/books", p))
	require.Equal(t, "reset, connect", sort(err), "no server")
}

// TestEncryptionIsDeclined lets a client ask for what it need not have.
func TestEncryptionIsDeclined(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	conn := connect(t, strings.Replace(r.url, "sslmode=disable", "sslmode=prefer", 1))
	require.NoError(t, conn.Ping(t.Context()))
}

func TestInjectPanics(t *testing.T) {
	t.Parallel()
	p, err := pgproxy.Start(t.Context(), "127.0.0.1:1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	for _, f := range []pgproxy.Fault{
		{},
		{When: pgproxy.Connect},
		{When: pgproxy.Connect, Do: pgproxy.AnswerError},
		{When: pgproxy.AfterCommit, Do: pgproxy.HoldRequest},
		{When: pgproxy.Connect, Do: pgproxy.HoldAnswer},
		{When: pgproxy.Connect, Do: pgproxy.CloseConn, SQL: "select"},
	} {
		require.Panics(t, func() { p.Inject(f) })
	}
}

func BenchmarkSelect1(b *testing.B) {
	url := testdb.URL(b, testdb.Empty())
	p, proxied, err := pgproxy.StartURL(b.Context(), url)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, p.Close()) })
	for name, url := range map[string]string{"Direct": url, "Proxied": proxied} {
		b.Run(name, func(b *testing.B) {
			conn, err := pgx.Connect(b.Context(), url)
			require.NoError(b, err)
			defer conn.Close(context.WithoutCancel(b.Context()))
			for b.Loop() {
				_, err := conn.Exec(b.Context(), "select $1::int", 1)
				require.NoError(b, err)
			}
		})
	}
}
