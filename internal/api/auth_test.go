package api_test

import (
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// endpoints are those that want a key.
var endpoints = []struct{ method, path string }{
	{http.MethodGet, "/v1/payment_methods"},
	{http.MethodGet, "/v1/payments"},
	{http.MethodGet, "/v1/payments/pay_test_01J9Z3NDEKTSV4RRFFQ69G5FAV"},
	{http.MethodGet, "/v1/wallet"},
	{http.MethodPost, "/v1/wallet/fund"},
}

func TestAuthentication(t *testing.T) {
	t.Parallel()

	const (
		unauthorized      = `{"error":{"message":"Invalid authentication credentials","code":"unauthorized","status":401}}`
		secretKeyRequired = `{"error":{"message":"This endpoint requires a merchant secret key (aks_live_… or aks_test_…).","code":"secret_key_required","status":403}}`
		suspended         = `{"error":{"message":"This account is suspended.","code":"account_suspended","status":403}}`
	)
	b := apitest.Setup(t)
	inAnHour, now := testfactory.Now.Add(time.Hour), testfactory.Now
	key := func(opts testfactory.APIKeyOpts) string {
		_, k := testfactory.APIKey(t, b.Pool, opts)
		return "Bearer " + k
	}
	gone := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{Suspended: true})

	for name, c := range map[string]struct {
		authorization string
		status        int
		challenge     string
		body          string
	}{
		"Missing":         {"", http.StatusUnauthorized, "Bearer", unauthorized},
		"OtherScheme":     {"Basic " + b.APIKey, http.StatusUnauthorized, "Bearer", unauthorized},
		"BareKey":         {b.APIKey, http.StatusUnauthorized, "Bearer", unauthorized},
		"EmptyToken":      {"Bearer ", http.StatusUnauthorized, "Bearer", unauthorized},
		"Unknown":         {"Bearer aks_test_unknown", http.StatusUnauthorized, `Bearer error="invalid_token"`, unauthorized},
		"OtherAlphabet":   {"Bearer aks_test_ü\x01", http.StatusUnauthorized, `Bearer error="invalid_token"`, unauthorized},
		"TwoTokens":       {"Bearer " + b.APIKey + " x", http.StatusUnauthorized, `Bearer error="invalid_token"`, unauthorized},
		"Revoked":         {key(testfactory.APIKeyOpts{Revoked: true}), http.StatusUnauthorized, `Bearer error="invalid_token"`, unauthorized},
		"Expired":         {key(testfactory.APIKeyOpts{ExpiresAt: &now}), http.StatusUnauthorized, `Bearer error="invalid_token"`, unauthorized},
		"SpendKey":        {"Bearer lava_sk_abc", http.StatusForbidden, "", secretKeyRequired},
		"WalletKey":       {"Bearer lava_wk_abc", http.StatusForbidden, "", secretKeyRequired},
		"ForwardToken":    {"Bearer eyJzZWNyZXRfa2V5IjoiYWtzX3Rlc3RfMSJ9", http.StatusForbidden, "", secretKeyRequired},
		"Suspended":       {"Bearer " + gone.APIKey, http.StatusForbidden, "", suspended},
		"StillToExpire":   {key(testfactory.APIKeyOpts{ExpiresAt: &inAnHour}), 0, "", ""},
		"SchemeInCapital": {"BEARER " + b.APIKey, 0, "", ""},
		"MoreSpaces":      {"bearer   " + b.APIKey + " ", 0, "", ""},
		"Live":            {key(testfactory.APIKeyOpts{Mode: wallet.ModeLive}), 0, "", ""},
	} {
		for _, e := range endpoints {
			rec := b.Do(t, e.method, e.path, "", "Authorization", c.authorization)
			if c.status == 0 {
				require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, rec.Code, name)
				continue
			}
			require.Equal(t, c.body, rec.Body.String(), name)
			apitest.RequireAnswer(t, rec, c.status, c.body)
			require.Equal(t, c.challenge, rec.Header().Get("WWW-Authenticate"), name)
		}
	}

	t.Run("SentTwice", func(t *testing.T) {
		t.Parallel()

		rec := apitest.Request(t, b.Handler, http.MethodGet, "/v1/wallet", http.Header{"Authorization": {"Bearer " + b.APIKey, "Bearer x"}})
		apitest.RequireAnswer(t, rec, http.StatusUnauthorized, unauthorized)
	})
}

