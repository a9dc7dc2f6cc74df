package stripesim_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/stripesim"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()

	b := setup(t)
	basic := func(s string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(s)) }
	for header, status := range map[string]int{
		"Bearer sk_test_x":       http.StatusOK,
		"bearer rk_test_x":       http.StatusOK,
		"Bearer sk_live_x":       http.StatusOK,
		basic("sk_test_x:"):      http.StatusOK,
		basic("sk_test_x"):       http.StatusOK,
		"none":                   http.StatusUnauthorized,
		"Bearer":                 http.StatusUnauthorized,
		"Bearer sk_test_":        http.StatusUnauthorized,
		"Bearer sk_prod_x":       http.StatusUnauthorized,
		"Bearer nonsense":        http.StatusUnauthorized,
		"Basic !!!":              http.StatusUnauthorized,
		"Digest sk_test_x":       http.StatusUnauthorized,
		"Bearer pk_test_visible": http.StatusForbidden,
	} {
		a := b.raw(t, http.MethodGet, "/v1/customers", "", "Authorization", header)
		require.Equal(t, status, a.status, header)
		if status != http.StatusOK {
			require.Equal(t, "invalid_request_error", a.problem(t)["type"])
		}
	}
	a := b.raw(t, http.MethodGet, "/v1/customers", "", "Authorization", "Bearer sk_prod_verysecretkey")
	require.NotContains(t, string(a.body), "verysecret")
}

func TestHeaders(t *testing.T) {
	t.Parallel()

	b := setup(t)
	a := b.raw(t, http.MethodGet, "/v1/customers", "")
	require.Regexp(t, `^req_[0-9A-Za-z]{14}$`, a.header.Get("Request-Id"))
	require.Equal(t, stripesim.APIVersion, a.header.Get("Stripe-Version"))
	require.Equal(t, "application/json", a.header.Get("Content-Type"))
	require.NotEqual(t, a.header.Get("Request-Id"), b.raw(t, http.MethodGet, "/v1/customers", "").header.Get("Request-Id"))
	a = b.raw(t, http.MethodPost, "/v1/customers", "email=a@example.com")
	require.Equal(t, "false", a.header.Get("Stripe-Should-Retry"))

	a = b.raw(t, http.MethodGet, "/v1/customers/cus_none", "")
	require.Contains(t, a.problem(t)["request_log_url"], a.header.Get("Request-Id"))
	require.Equal(t, "https://stripe.com/docs/error-codes/resource-missing", a.problem(t)["doc_url"])
	a = b.raw(t, http.MethodGet, "/v1/customers", "", "Stripe-Version", "2024-06-20")
	require.Equal(t, http.StatusBadRequest, a.status)
}

func TestUnknownPaths(t *testing.T) {
	t.Parallel()

	b := setup(t)
	for _, path := range []string{"/v1/plans", "/v1/payment_intents/pi_1/frobnicate", "/v1/"} {
		a := b.raw(t, http.MethodGet, path, "")
		require.Equal(t, http.StatusNotFound, a.status)
		require.Equal(t, "invalid_request_error", a.problem(t)["type"])
	}
	require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodDelete, "/v1/payment_intents/pi_1", "").status)
	require.Equal(t, http.StatusUnauthorized, b.raw(t, http.MethodGet, "/v1/plans", "", "Authorization", "none").status)
	require.Equal(t, http.StatusNotFound, b.raw(t, http.MethodGet, "/nowhere", "").status)
	require.Contains(t, string(b.raw(t, http.MethodGet, "/", "").body), "A Stripe in memory")
}

