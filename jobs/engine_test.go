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

	t.Run("SamePaymentAgainIsTheSamePayment", func(t *testing.T) {
		t.Parallel()

		// A group was committed and the answer got lost: its members are written
		// again, one by one. Were that an error, the caller would pay again.
		b := enginetest.New(t, enginetest.Options{})
		m := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
		p := testfactory.NewPayment(testfactory.PaymentOpts{Merchant: m})

		for range 2 {
			accepted, err := b.Engine.Accept(t.Context(), p)
			require.NoError(t, err)
			require.True(t, accepted)
		}

		rows, _ := b.Pool.Query(t.Context(), `select (select count(*) from payments), (select count(*) from river_job)`)
		type counts struct{ Payments, Jobs int }
		n, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[counts])
		require.NoError(t, err)
		require.Equal(t, counts{Payments: 1, Jobs: 1}, n)
	})
}
