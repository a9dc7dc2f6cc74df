package stripeapi_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/stripeapi"
)

// all makes n calls for a caller at once. It returns how long it took until the
// last was allowed.
func all(l *stripeapi.FairLimiter, caller string, n int) (took time.Duration) {
	start := time.Now()
	ctx := stripeapi.WithCaller(context.Background(), caller)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() { _ = l.Wait(ctx) })
	}
	wg.Wait()
	return time.Since(start)
}

func TestFairLimiter(t *testing.T) {
	t.Parallel()

	t.Run("StaysBelowTheRate", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			took := all(stripeapi.NewFairLimiter(20), "org_a", 25)
			require.InDelta(t, time.Second, took, float64(10*time.Millisecond), "a burst of 5, and 20 behind it")
		})
	})

	t.Run("IsSharedByProcesses", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			l := stripeapi.NewFairLimiter(20)
			l.Share(4)
			require.GreaterOrEqual(t, all(l, "org_a", 11), 1200*time.Millisecond, "5 calls a second")

			l.Share(1)
			require.LessOrEqual(t, all(l, "org_a", 20), 1100*time.Millisecond, "the other processes have ended")
		})
	})

	t.Run("CallersTakeTurns", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			l := stripeapi.NewFairLimiter(10)
			var wg sync.WaitGroup
			wg.Go(func() { all(l, "org_busy", 60) })
			synctest.Wait()
			start := time.Now()
			require.NoError(t, l.Wait(stripeapi.WithCaller(t.Context(), "org_small")))
			require.LessOrEqual(t, time.Since(start), 250*time.Millisecond, "a call of the busy one goes first, not all of them")
			wg.Wait()
		})
	})

	t.Run("CanceledWaitIsRemoved", func(t *testing.T) {
		t.Parallel()

		synctest.Test(t, func(t *testing.T) {
			l := stripeapi.NewFairLimiter(4)
			require.NoError(t, l.Wait(t.Context()))
			ctx, cancel := context.WithTimeout(stripeapi.WithCaller(t.Context(), "org_a"), time.Millisecond)
			defer cancel()
			require.ErrorIs(t, l.Wait(ctx), context.DeadlineExceeded)
			start := time.Now()
			require.NoError(t, l.Wait(stripeapi.WithCaller(t.Context(), "org_b")))
			require.LessOrEqual(t, time.Since(start), 250*time.Millisecond)
		})
	})
}
