package api_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
)

func TestProcessesShareALimit(t *testing.T) {
	t.Parallel()

	const limit = 120
	b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = limit })
	other := b.OtherProcess()
	header := http.Header{"Authorization": {"Bearer " + b.APIKey}}
	passed := 0
	for range limit {
		if apitest.Request(t, b.Handler, http.MethodGet, "/v1/wallet", header).Code == http.StatusOK {
			passed++
		}
	}
	require.Equal(t, limit, passed, "one process alone may spend everything")

	// The other hears of it with its first request, or a little later.
	var refused int
	require.Eventually(t, func() bool {
		rec := apitest.Request(t, other, http.MethodGet, "/v1/wallet", header)
		if rec.Code == http.StatusOK {
			passed++
			return false
		}
		refused = rec.Code
		return true
	}, 10*time.Second, 5*time.Millisecond)
	require.Equal(t, http.StatusTooManyRequests, refused)
	require.Less(t, passed, limit+limit/2)

	// What comes back comes back for both of them together, less what was too much.
	over := passed - limit
	b.Clock.Advance(30 * time.Second)
	passed = 0
	for range limit {
		for _, h := range []http.Handler{b.Handler, other} {
			if apitest.Request(t, h, http.MethodGet, "/v1/wallet", header).Code == http.StatusOK {
				passed++
			}
		}
	}
	require.GreaterOrEqual(t, passed, limit/2-over-limit/10)
	require.LessOrEqual(t, passed, limit/2+limit/4)
}

func TestShareSpendings(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	now := testfactory.Now
	share := func(since time.Time, cost time.Duration) time.Time {
		fullAt, err := postgres.ShareSpendings(t.Context(), b.Pool, []postgres.Spending{
			{APIKeyID: b.APIKeyID, Name: "requests", Since: since, Cost: cost},
			{APIKeyID: b.APIKeyID, Name: "fundings", Since: since, Cost: time.Hour},
		})
		require.NoError(t, err)
		require.Len(t, fullAt, 2)
		require.True(t, fullAt[1].After(fullAt[0]))
		return fullAt[0].UTC()
	}

	require.Equal(t, now.Add(10*time.Second), share(now, 10*time.Second))
	require.Equal(t, now.Add(15*time.Second), share(now.Add(5*time.Second), 5*time.Second), "adds to what is spent")
	require.Equal(t, now.Add(61*time.Second), share(now.Add(time.Minute), time.Second), "what came back is back")
}
