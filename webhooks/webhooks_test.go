package webhooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"github.com/fundrail/fundrail/internal/enginetest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
	"github.com/fundrail/fundrail/jobs"
	"github.com/fundrail/fundrail/webhooks"
)

const (
	liveSecret = "whsec_live"
	oldSecret  = "whsec_test_old"
	testSecret = "whsec_test_new"
)

type intakeFunc func(ctx context.Context, i jobs.Intake) (postgres.StoredEvent, error)

func (f intakeFunc) TakeIn(ctx context.Context, i jobs.Intake) (postgres.StoredEvent, error) {
	return f(ctx, i)
}

type testBundle struct {
	*enginetest.Bundle
	url string
}

func setup(t *testing.T, intake webhooks.Intake) *testBundle {
	t.Helper()

	b := &testBundle{Bundle: enginetest.New(t, enginetest.Options{})}
	if intake == nil {
		intake = b.Engine
	}
	e := echo.New()
	(&webhooks.Handler{
		Intake:  intake,
		Log:     slog.New(slog.DiscardHandler),
		Now:     time.Now,
		Secrets: map[wallet.Mode][]string{wallet.ModeLive: {liveSecret}, wallet.ModeTest: {oldSecret, testSecret}},
	}).Register(e)
	server := httptest.NewServer(openapitest.Handler(t, e))
	t.Cleanup(server.Close)
	b.url = server.URL + webhooks.Path
	return b
}

func (b *testBundle) post(t *testing.T, body []byte, header string) int {
	t.Helper()

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url, bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Stripe-Signature", header)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

func (b *testBundle) count(t *testing.T, query string) int {
	t.Helper()

	rows, _ := b.Pool.Query(t.Context(), query)
	n, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[int])
	require.NoError(t, err)
	return n
}

func (b *testBundle) jobs(t *testing.T) int {
	t.Helper()
	return b.count(t, `select count(*) from river_job where kind = 'handle_event'`)
}

func sign(body []byte, secret string, at time.Time) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: body, Secret: secret, Timestamp: at}).Header
}

// event returns the body of an event about an intent, as Stripe sends it.
func event(id, eventType, intentID string, paymentID wallet.ID, live bool) []byte {
	body, _ := json.MarshalIndent(map[string]any{
		"id": id, "object": "event", "type": eventType, "api_version": "2023-10-16", "created": 1773480000, "livemode": live,
		"data": map[string]any{"object": map[string]any{
			"id": intentID, "object": "payment_intent", "metadata": map[string]any{"payment_id": paymentID.String()},
		}},
	}, "", "  ")
	return body
}

