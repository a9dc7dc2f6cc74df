package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// with says what is special about a request: pairs of a field and its JSON.
func with(fields ...string) map[string]json.RawMessage {
	body := map[string]json.RawMessage{}
	for i := 0; i+1 < len(fields); i += 2 {
		body[fields[i]] = json.RawMessage(fields[i+1])
	}
	return body
}

// lago sends an object under its root name.
func (b *bundle) lago(t *testing.T, method, path, root string, fields map[string]json.RawMessage, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	body, err := json.Marshal(map[string]any{root: fields})
	require.NoError(t, err)
	return b.do(t, method, "/api/v1"+path, string(body), headers...)
}

// topUp asks for a top-up of the merchant's wallet, unless the fields name another.
func (b *bundle) topUp(t *testing.T, fields map[string]json.RawMessage, headers ...string) *httptest.ResponseRecorder {
	t.Helper()

	if _, ok := fields["wallet_id"]; !ok {
		fields["wallet_id"] = json.RawMessage(`"` + b.Wallet.ID.String() + `"`)
	}
	return b.lago(t, http.MethodPost, "/wallet_transactions", "wallet_transaction", fields, headers...)
}

// rows are the wallet transactions of an answer.
func rows(t *testing.T, rec *httptest.ResponseRecorder) []map[string]any {
	t.Helper()

	var answer struct {
		Rows []map[string]any `json:"wallet_transactions"`
	}
	decode(t, rec, &answer)
	require.NotNil(t, answer.Rows, rec.Body.String())
	return answer.Rows
}

// one is what an answer holds under its one name.
func one(t *testing.T, rec *httptest.ResponseRecorder, name string) map[string]any {
	t.Helper()

	answer := map[string]map[string]any{}
	decode(t, rec, &answer)
	require.Contains(t, answer, name)
	return answer[name]
}

func decode(t *testing.T, rec *httptest.ResponseRecorder, to any) {
	t.Helper()

	require.Equal(t, http.StatusOK, rec.Code, rec.Body.String())
	require.NoError(t, json.Unmarshal(rec.Body.Bytes(), to))
}

// requireInvalid expects a 422 with exactly these details.
func requireInvalid(t *testing.T, rec *httptest.ResponseRecorder, details string) {
	t.Helper()

	requireAnswer(t, rec, http.StatusUnprocessableEntity,
		`{"status":422,"error":"Unprocessable Entity","code":"validation_errors","error_details":`+details+`}`)
}

func (b *bundle) walletNow(t *testing.T) wallet.Wallet {
	t.Helper()

	w, err := postgres.GetWallet(t.Context(), b.pool, b.Wallet.ID)
	require.NoError(t, err)
	return w
}

// requireBooksBalance audits the database.
func (b *bundle) requireBooksBalance(t *testing.T) {
	t.Helper()

	report, err := postgres.Audit(t.Context(), b.pool)
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// names are the names of a JSON object in their order.
func names(t *testing.T, body json.RawMessage) []string {
	t.Helper()

	dec := json.NewDecoder(bytes.NewReader(body))
	_, err := dec.Token()
	require.NoError(t, err)
	var list []string
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		list = append(list, name.(string))
		var skipped json.RawMessage
		require.NoError(t, dec.Decode(&skipped))
	}
	return list
}
