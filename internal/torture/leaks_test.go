package torture

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFindLeaks(t *testing.T) {
	t.Parallel()

	known := map[string]string{"the word": "sesame", "nothing": ""}
	for name, tc := range map[string]struct{ line, what string }{
		"APIKey":          {`{"msg":"refused","key":"aks_live_8JxqLmPz0w"}`, "an API key"},
		"CardNumber":      {`{"msg":"declined","card":"4242424242424242"}`, "a card's number"},
		"CardNumberBare":  {`card 4000002500003155`, "a card's number"},
		"CardNumberGroup": {`card 4242 4242 4242 4242 declined`, "a card's number"},
		"ClientSecret":    {`intent pi_3Nabc_secret_Xy12`, "an intent's client secret"},
		"DatabaseURL":     {`cannot connect to postgres://fundrail:pass@127.0.0.1/x`, "a password"},
		"Known":           {`open sesame`, "the word"},
		"RestrictedKey":   {`Invalid API Key provided: rk_live_51Habc`, "a key of Stripe's"},
		"SecretKey":       {`Invalid API Key provided: sk_test_51Habc`, "a key of Stripe's"},
		"SigningSecret":   {`{"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}`, "a signing secret"},

		"Amount":    {`{"amount":4242424242424241}`, ""},
		"Duration":  {`{"duration":4242424242}`, ""},
		"ID":        {`{"payment_id":"019aa2c4-4242-7242-8242-424242424242"}`, ""},
		"Masked":    {`Invalid API Key provided: sk_test_****abcd`, ""},
		"PublicURL": {`{"url":"http://127.0.0.1:8080/v1/payments/pay_test_01/return"}`, ""},
		"UnixNanos": {`worker@1763646000123456789`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			leaks, lines, err := findLeaks(strings.NewReader("{\"msg\":\"started\"}\n"+tc.line), known)

			require.NoError(t, err)
			require.Equal(t, 2, lines)
			if tc.what == "" {
				require.Empty(t, leaks)
				return
			}
			require.Equal(t, []leak{{line: 2, what: tc.what}}, leaks)
		})
	}
}
