package stripeapi

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// breakerBundle is a breaker with a clock that the test moves.
type breakerBundle struct {
	*Breaker
	now    time.Time
	states []BreakerState
}

func newBreakerBundle() *breakerBundle {
	b := &breakerBundle{now: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)}
	b.Breaker = NewBreaker(BreakerConfig{
		Now:      func() time.Time { return b.now },
		OnChange: func(s BreakerState) { b.states = append(b.states, s) },
	})
	return b
}

// call makes a call that ends with v, and reports whether the breaker let it
// through.
func (b *breakerBundle) call(v verdict) bool {
	end, err := b.begin()
	if err != nil {
		return false
	}
	end(v)
	return true
}

func (b *breakerBundle) calls(n int, v verdict) {
	for range n {
		b.call(v)
	}
}

func TestBreaker(t *testing.T) {
	t.Parallel()

	t.Run("OpensWhenNearlyEverythingFails", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(1, verdictUp)
		b.calls(4, verdictDown)
		require.Equal(t, BreakerClosed, b.State())
		b.calls(1, verdictDown)
		require.Equal(t, BreakerOpen, b.State())
		require.False(t, b.call(verdictUp), "no call is let through")
		after, down := b.Outage()
		require.True(t, down)
		require.Equal(t, time.Second, after)
	})

	t.Run("StaysClosedWhenSomeFail", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(10, verdictUp)
		for range 100 {
			b.calls(3, verdictUp)
			b.calls(7, verdictDown)
			b.now = b.now.Add(100 * time.Millisecond)
		}
		require.Equal(t, BreakerClosed, b.State())
	})

	t.Run("ForgetsOldFailures", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(4, verdictDown)
		b.now = b.now.Add(breakerWindow * time.Second)
		b.calls(4, verdictDown)
		require.Equal(t, BreakerClosed, b.State())
	})

	t.Run("CanceledCallsAreNotCounted", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(50, verdictNone)
		require.Equal(t, BreakerClosed, b.State())
	})

	t.Run("OneProbeAtATimeAndLessOften", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(5, verdictDown)
		for _, wait := range []time.Duration{1, 2, 4, 8, 15, 15} {
			b.now = b.now.Add(wait*time.Second - time.Millisecond)
			require.False(t, b.call(verdictUp))
			b.now = b.now.Add(time.Millisecond)
			_, down := b.Outage()
			require.False(t, down, "the next call is the probe")
			end, err := b.begin()
			require.NoError(t, err)
			require.Equal(t, BreakerHalfOpen, b.State())
			require.False(t, b.call(verdictUp), "only one probe at a time")
			_, down = b.Outage()
			require.True(t, down)
			end(verdictDown)
			require.Equal(t, BreakerOpen, b.State())
		}
		b.now = b.now.Add(longestProbeAfter)
		require.True(t, b.call(verdictUp))
		require.Equal(t, BreakerClosed, b.State())

		b.calls(4, verdictDown)
		require.Equal(t, BreakerClosed, b.State(), "the count starts again")
		b.calls(1, verdictDown)
		b.now = b.now.Add(time.Second)
		require.True(t, b.call(verdictUp), "the wait is the first again")
		require.Equal(t, []BreakerState{BreakerOpen, BreakerHalfOpen}, b.states[:2])
		require.Equal(t, BreakerClosed, b.states[len(b.states)-1])
	})

	t.Run("ProbeWithoutAVerdictAllowsAnother", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		b.calls(5, verdictDown)
		b.now = b.now.Add(time.Second)
		require.True(t, b.call(verdictNone))
		require.True(t, b.call(verdictUp))
		require.Equal(t, BreakerClosed, b.State())
	})

	t.Run("LateAnswersOfEarlierCallsChangeNothing", func(t *testing.T) {
		t.Parallel()

		b := newBreakerBundle()
		end, err := b.begin()
		require.NoError(t, err)
		b.calls(5, verdictDown)
		end(verdictUp)
		require.Equal(t, BreakerOpen, b.State())
	})

	t.Run("ManyAtOnce", func(t *testing.T) {
		t.Parallel()

		b := NewBreaker(BreakerConfig{Now: time.Now})
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				for range 100 {
					if end, err := b.begin(); err == nil {
						end(verdict(i % 3))
					}
					b.Outage()
				}
			})
		}
		wg.Wait()
	})
}

func TestClientWithBreaker(t *testing.T) {
	t.Parallel()

	setUp := func(t *testing.T, answer http.HandlerFunc) (*Client, *atomic.Int64) {
		t.Helper()
		var calls atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			calls.Add(1)
			answer(w, r)
		}))
		t.Cleanup(server.Close)
		c, err := New(Config{
			Breaker: NewBreaker(BreakerConfig{Now: time.Now}), Mode: wallet.ModeTest, SecretKey: "sk_test_1", URL: server.URL,
		})
		require.NoError(t, err)
		return c, &calls
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, `{"error":{"type":"api_error","message":"no"}}`)
		}
	}

	for name, tc := range map[string]struct {
		answer http.HandlerFunc
		state  BreakerState
	}{
		"ServerError":         {status(http.StatusInternalServerError), BreakerOpen},
		"BadGateway":          {status(http.StatusBadGateway), BreakerOpen},
		"NoAnswer":            {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, BreakerOpen},
		"StoredErrorRepeated": {status(http.StatusInternalServerError, "Idempotent-Replayed", "true"), BreakerClosed},
		"Declined":            {status(http.StatusPaymentRequired), BreakerClosed},
		"RateLimit":           {status(http.StatusTooManyRequests), BreakerClosed},
		"Unauthorized":        {status(http.StatusUnauthorized), BreakerClosed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			c, calls := setUp(t, tc.answer)
			for range breakerFailures {
				c.Charge(t.Context(), chargeRequest())
			}
			require.Equal(t, tc.state, c.Breaker().State())
			made := calls.Load()

			o := c.Charge(t.Context(), chargeRequest())

			if tc.state == BreakerOpen {
				require.Equal(t, wallet.OutcomeUnavailable, o.Kind, "nothing happened, and the job is held")
				require.Contains(t, o.Reason, "stripe is down")
				require.Equal(t, made, calls.Load())
			}
		})
	}

	t.Run("CallersThatGoAway", func(t *testing.T) {
		t.Parallel()

		c, _ := setUp(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		for range 2 * breakerFailures {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Millisecond, cancel)
			c.Retrieve(ctx, "pi_1")
		}
		require.Equal(t, BreakerClosed, c.Breaker().State())
	})
}
