package stripesim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestCharges(t *testing.T) {
	t.Parallel()

	b := setup(t)
	declined, _ := b.pay(t, "pm_card_chargeCustomerFail", func(p *stripe.PaymentIntentParams) { p.TransferGroup = new("g") })
	require.NoError(t, b.operate(declined.ID, "Confirm"))
	other := b.paid(t, "pm_card_visa")

	ids := func(p *stripe.ChargeListParams) []string {
		var out []string
		it := b.client.Charges.List(p)
		for it.Next() {
			out = append(out, it.Charge().PaymentIntent.ID+" "+string(it.Charge().Status))
		}
		require.NoError(t, it.Err())
		return out
	}
	both := []string{declined.ID + " succeeded", declined.ID + " failed"}
	require.Equal(t, both, ids(&stripe.ChargeListParams{PaymentIntent: &declined.ID}))
	require.Equal(t, both, ids(&stripe.ChargeListParams{TransferGroup: new("g")}))
	require.Len(t, ids(&stripe.ChargeListParams{Customer: &b.customer}), 3)
	require.Empty(t, ids(&stripe.ChargeListParams{Customer: new("cus_other")}))

	p := &stripe.ChargeParams{Description: new("told later")}
	p.AddMetadata("k", "v")
	charge, err := b.client.Charges.Update(other.LatestCharge.ID, p)
	require.NoError(t, err)
	require.Equal(t, "told later", charge.Description)
	require.Equal(t, "v", charge.Metadata["k"])
	require.Empty(t, b.retrieve(t, other.ID).Metadata, "the intent's metadata are its own")
	_, err = b.client.Charges.Get("ch_none", nil)
	require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)
	_, err = b.client.Charges.Update("ch_none", p)
	require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)

	_, err = b.refund(other.ID, 10)
	require.NoError(t, err)
	a := b.raw(t, http.MethodGet, "/v1/charges/"+other.LatestCharge.ID+"/refunds", "")
	require.Len(t, a.json(t)["data"], 1)
	it := b.client.BalanceTransactions.List(&stripe.BalanceTransactionListParams{Type: new("refund")})
	require.True(t, it.Next())
	require.EqualValues(t, -10, it.BalanceTransaction().Amount)
	require.False(t, it.Next())
}

func TestBlockedByRadar(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pi, err := b.pay(t, "pm_card_radarBlock")
	require.EqualValues(t, "fraudulent", err.DeclineCode)
	charge, getErr := b.client.Charges.Get(pi.LatestCharge.ID, nil)
	require.NoError(t, getErr)
	require.Equal(t, "blocked", charge.Outcome.Type)
	require.Equal(t, "not_sent_to_network", charge.Outcome.NetworkStatus)
	require.Equal(t, "highest", charge.Outcome.RiskLevel)
}

