package api

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/fundrail/fundrail/internal/testfactory"
)

func TestLimiter(t *testing.T) {
	t.Parallel()

	now := testfactory.Now

	t.Run("CountsDownAndRefuses", func(t *testing.T) {
		t.Parallel()

		l := newLimiter(3)
		for i, remaining := range []int{2, 1, 0} {
			a := l.take("key", now)
			require.False(t, a.refused)
			require.Equal(t, 3, a.limit)
			require.Equal(t, remaining, a.remaining)
			require.Equal(t, now.Add(time.Duration(i+1)*20*time.Second), a.fullAt)
		}
		a := l.take("key", now)
		require.True(t, a.refused)
		require.Equal(t, 0, a.remaining)
		require.Equal(t, 20*time.Second, a.retryAfter)
		require.Equal(t, now.Add(time.Minute), a.fullAt)
	})

	t.Run("TokenComesBackWhenItWasPromised", func(t *testing.T) {
		t.Parallel()

		l := newLimiter(3)
		for range 3 {
			l.take("key", now)
		}
		wait := l.take("key", now).retryAfter
		require.True(t, l.take("key", now.Add(wait-1)).refused)
		require.False(t, l.take("key", now.Add(wait)).refused)
		require.True(t, l.take("key", now.Add(wait)).refused)
	})

	t.Run("KeysDoNotShare", func(t *testing.T) {
		t.Parallel()

		l := newLimiter(1)
		require.False(t, l.take("one", now).refused)
		require.False(t, l.take("two", now).refused)
		require.True(t, l.take("one", now).refused)
	})

	t.Run("FullBucketsAreForgotten", func(t *testing.T) {
		t.Parallel()

		l := newLimiter(60)
		for i := range 1000 {
			l.take(fmt.Sprint(i), now)
		}
		l.take("busy", now.Add(time.Minute-1))
		require.Len(t, l.fullAt, 1001)
		l.take("other", now.Add(time.Minute))
		require.Len(t, l.fullAt, 2)
	})

	t.Run("NothingIsLeftOfABucketThatOthersOverspent", func(t *testing.T) {
		t.Parallel()

		l := newLimiter(60)
		l.raise("key", now.Add(time.Minute+5*time.Second))
		a := l.take("key", now)
		require.True(t, a.refused)
		require.Zero(t, a.remaining)
		require.Equal(t, 6*time.Second, a.retryAfter)
	})

	t.Run("NeverMoreThanABurstAndTheRate", func(t *testing.T) {
		t.Parallel()

		rapid.Check(t, func(t *rapid.T) {
			limit := rapid.IntRange(1, 2000).Draw(t, "limit")
			l := newLimiter(limit)
			at, passed := now, 0
			for _, gap := range rapid.SliceOfN(rapid.Int64Range(0, int64(time.Second)), 1, 200).Draw(t, "gaps") {
				at = at.Add(time.Duration(gap))
				a := l.take("key", at)
				if !a.refused {
					passed++
				}
				require.GreaterOrEqual(t, a.remaining, 0)
				require.Less(t, a.remaining, limit)
				require.Equal(t, a.refused, a.retryAfter > 0)
				require.LessOrEqual(t, passed, limit+int(at.Sub(now)/l.interval))
			}
		})
	})
}
