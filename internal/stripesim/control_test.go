package stripesim_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

// TestControlAPI uses the control API as another process would.
func TestControlAPI(t *testing.T) {
	t.Parallel()

	type object = map[string]any

	t.Run("Faults", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		made := control[map[string]string](t, b, http.MethodPost, "/_sim/faults", object{
			"kind": "status", "status": 503, "match": object{"path": "/v1/customers", "method": "GET"}, "count": 1,
		})
		require.Equal(t, 503, b.raw(t, http.MethodGet, "/v1/customers", "").status)
		require.Equal(t, 200, b.raw(t, http.MethodGet, "/v1/customers", "").status)
		hook := control[map[string]string](t, b, http.MethodPost, "/_sim/webhook_faults", object{
			"id": "lost", "kind": "drop", "match": object{"event": "charge.*"},
		})
		require.Equal(t, "lost", hook["id"])
		report := control[struct {
			Faults []struct {
				Rule             stripesim.Fault
				Matched, Applied int
			}
			WebhookFaults []struct{ Rule stripesim.WebhookFault } `json:"webhook_faults"`
		}](t, b, http.MethodGet, "/_sim/faults", nil)
		require.Equal(t, made["id"], report.Faults[0].Rule.ID)
		require.Equal(t, 2, report.Faults[0].Matched)
		require.Equal(t, 1, report.Faults[0].Applied)
		require.Equal(t, "drop", report.WebhookFaults[0].Rule.Kind)
		control[object](t, b, http.MethodDelete, "/_sim/faults/lost", nil)
		require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodDelete, "/_sim/faults/lost", "").status)
		control[object](t, b, http.MethodDelete, "/_sim/faults", nil)
		require.Empty(t, b.sim.Faults())
	})

	t.Run("Durations", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		control[object](t, b, http.MethodPost, "/_sim/faults", object{"id": "a", "kind": "latency", "delay": 1500})
		control[object](t, b, http.MethodPost, "/_sim/faults", object{"id": "b", "kind": "latency", "delay": "1.5s"})
		rules := b.sim.Faults()
		require.Equal(t, 1500*time.Millisecond, time.Duration(rules[0].Rule.Delay))
		require.Equal(t, rules[0].Rule.Delay, rules[1].Rule.Delay)
	})

	t.Run("InvalidInputIsRefused", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		for path, body := range map[string]string{
			"/_sim/faults":                            `{"kind":"status","status":503,"matches":{}}`,
			"/_sim/webhook_faults":                    `{"kind":"explode"}`,
			"/_sim/clock":                             `{"advance":"-1s"}`,
			"/_sim/payment_methods":                   `{"card":"pm_card_none"}`,
			"/_sim/customers":                         `{"id":"unknown"}`,
			"/_sim/payment_intents/pi_none/challenge": `{"outcome":"perhaps"}`,
			"/_sim/refunds/re_none/end":               `{"status":"lost"}`,
			"/_sim/webhook":                           `{"url":"example.com"}`,
			"/_sim/settings":                          `{"latency":"1s"}`,
			"/_sim/keys/prune":                        `not json`,
		} {
			a := b.raw(t, http.MethodPost, path, body, "Content-Type", "application/json")
			require.Equal(t, http.StatusBadRequest, a.status, path)
			require.NotEmpty(t, a.json(t)["error"], path)
		}
		for path, body := range map[string]string{
			"/_sim/payment_intents/pi_none/challenge": `{"outcome":"succeed"}`,
			"/_sim/charges/ch_none/dispute":           `{}`,
			"/_sim/charges/ch_none/refund":            ``,
			"/_sim/disputes/dp_none/resolve":          `{"won":true}`,
			"/_sim/refunds/re_none/end":               `{"status":"failed"}`,
			"/_sim/keys/prune":                        `{"key":"none"}`,
			"/_sim/events/replay":                     `{"ids":["evt_none"]}`,
			"/_sim/events/forge":                      `{"body":{}}`,
		} {
			require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodPost, path, body).status, path)
		}
	})

	t.Run("Clock", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		b.paid(t, "pm_card_createDispute")
		clock := control[struct {
			Now    time.Time
			Offset string
			Timers []object
		}](t, b, http.MethodGet, "/_sim/clock", nil)
		require.Equal(t, noon, clock.Now)
		require.Len(t, clock.Timers, 1)
		control[object](t, b, http.MethodPost, "/_sim/clock", object{"advance": "1h"})
		require.Equal(t, noon.Add(time.Hour), b.sim.Now())
		control[object](t, b, http.MethodPost, "/_sim/clock", object{"set": noon.Add(48 * time.Hour)})
		require.Equal(t, noon.Add(48*time.Hour), b.sim.Now())
		require.Len(t, b.sim.Disputes(false), 1)
	})

	t.Run("Settings", func(t *testing.T) {
		t.Parallel()

		b := setup(t)
		control[object](t, b, http.MethodPost, "/_sim/settings", object{"search_lag": "1m", "rate_limit": 1000})
		got := control[object](t, b, http.MethodGet, "/_sim/settings", nil)
		require.Equal(t, object{
			"list_lag": "0s", "rate_limit": float64(1000), "request_latency": "0s", "search_lag": "1m0s", "signature_skew": "0s",
		}, got)
	})

	t.Run("Payment", func(t *testing.T) {
		t.Parallel()

		r := listen(t)
		b := setup(t)
		control[object](t, b, http.MethodPost, "/_sim/webhook", object{"url": r.url, "secrets": []string{secret}})
		cus := control[object](t, b, http.MethodPost, "/_sim/customers", object{"id": "cus_ada", "email": "ada@example.com"})
		require.Equal(t, "customer", cus["object"])
		pm := control[object](t, b, http.MethodPost, "/_sim/payment_methods", object{
			"card": "pm_card_authenticationRequired", "customer": "cus_ada", "id": "pm_ada",
		})
		require.Equal(t, "cus_ada", pm["customer"])
		pi, stripeErr := b.pay(t, "pm_card_visa", withKey("k"), withMetadata("payment_id", "p1"), func(p *stripe.PaymentIntentParams) {
			p.Customer, p.PaymentMethod = new("cus_ada"), new("pm_ada")
		})
		require.Nil(t, stripeErr)
		after := control[object](t, b, http.MethodPost, "/_sim/payment_intents/"+pi.ID+"/challenge", object{"outcome": "succeed"})
		require.Equal(t, "succeeded", after["status"])
		a := b.raw(t, http.MethodPost, "/_sim/payment_intents/"+pi.ID+"/challenge", `{"outcome":"fail"}`)
		require.Equal(t, http.StatusNotFound, a.status)
		require.Contains(t, string(a.body), `"status":"succeeded"`)

		refund := control[object](t, b, http.MethodPost, "/_sim/charges/"+pi.ID+"/refund", object{"amount": 100})
		ended := control[object](t, b, http.MethodPost, "/_sim/refunds/"+refund["id"].(string)+"/end", object{"status": "failed"})
		require.Equal(t, "failed", ended["status"])
		dispute := control[object](t, b, http.MethodPost, "/_sim/charges/"+pi.ID+"/dispute", object{"amount": 400})
		resolved := control[object](t, b, http.MethodPost, "/_sim/disputes/"+dispute["id"].(string)+"/resolve", object{"won": true})
		require.Equal(t, "won", resolved["status"])

		paid := control[[]stripesim.Paid](t, b, http.MethodGet, "/_sim/export", nil)
		require.Len(t, paid, 1)
		require.Equal(t, "p1", paid[0].Metadata.Get("payment_id"))
		require.EqualValues(t, 1000, paid[0].AmountReceived)
		require.Zero(t, paid[0].AmountRefunded)
		require.Len(t, paid[0].Refunds, 1)
		require.Equal(t, stripesim.DisputeWon, paid[0].Disputes[0].Status)
		require.Empty(t, control[[]stripesim.Paid](t, b, http.MethodGet, "/_sim/export?livemode=true", nil))

		counts := control[stripesim.DeliveryCounts](t, b, http.MethodPost, "/_sim/wait_idle", object{"timeout": "10s"})
		require.EqualValues(t, len(r.all()), counts.Confirmed)
		log := control[struct{ Attempts []stripesim.Attempt }](t, b, http.MethodGet, "/_sim/deliveries", nil)
		require.Len(t, log.Attempts, len(r.all()))
		before := len(r.all())
		control[object](t, b, http.MethodPost, "/_sim/events/replay", object{"ids": []string{log.Attempts[0].Event}, "times": 3})
		control[object](t, b, http.MethodPost, "/_sim/events/forge", object{"body": object{"id": "evt_x"}, "secret": secret})
		control[object](t, b, http.MethodPost, "/_sim/wait_idle", nil)
		require.Len(t, r.all(), before+4)

		requests := control[map[string]int](t, b, http.MethodGet, "/_sim/requests", nil)
		require.Equal(t, 1, requests["POST /v1/payment_intents"])
		control[object](t, b, http.MethodPost, "/_sim/keys/prune", object{"key": "k"})
		require.False(t, b.sim.PruneKey("k"))
		state := control[map[string][]object](t, b, http.MethodGet, "/_sim/state", nil)
		require.Len(t, state["payment_intents"], 1)
		control[object](t, b, http.MethodPost, "/_sim/reset", nil)
		require.Empty(t, b.sim.Intents(false))
		require.Empty(t, b.sim.Requests())
	})

	t.Run("WaitIdleTimesOut", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		release := make(chan struct{})
		r.answers(func(int, delivered) int {
			<-release
			return http.StatusOK
		})
		b.sim.Customer()
		a := b.raw(t, http.MethodPost, "/_sim/wait_idle", `{"timeout":"20ms"}`)
		close(release)
		require.Equal(t, http.StatusInternalServerError, a.status)
	})
}

func TestResetWhileDeliveriesWait(t *testing.T) {
	t.Parallel()

	b, r := hooked(t)
	b.sim.Drain()
	r.answers(func(int, delivered) int { return http.StatusInternalServerError })
	b.paid(t, "pm_card_visa")
	b.sim.Reset()
	b.sim.Drain()
	require.Zero(t, b.sim.Deliveries().Queued)
	r.answers(func(int, delivered) int { return http.StatusOK })
	b.customer = b.sim.Customer()
	b.paid(t, "pm_card_visa")
	b.sim.Drain()
	require.NotEmpty(t, r.all("payment_intent.succeeded"))
}

func TestSimtest(t *testing.T) {
	t.Parallel()

	b := setup(t)
	b.paid(t, "pm_card_visa", withMetadata("payment_id", "p1"))
	require.Len(t, b.sim.IntentsWith("payment_id", "p1"), 1)
	require.Empty(t, b.sim.IntentsWith("payment_id", "p2"))
	require.Equal(t, "1", simtest.ReturnQuery(t, "https://shop.example/?a=1").Get("a"))
}
