package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/apitest"
	"github.com/fundrail/fundrail/internal/testfactory"
	"github.com/fundrail/fundrail/internal/wallet"
)

// TestOrganizationsAndModesAreApart calls every route with the ids of a merchant who
// has one of everything: with the key of another organization, and with a key of the
// same organization in the other mode. Nothing is found, shown or changed.
func TestOrganizationsAndModesAreApart(t *testing.T) {
	t.Parallel()

	b := apitest.Setup(t)
	b.EndWith(wallet.Outcome{Kind: wallet.OutcomeSucceeded, ChargeID: "ch_1"})
	require.Equal(t, http.StatusOK, b.TopUp(t, apitest.Fields("paid_credits", `"25.0"`), "Prefer", "wait=10").Code)
	hook, _ := testfactory.Endpoint(t, b.Pool, testfactory.EndpointOpts{OrganizationID: b.Organization.ID})
	row := func(table string) (id wallet.ID) {
		require.NoError(t, b.Pool.QueryRow(t.Context(), "select id from "+table).Scan(&id))
		return id
	}
	payment, invoice := row("payments"), row("invoices")
	theirs := strings.NewReplacer(
		"/v1/payments/:id", "/v1/payments/"+wallet.Spell(wallet.PrefixPayment, b.Mode, payment),
		"/v1/webhooks/:id", "/v1/webhooks/"+wallet.Spell(wallet.PrefixWebhook, b.Mode, hook.ID),
	)
	lagos := strings.NewReplacer(
		":external_id", b.Customer.ExternalID, ":code", "default", ":key", "x",
		"payment_methods/:id", "payment_methods/"+b.PaymentMethod.ID.String(),
		"/payments/:id", "/payments/"+payment.String(),
		"/invoices/:id", "/invoices/"+invoice.String(),
		"/wallets/:id", "/wallets/"+b.Wallet.ID.String(),
		"/wallet_transactions/:id", "/wallet_transactions/"+row("wallet_transactions").String(),
	)
	pathTo := func(route string) string {
		if api.Under(route, "/api/v1") {
			return lagos.Replace(route)
		}
		return theirs.Replace(route)
	}
	// What must not be in any answer.
	secrets := []string{b.Wallet.ID.String(), b.Customer.ExternalID, payment.String(), invoice.String(), hook.URL}
	for _, id := range []struct {
		prefix wallet.Prefix
		id     wallet.ID
	}{{wallet.PrefixPayment, payment}, {wallet.PrefixWebhook, hook.ID}, {wallet.PrefixPaymentMethod, b.PaymentMethod.ID}} {
		secrets = append(secrets, wallet.Spell(id.prefix, b.Mode, id.id))
	}
	stranger := testfactory.NewMerchant(t, b.Pool, testfactory.MerchantOpts{})
	_, live := testfactory.APIKey(t, b.Pool, testfactory.APIKeyOpts{OrganizationID: b.Organization.ID, Mode: wallet.ModeLive})
	before := everything(t, b)

	for name, key := range map[string]string{"Stranger": stranger.APIKey, "OtherMode": live} {
		checked := 0
		for _, r := range b.Routes {
			if r.Method == echo.RouteNotFound || strings.HasSuffix(r.Path, "/return") {
				continue
			}
			path := pathTo(r.Path)
			require.NotContains(t, path, ":", r.Path)
			body := ""
			if r.Method != http.MethodGet && r.Method != http.MethodHead && r.Method != http.MethodDelete {
				body = `{}`
			}
			what := fmt.Sprintf("%s: %s %s", name, r.Method, path)
			rec := b.Do(t, r.Method, path, body, "Authorization", "Bearer "+key)
			if strings.Contains(r.Path, ":") {
				checked++
				if body == "" {
					require.Equal(t, http.StatusNotFound, rec.Code, what)
				} else {
					require.GreaterOrEqual(t, rec.Code, http.StatusBadRequest, what)
				}
			}
			for _, secret := range secrets {
				require.NotContains(t, rec.Body.String(), secret, what)
			}
		}
		require.Greater(t, checked, 30)
	}
	require.Equal(t, before, everything(t, b), "nothing of it has changed")
}

// everything is the merchant's rows as they are.
func everything(t *testing.T, b *apitest.Bundle) string {
	t.Helper()

	var all string
	require.NoError(t, b.Pool.QueryRow(t.Context(), `
		select string_agg(line, E'\n' order by line) from (
			select w::text as line from wallets w where organization_id = $1
			union all select p::text from payments p where organization_id = $1
			union all select i::text from invoices i where organization_id = $1
			union all select x::text from wallet_transactions x where organization_id = $1
			union all select c::text from customers c where organization_id = $1
			union all select m::text from payment_methods m where organization_id = $1
			union all select e::text from webhook_endpoints e where organization_id = $1
			union all select d::text from deliveries d
		) rows`, b.Organization.ID).Scan(&all))
	require.NotEmpty(t, all)
	return all
}