func TestRateLimit(t *testing.T) {
	t.Parallel()

	t.Run("EveryAnswerSaysWhatIsLeft", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 3 })
		for i, remaining := range []string{"2", "1", "0"} {
			h := b.Do(t, http.MethodGet, "/v1/wallet", "").Header()
			require.Equal(t, "3", h.Get("X-RateLimit-Limit"))
			require.Equal(t, remaining, h.Get("X-RateLimit-Remaining"))
			reset := testfactory.Now.Add(time.Duration(i+1) * 20 * time.Second)
			require.Equal(t, strconv.FormatInt(reset.Unix(), 10), h.Get("X-RateLimit-Reset"))
			require.Empty(t, h.Get("Retry-After"))
		}
		rec := b.Fund(t)
		apitest.RequireAnswer(t, rec, http.StatusTooManyRequests,
			`{"error":{"message":"Too many requests.","code":"rate_limit_exceeded","status":429}}`)
		require.Equal(t, "0", rec.Header().Get("X-RateLimit-Remaining"))
		require.Equal(t, "20", rec.Header().Get("Retry-After"))
		require.Equal(t, strconv.FormatInt(testfactory.Now.Add(time.Minute).Unix(), 10), rec.Header().Get("X-RateLimit-Reset"))
		require.Empty(t, b.Stored(t))

		b.Clock.Advance(20 * time.Second)
		require.Equal(t, http.StatusAccepted, b.Fund(t).Code)
	})

	t.Run("IsAThousandUnlessSaid", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		h := b.Do(t, http.MethodGet, "/v1/wallet", "").Header()
		require.Equal(t, "1000", h.Get("X-RateLimit-Limit"))
		require.Equal(t, "999", h.Get("X-RateLimit-Remaining"))
	})

	t.Run("KeysOfOneAccountDoNotShare", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 1 })
		_, second := testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{OrganizationID: b.Organization.ID})
		require.Equal(t, http.StatusOK, b.Do(t, http.MethodGet, "/v1/wallet", "").Code)
		require.Equal(t, http.StatusTooManyRequests, b.Do(t, http.MethodGet, "/v1/wallet", "").Code)
		require.Equal(t, http.StatusOK, b.Do(t, http.MethodGet, "/v1/wallet", "", "Authorization", "Bearer "+second).Code)
	})

	t.Run("FundRequestsMayHaveOneOfTheirOwn", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit, b.Server.FundRateLimit = 100, 2 })
		require.Equal(t, "1", b.Fund(t).Header().Get("X-RateLimit-Remaining"))
		require.Equal(t, "2", b.Fund(t).Header().Get("X-RateLimit-Limit"))
		rec := b.Fund(t)
		require.Equal(t, http.StatusTooManyRequests, rec.Code)
		require.Equal(t, "30", rec.Header().Get("Retry-After"))
		require.Len(t, b.Stored(t), 2)
		rec = b.Do(t, http.MethodGet, "/v1/wallet", "")
		require.Equal(t, http.StatusOK, rec.Code)
		require.Equal(t, "96", rec.Header().Get("X-RateLimit-Remaining"))
	})

	t.Run("CallersWithoutAKeyAreCountedAndNotRefused", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 2 })
		for _, remaining := range []string{"1", "0", "0"} {
			rec := b.Do(t, http.MethodGet, "/v1/wallet", "", "Authorization", "")
			require.Equal(t, http.StatusUnauthorized, rec.Code)
			require.Equal(t, remaining, rec.Header().Get("X-RateLimit-Remaining"))
		}
		require.Equal(t, "1", b.Do(t, http.MethodGet, "/v1/wallet", "").Header().Get("X-RateLimit-Remaining"))
	})

	t.Run("EveryKindOfAnswerHasTheHeaders", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		for path, want := range map[string]bool{
			"/v1/nowhere": true, "/v1/payments/x/return": true, "/v1/wallet/fund": true, "/api/v1/wallets": true, "/elsewhere": false,
		} {
			h := b.Do(t, http.MethodGet, path, "").Header()
			require.Equal(t, want, h.Get("X-RateLimit-Limit") != "", path)
			require.Equal(t, want, h.Get("X-RateLimit-Reset") != "", path)
		}
	})

	t.Run("LagoIsRefusedInItsShape", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 1 })
		require.Equal(t, http.StatusOK, b.Do(t, http.MethodGet, "/api/v1/wallets", "").Code)
		rec := b.Do(t, http.MethodGet, "/api/v1/wallets", "")
		apitest.RequireAnswer(t, rec, http.StatusTooManyRequests, `{"status":429,"error":"Too Many Requests","code":"rate_limit_exceeded"}`)
		require.Equal(t, "60", rec.Header().Get("Retry-After"))
	})

	t.Run("ResetIsInSecondsFromNowInLagosDialect", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t, func(b *apitest.Bundle) { b.Server.RateLimit = 1 })
		b.Do(t, http.MethodGet, "/api/v1/wallets", "")
		b.Clock.Advance(30*time.Second + time.Millisecond)
		require.Equal(t, "30", b.Do(t, http.MethodGet, "/api/v1/wallets", "").Header().Get("X-RateLimit-Reset"))
	})
}
