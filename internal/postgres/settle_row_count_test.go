package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// A statement that does not change the rows that it was given is a fault of ours, and
// nothing may be stored (writes.go). The statements and the commit are sent together.
func TestSettleStoresNothingWhenAStatementMissesItsRow(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentProcessing})
	_, err := pool.Exec(t.Context(), `
		create function skip() returns trigger language plpgsql as 'begin return null; end';
		create trigger skip before update on wallets for each row execute function skip()`)
	require.NoError(t, err)

	_, err = postgres.ApplyOutcomes(t.Context(), pool, []wallet.Settlement{settlement(p.ID, outcomes(p, p.StripePaymentIntentID)[wallet.PaymentSucceeded])})

	require.ErrorContains(t, err, "balances: ")
	require.ErrorContains(t, err, "wrong number of rows: 0 instead of 1")
	require.False(t, postgres.InDoubt(err), "the server refused it inside the transaction")
	require.False(t, postgres.Unavailable(err))
	after, err := postgres.GetPayment(t.Context(), pool, p.ID)
	require.NoError(t, err)
	require.Equal(t, wallet.PaymentProcessing, after.Status)
	report, err := postgres.Audit(t.Context(), pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}
