package openapitest_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/openapitest"
)

// TestCheck checks that each kind of difference is found.
func TestCheck(t *testing.T) {
	t.Parallel()

	usual := func(change ...string) http.Header {
		h := http.Header{
			"Content-Type": {"application/json"}, "X-Request-Id": {"r"}, "X-Ratelimit-Limit": {"1000"},
			"X-Ratelimit-Remaining": {"999"}, "X-Ratelimit-Reset": {"1773480000"},
		}
		for pair := range slices.Chunk(change, 2) {
			h.Set(pair[0], pair[1])
			if pair[1] == "" {
				h.Del(pair[0])
			}
		}
		return h
	}
	const balance = `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":"1.00"}`
	const missing = `{"error":{"message":"m","code":"route_not_found","status":404}}`
	for name, tc := range map[string]struct {
		method, path string
		status       int
		header       http.Header
		body         string
		problem      string // empty for none
	}{
		"AsDescribed":    {"GET", "/v1/wallet", 200, usual(), balance, ""},
		"HeadHasNoBody":  {"HEAD", "/v1/wallet", 200, usual(), "", ""},
		"UnknownPath":    {"GET", "/v1/walet", 404, usual(), missing, ""},
		"UnknownMethod":  {"PUT", "/v1/wallet", 405, usual(), `{"error":{"message":"m","code":"method_not_allowed","status":405}}`, ""},
		"PathOfTwo":      {"GET", "/v1/payments/x/return", 200, usual("Content-Type", "text/html; charset=utf-8"), "<p>", ""},
		"NewPath":        {"GET", "/v1/walet", 200, usual(), balance, "path is not described"},
		"NewMethod":      {"PUT", "/v1/wallet", 200, usual(), balance, "method is not described"},
		"NewStatus":      {"GET", "/v1/wallet", 203, usual(), balance, "status is not described"},
		"NewMember":      {"GET", "/v1/wallet", 200, usual(), `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":"1.00","x":1}`, "additional properties"},
		"MissingMember":  {"GET", "/v1/wallet", 200, usual(), `{"balance":"1.00"}`, "missing property"},
		"OtherType":      {"GET", "/v1/wallet", 200, usual(), `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":1}`, "want string"},
		"OtherForm":      {"GET", "/v1/wallet", 200, usual(), `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":"1.0"}`, "pattern"},
		"OtherCode":      {"GET", "/v1/wallet", 404, usual(), `{"error":{"message":"m","code":"gone","status":404}}`, "value must be one of"},
		"MissingHeader":  {"GET", "/v1/wallet", 200, usual("X-RateLimit-Limit", ""), balance, "header 'X-RateLimit-Limit' was not found"},
		"OtherHeader":    {"GET", "/v1/wallet", 200, usual("X-RateLimit-Limit", "many"), balance, "header 'x-ratelimit-limit'"},
		"OtherMediaType": {"GET", "/v1/wallet", 200, usual("Content-Type", "text/plain"), balance, "text/plain is not described"},
		"NullBody":       {"GET", "/v1/wallet", 200, usual(), "null", "body is null"},
		"EmptyBody":      {"GET", "/v1/wallet", 200, usual(), "", "not JSON"},
		"NullMember":     {"GET", "/v1/wallet", 200, usual(), `{"wallet_id":"wal_test_01KKP9QZ8JX4R1C6T5W3M0E7AD","balance":null}`, "want string"},
		"NoJSON":         {"GET", "/v1/wallet", 200, usual(), "{", "not JSON"},
		"OtherDialect":   {"GET", "/api/v1/walet", 404, usual(), missing, "got object, want string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := openapitest.Check(tc.method, tc.path, tc.status, tc.header, []byte(tc.body))

			if tc.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.problem)
			}
		})
	}
}

func TestCheckHeaderTwice(t *testing.T) {
	t.Parallel()

	err := openapitest.Check("GET", "/v1/wallet", 200, http.Header{"X-Request-Id": {"r", "s"}}, nil)

	require.ErrorContains(t, err, "X-Request-Id is there 2 times")
}

func TestCheckRequest(t *testing.T) {
	t.Parallel()

	for name, tc := range map[string]struct {
		path, body string
		status     int
		problem    string // empty for none
	}{
		"AsDescribed":    {"/v1/wallet/fund", `{"payment_method_id":"pm","amount":"25.00","more":1}`, 200, ""},
		"Refused":        {"/v1/wallet/fund", `{}`, 400, ""},
		"OtherDialect":   {"/api/v1/wallet_transactions", `{}`, 200, ""},
		"MissingMember":  {"/v1/wallet/fund", `{"amount":"25.00"}`, 200, "missing property 'payment_method_id'"},
		"OtherForm":      {"/v1/wallet/fund", `{"payment_method_id":"pm","amount":"25.000"}`, 200, "pattern"},
		"UnknownChoice":  {"/v1/payments/x/refund", `{"reason":"bored"}`, 202, "value must be one of"},
		"NoBodyAtAll":    {"/v1/payments/x/refund", "", 202, ""},
		"NeitherOfForms": {"/v1/webhooks/x/redeliver", `{"from":"2026-03-14T09:26:53Z"}`, 202, "oneOf"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()

			err := openapitest.CheckRequest(http.MethodPost, tc.path, tc.status, []byte(tc.body))

			if tc.problem == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, tc.problem)
			}
		})
	}
}
