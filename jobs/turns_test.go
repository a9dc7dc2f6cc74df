package jobs_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestOrganizationsTakeTurns funds one payment of a merchant after many of another one.
// Under a rate limit, the one payment must not wait for all the others.
func TestOrganizationsTakeTurns(t *testing.T) {
	t.Parallel()

	const (
		perSecond = 8
		burst     = 40 // five seconds' worth
	)
	w := enginetest.NewWorld(t, func(_ *enginetest.World, cfg *stripeapi.Config) {
		cfg.Limiter = stripeapi.NewFairLimiter(perSecond)
	})
	busy := w.Merchant
	small := testfactory.NewMerchant(t, w.Pool, testfactory.MerchantOpts{})
	_, err := w.Sim.CreateCustomer(stripesim.NewCustomer{ID: small.Customer.StripeCustomerID})
	require.NoError(t, err)
	card := w.Card("pm_card_visa")
	w.Merchant = small
	smallCard := w.Card("pm_card_visa")

	w.Merchant = busy
	for range burst {
		w.Fund(card)
	}
	w.Merchant = small
	w.Await(w.Fund(smallCard), wallet.PaymentSucceeded)

	var open int
	require.NoError(t, w.Pool.QueryRow(t.Context(), `
		select count(*) from payments where organization_id = $1 and next_check_at is not null`, busy.Organization.ID).Scan(&open))
	require.Greater(t, open, burst/4)
}
