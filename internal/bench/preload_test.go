package bench

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// newMerchantsDB returns a database with a few merchants.
func newMerchantsDB(t *testing.T) (*pgxpool.Pool, []merchant) {
	t.Helper()

	pool := testdb.New(t)
	all := []merchant{newMerchant(0, 0, 1, 0.1), newMerchant(1, 1, 1, 0.1), newMerchant(2, 2, 5, 0.5)}
	require.NoError(t, pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		return insertMerchants(t.Context(), tx, all, testfactory.Now)
	}))
	return pool, all
}

func count(t *testing.T, pool *pgxpool.Pool, query string) int {
	t.Helper()

	var n int
	require.NoError(t, pool.QueryRow(t.Context(), query).Scan(&n))
	return n
}

func TestHistory(t *testing.T) {
	t.Parallel()

	indexes := `select count(*) from pg_indexes where schemaname = 'public'`

	t.Run("SettledPassesTheAudit", func(t *testing.T) {
		t.Parallel()

		pool, merchants := newMerchantsDB(t)
		before := count(t, pool, indexes)
		h := history{began: testfactory.Now, count: 100, merchants: merchants}

		require.NoError(t, h.load(t.Context(), pool, func(string, int64) {}))

		report, err := postgres.Audit(t.Context(), pool)
		require.NoError(t, err)
		require.Empty(t, report.Findings)
		require.EqualValues(t, 100, report.Transfers)
		w, err := postgres.GetWallet(t.Context(), pool, merchants[0].wallet)
		require.NoError(t, err)
		require.EqualValues(t, 34*preloadAmount, w.Balance)
		require.Equal(t, 100, count(t, pool, `select count(*) from payments where status = 'succeeded'`))
		require.Equal(t, 100, count(t, pool, `select count(*) from stripe_events where status = 'handled'`))
		require.Equal(t, 100, count(t, pool, `select count(*) from river_job where state = 'completed'`))
		require.Equal(t, before, count(t, pool, indexes), "each index is created again")
		requireForeignKeysHold(t, pool)
	})

	t.Run("OpenWaitsForChallenges", func(t *testing.T) {
		t.Parallel()

		pool, merchants := newMerchantsDB(t)
		h := history{began: testfactory.Now, count: 50, merchants: merchants, open: true}

		require.NoError(t, h.load(t.Context(), pool, func(string, int64) {}))

		report, err := postgres.Audit(t.Context(), pool)
		require.NoError(t, err)
		require.Empty(t, report.Findings)
		require.Equal(t, 50, count(t, pool, `select count(*) from payments where status = 'requires_action'`))
		requireForeignKeysHold(t, pool)
	})
}

// requireForeignKeysHold checks all foreign keys by creating them again. COPY has
// skipped the checks.
func requireForeignKeysHold(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()

	rows, _ := pool.Query(t.Context(), `
		select format('alter table %s drop constraint %I', conrelid::regclass, conname),
			format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
		from pg_constraint where contype = 'f'`)
	var drop, add string
	var statements []string
	_, err := pgx.ForEachRow(rows, []any{&drop, &add}, func() error {
		statements = append(statements, drop, add)
		return nil
	})
	require.NoError(t, err)
	require.NotEmpty(t, statements)
	for _, sql := range statements {
		_, err := pool.Exec(context.WithoutCancel(t.Context()), sql)
		require.NoError(t, err, sql)
	}
}

func TestMerchants(t *testing.T) {
	t.Parallel()

	challenged := 0
	for _, m := range newMerchants(0.1)[:wallets] {
		require.Len(t, m.cards, 1)
		if m.cards[0].challenge {
			challenged++
		}
	}
	require.Equal(t, wallets/10, challenged)
	require.False(t, newMerchant(0, 0, 1, 0).cards[0].challenge)
	require.True(t, newMerchant(0, 0, 1, 1).cards[0].challenge)
}

func TestHistoryIDs(t *testing.T) {
	t.Parallel()

	h := history{began: testfactory.Now, count: 1000}
	seen := map[wallet.ID]bool{}
	for n := range h.count {
		for _, id := range []wallet.ID{h.id(n, ofPayment), h.id(n, ofTransaction)} {
			require.False(t, seen[id])
			seen[id] = true
			require.EqualValues(t, 7, id.Version())
		}
	}
	require.Less(t, h.id(h.count-1, ofPayment).String(), wallet.NewID().String(), "preloaded ids are older than new ones")
}
