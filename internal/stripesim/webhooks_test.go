package stripesim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/stripesim/simtest"
)

const secret = "whsec_receiver"

// delivered is one received webhook.
type delivered struct {
	body      []byte
	header    http.Header
	id, typ   string
	signature string
}

// receiver is a webhook endpoint. It answers 200 unless answer is set.
type receiver struct {
	url string

	mu     sync.Mutex
	answer func(n int, d delivered) int // n counts from 1
	got    []delivered
}

func listen(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{answer: func(int, delivered) int { return http.StatusOK }}
	srv := httptest.NewServer(r)
	t.Cleanup(srv.Close)
	r.url = srv.URL
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	var ev struct{ ID, Type string }
	_ = json.Unmarshal(body, &ev) // a forged body may not be an event
	d := delivered{body: body, header: req.Header, id: ev.ID, typ: ev.Type, signature: req.Header.Get("Stripe-Signature")}
	r.mu.Lock()
	r.got = append(r.got, d)
	status := r.answer(len(r.got), d)
	r.mu.Unlock()
	if status == http.StatusFound {
		w.Header().Set("Location", r.url+"/elsewhere")
	}
	w.WriteHeader(status)
}

func (r *receiver) answers(status func(n int, d delivered) int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = status
}

func (r *receiver) all(types ...string) []delivered {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := slices.Clone(r.got)
	if len(types) > 0 {
		out = slices.DeleteFunc(out, func(d delivered) bool { return !slices.Contains(types, d.typ) })
	}
	return out
}

func (d *delivered) verify(secrets ...string) (stripe.Event, error) {
	var ev stripe.Event
	var err error
	for _, s := range secrets {
		if ev, err = webhook.ConstructEvent(d.body, d.signature, s); err == nil {
			return ev, nil
		}
	}
	return ev, err
}

// hooked returns a simulator in real time that delivers to a receiver.
func hooked(t *testing.T, opts ...simtest.Option) (*bundle, *receiver) {
	t.Helper()
	r := listen(t)
	sim := simtest.New(t, append([]simtest.Option{simtest.WithWebhook(r.url, secret)}, opts...)...)
	return &bundle{client: sim.Client(), customer: sim.Customer(), sim: sim}, r
}

