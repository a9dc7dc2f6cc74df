package api_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/openapitest"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

func TestScopes(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	with := map[wallet.Scope]string{}    // a key with one scope alone
	without := map[wallet.Scope]string{} // and one with the others
	for _, scope := range wallet.Scopes {
		var others []wallet.Scope
		for _, s := range wallet.Scopes {
			if s != scope {
				others = append(others, s)
			}
		}
		_, with[scope] = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{OrganizationID: b.Organization.ID, Scopes: []wallet.Scope{scope}})
		_, without[scope] = testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{OrganizationID: b.Organization.ID, Scopes: others})
	}

	t.Run("EveryRouteAsksForWhatTheDocumentationSays", func(t *testing.T) {
		t.Parallel()

		documented := documentedFunding(t)
		described := openapitest.Scopes()
		seen := 0
		for _, r := range b.Routes {
			if r.Method == echo.RouteNotFound || strings.HasSuffix(r.Path, "/return") {
				continue // those ask for no key
			}
			scope := wallet.ScopeAdmin
			operation := r.Method + " " + regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}")
			switch {
			case r.Method == http.MethodGet || r.Method == http.MethodHead:
				scope = wallet.ScopeRead
			case documented[operation]:
				scope = wallet.ScopeFund
				seen++
			}
			if r.Method != http.MethodHead {
				require.Equal(t, string(scope), described[operation], operation)
			}
			path := strings.NewReplacer(":external_id", "x", ":id", "x", ":code", "x", ":key", "x").Replace(r.Path)
			rec := b.Do(t, r.Method, path, "", "Authorization", "Bearer "+without[scope])
			require.Equal(t, http.StatusForbidden, rec.Code, "%s %s without %s", r.Method, r.Path, scope)
			rec = b.Do(t, r.Method, path, "", "Authorization", "Bearer "+with[scope])
			require.NotEqual(t, http.StatusForbidden, rec.Code, "%s %s with %s", r.Method, r.Path, scope)
		}
		require.Len(t, documented, seen, "routes that the documentation names and that exist")
	})

	t.Run("LavaNamesTheScope", func(t *testing.T) {
		t.Parallel()

		rec := b.Do(t, http.MethodPost, "/v1/wallet/fund", b.FundBody("25.00"), "Authorization", "Bearer "+without[wallet.ScopeFund])

		apitest.RequireAnswer(t, rec, http.StatusForbidden,
			`{"error":{"message":"This API key does not have the scope fund.","code":"insufficient_scope","status":403}}`)
		require.Equal(t, `Bearer error="insufficient_scope", scope="fund"`, rec.Header().Get("WWW-Authenticate"))
		require.Empty(t, b.Stored(t))
	})

	t.Run("LagoNamesThePermission", func(t *testing.T) {
		t.Parallel()

		for _, tt := range []struct {
			method, path string
			scope        wallet.Scope
			code         string
		}{
			{http.MethodPost, "/api/v1/wallet_transactions", wallet.ScopeFund, "write_action_not_allowed_for_wallet_transaction"},
			{http.MethodGet, "/api/v1/wallets/x/wallet_transactions", wallet.ScopeRead, "read_action_not_allowed_for_wallet_transaction"},
			{http.MethodPut, "/api/v1/wallets/x", wallet.ScopeAdmin, "write_action_not_allowed_for_wallet"},
			{http.MethodDelete, "/api/v1/customers/x/wallets/y/metadata/z", wallet.ScopeAdmin, "write_action_not_allowed_for_wallet"},
			{http.MethodDelete, "/api/v1/customers/x/payment_methods/y", wallet.ScopeAdmin, "write_action_not_allowed_for_payment_method"},
			{http.MethodGet, "/api/v1/customers/x", wallet.ScopeRead, "read_action_not_allowed_for_customer"},
			{http.MethodGet, "/api/v1/invoices/x/page", wallet.ScopeRead, "read_action_not_allowed_for_invoice"},
		} {
			rec := b.Do(t, tt.method, tt.path, "", "Authorization", "Bearer "+without[tt.scope])
			apitest.RequireAnswer(t, rec, http.StatusForbidden, `{"status":403,"error":"Forbidden","code":"`+tt.code+`"}`)
		}
	})
}

