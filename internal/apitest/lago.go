package apitest

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// Fields makes an object from pairs of a field and its JSON.
func Fields(fields ...string) map[string]json.RawMessage {
	body := map[string]json.RawMessage{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = json.RawMessage(fields[i+1])
	}
	return body
}

// DoLago sends an object under its root name to a path below /api/v1.
func (b *Bundle) DoLago(t *testing.T, method, path, root string, fields map[string]json.RawMessage, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	body, err := json.Marshal(map[string]any{root: fields})
	require.NoError(t, err)
	return b.Do(t, method, "/api/v1"+path, string(body), headers...)
}

// TopUp asks for a top-up of the merchant's wallet, unless the fields name another.
func (b *Bundle) TopUp(t *testing.T, fields map[string]json.RawMessage, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	if _, ok := fields["wallet_id"]; !ok {
		fields["wallet_id"] = json.RawMessage(`"` + b.Wallet.ID.String() + `"`)
	}
	return b.DoLago(t, http.MethodPost, "/wallet_transactions", "wallet_transaction", fields, headers...)
}

// WalletNow is the merchant's wallet as it is stored.
func (b *Bundle) WalletNow(t *testing.T) wallet.Wallet {
	t.Helper()

	w, err := postgres.GetWallet(t.Context(), b.Pool, b.Wallet.ID)
	require.NoError(t, err)
	return w
}

// RequireBooksBalance audits the database.
func (b *Bundle) RequireBooksBalance(t *testing.T) {
	t.Helper()

	report, err := postgres.Audit(t.Context(), b.Pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}
