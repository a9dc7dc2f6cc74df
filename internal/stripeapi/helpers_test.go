package stripeapi

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// The ids in most tests' requests.
var (
	paymentID      = uuid.MustParse("01939f2e-5b00-7000-8000-000000000001")
	walletID       = uuid.MustParse("01939f2e-5b00-7000-8000-000000000002")
	organizationID = uuid.MustParse("01939f2e-5b00-7000-8000-000000000003")
)

// now is the time of the tests.
var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func chargeRequest() ChargeRequest {
	return ChargeRequest{
		PaymentID:       paymentID,
		WalletID:        walletID,
		OrganizationID:  organizationID,
		Amount:          75_00,
		Currency:        wallet.USD,
		CustomerID:      "cus_1",
		PaymentMethodID: "pm_1",
		ReturnURL:       "https://pay.example.com/v1/payments/1/return",
		ReceiptEmail:    "ada@example.com",
		Description:     "Wallet funding",
		Attempt:         1,
	}
}

// wire is a fake Stripe. It answers each request with the handler and records the
// requests.
type wire struct {
	*httptest.Server

	mu   sync.Mutex
	seen []seen
}

type seen struct {
	Method string
	URI    string
	Header http.Header
	Body   string
}

func newWire(tb testing.TB, answer http.HandlerFunc) *wire {
	tb.Helper()
	w := new(wire)
	w.Server = httptest.NewServer(http.HandlerFunc(func(res http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client went away
		}
		w.mu.Lock()
		w.seen = append(w.seen, seen{Method: req.Method, URI: req.RequestURI, Header: req.Header, Body: string(body)})
		w.mu.Unlock()
		answer(res, req)
	}))
	tb.Cleanup(w.Close)
	return w
}

func (w *wire) requests() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]seen(nil), w.seen...)
}

// client returns a client of the wire, changed by the options.
func (w *wire) client(tb testing.TB, options ...func(*Config)) *Client {
	tb.Helper()
	cfg := Config{Mode: wallet.ModeTest, SecretKey: "sk_test_key", URL: w.URL}
	for _, option := range options {
		option(&cfg)
	}
	c, err := New(cfg)
	require.NoError(tb, err)
	return c
}

// answer returns a handler that writes one answer in Stripe's format.
func answer(status int, body string, header ...string) http.HandlerFunc {
	return func(res http.ResponseWriter, _ *http.Request) {
		res.Header().Set("Content-Type", "application/json")
		res.Header().Set("Request-Id", "req_1")
		for i := 0; i+1 < len(header); i += 2 {
			res.Header().Set(header[i], header[i+1])
		}
		res.WriteHeader(status)
		_, _ = io.Copy(res, strings.NewReader(body))
	}
}

// newTLSWire starts a server with a self-signed certificate and returns its
// address.
func newTLSWire(t *testing.T) string {
	t.Helper()
	s := httptest.NewUnstartedServer(answer(http.StatusOK, `{}`))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}
