package postgres_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// A plan that was made when there was no payment yet must still find one by its
// id when there are many.
func TestEventsFindTheirPaymentWithoutReadingAll(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t, testdb.MaxConns(1))
	_, err := pool.Exec(t.Context(), `
		select set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false)`)
	require.NoError(t, err)
	n := 0
	store := func(p wallet.Payment) {
		n++
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := postgres.StoreEvents(t.Context(), tx, []postgres.Event{{
				ID: fmt.Sprintf("evt_%d", n), Mode: p.Mode, Type: "payment_intent.succeeded", Status: postgres.EventPending,
				StripePaymentIntentID: "pi_unknown", PaymentID: p.ID, Source: "webhook", Body: []byte("{}"), CreatedAt: now, ReceivedAt: now,
			}}, []bool{true}, time.Minute, nil)
			return err
		})
		require.NoError(t, err)
		found, err := postgres.FindEvents(t.Context(), pool, []string{fmt.Sprintf("evt_%d", n)})
		require.NoError(t, err)
		require.Equal(t, p.ID != wallet.ID{}, found[0].Payment != nil)
		_, err = postgres.FindPayment(t.Context(), pool, p.Mode, "pi_unknown", p.ID)
		require.Equal(t, p.ID == wallet.ID{}, wallet.HasCode(err, wallet.CodePaymentNotFound), err)
		_, err = postgres.PaymentsOfIntents(t.Context(), pool, p.Mode, []string{"pi_unknown"}, []wallet.ID{p.ID})
		require.NoError(t, err)
	}
	store(wallet.Payment{Mode: wallet.ModeTest}) // with this, the statements are planned
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	var last wallet.Payment
	for range 20 {
		last = testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentSucceeded})
	}

	for range 20 {
		store(last)
	}

	var read int64
	_, err = pool.Exec(t.Context(), `select pg_stat_force_next_flush()`)
	require.NoError(t, err)
	require.NoError(t, pool.QueryRow(t.Context(), `
		select idx_tup_read from pg_stat_user_indexes where indexrelname = 'payments_list'`).Scan(&read))
	require.Zero(t, read)
}
