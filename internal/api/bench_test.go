package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
)

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
		o, err := readObject(e.NewContext(req, httptest.NewRecorder()))
		if err != nil {
			b.Fatal(err)
		}
		if _, issues := decodeFundRequest(o); issues != nil {
			b.Fatal(issues)
		}
	}
}
