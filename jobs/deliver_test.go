package jobs_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripesim"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// call is a request that a merchant's endpoint received.
type call struct {
	header http.Header
	body   []byte
	status int // what it was answered
}

func (c call) object(t *testing.T) map[string]any {
	t.Helper()

	var o map[string]any
	require.NoError(t, json.Unmarshal(c.body, &o), string(c.body))
	return o
}

func (c call) name() string {
	var o struct{ Type, Event, WebhookType string }
	_ = json.Unmarshal(c.body, &o)
	return o.Type + o.Event
}

// merchant is an endpoint that answers as the test configures it, and records the calls.
type merchant struct {
	url string

	mu     sync.Mutex
	answer func(c call) int
	calls  []call
}

func newMerchant(t *testing.T) *merchant {
	t.Helper()

	m := &merchant{answer: func(call) int { return http.StatusOK }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		m.mu.Lock()
		c := call{header: r.Header, body: body}
		c.status = m.answer(c)
		m.calls = append(m.calls, c)
		m.mu.Unlock()
		if c.status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(c.status)
	}))
	t.Cleanup(server.Close)
	m.url = server.URL + "/hook"
	return m
}

// answers sets the status of the endpoint's answers.
func (m *merchant) answers(answer func(c call) int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.answer = answer
}

func (m *merchant) got() []call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// await waits for n calls that the endpoint accepted.
func (m *merchant) await(t *testing.T, n int) []call {
	t.Helper()

	var accepted []call
	require.Eventually(t, func() bool {
		accepted = nil
		for _, c := range m.got() {
			if c.status < 300 {
				accepted = append(accepted, c)
			}
		}
		return len(accepted) >= n
	}, 20*time.Second, 5*time.Millisecond, "%d deliveries should be accepted", n)
	return accepted
}

func status(code int) func(call) int { return func(call) int { return code } }

// awaitQuiet waits until no delivery is pending.
func awaitQuiet(t *testing.T, w *enginetest.World) {
	t.Helper()

	require.Eventually(t, func() bool {
		var n int
		err := w.Pool.QueryRow(t.Context(), `
			select (select count(*) from deliveries where status = 'pending') + (select count(*) from delivery_lanes)`).Scan(&n)
		return err == nil && n == 0
	}, 20*time.Second, 5*time.Millisecond, "everything should be delivered or given up")
}

func endpoint(t *testing.T, w *enginetest.World, m *merchant, opts testfactory.EndpointOpts) (wallet.Endpoint, string) {
	t.Helper()

	opts.URL, opts.OrganizationID = m.url, w.Merchant.Organization.ID
	return testfactory.Endpoint(t, w.Pool, opts)
}

func ref(e wallet.Endpoint) postgres.EndpointRef {
	return postgres.EndpointRef{ID: e.ID, Mode: e.Mode, OrganizationID: e.OrganizationID}
}

func reload(t *testing.T, w *enginetest.World, e wallet.Endpoint) wallet.Endpoint {
	t.Helper()

	e, err := postgres.GetEndpoint(t.Context(), w.Pool, ref(e))
	require.NoError(t, err)
	return e
}

