package jobs_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/testfactory"
)

func TestAccept(t *testing.T) {
	t.Parallel()

	t.Run("RepeatedPaymentIsStoredOnce", func(t *testing.T) {
		t.Parallel()

		// When the answer to a commit is lost, the caller sends the same payment again.
		// An error would make it pay twice.
		b := enginetest.New(t, enginetest.Options{})
		m := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
		p := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m})

		for range 2 {
			accepted, err := b.Engine.Accept(t.Context(), p)
			require.NoError(t, err)
			require.True(t, accepted)
		}

		rows, _ := b.Pool.Query(t.Context(), `select (select count(*) from payments) as payments, (select count(*) from river_job) as jobs`)
		type counts struct{ Payments, Jobs int }
		n, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[counts])
		require.NoError(t, err)
		require.Equal(t, counts{Payments: 1, Jobs: 1}, n)
	})
}
