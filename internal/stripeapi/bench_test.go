package stripeapi

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// BenchmarkCharge measures one charge in this process: building the request,
// sending it over a kept-alive connection and sorting the answer.
func BenchmarkCharge(b *testing.B) {
	server := httptest.NewServer(answer(http.StatusOK, benchmarkIntent(b)))
	b.Cleanup(server.Close)
	c, err := New(Config{Mode: wallet.ModeTest, SecretKey: "sk_test_key", URL: server.URL})
	require.NoError(b, err)
	req := chargeRequest()
	b.ReportAllocs()
	for b.Loop() {
		if o := c.Charge(context.Background(), req); o.Kind != wallet.OutcomeSucceeded {
			b.Fatal(o.Reason)
		}
	}
}

// benchmarkIntent returns an intent of about the size of a real one.
func benchmarkIntent(b *testing.B) string {
	b.Helper()
	fields := map[string]any{}
	require.NoError(b, json.Unmarshal([]byte(succeeded), &fields))
	for _, empty := range []string{
		"application", "application_fee_amount", "automatic_payment_methods", "canceled_at", "cancellation_reason", "invoice",
		"last_payment_error", "next_action", "on_behalf_of", "processing", "review", "setup_future_usage", "source",
		"statement_descriptor", "statement_descriptor_suffix", "transfer_data", "transfer_group",
	} {
		fields[empty] = nil
	}
	fields["payment_method_options"] = map[string]any{"card": map[string]any{"request_three_d_secure": "automatic", "network": nil}}
	fields["payment_method_types"] = []string{"card"}
	fields["receipt_email"] = "ada@example.com"
	body, err := json.MarshalIndent(fields, "", "  ")
	require.NoError(b, err)
	return string(body)
}
