package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/client"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	other  = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

// delivery returns the headers of an event signed by the specification's library.
func delivery(t *testing.T, secret, body string, at time.Time) http.Header {
	t.Helper()

	signer, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	signature, err := signer.Sign("evt_1", at, []byte(body))
	require.NoError(t, err)
	h := http.Header{}
	h.Set("Webhook-Id", "evt_1")
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", signature)
	return h
}

func TestVerify(t *testing.T) {
	t.Parallel()

	const body = `{"type":"payment.succeeded","timestamp":"2026-03-14T09:26:54.123Z","id":"evt_1","sequence":2,` +
		`"data":{"payment_id":"pay_1","status":"completed","amount":"25.00","balance":"125.00","error":null}}`
	now := time.Now()
	v, err := client.NewVerifier(secret)
	require.NoError(t, err)

	t.Run("Good", func(t *testing.T) {
		t.Parallel()

		e, err := v.Verify(delivery(t, secret, body, now), []byte(body))
		require.NoError(t, err)
		require.Equal(t, "evt_1", e.ID)
		require.Equal(t, client.EventPaymentSucceeded, e.Type)
		require.EqualValues(t, 2, e.Sequence)
		p, err := e.Payment()
		require.NoError(t, err)
		require.Equal(t, client.Amount("25.00"), p.Amount)
		require.Equal(t, client.Amount("125.00"), *p.Balance)
		require.Nil(t, p.Failure)
		e.Type = client.EventWalletBalanceUpdated
		_, err = e.Payment()
		require.Error(t, err)
	})

	t.Run("EitherOfTwoSecrets", func(t *testing.T) {
		t.Parallel()

		both, err := client.NewVerifier(other, secret)
		require.NoError(t, err)
		for _, by := range []string{secret, other} {
			_, err := both.Verify(delivery(t, by, body, now), []byte(body))
			require.NoError(t, err)
		}
	})

	t.Run("EitherOfTwoSignatures", func(t *testing.T) {
		t.Parallel()

		h := delivery(t, secret, body, now)
		h.Set("Webhook-Signature", delivery(t, other, body, now).Get("Webhook-Signature")+" v2,x "+h.Get("Webhook-Signature"))
		_, err := v.Verify(h, []byte(body))
		require.NoError(t, err)
	})

	t.Run("Refused", func(t *testing.T) {
		t.Parallel()

		for name, tc := range map[string]struct {
			change func(http.Header)
			body   string
			want   error
		}{
			"OtherBody":      {func(http.Header) {}, body + " ", client.ErrSignature},
			"OtherID":        {func(h http.Header) { h.Set("Webhook-Id", "evt_2") }, body, client.ErrSignature},
			"OtherTime":      {func(h http.Header) { h.Set("Webhook-Timestamp", "1") }, body, client.ErrSignature},
			"NoID":           {func(h http.Header) { h.Del("Webhook-Id") }, body, client.ErrSignature},
			"NoTime":         {func(h http.Header) { h.Del("Webhook-Timestamp") }, body, client.ErrSignature},
			"NoSignature":    {func(h http.Header) { h.Del("Webhook-Signature") }, body, client.ErrSignature},
			"OtherScheme":    {func(h http.Header) { h.Set("Webhook-Signature", "v2"+h.Get("Webhook-Signature")[2:]) }, body, client.ErrSignature},
			"EmptySignature": {func(h http.Header) { h.Set("Webhook-Signature", "v1,") }, body, client.ErrSignature},
		} {
			h := delivery(t, secret, body, now)
			tc.change(h)
			_, err := v.Verify(h, []byte(tc.body))
			require.ErrorIs(t, err, tc.want, name)
		}
		_, err := v.Verify(delivery(t, other, body, now), []byte(body))
		require.ErrorIs(t, err, client.ErrSignature)
		for _, off := range []time.Duration{-6 * time.Minute, 6 * time.Minute} {
			_, err := v.Verify(delivery(t, secret, body, now.Add(off)), []byte(body))
			require.ErrorIs(t, err, client.ErrTimestamp)
		}
		patient := *v
		patient.Tolerance = time.Hour
		_, err = patient.Verify(delivery(t, secret, body, now.Add(-6*time.Minute)), []byte(body))
		require.NoError(t, err)
		patient.Now = func() time.Time { return now.Add(2 * time.Hour) }
		_, err = patient.Verify(delivery(t, secret, body, now), []byte(body))
		require.ErrorIs(t, err, client.ErrTimestamp)
	})

	t.Run("InvalidSecretsAreNotShown", func(t *testing.T) {
		t.Parallel()

		for _, list := range [][]string{{}, {""}, {"whsec_"}, {secret, "whsec_!!!"}} {
			_, err := client.NewVerifier(list...)
			require.Error(t, err)
			require.NotContains(t, err.Error(), "!!!")
		}
	})
}