func TestIntentUpdates(t *testing.T) {
	t.Parallel()

	update := func(b *bundle, id string, p *stripe.PaymentIntentParams) (*stripe.PaymentIntent, *stripe.Error) {
		pi, err := b.client.PaymentIntents.Update(id, p)
		if err != nil {
			return nil, asStripe(t, err)
		}
		return pi, nil
	}

	t.Run("PaymentMethodMakesItConfirmable", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.inStatus(t, stripesim.StatusRequiresPaymentMethod)
		pi, err := update(b, pi.ID, &stripe.PaymentIntentParams{PaymentMethod: new("pm_card_visa")})
		require.Nil(t, err)
		require.Equal(t, stripe.PaymentIntentStatusRequiresConfirmation, pi.Status)
		require.NotEqual(t, "pm_card_visa", pi.PaymentMethod.ID)
		a := b.raw(t, http.MethodPost, "/v1/payment_intents/"+pi.ID, "payment_method=")
		require.Equal(t, "requires_payment_method", a.json(t)["status"])
	})

	t.Run("ForgetsTheLastError", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, _ := b.pay(t, "pm_card_chargeCustomerFail")
		require.NotNil(t, pi.LastPaymentError)
		pi, err := update(b, pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(1200), Currency: new("eur")})
		require.Nil(t, err)
		require.Nil(t, pi.LastPaymentError)
		require.EqualValues(t, 1200, pi.Amount)
		require.EqualValues(t, "eur", pi.Currency)
	})

	t.Run("ChallengeForAnotherAmountIsInvalid", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.inStatus(t, stripesim.StatusRequiresAction)
		page := pi.NextAction.RedirectToURL.URL
		pi, err := update(b, pi.ID, &stripe.PaymentIntentParams{Amount: stripe.Int64(5000)})
		require.Nil(t, err)
		require.Nil(t, pi.NextAction)
		b.raw(t, http.MethodPost, page, "outcome=succeed")
		require.Equal(t, stripesim.StatusRequiresConfirmation, b.sim.MustIntent(pi.ID).Status)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.inStatus(t, stripesim.StatusRequiresConfirmation)
		for name, tt := range map[string]struct {
			p    stripe.PaymentIntentParams
			code string
		}{
			"AmountTooSmall":    {stripe.PaymentIntentParams{Amount: stripe.Int64(1)}, "amount_too_small"},
			"Currency":          {stripe.PaymentIntentParams{Currency: new("xxx")}, ""},
			"Customer":          {stripe.PaymentIntentParams{Customer: new(b.sim.Customer())}, ""},
			"Method":            {stripe.PaymentIntentParams{PaymentMethod: new("pm_none")}, "resource_missing"},
			"OfAnotherCustomer": {stripe.PaymentIntentParams{PaymentMethod: new(b.sim.Card(b.sim.Customer(), "pm_card_visa"))}, "resource_missing"},
			"Types":             {stripe.PaymentIntentParams{PaymentMethodTypes: stripe.StringSlice([]string{"carrier_pigeon"})}, ""},
		} {
			_, err := update(b, pi.ID, &tt.p)
			require.NotNil(t, err, name)
			require.Equal(t, http.StatusBadRequest, err.HTTPStatusCode, name)
			require.Equal(t, tt.code, string(err.Code), name)
		}
		_, err := update(b, "pi_none", &stripe.PaymentIntentParams{Amount: stripe.Int64(1000)})
		require.Equal(t, http.StatusNotFound, err.HTTPStatusCode)
		require.Equal(t, "intent", err.Param)
		require.Equal(t, "1000", b.raw(t, http.MethodGet, "/v1/payment_intents/"+pi.ID, "").text(t, "amount"))
	})

	t.Run("CustomerCanBeSetLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi, err := b.client.PaymentIntents.New(&stripe.PaymentIntentParams{Amount: stripe.Int64(1000), Currency: new("usd")})
		require.NoError(t, err)
		b.sim.Advance(time.Minute)
		later := b.inStatus(t, stripesim.StatusRequiresConfirmation)
		_, stripeErr := update(b, pi.ID, &stripe.PaymentIntentParams{Customer: &b.customer})
		require.Nil(t, stripeErr)
		require.Equal(t, []string{later.ID, pi.ID}, b.list(t, &stripe.PaymentIntentListParams{Customer: &b.customer}), "in order of creation")
	})

	t.Run("Shipping", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		pi := b.inStatus(t, stripesim.StatusRequiresPaymentMethod)
		pi, err := update(b, pi.ID, &stripe.PaymentIntentParams{
			ReceiptEmail: new("ada@example.com"), StatementDescriptorSuffix: new("FUNDS"),
			Shipping: &stripe.ShippingDetailsParams{
				Address: &stripe.AddressParams{Line1: new("1 <High> Street & Co")}, Name: new("Ada"),
			},
		})
		require.Nil(t, err)
		require.Equal(t, "ada@example.com", pi.ReceiptEmail)
		require.Equal(t, "FUNDS", pi.StatementDescriptorSuffix)
		require.Equal(t, "1 <High> Street & Co", pi.Shipping.Address.Line1)
	})
}

