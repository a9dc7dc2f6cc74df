package client_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/client"
)

const (
	balance = `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":"1.00"}`
	funded  = `{"status":"completed","payment_id":"pay_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":"1.00"}`
)

func lavaError(code string, status string) string {
	return `{"error":{"message":"m","code":"` + code + `","status":` + status + `}}`
}

func TestRetry(t *testing.T) {
	t.Parallel()

	broken := func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			_ = conn.Close()
		}
	}
	for name, first := range map[string]http.HandlerFunc{
		"TooManyRequests":  says(http.StatusTooManyRequests, lavaError("rate_limit_exceeded", "429")),
		"Internal":         says(http.StatusInternalServerError, lavaError("internal_error", "500")),
		"Unavailable":      says(http.StatusServiceUnavailable, lavaError("payment_provider_unavailable", "503")),
		"BadGateway":       says(http.StatusBadGateway, "<html>"),
		"Timeout":          says(http.StatusRequestTimeout, lavaError("request_timeout", "408")),
		"KeyInUse":         says(http.StatusConflict, lavaError("idempotency_key_in_use", "409")),
		"ConnectionBroken": broken,
		"NotJSON":          says(http.StatusOK, "<html>"),
		"IncompleteAnswer": says(http.StatusOK, `{"status":`, "Content-Length", "100"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			url, requests := scripted(t, first, first, says(http.StatusOK, funded))
			p, err := newClient(t, url, "aks_test_x").Fund(t.Context(), client.FundRequest{PaymentMethodID: "pm", Amount: "25.00"})

			require.NoError(t, err)
			require.Equal(t, client.StatusCompleted, p.Status)
			_, list := requests.all()
			require.Len(t, list, 3)
			for _, r := range list {
				require.Equal(t, list[0].Header.Get("Idempotency-Key"), r.Header.Get("Idempotency-Key"))
				require.Equal(t, "Bearer aks_test_x", r.Header.Get("Authorization"))
			}
		})
	}

	t.Run("FinalAnswersAreNotRepeated", func(t *testing.T) {
		t.Parallel()

		for _, status := range []int{400, 401, 402, 403, 404, 405, 409, 413, 415, 422, 301} {
			url, requests := scripted(t, says(status, lavaError("some_code", "400"), "Location", "/elsewhere"))
			_, err := newClient(t, url, "aks_test_x").Fund(t.Context(), client.FundRequest{})

			var e *client.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, status, e.Status)
			_, list := requests.all()
			require.Len(t, list, 1, status)
		}
	})

	t.Run("RetryAfterIsHonoured", func(t *testing.T) {
		t.Parallel()

		url, requests := scripted(t, says(http.StatusTooManyRequests, lavaError("rate_limit_exceeded", "429"), "Retry-After", "1"),
			says(http.StatusOK, balance))
		w, err := newClient(t, url, "aks_test_x").Wallet(t.Context())

		require.NoError(t, err)
		require.Equal(t, client.Amount("1.00"), w.Balance)
		times, _ := requests.all()
		require.Len(t, times, 2)
		require.GreaterOrEqual(t, times[1].Sub(times[0]), time.Second)
	})

	t.Run("NoMoreThanMaxAttempts", func(t *testing.T) {
		t.Parallel()

		url, requests := scripted(t, says(http.StatusServiceUnavailable, lavaError("payment_provider_unavailable", "503")))
		c := newClient(t, url, "aks_test_x", func(cfg *client.Config) { cfg.MaxAttempts = 3 })
		_, err := c.Fund(t.Context(), client.FundRequest{})

		var e *client.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, http.StatusServiceUnavailable, e.Status)
		require.NotErrorAs(t, err, new(*client.PendingError), "the server has refused every attempt")
		_, list := requests.all()
		require.Len(t, list, 3)
	})

	t.Run("ContextEndsAPause", func(t *testing.T) {
		t.Parallel()

		url, requests := scripted(t, says(http.StatusTooManyRequests, lavaError("rate_limit_exceeded", "429"), "Retry-After", "600"))
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := newClient(t, url, "aks_test_x").Wallet(ctx)

		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.True(t, client.HasCode(err, client.CodeRateLimited), "the error includes the last answer")
		_, list := requests.all()
		require.Len(t, list, 1)
	})

	t.Run("RefusedConnectionLeavesNoDoubt", func(t *testing.T) {
		t.Parallel()

		server := httptest.NewServer(http.NotFoundHandler())
		server.Close()
		c := newClient(t, server.URL, "aks_test_x", func(cfg *client.Config) { cfg.MaxAttempts = 2 })
		_, err := c.Fund(t.Context(), client.FundRequest{})

		require.Error(t, err)
		require.NotErrorAs(t, err, new(*client.PendingError))
	})

	t.Run("LostAnswerLeavesDoubt", func(t *testing.T) {
		t.Parallel()

		url, _ := scripted(t, broken)
		c := newClient(t, url, "aks_test_x", func(cfg *client.Config) { cfg.MaxAttempts = 2 })
		_, err := c.Fund(t.Context(), client.FundRequest{IdempotencyKey: "mine"})

		var pending *client.PendingError
		require.ErrorAs(t, err, &pending)
		require.Equal(t, "mine", pending.IdempotencyKey)
	})

	t.Run("NotFoundAfterARepeatedDeletionIsSuccess", func(t *testing.T) {
		t.Parallel()

		gone := says(http.StatusNotFound, lavaError("webhook_not_found", "404"))
		url, _ := scripted(t, broken, gone)
		require.NoError(t, newClient(t, url, "aks_test_x").DeleteWebhook(t.Context(), "wh"))
		url, _ = scripted(t, gone)
		require.Error(t, newClient(t, url, "aks_test_x").DeleteWebhook(t.Context(), "wh"))
	})
}

