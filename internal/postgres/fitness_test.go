package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/pgproxy"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

// with adds an option to a database's address.
func with(url, option string) string {
	if strings.Contains(url, "?") {
		return url + "&" + option
	}
	return url + "?" + option
}

func TestOpenPoolRefusesExecModes(t *testing.T) {
	t.Parallel()

	url := testdb.URL(t)
	for mode, works := range map[string]bool{
		"cache_statement": true, "cache_describe": true, "describe_exec": true, "exec": false, "simple_protocol": false,
	} {
		address := with(url, "default_query_exec_mode="+mode)
		pool, err := postgres.OpenPool(t.Context(), postgres.PoolOptions{URL: address})
		if works {
			require.NoError(t, err)
			require.NoError(t, postgres.CheckURL(address))
			require.NoError(t, postgres.CheckSessions(t.Context(), pool))
			require.NoError(t, postgres.Beat(t.Context(), pool, "here", time.Now()))
			pool.Close()
			continue
		}
		require.ErrorContains(t, err, "default_query_exec_mode="+mode)
		require.ErrorContains(t, postgres.CheckURL(address), "Remove it from the address.")
	}
}

func TestOpenPoolSetsTimeouts(t *testing.T) {
	t.Parallel()

	direct := testdb.New(t)
	_, err := direct.Exec(t.Context(), `
		do $$ begin execute format('alter database %I set statement_timeout = 20000', current_database()); end $$`)
	require.NoError(t, err)
	pool, err := postgres.OpenPool(t.Context(), postgres.PoolOptions{URL: direct.Config().ConnString()})
	require.NoError(t, err)
	defer pool.Close()

	for name, want := range map[string]string{
		"idle_in_transaction_session_timeout": "10s", "lock_timeout": "500ms", "statement_timeout": "0",
	} {
		var value string
		require.NoError(t, pool.QueryRow(t.Context(), `select current_setting($1)`, name).Scan(&value))
		require.Equal(t, want, value, name)
	}
}

// A connection whose server has become read-only is replaced, because it may lead to a
// former primary.
func TestPoolReplacesDemotedConnections(t *testing.T) {
	t.Parallel()

	proxy, url, err := pgproxy.StartURL(t.Context(), testdb.URL(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, proxy.Close()) }()
	pool, err := postgres.OpenPool(t.Context(), postgres.PoolOptions{URL: url, MaxConns: 1})
	require.NoError(t, err)
	defer pool.Close()
	backend := func() (pid int32) {
		require.NoError(t, pool.QueryRow(t.Context(), `select pg_backend_pid()`).Scan(&pid))
		return pid
	}
	require.NoError(t, postgres.Beat(t.Context(), pool, "here", time.Now()))
	before := backend()
	require.Equal(t, before, backend())
	proxy.Inject(pgproxy.Fault{
		When: pgproxy.BeforeWrite, Do: pgproxy.AnswerError, SQL: "insert into heartbeats",
		Error: pgproxy.Error{Severity: "ERROR", Code: "25006", Message: "cannot execute INSERT in a read-only transaction"},
	})

	require.Error(t, postgres.Beat(t.Context(), pool, "here", time.Now()))

	require.NotEqual(t, before, backend())
	require.NoError(t, postgres.Beat(t.Context(), pool, "here", time.Now()))
}

func TestDeleteHeartbeats(t *testing.T) {
	t.Parallel()

	pool, now := testdb.New(t), time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	require.NoError(t, postgres.Beat(t.Context(), pool, "old", now.Add(-time.Minute)))
	require.NoError(t, postgres.Beat(t.Context(), pool, "new", now))
	require.NoError(t, postgres.Beat(t.Context(), pool, "new", now.Add(-time.Hour)), "a clock may go back")

	n, err := postgres.DeleteHeartbeats(t.Context(), pool, now, 10)

	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	var left string
	require.NoError(t, pool.QueryRow(t.Context(), `select string_agg(process, ' ') from heartbeats`).Scan(&left))
	require.Equal(t, "new", left)
}