// documentedFunding are the routes that the table in docs/api.md puts into the row
// of fund.
func documentedFunding(t *testing.T) map[string]bool {
	t.Helper()

	text, err := os.ReadFile("../../docs/api.md")
	require.NoError(t, err)
	row := regexp.MustCompile("(?m)^\\| `fund` \\|.*$").FindString(string(text))
	routes := map[string]bool{}
	for _, m := range regexp.MustCompile("`([A-Z]+ /[^`]+)`").FindAllStringSubmatch(row, -1) {
		routes[m[1]] = true
	}
	require.NotEmpty(t, routes)
	return routes
}

func TestKeyLife(t *testing.T) {
	t.Parallel()

	t.Run("RevokedAtOnceInEveryProcess", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		handlers := []http.Handler{b.Handler, b.OtherProcess()}
		header := http.Header{"Authorization": {"Bearer " + b.APIKey}}
		for _, h := range handlers {
			require.Equal(t, http.StatusOK, apitest.Request(t, h, http.MethodGet, "/v1/wallet", header).Code)
		}

		_, err := postgres.RevokeAPIKey(t.Context(), b.Pool, b.APIKeyID, b.Clock.Now())
		require.NoError(t, err)

		for _, h := range handlers {
			require.Equal(t, http.StatusUnauthorized, apitest.Request(t, h, http.MethodGet, "/v1/wallet", header).Code)
		}
	})

	t.Run("UseIsWrittenDownOnceAMinute", func(t *testing.T) {
		t.Parallel()

		b := apitest.Setup(t)
		lastUsed := func() *time.Time {
			list, err := postgres.ListAPIKeys(t.Context(), b.Pool, b.Organization.ID)
			require.NoError(t, err)
			require.Len(t, list, 1)
			return list[0].LastUsedAt
		}
		is := func(want time.Time) func() bool {
			return func() bool { at := lastUsed(); return at != nil && at.Equal(want) }
		}
		require.Nil(t, lastUsed())
		b.Do(t, http.MethodGet, "/v1/wallet", "")
		require.Eventually(t, is(testfactory.Now), 10*time.Second, 5*time.Millisecond)

		// What is written within the minute would show, because it is written in order.
		b.Clock.Advance(time.Minute - time.Second)
		b.Do(t, http.MethodGet, "/v1/wallet", "")
		require.Equal(t, testfactory.Now.Add(time.Minute), b.Server.NextKeyUse(b.APIKeyID))
		b.Clock.Advance(time.Second)
		b.Do(t, http.MethodGet, "/v1/wallet", "")
		require.Eventually(t, is(testfactory.Now.Add(time.Minute)), 10*time.Second, 5*time.Millisecond)
	})
}

func TestNoteKeyUseKeepsToTheMinute(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	for _, tt := range []struct{ at, want time.Duration }{
		{0, 0}, {30 * time.Second, 0}, {-time.Hour, 0}, {time.Minute, time.Minute}, {time.Minute + time.Second, time.Minute},
	} {
		ids := []wallet.ID{b.APIKeyID, b.APIKeyID}
		at := testfactory.Now.Add(tt.at)
		require.NoError(t, postgres.NoteKeyUse(t.Context(), b.Pool, ids, []time.Time{at, at.Add(-time.Second)}))

		list, err := postgres.ListAPIKeys(t.Context(), b.Pool, b.Organization.ID)
		require.NoError(t, err)
		require.Equal(t, testfactory.Now.Add(tt.want), list[0].LastUsedAt.UTC())
	}
}