func TestWebhooks(t *testing.T) {
	t.Parallel()

	t.Run("AreSignedAndReadable", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		pi := b.paid(t, "pm_card_visa", withMetadata("payment_id", "p1"), withKey("key-1"))
		b.sim.Drain()

		got := r.all("payment_intent.succeeded")
		require.Len(t, got, 1)
		ev, err := got[0].verify(secret)
		require.NoError(t, err)
		require.Equal(t, pi.ID, ev.GetObjectValue("id"))
		require.Equal(t, "p1", ev.GetObjectValue("metadata", "payment_id"))
		require.Equal(t, "key-1", ev.Request.IdempotencyKey)
		require.Equal(t, pi.LastResponse.RequestID, ev.Request.ID)
		require.EqualValues(t, 1, ev.PendingWebhooks)
		require.False(t, ev.Livemode)
		require.Equal(t, "application/json; charset=utf-8", got[0].header.Get("Content-Type"))
		require.Contains(t, got[0].header.Get("User-Agent"), "Stripe/1.0")
		_, err = got[0].verify("whsec_other")
		require.ErrorIs(t, err, webhook.ErrNoValidSignature)
	})

	t.Run("EverySecretSigns", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.SetWebhook(r.url, "whsec_old", "whsec_new")
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		for _, s := range []string{"whsec_old", "whsec_new"} {
			d := r.all("payment_intent.succeeded")[0]
			_, err := d.verify(s)
			require.NoError(t, err)
		}
	})

	t.Run("ListAndDeliveryAreTheSameBytes", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.NotEmpty(t, r.all())
		for _, d := range r.all() {
			listed := b.raw(t, http.MethodGet, "/v1/events/"+d.id, "")
			require.Contains(t, string(listed.body), `"pending_webhooks":0`, "confirmed")
			require.Equal(t, string(d.body), strings.Replace(string(listed.body), `"pending_webhooks":0`, `"pending_webhooks":1`, 1))
		}
	})

	t.Run("ALaterChangeLeavesTheEventAlone", func(t *testing.T) {
		t.Parallel()

		b, _ := hooked(t)
		pi := b.paid(t, "pm_card_visa")
		b.sim.Drain()
		before := b.sim.Events(false, "payment_intent.created")[0].Body
		_, err := b.client.PaymentIntents.Update(pi.ID, &stripe.PaymentIntentParams{Description: new("later")})
		require.NoError(t, err)
		require.Equal(t, string(before), string(b.sim.Events(false, "payment_intent.created")[0].Body))
		require.Contains(t, string(before), `"status":"requires_confirmation"`)
	})

	t.Run("AnythingButA2xxIsRepeatedWithANewSignature", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		first := map[string]int{}
		r.answers(func(_ int, d delivered) int {
			first[d.id]++
			return []int{0, http.StatusInternalServerError, http.StatusFound, http.StatusBadRequest, http.StatusAccepted}[first[d.id]]
		})
		b.paid(t, "pm_card_visa")
		b.sim.DrainAll()

		got := r.all("payment_intent.succeeded")
		require.Len(t, got, 4)
		for _, d := range got {
			require.NotEqual(t, "/elsewhere", d.header.Get("Referer"))
			_, err := d.verify(secret)
			require.NoError(t, err)
		}
		attempts := b.sim.Attempts(got[0].id)
		require.Len(t, attempts, 4)
		require.Equal(t, []int{500, 302, 400, 202}, []int{attempts[0].Status, attempts[1].Status, attempts[2].Status, attempts[3].Status})
	})

	t.Run("GivesUpAfterTheLastRetry", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		r.answers(func(int, delivered) int { return http.StatusInternalServerError })
		b.paid(t, "pm_card_visa")
		b.sim.DrainAll()

		ev := r.all("payment_intent.succeeded")
		require.Len(t, ev, 5, "one attempt and four retries")
		undelivered := b.client.Events.List(&stripe.EventListParams{
			DeliverySuccess: new(false), Types: stripe.StringSlice([]string{"payment_intent.*"}),
		})
		n := 0
		for undelivered.Next() {
			require.EqualValues(t, 1, undelivered.Event().PendingWebhooks)
			n++
		}
		require.Equal(t, 2, n)
		require.Positive(t, b.sim.Deliveries().GivenUp)
	})

	t.Run("RetriesFollowTheVirtualClock", func(t *testing.T) {
		t.Parallel()

		r := listen(t)
		b := setup(t, simtest.WithWebhook(r.url, secret), func(c *stripesim.Config) { c.WebhookRetry = stripesim.RetryReal() })
		b.sim.Drain()
		failing := true
		r.answers(func(int, delivered) int {
			if failing {
				return http.StatusServiceUnavailable
			}
			return http.StatusOK
		})
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.Len(t, r.all("payment_intent.succeeded"), 1)
		require.Positive(t, b.sim.Deliveries().Scheduled)
		r.answers(func(int, delivered) int { return http.StatusOK })
		b.sim.Advance(5 * time.Minute)
		b.sim.Drain()
		require.Len(t, r.all("payment_intent.succeeded"), 2)
		require.Zero(t, b.sim.Deliveries().Scheduled)
	})

	t.Run("EndpointDown", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.Drain()
		b.sim.SetWebhook("http://127.0.0.1:1", secret)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.NotEmpty(t, b.sim.Attempts("")[len(b.sim.Attempts(""))-1].Error)
		b.sim.SetWebhook(r.url, secret) // the retry follows the new address
		b.sim.DrainAll()
		require.Len(t, r.all("payment_intent.succeeded"), 1)
	})

	t.Run("EventsOfOneObjectComeInOrder", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					p := b.params("pm_card_authenticationRequired")
					pi, err := b.client.PaymentIntents.New(p)
					if err == nil {
						_, _ = b.sim.CompleteChallenge(pi.ID, stripesim.OutcomeSucceed)
					}
				}
			})
		}
		wg.Wait()
		b.sim.Drain()

		byObject := map[string][]string{}
		for _, d := range r.all("payment_intent.created", "payment_intent.requires_action", "payment_intent.succeeded") {
			ev, err := d.verify(secret)
			require.NoError(t, err)
			byObject[ev.GetObjectValue("id")] = append(byObject[ev.GetObjectValue("id")], d.typ)
		}
		require.Len(t, byObject, 40)
		for _, types := range byObject {
			require.Equal(t, []string{"payment_intent.created", "payment_intent.requires_action", "payment_intent.succeeded"}, types)
		}
	})

	t.Run("LiveEventsHaveTheirOwnSecret", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.Drain()
		before := len(r.all())
		live := &bundle{client: b.sim.ClientFor(simtest.LiveKey), sim: b.sim}
		pay := func() {
			_, err := live.client.PaymentIntents.New(&stripe.PaymentIntentParams{
				Amount: stripe.Int64(1000), Confirm: new(true), Currency: new("usd"),
				PaymentMethod: new("pm_card_visa"), PaymentMethodTypes: stripe.StringSlice([]string{"card"}),
			})
			require.NoError(t, err)
			b.sim.Drain()
		}
		pay()
		require.Len(t, r.all(), before, "no live secret, no live deliveries")
		b.sim.SetLiveWebhook(r.url, "whsec_live")
		pay()
		got := r.all()[before:]
		require.NotEmpty(t, got)
		ev, err := got[0].verify("whsec_live")
		require.NoError(t, err)
		require.True(t, ev.Livemode)
	})
}