func TestParameters(t *testing.T) {
	t.Parallel()

	b := setup(t)
	for body, want := range map[string][2]string{
		"colour=red":                                       {"parameter_unknown", "colour"},
		"automatic_payment_methods[colour]=red":            {"parameter_unknown", "automatic_payment_methods[colour]"},
		"automatic_payment_methods[enabled]=yes":           {"", "automatic_payment_methods[enabled]"},
		"automatic_payment_methods[allow_redirects]=never": {"parameter_missing", "automatic_payment_methods[enabled]"},
		"automatic_payment_methods=on":                     {"", "automatic_payment_methods"},
		"amount=ten":                                       {"parameter_invalid_integer", "amount"},
		"amount=10.5":                                      {"parameter_invalid_integer", "amount"},
		"amount=":                                          {"parameter_invalid_empty", "amount"},
		"amount[a]=1":                                      {"", "amount"},
		"confirm=yes":                                      {"", "confirm"},
		"setup_future_usage=someday":                       {"", "setup_future_usage"},
	} {
		if !strings.HasPrefix(body, "amount") {
			body += "&amount=1000"
		}
		a := b.raw(t, http.MethodPost, "/v1/payment_intents", body+"&currency=usd")
		require.Equal(t, http.StatusBadRequest, a.status, body)
		code, _ := a.problem(t)["code"].(string)
		param, _ := a.problem(t)["param"].(string)
		require.Equal(t, want, [2]string{code, param}, body)
	}
	require.Empty(t, b.sim.Intents(false))

	for _, body := range []string{"a[=1", "amount=%zz", "amount=%ff", "metadata=1&metadata[a]=1", "metadata[a]=1&metadata=1&amount=1", "[a]=1"} {
		a := b.raw(t, http.MethodPost, "/v1/payment_intents", body)
		require.Equal(t, http.StatusBadRequest, a.status, body)
	}
	a := b.raw(t, http.MethodPost, "/v1/payment_intents", `{"amount":1000}`, "Content-Type", "application/json")
	require.Equal(t, http.StatusBadRequest, a.status)
	a = b.raw(t, http.MethodPost, "/v1/payment_intents?amount=1000", "currency=usd")
	require.Equal(t, http.StatusOK, a.status, "parameters can also be in the query")
	a = b.raw(t, http.MethodPost, "/v1/payment_intents", "description="+strings.Repeat("x", 2<<20))
	require.Equal(t, http.StatusBadRequest, a.status)
}

func TestChunkedBodies(t *testing.T) {
	t.Parallel()

	b := setup(t)
	// net/http sends a reader of unknown length in chunks, as stripe-go's requests
	// are.
	body := io.MultiReader(strings.NewReader("amount=1000&cur"), strings.NewReader("rency=usd&payment_method_types[0]=card"))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.sim.URL+"/v1/payment_intents", body)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer sk_test_x")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := plain.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
}

func TestEmptyIDIsTheCollection(t *testing.T) {
	t.Parallel()

	pi, err := setup(t).client.PaymentIntents.Get("", nil)
	require.NoError(t, err)
	require.Empty(t, pi.ID)
}

func TestRateLimit(t *testing.T) {
	t.Parallel()

	b := setup(t, func(c *stripesim.Config) { c.RateLimit = 3 }) // per second, and the clock is stopped
	for range 3 {
		require.Equal(t, http.StatusOK, b.raw(t, http.MethodGet, "/v1/customers", "").status)
	}
	a := b.raw(t, http.MethodPost, "/v1/customers", "", "Idempotency-Key", "k")
	require.Equal(t, http.StatusTooManyRequests, a.status)
	require.Equal(t, "rate_limit", a.problem(t)["code"])
	require.Equal(t, http.StatusOK, b.raw(t, http.MethodGet, "/v1/customers", "", "Authorization", "Bearer sk_live_x").status)
	b.sim.SetRateLimit(0)
	a = b.raw(t, http.MethodPost, "/v1/customers", "", "Idempotency-Key", "k")
	require.Equal(t, http.StatusOK, a.status)
	require.Empty(t, a.header.Get("Idempotent-Replayed"))
}

func TestRequestsAreCounted(t *testing.T) {
	t.Parallel()

	b := setup(t)
	pi := b.paid(t, "pm_card_visa")
	b.retrieve(t, pi.ID)
	b.retrieve(t, pi.ID)
	require.Equal(t, map[string]int64{"POST /v1/payment_intents": 1, "GET /v1/payment_intents/{id}": 2}, b.sim.Requests())
}

func TestTextIsEscaped(t *testing.T) {
	t.Parallel()

	b := setup(t)
	nasty := "\"\\\n\r\t\x01</script> ü 漢 🙂"
	pi, err := b.client.PaymentIntents.New(&stripe.PaymentIntentParams{
		Amount: stripe.Int64(1000), Currency: new("usd"), Description: &nasty,
	})
	require.NoError(t, err)
	require.Equal(t, nasty, pi.Description)
}
