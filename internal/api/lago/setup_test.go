package lago_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/apitest"
)

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

	apitest.RequireAnswer(t, rec, http.StatusUnprocessableEntity,
		`{"status":422,"error":"Unprocessable Entity","code":"validation_errors","error_details":`+details+`}`)
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
