package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/config"
)

func TestTestSettings(t *testing.T) {
	t.Parallel()

	torture := []string{
		"FUNDRAIL_TEST_BREAK", "settle-guard",
		"FUNDRAIL_TEST_CHECK_SCALE", "60",
		"FUNDRAIL_TEST_KEY_LIFE", "30s",
		"FUNDRAIL_TEST_MARKER", "a storm",
		"FUNDRAIL_TEST_RESCUE_AFTER", "9s",
		"STRIPE_API_URL", "http://127.0.0.1:12111",
	}

	t.Run("AcceptedOnLoopback", func(t *testing.T) {
		t.Parallel()

		s, err := config.Load(environment(torture...))

		require.NoError(t, err)
		require.Equal(t, config.Test{
			TestBreak: "settle-guard", TestCheckScale: 60, TestKeyLife: 30 * time.Second, TestMarker: "a storm",
			TestRescueAfter: 9 * time.Second,
		}, s.Test)
	})

	for name, tt := range map[string]struct {
		change []string
		want   string
	}{
		"DatabaseByName":          {[]string{"DATABASE_URL", "postgres://u:p@localhost/fundrail"}, "DATABASE_URL on the loopback"},
		"DatabaseElsewhere":       {[]string{"DATABASE_URL", "postgres://u:p@db.example.com/fundrail"}, "DATABASE_URL on the loopback"},
		"DatabaseByParameter":     {[]string{"DATABASE_URL", "postgres://u:p@127.0.0.1/fundrail?host=db.example.com"}, "DATABASE_URL on the loopback"},
		"DatabaseOfAService":      {[]string{"DATABASE_URL", "postgres://u:p@127.0.0.1/fundrail?service=production"}, "DATABASE_URL on the loopback"},
		"LiveKey":                 {[]string{"STRIPE_LIVE_SECRET_KEY", "sk_live_hush"}, "STRIPE_LIVE_SECRET_KEY"},
		"NoMarker":                {[]string{"FUNDRAIL_TEST_MARKER", ""}, "FUNDRAIL_TEST_MARKER"},
		"RealStripe":              {[]string{"STRIPE_API_URL", ""}, "STRIPE_API_URL on the loopback"},
		"StripeElsewhere":         {[]string{"STRIPE_API_URL", "https://api.stripe.com"}, "STRIPE_API_URL on the loopback"},
		"Negative":                {[]string{"FUNDRAIL_TEST_CHECK_SCALE", "-1"}, "negative"},
		"CrashPointCountsAsATest": {[]string{"FUNDRAIL_TEST_MARKER", "", "FUNDRAIL_TEST_CRASH", "charge-read"}, "FUNDRAIL_TEST_MARKER"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			_, err := config.Load(environment(append(append([]string{}, torture...), tt.change...)...))

			require.ErrorContains(t, err, tt.want)
			require.NotContains(t, err.Error(), "hush")
		})
	}
}
