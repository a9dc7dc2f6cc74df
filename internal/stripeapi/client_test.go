package stripeapi

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

func TestNew(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		cfg  Config
		want string // in the error
	}{
		"Test":                 {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_abc"}, ""},
		"TestRestricted":       {Config{Mode: wallet.ModeTest, SecretKey: "rk_test_abc"}, ""},
		"Live":                 {Config{Mode: wallet.ModeLive, SecretKey: "sk_live_abc"}, ""},
		"LiveRestricted":       {Config{Mode: wallet.ModeLive, SecretKey: "rk_live_abc"}, ""},
		"LiveKeyInTest":        {Config{Mode: wallet.ModeTest, SecretKey: "sk_live_abc"}, "a key of live mode"},
		"TestKeyInLive":        {Config{Mode: wallet.ModeLive, SecretKey: "sk_test_abc"}, "a key of test mode"},
		"LiveRestrictedInTest": {Config{Mode: wallet.ModeTest, SecretKey: "rk_live_abc"}, "a key of live mode"},
		"TestRestrictedInLive": {Config{Mode: wallet.ModeLive, SecretKey: "rk_test_abc"}, "a key of test mode"},
		"NoKey":                {Config{Mode: wallet.ModeTest}, "not of the form"},
		"PublishableKey":       {Config{Mode: wallet.ModeTest, SecretKey: "pk_test_abc"}, "not of the form"},
		"KeyWithoutSecret":     {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_"}, "not of the form"},
		"KeyWithoutMode":       {Config{Mode: wallet.ModeTest, SecretKey: "sk_abc"}, "not of the form"},
		"NoMode":               {Config{SecretKey: "sk_test_abc"}, "a key of test mode"},
		"Address":              {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_abc", URL: "http://stripesim:12111/"}, ""},
		"AddressWithoutHost":   {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_abc", URL: "localhost:12111"}, "the URL"},
		"AddressWithPassword":  {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_abc", URL: "https://a:b@example.com"}, "the URL"},
		"LiveInTheClear":       {Config{Mode: wallet.ModeLive, SecretKey: "sk_live_abc", URL: "http://stripesim:12111"}, "https"},
		"LiveOnLoopback":       {Config{Mode: wallet.ModeLive, SecretKey: "sk_live_abc", URL: "http://127.0.0.1:12111"}, ""},
		"HookWithoutClock":     {Config{Mode: wallet.ModeTest, SecretKey: "sk_test_abc", OnCall: func(Call) {}}, "Now"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, err := New(tc.cfg)

			if tc.want == "" {
				require.NoError(t, err)
				require.Equal(t, tc.cfg.Mode, c.Mode())
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.NotContains(t, err.Error(), "abc", "the key stays out of the error")
		})
	}
}

func TestClientSettings(t *testing.T) {
	t.Parallel()

	t.Run("RealStripeByDefault", func(t *testing.T) {
		t.Parallel()

		c, err := New(Config{Mode: wallet.ModeTest, SecretKey: "sk_test_key"})

		require.NoError(t, err)
		b, ok := c.backend.(*stripe.BackendImplementation)
		require.True(t, ok)
		require.Equal(t, "https://api.stripe.com", b.URL)
		require.Equal(t, DefaultTimeout, b.HTTPClient.Timeout)
	})

	t.Run("SilentAndWithoutRetries", func(t *testing.T) {
		t.Parallel()

		c, err := New(Config{Mode: wallet.ModeTest, SecretKey: "sk_test_key"})

		require.NoError(t, err)
		b, ok := c.backend.(*stripe.BackendImplementation)
		require.True(t, ok)
		require.Equal(t, &stripe.LeveledLogger{Level: stripe.LevelNull}, b.LeveledLogger)
		require.Zero(t, b.MaxNetworkRetries)
	})

	t.Run("Headers", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, succeeded))
		c := w.client(t)
		c.Charge(t.Context(), chargeRequest())
		c.Charge(t.Context(), chargeRequest()) // telemetry of the first call would be sent with the second

		for _, req := range w.requests() {
			require.Equal(t, "Bearer sk_test_key", req.Header.Get("Authorization"))
			require.Equal(t, APIVersion, req.Header.Get("Stripe-Version"))
			require.Empty(t, req.Header.Get("X-Stripe-Client-Telemetry"))
		}
	})

	t.Run("GivenHTTPClientIsLeftAlone", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, succeeded))
		mine := &http.Client{Transport: http.DefaultTransport}
		c := w.client(t, func(cfg *Config) { cfg.HTTPClient = mine })

		require.Equal(t, wallet.OutcomeSucceeded, c.Charge(t.Context(), chargeRequest()).Kind)
		require.Equal(t, http.DefaultTransport, mine.Transport)
		require.Zero(t, mine.Timeout)
	})
}

