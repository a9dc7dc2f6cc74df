package telemetry

import (
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// Requests watches requests: metrics, and one line in the log for each. It must be
// the outermost middleware, so that it sees the answer that was really given. Of a
// request it shows nothing but the method and the route: addresses may hold what
// is nobody's business.
func (m *Metrics) Requests() echo.MiddlewareFunc {
	routes := &routes{}
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			began := m.Now()
			if err := next(c); err != nil {
				c.Error(err) // writes the answer now
			}
			took := m.Now().Sub(began)
			method, route, status := methodLabel(c.Request().Method), routes.label(c), c.Response().Status
			m.requests.WithLabelValues(method, route, strconv.Itoa(status)).Inc()
			m.requestDuration.WithLabelValues(method, route).Observe(max(0, took.Seconds()))
			m.logRequest(c, method, route, status, took)
			return nil
		}
	}
}

func (m *Metrics) logRequest(c echo.Context, method, route string, status int, took time.Duration) {
	level := slog.LevelInfo
	switch route {
	case "/healthz", "/metrics", "/readyz":
		level = slog.LevelDebug // machines ask for them all the time
	}
	attrs := []slog.Attr{
		slog.String("method", method),
		slog.String("route", route),
		slog.Int("status", status),
		slog.Duration("duration", took),
		slog.Int64("bytes", c.Response().Size),
		slog.String("request_id", c.Response().Header().Get(echo.HeaderXRequestID)),
	}
	if id, ok := c.Get("payment_id").(string); ok { // set by the handler
		attrs = append(attrs, slog.String("payment_id", id))
	}
	m.Log.LogAttrs(c.Request().Context(), level, "request", attrs...)
}

func methodLabel(method string) string {
	switch method {
	case http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch, http.MethodPost, http.MethodPut:
		return method
	default:
		return "other"
	}
}

// routes knows the patterns that are mounted. What a client made up is other.
type routes struct {
	once  sync.Once
	known map[string]bool
}

func (r *routes) label(c echo.Context) string {
	r.once.Do(func() {
		r.known = map[string]bool{}
		for _, route := range c.Echo().Routes() {
			r.known[route.Path] = true
		}
	})
	if path := c.Path(); r.known[path] {
		return path
	}
	return "other"
}
