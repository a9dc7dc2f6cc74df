package jobs_test

import (
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
)

// rowsIn counts the rows of tables.
func rowsIn(t *testing.T, w *enginetest.World, tables ...string) map[string]int {
	t.Helper()

	counts := map[string]int{}
	for _, table := range tables {
		var n int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n))
		counts[table] = n
	}
	return counts
}

func TestDeleteOldRows(t *testing.T) {
	t.Parallel()

	kept := []string{
		"payments", "wallet_transactions", "transfers", "payment_moves", "merchant_event_sequences", "accounts", "wallets", "webhook_endpoints",
	}
	gone := []string{"stripe_events", "merchant_events", "deliveries", "delivery_attempts"}

	t.Run("OldRowsThatNoBalanceDependsOn", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		endpoint(t, w, m, testfactory.EndpointOpts{})
		w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)
		m.await(t, 1)
		w.AwaitQuiet()
		awaitQuiet(t, w)
		before := rowsIn(t, w, append(gone, kept...)...)
		for table, n := range before {
			require.NotZero(t, n, table)
		}

		w.Clock.Advance(29 * 24 * time.Hour)
		require.Equal(t, rivertype.JobStateCompleted, w.Work(jobs.DeleteOldRowsArgs{}).State)
		require.Equal(t, before, rowsIn(t, w, append(gone, kept...)...), "no row is old")

		w.Clock.Advance(62 * 24 * time.Hour)
		w.Work(jobs.DeleteOldRowsArgs{})

		for table, n := range rowsIn(t, w, gone...) {
			require.Zero(t, n, table)
		}
		for table, n := range rowsIn(t, w, kept...) {
			require.Equal(t, before[table], n, table)
		}
		w.RequireBooksBalance()

		// A repeated event is new after its deletion, and changes nothing.
		event := w.Sim.Events(false, "payment_intent.succeeded")[0].ID
		require.NoError(t, w.Sim.Replay([]string{event}, stripesim.ReplayOptions{}))
		w.AwaitEvent(event)
		w.AwaitQuiet()
		require.EqualValues(t, 25_00, w.Balance())
		w.RequireBooksBalance()
	})

	t.Run("PausesAfterItsTimeLimit", func(t *testing.T) {
		t.Parallel()

		w := enginetest.NewWorld(t)
		_, err := w.Pool.Exec(t.Context(), `insert into sessions (token, data, expiry) select i, '', now() - interval '1 day' from generate_series(1, 5) i`)
		require.NoError(t, err)

		done, err := w.Engine.DeleteOldRows(t.Context(), -time.Second, 2)
		require.NoError(t, err)
		require.False(t, done)
		require.Equal(t, 5, rowsIn(t, w, "sessions")["sessions"])
		done, err = w.Engine.DeleteOldRows(t.Context(), time.Minute, 2)
		require.NoError(t, err)
		require.True(t, done)
		require.Zero(t, rowsIn(t, w, "sessions")["sessions"])
	})
}
