package testdb

import (
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

// HoldBack runs functions at the same time, and ends a transaction once all of them wait
// for a lock, which that transaction holds. It returns when the functions have returned.
func HoldBack(t *testing.T, pool *pgxpool.Pool, held pgx.Tx, list ...func()) {
	t.Helper()

	var all sync.WaitGroup
	for _, f := range list {
		all.Go(f)
	}
	require.Eventually(t, func() bool {
		var waiting int
		err := pool.QueryRow(t.Context(), `
			select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`).Scan(&waiting)
		return err == nil && waiting == len(list)
	}, 15*time.Second, 5*time.Millisecond)
	require.NoError(t, held.Rollback(t.Context()))
	all.Wait()
}