func TestReceive(t *testing.T) {
	t.Parallel()

	t.Run("StoresTheEventAndItsJobTogether", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, IntentID: "pi_1"})
		body := event("evt_1", "payment_intent.succeeded", "pi_1", p.ID, false)

		require.Equal(t, http.StatusOK, b.post(t, body, sign(body, testSecret, time.Now())))

		stored, err := postgres.GetEvent(t.Context(), b.Pool, "evt_1")
		require.NoError(t, err)
		require.Equal(t, body, stored.Body, "byte for byte")
		require.Equal(t, postgres.EventPending, stored.Status)
		require.Equal(t, p.ID, stored.PaymentID)
		require.Equal(t, wallet.ModeTest, stored.Mode)
		require.Equal(t, "2023-10-16", stored.APIVersion)
		require.Equal(t, 1, b.jobs(t))
	})

	t.Run("TenDeliveriesAtOnceMakeOneJob", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, IntentID: "pi_1"})
		body := event("evt_1", "payment_intent.succeeded", "pi_1", p.ID, false)
		var wg sync.WaitGroup
		statuses := make([]int, 10)
		for i := range statuses {
			wg.Go(func() { statuses[i] = b.post(t, body, sign(body, testSecret, time.Now())) })
		}
		wg.Wait()

		for _, s := range statuses {
			require.Equal(t, http.StatusOK, s)
		}
		stored, err := postgres.GetEvent(t.Context(), b.Pool, "evt_1")
		require.NoError(t, err)
		require.Equal(t, 10, stored.Deliveries)
		require.Equal(t, 1, b.jobs(t))
	})

	t.Run("LateDeliveryGivesAPendingEventAJobAgain", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Status: wallet.PaymentRequiresAction, IntentID: "pi_1"})
		body := event("evt_1", "payment_intent.succeeded", "pi_1", p.ID, false)
		b.post(t, body, sign(body, testSecret, time.Now()))
		_, err := b.Pool.Exec(t.Context(), `update stripe_events set received_at = received_at - interval '1 hour', due_at = due_at - interval '1 hour'`)
		require.NoError(t, err)

		b.post(t, body, sign(body, testSecret, time.Now()))
		b.post(t, body, sign(body, testSecret, time.Now()))

		require.Equal(t, 2, b.jobs(t))
	})

	t.Run("EventOfASettledPaymentGetsNoJob", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{Status: wallet.PaymentSucceeded, IntentID: "pi_1"})
		for i, eventType := range []string{"payment_intent.succeeded", "payment_intent.payment_failed", "payment_intent.requires_action"} {
			body := event(fmt.Sprintf("evt_%d", i), eventType, "pi_1", p.ID, false)
			require.Equal(t, http.StatusOK, b.post(t, body, sign(body, testSecret, time.Now())))
		}

		require.Zero(t, b.jobs(t))
		require.Equal(t, 3, b.count(t, `select count(*) from stripe_events where status = 'handled'`))
	})

	t.Run("EventDuringAChargeGetsNoJobYet", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		p := testfactory.Payment(t, b.Pool, testfactory.PaymentOpts{})
		body := event("evt_1", "payment_intent.succeeded", "pi_new", p.ID, false)

		require.Equal(t, http.StatusOK, b.post(t, body, sign(body, testSecret, time.Now())))

		require.Zero(t, b.jobs(t), "the charge's own answer is expected first")
		require.Equal(t, 1, b.count(t, `select count(*) from stripe_events where status = 'pending' and due_at < now() + interval '5 seconds'`))
	})

	t.Run("EventWithoutActionIsStored", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		for i, eventType := range []string{"payment_intent.created", "radar.early_fraud_warning.created", "no.such.type"} {
			body := event(fmt.Sprintf("evt_%d", i), eventType, "pi_1", wallet.ID{}, false)
			require.Equal(t, http.StatusOK, b.post(t, body, sign(body, testSecret, time.Now())))
		}

		require.Zero(t, b.jobs(t))
		require.Equal(t, 3, b.count(t, `select count(*) from stripe_events where status = 'ignored'`))
	})

	t.Run("SecretDecidesTheMode", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		live := event("evt_live", "payment_intent.created", "pi_1", wallet.ID{}, true)

		require.Equal(t, http.StatusOK, b.post(t, live, sign(live, liveSecret, time.Now())))
		require.Equal(t, http.StatusBadRequest, b.post(t, live, sign(live, testSecret, time.Now())), "a live event with a test secret")
		test := event("evt_test", "payment_intent.created", "pi_1", wallet.ID{}, false)
		require.Equal(t, http.StatusOK, b.post(t, test, sign(test, oldSecret, time.Now())), "a secret that is being replaced")
		require.Equal(t, http.StatusBadRequest, b.post(t, test, sign(test, liveSecret, time.Now())))

		require.Equal(t, 2, b.count(t, `select count(*) from stripe_events`))
	})

	t.Run("RefusesWhatStripeCannotHaveSent", func(t *testing.T) {
		t.Parallel()

		b := setup(t, nil)
		good := event("evt_1", "payment_intent.created", "pi_1", wallet.ID{}, false)
		large := append([]byte(`{"id":"`), bytes.Repeat([]byte("x"), webhooks.MaxBody)...)
		for name, c := range map[string]struct {
			body   []byte
			header string
			status int
		}{
			"NoSignature":     {good, "", http.StatusBadRequest},
			"OtherSecret":     {good, sign(good, "whsec_other", time.Now()), http.StatusBadRequest},
			"StaleTimestamp":  {good, sign(good, testSecret, time.Now().Add(-6*time.Minute)), http.StatusBadRequest},
			"TamperedBody":    {bytes.Replace(good, []byte("evt_1"), []byte("evt_2"), 1), sign(good, testSecret, time.Now()), http.StatusBadRequest},
			"NotJSON":         {[]byte("evt"), sign([]byte("evt"), testSecret, time.Now()), http.StatusBadRequest},
			"NotAnEvent":      {[]byte(`{"id":"pi_1","object":"payment_intent"}`), sign([]byte(`{"id":"pi_1","object":"payment_intent"}`), testSecret, time.Now()), http.StatusBadRequest},
			"LargerThanLimit": {large, sign(large, testSecret, time.Now()), http.StatusRequestEntityTooLarge},
		} {
			require.Equal(t, c.status, b.post(t, c.body, c.header), name)
		}

		require.Zero(t, b.count(t, `select count(*) from stripe_events`))
	})

	t.Run("FailedStorageIsAnswered500", func(t *testing.T) {
		t.Parallel()

		b := setup(t, intakeFunc(func(context.Context, jobs.Intake) (postgres.StoredEvent, error) {
			return postgres.StoredEvent{}, errors.New("the database is away")
		}))
		body := event("evt_1", "payment_intent.succeeded", "pi_1", wallet.ID{}, false)

		require.Equal(t, http.StatusInternalServerError, b.post(t, body, sign(body, testSecret, time.Now())))
	})
}
