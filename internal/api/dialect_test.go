package api

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/testfactory"
)

func TestDialects(t *testing.T) {
	t.Parallel()

	t.Run("Token", func(t *testing.T) {
		t.Parallel()

		for authorization, want := range map[string]struct{ lava, lago string }{
			"":                {"", ""},
			"Bearer":          {"", ""},
			"Bearer ":         {"", ""},
			"abc":             {"", ""},
			"Bearer abc":      {"abc", "abc"},
			"bEaReR  abc ":    {"abc", "abc"},
			"Token abc":       {"", "abc"}, // Lago looks at the second word alone
			"Bearer abc more": {"abc more", "abc"},
		} {
			require.Equal(t, want.lava, lava{}.token(authorization), authorization)
			require.Equal(t, want.lago, lago{}.token(authorization), authorization)
			require.Empty(t, neutral{}.token(authorization))
		}
	})

	t.Run("RateLimitReset", func(t *testing.T) {
		t.Parallel()

		now := testfactory.Now
		for ahead, seconds := range map[time.Duration]int64{
			0: 0, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60,
		} {
			require.Equal(t, now.Unix()+seconds, lava{}.rateLimitReset(now.Add(ahead), now))
			require.Equal(t, seconds, lago{}.rateLimitReset(now.Add(ahead), now))
		}
		require.Zero(t, lago{}.rateLimitReset(now.Add(-time.Second), now))
	})
}