func TestDeliver(t *testing.T) {
	t.Parallel()

	t.Run("StandardWebhooksAreVerifiedByTheirOwnLibrary", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		_, secret := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.succeeded"}})
		id := w.Fund(w.Card("pm_card_visa"))

		got := m.await(t, 1)[0]

		verifier, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		require.NoError(t, verifier.Verify(got.body, got.header))
		require.Error(t, verifier.Verify(append(got.body, ' '), got.header))
		o := got.object(t)
		require.Equal(t, "payment.succeeded", o["type"])
		require.EqualValues(t, 1, o["sequence"])
		require.Equal(t, got.header.Get("Webhook-Id"), o["id"])
		data := o["data"].(map[string]any)
		require.Equal(t, wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, id), data["payment_id"])
		require.Equal(t, "completed", data["status"])
		require.Equal(t, "25.00", data["amount"])
		require.Equal(t, "25.00", data["balance"])
		awaitQuiet(t, w)
		require.Len(t, m.got(), 1)
	})

	t.Run("BothSecretsSignDuringARotation", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		e, old := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.succeeded"}})
		secret := wallet.NewWebhookSecret()
		require.NoError(t, postgres.RotateSecret(t.Context(), w.Pool, ref(e), secret, w.Clock.Now(), time.Hour))
		verify := func(secret string, c call) error {
			verifier, err := standardwebhooks.NewWebhook(secret)
			require.NoError(t, err)
			return verifier.VerifyIgnoringTimestamp(c.body, c.header)
		}

		w.Fund(w.Card("pm_card_visa"))
		first := m.await(t, 1)[0]
		w.Clock.Advance(2 * time.Hour)
		w.Fund(w.Card("pm_card_visa"))
		second := m.await(t, 2)[1]

		require.NoError(t, verify(secret, first))
		require.NoError(t, verify(old, first))
		require.NoError(t, verify(secret, second))
		require.Error(t, verify(old, second), "the old secret has expired")
	})

	t.Run("LavaDialect", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		_, secret := endpoint(t, w, m, testfactory.EndpointOpts{
			Events: []string{"customer.wallet.balance.updated"}, Signature: wallet.SignatureLava,
		})
		w.Fund(w.Card("pm_card_visa"))

		got := m.await(t, 1)[0]

		h := hmac.New(sha256.New, []byte(secret))
		h.Write(got.body)
		require.Equal(t, hex.EncodeToString(h.Sum(nil)), got.header.Get("X-Webhook-Signature"))
		require.NotEmpty(t, got.header.Get("X-Webhook-Id"))
		require.Regexp(t, `^[0-9]{10}$`, got.header.Get("X-Webhook-Timestamp"))
		o := got.object(t)
		require.Len(t, o, 2)
		require.Equal(t, "customer.wallet.balance.updated", o["event"])
		data := o["data"].(map[string]any)
		require.Equal(t, wallet.Spell(wallet.PrefixCustomer, wallet.ModeTest, w.Merchant.Customer.ID), data["customer_id"])
		require.Equal(t, w.Merchant.Customer.ExternalID, data["reference_id"])
		require.Nil(t, data["subscription"])
		require.Equal(t, "25.00", data["wallet"].(map[string]any)["balance"])
	})

	t.Run("LagoDialect", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		_, secret := endpoint(t, w, m, testfactory.EndpointOpts{Signature: wallet.SignatureLago})
		w.Fund(w.Card("pm_card_visa"))

		calls := m.await(t, 4) // created, updated, the wallet, the payment

		types := map[string]map[string]any{}
		for _, c := range calls {
			h := hmac.New(sha256.New, []byte(secret))
			h.Write(c.body)
			require.Equal(t, base64.StdEncoding.EncodeToString(h.Sum(nil)), c.header.Get("X-Lago-Signature"))
			require.Equal(t, "hmac", c.header.Get("X-Lago-Signature-Algorithm"))
			require.Len(t, c.header.Get("X-Lago-Unique-Key"), 36)
			o := c.object(t)
			require.Len(t, o, 4)
			require.Equal(t, w.Merchant.Organization.ID.String(), o["organization_id"])
			types[o["webhook_type"].(string)] = o[o["object_type"].(string)].(map[string]any)
		}
		require.Equal(t, "pending", types["wallet_transaction.created"]["status"], "the state at the event, not the current one")
		settled := types["wallet_transaction.updated"]
		require.Equal(t, "settled", settled["status"])
		require.Equal(t, "25.0", settled["amount"])
		require.EqualValues(t, 2500, settled["wallet"].(map[string]any)["balance_cents"])
		require.EqualValues(t, 2500, types["wallet.updated"]["balance_cents"])
		require.Equal(t, "completed", types["payment.succeeded"]["status"])
	})

	t.Run("LagoPaymentFailure", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		endpoint(t, w, m, testfactory.EndpointOpts{
			Events: []string{"wallet_transaction.payment_failure"}, Signature: wallet.SignatureLago,
		})
		w.Fund(w.Card("pm_card_visa_chargeDeclinedInsufficientFunds"))

		o := m.await(t, 1)[0].object(t)

		require.Equal(t, "payment_provider_wallet_transaction_payment_error", o["object_type"])
		failure := o["payment_provider_wallet_transaction_payment_error"].(map[string]any)
		require.Equal(t, "insufficient_funds", failure["provider_error"].(map[string]any)["error_code"])
		require.Equal(t, w.Merchant.Customer.ExternalID, failure["external_customer_id"])
	})

	t.Run("NothingIsLostOrOutOfOrder", func(t *testing.T) {
		t.Parallel()

		// All payments go into one wallet, so its events share one lane. The lane ends and
		// starts again while more events arrive.
		const payments = 40
		w, m := enginetest.NewWorld(t), newMerchant(t)
		endpoint(t, w, m, testfactory.EndpointOpts{})
		card := w.Card("pm_card_visa")
		var group sync.WaitGroup
		for range payments {
			group.Go(func() { w.Await(w.Fund(card), wallet.PaymentSucceeded) })
		}
		group.Wait()
		awaitQuiet(t, w)

		last := map[string]int{}
		succeeded := 0
		for _, c := range m.got() {
			o := c.object(t)
			data := o["data"].(map[string]any)
			object := data["wallet_id"].(string)
			for _, id := range []string{"wallet_transaction_id", "payment_id"} {
				if data[id] != nil {
					object = data[id].(string)
				}
			}
			last[object]++
			require.EqualValues(t, last[object], o["sequence"], "%s of %s", o["type"], object)
			if o["type"] == "payment.succeeded" {
				succeeded++
			}
		}
		require.Equal(t, payments, succeeded)
		var events int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `select count(*) from merchant_events`).Scan(&events))
		require.Len(t, m.got(), events)
	})

	t.Run("FailureDelaysOnlyTheSameObject", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"wallet.balance_updated", "payment.succeeded"}})
		m.answers(func(c call) int {
			if c.name() == "wallet.balance_updated" {
				return http.StatusInternalServerError
			}
			return http.StatusNoContent
		})
		card := w.Card("pm_card_visa")
		for range 3 {
			w.Await(w.Fund(card), wallet.PaymentSucceeded)
		}
		m.await(t, 3) // the payments

		refused := func() (n int) {
			for _, c := range m.got() {
				if c.status == http.StatusInternalServerError {
					n++
				}
			}
			return n
		}
		require.Equal(t, 1, refused(), "the second and third wait for the first")
		w.Clock.Advance(20 * time.Second)
		require.Eventually(t, func() bool {
			var attempts int
			err := w.Pool.QueryRow(t.Context(), `select max(attempts) from deliveries where status = 'pending'`).Scan(&attempts)
			return err == nil && attempts == 2 && refused() == 2
		}, 10*time.Second, 5*time.Millisecond)
		m.answers(status(http.StatusOK))
		w.Clock.Advance(2 * time.Minute)

		var balances []string
		for _, c := range m.await(t, 6) {
			if c.name() == "wallet.balance_updated" {
				balances = append(balances, c.object(t)["data"].(map[string]any)["balance"].(string))
			}
		}
		require.Equal(t, []string{"25.00", "50.00", "75.00"}, balances)
	})

	t.Run("GivenUpAfterEightAttemptsInADay", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		e, _ := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.succeeded"}})
		m.answers(status(http.StatusFound)) // nothing is sent on
		began := w.Clock.Now()
		w.Fund(w.Card("pm_card_visa"))
		for n := 1; n <= 8; n++ {
			require.Eventually(t, func() bool { return len(m.got()) == n }, 10*time.Second, time.Millisecond, "attempt %d", n)
			var due *time.Time
			require.Eventually(t, func() bool {
				var attempts int
				err := w.Pool.QueryRow(t.Context(), `
					select d.attempts, (select max(due_at) from delivery_lanes) from deliveries d`).Scan(&attempts, &due)
				return err == nil && attempts == n
			}, 10*time.Second, time.Millisecond)
			if due != nil {
				w.Clock.Advance(due.Sub(w.Clock.Now()))
			}
		}
		awaitQuiet(t, w)

		took := w.Clock.Now().Sub(began)
		require.InDelta(t, 24, took.Hours(), 7)
		list, err := postgres.ListDeliveries(t.Context(), w.Pool, e.ID, "", wallet.ID{}, 10)
		require.NoError(t, err)
		require.Len(t, list, 1)
		require.Equal(t, wallet.DeliveryFailed, list[0].Status)
		require.Equal(t, "answered 302 Found", list[0].Error)
		attempts, err := postgres.ListAttempts(t.Context(), w.Pool, list[0].ID)
		require.NoError(t, err)
		require.Len(t, attempts, 8)
		require.Equal(t, http.StatusFound, attempts[7].ResponseStatus)

		// An operator may redeliver it.
		m.answers(status(http.StatusOK))
		again := postgres.Redelivery{Endpoint: ref(e), DeliveryID: list[0].ID, Now: w.Clock.Now()}
		require.EqualValues(t, 1, redeliver(t, w, again))
		call := m.await(t, 1)[0]
		require.Equal(t, m.got()[0].header.Get("Webhook-Id"), call.header.Get("Webhook-Id"), "the same event")
		require.Equal(t, m.got()[0].body, call.body)
		awaitQuiet(t, w)
	})

	t.Run("RangeIsDeliveredAgainInOrder", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		e, _ := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"wallet.balance_updated"}})
		from := w.Clock.Now()
		card := w.Card("pm_card_visa")
		for range 3 {
			w.Await(w.Fund(card), wallet.PaymentSucceeded)
		}
		first := m.await(t, 3)
		awaitQuiet(t, w)
		late, _ := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"wallet.balance_updated"}})
		window := postgres.Redelivery{Endpoint: ref(e), From: from, To: w.Clock.Now().Add(time.Second), Now: w.Clock.Now()}

		failedOnly := window
		failedOnly.FailedOnly = true
		require.Zero(t, redeliver(t, w, failedOnly))
		require.EqualValues(t, 3, redeliver(t, w, window))

		calls := m.await(t, 6)
		for i, c := range first {
			require.Equal(t, c.body, calls[3+i].body)
		}
		awaitQuiet(t, w)
		window.Endpoint = ref(late)
		require.EqualValues(t, 3, redeliver(t, w, window), "events from before the endpoint existed")
		m.await(t, 9)
	})

	t.Run("EndpointThatKeepsFailingIsHeldUntilItAnswers", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		e, _ := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.succeeded"}})
		m.answers(status(http.StatusServiceUnavailable))
		card := w.Card("pm_card_visa")
		for range 2 * wallet.HoldAfter {
			w.Await(w.Fund(card), wallet.PaymentSucceeded)
		}
		require.Eventually(t, func() bool { return reload(t, w, e).Status == wallet.EndpointHeld }, 10*time.Second, 5*time.Millisecond)
		require.Equal(t, "answered 503 Service Unavailable", reload(t, w, e).LastError)
		tried := len(m.got())
		require.GreaterOrEqual(t, tried, wallet.HoldAfter)
		require.Less(t, tried, 2*wallet.HoldAfter, "the others wait")

		w.Clock.Advance(time.Hour)
		require.Eventually(t, func() bool { return len(m.got()) > tried }, 10*time.Second, 5*time.Millisecond, "one delivery is tried")
		m.answers(status(http.StatusOK))

		require.Eventually(t, func() bool {
			w.Clock.Advance(10 * time.Minute) // an attempt under way is taken for a slow one
			return len(m.got()) >= tried+2*wallet.HoldAfter
		}, 15*time.Second, 50*time.Millisecond)
		awaitQuiet(t, w)
		require.Equal(t, wallet.EndpointEnabled, reload(t, w, e).Status)
		require.Nil(t, reload(t, w, e).FailingSince)
	})

	t.Run("LaneOfAKilledProcessIsTakenOver", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		e, _ := endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.succeeded"}})
		// Only this test claims the lane, because the event is in the future.
		id := wallet.NewID()
		_, err := w.Pool.Exec(t.Context(), `insert into delivery_lanes (endpoint_id, object_id, due_at, claim) values ($1, $2, $3, $4)`,
			e.ID, id, w.Clock.Now().Add(time.Minute), wallet.NewID())
		require.NoError(t, err)
		p := testfactory.Payment(t, w.Pool, testfactory.PaymentOpts{
			ID: id, Merchant: w.Merchant, Status: wallet.PaymentSucceeded, CreatedAt: w.Clock.Now(),
		})
		require.Equal(t, id, p.ID)
		require.Empty(t, m.got())

		w.Clock.Advance(2 * time.Minute)

		m.await(t, 1)
		awaitQuiet(t, w)
	})

	t.Run("NoEndpointListens", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		// The endpoints: another merchant's, the other mode's, a removed and a disabled one.
		testfactory.Endpoint(t, w.Pool, testfactory.EndpointOpts{URL: m.url})
		endpoint(t, w, m, testfactory.EndpointOpts{Mode: wallet.ModeLive})
		removed, _ := endpoint(t, w, m, testfactory.EndpointOpts{})
		off, _ := endpoint(t, w, m, testfactory.EndpointOpts{})
		require.NoError(t, pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) error {
			if _, err := postgres.UpdateEndpoint(t.Context(), tx, ref(off), postgres.EndpointChange{Enabled: new(false)}, w.Clock.Now()); err != nil {
				return err
			}
			return postgres.DeleteEndpoint(t.Context(), tx, ref(removed), w.Clock.Now())
		}))

		w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)

		var rows int
		require.NoError(t, w.Pool.QueryRow(t.Context(), `
			select (select count(*) from merchant_events) + (select count(*) from merchant_event_sequences)
				+ (select count(*) from deliveries) + (select count(*) from delivery_lanes)`).Scan(&rows))
		require.Zero(t, rows)
	})

	t.Run("ChallengeIsDeliveredInOrder", func(t *testing.T) {
		t.Parallel()

		w, m := enginetest.NewWorld(t), newMerchant(t)
		endpoint(t, w, m, testfactory.EndpointOpts{Signature: wallet.SignatureLava})
		id := w.Fund(w.Card("pm_card_authenticationRequired"))
		p := w.Await(id, wallet.PaymentRequiresAction)
		w.Sim.Challenge(p.StripePaymentIntentID, true)
		w.Await(id, wallet.PaymentSucceeded)

		var payments []string
		for _, c := range m.await(t, 3) {
			if name := c.name(); strings.HasPrefix(name, "payment.") {
				payments = append(payments, name)
			}
		}

		require.Equal(t, []string{"payment.requires_action", "payment.succeeded"}, payments)
	})
}

