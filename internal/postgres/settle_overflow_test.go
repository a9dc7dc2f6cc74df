package postgres_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testdb"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// A purchase is accepted when its amount fits beside the balance of that moment. Grants
// may fill the wallet before it is settled.
func TestSettleIntoFullWallet(t *testing.T) {
	t.Parallel()

	pool := testdb.New(t)
	m := testfactory.NewMerchant(t, pool, testfactory.MerchantOpts{})
	p := testfactory.Payment(t, pool, testfactory.PaymentOpts{Merchant: m, Status: wallet.PaymentProcessing})
	grant := into(m)
	grant.Granted = dec(wallet.FormatMinor(math.MaxInt64-100, wallet.USD))
	mustTopUp(t, pool, grant)

	applied, err := postgres.ApplyOutcomes(t.Context(), pool, []wallet.Settlement{settlement(p.ID, outcomes(p, p.StripePaymentIntentID)[wallet.PaymentSucceeded])})

	t.Log(err, applied)
	w, err := postgres.GetWallet(t.Context(), pool, m.Wallet.ID)
	require.NoError(t, err)
	t.Log(w.Balance, w.CreditsBalance)
	report, err := postgres.Audit(t.Context(), pool)
	require.NoError(t, err)
	t.Log(report.Findings)
	require.Empty(t, report.Findings)
	require.Positive(t, w.Balance)
}
