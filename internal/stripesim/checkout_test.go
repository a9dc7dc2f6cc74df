package stripesim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestCheckout(t *testing.T) {
	t.Parallel()

	create := func(t *testing.T, b *bundle, change ...func(*stripe.CheckoutSessionParams)) *stripe.CheckoutSession {
		t.Helper()
		p := &stripe.CheckoutSessionParams{
			CancelURL: new("https://shop.example/cart"),
			Customer:  &b.customer,
			LineItems: []*stripe.CheckoutSessionLineItemParams{{
				PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
					Currency:    new("usd"),
					ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: new("Credits")},
					UnitAmount:  stripe.Int64(500),
				},
				Quantity: stripe.Int64(3),
			}},
			Mode: new("payment"),
			PaymentIntentData: &stripe.CheckoutSessionPaymentIntentDataParams{
				Metadata: map[string]string{"payment_id": "p1"},
			},
			SuccessURL: new("https://shop.example/thanks?session={CHECKOUT_SESSION_ID}"),
		}
		for _, c := range change {
			c(p)
		}
		cs, err := b.client.CheckoutSessions.New(p)
		require.NoError(t, err)
		return cs
	}
	get := func(t *testing.T, b *bundle, id string) *stripe.CheckoutSession {
		t.Helper()
		p := &stripe.CheckoutSessionParams{}
		p.AddExpand("payment_intent")
		p.AddExpand("line_items")
		cs, err := b.client.CheckoutSessions.Get(id, p)
		require.NoError(t, err)
		return cs
	}

	t.Run("PaidOnItsPage", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		require.EqualValues(t, 1500, cs.AmountTotal)
		require.Equal(t, stripe.CheckoutSessionStatusOpen, cs.Status)
		require.Equal(t, stripe.CheckoutSessionPaymentStatusUnpaid, cs.PaymentStatus)
		require.Nil(t, cs.PaymentIntent, "made when the customer pays")
		page := string(b.raw(t, http.MethodGet, cs.URL, "").body)
		require.Contains(t, page, "15.00 usd")
		require.Contains(t, page, "Credits × 3")
		require.NotContains(t, page, "<script")

		a := b.raw(t, http.MethodPost, cs.URL, "card=pm_card_visa")
		require.Equal(t, http.StatusSeeOther, a.status)
		require.Equal(t, "https://shop.example/thanks?session="+cs.ID, a.header.Get("Location"))
		cs = get(t, b, cs.ID)
		require.Equal(t, stripe.CheckoutSessionStatusComplete, cs.Status)
		require.Equal(t, stripe.CheckoutSessionPaymentStatusPaid, cs.PaymentStatus)
		require.Equal(t, "p1", cs.PaymentIntent.Metadata["payment_id"])
		require.EqualValues(t, 1500, cs.PaymentIntent.AmountReceived)
		require.Equal(t, "Credits", cs.LineItems.Data[0].Description)
		require.EqualValues(t, 1500, cs.LineItems.Data[0].AmountTotal)
		require.Equal(t, []string{"checkout.session.completed"}, b.types(cs.ID))
		b.raw(t, http.MethodPost, b.sim.URL+"/c/pay/"+cs.ID, "card=pm_card_visa")
		require.Len(t, b.sim.Charges(false), 1, "paid once")
	})

	t.Run("DeclineThenAnotherCard", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		a := b.raw(t, http.MethodPost, cs.URL, "card=pm_card_chargeDeclinedInsufficientFunds")
		require.Equal(t, http.StatusPaymentRequired, a.status)
		require.Contains(t, string(a.body), "insufficient funds")
		require.Equal(t, http.StatusBadRequest, b.raw(t, http.MethodPost, cs.URL, "card=pm_card_none").status)
		a = b.raw(t, http.MethodPost, cs.URL, "card=pm_card_visa")
		require.Equal(t, http.StatusSeeOther, a.status)
		require.Len(t, b.sim.Intents(false), 1, "both attempts are of one intent")
	})

	t.Run("ChallengeOnTheWay", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		a := b.raw(t, http.MethodPost, cs.URL, "card=pm_card_threeDSecure2Required")
		challenge := a.header.Get("Location")
		require.Contains(t, challenge, "/3d_secure_2/hosted")
		a = b.raw(t, http.MethodPost, challenge, "outcome=succeed")
		back := a.header.Get("Location")
		require.True(t, strings.HasPrefix(back, cs.URL))
		a = b.raw(t, http.MethodGet, back, "")
		require.Equal(t, "https://shop.example/thanks?session="+cs.ID, a.header.Get("Location"))
		require.Equal(t, stripe.CheckoutSessionStatusComplete, get(t, b, cs.ID).Status)
	})

	t.Run("FailedChallengeStaysOnThePage", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		a := b.raw(t, http.MethodPost, cs.URL, "card=pm_card_threeDSecure2Required")
		a = b.raw(t, http.MethodPost, a.header.Get("Location"), "outcome=fail")
		a = b.raw(t, http.MethodGet, a.header.Get("Location"), "")
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, string(a.body), "failed authentication")
		require.Equal(t, stripe.CheckoutSessionStatusOpen, get(t, b, cs.ID).Status)
	})

	t.Run("ExpiresAfterADay", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		b.raw(t, http.MethodPost, cs.URL, "card=pm_card_chargeDeclined")
		b.sim.Advance(24 * time.Hour)
		after := get(t, b, cs.ID)
		require.Equal(t, stripe.CheckoutSessionStatusExpired, after.Status)
		require.Empty(t, after.URL)
		require.Equal(t, stripe.PaymentIntentStatusCanceled, after.PaymentIntent.Status)
		require.Equal(t, []string{"checkout.session.expired"}, b.types(cs.ID))
		b.raw(t, http.MethodPost, cs.URL, "card=pm_card_visa")
		require.Equal(t, stripe.CheckoutSessionStatusExpired, get(t, b, cs.ID).Status)
	})

	t.Run("ExpiredOnDemand", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		b.raw(t, http.MethodPost, cs.URL, "card=pm_card_chargeDeclined")
		intent := get(t, b, cs.ID).PaymentIntent.ID
		require.Error(t, b.operate(intent, "Cancel"), "a session's intent cannot be canceled directly")
		_, err := b.client.CheckoutSessions.Expire(cs.ID, nil)
		require.NoError(t, err)
		require.Equal(t, stripesim.StatusCanceled, b.sim.MustIntent(intent).Status)
		_, err = b.client.CheckoutSessions.Expire(cs.ID, nil)
		require.Error(t, err)
	})

	t.Run("ProcessingIsPaidLater", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		cs := create(t, b)
		b.raw(t, http.MethodPost, cs.URL, "card=pm_card_simProcessing")
		after := get(t, b, cs.ID)
		require.Equal(t, stripe.CheckoutSessionStatusComplete, after.Status)
		require.Equal(t, stripe.CheckoutSessionPaymentStatusUnpaid, after.PaymentStatus)
		b.sim.Advance(time.Minute)
		require.Equal(t, stripe.CheckoutSessionPaymentStatusPaid, get(t, b, cs.ID).PaymentStatus)
		require.Equal(t, []string{"checkout.session.completed", "checkout.session.async_payment_succeeded"}, b.types(cs.ID))
	})

	t.Run("Lists", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		first, second := create(t, b), create(t, b)
		b.raw(t, http.MethodPost, first.URL, "card=pm_card_visa")
		it := b.client.CheckoutSessions.List(&stripe.CheckoutSessionListParams{Customer: &b.customer})
		require.True(t, it.Next())
		require.Equal(t, second.ID, it.CheckoutSession().ID)
		intent := get(t, b, first.ID).PaymentIntent.ID
		it = b.client.CheckoutSessions.List(&stripe.CheckoutSessionListParams{PaymentIntent: &intent})
		require.True(t, it.Next())
		require.Equal(t, first.ID, it.CheckoutSession().ID)
		require.False(t, it.Next())
		items := b.client.CheckoutSessions.ListLineItems(&stripe.CheckoutSessionListLineItemsParams{Session: &first.ID})
		require.True(t, items.Next())
		require.EqualValues(t, 3, items.LineItem().Quantity)
	})

	t.Run("Refusals", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for name, change := range map[string]func(*stripe.CheckoutSessionParams){
			"Mode":         func(p *stripe.CheckoutSessionParams) { p.Mode = new("subscription") },
			"NoItems":      func(p *stripe.CheckoutSessionParams) { p.LineItems = nil },
			"NoSuccessURL": func(p *stripe.CheckoutSessionParams) { p.SuccessURL = nil },
			"TooSmall":     func(p *stripe.CheckoutSessionParams) { p.LineItems[0].PriceData.UnitAmount = stripe.Int64(1) },
			"UnknownPrice": func(p *stripe.CheckoutSessionParams) {
				p.LineItems[0] = &stripe.CheckoutSessionLineItemParams{Price: new("price_none")}
			},
			"ExpiresTooSoon":  func(p *stripe.CheckoutSessionParams) { p.ExpiresAt = new(noon.Unix() + 60) },
			"UnknownCustomer": func(p *stripe.CheckoutSessionParams) { p.Customer = new("cus_none") },
		} {
			p := &stripe.CheckoutSessionParams{
				LineItems: []*stripe.CheckoutSessionLineItemParams{{PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
					Currency: new("usd"), UnitAmount: stripe.Int64(500),
					ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: new("Credits")},
				}}},
				Mode: new("payment"), SuccessURL: new("https://shop.example/thanks"),
			}
			change(p)
			_, err := b.client.CheckoutSessions.New(p)
			require.Equal(t, http.StatusBadRequest, asStripe(t, err).HTTPStatusCode, name)
		}
		require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodGet, "/c/pay/cs_test_none", "").status)
		require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodPost, "/c/pay/cs_test_none", "card=pm_card_visa").status)
	})
}
