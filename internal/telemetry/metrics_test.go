package telemetry

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/wallet"
)

// values returns the values of a label in all series of a metric.
func values(t *testing.T, m prometheus.Collector, label string) []string {
	t.Helper()

	registry := prometheus.NewPedanticRegistry()
	require.NoError(t, registry.Register(m))
	families, err := registry.Gather()
	require.NoError(t, err)
	var list []string
	for _, f := range families {
		for _, series := range f.GetMetric() {
			for _, l := range series.GetLabel() {
				if l.GetName() == label {
					list = append(list, l.GetValue())
				}
			}
		}
	}
	return list
}

// Texts from outside must not each create a series, because many series exhaust a
// server's memory.
func TestLabelsAreBounded(t *testing.T) {
	t.Parallel()

	m := NewMetrics(Config{Log: slog.New(slog.DiscardHandler), Modes: wallet.Modes, Now: time.Now, Pool: new(pgxpool.Pool)})

	for _, f := range []wallet.Failure{
		{Code: "card_declined", DeclineCode: "insufficient_funds"},
		{Code: "expired_card"},
		{Code: "card_declined", DeclineCode: "new_in_2031"},
		{Code: "made up by a simulator"},
		{},
	} {
		m.PaymentMoved(wallet.Payment{Currency: wallet.USD, Failure: f, Mode: wallet.ModeTest, Status: wallet.PaymentFailed})
	}
	require.ElementsMatch(t, []string{"expired_card", "insufficient_funds", "other"}, values(t, m.declines, "code"))

	e := echo.New()
	e.Use(m.Requests())
	e.GET("/v1/payments/:id", func(c echo.Context) error { return c.NoContent(http.StatusOK) })
	for _, r := range []struct{ method, path string }{
		{http.MethodGet, "/v1/payments/1"},
		{http.MethodGet, "/v1/payments/2"},
		{http.MethodGet, "/wp-login.php"},
		{"BREW", "/v1/payments/1"},
		{"PROPFIND", "/"},
	} {
		e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), r.method, r.path, http.NoBody))
	}
	require.ElementsMatch(t, []string{"/v1/payments/:id", "/v1/payments/:id", "other", "other"}, values(t, m.requestDuration, "route"))
	require.ElementsMatch(t, []string{"GET", "GET", "other", "other"}, values(t, m.requestDuration, "method"))
}
