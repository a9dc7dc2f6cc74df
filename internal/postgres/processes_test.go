package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
)

func TestCountWorkers(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	connect := func(name string) *pgx.Conn {
		cfg := pool.Config().ConnConfig.Copy()
		cfg.RuntimeParams["application_name"] = name
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		require.NoError(t, err)
		return conn
	}
	count := func() int {
		n, err := postgres.CountWorkers(t.Context(), pool)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, count())
	one, other := postgres.ProcessName(true), postgres.ProcessName(true)

	a, b, c, web := connect(one), connect(one), connect(other), connect(postgres.ProcessName(false))

	require.Equal(t, 2, count(), "a process counts once, and only if it works jobs")
	require.NoError(t, c.Close(t.Context()))
	require.Eventually(t, func() bool { return count() == 1 }, 10*time.Second, 10*time.Millisecond)
	for _, conn := range []*pgx.Conn{a, b, web} {
		require.NoError(t, conn.Close(t.Context()))
	}
}
