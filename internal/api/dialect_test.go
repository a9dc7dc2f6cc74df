package api_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/api/lago"
	"github.com/fundrail/fundrail/internal/api/lava"
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
			require.Equal(t, want.lava, new(lava.Dialect).Token(authorization), authorization)
			require.Equal(t, want.lago, new(lago.Dialect).Token(authorization), authorization)
			require.Empty(t, api.Neutral.Token(authorization))
		}
	})

	t.Run("RateLimitReset", func(t *testing.T) {
		t.Parallel()

		now := testfactory.Now
		for ahead, seconds := range map[time.Duration]int64{
			0: 0, time.Millisecond: 1, time.Second: 1, time.Second + 1: 2, time.Minute: 60,
		} {
			require.Equal(t, now.Unix()+seconds, new(lava.Dialect).RateLimitReset(now.Add(ahead), now))
			require.Equal(t, seconds, new(lago.Dialect).RateLimitReset(now.Add(ahead), now))
		}
		require.Zero(t, new(lago.Dialect).RateLimitReset(now.Add(-time.Second), now))
	})
}