func TestWebhookEndpoints(t *testing.T) {
	t.Parallel()

	b, _ := hooked(t)
	b.sim.SetWebhook("")
	r := listen(t)
	ep, err := b.client.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		EnabledEvents: stripe.StringSlice([]string{"payment_intent.succeeded", "charge.*"}), URL: new(r.url),
	})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(ep.Secret, "whsec_"))
	again, err := b.client.WebhookEndpoints.Get(ep.ID, nil)
	require.NoError(t, err)
	require.Empty(t, again.Secret, "the secret is shown once")

	b.paid(t, "pm_card_visa")
	b.sim.Drain()
	got := r.all()
	require.Len(t, got, 2)
	for _, d := range got {
		require.Contains(t, []string{"charge.succeeded", "payment_intent.succeeded"}, d.typ)
		_, err := d.verify(ep.Secret)
		require.NoError(t, err)
	}

	_, err = b.client.WebhookEndpoints.Update(ep.ID, &stripe.WebhookEndpointParams{Disabled: new(true)})
	require.NoError(t, err)
	b.paid(t, "pm_card_visa")
	b.sim.Drain()
	require.Len(t, r.all(), 2, "a disabled endpoint receives nothing")

	_, err = b.client.WebhookEndpoints.Del(ep.ID, nil)
	require.NoError(t, err)
	list := b.client.WebhookEndpoints.List(nil)
	require.False(t, list.Next())
	require.NoError(t, list.Err())
	_, err = b.client.WebhookEndpoints.Get(ep.ID, nil)
	require.Equal(t, http.StatusNotFound, asStripe(t, err).HTTPStatusCode)
	_, err = b.client.WebhookEndpoints.New(&stripe.WebhookEndpointParams{
		EnabledEvents: stripe.StringSlice([]string{"*"}), URL: new("example.com"),
	})
	require.EqualValues(t, "url_invalid", asStripe(t, err).Code)
}