func redeliver(t *testing.T, w *enginetest.World, r postgres.Redelivery) (n int64) {
	t.Helper()

	require.NoError(t, pgx.BeginFunc(t.Context(), w.Pool, func(tx pgx.Tx) error {
		var err error
		n, err = postgres.Redeliver(t.Context(), tx, r)
		return err
	}))
	return n
}

func TestDeliverMoneyBack(t *testing.T) {
	t.Parallel()

	w, m := enginetest.NewWorld(t), newMerchant(t)
	endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{"payment.refunded", "wallet.balance_updated", "wallet_transaction.created"}})
	p := w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)
	m.await(t, 2)

	_, err := w.Sim.Client().Refunds.New(&stripe.RefundParams{PaymentIntent: &p.StripePaymentIntentID, Amount: new(int64(1000))})
	require.NoError(t, err)

	delivered := map[string]map[string]any{}
	for _, c := range m.await(t, 5)[2:] {
		delivered[c.name()] = c.object(t)["data"].(map[string]any)
	}
	require.Equal(t, "10.00", delivered["payment.refunded"]["amount_back"])
	require.Equal(t, "15.00", delivered["wallet.balance_updated"]["balance"])
	require.Equal(t, "outbound", delivered["wallet_transaction.created"]["direction"])
	require.Equal(t, "10.00", delivered["wallet_transaction.created"]["amount"])
	awaitQuiet(t, w)
}