// received is a request that a merchant's endpoint got.
type received struct {
	header http.Header
	body   []byte
}

// TestWebhooks creates an endpoint, receives an event and verifies it.
func TestWebhooks(t *testing.T) {
	t.Parallel()

	b := setup(t)
	got := make(chan received, 10)
	merchant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- received{r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(merchant.Close)
	network := &lossy{method: http.MethodPost, left: 1}
	c := b.client(t, through(network))

	made, err := c.CreateWebhook(t.Context(), client.NewWebhook{
		Name: "Ledger", URL: merchant.URL, Events: []string{client.EventPaymentSucceeded},
	})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(made.Secret, "whsec_"))
	require.Equal(t, client.SignatureStandard, made.Signature)
	list, err := c.Webhooks(t.Context(), client.Page{})
	require.NoError(t, err)
	require.Len(t, list.Data, 1, "a repeated request creates no second endpoint")
	require.Empty(t, list.Data[0].Secret)

	rotated, err := c.RotateWebhookSecret(t.Context(), made.ID, time.Hour)
	require.NoError(t, err)
	require.NotEqual(t, made.Secret, rotated.Secret)
	p, err := c.Fund(t.Context(), client.FundRequest{PaymentMethodID: b.card("pm_card_visa"), Amount: "25.00"})
	require.NoError(t, err)
	first := <-got
	for _, s := range []string{made.Secret, rotated.Secret} {
		v, err := client.NewVerifier(s)
		require.NoError(t, err)
		e, err := v.Verify(first.header, first.body)
		require.NoError(t, err)
		require.Equal(t, client.EventPaymentSucceeded, e.Type)
		about, err := e.Payment()
		require.NoError(t, err)
		require.Equal(t, p.ID, about.ID)
		require.Equal(t, p.Balance, *about.Balance)
	}

	var delivered client.List[client.Delivery]
	require.Eventually(t, func() bool {
		delivered, err = c.Deliveries(t.Context(), made.ID, "succeeded", client.Page{Limit: 10})
		return err == nil && len(delivered.Data) == 1
	}, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusNoContent, delivered.Data[0].ResponseStatus)
	require.NoError(t, c.Redeliver(t.Context(), made.ID, delivered.Data[0].ID))
	again := <-got
	require.Equal(t, first.header.Get("Webhook-Id"), again.header.Get("Webhook-Id"))
	n, err := c.RedeliverRange(t.Context(), made.ID, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), true)
	require.NoError(t, err)
	require.Zero(t, n, "none has failed")

	changed, err := c.UpdateWebhook(t.Context(), made.ID, client.WebhookChange{Status: new("disabled"), Name: new("Old")})
	require.NoError(t, err)
	require.Equal(t, "disabled", changed.Status)
	now, err := c.Webhook(t.Context(), made.ID)
	require.NoError(t, err)
	require.Equal(t, changed, now)
	require.NoError(t, c.DeleteWebhook(t.Context(), made.ID))
	for w, err := range c.AllWebhooks(t.Context()) {
		require.Fail(t, "there should be none", "%v %v", w, err)
	}
}