// TestWebhookFaults tests what each fault does to the payment_intent.succeeded
// event of one payment.
func TestWebhookFaults(t *testing.T) {
	t.Parallel()

	const typ = "payment_intent.succeeded"
	strike := func(t *testing.T, f stripesim.WebhookFault) (*bundle, *receiver) {
		t.Helper()
		b, r := hooked(t)
		r.answers(func(_ int, d delivered) int {
			if _, err := d.verify(secret); err != nil {
				return http.StatusBadRequest
			}
			return http.StatusOK
		})
		f.Match.Event = typ
		id := b.sim.WebhookFault(f)
		b.paid(t, "pm_card_visa")
		b.sim.DrainAll()
		require.Equal(t, 1, b.sim.Applied(id))
		return b, r
	}

	t.Run("Drop", func(t *testing.T) {
		t.Parallel()

		b, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookDrop})
		require.Empty(t, r.all(typ))
		require.Len(t, r.all("charge.succeeded"), 1)
		ev := b.sim.Events(false, typ)
		require.Len(t, ev, 1, "a dropped event is listed")
		require.Equal(t, 1, ev[0].PendingWebhooks)
		require.EqualValues(t, 1, b.sim.Deliveries().Dropped)
	})

	t.Run("Duplicate", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookDuplicate, Times: 3})
		got := r.all(typ)
		require.Len(t, got, 4)
		require.Equal(t, string(got[0].body), string(got[3].body))
	})

	t.Run("DuplicateAtTheSameTime", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.Drain()
		var gate sync.WaitGroup
		gate.Add(3)
		meeting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			if bytes.Contains(body, []byte(`"type":"`+typ)) {
				gate.Done()
				gate.Wait() // answers when all three have arrived
			}
			w.WriteHeader(http.StatusOK)
		}))
		t.Cleanup(meeting.Close)
		b.sim.WebhookFault(stripesim.WebhookFault{
			Kind: stripesim.HookDuplicate, Times: 2, Concurrent: true, Match: stripesim.Match{Event: typ},
		})
		b.sim.SetWebhook(meeting.URL, secret)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.Empty(t, r.all(typ))
	})

	t.Run("WrongSecret", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookWrongSecret})
		got := r.all(typ)
		require.Len(t, got, 2, "the retry is signed well")
		_, err := got[0].verify(secret)
		require.ErrorIs(t, err, webhook.ErrNoValidSignature)
		_, err = got[1].verify(secret)
		require.NoError(t, err)
	})

	t.Run("Stale", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookStale, Attempts: 2})
		got := r.all(typ)
		require.Len(t, got, 3)
		_, err := got[1].verify(secret)
		require.ErrorIs(t, err, webhook.ErrTooOld)
	})

	t.Run("Tamper", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookTamper})
		got := r.all(typ)
		require.Len(t, got, 2)
		require.True(t, json.Valid(got[0].body))
		_, err := got[0].verify(secret)
		require.ErrorIs(t, err, webhook.ErrNoValidSignature)
	})

	t.Run("APIVersion", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookAPIVersion})
		got := r.all(typ)
		ev, err := webhook.ConstructEventWithOptions(got[0].body, got[0].signature, secret,
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
		require.NoError(t, err)
		require.NotEqual(t, stripesim.APIVersion, ev.APIVersion)
	})

	t.Run("Livemode", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookLivemode})
		got := r.all(typ)
		ev, err := got[0].verify(secret)
		require.NoError(t, err)
		require.True(t, ev.Livemode)
	})

	t.Run("UnknownType", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookUnknownType})
		require.Empty(t, r.all(typ))
		got := r.all("simulated.never_heard_of")
		require.Len(t, got, 1)
		_, err := got[0].verify(secret)
		require.NoError(t, err)
	})

	t.Run("Oversize", func(t *testing.T) {
		t.Parallel()

		_, r := strike(t, stripesim.WebhookFault{Kind: stripesim.HookOversize, Size: 300_000})
		got := r.all(typ)
		require.Len(t, got[0].body, 300_000)
		_, err := got[0].verify(secret)
		require.NoError(t, err)
	})

	t.Run("Delay", func(t *testing.T) {
		t.Parallel()

		r := listen(t)
		b := setup(t, simtest.WithWebhook(r.url, secret))
		b.sim.WebhookFault(stripesim.WebhookFault{
			Kind: stripesim.HookDelay, Delay: stripesim.Duration(72 * time.Hour), Match: stripesim.Match{Event: "payment_intent.*"},
		})
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.Empty(t, r.all(typ))
		require.Len(t, r.all("charge.succeeded"), 1)
		b.sim.Advance(72 * time.Hour)
		b.sim.Drain()
		require.Len(t, r.all(typ), 1)
	})

	t.Run("Reorder", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.WebhookFault(stripesim.WebhookFault{
			Kind: stripesim.HookReorder, Window: 2, Match: stripesim.Match{Event: "payment_intent.*"},
			Delay: stripesim.Duration(10 * time.Second),
		})
		b.paid(t, "pm_card_visa")
		b.sim.DrainAll()
		got := r.all("payment_intent.created", typ)
		require.Len(t, got, 2)
		require.Equal(t, typ, got[0].typ, "newest first")
	})

	t.Run("ReorderEndsAfterItsDelay", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookReorder, Window: 1000, Delay: stripesim.Duration(time.Hour)})
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		require.Empty(t, r.all(typ))
		b.sim.ClearFaults()
		b.sim.DrainAll()
		require.Len(t, r.all(typ), 1)
	})

	t.Run("BeforeTheAnswer", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.WebhookFault(stripesim.WebhookFault{Kind: stripesim.HookBeforeAnswer, Match: stripesim.Match{Event: typ}})
		for i := range 10 {
			b.paid(t, "pm_card_visa")
			require.Len(t, r.all(typ), i+1)
		}
	})

	t.Run("MatchedByObject", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.WebhookFault(stripesim.WebhookFault{
			Kind: stripesim.HookDrop, Match: stripesim.Match{Metadata: map[string]string{"payment_id": "lost"}},
		})
		b.paid(t, "pm_card_visa", withMetadata("payment_id", "lost"))
		b.paid(t, "pm_card_visa", withMetadata("payment_id", "kept"))
		b.sim.Drain()
		require.Len(t, r.all(typ), 1)
		require.Contains(t, string(r.all(typ)[0].body), `"kept"`)
	})
}

