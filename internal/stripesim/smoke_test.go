package stripesim_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

func TestSmoke(t *testing.T) {
	t.Parallel()
	sim := simtest.New(t)
	sc := sim.Client()
	cus := sim.Customer()
	pm := sim.Card(cus, "pm_card_visa")
	params := &stripe.PaymentIntentParams{
		Amount: stripe.Int64(1000), Currency: stripe.String("usd"), Confirm: stripe.Bool(true),
		Customer: &cus, PaymentMethod: &pm, PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
		ReturnURL: stripe.String("https://example.com/back?x=1"),
	}
	params.AddMetadata("payment_id", "p1")
	params.AddExpand("latest_charge.balance_transaction")
	params.SetIdempotencyKey("k1")
	pi, err := sc.PaymentIntents.New(params)
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusSucceeded, pi.Status)
	require.EqualValues(t, 1000, pi.LatestCharge.BalanceTransaction.Amount)
	t.Log(string(pi.LastResponse.RawJSON))
	again, err := sc.PaymentIntents.New(params)
	require.NoError(t, err)
	require.Equal(t, pi.ID, again.ID)
	require.Equal(t, "true", again.LastResponse.Header.Get("Idempotent-Replayed"))
	require.Len(t, sim.Events(false, "payment_intent.*"), 2)

	pm3 := sim.Card(cus, "pm_card_authenticationRequired")
	params.PaymentMethod = &pm3
	params.SetIdempotencyKey("k2")
	pi, err = sc.PaymentIntents.New(params)
	require.NoError(t, err)
	require.Equal(t, stripe.PaymentIntentStatusRequiresAction, pi.Status)
	require.Contains(t, pi.NextAction.RedirectToURL.URL, pi.ID)
	require.Equal(t, "succeeded", sim.Challenge(pi.ID, true))
}