func TestRedirectIsNotFollowed(t *testing.T) {
	t.Parallel()

	elsewhere := newWire(t, answer(http.StatusOK, succeeded))
	w := newWire(t, answer(http.StatusTemporaryRedirect, ``, "Location", elsewhere.URL+"/v1/payment_intents"))

	o := w.client(t).Charge(t.Context(), chargeRequest())

	require.Equal(t, wallet.OutcomeUnknown, o.Kind)
	require.Empty(t, elsewhere.requests())
}

func TestCallsEnd(t *testing.T) {
	t.Parallel()

	// stuck returns a server that does not answer before the test ends.
	stuck := func(t *testing.T) *wire {
		t.Helper()
		ended := make(chan struct{})
		w := newWire(t, func(_ http.ResponseWriter, req *http.Request) {
			select {
			case <-ended:
			case <-req.Context().Done():
			}
		})
		t.Cleanup(func() { close(ended) })
		return w
	}

	t.Run("AtTheTimeout", func(t *testing.T) {
		t.Parallel()

		c := stuck(t).client(t, func(cfg *Config) { cfg.Timeout = 20 * time.Millisecond })

		o := c.Charge(t.Context(), chargeRequest())

		require.Equal(t, wallet.OutcomeUnknown, o.Kind)
		require.Equal(t, "timeout", o.Reason)
	})

	t.Run("AtTheDeadline", func(t *testing.T) {
		t.Parallel()

		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()

		o := stuck(t).client(t).Charge(ctx, chargeRequest())

		require.Equal(t, wallet.OutcomeUnknown, o.Kind)
		require.Equal(t, "timeout", o.Reason)
	})

	t.Run("WhenCanceled", func(t *testing.T) {
		t.Parallel()

		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		w := newWire(t, func(_ http.ResponseWriter, req *http.Request) {
			cancel()
			select {
			case <-ended:
			case <-req.Context().Done():
			}
		})
		t.Cleanup(func() { close(ended) })

		_, err := w.client(t).GetPaymentMethod(ctx, "pm_1")

		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, "stripe: get_payment_method: unknown: canceled", err.Error())
	})

	t.Run("BeforeTheyStart", func(t *testing.T) {
		t.Parallel()

		w := newWire(t, answer(http.StatusOK, succeeded))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()

		o := w.client(t).Charge(ctx, chargeRequest())

		require.Equal(t, wallet.OutcomeUnavailable, o.Kind, "nothing was sent, so nothing happened")
		require.Empty(t, w.requests())
	})
}

// limiter lets a fixed number of calls pass.
type limiter struct{ left int }

func (l *limiter) Wait(context.Context) error {
	if l.left == 0 {
		return errors.New("no more")
	}
	l.left--
	return nil
}

func TestLimiter(t *testing.T) {
	t.Parallel()

	w := newWire(t, answer(http.StatusOK, succeeded))
	c := w.client(t, func(cfg *Config) { cfg.Limiter = &limiter{left: 1} })

	require.Equal(t, wallet.OutcomeSucceeded, c.Charge(t.Context(), chargeRequest()).Kind)
	o := c.Charge(t.Context(), chargeRequest())

	require.Equal(t, wallet.OutcomeUnavailable, o.Kind)
	require.Equal(t, "not sent", o.Reason)
	require.Len(t, w.requests(), 1)
}

func TestOnCall(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		want   Call
	}{
		"Succeeded": {
			answer(http.StatusOK, succeeded),
			Call{Op: "charge", Kind: wallet.OutcomeSucceeded, Status: 200, RequestID: "req_1", Took: time.Second},
		},
		"Declined": {
			answer(http.StatusPaymentRequired, `{"error":{"type":"card_error","code":"card_declined"}}`),
			Call{Op: "charge", Kind: wallet.OutcomeDeclined, Status: 402, RequestID: "req_1", Took: time.Second},
		},
		"NotJSON": {
			answer(http.StatusBadGateway, "<html>"),
			Call{Op: "charge", Kind: wallet.OutcomeUnknown, Status: 502, RequestID: "req_1", Took: time.Second},
		},
		"NoAnswer": {
			func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			Call{Op: "charge", Kind: wallet.OutcomeUnknown, Took: time.Second},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			var calls []Call
			clock := now
			c := newWire(t, tc.answer).client(t, func(cfg *Config) {
				cfg.OnCall = func(call Call) { calls = append(calls, call) }
				cfg.Now = func() time.Time {
					clock = clock.Add(time.Second)
					return clock
				}
			})

			c.Charge(t.Context(), chargeRequest())

			require.Len(t, calls, 1)
			require.Equal(t, tc.want.Status != 0, !calls[0].Date.IsZero(), "an answer has a date")
			calls[0].Date = time.Time{}
			require.Equal(t, []Call{tc.want}, calls)
		})
	}
}