func TestReplayAndForge(t *testing.T) {
	t.Parallel()

	t.Run("ReplayDeliversAgain", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		ev := b.sim.Events(false, "payment_intent.succeeded")[0]
		require.NoError(t, b.sim.Replay([]string{ev.ID}, stripesim.ReplayOptions{Times: 9, Concurrent: true}))
		b.sim.Drain()
		got := r.all("payment_intent.succeeded")
		require.Len(t, got, 10)
		for _, d := range got {
			require.Equal(t, string(got[0].body), string(d.body))
			_, err := d.verify(secret)
			require.NoError(t, err)
		}
		require.ErrorIs(t, b.sim.Replay([]string{"evt_none"}, stripesim.ReplayOptions{}), stripesim.ErrNotFound)
	})

	t.Run("ReplayIsNotRepeated", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		r.answers(func(int, delivered) int { return http.StatusInternalServerError })
		before := len(r.all())
		require.NoError(t, b.sim.Replay([]string{b.sim.Events(false)[0].ID}, stripesim.ReplayOptions{}))
		b.sim.DrainAll()
		require.Len(t, r.all(), before+1)
		require.Zero(t, b.sim.Deliveries().GivenUp)
	})

	t.Run("ReplayShuffles", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		for range 10 {
			b.paid(t, "pm_card_visa")
		}
		b.sim.Drain()
		before := len(r.all())
		var ids []string
		for _, ev := range b.sim.Events(false) {
			ids = append(ids, ev.ID)
		}
		require.NoError(t, b.sim.Replay(ids, stripesim.ReplayOptions{Seed: 3}))
		b.sim.Drain()
		var order []string
		for _, d := range r.all()[before:] {
			order = append(order, d.id)
		}
		require.ElementsMatch(t, ids, order)
		require.NotEqual(t, ids, order)
	})

	t.Run("ForgeSendsTheBodyUnchanged", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.Drain()
		before := len(r.all())
		body := []byte(`{"id":"evt_forged","object":"event","type":"payment_intent.succeeded"}`)
		status, err := b.sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: secret})
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		_, err = b.sim.Forge(t.Context(), stripesim.Forgery{Body: body, Secret: secret, Age: stripesim.Duration(time.Hour)})
		require.NoError(t, err)
		_, err = b.sim.Forge(t.Context(), stripesim.Forgery{Body: body})
		require.NoError(t, err)

		got := r.all()[before:]
		require.Len(t, got, 3)
		require.Equal(t, string(body), string(got[0].body))
		require.NoError(t, webhook.ValidatePayload(got[0].body, got[0].signature, secret))
		require.ErrorIs(t, webhook.ValidatePayload(got[1].body, got[1].signature, secret), webhook.ErrTooOld)
		require.Empty(t, got[2].signature)
	})

	t.Run("SkewMovesTheSignature", func(t *testing.T) {
		t.Parallel()

		b, r := hooked(t)
		b.sim.Drain()
		before := len(r.all())
		b.sim.SetSignatureSkew(-4 * time.Minute)
		b.paid(t, "pm_card_visa")
		b.sim.Drain()
		sent, _, _ := strings.Cut(strings.TrimPrefix(r.all()[before].signature, "t="), ",")
		at, err := strconv.ParseInt(sent, 10, 64)
		require.NoError(t, err)
		require.InDelta(t, time.Now().Add(-4*time.Minute).Unix(), at, 5)
	})
}