func TestNew(t *testing.T) {
	t.Parallel()

	for name, cfg := range map[string]client.Config{
		"NoAddress":    {Key: "aks_test_x"},
		"NoHost":       {URL: "https://", Key: "aks_test_x"},
		"OtherScheme":  {URL: "ftp://pay.example.com", Key: "aks_test_x"},
		"Query":        {URL: "https://pay.example.com?x=1", Key: "aks_test_x"},
		"Unreadable":   {URL: "https://pay.example.com:port", Key: "aks_test_x"},
		"NoKey":        {URL: "https://pay.example.com"},
		"KeyWithSpace": {URL: "https://pay.example.com", Key: "aks_test_x\n"},
		"Negative":     {URL: "https://pay.example.com", Key: "aks_test_x", MaxAttempts: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := client.New(cfg)
			require.ErrorContains(t, err, "fundrail: ")
		})
	}

	t.Run("PathOfTheAddressStays", func(t *testing.T) {
		t.Parallel()

		url, requests := scripted(t, says(http.StatusOK, balance))
		_, err := newClient(t, url+"/pay/", "aks_test_x").Wallet(t.Context())
		require.NoError(t, err)
		_, list := requests.all()
		require.Equal(t, "/pay/v1/wallet", list[0].URL.Path)
	})
}

func TestAmount(t *testing.T) {
	t.Parallel()

	for want, a := range map[client.Amount]client.Amount{
		"25.00": client.Cents(2500), "0.05": client.Cents(5), "-0.05": client.Cents(-5), "-1.50": client.Cents(-150),
		"0.00": client.Cents(0), "500": client.Minor(500, 0), "1.234": client.Minor(1234, 3),
		"-92233720368547758.08": client.Cents(-9223372036854775808),
	} {
		require.Equal(t, want, a)
	}
	for a, want := range map[client.Amount]int64{
		"25.00": 2500, "0.05": 5, "-0.05": -5, "500": 500, "1.234": 1234, "-92233720368547758.08": -9223372036854775808,
	} {
		n, err := a.Minor()
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	for _, a := range []client.Amount{"", "-", ".", "1.", ".5", "1,50", "1.5.0", "--1", "+1", "1e3", "99999999999999999999"} {
		_, err := a.Minor()
		require.Error(t, err, a)
	}
}