// TestFaultsFindTheirIntent matches requests and events that name only another
// object of the intent.
func TestFaultsFindTheirIntent(t *testing.T) {
	t.Parallel()

	match := stripesim.Match{Metadata: map[string]string{"payment_id": "p1"}}
	requests := map[string]func(b *bundle, pi *stripe.PaymentIntent) string{
		"Refund":  func(_ *bundle, pi *stripe.PaymentIntent) string { return "/v1/refunds?payment_intent=" + pi.ID },
		"Charge":  func(_ *bundle, pi *stripe.PaymentIntent) string { return "/v1/charges/" + pi.LatestCharge.ID },
		"Dispute": func(b *bundle, _ *stripe.PaymentIntent) string { return "/v1/disputes/" + b.sim.Disputes(false)[0].ID },
		"Intent":  func(_ *bundle, pi *stripe.PaymentIntent) string { return "/v1/payment_intents/" + pi.ID },
	}
	for name, path := range requests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			b := setup(t)
			pi := b.paid(t, "pm_card_visa", withMetadata("payment_id", "p1"))
			_, err := b.sim.OpenDispute(pi.ID, stripesim.DisputeOptions{Inquiry: true})
			require.NoError(t, err)
			other := b.paid(t, "pm_card_visa", withMetadata("payment_id", "p2"))
			id := b.sim.Fault(stripesim.Fault{Kind: stripesim.FaultStatus, Status: 503, Match: match})
			require.Equal(t, 503, b.raw(t, http.MethodGet, path(b, pi), "").status)
			require.Equal(t, 200, b.raw(t, http.MethodGet, "/v1/payment_intents/"+other.ID, "").status)
			require.Equal(t, 1, b.sim.Applied(id))
		})
	}

	t.Run("Events", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		id := b.sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookDrop, Match: match})
		pi := b.paid(t, "pm_card_refundFail", withMetadata("payment_id", "p1"))
		refund, err := b.refund(pi.ID, 100)
		require.NoError(t, err)
		_, err = b.sim.EndRefund(refund.ID, "failed")
		require.NoError(t, err)
		d, err := b.sim.OpenDispute(pi.ID, stripesim.DisputeOptions{})
		require.NoError(t, err)
		_, err = b.sim.ResolveDispute(d.ID, true)
		require.NoError(t, err)
		b.sim.Drain()
		require.Len(t, r.all("customer.created", "payment_method.attached"), 2)
		require.Len(t, r.all(), 2, "every event of the payment is lost")
		require.Equal(t, len(b.sim.Events(false))-2, b.sim.Applied(id))
	})
}

func TestEndpointUpdate(t *testing.T) {
	t.Parallel()

	b := setup(t)
	ep, err := b.client.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		EnabledEvents: stripe.StringSlice([]string{"*"}), URL: new("http://127.0.0.1:1"),
	})
	require.NoError(t, err)
	p := &stripe.WebhookEndpointParams{
		Description: new("moved"), EnabledEvents: stripe.StringSlice([]string{"charge.*"}), URL: new("http://127.0.0.1:2"),
	}
	p.AddMetadata("k", "v")
	ep, err = b.client.WebhookEndpoints.Update(ep.ID, p)
	require.NoError(t, err)
	require.Equal(t, "http://127.0.0.1:2", ep.URL)
	require.Equal(t, []string{"charge.*"}, ep.EnabledEvents)
	require.Equal(t, "v", ep.Metadata["k"])
	_, err = b.client.WebhookEndpoints.Update(ep.ID, &stripe.WebhookEndpointParams{URL: new("no address")})
	require.Error(t, err)
	_, err = b.client.WebhookEndpoints.Update("we_none", p)
	require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)
}
