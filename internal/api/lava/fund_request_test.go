package lava

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/api"
)

func TestText(t *testing.T) {
	t.Parallel()

	o := api.Object{"amount": []byte(`"3"`), "number": []byte(`3`)}
	value, problem := text(o, "amount")
	require.Empty(t, problem)
	require.Equal(t, "3", value)
	_, problem = text(o, "Amount")
	require.Equal(t, "Missing required field: Amount", problem)
	_, problem = text(o, "number")
	require.Equal(t, "Expected string, received number", problem)
}

func TestDecodeFundRequest(t *testing.T) {
	t.Parallel()

	const form = "Amount must be a decimal string with at most 2 decimal places"
	method := api.Issue{Path: []string{"payment_method_id"}}
	amount := api.Issue{Path: []string{"amount"}}
	says := func(i api.Issue, message string) api.Issue {
		i.Message = message
		return i
	}
	for body, want := range map[string][]api.Issue{
		`{"payment_method_id":"pm","amount":"25.00"}`:                            nil,
		`{"payment_method_id":"pm","amount":"10"}`:                               nil,
		`{"payment_method_id":"pm","amount":"10000.00"}`:                         nil,
		`{"payment_method_id":"pm","amount":"25.5","more":[1]}`:                  nil,
		`{"payment_method_id":"pm","amount":5,"amount":"25"}`:                    nil,
		`{"payment_method_id":"` + strings.Repeat("é", 255) + `","amount":"25"}`: nil,

		`{}`: {says(method, "Missing required field: payment_method_id"), says(amount, "Missing required field: amount")},
		`{"Payment_Method_Id":"pm","AMOUNT":"25"}`: {
			says(method, "Missing required field: payment_method_id"), says(amount, "Missing required field: amount"),
		},
		`{"payment_method_id":null,"amount":25}`:      {says(method, "Expected string, received null"), says(amount, "Expected string, received number")},
		`{"payment_method_id":true,"amount":{}}`:      {says(method, "Expected string, received boolean"), says(amount, "Expected string, received object")},
		`{"payment_method_id":["pm"],"amount":"9.9"}`: {says(method, "Expected string, received array"), says(amount, "Amount must be at least 10.00")},
		`{"payment_method_id":"","amount":"1e2"}`:     {says(method, "Must not be empty"), says(amount, form)},
		`{"payment_method_id":"` + strings.Repeat("p", 256) + `","amount":"10000.01"}`: {
			says(method, "Must be at most 255 characters"), says(amount, "Amount must be at most 10000.00"),
		},
	} {
		o, err := api.ParseObject([]byte(body))
		require.NoError(t, err)
		_, issues := decodeFundRequest(o)
		require.Equal(t, want, issues, body)
	}

	for _, bad := range []string{
		"", " ", "25.", ".5", "25.001", "025", "00", "+25", "-25", "1e2", "25,00", "1,000", " 25", "25 ", "0x19", "٢٥", "NaN", "$25",
		"25.0.0", "2_5", strings.Repeat("9", 10_000),
	} {
		body, err := json.Marshal(map[string]string{"payment_method_id": "pm", "amount": bad})
		require.NoError(t, err)
		o, err := api.ParseObject(body)
		require.NoError(t, err)
		_, issues := decodeFundRequest(o)
		require.Equal(t, []api.Issue{says(amount, form)}, issues, bad)
	}
	for _, low := range []string{"0", "0.00", "9.99", "9"} {
		_, issues := decodeFundRequest(api.Object{"payment_method_id": []byte(`"pm"`), "amount": []byte(`"` + low + `"`)})
		require.Equal(t, []api.Issue{says(amount, "Amount must be at least 10.00")}, issues, low)
	}
	for _, high := range []string{"10000.01", "10001", "99999999999999999999999999999999"} {
		_, issues := decodeFundRequest(api.Object{"payment_method_id": []byte(`"pm"`), "amount": []byte(`"` + high + `"`)})
		require.Equal(t, []api.Issue{says(amount, "Amount must be at most 10000.00")}, issues, high)
	}
}

func FuzzDecodeFundRequest(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "[]", `{"payment_method_id":"pm","amount":"25.00"}`, `{"amount":1}`, `{"a":[[[{}]]]}`, "{\"\xff\":1}", `{"a":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := api.ParseObject(body)
		if err != nil {
			var e *api.Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, http.StatusBadRequest, e.Status)
			return
		}
		require.True(t, json.Valid(body))
		req, issues := decodeFundRequest(o)
		for _, i := range issues {
			require.Contains(t, []string{"payment_method_id", "amount"}, i.Path[0])
			require.NotEmpty(t, i.Message)
		}
		if issues == nil {
			require.NotEmpty(t, req.PaymentMethodID)
			require.Regexp(t, `^[0-9]{2,5}(\.[0-9]{1,2})?$`, req.Amount)
		}
	})
}

// BenchmarkDecodeFundRequest measures what a fund request costs before anything
// is looked up: reading, decoding and checking it.
func BenchmarkDecodeFundRequest(b *testing.B) {
	e := echo.New()
	const body = `{"payment_method_id":"pm_test_01J9Z3NDEKTSV4RRFFQ69G5FAV","amount":"25.00"}`
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		req := httptest.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/wallet/fund", strings.NewReader(body))
		req.Header.Set(echo.HeaderContentType, echo.MIMEApplicationJSON)
		o, err := api.ReadObject(e.NewContext(req, httptest.NewRecorder()))
		if err != nil {
			b.Fatal(err)
		}
		if _, issues := decodeFundRequest(o); issues != nil {
			b.Fatal(issues)
		}
	}
}
