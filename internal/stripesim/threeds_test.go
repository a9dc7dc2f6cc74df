package stripesim_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

func TestChallengePage(t *testing.T) {
	t.Parallel()

	challenge := func(t *testing.T, card string) (*bundle, *stripe.PaymentIntent, string) {
		t.Helper()
		b := setup(t)
		pi, err := b.pay(t, card)
		require.Nil(t, err)
		require.Equal(t, stripe.PaymentIntentNextActionTypeRedirectToURL, pi.NextAction.Type)
		require.Equal(t, returnURL, pi.NextAction.RedirectToURL.ReturnURL)
		return b, pi, pi.NextAction.RedirectToURL.URL
	}

	t.Run("AddressIsShapedLikeStripes", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		u, err := url.Parse(page)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(page, b.sim.URL+"/3d_secure_2/hosted?"))
		require.Equal(t, pi.ID, u.Query().Get("payment_intent"))
		require.Equal(t, pi.ClientSecret, u.Query().Get("payment_intent_client_secret"))
		for _, name := range []string{"merchant", "publishable_key", "source"} {
			require.NotEmpty(t, u.Query().Get(name))
		}
	})

	t.Run("ShowsAmountAndTwoButtonsAndNoScript", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		a := b.raw(t, http.MethodGet, page, "")
		body := string(a.body)
		require.Equal(t, http.StatusOK, a.status)
		require.Contains(t, body, "10.00 usd")
		require.Contains(t, body, pi.ID)
		require.Equal(t, 2, strings.Count(body, "<form method=\"post\">"))
		require.Contains(t, body, `name="outcome" value="succeed"`)
		require.Contains(t, body, `name="outcome" value="fail"`)
		require.NotContains(t, body, "<script")
		require.Equal(t, stripesim.StatusRequiresAction, b.sim.MustIntent(pi.ID).Status, "reading the page changes nothing")
	})

	t.Run("CompleteSettlesAndRedirects", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		a := b.raw(t, http.MethodPost, page, "outcome=succeed")
		require.Equal(t, http.StatusSeeOther, a.status)
		location := a.header.Get("Location")
		require.True(t, strings.HasPrefix(location, returnURL+"&"), "the address keeps its own query: %s", location)
		q := simtest.ReturnQuery(t, location)
		require.Equal(t, "7", q.Get("order"))
		require.Equal(t, pi.ID, q.Get("payment_intent"))
		require.Equal(t, pi.ClientSecret, q.Get("payment_intent_client_secret"))
		require.Equal(t, "succeeded", q.Get("redirect_status"))

		after := b.retrieve(t, pi.ID)
		require.Equal(t, stripe.PaymentIntentStatusSucceeded, after.Status)
		charge, err := b.client.Charges.Get(after.LatestCharge.ID, nil)
		require.NoError(t, err)
		require.EqualValues(t, "authenticated", charge.PaymentMethodDetails.Card.ThreeDSecure.Result)
		require.Equal(t, []string{
			"payment_intent.created", "payment_intent.requires_action", "charge.succeeded", "payment_intent.succeeded",
		}, b.types(pi.ID, charge.ID))
		for _, ev := range b.sim.Events(false, "payment_intent.succeeded") {
			require.Contains(t, string(ev.Body), `"request":{"id":null,"idempotency_key":null}`, "no request of ours caused it")
		}
	})

	t.Run("FailOpensTheIntentAgain", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		a := b.raw(t, http.MethodPost, page, "outcome=fail")
		require.Equal(t, "failed", simtest.ReturnQuery(t, a.header.Get("Location")).Get("redirect_status"))

		after := b.retrieve(t, pi.ID)
		require.Equal(t, stripe.PaymentIntentStatusRequiresPaymentMethod, after.Status)
		require.EqualValues(t, "payment_intent_authentication_failure", after.LastPaymentError.Code)
		require.Equal(t, stripe.ErrorTypeInvalidRequest, after.LastPaymentError.Type)
		require.NotNil(t, after.LastPaymentError.PaymentMethod)
		require.Empty(t, after.LastPaymentError.ChargeID)
		require.Nil(t, after.LatestCharge)
		require.Empty(t, b.sim.Charges(false))
		require.Equal(t, []string{
			"payment_intent.created", "payment_intent.requires_action", "payment_intent.payment_failed",
		}, b.types(pi.ID))
	})

	t.Run("CompleteMayStillBeDeclined", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecureRequiredChargeDeclined")
		a := b.raw(t, http.MethodPost, page, "outcome=succeed")
		require.Equal(t, "failed", simtest.ReturnQuery(t, a.header.Get("Location")).Get("redirect_status"))
		after := b.retrieve(t, pi.ID)
		require.EqualValues(t, "card_declined", after.LastPaymentError.Code)
		require.NotEmpty(t, after.LastPaymentError.ChargeID)
	})

	t.Run("ASecondAnswerChangesNothing", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		b.raw(t, http.MethodPost, page, "outcome=succeed")
		events := len(b.sim.Events(false))
		a := b.raw(t, http.MethodPost, page, "outcome=fail")
		require.Equal(t, "succeeded", simtest.ReturnQuery(t, a.header.Get("Location")).Get("redirect_status"), "the actual status")
		require.Equal(t, stripesim.StatusSucceeded, b.sim.MustIntent(pi.ID).Status)
		require.Len(t, b.sim.Events(false), events)
		require.Contains(t, string(b.raw(t, http.MethodGet, page, "").body), "Authentication complete")
	})

	t.Run("AfterACancelItCannotComplete", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		require.NoError(t, b.operate(pi.ID, "Cancel"))
		a := b.raw(t, http.MethodPost, page, "outcome=succeed")
		require.Equal(t, "failed", simtest.ReturnQuery(t, a.header.Get("Location")).Get("redirect_status"))
		require.Equal(t, stripesim.StatusCanceled, b.sim.MustIntent(pi.ID).Status)
	})

	t.Run("OutdatedPageIsClosed", func(t *testing.T) {
		t.Parallel()

		b, pi, old := challenge(t, "pm_card_threeDSecure2Required")
		require.NoError(t, b.operate(pi.ID, "Confirm3DS"))
		fresh := b.retrieve(t, pi.ID).NextAction.RedirectToURL.URL
		require.NotEqual(t, old, fresh)
		require.NotContains(t, string(b.raw(t, http.MethodGet, old, "").body), "<form")
		require.Contains(t, string(b.raw(t, http.MethodGet, fresh, "").body), "<form")
		a := b.raw(t, http.MethodPost, old, "outcome=succeed")
		require.Equal(t, "pending", simtest.ReturnQuery(t, a.header.Get("Location")).Get("redirect_status"))
		require.Equal(t, stripesim.StatusRequiresAction, b.sim.MustIntent(pi.ID).Status)
		b.raw(t, http.MethodPost, fresh, "outcome=succeed")
		require.Equal(t, stripesim.StatusSucceeded, b.sim.MustIntent(pi.ID).Status)
	})

	t.Run("AWrongSecretOpensNothing", func(t *testing.T) {
		t.Parallel()

		b, pi, page := challenge(t, "pm_card_threeDSecure2Required")
		for _, address := range []string{
			strings.Replace(page, "_secret_", "_secret_x", 1), b.sim.URL + "/3d_secure_2/hosted",
		} {
			require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodGet, address, "").status)
			require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodPost, address, "outcome=succeed").status)
		}
		require.Equal(t, http.StatusBadRequest, b.raw(t, http.MethodPost, page, "outcome=maybe").status)
		require.Equal(t, stripesim.StatusRequiresAction, b.sim.MustIntent(pi.ID).Status)
	})

	t.Run("SetupIntentsHaveTheSamePage", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		si, err := b.client.SetupIntents.New(&stripe.SetupIntentParams{
			Confirm: new(true), Customer: &b.customer, PaymentMethod: new("pm_card_authenticationRequired"),
			PaymentMethodTypes: stripe.StringSlice([]string{"card"}), ReturnURL: new(returnURL),
		})
		require.NoError(t, err)
		page := si.NextAction.RedirectToURL.URL
		require.Contains(t, string(b.raw(t, http.MethodGet, page, "").body), si.ID)
		a := b.raw(t, http.MethodPost, page, "outcome=fail")
		q := simtest.ReturnQuery(t, a.header.Get("Location"))
		require.Equal(t, si.ID, q.Get("setup_intent"))
		require.Equal(t, si.ClientSecret, q.Get("setup_intent_client_secret"))
		require.Equal(t, "failed", q.Get("redirect_status"))
		si, err = b.client.SetupIntents.Get(si.ID, nil)
		require.NoError(t, err)
		require.EqualValues(t, "setup_intent_authentication_failure", si.LastSetupError.Code)
		require.Equal(t, []string{"setup_intent.created", "setup_intent.requires_action", "setup_intent.setup_failed"}, b.types(si.ID))
	})
}
