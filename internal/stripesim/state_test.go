package stripesim_test

import (
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

func TestStateFile(t *testing.T) {
	t.Parallel()

	start := func(t *testing.T, path string, opts ...simtest.Option) *bundle {
		t.Helper()
		opts = append([]simtest.Option{func(c *stripesim.Config) { c.StateFile = path }}, opts...)
		sim := simtest.New(t, append([]simtest.Option{simtest.WithNow(func() time.Time { return noon })}, opts...)...)
		return &bundle{client: sim.Client(), sim: sim}
	}
	// killed returns a copy of the state file as a process killed now would leave
	// it.
	killed := func(t *testing.T, path string) string {
		t.Helper()
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		left := filepath.Join(t.TempDir(), "state")
		require.NoError(t, os.WriteFile(left, append(raw, `{"kind":"payment_in`...), 0o600))
		return left
	}

	t.Run("SurvivesAKill", func(t *testing.T) {
		t.Parallel()

		path := filepath.Join(t.TempDir(), "state")
		b := start(t, path)
		b.customer = b.sim.Customer()
		paid := b.paid(t, "pm_card_pendingRefund", withKey("k"), withMetadata("payment_id", "p1"))
		refund, err := b.refund(paid.ID, 100)
		require.NoError(t, err)
		acting, _ := b.pay(t, "pm_card_authenticationRequired")
		failed, _ := b.pay(t, "pm_card_chargeCustomerFail")
		disputed := b.paid(t, "pm_card_createDispute")
		b.sim.Advance(time.Second)

		after := start(t, killed(t, path))
		after.customer = b.customer
		require.Equal(t, b.sim.Now(), after.sim.Now())
		require.Equal(t, b.sim.Intents(false), after.sim.Intents(false))
		require.Equal(t, b.sim.Charges(false), after.sim.Charges(false))
		require.Equal(t, b.sim.Refunds(false), after.sim.Refunds(false))
		was, is := b.sim.Events(false), after.sim.Events(false)
		require.Len(t, is, len(was))
		for i := range was {
			require.Equal(t, string(was[i].Body), string(is[i].Body), "to the byte")
		}
		for _, id := range []string{paid.ID, acting.ID, failed.ID} {
			path := "/v1/payment_intents/" + id + "?expand[]=latest_charge&expand[]=payment_method"
			require.Equal(t, string(b.raw(t, http.MethodGet, path, "").body), string(after.raw(t, http.MethodGet, path, "").body))
		}

		after.sim.Advance(time.Minute)
		require.Len(t, after.sim.Disputes(false), 1, "timers go on")
		require.Equal(t, disputed.ID, after.sim.Disputes(false)[0].PaymentIntent)
		settled, ok := after.sim.Refund(refund.ID)
		require.True(t, ok)
		require.Equal(t, "succeeded", settled.Status)
		require.Equal(t, "succeeded", after.sim.Challenge(acting.ID, true))

		p := b.params("pm_card_visa") // of the first simulator, but only the card's id is used
		p.PaymentMethod, p.Metadata = &paid.PaymentMethod.ID, map[string]string{"payment_id": "p1"}
		p.SetIdempotencyKey("k")
		again, err := after.client.PaymentIntents.New(p)
		require.NoError(t, err)
		require.Equal(t, paid.ID, again.ID)
		require.Equal(t, "true", again.LastResponse.Header.Get("Idempotent-Replayed"))
		fresh := after.paid(t, "pm_card_visa")
		require.NotContains(t, []string{paid.ID, acting.ID, failed.ID, disputed.ID}, fresh.ID)
	})

	t.Run("DeliversPendingEvents", func(t *testing.T) {
		t.Parallel()

		path := filepath.Join(t.TempDir(), "state")
		r := listen(t)
		r.answers(func(_ int, d delivered) int {
			if d.typ == "payment_intent.succeeded" {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		})
		b := start(t, path, simtest.WithWebhook(r.url, secret))
		b.customer = b.sim.Customer()
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		left := killed(t, path)
		before := len(r.all())
		r.answers(func(int, delivered) int { return http.StatusOK })
		start(t, left, simtest.WithWebhook(r.url, secret)).sim.Drain()
		got := r.all()[before:]
		require.Len(t, got, 1, "the others were confirmed")
		require.Equal(t, "payment_intent.succeeded", got[0].typ)
	})

	t.Run("EveryKindOfObject", func(t *testing.T) {
		t.Parallel()

		path := filepath.Join(t.TempDir(), "state")
		b := start(t, path)
		b.customer = b.sim.Customer()
		si, err := b.client.SetupIntents.New(&stripe.SetupIntentParams{Customer: &b.customer})
		require.NoError(t, err)
		ep, err := b.client.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
			EnabledEvents: stripe.StringSlice([]string{"none"}), URL: new("http://127.0.0.1:1"),
		})
		require.NoError(t, err)
		cs, err := b.client.CheckoutSessions.New(&stripe.CheckoutSessionParams{
			LineItems: []*stripe.CheckoutSessionLineItemParams{{PriceData: &stripe.CheckoutSessionLineItemPriceDataParams{
				Currency: new("usd"), UnitAmount: stripe.Int64(500),
				ProductData: &stripe.CheckoutSessionLineItemPriceDataProductDataParams{Name: new("Credits")},
			}}},
			Mode: new("payment"), SuccessURL: new("https://shop.example/thanks"),
		})
		require.NoError(t, err)
		b.paid(t, "pm_card_createIssuerFraudRecord")
		b.sim.Advance(time.Minute)

		after := start(t, killed(t, path))
		for _, path := range []string{
			"/v1/setup_intents/" + si.ID, "/v1/webhook_endpoints/" + ep.ID, "/v1/checkout/sessions/" + cs.ID,
			"/v1/customers/" + b.customer, "/v1/radar/early_fraud_warnings", "/v1/balance_transactions", "/v1/events",
			"/_sim/clock",
		} {
			require.Equal(t, string(b.raw(t, http.MethodGet, path, "").body), string(after.raw(t, http.MethodGet, path, "").body))
		}
		after.sim.Advance(24 * time.Hour)
		require.Len(t, after.sim.Events(false, "checkout.session.expired"), 1)
		require.Len(t, after.sim.Events(false, "radar.*"), 1, "what has happened does not happen again")
	})

	t.Run("ResetRemovesAllData", func(t *testing.T) {
		t.Parallel()

		path := filepath.Join(t.TempDir(), "state")
		b := start(t, path)
		b.customer = b.sim.Customer()
		b.paid(t, "pm_card_createDispute", withKey("k"))
		b.sim.Reset()
		after := start(t, killed(t, path))
		require.Empty(t, after.sim.Intents(false))
		after.sim.Advance(time.Minute)
		require.Empty(t, after.sim.Events(false))
	})

	t.Run("ADamagedFileIsReported", func(t *testing.T) {
		t.Parallel()

		path := filepath.Join(t.TempDir(), "state")
		for _, damage := range []string{"nonsense\n", `{"kind":"spaceship"}` + "\n", `{"kind":"charge","v":7}` + "\n"} {
			require.NoError(t, os.WriteFile(path, []byte(damage), 0o600))
			_, err := stripesim.New(stripesim.Config{StateFile: path})
			require.ErrorContains(t, err, "state:1")
		}
		_, err := stripesim.New(stripesim.Config{StateFile: filepath.Join(path, "below")})
		require.Error(t, err)
	})
}