// TestDeliverDispute covers the events of a payment that is disputed, and whose dispute
// is decided.
func TestDeliverDispute(t *testing.T) {
	t.Parallel()

	w, m := enginetest.NewWorld(t), newMerchant(t)
	endpoint(t, w, m, testfactory.EndpointOpts{Events: []string{
		"payment.succeeded", "payment.disputed", "payment.dispute_reversed", "payment.refunded", "payment.refund_reversed",
	}})
	p := w.Await(w.Fund(w.Card("pm_card_visa")), wallet.PaymentSucceeded)
	m.await(t, 1)
	r, err := w.Sim.CreateRefund(p.StripePaymentIntentID, 500)
	require.NoError(t, err)
	m.await(t, 2)
	_, err = w.Sim.EndRefund(r.ID, "failed")
	require.NoError(t, err)
	m.await(t, 3)
	d, err := w.Sim.OpenDispute(p.StripePaymentIntentID, stripesim.DisputeOptions{})
	require.NoError(t, err)
	m.await(t, 4)
	_, err = w.Sim.ResolveDispute(d.ID, true)
	require.NoError(t, err)

	calls := m.await(t, 5)
	for i, want := range []struct {
		name string
		back any
	}{
		{"payment.succeeded", nil},
		{"payment.refunded", "5.00"},
		{"payment.refund_reversed", "5.00"},
		{"payment.disputed", "25.00"},
		{"payment.dispute_reversed", "25.00"},
	} {
		o := calls[i].object(t)
		require.Equal(t, want.name, o["type"])
		require.InDelta(t, i+1, o["sequence"], 0)
		data := o["data"].(map[string]any)
		require.Equal(t, want.back, data["amount_back"], want.name)
		require.Equal(t, wallet.Spell(wallet.PrefixPayment, p.Mode, p.ID), data["payment_id"])
		require.Equal(t, "completed", data["status"], "money back does not change the status")
	}
	awaitQuiet(t, w)
}
